/* SPDX-License-Identifier: Apache-2.0 */
/* TPMT_SIGNATURE: form, scheme, range of r and s, salt. */
#include "protocol/tpmw.h"

#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "base/wr.h"
#include "tests/support/softtpm.h"
#include "tests/unit/unit.h"

static const struct bytes message = BYTES_LIT("what the TPM says");
static struct softtpm_key *keys[N_SOFTTPM_TEMPLATES];

/* Order of P-256 and of P-384 (SEC 2, 2.4.2 and 2.5.1). */
static const char order_p256[] = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
static const char order_p384[] =
	"ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973";

static struct err verify(const struct softtpm_key *k, struct bytes sig)
{
	enum sig_scheme scheme = SIG_NONE;
	enum digest_id hash = DIGEST_SHA1;
	cleanup_key struct key *key = NULL;
	struct tpm_signature s;
	struct err e;

	assert_ok(tpm_public_scheme(&k->pub, &scheme, &hash));
	assert_ok(tpm_public_key(&k->pub, &key));
	if (failed(e = tpm_signature_parse(sig, &s)))
		return e;
	return tpm_signature_verify(&s, key, scheme, hash, message);
}

static const enum softtpm_template signers[] = { SOFTTPM_AK_P256, SOFTTPM_AK_P384, SOFTTPM_AK_RSASSA,
						 SOFTTPM_AK_RSAPSS };

static void test_every_scheme_verifies(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(signers); i++) {
		cleanup_buf struct buf sig = BUF_INIT(LIMIT_TPM2B);

		assert_ok(softtpm_sign(keys[signers[i]], message, &sig));
		assert_ok(verify(keys[signers[i]], buf_bytes(&sig)));
	}
}

static void test_Q6_flipped_bits_do_not_verify(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(signers); i++) {
		cleanup_buf struct buf sig = BUF_INIT(LIMIT_TPM2B);

		assert_ok(softtpm_sign(keys[signers[i]], message, &sig));
		for (size_t byte = 0; byte < sig.n; byte++) {
			sig.p[byte] ^= (uint8_t)(1 << byte % 8);
			assert_true(failed(verify(keys[signers[i]], buf_bytes(&sig))));
			sig.p[byte] ^= (uint8_t)(1 << byte % 8);
		}
		assert_ok(verify(keys[signers[i]], buf_bytes(&sig)));
	}
}

static void test_Q6_other_key_other_data(void **state)
{
	cleanup_softtpm_key struct softtpm_key *other = NULL;
	const struct softtpm_spec spec = softtpm_spec_of(SOFTTPM_AK_P256);
	cleanup_buf struct buf sig = BUF_INIT(LIMIT_TPM2B), wrong = BUF_INIT(LIMIT_TPM2B);

	(void)state;
	assert_ok(softtpm_key_new(&spec, &other));
	assert_ok(softtpm_sign(other, message, &sig));
	assert_err(verify(keys[SOFTTPM_AK_P256], buf_bytes(&sig)), E_AUTH_SIGNATURE);
	assert_ok(softtpm_sign(keys[SOFTTPM_AK_P256], BYTES_LIT("what it did not say"), &wrong));
	assert_err(verify(keys[SOFTTPM_AK_P256], buf_bytes(&wrong)), E_AUTH_SIGNATURE);
}

static const struct {
	enum softtpm_template key;
	uint16_t alg, hash;
} other_schemes[] = {
	{ SOFTTPM_AK_RSASSA, TPM_ALG_RSAPSS, TPM_ALG_SHA256 },
	{ SOFTTPM_AK_RSASSA, TPM_ALG_RSASSA, TPM_ALG_SHA1 },
	{ SOFTTPM_AK_RSASSA, TPM_ALG_RSASSA, TPM_ALG_SHA384 },
	{ SOFTTPM_AK_RSAPSS, TPM_ALG_RSASSA, TPM_ALG_SHA256 },
	{ SOFTTPM_AK_RSAPSS, TPM_ALG_RSAPSS, TPM_ALG_SHA384 },
	{ SOFTTPM_AK_P256, TPM_ALG_ECDSA, TPM_ALG_SHA1 },
	{ SOFTTPM_AK_P256, TPM_ALG_ECDSA, TPM_ALG_SHA384 },
	{ SOFTTPM_AK_P384, TPM_ALG_ECDSA, TPM_ALG_SHA256 },
};

static void test_Q7_scheme_is_that_of_the_key(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(other_schemes); i++) {
		cleanup_buf struct buf sig = BUF_INIT(LIMIT_TPM2B);

		assert_ok(softtpm_sign_as(keys[other_schemes[i].key], other_schemes[i].alg, other_schemes[i].hash,
					  message, &sig));
		assert_err(verify(keys[other_schemes[i].key], buf_bytes(&sig)), E_PEER_UNSUPPORTED);
	}
}

/* A good signature under a false label. */
static void test_Q7_label_alone_changed(void **state)
{
	cleanup_buf struct buf sig = BUF_INIT(LIMIT_TPM2B);

	(void)state;
	assert_ok(softtpm_sign(keys[SOFTTPM_AK_P256], message, &sig));
	sig.p[3] = TPM_ALG_SHA384;
	assert_err(verify(keys[SOFTTPM_AK_P256], buf_bytes(&sig)), E_PEER_UNSUPPORTED);
	sig.p[3] = TPM_ALG_SHA256;
	assert_ok(verify(keys[SOFTTPM_AK_P256], buf_bytes(&sig)));
}

/* Whoever asks for SHA-1 does not get it, not even when key, label and caller agree. */
static void test_Q7_sha1_never(void **state)
{
	struct softtpm_spec spec = softtpm_spec_of(SOFTTPM_AK_RSASSA);
	cleanup_softtpm_key struct softtpm_key *k = NULL;
	cleanup_buf struct buf sig = BUF_INIT(LIMIT_TPM2B);
	enum sig_scheme scheme = SIG_ED25519;
	enum digest_id hash = DIGEST_SHA512;
	struct tpm_signature s;

	(void)state;
	spec.scheme_hash = TPM_ALG_SHA1;
	assert_ok(softtpm_key_new(&spec, &k));
	assert_err(tpm_public_scheme(&k->pub, &scheme, &hash), E_PEER_UNSUPPORTED);
	assert_int_equal(scheme, SIG_ED25519);
	assert_ok(softtpm_sign(k, message, &sig));
	assert_ok(tpm_signature_parse(buf_bytes(&sig), &s));
	assert_err(tpm_signature_verify(&s, k->key, SIG_RSASSA, DIGEST_SHA1, message), E_PEER_UNSUPPORTED);
}

static void test_Q7_scheme_without_signature(void **state)
{
	enum sig_scheme scheme = SIG_ED25519;
	enum digest_id hash = DIGEST_SHA512;
	struct tpm_public p = keys[SOFTTPM_AK_RSASSA]->pub;
	struct tpm_signature s = { .alg = TPM_ALG_NULL, .hash_alg = TPM_ALG_SHA256 };

	(void)state;
	p.scheme = TPM_ALG_OAEP;
	assert_err(tpm_public_scheme(&p, &scheme, &hash), E_PEER_UNSUPPORTED);
	p.scheme = TPM_ALG_NULL;
	assert_ok(tpm_public_scheme(&p, &scheme, &hash));
	assert_int_equal(scheme, SIG_NONE);
	assert_err(tpm_signature_verify(&s, keys[SOFTTPM_AK_P256]->key, SIG_NONE, DIGEST_SHA256, message),
		   E_PEER_UNSUPPORTED);
	assert_err(tpm_signature_verify(&s, keys[SOFTTPM_AK_P256]->key, SIG_ED25519, DIGEST_SHA256, message),
		   E_PEER_UNSUPPORTED);
	p = keys[SOFTTPM_AK_RSASSA]->pub;
	p.scheme_hash = 0x0027;
	assert_err(tpm_public_scheme(&p, &scheme, &hash), E_PEER_UNSUPPORTED);
}

/* ECDSA signature with these r and s. */
static struct err verify_rs(const struct softtpm_key *k, struct bytes r, struct bytes s)
{
	cleanup_buf struct buf sig = BUF_INIT(LIMIT_TPM2B);

	assert_ok(wr_u16be(&sig, TPM_ALG_ECDSA));
	assert_ok(wr_u16be(&sig, k->pub.scheme_hash));
	assert_ok(wr_tpm2b(&sig, r));
	assert_ok(wr_tpm2b(&sig, s));
	return verify(k, buf_bytes(&sig));
}

static void check_range(const struct softtpm_key *k, const char *order)
{
	cleanup_buf struct buf sig = BUF_INIT(LIMIT_TPM2B), n = BUF_INIT(0), longer = BUF_INIT(100);
	static const uint8_t zeros[48] = { 0 };
	struct bytes zero, one_zero = BYTES(zeros, 1);
	struct tpm_signature good;

	assert_ok(softtpm_sign(k, message, &sig));
	assert_ok(tpm_signature_parse(buf_bytes(&sig), &good));
	assert_ok(verify_rs(k, good.r, good.s));
	unhex_(&n, order);
	zero = BYTES(zeros, n.n);
	assert_err(verify_rs(k, zero, good.s), E_PEER_RANGE);
	assert_err(verify_rs(k, good.r, zero), E_PEER_RANGE);
	assert_err(verify_rs(k, one_zero, good.s), E_PEER_RANGE);
	assert_err(verify_rs(k, BYTES_NONE, good.s), E_PEER_RANGE);
	assert_err(verify_rs(k, good.r, BYTES_NONE), E_PEER_RANGE);
	assert_err(verify_rs(k, buf_bytes(&n), good.s), E_PEER_RANGE);
	assert_err(verify_rs(k, good.r, buf_bytes(&n)), E_PEER_RANGE);
	/* One byte longer than the curve, although the number is the same. */
	assert_ok(buf_add_u8(&longer, 0));
	assert_ok(buf_add(&longer, good.r));
	assert_err(verify_rs(k, buf_bytes(&longer), good.s), E_PEER_RANGE);
	assert_err(verify_rs(k, good.s, good.r), E_AUTH_SIGNATURE);
}

static void test_Q8_range_of_r_and_s(void **state)
{
	(void)state;
	check_range(keys[SOFTTPM_AK_P256], order_p256);
	check_range(keys[SOFTTPM_AK_P384], order_p384);
}

static struct bytes without_zeros(struct bytes b)
{
	while (b.n > 1 && b.p[0] == 0) {
		b.p++;
		b.n--;
	}
	return b;
}

/* Short r or s come in one signature of 128: at least 1000 are made, and more until one was short. */
static void test_Q8_thousand_signatures_with_short_numbers(void **state)
{
	const struct softtpm_key *k = keys[SOFTTPM_AK_P256];
	size_t n_short = 0;

	(void)state;
	for (size_t i = 0; i < 1000 || (n_short == 0 && i < 50000); i++) {
		cleanup_buf struct buf sig = BUF_INIT(LIMIT_TPM2B);
		struct tpm_signature s;

		assert_ok(softtpm_sign(k, message, &sig));
		assert_ok(tpm_signature_parse(buf_bytes(&sig), &s));
		n_short += s.r.p[0] == 0 || s.s.p[0] == 0;
		assert_ok(verify_rs(k, without_zeros(s.r), without_zeros(s.s)));
	}
	assert_true(n_short > 0);
}

static void test_Q9_rsa_size_and_exponent(void **state)
{
	static const struct {
		size_t n;
		uint16_t bits;
		uint32_t exponent;
		enum err_code parse, key;
	} cases[] = {
		{ 256, 2048, 0, E_OK, E_OK },
		{ 256, 2048, 65537, E_OK, E_OK },
		{ 256, 2048, 3, E_OK, E_PEER_RANGE },
		{ 128, 1024, 0, E_OK, E_PEER_RANGE },
		{ 128, 2048, 0, E_PEER_RANGE, E_OK },
		{ 256, 1024, 0, E_PEER_RANGE, E_OK },
		{ 256, 2047, 0, E_PEER_RANGE, E_OK },
		{ 255, 2047, 0, E_PEER_RANGE, E_OK },
		{ 0, 0, 0, E_PEER_RANGE, E_OK },
		{ 513, 4104, 0, E_LIMIT_SIZE, E_OK },
	};
	uint8_t modulus[513];

	(void)state;
	memset(modulus, 0xc5, sizeof(modulus));
	for (size_t i = 0; i < array_len(cases); i++) {
		cleanup_buf struct buf area = BUF_INIT(LIMIT_TPM2B);
		cleanup_key struct key *k = NULL;
		struct tpm_public p;

		assert_ok(hex_decode(BYTES_LIT("0001000b0005007200000010"
					       "0014000b"),
				     &area));
		assert_ok(wr_u16be(&area, cases[i].bits));
		assert_ok(wr_u32be(&area, cases[i].exponent));
		assert_ok(wr_tpm2b(&area, BYTES(modulus, cases[i].n)));
		assert_code(tpm_public_parse(buf_bytes(&area), &p), cases[i].parse);
		if (cases[i].parse == E_OK)
			assert_code(tpm_public_key(&p, &k), cases[i].key);
	}
}

/* A modulus whose top byte is zero is shorter than it says. */
static void test_Q9_modulus_with_leading_zero(void **state)
{
	cleanup_buf struct buf area = BUF_INIT(LIMIT_TPM2B);
	struct tpm_public p;

	(void)state;
	assert_ok(buf_add(&area, buf_bytes(&keys[SOFTTPM_AK_RSASSA]->area)));
	area.p[area.n - 256] = 0;
	assert_err(tpm_public_parse(buf_bytes(&area), &p), E_PEER_RANGE);
}

/* PSS signature with this salt length, in OpenSSL's notation. */
static void sign_pss(const struct key *k, int salt, struct buf *ret)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key_evp(k), NULL);
	uint8_t sig[512], d[32];
	size_t n = sizeof(sig);

	assert_ok(sha256(message, d));
	assert_non_null(ctx);
	assert_int_equal(EVP_PKEY_sign_init(ctx), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING), 1);
	assert_int_equal(EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, salt), 1);
	assert_int_equal(EVP_PKEY_sign(ctx, sig, &n, d, sizeof(d)), 1);
	EVP_PKEY_CTX_free(ctx);
	assert_ok(wr_u16be(ret, TPM_ALG_RSAPSS));
	assert_ok(wr_u16be(ret, TPM_ALG_SHA256));
	assert_ok(wr_tpm2b(ret, BYTES(sig, n)));
}

static void test_Q9_pss_salt_lengths(void **state)
{
	static const struct {
		int salt;
		enum err_code want;
	} cases[] = {
		{ RSA_PSS_SALTLEN_DIGEST, E_OK },
		{ RSA_PSS_SALTLEN_MAX, E_OK },
		{ 0, E_AUTH_SIGNATURE },
		{ 20, E_AUTH_SIGNATURE },
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		cleanup_buf struct buf sig = BUF_INIT(LIMIT_TPM2B);

		sign_pss(keys[SOFTTPM_AK_RSAPSS]->key, cases[i].salt, &sig);
		assert_code(verify(keys[SOFTTPM_AK_RSAPSS], buf_bytes(&sig)), cases[i].want);
	}
}

static void test_Q7_key_of_another_kind(void **state)
{
	cleanup_buf struct buf ecc = BUF_INIT(LIMIT_TPM2B), rsa = BUF_INIT(LIMIT_TPM2B);
	struct tpm_signature s;

	(void)state;
	assert_ok(softtpm_sign(keys[SOFTTPM_AK_P256], message, &ecc));
	assert_ok(tpm_signature_parse(buf_bytes(&ecc), &s));
	assert_err(tpm_signature_verify(&s, keys[SOFTTPM_AK_RSASSA]->key, SIG_ECDSA, DIGEST_SHA256, message),
		   E_PEER_UNSUPPORTED);
	assert_ok(softtpm_sign(keys[SOFTTPM_AK_RSASSA], message, &rsa));
	assert_ok(tpm_signature_parse(buf_bytes(&rsa), &s));
	assert_err(tpm_signature_verify(&s, keys[SOFTTPM_AK_P256]->key, SIG_RSASSA, DIGEST_SHA256, message),
		   E_PEER_UNSUPPORTED);
}

static void test_X2_signature_above_the_cap(void **state)
{
	cleanup_buf struct buf in = BUF_INIT(LIMIT_TPM2B + 1);
	struct tpm_signature s;

	(void)state;
	assert_ok(buf_reserve(&in, LIMIT_TPM2B + 1));
	memset(in.p, 0, LIMIT_TPM2B + 1);
	assert_err(tpm_signature_parse(BYTES(in.p, LIMIT_TPM2B + 1), &s), E_LIMIT_SIZE);
}

static const struct {
	const char *hex;
	enum err_code want;
} forms[] = {
	{ "", E_PEER_TRUNCATED },
	{ "0018", E_PEER_TRUNCATED },
	{ "0018000b", E_PEER_TRUNCATED },
	{ "0018000b000101000101", E_OK },
	{ "0018000b00010100010100", E_PEER_TRAILING },
	{ "0018000b00430100", E_LIMIT_SIZE },
	{ "0014000b020100", E_LIMIT_SIZE },
	{ "0014000b000101", E_OK },
	{ "0010", E_PEER_TRUNCATED },
	{ "00100010", E_PEER_UNSUPPORTED },
	{ "001a000b000101000101", E_PEER_UNSUPPORTED }, /* ECDAA */
	{ "0005000b", E_PEER_UNSUPPORTED },             /* HMAC */
};

static void test_signature_form(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(forms); i++) {
		cleanup_buf struct buf in = BUF_INIT(0);
		struct tpm_signature s;

		assert_code(tpm_signature_parse(unhex_(&in, forms[i].hex), &s), forms[i].want);
	}
}

static void test_Q6_empty_rsa_signature(void **state)
{
	cleanup_buf struct buf in = BUF_INIT(0);

	(void)state;
	assert_err(verify(keys[SOFTTPM_AK_RSASSA], unhex_(&in, "0014000b0000")), E_PEER_RANGE);
}

static int setup(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(signers); i++) {
		const struct softtpm_spec spec = softtpm_spec_of(signers[i]);

		if (failed(softtpm_key_new(&spec, &keys[signers[i]])))
			return 1;
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(keys); i++)
		softtpm_key_free(keys[i]);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_scheme_verifies),
		cmocka_unit_test(test_Q6_flipped_bits_do_not_verify),
		cmocka_unit_test(test_Q6_other_key_other_data),
		cmocka_unit_test(test_Q6_empty_rsa_signature),
		cmocka_unit_test(test_Q7_scheme_is_that_of_the_key),
		cmocka_unit_test(test_Q7_label_alone_changed),
		cmocka_unit_test(test_Q7_sha1_never),
		cmocka_unit_test(test_Q7_scheme_without_signature),
		cmocka_unit_test(test_Q7_key_of_another_kind),
		cmocka_unit_test(test_Q8_range_of_r_and_s),
		cmocka_unit_test(test_Q8_thousand_signatures_with_short_numbers),
		cmocka_unit_test(test_Q9_rsa_size_and_exponent),
		cmocka_unit_test(test_Q9_modulus_with_leading_zero),
		cmocka_unit_test(test_Q9_pss_salt_lengths),
		cmocka_unit_test(test_signature_form),
		cmocka_unit_test(test_X2_signature_above_the_cap),
	};

	return cmocka_run_group_tests_name("tpm-signature", tests, setup, teardown);
}
