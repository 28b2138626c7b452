/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host and its verifier without a network: a software TPM, a workload log,
 * operator documents and the state that a store would hold. It makes evidence
 * that passes; a test changes one thing, which is signed anew where a TPM
 * would sign it. Failures of the lab itself abort.
 */
#ifndef ASSAY_TESTS_SUPPORT_LAB_H
#define ASSAY_TESTS_SUPPORT_LAB_H

#include "tests/support/documents.h"
#include "tests/support/softtpm.h"
#include "verifier/appraise/appraise.h"

#define LAB_NOW 1500000
#define LAB_ISSUER "https://verifier.example"
#define LAB_MAX_INSTANCES 16
#define LAB_MAX_DOCS 16

struct lab_instance {
	uint8_t id[INSTANCE_ID_LEN];
	struct softtpm_key *key;
	bool live;
};

struct lab {
	/* verifier */
	uint8_t nonce_key[32];
	int64_t now_s;
	struct host_record *host;
	struct host_state state;
	json_t *doc[LAB_MAX_DOCS];    /* by kind; further ones behind N_DOCUMENT_KINDS; NULL: none */
	struct reference *reference;
	/* host */
	struct softtpm *tpm;
	struct buf log;
	uint64_t n_records;
	struct buf firmware_log, userspace_log, ima; /* as the host has them; sent where the challenge asks */
	size_t n_instances;
	struct lab_instance instance[LAB_MAX_INSTANCES];
	/* last challenge and evidence */
	struct challenge challenge;
	uint64_t n_challenges;
	struct buf evidence;
	struct evidence *ev;          /* scratch */
	struct evidence_claims *claims;
};

/* Enrolled and approved, booted, one instance (number 0) running; nothing attested yet. */
struct lab *lab_new(enum softtpm_template ak);
void lab_free(struct lab *l);
DEFINE_CLEANUP(struct lab, cleanup_lab_, lab_free)
#define cleanup_lab cleanup(cleanup_lab_)

/* Documents: changes a member of one, from JSON text, and publishes all. */
void lab_doc_set(struct lab *l, size_t doc, const char *key, const char *json);
/* Takes p as the document in this place (NULL: none) and publishes all. */
void lab_doc_put(struct lab *l, size_t doc, json_t *p);
/* The image "img" permits containers with the root whose digest is that of this text. */
void lab_approve_root(struct lab *l, const char *root);
/* Sets the golden vector to what the registers hold now. */
void lab_approve_platform(struct lab *l);

/*
 * The host's side. lab_boot() is what follows a TPM reset or restart: firmware
 * measures (what l->firmware_log says, where a test filled it), a new log begins.
 */
void lab_boot(struct lab *l);
/* The kernel measures the entries of a binary IMA list: they are added to l->ima and extended in the SHA-256 bank. */
void lab_ima(struct lab *l, struct bytes list);
void lab_record(struct lab *l, const struct workload_event *ev);
/* Appends to the log what was extended, but with another number or register. */
void lab_record_as(struct lab *l, const struct workload_event *ev, uint64_t recnum, uint32_t pcr);
size_t lab_start(struct lab *l, const char *agent, const char *image, const char *model);
/* The same with this key, which it takes. */
size_t lab_start_key(struct lab *l, const char *agent, const char *image, const char *model, struct softtpm_key *key);
/* In a container whose root and policy have the digests of these texts. */
size_t lab_start_container(struct lab *l, const char *agent, const char *image, const char *root, const char *policy);
void lab_end(struct lab *l, size_t instance);
/* An instance of which the host keeps no key: one that ends before the next evidence. Numbers are ids. */
void lab_task_start(struct lab *l, uint32_t number, const char *agent, const char *image);
void lab_task_end(struct lab *l, uint32_t number);
/* Such tasks, one after the other from this number on, until the log has so many bytes. Returns the next number. */
uint32_t lab_tasks(struct lab *l, uint32_t from, size_t bytes);
void lab_changed(struct lab *l, size_t instance, const char *image, const char *model);
void lab_changed_container(struct lab *l, size_t instance, const char *image, const char *root, const char *policy);
void lab_boot_id(const struct lab *l, uint8_t ret[BOOT_ID_LEN]);

/* What a test changes on the way. Everything may be NULL. */
struct lab_change {
	void (*claims)(struct lab *l, struct evidence_claims *c);     /* before the quote covers them */
	void (*claims_bytes)(struct lab *l, struct buf *claims);      /* the same, encoded */
	void (*quote)(struct lab *l, struct tpm_attest *a);           /* before it is signed */
	void (*quote_bytes)(struct lab *l, struct buf *attest);       /* before they are signed */
	void (*signature)(struct lab *l, struct buf *sig);            /* afterwards */
	void (*boot)(struct lab *l, struct tpm_attest *a);            /* certification of the null primary, before it is signed */
	void (*boot_bytes)(struct lab *l, struct buf *attest);        /* the same, encoded */
	void (*key)(struct lab *l, struct tpm_attest *a);             /* of every workload key */
	void (*key_bytes)(struct lab *l, struct buf *attest);
	void (*evidence)(struct lab *l, struct evidence *ev);         /* before it is encoded */
	const struct softtpm_key *signer;                             /* of the quote */
	const struct softtpm_key *key_signer, *boot_signer;
	const struct pcr_selection *quoted;                           /* what the TPM was asked to quote */
	struct bytes body;                                            /* attested part of other types than quote and certify */
};

/* Asks for a challenge as the service answers it, and makes evidence for it in l->evidence. */
void lab_challenge(struct lab *l);
void lab_evidence(struct lab *l, const struct lab_change *change);
/* Appraises l->evidence. *ret is as after verdict_init(). */
struct err lab_appraise(struct lab *l, struct verdict *ret);
/* What the store does with a verdict that counts. */
void lab_store(struct lab *l, struct verdict *v);

/* Challenge, evidence, appraisal, store; prints the failures and aborts unless it passed. */
void lab_must_pass(struct lab *l);

#endif
