/* SPDX-License-Identifier: Apache-2.0 */
/* container_judge(): what process says. */
#include "attest/container/judge_impl.h"

static bool is_same_vector(const struct container_config *c, const json_t *vector)
{
	if (json_array_size(vector) != c->n_args)
		return false;
	for (size_t i = 0; i < c->n_args; i++)
		if (strcmp(c->args[i], json_string_value(json_array_get(vector, i))) != 0)
			return false;
	return true;
}

static struct err judge_args(const struct judge *j)
{
	if (j->r->args == NULL)
		return ERR(E_OK);
	for (size_t i = 0; i < json_array_size(j->r->args); i++)
		if (is_same_vector(j->c, json_array_get(j->r->args, i)))
			return ERR(E_OK);
	return refuse(j, "process.args: \"%s\" with %zu arguments is none of the %zu permitted (args)",
		      shown(j->c->args[0]), j->c->n_args - 1, json_array_size(j->r->args));
}

static bool is_word(const char *s)
{
	return s[strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._+-")] == '\0';
}

/* What podman sets by itself, as far as the rules do not speak of it. */
static bool is_usual_variable(const char *name, const char *value)
{
	static const char *const usual[] = { "HOSTNAME", "TERM", "container" };

	for (size_t i = 0; i < array_len(usual); i++)
		if (strcmp(name, usual[i]) == 0)
			return is_word(value);
	return false;
}

/* Length of the name in NAME=VALUE; 0: there is none. */
static size_t name_length(const char *variable)
{
	size_t n = strcspn(variable, "=");

	return variable[n] == '=' ? n : 0;
}

/* Programs and runtimes do not agree on which of two counts. */
static bool is_repeated(const json_t *env, size_t i, const char *variable, size_t n)
{
	for (size_t k = 0; k < i; k++)
		if (strncmp(json_string_value(json_array_get(env, k)), variable, n + 1) == 0)
			return true;
	return false;
}

static struct err judge_variable(const struct judge *j, size_t i)
{
	const char *variable = json_string_value(json_array_get(j->c->env, i));
	size_t n = name_length(variable);
	cleanup_free char *name = strndup(variable, n);
	const json_t *want;

	if (name == NULL)
		return ERR(E_LOCAL_MEMORY);
	if (n == 0)
		return refuse(j, "process.env: \"%s\" is not NAME=VALUE", shown(variable));
	if (is_repeated(j->c->env, i, variable, n))
		return refuse(j, "process.env: %s is set twice", shown(name));
	want = json_object_get(j->r->env, name);
	if (want == NULL && !is_usual_variable(name, variable + n + 1))
		return refuse(j, "process.env: %s is not permitted (env)", shown(variable));
	if (json_is_string(want) && strcmp(variable + n + 1, json_string_value(want)) != 0)
		return refuse(j, "process.env: %s, but its permitted value is \"%s\" (env)", shown(variable),
			      shown(json_string_value(want)));
	return ERR(E_OK);
}

static bool is_set(const json_t *env, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < json_array_size(env); i++) {
		const char *v = json_string_value(json_array_get(env, i));

		if (strncmp(v, name, n) == 0 && v[n] == '=')
			return true;
	}
	return false;
}

static struct err judge_env(const struct judge *j)
{
	json_t *wanted = (json_t *)(uintptr_t)j->r->env;
	struct err e;

	for (size_t i = 0; i < json_array_size(j->c->env); i++)
		if (failed(e = judge_variable(j, i)))
			return e;
	for (void *it = json_object_iter(wanted); it != NULL; it = json_object_iter_next(wanted, it)) {
		const char *name = json_object_iter_key(it);

		if (json_is_string(json_object_iter_value(it)) && !is_set(j->c->env, name))
			return refuse(j, "process.env: %s is missing, \"%s\" is expected (env)", shown(name),
				      shown(json_string_value(json_object_iter_value(it))));
	}
	return ERR(E_OK);
}

static bool lists_number(const json_t *list, uint32_t number)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		if (json_integer_value(json_array_get(list, i)) == (json_int_t)number)
			return true;
	return false;
}

static struct err judge_user(const struct judge *j)
{
	const struct container_config *c = j->c;
	const struct container_rules *r = j->r;

	if (c->uid != r->uid)
		return refuse(j, "process.user.uid is %u, %u is permitted (user)", c->uid, r->uid);
	if (c->gid != r->gid)
		return refuse(j, "process.user.gid is %u, %u is permitted (user)", c->gid, r->gid);
	for (size_t i = 0; i < json_array_size(c->additional_gids); i++) {
		uint32_t gid = (uint32_t)json_integer_value(json_array_get(c->additional_gids, i));

		if (gid != r->gid && !lists_number(r->additional_gids, gid))
			return refuse(j, "process.user.additionalGids: %u is not permitted (user.additional_gids)", gid);
	}
	return ERR(E_OK);
}

static struct err judge_capabilities(const struct judge *j)
{
	json_t *sets = (json_t *)(uintptr_t)j->c->capabilities;

	if (sets == NULL)
		return refuse(j, "process.capabilities is missing: which ones there are would be left to the runtime");
	for (void *it = json_object_iter(sets); it != NULL; it = json_object_iter_next(sets, it)) {
		const json_t *list = json_object_iter_value(it);

		for (size_t i = 0; i < json_array_size(list); i++) {
			const char *name = json_string_value(json_array_get(list, i));

			if (!judge_lists(j->r->capabilities, name))
				return refuse(j, "process.capabilities.%s: %s is not permitted (capabilities)",
					      json_object_iter_key(it), shown(name));
		}
	}
	return ERR(E_OK);
}

/* Profiles that engines load for containers by themselves. */
static struct err judge_apparmor(const struct judge *j)
{
	static const char *const usual[] = { "containers-default-", "docker-default", "crio-default",
					     "cri-containerd.apparmor.d" };
	const char *profile = j->c->apparmor ?: "";

	if (j->r->apparmor != NULL && strcmp(profile, j->r->apparmor) != 0)
		return refuse(j, "process.apparmorProfile is \"%s\", \"%s\" is expected (apparmor)", shown(profile),
			      shown(j->r->apparmor));
	if (j->r->apparmor != NULL || profile[0] == '\0')
		return ERR(E_OK);
	for (size_t i = 0; i < array_len(usual); i++)
		if (strncmp(profile, usual[i], strlen(usual[i])) == 0)
			return ERR(E_OK);
	return refuse(j, "process.apparmorProfile \"%s\" is not permitted (apparmor)", shown(profile));
}

/* user:role:type:level, with the type that container policies give to every container, and no other. */
static bool has_type(const char *label, const char *type)
{
	const char *p = strchr(label, ':');
	size_t n = strlen(type);

	p = p == NULL ? NULL : strchr(p + 1, ':');
	return p != NULL && strncmp(p + 1, type, n) == 0 && (p[1 + n] == ':' || p[1 + n] == '\0');
}

static struct err judge_selinux(const struct judge *j)
{
	const char *label = j->c->selinux ?: "", *mounts = j->c->mount_label ?: "";

	if (label[0] != '\0' && !has_type(label, "container_t"))
		return refuse(j, "process.selinuxLabel \"%s\": the type container_t is expected", shown(label));
	if (mounts[0] != '\0' && !has_type(mounts, "container_file_t"))
		return refuse(j, "linux.mountLabel \"%s\": the type container_file_t is expected", shown(mounts));
	return ERR(E_OK);
}

struct err judge_process(const struct judge *j)
{
	struct err e;

	if (!j->c->no_new_privileges)
		return refuse(j, "process.noNewPrivileges is false, it must be true "
				 "(podman run --security-opt=no-new-privileges)");
	if (failed(e = judge_user(j)) || failed(e = judge_capabilities(j)) || failed(e = judge_args(j)) ||
	    failed(e = judge_env(j)) || failed(e = judge_apparmor(j)) || failed(e = judge_selinux(j)))
		return e;
	if (strcmp(j->c->cwd, j->r->cwd) != 0)
		return refuse(j, "process.cwd is \"%s\", \"%s\" is expected (cwd)", shown(j->c->cwd), shown(j->r->cwd));
	return ERR(E_OK);
}
