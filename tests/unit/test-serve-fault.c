/* SPDX-License-Identifier: Apache-2.0 */
/*
 * V1, T24: whatever fails on the way of a request, there is no credential
 * without its row, no verdict without its commit, and no answer that says more
 * than was stored. Afterwards the service works again.
 */
#include "unit.h"

#include "base/log.h"
#include "tests/support/fault.h"
#include "tests/support/faulty_vfs.h"
#include "tests/support/service_fixture.h"

/* Sanitised builds are slow: the k-th failure for each of the first, then for some. */
static long next(long k)
{
	return k < 150 ? k + 1 : k + 17;
}

static uint64_t n_credentials(struct service *s)
{
	struct store_counts n;

	assert_ok(store_counts(s->v->store, s->now_s, &n));
	return n.credentials_live;
}

static int64_t version_of(struct service *s)
{
	cleanup_host_row struct host_row row = { 0 };

	assert_ok(store_host(s->v->store, s->lab->host->id, &row));
	return (int64_t)row.version;
}

/* One of the two routes that issue, and what stands in its answer alone. */
struct issuing {
	const char *path, *uri, *form, *marker;
};
static const struct issuing tokens = { "/v1/token", LAB_ISSUER "/v1/token", SERVICE_FORM, "access_token" };
static const struct issuing certificates = { "/v1/x509-svid", LAB_ISSUER "/v1/x509-svid", "task_id=task-1",
					     "BEGIN CERTIFICATE" };

static bool says(const struct reply *r, const char *marker)
{
	return r->body.n > 0 && memmem(r->body.p, r->body.n, marker, strlen(marker)) != NULL;
}

static void every_allocation(struct service *s, const struct issuing *i)
{
	unsigned n_failed = 0, last = 0;
	bool done = false;

	for (long k = 0; !done; k = next(k)) {
		cleanup_buf struct buf proof = BUF_INIT(LIMIT_TOKEN);
		cleanup_reply struct reply r;
		struct service_proof p = { .htu = i->uri };
		struct request q = service_request(s, "POST", i->path, FORM_TYPE, bytes_str(i->form));
		uint64_t before = n_credentials(s);
		char nonce[96];

		service_nonce(s, nonce);
		p.nonce = nonce;
		service_proof(s, &p, &proof);
		assert_ok(buf_cstr(&proof, &q.dpop));
		q.n_dpop = 1;
		fault_begin(k);
		service_send(s, &q, &r);
		done = fault_end() <= k;
		last = r.status;
		n_failed += r.status != 200;
		assert_true(r.status == 200 || r.status == 500 || r.status == 503 || r.status == 400);
		assert_int_equal(says(&r, i->marker), r.status == 200);
		if (r.status == 200)
			assert_int_equal(n_credentials(s), before + 1);
		assert_true(n_credentials(s) <= before + 1);
	}
	assert_true(n_failed >= 100);
	assert_int_equal(last, 200);
}

static void test_every_allocation_of_a_token(void **state)
{
	cleanup_service struct service *s = service_ready();

	(void)state;
	every_allocation(s, &tokens);
}

static void test_every_allocation_of_a_certificate(void **state)
{
	cleanup_service struct service *s = service_ready();

	(void)state;
	doc_set(s->lab->doc[DOCUMENT_AGENT], "x509", "true");
	service_approve(s, DOCUMENT_AGENT);
	service_attest(s);
	every_allocation(s, &certificates);
}

static void test_every_allocation_of_an_attestation(void **state)
{
	cleanup_service struct service *s = service_ready();
	unsigned n_failed = 0;
	bool done = false;

	(void)state;
	for (long k = 0; !done; k = next(k)) {
		cleanup_reply struct reply r;
		int64_t before = version_of(s);
		char verdict[16] = "";

		service_challenge(s);
		lab_evidence(s->lab, NULL);
		fault_begin(k);
		(void)service_call(s, "POST", "/v1/attest", EVIDENCE_MEDIA_TYPE, buf_bytes(&s->lab->evidence), &r);
		done = fault_end() <= k;
		n_failed += r.status != 200;
		if (r.status == 200) {
			service_member(&r, "state", verdict, sizeof(verdict));
			assert_string_equal(verdict, "VERIFIED");
			assert_int_equal(version_of(s), before + 1);
		} else {
			/* Never a verdict FAILED for what is our own trouble. */
			assert_true(r.status == 500 || r.status == 503);
			assert_true(r.body.n == 0 || memmem(r.body.p, r.body.n, "FAILED", 6) == NULL);
		}
	}
	assert_true(n_failed >= 100);
	service_attest(s);
}

static void test_every_allocation_of_an_introspection(void **state)
{
	cleanup_service struct service *s = service_ready();
	cleanup_buf struct buf token = BUF_INIT(LIMIT_TOKEN), dead = BUF_INIT(LIMIT_TOKEN);
	char api[256];

	(void)state;
	service_client(s, "api", NULL, api);
	service_get_token(s, &dead);
	{
		cleanup_reply struct reply r;

		assert_int_equal(service_admin(s, "/v1/admin/revoke", "host", s->lab->host->id, &r), 200);
	}
	service_attest(s);
	service_get_token(s, &token);
	for (int which = 0; which < 2; which++) {
		bool done = false;

		for (long k = 0; !done; k = next(k)) {
			cleanup_buf struct buf form = BUF_INIT(LIMIT_SMALL);
			cleanup_reply struct reply r;
			const struct request q = service_introspection(
				s, api, buf_bytes(which == 0 ? &token : &dead), NULL, &form);
			bool active;

			fault_begin(k);
			service_send(s, &q, &r);
			done = fault_end() <= k;
			active = r.body.n > 0 && memmem(r.body.p, r.body.n, "\"active\":true", 13) != NULL;
			/* A dead token is never active, whatever fails; a live one is active or nothing is said. */
			if (which == 1)
				assert_false(active);
			else if (r.status == 200)
				assert_true(active);
		}
	}
}

/* The disk is full: no verdict, no token, health says so; with room again, everything goes on. */
static void test_disk_full(void **state)
{
	cleanup_service struct service *s = service_ready();
	cleanup_reply struct reply attested, token, health, healthy;
	cleanup_buf struct buf old = BUF_INIT(LIMIT_TOKEN);
	int64_t version = version_of(s);
	uint64_t credentials;
	char api[256];

	(void)state;
	service_client(s, "api", NULL, api);
	service_get_token(s, &old);
	credentials = n_credentials(s);
	service_challenge(s);
	faulty_vfs_full_at(0);
	assert_int_equal(service_post_evidence(s, NULL, &attested), 503);
	assert_true(attested.retry_after_s > 0);
	assert_int_equal(service_token(s, NULL, &token), 503);
	assert_false(says(&token, tokens.marker));
	assert_int_equal(service_call(s, "GET", "/healthz", NULL, BYTES_NONE, &health), 503);
	{
		cleanup_reply struct reply r;

		/* T14: the replay cache cannot be written, so nothing is active. */
		assert_int_equal(service_introspect(s, api, buf_bytes(&old), NULL, &r), 503);
	}
	assert_int_equal(version_of(s), version);
	assert_int_equal(n_credentials(s), credentials);
	(void)faulty_vfs_end();
	assert_int_equal(service_call(s, "GET", "/healthz", NULL, BYTES_NONE, &healthy), 200);
	service_attest(s);
	{
		cleanup_reply struct reply again;

		assert_int_equal(service_token(s, NULL, &again), 200);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_allocation_of_a_token),
		cmocka_unit_test(test_every_allocation_of_a_certificate),
		cmocka_unit_test(test_every_allocation_of_an_attestation),
		cmocka_unit_test(test_every_allocation_of_an_introspection),
		cmocka_unit_test(test_disk_full),
	};

	fault_init();
	faulty_memory_init();
	faulty_vfs_init();
	json_set_alloc_funcs(malloc, free);
	log_init(LOG_LEVEL_ERROR, false);
	return cmocka_run_group_tests_name("serve-fault", tests, NULL, NULL);
}
