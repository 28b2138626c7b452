/* SPDX-License-Identifier: Apache-2.0 */
/* Blobs of an image by their descriptors. */
#ifndef ASSAY_MEASURE_OCI_BLOB_H
#define ASSAY_MEASURE_OCI_BLOB_H

#include "firmware-measure/oci_json.h"
#include "firmware-measure/oci_store.h"

#define OCI_BLOBS "blobs/sha256/"

/* The name of a blob in its store. */
struct blob_name {
	char path[sizeof(OCI_BLOBS) + 64];
};
must_check struct err blob_name(const uint8_t sha256[32], struct blob_name *ret);
static inline const char *blob_hex(const struct blob_name *n)
{
	return n->path + sizeof(OCI_BLOBS) - 1;
}

/* Opens a blob whose size must be the descriptor's (E_PEER_RANGE). name is borrowed by the blob. */
must_check struct err oci_blob_open(const struct store *s, const struct oci_descriptor *d, const struct blob_name *name,
				    struct blob *ret, struct reason *reterr);

/* E_PEER_RANGE, and words: a blob has another size than its descriptor says. */
must_check struct err oci_wrong_size(const char *name, uint64_t size, uint64_t want, struct reason *reterr);

/* E_PEER_DIGEST, and words, unless the digests are equal. hex names the blob. */
must_check struct err oci_blob_compare(const char *hex, const uint8_t got[32], const uint8_t want[32],
				       struct reason *reterr);

/* A document as a whole, verified, into the empty *ret: E_LIMIT_SIZE above LIMIT_OCI_JSON. */
must_check struct err oci_blob_read(const struct store *s, const struct oci_descriptor *d, struct buf *ret,
				    struct reason *reterr);

/* Says in which document the trouble is; returns e. */
must_check struct err oci_in_document(const char *name, const struct reason *why, struct err e, struct reason *reterr);

#endif
