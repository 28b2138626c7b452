/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates at the service: who gets one, what is kept of it, and the CA in the state folder. */
#include "unit.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/file.h"
#include "tests/support/service_fixture.h"
#include "verifier/issue/svid.h"

#define PATH "/v1/x509-svid"
#define TASK "task_id=task-1"

/* A service in which the agent may have certificates. */
static struct service *ready(void)
{
	struct service *s = service_new();

	service_enrol(s);
	doc_set(s->lab->doc[DOCUMENT_AGENT], "x509", "true");
	service_approve_all(s);
	service_attest(s);
	return s;
}

static unsigned ask(struct service *s, const char *form, struct service_proof p, struct reply *ret)
{
	cleanup_buf struct buf proof = BUF_INIT(LIMIT_TOKEN);
	struct request q = service_request(s, "POST", PATH, FORM_TYPE, bytes_str(form));
	char nonce[96];

	service_nonce(s, nonce);
	p.nonce = nonce;
	if (p.htu == NULL)
		p.htu = LAB_ISSUER PATH;
	service_proof(s, &p, &proof);
	assert_ok(buf_cstr(&proof, &q.dpop));
	q.n_dpop = 1;
	service_send(s, &q, ret);
	return ret->status;
}

static void refused(struct service *s, const char *form, struct service_proof p, const char *code)
{
	cleanup_reply struct reply r;
	char error[64];

	assert_int_equal(ask(s, form, p, &r), 400);
	service_member(&r, "error", error, sizeof(error));
	assert_string_equal(error, code);
}

static struct cert *certificate(struct service *s)
{
	cleanup_reply struct reply r;
	cleanup_json json_t *j = NULL;
	struct cert *c = NULL;

	assert_int_equal(ask(s, TASK, (struct service_proof){ .htm = NULL }, &r), 200);
	j = service_json(&r);
	assert_ok(cert_from_pem(bytes_str(json_string_value(json_object_get(j, "certificate"))), &c));
	return c;
}

/* The bundle has the CA that signed it, and the rows know it. */
static void test_issued(void **state)
{
	cleanup_service struct service *s = ready();
	cleanup_cert struct cert *c = certificate(s), *ca = NULL;
	cleanup_credential_row struct credential_row row = { .revoked = false };
	cleanup_reply struct reply r, list;
	cleanup_json json_t *j = NULL;
	char serial[CERT_SERIAL_HEX + 1];
	bool alive = false;

	(void)state;
	assert_ok(cert_serial(c, serial));
	assert_ok(store_credential(s->v->store, serial, &row, &alive));
	assert_true(alive);
	assert_string_equal(row.task_id, "task-1");
	assert_string_equal(row.scope, SVID_SCOPE);
	assert_int_equal(ask(s, TASK, (struct service_proof){ .htm = NULL }, &r), 200);
	j = service_json(&r);
	assert_ok(cert_from_pem(bytes_str(json_string_value(json_object_get(j, "ca"))), &ca));
	assert_true(svid_ca_fits(ca, "verifier.example"));
	assert_true(bytes_eq(cert_der(ca), cert_der(s->v->svid.ca)));
	assert_true(cert_is_named(c, json_string_value(json_object_get(j, "spiffe_id"))));
	assert_int_equal(service_call(s, "GET", "/v1/admin/credentials", NULL, BYTES_NONE, &list), 200);
	assert_non_null(memmem(list.body.p, list.body.n, serial, strlen(serial)));
}

static void test_bundle(void **state)
{
	cleanup_service struct service *s = service_new();
	cleanup_reply struct reply r, again;

	(void)state;
	assert_int_equal(service_call(s, "GET", "/v1/spiffe-bundle", NULL, BYTES_NONE, &r), 200);
	assert_string_equal(r.content_type, "application/json");
	assert_true(r.max_age_s > 0);
	assert_non_null(memmem(r.body.p, r.body.n, "x509-svid", 9));
	/* The CA stays. */
	service_restart(s);
	assert_int_equal(service_call(s, "GET", "/v1/spiffe-bundle", NULL, BYTES_NONE, &again), 200);
	assert_true(bytes_eq(buf_bytes(&r.body), buf_bytes(&again.body)));
}

static void test_refused(void **state)
{
	cleanup_service struct service *s = ready();
	cleanup_key struct key *stranger = NULL;
	const struct service_proof ours = { .htm = NULL };

	(void)state;
	assert_ok(key_generate(KEY_EC_P256, &stranger));
	refused(s, "", ours, "invalid_request");
	refused(s, "task_id=a/b", ours, "invalid_request");
	refused(s, TASK, (struct service_proof){ .key = stranger }, "invalid_grant");
	/* A proof for a token is none for a certificate, nor the other way round. */
	refused(s, TASK, (struct service_proof){ .htu = LAB_ISSUER "/v1/token" }, "invalid_dpop_proof");
	refused(s, TASK, (struct service_proof){ .htm = "GET" }, "invalid_dpop_proof");
	assert_int_equal(atomic_load(&s->v->metrics.certificates), 0);
}

/* T14: one proof, one certificate. */
static void test_replay(void **state)
{
	cleanup_service struct service *s = ready();
	cleanup_reply struct reply r;
	const struct service_proof p = { .jti = "the-same-jti-twice" };

	(void)state;
	assert_int_equal(ask(s, TASK, p, &r), 200);
	refused(s, TASK, p, "invalid_dpop_proof");
	assert_int_equal(atomic_load(&s->v->metrics.certificates), 1);
}

/* A document that says nothing of certificates permits none, and tokens go on. */
static void test_without_permission(void **state)
{
	cleanup_service struct service *s = service_ready();
	cleanup_reply struct reply r;

	(void)state;
	refused(s, TASK, (struct service_proof){ .htm = NULL }, "unauthorized_client");
	assert_int_equal(service_token(s, NULL, &r), 200);
}

/* Permission that comes or goes takes effect with the next verdict. */
static void test_document_changes(void **state)
{
	cleanup_service struct service *s = ready();

	(void)state;
	cert_free(certificate(s));
	doc_set(s->lab->doc[DOCUMENT_AGENT], "x509", NULL);
	service_approve(s, DOCUMENT_AGENT);
	refused(s, TASK, (struct service_proof){ .htm = NULL }, "unauthorized_client");
	doc_set(s->lab->doc[DOCUMENT_AGENT], "x509", "true");
	service_approve(s, DOCUMENT_AGENT);
	refused(s, TASK, (struct service_proof){ .htm = NULL }, "invalid_grant");
	service_attest(s);
	cert_free(certificate(s));
}

static void test_verdict_over(void **state)
{
	cleanup_service struct service *s = ready();
	cleanup_cert struct cert *c = certificate(s);
	int64_t from, to;

	(void)state;
	assert_ok(cert_validity(c, &from, &to));
	assert_true(to <= s->now_s + s->c.verdict_life_s);
	s->now_s += s->c.verdict_life_s;
	refused(s, TASK, (struct service_proof){ .htm = NULL }, "invalid_grant");
}

static void test_killed(void **state)
{
	cleanup_service struct service *s = ready();
	cleanup_reply struct reply by_task, by_host, withdrawn;

	(void)state;
	assert_int_equal(service_admin(s, "/v1/admin/revoke", "task", "task-1", &by_task), 200);
	refused(s, TASK, (struct service_proof){ .htm = NULL }, "invalid_grant");
	{
		cleanup_reply struct reply other_task;

		assert_int_equal(ask(s, "task_id=task-2", (struct service_proof){ .htm = NULL }, &other_task), 200);
	}
	assert_int_equal(service_admin(s, "/v1/admin/revoke", "host", s->lab->host->id, &by_host), 200);
	refused(s, "task_id=task-2", (struct service_proof){ .htm = NULL }, "invalid_grant");
	service_attest(s);
	assert_int_equal(service_withdraw(s, DOCUMENT_AGENT, &withdrawn), 200);
	refused(s, "task_id=task-2", (struct service_proof){ .htm = NULL }, "invalid_grant");
}

/* What cannot be started: wrong domain, key of others, a key that all can read. */
static void cannot_start(struct service *s, const char *says)
{
	struct reason why = { "" };
	struct verifier *v = NULL;

	assert_true(failed(verifier_new(&s->c, &v, &why)));
	if (strstr(why.text, says) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", why.text, says);
	assert_null(v);
}

static void test_ca_files(void **state)
{
	cleanup_service struct service *s = service_new(), *other = service_new();
	cleanup_buf struct buf theirs = BUF_INIT(LIMIT_SMALL);
	char key[256], from[256];

	(void)state;
	(void)snprintf(key, sizeof(key), "%s/svid-ca-key.pem", s->dir);
	(void)snprintf(from, sizeof(from), "%s/svid-ca-key.pem", other->dir);
	assert_ok(file_read(AT_FDCWD, from, &theirs));
	verifier_free(take_ptr(&s->v));
	s->c.trust_domain = "other.example";
	cannot_start(s, "trust_domain");
	s->c.trust_domain = "Verifier.example";
	cannot_start(s, "trust_domain");
	s->c.trust_domain = "verifier.example";
	assert_int_equal(chmod(key, 0644), 0);
	cannot_start(s, "0600");
	assert_ok(file_write(AT_FDCWD, key, buf_bytes(&theirs), 0600));
	cannot_start(s, "is not the key of");
	assert_int_equal(unlink(key), 0);
	service_restart(s);
}

/* A new CA beside the old one: both are published, the new one signs. */
static void test_ca_replaced(void **state)
{
	cleanup_service struct service *s = ready();
	cleanup_cert struct cert *before = certificate(s), *after = NULL;
	cleanup_reply struct reply r;
	cleanup_json json_t *j = NULL;
	char key[256], cert[256], old[256];

	(void)state;
	(void)snprintf(key, sizeof(key), "%s/svid-ca-key.pem", s->dir);
	(void)snprintf(cert, sizeof(cert), "%s/svid-ca.pem", s->dir);
	(void)snprintf(old, sizeof(old), "%s/svid-ca-old.pem", s->dir);
	assert_int_equal(rename(cert, old), 0);
	assert_int_equal(unlink(key), 0);
	service_restart(s);
	after = certificate(s);
	assert_string_equal(cert_issuer(before), cert_issuer(after));
	assert_int_equal(service_call(s, "GET", "/v1/spiffe-bundle", NULL, BYTES_NONE, &r), 200);
	j = service_json(&r);
	assert_int_equal(json_array_size(json_object_get(j, "keys")), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_issued),
		cmocka_unit_test(test_bundle),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_replay),
		cmocka_unit_test(test_without_permission),
		cmocka_unit_test(test_document_changes),
		cmocka_unit_test(test_verdict_over),
		cmocka_unit_test(test_killed),
		cmocka_unit_test(test_ca_files),
		cmocka_unit_test(test_ca_replaced),
	};

	return cmocka_run_group_tests_name("serve-svid", tests, NULL, NULL);
}
