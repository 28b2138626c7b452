/* SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>
#include <string.h>

#include "base/log.h"
#include "verifier/store/internal.h"

static const char *const sql_text[N_SQL] = {
#define X(id, text) [id] = text,
	SQL_TABLE(X)
#undef X
};

static struct err translate(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_OK:
		return ERR(E_OK);
	case SQLITE_NOMEM:
		return ERR(E_LOCAL_MEMORY);
	case SQLITE_CONSTRAINT:
		/* A key that is there already is an answer; any other constraint is a caller who did not keep its word. */
		return ERR(rc == SQLITE_CONSTRAINT_UNIQUE || rc == SQLITE_CONSTRAINT_PRIMARYKEY ? E_AUTH_CONFLICT : E_BUG);
	default:
		return ERR(E_LOCAL_STORE);
	}
}

struct err conn_failed(struct conn *c, const char *what)
{
	int rc = c->db != NULL ? sqlite3_extended_errcode(c->db) : SQLITE_NOMEM;
	struct err e = translate(rc);

	log_debug("sqlite: %s: %s (%d)", what, c->db != NULL ? sqlite3_errmsg(c->db) : "no memory", rc);
	return failed(e) ? e : ERR(E_LOCAL_STORE);
}

struct err conn_exec(struct conn *c, const char *sql)
{
	return sqlite3_exec(c->db, sql, NULL, NULL, NULL) == SQLITE_OK ? ERR(E_OK) : conn_failed(c, "exec");
}

void conn_close(struct conn *c)
{
	if (c == NULL)
		return;
	for (size_t i = 0; i < N_SQL; i++)
		(void)sqlite3_finalize(c->stmt[i]);
	(void)sqlite3_close(c->db);
	free(c);
}

struct err conn_open(const char *path, struct conn **ret)
{
	cleanup_conn struct conn *c = calloc(1, sizeof(*c));
	struct err e;

	if (c == NULL)
		return ERR(E_LOCAL_MEMORY);
	/* No SQLITE_OPEN_CREATE: the file was made by us, with our mode. */
	if (sqlite3_open_v2(path, &c->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE,
			    NULL) != SQLITE_OK)
		return conn_failed(c, "open");
	(void)sqlite3_extended_result_codes(c->db, 1);
	(void)sqlite3_busy_timeout(c->db, 5000);
	(void)sqlite3_limit(c->db, SQLITE_LIMIT_ATTACHED, 1); /* the backup's */
	if (failed(e = conn_exec(c, "PRAGMA trusted_schema = OFF; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;"
				    "PRAGMA cell_size_check = ON; PRAGMA journal_size_limit = 67108864")))
		return e;
	*ret = take_ptr(&c);
	return ERR(E_OK);
}

void stmt_done(sqlite3_stmt *st)
{
	(void)sqlite3_reset(st);
	(void)sqlite3_clear_bindings(st);
}

struct err stmt_get(struct conn *c, enum sql_id id, sqlite3_stmt **ret)
{
	if (c->stmt[id] == NULL &&
	    sqlite3_prepare_v3(c->db, sql_text[id], -1, SQLITE_PREPARE_PERSISTENT, &c->stmt[id], NULL) != SQLITE_OK)
		return conn_failed(c, sql_text[id]);
	*ret = c->stmt[id];
	return ERR(E_OK);
}

struct err bind_text(sqlite3_stmt *st, int i, const char *v)
{
	return translate(sqlite3_bind_text(st, i, v, -1, SQLITE_STATIC));
}

struct err bind_blob(sqlite3_stmt *st, int i, struct bytes v)
{
	/* A NULL pointer would bind NULL, which is not the empty blob. */
	return translate(sqlite3_bind_blob64(st, i, v.n > 0 ? (const void *)v.p : "", v.n, SQLITE_STATIC));
}

struct err bind_i64(sqlite3_stmt *st, int i, int64_t v)
{
	return translate(sqlite3_bind_int64(st, i, v));
}

struct err bind_u64(sqlite3_stmt *st, int i, uint64_t v)
{
	if (v > INT64_MAX)
		return ERR(E_BUG);
	return bind_i64(st, i, (int64_t)v);
}

struct err stmt_step(sqlite3_stmt *st, bool *ret_row)
{
	int rc = sqlite3_step(st);
	struct err e;

	if (rc == SQLITE_ROW || rc == SQLITE_DONE) {
		*ret_row = rc == SQLITE_ROW;
		return ERR(E_OK);
	}
	e = translate(sqlite3_extended_errcode(sqlite3_db_handle(st)));
	log_debug("sqlite: %s: %s", sqlite3_sql(st), sqlite3_errmsg(sqlite3_db_handle(st)));
	return failed(e) ? e : ERR(E_LOCAL_STORE);
}

struct err stmt_run(sqlite3_stmt *st, uint64_t *ret_changes)
{
	bool row;
	struct err e = stmt_step(st, &row);

	if (failed(e))
		return e;
	if (row)
		return ERR(E_BUG);
	*ret_changes = (uint64_t)sqlite3_changes64(sqlite3_db_handle(st));
	return ERR(E_OK);
}

struct err conn_run(struct conn *c, enum sql_id id)
{
	cleanup_stmt sqlite3_stmt *st = NULL;
	uint64_t changes;
	struct err e;

	if (failed(e = stmt_get(c, id, &st)))
		return e;
	return stmt_run(st, &changes);
}

struct err column_blob(sqlite3_stmt *st, int i, struct bytes *ret)
{
	const void *p;

	/* Types are the schema's (STRICT tables): another one is NULL after memory ran out, or corruption. */
	if (sqlite3_column_type(st, i) != SQLITE_BLOB)
		return ERR(E_LOCAL_STORE);
	p = sqlite3_column_blob(st, i);
	*ret = BYTES(p, (size_t)sqlite3_column_bytes(st, i));
	return p == NULL && ret->n > 0 ? ERR(E_LOCAL_MEMORY) : ERR(E_OK);
}

struct err column_exact(sqlite3_stmt *st, int i, uint8_t *ret, size_t n)
{
	struct bytes b;
	struct err e = column_blob(st, i, &b);

	if (failed(e))
		return e;
	return failed(bytes_copy_exact(b, ret, n)) ? ERR(E_LOCAL_STORE) : ERR(E_OK);
}

static struct err column_text(sqlite3_stmt *st, int i, const char **ret)
{
	if (sqlite3_column_type(st, i) != SQLITE_TEXT)
		return ERR(E_LOCAL_STORE);
	*ret = (const char *)sqlite3_column_text(st, i);
	return *ret == NULL ? ERR(E_LOCAL_MEMORY) : ERR(E_OK);
}

struct err column_str(sqlite3_stmt *st, int i, char *ret, size_t size)
{
	const char *s;
	struct err e = column_text(st, i, &s);
	size_t n;

	if (failed(e))
		return e;
	n = strlen(s);
	if (n >= size)
		return ERR(E_LOCAL_STORE);
	memcpy(ret, s, n + 1);
	return ERR(E_OK);
}

struct err column_dup(sqlite3_stmt *st, int i, char **ret)
{
	const char *s;
	struct err e = column_text(st, i, &s);

	if (failed(e))
		return e;
	*ret = strdup(s);
	return *ret == NULL ? ERR(E_LOCAL_MEMORY) : ERR(E_OK);
}

struct err column_u64(sqlite3_stmt *st, int i, uint64_t *ret)
{
	int64_t v = sqlite3_column_int64(st, i);

	if (v < 0)
		return ERR(E_LOCAL_STORE);
	*ret = (uint64_t)v;
	return ERR(E_OK);
}

int64_t column_i64(sqlite3_stmt *st, int i)
{
	return sqlite3_column_int64(st, i);
}
