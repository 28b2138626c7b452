/* SPDX-License-Identifier: Apache-2.0 */
/* The quote: attestation-checks, sections 2 and 3. Only bytes that the enrolled AK signed are believed. */
#include <string.h>

#include "verifier/appraise/work.h"

/* Q1 */
struct err row_parse(struct work *w)
{
	struct err e;

	if (failed(e = tpm_attest_parse(w->ev.quote, &w->quote)))
		return fail_with(w, ROW_PARSE, "", "a TPMS_ATTEST and nothing behind it", e, NULL);
	if (failed(e = tpm_signature_parse(w->ev.signature, &w->signature)))
		return fail_with(w, ROW_PARSE, "", "a TPMT_SIGNATURE and nothing behind it", e, NULL);
	work_pass(w, ROW_PARSE);
	return ERR(E_OK);
}

static uint16_t scheme_alg(enum sig_scheme s)
{
	switch (s) {
	case SIG_ECDSA:
		return TPM_ALG_ECDSA;
	case SIG_RSASSA:
		return TPM_ALG_RSASSA;
	case SIG_RSAPSS:
		return TPM_ALG_RSAPSS;
	case SIG_NONE:
	case SIG_ED25519:
		break;
	}
	return TPM_ALG_NULL;
}

/* Q7: what the enrolled key does, never what happens to verify. */
struct err row_scheme(struct work *w)
{
	const struct host_record *h = w->in->host;
	uint16_t alg = scheme_alg(h->ak_scheme), hash = digest_alg(h->ak_hash)->tpm_alg;
	struct attest_failure *f;

	if (alg != TPM_ALG_NULL && w->signature.alg == alg && w->signature.hash_alg == hash) {
		work_pass(w, ROW_SCHEME);
		return ERR(E_OK);
	}
	f = work_fail(w, ROW_SCHEME, "");
	SAY(f->expected, "scheme %04x with hash %04x, as the enrolled key has it", alg, hash);
	SAY(f->seen, "scheme %04x with hash %04x", w->signature.alg, w->signature.hash_alg);
	return ERR(E_OK);
}

/* Q6, with Q8 and Q9 inside. */
struct err row_signature(struct work *w)
{
	const struct host_record *h = w->in->host;
	struct err e = tpm_signature_verify(&w->signature, h->ak, h->ak_scheme, h->ak_hash, w->quote.raw);

	if (failed(e))
		return fail_with(w, ROW_SIGNATURE, "", "a signature by the enrolled attestation key", e, NULL);
	work_pass(w, ROW_SIGNATURE);
	return ERR(E_OK);
}

/* Q2 */
struct err row_magic(struct work *w)
{
	struct attest_failure *f;

	if (w->quote.magic == TPM_GENERATED) {
		work_pass(w, ROW_MAGIC);
		return ERR(E_OK);
	}
	f = work_fail(w, ROW_MAGIC, "");
	SAY(f->expected, "%08x: made by a TPM", TPM_GENERATED);
	SAY(f->seen, "%08x", w->quote.magic);
	return ERR(E_OK);
}

/* Q3 */
struct err row_type(struct work *w)
{
	struct attest_failure *f;

	if (w->quote.type == TPM_ST_ATTEST_QUOTE) {
		work_pass(w, ROW_TYPE);
		return ERR(E_OK);
	}
	f = work_fail(w, ROW_TYPE, "");
	SAY(f->expected, "type %04x: a quote", TPM_ST_ATTEST_QUOTE);
	SAY(f->seen, "type %04x", w->quote.type);
	return ERR(E_OK);
}

/* Q10. From here on the evidence is authentic: our nonce, these claims, the enrolled key. */
struct err row_extra_data(struct work *w)
{
	struct attest_failure *f;
	struct err e;

	if (failed(e = evidence_qualifying_data(w->claims.nonce, w->ev.claims, w->extra_data)))
		return e;
	if (!bytes_eq_secret(w->quote.extra_data, BYTES_ARR(w->extra_data))) {
		f = work_fail(w, ROW_EXTRA_DATA, "");
		SAY(f->expected, "%s: of our nonce and these claims", HEX(BYTES_ARR(w->extra_data)));
		SAY(f->seen, "%s", HEX(w->quote.extra_data));
		return ERR(E_OK);
	}
	work_pass(w, ROW_EXTRA_DATA);
	w->v->authentic = true;
	w->v->nonce = w->claims.nonce;
	w->v->power_loss = w->quote.clock.safe == 0;
	return ERR(E_OK);
}

static void say_selection(char *to, size_t size, const struct pcr_selection *s)
{
	size_t n = 0;

	to[0] = '\0';
	if (s->n == 0)
		say(to, size, "no bank at all");
	for (size_t i = 0; i < s->n && n + 1 < size; i++) {
		say(to + n, size - n, "%sbank %04x registers %06x", i == 0 ? "" : ", ", s->bank[i].hash_alg,
		    s->bank[i].mask);
		n += strlen(to + n);
	}
}

/* Q4, Q5: what we asked for, claimed and signed; never anything less, more or in another bank. */
struct err row_selection(struct work *w)
{
	bool claimed = pcr_selection_equal(&w->claims.selection, &w->want);
	struct attest_failure *f;

	if (claimed && pcr_selection_equal(&w->quote.selection, &w->want)) {
		work_pass(w, ROW_SELECTION);
		return ERR(E_OK);
	}
	f = work_fail(w, ROW_SELECTION, claimed ? "quote" : "claims");
	say_selection(f->expected, sizeof(f->expected), &w->want);
	say_selection(f->seen, sizeof(f->seen), claimed ? &w->quote.selection : &w->claims.selection);
	return ERR(E_OK);
}

/* The values beside the quote, by register; false where their number or size is not that of the selection. */
static bool take_values(struct work *w, struct digest *values, size_t *ret_n)
{
	const struct digest_alg *alg = digest_alg(w->bank);
	uint32_t mask = w->want.bank[0].mask;
	size_t n = 0;

	if (w->ev.n_pcrs != pcr_selection_count(&w->want))
		return false;
	for (unsigned pcr = 0; pcr < LIMIT_PCRS; pcr++) {
		if ((mask >> pcr & 1) == 0)
			continue;
		if (w->ev.pcr[n].n != alg->size)
			return false;
		values[n] = (struct digest){ .n = (uint8_t)alg->size };
		memcpy(values[n].v, w->ev.pcr[n].p, alg->size);
		w->v->pcr[pcr] = values[n++];
	}
	*ret_n = n;
	return true;
}

/* Q11: the values are worth something only because they give the digest that was signed. */
struct err row_pcr_digest(struct work *w)
{
	struct digest values[LIMIT_PCRS];
	struct attest_failure *f;
	size_t n;
	struct err e;

	if (!take_values(w, values, &n)) {
		f = work_fail(w, ROW_PCR_DIGEST, "");
		SAY(f->expected, "%zu values of %zu bytes", pcr_selection_count(&w->want), digest_alg(w->bank)->size);
		SAY(f->seen, "%zu values, or one of another size", w->ev.n_pcrs);
		return ERR(E_OK);
	}
	if (failed(e = tpm_pcr_digest(w->in->host->ak_hash, n, values, &w->pcr_digest)))
		return e;
	if (!bytes_eq_secret(w->quote.pcr_digest, digest_bytes(&w->pcr_digest))) {
		f = work_fail(w, ROW_PCR_DIGEST, "");
		SAY(f->expected, "%s: of the values that were sent", HEX(digest_bytes(&w->pcr_digest)));
		SAY(f->seen, "%s", HEX(w->quote.pcr_digest));
		return ERR(E_OK);
	}
	w->v->pcr_bank = w->bank;
	w->v->pcr_mask = w->want.bank[0].mask;
	work_pass(w, ROW_PCR_DIGEST);
	return ERR(E_OK);
}

/*
 * Q16: the structure as we would have written it, so that a check forgotten
 * above cannot let anything through. Clock, firmware version and signer are
 * copied over; they have rows of their own.
 */
struct err row_whole(struct work *w)
{
	cleanup_buf struct buf want = BUF_INIT(LIMIT_TPM2B);
	struct attest_failure *f;
	struct err e;

	if (failed(e = tpm_quote_expected(&w->quote, BYTES_ARR(w->extra_data), &w->want, digest_bytes(&w->pcr_digest),
					  &want)))
		return e;
	if (bytes_eq(buf_bytes(&want), w->quote.raw)) {
		work_pass(w, ROW_WHOLE);
		return ERR(E_OK);
	}
	f = work_fail(w, ROW_WHOLE, "");
	SAY(f->expected, "%zu bytes, each of them as we build them", want.n);
	SAY(f->seen, "%zu bytes that differ", w->quote.raw.n);
	return ERR(E_OK);
}

/* Q14, K4: the enrolled AK as a primary key of the endorsement hierarchy, where counters are not masked. */
struct err row_signer(struct work *w)
{
	struct bytes want = tpm_name_bytes(&w->in->host->ak_qualified_name);
	struct attest_failure *f;

	if (bytes_eq(w->quote.qualified_signer, want)) {
		work_pass(w, ROW_SIGNER);
		return ERR(E_OK);
	}
	f = work_fail(w, ROW_SIGNER, "");
	SAY(f->expected, "%s: the enrolled key in the endorsement hierarchy", HEX(want));
	SAY(f->seen, "%s", HEX(w->quote.qualified_signer));
	return ERR(E_OK);
}
