/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/documents.h"

#include <string.h>

#include "base/text.h"

static void must(struct err e)
{
	if (failed(e)) {
		(void)fprintf(stderr, "test documents: %s\n", err_name(e));
		abort();
	}
}

struct hex32 hex32(const uint8_t v[32])
{
	struct hex32 h;

	must(hex_encode(BYTES(v, 32), h.text, sizeof(h.text)));
	return h;
}

struct hex32 hex32_of(const char *text)
{
	uint8_t sum[32];

	must(sha256(bytes_str(text), sum));
	return hex32(sum);
}

static json_t *own_members(enum document_kind kind)
{
	switch (kind) {
	case DOCUMENT_HOST:
		return json_pack("{s:[s], s:s}", "ek_sha256", hex32_of("ek").text, "asset", "rack 7");
	case DOCUMENT_IMAGE:
		return json_pack("{s:[s], s:s}", "manifests", hex32_of("image").text, "reference", "example.org/i:1");
	case DOCUMENT_MODEL:
		return json_pack("{s:[s], s:s}", "manifests", hex32_of("model").text, "version", "1.0");
	case DOCUMENT_PLATFORM:
		return json_pack("{s:[s], s:s, s:[i,i,i,i], s:[[s,s,s,s]], s:s}", "hosts", "*", "bank", "sha256",
				 "pcrs", 0, 1, 2, 3, "vectors", hex32_of("pcr0").text, hex32_of("pcr1").text,
				 hex32_of("pcr2").text, hex32_of("pcr3").text, "measurer", "unattested");
	case DOCUMENT_AGENT:
		return json_pack("{s:[s], s:[s], s:[s], s:[s], s:[s], s:i, s:s}", "images", "img", "models", "mdl",
				 "platforms", "plt", "scopes", "read", "resources", "https://api.example/v1",
				 "max_ttl_s", 600, "minimum_status", "warning");
	case DOCUMENT_WITHDRAW:
		return json_pack("{s:s, s:s, s:i}", "target_kind", "image", "target_name", "img", "target_serial", 1);
	case N_DOCUMENT_KINDS:
		break;
	}
	abort();
}

json_t *doc_predicate(enum document_kind kind)
{
	static const char *const names[] = { "h1", "img", "mdl", "plt", "agt", "wdr" };
	json_t *p = own_members(kind);

	if (p == NULL ||
	    json_object_update_new(p, json_pack("{s:s, s:s, s:s, s:i, s:s, s:i, s:i}", "realm", DOC_REALM, "kind",
						document_kind_name(kind), "name", names[kind], "serial", 1, "owner",
						"ops", "not_before", DOC_NOT_BEFORE, "expires", DOC_EXPIRES)) != 0)
		abort();
	return p;
}

void doc_set(json_t *predicate, const char *key, const char *json)
{
	if (json == NULL) {
		(void)json_object_del(predicate, key);
		return;
	}
	if (json_object_set_new(predicate, key, json_loads(json, JSON_DECODE_ANY, NULL)) != 0)
		abort();
}

struct document *doc_make(json_t *predicate)
{
	cleanup_buf struct buf payload = BUF_INIT(LIMIT_DOCUMENT);
	struct document *d = NULL;
	struct reason why = { "" };
	struct err e;

	if (failed(e = document_statement(predicate, &payload, &why)) ||
	    failed(e = document_parse(buf_bytes(&payload), DOC_REALM, &d, &why)))
		(void)fprintf(stderr, "%s\n", why.text);
	must(e);
	json_decref(predicate);
	return d;
}

void doc_envelope(const json_t *predicate, const struct key *signer, struct buf *ret)
{
	cleanup_buf struct buf payload = BUF_INIT(LIMIT_DOCUMENT);

	must(document_statement(predicate, &payload, NULL));
	must(dsse_sign(signer, DOCUMENT_PAYLOAD_TYPE, buf_bytes(&payload), ret));
}
