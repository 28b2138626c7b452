/* SPDX-License-Identifier: Apache-2.0 */
/* One request and its answer on a connection, between libmicrohttpd and the routes. For http.c and exchange.c. */
#ifndef ASSAY_VERIFIER_SERVE_EXCHANGE_H
#define ASSAY_VERIFIER_SERVE_EXCHANGE_H

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/limits.h"
#include "verifier/serve/peers.h"
#include "verifier/serve/pool.h"
#include "verifier/serve/verifier.h"

/* All bodies that are being received at a time. */
#define BODY_BUDGET (256 * MIB)

struct server;
struct listener {
	struct server *s;
	struct MHD_Daemon *daemon;
	bool admin;
};

struct server {
	struct verifier *v;
	struct listener tcp, unix_socket;
	struct pool *pool;
	struct peers peers;
	uint64_t phase_ms;
	uint32_t id_prefix;               /* of request ids: random, so that they differ between starts */
	atomic_uint id_next;
	atomic_bool stopping;
	atomic_size_t body_bytes;
	pthread_mutex_t lock;
	pthread_cond_t idle;
	size_t n_exchanges;               /* guarded by lock */
};

/* libmicrohttpd's callbacks; cls is the listener. */
enum MHD_Result exchange_access(void *cls, struct MHD_Connection *c, const char *url, const char *method,
				const char *version, const char *data, size_t *data_size, void **context);
void exchange_completed(void *cls, struct MHD_Connection *c, void **context, enum MHD_RequestTerminationCode code);

#endif
