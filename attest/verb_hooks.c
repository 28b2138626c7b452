/* SPDX-License-Identifier: Apache-2.0 */
/* hooks: tells engines and runtimes of oci-hook, makes rules for an image, judges a bundle without starting it. */
#include <fcntl.h>
#include <string.h>

#include "attest/app.h"
#include "attest/container/judge.h"
#include "attest/hooks.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"

struct hooks {
	const struct app *app;
	bool podman;
	const char *dir, *bundle, *agent, *image, *model, *model_at;
	bool allow_devices;
	struct reason why;
};

static struct err print(const struct hooks *h, const json_t *o)
{
	cleanup_buf struct buf text = BUF_INIT(LIMIT_EVIDENCE);
	struct err e;

	if (h->app->json)
		return app_print_json(o, stdout);
	if (failed(e = json_write_pretty(o, &text)) || failed(e = buf_add_u8(&text, '\n')))
		return e;
	return fwrite(text.p, 1, text.n, stdout) == text.n && fflush(stdout) == 0 ? ERR(E_OK) : ERR(E_LOCAL_IO);
}

static struct err print_files(const struct hooks *h, const char *outcome, json_t *files)
{
	cleanup_json json_t *o = NULL;
	struct err e;

	if (!h->app->json) {
		for (size_t i = 0; i < json_array_size(files); i++)
			(void)printf("%s: %s\n", outcome, json_string_value(json_array_get(files, i)));
		return fflush(stdout) == 0 ? ERR(E_OK) : ERR(E_LOCAL_IO);
	}
	if (failed(e = json_new_object(&o)) || failed(e = json_put_str(o, "outcome", outcome)) ||
	    failed(e = json_put(o, "files", json_incref(files))))
		return e;
	return app_print_json(o, stdout);
}

/* install and remove. */
static int change(struct hooks *h, bool add)
{
	const struct hooks_place place = {
		.dir = h->dir, .bundle = h->bundle, .agent = h->agent, .config = h->app->flags.config
	};
	cleanup_json json_t *files = json_array();
	struct err e;

	if (h->bundle != NULL && (h->podman || strcmp(h->dir, HOOKS_DIR) != 0))
		return usage_error(h->app->program, "hooks: --bundle goes without --podman and --dir");
	if (h->bundle == NULL && h->agent != NULL)
		return usage_error(h->app->program, "hooks: --agent goes with --bundle; containers of podman get it by "
						    "--annotation dev.assay.agent=NAME");
	if (h->agent != NULL && !id_valid(bytes_str(h->agent)))
		return usage_error(h->app->program, "hooks: --agent: 1 to 64 characters of A-Z a-z 0-9 . _ - are expected");
	if (files == NULL)
		return app_failed(h->app, ERR(E_LOCAL_MEMORY), &h->why);
	e = add ? hooks_install(&place, files, &h->why) : hooks_remove(&place, files, &h->why);
	if (failed(e) || failed(e = print_files(h, add ? "installed" : "removed", files)))
		return app_failed(h->app, e, &h->why);
	return EXIT_ACCEPTED;
}

static int install(struct hooks *h)
{
	return change(h, true);
}

static int take_away(struct hooks *h)
{
	return change(h, false);
}

static int policy(struct hooks *h)
{
	const struct hooks_policy p = {
		.agent = h->agent, .image = h->image, .model = h->model, .model_at = h->model_at,
		.user = h->app->flags.user, .allow_devices = h->allow_devices,
	};
	cleanup_json json_t *entry = NULL, *warnings = json_array();
	struct err e;

	if (h->agent == NULL || h->image == NULL || h->model == NULL)
		return usage_error(h->app->program, "hooks policy needs --agent, --image and --model");
	if (warnings == NULL)
		return app_failed(h->app, ERR(E_LOCAL_MEMORY), &h->why);
	e = hooks_policy_make(&p, warnings, &entry, &h->why);
	if (failed(e) || failed(e = print(h, entry)))
		return app_failed(h->app, e, &h->why);
	for (size_t i = 0; i < json_array_size(warnings); i++)
		log_warning("%s", json_string_value(json_array_get(warnings, i)));
	return EXIT_ACCEPTED;
}

/* The configuration of a bundle, as its container would have it. */
static struct err read_bundle(struct hooks *h, struct container_config *ret)
{
	cleanup_buf struct buf text = BUF_INIT(CONTAINER_CONFIG_MAX);
	cleanup_free char *path = NULL;
	struct reason why = { "" };
	struct err e;

	if (asprintf(&path, "%s/config.json", h->bundle) < 0)
		return ERR(E_LOCAL_MEMORY);
	if (failed(e = file_read(AT_FDCWD, path, &text)) ||
	    failed(e = container_config_parse(buf_bytes(&text), ret, &why)))
		reason_set(&h->why, "%s: %s", log_quote(bytes_str(path)), why.text[0] != '\0' ? why.text : err_text(e));
	return e;
}

/* Who selects the rules: as for the hook the annotation, which --agent stands for where it is not there yet. */
static struct err choose_agent(struct hooks *h, struct container_config *c, const char **ret)
{
	if (c->agent == NULL)
		c->agent = h->agent;
	*ret = h->agent != NULL ? h->agent : c->agent;
	if (*ret != NULL)
		return ERR(E_OK);
	reason_set(&h->why, "no annotation dev.assay.agent: the hook would let it start as none of ours; --agent names one");
	return ERR(E_AUTH_REFUSED);
}

static struct err judge_bundle(struct hooks *h, const struct container_config *c, const struct container_rules *r)
{
	bool there;
	struct err e;

	if (failed(e = container_judge(c, r, &h->why)) || failed(e = hooks_are_in(c->hooks, &there, &h->why)))
		return e;
	if (there)
		return ERR(E_OK);
	reason_set(&h->why, "hooks.createRuntime: this program is missing (assay-attest hooks install)");
	return ERR(E_AUTH_REFUSED);
}

static struct err print_verdict(const struct hooks *h, const struct container_rules *r, const json_t *seccomp)
{
	cleanup_json json_t *o = NULL;
	uint8_t digest[32];
	char hex[65];
	struct err e;

	if (!h->app->json) {
		if (failed(e = hex_encode(BYTES_ARR(r->digest), hex, sizeof(hex))))
			return e;
		(void)printf("accepted: agent %s, policy %s\n", r->agent, hex);
		return fflush(stdout) == 0 ? ERR(E_OK) : ERR(E_LOCAL_IO);
	}
	if (failed(e = json_new_object(&o)) || failed(e = json_put_str(o, "outcome", "accepted")) ||
	    failed(e = json_put_str(o, "agent", r->agent)) || failed(e = json_put_hex(o, "policy", BYTES_ARR(r->digest))))
		return e;
	if (seccomp != NULL && (failed(e = container_seccomp_digest(seccomp, digest)) ||
				failed(e = json_put_hex(o, "seccomp", BYTES_ARR(digest)))))
		return e;
	return app_print_json(o, stdout);
}

static int check(struct hooks *h)
{
	cleanup_container_config struct container_config c = { 0 };
	cleanup_container_rules struct container_rules r = { 0 };
	cleanup_conf struct conf conf = { 0 };
	const char *agent;
	struct err e;

	if (h->bundle == NULL && h->agent == NULL)
		return usage_error(h->app->program, "hooks check needs --bundle, --agent, or both");
	if (failed(e = conf_load(&h->app->flags, &conf, &h->why)) ||
	    (h->bundle != NULL && failed(e = read_bundle(h, &c))) || failed(e = choose_agent(h, &c, &agent)) ||
	    failed(e = container_rules_load(conf.containers, agent, &r, &h->why)))
		return app_failed(h->app, e, &h->why);
	r.state_dir = conf.state_dir;
	r.socket = conf.socket;
	if ((h->bundle != NULL && failed(e = judge_bundle(h, &c, &r))) || failed(e = print_verdict(h, &r, c.seccomp)))
		return app_failed(h->app, e, &h->why);
	return EXIT_ACCEPTED;
}

static const struct {
	const char *name;
	int (*run)(struct hooks *h);
} parts[] = {
	{ "install", install },
	{ "remove", take_away },
	{ "policy", policy },
	{ "check", check },
};

int verb_hooks(void *ctx, int argc, char **argv)
{
	const struct app *app = ctx;
	struct hooks h = { .app = app, .dir = HOOKS_DIR, .model_at = "/model" };
	const struct opt opts[] = {
		{ "podman", OPT_FLAG, &h.podman, NULL, "install, remove: for podman and CRI-O (the default)", 0 },
		{ "dir", OPT_STRING, &h.dir, "DIR", "where these look for hooks (" HOOKS_DIR ")", 0 },
		{ "bundle", OPT_STRING, &h.bundle, "DIR", "a bundle of runc, crun: its config.json", 0 },
		{ "agent", OPT_STRING, &h.agent, "NAME", "whose rules hold for the container", 0 },
		{ "image", OPT_STRING, &h.image, "LAYOUT[:TAG]", "policy: OCI image", 0 },
		{ "model", OPT_STRING, &h.model, "PATH", "policy: where the model is on the host", 0 },
		{ "model-at", OPT_STRING, &h.model_at, "PATH", "policy: where it is in the container (/model)", 0 },
		{ "allow-devices", OPT_FLAG, &h.allow_devices, NULL, "policy: devices and FIFOs in the image", 0 },
	};
	int n_pos, status;
	char **pos;

	status = verb_options(app->program, app_verb(app, "hooks"), argc, argv, opts, array_len(opts), 1, 1, &pos, &n_pos);
	if (status >= 0)
		return status;
	for (size_t i = 0; i < array_len(parts); i++)
		if (strcmp(pos[0], parts[i].name) == 0)
			return parts[i].run(&h);
	return usage_error(app->program, "hooks: expected install, remove, policy or check");
}
