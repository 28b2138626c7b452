/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Syntax-based and scheme-based normalisation of http(s) URIs (RFC 3986,
 * 6.2.2 and 6.2.3) for the comparison of htu (RFC 9449, 4.3, 9): lower-case
 * scheme and host, no default port, "/" for an empty path, percent-encoding in
 * upper case and only where it is needed, dot segments removed.
 */
#include <string.h>

#include "base/limits.h"
#include "base/rd.h"
#include "verifier/issue/dpop.h"

static bool is_alnum(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_unreserved(uint8_t c)
{
	return is_alnum(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

static bool is_path_char(uint8_t c)
{
	return is_unreserved(c) || (c != '\0' && strchr("!$&'()*+,;=:@/", c) != NULL);
}

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c - 'A' + 'a') : c;
}

static int hex_digit(uint8_t c)
{
	c = lower(c);
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool takes_prefix(struct rd *r, const char *prefix)
{
	size_t n = strlen(prefix);

	if (rd_left(r) < n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (lower(r->p[r->off + i]) != (uint8_t)prefix[i])
			return false;
	r->off += n;
	return true;
}

/* Host as letters, digits, '.', '-' or an address in brackets; port without leading zeros. User information is refused. */
static struct err add_authority(struct bytes in, bool tls, struct buf *ret)
{
	size_t host_n = in.n;
	struct bytes port = BYTES_NONE;
	struct err e;

	for (size_t i = in.n; i > 0; i--) {
		if (in.p[i - 1] == ']')
			break;
		if (in.p[i - 1] == ':') {
			host_n = i - 1;
			port = BYTES(in.p + i, in.n - i);
			break;
		}
	}
	if (host_n == 0 || port.n > 5)
		return ERR(E_PEER_SYNTAX);
	bool literal = in.p[0] == '[' && in.p[host_n - 1] == ']';

	for (size_t i = 0; i < host_n; i++) {
		uint8_t c = in.p[i];
		bool fits = is_alnum(c) || c == '.' || c == '-' || (literal && (c == ':' || c == '[' || c == ']'));

		if (!fits)
			return ERR(E_PEER_SYNTAX);
		if (failed(e = buf_add_u8(ret, lower(c))))
			return e;
	}
	for (size_t i = 0; i < port.n; i++)
		if (port.p[i] < '0' || port.p[i] > '9' || port.p[0] == '0')
			return ERR(E_PEER_SYNTAX);
	if (port.n == 0 || bytes_eq(port, bytes_str(tls ? "443" : "80")))
		return ERR(E_OK);
	if (failed(e = buf_add_u8(ret, ':')))
		return e;
	return buf_add(ret, port);
}

/* One character of a path, percent-decoded where it is unreserved. */
static struct err add_path_char(struct rd *r, struct buf *ret)
{
	struct bytes two;
	struct err e;
	uint8_t c;

	if (failed(e = rd_u8(r, &c)))
		return e;
	if (c != '%')
		return is_path_char(c) ? buf_add_u8(ret, c) : ERR(E_PEER_SYNTAX);
	if (failed(rd_bytes(r, 2, &two)))
		return ERR(E_PEER_SYNTAX);
	if (hex_digit(two.p[0]) < 0 || hex_digit(two.p[1]) < 0)
		return ERR(E_PEER_SYNTAX);
	c = (uint8_t)(hex_digit(two.p[0]) * 16 + hex_digit(two.p[1]));
	return is_unreserved(c) ? buf_add_u8(ret, c) : buf_addf(ret, "%%%02X", c);
}

/* Removes "." and ".." segments (RFC 3986, 5.2.4) from a path that begins with '/'. */
static struct err add_without_dots(struct bytes path, struct buf *ret)
{
	size_t start = ret->n;
	struct err e;

	for (size_t at = 0; at < path.n;) {
		size_t end = at + 1;

		while (end < path.n && path.p[end] != '/')
			end++;
		struct bytes segment = BYTES(path.p + at, end - at);
		bool last = end == path.n;
		bool up = bytes_eq(segment, BYTES_LIT("/.."));

		at = end;
		if (up || bytes_eq(segment, BYTES_LIT("/."))) {
			size_t keep = ret->n;

			while (up && keep > start && ret->p[keep - 1] != '/')
				keep--;
			if (up && keep > start)
				keep--;
			if (failed(e = buf_truncate(ret, keep)))
				return e;
			segment = last ? BYTES_LIT("/") : BYTES_NONE;
		}
		if (failed(e = buf_add(ret, segment)))
			return e;
	}
	return ERR(E_OK);
}

struct err uri_normalise(struct bytes uri, struct buf *ret)
{
	cleanup_buf struct buf out = BUF_INIT(LIMIT_PATH), path = BUF_INIT(LIMIT_PATH);
	struct rd r = RD(uri);
	bool tls = takes_prefix(&r, "https://");
	struct err e;

	if (uri.n > LIMIT_PATH || (!tls && !takes_prefix(&r, "http://")))
		return ERR(E_PEER_SYNTAX);
	if (failed(e = buf_add_str(&out, tls ? "https://" : "http://")))
		return e;
	struct bytes rest = rd_rest(&r);
	size_t authority_n = 0, path_end;

	while (authority_n < rest.n && strchr("/?#", rest.p[authority_n]) == NULL)
		authority_n++;
	for (path_end = authority_n; path_end < rest.n; path_end++)
		if (rest.p[path_end] == '?' || rest.p[path_end] == '#')
			break;
	if (failed(e = add_authority(BYTES(rest.p, authority_n), tls, &out)))
		return e;
	r = RD(BYTES(rest.p + authority_n, path_end - authority_n));
	if (rd_left(&r) == 0 && failed(e = buf_add_u8(&path, '/')))
		return e;
	while (rd_left(&r) > 0)
		if (failed(e = add_path_char(&r, &path)))
			return e;
	if (failed(e = add_without_dots(buf_bytes(&path), &out)))
		return e;
	return buf_add(ret, buf_bytes(&out));
}
