/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The firmware log: attestation-checks, section 7. The rules of a platform
 * document judge it whole, once in a boot; while the registers that it
 * explains stay as they were, that judgement stands and the log is not sent
 * again. systemd's log goes on with it, and is sent each time: where the
 * registers have moved, it alone is judged again.
 */
#include <string.h>

#include "verifier/appraise/work.h"

/* SHA-256 over the quoted values of these registers, ascending. */
static struct err registers_digest(const struct work *w, uint32_t mask, uint8_t ret[32])
{
	struct bytes parts[LIMIT_PCRS];
	struct digest d = { 0 };
	size_t n = 0;
	struct err e;

	for (unsigned pcr = 0; pcr < LIMIT_PCRS; pcr++) {
		if ((mask >> pcr & 1) != 0)
			parts[n++] = digest_bytes(&w->v->pcr[pcr]);
	}
	if (failed(e = digest_of(DIGEST_SHA256, &d, n, parts)))
		return e;
	return bytes_copy_exact(digest_bytes(&d), ret, 32);
}

/* What this document judged of this boot before, or NULL. */
static const struct firmware_judged *judged_before(const struct work *w, const struct document *d)
{
	const struct firmware_judged *f = &w->in->state->firmware;

	if (w->ev.has_firmware_log || !w->continues || !f->has || memcmp(f->doc, d->digest, sizeof(f->doc)) != 0)
		return NULL;
	return f;
}

/* Whether nothing that the log explains has moved since it was judged. */
static struct err stands(const struct work *w, const struct document *d, const struct firmware_judged *f, bool *ret)
{
	uint8_t pcrs[32];
	struct err e;

	*ret = false;
	if (f == NULL)
		return ERR(E_OK);
	if (failed(e = registers_digest(w, d->profile.firmware->pcr_mask, pcrs)))
		return e;
	*ret = memcmp(pcrs, f->pcrs, sizeof(pcrs)) == 0;
	return ERR(E_OK);
}

struct err firmware_judge(const struct work *w, const struct document *d, struct firmware_judgement **ret,
			  size_t *ret_wrong)
{
	const struct firmware_judged *before = judged_before(w, d);
	const struct firmware_input in = {
		.rules = d->profile.firmware,
		.measurer = d->profile.measurer,
		.bank = w->bank,
		.log = w->ev.firmware_log,
		.command_line = w->ev.command_line,
		.userspace = w->ev.userspace_log,
		.base = before != NULL ? &before->base : NULL,
		.compared_before = before != NULL ? before->compared_mask : 0,
		.measurer_before = before != NULL && before->measurer_seen,
		.pcr_mask = w->v->pcr_mask,
		.pcr = w->v->pcr,
	};
	cleanup_free struct firmware_judgement *j = NULL;
	bool as_before;
	struct err e;

	*ret_wrong = 0;
	if (d->profile.firmware == NULL)
		return ERR(E_OK);
	if (failed(e = stands(w, d, before, &as_before)) || as_before)
		return e;
	j = calloc(1, sizeof(*j));
	if (j == NULL)
		return ERR(E_LOCAL_MEMORY);
	if (failed(e = platform_firmware_judge(&in, j)))
		return e;
	/* Nothing compared is wrong, too. */
	*ret_wrong = j->passed ? 0 : j->n_failures + 1;
	*ret = take_ptr(&j);
	return ERR(E_OK);
}

/* Which row a finding belongs to, by the id of its check. */
static enum row row_of(const char *id)
{
	static const char replay[] = " E7 E8 E9 E10 P6 ", form[] = " E1 E3 E4 E5 E6 E11 ";
	char word[16];

	(void)snprintf(word, sizeof(word), " %.12s ", id);
	if (strstr(replay, word) != NULL)
		return ROW_FIRMWARE_LOG;
	return strstr(form, word) != NULL ? ROW_FIRMWARE_FORM : ROW_FIRMWARE_EVENTS;
}

/* Names what fails in this row; false where nothing does. */
static bool name_failures(struct work *w, enum row row)
{
	const struct firmware_judgement *j = w->firmware;
	bool any = false;

	for (size_t i = 0; i < j->n_failures && i < PLATFORM_MAX_FAILURES; i++) {
		const struct platform_failure *from = &j->failure[i];
		struct attest_failure *f;

		if (row_of(from->id) != row)
			continue;
		f = work_fail(w, row, from->subject);
		SAY(f->check, "%s", from->id);
		SAY(f->expected, "%s", from->expected);
		SAY(f->seen, "%s", from->seen);
		any = true;
	}
	return any;
}

/* The log was not asked for, as its judgement stood when the challenge was made: what it explains has moved since. */
static bool moved(const struct work *w)
{
	return !w->ev.has_firmware_log && w->continues && w->in->state->firmware.has;
}

static void name_moved(struct work *w)
{
	struct attest_failure *f = work_fail(w, ROW_FIRMWARE_LOG, w->nearest->name);

	SAY(f->expected, "the registers that the firmware log explains, as they were when it was judged");
	SAY(f->seen, "they have moved since; the next challenge asks for the log");
}

/* A row passes where the document asks nothing, where the judgement of this boot stands, or where nothing failed. */
static struct err judge_row(struct work *w, enum row row, bool after)
{
	if (w->nearest == NULL || !after)
		return ERR(E_OK);
	if (w->firmware == NULL || !name_failures(w, row))
		work_pass(w, row);
	return ERR(E_OK);
}

struct err row_firmware_log(struct work *w)
{
	if (w->nearest != NULL && w->firmware != NULL && !w->firmware->from_base && moved(w)) {
		name_moved(w);
		return ERR(E_OK);
	}
	return judge_row(w, ROW_FIRMWARE_LOG, true);
}

/* A log that does not explain the registers says nothing about them, so nothing else is said about it. */
struct err row_firmware_form(struct work *w)
{
	return judge_row(w, ROW_FIRMWARE_FORM, w->v->result[ROW_FIRMWARE_LOG] == CHECK_PASS);
}

static void cover(struct work *w)
{
	const struct firmware_judgement *j = w->firmware;
	struct coverage *c = &w->v->coverage;

	if (j == NULL)
		return;
	c->firmware = true;
	c->n_events = j->n_events;
	c->n_ignored = j->n_ignored;
	c->n_undecided = j->n_undecided;
	c->ignored_mask = j->ignored_mask;
	memcpy(c->firmware_rule, j->decided, sizeof(c->firmware_rule));
}

static struct err remember(struct work *w)
{
	const struct firmware_judged *before = &w->in->state->firmware;
	struct firmware_judged *f = &w->v->next.firmware;
	struct err e;

	*f = (struct firmware_judged){ .has = false };
	if (w->platform == NULL || w->platform->profile.firmware == NULL)
		return ERR(E_OK);
	*f = (struct firmware_judged){
		.has = true,
		.compared_mask = w->firmware != NULL ? w->firmware->compared_mask : before->compared_mask,
		.measurer_seen = w->firmware != NULL ? w->firmware->measurer_seen : before->measurer_seen,
		.base = w->firmware != NULL ? w->firmware->base : before->base,
	};
	memcpy(f->doc, w->platform->digest, sizeof(f->doc));
	if (failed(e = registers_digest(w, w->platform->profile.firmware->pcr_mask, f->pcrs)))
		return e;
	count_compared(w, f->compared_mask);
	return ERR(E_OK);
}

/* The rules over events; whatever failed without a place among the failures fails here. */
struct err row_firmware_events(struct work *w)
{
	struct attest_failure *f;
	struct err e;

	if (failed(e = judge_row(w, ROW_FIRMWARE_EVENTS, w->v->result[ROW_FIRMWARE_FORM] == CHECK_PASS)))
		return e;
	if (w->firmware != NULL && !w->firmware->passed && w->v->result[ROW_FIRMWARE_EVENTS] == CHECK_PASS) {
		f = work_fail(w, ROW_FIRMWARE_EVENTS, w->nearest->name);
		SAY(f->expected, "a firmware log that the rules of the platform document approve");
		SAY(f->seen, "%zu faults", w->firmware->n_failures);
	}
	cover(w);
	return remember(w);
}
