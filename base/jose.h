/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JWK (RFC 7517), thumbprint (RFC 7638), JWS compact (RFC 7515) with ES256,
 * RS256 and EdDSA. The algorithm follows from the key record, never from the
 * header alone; `typ` is demanded by the caller; `crit`, `jwk` (outside DPoP),
 * `jku`, `x5u`, `x5c` are refused (RFC 8725).
 */
#ifndef ASSAY_BASE_JOSE_H
#define ASSAY_BASE_JOSE_H

#include "base/json.h"
#include "base/key.h"

#define JKT_LEN 43 /* base64url characters of a SHA-256 */

/* Public JWK of k: required members, no others. The caller owns *ret. */
must_check struct err jwk_from_key(const struct key *k, json_t **ret);
/*
 * Public key from a JWK. Refuses private members, unknown kty or crv, wrong
 * coordinate lengths, and `use`, `alg` or `key_ops` that forbid checking
 * signatures; other members are ignored (RFC 7517, 4). E_PEER_*.
 */
must_check struct err jwk_to_key(const json_t *jwk, struct key **ret, struct reason *reterr);
/* RFC 7638 SHA-256 thumbprint as base64url with a NUL. */
must_check struct err jwk_thumbprint(const struct key *k, char ret[JKT_LEN + 1]);

/* "ES256" for P-256, "RS256" for RSA, "EdDSA" for Ed25519; NULL for others. */
const char *jws_alg_for(const struct key *k);

/* Makes signatures; for keys that live in a TPM. sign appends raw r||s over data. */
struct jws_signer {
	const char *alg;
	const char *kid; /* or NULL */
	struct err (*sign)(void *ctx, struct bytes data, struct buf *ret);
	void *ctx;
};

/* Compact JWS of claims with header {alg, kid?, typ, jwk?}. jwk is borrowed and NULL except for DPoP. Appended. */
must_check struct err jws_sign(const struct jws_signer *s, const char *typ, const json_t *jwk, const json_t *claims,
			       struct buf *ret);
/* The same with a private key, without jwk; claims is the text of a JSON object, and signed as it is. */
must_check struct err jws_sign_key(const struct key *k, const char *kid, const char *typ, struct bytes claims,
				   struct buf *ret);

/* A compact JWS taken apart, nothing verified yet. Owns header and claims; views borrow from the token. */
struct jws {
	json_t *unsigned_header;
	json_t *unsigned_claims;
	struct bytes signing_input; /* "header.payload" as sent */
	struct buf signature;
};
void jws_done(struct jws *j);
#define cleanup_jws cleanup(jws_done)

/*
 * At most LIMIT_TOKEN bytes, exactly three strict base64url parts, header and
 * payload JSON objects. E_PEER_*, E_LIMIT_SIZE.
 */
must_check struct err jws_parse(struct bytes token, struct jws *ret, struct reason *reterr);

/*
 * Checks header and signature against a key of ours: alg equals
 * jws_alg_for(k), typ equals typ (case-insensitive, "application/" optional),
 * no crit, no key material in the header. E_AUTH_SIGNATURE; E_PEER_MISSING,
 * E_PEER_TYPE (typ), E_PEER_UNSUPPORTED (alg, refused members), E_PEER_RANGE.
 */
must_check struct err jws_verify(const struct jws *j, const struct key *k, const char *typ, struct reason *reterr);
/* For DPoP: the key is the header's own jwk (public, P-256, ES256). The caller owns *ret. */
must_check struct err jws_verify_embedded(const struct jws *j, const char *typ, struct key **ret,
					  struct reason *reterr);
/*
 * `kid` of the unverified header; NULL where there is none or it is not text
 * of 1..256 bytes without control characters. Borrowed.
 */
const char *jws_unsigned_kid(const struct jws *j);

/*
 * DSSE v1 envelope (secure-systems-lab/dsse): {"payload","payloadType","signatures":[{"keyid","sig"}]}.
 * PAE("DSSEv1", type, payload) is what is signed. One signature when we sign;
 * when we read, 1..8. Verification: the first signature whose keyid names a
 * key of ours decides; signatures by others are ignored but must be well
 * formed. Keys are P-256 (SHA-256; the signature in DER, as others write it in
 * DSSE) and Ed25519; E_PEER_UNSUPPORTED for others. A member that DSSE does
 * not define is refused.
 */
struct dsse_key {
	const char *keyid; /* hex SHA-256 of the SPKI */
	const struct key *key;
};
must_check struct err dsse_sign(const struct key *k, const char *payload_type, struct bytes payload, struct buf *ret);
/*
 * E_AUTH_UNKNOWN where no signature is by a known key; E_AUTH_SIGNATURE;
 * E_PEER_*. *ret_payload is appended, *ret_which names the key.
 */
must_check struct err dsse_verify(struct bytes envelope, size_t max, const char *payload_type,
				  const struct dsse_key *keys, size_t n_keys, struct buf *ret_payload,
				  size_t *ret_which, struct reason *reterr);

/*
 * What a DSSE signature is over, appended: "DSSEv1" SP LEN(type) SP type SP
 * LEN(payload) SP payload, lengths in decimal. They bind both texts: no payload
 * can pass as the end of a type. For envelopes of others, whose keys dsse_verify() does not know.
 */
must_check struct err dsse_pae(const char *type, struct bytes payload, struct buf *ret);

#endif
