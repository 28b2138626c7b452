/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "base/cborx.h"

/* Examples of RFC 8949, appendix A, within the profile, and some of the profile's edges. */
static const char *const accepted[] = {
	"00",
	"17",
	"1818",
	"18ff",
	"190100",
	"19ffff",
	"1a00010000",
	"1affffffff",
	"1b0000000100000000",
	"1bffffffffffffffff",
	"20",
	"37",
	"3818",
	"3903e7",
	"3bffffffffffffffff",
	"40",
	"4401020304",
	"60",
	"6161",
	"62c3bc",
	"63e6b0b4",
	"64f0908591",
	"62225c",
	"f4",
	"f5",
	"f6",
	"80",
	"83010203",
	"8301820203820405",
	"98190102030405060708090a0b0c0d0e0f101112131415161718181819",
	"a0",
	"a201020304",
	"a26161016162820203",
	"826161a161626163",
	"a56161614161626142616361436164614461656145",
	"8181818181818180",     /* eight deep */
	"818181818181818100",   /* eight deep, with contents */
	"828181818181818000",   /* deep first, then back up */
	"a1018181818181818100", /* a map counts like an array */
	"a3000120012101",       /* 0 < -1 < -2: order is that of the encodings */
	"a3170018180018ff00",   /* 23 < 24 < 255 */
	"a20000613000",         /* an integer before a text */
	"a2617a0062616100",     /* the length comes before the letters */
	"a2613000613100",
	"a100a100a100a10000",
	"82a10001a10001", /* the same key in two maps */
};

static const struct {
	const char *hex;
	enum err_code code;
} refused[] = {
	/* Input that ends early, and counts that cannot fit. */
	{ "", E_PEER_TRUNCATED },
	{ "18", E_PEER_TRUNCATED },
	{ "19", E_PEER_TRUNCATED },
	{ "1901", E_PEER_TRUNCATED },
	{ "1a010203", E_PEER_TRUNCATED },
	{ "1b01020304050607", E_PEER_TRUNCATED },
	{ "38", E_PEER_TRUNCATED },
	{ "41", E_PEER_TRUNCATED },
	{ "58", E_PEER_TRUNCATED },
	{ "5818", E_PEER_TRUNCATED },
	{ "44010203", E_PEER_TRUNCATED },
	{ "5affffffff00", E_PEER_TRUNCATED },
	{ "5bffffffffffffffff010203", E_PEER_TRUNCATED },
	{ "5bfffffffffffffff6010203", E_PEER_TRUNCATED },
	{ "61", E_PEER_TRUNCATED },
	{ "7affffffff00", E_PEER_TRUNCATED },
	{ "7bffffffffffffffff010203", E_PEER_TRUNCATED },
	{ "81", E_PEER_TRUNCATED },
	{ "8201", E_PEER_TRUNCATED },
	{ "9a10000000", E_PEER_TRUNCATED },
	{ "9affffffff0101", E_PEER_TRUNCATED },
	{ "9a10000000818181818181818181", E_PEER_TRUNCATED }, /* judged before what follows it */
	{ "ba10000000818181818181818181", E_PEER_TRUNCATED },
	{ "9b0000000100000000", E_PEER_TRUNCATED },
	{ "9b000001000000000000", E_PEER_TRUNCATED },
	{ "9bffffffffffffffff", E_PEER_TRUNCATED },
	{ "a1", E_PEER_TRUNCATED },
	{ "a101", E_PEER_TRUNCATED },
	{ "a2010203", E_PEER_TRUNCATED },
	{ "ba10000000", E_PEER_TRUNCATED },
	{ "bb0000000100000000", E_PEER_TRUNCATED },
	{ "bb8000000000000001", E_PEER_TRUNCATED }, /* twice the count wraps to 2 */
	{ "bb80000000000000010101", E_PEER_TRUNCATED },
	{ "bbffffffffffffffff", E_PEER_TRUNCATED },
	{ "828101810101", E_PEER_TRAILING },
	{ "83810101", E_PEER_TRUNCATED },

	/* More than one item. */
	{ "0100", E_PEER_TRAILING },
	{ "01ffff", E_PEER_TRAILING },
	{ "8000", E_PEER_TRAILING },
	{ "a000", E_PEER_TRAILING },
	{ "4000", E_PEER_TRAILING },

	/* A head longer than need be, of every kind and length. */
	{ "1800", E_PEER_NOT_CANONICAL },
	{ "1801", E_PEER_NOT_CANONICAL },
	{ "1817", E_PEER_NOT_CANONICAL },
	{ "190001", E_PEER_NOT_CANONICAL },
	{ "1900ff", E_PEER_NOT_CANONICAL },
	{ "1a00000001", E_PEER_NOT_CANONICAL },
	{ "1a0000ffff", E_PEER_NOT_CANONICAL },
	{ "1b0000000000000001", E_PEER_NOT_CANONICAL },
	{ "1b00000000ffffffff", E_PEER_NOT_CANONICAL },
	{ "3817", E_PEER_NOT_CANONICAL },
	{ "3900ff", E_PEER_NOT_CANONICAL },
	{ "3a0000ffff", E_PEER_NOT_CANONICAL },
	{ "3b00000000ffffffff", E_PEER_NOT_CANONICAL },
	{ "580101", E_PEER_NOT_CANONICAL },
	{ "59000101", E_PEER_NOT_CANONICAL },
	{ "5a0000000101", E_PEER_NOT_CANONICAL },
	{ "5b000000000000000101", E_PEER_NOT_CANONICAL },
	{ "5800", E_PEER_NOT_CANONICAL },
	{ "780161", E_PEER_NOT_CANONICAL },
	{ "79000161", E_PEER_NOT_CANONICAL },
	{ "980101", E_PEER_NOT_CANONICAL },
	{ "99000101", E_PEER_NOT_CANONICAL },
	{ "9a0000000101", E_PEER_NOT_CANONICAL },
	{ "9b000000000000000101", E_PEER_NOT_CANONICAL },
	{ "9800", E_PEER_NOT_CANONICAL },
	{ "b8010101", E_PEER_NOT_CANONICAL },
	{ "b900010101", E_PEER_NOT_CANONICAL },
	{ "ba000000010101", E_PEER_NOT_CANONICAL },
	{ "bb00000000000000010101", E_PEER_NOT_CANONICAL },
	{ "811801", E_PEER_NOT_CANONICAL },
	{ "a1180100", E_PEER_NOT_CANONICAL },
	{ "a1001801", E_PEER_NOT_CANONICAL },

	/* Indefinite lengths, and the break without one. */
	{ "5f4101ff", E_PEER_NOT_CANONICAL },
	{ "5fff", E_PEER_NOT_CANONICAL },
	{ "7f6161ff", E_PEER_NOT_CANONICAL },
	{ "9fff", E_PEER_NOT_CANONICAL },
	{ "9f01ff", E_PEER_NOT_CANONICAL },
	{ "bfff", E_PEER_NOT_CANONICAL },
	{ "bf0101ff", E_PEER_NOT_CANONICAL },
	{ "819fff", E_PEER_NOT_CANONICAL },
	{ "ff", E_PEER_SYNTAX },
	{ "81ff", E_PEER_SYNTAX },
	{ "a1ffff", E_PEER_SYNTAX },
	{ "1f", E_PEER_SYNTAX },
	{ "3f", E_PEER_SYNTAX },

	/* Reserved lengths. */
	{ "1c", E_PEER_SYNTAX },
	{ "1d00", E_PEER_SYNTAX },
	{ "1e0000", E_PEER_SYNTAX },
	{ "3c", E_PEER_SYNTAX },
	{ "5c", E_PEER_SYNTAX },
	{ "7d", E_PEER_SYNTAX },
	{ "9e", E_PEER_SYNTAX },
	{ "bc", E_PEER_SYNTAX },
	{ "dc", E_PEER_SYNTAX },
	{ "fc", E_PEER_SYNTAX },
	{ "fd", E_PEER_SYNTAX },
	{ "fe", E_PEER_SYNTAX },

	/* Tags, in the form libcbor reads and in the one it cannot; floats; other simple values. */
	{ "c001", E_PEER_UNSUPPORTED },
	{ "c11a514b67b0", E_PEER_UNSUPPORTED },
	{ "c249010000000000000000", E_PEER_UNSUPPORTED },
	{ "c601", E_PEER_UNSUPPORTED },
	{ "d280", E_PEER_UNSUPPORTED },
	{ "d28443a10126a041014102", E_PEER_UNSUPPORTED },
	{ "d81280", E_PEER_UNSUPPORTED },
	{ "d9d9f700", E_PEER_UNSUPPORTED },
	{ "dbffffffffffffffff00", E_PEER_UNSUPPORTED },
	{ "df", E_PEER_UNSUPPORTED },
	{ "81d280", E_PEER_UNSUPPORTED },
	{ "f90000", E_PEER_UNSUPPORTED },
	{ "f97e00", E_PEER_UNSUPPORTED },
	{ "fa47c35000", E_PEER_UNSUPPORTED },
	{ "fb3ff199999999999a", E_PEER_UNSUPPORTED },
	{ "81f93c00", E_PEER_UNSUPPORTED },
	{ "e0", E_PEER_UNSUPPORTED },
	{ "f0", E_PEER_UNSUPPORTED },
	{ "f3", E_PEER_UNSUPPORTED },
	{ "f7", E_PEER_UNSUPPORTED },
	{ "f8ff", E_PEER_UNSUPPORTED },
	{ "f814", E_PEER_UNSUPPORTED }, /* false in two bytes */

	/* Keys. */
	{ "a201000100", E_PEER_DUPLICATE },
	{ "a2616100616100", E_PEER_DUPLICATE },
	{ "a220002000", E_PEER_DUPLICATE },
	{ "a201a001a0", E_PEER_DUPLICATE },
	{ "a201a1010101a10101", E_PEER_DUPLICATE },
	{ "a3000001000100", E_PEER_DUPLICATE },
	{ "a202000100", E_PEER_NOT_CANONICAL },
	{ "a3010002000100", E_PEER_NOT_CANONICAL }, /* not next to its double */
	{ "a26130000000", E_PEER_NOT_CANONICAL },
	{ "a220000000", E_PEER_NOT_CANONICAL },
	{ "a218ff00181800", E_PEER_NOT_CANONICAL },
	{ "a262616100617a00", E_PEER_NOT_CANONICAL }, /* alphabetic order is not the bytewise one */
	{ "a201a2010002000000", E_PEER_NOT_CANONICAL },
	{ "a1a20100010000", E_PEER_UNSUPPORTED },
	{ "a1410000", E_PEER_UNSUPPORTED },
	{ "a18000", E_PEER_UNSUPPORTED },
	{ "a1a000", E_PEER_UNSUPPORTED },
	{ "a1f400", E_PEER_UNSUPPORTED },
	{ "a1f600", E_PEER_UNSUPPORTED },
	{ "a1f9000000", E_PEER_UNSUPPORTED },
	{ "8201a2010002a201000100", E_PEER_DUPLICATE },

	/* Text that is none. */
	{ "61ff", E_PEER_SYNTAX },
	{ "6180", E_PEER_SYNTAX },
	{ "62c080", E_PEER_SYNTAX },
	{ "62c328", E_PEER_SYNTAX },
	{ "61c3", E_PEER_SYNTAX },
	{ "63eda080", E_PEER_SYNTAX },
	{ "64f4908080", E_PEER_SYNTAX },
	{ "6100", E_PEER_SYNTAX },
	{ "a161ff00", E_PEER_SYNTAX },
	{ "a10061ff", E_PEER_SYNTAX },

	/* Nine deep. */
	{ "818181818181818180", E_LIMIT_DEPTH },
	{ "81818181818181818100", E_LIMIT_DEPTH },
	{ "8181818181818181a0", E_LIMIT_DEPTH },
	{ "a100a100a100a100a100a100a100a100a0", E_LIMIT_DEPTH },
};

static void accepts(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(accepted); i++) {
		cleanup_buf struct buf b;
		struct bytes in = unhex_(&b, accepted[i]);
		struct cbor_rd r;
		struct bytes item;
		size_t n = 0;

		assert_ok(cbor_check(in));
		assert_ok(cbor_check_first(in, &n));
		assert_int_equal(n, in.n);
		assert_ok(cbor_rd_init(in, &r));
		assert_err(cbor_rd_end(&r), E_PEER_TRAILING);
		assert_ok(cbor_rd_item(&r, &item));
		assert_bytes(item, in);
		assert_ok(cbor_rd_end(&r));
		assert_err(cbor_rd_item(&r, &item), E_PEER_TRUNCATED);
	}
}

static void refuses(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(refused); i++) {
		cleanup_buf struct buf b;
		struct bytes in = unhex_(&b, refused[i].hex);
		struct cbor_rd r = { .off = 42 };
		size_t n = 42;

		if (cbor_check(in).code != refused[i].code)
			print_error("%s\n", refused[i].hex);
		assert_code(cbor_check(in), refused[i].code);
		assert_code(cbor_rd_init(in, &r), refused[i].code);
		assert_int_equal(r.off, 42);
		if (refused[i].code == E_PEER_TRAILING) {
			assert_ok(cbor_check_first(in, &n));
			assert_true(n < in.n);
		} else {
			assert_code(cbor_check_first(in, &n), refused[i].code);
			assert_int_equal(n, 42);
		}
	}
}

static void refuses_every_cut_and_every_byte_more(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(accepted); i++) {
		cleanup_buf struct buf b, longer = BUF_INIT(200);
		struct bytes in = unhex_(&b, accepted[i]);

		for (size_t n = 0; n < in.n; n++) {
			cleanup_free uint8_t *cut = malloc(n + 1);

			assert_non_null(cut);
			memcpy(cut + 1, in.p, n);
			assert_err(cbor_check(BYTES(cut + 1, n)), E_PEER_TRUNCATED);
		}
		for (unsigned v = 0; v < 256; v++) {
			buf_clear(&longer);
			assert_ok(buf_add(&longer, in));
			assert_ok(buf_add_u8(&longer, (uint8_t)v));
			assert_err(cbor_check(buf_bytes(&longer)), E_PEER_TRAILING);
		}
	}
}

/* Every first byte, with enough behind it: only what the profile names gets through. */
static void every_first_byte(void **state)
{
	(void)state;
	for (unsigned v = 0; v < 256; v++) {
		uint8_t in[600];
		unsigned major = v >> 5, info = v & 31;
		size_t n = 0;
		struct err e;

		memset(in, 'a', sizeof(in)); /* text when it is text, a key out of order when it is a map */
		in[0] = (uint8_t)v;
		e = cbor_check_first(BYTES_ARR(in), &n);
		if (major == 7)
			assert_int_equal(failed(e), info < 20 || info > 22);
		else if (major == 6 || info > 27)
			assert_true(e.code == E_PEER_UNSUPPORTED || e.code == E_PEER_SYNTAX ||
				    e.code == E_PEER_NOT_CANONICAL);
		else if (major < 2)
			assert_ok(e); /* 'a' is 97: the shortest form in any length */
		else if (major < 4)
			assert_int_equal(failed(e), info > 24);
	}
}

static void depth_is_bounded(void **state)
{
	uint8_t in[10001];

	(void)state;
	memset(in, 0x81, sizeof(in));
	in[sizeof(in) - 1] = 0;
	assert_err(cbor_check(BYTES_ARR(in)), E_LIMIT_DEPTH);
	for (size_t n = 0; n <= 20; n++)
		assert_code(cbor_check(BYTES(in + sizeof(in) - 1 - n, n + 1)),
			    n <= CBOR_MAX_DEPTH ? E_OK : E_LIMIT_DEPTH);
}

static void count_is_bounded(void **state)
{
	static const struct {
		size_t n;
		enum err_code code;
	} cases[] = {
		{ CBOR_MAX_ITEMS - 1, E_OK }, /* the array is an item, too */
		{ CBOR_MAX_ITEMS, E_LIMIT_COUNT },
		{ 4 * CBOR_MAX_ITEMS, E_LIMIT_COUNT },
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		cleanup_buf struct buf b = BUF_INIT(SIZE_MAX);

		assert_ok(cbor_wr_array(&b, cases[i].n));
		for (size_t k = 0; k < cases[i].n; k++)
			assert_ok(cbor_wr_uint(&b, 0));
		assert_code(cbor_check(buf_bytes(&b)), cases[i].code);
	}
}

/* {0: 5, 1: h'0102', 2: "ab", 4: [7, true], 300: {}} */
#define MESSAGE "a500050142010202626162048207f519012ca0"

static void a_message_is_read_in_order(void **state)
{
	cleanup_buf struct buf b;
	struct bytes in = unhex_(&b, MESSAGE), v;
	struct cbor_map m, inner;
	struct cbor_rd r;
	uint8_t two[2];
	uint64_t u;
	bool flag = false, present = true;
	size_t n;

	(void)state;
	assert_ok(cbor_rd_init(in, &r));
	assert_ok(cbor_rd_map(&r, &m));
	assert_ok(cbor_rd_key(&r, &m, 0));
	assert_ok(cbor_rd_uint(&r, 5, &u));
	assert_true(u == 5);
	assert_ok(cbor_rd_key(&r, &m, 1));
	assert_ok(cbor_rd_bytes_exact(&r, two, sizeof(two)));
	assert_bytes(BYTES_ARR(two), BYTES_LIT("\1\2"));
	assert_ok(cbor_rd_key_opt(&r, &m, 2, &present));
	assert_true(present);
	assert_ok(cbor_rd_text(&r, &v));
	assert_bytes(v, BYTES_LIT("ab"));
	assert_ok(cbor_rd_key_opt(&r, &m, 3, &present));
	assert_false(present);
	assert_ok(cbor_rd_key(&r, &m, 4));
	assert_ok(cbor_rd_array(&r, 2, &n));
	assert_int_equal(n, 2);
	assert_ok(cbor_rd_uint(&r, UINT64_MAX, &u));
	assert_ok(cbor_rd_bool(&r, &flag));
	assert_true(u == 7 && flag);
	assert_err(cbor_rd_map_end(&r, &m), E_PEER_UNKNOWN_KEY);
	assert_ok(cbor_rd_key(&r, &m, 300));
	assert_ok(cbor_rd_map(&r, &inner));
	assert_err(cbor_rd_key(&r, &inner, 0), E_PEER_MISSING);
	assert_ok(cbor_rd_key_opt(&r, &inner, 0, &present));
	assert_false(present);
	assert_ok(cbor_rd_map_end(&r, &inner));
	assert_ok(cbor_rd_map_end(&r, &m));
	assert_err(cbor_rd_key(&r, &m, 301), E_PEER_MISSING);
	assert_ok(cbor_rd_end(&r));
}

/* A key nobody asked for cannot be passed by, wherever it stands. */
static void unknown_keys_stop_the_reader(void **state)
{
	static const char *const maps[] = { "a200000200", "a201000200", "a202000300",
					    "a10300",     "a202002000", "a20200616100" };
	/* The decoder knows key 2 only. */
	static const struct {
		enum err_code key, end;
	} want[] = {
		{ E_PEER_MISSING, E_PEER_UNKNOWN_KEY }, { E_PEER_MISSING, E_PEER_UNKNOWN_KEY },
		{ E_OK, E_PEER_UNKNOWN_KEY },           { E_PEER_MISSING, E_PEER_UNKNOWN_KEY },
		{ E_OK, E_PEER_UNKNOWN_KEY },           { E_OK, E_PEER_UNKNOWN_KEY },
	};

	(void)state;
	for (size_t i = 0; i < array_len(maps); i++) {
		cleanup_buf struct buf b;
		struct cbor_map m;
		struct cbor_rd r, before;
		uint64_t u;

		assert_ok(cbor_rd_init(unhex_(&b, maps[i]), &r));
		assert_ok(cbor_rd_map(&r, &m));
		before = r;
		assert_code(cbor_rd_key(&r, &m, 2), want[i].key);
		if (want[i].key == E_OK)
			assert_ok(cbor_rd_uint(&r, 10, &u));
		else
			assert_int_equal(r.off, before.off);
		assert_code(cbor_rd_map_end(&r, &m), want[i].end);
	}
}

/* A negative or a text key is never taken for a number with the same argument. */
static void keys_of_other_kinds(void **state)
{
	static const char *const maps[] = { "a12000", "a1616100", "a16000" };

	(void)state;
	for (size_t i = 0; i < array_len(maps); i++) {
		cleanup_buf struct buf b;
		struct cbor_map m;
		struct cbor_rd r;
		bool present = true;

		assert_ok(cbor_rd_init(unhex_(&b, maps[i]), &r));
		assert_ok(cbor_rd_map(&r, &m));
		for (uint64_t key = 0; key < 2; key++) {
			assert_ok(cbor_rd_key_opt(&r, &m, key, &present));
			assert_false(present);
			assert_err(cbor_rd_key(&r, &m, key), E_PEER_MISSING);
		}
		assert_int_equal(r.off, 1);
		assert_int_equal(m.left, 1);
	}
}

enum want { UINT, BOOL, BYTE_STRING, EXACT, TEXT, ARRAY, MAP, N_WANTS };

static struct err read_as(struct cbor_rd *r, enum want want)
{
	struct cbor_map m;
	struct bytes v;
	uint8_t two[2];
	uint64_t u;
	size_t n;
	bool b;

	switch (want) {
	case UINT:
		return cbor_rd_uint(r, 7, &u);
	case BOOL:
		return cbor_rd_bool(r, &b);
	case BYTE_STRING:
		return cbor_rd_bytes(r, &v);
	case EXACT:
		return cbor_rd_bytes_exact(r, two, sizeof(two));
	case TEXT:
		return cbor_rd_text(r, &v);
	case ARRAY:
		return cbor_rd_array(r, 1, &n);
	case MAP:
		return cbor_rd_map(r, &m);
	case N_WANTS:
		break;
	}
	return ERR(E_BUG);
}

/* Each reader on each kind of item: the right one reads, the others leave the cursor where it is. */
static void readers_take_their_own_kind_only(void **state)
{
	static const struct {
		const char *hex;
		enum err_code code[N_WANTS];
	} items[] = {
#define T E_PEER_TYPE
		{ "07", { E_OK, T, T, T, T, T, T } },
		{ "08", { E_PEER_RANGE, T, T, T, T, T, T } },
		{ "1bffffffffffffffff", { E_PEER_RANGE, T, T, T, T, T, T } },
		{ "20", { T, T, T, T, T, T, T } },
		{ "f4", { T, E_OK, T, T, T, T, T } },
		{ "f5", { T, E_OK, T, T, T, T, T } },
		{ "f6", { T, T, T, T, T, T, T } },
		{ "420102", { T, T, E_OK, E_OK, T, T, T } },
		{ "4101", { T, T, E_OK, E_PEER_RANGE, T, T, T } },
		{ "43010203", { T, T, E_OK, E_PEER_RANGE, T, T, T } },
		{ "626162", { T, T, T, T, E_OK, T, T } },
		{ "8100", { T, T, T, T, T, E_OK, T } },
		{ "820000", { T, T, T, T, T, E_LIMIT_COUNT, T } },
		{ "a10000", { T, T, T, T, T, T, E_OK } },
#undef T
	};

	(void)state;
	for (size_t i = 0; i < array_len(items); i++) {
		for (unsigned k = 0; k < N_WANTS; k++) {
			cleanup_buf struct buf b;
			struct cbor_rd r;

			assert_ok(cbor_rd_init(unhex_(&b, items[i].hex), &r));
			assert_code(read_as(&r, (enum want)k), items[i].code[k]);
			assert_int_equal(r.off != 0, items[i].code[k] == E_OK);
			r.off = r.in.n;
			assert_err(read_as(&r, (enum want)k), E_PEER_TRUNCATED);
		}
	}
}

static void sequences(void **state)
{
	cleanup_buf struct buf b;
	struct bytes in = unhex_(&b, "01820203a0616118");
	static const size_t lengths[] = { 1, 3, 1, 2 };
	size_t n;

	(void)state;
	for (size_t i = 0; i < array_len(lengths); i++) {
		assert_ok(cbor_check_first(in, &n));
		assert_int_equal(n, lengths[i]);
		assert_ok(bytes_sub(in, n, in.n - n, &in));
	}
	assert_err(cbor_check_first(in, &n), E_PEER_TRUNCATED);
}

static void encoders_write_the_shortest_heads(void **state)
{
	static const uint64_t edges[] = {
		0, 23, 24, 255, 256, 65535, 65536, UINT32_MAX, UINT64_C(1) << 32, UINT64_MAX
	};
	static const char *const want[] = { "00",
					    "17",
					    "1818",
					    "18ff",
					    "190100",
					    "19ffff",
					    "1a00010000",
					    "1affffffff",
					    "1b0000000100000000",
					    "1bffffffffffffffff" };
	cleanup_buf struct buf all = BUF_INIT(100);

	(void)state;
	for (size_t i = 0; i < array_len(edges); i++) {
		cleanup_buf struct buf b = BUF_INIT(9), w;

		assert_ok(cbor_wr_uint(&b, edges[i]));
		assert_bytes(buf_bytes(&b), unhex_(&w, want[i]));
		if (i < 6) { /* the other majors differ in three bits of the first byte */
			buf_clear(&b);
			assert_ok(cbor_wr_array(&b, edges[i]));
			w.p[0] |= 0x80;
			assert_bytes(buf_bytes(&b), buf_bytes(&w));
			buf_clear(&b);
			assert_ok(cbor_wr_map(&b, edges[i]));
			w.p[0] |= 0xa0;
			assert_bytes(buf_bytes(&b), buf_bytes(&w));
		}
	}
	assert_ok(cbor_wr_map(&all, 5));
	assert_ok(cbor_wr_uint(&all, 0));
	assert_ok(cbor_wr_uint(&all, 5));
	assert_ok(cbor_wr_uint(&all, 1));
	assert_ok(cbor_wr_bytes(&all, BYTES_LIT("\1\2")));
	assert_ok(cbor_wr_uint(&all, 2));
	assert_ok(cbor_wr_text(&all, BYTES_LIT("ab")));
	assert_ok(cbor_wr_uint(&all, 4));
	assert_ok(cbor_wr_array(&all, 2));
	assert_ok(cbor_wr_uint(&all, 7));
	assert_ok(cbor_wr_bool(&all, true));
	assert_ok(cbor_wr_uint(&all, 300));
	assert_ok(cbor_wr_map(&all, 0));
	{
		cleanup_buf struct buf w;

		assert_bytes(buf_bytes(&all), unhex_(&w, MESSAGE));
	}
}

static void strings_of_all_head_lengths_come_back(void **state)
{
	static const size_t lengths[] = { 0, 1, 23, 24, 255, 256, 65535, 65536 };
	cleanup_free uint8_t *data = malloc(65536);

	(void)state;
	assert_non_null(data);
	memset(data, 'x', 65536);
	for (size_t i = 0; i < array_len(lengths); i++) {
		cleanup_buf struct buf b = BUF_INIT(200000);
		struct bytes v = BYTES(data, lengths[i]), got;
		struct cbor_rd r;

		assert_ok(cbor_wr_array(&b, 2));
		assert_ok(cbor_wr_bytes(&b, v));
		assert_ok(cbor_wr_text(&b, v));
		assert_ok(cbor_rd_init(buf_bytes(&b), &r));
		r.off = 1;
		assert_ok(cbor_rd_bytes(&r, &got));
		assert_bytes(got, v);
		assert_ok(cbor_rd_text(&r, &got));
		assert_bytes(got, v);
		assert_ok(cbor_rd_end(&r));
	}
}

static void encoders_write_all_or_nothing(void **state)
{
	cleanup_buf struct buf b = BUF_INIT(4);

	(void)state;
	assert_err(cbor_wr_bytes(&b, BYTES_LIT("abcd")), E_LIMIT_SIZE);
	assert_err(cbor_wr_text(&b, BYTES_LIT("abcd")), E_LIMIT_SIZE);
	assert_err(cbor_wr_bytes(&b, BYTES(b.p, SIZE_MAX)), E_LIMIT_SIZE);
	assert_err(cbor_wr_text(&b, BYTES_LIT("\xff")), E_PEER_SYNTAX);
	assert_err(cbor_wr_text(&b, BYTES_LIT("\0")), E_PEER_SYNTAX);
	assert_err(cbor_wr_uint(&b, UINT32_MAX), E_LIMIT_SIZE);
	assert_int_equal(b.n, 0);
	assert_ok(cbor_wr_bytes(&b, BYTES_LIT("abc")));
	assert_err(cbor_wr_bool(&b, false), E_LIMIT_SIZE);
	assert_int_equal(b.n, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepts),
		cmocka_unit_test(refuses),
		cmocka_unit_test(refuses_every_cut_and_every_byte_more),
		cmocka_unit_test(every_first_byte),
		cmocka_unit_test(depth_is_bounded),
		cmocka_unit_test(count_is_bounded),
		cmocka_unit_test(a_message_is_read_in_order),
		cmocka_unit_test(unknown_keys_stop_the_reader),
		cmocka_unit_test(keys_of_other_kinds),
		cmocka_unit_test(readers_take_their_own_kind_only),
		cmocka_unit_test(sequences),
		cmocka_unit_test(encoders_write_the_shortest_heads),
		cmocka_unit_test(strings_of_all_head_lengths_come_back),
		cmocka_unit_test(encoders_write_all_or_nothing),
	};

	return cmocka_run_group_tests_name("cborx", tests, NULL, NULL);
}
