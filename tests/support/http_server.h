/* SPDX-License-Identifier: Apache-2.0 */
/* A small HTTP(S) server in threads of the test program; handlers decide everything. */
#ifndef ASSAY_TESTS_SUPPORT_HTTP_SERVER_H
#define ASSAY_TESTS_SUPPORT_HTTP_SERVER_H

#include <pthread.h>

#include "base/bytes.h"
#include "base/x509.h"

struct http_question {
	const char *method, *path, *content_type, *dpop, *cookie; /* NULL where absent */
	struct bytes body;
};
struct http_answer {
	unsigned status;
	const char *content_type;
	const char *header_name[2], *header_value[2];
	struct buf body;
};

struct http_server {
	void (*handle)(void *ctx, const struct http_question *q, struct http_answer *a); /* one at a time */
	void *ctx;
	void *daemon;
	pthread_mutex_t lock;
	unsigned port;
	unsigned n_requests, n_connections; /* so far */
	char url[64];
	struct buf cert_pem, key_pem;
};

/* A CA, for servers to be trusted by. */
struct http_ca {
	struct key *key;
	struct cert *cert;
	struct buf pem;
};
void http_ca_init(struct http_ca *ca, const char *name);
void http_ca_done(struct http_ca *ca);

/*
 * On 127.0.0.1, a free port, with a certificate of this CA for an address. ca NULL: no
 * TLS.
 */
void http_server_start(struct http_server *s, const struct http_ca *ca, const char *ip);
/* On a ready listening socket, without TLS. */
void http_server_start_fd(struct http_server *s, int listen_fd);
void http_server_stop(struct http_server *s);

#endif
