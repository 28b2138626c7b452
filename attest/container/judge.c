/* SPDX-License-Identifier: Apache-2.0 */
/* container_judge(): the parts in their order, root, hooks and annotations. */
#include "attest/container/judge_impl.h"

#include "attest/container/path.h"
#include "attest/container/state.h"

bool judge_lists(const json_t *list, const char *text)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *s = json_string_value(json_array_get(list, i));

		if (s != NULL && strcmp(s, text) == 0)
			return true;
	}
	return false;
}

bool judge_permits(const json_t *map, const char *name, const char *value)
{
	const json_t *v = json_object_get(map, name);

	if (v == NULL)
		return false;
	return json_is_null(v) || (json_is_string(v) && strcmp(json_string_value(v), value) == 0);
}

const char *judge_text(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key)) ?: "";
}

static struct err judge_root(const struct judge *j)
{
	if (!j->c->root_readonly)
		return refuse(j, "root.readonly is false: the root must be read-only (podman run --read-only)");
	return ERR(E_OK);
}

/* The path that our own hooks have. */
static struct err own_program(const struct judge *j, char ret[LIMIT_PATH])
{
	ssize_t n;

	if (j->r->program != NULL) {
		(void)snprintf(ret, LIMIT_PATH, "%s", j->r->program);
		return ERR(E_OK);
	}
	n = readlink("/proc/self/exe", ret, LIMIT_PATH - 1);
	if (n < 0) {
		reason_set(j->reterr, "/proc/self/exe cannot be read");
		return ERR(E_LOCAL_IO);
	}
	ret[n] = '\0';
	return ERR(E_OK);
}

/* Nothing of the starter's is in the environment: none that is there is not an empty one (judge.h). */
static bool has_own_environment(const json_t *hook)
{
	const json_t *env = json_object_get(hook, "env");
	size_t n = json_array_size(env);

	return env != NULL && (n == 0 || (n == 1 && judge_lists(env, CONTAINER_HOOK_ENV)));
}

/* Where ours may stand, and that it is called as it wants to be. */
static bool is_ours(const json_t *hook, const char *stage, const char *program)
{
	const json_t *args = json_object_get(hook, "args");
	size_t n = json_array_size(args);

	return strcmp(judge_text(hook, "path"), program) == 0 && has_own_environment(hook) &&
	       (strcmp(stage, "createRuntime") == 0 || strcmp(stage, "poststop") == 0) && n >= 3 &&
	       judge_lists(args, "oci-hook") && strcmp(json_string_value(json_array_get(args, n - 1)), stage) == 0;
}

static struct err judge_hooks(const struct judge *j)
{
	char program[LIMIT_PATH];
	json_t *hooks = (json_t *)(uintptr_t)j->c->hooks;
	struct err e;

	if (failed(e = own_program(j, program)))
		return e;
	for (void *it = json_object_iter(hooks); it != NULL; it = json_object_iter_next(hooks, it)) {
		const char *stage = json_object_iter_key(it);
		const json_t *list = json_object_iter_value(it);

		for (size_t i = 0; i < json_array_size(list); i++) {
			const json_t *hook = json_array_get(list, i);

			if (!is_ours(hook, stage, program) && !judge_lists(j->r->hooks, judge_text(hook, "path")))
				return refuse(j, "hooks.%s[%zu]: %s is not permitted (hooks)", stage, i,
					      shown(judge_text(hook, "path")));
		}
	}
	return ERR(E_OK);
}

/* These say something to people and to engines. Runtimes obey others: run.oci.*, org.systemd.property.*, ... */
static bool is_mere_word(const char *name, const char *value)
{
	static const char *const beginnings[] = { "io.container.", "io.kubernetes.cri-o.", "io.podman.annotations.",
						  "org.opencontainers.image." };

	if (strcmp(name, CONTAINER_ANNOTATION) == 0)
		return true;
	if (strcmp(name, CONTAINER_HOOK_STDERR) == 0)
		return strcmp(value, CONTAINER_HOOK_STDERR_VALUE) == 0;
	for (size_t i = 0; i < array_len(beginnings); i++)
		if (strncmp(name, beginnings[i], strlen(beginnings[i])) == 0)
			return true;
	return false;
}

static struct err judge_annotations(const struct judge *j)
{
	json_t *all = (json_t *)(uintptr_t)j->c->annotations;

	if (j->c->agent == NULL || strcmp(j->c->agent, j->r->agent) != 0)
		return refuse(j, "annotation " CONTAINER_ANNOTATION " is %s, the rules are those of agent %s",
			      j->c->agent == NULL ? "missing" : j->c->agent, j->r->agent);
	for (void *it = json_object_iter(all); it != NULL; it = json_object_iter_next(all, it)) {
		const char *name = json_object_iter_key(it), *value = json_string_value(json_object_iter_value(it));

		if (!is_mere_word(name, value) && !judge_permits(j->r->annotations, name, value))
			return refuse(j, "annotation %s = \"%s\" is not permitted (annotations)", shown(name),
				      shown(value));
	}
	return ERR(E_OK);
}

struct err container_judge(const struct container_config *c, const struct container_rules *r, struct reason *reterr)
{
	const struct judge j = { c, r, reterr };
	struct err e;

	if (failed(e = judge_annotations(&j)) || failed(e = judge_root(&j)) || failed(e = judge_process(&j)) ||
	    failed(e = judge_linux(&j)) || failed(e = judge_devices(&j)) || failed(e = judge_seccomp(&j)) ||
	    failed(e = judge_mounts(&j)))
		return e;
	return judge_hooks(&j);
}
