/* SPDX-License-Identifier: Apache-2.0 */
/* The key of an instance in the TPM, from its files to a signature. */
#ifndef ASSAY_ATTEST_INSTANCE_KEY_H
#define ASSAY_ATTEST_INSTANCE_KEY_H

#include "attest/host.h"

/* The key's files. E_AUTH_UNKNOWN: no such instance here, and the reason says which there are. ret: WKEY_BLOB_INIT. */
must_check struct err instance_key_read(struct host *h, const uint8_t id[INSTANCE_ID_LEN], struct wkey_blob *ret);

/* Its public half; the caller owns *ret. */
must_check struct err instance_key_public(const struct wkey_blob *blob, struct key **ret);

/* A loaded key, for the length of a visit. */
struct instance_key {
	const struct tpm_handle *key, *session;
};
/* wkey_sign() with it. */
must_check struct err instance_key_sign(const struct instance_key *k, struct bytes data, struct buf *ret);

/* One visit to the TPM, in which use() may sign. */
must_check struct err instance_key_visit(struct host *h, const struct wkey_blob *blob,
					 struct err (*use)(void *ctx, const struct instance_key *k), void *ctx);

#endif
