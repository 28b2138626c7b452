/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of struct verifier, for the files of this folder. */
#ifndef ASSAY_VERIFIER_SERVE_INTERNAL_H
#define ASSAY_VERIFIER_SERVE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "verifier/issue/spiffe.h"
#include "verifier/issue/token.h"
#include "verifier/serve/metrics.h"
#include "verifier/serve/verifier.h"

/* Slack for what a clock does without anybody's fault. */
#define CLOCK_SKEW_S 60
#define MAX_LIST 5000 /* rows of a list, so that it stays below what a client takes */

/* Documents as of one generation, and the CAs for EK certificates. Immutable, counted, replaced as a whole. */
struct policy {
	atomic_uint refs;
	struct reference *reference;
	struct allowlists lists;          /* a copy of the table; the verifier keeps the lists open */
	uint8_t digest[32];
	uint64_t generation;
};
struct anchors {
	atomic_uint refs;
	struct trust *trust;
};

struct verifier {
	struct verifier_config c;
	int lock_fd;                      /* of the state folder, for as long as we run */
	struct store *store;

	struct key *signer;               /* ES256 */
	char kid[JKT_LEN + 1];
	uint8_t nonce_key[32], dpop_key[32], enrol_key[32];
	struct buf jwks;                  /* never changes */
	char trust_domain[TRUST_DOMAIN_MAX + 1];
	struct {                          /* of agents' certificates; never changes */
		struct key *key;
		struct cert *ca;
		int64_t expires_s;
		struct buf pem, bundle;   /* every CA that may be believed */
	} svid;
	struct host_record *decoy;        /* what evidence for an unknown host is held against */

	pthread_mutex_t change;           /* one change of documents, operators or anchors at a time */
	struct operators operators;       /* guarded by change */
	struct allowlists lists;          /* guarded by change; only grows, so that snapshots may borrow */

	pthread_mutex_t lock;             /* the two pointers below */
	struct policy *policy;
	struct anchors *anchors;

	_Atomic int64_t time_high;        /* as in the store */
	struct metrics metrics;
	pthread_mutex_t counts_lock;      /* the two below: anyone may ask for numbers, and they cost a scan */
	int64_t counts_at_s;
	struct store_counts counts;
};

/* The policy and anchors of this moment, to be released. */
struct policy *policy_hold(struct verifier *v);
void policy_release(struct policy *p);
DEFINE_CLEANUP(struct policy, cleanup_policy_, policy_release)
#define cleanup_policy cleanup(cleanup_policy_)
struct anchors *anchors_hold(struct verifier *v);
void anchors_release(struct anchors *a);
DEFINE_CLEANUP(struct anchors, cleanup_anchors_, anchors_release)
#define cleanup_anchors cleanup(cleanup_anchors_)

/* Reads documents or anchors from the store and puts them into place. With v->change held. */
must_check struct err policy_load(struct verifier *v, struct reason *reterr);
must_check struct err anchors_load(struct verifier *v, struct reason *reterr);
/*
 * allowlists.c, with v->change held: opens the files of the folder that are not
 * open yet; makes sure that all are there that a document names
 * (E_AUTH_UNKNOWN, with the digest of the one that is not).
 */
must_check struct err allowlists_load(struct verifier *v, struct reason *reterr);
must_check struct err allowlists_need(struct verifier *v, const struct document *d, struct reason *reterr);
/* A copy of the table, whose array is the caller's to free. */
must_check struct err allowlists_copy(const struct verifier *v, struct allowlists *ret);
void allowlists_done(struct verifier *v);
/* Operators file to *ret; a missing file is an empty list. */
must_check struct err operators_load(const char *path, struct operators *ret, struct reason *reterr);
/* Ends what rests on documents that the operators of v no longer stand for. With v->change held. */
must_check struct err operators_enforce(struct verifier *v, struct reason *reterr);

/* Signing key, HMAC keys: from dir, or made there. keys.c */
must_check struct err keys_load(struct verifier *v, int dir_fd, struct reason *reterr);
/* The CA of agents' certificates, for v->trust_domain; likewise. svid_ca.c */
must_check struct err svid_ca_load(struct verifier *v, int dir_fd, struct reason *reterr);

/* Writes the time into the transaction; verifier_time_seen() after the commit. */
void verifier_time_seen(struct verifier *v, int64_t now_s);

/* Basic authentication: E_AUTH_CLIENT. name: 65 bytes. */
must_check struct err client_authenticate(struct verifier *v, const char *authorization, char ret_name[65]);

/* A nonce for the DPoP-Nonce header. */
must_check struct err dpop_nonce(struct verifier *v, int64_t now_s, struct reply *ret);
/* URI of a route of ours, as proofs must name it. Appended with NUL behind it. */
must_check struct err route_uri(struct verifier *v, const char *path, struct buf *b, const char **ret);

/* An OAuth refusal as the reply; also counts it. */
must_check struct err reply_oauth(struct verifier *v, const struct oauth_error *o, struct reply *ret);
/* 200 with this JSON, which it takes, also on failure. */
must_check struct err reply_json(json_t *j, struct reply *ret);

/* Handlers. */
#define HANDLER(name) struct err name(struct verifier *v, const struct request *q, struct reply *ret)
must_check HANDLER(on_enrol);
must_check HANDLER(on_enrol_activate);
must_check HANDLER(on_challenge);
must_check HANDLER(on_attest);
must_check HANDLER(on_token);
must_check HANDLER(on_x509_svid);
must_check HANDLER(on_spiffe_bundle);
must_check HANDLER(on_introspect);
must_check HANDLER(on_revoke);
must_check HANDLER(on_jwks);
must_check HANDLER(on_healthz);
must_check HANDLER(on_metrics);
must_check HANDLER(admin_documents_add);
must_check HANDLER(admin_documents_withdraw);
must_check HANDLER(admin_documents_list);
must_check HANDLER(admin_hosts_list);
must_check HANDLER(admin_agents_list);
must_check HANDLER(admin_credentials_list);
must_check HANDLER(admin_explain);
must_check HANDLER(admin_host_clear);
must_check HANDLER(admin_host_remove);
must_check HANDLER(admin_revoke);
must_check HANDLER(admin_trust_list);
must_check HANDLER(admin_trust_add);
must_check HANDLER(admin_trust_remove);
must_check HANDLER(admin_clients_list);
must_check HANDLER(admin_client_add);
must_check HANDLER(admin_client_remove);

#endif
