/* SPDX-License-Identifier: Apache-2.0 */
/* Which events of two logs correspond. */
#include "firmware-measure/diff.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/rd.h"
#include "firmware-measure/diff_say.h"
#include "firmware-measure/evdata.h"
#include "firmware-measure/replay.h"

/* Events of one register. */
struct side {
	const struct evlog *log;
	struct evlog_event *ev;
	bool *used;
	size_t n;
};

struct diff {
	struct side was, now;
	uint16_t *table; /* lengths of longest common subsequences, of what follows */
	struct diff_to to;
	bool same;
};

static struct err load(struct side *s, uint32_t pcr)
{
	struct evlog_pos pos = { 0 };
	struct evlog_event ev;
	struct err e;

	s->n = 0;
	for (;;) {
		if (failed(e = evlog_next(s->log, &pos, &ev, NULL)))
			return e;
		if (ev.end)
			return ERR(E_OK);
		if (ev.pcr != pcr || !evlog_extends(&ev))
			continue;
		if (s->n == DIFF_MAX_EVENTS)
			return ERR(E_LIMIT_COUNT);
		s->used[s->n] = false;
		s->ev[s->n++] = ev;
	}
}

/* What GRUB's text begins with: its kind and, of a command, the command. */
static struct bytes first_words(struct bytes text)
{
	struct rd r = rd_init(text);
	struct bytes head, rest;
	const uint8_t *space;

	if (failed(rd_bytes(&r, strlen("grub_cmd: "), &head)) || !bytes_eq(head, BYTES_LIT("grub_cmd: "))) {
		space = text.n == 0 ? NULL : memchr(text.p, ' ', text.n);
		return space == NULL ? text : BYTES(text.p, (size_t)(space - text.p));
	}
	rest = rd_rest(&r);
	space = rest.n == 0 ? NULL : memchr(rest.p, ' ', rest.n);
	return space == NULL ? text : BYTES(text.p, (size_t)(space - text.p));
}

/* What tells events of one type apart. Nothing relies on it but the choice of words. */
static struct bytes key(const struct evlog_event *ev)
{
	struct evdata_variable v;
	struct evdata_image i;
	struct bytes k = BYTES_NONE;

	switch (ev->type) {
	case EV_EFI_VARIABLE_DRIVER_CONFIG:
	case EV_EFI_VARIABLE_BOOT:
	case EV_EFI_VARIABLE_BOOT2:
		return failed(evdata_parse_variable(ev->data, &v)) ? BYTES_NONE : v.name;
	case EV_EFI_BOOT_SERVICES_APPLICATION:
	case EV_EFI_BOOT_SERVICES_DRIVER:
	case EV_EFI_RUNTIME_SERVICES_DRIVER:
		return failed(evdata_parse_image(ev->data, &i)) || failed(evdata_device_path_file(i.device_path, &k))
			       ? BYTES_NONE
			       : k;
	case EV_EVENT_TAG:
		return failed(bytes_sub(ev->data, 0, 4, &k)) ? BYTES_NONE : k;
	case EV_IPL:
		/* systemd-stub's command line names nothing */
		return ev->pcr == 12 ? BYTES_NONE : first_words(ev->data);
	default:
		return BYTES_NONE;
	}
}

static struct err say(struct diff *d, const struct evlog_event *was, const struct evlog_event *now)
{
	d->same = false;
	return diff_say(&d->to, was, now);
}

/* Between events that are the same: first those of one kind, then what only one side has. */
static struct err gap(struct diff *d, size_t a, size_t a_end, size_t b, size_t b_end)
{
	struct err e;

	for (; a < a_end; a++) {
		const struct evlog_event *was = &d->was.ev[a], *now = NULL;

		for (size_t i = b; i < b_end && now == NULL; i++) {
			if (d->now.used[i] || d->now.ev[i].type != was->type || !bytes_eq(key(was), key(&d->now.ev[i])))
				continue;
			d->now.used[i] = true;
			now = &d->now.ev[i];
		}
		if (failed(e = say(d, was, now)))
			return e;
	}
	for (; b < b_end; b++)
		if (!d->now.used[b] && failed(e = say(d, NULL, &d->now.ev[b])))
			return e;
	return ERR(E_OK);
}

static bool equal(const struct diff *d, size_t a, size_t b)
{
	return bytes_eq(d->was.ev[a].digest[d->to.bank], d->now.ev[b].digest[d->to.bank]);
}

/* [a, a_end) against [b, b_end): the longest common subsequence, and the gaps between its members. */
static struct err align(struct diff *d, size_t a, size_t a_end, size_t b, size_t b_end)
{
	const size_t rows = a_end - a, columns = b_end - b, width = columns + 1;
	size_t i = 0, k = 0, gap_i = 0, gap_k = 0;
	uint16_t *t = d->table;
	struct err e;

	if ((rows + 1) * width > DIFF_MAX_CELLS)
		return ERR(E_LIMIT_COUNT);
	memset(t, 0, (rows + 1) * width * sizeof(*t));
	for (size_t r = rows; r-- > 0;) {
		for (size_t c = columns; c-- > 0;) {
			const uint16_t down = t[(r + 1) * width + c], right = t[r * width + c + 1];

			t[r * width + c] = equal(d, a + r, b + c) ? (uint16_t)(t[(r + 1) * width + c + 1] + 1)
					   : down > right         ? down
								  : right;
		}
	}
	while (i < rows && k < columns) {
		if (equal(d, a + i, b + k)) {
			if (failed(e = gap(d, a + gap_i, a + i, b + gap_k, b + k)))
				return e;
			gap_i = ++i;
			gap_k = ++k;
		} else if (t[(i + 1) * width + k] >= t[i * width + k + 1]) {
			i++;
		} else {
			k++;
		}
	}
	return gap(d, a + gap_i, a_end, b + gap_k, b_end);
}

static struct err one_register(struct diff *d, uint32_t pcr)
{
	size_t begin = 0, a_end, b_end;
	struct err e;

	if (failed(e = load(&d->was, pcr)) || failed(e = load(&d->now, pcr)))
		return e;
	a_end = d->was.n;
	b_end = d->now.n;
	while (begin < a_end && begin < b_end && equal(d, begin, begin))
		begin++;
	while (a_end > begin && b_end > begin && equal(d, a_end - 1, b_end - 1)) {
		a_end--;
		b_end--;
	}
	return align(d, begin, a_end, begin, b_end);
}

/* What PCR 0 begins with stands in no event that extends. */
static struct err start_values(struct diff *d, const struct replay *was, const struct replay *now)
{
	char from[16], to[16];
	struct diff_change c = { .what = "startup locality" };

	if ((was->hcrtm ? 4 : was->startup_locality) == (now->hcrtm ? 4 : now->startup_locality) &&
	    was->hcrtm == now->hcrtm)
		return ERR(E_OK);
	d->same = false;
	(void)snprintf(from, sizeof(from),
		       was->hcrtm                  ? "H-CRTM"
		       : was->startup_locality < 0 ? "none"
						   : "%d",
		       was->startup_locality);
	(void)snprintf(to, sizeof(to),
		       now->hcrtm                  ? "H-CRTM"
		       : now->startup_locality < 0 ? "none"
						   : "%d",
		       now->startup_locality);
	c.was = bytes_str(from);
	c.now = bytes_str(to);
	return d->to.fn(d->to.ctx, &c);
}

static struct err replayed(const struct evlog *log, enum digest_id bank, const char *which, struct replay *ret,
			   struct evlog_fault *reterr)
{
	struct evlog_fault fault = { 0 };
	struct err e;

	if (failed(e = replay_log(log, bank, ret, &fault))) {
		reterr->off = fault.off;
		reason_set(&reterr->why, "%s log: %.400s", which,
			   fault.why.text[0] != '\0' ? fault.why.text : err_text(e));
		return e;
	}
	if (!ret->complete) {
		reason_set(&reterr->why, "%s log: event %zu has not exactly one %s digest", which, ret->first_gap,
			   digest_alg(bank)->name);
		return ERR(E_PEER_RANGE);
	}
	return ERR(E_OK);
}

struct err diff_logs(const struct evlog *was, const struct evlog *now, enum digest_id bank, diff_fn *fn, void *ctx,
		     bool *ret_same, struct evlog_fault *reterr)
{
	cleanup_free struct evlog_event *a = calloc(DIFF_MAX_EVENTS, sizeof(*a));
	cleanup_free struct evlog_event *b = calloc(DIFF_MAX_EVENTS, sizeof(*b));
	cleanup_free bool *used_a = calloc(DIFF_MAX_EVENTS, sizeof(*used_a));
	cleanup_free bool *used_b = calloc(DIFF_MAX_EVENTS, sizeof(*used_b));
	cleanup_free uint16_t *table = calloc(DIFF_MAX_CELLS, sizeof(*table));
	struct diff d = { { was, a, used_a, 0 }, { now, b, used_b, 0 }, table, { bank, fn, ctx }, true };
	struct replay from, to;
	struct err e;

	*ret_same = false;
	if (a == NULL || b == NULL || used_a == NULL || used_b == NULL || table == NULL)
		return ERR(E_LOCAL_MEMORY);
	if (failed(e = replayed(was, bank, "first", &from, reterr)) ||
	    failed(e = replayed(now, bank, "second", &to, reterr)) || failed(e = start_values(&d, &from, &to)))
		return e;
	for (uint32_t pcr = 0; pcr < LIMIT_PCRS; pcr++) {
		if (failed(e = one_register(&d, pcr))) {
			if (e.code == E_LIMIT_COUNT)
				reason_set(&reterr->why, "PCR %u: too many events to compare them", pcr);
			return e;
		}
	}
	*ret_same = d.same;
	return ERR(E_OK);
}
