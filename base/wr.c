/* SPDX-License-Identifier: Apache-2.0 */
#include "base/wr.h"

static struct err wr_be(struct buf *b, uint64_t v, size_t n)
{
	uint8_t out[8];

	for (size_t i = n; i > 0; i--) {
		out[i - 1] = (uint8_t)v;
		v >>= 8;
	}
	return buf_add(b, BYTES(out, n));
}

struct err wr_u16be(struct buf *b, uint16_t v)
{
	return wr_be(b, v, 2);
}

struct err wr_u32be(struct buf *b, uint32_t v)
{
	return wr_be(b, v, 4);
}

struct err wr_u64be(struct buf *b, uint64_t v)
{
	return wr_be(b, v, 8);
}

struct err wr_tpm2b(struct buf *b, struct bytes data)
{
	struct err e;

	if (data.n > UINT16_MAX)
		return ERR(E_LIMIT_SIZE);
	/* Both parts or nothing. */
	if (failed(e = buf_reserve(b, 2 + data.n)) ||
	    failed(e = wr_u16be(b, (uint16_t)data.n)))
		return e;
	return buf_add(b, data);
}
