/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST /v1/revoke (RFC 7009), by a client that may ask about the token, or by
 * the workload with a proof of the token's own key. The answer is 200 also for
 * a token that is unknown or not theirs: it tells nothing.
 */
#include <string.h>

#include "verifier/issue/dpop.h"
#include "verifier/issue/form.h"
#include "verifier/serve/internal.h"

/* Who asks: a client by name, or a key by a proof. */
struct caller {
	char client[65];
	bool by_proof;
	struct dpop_proof proof;
	int64_t now_s;
	bool ends;                        /* the token is theirs to end */
	char jti[44];
	bool replayed;
};

static struct err refuse(struct verifier *v, const char *code, const char *description, struct reply *ret)
{
	struct oauth_error o = { .status = 400 };

	(void)snprintf(o.code, sizeof(o.code), "%s", code);
	(void)snprintf(o.description, sizeof(o.description), "%.255s", description);
	return reply_oauth(v, &o, ret);
}

static struct err check_proof(struct verifier *v, const struct request *q, const char *token, struct caller *c,
			      struct reason *reterr)
{
	cleanup_buf struct buf uri = BUF_INIT(LIMIT_PATH);
	struct dpop_want want = { .htm = "POST", .nonce_key = v->dpop_key, .now_s = q->now_s,
				  .token = bytes_str(token) };
	struct err e;

	if (q->n_dpop != 1) {
		reason_set(reterr, "expected one DPoP header, saw %u", q->n_dpop);
		return ERR(E_PEER_DUPLICATE);
	}
	c->by_proof = true;
	if (failed(e = route_uri(v, q->path, &uri, &want.htu)))
		return e;
	return dpop_verify(bytes_str(q->dpop), &want, &c->proof, reterr);
}

/* Whether this caller may end this token. */
static struct err may_end(struct verifier *v, const struct caller *c, const struct token_claims *t, bool *ret)
{
	cleanup_credential_row struct credential_row row = { .revoked = false };
	bool alive;
	struct err e = store_credential(v->store, t->jti, &row, &alive);

	*ret = false;
	if (e.code == E_LOCAL_NOT_FOUND)
		return ERR(E_OK);
	if (failed(e))
		return e;
	if (!c->by_proof)
		return store_client_may_ask(v->store, c->client, row.audience, ret);
	*ret = bytes_eq_secret(bytes_str(c->proof.jkt), bytes_str(row.jkt));
	return ERR(E_OK);
}

static struct err revoke_txn(struct txn *t, void *ctx)
{
	struct caller *c = ctx;
	struct err e;

	if (c->by_proof) {
		e = txn_use_once(t, "dpop", BYTES_ARR(c->proof.replay_id), c->proof.expires_s + CLOCK_SKEW_S);
		c->replayed = e.code == E_AUTH_CONFLICT;
		if (failed(e))
			return e;
	}
	if (!c->ends)
		return ERR(E_OK);
	e = txn_credential_revoke(t, c->jti);
	return e.code == E_LOCAL_NOT_FOUND ? ERR(E_OK) : e;
}

static struct err authenticate(struct verifier *v, const struct request *q, const char *token, struct caller *c,
			       struct reply *ret, bool *ret_refused)
{
	struct err e, fresh;

	*ret_refused = false;
	if (q->n_dpop == 0)
		return client_authenticate(v, q->authorization, c->client);
	e = check_proof(v, q, token, c, &ret->why);
	if (!failed(e) || e.code >= E_LOCAL_MEMORY)
		return e;
	*ret_refused = true;
	if (e.code != E_AUTH_NONCE)
		return refuse(v, "invalid_dpop_proof", ret->why.text, ret);
	if (failed(fresh = dpop_nonce(v, q->now_s, ret)))
		return fresh;
	return refuse(v, "use_dpop_nonce", ret->why.text, ret);
}

/* A token that does not verify, or has expired, needs no end; one that cannot be looked up does. */
static struct err end_token(struct verifier *v, struct caller *c, const char *token)
{
	cleanup_token_claims struct token_claims t = { .claims = NULL };
	/* Whatever the clock says, revoking works: one that was stepped back must not make this a token of the future. */
	int64_t high_s = atomic_load(&v->time_high);
	struct err e = token_verify(bytes_str(token), v->signer, v->c.issuer, c->now_s > high_s ? c->now_s : high_s, &t,
				    NULL);

	if (e.code >= E_LOCAL_MEMORY)
		return e;
	if (!failed(e) && failed(e = may_end(v, c, &t, &c->ends)))
		return e;
	memcpy(c->jti, t.jti, sizeof(c->jti));
	return store_write(v->store, revoke_txn, c);
}

struct err on_revoke(struct verifier *v, const struct request *q, struct reply *ret)
{
	cleanup_free char *token = NULL;
	cleanup_free char *hint = NULL;
	const struct form_field fields[] = {
		{ "token", &token, LIMIT_TOKEN, true },
		{ "token_type_hint", &hint, 64, false },
	};
	struct caller c = { .now_s = q->now_s };
	bool refused;
	struct err e;

	if (failed(e = form_parse(q->body, fields, array_len(fields), &ret->why)) ||
	    failed(e = authenticate(v, q, token, &c, ret, &refused)) || refused)
		return e;
	e = end_token(v, &c, token);
	if (c.replayed)
		return refuse(v, "invalid_dpop_proof", "this proof was used before", ret);
	if (failed(e))
		return e;
	(void)snprintf(ret->log_verdict, sizeof(ret->log_verdict), "%s", c.ends ? "revoked" : "nothing");
	return buf_add_str(&ret->body, "{}");
}
