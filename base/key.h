/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Public and private keys over OpenSSL 3. Keys are parsed once and kept: a
 * PEM parse per call costs four times a P-256 verification and gets slower
 * with a second thread.
 */
#ifndef ASSAY_BASE_KEY_H
#define ASSAY_BASE_KEY_H

#include "base/digest.h"

enum key_kind {
	KEY_NONE,
	KEY_EC_P256,
	KEY_EC_P384,
	KEY_EC_P521,
	KEY_RSA,     /* 2048..LIMIT_RSA_BITS, exponent 65537 */
	KEY_ED25519,
};

/* How a signature was made. The enrolled key decides; nothing is tried. */
enum sig_scheme {
	SIG_NONE,
	SIG_ECDSA,      /* raw r and s */
	SIG_RSASSA,     /* PKCS#1 v1.5 */
	SIG_RSAPSS,     /* salt: digest length or the largest that fits; both occur */
	SIG_ED25519,
};

struct key; /* immutable after creation; may be shared between threads */

void key_free(struct key *k);
DEFINE_CLEANUP(struct key, cleanup_key_, key_free)
#define cleanup_key cleanup(cleanup_key_)

/*
 * From raw numbers, big endian. EC coordinates may be shorter than the curve
 * (TPM2B drops nothing or everything) and are left-padded; the point is
 * checked to be on the curve. E_PEER_RANGE, E_PEER_UNSUPPORTED.
 */
must_check struct err key_from_ec(enum key_kind curve, struct bytes x, struct bytes y, struct key **ret);
must_check struct err key_from_rsa(struct bytes n, uint32_t exponent /* 0 means 65537 */, struct key **ret);
must_check struct err key_from_ed25519(struct bytes pub, struct key **ret);

/* SubjectPublicKeyInfo, DER (trailing bytes refused) or PEM. */
must_check struct err key_from_spki(struct bytes der, struct key **ret);
must_check struct err key_from_pem(struct bytes pem, struct key **ret);

/*
 * Private keys: new, PKCS#8 or SEC 1 PEM in (not encrypted, and the halves must fit),
 * PKCS#8 PEM out (a secret: 0600). P-256, P-384, Ed25519, RSA (new: 2048 bits); P-521 is read, not made.
 * E_PEER_UNSUPPORTED for others, E_PEER_RANGE, E_PEER_SYNTAX, E_PEER_TRAILING.
 */
must_check struct err key_generate(enum key_kind kind, struct key **ret);
must_check struct err key_private_from_pem(struct bytes pem, struct key **ret);
must_check struct err key_private_to_pem(const struct key *k, struct buf *ret);
must_check struct err key_public_to_pem(const struct key *k, struct buf *ret);

enum key_kind key_kind(const struct key *k);
bool key_is_private(const struct key *k);
bool key_equal(const struct key *a, const struct key *b);

/* SubjectPublicKeyInfo in DER, appended, and its SHA-256: "the digest of the public key" on every interface of ours. */
must_check struct err key_spki(const struct key *k, struct buf *ret);
must_check struct err key_spki_sha256(const struct key *k, uint8_t ret[32]);

/* EC coordinates padded to the curve size (32, 48, 66 bytes); RSA modulus or Ed25519 key in a, nothing in b. Appended. */
must_check struct err key_numbers(const struct key *k, struct buf *ret_a, struct buf *ret_b);

/* The EVP_PKEY inside (struct evp_pkey_st *), borrowed; for x509.c and TLS only. */
struct evp_pkey_st *key_evp(const struct key *k);

/*
 * Verifies a signature over data (hashed inside) or over a digest.
 * ECDSA signatures are raw r||s of exactly twice the curve size, both in
 * 1..n-1. E_AUTH_SIGNATURE where it does not verify, E_PEER_RANGE for its
 * form, E_PEER_UNSUPPORTED where scheme and key do not fit or the hash is
 * SHA-1 or SM3, E_LOCAL_CRYPTO, E_LOCAL_MEMORY. A digest must have the size of
 * its hash (E_BUG). Ed25519 signs data itself: hash does not count, and there
 * is no verification over a digest (E_PEER_UNSUPPORTED).
 */
must_check struct err key_verify(const struct key *k, enum sig_scheme scheme, enum digest_id hash, struct bytes data,
				 struct bytes sig);
must_check struct err key_verify_digest(const struct key *k, enum sig_scheme scheme, enum digest_id hash,
					struct bytes digest, struct bytes sig);

/*
 * Signs data; ECDSA gives raw r||s. Appended. E_PEER_UNSUPPORTED for
 * SIG_RSAPSS, SHA-1, SM3 and where scheme and key do not fit; E_BUG for a
 * public key; E_LOCAL_CRYPTO, E_LOCAL_MEMORY.
 */
must_check struct err key_sign(const struct key *k, enum sig_scheme scheme, enum digest_id hash, struct bytes data,
			       struct buf *ret);

/* DER ECDSA-Sig-Value <-> raw r||s for a curve. Strict DER, no trailing bytes. Appended. */
must_check struct err ecdsa_der_to_raw(enum key_kind curve, struct bytes der, struct buf *ret);
must_check struct err ecdsa_raw_to_der(enum key_kind curve, struct bytes raw, struct buf *ret);

#endif
