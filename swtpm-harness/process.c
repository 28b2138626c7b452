/* SPDX-License-Identifier: Apache-2.0 */
#include "swtpm-harness/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#include "base/file.h"
#include "base/text.h"
#include "swtpm-harness/folder.h"

#define KILL_TIMEOUT_MS 10000

/* Fields of /proc/PID/stat, counted from the state, which follows the program's name in parentheses. */
#define STAT_FIELD_STATE 0
#define STAT_FIELD_START 19

static struct err boot_id(char ret[37])
{
	cleanup_buf struct buf text = BUF_INIT(64);
	struct err e;

	if (failed(e = file_read(AT_FDCWD, "/proc/sys/kernel/random/boot_id", &text)))
		return e;
	if (text.n < 36)
		return ERR(E_LOCAL_IO);
	memcpy(ret, text.p, 36);
	ret[36] = '\0';
	return ERR(E_OK);
}

/* State letter and start time of a process; E_LOCAL_NOT_FOUND. */
static struct err proc_stat(pid_t pid, char *ret_state, uint64_t *ret_start)
{
	cleanup_buf struct buf text = BUF_INIT(4096);
	char path[64], *rest, *save = NULL;
	const char *line;
	uint64_t start = 0;
	char state = 0;
	struct err e;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (failed(e = file_read(AT_FDCWD, path, &text)) || failed(e = buf_cstr(&text, &line)))
		return e;
	/* The name may hold blanks and parentheses, so the fields begin behind the last one. */
	rest = strrchr((char *)text.p, ')');
	if (rest == NULL)
		return ERR(E_LOCAL_IO);
	rest = strtok_r(rest + 1, " \n", &save);
	for (int i = 0; i <= STAT_FIELD_START; i++) {
		if (rest == NULL)
			return ERR(E_LOCAL_IO);
		if (i == STAT_FIELD_STATE)
			state = rest[0];
		if (i == STAT_FIELD_START && failed(e = parse_u64(rest, UINT64_MAX, &start)))
			return e;
		rest = strtok_r(NULL, " \n", &save);
	}
	*ret_state = state;
	*ret_start = start;
	return ERR(E_OK);
}

static int spawn_with(const char *const *argv, const char *log_path, posix_spawn_file_actions_t *files,
		      posix_spawnattr_t *attr, pid_t *ret)
{
	sigset_t none, all;
	int rc;

	(void)sigemptyset(&none);
	(void)sigfillset(&all);
	if ((rc = posix_spawnattr_setflags(attr,
					   POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF)) != 0 ||
	    (rc = posix_spawnattr_setsigmask(attr, &none)) != 0 ||
	    (rc = posix_spawnattr_setsigdefault(attr, &all)) != 0 ||
	    (rc = posix_spawn_file_actions_addopen(files, 0, "/dev/null", O_RDONLY, 0)) != 0 ||
	    (rc = posix_spawn_file_actions_addopen(files, 1, log_path, O_WRONLY | O_CREAT | O_APPEND, 0600)) != 0 ||
	    (rc = posix_spawn_file_actions_adddup2(files, 1, 2)) != 0 ||
	    /* A caller's pipe that a TPM held open would keep `x=$(swtpm-harness up)` waiting for ever. */
	    (rc = posix_spawn_file_actions_addclosefrom_np(files, 3)) != 0)
		return rc;
	/* posix_spawnp() does not write to the strings; its type is older than const. */
	return posix_spawnp(ret, argv[0], files, attr, (char *const *)(uintptr_t)argv, environ);
}

struct err process_spawn(const char *const *argv, const char *log_path, struct process *ret)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	struct process p = { 0 };
	struct err e;
	char state;
	int rc;

	if (failed(e = boot_id(p.boot)))
		return e;
	if (posix_spawn_file_actions_init(&files) != 0)
		return ERR(E_LOCAL_MEMORY);
	if (posix_spawnattr_init(&attr) != 0) {
		(void)posix_spawn_file_actions_destroy(&files);
		return ERR(E_LOCAL_MEMORY);
	}
	rc = spawn_with(argv, log_path, &files, &attr, &p.pid);
	(void)posix_spawnattr_destroy(&attr);
	(void)posix_spawn_file_actions_destroy(&files);
	if (rc != 0)
		return ERR(rc == ENOENT ? E_LOCAL_NOT_FOUND : E_LOCAL_IO);
	/* It is our child and nobody has waited for it, so the id is still its own even when it has ended. */
	if (failed(e = proc_stat(p.pid, &state, &p.start))) {
		(void)kill(p.pid, SIGKILL);
		(void)waitpid(p.pid, NULL, 0);
		return e;
	}
	*ret = p;
	return ERR(E_OK);
}

int process_open(const struct process *p)
{
	cleanup_fd int fd = pidfd_open(p->pid, 0);
	char boot[37], state;
	uint64_t start;

	/* The descriptor pins the process, so that what is read after it was opened is about the same one. */
	if (fd < 0 || failed(proc_stat(p->pid, &state, &start)) || start != p->start || failed(boot_id(boot)) ||
	    strcmp(boot, p->boot) != 0)
		return -1;
	return take_fd(&fd);
}

bool process_runs(const struct process *p)
{
	cleanup_fd int fd = process_open(p);
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

	return fd >= 0 && poll(&poll_fd, 1, 0) == 0;
}

static int reap(int fd)
{
	siginfo_t info = { 0 };

	if (waitid(P_PIDFD, (id_t)fd, &info, WEXITED | WNOHANG) != 0 || info.si_pid == 0)
		return -1;
	return info.si_code == CLD_EXITED ? (info.si_status & 0xff) << 8 : info.si_status & 0x7f;
}

struct err process_wait(const struct process *p, unsigned timeout_ms, int other_fd, int *ret_status)
{
	cleanup_fd int fd = process_open(p);
	uint64_t end = clock_boottime_ms() + timeout_ms;
	struct pollfd fds[2] = { { .fd = fd, .events = POLLIN }, { .fd = other_fd, .events = POLLIN } };
	int status;

	while (fd >= 0) {
		uint64_t now = clock_boottime_ms();
		int n = poll(fds, array_len(fds), now < end ? (int)(end - now) : 0);

		if (n < 0 && errno != EINTR)
			return ERR(E_LOCAL_IO);
		if (n > 0 && fds[0].revents != 0)
			break;
		if (n > 0)
			return ERR(E_LOCAL_BUSY);
		if (now >= end)
			return ERR(E_LOCAL_TIMEOUT);
	}
	status = fd >= 0 ? reap(fd) : -1;
	if (ret_status != NULL)
		*ret_status = status;
	return ERR(E_OK);
}

struct err process_kill(const struct process *p)
{
	cleanup_fd int fd = process_open(p);

	if (fd < 0)
		return ERR(E_OK);
	if (pidfd_send_signal(fd, SIGKILL, NULL, 0) != 0 && errno != ESRCH)
		return ERR(E_LOCAL_IO);
	return process_wait(p, KILL_TIMEOUT_MS, -1, NULL);
}

struct err process_kill_group(const struct process *p)
{
	cleanup_fd int fd = process_open(p);

	/* The leader is there, if only as our zombie, so the group's id cannot belong to anybody else. */
	if (fd < 0)
		return ERR(E_OK);
	if (kill(-p->pid, SIGKILL) != 0 && errno != ESRCH)
		return ERR(E_LOCAL_IO);
	return process_wait(p, KILL_TIMEOUT_MS, -1, NULL);
}

struct err process_save(const struct process *p, const char *dir)
{
	cleanup_buf struct buf text = BUF_INIT(128);
	struct err e;

	if (failed(e = buf_addf(&text, "%d %llu %s\n", (int)p->pid, (unsigned long long)p->start, p->boot)))
		return e;
	return folder_write(dir, "pid", buf_bytes(&text), 0644);
}

struct err process_load(const char *dir, struct process *ret)
{
	cleanup_buf struct buf text = BUF_INIT(128);
	struct process p = { 0 };
	char *save = NULL;
	const char *line, *pid, *start, *boot;
	uint64_t n;
	struct err e;

	if (failed(e = folder_read(dir, "pid", &text)) || failed(e = buf_cstr(&text, &line)))
		return e;
	pid = strtok_r((char *)text.p, " \n", &save);
	start = strtok_r(NULL, " \n", &save);
	boot = strtok_r(NULL, " \n", &save);
	if (pid == NULL || start == NULL || boot == NULL || strlen(boot) != sizeof(p.boot) - 1)
		return ERR(E_PEER_SYNTAX);
	/* Never 0, which would mean our own group, nor 1. */
	if (failed(e = parse_u64(pid, INT32_MAX, &n)) || failed(e = parse_u64(start, UINT64_MAX, &p.start)))
		return e;
	if (n < 2)
		return ERR(E_PEER_SYNTAX);
	p.pid = (pid_t)n;
	memcpy(p.boot, boot, sizeof(p.boot));
	*ret = p;
	return ERR(E_OK);
}

bool program_in_path(const char *name)
{
	const char *at = getenv("PATH");

	if (at == NULL)
		at = "/usr/local/bin:/usr/bin:/bin";
	while (*at != '\0') {
		size_t n = strcspn(at, ":");
		char path[4096];
		int len = snprintf(path, sizeof(path), "%.*s/%s", n > 0 ? (int)n : 1, n > 0 ? at : ".", name);

		if (len > 0 && (size_t)len < sizeof(path) && access(path, X_OK) == 0)
			return true;
		at += n;
		at += *at == ':';
	}
	return false;
}
