/* SPDX-License-Identifier: Apache-2.0 */
#include "verifier/serve/listen.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/text.h"

#define BACKLOG 512

static struct err refused(const char *what, const char *where, struct reason *reterr)
{
	int code = errno;

	reason_set(reterr, "cannot %s %s: %s", what, where, strerrordesc_np(code) ?: "unknown error");
	return ERR(code == EACCES || code == EPERM ? E_LOCAL_PERMISSION : E_LOCAL_NETWORK);
}

/* HOST:PORT with a numeric host; names would make the listener depend on who answers for them. */
static struct err split(const char *address, char host[64], const char **ret_port)
{
	const char *colon = strrchr(address, ':');
	size_t n = colon == NULL ? 0 : (size_t)(colon - address);
	uint64_t port;

	if (n == 0 || n >= 64 || failed(parse_u64(colon + 1, 65535, &port)))
		return ERR(E_PEER_SYNTAX);
	if (address[0] == '[') {
		if (n < 3 || address[n - 1] != ']')
			return ERR(E_PEER_SYNTAX);
		address++;
		n -= 2;
	}
	memcpy(host, address, n);
	host[n] = '\0';
	*ret_port = colon + 1;
	return ERR(E_OK);
}

static void addrinfo_done(struct addrinfo **ai)
{
	if (*ai != NULL)
		freeaddrinfo(*ai);
}

static struct err bound_port(int fd, uint16_t *ret)
{
	union {
		struct sockaddr_storage any;
		struct sockaddr sa;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} name = { 0 };
	socklen_t n = sizeof(name);

	if (getsockname(fd, &name.sa, &n) != 0)
		return ERR(E_LOCAL_NETWORK);
	*ret = ntohs(name.sa.sa_family == AF_INET6 ? name.v6.sin6_port : name.v4.sin_port);
	return ERR(E_OK);
}

struct err listen_tcp(const char *address, int *ret_fd, uint16_t *ret_port, struct reason *reterr)
{
	const struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
					.ai_socktype = SOCK_STREAM };
	struct addrinfo *ai cleanup(addrinfo_done) = NULL;
	cleanup_fd int fd = -1;
	const int yes = 1;
	const char *port;
	char host[64];

	if (failed(split(address, host, &port)) || getaddrinfo(host, port, &hints, &ai) != 0) {
		reason_set(reterr, "listen: expected a numeric ADDRESS:PORT or [ADDRESS]:PORT, saw %s", address);
		return ERR(E_PEER_SYNTAX);
	}
	fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) != 0)
		return refused("make a socket for", address, reterr);
	if (ai->ai_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof(yes)) != 0)
		return refused("make a socket for", address, reterr);
	if (bind(fd, ai->ai_addr, ai->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0)
		return refused("listen on", address, reterr);
	if (failed(bound_port(fd, ret_port)))
		return refused("listen on", address, reterr);
	*ret_fd = take_fd(&fd);
	return ERR(E_OK);
}
