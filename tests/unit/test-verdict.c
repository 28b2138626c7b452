/* SPDX-License-Identifier: Apache-2.0 */
#include "verifier/appraise/verdict.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/lab_check.h"

static void all(struct verdict *v, enum check_result r)
{
	v->n_checks = appraise_n_checks();
	v->n_compared = 1;
	for (size_t i = 0; i < v->n_checks; i++)
		v->result[i] = r;
}

/* Rule 2: NOT_RUN is no pass, for each check alone. */
static void test_only_all_passes_pass(void **state)
{
	cleanup_verdict struct verdict v;

	(void)state;
	verdict_init(&v);
	assert_false(verdict_passed(&v));
	assert_string_equal(verdict_first_failure(&v), "");
	all(&v, CHECK_PASS);
	assert_true(verdict_passed(&v));
	for (size_t i = 0; i < v.n_checks; i++) {
		v.result[i] = CHECK_NOT_RUN;
		assert_false(verdict_passed(&v));
		assert_string_equal(verdict_first_failure(&v), "");
		v.result[i] = CHECK_FAIL;
		assert_false(verdict_passed(&v));
		assert_string_equal(verdict_first_failure(&v), appraise_check(i).id);
		v.result[i] = CHECK_WAIVED;
		assert_true(verdict_passed(&v));
		v.result[i] = CHECK_PASS;
	}
	assert_true(verdict_passed(&v));
	v.n_checks--;
	assert_false(verdict_passed(&v));
}

static void test_P1_nothing_compared_is_no_pass(void **state)
{
	cleanup_verdict struct verdict v;

	(void)state;
	verdict_init(&v);
	all(&v, CHECK_PASS);
	v.n_compared = 0;
	assert_false(verdict_passed(&v));
}

static const struct {
	int8_t value;
	enum tier tier;
} tiers[] = {
	{ 0, TIER_NONE },	       { 1, TIER_NONE },	    { -1, TIER_NONE },
	{ 2, TIER_AFFIRMING },	       { 31, TIER_AFFIRMING },	    { -2, TIER_AFFIRMING },
	{ -32, TIER_AFFIRMING },       { 32, TIER_WARNING },	    { 95, TIER_WARNING },
	{ -33, TIER_WARNING },	       { -96, TIER_WARNING },	    { 96, TIER_CONTRAINDICATED },
	{ 127, TIER_CONTRAINDICATED }, { -97, TIER_CONTRAINDICATED }, { -128, TIER_CONTRAINDICATED },
	{ 99, TIER_CONTRAINDICATED },
};

/* The worst claim decides, whichever it is. */
static void test_tiers(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(tiers); i++) {
		for (size_t member = 0; member < 8; member++) {
			struct trust_vector v = { 2, 2, 2, 2, 2, 2, 2, 2 };
			enum tier want = tiers[i].tier < TIER_AFFIRMING ? TIER_AFFIRMING : tiers[i].tier;

			((int8_t *)&v)[member] = tiers[i].value;
			assert_int_equal(trust_vector_tier(&v), want);
		}
		assert_int_equal(trust_vector_tier(&(struct trust_vector){ .executables = tiers[i].value }),
				 tiers[i].tier);
	}
	assert_int_equal(trust_vector_tier(&(struct trust_vector){ 0 }), TIER_NONE);
}

static const json_t *member(const json_t *o, const char *key)
{
	const json_t *m = json_object_get(o, key);

	if (m == NULL)
		fail_msg("no member %s", key);
	return m;
}

static json_t *verdict_tree(const struct verdict *v)
{
	cleanup_buf struct buf text = BUF_INIT(MIB);
	json_t *o = NULL;
	struct jsonw w;

	jsonw_begin(&w, &text);
	verdict_json(v, &w);
	assert_false(failed(jsonw_end(&w)));
	assert_false(failed(json_parse(buf_bytes(&text), text.n, &o, NULL)));
	return o;
}

static void test_json_of_a_pass(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
	cleanup_verdict struct verdict v;
	cleanup_json json_t *o = NULL;
	const json_t *pcrs, *instance;

	(void)state;
	verdict_init(&v);
	attest(l, NULL, &v);
	o = verdict_tree(&v);
	assert_string_equal(json_string_value(member(o, "status")), "VERIFIED");
	assert_true(json_is_true(member(o, "passed")));
	assert_int_equal(json_object_size(member(o, "results")), appraise_n_checks());
	assert_int_equal(json_array_size(member(o, "failures")), 0);
	assert_int_equal(json_array_size(member(o, "compared")), 4);
	pcrs = member(member(o, "pcrs"), "sha256");
	assert_int_equal(json_object_size(pcrs), 5);
	assert_string_equal(json_string_value(member(pcrs, "2")), hex32(l->tpm->pcr[DIGEST_SHA256][2].v).text);
	instance = json_array_get(member(o, "instances"), 0);
	assert_string_equal(json_string_value(member(instance, "status")), "warning");
	assert_true(json_is_true(member(instance, "usable")));
	assert_string_equal(json_string_value(member(member(instance, "platform"), "status")), "affirming");
	assert_string_equal(json_string_value(member(member(o, "decided_by"), "host_record")),
			    hex32(l->host->digest).text);
}

static void other_issuer(struct lab *l, struct evidence_claims *c)
{
	(void)l;
	/* A text that ends inside a character when it is cut, and one that escapes. */
	c->issuer = BYTES_LIT("https://\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"
			      "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"
			      "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"
			      "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"
			      "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"
			      "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"
			      "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4");
}

static void newline_issuer(struct lab *l, struct evidence_claims *c)
{
	(void)l;
	c->issuer = BYTES_LIT("https://x\n\x1b[31m");
}

/* V9: foreign text is escaped and capped, and what is written is JSON. */
static void test_V9_json_of_foreign_text(void **state)
{
	static void (*const changes[])(struct lab *, struct evidence_claims *) = { other_issuer, newline_issuer };

	(void)state;
	for (size_t i = 0; i < array_len(changes); i++) {
		cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
		cleanup_verdict struct verdict v;
		cleanup_json json_t *o = NULL;

		verdict_init(&v);
		attest(l, &(struct lab_change){ .claims = changes[i] }, &v);
		only_failure(&v, "L2");
		assert_null(strchr(v.failure[0].seen, '\n'));
		assert_null(strchr(v.failure[0].seen, '\x1b'));
		o = verdict_tree(&v);
		assert_string_equal(json_string_value(member(o, "first_failure")), "L2");
	}
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(check_result_name(CHECK_NOT_RUN), "not run");
	assert_string_equal(check_result_name(CHECK_PASS), "pass");
	assert_string_equal(check_result_name(CHECK_FAIL), "fail");
	assert_string_equal(check_result_name(CHECK_WAIVED), "waived");
	assert_string_equal(tier_name(TIER_NONE), "none");
	assert_string_equal(tier_name(TIER_AFFIRMING), "affirming");
	assert_string_equal(tier_name(TIER_WARNING), "warning");
	assert_string_equal(tier_name(TIER_CONTRAINDICATED), "contraindicated");
	assert_string_equal(host_status_name(HOST_NEVER), "NEVER");
	assert_string_equal(host_status_name(HOST_REBOOTED), "REBOOTED");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_only_all_passes_pass),
		cmocka_unit_test(test_P1_nothing_compared_is_no_pass),
		cmocka_unit_test(test_tiers),
		cmocka_unit_test(test_json_of_a_pass),
		cmocka_unit_test(test_V9_json_of_foreign_text),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests_name("verdict", tests, NULL, NULL);
}
