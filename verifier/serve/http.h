/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The routes on sockets: HTTPS for everyone, HTTP over a Unix socket for
 * operators. libmicrohttpd reads and writes on its own threads; routes that
 * commit run on workers meanwhile.
 */
#ifndef ASSAY_VERIFIER_SERVE_HTTP_H
#define ASSAY_VERIFIER_SERVE_HTTP_H

#include "verifier/serve/verifier.h"

struct server;
struct server_spec {
	struct verifier *verifier;
	const struct verifier_config *config;
	int tcp_fd, unix_fd;              /* listening; taken on success. -1: none */
	const char *cert_pem, *key_pem;   /* of the TCP listener; borrowed for the server's life */
};
must_check struct err server_start(const struct server_spec *spec, struct server **ret, struct reason *reterr);
/* Ends connections that are over their time; to be called about once a second. */
void server_check(struct server *s);
/* Whether a request is under way. */
bool server_is_busy(struct server *s);
/* No new connections; what is under way is answered, for at most drain_ms; then everything ends. */
void server_stop(struct server *s, unsigned drain_ms);

#endif
