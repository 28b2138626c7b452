/* SPDX-License-Identifier: Apache-2.0 */
#include "firmware-measure/oci.h"

#include <string.h>

#include "base/digest.h"
#include "base/log.h"
#include "firmware-measure/oci_docker.h"
#include "firmware-measure/oci_impl.h"

_Static_assert(sizeof(((struct image_report *)0)->tag) == OCI_TAG_MAX + 1, "a tag fits into the report");

void stored_layers_done(struct stored_layers *l)
{
	free(l->v);
	free(l->size);
}
#define cleanup_stored_layers cleanup(stored_layers_done)

const char *stored_name(const struct stored *item)
{
	const size_t n = strlen(OCI_BLOBS);

	return strncmp(item->path, OCI_BLOBS, n) == 0 ? item->path + n : item->path;
}

struct err stored_open(const struct stored_layers *l, size_t i, struct blob *ret, struct reason *reterr)
{
	const struct stored *item = &l->v[i];
	cleanup_blob struct blob blob = BLOB_NONE;
	struct err e;

	e = store_blob_open(l->store, item->path, &blob, reterr);
	/* It was a regular file when its size was compared. */
	if (e.code == E_LOCAL_NOT_FOUND || e.code == E_PEER_UNSUPPORTED)
		return ERR(E_PEER_CHANGED);
	if (failed(e))
		return e;
	if (!file_id_equal(&blob.id, &item->id)) {
		reason_set(reterr, "%s changed before it was read", log_quote(bytes_str(item->path)));
		return ERR(E_PEER_CHANGED);
	}
	*ret = blob;
	blob.own_fd = -1;
	return ERR(E_OK);
}

static struct err hash_content(struct jobs *j, const struct job_kit *kit, const struct span *s, struct reason *reterr)
{
	uint64_t at = 0;
	struct err e;

	while (at < s->size && !jobs_stopped(j)) {
		size_t got = 0;

		if (failed(e = span_read(s, at, kit->buffer, JOB_BUFFER_LEN, &got, reterr)) ||
		    failed(e = hasher_add(kit->h, BYTES(kit->buffer, got))))
			return e;
		at += got;
		jobs_done(j, got);
	}
	return ERR(E_OK);
}

struct err stored_hash(void *ctx, size_t i, struct jobs *j, const struct job_kit *kit, struct reason *reterr)
{
	const struct stored_layers *l = ctx;
	cleanup_blob struct blob blob = BLOB_NONE;
	struct digest d;
	struct err e;

	if (failed(e = stored_open(l, i, &blob, reterr)) || failed(e = hash_content(j, kit, &blob.span, reterr)) ||
	    failed(e = blob_unchanged(&blob, reterr)) || failed(e = hasher_finish(kit->h, &d)))
		return e;
	return jobs_stopped(j) ? ERR(E_OK) : oci_blob_compare(stored_name(&l->v[i]), d.v, l->v[i].sha256, reterr);
}

static struct err add_bytes(struct image_report *r, uint64_t n, struct reason *reterr)
{
	if (n > LIMIT_IMAGE_BYTES - r->n_bytes) {
		reason_set(reterr, "the image has more than %ju bytes", (uintmax_t)LIMIT_IMAGE_BYTES);
		return ERR(E_LIMIT_SIZE);
	}
	r->n_bytes += n;
	return ERR(E_OK);
}

/* The size is compared first: of an image with a wrong one no layer is read. */
static struct err look_at_layer(const struct store *s, const struct oci_image *image, size_t i, struct stored *ret,
				struct reason *reterr)
{
	cleanup_blob struct blob blob = BLOB_NONE;
	const struct oci_descriptor *d = &image->m.layer[i];
	struct stored item = { .path = image->name[i].path, .sha256 = d->sha256, .first = i };
	struct err e;

	if (failed(e = store_blob_open(s, item.path, &blob, reterr)))
		return e;
	if (blob.span.size != d->size)
		return oci_wrong_size(stored_name(&item), blob.span.size, d->size, reterr);
	item.id = blob.id;
	*ret = item;
	return ERR(E_OK);
}

/* The same layer before this one, or i itself. */
static size_t same_layer(const struct oci_image *image, size_t i)
{
	size_t k = 0;

	while (k < i && (!bytes_eq(BYTES_ARR(image->m.layer[k].sha256), BYTES_ARR(image->m.layer[i].sha256)) ||
			 image->m.layer[k].size != image->m.layer[i].size ||
			 strcmp(image->name[k].path, image->name[i].path) != 0))
		k++;
	return k;
}

static struct err look_at_layers(const struct oci_image *image, struct stored_layers *l, struct image_report *r,
				 struct reason *reterr)
{
	struct err e;

	l->v = calloc(LIMIT_OCI_LAYERS, sizeof(*l->v));
	l->size = calloc(LIMIT_OCI_LAYERS, sizeof(*l->size));
	if (l->v == NULL || l->size == NULL)
		return ERR(E_LOCAL_MEMORY);
	r->n_layers = image->m.n_layers;
	for (size_t i = 0; i < image->m.n_layers; i++) {
		size_t same = same_layer(image, i);

		memcpy(r->layer[i], image->m.layer[i].sha256, sizeof(r->layer[i]));
		l->of[i] = same < i ? l->of[same] : l->n;
		if (same < i)
			continue;
		l->size[l->n] = image->m.layer[i].size;
		if (failed(e = look_at_layer(l->store, image, i, &l->v[l->n], reterr)) ||
		    failed(e = add_bytes(r, l->size[l->n], reterr)))
			return e;
		l->n++;
	}
	return ERR(E_OK);
}

/* An archive without an index is one of docker save or podman save, or nothing that we know. */
static struct err read_image(const struct store *s, const char *selector, struct oci_image *ret, struct reason *reterr)
{
	struct err e;

	if (!store_may_have(s, "index.json") && store_may_have(s, "manifest.json"))
		return docker_image_read(s, selector, ret, reterr);
	if (failed(e = oci_image_read(s, selector, ret, reterr)))
		return e;
	return docker_manifest_agrees(s, ret, reterr);
}

struct err oci_measure_by(const char *path, const char *selector, layers_work *work, void *ctx,
			  struct image_report *ret, struct reason *reterr)
{
	cleanup_store struct store s = STORE_NONE;
	cleanup_oci_image struct oci_image image = OCI_IMAGE_NONE;
	cleanup_stored_layers struct stored_layers layers = { .store = &s };
	cleanup_free struct image_report *r = calloc(1, sizeof(*r));
	struct err e;

	if (r == NULL)
		return ERR(E_LOCAL_MEMORY);
	if (failed(e = store_open(path, &s, reterr)) || failed(e = read_image(&s, selector, &image, reterr)) ||
	    failed(e = add_bytes(r, image.n_bytes, reterr)) || failed(e = look_at_layers(&image, &layers, r, reterr)) ||
	    failed(e = work(ctx, &image, &layers, r, reterr)))
		return e;
	memcpy(r->digests.manifest, image.manifest, sizeof(r->digests.manifest));
	memcpy(r->digests.config, image.m.config.sha256, sizeof(r->digests.config));
	memcpy(r->tag, image.tag, sizeof(r->tag));
	*ret = *r;
	return ERR(E_OK);
}

static struct err hash_layers(void *ctx, const struct oci_image *image, const struct stored_layers *l,
			      struct image_report *r, struct reason *reterr)
{
	struct stored_layers own = *l;

	(void)image;
	(void)r;
	return jobs_run(l->n, l->size, stored_hash, &own, *(const struct model_options *const *)ctx, reterr);
}

struct err oci_measure_with(const char *path, const char *selector, const struct model_options *options,
			    struct image_report *ret, struct reason *reterr)
{
	return oci_measure_by(path, selector, hash_layers, &options, ret, reterr);
}

struct err oci_measure(const char *path, const char *selector, struct image_report *ret, struct reason *reterr)
{
	return oci_measure_with(path, selector, NULL, ret, reterr);
}
