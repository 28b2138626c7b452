/* SPDX-License-Identifier: Apache-2.0 */
/* daemon: attests again and again, and serves agents; identity: asks it who we are. */
#include "attest/app.h"
#include "attest/daemon/ask.h"
#include "attest/daemon/daemon.h"

int verb_daemon(void *ctx, int argc, char **argv)
{
	const struct app *app = ctx;
	cleanup_conf struct conf conf = { 0 };
	cleanup_host struct host host = HOST_INIT;
	int n_pos, status;
	char **pos;
	struct err e;

	status = verb_options(app->program, app_verb(app, "daemon"), argc, argv, NULL, 0, 0, 0, &pos, &n_pos);
	if (status >= 0 || (status = app_open_enrolled(app, &conf, &host)) >= 0)
		return status;
	if (failed(e = daemon_run(&host)))
		return app_failed(app, e, &host.why);
	return EXIT_ACCEPTED;
}

static struct err print(const struct app *app, const json_t *o)
{
	static const char *const members[] = { "instance", "agent", "host", "issuer", "jkt" };

	if (app->json)
		return app_print_json(o, stdout);
	for (size_t i = 0; i < array_len(members); i++) {
		const char *s = json_string_value(json_object_get(o, members[i]));

		(void)printf("%-10s %s\n", members[i], s == NULL ? "" : s);
	}
	return fflush(stdout) == 0 ? ERR(E_OK) : ERR(E_LOCAL_IO);
}

int verb_identity(void *ctx, int argc, char **argv)
{
	cleanup_request struct request q = { .kind = REQUEST_IDENTITY };
	cleanup_json json_t *answer = NULL;
	const struct app *app = ctx;
	struct reason why = { "" };
	int n_pos, status;
	char **pos;
	struct err e;

	status = verb_options(app->program, app_verb(app, "identity"), argc, argv, NULL, 0, 0, 0, &pos, &n_pos);
	if (status >= 0)
		return status;
	if (failed(e = ask(conf_socket(&app->flags), &q, ASK_TIMEOUT_S, NULL, &answer, &why)) ||
	    failed(e = print(app, answer)))
		return app_failed(app, e, &why);
	return EXIT_ACCEPTED;
}
