/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What comes from the web: 'f' a form of POST /v1/token, 'u' an URI, 'd' the
 * claims of a DPoP proof, signed correctly so that only its rules decide.
 */
#include <string.h>

#include "base/limits.h"
#include "base/text.h"
#include "tests/fuzz/fuzz.h"
#include "verifier/issue/dpop.h"
#include "verifier/issue/token.h"

#define NOW 1800000000
#define URL "https://issuer.example/v1/token"

static struct key *own;

static struct err sign(void *ctx, struct bytes data, struct buf *ret)
{
	return key_sign(ctx, SIG_ECDSA, DIGEST_SHA256, data, ret);
}

static void check_form(struct bytes in)
{
	cleanup_token_request struct token_request r = { 0 };
	struct oauth_error why = { 0 };

	if (failed(token_request_parse(in, &r, &why))) {
		fuzz_must(why.status == 400 && why.code[0] != '\0');
		fuzz_must(r.scope == NULL && r.resource == NULL && r.task_id == NULL);
		return;
	}
	fuzz_must(r.expected_s > 0 && r.expected_s <= 86400);
	fuzz_must(id_valid(bytes_str(r.task_id)) && strlen(r.scope) > 0 && strlen(r.resource) > 0);
}

/* Normal is normal: once more changes nothing, and nothing of query, fragment or user is left. */
static void check_uri(struct bytes in)
{
	cleanup_buf struct buf once = BUF_INIT(2 * LIMIT_PATH), twice = BUF_INIT(2 * LIMIT_PATH);
	size_t n;

	if (failed(uri_normalise(in, &once))) {
		fuzz_must(once.n == 0);
		return;
	}
	fuzz_must(!failed(uri_normalise(buf_bytes(&once), &twice)));
	fuzz_must(bytes_eq(buf_bytes(&once), buf_bytes(&twice)));
	fuzz_must(memchr(once.p, '?', once.n) == NULL && memchr(once.p, '#', once.n) == NULL);
	/* The path begins behind the authority, which may well be a lone dot. */
	const uint8_t *path = memchr(once.p + 8, '/', once.n - 8);

	fuzz_must(path != NULL);
	n = once.n - (size_t)(path - once.p);
	fuzz_must(memmem(path, n, "/../", 4) == NULL && memmem(path, n, "/./", 3) == NULL);
}

static void check_proof(struct bytes in)
{
	const struct jws_signer s = { .alg = "ES256", .sign = sign, .ctx = own };
	const struct dpop_want want = { .htm = "POST", .htu = URL, .now_s = NOW };
	cleanup_buf struct buf token = BUF_INIT(LIMIT_TOKEN);
	cleanup_json json_t *claims = NULL, *jwk = NULL;
	struct dpop_proof p;

	if (failed(json_parse(in, LIMIT_TOKEN, &claims, NULL)) || !json_is_object(claims))
		return;
	fuzz_must(!failed(jwk_from_key(own, &jwk)));
	if (failed(jws_sign(&s, DPOP_TYPE, jwk, claims, &token)) ||
	    failed(dpop_verify(buf_bytes(&token), &want, &p, NULL)))
		return;
	json_int_t iat = json_integer_value(json_object_get(claims, "iat"));

	fuzz_must(strcmp(json_string_value(json_object_get(claims, "htm")), "POST") == 0);
	fuzz_must(iat >= NOW - DPOP_WINDOW_S && iat <= NOW + DPOP_WINDOW_S);
	fuzz_must(strlen(json_string_value(json_object_get(claims, "jti"))) >= 16);
	fuzz_must(p.expires_s > NOW && strlen(p.jkt) == JKT_LEN);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (own == NULL)
		fuzz_must(!failed(key_generate(KEY_EC_P256, &own)));
	if (n == 0)
		return 0;
	if (data[0] == 'f')
		check_form(BYTES(data + 1, n - 1));
	else if (data[0] == 'u')
		check_uri(BYTES(data + 1, n - 1));
	else if (data[0] == 'd')
		check_proof(BYTES(data + 1, n - 1));
	return 0;
}
