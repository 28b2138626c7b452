/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A credential for a verb: from the daemon, which knows whose process we are;
 * or from TPM and verifier, for root, who names an instance. Once, or again and
 * again into a file.
 */
#ifndef ASSAY_ATTEST_CREDENTIAL_H
#define ASSAY_ATTEST_CREDENTIAL_H

#include "attest/app.h"
#include "attest/daemon/request.h"

struct credential {
	const struct app *app;
	const char *name;            /* for people: "token" */
	const char *out;             /* FILE that has it in the end; NULL: standard output */
	bool renew;
	struct request request;      /* to the daemon */
	/* The same without a daemon. */
	struct err (*get)(const struct credential *c, json_t **ret);
	/* Shows an answer, or writes it: each file whole or not at all. */
	struct err (*print)(const struct credential *c, const json_t *answer);
	struct err (*write)(const struct credential *c, const json_t *answer);
	const void *ctx;             /* of the two */

	/* Set by credential_deliver(). */
	const uint8_t *id;           /* NULL: the daemon */
	struct host *host;           /* of root */
	struct reason *why;          /* of the last failure */
};

/* instance: 32 hex digits, for root; NULL: the daemon is asked. Returns the program's exit status. */
int credential_deliver(struct credential *c, const char *instance);

/* Text of this member to a file. E_PEER_MISSING where there is none. */
must_check struct err credential_put(const struct credential *c, const json_t *answer, const char *member,
				     const char *end, const char *path, mode_t mode);

#endif
