/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The service without sockets: everything that a handler needs, and the one
 * route table. Handlers take bytes and return a reply, so tests and fuzzers
 * need no network.
 */
#ifndef ASSAY_VERIFIER_SERVE_H
#define ASSAY_VERIFIER_SERVE_H

#include "base/x509.h"
#include "verifier/appraise/appraise.h"
#include "verifier/store/store.h"

struct verifier_config {
	const char *issuer;               /* URL, e.g. "https://127.0.0.1:8443" */
	const char *realm;
	const char *listen;               /* "127.0.0.1:8443" */
	const char *admin_socket;         /* /run/assay/verifier.sock */
	const char *state_dir;            /* /var/lib/assay/verifier */
	const char *operators_file;
	const char *tls_cert_file, *tls_key_file;
	bool dev;                         /* make a CA, TLS key and certificate in the state folder */
	bool require_ek_certificate;      /* default true */
	unsigned verdict_life_s;          /* 300 */
	unsigned max_connections, max_connections_per_ip, timeout_s, threads, workers;
};

struct verifier;
/* Opens the store, loads or makes keys (0600; refuses wider), operators, trust anchors and reference values. */
must_check struct err verifier_new(const struct verifier_config *c, struct verifier **ret, struct reason *reterr);
void verifier_free(struct verifier *v);
DEFINE_CLEANUP(struct verifier, cleanup_verifier_, verifier_free)
#define cleanup_verifier cleanup(cleanup_verifier_)

struct request {
	const char *method, *path;
	const char *query_host;           /* ?host= of explain, or NULL */
	const char *content_type;         /* without parameters, or NULL */
	const char *authorization;        /* or NULL */
	const char *dpop;                 /* the one DPoP header, or NULL */
	unsigned n_dpop;                  /* how many there were */
	struct bytes body;
	int64_t now_s;
};
struct reply {
	unsigned status;
	const char *content_type;         /* static */
	char dpop_nonce[96];              /* header DPoP-Nonce, or "" */
	const char *www_authenticate;     /* static, or NULL */
	unsigned retry_after_s;           /* 0: none */
	bool no_store;
	struct buf body;
	char log_host[HOST_ID_LEN + 1];   /* for the one log line per decision */
	char log_check[24];
};
void reply_init(struct reply *r);
void reply_done(struct reply *r);
#define cleanup_reply cleanup(reply_done)

enum auth_kind { AUTH_NONE, AUTH_CLIENT, AUTH_ADMIN };
struct route {
	const char *method, *path;
	const char *media_type;           /* of the request, or NULL */
	size_t limit;                     /* of the body, bytes */
	enum auth_kind auth;
	bool writes;                      /* commits: runs on a worker, not on an I/O thread */
	struct err (*handle)(struct verifier *v, const struct request *q, struct reply *ret);
};
/*
 * Exact path and method, media type, before the body is read. E_PEER_NO_ROUTE,
 * E_PEER_METHOD, E_PEER_MEDIA_TYPE. admin: which of the two listeners asks.
 */
must_check struct err route_find(bool admin, const char *method, const char *path, const char *content_type,
				 const struct route **ret);
/* Runs the route with authentication and turns every error into a reply. Never fails. */
void route_run(struct verifier *v, const struct route *r, const struct request *q, struct reply *ret);
/* A reply for an error: problem+json or, for the OAuth routes, RFC 6749 JSON. */
void reply_error(const struct route *r, struct err e, const struct reason *why, struct reply *ret);

#endif
