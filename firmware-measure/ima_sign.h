/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signatures in an IMA list (fields "sig", "modsig", "evmsig"), against keys
 * that an operator approved.
 *
 *   I6  the signed digest is that of the entry, by a known key, over SHA-256
 *       or better
 *   I7  a key that the list itself tells of counts only with a certificate by
 *       a CA that the operator approved
 *
 * The value of security.ima is: type, version, hash algorithm, 32-bit key id,
 * 16-bit length (big endian), signature. Version 2 signs the file's digest.
 * Version 3 signs the hash of type, hash algorithm and digest, so that one
 * over contents never passes for one over an fs-verity tree.
 *
 * Source: Linux security/integrity/integrity.h (signature_v2_hdr,
 * ima_file_id), digsig_asymmetric.c, ima/ima_appraise.c (calc_file_id_hash);
 * include/uapi/linux/hash_info.h.
 */
#ifndef ASSAY_MEASURE_IMA_SIGN_H
#define ASSAY_MEASURE_IMA_SIGN_H

#include "base/key.h"
#include "base/x509.h"
#include "firmware-measure/imalog.h"

#define IMA_KEY_ID_SIZE 4

/* What a signature says of itself; nothing of it is verified. */
struct ima_signature {
	uint8_t type;        /* 3: over contents; 6: fs-verity */
	uint8_t version;     /* 2 or 3 */
	enum digest_id hash; /* N_DIGESTS where it is none of digest.h */
	uint8_t hash_number; /* as the kernel numbers it */
	uint8_t key_id[IMA_KEY_ID_SIZE];
	struct bytes value; /* PKCS#1 v1.5, or ECDSA-Sig-Value in DER */
};

/* The whole field. E_PEER_TRUNCATED, E_PEER_TRAILING, E_PEER_UNSUPPORTED for another type or version. */
must_check struct err ima_signature_parse(struct bytes sig, struct ima_signature *ret);

/* A key and the id under which signatures name it. */
struct ima_key {
	const struct key *key; /* borrowed; RSA, P-256, P-384 or P-521 */
	uint8_t id[IMA_KEY_ID_SIZE];
};

/* The id of a key without a certificate: the end of SHA-1 over its public key (RFC 5280, 4.2.1.2 (1)). E_LOCAL_CRYPTO.
 */
must_check struct err ima_key_id(const struct key *k, uint8_t ret[IMA_KEY_ID_SIZE]);
/* The id of a certificate's key: the end of its subjectKeyIdentifier; without one, of the key itself. */
must_check struct err ima_cert_key_id(const struct cert *c, uint8_t ret[IMA_KEY_ID_SIZE]);

enum ima_signed {
	IMA_SIGNED_GOOD,        /* verifies over the entry's digest */
	IMA_SIGNED_ABSENT,      /* no signature; or an entry that was not decoded */
	IMA_SIGNED_FORM,        /* not in a form that is known, or its key is of a kind that cannot sign so */
	IMA_SIGNED_WEAK,        /* over less than SHA-256 */
	IMA_SIGNED_UNKNOWN_KEY, /* by a key that is not among those given */
	IMA_SIGNED_OTHER,       /* does not verify: another file, or forged */
};

/*
 * Judges the signature of a decoded entry with n keys. Several keys may have
 * one id: each is tried. *ret_key, which may not be NULL, is the one that
 * verified, else n. Errors are local ones only.
 */
must_check struct err ima_signed_check(const struct ima_entry *ent, size_t n, const struct ima_key *keys,
				       enum ima_signed *ret, size_t *ret_key);

/*
 * The same for a signature that stands behind the file (field modsig, over
 * d-modsig), and for an EVM portable signature (template evm-sig), of a
 * little-endian machine of 64 bits.
 */
must_check struct err ima_modsig_check(const struct ima_entry *ent, size_t n, const struct ima_key *keys,
				       enum ima_signed *ret, size_t *ret_key);
must_check struct err ima_evmsig_check(const struct ima_entry *ent, size_t n, const struct ima_key *keys,
				       enum ima_signed *ret, size_t *ret_key);

/*
 * A key that the kernel added to a keyring, as the list tells (template
 * ima-buf; the buffer is the certificate): *ret_key and its id where one of the
 * n certificates of CAs signed it and it is valid at now_s. The entry must
 * have been replayed to the quoted value first. E_AUTH_CERTIFICATE where none
 * did, where it is no CA or out of its dates; E_PEER_MISSING where the entry
 * holds no buffer; E_PEER_*.
 */
must_check struct err ima_key_learn(const struct ima_entry *ent, size_t n, const struct cert *const *cas, int64_t now_s,
				    struct key **ret_key, uint8_t ret_id[IMA_KEY_ID_SIZE], struct reason *reterr);

#endif
