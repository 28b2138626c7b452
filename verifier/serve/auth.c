/* SPDX-License-Identifier: Apache-2.0 */
/* Who calls: clients by a secret, workloads by a proof. */
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "verifier/issue/dpop.h"
#include "verifier/serve/internal.h"

#define BASIC "Basic "
#define MAX_CREDENTIALS 512

/* RFC 7617: base64 of "name:secret". Names hold no colon, as ids do not. */
static struct err parse_basic(const char *authorization, struct buf *plain, struct bytes *ret_name,
			      struct bytes *ret_secret)
{
	const uint8_t *colon;
	size_t n;

	if (authorization == NULL || strncasecmp(authorization, BASIC, strlen(BASIC)) != 0 ||
	    strlen(authorization) > MAX_CREDENTIALS ||
	    failed(b64_decode(bytes_str(authorization + strlen(BASIC)), plain)))
		return ERR(E_AUTH_CLIENT);
	colon = plain->n > 0 ? memchr(plain->p, ':', plain->n) : NULL;
	if (colon == NULL)
		return ERR(E_AUTH_CLIENT);
	n = (size_t)(colon - plain->p);
	*ret_name = BYTES(plain->p, n);
	*ret_secret = BYTES(colon + 1, plain->n - n - 1);
	return id_valid(*ret_name) ? ERR(E_OK) : ERR(E_AUTH_CLIENT);
}

struct err client_authenticate(struct verifier *v, const char *authorization, char ret_name[65])
{
	cleanup_buf struct buf plain = BUF_INIT(MAX_CREDENTIALS);
	uint8_t known[32] = { 0 }, given[32];
	struct bytes name, secret;
	char text[65];
	bool found;
	struct err e;

	if (failed(e = parse_basic(authorization, &plain, &name, &secret)))
		return e;
	(void)snprintf(text, sizeof(text), "%.*s", (int)name.n, (const char *)name.p);
	e = store_client(v->store, text, known);
	found = !failed(e);
	if (failed(e) && e.code != E_LOCAL_NOT_FOUND)
		return e;
	/* An unknown name costs the same look-up, hash and comparison. */
	if (failed(e = sha256(secret, given)))
		return e;
	if (!bytes_eq_secret(BYTES_ARR(known), BYTES_ARR(given)) || !found)
		return ERR(E_AUTH_CLIENT);
	memcpy(ret_name, text, sizeof(text));
	return ERR(E_OK);
}

struct err dpop_nonce(struct verifier *v, int64_t now_s, struct reply *ret)
{
	cleanup_buf struct buf text = BUF_INIT(sizeof(ret->dpop_nonce) - 1);
	const struct nonce_for f = { .purpose = "dpop" };
	uint8_t random[16], nonce[NONCE_LEN];
	const char *s;
	struct err e;

	if (failed(e = random_bytes(random, sizeof(random))) ||
	    failed(e = nonce_make(v->dpop_key, &f, now_s, random, nonce)) ||
	    failed(e = b64url_encode(BYTES_ARR(nonce), &text)) || failed(e = buf_cstr(&text, &s)))
		return e;
	(void)snprintf(ret->dpop_nonce, sizeof(ret->dpop_nonce), "%s", s);
	return ERR(E_OK);
}

struct err route_uri(struct verifier *v, const char *path, struct buf *b, const char **ret)
{
	struct err e = buf_addf(b, "%s%s", v->c.issuer, path);

	return failed(e) ? e : buf_cstr(b, ret);
}
