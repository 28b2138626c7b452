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

struct err certified_boot(const struct work *w, const struct certified *c, struct reason *reterr)
{
	const struct tpm_clock *q = &w->quote.clock, *k = &c->attest.clock;

	if (q->reset_count == k->reset_count && q->restart_count == k->restart_count)
		return ERR(E_OK);
	reason_set(reterr, "certified at reset %" PRIu32 ", restart %" PRIu32 ", quoted at %" PRIu32 ", %" PRIu32,
		   k->reset_count, k->restart_count, q->reset_count, q->restart_count);
	return ERR(E_AUTH_REFUSED);
}

/* Which part of a structure that differs is to blame. Whatever the answer, it differs. */
static enum certified_fault blame(const struct certified *c, struct bytes extra_data,
				  const struct tpm_name *qualified_name)
{
	if (!bytes_eq_secret(c->attest.extra_data, extra_data))
		return CERTIFIED_OTHER_NONCE;
	if (!bytes_eq(c->attest.name, tpm_name_bytes(&c->name)))
		return CERTIFIED_OTHER_NAME;
	if (!bytes_eq(c->attest.qualified_name, tpm_name_bytes(qualified_name)))
		return CERTIFIED_OTHER_PARENT;
	return CERTIFIED_OTHERWISE;
}

struct err certified_compare(const struct work *w, const struct certified *c, const struct tpm_name *qualified_name,
			     enum certified_fault *ret)
{
	cleanup_buf struct buf want = BUF_INIT(LIMIT_TPM2B);
	uint8_t extra_data[32];
	struct err e;

	if (failed(e = evidence_key_extra_data(w->claims.nonce, w->ev.claims, tpm_name_bytes(&c->name), extra_data)) ||
	    failed(e = tpm_certify_expected(&c->attest, BYTES_ARR(extra_data), &c->name, qualified_name, &want)))
		return e;
	*ret = CERTIFIED_AS_EXPECTED;
	if (!bytes_eq(buf_bytes(&want), c->attest.raw))
		*ret = blame(c, BYTES_ARR(extra_data), qualified_name);
	return ERR(E_OK);
}

const char *certified_fault_text(enum certified_fault f)
{
	switch (f) {
	case CERTIFIED_AS_EXPECTED:
		return "as expected";
	case CERTIFIED_OTHER_NONCE:
		return "the certification is for another nonce, other claims or another key";
	case CERTIFIED_OTHER_NAME:
		return "the certified Name is not that of the public area";
	case CERTIFIED_OTHER_PARENT:
		return "the certified key hangs below another parent than the null primary of this boot";
	case CERTIFIED_OTHERWISE:
		break;
	}
	return "the certification differs from the one that we build";
}
