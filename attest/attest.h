/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One attestation: measure again, say what changed, challenge, evidence, verdict.
 */
#ifndef ASSAY_ATTEST_ATTEST_H
#define ASSAY_ATTEST_ATTEST_H

#include "attest/host.h"

#define ATTEST_TRIES 6

struct attest_options {
	bool measure;                  /* digest images and models of live instances first */
	const uint8_t *only;           /* of this instance alone; NULL: of all */
};

/*
 * The verifier's answer, whatever the verdict; freed with attest_reply_done().
 * New challenges are asked for, up to ATTEST_TRIES times, where the verifier's state
 * or the TPM moved meanwhile. One attestation of a host at a time.
 * Errors: no verdict was reached. exit_for() tells a refusal from a failure.
 */
must_check struct err attest(struct host *h, const struct attest_options *options, struct attest_reply *ret);

/* The host is VERIFIED, and this instance (NULL: every one) is neither missing nor contraindicated. */
bool attest_accepted(const struct attest_reply *r, const uint8_t *instance);

/* Lines for people: state, each instance's status, each failed check with what was expected and seen. */
must_check struct err attest_print(const struct attest_reply *r, FILE *f);
/* The same in one line, without what is good; cut where it does not fit. */
void attest_describe(const struct attest_reply *r, char *to, size_t size);
/* {"host","state","accepted","expires"?,"failures":[...],"results":[...]}; the caller owns *ret. */
must_check struct err attest_reply_json(const struct attest_reply *r, json_t **ret);

#endif
