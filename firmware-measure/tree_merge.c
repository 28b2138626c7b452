/* SPDX-License-Identifier: Apache-2.0 */
/* Layers on top of each other: two sorted lists become one. */
#include <string.h>

#include "base/log.h"
#include "firmware-measure/tree.h"

#define MAX_DEPTH (LIMIT_PATH / 2 + 1) /* components of a path, and the root */

struct merge {
	struct tree *root;
	struct tree_entry **v; /* the merged list */
	size_t n, cap;
	const char *hidden; /* what lower layers have below this is gone; or NULL */
	size_t depth;
	struct tree_entry *folder[MAX_DEPTH]; /* those that the last entry lies in, and itself */
	struct reason *reterr;
};

static bool below(const char *folder, const char *path)
{
	size_t n = strlen(folder);

	if (n == 0)
		return path[0] != '\0';
	return strncmp(folder, path, n) == 0 && path[n] == '/';
}

/* A folder that hides already what is below hides this too. */
static void hide(struct merge *m, const char *path)
{
	if (m->hidden == NULL || !below(m->hidden, path))
		m->hidden = path;
}

static struct err append(struct merge *m, struct tree_entry *entry)
{
	if (m->n == m->cap) {
		size_t cap = m->cap + m->cap / 2 + 64;
		struct tree_entry **v = reallocarray(m->v, cap, sizeof(*v));

		if (v == NULL)
			return ERR(E_LOCAL_MEMORY);
		m->v = v;
		m->cap = cap;
	}
	m->v[m->n++] = entry;
	if (entry->kind == TREE_NODE && entry->inode->type == 'd') {
		if (m->depth == MAX_DEPTH)
			return ERR(E_LIMIT_DEPTH);
		m->folder[m->depth++] = entry;
	}
	return ERR(E_OK);
}

static struct err refuse_below(const struct merge *m, const char *path, const struct tree_entry *above)
{
	reason_set(m->reterr, "%s lies below %s, which is %s", log_quote(bytes_str(path)),
		   log_quote(bytes_str(above->path)),
		   above->inode != NULL ? tree_type_text(above->inode->type) : "a hard link");
	return ERR(E_PEER_UNSUPPORTED);
}

/* Folders between the last one that is there and the entry, which nobody has. */
static struct err add_missing(struct merge *m, const char *path)
{
	size_t from = strlen(m->folder[m->depth - 1]->path);
	const char *slash;
	struct err e;

	from += from > 0 ? 1 : 0;
	while ((slash = strchr(path + from, '/')) != NULL) {
		struct tree_entry *folder = NULL;

		if (failed(e = tree_entry_new(m->root, TREE_NODE, BYTES(path, (size_t)(slash - path)), &folder,
					      m->reterr)))
			return e;
		folder->inode->type = 'd';
		folder->inode->mode = 0755;
		if (failed(e = append(m, folder)))
			return e;
		from = (size_t)(slash - path) + 1;
	}
	return ERR(E_OK);
}

static struct err emit(struct merge *m, struct tree_entry *entry)
{
	struct err e;

	if (m->n > 0 && below(m->v[m->n - 1]->path, entry->path) &&
	    (m->depth == 0 || m->folder[m->depth - 1] != m->v[m->n - 1]))
		return refuse_below(m, entry->path, m->v[m->n - 1]);
	while (m->depth > 0 && !below(m->folder[m->depth - 1]->path, entry->path))
		m->depth--;
	if (m->depth > 0 && failed(e = add_missing(m, entry->path)))
		return e;
	return append(m, entry);
}

/* One entry of the layer; *taken: the lower one of the same path, if there is one, is gone. */
static struct err take_upper(struct merge *m, struct tree_entry *entry, bool *taken)
{
	*taken = entry->kind != TREE_OPAQUE;
	switch (entry->kind) {
	case TREE_WHITEOUT:
	case TREE_OPAQUE:
		hide(m, entry->path);
		return ERR(E_OK);
	case TREE_NODE:
		if (entry->inode->type == 'd')
			break;
		/* fall through */
	case TREE_LINK:
		hide(m, entry->path);
		break;
	}
	return emit(m, entry);
}

static struct err merge(struct merge *m, const struct tree *lower, const struct tree *upper)
{
	size_t i = 0, j = 0;
	struct err e;

	while (i < lower->n || j < upper->n) {
		int c = j == upper->n ? 1 : i == lower->n ? -1 : tree_path_cmp(upper->v[j]->path, lower->v[i]->path);
		bool taken = false;

		if (c <= 0) {
			if (failed(e = take_upper(m, upper->v[j++], &taken)))
				return e;
			i += c == 0 && taken ? 1 : 0;
			continue;
		}
		if ((m->hidden == NULL || !below(m->hidden, lower->v[i]->path)) && failed(e = emit(m, lower->v[i])))
			return e;
		i++;
	}
	return ERR(E_OK);
}

static struct err resolve(const struct tree *merged, const struct tree *layer, struct tree_entry *link,
			  struct reason *reterr)
{
	const struct tree_entry *target = tree_find(layer, link->link);
	const char *why = NULL;

	if (target == NULL)
		target = tree_find(merged, link->link);
	else if (target->seq >= link->seq)
		why = "which follows it only";
	if (target == NULL || (why == NULL && target->inode == NULL))
		why = "which is not there";
	else if (why == NULL && target->inode->type == 'd')
		why = "which is a folder";
	if (why != NULL) {
		reason_set(reterr, "%s is a hard link to %s, %s", log_quote(bytes_str(link->path)),
			   log_quote(bytes_str(link->link)), why);
		return ERR(E_PEER_RANGE);
	}
	link->inode = target->inode;
	return ERR(E_OK);
}

static int by_seq(const void *a, const void *b)
{
	const struct tree_entry *x = *(struct tree_entry *const *)a, *y = *(struct tree_entry *const *)b;

	return (x->seq > y->seq) - (x->seq < y->seq);
}

/* In the order of the layer, as a link may be to a link before it. */
static struct err resolve_links(const struct tree *merged, const struct tree *layer, struct reason *reterr)
{
	cleanup_free struct tree_entry **link = NULL;
	size_t n = 0;
	struct err e;

	for (size_t i = 0; i < layer->n; i++)
		n += layer->v[i]->kind == TREE_LINK ? 1 : 0;
	if (n == 0)
		return ERR(E_OK);
	link = calloc(n, sizeof(*link));
	if (link == NULL)
		return ERR(E_LOCAL_MEMORY);
	n = 0;
	for (size_t i = 0; i < layer->n; i++) {
		if (layer->v[i]->kind == TREE_LINK)
			link[n++] = layer->v[i];
	}
	qsort(link, n, sizeof(*link), by_seq);
	for (size_t i = 0; i < n; i++) {
		if (failed(e = resolve(merged, layer, link[i], reterr)))
			return e;
	}
	return ERR(E_OK);
}

struct err tree_apply(struct tree *root, const struct tree *layer, struct reason *reterr)
{
	cleanup_free struct merge *m = calloc(1, sizeof(*m));
	struct err e;

	if (m == NULL)
		return ERR(E_LOCAL_MEMORY);
	m->root = root;
	m->reterr = reterr;
	if (failed(e = merge(m, root, layer))) {
		free(m->v);
		return e;
	}
	free(root->v);
	root->v = m->v;
	root->n = m->n;
	root->cap = m->cap;
	return resolve_links(root, layer, reterr);
}
