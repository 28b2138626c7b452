/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A strict reader of tar archives: the POSIX formats ustar and pax, and GNU's
 * long names and binary numbers. It is for archives that others unpack with
 * other programs, so whatever two programs could read differently is refused
 * rather than interpreted: sparse files, global headers that say more than a
 * comment, repeated or contradicting headers, types without a standard,
 * content behind the end.
 *
 * It streams, and holds one header's names and attributes at a time. Names are
 * given as they stand there: tar_path() makes a path of one.
 *
 * Source: IEEE Std 1003.1-2017, pax, "pax Interchange Format", "ustar
 * Interchange Format"; GNU tar 1.34, "Basic Tar Format".
 */
#ifndef ASSAY_MEASURE_TAR_H
#define ASSAY_MEASURE_TAR_H

#include "base/limits.h"
#include "firmware-measure/xattrs.h"

/* Where the bytes come from. */
struct tar_source {
	/* The next bytes, at least one; none at the end. They are valid until the next call. */
	struct err (*more)(void *ctx, struct bytes *ret, struct reason *reterr);
	/* Passes over n bytes that nobody wants to see; NULL: they are read. */
	struct err (*skip)(void *ctx, uint64_t n, struct reason *reterr);
	void *ctx;
};

enum tar_type {
	TAR_FILE,
	TAR_HARD_LINK,
	TAR_SYMLINK,
	TAR_CHAR,
	TAR_BLOCK,
	TAR_FOLDER,
	TAR_FIFO,
};
/* "a symbolic link" ...: for reasons. Static string. */
const char *tar_type_text(enum tar_type type);

/* Views, and xattrs, are valid until the next tar_next(). */
struct tar_entry {
	enum tar_type type;
	struct bytes name, link; /* not empty; link: of hard and symbolic links only */
	uint32_t mode;           /* 07777 */
	uint32_t uid, gid;       /* below 2^32 - 1 */
	uint32_t major, minor;   /* of devices */
	uint64_t size;           /* of files */
	uint64_t offset;         /* of the content in the archive */
	const struct xattrs *xattrs;
};

struct tar {
	struct tar_source source;
	struct bytes window; /* read and not yet used */
	uint64_t offset;     /* of the window in the archive */
	uint64_t left;       /* content of the entry that was not read yet */
	size_t padding;      /* zeros behind it */
	bool ended;
	bool open_end;       /* set by the user: the two blocks of zeros may be missing, as a digest tells what is whole */

	/* The last block, and what came before the header and belongs to it. */
	struct buf head, name, link;
	bool has_size, has_uid, has_gid;
	uint64_t size, uid, gid;
	struct xattrs xattrs;
};
void tar_init(struct tar *t, const struct tar_source *source);
void tar_done(struct tar *t);
#define cleanup_tar cleanup(tar_done)

/*
 * The next entry; passes over what was not read of the last one. At the end of
 * the archive *ret_end is true, and the source was read to its end.
 *
 * E_PEER_TRUNCATED (also without the two blocks of zeros that end an archive,
 * unless open_end),
 * E_PEER_SYNTAX, E_PEER_DIGEST (a header's checksum), E_PEER_RANGE,
 * E_PEER_UNSUPPORTED, E_PEER_DUPLICATE, E_PEER_TRAILING, E_LIMIT_SIZE,
 * E_LIMIT_COUNT, E_LOCAL_MEMORY, and what the source fails with. The reason
 * tells the entry.
 */
must_check struct err tar_next(struct tar *t, struct tar_entry *ret, bool *ret_end, struct reason *reterr);

/* The next bytes of the entry's content, a view until the next call; none behind the last. E_PEER_TRUNCATED. */
must_check struct err tar_content(struct tar *t, struct bytes *ret, struct reason *reterr);

/*
 * The path that a name stands for, without "./", repeated and trailing
 * slashes, appended: of the root folder itself it is empty.
 *
 * E_PEER_SYNTAX: not UTF-8, control characters; E_PEER_RANGE: absolute, or
 * with a component ".."; E_LIMIT_SIZE: LIMIT_PATH bytes or more, or a component of more than 255.
 */
must_check struct err tar_path(struct bytes name, struct buf *ret, struct reason *reterr);

/* UTF-8 without control characters, which draw on terminals and in logs. */
bool path_text_valid(struct bytes text);

/* The records of one pax extended header into *t. E_PEER_*, as tar_next(). */
must_check struct err tar_pax_read(struct tar *t, struct bytes records, struct reason *reterr);
/* A global one: a comment is fine, everything else is E_PEER_UNSUPPORTED. */
must_check struct err tar_pax_global(struct bytes records, struct reason *reterr);

#endif
