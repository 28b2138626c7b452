/* SPDX-License-Identifier: Apache-2.0 */
/* Rules for containers of an image, from what the image says of itself. */
#include "attest/hooks.h"

#include <string.h>
#include <sys/stat.h>

#include "attest/container/path.h"
#include "attest/container/rules.h"
#include "attest/instance.h"
#include "base/log.h"
#include "base/text.h"
#include "firmware-measure/oci.h"
#include "firmware-measure/tree.h"

/* What podman sets where an image says nothing. */
#define USUAL_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* While an image is looked at. */
struct making {
	const struct hooks_policy *p;
	json_t *entry, *warnings;
};

static struct err bad(struct reason *reterr, const char *what)
{
	reason_set(reterr, "%s", what);
	return ERR(E_PEER_RANGE);
}

static struct err append(json_t *list, const char *text)
{
	return json_array_append_new(list, json_string(text)) == 0 ? ERR(E_OK) : ERR(E_LOCAL_MEMORY);
}

/* Appends the texts of a list; null is none. */
static struct err append_all(json_t *to, const json_t *list, const char *what, struct reason *reterr)
{
	struct err e;

	if (list != NULL && !json_is_null(list) && !json_is_array(list))
		return bad(reterr, what);
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *s = json_string_value(json_array_get(list, i));

		if (s == NULL)
			return bad(reterr, what);
		if (failed(e = append(to, s)))
			return e;
	}
	return ERR(E_OK);
}

static struct err put_args(const struct making *m, const json_t *config, struct reason *reterr)
{
	cleanup_json json_t *vector = json_array();
	struct err e;

	if (vector == NULL)
		return ERR(E_LOCAL_MEMORY);
	if (failed(e = append_all(vector, json_object_get(config, "Entrypoint"), "image configuration: Entrypoint", reterr)) ||
	    failed(e = append_all(vector, json_object_get(config, "Cmd"), "image configuration: Cmd", reterr)))
		return e;
	if (json_array_size(vector) == 0)
		return append(m->warnings, "the image names no program: \"args\" is left out, any is permitted");
	return json_put(m->entry, "args", json_pack("[O]", vector));
}

static struct err put_variable(json_t *env, const char *variable, struct reason *reterr)
{
	size_t n = strcspn(variable, "=");
	cleanup_free char *name = strndup(variable, n);

	if (name == NULL)
		return ERR(E_LOCAL_MEMORY);
	if (n == 0 || variable[n] != '=')
		return bad(reterr, "image configuration: Env: NAME=VALUE is expected");
	return json_put_str(env, name, variable + n + 1);
}

static struct err put_env(const struct making *m, const json_t *config, struct reason *reterr)
{
	cleanup_json json_t *env = NULL, *list = json_array();
	struct err e;

	if (list == NULL)
		return ERR(E_LOCAL_MEMORY);
	if (failed(e = json_new_object(&env)) ||
	    failed(e = append_all(list, json_object_get(config, "Env"), "image configuration: Env", reterr)) ||
	    failed(e = put_variable(env, USUAL_PATH, reterr)))
		return e;
	for (size_t i = 0; i < json_array_size(list); i++)
		if (failed(e = put_variable(env, json_string_value(json_array_get(list, i)), reterr)))
			return e;
	/* podman sets it to what the root's /etc/passwd says of the user. */
	if (json_object_get(env, "HOME") == NULL && failed(e = json_put(env, "HOME", json_null())))
		return e;
	return json_put(m->entry, "env", take_ptr(&env));
}

static bool is_plain(const char *s)
{
	while (*s >= 0x20 && *s <= 0x7e)
		s++;
	return *s == '\0';
}

/* Some names change what runtimes do: whoever wants that writes them into the rules himself. */
static bool is_obeyed(const char *name)
{
	static const char *const beginnings[] = { "run.", "org.systemd.", "org.criu.", "module.wasm.", "io.kubernetes.", "io.podman.",
						  "io.container.", "dev.assay." };

	for (size_t i = 0; i < array_len(beginnings); i++)
		if (strncmp(name, beginnings[i], strlen(beginnings[i])) == 0)
			return true;
	return false;
}

static bool is_harmless(const char *name, const char *value)
{
	return name[0] != '\0' && strchr(name, '=') == NULL && is_plain(name) && is_plain(value) && !is_obeyed(name);
}

/* umoci makes annotations of them. */
static struct err put_labels(const struct making *m, const json_t *config, struct reason *reterr)
{
	json_t *labels = json_object_get(config, "Labels");
	cleanup_json json_t *annotations = NULL;
	struct err e;

	if (labels != NULL && !json_is_null(labels) && !json_is_object(labels))
		return bad(reterr, "image configuration: Labels: an object is expected");
	if (failed(e = json_new_object(&annotations)))
		return e;
	for (void *it = json_object_iter(labels); it != NULL; it = json_object_iter_next(labels, it)) {
		const char *name = json_object_iter_key(it), *value = json_string_value(json_object_iter_value(it));

		if (value == NULL)
			return bad(reterr, "image configuration: Labels: texts are expected");
		e = is_harmless(name, value) ? json_put_str(annotations, name, value) :
					       append(m->warnings, "a label of the image is no plain word: what has it as an "
								   "annotation is refused");
		if (failed(e))
			return e;
	}
	return json_object_size(annotations) == 0 ? ERR(E_OK) : json_put(m->entry, "annotations", take_ptr(&annotations));
}

/* "UID[:GID]". Without a group it is 0, as engines have it for users whom the image does not know. */
static bool parse_user(const char *text, uint64_t *ret_uid, uint64_t *ret_gid)
{
	const char *colon = strchr(text, ':');
	cleanup_free char *uid = strndup(text, colon == NULL ? strlen(text) : (size_t)(colon - text));

	*ret_gid = 0;
	return uid != NULL && !failed(parse_u64(uid, UINT32_MAX - 1, ret_uid)) &&
	       (colon == NULL || !failed(parse_u64(colon + 1, UINT32_MAX - 1, ret_gid)));
}

static struct err put_user(const struct making *m, const json_t *config, struct reason *reterr)
{
	const char *said = json_string_value(json_object_get(config, "User")) ?: "";
	const char *user = m->p->user != NULL ? m->p->user : said;
	uint64_t uid, gid;
	struct err e;

	if (!parse_user(user, &uid, &gid) || uid == 0) {
		reason_set(reterr, "%s says user \"%s\": --user UID:GID is needed, and UID not 0",
			   m->p->user != NULL ? "the command line" : "the image", log_quote(bytes_str(user)));
		return ERR(E_PEER_RANGE);
	}
	if (strchr(user, ':') == NULL &&
	    failed(e = append(m->warnings, "no group is said: 0, unless the image's /etc/passwd knows the user")))
		return e;
	return json_put(m->entry, "user", json_pack("{s:I, s:I}", "uid", (json_int_t)uid, "gid", (json_int_t)gid));
}

/* The folder it works in, as engines clean it. Borrowed from ret. */
static struct err put_cwd(const struct making *m, const json_t *config, char ret[LIMIT_PATH], struct reason *reterr)
{
	const char *cwd = json_string_value(json_object_get(config, "WorkingDir")) ?: "";
	size_t n;

	(void)snprintf(ret, LIMIT_PATH, "%s", cwd[0] == '\0' ? "/" : cwd);
	for (n = strlen(ret); n > 1 && ret[n - 1] == '/'; n--)
		ret[n - 1] = '\0';
	if (!container_path_normal(ret))
		return bad(reterr, "image configuration: WorkingDir: an absolute path is expected");
	return strcmp(ret, "/") == 0 ? ERR(E_OK) : json_put_str(m->entry, "cwd", ret);
}

static bool lists(const json_t *list, const char *text)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		if (strcmp(json_string_value(json_array_get(list, i)), text) == 0)
			return true;
	return false;
}

/* The path and the folders above it that the image lacks, the outermost first. */
static struct err add_absent(const struct tree *root, const char *path, json_t *absent)
{
	struct err e;

	for (size_t n = 1; path[n - 1] != '\0'; n++) {
		cleanup_free char *part = NULL;

		if (path[n] != '/' && path[n] != '\0')
			continue;
		part = strndup(path, n);
		if (part == NULL)
			return ERR(E_LOCAL_MEMORY);
		if (n > 1 && tree_find(root, part + 1) == NULL && !lists(absent, part) && failed(e = append(absent, part)))
			return e;
		if (path[n] == '\0')
			break;
	}
	return ERR(E_OK);
}

/* Where runtimes and podman make something to mount on, or for themselves, if there is nothing. */
static struct err put_absent(const struct making *m, const struct tree *root, const char *cwd, struct reason *reterr)
{
	const char *const points[] = { "/dev", "/etc/group", "/etc/hostname", "/etc/hosts", "/etc/mtab", "/etc/passwd",
				       "/etc/resolv.conf", "/proc", "/run/.containerenv",
				       "/run/assay-attest/attest.sock", "/sys", "/tmp", "/var/tmp", m->p->model_at, cwd };
	cleanup_json json_t *absent = json_array();
	struct err e;

	if (absent == NULL)
		return ERR(E_LOCAL_MEMORY);
	for (size_t i = 0; i < array_len(points); i++)
		if (failed(e = add_absent(root, points[i], absent)))
			return e;
	if (json_array_size(absent) > INSTANCE_ABSENT_MAX)
		return bad(reterr, "the paths of model and working folder are too long");
	return json_put(m->entry, "absent", take_ptr(&absent));
}

static struct err warn_of_volumes(const struct making *m, const json_t *config)
{
	const json_t *volumes = json_object_get(config, "Volumes");

	if (json_object_size(volumes) == 0)
		return ERR(E_OK);
	return append(m->warnings, "the image has volumes, for which podman mounts writable folders: "
				   "start it with --image-volume=ignore");
}

static struct err seen(void *ctx, struct bytes text, const struct tree *root, struct reason *reterr)
{
	const struct making *m = ctx;
	cleanup_json json_t *doc = NULL;
	char cwd[LIMIT_PATH];
	const json_t *config;
	struct err e;

	if (failed(e = json_parse(text, LIMIT_OCI_JSON, &doc, reterr)))
		return e;
	config = json_object_get(doc, "config");
	if (failed(e = put_args(m, config, reterr)) || failed(e = put_env(m, config, reterr)) ||
	    failed(e = put_user(m, config, reterr)) || failed(e = put_cwd(m, config, cwd, reterr)) ||
	    failed(e = put_absent(m, root, cwd, reterr)) || failed(e = put_labels(m, config, reterr)))
		return e;
	return warn_of_volumes(m, config);
}

/* LAYOUT[:TAG]: a colon behind the last slash splits, unless a folder or an archive has that whole name. */
static struct err split_image(const char *image, char **ret_path, const char **ret_select)
{
	const char *slash = strrchr(image, '/'), *colon = strrchr(image, ':');
	struct stat st;
	bool split = colon != NULL && (slash == NULL || colon > slash) && lstat(image, &st) != 0;

	*ret_select = split ? colon + 1 : NULL;
	*ret_path = strndup(image, split ? (size_t)(colon - image) : strlen(image));
	return *ret_path == NULL ? ERR(E_LOCAL_MEMORY) : ERR(E_OK);
}

static struct err put_digests(json_t *entry, const struct image_report *r)
{
	cleanup_json json_t *image = NULL;
	struct err e;

	if (failed(e = json_new_object(&image)) ||
	    failed(e = json_put_hex(image, "manifest", BYTES_ARR(r->digests.manifest))) ||
	    failed(e = json_put_hex(image, "config", BYTES_ARR(r->digests.config))) ||
	    failed(e = json_put_hex(image, "rootfs", BYTES_ARR(r->rootfs))))
		return e;
	return json_put(entry, "image", take_ptr(&image));
}

static struct err put_rest(const struct making *m)
{
	struct err e;

	if (failed(e = json_put_str(m->entry, "agent", m->p->agent)) ||
	    failed(e = json_put_str(m->entry, "model", m->p->model)) ||
	    (m->p->allow_devices && failed(e = json_put_bool(m->entry, "allow_devices", true))))
		return e;
	return json_put(m->entry, "mounts",
			json_pack("[{s:s, s:s, s:b}]", "destination", m->p->model_at, "source", m->p->model, "required", 1));
}

/* The report is too large for a stack. */
static struct err measure_image(struct making *m, struct reason *reterr)
{
	const struct root_options options = { .allow_devices = m->p->allow_devices, .seen = seen, .ctx = m };
	cleanup_free struct image_report *report = calloc(1, sizeof(*report));
	cleanup_free char *path = NULL;
	const char *select;
	struct err e;

	if (report == NULL)
		return ERR(E_LOCAL_MEMORY);
	if (failed(e = split_image(m->p->image, &path, &select)) ||
	    failed(e = oci_measure_root(path, select, &options, report, reterr)))
		return e;
	return put_digests(m->entry, report);
}

struct err hooks_policy_make(const struct hooks_policy *p, json_t *warnings, json_t **ret, struct reason *reterr)
{
	cleanup_json json_t *entry = NULL;
	cleanup_container_rules struct container_rules rules = { 0 };
	struct making m = { .p = p, .warnings = warnings };
	struct err e;

	if (!container_path_normal(p->model) || !container_path_normal(p->model_at))
		return bad(reterr, "--model, --model-at: absolute paths without \"..\" and '/' at their end are expected");
	if (failed(e = json_new_object(&entry)))
		return e;
	m.entry = entry;
	/* What is printed must be what can be loaded. */
	if (failed(e = put_rest(&m)) || failed(e = measure_image(&m, reterr)) ||
	    failed(e = container_rules_take(entry, &rules, reterr)))
		return e;
	*ret = take_ptr(&entry);
	return ERR(E_OK);
}
