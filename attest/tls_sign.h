/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The signature of a TLS 1.3 handshake by an instance's key in the TPM, for an
 * agent that shows its certificate. The key also signs proofs (RFC 9449), so
 * nothing else is signed on demand: what begins with 64 spaces is no JWT.
 */
#ifndef ASSAY_ATTEST_TLS_SIGN_H
#define ASSAY_ATTEST_TLS_SIGN_H

#include "attest/host.h"

#define TLS_SIGN_MAX (64 + 33 + 1 + 48) /* bytes */

/*
 * RFC 8446, 4.4.3: 64 spaces, "TLS 1.3, client CertificateVerify" or the same
 * with "server", a zero byte, the transcript's hash of 32 or 48 bytes; nothing
 * else. E_AUTH_REFUSED with what was expected.
 */
must_check struct err tls_sign_check(struct bytes content, struct reason *reterr);

/*
 * ecdsa_secp256r1_sha256 over content, as the DER that TLS carries. Appended.
 * One visit to the TPM. E_AUTH_REFUSED: tls_sign_check(). E_AUTH_UNKNOWN: no
 * such instance here.
 */
must_check struct err tls_sign(struct host *h, const uint8_t id[INSTANCE_ID_LEN], struct bytes content,
			       struct buf *ret);

#endif
