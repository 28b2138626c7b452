/* SPDX-License-Identifier: Apache-2.0 */
#include "protocol/tpmw.h"

/*
 * Policies of the TCG EK templates (EK Credential Profile 2.5, annex B.6):
 * PolicyA is PolicySecret(endorsement); PolicyB is PolicyOR of PolicyA and
 * PolicyAuthorizeNV, per name hash.
 */
static const uint8_t policy_a_sha256[] = {
	0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc, 0x8d, 0x46, 0xa5, 0xd7, 0x24,
	0xfd, 0x52, 0xd7, 0x6e, 0x06, 0x52, 0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa,
};
static const uint8_t policy_b_sha256[] = {
	0xca, 0x3d, 0x0a, 0x99, 0xa2, 0xb9, 0x39, 0x06, 0xf7, 0xa3, 0x34, 0x24, 0x14, 0xef, 0xcf, 0xb3,
	0xa3, 0x85, 0xd4, 0x4c, 0xd1, 0xfd, 0x45, 0x90, 0x89, 0xd1, 0x9b, 0x50, 0x71, 0xc0, 0xb7, 0xa0,
};
static const uint8_t policy_b_sha384[] = {
	0xb2, 0x6e, 0x7d, 0x28, 0xd1, 0x1a, 0x50, 0xbc, 0x53, 0xd8, 0x82, 0xbc, 0xf5, 0xfd, 0x3a, 0x1a,
	0x07, 0x41, 0x48, 0xbb, 0x35, 0xd3, 0xb4, 0xe4, 0xcb, 0x1c, 0x0a, 0xd9, 0xbd, 0xe4, 0x19, 0xca,
	0xcb, 0x47, 0xba, 0x09, 0x69, 0x96, 0x46, 0x15, 0x0f, 0x9f, 0xc0, 0x00, 0xf3, 0xf8, 0x0e, 0x12,
};

#define EK_REQUIRED                                                                                 \
	(TPMA_FIXED_TPM | TPMA_FIXED_PARENT | TPMA_SENSITIVE_DATA_ORIGIN | TPMA_ADMIN_WITH_POLICY | \
	 TPMA_RESTRICTED | TPMA_DECRYPT)
#define AK_REQUIRED \
	(TPMA_FIXED_TPM | TPMA_FIXED_PARENT | TPMA_SENSITIVE_DATA_ORIGIN | TPMA_RESTRICTED | TPMA_SIGN)
#define WORKLOAD_REQUIRED \
	(TPMA_FIXED_TPM | TPMA_FIXED_PARENT | TPMA_SENSITIVE_DATA_ORIGIN | TPMA_USER_WITH_AUTH | TPMA_SIGN)
#define STORAGE_REQUIRED \
	(TPMA_FIXED_TPM | TPMA_FIXED_PARENT | TPMA_SENSITIVE_DATA_ORIGIN | TPMA_RESTRICTED | TPMA_DECRYPT)

/* High-range templates let the auth value (empty) stand for the policy; low-range ones do not. */
#define EK_LOW EK_REQUIRED
#define EK_HIGH (EK_REQUIRED | TPMA_USER_WITH_AUTH)

static const struct ek_template {
	const char *name;
	uint16_t type, name_alg, rsa_bits, ecc_curve, sym_bits;
	uint32_t attributes;
	struct bytes policy;
} ek_templates[] = {
	{ "L-1", TPM_ALG_RSA, TPM_ALG_SHA256, 2048, 0, 128, EK_LOW, BYTES_ARR(policy_a_sha256) },
	{ "L-2", TPM_ALG_ECC, TPM_ALG_SHA256, 0, TPM_ECC_P256, 128, EK_LOW, BYTES_ARR(policy_a_sha256) },
	{ "H-1", TPM_ALG_RSA, TPM_ALG_SHA256, 2048, 0, 128, EK_HIGH, BYTES_ARR(policy_b_sha256) },
	{ "H-2", TPM_ALG_ECC, TPM_ALG_SHA256, 0, TPM_ECC_P256, 128, EK_HIGH, BYTES_ARR(policy_b_sha256) },
	{ "H-3", TPM_ALG_ECC, TPM_ALG_SHA384, 0, TPM_ECC_P384, 256, EK_HIGH, BYTES_ARR(policy_b_sha384) },
	{ "H-6", TPM_ALG_RSA, TPM_ALG_SHA384, 3072, 0, 256, EK_HIGH, BYTES_ARR(policy_b_sha384) },
	{ "H-7", TPM_ALG_RSA, TPM_ALG_SHA384, 4096, 0, 256, EK_HIGH, BYTES_ARR(policy_b_sha384) },
};

static const struct {
	uint32_t bit;
	const char *name;
} attribute_names[] = {
	{ TPMA_FIXED_TPM, "fixedTPM" },
	{ TPMA_ST_CLEAR, "stClear" },
	{ TPMA_FIXED_PARENT, "fixedParent" },
	{ TPMA_SENSITIVE_DATA_ORIGIN, "sensitiveDataOrigin" },
	{ TPMA_USER_WITH_AUTH, "userWithAuth" },
	{ TPMA_ADMIN_WITH_POLICY, "adminWithPolicy" },
	{ TPMA_NO_DA, "noDA" },
	{ TPMA_ENCRYPTED_DUPLICATION, "encryptedDuplication" },
	{ TPMA_RESTRICTED, "restricted" },
	{ TPMA_DECRYPT, "decrypt" },
	{ TPMA_SIGN, "sign" },
	{ TPMA_X509_SIGN, "x509sign" },
};

/* The lowest bit's name; "a reserved bit" for one that has none. */
static const char *attribute_name(uint32_t bits)
{
	for (size_t i = 0; i < array_len(attribute_names); i++)
		if ((bits & attribute_names[i].bit) != 0)
			return attribute_names[i].name;
	return "a reserved bit";
}

static struct err check_attributes(const struct tpm_public *p, const char *what, uint32_t required,
				   uint32_t forbidden, struct reason *reterr)
{
	uint32_t missing = required & ~p->attributes;
	uint32_t extra = forbidden & p->attributes;

	if (missing != 0) {
		reason_set(reterr, "%s: attribute %s must be set", what, attribute_name(missing));
		return ERR(E_PEER_RANGE);
	}
	if (extra != 0) {
		reason_set(reterr, "%s: attribute %s must be clear", what, attribute_name(extra));
		return ERR(E_PEER_RANGE);
	}
	return ERR(E_OK);
}

static struct err refuse(struct reason *reterr, const char *what, const char *why)
{
	reason_set(reterr, "%s: %s", what, why);
	return ERR(E_PEER_RANGE);
}

static bool strong_hash(uint16_t alg)
{
	return alg == TPM_ALG_SHA256 || alg == TPM_ALG_SHA384 || alg == TPM_ALG_SHA512;
}

/* Kinds of EK differ in the key; attributes and policy of a kind are then compared by name. */
static bool same_key_kind(const struct ek_template *t, const struct tpm_public *p)
{
	return p->type == t->type && p->name_alg == t->name_alg && p->rsa_bits == t->rsa_bits &&
	       p->ecc_curve == t->ecc_curve;
}

/* Low and high range of one kind of key differ in policy and userWithAuth together. */
static const struct ek_template *ek_template_of(const struct tpm_public *p)
{
	const struct ek_template *found = NULL;

	for (size_t i = 0; i < array_len(ek_templates); i++) {
		const struct ek_template *t = &ek_templates[i];

		if (!same_key_kind(t, p))
			continue;
		if (found == NULL || bytes_eq(t->policy, p->auth_policy))
			found = t;
	}
	return found;
}

struct err tpm_check_ek(const struct tpm_public *p, struct reason *reterr)
{
	const struct ek_template *t = ek_template_of(p);
	struct err e;

	if (t == NULL)
		return refuse(reterr, "EK", "key type, size and name algorithm fit no TCG template "
					    "(RSA-2048, 3072, 4096, P-256, P-384)");
	if (failed(e = check_attributes(p, "EK", EK_REQUIRED, ~(uint32_t)EK_HIGH, reterr)))
		return e;
	if (!bytes_eq(p->auth_policy, t->policy))
		return refuse(reterr, "EK", "policy digest is not the one of the TCG template");
	if (p->attributes != t->attributes) {
		reason_set(reterr, "EK: attribute userWithAuth does not fit policy of template %s", t->name);
		return ERR(E_PEER_RANGE);
	}
	if (p->sym_alg != TPM_ALG_AES || p->sym_bits != t->sym_bits || p->sym_mode != TPM_ALG_CFB) {
		reason_set(reterr, "EK: symmetric algorithm is not AES-%u-CFB", t->sym_bits);
		return ERR(E_PEER_RANGE);
	}
	if (p->scheme != TPM_ALG_NULL)
		return refuse(reterr, "EK", "a storage key has no scheme");
	if (p->type == TPM_ALG_RSA && p->rsa_exponent != 0 && p->rsa_exponent != 65537)
		return refuse(reterr, "EK", "RSA exponent is not 65537");
	return ERR(E_OK);
}

static struct err check_ak_key(const struct tpm_public *p, struct reason *reterr)
{
	if (p->type == TPM_ALG_RSA) {
		if (p->rsa_bits < 2048 || p->rsa_bits > LIMIT_RSA_BITS)
			return refuse(reterr, "AK", "RSA modulus must have 2048 to 4096 bits");
		if (p->rsa_exponent != 0 && p->rsa_exponent != 65537)
			return refuse(reterr, "AK", "RSA exponent is not 65537");
		if (p->scheme != TPM_ALG_RSASSA && p->scheme != TPM_ALG_RSAPSS)
			return refuse(reterr, "AK", "scheme must be RSASSA or RSAPSS");
		return ERR(E_OK);
	}
	if (p->ecc_curve != TPM_ECC_P256 && p->ecc_curve != TPM_ECC_P384)
		return refuse(reterr, "AK", "curve must be P-256 or P-384");
	if (p->scheme != TPM_ALG_ECDSA)
		return refuse(reterr, "AK", "scheme must be ECDSA");
	return ERR(E_OK);
}

struct err tpm_check_ak(const struct tpm_public *p, struct reason *reterr)
{
	struct err e;

	if (failed(e = check_attributes(p, "AK", AK_REQUIRED, TPMA_DECRYPT, reterr)) ||
	    failed(e = check_ak_key(p, reterr)))
		return e;
	if (!strong_hash(p->name_alg))
		return refuse(reterr, "AK", "name algorithm must be SHA-256, SHA-384 or SHA-512");
	if (!strong_hash(p->scheme_hash))
		return refuse(reterr, "AK", "hash of the scheme must be SHA-256, SHA-384 or SHA-512");
	if (p->sym_alg != TPM_ALG_NULL)
		return refuse(reterr, "AK", "a signing key has no symmetric algorithm");
	return ERR(E_OK);
}

struct err tpm_check_workload_key(const struct tpm_public *p, struct reason *reterr)
{
	const char *what = "workload key";
	struct err e;

	if (failed(e = check_attributes(p, what, WORKLOAD_REQUIRED, ~(uint32_t)(WORKLOAD_REQUIRED | TPMA_NO_DA),
					reterr)))
		return e;
	if (p->type != TPM_ALG_ECC || p->ecc_curve != TPM_ECC_P256)
		return refuse(reterr, what, "curve must be P-256");
	if (p->scheme != TPM_ALG_ECDSA || p->scheme_hash != TPM_ALG_SHA256)
		return refuse(reterr, what, "scheme must be ECDSA with SHA-256");
	if (p->name_alg != TPM_ALG_SHA256)
		return refuse(reterr, what, "name algorithm must be SHA-256");
	if (p->sym_alg != TPM_ALG_NULL)
		return refuse(reterr, what, "a signing key has no symmetric algorithm");
	/* A policy would be a second way to use the key, beside the auth value that its holder keeps. */
	if (p->auth_policy.n != 0)
		return refuse(reterr, what, "policy must be empty");
	return ERR(E_OK);
}

struct err tpm_check_null_primary(const struct tpm_public *p, struct reason *reterr)
{
	const char *what = "null primary";
	struct err e;

	if (failed(e = check_attributes(p, what, STORAGE_REQUIRED, TPMA_SIGN, reterr)))
		return e;
	if (!strong_hash(p->name_alg))
		return refuse(reterr, what, "name algorithm must be SHA-256, SHA-384 or SHA-512");
	if (p->sym_alg != TPM_ALG_AES || p->sym_bits < 128 || p->sym_mode != TPM_ALG_CFB)
		return refuse(reterr, what, "symmetric algorithm must be AES-CFB");
	if (p->scheme != TPM_ALG_NULL)
		return refuse(reterr, what, "a storage key has no scheme");
	return ERR(E_OK);
}
