/* SPDX-License-Identifier: Apache-2.0 */
/* A child in namespaces of its own, in the place of a container's init. */
#ifndef ASSAY_TESTS_CHILD_H
#define ASSAY_TESTS_CHILD_H

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "unit.h"

struct child {
	int flags;             /* namespaces of its own */
	bool (*prepare)(void); /* called in it; may be NULL */
	const char *map;       /* of its user namespace */
};

/* It is ready, and lives until child_end() or until we do not. 0: this machine does not let us make it. */
static inline pid_t child_begin(const struct child *c)
{
	char ok = 0, name[64];
	int ready[2], fd;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = (pid_t)syscall(SYS_clone, c->flags | SIGCHLD, NULL, NULL, NULL, 0);
	assert_true(pid >= 0 || errno == EPERM);
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if ((c->prepare != NULL && !c->prepare()) || write(ready[1], "+", 1) != 1)
			_exit(1);
		for (;;)
			(void)pause();
	}
	(void)close(ready[1]);
	if (pid > 0 && read(ready[0], &ok, 1) != 1) {
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		pid = 0;
	}
	(void)close(ready[0]);
	if (pid > 0 && c->map != NULL) {
		(void)snprintf(name, sizeof(name), "/proc/%d/uid_map", (int)pid);
		fd = open(name, O_WRONLY | O_CLOEXEC);
		assert_true(fd >= 0);
		assert_int_equal(write(fd, c->map, strlen(c->map)), strlen(c->map));
		(void)close(fd);
	}
	return pid < 0 ? 0 : pid;
}

static inline void child_end(pid_t pid)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* For tests that cannot go on without. */
#define CHILD_NEED(pid)                                                                       \
	do {                                                                                  \
		if ((pid) == 0)                                                               \
			skip();                                                               \
	} while (0)

#endif
