/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of approved digests: opened once, mapped, shared by every host. They
 * are named by the SHA-256 of the file, so neither names nor rights within the
 * folder decide what is approved; the operator's document does.
 */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "verifier/serve/internal.h"

static bool holds(const struct verifier *v, const uint8_t sha256[32])
{
	return allowlists_find(&v->lists, sha256) != NULL;
}

/* Takes the list, also on failure. */
static struct err add(struct verifier *v, struct ima_allowlist *list)
{
	cleanup_ima_allowlist struct ima_allowlist *owned = list;
	struct allowlist *larger;
	uint8_t sum[32];
	struct err e;

	if (failed(e = ima_allowlist_sha256(list, sum)))
		return e;
	if (holds(v, sum))
		return ERR(E_OK);
	larger = realloc(v->lists.v, (v->lists.n + 1) * sizeof(*larger));
	if (larger == NULL)
		return ERR(E_LOCAL_MEMORY);
	v->lists.v = larger;
	memcpy(larger[v->lists.n].sha256, sum, sizeof(sum));
	larger[v->lists.n++].list = take_ptr(&owned);
	return ERR(E_OK);
}

static struct err scan(struct verifier *v, int fd, DIR *d)
{
	const struct dirent *entry;
	struct err e;

	while ((entry = readdir(d)) != NULL) {
		struct ima_allowlist *list = NULL;
		struct reason why = { "" };

		if (entry->d_name[0] == '.')
			continue;
		e = ima_allowlist_open(fd, entry->d_name, &list, &why);
		if (e.code == E_LOCAL_MEMORY)
			return e;
		/* Another file in this folder is no reason not to start; a document that needs it is refused. */
		if (failed(e))
			log_warning("allowlist %s/%s is not used: %s", v->c.allowlists,
				    log_quote(bytes_str(entry->d_name)), why.text[0] != '\0' ? why.text : err_text(e));
		else if (failed(e = add(v, list)))
			return e;
	}
	return ERR(E_OK);
}

struct err allowlists_load(struct verifier *v, struct reason *reterr)
{
	cleanup_fd int fd = -1;
	DIR *d;
	struct err e;

	if (v->c.allowlists == NULL)
		return ERR(E_OK);
	if (failed(e = dir_open(AT_FDCWD, v->c.allowlists, &fd))) {
		reason_set(reterr, "allowlists %s: %s", v->c.allowlists, err_text(e));
		return e;
	}
	d = opendir(v->c.allowlists);
	if (d == NULL) {
		reason_set(reterr, "allowlists %s: cannot be read", v->c.allowlists);
		return ERR(E_LOCAL_IO);
	}
	e = scan(v, fd, d);
	(void)closedir(d);
	if (failed(e))
		reason_set(reterr, "allowlists %s: %s", v->c.allowlists, err_text(e));
	return e;
}

/* The first that the document names and that is not held, or NULL. */
static const uint8_t *first_missing(const struct verifier *v, const struct document *d)
{
	const struct platform_ima *m = d->kind == DOCUMENT_PLATFORM ? d->profile.ima : NULL;

	for (size_t i = 0; m != NULL && i < m->n_allowlists; i++)
		if (!holds(v, m->allowlists[i]))
			return m->allowlists[i];
	return NULL;
}

struct err allowlists_need(struct verifier *v, const struct document *d, struct reason *reterr)
{
	const uint8_t *missing = first_missing(v, d);
	char hex[65];
	struct err e;

	/* It may have come since. */
	if (missing != NULL && failed(e = allowlists_load(v, reterr)))
		return e;
	if (missing == NULL || (missing = first_missing(v, d)) == NULL)
		return ERR(E_OK);
	if (failed(e = hex_encode(BYTES(missing, 32), hex, sizeof(hex))))
		return e;
	if (v->c.allowlists == NULL)
		reason_set(reterr,
			   "ima.allowlists names %s, but this verifier has no folder of allowlists (--allowlists)",
			   hex);
	else
		reason_set(reterr, "ima.allowlists names %s, which no file in %s is", hex, v->c.allowlists);
	return ERR(E_AUTH_UNKNOWN);
}

struct err allowlists_copy(const struct verifier *v, struct allowlists *ret)
{
	struct allowlists copy = { .n = v->lists.n };

	if (copy.n > 0) {
		copy.v = calloc(copy.n, sizeof(*copy.v));
		if (copy.v == NULL)
			return ERR(E_LOCAL_MEMORY);
		memcpy(copy.v, v->lists.v, copy.n * sizeof(*copy.v));
	}
	*ret = copy;
	return ERR(E_OK);
}

void allowlists_done(struct verifier *v)
{
	for (size_t i = 0; i < v->lists.n; i++)
		ima_allowlist_free(v->lists.v[i].list);
	free(v->lists.v);
	v->lists = (struct allowlists){ 0 };
}
