/* SPDX-License-Identifier: Apache-2.0 */
/*
 * firmware-judged = [
 *   doc: bstr .size 32, pcrs: bstr .size 32, compared: uint, measurer: 0..1,
 *   ? base: [1*24 [pcr: 0..23, digest]],  ; ascending
 * ]
 */
#include "verifier/appraise/host_firmware.h"

static struct err wr_base(struct buf *b, const struct firmware_base *base)
{
	struct err e;

	if (failed(e = cbor_wr_array(b, (size_t)__builtin_popcount(base->mask))))
		return e;
	for (uint32_t pcr = 0; pcr < LIMIT_PCRS; pcr++) {
		if ((base->mask >> pcr & 1) != 0 &&
		    (failed(e = cbor_wr_array(b, 2)) || failed(e = cbor_wr_uint(b, pcr)) ||
		     failed(e = cbor_wr_bytes(b, digest_bytes(&base->pcr[pcr])))))
			return e;
	}
	return ERR(E_OK);
}

struct err firmware_judged_encode(const struct firmware_judged *f, struct buf *b)
{
	struct err e;

	if (failed(e = cbor_wr_array(b, f->base.mask != 0 ? 5 : 4)) ||
	    failed(e = cbor_wr_bytes(b, BYTES_ARR(f->doc))) ||
	    failed(e = cbor_wr_bytes(b, BYTES_ARR(f->pcrs))) ||
	    failed(e = cbor_wr_uint(b, f->compared_mask)))
		return e;
	if (failed(e = cbor_wr_uint(b, f->measurer_seen)))
		return e;
	return f->base.mask != 0 ? wr_base(b, &f->base) : ERR(E_OK);
}

static struct err rd_base(struct cbor_rd *r, struct firmware_base *base)
{
	uint64_t pcr;
	size_t n, two;
	struct err e;

	if (failed(e = cbor_rd_array(r, LIMIT_PCRS, &n)))
		return e;
	for (size_t i = 0; i < n; i++) {
		struct bytes value;

		if (failed(e = cbor_rd_array(r, 2, &two)) || failed(e = cbor_rd_uint(r, LIMIT_PCRS - 1, &pcr)) ||
		    failed(e = cbor_rd_bytes(r, &value)))
			return e;
		if (two != 2 || base->mask >> pcr != 0 || !pcr_size_valid(value.n))
			return ERR(E_PEER_RANGE);
		base->mask |= UINT32_C(1) << pcr;
		base->pcr[pcr].n = (uint8_t)value.n;
		if (failed(e = bytes_copy_exact(value, base->pcr[pcr].v, value.n)))
			return e;
	}
	return ERR(n > 0 ? E_OK : E_PEER_RANGE);
}

struct err firmware_judged_decode(struct cbor_rd *r, struct firmware_judged *f)
{
	uint64_t mask, seen;
	size_t n;
	struct err e;

	if (failed(e = cbor_rd_array(r, 5, &n)))
		return e;
	if (n < 4)
		return ERR(E_PEER_RANGE);
	if (failed(e = cbor_rd_bytes_exact(r, f->doc, sizeof(f->doc))) ||
	    failed(e = cbor_rd_bytes_exact(r, f->pcrs, sizeof(f->pcrs))) ||
	    failed(e = cbor_rd_uint(r, (1u << LIMIT_PCRS) - 1, &mask)) ||
	    failed(e = cbor_rd_uint(r, 1, &seen)) || (n == 5 && failed(e = rd_base(r, &f->base))))
		return e;
	f->compared_mask = (uint32_t)mask;
	f->measurer_seen = seen == 1;
	return ERR(E_OK);
}
