/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Group commit: one thread takes every write that waits, runs them in one
 * transaction and commits once. A commit costs one fsync however many share it.
 *
 * A write that failed before it changed anything needs no undoing, and nearly
 * all that fail do so. Where one changed something first, the transaction is
 * rolled back and the batch runs once more, each in a savepoint of its own:
 * savepoints for all, always, would cost a third of the writer's time.
 */
#include "verifier/store/internal.h"

static void fail_all(struct job *first, struct err e)
{
	for (struct job *j = first; j != NULL; j = j->next)
		if (!failed(j->e))
			j->e = e;
}

static void rollback(struct store *s)
{
	struct err e;

	if (sqlite3_get_autocommit(s->writer->db))
		return;
	/* A rollback that fails for lack of memory ends the transaction all the same when it is tried again. */
	e = conn_run(s->writer, SQL_ROLLBACK);
	if (failed(e) && !sqlite3_get_autocommit(s->writer->db))
		(void)sqlite3_exec(s->writer->db, "ROLLBACK", NULL, NULL, NULL);
}

/* How a batch ended: committed or not, or to be run again with savepoints. */
enum batch { BATCH_DONE, BATCH_AGAIN };

/* On a full disk, an I/O error or for lack of memory SQLite may give up the transaction by itself. */
static struct err run_fn(struct store *s, struct job *j)
{
	struct txn t = { s->writer, &s->hosts };

	j->e = j->fn(&t, j->ctx);
	return sqlite3_get_autocommit(s->writer->db) ? ERR(E_LOCAL_STORE) : ERR(E_OK);
}

/*
 * An error of these two functions themselves means that the whole transaction
 * is lost; the job's is in j->e.
 */
static struct err run_bare(struct store *s, struct job *j, enum batch *ret)
{
	int64_t before = sqlite3_total_changes64(s->writer->db);
	struct err e = run_fn(s, j);

	if (!failed(e) && failed(j->e) && sqlite3_total_changes64(s->writer->db) != before)
		*ret = BATCH_AGAIN;
	return e;
}

static struct err run_in_savepoint(struct store *s, struct job *j)
{
	struct err e;

	if (failed(e = conn_run(s->writer, SQL_SAVEPOINT)) || failed(e = run_fn(s, j)))
		return e;
	if (failed(j->e) && failed(e = conn_run(s->writer, SQL_SAVEPOINT_ROLLBACK)))
		return e;
	return conn_run(s->writer, SQL_SAVEPOINT_RELEASE);
}

static struct err run_jobs(struct store *s, struct job *first, bool savepoints, enum batch *ret)
{
	struct err e;

	*ret = BATCH_DONE;
	for (struct job *j = first; j != NULL && *ret == BATCH_DONE; j = j->next)
		if (failed(e = savepoints ? run_in_savepoint(s, j) : run_bare(s, j, ret)))
			return e;
	return ERR(E_OK);
}

static struct err begin(struct store *s, int64_t *ret_changes)
{
	*ret_changes = sqlite3_total_changes64(s->writer->db);
	return conn_run(s->writer, SQL_BEGIN);
}

static struct err run_batch(struct store *s, struct job *first)
{
	enum batch end;
	int64_t before;
	struct err e;

	/* Left over only where an earlier rollback failed twice; nothing may be added to it. */
	if (!sqlite3_get_autocommit(s->writer->db))
		return ERR(E_LOCAL_STORE);
	if (failed(e = begin(s, &before)) || failed(e = run_jobs(s, first, false, &end)))
		return e;
	if (end == BATCH_AGAIN && (failed(e = conn_run(s->writer, SQL_ROLLBACK)) || failed(e = begin(s, &before)) ||
				   failed(e = run_jobs(s, first, true, &end))))
		return e;
	if (failed(e = conn_run(s->writer, SQL_COMMIT)))
		return e;
	host_cache_committed(&s->hosts);
	if (sqlite3_total_changes64(s->writer->db) != before)
		atomic_store(&s->commit_failed, false);
	return ERR(E_OK);
}

/* A job lives on its waiter's stack and is gone as soon as that is told. */
static void answer(struct job *first)
{
	for (struct job *next, *j = first; j != NULL; j = next) {
		next = j->next;
		(void)sem_post(&j->done);
	}
}

static void *writer_main(void *arg)
{
	struct store *s = arg;
	struct job *first;
	struct err e;

	(void)pthread_mutex_lock(&s->lock);
	for (;;) {
		while (s->first == NULL && !s->stopping)
			(void)pthread_cond_wait(&s->work, &s->lock);
		first = s->first;
		if (first == NULL)
			break;
		s->first = NULL;
		s->last = &s->first;
		(void)pthread_mutex_unlock(&s->lock);

		e = run_batch(s, first);
		if (failed(e)) {
			rollback(s);
			fail_all(first, e);
			atomic_store(&s->commit_failed, true);
		}

		answer(first);
		(void)pthread_mutex_lock(&s->lock);
	}
	(void)pthread_mutex_unlock(&s->lock);
	return NULL;
}

struct err writer_start(struct store *s)
{
	if (pthread_create(&s->thread, NULL, writer_main, s) != 0)
		return ERR(E_LOCAL_MEMORY);
	s->has_thread = true;
	return ERR(E_OK);
}

void writer_stop(struct store *s)
{
	if (!s->has_thread)
		return;
	(void)pthread_mutex_lock(&s->lock);
	s->stopping = true;
	(void)pthread_cond_signal(&s->work);
	(void)pthread_mutex_unlock(&s->lock);
	(void)pthread_join(s->thread, NULL);
	s->has_thread = false;
}

struct err store_write(struct store *s, store_fn fn, void *ctx)
{
	struct job j = { .fn = fn, .ctx = ctx, .e = ERR(E_OK) };

	(void)pthread_mutex_lock(&s->lock);
	if (s->stopping) {
		(void)pthread_mutex_unlock(&s->lock);
		return ERR(E_LOCAL_STORE);
	}
	(void)sem_init(&j.done, 0, 0);
	*s->last = &j;
	s->last = &j.next;
	(void)pthread_cond_signal(&s->work);
	(void)pthread_mutex_unlock(&s->lock);
	while (sem_wait(&j.done) != 0)
		; /* a signal */
	(void)sem_destroy(&j.done);
	return j.e;
}
