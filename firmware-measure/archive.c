/* SPDX-License-Identifier: Apache-2.0 */
#include "firmware-measure/archive.h"

#include <string.h>

#include "base/log.h"
#include "firmware-measure/tar.h"

#define CHUNK 4096
#define FIRST_MEMBERS 64

struct reader {
	const struct span *span;
	uint64_t at;
	uint8_t chunk[CHUNK];
};

static struct err reader_more(void *ctx, struct bytes *ret, struct reason *reterr)
{
	struct reader *r = ctx;
	size_t n = 0;
	struct err e;

	*ret = BYTES_NONE;
	if (r->at == r->span->size)
		return ERR(E_OK);
	if (failed(e = span_read(r->span, r->at, r->chunk, sizeof(r->chunk), &n, reterr)))
		return e;
	r->at += n;
	*ret = BYTES(r->chunk, n);
	return ERR(E_OK);
}

static struct err reader_skip(void *ctx, uint64_t n, struct reason *reterr)
{
	struct reader *r = ctx;

	if (n > r->span->size - r->at) {
		reason_set(reterr, "%s: the archive ends within a file", log_quote(bytes_str(r->span->name)));
		return ERR(E_PEER_TRUNCATED);
	}
	r->at += n;
	return ERR(E_OK);
}

void archive_done(struct archive *a)
{
	for (size_t i = 0; i < a->n; i++)
		free(a->v[i].name);
	free(a->v);
	*a = (struct archive){ 0 };
}

static struct err grow(struct archive *a, size_t *cap)
{
	size_t more = *cap == 0 ? FIRST_MEMBERS : *cap * 2; /* at most twice LIMIT_ARCHIVE_MEMBERS */
	struct archive_member *v;

	if (a->n < *cap)
		return ERR(E_OK);
	v = reallocarray(a->v, more, sizeof(*v));
	if (v == NULL)
		return ERR(E_LOCAL_MEMORY);
	a->v = v;
	*cap = more;
	return ERR(E_OK);
}

static struct err add(struct archive *a, size_t *cap, const struct tar_entry *entry, struct reason *reterr)
{
	cleanup_buf struct buf path = BUF_INIT(LIMIT_PATH);
	const char *text;
	char *name;
	struct err e;

	if (failed(e = tar_path(entry->name, &path, reterr)))
		return e;
	if (entry->type == TAR_FOLDER)
		return ERR(E_OK);
	if (entry->type != TAR_FILE && entry->type != TAR_SYMLINK) {
		reason_set(reterr, "%s is %s: an image archive holds files and folders", log_quote(entry->name),
			   tar_type_text(entry->type));
		return ERR(E_PEER_UNSUPPORTED);
	}
	if (a->n == LIMIT_ARCHIVE_MEMBERS) {
		reason_set(reterr, "more than %d files in the archive", LIMIT_ARCHIVE_MEMBERS);
		return ERR(E_LIMIT_COUNT);
	}
	if (failed(e = grow(a, cap)) || failed(e = buf_cstr(&path, &text)))
		return e;
	name = strdup(text);
	if (name == NULL)
		return ERR(E_LOCAL_MEMORY);
	a->v[a->n++] = (struct archive_member){
		.name = name,
		.is_file = entry->type == TAR_FILE,
		.offset = entry->offset,
		.size = entry->size,
	};
	return ERR(E_OK);
}

static int by_name(const void *a, const void *b)
{
	const struct archive_member *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static struct err refuse_repeated(const struct archive *a, struct reason *reterr)
{
	for (size_t i = 1; i < a->n; i++) {
		if (strcmp(a->v[i - 1].name, a->v[i].name) == 0) {
			reason_set(reterr, "%s stands in the archive twice", log_quote(bytes_str(a->v[i].name)));
			return ERR(E_PEER_DUPLICATE);
		}
	}
	return ERR(E_OK);
}

/* Named, because people give such files by mistake: the same archive compressed, a document of a layout. */
static struct err refuse_others(const struct span *s, struct reason *reterr)
{
	static const struct {
		const char *name;
		struct bytes magic;
	} kinds[] = {
		{ "gzip", BYTES_LIT("\x1f\x8b") },
		{ "zstd", BYTES_LIT("\x28\xb5\x2f\xfd") },
		{ "xz", BYTES_LIT("\xfd"
				  "7zXZ") },
		{ "bzip2", BYTES_LIT("BZh") },
	};
	uint8_t head[262];
	struct bytes magic;
	size_t n = 0;
	struct err e;

	if (s->size > 0 && failed(e = span_read(s, 0, head, sizeof(head), &n, reterr)))
		return e;
	for (size_t i = 0; i < array_len(kinds); i++) {
		if (!failed(bytes_sub(BYTES(head, n), 0, kinds[i].magic.n, &magic)) &&
		    bytes_eq(magic, kinds[i].magic)) {
			reason_set(reterr, "%s is compressed (%s): decompress the archive first",
				   log_quote(bytes_str(s->name)), kinds[i].name);
			return ERR(E_PEER_UNSUPPORTED);
		}
	}
	if (!failed(bytes_sub(BYTES(head, n), 257, 5, &magic)) && bytes_eq(magic, BYTES_LIT("ustar")))
		return ERR(E_OK);
	reason_set(reterr, "%s is neither a folder nor a tar archive (ustar, pax or GNU)",
		   log_quote(bytes_str(s->name)));
	return ERR(E_PEER_UNSUPPORTED);
}

struct err archive_index(const struct span *s, struct archive *ret, struct reason *reterr)
{
	struct reader reader = { .span = s };
	const struct tar_source source = { .more = reader_more, .skip = reader_skip, .ctx = &reader };
	cleanup_archive struct archive a = { 0 };
	cleanup_tar struct tar t = { 0 };
	struct tar_entry entry;
	size_t cap = 0;
	bool end = false;
	struct err e;

	tar_init(&t, &source);
	if (failed(e = refuse_others(s, reterr)))
		return e;
	for (;;) {
		if (failed(e = tar_next(&t, &entry, &end, reterr)))
			return e;
		if (end)
			break;
		if (failed(e = add(&a, &cap, &entry, reterr)))
			return e;
	}
	if (a.n > 0)
		qsort(a.v, a.n, sizeof(*a.v), by_name);
	if (failed(e = refuse_repeated(&a, reterr)))
		return e;
	*ret = a;
	a = (struct archive){ 0 };
	return ERR(E_OK);
}

static int name_of(const void *key, const void *member)
{
	const struct archive_member *m = member;

	return strcmp(key, m->name);
}

const struct archive_member *archive_find(const struct archive *a, const char *name)
{
	return a->n > 0 ? bsearch(name, a->v, a->n, sizeof(*a->v), name_of) : NULL;
}
