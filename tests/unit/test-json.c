/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"
#include "base/jsonw.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "tests/support/fault.h"

static const struct {
	const char *name;
	struct bytes in;
	enum err_code want;
} parse_cases[] = {
	{ "object", BYTES_LIT("{\"a\":1}"), E_OK },
	{ "white space around", BYTES_LIT(" \n{}\t "), E_OK },
	{ "any value", BYTES_LIT("\"text\""), E_OK },
	{ "brackets in a string do not nest", BYTES_LIT("[\"[[[[[[[[[[[[[[[[[[[[[\"]"), E_OK },
	{ "quote in a string", BYTES_LIT("[\"\\\"[[[[[[[[[[[[[[[[[[[[[\"]"), E_OK },
	{ "sixteen levels", BYTES_LIT("[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]"), E_OK },
	{ "many siblings", BYTES_LIT("[[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[]]"), E_OK },
	{ "seventeen levels", BYTES_LIT("[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]"), E_LIMIT_DEPTH },
	{ "seventeen levels of objects",
	  BYTES_LIT("{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":"
		    "{\"a\":{\"a\":{}}}}}}}}}}}}}}}}}"),
	  E_LIMIT_DEPTH },
	{ "only openings", BYTES_LIT("[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["), E_LIMIT_DEPTH },
	{ "nesting behind an unbalanced end", BYTES_LIT("]]]][[[[[[[[[[[[[[[[[[[[["), E_LIMIT_DEPTH },
	{ "nothing", BYTES_LIT(""), E_PEER_SYNTAX },
	{ "only white space", BYTES_LIT("  "), E_PEER_SYNTAX },
	{ "cut", BYTES_LIT("{\"a\":1"), E_PEER_SYNTAX },
	{ "cut in an escape", BYTES_LIT("[\"\\"), E_PEER_SYNTAX },
	{ "trailing bytes", BYTES_LIT("{} x"), E_PEER_SYNTAX },
	{ "two values", BYTES_LIT("{}{}"), E_PEER_SYNTAX },
	{ "trailing NUL", BYTES_LIT("{}\0"), E_PEER_SYNTAX },
	{ "trailing comma", BYTES_LIT("[1,]"), E_PEER_SYNTAX },
	{ "comment", BYTES_LIT("{}//"), E_PEER_SYNTAX },
	{ "byte order mark", BYTES_LIT("\xef\xbb\xbf{}"), E_PEER_SYNTAX },
	{ "escaped NUL in text", BYTES_LIT("{\"a\":\"x\\u0000y\"}"), E_PEER_SYNTAX },
	{ "escaped NUL in a key", BYTES_LIT("{\"a\\u0000\":1}"), E_PEER_SYNTAX },
	{ "raw NUL in text", BYTES_LIT("{\"a\":\"x\0y\"}"), E_PEER_SYNTAX },
	{ "raw newline in text", BYTES_LIT("{\"a\":\"x\ny\"}"), E_PEER_SYNTAX },
	{ "ill-formed UTF-8", BYTES_LIT("{\"a\":\"\xff\"}"), E_PEER_SYNTAX },
	{ "overlong UTF-8", BYTES_LIT("{\"a\":\"\xc0\xaf\"}"), E_PEER_SYNTAX },
	{ "UTF-8 surrogate", BYTES_LIT("{\"a\":\"\xed\xa0\x80\"}"), E_PEER_SYNTAX },
	{ "lone escaped surrogate", BYTES_LIT("{\"a\":\"\\ud800\"}"), E_PEER_SYNTAX },
	{ "duplicate key", BYTES_LIT("{\"a\":1,\"a\":1}"), E_PEER_DUPLICATE },
	{ "duplicate key, escaped", BYTES_LIT("{\"a\":1,\"\\u0061\":2}"), E_PEER_DUPLICATE },
	{ "duplicate key, inner", BYTES_LIT("{\"b\":[{\"a\":1,\"a\":2}]}"), E_PEER_DUPLICATE },
	{ "largest integer", BYTES_LIT("9223372036854775807"), E_OK },
	{ "integer of 2^63", BYTES_LIT("9223372036854775808"), E_PEER_RANGE },
	{ "integer below -2^63", BYTES_LIT("-9223372036854775809"), E_PEER_RANGE },
	{ "huge real", BYTES_LIT("1e400"), E_PEER_RANGE },
	{ "leading zero", BYTES_LIT("01"), E_PEER_SYNTAX },
	{ "NaN", BYTES_LIT("NaN"), E_PEER_SYNTAX },
};

static void test_parse(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(parse_cases); i++) {
		cleanup_json json_t *j = NULL;
		struct reason why = { "" };
		struct err e = json_parse(parse_cases[i].in, LIMIT_SMALL, &j, &why);

		if (e.code != parse_cases[i].want)
			fail_msg("%s: %s instead of %s (%s)", parse_cases[i].name, err_name(e),
				 err_name(ERR(parse_cases[i].want)), why.text);
		assert_true((j != NULL) == (e.code == E_OK));
		assert_true((why.text[0] != '\0') == (e.code != E_OK));
	}
}

static void test_parse_size(void **state)
{
	cleanup_json json_t *j = NULL;

	(void)state;
	assert_int_equal(json_parse(BYTES_LIT("[1,2]"), 5, &j, NULL).code, E_OK);
	json_decref(take_ptr(&j));
	assert_int_equal(json_parse(BYTES_LIT("[1,2]"), 4, &j, NULL).code, E_LIMIT_SIZE);
	assert_null(j);
}

/* The reason quotes what jansson says about foreign bytes; controls must not reach a terminal. */
static void test_parse_reason_is_quoted(void **state)
{
	cleanup_json json_t *j = NULL;
	struct reason why = { "" };

	(void)state;
	assert_int_equal(json_parse(BYTES_LIT("{\"a\":\x1b[2J\x7f}"), LIMIT_SMALL, &j, &why).code, E_PEER_SYNTAX);
	for (const char *p = why.text; *p != '\0'; p++)
		assert_true(*p >= ' ' && *p != 0x7f);
}

static void assert_written(const char *in, const char *want)
{
	cleanup_json json_t *j = NULL;
	cleanup_buf struct buf out = BUF_INIT(1024);

	assert_int_equal(json_parse(bytes_str(in), LIMIT_SMALL, &j, NULL).code, E_OK);
	assert_int_equal(json_write(j, &out).code, E_OK);
	assert_int_equal(out.n, strlen(want));
	assert_memory_equal(out.p, want, out.n);
}

static void test_write(void **state)
{
	(void)state;
	assert_written("{ \"b\" : 1, \"a\":[true,false,null], \"B\":-7 }",
		       "{\"B\":-7,\"a\":[true,false,null],\"b\":1}");
	assert_written("{\"a\":\"\\u00e9 \\/ \\\" \\\\ \\n \\u007f\"}", "{\"a\":\"\xc3\xa9 / \\\" \\\\ \\n \x7f\"}");
	assert_written("\"x\"", "\"x\"");
	assert_written("{\"a\":{\"z\":0,\"y\":{\"d\":1,\"c\":2}}}", "{\"a\":{\"y\":{\"c\":2,\"d\":1},\"z\":0}}");
}

static void test_write_limits(void **state)
{
	cleanup_json json_t *j = NULL;
	cleanup_buf struct buf out = BUF_INIT(8);

	(void)state;
	assert_int_equal(json_parse(BYTES_LIT("{\"abc\":\"def\"}"), LIMIT_SMALL, &j, NULL).code, E_OK);
	assert_int_equal(buf_add_str(&out, "x").code, E_OK);
	assert_int_equal(json_write(j, &out).code, E_LIMIT_SIZE);
	assert_int_equal(out.n, 1);
	assert_int_equal(json_write_pretty(j, &out).code, E_LIMIT_SIZE);
	assert_int_equal(out.n, 1);
}

static void test_write_pretty(void **state)
{
	cleanup_json json_t *j = NULL;
	cleanup_buf struct buf out = BUF_INIT(64);

	(void)state;
	assert_int_equal(json_parse(BYTES_LIT("{\"b\":1,\"a\":2}"), LIMIT_SMALL, &j, NULL).code, E_OK);
	assert_int_equal(json_write_pretty(j, &out).code, E_OK);
	assert_int_equal(buf_add_u8(&out, 0).code, E_OK);
	assert_string_equal((const char *)out.p, "{\n  \"b\": 1,\n  \"a\": 2\n}");
}

enum reader { R_STR, R_ID, R_U64, R_TIME, R_BOOL, R_HEX, R_B64, R_OBJ, R_ARR, R_ANY };

static const struct {
	enum reader reader;
	const char *value; /* of member "k"; NULL: not there */
	enum err_code want;
	int64_t number; /* what the reader must give, where it gives one */
} read_cases[] = {
	{ R_STR, "\"abcdefgh\"", E_OK, 0 },
	{ R_STR, "\"\"", E_OK, 0 },
	{ R_STR, "\"abcdefghi\"", E_PEER_RANGE, 0 },
	{ R_STR, "1", E_PEER_TYPE, 0 },
	{ R_STR, "null", E_PEER_TYPE, 0 },
	{ R_STR, "[\"a\"]", E_PEER_TYPE, 0 },
	{ R_STR, NULL, E_PEER_MISSING, 0 },
	{ R_ID, "\"agent-1.x_Y\"", E_OK, 0 },
	{ R_ID, "\"\"", E_PEER_RANGE, 0 },
	{ R_ID, "\"a b\"", E_PEER_RANGE, 0 },
	{ R_ID, "\"../x\"", E_PEER_RANGE, 0 },
	{ R_ID, "\"\\u00e9\"", E_PEER_RANGE, 0 },
	{ R_ID, "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"", E_PEER_RANGE, 0 },
	{ R_ID, "7", E_PEER_TYPE, 0 },
	{ R_U64, "0", E_OK, 0 },
	{ R_U64, "1000", E_OK, 1000 },
	{ R_U64, "1001", E_PEER_RANGE, 0 },
	{ R_U64, "-1", E_PEER_RANGE, 0 },
	{ R_U64, "1.0", E_PEER_TYPE, 0 },
	{ R_U64, "1e2", E_PEER_TYPE, 0 },
	{ R_U64, "\"1\"", E_PEER_TYPE, 0 },
	{ R_U64, "true", E_PEER_TYPE, 0 },
	{ R_U64, "null", E_PEER_TYPE, 0 },
	{ R_U64, NULL, E_PEER_MISSING, 0 },
	{ R_TIME, "1700000000", E_OK, 1700000000 },
	{ R_TIME, "0", E_OK, 0 },
	{ R_TIME, "\"2026-01-31T12:00:00Z\"", E_OK, 1769860800 },
	{ R_TIME, "253402300799", E_OK, 253402300799 },
	{ R_TIME, "253402300800", E_PEER_RANGE, 0 },
	{ R_TIME, "-1", E_PEER_RANGE, 0 },
	{ R_TIME, "1700000000.0", E_PEER_TYPE, 0 },
	{ R_TIME, "true", E_PEER_TYPE, 0 },
	{ R_TIME, "\"2026-01-31T12:00:00+00:00\"", E_PEER_SYNTAX, 0 },
	{ R_TIME, "\"2026-01-31\"", E_PEER_SYNTAX, 0 },
	{ R_TIME, "\"1700000000\"", E_PEER_SYNTAX, 0 },
	{ R_TIME, "\"2026-02-30T12:00:00Z\"", E_PEER_SYNTAX, 0 },
	{ R_BOOL, "true", E_OK, 1 },
	{ R_BOOL, "false", E_OK, 0 },
	{ R_BOOL, "1", E_PEER_TYPE, 0 },
	{ R_BOOL, "\"true\"", E_PEER_TYPE, 0 },
	{ R_HEX, "\"00ff\"", E_OK, 0x00ff },
	{ R_HEX, "\"00FF\"", E_OK, 0x00ff },
	{ R_HEX, "\"00f\"", E_PEER_SYNTAX, 0 },
	{ R_HEX, "\"00ff00\"", E_PEER_RANGE, 0 },
	{ R_HEX, "\"00fg\"", E_PEER_SYNTAX, 0 },
	{ R_HEX, "255", E_PEER_TYPE, 0 },
	{ R_B64, "\"AP8\"", E_OK, 0x00ff },
	{ R_B64, "\"AP8=\"", E_PEER_SYNTAX, 0 },
	{ R_B64, "\"AP9\"", E_PEER_NOT_CANONICAL, 0 },
	{ R_B64, "\"AP8AP8AP8AP8\"", E_LIMIT_SIZE, 0 },
	{ R_B64, "1", E_PEER_TYPE, 0 },
	{ R_OBJ, "{}", E_OK, 0 },
	{ R_OBJ, "[]", E_PEER_TYPE, 0 },
	{ R_OBJ, "null", E_PEER_TYPE, 0 },
	{ R_ARR, "[1,2]", E_OK, 2 },
	{ R_ARR, "[1,2,3]", E_LIMIT_COUNT, 0 },
	{ R_ARR, "{}", E_PEER_TYPE, 0 },
	{ R_ANY, "null", E_OK, 0 },
	{ R_ANY, NULL, E_PEER_MISSING, 0 },
};

static struct err read_one(struct jobj *o, enum reader reader, int64_t *ret)
{
	cleanup_buf struct buf b = BUF_INIT(4);
	const json_t *j = NULL;
	const char *s = NULL;
	uint8_t v[2] = { 0 };
	uint64_t u = 0;
	bool t = false;
	struct err e = ERR(E_BUG);

	switch (reader) {
	case R_STR:
		return jobj_str(o, "k", 8, &s);
	case R_ID:
		return jobj_id(o, "k", &s);
	case R_U64:
		e = jobj_u64(o, "k", 1000, &u);
		*ret = (int64_t)u;
		return e;
	case R_TIME:
		return jobj_time(o, "k", ret);
	case R_BOOL:
		e = jobj_bool(o, "k", &t);
		*ret = t;
		return e;
	case R_HEX:
		e = jobj_hex(o, "k", v, sizeof(v));
		*ret = v[0] << 8 | v[1];
		return e;
	case R_B64:
		e = jobj_b64url(o, "k", &b);
		*ret = b.n == 2 ? b.p[0] << 8 | b.p[1] : 0;
		return e;
	case R_OBJ:
		return jobj_obj(o, "k", &j);
	case R_ARR:
		e = jobj_arr(o, "k", 2, &j);
		*ret = (int64_t)json_array_size(j);
		return e;
	case R_ANY:
		return jobj_any(o, "k", &j);
	default:
		return e;
	}
}

static void test_readers(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(read_cases); i++) {
		cleanup_buf struct buf text = BUF_INIT(256);
		cleanup_json json_t *j = NULL;
		struct reason why = { "" };
		struct jobj o;
		int64_t number = 0;
		struct err e;

		if (read_cases[i].value == NULL)
			assert_int_equal(buf_add_str(&text, "{}").code, E_OK);
		else
			assert_int_equal(buf_addf(&text, "{\"k\":%s}", read_cases[i].value).code, E_OK);
		assert_int_equal(json_parse(buf_bytes(&text), LIMIT_SMALL, &j, NULL).code, E_OK);
		assert_int_equal(jobj_init(&o, j, "predicate", &why).code, E_OK);
		assert_true(jobj_has(&o, "k") == (read_cases[i].value != NULL));
		assert_int_equal(o.n_seen, 0);
		e = read_one(&o, read_cases[i].reader, &number);
		if (e.code != read_cases[i].want || number != read_cases[i].number)
			fail_msg("reader %d of %s: %s instead of %s, number %jd", (int)read_cases[i].reader,
				 read_cases[i].value, err_name(e), err_name(ERR(read_cases[i].want)), (intmax_t)number);
		if (failed(e))
			assert_ptr_equal(strstr(why.text, "predicate.k: "), why.text);
		else
			assert_int_equal(jobj_end(&o).code, E_OK);
	}
}

static void test_unknown_members(void **state)
{
	cleanup_json json_t *j = NULL;
	struct reason why = { "" };
	const char *s = NULL;
	struct jobj o;

	(void)state;
	assert_int_equal(json_parse(BYTES_LIT("{\"a\":\"x\",\"b\\u001b[1m\":2}"), LIMIT_SMALL, &j, NULL).code, E_OK);
	assert_int_equal(jobj_init(&o, j, "", &why).code, E_OK);
	assert_int_equal(jobj_str(&o, "a", 8, &s).code, E_OK);
	assert_int_equal(jobj_str(&o, "a", 8, &s).code, E_OK);
	assert_int_equal(o.n_seen, 1);
	assert_int_equal(jobj_end(&o).code, E_PEER_UNKNOWN_KEY);
	assert_non_null(strstr(why.text, "b\\x1b[1m"));
	/* Asking whether a member is there is not reading it. */
	assert_true(jobj_has(&o, "b\x1b[1m"));
	assert_int_equal(jobj_end(&o).code, E_PEER_UNKNOWN_KEY);
}

static void test_init_wants_object(void **state)
{
	cleanup_json json_t *j = json_array();
	struct reason why = { "" };
	struct jobj o;

	(void)state;
	assert_int_equal(jobj_init(&o, j, "subject", &why).code, E_PEER_TYPE);
	assert_string_equal(why.text, "subject: an object is expected");
	assert_int_equal(jobj_init(&o, NULL, "", &why).code, E_PEER_TYPE);
}

/* A tree built by hand can hold a NUL that the parser would have refused. */
static void test_nul_in_tree(void **state)
{
	cleanup_json json_t *j = json_object();
	const char *s = NULL;
	struct jobj o;

	(void)state;
	assert_int_equal(json_object_set_new(j, "k", json_stringn("a\0b", 3)), 0);
	assert_int_equal(jobj_init(&o, j, "", NULL).code, E_OK);
	assert_int_equal(jobj_str(&o, "k", 8, &s).code, E_PEER_SYNTAX);
	assert_null(s);
}

static void test_too_many_readers(void **state)
{
	static char keys[JOBJ_MAX_KEYS + 1][8];
	cleanup_json json_t *j = json_object();
	const json_t *v = NULL;
	struct jobj o;

	(void)state;
	for (size_t i = 0; i < array_len(keys); i++) {
		(void)snprintf(keys[i], sizeof(keys[i]), "k%zu", i);
		assert_int_equal(json_put_int(j, keys[i], 1).code, E_OK);
	}
	assert_int_equal(jobj_init(&o, j, "", NULL).code, E_OK);
	for (size_t i = 0; i < JOBJ_MAX_KEYS; i++)
		assert_int_equal(jobj_any(&o, keys[i], &v).code, E_OK);
	assert_int_equal(jobj_any(&o, keys[JOBJ_MAX_KEYS], &v).code, E_BUG);
	assert_int_equal(jobj_end(&o).code, E_PEER_UNKNOWN_KEY);
}

static struct err build(struct buf *ret)
{
	cleanup_json json_t *o = NULL, *inner = NULL;
	struct err e;

	if (failed(e = json_new_object(&o)) || failed(e = json_put_str(o, "s", "text")) ||
	    failed(e = json_put_text(o, "t", BYTES("abc", 2))) || failed(e = json_put_int(o, "i", -5)) ||
	    failed(e = json_put_bool(o, "b", true)) || failed(e = json_put_hex(o, "h", BYTES("\x01\xff", 2))) ||
	    failed(e = json_put_b64url(o, "u", BYTES("\x00\xff", 2))) || failed(e = json_new_object(&inner)) ||
	    failed(e = json_put(o, "o", take_ptr(&inner))))
		return e;
	return json_write(o, ret);
}

static void test_build(void **state)
{
	cleanup_buf struct buf out = BUF_INIT(256);
	cleanup_json json_t *o = json_object();

	(void)state;
	assert_int_equal(build(&out).code, E_OK);
	assert_int_equal(buf_add_u8(&out, 0).code, E_OK);
	assert_string_equal((const char *)out.p,
			    "{\"b\":true,\"h\":\"01ff\",\"i\":-5,\"o\":{},\"s\":\"text\",\"t\":\"ab\",\"u\":\"AP8\"}");
	assert_int_equal(json_put_str(o, "k", "\xff").code, E_PEER_SYNTAX);
	assert_int_equal(json_put_text(o, "k", BYTES("a\0b", 3)).code, E_PEER_SYNTAX);
	assert_int_equal(json_put(o, "\xff", json_true()).code, E_PEER_SYNTAX);
	assert_int_equal(json_put(o, "k", NULL).code, E_LOCAL_MEMORY);
	assert_int_equal(json_object_size(o), 0);
	assert_int_equal(json_put_text(o, "k", BYTES_NONE).code, E_OK);
}

static const char memory_text[] = "{\"a\":[1,2.5,\"x\"],\"b\":{\"c\":null,\"d\":\"yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\"}}";

static struct err parse_write_build(struct buf *ret)
{
	cleanup_json json_t *j = NULL;
	struct err e;

	if (failed(e = json_parse(BYTES_LIT(memory_text), sizeof(memory_text), &j, NULL)) ||
	    failed(e = json_write(j, ret)))
		return e;
	return build(ret);
}

/* Every allocation fails once, jansson's included: that is an error, never other bytes. ASan looks for what is left. */
static void test_memory(void **state)
{
	cleanup_buf struct buf want = BUF_INIT(1024);
	long n;

	(void)state;
	fault_begin(-1);
	assert_int_equal(parse_write_build(&want).code, E_OK);
	n = fault_end();
	assert_true(n > 50);
	for (long k = 0; k < n; k++) {
		cleanup_buf struct buf out = BUF_INIT(1024);
		struct err e;

		fault_begin(k);
		e = parse_write_build(&out);
		(void)fault_end();
		if (e.code != E_LOCAL_MEMORY)
			fail_msg("allocation %ld: %s", k, err_name(e));
	}
}

static struct err write_streamed(struct buf *ret)
{
	struct jsonw w;

	jsonw_begin(&w, ret);
	jsonw_str(&w, "s", "a\"b\\c\n\x1f\x7f\xc3\xa4");
	jsonw_int(&w, "i", INT64_MIN);
	jsonw_array(&w, "a");
	jsonw_bool(&w, NULL, true);
	jsonw_object(&w, NULL);
	jsonw_close(&w);
	jsonw_str(&w, NULL, "");
	jsonw_close(&w);
	jsonw_hex(&w, "h", BYTES_LIT("\x00\xfe"));
	return jsonw_end(&w);
}

/* The streamed text, and that jansson reads in it what was meant. */
static void test_streamed(void **state)
{
	cleanup_buf struct buf b = BUF_INIT(1024);
	cleanup_json json_t *j = NULL;
	static const char want[] = "{\"s\":\"a\\\"b\\\\c\\u000a\\u001f\x7f\xc3\xa4\",\"i\":-9223372036854775808,"
				   "\"a\":[true,{},\"\"],\"h\":\"00fe\"}";

	(void)state;
	assert_int_equal(write_streamed(&b).code, E_OK);
	assert_int_equal(b.n, sizeof(want) - 1);
	assert_memory_equal(b.p, want, b.n);
	assert_int_equal(json_parse(buf_bytes(&b), b.n, &j, NULL).code, E_OK);
	assert_string_equal(json_string_value(json_object_get(j, "s")), "a\"b\\c\n\x1f\x7f\xc3\xa4");
}

/* Whatever fails, what stood in the buffer before stands there alone. */
static void test_streamed_failures(void **state)
{
	cleanup_buf struct buf whole = BUF_INIT(1024);
	struct jsonw w;

	(void)state;
	assert_int_equal(write_streamed(&whole).code, E_OK);
	for (size_t max = 1; max <= whole.n; max++) {
		cleanup_buf struct buf b = BUF_INIT(max);

		assert_int_equal(buf_add_u8(&b, 'x').code, E_OK);
		assert_int_equal(write_streamed(&b).code, E_LIMIT_SIZE);
		assert_int_equal(b.n, 1);
	}
	for (int i = 0; i < 4; i++) {
		static const enum err_code want[] = { E_PEER_SYNTAX, E_BUG, E_BUG, E_BUG };
		cleanup_buf struct buf b = BUF_INIT(1024);

		jsonw_begin(&w, &b);
		if (i == 0)
			jsonw_str(&w, "s", "\xff");
		if (i == 1)
			jsonw_object(&w, "open");
		if (i == 2)
			jsonw_close(&w);
		for (size_t k = 0; i == 3 && k < LIMIT_JSON_DEPTH; k++)
			jsonw_array(&w, k == 0 ? "a" : NULL);
		assert_int_equal(jsonw_end(&w).code, want[i]);
		assert_int_equal(b.n, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_parse_size),
		cmocka_unit_test(test_parse_reason_is_quoted),
		cmocka_unit_test(test_write),
		cmocka_unit_test(test_write_limits),
		cmocka_unit_test(test_write_pretty),
		cmocka_unit_test(test_readers),
		cmocka_unit_test(test_unknown_members),
		cmocka_unit_test(test_init_wants_object),
		cmocka_unit_test(test_nul_in_tree),
		cmocka_unit_test(test_too_many_readers),
		cmocka_unit_test(test_build),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_streamed),
		cmocka_unit_test(test_streamed_failures),
	};

	fault_init();
	return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
