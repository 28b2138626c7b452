/* SPDX-License-Identifier: Apache-2.0 */
#include "swtpm-harness/fleet.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>

#include "base/file.h"
#include "swtpm-harness/tpm.h"

#define SLOTS_MAX 64

struct slot {
	struct process process;
	int fd; /* -1: free */
	uint64_t end_ms;
	size_t index;
};

struct crew {
	const struct fleet *f;
	size_t n_slots, n_started, n_done;
	struct slot slots[SLOTS_MAX];
};

static size_t n_processors(void)
{
	cpu_set_t set;
	int n;

	/* Not the machine's number: a CI container often has fewer. */
	if (sched_getaffinity(0, sizeof(set), &set) != 0)
		return 1;
	n = CPU_COUNT(&set);
	if (n < 1)
		return 1;
	return n < SLOTS_MAX ? (size_t)n : SLOTS_MAX;
}

static struct err start_next(struct crew *crew, struct slot *slot, struct reason *reterr)
{
	const struct fleet *f = crew->f;
	struct process p;
	struct err e;
	int fd;

	if (failed(e = tpm_setup(f->dirs[crew->n_started].text, f->state, f->banks, f->conf, &p, reterr)))
		return e;
	if ((fd = process_open(&p)) < 0)
		return ERR(E_LOCAL_IO);
	*slot = (struct slot){
		.process = p, .fd = fd, .end_ms = clock_boottime_ms() + f->timeout_ms, .index = crew->n_started
	};
	crew->n_started++;
	return ERR(E_OK);
}

static struct err finish(struct crew *crew, struct slot *slot, struct reason *reterr)
{
	const char *dir = crew->f->dirs[slot->index].text;
	struct tail tail;
	struct err e;
	int status;

	if (failed(e = process_wait(&slot->process, 0, -1, &status)))
		return e;
	(void)close(slot->fd);
	slot->fd = -1;
	if (status != 0) {
		folder_log_tail(dir, &tail);
		reason_set(reterr, "swtpm_setup failed; %s/log ends: %s", dir, tail.text);
		return ERR(E_LOCAL_TPM);
	}
	crew->n_done++;
	if (crew->f->progress != NULL)
		crew->f->progress(crew->f->progress_ctx, crew->n_done, crew->f->n);
	return ERR(E_OK);
}

/* Sleeps until a setup has ended, the earliest deadline or the cancellation. */
static struct err wait_for_any(struct crew *crew, struct pollfd fds[SLOTS_MAX + 1], struct reason *reterr)
{
	uint64_t now = clock_boottime_ms(), end = UINT64_MAX;
	int n;

	for (size_t i = 0; i < crew->n_slots; i++) {
		fds[i] = (struct pollfd){ .fd = crew->slots[i].fd, .events = POLLIN };
		if (crew->slots[i].fd >= 0 && crew->slots[i].end_ms < end)
			end = crew->slots[i].end_ms;
	}
	fds[crew->n_slots] = (struct pollfd){ .fd = crew->f->cancel_fd, .events = POLLIN };
	n = poll(fds, crew->n_slots + 1, end > now ? (int)(end - now) : 0);
	if (n < 0)
		return errno == EINTR ? ERR(E_OK) : ERR(E_LOCAL_IO);
	if (fds[crew->n_slots].revents != 0) {
		reason_set(reterr, "interrupted");
		return ERR(E_LOCAL_BUSY);
	}
	if (n == 0) {
		reason_set(reterr, "swtpm_setup took longer than %u ms", crew->f->timeout_ms);
		return ERR(E_LOCAL_TIMEOUT);
	}
	return ERR(E_OK);
}

static struct err run_crew(struct crew *crew, struct reason *reterr)
{
	struct pollfd fds[SLOTS_MAX + 1];
	struct err e;

	while (crew->n_done < crew->f->n) {
		for (size_t i = 0; i < crew->n_slots; i++) {
			if (crew->slots[i].fd < 0 && crew->n_started < crew->f->n &&
			    failed(e = start_next(crew, &crew->slots[i], reterr)))
				return e;
		}
		if (failed(e = wait_for_any(crew, fds, reterr)))
			return e;
		for (size_t i = 0; i < crew->n_slots; i++) {
			if (fds[i].revents != 0 && failed(e = finish(crew, &crew->slots[i], reterr)))
				return e;
		}
	}
	return ERR(E_OK);
}

struct err fleet_setup(const struct fleet *f, struct reason *reterr)
{
	struct crew crew = { .f = f, .n_slots = n_processors() };
	struct err e;

	for (size_t i = 0; i < crew.n_slots; i++)
		crew.slots[i].fd = -1;
	e = run_crew(&crew, reterr);
	for (size_t i = 0; i < crew.n_slots; i++) {
		if (crew.slots[i].fd < 0)
			continue;
		/* Only after a failure, and that one is what the caller hears about. */
		if (failed(process_kill_group(&crew.slots[i].process)))
			reason_set(reterr, "swtpm_setup (process %d) cannot be ended", (int)crew.slots[i].process.pid);
		(void)close(crew.slots[i].fd);
	}
	return e;
}
