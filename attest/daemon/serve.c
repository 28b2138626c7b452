/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/daemon/serve.h"

#include <string.h>

#include "attest/attest.h"
#include "attest/dpop.h"
#include "attest/instance_key.h"
#include "base/jose.h"
#include "base/key.h"
#include "base/log.h"

/* ---------------------------------------------------------------- requests */

static struct err put_thumbprint(const struct wkey_blob *blob, json_t *o)
{
	cleanup_key struct key *key = NULL;
	char jkt[JKT_LEN + 1];
	struct err e;

	if (failed(e = instance_key_public(blob, &key)) || failed(e = jwk_thumbprint(key, jkt)))
		return e;
	return json_put_str(o, "jkt", jkt);
}

static struct err identity(struct host *h, const struct served *s, json_t **ret)
{
	cleanup_wkey_blob struct wkey_blob blob = WKEY_BLOB_INIT;
	cleanup_instance struct instance i = { 0 };
	cleanup_json json_t *o = NULL;
	char hex[INSTANCE_HEX_LEN + 1];
	struct err e;

	instance_id_format(s->instance, hex);
	if (failed(e = instance_read(h->state_fd, s->instance, &i, &blob, &h->why)) ||
	    failed(e = json_new_object(&o)) || failed(e = json_put_str(o, "instance", hex)) ||
	    failed(e = json_put_str(o, "agent", i.agent)) ||
	    failed(e = json_put_str(o, "host", h->enrolment.host_id)) ||
	    failed(e = json_put_str(o, "issuer", h->enrolment.issuer)) ||
	    failed(e = json_put_int(o, "started", i.started_s)) || failed(e = put_thumbprint(&blob, o)))
		return e;
	*ret = take_ptr(&o);
	return ERR(E_OK);
}

static struct err proof(struct host *h, const struct served *s, json_t **ret)
{
	const struct request *r = s->request;
	const struct dpop d = { .instance = s->instance, .method = r->method, .url = r->url, .nonce = r->dpop_nonce,
				.token = r->token };
	cleanup_buf struct buf jwt = BUF_INIT(LIMIT_TOKEN);
	cleanup_json json_t *o = NULL;
	struct err e;

	if (failed(e = dpop_proof(h, &d, &jwt)) || failed(e = json_new_object(&o)) ||
	    failed(e = json_put_text(o, "proof", buf_bytes(&jwt))))
		return e;
	*ret = take_ptr(&o);
	return ERR(E_OK);
}

static struct err sign_handshake(struct host *h, const struct served *s, json_t **ret)
{
	const struct request *r = s->request;
	cleanup_buf struct buf der = BUF_INIT(LIMIT_SMALL);
	cleanup_json json_t *o = NULL;
	struct err e;

	if (failed(e = tls_sign(h, s->instance, BYTES(r->message, r->message_n), &der)) ||
	    failed(e = json_new_object(&o)) || failed(e = json_put_hex(o, "signature", buf_bytes(&der))))
		return e;
	*ret = take_ptr(&o);
	return ERR(E_OK);
}

static struct err give_back(struct host *h, const struct served *s, json_t **ret)
{
	struct err e = token_revoke(h, s->request->token, s->instance);

	return failed(e) ? e : json_new_object(ret);
}

static struct err answer(struct host *h, const struct served *s, json_t **ret)
{
	switch (s->request->kind) {
	case REQUEST_IDENTITY:
		return identity(h, s, ret);
	case REQUEST_TOKEN:
		return token_get(h, &s->request->want, s->instance, ret);
	case REQUEST_PROOF:
		return proof(h, s, ret);
	case REQUEST_REVOKE:
		return give_back(h, s, ret);
	case REQUEST_CERTIFICATE:
		return certificate_get(h, s->request->want.task, s->instance, ret);
	case REQUEST_TLS_SIGN:
		return sign_handshake(h, s, ret);
	case REQUEST_WATCH:
	case REQUEST_STATUS:
	case REQUEST_CONTAINER:
		break;
	}
	return ERR(E_BUG);
}

void serve_request(struct host *h, const void *ctx, struct buf *out)
{
	const struct served *s = ctx;
	const char *why = h->why.text;
	json_t *a = NULL;
	struct err e;

	h->why.text[0] = '\0';
	e = host_read_enrolment(h);
	if (!failed(e)) {
		e = answer(h, s, &a);
		/* Which other instances there are is for root. */
		if (e.code == E_AUTH_UNKNOWN || e.code == E_LOCAL_NOT_FOUND)
			why = "the instance has ended";
	}
	e = failed(e) ? reply_failed(e, why[0] != '\0' ? why : err_text(e), out) : reply_ok(a, out);
	if (failed(e))
		buf_clear(out);
}

/* ---------------------------------------------------------------- attestation */

static void decide(struct host *h, const struct attest_options *options, struct outcome *ret)
{
	cleanup(attest_reply_done) struct attest_reply reply = { 0 };
	struct err e;

	h->why.text[0] = '\0';
	if (failed(e = host_read_enrolment(h)) || failed(e = attest(h, options, &reply))) {
		ret->kind = exit_for(e) == EXIT_REJECTED ? OUTCOME_REFUSED : OUTCOME_UNDECIDED;
		(void)snprintf(ret->text, sizeof(ret->text), "%s",
			       h->why.text[0] != '\0' ? h->why.text : err_text(e));
		return;
	}
	ret->kind = attest_accepted(&reply, NULL) ? OUTCOME_ACCEPTED : OUTCOME_REFUSED;
	ret->expires_s = reply.expires_s;
	for (size_t i = 0; i < reply.n_results && ret->n_accepted < LIMIT_INSTANCES; i++) {
		uint8_t *id = ret->accepted[ret->n_accepted];

		if (reply.result[i].instance[0] != '\0' && !failed(instance_id_parse(reply.result[i].instance, id)) &&
		    attest_accepted(&reply, id))
			ret->n_accepted++;
	}
	attest_describe(&reply, ret->text, sizeof(ret->text));
}

struct err outcome_write(const struct outcome *o, struct buf *out)
{
	cleanup_json json_t *j = NULL, *list = json_array();
	struct err e;

	if (list == NULL)
		return ERR(E_LOCAL_MEMORY);
	for (size_t i = 0; i < o->n_accepted; i++) {
		char hex[INSTANCE_HEX_LEN + 1];

		instance_id_format(o->accepted[i], hex);
		if (json_array_append_new(list, json_string(hex)) != 0)
			return ERR(E_LOCAL_MEMORY);
	}
	if (failed(e = json_new_object(&j)) || failed(e = json_put_int(j, "kind", o->kind)) ||
	    failed(e = json_put_int(j, "expires", o->expires_s)) || failed(e = reply_put_text(j, "text", o->text)) ||
	    failed(e = json_put(j, "accepted", json_incref(list))))
		return e;
	return json_write(j, out);
}

void serve_attest(struct host *h, const void *ctx, struct buf *out)
{
	cleanup_free struct outcome *o = calloc(1, sizeof(*o));

	if (o == NULL)
		return;
	decide(h, ctx, o);
	if (failed(outcome_write(o, out)))
		buf_clear(out);
}

static struct err read_members(const json_t *j, struct outcome *ret)
{
	const json_t *list;
	uint64_t kind, expires;
	const char *text;
	struct jobj o;
	struct err e;

	if (failed(e = jobj_init(&o, j, "outcome", NULL)) ||
	    failed(e = jobj_u64(&o, "kind", OUTCOME_REFUSED, &kind)) ||
	    failed(e = jobj_u64(&o, "expires", INT64_MAX, &expires)) ||
	    failed(e = jobj_str(&o, "text", sizeof(ret->text) - 1, &text)) ||
	    failed(e = jobj_arr(&o, "accepted", LIMIT_INSTANCES, &list)) || failed(e = jobj_end(&o)))
		return e;
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *hex = json_string_value(json_array_get(list, i));

		if (hex == NULL || failed(e = instance_id_parse(hex, ret->accepted[i])))
			return ERR(E_PEER_TYPE);
	}
	ret->n_accepted = json_array_size(list);
	ret->expires_s = (int64_t)expires;
	(void)snprintf(ret->text, sizeof(ret->text), "%s", text);
	ret->kind = (enum outcome_kind)kind;
	return ERR(E_OK);
}

void outcome_read(struct bytes in, struct outcome *ret)
{
	cleanup_json json_t *j = NULL;

	*ret = (struct outcome){ .kind = OUTCOME_UNDECIDED };
	if (failed(json_parse(in, LIMIT_SMALL, &j, NULL)) || failed(read_members(j, ret))) {
		*ret = (struct outcome){ .kind = OUTCOME_UNDECIDED };
		(void)snprintf(ret->text, sizeof(ret->text), "it did not come to its end");
	}
}
