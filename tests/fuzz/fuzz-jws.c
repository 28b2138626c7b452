/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compact JWS and JWK. The first byte says what follows: 't' a token as sent;
 * 'h' a header and, behind a newline, a payload, which are signed correctly,
 * so that only the rules on headers decide; 'k' a JWK.
 */
#include <string.h>

#include "base/jose.h"
#include "base/limits.h"
#include "base/text.h"
#include "tests/fuzz/fuzz.h"

/* Made in this process: nothing in the corpus can be signed by it. */
static struct key *own;

/* base64url has one spelling: what was read is what was sent. */
static void check_parsed(const struct jws *j, struct bytes token)
{
	cleanup_buf struct buf again = BUF_INIT(LIMIT_TOKEN);

	fuzz_must(json_is_object(j->unsigned_header) && json_is_object(j->unsigned_claims));
	fuzz_must(j->signing_input.p == token.p && j->signature.n > 0);
	fuzz_must(!failed(buf_add(&again, j->signing_input)) && !failed(buf_add_u8(&again, '.')));
	fuzz_must(!failed(b64url_encode(buf_bytes(&j->signature), &again)));
	fuzz_must(bytes_eq(buf_bytes(&again), token));
}

static void check_token(struct bytes token)
{
	cleanup_jws struct jws j = { 0 };
	cleanup_key struct key *k = NULL;
	const char *kid;
	char jkt[JKT_LEN + 1];

	if (failed(jws_parse(token, &j, NULL)))
		return;
	check_parsed(&j, token);
	kid = jws_unsigned_kid(&j);
	fuzz_must(kid == NULL || (strlen(kid) > 0 && strlen(kid) <= 256 && strpbrk(kid, "\n\r\t\x1b") == NULL));
	fuzz_must(failed(jws_verify(&j, own, "at+jwt", NULL)));
	if (failed(jws_verify_embedded(&j, "dpop+jwt", &k, NULL)))
		return;
	fuzz_must(key_kind(k) == KEY_EC_P256 && !key_is_private(k));
	fuzz_must(!failed(jwk_thumbprint(k, jkt)) && strlen(jkt) == JKT_LEN);
}

static void check_header(struct bytes in)
{
	static const char *const never[] = { "crit", "b64", "jwk", "jku", "x5u", "x5c", "x5t", "x5t#S256" };
	const uint8_t *newline = in.n == 0 ? NULL : memchr(in.p, '\n', in.n);
	size_t n = newline == NULL ? in.n : (size_t)(newline - in.p);
	cleanup_buf struct buf token = BUF_INIT(LIMIT_TOKEN), sig = BUF_INIT(64);
	struct bytes payload = newline == NULL ? BYTES_LIT("{}") : BYTES(newline + 1, in.n - n - 1);
	cleanup_jws struct jws j = { 0 };
	const char *typ;

	if (failed(b64url_encode(BYTES(in.p, n), &token)) || failed(buf_add_u8(&token, '.')) ||
	    failed(b64url_encode(payload, &token)))
		return;
	fuzz_must(!failed(key_sign(own, SIG_ECDSA, DIGEST_SHA256, buf_bytes(&token), &sig)));
	if (failed(buf_add_u8(&token, '.')) || failed(b64url_encode(buf_bytes(&sig), &token)) ||
	    failed(jws_parse(buf_bytes(&token), &j, NULL)))
		return;
	check_parsed(&j, buf_bytes(&token));
	if (failed(jws_verify(&j, own, "at+jwt", NULL)))
		return;
	for (size_t i = 0; i < array_len(never); i++)
		fuzz_must(json_object_get(j.unsigned_header, never[i]) == NULL);
	fuzz_must(strcmp(json_string_value(json_object_get(j.unsigned_header, "alg")), "ES256") == 0);
	typ = json_string_value(json_object_get(j.unsigned_header, "typ"));
	fuzz_must(strcasecmp(typ, "at+jwt") == 0 || strcasecmp(typ, "application/at+jwt") == 0);
}

static void check_jwk(struct bytes in)
{
	cleanup_json json_t *jwk = NULL, *back = NULL;
	cleanup_key struct key *k = NULL, *again = NULL;
	char a[JKT_LEN + 1], b[JKT_LEN + 1];

	if (failed(json_parse(in, LIMIT_SMALL, &jwk, NULL)) || failed(jwk_to_key(jwk, &k, NULL)))
		return;
	fuzz_must(!key_is_private(k) && json_object_get(jwk, "d") == NULL && json_object_get(jwk, "k") == NULL);
	fuzz_must(!failed(jwk_from_key(k, &back)) && !failed(jwk_to_key(back, &again, NULL)));
	fuzz_must(key_equal(k, again));
	fuzz_must(!failed(jwk_thumbprint(k, a)) && !failed(jwk_thumbprint(again, b)) && strcmp(a, b) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (own == NULL)
		fuzz_must(!failed(key_generate(KEY_EC_P256, &own)));
	if (n == 0)
		return 0;
	if (data[0] == 't')
		check_token(BYTES(data + 1, n - 1));
	else if (data[0] == 'h')
		check_header(BYTES(data + 1, n - 1));
	else if (data[0] == 'k')
		check_jwk(BYTES(data + 1, n - 1));
	return 0;
}
