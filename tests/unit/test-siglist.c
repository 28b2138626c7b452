/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/logbuild.h"
#include "unit.h"

static void put(struct buf *b, struct bytes data)
{
	assert_ok(buf_add(b, data));
}

/* A list of one type with its own header, entry size and entries. */
static void put_list(struct buf *b, uint32_t list_size, uint32_t header_size, uint32_t entry_size, size_t n_bytes)
{
	put(b, BYTES_LIT("0123456789abcdef"));
	logbuild_u32(b, list_size);
	logbuild_u32(b, header_size);
	logbuild_u32(b, entry_size);
	for (size_t i = 0; i < n_bytes; i++)
		logbuild_u8(b, (uint8_t)i);
}

static void test_entries_of_several_lists(void **state)
{
	cleanup_buf struct buf b = BUF_INIT(LIMIT_SMALL);
	struct siglist_pos pos = { 0 };
	struct siglist s;
	size_t n = 0;

	(void)state;
	logbuild_hash_list(&b, 1, 3);
	logbuild_hash_list(&b, 9, 0);
	put_list(&b, 28 + 4 + 40, 4, 20, 44);
	for (size_t i = 0; i < 5; i++) {
		assert_ok(siglist_next(buf_bytes(&b), &pos, &s));
		assert_false(s.end);
		assert_int_equal(s.owner.n, EFI_GUID_SIZE);
		assert_int_equal(s.type, i < 3 ? SIGLIST_SHA256 : SIGLIST_OTHER);
		assert_int_equal(s.data.n, i < 3 ? 32 : 4);
		assert_int_equal(s.data.p[0], i < 3 ? 1 + i : i == 3 ? 20 : 40);
	}
	assert_ok(siglist_next(buf_bytes(&b), &pos, &s));
	assert_true(s.end);
	assert_ok(siglist_count(buf_bytes(&b), &n));
	assert_int_equal(n, 5);
	assert_ok(siglist_count(BYTES_NONE, &n));
	assert_int_equal(n, 0);
	assert_string_equal(siglist_type_name(SIGLIST_X509_SHA256), "x509-sha256");
	assert_string_equal(siglist_type_name(SIGLIST_OTHER), "other");
}

static void test_E9_sizes_that_do_not_fit(void **state)
{
	static const struct {
		uint32_t list_size, header_size, entry_size;
		size_t n_bytes;
		enum err_code want;
	} cases[] = {
		{ 28 + 32, 0, 16, 32, E_OK },         /* entries that are owners only */
		{ 28 + 32, 0, 15, 32, E_PEER_RANGE }, /* no room for the owner */
		{ 28 + 32, 0, 0, 32, E_PEER_RANGE },
		{ 28 + 33, 0, 16, 33, E_PEER_RANGE }, /* does not divide */
		{ 28 + 32, 1, 16, 32, E_PEER_RANGE }, /* does not divide behind the header */
		{ 28 + 32, 33, 16, 32, E_PEER_TRUNCATED },
		{ 28 + 32, UINT32_MAX, 16, 32, E_PEER_TRUNCATED },
		{ 28 + 32, 0, UINT32_MAX, 32, E_PEER_RANGE },
		{ 28 + 33, 0, 16, 32, E_PEER_TRUNCATED },
		{ UINT32_MAX, 0, 16, 32, E_PEER_TRUNCATED },
		{ 27, 0, 16, 32, E_PEER_RANGE }, /* smaller than what was read */
		{ 0, 0, 16, 32, E_PEER_RANGE },
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		cleanup_buf struct buf b = BUF_INIT(LIMIT_SMALL);
		size_t n;

		put_list(&b, cases[i].list_size, cases[i].header_size, cases[i].entry_size, cases[i].n_bytes);
		assert_code(siglist_count(buf_bytes(&b), &n), cases[i].want);
	}
}

static void test_a_hash_has_its_size(void **state)
{
	cleanup_buf struct buf b = BUF_INIT(LIMIT_SMALL);
	struct siglist_pos pos = { 0 }, before = pos;
	struct siglist s;

	(void)state;
	logbuild_hash_list(&b, 1, 1);
	b.p[16] = 28 + 47;
	b.p[24] = 47;
	assert_ok(buf_truncate(&b, b.n - 1));
	assert_err(siglist_next(buf_bytes(&b), &pos, &s), E_PEER_RANGE);
	assert_memory_equal(&pos, &before, sizeof(pos));
}

static void test_every_cut(void **state)
{
	cleanup_buf struct buf b = BUF_INIT(LIMIT_SMALL);
	size_t n, first;

	(void)state;
	logbuild_hash_list(&b, 1, 3);
	first = b.n;
	logbuild_hash_list(&b, 5, 2);
	for (size_t cut = 0; cut <= b.n; cut++) {
		cleanup_free uint8_t *exact = malloc(cut + 1);
		struct err e;

		assert_non_null(exact);
		memcpy(exact + 1, b.p, cut); /* ends where the memory does */
		e = siglist_count(BYTES(exact + 1, cut), &n);
		assert_code(e, cut == 0 || cut == first || cut == b.n ? E_OK : E_PEER_TRUNCATED);
	}
}

static void test_too_many(void **state)
{
	cleanup_buf struct buf b = BUF_INIT(16 * MIB);
	size_t n;

	(void)state;
	put_list(&b, 28 + 16 * SIGLIST_MAX_ENTRIES, 0, 16, 16 * (size_t)SIGLIST_MAX_ENTRIES);
	assert_ok(siglist_count(buf_bytes(&b), &n));
	assert_int_equal(n, SIGLIST_MAX_ENTRIES);
	put_list(&b, 28 + 16, 0, 16, 16);
	assert_err(siglist_count(buf_bytes(&b), &n), E_LIMIT_COUNT);
}

static void test_E12_dbx_is_a_superset(void **state)
{
	cleanup_buf struct buf have = BUF_INIT(LIMIT_SMALL), want = BUF_INIT(LIMIT_SMALL);
	struct siglist first;
	size_t n = 99;

	(void)state;
	logbuild_hash_list(&want, 20, 3);
	logbuild_hash_list(&want, 10, 2);
	logbuild_hash_list(&have, 10, 13); /* another order, and more */
	assert_ok(siglist_missing(buf_bytes(&have), buf_bytes(&want), &n, &first));
	assert_int_equal(n, 0);
	assert_true(first.end);
	buf_clear(&have);
	logbuild_hash_list(&have, 10, 12); /* 22 is gone */
	assert_ok(siglist_missing(buf_bytes(&have), buf_bytes(&want), &n, &first));
	assert_int_equal(n, 1);
	assert_int_equal(first.data.p[0], 22);
	assert_ok(siglist_missing(BYTES_NONE, buf_bytes(&want), &n, NULL));
	assert_int_equal(n, 5);
	assert_ok(siglist_missing(buf_bytes(&have), BYTES_NONE, &n, NULL));
	assert_int_equal(n, 0);
	assert_err(siglist_missing(buf_bytes(&have), BYTES_LIT("x"), &n, NULL), E_PEER_TRUNCATED);
	assert_err(siglist_missing(BYTES_LIT("x"), buf_bytes(&want), &n, NULL), E_PEER_TRUNCATED);
	assert_int_equal(n, 0);
}

static void test_E12_type_counts_and_owner_does_not(void **state)
{
	cleanup_buf struct buf have = BUF_INIT(LIMIT_SMALL), want = BUF_INIT(LIMIT_SMALL);
	size_t n;

	(void)state;
	logbuild_hash_list(&want, 1, 1);
	logbuild_hash_list(&have, 1, 1);
	have.p[28] ^= 1; /* owner */
	assert_ok(siglist_missing(buf_bytes(&have), buf_bytes(&want), &n, NULL));
	assert_int_equal(n, 0);
	have.p[0] ^= 1; /* type */
	assert_ok(siglist_missing(buf_bytes(&have), buf_bytes(&want), &n, NULL));
	assert_int_equal(n, 1);
}

static void test_guid_text(void **state)
{
	char text[EFI_GUID_TEXT_SIZE];
	cleanup_buf struct buf b = BUF_INIT(0);

	(void)state;
	efi_guid_text(unhex_(&b, "cbb219d73a3d9645a3bcdad00e67656f"), text);
	assert_string_equal(text, "d719b2cb-3d3a-4596-a3bc-dad00e67656f");
	efi_guid_text(BYTES_LIT("short"), text);
	assert_string_equal(text, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_entries_of_several_lists),
		cmocka_unit_test(test_E9_sizes_that_do_not_fit),
		cmocka_unit_test(test_a_hash_has_its_size),
		cmocka_unit_test(test_every_cut),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_E12_dbx_is_a_superset),
		cmocka_unit_test(test_E12_type_counts_and_owner_does_not),
		cmocka_unit_test(test_guid_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
