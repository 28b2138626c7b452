/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/container/place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/text.h"

static const struct {
	const char *type, *file; /* of config.json, in /proc/PID/ns */
	bool always;
} kinds[] = {
	{ "pid", "pid", true },   { "mount", "mnt", true },   { "ipc", "ipc", false },
	{ "uts", "uts", false },  { "network", "net", false }, { "user", "user", false },
};

/* One without a path is made anew. */
static bool is_new(const json_t *namespaces, const char *type)
{
	for (size_t i = 0; i < json_array_size(namespaces); i++) {
		const json_t *n = json_array_get(namespaces, i);
		const char *t = json_string_value(json_object_get(n, "type"));

		if (t != NULL && strcmp(t, type) == 0)
			return json_object_get(n, "path") == NULL;
	}
	return false;
}

static struct err gone(pid_t init, struct reason *reterr)
{
	reason_set(reterr, "the container's process %d has ended", (int)init);
	return ERR(E_LOCAL_NOT_FOUND);
}

struct err container_namespaces_check(pid_t init, const json_t *namespaces, struct reason *reterr)
{
	for (size_t i = 0; i < array_len(kinds); i++) {
		const char *file = kinds[i].file;
		struct stat ours, theirs;
		char path[64];

		if (!kinds[i].always && !is_new(namespaces, kinds[i].type))
			continue;
		(void)snprintf(path, sizeof(path), "/proc/self/ns/%s", file);
		if (stat(path, &ours) != 0)
			return ERR(E_LOCAL_IO);
		(void)snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)init, file);
		if (stat(path, &theirs) != 0)
			return errno == ENOENT || errno == ESRCH ? gone(init, reterr) : ERR(E_LOCAL_IO);
		if (ours.st_dev != theirs.st_dev || ours.st_ino != theirs.st_ino)
			continue;
		reason_set(reterr, "process %d is in this host's %s namespace, not in one of a container", (int)init,
			   file);
		return ERR(E_AUTH_CONFLICT);
	}
	return ERR(E_OK);
}

/* "inside outside count", a line of /proc/PID/uid_map. */
static struct err map_line(char *line, uint32_t uid, bool *ret_fits, uint32_t *ret)
{
	uint64_t inside, outside, count;
	char *save = NULL, *a = strtok_r(line, " ", &save), *b = strtok_r(NULL, " ", &save),
	     *c = strtok_r(NULL, " ", &save);
	struct err e;

	if (a == NULL || b == NULL || c == NULL)
		return ERR(E_LOCAL_IO);
	if (failed(e = parse_u64(a, UINT32_MAX, &inside)) || failed(e = parse_u64(b, UINT32_MAX, &outside)) ||
	    failed(e = parse_u64(c, UINT32_MAX, &count)))
		return e;
	*ret_fits = uid >= inside && uid - inside < count && outside + (uid - inside) < UINT32_MAX;
	if (*ret_fits)
		*ret = (uint32_t)(outside + (uid - inside));
	return ERR(E_OK);
}

struct err container_host_uid(pid_t init, uint32_t uid, uint32_t *ret, struct reason *reterr)
{
	cleanup_buf struct buf map = BUF_INIT(64 * KIB);
	char path[64], *save = NULL;
	bool fits = false;
	const char *text;
	struct err e;

	(void)snprintf(path, sizeof(path), "/proc/%d/uid_map", (int)init);
	e = file_read(AT_FDCWD, path, &map);
	if (e.code == E_LOCAL_NOT_FOUND)
		return gone(init, reterr);
	if (failed(e) || failed(e = buf_cstr(&map, &text)))
		return e;
	for (char *line = strtok_r((char *)map.p, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save)) {
		if (failed(e = map_line(line, uid, &fits, ret)))
			return e;
		if (fits)
			return ERR(E_OK);
	}
	reason_set(reterr, "uid %u of the container is nobody outside of its user namespace", (unsigned)uid);
	return ERR(E_AUTH_REFUSED);
}
