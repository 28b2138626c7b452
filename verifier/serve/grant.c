/* SPDX-License-Identifier: Apache-2.0 */
#include "verifier/serve/grant.h"

#include <string.h>

void grant_done(struct grant *g)
{
	credential_row_done(&g->row);
}

static struct err refuse(struct verifier *v, const char *code, const char *description, struct reply *ret)
{
	struct oauth_error o = { .status = 400 };

	(void)snprintf(o.code, sizeof(o.code), "%s", code);
	(void)snprintf(o.description, sizeof(o.description), "%.255s", description);
	return reply_oauth(v, &o, ret);
}

struct err grant_proof(struct verifier *v, const struct request *q, struct grant *g, struct reason *reterr)
{
	cleanup_buf struct buf uri = BUF_INIT(LIMIT_PATH);
	struct dpop_want want = { .htm = "POST", .nonce_key = v->dpop_key, .now_s = q->now_s };
	struct err e;

	if (q->n_dpop != 1 || q->dpop == NULL) {
		reason_set(reterr, "expected one DPoP header, saw %u", q->n_dpop);
		return ERR(E_PEER_MISSING);
	}
	if (failed(e = route_uri(v, q->path, &uri, &want.htu)))
		return e;
	return dpop_verify(bytes_str(q->dpop), &want, &g->proof, reterr);
}

struct err grant_refuse_proof(struct verifier *v, struct err e, int64_t now_s, const struct reason *why,
			      struct reply *ret)
{
	struct err fresh;

	if (e.code >= E_LOCAL_MEMORY)
		return e;
	if (e.code != E_AUTH_NONCE)
		return refuse(v, "invalid_dpop_proof", why->text, ret);
	if (failed(fresh = dpop_nonce(v, now_s, ret)))
		return fresh;
	return refuse(v, "use_dpop_nonce", why->text, ret);
}

struct err grant_find(struct verifier *v, struct grant *g, struct oauth_error *reterr_oauth)
{
	struct err e = store_instance_by_jkt(v->store, g->proof.jkt, &g->instance, &g->epoch);

	if (e.code == E_LOCAL_NOT_FOUND) {
		*reterr_oauth = (struct oauth_error){ 400, "invalid_grant", "no verdict names this key: attest first" };
		return ERR(E_AUTH_REFUSED);
	}
	if (failed(e))
		return e;
	g->agent = reference_agent(g->policy->reference, bytes_str(g->instance.agent), g->now_s);
	return ERR(E_OK);
}

struct err grant_same_document(const struct grant *g, struct oauth_error *reterr_oauth)
{
	if (g->agent == NULL || memcmp(g->agent->digest, g->instance.agent_doc, 32) == 0)
		return ERR(E_OK);
	*reterr_oauth = (struct oauth_error){ 400, "invalid_grant", "the agent document changed after the verdict: attest again" };
	return ERR(E_AUTH_REFUSED);
}

static struct err commit_txn(struct txn *t, void *ctx)
{
	struct grant *g = ctx;
	struct err e;

	g->replayed = false;
	if (failed(e = txn_policy_check(t, g->policy->generation)))
		return e;
	e = txn_use_once(t, "dpop", BYTES_ARR(g->proof.replay_id), g->proof.expires_s + CLOCK_SKEW_S);
	g->replayed = e.code == E_AUTH_CONFLICT;
	if (failed(e) || failed(e = txn_credential_add(t, &g->row)))
		return e;
	return txn_time_advance(t, g->now_s);
}

struct err grant_commit(struct verifier *v, struct grant *g, struct reply *ret, bool *ret_issued)
{
	struct err e = store_write(v->store, commit_txn, g);

	*ret_issued = false;
	if (g->replayed)
		return refuse(v, "invalid_dpop_proof", "this proof was used before", ret);
	if (e.code == E_AUTH_RETRY)
		return refuse(v, "invalid_grant", "the verdict moved meanwhile: attest again", ret);
	if (e.code == E_AUTH_REFUSED)
		return refuse(v, "invalid_grant", "an operator has ended this task", ret);
	if (failed(e))
		return e;
	verifier_time_seen(v, g->now_s);
	*ret_issued = true;
	return ERR(E_OK);
}
