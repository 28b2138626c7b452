/* SPDX-License-Identifier: Apache-2.0 */
/* The two forms of an ECDSA signature: raw r || s (TPM, JOSE) and DER (X.509, OpenSSL). */
#include <string.h>

#include "base/der.h"
#include "base/key_impl.h"

#define RAW_MAX 132

/*
 * r and s in 1..n-1. Without this check a signature of zeros would be a
 * question to the library (CVE-2022-21449).
 */
static struct err check_numbers(const struct curve *c, struct bytes r, struct bytes s)
{
	if (bytes_all(r, 0) || bytes_all(s, 0))
		return ERR(E_PEER_RANGE);
	if (bytes_cmp(r, c->order) >= 0 || bytes_cmp(s, c->order) >= 0)
		return ERR(E_PEER_RANGE);
	return ERR(E_OK);
}

struct err ecdsa_raw_to_der(enum key_kind curve, struct bytes raw, struct buf *ret)
{
	const struct curve *c = curve_of(curve);
	cleanup_buf struct buf numbers = BUF_INIT(RAW_MAX + 16);
	cleanup_buf struct buf der = BUF_INIT(RAW_MAX + 16);
	struct bytes r = BYTES_NONE, s = BYTES_NONE;
	struct err e;

	if (c == NULL)
		return ERR(E_PEER_UNSUPPORTED);
	if (raw.n != 2 * c->size)
		return ERR(E_PEER_RANGE);
	if (failed(e = bytes_sub(raw, 0, c->size, &r)) || failed(e = bytes_sub(raw, c->size, c->size, &s)) ||
	    failed(e = check_numbers(c, r, s)))
		return e;
	if (failed(e = der_wr_uint(&numbers, r)) || failed(e = der_wr_uint(&numbers, s)) ||
	    failed(e = der_wr_head(&der, DER_SEQUENCE, numbers.n)) || failed(e = buf_add(&der, buf_bytes(&numbers))))
		return e;
	return buf_add(ret, buf_bytes(&der));
}

struct err ecdsa_der_to_raw(enum key_kind curve, struct bytes der, struct buf *ret)
{
	const struct curve *c = curve_of(curve);
	struct rd outer = RD(der), inner;
	struct bytes both = BYTES_NONE, r = BYTES_NONE, s = BYTES_NONE;
	uint8_t raw[RAW_MAX] = { 0 };
	struct err e;

	if (c == NULL)
		return ERR(E_PEER_UNSUPPORTED);
	if (failed(e = der_rd(&outer, DER_SEQUENCE, &both)) || failed(e = rd_end(&outer)))
		return e;
	inner = RD(both);
	if (failed(e = der_rd_uint(&inner, &r)) || failed(e = der_rd_uint(&inner, &s)) || failed(e = rd_end(&inner)))
		return e;
	if (r.n == 0 || s.n == 0 || r.n > c->size || s.n > c->size)
		return ERR(E_PEER_RANGE);
	memcpy(raw + (c->size - r.n), r.p, r.n);
	memcpy(raw + c->size + (c->size - s.n), s.p, s.n);
	if (failed(e = check_numbers(c, BYTES(raw, c->size), BYTES(raw + c->size, c->size))))
		return e;
	return buf_add(ret, BYTES(raw, 2 * c->size));
}
