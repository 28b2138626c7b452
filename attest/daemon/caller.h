/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who asks. Nothing that a caller says enters here.
 *
 * The process that connected (SO_PEERCRED) is pinned by a pidfd. Between its connect and the look-up its number may
 * have gone to another process; so the daemon sends a nonce after it has pinned, and takes only a packet that has the
 * nonce and comes from that number (SCM_CREDENTIALS, which the kernel vouches for). Where the pinned process still
 * lives then, it has had the number all the time, so it is the one that sent the packet. Whoever was handed the
 * connection has another number, and speaks for nobody. This needs no SO_PEERPIDFD, which Linux has since 6.5 only.
 *
 * A caller belongs to the instance whose `run` is its nearest such ancestor. `run` is a subreaper: what its command
 * starts stays below it, orphans too, and nobody gets there from elsewhere. Each step of the way is pinned before it
 * is believed. Then the caller must have the command's uid, the pid, user, mount and cgroup namespaces of `run`, and
 * its cgroup: a container that an agent has made is none of those that were measured.
 *
 * In a container that a runtime's hook has made known, its init takes the place of `run`, and is itself a caller: the
 * kernel gives what a pid namespace ends with to its init. Whoever comes in from outside (exec, nsenter(1)) is not
 * below the init and was not measured. uids are those of this host, whatever a user namespace calls them.
 */
#ifndef ASSAY_ATTEST_DAEMON_CALLER_H
#define ASSAY_ATTEST_DAEMON_CALLER_H

#include "attest/daemon/roster.h"

#define CALLER_DEPTH_MAX 128 /* ancestors that are looked at */

enum caller_role {
	CALLER_NOBODY,
	CALLER_AGENT, /* a process of an instance */
	CALLER_RUN,   /* the `run` of an instance */
	CALLER_ROOT,  /* another process of root's, in our pid and user namespaces and with our root folder */
};

struct caller {
	pid_t pid;
	uid_t uid;
	int pidfd;
	enum caller_role role;
	uint8_t instance[INSTANCE_ID_LEN]; /* of CALLER_AGENT and CALLER_RUN */
};
#define CALLER_INIT { .pidfd = -1 }
void caller_done(struct caller *c);

/* Pins who connected. E_AUTH_UNKNOWN: it has ended, or lives where we cannot see it. ret: CALLER_INIT. */
must_check struct err caller_pin(int connection, struct caller *ret, struct reason *reterr);

/*
 * Sets role and instance of a pinned caller from what is so now. Nobody is E_AUTH_UNKNOWN or E_AUTH_REFUSED, with the
 * reason; E_LOCAL_* where it cannot be told.
 */
must_check struct err caller_identify(struct caller *c, struct roster *roster, struct reason *reterr);

/* One packet, appended, only from the pinned process itself. E_AUTH_REFUSED: sent by another one, or with descriptors;
   E_LIMIT_SIZE; E_LOCAL_NETWORK: the connection has ended. */
must_check struct err caller_receive(const struct caller *c, int connection, struct buf *ret, struct reason *reterr);

#endif
