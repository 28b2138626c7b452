/* SPDX-License-Identifier: Apache-2.0 */
/* What one attestation leaves behind: results for the host, rows for the store. */
#ifndef ASSAY_VERIFIER_SERVE_ATTEST_WRITE_H
#define ASSAY_VERIFIER_SERVE_ATTEST_WRITE_H

#include "verifier/serve/internal.h"

/* One attestation from appraisal to commit; everything but the outcome is borrowed from the handler. */
struct attestation {
	struct verifier *v;
	const struct policy *policy;
	const struct host_row *row;       /* as it was appraised */
	const struct verdict *verdict;
	int64_t now_s;
	bool passed;
	int64_t expires_s;                /* of the verdict; 0 unless passed */

	/* made by attestation_prepare() */
	size_t n_results;
	struct attest_result *result;     /* owned: one per instance, or one for the host */
	size_t n_rows;
	struct instance_row *instance;    /* owned */
	size_t n_docs;
	uint8_t (*docs)[32];              /* owned */
	struct buf explanation;

	/* set by attestation_commit() */
	bool nonce_used, key_taken;
};
void attestation_done(struct attestation *a);
#define cleanup_attestation cleanup(attestation_done)

/* End of the verdict's life: verdict_life_s, or the first of the documents that decided, whichever comes first. */
int64_t attestation_expiry(const struct attestation *a);
/* Signs the results and makes the rows. Nothing is stored or released yet. */
must_check struct err attestation_prepare(struct attestation *a);
/* Uses the nonce and stores the verdict, in one transaction. E_AUTH_RETRY, E_AUTH_CONFLICT with one of the two flags. */
must_check struct err attestation_commit(struct attestation *a);

#endif
