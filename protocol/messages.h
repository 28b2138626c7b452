/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The JSON messages between host and verifier; CDDL in assay.cddl. Binary
 * members are base64url without padding, but ek_sha256, which is hex as in
 * host documents, and instance ids in results, which people read. Encoder and
 * decoder of a message stand side by side in one file (enrol.c, challenge.c,
 * attest_reply.c, problem.c).
 *
 * x_init() allocates nothing; call it before anything that can fail, so that
 * x_done() is safe. Decoders own nothing of *ret on failure and leave it
 * unchanged; on success the caller frees it with x_done(). What stood in *ret
 * before is overwritten, not freed.
 *
 * Decoders demand every member that the CDDL does not mark as optional and
 * refuse all others: E_PEER_SYNTAX, E_PEER_DUPLICATE, E_PEER_MISSING,
 * E_PEER_UNKNOWN_KEY, E_PEER_TYPE, E_PEER_RANGE, E_PEER_NOT_CANONICAL,
 * E_PEER_UNSUPPORTED (bank), E_LIMIT_SIZE, E_LIMIT_COUNT, E_LIMIT_DEPTH,
 * E_LOCAL_MEMORY; the reason names the member. Encoders append compact JSON:
 * E_BUG for a count or a state that no decoder would take, E_PEER_SYNTAX for
 * text that is not UTF-8, E_LIMIT_SIZE, E_LOCAL_MEMORY.
 */
#ifndef ASSAY_PROTOCOL_MESSAGES_H
#define ASSAY_PROTOCOL_MESSAGES_H

#include "base/json.h"
#include "protocol/evidence.h"

/* POST /v1/enrol, step one: {"ek_public","ek_cert"?,"ek_chain"?:[...],"ak_public"}. */
struct enrol_request {
	struct buf ek_public;              /* TPMT_PUBLIC */
	struct buf ek_cert;                /* DER; empty: none */
	size_t n_chain;
	struct buf chain[LIMIT_CHAIN];     /* DER */
	struct buf ak_public;              /* TPMT_PUBLIC */
};
void enrol_request_init(struct enrol_request *m);
void enrol_request_done(struct enrol_request *m);
must_check struct err enrol_request_encode(const struct enrol_request *m, struct buf *ret);
must_check struct err enrol_request_decode(struct bytes in, struct enrol_request *ret, struct reason *reterr);

/*
 * Its answer: {"host","credential_blob","encrypted_secret","session"}. session
 * is opaque to the host and authenticated by the verifier.
 */
struct enrol_challenge {
	char host_id[HOST_ID_LEN + 1];
	struct buf credential_blob;        /* TPM2B_ID_OBJECT */
	struct buf encrypted_secret;       /* TPM2B_ENCRYPTED_SECRET */
	struct buf session;
};
void enrol_challenge_init(struct enrol_challenge *m);
void enrol_challenge_done(struct enrol_challenge *m);
must_check struct err enrol_challenge_encode(const struct enrol_challenge *m, struct buf *ret);
must_check struct err enrol_challenge_decode(struct bytes in, struct enrol_challenge *ret, struct reason *reterr);

/*
 * POST /v1/enrol/activate, step two: {"request":{...},"session","secret"}: the
 * request again, the session and the secret that the TPM released.
 */
struct enrol_activation {
	struct enrol_request request;
	struct buf session;
	struct buf secret;
};
void enrol_activation_init(struct enrol_activation *m);
void enrol_activation_done(struct enrol_activation *m);
must_check struct err enrol_activation_encode(const struct enrol_activation *m, struct buf *ret);
must_check struct err enrol_activation_decode(struct bytes in, struct enrol_activation *ret, struct reason *reterr);

/* Its answer: {"host","state":"PENDING"|"ENROLLED","issuer","ek_sha256"}. */
struct enrol_reply {
	char host_id[HOST_ID_LEN + 1];
	char state[16];
	char issuer[ISSUER_MAX + 1];
	uint8_t ek_sha256[32];             /* SHA-256 of the EK's SubjectPublicKeyInfo */
};
must_check struct err enrol_reply_encode(const struct enrol_reply *m, struct buf *ret);
must_check struct err enrol_reply_decode(struct bytes in, struct enrol_reply *ret, struct reason *reterr);

/*
 * POST /v1/challenge: {"host","boot"}; answer {"nonce","issuer","bank","pcrs":[...],"log_offset","log_records",
 * "log_pcr","boot_known","keys_known":[...],"firmware_log","userspace_log"?,"ima_offset"?}.
 */
struct challenge_request {
	char host_id[HOST_ID_LEN + 1];
	uint8_t boot_id[BOOT_ID_LEN];
};
must_check struct err challenge_request_encode(const struct challenge_request *m, struct buf *ret);
must_check struct err challenge_request_decode(struct bytes in, struct challenge_request *ret, struct reason *reterr);

struct challenge {
	uint8_t nonce[NONCE_LEN];
	char issuer[ISSUER_MAX + 1];
	struct pcr_selection selection;    /* one bank, at least one PCR */
	uint64_t log_offset, log_records;  /* what the verifier holds for this boot */
	struct digest log_pcr;             /* none at offset 0 */
	bool boot_known;                   /* false: send the certified null primary */
	bool firmware_log;                 /* true: send it */
	bool userspace_log;                /* the same of systemd's */
	bool wants_ima;                    /* send the IMA list from ima_offset on, as much of it as may be sent at once */
	uint64_t ima_offset;               /* bytes of it that the verifier has replayed */
	size_t n_known;                    /* instances whose key it holds; of others send the key */
	uint8_t known[LIMIT_INSTANCES][PRESENTED_ID_LEN];
};
must_check struct err challenge_encode(const struct challenge *m, struct buf *ret);
must_check struct err challenge_decode(struct bytes in, struct challenge *ret, struct reason *reterr);

/*
 * Answer of POST /v1/attest, for evidence that the enrolled AK signed over a
 * live nonce of ours, whatever the verdict:
 * {"host","state","incomplete","expires"?,"failures":[{"check","subject","expected","seen"}],"results":[{"instance","status","ear"}]}.
 */
#define ATTEST_MAX_FAILURES 16
struct attest_failure {
	char check[24];                    /* id_valid(), e.g. "W-model" */
	char subject[80];                  /* instance, agent or PCR that it is about, or "" */
	char expected[200], seen[200];
};
struct attest_result {
	char instance[2 * PRESENTED_ID_LEN + 1]; /* hex; "" for the host as a whole */
	char status[16];                   /* EAR status: none, affirming, warning, contraindicated */
	struct buf ear;                    /* compact JWS */
};
struct attest_reply {
	char host_id[HOST_ID_LEN + 1];
	char state[16];                    /* NEVER, PENDING, VERIFIED, FAILED, STALE, REBOOTED, ERROR */
	bool incomplete;                   /* a log is longer than one message: go on with a new challenge, at once */
	int64_t expires_s;                 /* 0: none */
	size_t n_failures;
	struct attest_failure failure[ATTEST_MAX_FAILURES];
	size_t n_results;                  /* at most LIMIT_INSTANCES + 1 */
	struct attest_result *result;      /* owned array */
};
void attest_reply_done(struct attest_reply *m);
must_check struct err attest_reply_encode(const struct attest_reply *m, struct buf *ret);
must_check struct err attest_reply_decode(struct bytes in, struct attest_reply *ret, struct reason *reterr);

/*
 * Every refusal: application/problem+json (RFC 9457)
 * {"type":"urn:assay:error:<name>","title","status","detail","check"?}.
 * The one message whose unknown members are ignored (RFC 9457, 3.2).
 */
struct problem {
	unsigned status;
	char name[32];                     /* id_valid(): error name or OAuth code */
	char title[80];
	char detail[480];
	char check[24];                    /* first failing check, or "" */
};
must_check struct err problem_encode(const struct problem *m, struct buf *ret);
must_check struct err problem_decode(struct bytes in, struct problem *ret, struct reason *reterr);

#endif
