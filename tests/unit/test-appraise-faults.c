/* SPDX-License-Identifier: Apache-2.0 */
/*
 * V1: whatever fails here, the answer is an error and never a pass. The k-th
 * allocation fails, for every k, of our own code and of OpenSSL.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/fault.h"
#include "tests/support/lab_boot.h"
#include "tests/support/lab_check.h"
#include "verifier/appraise/enrolment.h"

static bool is_local(struct err e)
{
	return e.code >= E_LOCAL_MEMORY && e.code < E_BUG;
}

/* Appraises the lab's evidence with the k-th allocation failing; true where none was left to fail. */
static bool appraise_with_fault(struct lab *l, long k)
{
	cleanup_verdict struct verdict v;
	struct err e;

	verdict_init(&v);
	fault_begin(k);
	e = lab_appraise(l, &v);
	if (fault_end() <= k) {
		if (failed(e) || !verdict_passed(&v)) {
			print_failures(&v);
			fail_msg("no pass without a fault: %s", err_name(e));
		}
		return true;
	}
	/*
	 * OpenSSL lives without some of its caches: then the verdict is right. It
	 * can also fail to verify without a word about memory: then the evidence
	 * is refused as not signed, and changes nothing.
	 */
	if (!failed(e)) {
		if (!verdict_passed(&v) && v.authentic) {
			print_failures(&v);
			fail_msg("allocation %ld", k);
		}
		return false;
	}
	if (!is_local(e))
		fail_msg("allocation %ld: %s", k, err_name(e));
	assert_false(verdict_passed(&v));
	assert_false(v.authentic);
	assert_int_equal(v.n_checks, 0);
	assert_null(v.instance);
	return false;
}

static void every_fault(struct lab *l)
{
	long k = 0;

	while (!appraise_with_fault(l, k))
		k++;
	assert_true(k > 3);
}

static void test_V1_whole_evidence(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);

	(void)state;
	for (unsigned i = 0; i < 6; i++)
		(void)lab_start(l, "agt", "image", "model");
	lab_end(l, 2);
	lab_end(l, 0);
	lab_challenge(l);
	lab_evidence(l, NULL);
	every_fault(l);
}

static void test_V1_incremental(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P384);

	(void)state;
	lab_must_pass(l);
	(void)lab_start(l, "agt", "image", "model");
	lab_end(l, 0);
	lab_must_pass(l);
	lab_end(l, 1);
	(void)lab_start(l, "agt", "image", "model");
	lab_challenge(l);
	lab_evidence(l, NULL);
	every_fault(l);
}

/* The firmware log and systemd's, then systemd's alone. */
static void test_V1_measured_boot(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);

	(void)state;
	lab_boot_measure(l);
	lab_boot_approve(l);
	lab_challenge(l);
	lab_evidence(l, NULL);
	every_fault(l);
	lab_must_pass(l);
	lab_phase(l, "sysinit");
	lab_challenge(l);
	lab_evidence(l, NULL);
	assert_false(l->challenge.firmware_log);
	every_fault(l);
}

/* A verdict "no" stays one, or becomes an error; it never becomes "yes". */
static void test_V1_refused_evidence(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
	struct err e;
	long n;

	(void)state;
	(void)lab_start(l, "agt", "another image", "another model");
	assert_false(failed(softtpm_event(l->tpm, 1, BYTES_LIT("x"))));
	lab_challenge(l);
	lab_evidence(l, NULL);
	for (long k = 0;; k++) {
		cleanup_verdict struct verdict v;

		verdict_init(&v);
		fault_begin(k);
		e = lab_appraise(l, &v);
		n = fault_end();
		assert_false(verdict_passed(&v));
		assert_true(failed(e) || v.n_failures > 0);
		if (n <= k)
			break;
	}
}

/* ---- The rest of the folder: an error leaves no output and no leak. */

static void test_V1_documents(void **state)
{
	static const enum document_kind kinds[] = { DOCUMENT_HOST, DOCUMENT_IMAGE, DOCUMENT_MODEL, DOCUMENT_PLATFORM,
						    DOCUMENT_AGENT, DOCUMENT_WITHDRAW };

	(void)state;
	for (size_t i = 0; i < array_len(kinds); i++) {
		cleanup_buf struct buf payload = BUF_INIT(LIMIT_DOCUMENT);
		cleanup_json json_t *p = doc_predicate(kinds[i]);

		assert_false(failed(document_statement(p, &payload, NULL)));
		for (long k = 0;; k++) {
			cleanup_document struct document *d = NULL;
			struct err e;

			fault_begin(k);
			e = document_parse(buf_bytes(&payload), DOC_REALM, &d, NULL);
			if (fault_end() <= k) {
				assert_int_equal(e.code, E_OK);
				break;
			}
			assert_true((d != NULL) == !failed(e));
			if (failed(e) && !is_local(e))
				fail_msg("kind %u, allocation %ld: %s", kinds[i], k, err_name(e));
		}
	}
}

static void test_V1_reference(void **state)
{
	(void)state;
	for (long k = 0;; k++) {
		struct document *docs[] = { doc_make(doc_predicate(DOCUMENT_HOST)),
					    doc_make(doc_predicate(DOCUMENT_PLATFORM)) };
		cleanup_reference struct reference *r = NULL;
		struct err e;
		bool last;

		fault_begin(k);
		e = reference_new(docs, 2, &r);
		last = fault_end() <= k;
		assert_true((r != NULL) == !failed(e));
		if (failed(e)) {
			assert_true(is_local(e));
			document_free(docs[0]);
			document_free(docs[1]);
		}
		if (last) {
			assert_non_null(r);
			break;
		}
	}
}

static void test_V1_record_and_state(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
	cleanup_buf struct buf record = BUF_INIT(HOST_RECORD_MAX), bytes = BUF_INIT(HOST_STATE_MAX);
	bool done = false;

	(void)state;
	(void)lab_start(l, "agt", "image", "model");
	lab_end(l, 0);
	lab_must_pass(l);
	assert_false(failed(host_record_encode(buf_bytes(&l->tpm->ek->area), BYTES_NONE, buf_bytes(&l->tpm->ak->area),
					       1, &record)));
	assert_false(failed(host_state_encode(&l->state, &bytes)));
	for (long k = 0; !done; k++) {
		cleanup_host_record struct host_record *h = NULL;
		cleanup_host_state struct host_state s, copy;
		cleanup_buf struct buf out = BUF_INIT(HOST_STATE_MAX);
		struct err e[4];

		host_state_init(&s);
		host_state_init(&copy);
		fault_begin(k);
		e[0] = host_record_decode(buf_bytes(&record), &h);
		done = fault_end() <= k;
		assert_true((h != NULL) == !failed(e[0]));
		fault_begin(k);
		e[1] = host_state_decode(buf_bytes(&bytes), &s);
		done = fault_end() <= k && done;
		fault_begin(k);
		e[2] = host_state_copy(&l->state, &copy);
		done = fault_end() <= k && done;
		fault_begin(k);
		e[3] = host_state_encode(&l->state, &out);
		done = fault_end() <= k && done;
		assert_true(failed(e[1]) ? s.instance == NULL : s.n_instances == 1);
		assert_true(failed(e[2]) ? copy.instance == NULL : copy.n_instances == 1);
		assert_true(failed(e[3]) ? out.n == 0 : out.n == bytes.n);
		for (size_t i = 0; i < array_len(e); i++)
			assert_true(!failed(e[i]) || is_local(e[i]));
	}
}

/* A secret that could not be computed is no secret that fits. */
static void test_V1_activation(void **state)
{
	static const uint8_t key[32] = { 1 }, random[16] = { 2 };
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
	struct enrol_activation m;
	struct enrol_challenge c;
	struct enrolment en = { .ak_name = l->tpm->ak->name };
	uint8_t id[ENROL_SESSION_ID_LEN];
	bool valid;
	struct err e;

	(void)state;
	enrol_activation_init(&m);
	enrol_challenge_init(&c);
	assert_false(failed(buf_add(&m.request.ek_public, buf_bytes(&l->tpm->ek->area))));
	assert_false(failed(buf_add(&m.request.ak_public, buf_bytes(&l->tpm->ak->area))));
	assert_false(failed(enrolment_challenge(&m.request, &en, key, 1000, random, &c)));
	assert_false(failed(buf_add(&m.session, buf_bytes(&c.session))));
	assert_false(failed(buf_add(&m.secret, BYTES_LIT("a secret of thirty-two bytes...."))));
	for (long k = 0;; k++) {
		bool last;

		fault_begin(k);
		e = enrolment_activate(&m, &en, key, 1000, id, &valid, NULL);
		last = fault_end() <= k;
		assert_true(failed(e));
		assert_true(e.code == E_AUTH_REFUSED || is_local(e));
		if (last)
			break;
	}
	assert_int_equal(e.code, E_AUTH_REFUSED);
	enrol_activation_done(&m);
	enrol_challenge_done(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_V1_whole_evidence),   cmocka_unit_test(test_V1_incremental),
		cmocka_unit_test(test_V1_measured_boot), cmocka_unit_test(test_V1_refused_evidence),
		cmocka_unit_test(test_V1_documents),
		cmocka_unit_test(test_V1_reference),        cmocka_unit_test(test_V1_record_and_state),
		cmocka_unit_test(test_V1_activation),
	};

	fault_init();
	return cmocka_run_group_tests_name("appraise-faults", tests, NULL, NULL);
}
