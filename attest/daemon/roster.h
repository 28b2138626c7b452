/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The instances of this host that live: what the state folder says, with the process of each held by a pidfd. That is
 * its `run`, or the first process of its container.
 *
 * Only root writes the state folder, and `run` puts an instance there, with its own pid, start time and the kernel's
 * boot, before it starts the command; a runtime's hook does so for a container before the runtime starts it. So a daemon that was away for a while knows as much as one that was there.
 */
#ifndef ASSAY_ATTEST_DAEMON_ROSTER_H
#define ASSAY_ATTEST_DAEMON_ROSTER_H

#include <time.h>

#include "attest/instance.h"

struct roster_entry {
	uint8_t id[INSTANCE_ID_LEN];
	char agent[65];
	uid_t uid;         /* of its command, as this host counts */
	bool container;    /* of one: `run` is its init then, itself part of the instance */
	pid_t run;         /* as long as pidfd says that it lives, nobody else has this number */
	int pidfd;
};

struct roster {
	int state_fd;      /* borrowed */
	struct timespec changed; /* of the folder, when it was read */
	uint64_t read_ms;  /* 0: never */
	unsigned reading;  /* goes up whenever the folder was read */
	size_t n;
	bool abandoned;    /* there are instances whose `run` or init has died: the next attestation ends them */
	struct roster_entry entry[LIMIT_INSTANCES];
};
void roster_init(int state_fd, struct roster *ret);
void roster_done(struct roster *r);

/* Reads the folder where it may have changed, or a process has ended. Entries move, so indexes from before are void. */
must_check struct err roster_refresh(struct roster *r);

/* The instance whose `run` or init has this number and lives, or NULL. */
struct roster_entry *roster_by_run(struct roster *r, pid_t run);
struct roster_entry *roster_find(struct roster *r, const uint8_t id[INSTANCE_ID_LEN]);

#endif
