/* SPDX-License-Identifier: Apache-2.0 */
/* The service over real sockets: what is refused before the body, what slow and silent peers cost, and the end. */
#include "unit.h"

#include <pthread.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/unix.h"
#include "config.h"
#include "tests/support/service_fixture.h"
#include "tests/support/tls_client.h"
#include "verifier/serve/dev.h"
#include "verifier/serve/http.h"
#include "verifier/serve/listen.h"
#include "verifier/serve/pool.h"

#define N_SILENT 500
#define SILENT_FROM "127.0.0.2"

/* A service with its listeners, and a thread that looks at the deadlines as main() does. */
struct site {
	struct service *s;
	struct server *server;
	struct buf ca, cert, key;
	const char *ca_pem, *cert_pem, *key_pem;
	char socket[100];
	uint16_t port;
	pthread_t clock;
	pthread_mutex_t lock;
	pthread_cond_t stop;
	bool stopping;
};

static void *look(void *arg)
{
	struct site *t = arg;
	struct timespec until;

	(void)pthread_mutex_lock(&t->lock);
	while (!t->stopping) {
		(void)clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += 100000000;
		if (until.tv_nsec >= 1000000000) {
			until.tv_sec++;
			until.tv_nsec -= 1000000000;
		}
		(void)pthread_cond_timedwait(&t->stop, &t->lock, &until);
		server_check(t->server);
	}
	(void)pthread_mutex_unlock(&t->lock);
	return NULL;
}

static struct site *site_new(unsigned timeout_s, unsigned per_address)
{
	struct site *t = calloc(1, sizeof(*t));
	struct server_spec spec = { .tcp_fd = -1, .unix_fd = -1 };
	struct reason why = { "" };
	int dir_fd;

	assert_non_null(t);
	t->s = service_new();
	t->s->c.timeout_s = timeout_s;
	t->s->c.max_connections_per_ip = per_address;
	t->s->c.max_connections = 1024;
	buf_init(&t->ca, 65536);
	buf_init(&t->cert, 65536);
	buf_init(&t->key, 65536);
	assert_ok(dir_open(AT_FDCWD, t->s->dir, &dir_fd));
	assert_ok(dev_tls(dir_fd, LAB_ISSUER, clock_now_s(), &t->cert, &t->key, &why));
	assert_ok(file_read(dir_fd, DEV_CA_FILE, &t->ca));
	assert_ok(buf_cstr(&t->ca, &t->ca_pem));
	assert_ok(buf_cstr(&t->cert, &t->cert_pem));
	assert_ok(buf_cstr(&t->key, &t->key_pem));
	assert_int_equal(close(dir_fd), 0);
	(void)snprintf(t->socket, sizeof(t->socket), "%s/admin.sock", t->s->dir);
	assert_ok(listen_tcp("127.0.0.1:0", &spec.tcp_fd, &t->port, &why));
	assert_ok(unix_listen(t->socket, SOCK_STREAM, 0660, &spec.unix_fd, &why));
	spec.verifier = t->s->v;
	spec.config = &t->s->c;
	spec.cert_pem = t->cert_pem;
	spec.key_pem = t->key_pem;
	assert_ok(server_start(&spec, &t->server, &why));
	assert_int_equal(pthread_mutex_init(&t->lock, NULL), 0);
	assert_int_equal(pthread_cond_init(&t->stop, NULL), 0);
	assert_int_equal(pthread_create(&t->clock, NULL, look, t), 0);
	return t;
}

static void site_free(struct site *t)
{
	(void)pthread_mutex_lock(&t->lock);
	t->stopping = true;
	(void)pthread_cond_signal(&t->stop);
	(void)pthread_mutex_unlock(&t->lock);
	(void)pthread_join(t->clock, NULL);
	(void)pthread_mutex_destroy(&t->lock);
	(void)pthread_cond_destroy(&t->stop);
	server_stop(t->server, 5000);
	buf_free(&t->ca);
	buf_free(&t->cert);
	buf_free(&t->key);
	service_free(t->s);
	free(t);
}
DEFINE_CLEANUP(struct site, cleanup_site_, site_free)
#define cleanup_site cleanup(cleanup_site_)

static char answer[65536];

/* One request on a connection of its own. */
static int ask(struct site *t, const char *request)
{
	cleanup_tls_client struct tls_client *c = tls_client_new(t->port, t->ca_pem);

	assert_non_null(c);
	return tls_client_ask(c, request, answer, sizeof(answer));
}

#define HEAD(line) line " HTTP/1.1\r\nHost: localhost\r\n"

static void test_gate(void **state)
{
	static const struct {
		const char *request;
		int want;
		const char *header;
	} rows[] = {
		{ HEAD("GET /healthz") "\r\n", 200, "Content-Type: text/plain" },
		{ HEAD("GET /v1/jwks") "\r\n", 200, "Cache-Control: max-age=" },
		{ HEAD("GET /metrics") "\r\n", 200, "Cache-Control: no-store" },
		{ HEAD("GET /nowhere") "\r\n", 404, "application/problem+json" },
		{ HEAD("GET /v1/%6awks") "\r\n", 404, "X-Request-Id: " },
		{ HEAD("GET //healthz") "\r\n", 404, "problem" },
		{ HEAD("GET /v1/admin/hosts") "\r\n", 404, "problem" },
		{ HEAD("GET /healthz?verbose=1") "\r\n", 400, "E_PEER_UNKNOWN_KEY" },
		{ HEAD("GET /v1/token") "\r\n", 405, "Allow: POST" },
		{ HEAD("DELETE /v1/jwks") "\r\n", 405, "Allow: GET" },
		{ HEAD("POST /v1/challenge") "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}", 415, "problem" },
		{ HEAD("POST /v1/challenge") "Content-Length: 2\r\n\r\n{}", 415, "problem" },
		{ HEAD("POST /v1/challenge") "Content-Type: application/json; charset=utf-8\r\nContent-Length: 2\r\n\r\n{}",
		  400, "E_PEER_MISSING" },
		{ HEAD("POST /v1/token") "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 1\r\n\r\na",
		  400, "\"error\":" },
		{ HEAD("POST /v1/introspect") "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 1\r\n\r\na",
		  401, "WWW-Authenticate: Basic" },
	};
	cleanup_site struct site *t = site_new(10, 64);

	(void)state;
	for (size_t i = 0; i < array_len(rows); i++) {
		int status = ask(t, rows[i].request);

		if (status != rows[i].want || strstr(answer, rows[i].header) == NULL)
			fail_msg("%.60s: %d %s", rows[i].request, status, answer);
	}
}

/* 64 MiB, as told by Content-Length: refused with not one byte of it sent. */
static void test_length_is_refused_before_the_body(void **state)
{
	static const struct {
		const char *path, *type;
		size_t limit;
	} rows[] = {
		{ "/v1/attest", EVIDENCE_MEDIA_TYPE, LIMIT_EVIDENCE },
		{ "/v1/challenge", JSON_TYPE, LIMIT_SMALL },
		{ "/v1/token", FORM_TYPE, LIMIT_SMALL },
	};
	cleanup_site struct site *t = site_new(10, 64);

	(void)state;
	for (size_t i = 0; i < array_len(rows); i++) {
		const size_t lengths[] = { rows[i].limit + 1, 64 * MIB };

		for (size_t k = 0; k < array_len(lengths); k++) {
			char head[256];

			(void)snprintf(head, sizeof(head), HEAD("POST %s") "Content-Type: %s\r\nContent-Length: %zu\r\n\r\n",
				       rows[i].path, rows[i].type, lengths[k]);
			assert_int_equal(ask(t, head), 413);
		}
	}
	/* A number that is none, and two ways of telling the length. */
	assert_int_not_equal(ask(t, HEAD("POST /v1/challenge") "Content-Type: application/json\r\n"
							       "Content-Length: 18446744073709551617\r\n\r\n"),
			     200);
	assert_int_equal(ask(t, HEAD("POST /v1/challenge") "Content-Type: application/json\r\nContent-Length: 2\r\n"
							   "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"),
			 400);
}

/* A body of unknown length is cut at the limit: a refusal, or a closed door, and never more memory. */
static void test_endless_body(void **state)
{
	cleanup_site struct site *t = site_new(10, 64);
	cleanup_tls_client struct tls_client *c = tls_client_new(t->port, t->ca_pem);
	static char chunk[8192 + 16];
	size_t sent = 0;
	int status;

	(void)state;
	assert_non_null(c);
	assert_true(tls_client_send(c, HEAD("POST /v1/challenge") "Content-Type: application/json\r\n"
								    "Transfer-Encoding: chunked\r\n\r\n",
				    strlen(HEAD("POST /v1/challenge") "Content-Type: application/json\r\n"
								      "Transfer-Encoding: chunked\r\n\r\n")));
	memcpy(chunk, "2000\r\n", 6);
	memset(chunk + 6, ' ', 8192);
	memcpy(chunk + 6 + 8192, "\r\n", 2);
	while (sent < 64 * MIB && tls_client_send(c, chunk, 8192 + 8))
		sent += 8192;
	/* The door closed long before the end. */
	assert_true(sent < 16 * MIB);

	/* One that ends a little behind the limit gets its answer. */
	{
		cleanup_tls_client struct tls_client *d = tls_client_new(t->port, t->ca_pem);

		assert_non_null(d);
		(void)tls_client_send(d, HEAD("POST /v1/challenge") "Content-Type: application/json\r\n"
								     "Transfer-Encoding: chunked\r\n\r\n",
				      strlen(HEAD("POST /v1/challenge") "Content-Type: application/json\r\n"
									"Transfer-Encoding: chunked\r\n\r\n"));
		for (int i = 0; i < 9; i++)
			assert_true(tls_client_send(d, chunk, 8192 + 8));
		assert_true(tls_client_send(d, "0\r\n\r\n", 5));
		status = tls_client_answer(d, answer, sizeof(answer), 10000);
		assert_int_equal(status, 413);
	}
}

/* Keep-alive: several requests, one connection; a proof header that comes twice is counted. */
static void test_one_connection(void **state)
{
	cleanup_site struct site *t = site_new(10, 64);
	cleanup_tls_client struct tls_client *c = tls_client_new(t->port, t->ca_pem);

	(void)state;
	assert_non_null(c);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(tls_client_ask(c, HEAD("GET /healthz") "\r\n", answer, sizeof(answer)), 200);
		assert_int_equal(tls_client_ask(c,
						HEAD("POST /v1/token")
						"Content-Type: application/x-www-form-urlencoded\r\nDPoP: a.b.c\r\n"
						"dpop: a.b.c\r\nContent-Length: 110\r\n\r\n" SERVICE_FORM,
						answer, sizeof(answer)),
				 400);
		assert_non_null(strstr(answer, "expected one DPoP header, saw 2"));
	}
}

/* The whole length of SERVICE_FORM stands in the test above. */
_Static_assert(sizeof(SERVICE_FORM) - 1 == 110, "Content-Length of SERVICE_FORM");

/* V10: a peer that sends a byte now and then is cut off when its phase is over, in the head and in the body. */
static void test_slow_peers(void **state)
{
	static const char *const starts[] = {
		"GET /hea",
		HEAD("POST /v1/challenge") "Content-Type: application/json\r\nContent-Length: 60000\r\n\r\n{",
	};
	cleanup_site struct site *t = site_new(1, 64);

	(void)state;
	for (size_t i = 0; i < array_len(starts); i++) {
		cleanup_tls_client struct tls_client *c = tls_client_new(t->port, t->ca_pem);
		uint64_t began = clock_boottime_ms();
		int status = -1;

		assert_non_null(c);
		assert_true(tls_client_send(c, starts[i], strlen(starts[i])));
		while (status == -1 && clock_boottime_ms() - began < 30000) {
			if (!tls_client_send(c, " ", 1))
				status = 0;
			else
				status = tls_client_answer(c, answer, sizeof(answer), 200);
		}
		assert_true(status == 0 || status == 408);
		assert_true(clock_boottime_ms() - began < 20000);
	}
	/* And who says nothing at all, not even a handshake. */
	{
		cleanup_fd int fd = tcp_connect(t->port, NULL);
		char some[64];
		ssize_t n;

		assert_true(fd >= 0);
		/* An alert may come before the end. */
		while ((n = recv(fd, some, sizeof(some), 0)) > 0)
			;
		assert_int_equal(n, 0);
	}
}

static void raise_files(void)
{
	struct rlimit l;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &l), 0);
	if (l.rlim_cur < 4096 && l.rlim_max >= 4096) {
		l.rlim_cur = 4096;
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &l), 0);
	}
}

/* V10: 500 silent connections, and a good client is served at once. */
static void test_silent_connections(void **state)
{
	cleanup_site struct site *t = site_new(60, 600);
	static int fd[N_SILENT];
	uint64_t began;
	size_t open = 0;

	(void)state;
	raise_files();
	for (size_t i = 0; i < N_SILENT; i++) {
		fd[i] = tcp_connect(t->port, SILENT_FROM);
		open += fd[i] >= 0;
	}
	assert_int_equal(open, N_SILENT);
	began = clock_boottime_ms();
	assert_int_equal(ask(t, HEAD("GET /healthz") "\r\n"), 200);
	assert_true(clock_boottime_ms() - began < (ASSAY_SANITIZED ? 5000 : 1000));
	for (size_t i = 0; i < N_SILENT; i++)
		(void)close(fd[i]);
}

/* One address takes no more than its share. */
static void test_connections_per_address(void **state)
{
	cleanup_site struct site *t = site_new(60, 10);
	int fd[30];
	size_t closed = 0;

	(void)state;
	for (size_t i = 0; i < array_len(fd); i++) {
		fd[i] = tcp_connect(t->port, SILENT_FROM);
		assert_true(fd[i] >= 0);
	}
	/* Those above the limit are closed right after they were accepted. */
	for (size_t i = 0; i < array_len(fd); i++) {
		struct timeval wait = { 0, 300000 };
		char byte;

		assert_int_equal(setsockopt(fd[i], SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)), 0);
		closed += recv(fd[i], &byte, 1, 0) == 0;
	}
	assert_true(closed >= 20);
	assert_int_equal(ask(t, HEAD("GET /healthz") "\r\n"), 200);
	for (size_t i = 0; i < array_len(fd); i++)
		(void)close(fd[i]);
}

/* The admin socket: who we are is seen, and nothing of the public routes is there. */
static void test_admin_socket(void **state)
{
	static const struct {
		const char *request, *want;
	} rows[] = {
		{ HEAD("GET /v1/admin/hosts") "Connection: close\r\n\r\n", "HTTP/1.1 200 " },
		{ HEAD("GET /v1/admin/explain?host=nobody") "Connection: close\r\n\r\n", "HTTP/1.1 404 " },
		{ HEAD("GET /v1/admin/hosts?host=a&host=b") "Connection: close\r\n\r\n", "HTTP/1.1 400 " },
		{ HEAD("GET /v1/jwks") "Connection: close\r\n\r\n", "HTTP/1.1 404 " },
	};
	cleanup_site struct site *t = site_new(10, 64);
	struct sockaddr_un name = { .sun_family = AF_UNIX };

	(void)state;
	(void)snprintf(name.sun_path, sizeof(name.sun_path), "%s", t->socket);
	for (size_t i = 0; i < array_len(rows); i++) {
		cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		size_t have = 0;
		ssize_t n;

		assert_int_equal(connect(fd, (const struct sockaddr *)&name, sizeof(name)), 0);
		assert_int_equal(send(fd, rows[i].request, strlen(rows[i].request), 0), strlen(rows[i].request));
		while ((n = recv(fd, answer + have, sizeof(answer) - 1 - have, 0)) > 0)
			have += (size_t)n;
		answer[have] = '\0';
		if (strncmp(answer, rows[i].want, strlen(rows[i].want)) != 0)
			fail_msg("%s: %s", rows[i].request, answer);
	}
}

/* What is under way when the end comes gets its answer; nobody new gets in. */
static void *stop(void *arg)
{
	struct site *t = arg;

	server_stop(take_ptr(&t->server), 10000);
	return NULL;
}

static void test_drain(void **state)
{
	struct site *t = site_new(10, 64);
	cleanup_tls_client struct tls_client *c = tls_client_new(t->port, t->ca_pem);
	static const char body[] = "{\"host\":\"h-00000000000000000000000000000000\","
				   "\"boot\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}";
	char head[256];
	pthread_t thread;

	(void)state;
	assert_non_null(c);
	(void)snprintf(head, sizeof(head), HEAD("POST /v1/challenge") "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
		       sizeof(body) - 1);
	assert_true(tls_client_send(c, head, strlen(head)));
	assert_true(tls_client_send(c, body, 10));
	/* The head was taken when its exchange counts. */
	(void)pthread_mutex_lock(&t->lock);
	t->stopping = true;
	(void)pthread_cond_signal(&t->stop);
	(void)pthread_mutex_unlock(&t->lock);
	assert_int_equal(pthread_join(t->clock, NULL), 0);
	for (uint64_t until = clock_boottime_ms() + 10000; !server_is_busy(t->server);)
		assert_true(clock_boottime_ms() < until);
	assert_int_equal(pthread_create(&thread, NULL, stop, t), 0);
	for (uint64_t until = clock_boottime_ms() + 10000;;) {
		int fd = tcp_connect(t->port, NULL);

		if (fd < 0)
			break;
		(void)close(fd);
		assert_true(clock_boottime_ms() < until);
	}
	assert_true(tls_client_send(c, body + 10, sizeof(body) - 1 - 10));
	assert_int_equal(tls_client_answer(c, answer, sizeof(answer), 10000), 200);
	assert_non_null(strstr(answer, "\"nonce\""));
	assert_int_equal(pthread_join(thread, NULL), 0);
	(void)pthread_mutex_destroy(&t->lock);
	(void)pthread_cond_destroy(&t->stop);
	buf_free(&t->ca);
	buf_free(&t->cert);
	buf_free(&t->key);
	service_free(t->s);
	free(t);
}

/* A full queue refuses, and what it took is done before it ends. */
struct counted {
	struct pool_job job;
	pthread_mutex_t *gate;
	atomic_uint *n;
};

static void run_counted(struct pool_job *j)
{
	struct counted *c = (struct counted *)j;

	(void)pthread_mutex_lock(c->gate);
	(void)pthread_mutex_unlock(c->gate);
	atomic_fetch_add(c->n, 1);
}

static void test_pool(void **state)
{
	pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
	struct counted jobs[8];
	struct pool *p = NULL;
	atomic_uint n = 0;
	unsigned taken = 0;

	(void)state;
	(void)pthread_mutex_lock(&gate);
	assert_ok(pool_new(1, 4, &p));
	for (size_t i = 0; i < array_len(jobs); i++) {
		struct err e;

		jobs[i] = (struct counted){ { run_counted, NULL }, &gate, &n };
		e = pool_add(p, &jobs[i].job);
		taken += !failed(e);
		if (failed(e))
			assert_err(e, E_LOCAL_BUSY);
	}
	/* Four wait, and one may have been taken off the queue. */
	assert_in_range(taken, 4, 5);
	(void)pthread_mutex_unlock(&gate);
	pool_free(p);
	assert_int_equal(n, taken);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gate),
		cmocka_unit_test(test_length_is_refused_before_the_body),
		cmocka_unit_test(test_endless_body),
		cmocka_unit_test(test_one_connection),
		cmocka_unit_test(test_slow_peers),
		cmocka_unit_test(test_silent_connections),
		cmocka_unit_test(test_connections_per_address),
		cmocka_unit_test(test_admin_socket),
		cmocka_unit_test(test_drain),
		cmocka_unit_test(test_pool),
	};

	log_init(LOG_LEVEL_ERROR, false);
	return cmocka_run_group_tests_name("http", tests, NULL, NULL);
}
