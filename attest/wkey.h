/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The workload key of one instance: P-256, ECDSA with SHA-256, sign only, child
 * of the null hierarchy's primary, with a random authValue. It does not survive
 * a TPM reset, and without the authValue nobody can use it.
 *
 * The order of commands keeps at most two transient objects loaded while a
 * persistent one is touched: session, primary, Create or Load, flush primary,
 * then AK and Certify.
 */
#ifndef ASSAY_ATTEST_WKEY_H
#define ASSAY_ATTEST_WKEY_H

#include "attest/tpm.h"

#define WKEY_AUTH_LEN 32
#define WKEY_SIGNATURE_LEN 64

/* What is kept on disk. */
struct wkey_blob {
	struct buf public_area; /* TPMT_PUBLIC */
	struct buf private;     /* TPM2B_PRIVATE, encrypted by the TPM */
	struct buf auth;        /* WKEY_AUTH_LEN bytes: the secret */
};
#define WKEY_BLOB_INIT                                                                    \
	{                                                                                 \
		.public_area = BUF_INIT(LIMIT_TPM2B), .private = BUF_INIT(LIMIT_TPM2B),   \
		.auth = BUF_INIT(WKEY_AUTH_LEN)                                           \
	}
void wkey_blob_done(struct wkey_blob *b);
#define cleanup_wkey_blob cleanup(wkey_blob_done)

/*
 * TPM2_Create with a new authValue, which crosses the bus encrypted by the
 * session (salted with the EK). ret: WKEY_BLOB_INIT.
 */
must_check struct err wkey_create(const struct tpm_handle *primary, const struct tpm_handle *session,
				  struct wkey_blob *ret, struct tpm_name *ret_name);

/*
 * TPM2_Load below the null primary. The handle carries the authValue.
 * E_AUTH_CONFLICT where the TPM was reset since the key was made.
 */
must_check struct err wkey_load(const struct tpm_handle *primary, const struct wkey_blob *blob, struct tpm_handle *ret);

/* Raw r||s, each padded to 32 bytes, over the SHA-256 of data. session: HMAC, with or without salt. Appended. */
must_check struct err wkey_sign(const struct tpm_handle *key, const struct tpm_handle *session, struct bytes data,
				struct buf *ret);

#endif
