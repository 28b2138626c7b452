/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/dpop.h"

#include <string.h>

#include "base/file.h"
#include "base/jose.h"
#include "base/text.h"

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

/* What the signature callback needs. */
struct signing {
	const struct tpm_handle *key, *session;
};

static struct err sign(void *ctx, struct bytes data, struct buf *ret)
{
	const struct signing *s = ctx;

	return wkey_sign(s->key, s->session, data, ret);
}

static struct err jwk_of(const struct wkey_blob *blob, json_t **ret)
{
	cleanup_key struct key *key = NULL;
	struct tpm_public p;
	struct err e;

	if (failed(e = tpm_public_parse(buf_bytes(&blob->public_area), &p)) || failed(e = tpm_public_key(&p, &key)))
		return e;
	return jwk_from_key(key, ret);
}

static struct err sign_in_tpm(struct host *h, const struct wkey_blob *blob, const json_t *jwk, const json_t *claims,
			      struct buf *ret)
{
	cleanup_visit struct visit v = VISIT_INIT;
	cleanup_tpm_handle struct tpm_handle session = TPM_HANDLE_NONE, key = TPM_HANDLE_NONE;
	struct signing s = { &key, &session };
	const struct jws_signer signer = { .alg = "ES256", .sign = sign, .ctx = &s };
	struct err e;

	if (failed(e = visit_begin(h, &v)) || failed(e = visit_session(&v, &session)) ||
	    failed(e = wkey_load(v.tpm, blob, &key)))
		return e;
	return jws_sign(&signer, "dpop+jwt", jwk, claims, ret);
}

struct err dpop_proof(struct host *h, const struct dpop *d, struct buf *ret)
{
	cleanup_wkey_blob struct wkey_blob blob = WKEY_BLOB_INIT;
	cleanup_json json_t *claims = NULL, *jwk = NULL;
	cleanup_instance struct instance i = { 0 };
	struct err e;

	e = instance_read(h->state_fd, d->instance, &i, &blob, &h->why);
	if (e.code == E_LOCAL_NOT_FOUND)
		reason_set(&h->why, "there is no such instance on this host (see assay-attest status)");
	if (failed(e) || failed(e = claims_of(d, &claims)) || failed(e = jwk_of(&blob, &jwk)))
		return e;
	return sign_in_tpm(h, &blob, jwk, claims, ret);
}
