/* SPDX-License-Identifier: Apache-2.0 */
#include "base/key.h"

#include <string.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>

#include "base/key_impl.h"
#include "base/limits.h"

#define RSA_BITS_MIN 2048
#define RSA_EXPONENT 65537u
#define CURVE_MAX 66
#define N_CURVES 3

DEFINE_CLEANUP(OSSL_PARAM, cleanup_params_, OSSL_PARAM_free)
DEFINE_CLEANUP(OSSL_PARAM_BLD, cleanup_param_bld_, OSSL_PARAM_BLD_free)
#define cleanup_params cleanup(cleanup_params_)
#define cleanup_param_bld cleanup(cleanup_param_bld_)

/* Orders: FIPS 186-4, D.1.2. SubjectPublicKeyInfo: RFC 5480, 2.1.1 and 2.2. */
static const uint8_t p256_order[32] = {
	0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
};
static const uint8_t p384_order[48] = {
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xc7, 0x63, 0x4d, 0x81, 0xf4, 0x37, 0x2d, 0xdf,
	0x58, 0x1a, 0x0d, 0xb2, 0x48, 0xb0, 0xa7, 0x7a, 0xec, 0xec, 0x19, 0x6a, 0xcc, 0xc5, 0x29, 0x73,
};
static const uint8_t p521_order[66] = {
	0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfa,
	0x51, 0x86, 0x87, 0x83, 0xbf, 0x2f, 0x96, 0x6b, 0x7f, 0xcc, 0x01, 0x48, 0xf7, 0x09, 0xa5, 0xd0, 0x3b,
	0xb5, 0xc9, 0xb8, 0x89, 0x9c, 0x47, 0xae, 0xbb, 0x6f, 0xb7, 0x1e, 0x91, 0x38, 0x64, 0x09,
};
static const uint8_t p256_spki[27] = {
	0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
	0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
};
static const uint8_t p384_spki[24] = {
	0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02,
	0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22, 0x03, 0x62, 0x00, 0x04,
};
static const uint8_t p521_spki[26] = {
	0x30, 0x81, 0x9b, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02,
	0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23, 0x03, 0x81, 0x86, 0x00, 0x04,
};
static const uint8_t ed25519_spki_der[12] = {
	0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
};
const struct bytes ed25519_spki = { ed25519_spki_der, sizeof(ed25519_spki_der) };

static const struct curve curves[N_CURVES] = {
	{ KEY_EC_P256, "P-256", 32, { p256_order, sizeof(p256_order) }, { p256_spki, sizeof(p256_spki) } },
	{ KEY_EC_P384, "P-384", 48, { p384_order, sizeof(p384_order) }, { p384_spki, sizeof(p384_spki) } },
	{ KEY_EC_P521, "P-521", 66, { p521_order, sizeof(p521_order) }, { p521_spki, sizeof(p521_spki) } },
};

/* Keys of each curve without a point, to be duplicated; made on first use and kept. */
static EVP_PKEY *_Atomic curve_templates[N_CURVES];

const struct curve *curve_of(enum key_kind kind)
{
	for (size_t i = 0; i < N_CURVES; i++) {
		if (curves[i].kind == kind)
			return &curves[i];
	}
	return NULL;
}

static void contexts_free(struct key_contexts *c)
{
	if (c == NULL)
		return;
	for (size_t op = 0; op < N_KEY_OPS; op++) {
		for (size_t h = 0; h < N_DIGESTS; h++)
			EVP_PKEY_CTX_free(atomic_load(&c->ready[op][h]));
	}
	free(c);
}

void key_free(struct key *k)
{
	if (k == NULL)
		return;
	contexts_free(k->contexts);
	EVP_PKEY_free(k->pkey);
	free(k);
}

struct err key_assemble(enum key_kind kind, bool is_private, EVP_PKEY **pkey, struct bytes a, struct bytes b,
			struct key **ret)
{
	cleanup_key struct key *k = NULL;

	if (a.n > LIMIT_RSA_BITS / 8 || b.n > CURVE_MAX)
		return ERR(E_BUG);
	k = calloc(1, sizeof(*k) + a.n + b.n);
	if (k == NULL)
		return ERR(E_LOCAL_MEMORY);
	k->contexts = calloc(1, sizeof(*k->contexts));
	if (k->contexts == NULL)
		return ERR(E_LOCAL_MEMORY);
	k->kind = kind;
	k->is_private = is_private;
	k->n_a = a.n;
	k->n_b = b.n;
	memcpy(k->numbers, a.p, a.n);
	if (b.n > 0)
		memcpy(k->numbers + a.n, b.p, b.n);
	k->pkey = take_ptr(pkey);
	*ret = take_ptr(&k);
	return ERR(E_OK);
}

static struct err fromdata(const char *type, int selection, OSSL_PARAM *params, EVP_PKEY **ret)
{
	cleanup_pkey_ctx EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	cleanup_pkey EVP_PKEY *pkey = NULL;

	if (ctx == NULL || EVP_PKEY_fromdata_init(ctx) != 1 || EVP_PKEY_fromdata(ctx, &pkey, selection, params) != 1)
		return ossl_failed(E_LOCAL_CRYPTO);
	*ret = take_ptr(&pkey);
	return ERR(E_OK);
}

/* The curve's template; borrowed, lives as long as the process. */
static struct err curve_template(const struct curve *c, EVP_PKEY **ret)
{
	EVP_PKEY *_Atomic *slot = &curve_templates[c - curves];
	EVP_PKEY *there = atomic_load(slot);
	cleanup_pkey EVP_PKEY *made = NULL;
	char group[8];
	struct err e;

	if (there != NULL) {
		*ret = there;
		return ERR(E_OK);
	}
	(void)snprintf(group, sizeof(group), "%s", c->group);
	if (failed(e = fromdata("EC", EVP_PKEY_KEY_PARAMETERS,
				(OSSL_PARAM[]){ OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
						OSSL_PARAM_END },
				&made)))
		return e;
	if (atomic_compare_exchange_strong(slot, &there, made))
		there = take_ptr(&made);
	*ret = there;
	return ERR(E_OK);
}

/* 04 || x || y, coordinates left-padded to the curve size. out has 1 + 2 * size bytes. */
static struct err encode_point(const struct curve *c, struct bytes x, struct bytes y, uint8_t *out)
{
	if (x.n == 0 || y.n == 0 || x.n > c->size || y.n > c->size)
		return ERR(E_PEER_RANGE);
	memset(out, 0, 1 + 2 * c->size);
	out[0] = 0x04;
	memcpy(out + 1 + (c->size - x.n), x.p, x.n);
	memcpy(out + 1 + c->size + (c->size - y.n), y.p, y.n);
	return ERR(E_OK);
}

struct err key_from_ec(enum key_kind curve, struct bytes x, struct bytes y, struct key **ret)
{
	const struct curve *c = curve_of(curve);
	cleanup_pkey EVP_PKEY *pkey = NULL;
	EVP_PKEY *template = NULL;
	uint8_t point[1 + 2 * CURVE_MAX];
	struct err e;

	if (c == NULL)
		return ERR(E_PEER_UNSUPPORTED);
	if (failed(e = encode_point(c, x, y, point)) || failed(e = curve_template(c, &template)))
		return e;
	pkey = EVP_PKEY_dup(template);
	if (pkey == NULL)
		return ossl_failed(E_LOCAL_CRYPTO);
	/*
	 * The decoder of an uncompressed point refuses coordinates that are not
	 * reduced or not on the curve, and this form cannot name infinity. The
	 * cofactor of these curves is 1, so every such point has order n.
	 */
	ERR_clear_error();
	if (EVP_PKEY_set1_encoded_public_key(pkey, point, 1 + 2 * c->size) != 1)
		return ossl_failed(E_PEER_RANGE);
	return key_assemble(curve, false, &pkey, BYTES(point + 1, c->size), BYTES(point + 1 + c->size, c->size), ret);
}

static unsigned rsa_bits(struct bytes n)
{
	unsigned bits = (unsigned)(n.n * 8);

	for (unsigned v = n.p[0]; (v & 0x80) == 0; v <<= 1)
		bits--;
	return bits;
}

struct err key_from_rsa(struct bytes n, uint32_t exponent, struct key **ret)
{
	cleanup_pkey EVP_PKEY *pkey = NULL;
	cleanup_bn BIGNUM *bn_n = NULL, *bn_e = NULL;
	cleanup_param_bld OSSL_PARAM_BLD *build = NULL;
	cleanup_params OSSL_PARAM *params = NULL;
	struct err e;

	if (exponent != 0 && exponent != RSA_EXPONENT)
		return ERR(E_PEER_RANGE);
	/* Sizes first: a large modulus costs time in everything that follows. */
	if (n.n == 0 || n.n > LIMIT_RSA_BITS / 8 || n.p[0] == 0 || (n.p[n.n - 1] & 1) == 0)
		return ERR(E_PEER_RANGE);
	if (rsa_bits(n) < RSA_BITS_MIN)
		return ERR(E_PEER_RANGE);
	bn_n = BN_bin2bn(n.p, (int)n.n, NULL);
	bn_e = BN_new();
	build = OSSL_PARAM_BLD_new();
	if (bn_n == NULL || bn_e == NULL || build == NULL || BN_set_word(bn_e, RSA_EXPONENT) != 1 ||
	    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, bn_n) != 1 ||
	    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, bn_e) != 1)
		return ossl_failed(E_LOCAL_CRYPTO);
	params = OSSL_PARAM_BLD_to_param(build);
	if (params == NULL)
		return ossl_failed(E_LOCAL_CRYPTO);
	if (failed(e = fromdata("RSA", EVP_PKEY_PUBLIC_KEY, params, &pkey)))
		return e;
	return key_assemble(KEY_RSA, false, &pkey, n, BYTES_NONE, ret);
}

/*
 * y coordinates (sign bit clear) of the points of order 1, 2, 4 and 8 on
 * edwards25519: under such a key anybody can make signatures that verify.
 */
static const uint8_t ed25519_small_order[5][ED25519_SIZE] = {
	{ 0x00 },
	{ 0x01 },
	{ 0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
	  0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05 },
	{ 0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
	  0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a },
	{ 0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	  0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f },
};

/* OpenSSL takes any 32 bytes as a key; RFC 8032, 5.1.3 wants y below 2^255 - 19. */
static bool ed25519_acceptable(struct bytes pub)
{
	uint8_t y[ED25519_SIZE];

	memcpy(y, pub.p, sizeof(y));
	y[31] &= 0x7f;
	if (y[31] == 0x7f && bytes_all(BYTES(y + 1, 30), 0xff) && y[0] >= 0xed)
		return false;
	for (size_t i = 0; i < array_len(ed25519_small_order); i++) {
		if (bytes_eq(BYTES_ARR(y), BYTES_ARR(ed25519_small_order[i])))
			return false;
	}
	return true;
}

struct err key_from_ed25519(struct bytes pub, struct key **ret)
{
	cleanup_pkey EVP_PKEY *pkey = NULL;

	if (pub.n != ED25519_SIZE || !ed25519_acceptable(pub))
		return ERR(E_PEER_RANGE);
	pkey = EVP_PKEY_new_raw_public_key_ex(NULL, "ED25519", NULL, pub.p, pub.n);
	if (pkey == NULL)
		return ossl_failed(E_LOCAL_CRYPTO);
	return key_assemble(KEY_ED25519, false, &pkey, pub, BYTES_NONE, ret);
}

enum key_kind key_kind(const struct key *k)
{
	return k->kind;
}

bool key_is_private(const struct key *k)
{
	return k->is_private;
}

bool key_equal(const struct key *a, const struct key *b)
{
	return a->kind == b->kind && bytes_eq(key_a(a), key_a(b)) && bytes_eq(key_b(a), key_b(b));
}

struct err key_numbers(const struct key *k, struct buf *ret_a, struct buf *ret_b)
{
	size_t old_n = ret_a->n;
	struct err e, e2;

	if (failed(e = buf_add(ret_a, key_a(k))))
		return e;
	if (failed(e = buf_add(ret_b, key_b(k)))) {
		e2 = buf_truncate(ret_a, old_n);
		return failed(e2) ? e2 : e;
	}
	return ERR(E_OK);
}

struct evp_pkey_st *key_evp(const struct key *k)
{
	return k->pkey;
}
