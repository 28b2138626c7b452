/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The little DER (ITU-T X.690) that keys and signatures need. Reading is
 * strict: definite lengths in their shortest form, integers not negative and
 * without superfluous zeros. Certificates are OpenSSL's.
 */
#ifndef ASSAY_BASE_DER_H
#define ASSAY_BASE_DER_H

#include "base/rd.h"

#define DER_INTEGER 0x02
#define DER_BIT_STRING 0x03
#define DER_NULL 0x05
#define DER_OID 0x06
#define DER_SEQUENCE 0x30

/*
 * The contents of the next element, which must have this one-byte tag.
 * E_PEER_TRUNCATED, E_PEER_SYNTAX (another tag, length beyond 65535),
 * E_PEER_NOT_CANONICAL. The cursor is then unchanged.
 */
must_check struct err der_rd(struct rd *r, uint8_t tag, struct bytes *ret);

/* An INTEGER >= 0 as big-endian bytes without leading zeros, none for 0. Errors as der_rd; E_PEER_RANGE if negative. */
must_check struct err der_rd_uint(struct rd *r, struct bytes *ret);

/* Tag and length of an element of n bytes, n <= 65535 (else E_LIMIT_SIZE). Appended; b is unchanged on failure. */
must_check struct err der_wr_head(struct buf *b, uint8_t tag, size_t n);

/* An INTEGER >= 0 from big-endian bytes, leading zeros allowed. Appended; b is unchanged on failure. */
must_check struct err der_wr_uint(struct buf *b, struct bytes v);

#endif
