/* SPDX-License-Identifier: Apache-2.0 */
#include "firmware-measure/filehash.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "base/log.h"

/* Not blocking, because opening a FIFO would wait for its writer for ever. */
#define OPEN_FLAGS (O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)

void file_id_of(const struct stat *st, struct file_id *ret)
{
	*ret = (struct file_id){
		.dev = st->st_dev,
		.ino = st->st_ino,
		.size = (uint64_t)st->st_size,
		.mtime = st->st_mtim,
		.ctime = st->st_ctim,
	};
}

static bool time_equal(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

bool file_id_equal(const struct file_id *a, const struct file_id *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size && time_equal(a->mtime, b->mtime) &&
	       time_equal(a->ctime, b->ctime);
}

const char *file_kind(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return "a regular file";
	case S_IFDIR:
		return "a folder";
	case S_IFLNK:
		return "a symbolic link";
	case S_IFIFO:
		return "a FIFO";
	case S_IFSOCK:
		return "a socket";
	case S_IFBLK:
	case S_IFCHR:
		return "a device";
	default:
		return "of unknown kind";
	}
}

struct err filehash_trim(const char *path, char ret[LIMIT_PATH], struct reason *reterr)
{
	size_t n = strlen(path);

	while (n > 1 && path[n - 1] == '/')
		n--;
	if (n == 0 || n >= LIMIT_PATH) {
		reason_set(reterr, "no path of 1 to %d bytes", LIMIT_PATH - 1);
		return ERR(E_LOCAL_NOT_FOUND);
	}
	memcpy(ret, path, n);
	ret[n] = '\0';
	return ERR(E_OK);
}

static struct err wrong_kind(const char *path, mode_t mode, const char *wanted, struct reason *reterr)
{
	reason_set(reterr, "%s is %s, expected %s", log_quote(bytes_str(path)), file_kind(mode), wanted);
	return ERR(E_PEER_UNSUPPORTED);
}

/*
 * What an open(2) failure means. A symbolic link gives ELOOP or, with
 * O_DIRECTORY, ENOTDIR; a socket gives ENXIO: then lstat says what is there.
 */
static struct err open_failed(int dir_fd, const char *name, const char *path, const char *wanted,
			      struct reason *reterr)
{
	int code = errno;
	struct stat st;

	if ((code == ELOOP || code == ENOTDIR || code == ENXIO) &&
	    fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return wrong_kind(path, st.st_mode, wanted, reterr);
	reason_set(reterr, "%s: %s", log_quote(bytes_str(path)), strerrordesc_np(code) ?: "cannot be opened");
	switch (code) {
	case ENOENT:
		return ERR(E_LOCAL_NOT_FOUND);
	case EACCES:
	case EPERM:
		return ERR(E_LOCAL_PERMISSION);
	case ENOMEM:
		return ERR(E_LOCAL_MEMORY);
	default:
		return ERR(E_LOCAL_IO);
	}
}

static struct err open_one(int dir_fd, const char *name, const char *path, int *ret_fd, struct file_id *ret_id,
			   struct reason *reterr)
{
	cleanup_fd int fd = openat(dir_fd, name, OPEN_FLAGS);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0)
		return open_failed(dir_fd, name, path, "a regular file", reterr);
	if (!S_ISREG(st.st_mode))
		return wrong_kind(path, st.st_mode, "a regular file", reterr);
	file_id_of(&st, ret_id);
	*ret_fd = take_fd(&fd);
	return ERR(E_OK);
}

struct err filehash_open_folder(int root_fd, const char *name, int *ret_fd, struct reason *reterr)
{
	int fd = openat(root_fd, name, OPEN_FLAGS | O_DIRECTORY);

	if (fd < 0)
		return open_failed(root_fd, name, name, "a folder", reterr);
	*ret_fd = fd;
	return ERR(E_OK);
}

/*
 * Component by component, because O_NOFOLLOW looks at the last one only: a
 * folder that somebody swaps for a symbolic link between the walk and the
 * reading must not lead elsewhere.
 */
struct err filehash_open(int root_fd, const char *path, int *ret_fd, struct file_id *ret_id, struct reason *reterr)
{
	cleanup_fd int held = -1;
	const char *rest = path;
	int dir_fd = root_fd;
	struct err e;

	for (;;) {
		char name[NAME_MAX + 1];
		size_t n = strcspn(rest, "/");
		int next = -1;

		if (rest[n] == '\0')
			return open_one(dir_fd, rest, path, ret_fd, ret_id, reterr);
		if (n >= sizeof(name))
			return ERR(E_BUG);
		memcpy(name, rest, n);
		name[n] = '\0';
		if (failed(e = filehash_open_folder(dir_fd, name, &next, reterr)))
			return e;
		cleanup_fd_(&held);
		held = next;
		dir_fd = next;
		rest += n + 1;
	}
}

static struct err changed(const char *path, struct reason *reterr)
{
	reason_set(reterr, "%s changed while it was read", log_quote(bytes_str(path)));
	return ERR(E_PEER_CHANGED);
}

struct err filehash_unchanged(int fd, const char *path, const struct file_id *id, struct reason *reterr)
{
	struct file_id now;
	struct stat st;

	if (fstat(fd, &st) != 0)
		return ERR(E_LOCAL_IO);
	file_id_of(&st, &now);
	return file_id_equal(&now, id) ? ERR(E_OK) : changed(path, reterr);
}

struct err filehash_chunk(int fd, const char *path, uint8_t *to, size_t n, size_t *ret_n, struct reason *reterr)
{
	ssize_t got;

	do
		got = read(fd, to, n);
	while (got < 0 && errno == EINTR);
	if (got < 0) {
		reason_set(reterr, "%s: %s", log_quote(bytes_str(path)), strerrordesc_np(errno) ?: "cannot be read");
		return ERR(E_LOCAL_IO);
	}
	if (got == 0)
		return changed(path, reterr);
	*ret_n = (size_t)got;
	return ERR(E_OK);
}

struct err filehash_read(int root_fd, const char *path, struct buf *ret, struct reason *reterr)
{
	cleanup_buf struct buf b = BUF_INIT(ret->max);
	cleanup_fd int fd = -1;
	struct file_id id;
	struct err e;

	if (failed(e = filehash_open(root_fd, path, &fd, &id, reterr)))
		return e;
	if (id.size > b.max) {
		reason_set(reterr, "%s has %ju bytes, at most %zu are accepted", log_quote(bytes_str(path)),
			   (uintmax_t)id.size, b.max);
		return ERR(E_LIMIT_SIZE);
	}
	while (b.n < id.size) {
		uint8_t chunk[8192];
		size_t left = (size_t)id.size - b.n, got = 0;

		if (failed(e = filehash_chunk(fd, path, chunk, left < sizeof(chunk) ? left : sizeof(chunk), &got,
					      reterr)) ||
		    failed(e = buf_add(&b, BYTES(chunk, got))))
			return e;
	}
	if (failed(e = filehash_unchanged(fd, path, &id, reterr)))
		return e;
	return buf_add(ret, buf_bytes(&b));
}
