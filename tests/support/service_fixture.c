/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/service_fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"

static void must_at(struct err e, int line)
{
	if (failed(e)) {
		(void)fprintf(stderr, "service_fixture.c:%d: %s\n", line, err_name(e));
		abort();
	}
}
#define must(e) must_at((e), __LINE__)

static void must_200_at(unsigned status, const struct reply *r, int line)
{
	if (status != 200) {
		(void)fprintf(stderr, "service_fixture.c:%d: status %u: %.*s\n", line, status, (int)r->body.n,
			      (const char *)r->body.p);
		abort();
	}
}
#define must_200(status, r) must_200_at((status), (r), __LINE__)

void service_operators(struct service *s, const char *kinds)
{
	cleanup_buf struct buf pem = BUF_INIT(4096), json = BUF_INIT(16384);
	cleanup_json json_t *o = NULL;
	const char *text;

	must(key_public_to_pem(s->operator, &pem));
	must(buf_cstr(&pem, &text));
	if (kinds == NULL)
		o = json_pack("{s:[]}", "operators");
	else
		o = json_pack("{s:[{s:s, s:s, s:o, s:[s]}]}", "operators", "name", "alice", "public_key", text, "kinds",
			      json_loads(kinds, 0, NULL), "prefixes", "");
	if (o == NULL)
		abort();
	must(json_write(o, &json));
	must(file_write(AT_FDCWD, s->operators_file, buf_bytes(&json), 0600));
}

static void start(struct service *s)
{
	struct reason why = { "" };

	if (failed(verifier_new(&s->c, &s->v, &why))) {
		(void)fprintf(stderr, "verifier: %s\n", why.text);
		abort();
	}
}

struct service *service_new(void)
{
	struct service *s = calloc(1, sizeof(*s));

	if (s == NULL || (s->dir = strdup("/tmp/assay-serve-XXXXXX")) == NULL || mkdtemp(s->dir) == NULL)
		abort();
	(void)snprintf(s->operators_file, sizeof(s->operators_file), "%s/operators.json", s->dir);
	verifier_config_init(&s->c);
	s->c.issuer = LAB_ISSUER;
	s->c.realm = DOC_REALM;
	s->c.state_dir = s->dir;
	s->c.operators_file = s->operators_file;
	s->c.allow_no_ek_certificate = true;
	s->lab = lab_new(SOFTTPM_AK_P256);
	s->now_s = LAB_NOW;
	must(key_generate(KEY_ED25519, &s->operator));
	service_operators(s, "[\"host\",\"image\",\"model\",\"platform\",\"agent\",\"withdraw\"]");
	start(s);
	return s;
}

void service_restart(struct service *s)
{
	verifier_free(take_ptr(&s->v));
	start(s);
}

static void remove_dir(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *entry;

	while (d != NULL && (entry = readdir(d)) != NULL)
		if (entry->d_name[0] != '.' || strlen(entry->d_name) > 2)
			(void)unlinkat(dirfd(d), entry->d_name, 0);
	if (d != NULL)
		(void)closedir(d);
	(void)rmdir(dir);
}

void service_free(struct service *s)
{
	verifier_free(s->v);
	lab_free(s->lab);
	key_free(s->operator);
	remove_dir(s->dir);
	free(s->dir);
	free(s);
}

struct request service_request(const struct service *s, const char *method, const char *path, const char *type,
			       struct bytes body)
{
	return (struct request){ .method = method, .path = path, .content_type = type, .body = body, .now_s = s->now_s,
				 .has_peer = true, .peer_uid = 0 };
}

void service_send(struct service *s, const struct request *q, struct reply *ret)
{
	bool admin = strncmp(q->path, "/v1/admin/", strlen("/v1/admin/")) == 0;
	const struct route *r = NULL;
	struct err e = route_find(admin, q->method, q->path, q->content_type, &r);

	reply_init(ret);
	if (failed(e))
		reply_error(r, e, NULL, ret);
	else
		route_run(s->v, r, q, ret);
}

unsigned service_call(struct service *s, const char *method, const char *path, const char *type, struct bytes body,
		      struct reply *ret)
{
	const struct request q = service_request(s, method, path, type, body);

	service_send(s, &q, ret);
	return ret->status;
}

json_t *service_json(const struct reply *r)
{
	json_t *j = NULL;

	must(json_parse(buf_bytes(&r->body), r->body.n, &j, NULL));
	return j;
}

void service_member(const struct reply *r, const char *key, char *out, size_t n)
{
	cleanup_json json_t *j = service_json(r);
	const char *text = json_string_value(json_object_get(j, key));

	(void)snprintf(out, n, "%s", text == NULL ? "" : text);
}

static void enrol_request_fill(const struct service *s, struct enrol_request *q)
{
	must(buf_add(&q->ek_public, buf_bytes(&s->lab->tpm->ek->area)));
	must(buf_add(&q->ak_public, buf_bytes(&s->lab->tpm->ak->area)));
}

void service_enrol(struct service *s)
{
	cleanup_reply struct reply first, second;
	cleanup_buf struct buf body = BUF_INIT(LIMIT_SMALL);
	struct enrol_activation a cleanup(enrol_activation_done);
	struct enrol_challenge c cleanup(enrol_challenge_done);

	enrol_activation_init(&a);
	enrol_challenge_init(&c);
	enrol_request_fill(s, &a.request);
	must(enrol_request_encode(&a.request, &body));
	must_200(service_call(s, "POST", "/v1/enrol", JSON_TYPE, buf_bytes(&body), &first), &first);
	must(enrol_challenge_decode(buf_bytes(&first.body), &c, NULL));
	must(softtpm_activate(s->lab->tpm, &s->lab->tpm->ak->name, buf_bytes(&c.credential_blob),
			      buf_bytes(&c.encrypted_secret), &a.secret));
	must(buf_add(&a.session, buf_bytes(&c.session)));
	buf_clear(&body);
	must(enrol_activation_encode(&a, &body));
	must_200(service_call(s, "POST", "/v1/enrol/activate", JSON_TYPE, buf_bytes(&body), &second), &second);
}

unsigned service_upload(struct service *s, const json_t *predicate, const struct key *signer, struct reply *ret)
{
	cleanup_buf struct buf envelope = BUF_INIT(2 * LIMIT_DOCUMENT);
	const char *kind = json_string_value(json_object_get(predicate, "kind"));
	const char *path = strcmp(kind, "withdraw") == 0 ? "/v1/admin/withdraw" : "/v1/admin/documents";

	doc_envelope(predicate, signer, &envelope);
	return service_call(s, "POST", path, DSSE_TYPE, buf_bytes(&envelope), ret);
}

void service_approve(struct service *s, enum document_kind kind)
{
	cleanup_reply struct reply r;

	s->n_serials++;
	if (json_object_set_new(s->lab->doc[kind], "serial", json_integer(s->n_serials)) != 0)
		abort();
	must_200(service_upload(s, s->lab->doc[kind], s->operator, &r), &r);
}

void service_approve_all(struct service *s)
{
	for (unsigned k = 0; k < DOCUMENT_WITHDRAW; k++)
		service_approve(s, (enum document_kind)k);
}

unsigned service_withdraw(struct service *s, enum document_kind kind, struct reply *ret)
{
	cleanup_json json_t *p = doc_predicate(DOCUMENT_WITHDRAW);
	const json_t *target = s->lab->doc[kind];

	s->n_serials++;
	if (json_object_set(p, "target_kind", json_object_get(target, "kind")) != 0 ||
	    json_object_set(p, "target_name", json_object_get(target, "name")) != 0 ||
	    json_object_set(p, "target_serial", json_object_get(target, "serial")) != 0 ||
	    json_object_set_new(p, "serial", json_integer(s->n_serials)) != 0)
		abort();
	return service_upload(s, p, s->operator, ret);
}

void service_challenge(struct service *s)
{
	cleanup_reply struct reply r;
	cleanup_buf struct buf body = BUF_INIT(LIMIT_SMALL);
	struct challenge_request q = { .host_id = "" };

	memcpy(q.host_id, s->lab->host->id, sizeof(q.host_id));
	lab_boot_id(s->lab, q.boot_id);
	must(challenge_request_encode(&q, &body));
	must_200(service_call(s, "POST", "/v1/challenge", JSON_TYPE, buf_bytes(&body), &r), &r);
	must(challenge_decode(buf_bytes(&r.body), &s->lab->challenge, NULL));
}

unsigned service_post_evidence(struct service *s, const struct lab_change *change, struct reply *ret)
{
	lab_evidence(s->lab, change);
	return service_call(s, "POST", "/v1/attest", EVIDENCE_MEDIA_TYPE, buf_bytes(&s->lab->evidence), ret);
}

void service_attest(struct service *s)
{
	cleanup_reply struct reply r;
	char state[16];

	service_challenge(s);
	must_200(service_post_evidence(s, NULL, &r), &r);
	service_member(&r, "state", state, sizeof(state));
	if (strcmp(state, "VERIFIED") != 0) {
		(void)fprintf(stderr, "not verified: %.*s\n", (int)r.body.n, (const char *)r.body.p);
		abort();
	}
}

struct service *service_ready(void)
{
	struct service *s = service_new();

	service_enrol(s);
	service_approve_all(s);
	service_attest(s);
	return s;
}

static struct err sign_proof(void *ctx, struct bytes data, struct buf *ret)
{
	return key_sign(ctx, SIG_ECDSA, DIGEST_SHA256, data, ret);
}

static void put_ath(json_t *claims, struct bytes token)
{
	cleanup_buf struct buf text = BUF_INIT(64);
	uint8_t sum[32];

	must(sha256(token, sum));
	must(b64url_encode(BYTES_ARR(sum), &text));
	must(json_put_text(claims, "ath", buf_bytes(&text)));
}

void service_proof(struct service *s, const struct service_proof *p, struct buf *ret)
{
	struct key *key = (struct key *)(uintptr_t)(p->key != NULL ? p->key : s->lab->instance[0].key->key);
	const struct jws_signer signer = { .alg = "ES256", .sign = sign_proof, .ctx = key };
	cleanup_json json_t *claims = NULL, *jwk = NULL;
	char jti[32];

	(void)snprintf(jti, sizeof(jti), "proof-%016u", s->n_proofs++);
	must(jwk_from_key(key, &jwk));
	must(json_new_object(&claims));
	must(json_put_str(claims, "jti", p->jti != NULL ? p->jti : jti));
	must(json_put_str(claims, "htm", p->htm != NULL ? p->htm : "POST"));
	must(json_put_str(claims, "htu", p->htu != NULL ? p->htu : LAB_ISSUER "/v1/token"));
	must(json_put_int(claims, "iat", p->iat != 0 ? p->iat : s->now_s));
	if (p->nonce != NULL)
		must(json_put_str(claims, "nonce", p->nonce));
	if (p->token.n > 0)
		put_ath(claims, p->token);
	must(jws_sign(&signer, "dpop+jwt", jwk, claims, ret));
}

void service_nonce(struct service *s, char ret[96])
{
	cleanup_reply struct reply r;

	reply_init(&r);
	must(dpop_nonce(s->v, s->now_s, &r));
	(void)snprintf(ret, 96, "%s", r.dpop_nonce);
}

unsigned service_token(struct service *s, const char *form, struct reply *ret)
{
	cleanup_buf struct buf proof = BUF_INIT(LIMIT_TOKEN);
	struct service_proof p = { .htm = NULL };
	struct request q = service_request(s, "POST", "/v1/token", FORM_TYPE,
					   bytes_str(form != NULL ? form : SERVICE_FORM));
	char nonce[96];

	service_nonce(s, nonce);
	p.nonce = nonce;
	service_proof(s, &p, &proof);
	must(buf_cstr(&proof, &q.dpop));
	q.n_dpop = 1;
	service_send(s, &q, ret);
	return ret->status;
}

void service_get_token(struct service *s, struct buf *ret)
{
	cleanup_reply struct reply r;
	cleanup_json json_t *j = NULL;

	must_200(service_token(s, NULL, &r), &r);
	j = service_json(&r);
	must(buf_add_str(ret, json_string_value(json_object_get(j, "access_token"))));
}

void service_client(struct service *s, const char *name, const char *resources, char ret[256])
{
	cleanup_reply struct reply r;
	cleanup_buf struct buf body = BUF_INIT(LIMIT_SMALL), plain = BUF_INIT(256), basic = BUF_INIT(256);
	char secret[64];
	const char *text;

	must(buf_addf(&body, "{\"name\":\"%s\"%s%s}", name, resources != NULL ? ",\"resources\":" : "",
		      resources != NULL ? resources : ""));
	must_200(service_call(s, "POST", "/v1/admin/clients", JSON_TYPE, buf_bytes(&body), &r), &r);
	service_member(&r, "secret", secret, sizeof(secret));
	must(buf_addf(&plain, "%s:%s", name, secret));
	must(b64_encode(buf_bytes(&plain), &basic));
	must(buf_cstr(&basic, &text));
	(void)snprintf(ret, 256, "Basic %s", text);
}

/* Everything but letters and digits escaped. */
static void add_escaped(struct buf *b, struct bytes v)
{
	for (size_t i = 0; i < v.n; i++)
		must(buf_addf(b, "%%%02X", v.p[i]));
}

struct request service_introspection(struct service *s, const char *authorization, struct bytes token,
				     const struct key *key, struct buf *form)
{
	const struct service_proof p = { .htm = "GET", .htu = SERVICE_RESOURCE, .token = token, .key = key };
	cleanup_buf struct buf proof = BUF_INIT(LIMIT_TOKEN);
	struct request q;

	service_proof(s, &p, &proof);
	must(buf_add_str(form, "htm=GET&htu="));
	add_escaped(form, bytes_str(SERVICE_RESOURCE));
	must(buf_add_str(form, "&token="));
	add_escaped(form, token);
	must(buf_add_str(form, "&dpop="));
	add_escaped(form, buf_bytes(&proof));
	q = service_request(s, "POST", "/v1/introspect", FORM_TYPE, buf_bytes(form));
	q.authorization = authorization;
	q.n_authorization = authorization != NULL ? 1 : 0;
	return q;
}

unsigned service_introspect(struct service *s, const char *authorization, struct bytes token, const struct key *key,
			    struct reply *ret)
{
	cleanup_buf struct buf form = BUF_INIT(LIMIT_SMALL);
	const struct request q = service_introspection(s, authorization, token, key, &form);

	service_send(s, &q, ret);
	return ret->status;
}

bool service_active(struct service *s, const char *authorization, struct bytes token)
{
	cleanup_reply struct reply r;
	cleanup_json json_t *j = NULL;

	must_200(service_introspect(s, authorization, token, NULL, &r), &r);
	j = service_json(&r);
	return json_is_true(json_object_get(j, "active"));
}

unsigned service_admin(struct service *s, const char *path, const char *key, const char *value, struct reply *ret)
{
	cleanup_buf struct buf body = BUF_INIT(LIMIT_SMALL);
	cleanup_json json_t *o = json_pack("{s:s}", key, value);

	if (o == NULL)
		abort();
	must(json_write(o, &body));
	return service_call(s, "POST", path, JSON_TYPE, buf_bytes(&body), ret);
}
