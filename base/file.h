/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files: bounded reads, atomic durable writes, locks, clocks.
 */
#ifndef ASSAY_BASE_FILE_H
#define ASSAY_BASE_FILE_H

#include <sys/types.h>

#include "base/bytes.h"

/*
 * Whole file into ret (appended; ret->max bounds it). Reads to the end of file
 * and does not believe the size, so it works for procfs, sysfs and securityfs.
 * dir_fd as openat(2), AT_FDCWD allowed. Regular file or character device
 * only; a symlink as last component is refused (both E_LOCAL_IO).
 * E_LOCAL_NOT_FOUND, E_LOCAL_PERMISSION, E_LOCAL_IO, E_LIMIT_SIZE,
 * E_LOCAL_MEMORY; ret then holds what it held before.
 */
must_check struct err file_read(int dir_fd, const char *path, struct buf *ret);

/*
 * At most max bytes from offset on (appended), fewer only at the end of the
 * file; nothing where the file is not that long. For lists that grow while
 * they are read. As file_read() otherwise; E_LIMIT_SIZE where ret->max is smaller.
 */
must_check struct err file_read_part(int dir_fd, const char *path, uint64_t offset, size_t max, struct buf *ret);

/*
 * The first max bytes, or all of a shorter file, while no writer holds it: under
 * a shared flock(2), waited for until the deadline. As file_read_part()
 * otherwise; E_LOCAL_TIMEOUT.
 */
must_check struct err file_read_shared(int dir_fd, const char *path, unsigned timeout_ms, size_t max, struct buf *ret);

/* file_read() for a secret: refuses a file that group or others can read, or that another uid owns (E_LOCAL_PERMISSION). */
must_check struct err file_read_secret(int dir_fd, const char *path, struct buf *ret);

/*
 * file_read() for what decides over others: file and folder must belong to root or to our own effective uid, and
 * neither group nor others may write to them (E_LOCAL_PERMISSION). Folders above are not looked at.
 */
must_check struct err file_read_owned(const char *path, struct buf *ret);

/*
 * Replaces path atomically and durably: temporary file in the same folder,
 * write, fsync, rename, fsync of the folder. After a crash there is the old or
 * the new content, whole. mode as open(2), e.g. 0600. A crash can leave a
 * temporary file behind, whose name begins with TEMP_PREFIX.
 * E_LOCAL_NOT_FOUND (no such folder), E_LOCAL_PERMISSION, E_LOCAL_IO,
 * E_LOCAL_MEMORY.
 */
#define TEMP_PREFIX ".assay-tmp-"
must_check struct err file_write(int dir_fd, const char *path, struct bytes data, mode_t mode);

/* The same but E_LOCAL_EXISTS when path is there already. */
must_check struct err file_create(int dir_fd, const char *path, struct bytes data, mode_t mode);

/* read(2) until the end, which a pipe has too; bounds and errors of file_read(). */
must_check struct err fd_read(int fd, struct buf *ret);

/* write(2) until all is written. E_LOCAL_IO; errno then says why. */
must_check struct err fd_write_all(int fd, struct bytes data);

/* mkdir -p with mode for each new component; an existing folder keeps its mode. E_LOCAL_PERMISSION, E_LOCAL_IO. */
must_check struct err dir_make(const char *path, mode_t mode);
/* Opens a folder for the *at functions (O_DIRECTORY|O_CLOEXEC). */
must_check struct err dir_open(int dir_fd, const char *path, int *ret_fd);

/*
 * Exclusive flock(2) on path (made 0600), waiting until the deadline; 0 tries
 * once. The lock ends when *ret_fd is closed. The file may be unlinked by
 * whoever holds its lock. E_LOCAL_TIMEOUT, and as file_read().
 */
must_check struct err file_lock(int dir_fd, const char *path, unsigned timeout_ms, int *ret_fd);

/* Seconds since 1970, and milliseconds that only go forward (CLOCK_BOOTTIME: goes on during suspend). */
int64_t clock_now_s(void);
uint64_t clock_boottime_ms(void);

#endif
