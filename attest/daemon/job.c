/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/daemon/job.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/args.h"
#include "base/file.h"

#define READ_SIZE 4096
/* In the child: the descriptors that stay. */
#define TO_FD 3
#define STATE_FD 4

/* Moves the two descriptors that stay to 3 and 4, by way of numbers above both, and closes the rest. */
static bool keep_only(int *state_fd, int *to)
{
	int a = fcntl(*state_fd, F_DUPFD, STATE_FD + 1), b = fcntl(*to, F_DUPFD, STATE_FD + 1);

	if (a < 0 || b < 0 || dup2(b, TO_FD) != TO_FD || dup2(a, STATE_FD) != STATE_FD ||
	    close_range(STATE_FD + 1, ~0u, 0) != 0)
		return false;
	*to = TO_FD;
	*state_fd = STATE_FD;
	return true;
}

struct err job_say(struct bytes words)
{
	return fd_write_all(TO_FD, words);
}

/* Does not return. */
static void child(struct host *h, pid_t parent, int to, void (*work)(struct host *h, const void *ctx, struct buf *out),
		  const void *ctx)
{
	cleanup_buf struct buf out = BUF_INIT(LIMIT_SMALL);
	sigset_t none;

	(void)sigemptyset(&none);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || getppid() != parent ||
	    sigprocmask(SIG_SETMASK, &none, NULL) != 0 || !keep_only(&h->state_fd, &to))
		_exit(EXIT_UNDECIDED);
	work(h, ctx, &out);
	_exit(failed(fd_write_all(to, buf_bytes(&out))) ? EXIT_UNDECIDED : EXIT_ACCEPTED);
}

struct err job_start(struct job *j, struct host *h, unsigned timeout_s,
		     void (*work)(struct host *h, const void *ctx, struct buf *out), const void *ctx)
{
	pid_t self = getpid(), pid;
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) != 0)
		return ERR(E_LOCAL_IO);
	pid = fcntl(fds[0], F_SETFL, O_NONBLOCK) == 0 ? fork() : -1;
	if (pid == 0)
		child(h, self, fds[1], work, ctx);
	(void)close(fds[1]);
	if (pid < 0) {
		(void)close(fds[0]);
		return ERR(E_LOCAL_IO);
	}
	buf_clear(&j->out);
	j->pid = pid;
	j->from = fds[0];
	j->started_ms = clock_boottime_ms();
	j->deadline_ms = j->started_ms + (uint64_t)timeout_s * 1000;
	return ERR(E_OK);
}

static void reap(struct job *j)
{
	/* A number that was awaited already may be another process. */
	if (j->pid > 0) {
		(void)kill(j->pid, SIGKILL);
		while (waitpid(j->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	(void)close(take_fd(&j->from));
	j->pid = 0;
}

void job_reaped(struct job *j)
{
	j->pid = 0;
}

bool job_read(struct job *j)
{
	uint8_t part[READ_SIZE];
	ssize_t n = read(j->from, part, sizeof(part));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return false;
	if (n > 0 && !failed(buf_add(&j->out, BYTES(part, (size_t)n))))
		return false;
	if (n != 0)
		buf_clear(&j->out);
	reap(j);
	return true;
}

void job_kill(struct job *j)
{
	if (!job_active(j))
		return;
	reap(j);
	buf_clear(&j->out);
}

void job_done(struct job *j)
{
	job_kill(j);
	buf_free(&j->out);
}
