/* SPDX-License-Identifier: Apache-2.0 */
#include "protocol/tpmw.h"

#include <string.h>

#include "base/rd.h"

#define RSA_MAX (LIMIT_RSA_BITS / 8)

/* TPMT_SYM_DEF_OBJECT, Part 2, 11.1.7. Storage keys use AES; nothing else is read. */
static struct err rd_symmetric(struct rd *r, struct tpm_public *p)
{
	struct err e;

	if (failed(e = rd_u16be(r, &p->sym_alg)))
		return e;
	if (p->sym_alg == TPM_ALG_NULL)
		return ERR(E_OK);
	if (p->sym_alg != TPM_ALG_AES)
		return ERR(E_PEER_UNSUPPORTED);
	if (failed(e = rd_u16be(r, &p->sym_bits)) ||
	    failed(e = rd_u16be(r, &p->sym_mode)))
		return e;
	return ERR(E_OK);
}

static bool scheme_known(uint16_t type, uint16_t scheme)
{
	if (type == TPM_ALG_ECC)
		return scheme == TPM_ALG_ECDSA;
	return scheme == TPM_ALG_RSASSA || scheme == TPM_ALG_RSAPSS || scheme == TPM_ALG_OAEP;
}

/* TPMT_RSA_SCHEME and TPMT_ECC_SCHEME, Part 2, 11.2.4.2 and 11.2.5.6. */
static struct err rd_scheme(struct rd *r, struct tpm_public *p)
{
	struct err e;

	if (failed(e = rd_u16be(r, &p->scheme)))
		return e;
	if (p->scheme == TPM_ALG_NULL)
		return ERR(E_OK);
	if (!scheme_known(p->type, p->scheme))
		return ERR(E_PEER_UNSUPPORTED);
	if (failed(e = rd_u16be(r, &p->scheme_hash)))
		return e;
	if (digest_by_tpm_alg(p->scheme_hash) == NULL)
		return ERR(E_PEER_UNSUPPORTED);
	return ERR(E_OK);
}

/* TPMS_RSA_PARMS and TPM2B_PUBLIC_KEY_RSA, Part 2, 12.2.3.5 and 11.2.4.5. */
static struct err rd_rsa(struct rd *r, struct tpm_public *p)
{
	struct err e;

	if (failed(e = rd_u16be(r, &p->rsa_bits)) ||
	    failed(e = rd_u32be(r, &p->rsa_exponent)) ||
	    failed(e = rd_tpm2b(r, RSA_MAX, &p->rsa_n)))
		return e;
	/* A TPM always writes the full modulus: its top bit is set. */
	if (p->rsa_n.n == 0 || p->rsa_bits % 8 != 0 || p->rsa_n.n != p->rsa_bits / 8 || p->rsa_n.p[0] < 0x80)
		return ERR(E_PEER_RANGE);
	return ERR(E_OK);
}

static size_t curve_size(uint16_t curve)
{
	switch (curve) {
	case TPM_ECC_P256:
		return 32;
	case TPM_ECC_P384:
		return 48;
	case TPM_ECC_P521:
		return 66;
	default:
		return 0;
	}
}

/* TPMS_ECC_PARMS and TPMS_ECC_POINT, Part 2, 12.2.3.6 and 11.2.5.2. */
static struct err rd_ecc(struct rd *r, struct tpm_public *p)
{
	size_t size;
	struct err e;

	if (failed(e = rd_u16be(r, &p->ecc_curve)) ||
	    failed(e = rd_u16be(r, &p->kdf)))
		return e;
	size = curve_size(p->ecc_curve);
	if (size == 0 || p->kdf != TPM_ALG_NULL)
		return ERR(E_PEER_UNSUPPORTED);
	if (failed(e = rd_tpm2b(r, LIMIT_TPM2B, &p->ecc_x)) ||
	    failed(e = rd_tpm2b(r, LIMIT_TPM2B, &p->ecc_y)))
		return e;
	if (p->ecc_x.n == 0 || p->ecc_x.n > size || p->ecc_y.n == 0 || p->ecc_y.n > size)
		return ERR(E_PEER_RANGE);
	return ERR(E_OK);
}

static struct err rd_head(struct rd *r, struct tpm_public *p)
{
	const struct digest_alg *alg;
	struct err e;

	if (failed(e = rd_u16be(r, &p->type)) ||
	    failed(e = rd_u16be(r, &p->name_alg)) ||
	    failed(e = rd_u32be(r, &p->attributes)) ||
	    failed(e = rd_tpm2b(r, LIMIT_TPM2B, &p->auth_policy)))
		return e;
	alg = digest_by_tpm_alg(p->name_alg);
	if (alg == NULL || (p->type != TPM_ALG_RSA && p->type != TPM_ALG_ECC))
		return ERR(E_PEER_UNSUPPORTED);
	/* Part 2, 12.2.4: the policy is empty or a digest of the name algorithm. */
	if (p->auth_policy.n != 0 && p->auth_policy.n != alg->size)
		return ERR(E_PEER_RANGE);
	return ERR(E_OK);
}

struct err tpm_public_parse(struct bytes in, struct tpm_public *ret)
{
	struct tpm_public p = { .raw = in };
	struct rd r = RD(in);
	struct err e;

	if (in.n > LIMIT_TPM2B)
		return ERR(E_LIMIT_SIZE);
	if (failed(e = rd_head(&r, &p)) ||
	    failed(e = rd_symmetric(&r, &p)) ||
	    failed(e = rd_scheme(&r, &p)) ||
	    failed(e = p.type == TPM_ALG_RSA ? rd_rsa(&r, &p) : rd_ecc(&r, &p)) ||
	    failed(e = rd_end(&r)))
		return e;
	*ret = p;
	return ERR(E_OK);
}

struct err tpm2b_public_parse(struct bytes in, struct tpm_public *ret)
{
	struct bytes area = BYTES_NONE;
	struct rd r = RD(in);
	struct err e;

	if (failed(e = rd_tpm2b(&r, LIMIT_TPM2B, &area)) ||
	    failed(e = rd_end(&r)))
		return e;
	return tpm_public_parse(area, ret);
}

struct err tpm_public_key(const struct tpm_public *p, struct key **ret)
{
	if (p->type == TPM_ALG_RSA)
		return key_from_rsa(p->rsa_n, p->rsa_exponent, ret);
	switch (p->ecc_curve) {
	case TPM_ECC_P256:
		return key_from_ec(KEY_EC_P256, p->ecc_x, p->ecc_y, ret);
	case TPM_ECC_P384:
		return key_from_ec(KEY_EC_P384, p->ecc_x, p->ecc_y, ret);
	case TPM_ECC_P521:
		return key_from_ec(KEY_EC_P521, p->ecc_x, p->ecc_y, ret);
	default:
		return ERR(E_PEER_UNSUPPORTED);
	}
}

static struct err scheme_of(uint16_t scheme, enum sig_scheme *ret)
{
	switch (scheme) {
	case TPM_ALG_ECDSA:
		*ret = SIG_ECDSA;
		return ERR(E_OK);
	case TPM_ALG_RSASSA:
		*ret = SIG_RSASSA;
		return ERR(E_OK);
	case TPM_ALG_RSAPSS:
		*ret = SIG_RSAPSS;
		return ERR(E_OK);
	default:
		return ERR(E_PEER_UNSUPPORTED);
	}
}

struct err tpm_public_scheme(const struct tpm_public *p, enum sig_scheme *ret, enum digest_id *ret_hash)
{
	const struct digest_alg *hash;
	enum sig_scheme scheme = SIG_NONE;
	struct err e;

	if (p->scheme == TPM_ALG_NULL) {
		*ret = SIG_NONE;
		return ERR(E_OK);
	}
	hash = digest_by_tpm_alg(p->scheme_hash);
	if (hash == NULL || hash->id == DIGEST_SHA1)
		return ERR(E_PEER_UNSUPPORTED);
	if (failed(e = scheme_of(p->scheme, &scheme)))
		return e;
	*ret = scheme;
	*ret_hash = hash->id;
	return ERR(E_OK);
}

/* Algorithm id and digest of the concatenation of two parts. */
static struct err name_of(const struct digest_alg *alg, struct bytes first, struct bytes second, struct tpm_name *ret)
{
	const struct bytes parts[] = { first, second };
	struct tpm_name name = { 0 };
	struct digest d = { 0 };
	struct err e;

	if (failed(e = digest_of(alg->id, &d, array_len(parts), parts)))
		return e;
	name.n = (uint8_t)(2 + d.n);
	name.v[0] = (uint8_t)(alg->tpm_alg >> 8);
	name.v[1] = (uint8_t)(alg->tpm_alg & 0xff);
	memcpy(name.v + 2, d.v, d.n);
	*ret = name;
	return ERR(E_OK);
}

struct err tpm_public_name(const struct tpm_public *p, struct tpm_name *ret)
{
	const struct digest_alg *alg = digest_by_tpm_alg(p->name_alg);

	if (alg == NULL)
		return ERR(E_PEER_UNSUPPORTED);
	return name_of(alg, p->raw, BYTES_NONE, ret);
}

/* The algorithm of a Name, whose length must be the one of that algorithm. */
static struct err name_alg(struct bytes name, const struct digest_alg **ret)
{
	const struct digest_alg *alg;
	struct rd r = RD(name);
	uint16_t id = 0;

	if (failed(rd_u16be(&r, &id)))
		return ERR(E_PEER_RANGE);
	alg = digest_by_tpm_alg(id);
	if (alg == NULL || rd_left(&r) != alg->size)
		return ERR(E_PEER_RANGE);
	*ret = alg;
	return ERR(E_OK);
}

struct err tpm_name_parse(struct bytes in, struct tpm_name *ret)
{
	const struct digest_alg *alg = NULL;
	struct tpm_name name = { 0 };
	struct err e;

	if (failed(e = name_alg(in, &alg)))
		return e;
	name.n = (uint8_t)in.n;
	memcpy(name.v, in.p, in.n);
	*ret = name;
	return ERR(E_OK);
}

static struct err qualified(struct bytes parent, const struct tpm_name *name, struct tpm_name *ret)
{
	const struct digest_alg *alg = NULL;
	struct err e;

	if (failed(e = name_alg(tpm_name_bytes(name), &alg)))
		return e;
	return name_of(alg, parent, tpm_name_bytes(name), ret);
}

struct err tpm_qualified_name_primary(uint32_t hierarchy, const struct tpm_name *name, struct tpm_name *ret)
{
	const uint8_t handle[] = {
		(uint8_t)(hierarchy >> 24),
		(uint8_t)(hierarchy >> 16 & 0xff),
		(uint8_t)(hierarchy >> 8 & 0xff),
		(uint8_t)(hierarchy & 0xff),
	};

	return qualified(BYTES_ARR(handle), name, ret);
}

struct err tpm_qualified_name_child(const struct tpm_name *parent_qn, const struct tpm_name *name,
				    struct tpm_name *ret)
{
	return qualified(tpm_name_bytes(parent_qn), name, ret);
}
