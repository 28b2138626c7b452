/* SPDX-License-Identifier: Apache-2.0 */
/* Tar archives for tests, also ones that no program writes. Failures end the test (cmocka). */
#ifndef ASSAY_TESTS_SUPPORT_TARBUILD_H
#define ASSAY_TESTS_SUPPORT_TARBUILD_H

#include "base/bytes.h"

#define TAR_BLOCK_LEN 512

struct tar_member {
	const char *name;
	char type; /* '0' where it is 0 */
	const char *link;
	const char *content; /* text; n bytes of it where n is not 0 */
	size_t n;
	unsigned mode; /* 0644 where it is 0 */
	unsigned uid, gid, major, minor;
	const char *pax; /* "key=value\n" lines that become a pax header before it */
};

/* Each appends. */
void tar_put(struct buf *b, const struct tar_member *m);
#define TAR_PUT(b, ...) tar_put((b), &(const struct tar_member){ __VA_ARGS__ })
/* One header of this type ('x', 'g', 'L', 'K', ...) with its data. */
void tar_put_data(struct buf *b, char type, struct bytes data);
/* A pax header of "key=value\n" lines. */
void tar_put_pax(struct buf *b, char type, const char *lines);
/* Two blocks of zeros. */
void tar_put_end(struct buf *b);

/* Makes the checksum of the header at this offset right again. */
void tar_seal(struct buf *b, size_t at);

#endif
