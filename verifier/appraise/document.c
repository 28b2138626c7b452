/* SPDX-License-Identifier: Apache-2.0 */
/* What all kinds share: the Statement, the common members, the life of a document. */
#include "verifier/appraise/document_impl.h"

#include <string.h>

#include "base/log.h"

#define STATEMENT_TYPE "https://in-toto.io/Statement/v1"
#define PREDICATE_TYPE_MAX 64

static const char *const kind_names[N_DOCUMENT_KINDS] = {
	[DOCUMENT_HOST] = "host",         [DOCUMENT_IMAGE] = "image", [DOCUMENT_MODEL] = "model",
	[DOCUMENT_PLATFORM] = "platform", [DOCUMENT_AGENT] = "agent", [DOCUMENT_WITHDRAW] = "withdraw",
};

const char *document_kind_name(enum document_kind k)
{
	return (unsigned)k < N_DOCUMENT_KINDS ? kind_names[k] : "unknown";
}

enum document_kind document_kind_by_name(const char *s)
{
	for (unsigned k = 0; k < N_DOCUMENT_KINDS; k++) {
		if (strcmp(kind_names[k], s) == 0)
			return (enum document_kind)k;
	}
	return N_DOCUMENT_KINDS;
}

void document_free(struct document *d)
{
	if (d == NULL)
		return;
	str_list_done(&d->hosts);
	str_list_done(&d->images);
	str_list_done(&d->models);
	str_list_done(&d->platforms);
	str_list_done(&d->scopes);
	str_list_done(&d->resources);
	free(d->digests.v);
	free(d->oms_roots.v);
	free(d->rootfs.v);
	free(d->containers.v);
	free(d->vectors);
	platform_profile_done(&d->profile);
	free(d->owner);
	free(d->asset);
	free(d->version);
	free(d);
}

static struct err predicate_type(enum document_kind k, char ret[PREDICATE_TYPE_MAX])
{
	int n = snprintf(ret, PREDICATE_TYPE_MAX, "urn:assay:%s:v1", document_kind_name(k));

	return n > 0 && n < PREDICATE_TYPE_MAX ? ERR(E_OK) : ERR(E_BUG);
}

static struct err read_window(struct jobj *o, struct document *d)
{
	struct err e;

	if (failed(e = jobj_time(o, "not_before", &d->not_before_s)) ||
	    failed(e = jobj_time(o, "expires", &d->expires_s)))
		return e;
	if (d->not_before_s < d->expires_s)
		return ERR(E_OK);
	reason_set(o->reterr, "%s.expires: not later than not_before", o->where);
	return ERR(E_PEER_RANGE);
}

static struct err read_names(struct jobj *o, const char *realm, struct document *d)
{
	const char *kind, *name, *its_realm;
	struct err e;

	if (failed(e = jobj_str(o, "kind", 32, &kind)) ||
	    failed(e = jobj_id(o, "name", &name)) ||
	    failed(e = jobj_id(o, "realm", &its_realm)))
		return e;
	d->kind = document_kind_by_name(kind);
	if (d->kind == N_DOCUMENT_KINDS) {
		reason_set(o->reterr, "%s.kind: \"%s\" is no kind of document", o->where, log_quote(bytes_str(kind)));
		return ERR(E_PEER_RANGE);
	}
	if (strcmp(its_realm, realm) != 0) {
		reason_set(o->reterr, "%s.realm: this verifier's realm is \"%s\", the document is for \"%s\"",
			   o->where, realm, its_realm);
		return ERR(E_AUTH_REFUSED);
	}
	/* Ids have at most 64 characters, the arrays 65. */
	memcpy(d->name, name, strlen(name) + 1);
	memcpy(d->realm, its_realm, strlen(its_realm) + 1);
	return ERR(E_OK);
}

static struct err read_predicate(const json_t *predicate, const char *realm, struct document *d,
				 struct reason *reterr)
{
	struct jobj o;
	struct err e;

	if (failed(e = jobj_init(&o, predicate, "predicate", reterr)) ||
	    failed(e = read_names(&o, realm, d)) ||
	    failed(e = jobj_u64(&o, "serial", INT64_MAX, &d->serial)) ||
	    failed(e = read_text(&o, "owner", &d->owner)) ||
	    failed(e = read_window(&o, d)) ||
	    failed(e = document_read_kind(&o, d)) ||
	    failed(e = jobj_end(&o)))
		return e;
	if (d->serial > 0)
		return ERR(E_OK);
	reason_set(reterr, "predicate.serial: serials begin at 1");
	return ERR(E_PEER_RANGE);
}

/* The member whose first digest is the subject's, or NULL. */
static const char *subject_member(enum document_kind k)
{
	if (k == DOCUMENT_HOST)
		return "ek_sha256";
	return k == DOCUMENT_IMAGE || k == DOCUMENT_MODEL ? "manifests" : NULL;
}

static struct err canonical_digest(const json_t *predicate, uint8_t ret[32])
{
	cleanup_buf struct buf text = BUF_INIT(LIMIT_DOCUMENT);
	struct err e;

	if (failed(e = json_write(predicate, &text)))
		return e;
	return sha256(buf_bytes(&text), ret);
}

static struct err check_subject(const json_t *subjects, const json_t *predicate, const struct document *d,
				struct reason *reterr)
{
	struct jobj subject, digests;
	const json_t *digest_obj;
	uint8_t want[32], seen[32];
	const char *name;
	struct err e;

	if (subject_member(d->kind) != NULL)
		memcpy(want, d->digests.v[0], sizeof(want));
	else if (failed(e = canonical_digest(predicate, want)))
		return e;
	if (json_array_size(subjects) != 1) {
		reason_set(reterr, "statement.subject: not exactly one subject");
		return ERR(E_PEER_RANGE);
	}
	if (failed(e = jobj_init(&subject, json_array_get(subjects, 0), "statement.subject[0]", reterr)) ||
	    failed(e = jobj_id(&subject, "name", &name)) ||
	    failed(e = jobj_obj(&subject, "digest", &digest_obj)) ||
	    failed(e = jobj_end(&subject)) ||
	    failed(e = jobj_init(&digests, digest_obj, "statement.subject[0].digest", reterr)) ||
	    failed(e = jobj_hex(&digests, "sha256", seen, sizeof(seen))) ||
	    failed(e = jobj_end(&digests)))
		return e;
	if (strcmp(name, d->name) != 0 || memcmp(seen, want, sizeof(want)) != 0) {
		reason_set(reterr, "statement.subject[0]: name or digest is not that of the predicate");
		return ERR(E_PEER_RANGE);
	}
	return ERR(E_OK);
}

static struct err read_statement(const json_t *root, const char *realm, struct document *d, struct reason *reterr)
{
	const char *type, *seen_type;
	char want_type[PREDICATE_TYPE_MAX];
	const json_t *subjects, *predicate;
	struct jobj o;
	struct err e;

	if (failed(e = jobj_init(&o, root, "statement", reterr)) ||
	    failed(e = jobj_str(&o, "_type", 128, &type)) ||
	    failed(e = jobj_str(&o, "predicateType", 128, &seen_type)) ||
	    failed(e = jobj_arr(&o, "subject", 1, &subjects)) ||
	    failed(e = jobj_obj(&o, "predicate", &predicate)) ||
	    failed(e = jobj_end(&o)) ||
	    failed(e = read_predicate(predicate, realm, d, reterr)) ||
	    failed(e = predicate_type(d->kind, want_type)))
		return e;
	if (strcmp(type, STATEMENT_TYPE) != 0 || strcmp(seen_type, want_type) != 0) {
		reason_set(reterr, "statement: _type must be \"%s\" and predicateType \"%s\"", STATEMENT_TYPE,
			   want_type);
		return ERR(E_PEER_RANGE);
	}
	return check_subject(subjects, predicate, d, reterr);
}

struct err document_parse(struct bytes payload, const char *realm, struct document **ret, struct reason *reterr)
{
	cleanup_document struct document *d = NULL;
	cleanup_json json_t *root = NULL;
	struct err e;

	if (failed(e = json_parse(payload, LIMIT_DOCUMENT, &root, reterr)))
		return e;
	d = calloc(1, sizeof(*d));
	if (d == NULL)
		return ERR(E_LOCAL_MEMORY);
	if (failed(e = read_statement(root, realm, d, reterr)) ||
	    failed(e = sha256(payload, d->digest)))
		return e;
	*ret = take_ptr(&d);
	return ERR(E_OK);
}

static struct err subject_of(const json_t *predicate, enum document_kind kind, const char *name, json_t **ret)
{
	cleanup_json json_t *subject = NULL, *digest = NULL;
	const char *member = subject_member(kind);
	const json_t *first = member == NULL ? NULL : json_array_get(json_object_get(predicate, member), 0);
	uint8_t sum[32];
	struct err e;

	if (failed(e = json_new_object(&subject)) ||
	    failed(e = json_new_object(&digest)))
		return e;
	if (first != NULL && json_is_string(first))
		e = json_put_str(digest, "sha256", json_string_value(first));
	else if (!failed(e = canonical_digest(predicate, sum)))
		e = json_put_hex(digest, "sha256", BYTES_ARR(sum));
	if (failed(e) ||
	    failed(e = json_put_str(subject, "name", name)) ||
	    failed(e = json_put(subject, "digest", take_ptr(&digest))))
		return e;
	*ret = take_ptr(&subject);
	return ERR(E_OK);
}

struct err document_statement(const json_t *predicate, struct buf *ret, struct reason *reterr)
{
	const char *name = json_string_value(json_object_get(predicate, "name"));
	const char *kind_name = json_string_value(json_object_get(predicate, "kind"));
	enum document_kind kind = kind_name == NULL ? N_DOCUMENT_KINDS : document_kind_by_name(kind_name);
	cleanup_json json_t *statement = NULL, *subject = NULL, *subjects = json_array();
	char type[PREDICATE_TYPE_MAX];
	struct err e;

	if (subjects == NULL)
		return ERR(E_LOCAL_MEMORY);
	if (name == NULL || kind == N_DOCUMENT_KINDS) {
		reason_set(reterr, "predicate: kind and name are needed");
		return ERR(E_PEER_MISSING);
	}
	if (failed(e = predicate_type(kind, type)) ||
	    failed(e = subject_of(predicate, kind, name, &subject)) ||
	    failed(e = json_new_object(&statement)) ||
	    failed(e = json_put_str(statement, "_type", STATEMENT_TYPE)) ||
	    failed(e = json_put_str(statement, "predicateType", type)))
		return e;
	if (json_array_append_new(subjects, take_ptr(&subject)) != 0)
		return ERR(E_LOCAL_MEMORY);
	if (failed(e = json_put(statement, "subject", take_ptr(&subjects))) ||
	    failed(e = json_put(statement, "predicate", json_deep_copy(predicate))))
		return e;
	return json_write(statement, ret);
}
