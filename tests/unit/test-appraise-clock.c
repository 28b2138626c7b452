/* SPDX-License-Identifier: Apache-2.0 */
/* Clock, reset, restart and boot id: the rule table of attestation-checks, section 6, row by row. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/lab_check.h"

/* A host that was verified once. */
static struct lab *verified(void)
{
	struct lab *l = lab_new(SOFTTPM_AK_P256);

	l->tpm->clock.reset_count = 5;
	l->tpm->clock.restart_count = 3;
	lab_must_pass(l);
	return l;
}

static void reboot(struct lab *l)
{
	assert_false(failed(softtpm_reset(l->tpm)));
	lab_boot(l);
	(void)lab_start(l, "agt", "image", "model");
}

/* The clock that the next quote shows: lab_evidence() ticks on. */
static uint64_t a_clock;
static void set_clock(struct lab *l, struct tpm_attest *a)
{
	(void)l;
	a->clock.clock_ms = a_clock;
}

/* ---- Same boot. */

static void test_R1_not_later(void **state)
{
	cleanup_lab struct lab *l = verified();

	(void)state;
	for (unsigned back = 0; back < 3; back++) {
		cleanup_verdict struct verdict v;

		verdict_init(&v);
		a_clock = l->state.clock.clock_ms - back;
		attest(l, &(struct lab_change){ .quote = set_clock }, &v);
		only_failure(&v, "R1");
		/* With a live nonce this is no fault of the host: nothing changes. */
		assert_true(v.authentic);
		assert_true(v.overtaken);
		assert_int_equal(v.status, HOST_VERIFIED);
		assert_int_equal(v.next.log_offset, l->state.log_offset);
		assert_int_equal(v.next.clock.clock_ms, l->state.clock.clock_ms);
		assert_int_equal(v.next.status, HOST_VERIFIED);
	}
}

static void test_R1_later(void **state)
{
	cleanup_lab struct lab *l = verified();

	(void)state;
	a_clock = l->state.clock.clock_ms + 1;
	accepted(l, &(struct lab_change){ .quote = set_clock });
}

/* Two answers under way at a time: the later one is stored first, the earlier one is refused without harm. */
static void test_R1_overtaken(void **state)
{
	cleanup_lab struct lab *l = verified();
	cleanup_buf struct buf first = BUF_INIT(LIMIT_EVIDENCE);
	cleanup_verdict struct verdict v;

	(void)state;
	verdict_init(&v);
	lab_challenge(l);
	lab_evidence(l, NULL);
	assert_false(failed(buf_add(&first, buf_bytes(&l->evidence))));
	lab_must_pass(l);
	buf_clear(&l->evidence);
	assert_false(failed(buf_add(&l->evidence, buf_bytes(&first))));
	appraise_it(l, &v);
	only_failure(&v, "R1");
	assert_true(v.overtaken);
	lab_store(l, &v);
	lab_must_pass(l);
}

/* R1 knows the newest counters after a failure, too. */
static void test_R1_after_a_failure(void **state)
{
	cleanup_lab struct lab *l = verified();
	cleanup_verdict struct verdict v;
	struct pcr_selection none = { .n = 0 };

	(void)state;
	verdict_init(&v);
	attest(l, &(struct lab_change){ .quoted = &none }, &v);
	/* Q4 stands before the clock, so nothing is known of it; what was stays. */
	assert_int_equal(v.next.clock.clock_ms, l->state.clock.clock_ms);
	lab_store(l, &v);
	assert_int_equal(l->state.status, HOST_FAILED);
	verdict_done(&v);
	a_clock = l->state.clock.clock_ms;
	attest(l, &(struct lab_change){ .quote = set_clock }, &v);
	only_failure(&v, "R1");
	assert_int_equal(v.status, HOST_FAILED);
}

/* ---- Resume and restart. */

static void test_resume_log_goes_on(void **state)
{
	cleanup_lab struct lab *l = verified();
	struct workload_event ev = { .kind = WORKLOAD_RESUME };

	(void)state;
	softtpm_resume(l->tpm);
	ev.restart_count = l->tpm->clock.restart_count;
	lab_record(l, &ev);
	lab_challenge(l);
	assert_false(l->challenge.boot_known);
	assert_int_equal(l->challenge.log_offset, 0);
	lab_must_pass(l);
	assert_int_equal(l->state.log_restart, 4);
	assert_int_equal(l->state.n_instances, 1);
}

/* Restart with PCR 13 at zero: a new log begins. */
static void test_restart_new_log(void **state)
{
	cleanup_lab struct lab *l = verified();

	(void)state;
	softtpm_restart(l->tpm);
	lab_boot(l);
	lab_must_pass(l);
	assert_int_equal(l->state.n_instances, 0);
	assert_int_equal(l->state.log_records, 1);
}

/* Restart, and the old log is shown to a register that is at zero again. */
static void test_restart_old_log(void **state)
{
	cleanup_lab struct lab *l = verified();
	cleanup_verdict struct verdict v;

	(void)state;
	verdict_init(&v);
	softtpm_restart(l->tpm);
	attest(l, NULL, &v);
	fails(&v, "P-platform");
	/* The log matches before its first record: nothing of it is covered, so nothing runs. */
	fails(&v, "W6");
	assert_int_equal(v.n_instances, 0);
}

static void test_R_restart_back(void **state)
{
	cleanup_lab struct lab *l = verified();

	(void)state;
	l->tpm->clock.restart_count--;
	refused(l, NULL, "R-restart");
}

/* Claims that were made before the host slept, a quote from afterwards. */
static uint8_t old_boot[BOOT_ID_LEN];
static void claim_old_boot(struct lab *l, struct evidence_claims *c)
{
	memcpy(c->boot_id, old_boot, sizeof(old_boot));
	c->log_offset = l->state.log_offset;
	c->log_records = l->state.log_records;
	c->log_pcr = digest_bytes(&l->state.pcr[0]);
}

static void test_R2_resumed_meanwhile(void **state)
{
	cleanup_lab struct lab *l = verified();
	cleanup_verdict struct verdict v;

	(void)state;
	verdict_init(&v);
	lab_boot_id(l, old_boot);
	softtpm_resume(l->tpm);
	attest(l, &(struct lab_change){ .claims = claim_old_boot }, &v);
	only_failure(&v, "R2");
	assert_int_equal(v.status, HOST_REBOOTED);
	lab_store(l, &v);
	lab_must_pass(l);
}

/* ---- New boot. */

/*
 * R2: a reset, the same extends again, and evidence that goes on as if nothing
 * had happened: a perfect quote, and no pass.
 */
static void test_R2_reset_and_same_extends(void **state)
{
	cleanup_lab struct lab *l = verified();
	cleanup_verdict struct verdict v;
	struct digest pcr13 = l->tpm->pcr[DIGEST_SHA256][WORKLOAD_PCR];

	(void)state;
	verdict_init(&v);
	lab_boot_id(l, old_boot);
	/* What an attacker can do to the registers, by extending the same values again. */
	{
		struct digest all[LIMIT_PCRS];

		memcpy(all, l->tpm->pcr[DIGEST_SHA256], sizeof(all));
		assert_false(failed(softtpm_reset(l->tpm)));
		memcpy(l->tpm->pcr[DIGEST_SHA256], all, sizeof(all));
	}
	assert_memory_equal(&pcr13, &l->tpm->pcr[DIGEST_SHA256][WORKLOAD_PCR], sizeof(pcr13));
	attest(l, &(struct lab_change){ .claims = claim_old_boot }, &v);
	only_failure(&v, "R2");
	assert_int_equal(v.status, HOST_REBOOTED);
	assert_int_equal(v.next.status, HOST_REBOOTED);
	assert_int_equal(v.next.clock.reset_count, 6);
	assert_false(v.next.has_boot);
	assert_int_equal(v.next.n_instances, 0);
}

/* The same, as whole evidence: the old log names a key that this boot cannot load. */
static void test_R2_old_key_in_the_new_boot(void **state)
{
	cleanup_lab struct lab *l = verified();
	cleanup_verdict struct verdict v;
	struct digest all[LIMIT_PCRS];

	(void)state;
	verdict_init(&v);
	memcpy(all, l->tpm->pcr[DIGEST_SHA256], sizeof(all));
	assert_false(failed(softtpm_reset(l->tpm)));
	memcpy(l->tpm->pcr[DIGEST_SHA256], all, sizeof(all));
	attest(l, NULL, &v);
	/* The key hangs below the null primary of the boot before. */
	fails(&v, "C-parent");
	assert_false(v.instance[0].usable);
	assert_int_equal(v.status, HOST_FAILED);
}

/* R3: restartCount going 3 to 0 with a reset is a new boot. */
static void test_R3_reset_accepted(void **state)
{
	cleanup_lab struct lab *l = verified();

	(void)state;
	reboot(l);
	assert_int_equal(l->tpm->clock.restart_count, 0);
	lab_must_pass(l);
	assert_int_equal(l->state.status, HOST_VERIFIED);
	assert_int_equal(l->state.clock.reset_count, 6);
}

/* R4: power loss, clock going back, safe 0: accepted with a warning. */
static void test_R4_power_loss_accepted(void **state)
{
	cleanup_lab struct lab *l = verified();
	cleanup_verdict struct verdict v;

	(void)state;
	verdict_init(&v);
	l->tpm->clock.clock_ms = 2948;
	lab_must_pass(l);
	assert_false(failed(softtpm_power_loss(l->tpm, 2000)));
	lab_boot(l);
	(void)lab_start(l, "agt", "image", "model");
	attest(l, NULL, &v);
	passes(&v);
	assert_true(v.power_loss);
	assert_true(v.next.clock.clock_ms < l->state.clock.clock_ms);
	assert_true(v.instance[0].usable);
}

static void test_R3_modulo(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);

	(void)state;
	l->tpm->clock.reset_count = UINT32_MAX;
	lab_must_pass(l);
	reboot(l);
	assert_int_equal(l->tpm->clock.reset_count, 0);
	lab_must_pass(l);
}

static void test_R5_reset_count_back(void **state)
{
	static const uint32_t counts[] = { 4, 0, 0x80000006 };

	(void)state;
	for (size_t i = 0; i < array_len(counts); i++) {
		cleanup_lab struct lab *l = verified();
		cleanup_verdict struct verdict v;

		verdict_init(&v);
		reboot(l);
		l->tpm->clock.reset_count = counts[i];
		attest(l, NULL, &v);
		only_failure(&v, "R5");
		assert_int_equal(v.status, HOST_FAILED);
		/* What was accepted stays the measure: sending it twice does not help. */
		assert_int_equal(v.next.clock.reset_count, 5);
		lab_store(l, &v);
		refused(l, NULL, "R5");
	}
}

static void test_R5_tpm2_clear(void **state)
{
	cleanup_lab struct lab *l = verified();
	cleanup_verdict struct verdict v;

	(void)state;
	verdict_init(&v);
	softtpm_clear(l->tpm);
	attest(l, NULL, &v);
	only_failure(&v, "R5");
	assert_int_equal(v.status, HOST_FAILED);
}

/* ---- Status. */

static void test_V4_failed_stays_through_a_reboot(void **state)
{
	cleanup_lab struct lab *l = verified();
	cleanup_verdict struct verdict v;

	(void)state;
	verdict_init(&v);
	l->state.status = HOST_FAILED;
	lab_boot_id(l, old_boot);
	assert_false(failed(softtpm_reset(l->tpm)));
	attest(l, &(struct lab_change){ .claims = claim_old_boot }, &v);
	fails(&v, "R2");
	assert_int_equal(v.status, HOST_FAILED);
}

/* V5: trust begins with a verdict; the first one has nothing to be compared with. */
static void test_V5_first(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);

	(void)state;
	assert_int_equal(l->state.status, HOST_NEVER);
	l->tpm->clock.reset_count = 0xfedcba98;
	lab_must_pass(l);
}

/* ---- W-offset (I4): where the log goes on. */

/* Another answer moves the state; the challenge is the one from before. */
lab_helper void answered_meanwhile(struct lab *l)
{
	struct challenge first = l->challenge;

	(void)lab_start(l, "agt", "image", "model");
	lab_must_pass(l);
	l->challenge = first;
}

static void test_W_offset_state_moved(void **state)
{
	cleanup_lab struct lab *l = verified();
	cleanup_verdict struct verdict v;

	(void)state;
	verdict_init(&v);
	/* Challenge, then another answer moves the state, then the answer to the first challenge with a later clock. */
	lab_challenge(l);
	answered_meanwhile(l);
	lab_evidence(l, NULL);
	appraise_it(l, &v);
	only_failure(&v, "W-offset");
	assert_true(v.overtaken);
	assert_int_equal(v.status, HOST_VERIFIED);
	assert_int_equal(v.next.log_offset, l->state.log_offset);
}

static void offset_past(struct lab *l, struct evidence_claims *c)
{
	(void)l;
	c->log_offset++;
}
static void records_past(struct lab *l, struct evidence_claims *c)
{
	(void)l;
	c->log_records++;
}
static uint8_t a_pcr[32];
static void pcr_other(struct lab *l, struct evidence_claims *c)
{
	(void)l;
	c->log_pcr = BYTES_ARR(a_pcr);
}

static void test_W_offset_all_three(void **state)
{
	static void (*const changes[])(struct lab *, struct evidence_claims *) = { offset_past, records_past, pcr_other };

	(void)state;
	for (size_t i = 0; i < array_len(changes); i++) {
		cleanup_lab struct lab *l = verified();

		refused(l, &(struct lab_change){ .claims = changes[i] }, "W-offset");
	}
}

/* A host that lost its place may always begin from the beginning, and then with everything. */
static void test_W_offset_from_the_beginning(void **state)
{
	cleanup_lab struct lab *l = verified();
	cleanup_verdict struct verdict v;

	(void)state;
	verdict_init(&v);
	lab_challenge(l);
	l->challenge.log_offset = l->challenge.log_records = 0;
	l->challenge.log_pcr.n = 0;
	l->challenge.n_known = 0;
	lab_evidence(l, NULL);
	appraise_it(l, &v);
	passes(&v);
	assert_false(l->ev->has_boot);
	assert_int_equal(v.next.log_offset, l->log.n);
}

/* ---- B1, R6: the boot. */

static void no_primary(struct lab *l, struct evidence *ev)
{
	(void)l;
	ev->has_boot = false;
}

static void test_B1_missing(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
	cleanup_verdict struct verdict v;

	(void)state;
	verdict_init(&v);
	attest(l, &(struct lab_change){ .evidence = no_primary }, &v);
	fails(&v, "B1");
	assert_int_equal(v.result[row_of("R6")], CHECK_NOT_RUN);
	assert_int_equal(v.result[row_of("C1")], CHECK_NOT_RUN);
}

static void boot_magic(struct lab *l, struct tpm_attest *a)
{
	(void)l;
	a->magic ^= 1;
}
static void boot_type(struct lab *l, struct tpm_attest *a)
{
	(void)l;
	a->type = TPM_ST_ATTEST_QUOTE;
	a->selection = l->challenge.selection;
}
static void boot_signer(struct lab *l, struct tpm_attest *a)
{
	a->qualified_signer = tpm_name_bytes(&l->tpm->ek->qualified_name);
}
static void boot_nonce(struct lab *l, struct tpm_attest *a)
{
	(void)l;
	a->extra_data.n--;
}
static void boot_name(struct lab *l, struct tpm_attest *a)
{
	a->name = tpm_name_bytes(&l->tpm->ek->name);
}
static void boot_parent(struct lab *l, struct tpm_attest *a)
{
	a->qualified_name = tpm_name_bytes(&l->tpm->ek->qualified_name);
}
static void boot_reset(struct lab *l, struct tpm_attest *a)
{
	(void)l;
	a->clock.reset_count--;
}
static void boot_restart(struct lab *l, struct tpm_attest *a)
{
	(void)l;
	a->clock.restart_count++;
}

static void test_B1_certification(void **state)
{
	static void (*const changes[])(struct lab *, struct tpm_attest *) = {
		boot_magic, boot_type, boot_signer, boot_nonce, boot_name, boot_parent, boot_reset, boot_restart,
	};

	(void)state;
	for (size_t i = 0; i < array_len(changes); i++) {
		cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
		cleanup_verdict struct verdict v;

		verdict_init(&v);
		attest(l, &(struct lab_change){ .boot = changes[i] }, &v);
		fails(&v, "B1");
		assert_string_equal(verdict_first_failure(&v), "B1");
		assert_string_equal(v.failure[0].check, "B1");
		assert_false(v.next.has_boot);
	}
}

static void test_B1_other_signer(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256), *other = lab_new(SOFTTPM_AK_P256);
	cleanup_verdict struct verdict v;

	(void)state;
	verdict_init(&v);
	attest(l, &(struct lab_change){ .boot_signer = other->tpm->ak }, &v);
	fails(&v, "B1");
}

/* A key of the endorsement hierarchy as "null primary" would survive every reset. */
static void test_B1_other_hierarchy(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
	struct softtpm_spec spec = softtpm_spec_of(SOFTTPM_NULL_PRIMARY);
	cleanup_verdict struct verdict v;

	(void)state;
	verdict_init(&v);
	spec.hierarchy = TPM_RH_ENDORSEMENT;
	softtpm_key_free(l->tpm->null_primary);
	assert_false(failed(softtpm_key_new(&spec, &l->tpm->null_primary)));
	lab_boot(l);
	(void)lab_start(l, "agt", "image", "model");
	attest(l, NULL, &v);
	fails(&v, "B1");
}

/* A primary that signs, or that is no storage key, could itself be used as something else. */
static void test_B1_attributes(void **state)
{
	static const uint32_t flips[] = { TPMA_RESTRICTED, TPMA_DECRYPT, TPMA_FIXED_TPM, TPMA_FIXED_PARENT,
					  TPMA_SENSITIVE_DATA_ORIGIN };

	(void)state;
	for (size_t i = 0; i < array_len(flips); i++) {
		cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
		struct softtpm_spec spec = softtpm_spec_of(SOFTTPM_NULL_PRIMARY);
		cleanup_verdict struct verdict v;

		verdict_init(&v);
		spec.attributes ^= flips[i];
		softtpm_key_free(l->tpm->null_primary);
		assert_false(failed(softtpm_key_new(&spec, &l->tpm->null_primary)));
		lab_boot(l);
		(void)lab_start(l, "agt", "image", "model");
		attest(l, NULL, &v);
		fails(&v, "B1");
	}
}

static void other_boot_id(struct lab *l, struct evidence_claims *c)
{
	(void)l;
	c->boot_id[0] ^= 1;
}

/* R6: what the attester calls its boot counts for nothing; the counters win. */
static void test_R6_boot_id(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);

	(void)state;
	refused(l, &(struct lab_change){ .claims = other_boot_id }, "R6");
}

/* Another null primary under the same counters is another boot: nothing of the old one counts. */
static void test_R6_null_primary_changed(void **state)
{
	cleanup_lab struct lab *l = verified();
	struct softtpm_spec spec = softtpm_spec_of(SOFTTPM_NULL_PRIMARY);

	(void)state;
	softtpm_key_free(l->tpm->null_primary);
	assert_false(failed(softtpm_key_new(&spec, &l->tpm->null_primary)));
	lab_challenge(l);
	assert_false(l->challenge.boot_known);
	refused(l, NULL, "C-parent");
	for (unsigned pcr = 0; pcr < LIMIT_PCRS; pcr++)
		memset(l->tpm->pcr[DIGEST_SHA256][pcr].v, 0, 32);
	lab_boot(l);
	(void)lab_start(l, "agt", "image", "model");
	lab_must_pass(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_R1_not_later),
		cmocka_unit_test(test_R1_later),
		cmocka_unit_test(test_R1_overtaken),
		cmocka_unit_test(test_R1_after_a_failure),
		cmocka_unit_test(test_resume_log_goes_on),
		cmocka_unit_test(test_restart_new_log),
		cmocka_unit_test(test_restart_old_log),
		cmocka_unit_test(test_R_restart_back),
		cmocka_unit_test(test_R2_resumed_meanwhile),
		cmocka_unit_test(test_R2_reset_and_same_extends),
		cmocka_unit_test(test_R2_old_key_in_the_new_boot),
		cmocka_unit_test(test_R3_reset_accepted),
		cmocka_unit_test(test_R3_modulo),
		cmocka_unit_test(test_R4_power_loss_accepted),
		cmocka_unit_test(test_R5_reset_count_back),
		cmocka_unit_test(test_R5_tpm2_clear),
		cmocka_unit_test(test_V4_failed_stays_through_a_reboot),
		cmocka_unit_test(test_V5_first),
		cmocka_unit_test(test_W_offset_state_moved),
		cmocka_unit_test(test_W_offset_all_three),
		cmocka_unit_test(test_W_offset_from_the_beginning),
		cmocka_unit_test(test_B1_missing),
		cmocka_unit_test(test_B1_certification),
		cmocka_unit_test(test_B1_other_signer),
		cmocka_unit_test(test_B1_other_hierarchy),
		cmocka_unit_test(test_B1_attributes),
		cmocka_unit_test(test_R6_boot_id),
		cmocka_unit_test(test_R6_null_primary_changed),
	};

	return cmocka_run_group_tests_name("appraise-clock", tests, NULL, NULL);
}
