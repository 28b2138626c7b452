/* SPDX-License-Identifier: Apache-2.0 */
/* What jobs do: answer a request of an instance; attest this host. They run in a child, see job.h. */
#ifndef ASSAY_ATTEST_DAEMON_SERVE_H
#define ASSAY_ATTEST_DAEMON_SERVE_H

#include "attest/daemon/request.h"

/* ctx of serve_request(). */
struct served {
	const struct request *request; /* one that is for agents */
	uint8_t instance[INSTANCE_ID_LEN];
};
/* Appends a reply, of either kind. */
void serve_request(struct host *h, const void *ctx, struct buf *out);

/* What an attestation came to. */
enum outcome_kind { OUTCOME_UNDECIDED, OUTCOME_ACCEPTED, OUTCOME_REFUSED };
struct outcome {
	enum outcome_kind kind;      /* of all instances together */
	int64_t expires_s;           /* of the verdict; 0: it does not say */
	char text[4096];             /* for people: what was not accepted */
	size_t n_accepted;           /* instances that are */
	uint8_t accepted[LIMIT_INSTANCES][INSTANCE_ID_LEN];
};
/* Attests the host and appends the outcome. ctx: struct attest_options, of attest.h. */
void serve_attest(struct host *h, const void *ctx, struct buf *out);
/* As JSON, appended. */
must_check struct err outcome_write(const struct outcome *o, struct buf *out);
/* Reads it. Nothing that can be read: OUTCOME_UNDECIDED. */
void outcome_read(struct bytes in, struct outcome *ret);

#endif
