/* SPDX-License-Identifier: Apache-2.0 */
/* Findings by id. Each test begins with a log that has none and changes one thing. */
#include "firmware-measure/evlog_check.h"
#include "tests/support/logbuild.h"
#include "unit.h"

#define MAX 16

static const enum digest_id both[] = { DIGEST_SHA1, DIGEST_SHA256 };
static const struct evlog_check_options none;

struct found {
	struct evlog_finding f[MAX];
	size_t n;
	enum evlog_secure_boot secure_boot;
};

static void check_with(const struct logbuild *l, const struct evlog_check_options *o, struct found *ret)
{
	struct evlog log;

	assert_ok(evlog_open(buf_bytes(&l->b), &log, NULL));
	assert_ok(evlog_check(&log, log.format == EVLOG_SHA1 ? DIGEST_SHA1 : DIGEST_SHA256, o, MAX, ret->f, &ret->n,
			      &ret->secure_boot, NULL));
	assert_true(ret->n <= MAX);
}

/* Exactly the findings that want names ("" for none), then the log is thrown away. */
static struct found expect(struct logbuild *l, const char *want)
{
	char got[256] = "";
	struct found f;

	check_with(l, &none, &f);
	for (size_t i = 0; i < f.n; i++) {
		char id[16];

		(void)snprintf(id, sizeof(id), "%sE%u", i > 0 ? " " : "", (unsigned)f.f[i].id);
		strcat(got, id);
		assert_true(f.f[i].text[0] != '\0');
	}
	assert_string_equal(got, want);
	buf_free(&l->b);
	return f;
}

static struct logbuild good(void)
{
	struct logbuild l;

	logbuild_init(&l, EVLOG_AGILE, 2, both);
	logbuild_good(&l, NULL);
	return l;
}

/* The good log up to a mark; the rest of it is added by finish(). */
struct cut {
	struct logbuild l;
	struct buf rest;
};

#define CUT_AT(mark)                                                                                                   \
	({                                                                                                             \
		struct logbuild_marks m_;                                                                              \
		struct cut c_ = { .rest = BUF_INIT(LIMIT_EVLOG) };                                                     \
		logbuild_init(&c_.l, EVLOG_AGILE, 2, both);                                                            \
		logbuild_good(&c_.l, &m_);                                                                             \
		assert_ok(buf_add(&c_.rest, BYTES(c_.l.b.p + m_.mark, c_.l.b.n - m_.mark)));                           \
		assert_ok(buf_truncate(&c_.l.b, m_.mark));                                                             \
		c_;                                                                                                    \
	})

static struct logbuild *finish(struct cut *c)
{
	assert_ok(buf_add(&c->l.b, buf_bytes(&c->rest)));
	buf_free(&c->rest);
	return &c->l;
}

/* Drops the first event of what follows. */
static void drop(struct cut *c)
{
	struct evlog_pos pos = { 0 };
	struct evlog_event ev;
	struct evlog log;
	struct buf b = BUF_INIT(LIMIT_EVLOG);
	size_t before;

	assert_ok(buf_add(&b, buf_bytes(&c->l.b)));
	assert_ok(buf_add(&b, buf_bytes(&c->rest)));
	before = c->l.b.n;
	assert_ok(evlog_open(buf_bytes(&b), &log, NULL));
	while (pos.off <= before)
		assert_ok(evlog_next(&log, &pos, &ev, NULL));
	buf_clear(&c->rest);
	assert_ok(buf_add(&c->rest, BYTES(b.p + pos.off, b.n - pos.off)));
	buf_free(&b);
}

static void test_good_logs_have_no_finding(void **state)
{
	const enum digest_id sha1 = DIGEST_SHA1;
	struct logbuild l = good();

	(void)state;
	assert_int_equal(expect(&l, "").secure_boot, EVLOG_SECURE_BOOT_ON);
	logbuild_init(&l, EVLOG_SHA1, 1, &sha1);
	logbuild_good(&l, NULL);
	assert_int_equal(expect(&l, "").secure_boot, EVLOG_SECURE_BOOT_ON);
}

static void test_E1_type_in_a_wrong_register(void **state)
{
	struct logbuild l = good();

	(void)state;
	logbuild_add(&l, 7, EV_IPL, BYTES_LIT("x"));
	expect(&l, "E1");
	l = good();
	logbuild_add(&l, 16, EV_IPL, BYTES_LIT("x"));
	expect(&l, "E1");
	l = good();
	logbuild_add(&l, 8, EV_UNUSED, BYTES_LIT("x"));
	expect(&l, "E1");
	l = good();
	logbuild_add(&l, 8, 0x12345678, BYTES_LIT("x"));
	expect(&l, "E1");
	assert_true(evlog_type_belongs(7, EV_EFI_VARIABLE_AUTHORITY));
	assert_false(evlog_type_belongs(6, EV_EFI_VARIABLE_AUTHORITY));
	assert_false(evlog_type_belongs(UINT32_MAX, EV_SEPARATOR));
}

static void test_E1_no_action_that_is_none(void **state)
{
	struct cut c = CUT_AT(app);
	struct logbuild l = good();

	(void)state;
	logbuild_no_action(&l, 0, BYTES_LIT("SP800-155 Event\0and a manifest"));
	expect(&l, "");
	l = good();
	logbuild_no_action(&l, EVLOG_NO_PCR, BYTES_LIT("anything"));
	expect(&l, "E1");
	l = good();
	logbuild_no_action(&l, 0, BYTES_LIT("H-CRTM"));
	expect(&l, "E1"); /* too late */
	/* The boot application retyped: its digest does not count any more, and the event that is left says so. */
	c.rest.p[4] = EV_NO_ACTION;
	memset(c.rest.p + 5, 0, 3);
	expect(finish(&c), "E1 E4");
}

static void test_E2_digest_of_other_data(void **state)
{
	struct cut c = CUT_AT(secure_boot);
	struct found f;

	(void)state;
	drop(&c);
	logbuild_measure(&c.l, 7, EV_EFI_VARIABLE_DRIVER_CONFIG,
			 BYTES_LIT("\x61\xdf\xe4\x8b\xca\x93\xd2\x11\xaa\x0d\x00\xe0\x98\x03\x2b\x8c"
				   "\x0a\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0S\0e\0c\0u\0r\0e\0B\0o\0o\0t\0\1"),
			 BYTES_LIT("something else"));
	f = expect(finish(&c), "E2");
	assert_int_equal(f.secure_boot, EVLOG_SECURE_BOOT_UNKNOWN);
}

static void test_E3_second_separator(void **state)
{
	(void)state;
	for (uint32_t pcr = 0; pcr < 8; pcr++) {
		struct logbuild l = good();

		logbuild_separator(&l, pcr, 0);
		assert_int_equal(expect(&l, "E3").f[0].pcr, pcr);
	}
}

static void test_E3_no_separator(void **state)
{
	struct cut c = CUT_AT(separator_7);
	struct found f;

	(void)state;
	drop(&c);
	/* Without it the application's authority counts as a driver's. */
	f = expect(finish(&c), "E3 E4");
	assert_int_equal(f.f[0].pcr, 7);
	assert_true(f.f[0].event == EVLOG_NO_EVENT);
}

static void test_E3_error_marker(void **state)
{
	static const uint32_t values[] = { UINT32_MAX, 1 };

	(void)state;
	for (size_t i = 0; i < array_len(values); i++) {
		struct cut c = CUT_AT(separator_7);

		drop(&c);
		logbuild_separator(&c.l, 7, values[i]);
		expect(finish(&c), "E3");
	}
}

static void test_E3_firmware_after_the_separator(void **state)
{
	struct logbuild l = good();

	(void)state;
	logbuild_add(&l, 0, EV_S_CRTM_VERSION, BYTES_LIT("2\0\0\0"));
	expect(&l, "E3");
	l = good();
	logbuild_variable(&l, 7, EV_EFI_VARIABLE_DRIVER_CONFIG, NULL, "dbx", BYTES_NONE);
	expect(&l, "E3");
}

static void test_E4_secure_boot_variable(void **state)
{
	static const struct {
		struct bytes contents;
		const char *want;
		enum evlog_secure_boot secure_boot;
	} cases[] = {
		{ BYTES_LIT("\1"), "", EVLOG_SECURE_BOOT_ON },
		{ BYTES_LIT("\0"), "", EVLOG_SECURE_BOOT_OFF },
		{ BYTES_LIT("\2"), "E4", EVLOG_SECURE_BOOT_UNKNOWN },
		{ BYTES_LIT(""), "E4", EVLOG_SECURE_BOOT_UNKNOWN },
		{ BYTES_LIT("\1\0"), "E4", EVLOG_SECURE_BOOT_UNKNOWN },
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		struct cut c = CUT_AT(secure_boot);

		drop(&c);
		logbuild_variable(&c.l, 7, EV_EFI_VARIABLE_DRIVER_CONFIG, NULL, "SecureBoot", cases[i].contents);
		assert_int_equal(expect(finish(&c), cases[i].want).secure_boot, cases[i].secure_boot);
	}
}

static void test_E4_secure_boot_twice_late_or_never(void **state)
{
	struct cut c = CUT_AT(secure_boot);
	struct logbuild l;

	(void)state;
	logbuild_variable(&c.l, 7, EV_EFI_VARIABLE_DRIVER_CONFIG, NULL, "SecureBoot", BYTES_LIT("\1"));
	assert_int_equal(expect(finish(&c), "E4").secure_boot, EVLOG_SECURE_BOOT_UNKNOWN);
	c = CUT_AT(secure_boot);
	drop(&c);
	assert_int_equal(expect(finish(&c), "E4").secure_boot, EVLOG_SECURE_BOOT_UNKNOWN);
	c = CUT_AT(secure_boot);
	drop(&c);
	l = *finish(&c);
	logbuild_variable(&l, 7, EV_EFI_VARIABLE_DRIVER_CONFIG, NULL, "SecureBoot", BYTES_LIT("\1"));
	assert_int_equal(expect(&l, "E3 E4").secure_boot, EVLOG_SECURE_BOOT_UNKNOWN);
}

static void test_E4_authority_on_the_wrong_side(void **state)
{
	struct cut c = CUT_AT(separator_7);

	(void)state;
	logbuild_variable(&c.l, 7, EV_EFI_VARIABLE_AUTHORITY, NULL, "db", BYTES_LIT("x"));
	expect(finish(&c), "E4");
	c = CUT_AT(separator_7);
	logbuild_variable(&c.l, 7, EV_EFI_VARIABLE_AUTHORITY, NULL, "db", BYTES_LIT("x"));
	logbuild_image(&c.l, 2, EV_EFI_BOOT_SERVICES_DRIVER, "\\rom", BYTES_LIT("driver"));
	expect(finish(&c), "");
	c = CUT_AT(app);
	drop(&c);
	expect(finish(&c), "E4");
}

/* A log that begins with these localities for these registers. */
static struct logbuild with_locality(size_t n, const uint8_t (*what)[2])
{
	struct logbuild l, all;
	struct evlog_pos pos = { 0 };
	struct evlog_event ev;
	struct evlog log;

	logbuild_init(&l, EVLOG_AGILE, 2, both);
	logbuild_header(&l);
	for (size_t i = 0; i < n; i++)
		logbuild_locality(&l, what[i][0], what[i][1]);
	all = good();
	assert_ok(evlog_open(buf_bytes(&all.b), &log, NULL));
	assert_ok(evlog_next(&log, &pos, &ev, NULL));
	assert_ok(buf_add(&l.b, BYTES(all.b.p + pos.off, all.b.n - pos.off)));
	buf_free(&all.b);
	return l;
}

static void test_E5_startup_locality(void **state)
{
	static const struct {
		uint8_t what[2][2];
		size_t n;
		const char *want;
	} cases[] = {
		{ { { 0, 0 } }, 1, "" },
		{ { { 0, 3 } }, 1, "" },
		{ { { 0, 4 } }, 1, "" },
		{ { { 0, 5 } }, 1, "E5" },
		{ { { 0, 1 } }, 1, "E5" },
		{ { { 1, 3 } }, 1, "E5" },
		{ { { 0, 3 }, { 0, 3 } }, 2, "E5" },
	};
	struct logbuild l;

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		l = with_locality(cases[i].n, cases[i].what);
		expect(&l, cases[i].want);
	}
	l = good();
	logbuild_locality(&l, 0, 3); /* at the end */
	expect(&l, "E5");
	logbuild_init(&l, EVLOG_AGILE, 2, both);
	logbuild_header(&l);
	logbuild_locality(&l, 0, 3);
	expect(&l, "E3 E3 E3 E3 E3 E3 E3 E3 E5 E4 E11");
}

static void test_E6_hcrtm_is_the_first(void **state)
{
	struct cut c = CUT_AT(secure_boot);

	(void)state;
	logbuild_measure(&c.l, 0, EV_EFI_HCRTM_EVENT, BYTES_LIT("HCRTM"), BYTES_LIT("code"));
	expect(finish(&c), "E6");
}

static void test_E9_bank_missing_or_repeated(void **state)
{
	struct logbuild l = good();
	struct found f;

	(void)state;
	l.n_banks = 1;
	logbuild_add(&l, 8, EV_IPL, BYTES_LIT("x"));
	f = expect(&l, "E9");
	assert_non_null(strstr(f.f[0].text, "missing"));
	l = good();
	l.n_banks = 3;
	l.bank[2] = DIGEST_SHA1;
	logbuild_add(&l, 8, EV_IPL, BYTES_LIT("x"));
	f = expect(&l, "E9");
	assert_non_null(strstr(f.f[0].text, "repeated"));
}

static void test_E11_exit_boot_services(void **state)
{
	const struct evlog_check_options off = { .exit_boot_services_optional = true };
	struct cut c = CUT_AT(exit_boot);
	struct found f;

	(void)state;
	drop(&c);
	check_with(finish(&c), &off, &f);
	assert_int_equal(f.n, 0);
	expect(&c.l, "E11");
}

static void test_E12_dbx(void **state)
{
	cleanup_buf struct buf reference = BUF_INIT(LIMIT_SMALL);
	struct evlog_check_options o = none;
	struct logbuild l = good();
	struct found f;

	(void)state;
	logbuild_hash_list(&reference, 48, 4); /* what logbuild_good() has */
	o.dbx = buf_bytes(&reference);
	check_with(&l, &o, &f);
	assert_int_equal(f.n, 0);
	logbuild_hash_list(&reference, 99, 1);
	o.dbx = buf_bytes(&reference);
	check_with(&l, &o, &f);
	assert_int_equal(f.n, 1);
	assert_int_equal(f.f[0].id, EVLOG_E12);
	buf_free(&l.b);
}

/* A dbx that the digest does not cover, or none at all, contains nothing. */
static void test_E12_dbx_that_was_not_measured(void **state)
{
	cleanup_buf struct buf reference = BUF_INIT(LIMIT_SMALL);
	const enum digest_id bank = DIGEST_SHA256;
	struct evlog_check_options o = none;
	struct logbuild l;
	struct found f;
	bool seen = false;

	(void)state;
	logbuild_hash_list(&reference, 48, 4);
	o.dbx = buf_bytes(&reference);
	logbuild_init(&l, EVLOG_AGILE, 1, &bank);
	logbuild_header(&l);
	check_with(&l, &o, &f);
	for (size_t i = 0; i < f.n; i++)
		seen = seen || f.f[i].id == EVLOG_E12;
	assert_true(seen);
	buf_free(&l.b);
}

static void test_findings_are_bounded(void **state)
{
	struct logbuild l = good();
	struct evlog_finding two[3] = { 0 };
	struct evlog log;
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < 5; i++)
		logbuild_separator(&l, 3, 0);
	assert_ok(evlog_open(buf_bytes(&l.b), &log, NULL));
	assert_ok(evlog_check(&log, DIGEST_SHA256, &none, 2, two, &n, NULL, NULL));
	assert_int_equal(n, 5);
	assert_int_equal(two[1].id, EVLOG_E3);
	assert_int_equal(two[2].id, 0);
	assert_err(evlog_check(&log, DIGEST_SHA384, &none, 2, two, &n, NULL, NULL), E_PEER_UNSUPPORTED);
	buf_free(&l.b);
}

static void test_confidential_logs_have_other_rules(void **state)
{
	const struct evlog_check_options cc = { .confidential = true };
	static const uint16_t algs[][2] = { { 0x000c, 48 } };
	const enum digest_id bank = DIGEST_SHA384;
	struct evlog_finding found[8];
	enum evlog_secure_boot secure_boot;
	struct logbuild l;
	struct evlog log;
	size_t n = 9;

	(void)state;
	logbuild_init(&l, EVLOG_AGILE, 1, &bank);
	logbuild_header_with(&l, 1, 1, algs, BYTES_NONE);
	logbuild_variable(&l, 1, EV_EFI_VARIABLE_DRIVER_CONFIG, NULL, "SecureBoot", BYTES_LIT("\0"));
	logbuild_separator(&l, 1, 0);
	logbuild_add(&l, 2, EV_EFI_ACTION, BYTES_LIT("Exit Boot Services Invocation"));
	logbuild_add(&l, 2, EV_EFI_ACTION, BYTES_LIT("Exit Boot Services Returned with Success"));
	assert_ok(evlog_open(buf_bytes(&l.b), &log, NULL));
	assert_int_equal(log.header_index, 1);
	assert_ok(evlog_check(&log, bank, &cc, 8, found, &n, &secure_boot, NULL));
	assert_int_equal(n, 0);
	assert_int_equal(secure_boot, EVLOG_SECURE_BOOT_OFF);
	buf_free(&l.b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_logs_have_no_finding),
		cmocka_unit_test(test_E1_type_in_a_wrong_register),
		cmocka_unit_test(test_E1_no_action_that_is_none),
		cmocka_unit_test(test_E2_digest_of_other_data),
		cmocka_unit_test(test_E3_second_separator),
		cmocka_unit_test(test_E3_no_separator),
		cmocka_unit_test(test_E3_error_marker),
		cmocka_unit_test(test_E3_firmware_after_the_separator),
		cmocka_unit_test(test_E4_secure_boot_variable),
		cmocka_unit_test(test_E4_secure_boot_twice_late_or_never),
		cmocka_unit_test(test_E4_authority_on_the_wrong_side),
		cmocka_unit_test(test_E5_startup_locality),
		cmocka_unit_test(test_E6_hcrtm_is_the_first),
		cmocka_unit_test(test_E9_bank_missing_or_repeated),
		cmocka_unit_test(test_E11_exit_boot_services),
		cmocka_unit_test(test_E12_dbx),
		cmocka_unit_test(test_E12_dbx_that_was_not_measured),
		cmocka_unit_test(test_findings_are_bounded),
		cmocka_unit_test(test_confidential_logs_have_other_rules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
