/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/daemon/conn.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>

#include "attest/daemon/daemon.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/log.h"

#define LOCK_WAIT_S 60 /* for the TPM, where others have it */

static void conn_free(struct conn *c)
{
	cleanup_fd_(&c->fd);
	job_done(&c->job);
	request_done(&c->request);
	caller_done(&c->caller);
	free(c);
}

void conns_done(struct conns *c)
{
	while (c->n > 0)
		conn_free(c->conn[--c->n]);
}

/* ---------------------------------------------------------------- what is sent */

/* One packet, now or not at all: whoever does not read what he asked for is not waited for. */
static bool send_packet(int fd, const struct buf *b)
{
	return send(fd, b->p, b->n, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)b->n;
}

/* The connection is over; the next tick removes it. */
static void hang_up(struct conn *c)
{
	cleanup_fd_(&c->fd);
	c->fd = -1;
}

/* The last packet of a connection. The process that asked must still be there: its descriptor may be in other hands. */
static void conn_reply(struct conn *c, const struct buf *b)
{
	if (c->fd >= 0 && pidfd_alive(c->caller.pidfd) && !send_packet(c->fd, b))
		log_debug("pid %d does not take its answer", (int)c->caller.pid);
	hang_up(c);
}

static void refuse(int fd, struct err why, const struct reason *reason)
{
	cleanup_buf struct buf b = BUF_INIT(REQUEST_MAX);
	const char *text = reason->text[0] != '\0' ? reason->text : err_text(why);

	log_info("refused: %s", text);
	if (!failed(reply_failed(why, text, &b)) && !send_packet(fd, &b))
		log_debug("nobody takes the refusal");
}

static void conn_refuse(struct conn *c, struct err why, const struct reason *reason)
{
	if (c->fd >= 0)
		refuse(c->fd, why, reason);
	hang_up(c);
}

/* ---------------------------------------------------------------- a new one */

static bool same_party(const struct conn *c, const struct caller *x)
{
	if (c->caller.role != x->role)
		return false;
	return x->role == CALLER_ROOT || memcmp(c->caller.instance, x->instance, INSTANCE_ID_LEN) == 0;
}

static struct err check_room(const struct conns *all, const struct caller *x, struct reason *reterr)
{
	size_t n = 0, most = x->role == CALLER_ROOT ? CONNS_OF_ROOT : CONNS_PER_INSTANCE;

	for (size_t i = 0; i < all->n; i++)
		n += same_party(all->conn[i], x);
	if (n < most && all->n < all->max)
		return ERR(E_OK);
	reason_set(reterr, "too many connections at a time: %zu %s, %zu in all", n,
		   x->role == CALLER_ROOT ? "of root" : "of this instance", all->n);
	return ERR(E_LIMIT_RATE);
}

static struct err send_hello(struct conn *c)
{
	cleanup_buf struct buf b = BUF_INIT(REQUEST_MAX);
	cleanup_json json_t *o = NULL;
	struct err e;

	if (failed(e = random_bytes(c->nonce, sizeof(c->nonce))) || failed(e = json_new_object(&o)) ||
	    failed(e = json_put_hex(o, "nonce", BYTES_ARR(c->nonce))) || failed(e = json_write(o, &b)))
		return e;
	return send_packet(c->fd, &b) ? ERR(E_OK) : ERR(E_LOCAL_NETWORK);
}

static void set_state(struct conn *c, enum conn_state state, unsigned timeout_s)
{
	c->state = state;
	c->since_ms = clock_boottime_ms();
	c->deadline_ms = timeout_s == 0 ? 0 : c->since_ms + (uint64_t)timeout_s * 1000;
}

static struct err admit(struct daemon *d, struct conn *c, struct reason *reterr)
{
	const int yes = 1;
	struct err e;

	/* Before the nonce goes out, so that what answers it comes with its sender. */
	if (setsockopt(c->fd, SOL_SOCKET, SO_PASSCRED, &yes, sizeof(yes)) != 0)
		return ERR(E_LOCAL_IO);
	if (failed(e = caller_pin(c->fd, &c->caller, reterr)) ||
	    failed(e = caller_identify(&c->caller, &d->roster, reterr)) ||
	    failed(e = check_room(&d->conns, &c->caller, reterr)) || failed(e = send_hello(c)))
		return e;
	set_state(c, CONN_ASKED, REQUEST_TIMEOUT_S);
	return ERR(E_OK);
}

bool conn_accept(struct daemon *d)
{
	int fd = accept4(d->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct reason why = { "" };
	struct conn *c;
	struct err e;

	if (fd < 0)
		return errno == EINTR || errno == ECONNABORTED;
	c = calloc(1, sizeof(*c));
	if (c == NULL) {
		(void)close(fd);
		return true;
	}
	*c = (struct conn){ .fd = fd, .caller = CALLER_INIT, .job = JOB_INIT };
	e = admit(d, c, &why);
	if (!failed(e)) {
		d->conns.conn[d->conns.n++] = c;
		return true;
	}
	conn_refuse(c, e, &why);
	conn_free(c);
	return true;
}

/* ---------------------------------------------------------------- its request */

static struct err bad_nonce(struct reason *reterr)
{
	reason_set(reterr, "the nonce is not the one that this connection was given");
	return ERR(E_AUTH_NONCE);
}

/* Which of them may ask for what. */
static struct err check_role(const struct conn *c, struct reason *reterr)
{
	static const enum caller_role role[] = {
		[REQUEST_IDENTITY] = CALLER_AGENT, [REQUEST_TOKEN] = CALLER_AGENT, [REQUEST_PROOF] = CALLER_AGENT,
		[REQUEST_REVOKE] = CALLER_AGENT, [REQUEST_CERTIFICATE] = CALLER_AGENT, [REQUEST_TLS_SIGN] = CALLER_AGENT,
		[REQUEST_WATCH] = CALLER_RUN,      [REQUEST_STATUS] = CALLER_ROOT,
		[REQUEST_CONTAINER] = CALLER_ROOT,
	};

	if (c->caller.role == role[c->request.kind])
		return ERR(E_OK);
	reason_set(reterr, "\"%s\" is not for process %d: it is %s", request_name(c->request.kind), (int)c->caller.pid,
		   c->caller.role == CALLER_AGENT ? "part of an instance" :
		   c->caller.role == CALLER_RUN   ? "an assay-attest run" :
						    "not part of an instance");
	return ERR(E_AUTH_REFUSED);
}

static struct err take_request(struct daemon *d, struct conn *c, struct reason *reterr)
{
	cleanup_buf struct buf packet = BUF_INIT(REQUEST_MAX);
	struct err e;

	/* In this order: the packet is taken, and then whoever had the number all the time is looked at. */
	if (failed(e = caller_receive(&c->caller, c->fd, &packet, reterr)) ||
	    failed(e = caller_identify(&c->caller, &d->roster, reterr)))
		return e;
	if (failed(e = request_parse(buf_bytes(&packet), &c->request, reterr)))
		return e;
	if (!bytes_eq_secret(BYTES_ARR(c->request.nonce), BYTES_ARR(c->nonce)))
		return bad_nonce(reterr);
	return check_role(c, reterr);
}

/* ---------------------------------------------------------------- requests that need no job */

static struct err status_answer(const struct daemon *d, json_t **ret)
{
	static const char *const kinds[] = { [OUTCOME_UNDECIDED] = "undecided", [OUTCOME_ACCEPTED] = "accepted",
					     [OUTCOME_REFUSED] = "refused" };
	cleanup_json json_t *o = NULL;
	struct err e;

	if (failed(e = json_new_object(&o)) || failed(e = json_put_int(o, "pid", getpid())) ||
	    failed(e = json_put_int(o, "since", d->since_s)) ||
	    failed(e = json_put_int(o, "instances", (int64_t)d->roster.n)) ||
	    failed(e = json_put_int(o, "connections", (int64_t)d->conns.n)) ||
	    failed(e = containers_put(&d->containers, o)))
		return e;
	if (d->last_s != 0 && (failed(e = json_put_int(o, "attested", d->last_s)) ||
			       failed(e = json_put_str(o, "outcome", kinds[d->last.kind])) ||
			       failed(e = json_put_int(o, "expires", d->last.expires_s)) ||
			       failed(e = reply_put_text(o, "text", d->last.text))))
		return e;
	*ret = take_ptr(&o);
	return ERR(E_OK);
}

static void serve_status(struct daemon *d, struct conn *c)
{
	cleanup_buf struct buf b = BUF_INIT(REQUEST_MAX);
	json_t *answer = NULL;

	if (!failed(status_answer(d, &answer)) && !failed(reply_ok(answer, &b)))
		conn_reply(c, &b);
	else
		hang_up(c);
}

static void serve_watch(struct conn *c)
{
	cleanup_buf struct buf b = BUF_INIT(REQUEST_MAX);

	if (failed(reply_ok(json_object(), &b)) || !send_packet(c->fd, &b))
		hang_up(c);
	else
		set_state(c, CONN_WATCH, 0);
}

/* E_AUTH_*, E_LOCAL_IO: it will not be watched. E_LOCAL_BUSY: it is not known yet. */
static struct err watched(const struct container *x, const struct conn *c, struct reason *reterr)
{
	char hex[INSTANCE_HEX_LEN + 1];

	instance_id_format(c->request.instance, hex);
	if (x == NULL) {
		reason_set(reterr, "there is no container with instance %s that lives", hex);
		return ERR(E_AUTH_UNKNOWN);
	}
	if (x->ending) {
		reason_set(reterr, "the container with instance %s is being ended%s%s", hex,
			   x->why.text[0] != '\0' ? ": " : "", x->why.text);
		return ERR(E_AUTH_REFUSED);
	}
	if (x->inherited) {
		reason_set(reterr, "the daemon was started anew while the container with instance %s was looked at", hex);
		return ERR(E_AUTH_RETRY);
	}
	if (x->watched)
		return ERR(E_OK);
	/* While its watcher lives, a reason may not have come whole. */
	if (x->why.text[0] == '\0' || job_active(&x->watcher))
		return ERR(E_LOCAL_BUSY);
	reason_set(reterr, "the container with instance %s cannot be watched: %s", hex, x->why.text);
	return ERR(E_LOCAL_IO);
}

/* What the hook has digested, it saw unchanged until now: so the first attestation need not do it again. */
static void serve_hook(struct daemon *d, struct conn *c)
{
	struct container *x = containers_find(&d->containers, c->request.instance);
	cleanup_buf struct buf b = BUF_INIT(REQUEST_MAX);
	struct reason why = { "" };
	struct err e = watched(x, c, &why);

	if (e.code == E_LOCAL_BUSY)
		return;
	if (!failed(e) && !failed(e = reply_ok(json_object(), &b))) {
		if (x->fresh)
			x->digest_at_ms = CONTAINER_NEVER;
		x->fresh = false;
		daemon_attest_log(d);
		conn_reply(c, &b);
	} else {
		conn_refuse(c, e, &why);
	}
}

static void serve_hooks(struct daemon *d)
{
	for (size_t i = 0; i < d->conns.n; i++)
		if (d->conns.conn[i]->state == CONN_HOOK && d->conns.conn[i]->fd >= 0)
			serve_hook(d, d->conns.conn[i]);
}

/* Two proofs by the TPM and two requests to the verifier, behind others at the TPM. */
static unsigned job_timeout_s(const struct daemon *d)
{
	return LOCK_WAIT_S + 2 * d->host->conf->timeout_s;
}

void conn_ready(struct daemon *d, struct conn *c, short revents)
{
	struct reason why = { "" };
	struct err e;

	if (c->state != CONN_ASKED) {
		/* It is gone, or says what it was not asked. A job goes on: a TPM command is not broken off for that. */
		if (revents != 0)
			hang_up(c);
		return;
	}
	e = take_request(d, c, &why);
	if (e.code == E_LOCAL_NETWORK)
		hang_up(c);
	else if (failed(e))
		conn_refuse(c, e, &why);
	else if (c->request.kind == REQUEST_STATUS)
		serve_status(d, c);
	else if (c->request.kind == REQUEST_WATCH)
		serve_watch(c);
	else if (c->request.kind == REQUEST_CONTAINER)
		set_state(c, CONN_HOOK, CONTAINER_WATCH_TIMEOUT_S);
	else
		set_state(c, CONN_QUEUED, job_timeout_s(d));
}

/* ---------------------------------------------------------------- jobs */

void conn_job_ready(struct daemon *d, struct conn *c)
{
	const struct reason why = { "the request did not come to its end: see the daemon's log" };
	char hex[INSTANCE_HEX_LEN + 1];

	(void)d;
	if (!job_read(&c->job))
		return;
	instance_id_format(c->caller.instance, hex);
	log_info("instance %s: %s, %" PRIu64 " ms", hex, request_name(c->request.kind),
		 clock_boottime_ms() - c->job.started_ms);
	if (c->job.out.n > 0)
		conn_reply(c, &c->job.out);
	else
		conn_refuse(c, ERR(E_LOCAL_IO), &why);
}

static bool instance_is_served(const struct conns *all, const struct conn *c)
{
	for (size_t i = 0; i < all->n; i++)
		if (all->conn[i]->state == CONN_RUNNING && job_active(&all->conn[i]->job) &&
		    same_party(all->conn[i], &c->caller))
			return true;
	return false;
}

static void start_jobs(struct daemon *d)
{
	size_t running = 0;

	for (size_t i = 0; i < d->conns.n; i++)
		running += job_active(&d->conns.conn[i]->job);
	for (size_t i = 0; i < d->conns.n && running < JOBS_MAX; i++) {
		struct conn *c = d->conns.conn[i];
		struct served s = { .request = &c->request };
		uint64_t now = clock_boottime_ms();

		if (c->state != CONN_QUEUED || c->fd < 0 || c->deadline_ms <= now || instance_is_served(&d->conns, c))
			continue;
		memcpy(s.instance, c->caller.instance, INSTANCE_ID_LEN);
		if (failed(job_start(&c->job, d->host, (unsigned)((c->deadline_ms - now) / 1000 + 1), serve_request, &s)))
			return; /* no process to spare: the next tick tries again */
		c->state = CONN_RUNNING;
		running++;
	}
}

static void pass_deadlines(struct daemon *d)
{
	const struct reason late = { "no request came in time" }, slow = { "the answer could not be made in time" };
	uint64_t now = clock_boottime_ms();

	for (size_t i = 0; i < d->conns.n; i++) {
		struct conn *c = d->conns.conn[i];

		if (c->deadline_ms == 0 || c->deadline_ms > now)
			continue;
		job_kill(&c->job);
		if (c->fd >= 0)
			conn_refuse(c, ERR(E_LOCAL_TIMEOUT), c->state == CONN_ASKED ? &late : &slow);
	}
}

static void remove_ended(struct conns *all)
{
	size_t n = 0;

	for (size_t i = 0; i < all->n; i++) {
		if (all->conn[i]->fd < 0 && !job_active(&all->conn[i]->job))
			conn_free(all->conn[i]);
		else
			all->conn[n++] = all->conn[i];
	}
	all->n = n;
}

void conns_tick(struct daemon *d)
{
	serve_hooks(d);
	pass_deadlines(d);
	remove_ended(&d->conns);
	start_jobs(d);
}

void conns_release(struct conns *all)
{
	for (size_t i = 0; i < all->n; i++)
		if (!job_active(&all->conn[i]->job))
			hang_up(all->conn[i]);
	remove_ended(all);
}

uint64_t conns_next_ms(const struct conns *all)
{
	uint64_t at = UINT64_MAX;

	for (size_t i = 0; i < all->n; i++)
		if (all->conn[i]->deadline_ms != 0 && all->conn[i]->deadline_ms < at)
			at = all->conn[i]->deadline_ms;
	return at;
}

/* ---------------------------------------------------------------- verdicts */

static bool is_accepted(const struct outcome *o, const uint8_t id[INSTANCE_ID_LEN])
{
	for (size_t i = 0; i < o->n_accepted; i++)
		if (memcmp(o->accepted[i], id, INSTANCE_ID_LEN) == 0)
			return true;
	return false;
}

static struct err event_write(const struct outcome *o, bool accepted, struct buf *ret)
{
	cleanup_json json_t *j = NULL;
	struct err e;

	if (failed(e = json_new_object(&j)) ||
	    failed(e = json_put_str(j, "event", accepted ? "accepted" : "refused")) ||
	    failed(e = accepted ? json_put_int(j, "expires", o->expires_s) : reply_put_text(j, "reason", o->text)))
		return e;
	return json_write(j, ret);
}

void conns_tell(struct daemon *d, const struct outcome *o, uint64_t since_ms)
{
	for (size_t i = 0; i < d->conns.n; i++) {
		cleanup_buf struct buf b = BUF_INIT(REQUEST_MAX);
		struct conn *c = d->conns.conn[i];

		if (c->state != CONN_WATCH || c->fd < 0 || c->since_ms >= since_ms)
			continue;
		if (failed(event_write(o, is_accepted(o, c->caller.instance), &b)) || !send_packet(c->fd, &b))
			hang_up(c);
	}
}
