/* SPDX-License-Identifier: Apache-2.0 */
/* What only goes forward: the highest time, the prune horizon, and values that were used. */
#include "verifier/store/internal.h"

static struct err one_number(struct conn *c, enum sql_id id, int64_t *ret)
{
	cleanup_stmt sqlite3_stmt *st = NULL;
	bool row;
	struct err e;

	if (failed(e = stmt_get(c, id, &st)) || failed(e = stmt_step(st, &row)))
		return e;
	if (!row)
		return ERR(E_LOCAL_STORE);
	*ret = column_i64(st, 0);
	return ERR(E_OK);
}

static struct err set_number(struct conn *c, enum sql_id id, int64_t v)
{
	cleanup_stmt sqlite3_stmt *st = NULL;
	uint64_t changes;
	struct err e;

	if (failed(e = stmt_get(c, id, &st)) || failed(e = bind_i64(st, 1, v)))
		return e;
	return stmt_run(st, &changes);
}

struct err store_time_high(struct store *s, int64_t *ret_s)
{
	cleanup_reader struct reader r = READER(s);

	return one_number(r.c, SQL_TIME_HIGH, ret_s);
}

struct err txn_time_advance(struct txn *t, int64_t now_s)
{
	return set_number(t->c, SQL_TIME_ADVANCE, now_s);
}

struct err txn_use_once(struct txn *t, const char *space, struct bytes value, int64_t expires_s)
{
	cleanup_stmt sqlite3_stmt *st = NULL;
	uint64_t changes;
	int64_t horizon;
	struct err e;

	if (failed(e = one_number(t->c, SQL_PRUNE_HORIZON, &horizon)))
		return e;
	if (expires_s <= horizon)
		return ERR(E_AUTH_CONFLICT);
	if (failed(e = stmt_get(t->c, SQL_ONCE_ADD, &st)) || failed(e = bind_text(st, 1, space)) ||
	    failed(e = bind_blob(st, 2, value)) || failed(e = bind_i64(st, 3, expires_s)) ||
	    failed(e = stmt_run(st, &changes)))
		return e;
	return changes == 1 ? ERR(E_OK) : ERR(E_AUTH_CONFLICT);
}

struct err store_was_used(struct store *s, const char *space, struct bytes value, bool *ret)
{
	cleanup_reader struct reader r = READER(s);
	cleanup_stmt sqlite3_stmt *st = NULL;
	struct err e;

	if (failed(e = stmt_get(r.c, SQL_ONCE_GET, &st)) || failed(e = bind_text(st, 1, space)) ||
	    failed(e = bind_blob(st, 2, value)))
		return e;
	return stmt_step(st, ret);
}

struct err txn_prune(struct txn *t, int64_t now_s)
{
	struct err e;

	if (failed(e = set_number(t->c, SQL_PRUNE_ADVANCE, now_s - STORE_PRUNE_MARGIN_S)) ||
	    failed(e = conn_run(t->c, SQL_ONCE_PRUNE)))
		return e;
	return conn_run(t->c, SQL_CREDENTIAL_PRUNE);
}
