/* SPDX-License-Identifier: Apache-2.0 */
/* Progress of long work on a terminal: one line that is drawn over itself. */
#ifndef ASSAY_MEASURE_PROGRESS_H
#define ASSAY_MEASURE_PROGRESS_H

#include "firmware-measure/model.h"

#define PROGRESS_MAX_JOBS 256

struct progress {
	uint64_t since_ms;
	bool drawn;
};

/* Options for model_measure() and oci_measure_with() that draw on stderr where that is a terminal. p outlives the work.
 */
void progress_begin(struct progress *p, uint64_t jobs, struct model_options *ret);
/* Takes the line away. */
void progress_end(const struct progress *p);

#endif
