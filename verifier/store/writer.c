/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Group commit: one thread takes every write that waits, runs each in its own
 * savepoint and commits once. A commit costs one fsync however many share it.
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

/*
 * The job's own changes, all or none. An error of this function itself means
 * that the whole transaction is lost; the job's is in j->e.
 */
static struct err run_job(struct store *s, struct job *j)
{
	struct txn t = { s->writer };
	struct err e;

	if (failed(e = conn_run(s->writer, SQL_SAVEPOINT)))
		return e;
	j->e = j->fn(&t, j->ctx);
	/* On a full disk, an I/O error or for lack of memory SQLite may give up the transaction by itself. */
	if (sqlite3_get_autocommit(s->writer->db))
		return ERR(E_LOCAL_STORE);
	if (failed(j->e) && failed(e = conn_run(s->writer, SQL_SAVEPOINT_ROLLBACK)))
		return e;
	return conn_run(s->writer, SQL_SAVEPOINT_RELEASE);
}

static struct err run_batch(struct store *s, struct job *first)
{
	int before;
	struct err e;

	/* Left over only where an earlier rollback failed twice; nothing may be added to it. */
	if (!sqlite3_get_autocommit(s->writer->db))
		return ERR(E_LOCAL_STORE);
	if (failed(e = conn_run(s->writer, SQL_BEGIN)))
		return e;
	before = sqlite3_total_changes(s->writer->db);
	for (struct job *j = first; j != NULL; j = j->next)
		if (failed(e = run_job(s, j)))
			return e;
	if (failed(e = conn_run(s->writer, SQL_COMMIT)))
		return e;
	if (sqlite3_total_changes(s->writer->db) != before)
		atomic_store(&s->commit_failed, false);
	return ERR(E_OK);
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

		(void)pthread_mutex_lock(&s->lock);
		/* A job lives on its waiter's stack and is gone as soon as the lock is free. */
		for (struct job *j = first; j != NULL; j = j->next)
			j->done = true;
		(void)pthread_cond_broadcast(&s->finished);
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
	*s->last = &j;
	s->last = &j.next;
	(void)pthread_cond_signal(&s->work);
	while (!j.done)
		(void)pthread_cond_wait(&s->finished, &s->lock);
	(void)pthread_mutex_unlock(&s->lock);
	return j.e;
}
