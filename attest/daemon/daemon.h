/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon: one per host.
 *
 * It is one thread around poll(), which itself opens neither TPM nor network and digests nothing. Whatever takes time
 * is a job, a child with a deadline (job.h); the writer lock of the state folder lets one of them at the TPM at a
 * time, and root's verbs beside them. So nothing that hangs, neither a TPM nor a verifier nor a disk, keeps the
 * daemon from answering, from ending it, or from telling its service manager that it lives.
 *
 * It has no state of its own that counts. Instances are what the state folder and the workload log say (roster.h),
 * and callers are who the kernel says (caller.h), so a daemon that was killed and started again goes on where it was.
 * `run` measures and starts an instance by itself, as it does without a daemon, stays its parent, and then watches the
 * daemon's verdicts instead of attesting on its own; where the daemon goes away it attests again by itself.
 *
 *   daemon.c   the loop, its timers, its end
 *   conn.c     connections: who may have one, for how long, how many
 *   caller.c   who is on the other side
 *   roster.c   which instances there are
 *   request.c  what may be said
 *   serve.c    what is done about it, in jobs
 *   job.c      children
 *   ask.c      the callers' side
 */
#ifndef ASSAY_ATTEST_DAEMON_DAEMON_H
#define ASSAY_ATTEST_DAEMON_DAEMON_H

#include "attest/daemon/conn.h"

struct daemon {
	struct host *host;          /* borrowed, enrolled */
	int listen_fd, signal_fd;
	struct roster roster;
	struct conns conns;
	struct job attest;          /* the attestation that is under way */
	struct outcome last;        /* of the last one */
	int64_t last_s;             /* when it was; 0: never */
	unsigned n_undecided;       /* in a row */
	bool again;                 /* something has ended meanwhile: attest once more at once */
	uint64_t attest_at_ms, ping_at_ms, watchdog_ms;
	int64_t since_s;
	bool stopping;
};

/*
 * Serves conf->socket until SIGTERM or SIGINT. E_LOCAL_BUSY: another daemon of this state folder runs.
 * E_LOCAL_PERMISSION: not root. E_LOCAL_NETWORK, E_LOCAL_IO. The reason is in the host's.
 */
must_check struct err daemon_run(struct host *h);

#endif
