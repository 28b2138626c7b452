/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/token.h"

#include <inttypes.h>

#include "attest/dpop.h"

#define TOKEN_PATH "/v1/token"

static struct err make_form(const struct token_want *a, struct buf *ret)
{
	char seconds[24];
	struct err e;

	(void)snprintf(seconds, sizeof(seconds), "%" PRIu64, a->expected_s);
	if (failed(e = form_add(ret, "grant_type", "client_credentials")) ||
	    failed(e = form_add(ret, "scope", a->scope)) || failed(e = form_add(ret, "resource", a->resource)) ||
	    failed(e = form_add(ret, "task_id", a->task)) || failed(e = form_add(ret, "expected_s", seconds)))
		return e;
	return ERR(E_OK);
}

/* A proof over the issuer's URL: it is the one that verifier and host agreed on. */
static struct err ask(struct host *h, struct client *c, struct bytes form, const uint8_t id[INSTANCE_ID_LEN],
		      const char *nonce, bool *ret_nonce_wanted, char ret_nonce[CLIENT_NONCE_MAX], json_t **ret)
{
	cleanup_buf struct buf proof = BUF_INIT(LIMIT_TOKEN);
	char url[ISSUER_MAX + sizeof(TOKEN_PATH)];
	const struct dpop d = { .instance = id, .method = "POST", .url = url, .nonce = nonce };
	const char *text;
	struct err e;

	(void)snprintf(url, sizeof(url), "%s" TOKEN_PATH, h->enrolment.issuer);
	if (failed(e = dpop_proof(h, &d, &proof)) || failed(e = buf_cstr(&proof, &text)))
		return e;
	return client_token(c, form, text, ret_nonce_wanted, ret_nonce, ret);
}

struct err token_get(struct host *h, const struct token_want *a, const uint8_t id[INSTANCE_ID_LEN], json_t **ret)
{
	cleanup_buf struct buf form = BUF_INIT(LIMIT_SMALL);
	char nonce[CLIENT_NONCE_MAX], next[CLIENT_NONCE_MAX];
	cleanup_client struct client client = { 0 };
	bool wanted;
	struct err e;

	if (failed(e = make_form(a, &form)) || failed(e = host_client(h, &client)) ||
	    failed(e = ask(h, &client, buf_bytes(&form), id, NULL, &wanted, nonce, ret)) || !wanted)
		return e;
	if (failed(e = ask(h, &client, buf_bytes(&form), id, nonce, &wanted, next, ret)))
		return e;
	if (wanted) {
		reason_set(&h->why, "the verifier asks for a nonce again and again");
		return ERR(E_AUTH_NONCE);
	}
	return ERR(E_OK);
}
