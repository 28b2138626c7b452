/* SPDX-License-Identifier: Apache-2.0 */
#include "firmware-measure/imalog.h"

#include <string.h>

#include "base/rd.h"
#include "firmware-measure/imalog_impl.h"

void imalog_init(struct imalog *l, enum imalog_form form, enum imalog_order order)
{
	*l = (struct imalog){ .form = form, .order = order };
	buf_init(&l->tail, IMA_ENTRY_MAX);
	/* Data need no more room than their text: every length field stands for a space and a NUL or two digits. */
	buf_init(&l->text, 2 * IMA_ENTRY_MAX);
	buf_init(&l->value, IMA_ENTRY_MAX);
}

void imalog_done(struct imalog *l)
{
	buf_free(&l->tail);
	buf_free(&l->text);
	buf_free(&l->value);
	l->part = BYTES_NONE;
}

struct err imalog_feed(struct imalog *l, struct bytes part)
{
	if (l->part.n > 0)
		return ERR(E_BUG);
	l->part = part;
	return ERR(E_OK);
}

enum imalog_form imalog_form_of(struct bytes start)
{
	size_t i = 0;

	while (i < start.n && i < 3 && (start.p[i] == ' ' || (start.p[i] >= '0' && start.p[i] <= '9')))
		i++;
	return i > 0 ? IMALOG_ASCII : IMALOG_BINARY;
}

/* The next n bytes, or how many the entry needs at least. n was compared with IMA_ENTRY_MAX, and so was what lies
 * before. */
static struct err take(struct rd *r, size_t n, struct bytes *ret, size_t *ret_need)
{
	struct err e = rd_bytes(r, n, ret);

	if (failed(e))
		*ret_need = r->off + n;
	return e;
}

static struct err take_u32(struct rd *r, enum imalog_order order, uint32_t *ret, size_t *ret_need)
{
	struct err e = ima_rd_u32(r, order, ret);

	if (failed(e))
		*ret_need = r->off + 4;
	return e;
}

/* A length and as many bytes. E_PEER_TRUNCATED where b ends before, E_LIMIT_SIZE above max. */
static struct err take_sized(struct rd *r, enum imalog_order order, size_t max, struct bytes *ret, size_t *ret_need)
{
	struct err e;
	uint32_t n;

	if (failed(e = take_u32(r, order, &n, ret_need)))
		return e;
	if (n > max)
		return ERR(E_LIMIT_SIZE);
	return take(r, n, ret, ret_need);
}

/* Template data of the old template: a digest without a length, then the name. */
static struct err take_legacy(const struct imalog *l, struct rd *r, struct bytes *ret, size_t *ret_need)
{
	struct bytes all = BYTES(r->p + r->off, rd_left(r)), digest, name;
	size_t start = r->off;
	struct err e;

	if (failed(e = take(r, IMA_HASH_SIZE, &digest, ret_need)) ||
	    failed(e = take_sized(r, l->order, IMA_LEGACY_NAME_MAX, &name, ret_need)))
		return e;
	return bytes_sub(all, 0, r->off - start, ret);
}

static bool name_plain(struct bytes name)
{
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] <= ' ' || name.p[i] > '~')
			return false;
	return name.n > 0;
}

/* E_PEER_TRUNCATED: *ret_need bytes are needed at least. */
static struct err frame_binary(const struct imalog *l, struct bytes b, struct ima_frame *ret, size_t *ret_need,
			       struct reason *reterr)
{
	struct rd r = RD(b);
	struct err e;

	if (failed(e = take_u32(&r, l->order, &ret->pcr, ret_need)))
		return e;
	if (ret->pcr >= LIMIT_PCRS) {
		reason_set(reterr, "expected a PCR below %d, seen %u: not an IMA list, or one in the other byte order",
			   LIMIT_PCRS, ret->pcr);
		return ERR(E_PEER_RANGE);
	}
	if (failed(e = take(&r, IMA_HASH_SIZE, &ret->hash, ret_need)))
		return e;
	if (failed(e = take_sized(&r, l->order, IMA_TEMPLATE_NAME_MAX, &ret->name, ret_need))) {
		if (e.code == E_LIMIT_SIZE)
			reason_set(reterr, "the template's name is longer than %d bytes", IMA_TEMPLATE_NAME_MAX);
		return e;
	}
	/* What was found plain before, in nearly every entry, still is. */
	if (!(ret->name.n > 0 && bytes_eq(ret->name, BYTES(l->template.name, l->template.name_len))) &&
	    !name_plain(ret->name)) {
		reason_set(reterr, "the template's name is empty or not printable");
		return ERR(E_PEER_SYNTAX);
	}
	if (bytes_eq(ret->name, BYTES_LIT(IMA_LEGACY))) {
		e = take_legacy(l, &r, &ret->data, ret_need);
		if (e.code == E_LIMIT_SIZE)
			reason_set(reterr, "the file's name is longer than %d bytes", IMA_LEGACY_NAME_MAX);
	} else {
		e = take_sized(&r, l->order, IMA_ENTRY_MAX, &ret->data, ret_need);
		if (e.code == E_LIMIT_SIZE)
			reason_set(reterr, "template data of more than %zu bytes", IMA_ENTRY_MAX);
	}
	ret->size = r.off;
	return e;
}

/* One entry at the start of b, which lies in the tail or in the part. */
static struct err frame(struct imalog *l, struct bytes b, bool in_tail, struct ima_frame *ret, size_t *ret_need,
			struct reason *reterr)
{
	struct err e;
	size_t need = 0;

	if (l->form == IMALOG_ASCII)
		e = ima_frame_text(l, b, in_tail, ret, &need, reterr);
	else
		e = frame_binary(l, b, ret, &need, reterr);
	if (e.code == E_PEER_TRUNCATED && need > IMA_ENTRY_MAX) {
		reason_set(reterr, "an entry of more than %zu bytes", IMA_ENTRY_MAX);
		return ERR(E_LIMIT_SIZE);
	}
	if (!failed(e) && ret->size > IMA_ENTRY_MAX) {
		reason_set(reterr, "an entry of %zu bytes, more than %zu", ret->size, IMA_ENTRY_MAX);
		return ERR(E_LIMIT_SIZE);
	}
	*ret_need = need;
	return e;
}

/* Moves n bytes of the part behind the tail. */
static struct err tail_grow(struct imalog *l, size_t n)
{
	struct bytes head;
	struct err e;

	if (failed(e = bytes_sub(l->part, 0, n, &head)) || failed(e = buf_add(&l->tail, head)))
		return e;
	return bytes_sub(l->part, n, l->part.n - n, &l->part);
}

/* How much of the part to add to a tail that is to have `need` bytes; of text, up to the end of the line. */
static size_t tail_wants(const struct imalog *l, size_t need)
{
	size_t want = need - l->tail.n;

	if (l->form == IMALOG_ASCII && l->part.n > 0) {
		const uint8_t *nl = memchr(l->part.p, '\n', l->part.n);

		want = nl == NULL ? l->part.n : (size_t)(nl - l->part.p) + 1;
		if (want > IMA_ENTRY_MAX - l->tail.n)
			want = IMA_ENTRY_MAX - l->tail.n;
	}
	return want < l->part.n ? want : l->part.n;
}

static struct err frame_from_tail(struct imalog *l, struct ima_frame *ret, bool *ret_more, struct reason *reterr)
{
	struct err e;
	size_t need = 0, n;

	for (;;) {
		e = frame(l, buf_bytes(&l->tail), true, ret, &need, reterr);
		if (e.code != E_PEER_TRUNCATED)
			break;
		n = tail_wants(l, need);
		if (n == 0) {
			*ret_more = true;
			return ERR(E_OK);
		}
		if (failed(e = tail_grow(l, n)))
			return e;
	}
	l->tail_used = !failed(e);
	*ret_more = false;
	return e;
}

static struct err frame_next(struct imalog *l, struct ima_frame *ret, bool *ret_more, struct reason *reterr)
{
	struct err e;
	size_t need = 0;

	if (l->tail_used) {
		if (failed(e = buf_truncate(&l->tail, 0)))
			return e;
		l->tail_used = false;
	}
	if (l->tail.n > 0)
		return frame_from_tail(l, ret, ret_more, reterr);
	*ret_more = l->part.n == 0;
	if (l->part.n == 0)
		return ERR(E_OK);
	e = frame(l, l->part, false, ret, &need, reterr);
	if (e.code == E_PEER_TRUNCATED) {
		*ret_more = true;
		return tail_grow(l, l->part.n);
	}
	if (failed(e))
		return e;
	return bytes_sub(l->part, ret->size, l->part.n - ret->size, &l->part);
}

struct err imalog_next(struct imalog *l, struct ima_entry *ret, bool *ret_more, struct reason *reterr)
{
	struct ima_frame f = { 0 };
	struct err e;
	bool more;

	if (failed(e = frame_next(l, &f, &more, reterr)))
		return e;
	*ret_more = more;
	if (more)
		return e;
	*ret = (struct ima_entry){ .index = l->n_entries,
				   .off = l->off,
				   .size = f.size,
				   .pcr = f.pcr,
				   .template_hash = f.hash,
				   .violation = bytes_all(f.hash, 0),
				   .template_name = f.name,
				   .hashed = f.data };
	ret->digest.alg = N_DIGESTS;
	ima_entry_decode(l, f.data, ret);
	ret->in_reader = l->form == IMALOG_ASCII || l->tail_used || l->template.legacy;
	l->n_entries++;
	l->off += f.size;
	return ERR(E_OK);
}

void imalog_next_batch(struct imalog *l, struct imalog_batch *ret)
{
	ret->n = 0;
	do {
		ret->e = imalog_next(l, &ret->v[ret->n], &ret->more, &ret->why);
		if (failed(ret->e) || ret->more)
			return;
	} while (!ret->v[ret->n++].in_reader && ret->n < IMALOG_BATCH);
}

struct err imalog_end(const struct imalog *l)
{
	return ERR(l->part.n > 0 || (l->tail.n > 0 && !l->tail_used) ? E_PEER_TRUNCATED : E_OK);
}
