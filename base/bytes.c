/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bytes.h"

#include <openssl/crypto.h>
#include <stdarg.h>
#include <string.h>

#define FIRST_CAP 64

struct bytes bytes_str(const char *s)
{
	return BYTES(s, strlen(s));
}

bool bytes_eq(struct bytes a, struct bytes b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool bytes_eq_secret(struct bytes a, struct bytes b)
{
	return a.n == b.n && (a.n == 0 || CRYPTO_memcmp(a.p, b.p, a.n) == 0);
}

int bytes_cmp(struct bytes a, struct bytes b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int c = n == 0 ? 0 : memcmp(a.p, b.p, n);

	if (c != 0)
		return c;
	return (a.n > b.n) - (a.n < b.n);
}

bool bytes_all(struct bytes b, uint8_t v)
{
	for (size_t i = 0; i < b.n; i++)
		if (b.p[i] != v)
			return false;
	return true;
}

struct err bytes_copy_exact(struct bytes b, uint8_t *dst, size_t n)
{
	if (b.n != n)
		return ERR(E_PEER_RANGE);
	if (n > 0)
		memcpy(dst, b.p, n);
	return ERR(E_OK);
}

void wipe(void *p, size_t n)
{
	if (n > 0)
		OPENSSL_cleanse(p, n);
}

void buf_init(struct buf *b, size_t max)
{
	*b = (struct buf)BUF_INIT(max);
}

void buf_free(struct buf *b)
{
	if (b->p != NULL)
		wipe(b->p, b->cap);
	free(b->p);
	buf_init(b, b->max);
}

void buf_clear(struct buf *b)
{
	if (b->p != NULL)
		wipe(b->p, b->cap);
	b->n = 0;
}

/* Doubles, so that appending costs constant time on average, but never past max without need. */
static size_t next_cap(const struct buf *b, size_t need)
{
	size_t cap = FIRST_CAP;

	if (b->cap >= FIRST_CAP)
		cap = b->cap > b->max / 2 ? b->max : b->cap * 2;
	return cap < need ? need : cap;
}

/* Not realloc(3): it would leave a copy behind that nobody wipes. */
static struct err grow(struct buf *b, size_t need)
{
	size_t cap = next_cap(b, need);
	uint8_t *p;

	if (need <= b->cap)
		return ERR(E_OK);
	p = malloc(cap);
	if (p == NULL)
		return ERR(E_LOCAL_MEMORY);
	if (b->p != NULL) {
		memcpy(p, b->p, b->n);
		wipe(b->p, b->cap);
		free(b->p);
	}
	b->p = p;
	b->cap = cap;
	return ERR(E_OK);
}

struct err buf_reserve(struct buf *b, size_t n)
{
	if (n > b->max - b->n)
		return ERR(E_LIMIT_SIZE);
	return grow(b, b->n + n);
}

/* Room for n characters and a NUL that max does not count. No sum of a size in memory and an int can wrap. */
static struct err reserve_str(struct buf *b, int n)
{
	if ((size_t)n > b->max - b->n)
		return ERR(E_LIMIT_SIZE);
	return grow(b, b->n + (size_t)n + 1);
}

struct err buf_add(struct buf *b, struct bytes data)
{
	struct err e;

	if (data.n == 0)
		return ERR(E_OK);
	if (failed(e = buf_reserve(b, data.n)))
		return e;
	memcpy(b->p + b->n, data.p, data.n);
	b->n += data.n;
	return ERR(E_OK);
}

struct err buf_add_str(struct buf *b, const char *s)
{
	return buf_add(b, bytes_str(s));
}

struct err buf_add_u8(struct buf *b, uint8_t v)
{
	return buf_add(b, BYTES(&v, 1));
}

struct err buf_addf(struct buf *b, const char *fmt, ...)
{
	struct err e;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		return ERR(E_BUG);
	if (failed(e = reserve_str(b, n)))
		return e;
	va_start(ap, fmt);
	(void)vsnprintf((char *)b->p + b->n, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->n += (size_t)n;
	return ERR(E_OK);
}

struct err buf_truncate(struct buf *b, size_t n)
{
	if (n > b->n)
		return ERR(E_BUG);
	if (n < b->n)
		wipe(b->p + n, b->n - n);
	b->n = n;
	return ERR(E_OK);
}

void buf_move(struct buf *dst, struct buf *src)
{
	buf_free(dst);
	*dst = *src;
	buf_init(src, src->max);
}

struct err buf_cstr(struct buf *b, const char **ret)
{
	struct err e;

	if (b->n > 0 && memchr(b->p, 0, b->n) != NULL)
		return ERR(E_PEER_SYNTAX);
	if (failed(e = reserve_str(b, 0)))
		return e;
	b->p[b->n] = 0;
	*ret = (const char *)b->p;
	return ERR(E_OK);
}
