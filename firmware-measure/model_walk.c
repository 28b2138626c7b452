/* SPDX-License-Identifier: Apache-2.0 */
#include "firmware-measure/model_walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"

struct walk {
	const struct model_root *root;
	model_each *each;
	void *ctx;
	struct reason *reterr;
	size_t n_entries;
	size_t path_len;
	char path[LIMIT_PATH]; /* of the entry that is looked at */
};

static inline void cleanup_dir_(DIR **d)
{
	if (*d != NULL)
		(void)closedir(*d);
}
#define cleanup_dir cleanup(cleanup_dir_)

/* C0 and C1 controls and DEL: a name that draws on a terminal or in a log is no name of a model file. */
static bool has_control(const char *s)
{
	const unsigned char *c = (const unsigned char *)s;

	for (; *c != '\0'; c++) {
		if (*c < 0x20 || *c == 0x7f)
			return true;
		if (c[0] == 0xc2 && c[1] >= 0x80 && c[1] <= 0x9f)
			return true;
	}
	return false;
}

static struct err check_name(const struct walk *w, const char *name)
{
	if (utf8_valid(bytes_str(name)) && !has_control(name))
		return ERR(E_OK);
	reason_set(w->reterr, "%s: names must be UTF-8 without control characters", log_quote(bytes_str(w->path)));
	return ERR(E_PEER_SYNTAX);
}

/* Appends "/name"; the caller cuts it off again. */
static struct err push_name(struct walk *w, const char *name)
{
	size_t n = strlen(name), slash = w->path_len > 0 ? 1 : 0;

	if (n + slash >= sizeof(w->path) - w->path_len) {
		reason_set(w->reterr, "%s: path longer than %d bytes", log_quote(bytes_str(w->path)), LIMIT_PATH - 1);
		return ERR(E_LIMIT_SIZE);
	}
	if (slash > 0)
		w->path[w->path_len++] = '/';
	memcpy(w->path + w->path_len, name, n + 1);
	w->path_len += n;
	return ERR(E_OK);
}

static void pop_to(struct walk *w, size_t len)
{
	w->path_len = len;
	w->path[len] = '\0';
}

static struct err vanished(const struct walk *w)
{
	reason_set(w->reterr, "%s changed while the model was read", log_quote(bytes_str(w->path)));
	return ERR(E_PEER_CHANGED);
}

static struct err io_failed(const struct walk *w, int code)
{
	reason_set(w->reterr, "%s: %s", log_quote(bytes_str(w->path)), strerrordesc_np(code) ?: "unknown error");
	return ERR(code == EACCES || code == EPERM ? E_LOCAL_PERMISSION : E_LOCAL_IO);
}

#define BLOB_NAME_MAX 64

/*
 * The blob that a link of a cache leads to: by its text alone, which must be the
 * one that belongs at this depth. False for every other link.
 */
static bool blob_of(const struct walk *w, int dir_fd, const char *name, unsigned depth, char ret[BLOB_NAME_MAX + 1])
{
	char target[3 * (LIMIT_MODEL_DEPTH + 2) + 8 + BLOB_NAME_MAX + 2];
	const char *at = target;
	ssize_t n;

	if (w->root->blobs_fd < 0)
		return false;
	n = readlinkat(dir_fd, name, target, sizeof(target) - 1);
	if (n < 0 || (size_t)n >= sizeof(target) - 1)
		return false;
	target[n] = '\0';
	for (unsigned i = 0; i < depth + 2; i++, at += 3)
		if (strncmp(at, "../", 3) != 0)
			return false;
	if (strncmp(at, "blobs/", 6) != 0)
		return false;
	at += 6;
	n = (ssize_t)strspn(at, "0123456789abcdef");
	if ((n != 40 && n != 64) || at[n] != '\0')
		return false;
	memcpy(ret, at, (size_t)n + 1);
	return true;
}

static struct err wrong_kind(const struct walk *w, mode_t mode, const char *what)
{
	reason_set(w->reterr, "%s is %s: a model consists of regular files%s", log_quote(bytes_str(w->path)),
		   file_kind(mode), what);
	return ERR(E_PEER_UNSUPPORTED);
}

static struct err visit_link(struct walk *w, int dir_fd, const char *name, unsigned depth)
{
	char blob[BLOB_NAME_MAX + 1];
	struct file_id id;
	struct stat st;

	if (!blob_of(w, dir_fd, name, depth, blob))
		return wrong_kind(w, S_IFLNK,
				  w->root->blobs_fd < 0 ? "" : ", or links to blobs of the same Hugging Face cache");
	if (fstatat(w->root->blobs_fd, blob, &st, AT_SYMLINK_NOFOLLOW) != 0) {
		reason_set(w->reterr, "%s: its blob %s: %s", log_quote(bytes_str(w->path)), blob,
			   strerrordesc_np(errno) ?: "not found");
		return ERR(errno == ENOENT ? E_PEER_MISSING : E_LOCAL_IO);
	}
	if (!S_ISREG(st.st_mode))
		return wrong_kind(w, st.st_mode, " (in place of its blob)");
	file_id_of(&st, &id);
	return w->each(w->ctx, w->path, blob, &id, w->reterr);
}

static struct err visit_folder(struct walk *w, int fd /* takes ownership */, unsigned depth);

static struct err visit_entry(struct walk *w, int dir_fd, const char *name, unsigned depth)
{
	struct file_id id;
	struct stat st;
	int fd;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? vanished(w) : io_failed(w, errno);
	if (S_ISREG(st.st_mode)) {
		file_id_of(&st, &id);
		return w->each(w->ctx, w->path, NULL, &id, w->reterr);
	}
	if (S_ISLNK(st.st_mode))
		return visit_link(w, dir_fd, name, w->root->only[0] != '\0' ? 0 : depth);
	if (!S_ISDIR(st.st_mode))
		return wrong_kind(w, st.st_mode, "");
	if (depth == LIMIT_MODEL_DEPTH) {
		reason_set(w->reterr, "%s: folders nested more than %d deep", log_quote(bytes_str(w->path)),
			   LIMIT_MODEL_DEPTH);
		return ERR(E_LIMIT_DEPTH);
	}
	fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? vanished(w) : io_failed(w, errno);
	return visit_folder(w, fd, depth + 1);
}

static struct err visit_folder(struct walk *w, int fd, unsigned depth)
{
	cleanup_dir DIR *d = fdopendir(fd);
	size_t len = w->path_len;
	struct dirent *entry;
	struct err e;

	if (d == NULL) {
		(void)close(fd);
		return ERR(E_LOCAL_MEMORY);
	}
	for (errno = 0; (entry = readdir(d)) != NULL; errno = 0) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (w->n_entries++ == LIMIT_MODEL_FILES) {
			reason_set(w->reterr, "more than %d files and folders", LIMIT_MODEL_FILES);
			return ERR(E_LIMIT_COUNT);
		}
		if (failed(e = push_name(w, entry->d_name)) || failed(e = check_name(w, entry->d_name)))
			return e;
		if ((w->root->skip == NULL || !w->root->skip(w->root->skip_ctx, w->path)) &&
		    failed(e = visit_entry(w, dirfd(d), entry->d_name, depth)))
			return e;
		pop_to(w, len);
	}
	return errno == 0 ? ERR(E_OK) : io_failed(w, errno);
}

struct err model_walk(const struct model_root *root, model_each *each, void *ctx, struct reason *reterr)
{
	struct walk w = { .root = root, .each = each, .ctx = ctx, .reterr = reterr };
	struct err e;
	int fd;

	if (root->only[0] != '\0') {
		if (failed(e = push_name(&w, root->only)) ||
		    failed(e = check_name(&w, root->only)))
			return e;
		return visit_entry(&w, root->fd, root->only, LIMIT_MODEL_DEPTH);
	}
	/* A descriptor of its own, because the position in a folder is shared between duplicates. */
	fd = openat(root->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return io_failed(&w, errno);
	return visit_folder(&w, fd, 0);
}

/* The folder around a file, or around a link in a revision of a cache, and its base name. */
static struct err open_around(char *path, struct model_root *ret, struct reason *reterr)
{
	char *slash = strrchr(path, '/');
	const char *base = slash != NULL ? slash + 1 : path;
	const char *folder = ".";
	int fd;

	if (strlen(base) >= sizeof(ret->only))
		return ERR(E_LOCAL_NOT_FOUND);
	memcpy(ret->only, base, strlen(base) + 1);
	if (slash != NULL) {
		folder = slash == path ? "/" : path;
		*slash = '\0';
	}
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		reason_set(reterr, "the folder of %s cannot be opened", log_quote(bytes_str(base)));
		return ERR(E_LOCAL_IO);
	}
	ret->fd = fd;
	return ERR(E_OK);
}

static bool same_folder(int dir_fd, const char *a, const char *b)
{
	struct stat x, y;

	return fstatat(dir_fd, a, &x, AT_SYMLINK_NOFOLLOW) == 0 && fstatat(dir_fd, b, &y, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISDIR(x.st_mode) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* A folder in "snapshots" with "blobs" beside that. No cache, or none that can be read, is no failure: links are refused then. */
static int open_blobs(int fd)
{
	if (!same_folder(fd, "..", "../../snapshots"))
		return -1;
	return openat(fd, "../../blobs", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

struct err model_root_open(const char *path, struct model_root *ret, struct reason *reterr)
{
	cleanup_model_root struct model_root r = MODEL_ROOT_INIT;
	char trimmed[LIMIT_PATH];
	struct stat st;
	struct err e;

	if (failed(e = filehash_trim(path, trimmed, reterr)))
		return e;
	if (lstat(trimmed, &st) == 0 && (S_ISREG(st.st_mode) || S_ISLNK(st.st_mode)))
		e = open_around(trimmed, &r, reterr);
	else
		e = filehash_open_folder(AT_FDCWD, trimmed, &r.fd, reterr);
	if (failed(e))
		return e;
	r.blobs_fd = open_blobs(r.fd);
	*ret = r;
	r = (struct model_root)MODEL_ROOT_INIT;
	return ERR(E_OK);
}
