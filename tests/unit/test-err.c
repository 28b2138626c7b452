/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

static void names_are_found_again(void **state)
{
	(void)state;
	for (unsigned i = 0; i < N_ERR_CODES; i++) {
		struct err e = ERR((enum err_code)i);

		assert_int_equal(err_by_name(err_name(e)), i);
		assert_true(strlen(err_text(e)) > 0);
		assert_int_equal(failed(e), i != E_OK);
	}
	assert_int_equal(err_by_name("E_NONE_SUCH"), N_ERR_CODES);
	assert_int_equal(err_by_name(""), N_ERR_CODES);
}

static void classes_have_fitting_statuses(void **state)
{
	static const struct {
		const char *prefix;
		unsigned min, max;
	} classes[] = {
		{ "E_OK", 200, 200 },     { "E_PEER_", 400, 415 },  { "E_AUTH_", 401, 409 },
		{ "E_LIMIT_", 413, 429 }, { "E_LOCAL_", 500, 503 }, { "E_BUG", 500, 500 },
	};

	(void)state;
	for (unsigned i = 0; i < N_ERR_CODES; i++) {
		struct err e = ERR((enum err_code)i);
		size_t hits = 0;

		for (size_t k = 0; k < array_len(classes); k++) {
			if (strncmp(err_name(e), classes[k].prefix, strlen(classes[k].prefix)) != 0)
				continue;
			hits++;
			assert_in_range(err_http(e), classes[k].min, classes[k].max);
		}
		assert_int_equal(hits, 1);
	}
}

static void unknown_codes_are_harmless(void **state)
{
	struct err e = ERR((enum err_code)9999);

	(void)state;
	assert_true(failed(e));
	assert_string_equal(err_name(e), "E_?");
	assert_string_equal(err_text(e), "unknown error");
	assert_int_equal(err_http(e), 500);
}

static void reason_is_formatted(void **state)
{
	struct reason r;

	(void)state;
	reason_set(&r, "PCR %d is %s", 7, "zero");
	assert_string_equal(r.text, "PCR 7 is zero");
	reason_set(NULL, "nobody %s", "listens");
}

static void long_reason_is_cut_between_characters(void **state)
{
	char text[600];
	struct reason r;

	(void)state;
	/* With 0..3 ASCII characters in front, the cut meets every byte of a three-byte character. */
	for (size_t lead = 0; lead < 4; lead++) {
		memset(text, 'a', lead);
		for (size_t i = lead; i + 3 < sizeof(text); i += 3) {
			memcpy(text + i, "\xe2\x82\xac", 3);
			text[i + 3] = '\0';
		}
		memset(&r, 'x', sizeof(r));
		reason_set(&r, "%s", text);
		assert_non_null(memchr(r.text, 0, sizeof(r.text)));
		assert_true(utf8_valid(bytes_str(r.text)));
		assert_in_range(strlen(r.text), sizeof(r.text) - 4, sizeof(r.text) - 1);
		assert_string_equal(r.text + strlen(r.text) - 3, "...");
		assert_memory_equal(r.text, text, strlen(r.text) - 3);
	}
}

static void reason_that_just_fits_is_whole(void **state)
{
	char text[sizeof(((struct reason *)NULL)->text) + 1];
	struct reason r;

	(void)state;
	memset(text, 'a', sizeof(text));
	text[sizeof(r.text) - 1] = '\0';
	reason_set(&r, "%s", text);
	assert_string_equal(r.text, text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_found_again),
		cmocka_unit_test(classes_have_fitting_statuses),
		cmocka_unit_test(unknown_codes_are_harmless),
		cmocka_unit_test(reason_is_formatted),
		cmocka_unit_test(long_reason_is_cut_between_characters),
		cmocka_unit_test(reason_that_just_fits_is_whole),
	};

	return cmocka_run_group_tests_name("err", tests, NULL, NULL);
}
