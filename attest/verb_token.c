/* SPDX-License-Identifier: Apache-2.0 */
/* token, proof, revoke: what an instance's key in the TPM is for. */
#include <fcntl.h>
#include <string.h>

#include "attest/credential.h"
#include "attest/daemon/ask.h"
#include "attest/dpop.h"
#include "base/file.h"

static struct err get_token(const struct credential *c, json_t **ret)
{
	return token_get(c->host, &c->request.want, c->id, ret);
}

static struct err print_token(const struct credential *c, const json_t *answer)
{
	const char *token = json_string_value(json_object_get(answer, "access_token"));

	if (c->app->json)
		return app_print_json(answer, stdout);
	if (token == NULL)
		return ERR(E_PEER_MISSING);
	return puts(token) != EOF && fflush(stdout) == 0 ? ERR(E_OK) : ERR(E_LOCAL_IO);
}

static struct err write_token(const struct credential *c, const json_t *answer)
{
	return credential_put(c, answer, "access_token", "\n", c->out, 0600);
}

int verb_token(void *ctx, int argc, char **argv)
{
	struct credential c = { .app = ctx, .name = "token", .request = { .kind = REQUEST_TOKEN }, .get = get_token,
				.print = print_token, .write = write_token };
	struct token_want *want = &c.request.want;
	const char *instance = NULL;
	const struct opt opts[] = {
		{ "instance", OPT_STRING, &instance, "ID", "whose key the token is bound to; for root", 0 },
		{ "scope", OPT_STRING, &want->scope, "SCOPE", "what it may do, words with spaces between", 0 },
		{ "resource", OPT_STRING, &want->resource, "URL", "where", 0 },
		{ "task", OPT_STRING, &want->task, "ID", "what for", 0 },
		{ "expected", OPT_DURATION, &want->expected_s, "TIME", "how long that will take", TOKEN_EXPECTED_MAX_S },
		{ "out", OPT_STRING, &c.out, "FILE", "where it is written, instead of standard output", 0 },
		{ "renew", OPT_FLAG, &c.renew, NULL, "go on, with a new token in FILE before the last one expires", 0 },
	};
	int n_pos, status;
	char **pos;

	status = verb_options(c.app->program, app_verb(c.app, "token"), argc, argv, opts, array_len(opts), 0, 0, &pos,
			      &n_pos);
	if (status >= 0)
		return status;
	if (want->scope == NULL || want->resource == NULL || want->task == NULL || want->expected_s == 0)
		return usage_error(c.app->program, "token needs --scope, --resource, --task and --expected (not 0)");
	return credential_deliver(&c, instance);
}

/* The token in a file, without the line end that an editor or echo left. */
static struct err read_token(const char *path, struct buf *b, const char **ret, struct reason *reterr)
{
	struct err e = file_read(AT_FDCWD, path, b);

	while (!failed(e) && b->n > 0 && (b->p[b->n - 1] == '\n' || b->p[b->n - 1] == '\r'))
		e = buf_truncate(b, b->n - 1);
	if (!failed(e))
		e = buf_cstr(b, ret);
	if (failed(e))
		reason_set(reterr, "%s: %s", path, err_text(e));
	return e;
}

static struct err print_proof(const struct app *app, struct bytes proof)
{
	cleanup_json json_t *o = NULL;
	struct err e;

	if (!app->json)
		return fwrite(proof.p, 1, proof.n, stdout) == proof.n && putchar('\n') != EOF && fflush(stdout) == 0 ?
			       ERR(E_OK) :
			       ERR(E_LOCAL_IO);
	if (failed(e = json_new_object(&o)) || failed(e = json_put_text(o, "proof", proof)))
		return e;
	return app_print_json(o, stdout);
}

static int ask_proof(const struct app *app, const struct dpop *d)
{
	cleanup_request struct request q = { .kind = REQUEST_PROOF, .method = d->method, .url = d->url,
					     .token = d->token, .dpop_nonce = d->nonce };
	cleanup_json json_t *answer = NULL;
	struct reason why = { "" };
	const char *proof;
	struct err e;

	if (failed(e = ask(conf_socket(&app->flags), &q, ASK_TIMEOUT_S, NULL, &answer, &why)))
		return app_failed(app, e, &why);
	proof = json_string_value(json_object_get(answer, "proof"));
	e = proof == NULL ? ERR(E_PEER_MISSING) : print_proof(app, bytes_str(proof));
	return failed(e) ? app_failed(app, e, &why) : EXIT_ACCEPTED;
}

static int make_proof(const struct app *app, const struct dpop *d)
{
	cleanup_buf struct buf proof = BUF_INIT(LIMIT_TOKEN);
	cleanup_conf struct conf conf = { 0 };
	cleanup_host struct host host = HOST_INIT;
	int status = app_open_enrolled(app, &conf, &host);
	struct err e;

	if (status >= 0)
		return status;
	if (failed(e = dpop_proof(&host, d, &proof)) || failed(e = print_proof(app, buf_bytes(&proof))))
		return app_failed(app, e, &host.why);
	return EXIT_ACCEPTED;
}

int verb_proof(void *ctx, int argc, char **argv)
{
	const char *instance = NULL, *token_file = NULL;
	struct dpop d = { 0 };
	const struct opt opts[] = {
		{ "instance", OPT_STRING, &instance, "ID", "whose key signs; for root", 0 },
		{ "method", OPT_STRING, &d.method, "METHOD", "of the request, e.g. POST", 0 },
		{ "url", OPT_STRING, &d.url, "URL", "of the request", 0 },
		{ "token-file", OPT_STRING, &token_file, "FILE", "access token that goes with it", 0 },
		{ "nonce", OPT_STRING, &d.nonce, "NONCE", "that the server gave (DPoP-Nonce)", 0 },
	};
	cleanup_buf struct buf token = BUF_INIT(LIMIT_TOKEN);
	const struct app *app = ctx;
	struct reason why = { "" };
	uint8_t id[INSTANCE_ID_LEN];
	int n_pos, status;
	char **pos;
	struct err e;

	status = verb_options(app->program, app_verb(app, "proof"), argc, argv, opts, array_len(opts), 0, 0, &pos,
			      &n_pos);
	if (status >= 0)
		return status;
	if (d.method == NULL || d.url == NULL)
		return usage_error(app->program, "proof needs --method and --url");
	if (instance != NULL && failed(instance_id_parse(instance, id)))
		return usage_error(app->program, "--instance: not 32 lower-case hex digits");
	if (token_file != NULL && failed(e = read_token(token_file, &token, &d.token, &why)))
		return app_failed(app, e, &why);
	if (instance == NULL)
		return ask_proof(app, &d);
	d.instance = id;
	return make_proof(app, &d);
}

static int ask_revoke(const struct app *app, const char *token)
{
	cleanup_request struct request q = { .kind = REQUEST_REVOKE, .token = token };
	cleanup_json json_t *answer = NULL;
	struct reason why = { "" };
	struct err e = ask(conf_socket(&app->flags), &q, ASK_TIMEOUT_S, NULL, &answer, &why);

	return failed(e) ? app_failed(app, e, &why) : EXIT_ACCEPTED;
}

static int make_revoke(const struct app *app, const char *token, const uint8_t id[INSTANCE_ID_LEN])
{
	cleanup_conf struct conf conf = { 0 };
	cleanup_host struct host host = HOST_INIT;
	int status = app_open_enrolled(app, &conf, &host);
	struct err e;

	if (status >= 0)
		return status;
	e = token_revoke(&host, token, id);
	return failed(e) ? app_failed(app, e, &host.why) : EXIT_ACCEPTED;
}

int verb_revoke(void *ctx, int argc, char **argv)
{
	const char *instance = NULL, *token_file = NULL, *text;
	const struct opt opts[] = {
		{ "instance", OPT_STRING, &instance, "ID", "whose token it is; for root", 0 },
		{ "token-file", OPT_STRING, &token_file, "FILE", "the access token", 0 },
	};
	cleanup_buf struct buf token = BUF_INIT(LIMIT_TOKEN);
	const struct app *app = ctx;
	struct reason why = { "" };
	uint8_t id[INSTANCE_ID_LEN];
	int n_pos, status;
	char **pos;
	struct err e;

	status = verb_options(app->program, app_verb(app, "revoke"), argc, argv, opts, array_len(opts), 0, 0, &pos,
			      &n_pos);
	if (status >= 0)
		return status;
	if (token_file == NULL)
		return usage_error(app->program, "revoke needs --token-file");
	if (instance != NULL && failed(instance_id_parse(instance, id)))
		return usage_error(app->program, "--instance: not 32 lower-case hex digits");
	if (failed(e = read_token(token_file, &token, &text, &why)))
		return app_failed(app, e, &why);
	return instance == NULL ? ask_revoke(app, text) : make_revoke(app, text, id);
}
