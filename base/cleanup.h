/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ownership in a few lines: owners are cleanup_x variables, initialised where
 * they are declared; handing over is `*ret = take_ptr(&x)`. Destructors accept
 * NULL and half-built objects. There is no goto in this project.
 */
#ifndef ASSAY_BASE_CLEANUP_H
#define ASSAY_BASE_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define cleanup(fn) __attribute__((cleanup(fn)))

/* Evaluates to the pointer and leaves NULL behind. */
#define take_ptr(pp)                       \
	({                                 \
		__typeof__(pp) pp_ = (pp); \
		__typeof__(*pp_) p_ = *pp_; \
		*pp_ = NULL;               \
		p_;                        \
	})

/* The same for a file descriptor; leaves -1 behind. */
static inline int take_fd(int *fd)
{
	int f = *fd;

	*fd = -1;
	return f;
}

/* Defines `void name(type **p)`, which frees *p with fn and accepts NULL. */
#define DEFINE_CLEANUP(type, name, fn)     \
	static inline void name(type **p) \
	{                                  \
		if (*p != NULL)            \
			fn(*p);            \
	}

static inline void cleanup_fd_(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
}
static inline void cleanup_free_(void *p)
{
	free(*(void **)p);
}
static inline void cleanup_file_(FILE **f)
{
	if (*f != NULL)
		(void)fclose(*f);
}

#define cleanup_fd cleanup(cleanup_fd_)
#define cleanup_free cleanup(cleanup_free_)
#define cleanup_file cleanup(cleanup_file_)

#define array_len(a) (sizeof(a) / sizeof((a)[0]))

#endif
