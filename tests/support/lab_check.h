/* SPDX-License-Identifier: Apache-2.0 */
/* What tests of appraisal ask of a verdict. A verdict takes 10 KiB of stack, so the helpers that have one are not inlined. */
#ifndef ASSAY_TESTS_SUPPORT_LAB_CHECK_H
#define ASSAY_TESTS_SUPPORT_LAB_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/lab.h"

#define lab_helper __attribute__((noinline, unused)) static

lab_helper size_t row_of(const char *id)
{
	for (size_t i = 0; i < appraise_n_checks(); i++) {
		if (strcmp(appraise_check(i).id, id) == 0)
			return i;
	}
	fail_msg("no check has the id %s", id);
	return 0;
}

lab_helper void print_failures(const struct verdict *v)
{
	for (size_t i = 0; i < v->n_failures; i++)
		print_message("# %s (%s): expected %s, seen %s\n", v->failure[i].check, v->failure[i].subject,
			      v->failure[i].expected, v->failure[i].seen);
}

lab_helper void appraise_it(struct lab *l, struct verdict *v)
{
	struct err e = lab_appraise(l, v);

	if (failed(e))
		fail_msg("nothing decided: %s", err_name(e));
}

/*
 * This check fails and no other does: were it not there, the evidence would
 * pass. Behind a gate nothing has run, and an instance whose key was refused
 * is one without a certified key (C-key). Without a log that replays, what
 * would be judged by it has not run.
 */
lab_helper void only_failure(const struct verdict *v, const char *id)
{
	size_t row = row_of(id);
	bool explained = false;

	assert_false(verdict_passed(v));
	if (strcmp(verdict_first_failure(v), id) != 0) {
		print_failures(v);
		fail_msg("\"%s\" failed first, not %s", verdict_first_failure(v), id);
	}
	for (size_t i = 0; i < v->n_checks; i++) {
		enum check_result want = i == row ? CHECK_FAIL : CHECK_PASS;

		if (i > row && appraise_check(row).gate)
			want = CHECK_NOT_RUN;
		if (id[0] == 'C' && i == row_of("C-key"))
			want = CHECK_FAIL;
		if (i > row && row == row_of("W1") && v->result[i] == CHECK_NOT_RUN)
			continue;
		if (v->result[i] != want) {
			print_failures(v);
			fail_msg("%s: check %s is \"%s\"", id, appraise_check(i).id, check_result_name(v->result[i]));
		}
	}
	for (size_t i = 0; i < v->n_failures; i++) {
		if (strcmp(v->failure[i].check, id) == 0)
			explained = v->failure[i].expected[0] != '\0' && v->failure[i].seen[0] != '\0';
	}
	assert_true(explained);
	for (size_t i = 0; i < v->n_instances; i++) {
		assert_false(v->instance[i].usable);
		assert_int_equal(v->instance[i].status, TIER_CONTRAINDICATED);
	}
}

/* The check fails; others that depend on it may fail or not have run. */
lab_helper void fails(const struct verdict *v, const char *id)
{
	assert_false(verdict_passed(v));
	if (v->result[row_of(id)] != CHECK_FAIL) {
		print_failures(v);
		fail_msg("%s is \"%s\"", id, check_result_name(v->result[row_of(id)]));
	}
}

lab_helper void passes(const struct verdict *v)
{
	if (!verdict_passed(v)) {
		print_failures(v);
		fail_msg("refused by %s", verdict_first_failure(v));
	}
	assert_true(v->authentic);
	assert_false(v->overtaken);
	assert_int_equal(v->status, HOST_VERIFIED);
	assert_true(v->n_compared > 0);
}

/* A new challenge, evidence with one change, and its verdict. */
lab_helper void attest(struct lab *l, const struct lab_change *change, struct verdict *v)
{
	lab_challenge(l);
	lab_evidence(l, change);
	appraise_it(l, v);
}

/* The change makes this check fail and no other, and the state falls back as it must. */
lab_helper void refused(struct lab *l, const struct lab_change *change, const char *id)
{
	cleanup_verdict struct verdict v;

	verdict_init(&v);
	attest(l, change, &v);
	only_failure(&v, id);
	assert_int_equal(v.next.log_offset, v.authentic && !v.overtaken ? 0 : l->state.log_offset);
	assert_int_equal(v.next.has_boot, v.authentic && !v.overtaken ? false : l->state.has_boot);
}

lab_helper void accepted(struct lab *l, const struct lab_change *change)
{
	cleanup_verdict struct verdict v;

	verdict_init(&v);
	attest(l, change, &v);
	passes(&v);
}

#endif
