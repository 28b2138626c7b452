/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/daemon/watcher.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "attest/changes.h"
#include "attest/container/root.h"
#include "attest/container/rules.h"
#include "attest/daemon/job.h"
#include "base/file.h"
#include "base/log.h"

#define LOOK_MS 5000    /* between two looks at what says nothing by itself: a root is changed without an event */
#define CHANGES_MS 1000 /* between two words of files to which something is done again and again */

struct watcher {
	struct instance instance;
	int init_fd;      /* pidfd of its init */
	int mounts_fd;    /* becomes ready when something is mounted in the container, or its root is changed */
	struct changes *changes;
	uint64_t said_ms;
	bool running;     /* its root has been the container's */
};

static void watcher_done(struct watcher *w)
{
	instance_done(&w->instance);
	cleanup_fd_(&w->init_fd);
	cleanup_fd_(&w->mounts_fd);
	changes_free(w->changes);
}

static struct err say(enum watcher_word word)
{
	const uint8_t byte = (uint8_t)word;

	return job_say(BYTES(&byte, 1));
}

/* E_AUTH_CONFLICT: it was not judged by these. */
static struct err check_rules(const char *file, const struct instance *i, struct reason *reterr)
{
	cleanup_container_rules struct container_rules r = { 0 };
	struct err e = container_rules_load(file, i->agent, &r, reterr);

	if (e.code == E_LOCAL_NOT_FOUND || e.code == E_LOCAL_PERMISSION)
		return ERR(E_AUTH_CONFLICT);
	if (failed(e) || bytes_eq(BYTES_ARR(r.digest), BYTES_ARR(i->container.policy)))
		return e;
	reason_set(reterr, "the container was judged by other rules than those for agent %s in %s", i->agent,
		   log_quote(bytes_str(file)));
	return ERR(E_AUTH_CONFLICT);
}

static struct err begin(struct host *h, const struct watcher_order *order, struct watcher *w, struct reason *reterr)
{
	struct err e = instance_read(h->state_fd, order->id, &w->instance, NULL, reterr);
	char path[64];

	if (failed(e))
		return e;
	w->init_fd = pidfd_open(w->instance.parent.pid, 0);
	(void)snprintf(path, sizeof(path), "/proc/%d/mountinfo", (int)w->instance.parent.pid);
	w->mounts_fd = open(path, O_RDONLY | O_CLOEXEC);
	/* Both are of the process that was written down where that lives still. */
	if (w->init_fd < 0 || !process_alive(&w->instance.parent)) {
		reason_set(reterr, "process %d of the container has ended", (int)w->instance.parent.pid);
		return ERR(E_LOCAL_NOT_FOUND);
	}
	if (w->mounts_fd < 0)
		return ERR(E_LOCAL_IO);
	return order->is_new ? check_rules(h->conf->containers, &w->instance, reterr) : ERR(E_OK);
}

/* Everything as it is now: what was put in place of something is not watched yet. */
static struct err watch(struct watcher *w, struct reason *reterr)
{
	const struct instance_container *c = &w->instance.container;
	cleanup_free char *path = NULL;
	bool whole = false;
	struct err e;

	changes_free(w->changes);
	w->changes = NULL;
	if (failed(e = container_root_reach(c, &path, reterr)) ||
	    failed(e = changes_watch_root(path, w->instance.model, &w->changes, &whole, reterr)))
		return e;
	return whole ? ERR(E_OK) : ERR(E_LOCAL_IO);
}

static bool has_our_root(pid_t pid)
{
	struct stat ours, theirs;
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/root/", (int)pid);
	return stat("/", &ours) == 0 && stat(path, &theirs) == 0 && ours.st_dev == theirs.st_dev &&
	       ours.st_ino == theirs.st_ino;
}

/* E_AUTH_CONFLICT: another root. Until the runtime has changed it, it is the host's, and once it has, never again. */
static struct err check_root(struct watcher *w, struct reason *reterr)
{
	pid_t init = w->instance.parent.pid;
	/* Looked at first: the runtime may change it in between, and then the second look finds the container's. */
	bool not_yet = !w->running && has_our_root(init);
	struct err e = container_root_check(&w->instance.container, init, reterr);

	if (!failed(e)) {
		w->running = true;
		return e;
	}
	if (!pidfd_alive(w->init_fd) || (e.code == E_AUTH_CONFLICT && not_yet))
		return ERR(E_OK);
	return e;
}

/* Until there may be something to see. False: the container has ended. */
static bool wait_for_more(const struct watcher *w)
{
	struct pollfd fds[] = { { .fd = w->init_fd, .events = POLLIN },
				{ .fd = w->mounts_fd, .events = POLLPRI },
				{ .fd = changes_fd(w->changes), .events = POLLIN },
				{ .fd = changes_mounts_fd(w->changes), .events = POLLPRI } };

	return poll(fds, array_len(fds), LOOK_MS) <= 0 || fds[0].revents == 0;
}

/* Not more often than it is worth: each word has everything digested. */
static void keep_distance(struct watcher *w)
{
	uint64_t now = clock_boottime_ms(), at = w->said_ms + CHANGES_MS;

	if (now < at)
		(void)nanosleep(&(struct timespec){ .tv_nsec = (long)(at - now) * 1000000 % 1000000000 }, NULL);
	w->said_ms = clock_boottime_ms();
}

/* Watched anew first, so that what is done from then on gives another word. */
static struct err take_changes(struct watcher *w, struct reason *reterr)
{
	struct err e, said;

	keep_distance(w);
	e = watch(w, reterr);
	said = say(WATCHER_CHANGED);
	return failed(e) ? e : said;
}

static struct err stay(struct watcher *w, struct reason *reterr)
{
	struct err e;

	while (wait_for_more(w)) {
		if (failed(e = check_root(w, reterr)) ||
		    (changes_seen(w->changes) && failed(e = take_changes(w, reterr))))
			return e;
	}
	return ERR(E_OK);
}

void watcher(struct host *h, const void *ctx, struct buf *out)
{
	cleanup(watcher_done) struct watcher w = { .init_fd = -1, .mounts_fd = -1 };
	struct reason why = { "" };
	struct err e = begin(h, ctx, &w, &why);

	cleanup_fd_(&h->state_fd);
	h->state_fd = -1;
	if (failed(e) || failed(e = watch(&w, &why)) || failed(e = check_root(&w, &why)) ||
	    failed(e = say(WATCHER_WATCHES)))
		;
	else
		e = stay(&w, &why);
	if (!failed(e) || (w.init_fd >= 0 && !pidfd_alive(w.init_fd)))
		return;
	if (failed(buf_add_u8(out, e.code == E_AUTH_CONFLICT ? WATCHER_REFUSES : WATCHER_FAILED)) ||
	    failed(buf_add_str(out, why.text[0] != '\0' ? why.text : err_text(e))))
		buf_clear(out);
}
