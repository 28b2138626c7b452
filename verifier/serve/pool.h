/* SPDX-License-Identifier: Apache-2.0 */
/* Worker threads with one bounded queue. */
#ifndef ASSAY_VERIFIER_SERVE_POOL_H
#define ASSAY_VERIFIER_SERVE_POOL_H

#include "base/cleanup.h"
#include "base/err.h"

/* Lives in whatever is to be done; run() may free it. */
struct pool_job {
	void (*run)(struct pool_job *j);
	struct pool_job *next;
};

struct pool;
/* n_threads workers; at most max jobs wait. E_LOCAL_MEMORY. */
must_check struct err pool_new(unsigned n_threads, size_t max, struct pool **ret);
/* Does what waits, then ends. */
void pool_free(struct pool *p);
DEFINE_CLEANUP(struct pool, cleanup_pool_, pool_free)
#define cleanup_pool cleanup(cleanup_pool_)
/* E_LOCAL_BUSY when the queue is full. */
must_check struct err pool_add(struct pool *p, struct pool_job *j);

#endif
