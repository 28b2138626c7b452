/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/fake_verifier.h"

#include <string.h>

#include "base/file.h"
#include "base/jose.h"
#include "base/text.h"

#define NONCE "fake-nonce-1"

static void need(struct err e)
{
	if (failed(e))
		abort();
}

static const char *issuer(const struct fake_verifier *v)
{
	return v->issuer != NULL ? v->issuer : v->server.url;
}

static void problem(struct http_answer *a, unsigned status, const char *name, const char *detail)
{
	struct problem p = { .status = status };

	(void)snprintf(p.name, sizeof(p.name), "%s", name);
	(void)snprintf(p.title, sizeof(p.title), "refused");
	(void)snprintf(p.detail, sizeof(p.detail), "%s", detail);
	a->status = status;
	a->content_type = "application/problem+json";
	buf_clear(&a->body);
	need(problem_encode(&p, &a->body));
}

static void wrong(struct fake_verifier *v, struct http_answer *a, const char *where, const char *why)
{
	if (v->why.text[0] == '\0')
		reason_set(&v->why, "%s: %s", where, why);
	problem(a, 400, "E_PEER_SYNTAX", why);
}

static struct err wrap(struct fake_verifier *v, const struct enrol_request *q, struct enrol_challenge *ch)
{
	struct tpm_public ek, ak;
	struct tpm_name name;
	struct err e;

	if (failed(e = tpm_public_parse(buf_bytes(&q->ek_public), &ek)) || failed(e = tpm_check_ek(&ek, &v->why)) ||
	    failed(e = tpm_public_parse(buf_bytes(&q->ak_public), &ak)) || failed(e = tpm_check_ak(&ak, &v->why)) ||
	    failed(e = tpm_public_name(&ak, &name)) || failed(e = host_id_of(&ek, v->host_id)) ||
	    failed(e = random_bytes(v->secret, sizeof(v->secret))))
		return e;
	(void)snprintf(ch->host_id, sizeof(ch->host_id), "%s", v->host_id);
	if (failed(e = buf_add(&ch->session, BYTES_LIT("session"))))
		return e;
	return tpm_make_credential(&ek, &name, BYTES_ARR(v->secret), &ch->credential_blob, &ch->encrypted_secret);
}

static void on_enrol(struct fake_verifier *v, const struct http_question *q, struct http_answer *a)
{
	cleanup(enrol_challenge_done) struct enrol_challenge ch;
	cleanup(enrol_request_done) struct enrol_request r;

	enrol_request_init(&r);
	enrol_challenge_init(&ch);
	if (failed(enrol_request_decode(q->body, &r, &v->why)) || failed(wrap(v, &r, &ch)) ||
	    failed(enrol_challenge_encode(&ch, &a->body)))
		wrong(v, a, "enrol", v->why.text);
}

static struct err activate(struct fake_verifier *v, struct bytes body, struct enrol_reply *ret)
{
	cleanup(enrol_activation_done) struct enrol_activation x;
	cleanup_key struct key *ek = NULL;
	struct tpm_public p;
	struct err e;

	enrol_activation_init(&x);
	if (failed(e = enrol_activation_decode(body, &x, &v->why)))
		return e;
	if (!bytes_eq_secret(buf_bytes(&x.secret), BYTES_ARR(v->secret)) ||
	    !bytes_eq(buf_bytes(&x.session), BYTES_LIT("session")))
		return ERR(E_AUTH_REFUSED);
	evidence_check_done(&v->check);
	evidence_check_init(&v->check);
	if (failed(e = buf_add(&v->check.ak_public, buf_bytes(&x.request.ak_public))) ||
	    failed(e = tpm_public_parse(buf_bytes(&x.request.ek_public), &p)) || failed(e = tpm_public_key(&p, &ek)))
		return e;
	return key_spki_sha256(ek, ret->ek_sha256);
}

static void on_activate(struct fake_verifier *v, const struct http_question *q, struct http_answer *a)
{
	struct enrol_reply r = { .state = "PENDING" };

	(void)snprintf(r.host_id, sizeof(r.host_id), "%s", v->host_id);
	(void)snprintf(r.issuer, sizeof(r.issuer), "%s", issuer(v));
	if (failed(activate(v, q->body, &r)) || failed(enrol_reply_encode(&r, &a->body))) {
		wrong(v, a, "activate", v->why.text);
		return;
	}
	v->n_enrolled++;
}

static void on_challenge(struct fake_verifier *v, const struct http_question *q, struct http_answer *a)
{
	struct challenge_request r;

	if (failed(challenge_request_decode(q->body, &r, &v->why)) || strcmp(r.host_id, v->host_id) != 0) {
		wrong(v, a, "challenge", v->why.text);
		return;
	}
	memset(v->challenge, 0, sizeof(*v->challenge));
	need(random_bytes(v->challenge->nonce, NONCE_LEN));
	(void)snprintf(v->challenge->issuer, sizeof(v->challenge->issuer), "%s", issuer(v));
	v->challenge->selection = (struct pcr_selection){ .n = 1, .bank = { { TPM_ALG_SHA256, 0x20ff } } };
	evidence_check_challenge(&v->check, v->challenge);
	need(challenge_encode(v->challenge, &a->body));
	v->n_challenges++;
}

/* A log that is sent again from its beginning says nothing new. */
static void count_events(struct fake_verifier *v)
{
	uint64_t first = v->check.log_records - v->check.n_events;

	if (!bytes_eq(tpm_name_bytes(&v->counted_boot), tpm_name_bytes(&v->check.null_name)))
		v->n_counted = 0;
	v->counted_boot = v->check.null_name;
	for (size_t i = 0; i < v->check.n_events; i++) {
		if (first + i < v->n_counted)
			continue;
		v->n_start += v->check.event[i] == WORKLOAD_START;
		v->n_end += v->check.event[i] == WORKLOAD_END;
		v->n_changed += v->check.event[i] == WORKLOAD_CHANGED;
		v->changed = v->changed || v->check.event[i] == WORKLOAD_CHANGED;
	}
	v->n_counted = v->check.log_records;
}

static void reply(struct fake_verifier *v, struct http_answer *a)
{
	cleanup(attest_reply_done) struct attest_reply r = { .expires_s = clock_now_s() + v->life_s };
	bool fails = v->fail_on_change && v->changed;

	(void)snprintf(r.host_id, sizeof(r.host_id), "%s", v->host_id);
	(void)snprintf(r.state, sizeof(r.state), "%s", fails ? "FAILED" : v->state);
	r.result = calloc(v->check.n_presented + 1, sizeof(*r.result));
	r.n_results = v->check.n_presented;
	for (size_t i = 0; i < r.n_results; i++) {
		need(hex_encode(BYTES_ARR(v->check.presented[i]), r.result[i].instance, sizeof(r.result[i].instance)));
		(void)snprintf(r.result[i].status, sizeof(r.result[i].status), "%s",
			       fails ? "contraindicated" : v->status);
		buf_init(&r.result[i].ear, LIMIT_TOKEN);
		need(buf_add(&r.result[i].ear, BYTES_LIT("e.e.e")));
	}
	if (strcmp(r.state, "VERIFIED") != 0) {
		r.expires_s = 0;
		r.n_failures = 1;
		r.failure[0] = (struct attest_failure){ "W-model", "the model", "approved", "something else" };
	}
	need(attest_reply_encode(&r, &a->body));
}

static void on_attest(struct fake_verifier *v, const struct http_question *q, struct http_answer *a)
{
	struct reason why = { "" };

	if (v->n_retry > 0) {
		v->n_retry--;
		problem(a, 409, "E_AUTH_RETRY", "state moved");
		return;
	}
	if (strcmp(q->content_type, EVIDENCE_MEDIA_TYPE) != 0 ||
	    failed(evidence_check(&v->check, v->challenge, q->body, &why))) {
		wrong(v, a, "attest", why.text);
		return;
	}
	v->n_attested++;
	count_events(v);
	reply(v, a);
	if (strcmp(v->state, "VERIFIED") != 0)
		evidence_check_forget(&v->check);
	if (strcmp(v->state, "REBOOTED") == 0)
		v->state = "VERIFIED";
}

/* DPoP as in RFC 9449: proof by the key in its header, our URL, our nonce. */
static struct err check_proof(struct fake_verifier *v, const char *proof, bool *ret_nonce)
{
	cleanup_jws struct jws j = { 0 };
	cleanup_key struct key *key = NULL;
	const char *htu, *nonce;
	char url[128];
	struct err e;

	if (failed(e = jws_parse(bytes_str(proof), &j, &v->why)) ||
	    failed(e = jws_verify_embedded(&j, "dpop+jwt", &key, &v->why)) || failed(e = jwk_thumbprint(key, v->jkt)))
		return e;
	(void)snprintf(url, sizeof(url), "%s/v1/token", issuer(v));
	htu = json_string_value(json_object_get(j.unsigned_claims, "htu"));
	nonce = json_string_value(json_object_get(j.unsigned_claims, "nonce"));
	*ret_nonce = nonce != NULL && strcmp(nonce, NONCE) == 0;
	return htu != NULL && strcmp(htu, url) == 0 ? ERR(E_OK) : ERR(E_PEER_RANGE);
}

static void on_token(struct fake_verifier *v, const struct http_question *q, struct http_answer *a)
{
	bool nonce;

	if (q->dpop == NULL || failed(check_proof(v, q->dpop, &nonce))) {
		wrong(v, a, "token", v->why.text);
		return;
	}
	(void)snprintf(v->form, sizeof(v->form), "%.*s", (int)q->body.n, (const char *)q->body.p);
	if (!nonce) {
		a->status = 400;
		a->header_name[0] = "DPoP-Nonce";
		a->header_value[0] = NONCE;
		need(buf_add_str(&a->body, "{\"error\":\"use_dpop_nonce\"}"));
		return;
	}
	if (strcmp(v->status, "warning") != 0) {
		a->status = 400;
		need(buf_add_str(&a->body, "{\"error\":\"invalid_scope\",\"error_description\":\"not yours\"}"));
		return;
	}
	v->n_tokens++;
	need(buf_add_str(&a->body, "{\"access_token\":\"a.b.c\",\"token_type\":\"DPoP\",\"expires_in\":60}"));
}

static void handle(void *ctx, const struct http_question *q, struct http_answer *a)
{
	static const struct {
		const char *path;
		void (*on)(struct fake_verifier *v, const struct http_question *q, struct http_answer *a);
	} routes[] = {
		{ "/v1/enrol", on_enrol },   { "/v1/enrol/activate", on_activate }, { "/v1/challenge", on_challenge },
		{ "/v1/attest", on_attest }, { "/v1/token", on_token },
	};
	struct fake_verifier *v = ctx;

	if (v->n_unavailable > 0) {
		v->n_unavailable--;
		problem(a, v->unavailable != 0 ? v->unavailable : 503, v->unavailable != 0 ? "E_LIMIT_RATE" : "E_LOCAL_STORE", "later");
		return;
	}
	for (size_t i = 0; i < array_len(routes); i++)
		if (strcmp(q->path, routes[i].path) == 0 && strcmp(q->method, "POST") == 0) {
			routes[i].on(v, q, a);
			return;
		}
	problem(a, 404, "E_PEER_NO_ROUTE", q->path);
}

void fake_verifier_start(struct fake_verifier *v)
{
	memset(v, 0, sizeof(*v));
	v->challenge = calloc(1, sizeof(*v->challenge));
	if (v->challenge == NULL)
		abort();
	evidence_check_init(&v->check);
	v->state = "VERIFIED";
	v->status = "warning";
	v->life_s = 300;
	http_ca_init(&v->ca, "fake verifier CA");
	v->server = (struct http_server){ .handle = handle, .ctx = v };
	http_server_start(&v->server, &v->ca, "127.0.0.1");
}

void fake_verifier_stop(struct fake_verifier *v)
{
	http_server_stop(&v->server);
	http_ca_done(&v->ca);
	evidence_check_done(&v->check);
	free(v->challenge);
}
