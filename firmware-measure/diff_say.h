/* SPDX-License-Identifier: Apache-2.0 */
/* A change of events in words. */
#ifndef ASSAY_MEASURE_DIFF_SAY_H
#define ASSAY_MEASURE_DIFF_SAY_H

#include "firmware-measure/diff.h"

struct diff_to {
	enum digest_id bank;
	diff_fn *fn;
	void *ctx;
};

/* An event of one log and what stands in its place in the other; either may be NULL. Errors as diff_logs(). */
must_check struct err diff_say(const struct diff_to *to, const struct evlog_event *was, const struct evlog_event *now);

#endif
