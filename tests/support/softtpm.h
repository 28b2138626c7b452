/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A TPM in software, for unit tests and the load generator: keys with public
 * areas, an EK certificate from a CA of its own, activation of credentials,
 * PCR banks, clock and counters, quotes and certifications. OpenSSL and base
 * only, no commands and no sessions; what it puts on the wire is what a TPM
 * puts there, so that the code under test needs no special path.
 *
 * It is permissive where a TPM is not: any key signs any bytes, every field of
 * an attestation can be changed before it is signed, every member of struct
 * softtpm can be set. That is what negative tests are made of.
 *
 * Not safe for use by several threads at a time; one softtpm per thread is.
 */
#ifndef ASSAY_TESTS_SUPPORT_SOFTTPM_H
#define ASSAY_TESTS_SUPPORT_SOFTTPM_H

#include "base/x509.h"
#include "protocol/tpmw.h"

/* ---- Certification authority: root -> issuer -> EK certificates. */

struct softtpm_ca {
	struct key *root_key, *issuer_key; /* P-256 */
	struct cert *root, *issuer;
};
must_check struct err softtpm_ca_new(struct softtpm_ca **ret);
void softtpm_ca_free(struct softtpm_ca *ca);
DEFINE_CLEANUP(struct softtpm_ca, cleanup_softtpm_ca_, softtpm_ca_free)
#define cleanup_softtpm_ca cleanup(cleanup_softtpm_ca_)

/* ---- Keys. */

enum softtpm_template {
	SOFTTPM_EK_RSA2048,    /* TCG L-1 */
	SOFTTPM_EK_P256,       /* TCG L-2 */
	SOFTTPM_EK_P384,       /* TCG H-3 */
	SOFTTPM_AK_P256,       /* ECDSA, SHA-256; endorsement hierarchy, as the other AKs */
	SOFTTPM_AK_P384,       /* ECDSA, SHA-384 */
	SOFTTPM_AK_RSASSA,     /* RSA-2048, SHA-256 */
	SOFTTPM_AK_RSAPSS,     /* RSA-2048, SHA-256 */
	SOFTTPM_NULL_PRIMARY,  /* P-256 storage key of the null hierarchy */
	SOFTTPM_WORKLOAD,      /* P-256, ECDSA, SHA-256; the caller sets the parent */
	N_SOFTTPM_TEMPLATES,
};

struct softtpm_key {
	struct key *key;                /* private */
	struct buf area;                /* TPMT_PUBLIC */
	struct tpm_public pub;          /* the same, parsed; views into area */
	struct tpm_name name, qualified_name;
	uint32_t hierarchy;             /* at the root of its parents */
};

/* What a new key shall be. Views and parent are borrowed for the call. */
struct softtpm_spec {
	enum key_kind kind;             /* KEY_EC_P256, KEY_EC_P384, KEY_RSA (2048 bits) */
	uint16_t name_alg;              /* TPM id */
	uint32_t attributes;
	struct bytes policy;
	uint16_t sym_bits;              /* AES-CFB; 0: none */
	uint16_t scheme, scheme_hash;   /* TPM ids; TPM_ALG_NULL and 0: none */
	uint32_t rsa_exponent;          /* as written into the area */
	uint32_t hierarchy;             /* of a primary key */
	const struct softtpm_key *parent; /* NULL: a primary key */
};

/* The spec of a template, to be changed where a test wants to. */
struct softtpm_spec softtpm_spec_of(enum softtpm_template t);

/* E_LOCAL_CRYPTO, E_LOCAL_MEMORY, and errors of tpm_public_parse() where it cannot read the area that the spec asks for. */
must_check struct err softtpm_key_new(const struct softtpm_spec *spec, struct softtpm_key **ret);
void softtpm_key_free(struct softtpm_key *k);
DEFINE_CLEANUP(struct softtpm_key, cleanup_softtpm_key_, softtpm_key_free)
#define cleanup_softtpm_key cleanup(cleanup_softtpm_key_)

/* The TPMT_PUBLIC of a key that has the form of spec. Appended. */
must_check struct err softtpm_area_write(const struct softtpm_spec *spec, const struct key *key, struct buf *ret);

/* ---- The TPM. */

struct softtpm_options {
	enum softtpm_template ek, ak;
	uint32_t banks;                 /* bit 1 << enum digest_id; 0: SHA-256 alone */
	const struct softtpm_ca *ca;    /* signs the EK certificate; NULL: none */
};

struct softtpm {
	struct softtpm_key *ek, *ak, *null_primary;
	struct cert *ek_cert;           /* NULL without a CA */
	uint32_t banks;
	struct digest pcr[N_DIGESTS][LIMIT_PCRS];
	struct tpm_clock clock;
	uint64_t clock_seen_ms;         /* highest clock that went out; safe again when it is passed */
	uint64_t firmware_version;
};

/* Manufactured and started once: resetCount 1, restartCount 0, safe 1, PCRs at their reset values. */
must_check struct err softtpm_new(const struct softtpm_options *o, struct softtpm **ret);
void softtpm_free(struct softtpm *t);
DEFINE_CLEANUP(struct softtpm, cleanup_softtpm_, softtpm_free)
#define cleanup_softtpm cleanup(cleanup_softtpm_)

/* A key for a workload, child of the present null primary. */
must_check struct err softtpm_workload_key(const struct softtpm *t, struct softtpm_key **ret);

/*
 * TPM2_ActivateCredential with the EK, for an object of this Name. Takes the
 * TPM2B structures of tpm_make_credential(); the secret is appended.
 * E_AUTH_SIGNATURE where blob, Name or EK do not fit; E_PEER_*.
 */
must_check struct err softtpm_activate(const struct softtpm *t, const struct tpm_name *name, struct bytes blob,
				       struct bytes encrypted_secret, struct buf *ret_secret);

/* ---- PCRs. */

/* E_PEER_RANGE for a PCR above 23, a bank that is off or a digest of another size. */
must_check struct err softtpm_extend(struct softtpm *t, enum digest_id bank, unsigned pcr, struct bytes digest);
/* Extends every bank with the hash of data. */
must_check struct err softtpm_event(struct softtpm *t, unsigned pcr, struct bytes data);
/* TPM2_PCR_Reset from locality 0: PCR 16 and 23 alone, else E_PEER_RANGE. */
must_check struct err softtpm_pcr_reset(struct softtpm *t, unsigned pcr);
/*
 * What a TPM quotes when asked for `asked`: a bank that is off stays in the
 * selection with an empty bitmap. Values in selection order, at most
 * LIMIT_BANKS * LIMIT_PCRS.
 */
void softtpm_pcr_read(const struct softtpm *t, const struct pcr_selection *asked, struct pcr_selection *ret_selection,
		      struct digest *ret_values, size_t *ret_n);

/* ---- Clock and power. */

void softtpm_tick(struct softtpm *t, uint64_t ms);

/* Shutdown(CLEAR), Startup(CLEAR): resetCount + 1, restartCount 0, PCRs and null hierarchy new. */
must_check struct err softtpm_reset(struct softtpm *t);
/* Shutdown(STATE), Startup(CLEAR): restartCount + 1, PCRs at their reset values, null hierarchy kept. */
void softtpm_restart(struct softtpm *t);
/* Shutdown(STATE), Startup(STATE): restartCount + 1; PCR 0 to 15 kept. */
void softtpm_resume(struct softtpm *t);
/* No shutdown, Startup(CLEAR): as a reset, but the clock falls back by back_ms and is unsafe until it has caught up. */
must_check struct err softtpm_power_loss(struct softtpm *t, uint64_t back_ms);
/* TPM2_Clear: clock, resetCount and restartCount are 0. */
void softtpm_clear(struct softtpm *t);

/* ---- Attestation. */

/* TPM2_Quote and TPM2_Certify: TPMS_ATTEST and TPMT_SIGNATURE, appended. */
must_check struct err softtpm_quote(struct softtpm *t, const struct softtpm_key *signer, struct bytes extra_data,
				    const struct pcr_selection *selection, struct buf *ret_attest, struct buf *ret_sig);
must_check struct err softtpm_certify(struct softtpm *t, const struct softtpm_key *signer,
				      const struct softtpm_key *object, struct bytes extra_data,
				      struct buf *ret_attest, struct buf *ret_sig);

/*
 * The same in steps, so that fields can be changed in between: fields, then
 * softtpm_attest_write(), then softtpm_sign(). Views in *ret borrow from
 * signer, object, extra_data and *digest. A signer outside the endorsement and
 * platform hierarchies sees counters and firmware version masked.
 */
must_check struct err softtpm_quote_fields(struct softtpm *t, const struct softtpm_key *signer,
					   struct bytes extra_data, const struct pcr_selection *selection,
					   struct digest *digest, struct tpm_attest *ret);
must_check struct err softtpm_certify_fields(struct softtpm *t, const struct softtpm_key *signer,
					     const struct softtpm_key *object, struct bytes extra_data,
					     struct tpm_attest *ret);

/* TPMS_ATTEST of any fields. `body` is the attested part of types other than quote and certify. Appended. */
must_check struct err softtpm_attest_write(const struct tpm_attest *a, struct bytes body, struct buf *ret);

/* TPMT_SIGNATURE over any bytes with the key's own scheme; a key without one uses ECDSA or RSASSA with SHA-256. Appended. */
must_check struct err softtpm_sign(const struct softtpm_key *signer, struct bytes data, struct buf *ret_sig);
/* The same with a scheme and hash that the key does not have; SHA-1 too. */
must_check struct err softtpm_sign_as(const struct softtpm_key *signer, uint16_t alg, uint16_t hash_alg,
				      struct bytes data, struct buf *ret_sig);

#endif
