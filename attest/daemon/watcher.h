/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The watch over one container: a job of the daemon that lives as long as the container does, and has nothing of the
 * daemon's but this file's words to say. It looks at root and model of the instance (changes.h), and at which folder the
 * container's init has as its root. What follows from that, the daemon decides.
 *
 * It says one byte each; WATCHER_OTHER_ROOT and WATCHER_FAILED are its last, and the reason follows them.
 */
#ifndef ASSAY_ATTEST_DAEMON_WATCHER_H
#define ASSAY_ATTEST_DAEMON_WATCHER_H

#include "attest/host.h"

enum watcher_word {
	WATCHER_WATCHES = 'w',    /* from now on everything is seen */
	WATCHER_CHANGED = 'c',    /* something was done; what is there now is being watched */
	WATCHER_OTHER_ROOT = 'r', /* the container runs in another folder than the one that was measured */
	WATCHER_FAILED = 'f',
};

/* For job_start(); ctx: the id of an instance in a container. Ends by itself without a last word when the container does. */
void watcher(struct host *h, const void *ctx, struct buf *out);

#endif
