/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Failing allocations, for "fail the k-th call for every k". Link `fault`:
 * it wraps malloc, calloc and realloc of our own objects, and fault_init()
 * puts OpenSSL on the same counter.
 */
#ifndef ASSAY_TESTS_SUPPORT_FAULT_H
#define ASSAY_TESTS_SUPPORT_FAULT_H

#include <stdbool.h>

/* First thing in main(), before OpenSSL allocates. */
void fault_init(void);

/* Counts from zero; the k-th allocation from now (0 is the next) fails, none where k is negative. */
void fault_begin(long k);

/* Stops failing and counting. Number of allocations since fault_begin(). */
long fault_end(void);

#endif
