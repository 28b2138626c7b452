/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/chain_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const char *const eku_ek[] = { "2.23.133.8.1" };

struct chain good;

struct cert_spec chain_ca_spec(const char *name, int path_len)
{
	return (struct cert_spec){ .common_name = name,
				   .ca = true,
				   .path_len = path_len,
				   .not_before_s = NOW_S - DAY_S,
				   .not_after_s = YEAR_9999_S };
}

struct cert_spec chain_leaf_spec(void)
{
	return (struct cert_spec){ .common_name = LEAF,
				   .eku_oids = eku_ek,
				   .n_eku_oids = 1,
				   .tpm_san = true,
				   .not_before_s = NOW_S - DAY_S,
				   .not_after_s = YEAR_9999_S };
}

struct cert *chain_issue(const struct cert_spec *s, const struct key *key, const struct cert *by,
			 const struct key *by_key)
{
	struct cert *c = NULL;

	assert_int_equal(cert_issue(s, key, by, by_key, &c).code, E_OK);
	return c;
}

/* Verdict over the leaf, one intermediate and one anchor; the reason must name the link and the cause. */
void chain_expect(const struct cert *root, struct cert *issuer, const struct cert *leaf, int64_t now_s,
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
struct cert *chain_resign(const struct cert *c, const struct key *by, const EVP_MD *md, void (*fn)(X509 *x))
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

void chain_add_ext(X509 *x, const char *oid, bool critical, const void *der, int n)
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

void chain_drop_ext(X509 *x, int nid)
{
	int at = X509_get_ext_by_NID(x, nid, -1);

	assert_true(at >= 0);
	X509_EXTENSION_free(X509_delete_ext(x, at));
}

void chain_without_constraints(X509 *x)
{
	chain_drop_ext(x, NID_basic_constraints);
}

void chain_without_key_ids(X509 *x)
{
	chain_drop_ext(x, NID_subject_key_identifier);
	chain_drop_ext(x, NID_authority_key_identifier);
}
int chain_set_up(void **state)
{
	struct cert_spec r = chain_ca_spec(ROOT, -1), s = chain_ca_spec(ISSUER, 0), l = chain_leaf_spec();

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

int chain_tear_down(void **state)
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
