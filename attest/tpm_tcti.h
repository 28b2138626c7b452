/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A TCTI in front of another one that does not wait for ever.
 *
 * Every answer has a deadline, counted from its command. Once one has passed,
 * the connection is dead: an answer that came late would be taken for that of
 * another command, so nothing is sent any more and everything fails at once.
 *
 * Works by the poll handles of the TCTI behind. That of swtpm has none in tpm2-tss
 * 3.2 and ignores every time limit: there, the stream socket that a command opened is
 * watched, so no other thread may open one while the first command is sent.
 * A TCTI with neither is waited for without a limit; so is the write to a device
 * without a queue, which the kernel bounds by timeouts of its own. What is waited for
 * is the beginning of the answer. Not covered is what a TCTI itself does when it is
 * opened: that of swtpm sends a first command then, and waits for its answer.
 *
 * Source: TSS 2.0 TCTI specification 1.0, 3.2.5 (getPollHandles).
 */
#ifndef ASSAY_ATTEST_TPM_TCTI_H
#define ASSAY_ATTEST_TPM_TCTI_H

#include <stdbool.h>
#include <tss2/tss2_tcti.h>

/* Commands that make keys may take that much longer: a hardware TPM searches primes for minutes. */
#define TPM_TCTI_KEY_FACTOR 10

struct tpm_tcti {
	TSS2_TCTI_CONTEXT_COMMON_V1 common; /* first: the context is this struct */
	TSS2_TCTI_CONTEXT *next;            /* borrowed */
	int fd;                             /* the socket behind next, once known; -1 */
	unsigned timeout_ms;                /* of a command that makes no key */
	unsigned wait_ms;                   /* of the command that was sent last */
	bool came;                          /* its answer has begun to arrive */
	bool dead;                          /* an answer did not come within wait_ms */
};

/* timeout_ms: at least 1. */
void tpm_tcti_init(struct tpm_tcti *t, TSS2_TCTI_CONTEXT *next, unsigned timeout_ms);
static inline TSS2_TCTI_CONTEXT *tpm_tcti_context(struct tpm_tcti *t)
{
	return (TSS2_TCTI_CONTEXT *)t;
}

#endif
