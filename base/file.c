/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "base/digest.h"
#include "base/log.h"
#include "base/text.h"

#define READ_CHUNK ((size_t)16 * 1024)
#define LOCK_POLL_MIN_MS 1
#define LOCK_POLL_MAX_MS 20

/* Translates errno, which callers cannot act on, and keeps its text for the debug log. */
static struct err io_failed(const char *what, const char *path)
{
	int code = errno;

	log_debug("%s %s: %s", what, log_quote(bytes_str(path)), strerrordesc_np(code) ?: "unknown error");
	switch (code) {
	case ENOENT:
		return ERR(E_LOCAL_NOT_FOUND);
	case EEXIST:
		return ERR(E_LOCAL_EXISTS);
	case EACCES:
	case EPERM:
		return ERR(E_LOCAL_PERMISSION);
	case ENOMEM:
		return ERR(E_LOCAL_MEMORY);
	default:
		return ERR(E_LOCAL_IO);
	}
}

/* Opens for reading. Not blocking, because a FIFO in the file's place would hold us for ever. */
static struct err open_for_read(int dir_fd, const char *path, struct stat *ret_st, int *ret_fd)
{
	cleanup_fd int fd = openat(dir_fd, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int flags;

	if (fd < 0 || fstat(fd, ret_st) != 0)
		return io_failed("open", path);
	if (!S_ISREG(ret_st->st_mode) && !S_ISCHR(ret_st->st_mode))
		return ERR(E_LOCAL_IO);
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) != 0)
		return io_failed("fcntl", path);
	*ret_fd = take_fd(&fd);
	return ERR(E_OK);
}

static struct err read_some(int fd, uint8_t *to, size_t n, size_t *ret_n)
{
	ssize_t got;

	do
		got = read(fd, to, n);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return io_failed("read", "file");
	*ret_n = (size_t)got;
	return ERR(E_OK);
}

static struct err read_to_end(int fd, struct buf *ret)
{
	size_t room, want, got = 0;
	uint8_t past;
	struct err e;

	for (;;) {
		room = ret->max - ret->n;
		if (room == 0)
			break;
		want = room < READ_CHUNK ? room : READ_CHUNK;
		if (failed(e = buf_reserve(ret, want)) ||
		    failed(e = read_some(fd, ret->p + ret->n, want, &got)))
			return e;
		if (got == 0)
			return ERR(E_OK);
		ret->n += got;
	}
	/* Full: that is fine if it is the end, too. */
	if (failed(e = read_some(fd, &past, 1, &got)))
		return e;
	return ERR(got == 0 ? E_OK : E_LIMIT_SIZE);
}

struct err fd_read(int fd, struct buf *ret)
{
	size_t before = ret->n;
	struct err e = read_to_end(fd, ret);

	return failed(e) && failed(buf_truncate(ret, before)) ? ERR(E_BUG) : e;
}

struct err file_read(int dir_fd, const char *path, struct buf *ret)
{
	cleanup_fd int fd = -1;
	struct stat st;
	struct err e;

	if (failed(e = open_for_read(dir_fd, path, &st, &fd)))
		return e;
	return fd_read(fd, ret);
}

static struct err read_part(int fd, size_t max, struct buf *ret)
{
	size_t before = ret->n, got = 1;
	struct err e;

	if (failed(e = buf_reserve(ret, max)))
		return e;
	while (got > 0 && ret->n - before < max) {
		if (failed(e = read_some(fd, ret->p + ret->n, max - (ret->n - before), &got)))
			return failed(buf_truncate(ret, before)) ? ERR(E_BUG) : e;
		ret->n += got;
	}
	return ERR(E_OK);
}

struct err file_read_part(int dir_fd, const char *path, uint64_t offset, size_t max, struct buf *ret)
{
	cleanup_fd int fd = -1;
	struct stat st;
	struct err e;

	if (offset > INT64_MAX)
		return ERR(E_LOCAL_IO);
	if (failed(e = open_for_read(dir_fd, path, &st, &fd)))
		return e;
	if (lseek(fd, (off_t)offset, SEEK_SET) < 0)
		return io_failed("lseek", path);
	return read_part(fd, max, ret);
}

struct err file_read_secret(int dir_fd, const char *path, struct buf *ret)
{
	cleanup_fd int fd = -1;
	struct stat st;
	struct err e;

	if (failed(e = open_for_read(dir_fd, path, &st, &fd)))
		return e;
	if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0 || st.st_uid != geteuid())
		return ERR(E_LOCAL_PERMISSION);
	return fd_read(fd, ret);
}

struct err fd_write_all(int fd, struct bytes data)
{
	size_t done = 0;
	ssize_t n;

	while (done < data.n) {
		n = write(fd, data.p + done, data.n - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return ERR(E_LOCAL_IO);
		done += (size_t)n;
	}
	return ERR(E_OK);
}

/* The folder of path, opened, and the last component, a part of path. */
static struct err open_parent(int dir_fd, const char *path, int *ret_fd, const char **ret_name)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash == NULL ? path : slash + 1;
	cleanup_free char *dir = NULL;
	struct err e;

	if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return ERR(E_LOCAL_IO);
	if (slash == NULL)
		dir = strdup(".");
	else
		dir = slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
	if (dir == NULL)
		return ERR(E_LOCAL_MEMORY);
	if (failed(e = dir_open(dir_fd, dir, ret_fd)))
		return e;
	*ret_name = name;
	return ERR(E_OK);
}

static bool is_owned(const struct stat *st)
{
	return (st->st_uid == 0 || st->st_uid == geteuid()) && (st->st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

/* The folder first: where it is ours, nobody exchanges the name between the looks. */
struct err file_read_owned(const char *path, struct buf *ret)
{
	cleanup_fd int dir = -1, fd = -1;
	const char *name;
	struct stat st;
	struct err e;

	if (failed(e = open_parent(AT_FDCWD, path, &dir, &name)))
		return e;
	if (fstat(dir, &st) != 0)
		return io_failed("stat the folder of", path);
	if (!is_owned(&st))
		return ERR(E_LOCAL_PERMISSION);
	if (failed(e = open_for_read(dir, name, &st, &fd)))
		return e;
	return is_owned(&st) ? fd_read(fd, ret) : ERR(E_LOCAL_PERMISSION);
}

/* A new file with the data, durable, under a name of its own. */
static struct err write_temp(int dir, const char *temp, struct bytes data, mode_t mode)
{
	cleanup_fd int fd = openat(dir, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);

	if (fd < 0)
		return io_failed("create", temp);
	if (failed(fd_write_all(fd, data)))
		return io_failed("write", temp);
	if (fsync(fd) != 0)
		return io_failed("fsync", temp);
	return ERR(E_OK);
}

/* From the temporary name to the final one. link(2) is the form that never replaces. */
static struct err publish(int dir, const char *temp, const char *name, bool replace)
{
	if (replace && renameat(dir, temp, dir, name) != 0)
		return io_failed("rename to", name);
	if (!replace && linkat(dir, temp, dir, name, 0) != 0)
		return io_failed("link to", name);
	if (!replace && unlinkat(dir, temp, 0) != 0)
		return io_failed("unlink", temp);
	if (fsync(dir) != 0)
		return io_failed("fsync the folder of", name);
	return ERR(E_OK);
}

static struct err write_file(int dir_fd, const char *path, struct bytes data, mode_t mode, bool replace)
{
	char temp[sizeof(TEMP_PREFIX) + 2 * 8] = TEMP_PREFIX;
	cleanup_fd int dir = -1;
	const char *name;
	uint8_t rnd[8];
	struct err e;

	if (failed(e = open_parent(dir_fd, path, &dir, &name)) ||
	    failed(e = random_bytes(rnd, sizeof(rnd))) ||
	    failed(e = hex_encode(BYTES_ARR(rnd), temp + strlen(TEMP_PREFIX), sizeof(temp) - strlen(TEMP_PREFIX))))
		return e;
	if (failed(e = write_temp(dir, temp, data, mode)) ||
	    failed(e = publish(dir, temp, name, replace)))
		(void)unlinkat(dir, temp, 0);
	return e;
}

struct err file_write(int dir_fd, const char *path, struct bytes data, mode_t mode)
{
	return write_file(dir_fd, path, data, mode, true);
}

struct err file_create(int dir_fd, const char *path, struct bytes data, mode_t mode)
{
	return write_file(dir_fd, path, data, mode, false);
}

struct err dir_open(int dir_fd, const char *path, int *ret_fd)
{
	int fd = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return io_failed("open folder", path);
	*ret_fd = fd;
	return ERR(E_OK);
}

struct err dir_make(const char *path, mode_t mode)
{
	cleanup_free char *part = strdup(path);
	cleanup_fd int fd = -1;
	char *end = part;

	if (part == NULL)
		return ERR(E_LOCAL_MEMORY);
	while (end != NULL && *end != '\0') {
		end = strchr(end + 1, '/');
		if (end != NULL)
			*end = '\0';
		if (mkdir(part, mode) != 0 && errno != EEXIST)
			return io_failed("make folder", part);
		if (end != NULL)
			*end = '/';
	}
	/* What was there already may be a file. */
	return dir_open(AT_FDCWD, path, &fd);
}

/* False when the file was unlinked or replaced before we had its lock: the lock is then worth nothing. */
static struct err still_there(int dir_fd, const char *path, int fd, bool *ret)
{
	struct stat ours, named;

	if (fstat(fd, &ours) != 0)
		return io_failed("stat", path);
	if (fstatat(dir_fd, path, &named, AT_SYMLINK_NOFOLLOW) != 0) {
		if (errno != ENOENT)
			return io_failed("stat", path);
		*ret = false;
		return ERR(E_OK);
	}
	*ret = ours.st_dev == named.st_dev && ours.st_ino == named.st_ino;
	return ERR(E_OK);
}

static struct err try_lock(int dir_fd, const char *path, int *ret_fd)
{
	cleanup_fd int fd = openat(dir_fd, path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
	bool valid = false;
	struct err e;

	if (fd < 0)
		return io_failed("open lock", path);
	if (flock(fd, LOCK_EX | LOCK_NB) != 0)
		return errno == EWOULDBLOCK || errno == EINTR ? ERR(E_LOCAL_BUSY) : io_failed("lock", path);
	if (failed(e = still_there(dir_fd, path, fd, &valid)))
		return e;
	if (!valid)
		return ERR(E_LOCAL_BUSY);
	*ret_fd = take_fd(&fd);
	return ERR(E_OK);
}

/* flock(2) knows no deadline, and an alarm belongs to the program and not to a library: ask again, ever less often. */
struct lock_wait {
	uint64_t start_ms, pause_ms;
	unsigned timeout_ms;
};

static struct lock_wait lock_wait(unsigned timeout_ms)
{
	return (struct lock_wait){ clock_boottime_ms(), LOCK_POLL_MIN_MS, timeout_ms };
}

/* False where the time is over. */
static bool lock_pause(struct lock_wait *w)
{
	uint64_t passed = clock_boottime_ms() - w->start_ms;

	if (passed >= w->timeout_ms)
		return false;
	if (w->pause_ms > w->timeout_ms - passed)
		w->pause_ms = w->timeout_ms - passed;
	(void)nanosleep(&(struct timespec){ .tv_nsec = (long)w->pause_ms * 1000000 }, NULL);
	w->pause_ms = w->pause_ms * 2 < LOCK_POLL_MAX_MS ? w->pause_ms * 2 : LOCK_POLL_MAX_MS;
	return true;
}

struct err file_lock(int dir_fd, const char *path, unsigned timeout_ms, int *ret_fd)
{
	struct lock_wait w = lock_wait(timeout_ms);
	struct err e;

	for (;;) {
		e = try_lock(dir_fd, path, ret_fd);
		if (e.code != E_LOCAL_BUSY)
			return e;
		if (!lock_pause(&w))
			return ERR(E_LOCAL_TIMEOUT);
	}
}

/* The lock ends with the descriptor. */
struct err file_read_shared(int dir_fd, const char *path, unsigned timeout_ms, size_t max, struct buf *ret)
{
	struct lock_wait w = lock_wait(timeout_ms);
	cleanup_fd int fd = -1;
	struct stat st;
	struct err e;

	if (failed(e = open_for_read(dir_fd, path, &st, &fd)))
		return e;
	while (flock(fd, LOCK_SH | LOCK_NB) != 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return io_failed("lock", path);
		if (!lock_pause(&w))
			return ERR(E_LOCAL_TIMEOUT);
	}
	return read_part(fd, max, ret);
}

int64_t clock_now_s(void)
{
	struct timespec t = { 0 };

	(void)clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec;
}

uint64_t clock_boottime_ms(void)
{
	struct timespec t = { 0 };

	(void)clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}
