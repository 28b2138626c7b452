/* SPDX-License-Identifier: Apache-2.0 */
/* Which image of a layout: by tag, by manifest digest, by platform, or the only one. */
#ifndef ASSAY_MEASURE_OCI_SELECT_H
#define ASSAY_MEASURE_OCI_SELECT_H

#include "firmware-measure/oci_blob.h"

/* "NAME", "NAME@OS/ARCHITECTURE[/VARIANT]", or the latter without NAME. */
struct oci_selector {
	char name[OCI_TAG_MAX + 8 + 1]; /* a tag, or "sha256:" and a digest; "": any */
	struct oci_platform want;       /* empty: any */
};

/* Anything with "sha256:" in front is a digest, never a tag. */
bool oci_is_digest(const char *selector);
static inline bool oci_wants_platform(const struct oci_selector *s)
{
	return s->want.os[0] != '\0';
}

/*
 * Splits at the last '@' where a platform follows. Whoever has a tag with that
 * whole name looks for it first. A name that is longer than any gives false.
 */
bool oci_selector_split(const char *text, struct oci_selector *ret);

/*
 * The descriptor of the manifest that fits, from index.json and the indexes
 * below it, and what was asked for in the end. text and errors as
 * oci_measure(). That the image is for the platform is to be compared with its
 * configuration.
 */
must_check struct err oci_select(const struct store *s, const char *text, struct oci_descriptor *ret,
				 struct oci_selector *ret_selector, struct reason *reterr);

/* E_PEER_RANGE where the configuration says another platform than was wanted. */
must_check struct err oci_platform_check(struct bytes config, const struct oci_selector *selector,
					 struct reason *reterr);

#endif
