/* SPDX-License-Identifier: Apache-2.0 */
#include "verifier/serve/http.h"

#include <errno.h>
#include <microhttpd.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "verifier/serve/exchange.h"

#define CONNECTION_MEMORY ((size_t)48 * 1024) /* head of a request and buffers; proofs and tokens are in heads */
#define QUEUE_MAX 1024
#define ADMIN_CONNECTIONS 64u
/* TLS 1.2 and later, without RSA key exchange. */
#define PRIORITIES "SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-RSA:%SERVER_PRECEDENCE"

static void on_panic(void *cls, const char *file, unsigned line, const char *reason)
{
	(void)cls;
	log_error("libmicrohttpd gave up: %s:%u: %s", file, line, reason == NULL ? "" : reason);
	abort();
}

static void on_log(void *cls, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
static void on_log(void *cls, const char *fmt, va_list ap)
{
	char text[256];

	(void)cls;
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	log_debug("libmicrohttpd: %s", log_quote(bytes_str(text)));
}

/* Paths are matched as they were sent: two spellings of one path would be two front doors. */
static size_t keep_escapes(void *cls, struct MHD_Connection *c, char *s)
{
	(void)cls;
	(void)c;
	return strlen(s);
}

static void on_connection(void *cls, struct MHD_Connection *c, void **context, enum MHD_ConnectionNotificationCode code)
{
	struct listener *l = cls;
	const union MHD_ConnectionInfo *info;
	struct peer *peer = *context;

	if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
		if (peer != NULL)
			peers_remove(&l->s->peers, peer);
		free(peer);
		*context = NULL;
		return;
	}
	info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
	peer = info == NULL ? NULL : calloc(1, sizeof(*peer));
	if (peer != NULL)
		peers_add(&l->s->peers, peer, info->connect_fd, clock_boottime_ms() + l->s->phase_ms);
	*context = peer;
}

static struct err start_tls(struct server *s, const struct server_spec *spec, struct reason *reterr)
{
	const struct verifier_config *c = spec->config;
	const unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME |
			       MHD_USE_ERROR_LOG | MHD_USE_TLS;

	s->tcp.s = s;
	s->tcp.daemon = MHD_start_daemon(
		flags, 0, NULL, NULL, exchange_access, &s->tcp, MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL,
		MHD_OPTION_LISTEN_SOCKET, spec->tcp_fd, MHD_OPTION_THREAD_POOL_SIZE, c->threads,
		MHD_OPTION_CONNECTION_LIMIT, c->max_connections, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
		c->max_connections_per_ip, MHD_OPTION_CONNECTION_TIMEOUT, c->timeout_s,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY, MHD_OPTION_STRICT_FOR_CLIENT, 1,
		MHD_OPTION_NOTIFY_COMPLETED, exchange_completed, &s->tcp, MHD_OPTION_NOTIFY_CONNECTION, on_connection,
		&s->tcp, MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL, MHD_OPTION_HTTPS_MEM_CERT, spec->cert_pem,
		MHD_OPTION_HTTPS_MEM_KEY, spec->key_pem, MHD_OPTION_HTTPS_PRIORITIES, PRIORITIES, MHD_OPTION_END);
	if (s->tcp.daemon != NULL)
		return ERR(E_OK);
	reason_set(reterr, "the HTTPS listener does not start: certificate and key must be PEM and fit each other");
	return ERR(E_LOCAL_NETWORK);
}

static struct err start_admin(struct server *s, const struct server_spec *spec, struct reason *reterr)
{
	const unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME |
			       MHD_USE_ERROR_LOG;

	s->unix_socket.s = s;
	s->unix_socket.admin = true;
	s->unix_socket.daemon = MHD_start_daemon(
		flags, 0, NULL, NULL, exchange_access, &s->unix_socket, MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL,
		MHD_OPTION_LISTEN_SOCKET, spec->unix_fd, MHD_OPTION_CONNECTION_LIMIT, ADMIN_CONNECTIONS,
		MHD_OPTION_CONNECTION_TIMEOUT, spec->config->timeout_s, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		CONNECTION_MEMORY, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_NOTIFY_COMPLETED, exchange_completed,
		&s->unix_socket, MHD_OPTION_NOTIFY_CONNECTION, on_connection, &s->unix_socket,
		MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL, MHD_OPTION_END);
	if (s->unix_socket.daemon != NULL)
		return ERR(E_OK);
	reason_set(reterr, "the admin listener does not start");
	return ERR(E_LOCAL_NETWORK);
}

static void stop_listener(struct listener *l)
{
	if (l->daemon != NULL)
		MHD_stop_daemon(l->daemon);
	l->daemon = NULL;
}

static void server_free(struct server *s)
{
	/* Workers first: they answer what still waits, and no connection may be suspended when its daemon stops. */
	pool_free(s->pool);
	stop_listener(&s->tcp);
	stop_listener(&s->unix_socket);
	peers_done(&s->peers);
	(void)pthread_mutex_destroy(&s->lock);
	(void)pthread_cond_destroy(&s->idle);
	free(s);
}
DEFINE_CLEANUP(struct server, cleanup_server_, server_free)

struct err server_start(const struct server_spec *spec, struct server **ret, struct reason *reterr)
{
	struct server *s cleanup(cleanup_server_) = calloc(1, sizeof(*s));
	struct err e;

	if (s == NULL)
		return ERR(E_LOCAL_MEMORY);
	MHD_set_panic_func(on_panic, NULL);
	s->v = spec->verifier;
	s->phase_ms = 1000ull * spec->config->timeout_s;
	peers_init(&s->peers);
	(void)pthread_mutex_init(&s->lock, NULL);
	(void)pthread_cond_init(&s->idle, NULL);
	reason_set(reterr, "the server does not start");
	if (failed(e = random_bytes((uint8_t *)&s->id_prefix, sizeof(s->id_prefix))) ||
	    failed(e = pool_new(spec->config->workers, QUEUE_MAX, &s->pool)))
		return e;
	if (spec->tcp_fd >= 0 && failed(e = start_tls(s, spec, reterr)))
		return e;
	if (spec->unix_fd >= 0 && failed(e = start_admin(s, spec, reterr)))
		return e;
	*ret = take_ptr(&s);
	return ERR(E_OK);
}

void server_check(struct server *s)
{
	size_t n = peers_check(&s->peers, clock_boottime_ms());

	if (n > 0)
		log_debug("%zu connections were over their time", n);
}

bool server_is_busy(struct server *s)
{
	bool busy;

	(void)pthread_mutex_lock(&s->lock);
	busy = s->n_exchanges > 0;
	(void)pthread_mutex_unlock(&s->lock);
	return busy;
}

/* Hands the listening socket back; without it nobody new gets in. */
static void quiesce(struct listener *l)
{
	MHD_socket fd;

	if (l->daemon == NULL)
		return;
	fd = MHD_quiesce_daemon(l->daemon);
	if (fd != MHD_INVALID_SOCKET)
		(void)close(fd);
}

static void wait_idle(struct server *s, unsigned drain_ms)
{
	struct timespec until;

	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += drain_ms / 1000;
	until.tv_nsec += (long)(drain_ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	(void)pthread_mutex_lock(&s->lock);
	while (s->n_exchanges > 0)
		if (pthread_cond_timedwait(&s->idle, &s->lock, &until) == ETIMEDOUT)
			break;
	if (s->n_exchanges > 0)
		log_warning("%zu requests were not finished in time", s->n_exchanges);
	(void)pthread_mutex_unlock(&s->lock);
}

void server_stop(struct server *s, unsigned drain_ms)
{
	if (s == NULL)
		return;
	atomic_store(&s->stopping, true);
	quiesce(&s->tcp);
	quiesce(&s->unix_socket);
	wait_idle(s, drain_ms);
	server_free(s);
}
