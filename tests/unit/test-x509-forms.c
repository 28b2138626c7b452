/* SPDX-License-Identifier: Apache-2.0 */
/* What a certificate of a chain may say: extensions, usages, names, keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/core_names.h>

#include "tests/support/chain_fixture.h"

static const char *const eku_ek[] = { "2.23.133.8.1" };
static const char *const eku_platform[] = { "2.23.133.8.2" };
static const char *const eku_any[] = { "2.5.29.37.0" };
static const char *const eku_both[] = { "2.23.133.8.2", "2.23.133.8.1" };

static void with_unknown(X509 *x)
{
	chain_add_ext(x, "1.2.3.4", false, "\x05\x00", 2);
}

static void with_unknown_critical(X509 *x)
{
	chain_add_ext(x, "1.2.3.4", true, "\x05\x00", 2);
}

/* OpenSSL takes this one for known and does not look at it without a flag. */
static void with_policy_constraints(X509 *x)
{
	chain_add_ext(x, "2.5.29.36", true, "\x30\x03\x80\x01\x00", 5);
}

static void with_policies(X509 *x)
{
	chain_add_ext(x, "2.5.29.32", true, "\x30\x08\x30\x06\x06\x04\x2a\x03\x04\x05", 10);
}

/* CA:FALSE written out, which DER leaves away; Intel's EK certificates have it. */
static void with_false_written_out(X509 *x)
{
	chain_drop_ext(x, NID_basic_constraints);
	chain_add_ext(x, "2.5.29.19", true, "\x30\x03\x01\x01\x00", 5);
}

/* keyCertSign with its trailing zero bits, which DER leaves away; STMicroelectronics' intermediates have them. */
static void with_zero_bits(X509 *x)
{
	chain_drop_ext(x, NID_key_usage);
	chain_add_ext(x, "2.5.29.15", true, "\x03\x02\x00\x04", 4);
}

static void with_second_eku(X509 *x)
{
	chain_add_ext(x, "2.5.29.37", false, "\x30\x08\x06\x06\x67\x81\x05\x08\x01\x01", 10);
}

static void with_bad_constraints(X509 *x)
{
	chain_drop_ext(x, NID_basic_constraints);
	chain_add_ext(x, "2.5.29.19", true, "\x31\x00", 2);
}

static void without_eku(X509 *x)
{
	chain_drop_ext(x, NID_ext_key_usage);
}

static void without_san(X509 *x)
{
	chain_drop_ext(x, NID_subject_alt_name);
}

static void with_cert_sign_usage(X509 *x)
{
	chain_drop_ext(x, NID_key_usage);
	chain_drop_ext(x, NID_basic_constraints);
	chain_add_ext(x, "2.5.29.15", true, "\x03\x02\x02\x04", 4);
}

static void without_cert_sign_usage(X509 *x)
{
	chain_drop_ext(x, NID_key_usage);
	chain_add_ext(x, "2.5.29.15", true, "\x03\x02\x07\x80", 4);
}

/* The extension is replaced by one with these attributes; NULL leaves one out, "2" gives it twice. */
static void put_san(X509 *x, bool critical, bool one_rdn, const char *maker, const char *model, const char *version)
{
	static const char *const oids[] = { OID_TPM_MANUFACTURER, OID_TPM_MODEL, OID_TPM_VERSION };
	const char *const values[] = { maker, model, version };
	GENERAL_NAMES *names = GENERAL_NAMES_new();
	GENERAL_NAME *g = GENERAL_NAME_new();
	X509_NAME *dir = X509_NAME_new();

	for (size_t i = 0; i < array_len(oids); i++) {
		ASN1_OBJECT *obj = OBJ_txt2obj(oids[i], 1);

		for (int n = 0; values[i] != NULL && n < (strcmp(values[i], "2") == 0 ? 2 : 1); n++)
			assert_int_equal(X509_NAME_add_entry_by_OBJ(dir, obj, V_ASN1_UTF8STRING,
								    (const unsigned char *)values[i], -1, -1,
								    one_rdn ? -1 : 0),
					 1);
		ASN1_OBJECT_free(obj);
	}
	GENERAL_NAME_set0_value(g, GEN_DIRNAME, dir);
	assert_true(sk_GENERAL_NAME_push(names, g) > 0);
	chain_drop_ext(x, NID_subject_alt_name);
	assert_int_equal(X509_add1_ext_i2d(x, NID_subject_alt_name, names, critical ? 1 : 0, X509V3_ADD_DEFAULT), 1);
	GENERAL_NAMES_free(names);
}

static void san_one_rdn(X509 *x)
{
	put_san(x, true, true, "id:4E544300", "NPCT75x", "id:00070002");
}

static void san_not_critical(X509 *x)
{
	put_san(x, false, false, "id:4E544300", "NPCT75x", "id:00070002");
}

static void san_no_maker(X509 *x)
{
	put_san(x, true, false, NULL, "NPCT75x", "id:00070002");
}

static void san_no_model(X509 *x)
{
	put_san(x, true, false, "id:4E544300", NULL, "id:00070002");
}

static void san_no_version(X509 *x)
{
	put_san(x, true, false, "id:4E544300", "NPCT75x", NULL);
}

static void san_empty_model(X509 *x)
{
	put_san(x, true, false, "id:4E544300", "", "id:00070002");
}

static void san_two_makers(X509 *x)
{
	put_san(x, true, false, "2", "NPCT75x", "id:00070002");
}

static void san_dns_only(X509 *x)
{
	chain_drop_ext(x, NID_subject_alt_name);
	chain_add_ext(x, "2.5.29.17", true, "\x30\x03\x82\x01\x61", 5);
}

static void san_malformed(X509 *x)
{
	chain_drop_ext(x, NID_subject_alt_name);
	chain_add_ext(x, "2.5.29.17", true, "\x30\x05\x82\x01\x61", 5);
}

static const struct {
	void (*fn)(X509 *x);
	enum err_code want;
	const char *cause;
} leaf_cases[] = {
	{ NULL, E_OK, NULL },
	{ with_unknown, E_OK, NULL },
	{ with_policies, E_OK, NULL },
	{ with_false_written_out, E_OK, NULL },
	{ chain_without_constraints, E_OK, NULL },
	{ chain_without_key_ids, E_OK, NULL },
	{ san_one_rdn, E_OK, NULL },
	{ san_not_critical, E_OK, NULL },
	{ with_unknown_critical, E_AUTH_CERTIFICATE, "unknown critical extension" },
	{ with_policy_constraints, E_AUTH_CERTIFICATE, "unknown critical extension" },
	{ with_second_eku, E_AUTH_CERTIFICATE, "malformed or there twice" },
	{ with_bad_constraints, E_AUTH_CERTIFICATE, "malformed or there twice" },
	{ with_cert_sign_usage, E_AUTH_CERTIFICATE, "a CA certificate is no EK certificate" },
	{ without_eku, E_AUTH_CERTIFICATE, "no extendedKeyUsage" },
	{ without_san, E_AUTH_CERTIFICATE, "no subjectAltName" },
	{ san_no_maker, E_AUTH_CERTIFICATE, "no subjectAltName" },
	{ san_no_model, E_AUTH_CERTIFICATE, "no subjectAltName" },
	{ san_no_version, E_AUTH_CERTIFICATE, "no subjectAltName" },
	{ san_empty_model, E_AUTH_CERTIFICATE, "no subjectAltName" },
	{ san_two_makers, E_AUTH_CERTIFICATE, "no subjectAltName" },
	{ san_dns_only, E_AUTH_CERTIFICATE, "no subjectAltName" },
	{ san_malformed, E_AUTH_CERTIFICATE, "malformed" },
};

static void test_leaf_forms(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(leaf_cases); i++) {
		cleanup_cert struct cert *leaf =
			chain_resign(good.leaf, good.issuer_key, EVP_sha384(), leaf_cases[i].fn);

		chain_expect(good.root, good.issuer, leaf, NOW_S, leaf_cases[i].want,
			     leaf_cases[i].cause != NULL ? "\"CN=" LEAF "\"" : NULL, leaf_cases[i].cause);
	}
}

static const struct {
	void (*fn)(X509 *x);
	enum err_code want;
	const char *cause;
} issuer_cases[] = {
	{ NULL, E_OK, NULL },
	{ with_unknown, E_OK, NULL },
	{ with_policies, E_OK, NULL },
	{ with_zero_bits, E_OK, NULL },
	{ chain_without_key_ids, E_OK, NULL },
	{ with_unknown_critical, E_AUTH_CERTIFICATE, "critical extension" },
	{ with_policy_constraints, E_AUTH_CERTIFICATE, "unknown critical extension" },
	{ with_second_eku, E_AUTH_CERTIFICATE, NULL },
	{ with_bad_constraints, E_AUTH_CERTIFICATE, NULL },
	{ chain_without_constraints, E_AUTH_CERTIFICATE, "invalid CA certificate" },
	{ without_cert_sign_usage, E_AUTH_CERTIFICATE, NULL },
};

static void test_issuer_forms(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(issuer_cases); i++) {
		cleanup_cert struct cert *issuer =
			chain_resign(good.issuer, good.root_key, EVP_sha256(), issuer_cases[i].fn);

		chain_expect(good.root, issuer, good.leaf, NOW_S, issuer_cases[i].want, NULL, issuer_cases[i].cause);
	}
}

static void with_second_key_id(X509 *x)
{
	chain_add_ext(x, "2.5.29.14", false, "\x04\x01\x00", 3);
}

/* A CA that OpenSSL finds malformed is not configured at all. */
static void test_malformed_ca(void **state)
{
	cleanup_cert struct cert *root = chain_resign(good.root, good.root_key, EVP_sha256(), with_second_key_id);
	cleanup_trust struct trust *t = NULL;

	(void)state;
	assert_int_equal(trust_new(&t).code, E_OK);
	assert_int_equal(trust_add(t, root).code, E_AUTH_CERTIFICATE);
	assert_int_equal(trust_n_anchors(t), 0);
}

/* The same rules hold for what is configured here. */
static void test_root_critical(void **state)
{
	cleanup_cert struct cert *root = chain_resign(good.root, good.root_key, EVP_sha256(), with_policy_constraints);

	(void)state;
	chain_expect(root, good.issuer, good.leaf, NOW_S, E_AUTH_CERTIFICATE, "\"CN=" ROOT "\"",
		     "unknown critical extension");
}

static void test_eku(void **state)
{
	static const struct {
		const char *const *oids;
		size_t n;
		enum err_code want;
	} cases[] = {
		{ eku_ek, 1, E_OK },
		{ eku_both, 2, E_OK },
		{ eku_platform, 1, E_AUTH_CERTIFICATE },
		{ eku_any, 1, E_AUTH_CERTIFICATE },
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		struct cert_spec s = chain_leaf_spec();
		cleanup_cert struct cert *leaf = NULL;

		s.eku_oids = cases[i].oids;
		s.n_eku_oids = cases[i].n;
		leaf = chain_issue(&s, good.leaf_key, good.issuer, good.issuer_key);
		chain_expect(good.root, good.issuer, leaf, NOW_S, cases[i].want, NULL,
			     cases[i].want == E_OK ? NULL : "extendedKeyUsage without 2.23.133.8.1");
	}
}

/* An issuing CA certificate, with the EK usage and the directory name, offered as EK certificate. */
static void test_ca_as_leaf(void **state)
{
	struct cert_spec s = chain_leaf_spec();
	cleanup_cert struct cert *leaf = NULL;

	(void)state;
	s.ca = true;
	s.path_len = -1;
	leaf = chain_issue(&s, good.leaf_key, good.root, good.root_key);
	chain_expect(good.root, NULL, leaf, NOW_S, E_AUTH_CERTIFICATE, LEAF, "a CA certificate is no EK certificate");
	chain_expect(good.root, NULL, good.root, NOW_S, E_AUTH_CERTIFICATE, ROOT,
		     "a CA certificate is no EK certificate");
}

static void subject_key_of(X509 *x, EVP_PKEY *pkey)
{
	assert_non_null(pkey);
	assert_int_equal(X509_set_pubkey(x, pkey), 1);
	EVP_PKEY_free(pkey);
}

static EVP_PKEY *rsa_public(int bits, BN_ULONG exponent)
{
	cleanup_bn BIGNUM *n = BN_new(), *e = BN_new();
	cleanup_pkey_ctx EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	uint8_t n_le[4096], e_le[8];
	EVP_PKEY *pkey = NULL;

	assert_int_equal(BN_rand(n, bits, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ODD), 1);
	assert_int_equal(BN_set_word(e, exponent), 1);
	assert_int_equal(BN_bn2nativepad(n, n_le, (bits + 7) / 8), (bits + 7) / 8);
	assert_int_equal(BN_bn2nativepad(e, e_le, 4), 4);
	assert_int_equal(EVP_PKEY_fromdata_init(ctx), 1);
	assert_int_equal(
		EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY,
				  (OSSL_PARAM[]){ OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, n_le, (size_t)(bits + 7) / 8),
						  OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, e_le, 4), OSSL_PARAM_END }),
		1);
	return pkey;
}

static void key_rsa_1024(X509 *x)
{
	subject_key_of(x, rsa_public(1024, RSA_F4));
}

static void key_rsa_exponent_3(X509 *x)
{
	subject_key_of(x, rsa_public(2048, 3));
}

static void key_rsa_4096(X509 *x)
{
	subject_key_of(x, rsa_public(4096, RSA_F4));
}

static void key_rsa_4104(X509 *x)
{
	subject_key_of(x, rsa_public(4104, RSA_F4));
}

static void key_rsa_16384(X509 *x)
{
	subject_key_of(x, rsa_public(16384, RSA_F4));
}

static void key_secp256k1(X509 *x)
{
	subject_key_of(x, EVP_EC_gen("secp256k1"));
}

static void key_explicit(X509 *x)
{
	EVP_PKEY *p = EVP_EC_gen("P-256");

	assert_int_equal(EVP_PKEY_set_utf8_string_param(p, OSSL_PKEY_PARAM_EC_ENCODING, "explicit"), 1);
	subject_key_of(x, p);
}

static const struct {
	void (*fn)(X509 *x);
	enum err_code want; /* of cert_key() */
	const char *cause;
} key_cases[] = {
	{ NULL, E_OK, NULL },
	{ key_rsa_4096, E_OK, NULL },
	{ key_rsa_1024, E_PEER_RANGE, "RSA keys must have" },
	{ key_rsa_exponent_3, E_PEER_RANGE, "RSA keys must have" },
	{ key_rsa_4104, E_PEER_RANGE, "RSA keys must have" },
	{ key_rsa_16384, E_PEER_RANGE, "RSA keys must have" },
	{ key_secp256k1, E_PEER_UNSUPPORTED, "not supported" },
	{ key_explicit, E_PEER_UNSUPPORTED, "not supported" },
};

/* As leaf, as intermediate that the host sends, and as CA of ours. */
static void test_keys(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(key_cases); i++) {
		cleanup_cert struct cert *leaf =
			chain_resign(good.leaf, good.issuer_key, EVP_sha384(), key_cases[i].fn);
		cleanup_cert struct cert *ca = chain_resign(good.root, good.root_key, EVP_sha256(), key_cases[i].fn);
		cleanup_trust struct trust *t = NULL;
		cleanup_key struct key *k = NULL;
		struct reason why = { "" };
		bool ok = key_cases[i].want == E_OK;

		assert_int_equal(cert_key(leaf, &k).code, key_cases[i].want);
		assert_true((k != NULL) == ok);
		chain_expect(good.root, good.issuer, leaf, NOW_S, ok ? E_OK : E_AUTH_CERTIFICATE, ok ? NULL : LEAF,
			     key_cases[i].cause);
		assert_int_equal(trust_new(&t).code, E_OK);
		assert_int_equal(trust_add(t, ca).code, ok ? E_OK : E_AUTH_CERTIFICATE);
		if (ok)
			continue;
		/* Even one that the chain would not need: nothing is tried with it. */
		assert_int_equal(trust_add(t, good.root).code, E_OK);
		assert_int_equal(
			ek_cert_verify(t, good.leaf, (struct cert *[]){ good.issuer, ca }, 2, NOW_S, &why).code,
			E_AUTH_CERTIFICATE);
		assert_non_null(strstr(why.text, "\"CN=" ROOT "\""));
	}
}

/* The key that is in the certificate, and none else. */
static void test_cert_key(void **state)
{
	cleanup_key struct key *k = NULL;

	(void)state;
	assert_int_equal(cert_key(good.leaf, &k).code, E_OK);
	assert_true(key_equal(k, good.leaf_key));
	assert_false(key_is_private(k));
}

/* Name constraints are OpenSSL's work; this shows that it is done. */
static void with_name_constraints(X509 *x)
{
	/* permittedSubtrees: directoryName O=x */
	chain_add_ext(x, "2.5.29.30", true,
		      "\x30\x14\xa0\x12\x30\x10\xa4\x0e\x30\x0c\x31\x0a\x30\x08\x06\x03\x55\x04\x0a\x0c\x01\x78", 22);
}

static void test_name_constraints(void **state)
{
	cleanup_cert struct cert *issuer =
		chain_resign(good.issuer, good.root_key, EVP_sha256(), with_name_constraints);

	(void)state;
	chain_expect(good.root, issuer, good.leaf, NOW_S, E_AUTH_CERTIFICATE, NULL, "permitted subtree");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_leaf_forms),
		cmocka_unit_test(test_issuer_forms),
		cmocka_unit_test(test_root_critical),
		cmocka_unit_test(test_malformed_ca),
		cmocka_unit_test(test_eku),
		cmocka_unit_test(test_ca_as_leaf),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_cert_key),
		cmocka_unit_test(test_name_constraints),
	};

	return cmocka_run_group_tests_name("x509-forms", tests, chain_set_up, chain_tear_down);
}
