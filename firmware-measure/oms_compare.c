/* SPDX-License-Identifier: Apache-2.0 */
/* A model beside what a bundle signs: what is left out, and what differs. */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/log.h"
#include "firmware-measure/oms.h"

const char *const oms_git_names[OMS_N_GIT_NAMES] = { ".git", ".gitattributes", ".github", ".gitignore" };

const char *oms_clean_path(const char *path, size_t *ret_len)
{
	size_t n;

	while (path[0] == '.' && path[1] == '/')
		path += 2;
	for (n = strlen(path); n > 1 && path[n - 1] == '/';)
		n--;
	*ret_len = n;
	return path;
}

static bool same_path(const char *pattern, const char *path)
{
	size_t n;
	const char *clean = oms_clean_path(pattern, &n);

	return strlen(path) == n && strncmp(clean, path, n) == 0;
}

/* The first resource whose path is not before this one. */
static size_t lower_bound(const struct oms_manifest *m, const char *path)
{
	size_t from = 0, to = m->n_resources;

	while (from < to) {
		size_t middle = from + (to - from) / 2;

		if (strcmp(m->resources[middle].path, path) < 0)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

/* Signed itself, or something in it is. */
static bool is_listed(const struct oms_manifest *m, const char *path)
{
	char folder[LIMIT_PATH + 1];
	size_t i = lower_bound(m, path);
	int n = snprintf(folder, sizeof(folder), "%s/", path);

	if (i < m->n_resources && strcmp(m->resources[i].path, path) == 0)
		return true;
	i = lower_bound(m, folder);
	return i < m->n_resources && strncmp(m->resources[i].path, folder, (size_t)n) == 0;
}

/* Verified are all names that begin with ".git"; signed is less than may be left out, so that more is signed. */
static bool skip_git(const struct oms_skip *s, const char *path)
{
	if (s->manifest != NULL)
		return strncmp(path, ".git", 4) == 0 && strchr(path, '/') == NULL && !is_listed(s->manifest, path);
	for (size_t i = 0; i < OMS_N_GIT_NAMES; i++)
		if (strcmp(oms_git_names[i], path) == 0)
			return true;
	return false;
}

bool oms_skip_path(void *ctx, const char *path)
{
	const struct oms_skip *s = ctx;

	if (s->bundle[0] != '\0' && strcmp(s->bundle, path) == 0)
		return true;
	for (size_t i = 0; i < s->n_ignored; i++)
		if (same_path(s->ignored[i], path))
			return true;
	for (size_t i = 0; s->manifest != NULL && i < s->manifest->n_ignored; i++)
		if (same_path(s->manifest->ignored[i], path))
			return true;
	return skip_git(s, path);
}

static struct err real(const char *path, char ret[PATH_MAX], struct reason *reterr)
{
	if (realpath(path, ret) != NULL)
		return ERR(E_OK);
	reason_set(reterr, "%s: %s", log_quote(bytes_str(path)), strerrordesc_np(errno) ?: "not found");
	return ERR(errno == ENOENT || errno == ENOTDIR ? E_LOCAL_NOT_FOUND : E_LOCAL_IO);
}

struct err oms_skip_bundle(struct oms_skip *s, const char *model, const char *file, struct reason *reterr)
{
	char path[LIMIT_PATH], folder[PATH_MAX], around[PATH_MAX];
	const char *base = path, *below;
	char *slash;
	struct err e;
	size_t n;
	int len;

	if (failed(e = filehash_trim(file, path, reterr)) || failed(e = real(model, folder, reterr)))
		return e;
	slash = strrchr(path, '/');
	if (slash != NULL) {
		base = slash + 1;
		*slash = '\0';
	}
	if (failed(e = real(slash == NULL ? "." : slash == path ? "/" : path, around, reterr)))
		return e;
	n = strcmp(folder, "/") == 0 ? 0 : strlen(folder);
	s->bundle[0] = '\0';
	if (strncmp(around, folder, n) != 0 || (around[n] != '\0' && around[n] != '/'))
		return ERR(E_OK);
	below = around + n + strspn(around + n, "/");
	len = snprintf(s->bundle, sizeof(s->bundle), "%s%s%s", below, *below != '\0' ? "/" : "", base);
	return len >= 0 && (size_t)len < sizeof(s->bundle) ? ERR(E_OK) : ERR(E_LIMIT_SIZE);
}

/* The resources of one path: from first to before end. */
struct group {
	const char *path;
	size_t first, end;
};

static struct group next_group(const struct oms_manifest *m, const struct model_report *r, size_t first)
{
	struct group g = { .first = first, .end = first };

	if (first == m->n_resources)
		return g;
	g.path = m->resources[first].path;
	while (g.end < m->n_resources && strcmp(m->resources[g.end].path, g.path) == 0)
		g.end++;
	/* The file of a model that is one file, as older tools name it. */
	if (r->single && strcmp(g.path, ".") == 0)
		g.path = r->files[0].path;
	return g;
}

/* An empty file has no shard, or one of no bytes. */
static struct err empty_fits(const struct oms_manifest *m, const struct group *g, bool *ret)
{
	const struct oms_resource *x = &m->resources[g->first];
	uint8_t nothing[32];
	struct err e;

	if (failed(e = sha256(BYTES_NONE, nothing)))
		return e;
	*ret = g->end - g->first == 1 && x->start == 0 && x->end == 0 &&
	       bytes_eq(BYTES_ARR(x->sha256), BYTES_ARR(nothing));
	return ERR(E_OK);
}

static struct err file_fits(const struct oms_manifest *m, const struct group *g, const struct model_file *f, bool *ret)
{
	uint64_t at = 0;

	if (m->shard_size == 0) {
		*ret = bytes_eq(BYTES_ARR(m->resources[g->first].sha256), BYTES_ARR(f->sha256));
		return ERR(E_OK);
	}
	if (f->size == 0)
		return empty_fits(m, g, ret);
	*ret = g->end - g->first == f->n_shards;
	for (size_t i = 0; *ret && i < f->n_shards; i++) {
		const struct oms_resource *x = &m->resources[g->first + i];
		uint64_t left = f->size - at, len = left < m->shard_size ? left : m->shard_size;

		*ret = x->start == at && x->end == at + len && bytes_eq(BYTES_ARR(x->sha256), BYTES(f->shards[i], 32));
		at += len;
	}
	return ERR(E_OK);
}

struct err oms_compare(const struct oms_manifest *m, const struct model_report *r, oms_each *each, void *ctx,
		       size_t *ret_n)
{
	struct group g = next_group(m, r, 0);
	size_t i = 0, n = 0;
	struct err e;

	while (g.first < m->n_resources || i < r->n_files) {
		const struct model_file *f = i < r->n_files ? &r->files[i] : NULL;
		int order = g.first == m->n_resources ? 1 : f == NULL ? -1 : strcmp(g.path, f->path);
		bool fits = false;

		if (order < 0) {
			each(ctx, OMS_MISSING, g.path);
		} else if (order > 0) {
			fits = m->shard_size > 0 && f->size == 0;
			each(ctx, fits ? OMS_EMPTY : OMS_UNSIGNED, f->path);
		} else {
			if (failed(e = file_fits(m, &g, f, &fits)))
				return e;
			if (!fits)
				each(ctx, OMS_CHANGED, f->path);
		}
		n += fits ? 0 : 1;
		if (order <= 0)
			g = next_group(m, r, g.end);
		if (order >= 0)
			i++;
	}
	*ret_n = n;
	return ERR(E_OK);
}
