/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A TCTI in front of another one that loses commands and answers, lets the TPM
 * seem busy or broken, and listens to the bus.
 */
#ifndef ASSAY_TESTS_SUPPORT_FAULT_TCTI_H
#define ASSAY_TESTS_SUPPORT_FAULT_TCTI_H

#include <tss2/tss2_tcti.h>

#include "base/bytes.h"

enum fault_tcti_kind {
	FAULT_TCTI_NONE,
	FAULT_TCTI_COMMAND, /* the command does not reach the TPM: an I/O error */
	FAULT_TCTI_ANSWER,  /* the TPM has done it, the answer is lost: an I/O error */
	FAULT_TCTI_CODE,    /* the command does not reach the TPM, which seems to answer with a code */
};

struct fault_tcti {
	TSS2_TCTI_CONTEXT_COMMON_V1 common; /* first: the context is this struct */
	TSS2_TCTI_CONTEXT *next;            /* borrowed */
	unsigned n_commands;                /* sent so far by the user */
	enum fault_tcti_kind kind;
	unsigned at;                        /* the first command that fails, counted from 0 */
	unsigned times;                     /* how many fail from there on */
	uint32_t code;
	int silent_fd;                      /* what has to be polled before an answer; -1: not said */
	uint32_t pending_code;              /* what receive gives in place of the TPM's answer */
	struct buf bus;                     /* every byte in both directions, where listening */
	bool listens;
	void (*before)(void *ctx, uint32_t command_code); /* called before each command goes to the TPM, or NULL */
	void *before_ctx;
};

void fault_tcti_init(struct fault_tcti *f, TSS2_TCTI_CONTEXT *next);
void fault_tcti_done(struct fault_tcti *f);
static inline TSS2_TCTI_CONTEXT *fault_tcti_context(struct fault_tcti *f)
{
	return (TSS2_TCTI_CONTEXT *)f;
}
/* Counts from here on. */
void fault_tcti_arm(struct fault_tcti *f, enum fault_tcti_kind kind, unsigned at, unsigned times, uint32_t code);
/* Whether these bytes crossed the bus while it listened. */
bool fault_tcti_heard(const struct fault_tcti *f, struct bytes b);

#endif
