/* SPDX-License-Identifier: Apache-2.0 */
#include "base/x509.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/core_names.h>
#include <openssl/pem.h>

#include "base/der.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/x509_impl.h"
#include "tests/support/fault.h"

#define NOW_S INT64_C(1800000000)
#define DAY_S 86400
#define YEAR_9999_S INT64_C(253402300799)

#define ROOT "root"
#define ISSUER "issuer"
#define LEAF "unknown"

static const char *const eku_ek[] = { "2.23.133.8.1" };
static const char *const eku_platform[] = { "2.23.133.8.2" };
static const char *const eku_any[] = { "2.5.29.37.0" };
static const char *const eku_both[] = { "2.23.133.8.2", "2.23.133.8.1" };

/* One good chain, made once. */
static struct {
	struct key *root_key, *issuer_key, *leaf_key, *other_key;
	struct cert *root, *issuer, *leaf;
} good;

static struct cert_spec ca_spec(const char *name, int path_len)
{
	return (struct cert_spec){ .common_name = name,
				   .ca = true,
				   .path_len = path_len,
				   .not_before_s = NOW_S - DAY_S,
				   .not_after_s = YEAR_9999_S };
}

static struct cert_spec leaf_spec(void)
{
	return (struct cert_spec){ .common_name = LEAF,
				   .eku_oids = eku_ek,
				   .n_eku_oids = 1,
				   .tpm_san = true,
				   .not_before_s = NOW_S - DAY_S,
				   .not_after_s = YEAR_9999_S };
}

static struct cert *issue(const struct cert_spec *s, const struct key *key, const struct cert *by,
			  const struct key *by_key)
{
	struct cert *c = NULL;

	assert_int_equal(cert_issue(s, key, by, by_key, &c).code, E_OK);
	return c;
}

/* Verdict over the leaf, one intermediate and one anchor; the reason must name the link and the cause. */
static void expect(const struct cert *root, struct cert *issuer, const struct cert *leaf, int64_t now_s,
		   enum err_code want, const char *link, const char *cause)
{
	cleanup_trust struct trust *t = NULL;
	struct reason why = { "" };
	struct err e;

	assert_int_equal(trust_new(&t).code, E_OK);
	if (root != NULL)
		assert_int_equal(trust_add(t, root).code, E_OK);
	e = ek_cert_verify(t, leaf, &issuer, issuer != NULL ? 1 : 0, now_s, &why);
	if (e.code != want || (link != NULL && strstr(why.text, link) == NULL) ||
	    (cause != NULL && strstr(why.text, cause) == NULL))
		fail_msg("%s (%s), expected %s %s %s", err_name(e), why.text, err_name(ERR(want)),
			 link != NULL ? link : "", cause != NULL ? cause : "");
	/* The reason is not wanted: nothing else changes. */
	assert_int_equal(ek_cert_verify(t, leaf, &issuer, issuer != NULL ? 1 : 0, now_s, NULL).code, want);
}

/* A certificate changed by fn and signed anew. */
static struct cert *resign(const struct cert *c, const struct key *by, const EVP_MD *md, void (*fn)(X509 *x))
{
	struct bytes der = cert_der(c);
	const unsigned char *at = der.p;
	X509 *x = d2i_X509(NULL, &at, (long)der.n);
	unsigned char *out = NULL;
	struct cert *ret = NULL;
	int n;

	assert_non_null(x);
	if (fn != NULL)
		fn(x);
	assert_true(X509_sign(x, key_evp(by), md) > 0);
	n = i2d_X509(x, &out);
	assert_true(n > 0);
	assert_int_equal(cert_from_der(BYTES(out, (size_t)n), &ret, NULL).code, E_OK);
	OPENSSL_free(out);
	X509_free(x);
	return ret;
}

static void add_ext(X509 *x, const char *oid, bool critical, const void *der, int n)
{
	ASN1_OBJECT *obj = OBJ_txt2obj(oid, 1);
	ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
	X509_EXTENSION *ext;

	assert_int_equal(ASN1_OCTET_STRING_set(value, der, n), 1);
	ext = X509_EXTENSION_create_by_OBJ(NULL, obj, critical ? 1 : 0, value);
	assert_int_equal(X509_add_ext(x, ext, -1), 1);
	X509_EXTENSION_free(ext);
	ASN1_OCTET_STRING_free(value);
	ASN1_OBJECT_free(obj);
}

static void drop_ext(X509 *x, int nid)
{
	int at = X509_get_ext_by_NID(x, nid, -1);

	assert_true(at >= 0);
	X509_EXTENSION_free(X509_delete_ext(x, at));
}

static void with_unknown(X509 *x)
{
	add_ext(x, "1.2.3.4", false, "\x05\x00", 2);
}

static void with_unknown_critical(X509 *x)
{
	add_ext(x, "1.2.3.4", true, "\x05\x00", 2);
}

/* OpenSSL takes this one for known and does not look at it without a flag. */
static void with_policy_constraints(X509 *x)
{
	add_ext(x, "2.5.29.36", true, "\x30\x03\x80\x01\x00", 5);
}

static void with_policies(X509 *x)
{
	add_ext(x, "2.5.29.32", true, "\x30\x08\x30\x06\x06\x04\x2a\x03\x04\x05", 10);
}

static void with_second_eku(X509 *x)
{
	add_ext(x, "2.5.29.37", false, "\x30\x08\x06\x06\x67\x81\x05\x08\x01\x01", 10);
}

static void with_bad_constraints(X509 *x)
{
	drop_ext(x, NID_basic_constraints);
	add_ext(x, "2.5.29.19", true, "\x31\x00", 2);
}

static void without_constraints(X509 *x)
{
	drop_ext(x, NID_basic_constraints);
}

static void without_eku(X509 *x)
{
	drop_ext(x, NID_ext_key_usage);
}

static void without_san(X509 *x)
{
	drop_ext(x, NID_subject_alt_name);
}

static void without_key_ids(X509 *x)
{
	drop_ext(x, NID_subject_key_identifier);
	drop_ext(x, NID_authority_key_identifier);
}

static void with_cert_sign_usage(X509 *x)
{
	drop_ext(x, NID_key_usage);
	drop_ext(x, NID_basic_constraints);
	add_ext(x, "2.5.29.15", true, "\x03\x02\x02\x04", 4);
}

static void without_cert_sign_usage(X509 *x)
{
	drop_ext(x, NID_key_usage);
	add_ext(x, "2.5.29.15", true, "\x03\x02\x07\x80", 4);
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
	drop_ext(x, NID_subject_alt_name);
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
	drop_ext(x, NID_subject_alt_name);
	add_ext(x, "2.5.29.17", true, "\x30\x03\x82\x01\x61", 5);
}

static void san_malformed(X509 *x)
{
	drop_ext(x, NID_subject_alt_name);
	add_ext(x, "2.5.29.17", true, "\x30\x05\x82\x01\x61", 5);
}

static const struct {
	void (*fn)(X509 *x);
	enum err_code want;
	const char *cause;
} leaf_cases[] = {
	{ NULL, E_OK, NULL },
	{ with_unknown, E_OK, NULL },
	{ with_policies, E_OK, NULL },
	{ without_constraints, E_OK, NULL },
	{ without_key_ids, E_OK, NULL },
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
		cleanup_cert struct cert *leaf = resign(good.leaf, good.issuer_key, EVP_sha384(), leaf_cases[i].fn);

		expect(good.root, good.issuer, leaf, NOW_S, leaf_cases[i].want,
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
	{ without_key_ids, E_OK, NULL },
	{ with_unknown_critical, E_AUTH_CERTIFICATE, "critical extension" },
	{ with_policy_constraints, E_AUTH_CERTIFICATE, "unknown critical extension" },
	{ with_second_eku, E_AUTH_CERTIFICATE, NULL },
	{ with_bad_constraints, E_AUTH_CERTIFICATE, NULL },
	{ without_constraints, E_AUTH_CERTIFICATE, "invalid CA certificate" },
	{ without_cert_sign_usage, E_AUTH_CERTIFICATE, NULL },
};

static void test_issuer_forms(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(issuer_cases); i++) {
		cleanup_cert struct cert *issuer = resign(good.issuer, good.root_key, EVP_sha256(), issuer_cases[i].fn);

		expect(good.root, issuer, good.leaf, NOW_S, issuer_cases[i].want, NULL, issuer_cases[i].cause);
	}
}

/* The same rules hold for what is configured here. */
static void test_root_critical(void **state)
{
	cleanup_cert struct cert *root = resign(good.root, good.root_key, EVP_sha256(), with_policy_constraints);

	(void)state;
	expect(root, good.issuer, good.leaf, NOW_S, E_AUTH_CERTIFICATE, "\"CN=" ROOT "\"",
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
		struct cert_spec s = leaf_spec();
		cleanup_cert struct cert *leaf = NULL;

		s.eku_oids = cases[i].oids;
		s.n_eku_oids = cases[i].n;
		leaf = issue(&s, good.leaf_key, good.issuer, good.issuer_key);
		expect(good.root, good.issuer, leaf, NOW_S, cases[i].want, NULL,
		       cases[i].want == E_OK ? NULL : "extendedKeyUsage without 2.23.133.8.1");
	}
}

/* An issuing CA certificate, with the EK usage and the directory name, offered as EK certificate. */
static void test_ca_as_leaf(void **state)
{
	struct cert_spec s = leaf_spec();
	cleanup_cert struct cert *leaf = NULL;

	(void)state;
	s.ca = true;
	s.path_len = -1;
	leaf = issue(&s, good.leaf_key, good.root, good.root_key);
	expect(good.root, NULL, leaf, NOW_S, E_AUTH_CERTIFICATE, LEAF, "a CA certificate is no EK certificate");
	expect(good.root, NULL, good.root, NOW_S, E_AUTH_CERTIFICATE, ROOT, "a CA certificate is no EK certificate");
}

static void test_missing_links(void **state)
{
	cleanup_trust struct trust *t = NULL;
	struct reason why = { "" };

	(void)state;
	expect(good.root, good.issuer, good.leaf, NOW_S, E_OK, NULL, NULL);
	expect(good.root, NULL, good.leaf, NOW_S, E_AUTH_CERTIFICATE, LEAF, "unable to get local issuer");
	expect(NULL, good.issuer, good.leaf, NOW_S, E_AUTH_CERTIFICATE, ISSUER, "unable to get local issuer");
	/* The host sends its own root. */
	expect(NULL, good.root, good.leaf, NOW_S, E_AUTH_CERTIFICATE, NULL, NULL);
	assert_int_equal(trust_new(&t).code, E_OK);
	assert_int_equal(ek_cert_verify(t, good.leaf, (struct cert *[]){ good.issuer, good.root }, 2, NOW_S, &why).code,
			 E_AUTH_CERTIFICATE);
	assert_non_null(strstr(why.text, "self-signed"));
	/* An intermediate alone is no anchor. */
	assert_int_equal(trust_add(t, good.issuer).code, E_OK);
	assert_int_equal(trust_n_anchors(t), 0);
	assert_int_equal(ek_cert_verify(t, good.leaf, NULL, 0, NOW_S, NULL).code, E_AUTH_CERTIFICATE);
	/* Configured here, it need not be sent. */
	assert_int_equal(trust_add(t, good.root).code, E_OK);
	assert_int_equal(trust_add(t, good.root).code, E_OK);
	assert_int_equal(trust_add(t, good.issuer).code, E_OK);
	assert_int_equal(trust_n_anchors(t), 1);
	assert_int_equal(ek_cert_verify(t, good.leaf, NULL, 0, NOW_S, NULL).code, E_OK);
	assert_int_equal(ek_cert_verify(t, good.leaf, (struct cert *[]){ good.leaf, good.leaf }, 2, NOW_S, NULL).code,
			 E_OK);
}

/* Same name, another key: neither with nor without key identifiers. */
static void test_foreign_ca_of_same_name(void **state)
{
	struct cert_spec s = ca_spec(ROOT, -1);
	cleanup_cert struct cert *foreign = issue(&s, good.other_key, NULL, good.other_key);
	cleanup_cert struct cert *bare_root = resign(foreign, good.other_key, EVP_sha256(), without_key_ids);
	cleanup_cert struct cert *bare = resign(good.issuer, good.root_key, EVP_sha256(), without_key_ids);

	(void)state;
	assert_string_equal(cert_subject(foreign), cert_subject(good.root));
	expect(foreign, good.issuer, good.leaf, NOW_S, E_AUTH_CERTIFICATE, NULL, NULL);
	/* Without identifiers only the signature tells them apart. */
	expect(bare_root, bare, good.leaf, NOW_S, E_AUTH_CERTIFICATE, ISSUER, "signature failure");
}

/* The host sends an intermediate with the name of a configured one and another key. */
static void test_configured_first(void **state)
{
	struct cert_spec s = ca_spec(ISSUER, 0);
	cleanup_cert struct cert *made = issue(&s, good.other_key, good.root, good.root_key);
	cleanup_cert struct cert *decoy = resign(made, good.root_key, EVP_sha256(), without_key_ids);
	cleanup_cert struct cert *issuer = resign(good.issuer, good.root_key, EVP_sha256(), without_key_ids);
	cleanup_cert struct cert *leaf = resign(good.leaf, good.issuer_key, EVP_sha384(), without_key_ids);
	cleanup_trust struct trust *t = NULL;

	(void)state;
	expect(good.root, decoy, leaf, NOW_S, E_AUTH_CERTIFICATE, LEAF, "signature failure");
	assert_int_equal(trust_new(&t).code, E_OK);
	assert_int_equal(trust_add(t, good.root).code, E_OK);
	assert_int_equal(trust_add(t, issuer).code, E_OK);
	assert_int_equal(ek_cert_verify(t, leaf, &decoy, 1, NOW_S, NULL).code, E_OK);
}

static struct cert *with_flipped_signature(const struct cert *c)
{
	uint8_t der[LIMIT_CERT];
	struct cert *ret = NULL;
	struct bytes b = cert_der(c);

	memcpy(der, b.p, b.n);
	der[b.n - 3] ^= 1;
	assert_int_equal(cert_from_der(BYTES(der, b.n), &ret, NULL).code, E_OK);
	return ret;
}

static void test_signatures(void **state)
{
	cleanup_cert struct cert *leaf = with_flipped_signature(good.leaf);
	cleanup_cert struct cert *issuer = with_flipped_signature(good.issuer);
	cleanup_cert struct cert *root = with_flipped_signature(good.root);
	cleanup_trust struct trust *t = NULL;

	(void)state;
	expect(good.root, good.issuer, leaf, NOW_S, E_AUTH_CERTIFICATE, LEAF, "signature failure");
	expect(good.root, issuer, good.leaf, NOW_S, E_AUTH_CERTIFICATE, ISSUER, "signature failure");
	/* Its name is its issuer's, but nothing shows that it holds the key: no anchor. */
	assert_int_equal(trust_new(&t).code, E_OK);
	assert_int_equal(trust_add(t, root).code, E_OK);
	assert_int_equal(trust_n_anchors(t), 0);
	assert_int_equal(ek_cert_verify(t, good.leaf, &good.issuer, 1, NOW_S, NULL).code, E_AUTH_CERTIFICATE);
}

static void test_sha1(void **state)
{
	cleanup_cert struct cert *leaf = resign(good.leaf, good.issuer_key, EVP_sha1(), NULL);
	cleanup_cert struct cert *issuer = resign(good.issuer, good.root_key, EVP_sha1(), NULL);
	cleanup_cert struct cert *root = resign(good.root, good.root_key, EVP_sha1(), NULL);

	(void)state;
	expect(good.root, good.issuer, leaf, NOW_S, E_AUTH_CERTIFICATE, LEAF, "digest algorithm too weak");
	expect(good.root, issuer, good.leaf, NOW_S, E_AUTH_CERTIFICATE, ISSUER, "digest algorithm too weak");
	/* An anchor is trusted because it is configured, not because of its signature. */
	expect(root, good.issuer, good.leaf, NOW_S, E_OK, NULL, NULL);
}

static const struct {
	int64_t leaf[2], issuer[2], root[2];
	int64_t now_s;
	enum err_code want;
	const char *link, *cause;
} date_cases[] = {
	{ { 100, 200 }, { 100, 200 }, { 100, 200 }, 100, E_OK, NULL, NULL },
	{ { 100, 200 }, { 100, 200 }, { 100, 200 }, 199, E_OK, NULL, NULL },
	{ { 100, 200 }, { 100, 300 }, { 100, 300 }, 201, E_AUTH_CERTIFICATE, LEAF, "expired" },
	{ { 100, 200 }, { 50, 300 }, { 50, 300 }, 99, E_AUTH_CERTIFICATE, LEAF, "not yet valid" },
	{ { 100, 300 }, { 100, 200 }, { 100, 300 }, 250, E_AUTH_CERTIFICATE, ISSUER, "expired" },
	{ { 100, 300 }, { 200, 300 }, { 100, 300 }, 150, E_AUTH_CERTIFICATE, ISSUER, "not yet valid" },
	{ { 100, 300 }, { 100, 300 }, { 100, 200 }, 250, E_AUTH_CERTIFICATE, ROOT, "expired" },
	{ { 100, 300 }, { 100, 300 }, { 200, 300 }, 150, E_AUTH_CERTIFICATE, ROOT, "not yet valid" },
};

static void test_dates(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(date_cases); i++) {
		struct cert_spec r = ca_spec(ROOT, -1), s = ca_spec(ISSUER, -1), l = leaf_spec();
		cleanup_cert struct cert *root = NULL, *issuer = NULL, *leaf = NULL;

		r.not_before_s = NOW_S + date_cases[i].root[0];
		r.not_after_s = NOW_S + date_cases[i].root[1];
		s.not_before_s = NOW_S + date_cases[i].issuer[0];
		s.not_after_s = NOW_S + date_cases[i].issuer[1];
		l.not_before_s = NOW_S + date_cases[i].leaf[0];
		l.not_after_s = NOW_S + date_cases[i].leaf[1];
		root = issue(&r, good.root_key, NULL, good.root_key);
		issuer = issue(&s, good.issuer_key, root, good.root_key);
		leaf = issue(&l, good.leaf_key, issuer, good.issuer_key);
		expect(root, issuer, leaf, NOW_S + date_cases[i].now_s, date_cases[i].want, date_cases[i].link,
		       date_cases[i].cause);
	}
}

/* A chain of n certificates, the leaf and the anchor included. */
static enum err_code chain_code(size_t n, int root_path_len, struct reason *why)
{
	struct cert_spec s = ca_spec("link 0", root_path_len), l = leaf_spec();
	struct cert *all[16] = { NULL }, *sent[16] = { NULL };
	cleanup_trust struct trust *t = NULL;
	size_t n_sent = 0;
	enum err_code code;

	assert_true(n >= 2 && n <= array_len(all));
	assert_int_equal(trust_new(&t).code, E_OK);
	all[0] = issue(&s, good.root_key, NULL, good.root_key);
	assert_int_equal(trust_add(t, all[0]).code, E_OK);
	for (size_t i = 1; i < n - 1; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "link %zu", i);
		s = ca_spec(name, -1);
		all[i] = issue(&s, good.root_key, all[i - 1], good.root_key);
		sent[n_sent++] = all[i];
	}
	all[n - 1] = issue(&l, good.leaf_key, all[n - 2], good.root_key);
	code = ek_cert_verify(t, all[n - 1], sent, n_sent, NOW_S, why).code;
	for (size_t i = 0; i < n; i++)
		cert_free(all[i]);
	return code;
}

static void test_chain_length(void **state)
{
	struct cert *many[100];
	cleanup_trust struct trust *t = NULL;
	struct reason why = { "" };

	(void)state;
	assert_int_equal(chain_code(2, -1, &why), E_OK);
	assert_int_equal(chain_code(LIMIT_CHAIN, -1, &why), E_OK);
	assert_int_equal(chain_code(LIMIT_CHAIN + 1, -1, &why), E_AUTH_CERTIFICATE);
	assert_non_null(strstr(why.text, "too long"));
	for (size_t i = 0; i < array_len(many); i++)
		many[i] = good.issuer;
	assert_int_equal(trust_new(&t).code, E_OK);
	assert_int_equal(trust_add(t, good.root).code, E_OK);
	assert_int_equal(ek_cert_verify(t, good.leaf, many, LIMIT_CHAIN, NOW_S, &why).code, E_OK);
	assert_int_equal(ek_cert_verify(t, good.leaf, many, LIMIT_CHAIN + 1, NOW_S, &why).code, E_AUTH_CERTIFICATE);
	assert_int_equal(ek_cert_verify(t, good.leaf, many, 100, NOW_S, &why).code, E_AUTH_CERTIFICATE);
	assert_string_equal(why.text, "chain of 100 certificates, at most 8 are accepted");
}

static void test_path_length(void **state)
{
	struct reason why = { "" };

	(void)state;
	assert_int_equal(chain_code(2, 0, &why), E_OK);
	assert_int_equal(chain_code(3, 0, &why), E_AUTH_CERTIFICATE);
	assert_non_null(strstr(why.text, "path length"));
	assert_int_equal(chain_code(3, 1, &why), E_OK);
	assert_int_equal(chain_code(4, 1, &why), E_AUTH_CERTIFICATE);
	assert_non_null(strstr(why.text, "path length"));
}

/* An end entity that signs another: the key fits, the right does not. */
static void test_leaf_as_issuer(void **state)
{
	struct cert_spec s = leaf_spec();
	cleanup_cert struct cert *by = issue(&s, good.issuer_key, good.root, good.root_key);
	cleanup_cert struct cert *leaf = NULL;
	cleanup_cert struct cert *usage_only = resign(good.root, good.root_key, EVP_sha256(), without_constraints);
	cleanup_trust struct trust *t = NULL;

	(void)state;
	s.common_name = "below a leaf";
	leaf = issue(&s, good.leaf_key, by, good.issuer_key);
	expect(good.root, by, leaf, NOW_S, E_AUTH_CERTIFICATE, NULL, NULL);
	assert_int_equal(trust_new(&t).code, E_OK);
	assert_int_equal(trust_add(t, by).code, E_AUTH_CERTIFICATE);
	/* A keyUsage that speaks of a CA does not replace basicConstraints. */
	assert_int_equal(trust_add(t, usage_only).code, E_AUTH_CERTIFICATE);
}

static void subject_key_of(X509 *x, EVP_PKEY *pkey)
{
	assert_non_null(pkey);
	assert_int_equal(X509_set_pubkey(x, pkey), 1);
	EVP_PKEY_free(pkey);
}

static EVP_PKEY *rsa_public(int bits)
{
	cleanup_bn BIGNUM *n = BN_new(), *e = BN_new();
	cleanup_pkey_ctx EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	uint8_t n_le[4096], e_le[8];
	EVP_PKEY *pkey = NULL;

	assert_int_equal(BN_rand(n, bits, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ODD), 1);
	assert_int_equal(BN_set_word(e, RSA_F4), 1);
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
	subject_key_of(x, rsa_public(1024));
}

static void key_rsa_4096(X509 *x)
{
	subject_key_of(x, rsa_public(4096));
}

static void key_rsa_4104(X509 *x)
{
	subject_key_of(x, rsa_public(4104));
}

static void key_rsa_16384(X509 *x)
{
	subject_key_of(x, rsa_public(16384));
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
		cleanup_cert struct cert *leaf = resign(good.leaf, good.issuer_key, EVP_sha384(), key_cases[i].fn);
		cleanup_cert struct cert *ca = resign(good.root, good.root_key, EVP_sha256(), key_cases[i].fn);
		cleanup_trust struct trust *t = NULL;
		cleanup_key struct key *k = NULL;
		struct reason why = { "" };
		bool ok = key_cases[i].want == E_OK;

		assert_int_equal(cert_key(leaf, &k).code, key_cases[i].want);
		assert_true((k != NULL) == ok);
		expect(good.root, good.issuer, leaf, NOW_S, ok ? E_OK : E_AUTH_CERTIFICATE, ok ? NULL : LEAF,
		       key_cases[i].cause);
		assert_int_equal(trust_new(&t).code, E_OK);
		assert_int_equal(trust_add(t, ca).code, ok ? E_OK : E_AUTH_CERTIFICATE);
		if (ok)
			continue;
		/* Even one that the chain would not need: nothing is tried with it. */
		assert_int_equal(trust_add(t, good.root).code, E_OK);
		assert_int_equal(ek_cert_verify(t, good.leaf, (struct cert *[]){ good.issuer, ca }, 2, NOW_S, &why).code,
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
	add_ext(x, "2.5.29.30", true,
		"\x30\x14\xa0\x12\x30\x10\xa4\x0e\x30\x0c\x31\x0a\x30\x08\x06\x03\x55\x04\x0a\x0c\x01\x78", 22);
}

static void test_name_constraints(void **state)
{
	cleanup_cert struct cert *issuer = resign(good.issuer, good.root_key, EVP_sha256(), with_name_constraints);

	(void)state;
	expect(good.root, issuer, good.leaf, NOW_S, E_AUTH_CERTIFICATE, NULL, "permitted subtree");
}

static void test_parse(void **state)
{
	struct bytes der = cert_der(good.leaf);
	uint8_t padded[LIMIT_CERT + 64] = { 0 };
	struct cert *c = NULL;
	size_t used = 0;

	(void)state;
	for (size_t n = 0; n < der.n; n++)
		assert_int_equal(cert_from_der(BYTES(der.p, n), &c, &used).code,
				 E_PEER_TRUNCATED);
	/* NV areas are filled up with FF, or longer than the largest certificate. */
	memset(padded, 0xff, sizeof(padded));
	memcpy(padded, der.p, der.n);
	assert_int_equal(cert_from_der(BYTES_ARR(padded), &c, NULL).code, E_PEER_TRAILING);
	assert_null(c);
	assert_int_equal(cert_from_der(BYTES_ARR(padded), &c, &used).code, E_OK);
	assert_int_equal(used, der.n);
	assert_true(bytes_eq(cert_der(c), der));
	cert_free(c);
	c = NULL;
	assert_int_equal(cert_from_der(BYTES_LIT("\x30\x00"), &c, NULL).code, E_PEER_SYNTAX);
	assert_int_equal(cert_from_der(BYTES_LIT("\x31\x00"), &c, NULL).code, E_PEER_SYNTAX);
	assert_int_equal(cert_from_der(BYTES_LIT("\x30\x80\x00\x00"), &c, NULL).code, E_PEER_SYNTAX);
	assert_int_equal(cert_from_der(BYTES_LIT("\x30\x85\x00\x00\x00\x00\x00"), &c, NULL).code, E_PEER_SYNTAX);
	assert_int_equal(cert_from_der(BYTES_LIT("\x30\x84\xff\xff\xff\xff"), &c, NULL).code, E_LIMIT_SIZE);
	assert_int_equal(cert_from_der(BYTES_LIT("\x30\x82\x20\x01"), &c, NULL).code, E_LIMIT_SIZE);
	/* The head counts: LIMIT_CERT - 3 bytes behind four of head are one too many. */
	memcpy(padded, "\x30\x82\x1f\xfd", 4);
	assert_int_equal(cert_from_der(BYTES_ARR(padded), &c, &used).code, E_LIMIT_SIZE);
	memcpy(padded, "\x30\x82\x1f\xfc", 4);
	assert_int_equal(cert_from_der(BYTES_ARR(padded), &c, &used).code, E_PEER_SYNTAX);
	/* Rubbish at the end inside the outer length. */
	memcpy(padded, der.p, der.n);
	padded[3]++;
	assert_int_equal(cert_from_der(BYTES(padded, der.n + 1), &c, NULL).code, E_PEER_SYNTAX);
	assert_null(c);
}

static void test_pem(void **state)
{
	cleanup_buf struct buf pem = BUF_INIT(LIMIT_SMALL);
	cleanup_cert struct cert *c = NULL;
	struct cert *none = NULL;

	(void)state;
	assert_int_equal(buf_add_str(&pem, "a comment\n").code, E_OK);
	assert_int_equal(cert_to_pem(good.leaf, &pem).code, E_OK);
	assert_int_equal(cert_to_pem(good.issuer, &pem).code, E_OK);
	assert_int_equal(cert_from_pem(buf_bytes(&pem), &c).code, E_OK);
	assert_true(bytes_eq(cert_der(c), cert_der(good.leaf)));
	assert_int_equal(cert_from_pem(BYTES_LIT("x"), &none).code, E_PEER_SYNTAX);
	assert_int_equal(cert_from_pem(BYTES_NONE, &none).code, E_PEER_SYNTAX);
	buf_clear(&pem);
	assert_int_equal(key_public_to_pem(good.leaf_key, &pem).code, E_OK);
	assert_int_equal(cert_from_pem(buf_bytes(&pem), &none).code, E_PEER_UNSUPPORTED);
	assert_null(none);
}

/* One element copied with its length in a longer form than DER wants. */
static void add_long_form(struct buf *out, uint8_t tag, struct bytes contents)
{
	assert_true(contents.n < 0x100);
	assert_int_equal(buf_add_u8(out, tag).code, E_OK);
	assert_int_equal(buf_add(out, BYTES_LIT("\x82\x00")).code, E_OK);
	assert_int_equal(buf_add_u8(out, (uint8_t)contents.n).code, E_OK);
	assert_int_equal(buf_add(out, contents).code, E_OK);
}

/*
 * N6: a certificate whose serial number and outer algorithm have lengths in
 * long form, signed over exactly these bytes. OpenSSL checks signatures over
 * the received TBSCertificate, so it is accepted; what it would write again
 * differs, so we keep what came.
 */
static void test_not_der(void **state)
{
	struct rd r = RD(cert_der(good.leaf)), in;
	struct bytes outer, tbs, version, serial, alg, rest, sig;
	cleanup_buf struct buf new_tbs = BUF_INIT(LIMIT_CERT), new_in = BUF_INIT(LIMIT_CERT);
	cleanup_buf struct buf body = BUF_INIT(LIMIT_CERT), made = BUF_INIT(LIMIT_CERT);
	cleanup_buf struct buf raw = BUF_INIT(256), der_sig = BUF_INIT(256);
	cleanup_cert struct cert *c = NULL;
	unsigned char *again = NULL;
	uint8_t h[32], want[32];
	int n;

	(void)state;
	assert_int_equal(der_rd(&r, DER_SEQUENCE, &outer).code, E_OK);
	r = RD(outer);
	assert_int_equal(der_rd(&r, DER_SEQUENCE, &tbs).code, E_OK);
	assert_int_equal(der_rd(&r, DER_SEQUENCE, &alg).code, E_OK);
	assert_int_equal(der_rd(&r, DER_BIT_STRING, &sig).code, E_OK);
	in = RD(tbs);
	assert_int_equal(der_rd(&in, 0xa0, &version).code, E_OK);
	assert_int_equal(der_rd(&in, DER_INTEGER, &serial).code, E_OK);
	rest = rd_rest(&in);

	assert_int_equal(der_wr_head(&new_in, 0xa0, version.n).code, E_OK);
	assert_int_equal(buf_add(&new_in, version).code, E_OK);
	add_long_form(&new_in, DER_INTEGER, serial);
	assert_int_equal(buf_add(&new_in, rest).code, E_OK);
	assert_int_equal(der_wr_head(&new_tbs, DER_SEQUENCE, new_in.n).code, E_OK);
	assert_int_equal(buf_add(&new_tbs, buf_bytes(&new_in)).code, E_OK);
	assert_int_equal(key_sign(good.issuer_key, SIG_ECDSA, DIGEST_SHA384, buf_bytes(&new_tbs), &raw).code, E_OK);
	assert_int_equal(ecdsa_raw_to_der(KEY_EC_P384, buf_bytes(&raw), &der_sig).code, E_OK);

	assert_int_equal(buf_add(&body, buf_bytes(&new_tbs)).code, E_OK);
	add_long_form(&body, DER_SEQUENCE, alg);
	assert_int_equal(der_wr_head(&body, DER_BIT_STRING, der_sig.n + 1).code, E_OK);
	assert_int_equal(buf_add_u8(&body, 0).code, E_OK);
	assert_int_equal(buf_add(&body, buf_bytes(&der_sig)).code, E_OK);
	assert_int_equal(der_wr_head(&made, DER_SEQUENCE, body.n).code, E_OK);
	assert_int_equal(buf_add(&made, buf_bytes(&body)).code, E_OK);

	assert_int_equal(cert_from_der(buf_bytes(&made), &c, NULL).code, E_OK);
	assert_true(bytes_eq(cert_der(c), buf_bytes(&made)));
	assert_int_equal(sha256(buf_bytes(&made), want).code, E_OK);
	assert_int_equal(cert_sha256(c, h).code, E_OK);
	assert_memory_equal(h, want, 32);
	expect(good.root, good.issuer, c, NOW_S, E_OK, NULL, NULL);
	n = i2d_X509(c->x, &again);
	assert_true(n > 0 && !bytes_eq(BYTES(again, (size_t)n), buf_bytes(&made)));
	OPENSSL_free(again);
	/* A byte of what was signed: refused. */
	cert_free(take_ptr(&c));
	made.p[24] ^= 1;
	assert_int_equal(cert_from_der(buf_bytes(&made), &c, NULL).code, E_OK);
	expect(good.root, good.issuer, c, NOW_S, E_AUTH_CERTIFICATE, LEAF, "signature failure");
}

static void load(const char *name, struct buf *ret)
{
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/x509/%s", getenv("ASSAY_TEST_DATA"), name);
	assert_int_equal(file_read(AT_FDCWD, path, ret).code, E_OK);
}

/* What swtpm_setup 0.7 makes: RSA-3072 CAs, subject CN=unknown, year 9999, no digitalSignature. */
static void test_swtpm(void **state)
{
	static const struct {
		const char *file;
		enum key_kind kind;
	} eks[] = { { "swtpm-ek-rsa2048.der", KEY_RSA }, { "swtpm-ek-secp384r1.der", KEY_EC_P384 } };
	cleanup_buf struct buf root_pem = BUF_INIT(LIMIT_SMALL), issuer_pem = BUF_INIT(LIMIT_SMALL);
	cleanup_cert struct cert *root = NULL, *issuer = NULL;

	(void)state;
	load("swtpm-root.pem", &root_pem);
	load("swtpm-issuer.pem", &issuer_pem);
	assert_int_equal(cert_from_pem(buf_bytes(&root_pem), &root).code, E_OK);
	assert_int_equal(cert_from_pem(buf_bytes(&issuer_pem), &issuer).code, E_OK);
	for (size_t i = 0; i < array_len(eks); i++) {
		cleanup_buf struct buf der = BUF_INIT(LIMIT_CERT);
		cleanup_cert struct cert *ek = NULL;
		cleanup_key struct key *k = NULL;

		load(eks[i].file, &der);
		assert_int_equal(cert_from_der(buf_bytes(&der), &ek, NULL).code, E_OK);
		assert_string_equal(cert_subject(ek), "CN=unknown");
		assert_string_equal(cert_issuer(ek), "CN=swtpm-localca");
		assert_false(cert_is_ca(ek));
		assert_int_equal(cert_key(ek, &k).code, E_OK);
		assert_int_equal(key_kind(k), eks[i].kind);
		expect(root, issuer, ek, NOW_S, E_OK, NULL, NULL);
		expect(root, NULL, ek, NOW_S, E_AUTH_CERTIFICATE, "CN=unknown", "unable to get local issuer");
		expect(good.root, issuer, ek, NOW_S, E_AUTH_CERTIFICATE, "CN=swtpm-localca", NULL);
	}
	expect(root, NULL, issuer, NOW_S, E_AUTH_CERTIFICATE, "CN=swtpm-localca", "a CA certificate is no EK");
}

static void test_names(void **state)
{
	static const struct {
		const char *cn, *want;
	} cases[] = {
		{ "plain", "CN=plain" },
		{ "a,b\"c", "CN=a\\,b\\\"c" },
		{ "line\nfeed\x1b[2J", "CN=line\\0Afeed\\1B[2J" },
		{ "\xc3\xa9", "CN=\\C3\\A9" },
	};
	char long_name[401];
	struct cert_spec s = ca_spec(long_name, -1);

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		struct cert_spec one = ca_spec(cases[i].cn, -1);
		cleanup_cert struct cert *c = issue(&one, good.root_key, NULL, good.root_key);

		assert_string_equal(cert_subject(c), cases[i].want);
		assert_string_equal(cert_issuer(c), cases[i].want);
	}
	/* X.520 allows 64 characters; OpenSSL writes and reads more. */
	memset(long_name, 'x', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = '\0';
	{
		struct cert *c = NULL;
		struct err e = cert_issue(&s, good.root_key, NULL, good.root_key, &c);

		if (e.code == E_OK) {
			assert_int_equal(strlen(cert_subject(c)), CERT_NAME_MAX - 1);
			assert_string_equal(cert_subject(c) + CERT_NAME_MAX - 4, "...");
		}
		cert_free(c);
	}
}

static void test_issue_reads_back(void **state)
{
	static const enum key_kind kinds[] = { KEY_EC_P256, KEY_EC_P384, KEY_RSA, KEY_ED25519 };
	static const char *const dns[] = { "localhost", "assay.example" };
	static const char *const ip[] = { "127.0.0.1", "::1" };

	(void)state;
	for (size_t i = 0; i < array_len(kinds); i++) {
		cleanup_key struct key *ca_key = NULL, *k = NULL;
		cleanup_cert struct cert *ca = NULL, *server = NULL;
		struct cert_spec s = ca_spec("CA", 0), tls = { .common_name = "localhost",
							       .dns = dns,
							       .n_dns = 2,
							       .ip = ip,
							       .n_ip = 2,
							       .tls_server = true,
							       .not_before_s = NOW_S,
							       .not_after_s = INT64_C(2524607999) };
		const ASN1_INTEGER *a, *b;

		assert_int_equal(key_generate(kinds[i], &ca_key).code, E_OK);
		assert_int_equal(key_generate(KEY_EC_P256, &k).code, E_OK);
		ca = issue(&s, ca_key, NULL, ca_key);
		server = issue(&tls, k, ca, ca_key);
		assert_true(cert_is_ca(ca));
		assert_false(cert_is_ca(server));
		assert_int_equal(X509_get_version(server->x), X509_VERSION_3);
		assert_int_equal(X509_verify(server->x, key_evp(ca_key)), 1);
		assert_int_equal(X509_verify(ca->x, key_evp(ca_key)), 1);
		assert_int_equal(X509_check_issued(ca->x, server->x), X509_V_OK);
		assert_int_equal(X509_check_host(server->x, "assay.example", 0, 0, NULL), 1);
		assert_int_equal(X509_check_host(server->x, "other.example", 0, 0, NULL), 0);
		assert_int_equal(X509_check_ip_asc(server->x, "127.0.0.1", 0), 1);
		assert_int_equal(X509_check_ip_asc(server->x, "::1", 0), 1);
		assert_int_equal(X509_check_ip_asc(server->x, "127.0.0.2", 0), 0);
		assert_int_equal(X509_check_purpose(server->x, X509_PURPOSE_SSL_SERVER, 0), 1);
		assert_int_equal(X509_get_extended_key_usage(server->x), XKU_SSL_SERVER);
		assert_int_equal(X509_get_key_usage(server->x), KU_DIGITAL_SIGNATURE);
		assert_int_equal(X509_get_key_usage(ca->x), KU_KEY_CERT_SIGN | KU_CRL_SIGN);
		assert_int_equal(X509_get_pathlen(ca->x), 0);
		assert_int_equal(ASN1_OCTET_STRING_cmp(X509_get0_authority_key_id(server->x),
						       X509_get0_subject_key_id(ca->x)),
				 0);
		assert_int_not_equal(ASN1_OCTET_STRING_cmp(X509_get0_subject_key_id(server->x),
							   X509_get0_subject_key_id(ca->x)),
				     0);
		/* 2049 is the last year of UTCTime. */
		assert_int_equal(ASN1_STRING_type(X509_get0_notAfter(server->x)), V_ASN1_UTCTIME);
		assert_int_equal(ASN1_STRING_type(X509_get0_notAfter(ca->x)), V_ASN1_GENERALIZEDTIME);
		assert_string_equal((const char *)ASN1_STRING_get0_data(X509_get0_notAfter(ca->x)), "99991231235959Z");
		a = X509_get0_serialNumber(ca->x);
		b = X509_get0_serialNumber(server->x);
		assert_int_equal(ASN1_STRING_length(a), 16);
		assert_int_equal(ASN1_STRING_type(a), V_ASN1_INTEGER);
		assert_int_not_equal(ASN1_INTEGER_cmp(a, b), 0);
		/* A TLS certificate is no EK certificate. */
		expect(ca, NULL, server, NOW_S, E_AUTH_CERTIFICATE, "CN=localhost", "extendedKeyUsage");
	}
}

static void test_ek_key_usage(void **state)
{
	struct cert_spec s = leaf_spec();
	cleanup_cert struct cert *ec = issue(&s, good.other_key, good.issuer, good.issuer_key);

	(void)state;
	assert_int_equal(X509_get_key_usage(good.leaf->x), KU_KEY_ENCIPHERMENT);
	assert_int_equal(X509_get_key_usage(ec->x), KU_KEY_AGREEMENT);
}

static void test_issue_refused(void **state)
{
	static const char *const bad_oid[] = { "not an oid" }, *const bad_ip[] = { "127.0.0.1.5" };
	struct cert_spec s = leaf_spec();
	cleanup_key struct key *pub = NULL;
	struct cert *c = NULL;

	(void)state;
	/* A key that is not the issuer's, and a public one. */
	assert_int_equal(cert_issue(&s, good.leaf_key, good.issuer, good.root_key, &c).code, E_BUG);
	assert_int_equal(cert_issue(&s, good.leaf_key, NULL, good.root_key, &c).code, E_BUG);
	assert_int_equal(cert_key(good.issuer, &pub).code, E_OK);
	assert_int_equal(cert_issue(&s, good.leaf_key, good.issuer, pub, &c).code, E_BUG);
	s.not_after_s = YEAR_9999_S + 1;
	assert_int_equal(cert_issue(&s, good.leaf_key, good.issuer, good.issuer_key, &c).code, E_PEER_RANGE);
	s = leaf_spec();
	s.not_before_s = -1;
	assert_int_equal(cert_issue(&s, good.leaf_key, good.issuer, good.issuer_key, &c).code, E_PEER_RANGE);
	s = leaf_spec();
	s.eku_oids = bad_oid;
	assert_int_equal(cert_issue(&s, good.leaf_key, good.issuer, good.issuer_key, &c).code, E_PEER_SYNTAX);
	s = leaf_spec();
	s.ip = bad_ip;
	s.n_ip = 1;
	assert_int_equal(cert_issue(&s, good.leaf_key, good.issuer, good.issuer_key, &c).code, E_PEER_SYNTAX);
	assert_null(c);
}

static struct err make_and_verify(void)
{
	struct cert_spec r = ca_spec(ROOT, -1), s = leaf_spec();
	cleanup_cert struct cert *root = NULL, *leaf = NULL;
	cleanup_trust struct trust *t = NULL;
	struct err e;

	if (failed(e = cert_issue(&r, good.root_key, NULL, good.root_key, &root)) ||
	    failed(e = cert_issue(&s, good.other_key, root, good.root_key, &leaf)) || failed(e = trust_new(&t)) ||
	    failed(e = trust_add(t, root)))
		return e;
	return ek_cert_verify(t, leaf, NULL, 0, NOW_S, NULL);
}

/* Foreign to the anchor: no failing allocation may turn this into success. */
static struct err verify_foreign(void)
{
	cleanup_trust struct trust *t = NULL;
	struct err e;

	if (failed(e = trust_new(&t)) || failed(e = trust_add(t, good.root)))
		return e;
	e = ek_cert_verify(t, good.leaf, NULL, 0, NOW_S, NULL);
	return failed(e) ? e : ERR(E_BUG);
}

/* Allocations fail one after the other: an error each time, no leak (ASan), never a pass that is none. */
static void test_memory(void **state)
{
	struct err (*const runs[])(void) = { make_and_verify, verify_foreign };

	(void)state;
	for (size_t i = 0; i < array_len(runs); i++) {
		long n, n_failed = 0;

		fault_begin(-1);
		assert_int_equal(runs[i]().code, i == 0 ? E_OK : E_AUTH_CERTIFICATE);
		n = fault_end();
		assert_true(n > 50);
		for (long k = 0; k < n; k += k < 100 ? 1 : 13) {
			struct err e;

			fault_begin(k);
			e = runs[i]();
			(void)fault_end();
			n_failed += failed(e);
			if (e.code == E_BUG)
				fail_msg("run %zu, allocation %ld of %ld: %s", i, k, n, err_name(e));
		}
		assert_true(n_failed > 50);
	}
}

static int set_up(void **state)
{
	struct cert_spec r = ca_spec(ROOT, -1), s = ca_spec(ISSUER, 0), l = leaf_spec();

	(void)state;
	s.eku_oids = eku_ek;
	s.n_eku_oids = 1;
	if (failed(key_generate(KEY_EC_P256, &good.root_key)) || failed(key_generate(KEY_EC_P384, &good.issuer_key)) ||
	    failed(key_generate(KEY_RSA, &good.leaf_key)) || failed(key_generate(KEY_EC_P256, &good.other_key)) ||
	    failed(cert_issue(&r, good.root_key, NULL, good.root_key, &good.root)) ||
	    failed(cert_issue(&s, good.issuer_key, good.root, good.root_key, &good.issuer)) ||
	    failed(cert_issue(&l, good.leaf_key, good.issuer, good.issuer_key, &good.leaf)))
		return -1;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	cert_free(good.root);
	cert_free(good.issuer);
	cert_free(good.leaf);
	key_free(good.root_key);
	key_free(good.issuer_key);
	key_free(good.leaf_key);
	key_free(good.other_key);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_leaf_forms),
		cmocka_unit_test(test_issuer_forms),
		cmocka_unit_test(test_root_critical),
		cmocka_unit_test(test_eku),
		cmocka_unit_test(test_ca_as_leaf),
		cmocka_unit_test(test_missing_links),
		cmocka_unit_test(test_foreign_ca_of_same_name),
		cmocka_unit_test(test_configured_first),
		cmocka_unit_test(test_signatures),
		cmocka_unit_test(test_sha1),
		cmocka_unit_test(test_dates),
		cmocka_unit_test(test_chain_length),
		cmocka_unit_test(test_path_length),
		cmocka_unit_test(test_leaf_as_issuer),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_cert_key),
		cmocka_unit_test(test_name_constraints),
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_pem),
		cmocka_unit_test(test_not_der),
		cmocka_unit_test(test_swtpm),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_issue_reads_back),
		cmocka_unit_test(test_ek_key_usage),
		cmocka_unit_test(test_issue_refused),
		cmocka_unit_test(test_memory),
	};

	fault_init();
	return cmocka_run_group_tests_name("x509", tests, set_up, tear_down);
}
