/* SPDX-License-Identifier: Apache-2.0 */
/* What tokens and certificates have in common: who proves which key, what stands behind it, and the row in the store. */
#ifndef ASSAY_VERIFIER_SERVE_GRANT_H
#define ASSAY_VERIFIER_SERVE_GRANT_H

#include "verifier/issue/dpop.h"
#include "verifier/serve/internal.h"

struct grant {
	struct policy *policy;            /* borrowed */
	int64_t now_s;
	struct dpop_proof proof;
	struct instance_row instance;
	uint64_t epoch;
	const struct document *agent;     /* borrowed from the policy; NULL: none holds */
	struct credential_row row;        /* what is issued; the caller fills it */
	bool replayed;
};
void grant_done(struct grant *g);

/* RFC 9449, 4.3: exactly one proof, for this URI, with a nonce of ours. */
must_check struct err grant_proof(struct verifier *v, const struct request *q, struct grant *g, struct reason *reterr);
/* The reply to a proof that is not good enough. Only a missing or old nonce has its own name, since another try helps. */
must_check struct err grant_refuse_proof(struct verifier *v, struct err e, int64_t now_s, const struct reason *why,
					 struct reply *ret);

/* The instance that has this key, and its agent document. E_AUTH_REFUSED with *reterr_oauth. */
must_check struct err grant_find(struct verifier *v, struct grant *g, struct oauth_error *reterr_oauth);
/* P5, T20: what the verdict rested on is what holds now. E_AUTH_REFUSED with *reterr_oauth. */
must_check struct err grant_same_document(const struct grant *g, struct oauth_error *reterr_oauth);

/*
 * V7: writes the row; proof, epoch, instance and documents are judged once more
 * in that transaction. *ret_issued false: refused, and *ret is the refusal.
 */
must_check struct err grant_commit(struct verifier *v, struct grant *g, struct reply *ret, bool *ret_issued);

#endif
