/* SPDX-License-Identifier: Apache-2.0 */
/* The folder of a benchmark that needs files: below TMPDIR or /var/tmp, the current one, and gone at the end. */
#ifndef ASSAY_TESTS_BENCH_FOLDER_H
#define ASSAY_TESTS_BENCH_FOLDER_H

#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char bench_folder[4096];

static int bench_remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static void bench_folder_remove(void)
{
	if (chdir("/") != 0 || nftw(bench_folder, bench_remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0)
		(void)fprintf(stderr, "%s is left behind\n", bench_folder);
}

/* Makes and enters it; false where that cannot be done. name: of the program. */
static inline bool bench_folder_enter(const char *name)
{
	const char *tmp = getenv("TMPDIR");

	(void)snprintf(bench_folder, sizeof(bench_folder), "%s/%s.XXXXXX", tmp != NULL ? tmp : "/var/tmp", name);
	return mkdtemp(bench_folder) != NULL && atexit(bench_folder_remove) == 0 && chdir(bench_folder) == 0;
}

#endif
