/* SPDX-License-Identifier: Apache-2.0 */
/* TPM2_Certify by the enrolled AK: attestation-checks, section 5. */
#include <inttypes.h>

#include "verifier/appraise/work.h"

struct err certified_area(const struct evidence_key *k, struct certified *ret, struct reason *reterr)
{
	struct err e;

	if (failed(e = tpm_public_parse(k->public_area, &ret->area)) ||
	    failed(e = tpm_public_name(&ret->area, &ret->name)))
		reason_set(reterr, "the public area cannot be read: %s", err_text(e));
	return e;
}

static struct err refuse(struct reason *reterr, const char *why)
{
	reason_set(reterr, "%s", why);
	return ERR(E_AUTH_REFUSED);
}

struct err certified_signature(const struct work *w, const struct evidence_key *k, struct certified *c,
			       struct reason *reterr)
{
	const struct host_record *h = w->in->host;
	struct tpm_signature sig;
	struct err e;

	if (failed(e = tpm_attest_parse(k->attest, &c->attest)) ||
	    failed(e = tpm_signature_parse(k->signature, &sig)) ||
	    failed(e = tpm_signature_verify(&sig, h->ak, h->ak_scheme, h->ak_hash, c->attest.raw))) {
		reason_set(reterr, "the certification: %s", err_text(e));
		return e;
	}
	if (c->attest.magic != TPM_GENERATED)
		return refuse(reterr, "the certification was not made by a TPM");
	if (c->attest.type != TPM_ST_ATTEST_CERTIFY)
		return refuse(reterr, "the attestation is no certification of a key");
	if (!bytes_eq(c->attest.qualified_signer, tpm_name_bytes(&h->ak_qualified_name)))
		return refuse(reterr, "the certification has another qualified signer");
	return ERR(E_OK);
}

struct err certified_nonce(const struct work *w, const struct certified *c, struct reason *reterr)
{
	uint8_t want[32];
	struct err e;

	if (failed(e = evidence_key_extra_data(w->claims.nonce, w->ev.claims, tpm_name_bytes(&c->name), want)))
		return e;
	if (!bytes_eq_secret(c->attest.extra_data, BYTES_ARR(want)))
		return refuse(reterr, "the certification is for another nonce, other claims or another key");
	return ERR(E_OK);
}

struct err certified_name(const struct certified *c, struct reason *reterr)
{
	if (!bytes_eq(c->attest.name, tpm_name_bytes(&c->name)))
		return refuse(reterr, "the certified Name is not that of the public area");
	return ERR(E_OK);
}

struct err certified_parent(const struct certified *c, const struct tpm_name *qualified_name, struct reason *reterr)
{
	if (!bytes_eq(c->attest.qualified_name, tpm_name_bytes(qualified_name)))
		return refuse(reterr, "the certified key hangs below another parent than the null primary of this boot");
	return ERR(E_OK);
}

struct err certified_boot(const struct work *w, const struct certified *c, struct reason *reterr)
{
	const struct tpm_clock *q = &w->quote.clock, *k = &c->attest.clock;

	if (q->reset_count == k->reset_count && q->restart_count == k->restart_count)
		return ERR(E_OK);
	reason_set(reterr, "certified at reset %" PRIu32 ", restart %" PRIu32 ", quoted at %" PRIu32 ", %" PRIu32,
		   k->reset_count, k->restart_count, q->reset_count, q->restart_count);
	return ERR(E_AUTH_REFUSED);
}

struct err certified_whole(const struct work *w, const struct certified *c, const struct tpm_name *qualified_name,
			   struct reason *reterr)
{
	cleanup_buf struct buf want = BUF_INIT(LIMIT_TPM2B);
	uint8_t extra_data[32];
	struct err e;

	if (failed(e = evidence_key_extra_data(w->claims.nonce, w->ev.claims, tpm_name_bytes(&c->name), extra_data)) ||
	    failed(e = tpm_certify_expected(&c->attest, BYTES_ARR(extra_data), &c->name, qualified_name, &want)))
		return e;
	if (!bytes_eq(buf_bytes(&want), c->attest.raw))
		return refuse(reterr, "the certification differs from the one that we build");
	return ERR(E_OK);
}
