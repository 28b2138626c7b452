/* SPDX-License-Identifier: Apache-2.0 */
/* One certificate: read, kept as received, made. */
#include "base/x509.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/der.h"
#include "base/limits.h"
#include "tests/support/chain_fixture.h"

static void test_parse(void **state)
{
	struct bytes der = cert_der(good.leaf);
	uint8_t padded[LIMIT_CERT + 64] = { 0 };
	struct cert *c = NULL;
	size_t used = 0;

	(void)state;
	for (size_t n = 0; n < der.n; n++)
		assert_int_equal(cert_from_der(BYTES(der.p, n), &c, &used).code, E_PEER_TRUNCATED);
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

/* The fields of good.leaf that vary below; contents without their heads, rest as it stands. */
struct fields {
	struct bytes version, serial, alg, issuer, rest;
};

static struct fields leaf_fields(void)
{
	struct rd r = RD(cert_der(good.leaf));
	struct bytes outer, tbs;
	struct fields f;

	assert_int_equal(der_rd(&r, DER_SEQUENCE, &outer).code, E_OK);
	r = RD(outer);
	assert_int_equal(der_rd(&r, DER_SEQUENCE, &tbs).code, E_OK);
	r = RD(tbs);
	assert_int_equal(der_rd(&r, 0xa0, &f.version).code, E_OK);
	assert_int_equal(der_rd(&r, DER_INTEGER, &f.serial).code, E_OK);
	assert_int_equal(der_rd(&r, DER_SEQUENCE, &f.alg).code, E_OK);
	assert_int_equal(der_rd(&r, DER_SEQUENCE, &f.issuer).code, E_OK);
	f.rest = rd_rest(&r);
	return f;
}

/* One element; with its length in a longer form than DER wants where long_form says so. */
static void add_element(struct buf *out, uint8_t tag, struct bytes contents, bool long_form)
{
	if (long_form) {
		assert_true(contents.n < 0x100);
		assert_int_equal(buf_add_u8(out, tag).code, E_OK);
		assert_int_equal(buf_add(out, BYTES_LIT("\x82\x00")).code, E_OK);
		assert_int_equal(buf_add_u8(out, (uint8_t)contents.n).code, E_OK);
	} else {
		assert_int_equal(der_wr_head(out, tag, contents.n).code, E_OK);
	}
	assert_int_equal(buf_add(out, contents).code, E_OK);
}

/* A certificate of these fields, signed by the good issuer over exactly the bytes that are in it. */
static void assemble(const struct fields *f, bool long_form, struct buf *made)
{
	cleanup_buf struct buf in = BUF_INIT(LIMIT_CERT), tbs = BUF_INIT(LIMIT_CERT), body = BUF_INIT(LIMIT_CERT);
	cleanup_buf struct buf raw = BUF_INIT(256), sig = BUF_INIT(256);

	add_element(&in, 0xa0, f->version, false);
	add_element(&in, DER_INTEGER, f->serial, long_form);
	add_element(&in, DER_SEQUENCE, f->alg, false);
	add_element(&in, DER_SEQUENCE, f->issuer, false);
	assert_int_equal(buf_add(&in, f->rest).code, E_OK);
	add_element(&tbs, DER_SEQUENCE, buf_bytes(&in), false);

	assert_int_equal(key_sign(good.issuer_key, SIG_ECDSA, DIGEST_SHA384, buf_bytes(&tbs), &raw).code, E_OK);
	assert_int_equal(buf_add_u8(&sig, 0).code, E_OK);
	assert_int_equal(ecdsa_raw_to_der(KEY_EC_P384, buf_bytes(&raw), &sig).code, E_OK);

	assert_int_equal(buf_add(&body, buf_bytes(&tbs)).code, E_OK);
	add_element(&body, DER_SEQUENCE, f->alg, long_form);
	add_element(&body, DER_BIT_STRING, buf_bytes(&sig), false);
	add_element(made, DER_SEQUENCE, buf_bytes(&body), false);
}

/*
 * N6: a certificate whose serial number and outer algorithm have lengths in
 * long form, signed over exactly these bytes. OpenSSL checks signatures over
 * the received TBSCertificate, so it is accepted; what it would write again
 * differs, so we keep what came.
 */
static void test_not_der(void **state)
{
	struct fields f = leaf_fields();
	cleanup_buf struct buf made = BUF_INIT(LIMIT_CERT);
	cleanup_cert struct cert *c = NULL;
	unsigned char *again = NULL;
	uint8_t h[32], want[32];
	int n;

	(void)state;
	assemble(&f, true, &made);
	assert_int_equal(cert_from_der(buf_bytes(&made), &c, NULL).code, E_OK);
	assert_true(bytes_eq(cert_der(c), buf_bytes(&made)));
	assert_int_equal(sha256(buf_bytes(&made), want).code, E_OK);
	assert_int_equal(cert_sha256(c, h).code, E_OK);
	assert_memory_equal(h, want, 32);
	chain_expect(good.root, good.issuer, c, NOW_S, E_OK, NULL, NULL);
	n = i2d_X509(c->x, &again);
	assert_true(n > 0 && !bytes_eq(BYTES(again, (size_t)n), buf_bytes(&made)));
	OPENSSL_free(again);
	/* A byte of what was signed: refused. */
	cert_free(take_ptr(&c));
	made.p[24] ^= 1;
	assert_int_equal(cert_from_der(buf_bytes(&made), &c, NULL).code, E_OK);
	chain_expect(good.root, good.issuer, c, NOW_S, E_AUTH_CERTIFICATE, LEAF, "signature failure");
}

static void with_two_attributes(X509 *x)
{
	X509_NAME *name = X509_NAME_dup(X509_get_subject_name(x));

	/* Into the set of the common name. */
	assert_int_equal(
		X509_NAME_add_entry_by_txt(name, "O", V_ASN1_UTF8STRING, (const unsigned char *)"maker", -1, -1, -1),
		1);
	assert_int_equal(X509_set_subject_name(x, name), 1);
	X509_NAME_free(name);
}

/*
 * N6: an issuer name whose set of attributes is not in the order of DER, as
 * Nuvoton writes it. Names are compared without regard to that order.
 */
static void test_set_not_sorted(void **state)
{
	cleanup_cert struct cert *issuer = chain_resign(good.issuer, good.root_key, EVP_sha256(), with_two_attributes);
	cleanup_cert struct cert *leaf = NULL;
	cleanup_buf struct buf set = BUF_INIT(256), name = BUF_INIT(256), made = BUF_INIT(LIMIT_CERT);
	struct bytes sorted, first, second, elements;
	struct fields f = leaf_fields();
	unsigned char *der = NULL;
	struct rd r;
	int n;

	(void)state;
	n = i2d_X509_NAME(X509_get_subject_name(issuer->x), &der);
	assert_true(n > 0);
	r = RD(BYTES(der, (size_t)n));
	assert_int_equal(der_rd(&r, DER_SEQUENCE, &sorted).code, E_OK);
	r = RD(sorted);
	assert_int_equal(der_rd(&r, 0x31, &elements).code, E_OK);
	assert_int_equal(rd_end(&r).code, E_OK);
	r = RD(elements);
	assert_int_equal(der_rd(&r, DER_SEQUENCE, &first).code, E_OK);
	assert_int_equal(der_rd(&r, DER_SEQUENCE, &second).code, E_OK);
	assert_int_equal(rd_end(&r).code, E_OK);
	add_element(&set, DER_SEQUENCE, second, false);
	add_element(&set, DER_SEQUENCE, first, false);
	add_element(&name, 0x31, buf_bytes(&set), false);
	f.issuer = buf_bytes(&name);
	assert_false(bytes_eq(f.issuer, sorted));

	assemble(&f, false, &made);
	assert_int_equal(cert_from_der(buf_bytes(&made), &leaf, NULL).code, E_OK);
	assert_true(bytes_eq(cert_der(leaf), buf_bytes(&made)));
	chain_expect(good.root, issuer, leaf, NOW_S, E_OK, NULL, NULL);
	OPENSSL_free(der);
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
	char long_name[401] = "";
	struct cert_spec s = chain_ca_spec(long_name, -1);
	cleanup_cert struct cert *long_one = NULL;

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		struct cert_spec one = chain_ca_spec(cases[i].cn, -1);
		cleanup_cert struct cert *c = chain_issue(&one, good.root_key, NULL, good.root_key);

		assert_string_equal(cert_subject(c), cases[i].want);
		assert_string_equal(cert_issuer(c), cases[i].want);
	}
	/* X.520 allows 64 characters; OpenSSL writes and reads more. */
	memset(long_name, 'x', sizeof(long_name) - 1);
	long_one = chain_issue(&s, good.root_key, NULL, good.root_key);
	assert_int_equal(strlen(cert_subject(long_one)), CERT_NAME_MAX - 1);
	assert_string_equal(cert_subject(long_one) + CERT_NAME_MAX - 4, "...");
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
		struct cert_spec s = chain_ca_spec("CA", 0), tls = { .common_name = "localhost",
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
		ca = chain_issue(&s, ca_key, NULL, ca_key);
		server = chain_issue(&tls, k, ca, ca_key);
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
		assert_int_equal(
			ASN1_OCTET_STRING_cmp(X509_get0_authority_key_id(server->x), X509_get0_subject_key_id(ca->x)),
			0);
		assert_int_not_equal(
			ASN1_OCTET_STRING_cmp(X509_get0_subject_key_id(server->x), X509_get0_subject_key_id(ca->x)), 0);
		/* 2049 is the last year of UTCTime. */
		assert_int_equal(ASN1_STRING_type(X509_get0_notAfter(server->x)), V_ASN1_UTCTIME);
		assert_int_equal(ASN1_STRING_type(X509_get0_notAfter(ca->x)), V_ASN1_GENERALIZEDTIME);
		assert_string_equal((const char *)ASN1_STRING_get0_data(X509_get0_notAfter(ca->x)), "99991231235959Z");
		a = X509_get0_serialNumber(ca->x);
		b = X509_get0_serialNumber(server->x);
		assert_int_equal(ASN1_STRING_length(a), 16);
		assert_int_equal(ASN1_STRING_get0_data(a)[0] & 0xc0, 0x40);
		assert_int_equal(ASN1_STRING_type(a), V_ASN1_INTEGER);
		assert_int_not_equal(ASN1_INTEGER_cmp(a, b), 0);
		/* A TLS certificate is no EK certificate. */
		chain_expect(ca, NULL, server, NOW_S, E_AUTH_CERTIFICATE, "CN=localhost", "extendedKeyUsage");
	}
}

/* RFC 5280, 4.2.1.6: without a subject the name is critical. */
static void test_uri(void **state)
{
	static const char uri[] = "spiffe://td.example/agent";
	struct cert_spec s = { .uri = uri, .path_len = -1, .not_before_s = NOW_S, .not_after_s = NOW_S + 60 };
	cleanup_cert struct cert *named = NULL, *bare = chain_issue(&s, good.other_key, good.issuer, good.issuer_key);
	char serial[CERT_SERIAL_HEX + 1];
	int64_t from, to;

	(void)state;
	s.common_name = "x";
	named = chain_issue(&s, good.other_key, good.issuer, good.issuer_key);
	assert_string_equal(cert_subject(bare), "");
	for (int i = 0; i < 2; i++) {
		const struct cert *c = i == 0 ? bare : named;
		X509_EXTENSION *san = X509_get_ext(c->x, X509_get_ext_by_NID(c->x, NID_subject_alt_name, -1));

		assert_int_equal(X509_EXTENSION_get_critical(san), i == 0);
		assert_true(cert_is_named(c, uri));
		assert_false(cert_is_named(c, "spiffe://td.example/agent/"));
		assert_int_equal(cert_validity(c, &from, &to).code, E_OK);
		assert_true(from == NOW_S && to == NOW_S + 60);
		assert_int_equal(cert_serial(c, serial).code, E_OK);
		assert_int_equal(strlen(serial), 32);
	}
	/* Other names, or more than one, are not that one. */
	assert_false(cert_is_named(good.leaf, uri));
	assert_false(cert_is_named(good.root, uri));
	{
		static const char *const dns[] = { "td.example" };
		cleanup_cert struct cert *two = NULL;

		s.dns = dns;
		s.n_dns = 1;
		two = chain_issue(&s, good.other_key, good.issuer, good.issuer_key);
		assert_false(cert_is_named(two, uri));
	}
}

static void test_ek_key_usage(void **state)
{
	struct cert_spec s = chain_leaf_spec();
	cleanup_cert struct cert *ec = chain_issue(&s, good.other_key, good.issuer, good.issuer_key);

	(void)state;
	assert_int_equal(X509_get_key_usage(good.leaf->x), KU_KEY_ENCIPHERMENT);
	assert_int_equal(X509_get_key_usage(ec->x), KU_KEY_AGREEMENT);
}

static void test_issue_refused(void **state)
{
	static const char *const bad_oid[] = { "not an oid" }, *const bad_ip[] = { "127.0.0.1.5" };
	struct cert_spec s = chain_leaf_spec();
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
	s = chain_leaf_spec();
	s.common_name = NULL;
	assert_int_equal(cert_issue(&s, good.leaf_key, good.issuer, good.issuer_key, &c).code, E_BUG);
	s.uri = "spiffe://td";
	assert_int_equal(cert_issue(&s, good.leaf_key, NULL, good.leaf_key, &c).code, E_BUG);
	s = chain_leaf_spec();
	s.not_before_s = -1;
	assert_int_equal(cert_issue(&s, good.leaf_key, good.issuer, good.issuer_key, &c).code, E_PEER_RANGE);
	s = chain_leaf_spec();
	s.eku_oids = bad_oid;
	assert_int_equal(cert_issue(&s, good.leaf_key, good.issuer, good.issuer_key, &c).code, E_PEER_SYNTAX);
	s = chain_leaf_spec();
	s.ip = bad_ip;
	s.n_ip = 1;
	assert_int_equal(cert_issue(&s, good.leaf_key, good.issuer, good.issuer_key, &c).code, E_PEER_SYNTAX);
	assert_null(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_pem),
		cmocka_unit_test(test_not_der),
		cmocka_unit_test(test_set_not_sorted),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_issue_reads_back),
		cmocka_unit_test(test_uri),
		cmocka_unit_test(test_ek_key_usage),
		cmocka_unit_test(test_issue_refused),
	};

	return cmocka_run_group_tests_name("x509-issue", tests, chain_set_up, chain_tear_down);
}
