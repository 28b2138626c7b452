/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a verifier would find in evidence, worked out by protocol/tpmw.h alone: for
 * tests of the host side. No policy, only whether it holds together.
 */
#ifndef ASSAY_TESTS_SUPPORT_EVIDENCE_CHECK_H
#define ASSAY_TESTS_SUPPORT_EVIDENCE_CHECK_H

#include "firmware-measure/cel.h"
#include "firmware-measure/workload_event.h"
#include "protocol/messages.h"

/* What is known of the host beforehand, and what evidence teaches. */
struct evidence_check {
	struct buf ak_public;           /* TPMT_PUBLIC */
	bool boot_known;
	struct tpm_name null_name;
	uint64_t log_offset, log_records;
	struct digest pcr;              /* workload PCR there, in the bank that is quoted */
	size_t n_known;
	uint8_t known[LIMIT_INSTANCES][PRESENTED_ID_LEN];

	/* of the last evidence */
	size_t n_presented, n_new_keys;
	uint8_t presented[LIMIT_INSTANCES][PRESENTED_ID_LEN];
	bool had_boot;
	size_t n_events;
	enum workload_kind event[1024];
	uint8_t event_instance[1024][INSTANCE_ID_LEN];
	struct image_digests last_image;
	struct model_digests last_model;
};
void evidence_check_init(struct evidence_check *c);
void evidence_check_done(struct evidence_check *c);
/* Forgets what it learned, as after a verdict that did not pass. */
void evidence_check_forget(struct evidence_check *c);

/* Puts what is known into a challenge. */
void evidence_check_challenge(const struct evidence_check *c, struct challenge *ch);

/* E_OK where everything fits the challenge; the reason says what does not. Learns from it. */
must_check struct err evidence_check(struct evidence_check *c, const struct challenge *ch, struct bytes evidence,
				     struct reason *reterr);

#endif
