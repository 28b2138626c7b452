/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where an image lies: a folder, or a tar archive of one that is read in place.
 * Names are paths in it, '/' between components.
 */
#ifndef ASSAY_MEASURE_OCI_STORE_H
#define ASSAY_MEASURE_OCI_STORE_H

#include "firmware-measure/archive.h"

struct store {
	int fd; /* the folder or the archive */
	bool is_archive;
	struct file_id id;      /* of the archive */
	struct archive archive; /* of an archive */
};
void store_done(struct store *s);
#define cleanup_store cleanup(store_done)
#define STORE_NONE                                                                                                     \
	{                                                                                                              \
		.fd = -1                                                                                               \
	}

/* A file of the store, open. */
struct blob {
	struct span span;
	struct file_id id; /* of the file that the span lies in */
	int own_fd;        /* closed with the blob; -1 in an archive */
};
static inline void blob_done(struct blob *b)
{
	cleanup_fd_(&b->own_fd);
}
#define cleanup_blob cleanup(blob_done)
#define BLOB_NONE                                                                                                      \
	{                                                                                                              \
		.own_fd = -1                                                                                           \
	}

/*
 * path  a folder or an archive; its last component is no symbolic link
 * E_LOCAL_NOT_FOUND, E_PEER_UNSUPPORTED (neither), the errors of
 * archive_index(), E_LIMIT_SIZE (LIMIT_IMAGE_BYTES), E_LOCAL_*.
 */
must_check struct err store_open(const char *path, struct store *ret, struct reason *reterr);

/* Whether an archive has a file of that name; of a folder always true. */
bool store_may_have(const struct store *s, const char *name);

/*
 * name is borrowed by the blob. E_LOCAL_NOT_FOUND; E_PEER_UNSUPPORTED (a
 * symbolic link or no file); E_LOCAL_*.
 */
must_check struct err store_blob_open(const struct store *s, const char *name, struct blob *ret, struct reason *reterr);

/* E_PEER_CHANGED unless the file is what it was when it, or the archive, was opened. */
must_check struct err blob_unchanged(const struct blob *b, struct reason *reterr);

/* A document as a whole, appended: E_LIMIT_SIZE above ret->max, E_PEER_CHANGED, and the errors of store_blob_open(). */
must_check struct err store_read(const struct store *s, const char *name, struct buf *ret, struct reason *reterr);

/* Calls each for every name below blobs/sha256, of whatever kind; ends with the first failure. E_LIMIT_COUNT,
 * E_LOCAL_IO. */
typedef struct err store_each(void *ctx, const char *name, struct reason *reterr);
must_check struct err store_list_blobs(const struct store *s, store_each *each, void *ctx, struct reason *reterr);

#endif
