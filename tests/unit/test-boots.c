/* SPDX-License-Identifier: Apache-2.0 */
/* Logs of machines that really booted against what their TPMs quoted: tests/data/boots/README.md. */
#include <fcntl.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/text.h"
#include "firmware-measure/imalog.h"
#include "firmware-measure/replay.h"
#include "unit.h"

#define IMA_PCR 10
#define FIRST_16 0xffffu

struct boot {
	struct buf firmware, ima;
	struct digest pcr[16];
};

static void read_into(const char *boot, const char *name, struct buf *ret)
{
	char path[4096];

	(void)snprintf(path, sizeof(path), "%s/boots/%s/%s", getenv("ASSAY_TEST_DATA"), boot, name);
	assert_ok(file_read(AT_FDCWD, path, ret));
}

static void boot_read(const char *name, struct boot *ret)
{
	cleanup_buf struct buf text = BUF_INIT(LIMIT_SMALL);
	cleanup_json json_t *json = NULL;

	*ret = (struct boot){ .firmware = BUF_INIT(MIB), .ima = BUF_INIT(MIB) };
	read_into(name, "binary_bios_measurements", &ret->firmware);
	read_into(name, "binary_runtime_measurements", &ret->ima);
	read_into(name, "boot.json", &text);
	assert_ok(json_parse(buf_bytes(&text), LIMIT_SMALL, &json, NULL));
	for (unsigned i = 0; i < array_len(ret->pcr); i++) {
		char number[8];
		const char *hex;

		(void)snprintf(number, sizeof(number), "%u", i);
		hex = json_string_value(
			json_object_get(json_object_get(json_object_get(json, "pcrs"), "sha256"), number));
		assert_non_null(hex);
		ret->pcr[i].n = 32;
		assert_ok(hex_decode_exact(bytes_str(hex), ret->pcr[i].v, 32));
	}
}

static void boot_free(struct boot *b)
{
	buf_free(&b->firmware);
	buf_free(&b->ima);
}

static const char *const boots[] = { "good", "command-line", "initramfs" };

/* IMA's and the workload log's registers are not the firmware's; each other one is zero or explained. */
static void test_firmware_log_explains_every_register(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(boots); i++) {
		struct replay r;
		struct evlog log;
		struct boot b;

		boot_read(boots[i], &b);
		assert_ok(evlog_open(buf_bytes(&b.firmware), &log, NULL));
		assert_ok(replay_log(&log, DIGEST_SHA256, &r, NULL));
		assert_true(r.complete);
		assert_int_equal(r.extended & FIRST_16, 0x0aff);
		for (unsigned pcr = 0; pcr < array_len(b.pcr); pcr++) {
			if (pcr != IMA_PCR && pcr != 13)
				assert_memory_equal(r.pcr[pcr].v, b.pcr[pcr].v, 32);
		}
		boot_free(&b);
	}
}

/* The list may be longer than what was quoted: some prefix has to give the register. */
static void test_ima_list_explains_its_register(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(boots); i++) {
		struct digest pcr = { .n = 32 }, d;
		cleanup_imalog struct imalog l;
		struct ima_entry ent;
		bool more = false, met = false;
		struct boot b;

		boot_read(boots[i], &b);
		imalog_init(&l, IMALOG_BINARY, IMALOG_LITTLE_ENDIAN);
		assert_ok(imalog_feed(&l, buf_bytes(&b.ima)));
		for (;;) {
			assert_ok(imalog_next(&l, &ent, &more, NULL));
			if (more)
				break;
			assert_int_equal(ent.pcr, IMA_PCR);
			assert_int_equal(ent.state, IMA_ENTRY_DECODED);
			assert_false(ent.violation);
			assert_ok(digest_one(DIGEST_SHA256, ent.hashed, &d));
			assert_ok(digest_extend(DIGEST_SHA256, &pcr, digest_bytes(&d), &pcr));
			met = met || memcmp(pcr.v, b.pcr[IMA_PCR].v, 32) == 0;
		}
		assert_ok(imalog_end(&l));
		assert_true(l.n_entries > 40);
		assert_true(met);
		boot_free(&b);
	}
}

/* Between the boots of tests/e2e/measured-boot one word or one file moves 4, 9 and 11 of what the firmware log
 * explains, and IMA's. */
static void test_a_change_moves_these_registers_and_no_other(void **state)
{
	struct boot good, other;

	(void)state;
	boot_read("good", &good);
	for (size_t i = 1; i < array_len(boots); i++) {
		unsigned moved = 0;

		boot_read(boots[i], &other);
		for (unsigned pcr = 0; pcr < 13; pcr++) {
			if (memcmp(good.pcr[pcr].v, other.pcr[pcr].v, 32) != 0)
				moved |= 1u << pcr;
		}
		assert_int_equal(moved, 1u << 4 | 1u << 9 | 1u << IMA_PCR | 1u << 11);
		boot_free(&other);
	}
	boot_free(&good);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_firmware_log_explains_every_register),
		cmocka_unit_test(test_ima_list_explains_its_register),
		cmocka_unit_test(test_a_change_moves_these_registers_and_no_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
