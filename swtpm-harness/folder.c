/* SPDX-License-Identifier: Apache-2.0 */
#include "swtpm-harness/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <string.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/log.h"

struct err path_join(const char *a, const char *b, struct path *ret)
{
	struct path p;
	int n = snprintf(p.text, sizeof(p.text), "%s/%s", a, b);

	if (n < 0 || (size_t)n >= sizeof(p.text))
		return ERR(E_LIMIT_SIZE);
	*ret = p;
	return ERR(E_OK);
}

struct err folder_write(const char *dir, const char *name, struct bytes data, mode_t mode)
{
	struct path p;
	struct err e;

	if (failed(e = path_join(dir, name, &p)))
		return e;
	return file_write(AT_FDCWD, p.text, data, mode);
}

struct err folder_read(const char *dir, const char *name, struct buf *ret)
{
	struct path p;
	struct err e;

	if (failed(e = path_join(dir, name, &p)))
		return e;
	return file_read(AT_FDCWD, p.text, ret);
}

bool folder_has(const char *dir, const char *name)
{
	struct path p;

	return !failed(path_join(dir, name, &p)) && access(p.text, F_OK) == 0;
}

struct err folder_unlink(const char *dir, const char *name)
{
	struct path p;
	struct err e;

	if (failed(e = path_join(dir, name, &p)))
		return e;
	return unlink(p.text) == 0 || errno == ENOENT ? ERR(E_OK) : ERR(E_LOCAL_IO);
}

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *walk)
{
	(void)st;
	(void)kind;
	(void)walk;
	return remove(path);
}

struct err folder_remove(const char *path)
{
	if (nftw(path, remove_entry, 8, FTW_DEPTH | FTW_PHYS) == 0 || errno == ENOENT)
		return ERR(E_OK);
	return ERR(E_LOCAL_IO);
}

void folder_log_tail(const char *dir, struct tail *ret)
{
	cleanup_buf struct buf log = BUF_INIT(4 * MIB);
	size_t n = 0;

	*ret = (struct tail){ "log is empty" };
	if (failed(folder_read(dir, "log", &log)) || log.n == 0)
		return;
	/* Escaping takes up to four characters a byte, and its own bound is close to ours. */
	n = log.n < sizeof(ret->text) - 16 ? log.n : sizeof(ret->text) - 16;
	for (size_t i = log.n - n; i < log.n; i++) {
		if (log.p[i] == '\n')
			log.p[i] = ' ';
	}
	(void)snprintf(ret->text, sizeof(ret->text), "%.*s", (int)(sizeof(ret->text) - 1),
		       log_quote(BYTES(log.p + (log.n - n), n)));
}
