/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The IMA list: attestation-checks, section 8. It is read after the quote, so
 * the exact prefix that gives the quoted register counts, and what lies behind
 * is not looked at. A list longer than one message is replayed over several,
 * each with a quote of its own; what was found wrong on the way stays found.
 */
#include <inttypes.h>
#include <string.h>

#include "base/cborx.h"
#include "firmware-measure/ima_replay.h"
#include "verifier/appraise/work.h"

#define MAX_NAMED 4 /* entries named in one verdict for one fault */
#define USUAL_STATE 256 /* bytes of a state without failures */

/* One part of the list under way. */
struct walk {
	struct work *w;
	struct ima_input input;
	struct ima_replay replay;
	struct platform_ima_state state;
	size_t n_named;
};

struct entry_name {
	char text[32];
};

/* "entry 17": the one after those that were replayed, or with behind 1 the last of those. */
static struct entry_name entry_name(const struct walk *k, unsigned behind)
{
	struct entry_name name;

	(void)snprintf(name.text, sizeof(name.text), "entry %" PRIu64, k->replay.n_entries - behind);
	return name;
}

static void walk_done(struct walk *k)
{
	platform_ima_state_done(&k->state);
}

static const struct platform_ima *rules_of(const struct work *w)
{
	return w->platform != NULL ? w->platform->profile.ima : NULL;
}

static struct bytes quoted(const struct work *w)
{
	return digest_bytes(&w->v->pcr[IMA_PCR]);
}

/* progress.state = [position: bstr, judgement: bstr] */
static struct err keep(struct walk *k, const struct ima_position *at)
{
	cleanup_buf struct buf position = BUF_INIT(IMA_PROGRESS_MAX), judged = BUF_INIT(IMA_PROGRESS_MAX),
			       both = BUF_INIT(IMA_PROGRESS_MAX);
	struct ima_progress *p = &k->w->ima_progress;
	struct err e;

	if (failed(e = buf_reserve(&both, USUAL_STATE)) || failed(e = buf_reserve(&judged, USUAL_STATE)) ||
	    failed(e = ima_position_encode(at, &position)) || failed(e = platform_ima_encode(&k->state, &judged)) ||
	    failed(e = cbor_wr_array(&both, 2)) ||
	    failed(e = cbor_wr_bytes(&both, buf_bytes(&position))) ||
	    failed(e = cbor_wr_bytes(&both, buf_bytes(&judged))) ||
	    failed(e = ima_progress_keep(p, buf_bytes(&both))))
		return e;
	p->has = true;
	p->offset = at->off;
	memcpy(p->boot_id, k->w->claims.boot_id, sizeof(p->boot_id));
	memcpy(p->policy_digest, k->w->policy, sizeof(p->policy_digest));
	memcpy(p->doc, k->w->platform->digest, sizeof(p->doc));
	return ERR(E_OK);
}

static struct err recall(const struct ima_progress *p, struct ima_position *at, struct platform_ima_state *s)
{
	struct bytes position, judged;
	struct cbor_rd r;
	size_t n;
	struct err e;

	if (failed(e = cbor_rd_init(BYTES(p->state, p->n), &r)) ||
	    failed(e = cbor_rd_array(&r, 2, &n)))
		return e;
	if (n != 2)
		return ERR(E_PEER_RANGE);
	if (failed(e = cbor_rd_bytes(&r, &position)) ||
	    failed(e = cbor_rd_bytes(&r, &judged)) ||
	    failed(e = cbor_rd_end(&r)) ||
	    failed(e = ima_position_decode(position, at)))
		return e;
	return platform_ima_decode(judged, s);
}

/* I4: the replay that we hold is of this boot, under this document, and ends where the part begins. */
static bool goes_on(const struct work *w)
{
	const struct ima_progress *p = &w->in->state->ima;

	return ima_progress_continues(p, w->claims.boot_id, w->policy) && p->offset == w->claims.ima_offset &&
	       memcmp(p->doc, w->platform->digest, sizeof(p->doc)) == 0;
}

static struct err begin(struct walk *k)
{
	struct work *w = k->w;
	struct ima_position at;
	bool resumed = w->claims.ima_offset > 0;
	struct err e;

	/* What we stored ourselves reads back, or something is broken here and nothing can be decided. */
	if (resumed && failed(e = recall(&w->in->state->ima, &at, &k->state)))
		return undecided(e) ? e : ERR(E_BUG);
	if (failed(e = ima_replay_init(&k->replay, IMA_PCR, 1u << w->bank, resumed ? &at : NULL)))
		return undecided(e) ? e : ERR(E_BUG);
	ima_replay_native_only(&k->replay);
	return ima_replay_quoted(&k->replay, w->bank, quoted(w));
}

static void fault(struct walk *k, enum row row, const char *id, const char *expected, const char *seen)
{
	struct attest_failure *f;

	k->w->v->result[row] = CHECK_FAIL;
	if (k->n_named++ >= MAX_NAMED)
		return;
	f = work_fail(k->w, row, entry_name(k, 1).text);
	SAY(f->check, "%s", id);
	SAY(f->expected, "%s", expected);
	SAY(f->seen, "%s", seen);
}

static struct err take(struct walk *k, const struct ima_entry *ent)
{
	unsigned odd;
	struct err e;

	if (failed(e = ima_replay_entry(&k->replay, ent, &odd)))
		return e;
	if ((odd & IMA_ODD_PCR) != 0) {
		fault(k, ROW_IMA_FORM, "I8", "every entry in PCR 10", "an entry of another register");
		return ERR(E_OK);
	}
	if ((odd & IMA_ODD_HASH) != 0) {
		fault(k, ROW_IMA_FORM, "I2", "the template hash of the entry's data", "another one");
		return ERR(E_OK);
	}
	return platform_ima_add(&k->input, ent, &k->state);
}

/* Entries up to the quoted value or the end of the part. *ret_read: every one of them could be read. */
static struct err walk(struct walk *k, bool *ret_read)
{
	cleanup_imalog struct imalog l;
	struct imalog_batch b;
	struct err e;

	imalog_init(&l, IMALOG_BINARY, IMALOG_LITTLE_ENDIAN);
	if (failed(e = imalog_feed(&l, k->w->ev.ima)))
		return e;
	for (b.more = false; !b.more && !k->replay.matched;) {
		imalog_next_batch(&l, &b);
		for (size_t i = 0; i < b.n; i++)
			platform_ima_ahead(&k->input, &b.v[i]);
		for (size_t i = 0; i < b.n && !k->replay.matched; i++)
			if (failed(e = take(k, &b.v[i])))
				return e;
		/* What cannot be read behind the quoted value is not looked at. */
		if (failed(b.e) && !k->replay.matched) {
			*ret_read = false;
			return fail_with(k->w, ROW_IMA, entry_name(k, 0).text, "an entry of an IMA list", b.e, &b.why);
		}
	}
	*ret_read = true;
	return ERR(E_OK);
}

/*
 * A bank that the kernel cannot hash for holds SHA-1 hashes with zeros behind
 * (attestation-checks, section 16). Those do not say what an approval means,
 * so such a list never passes; it is replayed that way only to say so.
 */
static struct err padded_instead(const struct walk *k, bool *ret)
{
	const struct work *w = k->w;
	cleanup_imalog struct imalog l;
	struct ima_replay r;
	struct ima_entry ent;
	bool more = false;
	unsigned odd;
	struct err e;

	imalog_init(&l, IMALOG_BINARY, IMALOG_LITTLE_ENDIAN);
	if (w->claims.ima_offset > 0)
		return ERR(E_OK);
	if (failed(e = ima_replay_init(&r, IMA_PCR, 1u << w->bank, NULL)) ||
	    failed(e = ima_replay_quoted(&r, w->bank, quoted(w))) ||
	    failed(e = imalog_feed(&l, w->ev.ima)))
		return e;
	while (!r.matched) {
		if (failed(e = imalog_next(&l, &ent, &more, NULL)))
			return e;
		if (more)
			break;
		if (failed(e = ima_replay_entry(&r, &ent, &odd)))
			return e;
	}
	*ret = r.matched;
	return ERR(E_OK);
}

static struct err no_match(struct walk *k)
{
	struct work *w = k->w;
	const struct digest *native = ima_replay_value(&k->replay, w->bank, IMA_FIT_NATIVE);
	struct attest_failure *f;
	bool padded = false;
	struct err e;

	if (failed(e = padded_instead(k, &padded)))
		return e;
	f = work_fail(w, ROW_IMA, "");
	if (padded) {
		SAY(f->expected, "a bank that the kernel hashes for: name another one in the platform document");
		SAY(f->seen, "PCR %d of bank %s holds SHA-1 hashes with zeros behind", IMA_PCR,
		    digest_alg(w->bank)->name);
		return ERR(E_OK);
	}
	SAY(f->expected, "a list that replays to PCR %d: %s", IMA_PCR, HEX(quoted(w)));
	SAY(f->seen, "%s after %" PRIu64 " entries", native != NULL ? HEX(digest_bytes(native)) : "no such value",
	    k->replay.n_entries);
	return ERR(E_OK);
}

/* A full part that does not come to the quoted value goes on in the next evidence; any other was the last one. */
static struct err not_yet(struct walk *k)
{
	struct work *w = k->w;
	const struct digest *native = ima_replay_value(&k->replay, w->bank, IMA_FIT_NATIVE);
	struct ima_position at = { .n_entries = k->replay.n_entries, .off = k->replay.off, .banks = 1u << w->bank };

	if (w->ev.ima.n != LIMIT_IMA_PART || k->replay.off <= w->claims.ima_offset || native == NULL)
		return no_match(k);
	at.pcr[w->bank] = *native;
	at.fit[w->bank] = IMA_FIT_NATIVE;
	w->v->incomplete = true;
	return keep(k, &at);
}

static struct err matched(struct walk *k)
{
	struct ima_position at;
	struct err e;

	if (failed(e = ima_replay_position(&k->replay, &at)))
		return undecided(e) ? e : ERR(E_BUG);
	platform_ima_conclude(&k->input, &k->state, &k->w->ima);
	k->w->v->coverage.ima = true;
	k->w->v->coverage.n_entries = k->state.n_entries;
	memcpy(k->w->v->coverage.ima_rule, k->state.decided, sizeof(k->state.decided));
	k->w->ima_measurer = k->state.measurer_seen;
	k->w->ima_replayed = true;
	count_compared(k->w, 1u << IMA_PCR);
	work_pass(k->w, ROW_IMA);
	return keep(k, &at);
}

/* The files that the document names; false where one is not held, for a rule that cannot be asked approves nothing. */
static bool find_lists(struct work *w, const struct ima_allowlist *lists[DOCUMENT_MAX_LIST])
{
	const struct platform_ima *m = rules_of(w);
	struct attest_failure *f;

	for (size_t i = 0; i < m->n_allowlists; i++) {
		lists[i] = allowlists_find(w->in->allowlists, m->allowlists[i]);
		if (lists[i] != NULL)
			continue;
		f = work_fail(w, ROW_IMA, w->platform->name);
		SAY(f->expected, "allowlist %s, which the document names", HEX(BYTES_ARR(m->allowlists[i])));
		SAY(f->seen, "this verifier holds no such file (assay-verifier --allowlists)");
		return false;
	}
	return true;
}

static struct err replay(struct work *w)
{
	const struct ima_allowlist *lists[DOCUMENT_MAX_LIST];
	cleanup(walk_done) struct walk k = {
		.w = w,
		.input = { .profile = &w->platform->profile, .allowlists = lists, .bank = w->bank, .pcr_mask = w->v->pcr_mask,
			   .pcr = w->v->pcr, .now_s = w->in->now_s },
	};
	bool read;
	struct err e;

	if (!find_lists(w, lists))
		return ERR(E_OK);
	if (failed(e = begin(&k)) || failed(e = walk(&k, &read)))
		return e;
	if (!read)
		return ERR(E_OK);
	return k.replay.matched ? matched(&k) : not_yet(&k);
}

/* I3 */
struct err row_ima(struct work *w)
{
	struct attest_failure *f;

	if (w->platform == NULL)
		return ERR(E_OK);
	if (rules_of(w) == NULL) {
		work_pass(w, ROW_IMA);
		return ERR(E_OK);
	}
	if (!w->ev.has_ima) {
		f = work_fail(w, ROW_IMA, "");
		SAY(f->expected, "the IMA list, and the claim where it begins");
		SAY(f->seen, "none: does the host's kernel measure (IMA), and can assay-attest read its list?");
		return ERR(E_OK);
	}
	if (w->claims.ima_offset > 0 && !goes_on(w)) {
		f = work_fail(w, ROW_IMA, "");
		SAY(f->check, "I4");
		SAY(f->expected, "the list from offset 0, or from where the verifier stands");
		SAY(f->seen, "from offset %" PRIu64, w->claims.ima_offset);
		return ERR(E_OK);
	}
	return replay(w);
}

/* I2, I8: found on the way. */
struct err row_ima_form(struct work *w)
{
	if (w->platform != NULL && (rules_of(w) == NULL || w->ima_replayed))
		work_pass(w, ROW_IMA_FORM);
	return ERR(E_OK);
}

/* The rules over entries: one failure for each that the judgement kept, and one where it kept none of those that there are. */
struct err row_ima_entries(struct work *w)
{
	const struct ima_judgement *j = &w->ima;
	struct attest_failure *f;

	if (w->platform == NULL || (rules_of(w) != NULL && !w->ima_replayed))
		return ERR(E_OK);
	for (size_t i = 0; rules_of(w) != NULL && i < j->n_failures && i < array_len(j->failure); i++) {
		f = work_fail(w, ROW_IMA_ENTRIES, j->failure[i].subject);
		SAY(f->check, "%s", j->failure[i].id);
		SAY(f->expected, "%s", j->failure[i].expected);
		SAY(f->seen, "%s", j->failure[i].seen);
	}
	if (rules_of(w) != NULL && !j->passed && !work_failed(w, ROW_IMA_ENTRIES)) {
		f = work_fail(w, ROW_IMA_ENTRIES, w->platform->name);
		SAY(f->expected, "an IMA list that the rules of the platform document approve");
		SAY(f->seen, "%zu faults", j->n_failures);
	}
	work_pass(w, ROW_IMA_ENTRIES);
	return ERR(E_OK);
}

/* Who measured: without an answer the document must not ask for one, and what was measured counts for less. */
struct err row_measurer(struct work *w)
{
	bool asked = w->platform != NULL && w->platform->profile.measurer != MEASURER_UNATTESTED;
	struct attest_failure *f;

	if (w->platform == NULL)
		return ERR(E_OK);
	if (w->platform->profile.measurer == MEASURER_IMA)
		w->measurer_attested = w->ima_replayed && w->ima_measurer;
	else if (w->platform->profile.measurer == MEASURER_BOOT_IMAGE)
		w->measurer_attested = w->v->next.firmware.has && w->v->next.firmware.measurer_seen;
	if (!asked || w->measurer_attested) {
		work_pass(w, ROW_MEASURER);
		return ERR(E_OK);
	}
	if (w->v->incomplete)
		return ERR(E_OK);
	f = work_fail(w, ROW_MEASURER, w->platform->name);
	SAY(f->expected, "assay-attest itself among what was measured, with an approved digest");
	SAY(f->seen, "no such measurement");
	return ERR(E_OK);
}
