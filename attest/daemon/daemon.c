/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/daemon/daemon.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

#include "attest/attest.h"
#include "attest/interval.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/log.h"
#include "base/service.h"
#include "base/unix.h"
#include "protocol/https.h"

#define LOCK_FILE "daemon.lock"
#define SOCKET_MODE 0666          /* whoever is measured may connect, whatever his uid; who that is, conn.c asks the kernel */
#define ATTEST_TIMEOUT_S 3600     /* large models are digested; a verdict that comes later than that is no use */
#define RETRY_MS 5000             /* after an attestation that could not be decided; doubles */
#define RETRY_DOUBLINGS_MAX 4
#define ACCEPTS_MAX 64            /* connections that are taken in one turn */
#define FDS_OWN 64
#define FIRST_MS 10000            /* for containers to be watched before they are digested */
#define LOOK_MS 5000              /* between two looks for containers whose instance somebody else has ended */
#define NEVER UINT64_MAX

/* What of the loop a descriptor belongs to. */
enum source_kind { SOURCE_SIGNAL, SOURCE_LISTEN, SOURCE_ATTEST, SOURCE_RUN, SOURCE_CONN, SOURCE_JOB, SOURCE_WATCHER };
struct source {
	enum source_kind kind;
	struct conn *conn;
	struct container *container;
};
#define SOURCES_MAX (3 + 2 * LIMIT_INSTANCES + CONNS_MAX + JOBS_MAX)
struct sources {
	size_t n;
	struct pollfd fd[SOURCES_MAX];
	struct source of[SOURCES_MAX];
};

/* ---------------------------------------------------------------- attestation */

/* When that kind is due; an own one for each container. NULL: it has ended. */
static uint64_t *due_at(struct daemon *d, enum attest_kind kind)
{
	struct container *c;

	if (kind == ATTEST_ALL)
		return &d->attest_at_ms;
	if (kind == ATTEST_LOG)
		return &d->log_at_ms;
	c = containers_find(&d->containers, d->one);
	return c == NULL ? NULL : &c->digest_at_ms;
}

/* Who has ended is seen by the attestation itself, from the state folder. one: of ATTEST_ONE. */
static void start_attest(struct daemon *d, enum attest_kind kind, struct container *one)
{
	const struct attest_options options = { .measure = kind != ATTEST_LOG, .only = one == NULL ? NULL : one->id };
	uint64_t *due;

	if (one != NULL)
		memcpy(d->one, one->id, sizeof(d->one));
	d->kind = kind;
	due = due_at(d, kind);
	if (failed(job_start(&d->attest, d->host, ATTEST_TIMEOUT_S, serve_attest, &options))) {
		*due = clock_boottime_ms() + RETRY_MS;
		return;
	}
	/* Whichever it is, the log goes with it. */
	d->log_at_ms = *due = NEVER;
	d->abandoned = false;
	if (kind == ATTEST_ALL)
		containers_digested(&d->containers);
}

static uint64_t retry_ms(struct daemon *d)
{
	unsigned n = d->n_undecided < RETRY_DOUBLINGS_MAX ? d->n_undecided : RETRY_DOUBLINGS_MAX;

	d->n_undecided++;
	return interval_jitter((uint64_t)RETRY_MS << n);
}

static void say_outcome(const struct daemon *d)
{
	static const char *const words[] = { [OUTCOME_UNDECIDED] = "could not be decided", [OUTCOME_ACCEPTED] = "accepted",
					     [OUTCOME_REFUSED] = "refused" };

	if (d->last.kind == OUTCOME_ACCEPTED)
		log_info("attestation %s: %s", words[d->last.kind], d->last.text);
	else
		log_warning("attestation %s: %s", words[d->last.kind], d->last.text);
}

/* Not before the others would have it; what has become due meanwhile stays so. */
static void attest_again(struct daemon *d, uint64_t at)
{
	uint64_t *due = due_at(d, d->kind);

	if (due != NULL && at < *due)
		*due = at;
}

/* An undecided one is no verdict: the last one ages by itself, and with it every credential. */
static void end_attest(struct daemon *d)
{
	uint64_t now = clock_boottime_ms();

	outcome_read(buf_bytes(&d->attest.out), &d->last);
	d->last_s = clock_now_s();
	say_outcome(d);
	if (d->last.kind == OUTCOME_UNDECIDED) {
		attest_again(d, now + retry_ms(d));
	} else {
		d->n_undecided = 0;
		if (d->kind == ATTEST_ALL)
			attest_again(d, now + interval_ms(d->host->conf, d->last.expires_s));
		conns_tell(d, &d->last, d->attest.started_ms);
		containers_judge(d, &d->last, d->attest.started_ms);
	}
	buf_clear(&d->attest.out);
}

void daemon_attest_log(struct daemon *d)
{
	uint64_t now = clock_boottime_ms();

	if (d->log_at_ms > now)
		d->log_at_ms = now;
}

static void look_at_instances(struct daemon *d)
{
	struct err e = roster_refresh(&d->roster);

	if (failed(e))
		log_warning("the state folder's instances cannot be read: %s", err_text(e));
}

/* Something has ended without a word: an attestation says so in the log and to the verifier. Whoever has read the roster. */
static void note_ends(struct daemon *d)
{
	if (d->reading == d->roster.reading)
		return;
	d->reading = d->roster.reading;
	if (d->roster.abandoned && !d->abandoned)
		daemon_attest_log(d);
	d->abandoned = d->roster.abandoned;
}

/* ---------------------------------------------------------------- the loop */

static void add(struct sources *s, int fd, short events, struct source of)
{
	s->fd[s->n] = (struct pollfd){ .fd = fd, .events = events };
	s->of[s->n++] = of;
}

static void gather(const struct daemon *d, struct sources *s)
{
	s->n = 0;
	add(s, d->signal_fd, POLLIN, (struct source){ .kind = SOURCE_SIGNAL });
	add(s, d->stopping ? -1 : d->listen_fd, POLLIN, (struct source){ .kind = SOURCE_LISTEN });
	add(s, d->attest.from, POLLIN, (struct source){ .kind = SOURCE_ATTEST });
	for (size_t i = 0; i < d->roster.n; i++)
		add(s, d->roster.entry[i].pidfd, POLLIN, (struct source){ .kind = SOURCE_RUN });
	for (size_t i = 0; i < d->containers.n; i++)
		if (job_active(&d->containers.v[i]->watcher))
			add(s, d->containers.v[i]->watcher.from, POLLIN,
			    (struct source){ .kind = SOURCE_WATCHER, .container = d->containers.v[i] });
	for (size_t i = 0; i < d->conns.n; i++) {
		struct conn *c = d->conns.conn[i];

		/* From a caller that waits for its answer only its end is of interest. */
		add(s, c->fd, c->state == CONN_ASKED || c->state == CONN_WATCH ? POLLIN : 0,
		    (struct source){ .kind = SOURCE_CONN, .conn = c });
		if (job_active(&c->job))
			add(s, c->job.from, POLLIN, (struct source){ .kind = SOURCE_JOB, .conn = c });
	}
}

static void take_signal(struct daemon *d)
{
	struct signalfd_siginfo s;

	if (read(d->signal_fd, &s, sizeof(s)) == sizeof(s))
		d->stopping = true;
}

static void take_connections(struct daemon *d)
{
	for (unsigned i = 0; i < ACCEPTS_MAX && conn_accept(d); i++)
		;
}

static void dispatch(struct daemon *d, const struct sources *s)
{
	bool ended = false;

	for (size_t i = 0; i < s->n; i++) {
		if (s->fd[i].revents == 0)
			continue;
		switch (s->of[i].kind) {
		case SOURCE_SIGNAL:
			take_signal(d);
			break;
		case SOURCE_LISTEN:
			take_connections(d);
			break;
		case SOURCE_ATTEST:
			if (job_read(&d->attest))
				end_attest(d);
			break;
		case SOURCE_RUN:
			ended = true;
			break;
		case SOURCE_CONN:
			conn_ready(d, s->of[i].conn, s->fd[i].revents);
			break;
		case SOURCE_JOB:
			conn_job_ready(d, s->of[i].conn);
			break;
		case SOURCE_WATCHER:
			container_ready(d, s->of[i].container);
			break;
		}
	}
	if (ended)
		look_at_instances(d);
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* The first one waits for containers to be watched, so that no moment is left out. */
static bool may_begin(const struct daemon *d)
{
	return d->last_s != 0 || containers_settled(&d->containers) || clock_boottime_ms() >= d->first_at_ms;
}

/* One at a time: so while one is under way, none is due. Before the first of everything there is no other. */
static uint64_t next_attest_ms(const struct daemon *d)
{
	const struct container *c = containers_due(&d->containers);

	if (job_active(&d->attest))
		return d->attest.deadline_ms;
	if (d->last_s == 0)
		return may_begin(d) ? d->attest_at_ms : d->first_at_ms;
	return sooner(sooner(d->attest_at_ms, d->log_at_ms), c == NULL ? NEVER : c->digest_at_ms);
}

static uint64_t next_ms(const struct daemon *d)
{
	return sooner(sooner(conns_next_ms(&d->conns), containers_next_ms(&d->containers)),
		      sooner(sooner(next_attest_ms(d), d->ping_at_ms), d->containers.n > 0 ? d->look_at_ms : NEVER));
}

static int poll_timeout(const struct daemon *d)
{
	uint64_t at = next_ms(d), now = clock_boottime_ms();

	if (at <= now)
		return 0;
	return at - now > 60000 ? 60000 : (int)(at - now);
}

static void attest_if_due(struct daemon *d, uint64_t now)
{
	struct container *c = containers_due(&d->containers);

	if (d->attest_at_ms <= now)
		start_attest(d, ATTEST_ALL, NULL);
	else if (d->last_s == 0)
		return;
	else if (c != NULL && c->digest_at_ms <= now)
		start_attest(d, ATTEST_ONE, c);
	else if (d->log_at_ms <= now)
		start_attest(d, ATTEST_LOG, NULL);
}

static void pass_timers(struct daemon *d)
{
	uint64_t now = clock_boottime_ms();

	if (d->ping_at_ms <= now) {
		service_notify("WATCHDOG=1");
		d->ping_at_ms = now + d->watchdog_ms / 3;
	}
	if (job_active(&d->attest) && d->attest.deadline_ms <= now) {
		job_kill(&d->attest);
		end_attest(d);
	}
	if (d->look_at_ms <= now) {
		look_at_instances(d);
		d->look_at_ms = now + LOOK_MS;
	}
	if (!job_active(&d->attest) && !d->stopping && may_begin(d))
		attest_if_due(d, now);
}

/* Until a signal, and then until what was begun has come to its end or the grace is over. */
static struct err loop(struct daemon *d, struct sources *s)
{
	uint64_t end_at_ms = NEVER;

	while (!d->stopping || (clock_boottime_ms() < end_at_ms && (job_active(&d->attest) || d->conns.n > 0))) {
		int timeout_ms = d->stopping ? 100 : poll_timeout(d);

		gather(d, s);
		if (poll(s->fd, s->n, timeout_ms) < 0 && errno != EINTR)
			return ERR(E_LOCAL_IO);
		dispatch(d, s);
		note_ends(d);
		containers_tick(d);
		conns_tick(d);
		pass_timers(d);
		if (d->stopping && end_at_ms == NEVER) {
			service_notify("STOPPING=1");
			conns_release(&d->conns);
			end_at_ms = clock_boottime_ms() + (uint64_t)d->host->conf->grace_s * 1000;
		}
	}
	return ERR(E_OK);
}

/* ---------------------------------------------------------------- start and end */

static struct err take_signals(int *ret)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
		return ERR(E_LOCAL_IO);
	(void)sigdelset(&set, SIGHUP); /* there is nothing to read anew: it stays blocked */
	*ret = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return *ret < 0 ? ERR(E_LOCAL_IO) : ERR(E_OK);
}

/* How many connections there can be: two descriptors for each, three for each instance, some for ourselves. */
static size_t most_connections(void)
{
	struct rlimit r;
	size_t n;

	if (getrlimit(RLIMIT_NOFILE, &r) != 0)
		return CONNS_MAX / 8;
	r.rlim_cur = r.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &r) != 0)
		log_debug("the limit of descriptors stays");
	n = r.rlim_cur > 3 * LIMIT_INSTANCES + 2 * FDS_OWN ? (r.rlim_cur - 3 * LIMIT_INSTANCES - FDS_OWN) / 2 : FDS_OWN / 2;
	return n < CONNS_MAX ? n : CONNS_MAX;
}

static struct err lock_alone(struct host *h, int *ret)
{
	struct err e = file_lock(h->state_fd, LOCK_FILE, 0, ret);

	if (e.code == E_LOCAL_TIMEOUT) {
		reason_set(&h->why, "another daemon serves %s", h->conf->state_dir);
		return ERR(E_LOCAL_BUSY);
	}
	return e;
}

static void daemon_done(struct daemon **d)
{
	if (*d == NULL)
		return;
	conns_done(&(*d)->conns);
	containers_done(&(*d)->containers);
	job_done(&(*d)->attest);
	roster_done(&(*d)->roster);
	cleanup_fd_(&(*d)->listen_fd);
	cleanup_fd_(&(*d)->signal_fd);
	free(*d);
}

static struct err daemon_new(struct host *h, struct daemon **ret)
{
	struct daemon *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return ERR(E_LOCAL_MEMORY);
	*d = (struct daemon){ .host = h, .listen_fd = -1, .signal_fd = -1, .attest = JOB_INIT };
	roster_init(h->state_fd, &d->roster);
	d->since_s = clock_now_s();
	d->attest_at_ms = clock_boottime_ms();
	d->first_at_ms = d->attest_at_ms + FIRST_MS;
	d->log_at_ms = NEVER;
	d->watchdog_ms = service_watchdog_ms();
	d->ping_at_ms = d->watchdog_ms == 0 ? NEVER : 0;
	*ret = d;
	return ERR(E_OK);
}

static struct err serve(struct host *h, struct daemon *d)
{
	cleanup_free struct sources *s = calloc(1, sizeof(*s));
	struct err e;

	if (s == NULL)
		return ERR(E_LOCAL_MEMORY);
	d->conns.max = most_connections();
	if (failed(e = take_signals(&d->signal_fd)) ||
	    failed(e = unix_listen(h->conf->socket, SOCK_SEQPACKET, SOCKET_MODE, &d->listen_fd, &h->why)))
		return e;
	look_at_instances(d);
	containers_tick(d);
	log_info("assay-attest daemon serves %s, %zu instances", h->conf->socket, d->roster.n);
	service_notify("READY=1");
	e = loop(d, s);
	(void)unlink(h->conf->socket);
	log_info("assay-attest daemon ends");
	return e;
}

/* Jobs and watchers are children: what each would load and set up for itself, they find done. */
static struct err prepare(void)
{
	uint8_t of_nothing[32];
	struct err e = https_prepare();

	return failed(e) ? e : sha256(BYTES_NONE, of_nothing);
}

struct err daemon_run(struct host *h)
{
	cleanup_fd int lock = -1;
	cleanup(daemon_done) struct daemon *d = NULL;
	struct err e;

	if (geteuid() != 0) {
		reason_set(&h->why, "the daemon must be started by root: it looks at processes of all users");
		return ERR(E_LOCAL_PERMISSION);
	}
	if (failed(e = prepare()) || failed(e = lock_alone(h, &lock)) || failed(e = daemon_new(h, &d)))
		return e;
	return serve(h, d);
}
