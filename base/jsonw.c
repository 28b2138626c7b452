/* SPDX-License-Identifier: Apache-2.0 */
#include "base/jsonw.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

static void put(struct jsonw *w, struct bytes v)
{
	if (!failed(w->e))
		w->e = buf_add(w->b, v);
}

static void put_key(struct jsonw *w, const char *key)
{
	if (w->more)
		put(w, BYTES_LIT(","));
	w->more = true;
	if (key == NULL)
		return;
	put(w, BYTES_LIT("\""));
	put(w, bytes_str(key));
	put(w, BYTES_LIT("\":"));
}

static void open_bracket(struct jsonw *w, struct bytes bracket, char close)
{
	if (w->depth >= sizeof(w->close)) {
		if (!failed(w->e))
			w->e = ERR(E_BUG);
		return;
	}
	put(w, bracket);
	w->close[w->depth++] = close;
	w->more = false;
}

void jsonw_begin(struct jsonw *w, struct buf *b)
{
	*w = (struct jsonw){ .b = b, .start = b->n, .e = ERR(E_OK) };
	open_bracket(w, BYTES_LIT("{"), '}');
}

struct err jsonw_end(struct jsonw *w)
{
	struct err e;

	if (!failed(w->e) && w->depth != 1)
		w->e = ERR(E_BUG);
	jsonw_close(w);
	if (!failed(w->e))
		return w->e;
	e = buf_truncate(w->b, w->start);
	return failed(e) ? e : w->e;
}

void jsonw_object(struct jsonw *w, const char *key)
{
	put_key(w, key);
	open_bracket(w, BYTES_LIT("{"), '}');
}

void jsonw_array(struct jsonw *w, const char *key)
{
	put_key(w, key);
	open_bracket(w, BYTES_LIT("["), ']');
}

void jsonw_close(struct jsonw *w)
{
	if (failed(w->e))
		return;
	if (w->depth == 0) {
		w->e = ERR(E_BUG);
		return;
	}
	w->depth--;
	put(w, BYTES(&w->close[w->depth], 1));
	w->more = true;
}

static bool needs_escape(uint8_t c)
{
	return c < 0x20 || c == '"' || c == '\\';
}

/* RFC 8259, 7. */
static void put_escaped(struct jsonw *w, uint8_t c)
{
	char text[8];

	if (c < 0x20)
		(void)snprintf(text, sizeof(text), "\\u%04x", c);
	else
		(void)snprintf(text, sizeof(text), "\\%c", c);
	put(w, bytes_str(text));
}

void jsonw_str(struct jsonw *w, const char *key, const char *v)
{
	jsonw_text(w, key, bytes_str(v));
}

void jsonw_text(struct jsonw *w, const char *key, struct bytes s)
{
	size_t from = 0;

	if (!failed(w->e) && !utf8_valid(s))
		w->e = ERR(E_PEER_SYNTAX);
	put_key(w, key);
	put(w, BYTES_LIT("\""));
	for (size_t i = 0; i < s.n; i++) {
		if (!needs_escape(s.p[i]))
			continue;
		put(w, BYTES(s.p + from, i - from));
		put_escaped(w, s.p[i]);
		from = i + 1;
	}
	put(w, BYTES(s.p + from, s.n - from));
	put(w, BYTES_LIT("\""));
}

void jsonw_int(struct jsonw *w, const char *key, int64_t v)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%" PRId64, v);
	put_key(w, key);
	put(w, bytes_str(text));
}

void jsonw_bool(struct jsonw *w, const char *key, bool v)
{
	put_key(w, key);
	put(w, v ? BYTES_LIT("true") : BYTES_LIT("false"));
}

void jsonw_hex(struct jsonw *w, const char *key, struct bytes v)
{
	put_key(w, key);
	put(w, BYTES_LIT("\""));
	if (!failed(w->e))
		w->e = buf_add_hex(w->b, v);
	put(w, BYTES_LIT("\""));
}

void jsonw_b64url(struct jsonw *w, const char *key, struct bytes v)
{
	put_key(w, key);
	put(w, BYTES_LIT("\""));
	if (!failed(w->e))
		w->e = b64url_encode(v, w->b);
	put(w, BYTES_LIT("\""));
}
