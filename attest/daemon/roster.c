/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/daemon/roster.h"

#include <errno.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"

#define SETTLED_MS 2000 /* a folder's time is as coarse as a tick: younger than this, it may change without showing it */

void roster_init(int state_fd, struct roster *ret)
{
	*ret = (struct roster){ .state_fd = state_fd };
}

static void entry_done(struct roster_entry *x)
{
	cleanup_fd_(&x->pidfd);
	x->pidfd = -1;
}

void roster_done(struct roster *r)
{
	while (r->n > 0)
		entry_done(&r->entry[--r->n]);
}

struct roster_entry *roster_find(struct roster *r, const uint8_t id[INSTANCE_ID_LEN])
{
	for (size_t i = 0; i < r->n; i++)
		if (memcmp(r->entry[i].id, id, INSTANCE_ID_LEN) == 0)
			return &r->entry[i];
	return NULL;
}

struct roster_entry *roster_by_run(struct roster *r, pid_t run)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->entry[i].run == run && pidfd_alive(r->entry[i].pidfd))
			return &r->entry[i];
	return NULL;
}

/* The ids that the folder has now. */
struct listing {
	size_t n;
	bool too_many;
	uint8_t id[LIMIT_INSTANCES][INSTANCE_ID_LEN];
};

static void list_one(void *ctx, const uint8_t id[INSTANCE_ID_LEN])
{
	struct listing *l = ctx;

	if (l->n == LIMIT_INSTANCES)
		l->too_many = true;
	else
		memcpy(l->id[l->n++], id, INSTANCE_ID_LEN);
}

static void drop_gone(struct roster *r, const struct listing *l)
{
	for (size_t i = r->n; i-- > 0;) {
		bool there = false;

		for (size_t k = 0; k < l->n && !there; k++)
			there = memcmp(l->id[k], r->entry[i].id, INSTANCE_ID_LEN) == 0;
		if (there && pidfd_alive(r->entry[i].pidfd))
			continue;
		r->abandoned = r->abandoned || there;
		entry_done(&r->entry[i]);
		r->entry[i] = r->entry[--r->n];
	}
}

/* The pidfd is opened first: where the process behind the number is then the one that was written down, so is this one. */
static void add(struct roster *r, const uint8_t id[INSTANCE_ID_LEN])
{
	cleanup_instance struct instance i = { 0 };
	cleanup_fd int pidfd = -1;
	struct roster_entry *x;

	if (failed(instance_read(r->state_fd, id, &i, NULL, NULL)))
		return; /* it went away meanwhile, or is damaged: nobody is it */
	pidfd = pidfd_open(i.parent.pid, 0);
	if (pidfd < 0 || !process_alive(&i.parent)) {
		r->abandoned = true;
		return;
	}
	x = &r->entry[r->n++];
	*x = (struct roster_entry){ .uid = i.uid, .container = i.container.id != NULL, .run = i.parent.pid, .pidfd = take_fd(&pidfd) };
	memcpy(x->id, id, INSTANCE_ID_LEN);
	(void)snprintf(x->agent, sizeof(x->agent), "%s", i.agent);
}

static bool is_current(const struct roster *r, const struct stat *st)
{
	int64_t age_ms;
	struct timespec now;

	if (r->read_ms == 0 || st->st_mtim.tv_sec != r->changed.tv_sec || st->st_mtim.tv_nsec != r->changed.tv_nsec)
		return false;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	age_ms = (int64_t)(now.tv_sec - st->st_mtim.tv_sec) * 1000;
	return age_ms > SETTLED_MS && clock_boottime_ms() - r->read_ms < (uint64_t)age_ms - SETTLED_MS;
}

static bool all_live(const struct roster *r)
{
	for (size_t i = 0; i < r->n; i++)
		if (!pidfd_alive(r->entry[i].pidfd))
			return false;
	return true;
}

struct err roster_refresh(struct roster *r)
{
	cleanup_free struct listing *l = calloc(1, sizeof(*l));
	struct stat st;
	struct err e;

	if (l == NULL)
		return ERR(E_LOCAL_MEMORY);
	if (fstatat(r->state_fd, "instances", &st, AT_SYMLINK_NOFOLLOW) != 0) {
		if (errno != ENOENT)
			return ERR(E_LOCAL_IO);
		st = (struct stat){ 0 };
	} else if (is_current(r, &st) && all_live(r)) {
		return ERR(E_OK);
	}
	r->abandoned = false;
	if (failed(e = instance_each(r->state_fd, list_one, l)))
		return e;
	drop_gone(r, l);
	for (size_t k = 0; k < l->n && r->n < LIMIT_INSTANCES; k++)
		if (roster_find(r, l->id[k]) == NULL)
			add(r, l->id[k]);
	if (l->too_many)
		log_debug("more folders of instances than can live");
	r->changed = st.st_mtim;
	r->reading++;
	r->read_ms = clock_boottime_ms();
	return ERR(E_OK);
}
