/* SPDX-License-Identifier: Apache-2.0 */
#include "firmware-measure/oci_docker.h"

#include <string.h>

#include "base/digest.h"
#include "base/log.h"
#include "base/text.h"
#include "firmware-measure/oci_select.h"

#define MANIFEST "manifest.json"

void docker_manifest_done(struct docker_manifest *m)
{
	json_decref(m->doc);
	free(m->v);
	*m = (struct docker_manifest){ 0 };
}

/* A list of names, which may be null or missing where it is optional. */
static struct err read_names(struct jobj *o, const char *key, bool optional, size_t max, size_t *ret_n,
			     const char **ret)
{
	const json_t *list = NULL;
	struct err e;

	if (optional && (!jobj_has(o, key) || json_is_null(json_object_get(o->obj, key))))
		return ERR(E_OK);
	if (failed(e = jobj_arr(o, key, max, &list)))
		return e;
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *name = json_array_get(list, i);

		if (!json_is_string(name) || json_string_length(name) == 0 || json_string_length(name) > OCI_NAME_MAX) {
			reason_set(o->reterr, "%s.%s[%zu]: a name of 1 to %d bytes is expected", o->where, key, i,
				   OCI_NAME_MAX);
			return ERR(E_PEER_TYPE);
		}
		ret[i] = json_string_value(name);
	}
	*ret_n = json_array_size(list);
	return ERR(E_OK);
}

static struct err read_image(const json_t *j, size_t i, struct docker_image *ret, struct reason *reterr)
{
	char where[32];
	struct jobj o;
	struct err e;

	(void)snprintf(where, sizeof(where), "image %zu", i);
	if (failed(e = jobj_init(&o, j, where, reterr)) ||
	    failed(e = jobj_str(&o, "Config", OCI_NAME_MAX, &ret->config)) ||
	    failed(e = read_names(&o, "Layers", true, LIMIT_OCI_LAYERS, &ret->n_layers, ret->layer)))
		return e;
	return read_names(&o, "RepoTags", true, LIMIT_DOCKER_TAGS, &ret->n_tags, ret->tag);
}

struct err docker_manifest_parse(struct bytes in, struct docker_manifest *ret, struct reason *reterr)
{
	cleanup_docker_manifest struct docker_manifest m = { 0 };
	struct err e;

	if (failed(e = json_parse(in, LIMIT_OCI_JSON, &m.doc, reterr)))
		return e;
	if (!json_is_array(m.doc) || json_array_size(m.doc) == 0) {
		reason_set(reterr, "a list of images is expected");
		return ERR(E_PEER_TYPE);
	}
	if (json_array_size(m.doc) > LIMIT_DOCKER_IMAGES) {
		reason_set(reterr, "more than %d images", LIMIT_DOCKER_IMAGES);
		return ERR(E_LIMIT_COUNT);
	}
	m.n = json_array_size(m.doc);
	m.v = calloc(m.n, sizeof(*m.v));
	if (m.v == NULL)
		return ERR(E_LOCAL_MEMORY);
	for (size_t i = 0; i < m.n; i++) {
		if (failed(e = read_image(json_array_get(m.doc, i), i, &m.v[i], reterr)))
			return e;
	}
	*ret = m;
	m = (struct docker_manifest){ 0 };
	return ERR(E_OK);
}

static struct err read_manifest(const struct store *s, struct docker_manifest *ret, struct reason *reterr)
{
	cleanup_buf struct buf b = BUF_INIT(LIMIT_OCI_JSON);
	struct reason why = { "" };
	struct err e;

	if (failed(e = store_read(s, MANIFEST, &b, reterr)))
		return e;
	if (failed(e = docker_manifest_parse(buf_bytes(&b), ret, &why)))
		return oci_in_document(MANIFEST, &why, e, reterr);
	return ERR(E_OK);
}

/* Docker names a configuration HEX.json, podman too: then it must have that digest. */
static struct err config_name_fits(const char *name, const uint8_t sha256[32], struct reason *reterr)
{
	uint8_t want[32];

	if (strlen(name) != 64 + strlen(".json") || strcmp(name + 64, ".json") != 0 ||
	    failed(hex_decode_exact(BYTES(name, 64), want, sizeof(want))))
		return ERR(E_OK);
	return oci_blob_compare(name, sha256, want, reterr);
}

static struct err read_config(const struct store *s, const struct docker_image *d, struct oci_image *i,
			      struct oci_config *ret, struct reason *reterr)
{
	struct reason why = { "" };
	struct err e;

	if (failed(e = store_read(s, d->config, &i->config, reterr)) ||
	    failed(e = sha256(buf_bytes(&i->config), i->m.config.sha256)) ||
	    failed(e = config_name_fits(d->config, i->m.config.sha256, reterr)))
		return e;
	i->m.config.size = i->config.n;
	i->m.config.media = OCI_MEDIA_CONFIG;
	if (failed(e = oci_config_read(buf_bytes(&i->config), ret, &why)))
		return oci_in_document("image configuration", &why, e, reterr);
	if (ret->n_diff_ids == d->n_layers)
		return ERR(E_OK);
	reason_set(reterr, "image configuration: %zu layers, " MANIFEST " names %zu", ret->n_diff_ids, d->n_layers);
	return ERR(E_PEER_RANGE);
}

/* Layers as the configuration and the archive tell them. */
static struct err take_layers(const struct store *s, const struct docker_image *d, const struct oci_config *config,
			      struct oci_image *i, struct reason *reterr)
{
	struct err e;

	i->m.layer = calloc(d->n_layers + 1, sizeof(*i->m.layer));
	i->name = calloc(d->n_layers + 1, sizeof(*i->name));
	if (i->m.layer == NULL || i->name == NULL)
		return ERR(E_LOCAL_MEMORY);
	i->m.n_layers = d->n_layers;
	for (size_t k = 0; k < d->n_layers; k++) {
		struct oci_descriptor *l = &i->m.layer[k];
		cleanup_blob struct blob blob = BLOB_NONE;

		if (failed(e = store_blob_open(s, d->layer[k], &blob, reterr)))
			return e;
		l->media = OCI_MEDIA_LAYER;
		l->size = blob.span.size;
		memcpy(l->sha256, config->diff_id[k], sizeof(l->sha256));
		(void)snprintf(i->name[k].path, sizeof(i->name[k].path), "%s", d->layer[k]);
	}
	return ERR(E_OK);
}

static struct err add_descriptor(struct buf *b, const char *type, const struct oci_descriptor *d)
{
	struct err e;

	if (failed(e = buf_addf(b, "{\"mediaType\":\"%s\",\"digest\":\"sha256:", type)) ||
	    failed(e = buf_add_hex(b, BYTES_ARR(d->sha256))))
		return e;
	return buf_addf(b, "\",\"size\":%ju}", (uintmax_t)d->size);
}

/* The OCI manifest that the header of this module describes. */
static struct err identity(struct oci_image *i)
{
	cleanup_buf struct buf b = BUF_INIT(LIMIT_OCI_JSON);
	struct err e;

	if (failed(e = buf_add_str(&b, "{\"schemaVersion\":2,\"mediaType\":\"" OCI_TYPE_MANIFEST "\",\"config\":")) ||
	    failed(e = add_descriptor(&b, OCI_TYPE_CONFIG, &i->m.config)) ||
	    failed(e = buf_add_str(&b, ",\"layers\":[")))
		return e;
	for (size_t k = 0; k < i->m.n_layers; k++) {
		if ((k > 0 && failed(e = buf_add_u8(&b, ','))) ||
		    failed(e = add_descriptor(&b, OCI_TYPE_LAYER, &i->m.layer[k])))
			return e;
	}
	if (failed(e = buf_add_str(&b, "]}")))
		return e;
	i->n_bytes = i->config.n;
	return sha256(buf_bytes(&b), i->manifest);
}

static struct err read_one(const struct store *s, const struct docker_image *d, struct oci_image *ret,
			   struct reason *reterr)
{
	cleanup_oci_config struct oci_config config = { 0 };
	struct err e;

	if (failed(e = read_config(s, d, ret, &config, reterr)) || failed(e = take_layers(s, d, &config, ret, reterr)))
		return e;
	return identity(ret);
}

/* "v1" and "example.com/agent:v1" both name the latter. */
static bool has_tag(const struct docker_image *d, const char *tag)
{
	for (size_t i = 0; i < d->n_tags; i++) {
		const char *colon = strrchr(d->tag[i], ':');

		if (strcmp(d->tag[i], tag) == 0 || (colon != NULL && strcmp(colon + 1, tag) == 0))
			return true;
	}
	return false;
}

/* A tag with that whole name goes before what it could mean with a platform. */
static struct err read_selector(const struct docker_manifest *m, const char *text, struct oci_selector *ret,
				struct reason *reterr)
{
	struct oci_selector s = { 0 };
	bool whole = text == NULL;

	for (size_t i = 0; i < m->n && !whole; i++)
		whole = has_tag(&m->v[i], text) && strlen(text) < sizeof(s.name);
	if (whole) {
		(void)snprintf(s.name, sizeof(s.name), "%s", text != NULL ? text : "");
	} else if (!oci_selector_split(text, &s) || (s.name[0] == '\0' && !oci_wants_platform(&s))) {
		reason_set(reterr, "%s: no such image in " MANIFEST, log_quote(bytes_str(text)));
		return ERR(E_LOCAL_NOT_FOUND);
	}
	*ret = s;
	return ERR(E_OK);
}

static struct err fits(const struct store *s, const struct docker_image *d, const struct oci_selector *selector,
		       bool *ret, struct reason *reterr)
{
	cleanup_oci_image struct oci_image image = OCI_IMAGE_NONE;
	struct oci_platform is = { 0 };
	uint8_t want[32];
	struct err e;

	*ret = selector->name[0] == '\0' || oci_is_digest(selector->name) || has_tag(d, selector->name);
	if (!*ret || (!oci_is_digest(selector->name) && !oci_wants_platform(selector)))
		return ERR(E_OK);
	if (failed(e = read_one(s, d, &image, reterr)))
		return e;
	if (oci_is_digest(selector->name)) {
		if (failed(e = oci_digest_parse(selector->name, want, reterr)))
			return e;
		*ret = bytes_eq(BYTES_ARR(want), BYTES_ARR(image.manifest));
	}
	if (!*ret || !oci_wants_platform(selector))
		return ERR(E_OK);
	if (failed(e = oci_config_platform(buf_bytes(&image.config), &is, reterr)))
		return e;
	*ret = oci_platform_fits(&is, &selector->want);
	return ERR(E_OK);
}

struct err docker_image_read(const struct store *s, const char *text, struct oci_image *ret, struct reason *reterr)
{
	cleanup_docker_manifest struct docker_manifest m = { 0 };
	const char *what = text != NULL ? log_quote(bytes_str(text)) : MANIFEST;
	const struct docker_image *hit = NULL;
	struct oci_selector selector = { 0 };
	struct err e;

	if (failed(e = read_manifest(s, &m, reterr)) || failed(e = read_selector(&m, text, &selector, reterr)))
		return e;
	for (size_t i = 0; i < m.n; i++) {
		bool is = false;

		if (failed(e = fits(s, &m.v[i], &selector, &is, reterr)))
			return e;
		if (is && hit != NULL) {
			reason_set(reterr, "%s: more than one image, select one by its tag or digest", what);
			return ERR(E_PEER_DUPLICATE);
		}
		if (is)
			hit = &m.v[i];
	}
	if (hit == NULL) {
		reason_set(reterr, "%s: no such image in " MANIFEST, what);
		return ERR(E_LOCAL_NOT_FOUND);
	}
	if (!oci_is_digest(selector.name))
		(void)snprintf(ret->tag, sizeof(ret->tag), "%.*s", OCI_TAG_MAX, selector.name);
	return read_one(s, hit, ret, reterr);
}

static bool same_layers(const struct docker_image *d, const struct oci_image *image)
{
	if (d->n_layers != image->m.n_layers)
		return false;
	for (size_t i = 0; i < d->n_layers; i++) {
		if (strcmp(d->layer[i], image->name[i].path) != 0)
			return false;
	}
	return true;
}

struct err docker_manifest_agrees(const struct store *s, const struct oci_image *image, struct reason *reterr)
{
	cleanup_docker_manifest struct docker_manifest m = { 0 };
	struct blob_name config;
	struct err e;

	if (!s->is_archive || !store_may_have(s, MANIFEST))
		return ERR(E_OK);
	if (failed(e = read_manifest(s, &m, reterr)) || failed(e = blob_name(image->m.config.sha256, &config)))
		return e;
	for (size_t i = 0; i < m.n; i++) {
		if (strcmp(m.v[i].config, config.path) == 0 && same_layers(&m.v[i], image))
			return ERR(E_OK);
	}
	reason_set(reterr, MANIFEST " beside index.json names another image than the one that is selected there");
	return ERR(E_PEER_RANGE);
}
