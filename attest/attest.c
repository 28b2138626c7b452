/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/attest.h"

#include <string.h>
#include <time.h>

#include "attest/collect.h"
#include "base/file.h"
#include "base/log.h"

#define ATTEST_LOCK "attest.lock"
#define ATTEST_PARTS_MAX 16384 /* of a log; the verifier refuses one that brings nothing new */
#define ATTEST_LOCK_TIMEOUT_S 600 /* others may be digesting and waiting for the network */

/* A live instance with what its files give now. */
struct remeasured {
	uint8_t id[INSTANCE_ID_LEN];
	bool ended; /* meanwhile: the log says so, and there is nothing to measure */
	struct measured now;
};

static struct err remeasure_one(struct host *h, struct remeasured *r)
{
	cleanup_instance struct instance i = { 0 };
	struct err e;

	e = instance_read(h->state_fd, r->id, &i, NULL, &h->why);
	r->ended = e.code == E_LOCAL_NOT_FOUND;
	if (r->ended)
		return ERR(E_OK);
	if (failed(e))
		return e;
	return measure_again(&i, &r->now, &h->why);
}

/* Which instances are to be digested; the visit ends before it is done. */
static struct err list_live(struct host *h, const uint8_t *only, struct remeasured *list, size_t *ret_n)
{
	cleanup_visit struct visit v = VISIT_INIT;
	size_t n = 0;
	struct err e;

	if (failed(e = visit_begin_log(h, &v)))
		return e;
	for (size_t i = 0; i < v.workload.n_live; i++)
		if (only == NULL || memcmp(v.workload.live[i].id, only, INSTANCE_ID_LEN) == 0)
			memcpy(list[n++].id, v.workload.live[i].id, INSTANCE_ID_LEN);
	*ret_n = n;
	return ERR(E_OK);
}

/* A change is said once: it is for good, and a file that changes every second must not fill the log. */
static bool differs(const struct workload_instance *was, const struct measured *now)
{
	if (was->changed)
		return false;
	return memcmp(&was->image, &now->image, sizeof(was->image)) != 0 ||
	       memcmp(&was->model, &now->model, sizeof(was->model)) != 0 ||
	       memcmp(&was->container, &now->container, sizeof(was->container)) != 0;
}

static struct err say_changes(struct host *h, const struct remeasured *list, size_t n)
{
	cleanup_visit struct visit v = VISIT_INIT;
	struct err e;

	if (failed(e = visit_begin_log(h, &v)))
		return e;
	for (size_t i = 0; i < n; i++) {
		const struct workload_instance *was = workload_find(&v.workload, list[i].id);
		struct workload_event ev = { .kind = WORKLOAD_CHANGED, .image = list[i].now.image,
					     .model = list[i].now.model,
					     .has_container = list[i].now.has_container,
					     .container = list[i].now.container };

		if (list[i].ended || was == NULL || !differs(was, &list[i].now))
			continue;
		memcpy(ev.instance, list[i].id, INSTANCE_ID_LEN);
		if (failed(e = workload_append(&v.workload, &ev)))
			return e;
	}
	return ERR(E_OK);
}

static struct err remeasure(struct host *h, const uint8_t *only)
{
	cleanup_free struct remeasured *list = calloc(LIMIT_INSTANCES, sizeof(*list));
	struct err e;
	size_t n;

	if (list == NULL)
		return ERR(E_LOCAL_MEMORY);
	if (failed(e = list_live(h, only, list, &n)))
		return e;
	for (size_t i = 0; i < n; i++)
		if (failed(e = remeasure_one(h, &list[i])))
			return e;
	return n == 0 ? ERR(E_OK) : say_changes(h, list, n);
}

/* Which boot to ask a challenge for. Abandoned instances are ended on the way. */
static struct err current_boot(struct host *h, uint8_t ret[BOOT_ID_LEN])
{
	cleanup_visit struct visit v = VISIT_INIT;
	struct err e;

	if (failed(e = visit_begin_log(h, &v)))
		return e;
	memcpy(ret, v.boot.id, BOOT_ID_LEN);
	return ERR(E_OK);
}

static struct err collect(struct host *h, const struct challenge_request *q, const struct challenge *ch,
			  struct buf *ret)
{
	cleanup_visit struct visit v = VISIT_INIT;
	cleanup_ak struct ak ak = AK_INIT;
	struct collect c;
	struct err e;

	if (failed(e = visit_begin_log(h, &v)))
		return e;
	if (memcmp(v.boot.id, q->boot_id, BOOT_ID_LEN) != 0)
		return ERR(E_AUTH_RETRY);
	if (failed(e = visit_ak(&v, &ak)))
		return e;
	c = (struct collect){
		.tpm = v.tpm, .state_fd = h->state_fd, .host_id = h->enrolment.host_id, .issuer = h->enrolment.issuer,
		.challenge = ch, .boot = &v.boot, .ak = &ak, .workload = &v.workload,
		.firmware_log = h->conf->firmware_log, .userspace_log = h->conf->userspace_log, .ima_list = h->conf->ima_list,
		.command_line = "/proc/cmdline",
	};
	return collect_evidence(&c, ret);
}

static struct err attest_once(struct host *h, struct client *client, struct attest_reply *ret)
{
	cleanup_buf struct buf evidence = BUF_INIT(LIMIT_EVIDENCE);
	cleanup_free struct challenge *ch = calloc(1, sizeof(*ch));
	struct challenge_request q = { 0 };
	struct err e;

	if (ch == NULL)
		return ERR(E_LOCAL_MEMORY);
	memcpy(q.host_id, h->enrolment.host_id, sizeof(q.host_id));
	if (failed(e = current_boot(h, q.boot_id)) || failed(e = client_challenge(client, &q, ch)) ||
	    failed(e = collect(h, &q, ch, &evidence)))
		return e;
	return client_attest(client, buf_bytes(&evidence), ret);
}

/* Until there is a verdict: a long log takes more than one message. */
static struct err attest_whole(struct host *h, struct client *client, struct attest_reply *ret)
{
	struct err e;

	for (unsigned parts = 1;; parts++) {
		e = attest_once(h, client, ret);
		if (failed(e) || !ret->incomplete)
			return e;
		attest_reply_done(ret);
		if (parts == ATTEST_PARTS_MAX)
			return ERR(E_LIMIT_COUNT);
		log_info("a log is long: part %u is sent", parts);
	}
}

/* Somebody was faster, or the nonce got too old on the way: a new challenge may do. */
static bool wants_retry(struct err e)
{
	return e.code == E_AUTH_RETRY || e.code == E_AUTH_NONCE;
}

/* Up to 2^n * 50 ms, at random, so that hosts do not come back together. */
static void pause_before(unsigned try)
{
	uint8_t r = 128;

	if (failed(random_bytes(&r, sizeof(r))))
		r = 128;
	(void)nanosleep(&(struct timespec){ .tv_nsec = (50000000L << try) / 256 * r }, NULL);
}

struct err attest(struct host *h, const struct attest_options *options, struct attest_reply *ret)
{
	cleanup_client struct client client = { 0 };
	cleanup_fd int lock = -1;
	struct err e;

	if (failed(e = file_lock(h->state_fd, ATTEST_LOCK, ATTEST_LOCK_TIMEOUT_S * 1000, &lock))) {
		reason_set(&h->why, "another attestation of this host does not end: %s", err_text(e));
		return e;
	}
	if (options->measure && failed(e = remeasure(h, options->only)))
		return e;
	if (failed(e = host_client(h, &client)))
		return e;
	for (unsigned i = 0;; i++) {
		bool again;

		e = attest_whole(h, &client, ret);
		/* REBOOTED asks for a second, full look at the new boot. */
		again = failed(e) ? wants_retry(e) : strcmp(ret->state, "REBOOTED") == 0;
		if (!again || i + 1 == ATTEST_TRIES)
			return e;
		if (!failed(e))
			attest_reply_done(ret);
		log_debug("new challenge: %s", failed(e) ? err_text(e) : "new boot");
		pause_before(i);
	}
}
