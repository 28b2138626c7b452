/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST /v1/introspect (RFC 7662): is this token, presented with this proof,
 * good at this moment. Whatever does not fit is {"active":false} and nothing
 * else; what could not be found out is a 503, never an answer.
 */
#include <string.h>

#include "verifier/issue/dpop.h"
#include "verifier/issue/form.h"
#include "verifier/serve/internal.h"

struct question {
	char *token, *proof, *htm, *htu, *hint; /* owned */
};

static void question_done(struct question *f)
{
	free(f->token);
	free(f->proof);
	free(f->htm);
	free(f->htu);
	free(f->hint);
}

static struct err question_parse(struct bytes form, struct question *f, struct reason *reterr)
{
	const struct form_field fields[] = {
		{ "token", &f->token, LIMIT_TOKEN, true }, { "dpop", &f->proof, LIMIT_TOKEN, false },
		{ "htm", &f->htm, 16, false },             { "htu", &f->htu, LIMIT_PATH, false },
		{ "token_type_hint", &f->hint, 64, false },
	};

	return form_parse(form, fields, array_len(fields), reterr);
}

struct once {
	const struct dpop_proof *proof;
	int64_t now_s;
};

static struct err use_proof(struct txn *t, void *ctx)
{
	const struct once *o = ctx;
	struct err e = txn_use_once(t, "dpop", BYTES_ARR(o->proof->replay_id), o->proof->expires_s + CLOCK_SKEW_S);

	return failed(e) ? e : txn_time_advance(t, o->now_s);
}

/* One row, one audience, one proof, once. E_AUTH_* and E_PEER_*: no; E_LOCAL_*: do not know. */
static struct err judge(struct verifier *v, const struct request *q, const struct question *f,
			const struct token_claims *c, struct reason *reterr)
{
	cleanup_credential_row struct credential_row row = { .revoked = false };
	const struct dpop_want want = { .htm = f->htm, .htu = f->htu, .token = bytes_str(f->token), .jkt = c->jkt,
					.now_s = q->now_s };
	struct dpop_proof proof;
	bool alive, may_ask;
	struct once once = { &proof, q->now_s };
	struct err e = store_credential(v->store, c->jti, &row, &alive);

	if (e.code == E_LOCAL_NOT_FOUND)
		return ERR(E_AUTH_UNKNOWN);
	if (failed(e) || failed(e = store_client_may_ask(v->store, q->client, row.audience, &may_ask)))
		return e;
	if (!may_ask || !alive || row.expires_s <= q->now_s || strcmp(row.jkt, c->jkt) != 0) {
		reason_set(reterr, !may_ask ? "not a resource of this client" : "no longer alive");
		return ERR(E_AUTH_REFUSED);
	}
	/* A bound token that comes as a bearer token is not the agent's any more. */
	if (f->proof == NULL || f->htm == NULL || f->htu == NULL) {
		reason_set(reterr, "the token came without a proof");
		return ERR(E_AUTH_REFUSED);
	}
	if (failed(e = dpop_verify(bytes_str(f->proof), &want, &proof, reterr)))
		return e;
	e = store_write(v->store, use_proof, &once);
	if (!failed(e))
		verifier_time_seen(v, q->now_s);
	return e;
}

static struct err inactive(struct verifier *v, struct reply *ret)
{
	cleanup_json json_t *o = NULL;
	struct err e;

	atomic_fetch_add(&v->metrics.inactive, 1);
	(void)snprintf(ret->log_verdict, sizeof(ret->log_verdict), "inactive");
	if (failed(e = json_new_object(&o)) || failed(e = json_put_bool(o, "active", false)))
		return e;
	return reply_json(take_ptr(&o), ret);
}

/* RFC 7662, 2.2, with cnf and what stands behind the token. */
static struct err active(struct verifier *v, const struct token_claims *c, struct reply *ret)
{
	cleanup_json json_t *o = json_copy(c->claims);
	struct err e;

	if (o == NULL)
		return ERR(E_LOCAL_MEMORY);
	if (failed(e = json_put_bool(o, "active", true)) || failed(e = json_put_str(o, "token_type", "DPoP")))
		return e;
	atomic_fetch_add(&v->metrics.active, 1);
	(void)snprintf(ret->log_verdict, sizeof(ret->log_verdict), "active");
	return reply_json(take_ptr(&o), ret);
}

struct err on_introspect(struct verifier *v, const struct request *q, struct reply *ret)
{
	struct question f cleanup(question_done) = { NULL, NULL, NULL, NULL, NULL };
	cleanup_token_claims struct token_claims c = { .claims = NULL };
	struct err e;

	if (failed(e = question_parse(q->body, &f, &ret->why)))
		return e;
	e = token_verify(bytes_str(f.token), v->signer, v->c.issuer, q->now_s, &c, &ret->why);
	if (!failed(e))
		e = judge(v, q, &f, &c, &ret->why);
	if (e.code >= E_LOCAL_MEMORY)
		return e;
	return failed(e) ? inactive(v, ret) : active(v, &c, ret);
}
