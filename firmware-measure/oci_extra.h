/* SPDX-License-Identifier: Apache-2.0 */
/* Blobs that lie in a layout and belong to nothing in it. */
#ifndef ASSAY_MEASURE_OCI_EXTRA_H
#define ASSAY_MEASURE_OCI_EXTRA_H

#include "firmware-measure/oci_blob.h"

/*
 * E_PEER_UNKNOWN_KEY where blobs/sha256 holds something that neither
 * index.json names nor any index or manifest below it. Blobs that are named and
 * are not there are no matter here: an image may lie without its siblings.
 * Beside a manifest.json nothing is looked for: docker save leaves documents
 * there that nothing names. E_LIMIT_*, errors of JSON, E_LOCAL_*.
 */
must_check struct err oci_refuse_extra(const struct store *s, struct reason *reterr);

#endif
