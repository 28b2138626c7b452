/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Borrowed views and owned buffers.
 *
 * struct bytes borrows: it lives as long as its owner and never outlives the
 * call it is passed to unless a header says so. struct buf owns: it has a hard
 * maximum fixed at init and is wiped on free, so nobody has to judge which
 * buffer was secret.
 */
#ifndef ASSAY_BASE_BYTES_H
#define ASSAY_BASE_BYTES_H

#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"

struct bytes {
	const uint8_t *p;
	size_t n;
};

struct buf {
	uint8_t *p;
	size_t n, cap, max;
};

#define BYTES(ptr, len) ((struct bytes){ (const uint8_t *)(ptr), (len) })
#define BYTES_NONE ((struct bytes){ NULL, 0 })
/* A string literal without its NUL; an array of bytes as a whole. */
#define BYTES_LIT(s) ((struct bytes){ (const uint8_t *)(s), sizeof(s) - 1 })
#define BYTES_ARR(a) ((struct bytes){ (a), sizeof(a) })

/* The characters of a C string, without the NUL. s must not be NULL. */
struct bytes bytes_str(const char *s);

/* Equality in time that depends on the contents. Not for secrets. */
bool bytes_eq(struct bytes a, struct bytes b);

/* Equality in time that depends on the lengths only. For nonces, MACs, digests, secrets. */
bool bytes_eq_secret(struct bytes a, struct bytes b);

/* Order by contents, the shorter first where one begins the other: <0, 0, >0. */
int bytes_cmp(struct bytes a, struct bytes b);

/* True where every byte equals v; true for no bytes. */
bool bytes_all(struct bytes b, uint8_t v);

/* Part [off, off+n) of b. E_PEER_TRUNCATED where b is shorter; *ret is then unchanged. */
must_check static inline struct err bytes_sub(struct bytes b, size_t off, size_t n, struct bytes *ret)
{
	if (off > b.n || n > b.n - off)
		return ERR(E_PEER_TRUNCATED);
	/* An offset on NULL is undefined even when it is 0. */
	*ret = b.p == NULL ? BYTES_NONE : BYTES(b.p + off, n);
	return ERR(E_OK);
}

/* Copies b into dst of n bytes; E_PEER_RANGE unless b.n == n. */
must_check struct err bytes_copy_exact(struct bytes b, uint8_t *dst, size_t n);

/* Overwrites memory so that the compiler keeps it. */
void wipe(void *p, size_t n);

/* An empty buffer that will never hold more than max bytes. Allocates nothing. */
void buf_init(struct buf *b, size_t max);
#define BUF_INIT(limit) { .max = (limit) }

/* Wipes and frees; the buffer is as after buf_init with the same max. */
void buf_free(struct buf *b);
static inline void cleanup_buf_(struct buf *b)
{
	buf_free(b);
}
#define cleanup_buf cleanup(cleanup_buf_)

/* Forgets and wipes the contents, keeps the memory. */
void buf_clear(struct buf *b);

/* Room for n more bytes: E_LIMIT_SIZE past max, E_LOCAL_MEMORY. b is unchanged on failure. */
must_check struct err buf_reserve(struct buf *b, size_t n);

/* Appends. E_LIMIT_SIZE past max, E_LOCAL_MEMORY; b is then unchanged. Data may not lie inside b. */
must_check struct err buf_add(struct buf *b, struct bytes data);
must_check struct err buf_add_str(struct buf *b, const char *s);
must_check struct err buf_add_u8(struct buf *b, uint8_t v);
must_check struct err buf_addf(struct buf *b, const char *fmt, ...) printf_like(2, 3);

/* Keeps the first n bytes (n <= b->n, else E_BUG) and wipes the rest. */
must_check struct err buf_truncate(struct buf *b, size_t n);

/* Moves the contents of src, and its max with them, to an empty *dst; src is empty afterwards and keeps its max. */
void buf_move(struct buf *dst, struct buf *src);

/*
 * The contents as a C string: adds a NUL behind the contents that does not
 * count in n. E_PEER_SYNTAX where the contents hold a NUL already. *ret lives
 * until the buffer changes.
 */
must_check struct err buf_cstr(struct buf *b, const char **ret);

static inline struct bytes buf_bytes(const struct buf *b)
{
	return (struct bytes){ b->p, b->n };
}

#endif
