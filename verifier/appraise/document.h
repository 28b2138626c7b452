/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operator documents: what an operator signed. Each is an in-toto Statement v1
 * in a DSSE envelope; assay-policy(5) describes the members. Parsing is
 * strict: an unknown member, a missing owner or expiry, a PCR that anyone can
 * reset (16, 23) or a number above 23 (Q13), the workload PCR, which its log
 * judges, an empty list and a duplicate are errors, and the reason names the
 * member.
 *
 * Pure: no clock, no store.
 */
#ifndef ASSAY_VERIFIER_DOCUMENT_H
#define ASSAY_VERIFIER_DOCUMENT_H

#include "base/jose.h"
#include "base/limits.h"
#include "verifier/appraise/platform.h"

#define DOCUMENT_PAYLOAD_TYPE "application/vnd.in-toto+json"
#define DOCUMENT_MAX_LIST 256
#define DOCUMENT_MAX_TEXT 256 /* bytes of owner, asset, version, scope, resource */
#define DOCUMENT_MAX_TTL_S 900

enum document_kind {
	DOCUMENT_HOST,
	DOCUMENT_IMAGE,
	DOCUMENT_MODEL,
	DOCUMENT_PLATFORM,
	DOCUMENT_AGENT,
	DOCUMENT_WITHDRAW,
	N_DOCUMENT_KINDS,
};
const char *document_kind_name(enum document_kind k);
/* N_DOCUMENT_KINDS where unknown. */
enum document_kind document_kind_by_name(const char *s);

/* A list of strings or of 32-byte digests; owned by the document. */
struct str_list {
	size_t n;
	char **v;
};
struct sha_list {
	size_t n;
	uint8_t (*v)[32];
};

enum minimum_status { MINIMUM_AFFIRMING, MINIMUM_WARNING };

struct document {
	enum document_kind kind;
	char name[65], realm[65];
	uint64_t serial;
	char *owner;
	int64_t not_before_s, expires_s;
	uint8_t digest[32];               /* SHA-256 of the signed payload: the document's name everywhere */

	struct sha_list digests;          /* host: EKs; image, model: manifests */
	struct sha_list oms_roots;        /* model, may be empty */
	struct sha_list rootfs;           /* image, may be empty: digests of the roots that its layers make */
	char *asset, *version;            /* host; model */

	/* platform */
	struct str_list hosts;            /* names of host documents or "*" */
	enum digest_id bank;              /* SHA-256 or better */
	uint32_t pcr_mask;                /* which registers the vectors hold; 0 without vectors */
	size_t n_vectors, n_pcrs;
	struct digest *vectors;           /* n_vectors rows of n_pcrs values, ascending PCR */
	struct platform_profile profile;  /* rules over what was measured; a document has them, vectors, or both */
	bool has_workload_before;
	struct digest workload_before;
	bool unapproved_fails_host;       /* default true */

	/* agent */
	struct str_list images, models, platforms, scopes, resources;
	struct sha_list containers;       /* policies of containers, in one of which it has to run; may be empty: no matter */
	uint32_t max_ttl_s;               /* 1..900 */
	enum minimum_status minimum_status;
	bool x509;                        /* X.509 certificates too, which nobody can ask about; default false */

	/* withdraw */
	enum document_kind target_kind;
	char target_name[65];
	uint64_t target_serial;
};
void document_free(struct document *d);
DEFINE_CLEANUP(struct document, cleanup_document_, document_free)
#define cleanup_document cleanup(cleanup_document_)

/*
 * The Statement around a predicate as operators sign it; subject and predicate
 * type follow from the predicate: the first digest that it approves, or
 * SHA-256 of the predicate in canonical form where it approves none. What the
 * predicate lacks is document_parse()'s to say; kind and name must be there.
 * Appended. E_PEER_*, E_LOCAL_MEMORY.
 */
must_check struct err document_statement(const json_t *predicate, struct buf *ret, struct reason *reterr);

/* Payload of the envelope, whole. realm: what the predicate must say. The caller owns *ret. E_PEER_*, E_LIMIT_*, E_AUTH_REFUSED (realm). */
must_check struct err document_parse(struct bytes payload, const char *realm, struct document **ret,
				     struct reason *reterr);

/* One operator: a key, and what it may sign. */
struct operator_key {
	char name[65];
	char keyid[65];                   /* hex SHA-256 of the SPKI */
	struct key *key;
	unsigned kinds;                   /* bit per document_kind */
	struct str_list prefixes;
};
struct operators {
	size_t n;
	struct operator_key *v;
};
void operators_done(struct operators *o);
#define cleanup_operators cleanup(operators_done)
/* The operators file. An empty list is allowed and accepts nothing. E_PEER_*, E_LIMIT_*. */
must_check struct err operators_parse(struct bytes json, struct operators *ret, struct reason *reterr);

/*
 * An envelope that was accepted before: signature by a listed operator, who
 * may sign this kind and name (of a withdrawal also the name it withdraws);
 * document_parse(). The validity window is not looked at, as expired
 * documents still explain what has ended.
 * E_AUTH_UNKNOWN, E_AUTH_SIGNATURE, E_AUTH_REFUSED (kind, prefix, realm),
 * E_PEER_*, E_LIMIT_*. *ret_operator is an index into ops.
 */
must_check struct err document_open(struct bytes envelope, const struct operators *ops, const char *realm,
				    struct document **ret, size_t *ret_operator, struct reason *reterr);

/*
 * An envelope as uploaded: document_open(), and a validity window that is not
 * over at now_s (E_AUTH_EXPIRED). The serial is the store's to judge.
 */
must_check struct err document_accept(struct bytes envelope, const struct operators *ops, const char *realm,
				      int64_t now_s, struct document **ret, size_t *ret_operator,
				      struct reason *reterr);

#endif
