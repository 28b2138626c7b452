/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Child processes of the harness: argument vectors, never a shell; every wait
 * has a deadline; only processes that were recorded at their start are
 * signalled.
 */
#ifndef ASSAY_SWTPM_HARNESS_PROCESS_H
#define ASSAY_SWTPM_HARNESS_PROCESS_H

#include <stdint.h>
#include <sys/types.h>

#include "base/bytes.h"

/* An id alone can be reused, an id with the start time (clock ticks) and the boot cannot. */
struct process {
	pid_t pid;
	uint64_t start;
	char boot[37];
};

/*
 * Starts argv[0], found in PATH, in a session of its own, which makes it the
 * leader of its own process group, with stdin from /dev/null, stdout and
 * stderr appended to log_path, no other descriptor, no signal blocked.
 * E_LOCAL_NOT_FOUND where there is no such program.
 */
must_check struct err process_spawn(const char *const *argv, const char *log_path, struct process *ret);

/* True while exactly this process runs; a zombie does not. */
bool process_runs(const struct process *p);

/* A descriptor of exactly this process for poll(2), readable when it ends; -1 where it is gone. The caller closes. */
int process_open(const struct process *p);

/*
 * Waits until it has ended. other_fd: E_LOCAL_BUSY as soon as it is readable,
 * -1 for none. E_LOCAL_TIMEOUT. A child of ours is reaped and *ret_status (may be
 * NULL) is its wait status; for others it is -1.
 */
must_check struct err process_wait(const struct process *p, unsigned timeout_ms, int other_fd, int *ret_status);

/* SIGKILL, then waits. A process that is not there any more, or is another one, is left alone: E_OK. */
must_check struct err process_kill(const struct process *p);

/* The same for the process group that p leads: for a program that has children of its own. */
must_check struct err process_kill_group(const struct process *p);

/* The record as "PID START BOOT\n" in dir/pid. E_LOCAL_NOT_FOUND where there is none, E_PEER_SYNTAX. */
must_check struct err process_save(const struct process *p, const char *dir);
must_check struct err process_load(const char *dir, struct process *ret);

/* True where name is an executable file in a folder of PATH. */
bool program_in_path(const char *name);

#endif
