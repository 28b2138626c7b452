/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/workload.h"

#include <inttypes.h>
#include <string.h>

#include "attest/workload_impl.h"
#include "base/log.h"
#include "base/text.h"

void workload_done(struct workload *w)
{
	free(w->live);
	w->live = NULL;
	w->n_live = 0;
}

void workload_step_done(struct workload_step *s)
{
	buf_free(&s->record);
}

static bool values_equal(size_t n, const struct digest *a, const struct digest *b)
{
	for (size_t i = 0; i < n; i++)
		if (!bytes_eq(digest_bytes(&a[i]), digest_bytes(&b[i])))
			return false;
	return true;
}

static bool values_zero(size_t n, const struct digest *a)
{
	for (size_t i = 0; i < n; i++)
		if (!bytes_all(digest_bytes(&a[i]), 0))
			return false;
	return true;
}

static struct err failed_io(const struct workload *w, struct err e, const char *what)
{
	if (failed(e))
		reason_set(w->tpm->why, "workload log: cannot %s: %s", what, err_text(e));
	return e;
}

/* pcr: the value in each bank that the log, or the extend, should have led to. */
static struct err unexplained(const struct workload *w, const struct digest *pcr, const struct digest *now)
{
	char want[2 * DIGEST_MAX + 1], have[2 * DIGEST_MAX + 1];
	struct err e;

	if (failed(e = hex_encode(digest_bytes(&pcr[0]), want, sizeof(want))) ||
	    failed(e = hex_encode(digest_bytes(&now[0]), have, sizeof(have))))
		return e;
	reason_set(w->tpm->why,
		   "PCR %d is unexplained: %s, it is %s, and the log %s gives %s. Something else has extended it, or "
		   "the log was changed. Assay does not repair this: reboot the host",
		   WORKLOAD_PCR, digest_alg(w->banks.bank[0])->name, have, w->file, want[0] == '\0' ? "nothing" : want);
	return ERR(E_AUTH_CONFLICT);
}

/* What no replay would take must not be extended: it could never be explained. */
static struct err check_fits(const struct workload *w, const struct workload_event *ev)
{
	const struct workload_instance *at = workload_find(w, ev->instance);
	bool live = at != NULL;

	switch (ev->kind) {
	case WORKLOAD_BEGIN:
		return w->n_records == 0 ? ERR(E_OK) : ERR(E_BUG);
	case WORKLOAD_START:
		return w->n_records > 0 && !live ? ERR(E_OK) : ERR(E_BUG);
	case WORKLOAD_CHANGED:
		return live && !at->changed ? ERR(E_OK) : ERR(E_BUG);
	case WORKLOAD_END:
		return live ? ERR(E_OK) : ERR(E_BUG);
	case WORKLOAD_RESUME:
		return w->n_records > 0 ? ERR(E_OK) : ERR(E_BUG);
	default:
		return ERR(E_BUG);
	}
}

/* Whether one more may start: as many as a verifier follows, at a time and in all. */
static struct err check_room(const struct workload *w, const struct workload_event *ev)
{
	if (ev->kind != WORKLOAD_START)
		return ERR(E_OK);
	if (w->n_live == LIMIT_INSTANCES) {
		reason_set(w->tpm->why, "%d instances are live, the most that one host can have", LIMIT_INSTANCES);
		return ERR(E_LIMIT_COUNT);
	}
	if (w->n_starts >= LIMIT_STARTS) {
		reason_set(w->tpm->why,
			   "%d instances were started in this boot, the most that one can have: reboot the host",
			   LIMIT_STARTS);
		return ERR(E_LIMIT_COUNT);
	}
	return ERR(E_OK);
}

/* What the PCR holds before the record: at the begin, what the event says. */
static const struct digest *before(const struct workload *w, const struct workload_event *ev)
{
	return ev->kind == WORKLOAD_BEGIN ? ev->before : w->pcr;
}

struct err workload_prepare(struct workload *w, const struct workload_event *event, struct workload_step *ret)
{
	cleanup_buf struct buf content = BUF_INIT(LIMIT_LOG_RECORD);
	struct cel_record rec = { .recnum = w->n_records, .pcr = WORKLOAD_PCR };
	struct err e;

	if (w->stale)
		return ERR(E_BUG);
	if (failed(e = check_fits(w, event)) || failed(e = check_room(w, event)) ||
	    failed(e = workload_event_encode(event, &content)) ||
	    failed(e = cel_digests(buf_bytes(&content), w->banks.n, w->banks.bank, &rec)))
		return e;
	rec.content = buf_bytes(&content);
	if (failed(e = cel_encode(&rec, &ret->record)))
		return e;
	for (size_t i = 0; i < w->banks.n; i++) {
		w->pcr[i] = before(w, event)[i];
		if (failed(e = digest_extend(w->banks.bank[i], &w->pcr[i], digest_bytes(&rec.digest[i]),
					     &ret->after[i])))
			return e;
	}
	w->stale = true;
	return failed_io(w, intent_write(w, ret), "write the intent");
}

struct err workload_extend(struct workload *w, const struct workload_step *s)
{
	struct digest digest[LIMIT_BANKS], now[LIMIT_BANKS];
	struct cel_record rec;
	struct err e;
	size_t n;

	if (failed(e = cel_read(buf_bytes(&s->record), &rec, &n)))
		return e;
	for (size_t i = 0; i < w->banks.n; i++)
		digest[i] = rec.digest[i];
	if (failed(e = tpm_pcr_extend(w->tpm, WORKLOAD_PCR, &w->banks, digest)) ||
	    failed(e = tpm_pcr_read_banks(w->tpm, WORKLOAD_PCR, &w->banks, now)))
		return e;
	return values_equal(w->banks.n, now, s->after) ? ERR(E_OK) : unexplained(w, s->after, now);
}

struct err workload_commit(struct workload *w, const struct workload_step *s)
{
	struct cel_record rec;
	struct err e;
	size_t n;

	if (failed(e = failed_io(w, log_set(w, w->log_size, buf_bytes(&s->record)), "write the record")) ||
	    failed(e = failed_io(w, intent_remove(w), "remove the intent")))
		return e;
	if (failed(e = cel_read(buf_bytes(&s->record), &rec, &n)) || failed(e = replay_record(w, &rec, n)))
		return e;
	w->stale = false;
	return ERR(E_OK);
}

struct err workload_append(struct workload *w, const struct workload_event *event)
{
	cleanup_workload_step struct workload_step s = WORKLOAD_STEP_INIT;
	struct err e;

	if (failed(e = workload_prepare(w, event, &s)) || failed(e = workload_extend(w, &s)))
		return e;
	return workload_commit(w, &s);
}

/* Makes the file what was replayed: tail behind base, and nothing behind that. */
static struct err repair(struct workload *w, uint64_t base, struct bytes tail)
{
	cleanup_buf struct buf file = BUF_INIT(LIMIT_LOG_RECORD + 1);
	struct err e;

	if (failed(e = failed_io(w, log_read(w, base, tail.n + 1, &file), "read it")))
		return e;
	if (!bytes_eq(buf_bytes(&file), tail)) {
		log_debug("workload log repaired: it has %" PRIu64 " bytes", w->log_size);
		if (failed(e = failed_io(w, log_set(w, base, tail), "repair it")))
			return e;
	}
	return failed_io(w, intent_remove(w), "remove the intent");
}

/* The log as it must have been meant, replayed from where w stands. */
struct meant {
	uint64_t base;     /* what the file holds of it */
	struct bytes tail; /* record of the intent that belongs behind, or none */
	bool fits;         /* it explains the PCR */
};

static struct err replay_meant(struct workload *w, const struct digest *now, const struct intent *intent, bool intended,
			       struct meant *ret)
{
	bool at_intent;
	struct err e;

	*ret = (struct meant){ .tail = BYTES_NONE };
	if (failed(e = failed_io(w, replay_file(w, intended ? intent->base : UINT64_MAX), "read it")))
		return e;
	at_intent = intended && w->log_size == intent->base;
	if (at_intent && values_equal(w->banks.n, now, intent->after))
		ret->tail = buf_bytes(&intent->record);
	/* What follows the good records was cut off: where the PCR is that of the good ones, it was never extended. */
	else if ((!at_intent || !values_equal(w->banks.n, now, intent->before)) &&
		 failed(e = failed_io(w, replay_file(w, UINT64_MAX), "read it")))
		return e;
	ret->base = w->log_size;
	if (failed(e = replay_part(w, ret->tail)))
		return e;
	ret->fits = w->log_size == ret->base + ret->tail.n &&
		    (w->log_size == 0 || values_equal(w->banks.n, now, w->pcr));
	return ERR(E_OK);
}

/* *ret_fits: the log, as it must have been meant, explains the PCR. With writes, the file then is that log. */
static struct err settle(struct workload *w, const struct digest *now, bool writes, bool *ret_fits)
{
	cleanup_intent struct intent intent = INTENT_INIT;
	struct meant meant;
	bool intended;
	struct err e;

	if (failed(e = failed_io(w, intent_read(w, &intent, &intended), "read the intent")) ||
	    failed(e = failed_io(w, mark_read(w), "read its mark")) ||
	    failed(e = replay_meant(w, now, &intent, intended, &meant)))
		return e;
	if (!meant.fits && w->mark > 0) {
		replay_clear(w);
		if (failed(e = replay_meant(w, now, &intent, intended, &meant)))
			return e;
	}
	*ret_fits = meant.fits;
	return meant.fits && writes ? repair(w, meant.base, meant.tail) : ERR(E_OK);
}

static struct err begin(struct workload *w, const struct digest *now, uint32_t restart_count)
{
	struct workload_event ev = { .kind = WORKLOAD_BEGIN, .n_banks = w->banks.n };
	struct err e;

	for (size_t i = 0; i < w->banks.n; i++) {
		ev.bank[i] = w->banks.bank[i];
		ev.before[i] = now[i];
	}
	if (failed(e = workload_append(w, &ev)))
		return e;
	return failed_io(w, log_state_write(w, restart_count), "write its state");
}

/* The host woke up with PCRs and log as they were. */
static struct err resume(struct workload *w, uint32_t restart_count)
{
	const struct workload_event ev = { .kind = WORKLOAD_RESUME, .restart_count = restart_count };
	struct err e;

	/* A crash between record and state must not say it twice. */
	if ((!w->has_resume || w->last_resume != restart_count) && failed(e = workload_append(w, &ev)))
		return e;
	return failed_io(w, log_state_write(w, restart_count), "write its state");
}

/* Shutdown(STATE), then Startup(CLEAR): same null seed, PCRs zero. What the log says is over. */
static struct err restart(struct workload *w, const struct log_state *s, const struct digest *now,
			  uint32_t restart_count)
{
	struct err e;

	if (failed(e = failed_io(w, intent_remove(w), "remove the intent")) ||
	    failed(e = failed_io(w, log_put_aside(w, s->restart_count), "put it aside")))
		return e;
	replay_clear(w);
	return begin(w, now, restart_count);
}

static struct err init(int dir_fd, struct tpm *tpm, const struct boot *boot, struct workload *w)
{
	char key[2 * BOOT_KEY_LEN + 1];
	struct err e;

	w->dir_fd = dir_fd;
	w->tpm = tpm;
	memcpy(w->boot_key, boot->key, sizeof(w->boot_key));
	if (failed(e = hex_encode(BYTES_ARR(w->boot_key), key, sizeof(key))))
		return e;
	(void)snprintf(w->file, sizeof(w->file), "workload-%s.cel", key);
	w->live = calloc(LIMIT_INSTANCES, sizeof(*w->live));
	return w->live == NULL ? ERR(E_LOCAL_MEMORY) : ERR(E_OK);
}

/* Everything up to the point where something has to be written for what was found. */
static struct err look(int dir_fd, struct tpm *tpm, const struct boot *boot, bool writes, struct workload *w,
		       struct digest now[LIMIT_BANKS], struct log_state *ret_state, enum workload_look *ret)
{
	bool fits, gone, back;
	struct err e;

	if (failed(e = init(dir_fd, tpm, boot, w)) || failed(e = tpm_banks(tpm, WORKLOAD_PCR, &w->banks)) ||
	    failed(e = tpm_pcr_read_banks(tpm, WORKLOAD_PCR, &w->banks, now)) ||
	    failed(e = failed_io(w, log_state_read(w, ret_state), "read its state")) ||
	    failed(e = settle(w, now, writes, &fits)))
		return e;
	/* A log that was there and is gone, or counters that went back, are as unexplained as a foreign value. */
	gone = w->log_size == 0 && ret_state->present;
	back = ret_state->present && boot->restart_count < ret_state->restart_count;
	if (!fits && ret_state->present && boot->restart_count > ret_state->restart_count &&
	    values_zero(w->banks.n, now))
		*ret = WORKLOAD_RESTARTED;
	else if (!fits || gone || back)
		*ret = WORKLOAD_UNEXPLAINED;
	else
		*ret = w->log_size == 0 ? WORKLOAD_NONE : WORKLOAD_EXPLAINED;
	return ERR(E_OK);
}

struct err workload_look(int dir_fd, struct tpm *tpm, const struct boot *boot, struct workload *ret,
			 enum workload_look *ret_look)
{
	struct digest now[LIMIT_BANKS];
	struct log_state s;

	return look(dir_fd, tpm, boot, false, ret, now, &s, ret_look);
}

struct err workload_open(int dir_fd, struct tpm *tpm, const struct boot *boot, struct workload *ret)
{
	struct digest now[LIMIT_BANKS];
	enum workload_look found;
	struct log_state s;
	struct err e;

	if (failed(e = look(dir_fd, tpm, boot, true, ret, now, &s, &found)))
		return e;
	switch (found) {
	case WORKLOAD_NONE:
		return begin(ret, now, boot->restart_count);
	case WORKLOAD_RESTARTED:
		return restart(ret, &s, now, boot->restart_count);
	case WORKLOAD_UNEXPLAINED:
		return unexplained(ret, ret->pcr, now);
	case WORKLOAD_EXPLAINED:
		break;
	}
	/* Without it the next replay only takes longer. */
	if (ret->log_size - ret->mark >= MARK_STEP && failed(e = mark_write(ret)))
		log_debug("no mark in the workload log: %s", err_text(e));
	if (s.present && boot->restart_count > s.restart_count)
		return resume(ret, boot->restart_count);
	if (!s.present)
		return failed_io(ret, log_state_write(ret, boot->restart_count), "write its state");
	return ERR(E_OK);
}
