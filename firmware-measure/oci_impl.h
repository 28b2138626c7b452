/* SPDX-License-Identifier: Apache-2.0 */
/* What oci.c and oci_root.c share: the layers of an image as they lie in its store. */
#ifndef ASSAY_MEASURE_OCI_IMPL_H
#define ASSAY_MEASURE_OCI_IMPL_H

#include "firmware-measure/jobs.h"
#include "firmware-measure/oci.h"
#include "firmware-measure/oci_image.h"

/* A layer: read once, however often the image has it. */
struct stored {
	const char *path;      /* in the store; borrowed */
	const uint8_t *sha256; /* that it must have; borrowed */
	size_t first;          /* the first layer of the image that it is */
	struct file_id id;
};

struct stored_layers {
	const struct store *store;
	size_t n;
	struct stored *v;            /* owned */
	uint64_t *size;              /* owned */
	size_t of[LIMIT_OCI_LAYERS]; /* which of them each layer of the image is */
};
void stored_layers_done(struct stored_layers *l);

/* What reasons call it: a blob's digest, or the name of a layer in Docker's archives. */
const char *stored_name(const struct stored *item);

/* Opens it for a job: E_PEER_CHANGED where it is no longer what it was. */
must_check struct err stored_open(const struct stored_layers *l, size_t i, struct blob *ret, struct reason *reterr);

/* Hashes and compares a layer: a job over struct stored_layers. */
must_check struct err stored_hash(void *ctx, size_t i, struct jobs *j, const struct job_kit *kit,
				  struct reason *reterr);

/* What to do with the layers once their sizes fit. */
typedef struct err layers_work(void *ctx, const struct oci_image *image, const struct stored_layers *l,
			       struct image_report *r, struct reason *reterr);

/* Everything up to the layers, and then work. */
must_check struct err oci_measure_by(const char *path, const char *selector, layers_work *work, void *ctx,
				     struct image_report *ret, struct reason *reterr);

#endif
