/* SPDX-License-Identifier: Apache-2.0 */
#include "firmware-measure/model.h"

#include <string.h>

#include "base/digest.h"
#include "base/log.h"
#include "base/wr.h"
#include "firmware-measure/model_walk.h"

/* The NUL at the end belongs to it. */
static const char domain[] = "assay model manifest v1";

struct item_list {
	size_t n, cap;
	struct hash_item *v; /* each owns its path */
};

static void item_list_done(struct item_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		free((void *)(uintptr_t)l->v[i].path);
	free(l->v);
	*l = (struct item_list){ 0 };
}
#define cleanup_item_list cleanup(item_list_done)

void model_report_done(struct model_report *m)
{
	for (size_t i = 0; m->files != NULL && i < m->n_files; i++)
		free(m->files[i].path);
	free(m->files);
	*m = (struct model_report){ 0 };
}

static struct err list_add(void *ctx, const char *path, const struct file_id *id, struct reason *reterr)
{
	struct item_list *l = ctx;
	size_t len = strlen(path) + 1;
	char *copy;

	(void)reterr;
	if (l->n == l->cap) {
		/* The walk gives at most LIMIT_MODEL_FILES. */
		size_t cap = l->cap == 0 ? 64 : 2 * l->cap;
		struct hash_item *v = realloc(l->v, cap * sizeof(*v));

		if (v == NULL)
			return ERR(E_LOCAL_MEMORY);
		l->v = v;
		l->cap = cap;
	}
	copy = malloc(len);
	if (copy == NULL)
		return ERR(E_LOCAL_MEMORY);
	memcpy(copy, path, len);
	l->v[l->n++] = (struct hash_item){ .path = copy, .id = *id };
	return ERR(E_OK);
}

/* strcmp() compares as unsigned char: bytewise order. */
static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct hash_item *)a)->path, ((const struct hash_item *)b)->path);
}

/* Sorted; a path that readdir(3) told twice means that the folder changed under it. */
static struct err list_sort(struct item_list *l, struct reason *reterr)
{
	if (l->n == 0) {
		reason_set(reterr, "no regular file: a model has at least one");
		return ERR(E_PEER_MISSING);
	}
	qsort(l->v, l->n, sizeof(*l->v), by_path);
	for (size_t i = 1; i < l->n; i++) {
		if (strcmp(l->v[i - 1].path, l->v[i].path) == 0) {
			reason_set(reterr, "%s was listed twice: the folder changed while it was read",
				   log_quote(bytes_str(l->v[i].path)));
			return ERR(E_PEER_CHANGED);
		}
	}
	return ERR(E_OK);
}

/* The second walk, after everything was hashed: the same files, none of them touched. */
struct recheck {
	const struct item_list *list;
	size_t n;
};

static struct err recheck_one(void *ctx, const char *path, const struct file_id *id, struct reason *reterr)
{
	struct hash_item key = { .path = path };
	struct recheck *r = ctx;
	const struct hash_item *was = bsearch(&key, r->list->v, r->list->n, sizeof(key), by_path);

	r->n++;
	if (was != NULL && file_id_equal(&was->id, id))
		return ERR(E_OK);
	reason_set(reterr, "%s %s while the model was read", log_quote(bytes_str(path)),
		   was == NULL ? "appeared" : "changed");
	return ERR(E_PEER_CHANGED);
}

static struct err recheck(const struct model_root *root, const struct item_list *l, struct reason *reterr)
{
	struct recheck r = { .list = l };
	struct err e;

	if (failed(e = model_walk(root, recheck_one, &r, reterr)))
		return e;
	if (r.n == l->n)
		return ERR(E_OK);
	reason_set(reterr, "files vanished while the model was read: %zu of %zu are left", r.n, l->n);
	return ERR(E_PEER_CHANGED);
}

/* Everything of one file that the manifest covers. */
static struct err add_file(struct hasher *h, struct buf *head, const struct hash_item *item)
{
	struct bytes path = bytes_str(item->path);
	struct err e;

	buf_clear(head);
	if (failed(e = wr_u32be(head, (uint32_t)path.n)) ||
	    failed(e = buf_add(head, path)) ||
	    failed(e = wr_u64be(head, item->id.size)) ||
	    failed(e = buf_add(head, BYTES_ARR(item->sha256))))
		return e;
	return hasher_add(h, buf_bytes(head));
}

static struct err manifest_digest(const struct item_list *l, uint8_t ret[32])
{
	cleanup_buf struct buf head = BUF_INIT(LIMIT_PATH + 64);
	cleanup_hasher struct hasher *h = NULL;
	struct digest d;
	struct err e;

	if (failed(e = hasher_new(DIGEST_SHA256, &h)) ||
	    failed(e = hasher_add(h, BYTES(domain, sizeof(domain)))))
		return e;
	for (size_t i = 0; i < l->n; i++)
		if (failed(e = add_file(h, &head, &l->v[i])))
			return e;
	if (failed(e = hasher_finish(h, &d)))
		return e;
	return bytes_copy_exact(digest_bytes(&d), ret, 32);
}

static struct err oms_root(const struct item_list *l, uint8_t ret[32])
{
	cleanup_hasher struct hasher *h = NULL;
	struct digest d;
	struct err e;

	if (failed(e = hasher_new(DIGEST_SHA256, &h)))
		return e;
	for (size_t i = 0; i < l->n; i++)
		if (failed(e = hasher_add(h, BYTES_ARR(l->v[i].sha256))))
			return e;
	if (failed(e = hasher_finish(h, &d)))
		return e;
	return bytes_copy_exact(digest_bytes(&d), ret, 32);
}

/* Paths move from the list to the report. */
static struct err report(struct item_list *l, struct model_report *ret)
{
	struct model_report r = { 0 };
	struct err e;

	if (failed(e = manifest_digest(l, r.digests.manifest)) ||
	    failed(e = oms_root(l, r.digests.oms_root)))
		return e;
	r.files = calloc(l->n, sizeof(*r.files));
	if (r.files == NULL)
		return ERR(E_LOCAL_MEMORY);
	r.n_files = l->n;
	for (size_t i = 0; i < l->n; i++) {
		struct hash_item *item = &l->v[i];

		r.files[i].path = (char *)(uintptr_t)take_ptr(&item->path);
		r.files[i].size = item->id.size;
		memcpy(r.files[i].sha256, item->sha256, sizeof(item->sha256));
		r.n_bytes += item->id.size; /* filehash_run() has added them up before */
	}
	*ret = r;
	return ERR(E_OK);
}

struct err model_measure(const char *path, const struct model_options *options, struct model_report *ret,
			 struct reason *reterr)
{
	cleanup_model_root struct model_root root = { .fd = -1 };
	cleanup_item_list struct item_list list = { 0 };
	struct err e;

	if (failed(e = model_root_open(path, &root, reterr)) ||
	    failed(e = model_walk(&root, list_add, &list, reterr)) ||
	    failed(e = list_sort(&list, reterr)) ||
	    failed(e = filehash_run(root.fd, list.n, list.v, options, reterr)) ||
	    failed(e = recheck(&root, &list, reterr)))
		return e;
	return report(&list, ret);
}
