/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The endorsement key, its certificate and chain, and the activation that proves
 * it. Kinds, handles and templates: ek_kind.h.
 *
 * Source: TCG EK Credential Profile 2.5, 2.2.1.5.2 (chain), annex B.6 (policies).
 */
#ifndef ASSAY_ATTEST_EK_H
#define ASSAY_ATTEST_EK_H

#include "attest/ek_kind.h"
#include "base/x509.h"

#define EK_NV_CHAIN_FIRST 0x01c00100u
#define EK_NV_CHAIN_LAST 0x01c001ffu

struct ek {
	enum ek_kind kind;
	struct tpm_handle handle;
	struct buf public_area; /* TPMT_PUBLIC */
	struct tpm_name name;
	bool persistent;        /* false: made by template, for this connection */
	bool by_password;       /* userWithAuth: used with its empty authValue, not by PolicySecret(endorsement) */
};
#define EK_INIT { .handle = TPM_HANDLE_NONE, .public_area = BUF_INIT(LIMIT_TPM2B) }
void ek_done(struct ek *ek);
#define cleanup_ek cleanup(ek_done)

/*
 * The object at the kind's handle, or the primary that its template gives; see
 * ek_template(). Refuses what is no EK by tpm_check_ek(), or one of another kind.
 * ret: EK_INIT. E_LOCAL_TPM, E_PEER_RANGE (no EK, another kind).
 */
must_check struct err ek_open(struct tpm *tpm, enum ek_kind kind, struct ek *ret);

/*
 * Puts an EK that was made by template at its kind's handle, because making it takes
 * seconds on a real TPM. hmac authorises with the owner's password.
 */
must_check struct err ek_persist(struct ek *ek, const struct tpm_handle *hmac);

/*
 * A session salted with the EK, for use after enrolment: only when the EK is
 * the enrolled one, by Name. E_AUTH_CONFLICT where it is another (another TPM,
 * or somebody between it and us).
 */
must_check struct err ek_session(const struct ek *ek, const struct tpm_name *enrolled, struct tpm_handle *ret);

/*
 * The session of enrolment itself, salted with the EK that was just read.
 * Acceptable, because what it protects before activation is only the hierarchies'
 * passwords' HMACs and a challenge answer, and because the verifier accepts this
 * EK only by its certificate, and the host only after the TPM that holds it has
 * answered: whoever put a key of his own here gets a host that never activates.
 */
must_check struct err ek_session_first(const struct ek *ek, struct tpm_handle *ret);

/* Certificates in DER. leaf is empty where there is none. */
struct ek_certs {
	struct buf leaf;
	size_t n_chain;
	struct buf chain[LIMIT_CHAIN];
};
void ek_certs_init(struct ek_certs *c);
void ek_certs_done(struct ek_certs *c);
#define cleanup_ek_certs cleanup(ek_certs_done)

/*
 * Certificate and chain from NV; each may be absent. The certificate is cut to
 * its own length; one that OpenSSL cannot read is given as it is, because the
 * verifier judges it. E_LIMIT_*, E_LOCAL_TPM.
 */
must_check struct err ek_certs_from_nv(struct tpm *tpm, enum ek_kind kind, struct ek_certs *ret);

/* Certificates of a file (PEM, one or more; or DER) instead, appended to list[*n]. Kept as they are. */
must_check struct err ek_certs_from_file(const char *path, size_t max, struct buf *list, size_t *n,
					 struct reason *reterr);

/*
 * TPM2_ActivateCredential: the secret that the verifier wrapped for this EK and
 * for the object with the AK's Name. blob and encrypted_secret are TPM2B_ID_OBJECT
 * and TPM2B_ENCRYPTED_SECRET. session is salted with the EK and encrypts the
 * secret on its way back. Appended to ret.
 */
must_check struct err ek_activate(const struct ek *ek, const struct tpm_handle *ak, const struct tpm_handle *session,
				  struct bytes blob, struct bytes encrypted_secret, struct buf *ret);

#endif
