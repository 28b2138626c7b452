/* SPDX-License-Identifier: Apache-2.0 */
#include "folder.h"

#include "base/limits.h"
#include "base/wr.h"
#include "firmware-measure/model.h"

static struct buf b = BUF_INIT(40 * MIB);

static int clear(void **state)
{
	(void)state;
	buf_free(&b);
	return 0;
}

static void le(uint64_t v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		assert_ok(buf_add_u8(&b, (uint8_t)(v >> (8 * i))));
}

static void text(const char *s)
{
	le(strlen(s), 8);
	assert_ok(buf_add_str(&b, s));
}

/* A file of what b holds, behind it so many bytes of tensors. */
static enum err_code parse(const char *format, uint64_t more, struct model_hint *ret)
{
	struct model_hint h = { 0 };
	struct reason why = { "" };
	struct err e = model_hint_parse(format, buf_bytes(&b), b.n + more, &h, &why);

	if (ret != NULL)
		*ret = h;
	return e.code;
}

static void safetensors(const char *json)
{
	buf_clear(&b);
	text(json);
}

#define TENSOR(shape, from, to) "{\"dtype\":\"BF16\",\"shape\":[" shape "],\"data_offsets\":[" from "," to "]}"

static void safetensors_good(void **state)
{
	struct model_hint h;

	(void)state;
	safetensors("{}");
	assert_int_equal(parse("safetensors", 0, &h), E_OK);
	assert_int_equal(h.n_tensors, 0);
	safetensors("{\"__metadata__\":{\"format\":\"pt\",\"modelspec.title\":\"Small \xc3\xa9\",\"version\":\"4.1\",\"n\":\"x\"},"
		    "\"a\":" TENSOR("2,3", "0", "12") ",\"b\":" TENSOR("", "12", "14") ",\"c\":" TENSOR("7,0", "14", "14") "}   ");
	assert_int_equal(parse("safetensors", 14, &h), E_OK);
	assert_string_equal(h.format, "safetensors");
	assert_int_equal(h.n_tensors, 3);
	assert_int_equal(h.n_parameters, 2 * 3 + 1 + 0);
	assert_string_equal(h.name, "Small \xc3\xa9");
	assert_string_equal(h.version, "4.1");
	assert_string_equal(h.architecture, "");
}

static void safetensors_bad(void **state)
{
	static const struct {
		const char *json;
		uint64_t more;
		enum err_code want;
	} t[] = {
		{ "[]", 0, E_PEER_TYPE },
		{ "{", 0, E_PEER_SYNTAX },
		{ "{}x", 0, E_PEER_SYNTAX },
		{ "{\"a\":1}", 0, E_PEER_TYPE },
		{ "{\"__metadata__\":[]}", 0, E_PEER_TYPE },
		{ "{\"a\":{\"shape\":[1],\"data_offsets\":[0,2]}}", 9, E_PEER_TYPE },
		{ "{\"a\":{\"dtype\":\"I8\",\"data_offsets\":[0,2]}}", 9, E_PEER_TYPE },
		{ "{\"a\":{\"dtype\":\"I8\",\"shape\":[1]}}", 9, E_PEER_TYPE },
		{ "{\"a\":" TENSOR("-1", "0", "2") "}", 2, E_PEER_TYPE },
		{ "{\"a\":" TENSOR("1.5", "0", "2") "}", 2, E_PEER_TYPE },
		{ "{\"a\":" TENSOR("1", "0", "3") "}", 2, E_PEER_RANGE },
		{ "{\"a\":" TENSOR("1", "2", "1") "}", 2, E_PEER_RANGE },
		{ "{\"a\":" TENSOR("1", "0", "1,2") "}", 2, E_LIMIT_COUNT },
		{ "{\"a\":{\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[0]}}", 9, E_PEER_RANGE },
		{ "{\"a\":" TENSOR("4294967296,4294967296", "0", "2") "}", 2, E_PEER_RANGE },
		{ "{\"a\":" TENSOR("9223372036854775807", "0", "2") ",\"b\":" TENSOR("1", "0", "2") "}", 2, E_PEER_RANGE },
		{ "{\"a\":" TENSOR("1", "0", "1") ",\"a\":" TENSOR("1", "0", "1") "}", 2, E_PEER_DUPLICATE },
		{ "{\"a\":{\"dtype\":[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]}}", 2, E_LIMIT_DEPTH },
	};
	char dims[200] = "1", json[300];

	(void)state;
	for (size_t i = 0; i < array_len(t); i++) {
		safetensors(t[i].json);
		if (parse("safetensors", t[i].more, NULL) != t[i].want)
			fail_msg("%s: %s", t[i].json, err_name(ERR(parse("safetensors", t[i].more, NULL))));
	}
	for (size_t i = 0; i < 64; i++)
		strcat(dims, ",1");
	(void)snprintf(json, sizeof(json), "{\"a\":{\"dtype\":\"I8\",\"shape\":[%s],\"data_offsets\":[0,1]}}", dims);
	safetensors(json);
	assert_int_equal(parse("safetensors", 1, NULL), E_LIMIT_COUNT);
}

/* The length of the header is whatever a file says. */
static void safetensors_lengths(void **state)
{
	static const uint64_t lengths[] = { 3, 100, INT64_MAX, UINT64_MAX, UINT64_MAX - 7 };

	(void)state;
	for (size_t n = 0; n < 8; n++) {
		buf_clear(&b);
		le(0, n);
		assert_int_equal(parse("safetensors", 0, NULL), E_PEER_TRUNCATED);
	}
	for (size_t i = 0; i < array_len(lengths); i++) {
		buf_clear(&b);
		le(lengths[i], 8);
		assert_ok(buf_add_str(&b, "{}"));
		assert_int_equal(parse("safetensors", 0, NULL), E_PEER_TRUNCATED);
	}
	buf_clear(&b);
	le(LIMIT_SAFETENSORS_HEADER + 1, 8);
	assert_int_equal(parse("safetensors", 2 * LIMIT_SAFETENSORS_HEADER, NULL), E_LIMIT_SIZE);
}

static void gguf(uint32_t version, uint64_t n_tensors, uint64_t n_pairs)
{
	buf_clear(&b);
	assert_ok(buf_add_str(&b, "GGUF"));
	le(version, 4);
	le(n_tensors, 8);
	le(n_pairs, 8);
}

static void pair(const char *key, uint32_t type)
{
	text(key);
	le(type, 4);
}

static void tensor(const char *name, size_t n_dims, const uint64_t *dims)
{
	text(name);
	le(n_dims, 4);
	for (size_t i = 0; i < n_dims; i++)
		le(dims[i], 8);
	le(0, 4);
	le(0, 8);
}

enum { U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64 };

/* Every type of value, arrays of all, arrays of arrays; then two tensors. */
static void whole_gguf(void)
{
	static const size_t size[] = { 1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8 };

	gguf(3, 2, 29);
	pair("general.architecture", STRING);
	text("llama");
	for (uint32_t type = U8; type <= F64; type++) {
		if (size[type] == 0)
			continue;
		pair("value", type);
		le(1, size[type]);
		pair("array", ARRAY);
		le(type, 4);
		le(3, 8);
		for (size_t i = 0; i < 3; i++)
			le(i, size[type]);
	}
	pair("words", ARRAY);
	le(STRING, 4);
	le(2, 8);
	text("one");
	text("");
	pair("general.name", U8); /* of another type: not the name */
	le(1, 1);
	pair("general.name", STRING);
	text("Small");
	pair("general.version", STRING);
	text("v4");
	pair("nested", ARRAY);
	le(ARRAY, 4);
	le(1, 8);
	le(STRING, 4);
	le(1, 8);
	text("deep");
	pair("general.name.more", STRING);
	text("no");
	tensor("a", 2, (const uint64_t[]){ 4096, 32000 });
	tensor("b", 0, NULL);
}

static void gguf_good(void **state)
{
	struct model_hint h;

	(void)state;
	gguf(2, 0, 0);
	assert_int_equal(parse("gguf", 0, &h), E_OK);
	whole_gguf();
	assert_int_equal(parse("gguf", 100, &h), E_OK);
	assert_string_equal(h.format, "gguf");
	assert_int_equal(h.n_tensors, 2);
	assert_int_equal(h.n_parameters, 4096 * 32000 + 1);
	assert_string_equal(h.name, "Small");
	assert_string_equal(h.version, "v4");
	assert_string_equal(h.architecture, "llama");
}

/* Cut at every byte: of a whole file truncated, of the head of a longer one too long. */
static void gguf_cut(void **state)
{
	(void)state;
	whole_gguf();
	for (size_t n = 0; n < b.n; n++) {
		struct model_hint h = { 0 };
		struct reason why = { "" };

		assert_code(model_hint_parse("gguf", BYTES(b.p, n), n, &h, &why), E_PEER_TRUNCATED);
		assert_code(model_hint_parse("gguf", BYTES(b.p, n), b.n, &h, &why), E_LIMIT_SIZE);
		assert_non_null(strstr(why.text, "header longer than"));
	}
}

static void gguf_bad(void **state)
{
	uint64_t dims[65];

	(void)state;
	buf_clear(&b);
	assert_ok(buf_add(&b, BYTES_LIT("GGML\3\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0")));
	assert_int_equal(parse("gguf", 0, NULL), E_PEER_SYNTAX);
	gguf(1, 0, 0);
	assert_int_equal(parse("gguf", 0, NULL), E_PEER_UNSUPPORTED);
	gguf(0x03000000, 0, 0); /* big endian */
	assert_int_equal(parse("gguf", 0, NULL), E_PEER_UNSUPPORTED);
	gguf(3, UINT64_MAX, 0);
	assert_int_equal(parse("gguf", 0, NULL), E_PEER_TRUNCATED);
	gguf(3, 0, UINT64_MAX);
	assert_int_equal(parse("gguf", 0, NULL), E_PEER_TRUNCATED);
	gguf(3, 0, 1);
	pair("x", 13);
	le(0, 8);
	assert_int_equal(parse("gguf", 0, NULL), E_PEER_RANGE);
	for (uint32_t type = U8; type <= F64; type++) {
		gguf(3, 0, 1);
		pair("x", ARRAY);
		le(type, 4);
		le(UINT64_MAX / 8 + 2, 8); /* times eight is a small number */
		le(0, 8);
		assert_int_equal(parse("gguf", 0, NULL), E_PEER_TRUNCATED);
	}
	gguf(3, 0, 1);
	pair("x", ARRAY);
	le(13, 4);
	le(0, 8);
	assert_int_equal(parse("gguf", 0, NULL), E_PEER_RANGE);
	gguf(3, 0, 1);
	pair("x", ARRAY);
	for (size_t i = 0; i < 5; i++) {
		le(ARRAY, 4);
		le(1, 8);
	}
	assert_int_equal(parse("gguf", 0, NULL), E_LIMIT_DEPTH);
	gguf(3, 0, 1);
	pair("general.name", STRING);
	text("\xff");
	assert_int_equal(parse("gguf", 0, NULL), E_PEER_SYNTAX);
	for (size_t i = 0; i < 65; i++)
		dims[i] = 1;
	gguf(3, 1, 0);
	tensor("t", 64, dims);
	assert_int_equal(parse("gguf", 0, NULL), E_OK);
	gguf(3, 1, 0);
	tensor("t", 65, dims);
	assert_int_equal(parse("gguf", 0, NULL), E_LIMIT_COUNT);
	gguf(3, 1, 0);
	tensor("t", 2, (const uint64_t[]){ UINT64_MAX, 2 });
	assert_int_equal(parse("gguf", 0, NULL), E_PEER_RANGE);
	gguf(3, 2, 0);
	tensor("t", 1, (const uint64_t[]){ INT64_MAX });
	tensor("t", 1, (const uint64_t[]){ 1 });
	assert_int_equal(parse("gguf", 0, NULL), E_PEER_RANGE);
}

/* Cut between characters, never within one. */
static void long_names(void **state)
{
	struct model_hint h;
	char name[301];

	(void)state;
	for (size_t odd = 0; odd < 3; odd++) {
		memset(name, 'x', odd);
		for (size_t i = odd; i + 3 < sizeof(name); i += 3)
			memcpy(name + i, "\xe6\xa8\xa1\0", 4);
		gguf(3, 0, 1);
		pair("general.name", STRING);
		text(name);
		assert_int_equal(parse("gguf", 0, &h), E_OK);
		assert_int_equal(strlen(h.name), odd + (127 - odd) / 3 * 3);
		assert_memory_equal(h.name, name, strlen(h.name));
	}
}

/* A hint fails nothing and changes nothing; it is read from the file that was hashed. */
static void beside_a_measurement(void **state)
{
	cleanup_model_report struct model_report with = { 0 }, without = { 0 };
	struct model_options o = { .hints = true };

	(void)state;
	put_folder("m");
	whole_gguf();
	put("m/b.gguf", (const char *)b.p, b.n);
	put_text("m/a.safetensors", "broken");
	put_text("m/.gguf", "a name, not a suffix");
	put_text("m/gguf", "x");
	put_text("m/x.bin", "x");
	assert_ok(model_measure("m", &o, &with, NULL));
	assert_ok(model_measure("m", NULL, &without, NULL));
	assert_memory_equal(with.digests.manifest, without.digests.manifest, 32);
	assert_int_equal(without.n_hints, 0);
	assert_int_equal(with.n_hints, 2);
	assert_string_equal(with.hints[0].path, "a.safetensors");
	assert_string_equal(with.hints[0].format, "safetensors");
	assert_code(with.hints[0].e, E_PEER_TRUNCATED);
	assert_string_equal(with.hints[1].path, "b.gguf");
	assert_code(with.hints[1].e, E_OK);
	assert_string_equal(with.hints[1].name, "Small");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, folder_enter, folder_leave)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(safetensors_good), cmocka_unit_test(safetensors_bad), cmocka_unit_test(safetensors_lengths),
		cmocka_unit_test(gguf_good),	    cmocka_unit_test(gguf_cut),	      cmocka_unit_test(gguf_bad),
		cmocka_unit_test(long_names),	    TEST(beside_a_measurement),
	};

	return cmocka_run_group_tests_name("model-hint", tests, NULL, clear);
}
