/* SPDX-License-Identifier: Apache-2.0 */
#include "firmware-measure/jobs.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "firmware-measure/model.h"

#define MAX_JOBS 256
#define PROGRESS_EVERY_NS 100000000L

struct order {
	size_t i;
	uint64_t size;
};

struct jobs {
	job_work *work;
	void *ctx;
	size_t n;
	struct order *order; /* largest first, so that no thread is left alone with a large file at the end */
	atomic_size_t next;
	atomic_uint_fast64_t done; /* bytes */
	atomic_bool stop;

	pthread_mutex_t lock; /* what follows */
	pthread_cond_t ended;
	size_t n_running;
	struct err e; /* the first failure */
	struct reason why;
};

void jobs_done(struct jobs *j, uint64_t n)
{
	atomic_fetch_add_explicit(&j->done, n, memory_order_relaxed);
}

bool jobs_stopped(const struct jobs *j)
{
	return atomic_load_explicit(&j->stop, memory_order_relaxed);
}

static void kit_done(struct job_kit *k)
{
	hasher_free(k->h);
	free(k->buffer);
}

static struct err work(struct jobs *p, struct job_kit *k, struct reason *reterr)
{
	struct err e;

	if (failed(e = hasher_new(DIGEST_SHA256, &k->h)))
		return e;
	k->buffer = malloc(JOB_BUFFER_LEN);
	if (k->buffer == NULL)
		return ERR(E_LOCAL_MEMORY);
	while (!atomic_load(&p->stop)) {
		size_t i = atomic_fetch_add(&p->next, 1);

		if (i >= p->n)
			break;
		if (failed(e = p->work(p->ctx, p->order[i].i, p, k, reterr)))
			return e;
	}
	return ERR(E_OK);
}

static void *worker_main(void *arg)
{
	struct job_kit k = { 0 };
	struct jobs *p = arg;
	struct reason why = { "" };
	struct err e = work(p, &k, &why);

	kit_done(&k);
	pthread_mutex_lock(&p->lock);
	if (failed(e) && !failed(p->e)) {
		p->e = e;
		p->why = why;
		atomic_store(&p->stop, true);
	}
	p->n_running--;
	pthread_cond_signal(&p->ended);
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

static int larger_first(const void *a, const void *b)
{
	const struct order *x = a, *y = b;

	return (x->size < y->size) - (x->size > y->size);
}

static size_t n_jobs(const struct model_options *o, size_t n_files)
{
	cpu_set_t cpus;
	size_t n = o->jobs;

	if (n == 0)
		n = sched_getaffinity(0, sizeof(cpus), &cpus) == 0 ? (size_t)CPU_COUNT(&cpus) : 1;
	if (n > MAX_JOBS)
		n = MAX_JOBS;
	return n < n_files ? n : n_files;
}

/* Waits until no worker runs; reports progress meanwhile. */
static void wait_for_all(struct jobs *p, const struct model_options *o, uint64_t total)
{
	pthread_mutex_lock(&p->lock);
	while (p->n_running > 0) {
		struct timespec t = { 0 };

		if (o->progress == NULL) {
			pthread_cond_wait(&p->ended, &p->lock);
			continue;
		}
		(void)clock_gettime(CLOCK_MONOTONIC, &t);
		t.tv_nsec += PROGRESS_EVERY_NS;
		t.tv_sec += t.tv_nsec / 1000000000L;
		t.tv_nsec %= 1000000000L;
		(void)pthread_cond_clockwait(&p->ended, &p->lock, CLOCK_MONOTONIC, &t);
		pthread_mutex_unlock(&p->lock);
		o->progress(o->ctx, atomic_load(&p->done), total);
		pthread_mutex_lock(&p->lock);
	}
	pthread_mutex_unlock(&p->lock);
}

/* Fewer threads than asked for are fine, none is not. Signals stay with the caller's threads. */
static struct err run_threads(struct jobs *p, const struct model_options *o, size_t jobs, uint64_t total)
{
	pthread_t thread[MAX_JOBS];
	size_t n_started = 0;
	sigset_t all, old;

	sigfillset(&all);
	if (pthread_sigmask(SIG_SETMASK, &all, &old) != 0)
		return ERR(E_BUG);
	pthread_mutex_lock(&p->lock);
	while (n_started < jobs && pthread_create(&thread[n_started], NULL, worker_main, p) == 0)
		n_started++;
	p->n_running = n_started;
	pthread_mutex_unlock(&p->lock);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (n_started == 0)
		return ERR(E_LOCAL_MEMORY);
	wait_for_all(p, o, total);
	for (size_t i = 0; i < n_started; i++)
		pthread_join(thread[i], NULL);
	return ERR(E_OK);
}

static struct err order_items(size_t n, const uint64_t *size, struct order **ret, uint64_t *ret_total)
{
	cleanup_free struct order *order = calloc(n, sizeof(*order));
	uint64_t total = 0;

	if (order == NULL)
		return ERR(E_LOCAL_MEMORY);
	for (size_t i = 0; i < n; i++) {
		if (size[i] > UINT64_MAX - total)
			return ERR(E_LIMIT_SIZE);
		total += size[i];
		order[i] = (struct order){ .i = i, .size = size[i] };
	}
	qsort(order, n, sizeof(*order), larger_first);
	*ret = take_ptr(&order);
	*ret_total = total;
	return ERR(E_OK);
}

struct err jobs_run(size_t n, const uint64_t *size, job_work *work_on, void *ctx, const struct model_options *options,
		    struct reason *reterr)
{
	static const struct model_options defaults = { 0 };
	const struct model_options *o = options != NULL ? options : &defaults;
	cleanup_free struct order *order = NULL;
	struct jobs p = {
		.work = work_on,
		.ctx = ctx,
		.n = n,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.ended = PTHREAD_COND_INITIALIZER,
	};
	uint64_t total = 0;
	struct err e = ERR(E_OK);

	if (n > 0 && failed(e = order_items(n, size, &order, &total)))
		return e;
	if (o->progress != NULL)
		o->progress(o->ctx, 0, total);
	p.order = order;
	if (n > 0)
		e = run_threads(&p, o, n_jobs(o, n), total);
	if (!failed(e))
		e = p.e;
	if (failed(e)) {
		if (p.why.text[0] != '\0')
			reason_set(reterr, "%s", p.why.text);
		return e;
	}
	if (o->progress != NULL)
		o->progress(o->ctx, total, total);
	return ERR(E_OK);
}
