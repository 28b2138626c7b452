/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fs-verity digests of files: SHA-256 over a descriptor with the root of a
 * Merkle tree of SHA-256 over blocks of 4096 bytes, without salt. Where the file
 * system keeps one, and keeps the file from being changed, it is read and the
 * file is not; elsewhere it is computed, by as many threads as there are also
 * within a file.
 *
 * Source: Linux, Documentation/filesystems/fsverity.rst.
 */
#ifndef ASSAY_MEASURE_FSVERITY_H
#define ASSAY_MEASURE_FSVERITY_H

#include "firmware-measure/filehash.h"

/*
 * As filehash_run(), but each item is a whole file and gets its fs-verity
 * digest in sha256. *ret_n_kept: how many were kept by the file system.
 */
must_check struct err fsverity_run(int root_fd, size_t n, struct hash_item *items, const struct model_options *options,
				   size_t *ret_n_kept, struct reason *reterr);

#endif
