/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST /v1/x509-svid: a certificate for the key that proves itself, on the
 * terms of a token. The proof, over a nonce of ours, is the proof of
 * possession, so there is no request to be signed (PKCS #10).
 */
#include <string.h>

#include "verifier/issue/spiffe.h"
#include "verifier/issue/svid.h"
#include "verifier/serve/grant.h"

struct wanted {
	struct grant grant;
	char *task;
	uint64_t ttl_s;
	struct cert *cert;
};

static void wanted_done(struct wanted *w)
{
	grant_done(&w->grant);
	free(w->task);
	cert_free(w->cert);
}

/* Reads and decides; an OAuth refusal is left in *o. */
static struct err decide(struct verifier *v, struct wanted *w, struct oauth_error *o)
{
	struct grant *g = &w->grant;
	struct err e;

	if (failed(e = grant_find(v, g, o)) ||
	    failed(e = svid_decide(&g->instance, g->epoch, g->agent, g->now_s, o)) ||
	    failed(e = grant_same_document(g, o)))
		return e;
	w->ttl_s = svid_ttl(g->agent, g->instance.verdict_expires_s, v->svid.expires_s, g->now_s);
	if (w->ttl_s > 0)
		return ERR(E_OK);
	*o = (struct oauth_error){ 400, "invalid_grant", "nothing is left of the verdict: attest again" };
	return ERR(E_AUTH_REFUSED);
}

static struct err sign(const struct verifier *v, struct wanted *w)
{
	const struct svid_spec spec = { v->trust_domain, v->svid.key, v->svid.ca, w->grant.now_s, w->ttl_s };
	struct grant *g = &w->grant;

	return svid_issue(&spec, &g->proof, &g->instance, g->epoch, g->agent, w->task, &g->row, &w->cert);
}

static struct err answer(struct verifier *v, const struct wanted *w, struct reply *ret)
{
	cleanup_buf struct buf pem = BUF_INIT(2 * LIMIT_CERT), id = BUF_INIT(512);
	const struct grant *g = &w->grant;
	struct jsonw j;
	struct err e;

	if (failed(e = cert_to_pem(w->cert, &pem)) ||
	    failed(e = spiffe_instance(v->trust_domain, g->instance.agent, g->instance.id, &id)))
		return e;
	jsonw_begin(&j, &ret->body);
	jsonw_text(&j, "certificate", buf_bytes(&pem));
	jsonw_text(&j, "ca", buf_bytes(&v->svid.pem));
	jsonw_text(&j, "spiffe_id", buf_bytes(&id));
	jsonw_int(&j, "expires_in", (int64_t)w->ttl_s);
	if (failed(e = jsonw_end(&j)) || failed(e = dpop_nonce(v, g->now_s, ret)))
		return e;
	atomic_fetch_add(&v->metrics.certificates, 1);
	(void)snprintf(ret->log_verdict, sizeof(ret->log_verdict), "issued");
	return ERR(E_OK);
}

struct err on_x509_svid(struct verifier *v, const struct request *q, struct reply *ret)
{
	cleanup_policy struct policy *p = policy_hold(v);
	struct wanted w cleanup(wanted_done) = { .grant = { .policy = p, .now_s = q->now_s } };
	struct oauth_error o = { .status = 400 };
	bool issued;
	struct err e;

	if (failed(e = svid_request_parse(q->body, &w.task, &o)))
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
