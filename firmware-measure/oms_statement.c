/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of a bundle: the in-toto statement that was signed. */
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "firmware-measure/oms.h"

#define IGNORE_PATHS_MAX 4096

void oms_manifest_done(struct oms_manifest *m)
{
	for (size_t i = 0; i < m->n_resources; i++)
		free(m->resources[i].path);
	for (size_t i = 0; i < m->n_ignored; i++)
		free(m->ignored[i]);
	free(m->resources);
	free(m->ignored);
	*m = (struct oms_manifest){ 0 };
}

/* The text must be this one. */
static struct err expect(struct jobj *o, const char *key, const char *want)
{
	const char *seen = NULL;
	struct err e;

	if (failed(e = jobj_str(o, key, SIZE_MAX, &seen)))
		return e;
	if (strcmp(seen, want) == 0)
		return ERR(E_OK);
	reason_set(o->reterr, "%s.%s: expected %s, seen %s", o->where, key, want, log_quote(bytes_str(seen)));
	return ERR(E_PEER_TYPE);
}

static struct err copy_text(const char *text, char **ret)
{
	*ret = strdup(text);
	return *ret != NULL ? ERR(E_OK) : ERR(E_LOCAL_MEMORY);
}

/* Bytes of a shard. Structs of protobuf know no integers: 8.0 is what the reference implementation writes. */
static struct err shard_size(struct jobj *o, uint64_t *ret)
{
	const json_t *j = NULL;
	struct err e;
	double v;

	if (failed(e = jobj_any(o, "shard_size", &j)))
		return e;
	v = json_number_value(j);
	if (!json_is_number(j) || !(v >= 1 && v <= (double)OMS_SHARD_MAX) || (double)(uint64_t)v != v) {
		reason_set(o->reterr, "%s.shard_size: expected a positive integer", o->where);
		return ERR(E_PEER_RANGE);
	}
	*ret = (uint64_t)v;
	return ERR(E_OK);
}

static struct err check_hash(struct jobj *o, const char *key, uint64_t shard)
{
	const char *name = NULL;
	char sharded[64];
	struct err e;

	if (failed(e = jobj_str(o, key, SIZE_MAX, &name)))
		return e;
	(void)snprintf(sharded, sizeof(sharded), "sha256-sharded-%ju", (uintmax_t)shard);
	if (strcmp(name, "sha256") == 0 || (shard > 0 && strcmp(name, sharded) == 0))
		return ERR(E_OK);
	reason_set(o->reterr, "%s.%s: only sha256 is supported, seen %s", o->where, key, log_quote(bytes_str(name)));
	return ERR(E_PEER_UNSUPPORTED);
}

static struct err read_ignored(struct jobj *o, struct oms_manifest *m)
{
	const json_t *list = NULL;
	struct err e;

	if (!jobj_has(o, "ignore_paths"))
		return ERR(E_OK);
	if (failed(e = jobj_arr(o, "ignore_paths", IGNORE_PATHS_MAX, &list)))
		return e;
	m->ignored = calloc(json_array_size(list) + 1, sizeof(*m->ignored));
	if (m->ignored == NULL)
		return ERR(E_LOCAL_MEMORY);
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *path = json_string_value(json_array_get(list, i));

		if (path == NULL) {
			reason_set(o->reterr, "%s.ignore_paths: expected texts", o->where);
			return ERR(E_PEER_TYPE);
		}
		if (failed(e = copy_text(path, &m->ignored[i])))
			return e;
		m->n_ignored++;
	}
	return ERR(E_OK);
}

static struct err read_serialization(struct jobj *predicate, struct oms_manifest *m)
{
	const char *method = NULL;
	const json_t *j = NULL;
	struct jobj o;
	struct err e;

	if (failed(e = jobj_obj(predicate, "serialization", &j)) ||
	    failed(e = jobj_init(&o, j, "predicate.serialization", predicate->reterr)) ||
	    failed(e = jobj_str(&o, "method", SIZE_MAX, &method)))
		return e;
	if (strcmp(method, "shards") == 0) {
		if (failed(e = shard_size(&o, &m->shard_size)))
			return e;
	} else if (strcmp(method, "files") != 0) {
		reason_set(o.reterr, "%s.method: expected files or shards, seen %s", o.where,
			   log_quote(bytes_str(method)));
		return ERR(E_PEER_UNSUPPORTED);
	}
	if (failed(e = check_hash(&o, "hash_type", m->shard_size)) ||
	    failed(e = jobj_bool(&o, "allow_symlinks", &m->allow_symlinks)))
		return e;
	return read_ignored(&o, m);
}

/* "path:start:end"; the path may hold colons itself. Cuts the path off. */
static bool split_shard(char *path, struct oms_resource *ret)
{
	char *end = strrchr(path, ':'), *start;

	if (end == NULL)
		return false;
	*end++ = '\0';
	start = strrchr(path, ':');
	if (start == NULL)
		return false;
	*start++ = '\0';
	return !failed(parse_u64(start, INT64_MAX, &ret->start)) && !failed(parse_u64(end, INT64_MAX, &ret->end)) &&
	       ret->start <= ret->end;
}

/* Takes the next place; name and digest as signed. */
static struct err add_resource(struct oms_manifest *m, const char *name, const uint8_t sha256[32],
			       struct reason *reterr)
{
	struct oms_resource *r = &m->resources[m->n_resources];
	struct err e;

	if (failed(e = copy_text(name, &r->path)))
		return e;
	m->n_resources++;
	memcpy(r->sha256, sha256, sizeof(r->sha256));
	if (m->shard_size > 0 && !split_shard(r->path, r)) {
		reason_set(reterr, "resource %s: expected path:start:end", log_quote(bytes_str(name)));
		return ERR(E_PEER_SYNTAX);
	}
	if (r->path[0] != '\0')
		return ERR(E_OK);
	reason_set(reterr, "resource %s without a path", log_quote(bytes_str(name)));
	return ERR(E_PEER_SYNTAX);
}

static struct err read_resource(const json_t *j, struct oms_manifest *m, struct reason *reterr)
{
	const char *name = NULL;
	uint8_t sha256[32];
	struct jobj o;
	struct err e;

	if (failed(e = jobj_init(&o, j, "predicate.resources[]", reterr)) ||
	    failed(e = jobj_str(&o, "name", LIMIT_PATH + 64, &name)) ||
	    failed(e = check_hash(&o, "algorithm", m->shard_size)) ||
	    failed(e = jobj_hex(&o, "digest", sha256, sizeof(sha256))))
		return e;
	return add_resource(m, name, sha256, reterr);
}

static struct err subject_digest(const json_t *j, const char **ret_name, uint8_t ret[32], struct reason *reterr)
{
	const json_t *digests = NULL;
	struct jobj o, d;
	struct err e;

	if (failed(e = jobj_init(&o, j, "subject[]", reterr)) ||
	    failed(e = jobj_str(&o, "name", LIMIT_PATH, ret_name)) || failed(e = jobj_obj(&o, "digest", &digests)) ||
	    failed(e = jobj_init(&d, digests, "subject[].digest", reterr)))
		return e;
	return jobj_hex(&d, "sha256", ret, 32);
}

static struct err room_for(const json_t *list, const char *where, struct oms_manifest *m, struct reason *reterr)
{
	if (json_array_size(list) == 0) {
		reason_set(reterr, "%s: expected at least one file", where);
		return ERR(E_PEER_MISSING);
	}
	m->resources = calloc(json_array_size(list), sizeof(*m->resources));
	return m->resources != NULL ? ERR(E_OK) : ERR(E_LOCAL_MEMORY);
}

struct err oms_root(size_t n, const struct oms_resource *resources, uint8_t ret[32])
{
	cleanup_hasher struct hasher *h = NULL;
	struct digest d;
	struct err e;

	if (failed(e = hasher_new(DIGEST_SHA256, &h)))
		return e;
	for (size_t i = 0; i < n; i++)
		if (failed(e = hasher_add(h, BYTES_ARR(resources[i].sha256))))
			return e;
	if (failed(e = hasher_finish(h, &d)))
		return e;
	return bytes_copy_exact(digest_bytes(&d), ret, 32);
}

/* Version 1.0: the subject is the model, the predicate lists its files. */
static struct err read_v1_0(struct jobj *statement, const json_t *subjects, struct oms_manifest *m)
{
	struct reason *reterr = statement->reterr;
	const json_t *j = NULL, *list = NULL;
	const char *name = NULL;
	uint8_t signed_root[32];
	struct jobj o;
	struct err e;

	if (json_array_size(subjects) != 1) {
		reason_set(reterr, "subject: expected one, the model; seen %zu", json_array_size(subjects));
		return ERR(json_array_size(subjects) == 0 ? E_PEER_MISSING : E_LIMIT_COUNT);
	}
	if (failed(e = subject_digest(json_array_get(subjects, 0), &name, signed_root, reterr)) ||
	    failed(e = jobj_obj(statement, "predicate", &j)) ||
	    failed(e = jobj_init(&o, j, "predicate", reterr)) || failed(e = read_serialization(&o, m)) ||
	    failed(e = jobj_arr(&o, "resources", LIMIT_MODEL_FILES, &list)) ||
	    failed(e = room_for(list, "predicate.resources", m, reterr)))
		return e;
	for (size_t i = 0; i < json_array_size(list); i++)
		if (failed(e = read_resource(json_array_get(list, i), m, reterr)))
			return e;
	if (failed(e = oms_root(m->n_resources, m->resources, m->root)))
		return e;
	if (bytes_eq(BYTES_ARR(m->root), BYTES_ARR(signed_root)))
		return ERR(E_OK);
	reason_set(reterr, "subject: the root digest is not that of the resources");
	return ERR(E_PEER_DIGEST);
}

/* Version 0.2: each subject is a file, and the predicate says nothing. */
static struct err read_v0_2(struct jobj *statement, const json_t *subjects, struct oms_manifest *m)
{
	struct err e;

	if (failed(e = room_for(subjects, "subject", m, statement->reterr)))
		return e;
	for (size_t i = 0; i < json_array_size(subjects); i++) {
		const char *name = NULL;
		uint8_t sha256[32];

		if (failed(e = subject_digest(json_array_get(subjects, i), &name, sha256, statement->reterr)) ||
		    failed(e = add_resource(m, name, sha256, statement->reterr)))
			return e;
	}
	return oms_root(m->n_resources, m->resources, m->root);
}

static int by_path(const void *a, const void *b)
{
	const struct oms_resource *x = a, *y = b;
	int r = strcmp(x->path, y->path);

	return r != 0 ? r : (x->start > y->start) - (x->start < y->start);
}

static struct err sort_resources(struct oms_manifest *m, struct reason *reterr)
{
	qsort(m->resources, m->n_resources, sizeof(*m->resources), by_path);
	for (size_t i = 1; i < m->n_resources; i++) {
		if (by_path(&m->resources[i - 1], &m->resources[i]) == 0) {
			reason_set(reterr, "resource %s is listed twice",
				   log_quote(bytes_str(m->resources[i].path)));
			return ERR(E_PEER_DUPLICATE);
		}
	}
	return ERR(E_OK);
}

struct err oms_statement_parse(struct bytes payload, struct oms_manifest *ret, struct reason *reterr)
{
	cleanup_oms_manifest struct oms_manifest m = { 0 };
	cleanup_json json_t *j = NULL;
	const json_t *subjects = NULL;
	const char *type;
	struct jobj o;
	struct err e;

	if (failed(e = json_parse(payload, LIMIT_OMS_BUNDLE, &j, reterr)) ||
	    failed(e = jobj_init(&o, j, "statement", reterr)) || failed(e = expect(&o, "_type", OMS_STATEMENT_TYPE)) ||
	    failed(e = jobj_arr(&o, "subject", LIMIT_MODEL_FILES, &subjects)))
		return e;
	type = json_string_value(json_object_get(j, "predicateType"));
	if (type != NULL && strcmp(type, OMS_PREDICATE_TYPE_0_2) == 0)
		e = read_v0_2(&o, subjects, &m);
	else if (!failed(e = expect(&o, "predicateType", OMS_PREDICATE_TYPE)))
		e = read_v1_0(&o, subjects, &m);
	if (failed(e) || failed(e = sort_resources(&m, reterr)))
		return e;
	*ret = m;
	m = (struct oms_manifest){ 0 };
	return ERR(E_OK);
}
