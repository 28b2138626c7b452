/* SPDX-License-Identifier: Apache-2.0 */
/* What was judged of a firmware log, as a part of a host's state. Not for other folders. */
#ifndef ASSAY_VERIFIER_HOST_FIRMWARE_H
#define ASSAY_VERIFIER_HOST_FIRMWARE_H

#include "base/cborx.h"
#include "verifier/appraise/host.h"

/* Appends; f->has. E_LIMIT_SIZE, E_LOCAL_MEMORY. */
must_check struct err firmware_judged_encode(const struct firmware_judged *f, struct buf *b);
/* Leaves f->has. E_PEER_*; *f is then of no use. */
must_check struct err firmware_judged_decode(struct cbor_rd *r, struct firmware_judged *f);

#endif
