/* SPDX-License-Identifier: Apache-2.0 */
/* Chains: links, signatures, dates, lengths. */
#include "base/x509.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/limits.h"
#include "tests/support/chain_fixture.h"
#include "tests/support/fault.h"

static void test_missing_links(void **state)
{
	cleanup_trust struct trust *t = NULL;
	struct reason why = { "" };

	(void)state;
	chain_expect(good.root, good.issuer, good.leaf, NOW_S, E_OK, NULL, NULL);
	chain_expect(good.root, NULL, good.leaf, NOW_S, E_AUTH_CERTIFICATE, LEAF, "unable to get local issuer");
	chain_expect(NULL, good.issuer, good.leaf, NOW_S, E_AUTH_CERTIFICATE, ISSUER, "unable to get local issuer");
	/* The host sends its own root. */
	chain_expect(NULL, good.root, good.leaf, NOW_S, E_AUTH_CERTIFICATE, NULL, NULL);
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
	struct cert_spec s = chain_ca_spec(ROOT, -1);
	cleanup_cert struct cert *foreign = chain_issue(&s, good.other_key, NULL, good.other_key);
	cleanup_cert struct cert *bare_root =
		chain_resign(foreign, good.other_key, EVP_sha256(), chain_without_key_ids);
	cleanup_cert struct cert *bare = chain_resign(good.issuer, good.root_key, EVP_sha256(), chain_without_key_ids);

	(void)state;
	assert_string_equal(cert_subject(foreign), cert_subject(good.root));
	chain_expect(foreign, good.issuer, good.leaf, NOW_S, E_AUTH_CERTIFICATE, NULL, NULL);
	/* Without identifiers only the signature tells them apart. */
	chain_expect(bare_root, bare, good.leaf, NOW_S, E_AUTH_CERTIFICATE, ISSUER, "signature failure");
}

/* The host sends an intermediate with the name of a configured one and another key. */
static void test_configured_first(void **state)
{
	struct cert_spec s = chain_ca_spec(ISSUER, 0);
	cleanup_cert struct cert *made = chain_issue(&s, good.other_key, good.root, good.root_key);
	cleanup_cert struct cert *decoy = chain_resign(made, good.root_key, EVP_sha256(), chain_without_key_ids);
	cleanup_cert struct cert *issuer =
		chain_resign(good.issuer, good.root_key, EVP_sha256(), chain_without_key_ids);
	cleanup_cert struct cert *leaf = chain_resign(good.leaf, good.issuer_key, EVP_sha384(), chain_without_key_ids);
	cleanup_trust struct trust *t = NULL;

	(void)state;
	chain_expect(good.root, decoy, leaf, NOW_S, E_AUTH_CERTIFICATE, LEAF, "signature failure");
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
	chain_expect(good.root, good.issuer, leaf, NOW_S, E_AUTH_CERTIFICATE, LEAF, "signature failure");
	chain_expect(good.root, issuer, good.leaf, NOW_S, E_AUTH_CERTIFICATE, ISSUER, "signature failure");
	/* Its name is its issuer's, but nothing shows that it holds the key: no anchor. */
	assert_int_equal(trust_new(&t).code, E_OK);
	assert_int_equal(trust_add(t, root).code, E_OK);
	assert_int_equal(trust_n_anchors(t), 0);
	assert_int_equal(ek_cert_verify(t, good.leaf, &good.issuer, 1, NOW_S, NULL).code, E_AUTH_CERTIFICATE);
}

static void test_sha1(void **state)
{
	cleanup_cert struct cert *leaf = chain_resign(good.leaf, good.issuer_key, EVP_sha1(), NULL);
	cleanup_cert struct cert *issuer = chain_resign(good.issuer, good.root_key, EVP_sha1(), NULL);
	cleanup_cert struct cert *root = chain_resign(good.root, good.root_key, EVP_sha1(), NULL);

	(void)state;
	chain_expect(good.root, good.issuer, leaf, NOW_S, E_AUTH_CERTIFICATE, LEAF, "digest algorithm too weak");
	chain_expect(good.root, issuer, good.leaf, NOW_S, E_AUTH_CERTIFICATE, ISSUER, "digest algorithm too weak");
	/* An anchor is trusted because it is configured, not because of its signature. */
	chain_expect(root, good.issuer, good.leaf, NOW_S, E_OK, NULL, NULL);
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
		struct cert_spec r = chain_ca_spec(ROOT, -1), s = chain_ca_spec(ISSUER, -1), l = chain_leaf_spec();
		cleanup_cert struct cert *root = NULL, *issuer = NULL, *leaf = NULL;

		r.not_before_s = NOW_S + date_cases[i].root[0];
		r.not_after_s = NOW_S + date_cases[i].root[1];
		s.not_before_s = NOW_S + date_cases[i].issuer[0];
		s.not_after_s = NOW_S + date_cases[i].issuer[1];
		l.not_before_s = NOW_S + date_cases[i].leaf[0];
		l.not_after_s = NOW_S + date_cases[i].leaf[1];
		root = chain_issue(&r, good.root_key, NULL, good.root_key);
		issuer = chain_issue(&s, good.issuer_key, root, good.root_key);
		leaf = chain_issue(&l, good.leaf_key, issuer, good.issuer_key);
		chain_expect(root, issuer, leaf, NOW_S + date_cases[i].now_s, date_cases[i].want, date_cases[i].link,
			     date_cases[i].cause);
	}
}

/* A chain of n certificates, the leaf and the anchor included. */
static enum err_code chain_code(size_t n, int root_path_len, struct reason *why)
{
	struct cert_spec s = chain_ca_spec("link 0", root_path_len), l = chain_leaf_spec();
	struct cert *all[16] = { NULL }, *sent[16] = { NULL };
	cleanup_trust struct trust *t = NULL;
	size_t n_sent = 0;
	enum err_code code;

	assert_true(n >= 2 && n <= array_len(all));
	assert_int_equal(trust_new(&t).code, E_OK);
	all[0] = chain_issue(&s, good.root_key, NULL, good.root_key);
	assert_int_equal(trust_add(t, all[0]).code, E_OK);
	for (size_t i = 1; i < n - 1; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "link %zu", i);
		s = chain_ca_spec(name, -1);
		all[i] = chain_issue(&s, good.root_key, all[i - 1], good.root_key);
		sent[n_sent++] = all[i];
	}
	all[n - 1] = chain_issue(&l, good.leaf_key, all[n - 2], good.root_key);
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
	struct cert_spec s = chain_leaf_spec();
	cleanup_cert struct cert *by = chain_issue(&s, good.issuer_key, good.root, good.root_key);
	cleanup_cert struct cert *leaf = NULL;
	cleanup_cert struct cert *usage_only =
		chain_resign(good.root, good.root_key, EVP_sha256(), chain_without_constraints);
	cleanup_trust struct trust *t = NULL;

	(void)state;
	s.common_name = "below a leaf";
	leaf = chain_issue(&s, good.leaf_key, by, good.issuer_key);
	chain_expect(good.root, by, leaf, NOW_S, E_AUTH_CERTIFICATE, NULL, NULL);
	assert_int_equal(trust_new(&t).code, E_OK);
	assert_int_equal(trust_add(t, by).code, E_AUTH_CERTIFICATE);
	/* A keyUsage that speaks of a CA does not replace basicConstraints. */
	assert_int_equal(trust_add(t, usage_only).code, E_AUTH_CERTIFICATE);
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
		chain_expect(root, issuer, ek, NOW_S, E_OK, NULL, NULL);
		chain_expect(root, NULL, ek, NOW_S, E_AUTH_CERTIFICATE, "CN=unknown", "unable to get local issuer");
		chain_expect(good.root, issuer, ek, NOW_S, E_AUTH_CERTIFICATE, "CN=swtpm-localca", NULL);
	}
	chain_expect(root, NULL, issuer, NOW_S, E_AUTH_CERTIFICATE, "CN=swtpm-localca", "a CA certificate is no EK");
}

static struct err make_and_verify(void)
{
	struct cert_spec r = chain_ca_spec(ROOT, -1), s = chain_leaf_spec();
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_missing_links),
		cmocka_unit_test(test_foreign_ca_of_same_name),
		cmocka_unit_test(test_configured_first),
		cmocka_unit_test(test_signatures),
		cmocka_unit_test(test_sha1),
		cmocka_unit_test(test_dates),
		cmocka_unit_test(test_chain_length),
		cmocka_unit_test(test_path_length),
		cmocka_unit_test(test_leaf_as_issuer),
		cmocka_unit_test(test_swtpm),
		cmocka_unit_test(test_memory),
	};

	fault_init();
	return cmocka_run_group_tests_name("x509", tests, chain_set_up, chain_tear_down);
}
