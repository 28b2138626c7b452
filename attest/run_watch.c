/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include "base/file.h"
#include "base/log.h"

#define INTERVAL_MIN_MS 1000
#define INTERVAL_UNKNOWN_MS 60000 /* a verdict that does not say how long it lives */
#define RETRY_MS 5000             /* after an attestation that could not be decided */
#define NEVER UINT64_MAX

enum outcome_kind { OUTCOME_UNDECIDED, OUTCOME_ACCEPTED, OUTCOME_REFUSED };

/* What the attesting child tells, in one write. */
struct outcome {
	enum outcome_kind kind;
	int64_t expires_s;
};

struct watch {
	struct run *r;
	pid_t command, attester; /* 0: none */
	int outcome_fd;
	int status;              /* of the command, as waitpid() */
	bool ended, refused;
	uint64_t attest_at_ms, kill_at_ms;
};

/* Up to a fifth earlier, at random, so that hosts that started together do not stay together. */
static uint64_t with_jitter(uint64_t ms)
{
	uint8_t r = 0;

	if (failed(random_bytes(&r, sizeof(r))))
		r = 0;
	return ms - ms / 5 * r / 255;
}

/* A third of what is left of the verdict, at most what was configured. */
static uint64_t interval_ms(const struct run *r)
{
	int64_t left_s = r->expires_s - clock_now_s();
	uint64_t ms = INTERVAL_UNKNOWN_MS, most_ms = (uint64_t)r->conf->interval_s * 1000;

	if (r->expires_s != 0)
		ms = left_s > 0 && left_s < 86400 ? (uint64_t)left_s * 1000 / 3 : INTERVAL_MIN_MS;
	if (most_ms != 0 && ms > most_ms)
		ms = most_ms;
	return with_jitter(ms < INTERVAL_MIN_MS ? INTERVAL_MIN_MS : ms);
}

static struct outcome attest_again(struct run *r)
{
	const struct attest_options options = { .measure = true, .only = r->instance.id };
	cleanup(attest_reply_done) struct attest_reply reply = { 0 };
	struct err e = attest(r->host, &options, &reply);
	enum outcome_kind kind = OUTCOME_REFUSED;

	if (failed(e)) {
		if (exit_for(e) != EXIT_REJECTED)
			kind = OUTCOME_UNDECIDED;
		run_say(r, kind == OUTCOME_REFUSED ? "refused" : "undecided",
			r->host->why.text[0] != '\0' ? r->host->why.text : err_text(e), NULL);
		return (struct outcome){ .kind = kind };
	}
	if (!attest_accepted(&reply, r->instance.id)) {
		run_say(r, "refused", "it is no longer accepted", &reply);
		return (struct outcome){ .kind = kind };
	}
	return (struct outcome){ .kind = OUTCOME_ACCEPTED, .expires_s = reply.expires_s };
}

/* Digesting and the network take their time, and signals do not wait: so in a child. Does not return. */
static void attester(struct run *r, pid_t parent, int to)
{
	struct outcome o;
	sigset_t none;

	(void)sigemptyset(&none);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || getppid() != parent ||
	    sigprocmask(SIG_SETMASK, &none, NULL) != 0)
		_exit(EXIT_UNDECIDED);
	o = attest_again(r);
	_exit(failed(fd_write_all(to, BYTES(&o, sizeof(o)))) ? EXIT_UNDECIDED : EXIT_ACCEPTED);
}

static struct err start_attester(struct watch *w)
{
	pid_t self = getpid();
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) != 0)
		return ERR(E_LOCAL_IO);
	w->attester = fork();
	if (w->attester == 0)
		attester(w->r, self, fds[1]);
	(void)close(fds[1]);
	if (w->attester < 0) {
		(void)close(fds[0]);
		w->attester = 0;
		w->attest_at_ms = clock_boottime_ms() + RETRY_MS;
		return ERR(E_OK); /* no process to spare now: later */
	}
	w->outcome_fd = fds[0];
	w->attest_at_ms = NEVER;
	return ERR(E_OK);
}

static void refuse(struct watch *w)
{
	w->refused = true;
	w->attest_at_ms = NEVER;
	w->kill_at_ms = clock_boottime_ms() + (uint64_t)w->r->conf->grace_s * 1000;
	if (!w->ended)
		(void)kill(w->command, SIGTERM);
}

/* The pipe has an outcome, or its writer has died without one. */
static void take_outcome(struct watch *w)
{
	struct outcome o = { .kind = OUTCOME_UNDECIDED };
	ssize_t n;

	do
		n = read(w->outcome_fd, &o, sizeof(o));
	while (n < 0 && errno == EINTR);
	(void)close(take_fd(&w->outcome_fd));
	if (n != sizeof(o))
		o = (struct outcome){ .kind = OUTCOME_UNDECIDED };
	if (o.kind == OUTCOME_REFUSED) {
		refuse(w);
		return;
	}
	/* An undecided one is no verdict: the last one ages by itself, and with it every credential. */
	w->attest_at_ms = clock_boottime_ms() + with_jitter(RETRY_MS);
	if (o.kind == OUTCOME_ACCEPTED) {
		w->r->expires_s = o.expires_s;
		w->attest_at_ms = clock_boottime_ms() + interval_ms(w->r);
	}
}

static void reap(struct watch *w)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == w->command) {
			w->ended = true;
			w->status = status;
		}
		if (pid == w->attester)
			w->attester = 0;
	}
}

/* What a terminal sends goes to the whole process group already. */
static void take_signal(struct watch *w)
{
	struct signalfd_siginfo s;

	if (read(w->r->signal_fd, &s, sizeof(s)) != sizeof(s))
		return;
	if (s.ssi_signo == SIGCHLD)
		reap(w);
	else if (s.ssi_code != SI_KERNEL && !w->ended)
		(void)kill(w->command, (int)s.ssi_signo);
}

static int poll_timeout(const struct watch *w)
{
	uint64_t at = w->attest_at_ms < w->kill_at_ms ? w->attest_at_ms : w->kill_at_ms, now = clock_boottime_ms();

	if (at == NEVER)
		return -1;
	if (at <= now)
		return 0;
	return at - now > 60000 ? 60000 : (int)(at - now);
}

static struct err step(struct watch *w)
{
	struct pollfd fds[] = { { .fd = w->r->signal_fd, .events = POLLIN },
				{ .fd = w->outcome_fd, .events = POLLIN } };

	if (poll(fds, array_len(fds), poll_timeout(w)) < 0 && errno != EINTR)
		return ERR(E_LOCAL_IO);
	if (fds[0].revents != 0)
		take_signal(w);
	if (fds[1].revents != 0)
		take_outcome(w);
	if (w->ended)
		return ERR(E_OK);
	if (clock_boottime_ms() >= w->kill_at_ms) {
		(void)kill(w->command, SIGKILL);
		w->kill_at_ms = NEVER;
	}
	if (clock_boottime_ms() >= w->attest_at_ms)
		return start_attester(w);
	return ERR(E_OK);
}

static int exit_status(const struct watch *w)
{
	if (w->refused)
		return EXIT_RUN_REFUSED;
	if (WIFSIGNALED(w->status))
		return 128 + WTERMSIG(w->status);
	return WEXITSTATUS(w->status);
}

struct err run_watch(struct run *r, pid_t command, int *ret_status)
{
	struct watch w = { .r = r, .command = command, .outcome_fd = -1, .kill_at_ms = NEVER };
	struct err e = ERR(E_OK);

	w.attest_at_ms = clock_boottime_ms() + interval_ms(r);
	while (!w.ended && !failed(e))
		e = step(&w);
	/* The attester among them: a kill at any point leaves what the next visit explains. */
	spawn_reap_all();
	if (w.outcome_fd >= 0)
		(void)close(w.outcome_fd);
	if (failed(e))
		return e;
	*ret_status = exit_status(&w);
	return ERR(E_OK);
}
