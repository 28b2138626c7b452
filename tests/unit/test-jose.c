/* SPDX-License-Identifier: Apache-2.0 */
/* Compact JWS: signing, headers, forms, the header's own key. */
#include "base/jose.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/text.h"
#include "tests/support/fault.h"

static struct key *p256, *p384, *rsa, *ed25519;

static json_t *parse(const char *text)
{
	json_t *j = NULL;

	assert_int_equal(json_parse(bytes_str(text), LIMIT_SMALL, &j, NULL).code, E_OK);
	return j;
}

static void sign_token(const struct key *k, const char *kid, struct buf *ret)
{
	const struct bytes claims = BYTES_LIT("{\"sub\":\"x\",\"exp\":2000000000}");

	assert_int_equal(jws_sign_key(k, kid, "at+jwt", claims, ret).code, E_OK);
}

static void test_sign_and_verify(void **state)
{
	const struct key *const keys[] = { p256, rsa, ed25519 };

	(void)state;
	for (size_t i = 0; i < array_len(keys); i++) {
		cleanup_buf struct buf token = BUF_INIT(LIMIT_TOKEN);
		cleanup_jws struct jws j = { 0 };

		sign_token(keys[i], "key-1", &token);
		assert_int_equal(jws_parse(buf_bytes(&token), &j, NULL).code, E_OK);
		assert_string_equal(jws_unsigned_kid(&j), "key-1");
		assert_int_equal(json_object_size(j.unsigned_header), 3);
		for (size_t k = 0; k < array_len(keys); k++) {
			/* ES256 token, RSA key: refused for its algorithm, before any arithmetic. */
			assert_int_equal(jws_verify(&j, keys[k], "at+jwt", NULL).code,
					 k == i ? E_OK : E_PEER_UNSUPPORTED);
		}
		assert_int_equal(jws_verify(&j, p384, "at+jwt", NULL).code, E_PEER_UNSUPPORTED);
	}
}

static void test_sign_refused(void **state)
{
	const struct bytes claims = BYTES_LIT("{}");
	cleanup_buf struct buf token = BUF_INIT(LIMIT_TOKEN), small = BUF_INIT(20);
	cleanup_json json_t *jwk = NULL;
	cleanup_key struct key *pub = NULL;

	(void)state;
	assert_int_equal(jws_sign_key(p384, NULL, "at+jwt", claims, &token).code, E_PEER_UNSUPPORTED);
	assert_int_equal(jws_sign_key(p256, NULL, "at+jwt", claims, &small).code, E_LIMIT_SIZE);
	assert_int_equal(jws_sign_key(p256, "\xff", "at+jwt", claims, &token).code, E_PEER_SYNTAX);
	assert_int_equal(jwk_from_key(p256, &jwk).code, E_OK);
	assert_int_equal(jwk_to_key(jwk, &pub, NULL).code, E_OK);
	assert_int_equal(jws_sign_key(pub, NULL, "at+jwt", claims, &token).code, E_BUG);
	assert_int_equal(token.n, 0);
	assert_int_equal(small.n, 0);
}

static void test_other_key(void **state)
{
	cleanup_key struct key *other = NULL;
	cleanup_buf struct buf token = BUF_INIT(LIMIT_TOKEN);
	cleanup_jws struct jws j = { 0 };
	struct reason why = { "" };

	(void)state;
	assert_int_equal(key_generate(KEY_EC_P256, &other).code, E_OK);
	sign_token(other, NULL, &token);
	assert_int_equal(jws_parse(buf_bytes(&token), &j, NULL).code, E_OK);
	assert_int_equal(jws_verify(&j, p256, "at+jwt", &why).code, E_AUTH_SIGNATURE);
	assert_string_equal(why.text, "JWS: signature: signature does not verify");
}

/* T9 and everything else: no token that differs in one character from a good one passes. */
static void test_every_character(void **state)
{
	static const char instead[] = { 'A', 'z', '0', '-', '_', '+', '/', '=', '.', ' ', '\n', '\0', '\x80' };
	cleanup_buf struct buf token = BUF_INIT(LIMIT_TOKEN);

	(void)state;
	sign_token(p256, "k", &token);
	for (size_t i = 0; i < token.n; i++) {
		uint8_t old = token.p[i];

		for (size_t c = 0; c < sizeof(instead); c++) {
			cleanup_jws struct jws j = { 0 };

			if (old == (uint8_t)instead[c])
				continue;
			token.p[i] = (uint8_t)instead[c];
			assert_true(failed(jws_parse(buf_bytes(&token), &j, NULL)) ||
				    failed(jws_verify(&j, p256, "at+jwt", NULL)));
		}
		token.p[i] = old;
	}
	for (size_t n = 0; n < token.n; n++) {
		cleanup_jws struct jws j = { 0 };

		assert_true(failed(jws_parse(BYTES(token.p, n), &j, NULL)) ||
			    failed(jws_verify(&j, p256, "at+jwt", NULL)));
	}
}

/* base64url(header).base64url(payload).signature by k over them, whatever they say. */
static void forge(const struct key *k, const char *header, const char *payload, struct buf *ret)
{
	cleanup_buf struct buf sig = BUF_INIT(512);
	enum sig_scheme s = key_kind(k) == KEY_RSA ? SIG_RSASSA : SIG_ECDSA;

	buf_clear(ret);
	assert_int_equal(b64url_encode(bytes_str(header), ret).code, E_OK);
	assert_int_equal(buf_add_u8(ret, '.').code, E_OK);
	assert_int_equal(b64url_encode(bytes_str(payload), ret).code, E_OK);
	assert_int_equal(key_sign(k, s, DIGEST_SHA256, buf_bytes(ret), &sig).code, E_OK);
	assert_int_equal(buf_add_u8(ret, '.').code, E_OK);
	assert_int_equal(b64url_encode(buf_bytes(&sig), ret).code, E_OK);
}

static struct err verify(const struct key *k, const char *typ, struct bytes token, struct reason *why)
{
	cleanup_jws struct jws j = { 0 };
	struct err e;

	if (failed(e = jws_parse(token, &j, why)))
		return e;
	return jws_verify(&j, k, typ, why);
}

#define H(more) "{\"alg\":\"ES256\",\"typ\":\"at+jwt\"" more "}"
#define KID_64 "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"

/* Correctly signed by the right key: only the header is wrong (T1, T2, T4, T5, T8). */
static const struct {
	const char *header;
	enum err_code want;
} header_cases[] = {
	{ H(""), E_OK },
	{ "{\"alg\":\"ES256\",\"typ\":\"AT+JWT\"}", E_OK },
	{ "{\"alg\":\"ES256\",\"typ\":\"application/at+jwt\"}", E_OK },
	{ "{\"alg\":\"ES256\",\"typ\":\"Application/At+Jwt\"}", E_OK },
	{ "{\"alg\":\"ES256\",\"typ\":\"application/application/at+jwt\"}", E_PEER_TYPE },
	{ "{\"alg\":\"ES256\",\"typ\":\"text/at+jwt\"}", E_PEER_TYPE },
	{ "{\"alg\":\"ES256\",\"typ\":\"JWT\"}", E_PEER_TYPE },
	{ "{\"alg\":\"ES256\",\"typ\":\"at+jwt \"}", E_PEER_TYPE },
	{ "{\"alg\":\"ES256\",\"typ\":\"\"}", E_PEER_TYPE },
	{ "{\"alg\":\"ES256\",\"typ\":\"application/\"}", E_PEER_TYPE },
	{ "{\"alg\":\"ES256\",\"typ\":null}", E_PEER_TYPE },
	{ "{\"alg\":\"ES256\"}", E_PEER_MISSING },
	{ "{\"typ\":\"at+jwt\"}", E_PEER_MISSING },
	{ "{\"alg\":\"none\",\"typ\":\"at+jwt\"}", E_PEER_UNSUPPORTED },
	{ "{\"alg\":\"NoNe\",\"typ\":\"at+jwt\"}", E_PEER_UNSUPPORTED },
	{ "{\"alg\":\"\",\"typ\":\"at+jwt\"}", E_PEER_UNSUPPORTED },
	{ "{\"alg\":\"es256\",\"typ\":\"at+jwt\"}", E_PEER_UNSUPPORTED },
	{ "{\"alg\":\"ES256 \",\"typ\":\"at+jwt\"}", E_PEER_UNSUPPORTED },
	{ "{\"alg\":\"ES384\",\"typ\":\"at+jwt\"}", E_PEER_UNSUPPORTED },
	{ "{\"alg\":\"HS256\",\"typ\":\"at+jwt\"}", E_PEER_UNSUPPORTED },
	{ "{\"alg\":\"RS256\",\"typ\":\"at+jwt\"}", E_PEER_UNSUPPORTED },
	{ "{\"alg\":null,\"typ\":\"at+jwt\"}", E_PEER_TYPE },
	{ "{\"alg\":[\"ES256\"],\"typ\":\"at+jwt\"}", E_PEER_TYPE },
	{ H(",\"alg\":\"ES256\""), E_PEER_DUPLICATE },
	{ H(",\"crit\":[\"exp\"]"), E_PEER_UNSUPPORTED },
	{ H(",\"crit\":[]"), E_PEER_UNSUPPORTED },
	{ H(",\"crit\":[\"b64\"],\"b64\":false"), E_PEER_UNSUPPORTED },
	{ H(",\"b64\":false"), E_PEER_UNSUPPORTED },
	{ H(",\"jku\":\"http://127.0.0.1/\""), E_PEER_UNSUPPORTED },
	{ H(",\"x5u\":\"http://127.0.0.1/\""), E_PEER_UNSUPPORTED },
	{ H(",\"x5c\":[\"AA==\"]"), E_PEER_UNSUPPORTED },
	{ H(",\"x5t\":\"AA\""), E_PEER_UNSUPPORTED },
	{ H(",\"x5t#S256\":\"AA\""), E_PEER_UNSUPPORTED },
	{ H(",\"jwk\":{}"), E_PEER_UNSUPPORTED },
	{ H(",\"jwk\":null"), E_PEER_UNSUPPORTED },
	{ H(",\"unknown\":{\"a\":1}"), E_OK },
	{ H(",\"kid\":\"a\""), E_OK },
	{ H(",\"kid\":\"../../etc/passwd' OR 1=1 --\""), E_OK }, /* text; nobody opens or queries it */
	{ H(",\"kid\":\"" KID_64 KID_64 KID_64 KID_64 "\""), E_OK },
	{ H(",\"kid\":\"" KID_64 KID_64 KID_64 KID_64 "k\""), E_PEER_RANGE },
	{ H(",\"kid\":\"\""), E_PEER_RANGE },
	{ H(",\"kid\":7"), E_PEER_RANGE },
	{ H(",\"kid\":null"), E_PEER_RANGE },
	{ H(",\"kid\":\"a\\nb\""), E_PEER_RANGE },
	{ H(",\"kid\":\"a\\u007f\""), E_PEER_RANGE },
	{ H(",\"kid\":\"a\\u0085\""), E_PEER_RANGE },
	{ H(",\"kid\":\"a\\u00a9\""), E_OK },
	{ H(",\"kid\":\"a\\u0000\""), E_PEER_SYNTAX },
	{ H(",\"kid\":\"a\",\"kid\":\"a\""), E_PEER_DUPLICATE },
	{ "[]", E_PEER_TYPE },
	{ "\"ES256\"", E_PEER_TYPE },
	{ "{", E_PEER_SYNTAX },
	{ H("") " ", E_OK },
	{ H("") "x", E_PEER_SYNTAX },
	{ H(",\"x\":[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]"), E_LIMIT_DEPTH },
	{ H(",\"x\":123456789012345678901234567890"), E_PEER_RANGE },
};

static void test_headers(void **state)
{
	cleanup_buf struct buf token = BUF_INIT(LIMIT_TOKEN);

	(void)state;
	for (size_t i = 0; i < array_len(header_cases); i++) {
		struct reason why = { "" };
		struct err e;

		forge(p256, header_cases[i].header, "{\"sub\":\"x\"}", &token);
		e = verify(p256, "at+jwt", buf_bytes(&token), &why);
		if (e.code != header_cases[i].want)
			fail_msg("%s: %s (%s)", header_cases[i].header, err_name(e), why.text);
		assert_true((why.text[0] != '\0') == failed(e));
	}
}

/* A kid that jws_verify() would refuse is not handed to look-ups either. */
static void test_unsigned_kid(void **state)
{
	static const char *const headers[] = { H(",\"kid\":7"), H(",\"kid\":\"a\\nb\""), H("") };
	cleanup_buf struct buf token = BUF_INIT(LIMIT_TOKEN);

	(void)state;
	for (size_t i = 0; i < array_len(headers); i++) {
		cleanup_jws struct jws j = { 0 };

		forge(p256, headers[i], "{}", &token);
		assert_int_equal(jws_parse(buf_bytes(&token), &j, NULL).code, E_OK);
		assert_null(jws_unsigned_kid(&j));
	}
}

/* T1: RS512 on an RS256 key, PS256 on it, ES256 with an RSA key. */
static void test_rsa_algorithms(void **state)
{
	static const char *const algs[] = { "RS512", "RS384", "PS256", "ES256", "RS1", "none", "HS256" };
	cleanup_buf struct buf token = BUF_INIT(LIMIT_TOKEN);

	(void)state;
	forge(rsa, "{\"alg\":\"RS256\",\"typ\":\"at+jwt\"}", "{}", &token);
	assert_int_equal(verify(rsa, "at+jwt", buf_bytes(&token), NULL).code, E_OK);
	for (size_t i = 0; i < array_len(algs); i++) {
		char header[64];

		(void)snprintf(header, sizeof(header), "{\"alg\":\"%s\",\"typ\":\"at+jwt\"}", algs[i]);
		forge(rsa, header, "{}", &token);
		assert_int_equal(verify(rsa, "at+jwt", buf_bytes(&token), NULL).code, E_PEER_UNSUPPORTED);
	}
}

/* T1: HS256 with what is public as secret. The header may say HS256 or lie. */
static void test_hmac_with_public_key(void **state)
{
	static const char *const headers[] = { "{\"alg\":\"HS256\",\"typ\":\"at+jwt\"}", H("") };
	cleanup_buf struct buf pem = BUF_INIT(4096), der = BUF_INIT(1024), text = BUF_INIT(1024);
	cleanup_json json_t *jwk = NULL;

	(void)state;
	assert_int_equal(key_public_to_pem(p256, &pem).code, E_OK);
	assert_int_equal(key_spki(p256, &der).code, E_OK);
	assert_int_equal(jwk_from_key(p256, &jwk).code, E_OK);
	assert_int_equal(json_write(jwk, &text).code, E_OK);
	for (size_t h = 0; h < array_len(headers); h++) {
		const struct bytes secrets[] = { buf_bytes(&pem), buf_bytes(&der), buf_bytes(&text), BYTES_LIT("") };

		for (size_t i = 0; i < array_len(secrets); i++) {
			cleanup_buf struct buf token = BUF_INIT(LIMIT_TOKEN);
			uint8_t mac[32];
			struct err e;

			assert_int_equal(b64url_encode(bytes_str(headers[h]), &token).code, E_OK);
			assert_int_equal(buf_add_str(&token, ".e30").code, E_OK);
			assert_int_equal(hmac_sha256(secrets[i], mac, 1, (struct bytes[]){ buf_bytes(&token) }).code,
					 E_OK);
			assert_int_equal(buf_add_u8(&token, '.').code, E_OK);
			assert_int_equal(b64url_encode(BYTES_ARR(mac), &token).code, E_OK);
			e = verify(p256, "at+jwt", buf_bytes(&token), NULL);
			assert_int_equal(e.code, h == 0 ? E_PEER_UNSUPPORTED : E_PEER_RANGE);
		}
	}
}

/* T2, T9: forms of the token itself; e30 is {}. */
static const struct {
	const char *token;
	enum err_code want;
} form_cases[] = {
	{ "", E_PEER_SYNTAX },
	{ "e30", E_PEER_SYNTAX },
	{ "e30.e30", E_PEER_SYNTAX },
	{ "e30.e30.", E_PEER_SYNTAX },
	{ "e30..AAAA", E_PEER_SYNTAX },
	{ ".e30.AAAA", E_PEER_SYNTAX },
	{ "..", E_PEER_SYNTAX },
	{ "e30.e30.AAAA", E_OK },
	{ "e30.e30.AAAA.AAAA", E_PEER_SYNTAX },
	{ "e30.e30.AAAA.AAAA.AAAA", E_PEER_SYNTAX },
	{ "e30.e30.AAAA.", E_PEER_SYNTAX },
	{ "e30=.e30.AAAA", E_PEER_SYNTAX },
	{ "e30.e30=.AAAA", E_PEER_SYNTAX },
	{ "e30.e30.AAA=", E_PEER_SYNTAX },
	{ "e30.e30.AA+A", E_PEER_SYNTAX },
	{ "e30.e30.AA/A", E_PEER_SYNTAX },
	{ "e30.e30.AAA A", E_PEER_SYNTAX },
	{ "e30.e30.AAAA\n", E_PEER_SYNTAX },
	{ " e30.e30.AAAA", E_PEER_SYNTAX },
	{ "e31.e30.AAAA", E_PEER_NOT_CANONICAL },
	{ "e30.e31.AAAA", E_PEER_NOT_CANONICAL },
	{ "e30.e30.AB", E_PEER_NOT_CANONICAL },
	{ "e30.e30.A", E_PEER_SYNTAX },
	{ "W10.e30.AAAA", E_PEER_TYPE },
	{ "e30.W10.AAAA", E_PEER_TYPE },
	{ "e30.MQ.AAAA", E_PEER_TYPE },
	{ "e30.AAAA.AAAA", E_PEER_SYNTAX },
	{ "{}.{}.AAAA", E_PEER_SYNTAX },
};

static void test_forms(void **state)
{
	static char big[LIMIT_TOKEN + 2];
	cleanup_jws struct jws j = { 0 };

	(void)state;
	for (size_t i = 0; i < array_len(form_cases); i++) {
		cleanup_jws struct jws one = { 0 };
		struct err e = jws_parse(bytes_str(form_cases[i].token), &one, NULL);

		if (e.code != form_cases[i].want)
			fail_msg("%s: %s", form_cases[i].token, err_name(e));
		assert_true((one.unsigned_header != NULL) == !failed(e));
	}
	memset(big, 'A', sizeof(big) - 1);
	assert_int_equal(jws_parse(BYTES(big, LIMIT_TOKEN + 1), &j, NULL).code, E_LIMIT_SIZE);
	/* Room for an RSA-4096 signature and not more: 512 bytes are 683 characters. */
	memcpy(big, "e30.e30.", 8);
	assert_int_equal(jws_parse(BYTES(big, 8 + 684), &j, NULL).code, E_LIMIT_SIZE);
	assert_int_equal(jws_parse(BYTES(big, 8 + 683), &j, NULL).code, E_OK);
}

/* T3: r or s zero, n, above n; 63 and 65 bytes; DER. */
static void test_degenerate_signatures(void **state)
{
	static const uint8_t order[32] = { 0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff,
					   0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17,
					   0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51 };
	cleanup_buf struct buf good = BUF_INIT(LIMIT_TOKEN), raw = BUF_INIT(256);
	cleanup_jws struct jws j = { 0 };
	uint8_t sig[80];

	(void)state;
	sign_token(p256, NULL, &good);
	assert_int_equal(jws_parse(buf_bytes(&good), &j, NULL).code, E_OK);
	for (size_t i = 0; i < 8; i++) {
		cleanup_buf struct buf token = BUF_INIT(LIMIT_TOKEN);
		size_t n = 64;

		memset(sig, 0, sizeof(sig));
		memcpy(sig, j.signature.p, 64);
		if (i == 0)
			memset(sig, 0, 64);
		else if (i == 1)
			memset(sig, 0, 32);
		else if (i == 2)
			memset(sig + 32, 0, 32);
		else if (i == 3)
			memcpy(sig, order, 32);
		else if (i == 4)
			memcpy(sig + 32, order, 32);
		else if (i == 5)
			memset(sig, 0xff, 64);
		else
			n = i == 6 ? 63 : 65;
		assert_int_equal(buf_add(&token, j.signing_input).code, E_OK);
		assert_int_equal(buf_add_u8(&token, '.').code, E_OK);
		assert_int_equal(b64url_encode(BYTES(sig, n), &token).code, E_OK);
		assert_int_equal(verify(p256, "at+jwt", buf_bytes(&token), NULL).code, E_PEER_RANGE);
	}
	assert_int_equal(ecdsa_raw_to_der(KEY_EC_P256, buf_bytes(&j.signature), &raw).code, E_OK);
	buf_clear(&good);
	forge(p256, H(""), "{}", &good);
	good.n = (size_t)(strrchr((char *)good.p, '.') - (char *)good.p) + 1;
	assert_int_equal(b64url_encode(buf_bytes(&raw), &good).code, E_OK);
	assert_int_equal(verify(p256, "at+jwt", buf_bytes(&good), NULL).code, E_PEER_RANGE);
}

/* ---- the header's own key ---- */

static struct err sign_raw(void *ctx, struct bytes data, struct buf *ret)
{
	return key_sign(ctx, SIG_ECDSA, DIGEST_SHA256, data, ret);
}

static void test_embedded(void **state)
{
	cleanup_json json_t *jwk = NULL, *claims = parse("{\"jti\":\"1\"}"), *wrong = NULL;
	cleanup_buf struct buf token = BUF_INIT(LIMIT_TOKEN);
	cleanup_key struct key *other = NULL, *found = NULL;
	struct jws_signer s = { .alg = "ES256", .sign = sign_raw, .ctx = p256 };
	cleanup_jws struct jws j = { 0 }, j2 = { 0 };
	struct key *none = NULL;

	(void)state;
	assert_int_equal(jwk_from_key(p256, &jwk).code, E_OK);
	assert_int_equal(jws_sign(&s, "dpop+jwt", jwk, claims, &token).code, E_OK);
	assert_int_equal(jws_parse(buf_bytes(&token), &j, NULL).code, E_OK);
	assert_int_equal(jws_verify_embedded(&j, "dpop+jwt", &found, NULL).code, E_OK);
	assert_true(key_equal(found, p256));
	assert_int_equal(jws_verify_embedded(&j, "at+jwt", &none, NULL).code, E_PEER_TYPE);
	/* Another key's proof of possession. */
	assert_int_equal(key_generate(KEY_EC_P256, &other).code, E_OK);
	assert_int_equal(jwk_from_key(other, &wrong).code, E_OK);
	buf_clear(&token);
	assert_int_equal(jws_sign(&s, "dpop+jwt", wrong, claims, &token).code, E_OK);
	assert_int_equal(jws_parse(buf_bytes(&token), &j2, NULL).code, E_OK);
	assert_int_equal(jws_verify_embedded(&j2, "dpop+jwt", &none, NULL).code, E_AUTH_SIGNATURE);
	assert_null(none);
}

#define EC_X "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\""
#define EC_Y "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\""
#define EC_HEAD "{\"kty\":\"EC\",\"crv\":\"P-256\","

/* T16. The signature is by p256 throughout. */
static void test_embedded_refused(void **state)
{
	cleanup_buf struct buf own = BUF_INIT(1024), rsa_jwk = BUF_INIT(1024), p384_jwk = BUF_INIT(1024);
	struct {
		const char *alg, *jwk, *more;
		enum err_code want;
	} cases[] = {
		{ "ES256", NULL, "", E_OK },
		{ "ES256", "\"text\"", "", E_PEER_TYPE },
		{ "ES256", "", "", E_PEER_MISSING },
		{ "ES256", "rsa", "", E_PEER_UNSUPPORTED },
		{ "RS256", "rsa", "", E_PEER_UNSUPPORTED },
		{ "ES256", "p384", "", E_PEER_UNSUPPORTED },
		{ "ES384", "p384", "", E_PEER_UNSUPPORTED },
		{ "none", NULL, "", E_PEER_UNSUPPORTED },
		{ "HS256", NULL, "", E_PEER_UNSUPPORTED },
		{ "ES256", EC_HEAD EC_X "," EC_Y ",\"d\":\"AA\"}", "", E_PEER_UNSUPPORTED },
		{ "ES256", EC_HEAD EC_X ",\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5aw\"}", "", E_PEER_RANGE },
		{ "ES256", EC_HEAD EC_X "," EC_Y "}", "", E_AUTH_SIGNATURE },
		{ "ES256", NULL, ",\"crit\":[\"x\"]", E_PEER_UNSUPPORTED },
		{ "ES256", NULL, ",\"jku\":\"https://x\"", E_PEER_UNSUPPORTED },
		{ "ES256", NULL, ",\"x5c\":[]", E_PEER_UNSUPPORTED },
		{ "ES256", NULL, ",\"kid\":\"a\\tb\"", E_PEER_RANGE },
	};
	const struct {
		const struct key *k;
		struct buf *to;
	} texts[] = { { p256, &own }, { rsa, &rsa_jwk }, { p384, &p384_jwk } };

	(void)state;
	for (size_t i = 0; i < array_len(texts); i++) {
		cleanup_json json_t *jwk = NULL;

		assert_int_equal(jwk_from_key(texts[i].k, &jwk).code, E_OK);
		assert_int_equal(json_write(jwk, texts[i].to).code, E_OK);
		assert_int_equal(buf_add_u8(texts[i].to, 0).code, E_OK);
	}
	for (size_t i = 0; i < array_len(cases); i++) {
		cleanup_buf struct buf header = BUF_INIT(4096), token = BUF_INIT(LIMIT_TOKEN);
		const char *jwk = cases[i].jwk == NULL ? (const char *)own.p : cases[i].jwk;
		cleanup_key struct key *k = NULL;
		cleanup_jws struct jws j = { 0 };
		struct err e;

		if (strcmp(jwk, "rsa") == 0)
			jwk = (const char *)rsa_jwk.p;
		else if (strcmp(jwk, "p384") == 0)
			jwk = (const char *)p384_jwk.p;
		assert_int_equal(buf_addf(&header, "{\"alg\":\"%s\",\"typ\":\"dpop+jwt\"%s%s%s}", cases[i].alg,
					  *jwk != '\0' ? ",\"jwk\":" : "", jwk, cases[i].more)
					 .code,
				 E_OK);
		assert_int_equal(buf_add_u8(&header, 0).code, E_OK);
		forge(p256, (const char *)header.p, "{}", &token);
		assert_int_equal(jws_parse(buf_bytes(&token), &j, NULL).code, E_OK);
		e = jws_verify_embedded(&j, "dpop+jwt", &k, NULL);
		if (e.code != cases[i].want || (k != NULL) != !failed(e))
			fail_msg("case %zu: %s", i, err_name(e));
	}
}

static struct err sign_fails(void *ctx, struct bytes data, struct buf *ret)
{
	(void)ctx;
	(void)data;
	(void)ret;
	return ERR(E_LOCAL_TPM);
}

static void test_signer_fails(void **state)
{
	cleanup_json json_t *claims = parse("{}");
	cleanup_buf struct buf token = BUF_INIT(LIMIT_TOKEN);
	struct jws_signer s = { .alg = "ES256", .sign = sign_fails };

	(void)state;
	assert_int_equal(jws_sign(&s, "dpop+jwt", NULL, claims, &token).code, E_LOCAL_TPM);
	assert_int_equal(token.n, 0);
}

static struct err life(struct bytes wrong)
{
	cleanup_json json_t *claims = NULL, *jwk = NULL;
	cleanup_buf struct buf token = BUF_INIT(LIMIT_TOKEN);
	struct jws_signer s = { .alg = "ES256", .kid = "k", .sign = sign_raw, .ctx = p256 };
	cleanup_jws struct jws j = { 0 }, bad = { 0 };
	cleanup_key struct key *k = NULL;
	struct err e;

	if (failed(e = json_new_object(&claims)) || failed(e = json_put_str(claims, "sub", "x")) ||
	    failed(e = jwk_from_key(p256, &jwk)) || failed(e = jws_sign(&s, "dpop+jwt", jwk, claims, &token)) ||
	    failed(e = jws_parse(buf_bytes(&token), &j, NULL)) ||
	    failed(e = jws_verify_embedded(&j, "dpop+jwt", &k, NULL)) || failed(e = jws_parse(wrong, &bad, NULL)))
		return e;
	e = jws_verify(&bad, p256, "at+jwt", NULL);
	return e.code == E_AUTH_SIGNATURE ? ERR(E_OK) : failed(e) ? e : ERR(E_BUG);
}

/* Every failing allocation is an error of ours, and a wrong signature never becomes a right one. */
static void test_memory(void **state)
{
	cleanup_key struct key *other = NULL;
	cleanup_buf struct buf wrong = BUF_INIT(LIMIT_TOKEN);
	long n;

	(void)state;
	assert_int_equal(key_generate(KEY_EC_P256, &other).code, E_OK);
	sign_token(other, NULL, &wrong);
	assert_int_equal(life(buf_bytes(&wrong)).code, E_OK);
	fault_begin(-1);
	assert_int_equal(life(buf_bytes(&wrong)).code, E_OK);
	n = fault_end();
	assert_true(n > 100);
	for (long k = 0; k < n; k++) {
		struct err e;

		fault_begin(k);
		e = life(buf_bytes(&wrong));
		(void)fault_end();
		if (e.code != E_OK && e.code != E_LOCAL_MEMORY && e.code != E_LOCAL_CRYPTO)
			fail_msg("allocation %ld of %ld: %s", k, n, err_name(e));
	}
}

static int set_up(void **state)
{
	(void)state;
	return failed(key_generate(KEY_EC_P256, &p256)) || failed(key_generate(KEY_EC_P384, &p384)) ||
	       failed(key_generate(KEY_RSA, &rsa)) || failed(key_generate(KEY_ED25519, &ed25519));
}

static int tear_down(void **state)
{
	(void)state;
	key_free(p256);
	key_free(p384);
	key_free(rsa);
	key_free(ed25519);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sign_and_verify),
		cmocka_unit_test(test_sign_refused),
		cmocka_unit_test(test_other_key),
		cmocka_unit_test(test_every_character),
		cmocka_unit_test(test_headers),
		cmocka_unit_test(test_unsigned_kid),
		cmocka_unit_test(test_rsa_algorithms),
		cmocka_unit_test(test_hmac_with_public_key),
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_degenerate_signatures),
		cmocka_unit_test(test_embedded),
		cmocka_unit_test(test_embedded_refused),
		cmocka_unit_test(test_signer_fails),
		cmocka_unit_test(test_memory),
	};

	fault_init();
	return cmocka_run_group_tests_name("jose", tests, set_up, tear_down);
}
