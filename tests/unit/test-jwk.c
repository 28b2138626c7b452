/* SPDX-License-Identifier: Apache-2.0 */
/* JWK, thumbprints, and the vectors of the RFCs. */
#include "base/jose.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "base/text.h"

static struct key *p256, *p384, *rsa, *ed25519;

static json_t *parse(const char *text)
{
	json_t *j = NULL;

	assert_int_equal(json_parse(bytes_str(text), LIMIT_SMALL, &j, NULL).code, E_OK);
	return j;
}

#define RFC7515_A2_N                                                                                                   \
	"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-"       \
	"SFd2lZS-"                                                                                                     \
	"pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-"              \
	"UTo7WTBEMa2R2Ca"                                                                                              \
	"pHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_"                                 \
	"h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb5"                                                                           \
	"4h4FRWyuXpoQ"
#define JOE ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ."
#define RFC7515_A2                                                                                                     \
	"eyJhbGciOiJSUzI1NiJ9" JOE                                                                                     \
	"cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CU" \
	"Ar7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_"  \
	"dO"                                                                                                           \
	"--xi12jzDwusC-"                                                                                               \
	"eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN"              \
	"_IoypGlUPQGe77Rw"
#define RFC7515_A3                                                                                                     \
	"eyJhbGciOiJFUzI1NiJ9" JOE                                                                                     \
	"DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6"                           \
	"NU1Q"
#define RFC8037_A4                                                                                                     \
	"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-"                        \
	"09PGcvMg3AIbQR6dWbhijcNR"                                                                                     \
	"4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"

static const struct {
	const char *name, *jwk, *token;
	enum sig_scheme scheme;
} vectors[] = {
	{ "RFC 7515 A.2", "{\"kty\":\"RSA\",\"n\":\"" RFC7515_A2_N "\",\"e\":\"AQAB\"}", RFC7515_A2, SIG_RSASSA },
	{ "RFC 7515 A.3",
	  "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
	  "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}",
	  RFC7515_A3, SIG_ECDSA },
	{ "RFC 8037 A.4", "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}",
	  RFC8037_A4, SIG_ED25519 },
};

/* Their headers have no typ and one payload is no JSON, so the signatures are checked below jws_verify(). */
static void test_rfc_signatures(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(vectors); i++) {
		cleanup_json json_t *jwk = parse(vectors[i].jwk);
		cleanup_key struct key *k = NULL;
		cleanup_buf struct buf sig = BUF_INIT(512);
		const char *dot = strrchr(vectors[i].token, '.');
		struct bytes input = BYTES(vectors[i].token, (size_t)(dot - vectors[i].token));

		assert_int_equal(jwk_to_key(jwk, &k, NULL).code, E_OK);
		assert_int_equal(b64url_decode(bytes_str(dot + 1), &sig).code, E_OK);
		assert_int_equal(key_verify(k, vectors[i].scheme, DIGEST_SHA256, input, buf_bytes(&sig)).code, E_OK);
	}
}

static void test_rfc_tokens_lack_typ(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		cleanup_json json_t *jwk = parse(vectors[i].jwk);
		cleanup_key struct key *k = NULL;
		cleanup_jws struct jws j = { 0 };
		struct reason why = { "" };

		assert_int_equal(jwk_to_key(jwk, &k, NULL).code, E_OK);
		assert_int_equal(jws_parse(bytes_str(vectors[i].token), &j, &why).code, E_OK);
		assert_int_equal(json_integer_value(json_object_get(j.unsigned_claims, "exp")), 1300819380);
		assert_int_equal(jws_verify(&j, k, "JWT", &why).code, E_PEER_MISSING);
		assert_string_equal(why.text, "header.typ: missing");
	}
}

static const struct {
	const char *name, *jwk, *want;
} thumbprints[] = {
	{ "RFC 7638, 3.1",
	  "{\"kty\":\"RSA\",\"n\":"
	  "\"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tS"
	  "oc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_"
	  "FDW2QvzqY368QQMicA"
	  "taSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_"
	  "xB"
	  "niIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw\",\"e\":\"AQAB\",\"alg\":\"RS256\",\"kid\":\"2011-04-29\"}",
	  "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs" },
	{ "RFC 8037, A.3",
	  "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}",
	  "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k" },
	{ "RFC 9449, 6.1",
	  "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs\","
	  "\"y\":\"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA\"}",
	  "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" },
};

static void test_thumbprints(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(thumbprints); i++) {
		cleanup_json json_t *jwk = parse(thumbprints[i].jwk);
		cleanup_key struct key *k = NULL;
		char jkt[JKT_LEN + 1];

		assert_int_equal(jwk_to_key(jwk, &k, NULL).code, E_OK);
		assert_int_equal(jwk_thumbprint(k, jkt).code, E_OK);
		assert_string_equal(jkt, thumbprints[i].want);
	}
}

/* RFC 9449, 4: the example proof, made for the key of the last vector. */
#define RFC9449_PROOF                                                                                                  \
	"eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0Rs" \
	"cEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2" \
	"I"                                                                                                            \
	"n19."                                                                                                         \
	"eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuI"    \
	"iwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-"                 \
	"FNyJK70nfbV37xRZT"                                                                                            \
	"3Lg"

static void test_rfc9449_proof(void **state)
{
	cleanup_jws struct jws j = { 0 };
	cleanup_key struct key *k = NULL;
	struct reason why = { "" };
	char jkt[JKT_LEN + 1];

	(void)state;
	assert_int_equal(jws_parse(bytes_str(RFC9449_PROOF), &j, &why).code, E_OK);
	assert_int_equal(jws_verify_embedded(&j, "dpop+jwt", &k, &why).code, E_OK);
	assert_int_equal(jwk_thumbprint(k, jkt).code, E_OK);
	assert_string_equal(jkt, thumbprints[2].want);
	assert_string_equal(json_string_value(json_object_get(j.unsigned_claims, "htm")), "POST");
	assert_null(jws_unsigned_kid(&j));
	/* Outside DPoP the same header is refused, even by the right key. */
	assert_int_equal(jws_verify(&j, k, "dpop+jwt", &why).code, E_PEER_UNSUPPORTED);
	assert_string_equal(why.text, "JWS: header member \"jwk\" is refused");
}

/* ---- JWK ---- */

#define EC_X "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\""
#define EC_Y "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\""
#define EC_HEAD "{\"kty\":\"EC\",\"crv\":\"P-256\","
#define OKP_X "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\""

static const struct {
	const char *jwk;
	enum err_code want;
} jwk_cases[] = {
	{ EC_HEAD EC_X "," EC_Y "}", E_OK },
	{ EC_HEAD EC_X "," EC_Y ",\"kid\":\"x\",\"extra\":1}", E_OK },
	{ EC_HEAD EC_X "," EC_Y ",\"use\":\"sig\",\"alg\":\"ES256\",\"key_ops\":[\"verify\"]}", E_OK },
	{ EC_HEAD EC_X "," EC_Y ",\"use\":\"enc\"}", E_PEER_UNSUPPORTED },
	{ EC_HEAD EC_X "," EC_Y ",\"use\":1}", E_PEER_TYPE },
	{ EC_HEAD EC_X "," EC_Y ",\"alg\":\"ES384\"}", E_PEER_UNSUPPORTED },
	{ EC_HEAD EC_X "," EC_Y ",\"alg\":\"none\"}", E_PEER_UNSUPPORTED },
	{ EC_HEAD EC_X "," EC_Y ",\"key_ops\":[\"sign\"]}", E_PEER_UNSUPPORTED },
	{ EC_HEAD EC_X "," EC_Y ",\"key_ops\":\"verify\"}", E_PEER_TYPE },
	{ EC_HEAD EC_X "," EC_Y ",\"d\":\"AA\"}", E_PEER_UNSUPPORTED },
	{ EC_HEAD EC_X "," EC_Y ",\"d\":null}", E_PEER_UNSUPPORTED },
	{ EC_HEAD EC_X "," EC_Y ",\"k\":\"AA\"}", E_PEER_UNSUPPORTED },
	{ EC_HEAD EC_X "," EC_Y ",\"p\":\"AA\"}", E_PEER_UNSUPPORTED },
	{ EC_HEAD EC_X "," EC_Y ",\"q\":\"AA\"}", E_PEER_UNSUPPORTED },
	{ EC_HEAD EC_X "," EC_Y ",\"dp\":\"AA\"}", E_PEER_UNSUPPORTED },
	{ EC_HEAD EC_X "," EC_Y ",\"dq\":\"AA\"}", E_PEER_UNSUPPORTED },
	{ EC_HEAD EC_X "," EC_Y ",\"qi\":\"AA\"}", E_PEER_UNSUPPORTED },
	{ EC_HEAD EC_X "," EC_Y ",\"oth\":[]}", E_PEER_UNSUPPORTED },
	{ EC_HEAD EC_X "}", E_PEER_MISSING },
	{ EC_HEAD EC_Y "}", E_PEER_MISSING },
	{ "{\"kty\":\"EC\"," EC_X "," EC_Y "}", E_PEER_MISSING },
	{ "{\"crv\":\"P-256\"," EC_X "," EC_Y "}", E_PEER_MISSING },
	{ "{\"kty\":\"ec\",\"crv\":\"P-256\"," EC_X "," EC_Y "}", E_PEER_UNSUPPORTED },
	{ "{\"kty\":\"OKP\",\"crv\":\"P-256\"," EC_X "," EC_Y "}", E_PEER_UNSUPPORTED },
	{ "{\"kty\":\"EC\",\"crv\":\"secp256k1\"," EC_X "," EC_Y "}", E_PEER_UNSUPPORTED },
	{ "{\"kty\":\"EC\",\"crv\":\"P-384\"," EC_X "," EC_Y "}", E_PEER_RANGE },
	{ "{\"kty\":\"oct\",\"crv\":\"P-256\"," EC_X "}", E_PEER_UNSUPPORTED },
	{ "{\"kty\":1,\"crv\":\"P-256\"," EC_X "," EC_Y "}", E_PEER_TYPE },
	/* off the curve */
	{ EC_HEAD EC_X ",\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a1\"}", E_PEER_NOT_CANONICAL },
	{ EC_HEAD EC_X ",\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a4\"}", E_PEER_RANGE },
	{ EC_HEAD EC_X ",\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5aw\"}", E_PEER_RANGE },
	{ EC_HEAD
	  "\"x\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\",\"y\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	  "AAAA\"}",
	  E_PEER_RANGE },
	/* 31 and 33 bytes */
	{ EC_HEAD "\"x\":\"g83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVA\"," EC_Y "}", E_PEER_RANGE },
	{ EC_HEAD "\"x\":\"AH_NzidwfsRdQYPL7m_bS3tYBzM1e-nvE7rPbjx70VRF\"," EC_Y "}", E_PEER_RANGE },
	{ EC_HEAD "\"x\":\"\"," EC_Y "}", E_PEER_RANGE },
	{ EC_HEAD "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU=\"," EC_Y "}", E_PEER_SYNTAX },
	{ EC_HEAD "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVE+\"," EC_Y "}", E_PEER_SYNTAX },
	{ EC_HEAD "\"x\":7," EC_Y "}", E_PEER_TYPE },
	{ "{\"kty\":\"OKP\",\"crv\":\"Ed25519\"," OKP_X "}", E_OK },
	{ "{\"kty\":\"OKP\",\"crv\":\"Ed25519\"," OKP_X ",\"alg\":\"EdDSA\"}", E_OK },
	{ "{\"kty\":\"OKP\",\"crv\":\"X25519\"," OKP_X "}", E_PEER_UNSUPPORTED },
	{ "{\"kty\":\"EC\",\"crv\":\"Ed25519\"," OKP_X "}", E_PEER_UNSUPPORTED },
	{ "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}", E_PEER_RANGE },
	{ "{\"kty\":\"RSA\",\"n\":\"" RFC7515_A2_N "\",\"e\":\"AQAB\"}", E_OK },
	{ "{\"kty\":\"RSA\",\"n\":\"" RFC7515_A2_N "\",\"e\":\"AQAB\",\"alg\":\"RS512\"}", E_PEER_UNSUPPORTED },
	{ "{\"kty\":\"RSA\",\"n\":\"" RFC7515_A2_N "\",\"e\":\"AQAB\",\"d\":\"AA\"}", E_PEER_UNSUPPORTED },
	{ "{\"kty\":\"RSA\",\"n\":\"" RFC7515_A2_N "\",\"e\":\"Aw\"}", E_PEER_RANGE },
	{ "{\"kty\":\"RSA\",\"n\":\"" RFC7515_A2_N "\",\"e\":\"AAEAAQ\"}", E_PEER_RANGE },
	{ "{\"kty\":\"RSA\",\"n\":\"" RFC7515_A2_N "\"}", E_PEER_MISSING },
	{ "{\"kty\":\"RSA\",\"n\":\"AKH4Fgri48m0Zc6NLWViYzYrkn2-KeHwJHf8FiXMkKE\",\"e\":\"AQAB\"}", E_PEER_RANGE },
	{ "{\"kty\":\"RSA\",\"e\":\"AQAB\"}", E_PEER_MISSING },
	{ "[]", E_PEER_TYPE },
	{ "null", E_PEER_TYPE },
	{ "{}", E_PEER_MISSING },
};

static void test_jwk(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(jwk_cases); i++) {
		cleanup_json json_t *jwk = parse(jwk_cases[i].jwk);
		cleanup_key struct key *k = NULL;
		struct reason why = { "" };
		struct err e = jwk_to_key(jwk, &k, &why);

		if (e.code != jwk_cases[i].want || (k != NULL) != (e.code == E_OK))
			fail_msg("%s: %s (%s)", jwk_cases[i].jwk, err_name(e), why.text);
		assert_true((why.text[0] != '\0') == failed(e));
	}
}

/* RFC 7518, 6.2.1.2: the zero in front belongs to the coordinate, although the number is the same without it. */
static void test_jwk_short_coordinate(void **state)
{
	(void)state;
	for (size_t i = 0; i < 20000; i++) {
		cleanup_key struct key *k = NULL, *back = NULL;
		cleanup_buf struct buf x = BUF_INIT(32), y = BUF_INIT(32);
		cleanup_json json_t *jwk = NULL;

		assert_int_equal(key_generate(KEY_EC_P256, &k).code, E_OK);
		assert_int_equal(key_numbers(k, &x, &y).code, E_OK);
		if (x.p[0] != 0)
			continue;
		assert_int_equal(jwk_from_key(k, &jwk).code, E_OK);
		assert_int_equal(jwk_to_key(jwk, &back, NULL).code, E_OK);
		key_free(take_ptr(&back));
		assert_int_equal(json_put_b64url(jwk, "x", BYTES(x.p + 1, 31)).code, E_OK);
		assert_int_equal(jwk_to_key(jwk, &back, NULL).code, E_PEER_RANGE);
		return;
	}
	fail_msg("no key with a leading zero in 20000");
}

static void test_jwk_round_trip(void **state)
{
	const struct key *const keys[] = { p256, p384, rsa, ed25519 };

	(void)state;
	for (size_t i = 0; i < array_len(keys); i++) {
		cleanup_json json_t *jwk = NULL;
		cleanup_key struct key *back = NULL;

		assert_int_equal(jwk_from_key(keys[i], &jwk).code, E_OK);
		assert_null(json_object_get(jwk, "d"));
		assert_int_equal(json_object_size(jwk), keys[i] == p256 || keys[i] == p384 ? 4 : 3);
		assert_int_equal(jwk_to_key(jwk, &back, NULL).code, E_OK);
		assert_true(key_equal(back, keys[i]));
	}
	assert_string_equal(jws_alg_for(p256), "ES256");
	assert_string_equal(jws_alg_for(rsa), "RS256");
	assert_string_equal(jws_alg_for(ed25519), "EdDSA");
	assert_null(jws_alg_for(p384));
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
		cmocka_unit_test(test_rfc_signatures),
		cmocka_unit_test(test_rfc_tokens_lack_typ),
		cmocka_unit_test(test_thumbprints),
		cmocka_unit_test(test_rfc9449_proof),
		cmocka_unit_test(test_jwk),
		cmocka_unit_test(test_jwk_short_coordinate),
		cmocka_unit_test(test_jwk_round_trip),
	};

	return cmocka_run_group_tests_name("jwk", tests, set_up, tear_down);
}
