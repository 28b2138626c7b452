/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Digest of a container image in an OCI image layout folder: index ->
 * manifest -> config -> every layer, each blob hashed and its size compared
 * with its descriptor. A tag only selects; identity is the manifest digest.
 *
 * Source: OCI Image Format Specification 1.0, image-layout.md, image-index.md,
 * manifest.md, descriptor.md.
 */
#ifndef ASSAY_MEASURE_OCI_H
#define ASSAY_MEASURE_OCI_H

#include "firmware-measure/workload_event.h"

struct image_report {
	struct image_digests digests;
	size_t n_layers;
	uint64_t n_bytes;             /* hashed in all */
	char tag[129];                /* the reference name that selected it, or "" */
	uint8_t layer[LIMIT_OCI_LAYERS][32];
};

/*
 * layout    path of the layout folder; it may not be a symlink
 * selector  "tag", "sha256:<hex>" of the manifest, or NULL where the index
 *           holds exactly one manifest
 * Follows nested indexes at most 4 deep, without cycles. SHA-256 only.
 *
 * Errors, with the path and the reason: E_LOCAL_NOT_FOUND (layout, blob or
 * selector), E_PEER_DIGEST and E_PEER_RANGE (blob's digest or size),
 * E_PEER_* (JSON), E_LIMIT_*, E_PEER_CHANGED (a blob changed while it was
 * read), E_LOCAL_IO.
 */
must_check struct err oci_measure(const char *layout, const char *selector, struct image_report *ret,
				  struct reason *reterr);

#endif
