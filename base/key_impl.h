/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of struct key, for key*.c and x509*.c alone.
 *
 * The public numbers stand next to the EVP_PKEY, so that comparing, hashing
 * and writing a key needs no call into OpenSSL's encoders.
 */
#ifndef ASSAY_BASE_KEY_IMPL_H
#define ASSAY_BASE_KEY_IMPL_H

#include <stdatomic.h>

#include "base/key.h"
#include "base/ossl.h"

/* Curves, in the order of enum key_kind. */
struct curve {
	enum key_kind kind;
	const char *group;  /* OpenSSL's name */
	size_t size;        /* bytes of a coordinate, of r and of s */
	struct bytes order; /* n, big endian, of that size */
	struct bytes spki;  /* DER in front of the two coordinates; ends in BIT STRING 00 04 */
};
const struct curve *curve_of(enum key_kind kind); /* NULL where kind is no curve */

/* DER in front of the 32 bytes of an Ed25519 key (RFC 8410, 4). */
extern const struct bytes ed25519_spki;
#define ED25519_SIZE 32
#define ED25519_SIG_SIZE 64

enum key_op {
	KEY_OP_VERIFY_ECDSA,
	KEY_OP_VERIFY_RSASSA,
	KEY_OP_VERIFY_PSS_DIGEST, /* salt as long as the digest */
	KEY_OP_VERIFY_PSS_MAX,    /* the longest salt that fits */
	KEY_OP_SIGN_ECDSA,
	KEY_OP_SIGN_RSASSA,
	N_KEY_OPS,
};

/*
 * Contexts that are ready for an operation. They are made on first use, never
 * changed after that and only duplicated: that costs 0.3 us, a new one 2 us
 * and more with threads, for it looks up the algorithm. A lost race frees the
 * loser's copy.
 */
struct key_contexts {
	EVP_PKEY_CTX *_Atomic ready[N_KEY_OPS][N_DIGESTS];
};

struct key {
	enum key_kind kind;
	bool is_private;
	EVP_PKEY *pkey;
	struct key_contexts *contexts;
	size_t n_a, n_b;
	uint8_t numbers[]; /* a, then b, as key_numbers() gives them */
};

static inline struct bytes key_a(const struct key *k)
{
	return (struct bytes){ k->numbers, k->n_a };
}
static inline struct bytes key_b(const struct key *k)
{
	return (struct bytes){ k->numbers + k->n_a, k->n_b };
}

/* The public key inside pkey, as key_from_ec() and its like make it. E_PEER_RANGE, E_PEER_UNSUPPORTED. */
must_check struct err key_public_of(EVP_PKEY *pkey, struct key **ret);

/* Puts a key together. pkey is taken on success. E_LOCAL_MEMORY. */
must_check struct err key_assemble(enum key_kind kind, bool is_private, EVP_PKEY **pkey, struct bytes a, struct bytes b,
				   struct key **ret);

#endif
