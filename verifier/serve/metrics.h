/* SPDX-License-Identifier: Apache-2.0 */
/* Counters since the start, for GET /metrics. */
#ifndef ASSAY_VERIFIER_SERVE_METRICS_H
#define ASSAY_VERIFIER_SERVE_METRICS_H

#include <stdatomic.h>

#include "base/bytes.h"
#include "verifier/appraise/verdict.h"

#define METRICS_MAX_ROUTES 40
#define METRICS_STATUSES 16
#define METRICS_OAUTH_CODES 12

enum attest_outcome {
	ATTEST_PASSED,
	ATTEST_FAILED,       /* authentic, and refused by a check */
	ATTEST_UNAUTHENTIC,  /* nobody's evidence: nothing stored */
	ATTEST_RETRY,        /* overtaken, the state moved meanwhile, or the IMA list goes on */
	ATTEST_ERROR,        /* could not decide */
	N_ATTEST_OUTCOMES,
};

struct metrics {
	atomic_ullong attest[N_ATTEST_OUTCOMES];
	atomic_ullong check[VERDICT_MAX_CHECKS];     /* first failing check */
	atomic_ullong enrolled, tokens, certificates;
	atomic_ullong refused[METRICS_OAUTH_CODES];  /* by OAuth code; the last is "other" */
	atomic_ullong active, inactive;              /* introspections */
	atomic_ullong http[METRICS_MAX_ROUTES + 1][METRICS_STATUSES]; /* the last route is "none" */
	atomic_ullong http_us[METRICS_MAX_ROUTES + 1];
};

void metrics_count_refusal(struct metrics *m, const char *oauth_code);
void metrics_count_http(struct metrics *m, size_t route, unsigned status, uint64_t us);
void metrics_count_attest(struct metrics *m, enum attest_outcome o, const struct verdict *v /* or NULL */);

#endif
