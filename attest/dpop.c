/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/dpop.h"

#include <string.h>

#include "attest/instance_key.h"
#include "base/file.h"
#include "base/jose.h"

#define JTI_BYTES 16

static struct err claims_of(const struct dpop *d, json_t **ret)
{
	cleanup_json json_t *c = NULL;
	uint8_t jti[JTI_BYTES], ath[32];
	struct err e;

	if (failed(e = random_bytes(jti, sizeof(jti))) || failed(e = json_new_object(&c)) ||
	    failed(e = json_put_b64url(c, "jti", BYTES_ARR(jti))) || failed(e = json_put_str(c, "htm", d->method)) ||
	    failed(e = json_put_text(c, "htu", BYTES(d->url, strcspn(d->url, "?#")))) ||
	    failed(e = json_put_int(c, "iat", clock_now_s())))
		return e;
	if (d->nonce != NULL && failed(e = json_put_str(c, "nonce", d->nonce)))
		return e;
	if (d->token != NULL &&
	    (failed(e = sha256(bytes_str(d->token), ath)) || failed(e = json_put_b64url(c, "ath", BYTES_ARR(ath)))))
		return e;
	*ret = take_ptr(&c);
	return ERR(E_OK);
}

static struct err jwk_of(const struct wkey_blob *blob, json_t **ret)
{
	cleanup_key struct key *key = NULL;
	struct err e = instance_key_public(blob, &key);

	return failed(e) ? e : jwk_from_key(key, ret);
}

/* What is signed in a visit. */
struct proof {
	const json_t *jwk, *claims;
	struct buf *to;
};

static struct err sign(void *ctx, struct bytes data, struct buf *ret)
{
	const struct instance_key *k = ctx;

	return instance_key_sign(k, data, ret);
}

static struct err sign_proof(void *ctx, const struct instance_key *k)
{
	struct instance_key copy = *k;
	const struct jws_signer signer = { .alg = "ES256", .sign = sign, .ctx = &copy };
	const struct proof *p = ctx;

	return jws_sign(&signer, "dpop+jwt", p->jwk, p->claims, p->to);
}

struct err dpop_proof(struct host *h, const struct dpop *d, struct buf *ret)
{
	cleanup_wkey_blob struct wkey_blob blob = WKEY_BLOB_INIT;
	cleanup_json json_t *claims = NULL, *jwk = NULL;
	struct proof p = { .to = ret };
	struct err e;

	if (failed(e = instance_key_read(h, d->instance, &blob)) || failed(e = claims_of(d, &claims)) ||
	    failed(e = jwk_of(&blob, &jwk)))
		return e;
	p.jwk = jwk;
	p.claims = claims;
	return instance_key_visit(h, &blob, sign_proof, &p);
}
