/* SPDX-License-Identifier: Apache-2.0 */
#include "verifier/issue/form.h"

#include <string.h>

#include "base/limits.h"
#include "base/rd.h"
#include "base/text.h"

/* Bytes up to the next `stop` or the end; the stop itself is skipped. */
static struct bytes next_part(struct rd *r, uint8_t stop)
{
	struct bytes rest = rd_rest(r);
	const uint8_t *end = rest.n > 0 ? memchr(rest.p, stop, rest.n) : NULL;
	struct bytes part = rest;

	if (end != NULL) {
		part.n = (size_t)(end - rest.p);
		r->off = r->n - (rest.n - part.n - 1);
	}
	return part;
}

static int hex_value(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static struct err decode(struct bytes in, struct buf *ret)
{
	struct rd r = RD(in);
	struct err e;

	while (rd_left(&r) > 0) {
		struct bytes two;
		uint8_t c;

		if (failed(e = rd_u8(&r, &c)))
			return e;
		if (c == '+')
			c = ' ';
		if (c == '%') {
			if (failed(e = rd_bytes(&r, 2, &two)))
				return ERR(E_PEER_SYNTAX);
			if (hex_value(two.p[0]) < 0 || hex_value(two.p[1]) < 0)
				return ERR(E_PEER_SYNTAX);
			c = (uint8_t)(hex_value(two.p[0]) * 16 + hex_value(two.p[1]));
		}
		if (c < 0x20 || c == 0x7f)
			return ERR(E_PEER_SYNTAX);
		if (failed(e = buf_add_u8(ret, c)))
			return e;
	}
	return utf8_valid(buf_bytes(ret)) ? ERR(E_OK) : ERR(E_PEER_SYNTAX);
}

static struct err take(const struct form_field *f, struct bytes raw, struct reason *reterr)
{
	cleanup_buf struct buf value = BUF_INIT(f->max);
	const char *text;
	struct err e;

	if (failed(e = decode(raw, &value))) {
		reason_set(reterr, "parameter %s: %s", f->name,
			   e.code == E_LIMIT_SIZE ? "too long" : "not well formed");
		return e;
	}
	if (value.n == 0)
		return ERR(E_OK);
	if (*f->to != NULL) {
		reason_set(reterr, "parameter %s is given twice", f->name);
		return ERR(E_PEER_DUPLICATE);
	}
	if (failed(e = buf_cstr(&value, &text)))
		return e;
	*f->to = strdup(text);
	return *f->to != NULL ? ERR(E_OK) : ERR(E_LOCAL_MEMORY);
}

static struct err take_pair(struct bytes pair, const struct form_field *fields, size_t n, struct reason *reterr)
{
	struct rd r = RD(pair);
	struct bytes raw_name = next_part(&r, '=');
	struct bytes raw_value = rd_rest(&r);
	cleanup_buf struct buf name = BUF_INIT(LIMIT_SMALL);
	struct err e;

	if (failed(e = decode(raw_name, &name))) {
		reason_set(reterr, "a parameter name is not well formed");
		return e;
	}
	for (size_t i = 0; i < n; i++)
		if (bytes_eq(buf_bytes(&name), bytes_str(fields[i].name)))
			return take(&fields[i], raw_value, reterr);
	return ERR(E_OK);
}

struct err form_parse(struct bytes body, const struct form_field *fields, size_t n, struct reason *reterr)
{
	struct rd r = RD(body);
	struct err e;

	while (rd_left(&r) > 0) {
		struct bytes pair = next_part(&r, '&');

		if (pair.n > 0 && failed(e = take_pair(pair, fields, n, reterr)))
			return e;
	}
	for (size_t i = 0; i < n; i++) {
		if (fields[i].required && *fields[i].to == NULL) {
			reason_set(reterr, "parameter %s is required", fields[i].name);
			return ERR(E_PEER_MISSING);
		}
	}
	return ERR(E_OK);
}
