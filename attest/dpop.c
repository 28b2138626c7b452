/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/dpop.h"

#include <string.h>

#include "attest/tpm_session.h"
#include "base/file.h"
#include "base/jose.h"
#include "base/text.h"

#define JTI_BYTES 16
#define NAMED_MAX 4 /* instances that a refusal names */

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
	cleanup_tpm_handle struct tpm_handle session = TPM_HANDLE_NONE, primary = TPM_HANDLE_NONE, key = TPM_HANDLE_NONE;
	cleanup_buf struct buf parent = BUF_INIT(LIMIT_TPM2B);
	struct tpm_name parent_name;
	struct signing s = { &key, &session };
	const struct jws_signer signer = { .alg = "ES256", .sign = sign, .ctx = &s };
	struct err e;

	if (failed(e = visit_begin(h, &v)) || failed(e = session_hmac(v.tpm, NULL, &session)) ||
	    failed(e = boot_null_primary(v.tpm, &primary, &parent, &parent_name)) ||
	    failed(e = wkey_load(&primary, blob, &key)))
		return e;
	tpm_handle_done(&primary);
	return jws_sign(&signer, "dpop+jwt", jwk, claims, ret);
}

/* Names of some instances, for people. */
struct named {
	size_t n;
	char text[NAMED_MAX * (INSTANCE_HEX_LEN + 2) + 1];
};

static void name_instance(void *ctx, const uint8_t id[INSTANCE_ID_LEN])
{
	struct named *x = ctx;
	char hex[INSTANCE_HEX_LEN + 1];
	size_t used = strlen(x->text);

	instance_id_format(id, hex);
	if (x->n++ < NAMED_MAX)
		(void)snprintf(x->text + used, sizeof(x->text) - used, "%s%s", used == 0 ? "" : ", ", hex);
}

/* Whoever asks has mistaken the id, or the instance has ended: a "no", and what there is instead. */
static struct err no_such_instance(struct host *h, const uint8_t id[INSTANCE_ID_LEN])
{
	char hex[INSTANCE_HEX_LEN + 1];
	struct named there = { 0 };
	struct err e;

	instance_id_format(id, hex);
	if (failed(e = instance_each(h->state_fd, name_instance, &there)))
		return e;
	if (there.n == 0)
		reason_set(&h->why, "there is no instance %s on this host, and no other (assay-attest status lists them)", hex);
	else
		reason_set(&h->why, "there is no instance %s on this host, but %s%s (assay-attest status lists them)", hex,
			   there.text, there.n > NAMED_MAX ? " and others" : "");
	return ERR(E_AUTH_UNKNOWN);
}

struct err dpop_proof(struct host *h, const struct dpop *d, struct buf *ret)
{
	cleanup_wkey_blob struct wkey_blob blob = WKEY_BLOB_INIT;
	cleanup_json json_t *claims = NULL, *jwk = NULL;
	cleanup_instance struct instance i = { 0 };
	struct err e;

	e = instance_read(h->state_fd, d->instance, &i, &blob, &h->why);
	if (e.code == E_LOCAL_NOT_FOUND)
		return no_such_instance(h, d->instance);
	if (failed(e) || failed(e = claims_of(d, &claims)) || failed(e = jwk_of(&blob, &jwk)))
		return e;
	return sign_in_tpm(h, &blob, jwk, claims, ret);
}
