/* SPDX-License-Identifier: Apache-2.0 */
/* The threads of filehash_run(). */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "base/digest.h"
#include "base/limits.h"
#include "base/log.h"
#include "firmware-measure/filehash.h"
#include "firmware-measure/model.h"

#define BUFFER_LEN MIB
#define MAX_JOBS 256
#define PROGRESS_EVERY_NS 100000000L

struct pool {
	int root_fd;
	size_t n;
	struct hash_item **order; /* largest first, so that no thread is left alone with a large file at the end */
	atomic_size_t next;
	atomic_uint_fast64_t done; /* bytes */
	atomic_bool stop;

	pthread_mutex_t lock; /* what follows */
	pthread_cond_t ended;
	size_t n_running;
	struct err e; /* the first failure */
	struct reason why;
};

/* What one thread needs, got once. */
struct worker {
	struct hasher *h;
	uint8_t *buffer;
};

static void worker_done(struct worker *w)
{
	hasher_free(w->h);
	free(w->buffer);
}

static uint64_t item_len(const struct hash_item *item)
{
	return item->len > 0 ? item->len : item->id.size;
}

static struct err seek(int fd, const struct hash_item *item, struct reason *reterr)
{
	if (item->off == 0 || lseek(fd, (off_t)item->off, SEEK_SET) == (off_t)item->off)
		return ERR(E_OK);
	reason_set(reterr, "%s: no reading at %ju", log_quote(bytes_str(item->path)), (uintmax_t)item->off);
	return ERR(E_LOCAL_IO);
}

static struct err hash_content(struct pool *p, const struct worker *w, int fd, const struct hash_item *item,
			       struct reason *reterr)
{
	uint64_t left = item_len(item);
	struct err e;

	while (left > 0 && !atomic_load_explicit(&p->stop, memory_order_relaxed)) {
		size_t want = left < BUFFER_LEN ? (size_t)left : BUFFER_LEN, got = 0;

		if (failed(e = filehash_chunk(fd, item->path, w->buffer, want, &got, reterr)) ||
		    failed(e = hasher_add(w->h, BYTES(w->buffer, got))))
			return e;
		left -= got;
		atomic_fetch_add_explicit(&p->done, got, memory_order_relaxed);
	}
	return ERR(E_OK);
}

static struct err hash_one(struct pool *p, const struct worker *w, struct hash_item *item, struct reason *reterr)
{
	cleanup_fd int fd = -1;
	struct file_id id;
	struct digest d;
	struct err e;

	e = filehash_open(p->root_fd, item->path, &fd, &id, reterr);
	/* It was a regular file when its id was taken. */
	if (e.code == E_LOCAL_NOT_FOUND || e.code == E_PEER_UNSUPPORTED)
		return ERR(E_PEER_CHANGED);
	if (failed(e))
		return e;
	if (!file_id_equal(&id, &item->id)) {
		reason_set(reterr, "%s changed before it was read", log_quote(bytes_str(item->path)));
		return ERR(E_PEER_CHANGED);
	}
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	if (failed(e = seek(fd, item, reterr)) || failed(e = hash_content(p, w, fd, item, reterr)) ||
	    failed(e = filehash_unchanged(fd, item->path, &item->id, reterr)) ||
	    failed(e = hasher_finish(w->h, &d)))
		return e;
	return bytes_copy_exact(digest_bytes(&d), item->sha256, sizeof(item->sha256));
}

static struct err work(struct pool *p, struct worker *w, struct reason *reterr)
{
	struct err e;

	if (failed(e = hasher_new(DIGEST_SHA256, &w->h)))
		return e;
	w->buffer = malloc(BUFFER_LEN);
	if (w->buffer == NULL)
		return ERR(E_LOCAL_MEMORY);
	while (!atomic_load(&p->stop)) {
		size_t i = atomic_fetch_add(&p->next, 1);

		if (i >= p->n)
			break;
		if (failed(e = hash_one(p, w, p->order[i], reterr)))
			return e;
	}
	return ERR(E_OK);
}

static void *worker_main(void *arg)
{
	struct worker w = { 0 };
	struct pool *p = arg;
	struct reason why = { "" };
	struct err e = work(p, &w, &why);

	worker_done(&w);
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
	const struct hash_item *x = *(struct hash_item *const *)a, *y = *(struct hash_item *const *)b;

	return (item_len(x) < item_len(y)) - (item_len(x) > item_len(y));
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
static void wait_for_all(struct pool *p, const struct model_options *o, uint64_t total)
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
static struct err run_threads(struct pool *p, const struct model_options *o, size_t jobs, uint64_t total)
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

static struct err total_size(size_t n, const struct hash_item *items, uint64_t *ret)
{
	uint64_t total = 0;

	for (size_t i = 0; i < n; i++) {
		if (item_len(&items[i]) > UINT64_MAX - total)
			return ERR(E_LIMIT_SIZE);
		total += item_len(&items[i]);
	}
	*ret = total;
	return ERR(E_OK);
}

struct err filehash_run(int root_fd, size_t n, struct hash_item *items, const struct model_options *options,
			struct reason *reterr)
{
	static const struct model_options defaults = { 0 };
	const struct model_options *o = options != NULL ? options : &defaults;
	cleanup_free struct hash_item **order = NULL;
	struct pool p = {
		.root_fd = root_fd,
		.n = n,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.ended = PTHREAD_COND_INITIALIZER,
	};
	uint64_t total = 0;
	struct err e;

	if (failed(e = total_size(n, items, &total)))
		return e;
	if (o->progress != NULL)
		o->progress(o->ctx, 0, total);
	if (n > 0) {
		order = calloc(n, sizeof(*order));
		if (order == NULL)
			return ERR(E_LOCAL_MEMORY);
		for (size_t i = 0; i < n; i++)
			order[i] = &items[i];
		qsort(order, n, sizeof(*order), larger_first);
		p.order = order;
		e = run_threads(&p, o, n_jobs(o, n), total);
	}
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
