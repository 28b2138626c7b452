/* SPDX-License-Identifier: Apache-2.0 */
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/ec.h>
#include <openssl/rsa.h>

#include "base/key_impl.h"
#include "base/limits.h"

#define SIG_MAX (LIMIT_RSA_BITS / 8)

/* What an operation needs besides key and hash; NULL: nothing. */
static const struct {
	const char *padding, *salt;
	bool sign;
} ops[N_KEY_OPS] = {
	[KEY_OP_VERIFY_ECDSA] = { NULL, NULL, false },
	[KEY_OP_VERIFY_RSASSA] = { OSSL_PKEY_RSA_PAD_MODE_PKCSV15, NULL, false },
	[KEY_OP_VERIFY_PSS_DIGEST] = { OSSL_PKEY_RSA_PAD_MODE_PSS, OSSL_PKEY_RSA_PSS_SALT_LEN_DIGEST, false },
	[KEY_OP_VERIFY_PSS_MAX] = { OSSL_PKEY_RSA_PAD_MODE_PSS, OSSL_PKEY_RSA_PSS_SALT_LEN_MAX, false },
	[KEY_OP_SIGN_ECDSA] = { NULL, NULL, true },
	[KEY_OP_SIGN_RSASSA] = { OSSL_PKEY_RSA_PAD_MODE_PKCSV15, NULL, true },
};

/* The casts drop a const that OSSL_PARAM has no form without; providers only read these. */
static OSSL_PARAM text_param(const char *key, const char *value)
{
	return OSSL_PARAM_construct_utf8_string(key, (char *)(uintptr_t)value, 0);
}

static struct err context_make(const struct key *k, enum key_op op, enum digest_id hash, EVP_PKEY_CTX **ret)
{
	cleanup_pkey_ctx EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, k->pkey, NULL);
	OSSL_PARAM params[4];
	size_t n = 0;
	int ok;

	if (ctx == NULL)
		return ossl_failed(E_LOCAL_CRYPTO);
	if (ops[op].padding != NULL) {
		params[n++] = text_param(OSSL_SIGNATURE_PARAM_PAD_MODE, ops[op].padding);
		params[n++] = text_param(OSSL_SIGNATURE_PARAM_DIGEST, digest_alg(hash)->ossl);
	}
	if (ops[op].salt != NULL)
		params[n++] = text_param(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, ops[op].salt);
	params[n] = OSSL_PARAM_construct_end();
	ok = ops[op].sign ? EVP_PKEY_sign_init_ex(ctx, params) : EVP_PKEY_verify_init_ex(ctx, params);
	if (ok != 1)
		return ossl_failed(E_LOCAL_CRYPTO);
	*ret = take_ptr(&ctx);
	return ERR(E_OK);
}

/* A context of the caller's own, copied from the key's. */
static struct err context_get(const struct key *k, enum key_op op, enum digest_id hash, EVP_PKEY_CTX **ret)
{
	EVP_PKEY_CTX *_Atomic *slot = &k->contexts->ready[op][hash];
	EVP_PKEY_CTX *there = atomic_load(slot), *own;
	cleanup_pkey_ctx EVP_PKEY_CTX *made = NULL;
	struct err e;

	if (there == NULL) {
		if (failed(e = context_make(k, op, hash, &made)))
			return e;
		if (atomic_compare_exchange_strong(slot, &there, made))
			there = take_ptr(&made);
	}
	own = EVP_PKEY_CTX_dup(there);
	if (own == NULL)
		return ossl_failed(E_LOCAL_CRYPTO);
	*ret = own;
	return ERR(E_OK);
}

static struct err verify_with(const struct key *k, enum key_op op, enum digest_id hash, struct bytes digest,
			      struct bytes sig)
{
	cleanup_pkey_ctx EVP_PKEY_CTX *ctx = NULL;
	struct err e;
	int r;

	if (failed(e = context_get(k, op, hash, &ctx)))
		return e;
	/* What earlier successes left in the queue must not explain this failure. To look is cheaper than to clear. */
	if (ERR_peek_error() != 0)
		ERR_clear_error();
	r = EVP_PKEY_verify(ctx, sig.p, sig.n, digest.p, digest.n);
	if (r == 1)
		return ERR(E_OK);
	if (r == 0)
		return ossl_failed(E_AUTH_SIGNATURE);
	/* The owner of the private key can choose r and s so that the sum of the points is infinity. */
	if (ERR_GET_REASON(ERR_peek_error()) == EC_R_POINT_AT_INFINITY)
		return ossl_failed(E_AUTH_SIGNATURE);
	return ossl_failed(E_LOCAL_CRYPTO);
}

/* What SHA-1 signed is not trusted, and SM3 has no signature scheme here. */
static bool hash_acceptable(enum digest_id hash)
{
	return hash == DIGEST_SHA256 || hash == DIGEST_SHA384 || hash == DIGEST_SHA512;
}

static bool scheme_fits(const struct key *k, enum sig_scheme scheme)
{
	if (scheme == SIG_ECDSA)
		return curve_of(k->kind) != NULL;
	if (scheme == SIG_RSASSA || scheme == SIG_RSAPSS)
		return k->kind == KEY_RSA;
	return scheme == SIG_ED25519 && k->kind == KEY_ED25519;
}

static struct err verify_ecdsa(const struct key *k, enum digest_id hash, struct bytes digest, struct bytes sig)
{
	cleanup_buf struct buf der = BUF_INIT(256);
	struct err e;

	if (failed(e = ecdsa_raw_to_der(k->kind, sig, &der)))
		return e;
	return verify_with(k, KEY_OP_VERIFY_ECDSA, hash, digest, buf_bytes(&der));
}

/*
 * TPMs make two salt lengths: as long as the digest, or the longest that fits
 * (TPM 2.0 part 1, B.7). Exactly these are accepted, one after the other. This
 * does not guess a scheme: padding and hash are the same, and so is the proof.
 */
static struct err verify_pss(const struct key *k, enum digest_id hash, struct bytes digest, struct bytes sig)
{
	struct err e = verify_with(k, KEY_OP_VERIFY_PSS_DIGEST, hash, digest, sig);

	if (e.code != E_AUTH_SIGNATURE)
		return e;
	return verify_with(k, KEY_OP_VERIFY_PSS_MAX, hash, digest, sig);
}

struct err key_verify_digest(const struct key *k, enum sig_scheme scheme, enum digest_id hash, struct bytes digest,
			     struct bytes sig)
{
	/* Ed25519 signs the message itself. */
	if (scheme == SIG_ED25519 || !scheme_fits(k, scheme) || !hash_acceptable(hash))
		return ERR(E_PEER_UNSUPPORTED);
	if (digest.n != digest_alg(hash)->size)
		return ERR(E_BUG);
	if (scheme == SIG_ECDSA)
		return verify_ecdsa(k, hash, digest, sig);
	/* RFC 8017, 8.1.2 and 8.2.2, step 1: exactly as long as the modulus. */
	if (sig.n != k->n_a)
		return ERR(E_PEER_RANGE);
	if (scheme == SIG_RSAPSS)
		return verify_pss(k, hash, digest, sig);
	return verify_with(k, KEY_OP_VERIFY_RSASSA, hash, digest, sig);
}

static struct err verify_ed25519(const struct key *k, struct bytes data, struct bytes sig)
{
	cleanup_md_ctx EVP_MD_CTX *ctx = NULL;

	if (k->kind != KEY_ED25519)
		return ERR(E_PEER_UNSUPPORTED);
	if (sig.n != ED25519_SIG_SIZE)
		return ERR(E_PEER_RANGE);
	ctx = EVP_MD_CTX_new();
	if (ctx == NULL || EVP_DigestVerifyInit_ex(ctx, NULL, NULL, NULL, NULL, k->pkey, NULL) != 1)
		return ossl_failed(E_LOCAL_CRYPTO);
	ERR_clear_error();
	if (EVP_DigestVerify(ctx, sig.p, sig.n, data.p, data.n) != 1)
		return ossl_failed(E_AUTH_SIGNATURE);
	return ERR(E_OK);
}

struct err key_verify(const struct key *k, enum sig_scheme scheme, enum digest_id hash, struct bytes data,
		      struct bytes sig)
{
	struct digest d = { 0 };
	struct err e;

	if (scheme == SIG_ED25519)
		return verify_ed25519(k, data, sig);
	if (!scheme_fits(k, scheme) || !hash_acceptable(hash))
		return ERR(E_PEER_UNSUPPORTED);
	if (failed(e = digest_one(hash, data, &d)))
		return e;
	return key_verify_digest(k, scheme, hash, digest_bytes(&d), sig);
}

static struct err sign_ed25519(const struct key *k, struct bytes data, struct buf *ret)
{
	cleanup_md_ctx EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t sig[ED25519_SIG_SIZE];
	size_t n = sizeof(sig);

	if (ctx == NULL || EVP_DigestSignInit_ex(ctx, NULL, NULL, NULL, NULL, k->pkey, NULL) != 1 ||
	    EVP_DigestSign(ctx, sig, &n, data.p, data.n) != 1)
		return ossl_failed(E_LOCAL_CRYPTO);
	return buf_add(ret, BYTES(sig, n));
}

struct err key_sign(const struct key *k, enum sig_scheme scheme, enum digest_id hash, struct bytes data,
		    struct buf *ret)
{
	cleanup_pkey_ctx EVP_PKEY_CTX *ctx = NULL;
	struct digest d = { 0 };
	uint8_t sig[SIG_MAX];
	size_t n = sizeof(sig);
	struct err e;

	if (!k->is_private)
		return ERR(E_BUG);
	if (scheme == SIG_RSAPSS || !scheme_fits(k, scheme))
		return ERR(E_PEER_UNSUPPORTED);
	if (scheme == SIG_ED25519)
		return sign_ed25519(k, data, ret);
	if (!hash_acceptable(hash))
		return ERR(E_PEER_UNSUPPORTED);
	if (failed(e = digest_one(hash, data, &d)) ||
	    failed(e = context_get(k, scheme == SIG_ECDSA ? KEY_OP_SIGN_ECDSA : KEY_OP_SIGN_RSASSA, hash, &ctx)))
		return e;
	/* OpenSSL 3.0 calls it a success with n of 2^32 - 1 when memory runs out in its encoder of ECDSA signatures. */
	if (EVP_PKEY_sign(ctx, sig, &n, d.v, d.n) != 1 || n > sizeof(sig))
		return ossl_failed(E_LOCAL_CRYPTO);
	if (scheme == SIG_ECDSA)
		return ecdsa_der_to_raw(k->kind, BYTES(sig, n), ret);
	/*
	 * A fault in RSA can cost the private key, and a failed allocation spoils
	 * OpenSSL 3.0's blinding for the next 31 signatures. Looking costs a
	 * fortieth of the signing.
	 */
	if (failed(verify_with(k, KEY_OP_VERIFY_RSASSA, hash, digest_bytes(&d), BYTES(sig, n))))
		return ERR(E_LOCAL_CRYPTO);
	return buf_add(ret, BYTES(sig, n));
}
