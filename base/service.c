/* SPDX-License-Identifier: Apache-2.0 */
#include "base/service.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/text.h"
#include "base/unix.h"

void service_notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	cleanup_fd int fd = -1;
	struct sockaddr_un name;
	socklen_t n;

	if (path == NULL || (path[0] != '/' && path[0] != '@') || failed(unix_address(path, &name, &n)))
		return;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&name, n) < 0)
		log_warning("the service manager was not told: %s", strerrordesc_np(errno) ?: "unknown error");
}

uint64_t service_watchdog_ms(void)
{
	const char *us = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	uint64_t n;

	/* The variables are inherited: they may be meant for a parent of ours. */
	if (us == NULL || (pid != NULL && (failed(parse_u64(pid, INT32_MAX, &n)) || (pid_t)n != getpid())) ||
	    failed(parse_u64(us, UINT64_MAX, &n)))
		return 0;
	return n / 1000;
}
