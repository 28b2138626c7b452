/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Appraisal (RFC 9334, 8.1): evidence, host record, state, reference values
 * and the time in; a verdict out. Pure: no I/O, clock, store or globals.
 *
 * One static table of checks {id, name, waivable, gate, function}, run in
 * order. A gate that does not pass ends the run and leaves the rest NOT_RUN:
 * bytes, structure, signature, magic and type, nonce, selection, digest. The
 * checks behind the gates all run, so that the verdict names everything that
 * is wrong.
 */
#ifndef ASSAY_VERIFIER_APPRAISE_H
#define ASSAY_VERIFIER_APPRAISE_H

#include "verifier/appraise/allowlists.h"
#include "verifier/appraise/nonce.h"
#include "verifier/appraise/reference.h"
#include "verifier/appraise/verdict.h"

#define WORKLOAD_PCR 13

struct appraisal {
	struct bytes evidence;
	const char *issuer;               /* our URL, compared with the claims */
	const uint8_t *nonce_key;         /* 32 bytes */
	const struct host_record *host;
	const struct host_state *state;
	const struct reference *reference;
	const struct allowlists *allowlists; /* that platform documents may name; NULL: none */
	int64_t now_s;
};

/*
 * *ret is as after verdict_init() before. E_OK with a verdict for everything
 * that could be decided, bad bytes included. An error means that nothing was decided (E_LOCAL_*, E_BUG) and
 * *ret is as after verdict_init().
 */
must_check struct err appraise(const struct appraisal *in, struct verdict *ret);

/*
 * The selection that we ask of a host: PCRs of its platform documents (0-15 of SHA-256 where none holds yet, so that an
 * operator can approve what he sees) and the workload PCR, in one bank. A host that no host document names is asked what
 * the documents for all hosts want, like one that is named: a challenge does not tell strangers which are ours.
 */
must_check struct err appraise_selection(const struct reference *r, const uint8_t ek_sha256[32], int64_t now_s,
					 struct pcr_selection *ret);

/* Which logs a challenge asks for. */
struct appraise_logs {
	bool firmware;        /* a platform document speaks of the log, and this boot's was not judged yet */
	bool userspace;       /* a platform document speaks of what systemd measured: its log goes on while the host runs */
	bool ima;             /* a platform document speaks of the list */
	uint64_t ima_offset;  /* from where on */
};
/* boot_id is what the host says; the evidence will show. s: the host's state, or NULL for one that is not known. */
void appraise_logs(const struct reference *r, const uint8_t ek_sha256[32], int64_t now_s, const struct host_state *s,
		   const uint8_t boot_id[BOOT_ID_LEN], struct appraise_logs *ret);

/* Host id that evidence claims, before anything is verified: only to find the record. E_PEER_*. */
must_check struct err appraise_unsigned_host(struct bytes evidence, char ret[HOST_ID_LEN + 1]);

/* Table for documentation, metrics and explain. */
struct check_info {
	const char *id, *name;
	bool waivable, gate;
};
size_t appraise_n_checks(void);
struct check_info appraise_check(size_t i);

#endif
