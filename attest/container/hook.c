/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/container/hook.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "attest/attest.h"
#include "attest/changes.h"
#include "attest/container/config.h"
#include "attest/container/judge.h"
#include "attest/container/mounts.h"
#include "attest/container/place.h"
#include "attest/container/root.h"
#include "attest/container/rules.h"
#include "attest/daemon/ask.h"
#include "attest/start.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"

struct hook {
	struct host *host;
	const struct container_state *state;
	struct container_config config;
	struct container_rules rules;
	struct instance instance;
	struct changes *changes;
	struct measured measured;
	uint64_t digest_ms;
};
static void hook_done(struct hook *k)
{
	changes_free(k->changes);
	instance_done(&k->instance);
	container_rules_done(&k->rules);
	container_config_done(&k->config);
}

/* ---------------------------------------------------------------- what is to start */

static struct err read_config(struct hook *k)
{
	cleanup_buf struct buf text = BUF_INIT(CONTAINER_CONFIG_MAX);
	struct reason *why = &k->host->why;
	cleanup_free char *path = NULL;
	struct err e;

	if (asprintf(&path, "%s/config.json", k->state->bundle) < 0)
		return ERR(E_LOCAL_MEMORY);
	e = file_read(AT_FDCWD, path, &text);
	if (failed(e)) {
		reason_set(why, "%s: %s", log_quote(bytes_str(path)), err_text(e));
		return e;
	}
	if (failed(e = container_config_parse(buf_bytes(&text), &k->config, why)))
		return e;
	k->config.id = k->state->id;
	return ERR(E_OK);
}

static struct err read_rules(struct hook *k)
{
	const struct conf *conf = k->host->conf;
	struct err e = container_rules_load(conf->containers, k->state->agent, &k->rules, &k->host->why);

	k->rules.state_dir = conf->state_dir;
	k->rules.socket = conf->socket;
	return e;
}

/*
 * root.path is relative to the bundle, where it is relative (OCI Runtime Specification, config.md, Root). Links in it
 * are resolved, as the kernel's table of mounts has them.
 */
static struct err set_root(struct hook *k)
{
	const char *root = k->config.root;
	cleanup_free char *path = NULL;
	int n = root[0] == '/' ? asprintf(&path, "%s", root) : asprintf(&path, "%s/%s", k->state->bundle, root);

	if (n < 0) {
		path = NULL;
		return ERR(E_LOCAL_MEMORY);
	}
	k->instance.container.rootfs = realpath(path, NULL);
	if (k->instance.container.rootfs != NULL)
		return ERR(E_OK);
	reason_set(&k->host->why, "the root %s: %s", log_quote(bytes_str(path)), strerrordesc_np(errno) ?: "unknown error");
	return ERR(errno == ENOENT ? E_LOCAL_NOT_FOUND : E_LOCAL_IO);
}

static struct err describe(struct hook *k)
{
	struct instance *i = &k->instance;
	struct instance_container *c = &i->container;
	struct err e;

	i->model = strdup(k->rules.model);
	c->id = strdup(k->state->id);
	c->absent = json_incref((json_t *)(uintptr_t)k->rules.absent);
	if (i->model == NULL || c->id == NULL)
		return ERR(E_LOCAL_MEMORY);
	c->allow_devices = k->rules.allow_devices;
	c->image = k->rules.image;
	memcpy(c->policy, k->rules.digest, sizeof(c->policy));
	(void)snprintf(i->agent, sizeof(i->agent), "%s", k->rules.agent);
	i->started_s = clock_now_s();
	e = process_find(k->state->pid, &i->parent);
	if (failed(e)) {
		reason_set(&k->host->why, "the container's process %d has ended", (int)k->state->pid);
		return e;
	}
	if (failed(e = random_bytes(i->id, sizeof(i->id))) || failed(e = set_root(k)))
		return e;
	return container_host_uid(k->state->pid, k->config.uid, &i->uid, &k->host->why);
}

/* The kernel's word on what the configuration says: it may have been exchanged since the runtime read it. */
static struct err check_place(struct hook *k)
{
	struct reason *why = &k->host->why;
	struct err e;

	if (failed(e = container_namespaces_check(k->state->pid, k->config.namespaces, why)) ||
	    failed(e = container_root_pin(&k->instance.container, k->state->pid, why)))
		return e;
	return container_mounts_check(k->state->pid, k->instance.container.rootfs, k->config.mounts, why);
}

struct twin {
	struct host *host;
	const char *id;
	bool live;                       /* that must be alive */
	bool found;
	uint8_t instance[INSTANCE_ID_LEN];
};

static void look_for_twin(void *ctx, const uint8_t id[INSTANCE_ID_LEN])
{
	cleanup_instance struct instance i = { 0 };
	struct twin *t = ctx;

	if (failed(instance_read(t->host->state_fd, id, &i, NULL, NULL)) || i.container.id == NULL ||
	    strcmp(i.container.id, t->id) != 0 || (t->live && !process_alive(&i.parent)))
		return;
	t->found = true;
	memcpy(t->instance, id, INSTANCE_ID_LEN);
}

static struct err check_first(struct hook *k)
{
	struct twin t = { .host = k->host, .id = k->state->id, .live = true };
	struct err e = instance_each(k->host->state_fd, look_for_twin, &t);

	if (failed(e) || !t.found)
		return e;
	reason_set(&k->host->why, "an instance of container %s lives already", log_quote(bytes_str(k->state->id)));
	return ERR(E_AUTH_CONFLICT);
}

/* ---------------------------------------------------------------- the daemon */

static struct err no_daemon(struct hook *k)
{
	reason_set(&k->host->why, "no assay-attest daemon serves %s: nobody would watch the container",
		   log_quote(bytes_str(k->host->conf->socket)));
	return ERR(E_LOCAL_NOT_FOUND);
}

/* Before anything is digested or written. Whether somebody listens there is seen when he is asked. */
static struct err find_daemon(struct hook *k)
{
	struct stat st;

	return stat(k->host->conf->socket, &st) == 0 && S_ISSOCK(st.st_mode) ? ERR(E_OK) : no_daemon(k);
}

/* ---------------------------------------------------------------- digests */

static struct err watch_files(struct hook *k)
{
	bool whole = false;
	struct err e = changes_watch_root(k->instance.container.rootfs, k->instance.model, &k->changes, &whole,
					  &k->host->why);

	if (!failed(e) && !whole)
		log_warning("changes are not noticed before the next attestation: %s", k->host->why.text);
	return e;
}

static struct err other_root(struct hook *k)
{
	char seen[2 * 32 + 1], want[2 * 32 + 1];
	struct err e;

	if (failed(e = hex_encode(BYTES_ARR(k->measured.container.rootfs), seen, sizeof(seen))) ||
	    failed(e = hex_encode(BYTES_ARR(k->rules.rootfs), want, sizeof(want))))
		return e;
	reason_set(&k->host->why, "the root %s has the digest %s, the rules for agent %s say %s",
		   log_quote(bytes_str(k->instance.container.rootfs)), seen, k->rules.agent, want);
	return ERR(E_AUTH_REFUSED);
}

static struct err measure_all(struct hook *k)
{
	const struct measured *m = &k->measured;
	uint64_t since = clock_boottime_ms();
	struct err e;

	if (failed(e = watch_files(k)) || failed(e = measure(&k->instance, &k->measured, &k->host->why)))
		return e;
	k->digest_ms = clock_boottime_ms() - since;
	if (bytes_eq(BYTES_ARR(m->container.rootfs), BYTES_ARR(k->rules.rootfs)))
		return ERR(E_OK);
	return other_root(k);
}

/* ---------------------------------------------------------------- the instance lives; a failure ends it */

static struct err have_watched(struct hook *k)
{
	cleanup_request struct request q = { .kind = REQUEST_CONTAINER };
	cleanup_json json_t *answer = NULL;
	struct err e;

	memcpy(q.instance, k->instance.id, INSTANCE_ID_LEN);
	e = ask(k->host->conf->socket, &q, ASK_TIMEOUT_S, NULL, &answer, &k->host->why);
	return e.code == E_LOCAL_NOT_FOUND ? no_daemon(k) : e;
}

/* From before the digests until the daemon watched. */
static struct err check_unchanged(struct hook *k)
{
	if (!changes_seen(k->changes))
		return ERR(E_OK);
	reason_set(&k->host->why, "something was done to %s or to %s while they were digested",
		   log_quote(bytes_str(k->instance.container.rootfs)), log_quote(bytes_str(k->instance.model)));
	return ERR(E_PEER_CHANGED);
}

static struct err await_verdict(struct hook *k)
{
	const struct attest_options options = { .measure = false };
	cleanup(attest_reply_done) struct attest_reply reply = { 0 };
	struct err e = attest(k->host, &options, &reply);

	if (failed(e) || attest_accepted(&reply, k->instance.id))
		return e;
	attest_describe(&reply, k->host->why.text, sizeof(k->host->why.text));
	return ERR(E_AUTH_REFUSED);
}

static struct err settle(struct hook *k)
{
	struct err e;

	if (failed(e = have_watched(k)) || (k->rules.verdict_before && failed(e = await_verdict(k))) ||
	    failed(e = check_unchanged(k)))
		return e;
	if (process_alive(&k->instance.parent))
		return ERR(E_OK);
	reason_set(&k->host->why, "the container's process %d has ended", (int)k->state->pid);
	return ERR(E_LOCAL_NOT_FOUND);
}

static struct err start(struct hook *k)
{
	struct reason why, after;
	struct err e = instance_start(k->host, &k->instance, &k->measured, k->config.n_args, k->config.args);

	if (!failed(e))
		e = settle(k);
	if (!failed(e))
		return e;
	why = k->host->why;
	instance_end(k->host, k->instance.id, &after);
	if (after.text[0] != '\0')
		log_warning("%s", after.text);
	k->host->why = why;
	return e;
}

static struct err check_status(const struct container_state *s, struct reason *reterr)
{
	/* The specification calls it "creating" until this hook has run; crun(1) says "created" by then. */
	if ((strcmp(s->status, "creating") == 0 || strcmp(s->status, "created") == 0) && s->pid > 0)
		return ERR(E_OK);
	reason_set(reterr, "the container is %s with process %d: it must be made and not yet started",
		   log_quote(bytes_str(s->status)), (int)s->pid);
	return ERR(E_PEER_RANGE);
}

/* Everything that can be refused before something is digested or written. */
static struct err check(struct hook *k)
{
	struct reason *why = &k->host->why;
	struct err e;

	if (failed(e = check_status(k->state, why)) || failed(e = read_rules(k)) || failed(e = read_config(k)) ||
	    failed(e = container_judge(&k->config, &k->rules, why)) || failed(e = find_daemon(k)) ||
	    failed(e = describe(k)) || failed(e = check_first(k)))
		return e;
	return check_place(k);
}

struct err hook_create_runtime(struct host *h, const struct container_state *s, struct hook_report *ret)
{
	cleanup(hook_done) struct hook k = { .host = h, .state = s };
	uint64_t since = clock_boottime_ms();
	struct err e;

	if (failed(e = check(&k)) || failed(e = measure_all(&k)) || failed(e = start(&k)))
		return e;
	instance_id_format(k.instance.id, ret->instance);
	ret->measured = k.measured;
	ret->digest_ms = k.digest_ms;
	ret->total_ms = clock_boottime_ms() - since;
	return ERR(E_OK);
}

struct err hook_poststop(struct host *h, const struct container_state *s, struct reason *ret_why)
{
	struct twin t = { .host = h, .id = s->id };
	struct err e = instance_each(h->state_fd, look_for_twin, &t);

	ret_why->text[0] = '\0';
	if (!failed(e) && t.found)
		instance_end(h, t.instance, ret_why);
	return e;
}
