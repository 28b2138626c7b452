/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TPM 2.0 structures as bytes on the wire, read by bounded parsers of our own
 * that consume every byte. No TSS: a verifier needs no TPM.
 * Views borrow from the input. Everything is big endian.
 *
 * Source: TCG TPM 2.0 Library, Part 2 (Structures), rev 1.59; section numbers
 * at each function.
 */
#ifndef ASSAY_PROTOCOL_TPMW_H
#define ASSAY_PROTOCOL_TPMW_H

#include "base/key.h"
#include "base/limits.h"

#define TPM_GENERATED 0xff544347u
enum { TPM_ST_ATTEST_NV = 0x8014, TPM_ST_ATTEST_CERTIFY = 0x8017, TPM_ST_ATTEST_QUOTE = 0x8018 };
enum {
	TPM_ALG_RSA = 0x0001, TPM_ALG_KEYEDHASH = 0x0008, TPM_ALG_SHA1 = 0x0004, TPM_ALG_AES = 0x0006,
	TPM_ALG_SHA256 = 0x000b, TPM_ALG_SHA384 = 0x000c, TPM_ALG_SHA512 = 0x000d, TPM_ALG_NULL = 0x0010,
	TPM_ALG_SM3_256 = 0x0012, TPM_ALG_RSASSA = 0x0014, TPM_ALG_RSAPSS = 0x0016, TPM_ALG_OAEP = 0x0017,
	TPM_ALG_ECDSA = 0x0018, TPM_ALG_ECC = 0x0023, TPM_ALG_CFB = 0x0043,
};
enum { TPM_ECC_P256 = 3, TPM_ECC_P384 = 4, TPM_ECC_P521 = 5 };
#define TPM_RH_OWNER 0x40000001u
#define TPM_RH_NULL 0x40000007u
#define TPM_RH_ENDORSEMENT 0x4000000bu

/* TPMA_OBJECT, Part 2, 8.3. */
enum {
	TPMA_FIXED_TPM = 1u << 1, TPMA_ST_CLEAR = 1u << 2, TPMA_FIXED_PARENT = 1u << 4,
	TPMA_SENSITIVE_DATA_ORIGIN = 1u << 5, TPMA_USER_WITH_AUTH = 1u << 6, TPMA_ADMIN_WITH_POLICY = 1u << 7,
	TPMA_NO_DA = 1u << 10, TPMA_ENCRYPTED_DUPLICATION = 1u << 11, TPMA_RESTRICTED = 1u << 16,
	TPMA_DECRYPT = 1u << 17, TPMA_SIGN = 1u << 18, TPMA_X509_SIGN = 1u << 19,
};

/* TPMT_PUBLIC, Part 2, 12.2.4, of an RSA or ECC key. */
struct tpm_public {
	uint16_t type;             /* TPM_ALG_RSA or TPM_ALG_ECC */
	uint16_t name_alg;
	uint32_t attributes;
	struct bytes auth_policy;
	uint16_t sym_alg, sym_bits, sym_mode;   /* sym_alg TPM_ALG_NULL: the others are 0 */
	uint16_t scheme, scheme_hash;           /* scheme TPM_ALG_NULL: hash is 0 */
	uint16_t rsa_bits;
	uint32_t rsa_exponent;                  /* as sent; 0 means 65537 */
	struct bytes rsa_n;
	uint16_t ecc_curve;
	uint16_t kdf;                           /* must be TPM_ALG_NULL */
	struct bytes ecc_x, ecc_y;
	struct bytes raw;                       /* the whole area */
};

/*
 * Whole input. E_PEER_TRUNCATED, E_PEER_TRAILING, E_PEER_UNSUPPORTED (type,
 * name_alg, symmetric, scheme, curve, kdf), E_PEER_RANGE, E_LIMIT_SIZE.
 */
must_check struct err tpm_public_parse(struct bytes in, struct tpm_public *ret);
/* TPM2B_PUBLIC: size, then the area. */
must_check struct err tpm2b_public_parse(struct bytes in, struct tpm_public *ret);
/* The key inside, on its curve, of accepted size. */
must_check struct err tpm_public_key(const struct tpm_public *p, struct key **ret);
/*
 * What the key's own scheme says: restricted keys have one. SIG_NONE with
 * TPM_ALG_NULL, *ret_hash is then untouched. E_PEER_UNSUPPORTED for schemes
 * that do not sign and for SHA-1.
 */
must_check struct err tpm_public_scheme(const struct tpm_public *p, enum sig_scheme *ret, enum digest_id *ret_hash);

/* Name: name algorithm id and digest (Part 1, 16). */
struct tpm_name {
	uint8_t n; /* 0 or 2 + digest size */
	uint8_t v[2 + DIGEST_MAX];
};
static inline struct bytes tpm_name_bytes(const struct tpm_name *n)
{
	return (struct bytes){ n->v, n->n };
}
must_check struct err tpm_public_name(const struct tpm_public *p, struct tpm_name *ret);
/* Name whose bytes are given: known algorithm, right length. E_PEER_RANGE. */
must_check struct err tpm_name_parse(struct bytes in, struct tpm_name *ret);
/* Qualified name of a child: name_alg of `name`, H(parent_qn || name). A primary's parent is its 4-byte hierarchy handle. */
must_check struct err tpm_qualified_name_primary(uint32_t hierarchy, const struct tpm_name *name, struct tpm_name *ret);
must_check struct err tpm_qualified_name_child(const struct tpm_name *parent_qn, const struct tpm_name *name,
					       struct tpm_name *ret);

/* PCR selection: banks in order, each a bit mask of PCR 0..23 (Part 2, 10.9.7). */
struct pcr_selection {
	size_t n;
	struct {
		uint16_t hash_alg; /* TPM id; may be one we do not know */
		uint32_t mask;
	} bank[LIMIT_BANKS];
};
/* TPML_PCR_SELECTION, whole input. sizeofSelect 1..4; E_PEER_RANGE for bits above 23, E_PEER_DUPLICATE, E_LIMIT_COUNT. */
must_check struct err pcr_selection_parse(struct bytes in, struct pcr_selection *ret);
/* With sizeofSelect 3. Appended. */
must_check struct err pcr_selection_write(const struct pcr_selection *s, struct buf *ret);
bool pcr_selection_equal(const struct pcr_selection *a, const struct pcr_selection *b);
size_t pcr_selection_count(const struct pcr_selection *s);

struct tpm_clock {
	uint64_t clock_ms;
	uint32_t reset_count, restart_count;
	uint8_t safe; /* 0 or 1, E_PEER_RANGE otherwise */
};

/* TPMS_ATTEST, Part 2, 10.12.8. */
struct tpm_attest {
	uint32_t magic;
	uint16_t type;
	struct bytes qualified_signer;
	struct bytes extra_data;
	struct tpm_clock clock;
	uint64_t firmware_version;
	/* quote */
	struct pcr_selection selection;
	struct bytes pcr_digest;
	/* certify */
	struct bytes name, qualified_name;
	struct bytes raw;
};
/*
 * Structure only: magic and type are the caller's to judge, so that each has a
 * named check. A type other than quote and certify parses with its body
 * unread. E_PEER_TRUNCATED, E_PEER_TRAILING, E_PEER_RANGE (safe, PCR number),
 * E_PEER_DUPLICATE (bank), E_LIMIT_SIZE, E_LIMIT_COUNT.
 */
must_check struct err tpm_attest_parse(struct bytes in, struct tpm_attest *ret);

/*
 * Writes the whole structure that is expected. Only the named free fields
 * (qualified signer, clock, firmware version) are copied over from `got`;
 * everything else comes from us. The caller compares all bytes with got->raw,
 * so a forgotten field cannot pass. Appended.
 */
must_check struct err tpm_quote_expected(const struct tpm_attest *got, struct bytes extra_data,
					 const struct pcr_selection *selection, struct bytes pcr_digest, struct buf *ret);
must_check struct err tpm_certify_expected(const struct tpm_attest *got, struct bytes extra_data,
					   const struct tpm_name *name, const struct tpm_name *qualified_name,
					   struct buf *ret);

/* TPMT_SIGNATURE, Part 2, 11.3.4: RSASSA, RSAPSS or ECDSA; E_PEER_UNSUPPORTED for others. */
struct tpm_signature {
	uint16_t alg, hash_alg;
	struct bytes rsa;
	struct bytes r, s;
};
must_check struct err tpm_signature_parse(struct bytes in, struct tpm_signature *ret);
/*
 * Verifies sig over data with the key, whose own scheme and hash decide
 * (Q7): a signature that names another scheme or hash is E_PEER_UNSUPPORTED.
 * r and s may be shorter than the curve and are padded; longer, zero or not
 * below n is E_PEER_RANGE. E_AUTH_SIGNATURE where it does not verify.
 */
must_check struct err tpm_signature_verify(const struct tpm_signature *sig, const struct key *k, enum sig_scheme scheme,
					   enum digest_id hash, struct bytes data);

/*
 * Digest over PCR values in selection order with the signing scheme's hash
 * (Q11). n must be pcr_selection_count(); E_LIMIT_COUNT above
 * LIMIT_BANKS * LIMIT_PCRS.
 */
must_check struct err tpm_pcr_digest(enum digest_id hash, size_t n, const struct digest *values, struct digest *ret);

/*
 * TPM2_MakeCredential in software (Part 1, 24; Part 3, 12.6): encrypts secret
 * so that only the TPM with this EK can open it, and only for an object with
 * this Name. Outputs are TPM2B_ID_OBJECT and TPM2B_ENCRYPTED_SECRET with
 * their sizes, appended. secret: 1..32 bytes.
 * RSA: OAEP, label "IDENTITY" NUL; ECC: one-pass ECDH with KDFe.
 * E_PEER_UNSUPPORTED for an EK that is no restricted AES-CFB storage key.
 */
must_check struct err tpm_make_credential(const struct tpm_public *ek, const struct tpm_name *name, struct bytes secret,
					  struct buf *ret_blob, struct buf *ret_encrypted_secret);

/* KDFa (Part 1, 11.4.10.2) and KDFe (11.4.10.3); bits a multiple of 8. Exposed for tests and the software TPM of the bench. */
must_check struct err tpm_kdfa(enum digest_id hash, struct bytes key, const char *label, struct bytes context_u,
			       struct bytes context_v, uint8_t *ret, size_t n);
must_check struct err tpm_kdfe(enum digest_id hash, struct bytes z, const char *label, struct bytes party_u,
			       struct bytes party_v, uint8_t *ret, size_t n);

/*
 * The templates whose attributes Assay demands. Each tells by name what is
 * wrong: E_PEER_RANGE with the reason.
 *  EK (N4): TCG EK templates L-1 (RSA-2048), L-2 (P-256), H-1, H-6, H-7 (RSA-2048, 3072, 4096), H-2, H-3 (P-256, P-384):
 *           exactly the template's attributes, policy digest and AES-CFB.
 *  AK (K2, K3): restricted, sign, fixedTPM, fixedParent, sensitiveDataOrigin; no decrypt; P-256/P-384 ECDSA or
 *           RSA >= 2048 RSASSA/RSAPSS, SHA-256 or better, name algorithm SHA-256 or better.
 *  Workload key (C3, C4): P-256, ECDSA with SHA-256, name algorithm SHA-256, exactly sign, fixedTPM, fixedParent,
 *           sensitiveDataOrigin, userWithAuth and, if wanted, noDA; empty policy.
 *  Null primary: restricted, decrypt, fixedTPM, fixedParent, sensitiveDataOrigin storage key with AES-CFB; no sign.
 * Source: TCG EK Credential Profile 2.5, annex B.
 */
must_check struct err tpm_check_ek(const struct tpm_public *p, struct reason *reterr);
must_check struct err tpm_check_ak(const struct tpm_public *p, struct reason *reterr);
must_check struct err tpm_check_workload_key(const struct tpm_public *p, struct reason *reterr);
must_check struct err tpm_check_null_primary(const struct tpm_public *p, struct reason *reterr);

#endif
