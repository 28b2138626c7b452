/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections. A caller that is nobody gets its refusal at once and holds nothing; an instance has at most so many
 * connections, a request so much time to arrive, an answer so much time to be made, and an instance one job at a
 * time, so that none keeps the others waiting.
 */
#ifndef ASSAY_ATTEST_DAEMON_CONN_H
#define ASSAY_ATTEST_DAEMON_CONN_H

#include <poll.h>

#include "attest/daemon/caller.h"
#include "attest/daemon/job.h"
#include "attest/daemon/serve.h"

#define CONNS_MAX 1024
#define CONNS_PER_INSTANCE 16
#define CONNS_OF_ROOT 32
#define JOBS_MAX 4          /* requests that are worked on at a time */
#define REQUEST_TIMEOUT_S 5 /* for a request to arrive */

enum conn_state {
	CONN_ASKED,   /* has our nonce, owes its request */
	CONN_QUEUED,  /* waits for a job */
	CONN_RUNNING, /* has one */
	CONN_WATCH,   /* a `run` that is told of verdicts */
	CONN_HOOK,    /* a runtime's hook whose container is to be watched */
};

struct conn {
	int fd;                /* -1: the other side is gone, its job is not yet */
	enum conn_state state;
	struct caller caller;
	uint8_t nonce[REQUEST_NONCE_LEN];
	struct request request;
	struct job job;
	uint64_t since_ms;     /* in this state */
	uint64_t deadline_ms;  /* 0: none */
};

struct daemon;
struct conns {
	size_t n, max;
	struct conn *conn[CONNS_MAX]; /* in the order in which they came */
};
void conns_done(struct conns *c);

/* A connection waits at the listening socket. False where there is none. */
bool conn_accept(struct daemon *d);
/* Something has happened on its descriptor. */
void conn_ready(struct daemon *d, struct conn *c, short revents);
/* Its job has said something. */
void conn_job_ready(struct daemon *d, struct conn *c);
/* Deadlines that have passed, jobs for those that wait, and removal of what is over. */
void conns_tick(struct daemon *d);
/* The daemon is about to end: whoever has no answer coming is let go. */
void conns_release(struct conns *c);
/* When the next deadline is, in clock_boottime_ms(); UINT64_MAX: none. */
uint64_t conns_next_ms(const struct conns *c);
/* Tells every `run` that watches, and watched before since_ms, whether its instance was accepted. */
void conns_tell(struct daemon *d, const struct outcome *o, uint64_t since_ms);

#endif
