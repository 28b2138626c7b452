/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of the store, for the files of this folder and their tests. */
#ifndef ASSAY_VERIFIER_STORE_INTERNAL_H
#define ASSAY_VERIFIER_STORE_INTERNAL_H

#include <pthread.h>
#include <semaphore.h>
#include <sqlite3.h>
#include <stdatomic.h>

#include "verifier/store/host_cache.h"
#include "verifier/store/sql.h"
#include "verifier/store/store.h"

/* A connection is used by one thread at a time. */
struct conn {
	sqlite3 *db;
	sqlite3_stmt *stmt[N_SQL];
	struct conn *next;                /* in the pool */
};
/* path: of the database, which must exist. *ret is closed by conn_close(). */
must_check struct err conn_open(const char *path, struct conn **ret);
void conn_close(struct conn *c);
DEFINE_CLEANUP(struct conn, cleanup_conn_, conn_close)
#define cleanup_conn cleanup(cleanup_conn_)

/* Translates what SQLite said last; its text goes to the debug log. E_LOCAL_STORE, E_LOCAL_MEMORY. */
must_check struct err conn_failed(struct conn *c, const char *what);
/* Statements without results and parameters; text is ours. */
must_check struct err conn_exec(struct conn *c, const char *sql);

/* A prepared statement, ready to be bound; the cleanup resets it and forgets the values. */
void stmt_done(sqlite3_stmt *st);
DEFINE_CLEANUP(sqlite3_stmt, cleanup_stmt_, stmt_done)
#define cleanup_stmt cleanup(cleanup_stmt_)
must_check struct err stmt_get(struct conn *c, enum sql_id id, sqlite3_stmt **ret);

/* Parameters, from 1. Memory is borrowed until the statement is done. E_LOCAL_STORE, E_LOCAL_MEMORY, E_BUG (above INT64_MAX). */
must_check struct err bind_text(sqlite3_stmt *st, int i, const char *v); /* NULL binds NULL */
must_check struct err bind_blob(sqlite3_stmt *st, int i, struct bytes v);
must_check struct err bind_i64(sqlite3_stmt *st, int i, int64_t v);
must_check struct err bind_u64(sqlite3_stmt *st, int i, uint64_t v);

/* Next row; false at the end. A violated constraint is E_AUTH_CONFLICT when it is a key, else E_BUG. */
must_check struct err stmt_step(sqlite3_stmt *st, bool *ret_row);
/* Runs to the end and tells how many rows were written. */
must_check struct err stmt_run(sqlite3_stmt *st, uint64_t *ret_changes);
/* The same without parameters. */
must_check struct err conn_run(struct conn *c, enum sql_id id);

/* Columns, from 0. Views live until the next step. E_LOCAL_STORE: not what the schema promises. */
must_check struct err column_blob(sqlite3_stmt *st, int i, struct bytes *ret);
must_check struct err column_exact(sqlite3_stmt *st, int i, uint8_t *ret, size_t n);
must_check struct err column_str(sqlite3_stmt *st, int i, char *ret, size_t size);
must_check struct err column_dup(sqlite3_stmt *st, int i, char **ret);
must_check struct err column_u64(sqlite3_stmt *st, int i, uint64_t *ret);
int64_t column_i64(sqlite3_stmt *st, int i);

/* One step up, and the table of them. */
struct migration {
	const char *sql;
};
extern const struct migration store_migrations[];
extern const size_t store_n_migrations;
/* Brings the database of c to version n; path for the backup's name. As store_open(). */
must_check struct err store_migrate(struct conn *c, const char *path, const struct migration *steps, size_t n,
				    struct reason *reterr);

struct job {
	store_fn fn;
	void *ctx;
	struct err e;
	sem_t done;                       /* one each: who waits for the next commit sleeps on */
	struct job *next;
};

#define STORE_READERS 8

struct store {
	struct conn *writer;              /* the writer thread's alone */
	pthread_t thread;
	bool has_thread;
	pthread_mutex_t lock;             /* everything below */
	pthread_cond_t work, reader_free;
	struct job *first, **last;
	bool stopping;
	struct conn *idle;
	atomic_bool commit_failed;        /* the last commit that wrote something */
	struct host_cache hosts;
};

struct txn {
	struct conn *c;
	struct host_cache *hosts;         /* to be told which rows change */
};

must_check struct err writer_start(struct store *s);
/* Lets the waiting jobs finish. */
void writer_stop(struct store *s);

/* A read connection, for as long as the caller needs it. */
struct conn *reader_take(struct store *s);
void reader_give(struct store *s, struct conn *c);
struct reader {
	struct store *s;
	struct conn *c;
};
static inline void cleanup_reader_(struct reader *r)
{
	if (r->c != NULL)
		reader_give(r->s, r->c);
}
#define cleanup_reader cleanup(cleanup_reader_)
#define READER(store) { (store), reader_take(store) }

#endif
