/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files below a folder, read without following any symbolic link, hashed in
 * parallel, and refused when they change meanwhile. For images and models.
 *
 * "Changed" is judged by device, inode, size, mtime and ctime. ctime cannot be
 * set back by an ordinary program, so a change and a restored mtime show.
 * Memory stays flat: one buffer and one hasher per thread.
 *
 * Paths are relative to root_fd, '/' between components. Reasons name them.
 */
#ifndef ASSAY_MEASURE_FILEHASH_H
#define ASSAY_MEASURE_FILEHASH_H

#include <stdint.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/limits.h"

struct model_options;

/* What a file must keep while it is measured. */
struct file_id {
	dev_t dev;
	ino_t ino;
	uint64_t size; /* bytes */
	struct timespec mtime, ctime;
};

void file_id_of(const struct stat *st, struct file_id *ret);
bool file_id_equal(const struct file_id *a, const struct file_id *b);

/* "a symbolic link", "a socket" ...: what a mode is, for reasons. Static string. */
const char *file_kind(mode_t mode);

/*
 * The path that a caller gave, without trailing slashes: behind one, open(2)
 * would follow a symbolic link. E_LOCAL_NOT_FOUND for an empty or longer path.
 */
must_check struct err filehash_trim(const char *path, char ret[LIMIT_PATH], struct reason *reterr);

/*
 * Opens a regular file for reading and tells what it is. No component may be a
 * symbolic link, "." or "..".
 * E_LOCAL_NOT_FOUND, E_PEER_UNSUPPORTED (symbolic link, special file, folder),
 * E_LOCAL_PERMISSION, E_LOCAL_MEMORY, E_LOCAL_IO.
 */
must_check struct err filehash_open(int root_fd, const char *path, int *ret_fd, struct file_id *ret_id,
				    struct reason *reterr);

/* Opens a folder in root_fd (one component, no symbolic link). Errors as filehash_open(). */
must_check struct err filehash_open_folder(int root_fd, const char *name, int *ret_fd, struct reason *reterr);

/*
 * A small file as a whole, appended. E_LIMIT_SIZE above ret->max,
 * E_PEER_CHANGED, and the errors of filehash_open().
 */
must_check struct err filehash_read(int root_fd, const char *path, struct buf *ret, struct reason *reterr);

/* The next 1..n bytes of an open file whose end is not reached yet: the end is E_PEER_CHANGED (it shrank). E_LOCAL_IO. */
must_check struct err filehash_chunk(int fd, const char *path, uint8_t *to, size_t n, size_t *ret_n,
				     struct reason *reterr);

/* E_PEER_CHANGED unless the open file still is what id says. */
must_check struct err filehash_unchanged(int fd, const char *path, const struct file_id *id, struct reason *reterr);

struct hash_item {
	const char *path;   /* borrowed */
	struct file_id id;  /* in: what the file must be when it is opened and after it was read */
	int blobs_fd;       /* in: with blob, the folder in which the contents lie */
	const char *blob;   /* in: their name there, one component; NULL: they lie at path. Borrowed */
	uint64_t off, len;  /* in: the part of the file, within its size; len 0: the whole */
	uint8_t sha256[32]; /* out */
};

/*
 * SHA-256 of each of the n files, or parts of files. options as in model.h, NULL for defaults;
 * progress is called from this thread: with 0 before the first byte is read,
 * now and then, and with the total after the last.
 *
 * E_PEER_CHANGED for a file that is not, or does not stay, what its id says;
 * E_LIMIT_SIZE where sizes do not add up in 64 bits; E_LOCAL_*. No thread runs
 * any more when it returns.
 */
must_check struct err filehash_run(int root_fd, size_t n, struct hash_item *items, const struct model_options *options,
				   struct reason *reterr);

#endif
