/* SPDX-License-Identifier: Apache-2.0 */
/* Instances' folders: the list of them, and removal. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "attest/instance.h"
#include "base/file.h"

static void close_dir(DIR **d)
{
	if (*d != NULL)
		(void)closedir(*d);
}
#define cleanup_dir cleanup(close_dir)

static struct err list_open(int at, const char *name, DIR **ret)
{
	cleanup_fd int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return errno == ENOENT ? ERR(E_LOCAL_NOT_FOUND) : ERR(E_LOCAL_IO);
	*ret = fdopendir(fd);
	if (*ret == NULL)
		return ERR(E_LOCAL_MEMORY);
	(void)take_fd(&fd);
	return ERR(E_OK);
}

static bool is_dot(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* A folder of files, all ours; a folder inside would be an error. */
static struct err remove_folder(int at, const char *name)
{
	cleanup_dir DIR *d = NULL;
	struct err e = list_open(at, name, &d);

	if (e.code == E_LOCAL_NOT_FOUND)
		return ERR(E_OK);
	if (failed(e))
		return e;
	for (const struct dirent *entry; (entry = readdir(d)) != NULL;)
		if (!is_dot(entry->d_name) && unlinkat(dirfd(d), entry->d_name, 0) != 0)
			return ERR(E_LOCAL_IO);
	return unlinkat(at, name, AT_REMOVEDIR) == 0 ? ERR(E_OK) : ERR(E_LOCAL_IO);
}

struct err instance_remove(int state_fd, const uint8_t id[INSTANCE_ID_LEN])
{
	char hex[INSTANCE_HEX_LEN + 1], path[INSTANCE_HEX_LEN + 16];

	instance_id_format(id, hex);
	(void)snprintf(path, sizeof(path), "instances/%s", hex);
	return remove_folder(state_fd, path);
}

struct err instance_each(int state_fd, void (*take)(void *ctx, const uint8_t id[INSTANCE_ID_LEN]), void *ctx)
{
	cleanup_dir DIR *d = NULL;
	struct err e = list_open(state_fd, "instances", &d);

	if (e.code == E_LOCAL_NOT_FOUND)
		return ERR(E_OK);
	if (failed(e))
		return e;
	for (const struct dirent *entry; (entry = readdir(d)) != NULL;) {
		uint8_t id[INSTANCE_ID_LEN];

		if (!failed(instance_id_parse(entry->d_name, id)))
			take(ctx, id);
	}
	return ERR(E_OK);
}

struct err instance_prune(int state_fd, bool (*keep)(void *ctx, const uint8_t id[INSTANCE_ID_LEN]), void *ctx)
{
	cleanup_dir DIR *d = NULL;
	struct err e = list_open(state_fd, "instances", &d);

	if (e.code == E_LOCAL_NOT_FOUND)
		return ERR(E_OK);
	if (failed(e))
		return e;
	for (const struct dirent *entry; (entry = readdir(d)) != NULL;) {
		uint8_t id[INSTANCE_ID_LEN];

		if (is_dot(entry->d_name) || (!failed(instance_id_parse(entry->d_name, id)) && keep(ctx, id)))
			continue;
		if (failed(e = remove_folder(dirfd(d), entry->d_name)))
			return e;
	}
	return ERR(E_OK);
}
