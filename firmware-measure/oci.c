/* SPDX-License-Identifier: Apache-2.0 */
#include "firmware-measure/oci.h"

#include <fcntl.h>
#include <string.h>

#include "base/digest.h"
#include "base/log.h"
#include "base/text.h"
#include "firmware-measure/filehash.h"
#include "firmware-measure/oci_json.h"

#define HEX_LEN 64

_Static_assert(sizeof(((struct image_report *)0)->tag) == OCI_TAG_MAX + 1, "a tag fits into the report");

struct layout {
	int dir_fd, sha256_fd; /* the folder, and blobs/sha256 in it */
	size_t n_descriptors;  /* looked at so far */
	size_t n_indexes;      /* nested ones read so far */
};
static inline void layout_done(struct layout *l)
{
	cleanup_fd_(&l->dir_fd);
	cleanup_fd_(&l->sha256_fd);
}
#define cleanup_layout cleanup(layout_done)

struct blob_name {
	char hex[HEX_LEN + 1];
};

static struct err blob_name(const struct oci_descriptor *d, struct blob_name *ret)
{
	return hex_encode(BYTES_ARR(d->sha256), ret->hex, sizeof(ret->hex));
}

/* Says in which document the trouble is. */
static struct err in_document(const char *name, const struct reason *why, struct err e, struct reason *reterr)
{
	reason_set(reterr, "%s: %s", name, why->text[0] != '\0' ? why->text : err_text(e));
	return e;
}

static struct err wrong_size(const char *hex, uint64_t size, uint64_t want, struct reason *reterr)
{
	reason_set(reterr, "blob %s has %ju bytes, its descriptor says %ju", hex, (uintmax_t)size, (uintmax_t)want);
	return ERR(E_PEER_RANGE);
}

static struct err wrong_digest(const char *hex, const uint8_t got[32], struct reason *reterr)
{
	struct blob_name seen;
	struct err e;

	if (failed(e = hex_encode(BYTES(got, 32), seen.hex, sizeof(seen.hex))))
		return e;
	reason_set(reterr, "blob %s has the digest %s", hex, seen.hex);
	return ERR(E_PEER_DIGEST);
}

/* The blob's size and identity, before anything of it is read. */
static struct err blob_stat(const struct layout *l, const struct oci_descriptor *d, const char *hex,
			    struct file_id *ret, struct reason *reterr)
{
	cleanup_fd int fd = -1;
	struct file_id id;
	struct err e;

	if (failed(e = filehash_open(l->sha256_fd, hex, &fd, &id, reterr)))
		return e;
	if (id.size != d->size)
		return wrong_size(hex, id.size, d->size, reterr);
	*ret = id;
	return ERR(E_OK);
}

/* A document as a whole, verified. */
static struct err blob_read(const struct layout *l, const struct oci_descriptor *d, struct buf *ret,
			    struct reason *reterr)
{
	cleanup_buf struct buf b = BUF_INIT(LIMIT_OCI_JSON);
	struct blob_name name;
	struct file_id id;
	uint8_t got[32];
	struct err e;

	if (failed(e = blob_name(d, &name)) ||
	    failed(e = blob_stat(l, d, name.hex, &id, reterr)) ||
	    failed(e = filehash_read(l->sha256_fd, name.hex, &b, reterr)) ||
	    failed(e = sha256(buf_bytes(&b), got)))
		return e;
	if (b.n != d->size)
		return wrong_size(name.hex, b.n, d->size, reterr);
	if (!bytes_eq(BYTES_ARR(got), BYTES_ARR(d->sha256)))
		return wrong_digest(name.hex, got, reterr);
	buf_move(ret, &b);
	return ERR(E_OK);
}

/* What is looked for below an index, and what was found. */
struct search {
	const uint8_t *want; /* manifest digest, or NULL: any */
	size_t n_found;      /* manifests that fit, beside repetitions of the first: 0, 1 or more */
	bool saw_docker;
	struct oci_descriptor hit;
};

static void take_manifest(struct search *s, const struct oci_descriptor *d)
{
	if (s->want != NULL && !bytes_eq(BYTES(s->want, 32), BYTES_ARR(d->sha256)))
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
	if (failed(e = blob_name(d, &name)) ||
	    failed(e = blob_read(l, d, &b, reterr)))
		return e;
	if (failed(e = oci_index_parse(buf_bytes(&b), &index, &why)))
		return in_document(name.hex, &why, e, reterr);
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
		reason_set(reterr, "%s: more than one image manifest, select one by its digest", what);
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

static struct err select_tag(struct layout *l, const struct oci_index *index, const char *tag,
			     struct oci_descriptor *ret, struct reason *reterr)
{
	const struct oci_descriptor *d = NULL;
	struct search s = { 0 };
	struct err e;

	if (failed(e = find_tag(index, tag, &d, reterr)))
		return e;
	if (d->media == OCI_MEDIA_INDEX) {
		if (failed(e = search_nested(l, d, 1, &s, reterr)))
			return e;
		return search_result(&s, tag, ret, reterr);
	}
	if (d->media != OCI_MEDIA_MANIFEST) {
		reason_set(reterr, "tag %s names %s", log_quote(bytes_str(tag)),
			   d->media == OCI_MEDIA_DOCKER ? "a Docker manifest: copy the image to OCI format first" :
							  "no image manifest and no index");
		return ERR(E_PEER_UNSUPPORTED);
	}
	*ret = *d;
	return ERR(E_OK);
}

/* Anything with "sha256:" in front is a digest, never a tag. */
static bool is_digest(const char *selector)
{
	return strncmp(selector, "sha256:", strlen("sha256:")) == 0;
}

static struct err select_manifest(struct layout *l, const struct oci_index *index, const char *selector,
				  struct oci_descriptor *ret, struct reason *reterr)
{
	struct search s = { 0 };
	uint8_t want[32];
	struct err e;

	if (selector != NULL && !is_digest(selector))
		return select_tag(l, index, selector, ret, reterr);
	if (selector != NULL) {
		if (failed(e = oci_digest_parse(selector, want, reterr)))
			return e;
		s.want = want;
	}
	if (failed(e = search_index(l, index, 0, &s, reterr)))
		return e;
	return search_result(&s, selector, ret, reterr);
}

/* Layers that a manifest names twice are hashed once. */
static bool known_layer(const struct oci_manifest *m, size_t i)
{
	for (size_t k = 0; k < i; k++) {
		if (bytes_eq(BYTES_ARR(m->layer[k].sha256), BYTES_ARR(m->layer[i].sha256)) &&
		    m->layer[k].size == m->layer[i].size)
			return true;
	}
	return false;
}

static struct err add_bytes(struct image_report *r, uint64_t n)
{
	if (n > UINT64_MAX - r->n_bytes)
		return ERR(E_LIMIT_SIZE);
	r->n_bytes += n;
	return ERR(E_OK);
}

static struct err measure_layers(const struct layout *l, const struct oci_manifest *m,
				 const struct model_options *options, struct image_report *r, struct reason *reterr)
{
	cleanup_free struct blob_name *name = calloc(LIMIT_OCI_LAYERS, sizeof(*name));
	cleanup_free struct hash_item *item = calloc(LIMIT_OCI_LAYERS, sizeof(*item));
	size_t n = 0;
	struct err e;

	if (name == NULL || item == NULL)
		return ERR(E_LOCAL_MEMORY);
	r->n_layers = m->n_layers;
	for (size_t i = 0; i < m->n_layers; i++) {
		const struct oci_descriptor *d = &m->layer[i];

		memcpy(r->layer[i], d->sha256, sizeof(r->layer[i]));
		if (known_layer(m, i))
			continue;
		if (failed(e = blob_name(d, &name[n])) ||
		    failed(e = blob_stat(l, d, name[n].hex, &item[n].id, reterr)) ||
		    failed(e = add_bytes(r, d->size)))
			return e;
		item[n].path = name[n].hex;
		n++;
	}
	if (failed(e = filehash_run(l->sha256_fd, n, item, options, reterr)))
		return e;
	for (size_t i = 0; i < n; i++) {
		struct blob_name got;

		if (failed(e = hex_encode(BYTES_ARR(item[i].sha256), got.hex, sizeof(got.hex))))
			return e;
		if (strcmp(got.hex, name[i].hex) != 0)
			return wrong_digest(name[i].hex, item[i].sha256, reterr);
	}
	return ERR(E_OK);
}

static struct err measure_image(const struct layout *l, const struct oci_descriptor *d,
				const struct model_options *options, struct image_report *r, struct reason *reterr)
{
	cleanup_oci_manifest struct oci_manifest m = { 0 };
	cleanup_buf struct buf manifest = BUF_INIT(LIMIT_OCI_JSON);
	cleanup_buf struct buf config = BUF_INIT(LIMIT_OCI_JSON);
	struct reason why = { "" };
	struct err e;

	if (failed(e = blob_read(l, d, &manifest, reterr)))
		return e;
	if (failed(e = oci_manifest_parse(buf_bytes(&manifest), &m, &why)))
		return in_document("image manifest", &why, e, reterr);
	if (failed(e = blob_read(l, &m.config, &config, reterr)))
		return e;
	if (failed(e = oci_config_parse(buf_bytes(&config), &why)))
		return in_document("image configuration", &why, e, reterr);
	memcpy(r->digests.manifest, d->sha256, sizeof(r->digests.manifest));
	memcpy(r->digests.config, m.config.sha256, sizeof(r->digests.config));
	if (failed(e = add_bytes(r, manifest.n)) ||
	    failed(e = add_bytes(r, config.n)))
		return e;
	return measure_layers(l, &m, options, r, reterr);
}

static struct err open_layout(const char *path, struct layout *l, struct reason *reterr)
{
	cleanup_buf struct buf b = BUF_INIT(LIMIT_SMALL);
	cleanup_fd int blobs = -1;
	char trimmed[LIMIT_PATH];
	struct reason why = { "" };
	struct err e;

	if (failed(e = filehash_trim(path, trimmed, reterr)) ||
	    failed(e = filehash_open_folder(AT_FDCWD, trimmed, &l->dir_fd, reterr)) ||
	    failed(e = filehash_read(l->dir_fd, "oci-layout", &b, reterr)))
		return e;
	if (failed(e = oci_layout_parse(buf_bytes(&b), &why)))
		return in_document("oci-layout", &why, e, reterr);
	if (failed(e = filehash_open_folder(l->dir_fd, "blobs", &blobs, reterr)))
		return e;
	return filehash_open_folder(blobs, "sha256", &l->sha256_fd, reterr);
}

static struct err read_index(const struct layout *l, struct oci_index *ret, struct reason *reterr)
{
	cleanup_buf struct buf b = BUF_INIT(LIMIT_OCI_JSON);
	struct reason why = { "" };
	struct err e;

	if (failed(e = filehash_read(l->dir_fd, "index.json", &b, reterr)))
		return e;
	if (failed(e = oci_index_parse(buf_bytes(&b), ret, &why)))
		return in_document("index.json", &why, e, reterr);
	return ERR(E_OK);
}

struct err oci_measure_with(const char *layout, const char *selector, const struct model_options *options,
			    struct image_report *ret, struct reason *reterr)
{
	cleanup_layout struct layout l = { .dir_fd = -1, .sha256_fd = -1 };
	cleanup_free struct image_report *r = calloc(1, sizeof(*r));
	cleanup_oci_index struct oci_index index = { 0 };
	struct oci_descriptor d = { 0 };
	struct err e;

	if (r == NULL)
		return ERR(E_LOCAL_MEMORY);
	if (failed(e = open_layout(layout, &l, reterr)) ||
	    failed(e = read_index(&l, &index, reterr)) ||
	    failed(e = select_manifest(&l, &index, selector, &d, reterr)) ||
	    failed(e = measure_image(&l, &d, options, r, reterr)))
		return e;
	if (selector != NULL && !is_digest(selector))
		memcpy(r->tag, selector, strlen(selector) + 1); /* equal to a tag, so it fits */
	*ret = *r;
	return ERR(E_OK);
}

struct err oci_measure(const char *layout, const char *selector, struct image_report *ret, struct reason *reterr)
{
	return oci_measure_with(layout, selector, NULL, ret, reterr);
}
