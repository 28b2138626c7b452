/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/changes.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/log.h"

#define N_ROOTS 2 /* image or root, model */
#define FOLDER_MASK (IN_MODIFY | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF)
#define FILE_MASK (IN_MODIFY | IN_DELETE_SELF | IN_MOVE_SELF)
#define PARENT_MASK (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO)
#define EVENTS_SIZE 4096

/* Where image, root or model lies: the folder is watched for that name alone, unless it is part of the other one. */
struct root {
	char *path;
	const char *name;
	bool container;  /* the root of one */
	int parent_wd;   /* -1: none */
	uint64_t mount;  /* id of the mount that it lies in, 0: unknown */
};

struct changes {
	int fd, mounts_fd;
	struct root root[N_ROOTS];
	bool whole;
	size_t n_trees, max_trees;
	int *tree;       /* watches of which any event counts, ascending */
};

void changes_free(struct changes *c)
{
	if (c == NULL)
		return;
	cleanup_fd_(&c->fd);
	cleanup_fd_(&c->mounts_fd);
	for (size_t i = 0; i < N_ROOTS; i++)
		free(c->root[i].path);
	free(c->tree);
	free(c);
}

int changes_fd(const struct changes *c)
{
	return c->fd;
}

int changes_mounts_fd(const struct changes *c)
{
	return c->mounts_fd;
}

static void missed(struct changes *c, const char *path, const char *why, struct reason *reterr)
{
	if (c->whole)
		reason_set(reterr, "%s cannot be watched: %s", log_quote(bytes_str(path)), why);
	c->whole = false;
}

static int by_number(const void *a, const void *b)
{
	int x = *(const int *)a, y = *(const int *)b;

	return (x > y) - (x < y);
}

static bool is_tree(const struct changes *c, int wd)
{
	return c->n_trees > 0 && bsearch(&wd, c->tree, c->n_trees, sizeof(wd), by_number) != NULL;
}

static struct err add_tree(struct changes *c, const char *path, uint32_t mask, struct reason *reterr)
{
	int wd = inotify_add_watch(c->fd, path, mask | IN_MASK_ADD);

	if (wd < 0) {
		missed(c, path, errno == ENOSPC ? "there are no more watches (fs.inotify.max_user_watches)" : strerror(errno),
		       reterr);
		return ERR(E_OK);
	}
	if (c->n_trees == c->max_trees) {
		size_t max = c->max_trees == 0 ? 64 : 2 * c->max_trees;
		int *more = reallocarray(c->tree, max, sizeof(*more));

		if (more == NULL)
			return ERR(E_LOCAL_MEMORY);
		c->tree = more;
		c->max_trees = max;
	}
	c->tree[c->n_trees++] = wd;
	return ERR(E_OK);
}

/* Whatever it is, it is watched as such: a link in a container's root leads to nothing of this host. */
static struct err add_of_container(struct changes *c, const FTSENT *f, struct reason *reterr)
{
	const uint32_t always = IN_ATTRIB | IN_DONT_FOLLOW;

	switch (f->fts_info) {
	case FTS_D:
		if (f->fts_level > LIMIT_TREE_DEPTH) {
			missed(c, f->fts_path, "it lies too deep", reterr);
			return ERR(E_OK);
		}
		return add_tree(c, f->fts_path, FOLDER_MASK | IN_ONLYDIR | always, reterr);
	case FTS_DNR:
	case FTS_NS:
	case FTS_ERR:
		missed(c, f->fts_path, strerror(f->fts_errno), reterr);
		return ERR(E_OK);
	case FTS_DP:
		return ERR(E_OK);
	default:
		if (f->fts_level == 0)
			missed(c, f->fts_path, "it is not a folder", reterr);
		return f->fts_statp->st_nlink > 1 ? add_tree(c, f->fts_path, FILE_MASK | always, reterr) : ERR(E_OK);
	}
}

/* A folder sees what is done to its files by their names in it; with a second name, the file itself is watched. */
static struct err add_found(struct changes *c, const FTSENT *f, struct reason *reterr)
{
	switch (f->fts_info) {
	case FTS_D:
		if (f->fts_level > CHANGES_DEPTH_MAX) {
			missed(c, f->fts_path, "it lies too deep", reterr);
			return ERR(E_OK);
		}
		return add_tree(c, f->fts_path, FOLDER_MASK | IN_ONLYDIR, reterr);
	case FTS_F:
		return f->fts_level == 0 || f->fts_statp->st_nlink > 1 ? add_tree(c, f->fts_path, FILE_MASK, reterr)
									: ERR(E_OK);
	case FTS_SL: /* what it leads to; that it leads elsewhere, its folder sees */
		return add_tree(c, f->fts_path, FILE_MASK, reterr);
	case FTS_DNR:
	case FTS_NS:
	case FTS_ERR:
		missed(c, f->fts_path, strerror(f->fts_errno), reterr);
		break;
	default:
		break;
	}
	return ERR(E_OK);
}

static void close_walk(FTS **w)
{
	if (*w != NULL)
		(void)fts_close(*w);
}

static struct err add_below(struct changes *c, const struct root *r, struct reason *reterr)
{
	char *const paths[] = { r->path, NULL };
	cleanup(close_walk) FTS *walk = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR | (r->container ? 0 : FTS_COMFOLLOW),
						 NULL);
	const FTSENT *f;
	struct err e;

	if (walk == NULL)
		return ERR(E_LOCAL_IO);
	while ((f = fts_read(walk)) != NULL)
		if (failed(e = r->container ? add_of_container(c, f, reterr) : add_found(c, f, reterr)))
			return e;
	return ERR(E_OK);
}

/* Changes when another file system is mounted there. */
static uint64_t mount_of(const char *path)
{
	struct statx st;

	return statx(AT_FDCWD, path, 0, STATX_MNT_ID, &st) == 0 ? st.stx_mnt_id : 0;
}

static struct err add_root(struct changes *c, struct root *r, const char *path, struct reason *reterr)
{
	cleanup_free char *parent = NULL;
	char *slash;
	struct err e;

	r->path = strdup(path);
	parent = strdup(path);
	if (r->path == NULL || parent == NULL)
		return ERR(E_LOCAL_MEMORY);
	slash = strrchr(parent, '/');
	r->name = strrchr(r->path, '/');
	r->name = r->name == NULL ? r->path : r->name + 1;
	if (slash != NULL)
		slash[slash == parent ? 1 : 0] = '\0';
	r->parent_wd = inotify_add_watch(c->fd, slash == NULL ? "." : parent, PARENT_MASK | IN_MASK_ADD);
	if (r->parent_wd < 0)
		missed(c, parent, strerror(errno), reterr);
	if (failed(e = add_below(c, r, reterr)))
		return e;
	r->mount = mount_of(path);
	return ERR(E_OK);
}

static struct err watch(const char *first, bool container, const char *model, struct changes **ret, bool *ret_whole,
			struct reason *reterr)
{
	cleanup_changes struct changes *c = calloc(1, sizeof(*c));
	struct err e;

	if (c == NULL)
		return ERR(E_LOCAL_MEMORY);
	c->whole = true;
	c->root[0].container = container;
	c->mounts_fd = -1;
	c->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (c->fd < 0) {
		reason_set(reterr, "no inotify: %s", strerror(errno));
		return ERR(E_LOCAL_IO);
	}
	c->mounts_fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	if (c->mounts_fd < 0)
		missed(c, "/proc/self/mountinfo", strerror(errno), reterr);
	if (failed(e = add_root(c, &c->root[0], first, reterr)) || failed(e = add_root(c, &c->root[1], model, reterr)))
		return e;
	if (c->n_trees > 0)
		qsort(c->tree, c->n_trees, sizeof(*c->tree), by_number);
	*ret_whole = c->whole;
	*ret = take_ptr(&c);
	return ERR(E_OK);
}

struct err changes_watch(const char *image, const char *model, struct changes **ret, bool *ret_whole,
			 struct reason *reterr)
{
	return watch(image, false, model, ret, ret_whole, reterr);
}

struct err changes_watch_root(const char *root, const char *model, struct changes **ret, bool *ret_whole,
			      struct reason *reterr)
{
	return watch(root, true, model, ret, ret_whole, reterr);
}

static bool counts(const struct changes *c, const struct inotify_event *ev)
{
	if ((ev->mask & IN_Q_OVERFLOW) != 0)
		return true;
	if ((ev->mask & IN_IGNORED) != 0)
		return false;
	if (is_tree(c, ev->wd))
		return true;
	for (size_t i = 0; i < N_ROOTS; i++)
		if (ev->wd == c->root[i].parent_wd && ev->len > 0 && strcmp(ev->name, c->root[i].name) == 0)
			return true;
	return false;
}

static bool files_changed(struct changes *c)
{
	_Alignas(struct inotify_event) char events[EVENTS_SIZE];
	bool seen = false;
	ssize_t n;

	while ((n = read(c->fd, events, sizeof(events))) > 0) {
		const struct inotify_event *ev;

		for (const char *p = events; p < events + n; p += sizeof(*ev) + ev->len) {
			ev = (const struct inotify_event *)(const void *)p;
			seen = seen || counts(c, ev);
		}
	}
	return seen;
}

/* The caller's poll() has marked the table as seen: a second one would say that nothing happened. */
static bool mounts_changed(struct changes *c)
{
	bool seen = false;

	for (size_t i = 0; i < N_ROOTS; i++) {
		uint64_t now = mount_of(c->root[i].path);

		seen = seen || now != c->root[i].mount;
		c->root[i].mount = now;
	}
	return seen;
}

bool changes_seen(struct changes *c)
{
	bool files = files_changed(c), mounts = mounts_changed(c);

	return files || mounts;
}
