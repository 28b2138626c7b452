/* SPDX-License-Identifier: Apache-2.0 */
/* Positions as bytes, and the entry that ties a list to its boot. */
#include <string.h>

#include "base/rd.h"
#include "base/wr.h"
#include "firmware-measure/ima_replay.h"

#define BIT(bank) (1u << (bank))
#define POSITION_VERSION 1

struct err ima_position_encode(const struct ima_position *p, struct buf *ret)
{
	cleanup_buf struct buf b = BUF_INIT(KIB);
	struct err e;
	uint8_t n = 0;

	for (unsigned id = 0; id < N_DIGESTS; id++)
		n = (uint8_t)(n + ((p->banks & BIT(id)) != 0));
	if (failed(e = buf_add_u8(&b, POSITION_VERSION)) || failed(e = wr_u64be(&b, p->n_entries)) ||
	    failed(e = wr_u64be(&b, p->off)) || failed(e = buf_add_u8(&b, n)))
		return e;
	for (unsigned id = 0; id < N_DIGESTS; id++) {
		const struct digest_alg *alg = digest_alg((enum digest_id)id);

		if ((p->banks & BIT(id)) == 0)
			continue;
		if (p->pcr[id].n != alg->size || p->fit[id] == IMA_FIT_UNKNOWN)
			return ERR(E_BUG);
		if (failed(e = wr_u16be(&b, alg->tpm_alg)) || failed(e = buf_add_u8(&b, (uint8_t)p->fit[id])) ||
		    failed(e = buf_add(&b, digest_bytes(&p->pcr[id]))))
			return e;
	}
	return buf_add(ret, buf_bytes(&b));
}

static struct err bank_decode(struct rd *r, struct ima_position *p)
{
	const struct digest_alg *alg;
	struct bytes value;
	uint16_t tpm_alg;
	uint8_t fit;
	struct err e;

	if (failed(e = rd_u16be(r, &tpm_alg)) || failed(e = rd_u8(r, &fit)))
		return e;
	alg = digest_by_tpm_alg(tpm_alg);
	if (alg == NULL)
		return ERR(E_PEER_UNSUPPORTED);
	if (p->banks >> alg->id != 0)
		return ERR(E_PEER_NOT_CANONICAL);
	if (fit < IMA_FIT_NATIVE || fit > IMA_FIT_PADDED_SHORT || (alg->id == DIGEST_SHA1 && fit != IMA_FIT_NATIVE))
		return ERR(E_PEER_RANGE);
	if (failed(e = rd_bytes(r, alg->size, &value)))
		return e;
	p->banks |= BIT(alg->id);
	p->fit[alg->id] = (enum ima_fit)fit;
	p->pcr[alg->id].n = (uint8_t)alg->size;
	return bytes_copy_exact(value, p->pcr[alg->id].v, alg->size);
}

struct err ima_position_decode(struct bytes b, struct ima_position *ret)
{
	struct ima_position p = { 0 };
	struct rd r = RD(b);
	uint8_t version, n;
	struct err e;

	if (failed(e = rd_u8(&r, &version)) || failed(e = rd_u64be(&r, &p.n_entries)) ||
	    failed(e = rd_u64be(&r, &p.off)) || failed(e = rd_u8(&r, &n)))
		return e;
	if (version != POSITION_VERSION)
		return ERR(E_PEER_UNSUPPORTED);
	if (n == 0 || n > N_DIGESTS)
		return ERR(E_PEER_RANGE);
	for (uint8_t i = 0; i < n; i++)
		if (failed(e = bank_decode(&r, &p)))
			return e;
	if (failed(e = rd_end(&r)))
		return e;
	*ret = p;
	return e;
}

bool ima_position_equal(const struct ima_position *a, const struct ima_position *b)
{
	if (a->n_entries != b->n_entries || a->off != b->off || a->banks != b->banks)
		return false;
	for (unsigned id = 0; id < N_DIGESTS; id++)
		if ((a->banks & BIT(id)) != 0 &&
		    (a->fit[id] != b->fit[id] || !bytes_eq(digest_bytes(&a->pcr[id]), digest_bytes(&b->pcr[id]))))
			return false;
	return true;
}

/* Hash over registers 0..last of a bank equals the entry's; *ret_known says whether all of them were given. */
static struct err aggregate_is(const struct ima_digest *d, const struct ima_bank_values *bank, size_t n_pcrs,
			       bool *ret_known, bool *ret_is)
{
	struct bytes parts[10];
	struct digest got;
	struct err e;

	*ret_is = *ret_known = false;
	for (size_t i = 0; i < n_pcrs; i++) {
		if (bank->pcr[i].n != digest_alg(bank->bank)->size)
			return ERR(E_OK);
		parts[i] = digest_bytes(&bank->pcr[i]);
	}
	if (failed(e = digest_of(d->alg, &got, n_pcrs, parts)))
		return e;
	*ret_known = true;
	*ret_is = bytes_eq(digest_bytes(&got), d->value);
	return e;
}

struct err ima_aggregate_check(const struct ima_entry *ent, size_t n, const struct ima_bank_values *banks,
			       enum ima_aggregate *ret)
{
	enum ima_aggregate got = IMA_AGGREGATE_NOT_QUOTED;
	const struct ima_digest *d = &ent->digest;
	struct err e;

	if (ent->state != IMA_ENTRY_DECODED || ent->violation || d->kind != IMA_DIGEST_FILE ||
	    !bytes_eq(ent->name, BYTES_LIT("boot_aggregate"))) {
		*ret = IMA_AGGREGATE_ABSENT;
		return ERR(E_OK);
	}
	for (size_t i = 0; i < n && d->alg != N_DIGESTS && !ima_aggregate_fits(got); i++) {
		static const size_t n_pcrs[] = { 10, 8 };
		bool own = banks[i].bank == d->alg, known, is;

		if ((unsigned)banks[i].bank >= N_DIGESTS)
			return ERR(E_BUG);
		for (size_t k = own ? 0 : 1; k < 2 && (own || banks[i].bank == DIGEST_SHA1); k++) {
			if (failed(e = aggregate_is(d, &banks[i], n_pcrs[k], &known, &is)))
				return e;
			if (is) {
				got = !own     ? IMA_AGGREGATE_FITS_SHA1
				      : k == 0 ? IMA_AGGREGATE_FITS_0_9
					       : IMA_AGGREGATE_FITS_0_7;
				break;
			}
			if (known)
				got = IMA_AGGREGATE_DIFFERS;
		}
	}
	*ret = got;
	return ERR(E_OK);
}
