/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verification of one TPM quote without a verifier, a host record or a policy:
 * for evidence that lies in files. Pure.
 */
#ifndef ASSAY_OPERATE_VERIFY_QUOTE_H
#define ASSAY_OPERATE_VERIFY_QUOTE_H

#include "base/json.h"
#include "protocol/tpmw.h"

struct quote_files {
	struct bytes ak;        /* PEM SubjectPublicKeyInfo, TPMT_PUBLIC or TPM2B_PUBLIC */
	struct bytes quote;     /* TPMS_ATTEST or TPM2B_ATTEST */
	struct bytes signature; /* TPMT_SIGNATURE; or raw RSASSA-SHA256; or DER ECDSA-SHA256 */
	struct bytes nonce;     /* what extraData must be; never empty */
	struct bytes pcrs;      /* JSON {"0":"hex",...} or by bank {"sha256":{"0":"hex",...}}; empty: none */
};

struct quote_report {
	struct pcr_selection selection; /* as signed */
	struct digest pcr_digest;
	struct tpm_clock clock;
	uint64_t firmware_version;
	bool pcrs_compared;
};

/*
 * Signature by the AK, whose own scheme decides when it is a TPM public area
 * (which must be a restricted signing key) and TPMT_SIGNATURE's otherwise;
 * never SHA-1. Magic, type, extraData, a selection that names something
 * beside the SHA-1 bank, and, with pcrs, exactly the selected registers whose
 * values give pcrDigest.
 *
 * E_OK: verified. E_PEER_*, E_AUTH_*, E_LIMIT_*: not, and the reason begins
 * with the id of the check ("Q2: ..."). E_LOCAL_*: could not decide.
 */
must_check struct err quote_verify(const struct quote_files *f, struct quote_report *ret, struct reason *reterr);

#endif
