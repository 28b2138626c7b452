/* SPDX-License-Identifier: Apache-2.0 */
/* Real firmware logs, cut and with bits flipped, and the boots whose registers are known: $ASSAY_DATA. */
#include <dirent.h>
#include <fcntl.h>

#include "base/file.h"
#include "firmware-measure/evdata_show.h"
#include "firmware-measure/evlog_check.h"
#include "firmware-measure/replay.h"
#include "tests/unit/unit.h"

#define CUTS_EVERYWHERE (64 * KIB)
#define SEEDED_CUTS 4096
#define FLIPS 10000 /* over all logs */

static const char *data;

/* Reproducible places (xorshift). */
static uint64_t next_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static void load(const char *folder, const char *file, struct buf *ret)
{
	char path[LIMIT_PATH];

	assert_true(snprintf(path, sizeof(path), "%s/%s/%s", data, folder, file) < (int)sizeof(path));
	assert_ok(file_read(AT_FDCWD, path, ret));
}

/* Replay, and what was extended into each register, kept apart from it: equal registers must come from equal digests.
 */
struct outcome {
	struct replay r;
	uint64_t seen[LIMIT_PCRS];
};

static struct err run(struct bytes raw, enum digest_id bank, struct outcome *ret)
{
	const struct evlog_check_options none = { 0 };
	cleanup_buf struct buf text = BUF_INIT(LIMIT_SMALL);
	struct evlog_finding found[4];
	struct evlog_fault fault;
	struct evlog_pos pos = { 0 };
	struct evlog_event ev;
	struct evlog log;
	size_t n;
	struct err e;

	*ret = (struct outcome){ 0 };
	if (failed(e = evlog_open(raw, &log, &fault)) || failed(e = replay_log(&log, bank, &ret->r, &fault)))
		return e;
	assert_ok(evlog_check(&log, bank, &none, array_len(found), found, &n, NULL, &fault));
	for (;;) {
		assert_ok(evlog_next(&log, &pos, &ev, &fault));
		if (ev.end)
			return e;
		buf_clear(&text);
		assert_ok(evdata_show(&ev, &text));
		for (size_t i = 0; ev.type != EV_NO_ACTION && i < ev.digest[bank].n; i++)
			ret->seen[ev.pcr] = (ret->seen[ev.pcr] ^ ev.digest[bank].p[i]) * 0x100000001b3U;
	}
}

static void assert_no_wrong_pcr(const struct outcome *good, const struct outcome *o)
{
	for (uint32_t pcr = 0; pcr < LIMIT_PCRS; pcr++) {
		if (!replay_explains(&o->r, pcr, digest_bytes(&good->r.pcr[pcr])))
			continue;
		assert_true(good->seen[pcr] == o->seen[pcr]);
		if (pcr == 0 && replay_extended(&good->r, 0) && !good->r.hcrtm)
			assert_true((good->r.startup_locality > 0 ? good->r.startup_locality : 0) ==
				    (o->r.startup_locality > 0 ? o->r.startup_locality : 0));
	}
}

static void try_cut(struct bytes raw, size_t cut, enum digest_id bank, const struct outcome *good)
{
	cleanup_free uint8_t *exact = malloc(cut + 1);
	struct outcome o;

	assert_non_null(exact);
	if (cut > 0)
		memcpy(exact + 1, raw.p, cut); /* ends where the memory does */
	if (!failed(run(BYTES(exact + 1, cut), bank, &o)))
		assert_no_wrong_pcr(good, &o);
}

static void cut_everywhere(struct bytes raw, enum digest_id bank, const struct outcome *good)
{
	struct evlog_pos pos = { 0 };
	struct evlog_event ev = { 0 };
	uint64_t seed = 42;
	struct evlog log;

	if (raw.n <= CUTS_EVERYWHERE) {
		for (size_t cut = 0; cut < raw.n; cut++)
			try_cut(raw, cut, bank, good);
		return;
	}
	assert_ok(evlog_open(raw, &log, NULL));
	while (!ev.end) {
		assert_ok(evlog_next(&log, &pos, &ev, NULL));
		for (size_t cut = pos.off - 1; cut <= pos.off + 1 && cut <= raw.n; cut++)
			try_cut(raw, cut, bank, good);
	}
	for (int i = 0; i < SEEDED_CUTS; i++)
		try_cut(raw, (size_t)(next_random(&seed) % raw.n), bank, good);
}

static void flip_bits(struct bytes raw, size_t n, enum digest_id bank, const struct outcome *good)
{
	cleanup_free uint8_t *copy = malloc(raw.n);
	uint64_t seed = 4711;

	assert_non_null(copy);
	memcpy(copy, raw.p, raw.n);
	for (size_t i = 0; i < n; i++) {
		size_t at = (size_t)(next_random(&seed) % raw.n);
		uint8_t bit = (uint8_t)(1U << (next_random(&seed) % 8));
		struct outcome o;

		copy[at] ^= bit;
		if (!failed(run(BYTES(copy, raw.n), bank, &o)))
			assert_no_wrong_pcr(good, &o);
		copy[at] ^= bit;
	}
}

/* Every log with the mutations that what says; returns how many logs there were. */
static size_t each_log(void (*what)(struct bytes raw, enum digest_id bank, const struct outcome *good))
{
	char path[LIMIT_PATH];
	struct dirent *entry;
	size_t n = 0;
	DIR *dir;

	assert_true(snprintf(path, sizeof(path), "%s/eventlogs", data) < (int)sizeof(path));
	dir = opendir(path);
	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL) {
		cleanup_buf struct buf b = BUF_INIT(LIMIT_EVLOG);
		enum digest_id bank = DIGEST_SHA256;
		struct outcome good;

		if (entry->d_name[0] == '.')
			continue;
		load("eventlogs", entry->d_name, &b);
		if (run(buf_bytes(&b), bank, &good).code == E_PEER_UNSUPPORTED)
			bank = DIGEST_SHA1;
		if (failed(run(buf_bytes(&b), bank, &good)))
			continue;
		what(buf_bytes(&b), bank, &good);
		n++;
	}
	(void)closedir(dir);
	return n;
}

static void test_E10_every_log_cut(void **state)
{
	(void)state;
	assert_true(each_log(cut_everywhere) >= 20);
}

static void flip_some(struct bytes raw, enum digest_id bank, const struct outcome *good)
{
	flip_bits(raw, FLIPS / 20, bank, good);
}

static void test_bits_flipped(void **state)
{
	(void)state;
	assert_true(each_log(flip_some) >= 20);
}

/* Registers of the two boots, as read from their TPM: the log explains each that firmware and boot loader extended. */
static void test_boots_are_explained(void **state)
{
	static const char *const boots[] = { "boots/grub-ms", "boots/uki-tis" };
	static const char *const banks[] = { "sha1", "sha256", "sha384" };

	(void)state;
	for (size_t i = 0; i < array_len(boots) * array_len(banks); i++) {
		cleanup_buf struct buf b = BUF_INIT(LIMIT_EVLOG), text = BUF_INIT(LIMIT_SMALL);
		const struct digest_alg *alg = digest_by_name(bytes_str(banks[i % 3]));
		const char *boot = boots[i / 3], *s = NULL;
		struct outcome o;
		char file[64];
		unsigned pcr = 0;
		int used = 0;
		char hex[2 * DIGEST_MAX + 1];

		load(boot, "binary_bios_measurements", &b);
		assert_ok(run(buf_bytes(&b), alg->id, &o));
		(void)snprintf(file, sizeof(file), "pcrs-before-%s.txt", alg->name);
		load(boot, file, &text);
		assert_ok(buf_cstr(&text, &s));
		while (sscanf(s, "%u %128s%n", &pcr, hex, &used) == 2) {
			uint8_t value[DIGEST_MAX];

			s += used;
			assert_ok(hex_decode_exact(bytes_str(hex), value, alg->size));
			/* PCR 10 is IMA's. */
			assert_int_equal(replay_explains(&o.r, pcr, BYTES(value, alg->size)), pcr != 10);
			assert_int_equal(replay_extended(&o.r, pcr), pcr < 8 || o.seen[pcr] != 0);
		}
		assert_int_equal(pcr, 23);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_E10_every_log_cut),
		cmocka_unit_test(test_bits_flipped),
		cmocka_unit_test(test_boots_are_explained),
	};

	data = getenv("ASSAY_DATA");
	if (data == NULL || access(data, R_OK) != 0) {
		(void)printf("1..0 # SKIP no folder %s\n", data != NULL ? data : "ASSAY_DATA");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
