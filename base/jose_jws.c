/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <strings.h>

#include "base/jose.h"
#include "base/jsonw.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"

#define KID_MAX 256
#define ALG_MAX 16
#define TYP_MAX 128
#define SIGNATURE_MAX (LIMIT_RSA_BITS / 8)

/*
 * Header members that name or bring a key, or change how the rest is read
 * (RFC 7515, 4.1; RFC 7797). `b64` counts without `crit` too: a reader that
 * obeyed it would see other claims than we do.
 */
static const char *const refused_members[] = { "crit", "b64", "jku", "x5u", "x5c", "x5t", "x5t#S256" };

static struct err refuse(struct reason *reterr, enum err_code code, const char *what)
{
	reason_set(reterr, "JWS: %s", what);
	return ERR(code);
}

static struct err put_header(const struct jws_signer *s, const char *typ, const json_t *jwk, struct buf *ret)
{
	cleanup_json json_t *header = NULL;
	struct err e;

	if (failed(e = json_new_object(&header)) || failed(e = json_put_str(header, "alg", s->alg)) ||
	    failed(e = json_put_str(header, "typ", typ)))
		return e;
	if (s->kid != NULL && failed(e = json_put_str(header, "kid", s->kid)))
		return e;
	if (jwk != NULL && failed(e = json_put(header, "jwk", json_deep_copy(jwk))))
		return e;
	return json_write(header, ret);
}

static struct err sign_parts(const struct jws_signer *s, struct bytes header, struct bytes payload, struct buf *ret)
{
	cleanup_buf struct buf token = BUF_INIT(LIMIT_TOKEN), sig = BUF_INIT(SIGNATURE_MAX);
	struct err e;

	if (payload.n > LIMIT_TOKEN)
		return ERR(E_LIMIT_SIZE);
	if (failed(e = b64url_encode(header, &token)) || failed(e = buf_add_u8(&token, '.')) ||
	    failed(e = b64url_encode(payload, &token)))
		return e;
	if (failed(e = s->sign(s->ctx, buf_bytes(&token), &sig)) || failed(e = buf_add_u8(&token, '.')) ||
	    failed(e = b64url_encode(buf_bytes(&sig), &token)))
		return e;
	return buf_add(ret, buf_bytes(&token));
}

struct err jws_sign(const struct jws_signer *s, const char *typ, const json_t *jwk, const json_t *claims,
		    struct buf *ret)
{
	cleanup_buf struct buf header = BUF_INIT(LIMIT_TOKEN), payload = BUF_INIT(LIMIT_TOKEN);
	struct err e;

	if (failed(e = put_header(s, typ, jwk, &header)) || failed(e = json_write(claims, &payload)))
		return e;
	return sign_parts(s, buf_bytes(&header), buf_bytes(&payload), ret);
}

/* RFC 7518, 3.3 and 3.4; RFC 8037, 3.1. */
static enum sig_scheme scheme_for(const struct key *k)
{
	if (key_kind(k) == KEY_RSA)
		return SIG_RSASSA;
	return key_kind(k) == KEY_ED25519 ? SIG_ED25519 : SIG_ECDSA;
}

static struct err sign_with_key(void *ctx, struct bytes data, struct buf *ret)
{
	const struct key *const *k = ctx;

	return key_sign(*k, scheme_for(*k), DIGEST_SHA256, data, ret);
}

struct err jws_sign_key(const struct key *k, const char *kid, const char *typ, struct bytes claims, struct buf *ret)
{
	const struct jws_signer s = { .alg = jws_alg_for(k), .kid = kid, .sign = sign_with_key, .ctx = &k };
	cleanup_buf struct buf header = BUF_INIT(LIMIT_TOKEN);
	struct jsonw w;
	struct err e;

	if (s.alg == NULL)
		return ERR(E_PEER_UNSUPPORTED);
	jsonw_begin(&w, &header);
	jsonw_str(&w, "alg", s.alg);
	if (kid != NULL)
		jsonw_str(&w, "kid", kid);
	jsonw_str(&w, "typ", typ);
	if (failed(e = jsonw_end(&w)))
		return e;
	return sign_parts(&s, buf_bytes(&header), claims, ret);
}

void jws_done(struct jws *j)
{
	json_decref(j->unsigned_header);
	json_decref(j->unsigned_claims);
	buf_free(&j->signature);
	*j = (struct jws){ 0 };
}

/* Up to the next dot, which is skipped; where there is none, E_PEER_SYNTAX. */
static struct err next_part(struct bytes *rest, struct bytes *ret)
{
	const uint8_t *dot = rest->n == 0 ? NULL : memchr(rest->p, '.', rest->n);
	size_t n;
	struct err e;

	if (dot == NULL)
		return ERR(E_PEER_SYNTAX);
	n = (size_t)(dot - rest->p);
	if (failed(e = bytes_sub(*rest, 0, n, ret)))
		return e;
	return bytes_sub(*rest, n + 1, rest->n - n - 1, rest);
}

static struct err parse_object(struct bytes part, json_t **ret, struct reason *reterr)
{
	cleanup_buf struct buf text = BUF_INIT(LIMIT_TOKEN);
	cleanup_json json_t *j = NULL;
	struct err e;

	if (failed(e = b64url_decode(part, &text)))
		return refuse(reterr, e.code, "a part is not base64url without padding");
	if (failed(e = json_parse(buf_bytes(&text), LIMIT_TOKEN, &j, reterr)))
		return e;
	if (!json_is_object(j))
		return refuse(reterr, E_PEER_TYPE, "header and payload must be JSON objects");
	*ret = take_ptr(&j);
	return ERR(E_OK);
}

struct err jws_parse(struct bytes token, struct jws *ret, struct reason *reterr)
{
	cleanup_jws struct jws j = { .signature = BUF_INIT(SIGNATURE_MAX) };
	struct bytes rest = token, header = BYTES_NONE, payload = BYTES_NONE;
	struct err e;

	if (token.n > LIMIT_TOKEN)
		return refuse(reterr, E_LIMIT_SIZE, "token too large");
	if (failed(e = next_part(&rest, &header)) || failed(e = next_part(&rest, &payload)))
		return refuse(reterr, e.code, "three parts with dots between are expected");
	/* A detached payload (RFC 7515, appendix F) and an unsecured JWS (appendix A.5) leave a part empty. */
	if (header.n == 0 || payload.n == 0 || rest.n == 0)
		return refuse(reterr, E_PEER_SYNTAX, "a part is empty");
	if (failed(e = bytes_sub(token, 0, header.n + 1 + payload.n, &j.signing_input)))
		return e;
	/* A fourth part makes the signature hold a dot, which base64url refuses. */
	if (failed(e = b64url_decode(rest, &j.signature)))
		return refuse(reterr, e.code, "the signature is not base64url without padding, or too long");
	if (failed(e = parse_object(header, &j.unsigned_header, reterr)) ||
	    failed(e = parse_object(payload, &j.unsigned_claims, reterr)))
		return e;
	*ret = j;
	j = (struct jws){ 0 };
	return ERR(E_OK);
}

/* A `kid` goes into look-ups and logs: text, 1..KID_MAX bytes, without C0 and C1 controls and DEL. */
static bool kid_acceptable(const json_t *kid)
{
	const char *s = json_string_value(kid);
	size_t n = json_string_length(kid);

	if (s == NULL || n == 0 || n > KID_MAX)
		return false;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i], next = (unsigned char)s[i + 1];

		if (c < 0x20 || c == 0x7f || (c == 0xc2 && next < 0xa0))
			return false;
	}
	return true;
}

const char *jws_unsigned_kid(const struct jws *j)
{
	const json_t *kid = json_object_get(j->unsigned_header, "kid");

	return kid_acceptable(kid) ? json_string_value(kid) : NULL;
}

/* RFC 7515, 4.1.9: media type, "application/" left out or not, case does not count. */
static bool typ_is(const char *typ, const char *want)
{
	static const char prefix[] = "application/";

	if (strncasecmp(typ, prefix, sizeof(prefix) - 1) == 0)
		typ += sizeof(prefix) - 1;
	return strcasecmp(typ, want) == 0;
}

/* Everything about the header that does not need the key; alg is what the key record says. */
static struct err check_header(const struct jws *j, const char *alg, const char *typ, struct reason *reterr)
{
	const char *got = NULL;
	struct jobj o;
	struct err e;

	if (failed(e = jobj_init(&o, j->unsigned_header, "header", reterr)))
		return e;
	for (size_t i = 0; i < array_len(refused_members); i++) {
		if (jobj_has(&o, refused_members[i])) {
			reason_set(reterr, "JWS: header member \"%s\" is refused", refused_members[i]);
			return ERR(E_PEER_UNSUPPORTED);
		}
	}
	if (failed(e = jobj_str(&o, "alg", ALG_MAX, &got)))
		return e;
	if (strcmp(got, alg) != 0) {
		reason_set(reterr, "JWS: alg %s where the key demands %s", log_quote(bytes_str(got)), alg);
		return ERR(E_PEER_UNSUPPORTED);
	}
	if (failed(e = jobj_str(&o, "typ", TYP_MAX, &got)))
		return e;
	if (!typ_is(got, typ)) {
		reason_set(reterr, "JWS: typ %s where %s is expected", log_quote(bytes_str(got)), typ);
		return ERR(E_PEER_TYPE);
	}
	if (jobj_has(&o, "kid") && jws_unsigned_kid(j) == NULL)
		return refuse(reterr, E_PEER_RANGE, "kid must be text of 1..256 bytes without control characters");
	return ERR(E_OK);
}

static struct err check_signature(const struct jws *j, const struct key *k, struct reason *reterr)
{
	struct err e = key_verify(k, scheme_for(k), DIGEST_SHA256, j->signing_input, buf_bytes(&j->signature));

	if (failed(e))
		reason_set(reterr, "JWS: signature: %s", err_text(e));
	return e;
}

struct err jws_verify(const struct jws *j, const struct key *k, const char *typ, struct reason *reterr)
{
	const char *alg = jws_alg_for(k);
	struct err e;

	if (alg == NULL)
		return refuse(reterr, E_PEER_UNSUPPORTED, "the key has no JWS algorithm");
	if (failed(e = check_header(j, alg, typ, reterr)))
		return e;
	if (json_object_get(j->unsigned_header, "jwk") != NULL)
		return refuse(reterr, E_PEER_UNSUPPORTED, "header member \"jwk\" is refused");
	return check_signature(j, k, reterr);
}

struct err jws_verify_embedded(const struct jws *j, const char *typ, struct key **ret, struct reason *reterr)
{
	const json_t *jwk = json_object_get(j->unsigned_header, "jwk");
	cleanup_key struct key *k = NULL;
	struct err e;

	/* Form first: a key costs work to make. */
	if (failed(e = check_header(j, "ES256", typ, reterr)))
		return e;
	if (jwk == NULL)
		return refuse(reterr, E_PEER_MISSING, "header without \"jwk\"");
	if (failed(e = jwk_to_key(jwk, &k, reterr)))
		return e;
	if (key_kind(k) != KEY_EC_P256)
		return refuse(reterr, E_PEER_UNSUPPORTED, "the header's key must be on P-256");
	if (failed(e = check_signature(j, k, reterr)))
		return e;
	*ret = take_ptr(&k);
	return ERR(E_OK);
}
