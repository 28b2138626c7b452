/* SPDX-License-Identifier: Apache-2.0 */
/* Access tokens and certificates of instances: OAuth 2.0 client credentials with a DPoP proof by the instance's key (RFC 6749, 4.4; RFC 9449, 5). */
#ifndef ASSAY_ATTEST_TOKEN_H
#define ASSAY_ATTEST_TOKEN_H

#include "attest/host.h"

#define TOKEN_EXPECTED_MAX_S (30 * 86400)

/* What the token is for; borrowed. */
struct token_want {
	const char *scope;    /* words with spaces between */
	const char *resource; /* URL */
	const char *task;     /* id */
	uint64_t expected_s;  /* how long that will take; 1 to TOKEN_EXPECTED_MAX_S */
};

/*
 * Asks the pinned verifier: one visit to the TPM for each of the two proofs (the first learns the verifier's nonce).
 * *ret: the whole answer, which the caller owns: {"access_token","token_type","expires_in","scope"}.
 * E_AUTH_UNKNOWN: no such instance here; errors of client_oauth().
 */
must_check struct err token_get(struct host *h, const struct token_want *a, const uint8_t id[INSTANCE_ID_LEN],
				json_t **ret);

/*
 * A certificate for the instance's key (X509-SVID), for a task. *ret: the whole answer, which the caller owns:
 * {"certificate","ca","spiffe_id","expires_in"}, the first two PEM. Errors of token_get().
 */
must_check struct err certificate_get(struct host *h, const char *task, const uint8_t id[INSTANCE_ID_LEN], json_t **ret);

/*
 * Gives a token back before its end (RFC 7009), with a proof by the key that it is bound to. The verifier's answer is the
 * same for a token that is unknown, or of another key: it tells nothing, and nothing has happened then.
 */
must_check struct err token_revoke(struct host *h, const char *token, const uint8_t id[INSTANCE_ID_LEN]);

#endif
