/* SPDX-License-Identifier: Apache-2.0 */
/* Key derivation and MakeCredential, opened again by the software TPM. */
#include "protocol/tpmw.h"

#include "tests/support/fault.h"
#include "tests/support/softtpm.h"
#include "tests/unit/unit.h"

static struct softtpm *tpms[3]; /* EK: RSA-2048, P-256, P-384 */
static const struct bytes secret = BYTES_LIT("0123456789abcdef0123456789abcdef");

/* Computed with an independent implementation (Python's hmac and hashlib). */
static const struct {
	enum digest_id hash;
	const char *key, *label, *u, *v, *kdfa, *kdfe;
} vectors[] = {
	{ DIGEST_SHA256, "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
	  "STORAGE", "404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f6061", "",
	  "a6eca8c000ea1c982c4416612c50bf7b67e4d87fc71d3ef50cbeb3256273a404",
	  "43eea3190f8c34a7157e1f1269ce2182f4e7b987ae90c0838769a4e32666f3c8" },
	{ DIGEST_SHA256, "000102030405060708090a0b0c0d0e0f",
	  "STORAGE", "404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f6061", "eeeeeeeeeeeeee",
	  "f2423542c4b159d570be5a1ab6d21000",
	  "885442750371e0f63f22b7f3d582c4c2" },
	{ DIGEST_SHA384, "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f",
	  "IDENTITY", "404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f6061", "eeeeeeeeeeeeee",
	  "80ebe292a47dbbabb4eb61dcd3b349253b341f32577198e895e53946a5784faaa4f0296e773639cf13da821099770765",
	  "586fc6df7005a9d4d00df86cc8699b5d26d91f7011da7852065bb1907c5a42910673bd68dac21e162c69d94f6b23b64b" },
	{ DIGEST_SHA512, "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223",
	  "STORAGE", "404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f6061", "eeeeeeeeeeeeee",
	  "7bfbcdc95bc385af85a5e1393a436300e78d0f692b9fe0786ed5f859b1db4b19b99769f2b3a575bd1830ef8f06055c514e71"
	  "cda11887ba08e9c87ed1d93e9c2b68777446fa1240e9549844ec39d638ef836813a7e226cee4b647dd1559ef1fc86f81c662",
	  "e1a38864c6887f7eddece5614180968e10823e47c8653881d8bb5b1b592f29146c5b8ebdbdf0c72dd55e04a46f8990654d30"
	  "3603882fdd5892b0eb9ae19c474d4708f1d1ac4af75a17efcb3257f0654e77481fe480073729b329af2c3bd21995b2f606c6" },
};

static void test_kdf_vectors(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(vectors); i++) {
		cleanup_buf struct buf key = BUF_INIT(0), u = BUF_INIT(0), v = BUF_INIT(0), want = BUF_INIT(0);
		cleanup_buf struct buf want_e = BUF_INIT(0);
		uint8_t got[200];

		unhex_(&key, vectors[i].key);
		unhex_(&u, vectors[i].u);
		unhex_(&v, vectors[i].v);
		unhex_(&want, vectors[i].kdfa);
		unhex_(&want_e, vectors[i].kdfe);
		assert_ok(tpm_kdfa(vectors[i].hash, buf_bytes(&key), vectors[i].label, buf_bytes(&u), buf_bytes(&v), got,
				   want.n));
		assert_bytes(BYTES(got, want.n), buf_bytes(&want));
		assert_ok(tpm_kdfe(vectors[i].hash, buf_bytes(&key), vectors[i].label, buf_bytes(&u), buf_bytes(&v), got,
				   want_e.n));
		assert_bytes(BYTES(got, want_e.n), buf_bytes(&want_e));
	}
	assert_err(tpm_kdfa(DIGEST_SHA256, secret, "X", BYTES_NONE, BYTES_NONE, NULL, 0), E_BUG);
	assert_err(tpm_kdfe(DIGEST_SHA256, secret, "X", BYTES_NONE, BYTES_NONE, NULL, LIMIT_TPM2B + 1), E_BUG);
}

/* A credential for the Name, and what the TPM makes of it for another Name. */
static struct err round_trip(const struct softtpm *t, const struct tpm_name *made_for, const struct tpm_name *opened_for,
			     struct bytes value, struct buf *ret)
{
	cleanup_buf struct buf blob = BUF_INIT(LIMIT_TPM2B), sealed = BUF_INIT(LIMIT_TPM2B);

	assert_ok(tpm_make_credential(&t->ek->pub, made_for, value, &blob, &sealed));
	return softtpm_activate(t, opened_for, buf_bytes(&blob), buf_bytes(&sealed), ret);
}

static void test_round_trip(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(tpms); i++) {
		for (size_t n = 1; n <= 32; n++) {
			cleanup_buf struct buf got = BUF_INIT(64);
			struct bytes value = BYTES(secret.p, n);

			assert_ok(round_trip(tpms[i], &tpms[i]->ak->name, &tpms[i]->ak->name, value, &got));
			assert_bytes(buf_bytes(&got), value);
		}
	}
}

static void test_N8_blob_for_another_name(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(tpms); i++) {
		cleanup_buf struct buf got = BUF_INIT(64);

		assert_err(round_trip(tpms[i], &tpms[i]->ak->name, &tpms[i]->null_primary->name, secret, &got),
			   E_AUTH_SIGNATURE);
		assert_int_equal(got.n, 0);
	}
}

static void test_N8_another_ek(void **state)
{
	const struct softtpm_options o = { .ek = SOFTTPM_EK_P256, .ak = SOFTTPM_AK_P256 };
	cleanup_buf struct buf blob = BUF_INIT(LIMIT_TPM2B), sealed = BUF_INIT(LIMIT_TPM2B), got = BUF_INIT(64);
	cleanup_softtpm struct softtpm *other = NULL;

	(void)state;
	assert_ok(softtpm_new(&o, &other));
	assert_ok(tpm_make_credential(&tpms[1]->ek->pub, &tpms[1]->ak->name, secret, &blob, &sealed));
	assert_err(softtpm_activate(other, &tpms[1]->ak->name, buf_bytes(&blob), buf_bytes(&sealed), &got),
		   E_AUTH_SIGNATURE);
}

static void test_every_bit_matters(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(tpms); i++) {
		cleanup_buf struct buf blob = BUF_INIT(LIMIT_TPM2B), sealed = BUF_INIT(LIMIT_TPM2B);
		const struct tpm_name *name = &tpms[i]->ak->name;

		assert_ok(tpm_make_credential(&tpms[i]->ek->pub, name, secret, &blob, &sealed));
		for (size_t byte = 0; byte < blob.n; byte++) {
			cleanup_buf struct buf got = BUF_INIT(64);

			blob.p[byte] ^= (uint8_t)(1 << byte % 8);
			assert_true(failed(softtpm_activate(tpms[i], name, buf_bytes(&blob), buf_bytes(&sealed), &got)));
			assert_int_equal(got.n, 0);
			blob.p[byte] ^= (uint8_t)(1 << byte % 8);
		}
	}
}

/* Two credentials of the same secret share nothing. */
static void test_fresh_seed_each_time(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(tpms); i++) {
		cleanup_buf struct buf a = BUF_INIT(LIMIT_TPM2B), b = BUF_INIT(LIMIT_TPM2B);
		cleanup_buf struct buf sa = BUF_INIT(LIMIT_TPM2B), sb = BUF_INIT(LIMIT_TPM2B);

		assert_ok(tpm_make_credential(&tpms[i]->ek->pub, &tpms[i]->ak->name, secret, &a, &sa));
		assert_ok(tpm_make_credential(&tpms[i]->ek->pub, &tpms[i]->ak->name, secret, &b, &sb));
		assert_int_equal(a.n, b.n);
		assert_memory_not_equal(a.p, b.p, a.n);
		assert_memory_not_equal(sa.p, sb.p, sa.n);
		assert_null(memmem(a.p, a.n, secret.p, 8));
	}
}

static void test_sizes_of_the_outputs(void **state)
{
	static const struct {
		size_t blob, sealed;
	} want[] = {
		{ 2 + 2 + 32 + 2 + 32, 2 + 256 },
		{ 2 + 2 + 32 + 2 + 32, 2 + 2 + 32 + 2 + 32 },
		{ 2 + 2 + 48 + 2 + 32, 2 + 2 + 48 + 2 + 48 },
	};

	(void)state;
	for (size_t i = 0; i < array_len(tpms); i++) {
		cleanup_buf struct buf blob = BUF_INIT(LIMIT_TPM2B), sealed = BUF_INIT(LIMIT_TPM2B);

		assert_ok(tpm_make_credential(&tpms[i]->ek->pub, &tpms[i]->ak->name, secret, &blob, &sealed));
		assert_int_equal(blob.n, want[i].blob);
		assert_int_equal(sealed.n, want[i].sealed);
	}
}

static void test_secret_of_wrong_size(void **state)
{
	static const uint8_t long_secret[33] = { 1 };
	cleanup_buf struct buf blob = BUF_INIT(LIMIT_TPM2B), sealed = BUF_INIT(LIMIT_TPM2B);
	const struct tpm_name none = { 0 };

	(void)state;
	assert_err(tpm_make_credential(&tpms[0]->ek->pub, &tpms[0]->ak->name, BYTES_NONE, &blob, &sealed), E_PEER_RANGE);
	assert_err(tpm_make_credential(&tpms[0]->ek->pub, &tpms[0]->ak->name, BYTES_ARR(long_secret), &blob, &sealed),
		   E_PEER_RANGE);
	assert_err(tpm_make_credential(&tpms[0]->ek->pub, &none, secret, &blob, &sealed), E_PEER_RANGE);
	assert_int_equal(blob.n, 0);
	assert_int_equal(sealed.n, 0);
}

/* Keys that no TPM would open a credential with. */
static void test_not_a_storage_key(void **state)
{
	static const struct {
		uint32_t flip;
		uint16_t sym_alg, sym_bits, sym_mode, name_alg, scheme;
	} cases[] = {
		{ TPMA_RESTRICTED, TPM_ALG_AES, 128, TPM_ALG_CFB, TPM_ALG_SHA256, TPM_ALG_NULL },
		{ TPMA_DECRYPT, TPM_ALG_AES, 128, TPM_ALG_CFB, TPM_ALG_SHA256, TPM_ALG_NULL },
		{ TPMA_SIGN, TPM_ALG_AES, 128, TPM_ALG_CFB, TPM_ALG_SHA256, TPM_ALG_NULL },
		{ 0, TPM_ALG_NULL, 0, 0, TPM_ALG_SHA256, TPM_ALG_NULL },
		{ 0, 0x0026, 128, TPM_ALG_CFB, TPM_ALG_SHA256, TPM_ALG_NULL }, /* Camellia */
		{ 0, TPM_ALG_AES, 192, TPM_ALG_CFB, TPM_ALG_SHA256, TPM_ALG_NULL },
		{ 0, TPM_ALG_AES, 128, 0x0042, TPM_ALG_SHA256, TPM_ALG_NULL },
		{ 0, TPM_ALG_AES, 128, TPM_ALG_CFB, TPM_ALG_SHA1, TPM_ALG_NULL },
		{ 0, TPM_ALG_AES, 128, TPM_ALG_CFB, TPM_ALG_SM3_256, TPM_ALG_NULL },
		{ 0, TPM_ALG_AES, 128, TPM_ALG_CFB, TPM_ALG_SHA256, TPM_ALG_OAEP },
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		cleanup_buf struct buf blob = BUF_INIT(LIMIT_TPM2B), sealed = BUF_INIT(LIMIT_TPM2B);
		struct tpm_public p = tpms[0]->ek->pub;

		p.attributes ^= cases[i].flip;
		p.sym_alg = cases[i].sym_alg;
		p.sym_bits = cases[i].sym_bits;
		p.sym_mode = cases[i].sym_mode;
		p.name_alg = cases[i].name_alg;
		p.scheme = cases[i].scheme;
		assert_err(tpm_make_credential(&p, &tpms[0]->ak->name, secret, &blob, &sealed), E_PEER_UNSUPPORTED);
	}
}

/* Nothing leaks and nothing goes out when any allocation fails. */
static void test_failing_allocations(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(tpms); i++) {
		for (long k = 0;; k++) {
			cleanup_buf struct buf blob = BUF_INIT(LIMIT_TPM2B), sealed = BUF_INIT(LIMIT_TPM2B);
			struct err e;

			fault_begin(k);
			e = tpm_make_credential(&tpms[i]->ek->pub, &tpms[i]->ak->name, secret, &blob, &sealed);
			if (fault_end() <= k) {
				assert_ok(e);
				break;
			}
			/* Some failures OpenSSL survives. */
			if (!failed(e))
				continue;
			assert_int_equal(blob.n, 0);
			assert_int_equal(sealed.n, 0);
		}
	}
}

static int setup(void **state)
{
	static const enum softtpm_template eks[] = { SOFTTPM_EK_RSA2048, SOFTTPM_EK_P256, SOFTTPM_EK_P384 };

	(void)state;
	for (size_t i = 0; i < array_len(tpms); i++) {
		const struct softtpm_options o = { .ek = eks[i], .ak = SOFTTPM_AK_P256 };

		if (failed(softtpm_new(&o, &tpms[i])))
			return 1;
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(tpms); i++)
		softtpm_free(tpms[i]);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kdf_vectors),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_N8_blob_for_another_name),
		cmocka_unit_test(test_N8_another_ek),
		cmocka_unit_test(test_every_bit_matters),
		cmocka_unit_test(test_fresh_seed_each_time),
		cmocka_unit_test(test_sizes_of_the_outputs),
		cmocka_unit_test(test_secret_of_wrong_size),
		cmocka_unit_test(test_not_a_storage_key),
		cmocka_unit_test(test_failing_allocations),
	};

	fault_init();
	return cmocka_run_group_tests_name("tpm-credential", tests, setup, teardown);
}
