/* SPDX-License-Identifier: Apache-2.0 */
/* oci-hook: called by a container runtime, with the container's state on standard input. */
#include <string.h>
#include <syslog.h>

#include "attest/app.h"
#include "attest/container/hook.h"
#include "base/file.h"
#include "base/log.h"

static struct err read_state(struct container_state *ret, struct reason *reterr)
{
	cleanup_buf struct buf text = BUF_INIT(CONTAINER_STATE_MAX);
	struct err e = fd_read(STDIN_FILENO, &text);

	if (failed(e)) {
		reason_set(reterr, "the state of a container is expected on standard input: %s", err_text(e));
		return e;
	}
	return container_state_parse(buf_bytes(&text), ret, reterr);
}

/* Some runtimes throw away what a hook says; so the system's log has it too, where there is one. */
static void tell(int priority, const struct container_state *s, const char *what, const char *text)
{
	openlog("assay-attest", LOG_PID | LOG_NDELAY, LOG_AUTHPRIV);
	syslog(priority, "container %s: %s%s", log_quote(bytes_str(s->id)), what, text);
	closelog();
}

static int refused(const struct app *app, const struct container_state *s, struct err e, const struct reason *why)
{
	tell(LOG_WARNING, s, "refused: ", why->text[0] != '\0' ? why->text : err_text(e));
	return app_failed(app, e, why);
}

static struct err report_json(const struct container_state *s, const struct hook_report *r)
{
	cleanup_json json_t *o = NULL;
	struct err e;

	if (failed(e = json_new_object(&o)) || failed(e = json_put_str(o, "event", "started")) ||
	    failed(e = json_put_str(o, "container", s->id)) || failed(e = json_put_str(o, "agent", s->agent)) ||
	    failed(e = json_put_str(o, "instance", r->instance)) ||
	    failed(e = json_put_hex(o, "rootfs", BYTES_ARR(r->measured.container.rootfs))) ||
	    failed(e = json_put_hex(o, "policy", BYTES_ARR(r->measured.container.policy))) ||
	    failed(e = json_put_hex(o, "model", BYTES_ARR(r->measured.model.manifest))) ||
	    failed(e = json_put_int(o, "digest_ms", (int64_t)r->digest_ms)) ||
	    failed(e = json_put_int(o, "total_ms", (int64_t)r->total_ms)))
		return e;
	return app_print_json(o, stderr);
}

/* Nobody reads it in most cases: the exit status tells the runtime. */
static void report(const struct app *app, const struct container_state *s, const struct hook_report *r)
{
	struct err e = ERR(E_OK);

	tell(LOG_INFO, s, "may start as instance ", r->instance);
	if (app->json)
		e = report_json(s, r);
	else
		(void)fprintf(stderr, "assay-attest: instance %s: container %s of agent %s may start (digests %llu ms, all %llu ms)\n",
			      r->instance, log_quote(bytes_str(s->id)), s->agent, (unsigned long long)r->digest_ms,
			      (unsigned long long)r->total_ms);
	if (failed(e))
		log_debug("standard error is closed");
}

static int create_runtime(const struct app *app, struct host *h, const struct container_state *s)
{
	struct hook_report r;
	struct err e = hook_create_runtime(h, s, &r);

	if (failed(e))
		return refused(app, s, e, &h->why);
	report(app, s, &r);
	return EXIT_SUCCESS;
}

static int poststop(const struct app *app, struct host *h, const struct container_state *s)
{
	struct reason after;
	struct err e = hook_poststop(h, s, &after);

	if (failed(e))
		return refused(app, s, e, &h->why);
	if (after.text[0] != '\0')
		log_warning("%s", after.text);
	return EXIT_SUCCESS;
}

static const struct {
	const char *name;
	int (*run)(const struct app *app, struct host *h, const struct container_state *s);
} stages[] = {
	{ "createRuntime", create_runtime },
	{ "poststop", poststop },
};

int verb_oci_hook(void *ctx, int argc, char **argv)
{
	const struct app *app = ctx;
	cleanup_container_state struct container_state state = { 0 };
	cleanup_conf struct conf conf = { 0 };
	cleanup_host struct host host = HOST_INIT;
	struct reason why = { "" };
	size_t i = 0;
	int n_pos, status;
	char **pos;
	struct err e;

	status = verb_options(app->program, app_verb(app, "oci-hook"), argc, argv, NULL, 0, 1, 1, &pos, &n_pos);
	if (status >= 0)
		return status;
	while (i < array_len(stages) && strcmp(stages[i].name, pos[0]) != 0)
		i++;
	if (i == array_len(stages))
		return usage_error(app->program, "oci-hook: createRuntime or poststop, not %s", log_quote(bytes_str(pos[0])));
	if (failed(e = read_state(&state, &why)))
		return app_failed(app, e, &why);
	/* A container that asks for nothing: it is no instance, and gets nothing. */
	if (state.agent == NULL)
		return EXIT_SUCCESS;
	status = app_open_enrolled(app, &conf, &host);
	return status >= 0 ? status : stages[i].run(app, &host, &state);
}
