/* SPDX-License-Identifier: Apache-2.0 */
#include "firmware-measure/model.h"

#include <string.h>

#include "base/digest.h"
#include "base/log.h"
#include "base/text.h"
#include "base/wr.h"
#include "firmware-measure/fsverity.h"
#include "firmware-measure/model_walk.h"

/* The NUL at the end belongs to it. */
static const char domain[] = "assay model manifest v1";
static const char verity_domain[] = "assay model verity v1";

struct item_list {
	int blobs_fd;
	size_t n, cap;
	struct hash_item *v; /* each owns its path and blob */
};

static void item_list_done(struct item_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free((void *)(uintptr_t)l->v[i].path);
		free((void *)(uintptr_t)l->v[i].blob);
	}
	free(l->v);
	*l = (struct item_list){ 0 };
}
#define cleanup_item_list cleanup(item_list_done)

void model_report_done(struct model_report *m)
{
	for (size_t i = 0; m->files != NULL && i < m->n_files; i++)
		free(m->files[i].path);
	free(m->files);
	free(m->shards);
	free(m->hints);
	*m = (struct model_report){ 0 };
}

static struct err list_add(void *ctx, const char *path, const char *blob, const struct file_id *id,
			   struct reason *reterr)
{
	struct item_list *l = ctx;
	struct hash_item *item;

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
	item = &l->v[l->n];
	*item = (struct hash_item){ .path = strdup(path), .id = *id, .blobs_fd = l->blobs_fd };
	if (item->path == NULL)
		return ERR(E_LOCAL_MEMORY);
	l->n++;
	if (blob == NULL)
		return ERR(E_OK);
	item->blob = strdup(blob);
	return item->blob != NULL ? ERR(E_OK) : ERR(E_LOCAL_MEMORY);
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

static struct err recheck_one(void *ctx, const char *path, const char *blob, const struct file_id *id,
			      struct reason *reterr)
{
	struct hash_item key = { .path = path };
	struct recheck *r = ctx;
	const struct hash_item *was = bsearch(&key, r->list->v, r->list->n, sizeof(key), by_path);

	(void)blob; /* the id tells another one */
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
static struct err add_file(struct hasher *h, struct buf *head, const struct model_file *f)
{
	struct bytes path = bytes_str(f->path);
	struct err e;

	buf_clear(head);
	if (failed(e = wr_u32be(head, (uint32_t)path.n)) ||
	    failed(e = buf_add(head, path)) ||
	    failed(e = wr_u64be(head, f->size)) ||
	    failed(e = buf_add(head, BYTES_ARR(f->sha256))))
		return e;
	return hasher_add(h, buf_bytes(head));
}

static struct err digests_of(const struct model_report *m, struct bytes begin, const char *without,
			     struct model_digests *ret)
{
	cleanup_buf struct buf head = BUF_INIT(LIMIT_PATH + 64);
	cleanup_hasher struct hasher *manifest = NULL, *root = NULL;
	struct digest d;
	struct err e;

	if (failed(e = hasher_new(DIGEST_SHA256, &manifest)) || failed(e = hasher_new(DIGEST_SHA256, &root)) ||
	    failed(e = hasher_add(manifest, begin)))
		return e;
	for (size_t i = 0; i < m->n_files; i++) {
		const struct model_file *f = &m->files[i];

		if (without != NULL && strcmp(f->path, without) == 0)
			continue;
		if (failed(e = add_file(manifest, &head, f)) || failed(e = hasher_add(root, BYTES_ARR(f->sha256))))
			return e;
	}
	if (failed(e = hasher_finish(manifest, &d)) ||
	    failed(e = bytes_copy_exact(digest_bytes(&d), ret->manifest, sizeof(ret->manifest))) ||
	    failed(e = hasher_finish(root, &d)))
		return e;
	return bytes_copy_exact(digest_bytes(&d), ret->oms_root, sizeof(ret->oms_root));
}

struct err model_digests_without(const struct model_report *m, const char *without, struct model_digests *ret)
{
	return digests_of(m, BYTES(domain, sizeof(domain)), without, ret);
}

static struct err verity_digest(struct model_report *m)
{
	struct model_digests d = { 0 };
	struct err e = digests_of(m, BYTES(verity_domain, sizeof(verity_domain)), NULL, &d);

	memcpy(m->verity, d.manifest, sizeof(m->verity));
	return e;
}

/* How many parts of shard_size bytes a file has. */
static size_t n_shards_of(uint64_t size, uint64_t shard_size)
{
	return (size_t)(size / shard_size + (size % shard_size > 0 ? 1 : 0));
}

static struct err count_shards(const struct item_list *l, uint64_t shard_size, size_t *ret, struct reason *reterr)
{
	size_t n = 0;

	for (size_t i = 0; shard_size > 0 && i < l->n; i++) {
		if (l->v[i].id.size / shard_size >= LIMIT_MODEL_FILES - n) {
			reason_set(reterr, "more than %d shards", LIMIT_MODEL_FILES);
			return ERR(E_LIMIT_COUNT);
		}
		n += n_shards_of(l->v[i].id.size, shard_size);
	}
	*ret = n;
	return ERR(E_OK);
}

static void fill_shards(const struct item_list *l, uint64_t shard_size, struct hash_item *to)
{
	for (size_t i = 0; i < l->n; i++) {
		uint64_t size = l->v[i].id.size;

		for (uint64_t off = 0; off < size;) {
			uint64_t left = size - off, len = left < shard_size ? left : shard_size;

			*to = l->v[i];
			to->off = off;
			to++->len = len;
			off += len;
		}
	}
}

/* Files and shards in one run, so that one look before and one after cover both. */
static struct err hash_shards(const struct model_root *root, struct item_list *l, const struct model_options *o,
			      struct model_report *r, struct reason *reterr)
{
	size_t n_whole = o->shards_only ? 0 : l->n, n = 0;
	cleanup_free struct hash_item *items = NULL;
	struct err e;

	if (failed(e = count_shards(l, o->shard_size, &n, reterr)))
		return e;
	items = calloc(n_whole + n + 1, sizeof(*items));
	r->shards = calloc(n + 1, sizeof(*r->shards));
	if (items == NULL || r->shards == NULL)
		return ERR(E_LOCAL_MEMORY);
	memcpy(items, l->v, n_whole * sizeof(*items));
	fill_shards(l, o->shard_size, items + n_whole);
	if (failed(e = filehash_run(root->fd, n_whole + n, items, o, reterr)))
		return e;
	memcpy(l->v, items, n_whole * sizeof(*items));
	for (size_t i = 0; i < n; i++)
		memcpy(r->shards[i], items[n_whole + i].sha256, sizeof(r->shards[i]));
	return ERR(E_OK);
}

/* The hub names a large blob by its SHA-256: where that is not its content, the cache is damaged, or somebody changed it. */
static struct err check_blobs(const struct item_list *l, struct reason *reterr)
{
	for (size_t i = 0; i < l->n; i++) {
		const struct hash_item *item = &l->v[i];
		char hex[65];
		struct err e;

		if (item->blob == NULL || strlen(item->blob) != 64)
			continue;
		if (failed(e = hex_encode(BYTES_ARR(item->sha256), hex, sizeof(hex))))
			return e;
		if (strcmp(hex, item->blob) != 0) {
			reason_set(reterr, "%s: blob %s has the content of %s: the cache is damaged",
				   log_quote(bytes_str(item->path)), item->blob, hex);
			return ERR(E_PEER_DIGEST);
		}
	}
	return ERR(E_OK);
}

/* Paths move from the list to the report, whose shards are in the order of the list. */
static struct err report(struct item_list *l, const struct model_options *o, struct model_report *r)
{
	const uint8_t (*shards)[32] = (const uint8_t (*)[32])r->shards;

	r->files = calloc(l->n, sizeof(*r->files));
	if (r->files == NULL)
		return ERR(E_LOCAL_MEMORY);
	r->n_files = l->n;
	for (size_t i = 0; i < l->n; i++) {
		struct hash_item *item = &l->v[i];
		struct model_file *f = &r->files[i];

		f->path = (char *)(uintptr_t)take_ptr(&item->path);
		f->size = item->id.size;
		r->n_links += item->blob != NULL ? 1 : 0;
		memcpy(f->sha256, item->sha256, sizeof(item->sha256));
		r->n_bytes += item->id.size; /* filehash_run() has added them up before */
		if (o->shard_size == 0)
			continue;
		f->n_shards = n_shards_of(f->size, o->shard_size);
		f->shards = shards;
		shards += f->n_shards;
	}
	if (o->shards_only)
		return ERR(E_OK);
	return o->verity ? verity_digest(r) : model_digests_without(r, NULL, &r->digests);
}

/* The head of the file that was hashed, and no other. */
static struct err read_head(const struct model_root *root, const struct hash_item *item, struct buf *ret,
			    struct reason *reterr)
{
	cleanup_free uint8_t *chunk = malloc(64 * KIB);
	cleanup_fd int fd = -1;
	struct file_id id;
	struct err e;

	if (chunk == NULL)
		return ERR(E_LOCAL_MEMORY);
	if (failed(e = item->blob != NULL ? filehash_open(item->blobs_fd, item->blob, &fd, &id, reterr) :
					    filehash_open(root->fd, item->path, &fd, &id, reterr)) ||
	    failed(e = filehash_unchanged(fd, item->path, &item->id, reterr)))
		return e;
	while (ret->n < item->id.size && ret->n < ret->max) {
		size_t left = ret->max - ret->n, got = 0;

		if (item->id.size - ret->n < left)
			left = (size_t)(item->id.size - ret->n);
		if (failed(e = filehash_chunk(fd, item->path, chunk, left < 64 * KIB ? left : 64 * KIB, &got, reterr)) ||
		    failed(e = buf_add(ret, BYTES(chunk, got))))
			return e;
	}
	return filehash_unchanged(fd, item->path, &item->id, reterr);
}

static struct err read_hints(const struct model_root *root, const struct item_list *l, struct model_report *r,
			     struct reason *reterr)
{
	size_t n = 0;
	struct err e;

	for (size_t i = 0; i < l->n; i++)
		n += model_hint_format(l->v[i].path) != NULL ? 1 : 0;
	r->hints = calloc(n + 1, sizeof(*r->hints));
	if (r->hints == NULL)
		return ERR(E_LOCAL_MEMORY);
	for (size_t i = 0; i < l->n; i++) {
		const char *format = model_hint_format(l->v[i].path);
		struct model_hint *h = &r->hints[r->n_hints];

		if (format == NULL)
			continue;
		cleanup_buf struct buf head = BUF_INIT(model_hint_head_max(format));

		if (failed(e = read_head(root, &l->v[i], &head, reterr)))
			return e;
		e = model_hint_parse(format, buf_bytes(&head), l->v[i].id.size, h, &h->why);
		if (e.code == E_LOCAL_MEMORY)
			return e;
		h->format = format;
		h->path = l->v[i].path; /* which moves to the report */
		h->e = e;
		r->n_hints++;
	}
	return ERR(E_OK);
}

struct err model_measure(const char *path, const struct model_options *options, struct model_report *ret,
			 struct reason *reterr)
{
	static const struct model_options defaults = { 0 };
	const struct model_options *o = options != NULL ? options : &defaults;
	cleanup_model_root struct model_root root = MODEL_ROOT_INIT;
	cleanup_model_report struct model_report r = { 0 };
	cleanup_item_list struct item_list list = { 0 };
	struct err e;

	if (failed(e = model_root_open(path, &root, reterr)))
		return e;
	root.skip = o->skip;
	root.skip_ctx = o->skip_ctx;
	r.single = root.only[0] != '\0';
	list.blobs_fd = root.blobs_fd;
	if (failed(e = model_walk(&root, list_add, &list, reterr)) || failed(e = list_sort(&list, reterr)))
		return e;
	if (o->verity)
		e = fsverity_run(root.fd, list.n, list.v, o, &r.n_kept, reterr);
	else
		e = o->shard_size > 0 ? hash_shards(&root, &list, o, &r, reterr) :
					filehash_run(root.fd, list.n, list.v, o, reterr);
	if (failed(e) || (o->hints && failed(e = read_hints(&root, &list, &r, reterr))) || failed(e = recheck(&root, &list, reterr)) ||
	    (!o->shards_only && !o->verity && failed(e = check_blobs(&list, reterr))) || failed(e = report(&list, o, &r)))
		return e;
	*ret = r;
	r = (struct model_report){ 0 };
	return ERR(E_OK);
}
