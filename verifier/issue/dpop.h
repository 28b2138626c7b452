/* SPDX-License-Identifier: Apache-2.0 */
/* DPoP proofs (RFC 9449): the twelve checks of its section 4.3, but for replay, which is the store's. */
#ifndef ASSAY_VERIFIER_DPOP_H
#define ASSAY_VERIFIER_DPOP_H

#include "base/jose.h"
#include "verifier/appraise/nonce.h"

#define DPOP_TYPE "dpop+jwt"
#define DPOP_WINDOW_S 60

struct dpop_want {
	const char *htm;                  /* exactly, e.g. "POST" */
	const char *htu;                  /* our URI; compared after RFC 3986 6.2.2 and 6.2.3 normalisation, without query and fragment */
	struct bytes token;               /* access token whose hash `ath` must be; empty at the token endpoint */
	const char *jkt;                  /* thumbprint demanded, or NULL */
	const uint8_t *nonce_key;         /* 32 bytes: a nonce of ours is demanded; NULL: none is */
	int64_t now_s;
};
struct dpop_proof {
	char jkt[44];
	uint8_t x[32], y[32];             /* the key itself, P-256 */
	uint8_t replay_id[32];            /* SHA-256(jkt || 0 || jti): what the replay cache keeps */
	int64_t expires_s;                /* until when it must be kept */
};
/* E_PEER_* and E_AUTH_*; E_AUTH_NONCE where the nonce is missing or not live (use_dpop_nonce). */
must_check struct err dpop_verify(struct bytes proof, const struct dpop_want *want, struct dpop_proof *ret,
				  struct reason *reterr);
/* Normalised form of an absolute http(s) URI, without query and fragment. Appended. E_PEER_SYNTAX. */
must_check struct err uri_normalise(struct bytes uri, struct buf *ret);

#endif
