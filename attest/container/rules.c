/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/container/rules.h"

#include <string.h>

#include "attest/container/path.h"
#include "attest/instance.h"
#include "base/args.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"

#define ARGS_MAX 1024

void container_rules_done(struct container_rules *r)
{
	json_decref(r->json);
	*r = (struct container_rules){ 0 };
}

static struct err wrong(const struct jobj *o, const char *key, const char *what)
{
	reason_set(o->reterr, "%s.%s: %s", o->where, key, what);
	return ERR(E_PEER_RANGE);
}

static bool is_plain(const char *s)
{
	for (; *s != '\0'; s++)
		if (*s < 0x20 || *s > 0x7e)
			return false;
	return true;
}

/* Every text and name below: then all JSON libraries write the entry alike. Reals have no one form. */
static bool is_portable(const json_t *j)
{
	const json_t *v;
	size_t i;

	if (json_is_string(j))
		return is_plain(json_string_value(j));
	json_array_foreach(j, i, v)
		if (!is_portable(v))
			return false;
	for (void *it = json_object_iter((json_t *)(uintptr_t)j); it != NULL;
	     it = json_object_iter_next((json_t *)(uintptr_t)j, it))
		if (!is_plain(json_object_iter_key(it)) || !is_portable(json_object_iter_value(it)))
			return false;
	return !json_is_real(j);
}

typedef bool text_test(const char *s);

static bool is_any_text(const char *s)
{
	return s[0] != '\0';
}

static bool is_capability(const char *s)
{
	return strncmp(s, "CAP_", 4) == 0;
}

/* Optional array of texts. */
static struct err take_texts(struct jobj *o, const char *key, size_t max, text_test *fits, const char *what,
			     const json_t **ret)
{
	const json_t *v;
	struct err e;
	size_t i;

	if (!jobj_has(o, key))
		return ERR(E_OK);
	if (failed(e = jobj_arr(o, key, max, ret)))
		return e;
	json_array_foreach(*ret, i, v)
		if (!json_is_string(v) || !fits(json_string_value(v)))
			return wrong(o, key, what);
	return ERR(E_OK);
}

#define PATHS_WANTED "absolute paths without \".\", \"..\" and '/' at their end are expected"

static struct err take_paths(struct jobj *o, const char *key, const json_t **ret)
{
	return take_texts(o, key, CONTAINER_RULES_LIST, container_path_normal, PATHS_WANTED, ret);
}

/* Optional object: name -> text, or null. */
static struct err take_map(struct jobj *o, const char *key, bool null_too, const json_t **ret)
{
	struct err e;

	if (!jobj_has(o, key))
		return ERR(E_OK);
	if (failed(e = jobj_obj(o, key, ret)))
		return e;
	if (json_object_size(*ret) > ARGS_MAX)
		return wrong(o, key, "too many members");
	for (void *it = json_object_iter((json_t *)(uintptr_t)*ret); it != NULL;
	     it = json_object_iter_next((json_t *)(uintptr_t)*ret, it)) {
		const json_t *v = json_object_iter_value(it);
		const char *name = json_object_iter_key(it);

		if (name[0] == '\0' || strchr(name, '=') != NULL)
			return wrong(o, key, "a name that is empty or has '=' in it");
		if (!json_is_string(v) && !(null_too && json_is_null(v)))
			return wrong(o, key, null_too ? "texts or null are expected" : "texts are expected");
	}
	return ERR(E_OK);
}

static struct err take_path(struct jobj *o, const char *key, const char **ret)
{
	struct err e = jobj_str(o, key, LIMIT_PATH, ret);

	if (!failed(e) && !container_path_normal(*ret))
		return wrong(o, key, "an absolute path without \".\", \"..\" and '/' at its end is expected");
	return e;
}

static struct err take_flag(struct jobj *o, const char *key, bool *ret)
{
	return jobj_has(o, key) ? jobj_bool(o, key, ret) : ERR(E_OK);
}

static struct err take_image(struct jobj *o, struct container_rules *r)
{
	const json_t *image;
	struct jobj i;
	struct err e;

	if (failed(e = jobj_obj(o, "image", &image)) || failed(e = jobj_init(&i, image, "image", o->reterr)) ||
	    failed(e = jobj_hex(&i, "manifest", r->image.manifest, sizeof(r->image.manifest))) ||
	    failed(e = jobj_hex(&i, "config", r->image.config, sizeof(r->image.config))) ||
	    failed(e = jobj_hex(&i, "rootfs", r->rootfs, sizeof(r->rootfs))))
		return e;
	return jobj_end(&i);
}

static struct err take_user(struct jobj *o, struct container_rules *r)
{
	const json_t *user;
	uint64_t uid, gid;
	struct jobj u;
	struct err e;

	if (failed(e = jobj_obj(o, "user", &user)) || failed(e = jobj_init(&u, user, "user", o->reterr)) ||
	    failed(e = jobj_u64(&u, "uid", UINT32_MAX - 1, &uid)) ||
	    failed(e = jobj_u64(&u, "gid", UINT32_MAX - 1, &gid)))
		return e;
	if (uid == 0)
		return wrong(&u, "uid", "0 is root, on the host and to the daemon too: an agent needs a user of its own");
	r->uid = (uint32_t)uid;
	r->gid = (uint32_t)gid;
	if (jobj_has(&u, "additional_gids")) {
		if (failed(e = jobj_arr(&u, "additional_gids", CONTAINER_RULES_LIST, &r->additional_gids)))
			return e;
		for (size_t i = 0; i < json_array_size(r->additional_gids); i++)
			if (!json_is_integer(json_array_get(r->additional_gids, i)))
				return wrong(&u, "additional_gids", "numbers are expected");
	}
	return jobj_end(&u);
}

static struct err take_args(struct jobj *o, struct container_rules *r)
{
	const json_t *vector, *v;
	size_t i, k;
	struct err e;

	if (!jobj_has(o, "args"))
		return ERR(E_OK);
	if (failed(e = jobj_arr(o, "args", CONTAINER_RULES_LIST, &r->args)))
		return e;
	json_array_foreach(r->args, i, vector) {
		if (json_array_size(vector) == 0 || json_array_size(vector) > ARGS_MAX)
			return wrong(o, "args", "a list of lists of arguments is expected, each of which begins with a program");
		json_array_foreach(vector, k, v)
			if (!json_is_string(v))
				return wrong(o, "args", "an argument that is no text");
	}
	return ERR(E_OK);
}

static struct err take_seccomp(struct jobj *o, struct container_rules *r)
{
	const char *s;
	struct err e;

	if (!jobj_has(o, "seccomp"))
		return ERR(E_OK);
	if (failed(e = jobj_str(o, "seccomp", 64, &s)))
		return e;
	if (strcmp(s, "required") == 0)
		return ERR(E_OK);
	r->seccomp = CONTAINER_SECCOMP_ANY;
	if (strcmp(s, "any") == 0)
		return ERR(E_OK);
	r->seccomp = CONTAINER_SECCOMP_EXACT;
	if (failed(hex_decode_exact(bytes_str(s), r->seccomp_digest, sizeof(r->seccomp_digest))))
		return wrong(o, "seccomp", "\"required\", \"any\" or 64 hex digits are expected");
	return ERR(E_OK);
}

static struct err take_verdict(struct jobj *o, struct container_rules *r)
{
	const char *s;
	struct err e;

	if (!jobj_has(o, "verdict"))
		return ERR(E_OK);
	if (failed(e = jobj_str(o, "verdict", 16, &s)))
		return e;
	r->verdict_before = strcmp(s, "before") == 0;
	return r->verdict_before || strcmp(s, "after") == 0 ? ERR(E_OK) :
							      wrong(o, "verdict", "\"before\" or \"after\" is expected");
}

/* Who calls the daemon is told by its process and mount namespaces: those are always the container's own. */
static struct err check_namespace(const struct jobj *o, const char *kind, const char *how)
{
	static const char *const kinds[] = { "ipc", "uts", "network", "cgroup" };

	for (size_t i = 0; i < array_len(kinds); i++) {
		if (strcmp(kind, kinds[i]) != 0)
			continue;
		if (strcmp(how, "new") == 0 || strcmp(how, "host") == 0 || container_path_normal(how))
			return ERR(E_OK);
		return wrong(o, "namespaces", "\"new\", \"host\" or a path is expected");
	}
	return wrong(o, "namespaces", "ipc, uts, network and cgroup may be named");
}

static struct err take_namespaces(struct jobj *o, struct container_rules *r)
{
	struct err e = take_map(o, "namespaces", false, &r->namespaces);

	for (void *it = json_object_iter((json_t *)(uintptr_t)r->namespaces); !failed(e) && it != NULL;
	     it = json_object_iter_next((json_t *)(uintptr_t)r->namespaces, it))
		e = check_namespace(o, json_object_iter_key(it), json_string_value(json_object_iter_value(it)));
	return e;
}

static struct err take_devices(struct jobj *o, struct container_rules *r)
{
	struct err e;

	if (!jobj_has(o, "devices"))
		return ERR(E_OK);
	if (failed(e = jobj_arr(o, "devices", CONTAINER_RULES_LIST, &r->devices)))
		return e;
	for (size_t i = 0; i < json_array_size(r->devices); i++) {
		const char *path;
		uint64_t major, minor;
		struct jobj d;

		if (failed(e = jobj_init(&d, json_array_get(r->devices, i), "devices", o->reterr)) ||
		    failed(e = take_path(&d, "path", &path)) || failed(e = jobj_u64(&d, "major", UINT32_MAX, &major)) ||
		    failed(e = jobj_u64(&d, "minor", UINT32_MAX, &minor)) || failed(e = jobj_end(&d)))
			return e;
		if (!container_path_within(path, "/dev") || strncmp(path, "/dev/tpm", 8) == 0 || (major == 10 && minor == 224))
			return wrong(&d, "path", "a device in /dev is expected that is no TPM");
	}
	return ERR(E_OK);
}

struct err container_mount_rule_read(const json_t *j, struct container_mount_rule *ret, struct reason *reterr)
{
	struct container_mount_rule m = { 0 };
	const char *type = "bind";
	struct jobj o;
	struct err e;

	if (failed(e = jobj_init(&o, j, "mounts", reterr)) || failed(e = take_path(&o, "destination", &m.destination)) ||
	    (jobj_has(&o, "type") && failed(e = jobj_str(&o, "type", 16, &type))))
		return e;
	m.is_tmpfs = strcmp(type, "tmpfs") == 0;
	if (!m.is_tmpfs && strcmp(type, "bind") != 0)
		return wrong(&o, "type", "\"bind\" or \"tmpfs\" is expected");
	if ((!m.is_tmpfs && failed(e = take_path(&o, "source", &m.source))) ||
	    failed(e = take_flag(&o, "writable", &m.writable)) || failed(e = take_flag(&o, "required", &m.required)) ||
	    failed(e = take_texts(&o, "options", CONTAINER_RULES_LIST, is_any_text, "texts are expected", &m.options)) ||
	    failed(e = jobj_end(&o)))
		return e;
	if (strcmp(m.destination, "/") == 0)
		return wrong(&o, "destination", "the root is not to be mounted over");
	*ret = m;
	return ERR(E_OK);
}

static struct err take_mounts(struct jobj *o, struct container_rules *r)
{
	struct err e;

	if (!jobj_has(o, "mounts"))
		return ERR(E_OK);
	if (failed(e = jobj_arr(o, "mounts", CONTAINER_RULES_LIST, &r->mounts)))
		return e;
	for (size_t i = 0; i < json_array_size(r->mounts); i++) {
		struct container_mount_rule m;

		if (failed(e = container_mount_rule_read(json_array_get(r->mounts, i), &m, o->reterr)))
			return e;
	}
	return ERR(E_OK);
}

static struct err take_process_parts(struct jobj *o, struct container_rules *r)
{
	struct err e;

	r->cwd = "/";
	if (failed(e = take_user(o, r)) || failed(e = take_args(o, r)) || failed(e = take_map(o, "env", true, &r->env)) ||
	    (jobj_has(o, "cwd") && failed(e = take_path(o, "cwd", &r->cwd))) ||
	    failed(e = take_texts(o, "capabilities", CONTAINER_RULES_LIST, is_capability, "names like CAP_KILL are expected",
				  &r->capabilities)))
		return e;
	return jobj_has(o, "apparmor") ? jobj_str(o, "apparmor", 256, &r->apparmor) : ERR(E_OK);
}

static struct err take_host_parts(struct jobj *o, struct container_rules *r)
{
	struct err e;

	if (failed(e = take_mounts(o, r)) || failed(e = take_seccomp(o, r)) || failed(e = take_namespaces(o, r)) ||
	    failed(e = take_devices(o, r)) || failed(e = take_paths(o, "hooks", &r->hooks)) ||
	    failed(e = take_map(o, "sysctl", true, &r->sysctl)) ||
	    failed(e = take_map(o, "annotations", true, &r->annotations)) ||
	    failed(e = take_paths(o, "unmasked", &r->unmasked)) ||
	    failed(e = take_paths(o, "runtime_folders", &r->runtime_folders)))
		return e;
	return take_verdict(o, r);
}

static struct err take_entry(struct container_rules *r, struct reason *reterr)
{
	struct jobj o;
	struct err e;

	if (failed(e = jobj_init(&o, r->json, "entry", reterr)) || failed(e = jobj_id(&o, "agent", &r->agent)) ||
	    failed(e = take_image(&o, r)) || failed(e = take_path(&o, "model", &r->model)) ||
	    failed(e = jobj_arr(&o, "absent", INSTANCE_ABSENT_MAX, &r->absent)) ||
	    failed(e = take_texts(&o, "absent", INSTANCE_ABSENT_MAX, container_path_normal, PATHS_WANTED, &r->absent)) ||
	    failed(e = take_flag(&o, "allow_devices", &r->allow_devices)) || failed(e = take_process_parts(&o, r)) ||
	    failed(e = take_host_parts(&o, r)))
		return e;
	return jobj_end(&o);
}

struct err container_rules_take(json_t *j, struct container_rules *ret, struct reason *reterr)
{
	cleanup_container_rules struct container_rules r = { .json = json_incref(j) };
	cleanup_buf struct buf text = BUF_INIT(CONTAINER_RULES_MAX * 2);
	struct err e;

	if (failed(e = take_entry(&r, reterr)))
		return e;
	if (!is_portable(j)) {
		reason_set(reterr, "printable ASCII and whole numbers are expected");
		return ERR(E_PEER_RANGE);
	}
	if (failed(e = json_write(j, &text)) || failed(e = sha256(buf_bytes(&text), r.digest)))
		return e;
	*ret = r;
	r = (struct container_rules){ 0 };
	return ERR(E_OK);
}

/* Says which entry is damaged; returns e. */
static struct err in_entry(size_t i, const json_t *j, const struct reason *why, struct err e, struct reason *reterr)
{
	const char *agent = json_string_value(json_object_get(j, "agent"));

	reason_set(reterr, "containers[%zu] (agent %s): %s", i, agent == NULL ? "?" : log_quote(bytes_str(agent)),
		   why->text[0] != '\0' ? why->text : err_text(e));
	return e;
}

static bool is_repeated(const json_t *list, size_t i, const char *agent)
{
	for (size_t k = 0; k < i; k++)
		if (strcmp(json_string_value(json_object_get(json_array_get(list, k), "agent")), agent) == 0)
			return true;
	return false;
}

/* All entries are read, so that one that is damaged is noticed before its agent is needed. */
static struct err find_entry(const json_t *list, const char *agent, struct container_rules *ret, struct reason *reterr)
{
	struct err e;

	for (size_t i = 0; i < json_array_size(list); i++) {
		cleanup_container_rules struct container_rules r = { 0 };
		json_t *j = json_array_get(list, i);
		struct reason why = { "" };

		e = container_rules_take(j, &r, &why);
		if (!failed(e) && is_repeated(list, i, r.agent)) {
			reason_set(&why, "a second entry");
			e = ERR(E_PEER_DUPLICATE);
		}
		if (failed(e))
			return in_entry(i, j, &why, e, reterr);
		if (strcmp(r.agent, agent) == 0) {
			*ret = r;
			r = (struct container_rules){ 0 };
		}
	}
	if (ret->json != NULL)
		return ERR(E_OK);
	reason_set(reterr, "no entry for agent %s", log_quote(bytes_str(agent)));
	return ERR(E_LOCAL_NOT_FOUND);
}

struct err container_rules_parse(struct bytes in, const char *agent, struct container_rules *ret, struct reason *reterr)
{
	cleanup_container_rules struct container_rules r = { 0 };
	cleanup_json json_t *json = NULL;
	const json_t *list;
	uint64_t version;
	struct jobj o;
	struct err e;

	if (failed(e = json_parse(in, CONTAINER_RULES_MAX, &json, reterr)) ||
	    failed(e = jobj_init(&o, json, "", reterr)) || failed(e = jobj_u64(&o, "version", INT64_MAX, &version)) ||
	    failed(e = jobj_arr(&o, "containers", CONTAINER_RULES_ENTRIES, &list)) || failed(e = jobj_end(&o)))
		return e;
	if (version != 1) {
		reason_set(reterr, "version %ju, 1 is expected", (uintmax_t)version);
		return ERR(E_PEER_UNSUPPORTED);
	}
	if (failed(e = find_entry(list, agent, &r, reterr)))
		return e;
	*ret = r;
	r = (struct container_rules){ 0 };
	return ERR(E_OK);
}

struct err container_rules_load(const char *file, const char *agent, struct container_rules *ret,
				struct reason *reterr)
{
	cleanup_buf struct buf text = BUF_INIT(CONTAINER_RULES_MAX);
	struct reason why = { "" };
	struct err e = file_read_owned(file, &text);

	if (e.code == E_LOCAL_PERMISSION)
		reason_set(&why, "it and its folder must belong to root, and nobody else may write to them");
	if (!failed(e)) {
		e = container_rules_parse(buf_bytes(&text), agent, ret, &why);
		if (failed(e) && exit_for(e) == EXIT_REJECTED)
			e = ERR(E_LOCAL_CONFIG);
	}
	if (failed(e))
		reason_set(reterr, "%s: %s", log_quote(bytes_str(file)), why.text[0] != '\0' ? why.text : err_text(e));
	return e;
}
