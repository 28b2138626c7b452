/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The extended attributes of one file that matter to a root file system:
 * what grants rights (file capabilities, access control lists) or is data of
 * the image (user.*). What the host adds (labels of SELinux, IMA and EVM), and
 * what unpackers note for themselves, does not: firmware-measure(1), ROOT DIGEST.
 */
#ifndef ASSAY_MEASURE_XATTRS_H
#define ASSAY_MEASURE_XATTRS_H

#include "base/bytes.h"

#define LIMIT_XATTRS 64
#define LIMIT_XATTR_BYTES (128 * KIB) /* names and values of one file, with their lengths */

struct xattrs {
	size_t n;
	size_t at[LIMIT_XATTRS]; /* where in text each begins: u32be length, name, u32be length, value */
	struct buf text;         /* BUF_INIT(LIMIT_XATTR_BYTES) */
};
#define XATTRS_INIT                                                                                                    \
	{                                                                                                              \
		.text = BUF_INIT(LIMIT_XATTR_BYTES)                                                                    \
	}
void xattrs_done(struct xattrs *x);
#define cleanup_xattrs cleanup(xattrs_done)
/* Forgets them, keeps the memory. */
void xattrs_clear(struct xattrs *x);

bool xattr_matters(struct bytes name);

/* Adds one that matters, passes over others. E_PEER_DUPLICATE, E_LIMIT_COUNT, E_LIMIT_SIZE, E_LOCAL_MEMORY. */
must_check struct err xattrs_add(struct xattrs *x, struct bytes name, struct bytes value);

/* Appends them sorted bytewise by name, each as u32be length, name, u32be length, value. */
must_check struct err xattrs_encode(const struct xattrs *x, struct buf *ret);

#endif
