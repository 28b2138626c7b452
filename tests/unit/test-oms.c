/* SPDX-License-Identifier: Apache-2.0 */
/* Bundles in process: signed, verified, changed bit by bit, and without memory. What versions and people do is test-oms-cli.py's. */
#include "folder.h"

#include "base/text.h"
#include "firmware-measure/oms.h"
#include "tests/support/fault.h"

static struct key *keys[2];
static struct model_report model;
static struct buf bundle = BUF_INIT(LIMIT_OMS_BUNDLE);

static int make(void **state)
{
	static const struct oms_skip skip = { 0 };
	struct reason why = { "" };

	if (folder_enter(state) != 0)
		return -1;
	put_folder("m");
	put_text("m/config.json", "{}");
	put_text("m/weights", "0123456789");
	assert_ok(key_generate(KEY_EC_P256, &keys[0]));
	assert_ok(key_generate(KEY_EC_P256, &keys[1]));
	assert_ok(model_measure("m", NULL, &model, NULL));
	assert_ok(oms_sign(&model, 0, "m", &skip, keys[0], &bundle, &why));
	return 0;
}

static int drop(void **state)
{
	key_free(keys[0]);
	key_free(keys[1]);
	model_report_done(&model);
	buf_free(&bundle);
	return folder_leave(state);
}

static void count(void *ctx, enum oms_difference kind, const char *path)
{
	(void)kind;
	assert_non_null(path);
	(*(size_t *)ctx)++;
}

static struct err verify(const struct key *k, struct oms_manifest *ret)
{
	struct reason why = { "" };

	return oms_verify(buf_bytes(&bundle), &(struct oms_signer){ .key = k }, ret, &why);
}

static void round_trip(void **state)
{
	cleanup_oms_manifest struct oms_manifest m = { 0 };
	size_t n = 77, n_told = 0;
	char hex[80] = "key ";
	uint8_t d[32];

	(void)state;
	assert_ok(verify(keys[0], &m));
	assert_int_equal(m.n_resources, 2);
	assert_string_equal(m.resources[0].path, "config.json");
	assert_memory_equal(m.root, model.digests.oms_root, 32);
	assert_ok(key_spki_sha256(keys[0], d));
	assert_ok(hex_encode(BYTES_ARR(d), hex + 4, sizeof(hex) - 4));
	assert_string_equal(m.signer, hex);
	assert_ok(oms_compare(&m, &model, count, &n_told, &n));
	assert_int_equal(n, 0);
	assert_int_equal(n_told, 0);
}

/* On failure nothing is given. */
static void another_key(void **state)
{
	struct oms_manifest m = { .n_resources = 77 };

	(void)state;
	assert_code(verify(keys[1], &m), E_AUTH_SIGNATURE);
	assert_int_equal(m.n_resources, 77);
}

/* No key, or two kinds of signers, is a mistake of the caller, never a verification. */
static void nobody(void **state)
{
	cleanup_trust struct trust *t = NULL;
	struct oms_manifest m = { 0 };

	(void)state;
	assert_ok(trust_new(&t));
	assert_code(oms_verify(buf_bytes(&bundle), &(struct oms_signer){ 0 }, &m, NULL), E_BUG);
	assert_code(oms_verify(buf_bytes(&bundle), &(struct oms_signer){ .key = keys[0], .ca = t }, &m, NULL), E_BUG);
}

/* Whether a byte lies in one of the places that prove nothing: members that no reader needs, and the hint. */
static bool is_free(size_t at)
{
	static const char *const names[] = { "tlogEntries", "keyid", "hint" };

	for (size_t i = 0; i < array_len(names); i++) {
		const uint8_t *p = memmem(bundle.p, bundle.n, names[i], strlen(names[i]));
		size_t from = (size_t)(p - bundle.p), len = strlen(names[i]);

		assert_non_null(p);
		/* A hint that is no SHA-256 in hex names nothing that could be compared. */
		if (strcmp(names[i], "hint") == 0)
			len += strlen("\":\"") + 64;
		if (at >= from && at < from + len)
			return true;
	}
	return false;
}

/* Every bit: a change is refused, or it was of no meaning and what is signed is the same. */
static void every_bit(void **state)
{
	cleanup_oms_manifest struct oms_manifest good = { 0 };

	(void)state;
	assert_ok(verify(keys[0], &good));
	for (size_t bit = 0; bit < 8 * bundle.n; bit++) {
		cleanup_oms_manifest struct oms_manifest m = { 0 };
		struct err e;

		bundle.p[bit / 8] ^= (uint8_t)(1U << (bit % 8));
		e = verify(keys[0], &m);
		bundle.p[bit / 8] ^= (uint8_t)(1U << (bit % 8));
		if (failed(e))
			continue;
		if (!is_free(bit / 8))
			fail_msg("bit %zu of byte %zu is not covered", bit % 8, bit / 8);
		assert_int_equal(m.n_resources, good.n_resources);
		assert_memory_equal(m.root, good.root, 32);
		for (size_t i = 0; i < m.n_resources; i++) {
			assert_string_equal(m.resources[i].path, good.resources[i].path);
			assert_memory_equal(m.resources[i].sha256, good.resources[i].sha256, 32);
		}
	}
}

static void cut_anywhere(void **state)
{
	size_t n = bundle.n;

	(void)state;
	for (bundle.n = 0; bundle.n < n; bundle.n++) {
		struct oms_manifest m = { 0 };

		assert_true(failed(verify(keys[0], &m)));
	}
}

static bool lack(struct err e)
{
	return e.code == E_LOCAL_MEMORY || e.code == E_LOCAL_CRYPTO;
}

static void failing_allocations(void **state)
{
	static const struct oms_skip skip = { 0 };
	struct err e;
	long k = 0;

	(void)state;
	do {
		struct oms_manifest m = { 0 };

		fault_begin(k++);
		e = verify(keys[0], &m);
		(void)fault_end();
		assert_true(!failed(e) || lack(e));
		assert_int_equal(m.n_resources, failed(e) ? 0 : 2);
		oms_manifest_done(&m);
	} while (failed(e));
	assert_true(k > 20);
	k = 0;
	do {
		cleanup_buf struct buf b = BUF_INIT(LIMIT_OMS_BUNDLE);

		fault_begin(k++);
		e = oms_sign(&model, 0, "m", &skip, keys[0], &b, NULL);
		(void)fault_end();
		assert_true(!failed(e) || lack(e));
		assert_true(failed(e) == (b.n == 0));
	} while (failed(e));
	assert_true(k > 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip), cmocka_unit_test(another_key),  cmocka_unit_test(nobody),
		cmocka_unit_test(every_bit),  cmocka_unit_test(cut_anywhere), cmocka_unit_test(failing_allocations),
	};

	fault_init();
	return cmocka_run_group_tests_name("oms", tests, make, drop);
}
