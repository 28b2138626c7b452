/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Refusals that need no body come before it: path, method, media type, length.
 * What comes without a length is cut at the route's limit.
 */
#include "verifier/serve/exchange.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "base/unix.h"

/* Bytes behind a body that is over its limit, or over the budget, that are read so that the answer arrives. */
#define DISCARD_MAX (256 * KIB)

struct exchange {
	struct pool_job job;              /* first: run by a worker */
	struct listener *l;
	struct MHD_Connection *c;
	struct peer *peer;                /* or NULL */
	char id[24];
	uint64_t started_us;
	const struct route *route;        /* NULL: refused before it was found */
	const char *method, *path;        /* libmicrohttpd's, for the life of the request */
	char media_type[80];
	struct request q;
	const char *content_length;
	bool chunked, has_query;
	struct buf body;
	size_t reserved, discarded;
	struct err refused;               /* of the body while it comes in */
	struct reply reply;
	bool answered;
};

static uint64_t now_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void set_deadline(const struct exchange *x, uint64_t deadline_ms)
{
	if (x->peer != NULL)
		peers_deadline(&x->l->s->peers, x->peer, deadline_ms);
}

static struct peer *peer_of(struct MHD_Connection *c)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info == NULL ? NULL : info->socket_context;
}

/* --- the head --- */

static enum MHD_Result take_header(void *cls, enum MHD_ValueKind kind, const char *key, const char *value)
{
	struct exchange *x = cls;
	size_t n;

	(void)kind;
	if (value == NULL)
		return MHD_YES;
	if (strcasecmp(key, "Content-Type") == 0) {
		n = strcspn(value, "; \t");
		(void)snprintf(x->media_type, sizeof(x->media_type), "%.*s", (int)(n < 256 ? n : 256), value);
		x->q.content_type = x->media_type;
	} else if (strcasecmp(key, "Content-Length") == 0) {
		x->content_length = value;
	} else if (strcasecmp(key, "Transfer-Encoding") == 0) {
		x->chunked = true;
	} else if (strcasecmp(key, "Authorization") == 0) {
		x->q.authorization = value;
		x->q.n_authorization++;
	} else if (strcasecmp(key, "DPoP") == 0) {
		x->q.dpop = value;
		x->q.n_dpop++;
	}
	return MHD_YES;
}

static enum MHD_Result take_argument(void *cls, enum MHD_ValueKind kind, const char *key, const char *value)
{
	struct exchange *x = cls;

	(void)kind;
	if (x->l->admin && strcmp(key, "host") == 0 && value != NULL && x->q.query_host == NULL)
		x->q.query_host = value;
	else
		x->has_query = true;
	return MHD_YES;
}

/* A body whose length is told is refused before its first byte; two ways of telling it are an attack. */
static struct err check_length(struct exchange *x)
{
	uint64_t n;

	if (x->content_length == NULL)
		return ERR(E_OK);
	if (x->chunked || failed(parse_u64(x->content_length, SIZE_MAX, &n)))
		return ERR(E_PEER_SYNTAX);
	return n > x->route->limit ? ERR(E_LIMIT_SIZE) : ERR(E_OK);
}

static struct err check_peer(struct exchange *x)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(x->c, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct ucred peer;
	struct err e;

	if (!x->l->admin)
		return ERR(E_OK);
	if (info == NULL)
		return ERR(E_LOCAL_NETWORK);
	if (failed(e = unix_peer(info->connect_fd, &peer)))
		return e;
	x->q.peer_uid = peer.uid;
	x->q.has_peer = true;
	return verifier_admits(x->l->s->v, x->q.peer_uid) ? ERR(E_OK) : ERR(E_AUTH_REFUSED);
}

static struct err check_head(struct exchange *x)
{
	struct err e;

	if (atomic_load(&x->l->s->stopping))
		return ERR(E_LOCAL_BUSY);
	if (failed(e = route_find(x->l->admin, x->method, x->path, x->q.content_type, &x->route)))
		return e;
	if (x->has_query)
		return ERR(E_PEER_UNKNOWN_KEY);
	if (failed(e = check_length(x)))
		return e;
	return check_peer(x);
}

/* --- the answer --- */

static bool add_header(struct MHD_Response *r, const char *name, const char *value)
{
	return value == NULL || value[0] == '\0' || MHD_add_response_header(r, name, value) == MHD_YES;
}

static bool add_number(struct MHD_Response *r, const char *name, const char *before, unsigned long n)
{
	char text[64];

	(void)snprintf(text, sizeof(text), "%s%lu", before, n);
	return n == 0 || add_header(r, name, text);
}

static bool add_headers(const struct exchange *x, struct MHD_Response *r)
{
	const struct reply *p = &x->reply;
	const char *allow = p->status == 405 ? route_allow(x->l->admin, x->path) : NULL;

	return add_header(r, "Content-Type", p->content_type) && add_header(r, "X-Request-Id", x->id) &&
	       add_header(r, "Cache-Control", p->max_age_s > 0 ? NULL : "no-store") &&
	       add_number(r, "Cache-Control", "max-age=", (unsigned long)p->max_age_s) &&
	       add_header(r, "DPoP-Nonce", p->dpop_nonce) && add_header(r, "WWW-Authenticate", p->www_authenticate) &&
	       add_number(r, "Retry-After", "", p->retry_after_s) && add_header(r, "Allow", allow) &&
	       (!atomic_load(&x->l->s->stopping) || add_header(r, "Connection", "close"));
}

static enum MHD_Result send_reply(struct exchange *x)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(x->reply.body.n, x->reply.body.p,
								 MHD_RESPMEM_MUST_COPY);
	enum MHD_Result ok = MHD_NO;

	if (r == NULL)
		return MHD_NO;
	set_deadline(x, clock_boottime_ms() + 2 * x->l->s->phase_ms);
	if (add_headers(x, r))
		ok = MHD_queue_response(x->c, x->reply.status, r);
	MHD_destroy_response(r);
	return ok;
}

static enum MHD_Result refuse(struct exchange *x, struct err e)
{
	reply_error(x->route, e, NULL, &x->reply);
	x->answered = true;
	return send_reply(x);
}

/* --- the body --- */

static void release_body(struct exchange *x)
{
	(void)atomic_fetch_sub(&x->l->s->body_bytes, x->reserved);
	x->reserved = 0;
	buf_free(&x->body);
}

static struct err take_body(struct exchange *x, const char *data, size_t n)
{
	if (n > x->route->limit - x->body.n)
		return ERR(E_LIMIT_SIZE);
	x->reserved += n;
	if (atomic_fetch_add(&x->l->s->body_bytes, n) > BODY_BUDGET - n)
		return ERR(E_LOCAL_BUSY);
	return buf_add(&x->body, BYTES(data, n));
}

static enum MHD_Result on_body(struct exchange *x, const char *data, size_t *n)
{
	if (!failed(x->refused)) {
		x->refused = take_body(x, data, *n);
		if (failed(x->refused))
			release_body(x);
	} else if (*n > DISCARD_MAX - x->discarded) {
		return MHD_NO;
	} else {
		x->discarded += *n;
	}
	*n = 0;
	return MHD_YES;
}

/* --- the work --- */

static void run_route(struct exchange *x)
{
	x->q.body = buf_bytes(&x->body);
	x->q.now_s = clock_now_s();
	route_run(x->l->s->v, x->route, &x->q, &x->reply);
	x->answered = true;
	release_body(x);
}

static void run_on_worker(struct pool_job *j)
{
	struct exchange *x = (struct exchange *)j;
	struct MHD_Connection *c = x->c;

	run_route(x);
	/* From here on the exchange belongs to the connection's thread again. */
	MHD_resume_connection(c);
}

static enum MHD_Result on_complete(struct exchange *x)
{
	struct err e;

	if (failed(x->refused))
		return refuse(x, x->refused);
	set_deadline(x, PEER_BUSY);
	if (!x->route->writes) {
		run_route(x);
		return send_reply(x);
	}
	x->job.run = run_on_worker;
	/* Before it is queued, because a worker may be faster than we are. */
	MHD_suspend_connection(x->c);
	if (failed(e = pool_add(x->l->s->pool, &x->job))) {
		reply_error(x->route, e, NULL, &x->reply);
		x->answered = true;
		MHD_resume_connection(x->c);
	}
	return MHD_YES;
}

/* --- libmicrohttpd's side --- */

static struct exchange *exchange_new(struct listener *l, struct MHD_Connection *c, const char *url, const char *method)
{
	struct exchange *x = calloc(1, sizeof(*x));

	if (x == NULL)
		return NULL;
	x->l = l;
	x->c = c;
	x->peer = peer_of(c);
	x->started_us = now_us();
	x->method = method;
	x->path = url;
	x->q.method = method;
	x->q.path = url;
	(void)snprintf(x->id, sizeof(x->id), "%08x-%u", l->s->id_prefix, atomic_fetch_add(&l->s->id_next, 1));
	reply_init(&x->reply);
	(void)pthread_mutex_lock(&l->s->lock);
	l->s->n_exchanges++;
	(void)pthread_mutex_unlock(&l->s->lock);
	return x;
}

static enum MHD_Result on_head(struct listener *l, struct MHD_Connection *c, const char *url, const char *method,
			       void **context)
{
	struct exchange *x = exchange_new(l, c, url, method);
	struct err e;

	if (x == NULL)
		return MHD_NO;
	*context = x;
	set_deadline(x, clock_boottime_ms() + 2 * l->s->phase_ms);
	(void)MHD_get_connection_values(c, MHD_HEADER_KIND, take_header, x);
	(void)MHD_get_connection_values(c, MHD_GET_ARGUMENT_KIND, take_argument, x);
	if (failed(e = check_head(x)))
		return refuse(x, e);
	buf_init(&x->body, x->route->limit);
	return MHD_YES;
}

enum MHD_Result exchange_access(void *cls, struct MHD_Connection *c, const char *url, const char *method,
				const char *version, const char *data, size_t *data_size, void **context)
{
	struct exchange *x = *context;

	(void)version;
	if (x == NULL)
		return on_head(cls, c, url, method, context);
	if (x->answered)
		return send_reply(x);
	if (*data_size > 0)
		return on_body(x, data, data_size);
	return on_complete(x);
}

/* One line per decision. Never what was sent, and foreign text only quoted. */
static void log_exchange(const struct exchange *x, uint64_t us)
{
	const struct reply *p = &x->reply;
	bool quiet = x->route != NULL && x->route->media_type == NULL && p->status < 400;
	char uid[24] = "";

	if (x->q.has_peer)
		(void)snprintf(uid, sizeof(uid), " uid %u", x->q.peer_uid);
	log_line(p->status >= 500 ? LOG_LEVEL_ERROR : quiet ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO,
		 "request %s %s %s status %u%s%s%s%s%s%s%s in %zu out %zu ms %llu%s%s", x->id,
		 x->route != NULL ? x->route->method : "-", x->route != NULL ? x->route->path : log_quote(bytes_str(x->path)),
		 p->status, uid, p->log_host[0] != '\0' ? " host " : "", log_quote(bytes_str(p->log_host)),
		 p->log_verdict[0] != '\0' ? " verdict " : "", p->log_verdict, p->log_check[0] != '\0' ? " check " : "",
		 p->log_check, x->q.body.n, p->body.n, (unsigned long long)(us / 1000), p->why.text[0] != '\0' ? ": " : "",
		 p->why.text);
}

void exchange_completed(void *cls, struct MHD_Connection *c, void **context, enum MHD_RequestTerminationCode code)
{
	struct listener *l = cls;
	struct exchange *x = *context;
	uint64_t us;

	(void)c;
	if (x == NULL)
		return;
	*context = NULL;
	us = now_us() - x->started_us;
	if (x->answered) {
		verifier_count(l->s->v, x->route, x->reply.status, us);
		log_exchange(x, us);
	} else {
		log_debug("request %s ended early (%d)", x->id, (int)code);
	}
	set_deadline(x, clock_boottime_ms() + l->s->phase_ms);
	release_body(x);
	reply_done(&x->reply);
	free(x);
	(void)pthread_mutex_lock(&l->s->lock);
	if (--l->s->n_exchanges == 0)
		(void)pthread_cond_broadcast(&l->s->idle);
	(void)pthread_mutex_unlock(&l->s->lock);
}
