/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The attestation key: restricted, sign only, a primary of the endorsement
 * hierarchy with a fixed unique field. The same template gives the same key for
 * as long as the hierarchy's seed lives, so it can be made again at any time; a
 * persistent copy saves that work.
 *
 * In the endorsement hierarchy the counters in TPMS_CLOCK_INFO are the true ones;
 * elsewhere they are masked.
 */
#ifndef ASSAY_ATTEST_AK_H
#define ASSAY_ATTEST_AK_H

#include "attest/tpm.h"

#define AK_HANDLE 0x81010a55u       /* default; in the owner's range */
#define AK_HANDLE_FIRST 0x81000000u /* the owner's range ends where the platform's begins */
#define AK_HANDLE_LAST 0x817fffffu

enum ak_kind {
	AK_ECC_P256, /* ECDSA with SHA-256 */
	AK_RSA_2048, /* RSASSA with SHA-256 */
};

/* "ecc-p256", "rsa-2048". E_PEER_UNSUPPORTED. */
must_check struct err ak_kind_parse(const char *s, enum ak_kind *ret);
const char *ak_kind_name(enum ak_kind kind);

struct ak {
	struct tpm_handle handle;
	struct buf public_area; /* TPMT_PUBLIC; empty for an enrolled one that is persistent */
	struct tpm_name name;
};
#define AK_INIT { .handle = TPM_HANDLE_NONE, .public_area = BUF_INIT(LIMIT_TPM2B) }
void ak_done(struct ak *ak);
#define cleanup_ak cleanup(ak_done)

struct ak_spec {
	enum ak_kind kind;
	TPM2_HANDLE handle;              /* where the persistent copy lies */
	const struct tpm_name *enrolled; /* the Name it must have, or NULL at enrolment */
};

/*
 * The persistent copy where it is there, else the primary by template, which
 * then gets a persistent copy where the TPM allows it. hmac authorises with the
 * hierarchies' passwords; NULL: an unsalted session is started when needed.
 * ret: AK_INIT.
 * E_LOCAL_EXISTS: another object lies at the handle. E_AUTH_CONFLICT: the key is
 * not the enrolled one. E_LOCAL_TPM.
 */
must_check struct err ak_open(struct tpm *tpm, const struct ak_spec *spec, const struct tpm_handle *hmac,
			      struct ak *ret);

/* TPMS_ATTEST and TPMT_SIGNATURE, appended by the functions below. */
struct attestation {
	struct buf attest;
	struct buf signature;
};
#define ATTESTATION_INIT { .attest = BUF_INIT(LIMIT_TPM2B), .signature = BUF_INIT(LIMIT_TPM2B) }
void attestation_done(struct attestation *a);
#define cleanup_attestation cleanup(attestation_done)

/* TPM2_Quote with the key's own scheme over exactly this selection. */
must_check struct err ak_quote(const struct ak *ak, struct bytes qualifying_data, const struct pcr_selection *selection,
			       struct attestation *ret);

/* TPM2_Certify of a loaded object. session authorises with the object's authValue, which its handle carries. */
must_check struct err ak_certify(const struct ak *ak, const struct tpm_handle *object, ESYS_TR session,
				 struct bytes extra_data, struct attestation *ret);

#endif
