/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/container/root.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"
#include "firmware-measure/tree_walk.h"

#define MTAB_TARGET "/proc/mounts" /* podman(1) makes such a link at /etc/mtab */

static bool is_listed(const json_t *absent, const char *path)
{
	for (size_t i = 0; i < json_array_size(absent); i++) {
		const char *p = json_string_value(json_array_get(absent, i));

		if (p != NULL && p[0] == '/' && strcmp(p + 1, path) == 0)
			return true;
	}
	return false;
}

static bool is_below(const char *path, const char *folder)
{
	size_t n = strlen(folder);

	return strncmp(path, folder, n) == 0 && path[n] == '/';
}

/* next: what stands behind it and stays, or NULL. */
static bool is_empty(const struct tree_entry *x, const struct tree_entry *next)
{
	switch (x->inode->type) {
	case 'd':
		return next == NULL || !is_below(next->path, x->path);
	case 'f':
		return x->inode->size == 0;
	case 'l':
		return strcmp(x->inode->target, MTAB_TARGET) == 0;
	default:
		return false;
	}
}

void container_root_drop(struct tree *t, const json_t *absent)
{
	size_t to = t->n;

	/* From the end: what is in a folder stands behind it. */
	for (size_t i = t->n; i-- > 0;) {
		struct tree_entry *x = t->v[i];

		if (x->path[0] == '\0' || !is_listed(absent, x->path) || !is_empty(x, to < t->n ? t->v[to] : NULL))
			t->v[--to] = x;
	}
	if (to > 0)
		memmove(t->v, t->v + to, (t->n - to) * sizeof(struct tree_entry *));
	t->n -= to;
}

static struct err other_root(const char *rootfs, struct reason *reterr)
{
	reason_set(reterr, "%s is another folder than the root of the container", log_quote(bytes_str(rootfs)));
	return ERR(E_PEER_CHANGED);
}

static bool is_same(const struct instance_container *c, const struct stat *st)
{
	return (uint64_t)st->st_dev == c->dev && (uint64_t)st->st_ino == c->ino;
}

#define HOST_ROOT "/proc/1/root"

struct err container_root_reach(const struct instance_container *c, char **ret, struct reason *reterr)
{
	cleanup_free char *path = NULL;
	struct stat ours, host;
	int code = lstat(c->rootfs, &ours) == 0 ? 0 : errno;

	if (code == 0 && is_same(c, &ours)) {
		*ret = strdup(c->rootfs);
		return *ret == NULL ? ERR(E_LOCAL_MEMORY) : ERR(E_OK);
	}
	if (asprintf(&path, HOST_ROOT "%s", c->rootfs) < 0)
		return ERR(E_LOCAL_MEMORY);
	if (lstat(path, &host) == 0 && is_same(c, &host)) {
		*ret = take_ptr(&path);
		return ERR(E_OK);
	}
	if (code == 0)
		return other_root(c->rootfs, reterr);
	reason_set(reterr, "%s: %s", log_quote(bytes_str(c->rootfs)), strerrordesc_np(code) ?: "unknown error");
	return ERR(code == ENOENT || code == ENOTDIR ? E_LOCAL_NOT_FOUND : E_LOCAL_IO);
}

struct err container_root_digest(const struct instance_container *c, uint8_t ret[32], struct reason *reterr)
{
	struct pile_budget budget = { LIMIT_TREE_ENTRIES, LIMIT_TREE_BYTES };
	cleanup_tree struct tree tree = { .pile = { .budget = &budget } };
	cleanup_free char *path = NULL;
	cleanup_fd int fd = -1;
	uint64_t n_bytes;
	struct stat st;
	struct err e;

	if (failed(e = container_root_reach(c, &path, reterr)))
		return e;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) != 0) {
		reason_set(reterr, "%s: %s", log_quote(bytes_str(c->rootfs)), strerrordesc_np(errno) ?: "unknown error");
		return ERR(errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? E_LOCAL_NOT_FOUND : E_LOCAL_IO);
	}
	if (!is_same(c, &st))
		return other_root(c->rootfs, reterr);
	if (failed(e = tree_walk_fd(fd, c->allow_devices, NULL, &tree, &n_bytes, reterr)))
		return e;
	container_root_drop(&tree, c->absent);
	return tree_digest(&tree, false, ret);
}

/* What a process sees under a path. */
static struct err look(pid_t pid, const char *path, struct stat *ret, struct reason *reterr)
{
	cleanup_free char *name = NULL;

	if (asprintf(&name, "/proc/%d/root%s", (int)pid, path) < 0)
		return ERR(E_LOCAL_MEMORY);
	if (stat(name, ret) == 0)
		return ERR(E_OK);
	reason_set(reterr, "%s: %s", log_quote(bytes_str(name)), strerrordesc_np(errno) ?: "unknown error");
	return ERR(errno == ENOENT || errno == ESRCH ? E_LOCAL_NOT_FOUND : E_LOCAL_IO);
}

static struct err conflict(const struct instance_container *c, struct reason *reterr)
{
	reason_set(reterr, "the container's root is not the folder %s", log_quote(bytes_str(c->rootfs)));
	return ERR(E_AUTH_CONFLICT);
}

struct err container_root_pin(struct instance_container *c, pid_t init, struct reason *reterr)
{
	struct stat ours, theirs;
	struct err e;

	if (lstat(c->rootfs, &ours) != 0) {
		reason_set(reterr, "%s: %s", log_quote(bytes_str(c->rootfs)), strerrordesc_np(errno) ?: "unknown error");
		return ERR(errno == ENOENT ? E_LOCAL_NOT_FOUND : E_LOCAL_IO);
	}
	if (failed(e = look(init, c->rootfs, &theirs, reterr)))
		return e;
	c->dev = ours.st_dev;
	c->ino = ours.st_ino;
	return is_same(c, &theirs) ? ERR(E_OK) : conflict(c, reterr);
}

struct err container_root_check(const struct instance_container *c, pid_t init, struct reason *reterr)
{
	struct stat st;
	struct err e = look(init, "/", &st, reterr);

	if (failed(e))
		return e;
	return is_same(c, &st) ? ERR(E_OK) : conflict(c, reterr);
}
