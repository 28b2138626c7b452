/* SPDX-License-Identifier: Apache-2.0 */
#include "firmware-measure/oci_select.h"

#include <string.h>

#include "base/log.h"

/* One look into a layout. */
struct layout {
	const struct store *store;
	size_t n_descriptors; /* looked at so far */
	size_t n_indexes;     /* nested ones read so far */
};

/* What is looked for below an index, and what was found. */
struct search {
	const uint8_t *want;                 /* manifest digest, or NULL: any */
	const struct oci_platform *platform; /* NULL: any */
	size_t n_found;                      /* manifests that fit, beside repetitions of the first: 0, 1 or more */
	bool saw_docker;
	struct oci_descriptor hit;
};

static void take_manifest(struct search *s, const struct oci_descriptor *d)
{
	if (s->want != NULL && !bytes_eq(BYTES(s->want, 32), BYTES_ARR(d->sha256)))
		return;
	/* One that does not say what it is for is judged by its configuration. */
	if (s->platform != NULL && d->platform.os[0] != '\0' && !oci_platform_fits(&d->platform, s->platform))
		return;
	if (s->n_found > 0 && bytes_eq(BYTES_ARR(s->hit.sha256), BYTES_ARR(d->sha256)))
		return;
	if (s->n_found++ == 0)
		s->hit = *d;
}

static struct err search_index(struct layout *l, const struct oci_index *index, unsigned depth, struct search *s,
			       struct reason *reterr);

static struct err search_nested(struct layout *l, const struct oci_descriptor *d, unsigned depth, struct search *s,
				struct reason *reterr)
{
	cleanup_buf struct buf b = BUF_INIT(LIMIT_OCI_JSON);
	cleanup_oci_index struct oci_index index = { 0 };
	struct reason why = { "" };
	struct blob_name name;
	struct err e;

	if (depth > LIMIT_OCI_DEPTH) {
		reason_set(reterr, "indexes nested more than %d deep", LIMIT_OCI_DEPTH);
		return ERR(E_LIMIT_DEPTH);
	}
	if (l->n_indexes++ == LIMIT_OCI_INDEXES) {
		reason_set(reterr, "more than %d nested indexes", LIMIT_OCI_INDEXES);
		return ERR(E_LIMIT_COUNT);
	}
	if (failed(e = blob_name(d->sha256, &name)) || failed(e = oci_blob_read(l->store, d, &b, reterr)))
		return e;
	if (failed(e = oci_index_parse(buf_bytes(&b), &index, &why)))
		return oci_in_document(blob_hex(&name), &why, e, reterr);
	return search_index(l, &index, depth, s, reterr);
}

/* Manifests of this index first: with a digest to look for, nested indexes need not even be there. */
static struct err search_index(struct layout *l, const struct oci_index *index, unsigned depth, struct search *s,
			       struct reason *reterr)
{
	struct err e;

	if (index->n > LIMIT_OCI_MANIFESTS - l->n_descriptors) {
		reason_set(reterr, "more than %d descriptors in the indexes", LIMIT_OCI_MANIFESTS);
		return ERR(E_LIMIT_COUNT);
	}
	l->n_descriptors += index->n;
	for (size_t i = 0; i < index->n; i++) {
		if (index->v[i].media == OCI_MEDIA_MANIFEST)
			take_manifest(s, &index->v[i]);
		if (index->v[i].media == OCI_MEDIA_DOCKER)
			s->saw_docker = true;
	}
	for (size_t i = 0; i < index->n; i++) {
		if (s->want != NULL && s->n_found > 0)
			return ERR(E_OK);
		if (index->v[i].media != OCI_MEDIA_INDEX)
			continue;
		if (failed(e = search_nested(l, &index->v[i], depth + 1, s, reterr)))
			return e;
	}
	return ERR(E_OK);
}

static struct err search_result(const struct search *s, const char *selector, struct oci_descriptor *ret,
				struct reason *reterr)
{
	const char *what = selector != NULL ? log_quote(bytes_str(selector)) : "the layout";

	if (s->n_found == 1) {
		*ret = s->hit;
		return ERR(E_OK);
	}
	if (s->n_found > 1) {
		reason_set(reterr, "%s: more than one image manifest, select one by its digest or as @OS/ARCHITECTURE",
			   what);
		return ERR(E_PEER_DUPLICATE);
	}
	if (s->saw_docker) {
		reason_set(reterr, "%s: a Docker manifest; copy the image to OCI format first", what);
		return ERR(E_PEER_UNSUPPORTED);
	}
	reason_set(reterr, "%s: no such image manifest in the index", what);
	return ERR(E_LOCAL_NOT_FOUND);
}

/* The one descriptor of index.json that carries the tag. */
static struct err find_tag(const struct oci_index *index, const char *tag, const struct oci_descriptor **ret,
			   struct reason *reterr)
{
	const struct oci_descriptor *hit = NULL;

	for (size_t i = 0; i < index->n; i++) {
		if (strcmp(index->v[i].tag, tag) != 0)
			continue;
		if (hit != NULL) {
			reason_set(reterr, "tag %s stands at more than one descriptor", log_quote(bytes_str(tag)));
			return ERR(E_PEER_DUPLICATE);
		}
		hit = &index->v[i];
	}
	if (hit == NULL || tag[0] == '\0') {
		reason_set(reterr, "tag %s: not in the index", log_quote(bytes_str(tag)));
		return ERR(E_LOCAL_NOT_FOUND);
	}
	*ret = hit;
	return ERR(E_OK);
}

static struct err select_tag(struct layout *l, const struct oci_index *index, const struct oci_selector *selector,
			     struct search *s, struct oci_descriptor *ret, struct reason *reterr)
{
	const char *tag = selector->name;
	const struct oci_descriptor *d = NULL;
	struct err e;

	if (failed(e = find_tag(index, tag, &d, reterr)))
		return e;
	if (d->media == OCI_MEDIA_INDEX) {
		if (failed(e = search_nested(l, d, 1, s, reterr)))
			return e;
		return search_result(s, tag, ret, reterr);
	}
	if (d->media != OCI_MEDIA_MANIFEST) {
		reason_set(reterr, "tag %s names %s", log_quote(bytes_str(tag)),
			   d->media == OCI_MEDIA_DOCKER ? "a Docker manifest: copy the image to OCI format first"
							: "no image manifest and no index");
		return ERR(E_PEER_UNSUPPORTED);
	}
	take_manifest(s, d);
	return search_result(s, tag, ret, reterr);
}

bool oci_is_digest(const char *selector)
{
	return strncmp(selector, "sha256:", strlen("sha256:")) == 0;
}

bool oci_selector_split(const char *text, struct oci_selector *ret)
{
	const char *at = strrchr(text, '@');
	struct oci_selector s = { 0 };
	size_t n = strlen(text);

	if (at != NULL && oci_platform_parse(bytes_str(at + 1), &s.want))
		n = (size_t)(at - text);
	if (n >= sizeof(s.name))
		return false;
	memcpy(s.name, text, n);
	*ret = s;
	return true;
}

static bool has_tag(const struct oci_index *index, const char *tag)
{
	for (size_t i = 0; i < index->n; i++) {
		if (tag[0] != '\0' && strcmp(index->v[i].tag, tag) == 0)
			return true;
	}
	return false;
}

static struct err read_selector(const struct oci_index *index, const char *text, struct oci_selector *ret,
				struct reason *reterr)
{
	struct oci_selector s = { 0 };

	if (text == NULL) {
		*ret = s;
		return ERR(E_OK);
	}
	if (has_tag(index, text)) {
		memcpy(s.name, text, strlen(text) + 1); /* equal to a tag, so it fits */
	} else if (!oci_selector_split(text, &s)) {
		reason_set(reterr, "tag %s: not in the index", log_quote(bytes_str(text)));
		return ERR(E_LOCAL_NOT_FOUND);
	}
	*ret = s;
	return ERR(E_OK);
}

static struct err select_manifest(struct layout *l, const struct oci_index *index, const char *text,
				  struct oci_selector *selector, struct oci_descriptor *ret, struct reason *reterr)
{
	struct search s = { 0 };
	bool any;
	uint8_t want[32];
	struct err e;

	if (failed(e = read_selector(index, text, selector, reterr)))
		return e;
	any = text == NULL || (selector->name[0] == '\0' && oci_wants_platform(selector));
	if (oci_wants_platform(selector))
		s.platform = &selector->want;
	if (!any && !oci_is_digest(selector->name))
		return select_tag(l, index, selector, &s, ret, reterr);
	if (!any) {
		if (failed(e = oci_digest_parse(selector->name, want, reterr)))
			return e;
		s.want = want;
	}
	if (failed(e = search_index(l, index, 0, &s, reterr)))
		return e;
	return search_result(&s, text, ret, reterr);
}

static struct err read_index(const struct store *s, struct oci_index *ret, struct reason *reterr)
{
	cleanup_buf struct buf b = BUF_INIT(LIMIT_OCI_JSON);
	struct reason why = { "" };
	struct err e;

	if (failed(e = store_read(s, "index.json", &b, reterr)))
		return e;
	if (failed(e = oci_index_parse(buf_bytes(&b), ret, &why)))
		return oci_in_document("index.json", &why, e, reterr);
	return ERR(E_OK);
}

struct err oci_select(const struct store *s, const char *text, struct oci_descriptor *ret,
		      struct oci_selector *ret_selector, struct reason *reterr)
{
	cleanup_oci_index struct oci_index index = { 0 };
	struct layout l = { .store = s };
	struct err e;

	if (failed(e = read_index(s, &index, reterr)))
		return e;
	return select_manifest(&l, &index, text, ret_selector, ret, reterr);
}

struct err oci_platform_check(struct bytes config, const struct oci_selector *selector, struct reason *reterr)
{
	const struct oci_platform *want = &selector->want;
	struct oci_platform is = { 0 };
	struct reason why = { "" };
	struct err e;

	if (!oci_wants_platform(selector))
		return ERR(E_OK);
	if (failed(e = oci_config_platform(config, &is, &why)))
		return oci_in_document("image configuration", &why, e, reterr);
	if (oci_platform_fits(&is, want))
		return ERR(E_OK);
	reason_set(reterr, "image configuration: for %s/%s%s%s, expected %s/%s%s%s", log_quote(bytes_str(is.os)),
		   log_quote(bytes_str(is.architecture)), is.variant[0] != '\0' ? "/" : "",
		   log_quote(bytes_str(is.variant)), want->os, want->architecture, want->variant[0] != '\0' ? "/" : "",
		   want->variant);
	return ERR(E_PEER_RANGE);
}
