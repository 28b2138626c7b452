/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The open replay of an IMA list as a part of host-state's CBOR. Not for other
 * folders.
 *
 * ima-progress = [boot: bstr, policy: bstr, doc: bstr, offset: uint, state: bstr]
 */
#ifndef ASSAY_VERIFIER_HOST_IMA_H
#define ASSAY_VERIFIER_HOST_IMA_H

#include "base/cborx.h"
#include "verifier/appraise/host.h"

must_check struct err ima_progress_encode(const struct ima_progress *p, struct buf *ret);
/* *ret has no state before, and the caller frees what it has afterwards, on failure too. E_PEER_*, E_LIMIT_SIZE, E_LOCAL_MEMORY. */
must_check struct err ima_progress_decode(struct cbor_rd *r, struct ima_progress *ret);

#endif
