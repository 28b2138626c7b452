/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rd.h"

struct err rd_bytes(struct rd *r, size_t n, struct bytes *ret)
{
	if (n > rd_left(r))
		return ERR(E_PEER_TRUNCATED);
	/* An offset on NULL is undefined even when it is 0. */
	*ret = r->p == NULL ? BYTES_NONE : BYTES(r->p + r->off, n);
	r->off += n;
	return ERR(E_OK);
}

/* Integers are put together byte by byte: no alignment and no host order to think of. */
static struct err rd_be(struct rd *r, size_t n, uint64_t *ret)
{
	struct bytes b;
	struct err e;
	uint64_t v = 0;

	if (failed(e = rd_bytes(r, n, &b)))
		return e;
	for (size_t i = 0; i < b.n; i++)
		v = v << 8 | b.p[i];
	*ret = v;
	return ERR(E_OK);
}

static struct err rd_le(struct rd *r, size_t n, uint64_t *ret)
{
	struct bytes b;
	struct err e;
	uint64_t v = 0;

	if (failed(e = rd_bytes(r, n, &b)))
		return e;
	for (size_t i = b.n; i > 0; i--)
		v = v << 8 | b.p[i - 1];
	*ret = v;
	return ERR(E_OK);
}

struct err rd_u8(struct rd *r, uint8_t *ret)
{
	struct err e;
	uint64_t v;

	if (failed(e = rd_be(r, 1, &v)))
		return e;
	*ret = (uint8_t)v;
	return ERR(E_OK);
}

struct err rd_u16be(struct rd *r, uint16_t *ret)
{
	struct err e;
	uint64_t v;

	if (failed(e = rd_be(r, 2, &v)))
		return e;
	*ret = (uint16_t)v;
	return ERR(E_OK);
}

struct err rd_u32be(struct rd *r, uint32_t *ret)
{
	struct err e;
	uint64_t v;

	if (failed(e = rd_be(r, 4, &v)))
		return e;
	*ret = (uint32_t)v;
	return ERR(E_OK);
}

struct err rd_u64be(struct rd *r, uint64_t *ret)
{
	return rd_be(r, 8, ret);
}

struct err rd_u16le(struct rd *r, uint16_t *ret)
{
	struct err e;
	uint64_t v;

	if (failed(e = rd_le(r, 2, &v)))
		return e;
	*ret = (uint16_t)v;
	return ERR(E_OK);
}

struct err rd_u32le(struct rd *r, uint32_t *ret)
{
	struct err e;
	uint64_t v;

	if (failed(e = rd_le(r, 4, &v)))
		return e;
	*ret = (uint32_t)v;
	return ERR(E_OK);
}

struct err rd_u64le(struct rd *r, uint64_t *ret)
{
	return rd_le(r, 8, ret);
}

struct err rd_tpm2b(struct rd *r, size_t max, struct bytes *ret)
{
	struct rd ahead = *r;
	struct err e;
	uint16_t n;

	if (failed(e = rd_u16be(&ahead, &n)))
		return e;
	if (n > max)
		return ERR(E_LIMIT_SIZE);
	if (failed(e = rd_bytes(&ahead, n, ret)))
		return e;
	*r = ahead;
	return ERR(E_OK);
}

struct bytes rd_rest(struct rd *r)
{
	struct bytes b = r->p == NULL ? BYTES_NONE : BYTES(r->p + r->off, rd_left(r));

	r->off = r->n;
	return b;
}

struct err rd_end(const struct rd *r)
{
	return ERR(rd_left(r) == 0 ? E_OK : E_PEER_TRAILING);
}
