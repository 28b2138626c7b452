/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/daemon/request.h"

#include <string.h>

#include "base/log.h"
#include "base/text.h"

static const char *const names[] = {
	[REQUEST_IDENTITY] = "identity", [REQUEST_TOKEN] = "token",   [REQUEST_PROOF] = "proof",
	[REQUEST_REVOKE] = "revoke",     [REQUEST_CERTIFICATE] = "certificate", [REQUEST_TLS_SIGN] = "tls-sign",
	[REQUEST_WATCH] = "watch",       [REQUEST_STATUS] = "status",
	[REQUEST_CONTAINER] = "container",
};

const char *request_name(enum request_kind kind)
{
	return names[kind];
}

void request_done(struct request *r)
{
	json_decref(r->json);
	*r = (struct request){ 0 };
}

static struct err read_token(struct jobj *o, struct token_want *w)
{
	struct err e;

	if (failed(e = jobj_str(o, "scope", REQUEST_TEXT_MAX, &w->scope)) ||
	    failed(e = jobj_str(o, "resource", LIMIT_PATH, &w->resource)) || failed(e = jobj_id(o, "task", &w->task)) ||
	    failed(e = jobj_u64(o, "expected_s", TOKEN_EXPECTED_MAX_S, &w->expected_s)))
		return e;
	return w->expected_s == 0 ? ERR(E_PEER_RANGE) : ERR(E_OK);
}

static struct err read_proof(struct jobj *o, struct request *r)
{
	struct err e;

	if (failed(e = jobj_str(o, "method", REQUEST_METHOD_MAX, &r->method)) ||
	    failed(e = jobj_str(o, "url", LIMIT_PATH, &r->url)))
		return e;
	if (jobj_has(o, "token") && failed(e = jobj_str(o, "token", LIMIT_TOKEN, &r->token)))
		return e;
	if (jobj_has(o, "dpop_nonce") && failed(e = jobj_str(o, "dpop_nonce", REQUEST_TEXT_MAX, &r->dpop_nonce)))
		return e;
	return ERR(E_OK);
}

/* What may be signed is for tls_sign() to say. */
static struct err read_message(struct jobj *o, struct request *r)
{
	const char *hex;
	struct err e = jobj_str(o, "message", 2 * sizeof(r->message), &hex);

	if (failed(e))
		return e;
	r->message_n = strlen(hex) / 2;
	return hex_decode_exact(bytes_str(hex), r->message, r->message_n);
}

static struct err read_kind(struct jobj *o, enum request_kind *ret, struct reason *reterr)
{
	const char *name;
	struct err e;

	if (failed(e = jobj_str(o, "request", 16, &name)))
		return e;
	for (size_t i = 0; i < array_len(names); i++) {
		if (strcmp(names[i], name) == 0) {
			*ret = (enum request_kind)i;
			return ERR(E_OK);
		}
	}
	reason_set(reterr, "there is no request \"%s\"", log_quote(bytes_str(name)));
	return ERR(E_PEER_UNSUPPORTED);
}

static struct err read_members(struct request *r, struct reason *reterr)
{
	struct jobj o;
	struct err e;

	if (failed(e = jobj_init(&o, r->json, "request", reterr)) ||
	    failed(e = jobj_hex(&o, "nonce", r->nonce, sizeof(r->nonce))) ||
	    failed(e = read_kind(&o, &r->kind, reterr)))
		return e;
	if (r->kind == REQUEST_TOKEN && failed(e = read_token(&o, &r->want)))
		return e;
	if (r->kind == REQUEST_PROOF && failed(e = read_proof(&o, r)))
		return e;
	if (r->kind == REQUEST_REVOKE && failed(e = jobj_str(&o, "token", LIMIT_TOKEN, &r->token)))
		return e;
	if (r->kind == REQUEST_CERTIFICATE && failed(e = jobj_id(&o, "task", &r->want.task)))
		return e;
	if (r->kind == REQUEST_TLS_SIGN && failed(e = read_message(&o, r)))
		return e;
	if (r->kind == REQUEST_CONTAINER && failed(e = jobj_hex(&o, "instance", r->instance, sizeof(r->instance))))
		return e;
	return jobj_end(&o);
}

struct err request_parse(struct bytes in, struct request *ret, struct reason *reterr)
{
	cleanup_request struct request r = { 0 };
	struct err e;

	if (failed(e = json_parse(in, REQUEST_MAX, &r.json, reterr)) || failed(e = read_members(&r, reterr)))
		return e;
	*ret = r;
	r.json = NULL;
	return ERR(E_OK);
}

static struct err put_token(json_t *o, const struct token_want *w)
{
	struct err e;

	if (failed(e = json_put_str(o, "scope", w->scope)) || failed(e = json_put_str(o, "resource", w->resource)) ||
	    failed(e = json_put_str(o, "task", w->task)))
		return e;
	return json_put_int(o, "expected_s", (int64_t)w->expected_s);
}

static struct err put_proof(json_t *o, const struct request *r)
{
	struct err e;

	if (failed(e = json_put_str(o, "method", r->method)) || failed(e = json_put_str(o, "url", r->url)))
		return e;
	if (r->token != NULL && failed(e = json_put_str(o, "token", r->token)))
		return e;
	return r->dpop_nonce == NULL ? ERR(E_OK) : json_put_str(o, "dpop_nonce", r->dpop_nonce);
}

struct err request_write(const struct request *r, struct buf *ret)
{
	cleanup_json json_t *o = NULL;
	struct err e;

	if (failed(e = json_new_object(&o)) || failed(e = json_put_hex(o, "nonce", BYTES_ARR(r->nonce))) ||
	    failed(e = json_put_str(o, "request", names[r->kind])))
		return e;
	if (r->kind == REQUEST_TOKEN && failed(e = put_token(o, &r->want)))
		return e;
	if (r->kind == REQUEST_PROOF && failed(e = put_proof(o, r)))
		return e;
	if (r->kind == REQUEST_REVOKE && failed(e = json_put_str(o, "token", r->token)))
		return e;
	if (r->kind == REQUEST_CERTIFICATE && failed(e = json_put_str(o, "task", r->want.task)))
		return e;
	if (r->kind == REQUEST_TLS_SIGN && failed(e = json_put_hex(o, "message", BYTES(r->message, r->message_n))))
		return e;
	if (r->kind == REQUEST_CONTAINER && failed(e = json_put_hex(o, "instance", BYTES_ARR(r->instance))))
		return e;
	return json_write(o, ret);
}

struct err reply_put_text(json_t *o, const char *key, const char *text)
{
	struct bytes rest = bytes_str(text);

	for (size_t n; rest.n > 0 && (n = utf8_len(rest)) > 0;)
		rest = (struct bytes){ rest.p + n, rest.n - n };
	return json_put_text(o, key, BYTES(text, strlen(text) - rest.n));
}

struct err reply_ok(json_t *answer, struct buf *ret)
{
	cleanup_json json_t *o = NULL;
	struct err e = json_new_object(&o);

	if (failed(e)) {
		json_decref(answer);
		return e;
	}
	if (failed(e = json_put(o, "answer", answer)) || failed(e = json_put_str(o, "outcome", "ok")))
		return e;
	return json_write(o, ret);
}

struct err reply_failed(struct err why, const char *reason, struct buf *ret)
{
	cleanup_json json_t *o = NULL;
	struct err e;

	if (failed(e = json_new_object(&o)) ||
	    failed(e = json_put_str(o, "outcome", exit_for(why) == EXIT_REJECTED ? "refused" : "error")) ||
	    failed(e = json_put_str(o, "error", err_name(why))) || failed(e = reply_put_text(o, "reason", reason)))
		return e;
	return json_write(o, ret);
}
