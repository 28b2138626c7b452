/* SPDX-License-Identifier: Apache-2.0 */
#include "verifier/operate/verify_quote.h"

#include <string.h>

#include "base/log.h"
#include "base/rd.h"
#include "base/text.h"

/* The key with what it says of its own signatures; scheme SIG_NONE leaves it to the signature. */
struct ak {
	struct key *key;
	enum sig_scheme scheme;
	enum digest_id hash;
};

static void ak_done(struct ak *a)
{
	key_free(a->key);
	*a = (struct ak){ 0 };
}

/* First 16 bits: a type or magic for the bare structure, a size for the TPM2B around it. */
static bool begins_with(struct bytes b, uint16_t v)
{
	struct rd r = RD(b);
	uint16_t first;

	return !failed(rd_u16be(&r, &first)) && first == v;
}

static struct err ak_read_area(struct bytes in, struct ak *ret, struct reason *reterr)
{
	bool bare = begins_with(in, TPM_ALG_RSA) || begins_with(in, TPM_ALG_ECC);
	struct tpm_public p;
	struct err e = bare ? tpm_public_parse(in, &p) : tpm2b_public_parse(in, &p);

	if (failed(e)) {
		reason_set(reterr, "K1: --ak is neither PEM nor TPMT_PUBLIC nor TPM2B_PUBLIC (%s)", err_text(e));
		return e;
	}
	/* An unrestricted key signs any bytes, a forged TPMS_ATTEST among them. */
	if ((p.attributes & TPMA_RESTRICTED) == 0 || (p.attributes & TPMA_SIGN) == 0 ||
	    (p.attributes & TPMA_DECRYPT) != 0) {
		reason_set(reterr, "K2: expected a restricted signing key, saw attributes 0x%08x", p.attributes);
		return ERR(E_AUTH_REFUSED);
	}
	if (failed(e = tpm_public_scheme(&p, &ret->scheme, &ret->hash)) || ret->scheme == SIG_NONE) {
		reason_set(reterr, "Q7: the key's scheme 0x%04x with hash 0x%04x is not accepted", p.scheme,
			   p.scheme_hash);
		return failed(e) ? e : ERR(E_PEER_UNSUPPORTED);
	}
	if (failed(e = tpm_public_key(&p, &ret->key)))
		reason_set(reterr, "K3: the key in --ak is not accepted (%s)", err_text(e));
	return e;
}

static struct err ak_read(struct bytes in, struct ak *ret, struct reason *reterr)
{
	struct err e;

	if (in.n < 11 || memcmp(in.p, "-----BEGIN ", 11) != 0)
		return ak_read_area(in, ret, reterr);
	ret->scheme = SIG_NONE;
	if (failed(e = key_from_pem(in, &ret->key)))
		reason_set(reterr, "K3: the PEM key in --ak is not accepted (%s)", err_text(e));
	return e;
}

static struct err attest_read(struct bytes in, struct tpm_attest *ret, struct reason *reterr)
{
	struct bytes body = in;
	struct rd r = RD(in);
	struct err e;

	/* 0xff54 would be a TPM2B above every limit, so the first bytes decide. */
	if (!begins_with(in, TPM_GENERATED >> 16) && in.n > 2) {
		struct bytes inner;

		if (!failed(rd_tpm2b(&r, LIMIT_TPM2B, &inner)) && !failed(rd_end(&r)))
			body = inner;
	}
	if (failed(e = tpm_attest_parse(body, ret)))
		reason_set(reterr, "Q1: the quote is no TPMS_ATTEST or TPM2B_ATTEST (%s)", err_text(e));
	return e;
}

static enum sig_scheme scheme_of(uint16_t alg)
{
	switch (alg) {
	case TPM_ALG_RSASSA:
		return SIG_RSASSA;
	case TPM_ALG_RSAPSS:
		return SIG_RSAPSS;
	case TPM_ALG_ECDSA:
		return SIG_ECDSA;
	default:
		return SIG_NONE;
	}
}

/* Raw form: RSASSA-SHA256, or DER ECDSA-SHA256. A TPM key with another scheme does not fit it. */
static struct err verify_raw(const struct ak *ak, struct bytes sig, struct bytes data, struct reason *reterr)
{
	enum sig_scheme scheme = key_kind(ak->key) == KEY_RSA ? SIG_RSASSA : SIG_ECDSA;
	cleanup_buf struct buf raw = BUF_INIT(2 * 66);
	struct err e;

	if (ak->scheme != SIG_NONE && (ak->scheme != scheme || ak->hash != DIGEST_SHA256)) {
		reason_set(reterr, "Q7: a raw signature is RSASSA or ECDSA with SHA-256, the key demands another scheme");
		return ERR(E_PEER_UNSUPPORTED);
	}
	if (scheme == SIG_ECDSA) {
		if (failed(e = ecdsa_der_to_raw(key_kind(ak->key), sig, &raw))) {
			reason_set(reterr, "Q8: the signature is neither TPMT_SIGNATURE nor DER (%s)", err_text(e));
			return e;
		}
		sig = buf_bytes(&raw);
	}
	e = key_verify(ak->key, scheme, DIGEST_SHA256, data, sig);
	if (failed(e))
		reason_set(reterr, "Q6: the signature does not verify with this key");
	return e;
}

/* *ret_hash is the signing scheme's, which pcrDigest uses too (Q11). */
static struct err signature_verify(const struct ak *ak, struct bytes in, struct bytes data, enum digest_id *ret_hash,
				   struct reason *reterr)
{
	struct tpm_signature sig;
	const struct digest_alg *hash;
	enum sig_scheme scheme = ak->scheme;
	struct err e;

	if (failed(tpm_signature_parse(in, &sig))) {
		*ret_hash = DIGEST_SHA256;
		return verify_raw(ak, in, data, reterr);
	}
	hash = digest_by_tpm_alg(sig.hash_alg);
	if (hash == NULL || hash->id == DIGEST_SHA1) {
		reason_set(reterr, "Q7: hash 0x%04x of the signature is not accepted", sig.hash_alg);
		return ERR(E_PEER_UNSUPPORTED);
	}
	if (scheme == SIG_NONE)
		scheme = scheme_of(sig.alg);
	*ret_hash = ak->scheme == SIG_NONE ? hash->id : ak->hash;
	e = tpm_signature_verify(&sig, ak->key, scheme, *ret_hash, data);
	if (e.code == E_PEER_UNSUPPORTED)
		reason_set(reterr, "Q7: signature scheme 0x%04x with hash 0x%04x is not the key's", sig.alg, sig.hash_alg);
	else if (e.code == E_PEER_RANGE)
		reason_set(reterr, "Q8: the signature's numbers are out of range");
	else if (failed(e))
		reason_set(reterr, "Q6: the signature does not verify with this key");
	return e;
}

static struct err check_attest(const struct tpm_attest *a, struct bytes nonce, struct reason *reterr)
{
	size_t strong = 0;

	if (a->magic != TPM_GENERATED) {
		reason_set(reterr, "Q2: expected magic 0x%08x, saw 0x%08x", TPM_GENERATED, a->magic);
		return ERR(E_AUTH_REFUSED);
	}
	if (a->type != TPM_ST_ATTEST_QUOTE) {
		reason_set(reterr, "Q3: expected type 0x8018 (quote), saw 0x%04x", a->type);
		return ERR(E_AUTH_REFUSED);
	}
	if (nonce.n == 0 || !bytes_eq_secret(nonce, a->extra_data)) {
		reason_set(reterr, nonce.n == 0 ? "Q10: an empty nonce shows nothing about when the quote was made" :
						  "Q10: extraData is not the nonce");
		return ERR(E_AUTH_NONCE);
	}
	for (size_t i = 0; i < a->selection.n; i++)
		if (a->selection.bank[i].hash_alg != TPM_ALG_SHA1 && a->selection.bank[i].mask != 0)
			strong++;
	if (strong == 0) {
		reason_set(reterr, "Q4: the quote selects no register outside the SHA-1 bank");
		return ERR(E_AUTH_REFUSED);
	}
	return ERR(E_OK);
}

/* The value of one register, which must be there with the bank's size. */
static struct err pcr_value(struct jobj *o, const char *pcr, const struct digest_alg *bank, struct digest *ret,
			    struct reason *reterr)
{
	struct err e;

	if (!jobj_has(o, pcr)) {
		reason_set(reterr, "Q11: register %s of bank %s is quoted but not in --pcrs", pcr, bank->name);
		return ERR(E_PEER_MISSING);
	}
	*ret = (struct digest){ .n = (uint8_t)bank->size };
	if (failed(e = jobj_hex(o, pcr, ret->v, bank->size)))
		reason_set(reterr, "Q11: register %s in --pcrs is not %zu bytes of hex", pcr, bank->size);
	return e;
}

/* Appends the values of one bank in the order of the selection; registers that are not selected are refused. */
static struct err pcrs_of_bank(const json_t *values, const struct digest_alg *bank, uint32_t mask, size_t *n,
			       struct digest *to, struct reason *reterr)
{
	static const char *const numbers[LIMIT_PCRS] = { "0",  "1",  "2",  "3",  "4",  "5",  "6",  "7",
							 "8",  "9",  "10", "11", "12", "13", "14", "15",
							 "16", "17", "18", "19", "20", "21", "22", "23" };
	struct jobj o;
	struct err e;

	if (failed(e = jobj_init(&o, values, "--pcrs", reterr)))
		return e;
	for (unsigned pcr = 0; pcr < LIMIT_PCRS; pcr++) {
		bool selected = (mask & (1u << pcr)) != 0;

		if (!selected && jobj_has(&o, numbers[pcr])) {
			reason_set(reterr, "Q5: register %u of bank %s is in --pcrs but not in the signed selection", pcr,
				   bank->name);
			return ERR(E_AUTH_REFUSED);
		}
		if (selected && failed(e = pcr_value(&o, numbers[pcr], bank, &to[(*n)++], reterr)))
			return e;
	}
	return jobj_end(&o);
}

static size_t banks_used(const struct pcr_selection *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++)
		n += s->bank[i].mask != 0;
	return n;
}

static struct err compare_pcrs(const struct tpm_attest *a, enum digest_id hash, struct bytes in, struct reason *reterr)
{
	struct digest value[LIMIT_BANKS * LIMIT_PCRS], sum;
	cleanup_json json_t *pcrs = NULL;
	size_t n = 0, n_by_name = 0;
	struct err e;

	if (failed(e = json_parse(in, LIMIT_SMALL, &pcrs, reterr)))
		return e;
	for (size_t i = 0; i < a->selection.n; i++) {
		const struct digest_alg *bank = digest_by_tpm_alg(a->selection.bank[i].hash_alg);
		const json_t *values;

		if (a->selection.bank[i].mask == 0)
			continue;
		if (bank == NULL) {
			reason_set(reterr, "Q11: bank 0x%04x is not known", a->selection.bank[i].hash_alg);
			return ERR(E_PEER_UNSUPPORTED);
		}
		values = json_object_get(pcrs, bank->name);
		n_by_name += values != NULL;
		if (values == NULL && banks_used(&a->selection) > 1) {
			reason_set(reterr, "Q11: the quote has several banks, so --pcrs needs them by name; %s is missing",
				   bank->name);
			return ERR(E_PEER_MISSING);
		}
		if (failed(e = pcrs_of_bank(values != NULL ? values : pcrs, bank, a->selection.bank[i].mask, &n, value,
					    reterr)))
			return e;
	}
	if (n_by_name > 0 && n_by_name != json_object_size(pcrs)) {
		reason_set(reterr, "Q5: --pcrs has a bank that is not in the signed selection");
		return ERR(E_AUTH_REFUSED);
	}
	if (failed(e = tpm_pcr_digest(hash, n, value, &sum)))
		return e;
	if (!bytes_eq_secret(digest_bytes(&sum), a->pcr_digest)) {
		reason_set(reterr, "Q11: the values in --pcrs do not give the quoted pcrDigest");
		return ERR(E_PEER_DIGEST);
	}
	return ERR(E_OK);
}

struct err quote_verify(const struct quote_files *f, struct quote_report *ret, struct reason *reterr)
{
	__attribute__((__cleanup__(ak_done))) struct ak ak = { 0 };
	struct tpm_attest a = { 0 };
	enum digest_id hash;
	struct err e;

	if (failed(e = ak_read(f->ak, &ak, reterr)) || failed(e = attest_read(f->quote, &a, reterr)) ||
	    failed(e = signature_verify(&ak, f->signature, a.raw, &hash, reterr)) ||
	    failed(e = check_attest(&a, f->nonce, reterr)))
		return e;
	if (a.pcr_digest.n != digest_alg(hash)->size) {
		reason_set(reterr, "Q11: pcrDigest has %zu bytes, the signing scheme's hash %zu", a.pcr_digest.n,
			   digest_alg(hash)->size);
		return ERR(E_PEER_DIGEST);
	}
	if (f->pcrs.n > 0 && failed(e = compare_pcrs(&a, hash, f->pcrs, reterr)))
		return e;
	*ret = (struct quote_report){ .selection = a.selection,
				      .clock = a.clock,
				      .firmware_version = a.firmware_version,
				      .pcrs_compared = f->pcrs.n > 0 };
	ret->pcr_digest.n = (uint8_t)a.pcr_digest.n;
	return bytes_copy_exact(a.pcr_digest, ret->pcr_digest.v, a.pcr_digest.n);
}
