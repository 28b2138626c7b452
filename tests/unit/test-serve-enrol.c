/* SPDX-License-Identifier: Apache-2.0 */
/* Enrolment through the routes, with certificates: N1, N9, N10, and what neither answers nor logs may hold. */
#include "unit.h"

#include "base/log.h"
#include "tests/support/service_fixture.h"

static void assert_member(const struct reply *r, const char *key, const char *want)
{
	char text[512];

	service_member(r, key, text, sizeof(text));
	assert_string_equal(text, want);
}

/* A TPM with a certificate, and both steps of its enrolment. */
struct bench {
	struct service *s;
	struct softtpm_ca *ca;
	struct softtpm *tpm;
	struct enrol_activation a;
	struct enrol_challenge c;
};

static void fill(struct bench *b, const struct softtpm_key *ak)
{
	enrol_activation_init(&b->a);
	enrol_challenge_init(&b->c);
	assert_ok(buf_add(&b->a.request.ek_public, buf_bytes(&b->tpm->ek->area)));
	assert_ok(buf_add(&b->a.request.ek_cert, cert_der(b->tpm->ek_cert)));
	assert_ok(buf_add(&b->a.request.chain[0], cert_der(b->ca->issuer)));
	b->a.request.n_chain = 1;
	assert_ok(buf_add(&b->a.request.ak_public, buf_bytes(&ak->area)));
}

static void empty(struct bench *b)
{
	enrol_activation_done(&b->a);
	enrol_challenge_done(&b->c);
}

static struct bench *bench_new(bool trusted)
{
	struct bench *b = calloc(1, sizeof(*b));
	struct softtpm_options o = { .ek = SOFTTPM_EK_P256, .ak = SOFTTPM_AK_P256 };
	cleanup_buf struct buf pem = BUF_INIT(65536);
	const char *text;

	assert_non_null(b);
	b->s = service_new();
	b->s->now_s = 1800000000; /* within the certificates' dates, which begin with the real clock */
	b->s->v->c.allow_no_ek_certificate = false;
	assert_ok(softtpm_ca_new(&b->ca));
	o.ca = b->ca;
	assert_ok(softtpm_new(&o, &b->tpm));
	if (trusted) {
		cleanup_reply struct reply r;

		assert_ok(cert_to_pem(b->ca->root, &pem));
		assert_ok(buf_cstr(&pem, &text));
		assert_int_equal(service_admin(b->s, "/v1/admin/trust/add", "pem", text, &r), 200);
	}
	fill(b, b->tpm->ak);
	return b;
}

static void bench_free(struct bench *b)
{
	empty(b);
	softtpm_free(b->tpm);
	softtpm_ca_free(b->ca);
	service_free(b->s);
	free(b);
}
DEFINE_CLEANUP(struct bench, cleanup_bench_, bench_free)
#define cleanup_bench cleanup(cleanup_bench_)

static unsigned begin(struct bench *b, struct reply *ret)
{
	cleanup_buf struct buf body = BUF_INIT(LIMIT_EVIDENCE);
	unsigned status;

	assert_ok(enrol_request_encode(&b->a.request, &body));
	status = service_call(b->s, "POST", "/v1/enrol", JSON_TYPE, buf_bytes(&body), ret);
	if (status != 200)
		return status;
	enrol_challenge_done(&b->c);
	enrol_challenge_init(&b->c);
	assert_ok(enrol_challenge_decode(buf_bytes(&ret->body), &b->c, NULL));
	return status;
}

static void open_secret(struct bench *b, const struct softtpm_key *ak)
{
	buf_clear(&b->a.secret);
	buf_clear(&b->a.session);
	assert_ok(softtpm_activate(b->tpm, &ak->name, buf_bytes(&b->c.credential_blob), buf_bytes(&b->c.encrypted_secret),
				   &b->a.secret));
	assert_ok(buf_add(&b->a.session, buf_bytes(&b->c.session)));
}

static unsigned finish(struct bench *b, struct reply *ret)
{
	cleanup_buf struct buf body = BUF_INIT(LIMIT_EVIDENCE);

	assert_ok(enrol_activation_encode(&b->a, &body));
	return service_call(b->s, "POST", "/v1/enrol/activate", JSON_TYPE, buf_bytes(&body), ret);
}

static uint64_t n_hosts(struct bench *b)
{
	struct store_counts n;

	assert_ok(store_counts(b->s->v->store, b->s->now_s, &n));
	return n.hosts;
}

static void test_both_steps(void **state)
{
	cleanup_bench struct bench *b = bench_new(true);
	cleanup_reply struct reply first, second;

	(void)state;
	assert_int_equal(begin(b, &first), 200);
	/* Step one stores nothing. */
	assert_int_equal(n_hosts(b), 0);
	open_secret(b, b->tpm->ak);
	assert_int_equal(finish(b, &second), 200);
	assert_member(&second, "state", "PENDING");
	assert_member(&second, "issuer", LAB_ISSUER);
	assert_int_equal(n_hosts(b), 1);
}

static void test_certificates(void **state)
{
	cleanup_bench struct bench *foreign = bench_new(false), *bare = bench_new(true), *gone = bench_new(true);
	cleanup_reply struct reply a, b, c, list, removed, d;
	cleanup_json json_t *rows = NULL;

	(void)state;
	assert_int_equal(begin(foreign, &a), 403);
	assert_member(&a, "type", "urn:assay:error:E_AUTH_CERTIFICATE");
	buf_clear(&bare->a.request.ek_cert);
	bare->a.request.n_chain = 0;
	assert_int_equal(begin(bare, &b), 403);
	/* A CA that was removed is one no longer, for step two as well. */
	assert_int_equal(begin(gone, &c), 200);
	open_secret(gone, gone->tpm->ak);
	(void)service_call(gone->s, "GET", "/v1/admin/trust", NULL, BYTES_NONE, &list);
	rows = service_json(&list);
	assert_int_equal(service_admin(gone->s, "/v1/admin/trust/remove", "sha256",
				       json_string_value(json_object_get(json_array_get(rows, 0), "sha256")), &removed),
			 200);
	assert_int_equal(finish(gone, &d), 403);
	assert_int_equal(n_hosts(gone), 0);
}

/* N9: one attempt, whatever came with it, also across a restart. */
static void test_one_attempt(void **state)
{
	cleanup_bench struct bench *b = bench_new(true);
	struct reply r;

	(void)state;
	assert_int_equal(begin(b, &r), 200);
	reply_done(&r);
	open_secret(b, b->tpm->ak);
	b->a.secret.p[0] ^= 1;
	assert_int_equal(finish(b, &r), 403);
	reply_done(&r);
	b->a.secret.p[0] ^= 1;
	for (int k = 0; k < 2; k++) {
		assert_int_equal(finish(b, &r), 403);
		assert_member(&r, "type", "urn:assay:error:E_AUTH_NONCE");
		reply_done(&r);
		assert_int_equal(n_hosts(b), 0);
		service_restart(b->s);
	}
	/* A new session, once. */
	b->s->v->c.allow_no_ek_certificate = false;
	assert_int_equal(begin(b, &r), 200);
	reply_done(&r);
	open_secret(b, b->tpm->ak);
	assert_int_equal(finish(b, &r), 200);
	reply_done(&r);
	assert_int_equal(finish(b, &r), 403);
	reply_done(&r);
}

/* A session is for its request, its time and its verifier. */
static void test_foreign_sessions(void **state)
{
	cleanup_bench struct bench *b = bench_new(true), *other = bench_new(true);
	cleanup_reply struct reply first, theirs, wrong, late;

	(void)state;
	assert_int_equal(begin(b, &first), 200);
	assert_int_equal(begin(other, &theirs), 200);
	open_secret(b, b->tpm->ak);
	buf_clear(&b->a.session);
	assert_ok(buf_add(&b->a.session, buf_bytes(&other->c.session)));
	assert_int_equal(finish(b, &wrong), 403);
	open_secret(b, b->tpm->ak);
	b->s->now_s += 600;
	assert_int_equal(finish(b, &late), 403);
	assert_int_equal(n_hosts(b), 0);
}

/* N10: the same TPM with another AK; the first record stays, and that session is used up too. */
static void test_first_binding_wins(void **state)
{
	cleanup_bench struct bench *b = bench_new(true);
	cleanup_host_row struct host_row before = { 0 }, after = { 0 };
	struct softtpm_spec spec = softtpm_spec_of(SOFTTPM_AK_P256);
	cleanup_softtpm_key struct softtpm_key *ak = NULL;
	char id[HOST_ID_LEN + 1];
	struct reply r;

	(void)state;
	assert_int_equal(begin(b, &r), 200);
	reply_done(&r);
	open_secret(b, b->tpm->ak);
	assert_int_equal(finish(b, &r), 200);
	reply_done(&r);
	assert_ok(host_id_of(&b->tpm->ek->pub, id));
	assert_ok(store_host(b->s->v->store, id, &before));

	assert_ok(softtpm_key_new(&spec, &ak));
	empty(b);
	fill(b, ak);
	assert_int_equal(begin(b, &r), 200);
	reply_done(&r);
	open_secret(b, ak);
	assert_int_equal(finish(b, &r), 409);
	assert_member(&r, "type", "urn:assay:error:E_AUTH_CONFLICT");
	reply_done(&r);
	assert_ok(store_host(b->s->v->store, id, &after));
	assert_memory_equal(before.record->digest, after.record->digest, 32);
	assert_int_equal(finish(b, &r), 403);
	reply_done(&r);
}

/* N9, T37: neither answers nor the log hold the secret, the session's key or a part of them. */
static void test_no_secret_outside(void **state)
{
	cleanup_bench struct bench *b = bench_new(true);
	cleanup_buf struct buf hex = BUF_INIT(128), b64 = BUF_INIT(128);
	const char *hex_s, *b64_s, *body;
	static char log_text[65536];
	struct capture capture;
	struct reply first, second;

	(void)state;
	log_init(LOG_LEVEL_DEBUG, false);
	capture_begin(&capture, STDERR_FILENO);
	(void)begin(b, &first);
	open_secret(b, b->tpm->ak);
	b->a.secret.p[0] ^= 1;
	(void)finish(b, &second);
	b->a.secret.p[0] ^= 1;
	capture_end(&capture, log_text, sizeof(log_text));
	log_init(LOG_LEVEL_ERROR, false);
	assert_int_equal(second.status, 403);
	assert_ok(buf_add_hex(&hex, BYTES(b->a.secret.p, 8)));
	assert_ok(b64url_encode(BYTES(b->a.secret.p, 9), &b64));
	assert_ok(buf_cstr(&hex, &hex_s));
	assert_ok(buf_cstr(&b64, &b64_s));
	assert_null(strstr(log_text, hex_s));
	assert_null(strstr(log_text, b64_s));
	assert_ok(buf_cstr(&first.body, &body));
	assert_null(strstr(body, b64_s));
	assert_ok(buf_cstr(&second.body, &body));
	assert_null(strstr(body, b64_s));
	reply_done(&first);
	reply_done(&second);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_steps),     cmocka_unit_test(test_certificates),
		cmocka_unit_test(test_one_attempt),    cmocka_unit_test(test_foreign_sessions),
		cmocka_unit_test(test_first_binding_wins), cmocka_unit_test(test_no_secret_outside),
	};

	log_init(LOG_LEVEL_ERROR, false);
	return cmocka_run_group_tests_name("serve-enrol", tests, NULL, NULL);
}
