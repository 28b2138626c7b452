/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model's digests as assay-attest measures them, given only where a bundle of
 * OpenSSF Model Signing signs what is measured: for approvals.
 *
 * A bundle alone does not hold them. It has names and SHA-256 of files, no
 * sizes, and of shards no digest of the whole; its own root digest does not
 * cover names. So the model itself must be there: every file is read once, and
 * what was read is compared with what was signed.
 */
#ifndef ASSAY_MEASURE_OMS_MEASURE_H
#define ASSAY_MEASURE_OMS_MEASURE_H

#include "firmware-measure/oms.h"

/* What a struct oms_signer borrows, read from files. */
struct oms_trusted {
	struct key *key;
	struct trust *ca;
};
void oms_trusted_done(struct oms_trusted *t);
#define cleanup_oms_trusted cleanup(oms_trusted_done)

/*
 * Reads a public key or CAs, in PEM; exactly one path is given, the other NULL
 * (else E_BUG). The reason names the file. Errors of file_read(),
 * key_from_pem(), trust_add_signers().
 */
must_check struct err oms_trusted_read(const char *key, const char *ca, struct oms_trusted *ret,
				       struct reason *reterr);

/* Verifies the bundle in a file, of now; as oms_verify(), and file_read(). */
must_check struct err oms_verify_file(const char *path, const struct oms_trusted *by, struct oms_manifest *ret,
				      struct reason *reterr);

struct oms_measured {
	size_t n;                       /* 1, or 2 */
	struct model_digests digests[2]; /* of the model, and where the bundle lies in its folder, of the model without it */
	size_t n_files;
	char signer[256];               /* as in struct oms_manifest */
};

/*
 * Measures every file of model: each must be signed as it is, none may be
 * missing. The bundle may lie among them. Nothing else is left out, neither what
 * the signer ignored nor .git, because assay-attest measures it.
 *
 * E_PEER_DIGEST (not what the bundle signs; the reason says what differs), and
 * the errors of oms_verify_file() and model_measure().
 */
must_check struct err oms_measure(const char *model, const char *bundle, const struct oms_trusted *by,
				  struct oms_measured *ret, struct reason *reterr);

#endif
