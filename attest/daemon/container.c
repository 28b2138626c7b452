/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/daemon/container.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>

#include "attest/daemon/daemon.h"
#include "attest/daemon/watcher.h"
#include "attest/interval.h"
#include "base/file.h"
#include "base/log.h"

#define NEVER CONTAINER_NEVER
#define RETRY_MS 5000 /* after a watcher that has failed; doubles */
#define RETRY_DOUBLINGS_MAX 4
#define LISTED_MAX (REQUEST_MAX / 2)

/* ---------------------------------------------------------------- which there are */

static void container_free(struct container *c)
{
	if (c == NULL)
		return;
	job_done(&c->watcher);
	cleanup_fd_(&c->pidfd);
	free(c->name);
	free(c->root);
	free(c);
}
DEFINE_CLEANUP(struct container, cleanup_container_, container_free)
#define cleanup_container cleanup(cleanup_container_)

void containers_done(struct containers *c)
{
	while (c->n > 0)
		container_free(c->v[--c->n]);
}

struct container *containers_find(const struct containers *c, const uint8_t id[INSTANCE_ID_LEN])
{
	for (size_t i = 0; i < c->n; i++)
		if (memcmp(c->v[i]->id, id, INSTANCE_ID_LEN) == 0)
			return c->v[i];
	return NULL;
}

static void add(struct daemon *d, const struct roster_entry *x)
{
	cleanup_container struct container *c = calloc(1, sizeof(*c));
	cleanup_instance struct instance i = { 0 };

	if (c == NULL)
		return;
	*c = (struct container){ .watcher = JOB_INIT, .pidfd = fcntl(x->pidfd, F_DUPFD_CLOEXEC, 0),
				 .since_ms = clock_boottime_ms(), .digest_at_ms = NEVER, .kill_at_ms = NEVER,
				 .inherited = !d->containers.begun, .vetted = !d->containers.begun };
	if (c->pidfd < 0 || failed(instance_read(d->host->state_fd, x->id, &i, NULL, NULL)) || i.container.id == NULL)
		return; /* it went away meanwhile: the next reading tells */
	memcpy(c->id, x->id, INSTANCE_ID_LEN);
	c->name = take_ptr(&i.container.id);
	c->root = take_ptr(&i.container.rootfs);
	d->containers.v[d->containers.n++] = take_ptr(&c);
}

static void drop_ended(struct containers *all)
{
	for (size_t i = all->n; i-- > 0;) {
		if (pidfd_alive(all->v[i]->pidfd))
			continue;
		container_free(all->v[i]);
		all->v[i] = all->v[--all->n];
	}
}

static void add_new(struct daemon *d)
{
	struct containers *all = &d->containers;

	for (size_t i = 0; i < d->roster.n && all->n < LIMIT_INSTANCES; i++)
		if (d->roster.entry[i].container && containers_find(all, d->roster.entry[i].id) == NULL)
			add(d, &d->roster.entry[i]);
}

/* ---------------------------------------------------------------- its end */

/* To its init; a pidfd never reaches another process. */
static void signal_init(const struct container *c, int number)
{
	if (pidfd_send_signal(c->pidfd, number, NULL, 0) != 0 && errno != ESRCH)
		log_warning("container %s cannot be ended: %s", log_quote(bytes_str(c->name)),
			    strerrordesc_np(errno) ?: "unknown error");
}

static void end(struct daemon *d, struct container *c, const char *why)
{
	char hex[INSTANCE_HEX_LEN + 1];

	if (c->ending)
		return;
	instance_id_format(c->id, hex);
	log_warning("container %s is ended, instance %s: %s", log_quote(bytes_str(c->name)), hex, why);
	c->ending = true;
	c->kill_at_ms = clock_boottime_ms() + (uint64_t)d->host->conf->grace_s * 1000;
	signal_init(c, SIGTERM);
}

/* Again and again: one that is frozen dies when it thaws, and is not to be forgotten until then. */
static void pass_grace(struct container *c)
{
	uint64_t now = clock_boottime_ms();

	if (c->kill_at_ms > now)
		return;
	signal_init(c, SIGKILL);
	c->kill_at_ms = now + RETRY_MS;
}

static bool is_accepted(const struct outcome *o, const struct container *c)
{
	for (size_t i = 0; i < o->n_accepted; i++)
		if (memcmp(o->accepted[i], c->id, INSTANCE_ID_LEN) == 0)
			return true;
	return false;
}

void containers_judge(struct daemon *d, const struct outcome *o, uint64_t since_ms)
{
	for (size_t i = 0; i < d->containers.n; i++) {
		struct container *c = d->containers.v[i];

		/* A younger one may have come after the evidence. */
		if (c->since_ms < since_ms && !is_accepted(o, c))
			end(d, c, o->text);
	}
}

/* What lost its folder lost its start in the log: somebody has ended it, or the TPM has been reset. */
static void end_orphans(struct daemon *d)
{
	for (size_t i = 0; i < d->containers.n; i++)
		if (roster_find(&d->roster, d->containers.v[i]->id) == NULL)
			end(d, d->containers.v[i], "its instance has ended");
}

static void follow_roster(struct daemon *d)
{
	drop_ended(&d->containers);
	if (d->containers.reading == d->roster.reading)
		return;
	d->containers.reading = d->roster.reading;
	end_orphans(d);
	add_new(d);
}

/* ---------------------------------------------------------------- its watcher */

static void start_watcher(struct daemon *d, struct container *c)
{
	struct watcher_order order = { .is_new = !c->vetted };

	memcpy(order.id, c->id, INSTANCE_ID_LEN);
	c->last_word = 0;
	c->start_at_ms = NEVER;
	/* No process to spare now: later. */
	if (failed(job_start(&c->watcher, d->host, JOB_FOREVER, watcher, &order)))
		c->start_at_ms = clock_boottime_ms() + RETRY_MS;
}

/* What was done before that was not seen: so everything is digested, unless a hook has just done so (conn.c). */
static void take_watch(struct container *c)
{
	c->fresh = c->n_failures == 0 && c->why.text[0] == '\0' && !c->watched;
	c->watched = true;
	c->vetted = true;
	c->n_failures = 0;
	c->why.text[0] = '\0';
	c->digest_at_ms = clock_boottime_ms();
}

static void take_byte(struct container *c, uint8_t byte)
{
	size_t n = strlen(c->why.text);

	if (c->last_word != 0) {
		(void)snprintf(c->why.text + n, sizeof(c->why.text) - n, "%c", byte);
		return;
	}
	switch (byte) {
	case WATCHER_WATCHES:
		take_watch(c);
		break;
	case WATCHER_CHANGED:
		log_info("container %s: something was done to its root or model", log_quote(bytes_str(c->name)));
		c->fresh = false;
		c->digest_at_ms = clock_boottime_ms();
		break;
	default:
		c->last_word = byte;
		c->why.text[0] = '\0';
		break;
	}
}

static uint64_t pause_ms(struct container *c)
{
	unsigned n = c->n_failures < RETRY_DOUBLINGS_MAX ? c->n_failures : RETRY_DOUBLINGS_MAX;

	c->n_failures++;
	return interval_jitter((uint64_t)RETRY_MS << n);
}

/* Until there is another one, the interval's attestations find what is done. */
static void end_of_watcher(struct daemon *d, struct container *c)
{
	c->watched = false;
	if (c->ending || !pidfd_alive(c->pidfd))
		return;
	if (c->last_word == WATCHER_REFUSES) {
		end(d, c, c->why.text);
		return;
	}
	if (c->last_word == 0 || c->why.text[0] == '\0')
		reason_set(&c->why, "its watcher has ended");
	c->start_at_ms = clock_boottime_ms() + pause_ms(c);
	log_warning("container %s is not watched: %s", log_quote(bytes_str(c->name)), c->why.text);
}

void container_ready(struct daemon *d, struct container *c)
{
	bool ended = job_read(&c->watcher);

	for (size_t i = 0; i < c->watcher.out.n; i++)
		take_byte(c, c->watcher.out.p[i]);
	buf_clear(&c->watcher.out);
	if (ended)
		end_of_watcher(d, c);
}

/* ---------------------------------------------------------------- all of them */

void containers_tick(struct daemon *d)
{
	follow_roster(d);
	d->containers.begun = true;
	for (size_t i = 0; i < d->containers.n; i++) {
		struct container *c = d->containers.v[i];

		pass_grace(c);
		if (!c->ending && !d->stopping && c->start_at_ms <= clock_boottime_ms())
			start_watcher(d, c);
	}
}

uint64_t containers_next_ms(const struct containers *all)
{
	uint64_t at = NEVER;

	for (size_t i = 0; i < all->n; i++) {
		const struct container *c = all->v[i];

		if (c->kill_at_ms < at)
			at = c->kill_at_ms;
		if (!c->ending && c->start_at_ms < at)
			at = c->start_at_ms;
	}
	return at;
}

bool containers_settled(const struct containers *all)
{
	for (size_t i = 0; i < all->n; i++)
		if (!all->v[i]->watched && all->v[i]->why.text[0] == '\0')
			return false;
	return true;
}

struct container *containers_due(const struct containers *all)
{
	struct container *first = NULL;

	for (size_t i = 0; i < all->n; i++)
		if (!all->v[i]->ending && all->v[i]->digest_at_ms != NEVER &&
		    (first == NULL || all->v[i]->digest_at_ms < first->digest_at_ms))
			first = all->v[i];
	return first;
}

void containers_digested(struct containers *all)
{
	for (size_t i = 0; i < all->n; i++) {
		all->v[i]->digest_at_ms = NEVER;
		all->v[i]->fresh = false;
	}
}

static struct err describe(const struct container *c, json_t **ret)
{
	cleanup_json json_t *o = NULL;
	struct err e;

	if (failed(e = json_new_object(&o)) || failed(e = json_put_hex(o, "instance", BYTES_ARR(c->id))) ||
	    failed(e = reply_put_text(o, "id", c->name)) || failed(e = reply_put_text(o, "root", c->root)) ||
	    failed(e = json_put_bool(o, "watched", c->watched)))
		return e;
	if (!c->watched && c->why.text[0] != '\0' && failed(e = reply_put_text(o, "reason", c->why.text)))
		return e;
	*ret = take_ptr(&o);
	return ERR(E_OK);
}

struct err containers_put(const struct containers *all, json_t *o)
{
	cleanup_json json_t *list = json_array();
	size_t room = LISTED_MAX;
	struct err e;

	if (list == NULL)
		return ERR(E_LOCAL_MEMORY);
	for (size_t i = 0; i < all->n; i++) {
		cleanup_json json_t *one = NULL;
		size_t n;

		if (failed(e = describe(all->v[i], &one)))
			return e;
		n = json_dumpb(one, NULL, 0, 0);
		if (n > room)
			break;
		room -= n;
		if (json_array_append(list, one) != 0)
			return ERR(E_LOCAL_MEMORY);
	}
	return json_put(o, "containers", json_incref(list));
}
