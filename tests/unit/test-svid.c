/* SPDX-License-Identifier: Apache-2.0 */
/* X509-SVIDs: the profile, as OpenSSL reads it; trust domains; the bundle. */
#include "unit.h"

#include "base/text.h"
#include "base/x509_impl.h"
#include "verifier/issue/spiffe.h"
#include "verifier/issue/svid.h"

#define NOW INT64_C(1800000000)
#define DOMAIN "td.example"
#define ID "spiffe://" DOMAIN "/agent/agent/instance/ab000000000000000000000000000000"

static struct key *ca_key, *agent_key, *other_key;
static struct cert *ca;

static struct document agent_document(void)
{
	static char owner[] = "team-a";

	return (struct document){ .kind = DOCUMENT_AGENT, .name = "agent", .owner = owner, .expires_s = NOW + 10000,
				  .max_ttl_s = 300, .minimum_status = MINIMUM_WARNING, .x509 = true };
}

static struct instance_row live_instance(const struct key *key)
{
	struct instance_row i = { .host_id = "h-00112233445566778899aabbccddeeff", .id = { 0xab }, .agent = "agent",
				  .usable = true, .status = TIER_WARNING, .epoch = 3, .verdict_expires_s = NOW + 300 };

	assert_ok(jwk_thumbprint(key, i.jkt));
	return i;
}

static struct dpop_proof proof_by(const struct key *key)
{
	cleanup_buf struct buf x = BUF_INIT(32), y = BUF_INIT(32);
	struct dpop_proof p = { .expires_s = NOW + 60 };

	assert_ok(key_numbers(key, &x, &y));
	memcpy(p.x, x.p, sizeof(p.x));
	memcpy(p.y, y.p, sizeof(p.y));
	return p;
}

static struct cert *issue(uint64_t ttl_s, struct credential_row *row)
{
	const struct svid_spec spec = { DOMAIN, ca_key, ca, NOW, ttl_s };
	const struct dpop_proof proof = proof_by(agent_key);
	const struct instance_row i = live_instance(agent_key);
	const struct document d = agent_document();
	struct cert *c = NULL;

	assert_ok(svid_issue(&spec, &proof, &i, 3, &d, "task-1", row, &c));
	return c;
}

static bool critical(const struct cert *c, int nid)
{
	int at = X509_get_ext_by_NID(c->x, nid, -1);

	assert_true(at >= 0);
	return X509_EXTENSION_get_critical(X509_get_ext(c->x, at)) == 1;
}

/* The URI of a certificate whose subjectAltName holds that and nothing else. */
static void assert_named(const struct cert *c, const char *uri)
{
	cleanup_general_names GENERAL_NAMES *names = X509_get_ext_d2i(c->x, NID_subject_alt_name, NULL, NULL);
	const GENERAL_NAME *g;

	assert_int_equal(sk_GENERAL_NAME_num(names), 1);
	g = sk_GENERAL_NAME_value(names, 0);
	assert_int_equal(g->type, GEN_URI);
	assert_true(bytes_eq(BYTES(ASN1_STRING_get0_data(g->d.uniformResourceIdentifier),
				   (size_t)ASN1_STRING_length(g->d.uniformResourceIdentifier)), bytes_str(uri)));
	assert_true(cert_is_named(c, uri));
	assert_false(cert_is_named(c, "spiffe://" DOMAIN "/"));
}

/* X509-SVID, 2 to 4: one URI, no CA, signatures only, both ends of TLS. */
static void test_leaf(void **state)
{
	cleanup_credential_row struct credential_row row = { 0 };
	cleanup_cert struct cert *c = issue(200, &row);
	cleanup_key struct key *key = NULL;
	int64_t from, to;
	char serial[CERT_SERIAL_HEX + 1];

	(void)state;
	assert_named(c, ID);
	assert_int_equal(X509_NAME_entry_count(X509_get_subject_name(c->x)), 0);
	assert_true(critical(c, NID_subject_alt_name));
	assert_true(critical(c, NID_basic_constraints));
	assert_true(critical(c, NID_key_usage));
	assert_false(cert_is_ca(c));
	assert_int_equal(X509_get_key_usage(c->x), KU_DIGITAL_SIGNATURE);
	assert_int_equal(X509_get_extended_key_usage(c->x), XKU_SSL_SERVER | XKU_SSL_CLIENT);
	assert_int_equal(X509_get_version(c->x), X509_VERSION_3);
	assert_int_equal(X509_verify(c->x, key_evp(ca_key)), 1);
	assert_int_equal(X509_check_issued(ca->x, c->x), X509_V_OK);
	assert_ok(cert_key(c, &key));
	assert_true(key_equal(key, agent_key));
	assert_ok(cert_validity(c, &from, &to));
	assert_int_equal(from, NOW - SVID_BACK_S);
	assert_int_equal(to, NOW + 200);
	assert_ok(cert_serial(c, serial));
	assert_int_equal(strlen(serial), 32);
	/* What is stored says the same. */
	assert_string_equal(row.jti, serial);
	assert_string_equal(row.scope, SVID_SCOPE);
	assert_string_equal(row.audience, "spiffe://" DOMAIN);
	assert_string_equal(row.task_id, "task-1");
	assert_string_equal(row.owner, "team-a");
	assert_int_equal(row.issued_s, NOW);
	assert_int_equal(row.expires_s, to);
	assert_int_equal(row.epoch, 3);
}

/* X509-SVID, 2.1 and 4.1: a signing certificate has no path, and is a CA of leaves alone. */
static void test_ca(void **state)
{
	(void)state;
	assert_named(ca, "spiffe://" DOMAIN);
	assert_true(cert_is_ca(ca));
	assert_true((X509_get_key_usage(ca->x) & KU_KEY_CERT_SIGN) != 0);
	assert_true((X509_get_key_usage(ca->x) & KU_DIGITAL_SIGNATURE) == 0);
	assert_true(critical(ca, NID_key_usage) && critical(ca, NID_basic_constraints));
	assert_int_equal(X509_get_pathlen(ca->x), 0);
	assert_int_equal(X509_verify(ca->x, key_evp(ca_key)), 1);
	assert_true(svid_ca_fits(ca, DOMAIN));
	assert_false(svid_ca_fits(ca, "td.exampl"));
	assert_false(svid_ca_fits(ca, "td.example.org"));
	{
		cleanup_credential_row struct credential_row row = { 0 };
		cleanup_cert struct cert *leaf = issue(60, &row);

		assert_false(svid_ca_fits(leaf, DOMAIN));
	}
}

static void test_serials_differ(void **state)
{
	cleanup_credential_row struct credential_row a = { 0 }, b = { 0 };
	cleanup_cert struct cert *c = issue(60, &a), *d = issue(60, &b);

	(void)state;
	assert_false(bytes_eq(cert_der(c), cert_der(d)));
	assert_string_not_equal(a.jti, b.jti);
}

/* T23: a proof by one key gets no certificate for the instance of another. And nothing without an end. */
static void test_not_issued(void **state)
{
	struct svid_spec spec = { DOMAIN, ca_key, ca, NOW, 60 };
	const struct dpop_proof theirs = proof_by(other_key), ours = proof_by(agent_key);
	const struct instance_row i = live_instance(agent_key);
	const struct document d = agent_document();
	struct credential_row row = { 0 };
	struct cert *c = NULL;

	(void)state;
	assert_int_equal(svid_issue(&spec, &theirs, &i, 3, &d, "t", &row, &c).code, E_BUG);
	spec.ttl_s = 0;
	assert_int_equal(svid_issue(&spec, &ours, &i, 3, &d, "t", &row, &c).code, E_AUTH_EXPIRED);
	spec.ttl_s = TOKEN_MAX_TTL_S + 1;
	assert_int_equal(svid_issue(&spec, &ours, &i, 3, &d, "t", &row, &c).code, E_AUTH_EXPIRED);
	spec.ttl_s = 60;
	spec.trust_domain = "td.example/x";
	assert_int_equal(svid_issue(&spec, &ours, &i, 3, &d, "t", &row, &c).code, E_BUG);
	assert_null(c);
}

static void test_life(void **state)
{
	static const struct {
		uint32_t max_ttl_s;
		int64_t verdict, document, ca;
		uint64_t want;
	} cases[] = {
		{ 300, 1000, 1000, 1000, 300 }, { 300, 45, 1000, 1000, 45 }, { 300, 1000, 7, 1000, 7 },
		{ 300, 1000, 1000, 9, 9 },      { 300, 0, 1000, 1000, 0 },   { 300, 1000, 0, 1000, 0 },
		{ 300, 1000, 1000, 0, 0 },      { 300, -5, 1000, 1000, 0 },  { 5000, 9000, 9000, 9000, TOKEN_MAX_TTL_S },
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		struct document d = agent_document();

		d.max_ttl_s = cases[i].max_ttl_s;
		d.expires_s = NOW + cases[i].document;
		assert_int_equal(svid_ttl(&d, NOW + cases[i].verdict, NOW + cases[i].ca, NOW), cases[i].want);
	}
}

static void test_permission(void **state)
{
	struct instance_row i = live_instance(agent_key);
	struct document d = agent_document();
	struct oauth_error o = { 0 };

	(void)state;
	assert_ok(svid_decide(&i, 3, &d, NOW, &o));
	d.x509 = false;
	assert_int_equal(svid_decide(&i, 3, &d, NOW, &o).code, E_AUTH_REFUSED);
	assert_string_equal(o.code, "unauthorized_client");
	assert_non_null(strstr(o.description, "--x509"));
	assert_int_equal(svid_decide(&i, 3, NULL, NOW, &o).code, E_AUTH_REFUSED);
	d.x509 = true;
	assert_int_equal(svid_decide(&i, 4, &d, NOW, &o).code, E_AUTH_REFUSED);
	assert_int_equal(svid_decide(&i, 3, &d, NOW + 300, &o).code, E_AUTH_REFUSED);
	i.usable = false;
	assert_int_equal(svid_decide(&i, 3, &d, NOW, &o).code, E_AUTH_REFUSED);
	assert_string_equal(o.code, "invalid_grant");
}

static void test_form(void **state)
{
	static const char *const bad[] = { "", "task_id=", "task_id=a&task_id=b", "task_id=a%2fb", "task_id=..", "task=t" };
	struct oauth_error o = { 0 };
	char *task = NULL;

	(void)state;
	for (size_t i = 0; i < array_len(bad); i++) {
		assert_true(failed(svid_request_parse(bytes_str(bad[i]), &task, &o)));
		assert_string_equal(o.code, "invalid_request");
		assert_null(task);
	}
	assert_ok(svid_request_parse(BYTES_LIT("x=y&task_id=t-1"), &task, &o));
	assert_string_equal(task, "t-1");
	free(task);
}

/* SPIFFE-ID, 2.1; T12. */
static void test_trust_domains(void **state)
{
	static const char *const good[] = { "a", "td.example", "10.2.3.4", "a-b_c.9", "..", "-" };
	static const char *const bad[] = { "", "TD.example", "td.example:443", "u@td", "td/x", "td%2e", "td?", "td#", "t d",
					   "t\xc3\xa9", "[::1]", "spiffe://td", "td\n", "*" };
	char text[TRUST_DOMAIN_MAX + 2];

	(void)state;
	for (size_t i = 0; i < array_len(good); i++)
		assert_true(trust_domain_valid(bytes_str(good[i])));
	for (size_t i = 0; i < array_len(bad); i++)
		assert_false(trust_domain_valid(bytes_str(bad[i])));
	memset(text, 'a', sizeof(text));
	assert_true(trust_domain_valid(BYTES(text, TRUST_DOMAIN_MAX)));
	assert_false(trust_domain_valid(BYTES(text, TRUST_DOMAIN_MAX + 1)));
	assert_false(trust_domain_valid(BYTES("a\0b", 3)));
}

static void test_trust_domain_of_an_issuer(void **state)
{
	static const struct {
		const char *url, *want;
	} cases[] = {
		{ "https://verifier.example", "verifier.example" },
		{ "https://Verifier.EXAMPLE:8443/a/b", "verifier.example" },
		{ "https://127.0.0.1:8443", "127.0.0.1" },
		{ "https://[::1]:8443", NULL },
		{ "https://", NULL },
		{ "https://user@host", NULL },
		{ "https://a%2eb", NULL },
		{ "verifier.example", NULL },
	};
	char got[TRUST_DOMAIN_MAX + 1];

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		struct err e = trust_domain_of_url(cases[i].url, got);

		assert_int_equal(e.code, cases[i].want != NULL ? E_OK : E_PEER_SYNTAX);
		if (cases[i].want != NULL)
			assert_string_equal(got, cases[i].want);
	}
}

/* A name that would be another path is none. */
static void test_ids(void **state)
{
	static const uint8_t id[INSTANCE_ID_LEN] = { 0xab };
	static const char *const bad[] = { "", ".", "..", "a/b", "a%2fb", "a b" };
	cleanup_buf struct buf b = BUF_INIT(512);

	(void)state;
	assert_ok(spiffe_instance(DOMAIN, "agent", id, &b));
	assert_true(bytes_eq(buf_bytes(&b), BYTES_LIT(ID)));
	for (size_t i = 0; i < array_len(bad); i++)
		assert_int_equal(spiffe_instance(DOMAIN, bad[i], id, &b).code, E_BUG);
	assert_int_equal(spiffe_instance("TD", "agent", id, &b).code, E_BUG);
}

/* SPIFFE Trust Domain and Bundle, 4. */
static void test_bundle(void **state)
{
	cleanup_cert struct cert *later = NULL;
	const struct cert *cas[2];
	cleanup_buf struct buf text = BUF_INIT(LIMIT_SMALL), der = BUF_INIT(LIMIT_CERT);
	cleanup_json json_t *set = NULL;
	const json_t *keys, *k;

	(void)state;
	assert_ok(svid_ca_issue(DOMAIN, other_key, NOW + 1000, &later));
	cas[0] = later;
	cas[1] = ca;
	assert_ok(svid_bundle(cas, 2, &text));
	assert_ok(json_parse(buf_bytes(&text), LIMIT_SMALL, &set, NULL));
	assert_int_equal(json_integer_value(json_object_get(set, "spiffe_sequence")), NOW + 1000 - SVID_CA_BACK_S);
	assert_true(json_integer_value(json_object_get(set, "spiffe_refresh_hint")) > 0);
	assert_int_equal(json_object_size(set), 3);
	keys = json_object_get(set, "keys");
	assert_int_equal(json_array_size(keys), 2);
	for (size_t i = 0; i < 2; i++) {
		k = json_array_get(keys, i);
		assert_string_equal(json_string_value(json_object_get(k, "use")), "x509-svid");
		assert_string_equal(json_string_value(json_object_get(k, "kty")), "EC");
		assert_null(json_object_get(k, "kid"));
		assert_null(json_object_get(k, "d"));
		assert_int_equal(json_array_size(json_object_get(k, "x5c")), 1);
		buf_clear(&der);
		assert_ok(b64_decode(bytes_str(json_string_value(json_array_get(json_object_get(k, "x5c"), 0))), &der));
		assert_true(bytes_eq(buf_bytes(&der), cert_der(cas[i])));
	}
}

static int set_up(void **state)
{
	(void)state;
	assert_ok(key_generate(KEY_EC_P256, &ca_key));
	assert_ok(key_generate(KEY_EC_P256, &agent_key));
	assert_ok(key_generate(KEY_EC_P256, &other_key));
	assert_ok(svid_ca_issue(DOMAIN, ca_key, NOW, &ca));
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	key_free(ca_key);
	key_free(agent_key);
	key_free(other_key);
	cert_free(ca);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_leaf),
		cmocka_unit_test(test_ca),
		cmocka_unit_test(test_serials_differ),
		cmocka_unit_test(test_not_issued),
		cmocka_unit_test(test_life),
		cmocka_unit_test(test_permission),
		cmocka_unit_test(test_form),
		cmocka_unit_test(test_trust_domains),
		cmocka_unit_test(test_trust_domain_of_an_issuer),
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_bundle),
	};

	return cmocka_run_group_tests_name("svid", tests, set_up, tear_down);
}
