/* SPDX-License-Identifier: Apache-2.0 */
/* Rows between challenge and answer: kept only as of the last commit, and bounded. */
#include "unit.h"

#include <string.h>

#include "tests/support/store_fixture.h"
#include "verifier/store/host_cache.h"

static void cleanup_cache_(struct host_cache *c)
{
	host_cache_done(c);
}

struct kept {
	struct fx_host h;
	struct host_row row;
	struct buf state;
};

static void kept_make(struct kept *k)
{
	memset(k, 0, sizeof(*k));
	fx_host_make(&k->h);
	assert_ok(host_record_decode(buf_bytes(&k->h.record), &k->row.record));
	host_state_init(&k->row.state);
	k->row.version = 3;
	k->row.epoch = 4;
	buf_init(&k->state, HOST_STATE_MAX);
	assert_ok(host_state_encode(&k->row.state, &k->state));
}

static void kept_done(struct kept *k)
{
	host_row_done(&k->row);
	buf_free(&k->state);
	fx_host_done(&k->h);
}

static bool found(struct host_cache *c, const char *id, uint64_t *ret_generation)
{
	cleanup_host_row struct host_row row = { 0 };
	bool there;

	assert_ok(host_cache_row(c, id, &row, &there, ret_generation));
	if (there) {
		assert_int_equal(row.version, 3);
		assert_int_equal(row.epoch, 4);
		assert_string_equal(row.record->id, id);
	}
	return there;
}

#define WITH_KEPT                                                       \
	struct host_cache c cleanup(cleanup_cache_) = { .slot = NULL }; \
	struct kept k cleanup(kept_done);                               \
	uint64_t generation;                                            \
	(void)state;                                                    \
	assert_ok(host_cache_init(&c));                                 \
	kept_make(&k);                                                  \
	assert_false(found(&c, k.h.id, &generation))

static void test_kept_until_touched(void **state)
{
	WITH_KEPT;
	host_cache_keep(&c, k.h.id, generation, &k.row, buf_bytes(&k.state));
	assert_true(found(&c, k.h.id, &generation));
	host_cache_committed(&c);
	assert_true(found(&c, k.h.id, &generation));
	host_cache_touch(&c, k.h.id);
	assert_true(found(&c, k.h.id, &generation)); /* not committed: the old row is the row */
	host_cache_committed(&c);
	assert_false(found(&c, k.h.id, &generation));
	host_cache_keep(&c, k.h.id, generation, &k.row, buf_bytes(&k.state));
	host_cache_touch_all(&c);
	host_cache_committed(&c);
	assert_false(found(&c, k.h.id, &generation));
	host_cache_keep(&c, k.h.id, generation, &k.row, buf_bytes(&k.state));
	host_cache_committed(&c); /* the marks are gone with the commit before */
	assert_true(found(&c, k.h.id, &generation));
}

static void test_read_before_a_commit_is_not_kept(void **state)
{
	WITH_KEPT;
	host_cache_touch(&c, k.h.id);
	host_cache_committed(&c);
	host_cache_keep(&c, k.h.id, generation, &k.row, buf_bytes(&k.state));
	assert_false(found(&c, k.h.id, &generation));
}

static void test_long_state_is_not_kept(void **state)
{
	static uint8_t longer[HOST_CACHE_STATE + 1];

	WITH_KEPT;
	host_cache_keep(&c, k.h.id, generation, &k.row, BYTES_ARR(longer));
	assert_false(found(&c, k.h.id, &generation));
}

static void test_record_by_its_bytes(void **state)
{
	cleanup_host_record struct host_record *same = NULL, *other = NULL, *none = NULL;
	cleanup_fx_host struct fx_host ak = { .id = "" };

	WITH_KEPT;
	host_cache_keep(&c, k.h.id, generation, &k.row, buf_bytes(&k.state));
	host_cache_touch(&c, k.h.id);
	host_cache_committed(&c);
	/* The record outlives the row. */
	assert_ok(host_cache_record(&c, k.h.id, buf_bytes(&k.h.record), &same));
	assert_ptr_equal(same, k.row.record);
	fx_host_with_other_ak(&k.h, &ak);
	assert_ok(host_cache_record(&c, k.h.id, buf_bytes(&ak.record), &other));
	assert_null(other);
	assert_ok(host_cache_record(&c, "h-00000000000000000000000000000000", buf_bytes(&k.h.record), &none));
	assert_null(none);
}

/* More hosts than slots: the later one is there, nothing grows. */
static void test_bounded(void **state)
{
	char id[HOST_ID_LEN + 1];
	size_t n = 0;

	WITH_KEPT;
	for (unsigned i = 0; i < 3 * HOST_CACHE_SLOTS; i++) {
		(void)snprintf(id, sizeof(id), "h-%032x", i);
		host_cache_keep(&c, id, generation, &k.row, buf_bytes(&k.state));
	}
	for (unsigned i = 0; i < 3 * HOST_CACHE_SLOTS; i++) {
		cleanup_host_row struct host_row row = { 0 };
		bool there;

		(void)snprintf(id, sizeof(id), "h-%032x", i);
		assert_ok(host_cache_row(&c, id, &row, &there, &generation));
		n += there;
	}
	assert_in_range(n, HOST_CACHE_SLOTS / 2, HOST_CACHE_SLOTS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kept_until_touched),
		cmocka_unit_test(test_read_before_a_commit_is_not_kept),
		cmocka_unit_test(test_long_state_is_not_kept),
		cmocka_unit_test(test_record_by_its_bytes),
		cmocka_unit_test(test_bounded),
	};

	return cmocka_run_group_tests_name("host-cache", tests, NULL, NULL);
}
