/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST /v1/token: an access token for the key that proves itself, as far as
 * its live verdict and its agent document go (RFC 6749, RFC 9449).
 */
#include <string.h>

#include "base/log.h"
#include "verifier/issue/dpop.h"
#include "verifier/serve/internal.h"

static struct err refuse(struct verifier *v, const char *code, const char *description, struct reply *ret)
{
	struct oauth_error o = { .status = 400 };

	(void)snprintf(o.code, sizeof(o.code), "%s", code);
	(void)snprintf(o.description, sizeof(o.description), "%.255s", description);
	return reply_oauth(v, &o, ret);
}

/* A proof that is not good enough. Only a missing or old nonce has its own name, since another try helps. */
static struct err refuse_proof(struct verifier *v, struct err e, int64_t now_s, const struct reason *why,
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

/* Everything that goes into one token, and its rows. */
struct grant {
	struct policy *policy;            /* borrowed */
	struct token_request request;
	struct dpop_proof proof;
	struct instance_row instance;
	uint64_t epoch;
	const struct document *agent;     /* borrowed from the policy */
	uint64_t ttl_s;
	struct credential_row row;
	struct buf token;
	int64_t now_s;
	bool replayed;
};

static void grant_done(struct grant *g)
{
	token_request_done(&g->request);
	credential_row_done(&g->row);
	buf_free(&g->token);
}

/* P5, T20: what the verdict rested on is what holds now. */
static bool same_agent_document(const struct grant *g)
{
	return g->agent == NULL || memcmp(g->agent->digest, g->instance.agent_doc, 32) == 0;
}

/* Reads and decides; an OAuth refusal is left in *o. */
static struct err decide(struct verifier *v, struct grant *g, struct oauth_error *o)
{
	bool introspects;
	struct err e = store_instance_by_jkt(v->store, g->proof.jkt, &g->instance, &g->epoch);

	if (e.code == E_LOCAL_NOT_FOUND) {
		*o = (struct oauth_error){ 400, "invalid_grant", "no verdict names this key: attest first" };
		return ERR(E_AUTH_REFUSED);
	}
	if (failed(e))
		return e;
	g->agent = reference_agent(g->policy->reference, bytes_str(g->instance.agent), g->now_s);
	if (failed(e = token_decide(&g->instance, g->epoch, g->agent, &g->request, g->now_s, o)) ||
	    failed(e = store_client_resource(v->store, NULL, g->request.resource, &introspects)))
		return e;
	if (!same_agent_document(g)) {
		*o = (struct oauth_error){ 400, "invalid_grant", "the agent document changed after the verdict: attest again" };
		return ERR(E_AUTH_REFUSED);
	}
	g->ttl_s = token_ttl(g->request.expected_s, g->agent, g->instance.verdict_expires_s, g->now_s, introspects);
	if (g->ttl_s > 0)
		return ERR(E_OK);
	*o = (struct oauth_error){ 400, "invalid_grant", "nothing is left of the verdict: attest again" };
	return ERR(E_AUTH_REFUSED);
}

/* V7: proof, epoch, instance and documents are judged once more where the row is written. */
static struct err issue_txn(struct txn *t, void *ctx)
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

static struct err issue(struct verifier *v, struct grant *g, struct reply *ret, bool *ret_issued)
{
	const struct token_spec spec = { v->c.issuer, v->c.realm, v->signer, v->kid, g->now_s };
	struct err e = token_issue(&spec, &g->instance, g->epoch, g->agent, &g->request, g->ttl_s, &g->row, &g->token);

	*ret_issued = false;
	if (failed(e))
		return e;
	e = store_write(v->store, issue_txn, g);
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

static struct err answer(struct verifier *v, const struct grant *g, struct reply *ret)
{
	struct jsonw w;
	struct err e;

	jsonw_begin(&w, &ret->body);
	jsonw_text(&w, "access_token", buf_bytes(&g->token));
	jsonw_str(&w, "token_type", "DPoP");
	jsonw_int(&w, "expires_in", (int64_t)g->ttl_s);
	jsonw_str(&w, "scope", g->row.scope);
	if (failed(e = jsonw_end(&w)) || failed(e = dpop_nonce(v, g->now_s, ret)))
		return e;
	atomic_fetch_add(&v->metrics.tokens, 1);
	(void)snprintf(ret->log_verdict, sizeof(ret->log_verdict), "issued");
	return ERR(E_OK);
}

/* RFC 9449, 4.3: exactly one proof, for this URI, with a nonce of ours. */
static struct err check_proof(struct verifier *v, const struct request *q, struct dpop_proof *ret,
			      struct reason *reterr)
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
	return dpop_verify(bytes_str(q->dpop), &want, ret, reterr);
}

struct err on_token(struct verifier *v, const struct request *q, struct reply *ret)
{
	cleanup_policy struct policy *p = policy_hold(v);
	struct grant g cleanup(grant_done) = { .policy = p, .now_s = q->now_s, .token = BUF_INIT(LIMIT_TOKEN) };
	struct oauth_error o = { .status = 400 };
	bool issued;
	struct err e;

	if (failed(e = token_request_parse(q->body, &g.request, &o)))
		return e.code >= E_LOCAL_MEMORY ? e : reply_oauth(v, &o, ret);
	if (failed(e = check_proof(v, q, &g.proof, &ret->why)))
		return refuse_proof(v, e, q->now_s, &ret->why, ret);
	if (failed(e = decide(v, &g, &o)))
		return e.code >= E_LOCAL_MEMORY ? e : reply_oauth(v, &o, ret);
	memcpy(ret->log_host, g.instance.host_id, sizeof(ret->log_host));
	if (failed(e = issue(v, &g, ret, &issued)) || !issued)
		return e;
	return answer(v, &g, ret);
}
