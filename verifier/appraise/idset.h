/* SPDX-License-Identifier: Apache-2.0 */
/* A set of 64-bit ids: members are never removed, a look-up costs the same however many there are. */
#ifndef ASSAY_VERIFIER_IDSET_H
#define ASSAY_VERIFIER_IDSET_H

#include <stdint.h>

#include "base/bytes.h"

struct idset {
	size_t n, n_slots; /* n_slots is 0 or a power of two, at most half full */
	uint64_t *slots;   /* 0: free */
};
void idset_done(struct idset *s);
/* E_LOCAL_MEMORY; the set is then unchanged. */
must_check struct err idset_add(struct idset *s, uint64_t id);
bool idset_has(const struct idset *s, uint64_t id);

/* The id of some bytes: the first 8 bytes of their SHA-256. */
must_check struct err idset_id(struct bytes b, uint64_t *ret);

#endif
