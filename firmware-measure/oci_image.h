/* SPDX-License-Identifier: Apache-2.0 */
/* The documents of one image, read and verified; its layers are not looked at yet. */
#ifndef ASSAY_MEASURE_OCI_IMAGE_H
#define ASSAY_MEASURE_OCI_IMAGE_H

#include "firmware-measure/oci_blob.h"

#define OCI_NAME_MAX 255

struct oci_layer_name {
	char path[OCI_NAME_MAX + 1]; /* in the store */
};

struct oci_image {
	uint8_t manifest[32];
	uint64_t n_bytes; /* of manifest and configuration */
	struct oci_manifest m;
	struct oci_layer_name *name; /* of each layer; owned */
	struct buf config;           /* its text: BUF_INIT(LIMIT_OCI_JSON) */
	char tag[OCI_TAG_MAX + 1];   /* the tag that selected it, or "" */
};
void oci_image_done(struct oci_image *i);
#define cleanup_oci_image cleanup(oci_image_done)
#define OCI_IMAGE_NONE                                                                                                 \
	{                                                                                                              \
		.config = BUF_INIT(LIMIT_OCI_JSON)                                                                     \
	}

/* The image of an OCI layout that the selector names. Errors of oci_measure(). *ret is empty before. */
must_check struct err oci_image_read(const struct store *s, const char *selector, struct oci_image *ret,
				     struct reason *reterr);

#endif
