/* SPDX-License-Identifier: Apache-2.0 */
/* Making, checking and signing operator documents (in-toto Statement v1 in DSSE). */
#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "base/jose.h"
#include "base/limits.h"
#include "base/text.h"
#include "verifier/operate/ctl.h"

static struct err key_load(const char *path, struct key **ret, struct reason *reterr)
{
	cleanup_buf struct buf pem = BUF_INIT(LIMIT_SMALL);
	struct err e;

	if (path == NULL) {
		reason_set(reterr, "--key FILE is needed: the operator's private key (make one with assayctl key new)");
		return ERR(E_LOCAL_CONFIG);
	}
	if (failed(e = file_read_secret(AT_FDCWD, path, &pem))) {
		reason_set(reterr, "%s: %s%s", path, err_text(e),
			   e.code == E_LOCAL_PERMISSION ? "; a private key must be mode 0600 and yours" : "");
		return e;
	}
	if (failed(e = key_private_from_pem(buf_bytes(&pem), ret)))
		reason_set(reterr, "%s: no PKCS#8 private key in PEM (%s)", path, err_text(e));
	return e;
}

/* One above the highest serial that the verifier lists for this kind and name, withdrawn ones included. */
static struct err next_serial(const struct ctl *c, const char *kind, const char *name, uint64_t *ret,
			      struct reason *reterr)
{
	cleanup_json json_t *list = NULL;
	uint64_t highest = 0;
	size_t i;
	json_t *row;
	struct err e;

	if (failed(e = ctl_request(c, "/v1/admin/documents", NULL, NULL, &list, reterr)))
		return e;
	json_array_foreach(list, i, row) {
		const char *k = json_string_value(json_object_get(row, "kind"));
		const char *n = json_string_value(json_object_get(row, "name"));
		json_int_t serial = json_integer_value(json_object_get(row, "serial"));

		if (k != NULL && n != NULL && strcmp(k, kind) == 0 && strcmp(n, name) == 0 && serial > 0 &&
		    (uint64_t)serial > highest)
			highest = (uint64_t)serial;
	}
	*ret = highest + 1;
	return ERR(E_OK);
}

static struct err put_time(json_t *o, const char *key, int64_t t_s)
{
	char text[24];
	struct err e;

	if (failed(e = time_format(t_s, text, sizeof(text))))
		return e;
	return json_put_str(o, key, text);
}

/* What the statement is about: the first digest that the document lists, or the predicate itself. */
static struct err subject_digest(const json_t *predicate, char ret[65])
{
	static const char *const lists[] = { "ek_sha256", "manifests" };
	cleanup_buf struct buf canonical = BUF_INIT(LIMIT_DOCUMENT);
	uint8_t hash[32];
	struct err e;

	for (size_t i = 0; i < array_len(lists); i++) {
		const char *first = json_string_value(json_array_get(json_object_get(predicate, lists[i]), 0));

		if (first != NULL && strlen(first) == 64) {
			(void)snprintf(ret, 65, "%s", first);
			return ERR(E_OK);
		}
	}
	if (failed(e = json_write(predicate, &canonical)) || failed(e = sha256(buf_bytes(&canonical), hash)))
		return e;
	return hex_encode(BYTES_ARR(hash), ret, 65);
}

static struct err statement(enum document_kind kind, const char *name, json_t *predicate, struct buf *ret)
{
	cleanup_json json_t *st = NULL, *subject = NULL, *digest = NULL, *subjects = json_array();
	char hex[65], type[64];
	struct err e;

	(void)snprintf(type, sizeof(type), "urn:assay:%s:v1", document_kind_name(kind));
	if (failed(e = subject_digest(predicate, hex)) || failed(e = json_new_object(&digest)) ||
	    failed(e = json_put_str(digest, "sha256", hex)) || failed(e = json_new_object(&subject)) ||
	    failed(e = json_put_str(subject, "name", name)) ||
	    failed(e = json_put(subject, "digest", take_ptr(&digest))))
		return e;
	if (subjects == NULL || json_array_append_new(subjects, take_ptr(&subject)) != 0)
		return ERR(E_LOCAL_MEMORY);
	if (failed(e = json_new_object(&st)) ||
	    failed(e = json_put_str(st, "_type", "https://in-toto.io/Statement/v1")) ||
	    failed(e = json_put(st, "subject", take_ptr(&subjects))) ||
	    failed(e = json_put_str(st, "predicateType", type)) ||
	    failed(e = json_put(st, "predicate", json_incref(predicate))))
		return e;
	return json_write(st, ret);
}

/* Whose clock is a little behind this one's must not call a document of this moment one of the future. */
#define CLOCK_DIFFERENCE_S 60

static struct err complete(const struct ctl *c, const struct ctl_document *d, enum document_kind kind,
			   const char *name, json_t *predicate, struct reason *reterr)
{
	int64_t now = clock_now_s();
	uint64_t serial = d->serial;
	struct err e;

	if (d->owner == NULL || d->expires_s == 0) {
		reason_set(reterr, "--owner and --expires are needed: nothing is approved without an owner and an end");
		return ERR(E_LOCAL_CONFIG);
	}
	if (serial == 0 && d->out_file != NULL) {
		reason_set(reterr, "--out needs --serial, because the verifier is not asked for the next one");
		return ERR(E_LOCAL_CONFIG);
	}
	if (serial == 0 && failed(e = next_serial(c, document_kind_name(kind), name, &serial, reterr)))
		return e;
	if (failed(e = json_put_str(predicate, "realm", c->realm)) ||
	    failed(e = json_put_str(predicate, "kind", document_kind_name(kind))) ||
	    failed(e = json_put_str(predicate, "name", name)) ||
	    failed(e = json_put_int(predicate, "serial", (int64_t)serial)) ||
	    failed(e = json_put_str(predicate, "owner", d->owner)) ||
	    failed(e = put_time(predicate, "not_before", now - CLOCK_DIFFERENCE_S)))
		return e;
	return put_time(predicate, "expires", now + (int64_t)d->expires_s);
}

struct err ctl_document_send(const struct ctl *c, const struct ctl_document *d, enum document_kind kind,
			     const char *name, json_t *predicate, const char *path, json_t **ret,
			     struct reason *reterr)
{
	cleanup_buf struct buf payload = BUF_INIT(LIMIT_DOCUMENT), envelope = BUF_INIT(2 * LIMIT_DOCUMENT);
	cleanup_document struct document *parsed = NULL;
	cleanup_key struct key *key = NULL;
	struct err e;

	if (failed(e = key_load(d->key_file, &key, reterr)) ||
	    failed(e = complete(c, d, kind, name, predicate, reterr)) ||
	    failed(e = statement(kind, name, predicate, &payload)))
		return e;
	/* The verifier would refuse it later; the operator learns it now, before signing. */
	if (failed(e = document_parse(buf_bytes(&payload), c->realm, &parsed, reterr)) ||
	    failed(e = dsse_sign(key, DOCUMENT_PAYLOAD_TYPE, buf_bytes(&payload), &envelope)))
		return e;
	struct bytes b = buf_bytes(&envelope);

	if (d->out_file == NULL)
		return ctl_request(c, path, "application/vnd.dsse+json", &b, ret, reterr);
	if (failed(e = file_create(AT_FDCWD, d->out_file, b, 0644))) {
		reason_set(reterr, "%s: %s", d->out_file, err_text(e));
		return e;
	}
	if (failed(e = json_new_object(ret)))
		return e;
	return json_put_str(*ret, "file", d->out_file);
}
