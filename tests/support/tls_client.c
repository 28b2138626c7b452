/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/tls_client.h"

#include <arpa/inet.h>
#include <gnutls/gnutls.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/file.h"

int tcp_connect(uint16_t port, const char *from)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in local = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0)
		return -1;
	if ((from != NULL && (inet_pton(AF_INET, from, &local.sin_addr) != 1 ||
			      bind(fd, (const struct sockaddr *)&local, sizeof(local)) != 0)) ||
	    connect(fd, (const struct sockaddr *)&to, sizeof(to)) != 0) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

struct tls_client {
	int fd;
	gnutls_session_t session;
	gnutls_certificate_credentials_t ca;
};

void tls_client_free(struct tls_client *c)
{
	if (c->session != NULL)
		gnutls_deinit(c->session);
	if (c->ca != NULL)
		gnutls_certificate_free_credentials(c->ca);
	cleanup_fd_(&c->fd);
	free(c);
}

static bool shake(struct tls_client *c, const char *ca_pem)
{
	gnutls_datum_t pem = { (unsigned char *)(uintptr_t)ca_pem, (unsigned)strlen(ca_pem) };

	if (gnutls_certificate_allocate_credentials(&c->ca) != 0 ||
	    gnutls_certificate_set_x509_trust_mem(c->ca, &pem, GNUTLS_X509_FMT_PEM) < 1 ||
	    gnutls_init(&c->session, GNUTLS_CLIENT) != 0 || gnutls_set_default_priority(c->session) != 0 ||
	    gnutls_credentials_set(c->session, GNUTLS_CRD_CERTIFICATE, c->ca) != 0)
		abort();
	gnutls_session_set_verify_cert(c->session, "localhost", 0);
	gnutls_transport_set_int(c->session, c->fd);
	gnutls_handshake_set_timeout(c->session, 10000);
	return gnutls_handshake(c->session) == 0;
}

struct tls_client *tls_client_new(uint16_t port, const char *ca_pem)
{
	struct tls_client *c = calloc(1, sizeof(*c));

	if (c == NULL)
		abort();
	c->fd = tcp_connect(port, NULL);
	if (c->fd >= 0 && shake(c, ca_pem))
		return c;
	tls_client_free(c);
	return NULL;
}

bool tls_client_send(struct tls_client *c, const char *bytes, size_t n)
{
	while (n > 0) {
		ssize_t sent = gnutls_record_send(c->session, bytes, n);

		if (sent <= 0)
			return false;
		bytes += sent;
		n -= (size_t)sent;
	}
	return true;
}

/* Whether head and body are whole. */
static bool is_whole(const char *text)
{
	const char *end = strstr(text, "\r\n\r\n"), *length = strcasestr(text, "\r\nContent-Length: ");

	if (end == NULL)
		return false;
	if (length == NULL || length > end)
		return true;
	return strlen(end + 4) >= strtoul(length + strlen("\r\nContent-Length: "), NULL, 10);
}

int tls_client_answer(struct tls_client *c, char *out, size_t out_size, int timeout_ms)
{
	uint64_t until = clock_boottime_ms() + (uint64_t)timeout_ms;
	size_t have = 0;

	out[0] = '\0';
	for (;;) {
		struct pollfd p = { c->fd, POLLIN, 0 };
		uint64_t now = clock_boottime_ms();
		ssize_t n;

		if (gnutls_record_check_pending(c->session) == 0) {
			if (now >= until)
				return -1;
			if (poll(&p, 1, (int)(until - now)) == 0)
				return -1;
		}
		n = gnutls_record_recv(c->session, out + have, out_size - 1 - have);
		if (n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED)
			continue;
		if (n <= 0)
			return 0;
		have += (size_t)n;
		out[have] = '\0';
		if (is_whole(out) || have == out_size - 1)
			return strncmp(out, "HTTP/1.1 ", 9) == 0 ? (int)strtoul(out + 9, NULL, 10) : 0;
	}
}

int tls_client_ask(struct tls_client *c, const char *request, char *out, size_t out_size)
{
	out[0] = '\0';
	if (!tls_client_send(c, request, strlen(request)))
		return 0;
	return tls_client_answer(c, out, out_size, 10000);
}
