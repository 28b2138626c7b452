/* SPDX-License-Identifier: Apache-2.0 */
#include "verifier/store/internal.h"

void credential_row_done(struct credential_row *c)
{
	free(c->scope);
	free(c->audience);
	free(c->task_id);
	free(c->owner);
	*c = (struct credential_row){ .revoked = false };
}

static struct err task_ended(struct txn *t, const char *task, bool *ret)
{
	cleanup_stmt sqlite3_stmt *st = NULL;
	struct err e;

	if (failed(e = stmt_get(t->c, SQL_TASK_ENDED, &st)) || failed(e = bind_text(st, 1, task)))
		return e;
	return stmt_step(st, ret);
}

/* Everything that the issuer read before it signed, once more under the write lock. */
static struct err still_holds(struct txn *t, const struct credential_row *c, bool *ret)
{
	cleanup_stmt sqlite3_stmt *st = NULL;
	struct err e;

	if (failed(e = stmt_get(t->c, SQL_CREDENTIAL_HOLDS, &st)) || failed(e = bind_text(st, 1, c->host_id)) ||
	    failed(e = bind_u64(st, 2, c->epoch)) || failed(e = bind_blob(st, 3, BYTES_ARR(c->instance))) ||
	    failed(e = bind_text(st, 4, c->jkt)) || failed(e = bind_i64(st, 5, c->expires_s)))
		return e;
	return stmt_step(st, ret);
}

static struct err insert(struct txn *t, const struct credential_row *c)
{
	cleanup_stmt sqlite3_stmt *st = NULL;
	uint64_t changes;
	struct err e;

	if (failed(e = stmt_get(t->c, SQL_CREDENTIAL_ADD, &st)) || failed(e = bind_text(st, 1, c->jti)) ||
	    failed(e = bind_text(st, 2, c->jkt)) || failed(e = bind_text(st, 3, c->host_id)) ||
	    failed(e = bind_blob(st, 4, BYTES_ARR(c->instance))) || failed(e = bind_text(st, 5, c->agent)) ||
	    failed(e = bind_text(st, 6, c->scope)) || failed(e = bind_text(st, 7, c->audience)) ||
	    failed(e = bind_text(st, 8, c->task_id)) || failed(e = bind_text(st, 9, c->owner)) ||
	    failed(e = bind_i64(st, 10, c->issued_s)) || failed(e = bind_i64(st, 11, c->expires_s)) ||
	    failed(e = bind_u64(st, 12, c->epoch)))
		return e;
	return stmt_run(st, &changes);
}

struct err txn_credential_add(struct txn *t, const struct credential_row *c)
{
	bool ended, holds;
	struct err e;

	if (failed(e = task_ended(t, c->task_id, &ended)) || failed(e = still_holds(t, c, &holds)))
		return e;
	if (ended)
		return ERR(E_AUTH_REFUSED);
	if (!holds)
		return ERR(E_AUTH_RETRY);
	return insert(t, c);
}

static struct err read_credential(sqlite3_stmt *st, struct credential_row *c)
{
	struct err e;

	if (failed(e = column_str(st, 0, c->jti, sizeof(c->jti))) ||
	    failed(e = column_str(st, 1, c->jkt, sizeof(c->jkt))) ||
	    failed(e = column_str(st, 2, c->host_id, sizeof(c->host_id))) ||
	    failed(e = column_exact(st, 3, c->instance, sizeof(c->instance))) ||
	    failed(e = column_str(st, 4, c->agent, sizeof(c->agent))) || failed(e = column_dup(st, 5, &c->scope)) ||
	    failed(e = column_dup(st, 6, &c->audience)) || failed(e = column_dup(st, 7, &c->task_id)) ||
	    failed(e = column_dup(st, 8, &c->owner)) || failed(e = column_u64(st, 11, &c->epoch)))
		return e;
	c->issued_s = column_i64(st, 9);
	c->expires_s = column_i64(st, 10);
	c->revoked = column_i64(st, 12) != 0;
	return ERR(E_OK);
}

struct err store_credential(struct store *s, const char *jti, struct credential_row *ret, bool *ret_alive)
{
	cleanup_reader struct reader r = READER(s);
	cleanup_stmt sqlite3_stmt *st = NULL;
	cleanup_credential_row struct credential_row c = { .revoked = false };
	bool row;
	struct err e;

	if (failed(e = stmt_get(r.c, SQL_CREDENTIAL_GET, &st)) || failed(e = bind_text(st, 1, jti)) ||
	    failed(e = stmt_step(st, &row)))
		return e;
	if (!row)
		return ERR(E_LOCAL_NOT_FOUND);
	if (failed(e = read_credential(st, &c)))
		return e;
	*ret_alive = column_i64(st, 13) == 1;
	*ret = c;
	c = (struct credential_row){ .revoked = false };
	return ERR(E_OK);
}

static struct err run_for_text(struct txn *t, enum sql_id id, const char *text, uint64_t *ret_n)
{
	cleanup_stmt sqlite3_stmt *st = NULL;
	struct err e;

	if (failed(e = stmt_get(t->c, id, &st)) || failed(e = bind_text(st, 1, text)))
		return e;
	return stmt_run(st, ret_n);
}

struct err txn_credential_revoke(struct txn *t, const char *jti)
{
	uint64_t n;
	struct err e = run_for_text(t, SQL_CREDENTIAL_REVOKE, jti, &n);

	if (failed(e))
		return e;
	return n > 0 ? ERR(E_OK) : ERR(E_LOCAL_NOT_FOUND);
}

struct err txn_task_revoke(struct txn *t, const char *task_id, uint64_t *ret_n)
{
	uint64_t n;
	struct err e;

	/* Also for a task without credentials: one may be on its way to the writer. */
	if (failed(e = run_for_text(t, SQL_TASK_END, task_id, &n)))
		return e;
	return run_for_text(t, SQL_TASK_REVOKE, task_id, ret_n);
}
