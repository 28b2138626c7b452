/* SPDX-License-Identifier: Apache-2.0 */
/* The gate in front of the handlers, operators' documents, and the admin routes. */
#include "unit.h"

#include <sys/stat.h>

#include "base/log.h"
#include "tests/support/service_fixture.h"

static void assert_member(const struct reply *r, const char *key, const char *want)
{
	char text[512];

	service_member(r, key, text, sizeof(text));
	assert_string_equal(text, want);
}

/* T34: exact paths, exact methods, the media type of the route, and two listeners that share nothing. */
static void test_gate(void **state)
{
	static const struct {
		bool admin;
		const char *method, *path, *type;
		enum err_code want;
	} rows[] = {
		{ false, "POST", "/v1/challenge", JSON_TYPE, E_OK },
		{ false, "POST", "/v1/challenge", "APPLICATION/JSON", E_OK },
		{ false, "GET", "/v1/jwks", NULL, E_OK },
		{ false, "GET", "/v1/jwks", "text/plain", E_OK },
		{ true, "GET", "/v1/admin/hosts", NULL, E_OK },
		{ false, "GET", "/v1/challenge", JSON_TYPE, E_PEER_METHOD },
		{ false, "HEAD", "/v1/jwks", NULL, E_PEER_METHOD },
		{ false, "post", "/v1/challenge", JSON_TYPE, E_PEER_METHOD },
		{ false, "OPTIONS", "/v1/token", FORM_TYPE, E_PEER_METHOD },
		{ false, "POST", "/v1/challenge", NULL, E_PEER_MEDIA_TYPE },
		{ false, "POST", "/v1/challenge", "text/json", E_PEER_MEDIA_TYPE },
		{ false, "POST", "/v1/challenge", "application/jsonx", E_PEER_MEDIA_TYPE },
		{ false, "POST", "/v1/attest", JSON_TYPE, E_PEER_MEDIA_TYPE },
		{ false, "POST", "/v1/token", JSON_TYPE, E_PEER_MEDIA_TYPE },
		{ true, "POST", "/v1/admin/documents", JSON_TYPE, E_PEER_MEDIA_TYPE },
		{ false, "POST", "/v1/challenge/", JSON_TYPE, E_PEER_NO_ROUTE },
		{ false, "POST", "//v1/challenge", JSON_TYPE, E_PEER_NO_ROUTE },
		{ false, "POST", "/v1/./challenge", JSON_TYPE, E_PEER_NO_ROUTE },
		{ false, "POST", "/v1/%63hallenge", JSON_TYPE, E_PEER_NO_ROUTE },
		{ false, "POST", "/v1/challenge;x", JSON_TYPE, E_PEER_NO_ROUTE },
		{ false, "POST", "/V1/challenge", JSON_TYPE, E_PEER_NO_ROUTE },
		{ false, "POST", "https://verifier.example/v1/challenge", JSON_TYPE, E_PEER_NO_ROUTE },
		{ false, "GET", "", NULL, E_PEER_NO_ROUTE },
		{ false, "GET", "/", NULL, E_PEER_NO_ROUTE },
		/* V8: what one listener serves, the other does not know. */
		{ false, "GET", "/v1/admin/hosts", NULL, E_PEER_NO_ROUTE },
		{ false, "POST", "/v1/admin/revoke", JSON_TYPE, E_PEER_NO_ROUTE },
		{ true, "POST", "/v1/token", FORM_TYPE, E_PEER_NO_ROUTE },
	};

	(void)state;
	for (size_t i = 0; i < array_len(rows); i++) {
		const struct route *r = NULL;
		struct err e = route_find(rows[i].admin, rows[i].method, rows[i].path, rows[i].type, &r);

		if (e.code != rows[i].want)
			fail_msg("%s %s: %s", rows[i].method, rows[i].path, err_name(e));
		/* A wrong media type is refused in the form of its route. */
		assert_int_equal(r != NULL, e.code == E_OK || e.code == E_PEER_MEDIA_TYPE);
	}
	assert_string_equal(route_allow(true, "/v1/admin/documents"), "GET, POST");
	assert_string_equal(route_allow(false, "/v1/token"), "POST");
	assert_string_equal(route_allow(false, "/v1/jwks"), "GET");
	assert_string_equal(route_allow(false, "/v1/admin/documents"), "");
}

/* V8: every admin route, by who asks. */
static void test_admin_needs_the_right_user(void **state)
{
	cleanup_service struct service *s = service_ready();
	size_t n = 0;

	(void)state;
	s->v->c.n_admin_uids = 1;
	s->v->c.admin_uid[0] = 4711;
	for (size_t i = 0; i < routes_count(); i++) {
		const struct route *r = route_at(i);
		struct request q = service_request(s, r->method, r->path, r->media_type, BYTES_LIT("{}"));
		static const struct {
			bool has_peer;
			uint32_t uid;
			bool admitted;
		} who[] = { { false, 0, false }, { true, 4712, false }, { true, 65534, false }, { true, 4711, true },
			    { true, 0, true } };

		if (r->auth != AUTH_ADMIN)
			continue;
		n++;
		for (size_t k = 0; k < array_len(who); k++) {
			cleanup_reply struct reply reply;

			q.has_peer = who[k].has_peer;
			q.peer_uid = who[k].uid;
			if (strcmp(r->method, "GET") == 0)
				q.body = BYTES_NONE;
			service_send(s, &q, &reply);
			if ((reply.status == 403) == who[k].admitted)
				fail_msg("%s %s as %u: %u", r->method, r->path, who[k].uid, reply.status);
		}
	}
	assert_true(n >= 15);
}

/* Every route that takes a body takes no more than its limit, and every JSON body is strict. */
static void test_bodies(void **state)
{
	static const struct {
		const char *body;
		unsigned want;
	} rows[] = {
		{ "", 400 },
		{ "{", 400 },
		{ "[]", 400 },
		{ "{}", 400 },
		{ "{\"host\":1}", 400 },
		{ "{\"host\":\"a\",\"host\":\"a\"}", 400 },
		{ "{\"host\":\"a\",\"more\":1}", 400 },
		{ "{\"host\":\"a\"} x", 400 },
		{ "{\"host\":\"a\"}", 404 },
	};
	cleanup_service struct service *s = service_ready();
	cleanup_free uint8_t *big = calloc(1, LIMIT_EVIDENCE + 1);

	(void)state;
	for (size_t i = 0; i < array_len(rows); i++) {
		cleanup_reply struct reply r;

		assert_int_equal(service_call(s, "POST", "/v1/admin/hosts/clear", JSON_TYPE, bytes_str(rows[i].body), &r),
				 rows[i].want);
	}
	for (size_t i = 0; i < routes_count(); i++) {
		const struct route *route = route_at(i);
		cleanup_reply struct reply r;

		assert_int_equal(service_call(s, route->method, route->path, route->media_type,
					      BYTES(big, route->limit + 1), &r),
				 413);
	}
}

/* --- documents --- */

static void upload_is(struct service *s, json_t *predicate, const struct key *signer, unsigned want, const char *type)
{
	cleanup_json json_t *p = predicate;
	cleanup_reply struct reply r;
	char full[96];

	if (service_upload(s, p, signer, &r) != want)
		fail_msg("%u: %.*s", r.status, (int)r.body.n, (const char *)r.body.p);
	if (type == NULL)
		return;
	(void)snprintf(full, sizeof(full), "urn:assay:error:%s", type);
	assert_member(&r, "type", full);
}

static json_t *with(enum document_kind kind, const char *key, const char *json)
{
	json_t *p = doc_predicate(kind);

	doc_set(p, key, json);
	return p;
}

static void test_documents(void **state)
{
	cleanup_service struct service *s = service_new();
	cleanup_key struct key *stranger = NULL;
	cleanup_reply struct reply r, list;
	cleanup_json json_t *rows = NULL;

	(void)state;
	assert_ok(key_generate(KEY_ED25519, &stranger));
	upload_is(s, doc_predicate(DOCUMENT_IMAGE), stranger, 403, "E_AUTH_UNKNOWN");
	upload_is(s, with(DOCUMENT_IMAGE, "owner", NULL), s->operator, 400, "E_PEER_MISSING");
	upload_is(s, with(DOCUMENT_IMAGE, "expires", NULL), s->operator, 400, "E_PEER_MISSING");
	upload_is(s, with(DOCUMENT_IMAGE, "colour", "1"), s->operator, 400, "E_PEER_UNKNOWN_KEY");
	upload_is(s, with(DOCUMENT_IMAGE, "expires", "1499999"), s->operator, 403, "E_AUTH_EXPIRED");
	upload_is(s, with(DOCUMENT_IMAGE, "realm", "\"other\""), s->operator, 403, "E_AUTH_REFUSED");
	assert_int_equal(service_call(s, "POST", "/v1/admin/documents", DSSE_TYPE, BYTES_LIT("{}"), &r), 400);
	upload_is(s, with(DOCUMENT_IMAGE, "serial", "5"), s->operator, 200, NULL);
	/* The same, an older one, and one that was withdrawn, again. */
	upload_is(s, with(DOCUMENT_IMAGE, "serial", "5"), s->operator, 409, "E_AUTH_CONFLICT");
	upload_is(s, with(DOCUMENT_IMAGE, "serial", "4"), s->operator, 409, "E_AUTH_CONFLICT");
	upload_is(s, with(DOCUMENT_WITHDRAW, "target_serial", "7"), s->operator, 200, NULL);
	upload_is(s, with(DOCUMENT_IMAGE, "serial", "6"), s->operator, 409, "E_AUTH_CONFLICT");
	upload_is(s, with(DOCUMENT_IMAGE, "serial", "8"), s->operator, 200, NULL);
	/* A withdrawal of what is not there. */
	{
		json_t *p = with(DOCUMENT_WITHDRAW, "target_kind", "\"model\"");

		doc_set(p, "serial", "2");
		upload_is(s, p, s->operator, 404, "E_PEER_NO_ROUTE");
	}
	assert_int_equal(service_call(s, "GET", "/v1/admin/documents", NULL, BYTES_NONE, &list), 200);
	rows = service_json(&list);
	assert_int_equal(json_array_size(rows), 3);
	assert_non_null(json_object_get(json_array_get(rows, 1), "withdrawn"));
}

static void test_each_kind_at_its_place(void **state)
{
	cleanup_service struct service *s = service_new();
	cleanup_buf struct buf image = BUF_INIT(LIMIT_DOCUMENT), withdrawal = BUF_INIT(LIMIT_DOCUMENT);
	cleanup_json json_t *a = doc_predicate(DOCUMENT_IMAGE), *b = doc_predicate(DOCUMENT_WITHDRAW);
	cleanup_reply struct reply r, q;

	(void)state;
	doc_envelope(a, s->operator, &image);
	doc_envelope(b, s->operator, &withdrawal);
	assert_int_equal(service_call(s, "POST", "/v1/admin/withdraw", DSSE_TYPE, buf_bytes(&image), &r), 400);
	assert_int_equal(service_call(s, "POST", "/v1/admin/documents", DSSE_TYPE, buf_bytes(&withdrawal), &q), 400);
}

/* An operator signs only what he may. */
static void test_rights_of_operators(void **state)
{
	cleanup_service struct service *s = service_new();

	(void)state;
	service_operators(s, "[\"image\"]");
	assert_ok(verifier_reload(s->v, NULL));
	upload_is(s, doc_predicate(DOCUMENT_MODEL), s->operator, 403, "E_AUTH_REFUSED");
	upload_is(s, doc_predicate(DOCUMENT_IMAGE), s->operator, 200, NULL);
}

/* SIGHUP with a file that is none: everything stays as it was. */
static void test_reload_of_rubbish(void **state)
{
	cleanup_service struct service *s = service_ready();
	FILE *f = fopen(s->operators_file, "w");
	struct reason why = { "" };

	(void)state;
	assert_non_null(f);
	assert_true(fputs("{\"operators\":", f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_err(verifier_reload(s->v, &why), E_PEER_SYNTAX);
	assert_true(why.text[0] != '\0');
	service_attest(s);
	{
		cleanup_reply struct reply r;

		assert_int_equal(service_token(s, NULL, &r), 200);
	}
}

/* What an operator signed before his key was removed holds no longer, and holds again when it is back. */
static void test_removed_operator(void **state)
{
	cleanup_service struct service *s = service_ready();
	cleanup_reply struct reply r;

	(void)state;
	service_operators(s, NULL);
	service_restart(s);
	service_challenge(s);
	assert_int_equal(service_post_evidence(s, NULL, &r), 200);
	assert_member(&r, "state", "FAILED");
	service_operators(s, "[\"host\",\"image\",\"model\",\"platform\",\"agent\",\"withdraw\"]");
	assert_ok(verifier_reload(s->v, NULL));
	service_attest(s);
}

/* --- the other admin routes --- */

static void test_hosts_and_explain(void **state)
{
	cleanup_service struct service *s = service_new();
	cleanup_reply struct reply none, list, before, cleared, missing;
	cleanup_json json_t *rows = NULL;
	struct request q = service_request(s, "GET", "/v1/admin/explain", NULL, BYTES_NONE);

	(void)state;
	service_enrol(s);
	assert_int_equal(service_call(s, "GET", "/v1/admin/hosts", NULL, BYTES_NONE, &list), 200);
	rows = service_json(&list);
	assert_string_equal(json_string_value(json_object_get(json_array_get(rows, 0), "status")), "PENDING");
	service_send(s, &q, &none);
	assert_int_equal(none.status, 404);
	q.query_host = "h-00000000000000000000000000000000";
	service_send(s, &q, &missing);
	assert_int_equal(missing.status, 404);
	q.query_host = s->lab->host->id;
	service_send(s, &q, &before);
	assert_int_equal(before.status, 200);
	assert_member(&before, "status", "PENDING");
	service_approve_all(s);
	service_attest(s);
	{
		cleanup_reply struct reply after, stale;
		cleanup_json json_t *o = NULL;

		service_send(s, &q, &after);
		assert_member(&after, "status", "VERIFIED");
		o = service_json(&after);
		assert_int_equal(json_array_size(json_object_get(o, "checks")), appraise_n_checks());
		assert_true(json_array_size(json_object_get(o, "compared")) > 0);
		q.now_s += 301;
		service_send(s, &q, &stale);
		assert_member(&stale, "status", "STALE");
	}
	assert_int_equal(service_admin(s, "/v1/admin/hosts/clear", "host", s->lab->host->id, &cleared), 200);
	{
		cleanup_reply struct reply r;

		q.now_s = s->now_s;
		service_send(s, &q, &r);
		assert_member(&r, "status", "NEVER");
	}
}

static void test_agents(void **state)
{
	cleanup_service struct service *s = service_ready();
	cleanup_reply struct reply list;
	cleanup_json json_t *rows = NULL;
	const json_t *row;

	(void)state;
	assert_int_equal(service_call(s, "GET", "/v1/admin/agents", NULL, BYTES_NONE, &list), 200);
	rows = service_json(&list);
	row = json_array_get(rows, 0);
	assert_string_equal(json_string_value(json_object_get(row, "agent")), "agt");
	assert_string_equal(json_string_value(json_object_get(row, "status")), "warning");
	assert_true(json_is_true(json_object_get(row, "usable")));
}

static void test_revoke_bodies(void **state)
{
	static const struct {
		const char *body;
		unsigned want;
	} rows[] = {
		{ "{}", 400 },
		{ "{\"host\":\"h\",\"jti\":\"j\"}", 400 },
		{ "{\"everything\":\"now\"}", 400 },
		{ "{\"host\":\"h-1\\n\"}", 400 },
		{ "{\"instance\":\"xyz\"}", 400 },
		{ "{\"instance\":\"00000000000000000000000000000000\"}", 404 },
		{ "{\"host\":\"h-1\"}", 404 },
		{ "{\"jti\":\"j-1\"}", 404 },
		{ "{\"task\":\"never-seen\"}", 200 },
	};
	cleanup_service struct service *s = service_ready();

	(void)state;
	for (size_t i = 0; i < array_len(rows); i++) {
		cleanup_reply struct reply r;

		if (service_call(s, "POST", "/v1/admin/revoke", JSON_TYPE, bytes_str(rows[i].body), &r) != rows[i].want)
			fail_msg("%s: %u", rows[i].body, r.status);
	}
}

static void test_clients(void **state)
{
	cleanup_service struct service *s = service_new();
	cleanup_reply struct reply twice, list;
	struct reply bad[3];
	cleanup_buf struct buf text = BUF_INIT(4096);
	char authorization[256];
	const char *t;

	(void)state;
	service_client(s, "api", "[\"https://a.example\"]", authorization);
	assert_int_equal(service_admin(s, "/v1/admin/clients", "name", "api", &twice), 409);
	assert_int_equal(service_admin(s, "/v1/admin/clients", "name", "a/b", &bad[0]), 400);
	assert_int_equal(service_call(s, "POST", "/v1/admin/clients", JSON_TYPE,
				      BYTES_LIT("{\"name\":\"x\",\"resources\":[1]}"), &bad[1]),
			 400);
	assert_int_equal(service_admin(s, "/v1/admin/clients/remove", "name", "nobody", &bad[2]), 404);
	/* T37: shown once; neither a list nor the database has it. */
	assert_int_equal(service_call(s, "GET", "/v1/admin/clients", NULL, BYTES_NONE, &list), 200);
	assert_ok(buf_add(&text, buf_bytes(&list.body)));
	assert_ok(buf_cstr(&text, &t));
	assert_null(strstr(t, "secret"));
	for (size_t i = 0; i < array_len(bad); i++)
		reply_done(&bad[i]);
}

static void test_trust(void **state)
{
	cleanup_service struct service *s = service_new();
	cleanup_softtpm_ca struct softtpm_ca *ca = NULL;
	cleanup_buf struct buf pem = BUF_INIT(65536);
	cleanup_reply struct reply both, again, no_ca, noise, list, removed, gone;
	cleanup_json json_t *rows = NULL;
	struct softtpm_options o = { .ek = SOFTTPM_EK_P256, .ak = SOFTTPM_AK_P256 };
	cleanup_softtpm struct softtpm *tpm = NULL;
	const char *text, *sha;

	(void)state;
	assert_ok(softtpm_ca_new(&ca));
	o.ca = ca;
	assert_ok(softtpm_new(&o, &tpm));
	assert_ok(cert_to_pem(ca->root, &pem));
	assert_ok(cert_to_pem(ca->issuer, &pem));
	assert_ok(buf_cstr(&pem, &text));
	assert_int_equal(service_admin(s, "/v1/admin/trust/add", "pem", text, &both), 200);
	assert_int_equal(service_admin(s, "/v1/admin/trust/add", "pem", text, &again), 409);
	buf_clear(&pem);
	assert_ok(cert_to_pem(tpm->ek_cert, &pem));
	assert_ok(buf_cstr(&pem, &text));
	assert_int_equal(service_admin(s, "/v1/admin/trust/add", "pem", text, &no_ca), 403);
	assert_int_equal(service_admin(s, "/v1/admin/trust/add", "pem", "rubbish", &noise), 400);
	assert_int_equal(service_call(s, "GET", "/v1/admin/trust", NULL, BYTES_NONE, &list), 200);
	rows = service_json(&list);
	assert_int_equal(json_array_size(rows), 2);
	sha = json_string_value(json_object_get(json_array_get(rows, 0), "sha256"));
	assert_int_equal(service_admin(s, "/v1/admin/trust/remove", "sha256", sha, &removed), 200);
	assert_int_equal(service_admin(s, "/v1/admin/trust/remove", "sha256", sha, &gone), 404);
}

static void test_public(void **state)
{
	cleanup_service struct service *s = service_ready();
	cleanup_reply struct reply jwks, health, metrics;
	cleanup_json json_t *set = NULL;
	const json_t *key;
	const char *text;

	(void)state;
	assert_int_equal(service_call(s, "GET", "/v1/jwks", NULL, BYTES_NONE, &jwks), 200);
	assert_true(jwks.max_age_s > 0);
	set = service_json(&jwks);
	key = json_array_get(json_object_get(set, "keys"), 0);
	assert_string_equal(json_string_value(json_object_get(key, "alg")), "ES256");
	assert_string_equal(json_string_value(json_object_get(key, "use")), "sig");
	assert_string_equal(json_string_value(json_object_get(key, "kty")), "EC");
	assert_string_equal(json_string_value(json_object_get(key, "kid")), s->v->kid);
	assert_null(json_object_get(key, "d"));
	assert_int_equal(service_call(s, "GET", "/healthz", NULL, BYTES_NONE, &health), 200);
	assert_bytes(buf_bytes(&health.body), BYTES_LIT("ok\n"));
	verifier_count(s->v, route_at(0), 200, 1500000);
	verifier_count(s->v, NULL, 404, 10);
	assert_int_equal(service_call(s, "GET", "/metrics", NULL, BYTES_NONE, &metrics), 200);
	assert_ok(buf_cstr(&metrics.body, &text));
	assert_non_null(strstr(text, "assay_attestations_total{outcome=\"passed\"} 1\n"));
	assert_non_null(strstr(text, "assay_hosts_verified 1\n"));
	assert_non_null(strstr(text, "assay_instances 1\n"));
	assert_non_null(strstr(text, "assay_enrolments_total 1\n"));
	assert_non_null(strstr(text, "assay_http_requests_total{method=\"POST\",route=\"/v1/enrol\",status=\"200\"} 1\n"));
	assert_non_null(strstr(text, "assay_http_requests_total{method=\"\",route=\"other\",status=\"404\"} 1\n"));
	assert_non_null(strstr(text, "assay_http_request_seconds_total{method=\"POST\",route=\"/v1/enrol\"} 1.500000\n"));
}

/* V12, and one verifier for one state folder. */
static void test_private_state(void **state)
{
	static const char *const secrets[] = { "signing-key.pem", "master.key", "svid-ca-key.pem" };
	cleanup_service struct service *s = service_new();
	struct verifier *second = NULL;
	struct reason why = { "" };

	(void)state;
	assert_err(verifier_new(&s->c, &second, &why), E_LOCAL_BUSY);
	assert_non_null(strstr(why.text, "another verifier"));
	verifier_free(take_ptr(&s->v));
	for (size_t i = 0; i < array_len(secrets); i++) {
		char path[160];

		(void)snprintf(path, sizeof(path), "%s/%s", s->dir, secrets[i]);
		assert_int_equal(chmod(path, 0644), 0);
		assert_err(verifier_new(&s->c, &second, &why), E_LOCAL_PERMISSION);
		assert_non_null(strstr(why.text, secrets[i]));
		assert_non_null(strstr(why.text, "0600"));
		assert_int_equal(chmod(path, 0600), 0);
	}
	assert_int_equal(chmod(s->dir, 0755), 0);
	assert_err(verifier_new(&s->c, &second, &why), E_LOCAL_PERMISSION);
	assert_int_equal(chmod(s->dir, 0700), 0);
	assert_null(second);
	service_restart(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gate),
		cmocka_unit_test(test_admin_needs_the_right_user),
		cmocka_unit_test(test_bodies),
		cmocka_unit_test(test_documents),
		cmocka_unit_test(test_each_kind_at_its_place),
		cmocka_unit_test(test_rights_of_operators),
		cmocka_unit_test(test_reload_of_rubbish),
		cmocka_unit_test(test_removed_operator),
		cmocka_unit_test(test_hosts_and_explain),
		cmocka_unit_test(test_agents),
		cmocka_unit_test(test_revoke_bodies),
		cmocka_unit_test(test_clients),
		cmocka_unit_test(test_trust),
		cmocka_unit_test(test_public),
		cmocka_unit_test(test_private_state),
	};

	log_init(LOG_LEVEL_ERROR, false);
	return cmocka_run_group_tests_name("serve-admin", tests, NULL, NULL);
}
