/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/daemon/ask.h"

#include <errno.h>
#include <string.h>
#include <sys/time.h>

#include "base/args.h"
#include "base/log.h"
#include "base/unix.h"

static struct err connect_to(const char *path, unsigned timeout_s, int *ret, struct reason *reterr)
{
	cleanup_fd int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	const struct timeval limit = { .tv_sec = (time_t)timeout_s };
	struct sockaddr_un name;
	struct ucred server;
	struct err e;
	socklen_t n;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) != 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) != 0)
		return ERR(E_LOCAL_IO);
	if (failed(e = unix_address(path, &name, &n)))
		return e;
	if (connect(fd, (const struct sockaddr *)&name, n) != 0) {
		int code = errno;

		reason_set(reterr, "no daemon serves %s: %s", path, strerrordesc_np(code) ?: "unknown error");
		return code == ENOENT || code == ECONNREFUSED || code == ENOTDIR ? ERR(E_LOCAL_NOT_FOUND) :
										    ERR(E_LOCAL_NETWORK);
	}
	if (failed(e = unix_peer(fd, &server)))
		return e;
	/* Anyone can serve a socket: tokens of somebody else, or what the caller is about to do, are not for him. */
	if (server.uid != 0) {
		reason_set(reterr, "%s is served by uid %u, not by root's daemon", path, (unsigned)server.uid);
		return ERR(E_AUTH_CLIENT);
	}
	*ret = take_fd(&fd);
	return ERR(E_OK);
}

struct err ask_receive(int fd, json_t **ret, struct reason *reterr)
{
	cleanup_buf struct buf b = BUF_INIT(REQUEST_MAX + 1);
	struct err e;
	ssize_t n;

	if (failed(e = buf_reserve(&b, b.max)))
		return e;
	do
		n = recv(fd, b.p, b.max, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN) {
		reason_set(reterr, "the daemon does not answer in time");
		return ERR(E_LOCAL_TIMEOUT);
	}
	if (n <= 0) {
		reason_set(reterr, "the daemon has ended the connection");
		return ERR(E_LOCAL_NETWORK);
	}
	b.n = (size_t)n;
	return json_parse(buf_bytes(&b), REQUEST_MAX, ret, reterr);
}

/* A code that only the daemon's side can have is none here. */
static struct err named_error(const char *name)
{
	enum err_code code = name == NULL ? N_ERR_CODES : err_by_name(name);

	return code == N_ERR_CODES || code == E_OK ? ERR(E_LOCAL_NETWORK) : ERR(code);
}

/* {"outcome", ...}: ok, or what the daemon says is wrong. */
static struct err check_reply(const json_t *reply, struct reason *reterr)
{
	const char *outcome = json_string_value(json_object_get(reply, "outcome"));
	const char *reason = json_string_value(json_object_get(reply, "reason"));

	if (outcome != NULL && strcmp(outcome, "ok") == 0)
		return ERR(E_OK);
	reason_set(reterr, "the daemon says: %s", reason == NULL ? "nothing that can be read" :
								    log_quote(bytes_str(reason)));
	return named_error(json_string_value(json_object_get(reply, "error")));
}

/* The daemon's first packet: its nonce, or why it does not even ask. */
static struct err read_hello(int fd, uint8_t nonce[REQUEST_NONCE_LEN], struct reason *reterr)
{
	cleanup_json json_t *hello = NULL;
	struct jobj o;
	struct err e;

	if (failed(e = ask_receive(fd, &hello, reterr)))
		return e;
	if (json_object_get(hello, "nonce") == NULL)
		return failed(e = check_reply(hello, reterr)) ? e : ERR(E_PEER_MISSING);
	if (failed(e = jobj_init(&o, hello, "daemon", reterr)) ||
	    failed(e = jobj_hex(&o, "nonce", nonce, REQUEST_NONCE_LEN)))
		return e;
	return jobj_end(&o);
}

struct err ask(const char *socket_path, struct request *r, unsigned timeout_s, int *ret_fd, json_t **ret_answer,
	       struct reason *reterr)
{
	cleanup_buf struct buf packet = BUF_INIT(REQUEST_MAX);
	cleanup_json json_t *reply = NULL;
	cleanup_fd int fd = -1;
	struct err e;

	if (failed(e = connect_to(socket_path, timeout_s, &fd, reterr)) ||
	    failed(e = read_hello(fd, r->nonce, reterr)) || failed(e = request_write(r, &packet)))
		return e;
	if (send(fd, packet.p, packet.n, MSG_NOSIGNAL) != (ssize_t)packet.n) {
		reason_set(reterr, "the daemon has ended the connection");
		return ERR(E_LOCAL_NETWORK);
	}
	if (failed(e = ask_receive(fd, &reply, reterr)) || failed(e = check_reply(reply, reterr)))
		return e;
	if (ret_fd != NULL)
		*ret_fd = take_fd(&fd);
	*ret_answer = json_incref(json_object_get(reply, "answer"));
	return *ret_answer == NULL ? ERR(E_PEER_MISSING) : ERR(E_OK);
}
