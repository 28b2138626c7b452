/* SPDX-License-Identifier: Apache-2.0 */
/* Firmware logs of real and virtual machines: $ASSAY_DATA/eventlogs and $ASSAY_DATA/boots. */
#include <fcntl.h>

#include "base/file.h"
#include "base/json.h"
#include "firmware-measure/replay.h"
#include "tests/unit/unit.h"

static const char *data;

static struct bytes load(const char *file, struct buf *ret)
{
	char path[LIMIT_PATH];

	assert_true(snprintf(path, sizeof(path), "%s/%s", data, file) < (int)sizeof(path));
	assert_ok(file_read(AT_FDCWD, path, ret));
	return buf_bytes(ret);
}

static json_t *expected(void)
{
	cleanup_buf struct buf text = BUF_INIT(MIB);
	json_t *j = NULL;

	assert_ok(json_parse(load("EXPECTED.json", &text), MIB, &j, NULL));
	return j;
}

/* Every register that EXPECTED.json names has its value, and no other was extended. */
static void check_bank(const struct evlog *log, const char *name, const json_t *values)
{
	const struct digest_alg *alg = digest_by_name(bytes_str(name));
	struct evlog_fault fault;
	size_t n_extended = 0;
	struct replay r;
	const json_t *v;
	const char *key;

	assert_non_null(alg);
	assert_ok(replay_log(log, alg->id, &r, &fault));
	json_object_foreach((json_t *)(uintptr_t)values, key, v)
	{
		uint8_t want[DIGEST_MAX];
		uint64_t pcr = 0;

		assert_ok(parse_u64(key, LIMIT_PCRS - 1, &pcr));
		assert_ok(hex_decode_exact(bytes_str(json_string_value(v)), want, alg->size));
		assert_true(replay_extended(&r, (uint32_t)pcr));
		assert_bytes(digest_bytes(&r.pcr[pcr]), BYTES(want, alg->size));
		assert_int_equal(replay_explains(&r, (uint32_t)pcr, BYTES(want, alg->size)), r.complete);
		want[0] ^= 1;
		assert_false(replay_explains(&r, (uint32_t)pcr, BYTES(want, alg->size)));
	}
	for (uint32_t pcr = 0; pcr < LIMIT_PCRS; pcr++)
		n_extended += replay_extended(&r, pcr);
	assert_int_equal(n_extended, json_object_size(values));
}

static size_t count_events(const struct evlog *log)
{
	struct evlog_pos pos = { 0 };
	struct evlog_event ev;
	struct evlog_fault fault;

	for (;;) {
		assert_ok(evlog_next(log, &pos, &ev, &fault));
		if (ev.end)
			return pos.index;
	}
}

static void check_log(const json_t *entry)
{
	const char *file = json_string_value(json_object_get(entry, "file"));
	const json_t *locality = json_object_get(entry, "startup_locality");
	cleanup_buf struct buf b = BUF_INIT(LIMIT_EVLOG);
	struct evlog_fault fault;
	const json_t *banks;
	struct evlog log;
	struct replay r;
	size_t n_banks = 0;

	load(file, &b);
	if (json_object_get(entry, "expect") != NULL) {
		/* "refused: first event truncated" */
		assert_err(evlog_open(buf_bytes(&b), &log, &fault), E_PEER_TRUNCATED);
		assert_int_equal(fault.off, 0);
		return;
	}
	assert_ok(evlog_open(buf_bytes(&b), &log, &fault));
	assert_int_equal(count_events(&log), json_integer_value(json_object_get(entry, "events")));
	banks = json_object_get(entry, "banks");
	for (size_t i = 0; i < json_array_size(banks); i++) {
		const char *name = json_string_value(json_array_get(banks, i));

		check_bank(&log, name, json_object_get(json_object_get(entry, "pcrs"), name));
		assert_ok(replay_log(&log, digest_by_name(bytes_str(name))->id, &r, &fault));
		assert_int_equal(r.startup_locality, json_array_size(locality) == 0
							     ? -1
							     : (int)json_integer_value(json_array_get(locality, 0)));
		assert_int_equal(r.hcrtm, json_is_true(json_object_get(entry, "hcrtm")));
	}
	for (unsigned id = 0; id < N_DIGESTS; id++)
		n_banks += evlog_has_bank(&log, (enum digest_id)id);
	assert_int_equal(n_banks, json_array_size(banks));
}

static void test_every_log_of_EXPECTED(void **state)
{
	cleanup_json json_t *all = expected();
	const json_t *logs = json_object_get(all, "eventlogs");

	(void)state;
	assert_true(json_array_size(logs) >= 20);
	for (size_t i = 0; i < json_array_size(logs); i++)
		check_log(json_array_get(logs, i));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_log_of_EXPECTED),
	};

	data = getenv("ASSAY_DATA");
	if (data == NULL || access(data, R_OK) != 0) {
		(void)printf("1..0 # SKIP no folder %s\n", data != NULL ? data : "ASSAY_DATA");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
