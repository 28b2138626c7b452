/* SPDX-License-Identifier: Apache-2.0 */
#include "firmware-measure/tree_walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/log.h"
#include "firmware-measure/filehash.h"
#include "firmware-measure/tar.h"

/* What one walk found: beside each entry of the tree, by its seq. */
struct seen {
	struct file_id id;
	struct tree_entry *entry;
	bool linked; /* has another name, perhaps outside */
};

struct walk {
	struct tree *tree;
	bool allow_devices;
	struct seen *seen;
	size_t cap;
	uint64_t n_bytes;
	struct xattrs xattrs;
	size_t path_len;
	char path[LIMIT_PATH];
	struct reason *reterr;
};

static void walk_done(struct walk *w)
{
	xattrs_done(&w->xattrs);
	free(w->seen);
}
#define cleanup_walk cleanup(walk_done)

static inline void cleanup_dir_(DIR **d)
{
	if (*d != NULL)
		(void)closedir(*d);
}
#define cleanup_dir cleanup(cleanup_dir_)

static const char *here(const struct walk *w, struct log_quote *q)
{
	return log_quote_(q, w->path_len > 0 ? BYTES(w->path, w->path_len) : BYTES_LIT("/"));
}
#define HERE(w) here((w), &(struct log_quote){ { 0 } })

static struct err io_failed(const struct walk *w, int code)
{
	if (code == ENOENT || code == ENOTDIR || code == ELOOP) {
		reason_set(w->reterr, "%s changed while it was read", HERE(w));
		return ERR(E_PEER_CHANGED);
	}
	reason_set(w->reterr, "%s: %s", HERE(w), strerrordesc_np(code) ?: "unknown error");
	return ERR(code == EACCES || code == EPERM ? E_LOCAL_PERMISSION : code == ENOMEM ? E_LOCAL_MEMORY : E_LOCAL_IO);
}

static struct err refuse(const struct walk *w, enum err_code code, const char *what)
{
	reason_set(w->reterr, "%s %s", HERE(w), what);
	return ERR(code);
}

/* Whatever has the name, without following it and without leaving this mount. */
static struct err open_path(const struct walk *w, int dir_fd, const char *name, int *ret)
{
	struct open_how how = {
		.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_NO_XDEV | RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
	};
	long fd = syscall(SYS_openat2, dir_fd, name, &how, sizeof(how));

	if (fd < 0)
		return errno == EXDEV ? refuse(w, E_PEER_UNSUPPORTED, "is a mount point") : io_failed(w, errno);
	*ret = (int)fd;
	return ERR(E_OK);
}

static struct err add_attribute(struct walk *w, const char *file, const char *name)
{
	cleanup_free char *value = NULL;
	ssize_t n;
	struct err e;

	if (!xattr_matters(bytes_str(name)))
		return ERR(E_OK);
	n = getxattr(file, name, NULL, 0);
	if (n < 0)
		return io_failed(w, errno == ENODATA ? ENOENT : errno);
	value = malloc((size_t)n + 1);
	if (value == NULL)
		return ERR(E_LOCAL_MEMORY);
	n = getxattr(file, name, value, (size_t)n + 1);
	if (n < 0)
		return io_failed(w, errno == ENODATA ? ENOENT : errno);
	if (failed(e = xattrs_add(&w->xattrs, bytes_str(name), BYTES(value, (size_t)n))))
		return refuse(w, e.code, "has too many attributes");
	return ERR(E_OK);
}

/* Through /proc, because the descriptor may be that of a device, which nobody wants to open. */
static struct err attributes(struct walk *w, int fd, struct tree_inode *inode)
{
	cleanup_buf struct buf encoded = BUF_INIT(LIMIT_XATTR_BYTES);
	cleanup_free char *names = malloc(XATTR_LIST_MAX);
	const char *text = NULL;
	char file[64];
	ssize_t n;
	struct err e;

	if (names == NULL)
		return ERR(E_LOCAL_MEMORY);
	(void)snprintf(file, sizeof(file), "/proc/self/fd/%d", fd);
	n = listxattr(file, names, XATTR_LIST_MAX);
	if (n < 0)
		return errno == ENOTSUP ? ERR(E_OK) : io_failed(w, errno);
	xattrs_clear(&w->xattrs);
	for (ssize_t i = 0; i < n; i += (ssize_t)strlen(names + i) + 1) {
		if (failed(e = add_attribute(w, file, names + i)))
			return e;
	}
	if (w->xattrs.n == 0)
		return ERR(E_OK);
	if (failed(e = xattrs_encode(&w->xattrs, &encoded)))
		return e;
	if (failed(e = pile_copy(&w->tree->pile, buf_bytes(&encoded), &text)))
		return tree_too_large(BYTES(w->path, w->path_len), e, w->reterr);
	inode->xattrs = BYTES(text, encoded.n);
	return ERR(E_OK);
}

static struct err read_target(struct walk *w, int fd, struct tree_inode *inode)
{
	char target[LIMIT_PATH];
	ssize_t n = readlinkat(fd, "", target, sizeof(target));
	struct err e;

	if (n < 0)
		return io_failed(w, errno);
	if ((size_t)n >= sizeof(target) || !path_text_valid(BYTES(target, (size_t)n)))
		return refuse(w, E_PEER_SYNTAX, "points to what is not UTF-8, or holds control characters");
	if (failed(e = pile_copy(&w->tree->pile, BYTES(target, (size_t)n), &inode->target)))
		return tree_too_large(BYTES(w->path, w->path_len), e, w->reterr);
	return ERR(E_OK);
}

static struct err type_of(const struct walk *w, mode_t mode, char *ret)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		*ret = 'f';
		return ERR(E_OK);
	case S_IFDIR:
		*ret = 'd';
		return ERR(E_OK);
	case S_IFLNK:
		*ret = 'l';
		return ERR(E_OK);
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
		*ret = S_ISFIFO(mode) ? 'p' : S_ISCHR(mode) ? 'c' : 'b';
		if (w->allow_devices)
			return ERR(E_OK);
		return refuse(w, E_PEER_UNSUPPORTED,
			      S_ISFIFO(mode) ? "is a FIFO, which has to be allowed"
					     : "is a device, which has to be allowed");
	default:
		return refuse(w, E_PEER_UNSUPPORTED, "is a socket");
	}
}

static struct err note(struct walk *w, struct tree_entry *entry, const struct stat *st)
{
	if (entry->seq >= w->cap) {
		size_t cap = w->cap == 0 ? 256 : 2 * w->cap; /* at most twice LIMIT_TREE_ENTRIES */
		struct seen *v = reallocarray(w->seen, cap, sizeof(*v));

		if (v == NULL)
			return ERR(E_LOCAL_MEMORY);
		w->seen = v;
		w->cap = cap;
	}
	w->seen[entry->seq] = (struct seen){ .entry = entry, .linked = !S_ISDIR(st->st_mode) && st->st_nlink > 1 };
	file_id_of(st, &w->seen[entry->seq].id);
	return ERR(E_OK);
}

static struct err add_node(struct walk *w, int fd, const struct stat *st)
{
	struct tree_entry *entry = NULL;
	struct tree_inode *i;
	char type;
	struct err e;

	if (failed(e = type_of(w, st->st_mode, &type)) ||
	    failed(e = tree_add(w->tree, TREE_NODE, BYTES(w->path, w->path_len), &entry, w->reterr)) ||
	    failed(e = note(w, entry, st)))
		return e;
	i = entry->inode;
	i->type = type;
	i->mode = st->st_mode & 07777;
	i->uid = st->st_uid;
	i->gid = st->st_gid;
	if (type == 'l')
		return read_target(w, fd, i);
	if (type == 'c' || type == 'b') {
		i->major = major(st->st_rdev);
		i->minor = minor(st->st_rdev);
	}
	if (type == 'f') {
		i->size = (uint64_t)st->st_size;
		if (i->size > LIMIT_IMAGE_BYTES - w->n_bytes)
			return refuse(w, E_LIMIT_SIZE, "and what was before it have more than 256 GiB");
		w->n_bytes += i->size;
	}
	return attributes(w, fd, i);
}

static struct err visit_folder(struct walk *w, int fd, unsigned depth);

static struct err visit(struct walk *w, int dir_fd, const char *name, unsigned depth)
{
	cleanup_fd int fd = -1;
	struct stat st;
	struct err e;

	if (failed(e = open_path(w, dir_fd, name, &fd)))
		return e;
	if (fstat(fd, &st) != 0)
		return io_failed(w, errno);
	if (failed(e = add_node(w, fd, &st)) || !S_ISDIR(st.st_mode))
		return e;
	if (depth == LIMIT_TREE_DEPTH)
		return refuse(w, E_LIMIT_DEPTH, "lies too deep");
	return visit_folder(w, fd, depth + 1);
}

/* Appends "/name"; the caller cuts it off again. */
static struct err push_name(struct walk *w, const char *name)
{
	size_t n = strlen(name), slash = w->path_len > 0 ? 1 : 0;

	if (n + slash >= sizeof(w->path) - w->path_len)
		return refuse(w, E_LIMIT_SIZE, "has a path of more than 4095 bytes below it");
	if (slash > 0)
		w->path[w->path_len++] = '/';
	memcpy(w->path + w->path_len, name, n + 1);
	w->path_len += n;
	if (!path_text_valid(bytes_str(name)))
		return refuse(w, E_PEER_SYNTAX, "has a name that is not UTF-8, or holds control characters");
	return ERR(E_OK);
}

/* fd: of the folder, opened as a path only. */
static struct err visit_folder(struct walk *w, int fd, unsigned depth)
{
	cleanup_fd int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_dir DIR *d = NULL;
	size_t len = w->path_len;
	struct dirent *entry;
	struct err e;

	if (own < 0)
		return io_failed(w, errno);
	d = fdopendir(own);
	if (d == NULL)
		return ERR(E_LOCAL_MEMORY);
	own = -1; /* the stream's now */
	for (errno = 0; (entry = readdir(d)) != NULL; errno = 0) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (failed(e = push_name(w, entry->d_name)) || failed(e = visit(w, dirfd(d), entry->d_name, depth)))
			return e;
		w->path_len = len;
		w->path[len] = '\0';
	}
	return errno == 0 ? ERR(E_OK) : io_failed(w, errno);
}

static struct err walk_all(struct walk *w, int root_fd)
{
	struct stat st;
	struct err e;

	if (fstat(root_fd, &st) != 0)
		return io_failed(w, errno);
	if (failed(e = add_node(w, root_fd, &st)) || failed(e = visit_folder(w, root_fd, 0)))
		return e;
	return tree_sort(w->tree, w->reterr);
}

static int by_inode(const void *a, const void *b)
{
	const struct seen *x = *(struct seen *const *)a, *y = *(struct seen *const *)b;

	if (x->id.dev != y->id.dev)
		return x->id.dev > y->id.dev ? 1 : -1;
	return (x->id.ino > y->id.ino) - (x->id.ino < y->id.ino);
}

/* Names of one file share its inode from here on. */
static struct err join_links(struct walk *w)
{
	cleanup_free struct seen **v = calloc(w->tree->n, sizeof(*v));
	size_t n = 0;

	if (v == NULL)
		return ERR(E_LOCAL_MEMORY);
	for (size_t i = 0; i < w->tree->n; i++) {
		if (w->seen[i].linked)
			v[n++] = &w->seen[i];
	}
	if (n > 1)
		qsort(v, n, sizeof(struct seen *), by_inode);
	for (size_t i = 1; i < n; i++) {
		if (by_inode(&v[i - 1], &v[i]) == 0)
			v[i]->entry->inode = v[i - 1]->entry->inode;
	}
	return ERR(E_OK);
}

/* Each file once, however many names it has. */
static struct err hash_contents(struct walk *w, int root_fd, const struct model_options *options)
{
	cleanup_free struct hash_item *item = calloc(w->tree->n, sizeof(*item));
	cleanup_free struct tree_inode **inode = calloc(w->tree->n, sizeof(*inode));
	size_t n = 0;
	struct err e;

	if (item == NULL || inode == NULL)
		return ERR(E_LOCAL_MEMORY);
	for (size_t i = 0; i < w->tree->n; i++) {
		struct tree_inode *own = w->tree->v[i]->inode;

		if (own->type != 'f' || own->first != NULL)
			continue;
		own->first = w->tree->v[i]->path;
		inode[n] = own;
		item[n].path = w->tree->v[i]->path;
		item[n++].id = w->seen[w->tree->v[i]->seq].id;
	}
	if (failed(e = filehash_run(root_fd, n, item, options, w->reterr)))
		return e;
	for (size_t i = 0; i < n; i++)
		memcpy(inode[i]->sha256, item[i].sha256, sizeof(inode[i]->sha256));
	return ERR(E_OK);
}

static struct err changed(const char *path, struct reason *reterr)
{
	reason_set(reterr, "%s changed while the root was read", log_quote(bytes_str(path[0] != '\0' ? path : "/")));
	return ERR(E_PEER_CHANGED);
}

/* The same folder once more. */
static struct err walk_again(const struct walk *first, int root_fd)
{
	struct pile_budget budget = { LIMIT_TREE_ENTRIES, LIMIT_TREE_BYTES };
	cleanup_tree struct tree tree = { .pile = { .budget = &budget } };
	cleanup_walk struct walk w = {
		.tree = &tree, .allow_devices = first->allow_devices, .xattrs = XATTRS_INIT, .reterr = first->reterr
	};
	size_t n = first->tree->n;
	struct err e;

	if (failed(e = walk_all(&w, root_fd)))
		return e;
	for (size_t i = 0; i < n && i < tree.n; i++) {
		const struct tree_entry *a = first->tree->v[i], *b = tree.v[i];
		int c = tree_path_cmp(a->path, b->path);

		if (c != 0 || !file_id_equal(&first->seen[a->seq].id, &w.seen[b->seq].id))
			return changed(c > 0 ? b->path : a->path, first->reterr);
	}
	/* A clock that is coarse may hide it in the folder's times. */
	if (n != tree.n)
		return changed(n > tree.n ? first->tree->v[tree.n]->path : tree.v[n]->path, first->reterr);
	return ERR(E_OK);
}

struct err tree_walk_fd(int fd, bool allow_devices, const struct model_options *options, struct tree *ret,
			uint64_t *ret_bytes, struct reason *reterr)
{
	cleanup_walk struct walk w = {
		.tree = ret, .allow_devices = allow_devices, .xattrs = XATTRS_INIT, .reterr = reterr
	};
	struct err e;

	if (failed(e = walk_all(&w, fd)) || failed(e = join_links(&w)) || failed(e = hash_contents(&w, fd, options)) ||
	    failed(e = walk_again(&w, fd)))
		return e;
	*ret_bytes = w.n_bytes;
	return ERR(E_OK);
}

struct err tree_walk(const char *path, bool allow_devices, const struct model_options *options, struct tree *ret,
		     uint64_t *ret_bytes, struct reason *reterr)
{
	char trimmed[LIMIT_PATH];
	cleanup_fd int fd = -1;
	struct err e;

	if (failed(e = filehash_trim(path, trimmed, reterr)) ||
	    failed(e = filehash_open_folder(AT_FDCWD, trimmed, &fd, reterr)))
		return e;
	return tree_walk_fd(fd, allow_devices, options, ret, ret_bytes, reterr);
}
