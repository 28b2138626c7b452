/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Work that takes its time (TPM, network, digests), in a child: the daemon goes on meanwhile, and can end the work
 * at its deadline. What a kill leaves of the workload log and of the TPM, the next visit explains and repairs, as it
 * does after the death of any other process.
 */
#ifndef ASSAY_ATTEST_DAEMON_JOB_H
#define ASSAY_ATTEST_DAEMON_JOB_H

#include <limits.h>

#include "attest/host.h"

struct job {
	pid_t pid;            /* 0: none, or none any more */
	int from;             /* the child's output; -1: none */
	struct buf out;       /* what has come of it */
	uint64_t started_ms, deadline_ms;
};
#define JOB_INIT { .from = -1, .out = BUF_INIT(LIMIT_SMALL) }

#define JOB_FOREVER UINT_MAX /* a timeout_s: as long as we live */

/*
 * Starts work(host, ctx, out) in a child, which has the host's state folder, standard input, output and error and no
 * other descriptors, and dies with us. What it appends to out comes to the job. E_LOCAL_IO: no process to spare.
 */
must_check struct err job_start(struct job *j, struct host *h, unsigned timeout_s,
				void (*work)(struct host *h, const void *ctx, struct buf *out), const void *ctx);

/* For work() in the child: says this at once, instead of all at its end. E_LOCAL_IO: nobody listens any more. */
must_check struct err job_say(struct bytes words);

/* There is something to read. True at its end: the child is gone, and out is whole where it came to its end. */
bool job_read(struct job *j);
static inline bool job_active(const struct job *j)
{
	return j->from >= 0;
}
/* Its child was awaited by somebody else; what it has said is still to be read. */
void job_reaped(struct job *j);
/* Ends it now. */
void job_kill(struct job *j);
/* Forgets an ended one. */
void job_done(struct job *j);

#endif
