/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Judging by a platform profile: a firmware log of 159 events from bytes to
 * judgement beside 0.1 ms, and an IMA list of 100 000 entries, replayed and
 * looked up in an allowlist of as many digests, beside 65 ms and beside the
 * bare hash work.
 */
#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "firmware-measure/ima_allowlist.h"
#include "firmware-measure/ima_replay.h"
#include "firmware-measure/learn.h"
#include "tests/bench/bench.h"
#include "tests/support/documents.h"
#include "tests/support/ima_list.h"
#include "tests/support/logbuild.h"
#include "verifier/appraise/platform_firmware.h"
#include "verifier/appraise/platform_ima.h"

#define RUNS 200
#define N_EVENTS 159
#define GOAL_US 100.0
#define IMA_RUNS 9
#define N_ENTRIES 100000
#define IMA_GOAL_MS 65.0

static const enum digest_id bank = DIGEST_SHA256;

static void build_log(struct logbuild *l)
{
	struct reason why = { "" };
	struct replay r;
	struct evlog log;

	logbuild_init(l, EVLOG_AGILE, 1, &bank);
	logbuild_good(l, NULL);
	must_ok(evlog_open(buf_bytes(&l->b), &log, NULL), why);
	must_ok(replay_log(&log, bank, &r, NULL), why);
	for (size_t n = r.n_events; n < N_EVENTS; n++) {
		char data[300];

		(void)snprintf(data, sizeof(data), "grub_cmd: menuentry number %zu %0200d", n, 0);
		logbuild_measure(l, 8, EV_IPL, BYTES(data, strlen(data) + 1), bytes_str(data + 10));
	}
}

static void bench_firmware(void)
{
	cleanup_learn_firmware struct learn_firmware learned = { 0 };
	cleanup_document struct document *d = NULL;
	static struct firmware_judgement j;
	static double took[RUNS];
	struct reason why = { "" };
	struct firmware_input in;
	struct replay r;
	struct evlog log;
	struct logbuild l;
	json_t *p = doc_predicate(DOCUMENT_PLATFORM), *rules = NULL;

	build_log(&l);
	must_ok(learn_firmware_init(&learned, bank, 0), why);
	must_ok(learn_firmware_log(&learned, buf_bytes(&l.b), &why), why);
	must_ok(learn_firmware_profile(&learned, &rules, &why), why);
	must(json_object_set_new(p, "firmware", rules) == 0);
	d = doc_make(p);
	must_ok(evlog_open(buf_bytes(&l.b), &log, NULL), why);
	must_ok(replay_log(&log, bank, &r, NULL), why);
	must(r.n_events == N_EVENTS);
	in = (struct firmware_input){
		.rules = d->profile.firmware,
		.measurer = MEASURER_UNATTESTED,
		.bank = bank,
		.log = buf_bytes(&l.b),
		.pcr_mask = 0xffffff,
		.pcr = r.pcr,
	};
	for (size_t i = 0; i < RUNS; i++) {
		double t = now_s();

		must_ok(platform_firmware_judge(&in, &j), why);
		took[i] = now_s() - t;
		must(j.passed && j.n_undecided == 0);
	}
	print_cost("platform_159_events", median(took, RUNS) * 1e6, "us", GOAL_US);
	buf_free(&l.b);
}

static void file_digest(size_t i, uint8_t ret[32])
{
	struct reason why = { "" };
	uint8_t n[4] = { (uint8_t)(i >> 24), (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i };

	must_ok(sha256(BYTES_ARR(n), ret), why);
}

static void build_list(struct ima_list *l, struct ima_allowlist **ret)
{
	char path[] = "/tmp/assay-bench-list.XXXXXX";
	struct ima_allowlist_builder b;
	struct reason why = { "" };
	size_t n;
	int fd = mkstemp(path);

	must(fd >= 0);
	ima_list_init(l);
	must_ok(ima_allowlist_begin(&b, DIGEST_SHA256, IMA_DIGEST_FILE), why);
	for (size_t i = 0; i < N_ENTRIES; i++) {
		uint8_t v[32];
		char name[64];

		file_digest(i, v);
		(void)snprintf(name, sizeof(name), "/usr/lib/x86_64-linux-gnu/libfile-%zu.so.1", i);
		ima_list_file(l, BYTES_ARR(v), name);
		must_ok(ima_allowlist_add(&b, BYTES_ARR(v)), why);
	}
	must_ok(ima_allowlist_finish(&b, &n), why);
	must_ok(fd_write_all(fd, buf_bytes(&b.file)), why);
	must(close(fd) == 0);
	must_ok(ima_allowlist_open(AT_FDCWD, path, ret, &why), why);
	must(unlink(path) == 0);
	ima_allowlist_builder_done(&b);
}

/* Everything that appraisal does with a list; or the hash work of it alone. */
static void walk(struct bytes list, const struct ima_input *in, const struct digest *want, struct digest *ret)
{
	struct ima_replay r;
	struct platform_ima_state s = { 0 };
	struct ima_judgement j;
	struct reason why = { "" };
	struct imalog_batch b = { 0 };
	struct imalog log;
	unsigned odd;

	must_ok(ima_replay_init(&r, IMA_PCR, 1u << bank, NULL), why);
	ima_replay_native_only(&r);
	if (want != NULL)
		must_ok(ima_replay_quoted(&r, bank, digest_bytes(want)), why);
	imalog_init(&log, IMALOG_BINARY, IMALOG_LITTLE_ENDIAN);
	must_ok(imalog_feed(&log, list), why);
	while (!b.more) {
		imalog_next_batch(&log, &b);
		must_ok(b.e, b.why);
		for (size_t i = 0; i < b.n; i++)
			platform_ima_ahead(in, &b.v[i]);
		for (size_t i = 0; i < b.n; i++) {
			must_ok(ima_replay_entry(&r, &b.v[i], &odd), why);
			must(odd == 0);
			must_ok(platform_ima_add(in, &b.v[i], &s), why);
		}
	}
	imalog_done(&log);
	platform_ima_conclude(in, &s, &j);
	must(j.passed && s.decided[IMA_RULE_ALLOWLISTS] == N_ENTRIES && (want == NULL || r.matched));
	*ret = *ima_replay_value(&r, bank, IMA_FIT_NATIVE);
}

static void bare(struct bytes list)
{
	struct digest pcr = { .n = 32 }, d;
	struct reason why = { "" };
	struct imalog log;
	struct ima_entry ent;
	bool more = false;

	imalog_init(&log, IMALOG_BINARY, IMALOG_LITTLE_ENDIAN);
	must_ok(imalog_feed(&log, list), why);
	for (;;) {
		must_ok(imalog_next(&log, &ent, &more, &why), why);
		if (more)
			break;
		must_ok(digest_one(DIGEST_SHA1, ent.hashed, &d), why);
		must_ok(digest_one(bank, ent.hashed, &d), why);
		must_ok(digest_extend(bank, &pcr, digest_bytes(&d), &pcr), why);
	}
	imalog_done(&log);
}

static void bench_ima(void)
{
	static const char rules[] =
		"{\"allowlists\":[\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"],"
		"\"boot_aggregate\":\"ignored\"}";
	static double whole[IMA_RUNS], hash[IMA_RUNS];
	static const struct digest registers[LIMIT_PCRS];
	cleanup_document struct document *d = NULL;
	struct ima_allowlist *allowlist = NULL;
	const struct ima_allowlist *lists[1];
	json_t *p = doc_predicate(DOCUMENT_PLATFORM);
	struct digest value, again;
	struct ima_input in;
	struct ima_list l;

	doc_set(p, "ima", rules);
	d = doc_make(p);
	build_list(&l, &allowlist);
	lists[0] = allowlist;
	in = (struct ima_input){ .profile = &d->profile, .allowlists = lists, .bank = bank, .pcr = registers };
	walk(buf_bytes(&l.binary), &in, NULL, &value);
	for (size_t i = 0; i < IMA_RUNS; i++) {
		double t = now_s();

		walk(buf_bytes(&l.binary), &in, &value, &again);
		whole[i] = now_s() - t;
		t = now_s();
		bare(buf_bytes(&l.binary));
		hash[i] = now_s() - t;
	}
	print_cost("platform_ima_100000_entries", median(whole, IMA_RUNS) * 1e3, "ms", IMA_GOAL_MS);
	print_cost("platform_ima_over_hash_work", median(whole, IMA_RUNS) * 1e3, "ms", median(hash, IMA_RUNS) * 1e3);
	ima_allowlist_free(allowlist);
	ima_list_done(&l);
}

int main(void)
{
	bench_firmware();
	bench_ima();
	return 0;
}
