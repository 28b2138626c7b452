/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What systemd measured after the firmware had handed over. It measures at any
 * time, so its log, which is read after the quote, may be longer: the prefix
 * that gives the quoted registers counts, and what lies behind it is not even
 * parsed, as with IMA's list (I3).
 */
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "firmware-measure/userlog.h"
#include "verifier/appraise/platform_judge.h"

#define BIT(pcr) (1u << (pcr))

/* The search for that prefix. */
struct search {
	const struct firmware_work *w;
	struct replay at;   /* behind the records so far */
	uint32_t mask, fit; /* registers that are compared; those that have their quoted value */
	struct replay best; /* where most of them had it */
	size_t n_best, n_fit_best;
};

static bool fits(const struct search *s, uint32_t pcr)
{
	return bytes_eq(digest_bytes(&s->at.pcr[pcr]), digest_bytes(&s->w->in->pcr[pcr]));
}

static void look(struct search *s, size_t n_records)
{
	size_t n = (size_t)__builtin_popcount(s->fit);

	if (n < s->n_fit_best)
		return;
	s->best = s->at;
	s->n_best = n_records;
	s->n_fit_best = n;
}

static void begin(struct search *s, const struct firmware_work *w, const struct replay *from)
{
	*s = (struct search){ .w = w, .at = *from, .mask = w->rules->pcr_mask & w->in->pcr_mask };
	for (uint32_t pcr = 0; pcr < LIMIT_PCRS; pcr++)
		if ((s->mask >> pcr & 1) != 0 && fits(s, pcr))
			s->fit |= BIT(pcr);
	look(s, 0);
}

static struct err take(struct search *s, const struct userlog_record *r)
{
	struct err e;

	if (failed(e = userlog_replay(r, &s->at)))
		return e;
	if (r->pcr < LIMIT_PCRS && (s->mask >> r->pcr & 1) != 0)
		s->fit = fits(s, r->pcr) ? s->fit | BIT(r->pcr) : s->fit & ~BIT(r->pcr);
	look(s, r->index + 1);
	return ERR(E_OK);
}

static void fail_unreadable(struct firmware_work *w, struct err e, const struct evlog_fault *fault)
{
	struct platform_failure *f = firmware_fail(w, "E10", "", "userspace log");

	PSAY(f->expected, "records up to the quoted state");
	PSAY(f->seen, "%s at byte %zu: %s", err_text(e), fault->off, fault->why.text);
}

static void fail_bank(struct firmware_work *w, const struct userlog_record *r)
{
	struct platform_failure *f = firmware_fail(w, "E8", "", "userspace log");

	PSAY(f->expected, "a digest of the quoted bank in every record");
	PSAY(f->seen, "record %zu has none", r->index);
}

struct err userspace_replay(struct firmware_work *w, struct replay *r, size_t *ret_n)
{
	cleanup_userlog_record struct userlog_record rec = { 0 };
	struct userlog_pos pos = { 0 };
	struct evlog_fault fault = { 0 };
	struct search s;
	struct err e = ERR(E_OK);

	begin(&s, w, r);
	while (s.fit != s.mask) {
		e = userlog_next(w->in->userspace, &pos, &rec, &fault);
		if (failed(e) || rec.end)
			break;
		if (failed(e = take(&s, &rec)))
			return e;
		if (!s.at.complete && r->complete) {
			fail_bank(w, &rec);
			break;
		}
	}
	if (e.code >= E_LOCAL_MEMORY)
		return e;
	if (failed(e))
		fail_unreadable(w, e, &fault);
	s.best.complete = r->complete;
	*r = s.best;
	*ret_n = s.n_best;
	return ERR(E_OK);
}

static bool text_fits(const char *rule, struct bytes text)
{
	size_t n = strlen(rule);
	struct bytes begin;

	if (rule[n - 1] != '*')
		return bytes_eq(bytes_str(rule), text);
	return !failed(bytes_sub(text, 0, n - 1, &begin)) && bytes_eq(begin, BYTES(rule, n - 1));
}

/* E2: a string that its digest does not cover approves nothing. */
static bool approves(const struct platform_userspace_rule *rule, const struct userlog_record *r, enum digest_id bank,
		     bool verified)
{
	if (platform_digests_has(&rule->digests, digest_bytes(&r->digest[bank])))
		return true;
	for (size_t i = 0; verified && i < rule->strings.n; i++)
		if (text_fits(rule->strings.v[i], r->string))
			return true;
	return false;
}

static const struct platform_userspace_rule *rule_of(const struct platform_firmware *f, uint32_t pcr)
{
	for (size_t i = 0; i < f->n_userspace; i++)
		if (f->userspace[i].pcr == pcr)
			return &f->userspace[i];
	return NULL;
}

static void fail_undecided(struct firmware_work *w, const struct userlog_record *r, bool verified)
{
	const struct digest *d = &r->digest[w->in->bank];
	bool compared = (w->j->compared_mask & BIT(r->pcr)) != 0;
	struct platform_failure *f =
		firmware_fail(w, "P-profile", compared ? "firmware.userspace" : "firmware.pcrs", "");
	char hex[2 * DIGEST_MAX + 1] = "";

	if (failed(hex_encode(digest_bytes(d), hex, sizeof(hex))))
		hex[0] = '\0';
	PSAY(f->subject, "systemd, record %zu, PCR %u, %.30s", r->index, r->pcr,
	     log_quote(r->type.n > 0 ? r->type : r->content_type));
	PSAY(f->expected, "%s",
	     compared ? "a rule of the profile that approves it"
		      : "a register that the profile compares, or ignores with a reason");
	if (verified)
		PSAY(f->seen, "%s", log_quote(r->string));
	else
		PSAY(f->seen, "%.64s%s%s", hex, r->string.n > 0 ? ", the log calls it " : "",
		     r->string.n > 0 ? log_quote(r->string) : "");
}

static struct err judge_record(struct firmware_work *w, const struct userlog_record *r)
{
	const struct platform_userspace_rule *rule = rule_of(w->rules, r->pcr);
	bool verified;
	struct err e;

	w->j->n_events++;
	if ((w->rules->ignored_mask & BIT(r->pcr)) != 0) {
		w->j->n_ignored++;
		return ERR(E_OK);
	}
	if (failed(e = userlog_verify(r, w->in->bank, &verified)))
		return e;
	if (rule != NULL && (w->j->compared_mask & BIT(r->pcr)) != 0 && approves(rule, r, w->in->bank, verified)) {
		w->j->decided[FIRMWARE_RULE_USERSPACE]++;
		return ERR(E_OK);
	}
	w->j->n_undecided++;
	if (rule != NULL || !w->rules->allow_unknown)
		fail_undecided(w, r, verified);
	return ERR(E_OK);
}

struct err userspace_judge(struct firmware_work *w, size_t n)
{
	cleanup_userlog_record struct userlog_record r = { 0 };
	struct userlog_pos pos = { 0 };
	struct platform_failure *f;
	struct err e;

	while (pos.index < n) {
		if (failed(e = userlog_next(w->in->userspace, &pos, &r, NULL)))
			return e.code >= E_LOCAL_MEMORY ? e : ERR(E_BUG); /* it was read before */
		if (r.end)
			return ERR(E_BUG);
		if (r.pcr < LIMIT_PCRS && failed(e = judge_record(w, &r)))
			return e;
	}
	if (w->rules->n_userspace == 0 || w->j->decided[FIRMWARE_RULE_USERSPACE] > 0 || w->j->n_failures > 0)
		return ERR(E_OK);
	f = firmware_fail(w, "P1", "firmware.userspace", "userspace log");
	PSAY(f->expected, "a record of systemd that this rule approves");
	PSAY(f->seen, "%s", w->in->userspace.n == 0 ? "no log was sent" : "none up to the quoted state");
	return ERR(E_OK);
}

/* What the firmware log made of the registers is known, and its events were approved: only the rest is judged. */
struct err userspace_alone(struct firmware_work *w)
{
	struct replay r = { .bank = w->in->bank, .complete = true, .extended = w->in->compared_before };
	size_t n;
	struct err e;

	w->j->base = *w->in->base;
	w->j->from_base = true;
	w->j->measurer_seen = w->in->measurer_before;
	for (uint32_t pcr = 0; pcr < LIMIT_PCRS; pcr++) {
		r.pcr[pcr].n = (uint8_t)digest_alg(w->in->bank)->size;
		if ((w->in->base->mask & BIT(pcr)) != 0)
			r.pcr[pcr] = w->in->base->pcr[pcr];
	}
	if (failed(e = userspace_replay(w, &r, &n)))
		return e;
	firmware_registers(w, &r);
	return w->j->n_failures > 0 ? ERR(E_OK) : userspace_judge(w, n);
}
