/* SPDX-License-Identifier: Apache-2.0 */
/* For tests on files: each test works in an empty folder of its own, which is the current one. */
#ifndef ASSAY_TESTS_FOLDER_H
#define ASSAY_TESTS_FOLDER_H

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>

#include "unit.h"

static char folder[64];

static inline int remove_one_(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static inline int remove_tree(const char *path)
{
	return nftw(path, remove_one_, 16, FTW_DEPTH | FTW_PHYS);
}

/* cmocka set-up and tear-down. */
static inline int folder_enter(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/test-assay.XXXXXX");
	return mkdtemp(folder) != NULL && chdir(folder) == 0 ? 0 : -1;
}

static inline int folder_leave(void **state)
{
	(void)state;
	return chdir("/") == 0 ? remove_tree(folder) : -1;
}

static inline void put(const char *path, const char *data, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, n), n);
	assert_int_equal(close(fd), 0);
}

static inline void put_text(const char *path, const char *text)
{
	put(path, text, strlen(text));
}

static inline void put_folder(const char *path)
{
	assert_int_equal(mkdir(path, 0700), 0);
}

static inline void assert_hex(const uint8_t got[32], const char *want)
{
	char hex[65];

	assert_ok(hex_encode(BYTES(got, 32), hex, sizeof(hex)));
	assert_string_equal(hex, want);
}

#endif
