/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The watch over one container: a job of the daemon that lives as long as the container does, and has nothing of the
 * daemon's but this file's words to say. It looks at root and model of the instance (changes.h), and at which folder the
 * container's init has as its root. What follows from that, the daemon decides.
 *
 * It says one byte each; WATCHER_REFUSES and WATCHER_FAILED are its last, and the reason follows them.
 */
#ifndef ASSAY_ATTEST_DAEMON_WATCHER_H
#define ASSAY_ATTEST_DAEMON_WATCHER_H

#include "attest/host.h"

enum watcher_word {
	WATCHER_WATCHES = 'w',    /* from now on everything is seen */
	WATCHER_CHANGED = 'c',    /* something was done; what is there now is being watched */
	WATCHER_REFUSES = 'r',    /* it runs in another folder than the one that was measured, or by rules that are not ours */
	WATCHER_FAILED = 'f',
};

struct watcher_order {
	uint8_t id[INSTANCE_ID_LEN]; /* of an instance in a container */
	bool is_new;
};

/*
 * For job_start(); ctx: struct watcher_order. Of a new one it sees first that it keeps to rules of conf->containers:
 * whoever writes the hook's arguments into a bundle could name another file. Those that live when the daemon starts
 * have been seen by the one before, and rules that were edited since are for what starts then.
 * Ends by itself without a last word when the container does.
 */
void watcher(struct host *h, const void *ctx, struct buf *out);

#endif
