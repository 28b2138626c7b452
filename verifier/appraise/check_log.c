/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The workload log, replayed from where the evidence stands to the quoted
 * value of the workload PCR. The log is read after the quote, so it may be
 * longer: the exact prefix that matches counts, what lies behind it is not
 * even parsed. The walk is done once; each kind of fault has its own row.
 *
 * A log longer than one message is walked over several, each with a quote of
 * its own. Only the register at the end of the last part proves the records,
 * so until then nothing is concluded from them.
 */
#include <inttypes.h>
#include <string.h>

#include "firmware-measure/cel.h"
#include "verifier/appraise/work.h"

/* One record under way. */
struct step {
	struct work *w;
	struct host_state *s;           /* w->v->next */
	struct digest pcr;              /* before the record */
	const struct digest *quoted;
	bool matched;                   /* the records so far give the quoted value */
	size_t gone_room;               /* entries that s->gone has room for */
	char record[32];                /* "record 17" */
};

static struct attest_failure *step_fail(struct step *t, enum row row)
{
	return work_fail(t->w, row, t->record);
}

static struct instance *live(const struct host_state *s, const uint8_t id[INSTANCE_ID_LEN])
{
	for (size_t i = 0; i < s->n_instances; i++) {
		if (memcmp(s->instance[i].id, id, INSTANCE_ID_LEN) == 0)
			return &s->instance[i];
	}
	return NULL;
}

static bool name_live(const struct host_state *s, struct bytes name)
{
	for (size_t i = 0; i < s->n_instances; i++) {
		if (bytes_eq(tpm_name_bytes(&s->instance[i].key_name), name))
			return true;
	}
	return false;
}

static struct err add_gone(struct step *t, uint64_t id)
{
	struct host_state *s = t->s;

	/* By half as much again: one at a time may copy all of them each time. */
	if (s->n_gone == t->gone_room) {
		size_t room = t->gone_room + t->gone_room / 2 + 64;
		uint64_t *larger = realloc(s->gone, room * sizeof(*larger));

		if (larger == NULL)
			return ERR(E_LOCAL_MEMORY);
		s->gone = larger;
		t->gone_room = room;
	}
	s->gone[s->n_gone++] = id;
	return t->w->gone_loaded ? idset_add(&t->w->gone, id) : ERR(E_OK);
}

/* What ended in this boot, as a set: only a start asks for it, and most evidence has none. */
static struct err load_gone(struct work *w)
{
	struct err e;

	if (w->gone_loaded)
		return ERR(E_OK);
	for (size_t i = 0; i < w->v->next.n_gone; i++) {
		if (failed(e = idset_add(&w->gone, w->v->next.gone[i])))
			return e;
	}
	w->gone_loaded = true;
	return ERR(E_OK);
}

/* Whether a platform document approves a value that the workload PCR had before its log. */
static bool before_approved(const struct work *w, const struct digest *value)
{
	const struct document *d;

	for (size_t i = 0; w->host_doc != NULL; i++) {
		d = reference_platform(w->in->reference, w->host_doc->name, w->in->now_s, i);
		if (d == NULL)
			break;
		if (d->has_workload_before && d->bank == w->bank &&
		    bytes_eq(digest_bytes(&d->workload_before), digest_bytes(value)))
			return true;
	}
	return false;
}

static bool untouched(struct bytes pcr)
{
	return bytes_all(pcr, 0);
}

/* The first record says where the register stood; that is zero, or a value that an operator approved by name. */
static void on_begin(struct step *t, const struct workload_event *ev)
{
	struct attest_failure *f;

	for (size_t i = 0; i < ev->n_banks; i++) {
		if (ev->bank[i] == t->w->bank)
			t->pcr = ev->before[i];
	}
	if (untouched(digest_bytes(&t->pcr)) || before_approved(t->w, &t->pcr))
		return;
	f = step_fail(t, ROW_LOG_BEGIN);
	SAY(f->expected, "workload PCR at zero before the log, or a value that a platform document approves");
	SAY(f->seen, "%s", HEX(digest_bytes(&t->pcr)));
}

static struct err make_room(struct step *t)
{
	size_t cap = t->w->instance_cap < t->s->n_instances ? t->s->n_instances : t->w->instance_cap;
	struct instance *larger;

	if (t->s->n_instances < cap)
		return ERR(E_OK);
	cap = cap == 0 ? 4 : 2 * cap;
	larger = realloc(t->s->instance, cap * sizeof(*larger));
	if (larger == NULL)
		return ERR(E_LOCAL_MEMORY);
	t->s->instance = larger;
	t->w->instance_cap = cap;
	return ERR(E_OK);
}

static struct err add_instance(struct step *t, const struct workload_event *ev)
{
	struct instance new = { .image = ev->image, .model = ev->model, .has_container = ev->has_container,
				.container = ev->container };
	struct err e;

	if (failed(e = make_room(t)) ||
	    failed(e = tpm_name_parse(ev->key_name, &new.key_name)))
		return e;
	if (ev->agent.n >= sizeof(new.agent))
		return ERR(E_BUG);
	memcpy(new.id, ev->instance, sizeof(new.id));
	memcpy(new.agent, ev->agent.p, ev->agent.n);
	memcpy(new.args, ev->args, sizeof(new.args));
	t->s->instance[t->s->n_instances++] = new;
	return ERR(E_OK);
}

/* An instance and a key start once in a boot: what ended stays ended, and no key speaks for two. */
static struct err on_start(struct step *t, const struct workload_event *ev)
{
	const char *seen = NULL;
	uint64_t id, name;
	struct attest_failure *f;
	struct err e;

	if (failed(e = load_gone(t->w)) ||
	    failed(e = idset_id(BYTES_ARR(ev->instance), &id)) ||
	    failed(e = idset_id(ev->key_name, &name)))
		return e;
	if (live(t->s, ev->instance) != NULL)
		seen = "the instance runs already";
	else if (name_live(t->s, ev->key_name))
		seen = "the key belongs to another instance";
	else if (idset_has(&t->w->gone, id))
		seen = "the instance has ended";
	else if (idset_has(&t->w->gone, name))
		seen = "the key's instance has ended";
	else if (t->s->n_instances >= LIMIT_INSTANCES)
		seen = "more instances at a time than a host may have";
	else if (t->s->n_gone / 2 + t->s->n_instances >= LIMIT_STARTS)
		seen = "more instances in one boot than a host may have: reboot it";
	if (seen == NULL) {
		e = add_instance(t, ev);
		return undecided(e) || !failed(e) ? e : fail_with(t->w, ROW_LOG_ONCE, t->record, "a key Name", e, NULL);
	}
	f = step_fail(t, ROW_LOG_ONCE);
	SAY(f->expected, "a start of an instance and a key that are new in this boot");
	SAY(f->seen, "%s: %s", HEX(BYTES_ARR(ev->instance)), seen);
	return ERR(E_OK);
}

static void fail_unknown(struct step *t, const struct workload_event *ev, const char *expected)
{
	struct attest_failure *f = step_fail(t, ROW_LOG_ONCE);

	SAY(f->expected, "%s", expected);
	SAY(f->seen, "%s", HEX(BYTES_ARR(ev->instance)));
}

/* What runs in a container stays in it, and what runs in none has no root of its own. */
static void fail_container(struct step *t, const struct workload_event *ev)
{
	struct attest_failure *f = step_fail(t, ROW_LOG_CONTAINER);

	SAY(f->expected, "a change %s a container, as the instance was started", ev->has_container ? "without" : "of");
	SAY(f->seen, "%s %s a container", HEX(BYTES_ARR(ev->instance)), ev->has_container ? "in" : "without");
}

static void on_changed(struct step *t, const struct workload_event *ev)
{
	struct instance *i = live(t->s, ev->instance);

	if (i == NULL || i->changed) {
		fail_unknown(t, ev, "the first change of an instance that runs");
		return;
	}
	if (ev->has_container != i->has_container) {
		fail_container(t, ev);
		return;
	}
	i->changed = true;
	i->now_image = ev->image;
	i->now_model = ev->model;
	i->now_container = ev->container;
}

static void unexplained(struct unexplained *u, const struct instance *i, const uint8_t digest[32])
{
	if (u->n++ > 0)
		return;
	memcpy(u->instance, i->id, sizeof(u->instance));
	memcpy(u->digest, digest, sizeof(u->digest));
}

/* What ended is explained by an approval that has expired as well, but not by one that was withdrawn. */
static void explain_one(struct work *w, const struct instance *i, const struct image_digests *image,
			const struct container_digests *container, const struct model_digests *model)
{
	if (approved_image(w, image, NULL, true, NULL) == NULL)
		unexplained(&w->image_gone, i, image->manifest);
	if (i->has_container && approved_image(w, image, container, true, NULL) == NULL)
		unexplained(&w->root_gone, i, container->rootfs);
	if (approved_model(w, model, true, NULL) == NULL)
		unexplained(&w->model_gone, i, model->manifest);
}

static void explain(struct work *w, const struct instance *i)
{
	explain_one(w, i, &i->image, &i->container, &i->model);
	if (i->changed)
		explain_one(w, i, &i->now_image, &i->now_container, &i->now_model);
}

static struct err on_end(struct step *t, const struct workload_event *ev)
{
	struct instance *i = live(t->s, ev->instance);
	size_t behind;
	uint64_t id, name;
	struct err e;

	if (i == NULL) {
		fail_unknown(t, ev, "the end of an instance that runs");
		return ERR(E_OK);
	}
	if (failed(e = idset_id(BYTES_ARR(i->id), &id)) ||
	    failed(e = idset_id(tpm_name_bytes(&i->key_name), &name)) ||
	    failed(e = add_gone(t, id)) ||
	    failed(e = add_gone(t, name)))
		return e;
	explain(t->w, i);
	behind = t->s->n_instances - (size_t)(i - t->s->instance) - 1;
	memmove(i, i + 1, behind * sizeof(*i));
	t->s->n_instances--;
	return ERR(E_OK);
}

static void on_resume(struct step *t, const struct workload_event *ev)
{
	struct attest_failure *f;

	if (ev->restart_count > t->s->log_restart && ev->restart_count <= t->w->quote.clock.restart_count) {
		t->s->log_restart = ev->restart_count;
		return;
	}
	f = step_fail(t, ROW_LOG_RESUME);
	SAY(f->expected, "a restart count above %" PRIu32 ", at most %" PRIu32, t->s->log_restart,
	    t->w->quote.clock.restart_count);
	SAY(f->seen, "%" PRIu32, ev->restart_count);
}

static void check_first(struct step *t, enum workload_kind kind)
{
	bool first = t->s->log_records == 0;
	struct attest_failure *f;

	if (first == (kind == WORKLOAD_BEGIN))
		return;
	f = step_fail(t, ROW_LOG_BEGIN);
	SAY(f->expected, "exactly one begin, as the first record of the boot");
	SAY(f->seen, first ? "another record is the first" : "a second begin");
}

static struct err apply(struct step *t, const struct workload_event *ev)
{
	check_first(t, ev->kind);
	switch (ev->kind) {
	case WORKLOAD_BEGIN:
		if (t->s->log_records == 0)
			on_begin(t, ev);
		return ERR(E_OK);
	case WORKLOAD_START:
		return on_start(t, ev);
	case WORKLOAD_CHANGED:
		on_changed(t, ev);
		return ERR(E_OK);
	case WORKLOAD_END:
		return on_end(t, ev);
	case WORKLOAD_RESUME:
		on_resume(t, ev);
		return ERR(E_OK);
	}
	return ERR(E_BUG);
}

/* Record number and register lie outside the digest (CEL), so they are compared here. */
static void check_order(struct step *t, const struct cel_record *rec)
{
	struct attest_failure *f;

	if (rec->recnum == t->s->log_records && rec->pcr == WORKLOAD_PCR)
		return;
	f = step_fail(t, ROW_LOG_ORDER);
	SAY(f->expected, "record %" PRIu64 " in PCR %d", t->s->log_records, WORKLOAD_PCR);
	SAY(f->seen, "record %" PRIu64 " in PCR %" PRIu32, rec->recnum, rec->pcr);
}

/* An error is the record's, or local. */
static struct err take_record(struct step *t, const struct cel_record *rec)
{
	const struct digest *digest = cel_digest(rec, t->w->bank);
	struct workload_event ev;
	struct err e;

	if (digest == NULL)
		return ERR(E_PEER_MISSING);
	if (failed(e = workload_event_decode(rec->content, &ev)))
		return e;
	check_order(t, rec);
	if (failed(e = apply(t, &ev)))
		return e;
	return digest_extend(t->w->bank, &t->pcr, digest_bytes(digest), &t->pcr);
}

/* Before the first record the register stands at zero or at an approved value; a host that runs nothing has no log. */
static bool matches(const struct step *t)
{
	if (t->s->log_records > 0)
		return bytes_eq(digest_bytes(&t->pcr), digest_bytes(t->quoted));
	return untouched(digest_bytes(t->quoted)) || before_approved(t->w, t->quoted);
}

_Static_assert(LIMIT_LOG_RECORD < LIMIT_WORKLOAD_LOG, "a full part brings the replay further, whatever it holds");

/* Only what has this size may go on in another message. */
static bool full_part(const struct work *w)
{
	return w->ev.log.n == LIMIT_WORKLOAD_LOG;
}

/* Records up to the quoted value or the end of the part, which may cut the last one: the next part begins with it. */
static struct err walk(struct step *t, size_t *ret_used)
{
	struct bytes log = t->w->ev.log;
	size_t off = 0;
	struct err e;

	for (t->matched = matches(t); !t->matched && off < log.n; t->matched = matches(t)) {
		struct cel_record rec;
		size_t n;

		(void)snprintf(t->record, sizeof(t->record), "record %" PRIu64, t->s->log_records);
		e = cel_read(BYTES(log.p + off, log.n - off), &rec, &n);
		if (e.code == E_PEER_TRUNCATED && full_part(t->w))
			break;
		if (failed(e) || failed(e = take_record(t, &rec)))
			return e;
		off += n;
		t->s->log_records++;
	}
	*ret_used = off;
	return ERR(E_OK);
}

static void fail_replay(struct step *t)
{
	struct attest_failure *f = work_fail(t->w, ROW_LOG, "");

	SAY(f->expected, "PCR %d replayed: %s", WORKLOAD_PCR, HEX(digest_bytes(&t->pcr)));
	SAY(f->seen, "quoted: %s", HEX(digest_bytes(t->quoted)));
}

/* W1 */
struct err row_log(struct work *w)
{
	struct host_state *s = &w->v->next;
	struct step t = { .w = w, .s = s, .quoted = &w->v->pcr[WORKLOAD_PCR], .gone_room = s->n_gone };
	size_t used;
	struct err e;

	w->instance_cap = s->n_instances;
	t.pcr.n = (uint8_t)digest_alg(w->bank)->size;
	if (s->log_records > 0)
		t.pcr = s->pcr[0];
	if (failed(e = walk(&t, &used)))
		return fail_with(w, ROW_LOG, t.record, "a well-formed record with a digest in the quoted bank", e, NULL);
	if (!t.matched && !full_part(w)) {
		fail_replay(&t);
		return ERR(E_OK);
	}
	s->log_offset += used;
	s->n_banks = s->log_records > 0 ? 1 : 0;
	s->bank[0] = w->bank;
	s->pcr[0] = t.pcr;
	if (!t.matched) {
		w->log_open = w->v->incomplete = true;
		return ERR(E_OK);
	}
	w->log_walked = true;
	work_pass(w, ROW_LOG);
	return ERR(E_OK);
}

/* A row of the walk passes when the walk came to its end without failing it. */
static struct err walked(struct work *w, enum row row)
{
	if (w->log_walked)
		work_pass(w, row);
	return ERR(E_OK);
}

struct err row_log_order(struct work *w)
{
	return walked(w, ROW_LOG_ORDER);
}

struct err row_log_begin(struct work *w)
{
	return walked(w, ROW_LOG_BEGIN);
}

struct err row_log_once(struct work *w)
{
	return walked(w, ROW_LOG_ONCE);
}

struct err row_log_container(struct work *w)
{
	return walked(w, ROW_LOG_CONTAINER);
}

struct err row_log_resume(struct work *w)
{
	return walked(w, ROW_LOG_RESUME);
}

static bool presented(const struct evidence_claims *c, const struct instance *i)
{
	for (size_t k = 0; k < c->n_instances; k++) {
		if (memcmp(c->instance[k].instance, i->id, INSTANCE_ID_LEN) == 0)
			return bytes_eq(c->instance[k].key_name, tpm_name_bytes(&i->key_name));
	}
	return false;
}

/*
 * W6: what the claims present is what the log says runs. Ids of live instances
 * differ, so equal numbers and one claim for each leave no claim over.
 */
struct err row_presented(struct work *w)
{
	const struct host_state *s = &w->v->next;
	struct attest_failure *f;

	if (!w->log_walked)
		return ERR(E_OK);
	if (w->claims.n_instances != s->n_instances) {
		f = work_fail(w, ROW_PRESENTED, "");
		SAY(f->expected, "%zu instances, as the log has them", s->n_instances);
		SAY(f->seen, "%zu in the claims", w->claims.n_instances);
	}
	for (size_t i = 0; i < s->n_instances; i++) {
		if (presented(&w->claims, &s->instance[i]))
			continue;
		f = work_fail(w, ROW_PRESENTED, HEX(BYTES_ARR(s->instance[i].id)));
		SAY(f->expected, "this instance with key %s", HEX(tpm_name_bytes(&s->instance[i].key_name)));
		SAY(f->seen, "no such pair in the claims");
	}
	work_pass(w, ROW_PRESENTED);
	return ERR(E_OK);
}
