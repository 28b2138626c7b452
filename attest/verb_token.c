/* SPDX-License-Identifier: Apache-2.0 */
/* token, proof, revoke: what an instance's key in the TPM is for. */
#include <fcntl.h>
#include <string.h>
#include <time.h>

#include "attest/app.h"
#include "attest/daemon/ask.h"
#include "attest/dpop.h"
#include "attest/interval.h"
#include "base/file.h"
#include "base/log.h"

static struct err print_token(const struct app *app, const json_t *answer)
{
	const char *token = json_string_value(json_object_get(answer, "access_token"));

	if (app->json)
		return app_print_json(answer, stdout);
	if (token == NULL)
		return ERR(E_PEER_MISSING);
	return puts(token) != EOF && fflush(stdout) == 0 ? ERR(E_OK) : ERR(E_LOCAL_IO);
}

/* Where tokens come from: the daemon, which knows whose process we are; or TPM and verifier, for root, who names an instance. */
struct source {
	const struct app *app;
	const struct token_want *want;
	const uint8_t *id;  /* NULL: the daemon */
	struct host *host;  /* of root */
	struct reason *why; /* of the last failure */
};

static struct err get_token(const struct source *s, json_t **ret)
{
	cleanup_request struct request q = { .kind = REQUEST_TOKEN, .want = *s->want };

	s->why->text[0] = '\0';
	if (s->id != NULL)
		return token_get(s->host, s->want, s->id, ret);
	return ask(conf_socket(&s->app->flags), &q, ASK_TIMEOUT_S, NULL, ret, s->why);
}

/* Writes it to the file, whole or not at all, and tells how long it lives. */
static struct err put_token(const struct source *s, const json_t *answer, const char *path, int64_t *ret_life_s)
{
	const char *token = json_string_value(json_object_get(answer, "access_token"));
	cleanup_buf struct buf line = BUF_INIT(LIMIT_TOKEN + 1);
	struct err e;

	*ret_life_s = json_integer_value(json_object_get(answer, "expires_in"));
	if (token == NULL || *ret_life_s <= 0)
		return ERR(E_PEER_MISSING);
	if (failed(e = buf_addf(&line, "%s\n", token)) ||
	    failed(e = file_write(AT_FDCWD, path, buf_bytes(&line), 0600)))
		reason_set(s->why, "%s: %s", path, err_text(e));
	return e;
}

static void pause_s(int64_t s)
{
	uint64_t ms = interval_jitter((uint64_t)s * 1000);

	(void)nanosleep(&(struct timespec){ .tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000 }, NULL);
}

/* Too many at a time is no word about the token. */
static bool is_refusal(struct err e)
{
	return exit_for(e) == EXIT_REJECTED && e.code != E_LIMIT_RATE;
}

/* A new one each time when two thirds of the last one's life are over, until that is refused. What has expired goes away. */
static int keep_token(const struct source *s, const char *path)
{
	int64_t life_s = 0, expires_s = 0;

	for (;;) {
		cleanup_json json_t *answer = NULL;
		struct err e;

		if (!failed(e = get_token(s, &answer)) && !failed(e = put_token(s, answer, path, &life_s))) {
			expires_s = clock_now_s() + life_s;
			pause_s(life_s * 2 / 3 > 0 ? life_s * 2 / 3 : 1);
			continue;
		}
		/* Nothing could be decided: the last one is good until its end. */
		if (!is_refusal(e) && expires_s != 0 && clock_now_s() < expires_s) {
			log_warning("no new token yet: %s", s->why->text[0] != '\0' ? s->why->text : err_text(e));
			pause_s(1);
			continue;
		}
		(void)unlink(path);
		return app_failed(s->app, e, s->why);
	}
}

static int deliver_token(const struct source *s, const char *path, bool renew)
{
	cleanup_json json_t *answer = NULL;
	int64_t life_s;
	struct err e;

	if (renew)
		return keep_token(s, path);
	if (failed(e = get_token(s, &answer)) ||
	    failed(e = path == NULL ? print_token(s->app, answer) : put_token(s, answer, path, &life_s)))
		return app_failed(s->app, e, s->why);
	return EXIT_ACCEPTED;
}

/* For root, who names an instance. */
static int deliver_by_ourselves(struct source *s, const char *path, bool renew)
{
	cleanup_conf struct conf conf = { 0 };
	cleanup_host struct host host = HOST_INIT;
	int status = app_open_enrolled(s->app, &conf, &host);

	if (status >= 0)
		return status;
	s->host = &host;
	s->why = &host.why;
	return deliver_token(s, path, renew);
}

int verb_token(void *ctx, int argc, char **argv)
{
	struct token_want want = { 0 };
	const char *instance = NULL, *out = NULL;
	bool renew = false;
	const struct opt opts[] = {
		{ "instance", OPT_STRING, &instance, "ID", "whose key the token is bound to; for root", 0 },
		{ "scope", OPT_STRING, &want.scope, "SCOPE", "what it may do, words with spaces between", 0 },
		{ "resource", OPT_STRING, &want.resource, "URL", "where", 0 },
		{ "task", OPT_STRING, &want.task, "ID", "what for", 0 },
		{ "expected", OPT_DURATION, &want.expected_s, "TIME", "how long that will take", TOKEN_EXPECTED_MAX_S },
		{ "out", OPT_STRING, &out, "FILE", "where it is written, instead of standard output", 0 },
		{ "renew", OPT_FLAG, &renew, NULL, "go on, with a new token in FILE before the last one expires", 0 },
	};
	const struct app *app = ctx;
	struct reason why = { "" };
	uint8_t id[INSTANCE_ID_LEN];
	struct source s = { .app = app, .want = &want, .why = &why };
	int n_pos, status;
	char **pos;

	status = verb_options(app->program, app_verb(app, "token"), argc, argv, opts, array_len(opts), 0, 0, &pos,
			      &n_pos);
	if (status >= 0)
		return status;
	if (want.scope == NULL || want.resource == NULL || want.task == NULL || want.expected_s == 0)
		return usage_error(app->program, "token needs --scope, --resource, --task and --expected (not 0)");
	if (renew && out == NULL)
		return usage_error(app->program, "--renew needs --out FILE");
	if (instance == NULL)
		return deliver_token(&s, out, renew);
	if (failed(instance_id_parse(instance, id)))
		return usage_error(app->program, "--instance: not 32 lower-case hex digits");
	s.id = id;
	return deliver_by_ourselves(&s, out, renew);
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
