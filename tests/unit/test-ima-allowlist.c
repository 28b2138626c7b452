/* SPDX-License-Identifier: Apache-2.0 */
#include "folder.h"

#include "base/file.h"
#include "firmware-measure/ima_allowlist.h"

/* A digest that differs from the others; i spreads over the leading bits. */
static void digest_n(uint32_t i, uint8_t out[32])
{
	struct digest d;
	const uint8_t in[4] = { (uint8_t)(i >> 24), (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i };

	assert_ok(digest_one(DIGEST_SHA256, BYTES_ARR(in), &d));
	memcpy(out, d.v, 32);
}

static struct ima_digest entry_digest(const uint8_t value[32])
{
	return (struct ima_digest){ .kind = IMA_DIGEST_FILE, .alg = DIGEST_SHA256, .value = BYTES(value, 32) };
}

static void build(struct buf *ret, uint32_t n)
{
	cleanup_ima_allowlist_builder struct ima_allowlist_builder b = { 0 };
	size_t count;
	uint8_t d[32];

	assert_ok(ima_allowlist_begin(&b, DIGEST_SHA256, IMA_DIGEST_FILE));
	for (uint32_t i = 0; i < n; i++) {
		digest_n(i, d);
		assert_ok(ima_allowlist_add(&b, BYTES_ARR(d)));
	}
	for (uint32_t i = 0; i < n; i += 3) { /* twice */
		digest_n(i, d);
		assert_ok(ima_allowlist_add(&b, BYTES_ARR(d)));
	}
	assert_ok(ima_allowlist_finish(&b, &count));
	assert_int_equal(count, n);
	buf_init(ret, SIZE_MAX);
	assert_ok(buf_add(ret, buf_bytes(&b.file)));
}

static struct err open_bytes(struct bytes file, struct ima_allowlist **ret)
{
	assert_ok(file_write(AT_FDCWD, "list", file, 0644));
	return ima_allowlist_open(AT_FDCWD, "list", ret, NULL);
}

/* Everything that was put in is in, nothing else, at every size from one digest on. */
static void round_trip(void **state)
{
	static const uint32_t sizes[] = { 1, 2, 3, 255, 256, 257, 5000 };

	(void)state;
	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		cleanup_ima_allowlist struct ima_allowlist *a = NULL;
		cleanup_buf struct buf file = { 0 };
		uint8_t d[32], sum[32], want[32];
		struct ima_digest e;

		build(&file, sizes[s]);
		assert_int_equal(file.n, IMA_ALLOWLIST_HEADER + 32 * (size_t)sizes[s]);
		assert_ok(open_bytes(buf_bytes(&file), &a));
		assert_int_equal(ima_allowlist_count(a), sizes[s]);
		assert_int_equal(ima_allowlist_alg(a), DIGEST_SHA256);
		assert_int_equal(ima_allowlist_kind(a), IMA_DIGEST_FILE);
		assert_true(ima_allowlist_index_size(a) <= 68 + sizes[s] / 4);
		assert_ok(sha256(buf_bytes(&file), want));
		assert_ok(ima_allowlist_sha256(a, sum));
		assert_memory_equal(sum, want, 32);
		for (uint32_t i = 0; i < 2 * sizes[s]; i++) {
			digest_n(i, d);
			e = entry_digest(d);
			assert_int_equal(ima_allowlist_has(a, &e), i < sizes[s]);
			e.kind = IMA_DIGEST_VERITY;
			assert_false(ima_allowlist_has(a, &e));
			e = entry_digest(d);
			e.alg = DIGEST_SM3_256;
			assert_false(ima_allowlist_has(a, &e));
			e = entry_digest(d);
			e.value.n = 31;
			assert_false(ima_allowlist_has(a, &e));
		}
	}
}

/* Digests that all begin alike, and the least and the greatest there can be. */
static void chosen_digests(void **state)
{
	cleanup_ima_allowlist_builder struct ima_allowlist_builder b = { 0 };
	cleanup_ima_allowlist struct ima_allowlist *a = NULL;
	uint8_t d[32];
	struct ima_digest e = entry_digest(d);
	size_t n;

	(void)state;
	assert_ok(ima_allowlist_begin(&b, DIGEST_SHA256, IMA_DIGEST_FILE));
	memset(d, 0xff, 32);
	assert_ok(ima_allowlist_add(&b, BYTES_ARR(d)));
	memset(d, 0, 32);
	assert_ok(ima_allowlist_add(&b, BYTES_ARR(d)));
	for (unsigned i = 0; i < 3000; i++) {
		d[30] = (uint8_t)(i >> 7);
		d[31] = (uint8_t)(i << 1);
		assert_ok(ima_allowlist_add(&b, BYTES_ARR(d)));
	}
	assert_ok(ima_allowlist_finish(&b, &n));
	assert_int_equal(n, 3001); /* 0 was there twice */
	assert_ok(open_bytes(buf_bytes(&b.file), &a));
	for (unsigned i = 0; i < 6000; i++) {
		d[30] = (uint8_t)(i >> 8);
		d[31] = (uint8_t)i;
		assert_int_equal(ima_allowlist_has(a, &e), i % 2 == 0);
	}
	memset(d, 0xff, 32);
	assert_true(ima_allowlist_has(a, &e));
	d[31] = 0xfe;
	assert_false(ima_allowlist_has(a, &e));
}

static void expect(struct buf *file, size_t at, uint8_t x, enum err_code want)
{
	cleanup_ima_allowlist struct ima_allowlist *a = NULL;

	file->p[at] ^= x;
	assert_code(open_bytes(buf_bytes(file), &a), want);
	assert_null(a);
	file->p[at] ^= x;
}

static void refused(void **state)
{
	cleanup_buf struct buf file = { 0 }, more = BUF_INIT(SIZE_MAX);
	struct ima_allowlist *a = NULL;
	uint8_t swap[32];

	(void)state;
	build(&file, 100);
	expect(&file, 0, 1, E_PEER_SYNTAX);
	expect(&file, 11, 3, E_PEER_UNSUPPORTED);    /* version */
	expect(&file, 13, 0x40, E_PEER_UNSUPPORTED); /* algorithm */
	expect(&file, 15, 2, E_PEER_UNSUPPORTED);    /* kind */
	expect(&file, 23, 1, E_PEER_TRUNCATED);      /* count 101 */
	expect(&file, 23, 4, E_PEER_TRAILING);       /* count 96 */
	expect(&file, 23, 100, E_PEER_RANGE);        /* count 0 */
	expect(&file, 19, 1, E_PEER_RANGE);          /* count above 32 bits */
	expect(&file, 16, 0x80, E_PEER_RANGE);
	expect(&file, 31, 1, E_PEER_SYNTAX); /* reserved */
	for (size_t n = 0; n < file.n; n += n < 64 ? 1 : 13)
		assert_code(open_bytes(BYTES(file.p, n), &a), E_PEER_TRUNCATED);
	assert_ok(buf_add(&more, buf_bytes(&file)));
	assert_ok(buf_add_u8(&more, 0));
	assert_err(open_bytes(buf_bytes(&more), &a), E_PEER_TRAILING);
	for (size_t i = 1; i < 100; i++) { /* any neighbours swapped, any one doubled */
		uint8_t *p = file.p + IMA_ALLOWLIST_HEADER + 32 * i;

		memcpy(swap, p, 32);
		memcpy(p, p - 32, 32);
		assert_err(open_bytes(buf_bytes(&file), &a), E_PEER_DUPLICATE);
		memcpy(p - 32, swap, 32);
		assert_err(open_bytes(buf_bytes(&file), &a), E_PEER_NOT_CANONICAL);
		memcpy(p - 32, p, 32);
		memcpy(p, swap, 32);
	}
	assert_ok(open_bytes(buf_bytes(&file), &a));
	ima_allowlist_free(a);
}

static void refused_files(void **state)
{
	cleanup_buf struct buf file = { 0 };
	struct ima_allowlist *a = NULL;
	struct reason why = { "" };

	(void)state;
	build(&file, 3);
	assert_ok(file_write(AT_FDCWD, "list", buf_bytes(&file), 0644));
	assert_err(ima_allowlist_open(AT_FDCWD, "none", &a, &why), E_LOCAL_NOT_FOUND);
	assert_int_equal(symlink("list", "link"), 0);
	assert_err(ima_allowlist_open(AT_FDCWD, "link", &a, &why), E_LOCAL_IO);
	assert_int_equal(mkfifo("fifo", 0600), 0);
	assert_err(ima_allowlist_open(AT_FDCWD, "fifo", &a, &why), E_LOCAL_IO);
	assert_err(ima_allowlist_open(AT_FDCWD, ".", &a, &why), E_LOCAL_IO);
	assert_int_equal(chmod("list", 0664), 0);
	assert_err(ima_allowlist_open(AT_FDCWD, "list", &a, &why), E_LOCAL_PERMISSION);
	assert_non_null(strstr(why.text, "0664"));
	assert_int_equal(chmod("list", 0646), 0);
	assert_err(ima_allowlist_open(AT_FDCWD, "list", &a, &why), E_LOCAL_PERMISSION);
	assert_null(a);
}

static void builder_rules(void **state)
{
	cleanup_ima_allowlist_builder struct ima_allowlist_builder b = { 0 };
	uint8_t d[48] = { 1 };
	size_t n;

	(void)state;
	assert_err(ima_allowlist_begin(&b, N_DIGESTS, IMA_DIGEST_FILE), E_BUG);
	assert_ok(ima_allowlist_begin(&b, DIGEST_SHA384, IMA_DIGEST_VERITY));
	assert_err(ima_allowlist_finish(&b, &n), E_PEER_MISSING);
	assert_err(ima_allowlist_add(&b, BYTES(d, 32)), E_PEER_RANGE);
	assert_ok(ima_allowlist_add(&b, BYTES_ARR(d)));
	assert_ok(ima_allowlist_finish(&b, &n));
	assert_int_equal(n, 1);
	assert_err(ima_allowlist_add(&b, BYTES_ARR(d)), E_BUG);
	assert_err(ima_allowlist_finish(&b, &n), E_BUG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(round_trip, folder_enter, folder_leave),
		cmocka_unit_test_setup_teardown(chosen_digests, folder_enter, folder_leave),
		cmocka_unit_test_setup_teardown(refused, folder_enter, folder_leave),
		cmocka_unit_test_setup_teardown(refused_files, folder_enter, folder_leave),
		cmocka_unit_test_setup_teardown(builder_rules, folder_enter, folder_leave),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
