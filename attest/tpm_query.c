/* SPDX-License-Identifier: Apache-2.0 */
/* What the TPM tells about itself: capabilities, PCRs, NV indices, clock. */
#include <string.h>

#include "attest/tpm.h"
#include "attest/tpm_session.h"

#define PCR_READ_ROUNDS 64  /* TPM2_PCR_Read gives up to 8 values at a time; 5 banks of 24 need 15 rounds */
#define NV_MAX (64 * KIB)   /* no index is larger: its size has 16 bits */

static struct err capability(struct tpm *tpm, TPM2_CAP cap, uint32_t property, uint32_t count, TPMI_YES_NO *ret_more,
			     TPMS_CAPABILITY_DATA **ret)
{
	struct tpm_retry again = { 0 };
	TSS2_RC rc;

	do
		rc = Esys_GetCapability(tpm->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, cap, property, count,
					ret_more, ret);
	while (tpm_again(&again, rc));
	return tpm_result(tpm, rc, "TPM2_GetCapability");
}

struct err tpm_handles(struct tpm *tpm, TPM2_HANDLE first, TPM2_HANDLE last, TPML_HANDLE *ret)
{
	TPML_HANDLE all = { 0 };
	TPMI_YES_NO more = TPM2_YES;
	struct err e;

	while (more == TPM2_YES && first <= last) {
		cleanup_esys TPMS_CAPABILITY_DATA *data = NULL;
		const TPML_HANDLE *part;

		if (failed(e = capability(tpm, TPM2_CAP_HANDLES, first, TPM2_MAX_CAP_HANDLES, &more, &data)))
			return e;
		part = &data->data.handles;
		for (uint32_t i = 0; i < part->count && part->handle[i] <= last; i++) {
			if (all.count == array_len(all.handle)) {
				reason_set(tpm->why, "the TPM has more than %zu handles from 0x%x on",
					   array_len(all.handle), first);
				return ERR(E_LIMIT_COUNT);
			}
			all.handle[all.count++] = part->handle[i];
		}
		/* No handles but "more" would go on for ever. */
		if (part->count == 0 || part->handle[part->count - 1] < first ||
		    part->handle[part->count - 1] >= last)
			break;
		first = part->handle[part->count - 1] + 1;
	}
	*ret = all;
	return ERR(E_OK);
}

struct err tpm_property(struct tpm *tpm, TPM2_PT property, uint32_t *ret)
{
	cleanup_esys TPMS_CAPABILITY_DATA *data = NULL;
	TPMI_YES_NO more;
	struct err e;

	if (failed(e = capability(tpm, TPM2_CAP_TPM_PROPERTIES, property, 1, &more, &data)))
		return e;
	if (data->data.tpmProperties.count < 1 || data->data.tpmProperties.tpmProperty[0].property != property) {
		reason_set(tpm->why, "the TPM does not tell property 0x%x", property);
		return ERR(E_LOCAL_NOT_FOUND);
	}
	*ret = data->data.tpmProperties.tpmProperty[0].value;
	return ERR(E_OK);
}

static bool selects(const TPMS_PCR_SELECTION *s, unsigned pcr)
{
	return pcr / 8 < s->sizeofSelect && (s->pcrSelect[pcr / 8] >> (pcr % 8) & 1) != 0;
}

struct err tpm_banks(struct tpm *tpm, unsigned pcr, struct tpm_banks *ret)
{
	cleanup_esys TPMS_CAPABILITY_DATA *data = NULL;
	struct tpm_banks banks = { 0 };
	TPMI_YES_NO more;
	struct err e;

	if (failed(e = capability(tpm, TPM2_CAP_PCRS, 0, 1, &more, &data)))
		return e;
	/* Known algorithms in ascending order: the table's order is that of the TPM's ids. */
	for (size_t id = 0; id < N_DIGESTS; id++)
		for (uint32_t i = 0; i < data->data.assignedPCR.count; i++) {
			const TPMS_PCR_SELECTION *s = &data->data.assignedPCR.pcrSelections[i];

			if (s->hash == digest_alg((enum digest_id)id)->tpm_alg && selects(s, pcr) &&
			    banks.n < LIMIT_BANKS) {
				banks.bank[banks.n++] = (enum digest_id)id;
				break;
			}
		}
	if (banks.n == 0) {
		reason_set(tpm->why, "no bank of the TPM has PCR %u", pcr);
		return ERR(E_LOCAL_NOT_FOUND);
	}
	*ret = banks;
	return ERR(E_OK);
}

void tpm_selection_to_tss(const struct pcr_selection *s, TPML_PCR_SELECTION *ret)
{
	*ret = (TPML_PCR_SELECTION){ .count = (uint32_t)s->n };
	for (size_t i = 0; i < s->n; i++) {
		TPMS_PCR_SELECTION *to = &ret->pcrSelections[i];

		to->hash = s->bank[i].hash_alg;
		to->sizeofSelect = 3;
		for (unsigned byte = 0; byte < 3; byte++)
			to->pcrSelect[byte] = (uint8_t)(s->bank[i].mask >> (8 * byte));
	}
}

/* Index of (bank, pcr) in selection order. */
static size_t position(const struct pcr_selection *s, size_t bank, unsigned pcr)
{
	size_t at = 0;

	for (size_t i = 0; i < bank; i++)
		at += (size_t)__builtin_popcount(s->bank[i].mask);
	return at + (size_t)__builtin_popcount(s->bank[bank].mask & ((1u << pcr) - 1));
}

/* Moves the values that one answer holds to their places and takes them off *left. */
static struct err take_values(struct tpm *tpm, const struct pcr_selection *whole, const TPML_PCR_SELECTION *out,
			      const TPML_DIGEST *values, struct pcr_selection *left, struct digest *ret)
{
	uint32_t used = 0;

	for (uint32_t i = 0; i < out->count && i < whole->n; i++) {
		const struct digest_alg *alg = digest_by_tpm_alg(whole->bank[i].hash_alg);

		for (unsigned pcr = 0; pcr < LIMIT_PCRS; pcr++) {
			struct digest *to;

			if (!selects(&out->pcrSelections[i], pcr))
				continue;
			if (used >= values->count || alg == NULL || out->pcrSelections[i].hash != alg->tpm_alg ||
			    (left->bank[i].mask >> pcr & 1) == 0 || values->digests[used].size != alg->size) {
				reason_set(tpm->why, "TPM2_PCR_Read answered something else than it was asked");
				return ERR(E_LOCAL_TPM);
			}
			to = &ret[position(whole, i, pcr)];
			to->n = (uint8_t)alg->size;
			memcpy(to->v, values->digests[used].buffer, alg->size);
			left->bank[i].mask &= ~(1u << pcr);
			used++;
		}
	}
	if (used == 0) {
		reason_set(tpm->why, "a selected PCR bank is switched off");
		return ERR(E_LOCAL_NOT_FOUND);
	}
	return ERR(E_OK);
}

struct err tpm_pcr_read(struct tpm *tpm, const struct pcr_selection *selection, size_t n, struct digest *ret)
{
	struct pcr_selection left = *selection;
	struct err e;

	if (n != pcr_selection_count(selection))
		return ERR(E_BUG);
	for (unsigned round = 0; pcr_selection_count(&left) > 0; round++) {
		cleanup_esys TPML_PCR_SELECTION *out = NULL;
		cleanup_esys TPML_DIGEST *values = NULL;
		struct tpm_retry again = { 0 };
		TPML_PCR_SELECTION in;
		uint32_t counter;
		TSS2_RC rc;

		if (round == PCR_READ_ROUNDS) {
			reason_set(tpm->why, "TPM2_PCR_Read does not come to an end");
			return ERR(E_LOCAL_TPM);
		}
		tpm_selection_to_tss(&left, &in);
		do
			rc = Esys_PCR_Read(tpm->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &in, &counter, &out,
					   &values);
		while (tpm_again(&again, rc));
		if (failed(e = tpm_result(tpm, rc, "TPM2_PCR_Read")) ||
		    failed(e = take_values(tpm, selection, out, values, &left, ret)))
			return e;
	}
	return ERR(E_OK);
}

struct err tpm_pcr_read_banks(struct tpm *tpm, unsigned pcr, const struct tpm_banks *banks,
			      struct digest ret[LIMIT_BANKS])
{
	struct pcr_selection s = { .n = banks->n };

	for (size_t i = 0; i < banks->n; i++) {
		s.bank[i].hash_alg = digest_alg(banks->bank[i])->tpm_alg;
		s.bank[i].mask = 1u << pcr;
	}
	return tpm_pcr_read(tpm, &s, banks->n, ret);
}

struct err tpm_pcr_extend(struct tpm *tpm, unsigned pcr, const struct tpm_banks *banks,
			  const struct digest digest[LIMIT_BANKS])
{
	TPML_DIGEST_VALUES values = { .count = (uint32_t)banks->n };
	struct tpm_retry again = { 0 };
	TSS2_RC rc;

	for (size_t i = 0; i < banks->n; i++) {
		const struct digest_alg *alg = digest_alg(banks->bank[i]);

		if (digest[i].n != alg->size)
			return ERR(E_BUG);
		values.digests[i].hashAlg = alg->tpm_alg;
		memcpy(&values.digests[i].digest, digest[i].v, alg->size);
	}
	do
		rc = Esys_PCR_Extend(tpm->esys, ESYS_TR_PCR0 + pcr, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
				     &values);
	while (tpm_again(&again, rc));
	return tpm_result(tpm, rc, "TPM2_PCR_Extend");
}

static struct err nv_open(struct tpm *tpm, TPM2_HANDLE index, struct tpm_handle *ret, size_t *ret_size, bool *ret_auth)
{
	cleanup_tpm_handle struct tpm_handle nv = TPM_HANDLE_NONE;
	cleanup_esys TPM2B_NV_PUBLIC *public = NULL;
	struct tpm_retry again = { 0 };
	struct err e;
	ESYS_TR tr;
	TSS2_RC rc;

	do
		rc = Esys_TR_FromTPMPublic(tpm->esys, index, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &tr);
	while (tpm_again(&again, rc));
	if (failed(e = tpm_result(tpm, rc, "TPM2_NV_ReadPublic")))
		return e;
	tpm_handle_set(&nv, tpm, tr, true);
	do
		rc = Esys_NV_ReadPublic(tpm->esys, nv.tr, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &public, NULL);
	while (tpm_again(&again, rc));
	if (failed(e = tpm_result(tpm, rc, "TPM2_NV_ReadPublic")))
		return e;
	*ret_size = public->nvPublic.dataSize;
	*ret_auth = (public->nvPublic.attributes & TPMA_NV_AUTHREAD) != 0;
	tpm_handle_move(ret, &nv);
	return ERR(E_OK);
}

static struct err nv_read_all(struct tpm *tpm, const struct tpm_handle *nv, ESYS_TR by, ESYS_TR session, size_t size,
			      size_t chunk, struct buf *ret)
{
	struct err e;

	for (size_t off = 0; off < size;) {
		cleanup_esys TPM2B_MAX_NV_BUFFER *part = NULL;
		struct tpm_retry again = { 0 };
		size_t n = size - off < chunk ? size - off : chunk;
		TSS2_RC rc;

		do
			rc = Esys_NV_Read(tpm->esys, by, nv->tr, session, ESYS_TR_NONE, ESYS_TR_NONE, (uint16_t)n,
					  (uint16_t)off, &part);
		while (tpm_again(&again, rc));
		if (failed(e = tpm_result(tpm, rc, "TPM2_NV_Read")))
			return e;
		if (part->size != n) {
			reason_set(tpm->why, "TPM2_NV_Read gave %u bytes, not the %zu it was asked for", part->size, n);
			return ERR(E_LOCAL_TPM);
		}
		if (failed(e = buf_add(ret, BYTES(part->buffer, part->size))))
			return e;
		off += n;
	}
	return ERR(E_OK);
}

struct err tpm_nv_read(struct tpm *tpm, TPM2_HANDLE index, struct buf *ret)
{
	cleanup_tpm_handle struct tpm_handle nv = TPM_HANDLE_NONE, session = TPM_HANDLE_NONE;
	cleanup_buf struct buf all = BUF_INIT(NV_MAX);
	TPML_HANDLE defined;
	uint32_t chunk;
	bool by_index;
	size_t size;
	struct err e;

	if (failed(e = tpm_handles(tpm, index, index, &defined)))
		return e;
	if (defined.count == 0) {
		reason_set(tpm->why, "NV index 0x%x is not defined", index);
		return ERR(E_LOCAL_NOT_FOUND);
	}
	if (failed(e = tpm_property(tpm, TPM2_PT_NV_BUFFER_MAX, &chunk)))
		return e;
	if (chunk == 0 || chunk > TPM2_MAX_NV_BUFFER_SIZE)
		chunk = TPM2_MAX_NV_BUFFER_SIZE;
	if (failed(e = nv_open(tpm, index, &nv, &size, &by_index)))
		return e;
	/* The owner may have a password: an HMAC session keeps it off the bus. */
	if (!by_index && failed(e = session_hmac(tpm, NULL, &session)))
		return e;
	if (failed(e = nv_read_all(tpm, &nv, by_index ? nv.tr : ESYS_TR_RH_OWNER,
				   by_index ? ESYS_TR_PASSWORD : session.tr, size, chunk, &all)))
		return e;
	return buf_add(ret, buf_bytes(&all));
}

struct err tpm_read_clock(struct tpm *tpm, struct tpm_clock *ret)
{
	cleanup_esys TPMS_TIME_INFO *time = NULL;
	struct tpm_retry again = { 0 };
	struct err e;
	TSS2_RC rc;

	do
		rc = Esys_ReadClock(tpm->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &time);
	while (tpm_again(&again, rc));
	if (failed(e = tpm_result(tpm, rc, "TPM2_ReadClock")))
		return e;
	*ret = (struct tpm_clock){
		.clock_ms = time->clockInfo.clock,
		.reset_count = time->clockInfo.resetCount,
		.restart_count = time->clockInfo.restartCount,
		.safe = time->clockInfo.safe == TPM2_YES,
	};
	return ERR(E_OK);
}
