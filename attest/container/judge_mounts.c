/* SPDX-License-Identifier: Apache-2.0 */
/* container_judge(): mounts. */
#include "attest/container/judge_impl.h"

#include "attest/container/path.h"

#define DAEMON_FOLDER "/run/assay-attest"

/* An entry of mounts, as the rules see it. */
struct mount {
	const char *destination, *type, *source;
	const json_t *options;
	bool bind; /* by type or by option: runtimes take either */
};

static bool has_option(const struct mount *m, const char *name)
{
	return judge_lists(m->options, name);
}

static void read_mount(const json_t *o, struct mount *ret)
{
	*ret = (struct mount){
		.destination = judge_text(o, "destination"),
		.type = judge_text(o, "type"),
		.source = judge_text(o, "source"),
		.options = json_object_get(o, "options"),
	};
	ret->bind = strcmp(ret->type, "bind") == 0 || has_option(ret, "bind") || has_option(ret, "rbind");
}

/* The last word counts for runtimes: one that takes it back must not be there. */
static bool is_read_only(const struct mount *m)
{
	return (has_option(m, "ro") || has_option(m, "rro")) && !has_option(m, "rw");
}

/* Options that give nothing away. With '=' at the end: any value. */
static bool is_usual_option(const char *option)
{
	static const char *const usual[] = { "ro", "rro", "rw", "nosuid", "nodev", "noexec", "bind", "rbind", "private",
					     "rprivate", "relatime", "noatime", "nodiratime", "strictatime",
					     "newinstance", "tmpcopyup", "mode=", "size=", "uid=", "gid=",
					     "ptmxmode=", "nr_inodes=" };

	for (size_t i = 0; i < array_len(usual); i++) {
		size_t n = strlen(usual[i]);

		if (usual[i][n - 1] == '=' ? strncmp(option, usual[i], n) == 0 && strchr(option, ',') == NULL :
					     strcmp(option, usual[i]) == 0)
			return true;
	}
	return false;
}

static struct err judge_options(const struct judge *j, const struct mount *m, const json_t *more)
{
	for (size_t i = 0; i < json_array_size(m->options); i++) {
		const char *option = json_string_value(json_array_get(m->options, i));

		if (!is_usual_option(option) && !judge_lists(more, option))
			return refuse(j, "mounts: %s: option %s is not permitted (mounts.options)",
				      shown(m->destination), shown(option));
	}
	return ERR(E_OK);
}

/* What every runtime mounts by itself: kind of file system, and options without which it gives too much. */
static const struct standard {
	const char *destination, *type, *needs[3];
} standard[] = {
	{ "/proc", "proc", { NULL } },
	{ "/dev", "tmpfs", { "nosuid", NULL } },
	{ "/dev/pts", "devpts", { "nosuid", "noexec", "newinstance" } },
	{ "/dev/shm", "tmpfs", { "nosuid", "nodev", "noexec" } },
	{ "/dev/mqueue", "mqueue", { "nosuid", "nodev", "noexec" } },
	{ "/sys", "sysfs", { "nosuid", "nodev", "ro" } },
	{ "/sys/fs/cgroup", "cgroup", { "nosuid", "nodev", "ro" } },
	{ "/sys/fs/cgroup", "cgroup2", { "nosuid", "nodev", "ro" } },
	{ "/tmp", "tmpfs", { "nosuid", "nodev", NULL } },
	{ "/var/tmp", "tmpfs", { "nosuid", "nodev", NULL } },
	{ "/run", "tmpfs", { "nosuid", "nodev", NULL } },
};

static const struct standard *find_standard(const struct mount *m)
{
	for (size_t i = 0; i < array_len(standard) && !m->bind; i++)
		if (strcmp(m->destination, standard[i].destination) == 0 && strcmp(m->type, standard[i].type) == 0)
			return &standard[i];
	return NULL;
}

static struct err judge_standard(const struct judge *j, const struct mount *m, const struct standard *s)
{
	for (size_t i = 0; i < array_len(s->needs) && s->needs[i] != NULL; i++) {
		bool there = strcmp(s->needs[i], "ro") == 0 ? is_read_only(m) : has_option(m, s->needs[i]);

		if (!there)
			return refuse(j, "mounts: %s: option %s is missing", s->destination, s->needs[i]);
	}
	return judge_options(j, m, NULL);
}

/* Files that podman makes for a container in its own folders, and what they are called there. */
static const struct engine_file {
	const char *destination, *name;
	bool writable;
} engine_files[] = {
	{ "/etc/hosts", "hosts", false },
	{ "/etc/hostname", "hostname", false },
	{ "/etc/resolv.conf", "resolv.conf", false },
	{ "/etc/passwd", "passwd", false },
	{ "/etc/group", "group", false },
	{ "/run/.containerenv", ".containerenv", true },
	{ "/dev/shm", "shm", true },
};

static const char *after(const char *text, const char *beginning)
{
	size_t n = strlen(beginning);

	return text != NULL && strncmp(text, beginning, n) == 0 ? text + n : NULL;
}

/* FOLDER/DRIVER-containers/ID/userdata/NAME, ID being that of the container. */
static bool lies_in(const char *source, const char *folder, const char *id, const char *name)
{
	const char *p = after(source, folder);
	size_t n;

	if ((p = after(p, "/")) == NULL)
		return false;
	n = strspn(p, "abcdefghijklmnopqrstuvwxyz0123456789");
	if (n == 0 || (p = after(p + n, "-containers/")) == NULL)
		return false;
	n = strcspn(p, "/");
	if (n != 64 || strspn(p, "0123456789abcdef") != 64 || (id != NULL && (strlen(id) != n || strncmp(p, id, n) != 0)))
		return false;
	return (p = after(p + n, "/userdata/")) != NULL && strcmp(p, name) == 0;
}

static bool is_engines(const struct judge *j, const struct mount *m, const char *name)
{
	static const char *const folders[] = { "/var/lib/containers/storage", "/run/containers/storage",
					       "/var/run/containers/storage" };

	for (size_t i = 0; i < array_len(folders) && j->r->runtime_folders == NULL; i++)
		if (lies_in(m->source, folders[i], j->c->id, name))
			return true;
	for (size_t i = 0; i < json_array_size(j->r->runtime_folders); i++)
		if (lies_in(m->source, json_string_value(json_array_get(j->r->runtime_folders, i)), j->c->id, name))
			return true;
	return false;
}

static const struct engine_file *find_engine_file(const struct judge *j, const struct mount *m)
{
	for (size_t i = 0; i < array_len(engine_files) && m->bind; i++)
		if (strcmp(m->destination, engine_files[i].destination) == 0 && is_engines(j, m, engine_files[i].name))
			return &engine_files[i];
	return NULL;
}

static struct err judge_read_only(const struct judge *j, const struct mount *m)
{
	return is_read_only(m) ? ERR(E_OK) :
				 refuse(j, "mounts: %s from %s is writable, it must be read-only", shown(m->destination),
					shown(m->source));
}

/* The daemon's socket, or its folder, where agents look for it or where it is on the host. */
static bool is_daemons(const struct judge *j, const struct mount *m)
{
	const char *socket = j->r->socket ?: DAEMON_FOLDER "/attest.sock", *slash = strrchr(socket, '/');
	size_t n = slash == NULL ? 0 : (size_t)(slash - socket);

	if (n == 0 || !m->bind)
		return false;
	if (strcmp(m->source, socket) == 0)
		return strcmp(m->destination, DAEMON_FOLDER "/attest.sock") == 0 || strcmp(m->destination, socket) == 0;
	if (strlen(m->source) != n || strncmp(m->source, socket, n) != 0)
		return false;
	return strcmp(m->destination, DAEMON_FOLDER) == 0 || strcmp(m->destination, m->source) == 0;
}

static struct err judge_source(const struct judge *j, const struct mount *m)
{
	const char *what = container_path_protected(m->source, j->r->state_dir);
	cleanup_free char *real = NULL;

	if (what == NULL) {
		real = realpath(m->source, NULL);
		/* What is not there, no runtime can mount. */
		what = real == NULL ? NULL : container_path_protected(real, j->r->state_dir);
	}
	if (what == NULL)
		return ERR(E_OK);
	return refuse(j, "mounts: %s from %s: no container may have that: %s", shown(m->destination), shown(m->source), what);
}

static struct err judge_listed(const struct judge *j, const struct mount *m, const struct container_mount_rule *rule)
{
	struct err e;

	if (!rule->is_tmpfs && failed(e = judge_source(j, m)))
		return e;
	if (!rule->is_tmpfs && !rule->writable && failed(e = judge_read_only(j, m)))
		return e;
	return judge_options(j, m, rule->options);
}

static bool fits(const struct mount *m, const struct container_mount_rule *rule)
{
	if (strcmp(m->destination, rule->destination) != 0)
		return false;
	if (rule->is_tmpfs)
		return !m->bind && strcmp(m->type, "tmpfs") == 0;
	return m->bind && strcmp(m->source, rule->source) == 0;
}

static struct err judge_mount(const struct judge *j, const struct mount *m)
{
	const struct engine_file *file = find_engine_file(j, m);
	const struct standard *s = find_standard(m);
	struct container_mount_rule rule;
	struct err e;

	for (size_t i = 0; i < json_array_size(j->r->mounts); i++) {
		if (failed(e = container_mount_rule_read(json_array_get(j->r->mounts, i), &rule, j->reterr)))
			return e;
		if (fits(m, &rule))
			return judge_listed(j, m, &rule);
	}
	if (s != NULL)
		return judge_standard(j, m, s);
	if (!m->bind)
		return refuse(j, "mounts: %s: type \"%s\" is not permitted there (mounts)", shown(m->destination),
			      shown(m->type));
	if (file == NULL && !is_daemons(j, m))
		return refuse(j, "mounts: %s from %s is not permitted (mounts)", shown(m->destination), shown(m->source));
	if ((file == NULL || !file->writable) && failed(e = judge_read_only(j, m)))
		return e;
	return judge_options(j, m, NULL);
}

static struct err judge_form(const struct judge *j, size_t i, const struct mount *m)
{
	const json_t *entry = json_array_get(j->c->mounts, i);

	if (!container_path_normal(m->destination) || strcmp(m->destination, "/") == 0)
		return refuse(j, "mounts[%zu]: destination \"%s\": an absolute path without \"..\" is expected", i,
			      shown(m->destination));
	if (m->bind && !container_path_normal(m->source))
		return refuse(j, "mounts: %s: source \"%s\": an absolute path without \"..\" is expected",
			      shown(m->destination), shown(m->source));
	if (json_array_size(json_object_get(entry, "uidMappings")) != 0 ||
	    json_array_size(json_object_get(entry, "gidMappings")) != 0)
		return refuse(j, "mounts: %s: uidMappings or gidMappings are not permitted", shown(m->destination));
	for (size_t k = 0; k < i; k++)
		if (strcmp(judge_text(json_array_get(j->c->mounts, k), "destination"), m->destination) == 0)
			return refuse(j, "mounts: %s is there twice", shown(m->destination));
	return ERR(E_OK);
}

static struct err judge_required(const struct judge *j)
{
	struct container_mount_rule rule;
	struct mount m;
	struct err e;

	for (size_t i = 0; i < json_array_size(j->r->mounts); i++) {
		bool there = false;

		if (failed(e = container_mount_rule_read(json_array_get(j->r->mounts, i), &rule, j->reterr)))
			return e;
		for (size_t k = 0; k < json_array_size(j->c->mounts) && !there && rule.required; k++) {
			read_mount(json_array_get(j->c->mounts, k), &m);
			there = fits(&m, &rule);
		}
		if (rule.required && !there)
			return refuse(j, "mounts: %s is missing (mounts.required)", shown(rule.destination));
	}
	return ERR(E_OK);
}

struct err judge_mounts(const struct judge *j)
{
	struct mount m;
	struct err e;

	for (size_t i = 0; i < json_array_size(j->c->mounts); i++) {
		read_mount(json_array_get(j->c->mounts, i), &m);
		if (failed(e = judge_form(j, i, &m)) || failed(e = judge_mount(j, &m)))
			return e;
	}
	return judge_required(j);
}
