/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "verifier/issue/token.h"

#define NOW 1800000000
#define ISSUER "https://issuer.example"

static struct key *signer, *other;

static struct document agent_document(void)
{
	static char read[] = "read", write_all[] = "write:all", api[] = "https://api.example/", owner[] = "team-a";
	static char *scopes[] = { read, write_all };
	static char *resources[] = { api };

	return (struct document){ .kind = DOCUMENT_AGENT, .name = "agent", .owner = owner, .expires_s = NOW + 10000,
				  .scopes = { 2, scopes }, .resources = { 1, resources }, .max_ttl_s = 900,
				  .minimum_status = MINIMUM_WARNING };
}

static struct instance_row live_instance(void)
{
	return (struct instance_row){ .host_id = "h-00112233445566778899aabbccddeeff", .id = { 0xab }, .agent = "agent",
				      .jkt = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I", .usable = true,
				      .status = TIER_WARNING, .epoch = 3, .verdict_expires_s = NOW + 300,
				      .image = { .manifest = { 1 } }, .model = { .manifest = { 2 } } };
}

static void life_is_the_shortest_of_all_bounds(void **state)
{
	static const struct {
		const char *what;
		uint64_t expected, max_ttl;
		int64_t verdict_left, document_left;
		bool introspects;
		uint64_t want;
	} cases[] = {
		{ "expected plus 15 %, rounded up", 60, 900, 300, 9999, true, 69 },
		{ "rounds up", 1, 900, 300, 9999, true, 2 },
		{ "never above 900", 86400, 900, 9999, 9999, true, 900 },
		{ "policy", 600, 120, 9999, 9999, true, 120 },
		{ "what is left of the verdict", 600, 900, 45, 9999, true, 45 },
		{ "what is left of the document", 600, 900, 300, 7, true, 7 },
		{ "offline audience", 600, 900, 300, 9999, false, 120 },
		{ "offline but short", 60, 900, 300, 9999, false, 69 },
		{ "no expectation", 0, 900, 300, 9999, true, 0 },
		{ "absurd expectation", 86401, 900, 300, 9999, true, 0 },
		{ "verdict over", 60, 900, 0, 9999, true, 0 },
		{ "verdict long over", 60, 900, -5, 9999, true, 0 },
		{ "document over", 60, 900, 300, 0, true, 0 },
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		struct document d = agent_document();

		d.max_ttl_s = (uint32_t)cases[i].max_ttl;
		d.expires_s = NOW + cases[i].document_left;
		uint64_t got = token_ttl(cases[i].expected, &d, NOW + cases[i].verdict_left, NOW, cases[i].introspects);

		if (got != cases[i].want)
			print_error("%s\n", cases[i].what);
		assert_int_equal(got, cases[i].want);
	}
}

static void requests_are_strict(void **state)
{
#define GOOD "grant_type=client_credentials&scope=read&resource=https%3A%2F%2Fapi.example%2F&task_id=t-1"
	static const struct {
		const char *form, *code;
	} bad[] = {
		{ GOOD, "invalid_request" },
		{ GOOD "&expected_s=0", "invalid_request" },
		{ GOOD "&expected_s=-1", "invalid_request" },
		{ GOOD "&expected_s=1.5", "invalid_request" },
		{ GOOD "&expected_s=86401", "invalid_request" },
		{ GOOD "&expected_s=60&expected_s=60", "invalid_request" },
		{ GOOD "&expected_s=60&scope=write", "invalid_request" },
		{ "grant_type=password&scope=read&resource=r&task_id=t&expected_s=6", "unsupported_grant_type" },
		{ "scope=read&resource=r&task_id=t&expected_s=6", "invalid_request" },
		{ "grant_type=client_credentials&scope=a++b&resource=r&task_id=t&expected_s=6", "invalid_scope" },
		{ "grant_type=client_credentials&scope=%22&resource=r&task_id=t&expected_s=6", "invalid_scope" },
		{ "grant_type=client_credentials&scope=a+&resource=r&task_id=t&expected_s=6", "invalid_scope" },
		{ "grant_type=client_credentials&scope=a&resource=r&task_id=t+1&expected_s=6", "invalid_request" },
	};
	cleanup_token_request struct token_request good = { 0 };
	struct oauth_error why = { 0 };

	(void)state;
	assert_ok(token_request_parse(bytes_str(GOOD "&expected_s=60"), &good, &why));
	assert_string_equal(good.scope, "read");
	assert_string_equal(good.resource, "https://api.example/");
	assert_string_equal(good.task_id, "t-1");
	assert_int_equal(good.expected_s, 60);
	for (size_t i = 0; i < array_len(bad); i++) {
		struct token_request r = { 0 };

		assert_true(failed(token_request_parse(bytes_str(bad[i].form), &r, &why)));
		assert_string_equal(why.code, bad[i].code);
		assert_int_equal(why.status, 400);
	}
}

static struct err decide(struct instance_row *i, uint64_t epoch, const struct document *d, const char *scope,
			 const char *resource, struct oauth_error *why)
{
	struct token_request r = { .scope = (char *)(uintptr_t)scope, .resource = (char *)(uintptr_t)resource,
				   .expected_s = 60 };

	return token_decide(i, epoch, d, &r, NOW, why);
}

static void only_a_live_verdict_gives_a_token(void **state)
{
	struct document d = agent_document();
	struct instance_row i = live_instance();
	struct oauth_error why = { 0 };

	(void)state;
	assert_ok(decide(&i, 3, &d, "read", "https://api.example/", &why));
	assert_ok(decide(&i, 3, &d, "write:all read", "https://api.example/", &why));
	/* Scope and resource are subsets of the document's, name by name. */
	static const char *const scopes[] = { "admin", "read admin", "READ", "rea", "readx", "write" };

	for (size_t k = 0; k < array_len(scopes); k++) {
		assert_err(decide(&i, 3, &d, scopes[k], "https://api.example/", &why), E_AUTH_REFUSED);
		assert_string_equal(why.code, "invalid_scope");
	}
	static const char *const targets[] = { "https://api.example", "https://api.example/x", "https://API.example/" };

	for (size_t k = 0; k < array_len(targets); k++) {
		assert_err(decide(&i, 3, &d, "read", targets[k], &why), E_AUTH_REFUSED);
		assert_string_equal(why.code, "invalid_target");
	}
	assert_err(decide(&i, 4, &d, "read", "https://api.example/", &why), E_AUTH_REFUSED);
	assert_err(decide(&i, 3, NULL, "read", "https://api.example/", &why), E_AUTH_REFUSED);
	assert_string_equal(why.code, "unauthorized_client");
	d.minimum_status = MINIMUM_AFFIRMING;
	assert_err(decide(&i, 3, &d, "read", "https://api.example/", &why), E_AUTH_REFUSED);
	i.status = TIER_AFFIRMING;
	assert_ok(decide(&i, 3, &d, "read", "https://api.example/", &why));
	i.status = TIER_NONE;
	assert_err(decide(&i, 3, &d, "read", "https://api.example/", &why), E_AUTH_REFUSED);
	i.status = TIER_CONTRAINDICATED;
	d.minimum_status = MINIMUM_WARNING;
	assert_err(decide(&i, 3, &d, "read", "https://api.example/", &why), E_AUTH_REFUSED);
	i = live_instance();
	i.usable = false;
	assert_err(decide(&i, 3, &d, "read", "https://api.example/", &why), E_AUTH_REFUSED);
	i = live_instance();
	i.verdict_expires_s = NOW;
	assert_err(decide(&i, 3, &d, "read", "https://api.example/", &why), E_AUTH_REFUSED);
}

static void issue_for(struct instance_row i, uint64_t ttl, struct credential_row *row, struct buf *token)
{
	const struct token_spec s = { .issuer = ISSUER, .trust_domain = "realm", .signer = signer, .kid = "k1", .now_s = NOW };
	struct token_request r = { .scope = (char[]){ "read" }, .resource = (char[]){ "https://api.example/" },
				   .task_id = (char[]){ "t-1" }, .expected_s = 60 };
	struct document d = agent_document();

	assert_ok(token_issue(&s, &i, 3, &d, &r, ttl, row, token));
}

static void issue(uint64_t ttl, struct credential_row *row, struct buf *token)
{
	issue_for(live_instance(), ttl, row, token);
}

static const char *text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	assert_non_null(s);
	return s;
}

static void a_token_says_what_it_is_bound_to(void **state)
{
	cleanup_credential_row struct credential_row row = { 0 };
	cleanup_buf struct buf token = BUF_INIT(LIMIT_TOKEN);
	cleanup_token_claims struct token_claims c = { 0 };

	(void)state;
	issue(69, &row, &token);
	assert_ok(token_verify(buf_bytes(&token), signer, ISSUER, NOW, &c, NULL));
	assert_string_equal(c.jkt, live_instance().jkt);
	assert_string_equal(c.jti, row.jti);
	assert_int_equal(c.expires_s, NOW + 69);
	assert_int_equal(row.expires_s, NOW + 69);
	assert_string_equal(text(c.claims, "iss"), ISSUER);
	assert_string_equal(text(c.claims, "aud"), "https://api.example/");
	assert_string_equal(text(c.claims, "scope"), "read");
	assert_string_equal(text(c.claims, "task_id"), "t-1");
	assert_string_equal(text(c.claims, "owner"), "team-a");
	assert_string_equal(text(c.claims, "sub"),
			    "spiffe://realm/agent/agent/instance/ab000000000000000000000000000000");
	assert_string_equal(text(c.claims, "client_id"), text(c.claims, "sub"));
	const json_t *att = json_object_get(c.claims, "att");

	assert_int_equal(json_integer_value(json_object_get(att, "epoch")), 3);
	assert_memory_equal(text(att, "image_digest"), "sha256:0100", 11);
	assert_memory_equal(text(att, "model_digest"), "sha256:0200", 11);
	assert_null(json_object_get(att, "rootfs_digest"));
	assert_null(json_object_get(att, "container_policy"));
	assert_true(strlen(row.jti) >= 22);
}

/* A service can ask for a root or a policy, as for an image. */
static void a_token_names_the_container(void **state)
{
	cleanup_credential_row struct credential_row row = { 0 };
	cleanup_buf struct buf token = BUF_INIT(LIMIT_TOKEN);
	cleanup_token_claims struct token_claims c = { 0 };
	struct instance_row i = live_instance();
	const json_t *att;

	(void)state;
	i.has_container = true;
	i.container = (struct container_digests){ .rootfs = { 3 }, .policy = { 4 } };
	issue_for(i, 69, &row, &token);
	assert_ok(token_verify(buf_bytes(&token), signer, ISSUER, NOW, &c, NULL));
	att = json_object_get(c.claims, "att");
	assert_memory_equal(text(att, "rootfs_digest"), "sha256:0300", 11);
	assert_memory_equal(text(att, "container_policy"), "sha256:0400", 11);
}

static void nothing_without_an_expiry(void **state)
{
	const struct token_spec s = { .issuer = ISSUER, .trust_domain = "realm", .signer = signer, .now_s = NOW };
	struct token_request r = { .scope = (char[]){ "read" }, .resource = (char[]){ "r" }, .task_id = (char[]){ "t" } };
	cleanup_buf struct buf token = BUF_INIT(LIMIT_TOKEN);
	struct instance_row i = live_instance();
	struct document d = agent_document();
	struct credential_row row = { 0 };

	(void)state;
	assert_err(token_issue(&s, &i, 3, &d, &r, 0, &row, &token), E_AUTH_EXPIRED);
	assert_err(token_issue(&s, &i, 3, &d, &r, 901, &row, &token), E_AUTH_EXPIRED);
	assert_int_equal(token.n, 0);
}

static struct err resign(const char *type, const json_t *claims, struct buf *ret)
{
	cleanup_buf struct buf text = BUF_INIT(LIMIT_TOKEN);

	assert_ok(json_write(claims, &text));
	return jws_sign_key(signer, "k1", type, buf_bytes(&text), ret);
}

static void t6_t7_t11_foreign_tokens_are_refused(void **state)
{
	cleanup_credential_row struct credential_row row = { 0 };
	cleanup_buf struct buf token = BUF_INIT(LIMIT_TOKEN), typed = BUF_INIT(LIMIT_TOKEN);
	cleanup_token_claims struct token_claims good = { 0 };
	struct token_claims c = { 0 };

	(void)state;
	issue(69, &row, &token);
	assert_err(token_verify(buf_bytes(&token), other, ISSUER, NOW, &c, NULL), E_AUTH_SIGNATURE);
	assert_err(token_verify(buf_bytes(&token), signer, ISSUER "/", NOW, &c, NULL), E_AUTH_REFUSED);
	assert_err(token_verify(buf_bytes(&token), signer, ISSUER, NOW + 69, &c, NULL), E_AUTH_EXPIRED);
	assert_err(token_verify(buf_bytes(&token), signer, ISSUER, NOW - 60, &c, NULL), E_AUTH_EXPIRED);
	assert_ok(token_verify(buf_bytes(&token), signer, ISSUER, NOW + 68, &good, NULL));
	/* The same claims in another class of token. */
	static const char *const types[] = { "eat+jwt", "dpop+jwt", "JWT" };

	for (size_t i = 0; i < array_len(types); i++) {
		buf_clear(&typed);
		assert_ok(resign(types[i], good.claims, &typed));
		assert_true(failed(token_verify(buf_bytes(&typed), signer, ISSUER, NOW, &c, NULL)));
	}
	/* Each claim that decides, left out. */
	static const char *const needed[] = { "iss", "jti", "iat", "exp", "cnf" };

	for (size_t i = 0; i < array_len(needed); i++) {
		cleanup_json json_t *less = json_copy(good.claims);

		assert_int_equal(json_object_del(less, needed[i]), 0);
		buf_clear(&typed);
		assert_ok(resign("at+jwt", less, &typed));
		assert_err(token_verify(buf_bytes(&typed), signer, ISSUER, NOW, &c, NULL), E_PEER_MISSING);
	}
}

static int setup(void **state)
{
	(void)state;
	return failed(key_generate(KEY_EC_P256, &signer)) || failed(key_generate(KEY_EC_P256, &other));
}

static int teardown(void **state)
{
	(void)state;
	key_free(signer);
	key_free(other);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(life_is_the_shortest_of_all_bounds),
		cmocka_unit_test(requests_are_strict),
		cmocka_unit_test(only_a_live_verdict_gives_a_token),
		cmocka_unit_test(a_token_says_what_it_is_bound_to),
		cmocka_unit_test(a_token_names_the_container),
		cmocka_unit_test(nothing_without_an_expiry),
		cmocka_unit_test(t6_t7_t11_foreign_tokens_are_refused),
	};

	return cmocka_run_group_tests_name("token", tests, setup, teardown);
}
