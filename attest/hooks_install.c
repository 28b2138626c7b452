/* SPDX-License-Identifier: Apache-2.0 */
/* Our hooks in hooks.d and in config.json. */
#include "attest/hooks.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "attest/container/judge.h"
#include "attest/container/state.h"
#include "base/file.h"
#include "base/log.h"

static const struct stage {
	const char *name, *file;
} stages[] = {
	{ "createRuntime", "50-assay-attest-create.json" },
	{ "poststop", "50-assay-attest-stop.json" },
};

static struct err path_of(const char *folder, const char *name, char **ret)
{
	return asprintf(ret, "%s/%s", folder, name) < 0 ? ERR(E_LOCAL_MEMORY) : ERR(E_OK);
}

static struct err said(const char *path, struct err e, struct reason *reterr)
{
	if (failed(e))
		reason_set(reterr, "%s: %s", log_quote(bytes_str(path)), err_text(e));
	return e;
}

static struct err note(json_t *files, const char *path)
{
	return json_array_append_new(files, json_string(path)) == 0 ? ERR(E_OK) : ERR(E_LOCAL_MEMORY);
}

/* Absolute path of this program; one that was replaced while it runs has none. */
static struct err own_path(char ret[LIMIT_PATH], struct reason *reterr)
{
	ssize_t n = readlink("/proc/self/exe", ret, LIMIT_PATH - 1);

	ret[n < 0 ? 0 : n] = '\0';
	if (n > 0 && access(ret, X_OK) == 0)
		return ERR(E_OK);
	reason_set(reterr, "the path of this program cannot be told (/proc/self/exe)");
	return ERR(E_LOCAL_IO);
}

static struct err append(json_t *list, const char *text)
{
	return json_array_append_new(list, json_string(text)) == 0 ? ERR(E_OK) : ERR(E_LOCAL_MEMORY);
}

static struct err put_args(json_t *hook, const char *config, const char *stage, struct reason *reterr)
{
	cleanup_free char *file = config == NULL ? NULL : realpath(config, NULL);
	cleanup_json json_t *args = json_array();
	struct err e;

	if (args == NULL)
		return ERR(E_LOCAL_MEMORY);
	if (config != NULL && file == NULL)
		return said(config, ERR(E_LOCAL_NOT_FOUND), reterr);
	if (failed(e = append(args, "assay-attest")) ||
	    (file != NULL && (failed(e = append(args, "--config")) || failed(e = append(args, file)))) ||
	    failed(e = append(args, "oci-hook")) || failed(e = append(args, stage)))
		return e;
	return json_put(hook, "args", take_ptr(&args));
}

/* As both formats have it. */
static struct err make_hook(const struct hooks_place *p, const char *stage, json_t **ret, struct reason *reterr)
{
	cleanup_json json_t *hook = NULL;
	char program[LIMIT_PATH];
	struct err e;

	if (failed(e = own_path(program, reterr)) || failed(e = json_new_object(&hook)) ||
	    failed(e = json_put_str(hook, "path", program)) || failed(e = put_args(hook, p->config, stage, reterr)) ||
	    failed(e = json_put(hook, "env", json_pack("[s]", CONTAINER_HOOK_ENV))))
		return e;
	*ret = take_ptr(&hook);
	return ERR(E_OK);
}

static struct err write_pretty(const char *path, const json_t *j, mode_t mode, struct reason *reterr)
{
	cleanup_buf struct buf text = BUF_INIT(4 * CONTAINER_CONFIG_MAX);
	struct err e;

	if (failed(e = json_write_pretty(j, &text)) || failed(e = buf_add_u8(&text, '\n')))
		return e;
	return said(path, file_write(AT_FDCWD, path, buf_bytes(&text), mode), reterr);
}

/* Engines that read hooks.d have one argument list for all stages of a file: so it is a file for each. */
static struct err install_file(const struct hooks_place *p, const struct stage *s, json_t *files, struct reason *reterr)
{
	cleanup_json json_t *hook = NULL, *doc = NULL;
	cleanup_free char *path = NULL;
	struct err e;

	if (failed(e = make_hook(p, s->name, &hook, reterr)) || failed(e = path_of(p->dir, s->file, &path)))
		return e;
	doc = json_pack("{s:s, s:O, s:{s:{s:s}}, s:[s]}", "version", "1.0.0", "hook", hook, "when", "annotations",
			"^dev\\.assay\\.agent$", ".*", "stages", s->name);
	if (doc == NULL)
		return ERR(E_LOCAL_MEMORY);
	return failed(e = write_pretty(path, doc, 0644, reterr)) ? e : note(files, path);
}

static struct err remove_file(const struct hooks_place *p, const struct stage *s, json_t *files, struct reason *reterr)
{
	cleanup_free char *path = NULL;
	struct err e;

	if (failed(e = path_of(p->dir, s->file, &path)))
		return e;
	if (unlink(path) == 0)
		return note(files, path);
	return errno == ENOENT ? ERR(E_OK) : said(path, ERR(errno == EACCES ? E_LOCAL_PERMISSION : E_LOCAL_IO), reterr);
}

/* A hook of this program, wherever it lay when that was written. */
static bool is_ours(const json_t *hook)
{
	const char *path = json_string_value(json_object_get(hook, "path")) ?: "", *slash = strrchr(path, '/');
	const json_t *args = json_object_get(hook, "args");

	if (slash == NULL || strcmp(slash, "/assay-attest") != 0)
		return false;
	for (size_t i = 0; i < json_array_size(args); i++)
		if (strcmp(json_string_value(json_array_get(args, i)) ?: "", "oci-hook") == 0)
			return true;
	return false;
}

static void drop_ours(json_t *list)
{
	for (size_t i = json_array_size(list); i-- > 0;)
		if (is_ours(json_array_get(list, i)))
			(void)json_array_remove(list, i);
}

/* The member of an object, made where it is missing. Borrowed. */
static struct err member(json_t *o, const char *key, json_t *(*make)(void), json_t **ret)
{
	json_t *v = json_object_get(o, key);
	struct err e;

	if (v == NULL || json_is_null(v)) {
		if (failed(e = json_put(o, key, make())))
			return e;
		v = json_object_get(o, key);
	}
	*ret = v;
	return ERR(E_OK);
}

/* Without agent: what the annotation says already stays. crun shows what hooks say only where it is asked to. */
static struct err annotate(json_t *doc, const char *agent)
{
	json_t *all;
	struct err e;

	if (failed(e = member(doc, "annotations", json_object, &all)) ||
	    failed(e = json_put_str(all, CONTAINER_HOOK_STDERR, CONTAINER_HOOK_STDERR_VALUE)))
		return e;
	return agent == NULL ? ERR(E_OK) : json_put_str(all, CONTAINER_ANNOTATION, agent);
}

static struct err add_hooks(const struct hooks_place *p, json_t *doc, struct reason *reterr)
{
	json_t *hooks, *list;
	struct err e;

	if (failed(e = member(doc, "hooks", json_object, &hooks)))
		return e;
	for (size_t i = 0; i < array_len(stages); i++) {
		cleanup_json json_t *hook = NULL;

		if (failed(e = member(hooks, stages[i].name, json_array, &list)) ||
		    failed(e = make_hook(p, stages[i].name, &hook, reterr)))
			return e;
		drop_ours(list);
		if (json_array_append(list, hook) != 0)
			return ERR(E_LOCAL_MEMORY);
	}
	return annotate(doc, p->agent);
}

static void drop_hooks(json_t *doc)
{
	json_t *hooks = json_object_get(doc, "hooks"), *all = json_object_get(doc, "annotations");
	const char *how = json_string_value(json_object_get(all, CONTAINER_HOOK_STDERR));

	for (size_t i = 0; i < array_len(stages); i++) {
		json_t *list = json_object_get(hooks, stages[i].name);

		drop_ours(list);
		if (json_is_array(list) && json_array_size(list) == 0)
			(void)json_object_del(hooks, stages[i].name);
	}
	if (json_is_object(hooks) && json_object_size(hooks) == 0)
		(void)json_object_del(doc, "hooks");
	if (how != NULL && strcmp(how, CONTAINER_HOOK_STDERR_VALUE) == 0)
		(void)json_object_del(all, CONTAINER_HOOK_STDERR);
}

/* Any configuration may be changed here that can be read as one, whatever the rules say of it. */
static struct err read_config(const char *path, json_t **ret, mode_t *ret_mode, struct reason *reterr)
{
	cleanup_container_config struct container_config c = { 0 };
	cleanup_buf struct buf text = BUF_INIT(CONTAINER_CONFIG_MAX);
	struct reason why = { "" };
	struct stat st;
	struct err e;

	if (failed(e = file_read(AT_FDCWD, path, &text)) || stat(path, &st) != 0)
		return said(path, failed(e) ? e : ERR(E_LOCAL_IO), reterr);
	if (failed(e = container_config_parse(buf_bytes(&text), &c, &why)))
		reason_set(reterr, "%s: %s", log_quote(bytes_str(path)), why.text[0] != '\0' ? why.text : err_text(e));
	if (failed(e))
		return e;
	*ret = take_ptr(&c.json);
	*ret_mode = st.st_mode & 0777;
	return ERR(E_OK);
}

static struct err change_bundle(const struct hooks_place *p, bool add, json_t *files, struct reason *reterr)
{
	cleanup_json json_t *doc = NULL, *before = NULL;
	cleanup_free char *path = NULL;
	mode_t mode;
	struct err e;

	if (failed(e = path_of(p->bundle, "config.json", &path)) ||
	    failed(e = read_config(path, &doc, &mode, reterr)))
		return e;
	before = json_deep_copy(doc);
	if (before == NULL)
		return ERR(E_LOCAL_MEMORY);
	if (!add)
		drop_hooks(doc);
	else if (failed(e = add_hooks(p, doc, reterr)))
		return e;
	if (json_equal(before, doc))
		return ERR(E_OK);
	return failed(e = write_pretty(path, doc, mode, reterr)) ? e : note(files, path);
}

struct err hooks_install(const struct hooks_place *p, json_t *files, struct reason *reterr)
{
	struct err e;

	if (p->bundle != NULL)
		return change_bundle(p, true, files, reterr);
	if (failed(e = dir_make(p->dir, 0755)))
		return said(p->dir, e, reterr);
	for (size_t i = 0; i < array_len(stages); i++)
		if (failed(e = install_file(p, &stages[i], files, reterr)))
			return e;
	return ERR(E_OK);
}

struct err hooks_remove(const struct hooks_place *p, json_t *files, struct reason *reterr)
{
	struct err e;

	if (p->bundle != NULL)
		return change_bundle(p, false, files, reterr);
	for (size_t i = 0; i < array_len(stages); i++)
		if (failed(e = remove_file(p, &stages[i], files, reterr)))
			return e;
	return ERR(E_OK);
}

struct err hooks_are_in(const json_t *hooks, bool *ret, struct reason *reterr)
{
	const json_t *list = json_object_get(hooks, stages[0].name);
	char program[LIMIT_PATH];
	bool found = false;
	struct err e;

	if (failed(e = own_path(program, reterr)))
		return e;
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *hook = json_array_get(list, i);

		found |= is_ours(hook) && strcmp(json_string_value(json_object_get(hook, "path")), program) == 0;
	}
	*ret = found;
	return ERR(E_OK);
}
