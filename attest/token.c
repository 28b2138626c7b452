/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/token.h"

#include <inttypes.h>

#include "attest/dpop.h"

#define PATH_MAX_LEN 32 /* of the routes below */

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

/* What is asked of the verifier, with which proof. */
struct exchange {
	const char *path;
	struct bytes form;
	const uint8_t *id;
	const char *token; /* that the proof is about, or NULL */
};

/* A proof over the issuer's URL: it is the one that verifier and host agreed on. */
static struct err send_once(struct host *h, struct client *c, const struct exchange *x, const char *nonce,
			    bool *ret_nonce_wanted, char ret_nonce[CLIENT_NONCE_MAX], json_t **ret)
{
	cleanup_buf struct buf proof = BUF_INIT(LIMIT_TOKEN);
	char url[ISSUER_MAX + PATH_MAX_LEN];
	const struct dpop d = { .instance = x->id, .method = "POST", .url = url, .nonce = nonce, .token = x->token };
	const char *text;
	struct err e;

	(void)snprintf(url, sizeof(url), "%s%s", h->enrolment.issuer, x->path);
	if (failed(e = dpop_proof(h, &d, &proof)) || failed(e = buf_cstr(&proof, &text)))
		return e;
	return client_oauth(c, x->path, x->form, text, ret_nonce_wanted, ret_nonce, ret);
}

/* Without a nonce, and then with the one that the verifier wants. */
static struct err exchange(struct host *h, const struct exchange *x, json_t **ret)
{
	char nonce[CLIENT_NONCE_MAX], next[CLIENT_NONCE_MAX];
	cleanup_client struct client client = { 0 };
	bool wanted;
	struct err e;

	if (failed(e = host_client(h, &client)) ||
	    failed(e = send_once(h, &client, x, NULL, &wanted, nonce, ret)) || !wanted)
		return e;
	if (failed(e = send_once(h, &client, x, nonce, &wanted, next, ret)))
		return e;
	if (wanted) {
		reason_set(&h->why, "the verifier asks for a nonce again and again");
		return ERR(E_AUTH_NONCE);
	}
	return ERR(E_OK);
}

struct err token_get(struct host *h, const struct token_want *a, const uint8_t id[INSTANCE_ID_LEN], json_t **ret)
{
	cleanup_buf struct buf form = BUF_INIT(LIMIT_SMALL);
	struct exchange x = { .path = "/v1/token", .id = id };
	struct err e;

	if (failed(e = make_form(a, &form)))
		return e;
	x.form = buf_bytes(&form);
	return exchange(h, &x, ret);
}

struct err certificate_get(struct host *h, const char *task, const uint8_t id[INSTANCE_ID_LEN], json_t **ret)
{
	cleanup_buf struct buf form = BUF_INIT(LIMIT_SMALL);
	struct exchange x = { .path = "/v1/x509-svid", .id = id };
	struct err e = form_add(&form, "task_id", task);

	if (failed(e))
		return e;
	x.form = buf_bytes(&form);
	return exchange(h, &x, ret);
}

struct err token_revoke(struct host *h, const char *token, const uint8_t id[INSTANCE_ID_LEN])
{
	cleanup_buf struct buf form = BUF_INIT(LIMIT_SMALL);
	struct exchange x = { .path = "/v1/revoke", .id = id, .token = token };
	cleanup_json json_t *answer = NULL;
	struct err e;

	if (failed(e = form_add(&form, "token", token)))
		return e;
	x.form = buf_bytes(&form);
	return exchange(h, &x, &answer);
}
