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
 * daemon's verdicts instead of attesting on its own; where the daemon goes away it attests again by itself. A container
 * has no such parent: the daemon watches and ends it (container.h).
 *
 *   daemon.c   the loop, its timers, its end
 *   conn.c     connections: who may have one, for how long, how many
 *   caller.c   who is on the other side
 *   roster.c   which instances there are
 *   container.c  those in containers: watched, digested at once after a change, ended
 *   watcher.c  the watch over one of them, in a child
 *   request.c  what may be said
 *   serve.c    what is done about it, in jobs
 *   job.c      children
 *   ask.c      the callers' side
 */
#ifndef ASSAY_ATTEST_DAEMON_DAEMON_H
#define ASSAY_ATTEST_DAEMON_DAEMON_H

#include "attest/daemon/conn.h"
#include "attest/daemon/container.h"

struct daemon {
	struct host *host;          /* borrowed, enrolled */
	int listen_fd, signal_fd;
	struct roster roster;
	struct containers containers;
	struct conns conns;
	struct job attest;          /* the attestation that is under way */
	enum attest_kind { ATTEST_ALL, ATTEST_ONE, ATTEST_LOG } kind; /* of it: what is digested; nothing in the last case */
	uint8_t one[INSTANCE_ID_LEN]; /* of ATTEST_ONE */
	struct outcome last;        /* of the last one */
	int64_t last_s;             /* when it was; 0: never */
	unsigned n_undecided;       /* in a row */
	unsigned reading;           /* of the roster, that was looked at for ends */
	bool abandoned;             /* it had some then */
	/* When to attest: everything; without digesting, because an instance has come or gone. */
	uint64_t attest_at_ms, log_at_ms;
	uint64_t first_at_ms;       /* when the first one begins, though not all containers are being watched yet */
	uint64_t look_at_ms;        /* at the state folder, though nobody has come */
	uint64_t ping_at_ms, watchdog_ms;
	int64_t since_s;
	bool stopping;
};

/*
 * Serves conf->socket until SIGTERM or SIGINT. E_LOCAL_BUSY: another daemon of this state folder runs.
 * E_LOCAL_PERMISSION: not root. E_LOCAL_NETWORK, E_LOCAL_IO. The reason is in the host's.
 */
must_check struct err daemon_run(struct host *h);

/* An instance has come or gone: an attestation at once says so to the verifier. */
void daemon_attest_log(struct daemon *d);

#endif
