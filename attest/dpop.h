/* SPDX-License-Identifier: Apache-2.0 */
/* DPoP proofs (RFC 9449, 4.2) signed by an instance's key in the TPM. */
#ifndef ASSAY_ATTEST_DPOP_H
#define ASSAY_ATTEST_DPOP_H

#include "attest/host.h"

struct dpop {
	const uint8_t *instance;  /* INSTANCE_ID_LEN bytes */
	const char *method, *url; /* query and fragment of url are left out */
	const char *nonce;        /* the server's, or NULL */
	const char *token;        /* access token whose hash goes along, or NULL */
};

/* The compact JWT, appended. One visit to the TPM. E_AUTH_UNKNOWN: no such instance here. */
must_check struct err dpop_proof(struct host *h, const struct dpop *d, struct buf *ret);

#endif
