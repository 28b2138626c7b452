/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

static void equality(void **state)
{
	static const struct {
		struct bytes a, b;
		bool eq;
	} cases[] = {
		{ BYTES_NONE, BYTES_NONE, true },
		{ BYTES_NONE, { (const uint8_t *)"", 0 }, true },
		{ { (const uint8_t *)"abc", 3 }, { (const uint8_t *)"abc", 3 }, true },
		{ { (const uint8_t *)"abc", 3 }, { (const uint8_t *)"abd", 3 }, false },
		{ { (const uint8_t *)"xbc", 3 }, { (const uint8_t *)"abc", 3 }, false },
		{ { (const uint8_t *)"abc", 3 }, { (const uint8_t *)"abc", 2 }, false },
		{ { (const uint8_t *)"a\0b", 3 }, { (const uint8_t *)"a\0c", 3 }, false },
		{ { (const uint8_t *)"a", 1 }, BYTES_NONE, false },
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		assert_int_equal(bytes_eq(cases[i].a, cases[i].b), cases[i].eq);
		assert_int_equal(bytes_eq(cases[i].b, cases[i].a), cases[i].eq);
		assert_int_equal(bytes_eq_secret(cases[i].a, cases[i].b), cases[i].eq);
		assert_int_equal(bytes_eq_secret(cases[i].b, cases[i].a), cases[i].eq);
		assert_int_equal(bytes_cmp(cases[i].a, cases[i].b) == 0, cases[i].eq);
	}
}

static void order(void **state)
{
	static const struct bytes ascending[] = {
		{ NULL, 0 },
		{ (const uint8_t *)"\x00", 1 },
		{ (const uint8_t *)"\x00\x00", 2 },
		{ (const uint8_t *)"\x01", 1 },
		{ (const uint8_t *)"\x7f\xff", 2 },
		{ (const uint8_t *)"\x80", 1 },
		{ (const uint8_t *)"\xff", 1 },
	};

	(void)state;
	for (size_t i = 0; i < array_len(ascending); i++) {
		for (size_t k = 0; k < array_len(ascending); k++) {
			int c = bytes_cmp(ascending[i], ascending[k]);

			assert_int_equal((c > 0) - (c < 0), (i > k) - (i < k));
		}
	}
}

static void all_the_same(void **state)
{
	(void)state;
	assert_true(bytes_all(BYTES_NONE, 7));
	assert_true(bytes_all(BYTES_LIT("\0\0\0"), 0));
	assert_false(bytes_all(BYTES_LIT("\0\0\1"), 0));
	assert_false(bytes_all(BYTES_LIT("\1\0\0"), 0));
	assert_true(bytes_all(BYTES_LIT("\xff\xff"), 0xff));
}

static void sub_views(void **state)
{
	static const struct {
		size_t off, n;
		enum err_code code;
	} cases[] = {
		{ 0, 0, E_OK },
		{ 0, 5, E_OK },
		{ 2, 3, E_OK },
		{ 5, 0, E_OK },
		{ 0, 6, E_PEER_TRUNCATED },
		{ 5, 1, E_PEER_TRUNCATED },
		{ 6, 0, E_PEER_TRUNCATED },
		{ 1, SIZE_MAX, E_PEER_TRUNCATED },
		{ SIZE_MAX, 1, E_PEER_TRUNCATED },
		{ SIZE_MAX, SIZE_MAX, E_PEER_TRUNCATED },
	};
	const struct bytes b = BYTES_LIT("hello");
	struct bytes sub;

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		sub = BYTES_LIT("kept");
		assert_code(bytes_sub(b, cases[i].off, cases[i].n, &sub), cases[i].code);
		assert_bytes(sub, cases[i].code == E_OK ? BYTES(b.p + cases[i].off, cases[i].n) : BYTES_LIT("kept"));
	}
	assert_ok(bytes_sub(BYTES_NONE, 0, 0, &sub));
	assert_err(bytes_sub(BYTES_NONE, 0, 1, &sub), E_PEER_TRUNCATED);
}

static void exact_copies(void **state)
{
	uint8_t to[3] = { 9, 9, 9 };

	(void)state;
	assert_err(bytes_copy_exact(BYTES_LIT("ab"), to, 3), E_PEER_RANGE);
	assert_err(bytes_copy_exact(BYTES_LIT("abcd"), to, 3), E_PEER_RANGE);
	assert_bytes(BYTES_ARR(to), BYTES_LIT("\x09\x09\x09"));
	assert_ok(bytes_copy_exact(BYTES_LIT("abc"), to, 3));
	assert_bytes(BYTES_ARR(to), BYTES_LIT("abc"));
	assert_ok(bytes_copy_exact(BYTES_NONE, to, 0));
}

static void buffer_grows_up_to_max_and_no_further(void **state)
{
	cleanup_buf struct buf b = BUF_INIT(1000);
	struct buf before;

	(void)state;
	for (unsigned i = 0; i < 1000; i++)
		assert_ok(buf_add_u8(&b, (uint8_t)i));
	assert_int_equal(b.n, 1000);
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(b.p[i], i & 0xff);

	before = b;
	assert_err(buf_add_u8(&b, 0), E_LIMIT_SIZE);
	assert_err(buf_add_str(&b, "x"), E_LIMIT_SIZE);
	assert_err(buf_addf(&b, "%d", 1), E_LIMIT_SIZE);
	assert_err(buf_add(&b, BYTES(b.p, SIZE_MAX)), E_LIMIT_SIZE);
	assert_err(buf_reserve(&b, 1), E_LIMIT_SIZE);
	assert_err(buf_reserve(&b, SIZE_MAX), E_LIMIT_SIZE);
	assert_ok(buf_add(&b, BYTES_NONE));
	assert_memory_equal(&b, &before, sizeof(b));
}

static void buffer_of_nothing(void **state)
{
	cleanup_buf struct buf b = BUF_INIT(0);

	(void)state;
	assert_ok(buf_add(&b, BYTES_NONE));
	assert_ok(buf_add_str(&b, ""));
	assert_ok(buf_addf(&b, "%s", ""));
	assert_err(buf_add_u8(&b, 1), E_LIMIT_SIZE);
	assert_int_equal(b.n, 0);
	buf_clear(&b);
}

/* As without a sanitizer: malloc(3) says no. */
__attribute__((visibility("default"))) const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

static void memory_that_is_not_there(void **state)
{
	cleanup_buf struct buf b = BUF_INIT(SIZE_MAX);
	struct buf before;

	(void)state;
	assert_ok(buf_add_str(&b, "abc"));
	before = b;
	assert_err(buf_reserve(&b, SIZE_MAX - 3), E_LOCAL_MEMORY);
	assert_err(buf_reserve(&b, SIZE_MAX - 2), E_LIMIT_SIZE);
	assert_memory_equal(&b, &before, sizeof(b));
	assert_bytes(buf_bytes(&b), BYTES_LIT("abc"));
}

static void formatting_may_fill_the_buffer_to_the_last_byte(void **state)
{
	cleanup_buf struct buf b = BUF_INIT(10);
	const char *s;

	(void)state;
	assert_ok(buf_addf(&b, "%d-%s", 12345, "abc"));
	assert_err(buf_addf(&b, "%s", "de"), E_LIMIT_SIZE);
	assert_bytes(buf_bytes(&b), BYTES_LIT("12345-abc"));
	assert_ok(buf_addf(&b, "%c", 'd'));
	assert_ok(buf_cstr(&b, &s));
	assert_string_equal(s, "12345-abcd");
	assert_int_equal(b.n, 10);
	assert_err(buf_add_u8(&b, 0), E_LIMIT_SIZE);
}

static void c_string_of_binary_contents_is_refused(void **state)
{
	cleanup_buf struct buf b = BUF_INIT(10);
	const char *s = "kept";

	(void)state;
	assert_ok(buf_add(&b, BYTES_LIT("a\0b")));
	assert_err(buf_cstr(&b, &s), E_PEER_SYNTAX);
	assert_string_equal(s, "kept");
	buf_free(&b);
	assert_ok(buf_cstr(&b, &s));
	assert_string_equal(s, "");
	assert_int_equal(b.n, 0);
}

static void what_is_forgotten_is_wiped(void **state)
{
	cleanup_buf struct buf b = BUF_INIT(100);

	(void)state;
	assert_ok(buf_add_str(&b, "secretpublic"));
	assert_err(buf_truncate(&b, 13), E_BUG);
	assert_int_equal(b.n, 12);
	assert_ok(buf_truncate(&b, 6));
	assert_bytes(buf_bytes(&b), BYTES_LIT("secret"));
	assert_true(bytes_all(BYTES(b.p + 6, 6), 0));
	buf_clear(&b);
	assert_int_equal(b.n, 0);
	assert_true(b.cap >= 12);
	assert_true(bytes_all(BYTES(b.p, 12), 0));
	buf_free(&b);
	assert_null(b.p);
	assert_int_equal(b.n, 0);
	assert_int_equal(b.cap, 0);
	assert_int_equal(b.max, 100);
	assert_ok(buf_add_str(&b, "again"));
}

static void contents_move(void **state)
{
	cleanup_buf struct buf a = BUF_INIT(100), b = BUF_INIT(3);

	(void)state;
	assert_ok(buf_add_str(&a, "hello"));
	assert_ok(buf_reserve(&b, 3));
	buf_move(&b, &a);
	assert_bytes(buf_bytes(&b), BYTES_LIT("hello"));
	assert_int_equal(b.max, 100);
	assert_null(a.p);
	assert_int_equal(a.n, 0);
	assert_int_equal(a.max, 100);
	assert_ok(buf_add_str(&a, "new"));
	assert_bytes(buf_bytes(&b), BYTES_LIT("hello"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equality),
		cmocka_unit_test(order),
		cmocka_unit_test(all_the_same),
		cmocka_unit_test(sub_views),
		cmocka_unit_test(exact_copies),
		cmocka_unit_test(buffer_grows_up_to_max_and_no_further),
		cmocka_unit_test(buffer_of_nothing),
		cmocka_unit_test(memory_that_is_not_there),
		cmocka_unit_test(formatting_may_fill_the_buffer_to_the_last_byte),
		cmocka_unit_test(c_string_of_binary_contents_is_refused),
		cmocka_unit_test(what_is_forgotten_is_wiped),
		cmocka_unit_test(contents_move),
	};

	return cmocka_run_group_tests_name("bytes", tests, NULL, NULL);
}
