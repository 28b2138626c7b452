/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/container/config.h"

#include <string.h>

#include "attest/container/state.h"
#include "base/log.h"

void container_config_done(struct container_config *c)
{
	free(c->args);
	json_decref(c->json);
	*c = (struct container_config){ 0 };
}

/* What a member may be, beside absent; null counts as absent, as Go's encoders write it for empty lists and maps. */
enum shape { SHAPE_ANY, SHAPE_TEXT, SHAPE_TEXTS, SHAPE_NUMBERS, SHAPE_OBJECTS, SHAPE_TEXT_MAP, SHAPE_OBJECT };

static struct err wrong(const struct jobj *o, const char *key, enum err_code code, const char *what)
{
	reason_set(o->reterr, "%s%s%s: %s", o->where, o->where[0] != '\0' ? "." : "", key, what);
	return ERR(code);
}

static bool is_text(const json_t *j)
{
	return json_is_string(j) && json_string_length(j) <= LIMIT_DOCUMENT;
}

static bool is_number(const json_t *j)
{
	return json_is_integer(j) && json_integer_value(j) >= 0 && json_integer_value(j) <= UINT32_MAX;
}

static bool is_object(const json_t *j)
{
	return json_is_object(j);
}

static struct err check_list(const struct jobj *o, const char *key, const json_t *j, bool (*fits)(const json_t *),
			     const char *what)
{
	if (!json_is_array(j))
		return wrong(o, key, E_PEER_TYPE, "an array is expected");
	if (json_array_size(j) > CONTAINER_LIST_MAX)
		return wrong(o, key, E_LIMIT_COUNT, "too many elements");
	for (size_t i = 0; i < json_array_size(j); i++)
		if (!fits(json_array_get(j, i)))
			return wrong(o, key, E_PEER_TYPE, what);
	return ERR(E_OK);
}

static struct err check_map(const struct jobj *o, const char *key, const json_t *j)
{
	const char *name;
	json_t *v;

	if (!json_is_object(j))
		return wrong(o, key, E_PEER_TYPE, "an object is expected");
	if (json_object_size(j) > CONTAINER_LIST_MAX)
		return wrong(o, key, E_LIMIT_COUNT, "too many members");
	json_object_foreach((json_t *)(uintptr_t)j, name, v)
		if (!is_text(v))
			return wrong(o, key, E_PEER_TYPE, "texts are expected in it");
	return ERR(E_OK);
}

static struct err check_shape(const struct jobj *o, const char *key, const json_t *j, enum shape shape)
{
	switch (shape) {
	case SHAPE_TEXT:
		return is_text(j) ? ERR(E_OK) : wrong(o, key, E_PEER_TYPE, "text is expected");
	case SHAPE_TEXTS:
		return check_list(o, key, j, is_text, "texts are expected in it");
	case SHAPE_NUMBERS:
		return check_list(o, key, j, is_number, "numbers of users or groups are expected in it");
	case SHAPE_OBJECTS:
		return check_list(o, key, j, is_object, "objects are expected in it");
	case SHAPE_TEXT_MAP:
		return check_map(o, key, j);
	case SHAPE_OBJECT:
		return json_is_object(j) ? ERR(E_OK) : wrong(o, key, E_PEER_TYPE, "an object is expected");
	case SHAPE_ANY:
		break;
	}
	return ERR(E_OK);
}

/* A member that a section may have, and where it goes. */
struct member {
	const char *name;
	enum shape shape;
	const json_t **to;
};

static struct err take_members(struct jobj *o, const struct member *m, size_t n)
{
	const json_t *j;
	struct err e;

	for (size_t i = 0; i < n; i++) {
		if (!jobj_has(o, m[i].name))
			continue;
		if (failed(e = jobj_any(o, m[i].name, &j)))
			return e;
		if (json_is_null(j))
			continue;
		if (failed(e = check_shape(o, m[i].name, j, m[i].shape)))
			return e;
		if (m[i].to != NULL)
			*m[i].to = j;
	}
	return ERR(E_OK);
}

/* Each object of a list has these members and no others. */
static struct err check_entries(const json_t *list, const char *where, const struct member *m, size_t n,
				struct reason *reterr)
{
	struct err e;

	for (size_t i = 0; i < json_array_size(list); i++) {
		char name[64];
		struct jobj o;

		(void)snprintf(name, sizeof(name), "%s[%zu]", where, i);
		if (failed(e = jobj_init(&o, json_array_get(list, i), name, reterr)) ||
		    failed(e = take_members(&o, m, n)) || failed(e = jobj_end(&o)))
			return e;
	}
	return ERR(E_OK);
}

static struct err take_capabilities(const json_t *j, struct reason *reterr)
{
	static const struct member sets[] = {
		{ "bounding", SHAPE_TEXTS, NULL },    { "effective", SHAPE_TEXTS, NULL },
		{ "inheritable", SHAPE_TEXTS, NULL }, { "permitted", SHAPE_TEXTS, NULL },
		{ "ambient", SHAPE_TEXTS, NULL },
	};
	struct jobj o;
	struct err e;

	if (j == NULL)
		return ERR(E_OK);
	if (failed(e = jobj_init(&o, j, "process.capabilities", reterr)) ||
	    failed(e = take_members(&o, sets, array_len(sets))))
		return e;
	return jobj_end(&o);
}

static struct err take_user(const json_t *j, struct container_config *c, struct reason *reterr)
{
	const struct member more[] = {
		{ "additionalGids", SHAPE_NUMBERS, &c->additional_gids },
		{ "umask", SHAPE_ANY, NULL },
	};
	uint64_t uid, gid;
	struct jobj o;
	struct err e;

	if (failed(e = jobj_init(&o, j, "process.user", reterr)) || failed(e = jobj_u64(&o, "uid", UINT32_MAX, &uid)) ||
	    failed(e = jobj_u64(&o, "gid", UINT32_MAX, &gid)) || failed(e = take_members(&o, more, array_len(more))) ||
	    failed(e = jobj_end(&o)))
		return e;
	c->uid = (uint32_t)uid;
	c->gid = (uint32_t)gid;
	return ERR(E_OK);
}

static struct err take_args(const json_t *list, struct container_config *c, struct reason *reterr)
{
	c->n_args = json_array_size(list);
	if (c->n_args == 0) {
		reason_set(reterr, "process.args: a program is expected");
		return ERR(E_PEER_MISSING);
	}
	c->args = calloc(c->n_args + 1, sizeof(*c->args));
	if (c->args == NULL)
		return ERR(E_LOCAL_MEMORY);
	for (size_t i = 0; i < c->n_args; i++)
		c->args[i] = (char *)(uintptr_t)json_string_value(json_array_get(list, i));
	return ERR(E_OK);
}

static struct err take_process(const json_t *j, struct container_config *c, struct reason *reterr)
{
	const json_t *args = NULL, *user, *apparmor = NULL, *selinux = NULL;
	const struct member more[] = {
		{ "args", SHAPE_TEXTS, &args },
		{ "env", SHAPE_TEXTS, &c->env },
		{ "capabilities", SHAPE_OBJECT, &c->capabilities },
		{ "apparmorProfile", SHAPE_TEXT, &apparmor },
		{ "selinuxLabel", SHAPE_TEXT, &selinux },
		{ "terminal", SHAPE_ANY, NULL },
		{ "consoleSize", SHAPE_ANY, NULL },
		{ "rlimits", SHAPE_ANY, NULL },
		{ "oomScoreAdj", SHAPE_ANY, NULL },
		{ "ioPriority", SHAPE_ANY, NULL },
		{ "scheduler", SHAPE_ANY, NULL },
		{ "execCPUAffinity", SHAPE_ANY, NULL },
	};
	struct jobj o;
	struct err e;

	if (failed(e = jobj_init(&o, j, "process", reterr)) || failed(e = jobj_obj(&o, "user", &user)) ||
	    failed(e = take_user(user, c, reterr)) || failed(e = jobj_str(&o, "cwd", LIMIT_PATH, &c->cwd)) ||
	    (jobj_has(&o, "noNewPrivileges") &&
	     failed(e = jobj_bool(&o, "noNewPrivileges", &c->no_new_privileges))) ||
	    failed(e = take_members(&o, more, array_len(more))) || failed(e = jobj_end(&o)) ||
	    failed(e = take_args(args, c, reterr)) || failed(e = take_capabilities(c->capabilities, reterr)))
		return e;
	c->apparmor = json_string_value(apparmor);
	c->selinux = json_string_value(selinux);
	if (c->cwd[0] != '/')
		return wrong(&o, "cwd", E_PEER_RANGE, "an absolute path is expected");
	return ERR(E_OK);
}

static struct err take_root(const json_t *j, struct container_config *c, struct reason *reterr)
{
	struct jobj o;
	struct err e;

	if (failed(e = jobj_init(&o, j, "root", reterr)) || failed(e = jobj_str(&o, "path", LIMIT_PATH, &c->root)) ||
	    (jobj_has(&o, "readonly") && failed(e = jobj_bool(&o, "readonly", &c->root_readonly))) ||
	    failed(e = jobj_end(&o)))
		return e;
	return c->root[0] != '\0' ? ERR(E_OK) : wrong(&o, "path", E_PEER_RANGE, "a path is expected");
}

static struct err take_resources(const json_t *j, struct container_config *c, struct reason *reterr)
{
	const struct member more[] = {
		{ "devices", SHAPE_OBJECTS, &c->device_rules },
		{ "unified", SHAPE_TEXT_MAP, &c->unified },
		{ "memory", SHAPE_OBJECT, NULL },
		{ "cpu", SHAPE_OBJECT, NULL },
		{ "pids", SHAPE_OBJECT, NULL },
		{ "blockIO", SHAPE_OBJECT, NULL },
		{ "hugepageLimits", SHAPE_OBJECTS, NULL },
		{ "network", SHAPE_OBJECT, NULL },
		{ "rdma", SHAPE_OBJECT, NULL },
	};
	static const struct member rule[] = {
		{ "allow", SHAPE_ANY, NULL }, { "type", SHAPE_TEXT, NULL },   { "major", SHAPE_ANY, NULL },
		{ "minor", SHAPE_ANY, NULL }, { "access", SHAPE_TEXT, NULL },
	};
	struct jobj o;
	struct err e;

	if (j == NULL)
		return ERR(E_OK);
	if (failed(e = jobj_init(&o, j, "linux.resources", reterr)) ||
	    failed(e = take_members(&o, more, array_len(more))) || failed(e = jobj_end(&o)))
		return e;
	return check_entries(c->device_rules, "linux.resources.devices", rule, array_len(rule), reterr);
}

static struct err check_seccomp(const json_t *j, struct reason *reterr)
{
	const json_t *calls = NULL;
	const struct member more[] = {
		{ "defaultAction", SHAPE_TEXT, NULL },  { "defaultErrnoRet", SHAPE_ANY, NULL },
		{ "architectures", SHAPE_TEXTS, NULL }, { "flags", SHAPE_TEXTS, NULL },
		{ "listenerPath", SHAPE_TEXT, NULL },   { "listenerMetadata", SHAPE_TEXT, NULL },
		{ "syscalls", SHAPE_OBJECTS, &calls },
	};
	static const struct member call[] = {
		{ "names", SHAPE_TEXTS, NULL },  { "action", SHAPE_TEXT, NULL },
		{ "errnoRet", SHAPE_ANY, NULL }, { "args", SHAPE_OBJECTS, NULL },
	};
	struct jobj o;
	struct err e;

	if (j == NULL)
		return ERR(E_OK);
	if (failed(e = jobj_init(&o, j, "linux.seccomp", reterr)) ||
	    failed(e = take_members(&o, more, array_len(more))) || failed(e = jobj_end(&o)))
		return e;
	return check_entries(calls, "linux.seccomp.syscalls", call, array_len(call), reterr);
}

static struct err check_linux_entries(const struct container_config *c, struct reason *reterr)
{
	static const struct member space[] = { { "type", SHAPE_TEXT, NULL }, { "path", SHAPE_TEXT, NULL } };
	static const struct member device[] = {
		{ "type", SHAPE_TEXT, NULL }, { "path", SHAPE_TEXT, NULL },    { "major", SHAPE_ANY, NULL },
		{ "minor", SHAPE_ANY, NULL }, { "fileMode", SHAPE_ANY, NULL }, { "uid", SHAPE_ANY, NULL },
		{ "gid", SHAPE_ANY, NULL },
	};
	struct err e;

	if (failed(e = check_entries(c->namespaces, "linux.namespaces", space, array_len(space), reterr)) ||
	    failed(e = check_seccomp(c->seccomp, reterr)))
		return e;
	return check_entries(c->devices, "linux.devices", device, array_len(device), reterr);
}

static struct err take_linux(const json_t *j, struct container_config *c, struct reason *reterr)
{
	const json_t *resources = NULL, *label = NULL, *propagation = NULL, *cgroups = NULL;
	const struct member more[] = {
		{ "namespaces", SHAPE_OBJECTS, &c->namespaces },
		{ "uidMappings", SHAPE_OBJECTS, &c->uid_mappings },
		{ "gidMappings", SHAPE_OBJECTS, &c->gid_mappings },
		{ "devices", SHAPE_OBJECTS, &c->devices },
		{ "resources", SHAPE_OBJECT, &resources },
		{ "cgroupsPath", SHAPE_TEXT, &cgroups },
		{ "sysctl", SHAPE_TEXT_MAP, &c->sysctl },
		{ "seccomp", SHAPE_OBJECT, &c->seccomp },
		{ "rootfsPropagation", SHAPE_TEXT, &propagation },
		{ "maskedPaths", SHAPE_TEXTS, &c->masked },
		{ "readonlyPaths", SHAPE_TEXTS, &c->readonly_paths },
		{ "mountLabel", SHAPE_TEXT, &label },
		{ "personality", SHAPE_OBJECT, &c->personality },
	};
	struct jobj o;
	struct err e;

	if (failed(e = jobj_init(&o, j, "linux", reterr)) || failed(e = take_members(&o, more, array_len(more))) ||
	    failed(e = jobj_end(&o)) || failed(e = take_resources(resources, c, reterr)))
		return e;
	c->mount_label = json_string_value(label);
	c->propagation = json_string_value(propagation);
	c->cgroups_path = json_string_value(cgroups);
	return check_linux_entries(c, reterr);
}

static struct err take_hooks(const json_t *j, struct reason *reterr)
{
	static const char *const stages[] = { "prestart",	"createRuntime", "createContainer",
					      "startContainer", "poststart",	 "poststop" };
	static const struct member hook[] = {
		{ "path", SHAPE_TEXT, NULL },
		{ "args", SHAPE_TEXTS, NULL },
		{ "env", SHAPE_TEXTS, NULL },
		{ "timeout", SHAPE_ANY, NULL },
	};
	struct jobj o;
	struct err e;

	if (j == NULL)
		return ERR(E_OK);
	if (failed(e = jobj_init(&o, j, "hooks", reterr)))
		return e;
	for (size_t i = 0; i < array_len(stages); i++) {
		const json_t *list = NULL;
		const struct member stage = { stages[i], SHAPE_OBJECTS, &list };

		if (failed(e = take_members(&o, &stage, 1)) ||
		    failed(e = check_entries(list, stages[i], hook, array_len(hook), reterr)))
			return e;
	}
	return jobj_end(&o);
}

static struct err take_mounts(const json_t *list, struct reason *reterr)
{
	static const struct member mount[] = {
		{ "destination", SHAPE_TEXT, NULL }, { "type", SHAPE_TEXT, NULL },
		{ "source", SHAPE_TEXT, NULL },      { "options", SHAPE_TEXTS, NULL },
		{ "uidMappings", SHAPE_OBJECTS, NULL }, { "gidMappings", SHAPE_OBJECTS, NULL },
	};

	return check_entries(list, "mounts", mount, array_len(mount), reterr);
}

static struct err take_annotations(struct container_config *c, struct reason *reterr)
{
	struct jobj o;
	struct err e;

	if (c->annotations == NULL)
		return ERR(E_OK);
	if (failed(e = jobj_init(&o, c->annotations, "annotations", reterr)))
		return e;
	return jobj_has(&o, CONTAINER_ANNOTATION) ? jobj_id(&o, CONTAINER_ANNOTATION, &c->agent) : ERR(E_OK);
}

static struct err take(struct container_config *c, struct reason *reterr)
{
	const json_t *process, *root, *linux_part;
	const struct member more[] = {
		{ "mounts", SHAPE_OBJECTS, &c->mounts },
		{ "hooks", SHAPE_OBJECT, &c->hooks },
		{ "annotations", SHAPE_TEXT_MAP, &c->annotations },
		{ "hostname", SHAPE_TEXT, NULL },
		{ "domainname", SHAPE_TEXT, NULL },
	};
	const char *version;
	struct jobj o;
	struct err e;

	if (failed(e = jobj_init(&o, c->json, "", reterr)) || failed(e = jobj_str(&o, "ociVersion", 64, &version)) ||
	    failed(e = jobj_obj(&o, "process", &process)) || failed(e = jobj_obj(&o, "root", &root)) ||
	    failed(e = jobj_obj(&o, "linux", &linux_part)) || failed(e = take_members(&o, more, array_len(more))) ||
	    failed(e = jobj_end(&o)))
		return e;
	if (strncmp(version, "1.", 2) != 0) {
		reason_set(reterr, "ociVersion %s, 1.x is expected", log_quote(bytes_str(version)));
		return ERR(E_PEER_UNSUPPORTED);
	}
	if (failed(e = take_process(process, c, reterr)) || failed(e = take_root(root, c, reterr)) ||
	    failed(e = take_linux(linux_part, c, reterr)) || failed(e = take_mounts(c->mounts, reterr)) ||
	    failed(e = take_hooks(c->hooks, reterr)))
		return e;
	return take_annotations(c, reterr);
}

struct err container_config_parse(struct bytes in, struct container_config *ret, struct reason *reterr)
{
	cleanup_container_config struct container_config c = { 0 };
	struct err e;

	if (failed(e = json_parse(in, CONTAINER_CONFIG_MAX, &c.json, reterr)) || failed(e = take(&c, reterr)))
		return e;
	*ret = c;
	c = (struct container_config){ 0 };
	return ERR(E_OK);
}
