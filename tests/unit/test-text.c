/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

static void hex(void **state)
{
	cleanup_buf struct buf b = BUF_INIT(100);
	char out[7] = "......";
	uint8_t raw[3];

	(void)state;
	assert_err(hex_encode(BYTES_LIT("abc"), out, 6), E_LIMIT_SIZE);
	assert_err(hex_encode(BYTES_NONE, out, 0), E_LIMIT_SIZE);
	assert_err(hex_encode(BYTES(out, SIZE_MAX), out, 7), E_LIMIT_SIZE);
	assert_string_equal(out, "......");
	assert_ok(hex_encode(BYTES_LIT("\x00\xff\x5a"), out, 7));
	assert_string_equal(out, "00ff5a");
	assert_ok(hex_encode(BYTES_NONE, out, 1));
	assert_string_equal(out, "");

	assert_ok(buf_add_hex(&b, BYTES_NONE));
	assert_ok(buf_add_hex(&b, BYTES_LIT("\xde\xad")));
	assert_bytes(buf_bytes(&b), BYTES_LIT("dead"));
	assert_err(buf_add_hex(&b, BYTES(b.p, SIZE_MAX)), E_LIMIT_SIZE);
	assert_err(buf_add_hex(&b, BYTES(b.p, 49)), E_LIMIT_SIZE);
	assert_ok(hex_decode(BYTES_LIT("BeEf09"), &b));
	assert_bytes(buf_bytes(&b), BYTES_LIT("dead\xbe\xef\x09"));

	assert_ok(hex_decode_exact(BYTES_LIT("0aF0ff"), raw, 3));
	assert_bytes(BYTES_ARR(raw), BYTES_LIT("\x0a\xf0\xff"));
	assert_err(hex_decode_exact(BYTES_LIT("0102"), raw, 3), E_PEER_RANGE);
	assert_err(hex_decode_exact(BYTES_LIT("01020304"), raw, 3), E_PEER_RANGE);
	assert_err(hex_decode_exact(BYTES_LIT("01020"), raw, 3), E_PEER_SYNTAX);
	assert_err(hex_decode_exact(BYTES_LIT("0102 3"), raw, 3), E_PEER_SYNTAX);
	assert_bytes(BYTES_ARR(raw), BYTES_LIT("\x0a\xf0\xff"));
}

static void hex_refuses(void **state)
{
	static const char *const cases[] = { "0", "0g", "g0", " 00", "0x00", "00 ", "00\n0", "-1", "\xff\xff" };

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		cleanup_buf struct buf b = BUF_INIT(100);

		assert_ok(buf_add_str(&b, "kept"));
		assert_err(hex_decode(bytes_str(cases[i]), &b), E_PEER_SYNTAX);
		assert_bytes(buf_bytes(&b), BYTES_LIT("kept"));
	}
}

/* RFC 4648, section 10, and the two characters in which the alphabets differ. */
static void base64_vectors(void **state)
{
	static const struct {
		struct bytes raw;
		const char *std, *url;
	} cases[] = {
		{ { (const uint8_t *)"", 0 }, "", "" },
		{ { (const uint8_t *)"f", 1 }, "Zg==", "Zg" },
		{ { (const uint8_t *)"fo", 2 }, "Zm8=", "Zm8" },
		{ { (const uint8_t *)"foo", 3 }, "Zm9v", "Zm9v" },
		{ { (const uint8_t *)"foob", 4 }, "Zm9vYg==", "Zm9vYg" },
		{ { (const uint8_t *)"fooba", 5 }, "Zm9vYmE=", "Zm9vYmE" },
		{ { (const uint8_t *)"foobar", 6 }, "Zm9vYmFy", "Zm9vYmFy" },
		{ { (const uint8_t *)"\xfb\xff\xbf", 3 }, "+/+/", "-_-_" },
		{ { (const uint8_t *)"\0\0\0\0", 4 }, "AAAAAA==", "AAAAAA" },
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		cleanup_buf struct buf b = BUF_INIT(100);

		assert_ok(b64_encode(cases[i].raw, &b));
		assert_bytes(buf_bytes(&b), bytes_str(cases[i].std));
		buf_clear(&b);
		assert_ok(b64url_encode(cases[i].raw, &b));
		assert_bytes(buf_bytes(&b), bytes_str(cases[i].url));
		buf_clear(&b);
		assert_ok(buf_add_str(&b, "+"));
		assert_ok(b64_decode(bytes_str(cases[i].std), &b));
		assert_ok(b64url_decode(bytes_str(cases[i].url), &b));
		assert_int_equal(b.n, 1 + 2 * cases[i].raw.n);
		assert_bytes(BYTES(b.p + 1, cases[i].raw.n), cases[i].raw);
		assert_bytes(BYTES(b.p + 1 + cases[i].raw.n, cases[i].raw.n), cases[i].raw);
	}
}

static void base64_refuses(void **state)
{
	static const struct {
		const char *text;
		enum err_code std, url;
	} cases[] = {
		{ "A", E_PEER_SYNTAX, E_PEER_SYNTAX },
		{ "AAAAA", E_PEER_SYNTAX, E_PEER_SYNTAX },
		{ "Zg", E_PEER_SYNTAX, E_OK },
		{ "Zg=", E_PEER_SYNTAX, E_PEER_SYNTAX },
		{ "Zg==", E_OK, E_PEER_SYNTAX },
		{ "Zg===", E_PEER_SYNTAX, E_PEER_SYNTAX },
		{ "Z===", E_PEER_SYNTAX, E_PEER_SYNTAX },
		{ "====", E_PEER_SYNTAX, E_PEER_SYNTAX },
		{ "=", E_PEER_SYNTAX, E_PEER_SYNTAX },
		{ "Zg==Zg==", E_PEER_SYNTAX, E_PEER_SYNTAX },
		{ "Z=g=", E_PEER_SYNTAX, E_PEER_SYNTAX },
		{ "Zm9v\n", E_PEER_SYNTAX, E_PEER_SYNTAX },
		{ "Zm 9", E_PEER_SYNTAX, E_PEER_SYNTAX },
		{ "Zm9v Zm9", E_PEER_SYNTAX, E_PEER_SYNTAX },
		{ "+/+/", E_OK, E_PEER_SYNTAX },
		{ "-_-_", E_PEER_SYNTAX, E_OK },
		{ "Zh==", E_PEER_NOT_CANONICAL, E_PEER_SYNTAX },
		{ "Zv==", E_PEER_NOT_CANONICAL, E_PEER_SYNTAX },
		{ "Zm9=", E_PEER_NOT_CANONICAL, E_PEER_SYNTAX },
		{ "Zm+=", E_PEER_NOT_CANONICAL, E_PEER_SYNTAX },
		{ "Zh", E_PEER_SYNTAX, E_PEER_NOT_CANONICAL },
		{ "Zm9", E_PEER_SYNTAX, E_PEER_NOT_CANONICAL },
		{ "Z\xc3\xa4z", E_PEER_SYNTAX, E_PEER_SYNTAX },
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		cleanup_buf struct buf b = BUF_INIT(100);

		assert_ok(buf_add_str(&b, "kept"));
		assert_code(b64_decode(bytes_str(cases[i].text), &b), cases[i].std);
		assert_int_equal(b.n == 4, cases[i].std != E_OK);
		assert_ok(buf_truncate(&b, 4));
		assert_code(b64url_decode(bytes_str(cases[i].text), &b), cases[i].url);
		assert_int_equal(b.n == 4, cases[i].url != E_OK);
	}
}

static void base64_takes_all_bytes_and_a_nul_inside_is_refused(void **state)
{
	cleanup_buf struct buf text = BUF_INIT(1000), back = BUF_INIT(256);
	uint8_t raw[256];

	(void)state;
	for (unsigned i = 0; i < 256; i++)
		raw[i] = (uint8_t)i;
	for (size_t n = 0; n <= 256; n++) {
		buf_clear(&text);
		buf_clear(&back);
		assert_ok(b64url_encode(BYTES(raw + 256 - n, n), &text));
		assert_int_equal(text.n, (n * 8 + 5) / 6);
		assert_ok(b64url_decode(buf_bytes(&text), &back));
		assert_bytes(buf_bytes(&back), BYTES(raw + 256 - n, n));
	}
	assert_err(b64url_decode(BYTES_LIT("AA\0A"), &back), E_PEER_SYNTAX);
	buf_clear(&back);
	back.max = 2;
	assert_err(b64url_decode(BYTES_LIT("Zm9v"), &back), E_LIMIT_SIZE);
	assert_err(b64url_encode(BYTES_LIT("fo"), &back), E_LIMIT_SIZE);
	assert_err(b64_encode(BYTES_LIT("f"), &back), E_LIMIT_SIZE);
	assert_ok(b64url_encode(BYTES_LIT("f"), &back));
}

static void numbers(void **state)
{
	static const struct {
		const char *s;
		uint64_t max;
		enum err_code code;
		uint64_t v;
	} cases[] = {
		{ "0", 0, E_OK, 0 },
		{ "1", 0, E_PEER_RANGE, 0 },
		{ "7", 7, E_OK, 7 },
		{ "8", 7, E_PEER_RANGE, 0 },
		{ "10", 9, E_PEER_RANGE, 0 },
		{ "100", 100, E_OK, 100 },
		{ "18446744073709551615", UINT64_MAX, E_OK, UINT64_MAX },
		{ "18446744073709551616", UINT64_MAX, E_PEER_RANGE, 0 },
		{ "18446744073709551620", UINT64_MAX, E_PEER_RANGE, 0 },
		{ "99999999999999999999999", UINT64_MAX, E_PEER_RANGE, 0 },
		{ "4294967296", UINT32_MAX, E_PEER_RANGE, 0 },
		{ "", UINT64_MAX, E_PEER_SYNTAX, 0 },
		{ "00", UINT64_MAX, E_PEER_SYNTAX, 0 },
		{ "01", UINT64_MAX, E_PEER_SYNTAX, 0 },
		{ "+1", UINT64_MAX, E_PEER_SYNTAX, 0 },
		{ "-1", UINT64_MAX, E_PEER_SYNTAX, 0 },
		{ " 1", UINT64_MAX, E_PEER_SYNTAX, 0 },
		{ "1 ", UINT64_MAX, E_PEER_SYNTAX, 0 },
		{ "1\n", UINT64_MAX, E_PEER_SYNTAX, 0 },
		{ "0x1", UINT64_MAX, E_PEER_SYNTAX, 0 },
		{ "1e3", UINT64_MAX, E_PEER_SYNTAX, 0 },
		{ "1.0", UINT64_MAX, E_PEER_SYNTAX, 0 },
		{ "99999999999999999999999x", UINT64_MAX, E_PEER_SYNTAX, 0 },
	};
	uint64_t v;

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		v = 42;
		assert_code(parse_u64(cases[i].s, cases[i].max, &v), cases[i].code);
		assert_true(v == (cases[i].code == E_OK ? cases[i].v : 42));
	}
}

static void durations(void **state)
{
	static const struct {
		const char *s;
		uint64_t max;
		enum err_code code;
		uint64_t v;
	} cases[] = {
		{ "90", 1000, E_OK, 90 },
		{ "90s", 1000, E_OK, 90 },
		{ "15m", 1000, E_OK, 900 },
		{ "12h", 86400, E_OK, 43200 },
		{ "30d", 2592000, E_OK, 2592000 },
		{ "0", 0, E_OK, 0 },
		{ "0d", 0, E_OK, 0 },
		{ "30d", 2591999, E_PEER_RANGE, 0 },
		{ "1m", 59, E_PEER_RANGE, 0 },
		{ "1000", 999, E_PEER_RANGE, 0 },
		{ "213503982334602d", UINT64_MAX, E_PEER_RANGE, 0 },
		{ "213503982334601d", UINT64_MAX, E_OK, UINT64_C(213503982334601) * 86400 },
		{ "", 1000, E_PEER_SYNTAX, 0 },
		{ "s", 1000, E_PEER_SYNTAX, 0 },
		{ "d", 1000, E_PEER_SYNTAX, 0 },
		{ "05m", 1000, E_PEER_SYNTAX, 0 },
		{ "1.5m", 1000, E_PEER_SYNTAX, 0 },
		{ "1h30m", 100000, E_PEER_SYNTAX, 0 },
		{ "1 m", 1000, E_PEER_SYNTAX, 0 },
		{ "1M", 1000, E_PEER_SYNTAX, 0 },
		{ "1w", 1000, E_PEER_SYNTAX, 0 },
		{ "1ms", 1000, E_PEER_SYNTAX, 0 },
		{ "-1s", 1000, E_PEER_SYNTAX, 0 },
	};
	uint64_t v;

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		v = 42;
		assert_code(parse_duration_s(cases[i].s, cases[i].max, &v), cases[i].code);
		assert_true(v == (cases[i].code == E_OK ? cases[i].v : 42));
	}
}

static void ids(void **state)
{
	static const char *const good[] = { "a", "Z", "0", "_", "-", "...", ".a", "host-1.example_X", "a..b" };
	static const char *const bad[] = {
		"", ".", "..", "a b", "a/b", "/", "a\n", "\xc3\xa4", "a:b", "a@b", "a%", "~"
	};
	char longest[66];

	(void)state;
	for (size_t i = 0; i < array_len(good); i++)
		assert_true(id_valid(bytes_str(good[i])));
	for (size_t i = 0; i < array_len(bad); i++)
		assert_false(id_valid(bytes_str(bad[i])));
	assert_false(id_valid(BYTES_LIT("a\0b")));
	memset(longest, 'a', sizeof(longest));
	assert_true(id_valid(BYTES(longest, 64)));
	assert_false(id_valid(BYTES(longest, 65)));
	/* Each byte outside the set, one by one. */
	for (unsigned c = 0; c < 256; c++) {
		uint8_t id[2] = { 'a', (uint8_t)c };
		bool want = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '.' ||
			    c == '_' || c == '-';

		assert_int_equal(id_valid(BYTES_ARR(id)), want);
	}
}

static void utf8(void **state)
{
	static const char *const good[] = {
		"",
		"a\x7f",
		"\xc2\x80",
		"\xdf\xbf",
		"\xe0\xa0\x80",
		"\xec\xbf\xbf",
		"\xed\x80\x80",
		"\xed\x9f\xbf",
		"\xee\x80\x80",
		"\xef\xbf\xbf",
		"\xf0\x90\x80\x80",
		"\xf3\xbf\xbf\xbf",
		"\xf4\x8f\xbf\xbf",
		"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x94\x91",
	};
	static const char *const bad[] = {
		"\x80",
		"\xbf",
		"\xc0\x80",
		"\xc0\xaf",
		"\xc1\xbf",
		"\xc2",
		"\xc2g",
		"\xc2\xc2",
		"\xe0\x80\x80",
		"\xe0\x9f\xbf",
		"\xe2\x82",
		"\xe2\x28\xa1",
		"\xe2\x82\x28",
		"\xed\xa0\x80",
		"\xed\xbf\xbf",
		"\xf0\x80\x80\x80",
		"\xf0\x8f\xbf\xbf",
		"\xf0\x9f\x94",
		"\xf0\x9f\x28\x91",
		"\xf0\x9f\x94\x28",
		"\xf4\x90\x80\x80",
		"\xf5\x80\x80\x80",
		"\xf8\x88\x80\x80",
		"\xfe",
		"\xff",
		"a\xe2\x82",
	};

	(void)state;
	for (size_t i = 0; i < array_len(good); i++)
		assert_true(utf8_valid(bytes_str(good[i])));
	for (size_t i = 0; i < array_len(bad); i++)
		assert_false(utf8_valid(bytes_str(bad[i])));
	assert_true(utf8_valid(BYTES_NONE));
	assert_false(utf8_valid(BYTES_LIT("a\0b")));
	/* Wherever it stands among the eight that are looked at together, and behind them. */
	for (size_t i = 0; i < 20; i++) {
		char text[] = "\x01ssay \x7f assay, assay";

		assert_true(utf8_valid(BYTES(text, 20)));
		text[i] = '\0';
		assert_false(utf8_valid(BYTES(text, 20)));
		text[i] = '\x80';
		assert_false(utf8_valid(BYTES(text, 20)));
		text[i] = '\xff';
		assert_false(utf8_valid(BYTES(text, 20)));
	}
	/* What follows the view does not make it whole. */
	assert_false(utf8_valid(BYTES("\xc3\xbc", 1)));
	assert_false(utf8_valid(BYTES("\xe2\x82\xac", 2)));
	assert_false(utf8_valid(BYTES("\xf0\x9f\x94\x91", 3)));
	assert_int_equal(utf8_len(BYTES_NONE), 0);
	assert_int_equal(utf8_len(BYTES_LIT("\0")), 1);
	assert_int_equal(utf8_len(BYTES_LIT("\xe2\x82\xac...")), 3);
	assert_int_equal(utf8_len(BYTES_LIT("\xf0\x9f\x94\x91\xf0")), 4);
	assert_int_equal(utf8_len(BYTES_LIT("\xff")), 0);
}

static void times(void **state)
{
	static const struct {
		int64_t t;
		const char *s;
	} cases[] = {
		{ 0, "1970-01-01T00:00:00Z" },
		{ 951782400, "2000-02-29T00:00:00Z" },
		{ 1769860800, "2026-01-31T12:00:00Z" },
		{ 2147483648, "2038-01-19T03:14:08Z" },
		{ 4107542399, "2100-02-28T23:59:59Z" },
		{ 4107542400, "2100-03-01T00:00:00Z" },
		{ -1, "1969-12-31T23:59:59Z" },
		{ 253402300799, "9999-12-31T23:59:59Z" },
		{ -62167219200, "0000-01-01T00:00:00Z" },
	};
	char out[TIME_TEXT_SIZE];
	int64_t t;

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		assert_ok(time_format(cases[i].t, out, sizeof(out)));
		assert_string_equal(out, cases[i].s);
		assert_ok(time_parse(cases[i].s, &t));
		assert_true(t == cases[i].t);
	}
	assert_err(time_format(0, out, sizeof(out) - 1), E_LIMIT_SIZE);
	assert_err(time_format(253402300800, out, sizeof(out)), E_PEER_RANGE);
	assert_err(time_format(-62167219201, out, sizeof(out)), E_PEER_RANGE);
	assert_err(time_format(INT64_MAX, out, sizeof(out)), E_PEER_RANGE);
	assert_err(time_format(INT64_MIN, out, sizeof(out)), E_PEER_RANGE);
}

static void times_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"2026-01-31",
		"2026-01-31T12:00:00",
		"2026-01-31T12:00:00z",
		"2026-01-31t12:00:00Z",
		"2026-01-31 12:00:00Z",
		"2026-01-31T12:00:00ZZ",
		"2026-01-31T12:00:00.5Z",
		"2026-01-31T12:00:00+00:00",
		"2026-02-30T12:00:00Z",
		"2023-02-29T12:00:00Z",
		"2100-02-29T12:00:00Z",
		"2026-04-31T12:00:00Z",
		"2026-00-31T12:00:00Z",
		"2026-13-31T12:00:00Z",
		"2026-01-00T12:00:00Z",
		"2026-01-32T12:00:00Z",
		"2026-01-31T24:00:00Z",
		"2026-01-31T12:60:00Z",
		"2026-01-31T12:00:60Z",
		"-026-01-31T12:00:00Z",
		"+026-01-31T12:00:00Z",
		"2026-01-31T12:00: 0Z",
		"2026-1-031T12:00:00Z",
	};
	int64_t t = 42;

	(void)state;
	for (size_t i = 0; i < array_len(bad); i++)
		assert_err(time_parse(bad[i], &t), E_PEER_SYNTAX);
	assert_true(t == 42);
}

static void time_zone_changes_nothing(void **state)
{
	char out[TIME_TEXT_SIZE];
	int64_t t;

	(void)state;
	assert_int_equal(setenv("TZ", "Pacific/Kiritimati", 1), 0);
	assert_ok(time_format(951782400, out, sizeof(out)));
	assert_string_equal(out, "2000-02-29T00:00:00Z");
	assert_ok(time_parse(out, &t));
	assert_true(t == 951782400);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hex),
		cmocka_unit_test(hex_refuses),
		cmocka_unit_test(base64_vectors),
		cmocka_unit_test(base64_refuses),
		cmocka_unit_test(base64_takes_all_bytes_and_a_nul_inside_is_refused),
		cmocka_unit_test(numbers),
		cmocka_unit_test(durations),
		cmocka_unit_test(ids),
		cmocka_unit_test(utf8),
		cmocka_unit_test(times),
		cmocka_unit_test(times_refused),
		cmocka_unit_test(time_zone_changes_nothing),
	};

	return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
