/* SPDX-License-Identifier: Apache-2.0 */
#include "firmware-measure/tree.h"

#include <string.h>

#include "base/digest.h"
#include "base/log.h"
#include "base/wr.h"

#define FIRST_ENTRIES 256
#define CHUNK (64 * KIB)

void tree_done(struct tree *t)
{
	free(t->v);
	pile_done(&t->pile);
	t->v = NULL;
	t->n = 0;
}

const char *tree_type_text(char type)
{
	switch (type) {
	case 'd':
		return "a folder";
	case 'f':
		return "a regular file";
	case 'l':
		return "a symbolic link";
	case 'c':
	case 'b':
		return "a device";
	case 'p':
		return "a FIFO";
	default:
		return "of unknown kind";
	}
}

struct err tree_too_large(struct bytes path, struct err e, struct reason *reterr)
{
	if (e.code == E_LIMIT_SIZE)
		reason_set(reterr, "%s: names and attributes of more than %zu bytes", log_quote(path),
			   LIMIT_TREE_BYTES);
	return e;
}

/* The end sorts before '/', and that before all that names are made of. */
static unsigned rank(char c)
{
	return c == '\0' ? 0 : c == '/' ? 1 : 2u + (unsigned char)c;
}

int tree_path_cmp(const char *a, const char *b)
{
	while (*a == *b && *a != '\0') {
		a++;
		b++;
	}
	return (rank(*a) > rank(*b)) - (rank(*a) < rank(*b));
}

struct err tree_entry_new(struct tree *t, enum tree_kind kind, struct bytes path, struct tree_entry **ret,
			  struct reason *reterr)
{
	struct tree_entry *entry = NULL;
	void *p = NULL, *inode = NULL;
	struct err e;

	if (!budget_take(&t->pile.budget->entries, 1)) {
		reason_set(reterr, "%s: more than %d files and folders", log_quote(path), LIMIT_TREE_ENTRIES);
		return ERR(E_LIMIT_COUNT);
	}
	if (failed(e = pile_take(&t->pile, sizeof(*entry), &p)))
		return tree_too_large(path, e, reterr);
	entry = p;
	if (kind == TREE_NODE && failed(e = pile_take(&t->pile, sizeof(*entry->inode), &inode)))
		return tree_too_large(path, e, reterr);
	if (failed(e = pile_copy(&t->pile, path, &entry->path)))
		return tree_too_large(path, e, reterr);
	entry->kind = kind;
	entry->inode = inode;
	*ret = entry;
	return ERR(E_OK);
}

struct err tree_add(struct tree *t, enum tree_kind kind, struct bytes path, struct tree_entry **ret,
		    struct reason *reterr)
{
	struct err e;

	if (t->n == t->cap) {
		size_t cap = t->cap == 0 ? FIRST_ENTRIES : 2 * t->cap; /* at most twice LIMIT_TREE_ENTRIES */
		struct tree_entry **v = reallocarray(t->v, cap, sizeof(struct tree_entry *));

		if (v == NULL)
			return ERR(E_LOCAL_MEMORY);
		t->v = v;
		t->cap = cap;
	}
	if (failed(e = tree_entry_new(t, kind, path, ret, reterr)))
		return e;
	(*ret)->seq = t->n;
	t->v[t->n++] = *ret;
	return ERR(E_OK);
}

/* By path; what acts on lower layers before what is there; then as they came. */
static int by_path(const void *a, const void *b)
{
	const struct tree_entry *x = *(struct tree_entry *const *)a, *y = *(struct tree_entry *const *)b;
	bool x_is = x->kind >= TREE_NODE, y_is = y->kind >= TREE_NODE;
	int c = tree_path_cmp(x->path, y->path);

	if (c != 0)
		return c;
	if (x_is != y_is)
		return x_is ? 1 : -1;
	return (x->seq > y->seq) - (x->seq < y->seq);
}

static bool is_folder(const struct tree_entry *entry)
{
	return entry->kind == TREE_NODE && entry->inode->type == 'd';
}

struct err tree_sort(struct tree *t, struct reason *reterr)
{
	size_t n = 0;

	if (t->n > 0)
		qsort(t->v, t->n, sizeof(*t->v), by_path);
	for (size_t i = 0; i < t->n; i++) {
		struct tree_entry *last = n > 0 ? t->v[n - 1] : NULL;
		bool again = last != NULL && last->kind >= TREE_NODE && t->v[i]->kind >= TREE_NODE &&
			     strcmp(last->path, t->v[i]->path) == 0;

		if (again && (!is_folder(last) || !is_folder(t->v[i]))) {
			reason_set(reterr, "%s stands there twice", log_quote(bytes_str(last->path)));
			return ERR(E_PEER_DUPLICATE);
		}
		t->v[again ? n - 1 : n] = t->v[i];
		n += again ? 0 : 1;
	}
	t->n = n;
	return ERR(E_OK);
}

struct err tree_root(struct tree *t, struct reason *reterr)
{
	struct tree_entry *root = NULL;
	struct err e;

	if (failed(e = tree_add(t, TREE_NODE, BYTES_NONE, &root, reterr)))
		return e;
	root->inode->type = 'd';
	root->inode->mode = 0755;
	return ERR(E_OK);
}

static int compare_path(const void *key, const void *entry)
{
	return tree_path_cmp(key, (*(struct tree_entry *const *)entry)->path);
}

struct tree_entry *tree_find(const struct tree *t, const char *path)
{
	struct tree_entry **hit = t->n > 0 ? bsearch(path, t->v, t->n, sizeof(*t->v), compare_path) : NULL;

	if (hit == NULL)
		return NULL;
	/* Whiteout, opaque mark and node of one path lie side by side. */
	while (hit < t->v + t->n - 1 && strcmp(hit[1]->path, path) == 0)
		hit++;
	return (*hit)->kind >= TREE_NODE ? *hit : NULL;
}

struct out {
	struct buf b;
	struct hasher *h;
	bool ignore_owner;
};

static struct err put_text(struct buf *b, struct bytes text)
{
	struct err e;

	if (failed(e = wr_u32be(b, (uint32_t)text.n)))
		return e;
	return buf_add(b, text);
}

static struct err put_inode(struct out *o, const char *path, const struct tree_inode *i)
{
	uint32_t mode = i->type == 'l' ? 0777 : path[0] == '\0' ? i->mode & 07022 : i->mode;
	struct err e;

	if (failed(e = wr_u32be(&o->b, mode)) || failed(e = wr_u32be(&o->b, o->ignore_owner ? 0 : i->uid)) ||
	    failed(e = wr_u32be(&o->b, o->ignore_owner ? 0 : i->gid)) || failed(e = put_text(&o->b, i->xattrs)))
		return e;
	switch (i->type) {
	case 'f':
		if (failed(e = wr_u64be(&o->b, i->size)))
			return e;
		return buf_add(&o->b, BYTES_ARR(i->sha256));
	case 'l':
		return put_text(&o->b, bytes_str(i->target));
	case 'c':
	case 'b':
		if (failed(e = wr_u32be(&o->b, i->major)))
			return e;
		return wr_u32be(&o->b, i->minor);
	default:
		return ERR(E_OK);
	}
}

static struct err put_entry(struct out *o, const char *path, struct tree_inode *i)
{
	bool again = i->first != NULL;
	struct err e;

	if (failed(e = buf_add_u8(&o->b, again ? 'h' : (uint8_t)i->type)) ||
	    failed(e = put_text(&o->b, bytes_str(path))))
		return e;
	if (again)
		return put_text(&o->b, bytes_str(i->first));
	i->first = path;
	return put_inode(o, path, i);
}

static struct err flush(struct out *o)
{
	struct err e = hasher_add(o->h, buf_bytes(&o->b));

	buf_clear(&o->b);
	return e;
}

static struct err put_all(const struct tree *t, struct out *o)
{
	struct err e;

	for (size_t i = 0; i < t->n; i++)
		t->v[i]->inode->first = NULL;
	for (size_t i = 0; i < t->n; i++) {
		if (failed(e = put_entry(o, t->v[i]->path, t->v[i]->inode)) ||
		    (o->b.n >= CHUNK && failed(e = flush(o))))
			return e;
	}
	return flush(o);
}

struct err tree_digest(const struct tree *t, bool ignore_owner, uint8_t ret[32])
{
	static const struct bytes domains[] = { BYTES_LIT("assay rootfs v1\0"),
						BYTES_LIT("assay rootfs without owners v1\0") };
	cleanup_hasher struct hasher *h = NULL;
	struct out o = { .b = BUF_INIT(MIB), .ignore_owner = ignore_owner };
	struct digest d;
	struct err e;

	if (failed(e = hasher_new(DIGEST_SHA256, &h)))
		return e;
	o.h = h;
	e = hasher_add(h, domains[ignore_owner ? 1 : 0]);
	if (!failed(e))
		e = put_all(t, &o);
	buf_free(&o.b);
	if (failed(e) || failed(e = hasher_finish(h, &d)))
		return e;
	return bytes_copy_exact(digest_bytes(&d), ret, 32);
}
