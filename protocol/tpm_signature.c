/* SPDX-License-Identifier: Apache-2.0 */
#include "protocol/tpmw.h"

#include <string.h>

#include "base/rd.h"

#define RSA_MAX (LIMIT_RSA_BITS / 8)
#define EC_MAX 66

struct err tpm_signature_parse(struct bytes in, struct tpm_signature *ret)
{
	struct tpm_signature s = { 0 };
	struct rd r = RD(in);
	struct err e;

	if (in.n > LIMIT_TPM2B)
		return ERR(E_LIMIT_SIZE);
	if (failed(e = rd_u16be(&r, &s.alg)) ||
	    failed(e = rd_u16be(&r, &s.hash_alg)))
		return e;
	switch (s.alg) {
	case TPM_ALG_RSASSA:
	case TPM_ALG_RSAPSS:
		e = rd_tpm2b(&r, RSA_MAX, &s.rsa);
		break;
	case TPM_ALG_ECDSA:
		e = rd_tpm2b(&r, EC_MAX, &s.r);
		if (!failed(e))
			e = rd_tpm2b(&r, EC_MAX, &s.s);
		break;
	default:
		return ERR(E_PEER_UNSUPPORTED);
	}
	if (failed(e) || failed(e = rd_end(&r)))
		return e;
	*ret = s;
	return ERR(E_OK);
}

static uint16_t alg_of(enum sig_scheme scheme)
{
	switch (scheme) {
	case SIG_ECDSA:
		return TPM_ALG_ECDSA;
	case SIG_RSASSA:
		return TPM_ALG_RSASSA;
	case SIG_RSAPSS:
		return TPM_ALG_RSAPSS;
	case SIG_NONE:
	case SIG_ED25519:
	default:
		return TPM_ALG_NULL;
	}
}

static size_t coordinate_size(const struct key *k)
{
	switch (key_kind(k)) {
	case KEY_EC_P256:
		return 32;
	case KEY_EC_P384:
		return 48;
	case KEY_EC_P521:
		return 66;
	case KEY_NONE:
	case KEY_RSA:
	case KEY_ED25519:
	default:
		return 0;
	}
}

/* Puts v at the right end of dst, zeros before it. Longer than the curve is refused, even where it begins with zeros. */
static struct err pad_left(struct bytes v, uint8_t *dst, size_t size)
{
	if (v.n == 0 || v.n > size)
		return ERR(E_PEER_RANGE);
	memset(dst, 0, size);
	memcpy(dst + (size - v.n), v.p, v.n);
	return ERR(E_OK);
}

static struct err verify_ecdsa(const struct tpm_signature *sig, const struct key *k, enum digest_id hash,
			       struct bytes data)
{
	uint8_t raw[2 * EC_MAX];
	size_t size = coordinate_size(k);
	struct err e;

	if (size == 0)
		return ERR(E_PEER_UNSUPPORTED);
	if (failed(e = pad_left(sig->r, raw, size)) ||
	    failed(e = pad_left(sig->s, raw + size, size)))
		return e;
	return key_verify(k, SIG_ECDSA, hash, data, BYTES(raw, 2 * size));
}

struct err tpm_signature_verify(const struct tpm_signature *sig, const struct key *k, enum sig_scheme scheme,
				enum digest_id hash, struct bytes data)
{
	uint16_t alg = alg_of(scheme);

	/* The enrolled key decides; what the signature says of itself may only agree. */
	if (alg == TPM_ALG_NULL || sig->alg != alg || sig->hash_alg != digest_alg(hash)->tpm_alg)
		return ERR(E_PEER_UNSUPPORTED);
	if (scheme == SIG_ECDSA)
		return verify_ecdsa(sig, k, hash, data);
	return key_verify(k, scheme, hash, data, sig->rsa);
}

struct err tpm_pcr_digest(enum digest_id hash, size_t n, const struct digest *values, struct digest *ret)
{
	struct bytes parts[LIMIT_BANKS * LIMIT_PCRS];

	if (n > array_len(parts))
		return ERR(E_LIMIT_COUNT);
	for (size_t i = 0; i < n; i++)
		parts[i] = digest_bytes(&values[i]);
	return digest_of(hash, ret, n, parts);
}
