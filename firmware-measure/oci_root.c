/* SPDX-License-Identifier: Apache-2.0 */
/* oci_measure_root(): what the layers of an image hold, and the root that they make. */
#include <stdatomic.h>
#include <string.h>

#include "base/args.h"
#include "base/text.h"
#include "firmware-measure/layer.h"
#include "firmware-measure/layer_stream.h"
#include "firmware-measure/oci_extra.h"
#include "firmware-measure/oci_impl.h"

/* What a layer of the store became. */
struct content {
	enum layer_format format;
	struct tree tree;
	uint8_t sha256[32]; /* uncompressed */
};

struct run {
	const struct root_options *options;
	const struct oci_image *image;
	const struct stored_layers *stored;
	const struct oci_config *config;
	struct pile_budget budget;
	_Atomic uint64_t bytes_left; /* that all layers may have, uncompressed */
	struct content *layer;       /* owned */
};

static void run_done(struct run *run)
{
	for (size_t i = 0; run->layer != NULL && i < run->stored->n; i++)
		tree_done(&run->layer[i].tree);
	free(run->layer);
}
#define cleanup_run cleanup(run_done)

/* Says in which layer the trouble is. */
static struct err in_layer(size_t i, const struct reason *why, struct err e, struct reason *reterr)
{
	reason_set(reterr, "layer %zu: %s", i, why->text[0] != '\0' ? why->text : err_text(e));
	return e;
}

static struct err format_of(const struct oci_descriptor *d, size_t i, enum layer_format *ret, struct reason *reterr)
{
	static const struct {
		enum oci_media media;
		enum layer_format format;
	} formats[] = {
		{ OCI_MEDIA_LAYER, LAYER_TAR },
		{ OCI_MEDIA_LAYER_GZIP, LAYER_GZIP },
		{ OCI_MEDIA_LAYER_ZSTD, LAYER_ZSTD },
	};

	for (size_t k = 0; k < array_len(formats); k++) {
		if (formats[k].media == d->media) {
			*ret = formats[k].format;
			return ERR(E_OK);
		}
	}
	reason_set(reterr,
		   "layer %zu is no tar archive, plain or compressed by gzip or zstd: no root can be made of it", i);
	return ERR(E_PEER_UNSUPPORTED);
}

static struct err take_bytes(struct run *run, uint64_t n, struct reason *reterr)
{
	uint64_t left = atomic_load(&run->bytes_left);

	do {
		if (left < n) {
			reason_set(reterr, "the layers become larger than %ju bytes", (uintmax_t)LIMIT_IMAGE_BYTES);
			return ERR(E_LIMIT_SIZE);
		}
	} while (!atomic_compare_exchange_weak(&run->bytes_left, &left, left - n));
	return ERR(E_OK);
}

static struct err compare_diff_id(const struct run *run, size_t layer, const uint8_t got[32], struct reason *reterr)
{
	char seen[65], want[65];
	struct err e;

	if (bytes_eq(BYTES(got, 32), BYTES_ARR(run->config->diff_id[layer])))
		return ERR(E_OK);
	if (failed(e = hex_encode(BYTES(got, 32), seen, sizeof(seen))) ||
	    failed(e = hex_encode(BYTES_ARR(run->config->diff_id[layer]), want, sizeof(want))))
		return e;
	reason_set(reterr, "layer %zu has the digest %s uncompressed, its diff_id is %s", layer, seen, want);
	return ERR(E_PEER_DIGEST);
}

static struct err read_content(struct run *run, size_t i, struct jobs *j, const struct job_kit *kit,
			       const struct span *span, struct reason *reterr)
{
	const struct stored *item = &run->stored->v[i];
	cleanup_layer_stream struct layer_stream *stream = NULL;
	struct content *to = &run->layer[i];
	struct tar_source source;
	struct reason why = { "" };
	uint8_t stored[32];
	uint64_t size = 0;
	struct err e;

	if (failed(e = layer_stream_new(to->format, span, kit, LIMIT_IMAGE_BYTES, j, &stream)))
		return e;
	source = layer_stream_source(stream);
	if (failed(e = layer_read(&source, kit->h, run->options->allow_devices, &to->tree, &why)))
		return in_layer(item->first, &why, e, reterr);
	if (failed(e = layer_stream_finish(stream, stored, to->sha256, &size)) ||
	    failed(e = oci_blob_compare(stored_name(item), stored, item->sha256, reterr)) ||
	    failed(e = take_bytes(run, size, reterr)))
		return e;
	return compare_diff_id(run, item->first, to->sha256, reterr);
}

/*
 * Hashed while it is read; nothing of it is used before both digests fit. Of a
 * layer that cannot be read it is said first whether it is the right one.
 */
static struct err read_layer(void *ctx, size_t i, struct jobs *j, const struct job_kit *kit, struct reason *reterr)
{
	struct run *run = ctx;
	struct stored_layers stored = *run->stored;
	cleanup_blob struct blob blob = BLOB_NONE;
	struct reason why = { "" };
	struct digest d;
	struct err e, other;

	if (failed(e = stored_open(&stored, i, &blob, reterr)))
		return e;
	e = read_content(run, i, j, kit, &blob.span, &why);
	if (failed(other = blob_unchanged(&blob, reterr)))
		return other;
	if (failed(e) && exit_for(e) == EXIT_REJECTED) {
		if (failed(other = hasher_finish(kit->h, &d)) || /* what a cut content left in it */
		    failed(other = stored_hash(&stored, i, j, kit, reterr)))
			return other;
	}
	if (failed(e))
		reason_set(reterr, "%s", why.text[0] != '\0' ? why.text : err_text(e));
	return e;
}

/* ChainID: of the first layer its diff_id, then the digest of "CHAIN DIFF_ID". Source: config.md, Layer ChainID. */
static struct err chain_id(const struct oci_config *c, uint8_t ret[32])
{
	char text[2 * 72 + 2], chain[65], diff[65];
	struct err e;

	for (size_t i = 0; i < c->n_diff_ids; i++) {
		if (i == 0) {
			memcpy(ret, c->diff_id[0], 32);
			continue;
		}
		if (failed(e = hex_encode(BYTES(ret, 32), chain, sizeof(chain))) ||
		    failed(e = hex_encode(BYTES_ARR(c->diff_id[i]), diff, sizeof(diff))))
			return e;
		(void)snprintf(text, sizeof(text), "sha256:%s sha256:%s", chain, diff);
		if (failed(e = sha256(bytes_str(text), ret)))
			return e;
	}
	return ERR(E_OK);
}

static struct err make_root(struct run *run, struct image_report *r, struct reason *reterr)
{
	cleanup_tree struct tree root = { .pile = { .budget = &run->budget } };
	struct reason why = { "" };
	struct err e;

	if (failed(e = tree_root(&root, reterr)))
		return e;
	for (size_t i = 0; i < run->image->m.n_layers; i++) {
		struct content *layer = &run->layer[run->stored->of[i]];

		if (failed(e = compare_diff_id(run, i, layer->sha256, reterr)))
			return e;
		if (failed(e = tree_apply(&root, &layer->tree, &why)))
			return in_layer(i, &why, e, reterr);
		memcpy(r->diff_id[i], layer->sha256, sizeof(r->diff_id[i]));
	}
	r->n_entries = root.n;
	r->n_root_bytes = LIMIT_IMAGE_BYTES - atomic_load(&run->bytes_left);
	if (failed(e = tree_digest(&root, run->options->ignore_owner, r->rootfs)) || run->options->seen == NULL)
		return e;
	return run->options->seen(run->options->ctx, buf_bytes(&run->image->config), &root, reterr);
}

static struct err read_layers(void *ctx, const struct oci_image *image, const struct stored_layers *l,
			      struct image_report *r, struct reason *reterr)
{
	cleanup_oci_config struct oci_config config = { 0 };
	cleanup_run struct run run = {
		.options = ctx,
		.image = image,
		.stored = l,
		.config = &config,
		.budget = { LIMIT_TREE_ENTRIES, LIMIT_TREE_BYTES },
		.bytes_left = LIMIT_IMAGE_BYTES,
	};
	struct reason why = { "" };
	struct err e;

	if (failed(e = oci_config_read(buf_bytes(&image->config), &config, &why)))
		return oci_in_document("image configuration", &why, e, reterr);
	if (config.n_diff_ids != image->m.n_layers) {
		reason_set(reterr, "image configuration: %zu diff_ids, the manifest has %zu layers", config.n_diff_ids,
			   image->m.n_layers);
		return ERR(E_PEER_RANGE);
	}
	if (failed(e = oci_refuse_extra(l->store, reterr)))
		return e;
	run.layer = calloc(l->n + 1, sizeof(*run.layer));
	if (run.layer == NULL)
		return ERR(E_LOCAL_MEMORY);
	for (size_t i = 0; i < l->n; i++) {
		run.layer[i].tree.pile.budget = &run.budget;
		if (failed(e = format_of(&image->m.layer[l->v[i].first], l->v[i].first, &run.layer[i].format, reterr)))
			return e;
	}
	if (failed(e = jobs_run(l->n, l->size, read_layer, &run, run.options->run, reterr)) ||
	    failed(e = chain_id(&config, r->chain)))
		return e;
	return make_root(&run, r, reterr);
}

struct err oci_measure_root(const char *path, const char *selector, const struct root_options *options,
			    struct image_report *ret, struct reason *reterr)
{
	struct root_options own = *options;

	return oci_measure_by(path, selector, read_layers, &own, ret, reterr);
}
