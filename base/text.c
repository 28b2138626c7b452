/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"

#include <string.h>
#include <time.h>

static void hex_put(struct bytes in, uint8_t *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < in.n; i++) {
		out[2 * i] = (uint8_t)digits[in.p[i] >> 4];
		out[2 * i + 1] = (uint8_t)digits[in.p[i] & 15];
	}
}

struct err hex_encode(struct bytes in, char *out, size_t out_size)
{
	if (out_size == 0 || in.n > (out_size - 1) / 2)
		return ERR(E_LIMIT_SIZE);
	hex_put(in, (uint8_t *)out);
	out[2 * in.n] = '\0';
	return ERR(E_OK);
}

struct err buf_add_hex(struct buf *b, struct bytes in)
{
	struct err e;

	if (in.n == 0)
		return ERR(E_OK);
	if (in.n > SIZE_MAX / 2)
		return ERR(E_LIMIT_SIZE);
	if (failed(e = buf_reserve(b, 2 * in.n)))
		return e;
	hex_put(in, b->p + b->n);
	b->n += 2 * in.n;
	return ERR(E_OK);
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

/* Checks all before it writes the first byte. */
static struct err hex_get(struct bytes in, uint8_t *out)
{
	for (size_t i = 0; i < in.n; i++)
		if (hex_value(in.p[i]) < 0)
			return ERR(E_PEER_SYNTAX);
	for (size_t i = 0; i < in.n / 2; i++)
		out[i] = (uint8_t)(hex_value(in.p[2 * i]) << 4 | hex_value(in.p[2 * i + 1]));
	return ERR(E_OK);
}

struct err hex_decode(struct bytes in, struct buf *ret)
{
	struct err e;

	if (in.n % 2 != 0)
		return ERR(E_PEER_SYNTAX);
	if (in.n == 0)
		return ERR(E_OK);
	if (failed(e = buf_reserve(ret, in.n / 2)) ||
	    failed(e = hex_get(in, ret->p + ret->n)))
		return e;
	ret->n += in.n / 2;
	return ERR(E_OK);
}

struct err hex_decode_exact(struct bytes in, uint8_t *out, size_t n)
{
	if (in.n % 2 != 0)
		return ERR(E_PEER_SYNTAX);
	if (in.n / 2 != n)
		return ERR(E_PEER_RANGE);
	return hex_get(in, out);
}

struct base64 {
	const char *alphabet;
	bool padded;
};

static const struct base64 b64 = {
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
	true,
};
static const struct base64 b64url = {
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
	false,
};

static struct err encode64(const struct base64 *form, struct bytes in, struct buf *ret)
{
	size_t tail = in.n % 3, n_out = in.n / 3 * 4;
	uint8_t *out;
	struct err e;

	if (in.n == 0)
		return ERR(E_OK);
	if (in.n > SIZE_MAX / 2)
		return ERR(E_LIMIT_SIZE);
	if (tail > 0)
		n_out += form->padded ? 4 : tail + 1;
	if (failed(e = buf_reserve(ret, n_out)))
		return e;
	out = ret->p + ret->n;
	for (size_t i = 0; i < in.n; i += 3) {
		size_t n = in.n - i < 3 ? in.n - i : 3;
		uint32_t v = (uint32_t)in.p[i] << 16;

		if (n > 1)
			v |= (uint32_t)in.p[i + 1] << 8;
		if (n > 2)
			v |= in.p[i + 2];
		for (size_t k = 0; k <= n; k++)
			*out++ = (uint8_t)form->alphabet[v >> (18 - 6 * k) & 63];
		for (size_t k = n; form->padded && k < 3; k++)
			*out++ = '=';
	}
	ret->n += n_out;
	return ERR(E_OK);
}

static int value64(const struct base64 *form, uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == (uint8_t)form->alphabet[62])
		return 62;
	if (c == (uint8_t)form->alphabet[63])
		return 63;
	return -1;
}

static struct err strip_padding(struct bytes in, struct bytes *ret)
{
	size_t n = in.n;

	if (n % 4 != 0)
		return ERR(E_PEER_SYNTAX);
	while (n > 0 && in.n - n < 2 && in.p[n - 1] == '=')
		n--;
	return bytes_sub(in, 0, n, ret);
}

static struct err decode64(const struct base64 *form, struct bytes in, struct buf *ret)
{
	uint32_t v = 0;
	size_t n_out;
	struct err e;

	if (form->padded && failed(e = strip_padding(in, &in)))
		return e;
	if (in.n % 4 == 1)
		return ERR(E_PEER_SYNTAX);
	if (in.n == 0)
		return ERR(E_OK);

	/* All is judged before anything is written: a refused input leaves nothing in ret. */
	for (size_t i = 0; i < in.n; i++)
		if (value64(form, in.p[i]) < 0)
			return ERR(E_PEER_SYNTAX);
	v = (uint32_t)value64(form, in.p[in.n - 1]);
	if ((in.n % 4 == 2 && (v & 15) != 0) || (in.n % 4 == 3 && (v & 3) != 0))
		return ERR(E_PEER_NOT_CANONICAL);

	n_out = in.n / 4 * 3 + in.n % 4 * 3 / 4;
	if (failed(e = buf_reserve(ret, n_out)))
		return e;
	for (size_t i = 0; i < in.n; i++) {
		v = v << 6 | (uint32_t)value64(form, in.p[i]);
		if (i % 4 != 0)
			ret->p[ret->n++] = (uint8_t)(v >> (6 - i % 4 * 2));
	}
	return ERR(E_OK);
}

struct err b64url_encode(struct bytes in, struct buf *ret)
{
	return encode64(&b64url, in, ret);
}

struct err b64url_decode(struct bytes in, struct buf *ret)
{
	return decode64(&b64url, in, ret);
}

struct err b64_encode(struct bytes in, struct buf *ret)
{
	return encode64(&b64, in, ret);
}

struct err b64_decode(struct bytes in, struct buf *ret)
{
	return decode64(&b64, in, ret);
}

static struct err parse_digits(struct bytes s, uint64_t max, uint64_t *ret)
{
	uint64_t v = 0;

	if (s.n == 0 || (s.n > 1 && s.p[0] == '0'))
		return ERR(E_PEER_SYNTAX);
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < '0' || s.p[i] > '9')
			return ERR(E_PEER_SYNTAX);
	for (size_t i = 0; i < s.n; i++) {
		uint64_t d = (uint64_t)s.p[i] - '0';

		if (d > max || v > (max - d) / 10)
			return ERR(E_PEER_RANGE);
		v = v * 10 + d;
	}
	*ret = v;
	return ERR(E_OK);
}

struct err parse_u64(const char *s, uint64_t max, uint64_t *ret)
{
	return parse_digits(bytes_str(s), max, ret);
}

struct err parse_duration_s(const char *s, uint64_t max, uint64_t *ret)
{
	struct bytes b = bytes_str(s);
	uint64_t unit = 1, v;
	struct err e;

	switch (b.n == 0 ? '\0' : s[b.n - 1]) {
	case 's':
		b.n--;
		break;
	case 'm':
		unit = 60;
		b.n--;
		break;
	case 'h':
		unit = 3600;
		b.n--;
		break;
	case 'd':
		unit = 86400;
		b.n--;
		break;
	default: /* plain seconds, or no number at all */
		break;
	}
	if (failed(e = parse_digits(b, max / unit, &v)))
		return e;
	*ret = v * unit;
	return ERR(E_OK);
}

static bool is_id_char(uint8_t c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
	       c == '-';
}

bool id_valid(struct bytes s)
{
	if (s.n < 1 || s.n > 64)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!is_id_char(s.p[i]))
			return false;
	return !bytes_eq(s, BYTES_LIT(".")) && !bytes_eq(s, BYTES_LIT(".."));
}

/* Sequences by their first byte, and what the second may be: RFC 3629, section 4. */
static const struct {
	uint8_t first, last, n, second_min, second_max;
} utf8_forms[] = {
	{ 0x00, 0x7f, 1, 0, 0 },       { 0xc2, 0xdf, 2, 0x80, 0xbf }, { 0xe0, 0xe0, 3, 0xa0, 0xbf },
	{ 0xe1, 0xec, 3, 0x80, 0xbf }, { 0xed, 0xed, 3, 0x80, 0x9f }, { 0xee, 0xef, 3, 0x80, 0xbf },
	{ 0xf0, 0xf0, 4, 0x90, 0xbf }, { 0xf1, 0xf3, 4, 0x80, 0xbf }, { 0xf4, 0xf4, 4, 0x80, 0x8f },
};

size_t utf8_len(struct bytes s)
{
	size_t n;

	for (size_t i = 0; s.n > 0 && i < array_len(utf8_forms); i++) {
		if (s.p[0] < utf8_forms[i].first || s.p[0] > utf8_forms[i].last)
			continue;
		n = utf8_forms[i].n;
		if (n > s.n)
			return 0;
		if (n > 1 && (s.p[1] < utf8_forms[i].second_min || s.p[1] > utf8_forms[i].second_max))
			return 0;
		for (size_t k = 2; k < n; k++)
			if ((s.p[k] & 0xc0) != 0x80)
				return 0;
		return n;
	}
	return 0;
}

#define EACH_BYTE(v) (0x0101010101010101u * (v))

/* Eight characters at once: no byte has its highest bit, and none is zero, from which taking one would set it. */
static bool eight_ascii(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return ((v | (v - EACH_BYTE(0x01))) & EACH_BYTE(0x80)) == 0;
}

bool utf8_valid(struct bytes s)
{
	size_t n;

	for (size_t i = 0; i < s.n; i += n) {
		/* Nearly all text is ASCII: no look at the table for it. */
		n = 8;
		if (s.n - i >= n && eight_ascii(s.p + i))
			continue;
		n = s.p[i] < 0x80 ? 1 : utf8_len(BYTES(s.p + i, s.n - i));
		if (n == 0 || s.p[i] == 0)
			return false;
	}
	return true;
}

/* "YYYY-MM-DDTHH:MM:SSZ": where each number stands and how many digits it has. */
static const struct {
	uint8_t off, n;
} time_fields[6] = { { 0, 4 }, { 5, 2 }, { 8, 2 }, { 11, 2 }, { 14, 2 }, { 17, 2 } };

struct err time_format(int64_t t_s, char *out, size_t out_size)
{
	static const char form[TIME_TEXT_SIZE] = "0000-00-00T00:00:00Z";
	time_t t = (time_t)t_s;
	struct tm tm;

	if (out_size < sizeof(form))
		return ERR(E_LIMIT_SIZE);
	if (gmtime_r(&t, &tm) == NULL || tm.tm_year < -1900 || tm.tm_year > 9999 - 1900)
		return ERR(E_PEER_RANGE);

	const int values[6] = { tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec };

	memcpy(out, form, sizeof(form));
	for (size_t i = 0; i < array_len(values); i++) {
		int v = values[i];

		for (size_t k = time_fields[i].n; k > 0; k--) {
			out[time_fields[i].off + k - 1] = (char)('0' + v % 10);
			v /= 10;
		}
	}
	return ERR(E_OK);
}

struct err time_parse(const char *s, int64_t *ret_s)
{
	char back[TIME_TEXT_SIZE];
	struct tm tm = { 0 };
	int values[6] = { 0 };
	int64_t t;

	if (strlen(s) != TIME_TEXT_SIZE - 1)
		return ERR(E_PEER_SYNTAX);
	for (size_t i = 0; i < array_len(values); i++) {
		for (size_t k = 0; k < time_fields[i].n; k++) {
			char c = s[time_fields[i].off + k];

			if (c < '0' || c > '9')
				return ERR(E_PEER_SYNTAX);
			values[i] = values[i] * 10 + (c - '0');
		}
	}
	tm.tm_year = values[0] - 1900;
	tm.tm_mon = values[1] - 1;
	tm.tm_mday = values[2];
	tm.tm_hour = values[3];
	tm.tm_min = values[4];
	tm.tm_sec = values[5];
	t = timegm(&tm);

	/* timegm(3) makes 1 March of 30 February: only what formats back to the same text is a time. */
	if (failed(time_format(t, back, sizeof(back))) || strcmp(s, back) != 0)
		return ERR(E_PEER_SYNTAX);
	*ret_s = t;
	return ERR(E_OK);
}
