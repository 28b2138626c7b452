/* SPDX-License-Identifier: Apache-2.0 */
#include "verifier/appraise/nonce.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define NOW 1700000000

static const uint8_t key[32] = { 7 }, other_key[32] = { 8 };
static const struct pcr_selection selection = { 1, { { TPM_ALG_SHA256, 0x20ff } } };
static const struct pcr_selection selection2 = { 1, { { TPM_ALG_SHA256, 0x20fe } } };
static const struct pcr_selection selection3 = { 1, { { TPM_ALG_SHA384, 0x20ff } } };
static const struct pcr_selection selection4 = { 2, { { TPM_ALG_SHA256, 0x20ff }, { TPM_ALG_SHA384, 1 } } };

static const struct nonce_for want = { "attest", BYTES_LIT("h-1"), &selection, BYTES_LIT("policy") };

static const struct {
	const char *name;
	struct nonce_for f;
} others[] = {
	{ "L1 other purpose", { "dpop", BYTES_LIT("h-1"), &selection, BYTES_LIT("policy") } },
	{ "L1 other host", { "attest", BYTES_LIT("h-2"), &selection, BYTES_LIT("policy") } },
	{ "L1 no host", { "attest", { NULL, 0 }, &selection, BYTES_LIT("policy") } },
	{ "L1 purpose runs into the host", { "attesth", BYTES_LIT("-1"), &selection, BYTES_LIT("policy") } },
	{ "L1 other registers", { "attest", BYTES_LIT("h-1"), &selection2, BYTES_LIT("policy") } },
	{ "L1 other bank", { "attest", BYTES_LIT("h-1"), &selection3, BYTES_LIT("policy") } },
	{ "L1 one bank more", { "attest", BYTES_LIT("h-1"), &selection4, BYTES_LIT("policy") } },
	{ "L1 no selection", { "attest", BYTES_LIT("h-1"), NULL, BYTES_LIT("policy") } },
	{ "L1 other policy", { "attest", BYTES_LIT("h-1"), &selection, BYTES_LIT("policz") } },
	{ "L1 no policy", { "attest", BYTES_LIT("h-1"), &selection, { NULL, 0 } } },
};

static void make(int64_t at_s, uint8_t ret[NONCE_LEN])
{
	static const uint8_t random[16] = { 1, 2, 3 };

	assert_false(failed(nonce_make(key, &want, at_s, random, ret)));
}

static enum err_code check(const struct nonce_for *f, int64_t now_s, struct bytes nonce)
{
	struct reason why = { "" };
	struct err e = nonce_check(key, f, now_s, nonce, &why);

	assert_true((why.text[0] != '\0') == failed(e));
	return e.code;
}

static void test_L1_life(void **state)
{
	uint8_t n[NONCE_LEN];

	(void)state;
	make(NOW, n);
	assert_int_equal(nonce_time(BYTES_ARR(n)), NOW);
	assert_int_equal(check(&want, NOW, BYTES_ARR(n)), E_OK);
	assert_int_equal(check(&want, NOW + NONCE_LIFE_S - 1, BYTES_ARR(n)), E_OK);
	assert_int_equal(check(&want, NOW + NONCE_LIFE_S, BYTES_ARR(n)), E_AUTH_NONCE);
	assert_int_equal(check(&want, NOW - NONCE_SKEW_S, BYTES_ARR(n)), E_OK);
	assert_int_equal(check(&want, NOW - NONCE_SKEW_S - 1, BYTES_ARR(n)), E_AUTH_NONCE);
	assert_int_equal(check(&want, INT64_MAX, BYTES_ARR(n)), E_AUTH_NONCE);
	assert_int_equal(check(&want, 0, BYTES_ARR(n)), E_AUTH_NONCE);
}

static void test_L1_for_something_else(void **state)
{
	uint8_t n[NONCE_LEN];

	(void)state;
	make(NOW, n);
	for (size_t i = 0; i < array_len(others); i++) {
		if (check(&others[i].f, NOW, BYTES_ARR(n)) != E_AUTH_NONCE)
			fail_msg("%s", others[i].name);
	}
	assert_int_equal(nonce_check(other_key, &want, NOW, BYTES_ARR(n), NULL).code, E_AUTH_NONCE);
}

static void test_L1_every_bit(void **state)
{
	uint8_t n[NONCE_LEN];

	(void)state;
	make(NOW, n);
	for (size_t i = 0; i < sizeof(n) * 8; i++) {
		n[i / 8] ^= (uint8_t)(1u << i % 8);
		assert_int_equal(check(&want, NOW, BYTES_ARR(n)), E_AUTH_NONCE);
		n[i / 8] ^= (uint8_t)(1u << i % 8);
	}
	for (size_t len = 0; len < sizeof(n); len++)
		assert_int_equal(check(&want, NOW, BYTES(n, len)), E_AUTH_NONCE);
}

static void test_L1_all_differ(void **state)
{
	uint8_t seen[64][NONCE_LEN], random[16] = { 0 };

	(void)state;
	for (size_t i = 0; i < array_len(seen); i++) {
		random[15] = (uint8_t)i;
		assert_false(failed(nonce_make(key, &want, NOW, random, seen[i])));
		for (size_t j = 0; j < i; j++)
			assert_memory_not_equal(seen[i], seen[j], NONCE_LEN);
	}
}

static void test_time_before_1970(void **state)
{
	uint8_t n[NONCE_LEN] = { 0 }, random[16] = { 0 };

	(void)state;
	assert_int_equal(nonce_make(key, &want, -1, random, n).code, E_BUG);
	assert_true(bytes_all(BYTES_ARR(n), 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_L1_life),      cmocka_unit_test(test_L1_for_something_else),
		cmocka_unit_test(test_L1_every_bit), cmocka_unit_test(test_L1_all_differ),
		cmocka_unit_test(test_time_before_1970),
	};

	return cmocka_run_group_tests_name("nonce", tests, NULL, NULL);
}
