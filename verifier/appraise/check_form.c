/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes and claims: is this evidence at all, is it for us, is it about this host, does it answer a challenge of ours. */
#include <string.h>

#include "base/log.h"
#include "verifier/appraise/work.h"

static struct err decode(struct work *w)
{
	struct err e;

	if (w->in->evidence.n > LIMIT_EVIDENCE)
		return ERR(E_LIMIT_SIZE);
	if (failed(e = evidence_decode(w->in->evidence, &w->ev)))
		return e;
	if (failed(e = evidence_claims_decode(w->ev.claims, &w->claims)))
		return e;
	/* A list and the claim where it begins come together. */
	return w->ev.has_ima == w->claims.has_ima ? ERR(E_OK) : ERR(E_PEER_MISSING);
}

/* X1 */
struct err row_form(struct work *w)
{
	struct err e = decode(w);

	if (failed(e))
		return fail_with(w, ROW_FORM, "", "evidence in deterministic CBOR, as the CDDL has it", e, NULL);
	work_pass(w, ROW_FORM);
	return ERR(E_OK);
}

/* L2: evidence made for another verifier is of no use here, however good. */
struct err row_issuer(struct work *w)
{
	struct attest_failure *f;

	if (bytes_eq(w->claims.issuer, bytes_str(w->in->issuer))) {
		work_pass(w, ROW_ISSUER);
		return ERR(E_OK);
	}
	f = work_fail(w, ROW_ISSUER, "");
	SAY(f->expected, "claims for the issuer %s", w->in->issuer);
	SAY(f->seen, "%s", log_quote(w->claims.issuer));
	return ERR(E_OK);
}

/* L3: the record was found by somebody's word; the signed claims must name it too. */
struct err row_host(struct work *w)
{
	struct attest_failure *f;

	if (bytes_eq(w->claims.host_id, bytes_str(w->in->host->id))) {
		work_pass(w, ROW_HOST);
		return ERR(E_OK);
	}
	f = work_fail(w, ROW_HOST, "");
	SAY(f->expected, "claims of host %s", w->in->host->id);
	SAY(f->seen, "%s", log_quote(w->claims.host_id));
	return ERR(E_OK);
}

/* K1, K5: the AK is the one of the record; what the evidence calls it is only compared. */
struct err row_ak_name(struct work *w)
{
	struct attest_failure *f;

	if (bytes_eq(w->claims.ak_name, tpm_name_bytes(&w->in->host->ak_name))) {
		work_pass(w, ROW_AK_NAME);
		return ERR(E_OK);
	}
	f = work_fail(w, ROW_AK_NAME, "");
	SAY(f->expected, "%s", HEX(tpm_name_bytes(&w->in->host->ak_name)));
	SAY(f->seen, "%s", HEX(w->claims.ak_name));
	return ERR(E_OK);
}

/* L1 */
struct err row_nonce(struct work *w)
{
	const struct nonce_for f = {
		.purpose = "attest",
		.host = bytes_str(w->in->host->id),
		.selection = &w->want,
		.policy = BYTES_ARR(w->policy),
	};
	struct reason why = { "" };
	struct err e = nonce_check(w->in->nonce_key, &f, w->in->now_s, w->claims.nonce, &why);

	if (failed(e))
		return fail_with(w, ROW_NONCE, "", "a live nonce of ours, made for this host and these reference values", e,
				 &why);
	work_pass(w, ROW_NONCE);
	return ERR(E_OK);
}
