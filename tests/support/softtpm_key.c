/* SPDX-License-Identifier: Apache-2.0 */
/* Keys of the software TPM, the CA behind its EK, and the opening of credentials. */
#include "tests/support/softtpm.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>
#include <string.h>

#include "base/file.h"
#include "base/rd.h"
#include "base/wr.h"

#define AREA_MAX 1024
#define POINT_MAX 66
#define YEAR_S (INT64_C(365) * 24 * 3600)
#define EKU_EK "2.23.133.8.1"

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

#define EK_LOW 0x000300b2u
#define EK_HIGH 0x000300f2u
#define AK 0x00050072u
#define STORAGE 0x00030072u
#define SIGNING 0x00040072u

static const uint8_t policy_a_sha256[] = {
	0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc, 0x8d, 0x46, 0xa5, 0xd7, 0x24,
	0xfd, 0x52, 0xd7, 0x6e, 0x06, 0x52, 0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa,
};
static const uint8_t policy_b_sha384[] = {
	0xb2, 0x6e, 0x7d, 0x28, 0xd1, 0x1a, 0x50, 0xbc, 0x53, 0xd8, 0x82, 0xbc, 0xf5, 0xfd, 0x3a, 0x1a,
	0x07, 0x41, 0x48, 0xbb, 0x35, 0xd3, 0xb4, 0xe4, 0xcb, 0x1c, 0x0a, 0xd9, 0xbd, 0xe4, 0x19, 0xca,
	0xcb, 0x47, 0xba, 0x09, 0x69, 0x96, 0x46, 0x15, 0x0f, 0x9f, 0xc0, 0x00, 0xf3, 0xf8, 0x0e, 0x12,
};

#define SHA256 TPM_ALG_SHA256
#define SHA384 TPM_ALG_SHA384
#define NONE TPM_ALG_NULL
#define EH TPM_RH_ENDORSEMENT

static const struct softtpm_spec templates[N_SOFTTPM_TEMPLATES] = {
	[SOFTTPM_EK_RSA2048] = { KEY_RSA, SHA256, EK_LOW, BYTES_ARR(policy_a_sha256), 128, NONE, 0, 0, EH, NULL },
	[SOFTTPM_EK_P256] = { KEY_EC_P256, SHA256, EK_LOW, BYTES_ARR(policy_a_sha256), 128, NONE, 0, 0, EH, NULL },
	[SOFTTPM_EK_P384] = { KEY_EC_P384, SHA384, EK_HIGH, BYTES_ARR(policy_b_sha384), 256, NONE, 0, 0, EH, NULL },
	[SOFTTPM_AK_P256] = { KEY_EC_P256, SHA256, AK, BYTES_NONE, 0, TPM_ALG_ECDSA, SHA256, 0, EH, NULL },
	[SOFTTPM_AK_P384] = { KEY_EC_P384, SHA384, AK, BYTES_NONE, 0, TPM_ALG_ECDSA, SHA384, 0, EH, NULL },
	[SOFTTPM_AK_RSASSA] = { KEY_RSA, SHA256, AK, BYTES_NONE, 0, TPM_ALG_RSASSA, SHA256, 0, EH, NULL },
	[SOFTTPM_AK_RSAPSS] = { KEY_RSA, SHA256, AK, BYTES_NONE, 0, TPM_ALG_RSAPSS, SHA256, 0, EH, NULL },
	[SOFTTPM_NULL_PRIMARY] = { KEY_EC_P256, SHA256, STORAGE, BYTES_NONE, 128, NONE, 0, 0, TPM_RH_NULL, NULL },
	[SOFTTPM_WORKLOAD] = { KEY_EC_P256, SHA256, SIGNING, BYTES_NONE, 0, TPM_ALG_ECDSA, SHA256, 0, TPM_RH_NULL,
			       NULL },
};

struct softtpm_spec softtpm_spec_of(enum softtpm_template t)
{
	return templates[t];
}

/* ---- Public areas: TPMT_PUBLIC, Part 2, 12.2.4. */

static struct err wr_algs(const struct softtpm_spec *s, struct buf *b)
{
	struct err e;

	if (failed(e = wr_u16be(b, s->sym_bits == 0 ? TPM_ALG_NULL : TPM_ALG_AES)))
		return e;
	if (s->sym_bits != 0 && (failed(e = wr_u16be(b, s->sym_bits)) || failed(e = wr_u16be(b, TPM_ALG_CFB))))
		return e;
	if (failed(e = wr_u16be(b, s->scheme)))
		return e;
	return s->scheme == TPM_ALG_NULL ? ERR(E_OK) : wr_u16be(b, s->scheme_hash);
}

static struct err wr_unique(const struct softtpm_spec *s, struct bytes first, struct bytes second, struct buf *b)
{
	struct err e;

	if (s->kind == KEY_RSA) {
		if (failed(e = wr_u16be(b, (uint16_t)(first.n * 8))) ||
		    failed(e = wr_u32be(b, s->rsa_exponent)))
			return e;
		return wr_tpm2b(b, first);
	}
	if (failed(e = wr_u16be(b, s->kind == KEY_EC_P256 ? TPM_ECC_P256 : TPM_ECC_P384)) ||
	    failed(e = wr_u16be(b, TPM_ALG_NULL)) ||
	    failed(e = wr_tpm2b(b, first)))
		return e;
	return wr_tpm2b(b, second);
}

struct err softtpm_area_write(const struct softtpm_spec *spec, const struct key *key, struct buf *ret)
{
	cleanup_buf struct buf first = BUF_INIT(AREA_MAX), second = BUF_INIT(AREA_MAX);
	struct err e;

	if (failed(e = key_numbers(key, &first, &second)) ||
	    failed(e = wr_u16be(ret, spec->kind == KEY_RSA ? TPM_ALG_RSA : TPM_ALG_ECC)) ||
	    failed(e = wr_u16be(ret, spec->name_alg)) ||
	    failed(e = wr_u32be(ret, spec->attributes)) ||
	    failed(e = wr_tpm2b(ret, spec->policy)) ||
	    failed(e = wr_algs(spec, ret)))
		return e;
	return wr_unique(spec, buf_bytes(&first), buf_bytes(&second), ret);
}

static struct err name_key(const struct softtpm_spec *spec, struct softtpm_key *k)
{
	struct err e;

	if (failed(e = tpm_public_parse(buf_bytes(&k->area), &k->pub)) ||
	    failed(e = tpm_public_name(&k->pub, &k->name)))
		return e;
	k->hierarchy = spec->parent == NULL ? spec->hierarchy : spec->parent->hierarchy;
	if (spec->parent == NULL)
		return tpm_qualified_name_primary(spec->hierarchy, &k->name, &k->qualified_name);
	return tpm_qualified_name_child(&spec->parent->qualified_name, &k->name, &k->qualified_name);
}

struct err softtpm_key_new(const struct softtpm_spec *spec, struct softtpm_key **ret)
{
	cleanup_softtpm_key struct softtpm_key *k = calloc(1, sizeof(*k));
	struct err e;

	if (k == NULL)
		return ERR(E_LOCAL_MEMORY);
	buf_init(&k->area, AREA_MAX);
	if (failed(e = key_generate(spec->kind, &k->key)) ||
	    failed(e = softtpm_area_write(spec, k->key, &k->area)) ||
	    failed(e = name_key(spec, k)))
		return e;
	*ret = take_ptr(&k);
	return ERR(E_OK);
}

void softtpm_key_free(struct softtpm_key *k)
{
	if (k == NULL)
		return;
	key_free(k->key);
	buf_free(&k->area);
	free(k);
}

/* ---- CA. */

static struct err issue_cas(struct softtpm_ca *ca)
{
	int64_t now_s = clock_now_s();
	const struct cert_spec root = { .common_name = "softtpm root",
					.ca = true,
					.path_len = 1,
					.not_before_s = now_s - YEAR_S,
					.not_after_s = now_s + 20 * YEAR_S };
	const struct cert_spec issuer = { .common_name = "softtpm issuer",
					  .ca = true,
					  .path_len = 0,
					  .not_before_s = now_s - YEAR_S,
					  .not_after_s = now_s + 20 * YEAR_S };
	struct err e;

	if (failed(e = key_generate(KEY_EC_P256, &ca->root_key)) ||
	    failed(e = key_generate(KEY_EC_P256, &ca->issuer_key)) ||
	    failed(e = cert_issue(&root, ca->root_key, NULL, ca->root_key, &ca->root)))
		return e;
	return cert_issue(&issuer, ca->issuer_key, ca->root, ca->root_key, &ca->issuer);
}

struct err softtpm_ca_new(struct softtpm_ca **ret)
{
	cleanup_softtpm_ca struct softtpm_ca *ca = calloc(1, sizeof(*ca));
	struct err e;

	if (ca == NULL)
		return ERR(E_LOCAL_MEMORY);
	if (failed(e = issue_cas(ca)))
		return e;
	*ret = take_ptr(&ca);
	return ERR(E_OK);
}

void softtpm_ca_free(struct softtpm_ca *ca)
{
	if (ca == NULL)
		return;
	key_free(ca->root_key);
	key_free(ca->issuer_key);
	cert_free(ca->root);
	cert_free(ca->issuer);
	free(ca);
}

/* ---- The TPM as a set of keys. */

static struct err issue_ek(const struct softtpm_ca *ca, struct softtpm *t)
{
	static const char *const eku[] = { EKU_EK };
	int64_t now_s = clock_now_s();
	const struct cert_spec spec = { .common_name = "unknown",
					.eku_oids = eku,
					.n_eku_oids = array_len(eku),
					.tpm_san = true,
					.not_before_s = now_s - 3600,
					.not_after_s = now_s + 10 * YEAR_S };

	return cert_issue(&spec, t->ek->key, ca->issuer, ca->issuer_key, &t->ek_cert);
}

static struct err make_keys(const struct softtpm_options *o, struct softtpm *t)
{
	struct err e;

	if (failed(e = softtpm_key_new(&templates[o->ek], &t->ek)) ||
	    failed(e = softtpm_key_new(&templates[o->ak], &t->ak)))
		return e;
	return o->ca == NULL ? ERR(E_OK) : issue_ek(o->ca, t);
}

struct err softtpm_new(const struct softtpm_options *o, struct softtpm **ret)
{
	cleanup_softtpm struct softtpm *t = calloc(1, sizeof(*t));
	struct err e;

	if (t == NULL)
		return ERR(E_LOCAL_MEMORY);
	t->banks = o->banks == 0 ? 1u << DIGEST_SHA256 : o->banks;
	t->clock.safe = 1;
	t->firmware_version = UINT64_C(0x2019102300163636);
	if (failed(e = make_keys(o, t)) ||
	    failed(e = softtpm_reset(t)))
		return e;
	*ret = take_ptr(&t);
	return ERR(E_OK);
}

void softtpm_free(struct softtpm *t)
{
	if (t == NULL)
		return;
	softtpm_key_free(t->ek);
	softtpm_key_free(t->ak);
	softtpm_key_free(t->null_primary);
	cert_free(t->ek_cert);
	free(t);
}

struct err softtpm_workload_key(const struct softtpm *t, struct softtpm_key **ret)
{
	struct softtpm_spec spec = templates[SOFTTPM_WORKLOAD];

	spec.parent = t->null_primary;
	return softtpm_key_new(&spec, ret);
}

/* ---- Opening of credentials: the other side of protocol/tpm_credential.c (Part 1, 24 and annexes B.10.4, C.6.1). */

static const EVP_MD *evp_md(enum digest_id hash)
{
	return EVP_get_digestbyname(digest_alg(hash)->ossl);
}

static struct err open_rsa(const struct softtpm_key *ek, enum digest_id hash, struct bytes sealed, struct digest *ret)
{
	cleanup_pctx EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key_evp(ek->key), NULL);
	uint8_t *label = OPENSSL_memdup("IDENTITY", 9);
	uint8_t seed[512];
	size_t n = sizeof(seed);

	if (ctx == NULL || label == NULL || EVP_PKEY_decrypt_init(ctx) <= 0 ||
	    EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) <= 0 ||
	    EVP_PKEY_CTX_set_rsa_oaep_md(ctx, evp_md(hash)) <= 0 ||
	    EVP_PKEY_CTX_set0_rsa_oaep_label(ctx, label, 9) <= 0) {
		OPENSSL_free(label);
		return ERR(E_LOCAL_CRYPTO);
	}
	if (EVP_PKEY_decrypt(ctx, seed, &n, sealed.p, sealed.n) <= 0 || n != digest_alg(hash)->size)
		return ERR(E_AUTH_SIGNATURE);
	memcpy(ret->v, seed, n);
	ret->n = (uint8_t)n;
	return ERR(E_OK);
}

static struct err shared_x(const struct softtpm_key *ek, const struct key *peer, uint8_t *ret, size_t *n)
{
	cleanup_pctx EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key_evp(ek->key), NULL);

	if (ctx == NULL || EVP_PKEY_derive_init(ctx) <= 0 || EVP_PKEY_derive_set_peer(ctx, key_evp(peer)) <= 0 ||
	    EVP_PKEY_derive(ctx, ret, n) <= 0)
		return ERR(E_LOCAL_CRYPTO);
	return ERR(E_OK);
}

static struct err open_ecc(const struct softtpm_key *ek, enum digest_id hash, struct bytes sealed, struct digest *ret)
{
	struct bytes x = BYTES_NONE, y = BYTES_NONE;
	cleanup_key struct key *peer = NULL;
	struct rd r = RD(sealed);
	uint8_t z[POINT_MAX];
	size_t n = sizeof(z);
	struct err e;

	if (failed(e = rd_tpm2b(&r, POINT_MAX, &x)) ||
	    failed(e = rd_tpm2b(&r, POINT_MAX, &y)) ||
	    failed(e = rd_end(&r)) ||
	    failed(e = key_from_ec(key_kind(ek->key), x, y, &peer)) ||
	    failed(e = shared_x(ek, peer, z, &n)))
		return e;
	ret->n = (uint8_t)digest_alg(hash)->size;
	return tpm_kdfe(hash, BYTES(z, n), "IDENTITY", x, ek->pub.ecc_x, ret->v, ret->n);
}

static struct err check_mac(enum digest_id hash, const struct digest *seed, const struct tpm_name *name,
			    struct bytes mac, struct bytes identity)
{
	cleanup_buf struct buf in = BUF_INIT(AREA_MAX);
	struct digest key = { .n = (uint8_t)digest_alg(hash)->size }, want = { .n = key.n };
	unsigned n = 0;
	struct err e;

	if (failed(e = tpm_kdfa(hash, digest_bytes(seed), "INTEGRITY", BYTES_NONE, BYTES_NONE, key.v, key.n)) ||
	    failed(e = buf_add(&in, identity)) ||
	    failed(e = buf_add(&in, tpm_name_bytes(name))))
		return e;
	if (HMAC(evp_md(hash), key.v, key.n, in.p, in.n, want.v, &n) == NULL)
		return ERR(E_LOCAL_CRYPTO);
	return bytes_eq_secret(mac, digest_bytes(&want)) ? ERR(E_OK) : ERR(E_AUTH_SIGNATURE);
}

static struct err decrypt(const struct softtpm_key *ek, enum digest_id hash, const struct digest *seed,
			  const struct tpm_name *name, struct bytes in, struct buf *ret)
{
	cleanup_cctx EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	const size_t key_n = ek->pub.sym_bits / 8u;
	const uint8_t iv[16] = { 0 };
	uint8_t key[32];
	int n = 0;
	struct err e;

	if (failed(e = tpm_kdfa(hash, digest_bytes(seed), "STORAGE", tpm_name_bytes(name), BYTES_NONE, key, key_n)) ||
	    failed(e = buf_reserve(ret, in.n)))
		return e;
	if (ctx == NULL ||
	    EVP_DecryptInit_ex2(ctx, key_n == 16 ? EVP_aes_128_cfb128() : EVP_aes_256_cfb128(), key, iv, NULL) <= 0 ||
	    EVP_DecryptUpdate(ctx, ret->p, &n, in.p, (int)in.n) <= 0)
		return ERR(E_LOCAL_CRYPTO);
	ret->n = (size_t)n;
	return ERR(E_OK);
}

/* TPM2B_ID_OBJECT: size, then TPM2B HMAC and the encrypted identity. */
static struct err split_blob(struct bytes blob, struct bytes *ret_mac, struct bytes *ret_identity)
{
	struct bytes object = BYTES_NONE;
	struct rd outer = RD(blob), inner;
	struct err e;

	if (failed(e = rd_tpm2b(&outer, AREA_MAX, &object)) ||
	    failed(e = rd_end(&outer)))
		return e;
	inner = RD(object);
	if (failed(e = rd_tpm2b(&inner, DIGEST_MAX, ret_mac)))
		return e;
	*ret_identity = rd_rest(&inner);
	return ERR(E_OK);
}

static struct err open_seed(const struct softtpm_key *ek, enum digest_id hash, struct bytes secret, struct digest *ret)
{
	struct bytes sealed = BYTES_NONE;
	struct rd r = RD(secret);
	struct err e;

	if (failed(e = rd_tpm2b(&r, AREA_MAX, &sealed)) ||
	    failed(e = rd_end(&r)))
		return e;
	return ek->pub.type == TPM_ALG_RSA ? open_rsa(ek, hash, sealed, ret) : open_ecc(ek, hash, sealed, ret);
}

struct err softtpm_activate(const struct softtpm *t, const struct tpm_name *name, struct bytes blob,
			    struct bytes encrypted_secret, struct buf *ret_secret)
{
	enum digest_id hash = digest_by_tpm_alg(t->ek->pub.name_alg)->id;
	struct bytes mac = BYTES_NONE, identity = BYTES_NONE, secret = BYTES_NONE;
	cleanup_buf struct buf clear = BUF_INIT(AREA_MAX);
	struct digest seed = { 0 };
	struct rd r;
	struct err e;

	if (failed(e = split_blob(blob, &mac, &identity)) ||
	    failed(e = open_seed(t->ek, hash, encrypted_secret, &seed)) ||
	    failed(e = check_mac(hash, &seed, name, mac, identity)) ||
	    failed(e = decrypt(t->ek, hash, &seed, name, identity, &clear)))
		return e;
	r = RD(buf_bytes(&clear));
	if (failed(e = rd_tpm2b(&r, digest_alg(hash)->size, &secret)) ||
	    failed(e = rd_end(&r)))
		return e;
	return buf_add(ret_secret, secret);
}
