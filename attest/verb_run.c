/* SPDX-License-Identifier: Apache-2.0 */
/* run: measure, key, start event, attest, command, end event. */
#include "attest/run.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>

#include "attest/start.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"

static const int forwarded[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2 };

struct run_args {
	const char *agent, *image, *image_select, *model;
};

/* With the folder we are in before it, where it is relative. Links stay: measuring refuses them. */
static struct err absolute(const char *path, size_t n, char **ret)
{
	cleanup_free char *cwd = NULL;
	char *out = NULL;

	if (path[0] != '/' && (cwd = getcwd(NULL, 0)) == NULL)
		return ERR(E_LOCAL_IO);
	if (asprintf(&out, "%s%s%.*s", cwd == NULL ? "" : cwd, cwd == NULL ? "" : "/", (int)n, path) < 0)
		return ERR(E_LOCAL_MEMORY);
	*ret = out;
	return ERR(E_OK);
}

static bool is_there(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

/* LAYOUT[:TAG]: a colon behind the last slash splits, unless a folder or an archive has that whole name. */
static struct err set_image(struct instance *i, const struct run_args *a)
{
	const char *slash = strrchr(a->image, '/'), *colon = strrchr(a->image, ':'), *select = a->image_select;
	size_t n = strlen(a->image);

	if (select == NULL && colon != NULL && (slash == NULL || colon > slash) && !is_there(a->image)) {
		n = (size_t)(colon - a->image);
		select = colon + 1;
	}
	if (select != NULL && (i->image_select = strdup(select)) == NULL)
		return ERR(E_LOCAL_MEMORY);
	return absolute(a->image, n, &i->image);
}

static struct err describe(struct run *r, const struct run_args *a)
{
	struct instance *i = &r->instance;
	struct err e;

	if (failed(e = set_image(i, a)) || failed(e = absolute(a->model, strlen(a->model), &i->model)) ||
	    failed(e = random_bytes(i->id, sizeof(i->id))) || failed(e = process_self(&i->parent)))
		return e;
	(void)snprintf(i->agent, sizeof(i->agent), "%s", a->agent);
	i->uid = r->user.uid;
	i->started_s = clock_now_s();
	instance_id_format(i->id, r->id);
	return ERR(E_OK);
}

/* From here on signals wait for us: an instance that has started must end. */
static struct err take_signals(struct run *r)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGCHLD);
	for (size_t i = 0; i < array_len(forwarded); i++)
		(void)sigaddset(&set, forwarded[i]);
	if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
		return ERR(E_LOCAL_IO);
	r->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	/* The command's children come to us when it ends, and end too. */
	if (r->signal_fd < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0)
		return ERR(E_LOCAL_IO);
	return ERR(E_OK);
}

static size_t count_args(char *const *argv)
{
	size_t n = 0;

	while (argv[n] != NULL)
		n++;
	return n;
}

/* Failing to tell the verifier changes nothing. */
static void end_instance(struct run *r)
{
	struct reason why;

	instance_end(r->host, r->instance.id, &why);
	if (why.text[0] != '\0')
		run_say(r, "warning", why.text, NULL);
}

/* A signal that asks to end came before there was a command to forward it to. 0: none. */
static int pending_signal(struct run *r)
{
	struct signalfd_siginfo s;
	int found = 0;

	while (read(r->signal_fd, &s, sizeof(s)) == sizeof(s))
		if (s.ssi_signo == SIGTERM || s.ssi_signo == SIGINT || s.ssi_signo == SIGHUP || s.ssi_signo == SIGQUIT)
			found = (int)s.ssi_signo;
	return found;
}

static int refused(struct run *r, struct err e, const struct attest_reply *reply)
{
	const char *text = reply != NULL ? "it is not accepted" : r->host->why.text;

	run_say(r, "refused", text[0] != '\0' ? text : err_text(e), reply);
	return EXIT_RUN_REFUSED;
}

/* The instance has started: whatever happens here, the caller ends it. */
static int run_command(struct run *r)
{
	const struct spawn s = { .user = &r->user, .argv = r->argv, .agent = r->instance.agent, .instance = r->id,
				 .socket = r->conf->socket };
	const struct attest_options options = { .measure = false };
	cleanup(attest_reply_done) struct attest_reply reply = { 0 };
	int status = EXIT_RUN_REFUSED;
	struct err e;
	pid_t pid;

	if (failed(e = attest(r->host, &options, &reply)))
		return refused(r, e, NULL);
	if (!attest_accepted(&reply, r->instance.id))
		return refused(r, ERR(E_AUTH_REFUSED), &reply);
	status = pending_signal(r);
	if (status != 0)
		return 128 + status;
	r->expires_s = reply.expires_s;
	run_say(r, "accepted", "the command starts", NULL);
	e = spawn_start(&s, &pid, &r->host->why);
	if (failed(e)) {
		run_say(r, "failed", r->host->why.text, NULL);
		return e.code == E_LOCAL_NOT_FOUND  ? EXIT_RUN_NOT_FOUND :
		       e.code == E_LOCAL_PERMISSION ? EXIT_RUN_CANNOT_EXECUTE :
						      EXIT_RUN_REFUSED;
	}
	if (failed(e = run_watch(r, pid, &status)))
		return refused(r, e, NULL);
	return status;
}

static int run(struct run *r, const struct run_args *a)
{
	struct reason *why = &r->host->why;
	struct measured m;
	struct err e;
	int status;

	if (failed(e = user_find(r->conf->user, &r->user, why)) ||
	    failed(e = isolation_check(&r->user, r->conf->tcti, r->conf->state_dir, why)) ||
	    failed(e = describe(r, a)))
		return refused(r, e, NULL);
	run_watch_files(r);
	if (failed(e = measure(&r->instance, &m, why)) ||
	    failed(e = take_signals(r)))
		return refused(r, e, NULL);
	e = instance_start(r->host, &r->instance, &m, count_args(r->argv), r->argv);
	status = failed(e) ? refused(r, e, NULL) : run_command(r);
	end_instance(r);
	return status;
}

static int check_args(const struct app *app, const struct run_args *a)
{
	if (a->agent == NULL || a->image == NULL || a->model == NULL)
		return usage_error(app->program, "run needs --agent, --image and --model");
	if (!id_valid(bytes_str(a->agent)))
		return usage_error(app->program, "--agent: 1 to 64 letters, digits, '.', '_' and '-'");
	return -1;
}

int verb_run(void *ctx, int argc, char **argv)
{
	struct run_args a = { 0 };
	const struct opt opts[] = {
		{ "agent", OPT_STRING, &a.agent, "NAME", "whose agent document is to allow it", 0 },
		{ "image", OPT_STRING, &a.image, "LAYOUT[:TAG]", "OCI image layout folder", 0 },
		{ "image-select", OPT_STRING, &a.image_select, "TAG|DIGEST", "which image of the layout", 0 },
		{ "model", OPT_STRING, &a.model, "PATH", "model: a folder or a file", 0 },
	};
	const struct app *app = ctx;
	cleanup_conf struct conf conf = { 0 };
	cleanup_host struct host host = HOST_INIT;
	struct run r = { .app = app, .conf = &conf, .host = &host, .signal_fd = -1 };
	int n_pos, status;
	char **pos;

	status = verb_options(app->program, app_verb(app, "run"), argc, argv, opts, array_len(opts), 1, INT_MAX, &pos,
			      &n_pos);
	if (status >= 0 || (status = check_args(app, &a)) >= 0)
		return status;
	pos[n_pos] = NULL;
	r.argv = pos;
	status = app_open_enrolled(app, &conf, &host);
	if (status >= 0)
		return EXIT_RUN_REFUSED;
	status = run(&r, &a);
	instance_done(&r.instance);
	changes_free(r.changes);
	if (r.signal_fd >= 0)
		(void)close(r.signal_fd);
	return status;
}
