/* SPDX-License-Identifier: Apache-2.0 */
/* The files of approved digests that a verifier holds, by what platform documents call them. */
#ifndef ASSAY_VERIFIER_ALLOWLISTS_H
#define ASSAY_VERIFIER_ALLOWLISTS_H

#include "firmware-measure/ima_allowlist.h"

/* Borrowed by appraisals; who made it keeps each list open for as long. */
struct allowlists {
	size_t n;
	struct allowlist {
		uint8_t sha256[32]; /* of the whole file */
		struct ima_allowlist *list;
	} * v;
};

/* The list with this digest, or NULL. all may be NULL. */
static inline const struct ima_allowlist *allowlists_find(const struct allowlists *all, const uint8_t sha256[32])
{
	for (size_t i = 0; all != NULL && i < all->n; i++)
		if (bytes_eq(BYTES_ARR(all->v[i].sha256), BYTES(sha256, 32)))
			return all->v[i].list;
	return NULL;
}

#endif
