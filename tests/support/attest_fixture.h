/* SPDX-License-Identifier: Apache-2.0 */
/* One software TPM for a test program of attest/, and looks at it that do not go through attest/tpm.c. */
#ifndef ASSAY_TESTS_SUPPORT_ATTEST_FIXTURE_H
#define ASSAY_TESTS_SUPPORT_ATTEST_FIXTURE_H

#include <tss2/tss2_esys.h>

#include "attest/tpm.h"
#include "swtpm-harness/harness.h"

/* E_OK or the end of the program with what failed and why; for cmocka tests. */
#define OK(call) fixture_ok((call), #call, __FILE__, __LINE__)
void fixture_ok(struct err e, const char *what, const char *file, int line);
/* The error that a call must give. */
#define FAILS(code, call) fixture_fails(ERR(code), (call), #call, __FILE__, __LINE__)
void fixture_fails(struct err want, struct err e, const char *what, const char *file, int line);

/* Where calls that take a reason put it; printed when OK() fails. */
extern struct reason fixture_why;

extern struct harness *fixture_harness;
/* cmocka group setup and teardown: a TPM with SHA-256 and SHA-384 banks, and without. */
int fixture_up(void **state);
int fixture_down(void **state);

/* The raw connection. One at a time: swtpm serves one. */
TSS2_TCTI_CONTEXT *fixture_connect(void);
void fixture_disconnect(TSS2_TCTI_CONTEXT **tcti);

/* Objects and sessions loaded in the TPM, counted with an ESYS context of its own. */
size_t fixture_loaded(TSS2_TCTI_CONTEXT *tcti);

/* How often loops run: `full` in a plain build, `sanitized` under sanitizers, or what the environment says. */
unsigned fixture_runs(const char *env, unsigned full, unsigned sanitized);

#endif
