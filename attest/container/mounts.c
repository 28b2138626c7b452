/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/container/mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"

#define MOUNT_POINT_FIELD 5 /* of a line of mountinfo, from 1 */

/* Runtimes mount what belongs to these by themselves: controllers of cgroup version 1 one by one. */
static const char *const with_more[] = { "/sys/fs/cgroup" };

static bool is_octal(const char *s)
{
	return s[0] >= '0' && s[0] <= '3' && s[1] >= '0' && s[1] <= '7' && s[2] >= '0' && s[2] <= '7';
}

/* The kernel writes space, tab, newline and backslash as \ooo. In place. */
static void unescape(char *s)
{
	char *to = s;

	while (*s != '\0') {
		if (s[0] == '\\' && is_octal(s + 1)) {
			*to++ = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0'));
			s += 4;
		} else {
			*to++ = *s++;
		}
	}
	*to = '\0';
}

static char *mount_point(char *line)
{
	char *save = NULL, *at = strtok_r(line, " ", &save);

	for (int field = 1; field < MOUNT_POINT_FIELD && at != NULL; field++)
		at = strtok_r(NULL, " ", &save);
	if (at != NULL)
		unescape(at);
	return at;
}

/* "/dev/" and "//dev" are "/dev". */
static bool same_path(const char *a, const char *b)
{
	while (*a != '\0' || *b != '\0') {
		if (*a == '/' && (*b == '/' || *b == '\0')) {
			a += strspn(a, "/");
			b += strspn(b, "/");
			if ((*a == '\0') != (*b == '\0'))
				return false;
		} else if (*b == '/' && *a == '\0') {
			b += strspn(b, "/");
		} else if (*a++ != *b++) {
			return false;
		}
	}
	return true;
}

static bool is_named(const json_t *mounts, const char *destination)
{
	for (size_t i = 0; i < json_array_size(mounts); i++) {
		const char *named = json_string_value(json_object_get(json_array_get(mounts, i), "destination"));

		if (named != NULL && same_path(named, destination))
			return true;
	}
	return false;
}

static bool is_below(const char *path, const char *folder)
{
	size_t n = strlen(folder);

	return strncmp(path, folder, n) == 0 && path[n] == '/';
}

static bool is_expected(const json_t *mounts, const char *destination)
{
	for (size_t i = 0; i < array_len(with_more); i++)
		if (is_below(destination, with_more[i]) && is_named(mounts, with_more[i]))
			return true;
	return is_named(mounts, destination);
}

/* Every line of the table. */
static struct err check_table(char *text, const char *rootfs, const json_t *mounts, struct reason *reterr)
{
	bool found = false;
	char *save = NULL;

	for (char *line = strtok_r(text, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save)) {
		const char *at = mount_point(line);

		if (at == NULL)
			return ERR(E_LOCAL_IO);
		found = found || strcmp(at, rootfs) == 0;
		if (!is_below(at, rootfs) || is_expected(mounts, at + strlen(rootfs)))
			continue;
		reason_set(reterr, "%s of the container is mounted, and its configuration names no such mount",
			   log_quote(bytes_str(at + strlen(rootfs))));
		return ERR(E_AUTH_CONFLICT);
	}
	if (found)
		return ERR(E_OK);
	reason_set(reterr, "the container's root %s is no mount of its own", log_quote(bytes_str(rootfs)));
	return ERR(E_AUTH_CONFLICT);
}

static bool is_bind(const json_t *mount)
{
	const json_t *options = json_object_get(mount, "options");
	const char *type = json_string_value(json_object_get(mount, "type"));

	if (type != NULL && strcmp(type, "bind") == 0)
		return true;
	for (size_t i = 0; i < json_array_size(options); i++) {
		const char *o = json_string_value(json_array_get(options, i));

		if (o != NULL && (strcmp(o, "bind") == 0 || strcmp(o, "rbind") == 0))
			return true;
	}
	return false;
}

/* The last one that is named for a place is the one that shows. */
static bool is_covered(const json_t *mounts, size_t i, const char *destination)
{
	for (size_t k = i + 1; k < json_array_size(mounts); k++) {
		const char *later = json_string_value(json_object_get(json_array_get(mounts, k), "destination"));

		if (later != NULL && (same_path(later, destination) || is_below(destination, later)))
			return true;
	}
	return false;
}

static struct err look(const char *path, struct stat *ret, struct reason *reterr)
{
	if (stat(path, ret) == 0)
		return ERR(E_OK);
	reason_set(reterr, "%s: %s", log_quote(bytes_str(path)), strerrordesc_np(errno) ?: "unknown error");
	return ERR(errno == ENOENT || errno == ESRCH ? E_LOCAL_NOT_FOUND : E_LOCAL_IO);
}

static struct err check_bind(pid_t init, const char *rootfs, const char *source, const char *destination,
			     struct reason *reterr)
{
	cleanup_free char *inside = NULL;
	struct stat ours, theirs;
	struct err e;

	if (asprintf(&inside, "/proc/%d/root%s/%s", (int)init, rootfs, destination) < 0)
		return ERR(E_LOCAL_MEMORY);
	if (failed(e = look(source, &ours, reterr)) || failed(e = look(inside, &theirs, reterr)))
		return e;
	if (ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino)
		return ERR(E_OK);
	reason_set(reterr, "%s of the container is not %s, which its configuration names",
		   log_quote(bytes_str(destination)), log_quote(bytes_str(source)));
	return ERR(E_AUTH_CONFLICT);
}

/* Relative sources are refused by container_judge(). */
static struct err check_binds(pid_t init, const char *rootfs, const json_t *mounts, struct reason *reterr)
{
	struct err e;

	for (size_t i = 0; i < json_array_size(mounts); i++) {
		const json_t *m = json_array_get(mounts, i);
		const char *source = json_string_value(json_object_get(m, "source")),
			   *destination = json_string_value(json_object_get(m, "destination"));

		if (source == NULL || destination == NULL || !is_bind(m) || is_covered(mounts, i, destination))
			continue;
		if (failed(e = check_bind(init, rootfs, source, destination, reterr)))
			return e;
	}
	return ERR(E_OK);
}

struct err container_mounts_check(pid_t init, const char *rootfs, const json_t *mounts, struct reason *reterr)
{
	cleanup_buf struct buf table = BUF_INIT(CONTAINER_MOUNTINFO_MAX);
	const char *text;
	char path[64];
	struct err e;

	(void)snprintf(path, sizeof(path), "/proc/%d/mountinfo", (int)init);
	e = file_read(AT_FDCWD, path, &table);
	if (e.code == E_LOCAL_NOT_FOUND)
		reason_set(reterr, "the container's process %d has ended", (int)init);
	if (failed(e) || failed(e = buf_cstr(&table, &text)) ||
	    failed(e = check_table((char *)table.p, rootfs, mounts, reterr)))
		return e;
	return check_binds(init, rootfs, mounts, reterr);
}
