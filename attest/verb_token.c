/* SPDX-License-Identifier: Apache-2.0 */
/* token and proof: what an instance's key in the TPM is for. */
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "attest/app.h"
#include "attest/dpop.h"
#include "base/file.h"

#define TOKEN_PATH "/v1/token"
#define EXPECTED_MAX_S (30 * 86400)

struct token_args {
	const char *instance, *scope, *resource, *task;
	uint64_t expected_s;
};

static struct err make_form(const struct token_args *a, struct buf *ret)
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

static struct err get_token(struct host *h, const struct token_args *a, const uint8_t id[INSTANCE_ID_LEN], json_t **ret)
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

static struct err print_token(const struct app *app, const json_t *answer)
{
	const char *token = json_string_value(json_object_get(answer, "access_token"));

	if (app->json)
		return app_print_json(answer, stdout);
	if (token == NULL)
		return ERR(E_PEER_MISSING);
	return puts(token) != EOF && fflush(stdout) == 0 ? ERR(E_OK) : ERR(E_LOCAL_IO);
}

int verb_token(void *ctx, int argc, char **argv)
{
	struct token_args a = { 0 };
	const struct opt opts[] = {
		{ "instance", OPT_STRING, &a.instance, "ID", "whose key the token is bound to", 0 },
		{ "scope", OPT_STRING, &a.scope, "SCOPE", "what it may do, words with spaces between", 0 },
		{ "resource", OPT_STRING, &a.resource, "URL", "where", 0 },
		{ "task", OPT_STRING, &a.task, "ID", "what for", 0 },
		{ "expected", OPT_DURATION, &a.expected_s, "TIME", "how long that will take", EXPECTED_MAX_S },
	};
	const struct app *app = ctx;
	cleanup_conf struct conf conf = { 0 };
	cleanup_host struct host host = HOST_INIT;
	cleanup_json json_t *answer = NULL;
	uint8_t id[INSTANCE_ID_LEN];
	char **pos;
	int n_pos, status;
	struct err e;

	status = verb_options(app->program, app_verb(app, "token"), argc, argv, opts, array_len(opts), 0, 0, &pos,
			      &n_pos);
	if (status >= 0)
		return status;
	if (a.instance == NULL || a.scope == NULL || a.resource == NULL || a.task == NULL || a.expected_s == 0)
		return usage_error(app->program,
				   "token needs --instance, --scope, --resource, --task and --expected (not 0)");
	if (failed(instance_id_parse(a.instance, id)))
		return usage_error(app->program, "--instance: not 32 lower-case hex digits");
	status = app_open_enrolled(app, &conf, &host);
	if (status >= 0)
		return status;
	if (failed(e = get_token(&host, &a, id, &answer)) || failed(e = print_token(app, answer)))
		return app_failed(app, e, &host.why);
	return EXIT_ACCEPTED;
}

/* The token in a file, without the line end that an editor or echo left. */
static struct err read_token(struct host *h, const char *path, struct buf *b, const char **ret)
{
	struct err e = file_read(AT_FDCWD, path, b);

	while (!failed(e) && b->n > 0 && (b->p[b->n - 1] == '\n' || b->p[b->n - 1] == '\r'))
		e = buf_truncate(b, b->n - 1);
	if (!failed(e))
		e = buf_cstr(b, ret);
	if (failed(e))
		reason_set(&h->why, "%s: %s", path, err_text(e));
	return e;
}

static struct err print_proof(const struct app *app, const struct buf *proof)
{
	cleanup_json json_t *o = NULL;
	struct err e;

	if (!app->json)
		return fwrite(proof->p, 1, proof->n, stdout) == proof->n && putchar('\n') != EOF &&
				       fflush(stdout) == 0
			       ? ERR(E_OK)
			       : ERR(E_LOCAL_IO);
	if (failed(e = json_new_object(&o)) || failed(e = json_put_text(o, "proof", buf_bytes(proof))))
		return e;
	return app_print_json(o, stdout);
}

int verb_proof(void *ctx, int argc, char **argv)
{
	const char *instance = NULL, *token_file = NULL;
	struct dpop d = { 0 };
	const struct opt opts[] = {
		{ "instance", OPT_STRING, &instance, "ID", "whose key signs", 0 },
		{ "method", OPT_STRING, &d.method, "METHOD", "of the request, e.g. POST", 0 },
		{ "url", OPT_STRING, &d.url, "URL", "of the request", 0 },
		{ "token-file", OPT_STRING, &token_file, "FILE", "access token that goes with it", 0 },
		{ "nonce", OPT_STRING, &d.nonce, "NONCE", "that the server gave (DPoP-Nonce)", 0 },
	};
	cleanup_buf struct buf token = BUF_INIT(LIMIT_TOKEN), proof = BUF_INIT(LIMIT_TOKEN);
	const struct app *app = ctx;
	cleanup_conf struct conf conf = { 0 };
	cleanup_host struct host host = HOST_INIT;
	uint8_t id[INSTANCE_ID_LEN];
	char **pos;
	int n_pos, status;
	struct err e;

	status = verb_options(app->program, app_verb(app, "proof"), argc, argv, opts, array_len(opts), 0, 0, &pos,
			      &n_pos);
	if (status >= 0)
		return status;
	if (instance == NULL || d.method == NULL || d.url == NULL)
		return usage_error(app->program, "proof needs --instance, --method and --url");
	if (failed(instance_id_parse(instance, id)))
		return usage_error(app->program, "--instance: not 32 lower-case hex digits");
	status = app_open_enrolled(app, &conf, &host);
	if (status >= 0)
		return status;
	d.instance = id;
	if ((token_file != NULL && failed(e = read_token(&host, token_file, &token, &d.token))) ||
	    failed(e = dpop_proof(&host, &d, &proof)) || failed(e = print_proof(app, &proof)))
		return app_failed(app, e, &host.why);
	return EXIT_ACCEPTED;
}
