/* SPDX-License-Identifier: Apache-2.0 */
/* Private keys, and the public half of an EVP_PKEY that OpenSSL made. */
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/key_impl.h"
#include "base/limits.h"

#define RSA_NEW_BITS ((size_t)2048)
#define SEC1_LABEL "EC PRIVATE KEY"

DEFINE_CLEANUP(PKCS8_PRIV_KEY_INFO, cleanup_p8_, PKCS8_PRIV_KEY_INFO_free)
#define cleanup_p8 cleanup(cleanup_p8_)

static void openssl_free_(unsigned char **p)
{
	OPENSSL_free(*p);
}

static const struct curve *curve_by_group(const char *group)
{
	static const struct {
		const char *name;
		enum key_kind kind;
	} names[] = {
		{ "prime256v1", KEY_EC_P256 }, { "P-256", KEY_EC_P256 },     { "secp384r1", KEY_EC_P384 },
		{ "P-384", KEY_EC_P384 },      { "secp521r1", KEY_EC_P521 }, { "P-521", KEY_EC_P521 },
	};

	for (size_t i = 0; i < array_len(names); i++) {
		if (strcmp(names[i].name, group) == 0)
			return curve_of(names[i].kind);
	}
	return NULL;
}

static struct err ec_public_of(EVP_PKEY *pkey, struct key **ret)
{
	cleanup(openssl_free_) unsigned char *point = NULL;
	const struct curve *c = NULL;
	char group[64] = "";
	size_t n_group = 0, n;
	int is_explicit = 0;

	if (EVP_PKEY_get_group_name(pkey, group, sizeof(group), &n_group) != 1)
		return ossl_failed(E_PEER_UNSUPPORTED);
	/* Explicit parameters may name a known curve with another generator (CVE-2020-0601). */
	if (EVP_PKEY_get_int_param(pkey, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS, &is_explicit) != 1)
		return ossl_failed(E_LOCAL_CRYPTO);
	c = curve_by_group(group);
	if (c == NULL || is_explicit != 0)
		return ERR(E_PEER_UNSUPPORTED);
	n = EVP_PKEY_get1_encoded_public_key(pkey, &point);
	if (n == 0)
		return ossl_failed(E_LOCAL_CRYPTO);
	if (n != 1 + 2 * c->size || point[0] != 0x04)
		return ERR(E_PEER_UNSUPPORTED);
	return key_from_ec(c->kind, BYTES(point + 1, c->size), BYTES(point + 1 + c->size, c->size), ret);
}

static struct err rsa_public_of(EVP_PKEY *pkey, struct key **ret)
{
	cleanup_bn BIGNUM *n = NULL, *exp = NULL;
	uint8_t modulus[LIMIT_RSA_BITS / 8];
	int n_bytes;

	if (EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_N, &n) != 1 ||
	    EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, &exp) != 1)
		return ossl_failed(E_LOCAL_CRYPTO);
	if (BN_is_word(exp, RSA_F4) != 1)
		return ERR(E_PEER_RANGE);
	n_bytes = BN_num_bytes(n);
	if (n_bytes < 0 || (size_t)n_bytes > sizeof(modulus))
		return ERR(E_PEER_RANGE);
	if (BN_bn2binpad(n, modulus, n_bytes) != n_bytes)
		return ossl_failed(E_LOCAL_CRYPTO);
	return key_from_rsa(BYTES(modulus, (size_t)n_bytes), RSA_F4, ret);
}

struct err key_public_of(EVP_PKEY *pkey, struct key **ret)
{
	uint8_t raw[ED25519_SIZE];
	size_t n = sizeof(raw);

	switch (EVP_PKEY_get_base_id(pkey)) {
	case EVP_PKEY_EC:
		return ec_public_of(pkey, ret);
	case EVP_PKEY_RSA:
		return rsa_public_of(pkey, ret);
	case EVP_PKEY_ED25519:
		if (EVP_PKEY_get_raw_public_key(pkey, raw, &n) != 1)
			return ossl_failed(E_LOCAL_CRYPTO);
		return key_from_ed25519(BYTES(raw, n), ret);
	default:
		return ERR(E_PEER_UNSUPPORTED);
	}
}

/* A private key around pkey, which is taken on success. */
static struct err private_of(EVP_PKEY **pkey, struct key **ret)
{
	cleanup_key struct key *pub = NULL;
	struct err e;

	if (failed(e = key_public_of(*pkey, &pub)))
		return e;
	return key_assemble(pub->kind, true, pkey, key_a(pub), key_b(pub), ret);
}

struct err key_generate(enum key_kind kind, struct key **ret)
{
	cleanup_pkey EVP_PKEY *pkey = NULL;
	const struct curve *c = curve_of(kind);

	if (kind == KEY_EC_P256 || kind == KEY_EC_P384)
		pkey = EVP_PKEY_Q_keygen(NULL, NULL, "EC", c->group);
	else if (kind == KEY_RSA)
		pkey = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", RSA_NEW_BITS);
	else if (kind == KEY_ED25519)
		pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	else
		return ERR(E_PEER_UNSUPPORTED);
	if (pkey == NULL)
		return ossl_failed(E_LOCAL_CRYPTO);
	return private_of(&pkey, ret);
}

/* A file can hold a public key that is not the private key's own; then everything we sign would be refused. */
static struct err check_pair(EVP_PKEY *pkey)
{
	cleanup_pkey_ctx EVP_PKEY_CTX *ctx = NULL;

	/* Ed25519 files hold the private half alone; the public one is computed. */
	if (EVP_PKEY_get_base_id(pkey) == EVP_PKEY_ED25519)
		return ERR(E_OK);
	ctx = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
	if (ctx == NULL)
		return ossl_failed(E_LOCAL_CRYPTO);
	if (EVP_PKEY_pairwise_check(ctx) != 1)
		return ossl_failed(E_PEER_RANGE);
	return ERR(E_OK);
}

static struct err pkcs8_decode(struct bytes der, EVP_PKEY **ret)
{
	cleanup_p8 PKCS8_PRIV_KEY_INFO *p8 = NULL;
	const unsigned char *at = der.p;

	p8 = d2i_PKCS8_PRIV_KEY_INFO(NULL, &at, (long)der.n);
	if (p8 == NULL)
		return ossl_failed(E_PEER_SYNTAX);
	if (at != der.p + der.n)
		return ERR(E_PEER_TRAILING);
	*ret = EVP_PKCS82PKEY(p8);
	return *ret != NULL ? ERR(E_OK) : ossl_failed(E_PEER_UNSUPPORTED);
}

/* RFC 5915, as "openssl ecparam -genkey" writes it; the parameters that it puts before the key are in the key as well. */
static struct err sec1_decode(struct bytes pem, EVP_PKEY **ret)
{
	static const char begin[] = "-----BEGIN " SEC1_LABEL "-----";
	cleanup_buf struct buf der = BUF_INIT(LIMIT_SMALL);
	const uint8_t *found = pem.n > 0 ? memmem(pem.p, pem.n, begin, sizeof(begin) - 1) : NULL;
	const unsigned char *at;
	struct err e;

	if (found == NULL)
		return ERR(E_PEER_UNSUPPORTED);
	if (failed(e = pem_decode(BYTES(found, pem.n - (size_t)(found - pem.p)), SEC1_LABEL, &der)))
		return e;
	at = der.p;
	*ret = d2i_PrivateKey(EVP_PKEY_EC, NULL, &at, (long)der.n);
	if (*ret == NULL)
		return ossl_failed(E_PEER_SYNTAX);
	return at == der.p + der.n ? ERR(E_OK) : ERR(E_PEER_TRAILING);
}

struct err key_private_from_pem(struct bytes pem, struct key **ret)
{
	cleanup_buf struct buf der = BUF_INIT(LIMIT_SMALL);
	cleanup_pkey EVP_PKEY *pkey = NULL;
	cleanup_key struct key *k = NULL;
	struct err e;

	e = pem_decode(pem, "PRIVATE KEY", &der);
	if (!failed(e))
		e = pkcs8_decode(buf_bytes(&der), &pkey);
	else if (e.code == E_PEER_UNSUPPORTED)
		e = sec1_decode(pem, &pkey);
	if (failed(e))
		return e;
	/* Sizes are judged before the numbers are worked with. */
	if (failed(e = key_public_of(pkey, &k)) || failed(e = check_pair(pkey)))
		return e;
	return private_of(&pkey, ret);
}

struct err key_private_to_pem(const struct key *k, struct buf *ret)
{
	/* The memory BIO wipes what it held. */
	cleanup_bio BIO *bio = BIO_new(BIO_s_mem());

	if (!k->is_private)
		return ERR(E_BUG);
	if (bio == NULL || PEM_write_bio_PKCS8PrivateKey(bio, k->pkey, NULL, NULL, 0, NULL, NULL) != 1)
		return ossl_failed(E_LOCAL_CRYPTO);
	return bio_contents(bio, ret);
}
