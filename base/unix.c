/* SPDX-License-Identifier: Apache-2.0 */
#include "base/unix.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"

#define BACKLOG 512

struct err unix_address(const char *path, struct sockaddr_un *ret, socklen_t *ret_len)
{
	const size_t n = strlen(path);

	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (n >= sizeof(ret->sun_path))
		return ERR(E_LIMIT_SIZE);
	memcpy(ret->sun_path, path, n);
	*ret_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
	if (path[0] == '@')
		ret->sun_path[0] = '\0';
	else
		(*ret_len)++;
	return ERR(E_OK);
}

static struct err refused(const char *what, const char *where, struct reason *reterr)
{
	int code = errno;

	reason_set(reterr, "cannot %s %s: %s", what, where, strerrordesc_np(code) ?: "unknown error");
	return ERR(code == EACCES || code == EPERM ? E_LOCAL_PERMISSION : E_LOCAL_NETWORK);
}

struct err unix_listen(const char *path, int type, mode_t mode, int *ret_fd, struct reason *reterr)
{
	cleanup_fd int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un name;
	struct stat st;
	socklen_t n;

	if (fd < 0)
		return refused("make a socket for", path, reterr);
	if (failed(unix_address(path, &name, &n))) {
		reason_set(reterr, "%s is longer than a socket's path can be", path);
		return ERR(E_LOCAL_CONFIG);
	}
	if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode) && unlink(path) != 0)
		return refused("replace", path, reterr);
	/* The mode is set before anyone can connect. */
	if (bind(fd, (const struct sockaddr *)&name, n) != 0 || chmod(path, mode) != 0 || listen(fd, BACKLOG) != 0)
		return refused("listen on", path, reterr);
	*ret_fd = take_fd(&fd);
	return ERR(E_OK);
}

struct err unix_peer(int fd, struct ucred *ret)
{
	socklen_t n = sizeof(*ret);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, ret, &n) != 0 || n != sizeof(*ret))
		return ERR(E_LOCAL_NETWORK);
	return ERR(E_OK);
}
