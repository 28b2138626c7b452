/* SPDX-License-Identifier: Apache-2.0 */
/* Extended headers of pax: records "LENGTH KEY=VALUE\n". */
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "firmware-measure/tar.h"

#define XATTR_PREFIX "SCHILY.xattr."

struct record {
	struct bytes key, value;
};

static struct err malformed(struct reason *reterr)
{
	reason_set(reterr, "a pax header that is not made of records LENGTH KEY=VALUE");
	return ERR(E_PEER_SYNTAX);
}

static size_t find(struct bytes b, uint8_t c)
{
	const uint8_t *hit = b.n > 0 ? memchr(b.p, c, b.n) : NULL;

	return hit != NULL ? (size_t)(hit - b.p) : b.n;
}

/* Decimal digits, at most 20 of them, into a number. */
static struct err decimal(struct bytes text, uint64_t *ret)
{
	char s[21];

	if (text.n == 0 || text.n >= sizeof(s))
		return ERR(E_PEER_SYNTAX);
	memcpy(s, text.p, text.n);
	s[text.n] = '\0';
	return parse_u64(s, UINT64_MAX, ret);
}

/* The first record of *rest, which then holds what follows it. */
static struct err record_next(struct bytes *rest, struct record *ret, struct reason *reterr)
{
	size_t space = find(*rest, ' ');
	struct bytes body;
	uint64_t length;
	size_t equals;

	if (space == rest->n || failed(decimal(BYTES(rest->p, space), &length)) || length > rest->n ||
	    length < space + 3)
		return malformed(reterr);
	body = BYTES(rest->p + space + 1, (size_t)length - space - 1);
	equals = find(body, '=');
	if (equals == 0 || equals == body.n || body.p[body.n - 1] != '\n')
		return malformed(reterr);
	ret->key = BYTES(body.p, equals);
	ret->value = BYTES(body.p + equals + 1, body.n - equals - 2);
	*rest = BYTES(rest->p + length, rest->n - (size_t)length);
	return ERR(E_OK);
}

static bool is(const struct record *r, const char *key)
{
	return bytes_eq(r->key, bytes_str(key));
}

static bool starts(const struct record *r, const char *prefix)
{
	struct bytes head;

	return !failed(bytes_sub(r->key, 0, strlen(prefix), &head)) && bytes_eq(head, bytes_str(prefix));
}

static struct err twice(const struct record *r, struct reason *reterr)
{
	reason_set(reterr, "%s is given twice for one entry", log_quote(r->key));
	return ERR(E_PEER_DUPLICATE);
}

static struct err set_text(struct buf *to, const struct record *r, struct reason *reterr)
{
	struct err e;

	if (to->n > 0)
		return twice(r, reterr);
	if (r->value.n == 0 || find(r->value, '\0') < r->value.n)
		return malformed(reterr);
	if (failed(e = buf_add(to, r->value)))
		reason_set(reterr, "%s: longer than %zu bytes", log_quote(r->value), to->max);
	return e;
}

static struct err set_number(bool *has, uint64_t *to, const struct record *r, struct reason *reterr)
{
	if (*has)
		return twice(r, reterr);
	if (failed(decimal(r->value, to)))
		return malformed(reterr);
	*has = true;
	return ERR(E_OK);
}

static struct err set_xattr(struct tar *t, const struct record *r, struct reason *reterr)
{
	const size_t prefix = strlen(XATTR_PREFIX);
	struct err e;

	if (failed(e = xattrs_add(&t->xattrs, BYTES(r->key.p + prefix, r->key.n - prefix), r->value)))
		reason_set(reterr, "%s is given twice for one entry, or is too large", log_quote(r->key));
	return e;
}

/* Keys by which some readers, not all, see another file than the header says. */
static bool changes_meaning(const struct record *r)
{
	return starts(r, "GNU.sparse.") || starts(r, "SCHILY.real") || is(r, "SCHILY.filetype") || is(r, "hdrcharset");
}

static struct err use(struct tar *t, const struct record *r, struct reason *reterr)
{
	if (is(r, "path"))
		return set_text(&t->name, r, reterr);
	if (is(r, "linkpath"))
		return set_text(&t->link, r, reterr);
	if (is(r, "size"))
		return set_number(&t->has_size, &t->size, r, reterr);
	if (is(r, "uid"))
		return set_number(&t->has_uid, &t->uid, r, reterr);
	if (is(r, "gid"))
		return set_number(&t->has_gid, &t->gid, r, reterr);
	if (starts(r, XATTR_PREFIX))
		return set_xattr(t, r, reterr);
	if (changes_meaning(r)) {
		reason_set(reterr, "%s in a pax header: sparse files and foreign character sets are not accepted",
			   log_quote(r->key));
		return ERR(E_PEER_UNSUPPORTED);
	}
	return ERR(E_OK); /* times, names of owners, comments, remarks of programs */
}

struct err tar_pax_read(struct tar *t, struct bytes records, struct reason *reterr)
{
	struct record r;
	struct err e;

	while (records.n > 0) {
		if (failed(e = record_next(&records, &r, reterr)) || failed(e = use(t, &r, reterr)))
			return e;
	}
	return ERR(E_OK);
}

struct err tar_pax_global(struct bytes records, struct reason *reterr)
{
	struct record r;
	struct err e;

	while (records.n > 0) {
		if (failed(e = record_next(&records, &r, reterr)))
			return e;
		if (!is(&r, "comment")) {
			reason_set(reterr, "%s in a global pax header", log_quote(r.key));
			return ERR(E_PEER_UNSUPPORTED);
		}
	}
	return ERR(E_OK);
}
