/* SPDX-License-Identifier: Apache-2.0 */
/* What every unit test begins with: cmocka in the order it wants, and errors compared by name. */
#ifndef ASSAY_TESTS_UNIT_H
#define ASSAY_TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <sys/mman.h>

#include "base/bytes.h"
#include "base/text.h"

#define assert_err(e, want) assert_string_equal(err_name(e), #want)
#define assert_code(e, want) assert_string_equal(err_name(e), err_name(ERR(want)))
#define assert_ok(e) assert_string_equal(err_name(e), "E_OK")

#define assert_bytes(got, want)                                                                                        \
	do {                                                                                                           \
		struct bytes got_ = (got), want_ = (want);                                                             \
		assert_int_equal(got_.n, want_.n);                                                                     \
		if (want_.n > 0)                                                                                       \
			assert_memory_equal(got_.p, want_.p, want_.n);                                                 \
	} while (0)

/* Bytes of a hex string in memory of exactly their size, so that a sanitizer sees every overrun. */
static inline struct bytes unhex_(struct buf *b, const char *hex)
{
	uint8_t *p;

	buf_init(b, strlen(hex) / 2);
	p = malloc(b->max == 0 ? 1 : b->max);
	assert_non_null(p);
	assert_ok(hex_decode_exact(bytes_str(hex), p, b->max));
	b->p = p;
	b->n = b->cap = b->max;
	return buf_bytes(b);
}

/* Catches what is written to a descriptor. */
struct capture {
	int fd, saved, mem;
};

static inline void capture_begin(struct capture *c, int fd)
{
	(void)fflush(NULL);
	c->fd = fd;
	c->saved = dup(fd);
	c->mem = memfd_create("capture", MFD_CLOEXEC);
	assert_true(c->saved >= 0 && c->mem >= 0);
	assert_int_equal(dup2(c->mem, fd), fd);
}

static inline void capture_end(struct capture *c, char *out, size_t out_size)
{
	ssize_t n;

	(void)fflush(NULL);
	assert_int_equal(dup2(c->saved, c->fd), c->fd);
	n = pread(c->mem, out, out_size - 1, 0);
	(void)close(c->saved);
	(void)close(c->mem);
	assert_true(n >= 0);
	out[n] = '\0';
}

#endif
