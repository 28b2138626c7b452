/* SPDX-License-Identifier: Apache-2.0 */
/* What benchmarks share: a failure ends the program, times are medians, each figure is one BENCH line. */
#ifndef ASSAY_TESTS_BENCH_H
#define ASSAY_TESTS_BENCH_H

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/err.h"

__attribute__((noreturn)) static inline void must_fail(const char *what, const char *why, const char *file, int line)
{
	(void)fprintf(stderr, "%s:%d: %s failed: %s\n", file, line, what, why);
	exit(1);
}
/* Of a condition; of an error, with what its struct reason says. */
#define must(fine) ((fine) ? (void)0 : must_fail(#fine, "", __FILE__, __LINE__))
#define must_ok(call, why)                                                                                     \
	do {                                                                                                   \
		struct err must_e_ = (call);                                                                   \
		if (failed(must_e_))                                                                           \
			must_fail(#call, (why).text[0] != '\0' ? (why).text : err_name(must_e_), __FILE__, __LINE__); \
	} while (0)

static inline double now_s(void)
{
	struct timespec t;

	must(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static inline int compare_doubles(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Sorts v. */
static inline double median(double *v, size_t n)
{
	qsort(v, n, sizeof(*v), compare_doubles);
	return n % 2 == 1 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

/* More is better: the ratio is the share of the limit that was reached. */
static inline void print_rate(const char *name, double value, const char *unit, double limit)
{
	(void)printf("BENCH %s %.0f %s limit %.0f ratio %.3f\n", name, value, unit, limit, value / limit);
	(void)fflush(stdout);
}

/* Less is better: limit / value. */
static inline void print_cost(const char *name, double value, const char *unit, double limit)
{
	(void)printf("BENCH %s %.2f %s limit %.2f ratio %.3f\n", name, value, unit, limit, limit / value);
	(void)fflush(stdout);
}

#endif
