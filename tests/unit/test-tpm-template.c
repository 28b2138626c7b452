/* SPDX-License-Identifier: Apache-2.0 */
/* TPMT_PUBLIC: form, and the templates that keys must have. */
#include "protocol/tpmw.h"

#include "tests/support/softtpm.h"
#include "tests/unit/unit.h"

typedef struct err check_fn(const struct tpm_public *p, struct reason *reterr);

static struct softtpm_key *keys[N_SOFTTPM_TEMPLATES];

/* EK of template H-3 as swtpm 0.7.1 makes it: TPM2B_PUBLIC. */
static const char ek_p384[] =
	"00aa0023000c000300f20030b26e7d28d11a50bc53d882bcf5fd3a1a074148bb35d3b4e4cb1c0ad9bde419cacb47ba0969964615"
	"0f9fc000f3f80e12000601000043001000040010"
	"0030b797b75069546bb9344de38a2f5e4f98faa2a38dd2debeb95c697d05d43a446bdb27c789e5a8b5633c720dca7a516cef"
	"00309c918c23abc1f9a48db60ab4b75f57ca6f9a18017146e15977db16d5ba4bbc1ed04f4469cc016f7f3479e82b3d17a632";

static const struct {
	enum softtpm_template t;
	check_fn *check;
} good[] = {
	{ SOFTTPM_EK_RSA2048, tpm_check_ek },
	{ SOFTTPM_EK_P256, tpm_check_ek },
	{ SOFTTPM_EK_P384, tpm_check_ek },
	{ SOFTTPM_AK_P256, tpm_check_ak },
	{ SOFTTPM_AK_P384, tpm_check_ak },
	{ SOFTTPM_AK_RSASSA, tpm_check_ak },
	{ SOFTTPM_AK_RSAPSS, tpm_check_ak },
	{ SOFTTPM_WORKLOAD, tpm_check_workload_key },
	{ SOFTTPM_NULL_PRIMARY, tpm_check_null_primary },
};

static void test_templates_are_accepted_by_their_check_alone(void **state)
{
	static check_fn *const checks[] = { tpm_check_ek, tpm_check_ak, tpm_check_workload_key, tpm_check_null_primary };

	(void)state;
	for (size_t i = 0; i < array_len(good); i++) {
		for (size_t c = 0; c < array_len(checks); c++) {
			struct reason why = { "" };
			struct err e = checks[c](&keys[good[i].t]->pub, &why);

			/* An EK is a storage key too; hierarchies are told apart by qualified names. */
			if (checks[c] == tpm_check_null_primary && good[i].check == tpm_check_ek)
				continue;
			assert_code(e, checks[c] == good[i].check ? E_OK : E_PEER_RANGE);
			assert_int_equal(why.text[0] == '\0', checks[c] == good[i].check);
		}
	}
}

static void test_N4_ek_of_swtpm(void **state)
{
	cleanup_buf struct buf in = BUF_INIT(0);
	cleanup_key struct key *k = NULL;
	struct tpm_public p;

	(void)state;
	assert_ok(tpm2b_public_parse(unhex_(&in, ek_p384), &p));
	assert_int_equal(p.type, TPM_ALG_ECC);
	assert_int_equal(p.name_alg, TPM_ALG_SHA384);
	assert_int_equal(p.sym_bits, 256);
	assert_int_equal(p.ecc_curve, TPM_ECC_P384);
	assert_ok(tpm_check_ek(&p, NULL));
	assert_ok(tpm_public_key(&p, &k));
	assert_int_equal(key_kind(k), KEY_EC_P384);
	in.p[1]++;
	assert_err(tpm2b_public_parse(buf_bytes(&in), &p), E_PEER_TRUNCATED);
	in.p[1] = (uint8_t)(in.p[1] - 2);
	assert_err(tpm2b_public_parse(buf_bytes(&in), &p), E_PEER_TRAILING);
}

/* Every attribute bit of a good key changed, one at a time. */
static void check_bits(enum softtpm_template t, check_fn *check, uint32_t free_bits)
{
	for (unsigned bit = 0; bit < 32; bit++) {
		struct tpm_public p = keys[t]->pub;
		struct reason why = { "" };

		p.attributes ^= UINT32_C(1) << bit;
		if ((free_bits >> bit & 1) != 0)
			assert_ok(check(&p, &why));
		else
			assert_err(check(&p, &why), E_PEER_RANGE);
	}
}

static void test_N4_each_attribute_of_an_ek(void **state)
{
	(void)state;
	check_bits(SOFTTPM_EK_RSA2048, tpm_check_ek, 0);
	check_bits(SOFTTPM_EK_P256, tpm_check_ek, 0);
	check_bits(SOFTTPM_EK_P384, tpm_check_ek, 0);
}

static void test_K2_each_attribute_of_an_ak(void **state)
{
	const uint32_t need = TPMA_FIXED_TPM | TPMA_FIXED_PARENT | TPMA_SENSITIVE_DATA_ORIGIN | TPMA_RESTRICTED |
			      TPMA_SIGN | TPMA_DECRYPT;

	(void)state;
	for (size_t t = SOFTTPM_AK_P256; t <= SOFTTPM_AK_RSAPSS; t++)
		check_bits((enum softtpm_template)t, tpm_check_ak, ~need);
}

static void test_C3_each_attribute_of_a_workload_key(void **state)
{
	(void)state;
	check_bits(SOFTTPM_WORKLOAD, tpm_check_workload_key, TPMA_NO_DA);
}

static void test_each_attribute_of_a_null_primary(void **state)
{
	const uint32_t need = TPMA_FIXED_TPM | TPMA_FIXED_PARENT | TPMA_SENSITIVE_DATA_ORIGIN | TPMA_RESTRICTED |
			      TPMA_DECRYPT | TPMA_SIGN;

	(void)state;
	check_bits(SOFTTPM_NULL_PRIMARY, tpm_check_null_primary, ~need);
}

/* The reason names what is wrong. */
static void test_K2_reason_names_the_attribute(void **state)
{
	static const struct {
		uint32_t bit;
		const char *name;
	} cases[] = {
		{ TPMA_RESTRICTED, "restricted must be set" },
		{ TPMA_SIGN, "sign must be set" },
		{ TPMA_FIXED_TPM, "fixedTPM must be set" },
		{ TPMA_FIXED_PARENT, "fixedParent must be set" },
		{ TPMA_SENSITIVE_DATA_ORIGIN, "sensitiveDataOrigin must be set" },
		{ TPMA_DECRYPT, "decrypt must be clear" },
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		struct tpm_public p = keys[SOFTTPM_AK_P256]->pub;
		struct reason why = { "" };

		p.attributes ^= cases[i].bit;
		assert_err(tpm_check_ak(&p, &why), E_PEER_RANGE);
		assert_non_null(strstr(why.text, cases[i].name));
	}
}

static void no_change(struct tpm_public *p)
{
	(void)p;
}
static void one_policy_bit(struct tpm_public *p)
{
	static uint8_t policy[48];

	memcpy(policy, p->auth_policy.p, p->auth_policy.n);
	policy[31] ^= 1;
	p->auth_policy.p = policy;
}
static void no_policy(struct tpm_public *p)
{
	p->auth_policy = BYTES_NONE;
}
static void some_policy(struct tpm_public *p)
{
	p->auth_policy = keys[SOFTTPM_EK_P256]->pub.auth_policy;
}
static void sym_none(struct tpm_public *p)
{
	p->sym_alg = TPM_ALG_NULL;
}
static void sym_aes(struct tpm_public *p)
{
	p->sym_alg = TPM_ALG_AES;
}
static void sym_other_bits(struct tpm_public *p)
{
	p->sym_bits = p->sym_bits == 128 ? 256 : 128;
}
static void sym_short(struct tpm_public *p)
{
	p->sym_bits = 64;
}
static void sym_mode(struct tpm_public *p)
{
	p->sym_mode = 0x0040;
}
static void scheme_none(struct tpm_public *p)
{
	p->scheme = TPM_ALG_NULL;
	p->scheme_hash = 0;
}
static void scheme_oaep(struct tpm_public *p)
{
	p->scheme = TPM_ALG_OAEP;
}
static void scheme_ecdsa(struct tpm_public *p)
{
	p->scheme = TPM_ALG_ECDSA;
	p->scheme_hash = TPM_ALG_SHA256;
}
static void hash_sha1(struct tpm_public *p)
{
	p->scheme_hash = TPM_ALG_SHA1;
}
static void hash_sm3(struct tpm_public *p)
{
	p->scheme_hash = TPM_ALG_SM3_256;
}
static void hash_sha384(struct tpm_public *p)
{
	p->scheme_hash = TPM_ALG_SHA384;
}
static void name_sha1(struct tpm_public *p)
{
	p->name_alg = TPM_ALG_SHA1;
}
static void name_sha384(struct tpm_public *p)
{
	p->name_alg = TPM_ALG_SHA384;
}
static void curve_p384(struct tpm_public *p)
{
	p->ecc_curve = TPM_ECC_P384;
}
static void curve_p521(struct tpm_public *p)
{
	p->ecc_curve = TPM_ECC_P521;
}
static void bits_1024(struct tpm_public *p)
{
	p->rsa_bits = 1024;
}
static void bits_3072(struct tpm_public *p)
{
	p->rsa_bits = 3072;
}
static void bits_4104(struct tpm_public *p)
{
	p->rsa_bits = 4104;
}
static void exponent_3(struct tpm_public *p)
{
	p->rsa_exponent = 3;
}
static void exponent_65537(struct tpm_public *p)
{
	p->rsa_exponent = 65537;
}
static void type_rsa(struct tpm_public *p)
{
	p->type = TPM_ALG_RSA;
	p->rsa_bits = 2048;
}

struct change {
	enum softtpm_template t;
	void (*apply)(struct tpm_public *p);
	enum err_code want;
};

static void check_changes(const struct change *changes, size_t n, check_fn *check)
{
	for (size_t i = 0; i < n; i++) {
		struct tpm_public p = keys[changes[i].t]->pub;
		struct reason why = { "" };

		changes[i].apply(&p);
		assert_code(check(&p, &why), changes[i].want);
		assert_int_equal(why.text[0] == '\0', changes[i].want == E_OK);
	}
}

static void test_N4_other_ek(void **state)
{
	static const struct change changes[] = {
		{ SOFTTPM_EK_RSA2048, no_change, E_OK },
		{ SOFTTPM_EK_RSA2048, exponent_65537, E_OK },
		{ SOFTTPM_EK_RSA2048, exponent_3, E_PEER_RANGE },
		{ SOFTTPM_EK_RSA2048, one_policy_bit, E_PEER_RANGE },
		{ SOFTTPM_EK_RSA2048, no_policy, E_PEER_RANGE },
		{ SOFTTPM_EK_RSA2048, bits_1024, E_PEER_RANGE },
		{ SOFTTPM_EK_RSA2048, bits_3072, E_PEER_RANGE }, /* with the policy of 2048 bits */
		{ SOFTTPM_EK_RSA2048, name_sha1, E_PEER_RANGE },
		{ SOFTTPM_EK_RSA2048, sym_none, E_PEER_RANGE },
		{ SOFTTPM_EK_RSA2048, sym_other_bits, E_PEER_RANGE },
		{ SOFTTPM_EK_RSA2048, sym_mode, E_PEER_RANGE },
		{ SOFTTPM_EK_RSA2048, scheme_oaep, E_PEER_RANGE },
		{ SOFTTPM_EK_P256, one_policy_bit, E_PEER_RANGE },
		{ SOFTTPM_EK_P256, curve_p384, E_PEER_RANGE },
		{ SOFTTPM_EK_P256, scheme_ecdsa, E_PEER_RANGE },
		{ SOFTTPM_EK_P384, one_policy_bit, E_PEER_RANGE },
		{ SOFTTPM_EK_P384, sym_other_bits, E_PEER_RANGE },
		{ SOFTTPM_EK_P384, curve_p521, E_PEER_RANGE },
	};

	(void)state;
	check_changes(changes, array_len(changes), tpm_check_ek);
}

static void test_K3_other_ak(void **state)
{
	static const struct change changes[] = {
		{ SOFTTPM_AK_P256, no_change, E_OK },
		{ SOFTTPM_AK_P256, name_sha384, E_OK },
		{ SOFTTPM_AK_P256, hash_sha384, E_OK },
		{ SOFTTPM_AK_P256, curve_p384, E_OK },
		{ SOFTTPM_AK_P256, curve_p521, E_PEER_RANGE },
		{ SOFTTPM_AK_P256, name_sha1, E_PEER_RANGE },
		{ SOFTTPM_AK_P256, hash_sha1, E_PEER_RANGE },
		{ SOFTTPM_AK_P256, hash_sm3, E_PEER_RANGE },
		{ SOFTTPM_AK_P256, scheme_none, E_PEER_RANGE },
		{ SOFTTPM_AK_P256, scheme_oaep, E_PEER_RANGE },
		{ SOFTTPM_AK_P256, sym_aes, E_PEER_RANGE },
		{ SOFTTPM_AK_RSASSA, bits_3072, E_OK },
		{ SOFTTPM_AK_RSASSA, exponent_65537, E_OK },
		{ SOFTTPM_AK_RSASSA, exponent_3, E_PEER_RANGE },
		{ SOFTTPM_AK_RSASSA, bits_1024, E_PEER_RANGE },
		{ SOFTTPM_AK_RSASSA, bits_4104, E_PEER_RANGE },
		{ SOFTTPM_AK_RSASSA, name_sha1, E_PEER_RANGE },
		{ SOFTTPM_AK_RSASSA, hash_sha1, E_PEER_RANGE },
		{ SOFTTPM_AK_RSASSA, scheme_none, E_PEER_RANGE },
		{ SOFTTPM_AK_RSASSA, scheme_oaep, E_PEER_RANGE },
		{ SOFTTPM_AK_RSAPSS, hash_sha1, E_PEER_RANGE },
	};

	(void)state;
	check_changes(changes, array_len(changes), tpm_check_ak);
}

static void test_C4_other_workload_key(void **state)
{
	static const struct change changes[] = {
		{ SOFTTPM_WORKLOAD, no_change, E_OK },
		{ SOFTTPM_WORKLOAD, curve_p384, E_PEER_RANGE },
		{ SOFTTPM_WORKLOAD, type_rsa, E_PEER_RANGE },
		{ SOFTTPM_WORKLOAD, scheme_none, E_PEER_RANGE },
		{ SOFTTPM_WORKLOAD, scheme_oaep, E_PEER_RANGE },
		{ SOFTTPM_WORKLOAD, hash_sha384, E_PEER_RANGE },
		{ SOFTTPM_WORKLOAD, hash_sha1, E_PEER_RANGE },
		{ SOFTTPM_WORKLOAD, name_sha384, E_PEER_RANGE },
		{ SOFTTPM_WORKLOAD, sym_aes, E_PEER_RANGE },
		{ SOFTTPM_WORKLOAD, some_policy, E_PEER_RANGE },
	};

	(void)state;
	check_changes(changes, array_len(changes), tpm_check_workload_key);
}

static void test_other_null_primary(void **state)
{
	static const struct change changes[] = {
		{ SOFTTPM_NULL_PRIMARY, no_change, E_OK },
		{ SOFTTPM_NULL_PRIMARY, sym_other_bits, E_OK },
		{ SOFTTPM_NULL_PRIMARY, sym_none, E_PEER_RANGE },
		{ SOFTTPM_NULL_PRIMARY, sym_short, E_PEER_RANGE },
		{ SOFTTPM_NULL_PRIMARY, sym_mode, E_PEER_RANGE },
		{ SOFTTPM_NULL_PRIMARY, name_sha1, E_PEER_RANGE },
		{ SOFTTPM_NULL_PRIMARY, scheme_ecdsa, E_PEER_RANGE },
	};

	(void)state;
	check_changes(changes, array_len(changes), tpm_check_null_primary);
}

#define X32 "0020a89bb6a28c46114a52a409e44816683cf8f655ab8d502af2ce8e6bf447843292"
#define Y32 "0020528300193c905d70241d2202966d9589243ec54db42913fd60849049b86174a9"

static const struct {
	const char *what, *hex;
	enum err_code want;
} areas[] = {
	{ "null primary", "0023000b000300720000000600800043001000030010" X32 Y32, E_OK },
	{ "K3 P-192", "0023000b00050072000000100018000b00010010" X32 Y32, E_PEER_UNSUPPORTED },
	{ "K3 P-224", "0023000b00050072000000100018000b00020010" X32 Y32, E_PEER_UNSUPPORTED },
	{ "SM2 curve", "0023000b00050072000000100018000b00200010" X32 Y32, E_PEER_UNSUPPORTED },
	{ "KDF", "0023000b00050072000000100018000b00030022000b" X32 Y32, E_PEER_UNSUPPORTED },
	{ "keyed hash", "0008000b0005007200000010", E_PEER_UNSUPPORTED },
	{ "symmetric object", "0025000b00050072000000060080004300000000", E_PEER_UNSUPPORTED },
	{ "unknown name algorithm", "0023002700050072000000100018000b00030010" X32 Y32, E_PEER_UNSUPPORTED },
	{ "no name algorithm", "0023001000050072000000100018000b00030010" X32 Y32, E_PEER_UNSUPPORTED },
	{ "ECDAA", "0023000b0005007200000010001a000b000100030010" X32 Y32, E_PEER_UNSUPPORTED },
	{ "RSA scheme on a curve", "0023000b00050072000000100014000b00030010" X32 Y32, E_PEER_UNSUPPORTED },
	{ "unknown scheme hash", "0023000b00050072000000100018002700030010" X32 Y32, E_PEER_UNSUPPORTED },
	{ "Camellia", "0023000b000300720000002600800043001000030010" X32 Y32, E_PEER_UNSUPPORTED },
	{ "policy of 31 bytes",
	  "0023000b00050072001f000000000000000000000000000000000000000000000000000000000000000010"
	  "0018000b00030010" X32 Y32,
	  E_PEER_RANGE },
	{ "policy of SHA-384 with SHA-256",
	  "0023000b000500720030000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
	  "0000000000000000"
	  "00100018000b00030010" X32 Y32,
	  E_PEER_RANGE },
	{ "empty x", "0023000b00050072000000100018000b000300100000" Y32, E_PEER_RANGE },
	{ "empty y", "0023000b00050072000000100018000b00030010" X32 "0000", E_PEER_RANGE },
	{ "x of 33 bytes",
	  "0023000b00050072000000100018000b00030010"
	  "002100a89bb6a28c46114a52a409e44816683cf8f655ab8d502af2ce8e6bf447843292" Y32,
	  E_PEER_RANGE },
	{ "y of 33 bytes",
	  "0023000b00050072000000100018000b00030010" X32
	  "002100528300193c905d70241d2202966d9589243ec54db42913fd60849049b86174a9",
	  E_PEER_RANGE },
	{ "trailing byte", "0023000b00050072000000100018000b00030010" X32 Y32 "00", E_PEER_TRAILING },
};

static void test_K3_public_area_form(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(areas); i++) {
		cleanup_buf struct buf in = BUF_INIT(0);
		struct tpm_public p = { .type = 0x7777 };

		assert_code(tpm_public_parse(unhex_(&in, areas[i].hex), &p), areas[i].want);
		if (areas[i].want != E_OK)
			assert_int_equal(p.type, 0x7777);
	}
}

static void test_public_area_cut_at_every_length(void **state)
{
	(void)state;
	for (size_t t = 0; t < N_SOFTTPM_TEMPLATES; t++) {
		for (size_t n = 0; n < keys[t]->area.n; n++) {
			cleanup_buf struct buf cut = BUF_INIT(LIMIT_TPM2B);
			struct tpm_public p;

			assert_ok(buf_add(&cut, BYTES(keys[t]->area.p, n)));
			assert_true(failed(tpm_public_parse(buf_bytes(&cut), &p)));
		}
	}
}

static void test_X2_public_area_above_the_cap(void **state)
{
	cleanup_buf struct buf in = BUF_INIT(LIMIT_TPM2B + 3);
	struct tpm_public p;

	(void)state;
	assert_ok(buf_reserve(&in, LIMIT_TPM2B + 3));
	memset(in.p, 0, LIMIT_TPM2B + 3);
	assert_err(tpm_public_parse(BYTES(in.p, LIMIT_TPM2B + 1), &p), E_LIMIT_SIZE);
	in.p[0] = 0x10;
	in.p[1] = 0x01;
	assert_err(tpm2b_public_parse(BYTES(in.p, LIMIT_TPM2B + 3), &p), E_LIMIT_SIZE);
}

static void test_point_off_the_curve(void **state)
{
	cleanup_buf struct buf in = BUF_INIT(0);
	cleanup_key struct key *k = NULL;
	struct tpm_public p;

	(void)state;
	unhex_(&in, areas[0].hex);
	in.p[in.n - 1] ^= 1;
	assert_ok(tpm_public_parse(buf_bytes(&in), &p));
	assert_err(tpm_public_key(&p, &k), E_PEER_RANGE);
}

static int setup(void **state)
{
	(void)state;
	for (size_t t = 0; t < N_SOFTTPM_TEMPLATES; t++) {
		const struct softtpm_spec spec = softtpm_spec_of((enum softtpm_template)t);

		if (failed(softtpm_key_new(&spec, &keys[t])))
			return 1;
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (size_t t = 0; t < N_SOFTTPM_TEMPLATES; t++)
		softtpm_key_free(keys[t]);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_templates_are_accepted_by_their_check_alone),
		cmocka_unit_test(test_N4_ek_of_swtpm),
		cmocka_unit_test(test_N4_each_attribute_of_an_ek),
		cmocka_unit_test(test_N4_other_ek),
		cmocka_unit_test(test_K2_each_attribute_of_an_ak),
		cmocka_unit_test(test_K2_reason_names_the_attribute),
		cmocka_unit_test(test_K3_other_ak),
		cmocka_unit_test(test_K3_public_area_form),
		cmocka_unit_test(test_C3_each_attribute_of_a_workload_key),
		cmocka_unit_test(test_C4_other_workload_key),
		cmocka_unit_test(test_each_attribute_of_a_null_primary),
		cmocka_unit_test(test_other_null_primary),
		cmocka_unit_test(test_public_area_cut_at_every_length),
		cmocka_unit_test(test_X2_public_area_above_the_cap),
		cmocka_unit_test(test_point_off_the_curve),
	};

	return cmocka_run_group_tests_name("tpm-template", tests, setup, teardown);
}
