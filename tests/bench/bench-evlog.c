/* SPDX-License-Identifier: Apache-2.0 */
/* A firmware log of 159 events: read, verified, replayed and checked, beside the bare hash work and beside 0.1 ms. */
#include <string.h>

#include "firmware-measure/evlog_check.h"
#include "firmware-measure/replay.h"
#include "tests/bench/bench.h"
#include "tests/support/logbuild.h"

#define N_EVENTS 159
#define RUNS 501
#define GOAL_US 100.0

static const enum digest_id bank = DIGEST_SHA256;

static size_t judge(const struct evlog *log)
{
	const struct evlog_check_options none = { 0 };
	struct evlog_finding found[8];
	struct reason why = { "" };
	struct evlog_pos pos = { 0 };
	struct evlog_check c;
	struct evlog_event ev;
	struct replay r;
	struct evdata d;

	must_ok(replay_init(log, bank, &r), why);
	evlog_check_init(&c, log, bank, &none, array_len(found), found);
	for (;;) {
		bool has;

		must_ok(evlog_next(log, &pos, &ev, NULL), why);
		if (ev.end)
			break;
		has = ev.digest[bank].n > 0;
		if (has)
			must_ok(evdata_verify(&ev, bank, &d), why);
		must_ok(replay_add(&r, &ev), why);
		must_ok(evlog_check_event(&c, &ev, has ? &d : NULL), why);
	}
	evlog_check_end(&c);
	must(c.n == 0 && c.secure_boot == EVLOG_SECURE_BOOT_ON);
	return r.n_events;
}

/* As many extends, and each event's data hashed once. */
static void bare(const struct evlog *log)
{
	struct digest pcr = { .n = 32 }, d;
	struct reason why = { "" };
	struct evlog_pos pos = { 0 };
	struct evlog_event ev;

	for (;;) {
		must_ok(evlog_next(log, &pos, &ev, NULL), why);
		if (ev.end)
			break;
		if (ev.digest[bank].n == 0)
			continue;
		must_ok(digest_one(bank, ev.data, &d), why);
		must_ok(digest_extend(bank, &pcr, ev.digest[bank], &pcr), why);
	}
}

int main(void)
{
	static double whole[RUNS], hash[RUNS];
	struct reason why = { "" };
	struct logbuild l;
	struct evlog log;
	size_t n = 0;

	logbuild_init(&l, EVLOG_AGILE, 1, &bank);
	logbuild_good(&l, NULL);
	must_ok(evlog_open(buf_bytes(&l.b), &log, NULL), why);
	for (n = judge(&log); n < N_EVENTS; n++) {
		char data[300], *text = data + 10;

		(void)snprintf(data, sizeof(data), "grub_cmd: menuentry number %zu %0200d", n, 0);
		logbuild_measure(&l, 8, EV_IPL, BYTES(data, strlen(data) + 1), bytes_str(text));
	}
	must_ok(evlog_open(buf_bytes(&l.b), &log, NULL), why);
	for (size_t i = 0; i < RUNS; i++) {
		double t = now_s();

		must(judge(&log) == N_EVENTS);
		whole[i] = now_s() - t;
		t = now_s();
		bare(&log);
		hash[i] = now_s() - t;
	}
	print_cost("evlog_159_events", median(whole, RUNS) * 1e6, "us", GOAL_US);
	print_cost("evlog_159_events_over_hash_work", median(whole, RUNS) * 1e6, "us", median(hash, RUNS) * 1e6);
	buf_free(&l.b);
	return 0;
}
