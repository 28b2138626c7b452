/* SPDX-License-Identifier: Apache-2.0 */
/* What differs between two logs of systemd: in each register what lies between the records that are the same. */
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "firmware-measure/diff.h"
#include "firmware-measure/userlog.h"

/* Records of one register. */
struct side {
	size_t n;
	struct userlog_record r[DIFF_MAX_RECORDS];
};

static void side_free(struct side *s)
{
	for (size_t i = 0; s != NULL && i < s->n; i++)
		userlog_record_done(&s->r[i]);
	free(s);
}
DEFINE_CLEANUP(struct side, cleanup_side_, side_free)
#define cleanup_side cleanup(cleanup_side_)

static struct err too_few_digests(const struct userlog_record *r, enum digest_id bank, struct evlog_fault *reterr)
{
	reterr->off = r->off;
	reason_set(&reterr->why, "record %zu has no %s digest", r->index, digest_alg(bank)->name);
	return ERR(E_PEER_RANGE);
}

/* Registers that any record is about, so that a log is not read once for each that there is. */
static struct err registers(struct bytes log, uint32_t *mask, struct evlog_fault *reterr)
{
	cleanup_userlog_record struct userlog_record r = { 0 };
	struct userlog_pos pos = { 0 };
	struct err e;

	for (;;) {
		if (failed(e = userlog_next(log, &pos, &r, reterr)) || r.end)
			return e;
		if (r.pcr < LIMIT_PCRS)
			*mask |= 1u << r.pcr;
	}
}

static struct err load(struct bytes log, uint32_t pcr, enum digest_id bank, struct side *s, struct evlog_fault *reterr)
{
	cleanup_userlog_record struct userlog_record r = { 0 };
	struct userlog_pos pos = { 0 };
	struct err e;

	for (;;) {
		if (failed(e = userlog_next(log, &pos, &r, reterr)) || r.end)
			return e;
		if (r.pcr != pcr)
			continue;
		if (r.digest[bank].n == 0)
			return too_few_digests(&r, bank, reterr);
		if (s->n == DIFF_MAX_RECORDS) {
			reason_set(&reterr->why, "PCR %u: too many records to compare them", pcr);
			return ERR(E_LIMIT_COUNT);
		}
		s->r[s->n++] = r;
		r = (struct userlog_record){ 0 };
	}
}

/* Says of which log a fault is. */
static struct err named(struct err e, const char *which, struct evlog_fault *reterr)
{
	struct reason why = reterr->why;

	if (failed(e))
		reason_set(&reterr->why, "%s userspace log: %.400s", which, why.text);
	return e;
}

static bool equal(const struct userlog_record *a, const struct userlog_record *b, enum digest_id bank)
{
	return bytes_eq(digest_bytes(&a->digest[bank]), digest_bytes(&b->digest[bank]));
}

/* The text where it was measured, else the digest. */
static struct err value(const struct userlog_record *r, enum digest_id bank, struct buf *ret)
{
	bool verified;
	struct err e;

	if (failed(e = userlog_verify(r, bank, &verified)))
		return e;
	if (verified)
		return buf_add(ret, r->string);
	if (failed(e = buf_addf(ret, "%s:", digest_alg(bank)->name)))
		return e;
	return buf_add_hex(ret, digest_bytes(&r->digest[bank]));
}

static struct err say(diff_fn *fn, void *ctx, enum digest_id bank, const struct userlog_record *was,
		      const struct userlog_record *now)
{
	cleanup_buf struct buf from = BUF_INIT(LIMIT_USERSPACE_RECORD), into = BUF_INIT(LIMIT_USERSPACE_RECORD);
	const struct userlog_record *one = was != NULL ? was : now;
	struct diff_change c = { .pcr = one->pcr };
	char what[200];
	struct err e;

	if ((was != NULL && failed(e = value(was, bank, &from))) ||
	    (now != NULL && failed(e = value(now, bank, &into))))
		return e;
	(void)snprintf(what, sizeof(what), "%ssystemd %.64s",
		       was == NULL   ? "1 record more: "
		       : now == NULL ? "1 record less: "
				     : "",
		       log_quote(one->type.n > 0 ? one->type : one->content_type));
	c.what = what;
	c.was = buf_bytes(&from);
	c.now = buf_bytes(&into);
	return fn(ctx, &c);
}

static struct err one_register(const struct side *was, const struct side *now, enum digest_id bank, diff_fn *fn,
			       void *ctx, bool *same)
{
	size_t begin = 0, a = was->n, b = now->n;
	struct err e;

	while (begin < a && begin < b && equal(&was->r[begin], &now->r[begin], bank))
		begin++;
	while (a > begin && b > begin && equal(&was->r[a - 1], &now->r[b - 1], bank)) {
		a--;
		b--;
	}
	for (size_t i = begin; i < a || i < b; i++) {
		*same = false;
		if (failed(e = say(fn, ctx, bank, i < a ? &was->r[i] : NULL, i < b ? &now->r[i] : NULL)))
			return e;
	}
	return ERR(E_OK);
}

struct err diff_userlogs(struct bytes was, struct bytes now, enum digest_id bank, diff_fn *fn, void *ctx,
			 bool *ret_same, struct evlog_fault *reterr)
{
	uint32_t mask = 0;
	bool same = true;
	struct err e;

	*ret_same = false;
	if (failed(e = named(registers(was, &mask, reterr), "first", reterr)) ||
	    failed(e = named(registers(now, &mask, reterr), "second", reterr)))
		return e;
	for (uint32_t pcr = 0; pcr < LIMIT_PCRS; pcr++) {
		cleanup_side struct side *a = NULL, *b = NULL;

		if ((mask >> pcr & 1) == 0)
			continue;
		a = calloc(1, sizeof(*a));
		b = calloc(1, sizeof(*b));
		if (a == NULL || b == NULL)
			return ERR(E_LOCAL_MEMORY);
		if (failed(e = named(load(was, pcr, bank, a, reterr), "first", reterr)) ||
		    failed(e = named(load(now, pcr, bank, b, reterr), "second", reterr)) ||
		    failed(e = one_register(a, b, bank, fn, ctx, &same)))
			return e;
	}
	*ret_same = same;
	return ERR(E_OK);
}
