/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The same work on many files, in parallel, with progress in bytes. The first
 * failure stops the rest. Memory stays flat: one buffer and one hasher per
 * thread.
 */
#ifndef ASSAY_MEASURE_JOBS_H
#define ASSAY_MEASURE_JOBS_H

#include "base/digest.h"
#include "base/limits.h"

struct model_options;
struct jobs;

#define JOB_BUFFER_LEN MIB

/* What one thread has for its work. The hasher is at the start of a message. */
struct job_kit {
	struct hasher *h; /* SHA-256 */
	uint8_t *buffer;  /* JOB_BUFFER_LEN bytes */
};

/* Work on item i. Called from threads of jobs_run(), at most once for each item. */
typedef struct err job_work(void *ctx, size_t i, struct jobs *j, const struct job_kit *kit, struct reason *reterr);

/* So many bytes more are done. */
void jobs_done(struct jobs *j, uint64_t n);
/* True once another item failed: long work ends early, with whatever result. */
bool jobs_stopped(const struct jobs *j);

/*
 * Does the work on n items, the largest first.
 *
 * size     bytes of each item; for order and progress
 * options  as in model.h, NULL for defaults; progress is called from this
 *          thread: with 0 before the first item, now and then, and with the
 *          total after the last
 *
 * The first failure of the work, with its reason; E_LIMIT_SIZE where sizes do
 * not add up in 64 bits; E_LOCAL_MEMORY, E_LOCAL_CRYPTO. No thread runs any
 * more when it returns.
 */
must_check struct err jobs_run(size_t n, const uint64_t *size, job_work *work, void *ctx,
			       const struct model_options *options, struct reason *reterr);

#endif
