/* SPDX-License-Identifier: Apache-2.0 */
/* CAs for EK certificates. */
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "verifier/serve/admin.h"

#define MAX_BUNDLE 64
#define PEM_END "-----END CERTIFICATE-----"

static struct err describe(const struct cert *c, json_t *list)
{
	cleanup_json json_t *o = NULL;
	uint8_t sha[32];
	struct err e;

	if (failed(e = cert_sha256(c, sha)) || failed(e = json_new_object(&o)) ||
	    failed(e = json_put_hex(o, "sha256", BYTES_ARR(sha))) ||
	    failed(e = json_put_str(o, "subject", cert_subject(c))) ||
	    failed(e = json_put_bool(o, "anchor", strcmp(cert_subject(c), cert_issuer(c)) == 0)))
		return e;
	return json_array_append_new(list, take_ptr(&o)) == 0 ? ERR(E_OK) : ERR(E_LOCAL_MEMORY);
}

static struct err list_one(void *ctx, struct bytes der)
{
	cleanup_cert struct cert *c = NULL;
	struct err e = cert_from_der(der, &c, NULL);

	return failed(e) ? e : describe(c, ctx);
}

struct err admin_trust_list(struct verifier *v, const struct request *q, struct reply *ret)
{
	cleanup_json json_t *list = json_array();
	struct err e;

	(void)q;
	if (list == NULL)
		return ERR(E_LOCAL_MEMORY);
	if (failed(e = store_trust(v->store, list_one, list)))
		return e;
	return reply_json(take_ptr(&list), ret);
}

struct bundle {
	size_t n;
	struct cert *cert[MAX_BUNDLE];
};

static void bundle_done(struct bundle *b)
{
	for (size_t i = 0; i < b->n; i++)
		cert_free(b->cert[i]);
}

/* Vendors publish their CAs as one file; each must be a CA. */
static struct err bundle_parse(const char *pem, struct bundle *b, struct reason *reterr)
{
	cleanup_trust struct trust *t = NULL;
	struct err e;

	if (failed(e = trust_new(&t)))
		return e;
	do {
		const char *end = strstr(pem, PEM_END);
		size_t n = end == NULL ? strlen(pem) : (size_t)(end - pem) + strlen(PEM_END);

		if (b->n == MAX_BUNDLE)
			return ERR(E_LIMIT_COUNT);
		if (failed(e = cert_from_pem(BYTES(pem, n), &b->cert[b->n]))) {
			reason_set(reterr, "certificate %zu is not one in PEM", b->n + 1);
			return e;
		}
		if (failed(e = trust_add(t, b->cert[b->n++]))) {
			reason_set(reterr, "certificate %zu is no CA: %s", b->n, cert_subject(b->cert[b->n - 1]));
			return e;
		}
		pem += n;
	} while (strstr(pem, "-----BEGIN") != NULL);
	return ERR(E_OK);
}

static struct err add_txn(struct txn *t, void *ctx)
{
	const struct bundle *b = ctx;
	uint8_t sha[32];
	struct err e;

	for (size_t i = 0; i < b->n; i++)
		if (failed(e = cert_sha256(b->cert[i], sha)) ||
		    failed(e = txn_trust_add(t, sha, cert_der(b->cert[i]))))
			return e;
	return ERR(E_OK);
}

static struct err change_anchors(struct verifier *v, store_fn fn, void *ctx, struct reason *why)
{
	struct err e;

	(void)pthread_mutex_lock(&v->change);
	e = store_write(v->store, fn, ctx);
	if (!failed(e))
		e = anchors_load(v, why);
	(void)pthread_mutex_unlock(&v->change);
	return e;
}

struct err admin_trust_add(struct verifier *v, const struct request *q, struct reply *ret)
{
	cleanup_json json_t *body = NULL, *list = json_array();
	struct bundle b cleanup(bundle_done) = { .n = 0 };
	const char *pem;
	struct err e;

	if (list == NULL)
		return ERR(E_LOCAL_MEMORY);
	if (failed(e = admin_one(q, "pem", LIMIT_SMALL, &body, &pem, &ret->why)) ||
	    failed(e = bundle_parse(pem, &b, &ret->why)))
		return e;
	e = change_anchors(v, add_txn, &b, &ret->why);
	if (e.code == E_AUTH_CONFLICT)
		reason_set(&ret->why, "a certificate is there already; nothing was added");
	if (failed(e))
		return e;
	for (size_t i = 0; i < b.n; i++)
		if (failed(e = describe(b.cert[i], list)))
			return e;
	reason_set(&ret->why, "%zu CA certificates added, the first is %s", b.n, cert_subject(b.cert[0]));
	return reply_json(take_ptr(&list), ret);
}

static struct err remove_txn(struct txn *t, void *ctx)
{
	return txn_trust_remove(t, ctx);
}

struct err admin_trust_remove(struct verifier *v, const struct request *q, struct reply *ret)
{
	cleanup_json json_t *body = NULL;
	const char *hex;
	uint8_t sha[32];
	struct err e;

	if (failed(e = admin_one(q, "sha256", 64, &body, &hex, &ret->why)) ||
	    failed(e = hex_decode_exact(bytes_str(hex), sha, sizeof(sha))))
		return e;
	if (failed(e = change_anchors(v, remove_txn, sha, &ret->why)))
		return admin_found(e, "CA certificate", hex, &ret->why);
	reason_set(&ret->why, "CA certificate %s removed", log_quote(bytes_str(hex)));
	return admin_done("removed", hex, ret);
}
