/* SPDX-License-Identifier: Apache-2.0 */
/* An instance as a part of a host's state. Not for other folders. */
#ifndef ASSAY_VERIFIER_HOST_INSTANCE_H
#define ASSAY_VERIFIER_HOST_INSTANCE_H

#include "base/cborx.h"
#include "verifier/appraise/host.h"

/* Appends. E_LIMIT_SIZE, E_LOCAL_MEMORY. */
must_check struct err host_instance_encode(const struct instance *i, struct buf *b);
/* *i is all zero before. E_PEER_*; it is then of no use. */
must_check struct err host_instance_decode(struct cbor_rd *r, struct instance *i);

/* What the rest of the state has as well: a key with a byte string, and a Name. Errors as above. */
must_check struct err host_wr_bytes(struct buf *b, uint64_t key, struct bytes v);
must_check struct err host_rd_name(struct cbor_rd *r, struct tpm_name *ret);

#endif
