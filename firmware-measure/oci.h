/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Digest of a container image: index -> manifest -> config -> every layer, each
 * blob hashed and its size compared with its descriptor. A tag only selects;
 * identity is the manifest digest. Blobs that the image does not name are not
 * looked at.
 *
 * The image lies in an OCI image layout folder, in a tar archive of one
 * (oci_store.h), or in an archive of docker save or podman save (oci_docker.h).
 * No symbolic link is followed below it. Every document is verified against
 * the digest that names it before it is read, so indexes cannot form a cycle.
 * Docker's media types are refused.
 *
 * Source: OCI Image Format Specification 1.0, image-layout.md, image-index.md,
 * manifest.md, descriptor.md.
 */
#ifndef ASSAY_MEASURE_OCI_H
#define ASSAY_MEASURE_OCI_H

#include "firmware-measure/workload_event.h"

struct model_options;
struct tree;

struct image_report {
	struct image_digests digests;
	size_t n_layers;
	uint64_t n_bytes;             /* of manifest, config and layers, each blob once */
	char tag[129];                /* the reference name that selected it, or "" */
	uint8_t layer[LIMIT_OCI_LAYERS][32];

	/* oci_measure_root() only */
	uint8_t diff_id[LIMIT_OCI_LAYERS][32]; /* of each layer, uncompressed */
	uint8_t chain[32];                     /* ChainID of all layers; zero where there is none */
	uint8_t rootfs[32];                    /* tree_digest() of the root file system that the layers make */
	size_t n_entries;                      /* files and folders in it */
	uint64_t n_root_bytes;                 /* of the uncompressed layers */
};

/*
 * path      the layout folder or the archive; its last component may not be a symlink
 * selector  "tag", "sha256:<hex>" of the manifest, or NULL where the index
 *           holds exactly one manifest; "@os/architecture[/variant]" may follow
 *           or stand alone (oci_select.h)
 * Follows nested indexes at most 4 deep, without cycles. SHA-256 only.
 * A tag is looked for in index.json alone, and where it names an index, that
 * one must lead to exactly one manifest.
 *
 * Errors, with the path and the reason: E_LOCAL_NOT_FOUND (layout, blob or
 * selector), E_PEER_DUPLICATE (the selector fits more than one manifest),
 * E_PEER_DIGEST and E_PEER_RANGE (blob's digest or size; another platform), E_PEER_UNSUPPORTED
 * (symlink, special file, media type, digest algorithm), E_PEER_* (JSON, and
 * those of archive_index()), E_LIMIT_* (more than LIMIT_IMAGE_BYTES, too),
 * E_PEER_CHANGED (a blob or the archive changed while it was read), E_LOCAL_IO,
 * E_LOCAL_PERMISSION, E_LOCAL_MEMORY.
 */
must_check struct err oci_measure(const char *path, const char *selector, struct image_report *ret,
				  struct reason *reterr);

/* The same with jobs and progress as for a model; options may be NULL. Progress covers the layers. */
must_check struct err oci_measure_with(const char *path, const char *selector, const struct model_options *options,
				       struct image_report *ret, struct reason *reterr);

/* Is shown the configuration of an image and the root that its layers make, once all of them were verified. */
typedef struct err oci_seen(void *ctx, struct bytes config, const struct tree *root, struct reason *reterr);

struct root_options {
	bool allow_devices;              /* devices and FIFOs */
	bool ignore_owner;               /* the digest without uid and gid */
	const struct model_options *run; /* may be NULL */
	oci_seen *seen;                  /* may be NULL */
	void *ctx;                       /* of seen */
};

/*
 * The same, and what the layers hold: each is decompressed and compared with
 * its diff_id, and they are merged into the root file system (tree.h), without
 * anything being unpacked. Blobs that nothing in the layout names are refused,
 * but beside a manifest.json, where Docker leaves some.
 *
 * Besides: E_PEER_UNKNOWN_KEY (such a blob), E_PEER_DIGEST (a diff_id),
 * E_PEER_RANGE (their number), E_PEER_UNSUPPORTED (a layer that is no tar
 * archive), errors of layer_stream_source(), layer_read() and tree_apply().
 */
must_check struct err oci_measure_root(const char *path, const char *selector, const struct root_options *options,
				       struct image_report *ret, struct reason *reterr);

#endif
