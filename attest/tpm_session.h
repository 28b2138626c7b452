/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Authorisation sessions.
 *
 * A session that is salted with a key of the TPM keeps passwords off the bus
 * (they only enter HMACs) and encrypts the first parameter of a command or of
 * its answer with AES-128-CFB where asked to. Without a salt key the HMACs still
 * hide a password, but whoever listens can try candidates offline. So sessions are
 * salted where a password or a secret parameter is at stake (hierarchies, activation,
 * the making of a workload key). To use a workload key none is: its authValue is 256
 * random bits, there is nothing to try, and nothing is encrypted.
 *
 * Source: TCG TPM 2.0 Library, Part 1, 19.6 and 21; Part 3, 11.1.
 */
#ifndef ASSAY_ATTEST_TPM_SESSION_H
#define ASSAY_ATTEST_TPM_SESSION_H

#include "attest/tpm.h"

/* HMAC session with SHA-256 and AES-128-CFB; salt_key NULL: not salted. It goes on until it is flushed. */
must_check struct err session_hmac(struct tpm *tpm, const struct tpm_handle *salt_key, struct tpm_handle *ret);

/*
 * Which parameters the session encrypts in the commands that follow: the first
 * one sent (TPMA_SESSION_DECRYPT), the first one received (TPMA_SESSION_ENCRYPT),
 * both or none (0).
 */
must_check struct err session_encrypts(const struct tpm_handle *session, TPMA_SESSION which);

/*
 * Policy session that satisfies PolicySecret(TPM_RH_ENDORSEMENT), which EKs of
 * the low-range templates demand. hmac authorises with the hierarchy's password.
 */
must_check struct err session_ek_policy(struct tpm *tpm, const struct tpm_handle *hmac, struct tpm_handle *ret);

#endif
