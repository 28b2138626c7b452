/* SPDX-License-Identifier: Apache-2.0 */
/* Which image of a layout: by tag, by manifest digest, or the only one. */
#ifndef ASSAY_MEASURE_OCI_SELECT_H
#define ASSAY_MEASURE_OCI_SELECT_H

#include "firmware-measure/oci_blob.h"

/* Anything with "sha256:" in front is a digest, never a tag. */
bool oci_is_digest(const char *selector);

/*
 * The descriptor of the manifest that fits, from index.json and the indexes
 * below it. selector and errors as oci_measure().
 */
must_check struct err oci_select(const struct store *s, const char *selector, struct oci_descriptor *ret,
				 struct reason *reterr);

#endif
