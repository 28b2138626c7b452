/* SPDX-License-Identifier: Apache-2.0 */
/* A file, or a part of one, that is read in place. */
#ifndef ASSAY_MEASURE_SPAN_H
#define ASSAY_MEASURE_SPAN_H

#include "firmware-measure/filehash.h"

struct span {
	int fd;          /* borrowed; read by offset, so that threads can share it */
	uint64_t offset; /* in the file */
	uint64_t size;
	const char *name; /* for reasons; borrowed */
};

/*
 * 1..n bytes from position at, which is below the size. E_PEER_CHANGED (the file
 * has become shorter), E_LOCAL_IO.
 */
must_check struct err span_read(const struct span *s, uint64_t at, uint8_t *to, size_t n, size_t *ret_n,
				struct reason *reterr);

#endif
