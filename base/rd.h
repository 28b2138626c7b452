/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Read cursor over borrowed bytes. Every function compares before it
 * subtracts, never adds to a length from the wire, and on failure leaves both
 * the cursor and the output unchanged. A length-prefixed field gives a
 * sub-view, so that two lengths are read one after the other and there is no
 * sum that could wrap. Every parse ends in rd_end().
 *
 * Errors: E_PEER_TRUNCATED where the input is too short; others as named.
 */
#ifndef ASSAY_BASE_RD_H
#define ASSAY_BASE_RD_H

#include "base/bytes.h"

struct rd {
	const uint8_t *p;
	size_t n, off; /* off <= n; off is for messages too */
};

/* A cursor at the start of b. */
static inline struct rd rd_init(struct bytes b)
{
	return (struct rd){ b.p, b.n, 0 };
}
#define RD(b) rd_init(b)

static inline size_t rd_left(const struct rd *r)
{
	return r->n - r->off;
}

must_check struct err rd_u8(struct rd *r, uint8_t *ret);
must_check struct err rd_u16be(struct rd *r, uint16_t *ret);
must_check struct err rd_u32be(struct rd *r, uint32_t *ret);
must_check struct err rd_u64be(struct rd *r, uint64_t *ret);
must_check struct err rd_u16le(struct rd *r, uint16_t *ret);
must_check struct err rd_u32le(struct rd *r, uint32_t *ret);
must_check struct err rd_u64le(struct rd *r, uint64_t *ret);

/* The next n bytes as a view. */
must_check struct err rd_bytes(struct rd *r, size_t n, struct bytes *ret);

/* A 16-bit big-endian size and as many bytes: TPM2B. E_LIMIT_SIZE above max. */
must_check struct err rd_tpm2b(struct rd *r, size_t max, struct bytes *ret);

/* Everything that is left; cannot fail. */
struct bytes rd_rest(struct rd *r);

/* E_PEER_TRAILING unless everything was read. */
must_check struct err rd_end(const struct rd *r);

#endif
