/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Index of a tar archive on disk: which files it has, and where their bytes
 * lie, so that they are read in place and in parallel. Nothing is unpacked.
 *
 * Files and folders are accepted, symbolic links are remembered and never
 * followed; hard links, devices, FIFOs, absolute names, "..", names that are
 * not UTF-8 or hold control characters, and names given twice are refused.
 * Compressed archives are refused: a part in their middle cannot be read alone.
 */
#ifndef ASSAY_MEASURE_ARCHIVE_H
#define ASSAY_MEASURE_ARCHIVE_H

#include "firmware-measure/span.h"

struct archive_member {
	char *name;      /* path without "./" in front */
	bool is_file;    /* else a symbolic link */
	uint64_t offset; /* of its content, which has size bytes */
	uint64_t size;
};

struct archive {
	size_t n;
	struct archive_member *v; /* sorted bytewise by name */
};
void archive_done(struct archive *a);
#define cleanup_archive cleanup(archive_done)

/*
 * Reads the headers of the archive that the span covers.
 *
 * The errors of tar_next(); E_PEER_UNSUPPORTED (compressed, or an entry of
 * another type), E_PEER_RANGE and E_PEER_SYNTAX (names), E_PEER_DUPLICATE,
 * E_LIMIT_COUNT (LIMIT_ARCHIVE_MEMBERS), E_PEER_CHANGED (it shrank), E_LOCAL_IO.
 */
must_check struct err archive_index(const struct span *s, struct archive *ret, struct reason *reterr);

/* Borrowed; NULL where there is none. */
const struct archive_member *archive_find(const struct archive *a, const char *name);

#endif
