/* SPDX-License-Identifier: Apache-2.0 */
#include "base/jose.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/text.h"
#include "tests/support/fault.h"

#define TYPE "application/vnd.in-toto+json"

struct party {
	struct key *key;
	char keyid[65];
};
static struct party p256, ed25519, other, p384;

static const struct bytes payload = BYTES_LIT("{\"a\":1}");

/* Verifies with p256 and ed25519 as the known keys. */
static struct err verify(struct bytes envelope, struct buf *ret, size_t *ret_which, struct reason *why)
{
	const struct dsse_key keys[] = { { p256.keyid, p256.key }, { ed25519.keyid, ed25519.key } };

	return dsse_verify(envelope, LIMIT_DOCUMENT, TYPE, keys, array_len(keys), ret, ret_which, why);
}

static enum err_code verify_code(const char *envelope)
{
	cleanup_buf struct buf out = BUF_INIT(LIMIT_DOCUMENT);
	struct reason why = { "" };
	size_t which = 99;
	struct err e = verify(bytes_str(envelope), &out, &which, &why);

	assert_true((out.n == 0 && which == 99) == failed(e));
	assert_true((why.text[0] != '\0') == failed(e));
	return e.code;
}

/* Base64 with a NUL. */
static const char *b64(struct bytes v, struct buf *text)
{
	buf_clear(text);
	assert_int_equal(b64_encode(v, text).code, E_OK);
	assert_int_equal(buf_add_u8(text, 0).code, E_OK);
	return (const char *)text->p;
}

/*
 * A signature over "DSSEv1 ..." written out here, so that the code under test
 * does not define what it signs.
 */
static void sign_by_hand(const struct party *by, const char *type, struct bytes body, struct buf *ret)
{
	cleanup_buf struct buf data = BUF_INIT(4096), raw = BUF_INIT(128);

	assert_int_equal(buf_addf(&data, "DSSEv1 %zu %s %zu ", strlen(type), type, body.n).code, E_OK);
	assert_int_equal(buf_add(&data, body).code, E_OK);
	if (key_kind(by->key) == KEY_ED25519) {
		assert_int_equal(key_sign(by->key, SIG_ED25519, DIGEST_SHA512, buf_bytes(&data), ret).code, E_OK);
		return;
	}
	assert_int_equal(key_sign(by->key, SIG_ECDSA, DIGEST_SHA256, buf_bytes(&data), &raw).code, E_OK);
	assert_int_equal(ecdsa_raw_to_der(KEY_EC_P256, buf_bytes(&raw), ret).code, E_OK);
}

static void test_round_trip(void **state)
{
	const struct party *const parties[] = { &p256, &ed25519 };

	(void)state;
	for (size_t i = 0; i < array_len(parties); i++) {
		cleanup_buf struct buf envelope = BUF_INIT(LIMIT_DOCUMENT), out = BUF_INIT(64);
		cleanup_json json_t *j = NULL;
		size_t which = 99;

		assert_int_equal(dsse_sign(parties[i]->key, TYPE, payload, &envelope).code, E_OK);
		assert_int_equal(verify(buf_bytes(&envelope), &out, &which, NULL).code, E_OK);
		assert_int_equal(which, i);
		assert_true(bytes_eq(buf_bytes(&out), payload));
		assert_int_equal(json_parse(buf_bytes(&envelope), LIMIT_DOCUMENT, &j, NULL).code, E_OK);
		assert_int_equal(json_object_size(j), 3);
		assert_string_equal(json_string_value(json_object_get(j, "payload")), "eyJhIjoxfQ==");
		assert_string_equal(json_string_value(json_object_get(j, "payloadType")), TYPE);
		assert_int_equal(json_array_size(json_object_get(j, "signatures")), 1);
		assert_string_equal(json_string_value(json_object_get(
					    json_array_get(json_object_get(j, "signatures"), 0), "keyid")),
				    parties[i]->keyid);
	}
}

/* What we sign is what others verify: the encoding of DSSE's protocol.md, with its example lengths. */
static void test_pae(void **state)
{
	static const char pae[] = "DSSEv1 29 http://example.com/HelloWorld 11 hello world";
	cleanup_buf struct buf envelope = BUF_INIT(4096), sig = BUF_INIT(128);
	cleanup_json json_t *j = NULL;
	const json_t *one;

	(void)state;
	assert_int_equal(
		dsse_sign(ed25519.key, "http://example.com/HelloWorld", BYTES_LIT("hello world"), &envelope).code,
		E_OK);
	assert_int_equal(json_parse(buf_bytes(&envelope), 4096, &j, NULL).code, E_OK);
	assert_string_equal(json_string_value(json_object_get(j, "payload")), "aGVsbG8gd29ybGQ=");
	one = json_array_get(json_object_get(j, "signatures"), 0);
	assert_int_equal(b64_decode(bytes_str(json_string_value(json_object_get(one, "sig"))), &sig).code, E_OK);
	assert_int_equal(key_verify(ed25519.key, SIG_ED25519, DIGEST_SHA512, BYTES_LIT(pae), buf_bytes(&sig)).code,
			 E_OK);
}

/* The other way: signatures made by hand over the encoding, any bytes as payload. */
static void test_made_by_hand(void **state)
{
	static const struct bytes bodies[] = { BYTES_LIT(""), BYTES_LIT("\0\xff\n"), BYTES_LIT("{\"a\":1}") };
	const struct party *const parties[] = { &p256, &ed25519 };

	(void)state;
	for (size_t p = 0; p < array_len(parties); p++) {
		for (size_t i = 0; i < array_len(bodies); i++) {
			cleanup_buf struct buf sig = BUF_INIT(128), t1 = BUF_INIT(512), t2 = BUF_INIT(512);
			cleanup_buf struct buf text = BUF_INIT(4096), out = BUF_INIT(64);
			size_t which = 99;

			sign_by_hand(parties[p], TYPE, bodies[i], &sig);
			assert_int_equal(buf_addf(&text,
						  "{\"payload\":\"%s\",\"payloadType\":\"" TYPE
						  "\",\"signatures\":[{\"keyid\":\"%s\",\"sig\":\"%s\"}]}",
						  b64(bodies[i], &t1), parties[p]->keyid, b64(buf_bytes(&sig), &t2))
						 .code,
					 E_OK);
			assert_int_equal(verify(buf_bytes(&text), &out, &which, NULL).code, E_OK);
			assert_int_equal(which, p);
			assert_true(bytes_eq(buf_bytes(&out), bodies[i]));
		}
	}
}

/* No character of an envelope can change without a refusal. */
static void test_every_character(void **state)
{
	static const char instead[] = { 'A', 'b', '0', '=', '"', '{', ' ', '\0', '\x80' };
	cleanup_buf struct buf envelope = BUF_INIT(4096);
	size_t n_free = 0;

	(void)state;
	assert_int_equal(dsse_sign(p256.key, TYPE, payload, &envelope).code, E_OK);
	for (size_t i = 0; i < envelope.n; i++) {
		uint8_t old = envelope.p[i];

		for (size_t c = 0; c < sizeof(instead); c++) {
			cleanup_buf struct buf out = BUF_INIT(4096);
			size_t which = 99;

			if (old == (uint8_t)instead[c])
				continue;
			envelope.p[i] = (uint8_t)instead[c];
			n_free += failed(verify(buf_bytes(&envelope), &out, &which, NULL)) ? 0 : 1;
			assert_true(out.n == 0);
		}
		envelope.p[i] = old;
	}
	assert_int_equal(n_free, 0);
	for (size_t n = 0; n < envelope.n; n++) {
		cleanup_buf struct buf out = BUF_INIT(4096);

		assert_true(failed(verify(BYTES(envelope.p, n), &out, &(size_t){ 0 }, NULL)));
	}
}

/*
 * @ is a good signature by p256, # one by a key that nobody knows, ! one by
 * p256 over another payload, ? one by p256 for another type, ^ one by ed25519.
 */
static const struct {
	const char *name, *payload, *type, *signatures, *more;
	enum err_code want;
} cases[] = {
	{ "good", "eyJhIjoxfQ==", TYPE, "@", "", E_OK },
	{ "unknown before", "eyJhIjoxfQ==", TYPE, "#,@", "", E_OK },
	{ "unknown behind", "eyJhIjoxfQ==", TYPE, "@,#", "", E_OK },
	{ "eight", "eyJhIjoxfQ==", TYPE, "#,#,#,#,#,#,#,@", "", E_OK },
	{ "no keyid before", "eyJhIjoxfQ==", TYPE, "{\"sig\":\"AA==\"},@", "", E_OK },
	{ "nine", "eyJhIjoxfQ==", TYPE, "#,#,#,#,#,#,#,#,@", "", E_LIMIT_COUNT },
	{ "none", "eyJhIjoxfQ==", TYPE, "", "", E_PEER_MISSING },
	{ "only unknown", "eyJhIjoxfQ==", TYPE, "#", "", E_AUTH_UNKNOWN },
	{ "only without keyid", "eyJhIjoxfQ==", TYPE, "{\"sig\":\"AA==\"}", "", E_AUTH_UNKNOWN },
	{ "empty keyid", "eyJhIjoxfQ==", TYPE, "{\"keyid\":\"\",\"sig\":\"AA==\"}", "", E_AUTH_UNKNOWN },
	/* the first known key decides: a good one behind does not help */
	{ "wrong first, good second", "eyJhIjoxfQ==", TYPE, "!,^", "", E_AUTH_SIGNATURE },
	{ "good first, wrong second", "eyJhIjoxfQ==", TYPE, "^,!", "", E_OK },
	{ "other payload", "eyJhIjoyfQ==", TYPE, "@", "", E_AUTH_SIGNATURE },
	{ "signed over another payload", "eyJhIjoxfQ==", TYPE, "!", "", E_AUTH_SIGNATURE },
	{ "signed for another type", "eyJhIjoxfQ==", TYPE, "?", "", E_AUTH_SIGNATURE },
	{ "another type", "eyJhIjoxfQ==", "text/plain", "@", "", E_PEER_TYPE },
	{ "type in upper case", "eyJhIjoxfQ==", "Application/vnd.in-toto+json", "@", "", E_PEER_TYPE },
	{ "no padding", "eyJhIjoxfQ", TYPE, "@", "", E_PEER_SYNTAX },
	{ "base64url", "-_-_", TYPE, "@", "", E_PEER_SYNTAX },
	{ "unused bits", "eyJhIjoxfR==", TYPE, "@", "", E_PEER_NOT_CANONICAL },
	{ "white space", "eyJh IjoxfQ==", TYPE, "@", "", E_PEER_SYNTAX },
	{ "unknown member", "eyJhIjoxfQ==", TYPE, "@", ",\"x\":1", E_PEER_UNKNOWN_KEY },
	{ "member twice", "eyJhIjoxfQ==", TYPE, "@", ",\"payload\":\"\"", E_PEER_DUPLICATE },
	{ "sig not base64", "eyJhIjoxfQ==", TYPE, "{\"keyid\":\"%s\",\"sig\":\"*\"}", "", E_PEER_SYNTAX },
	{ "sig empty", "eyJhIjoxfQ==", TYPE, "{\"keyid\":\"%s\",\"sig\":\"\"}", "", E_PEER_TRUNCATED },
	{ "sig not DER", "eyJhIjoxfQ==", TYPE, "{\"keyid\":\"%s\",\"sig\":\"AAAA\"}", "", E_PEER_SYNTAX },
	{ "no sig", "eyJhIjoxfQ==", TYPE, "{\"keyid\":\"%s\"}", "", E_PEER_MISSING },
	{ "sig a number", "eyJhIjoxfQ==", TYPE, "{\"keyid\":\"%s\",\"sig\":1}", "", E_PEER_TYPE },
	{ "keyid a number", "eyJhIjoxfQ==", TYPE, "{\"keyid\":1,\"sig\":\"AA==\"},@", "", E_PEER_TYPE },
	{ "unknown member of a signature", "eyJhIjoxfQ==", TYPE, "{\"keyid\":\"%s\",\"sig\":\"AA==\",\"cert\":\"\"}",
	  "", E_PEER_UNKNOWN_KEY },
	{ "malformed signature of somebody else", "eyJhIjoxfQ==", TYPE, "@,{\"keyid\":\"x\",\"sig\":1}", "",
	  E_PEER_TYPE },
	{ "signature a text", "eyJhIjoxfQ==", TYPE, "\"x\"", "", E_PEER_TYPE },
};

static void add_signature(struct buf *text, const struct party *by, const char *type, struct bytes body)
{
	cleanup_buf struct buf sig = BUF_INIT(128), t = BUF_INIT(512);

	sign_by_hand(by, type, body, &sig);
	assert_int_equal(buf_addf(text, "{\"keyid\":\"%s\",\"sig\":\"%s\"}", by->keyid, b64(buf_bytes(&sig), &t)).code,
			 E_OK);
}

static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		cleanup_buf struct buf text = BUF_INIT(LIMIT_DOCUMENT);
		enum err_code got;

		assert_int_equal(buf_addf(&text, "{\"payload\":\"%s\",\"payloadType\":\"%s\",\"signatures\":[",
					  cases[i].payload, cases[i].type)
					 .code,
				 E_OK);
		for (const char *p = cases[i].signatures; *p != '\0'; p++) {
			if (*p == '@')
				add_signature(&text, &p256, TYPE, payload);
			else if (*p == '#')
				add_signature(&text, &other, TYPE, payload);
			else if (*p == '!')
				add_signature(&text, &p256, TYPE, BYTES_LIT("{\"a\":3}"));
			else if (*p == '?')
				add_signature(&text, &p256, "application/vnd.in-toto+jso", payload);
			else if (*p == '^')
				add_signature(&text, &ed25519, TYPE, payload);
			else if (*p == '%' && p[1] == 's')
				assert_int_equal(buf_add_str(&text, (p++, p256.keyid)).code, E_OK);
			else
				assert_int_equal(buf_add_u8(&text, (uint8_t)*p).code, E_OK);
		}
		assert_int_equal(buf_addf(&text, "]%s}", cases[i].more).code, E_OK);
		assert_int_equal(buf_add_u8(&text, 0).code, E_OK);
		got = verify_code((const char *)text.p);
		if (got != cases[i].want)
			fail_msg("%s: %s", cases[i].name, err_name(ERR(got)));
	}
}

static void test_envelope_forms(void **state)
{
	(void)state;
	assert_int_equal(verify_code(""), E_PEER_SYNTAX);
	assert_int_equal(verify_code("[]"), E_PEER_TYPE);
	assert_int_equal(verify_code("{}"), E_PEER_MISSING);
	assert_int_equal(verify_code("{\"payload\":\"\",\"payloadType\":\"" TYPE "\",\"signatures\":{}}"), E_PEER_TYPE);
	assert_int_equal(verify_code("{\"payload\":1,\"payloadType\":\"" TYPE "\",\"signatures\":[]}"), E_PEER_TYPE);
	assert_int_equal(verify_code("{\"payloadType\":\"" TYPE "\",\"signatures\":[]}"), E_PEER_MISSING);
}

/* A key id that names a key does not make another key's signature good. */
static void test_borrowed_keyid(void **state)
{
	cleanup_buf struct buf envelope = BUF_INIT(4096), out = BUF_INIT(64);
	const struct dsse_key keys[] = { { other.keyid, p256.key } };
	size_t which = 99;

	(void)state;
	assert_int_equal(dsse_sign(other.key, TYPE, payload, &envelope).code, E_OK);
	assert_int_equal(dsse_verify(buf_bytes(&envelope), 4096, TYPE, keys, 1, &out, &which, NULL).code,
			 E_AUTH_SIGNATURE);
	/* No keys at all. */
	assert_int_equal(dsse_verify(buf_bytes(&envelope), 4096, TYPE, NULL, 0, &out, &which, NULL).code,
			 E_AUTH_UNKNOWN);
	assert_int_equal(out.n, 0);
	assert_int_equal(which, 99);
}

static void test_limits(void **state)
{
	static uint8_t big[LIMIT_DOCUMENT];
	cleanup_buf struct buf envelope = BUF_INIT(2 * LIMIT_DOCUMENT), out = BUF_INIT(4), small = BUF_INIT(16);
	char type[300];
	const struct dsse_key keys[] = { { p256.keyid, p256.key } };
	size_t which = 99;

	(void)state;
	assert_int_equal(dsse_sign(p256.key, TYPE, payload, &small).code, E_LIMIT_SIZE);
	assert_int_equal(small.n, 0);
	assert_int_equal(dsse_sign(p256.key, TYPE, payload, &envelope).code, E_OK);
	assert_int_equal(dsse_verify(buf_bytes(&envelope), envelope.n - 1, TYPE, keys, 1, &out, &which, NULL).code,
			 E_LIMIT_SIZE);
	/* The receiver's room. */
	assert_int_equal(dsse_verify(buf_bytes(&envelope), envelope.n, TYPE, keys, 1, &out, &which, NULL).code,
			 E_LIMIT_SIZE);
	assert_int_equal(out.n, 0);
	assert_int_equal(which, 99);
	memset(type, 't', sizeof(type) - 1);
	type[sizeof(type) - 1] = '\0';
	assert_int_equal(dsse_sign(p256.key, type, payload, &envelope).code, E_LIMIT_SIZE);
	buf_clear(&envelope);
	assert_int_equal(dsse_sign(p256.key, TYPE, BYTES_ARR(big), &envelope).code, E_OK);
	assert_int_equal(dsse_sign(p384.key, TYPE, payload, &envelope).code, E_PEER_UNSUPPORTED);
}

static void test_key_kinds(void **state)
{
	cleanup_buf struct buf envelope = BUF_INIT(4096), out = BUF_INIT(64);
	const struct dsse_key keys[] = { { p256.keyid, p384.key } };

	(void)state;
	assert_int_equal(dsse_sign(p256.key, TYPE, payload, &envelope).code, E_OK);
	assert_int_equal(dsse_verify(buf_bytes(&envelope), 4096, TYPE, keys, 1, &out, &(size_t){ 0 }, NULL).code,
			 E_PEER_UNSUPPORTED);
}

static struct err life(void)
{
	cleanup_buf struct buf envelope = BUF_INIT(4096), out = BUF_INIT(64);
	size_t which = 99;
	struct err e;

	if (failed(e = dsse_sign(p256.key, TYPE, payload, &envelope)) ||
	    failed(e = verify(buf_bytes(&envelope), &out, &which, NULL)))
		return e;
	assert_true(bytes_eq(buf_bytes(&out), payload));
	return ERR(E_OK);
}

static void test_memory(void **state)
{
	long n;

	(void)state;
	assert_int_equal(life().code, E_OK);
	fault_begin(-1);
	assert_int_equal(life().code, E_OK);
	n = fault_end();
	assert_true(n > 50);
	for (long k = 0; k < n; k++) {
		struct err e;

		fault_begin(k);
		e = life();
		(void)fault_end();
		if (e.code != E_OK && e.code != E_LOCAL_MEMORY && e.code != E_LOCAL_CRYPTO)
			fail_msg("allocation %ld of %ld: %s", k, n, err_name(e));
	}
}

static int make(struct party *p, enum key_kind kind)
{
	uint8_t h[32];

	return failed(key_generate(kind, &p->key)) || failed(key_spki_sha256(p->key, h)) ||
	       failed(hex_encode(BYTES_ARR(h), p->keyid, sizeof(p->keyid)));
}

static int set_up(void **state)
{
	(void)state;
	return make(&p256, KEY_EC_P256) || make(&ed25519, KEY_ED25519) || make(&other, KEY_EC_P256) ||
	       make(&p384, KEY_EC_P384);
}

static int tear_down(void **state)
{
	(void)state;
	key_free(p256.key);
	key_free(ed25519.key);
	key_free(other.key);
	key_free(p384.key);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_pae),
		cmocka_unit_test(test_made_by_hand),
		cmocka_unit_test(test_every_character),
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_envelope_forms),
		cmocka_unit_test(test_borrowed_keyid),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_key_kinds),
		cmocka_unit_test(test_memory),
	};

	fault_init();
	return cmocka_run_group_tests_name("dsse", tests, set_up, tear_down);
}
