/* SPDX-License-Identifier: Apache-2.0 */
/* protocol/https: nothing before TLS is verified, one anchor, bounds, no ways round. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/limits.h"
#include "protocol/https.h"
#include "tests/support/http_server.h"

static struct reason why;
static struct http_ca ca, other_ca;

/* What the server saw last, and what it does. */
struct script {
	char path[64], content_type[64], dpop[64];
	struct buf body;
	unsigned status;
	const char *type;
	size_t answer_size;
	const char *header_name[2], *header_value[2];
};

static void on_question(void *ctx, const struct http_question *q, struct http_answer *a)
{
	struct script *s = ctx;

	(void)snprintf(s->path, sizeof(s->path), "%s %s", q->method, q->path);
	(void)snprintf(s->content_type, sizeof(s->content_type), "%s", q->content_type == NULL ? "" : q->content_type);
	(void)snprintf(s->dpop, sizeof(s->dpop), "%s", q->dpop == NULL ? "" : q->dpop);
	assert_null(q->cookie);
	buf_clear(&s->body);
	if (failed(buf_add(&s->body, q->body)))
		abort();
	a->status = s->status;
	a->content_type = s->type;
	for (size_t i = 0; i < 2; i++) {
		a->header_name[i] = s->header_name[i];
		a->header_value[i] = s->header_value[i];
	}
	for (size_t i = 0; i < s->answer_size; i++)
		if (failed(buf_add_u8(&a->body, 'x')))
			abort();
}

static void script_done(struct script *s)
{
	buf_free(&s->body);
}

#define SCRIPT_INIT { .body = BUF_INIT(1 * MIB), .status = 200, .type = "application/json", .answer_size = 2 }

static int up(void **state)
{
	(void)state;
	http_ca_init(&ca, "the pinned CA");
	http_ca_init(&other_ca, "another CA");
	return 0;
}

static int down(void **state)
{
	(void)state;
	http_ca_done(&ca);
	http_ca_done(&other_ca);
	return 0;
}

static struct err get(const char *url, struct bytes pem, unsigned timeout_ms, unsigned *ret_status)
{
	cleanup_https struct https *h = NULL;
	struct https_reply r;
	struct err e;

	if (failed(e = https_new(url, pem, NULL, timeout_ms, &h)) || failed(e = https_get(h, "/healthz", &r, &why)))
		return e;
	*ret_status = r.status;
	https_reply_done(&r);
	return ERR(E_OK);
}

static void test_post(void **state)
{
	static const char *const headers[] = { "DPoP: abc" };
	cleanup(script_done) struct script script = SCRIPT_INIT;
	struct http_server s = { .handle = on_question, .ctx = &script };
	cleanup_https struct https *h = NULL;
	struct https_reply r;

	(void)state;
	script.type = "Application/JSON; charset=utf-8";
	script.header_name[0] = "DPoP-Nonce";
	script.header_value[0] = "n-1";
	script.header_name[1] = "Retry-After";
	script.header_value[1] = "7";
	http_server_start(&s, &ca, "127.0.0.1");
	assert_false(failed(https_new(s.url, buf_bytes(&ca.pem), NULL, 5000, &h)));
	for (int i = 0; i < 3; i++) {
		assert_false(failed(https_post(h, "/v1/x", "application/x-y", BYTES_LIT("a\0b"), 1, headers, &r, &why)));
		assert_int_equal(r.status, 200);
		assert_string_equal(r.content_type, "application/json");
		assert_string_equal(r.dpop_nonce, "n-1");
		assert_int_equal(r.retry_after_s, 7);
		assert_int_equal(r.body.n, 2);
		https_reply_done(&r);
	}
	assert_string_equal(script.path, "POST /v1/x");
	assert_string_equal(script.content_type, "application/x-y");
	assert_string_equal(script.dpop, "abc");
	assert_int_equal(script.body.n, 3);
	/* One connection for all. */
	assert_int_equal(s.n_connections, 1);

	/* A GET after a POST is a GET, and an old answer leaves nothing behind. */
	script.header_name[0] = NULL;
	script.header_name[1] = NULL;
	script.answer_size = 0;
	assert_false(failed(https_get(h, "/v1/y", &r, &why)));
	assert_string_equal(script.path, "GET /v1/y");
	assert_int_equal(script.body.n, 0);
	assert_string_equal(script.dpop, "");
	assert_string_equal(r.dpop_nonce, "");
	assert_int_equal(r.retry_after_s, 0);
	assert_int_equal(r.body.n, 0);
	https_reply_done(&r);
	http_server_stop(&s);
}

static void test_status_of_any_kind(void **state)
{
	static const unsigned codes[] = { 400, 404, 409, 500, 503 };
	cleanup(script_done) struct script script = SCRIPT_INIT;
	struct http_server s = { .handle = on_question, .ctx = &script };
	unsigned status;

	(void)state;
	http_server_start(&s, &ca, "127.0.0.1");
	for (size_t i = 0; i < array_len(codes); i++) {
		script.status = codes[i];
		assert_false(failed(get(s.url, buf_bytes(&ca.pem), 5000, &status)));
		assert_int_equal(status, codes[i]);
	}
	http_server_stop(&s);
}

/* Another CA, another address, no TLS: refused before a request is seen. */
static void test_peer_not_verified(void **state)
{
	cleanup(script_done) struct script script = SCRIPT_INIT;
	struct http_server wrong_ca = { .handle = on_question, .ctx = &script };
	struct http_server wrong_ip = { .handle = on_question, .ctx = &script };
	struct http_server plain = { .handle = on_question, .ctx = &script };
	unsigned status;
	char url[64];

	(void)state;
	http_server_start(&wrong_ca, &other_ca, "127.0.0.1");
	http_server_start(&wrong_ip, &ca, "127.0.0.2");
	http_server_start(&plain, NULL, NULL);
	assert_int_equal(get(wrong_ca.url, buf_bytes(&ca.pem), 5000, &status).code, E_AUTH_CERTIFICATE);
	assert_int_equal(get(wrong_ip.url, buf_bytes(&ca.pem), 5000, &status).code, E_AUTH_CERTIFICATE);
	(void)snprintf(url, sizeof(url), "https://127.0.0.1:%u", plain.port);
	assert_int_equal(get(url, buf_bytes(&ca.pem), 5000, &status).code, E_LOCAL_NETWORK);
	assert_int_equal(wrong_ca.n_requests + wrong_ip.n_requests + plain.n_requests, 0);
	assert_true(strlen(why.text) > 0);
	http_server_stop(&wrong_ca);
	http_server_stop(&wrong_ip);
	http_server_stop(&plain);
}

static void test_redirects_and_proxies(void **state)
{
	cleanup(script_done) struct script script = SCRIPT_INIT;
	struct http_server s = { .handle = on_question, .ctx = &script };
	unsigned status;

	(void)state;
	http_server_start(&s, &ca, "127.0.0.1");
	script.status = 302;
	script.header_name[0] = "Location";
	script.header_value[0] = s.url;
	assert_int_equal(setenv("https_proxy", "http://127.0.0.1:1", 1), 0);
	assert_int_equal(setenv("ALL_PROXY", "http://127.0.0.1:1", 1), 0);
	assert_false(failed(get(s.url, buf_bytes(&ca.pem), 5000, &status)));
	assert_int_equal(status, 302);
	assert_int_equal(s.n_requests, 1);
	assert_int_equal(unsetenv("https_proxy"), 0);
	assert_int_equal(unsetenv("ALL_PROXY"), 0);
	http_server_stop(&s);
}

static void test_large_answer(void **state)
{
	cleanup(script_done) struct script script = SCRIPT_INIT;
	struct http_server s = { .handle = on_question, .ctx = &script };
	unsigned status;

	(void)state;
	http_server_start(&s, &ca, "127.0.0.1");
	script.answer_size = LIMIT_EVIDENCE;
	assert_false(failed(get(s.url, buf_bytes(&ca.pem), 20000, &status)));
	script.answer_size = LIMIT_EVIDENCE + 1;
	assert_int_equal(get(s.url, buf_bytes(&ca.pem), 20000, &status).code, E_LIMIT_SIZE);
	http_server_stop(&s);
}

static int listen_on(struct sockaddr *at, socklen_t n, int family)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, at, n), 0);
	assert_int_equal(listen(fd, 8), 0);
	return fd;
}

/* Accepts connections, says nothing. And nobody listens at all. */
static void test_silent_and_absent_server(void **state)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(at);
	int fd = listen_on((struct sockaddr *)&at, sizeof(at), AF_INET);
	unsigned status;
	char url[64];

	(void)state;
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &n), 0);
	(void)snprintf(url, sizeof(url), "https://127.0.0.1:%u", ntohs(at.sin_port));
	assert_int_equal(get(url, buf_bytes(&ca.pem), 200, &status).code, E_LOCAL_TIMEOUT);
	(void)close(fd);
	assert_int_equal(get(url, buf_bytes(&ca.pem), 5000, &status).code, E_LOCAL_NETWORK);
}

static void test_unix_socket(void **state)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	cleanup(script_done) struct script script = SCRIPT_INIT;
	struct http_server s = { .handle = on_question, .ctx = &script };
	cleanup_https struct https *h = NULL;
	char dir[] = "/tmp/test-https-XXXXXX";
	struct https_reply r;

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(at.sun_path, sizeof(at.sun_path), "%s/sock", dir);
	http_server_start_fd(&s, listen_on((struct sockaddr *)&at, sizeof(at), AF_UNIX));
	assert_false(failed(https_new("http://localhost", BYTES_NONE, at.sun_path, 5000, &h)));
	assert_false(failed(https_post(h, "/v1/admin/x", "application/json", BYTES_LIT("{}"), 0, NULL, &r, &why)));
	assert_int_equal(r.status, 200);
	https_reply_done(&r);
	assert_string_equal(script.path, "POST /v1/admin/x");
	http_server_stop(&s);
	(void)unlink(at.sun_path);
	(void)rmdir(dir);
}

static void test_bad_arguments(void **state)
{
	static const char *const urls[] = { "http://127.0.0.1:1", "https://", "https://a/b", "https://user@a", "ftp://a",
					    "https://a b", "https://a?b", "" };
	static const char *const injection[] = { "DPoP: a\r\nX: b" };
	struct https *h = NULL;
	struct https_reply r;

	(void)state;
	for (size_t i = 0; i < array_len(urls); i++)
		assert_int_equal(https_new(urls[i], buf_bytes(&ca.pem), NULL, 1000, &h).code, E_LOCAL_CONFIG);
	assert_int_equal(https_new("https://127.0.0.1:1", BYTES_NONE, NULL, 1000, &h).code, E_LOCAL_CONFIG);
	assert_null(h);
	assert_false(failed(https_new("https://127.0.0.1:1", buf_bytes(&ca.pem), NULL, 1000, &h)));
	assert_int_equal(https_post(h, "/x", "a/b", BYTES_NONE, 1, injection, &r, &why).code, E_BUG);
	assert_int_equal(https_get(h, "x", &r, &why).code, E_BUG);
	https_free(h);
	h = NULL;
	/* A CA that is none. */
	assert_false(failed(https_new("https://127.0.0.1:1", BYTES_LIT("no pem"), NULL, 1000, &h)));
	assert_true(failed(https_get(h, "/x", &r, &why)));
	https_free(h);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_post),
		cmocka_unit_test(test_status_of_any_kind),
		cmocka_unit_test(test_peer_not_verified),
		cmocka_unit_test(test_redirects_and_proxies),
		cmocka_unit_test(test_large_answer),
		cmocka_unit_test(test_silent_and_absent_server),
		cmocka_unit_test(test_unix_socket),
		cmocka_unit_test(test_bad_arguments),
	};

	return cmocka_run_group_tests_name("https", tests, up, down);
}
