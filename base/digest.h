/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hash algorithms: one table of TPM algorithm id, name and size. Algorithms
 * are fetched from OpenSSL once per process, because a fetch per call costs
 * more than hashing 64 bytes and does not scale with threads.
 */
#ifndef ASSAY_BASE_DIGEST_H
#define ASSAY_BASE_DIGEST_H

#include "base/bytes.h"

enum digest_id {
	DIGEST_SHA1,
	DIGEST_SHA256,
	DIGEST_SHA384,
	DIGEST_SHA512,
	DIGEST_SM3_256,
	N_DIGESTS,
};

#define DIGEST_MAX 64

struct digest_alg {
	enum digest_id id;
	uint16_t tpm_alg;     /* TCG algorithm registry: 0x0004, 0x000b, 0x000c, 0x000d, 0x0012 */
	const char *name;     /* "sha1", "sha256", "sha384", "sha512", "sm3_256" */
	const char *ossl;     /* name for EVP_MD_fetch */
	size_t size;          /* bytes */
};

/* A digest with its length; an all-zero struct is "none". */
struct digest {
	uint8_t n; /* 0, 20, 32, 48 or 64 */
	uint8_t v[DIGEST_MAX];
};

static inline struct bytes digest_bytes(const struct digest *d)
{
	return (struct bytes){ d->v, d->n };
}

const struct digest_alg *digest_alg(enum digest_id id);             /* NULL only for N_DIGESTS and above */
const struct digest_alg *digest_by_tpm_alg(uint16_t alg);           /* NULL where unknown */
const struct digest_alg *digest_by_name(struct bytes name);         /* NULL where unknown */

/*
 * Hash of the concatenation of n parts. E_LOCAL_CRYPTO, E_LOCAL_MEMORY;
 * E_PEER_UNSUPPORTED where the cryptographic library has no SM3.
 */
must_check struct err digest_of(enum digest_id id, struct digest *ret, size_t n_parts, const struct bytes *parts);
must_check struct err digest_one(enum digest_id id, struct bytes data, struct digest *ret);
must_check struct err sha256(struct bytes data, uint8_t ret[32]);

/* PCR extend: ret = H(old || event). Sizes must be those of the algorithm (E_BUG). ret may be old. */
must_check struct err digest_extend(enum digest_id id, const struct digest *old, struct bytes event, struct digest *ret);

/* Incremental; a hasher can be used again after hasher_finish(). */
struct hasher;
must_check struct err hasher_new(enum digest_id id, struct hasher **ret);
void hasher_free(struct hasher *h);
DEFINE_CLEANUP(struct hasher, cleanup_hasher_, hasher_free)
#define cleanup_hasher cleanup(cleanup_hasher_)
must_check struct err hasher_add(struct hasher *h, struct bytes data);
must_check struct err hasher_finish(struct hasher *h, struct digest *ret);

/* HMAC-SHA-256 over the concatenation of n parts. */
must_check struct err hmac_sha256(struct bytes key, uint8_t ret[32], size_t n_parts, const struct bytes *parts);

/* Bytes from the operating system's CSPRNG (getrandom(2)). E_LOCAL_CRYPTO; out is then wiped. */
must_check struct err random_bytes(uint8_t *out, size_t n);

#endif
