/* SPDX-License-Identifier: Apache-2.0 */
/* The command of an instance: another uid, nothing inherited but standard input, output and error. */
#ifndef ASSAY_ATTEST_SPAWN_H
#define ASSAY_ATTEST_SPAWN_H

#include "attest/isolation.h"

struct spawn {
	const struct user *user;
	char *const *argv;          /* NULL at the end; argv[0] is looked up in PATH */
	const char *agent, *instance, *socket; /* for ASSAY_AGENT, ASSAY_INSTANCE and ASSAY_SOCKET */
};

/*
 * Starts it in a process that has: the user's uid and primary group, no other
 * groups; no capabilities and no way to get any (no_new_privs); no descriptor
 * above 2; default signal dispositions, nothing blocked; SIGKILL when we die;
 * ASSAY_INSTANCE, ASSAY_AGENT and ASSAY_SOCKET in its environment, HOME, USER and LOGNAME of the
 * user, and no TCTI.
 * E_OK where it runs. E_LOCAL_NOT_FOUND: no such command (127); E_LOCAL_PERMISSION:
 * it cannot be executed (126); E_LOCAL_IO: the process could not be made so.
 */
must_check struct err spawn_start(const struct spawn *s, pid_t *ret_pid, struct reason *reterr);

/* Kills and awaits our children, and what they leave to us: we must be a subreaper. */
void spawn_reap_all(void);

#endif
