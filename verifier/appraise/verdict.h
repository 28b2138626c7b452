/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A verdict: one result per check, nothing else decides. It starts with every
 * check NOT_RUN, and passing means that each one passed (or was waived by a
 * named policy line) and that something was compared.
 */
#ifndef ASSAY_VERIFIER_VERDICT_H
#define ASSAY_VERIFIER_VERDICT_H

#include "base/jsonw.h"
#include "protocol/messages.h"
#include "verifier/appraise/host.h"
#include "verifier/appraise/platform_firmware.h"
#include "verifier/appraise/platform_ima.h"

enum check_result { CHECK_NOT_RUN = 0, CHECK_PASS, CHECK_FAIL, CHECK_WAIVED };
const char *check_result_name(enum check_result r);

/* Upper bound of the table in appraise.c; the table itself says how many there are. */
#define VERDICT_MAX_CHECKS 64

/* AR4SI tiers as EAR writes them (draft-ietf-rats-ear, 3.2). */
enum tier { TIER_NONE = 0, TIER_AFFIRMING = 2, TIER_WARNING = 32, TIER_CONTRAINDICATED = 96 };
const char *tier_name(enum tier t);

/* Trustworthiness vector; 0 is "no claim". Order is that of the EAR keys. */
struct trust_vector {
	int8_t instance_identity, configuration, executables, file_system, hardware, runtime_opaque, storage_opaque,
		sourced_data;
};
/* The worst tier of the vector's claims. */
enum tier trust_vector_tier(const struct trust_vector *v);

struct instance_verdict {
	uint8_t id[INSTANCE_ID_LEN];
	char agent[65];
	char jkt[44];                     /* thumbprint of its certified key, for cnf; "" where none is certified */
	bool has_container;
	struct container_digests digests; /* of the container that it runs in */
	struct trust_vector platform, container, model, key;
	enum tier status;                 /* worst of the four */
	bool usable;                      /* approved, unchanged, key certified, agent document holds and its minimum_status is met */
	uint8_t agent_doc[32];            /* digests of the documents that decided; zero where none */
	uint8_t image_doc[32], model_doc[32];
};

/*
 * How much of what was measured the rules of the platform document decided.
 * The counts of the firmware log are of this evidence: none where the
 * judgement of an earlier one stands. Those of the IMA list are of the boot.
 */
struct coverage {
	bool firmware, ima;               /* each: judged */
	size_t n_events, n_ignored, n_undecided; /* that extend a register; in ignored ones; allowed by no rule */
	size_t firmware_rule[N_FIRMWARE_RULES];
	uint32_t ignored_mask;            /* registers that the document ignores with a reason */
	uint64_t n_entries, ima_rule[N_IMA_RULES];
};

struct verdict {
	enum check_result result[VERDICT_MAX_CHECKS];
	size_t n_checks;
	size_t n_compared;                /* PCR values that equalled approved ones, those at their reset value not counted */
	uint32_t compared_mask;           /* the same registers */
	struct coverage coverage;
	bool authentic;                   /* signed by the enrolled AK over a live nonce of ours: only then it may consume and change */
	bool overtaken;                   /* the state moved since the challenge (a later answer of this boot came first): refuse,
					     change nothing, want a new challenge; next is then the state as it was */
	bool incomplete;                  /* not a verdict yet: nothing failed so far, and the workload log or the IMA list goes on in the next
					     message; next is the state as it was, with the replays further on */
	bool firmware_changed;            /* Q15: warn, re-check */
	bool power_loss;                  /* clock info's safe flag is 0 */
	size_t n_failures;
	struct attest_failure failure[ATTEST_MAX_FAILURES]; /* in order of the table */
	struct bytes nonce;               /* view into the evidence, when authentic */
	enum digest_id pcr_bank;          /* the quoted registers, when authentic: "pcrs" in verdict_json(), from which an */
	uint32_t pcr_mask;                /* operator approves a platform */
	struct digest pcr[LIMIT_PCRS];    /* by PCR number */

	uint8_t host_doc[32], platform_doc[32], policy_digest[32], record_digest[32];
	enum host_status status;          /* what the host becomes, when authentic: VERIFIED, FAILED, REBOOTED, or NEVER still where all that
					     fails is that no host document names it */
	struct host_state next;           /* state to store when authentic; advanced only with a pass */
	size_t n_instances;
	struct instance_verdict *instance; /* owned; the live instances, with a pass in the order of next.instance */
	struct trust_vector platform;     /* for a host without instances */
};
void verdict_init(struct verdict *v);
void verdict_done(struct verdict *v);
#define cleanup_verdict cleanup(verdict_done)

/*
 * Every check passed or was waived, and something was compared. The host is
 * then VERIFIED; whether an instance may have a credential is its own `usable`,
 * because a platform document can let a host pass beside an instance that
 * nobody approved, whose failures are then listed all the same.
 */
bool verdict_passed(const struct verdict *v);
/* The first check that failed, by id; "" where none did. */
const char *verdict_first_failure(const struct verdict *v);
/* The claims of a vector as members of an object that is open, by their AR4SI names; those that are 0 are left out. */
void trust_vector_json(const struct trust_vector *v, struct jsonw *w);
/*
 * What is stored of a verdict for explain, into an object that is open:
 * {"status","results":{id: result},"failures":[...],"compared":[...],"pcrs":{"sha256":{"0":"hex",...}},...}.
 * Names of checks are not in it; who shows it takes them from appraise_check().
 */
void verdict_json(const struct verdict *v, struct jsonw *w);

#endif
