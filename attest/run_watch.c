/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/run.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include "attest/daemon/ask.h"
#include "attest/daemon/job.h"
#include "attest/daemon/serve.h"
#include "attest/interval.h"
#include "base/file.h"
#include "base/log.h"

#define RETRY_MS 5000             /* after an attestation that could not be decided */
#define ATTEST_TIMEOUT_S 86400   /* no more than a way out: large models take long, and a verdict that is late ages */
#define WATCH_TIMEOUT_S 2
#define CHANGES_MS 1000           /* between two looks at files to which something is done again and again */
#define NEVER UINT64_MAX

struct watch {
	struct run *r;
	pid_t command;
	struct job attester;
	int daemon_fd;           /* -1: none */
	int status;              /* of the command, as waitpid() */
	bool ended, refused;
	bool changed;            /* files, since the attester under way began */
	uint64_t attest_at_ms, kill_at_ms, changed_ms;
};

/* Digesting and the network take their time, and signals do not wait: so in a child, which reports by itself. */
static void attest_again(struct host *h, const void *ctx, struct buf *out)
{
	const struct run *r = ctx;
	const struct attest_options options = { .measure = true, .only = r->instance.id };
	cleanup(attest_reply_done) struct attest_reply reply = { 0 };
	cleanup_free struct outcome *o = calloc(1, sizeof(*o));
	struct err e;

	if (o == NULL)
		return;
	e = attest(h, &options, &reply);
	if (failed(e)) {
		o->kind = exit_for(e) == EXIT_REJECTED ? OUTCOME_REFUSED : OUTCOME_UNDECIDED;
		run_say(r, o->kind == OUTCOME_REFUSED ? "refused" : "undecided",
			h->why.text[0] != '\0' ? h->why.text : err_text(e), NULL);
	} else if (!attest_accepted(&reply, r->instance.id)) {
		o->kind = OUTCOME_REFUSED;
		run_say(r, "refused", "it is no longer accepted", &reply);
	} else {
		o->kind = OUTCOME_ACCEPTED;
		o->expires_s = reply.expires_s;
	}
	if (failed(outcome_write(o, out)))
		buf_clear(out);
}

/* The daemon attests for all: its verdicts put off our own. */
static void watch_daemon(struct watch *w)
{
	cleanup_request struct request q = { .kind = REQUEST_WATCH };
	cleanup_json json_t *answer = NULL;
	struct reason why = { "" };

	if (w->daemon_fd >= 0)
		return;
	if (failed(ask(w->r->conf->socket, &q, WATCH_TIMEOUT_S, &w->daemon_fd, &answer, &why)))
		log_debug("no verdicts from a daemon: %s", why.text);
}

/* Where it watches, its own attestation is for the case that the daemon hangs: when two thirds are over. */
static uint64_t next_attest_ms(const struct watch *w)
{
	return clock_boottime_ms() + (w->daemon_fd >= 0 ? 2 : 1) * interval_ms(w->r->conf, w->r->expires_s);
}

void run_watch_files(struct run *r)
{
	struct reason why = { "" };
	bool whole = false;
	struct err e;

	changes_free(r->changes);
	r->changes = NULL;
	e = changes_watch(r->instance.image, r->instance.model, &r->changes, &whole, &why);
	if (failed(e) || !whole)
		log_warning("changes are not noticed before the next attestation: %s",
			    why.text[0] != '\0' ? why.text : err_text(e));
}

/* At once, unless the last such look was just now. */
static uint64_t next_look_ms(const struct watch *w)
{
	uint64_t now = clock_boottime_ms(), at = w->changed_ms + CHANGES_MS;

	return now < at ? at : now;
}

/* Digested again, and for that watched anew: what was put in place of something is not watched yet. */
static void take_changes(struct watch *w)
{
	if (!changes_seen(w->r->changes) || w->refused)
		return;
	log_info("instance %s: something was done to its image or model", w->r->id);
	w->changed = true;
	if (!job_active(&w->attester))
		w->attest_at_ms = next_look_ms(w);
}

static void start_attester(struct watch *w)
{
	watch_daemon(w);
	if (w->changed) {
		w->changed = false;
		w->changed_ms = clock_boottime_ms();
		run_watch_files(w->r);
	}
	/* No process to spare now: later. */
	w->attest_at_ms = failed(job_start(&w->attester, w->r->host, ATTEST_TIMEOUT_S, attest_again, w->r)) ?
				  clock_boottime_ms() + RETRY_MS :
				  NEVER;
}

static void refuse(struct watch *w)
{
	w->refused = true;
	w->attest_at_ms = NEVER;
	w->kill_at_ms = clock_boottime_ms() + (uint64_t)w->r->conf->grace_s * 1000;
	if (!w->ended)
		(void)kill(w->command, SIGTERM);
}

static void take_outcome(struct watch *w)
{
	cleanup_free struct outcome *o = calloc(1, sizeof(*o));

	if (!job_read(&w->attester))
		return;
	if (o != NULL)
		outcome_read(buf_bytes(&w->attester.out), o);
	if (o != NULL && o->kind == OUTCOME_REFUSED) {
		refuse(w);
		return;
	}
	/* An undecided one is no verdict: the last one ages by itself, and with it every credential. */
	w->attest_at_ms = clock_boottime_ms() + interval_jitter(RETRY_MS);
	if (o != NULL && o->kind == OUTCOME_ACCEPTED) {
		w->r->expires_s = o->expires_s;
		w->attest_at_ms = next_attest_ms(w);
	}
	if (w->changed)
		w->attest_at_ms = next_look_ms(w);
}

/* {"event": "accepted", "expires"} or {"event": "refused", "reason"}; anything else is none. False: no daemon any more. */
static bool take_event(struct watch *w)
{
	cleanup_json json_t *o = NULL;
	const char *event, *reason;

	if (failed(ask_receive(w->daemon_fd, &o, NULL)))
		return false;
	event = json_string_value(json_object_get(o, "event"));
	if (event == NULL)
		return false;
	if (strcmp(event, "refused") == 0) {
		reason = json_string_value(json_object_get(o, "reason"));
		run_say(w->r, "refused", reason == NULL ? "it is no longer accepted" : reason, NULL);
		refuse(w);
	} else if (strcmp(event, "accepted") == 0 && !w->refused) {
		w->r->expires_s = json_integer_value(json_object_get(o, "expires"));
		/* One of our own that is under way sets its time itself. */
		if (!job_active(&w->attester) && !w->changed)
			w->attest_at_ms = next_attest_ms(w);
	}
	return true;
}

static void take_daemon(struct watch *w)
{
	if (take_event(w))
		return;
	(void)close(take_fd(&w->daemon_fd));
	if (w->attest_at_ms != NEVER && !w->changed)
		w->attest_at_ms = next_attest_ms(w);
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
		if (pid == w->attester.pid)
			job_reaped(&w->attester);
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
				{ .fd = w->attester.from, .events = POLLIN },
				{ .fd = w->daemon_fd, .events = POLLIN },
				{ .fd = w->r->changes == NULL ? -1 : changes_fd(w->r->changes), .events = POLLIN },
				{ .fd = w->r->changes == NULL ? -1 : changes_mounts_fd(w->r->changes), .events = POLLPRI } };

	if (poll(fds, array_len(fds), poll_timeout(w)) < 0 && errno != EINTR)
		return ERR(E_LOCAL_IO);
	if (fds[0].revents != 0)
		take_signal(w);
	if (fds[1].revents != 0)
		take_outcome(w);
	if (fds[2].revents != 0)
		take_daemon(w);
	if (fds[3].revents != 0 || fds[4].revents != 0)
		take_changes(w);
	if (w->ended)
		return ERR(E_OK);
	if (clock_boottime_ms() >= w->kill_at_ms) {
		(void)kill(w->command, SIGKILL);
		w->kill_at_ms = NEVER;
	}
	if (clock_boottime_ms() >= w->attest_at_ms)
		start_attester(w);
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
	struct watch w = { .r = r, .command = command, .attester = JOB_INIT, .daemon_fd = -1, .kill_at_ms = NEVER };
	struct err e = ERR(E_OK);

	watch_daemon(&w);
	w.attest_at_ms = next_attest_ms(&w);
	while (!w.ended && !failed(e))
		e = step(&w);
	/* The attester among them: a kill at any point leaves what the next visit explains. */
	job_done(&w.attester);
	spawn_reap_all();
	if (w.daemon_fd >= 0)
		(void)close(w.daemon_fd);
	if (failed(e))
		return e;
	*ret_status = exit_status(&w);
	return ERR(E_OK);
}
