/* SPDX-License-Identifier: Apache-2.0 */
/* Keys from numbers, signing and verifying. */
#include "base/key.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/rsa.h>

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
		assert_int_equal(key_verify(k, SIG_ECDSA, rfc6979[i].hash, BYTES_LIT("sample"), buf_bytes(&sig)).code,
				 E_OK);
		assert_int_equal(key_verify(k, SIG_ECDSA, rfc6979[i].hash, BYTES_LIT("samplf"), buf_bytes(&sig)).code,
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
		assert_int_equal(
			key_verify(pub, scheme, DIGEST_SHA256, BYTES_LIT("the assay Office"), buf_bytes(&sig)).code,
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
		assert_int_equal(key_verify(k, SIG_ECDSA, rfc6979[i].hash, BYTES_LIT("sample"), buf_bytes(&good)).code,
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

static struct err sign_and_verify(enum key_kind kind)
{
	cleanup_buf struct buf sig = BUF_INIT(512);
	struct err e;

	if (failed(e = key_sign(keys[kind], scheme_of(kind), DIGEST_SHA256, message, &sig)))
		return e;
	return key_verify(keys[kind], scheme_of(kind), DIGEST_SHA256, message, buf_bytes(&sig));
}

/*
 * Whatever allocation fails: success, or an error of ours and not of the
 * signature; nothing leaks (ASan). OpenSSL keeps one failure inside Ed25519 to
 * itself, which then looks like a wrong signature.
 */
static void test_memory(void **state)
{
	static const enum key_kind kinds[] = { KEY_EC_P256, KEY_EC_P384, KEY_RSA, KEY_ED25519 };

	(void)state;
	for (size_t i = 0; i < array_len(kinds); i++) {
		long n, n_failed = 0;

		assert_int_equal(sign_and_verify(kinds[i]).code, E_OK);
		fault_begin(-1);
		assert_int_equal(sign_and_verify(kinds[i]).code, E_OK);
		n = fault_end();
		for (long k = 0; k < n; k++) {
			struct err e;

			fault_begin(k);
			e = sign_and_verify(kinds[i]);
			(void)fault_end();
			n_failed += failed(e);
			if (e.code == E_OK || e.code == E_LOCAL_MEMORY || e.code == E_LOCAL_CRYPTO)
				continue;
			if (kinds[i] != KEY_ED25519 || e.code != E_AUTH_SIGNATURE)
				fail_msg("kind %d, allocation %ld of %ld: %s", (int)kinds[i], k, n, err_name(e));
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
		cmocka_unit_test(test_output_limits),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_memory),
	};

	fault_init();
	return cmocka_run_group_tests_name("key", tests, set_up, tear_down);
}
