/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/http_server.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>

#include "base/file.h"
#include "base/limits.h"
#include <microhttpd.h>

static void need(bool ok)
{
	if (!ok)
		abort();
}

static void good(struct err e)
{
	need(!failed(e));
}

void http_ca_init(struct http_ca *ca, const char *name)
{
	const struct cert_spec spec = { .common_name = name, .ca = true, .path_len = 0,
					.not_before_s = clock_now_s() - 3600, .not_after_s = clock_now_s() + 3600 };

	*ca = (struct http_ca){ .pem = BUF_INIT(LIMIT_SMALL) };
	good(key_generate(KEY_EC_P256, &ca->key));
	good(cert_issue(&spec, ca->key, NULL, ca->key, &ca->cert));
	good(cert_to_pem(ca->cert, &ca->pem));
}

void http_ca_done(struct http_ca *ca)
{
	key_free(ca->key);
	cert_free(ca->cert);
	buf_free(&ca->pem);
}

static const char *header(struct MHD_Connection *c, const char *name)
{
	return MHD_lookup_connection_value(c, MHD_HEADER_KIND, name);
}

static enum MHD_Result answer(struct http_server *s, struct MHD_Connection *c, const char *method, const char *path,
			      const struct buf *body)
{
	const struct http_question q = { method, path, header(c, "Content-Type"), header(c, "DPoP"),
					 header(c, "Cookie"), buf_bytes(body) };
	struct http_answer a = { .status = 200, .content_type = "application/json", .body = BUF_INIT(16 * MIB) };
	struct MHD_Response *r;
	enum MHD_Result result;

	need(pthread_mutex_lock(&s->lock) == 0);
	s->n_requests++;
	s->handle(s->ctx, &q, &a);
	need(pthread_mutex_unlock(&s->lock) == 0);
	r = MHD_create_response_from_buffer(a.body.n, a.body.p, MHD_RESPMEM_MUST_COPY);
	need(r != NULL && MHD_add_response_header(r, "Content-Type", a.content_type) == MHD_YES);
	for (size_t i = 0; i < array_len(a.header_name); i++)
		if (a.header_name[i] != NULL)
			need(MHD_add_response_header(r, a.header_name[i], a.header_value[i]) == MHD_YES);
	result = MHD_queue_response(c, a.status, r);
	MHD_destroy_response(r);
	buf_free(&a.body);
	return result;
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *c, const char *path, const char *method,
				  const char *version, const char *data, size_t *n, void **state)
{
	struct buf *body = *state;

	(void)version;
	if (body == NULL) {
		body = calloc(1, sizeof(*body));
		need(body != NULL);
		buf_init(body, 16 * MIB);
		*state = body;
		return MHD_YES;
	}
	if (*n > 0) {
		good(buf_add(body, BYTES(data, *n)));
		*n = 0;
		return MHD_YES;
	}
	return answer(ctx, c, method, path, body);
}

static void on_end(void *ctx, struct MHD_Connection *c, void **state, enum MHD_RequestTerminationCode why)
{
	struct buf *body = *state;

	(void)ctx;
	(void)c;
	(void)why;
	if (body != NULL)
		buf_free(body);
	free(body);
	*state = NULL;
}

static void on_connection(void *ctx, struct MHD_Connection *c, void **state, enum MHD_ConnectionNotificationCode code)
{
	struct http_server *s = ctx;

	(void)c;
	(void)state;
	if (code == MHD_CONNECTION_NOTIFY_STARTED)
		__atomic_add_fetch(&s->n_connections, 1, __ATOMIC_SEQ_CST);
}

static void start(struct http_server *s, unsigned flags, const struct MHD_OptionItem *options)
{
	const struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	need(pthread_mutex_init(&s->lock, NULL) == 0);
	s->daemon = MHD_start_daemon(flags | MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, on_request, s,
				     MHD_OPTION_SOCK_ADDR, &at, MHD_OPTION_NOTIFY_COMPLETED, on_end, NULL,
				     MHD_OPTION_NOTIFY_CONNECTION, on_connection, s, MHD_OPTION_ARRAY, options,
				     MHD_OPTION_END);
	need(s->daemon != NULL);
}

static void certify(struct http_server *s, const struct http_ca *ca, const char *ip)
{
	struct cert_spec spec = { .common_name = "server", .ip = &ip, .n_ip = 1, .tls_server = true,
				  .not_before_s = clock_now_s() - 3600, .not_after_s = clock_now_s() + 3600 };
	cleanup_cert struct cert *cert = NULL;
	cleanup_key struct key *key = NULL;

	good(key_generate(KEY_EC_P256, &key));
	good(cert_issue(&spec, key, ca->cert, ca->key, &cert));
	good(cert_to_pem(cert, &s->cert_pem));
	good(key_private_to_pem(key, &s->key_pem));
}

void http_server_start(struct http_server *s, const struct http_ca *ca, const char *ip)
{
	struct MHD_OptionItem options[3] = { { MHD_OPTION_END, 0, NULL } };
	const char *cert, *key;

	buf_init(&s->cert_pem, LIMIT_SMALL);
	buf_init(&s->key_pem, LIMIT_SMALL);
	if (ca != NULL) {
		certify(s, ca, ip);
		good(buf_cstr(&s->cert_pem, &cert));
		good(buf_cstr(&s->key_pem, &key));
		options[0] = (struct MHD_OptionItem){ MHD_OPTION_HTTPS_MEM_CERT, 0, s->cert_pem.p };
		options[1] = (struct MHD_OptionItem){ MHD_OPTION_HTTPS_MEM_KEY, 0, s->key_pem.p };
		options[2] = (struct MHD_OptionItem){ MHD_OPTION_END, 0, NULL };
	}
	start(s, ca != NULL ? MHD_USE_TLS : 0, options);
	s->port = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
	(void)snprintf(s->url, sizeof(s->url), "%s://127.0.0.1:%u", ca != NULL ? "https" : "http", s->port);
}

void http_server_start_fd(struct http_server *s, int listen_fd)
{
	const struct MHD_OptionItem options[] = { { MHD_OPTION_LISTEN_SOCKET, listen_fd, NULL },
						  { MHD_OPTION_END, 0, NULL } };

	start(s, 0, options);
}

void http_server_stop(struct http_server *s)
{
	MHD_stop_daemon(s->daemon);
	s->daemon = NULL;
	buf_free(&s->cert_pem);
	buf_free(&s->key_pem);
	(void)pthread_mutex_destroy(&s->lock);
}
