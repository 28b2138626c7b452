/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Evidence for a challenge: claims, quote, register values, log, certified keys.
 *
 * The writer lock is held, so our own log does not move. Others extend other
 * registers at any time: values that do not fit the quote are read again, with a
 * new quote, a few times.
 *
 * Source: protocol/evidence.h.
 */
#ifndef ASSAY_ATTEST_COLLECT_H
#define ASSAY_ATTEST_COLLECT_H

#include "attest/ak.h"
#include "attest/workload.h"
#include "protocol/messages.h"

#define COLLECT_QUOTES_MAX 8

struct collect {
	struct tpm *tpm;
	int state_fd;                     /* keys of instances are read from there */
	const char *host_id, *issuer;     /* as pinned at enrolment */
	const struct challenge *challenge;
	struct boot *boot;                /* of this connection */
	const struct ak *ak;
	const struct workload *workload;
	const char *firmware_log, *ima_list; /* files of the kernel; read after the quote, where the challenge asks for them */
	const char *userspace_log;           /* systemd's, in the same way */
	const char *command_line;            /* one more, sent with the firmware log where it can be read; or NULL */
};

/*
 * The encoded evidence, appended. Where the verifier's position in the log does
 * not fit ours, everything is sent from the beginning. Of a log that is longer
 * than a message, as much as fits; keys go with its last part.
 * E_AUTH_CONFLICT: challenge of another issuer; PCR 13 is not what the log says.
 * E_AUTH_RETRY: the TPM was reset or resumed meanwhile, or registers do not come to
 * rest: ask for a new challenge. E_LIMIT_SIZE; E_LOCAL_*.
 */
must_check struct err collect_evidence(const struct collect *c, struct buf *ret);

#endif
