/* SPDX-License-Identifier: Apache-2.0 */
/* Evidence with the logs of a boot: systemd's goes on while the host runs, the firmware's is sent once. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/lab_boot.h"
#include "tests/support/lab_check.h"
#include "tests/support/logbuild.h"

static struct lab *measured(void)
{
	struct lab *l = lab_new(SOFTTPM_AK_P256);

	lab_boot_measure(l);
	lab_boot_approve(l);
	return l;
}

/* What a store makes of the state. */
static void store_and_read(struct lab *l)
{
	cleanup_buf struct buf b = BUF_INIT(HOST_STATE_MAX);
	struct host_state s;

	host_state_init(&s);
	assert_false(failed(host_state_encode(&l->state, &b)));
	assert_false(failed(host_state_decode(buf_bytes(&b), &s)));
	host_state_done(&l->state);
	l->state = s;
}

/* Passes, and says which logs the challenge asked for and how many events were judged. */
static void pass(struct lab *l, bool firmware, size_t n_events, size_t n_phases)
{
	cleanup_verdict struct verdict v;

	verdict_init(&v);
	attest(l, NULL, &v);
	passes(&v);
	assert_int_equal(l->challenge.firmware_log, firmware);
	assert_true(l->challenge.userspace_log);
	assert_int_equal(v.coverage.firmware, n_events > 0);
	assert_int_equal(v.coverage.n_events, n_events);
	assert_int_equal(v.coverage.firmware_rule[FIRMWARE_RULE_USERSPACE], n_phases);
	assert_int_equal(v.compared_mask & 0xf00, 0xb00);
	lab_store(l, &v);
	store_and_read(l);
}

/* Fails at this check, with these words, and the next challenge asks for everything. */
static void fails_at(struct lab *l, const char *check, const char *seen)
{
	cleanup_verdict struct verdict v;
	bool found = false;

	verdict_init(&v);
	attest(l, NULL, &v);
	assert_int_equal(v.status, HOST_FAILED);
	for (size_t i = 0; i < v.n_failures; i++)
		found |= strcmp(v.failure[i].check, check) == 0 && strstr(v.failure[i].seen, seen) != NULL;
	if (!found) {
		print_failures(&v);
		fail_msg("%s is not named", check);
	}
	lab_store(l, &v);
	store_and_read(l);
	lab_challenge(l);
	assert_true(l->challenge.firmware_log);
}

static void test_phases_go_on(void **state)
{
	cleanup_lab struct lab *l = measured();

	(void)state;
	pass(l, true, 26, 2);
	/* Nothing has moved: the judgement stands. */
	pass(l, false, 0, 0);
	lab_phase(l, "sysinit");
	pass(l, false, 3, 3);
	lab_phase(l, "ready");
	pass(l, false, 4, 4);
	lab_phase(l, "evil");
	fails_at(l, "P-profile", "evil");
	fails_at(l, "P-profile", "evil");
}

static void test_E7_register_that_the_log_does_not_explain(void **state)
{
	cleanup_lab struct lab *l = measured();

	(void)state;
	pass(l, true, 26, 2);
	assert_false(failed(softtpm_event(l->tpm, 11, BYTES_LIT("ready"))));
	fails_at(l, "E7", "does not explain");
	/* Whole evidence neither. */
	fails_at(l, "E7", "does not explain");
}

static void test_E7_register_of_the_firmware_moved(void **state)
{
	cleanup_lab struct lab *l = measured();

	(void)state;
	pass(l, true, 26, 2);
	lab_phase(l, "sysinit");
	assert_false(failed(softtpm_event(l->tpm, 9, BYTES_LIT("ready"))));
	fails_at(l, "E7", "does not explain");
}

/* The log is read after the quote: what systemd measured in between is not judged yet. */
static void test_I3_log_longer_than_the_quote(void **state)
{
	cleanup_lab struct lab *l = measured();

	(void)state;
	logbuild_phase(&l->userspace_log, "evil");
	pass(l, true, 26, 2);
}

static void test_no_log(void **state)
{
	cleanup_lab struct lab *l = measured();

	(void)state;
	pass(l, true, 26, 2);
	lab_phase(l, "sysinit");
	buf_clear(&l->userspace_log);
	fails_at(l, "E7", "does not explain");
}

/* Only what the newest document says counts, and it judges the boot from its beginning. */
static void test_other_document(void **state)
{
	cleanup_lab struct lab *l = measured();

	(void)state;
	pass(l, true, 26, 2);
	lab_phase(l, "sysinit");
	lab_doc_set(l, DOCUMENT_PLATFORM, "serial", "9");
	pass(l, true, 27, 3);
	lab_phase(l, "ready");
	pass(l, false, 4, 4);
}

/* What an earlier boot's firmware left is not this one's. */
static void test_another_boot(void **state)
{
	cleanup_lab struct lab *l = measured();

	(void)state;
	pass(l, true, 26, 2);
	assert_false(failed(softtpm_reset(l->tpm)));
	buf_clear(&l->firmware_log); /* lab_boot_measure() makes it anew, and extends as it says */
	lab_boot(l);
	lab_boot_measure(l);
	pass(l, true, 26, 2);
}

static void test_not_asked_without_rules(void **state)
{
	cleanup_lab struct lab *l = measured();

	(void)state;
	doc_set(json_object_get(l->doc[DOCUMENT_PLATFORM], "firmware"), "userspace", NULL);
	lab_doc_set(l, DOCUMENT_PLATFORM, "serial", "9");
	lab_challenge(l);
	assert_false(l->challenge.userspace_log);
	fails_at(l, "E7", "does not explain");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_phases_go_on),
		cmocka_unit_test(test_E7_register_that_the_log_does_not_explain),
		cmocka_unit_test(test_E7_register_of_the_firmware_moved),
		cmocka_unit_test(test_I3_log_longer_than_the_quote),
		cmocka_unit_test(test_no_log),
		cmocka_unit_test(test_other_document),
		cmocka_unit_test(test_another_boot),
		cmocka_unit_test(test_not_asked_without_rules),
	};

	return cmocka_run_group_tests_name("appraise-userspace", tests, NULL, NULL);
}
