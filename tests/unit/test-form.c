/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "verifier/issue/form.h"

struct values {
	char *a, *b;
};

static struct err parse(const char *body, struct values *v, struct reason *why)
{
	const struct form_field fields[] = { { "a", &v->a, 8, true }, { "b", &v->b, 300, false } };

	*v = (struct values){ NULL, NULL };
	return form_parse(bytes_str(body), fields, array_len(fields), why);
}

static void done(struct values *v)
{
	free(v->a);
	free(v->b);
}

static void values_are_decoded(void **state)
{
	static const struct {
		const char *body, *a, *b;
	} good[] = {
		{ "a=x", "x", NULL },
		{ "a=x&b=y", "x", "y" },
		{ "b=y&a=x", "x", "y" },
		{ "a=x&b=", "x", NULL },
		{ "a=x&b", "x", NULL },
		{ "a=1+2&b=%41%2b%2B%25", "1 2", "A++%" },
		{ "a=x&unknown=1&unknown=2", "x", NULL },
		{ "&a=x&&b=y&", "x", "y" },
		{ "a=%C3%A4", "\xc3\xa4", NULL },
		{ "a=x=y", "x=y", NULL },
		{ "%61=x", "x", NULL },
	};

	(void)state;
	for (size_t i = 0; i < array_len(good); i++) {
		struct values v;

		assert_ok(parse(good[i].body, &v, NULL));
		assert_string_equal(v.a, good[i].a);
		if (good[i].b == NULL)
			assert_null(v.b);
		else
			assert_string_equal(v.b, good[i].b);
		done(&v);
	}
}

static void bad_forms_are_refused_by_name(void **state)
{
	static const struct {
		const char *body;
		enum err_code want;
		const char *says;
	} bad[] = {
		{ "", E_PEER_MISSING, "parameter a is required" },
		{ "b=y", E_PEER_MISSING, "parameter a is required" },
		{ "a=", E_PEER_MISSING, "parameter a is required" },
		{ "a=x&a=y", E_PEER_DUPLICATE, "parameter a is given twice" },
		{ "a=x&%61=x", E_PEER_DUPLICATE, "parameter a is given twice" },
		{ "a=%", E_PEER_SYNTAX, "parameter a" },
		{ "a=%4", E_PEER_SYNTAX, "parameter a" },
		{ "a=%4g", E_PEER_SYNTAX, "parameter a" },
		{ "a=%00", E_PEER_SYNTAX, "parameter a" },
		{ "a=x%0a", E_PEER_SYNTAX, "parameter a" },
		{ "a=x%7f", E_PEER_SYNTAX, "parameter a" },
		{ "a=%ff", E_PEER_SYNTAX, "parameter a" },
		{ "a=123456789", E_LIMIT_SIZE, "parameter a: too long" },
		{ "a=x&%zz=1", E_PEER_SYNTAX, "parameter name" },
	};

	(void)state;
	for (size_t i = 0; i < array_len(bad); i++) {
		struct reason why = { { 0 } };
		struct values v;

		assert_code(parse(bad[i].body, &v, &why), bad[i].want);
		assert_non_null(strstr(why.text, bad[i].says));
		done(&v);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_decoded),
		cmocka_unit_test(bad_forms_are_refused_by_name),
	};

	return cmocka_run_group_tests_name("form", tests, NULL, NULL);
}
