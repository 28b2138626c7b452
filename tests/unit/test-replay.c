/* SPDX-License-Identifier: Apache-2.0 */
#include "firmware-measure/replay.h"

#include "tests/support/logbuild.h"
#include "unit.h"

static const enum digest_id all[] = { DIGEST_SHA1, DIGEST_SHA256, DIGEST_SHA384, DIGEST_SHA512, DIGEST_SM3_256 };

static struct replay replay(const struct logbuild *l, enum digest_id bank)
{
	struct replay r = { 0 };
	struct evlog log;

	assert_ok(evlog_open(buf_bytes(&l->b), &log, NULL));
	assert_ok(replay_log(&log, bank, &r, NULL));
	return r;
}

/* H(start || H(data)), start being zero but for its last byte, or all-FF. */
static struct digest extended(enum digest_id bank, uint8_t last, const char *data)
{
	struct digest start = { .n = (uint8_t)digest_alg(bank)->size }, d;

	start.v[start.n - 1] = last;
	assert_ok(digest_one(bank, bytes_str(data), &d));
	assert_ok(digest_extend(bank, &start, digest_bytes(&d), &start));
	return start;
}

static struct logbuild begin(void)
{
	struct logbuild l;

	logbuild_init(&l, EVLOG_AGILE, array_len(all), all);
	logbuild_header(&l);
	return l;
}

static void test_start_values_in_every_bank(void **state)
{
	static const int localities[] = { -1, 0, 3, 4 };

	(void)state;
	for (size_t i = 0; i < array_len(localities); i++) {
		struct logbuild l = begin();

		if (localities[i] >= 0)
			logbuild_locality(&l, 0, (uint8_t)localities[i]);
		logbuild_add(&l, 0, EV_S_CRTM_CONTENTS, BYTES_LIT("code"));
		for (size_t b = 0; b < array_len(all); b++) {
			struct replay r = replay(&l, all[b]);
			struct digest want = extended(all[b], localities[i] < 0 ? 0 : (uint8_t)localities[i], "code");

			assert_int_equal(r.startup_locality, localities[i]);
			assert_true(replay_explains(&r, 0, digest_bytes(&want)));
			assert_int_equal(r.extended, 1);
			assert_false(r.hcrtm);
		}
		buf_free(&l.b);
	}
}

static void test_E5_locality_elsewhere_says_nothing(void **state)
{
	struct logbuild l = begin();
	struct replay r;
	struct digest want = extended(DIGEST_SHA256, 0, "code");

	(void)state;
	logbuild_locality(&l, 1, 3);
	logbuild_locality(&l, 0, 5);
	logbuild_add(&l, 0, EV_S_CRTM_CONTENTS, BYTES_LIT("code"));
	logbuild_locality(&l, 0, 3);
	r = replay(&l, DIGEST_SHA256);
	assert_int_equal(r.startup_locality, -1);
	assert_true(replay_explains(&r, 0, digest_bytes(&want)));
	buf_free(&l.b);
	l = begin();
	logbuild_locality(&l, 0, 3);
	logbuild_locality(&l, 0, 4);
	logbuild_add(&l, 0, EV_S_CRTM_CONTENTS, BYTES_LIT("code"));
	r = replay(&l, DIGEST_SHA256);
	want = extended(DIGEST_SHA256, 3, "code");
	assert_int_equal(r.startup_locality, 3);
	assert_true(replay_explains(&r, 0, digest_bytes(&want)));
	buf_free(&l.b);
}

static void test_E6_hcrtm_begins_at_4(void **state)
{
	struct logbuild l = begin();
	struct digest want = extended(DIGEST_SHA256, 4, "hcrtm code");
	struct replay r;

	(void)state;
	logbuild_measure(&l, 0, EV_EFI_HCRTM_EVENT, BYTES_LIT("HCRTM"), BYTES_LIT("hcrtm code"));
	r = replay(&l, DIGEST_SHA256);
	assert_true(r.hcrtm);
	assert_true(replay_explains(&r, 0, digest_bytes(&want)));
	buf_free(&l.b);
	/* The same measurement as an event of another type: PCR 0 does not match. */
	l = begin();
	logbuild_measure(&l, 0, EV_S_CRTM_CONTENTS, BYTES_LIT("HCRTM"), BYTES_LIT("hcrtm code"));
	r = replay(&l, DIGEST_SHA256);
	assert_false(r.hcrtm);
	assert_false(replay_explains(&r, 0, digest_bytes(&want)));
	buf_free(&l.b);
	/* Dropped from a log that goes on. */
	l = begin();
	logbuild_measure(&l, 0, EV_EFI_HCRTM_EVENT, BYTES_LIT("HCRTM"), BYTES_LIT("hcrtm code"));
	logbuild_separator(&l, 0, 0);
	want = replay(&l, DIGEST_SHA256).pcr[0];
	buf_free(&l.b);
	l = begin();
	logbuild_separator(&l, 0, 0);
	r = replay(&l, DIGEST_SHA256);
	assert_false(replay_explains(&r, 0, digest_bytes(&want)));
	buf_free(&l.b);
	/* It counts as the first only: a second start value there is not. */
	l = begin();
	logbuild_add(&l, 0, EV_S_CRTM_CONTENTS, BYTES_LIT("code"));
	logbuild_measure(&l, 0, EV_EFI_HCRTM_EVENT, BYTES_LIT("HCRTM"), BYTES_LIT("hcrtm code"));
	assert_false(replay(&l, DIGEST_SHA256).hcrtm);
	buf_free(&l.b);
}

static void test_E6_hcrtm_over_locality(void **state)
{
	struct logbuild l = begin();
	struct digest want = extended(DIGEST_SHA1, 4, "hcrtm code");
	struct replay r;

	(void)state;
	logbuild_locality(&l, 0, 3);
	logbuild_measure(&l, 0, EV_EFI_HCRTM_EVENT, BYTES_LIT("HCRTM"), BYTES_LIT("hcrtm code"));
	r = replay(&l, DIGEST_SHA1);
	assert_true(replay_explains(&r, 0, digest_bytes(&want)));
	buf_free(&l.b);
}

static void test_E7_registers_without_events(void **state)
{
	struct logbuild l = begin();
	uint8_t zero[32] = { 0 }, ones[32], other[32] = { 1 };
	struct replay r;

	(void)state;
	memset(ones, 0xff, sizeof(ones));
	r = replay(&l, DIGEST_SHA256);
	for (uint32_t pcr = 0; pcr < LIMIT_PCRS; pcr++) {
		bool dynamic = pcr >= 17 && pcr <= 22;

		assert_false(replay_extended(&r, pcr));
		assert_int_equal(replay_explains(&r, pcr, BYTES_ARR(zero)), !dynamic);
		assert_int_equal(replay_explains(&r, pcr, BYTES_ARR(ones)), dynamic);
		assert_false(replay_explains(&r, pcr, BYTES_ARR(other)));
		assert_false(replay_explains(&r, pcr, BYTES(zero, 20)));
		assert_false(replay_explains(&r, pcr, BYTES_NONE));
	}
	assert_false(replay_explains(&r, LIMIT_PCRS, BYTES_ARR(zero)));
	assert_false(replay_extended(&r, LIMIT_PCRS));
	buf_free(&l.b);
	/* PCR 9, which user space extended after the boot. */
	l = begin();
	logbuild_add(&l, 9, EV_IPL, BYTES_LIT("x"));
	r = replay(&l, DIGEST_SHA256);
	assert_false(replay_explains(&r, 9, BYTES_ARR(zero)));
	assert_true(replay_explains(&r, 8, BYTES_ARR(zero)));
	buf_free(&l.b);
}

static void test_dynamic_registers_begin_at_zero(void **state)
{
	struct logbuild l = begin();
	struct digest want = extended(DIGEST_SHA256, 0, "launch");
	struct replay r;

	(void)state;
	logbuild_add(&l, 17, EV_EVENT_TAG, BYTES_LIT("launch"));
	r = replay(&l, DIGEST_SHA256);
	assert_true(replay_explains(&r, 17, digest_bytes(&want)));
	buf_free(&l.b);
}

static void test_E8_a_bank_that_is_not_there(void **state)
{
	const enum digest_id sha1 = DIGEST_SHA1;
	struct logbuild l;
	struct replay r;
	struct evlog log;

	(void)state;
	logbuild_init(&l, EVLOG_SHA1, 1, &sha1);
	logbuild_good(&l, NULL);
	assert_ok(evlog_open(buf_bytes(&l.b), &log, NULL));
	assert_err(replay_log(&log, DIGEST_SHA256, &r, NULL), E_PEER_UNSUPPORTED);
	assert_err(replay_log(&log, N_DIGESTS, &r, NULL), E_BUG);
	assert_ok(replay_log(&log, DIGEST_SHA1, &r, NULL));
	buf_free(&l.b);
	/* A header that gives SHA-256 out for SM3: the digests are read as SM3's and explain nothing in SHA-256. */
	logbuild_init(&l, EVLOG_AGILE, 1, &all[1]);
	logbuild_good(&l, NULL);
	l.b.p[32 + 28] = 0x12;
	assert_ok(evlog_open(buf_bytes(&l.b), &log, NULL));
	assert_err(replay_log(&log, DIGEST_SHA256, &r, NULL), E_PEER_UNSUPPORTED);
	assert_err(replay_log(&log, DIGEST_SM3_256, &r, NULL), E_PEER_UNSUPPORTED); /* an event has another algorithm */
	buf_free(&l.b);
}

static void test_E9_a_bank_with_gaps_explains_nothing(void **state)
{
	struct logbuild l = begin();
	uint8_t zero[64] = { 0 };
	struct replay r;

	(void)state;
	logbuild_add(&l, 8, EV_IPL, BYTES_LIT("x"));
	l.n_banks = 2; /* SHA-1 and SHA-256 only */
	logbuild_add(&l, 8, EV_IPL, BYTES_LIT("y"));
	r = replay(&l, DIGEST_SHA256);
	assert_true(r.complete);
	assert_true(replay_explains(&r, 8, digest_bytes(&r.pcr[8])));
	r = replay(&l, DIGEST_SHA384);
	assert_false(r.complete);
	assert_int_equal(r.first_gap, 2);
	assert_false(replay_explains(&r, 8, digest_bytes(&r.pcr[8])));
	assert_false(replay_explains(&r, 9, BYTES(zero, 48)));
	/* Given twice: nobody knows which was extended. */
	l.n_banks = 3;
	l.bank[2] = DIGEST_SHA1;
	logbuild_add(&l, 8, EV_IPL, BYTES_LIT("z"));
	r = replay(&l, DIGEST_SHA1);
	assert_false(r.complete);
	assert_int_equal(r.first_gap, 3);
	assert_false(replay_explains(&r, 8, digest_bytes(&r.pcr[8])));
	buf_free(&l.b);
}

static void test_no_action_is_not_extended(void **state)
{
	struct logbuild l = begin();
	struct replay r;

	(void)state;
	logbuild_no_action(&l, 3, BYTES_LIT("SP800-155 Event\0"));
	logbuild_no_action(&l, EVLOG_NO_PCR, BYTES_LIT("x"));
	r = replay(&l, DIGEST_SHA256);
	assert_int_equal(r.extended, 0);
	assert_int_equal(r.n_events, 3);
	assert_int_equal(r.n_extends, 0);
	assert_true(r.complete);
	buf_free(&l.b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_start_values_in_every_bank),
		cmocka_unit_test(test_E5_locality_elsewhere_says_nothing),
		cmocka_unit_test(test_E6_hcrtm_begins_at_4),
		cmocka_unit_test(test_E6_hcrtm_over_locality),
		cmocka_unit_test(test_E7_registers_without_events),
		cmocka_unit_test(test_dynamic_registers_begin_at_zero),
		cmocka_unit_test(test_E8_a_bank_that_is_not_there),
		cmocka_unit_test(test_E9_a_bank_with_gaps_explains_nothing),
		cmocka_unit_test(test_no_action_is_not_extended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
