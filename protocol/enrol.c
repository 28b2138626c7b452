/* SPDX-License-Identifier: Apache-2.0 */
/* enrol-request, enrol-challenge, enrol-activation and enrol-reply of assay.cddl. */
#include <string.h>

#include "protocol/message_parts.h"

#define SESSION_MAX (4 * KIB)
#define SECRET_MAX 32

#define cleanup_request cleanup(enrol_request_done)
#define cleanup_challenge cleanup(enrol_challenge_done)
#define cleanup_activation cleanup(enrol_activation_done)

void enrol_request_init(struct enrol_request *m)
{
	*m = (struct enrol_request){ 0 };
	buf_init(&m->ek_public, LIMIT_TPM2B);
	buf_init(&m->ek_cert, LIMIT_CERT);
	for (size_t i = 0; i < LIMIT_CHAIN; i++)
		buf_init(&m->chain[i], LIMIT_CERT);
	buf_init(&m->ak_public, LIMIT_TPM2B);
}

void enrol_request_done(struct enrol_request *m)
{
	buf_free(&m->ek_public);
	buf_free(&m->ek_cert);
	for (size_t i = 0; i < LIMIT_CHAIN; i++)
		buf_free(&m->chain[i]);
	m->n_chain = 0;
	buf_free(&m->ak_public);
}

static struct err put_chain(json_t *o, const struct enrol_request *m)
{
	cleanup_json json_t *a = json_array();
	struct err e;

	if (m->n_chain == 0)
		return ERR(E_OK);
	if (a == NULL)
		return ERR(E_LOCAL_MEMORY);
	for (size_t i = 0; i < m->n_chain; i++)
		if (failed(e = element_put(a, buf_bytes(&m->chain[i]))))
			return e;
	return json_put(o, "ek_chain", take_ptr(&a));
}

static struct err request_to_json(const struct enrol_request *m, json_t **ret)
{
	cleanup_json json_t *o = NULL;
	struct err e;

	if (m->n_chain > LIMIT_CHAIN)
		return ERR(E_BUG);
	if (failed(e = json_new_object(&o)) ||
	    failed(e = json_put_b64url(o, "ek_public", buf_bytes(&m->ek_public))) ||
	    failed(e = put_chain(o, m)) ||
	    failed(e = json_put_b64url(o, "ak_public", buf_bytes(&m->ak_public))))
		return e;
	if (m->ek_cert.n > 0 && failed(e = json_put_b64url(o, "ek_cert", buf_bytes(&m->ek_cert))))
		return e;
	*ret = take_ptr(&o);
	return ERR(E_OK);
}

struct err enrol_request_encode(const struct enrol_request *m, struct buf *ret)
{
	cleanup_json json_t *o = NULL;
	struct err e;

	if (failed(e = request_to_json(m, &o)))
		return e;
	return json_write(o, ret);
}

static struct err get_chain(struct jobj *o, struct enrol_request *m)
{
	const json_t *a = NULL;
	struct err e;

	if (!jobj_has(o, "ek_chain"))
		return ERR(E_OK);
	if (failed(e = jobj_arr(o, "ek_chain", LIMIT_CHAIN, &a)))
		return e;
	m->n_chain = json_array_size(a);
	for (size_t i = 0; i < m->n_chain; i++) {
		if (failed(e = element_get(json_array_get(a, i), "ek_chain", &m->chain[i], o->reterr)))
			return e;
		if (m->chain[i].n == 0) {
			reason_set(o->reterr, "ek_chain: an element is empty");
			return ERR(E_PEER_RANGE);
		}
	}
	return ERR(E_OK);
}

static struct err request_from_json(struct jobj *o, struct enrol_request *m)
{
	struct err e;

	if (failed(e = buf_get(o, "ek_public", &m->ek_public)) ||
	    failed(e = get_chain(o, m)) ||
	    failed(e = buf_get(o, "ak_public", &m->ak_public)))
		return e;
	if (jobj_has(o, "ek_cert") && failed(e = buf_get(o, "ek_cert", &m->ek_cert)))
		return e;
	return jobj_end(o);
}

/* Hands the contents over and leaves an empty message behind. */
static void request_move(struct enrol_request *ret, struct enrol_request *m)
{
	*ret = *m;
	enrol_request_init(m);
}

struct err enrol_request_decode(struct bytes in, struct enrol_request *ret, struct reason *reterr)
{
	cleanup_request struct enrol_request m;
	cleanup_json json_t *j = NULL;
	struct jobj o = { 0 };
	struct err e;

	enrol_request_init(&m);
	if (failed(e = body_parse(in, LIMIT_SMALL, &j, &o, reterr)) ||
	    failed(e = request_from_json(&o, &m)))
		return e;
	request_move(ret, &m);
	return ERR(E_OK);
}

void enrol_challenge_init(struct enrol_challenge *m)
{
	*m = (struct enrol_challenge){ 0 };
	buf_init(&m->credential_blob, LIMIT_TPM2B);
	buf_init(&m->encrypted_secret, LIMIT_TPM2B);
	buf_init(&m->session, SESSION_MAX);
}

void enrol_challenge_done(struct enrol_challenge *m)
{
	buf_free(&m->credential_blob);
	buf_free(&m->encrypted_secret);
	buf_free(&m->session);
}

struct err enrol_challenge_encode(const struct enrol_challenge *m, struct buf *ret)
{
	cleanup_json json_t *o = NULL;
	struct err e;

	if (failed(e = json_new_object(&o)) ||
	    failed(e = json_put_str(o, "host", m->host_id)) ||
	    failed(e = json_put_b64url(o, "credential_blob", buf_bytes(&m->credential_blob))) ||
	    failed(e = json_put_b64url(o, "encrypted_secret", buf_bytes(&m->encrypted_secret))) ||
	    failed(e = json_put_b64url(o, "session", buf_bytes(&m->session))))
		return e;
	return json_write(o, ret);
}

struct err enrol_challenge_decode(struct bytes in, struct enrol_challenge *ret, struct reason *reterr)
{
	cleanup_challenge struct enrol_challenge m;
	cleanup_json json_t *j = NULL;
	struct jobj o = { 0 };
	struct err e;

	enrol_challenge_init(&m);
	if (failed(e = body_parse(in, LIMIT_SMALL, &j, &o, reterr)) ||
	    failed(e = host_id_get(&o, "host", m.host_id)) ||
	    failed(e = buf_get(&o, "credential_blob", &m.credential_blob)) ||
	    failed(e = buf_get(&o, "encrypted_secret", &m.encrypted_secret)) ||
	    failed(e = buf_get(&o, "session", &m.session)) ||
	    failed(e = jobj_end(&o)))
		return e;
	*ret = m;
	enrol_challenge_init(&m);
	return ERR(E_OK);
}

void enrol_activation_init(struct enrol_activation *m)
{
	*m = (struct enrol_activation){ 0 };
	enrol_request_init(&m->request);
	buf_init(&m->session, SESSION_MAX);
	buf_init(&m->secret, SECRET_MAX);
}

void enrol_activation_done(struct enrol_activation *m)
{
	enrol_request_done(&m->request);
	buf_free(&m->session);
	buf_free(&m->secret);
}

struct err enrol_activation_encode(const struct enrol_activation *m, struct buf *ret)
{
	cleanup_json json_t *o = NULL, *request = NULL;
	struct err e;

	if (failed(e = request_to_json(&m->request, &request)) ||
	    failed(e = json_new_object(&o)) ||
	    failed(e = json_put(o, "request", take_ptr(&request))) ||
	    failed(e = json_put_b64url(o, "session", buf_bytes(&m->session))) ||
	    failed(e = json_put_b64url(o, "secret", buf_bytes(&m->secret))))
		return e;
	return json_write(o, ret);
}

struct err enrol_activation_decode(struct bytes in, struct enrol_activation *ret, struct reason *reterr)
{
	cleanup_activation struct enrol_activation m;
	cleanup_json json_t *j = NULL;
	const json_t *request = NULL;
	struct jobj o = { 0 }, inner = { 0 };
	struct err e;

	enrol_activation_init(&m);
	if (failed(e = body_parse(in, LIMIT_SMALL, &j, &o, reterr)) ||
	    failed(e = jobj_obj(&o, "request", &request)) ||
	    failed(e = jobj_init(&inner, request, "request", reterr)) ||
	    failed(e = request_from_json(&inner, &m.request)) ||
	    failed(e = buf_get(&o, "session", &m.session)) ||
	    failed(e = buf_get(&o, "secret", &m.secret)) ||
	    failed(e = jobj_end(&o)))
		return e;
	*ret = m;
	enrol_activation_init(&m);
	return ERR(E_OK);
}

static bool state_valid(const char *s)
{
	return strcmp(s, "PENDING") == 0 || strcmp(s, "ENROLLED") == 0;
}

struct err enrol_reply_encode(const struct enrol_reply *m, struct buf *ret)
{
	cleanup_json json_t *o = NULL;
	struct err e;

	if (!state_valid(m->state))
		return ERR(E_BUG);
	if (failed(e = json_new_object(&o)) ||
	    failed(e = json_put_str(o, "host", m->host_id)) ||
	    failed(e = json_put_str(o, "state", m->state)) ||
	    failed(e = json_put_str(o, "issuer", m->issuer)) ||
	    failed(e = json_put_hex(o, "ek_sha256", BYTES_ARR(m->ek_sha256))))
		return e;
	return json_write(o, ret);
}

struct err enrol_reply_decode(struct bytes in, struct enrol_reply *ret, struct reason *reterr)
{
	cleanup_json json_t *j = NULL;
	struct enrol_reply m = { 0 };
	struct jobj o = { 0 };
	struct err e;

	if (failed(e = body_parse(in, LIMIT_SMALL, &j, &o, reterr)) ||
	    failed(e = host_id_get(&o, "host", m.host_id)) ||
	    failed(e = text_get(&o, "state", m.state, sizeof(m.state))) ||
	    failed(e = issuer_get(&o, "issuer", m.issuer)) ||
	    failed(e = jobj_hex(&o, "ek_sha256", m.ek_sha256, sizeof(m.ek_sha256))) ||
	    failed(e = jobj_end(&o)))
		return e;
	if (!state_valid(m.state)) {
		reason_set(reterr, "state: PENDING or ENROLLED is expected");
		return ERR(E_PEER_RANGE);
	}
	*ret = m;
	return ERR(E_OK);
}
