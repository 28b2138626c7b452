/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "base/rd.h"
#include "base/wr.h"

#define SEVEN "\x01\x82\x03\x84\x05\x86\x07"
#define EIGHT SEVEN "\x88"

static void integers_in_both_orders(void **state)
{
	const struct bytes in = BYTES_LIT(EIGHT);
	struct rd r;
	uint8_t u8;
	uint16_t u16;
	uint32_t u32;
	uint64_t u64;

	(void)state;
	r = RD(in);
	assert_ok(rd_u8(&r, &u8));
	assert_int_equal(u8, 0x01);
	assert_int_equal(rd_left(&r), 7);
	assert_err(rd_end(&r), E_PEER_TRAILING);
	r = RD(in);
	assert_ok(rd_u16be(&r, &u16));
	assert_int_equal(u16, 0x0182);
	assert_ok(rd_u16le(&r, &u16));
	assert_int_equal(u16, 0x8403);
	assert_ok(rd_u32be(&r, &u32));
	assert_int_equal(u32, 0x05860788);
	assert_ok(rd_end(&r));
	r = RD(in);
	assert_ok(rd_u32le(&r, &u32));
	assert_int_equal(u32, 0x84038201);
	r = RD(in);
	assert_ok(rd_u64be(&r, &u64));
	assert_true(u64 == 0x0182038405860788);
	assert_ok(rd_end(&r));
	r = RD(in);
	assert_ok(rd_u64le(&r, &u64));
	assert_true(u64 == 0x8807860584038201);
}

static struct err read_kind(struct rd *r, unsigned kind, uint64_t *ret)
{
	uint8_t u8 = 0x5a;
	uint16_t u16 = 0x5a5a;
	uint32_t u32 = 0x5a5a5a5a;
	uint64_t u64 = 0x5a5a5a5a5a5a5a5a;
	struct err e = kind == 0   ? rd_u8(r, &u8)
		       : kind == 1 ? rd_u16be(r, &u16)
		       : kind == 2 ? rd_u16le(r, &u16)
		       : kind == 3 ? rd_u32be(r, &u32)
		       : kind == 4 ? rd_u32le(r, &u32)
		       : kind == 5 ? rd_u64be(r, &u64)
				   : rd_u64le(r, &u64);

	*ret = kind == 0 ? u8 : kind <= 2 ? u16 : kind <= 4 ? u32 : u64;
	return e;
}

static void a_short_input_changes_nothing(void **state)
{
	static const struct {
		size_t size;
		uint64_t untouched;
	} kinds[] = {
		{ 1, 0x5a },
		{ 2, 0x5a5a },
		{ 2, 0x5a5a },
		{ 4, 0x5a5a5a5a },
		{ 4, 0x5a5a5a5a },
		{ 8, 0x5a5a5a5a5a5a5a5a },
		{ 8, 0x5a5a5a5a5a5a5a5a },
	};
	uint64_t v;

	(void)state;
	for (unsigned kind = 0; kind < array_len(kinds); kind++) {
		for (size_t n = 0; n <= kinds[kind].size; n++) {
			cleanup_free uint8_t *p = malloc(n + 1);
			struct rd r = { p + 1, n, 0 };

			/* Memory that ends where the view ends. */
			assert_non_null(p);
			memset(p, 0, n + 1);
			assert_code(read_kind(&r, kind, &v), n < kinds[kind].size ? E_PEER_TRUNCATED : E_OK);
			assert_int_equal(r.off, n < kinds[kind].size ? 0 : n);
			assert_true(v == (n < kinds[kind].size ? kinds[kind].untouched : 0));
		}
	}
}

static void views(void **state)
{
	struct rd r = RD(BYTES_LIT("hello"));
	struct bytes v = BYTES_LIT("kept");

	(void)state;
	assert_err(rd_bytes(&r, 6, &v), E_PEER_TRUNCATED);
	assert_err(rd_bytes(&r, SIZE_MAX, &v), E_PEER_TRUNCATED);
	assert_bytes(v, BYTES_LIT("kept"));
	assert_int_equal(r.off, 0);
	assert_ok(rd_bytes(&r, 2, &v));
	assert_bytes(v, BYTES_LIT("he"));
	/* The sum of offset and length would wrap. */
	assert_err(rd_bytes(&r, SIZE_MAX, &v), E_PEER_TRUNCATED);
	assert_err(rd_bytes(&r, SIZE_MAX - 1, &v), E_PEER_TRUNCATED);
	assert_err(rd_bytes(&r, 4, &v), E_PEER_TRUNCATED);
	assert_ok(rd_bytes(&r, 0, &v));
	assert_int_equal(v.n, 0);
	assert_bytes(rd_rest(&r), BYTES_LIT("llo"));
	assert_ok(rd_end(&r));
	assert_bytes(rd_rest(&r), BYTES_NONE);
}

static void nothing_to_read(void **state)
{
	struct rd r = RD(BYTES_NONE);
	struct bytes v;
	uint8_t u8;

	(void)state;
	assert_err(rd_u8(&r, &u8), E_PEER_TRUNCATED);
	assert_ok(rd_bytes(&r, 0, &v));
	assert_int_equal(rd_rest(&r).n, 0);
	assert_ok(rd_end(&r));
}

static void tpm2b(void **state)
{
	static const struct {
		const char *hex;
		size_t max;
		enum err_code code;
		const char *want;
	} cases[] = {
		{ "", 10, E_PEER_TRUNCATED, "" },
		{ "00", 10, E_PEER_TRUNCATED, "" },
		{ "0000", 10, E_OK, "" },
		{ "0000", 0, E_OK, "" },
		{ "0001", 10, E_PEER_TRUNCATED, "" },
		{ "0001aa", 10, E_OK, "aa" },
		{ "0001aabb", 10, E_OK, "aa" },
		{ "0003aabb", 10, E_PEER_TRUNCATED, "" },
		{ "0002aabb", 2, E_OK, "aabb" },
		{ "0003aabbcc", 2, E_LIMIT_SIZE, "" },
		{ "ffff", 2, E_LIMIT_SIZE, "" },
		{ "ffff00", 65535, E_PEER_TRUNCATED, "" },
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		cleanup_buf struct buf in, want;
		struct bytes v = BYTES_LIT("kept");
		struct rd r = RD(unhex_(&in, cases[i].hex));

		unhex_(&want, cases[i].want);
		assert_code(rd_tpm2b(&r, cases[i].max, &v), cases[i].code);
		assert_bytes(v, cases[i].code == E_OK ? buf_bytes(&want) : BYTES_LIT("kept"));
		assert_int_equal(r.off, cases[i].code == E_OK ? 2 + want.n : 0);
	}
}

static void what_is_written_is_read_again(void **state)
{
	cleanup_buf struct buf b = BUF_INIT(100);
	struct rd r;
	struct bytes v;
	uint16_t u16;
	uint32_t u32;
	uint64_t u64;

	(void)state;
	assert_ok(wr_u16be(&b, 0x8001));
	assert_ok(wr_u32be(&b, 0x80010203));
	assert_ok(wr_u64be(&b, 0x8001020304050607));
	assert_ok(wr_tpm2b(&b, BYTES_LIT("abc")));
	assert_ok(wr_tpm2b(&b, BYTES_NONE));
	assert_bytes(buf_bytes(&b), BYTES_LIT("\x80\x01\x80\x01\x02\x03\x80\x01\x02\x03\x04\x05\x06\x07\0\3abc\0\0"));
	r = RD(buf_bytes(&b));
	assert_ok(rd_u16be(&r, &u16));
	assert_ok(rd_u32be(&r, &u32));
	assert_ok(rd_u64be(&r, &u64));
	assert_int_equal(u16, 0x8001);
	assert_int_equal(u32, 0x80010203);
	assert_true(u64 == 0x8001020304050607);
	assert_ok(rd_tpm2b(&r, 3, &v));
	assert_bytes(v, BYTES_LIT("abc"));
	assert_ok(rd_tpm2b(&r, 0, &v));
	assert_int_equal(v.n, 0);
	assert_ok(rd_end(&r));
}

static void a_full_buffer_takes_no_half_field(void **state)
{
	cleanup_buf struct buf b = BUF_INIT(4);

	(void)state;
	assert_err(wr_u64be(&b, 1), E_LIMIT_SIZE);
	assert_err(wr_tpm2b(&b, BYTES_LIT("abc")), E_LIMIT_SIZE);
	assert_int_equal(b.n, 0);
	assert_ok(wr_tpm2b(&b, BYTES_LIT("ab")));
	assert_err(wr_u16be(&b, 1), E_LIMIT_SIZE);
	assert_int_equal(b.n, 4);
}

static void tpm2b_of_16_bits(void **state)
{
	cleanup_buf struct buf b = BUF_INIT(100000);
	cleanup_free uint8_t *data = calloc(1, 65536);

	(void)state;
	assert_non_null(data);
	assert_err(wr_tpm2b(&b, BYTES(data, 65536)), E_LIMIT_SIZE);
	assert_int_equal(b.n, 0);
	assert_ok(wr_tpm2b(&b, BYTES(data, 65535)));
	assert_int_equal(b.n, 65537);
	assert_bytes(BYTES(b.p, 2), BYTES_LIT("\xff\xff"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(integers_in_both_orders),
		cmocka_unit_test(a_short_input_changes_nothing),
		cmocka_unit_test(views),
		cmocka_unit_test(nothing_to_read),
		cmocka_unit_test(tpm2b),
		cmocka_unit_test(what_is_written_is_read_again),
		cmocka_unit_test(a_full_buffer_takes_no_half_field),
		cmocka_unit_test(tpm2b_of_16_bits),
	};

	return cmocka_run_group_tests_name("rd", tests, NULL, NULL);
}
