/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/daemon/caller.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>

#include "attest/daemon/request.h"
#include "base/file.h"
#include "base/unix.h"

#define TRIES_MAX 8 /* a parent that dies while it is looked at makes way for another one */

/* Those that decide about root come first: a sandbox of ours may well have changed the others. */
static const char *const namespaces[] = { "ns/pid", "ns/user", "ns/mnt", "ns/cgroup" };
#define N_FOR_ROOT 2

void caller_done(struct caller *c)
{
	cleanup_fd_(&c->pidfd);
	c->pidfd = -1;
}

static struct err gone(struct reason *reterr)
{
	reason_set(reterr, "the process that connected has ended");
	return ERR(E_AUTH_UNKNOWN);
}

struct err caller_pin(int connection, struct caller *ret, struct reason *reterr)
{
	struct ucred peer;
	struct err e;

	if (failed(e = unix_peer(connection, &peer)))
		return e;
	if (peer.pid <= 0) {
		reason_set(reterr, "the process that connected is of another pid namespace");
		return ERR(E_AUTH_UNKNOWN);
	}
	ret->pidfd = pidfd_open(peer.pid, 0);
	if (ret->pidfd < 0)
		return errno == ESRCH || errno == EINVAL ? gone(reterr) : ERR(E_LOCAL_IO);
	ret->pid = peer.pid;
	ret->uid = peer.uid;
	return ERR(E_OK);
}

/* A process on the way up, pinned. */
struct step {
	pid_t pid;
	int pidfd;
};
static void step_done(struct step *s)
{
	cleanup_fd_(&s->pidfd);
	s->pidfd = -1;
}

/*
 * The parent, pinned: its number is read, pinned and read again. As the child lives and has this parent after the
 * pinning, it is this parent that was pinned. ret->pid 0: there is none.
 */
static struct err step_up(const struct step *child, struct step *ret)
{
	for (unsigned i = 0; i < TRIES_MAX; i++) {
		cleanup_fd int fd = -1;
		pid_t first, again;

		if (failed(process_parent(child->pid, &first)) || !pidfd_alive(child->pidfd))
			return ERR(E_AUTH_UNKNOWN);
		if (first == 0) {
			*ret = (struct step){ 0, -1 };
			return ERR(E_OK);
		}
		fd = pidfd_open(first, 0);
		if (failed(process_parent(child->pid, &again)) || !pidfd_alive(child->pidfd))
			return ERR(E_AUTH_UNKNOWN);
		if (fd >= 0 && first == again) {
			*ret = (struct step){ first, take_fd(&fd) };
			return ERR(E_OK);
		}
	}
	return ERR(E_LOCAL_BUSY);
}

/* The instance whose `run` or init is the nearest ancestor, or NULL. */
static struct err find_ancestor(const struct caller *c, struct roster *roster, struct roster_entry **ret)
{
	cleanup(step_done) struct step at = { c->pid, dup(c->pidfd) };
	struct err e;

	if (at.pidfd < 0)
		return ERR(E_LOCAL_IO);
	for (unsigned depth = 0; depth < CALLER_DEPTH_MAX; depth++) {
		struct step up = { 0, -1 };

		if (failed(e = step_up(&at, &up)))
			return e;
		step_done(&at);
		at = up;
		*ret = at.pid == 0 ? NULL : roster_by_run(roster, at.pid);
		if (at.pid == 0 || *ret != NULL)
			return ERR(E_OK);
	}
	return ERR(E_LIMIT_DEPTH);
}

/* What /proc/PID/WHAT leads to is the same for both. */
static struct err same_thing(pid_t a, pid_t b, const char *what, bool *ret)
{
	struct stat sa, sb;
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)a, what);
	if (stat(path, &sa) != 0)
		return ERR(E_LOCAL_IO);
	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)b, what);
	if (stat(path, &sb) != 0)
		return ERR(E_LOCAL_IO);
	*ret = sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
	return ERR(E_OK);
}

/* Of the lines "ID:CONTROLLERS:PATH" that of version 2, and that of systemd's own hierarchy of version 1. */
static bool is_placing(const char *line)
{
	return strncmp(line, "0::", 3) == 0 || strstr(line, ":name=systemd:") != NULL;
}

/* Those lines, appended. The others are of controllers, into which managers sort processes by other rules. */
static struct err read_cgroup(pid_t pid, struct buf *ret)
{
	cleanup_buf struct buf b = BUF_INIT(64 * KIB);
	char path[64], *save = NULL;
	const char *text;
	struct err e;

	(void)snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
	e = file_read(AT_FDCWD, path, &b);
	if (e.code == E_LOCAL_NOT_FOUND)
		return ERR(E_OK); /* a kernel without cgroups */
	if (failed(e) || failed(e = buf_cstr(&b, &text)))
		return e;
	for (char *line = strtok_r((char *)b.p, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save))
		if (is_placing(line) && failed(e = buf_addf(ret, "%s\n", line)))
			return e;
	return ERR(E_OK);
}

static struct err same_cgroup(pid_t a, pid_t b, bool *ret)
{
	cleanup_buf struct buf ca = BUF_INIT(64 * KIB), cb = BUF_INIT(64 * KIB);
	struct err e;

	if (failed(e = read_cgroup(a, &ca)) || failed(e = read_cgroup(b, &cb)))
		return e;
	*ret = bytes_eq(buf_bytes(&ca), buf_bytes(&cb));
	return ERR(E_OK);
}

/* The first n namespaces are those of the other process. */
static struct err check_namespaces(const struct caller *c, pid_t other, size_t n, struct reason *reterr)
{
	struct err e;
	bool same;

	for (size_t i = 0; i < n; i++) {
		if (failed(e = same_thing(c->pid, other, namespaces[i], &same)))
			return e;
		if (same)
			continue;
		reason_set(reterr, "process %d is in another %s namespace than its instance was started in",
			   (int)c->pid, namespaces[i] + strlen("ns/"));
		return ERR(E_AUTH_REFUSED);
	}
	return ERR(E_OK);
}

/* The same surroundings as those of the other process. */
static struct err check_place(const struct caller *c, pid_t other, struct reason *reterr)
{
	struct err e;
	bool same;

	if (failed(e = check_namespaces(c, other, array_len(namespaces), reterr)))
		return e;
	if (failed(e = same_cgroup(c->pid, other, &same)))
		return e;
	if (same)
		return ERR(E_OK);
	reason_set(reterr, "process %d is in another cgroup than its instance was started in", (int)c->pid);
	return ERR(E_AUTH_REFUSED);
}

static struct err check_agent(const struct caller *c, const struct roster_entry *x, struct reason *reterr)
{
	struct err e;

	if (c->uid != x->uid) {
		reason_set(reterr, "process %d has uid %u, the command of its instance has uid %u", (int)c->pid,
			   (unsigned)c->uid, (unsigned)x->uid);
		return ERR(E_AUTH_REFUSED);
	}
	if (failed(e = check_place(c, x->run, reterr)))
		return e;
	if (pidfd_alive(x->pidfd))
		return ERR(E_OK);
	reason_set(reterr, "the instance has ended");
	return ERR(E_AUTH_UNKNOWN);
}

/*
 * The host's root: in our namespaces, and what it calls / is what we call so. A container that shares the host's pid
 * namespace may have a root who has left its init; he is none of ours.
 */
static bool is_root(const struct caller *c)
{
	bool same = false;

	return c->uid == 0 && !failed(check_namespaces(c, getpid(), N_FOR_ROOT, NULL)) &&
	       !failed(same_thing(c->pid, getpid(), "root/", &same)) && same;
}

/* No instance's; of the processes that look as if they were, it is said why not. */
static struct err stranger(const struct caller *c, const struct roster *roster, struct reason *reterr)
{
	reason_set(reterr, "process %d belongs to no instance: only what assay-attest run has started is measured, and what "
			   "a container that its runtime has made known started in itself", (int)c->pid);
	for (size_t i = 0; i < roster->n; i++) {
		const struct roster_entry *x = &roster->entry[i];
		bool same = false;

		if (!x->container || failed(same_thing(c->pid, x->run, "ns/mnt", &same)) || !same)
			continue;
		reason_set(reterr, "process %d has come into its container from outside (exec, nsenter): it is not below "
				   "process %d, with which the container was measured", (int)c->pid, (int)x->run);
		return ERR(E_AUTH_REFUSED);
	}
	return ERR(E_AUTH_UNKNOWN);
}

/* Sets the role; the caller may still be about to end. */
static struct err place(struct caller *c, struct roster *roster, struct reason *reterr)
{
	struct roster_entry *x = roster_by_run(roster, c->pid);
	struct err e;

	if (x != NULL && !x->container) {
		c->role = CALLER_RUN;
		memcpy(c->instance, x->id, INSTANCE_ID_LEN);
		return ERR(E_OK);
	}
	if (x == NULL && failed(e = find_ancestor(c, roster, &x)))
		return e;
	if (x != NULL) {
		if (failed(e = check_agent(c, x, reterr)))
			return e;
		c->role = CALLER_AGENT;
		memcpy(c->instance, x->id, INSTANCE_ID_LEN);
		return ERR(E_OK);
	}
	if (is_root(c)) {
		c->role = CALLER_ROOT;
		return ERR(E_OK);
	}
	return stranger(c, roster, reterr);
}

struct err caller_identify(struct caller *c, struct roster *roster, struct reason *reterr)
{
	struct err e;

	c->role = CALLER_NOBODY;
	if (failed(e = roster_refresh(roster)))
		return e;
	e = place(c, roster, reterr);
	/* Everything that was read under its number was about it only where it still has it. */
	if (!pidfd_alive(c->pidfd)) {
		c->role = CALLER_NOBODY;
		return gone(reterr);
	}
	return e;
}

static struct err received(const struct caller *c, struct msghdr *m, struct reason *reterr)
{
	const struct cmsghdr *h = CMSG_FIRSTHDR(m);
	struct ucred sender = { 0 };

	/* There is room for the sender's name only: the kernel has kept any descriptors. */
	if ((m->msg_flags & MSG_CTRUNC) != 0) {
		reason_set(reterr, "a request carries no descriptors");
		return ERR(E_AUTH_REFUSED);
	}
	if ((m->msg_flags & MSG_TRUNC) != 0) {
		reason_set(reterr, "a request has at most %zu bytes", REQUEST_MAX);
		return ERR(E_LIMIT_SIZE);
	}
	if (h != NULL && h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_CREDENTIALS &&
	    h->cmsg_len == CMSG_LEN(sizeof(sender)))
		memcpy(&sender, CMSG_DATA(h), sizeof(sender));
	if (sender.pid == c->pid && sender.uid == c->uid)
		return ERR(E_OK);
	reason_set(reterr, "process %d has connected, but process %d sends: a connection speaks for who made it, alone",
		   (int)c->pid, (int)sender.pid);
	return ERR(E_AUTH_REFUSED);
}

struct err caller_receive(const struct caller *c, int connection, struct buf *ret, struct reason *reterr)
{
	union {
		struct cmsghdr align;
		uint8_t room[CMSG_SPACE(sizeof(struct ucred))];
	} control;
	struct iovec to = { .iov_len = REQUEST_MAX };
	struct msghdr m = { .msg_iov = &to, .msg_iovlen = 1, .msg_control = &control,
			    .msg_controllen = sizeof(control) };
	struct err e;
	ssize_t n;

	if (failed(e = buf_reserve(ret, REQUEST_MAX)))
		return e;
	to.iov_base = ret->p + ret->n;
	do
		n = recvmsg(connection, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return ERR(E_LOCAL_NETWORK);
	if (failed(e = received(c, &m, reterr)))
		return e;
	ret->n += (size_t)n;
	return ERR(E_OK);
}
