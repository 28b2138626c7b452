/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clock, reset and restart: attestation-checks, section 6. Compared in the
 * order reset count, restart count, clock; a counter that falls is not bad in
 * itself (a reset sets restartCount to 0, a power loss sets the clock back).
 */
#include <inttypes.h>
#include <string.h>

#include "verifier/appraise/work.h"

static enum boot_relation relation(const struct host_state *s, const struct tpm_clock *c)
{
	uint32_t resets = c->reset_count - s->clock.reset_count;

	if (!s->has_clock)
		return BOOT_FIRST;
	if (resets != 0) /* modulo 2^32, as serial numbers are compared (RFC 1982) */
		return resets < UINT32_MAX / 2 ? BOOT_NEW : BOOT_BACK;
	if (c->restart_count != s->clock.restart_count)
		return c->restart_count > s->clock.restart_count ? BOOT_RESUMED : BOOT_BACK;
	return BOOT_SAME;
}

static void say_clock(char *to, size_t size, const struct tpm_clock *c)
{
	say(to, size, "reset %" PRIu32 ", restart %" PRIu32 ", clock %" PRIu64, c->reset_count, c->restart_count,
	    c->clock_ms);
}

/*
 * R1: the same boot, but not later than what was accepted. The nonce is live,
 * so this is no replay of old evidence: a later answer overtook this one. It
 * says nothing about the host, so nothing changes.
 */
struct err row_overtaken(struct work *w)
{
	const struct host_state *s = w->in->state;
	struct attest_failure *f;

	w->boot = relation(s, &w->quote.clock);
	if (w->boot != BOOT_SAME || w->quote.clock.clock_ms > s->clock.clock_ms) {
		work_pass(w, ROW_OVERTAKEN);
		return ERR(E_OK);
	}
	w->v->overtaken = true;
	f = work_fail(w, ROW_OVERTAKEN, "");
	SAY(f->expected, "a clock above %" PRIu64 " ms in this boot; ask for a new challenge", s->clock.clock_ms);
	say_clock(f->seen, sizeof(f->seen), &w->quote.clock);
	return ERR(E_OK);
}

static struct err back(struct work *w, enum row row, bool ok)
{
	struct attest_failure *f;

	if (ok) {
		work_pass(w, row);
		return ERR(E_OK);
	}
	f = work_fail(w, row, "");
	SAY(f->expected, "not before reset %" PRIu32 ", restart %" PRIu32, w->in->state->clock.reset_count,
	    w->in->state->clock.restart_count);
	say_clock(f->seen, sizeof(f->seen), &w->quote.clock);
	return ERR(E_OK);
}

/* R5: another TPM, or TPM2_Clear. */
struct err row_reset(struct work *w)
{
	bool same = w->quote.clock.reset_count == w->in->state->clock.reset_count;

	return back(w, ROW_RESET, w->boot != BOOT_BACK || same);
}

/* The same boot with fewer restarts cannot be. */
struct err row_restart(struct work *w)
{
	bool same = w->quote.clock.reset_count == w->in->state->clock.reset_count;

	w->clock_accepted = w->boot != BOOT_BACK;
	return back(w, ROW_RESTART, w->boot != BOOT_BACK || !same);
}

/*
 * R2: the TPM started again, while the claims stand in the boot before. That
 * is no fault of the host, and no pass either: REBOOTED until the evidence is
 * whole. Evidence that already speaks of the new boot, from the log's first
 * record on, goes through the rows below like the first one of a host.
 */
struct err row_new_boot(struct work *w)
{
	const struct host_state *s = w->in->state;
	bool later = w->boot == BOOT_NEW || w->boot == BOOT_RESUMED;
	bool old = w->claims.log_offset > 0 || (s->has_boot && memcmp(w->claims.boot_id, s->boot_id, BOOT_ID_LEN) == 0);
	struct attest_failure *f;

	w->continues = w->boot == BOOT_SAME && host_state_continues(s, w->claims.boot_id, w->policy);
	if (!later || !old) {
		work_pass(w, ROW_NEW_BOOT);
		return ERR(E_OK);
	}
	f = work_fail(w, ROW_NEW_BOOT, "");
	SAY(f->expected, "whole evidence of the new boot: log from offset 0, certified null primary, all keys");
	say_clock(f->seen, sizeof(f->seen), &w->quote.clock);
	return ERR(E_OK);
}

/* Where the evidence goes on: a state of ours, or the beginning. */
static bool stands_at(const struct evidence_claims *c, const struct host_state *s, enum digest_id bank)
{
	struct bytes pcr = s->log_records == 0 ? BYTES_NONE : digest_bytes(&s->pcr[0]);

	if (s->log_records > 0 && (s->n_banks != 1 || s->bank[0] != bank))
		return false;
	return c->log_offset == s->log_offset && c->log_records == s->log_records && bytes_eq(c->log_pcr, pcr);
}

/*
 * The part of a log that follows what is replayed already. Boot and firmware
 * log are known only from a pass, so they are those of the state.
 */
static struct err go_on_with_log(struct work *w)
{
	const struct host_state *s = w->in->state;
	struct err e;

	if (failed(e = host_state_copy(s->open.state, &w->v->next)))
		return e;
	w->v->next.has_boot = w->continues;
	if (w->continues)
		w->v->next.firmware = s->firmware;
	w->image_gone = s->open.image_gone;
	w->root_gone = s->open.root_gone;
	w->model_gone = s->open.model_gone;
	w->log_open = true;
	return ERR(E_OK);
}

/*
 * I4: all three of offset, record count and PCR value fit, or it is from the
 * beginning. A position that we do not hold belongs to a state that moved
 * since the challenge (two answers at a time, or a verdict in between), so it
 * is refused like an overtaken answer, without a change.
 */
struct err row_position(struct work *w)
{
	const struct host_state *s = w->in->state;
	static const struct host_state nothing;
	struct attest_failure *f;
	bool open = w->boot == BOOT_SAME && s->open.state != NULL &&
		    host_state_continues(s->open.state, w->claims.boot_id, w->policy);
	struct err e;

	if (open && stands_at(&w->claims, s->open.state, w->bank)) {
		if (failed(e = go_on_with_log(w)))
			return e;
		work_pass(w, ROW_POSITION);
		return ERR(E_OK);
	}
	if (w->continues && stands_at(&w->claims, s, w->bank)) {
		if (failed(e = host_state_copy(s, &w->v->next)))
			return e;
		work_pass(w, ROW_POSITION);
		return ERR(E_OK);
	}
	if (stands_at(&w->claims, &nothing, w->bank)) {
		work_pass(w, ROW_POSITION);
		return ERR(E_OK);
	}
	w->v->overtaken = true;
	f = work_fail(w, ROW_POSITION, "");
	SAY(f->expected, "the log from offset 0%s; ask for a new challenge",
	    w->continues || open ? ", or from where we stand" : "");
	SAY(f->seen, "from offset %" PRIu64 " after %" PRIu64 " records", w->claims.log_offset, w->claims.log_records);
	return ERR(E_OK);
}

/*
 * Q15: another firmware is a warning, and everything is looked at again. Within
 * evidence that only goes on it is a failure, because then nothing was.
 */
struct err row_firmware(struct work *w)
{
	const struct host_state *s = w->in->state;
	struct attest_failure *f;

	w->v->firmware_changed = s->has_clock && s->firmware_version != w->quote.firmware_version;
	if (!w->v->firmware_changed || !w->v->next.has_boot) {
		work_pass(w, ROW_FIRMWARE);
		return ERR(E_OK);
	}
	f = work_fail(w, ROW_FIRMWARE, "");
	SAY(f->expected, "%016" PRIx64 ", or whole evidence", s->firmware_version);
	SAY(f->seen, "%016" PRIx64, w->quote.firmware_version);
	return ERR(E_OK);
}
