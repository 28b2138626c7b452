/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An image as the files of an OCI layout, written to a folder or packed into an
 * archive. Anything can be changed in between. Failures end the test (cmocka).
 */
#ifndef ASSAY_TESTS_SUPPORT_IMAGEBUILD_H
#define ASSAY_TESTS_SUPPORT_IMAGEBUILD_H

#include "base/bytes.h"

#define IMAGE_FILES 128
#define IMAGE_LAYERS 16

struct image_file {
	char name[160];
	struct buf content;
};

struct image_build {
	size_t n;
	struct image_file file[IMAGE_FILES];
	size_t n_layers;
	char layer[IMAGE_LAYERS][400]; /* descriptors */
	char diff_id[IMAGE_LAYERS][65];
	const char *platform; /* members of the configuration; NULL: amd64, linux */
	char config_hex[65], manifest_hex[65];
	size_t manifest_n; /* its size */
};
struct image_build *image_build_new(void);
void image_build_free(struct image_build *b);

/* A file, or another content for it; NULL removes it. */
void image_put(struct image_build *b, const char *name, struct bytes content);
void image_drop(struct image_build *b, const char *name);
/* A blob; ret may be NULL. */
void image_blob(struct image_build *b, struct bytes content, char ret_hex[65]);
/* A layer: stored as it stands, with the digest of what it holds uncompressed. suffix: "", "+gzip", "+zstd". */
void image_layer(struct image_build *b, const char *suffix, struct bytes stored, struct bytes uncompressed);
/* Configuration, manifest, index with this tag, and oci-layout. */
void image_finish(struct image_build *b, const char *tag);

/* As a layout folder, and as an archive. */
void image_write_folder(const struct image_build *b, const char *path);
void image_write_archive(const struct image_build *b, const char *path);

/* Lower-case hex of the SHA-256. */
void image_hex(struct bytes content, char ret_hex[65]);

#endif
