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

struct err bytes_sub(struct bytes b, size_t off, size_t n, struct bytes *ret)
{
	if (off > b.n || n > b.n - off)
		return ERR(E_PEER_TRUNCATED);
	/* An offset on NULL is undefined even when it is 0. */
	*ret = b.p == NULL ? BYTES_NONE : BYTES(b.p + off, n);
	return ERR(E_OK);
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

/* Not realloc(3): it would leave a copy behind that nobody wipes. */
static struct err grow(struct buf *b, size_t need)
{
	size_t cap = b->cap < FIRST_CAP ? FIRST_CAP : b->cap;
	uint8_t *p;

	if (need <= b->cap)
		return ERR(E_OK);
	if (cap < need)
		cap = cap > need / 2 ? need + need / 4 : need;
	if (cap > b->max || cap < need)
		cap = need > b->max ? need : b->max;
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
