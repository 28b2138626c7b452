/* SPDX-License-Identifier: Apache-2.0 */
/* `run`: TPMs for the life of one command. */
#include "swtpm-harness/cli.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

/* As env(1) and timeout(1) have it. */
enum { STATUS_OWN_FAILURE = 125, STATUS_CANNOT_RUN = 126, STATUS_NOT_FOUND = 127, STATUS_SIGNAL = 128 };

#define RUN_ARGS_MAX 4096

static struct err set_environment(const struct harness *h)
{
	const char *const vars[][2] = {
		{ "SWTPM_HARNESS_DIR", harness_dir(h) },
		{ "TPM2TOOLS_TCTI", harness_tcti(h, 0) },
		{ "ASSAY_TCTI", harness_tcti(h, 0) },
	};

	for (size_t i = 0; i < array_len(vars); i++) {
		if (setenv(vars[i][0], vars[i][1], 1) != 0)
			return ERR(E_LOCAL_MEMORY);
	}
	return ERR(E_OK);
}

static int spawn_command(char **command, pid_t *ret)
{
	posix_spawnattr_t attr;
	sigset_t none;
	int rc;

	(void)sigemptyset(&none);
	if ((rc = posix_spawnattr_init(&attr)) != 0)
		return rc;
	if ((rc = posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK)) == 0 &&
	    (rc = posix_spawnattr_setsigmask(&attr, &none)) == 0)
		rc = posix_spawnp(ret, command[0], NULL, &attr, command, environ);
	(void)posix_spawnattr_destroy(&attr);
	return rc;
}

/* Waits for the command and passes signals on to it. */
static int supervise(pid_t pid, int pid_fd, int signals)
{
	struct pollfd fds[2] = { { .fd = pid_fd, .events = POLLIN }, { .fd = signals, .events = POLLIN } };
	struct signalfd_siginfo info;
	int status;

	while (fds[0].revents == 0) {
		if (poll(fds, array_len(fds), -1) < 0) {
			if (errno == EINTR)
				continue;
			break;
		}
		/* What a terminal sends goes to the command as well, which is in the same process group. */
		if (fds[1].revents != 0 && read(signals, &info, sizeof(info)) == (ssize_t)sizeof(info) &&
		    info.ssi_code <= 0)
			(void)pidfd_send_signal(pid_fd, (int)info.ssi_signo, NULL, 0);
	}
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return STATUS_OWN_FAILURE;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : STATUS_SIGNAL + WTERMSIG(status);
}

static int run_command(const struct cli *cli, char **command, int signals)
{
	cleanup_fd int pid_fd = -1;
	pid_t pid;
	int rc = spawn_command(command, &pid);

	if (rc != 0) {
		(void)usage_error(cli->program, "%s cannot be run: %s", command[0], strerror(rc));
		return rc == ENOENT ? STATUS_NOT_FOUND : STATUS_CANNOT_RUN;
	}
	pid_fd = pidfd_open(pid, 0);
	if (pid_fd < 0) {
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
		return STATUS_OWN_FAILURE;
	}
	return supervise(pid, pid_fd, signals);
}

/* True where dir has TPMs already, which are somebody else's to take down. */
static bool has_tpms(const char *dir)
{
	struct harness *h = NULL;
	bool has;

	if (dir == NULL || failed(harness_open(dir, &h, NULL)))
		return false;
	has = harness_count(h) > 0;
	harness_free(h);
	return has;
}

int cli_run(void *ctx, int argc, char **argv)
{
	const struct cli *cli = ctx;
	cleanup_fd int signals = -1;
	struct harness *h = NULL;
	struct harness_options o = { 0 };
	struct reason reason = { 0 };
	struct cli_up up;
	char **command;
	int n, status;
	struct err e;

	cli_up_init(&up);
	status = verb_options(cli->program, cli_verb(cli, argv[0]), argc, argv, up.opts, array_len(up.opts), 1,
			      RUN_ARGS_MAX, &command, &n);
	if (status >= 0 || (status = cli_up_options(cli, &up, &o)) >= 0)
		return status == EXIT_USAGE ? STATUS_OWN_FAILURE : status;
	command[n] = NULL;
	if (has_tpms(cli->dir)) {
		(void)usage_error(cli->program, "%s has TPMs already", cli->dir);
		return STATUS_OWN_FAILURE;
	}
	o.dir = cli->dir;
	if (failed(e = cli_signals(&signals))) {
		(void)cli_failed(cli, e, &reason);
		return STATUS_OWN_FAILURE;
	}
	o.cancel_fd = signals;
	if (failed(e = harness_up(&o, &h, &reason))) {
		(void)cli_failed(cli, e, &reason);
		return STATUS_OWN_FAILURE;
	}
	e = set_environment(h);
	status = failed(e) ? STATUS_OWN_FAILURE : run_command(cli, command, signals);
	if (failed(e = harness_down(h, false, &reason))) {
		(void)cli_failed(cli, e, &reason);
		status = status == 0 ? STATUS_OWN_FAILURE : status;
	}
	harness_free(h);
	return status;
}
