/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"

/* What the child tells when it does not come to exec, in one write. */
struct failure {
	int stage, error;
};
enum { STAGE_USER, STAGE_PRIVILEGES, STAGE_DESCRIPTORS, STAGE_ENVIRONMENT, STAGE_EXEC };
static const char *const stage_names[] = { "change the user", "give up privileges", "close descriptors",
					   "set the environment", "execute" };

static bool drop_user(const struct user *u)
{
	if (setgroups(0, NULL) != 0 || setresgid(u->gid, u->gid, u->gid) != 0 ||
	    setresuid(u->uid, u->uid, u->uid) != 0)
		return false;
	/* A way back would be a way to the TPM. */
	return setresuid(0, 0, 0) != 0 && setresgid(0, 0, 0) != 0;
}

/* The death signal comes after the change of uid, which clears it; a parent that died before it is noticed. */
static bool drop_privileges(pid_t parent)
{
	sigset_t none;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 ||
	    getppid() != parent)
		return false;
	for (int sig = 1; sig < NSIG; sig++)
		(void)signal(sig, SIG_DFL);
	(void)sigemptyset(&none);
	return sigprocmask(SIG_SETMASK, &none, NULL) == 0;
}

static bool set_environment(const struct spawn *s)
{
	bool ok = unsetenv("ASSAY_TCTI") == 0 && unsetenv("TPM2TOOLS_TCTI") == 0 &&
		  setenv("ASSAY_INSTANCE", s->instance, 1) == 0 && setenv("ASSAY_AGENT", s->agent, 1) == 0 &&
		  setenv("ASSAY_SOCKET", s->socket, 1) == 0;

	if (s->user->name[0] == '\0')
		return ok;
	return ok && setenv("USER", s->user->name, 1) == 0 && setenv("LOGNAME", s->user->name, 1) == 0 &&
	       setenv("HOME", s->user->home, 1) == 0;
}

static void tell(int fd, int stage)
{
	struct failure f = { stage, errno };

	if (failed(fd_write_all(fd, BYTES(&f, sizeof(f)))))
		_exit(126);
	_exit(127);
}

/* Does not return. report closes by itself when exec succeeds. */
static void child(const struct spawn *s, pid_t parent, int report)
{
	if (!drop_user(s->user))
		tell(report, STAGE_USER);
	if (!drop_privileges(parent))
		tell(report, STAGE_PRIVILEGES);
	if (close_range(3, ~0u, CLOSE_RANGE_CLOEXEC) != 0)
		tell(report, STAGE_DESCRIPTORS);
	if (!set_environment(s))
		tell(report, STAGE_ENVIRONMENT);
	(void)execvp(s->argv[0], s->argv);
	tell(report, STAGE_EXEC);
}

static struct err explain(const struct spawn *s, const struct failure *f, struct reason *reterr)
{
	if (f->stage < 0 || (size_t)f->stage >= array_len(stage_names))
		return ERR(E_BUG);
	reason_set(reterr, "cannot %s%s%s: %s", stage_names[f->stage], f->stage == STAGE_EXEC ? " " : "",
		   f->stage == STAGE_EXEC ? log_quote(bytes_str(s->argv[0])) : "", strerror(f->error));
	if (f->stage != STAGE_EXEC)
		return ERR(E_LOCAL_IO);
	return f->error == ENOENT ? ERR(E_LOCAL_NOT_FOUND) : ERR(E_LOCAL_PERMISSION);
}

struct err spawn_start(const struct spawn *s, pid_t *ret_pid, struct reason *reterr)
{
	cleanup_fd int from = -1, to = -1;
	struct failure f;
	pid_t pid, self = getpid();
	ssize_t n;
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) != 0)
		return ERR(E_LOCAL_IO);
	from = fds[0];
	to = fds[1];
	pid = fork();
	if (pid < 0)
		return ERR(E_LOCAL_IO);
	if (pid == 0)
		child(s, self, to);
	(void)close(take_fd(&to));
	do
		n = read(from, &f, sizeof(f));
	while (n < 0 && errno == EINTR);
	if (n == 0) {
		*ret_pid = pid;
		return ERR(E_OK);
	}
	(void)waitpid(pid, NULL, 0);
	if (n != sizeof(f)) {
		reason_set(reterr, "the process that should have become the command ended early");
		return ERR(E_LOCAL_IO);
	}
	return explain(s, &f, reterr);
}

/* One pid of our children, or 0. */
static pid_t first_child(void)
{
	cleanup_buf struct buf list = BUF_INIT(64 * KIB);
	const char *text;
	char path[64], first[16];
	uint64_t pid;
	size_t n;

	(void)snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	if (failed(file_read(AT_FDCWD, path, &list)) || failed(buf_cstr(&list, &text)))
		return 0;
	n = strcspn(text, " ");
	if (n == 0 || n >= sizeof(first))
		return 0;
	memcpy(first, text, n);
	first[n] = '\0';
	return failed(parse_u64(first, INT32_MAX, &pid)) ? 0 : (pid_t)pid;
}

void spawn_reap_all(void)
{
	/* What is killed hands its own children to us, so this goes on until there are none. */
	for (pid_t pid = first_child(); pid > 0; pid = first_child()) {
		if (kill(pid, SIGKILL) != 0 || (waitpid(pid, NULL, 0) < 0 && errno != EINTR))
			return;
	}
}
