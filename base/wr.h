/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Big-endian writers that append to a struct buf; the mirror of rd.h.
 * Errors: E_LIMIT_SIZE, E_LOCAL_MEMORY; the buffer is then unchanged.
 */
#ifndef ASSAY_BASE_WR_H
#define ASSAY_BASE_WR_H

#include "base/bytes.h"

must_check struct err wr_u16be(struct buf *b, uint16_t v);
must_check struct err wr_u32be(struct buf *b, uint32_t v);
must_check struct err wr_u64be(struct buf *b, uint64_t v);

/* TPM2B: 16-bit size, then the bytes. E_LIMIT_SIZE above 65535 bytes. */
must_check struct err wr_tpm2b(struct buf *b, struct bytes data);

#endif
