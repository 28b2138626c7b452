/* SPDX-License-Identifier: Apache-2.0 */
#include "protocol/tpmw.h"

#include "base/rd.h"
#include "base/wr.h"

#define PCR_MASK_ALL 0xffffffu
#define NAME_MAX_LEN (2 + DIGEST_MAX)
#define SELECT_SIZE 3
#define SELECT_MAX 4 /* PCR_SELECT_MAX of the largest implementations */

/* Octet i of the bit map holds PCR 8*i..8*i+7, the lowest in the lowest bit. */
static struct err rd_mask(struct rd *r, uint32_t *ret)
{
	struct bytes map = BYTES_NONE;
	uint32_t mask = 0;
	uint8_t size = 0;
	struct err e;

	if (failed(e = rd_u8(r, &size)))
		return e;
	if (size < 1 || size > SELECT_MAX)
		return ERR(E_PEER_RANGE);
	if (failed(e = rd_bytes(r, size, &map)))
		return e;
	for (size_t i = 0; i < map.n; i++)
		mask |= (uint32_t)map.p[i] << (8 * i);
	if ((mask & ~PCR_MASK_ALL) != 0)
		return ERR(E_PEER_RANGE);
	*ret = mask;
	return ERR(E_OK);
}

static bool bank_taken(const struct pcr_selection *s, uint16_t alg)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->bank[i].hash_alg == alg)
			return true;
	return false;
}

static struct err rd_selection(struct rd *r, struct pcr_selection *ret)
{
	struct pcr_selection s = { 0 };
	uint32_t count = 0;
	struct err e;

	if (failed(e = rd_u32be(r, &count)))
		return e;
	if (count > LIMIT_BANKS)
		return ERR(E_LIMIT_COUNT);
	for (uint32_t i = 0; i < count; i++) {
		uint16_t alg = 0;
		uint32_t mask = 0;

		if (failed(e = rd_u16be(r, &alg)) ||
		    failed(e = rd_mask(r, &mask)))
			return e;
		if (bank_taken(&s, alg))
			return ERR(E_PEER_DUPLICATE);
		s.bank[s.n].hash_alg = alg;
		s.bank[s.n].mask = mask;
		s.n++;
	}
	*ret = s;
	return ERR(E_OK);
}

struct err pcr_selection_parse(struct bytes in, struct pcr_selection *ret)
{
	struct pcr_selection s = { 0 };
	struct rd r = RD(in);
	struct err e;

	if (failed(e = rd_selection(&r, &s)) ||
	    failed(e = rd_end(&r)))
		return e;
	*ret = s;
	return ERR(E_OK);
}

struct err pcr_selection_write(const struct pcr_selection *s, struct buf *ret)
{
	cleanup_buf struct buf out = BUF_INIT(LIMIT_TPM2B);
	struct err e;

	if (s->n > LIMIT_BANKS)
		return ERR(E_BUG);
	if (failed(e = wr_u32be(&out, (uint32_t)s->n)))
		return e;
	for (size_t i = 0; i < s->n; i++) {
		uint32_t mask = s->bank[i].mask;

		if ((mask & ~PCR_MASK_ALL) != 0)
			return ERR(E_BUG);
		if (failed(e = wr_u16be(&out, s->bank[i].hash_alg)) ||
		    failed(e = buf_add_u8(&out, SELECT_SIZE)) ||
		    failed(e = buf_add_u8(&out, (uint8_t)(mask & 0xff))) ||
		    failed(e = buf_add_u8(&out, (uint8_t)(mask >> 8 & 0xff))) ||
		    failed(e = buf_add_u8(&out, (uint8_t)(mask >> 16 & 0xff))))
			return e;
	}
	return buf_add(ret, buf_bytes(&out));
}

bool pcr_selection_equal(const struct pcr_selection *a, const struct pcr_selection *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (a->bank[i].hash_alg != b->bank[i].hash_alg || a->bank[i].mask != b->bank[i].mask)
			return false;
	return true;
}

size_t pcr_selection_count(const struct pcr_selection *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++)
		n += (size_t)__builtin_popcount(s->bank[i].mask);
	return n;
}

/* TPMS_CLOCK_INFO, Part 2, 10.11.1. */
static struct err rd_clock(struct rd *r, struct tpm_clock *ret)
{
	struct tpm_clock c = { 0 };
	struct err e;

	if (failed(e = rd_u64be(r, &c.clock_ms)) ||
	    failed(e = rd_u32be(r, &c.reset_count)) ||
	    failed(e = rd_u32be(r, &c.restart_count)) ||
	    failed(e = rd_u8(r, &c.safe)))
		return e;
	if (c.safe > 1)
		return ERR(E_PEER_RANGE);
	*ret = c;
	return ERR(E_OK);
}

/* TPMU_ATTEST, Part 2, 10.12.7. A type that nobody here reads keeps its body unread: only its type is ever judged. */
static struct err rd_body(struct rd *r, struct tpm_attest *a)
{
	struct err e;

	switch (a->type) {
	case TPM_ST_ATTEST_QUOTE:
		if (failed(e = rd_selection(r, &a->selection)) ||
		    failed(e = rd_tpm2b(r, DIGEST_MAX, &a->pcr_digest)))
			return e;
		return ERR(E_OK);
	case TPM_ST_ATTEST_CERTIFY:
		if (failed(e = rd_tpm2b(r, NAME_MAX_LEN, &a->name)) ||
		    failed(e = rd_tpm2b(r, NAME_MAX_LEN, &a->qualified_name)))
			return e;
		return ERR(E_OK);
	default:
		(void)rd_rest(r);
		return ERR(E_OK);
	}
}

struct err tpm_attest_parse(struct bytes in, struct tpm_attest *ret)
{
	struct tpm_attest a = { .raw = in };
	struct rd r = RD(in);
	struct err e;

	if (in.n > LIMIT_TPM2B)
		return ERR(E_LIMIT_SIZE);
	if (failed(e = rd_u32be(&r, &a.magic)) ||
	    failed(e = rd_u16be(&r, &a.type)) ||
	    failed(e = rd_tpm2b(&r, NAME_MAX_LEN, &a.qualified_signer)) ||
	    failed(e = rd_tpm2b(&r, NAME_MAX_LEN, &a.extra_data)) ||
	    failed(e = rd_clock(&r, &a.clock)) ||
	    failed(e = rd_u64be(&r, &a.firmware_version)) ||
	    failed(e = rd_body(&r, &a)) ||
	    failed(e = rd_end(&r)))
		return e;
	*ret = a;
	return ERR(E_OK);
}

/* Everything before the body. Free fields come from `got`, the others from us. */
static struct err wr_head(const struct tpm_attest *got, uint16_t type, struct bytes extra_data, struct buf *b)
{
	struct err e;

	if (failed(e = wr_u32be(b, TPM_GENERATED)) ||
	    failed(e = wr_u16be(b, type)) ||
	    failed(e = wr_tpm2b(b, got->qualified_signer)) ||
	    failed(e = wr_tpm2b(b, extra_data)) ||
	    failed(e = wr_u64be(b, got->clock.clock_ms)) ||
	    failed(e = wr_u32be(b, got->clock.reset_count)) ||
	    failed(e = wr_u32be(b, got->clock.restart_count)) ||
	    failed(e = buf_add_u8(b, got->clock.safe)) ||
	    failed(e = wr_u64be(b, got->firmware_version)))
		return e;
	return ERR(E_OK);
}

struct err tpm_quote_expected(const struct tpm_attest *got, struct bytes extra_data,
			      const struct pcr_selection *selection, struct bytes pcr_digest, struct buf *ret)
{
	cleanup_buf struct buf out = BUF_INIT(LIMIT_TPM2B);
	struct err e;

	if (failed(e = wr_head(got, TPM_ST_ATTEST_QUOTE, extra_data, &out)) ||
	    failed(e = pcr_selection_write(selection, &out)) ||
	    failed(e = wr_tpm2b(&out, pcr_digest)))
		return e;
	return buf_add(ret, buf_bytes(&out));
}

struct err tpm_certify_expected(const struct tpm_attest *got, struct bytes extra_data, const struct tpm_name *name,
				const struct tpm_name *qualified_name, struct buf *ret)
{
	cleanup_buf struct buf out = BUF_INIT(LIMIT_TPM2B);
	struct err e;

	if (failed(e = wr_head(got, TPM_ST_ATTEST_CERTIFY, extra_data, &out)) ||
	    failed(e = wr_tpm2b(&out, tpm_name_bytes(name))) ||
	    failed(e = wr_tpm2b(&out, tpm_name_bytes(qualified_name))))
		return e;
	return buf_add(ret, buf_bytes(&out));
}
