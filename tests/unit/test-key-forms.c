/* SPDX-License-Identifier: Apache-2.0 */
/* The written forms of keys and ECDSA signatures: SubjectPublicKeyInfo, PEM, PKCS#8, DER. */
#include "base/key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/key_impl.h"
#include "base/limits.h"
#include "base/text.h"
#include "tests/support/fault.h"

/* One key of each kind, made once: RSA takes a while. */
static struct key *keys[KEY_ED25519 + 1];

static const struct bytes message = BYTES_LIT("the assay office");

static enum sig_scheme scheme_of(enum key_kind kind)
{
	if (kind == KEY_RSA)
		return SIG_RSASSA;
	return kind == KEY_ED25519 ? SIG_ED25519 : SIG_ECDSA;
}

static void unhex(const char *text, struct buf *ret)
{
	assert_int_equal(hex_decode(bytes_str(text), ret).code, E_OK);
}

static const struct {
	const char *name, *hex;
	enum err_code want;
} der_cases[] = {
	{ "smallest", "3006020101020101", E_OK },
	{ "sign byte", "300702020080020101", E_OK },
	{ "cut", "30060201010201", E_PEER_TRUNCATED },
	{ "nothing", "", E_PEER_TRUNCATED },
	{ "trailing", "300602010102010100", E_PEER_TRAILING },
	{ "trailing inside", "3009020101020101020101", E_PEER_TRAILING },
	{ "one integer", "3003020101", E_PEER_TRUNCATED },
	{ "set instead of sequence", "3106020101020101", E_PEER_SYNTAX },
	{ "octet string instead of integer", "3006040101020101", E_PEER_SYNTAX },
	{ "long form length", "308106020101020101", E_PEER_NOT_CANONICAL },
	{ "two bytes of length", "30820006020101020101", E_PEER_NOT_CANONICAL },
	{ "three bytes of length", "3083000006020101020101", E_PEER_SYNTAX },
	{ "indefinite length", "30800201010201010000", E_PEER_NOT_CANONICAL },
	{ "superfluous zero", "300702020001020101", E_PEER_NOT_CANONICAL },
	{ "zero", "3006020100020101", E_PEER_RANGE },
	{ "s zero", "3006020101020100", E_PEER_RANGE },
	{ "empty integer", "30050200020101", E_PEER_SYNTAX },
	{ "negative", "3006020181020101", E_PEER_RANGE },
	{ "33 bytes", "3026022101ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff020101",
	  E_PEER_RANGE },
	{ "n", "3026022100ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551020101", E_PEER_RANGE },
	{ "n - 1", "3026022100ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632550020101", E_OK },
};

static void test_ecdsa_der(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(der_cases); i++) {
		cleanup_buf struct buf der = BUF_INIT(256), raw = BUF_INIT(256), back = BUF_INIT(256);
		struct err e;

		unhex(der_cases[i].hex, &der);
		e = ecdsa_der_to_raw(KEY_EC_P256, buf_bytes(&der), &raw);
		if (e.code != der_cases[i].want)
			fail_msg("%s: %s", der_cases[i].name, err_name(e));
		assert_int_equal(raw.n, failed(e) ? 0 : 64);
		if (failed(e))
			continue;
		assert_int_equal(ecdsa_raw_to_der(KEY_EC_P256, buf_bytes(&raw), &back).code, E_OK);
		assert_true(bytes_eq(buf_bytes(&der), buf_bytes(&back)));
	}
	assert_int_equal(ecdsa_der_to_raw(KEY_RSA, BYTES_NONE, NULL).code, E_PEER_UNSUPPORTED);
	assert_int_equal(ecdsa_raw_to_der(KEY_ED25519, BYTES_NONE, NULL).code, E_PEER_UNSUPPORTED);
}

/* P-521 needs the long form of the sequence length: the round trip and OpenSSL must agree. */
static void test_ecdsa_der_p521(void **state)
{
	cleanup_buf struct buf raw = BUF_INIT(132), der = BUF_INIT(256), back = BUF_INIT(132);
	const unsigned char *at;
	ECDSA_SIG *sig;

	(void)state;
	/* RFC 6979, A.2.7: "sample" with SHA-512. */
	unhex("00C328FAFCBD79DD77850370C46325D987CB525569FB63C5D3BC53950E6D4C5F174E"
	      "25A1EE9017B5D450606ADD152B534931D7D4E8455CC91F9B15BF05EC36E377FA"
	      "00617CCE7CF5064806C467F678D3B4080D6F1CC50AF26CA209417308281B68AF2826"
	      "23EAA63E5B5C0723D8B8C37FF0777B1A20F8CCB1DCCC43997F1EE0E44DA4A67A",
	      &raw);
	assert_int_equal(ecdsa_raw_to_der(KEY_EC_P521, buf_bytes(&raw), &der).code, E_OK);
	assert_int_equal(der.p[1], 0x81);
	at = der.p;
	sig = d2i_ECDSA_SIG(NULL, &at, (long)der.n);
	assert_non_null(sig);
	assert_ptr_equal(at, der.p + der.n);
	ECDSA_SIG_free(sig);
	assert_int_equal(ecdsa_der_to_raw(KEY_EC_P521, buf_bytes(&der), &back).code, E_OK);
	assert_true(bytes_eq(buf_bytes(&raw), buf_bytes(&back)));
}

/* Ours and OpenSSL's encoders agree on every kind; so do the decoders. */
static void test_spki(void **state)
{
	(void)state;
	for (enum key_kind kind = KEY_EC_P256; kind <= KEY_ED25519; kind++) {
		cleanup_buf struct buf spki = BUF_INIT(1024), pem = BUF_INIT(4096);
		cleanup_key struct key *back = NULL, *from_pem = NULL;
		unsigned char *der = NULL;
		struct digest d;
		uint8_t h[32];
		int n;

		if (keys[kind] == NULL)
			continue;
		assert_int_equal(key_spki(keys[kind], &spki).code, E_OK);
		n = i2d_PUBKEY(key_evp(keys[kind]), &der);
		assert_int_equal(n, (int)spki.n);
		assert_memory_equal(der, spki.p, spki.n);
		OPENSSL_free(der);
		assert_int_equal(digest_one(DIGEST_SHA256, buf_bytes(&spki), &d).code, E_OK);
		assert_int_equal(key_spki_sha256(keys[kind], h).code, E_OK);
		assert_memory_equal(h, d.v, 32);

		assert_int_equal(key_from_spki(buf_bytes(&spki), &back).code, E_OK);
		assert_true(key_equal(back, keys[kind]));
		assert_false(key_is_private(back));
		assert_int_equal(key_public_to_pem(keys[kind], &pem).code, E_OK);
		assert_int_equal(key_from_pem(buf_bytes(&pem), &from_pem).code, E_OK);
		assert_true(key_equal(from_pem, keys[kind]));

		for (size_t cut = 0; cut < spki.n; cut++) {
			struct key *k = NULL;

			assert_true(failed(key_from_spki(BYTES(spki.p, cut), &k)));
			assert_null(k);
		}
		assert_int_equal(buf_add_u8(&spki, 0).code, E_OK);
		assert_int_equal(key_from_spki(buf_bytes(&spki), &(struct key *){ NULL }).code, E_PEER_TRAILING);
	}
}

static enum err_code spki_code(EVP_PKEY *pkey)
{
	unsigned char *der = NULL;
	int n = i2d_PUBKEY(pkey, &der);
	struct key *k = NULL;
	struct err e;

	assert_true(n > 0);
	e = key_from_spki(BYTES(der, (size_t)n), &k);
	assert_true((k != NULL) == (e.code == E_OK));
	key_free(k);
	k = NULL;
	/* The way through OpenSSL's own decoding must come to the same decision. */
	assert_int_equal(key_public_of(pkey, &k).code, e.code);
	key_free(k);
	OPENSSL_free(der);
	return e.code;
}

static void test_spki_refused(void **state)
{
	cleanup_pkey EVP_PKEY *p = NULL;

	(void)state;
	p = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)1024);
	assert_int_equal(spki_code(p), E_PEER_RANGE);
	EVP_PKEY_free(take_ptr(&p));
	p = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "secp256k1");
	assert_int_equal(spki_code(p), E_PEER_UNSUPPORTED);
	EVP_PKEY_free(take_ptr(&p));
	p = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
	assert_int_equal(spki_code(p), E_PEER_UNSUPPORTED);
	EVP_PKEY_free(take_ptr(&p));
	p = EVP_PKEY_Q_keygen(NULL, NULL, "ED448");
	assert_int_equal(spki_code(p), E_PEER_UNSUPPORTED);
	EVP_PKEY_free(take_ptr(&p));
	p = EVP_EC_gen("P-256");
	assert_int_equal(spki_code(p), E_OK);
}

/* Explicit curve parameters (CVE-2020-0601) and compressed points are refused by form. */
static void test_spki_ec_forms(void **state)
{
	static const char *const params[] = { OSSL_PKEY_PARAM_EC_ENCODING, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT };
	static const char *const values[] = { "explicit", "compressed" };

	(void)state;
	for (size_t i = 0; i < array_len(params); i++) {
		cleanup_pkey EVP_PKEY *p = EVP_EC_gen("P-256");
		unsigned char *der = NULL;
		struct key *k = NULL;
		int n;

		assert_int_equal(EVP_PKEY_set_utf8_string_param(p, params[i], values[i]), 1);
		n = i2d_PUBKEY(p, &der);
		assert_true(n > 0);
		assert_int_equal(key_from_spki(BYTES(der, (size_t)n), &k).code, E_PEER_UNSUPPORTED);
		assert_null(k);
		if (i == 0) {
			const unsigned char *at = der;
			cleanup_pkey EVP_PKEY *decoded = d2i_PUBKEY(NULL, &at, n);

			assert_non_null(decoded);
			assert_int_equal(key_public_of(decoded, &k).code, E_PEER_UNSUPPORTED);
		}
		OPENSSL_free(der);
	}
}

static void test_spki_rsa_exponent(void **state)
{
	cleanup_buf struct buf spki = BUF_INIT(1024);
	struct key *k = NULL;

	(void)state;
	assert_int_equal(key_spki(keys[KEY_RSA], &spki).code, E_OK);
	spki.p[spki.n - 1] ^= 2; /* 65539 */
	assert_int_equal(key_from_spki(buf_bytes(&spki), &k).code, E_PEER_RANGE);
	spki.p[spki.n - 1] ^= 2;
	spki.p[4 + 15 + 4] = 1; /* unused bits in the BIT STRING */
	assert_int_equal(key_from_spki(buf_bytes(&spki), &k).code, E_PEER_SYNTAX);
	assert_null(k);
}

static void test_private_pem(void **state)
{
	(void)state;
	for (enum key_kind kind = KEY_EC_P256; kind <= KEY_ED25519; kind++) {
		cleanup_buf struct buf pem = BUF_INIT(8192), sig = BUF_INIT(512), pub = BUF_INIT(8192);
		cleanup_key struct key *back = NULL;
		struct key *none = NULL;

		if (keys[kind] == NULL)
			continue;
		assert_int_equal(key_private_to_pem(keys[kind], &pem).code, E_OK);
		assert_memory_equal(pem.p, "-----BEGIN PRIVATE KEY-----", 27);
		assert_int_equal(key_private_from_pem(buf_bytes(&pem), &back).code, E_OK);
		assert_true(key_is_private(back));
		assert_true(key_equal(back, keys[kind]));
		assert_int_equal(key_sign(back, scheme_of(kind), DIGEST_SHA256, message, &sig).code, E_OK);
		assert_int_equal(key_verify(keys[kind], scheme_of(kind), DIGEST_SHA256, message, buf_bytes(&sig)).code,
				 E_OK);
		/* A private key where a public one is expected, and the other way round. */
		assert_int_equal(key_from_pem(buf_bytes(&pem), &none).code, E_PEER_UNSUPPORTED);
		assert_int_equal(key_public_to_pem(keys[kind], &pub).code, E_OK);
		assert_int_equal(key_private_from_pem(buf_bytes(&pub), &none).code, E_PEER_UNSUPPORTED);
		key_free(take_ptr(&back));
		assert_int_equal(key_from_pem(buf_bytes(&pub), &back).code, E_OK);
		assert_int_equal(key_private_to_pem(back, &pem).code, E_BUG);
	}
}

static enum err_code private_pem_code(EVP_PKEY *pkey, const EVP_CIPHER *cipher, bool traditional)
{
	cleanup_bio BIO *bio = BIO_new(BIO_s_mem());
	cleanup_buf struct buf pem = BUF_INIT(32768);
	struct key *k = NULL;
	struct err e;
	int ok = traditional ? PEM_write_bio_PrivateKey_traditional(bio, pkey, cipher, (const unsigned char *)"secret", 6, NULL, NULL)
			     : PEM_write_bio_PKCS8PrivateKey(bio, pkey, cipher, "secret", 6, NULL, NULL);

	assert_int_equal(ok, 1);
	assert_int_equal(bio_contents(bio, &pem).code, E_OK);
	e = key_private_from_pem(buf_bytes(&pem), &k);
	assert_true((k != NULL) == (e.code == E_OK));
	key_free(k);
	return e.code;
}

static void test_private_pem_refused(void **state)
{
	cleanup_pkey EVP_PKEY *p521 = EVP_EC_gen("P-521"), *k1 = EVP_EC_gen("secp256k1"), *p256 = EVP_EC_gen("P-256");
	cleanup_pkey EVP_PKEY *small = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)1024);
	static const char *const texts[] = {
		"",
		"x",
		"-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n",
		"-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n",
		"-----BEGIN PRIVATE KEY-----\nMAA=\n",
		"-----BEGIN EC PRIVATE KEY-----\nMAA=\n-----END EC PRIVATE KEY-----\n",
		"-----BEGIN EC PARAMETERS-----\nMAA=\n-----END EC PARAMETERS-----\n-----BEGIN EC PRIVATE KEY-----\nMAA=\n",
	};
	struct key *k = NULL;

	(void)state;
	assert_int_equal(private_pem_code(p256, NULL, false), E_OK);
	assert_int_equal(private_pem_code(p256, EVP_aes_128_cbc(), false), E_PEER_UNSUPPORTED);
	assert_int_equal(private_pem_code(p256, NULL, true), E_OK);
	assert_int_equal(private_pem_code(p256, EVP_aes_128_cbc(), true), E_PEER_UNSUPPORTED);
	assert_int_equal(private_pem_code(p521, NULL, false), E_OK);
	assert_int_equal(private_pem_code(p521, NULL, true), E_OK);
	assert_int_equal(private_pem_code(k1, NULL, false), E_PEER_UNSUPPORTED);
	assert_int_equal(private_pem_code(k1, NULL, true), E_PEER_UNSUPPORTED);
	assert_int_equal(private_pem_code(small, NULL, false), E_PEER_RANGE);
	assert_int_equal(private_pem_code(small, NULL, true), E_PEER_UNSUPPORTED);
	for (size_t i = 0; i < array_len(texts); i++)
		assert_int_equal(key_private_from_pem(bytes_str(texts[i]), &k).code, E_PEER_SYNTAX);
	assert_null(k);
	assert_int_equal(key_generate(KEY_EC_P521, &k).code, E_PEER_UNSUPPORTED);
	assert_int_equal(key_generate(KEY_NONE, &k).code, E_PEER_UNSUPPORTED);
}

/* The label is right, but a header says that the contents are encrypted (RFC 1421, 4.6.1.1). */
static void test_private_pem_header(void **state)
{
	static const char first[] = "-----BEGIN PRIVATE KEY-----\n";
	static const char header[] = "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00112233445566778899AABBCCDDEEFF\n\n";
	cleanup_buf struct buf pem = BUF_INIT(8192), changed = BUF_INIT(8192);
	struct key *k = NULL;

	(void)state;
	assert_int_equal(key_private_to_pem(keys[KEY_EC_P256], &pem).code, E_OK);
	assert_int_equal(buf_add_str(&changed, first).code, E_OK);
	assert_int_equal(buf_add_str(&changed, header).code, E_OK);
	assert_int_equal(buf_add(&changed, BYTES(pem.p + sizeof(first) - 1, pem.n - sizeof(first) + 1)).code, E_OK);
	assert_int_equal(key_private_from_pem(buf_bytes(&changed), &k).code, E_PEER_UNSUPPORTED);
	assert_null(k);
}

/* A P-256 PKCS#8 ends in the public point: take one of another key. */
static void test_private_pem_mismatch(void **state)
{
	cleanup_key struct key *a = NULL, *b = NULL;
	cleanup_buf struct buf pem_a = BUF_INIT(1024), der = BUF_INIT(1024), spki = BUF_INIT(128), pem = BUF_INIT(1024);
	struct key *k = NULL;

	(void)state;
	assert_int_equal(key_generate(KEY_EC_P256, &a).code, E_OK);
	assert_int_equal(key_generate(KEY_EC_P256, &b).code, E_OK);
	assert_int_equal(key_private_to_pem(a, &pem_a).code, E_OK);
	assert_int_equal(pem_decode(buf_bytes(&pem_a), "PRIVATE KEY", &der).code, E_OK);
	assert_int_equal(key_spki(a, &spki).code, E_OK);
	assert_memory_equal(der.p + der.n - 64, spki.p + spki.n - 64, 64);
	buf_clear(&spki);
	assert_int_equal(key_spki(b, &spki).code, E_OK);
	memcpy(der.p + der.n - 64, spki.p + spki.n - 64, 64);
	assert_int_equal(pem_encode("PRIVATE KEY", buf_bytes(&der), &pem).code, E_OK);
	assert_int_equal(key_private_from_pem(buf_bytes(&pem), &k).code, E_PEER_RANGE);
	assert_null(k);
	/* A byte behind the structure. */
	buf_clear(&der);
	buf_clear(&pem);
	assert_int_equal(pem_decode(buf_bytes(&pem_a), "PRIVATE KEY", &der).code, E_OK);
	assert_int_equal(buf_add_u8(&der, 0).code, E_OK);
	assert_int_equal(pem_encode("PRIVATE KEY", buf_bytes(&der), &pem).code, E_OK);
	assert_int_equal(key_private_from_pem(buf_bytes(&pem), &k).code, E_PEER_TRAILING);
}

static struct err load_and_write(enum key_kind kind, struct bytes pem)
{
	cleanup_key struct key *k = NULL, *pub = NULL;
	cleanup_buf struct buf spki = BUF_INIT(1024), out = BUF_INIT(8192);
	struct err e;

	if (failed(e = key_private_from_pem(pem, &k)) || failed(e = key_spki(k, &spki)) ||
	    failed(e = key_from_spki(buf_bytes(&spki), &pub)) || failed(e = key_private_to_pem(k, &out)))
		return e;
	assert_true(key_equal(k, keys[kind]) && key_equal(pub, keys[kind]));
	assert_true(bytes_eq(buf_bytes(&out), pem));
	return ERR(E_OK);
}

/*
 * Whatever allocation fails: the right key or an error, and nothing leaks
 * (ASan). OpenSSL keeps some failures to itself: then a key looks ill-formed.
 */
static void test_memory(void **state)
{
	static const struct {
		enum key_kind kind;
		long dense, step; /* RSA makes 10 000 allocations and takes long */
	} cases[] = { { KEY_EC_P256, 50, 17 }, { KEY_ED25519, 50, 1 }, { KEY_RSA, 15, 1009 } };

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		cleanup_buf struct buf pem = BUF_INIT(8192);
		long n, n_failed = 0;

		assert_int_equal(key_private_to_pem(keys[cases[i].kind], &pem).code, E_OK);
		assert_int_equal(load_and_write(cases[i].kind, buf_bytes(&pem)).code, E_OK);
		fault_begin(-1);
		assert_int_equal(load_and_write(cases[i].kind, buf_bytes(&pem)).code, E_OK);
		n = fault_end();
		for (long k = 0; k < n; k += k < cases[i].dense ? 1 : cases[i].step) {
			struct err e;

			fault_begin(k);
			e = load_and_write(cases[i].kind, buf_bytes(&pem));
			(void)fault_end();
			n_failed += failed(e);
			if (e.code == E_BUG)
				fail_msg("kind %d, allocation %ld of %ld: %s", (int)cases[i].kind, k, n, err_name(e));
		}
		assert_true(n_failed > 10);
	}
}

static int set_up(void **state)
{
	static const enum key_kind kinds[] = { KEY_EC_P256, KEY_EC_P384, KEY_RSA, KEY_ED25519 };

	(void)state;
	for (size_t i = 0; i < array_len(kinds); i++) {
		if (failed(key_generate(kinds[i], &keys[kinds[i]])))
			return -1;
	}
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(keys); i++)
		key_free(keys[i]);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ecdsa_der),
		cmocka_unit_test(test_ecdsa_der_p521),
		cmocka_unit_test(test_spki),
		cmocka_unit_test(test_spki_refused),
		cmocka_unit_test(test_spki_ec_forms),
		cmocka_unit_test(test_spki_rsa_exponent),
		cmocka_unit_test(test_private_pem),
		cmocka_unit_test(test_private_pem_refused),
		cmocka_unit_test(test_private_pem_header),
		cmocka_unit_test(test_private_pem_mismatch),
		cmocka_unit_test(test_memory),
	};

	fault_init();
	return cmocka_run_group_tests_name("key-forms", tests, set_up, tear_down);
}
