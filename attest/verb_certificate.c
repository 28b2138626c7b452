/* SPDX-License-Identifier: Apache-2.0 */
/* certificate: what an agent shows in TLS. */
#include "attest/credential.h"
#include "base/args.h"

static struct err get_certificate(const struct credential *c, json_t **ret)
{
	return certificate_get(c->host, c->request.want.task, c->id, ret);
}

static struct err print_certificate(const struct credential *c, const json_t *answer)
{
	const char *pem = json_string_value(json_object_get(answer, "certificate"));

	if (c->app->json)
		return app_print_json(answer, stdout);
	if (pem == NULL)
		return ERR(E_PEER_MISSING);
	return fputs(pem, stdout) != EOF && fflush(stdout) == 0 ? ERR(E_OK) : ERR(E_LOCAL_IO);
}

/* The CA first: whoever sees the new certificate finds what it is checked by. */
static struct err write_certificate(const struct credential *c, const json_t *answer)
{
	const char *ca_out = c->ctx;
	struct err e;

	if (ca_out != NULL && failed(e = credential_put(c, answer, "ca", "", ca_out, 0644)))
		return e;
	return credential_put(c, answer, "certificate", "", c->out, 0644);
}

int verb_certificate(void *ctx, int argc, char **argv)
{
	struct credential c = { .app = ctx, .name = "certificate", .request = { .kind = REQUEST_CERTIFICATE },
				.get = get_certificate, .print = print_certificate, .write = write_certificate };
	const char *instance = NULL, *ca_out = NULL;
	const struct opt opts[] = {
		{ "instance", OPT_STRING, &instance, "ID", "whose key it is for; for root", 0 },
		{ "task", OPT_STRING, &c.request.want.task, "ID", "what for", 0 },
		{ "out", OPT_STRING, &c.out, "FILE", "where it is written, instead of standard output", 0 },
		{ "ca-out", OPT_STRING, &ca_out, "FILE", "where the CAs of agents are written, to check others by", 0 },
		{ "renew", OPT_FLAG, &c.renew, NULL, "go on, with a new one in FILE before the last one expires", 0 },
	};
	int n_pos, status;
	char **pos;

	status = verb_options(c.app->program, app_verb(c.app, "certificate"), argc, argv, opts, array_len(opts), 0, 0,
			      &pos, &n_pos);
	if (status >= 0)
		return status;
	if (c.request.want.task == NULL)
		return usage_error(c.app->program, "certificate needs --task");
	if (ca_out != NULL && c.out == NULL)
		return usage_error(c.app->program, "--ca-out needs --out FILE");
	c.ctx = ca_out;
	return credential_deliver(&c, instance);
}
