/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attestation results: one EAR per instance as a JWT (draft-ietf-rats-ear,
 * EAT RFC 9711). Submodules platform, container, model, key; cnf of the
 * certified key; never a bearer credential.
 */
#ifndef ASSAY_VERIFIER_EAR_H
#define ASSAY_VERIFIER_EAR_H

#include "verifier/appraise/verdict.h"

#define EAR_TYPE "eat+jwt"

struct ear_spec {
	const char *issuer, *audience;    /* audience: our own issuer URL, as the token endpoint is its reader */
	const char *trust_domain;
	const struct key *signer;         /* P-256 */
	const char *kid;
	int64_t now_s, expires_s;
};

/* instance: index into v->instance, or SIZE_MAX for a host without instances (submodule platform only). Appends the JWS. */
must_check struct err ear_issue(const struct ear_spec *s, const struct host_record *host, const struct verdict *v,
				size_t instance, struct buf *ret);

#endif
