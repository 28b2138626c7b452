/* SPDX-License-Identifier: Apache-2.0 */
#include "base/key.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "base/key_impl.h"
#include "base/limits.h"
#include "base/text.h"
#include "tests/support/fault.h"

/* One key of each kind, made once: RSA takes a while. */
static struct key *keys[KEY_ED25519 + 1];
static struct key *other_rsa;

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

/* RFC 6979, A.2.5 to A.2.7: "sample". The message's hash fits the curve. */
static const struct {
	enum key_kind kind;
	enum digest_id hash;
	const char *x, *y, *sig;
} rfc6979[] = {
	{ KEY_EC_P256, DIGEST_SHA256, "60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6",
	  "7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299",
	  "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716"
	  "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8" },
	{ KEY_EC_P384, DIGEST_SHA384,
	  "EC3A4E415B4E19A4568618029F427FA5DA9A8BC4AE92E02E06AAE5286B300C64DEF8F0EA9055866064A254515480BC13",
	  "8015D9B72D7D57244EA8EF9AC0C621896708A59367F9DFB9F54CA84B3F1C9DB1288B231C3AE0D4FE7344FD2533264720",
	  "94EDBB92A5ECB8AAD4736E56C691916B3F88140666CE9FA73D64C4EA95AD133C81A648152E44ACF96E36DD1E80FABE46"
	  "99EF4AEB15F178CEA1FE40DB2603138F130E740A19624526203B6351D0A3A94FA329C145786E679E7B82C71A38628AC8" },
	{ KEY_EC_P521, DIGEST_SHA512,
	  "01894550D0785932E00EAA23B694F213F8C3121F86DC97A04E5A7167DB4E5BCD3711"
	  "23D46E45DB6B5D5370A7F20FB633155D38FFA16D2BD761DCAC474B9A2F5023A4",
	  "00493101C962CD4D2FDDF782285E64584139C2F91B47F87FF82354D6630F746A28A0"
	  "DB25741B5B34A828008B22ACC23F924FAAFBD4D33F81EA66956DFEAA2BFDFCF5",
	  "00C328FAFCBD79DD77850370C46325D987CB525569FB63C5D3BC53950E6D4C5F174E"
	  "25A1EE9017B5D450606ADD152B534931D7D4E8455CC91F9B15BF05EC36E377FA"
	  "00617CCE7CF5064806C467F678D3B4080D6F1CC50AF26CA209417308281B68AF2826"
	  "23EAA63E5B5C0723D8B8C37FF0777B1A20F8CCB1DCCC43997F1EE0E44DA4A67A" },
};

static void test_rfc6979(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(rfc6979); i++) {
		cleanup_buf struct buf x = BUF_INIT(66), y = BUF_INIT(66), sig = BUF_INIT(132);
		cleanup_key struct key *k = NULL;

		unhex(rfc6979[i].x, &x);
		unhex(rfc6979[i].y, &y);
		unhex(rfc6979[i].sig, &sig);
		assert_int_equal(key_from_ec(rfc6979[i].kind, buf_bytes(&x), buf_bytes(&y), &k).code, E_OK);
		assert_int_equal(key_kind(k), rfc6979[i].kind);
		assert_false(key_is_private(k));
		assert_int_equal(
			key_verify(k, SIG_ECDSA, rfc6979[i].hash, BYTES_LIT("sample"), buf_bytes(&sig)).code, E_OK);
		assert_int_equal(
			key_verify(k, SIG_ECDSA, rfc6979[i].hash, BYTES_LIT("samplf"), buf_bytes(&sig)).code,
			E_AUTH_SIGNATURE);
	}
}

/* RFC 8032, 7.1, tests 1 and 2. */
static const struct {
	const char *pub, *msg, *sig;
} rfc8032[] = {
	{ "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
	  "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595b"
	  "be24655141438e7a100b" },
	{ "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
	  "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb430"
	  "2aeeb00d291612bb0c00" },
};

static void test_rfc8032(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(rfc8032); i++) {
		cleanup_buf struct buf pub = BUF_INIT(32), msg = BUF_INIT(8), sig = BUF_INIT(64);
		cleanup_key struct key *k = NULL;

		unhex(rfc8032[i].pub, &pub);
		unhex(rfc8032[i].msg, &msg);
		unhex(rfc8032[i].sig, &sig);
		assert_int_equal(key_from_ed25519(buf_bytes(&pub), &k).code, E_OK);
		assert_int_equal(key_verify(k, SIG_ED25519, DIGEST_SHA512, buf_bytes(&msg), buf_bytes(&sig)).code,
				 E_OK);
		assert_int_equal(key_verify(k, SIG_ED25519, DIGEST_SHA512, message, buf_bytes(&sig)).code,
				 E_AUTH_SIGNATURE);
		/* s + L is the same number modulo L; RFC 8032, 5.1.7 wants it refused. */
		sig.p[63] |= 0x10;
		assert_int_equal(key_verify(k, SIG_ED25519, DIGEST_SHA512, buf_bytes(&msg), buf_bytes(&sig)).code,
				 E_AUTH_SIGNATURE);
	}
}

static const struct {
	const char *name, *pub;
} ed25519_refused[] = {
	{ "order 4", "0000000000000000000000000000000000000000000000000000000000000000" },
	{ "order 4, sign bit", "0000000000000000000000000000000000000000000000000000000000000080" },
	{ "identity", "0100000000000000000000000000000000000000000000000000000000000000" },
	{ "order 8", "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05" },
	{ "order 8, other", "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa" },
	{ "order 2", "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f" },
	{ "y = p", "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f" },
	{ "y = p + 1, sign bit", "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff" },
	{ "31 bytes", "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f70751" },
	{ "33 bytes", "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a00" },
	{ "nothing", "" },
};

static void test_ed25519_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(ed25519_refused); i++) {
		cleanup_buf struct buf pub = BUF_INIT(64);
		struct key *k = NULL;

		unhex(ed25519_refused[i].pub, &pub);
		if (key_from_ed25519(buf_bytes(&pub), &k).code != E_PEER_RANGE || k != NULL)
			fail_msg("%s", ed25519_refused[i].name);
	}
}

static void test_ec_refused(void **state)
{
	static const uint8_t zero[66] = { 0 }, ff[66] = { [0 ... 65] = 0xff };
	/* The field prime and 2^256 - 1 are not reduced; (0, 0) and a changed y are off the curve. */
	static const char p256_prime[] = "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff";
	cleanup_buf struct buf x = BUF_INIT(66), y = BUF_INIT(66), prime = BUF_INIT(66);
	struct key *k = NULL;

	(void)state;
	unhex(rfc6979[0].x, &x);
	unhex(rfc6979[0].y, &y);
	unhex(p256_prime, &prime);
	y.p[31] ^= 1;
	assert_int_equal(key_from_ec(KEY_EC_P256, buf_bytes(&x), buf_bytes(&y), &k).code, E_PEER_RANGE);
	y.p[31] ^= 1;
	assert_int_equal(key_from_ec(KEY_EC_P256, BYTES(zero, 32), BYTES(zero, 32), &k).code, E_PEER_RANGE);
	assert_int_equal(key_from_ec(KEY_EC_P256, BYTES(ff, 32), buf_bytes(&y), &k).code, E_PEER_RANGE);
	assert_int_equal(key_from_ec(KEY_EC_P256, buf_bytes(&prime), buf_bytes(&y), &k).code, E_PEER_RANGE);
	assert_int_equal(key_from_ec(KEY_EC_P256, BYTES_NONE, buf_bytes(&y), &k).code, E_PEER_RANGE);
	assert_int_equal(key_from_ec(KEY_EC_P256, buf_bytes(&x), BYTES_NONE, &k).code, E_PEER_RANGE);
	assert_int_equal(key_from_ec(KEY_EC_P256, BYTES(zero, 33), buf_bytes(&y), &k).code, E_PEER_RANGE);
	assert_int_equal(key_from_ec(KEY_EC_P384, buf_bytes(&x), buf_bytes(&y), &k).code, E_PEER_RANGE);
	assert_int_equal(key_from_ec(KEY_EC_P521, BYTES(ff, 66), BYTES(ff, 66), &k).code, E_PEER_RANGE);
	assert_int_equal(key_from_ec(KEY_RSA, buf_bytes(&x), buf_bytes(&y), &k).code, E_PEER_UNSUPPORTED);
	assert_int_equal(key_from_ec(KEY_NONE, buf_bytes(&x), buf_bytes(&y), &k).code, E_PEER_UNSUPPORTED);
	assert_null(k);
}

/* A TPM2B may drop leading zeros of a coordinate: look for a key that has one. */
static void test_ec_short_coordinate(void **state)
{
	(void)state;
	for (size_t i = 0; i < 20000; i++) {
		cleanup_key struct key *k = NULL, *back = NULL;
		cleanup_buf struct buf x = BUF_INIT(32), y = BUF_INIT(32);

		assert_int_equal(key_generate(KEY_EC_P256, &k).code, E_OK);
		assert_int_equal(key_numbers(k, &x, &y).code, E_OK);
		if (x.p[0] != 0)
			continue;
		assert_int_equal(key_from_ec(KEY_EC_P256, BYTES(x.p + 1, 31), buf_bytes(&y), &back).code, E_OK);
		assert_true(key_equal(k, back));
		return;
	}
	fail_msg("no key with a leading zero in 20000");
}

static const struct {
	const char *name;
	unsigned bits;
	uint32_t exponent;
	uint8_t last;
	bool leading_zero;
	enum err_code want;
} rsa_cases[] = {
	{ "2048", 2048, 65537, 1, false, E_OK },
	{ "exponent 0 means 65537", 2048, 0, 1, false, E_OK },
	{ "2056", 2056, 65537, 1, false, E_OK },
	{ "3072", 3072, 65537, 1, false, E_OK },
	{ "4096", 4096, 65537, 1, false, E_OK },
	{ "2047", 2047, 65537, 1, false, E_PEER_RANGE },
	{ "1024", 1024, 65537, 1, false, E_PEER_RANGE },
	{ "4097", 4097, 65537, 1, false, E_PEER_RANGE },
	{ "16384", 16384, 65537, 1, false, E_PEER_RANGE },
	{ "exponent 3", 2048, 3, 1, false, E_PEER_RANGE },
	{ "exponent 1", 2048, 1, 1, false, E_PEER_RANGE },
	{ "exponent 65539", 2048, 65539, 1, false, E_PEER_RANGE },
	{ "even modulus", 2048, 65537, 2, false, E_PEER_RANGE },
	{ "leading zero", 2040, 65537, 1, true, E_PEER_RANGE },
	{ "nothing", 0, 65537, 1, false, E_PEER_RANGE },
};

static void test_rsa_limits(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(rsa_cases); i++) {
		cleanup_key struct key *k = NULL;
		uint8_t n[2049] = { 0 };
		size_t len = (rsa_cases[i].bits + 7) / 8, off = rsa_cases[i].leading_zero ? 1 : 0;
		struct err e;

		if (len > 0) {
			n[off] = (uint8_t)(1u << ((rsa_cases[i].bits + 7) % 8));
			n[off + len - 1] |= rsa_cases[i].last;
		}
		e = key_from_rsa(BYTES(n, len + off), rsa_cases[i].exponent, &k);
		if (e.code != rsa_cases[i].want)
			fail_msg("%s: %s", rsa_cases[i].name, err_name(e));
	}
}

static void test_sign_verify(void **state)
{
	(void)state;
	for (enum key_kind kind = KEY_EC_P256; kind <= KEY_ED25519; kind++) {
		cleanup_buf struct buf sig = BUF_INIT(LIMIT_RSA_BITS / 8), a = BUF_INIT(512), b = BUF_INIT(512);
		cleanup_key struct key *pub = NULL;
		enum sig_scheme scheme = scheme_of(kind);

		if (keys[kind] == NULL)
			continue;
		assert_int_equal(key_sign(keys[kind], scheme, DIGEST_SHA256, message, &sig).code, E_OK);
		assert_int_equal(key_numbers(keys[kind], &a, &b).code, E_OK);
		if (kind == KEY_RSA)
			assert_int_equal(key_from_rsa(buf_bytes(&a), 0, &pub).code, E_OK);
		else if (kind == KEY_ED25519)
			assert_int_equal(key_from_ed25519(buf_bytes(&a), &pub).code, E_OK);
		else
			assert_int_equal(key_from_ec(kind, buf_bytes(&a), buf_bytes(&b), &pub).code, E_OK);
		assert_true(key_equal(pub, keys[kind]));
		assert_false(key_is_private(pub));
		assert_true(key_is_private(keys[kind]));
		assert_int_equal(key_verify(pub, scheme, DIGEST_SHA256, message, buf_bytes(&sig)).code, E_OK);
		assert_int_equal(key_sign(pub, scheme, DIGEST_SHA256, message, &sig).code, E_BUG);
		/* Every bit counts, in the signature and in the message. */
		for (size_t bit = 0; bit < sig.n * 8; bit += kind == KEY_EC_P256 ? 1 : 37) {
			sig.p[bit / 8] ^= (uint8_t)(1u << (bit % 8));
			assert_true(failed(key_verify(pub, scheme, DIGEST_SHA256, message, buf_bytes(&sig))));
			sig.p[bit / 8] ^= (uint8_t)(1u << (bit % 8));
		}
		assert_int_equal(key_verify(pub, scheme, DIGEST_SHA256, BYTES_LIT("the assay Office"),
					    buf_bytes(&sig))
					 .code,
				 E_AUTH_SIGNATURE);
		/* A byte less and a byte more. */
		assert_int_equal(key_verify(pub, scheme, DIGEST_SHA256, message, BYTES(sig.p, sig.n - 1)).code,
				 E_PEER_RANGE);
		assert_int_equal(key_verify(pub, scheme, DIGEST_SHA256, message, BYTES_NONE).code, E_PEER_RANGE);
		assert_int_equal(buf_add_u8(&sig, 0).code == E_OK
					 ? key_verify(pub, scheme, DIGEST_SHA256, message, buf_bytes(&sig)).code
					 : E_PEER_RANGE,
				 E_PEER_RANGE);
	}
}

/* A verification by another key of the same kind. */
static void test_other_key(void **state)
{
	cleanup_key struct key *p256 = NULL;
	cleanup_buf struct buf sig = BUF_INIT(512);

	(void)state;
	assert_int_equal(key_generate(KEY_EC_P256, &p256).code, E_OK);
	assert_int_equal(key_sign(p256, SIG_ECDSA, DIGEST_SHA256, message, &sig).code, E_OK);
	assert_int_equal(key_verify(keys[KEY_EC_P256], SIG_ECDSA, DIGEST_SHA256, message, buf_bytes(&sig)).code,
			 E_AUTH_SIGNATURE);
	buf_clear(&sig);
	assert_int_equal(key_sign(other_rsa, SIG_RSASSA, DIGEST_SHA256, message, &sig).code, E_OK);
	assert_int_equal(key_verify(keys[KEY_RSA], SIG_RSASSA, DIGEST_SHA256, message, buf_bytes(&sig)).code,
			 E_AUTH_SIGNATURE);
	assert_false(key_equal(p256, keys[KEY_EC_P256]));
	assert_false(key_equal(p256, keys[KEY_RSA]));
}

/* Every combination of key, scheme and hash: only the fitting ones work. */
static void test_scheme_matrix(void **state)
{
	static const uint8_t zero[512] = { 0 };

	(void)state;
	for (enum key_kind kind = KEY_EC_P256; kind <= KEY_ED25519; kind++) {
		for (enum sig_scheme s = SIG_NONE; s <= SIG_ED25519; s++) {
			for (enum digest_id h = DIGEST_SHA1; h < N_DIGESTS; h++) {
				cleanup_buf struct buf sig = BUF_INIT(512);
				bool hash_ok = h == DIGEST_SHA256 || h == DIGEST_SHA384 || h == DIGEST_SHA512;
				bool fits = (s == SIG_ED25519 && kind == KEY_ED25519) ||
					    (s == SIG_ECDSA && kind <= KEY_EC_P521 && hash_ok) ||
					    ((s == SIG_RSASSA || s == SIG_RSAPSS) && kind == KEY_RSA && hash_ok);
				struct bytes digest = BYTES(zero, digest_alg(h)->size);
				enum err_code got;

				if (keys[kind] == NULL)
					continue;
				got = key_verify(keys[kind], s, h, message, BYTES(zero, 3)).code;
				assert_int_equal(got, fits ? E_PEER_RANGE : E_PEER_UNSUPPORTED);
				got = key_verify_digest(keys[kind], s, h, digest, BYTES(zero, 3)).code;
				assert_int_equal(got, fits && s != SIG_ED25519 ? E_PEER_RANGE : E_PEER_UNSUPPORTED);
				got = key_sign(keys[kind], s, h, message, &sig).code;
				assert_int_equal(got, fits && s != SIG_RSAPSS ? E_OK : E_PEER_UNSUPPORTED);
				if (got == E_OK)
					assert_int_equal(key_verify(keys[kind], s, h, message, buf_bytes(&sig)).code,
							 E_OK);
			}
		}
	}
	assert_int_equal(
		key_verify_digest(keys[KEY_RSA], SIG_RSASSA, DIGEST_SHA256, BYTES(zero, 48), BYTES(zero, 256)).code,
		E_BUG);
}

/* The same signature under another hash of the same or another size. */
static void test_hash_confusion(void **state)
{
	cleanup_buf struct buf sig = BUF_INIT(512), rsa = BUF_INIT(512);

	(void)state;
	assert_int_equal(key_sign(keys[KEY_EC_P256], SIG_ECDSA, DIGEST_SHA384, message, &sig).code, E_OK);
	assert_int_equal(key_verify(keys[KEY_EC_P256], SIG_ECDSA, DIGEST_SHA256, message, buf_bytes(&sig)).code,
			 E_AUTH_SIGNATURE);
	assert_int_equal(key_sign(keys[KEY_RSA], SIG_RSASSA, DIGEST_SHA512, message, &rsa).code, E_OK);
	assert_int_equal(key_verify(keys[KEY_RSA], SIG_RSASSA, DIGEST_SHA256, message, buf_bytes(&rsa)).code,
			 E_AUTH_SIGNATURE);
	assert_int_equal(key_verify(keys[KEY_RSA], SIG_RSAPSS, DIGEST_SHA512, message, buf_bytes(&rsa)).code,
			 E_AUTH_SIGNATURE);
}

/* Made by OpenSSL itself, for salts that TPMs do not make too. */
static void pss_sign(int salt, const EVP_MD *mgf, struct buf *ret)
{
	cleanup_md_ctx EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx = NULL;
	uint8_t sig[512];
	size_t n = sizeof(sig);

	assert_int_equal(EVP_DigestSignInit(ctx, &pctx, EVP_sha256(), NULL, key_evp(keys[KEY_RSA])), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, salt), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_mgf1_md(pctx, mgf), 1);
	assert_int_equal(EVP_DigestSign(ctx, sig, &n, message.p, message.n), 1);
	assert_int_equal(buf_add(ret, BYTES(sig, n)).code, E_OK);
}

static void test_pss_salts(void **state)
{
	const struct {
		int salt;
		const EVP_MD *mgf;
		enum err_code want;
	} cases[] = {
		{ RSA_PSS_SALTLEN_DIGEST, EVP_sha256(), E_OK },
		{ RSA_PSS_SALTLEN_MAX, EVP_sha256(), E_OK },
		{ 222, EVP_sha256(), E_OK }, /* 256 - 32 - 2: the longest */
		{ 0, EVP_sha256(), E_AUTH_SIGNATURE },
		{ 20, EVP_sha256(), E_AUTH_SIGNATURE },
		{ 31, EVP_sha256(), E_AUTH_SIGNATURE },
		{ 33, EVP_sha256(), E_AUTH_SIGNATURE },
		{ 221, EVP_sha256(), E_AUTH_SIGNATURE },
		{ RSA_PSS_SALTLEN_DIGEST, EVP_sha1(), E_AUTH_SIGNATURE },
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		cleanup_buf struct buf sig = BUF_INIT(512);

		pss_sign(cases[i].salt, cases[i].mgf, &sig);
		assert_int_equal(key_verify(keys[KEY_RSA], SIG_RSAPSS, DIGEST_SHA256, message, buf_bytes(&sig)).code,
				 cases[i].want);
		assert_int_equal(key_verify(keys[KEY_RSA], SIG_RSASSA, DIGEST_SHA256, message, buf_bytes(&sig)).code,
				 E_AUTH_SIGNATURE);
	}
}

/* r and s outside 1..n-1 and other sizes, for every curve (CVE-2022-21449 class). */
static void test_ecdsa_degenerate(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(rfc6979); i++) {
		const struct curve *c = curve_of(rfc6979[i].kind);
		cleanup_buf struct buf good = BUF_INIT(132), x = BUF_INIT(66), y = BUF_INIT(66);
		cleanup_key struct key *k = NULL;
		uint8_t max[66] = { [0 ... 65] = 0xff }, zero[66] = { 0 }, above[66];
		const struct bytes bad[] = { BYTES(zero, c->size), c->order, BYTES(max, c->size),
					     BYTES(above, c->size) };

		unhex(rfc6979[i].sig, &good);
		unhex(rfc6979[i].x, &x);
		unhex(rfc6979[i].y, &y);
		memcpy(above, c->order.p, c->size);
		above[c->size - 1]++;
		assert_int_equal(key_from_ec(c->kind, buf_bytes(&x), buf_bytes(&y), &k).code, E_OK);
		for (size_t b = 0; b < array_len(bad); b++) {
			for (size_t half = 0; half < 2; half++) {
				uint8_t sig[132];

				memcpy(sig, good.p, good.n);
				memcpy(sig + half * c->size, bad[b].p, c->size);
				assert_int_equal(key_verify(k, SIG_ECDSA, rfc6979[i].hash, BYTES_LIT("sample"),
							    BYTES(sig, good.n))
							 .code,
						 E_PEER_RANGE);
			}
		}
		/* n - 1 is in range: refused by arithmetic, not by form. */
		memcpy(good.p, c->order.p, c->size);
		good.p[c->size - 1]--;
		assert_int_equal(
			key_verify(k, SIG_ECDSA, rfc6979[i].hash, BYTES_LIT("sample"), buf_bytes(&good)).code,
			E_AUTH_SIGNATURE);
	}
}

static void test_orders(void **state)
{
	static const int nids[] = { NID_X9_62_prime256v1, NID_secp384r1, NID_secp521r1 };

	(void)state;
	for (size_t i = 0; i < array_len(nids); i++) {
		const struct curve *c = curve_of(rfc6979[i].kind);
		EC_GROUP *g = EC_GROUP_new_by_curve_name(nids[i]);
		uint8_t order[66];

		assert_int_equal(BN_bn2binpad(EC_GROUP_get0_order(g), order, (int)c->size), (int)c->size);
		assert_memory_equal(order, c->order.p, c->size);
		EC_GROUP_free(g);
	}
	assert_null(curve_of(KEY_RSA));
	assert_null(curve_of(KEY_NONE));
}

/* The owner of a key can choose r = -e/d: then the sum of points is infinity, and that is no signature. */
static void test_ecdsa_infinity(void **state)
{
	cleanup_key struct key *k = NULL;
	cleanup_bn BIGNUM *d = NULL, *n = NULL, *e = NULL, *r = NULL;
	BN_CTX *ctx = BN_CTX_new();
	struct digest h;
	uint8_t sig[64] = { [63] = 1 };

	(void)state;
	assert_int_equal(key_generate(KEY_EC_P256, &k).code, E_OK);
	assert_int_equal(EVP_PKEY_get_bn_param(key_evp(k), OSSL_PKEY_PARAM_PRIV_KEY, &d), 1);
	assert_int_equal(digest_one(DIGEST_SHA256, message, &h).code, E_OK);
	n = BN_bin2bn(curve_of(KEY_EC_P256)->order.p, 32, NULL);
	e = BN_bin2bn(h.v, h.n, NULL);
	r = BN_mod_inverse(NULL, d, n, ctx);
	assert_int_equal(BN_mod_mul(r, r, e, n, ctx), 1);
	assert_int_equal(BN_sub(r, n, r), 1);
	assert_int_equal(BN_bn2binpad(r, sig, 32), 32);
	assert_int_equal(key_verify(k, SIG_ECDSA, DIGEST_SHA256, message, BYTES_ARR(sig)).code, E_AUTH_SIGNATURE);
	BN_CTX_free(ctx);
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
	{ "33 bytes",
	  "3026022101ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff020101", E_PEER_RANGE },
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
	unhex(rfc6979[2].sig, &raw);
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
	static const char *const params[] = { OSSL_PKEY_PARAM_EC_ENCODING,
					      OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT };
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
		assert_int_equal(
			key_verify(keys[kind], scheme_of(kind), DIGEST_SHA256, message, buf_bytes(&sig)).code, E_OK);
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
	int ok = traditional ? PEM_write_bio_PrivateKey_traditional(bio, pkey, NULL, NULL, 0, NULL, NULL)
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
		"", "x", "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n",
		"-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n",
		"-----BEGIN PRIVATE KEY-----\nMAA=\n",
	};
	struct key *k = NULL;

	(void)state;
	assert_int_equal(private_pem_code(p256, NULL, false), E_OK);
	assert_int_equal(private_pem_code(p256, EVP_aes_128_cbc(), false), E_PEER_UNSUPPORTED);
	assert_int_equal(private_pem_code(p256, NULL, true), E_PEER_UNSUPPORTED);
	assert_int_equal(private_pem_code(p521, NULL, false), E_PEER_UNSUPPORTED);
	assert_int_equal(private_pem_code(k1, NULL, false), E_PEER_UNSUPPORTED);
	assert_int_equal(private_pem_code(small, NULL, false), E_PEER_RANGE);
	for (size_t i = 0; i < array_len(texts); i++)
		assert_int_equal(key_private_from_pem(bytes_str(texts[i]), &k).code, E_PEER_SYNTAX);
	assert_null(k);
	assert_int_equal(key_generate(KEY_EC_P521, &k).code, E_PEER_UNSUPPORTED);
	assert_int_equal(key_generate(KEY_NONE, &k).code, E_PEER_UNSUPPORTED);
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

static void test_output_limits(void **state)
{
	cleanup_buf struct buf small = BUF_INIT(16), big = BUF_INIT(512);

	(void)state;
	assert_int_equal(key_spki(keys[KEY_RSA], &small).code, E_LIMIT_SIZE);
	assert_int_equal(key_sign(keys[KEY_RSA], SIG_RSASSA, DIGEST_SHA256, message, &small).code, E_LIMIT_SIZE);
	assert_int_equal(key_numbers(keys[KEY_EC_P256], &big, &small).code, E_LIMIT_SIZE);
	assert_int_equal(big.n, 0);
	assert_int_equal(small.n, 0);
}

struct shared {
	struct key *key;
	struct bytes sig;
	enum err_code code;
};

static void *verify_many(void *arg)
{
	struct shared *s = arg;

	for (size_t i = 0; i < 100 && s->code == E_OK; i++)
		s->code = key_verify(s->key, SIG_ECDSA, DIGEST_SHA256, message, s->sig).code;
	return NULL;
}

/* The first use of a fresh key, by several threads at once. */
static void test_threads(void **state)
{
	(void)state;
	for (size_t round = 0; round < 10; round++) {
		cleanup_key struct key *k = NULL;
		cleanup_buf struct buf sig = BUF_INIT(64);
		struct shared s[4];
		pthread_t t[4];

		assert_int_equal(key_generate(KEY_EC_P256, &k).code, E_OK);
		assert_int_equal(key_sign(k, SIG_ECDSA, DIGEST_SHA256, message, &sig).code, E_OK);
		for (size_t i = 0; i < array_len(t); i++) {
			s[i] = (struct shared){ k, buf_bytes(&sig), E_OK };
			assert_int_equal(pthread_create(&t[i], NULL, verify_many, &s[i]), 0);
		}
		for (size_t i = 0; i < array_len(t); i++) {
			assert_int_equal(pthread_join(t[i], NULL), 0);
			assert_int_equal(s[i].code, E_OK);
		}
	}
}

/* Loading and writing a key; signing and checking with one that is there. */
static struct err load(enum key_kind kind, struct bytes pem)
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

static struct err use(enum key_kind kind, struct bytes pem)
{
	cleanup_buf struct buf sig = BUF_INIT(512);
	struct err e;

	(void)pem;
	if (failed(e = key_sign(keys[kind], scheme_of(kind), DIGEST_SHA256, message, &sig)))
		return e;
	return key_verify(keys[kind], scheme_of(kind), DIGEST_SHA256, message, buf_bytes(&sig));
}

/*
 * Whatever allocation fails: the right result or an error, and nothing leaks
 * (ASan). OpenSSL keeps some failures to itself: then bytes look ill-formed, or
 * an Ed25519 signature wrong; never the other way round.
 */
static void test_memory(void **state)
{
	static const struct {
		enum key_kind kind;
		struct err (*run)(enum key_kind kind, struct bytes pem);
		long step; /* loading RSA makes 10 000 allocations */
	} cases[] = {
		{ KEY_EC_P256, load, 17 }, { KEY_ED25519, load, 1 }, { KEY_RSA, load, 1009 },
		{ KEY_EC_P256, use, 1 },   { KEY_ED25519, use, 1 },  { KEY_RSA, use, 1 },
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		cleanup_buf struct buf pem = BUF_INIT(8192);
		long n, n_failed = 0;

		assert_int_equal(key_private_to_pem(keys[cases[i].kind], &pem).code, E_OK);
		assert_int_equal(cases[i].run(cases[i].kind, buf_bytes(&pem)).code, E_OK);
		fault_begin(-1);
		assert_int_equal(cases[i].run(cases[i].kind, buf_bytes(&pem)).code, E_OK);
		n = fault_end();
		for (long k = 0; k < n; k += k < 50 ? 1 : cases[i].step) {
			struct err e;

			fault_begin(k);
			e = cases[i].run(cases[i].kind, buf_bytes(&pem));
			(void)fault_end();
			n_failed += failed(e);
			if (e.code == E_BUG || (cases[i].run == use && cases[i].kind != KEY_ED25519 && failed(e) &&
						e.code != E_LOCAL_MEMORY && e.code != E_LOCAL_CRYPTO))
				fail_msg("case %zu, allocation %ld of %ld: %s", i, k, n, err_name(e));
		}
		assert_true(n_failed > 3);
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
	return failed(key_generate(KEY_RSA, &other_rsa)) ? -1 : 0;
}

static int tear_down(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(keys); i++)
		key_free(keys[i]);
	key_free(other_rsa);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rfc6979),
		cmocka_unit_test(test_rfc8032),
		cmocka_unit_test(test_ed25519_refused),
		cmocka_unit_test(test_ec_refused),
		cmocka_unit_test(test_ec_short_coordinate),
		cmocka_unit_test(test_rsa_limits),
		cmocka_unit_test(test_sign_verify),
		cmocka_unit_test(test_other_key),
		cmocka_unit_test(test_scheme_matrix),
		cmocka_unit_test(test_hash_confusion),
		cmocka_unit_test(test_pss_salts),
		cmocka_unit_test(test_ecdsa_degenerate),
		cmocka_unit_test(test_orders),
		cmocka_unit_test(test_ecdsa_infinity),
		cmocka_unit_test(test_ecdsa_der),
		cmocka_unit_test(test_ecdsa_der_p521),
		cmocka_unit_test(test_spki),
		cmocka_unit_test(test_spki_refused),
		cmocka_unit_test(test_spki_ec_forms),
		cmocka_unit_test(test_spki_rsa_exponent),
		cmocka_unit_test(test_private_pem),
		cmocka_unit_test(test_private_pem_refused),
		cmocka_unit_test(test_private_pem_mismatch),
		cmocka_unit_test(test_output_limits),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_memory),
	};

	fault_init();
	return cmocka_run_group_tests_name("key", tests, set_up, tear_down);
}
