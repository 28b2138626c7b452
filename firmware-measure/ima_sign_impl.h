/* SPDX-License-Identifier: Apache-2.0 */
/* What the forms of signatures in an IMA list share. Not for other folders. */
#ifndef ASSAY_MEASURE_IMA_SIGN_IMPL_H
#define ASSAY_MEASURE_IMA_SIGN_IMPL_H

#include "firmware-measure/ima_sign.h"

/* The kernel's numbers of hash algorithms; they are interface. N_DIGESTS where it is none of digest.h. */
enum digest_id ima_hash_by_number(uint8_t number);
/* SHA-256 or better of those that sign. */
bool ima_hash_strong(enum digest_id hash);

/* Type, version, hash, key id, length, value, whatever type and version are. E_PEER_TRUNCATED, E_PEER_TRAILING. */
must_check struct err ima_signature_read(struct bytes sig, struct ima_signature *ret);

/* E_AUTH_SIGNATURE; E_PEER_* for its form; E_PEER_UNSUPPORTED for a kind of key that cannot sign so; local errors. */
must_check struct err ima_signature_verify(const struct key *k, enum digest_id hash, struct bytes digest,
					   struct bytes value);
/* Nothing was decided. */
bool ima_sign_local(struct err e);

#endif
