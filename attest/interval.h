/* SPDX-License-Identifier: Apache-2.0 */
/* When to attest again. */
#ifndef ASSAY_ATTEST_INTERVAL_H
#define ASSAY_ATTEST_INTERVAL_H

#include "attest/conf.h"

/* Up to a fifth less, at random, so that hosts that started together do not stay together. */
uint64_t interval_jitter(uint64_t ms);

/*
 * Milliseconds to the next attestation, with jitter: a third of what is left of a verdict that expires at expires_s
 * (seconds since 1970; 0: it does not say), at most conf->interval_s where that is not 0, at least some 800 ms.
 */
uint64_t interval_ms(const struct conf *conf, int64_t expires_s);

#endif
