/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "base/jose.h"
#include "verifier/appraise/appraise.h"
#include "verifier/issue/ear.h"

#define NOW 1800000000

static struct key *signer;
static uint8_t nonce[NONCE_LEN] = { 1, 2, 3 };

/* A verdict in which every check passed, with one usable instance. */
static struct verdict passed_verdict(struct instance_verdict *i)
{
	struct verdict v;

	verdict_init(&v);
	v.n_checks = appraise_n_checks();
	for (size_t k = 0; k < v.n_checks; k++)
		v.result[k] = CHECK_PASS;
	v.n_compared = 8;
	v.authentic = true;
	v.status = HOST_VERIFIED;
	v.nonce = BYTES_ARR(nonce);
	v.host_doc[0] = 0xa1;
	v.platform_doc[0] = 0xa2;
	v.platform = (struct trust_vector){ .instance_identity = 2, .configuration = 2, .hardware = 2 };
	*i = (struct instance_verdict){ .id = { 0xab }, .agent = "agent",
					.jkt = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I",
					.platform = v.platform,
					.container = { .executables = 33 },
					.model = { .sourced_data = 32 },
					.key = { .storage_opaque = 2 },
					.status = TIER_WARNING, .usable = true, .image_doc = { 0xb1 } };
	v.n_instances = 1;
	v.instance = i;
	return v;
}

static json_t *issue(const struct verdict *v, size_t instance)
{
	const struct ear_spec s = { .issuer = "https://issuer.example", .audience = "https://issuer.example",
				    .trust_domain = "realm", .signer = signer, .kid = "k1", .now_s = NOW, .expires_s = NOW + 300 };
	const struct host_record host = { .id = "h-00112233445566778899aabbccddeeff" };
	cleanup_buf struct buf token = BUF_INIT(LIMIT_TOKEN);
	cleanup_jws struct jws j = { 0 };

	assert_ok(ear_issue(&s, &host, v, instance, &token));
	assert_ok(jws_parse(buf_bytes(&token), &j, NULL));
	assert_ok(jws_verify(&j, signer, EAR_TYPE, NULL));
	return json_incref(j.unsigned_claims);
}

static const char *text(const json_t *o, const char *a, const char *b, const char *c)
{
	o = json_object_get(o, a);
	o = b != NULL ? json_object_get(o, b) : o;
	o = c != NULL ? json_object_get(o, c) : o;
	assert_true(json_is_string(o));
	return json_string_value(o);
}

static json_int_t number(const json_t *submods, const char *label, const char *claim)
{
	const json_t *v = json_object_get(json_object_get(submods, label), "ear_trustworthiness_vector");
	const json_t *n = json_object_get(v, claim);

	return n == NULL ? 0 : json_integer_value(n);
}

/* draft-ietf-rats-ear, 3: the claims that must be there, with their types. */
static void an_instance_has_all_that_the_profile_asks(void **state)
{
	struct instance_verdict i;
	struct verdict v = passed_verdict(&i);
	cleanup_json json_t *c = issue(&v, 0);
	const json_t *m = json_object_get(c, "submods");

	(void)state;
	assert_string_equal(text(c, "eat_profile", NULL, NULL), "tag:ietf.org,2026:rats/ear#03");
	assert_int_equal(json_integer_value(json_object_get(c, "iat")), NOW);
	assert_int_equal(json_integer_value(json_object_get(c, "exp")), NOW + 300);
	assert_true(strlen(text(c, "ear_verifier_id", "developer", NULL)) > 0);
	assert_true(strlen(text(c, "ear_verifier_id", "build", NULL)) > 0);
	assert_string_equal(text(c, "ear_status", NULL, NULL), "warning");
	assert_string_equal(text(c, "aud", NULL, NULL), "https://issuer.example");
	assert_string_equal(text(c, "cnf", "jkt", NULL), i.jkt);
	assert_string_equal(text(c, "sub", NULL, NULL),
			    "spiffe://realm/agent/agent/instance/ab000000000000000000000000000000");
	/* RFC 9711: 8 to 88 characters in JSON. */
	assert_in_range(strlen(text(c, "eat_nonce", NULL, NULL)), 8, 88);
	assert_int_equal(json_object_size(m), 4);
	assert_string_equal(text(m, "platform", "ear_status", NULL), "affirming");
	assert_string_equal(text(m, "container", "ear_status", NULL), "warning");
	assert_string_equal(text(m, "model", "ear_status", NULL), "warning");
	assert_string_equal(text(m, "key", "ear_status", NULL), "affirming");
	assert_int_equal(number(m, "platform", "instance-identity"), 2);
	assert_int_equal(number(m, "container", "executables"), 33);
	assert_int_equal(number(m, "model", "sourced-data"), 32);
	assert_int_equal(number(m, "key", "storage-opaque"), 2);
	/* Two documents decided about the platform, one about the image, none about the model. */
	assert_int_equal(json_array_size(json_object_get(json_object_get(m, "platform"), "ear_appraisal_policy_ids")), 2);
	assert_int_equal(json_array_size(json_object_get(json_object_get(m, "container"), "ear_appraisal_policy_ids")), 1);
	assert_null(json_object_get(json_object_get(m, "model"), "ear_appraisal_policy_ids"));
	verdict_init(&v);
}

static void a_failed_verdict_is_contraindicated(void **state)
{
	struct instance_verdict i;
	struct verdict v = passed_verdict(&i);
	static const enum check_result bad[] = { CHECK_FAIL, CHECK_NOT_RUN };

	(void)state;
	for (size_t k = 0; k < array_len(bad); k++) {
		v.result[1] = bad[k];
		cleanup_json json_t *c = issue(&v, 0);

		assert_string_equal(text(c, "ear_status", NULL, NULL), "contraindicated");
	}
	/* Comparing nothing is no pass either. */
	v.result[1] = CHECK_PASS;
	v.n_compared = 0;
	cleanup_json json_t *c = issue(&v, 0);

	assert_string_equal(text(c, "ear_status", NULL, NULL), "contraindicated");
	verdict_init(&v);
}

static void a_host_alone_has_a_platform_and_no_key(void **state)
{
	struct instance_verdict i;
	struct verdict v = passed_verdict(&i);

	(void)state;
	v.n_instances = 0;
	cleanup_json json_t *c = issue(&v, SIZE_MAX);

	assert_int_equal(json_object_size(json_object_get(c, "submods")), 1);
	assert_string_equal(text(c, "ear_status", NULL, NULL), "affirming");
	assert_null(json_object_get(c, "cnf"));
	assert_string_equal(text(c, "sub", NULL, NULL), "spiffe://realm/host/h-00112233445566778899aabbccddeeff");
	verdict_init(&v);
}

static int setup(void **state)
{
	(void)state;
	return failed(key_generate(KEY_EC_P256, &signer));
}

static int teardown(void **state)
{
	(void)state;
	key_free(signer);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_instance_has_all_that_the_profile_asks),
		cmocka_unit_test(a_failed_verdict_is_contraindicated),
		cmocka_unit_test(a_host_alone_has_a_platform_and_no_key),
	};

	return cmocka_run_group_tests_name("ear", tests, setup, teardown);
}
