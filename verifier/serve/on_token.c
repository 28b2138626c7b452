/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST /v1/token: an access token for the key that proves itself, as far as
 * its live verdict and its agent document go (RFC 6749, RFC 9449).
 */
#include <string.h>

#include "verifier/serve/grant.h"

/* Everything that goes into one token. */
struct wanted {
	struct grant grant;
	struct token_request request;
	uint64_t ttl_s;
	struct buf token;
};

static void wanted_done(struct wanted *w)
{
	grant_done(&w->grant);
	token_request_done(&w->request);
	buf_free(&w->token);
}

/* Reads and decides; an OAuth refusal is left in *o. */
static struct err decide(struct verifier *v, struct wanted *w, struct oauth_error *o)
{
	struct grant *g = &w->grant;
	bool introspects;
	struct err e;

	if (failed(e = grant_find(v, g, o)) ||
	    failed(e = token_decide(&g->instance, g->epoch, g->agent, &w->request, g->now_s, o)) ||
	    failed(e = store_client_resource(v->store, NULL, w->request.resource, &introspects)) ||
	    failed(e = grant_same_document(g, o)))
		return e;
	w->ttl_s = token_ttl(w->request.expected_s, g->agent, g->instance.verdict_expires_s, g->now_s, introspects);
	if (w->ttl_s > 0)
		return ERR(E_OK);
	*o = (struct oauth_error){ 400, "invalid_grant", "nothing is left of the verdict: attest again" };
	return ERR(E_AUTH_REFUSED);
}

static struct err sign(const struct verifier *v, struct wanted *w)
{
	const struct token_spec spec = { v->c.issuer, v->trust_domain, v->signer, v->kid, w->grant.now_s };
	struct grant *g = &w->grant;

	return token_issue(&spec, &g->instance, g->epoch, g->agent, &w->request, w->ttl_s, &g->row, &w->token);
}

static struct err answer(struct verifier *v, const struct wanted *w, struct reply *ret)
{
	struct jsonw j;
	struct err e;

	jsonw_begin(&j, &ret->body);
	jsonw_text(&j, "access_token", buf_bytes(&w->token));
	jsonw_str(&j, "token_type", "DPoP");
	jsonw_int(&j, "expires_in", (int64_t)w->ttl_s);
	jsonw_str(&j, "scope", w->grant.row.scope);
	if (failed(e = jsonw_end(&j)) || failed(e = dpop_nonce(v, w->grant.now_s, ret)))
		return e;
	atomic_fetch_add(&v->metrics.tokens, 1);
	(void)snprintf(ret->log_verdict, sizeof(ret->log_verdict), "issued");
	return ERR(E_OK);
}

struct err on_token(struct verifier *v, const struct request *q, struct reply *ret)
{
	cleanup_policy struct policy *p = policy_hold(v);
	struct wanted w cleanup(wanted_done) = { .grant = { .policy = p, .now_s = q->now_s },
						 .token = BUF_INIT(LIMIT_TOKEN) };
	struct oauth_error o = { .status = 400 };
	bool issued;
	struct err e;

	if (failed(e = token_request_parse(q->body, &w.request, &o)))
		return e.code >= E_LOCAL_MEMORY ? e : reply_oauth(v, &o, ret);
	if (failed(e = grant_proof(v, q, &w.grant, &ret->why)))
		return grant_refuse_proof(v, e, q->now_s, &ret->why, ret);
	if (failed(e = decide(v, &w, &o)))
		return e.code >= E_LOCAL_MEMORY ? e : reply_oauth(v, &o, ret);
	memcpy(ret->log_host, w.grant.instance.host_id, sizeof(ret->log_host));
	if (failed(e = sign(v, &w)) || failed(e = grant_commit(v, &w.grant, ret, &issued)) || !issued)
		return e;
	return answer(v, &w, ret);
}
