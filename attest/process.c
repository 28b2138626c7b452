/* SPDX-License-Identifier: Apache-2.0 */
/* Which process: number, start time and the kernel's boot; and whose child. */
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/pidfd.h>

#include "attest/instance.h"
#include "base/file.h"
#include "base/text.h"

static struct err kernel_boot(char ret[37])
{
	cleanup_buf struct buf b = BUF_INIT(64);
	struct err e;

	if (failed(e = file_read(AT_FDCWD, "/proc/sys/kernel/random/boot_id", &b)))
		return e;
	if (b.n < 36)
		return ERR(E_LOCAL_IO);
	memcpy(ret, b.p, 36);
	ret[36] = '\0';
	return ERR(E_OK);
}

/* The second field, in parentheses, may hold anything, so counting begins behind the last ')'. */
static struct err stat_field(pid_t pid, int number, uint64_t max, uint64_t *ret)
{
	cleanup_buf struct buf b = BUF_INIT(4096);
	char path[64], *at, *save = NULL;
	const char *text;
	struct err e;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (failed(e = file_read(AT_FDCWD, path, &b)) || failed(e = buf_cstr(&b, &text)))
		return e;
	at = strrchr((char *)b.p, ')');
	if (at == NULL)
		return ERR(E_LOCAL_IO);
	at = strtok_r(at + 1, " ", &save);
	for (int field = 3; field < number && at != NULL; field++)
		at = strtok_r(NULL, " ", &save);
	return at == NULL ? ERR(E_LOCAL_IO) : parse_u64(at, max, ret);
}

static struct err start_time(pid_t pid, uint64_t *ret)
{
	return stat_field(pid, 22, INT64_MAX, ret);
}

struct err process_parent(pid_t pid, pid_t *ret)
{
	uint64_t parent;
	struct err e;

	if (failed(e = stat_field(pid, 4, INT32_MAX, &parent)))
		return e;
	*ret = (pid_t)parent;
	return ERR(E_OK);
}

struct err process_find(pid_t pid, struct process_id *ret)
{
	struct err e;

	ret->pid = pid;
	if (failed(e = kernel_boot(ret->boot)))
		return e;
	return start_time(ret->pid, &ret->start);
}

struct err process_self(struct process_id *ret)
{
	return process_find(getpid(), ret);
}

bool pidfd_alive(int pidfd)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	return poll(&p, 1, 0) == 0;
}

/* Pinned first, so that what is read under the number is about what was pinned. */
bool process_alive(const struct process_id *p)
{
	cleanup_fd int fd = pidfd_open(p->pid, 0);
	uint64_t start;
	char boot[37];

	return fd >= 0 && !failed(kernel_boot(boot)) && strcmp(boot, p->boot) == 0 &&
	       !failed(start_time(p->pid, &start)) && start == p->start && pidfd_alive(fd);
}
