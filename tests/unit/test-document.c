/* SPDX-License-Identifier: Apache-2.0 */
#include "verifier/appraise/document.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "tests/support/documents.h"
#include "verifier/appraise/reference.h"

#define A64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B64 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define VECTORS_AB "[[\"" A64 "\",\"" A64 "\",\"" A64 "\",\"" B64 "\"]]"

/* One member changed; json NULL removes it. */
struct edit {
	const char *name;
	enum document_kind kind;
	const char *key, *json;
	enum err_code want;
	const char *says; /* part of the reason */
};

static const struct edit edits[] = {
	/* P2: what nobody reads is an error. */
	{ "P2 unknown member", DOCUMENT_IMAGE, "manifest", "[]", E_PEER_UNKNOWN_KEY, "manifest" },
	{ "P2 member of another kind", DOCUMENT_IMAGE, "oms_root", "[\"" A64 "\"]", E_PEER_UNKNOWN_KEY, "oms_root" },
	{ "P2 interval hint", DOCUMENT_AGENT, "interval_s", "60", E_PEER_UNKNOWN_KEY, "interval_s" },
	/* Nothing without owner and expiry. */
	{ "no owner", DOCUMENT_HOST, "owner", NULL, E_PEER_MISSING, "owner" },
	{ "empty owner", DOCUMENT_HOST, "owner", "\"\"", E_PEER_RANGE, "owner" },
	{ "no expiry", DOCUMENT_HOST, "expires", NULL, E_PEER_MISSING, "expires" },
	{ "no beginning", DOCUMENT_HOST, "not_before", NULL, E_PEER_MISSING, "not_before" },
	{ "expiry at the beginning", DOCUMENT_HOST, "expires", "1000000", E_PEER_RANGE, "expires" },
	{ "expiry as text", DOCUMENT_HOST, "expires", "\"2030-01-01T00:00:00Z\"", E_OK, NULL },
	{ "expiry as other text", DOCUMENT_HOST, "expires", "\"2030-01-01\"", E_PEER_SYNTAX, "expires" },
	{ "no realm", DOCUMENT_HOST, "realm", NULL, E_PEER_MISSING, "realm" },
	{ "foreign realm", DOCUMENT_HOST, "realm", "\"other\"", E_AUTH_REFUSED, "realm" },
	{ "realm that begins alike", DOCUMENT_HOST, "realm", "\"example2\"", E_AUTH_REFUSED, "realm" },
	{ "no serial", DOCUMENT_HOST, "serial", NULL, E_PEER_MISSING, "serial" },
	{ "serial 0", DOCUMENT_HOST, "serial", "0", E_PEER_RANGE, "serial" },
	{ "negative serial", DOCUMENT_HOST, "serial", "-1", E_PEER_RANGE, "serial" },
	{ "serial as text", DOCUMENT_HOST, "serial", "\"1\"", E_PEER_TYPE, "serial" },
	{ "name that is no id", DOCUMENT_HOST, "name", "\"a/b\"", E_PEER_RANGE, "name" },
	{ "V9 name with a newline", DOCUMENT_HOST, "name", "\"a\\nb\"", E_PEER_RANGE, "name" },

	{ "host without EK", DOCUMENT_HOST, "ek_sha256", "[]", E_PEER_RANGE, "empty" },
	{ "EK digest too short", DOCUMENT_HOST, "ek_sha256", "[\"aa\"]", E_PEER_RANGE, "ek_sha256[0]" },
	{ "EK no text", DOCUMENT_HOST, "ek_sha256", "[7]", E_PEER_TYPE, "ek_sha256[0]" },
	{ "EK twice", DOCUMENT_HOST, "ek_sha256", "[\"" A64 "\",\"" A64 "\"]", E_PEER_DUPLICATE, "[1]" },
	{ "host without asset", DOCUMENT_HOST, "asset", NULL, E_PEER_MISSING, "asset" },
	{ "two EKs", DOCUMENT_HOST, "ek_sha256", "[\"" A64 "\",\"" B64 "\"]", E_OK, NULL },

	{ "image without manifest", DOCUMENT_IMAGE, "manifests", "[]", E_PEER_RANGE, "manifests" },
	{ "W4 image by tag", DOCUMENT_IMAGE, "manifests", "[\"busybox:1\"]", E_PEER_SYNTAX, "manifests[0]" },
	{ "image without reference", DOCUMENT_IMAGE, "reference", NULL, E_OK, NULL },
	{ "image with its root", DOCUMENT_IMAGE, "rootfs", "[\"" A64 "\"]", E_OK, NULL },
	{ "image with an empty list of roots", DOCUMENT_IMAGE, "rootfs", "[]", E_PEER_RANGE, "rootfs" },
	{ "image with a root that is no digest", DOCUMENT_IMAGE, "rootfs", "[\"aa\"]", E_PEER_RANGE, "rootfs[0]" },
	{ "model with the root of an image", DOCUMENT_MODEL, "rootfs", "[\"" A64 "\"]", E_PEER_UNKNOWN_KEY, "rootfs" },
	{ "model without version", DOCUMENT_MODEL, "version", NULL, E_PEER_MISSING, "version" },
	{ "model with OMS root", DOCUMENT_MODEL, "oms_root", "[\"" A64 "\"]", E_OK, NULL },
	{ "model with empty OMS roots", DOCUMENT_MODEL, "oms_root", "[]", E_PEER_RANGE, "oms_root" },

	{ "Q13 PCR 16", DOCUMENT_PLATFORM, "pcrs", "[0,1,2,16]", E_PEER_RANGE, "reset" },
	{ "Q13 PCR 23", DOCUMENT_PLATFORM, "pcrs", "[0,1,2,23]", E_PEER_RANGE, "reset" },
	{ "Q13 PCR 24", DOCUMENT_PLATFORM, "pcrs", "[0,1,2,24]", E_PEER_RANGE, "no such" },
	{ "PCR -1", DOCUMENT_PLATFORM, "pcrs", "[-1,1,2,3]", E_PEER_RANGE, "no such" },
	{ "PCR 2^32", DOCUMENT_PLATFORM, "pcrs", "[0,1,2,4294967296]", E_PEER_RANGE, "no such" },
	{ "workload PCR", DOCUMENT_PLATFORM, "pcrs", "[0,1,2,13]", E_PEER_RANGE, "workload" },
	{ "PCRs out of order", DOCUMENT_PLATFORM, "pcrs", "[0,2,1,3]", E_PEER_RANGE, "ascending" },
	{ "PCR twice", DOCUMENT_PLATFORM, "pcrs", "[0,1,2,2]", E_PEER_RANGE, "ascending" },
	{ "PCR as text", DOCUMENT_PLATFORM, "pcrs", "[0,1,2,\"3\"]", E_PEER_RANGE, "number" },
	{ "P1 no PCR", DOCUMENT_PLATFORM, "pcrs", "[]", E_PEER_RANGE, "empty" },
	{ "P1 no vector", DOCUMENT_PLATFORM, "vectors", "[]", E_PEER_RANGE, "empty" },
	{ "vector too short", DOCUMENT_PLATFORM, "vectors", "[[\"" A64 "\"]]", E_PEER_RANGE, "vectors[0]" },
	{ "vector of numbers", DOCUMENT_PLATFORM, "vectors", "[[1,2,3,4]]", E_PEER_RANGE, "vectors[0]" },
	{ "vector that is no list", DOCUMENT_PLATFORM, "vectors", "[\"" A64 "\"]", E_PEER_RANGE, "vectors[0]" },
	{ "other vector", DOCUMENT_PLATFORM, "vectors", VECTORS_AB, E_OK, NULL },
	{ "values of another bank", DOCUMENT_PLATFORM, "bank", "\"sha384\"", E_PEER_RANGE, "sha384" },
	{ "Q7 SHA-1 bank", DOCUMENT_PLATFORM, "bank", "\"sha1\"", E_PEER_RANGE, "bank" },
	{ "unknown bank", DOCUMENT_PLATFORM, "bank", "\"md5\"", E_PEER_RANGE, "bank" },
	{ "no hosts", DOCUMENT_PLATFORM, "hosts", "[]", E_PEER_RANGE, "hosts" },
	{ "pattern as host", DOCUMENT_PLATFORM, "hosts", "[\"h*\"]", E_PEER_RANGE, "hosts[0]" },
	{ "host twice", DOCUMENT_PLATFORM, "hosts", "[\"h1\",\"h1\"]", E_PEER_DUPLICATE, "hosts[1]" },
	{ "no measurer", DOCUMENT_PLATFORM, "measurer", NULL, E_PEER_MISSING, "measurer" },
	{ "measurer that nobody judges", DOCUMENT_PLATFORM, "measurer", "\"ima\"", E_PEER_RANGE, "measurer" },
	{ "value before the log", DOCUMENT_PLATFORM, "workload_pcr_before", "\"" A64 "\"", E_OK, NULL },
	{ "short value before", DOCUMENT_PLATFORM, "workload_pcr_before", "\"aa\"", E_PEER_RANGE, "workload_pcr" },
	{ "unapproved_workload other", DOCUMENT_PLATFORM, "unapproved_workload", "\"nobody\"", E_PEER_RANGE, "unappr" },
	{ "unapproved_workload true", DOCUMENT_PLATFORM, "unapproved_workload", "true", E_PEER_TYPE, "unapproved" },

	{ "agent without images", DOCUMENT_AGENT, "images", NULL, E_PEER_MISSING, "images" },
	{ "agent with empty models", DOCUMENT_AGENT, "models", "[]", E_PEER_RANGE, "models" },
	{ "agent with empty platforms", DOCUMENT_AGENT, "platforms", "[]", E_PEER_RANGE, "platforms" },
	{ "agent with empty scopes", DOCUMENT_AGENT, "scopes", "[]", E_PEER_RANGE, "scopes" },
	{ "scope with a space", DOCUMENT_AGENT, "scopes", "[\"read write\"]", E_PEER_RANGE, "scopes[0]" },
	{ "scope with a quote", DOCUMENT_AGENT, "scopes", "[\"re\\\"ad\"]", E_PEER_RANGE, "scopes[0]" },
	{ "empty scope", DOCUMENT_AGENT, "scopes", "[\"\"]", E_PEER_RANGE, "scopes[0]" },
	{ "scope of other letters", DOCUMENT_AGENT, "scopes", "[\"r\\u00e9ad\"]", E_PEER_RANGE, "scopes[0]" },
	{ "resource with fragment", DOCUMENT_AGENT, "resources", "[\"https://a/#b\"]", E_PEER_RANGE, "resources[0]" },
	{ "resource of another scheme", DOCUMENT_AGENT, "resources", "[\"file:///x\"]", E_PEER_RANGE, "resources[0]" },
	{ "resource without host", DOCUMENT_AGENT, "resources", "[\"https:///x\"]", E_PEER_RANGE, "resources[0]" },
	{ "any image", DOCUMENT_AGENT, "images", "[\"*\"]", E_PEER_RANGE, "images[0]" },
	{ "policies of containers", DOCUMENT_AGENT, "containers", "[\"" A64 "\",\"" B64 "\"]", E_OK, NULL },
	{ "empty list of containers", DOCUMENT_AGENT, "containers", "[]", E_PEER_RANGE, "containers" },
	{ "container by name", DOCUMENT_AGENT, "containers", "[\"web\"]", E_PEER_SYNTAX, "containers[0]" },
	{ "container policy too short", DOCUMENT_AGENT, "containers", "[\"aa\"]", E_PEER_RANGE, "containers[0]" },
	{ "container policy twice", DOCUMENT_AGENT, "containers", "[\"" A64 "\",\"" A64 "\"]", E_PEER_DUPLICATE,
	  "containers[1]" },
	{ "any container", DOCUMENT_AGENT, "containers", "true", E_PEER_TYPE, "containers" },
	{ "containers of an image", DOCUMENT_IMAGE, "containers", "[\"" A64 "\"]", E_PEER_UNKNOWN_KEY, "containers" },
	{ "ttl 900", DOCUMENT_AGENT, "max_ttl_s", "900", E_OK, NULL },
	{ "ttl 901", DOCUMENT_AGENT, "max_ttl_s", "901", E_PEER_RANGE, "max_ttl_s" },
	{ "ttl 0", DOCUMENT_AGENT, "max_ttl_s", "0", E_PEER_RANGE, "max_ttl_s" },
	{ "no ttl", DOCUMENT_AGENT, "max_ttl_s", NULL, E_PEER_MISSING, "max_ttl_s" },
	{ "lower minimum", DOCUMENT_AGENT, "minimum_status", "\"none\"", E_PEER_RANGE, "minimum_status" },
	{ "certificates", DOCUMENT_AGENT, "x509", "true", E_OK, NULL },
	{ "certificates by number", DOCUMENT_AGENT, "x509", "1", E_PEER_TYPE, "x509" },
	{ "certificates of an image", DOCUMENT_IMAGE, "x509", "true", E_PEER_UNKNOWN_KEY, "x509" },

	{ "withdrawal of a withdrawal", DOCUMENT_WITHDRAW, "target_kind", "\"withdraw\"", E_PEER_RANGE, "target_kind" },
	{ "withdrawal of nothing known", DOCUMENT_WITHDRAW, "target_kind", "\"x\"", E_PEER_RANGE, "target_kind" },
	{ "withdrawal of serial 0", DOCUMENT_WITHDRAW, "target_serial", "0", E_PEER_RANGE, "target_serial" },
	{ "withdrawal without a name", DOCUMENT_WITHDRAW, "target_name", NULL, E_PEER_MISSING, "target_name" },
};

static struct err parse(const json_t *predicate, struct document **ret, struct reason *why)
{
	cleanup_buf struct buf payload = BUF_INIT(LIMIT_DOCUMENT);
	struct err e = document_statement(predicate, &payload, why);

	return failed(e) ? e : document_parse(buf_bytes(&payload), DOC_REALM, ret, why);
}

static void test_edits(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(edits); i++) {
		const struct edit *t = &edits[i];
		cleanup_json json_t *p = doc_predicate(t->kind);
		cleanup_document struct document *d = NULL;
		struct reason why = { "" };
		struct err e;

		doc_set(p, t->key, t->json);
		e = parse(p, &d, &why);
		/* A member of the wrong form has several fitting codes; which one is base's choice. */
		if ((e.code == E_OK) != (t->want == E_OK) ||
		    (e.code != t->want && t->want != E_PEER_RANGE && t->want != E_PEER_SYNTAX))
			fail_msg("%s: %s instead of %s (%s)", t->name, err_name(e), err_name(ERR(t->want)), why.text);
		if (t->says != NULL && strstr(why.text, t->says) == NULL)
			fail_msg("%s: \"%s\" does not say \"%s\"", t->name, why.text, t->says);
		assert_true((d != NULL) == (t->want == E_OK));
	}
}

static void test_members(void **state)
{
	cleanup_document struct document *host = doc_make(doc_predicate(DOCUMENT_HOST));
	cleanup_document struct document *platform = NULL, *agent = doc_make(doc_predicate(DOCUMENT_AGENT));
	cleanup_document struct document *withdraw = doc_make(doc_predicate(DOCUMENT_WITHDRAW));
	json_t *p = doc_predicate(DOCUMENT_PLATFORM);

	(void)state;
	doc_set(p, "pcrs", "[0,2,7,9]");
	doc_set(p, "workload_pcr_before", "\"" B64 "\"");
	doc_set(p, "unapproved_workload", "\"instance\"");
	platform = doc_make(p);
	assert_int_equal(host->kind, DOCUMENT_HOST);
	assert_string_equal(host->name, "h1");
	assert_string_equal(host->owner, "ops");
	assert_string_equal(host->asset, "rack 7");
	assert_int_equal(host->serial, 1);
	assert_int_equal(host->not_before_s, DOC_NOT_BEFORE);
	assert_int_equal(host->expires_s, DOC_EXPIRES);
	assert_string_equal(hex32(host->digests.v[0]).text, hex32_of("ek").text);
	assert_int_equal(platform->pcr_mask, 1u << 0 | 1u << 2 | 1u << 7 | 1u << 9);
	assert_int_equal(platform->n_pcrs, 4);
	assert_int_equal(platform->n_vectors, 1);
	assert_int_equal(platform->bank, DIGEST_SHA256);
	assert_string_equal(hex32(platform->vectors[3].v).text, hex32_of("pcr3").text);
	assert_true(platform->has_workload_before);
	assert_string_equal(hex32(platform->workload_before.v).text, B64);
	assert_false(platform->unapproved_fails_host);
	assert_int_equal(agent->max_ttl_s, 600);
	assert_int_equal(agent->minimum_status, MINIMUM_WARNING);
	assert_string_equal(agent->scopes.v[0], "read");
	assert_int_equal(withdraw->target_kind, DOCUMENT_IMAGE);
	assert_string_equal(withdraw->target_name, "img");
	assert_int_equal(withdraw->target_serial, 1);
}

/* P3: what a document does not say. */
static void test_defaults(void **state)
{
	cleanup_document struct document *platform = doc_make(doc_predicate(DOCUMENT_PLATFORM)), *agent = NULL;
	json_t *p = doc_predicate(DOCUMENT_AGENT);

	(void)state;
	doc_set(p, "minimum_status", NULL);
	agent = doc_make(p);
	assert_true(platform->unapproved_fails_host);
	assert_false(platform->has_workload_before);
	assert_int_equal(agent->minimum_status, MINIMUM_AFFIRMING);
	assert_false(agent->x509);
}

/* The Statement around a good predicate, changed by text replacement of the same length. */
static const struct {
	const char *name, *from, *to;
	enum err_code want;
} statements[] = {
	{ "other type", "Statement/v1", "Statement/v2", E_PEER_RANGE },
	{ "predicate type of another kind", "urn:assay:image:v1", "urn:assay:model:v1", E_PEER_RANGE },
	{ "subject with another name", "\"subject\":[{\"digest\"", "\"subject\":[{\"digesT\"", E_PEER_MISSING },
	{ "unknown member beside the predicate", "\"_type\"", "\"type_\"", E_PEER_MISSING },
	{ "not JSON", "{", "[", E_PEER_SYNTAX },
};

static void test_statements(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(statements); i++) {
		cleanup_buf struct buf payload = BUF_INIT(LIMIT_DOCUMENT);
		cleanup_json json_t *p = doc_predicate(DOCUMENT_IMAGE);
		cleanup_document struct document *d = NULL;
		const char *text;
		uint8_t *at;

		assert_false(failed(document_statement(p, &payload, NULL)));
		assert_false(failed(buf_cstr(&payload, &text)));
		at = (uint8_t *)memmem(payload.p, payload.n, statements[i].from, strlen(statements[i].from));
		assert_non_null(at);
		memcpy(at, statements[i].to, strlen(statements[i].to));
		assert_int_equal(document_parse(buf_bytes(&payload), DOC_REALM, &d, NULL).code, statements[i].want);
	}
}

/* The subject is what people and other tools see, so it has to be the predicate's. */
static void test_subject(void **state)
{
	static const enum document_kind kinds[] = { DOCUMENT_HOST, DOCUMENT_PLATFORM };

	(void)state;
	for (size_t i = 0; i < array_len(kinds); i++) {
		cleanup_buf struct buf payload = BUF_INIT(LIMIT_DOCUMENT);
		cleanup_json json_t *p = doc_predicate(kinds[i]);
		cleanup_document struct document *d = NULL;
		struct reason why = { "" };
		uint8_t *at;

		assert_false(failed(document_statement(p, &payload, NULL)));
		at = (uint8_t *)memmem(payload.p, payload.n, "\"subject\":[{\"digest\":{\"sha256\":\"", 32);
		assert_non_null(at);
		at[32] = at[32] == 'a' ? 'b' : 'a';
		assert_int_equal(document_parse(buf_bytes(&payload), DOC_REALM, &d, &why).code, E_PEER_RANGE);
		assert_non_null(strstr(why.text, "subject"));
	}
}

static void test_two_subjects(void **state)
{
	static const char text[] = "{\"_type\":\"https://in-toto.io/Statement/v1\",\"subject\":[],"
				   "\"predicateType\":\"urn:assay:image:v1\",\"predicate\":{}}";
	cleanup_document struct document *d = NULL;

	(void)state;
	assert_true(failed(document_parse(bytes_str(text), DOC_REALM, &d, NULL)));
	assert_true(failed(document_parse(BYTES_NONE, DOC_REALM, &d, NULL)));
}

/* ---- Operators and envelopes. */

struct party {
	struct key *key;
	char *pem_json; /* as a JSON string */
};

static void party_new(enum key_kind kind, struct party *p)
{
	cleanup_buf struct buf pem = BUF_INIT(LIMIT_SMALL);
	cleanup_json json_t *s = NULL;
	const char *text;

	assert_false(failed(key_generate(kind, &p->key)));
	assert_false(failed(key_public_to_pem(p->key, &pem)));
	assert_false(failed(buf_cstr(&pem, &text)));
	s = json_string(text);
	p->pem_json = json_dumps(s, JSON_ENCODE_ANY);
	assert_non_null(p->pem_json);
}

static void party_done(struct party *p)
{
	key_free(p->key);
	free(p->pem_json);
}
#define cleanup_party cleanup(party_done)

static struct err operators_of(const char *pem_json, const char *kinds, const char *prefixes, struct operators *ret,
			       struct reason *why)
{
	cleanup_buf struct buf b = BUF_INIT(LIMIT_SMALL);

	assert_false(failed(buf_addf(&b,
				     "{\"operators\":[{\"name\":\"alice\",\"public_key\":%s,\"kinds\":%s,"
				     "\"prefixes\":%s}]}",
				     pem_json, kinds, prefixes)));
	return operators_parse(buf_bytes(&b), ret, why);
}

static const struct {
	const char *name;
	enum key_kind key;
	const char *kinds, *prefixes;
	enum document_kind kind;
	const char *set_key, *set_json;
	int64_t now_s;
	enum err_code want;
} acceptances[] = {
	{ "P4 allowed", KEY_ED25519, "[\"image\"]", "[\"\"]", DOCUMENT_IMAGE, NULL, NULL, 1500000, E_OK },
	{ "P4 allowed, P-256", KEY_EC_P256, "[\"image\"]", "[\"i\"]", DOCUMENT_IMAGE, NULL, NULL, 1500000, E_OK },
	{ "P4 not yet valid is accepted", KEY_ED25519, "[\"image\"]", "[\"\"]", DOCUMENT_IMAGE, NULL, NULL, 1, E_OK },
	{ "P4 expired", KEY_ED25519, "[\"image\"]", "[\"\"]", DOCUMENT_IMAGE, NULL, NULL, DOC_EXPIRES,
	  E_AUTH_EXPIRED },
	{ "P4 last second", KEY_ED25519, "[\"image\"]", "[\"\"]", DOCUMENT_IMAGE, NULL, NULL, DOC_EXPIRES - 1, E_OK },
	{ "P4 kind not allowed", KEY_ED25519, "[\"model\",\"host\"]", "[\"\"]", DOCUMENT_IMAGE, NULL, NULL, 1500000,
	  E_AUTH_REFUSED },
	{ "P4 prefix not allowed", KEY_ED25519, "[\"image\"]", "[\"prod-\",\"im-\"]", DOCUMENT_IMAGE, NULL, NULL,
	  1500000, E_AUTH_REFUSED },
	{ "P4 second prefix", KEY_ED25519, "[\"image\"]", "[\"prod-\",\"im\"]", DOCUMENT_IMAGE, NULL, NULL, 1500000,
	  E_OK },
	{ "P4 withdrawal of a name that is not theirs", KEY_ED25519, "[\"withdraw\"]", "[\"w\"]", DOCUMENT_WITHDRAW,
	  NULL, NULL, 1500000, E_AUTH_REFUSED },
	{ "P4 withdrawal", KEY_ED25519, "[\"withdraw\"]", "[\"w\",\"img\"]", DOCUMENT_WITHDRAW, NULL, NULL, 1500000,
	  E_OK },
	{ "P4 realm", KEY_ED25519, "[\"image\"]", "[\"\"]", DOCUMENT_IMAGE, "realm", "\"other\"", 1500000,
	  E_AUTH_REFUSED },
	{ "P4 form", KEY_ED25519, "[\"image\"]", "[\"\"]", DOCUMENT_IMAGE, "owner", NULL, 1500000, E_PEER_MISSING },
};

static void test_accept(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(acceptances); i++) {
		cleanup_party struct party alice = { 0 };
		cleanup_operators struct operators ops = { 0 };
		cleanup_buf struct buf envelope = BUF_INIT(LIMIT_DOCUMENT);
		cleanup_json json_t *p = doc_predicate(acceptances[i].kind);
		cleanup_document struct document *d = NULL;
		struct reason why = { "" };
		size_t which = 99;
		struct err e;

		if (acceptances[i].set_key != NULL)
			doc_set(p, acceptances[i].set_key, acceptances[i].set_json);
		party_new(acceptances[i].key, &alice);
		assert_false(failed(operators_of(alice.pem_json, acceptances[i].kinds, acceptances[i].prefixes, &ops,
						 &why)));
		doc_envelope(p, alice.key, &envelope);
		e = document_accept(buf_bytes(&envelope), &ops, DOC_REALM, acceptances[i].now_s, &d, &which, &why);
		if (e.code != acceptances[i].want)
			fail_msg("%s: %s (%s)", acceptances[i].name, err_name(e), why.text);
		assert_int_equal(which, e.code == E_OK ? 0 : 99);
		assert_true((d != NULL) == (e.code == E_OK));
	}
}

/* P4: unsigned by anyone we know, or changed after signing. */
static void test_accept_signature(void **state)
{
	cleanup_party struct party alice = { 0 }, mallory = { 0 };
	cleanup_operators struct operators ops = { 0 }, none = { 0 };
	cleanup_buf struct buf good = BUF_INIT(LIMIT_DOCUMENT), foreign = BUF_INIT(LIMIT_DOCUMENT);
	cleanup_json json_t *p = doc_predicate(DOCUMENT_IMAGE);
	cleanup_document struct document *d = NULL;
	size_t which, n_accepted = 0;

	(void)state;
	party_new(KEY_ED25519, &alice);
	party_new(KEY_ED25519, &mallory);
	assert_false(failed(operators_of(alice.pem_json, "[\"image\"]", "[\"\"]", &ops, NULL)));
	doc_envelope(p, alice.key, &good);
	doc_envelope(p, mallory.key, &foreign);
	assert_int_equal(document_open(buf_bytes(&foreign), &ops, DOC_REALM, &d, &which, NULL).code, E_AUTH_UNKNOWN);
	assert_int_equal(document_open(buf_bytes(&good), &none, DOC_REALM, &d, &which, NULL).code, E_AUTH_UNKNOWN);
	for (size_t i = 0; i < good.n; i++) {
		good.p[i] ^= 1;
		if (!failed(document_open(buf_bytes(&good), &ops, DOC_REALM, &d, &which, NULL))) {
			n_accepted++;
			document_free(take_ptr(&d));
		}
		good.p[i] ^= 1;
	}
	assert_int_equal(n_accepted, 0);
	/* Expired ones still open, so that they can explain what has ended. */
	assert_int_equal(document_open(buf_bytes(&good), &ops, DOC_REALM, &d, &which, NULL).code, E_OK);
}

static const struct {
	const char *name, *json; /* %s is a public key */
	enum err_code want;
} operator_files[] = {
	{ "empty list", "{\"operators\":[]}", E_OK },
	{ "no list", "{}", E_PEER_MISSING },
	{ "P2 unknown member", "{\"operators\":[],\"x\":1}", E_PEER_UNKNOWN_KEY },
	{ "no kinds", "{\"operators\":[{\"name\":\"a\",\"public_key\":%s,\"prefixes\":[\"\"]}]}", E_PEER_MISSING },
	{ "empty kinds", "{\"operators\":[{\"name\":\"a\",\"public_key\":%s,\"kinds\":[],\"prefixes\":[\"\"]}]}",
	  E_PEER_RANGE },
	{ "unknown kind",
	  "{\"operators\":[{\"name\":\"a\",\"public_key\":%s,\"kinds\":[\"x\"],\"prefixes\":[\"\"]}]}", E_PEER_RANGE },
	{ "kind twice",
	  "{\"operators\":[{\"name\":\"a\",\"public_key\":%s,\"kinds\":[\"host\",\"host\"],\"prefixes\":[\"\"]}]}",
	  E_PEER_DUPLICATE },
	{ "empty prefixes", "{\"operators\":[{\"name\":\"a\",\"public_key\":%s,\"kinds\":[\"host\"],\"prefixes\":[]}]}",
	  E_PEER_RANGE },
	{ "prefix that no name has",
	  "{\"operators\":[{\"name\":\"a\",\"public_key\":%s,\"kinds\":[\"host\"],\"prefixes\":[\"a/\"]}]}",
	  E_PEER_RANGE },
	{ "unknown member of an operator",
	  "{\"operators\":[{\"name\":\"a\",\"public_key\":%s,\"kinds\":[\"host\"],\"prefixes\":[\"\"],\"y\":1}]}",
	  E_PEER_UNKNOWN_KEY },
	{ "no key",
	  "{\"operators\":[{\"name\":\"a\",\"public_key\":\"x\",\"kinds\":[\"host\"],\"prefixes\":[\"\"]}]}",
	  E_PEER_SYNTAX },
	{ "good", "{\"operators\":[{\"name\":\"a\",\"public_key\":%s,\"kinds\":[\"host\"],\"prefixes\":[\"\"]}]}",
	  E_OK },
	{ "same name and key twice",
	  "{\"operators\":[{\"name\":\"a\",\"public_key\":%s,\"kinds\":[\"host\"],\"prefixes\":[\"\"]},"
	  "{\"name\":\"a\",\"public_key\":%s,\"kinds\":[\"host\"],\"prefixes\":[\"\"]}]}",
	  E_PEER_DUPLICATE },
	{ "same key under two names",
	  "{\"operators\":[{\"name\":\"a\",\"public_key\":%s,\"kinds\":[\"host\"],\"prefixes\":[\"\"]},"
	  "{\"name\":\"b\",\"public_key\":%s,\"kinds\":[\"host\"],\"prefixes\":[\"\"]}]}",
	  E_PEER_DUPLICATE },
};

static void add_replaced(struct buf *b, const char *format, const char *pem)
{
	for (const char *at; (at = strstr(format, "%s")) != NULL; format = at + 2) {
		assert_false(failed(buf_add(b, BYTES(format, (size_t)(at - format)))));
		assert_false(failed(buf_add_str(b, pem)));
	}
	assert_false(failed(buf_add_str(b, format)));
}

static void test_operators(void **state)
{
	cleanup_party struct party alice = { 0 }, p384 = { 0 };
	cleanup_operators struct operators unsupported = { 0 };

	(void)state;
	party_new(KEY_EC_P256, &alice);
	party_new(KEY_EC_P384, &p384);
	for (size_t i = 0; i < array_len(operator_files); i++) {
		cleanup_buf struct buf b = BUF_INIT(LIMIT_SMALL);
		cleanup_operators struct operators ops = { 0 };
		struct reason why = { "" };
		struct err e;

		add_replaced(&b, operator_files[i].json, alice.pem_json);
		e = operators_parse(buf_bytes(&b), &ops, &why);
		if ((e.code == E_OK) != (operator_files[i].want == E_OK) ||
		    (e.code != operator_files[i].want && operator_files[i].want != E_PEER_SYNTAX))
			fail_msg("%s: %s (%s)", operator_files[i].name, err_name(e), why.text);
	}
	assert_int_equal(operators_of(p384.pem_json, "[\"host\"]", "[\"\"]", &unsupported, NULL).code,
			 E_PEER_UNSUPPORTED);
}

static void test_kind_names(void **state)
{
	(void)state;
	for (unsigned k = 0; k < N_DOCUMENT_KINDS; k++)
		assert_int_equal(document_kind_by_name(document_kind_name((enum document_kind)k)), k);
	assert_int_equal(document_kind_by_name("Host"), N_DOCUMENT_KINDS);
	assert_int_equal(document_kind_by_name(""), N_DOCUMENT_KINDS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_edits),        cmocka_unit_test(test_members),
		cmocka_unit_test(test_defaults),     cmocka_unit_test(test_statements),
		cmocka_unit_test(test_subject),      cmocka_unit_test(test_two_subjects),
		cmocka_unit_test(test_accept),       cmocka_unit_test(test_accept_signature),
		cmocka_unit_test(test_operators),    cmocka_unit_test(test_kind_names),
	};

	return cmocka_run_group_tests_name("document", tests, NULL, NULL);
}
