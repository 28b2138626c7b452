/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fuzz target is one function in one file. It returns 0 for every input and
 * aborts, through fuzz_must(), when a property does not hold. libFuzzer or
 * another engine calls it; in the normal build replay.c does.
 */
#ifndef ASSAY_TESTS_FUZZ_H
#define ASSAY_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define fuzz_must(cond)                                                                                                \
	do {                                                                                                           \
		if (!(cond)) {                                                                                         \
			(void)fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #cond);                \
			abort();                                                                                       \
		}                                                                                                      \
	} while (0)

#endif
