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

/* Strings are borrowed and outlive the verifier. */
struct verifier_config {
	const char *issuer;               /* URL, e.g. "https://127.0.0.1:8443" */
	const char *realm;
	const char *trust_domain;         /* of SPIFFE IDs; NULL: the issuer's host */
	const char *listen;               /* "127.0.0.1:8443" */
	const char *admin_socket;         /* /run/assay/verifier.sock */
	const char *state_dir;            /* /var/lib/assay/verifier */
	const char *operators_file;
	const char *allowlists;           /* folder of files that platform documents name, or NULL */
	const char *tls_cert_file, *tls_key_file;
	bool dev;                         /* make a CA, TLS key and certificate in the state folder */
	bool allow_no_ek_certificate;     /* a TPM without one may enrol, and is judged as such */
	unsigned verdict_life_s;          /* 300 */
	unsigned max_connections, max_connections_per_ip, timeout_s, threads, workers;
	size_t n_admin_uids;              /* who may use the admin socket beside root and the verifier's own user */
	uint32_t admin_uid[16];
};
/* What holds without a configuration file. */
void verifier_config_init(struct verifier_config *c);

struct verifier;
/*
 * Opens the store, loads or makes keys (0600; refuses wider), operators, trust
 * anchors and reference values. state_dir exists and is private. A second
 * verifier on the same state_dir is E_LOCAL_BUSY. A missing operators file is
 * an empty one. Other errors: E_LOCAL_*, E_PEER_* (operators file).
 */
must_check struct err verifier_new(const struct verifier_config *c, struct verifier **ret, struct reason *reterr);
void verifier_free(struct verifier *v);
DEFINE_CLEANUP(struct verifier, cleanup_verifier_, verifier_free)
#define cleanup_verifier cleanup(cleanup_verifier_)

/*
 * Reads the operators file again. Documents whose operator is gone, or may no
 * longer sign them, end the verdicts that used them. On failure everything
 * stays as it was.
 */
must_check struct err verifier_reload(struct verifier *v, struct reason *reterr);
/* Housekeeping, once a minute: time, one-time values, old credentials. */
must_check struct err verifier_tick(struct verifier *v, int64_t now_s);

struct request {
	const char *method, *path;
	const char *query_host;           /* ?host= of explain, or NULL */
	const char *content_type;         /* without parameters, or NULL */
	const char *authorization;        /* the one Authorization header, or NULL */
	unsigned n_authorization;         /* how many there were */
	const char *dpop;                 /* the one DPoP header, or NULL */
	unsigned n_dpop;                  /* how many there were */
	bool has_peer;                    /* admin socket: who connected */
	uint32_t peer_uid;
	struct bytes body;
	int64_t now_s;
	const char *client;               /* set by route_run() for AUTH_CLIENT */
};
struct reply {
	unsigned status;
	const char *content_type;         /* static */
	char dpop_nonce[96];              /* header DPoP-Nonce, or "" */
	const char *www_authenticate;     /* static, or NULL */
	unsigned retry_after_s;           /* 0: none */
	struct buf body;
	long max_age_s;                   /* 0: no-store */
	struct reason why;                /* of an error, for the reply and the log; of a success, what was done, for the log */
	char log_host[HOST_ID_LEN + 1];   /* for the one log line per decision */
	char log_verdict[24];
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
	bool clock;                       /* judges by the time: refused while the clock is behind what was seen */
	bool oauth;                       /* errors as RFC 6749 JSON */
	struct err (*handle)(struct verifier *v, const struct request *q, struct reply *ret);
};
/*
 * Exact path and method, media type, before the body is read. E_PEER_NO_ROUTE,
 * E_PEER_METHOD, E_PEER_MEDIA_TYPE. admin: which of the two listeners asks.
 * *ret is also set with E_PEER_MEDIA_TYPE, so that the refusal has the route's form.
 */
must_check struct err route_find(bool admin, const char *method, const char *path, const char *content_type,
				 const struct route **ret);
/* Value of the Allow header for a path, "" where there is none; static. */
const char *route_allow(bool admin, const char *path);
/* Whether this peer of the admin socket may use it. */
bool verifier_admits(const struct verifier *v, uint32_t uid);
size_t routes_count(void);
const struct route *route_at(size_t i);
/* Number of a route, for its counters. */
size_t route_index(const struct route *r);
/* Runs the route with authentication and turns every error into a reply. Never fails. */
void route_run(struct verifier *v, const struct route *r, const struct request *q, struct reply *ret);
/*
 * A reply for an error: problem+json or, for the OAuth routes, RFC 6749 JSON.
 * r: or NULL before there is one; why: or NULL. Never fails: without memory
 * the body is empty.
 */
void reply_error(const struct route *r, struct err e, const struct reason *why, struct reply *ret);

/* Counts a reply for /metrics; r or NULL. route_run() does not, as the glue answers some requests alone. */
void verifier_count(struct verifier *v, const struct route *r, unsigned status, uint64_t us);

#endif
