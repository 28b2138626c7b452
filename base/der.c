/* SPDX-License-Identifier: Apache-2.0 */
#include "base/der.h"

/* X.690, 8.1.3 and 10.1: short form below 128, else the fewest bytes; two are enough for us. */
static struct err rd_length(struct rd *r, size_t *ret)
{
	uint8_t first = 0, v8 = 0;
	uint16_t v16 = 0;
	struct err e;

	if (failed(e = rd_u8(r, &first)))
		return e;
	if (first < 0x80) {
		*ret = first;
		return ERR(E_OK);
	}
	if (first == 0x80)
		return ERR(E_PEER_NOT_CANONICAL);
	if (first == 0x81) {
		if (failed(e = rd_u8(r, &v8)))
			return e;
		*ret = v8;
		return ERR(v8 < 0x80 ? E_PEER_NOT_CANONICAL : E_OK);
	}
	if (first != 0x82)
		return ERR(E_PEER_SYNTAX);
	if (failed(e = rd_u16be(r, &v16)))
		return e;
	*ret = v16;
	return ERR(v16 < 0x100 ? E_PEER_NOT_CANONICAL : E_OK);
}

struct err der_rd(struct rd *r, uint8_t tag, struct bytes *ret)
{
	struct rd at = *r;
	uint8_t got = 0;
	size_t n = 0;
	struct err e;

	if (failed(e = rd_u8(&at, &got)))
		return e;
	if (got != tag)
		return ERR(E_PEER_SYNTAX);
	if (failed(e = rd_length(&at, &n)) || failed(e = rd_bytes(&at, n, ret)))
		return e;
	*r = at;
	return ERR(E_OK);
}

struct err der_rd_uint(struct rd *r, struct bytes *ret)
{
	struct bytes v = BYTES_NONE;
	struct rd at = *r;
	struct err e;

	if (failed(e = der_rd(&at, DER_INTEGER, &v)))
		return e;
	if (v.n == 0)
		return ERR(E_PEER_SYNTAX);
	if (v.p[0] >= 0x80)
		return ERR(E_PEER_RANGE);
	if (v.n > 1 && v.p[0] == 0 && v.p[1] < 0x80)
		return ERR(E_PEER_NOT_CANONICAL);
	if (v.p[0] == 0 && failed(e = bytes_sub(v, 1, v.n - 1, &v)))
		return e;
	*r = at;
	*ret = v;
	return ERR(E_OK);
}

struct err der_wr_head(struct buf *b, uint8_t tag, size_t n)
{
	uint8_t head[4] = { tag };
	size_t n_head = 0;

	if (n > 0xffff)
		return ERR(E_LIMIT_SIZE);
	if (n < 0x80) {
		head[1] = (uint8_t)n;
		n_head = 2;
	} else if (n < 0x100) {
		head[1] = 0x81;
		head[2] = (uint8_t)n;
		n_head = 3;
	} else {
		head[1] = 0x82;
		head[2] = (uint8_t)(n >> 8);
		head[3] = (uint8_t)(n & 0xff);
		n_head = 4;
	}
	return buf_add(b, BYTES(head, n_head));
}

struct err der_wr_uint(struct buf *b, struct bytes v)
{
	size_t n_zeros = 0, n_sign;
	struct bytes digits = BYTES_NONE;
	struct err e;

	while (n_zeros < v.n && v.p[n_zeros] == 0)
		n_zeros++;
	if (failed(e = bytes_sub(v, n_zeros, v.n - n_zeros, &digits)))
		return e;
	/* A zero byte keeps the number positive, and is the number 0 itself. */
	n_sign = digits.n == 0 || digits.p[0] >= 0x80 ? 1 : 0;
	if (digits.n > 0xffff - 5)
		return ERR(E_LIMIT_SIZE);
	if (failed(e = buf_reserve(b, digits.n + n_sign + 4)))
		return e;
	if (failed(e = der_wr_head(b, DER_INTEGER, digits.n + n_sign)))
		return e;
	if (n_sign == 1 && failed(e = buf_add_u8(b, 0)))
		return e;
	return buf_add(b, digits);
}
