/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must survive a crash. One interface, SQLite behind it now.
 *
 * Reads see the last commit. Writes go through store_write(): the caller hands
 * over a function that runs inside a transaction on the store's writer thread
 * and returns only after the commit is durable. Writers that wait at the same
 * time share one commit (group commit); one that fails takes nobody with it. No reply leaves before its write is durable.
 *
 * Thread-safe. Errors: E_LOCAL_STORE (disk full, I/O, corruption; what SQLite
 * said is in the debug log), E_LOCAL_MEMORY, E_LOCAL_NOT_FOUND,
 * E_AUTH_CONFLICT, E_AUTH_RETRY. A function of the transaction that gave up
 * part of its work is undone as a whole, so callers check nothing afterwards.
 */
#ifndef ASSAY_VERIFIER_STORE_H
#define ASSAY_VERIFIER_STORE_H

#include "verifier/appraise/host.h"
#include "verifier/appraise/document.h"

struct store;

/*
 * Opens or makes the database below dir, which exists and is nobody else's to
 * read (E_LOCAL_PERMISSION). An older schema is copied to a backup beside it
 * and migrated in one transaction; a newer one is E_LOCAL_CONFIG. WAL,
 * synchronous=FULL, foreign keys on, STRICT tables.
 */
#define STORE_FILE "assay.db"
must_check struct err store_open(const char *dir, struct store **ret, struct reason *reterr);
/* Finishes the writes that wait, then closes. Nobody else may be inside a call. */
void store_close(struct store *s);
DEFINE_CLEANUP(struct store, cleanup_store_, store_close)
#define cleanup_store cleanup(cleanup_store_)

/* A transaction, valid inside the function that store_write() runs. */
struct txn;
typedef struct err (*store_fn)(struct txn *t, void *ctx);
/*
 * Runs fn in a transaction and waits until it is durable. fn's error undoes
 * its own changes and is returned. fn runs on the writer's thread, once more
 * where somebody else's failure undid the transaction, so it sets what it tells
 * through ctx anew each time; and it must not call store_write() itself.
 */
must_check struct err store_write(struct store *s, store_fn fn, void *ctx);
/* Whether the store answers a read and could commit, and after a commit that failed, has room for more; for /healthz. */
must_check struct err store_ping(struct store *s);

/* --- highest time seen: refuses to go back (nonces older than the prune horizon stay refused whatever the clock says) --- */
must_check struct err store_time_high(struct store *s, int64_t *ret_s);
/* Never lowers it. */
must_check struct err txn_time_advance(struct txn *t, int64_t now_s);

/*
 * --- one-time values: nonces, enrolment sessions, DPoP jti ---
 *
 * E_AUTH_CONFLICT when the value was used before in this space, or when it
 * expires at or before the prune horizon, for then nobody can tell any more.
 * value: 1..64 bytes.
 */
must_check struct err txn_use_once(struct txn *t, const char *space, struct bytes value, int64_t expires_s);
/* Whether it was used; no answer for values older than the prune horizon. */
must_check struct err store_was_used(struct store *s, const char *space, struct bytes value, bool *ret);
/*
 * Moves the prune horizon to STORE_PRUNE_MARGIN_S before now_s, never back,
 * and forgets values that expired before it and credentials that expired an
 * hour before it.
 */
#define STORE_PRUNE_MARGIN_S 120
must_check struct err txn_prune(struct txn *t, int64_t now_s);

/* --- hosts --- */
struct host_row {
	struct host_record *record;       /* held */
	struct host_state state;          /* owned */
	uint8_t ek_sha256[32];            /* as in the record, which never changes */
	uint64_t version;                 /* moves with every change of the row */
	uint64_t epoch;                   /* every credential of an older epoch is dead */
	int64_t verdict_s, verdict_expires_s;
	uint8_t host_doc[32];             /* document that the last passed verdict used; zero: none */
};
void host_row_done(struct host_row *h);
#define cleanup_host_row cleanup(host_row_done)
/* E_LOCAL_NOT_FOUND. */
must_check struct err store_host(struct store *s, const char *id, struct host_row *ret);
/*
 * The record as stored. First binding wins (N10): E_AUTH_CONFLICT when the id
 * is there with another record or the EK under another id; E_OK and
 * *ret_existed for the same EK and AK, whose first record stays byte by byte.
 */
must_check struct err txn_host_add(struct txn *t, const char *id, struct bytes record, bool *ret_existed);

/*
 * Stores a verdict: next state, explanation, live instances and the digests
 * of the documents used. Compares the row's version and epoch with those that
 * were appraised: E_AUTH_RETRY on a difference (ask for a new challenge).
 * A pass sets the verdict's life; anything else ends it and moves the epoch.
 */
struct verdict_write {
	const char *host_id;
	uint64_t version, epoch;          /* as read */
	const struct host_state *next;
	bool passed;
	bool move_epoch;                  /* also with a pass: rebooted, changed */
	int64_t now_s, expires_s;
	struct bytes explanation;         /* JSON */
	size_t n_docs;
	const uint8_t (*docs)[32];        /* every document that the verdict used */
	uint8_t host_doc[32];
	size_t n_instances;
	const struct instance_row *instance; /* the live ones, with a key; all others of the host are dropped. E_AUTH_CONFLICT: another host has that key */
};
/* One live instance as tokens need it; found by thumbprint. */
struct instance_row {
	char host_id[HOST_ID_LEN + 1];
	uint8_t id[INSTANCE_ID_LEN];
	char agent[65];
	char jkt[44];
	bool usable;
	int status;                       /* enum tier */
	struct image_digests image;
	struct model_digests model;
	bool has_container;
	struct container_digests container;
	uint8_t agent_doc[32], image_doc[32], model_doc[32], platform_doc[32];
	uint8_t ear_digest[32];
	uint64_t epoch;                   /* host epoch at the verdict; set by txn_verdict() */
	int64_t verdict_expires_s;
};
must_check struct err txn_verdict(struct txn *t, const struct verdict_write *v);
/*
 * Evidence that is no verdict yet, because the IMA list goes on in the next
 * message: stores v->next and leaves the last verdict, with its status and all
 * that follows from it, as it is. E_AUTH_RETRY as above.
 */
must_check struct err txn_progress(struct txn *t, const struct verdict_write *v);
/* By key thumbprint; with the host's present epoch in *ret_epoch. E_LOCAL_NOT_FOUND. */
must_check struct err store_instance_by_jkt(struct store *s, const char *jkt, struct instance_row *ret,
					    uint64_t *ret_epoch);
must_check struct err txn_instance_by_jkt(struct txn *t, const char *jkt, struct instance_row *ret, uint64_t *ret_epoch);
must_check struct err store_explanation(struct store *s, const char *host_id, struct buf *ret_json);

/*
 * Operator's verbs; all E_LOCAL_NOT_FOUND. Clear and remove move the epoch.
 * clear: whatever the status was, it becomes NEVER, the next attestation is
 * full, and revoked instances may come back. remove: epochs of a host that
 * enrols again go on above the old ones, and its credentials are revoked.
 */
must_check struct err txn_host_clear(struct txn *t, const char *id);
must_check struct err txn_host_remove(struct txn *t, const char *id);
/* Moves the epoch of a host and ends its verdict. */
must_check struct err txn_host_revoke(struct txn *t, const char *id);
/* Ends one instance for credentials, through every later verdict, until an operator clears its host. */
must_check struct err txn_instance_revoke(struct txn *t, const uint8_t id[INSTANCE_ID_LEN]);

/* --- credentials --- */
struct credential_row {
	char jti[44];
	char jkt[44];
	char host_id[HOST_ID_LEN + 1];
	uint8_t instance[INSTANCE_ID_LEN];
	char agent[65];
	char *scope, *audience, *task_id, *owner; /* owned */
	int64_t issued_s, expires_s;
	uint64_t epoch;
	bool revoked;
};
void credential_row_done(struct credential_row *c);
#define cleanup_credential_row cleanup(credential_row_done)
/*
 * Inserts after comparing, inside the transaction, that the host's epoch is
 * c->epoch, the instance is usable, has this key, and its verdict lives at
 * least as long as the credential: E_AUTH_RETRY. E_AUTH_REFUSED where the task
 * was ended by an operator.
 */
must_check struct err txn_credential_add(struct txn *t, const struct credential_row *c);
/* With whether its host's epoch, its instance and its task still hold; the clock is the caller's. E_LOCAL_NOT_FOUND. */
must_check struct err store_credential(struct store *s, const char *jti, struct credential_row *ret, bool *ret_alive);
/* E_LOCAL_NOT_FOUND. Revoking again is E_OK. */
must_check struct err txn_credential_revoke(struct txn *t, const char *jti);
/* Every credential of this task, and none is issued for it any more. *ret_n: how many were not revoked yet. */
must_check struct err txn_task_revoke(struct txn *t, const char *task_id, uint64_t *ret_n);

/* --- operator documents --- */
/* E_AUTH_CONFLICT: serial not above the highest accepted or withdrawn for (kind, name). */
must_check struct err txn_document_add(struct txn *t, const struct document *d, struct bytes envelope, const char *keyid,
				       int64_t now_s);
/* Also moves the epoch of every host whose last verdict used one of them. *ret_n_hosts: how many. E_LOCAL_NOT_FOUND. */
must_check struct err txn_document_withdraw(struct txn *t, const struct document *withdrawal, struct bytes envelope,
					    const char *keyid, int64_t now_s, uint64_t *ret_n_hosts);
/* Epochs of all hosts whose verdict used a document signed by this key: when an operator's key is removed. */
must_check struct err txn_operator_removed(struct txn *t, const char *keyid, uint64_t *ret_n_hosts);
/* The same for one document: when its operator may no longer sign it. The document stays. */
must_check struct err txn_document_dropped(struct txn *t, const char *kind, const char *name, uint64_t serial,
					   uint64_t *ret_n_hosts);
/*
 * The policy generation: moves in every transaction that adds, withdraws or
 * drops a document. Who decided by documents of a generation commits only if
 * it still is that one, so that nothing withdrawn decides after its
 * withdrawal. E_AUTH_RETRY.
 */
must_check struct err txn_policy_check(struct txn *t, uint64_t generation);
/*
 * Calls fn for each document that is accepted and not withdrawn, but for
 * withdrawals; keyid as signed. A failure of fn ends the walk and is returned.
 * *ret_generation: of exactly these documents; may be NULL.
 */
must_check struct err store_documents(struct store *s,
				      struct err (*fn)(void *ctx, struct bytes envelope, const char *keyid,
						       const char *kind, const char *name, uint64_t serial),
				      void *ctx, uint64_t *ret_generation);
must_check struct err store_document_keyids(struct store *s, struct err (*fn)(void *ctx, const char *keyid), void *ctx);

/* --- trust anchors for EK certificates --- */
must_check struct err txn_trust_add(struct txn *t, const uint8_t sha256[32], struct bytes der);   /* E_AUTH_CONFLICT: there already */
must_check struct err txn_trust_remove(struct txn *t, const uint8_t sha256[32]);                  /* E_LOCAL_NOT_FOUND */
must_check struct err store_trust(struct store *s, struct err (*fn)(void *ctx, struct bytes der), void *ctx);

/* --- clients that may introspect --- */
must_check struct err txn_client_add(struct txn *t, const char *name, const uint8_t secret_sha256[32], int64_t now_s); /* E_AUTH_CONFLICT */
/* A resource whose tokens this client may ask about. E_LOCAL_NOT_FOUND: no such client. Adding again is E_OK. */
must_check struct err txn_client_resource_add(struct txn *t, const char *name, const char *resource);
must_check struct err txn_client_remove(struct txn *t, const char *name); /* E_LOCAL_NOT_FOUND */
must_check struct err store_client(struct store *s, const char *name, uint8_t ret_secret_sha256[32]); /* E_LOCAL_NOT_FOUND */
/* Whether this client may ask about tokens for this audience: it is one of its resources, or it has none. False where there is no such client. */
must_check struct err store_client_may_ask(struct store *s, const char *name, const char *audience, bool *ret);
/* Whether this client, or with name NULL any client, asks about tokens for this resource. */
must_check struct err store_client_resource(struct store *s, const char *name, const char *resource, bool *ret);

/*
 * --- lists for operators: JSON arrays of at most limit rows; times are RFC 3339, digests hex ---
 *
 *  hosts        host, status (STALE and live verdicts by now_s), enrolled, verdict?, expires?, epoch, ek_sha256
 *  instances    host, instance, agent, status, usable, revoked, expires, image, model, rootfs?, container_policy?, jkt
 *  credentials  jti, host, instance, agent, scope, audience, task, owner, issued, expires, alive; live ones first
 *  documents    kind, name, serial, owner, digest, keyid, not_before, expires, accepted, withdrawn?
 *  clients      name, created, resources
 */
must_check struct err store_list_hosts(struct store *s, int64_t now_s, size_t limit, json_t **ret);
must_check struct err store_list_instances(struct store *s, int64_t now_s, size_t limit, json_t **ret);
must_check struct err store_list_credentials(struct store *s, int64_t now_s, size_t limit, json_t **ret);
must_check struct err store_list_documents(struct store *s, size_t limit, json_t **ret);
must_check struct err store_list_clients(struct store *s, size_t limit, json_t **ret);
/* Numbers for /metrics. */
struct store_counts {
	uint64_t hosts, verified, failed, instances, credentials_live, documents;
};
must_check struct err store_counts(struct store *s, int64_t now_s, struct store_counts *ret);

#endif
