/* SPDX-License-Identifier: Apache-2.0 */
#include "firmware-measure/oci_json.h"

#include <string.h>

#include "base/json.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"

#define MEDIA_TYPE_MAX 255 /* RFC 6838, 4.2: 127 and 127 characters around the slash */
#define DIGEST_TEXT_MAX 255
#define DIGEST_PREFIX "sha256:"
#define REF_NAME "org.opencontainers.image.ref.name"

#define DOCKER_PREFIX "application/vnd.docker."

static const struct {
	const char *type;
	enum oci_media media;
} medias[] = {
	{ OCI_TYPE_INDEX, OCI_MEDIA_INDEX },
	{ OCI_TYPE_MANIFEST, OCI_MEDIA_MANIFEST },
	{ OCI_TYPE_CONFIG, OCI_MEDIA_CONFIG },
	{ OCI_TYPE_LAYER, OCI_MEDIA_LAYER },
	{ OCI_TYPE_LAYER "+gzip", OCI_MEDIA_LAYER_GZIP },
	{ OCI_TYPE_LAYER "+zstd", OCI_MEDIA_LAYER_ZSTD },
	{ "application/vnd.oci.image.layer.nondistributable.v1.tar", OCI_MEDIA_LAYER },
	{ "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", OCI_MEDIA_LAYER_GZIP },
	{ "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", OCI_MEDIA_LAYER_ZSTD },
};

enum oci_media oci_media_of(const char *type)
{
	for (size_t i = 0; i < array_len(medias); i++) {
		if (strcmp(medias[i].type, type) == 0)
			return medias[i].media;
	}
	return strncmp(type, DOCKER_PREFIX, strlen(DOCKER_PREFIX)) == 0 ? OCI_MEDIA_DOCKER : OCI_MEDIA_OTHER;
}

void oci_index_done(struct oci_index *i)
{
	free(i->v);
	*i = (struct oci_index){ 0 };
}

void oci_manifest_done(struct oci_manifest *m)
{
	free(m->layer);
	*m = (struct oci_manifest){ 0 };
}

/* Lower case only, so that one digest has one name: blobs are found by this text. */
struct err oci_digest_parse(const char *s, uint8_t ret[32], struct reason *reterr)
{
	const size_t prefix = strlen(DIGEST_PREFIX);
	const bool ours = strncmp(s, DIGEST_PREFIX, prefix) == 0;

	if (!ours && strchr(s, ':') != NULL) {
		reason_set(reterr, "digest %s: only sha256 is accepted", log_quote(bytes_str(s)));
		return ERR(E_PEER_UNSUPPORTED);
	}
	if (!ours || strlen(s) != prefix + 64 || strspn(s + prefix, "0123456789abcdef") != 64) {
		reason_set(reterr, "digest %s: sha256: and 64 lower-case hex digits are expected",
			   log_quote(bytes_str(s)));
		return ERR(E_PEER_SYNTAX);
	}
	return hex_decode_exact(bytes_str(s + prefix), ret, 32);
}

static struct err parse_tag(struct jobj *o, struct oci_descriptor *d)
{
	const json_t *annotations = NULL;
	const char *tag = NULL;
	struct jobj a;
	struct err e;

	if (!jobj_has(o, "annotations"))
		return ERR(E_OK);
	if (failed(e = jobj_obj(o, "annotations", &annotations)) ||
	    failed(e = jobj_init(&a, annotations, "annotations", o->reterr)))
		return e;
	if (!jobj_has(&a, REF_NAME))
		return ERR(E_OK);
	if (failed(e = jobj_str(&a, REF_NAME, OCI_TAG_MAX, &tag)))
		return e;
	memcpy(d->tag, tag, strlen(tag) + 1);
	return ERR(E_OK);
}

static struct err parse_part(struct jobj *o, const char *key, char to[OCI_PLATFORM_MAX + 1])
{
	const char *text = NULL;
	struct err e;

	if (!jobj_has(o, key))
		return ERR(E_OK);
	if (failed(e = jobj_str(o, key, OCI_PLATFORM_MAX, &text)))
		return e;
	memcpy(to, text, strlen(text) + 1);
	return ERR(E_OK);
}

static struct err parse_platform(struct jobj *o, struct oci_platform *p)
{
	struct err e;

	if (failed(e = parse_part(o, "os", p->os)) ||
	    failed(e = parse_part(o, "architecture", p->architecture)))
		return e;
	return parse_part(o, "variant", p->variant);
}

static struct err parse_descriptor_platform(struct jobj *o, struct oci_descriptor *d)
{
	const json_t *platform = NULL;
	struct jobj p;
	struct err e;

	if (!jobj_has(o, "platform"))
		return ERR(E_OK);
	if (failed(e = jobj_obj(o, "platform", &platform)) ||
	    failed(e = jobj_init(&p, platform, "platform", o->reterr)))
		return e;
	return parse_platform(&p, &d->platform);
}

static struct err parse_descriptor(const json_t *j, const char *where, struct oci_descriptor *ret,
				   struct reason *reterr)
{
	struct oci_descriptor d = { 0 };
	const char *type = NULL, *digest = NULL;
	struct jobj o;
	struct err e;

	if (failed(e = jobj_init(&o, j, where, reterr)) ||
	    failed(e = jobj_str(&o, "mediaType", MEDIA_TYPE_MAX, &type)) ||
	    failed(e = jobj_str(&o, "digest", DIGEST_TEXT_MAX, &digest)) ||
	    failed(e = oci_digest_parse(digest, d.sha256, reterr)) ||
	    failed(e = jobj_u64(&o, "size", INT64_MAX, &d.size)) ||
	    failed(e = parse_tag(&o, &d)) ||
	    failed(e = parse_descriptor_platform(&o, &d)))
		return e;
	d.media = oci_media_of(type);
	*ret = d;
	return ERR(E_OK);
}

static struct err parse_descriptors(struct jobj *o, const char *key, size_t max, size_t *ret_n,
				    struct oci_descriptor **ret)
{
	cleanup_free struct oci_descriptor *v = NULL;
	const json_t *list = NULL;
	struct err e;
	size_t n;

	if (failed(e = jobj_arr(o, key, max, &list)))
		return e;
	n = json_array_size(list);
	if (n == 0) {
		*ret_n = 0;
		return ERR(E_OK);
	}
	v = calloc(n, sizeof(*v));
	if (v == NULL)
		return ERR(E_LOCAL_MEMORY);
	for (size_t i = 0; i < n; i++) {
		char where[48];

		(void)snprintf(where, sizeof(where), "%s[%zu]", key, i);
		if (failed(e = parse_descriptor(json_array_get(list, i), where, &v[i], o->reterr)))
			return e;
	}
	*ret = take_ptr(&v);
	*ret_n = n;
	return ERR(E_OK);
}

static struct err refuse_docker(enum oci_media media, struct reason *reterr)
{
	if (media != OCI_MEDIA_DOCKER)
		return ERR(E_OK);
	reason_set(reterr, "a Docker media type: copy the image to OCI format first");
	return ERR(E_PEER_UNSUPPORTED);
}

/* schemaVersion 2, and the media type, where the document tells one, is the wanted one. */
static struct err check_head(struct jobj *o, const char *type)
{
	const char *given = NULL;
	uint64_t version = 0;
	struct err e;

	if (failed(e = jobj_u64(o, "schemaVersion", UINT64_MAX, &version)))
		return e;
	if (version != 2) {
		reason_set(o->reterr, "schemaVersion %ju: 2 is expected", (uintmax_t)version);
		return ERR(E_PEER_UNSUPPORTED);
	}
	if (!jobj_has(o, "mediaType"))
		return ERR(E_OK);
	if (failed(e = jobj_str(o, "mediaType", MEDIA_TYPE_MAX, &given)) ||
	    failed(e = refuse_docker(oci_media_of(given), o->reterr)))
		return e;
	if (strcmp(given, type) == 0)
		return ERR(E_OK);
	reason_set(o->reterr, "media type %s: %s is expected", log_quote(bytes_str(given)), type);
	return ERR(E_PEER_UNSUPPORTED);
}

/* Nobody may read this document as something else than we do. */
static struct err refuse_member(const struct jobj *o, const char *key)
{
	if (!jobj_has(o, key))
		return ERR(E_OK);
	reason_set(o->reterr, "%s: has \"%s\" too, which makes it ambiguous", o->where, key);
	return ERR(E_PEER_UNKNOWN_KEY);
}

struct err oci_layout_parse(struct bytes in, struct reason *reterr)
{
	cleanup_json json_t *j = NULL;
	const char *version = NULL;
	struct jobj o;
	struct err e;

	if (failed(e = json_parse(in, LIMIT_SMALL, &j, reterr)) ||
	    failed(e = jobj_init(&o, j, "oci-layout", reterr)) ||
	    failed(e = jobj_str(&o, "imageLayoutVersion", 64, &version)))
		return e;
	if (strcmp(version, "1.0.0") == 0)
		return ERR(E_OK);
	reason_set(reterr, "imageLayoutVersion %s: 1.0.0 is expected", log_quote(bytes_str(version)));
	return ERR(E_PEER_UNSUPPORTED);
}

struct err oci_index_parse(struct bytes in, struct oci_index *ret, struct reason *reterr)
{
	cleanup_oci_index struct oci_index index = { 0 };
	cleanup_json json_t *j = NULL;
	struct jobj o;
	struct err e;

	if (failed(e = json_parse(in, LIMIT_OCI_JSON, &j, reterr)) ||
	    failed(e = jobj_init(&o, j, "image index", reterr)) ||
	    failed(e = check_head(&o, OCI_TYPE_INDEX)) ||
	    failed(e = refuse_member(&o, "config")) ||
	    failed(e = refuse_member(&o, "layers")) ||
	    failed(e = parse_descriptors(&o, "manifests", LIMIT_OCI_MANIFESTS, &index.n, &index.v)))
		return e;
	ret->n = index.n;
	ret->v = take_ptr(&index.v);
	return ERR(E_OK);
}

static struct err check_image(const struct oci_manifest *m, struct reason *reterr)
{
	struct err e;

	if (failed(e = refuse_docker(m->config.media, reterr)))
		return e;
	if (m->config.media != OCI_MEDIA_CONFIG) {
		reason_set(reterr, "config is not of type " OCI_TYPE_CONFIG ": no container image");
		return ERR(E_PEER_UNSUPPORTED);
	}
	for (size_t i = 0; i < m->n_layers; i++) {
		if (failed(e = refuse_docker(m->layer[i].media, reterr)))
			return e;
	}
	return ERR(E_OK);
}

struct err oci_manifest_parse(struct bytes in, struct oci_manifest *ret, struct reason *reterr)
{
	cleanup_oci_manifest struct oci_manifest m = { 0 };
	cleanup_json json_t *j = NULL;
	const json_t *config = NULL;
	struct jobj o;
	struct err e;

	if (failed(e = json_parse(in, LIMIT_OCI_JSON, &j, reterr)) ||
	    failed(e = jobj_init(&o, j, "image manifest", reterr)) ||
	    failed(e = check_head(&o, OCI_TYPE_MANIFEST)) ||
	    failed(e = refuse_member(&o, "manifests")) ||
	    failed(e = jobj_obj(&o, "config", &config)) ||
	    failed(e = parse_descriptor(config, "config", &m.config, reterr)) ||
	    failed(e = parse_descriptors(&o, "layers", LIMIT_OCI_LAYERS, &m.n_layers, &m.layer)) ||
	    failed(e = check_image(&m, reterr)))
		return e;
	*ret = m;
	m = (struct oci_manifest){ 0 };
	return ERR(E_OK);
}

struct err oci_config_parse(struct bytes in, struct reason *reterr)
{
	cleanup_json json_t *j = NULL;
	struct jobj o;
	struct err e;

	if (failed(e = json_parse(in, LIMIT_OCI_JSON, &j, reterr)))
		return e;
	return jobj_init(&o, j, "image configuration", reterr);
}

struct err oci_config_platform(struct bytes in, struct oci_platform *ret, struct reason *reterr)
{
	struct oci_platform p = { 0 };
	cleanup_json json_t *j = NULL;
	struct jobj o;
	struct err e;

	if (failed(e = json_parse(in, LIMIT_OCI_JSON, &j, reterr)) ||
	    failed(e = jobj_init(&o, j, "image configuration", reterr)) ||
	    failed(e = parse_platform(&o, &p)))
		return e;
	*ret = p;
	return ERR(E_OK);
}

void oci_config_done(struct oci_config *c)
{
	free(c->diff_id);
	*c = (struct oci_config){ 0 };
}

static struct err parse_diff_ids(struct jobj *rootfs, struct oci_config *c)
{
	const json_t *list = NULL;
	struct err e;

	if (failed(e = jobj_arr(rootfs, "diff_ids", LIMIT_OCI_LAYERS, &list)))
		return e;
	c->n_diff_ids = json_array_size(list);
	c->diff_id = calloc(c->n_diff_ids + 1, sizeof(*c->diff_id));
	if (c->diff_id == NULL)
		return ERR(E_LOCAL_MEMORY);
	for (size_t i = 0; i < c->n_diff_ids; i++) {
		const char *text = json_string_value(json_array_get(list, i));

		if (text == NULL) {
			reason_set(rootfs->reterr, "rootfs.diff_ids[%zu]: a digest is expected", i);
			return ERR(E_PEER_TYPE);
		}
		if (failed(e = oci_digest_parse(text, c->diff_id[i], rootfs->reterr)))
			return e;
	}
	return ERR(E_OK);
}

struct err oci_config_read(struct bytes in, struct oci_config *ret, struct reason *reterr)
{
	cleanup_oci_config struct oci_config c = { 0 };
	cleanup_json json_t *j = NULL;
	const json_t *rootfs = NULL;
	const char *type = NULL;
	struct jobj o, r;
	struct err e;

	if (failed(e = json_parse(in, LIMIT_OCI_JSON, &j, reterr)) ||
	    failed(e = jobj_init(&o, j, "image configuration", reterr)) ||
	    failed(e = jobj_obj(&o, "rootfs", &rootfs)) ||
	    failed(e = jobj_init(&r, rootfs, "rootfs", reterr)) ||
	    failed(e = jobj_str(&r, "type", MEDIA_TYPE_MAX, &type)))
		return e;
	if (strcmp(type, "layers") != 0) {
		reason_set(reterr, "rootfs.type %s: layers is expected", log_quote(bytes_str(type)));
		return ERR(E_PEER_UNSUPPORTED);
	}
	if (failed(e = parse_diff_ids(&r, &c)))
		return e;
	*ret = c;
	c = (struct oci_config){ 0 };
	return ERR(E_OK);
}
