/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nonces that cost the server no memory until they are used:
 *
 *   version 1 || u64be seconds || 16 random bytes || HMAC-SHA-256(key, all of
 *   what the nonce is for || the bytes before)
 *
 * "For" is a purpose, a host, the PCR selection and the policy digest, so a
 * nonce works for nothing else. Life 60 s. Whether it was used is the store's
 * to say.
 */
#ifndef ASSAY_VERIFIER_NONCE_H
#define ASSAY_VERIFIER_NONCE_H

#include "protocol/evidence.h"

#define NONCE_LIFE_S 60
#define NONCE_SKEW_S 5

struct nonce_for {
	const char *purpose;              /* "attest", "dpop" */
	struct bytes host;                /* empty for dpop */
	const struct pcr_selection *selection; /* or NULL */
	struct bytes policy;              /* digest, or empty */
};

must_check struct err nonce_make(const uint8_t key[32], const struct nonce_for *f, int64_t now_s,
				 const uint8_t random[16], uint8_t ret[NONCE_LEN]);
/* Constant-time. E_AUTH_NONCE with the reason: form, not ours or for something else, expired, from the future. */
must_check struct err nonce_check(const uint8_t key[32], const struct nonce_for *f, int64_t now_s, struct bytes nonce,
				  struct reason *reterr);
/* Seconds in a nonce that nonce_check() accepted. */
int64_t nonce_time(struct bytes nonce);

#endif
