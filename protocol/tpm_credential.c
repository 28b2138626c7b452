/* SPDX-License-Identifier: Apache-2.0 */
#include "protocol/tpmw.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>
#include <string.h>

#include "base/wr.h"

#define SECRET_MAX 32
#define EC_MAX 48
#define AES_BLOCK 16

/* Label of the seed's protection (Part 1, B.10.4 and C.6.1); the NUL is part of it. */
static const uint8_t identity_label[] = "IDENTITY";

static inline void cleanup_pctx_(EVP_PKEY_CTX **c)
{
	EVP_PKEY_CTX_free(*c);
}
#define cleanup_pctx cleanup(cleanup_pctx_)

static inline void cleanup_cctx_(EVP_CIPHER_CTX **c)
{
	EVP_CIPHER_CTX_free(*c);
}
#define cleanup_cctx cleanup(cleanup_cctx_)

static inline void cleanup_digest_(struct digest *d)
{
	wipe(d, sizeof(*d));
}
#define cleanup_digest cleanup(cleanup_digest_)

/* The queue of this thread is emptied, because nobody above reads it. */
static struct err crypto_failed(void)
{
	ERR_clear_error();
	return ERR(E_LOCAL_CRYPTO);
}

static const EVP_MD *evp_md(enum digest_id hash)
{
	return EVP_get_digestbyname(digest_alg(hash)->ossl);
}

/* Enrolments are rare, so HMAC's fetch per call costs nothing that counts. */
static struct err hmac(enum digest_id hash, struct bytes key, struct bytes data, struct digest *ret)
{
	const EVP_MD *md = evp_md(hash);
	struct digest d = { 0 };
	unsigned n = 0;

	if (md == NULL || key.n > INT32_MAX)
		return crypto_failed();
	if (HMAC(md, key.p, (int)key.n, data.p, data.n, d.v, &n) == NULL || n != digest_alg(hash)->size)
		return crypto_failed();
	d.n = (uint8_t)n;
	*ret = d;
	return ERR(E_OK);
}

/* What both key derivation functions take: n bytes from a key, a label and two byte strings. */
struct kdf {
	enum digest_id hash;
	struct bytes key, first, second;
	const char *label;
	size_t n;
};

/* counter || label with its NUL || contextU || contextV || length in bits */
static struct err kdfa_block(const struct kdf *k, uint32_t counter, struct digest *ret)
{
	cleanup_buf struct buf in = BUF_INIT(LIMIT_TPM2B);
	struct err e;

	if (failed(e = wr_u32be(&in, counter)) ||
	    failed(e = buf_add(&in, BYTES(k->label, strlen(k->label) + 1))) ||
	    failed(e = buf_add(&in, k->first)) ||
	    failed(e = buf_add(&in, k->second)) ||
	    failed(e = wr_u32be(&in, (uint32_t)k->n * 8)))
		return e;
	return hmac(k->hash, k->key, buf_bytes(&in), ret);
}

/* counter || Z || label with its NUL || partyU || partyV */
static struct err kdfe_block(const struct kdf *k, uint32_t counter, struct digest *ret)
{
	cleanup_buf struct buf in = BUF_INIT(LIMIT_TPM2B);
	struct err e;

	if (failed(e = wr_u32be(&in, counter)) ||
	    failed(e = buf_add(&in, k->key)) ||
	    failed(e = buf_add(&in, BYTES(k->label, strlen(k->label) + 1))) ||
	    failed(e = buf_add(&in, k->first)) ||
	    failed(e = buf_add(&in, k->second)))
		return e;
	return digest_one(k->hash, buf_bytes(&in), ret);
}

/* One block after the other, the counter from 1; the last is cut. */
static struct err kdf_run(const struct kdf *k, struct err (*block)(const struct kdf *, uint32_t, struct digest *),
			  uint8_t *ret)
{
	cleanup_buf struct buf out = BUF_INIT(2 * LIMIT_TPM2B);
	struct err e;

	if (k->n == 0 || k->n > LIMIT_TPM2B)
		return ERR(E_BUG);
	for (uint32_t counter = 1; out.n < k->n; counter++) {
		cleanup_digest struct digest d = { 0 };

		if (failed(e = block(k, counter, &d)) ||
		    failed(e = buf_add(&out, digest_bytes(&d))))
			return e;
	}
	memcpy(ret, out.p, k->n);
	return ERR(E_OK);
}

struct err tpm_kdfa(enum digest_id hash, struct bytes key, const char *label, struct bytes context_u,
		    struct bytes context_v, uint8_t *ret, size_t n)
{
	const struct kdf k = { hash, key, context_u, context_v, label, n };

	return kdf_run(&k, kdfa_block, ret);
}

struct err tpm_kdfe(enum digest_id hash, struct bytes z, const char *label, struct bytes party_u,
		    struct bytes party_v, uint8_t *ret, size_t n)
{
	const struct kdf k = { hash, z, party_u, party_v, label, n };

	return kdf_run(&k, kdfe_block, ret);
}

/* RSA: a random seed under OAEP with the name hash (Part 1, B.10.4). */
static struct err seed_rsa(const struct key *ek, enum digest_id hash, struct digest *ret_seed, struct buf *ret_secret)
{
	cleanup_pctx EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key_evp(ek), NULL);
	cleanup_buf struct buf out = BUF_INIT(LIMIT_RSA_BITS / 8);
	uint8_t *label = NULL;
	size_t n = LIMIT_RSA_BITS / 8;
	struct err e;

	ret_seed->n = (uint8_t)digest_alg(hash)->size;
	if (failed(e = random_bytes(ret_seed->v, ret_seed->n)) ||
	    failed(e = buf_reserve(&out, n)))
		return e;
	label = OPENSSL_memdup(identity_label, sizeof(identity_label));
	if (ctx == NULL || label == NULL || EVP_PKEY_encrypt_init(ctx) <= 0 ||
	    EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) <= 0 ||
	    EVP_PKEY_CTX_set_rsa_oaep_md(ctx, evp_md(hash)) <= 0 ||
	    EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, evp_md(hash)) <= 0 ||
	    EVP_PKEY_CTX_set0_rsa_oaep_label(ctx, label, sizeof(identity_label)) <= 0) {
		OPENSSL_free(label);
		return crypto_failed();
	}
	if (EVP_PKEY_encrypt(ctx, out.p, &n, ret_seed->v, ret_seed->n) <= 0)
		return crypto_failed();
	out.n = n;
	return buf_add(ret_secret, buf_bytes(&out));
}

/* The shared point's X, padded to the curve (Part 1, C.6.1). */
static struct err ecdh_x(const struct key *own, const struct key *peer, uint8_t ret[EC_MAX], size_t size)
{
	cleanup_pctx EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key_evp(own), NULL);
	size_t n = EC_MAX;

	if (ctx == NULL || EVP_PKEY_derive_init(ctx) <= 0 || EVP_PKEY_derive_set_peer(ctx, key_evp(peer)) <= 0 ||
	    EVP_PKEY_derive(ctx, ret, &n) <= 0 || n != size)
		return crypto_failed();
	return ERR(E_OK);
}

static struct err seed_ecc(const struct key *ek, enum digest_id hash, struct digest *ret_seed, struct buf *ret_secret)
{
	cleanup_buf struct buf x = BUF_INIT(EC_MAX), y = BUF_INIT(EC_MAX);
	cleanup_buf struct buf ek_x = BUF_INIT(EC_MAX), ek_y = BUF_INIT(EC_MAX);
	cleanup_buf struct buf z = BUF_INIT(EC_MAX);
	cleanup_key struct key *ephemeral = NULL;
	struct err e;

	if (failed(e = key_generate(key_kind(ek), &ephemeral)) ||
	    failed(e = key_numbers(ephemeral, &x, &y)) ||
	    failed(e = key_numbers(ek, &ek_x, &ek_y)) ||
	    failed(e = buf_reserve(&z, EC_MAX)) ||
	    failed(e = ecdh_x(ephemeral, ek, z.p, x.n)))
		return e;
	z.n = x.n;
	ret_seed->n = (uint8_t)digest_alg(hash)->size;
	if (failed(e = tpm_kdfe(hash, buf_bytes(&z), "IDENTITY", buf_bytes(&x), buf_bytes(&ek_x), ret_seed->v,
				ret_seed->n)) ||
	    failed(e = wr_tpm2b(ret_secret, buf_bytes(&x))))
		return e;
	return wr_tpm2b(ret_secret, buf_bytes(&y));
}

static struct err aes_cfb(struct bytes key, struct bytes in, uint8_t *ret)
{
	cleanup_cctx EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	const EVP_CIPHER *cipher = key.n == 16 ? EVP_aes_128_cfb128() : EVP_aes_256_cfb128();
	const uint8_t iv[AES_BLOCK] = { 0 };
	int n = 0, rest = 0;

	if (in.n > LIMIT_TPM2B)
		return ERR(E_LIMIT_SIZE);
	if (ctx == NULL || EVP_EncryptInit_ex2(ctx, cipher, key.p, iv, NULL) <= 0 ||
	    EVP_EncryptUpdate(ctx, ret, &n, in.p, (int)in.n) <= 0 || EVP_EncryptFinal_ex(ctx, ret + n, &rest) <= 0 ||
	    (size_t)n != in.n || rest != 0)
		return crypto_failed();
	return ERR(E_OK);
}

/* TPM2B_ID_OBJECT: outer HMAC over encrypted identity and Name (Part 1, 24.4 and 24.5). */
static struct err id_object(const struct tpm_public *ek, enum digest_id hash, const struct digest *seed,
			    const struct tpm_name *name, struct bytes secret, struct buf *ret)
{
	cleanup_buf struct buf clear = BUF_INIT(LIMIT_TPM2B), mac_in = BUF_INIT(LIMIT_TPM2B);
	cleanup_buf struct buf body = BUF_INIT(LIMIT_TPM2B);
	cleanup_digest struct digest sym_key = { .n = (uint8_t)(ek->sym_bits / 8) };
	cleanup_digest struct digest mac_key = { .n = seed->n };
	uint8_t identity[2 + SECRET_MAX];
	struct digest mac = { 0 };
	struct err e;

	if (failed(e = wr_tpm2b(&clear, secret)) ||
	    failed(e = tpm_kdfa(hash, digest_bytes(seed), "STORAGE", tpm_name_bytes(name), BYTES_NONE, sym_key.v,
				sym_key.n)) ||
	    failed(e = tpm_kdfa(hash, digest_bytes(seed), "INTEGRITY", BYTES_NONE, BYTES_NONE, mac_key.v,
				mac_key.n)) ||
	    failed(e = aes_cfb(digest_bytes(&sym_key), buf_bytes(&clear), identity)) ||
	    failed(e = buf_add(&mac_in, BYTES(identity, clear.n))) ||
	    failed(e = buf_add(&mac_in, tpm_name_bytes(name))) ||
	    failed(e = hmac(hash, digest_bytes(&mac_key), buf_bytes(&mac_in), &mac)) ||
	    failed(e = wr_tpm2b(&body, digest_bytes(&mac))) ||
	    failed(e = buf_add(&body, BYTES(identity, clear.n))))
		return e;
	return wr_tpm2b(ret, buf_bytes(&body));
}

/* An EK can open credentials only as a restricted storage key with AES-CFB. */
static struct err check_storage_key(const struct tpm_public *ek, enum digest_id *ret_hash)
{
	const struct digest_alg *alg = digest_by_tpm_alg(ek->name_alg);

	if ((ek->attributes & TPMA_RESTRICTED) == 0 || (ek->attributes & TPMA_DECRYPT) == 0 ||
	    (ek->attributes & TPMA_SIGN) != 0 || ek->scheme != TPM_ALG_NULL)
		return ERR(E_PEER_UNSUPPORTED);
	if (ek->sym_alg != TPM_ALG_AES || ek->sym_mode != TPM_ALG_CFB || (ek->sym_bits != 128 && ek->sym_bits != 256))
		return ERR(E_PEER_UNSUPPORTED);
	if (alg == NULL || alg->id == DIGEST_SHA1 || alg->id == DIGEST_SM3_256)
		return ERR(E_PEER_UNSUPPORTED);
	if (ek->type == TPM_ALG_ECC && ek->ecc_curve != TPM_ECC_P256 && ek->ecc_curve != TPM_ECC_P384)
		return ERR(E_PEER_UNSUPPORTED);
	*ret_hash = alg->id;
	return ERR(E_OK);
}

struct err tpm_make_credential(const struct tpm_public *ek, const struct tpm_name *name, struct bytes secret,
			       struct buf *ret_blob, struct buf *ret_encrypted_secret)
{
	cleanup_buf struct buf blob = BUF_INIT(LIMIT_TPM2B), sealed = BUF_INIT(LIMIT_TPM2B);
	cleanup_digest struct digest seed = { 0 };
	cleanup_key struct key *key = NULL;
	enum digest_id hash = DIGEST_SHA256;
	struct err e;

	if (secret.n < 1 || secret.n > SECRET_MAX || name->n == 0)
		return ERR(E_PEER_RANGE);
	if (failed(e = check_storage_key(ek, &hash)) ||
	    failed(e = tpm_public_key(ek, &key)))
		return e;
	e = ek->type == TPM_ALG_RSA ? seed_rsa(key, hash, &seed, &sealed) : seed_ecc(key, hash, &seed, &sealed);
	if (failed(e) ||
	    failed(e = id_object(ek, hash, &seed, name, secret, &blob)) ||
	    failed(e = buf_reserve(ret_blob, blob.n)) ||
	    failed(e = wr_tpm2b(ret_encrypted_secret, buf_bytes(&sealed))))
		return e;
	return buf_add(ret_blob, buf_bytes(&blob));
}
