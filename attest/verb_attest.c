/* SPDX-License-Identifier: Apache-2.0 */
/* attest: one attestation of this host, now. */
#include "attest/app.h"

static struct err print(const struct app *app, const struct attest_reply *r)
{
	cleanup_json json_t *o = NULL;
	struct err e;

	if (!app->json)
		return attest_print(r, stdout);
	if (failed(e = attest_reply_json(r, &o)))
		return e;
	return app_print_json(o, stdout);
}

int verb_attest(void *ctx, int argc, char **argv)
{
	const struct attest_options options = { .measure = true };
	cleanup(attest_reply_done) struct attest_reply reply = { 0 };
	const struct app *app = ctx;
	cleanup_conf struct conf conf = { 0 };
	cleanup_host struct host host = HOST_INIT;
	char **pos;
	int n_pos, status;
	struct err e;

	status = verb_options(app->program, app_verb(app, "attest"), argc, argv, NULL, 0, 0, 0, &pos, &n_pos);
	if (status >= 0 || (status = app_open_enrolled(app, &conf, &host)) >= 0)
		return status;
	if (failed(e = attest(&host, &options, &reply)) || failed(e = print(app, &reply)))
		return app_failed(app, e, &host.why);
	return attest_accepted(&reply, NULL) ? EXIT_ACCEPTED : EXIT_REJECTED;
}
