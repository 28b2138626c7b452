/* SPDX-License-Identifier: Apache-2.0 */
#include "firmware-measure/evlog.h"

#include "tests/support/logbuild.h"
#include "unit.h"

static const enum digest_id all[] = { DIGEST_SHA1, DIGEST_SHA256, DIGEST_SHA384, DIGEST_SHA512, DIGEST_SM3_256 };

/* Reads the whole log; the first error, and how many events there were. */
static struct err read_all(struct bytes raw, size_t *ret_n, struct evlog_fault *fault)
{
	struct evlog_pos pos = { 0 };
	struct evlog_event ev;
	struct evlog log;
	struct err e;

	*ret_n = 0;
	if (failed(e = evlog_open(raw, &log, fault)))
		return e;
	for (;;) {
		struct evlog_pos before = pos;

		e = evlog_next(&log, &pos, &ev, fault);
		if (failed(e)) {
			assert_memory_equal(&pos, &before, sizeof(pos));
			assert_true(fault->off >= pos.off && fault->off <= raw.n);
			assert_true(fault->why.text[0] != '\0');
			return e;
		}
		if (ev.end)
			return e;
		assert_int_equal(ev.index, *ret_n);
		assert_true(ev.pcr < LIMIT_PCRS || (ev.pcr == EVLOG_NO_PCR && ev.type == EV_NO_ACTION));
		*ret_n = pos.index;
	}
}

static struct logbuild with_event(size_t n_banks, const enum digest_id *banks)
{
	struct logbuild l;

	logbuild_init(&l, EVLOG_AGILE, n_banks, banks);
	logbuild_header(&l);
	logbuild_add(&l, 8, EV_IPL, BYTES_LIT("text"));
	return l;
}

static void test_every_bank(void **state)
{
	struct evlog_pos pos = { 0 };
	struct evlog_event ev;
	struct evlog log;
	struct logbuild l = with_event(array_len(all), all);

	(void)state;
	assert_ok(evlog_open(buf_bytes(&l.b), &log, NULL));
	assert_int_equal(log.format, EVLOG_AGILE);
	assert_int_equal(log.banks, (1U << N_DIGESTS) - 1);
	assert_int_equal(log.version_major, 2);
	assert_ok(evlog_next(&log, &pos, &ev, NULL));
	assert_int_equal(ev.type, EV_NO_ACTION);
	for (size_t i = 0; i < N_DIGESTS; i++)
		assert_int_equal(ev.digest[i].n, 0);
	assert_ok(evlog_next(&log, &pos, &ev, NULL));
	for (size_t i = 0; i < array_len(all); i++) {
		struct digest want;

		assert_ok(digest_one(all[i], BYTES_LIT("text"), &want));
		assert_bytes(ev.digest[all[i]], digest_bytes(&want));
	}
	assert_bytes(ev.data, BYTES_LIT("text"));
	assert_int_equal(ev.missing | ev.repeated | ev.uneven, 0);
	assert_ok(evlog_next(&log, &pos, &ev, NULL));
	assert_true(ev.end);
	assert_ok(evlog_next(&log, &pos, &ev, NULL));
	assert_true(ev.end);
	buf_free(&l.b);
}

static void test_E9_header(void **state)
{
	static const struct {
		uint16_t algs[3][2];
		size_t n;
		const char *extra;
		enum err_code want;
	} cases[] = {
		{ { { 0x000b, 32 } }, 1, "", E_OK },
		{ { { 0x000b, 0 } }, 1, "", E_PEER_RANGE },
		{ { { 0x000b, 65535 } }, 1, "", E_PEER_RANGE },
		{ { { 0x000b, 20 } }, 1, "", E_PEER_RANGE },
		{ { { 0x0099, 64 } }, 1, "", E_OK },
		{ { { 0x0099, 65 } }, 1, "", E_PEER_RANGE },
		{ { { 0x0099, 0 } }, 1, "", E_PEER_RANGE },
		{ { { 0x000b, 32 }, { 0x0004, 20 }, { 0x000b, 32 } }, 3, "", E_PEER_DUPLICATE },
		{ { { 0 } }, 0, "", E_PEER_RANGE },
		{ { { 0x000b, 32 } }, 1, "x", E_PEER_TRAILING },
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		struct evlog_fault fault = { 0 };
		struct logbuild l;
		struct evlog log;

		logbuild_init(&l, EVLOG_AGILE, 0, NULL);
		logbuild_header_with(&l, 0, cases[i].n, cases[i].algs, bytes_str(cases[i].extra));
		assert_code(evlog_open(buf_bytes(&l.b), &log, &fault), cases[i].want);
		assert_true(cases[i].want == E_OK || (fault.off > 32 && fault.why.text[0] != '\0'));
		buf_free(&l.b);
	}
}

static void test_E9_at_most_16_algorithms(void **state)
{
	uint16_t algs[17][2];
	struct logbuild l;
	struct evlog log;

	(void)state;
	for (uint16_t i = 0; i < 17; i++) {
		algs[i][0] = (uint16_t)(0x1000 + i);
		algs[i][1] = 1;
	}
	for (size_t n = 16; n <= 17; n++) {
		logbuild_init(&l, EVLOG_AGILE, 0, NULL);
		logbuild_header_with(&l, 0, n, algs, BYTES_NONE);
		assert_code(evlog_open(buf_bytes(&l.b), &log, NULL), n == 16 ? E_OK : E_LIMIT_COUNT);
		buf_free(&l.b);
	}
}

static void test_E9_unknown_algorithm_is_skipped(void **state)
{
	static const uint16_t algs[][2] = { { 0x0099, 5 }, { 0x000b, 32 } };
	struct evlog_pos pos = { 0 };
	struct evlog_event ev;
	struct logbuild l;
	struct evlog log;

	(void)state;
	logbuild_init(&l, EVLOG_AGILE, 0, NULL);
	logbuild_header_with(&l, 0, 2, algs, BYTES_NONE);
	logbuild_u32(&l.b, 8);
	logbuild_u32(&l.b, EV_IPL);
	logbuild_u32(&l.b, 2);
	logbuild_u16(&l.b, 0x0099);
	assert_ok(buf_add_str(&l.b, "12345"));
	logbuild_u16(&l.b, 0x000b);
	assert_ok(buf_add_str(&l.b, "0123456789abcdef0123456789abcdef"));
	logbuild_u32(&l.b, 0);
	assert_ok(evlog_open(buf_bytes(&l.b), &log, NULL));
	assert_int_equal(log.banks, 1U << DIGEST_SHA256);
	assert_ok(evlog_next(&log, &pos, &ev, NULL));
	assert_ok(evlog_next(&log, &pos, &ev, NULL));
	assert_bytes(ev.digest[DIGEST_SHA256], BYTES_LIT("0123456789abcdef0123456789abcdef"));
	assert_false(ev.uneven);
	buf_free(&l.b);
}

static void test_digest_count_and_undeclared_algorithm(void **state)
{
	static const struct {
		uint32_t count;
		uint16_t alg;
		enum err_code want;
	} cases[] = {
		{ 0, 0x000b, E_PEER_RANGE },
		{ 17, 0x000b, E_LIMIT_COUNT },
		{ UINT32_MAX, 0x000b, E_LIMIT_COUNT },
		{ 1, 0x0004, E_PEER_UNSUPPORTED },
	};
	const enum digest_id bank = DIGEST_SHA256;

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		struct logbuild l = with_event(1, &bank);
		struct evlog_fault fault;
		size_t at = l.b.n - 4 - 4 - 32 - 2 - 4, n;

		memset(l.b.p + at, 0, 4);
		l.b.p[at] = (uint8_t)cases[i].count;
		if (cases[i].count == UINT32_MAX)
			memset(l.b.p + at, 0xff, 4);
		l.b.p[at + 4] = (uint8_t)cases[i].alg;
		assert_code(read_all(buf_bytes(&l.b), &n, &fault), cases[i].want);
		assert_int_equal(n, 1);
		buf_free(&l.b);
	}
}

static void test_register_above_23(void **state)
{
	static const uint32_t pcrs[] = { 24, 0x80000000, 0xffffffff, 0x00010000 };
	const enum digest_id bank = DIGEST_SHA256;

	(void)state;
	for (size_t i = 0; i < array_len(pcrs); i++) {
		struct logbuild l;
		struct evlog_fault fault;
		size_t n;

		logbuild_init(&l, EVLOG_AGILE, 1, &bank);
		logbuild_header(&l);
		logbuild_add(&l, pcrs[i], EV_IPL, BYTES_LIT("x"));
		assert_err(read_all(buf_bytes(&l.b), &n, &fault), E_PEER_RANGE);
		buf_free(&l.b);
	}
}

static void test_E10_padding(void **state)
{
	static const enum evlog_format formats[] = { EVLOG_AGILE, EVLOG_SHA1 };
	const enum digest_id bank = DIGEST_SHA1;

	(void)state;
	for (size_t f = 0; f < 2; f++) {
		for (int fill = 0; fill <= 0xff; fill += 0xff) {
			for (size_t pad = 0; pad <= 100; pad++) {
				struct evlog_fault fault;
				struct logbuild l;
				struct err e;
				size_t n, end;

				logbuild_init(&l, formats[f], 1, &bank);
				logbuild_good(&l, NULL);
				assert_ok(read_all(buf_bytes(&l.b), &end, &fault));
				for (size_t i = 0; i < pad; i++)
					logbuild_u8(&l.b, (uint8_t)fill);
				e = read_all(buf_bytes(&l.b), &n, &fault);
				assert_code(e, pad == 0 || pad >= 8 ? E_OK : E_PEER_TRUNCATED);
				assert_int_equal(n, end);
				buf_free(&l.b);
			}
		}
	}
}

/* Zeros that the last event ends in make no padding of fewer bytes than padding has. */
static void test_E10_padding_behind_zeros(void **state)
{
	const enum digest_id bank = DIGEST_SHA256;

	(void)state;
	for (size_t pad = 0; pad <= 20; pad++) {
		struct logbuild l = with_event(1, &bank);
		struct evlog_fault fault;
		size_t n, end;

		logbuild_separator(&l, 0, 0);
		assert_ok(read_all(buf_bytes(&l.b), &end, &fault));
		for (size_t i = 0; i < pad; i++)
			logbuild_u8(&l.b, 0);
		assert_code(read_all(buf_bytes(&l.b), &n, &fault), pad == 0 || pad >= 8 ? E_OK : E_PEER_TRUNCATED);
		assert_int_equal(n, end);
		buf_free(&l.b);
	}
}

static void test_E10_one_byte_in_the_padding(void **state)
{
	const enum digest_id bank = DIGEST_SHA256;

	(void)state;
	for (int fill = 0; fill <= 0xff; fill += 0xff) {
		for (size_t at = 0; at < 200; at++) {
			struct logbuild l = with_event(1, &bank);
			struct evlog_fault fault;
			size_t n, start = l.b.n;

			for (size_t i = 0; i < 200; i++)
				logbuild_u8(&l.b, (uint8_t)fill);
			l.b.p[start + at] = 0x5a;
			assert_true(failed(read_all(buf_bytes(&l.b), &n, &fault)));
			buf_free(&l.b);
		}
	}
}

/* Zero events as far as the limit goes, and one byte behind them: refused at the first, in one pass. */
static void test_E10_much_padding_is_read_once(void **state)
{
	const enum digest_id bank = DIGEST_SHA1;
	struct evlog_fault fault;
	struct logbuild l;
	size_t n;

	(void)state;
	logbuild_init(&l, EVLOG_SHA1, 1, &bank);
	logbuild_add(&l, 8, EV_IPL, BYTES_LIT("x"));
	assert_ok(buf_reserve(&l.b, LIMIT_EVLOG - l.b.n));
	memset(l.b.p + l.b.n, 0, LIMIT_EVLOG - l.b.n);
	l.b.n = LIMIT_EVLOG;
	assert_ok(read_all(buf_bytes(&l.b), &n, &fault));
	assert_int_equal(n, 1);
	l.b.p[LIMIT_EVLOG - 1] = 1;
	assert_err(read_all(buf_bytes(&l.b), &n, &fault), E_PEER_RANGE);
	logbuild_u8(&l.b, 0);
	assert_err(read_all(buf_bytes(&l.b), &n, &fault), E_LIMIT_SIZE);
	buf_free(&l.b);
}

static void test_E10_every_cut(void **state)
{
	static const enum evlog_format formats[] = { EVLOG_AGILE, EVLOG_SHA1 };

	(void)state;
	for (size_t f = 0; f < 2; f++) {
		const enum digest_id bank = f == 0 ? DIGEST_SHA256 : DIGEST_SHA1;
		struct evlog_pos pos = { 0 };
		struct evlog_event ev;
		struct evlog log;
		struct logbuild l;

		logbuild_init(&l, formats[f], 1, &bank);
		logbuild_good(&l, NULL);
		assert_ok(evlog_open(buf_bytes(&l.b), &log, NULL));
		assert_ok(evlog_next(&log, &pos, &ev, NULL));
		for (size_t cut = 0; cut < l.b.n; cut++) {
			cleanup_free uint8_t *exact = malloc(cut + 1);
			struct evlog_fault fault;
			size_t n;
			struct err e;

			while (pos.off < cut)
				assert_ok(evlog_next(&log, &pos, &ev, NULL));
			assert_non_null(exact);
			memcpy(exact + 1, l.b.p, cut);
			e = read_all(BYTES(exact + 1, cut), &n, &fault);
			/* Between events it is a shorter log, which the registers do not fit. */
			assert_code(e, pos.off == cut && cut > 0 ? E_OK : E_PEER_TRUNCATED);
		}
		buf_free(&l.b);
	}
}

static void test_position_restarts(void **state)
{
	const enum digest_id bank = DIGEST_SHA256;
	struct evlog_pos pos = { 0 }, kept;
	struct evlog_event a, b;
	struct logbuild l;
	struct evlog log;

	(void)state;
	logbuild_init(&l, EVLOG_AGILE, 1, &bank);
	logbuild_good(&l, NULL);
	assert_ok(evlog_open(buf_bytes(&l.b), &log, NULL));
	for (int i = 0; i < 5; i++)
		assert_ok(evlog_next(&log, &pos, &a, NULL));
	kept = pos;
	assert_ok(evlog_next(&log, &pos, &a, NULL));
	assert_ok(evlog_next(&log, &kept, &b, NULL));
	assert_int_equal(a.index, b.index);
	assert_int_equal(a.off, b.off);
	assert_bytes(a.data, b.data);
	buf_free(&l.b);
}

static void test_type_names(void **state)
{
	uint32_t type = 0;

	(void)state;
	assert_string_equal(evlog_type_name(EV_EFI_VARIABLE_AUTHORITY), "EV_EFI_VARIABLE_AUTHORITY");
	assert_null(evlog_type_name(0x12345678));
	assert_ok(evlog_type_by_name(BYTES_LIT("EV_IPL"), &type));
	assert_int_equal(type, EV_IPL);
	assert_err(evlog_type_by_name(BYTES_LIT("EV_"), &type), E_PEER_RANGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_bank),
		cmocka_unit_test(test_E9_header),
		cmocka_unit_test(test_E9_at_most_16_algorithms),
		cmocka_unit_test(test_E9_unknown_algorithm_is_skipped),
		cmocka_unit_test(test_digest_count_and_undeclared_algorithm),
		cmocka_unit_test(test_register_above_23),
		cmocka_unit_test(test_E10_padding),
		cmocka_unit_test(test_E10_padding_behind_zeros),
		cmocka_unit_test(test_E10_one_byte_in_the_padding),
		cmocka_unit_test(test_E10_much_padding_is_read_once),
		cmocka_unit_test(test_E10_every_cut),
		cmocka_unit_test(test_position_restarts),
		cmocka_unit_test(test_type_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
