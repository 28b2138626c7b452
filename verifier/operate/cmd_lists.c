/* SPDX-License-Identifier: Apache-2.0 */
/* assayctl documents, agents, credentials, hosts, trust, client: what the verifier holds, listed and changed. */
#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/text.h"
#include "verifier/operate/ctl.h"

static int show(const struct ctl *c, const char *what, const char *path)
{
	cleanup_json json_t *list = NULL;
	struct reason why = { { 0 } };
	struct err e;

	if (failed(e = ctl_request(c, path, NULL, NULL, &list, &why)))
		return ctl_fail(what, e, &why);
	return failed(e = ctl_print(c, list)) ? ctl_fail(what, e, NULL) : EXIT_ACCEPTED;
}

static int post_one(const struct ctl *c, const char *what, const char *path, const char *key, const char *value)
{
	cleanup_json json_t *body = NULL, *answer = NULL;
	struct reason why = { { 0 } };
	struct err e;

	if (failed(e = json_new_object(&body)) || failed(e = json_put_str(body, key, value)) ||
	    failed(e = ctl_post(c, path, body, &answer, &why)))
		return ctl_fail(what, e, &why);
	return failed(e = ctl_print(c, answer)) ? ctl_fail(what, e, NULL) : EXIT_ACCEPTED;
}

static int list_only(void *ctx, int argc, char **argv, const char *verb, const char *path)
{
	char **pos;
	int n, status = verb_options(&ctl_program, ctl_verb(verb), argc, argv, NULL, 0, 0, 0, &pos, &n);

	return status >= 0 ? status : show(ctx, verb, path);
}

int cmd_documents(void *ctx, int argc, char **argv)
{
	return list_only(ctx, argc, argv, "documents", "/v1/admin/documents");
}

int cmd_agents(void *ctx, int argc, char **argv)
{
	return list_only(ctx, argc, argv, "agents", "/v1/admin/agents");
}

int cmd_credentials(void *ctx, int argc, char **argv)
{
	return list_only(ctx, argc, argv, "credentials", "/v1/admin/credentials");
}

int cmd_hosts(void *ctx, int argc, char **argv)
{
	char **pos;
	int n, status = verb_options(&ctl_program, ctl_verb("hosts"), argc, argv, NULL, 0, 0, 2, &pos, &n);

	if (status >= 0)
		return status;
	if (n == 0 || (n == 1 && strcmp(pos[0], "list") == 0))
		return show(ctx, "hosts", "/v1/admin/hosts");
	if (n == 2 && strcmp(pos[0], "clear") == 0)
		return post_one(ctx, "hosts clear", "/v1/admin/hosts/clear", "host", pos[1]);
	if (n == 2 && strcmp(pos[0], "remove") == 0)
		return post_one(ctx, "hosts remove", "/v1/admin/hosts/remove", "host", pos[1]);
	return usage_error(&ctl_program, "hosts: expected list, clear HOST or remove HOST");
}

static int add_trust(const struct ctl *c, const char *path)
{
	cleanup_buf struct buf pem = BUF_INIT(LIMIT_SMALL / 2);
	struct reason why = { { 0 } };
	const char *text;
	struct err e;

	if (failed(e = file_read(AT_FDCWD, path, &pem)) || failed(e = buf_cstr(&pem, &text))) {
		reason_set(&why, "%s: %s", path, err_text(e));
		return ctl_fail("trust add", e, &why);
	}
	return post_one(c, "trust add", "/v1/admin/trust/add", "pem", text);
}

int cmd_trust(void *ctx, int argc, char **argv)
{
	char **pos;
	int n, status = verb_options(&ctl_program, ctl_verb("trust"), argc, argv, NULL, 0, 1, 2, &pos, &n);

	if (status >= 0)
		return status;
	if (n == 1 && strcmp(pos[0], "list") == 0)
		return show(ctx, "trust", "/v1/admin/trust");
	if (n == 2 && strcmp(pos[0], "add") == 0)
		return add_trust(ctx, pos[1]);
	if (n == 2 && strcmp(pos[0], "remove") == 0)
		return post_one(ctx, "trust remove", "/v1/admin/trust/remove", "sha256", pos[1]);
	return usage_error(&ctl_program, "trust: expected add CA.pem, list or remove SHA256");
}

static int client_add(const struct ctl *c, const char *name, const struct opt_list *resources)
{
	cleanup_json json_t *body = NULL, *answer = NULL, *urls = json_array();
	struct reason why = { { 0 } };
	struct err e = urls != NULL ? ERR(E_OK) : ERR(E_LOCAL_MEMORY);

	for (size_t i = 0; !failed(e) && i < resources->n; i++)
		if (json_array_append_new(urls, json_string(resources->v[i])) != 0)
			e = ERR(E_LOCAL_MEMORY);
	if (failed(e) || failed(e = json_new_object(&body)) || failed(e = json_put_str(body, "name", name)) ||
	    failed(e = json_put(body, "resources", take_ptr(&urls))) ||
	    failed(e = ctl_post(c, "/v1/admin/clients", body, &answer, &why)))
		return ctl_fail("client add", e, &why);
	return failed(e = ctl_print(c, answer)) ? ctl_fail("client add", e, NULL) : EXIT_ACCEPTED;
}

int cmd_client(void *ctx, int argc, char **argv)
{
	struct opt_list resources = { 0 };
	const struct opt opts[] = {
		{ "resource", OPT_LIST, &resources, "URL", "add: only tokens for this resource (all); may repeat", 0 },
	};
	char **pos;
	int n, status = verb_options(&ctl_program, ctl_verb("client"), argc, argv, opts, 1, 1, 2, &pos, &n);

	if (status >= 0)
		return status;
	if (n == 1 && strcmp(pos[0], "list") == 0)
		return show(ctx, "client", "/v1/admin/clients");
	if (n == 2 && strcmp(pos[0], "remove") == 0)
		return post_one(ctx, "client remove", "/v1/admin/clients/remove", "name", pos[1]);
	if (n != 2 || strcmp(pos[0], "add") != 0)
		return usage_error(&ctl_program, "client: expected add NAME, list or remove NAME");
	return client_add(ctx, pos[1], &resources);
}
