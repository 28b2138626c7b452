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

/*
 * The next n bytes as a view. In the header, like the integers: parsers of
 * logs call them some twenty times for an entry of a hundred bytes.
 */
must_check static inline struct err rd_bytes(struct rd *r, size_t n, struct bytes *ret)
{
	if (n > rd_left(r))
		return ERR(E_PEER_TRUNCATED);
	/* An offset on NULL is undefined even when it is 0. */
	*ret = r->p == NULL ? BYTES_NONE : BYTES(r->p + r->off, n);
	r->off += n;
	return ERR(E_OK);
}

/* Integers are put together byte by byte: no alignment and no host order to think of. */
#define RD_INTEGER(name, type, shift)                                                                                  \
	must_check static inline struct err name(struct rd *r, type *ret)                                              \
	{                                                                                                              \
		uint64_t v = 0;                                                                                        \
		struct bytes b;                                                                                        \
		struct err e;                                                                                          \
                                                                                                                       \
		if (failed(e = rd_bytes(r, sizeof(type), &b)))                                                         \
			return e;                                                                                      \
		for (size_t i = 0; i < sizeof(type); i++)                                                              \
			v |= (uint64_t)b.p[i] << (shift);                                                              \
		*ret = (type)v;                                                                                        \
		return e;                                                                                              \
	}
RD_INTEGER(rd_u8, uint8_t, 0)
RD_INTEGER(rd_u16be, uint16_t, 8 * (1 - i))
RD_INTEGER(rd_u32be, uint32_t, 8 * (3 - i))
RD_INTEGER(rd_u64be, uint64_t, 8 * (7 - i))
RD_INTEGER(rd_u16le, uint16_t, 8 * i)
RD_INTEGER(rd_u32le, uint32_t, 8 * i)
RD_INTEGER(rd_u64le, uint64_t, 8 * i)
#undef RD_INTEGER

/* A 16-bit big-endian size and as many bytes: TPM2B. E_LIMIT_SIZE above max. */
must_check struct err rd_tpm2b(struct rd *r, size_t max, struct bytes *ret);

/* Everything that is left; cannot fail. */
struct bytes rd_rest(struct rd *r);

/* E_PEER_TRAILING unless everything was read. */
must_check static inline struct err rd_end(const struct rd *r)
{
	return ERR(rd_left(r) == 0 ? E_OK : E_PEER_TRAILING);
}

#endif
