/* SPDX-License-Identifier: Apache-2.0 */
/* attest: the workload log on a real software TPM, abandoned at every step, resumed, restarted, tampered with. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "attest/workload_impl.h"
#include "base/file.h"
#include "base/text.h"
#include "tests/support/attest_fixture.h"
#include "tests/support/fault_tcti.h"

static char dir[128];
static int dir_fd = -1;

/* What a run of the program has between taking the lock and leaving it. */
struct visit {
	struct tpm *tpm;
	struct boot boot;
	struct workload w;
};

static struct err visit_try(struct visit *v)
{
	struct err e;

	*v = (struct visit){ .boot = BOOT_INIT, .w = WORKLOAD_INIT };
	if (failed(e = tpm_open(harness_tcti(fixture_harness, 0), TPM_TIMEOUT_S, &fixture_why, &v->tpm)) ||
	    failed(e = boot_read(v->tpm, &v->boot)))
		return e;
	return workload_open(dir_fd, v->tpm, &v->boot, &v->w);
}

static void visit_end(struct visit *v)
{
	workload_done(&v->w);
	boot_done(&v->boot);
	tpm_close(v->tpm);
	v->tpm = NULL;
}

static void visit_begin(struct visit *v)
{
	OK(visit_try(v));
}

static struct workload_event start_event(uint8_t n)
{
	static const uint8_t name[34] = { 0x00, 0x0b, 1 };
	struct workload_event ev = { .kind = WORKLOAD_START, .agent = BYTES_LIT("invoices"), .key_name = BYTES_ARR(name) };

	ev.instance[0] = n;
	ev.image.manifest[0] = n;
	return ev;
}

static struct workload_event end_event(uint8_t n)
{
	struct workload_event ev = { .kind = WORKLOAD_END };

	ev.instance[0] = n;
	return ev;
}

/* A new folder below the harness's, which takes it away. */
static void new_folder(void)
{
	if (dir_fd >= 0)
		(void)close(dir_fd);
	for (int i = 0; i < 1000; i++) {
		(void)snprintf(dir, sizeof(dir), "%s/state-%d", harness_dir(fixture_harness), i);
		if (mkdir(dir, 0700) == 0)
			break;
	}
	OK(dir_open(AT_FDCWD, dir, &dir_fd));
}

/* Every test begins with a TPM whose PCR 13 is zero and an empty state folder. */
static int fresh(void **state)
{
	(void)state;
	new_folder();
	OK(harness_reset(fixture_harness, 0, &fixture_why));
	return 0;
}

static void file_name(const struct visit *v, char *ret, size_t n)
{
	(void)snprintf(ret, n, "%s", v->w.file);
}

static off_t file_size(const char *name)
{
	struct stat st;

	return fstatat(dir_fd, name, &st, 0) == 0 ? st.st_size : -1;
}

static void append_raw(const char *name, struct bytes data)
{
	int fd = openat(dir_fd, name, O_WRONLY | O_APPEND);

	assert_true(fd >= 0);
	OK(fd_write_all(fd, data));
	(void)close(fd);
}

/* The log as it lies on disk explains the PCR in every bank: an independent replay. Ends the visit. */
static void check_file_of(struct visit *v, size_t n_records)
{
	cleanup_buf struct buf log = BUF_INIT(LIMIT_WORKLOAD_LOG);
	static const enum digest_id banks[] = { DIGEST_SHA256, DIGEST_SHA384 };
	struct digest pcr[2] = { { .n = 32 }, { .n = 48 } }, now;
	size_t off = 0, count = 0;
	char name[64];

	file_name(v, name, sizeof(name));
	visit_end(v);
	OK(file_read(dir_fd, name, &log));
	while (off < log.n) {
		struct cel_record rec;
		size_t n;

		OK(cel_read(BYTES(log.p + off, log.n - off), &rec, &n));
		assert_true(n > 0);
		assert_int_equal(rec.recnum, count);
		for (size_t i = 0; i < 2; i++)
			OK(digest_extend(banks[i], &pcr[i], digest_bytes(cel_digest(&rec, banks[i])), &pcr[i]));
		off += n;
		count++;
	}
	assert_int_equal(count, n_records);
	for (size_t i = 0; i < 2; i++) {
		OK(harness_pcr_read(fixture_harness, 0, banks[i], WORKLOAD_PCR, &now, &fixture_why));
		assert_true(bytes_eq(digest_bytes(&now), digest_bytes(&pcr[i])));
	}
}

static void check_file(size_t n_records)
{
	struct visit v;

	visit_begin(&v);
	check_file_of(&v, n_records);
}

static void test_begin_start_end(void **state)
{
	struct workload_event ev = start_event(1);
	const struct workload_instance *at;
	struct visit v;

	(void)state;
	visit_begin(&v);
	assert_int_equal(v.w.n_records, 1);
	OK(workload_append(&v.w, &ev));
	visit_end(&v);
	visit_begin(&v);
	assert_int_equal(v.w.n_records, 2);
	assert_int_equal(v.w.n_live, 1);
	at = workload_find(&v.w, ev.instance);
	assert_non_null(at);
	assert_string_equal(at->agent, "invoices");
	ev.kind = WORKLOAD_CHANGED;
	ev.model.manifest[3] = 7;
	OK(workload_append(&v.w, &ev));
	assert_int_equal(workload_find(&v.w, ev.instance)->model.manifest[3], 7);
	assert_true(workload_find(&v.w, ev.instance)->changed);
	/* For good: a verifier takes no second change either. */
	ev.model.manifest[3] = 8;
	FAILS(E_BUG, workload_append(&v.w, &ev));
	assert_int_equal(v.w.n_records, 3);
	ev = end_event(1);
	OK(workload_append(&v.w, &ev));
	assert_null(workload_find(&v.w, ev.instance));
	visit_end(&v);
	check_file(4);
}

/* A start of a live instance, or an end of none, is refused and leaves nothing that lasts. */
static void test_events_that_do_not_fit(void **state)
{
	struct workload_event ev = start_event(1);
	struct visit v;

	(void)state;
	visit_begin(&v);
	OK(workload_append(&v.w, &ev));
	assert_true(failed(workload_append(&v.w, &ev)));
	visit_end(&v);
	visit_begin(&v);
	ev = end_event(9);
	assert_true(failed(workload_append(&v.w, &ev)));
	visit_end(&v);
	check_file(2);
}

enum stop { AFTER_INTENT, AFTER_EXTEND, IN_RECORD, AFTER_RECORD, N_STOPS };

/* Goes as far as `stop` and no further, as a killed process. */
static void abandon(struct visit *v, const struct workload_event *ev, enum stop stop, size_t part)
{
	cleanup_workload_step struct workload_step s = WORKLOAD_STEP_INIT;
	char name[64];

	file_name(v, name, sizeof(name));
	OK(workload_prepare(&v->w, ev, &s));
	if (stop >= AFTER_EXTEND)
		OK(workload_extend(&v->w, &s));
	if (stop == IN_RECORD)
		append_raw(name, BYTES(s.record.p, part < s.record.n ? part : s.record.n));
	if (stop == AFTER_RECORD)
		append_raw(name, buf_bytes(&s.record));
	visit_end(v);
}

static void test_killed_at_every_step(void **state)
{
	(void)state;
	for (int stop = 0; stop < N_STOPS; stop++)
		for (size_t part = 1; part < (stop == IN_RECORD ? 8u : 2u); part++) {
			const struct workload_event ev = start_event(1);
			bool extended = stop != AFTER_INTENT;
			struct visit v;

			(void)fresh(NULL);
			visit_begin(&v);
			abandon(&v, &ev, (enum stop)stop, part * 37);
			visit_begin(&v);
			assert_int_equal(v.w.n_records, extended ? 2 : 1);
			assert_int_equal(v.w.n_live, extended ? 1 : 0);
			visit_end(&v);
			assert_int_equal(file_size("workload.intent"), -1);
			check_file(extended ? 2 : 1);
		}
}

/* From an empty folder to a start and an end, over a bus that loses one command or its answer. */
static void go_on_lossy_bus(struct fault_tcti *f, enum fault_tcti_kind kind, unsigned k)
{
	struct visit v = { .boot = BOOT_INIT, .w = WORKLOAD_INIT };
	struct workload_event start = start_event(1), end = end_event(1);
	struct err e;

	OK(tpm_open_tcti(fault_tcti_context(f), TPM_TIMEOUT_S, &fixture_why, &v.tpm));
	fault_tcti_arm(f, kind, k, 1, 0);
	e = boot_read(v.tpm, &v.boot);
	if (!failed(e))
		e = workload_open(dir_fd, v.tpm, &v.boot, &v.w);
	if (!failed(e))
		e = workload_append(&v.w, &start);
	if (!failed(e))
		e = workload_append(&v.w, &end);
	assert_true(failed(e) || kind == FAULT_TCTI_NONE || f->n_commands <= k || v.tpm->generation > 0);
	visit_end(&v);
}

static void test_every_lost_command(void **state)
{
	static const enum fault_tcti_kind kinds[] = { FAULT_TCTI_COMMAND, FAULT_TCTI_ANSWER };
	unsigned n_commands = 1;

	(void)state;
	for (unsigned k = 0; k < 2 * n_commands; k++) {
		TSS2_TCTI_CONTEXT *tcti;
		struct fault_tcti f;
		struct visit v;

		(void)fresh(NULL);
		tcti = fixture_connect();
		fault_tcti_init(&f, tcti);
		go_on_lossy_bus(&f, k == 0 ? FAULT_TCTI_NONE : kinds[k % 2], k / 2);
		if (k == 0)
			n_commands = f.n_commands;
		fault_tcti_done(&f);
		fixture_disconnect(&tcti);
		visit_begin(&v);
		assert_in_range(v.w.n_records, 1, 3);
		assert_int_equal(v.w.n_live, v.w.n_records == 2 ? 1 : 0);
		assert_true(k != 0 || v.w.n_records == 3);
		check_file_of(&v, v.w.n_records);
	}
	assert_true(n_commands > 10);
}

/* A record that was cut off without an intent: cut away only because the PCR proves that it was never extended. */
static void test_partial_record_without_intent(void **state)
{
	const struct workload_event ev = start_event(1);
	char name[64], path[256];
	struct visit v;
	off_t size;

	(void)state;
	visit_begin(&v);
	OK(workload_append(&v.w, &ev));
	file_name(&v, name, sizeof(name));
	visit_end(&v);
	size = file_size(name);
	append_raw(name, BYTES_LIT("\xa4\x00\x02\x01"));
	visit_begin(&v);
	assert_int_equal(v.w.n_records, 2);
	visit_end(&v);
	assert_int_equal(file_size(name), size);

	/* The same with the last whole record damaged: now the PCR is not explained. */
	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(truncate(path, size - 3), 0);
	FAILS(E_AUTH_CONFLICT, visit_try(&v));
	assert_non_null(strstr(fixture_why.text, "unexplained"));
	visit_end(&v);
	assert_int_equal(file_size(name), size - 3);
}

static void test_foreign_extend(void **state)
{
	const struct workload_event ev = start_event(1);
	struct visit v;

	(void)state;
	visit_begin(&v);
	visit_end(&v);
	OK(harness_extend(fixture_harness, 0, WORKLOAD_PCR, BYTES_LIT("not ours"), &fixture_why));
	FAILS(E_AUTH_CONFLICT, visit_try(&v));
	visit_end(&v);
	/* It stays so. */
	FAILS(E_AUTH_CONFLICT, visit_try(&v));
	visit_end(&v);

	/* Neither before nor after an intent. */
	(void)fresh(NULL);
	visit_begin(&v);
	abandon(&v, &ev, AFTER_INTENT, 0);
	OK(harness_extend(fixture_harness, 0, WORKLOAD_PCR, BYTES_LIT("not ours"), &fixture_why));
	FAILS(E_AUTH_CONFLICT, visit_try(&v));
	visit_end(&v);
	assert_true(file_size("workload.intent") > 0);

	/* In one bank only. */
	(void)fresh(NULL);
	visit_begin(&v);
	visit_end(&v);
	{
		static const uint8_t d[48] = { 1 };

		OK(harness_extend_digest(fixture_harness, 0, WORKLOAD_PCR, DIGEST_SHA384, BYTES_ARR(d), &fixture_why));
	}
	FAILS(E_AUTH_CONFLICT, visit_try(&v));
	visit_end(&v);
}

/* Somebody extends between our look at the PCR and our extend. */
static void test_extend_in_between(void **state)
{
	cleanup_workload_step struct workload_step s = WORKLOAD_STEP_INIT;
	const struct workload_event ev = start_event(1);
	struct digest d[LIMIT_BANKS] = { { .n = 32 }, { .n = 48 } };
	struct visit v;

	(void)state;
	visit_begin(&v);
	OK(workload_prepare(&v.w, &ev, &s));
	OK(tpm_pcr_extend(v.tpm, WORKLOAD_PCR, &v.w.banks, d));
	FAILS(E_AUTH_CONFLICT, workload_extend(&v.w, &s));
	visit_end(&v);
	FAILS(E_AUTH_CONFLICT, visit_try(&v));
	visit_end(&v);
}

static void test_log_gone(void **state)
{
	struct visit v;
	char name[64];

	(void)state;
	visit_begin(&v);
	file_name(&v, name, sizeof(name));
	visit_end(&v);
	assert_int_equal(unlinkat(dir_fd, name, 0), 0);
	FAILS(E_AUTH_CONFLICT, visit_try(&v));
	visit_end(&v);
}

static void read_log(const struct workload *w, struct buf *ret)
{
	OK(workload_read(w, 0, ret->max, ret));
	assert_int_equal(ret->n, w->log_size);
}

/* A value that is there before we begin is recorded; the verifier judges it. */
static void test_begin_on_a_used_register(void **state)
{
	cleanup_buf struct buf log = BUF_INIT(LIMIT_WORKLOAD_LOG);
	struct cel_record rec;
	struct workload_event ev;
	struct digest now;
	struct visit v;
	size_t n;

	(void)state;
	OK(harness_extend(fixture_harness, 0, WORKLOAD_PCR, BYTES_LIT("measured by the boot loader"), &fixture_why));
	OK(harness_pcr_read(fixture_harness, 0, DIGEST_SHA256, WORKLOAD_PCR, &now, &fixture_why));
	visit_begin(&v);
	read_log(&v.w, &log);
	OK(cel_read(buf_bytes(&log), &rec, &n));
	OK(workload_event_decode(rec.content, &ev));
	assert_int_equal(ev.kind, WORKLOAD_BEGIN);
	assert_int_equal(ev.n_banks, 2);
	assert_true(bytes_eq(digest_bytes(&ev.before[0]), digest_bytes(&now)));
	visit_end(&v);
	visit_begin(&v);
	visit_end(&v);
}

static enum workload_kind last_kind(const struct workload *w)
{
	cleanup_buf struct buf log = BUF_INIT(LIMIT_WORKLOAD_LOG);
	struct workload_event ev = { 0 };
	size_t off = 0;

	read_log(w, &log);
	while (off < log.n) {
		struct cel_record rec;
		size_t n;

		OK(cel_read(BYTES(log.p + off, log.n - off), &rec, &n));
		OK(workload_event_decode(rec.content, &ev));
		off += n;
	}
	return ev.kind;
}

static void test_suspend_and_resume(void **state)
{
	const struct workload_event ev = start_event(1);
	struct visit v;

	(void)state;
	visit_begin(&v);
	OK(workload_append(&v.w, &ev));
	visit_end(&v);
	OK(harness_suspend(fixture_harness, 0, &fixture_why));
	OK(harness_resume(fixture_harness, 0, &fixture_why));
	visit_begin(&v);
	assert_int_equal(v.w.n_records, 3);
	assert_int_equal(last_kind(&v.w), WORKLOAD_RESUME);
	assert_int_equal(v.w.last_resume, v.boot.restart_count);
	assert_int_equal(v.w.n_live, 1);
	visit_end(&v);
	/* Once. */
	visit_begin(&v);
	assert_int_equal(v.w.n_records, 3);
	visit_end(&v);
	/* Killed between the record and the state: still once. */
	OK(harness_suspend(fixture_harness, 0, &fixture_why));
	OK(harness_resume(fixture_harness, 0, &fixture_why));
	{
		cleanup_buf struct buf old = BUF_INIT(4096);

		OK(file_read(dir_fd, "workload.json", &old));
		visit_begin(&v);
		assert_int_equal(v.w.n_records, 4);
		visit_end(&v);
		OK(file_write(dir_fd, "workload.json", buf_bytes(&old), 0600));
	}
	visit_begin(&v);
	assert_int_equal(v.w.n_records, 4);
	visit_end(&v);
	check_file(4);
}

static void test_restart(void **state)
{
	const struct workload_event ev = start_event(1);
	char name[64], aside[128];
	struct visit v;

	(void)state;
	visit_begin(&v);
	OK(workload_append(&v.w, &ev));
	file_name(&v, name, sizeof(name));
	visit_end(&v);
	(void)snprintf(aside, sizeof(aside), "%.*s.restart-0.cel", (int)(strlen(name) - 4), name);
	OK(harness_suspend(fixture_harness, 0, &fixture_why));
	OK(harness_restart(fixture_harness, 0, &fixture_why));
	visit_begin(&v);
	assert_string_equal(v.w.file, name);
	assert_int_equal(v.w.n_records, 1);
	assert_int_equal(v.w.n_live, 0);
	visit_end(&v);
	assert_true(file_size(aside) > 0);
	check_file(1);
}

/* Zero without a restart cannot be: the PCR is not resettable. A log of another boot put in its place looks so. */
static void test_zero_without_restart(void **state)
{
	cleanup_buf struct buf old = BUF_INIT(LIMIT_WORKLOAD_LOG);
	const struct workload_event ev = start_event(1);
	char name[64], other[64];
	struct visit v;

	(void)state;
	visit_begin(&v);
	OK(workload_append(&v.w, &ev));
	file_name(&v, name, sizeof(name));
	visit_end(&v);
	OK(file_read(dir_fd, name, &old));
	OK(harness_reset(fixture_harness, 0, &fixture_why));
	visit_begin(&v);
	file_name(&v, other, sizeof(other));
	visit_end(&v);
	assert_string_not_equal(name, other);
	OK(file_write(dir_fd, other, buf_bytes(&old), 0600));
	FAILS(E_AUTH_CONFLICT, visit_try(&v));
	visit_end(&v);
}

static void test_position(void **state)
{
	const struct workload_event ev = start_event(1);
	uint64_t records, offset;
	struct digest pcr, at_first;
	struct visit v;

	(void)state;
	visit_begin(&v);
	offset = v.w.log_size;
	at_first = v.w.pcr[1];
	OK(workload_append(&v.w, &ev));
	OK(workload_position(&v.w, 0, DIGEST_SHA256, &records, &pcr));
	assert_int_equal(records, 0);
	assert_int_equal(pcr.n, 0);
	OK(workload_position(&v.w, offset, DIGEST_SHA384, &records, &pcr));
	assert_int_equal(records, 1);
	assert_true(bytes_eq(digest_bytes(&pcr), digest_bytes(&at_first)));
	OK(workload_position(&v.w, v.w.log_size, DIGEST_SHA256, &records, &pcr));
	assert_int_equal(records, 2);
	FAILS(E_PEER_RANGE, workload_position(&v.w, offset + 1, DIGEST_SHA256, &records, &pcr));
	FAILS(E_PEER_RANGE, workload_position(&v.w, v.w.log_size + 1, DIGEST_SHA256, &records, &pcr));
	FAILS(E_PEER_RANGE, workload_position(&v.w, 0, DIGEST_SHA512, &records, &pcr));
	visit_end(&v);
}

static void test_too_many_instances(void **state)
{
	struct workload_event ev = start_event(0);
	struct visit v;

	(void)state;
	visit_begin(&v);
	for (unsigned i = 0; i < LIMIT_INSTANCES; i++) {
		ev.instance[1] = (uint8_t)i;
		OK(workload_append(&v.w, &ev));
	}
	ev.instance[2] = 1;
	FAILS(E_LIMIT_COUNT, workload_append(&v.w, &ev));
	/* Nothing was begun by it. */
	ev = end_event(0);
	OK(workload_append(&v.w, &ev));
	visit_end(&v);
	check_file(LIMIT_INSTANCES + 2);
}

/* A boot with as many starts as a verifier follows has no more of them; what runs can still end. */
static void test_too_many_starts(void **state)
{
	struct workload_event ev = start_event(1);
	struct visit v;

	(void)state;
	visit_begin(&v);
	OK(workload_append(&v.w, &ev));
	assert_int_equal(v.w.n_starts, 1);
	v.w.n_starts = LIMIT_STARTS;
	ev = start_event(2);
	FAILS(E_LIMIT_COUNT, workload_append(&v.w, &ev));
	ev = end_event(1);
	OK(workload_append(&v.w, &ev));
	visit_end(&v);
	visit_begin(&v);
	assert_int_equal(v.w.n_starts, 1);
	visit_end(&v);
	check_file(3);
}

static void flip_byte(const char *name, off_t at)
{
	int fd = openat(dir_fd, name, O_RDWR);
	uint8_t c;

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &c, 1, at), 1);
	c ^= 1;
	assert_int_equal(pwrite(fd, &c, 1, at), 1);
	(void)close(fd);
}

/* A visit that begins at a mark finds what one from the first record does, and reads nothing before it. */
static void test_mark(void **state)
{
	const struct workload_event first = start_event(1), second = start_event(2), end = end_event(2);
	struct workload_event changed = { .kind = WORKLOAD_CHANGED };
	struct digest pcr, marked_pcr;
	uint64_t marked, records;
	struct visit v, again;
	char name[64];

	(void)state;
	memcpy(changed.instance, first.instance, sizeof(changed.instance));
	visit_begin(&v);
	OK(workload_append(&v.w, &first));
	OK(workload_append(&v.w, &changed));
	marked = v.w.log_size;
	marked_pcr = v.w.pcr[0];
	OK(mark_write(&v.w));
	OK(workload_append(&v.w, &second));
	visit_end(&v);
	visit_begin(&v);
	assert_int_equal(v.w.mark, marked);
	assert_int_equal(v.w.n_records, 4);
	assert_int_equal(v.w.n_starts, 2);
	assert_int_equal(v.w.n_live, 2);
	file_name(&v, name, sizeof(name));
	assert_int_equal(unlinkat(dir_fd, "workload.mark", 0), 0);
	visit_end(&v);
	visit_begin(&again);
	assert_int_equal(again.w.mark, 0);
	assert_int_equal(again.w.n_records, 4);
	assert_int_equal(again.w.n_live, 2);
	assert_string_equal(again.w.live[0].agent, "invoices");
	assert_true(again.w.live[0].changed && !again.w.live[1].changed);
	again.w.n_live = 1;
	again.w.log_size = marked;
	again.w.n_records = 3;
	again.w.n_starts = 1;
	again.w.pcr[0] = marked_pcr;
	/* A value that does not lead to the PCR: from the first record then. */
	OK(mark_write(&again.w));
	visit_end(&again);
	visit_begin(&v);
	assert_int_equal(v.w.mark, 0);
	assert_int_equal(v.w.n_records, 4);
	OK(workload_append(&v.w, &end));
	OK(mark_write(&v.w));
	marked = v.w.log_size;
	visit_end(&v);
	/* What lies before the mark is not read, as long as nobody asks for it. */
	flip_byte(name, 30);
	visit_begin(&v);
	assert_int_equal(v.w.mark, marked);
	assert_int_equal(v.w.n_records, 5);
	assert_int_equal(v.w.n_live, 1);
	assert_true(v.w.live[0].changed);
	assert_memory_equal(v.w.live[0].id, first.instance, sizeof(first.instance));
	OK(workload_position(&v.w, marked, DIGEST_SHA256, &records, &pcr));
	assert_int_equal(records, 5);
	assert_true(bytes_eq(digest_bytes(&pcr), digest_bytes(&v.w.pcr[0])));
	FAILS(E_PEER_RANGE, workload_position(&v.w, marked - 1, DIGEST_SHA256, &records, &pcr));
	visit_end(&v);
	flip_byte(name, 30);
	visit_begin(&v);
	OK(workload_append(&v.w, &second));
	visit_end(&v);
	check_file(6);
}

/* A mark that is cut is none, and nothing of the log is lost. */
static void test_mark_damaged(void **state)
{
	const struct workload_event ev = start_event(1);
	cleanup_buf struct buf mark = BUF_INIT(4096);
	struct visit v;

	(void)state;
	visit_begin(&v);
	OK(workload_append(&v.w, &ev));
	OK(mark_write(&v.w));
	visit_end(&v);
	OK(file_read(dir_fd, "workload.mark", &mark));
	for (size_t n = 0; n < mark.n; n += 17) {
		OK(file_write(dir_fd, "workload.mark", BYTES(mark.p, n), 0600));
		visit_begin(&v);
		assert_int_equal(v.w.mark, 0);
		assert_int_equal(v.w.n_live, 1);
		visit_end(&v);
	}
	/* After a reset it is another boot's. */
	OK(file_write(dir_fd, "workload.mark", buf_bytes(&mark), 0600));
	OK(harness_reset(fixture_harness, 0, &fixture_why));
	visit_begin(&v);
	assert_int_equal(v.w.mark, 0);
	assert_int_equal(v.w.n_records, 1);
	visit_end(&v);
	check_file(1);
}

/* A restart begins a new log under the same key, of which an old mark knows nothing. */
static void test_mark_and_restart(void **state)
{
	const struct workload_event ev = start_event(1);
	struct visit v;

	(void)state;
	visit_begin(&v);
	OK(workload_append(&v.w, &ev));
	OK(mark_write(&v.w));
	visit_end(&v);
	OK(harness_suspend(fixture_harness, 0, &fixture_why));
	OK(harness_restart(fixture_harness, 0, &fixture_why));
	for (unsigned i = 0; i < 2; i++) {
		visit_begin(&v);
		assert_int_equal(v.w.mark, 0);
		assert_int_equal(v.w.n_records, 1);
		assert_int_equal(v.w.n_live, 0);
		visit_end(&v);
	}
	visit_begin(&v);
	OK(workload_append(&v.w, &ev));
	visit_end(&v);
	check_file(2);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_begin_start_end, fresh),
		cmocka_unit_test_setup(test_events_that_do_not_fit, fresh),
		cmocka_unit_test_setup(test_killed_at_every_step, fresh),
		cmocka_unit_test_setup(test_every_lost_command, fresh),
		cmocka_unit_test_setup(test_partial_record_without_intent, fresh),
		cmocka_unit_test_setup(test_foreign_extend, fresh),
		cmocka_unit_test_setup(test_extend_in_between, fresh),
		cmocka_unit_test_setup(test_log_gone, fresh),
		cmocka_unit_test_setup(test_begin_on_a_used_register, fresh),
		cmocka_unit_test_setup(test_suspend_and_resume, fresh),
		cmocka_unit_test_setup(test_restart, fresh),
		cmocka_unit_test_setup(test_zero_without_restart, fresh),
		cmocka_unit_test_setup(test_position, fresh),
		cmocka_unit_test_setup(test_too_many_instances, fresh),
		cmocka_unit_test_setup(test_too_many_starts, fresh),
		cmocka_unit_test_setup(test_mark, fresh),
		cmocka_unit_test_setup(test_mark_damaged, fresh),
		cmocka_unit_test_setup(test_mark_and_restart, fresh),
	};

	if (!harness_available()) {
		(void)printf("1..0 # SKIP swtpm is not installed\n");
		return 0;
	}
	return cmocka_run_group_tests_name("attest-workload", tests, fixture_up, fixture_down);
}
