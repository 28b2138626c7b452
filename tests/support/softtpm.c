/* SPDX-License-Identifier: Apache-2.0 */
/* PCRs, clock and attestation of the software TPM. */
#include "tests/support/softtpm.h"

#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <string.h>

#include "base/wr.h"

#define SIG_MAX 512
#define FIRST_KEPT_BY_NONE 16 /* PCRs that a Startup(STATE) does not bring back */

/* ---- PCRs. */

/* PC Client Platform TPM Profile: PCR 17 to 22 start as ones, because no DRTM event has happened. */
static void pcr_init(struct softtpm *t, unsigned pcr)
{
	for (int bank = 0; bank < N_DIGESTS; bank++) {
		struct digest *d = &t->pcr[bank][pcr];

		d->n = (uint8_t)digest_alg((enum digest_id)bank)->size;
		memset(d->v, pcr >= 17 && pcr <= 22 ? 0xff : 0, d->n);
	}
}

static void pcr_init_from(struct softtpm *t, unsigned first)
{
	for (unsigned pcr = first; pcr < LIMIT_PCRS; pcr++)
		pcr_init(t, pcr);
}

static bool bank_on(const struct softtpm *t, enum digest_id bank)
{
	return (t->banks >> bank & 1) != 0;
}

struct err softtpm_extend(struct softtpm *t, enum digest_id bank, unsigned pcr, struct bytes digest)
{
	if (pcr >= LIMIT_PCRS || !bank_on(t, bank) || digest.n != digest_alg(bank)->size)
		return ERR(E_PEER_RANGE);
	return digest_extend(bank, &t->pcr[bank][pcr], digest, &t->pcr[bank][pcr]);
}

struct err softtpm_event(struct softtpm *t, unsigned pcr, struct bytes data)
{
	struct err e;

	for (int i = 0; i < N_DIGESTS; i++) {
		enum digest_id bank = (enum digest_id)i;
		struct digest d = { 0 };

		if (!bank_on(t, bank))
			continue;
		if (failed(e = digest_one(bank, data, &d)) ||
		    failed(e = softtpm_extend(t, bank, pcr, digest_bytes(&d))))
			return e;
	}
	return ERR(E_OK);
}

struct err softtpm_pcr_reset(struct softtpm *t, unsigned pcr)
{
	if (pcr != 16 && pcr != 23)
		return ERR(E_PEER_RANGE);
	pcr_init(t, pcr);
	return ERR(E_OK);
}

void softtpm_pcr_read(const struct softtpm *t, const struct pcr_selection *asked, struct pcr_selection *ret_selection,
		      struct digest *ret_values, size_t *ret_n)
{
	size_t n = 0;

	*ret_selection = *asked;
	for (size_t i = 0; i < asked->n; i++) {
		const struct digest_alg *alg = digest_by_tpm_alg(asked->bank[i].hash_alg);

		if (alg == NULL || !bank_on(t, alg->id)) {
			ret_selection->bank[i].mask = 0;
			continue;
		}
		for (unsigned pcr = 0; pcr < LIMIT_PCRS; pcr++)
			if ((asked->bank[i].mask >> pcr & 1) != 0)
				ret_values[n++] = t->pcr[alg->id][pcr];
	}
	*ret_n = n;
}

/* ---- Clock and power. */

void softtpm_tick(struct softtpm *t, uint64_t ms)
{
	t->clock.clock_ms += ms;
	if (t->clock.clock_ms > t->clock_seen_ms)
		t->clock.safe = 1;
}

struct err softtpm_reset(struct softtpm *t)
{
	struct softtpm_spec spec = softtpm_spec_of(SOFTTPM_NULL_PRIMARY);
	struct softtpm_key *fresh = NULL;
	struct err e;

	if (failed(e = softtpm_key_new(&spec, &fresh)))
		return e;
	softtpm_key_free(t->null_primary);
	t->null_primary = fresh;
	t->clock.reset_count++;
	t->clock.restart_count = 0;
	pcr_init_from(t, 0);
	return ERR(E_OK);
}

void softtpm_restart(struct softtpm *t)
{
	t->clock.restart_count++;
	pcr_init_from(t, 0);
}

void softtpm_resume(struct softtpm *t)
{
	t->clock.restart_count++;
	pcr_init_from(t, FIRST_KEPT_BY_NONE);
}

struct err softtpm_power_loss(struct softtpm *t, uint64_t back_ms)
{
	struct err e;

	if (failed(e = softtpm_reset(t)))
		return e;
	t->clock_seen_ms = t->clock.clock_ms;
	t->clock.clock_ms -= back_ms < t->clock.clock_ms ? back_ms : t->clock.clock_ms;
	t->clock.safe = 0;
	return ERR(E_OK);
}

void softtpm_clear(struct softtpm *t)
{
	t->clock = (struct tpm_clock){ .safe = 1 };
	t->clock_seen_ms = 0;
}

/* ---- Attestation. */

/*
 * Outside the endorsement and platform hierarchies the counters and the
 * firmware version are masked with a constant of the key (Part 1, 36.7).
 */
static struct err fill_head(struct softtpm *t, const struct softtpm_key *signer, uint16_t type,
			    struct bytes extra_data, struct tpm_attest *a)
{
	uint8_t mask[32];
	struct err e;

	*a = (struct tpm_attest){
		.magic = TPM_GENERATED,
		.type = type,
		.qualified_signer = tpm_name_bytes(&signer->qualified_name),
		.extra_data = extra_data,
		.clock = t->clock,
		.firmware_version = t->firmware_version,
	};
	if (signer->hierarchy == TPM_RH_ENDORSEMENT)
		return ERR(E_OK);
	if (failed(e = sha256(tpm_name_bytes(&signer->name), mask)))
		return e;
	a->clock.reset_count += (uint32_t)mask[0] << 24 | (uint32_t)mask[1] << 16 | 1;
	a->clock.restart_count += (uint32_t)mask[2] << 24 | (uint32_t)mask[3] << 16 | 1;
	a->firmware_version += (uint64_t)mask[4] << 56 | (uint64_t)mask[5] << 8 | 1;
	return ERR(E_OK);
}

static enum digest_id signing_hash(const struct softtpm_key *signer)
{
	const struct digest_alg *alg = digest_by_tpm_alg(signer->pub.scheme_hash);

	return alg == NULL ? DIGEST_SHA256 : alg->id;
}

struct err softtpm_quote_fields(struct softtpm *t, const struct softtpm_key *signer, struct bytes extra_data,
				const struct pcr_selection *selection, struct digest *digest, struct tpm_attest *ret)
{
	struct digest values[LIMIT_BANKS * LIMIT_PCRS];
	struct tpm_attest a;
	size_t n = 0;
	struct err e;

	if (failed(e = fill_head(t, signer, TPM_ST_ATTEST_QUOTE, extra_data, &a)))
		return e;
	softtpm_pcr_read(t, selection, &a.selection, values, &n);
	if (failed(e = tpm_pcr_digest(signing_hash(signer), n, values, digest)))
		return e;
	a.pcr_digest = digest_bytes(digest);
	*ret = a;
	return ERR(E_OK);
}

struct err softtpm_certify_fields(struct softtpm *t, const struct softtpm_key *signer,
				  const struct softtpm_key *object, struct bytes extra_data, struct tpm_attest *ret)
{
	struct err e;

	if (failed(e = fill_head(t, signer, TPM_ST_ATTEST_CERTIFY, extra_data, ret)))
		return e;
	ret->name = tpm_name_bytes(&object->name);
	ret->qualified_name = tpm_name_bytes(&object->qualified_name);
	return ERR(E_OK);
}

static struct err wr_body(const struct tpm_attest *a, struct bytes body, struct buf *b)
{
	struct err e;

	if (a->type == TPM_ST_ATTEST_QUOTE) {
		if (failed(e = pcr_selection_write(&a->selection, b)))
			return e;
		return wr_tpm2b(b, a->pcr_digest);
	}
	if (a->type == TPM_ST_ATTEST_CERTIFY) {
		if (failed(e = wr_tpm2b(b, a->name)))
			return e;
		return wr_tpm2b(b, a->qualified_name);
	}
	return buf_add(b, body);
}

struct err softtpm_attest_write(const struct tpm_attest *a, struct bytes body, struct buf *ret)
{
	struct err e;

	if (failed(e = wr_u32be(ret, a->magic)) ||
	    failed(e = wr_u16be(ret, a->type)) ||
	    failed(e = wr_tpm2b(ret, a->qualified_signer)) ||
	    failed(e = wr_tpm2b(ret, a->extra_data)) ||
	    failed(e = wr_u64be(ret, a->clock.clock_ms)) ||
	    failed(e = wr_u32be(ret, a->clock.reset_count)) ||
	    failed(e = wr_u32be(ret, a->clock.restart_count)) ||
	    failed(e = buf_add_u8(ret, a->clock.safe)) ||
	    failed(e = wr_u64be(ret, a->firmware_version)))
		return e;
	return wr_body(a, body, ret);
}

/* ---- Signatures. */

static inline void cleanup_pctx_(EVP_PKEY_CTX **c)
{
	EVP_PKEY_CTX_free(*c);
}

/* What base does not make: PSS, and SHA-1 for tests of its refusal. Appends the raw signature. */
static struct err sign_slow(const struct key *k, uint16_t alg, const struct digest_alg *hash, struct bytes data,
			    struct buf *ret)
{
	cleanup(cleanup_pctx_) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key_evp(k), NULL);
	uint8_t sig[SIG_MAX];
	size_t n = sizeof(sig);
	struct digest d = { 0 };
	struct err e;

	if (failed(e = digest_one(hash->id, data, &d)))
		return e;
	if (ctx == NULL || EVP_PKEY_sign_init(ctx) <= 0 ||
	    EVP_PKEY_CTX_set_signature_md(ctx, EVP_get_digestbyname(hash->ossl)) <= 0)
		return ERR(E_LOCAL_CRYPTO);
	if (alg == TPM_ALG_RSAPSS && (EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) <= 0 ||
				      EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) <= 0))
		return ERR(E_LOCAL_CRYPTO);
	if (EVP_PKEY_sign(ctx, sig, &n, d.v, d.n) <= 0)
		return ERR(E_LOCAL_CRYPTO);
	if (alg == TPM_ALG_ECDSA)
		return ecdsa_der_to_raw(key_kind(k), BYTES(sig, n), ret);
	return buf_add(ret, BYTES(sig, n));
}

static struct err sign_raw(const struct key *k, uint16_t alg, const struct digest_alg *hash, struct bytes data,
			   struct buf *ret)
{
	if (alg == TPM_ALG_RSAPSS || hash->id == DIGEST_SHA1)
		return sign_slow(k, alg, hash, data, ret);
	return key_sign(k, alg == TPM_ALG_ECDSA ? SIG_ECDSA : SIG_RSASSA, hash->id, data, ret);
}

struct err softtpm_sign_as(const struct softtpm_key *signer, uint16_t alg, uint16_t hash_alg, struct bytes data,
			   struct buf *ret_sig)
{
	const struct digest_alg *hash = digest_by_tpm_alg(hash_alg);
	cleanup_buf struct buf raw = BUF_INIT(SIG_MAX);
	struct bytes r = BYTES_NONE, s = BYTES_NONE;
	struct err e;

	if (hash == NULL)
		return ERR(E_PEER_UNSUPPORTED);
	if (failed(e = sign_raw(signer->key, alg, hash, data, &raw)) ||
	    failed(e = wr_u16be(ret_sig, alg)) ||
	    failed(e = wr_u16be(ret_sig, hash_alg)))
		return e;
	if (alg != TPM_ALG_ECDSA)
		return wr_tpm2b(ret_sig, buf_bytes(&raw));
	if (failed(e = bytes_sub(buf_bytes(&raw), 0, raw.n / 2, &r)) ||
	    failed(e = bytes_sub(buf_bytes(&raw), raw.n / 2, raw.n / 2, &s)) ||
	    failed(e = wr_tpm2b(ret_sig, r)))
		return e;
	return wr_tpm2b(ret_sig, s);
}

struct err softtpm_sign(const struct softtpm_key *signer, struct bytes data, struct buf *ret_sig)
{
	uint16_t alg = signer->pub.scheme, hash = signer->pub.scheme_hash;

	if (alg == TPM_ALG_NULL) {
		alg = signer->pub.type == TPM_ALG_ECC ? TPM_ALG_ECDSA : TPM_ALG_RSASSA;
		hash = TPM_ALG_SHA256;
	}
	return softtpm_sign_as(signer, alg, hash, data, ret_sig);
}

static struct err finish(const struct softtpm_key *signer, const struct tpm_attest *a, struct buf *ret_attest,
			 struct buf *ret_sig)
{
	cleanup_buf struct buf out = BUF_INIT(LIMIT_TPM2B);
	struct err e;

	if (failed(e = softtpm_attest_write(a, BYTES_NONE, &out)) ||
	    failed(e = softtpm_sign(signer, buf_bytes(&out), ret_sig)))
		return e;
	return buf_add(ret_attest, buf_bytes(&out));
}

struct err softtpm_quote(struct softtpm *t, const struct softtpm_key *signer, struct bytes extra_data,
			 const struct pcr_selection *selection, struct buf *ret_attest, struct buf *ret_sig)
{
	struct tpm_attest a;
	struct digest d = { 0 };
	struct err e;

	if (failed(e = softtpm_quote_fields(t, signer, extra_data, selection, &d, &a)))
		return e;
	return finish(signer, &a, ret_attest, ret_sig);
}

struct err softtpm_certify(struct softtpm *t, const struct softtpm_key *signer, const struct softtpm_key *object,
			   struct bytes extra_data, struct buf *ret_attest, struct buf *ret_sig)
{
	struct tpm_attest a;
	struct err e;

	if (failed(e = softtpm_certify_fields(t, signer, object, extra_data, &a)))
		return e;
	return finish(signer, &a, ret_attest, ret_sig);
}
