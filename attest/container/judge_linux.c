/* SPDX-License-Identifier: Apache-2.0 */
/* container_judge(): namespaces, paths of /proc and /sys, sysctl, and what else linux says. */
#include "attest/container/judge_impl.h"

#include "attest/container/path.h"

/* podman makes a network namespace before the container, and tells it by this path. */
static bool is_engines_network(const char *path)
{
	static const char *const folders[] = { "/run/netns/netns-", "/var/run/netns/netns-", "/run/netns/cni-",
					       "/var/run/netns/cni-" };

	for (size_t i = 0; i < array_len(folders); i++) {
		size_t n = strlen(folders[i]);

		if (strncmp(path, folders[i], n) == 0)
			return strlen(path + n) == 36 && path[n + strspn(path + n, "0123456789abcdef-")] == '\0';
	}
	return false;
}

static bool is_known(const char *kind)
{
	static const char *const kinds[] = { "pid", "mount", "ipc", "uts", "network", "cgroup" };

	for (size_t i = 0; i < array_len(kinds); i++)
		if (strcmp(kind, kinds[i]) == 0)
			return true;
	return false;
}

/* One entry of linux.namespaces. */
static struct err judge_namespace(const struct judge *j, size_t i)
{
	const json_t *entry = json_array_get(j->c->namespaces, i);
	const char *kind = judge_text(entry, "type"), *path = judge_text(entry, "path");
	const char *want = judge_text(j->r->namespaces, kind);

	if (strcmp(kind, "user") == 0)
		return refuse(j, "linux.namespaces: user: an agent's user must be the same on the host");
	if (!is_known(kind))
		return refuse(j, "linux.namespaces: \"%s\" is not permitted", shown(kind));
	for (size_t k = 0; k < i; k++)
		if (strcmp(judge_text(json_array_get(j->c->namespaces, k), "type"), kind) == 0)
			return refuse(j, "linux.namespaces: %s is there twice", kind);
	if (path[0] == '\0' && want[0] == '/')
		return refuse(j, "linux.namespaces: %s is new, %s is expected (namespaces)", kind, shown(want));
	if (path[0] == '\0' || strcmp(path, want) == 0)
		return ERR(E_OK);
	if (strcmp(kind, "network") == 0 && want[0] != '/' && is_engines_network(path))
		return ERR(E_OK);
	return refuse(j, "linux.namespaces: %s joins %s, which is somebody else's (namespaces)", kind, shown(path));
}

static bool has_namespace(const struct container_config *c, const char *kind)
{
	for (size_t i = 0; i < json_array_size(c->namespaces); i++)
		if (strcmp(judge_text(json_array_get(c->namespaces, i), "type"), kind) == 0)
			return true;
	return false;
}

static struct err judge_namespaces(const struct judge *j)
{
	static const char *const needed[] = { "pid", "mount", "ipc", "uts", "network", "cgroup" };
	struct err e;

	for (size_t i = 0; i < json_array_size(j->c->namespaces); i++)
		if (failed(e = judge_namespace(j, i)))
			return e;
	for (size_t i = 0; i < array_len(needed); i++) {
		const char *want = judge_text(j->r->namespaces, needed[i]);
		/* Engines for cgroup v1 leave that one out, and the cgroups are mounted read-only. */
		bool need = strcmp(needed[i], "cgroup") == 0 ? want[0] != '\0' && strcmp(want, "host") != 0 :
							      strcmp(want, "host") != 0;

		if (need && !has_namespace(j->c, needed[i]))
			return refuse(j, "linux.namespaces: %s is missing, so it would be the host's (namespaces)",
				      needed[i]);
	}
	if (json_array_size(j->c->uid_mappings) != 0 || json_array_size(j->c->gid_mappings) != 0)
		return refuse(j, "linux.uidMappings or gidMappings: an agent's user must be the same on the host");
	return ERR(E_OK);
}

/* What runc and podman hide alike. */
static const char *const masked[] = { "/proc/acpi",	   "/proc/kcore",	"/proc/keys",
				      "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats",
				      "/proc/sched_debug", "/proc/scsi",	"/sys/firmware" };
static const char *const read_only[] = { "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger" };

static struct err judge_paths(const struct judge *j)
{
	for (size_t i = 0; i < array_len(masked); i++)
		if (!judge_lists(j->c->masked, masked[i]) && !judge_lists(j->r->unmasked, masked[i]))
			return refuse(j, "linux.maskedPaths: %s is missing (unmasked)", masked[i]);
	for (size_t i = 0; i < array_len(read_only); i++)
		if (!judge_lists(j->c->readonly_paths, read_only[i]) && !judge_lists(j->c->masked, read_only[i]) &&
		    !judge_lists(j->r->unmasked, read_only[i]))
			return refuse(j, "linux.readonlyPaths: %s is missing (unmasked)", read_only[i]);
	return ERR(E_OK);
}

/* podman sets this one for every container: who may send an echo request from the container. */
#define USUAL_SYSCTL "net.ipv4.ping_group_range"

static struct err judge_sysctl(const struct judge *j)
{
	json_t *all = (json_t *)(uintptr_t)j->c->sysctl;

	for (void *it = json_object_iter(all); it != NULL; it = json_object_iter_next(all, it)) {
		const char *name = json_object_iter_key(it), *value = json_string_value(json_object_iter_value(it));

		if (strcmp(name, USUAL_SYSCTL) != 0 && !judge_permits(j->r->sysctl, name, value))
			return refuse(j, "linux.sysctl: %s = \"%s\" is not permitted (sysctl)", shown(name), shown(value));
	}
	return ERR(E_OK);
}

static struct err judge_propagation(const struct judge *j)
{
	static const char *const fine[] = { "", "private", "rprivate", "slave", "rslave" };
	const char *how = j->c->propagation ?: "";

	for (size_t i = 0; i < array_len(fine); i++)
		if (strcmp(how, fine[i]) == 0)
			return ERR(E_OK);
	return refuse(j, "linux.rootfsPropagation is \"%s\": private or slave is expected", shown(how));
}

/* Every engine names a container's cgroup after it: another one may be somebody else's, with its limits and devices. */
static struct err judge_cgroups_path(const struct judge *j)
{
	const char *path = j->c->cgroups_path ?: "";

	if (strstr(path, "..") != NULL)
		return refuse(j, "linux.cgroupsPath \"%s\" leads elsewhere", shown(path));
	if (path[0] != '\0' && j->c->id != NULL && strstr(path, j->c->id) == NULL)
		return refuse(j, "linux.cgroupsPath \"%s\" is not that of container %s", shown(path), shown(j->c->id));
	return ERR(E_OK);
}

/* Files of cgroup v2 that share out the host, and give access to nothing. */
static struct err judge_cgroups(const struct judge *j)
{
	static const char *const beginnings[] = { "cpu.", "cpuset.", "memory.", "io.", "pids.", "hugetlb.", "rdma.", "misc." };
	json_t *all = (json_t *)(uintptr_t)j->c->unified;

	for (void *it = json_object_iter(all); it != NULL; it = json_object_iter_next(all, it)) {
		const char *name = json_object_iter_key(it);
		bool fine = false;

		for (size_t i = 0; i < array_len(beginnings); i++)
			fine |= strncmp(name, beginnings[i], strlen(beginnings[i])) == 0 && strchr(name, '/') == NULL;
		if (!fine)
			return refuse(j, "linux.resources.unified: %s is not permitted", shown(name));
	}
	return judge_cgroups_path(j);
}

/* Other personalities switch off what protects programs: READ_IMPLIES_EXEC, ADDR_NO_RANDOMIZE. */
static struct err judge_personality(const struct judge *j)
{
	const json_t *p = j->c->personality;

	if (p == NULL || (json_object_size(p) == 1 && strcmp(judge_text(p, "domain"), "LINUX") == 0))
		return ERR(E_OK);
	return refuse(j, "linux.personality: only the domain LINUX without flags is permitted");
}

struct err judge_linux(const struct judge *j)
{
	struct err e;

	if (failed(e = judge_namespaces(j)) || failed(e = judge_paths(j)) || failed(e = judge_sysctl(j)) ||
	    failed(e = judge_propagation(j)) || failed(e = judge_cgroups(j)))
		return e;
	return judge_personality(j);
}
