/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the verifier knows of a host: the immutable record of its enrolment and
 * the state that attestations move. Both are plain data; the store keeps them,
 * appraisal reads one state and returns the next.
 */
#ifndef ASSAY_VERIFIER_HOST_H
#define ASSAY_VERIFIER_HOST_H

#include <stdatomic.h>

#include "firmware-measure/workload_event.h"
#include "protocol/evidence.h"
#include "verifier/appraise/platform_firmware.h"

/* Made once, at activation (N10, N11). Never changed, so several may hold one. */
struct host_record {
	atomic_uint holders;              /* besides the first */
	char id[HOST_ID_LEN + 1];
	uint8_t ek_sha256[32];            /* of the EK's SubjectPublicKeyInfo */
	struct tpm_name ak_name;
	struct key *ak;                   /* owned */
	enum sig_scheme ak_scheme;
	enum digest_id ak_hash;
	struct tpm_name ak_qualified_name; /* in the endorsement hierarchy (K4, Q14) */
	bool has_ek_cert;                 /* its chain was verified at enrolment; false: the operator's word for the EK is all there is */
	int64_t enrolled_s;
	uint8_t digest[32];               /* SHA-256 over the encoded record; verdicts name it */
};
/*
 * Record as CBOR for the store: TPMT_PUBLIC of EK and AK, EK certificate (may
 * be empty), time. Decoding computes everything else anew and judges both
 * public areas again. E_PEER_*, E_LIMIT_*. The caller owns *ret.
 */
#define HOST_RECORD_MAX (32 * KIB)
must_check struct err host_record_encode(struct bytes ek_public, struct bytes ek_cert, struct bytes ak_public,
					 int64_t enrolled_s, struct buf *ret);
must_check struct err host_record_decode(struct bytes in, struct host_record **ret);
/* One more holder; each gives it back with host_record_free(). */
struct host_record *host_record_hold(struct host_record *h);
void host_record_free(struct host_record *h);
DEFINE_CLEANUP(struct host_record, cleanup_host_record_, host_record_free)
#define cleanup_host_record cleanup(cleanup_host_record_)

enum host_status {
	HOST_NEVER,       /* enrolled, never attested in this activation */
	HOST_VERIFIED,
	HOST_FAILED,      /* until a new full verification or an operator */
	HOST_REBOOTED,    /* new boot seen, not yet verified in full */
	HOST_ERROR,
};
const char *host_status_name(enum host_status s);
/* PENDING and STALE are not stored: they follow from documents and from the clock when the state is read. */

/* An instance that has started and not ended. */
struct instance {
	uint8_t id[INSTANCE_ID_LEN];
	char agent[65];
	struct image_digests image;       /* as started */
	struct model_digests model;
	uint8_t args[32];
	struct tpm_name key_name;
	bool has_key;                     /* certified by the AK in this boot */
	uint8_t key_x[32], key_y[32];     /* left-padded */
	char jkt[44];                     /* base64url thumbprint, NUL */
	bool has_container;               /* it runs in one that the host's runtime hook has let start */
	struct container_digests container; /* as started */
	bool changed;                     /* terminal: image, container or model differ from the start */
	struct image_digests now_image;   /* with changed */
	struct model_digests now_model;
	struct container_digests now_container; /* with changed, in a container */
};

/*
 * The firmware log of the boot, by what came of it: the judgement stands while
 * the registers that the log explains stay as they were.
 */
struct firmware_judged {
	bool has;
	uint8_t doc[32];                  /* digest of the platform document that judged it */
	uint8_t pcrs[32];                 /* SHA-256 over the quoted values of the registers, ascending */
	uint32_t compared_mask;           /* registers that the log explains and events extended */
	bool measurer_seen;               /* the golden boot image, where the document asks for one */
	struct firmware_base base;        /* where the document speaks of systemd's log, which goes on with it */
};

/*
 * An open replay of the IMA list of one boot under one platform document: how
 * far it has come and what was found on the way. The one part of the state
 * that goes on without a pass, because a list can be longer than a message;
 * what it found wrong stays in it. offset counts whole entries only.
 */
#define IMA_PROGRESS_MAX (12 * KIB)
struct ima_progress {
	bool has;
	uint8_t boot_id[BOOT_ID_LEN];
	uint8_t policy_digest[32], doc[32];
	uint64_t offset;                  /* bytes of the list that were replayed */
	size_t n;
	uint8_t *state;                   /* owned, n bytes: the encoded replay and judgement */
};

/* What ended in this boot without an approval that explains it. */
struct unexplained {
	size_t n;
	uint8_t instance[INSTANCE_ID_LEN]; /* the first of them */
	uint8_t digest[32];                /* of its manifest, or of its root */
};

struct host_state;

/*
 * An open replay of a workload log that is longer than a message: boot, log and
 * instances as the state will have them once a quote has the register where
 * the replay has come to. Until then nothing in it counts; only the evidence
 * that goes on with the log reads it, and the first failure ends it.
 */
struct log_progress {
	struct host_state *state;         /* owned; NULL: there is none. Without clock, firmware log and open replays */
	struct unexplained image_gone, root_gone, model_gone; /* found on the way */
};
void log_progress_done(struct log_progress *p);
#define cleanup_log_progress cleanup(log_progress_done)

/* Position in the workload log and everything that follows from the records before it. */
struct host_state {
	enum host_status status;
	bool has_clock;                   /* clock and firmware_version are those of an authentic quote */
	struct tpm_clock clock;           /* of the newest quote that the clock rules accepted, whatever its verdict */
	uint64_t firmware_version;
	struct ima_progress ima;          /* has: there is one */
	struct log_progress open;

	/* Everything below holds with a pass only, and is empty after anything else. */
	bool has_boot;                    /* the boot below is certified and its log known */
	uint8_t boot_id[BOOT_ID_LEN];
	struct tpm_name null_name;        /* of the null-hierarchy primary */
	uint8_t policy_digest[32];        /* of the reference values under which the log was accepted */
	uint64_t log_offset, log_records;
	uint32_t log_restart;             /* restart count of the last resume record; 0: none */
	size_t n_banks;                   /* PCR per bank after log_records */
	enum digest_id bank[LIMIT_BANKS];
	struct digest pcr[LIMIT_BANKS];
	size_t n_instances;
	struct instance *instance;        /* owned */
	size_t n_gone;                    /* two for each instance that ended in this boot */
	struct firmware_judged firmware;  /* has: the platform document speaks of the log, and it passed */
	uint64_t *gone;                   /* owned: first 8 bytes of SHA-256 of its id, and of its key Name; nothing from them is accepted again */
};
#define HOST_STATE_MAX (8 * MIB)
_Static_assert(2 * (16 * LIMIT_STARTS + 1024 * LIMIT_INSTANCES) + IMA_PROGRESS_MAX + 4 * KIB <= HOST_STATE_MAX,
	       "room for all that ended and all that runs, in the state and in an open replay");
void host_state_init(struct host_state *s); /* HOST_NEVER, all empty */
void host_state_done(struct host_state *s);
#define cleanup_host_state cleanup(host_state_done)
/* *ret is as after host_state_init() before. E_LOCAL_MEMORY. */
must_check struct err host_state_copy(const struct host_state *from, struct host_state *ret);

/*
 * Whether evidence of this boot, under these reference values, may go on where
 * the state stands. A challenge asks for log_offset onwards, and names the
 * boot and the keys as known, only then; otherwise it asks for everything:
 * the log from 0, the certified null primary and every key. Appraisal asks
 * the same question.
 */
bool host_state_continues(const struct host_state *s, const uint8_t boot_id[BOOT_ID_LEN],
			  const uint8_t policy_digest[32]);

/*
 * The state from whose log_offset on a challenge asks for the workload log of
 * this boot: that of an open replay, or *s where it continues, or NULL for a
 * log that is to come from its first record on. Borrowed.
 */
const struct host_state *host_state_log(const struct host_state *s, const uint8_t boot_id[BOOT_ID_LEN],
					const uint8_t policy_digest[32]);

/* Whether the replay may go on with evidence of this boot under these reference values; it is for this document. */
bool ima_progress_continues(const struct ima_progress *p, const uint8_t boot_id[BOOT_ID_LEN],
			    const uint8_t policy_digest[32]);
/* *p takes over the n bytes of *state (E_BUG above IMA_PROGRESS_MAX, which takes nothing) beside what the caller sets itself. */
must_check struct err ima_progress_keep(struct ima_progress *p, struct bytes state);
void ima_progress_done(struct ima_progress *p);

/*
 * Drops all that follows from the logs and the boot; keeps status, clock and
 * firmware version, which the clock rules (R1, R2, R5) need whatever the
 * verdicts were. The next challenge asks for everything.
 */
void host_state_forget_log(struct host_state *s);

/* CBOR for the store, at most HOST_STATE_MAX bytes. Decoding: *ret as for host_state_copy(). E_PEER_*, E_LIMIT_*. */
must_check struct err host_state_encode(const struct host_state *s, struct buf *ret);
must_check struct err host_state_decode(struct bytes in, struct host_state *ret);

#endif
