/* SPDX-License-Identifier: Apache-2.0 */
/* Operator documents, as they were signed, and the serials that never go back. */
#include "verifier/store/internal.h"

static struct err generation(struct conn *c, uint64_t *ret)
{
	cleanup_stmt sqlite3_stmt *st = NULL;
	bool row;
	struct err e;

	if (failed(e = stmt_get(c, SQL_POLICY_GENERATION, &st)) || failed(e = stmt_step(st, &row)))
		return e;
	return row ? column_u64(st, 0, ret) : ERR(E_LOCAL_STORE);
}

struct err txn_policy_check(struct txn *t, uint64_t expected)
{
	uint64_t now;
	struct err e = generation(t->c, &now);

	if (failed(e))
		return e;
	return now == expected ? ERR(E_OK) : ERR(E_AUTH_RETRY);
}

static struct err bind_kind_name(sqlite3_stmt *st, const char *kind, const char *name)
{
	struct err e = bind_text(st, 1, kind);

	return failed(e) ? e : bind_text(st, 2, name);
}

/* Serials count up per kind and name, withdrawn ones included, so that nothing old comes back. */
static struct err check_serial(struct txn *t, const char *kind, const char *name, uint64_t serial)
{
	cleanup_stmt sqlite3_stmt *st = NULL;
	uint64_t high;
	bool row;
	struct err e;

	if (failed(e = stmt_get(t->c, SQL_DOCUMENT_HIGH, &st)) || failed(e = bind_kind_name(st, kind, name)) ||
	    failed(e = stmt_step(st, &row)))
		return e;
	if (!row)
		return ERR(E_OK);
	if (failed(e = column_u64(st, 0, &high)))
		return e;
	return serial > high ? ERR(E_OK) : ERR(E_AUTH_CONFLICT);
}

static struct err raise_serial(struct txn *t, const char *kind, const char *name, uint64_t serial)
{
	cleanup_stmt sqlite3_stmt *st = NULL;
	uint64_t changes;
	struct err e;

	if (failed(e = stmt_get(t->c, SQL_DOCUMENT_RAISE, &st)) || failed(e = bind_kind_name(st, kind, name)) ||
	    failed(e = bind_u64(st, 3, serial)))
		return e;
	return stmt_run(st, &changes);
}

static struct err insert(struct txn *t, const struct document *d, struct bytes envelope, const char *keyid,
			 int64_t now_s)
{
	cleanup_stmt sqlite3_stmt *st = NULL;
	uint64_t changes;
	struct err e;

	if (failed(e = stmt_get(t->c, SQL_DOCUMENT_ADD, &st)) ||
	    failed(e = bind_kind_name(st, document_kind_name(d->kind), d->name)) ||
	    failed(e = bind_u64(st, 3, d->serial)) || failed(e = bind_blob(st, 4, BYTES_ARR(d->digest))) ||
	    failed(e = bind_blob(st, 5, envelope)) || failed(e = bind_text(st, 6, keyid)) ||
	    failed(e = bind_text(st, 7, d->owner)) || failed(e = bind_i64(st, 8, d->not_before_s)) ||
	    failed(e = bind_i64(st, 9, d->expires_s)) || failed(e = bind_i64(st, 10, now_s)))
		return e;
	return stmt_run(st, &changes);
}

struct err txn_document_add(struct txn *t, const struct document *d, struct bytes envelope, const char *keyid,
			    int64_t now_s)
{
	const char *kind = document_kind_name(d->kind);
	struct err e;

	if (failed(e = check_serial(t, kind, d->name, d->serial)) ||
	    failed(e = insert(t, d, envelope, keyid, now_s)) || failed(e = conn_run(t->c, SQL_POLICY_MOVE)))
		return e;
	return raise_serial(t, kind, d->name, d->serial);
}

/* Ends the verdict of every host that used this document. */
static struct err end_hosts(struct txn *t, struct bytes digest, uint64_t *n)
{
	cleanup_stmt sqlite3_stmt *st = NULL;
	uint64_t changes;
	struct err e;

	if (digest.n != 32)
		return ERR(E_LOCAL_STORE);
	host_cache_touch_all(t->hosts);
	if (failed(e = stmt_get(t->c, SQL_HOSTS_END_BY_DOCUMENT, &st)) || failed(e = bind_blob(st, 1, digest)) ||
	    failed(e = stmt_run(st, &changes)))
		return e;
	*n += changes;
	return ERR(E_OK);
}

/* The same for every digest that a bound statement gives. *ret_found: how many documents there were. */
static struct err end_hosts_of(struct txn *t, sqlite3_stmt *digests, uint64_t *ret_found, uint64_t *ret_hosts)
{
	uint64_t found = 0, hosts = 0;
	struct bytes digest;
	bool row;
	struct err e;

	for (;; found++) {
		if (failed(e = stmt_step(digests, &row)))
			return e;
		if (!row)
			break;
		if (failed(e = column_blob(digests, 0, &digest)) || failed(e = end_hosts(t, digest, &hosts)))
			return e;
	}
	*ret_found = found;
	*ret_hosts = hosts;
	return ERR(E_OK);
}

static struct err end_targets(struct txn *t, const char *kind, const struct document *w, uint64_t *ret_n_hosts)
{
	cleanup_stmt sqlite3_stmt *st = NULL;
	uint64_t found;
	struct err e;

	if (failed(e = stmt_get(t->c, SQL_DOCUMENT_TARGETS, &st)) ||
	    failed(e = bind_kind_name(st, kind, w->target_name)) || failed(e = bind_u64(st, 3, w->target_serial)) ||
	    failed(e = end_hosts_of(t, st, &found, ret_n_hosts)))
		return e;
	return found > 0 ? ERR(E_OK) : ERR(E_LOCAL_NOT_FOUND);
}

static struct err mark_targets(struct txn *t, const char *kind, const struct document *w, int64_t now_s)
{
	cleanup_stmt sqlite3_stmt *st = NULL;
	uint64_t changes;
	struct err e;

	if (failed(e = stmt_get(t->c, SQL_DOCUMENT_WITHDRAW, &st)) ||
	    failed(e = bind_kind_name(st, kind, w->target_name)) || failed(e = bind_u64(st, 3, w->target_serial)) ||
	    failed(e = bind_i64(st, 4, now_s)))
		return e;
	return stmt_run(st, &changes);
}

struct err txn_document_withdraw(struct txn *t, const struct document *withdrawal, struct bytes envelope,
				 const char *keyid, int64_t now_s, uint64_t *ret_n_hosts)
{
	const char *kind;
	struct err e;

	if (withdrawal->kind != DOCUMENT_WITHDRAW || withdrawal->target_kind >= DOCUMENT_WITHDRAW)
		return ERR(E_BUG);
	kind = document_kind_name(withdrawal->target_kind);
	/* The withdrawal is a document too: it cannot be replayed either, and the list shows who signed it. */
	if (failed(e = txn_document_add(t, withdrawal, envelope, keyid, now_s)) ||
	    failed(e = raise_serial(t, kind, withdrawal->target_name, withdrawal->target_serial)) ||
	    failed(e = end_targets(t, kind, withdrawal, ret_n_hosts)))
		return e;
	return mark_targets(t, kind, withdrawal, now_s);
}

struct err txn_operator_removed(struct txn *t, const char *keyid, uint64_t *ret_n_hosts)
{
	cleanup_stmt sqlite3_stmt *st = NULL;
	uint64_t found;
	struct err e;

	if (failed(e = conn_run(t->c, SQL_POLICY_MOVE)) || failed(e = stmt_get(t->c, SQL_DOCUMENT_BY_KEY, &st)) || failed(e = bind_text(st, 1, keyid)))
		return e;
	return end_hosts_of(t, st, &found, ret_n_hosts);
}

struct err txn_document_dropped(struct txn *t, const char *kind, const char *name, uint64_t serial,
				uint64_t *ret_n_hosts)
{
	cleanup_stmt sqlite3_stmt *st = NULL;
	uint64_t found;
	struct err e;

	if (failed(e = conn_run(t->c, SQL_POLICY_MOVE)) || failed(e = stmt_get(t->c, SQL_DOCUMENT_DIGEST, &st)) || failed(e = bind_kind_name(st, kind, name)) ||
	    failed(e = bind_u64(st, 3, serial)))
		return e;
	return end_hosts_of(t, st, &found, ret_n_hosts);
}

typedef struct err (*document_fn)(void *ctx, struct bytes envelope, const char *keyid, const char *kind,
				  const char *name, uint64_t serial);

static struct err walk_documents(struct conn *c, document_fn fn, void *ctx)
{
	cleanup_stmt sqlite3_stmt *st = NULL;
	char keyid[65], kind[16], name[65];
	struct bytes envelope;
	uint64_t serial;
	bool row;
	struct err e;

	if (failed(e = stmt_get(c, SQL_DOCUMENTS, &st)))
		return e;
	for (;;) {
		if (failed(e = stmt_step(st, &row)))
			return e;
		if (!row)
			return ERR(E_OK);
		if (failed(e = column_blob(st, 0, &envelope)) || failed(e = column_str(st, 1, keyid, sizeof(keyid))) ||
		    failed(e = column_str(st, 2, kind, sizeof(kind))) ||
		    failed(e = column_str(st, 3, name, sizeof(name))) || failed(e = column_u64(st, 4, &serial)) ||
		    failed(e = fn(ctx, envelope, keyid, kind, name, serial)))
			return e;
	}
}

struct err store_documents(struct store *s, document_fn fn, void *ctx, uint64_t *ret_generation)
{
	cleanup_reader struct reader r = READER(s);
	uint64_t n;
	struct err e, end;

	/* One transaction, so that the generation is that of the documents. */
	if (failed(e = conn_run(r.c, SQL_READ_BEGIN)))
		return e;
	e = generation(r.c, &n);
	if (!failed(e))
		e = walk_documents(r.c, fn, ctx);
	end = conn_run(r.c, SQL_ROLLBACK);
	if (failed(end) && !sqlite3_get_autocommit(r.c->db))
		end = conn_exec(r.c, "ROLLBACK");
	if (failed(e) || failed(e = end))
		return e;
	if (ret_generation != NULL)
		*ret_generation = n;
	return ERR(E_OK);
}

struct err store_document_keyids(struct store *s, struct err (*fn)(void *ctx, const char *keyid), void *ctx)
{
	cleanup_reader struct reader r = READER(s);
	cleanup_stmt sqlite3_stmt *st = NULL;
	char keyid[65];
	bool row;
	struct err e;

	if (failed(e = stmt_get(r.c, SQL_DOCUMENT_KEYIDS, &st)))
		return e;
	for (;;) {
		if (failed(e = stmt_step(st, &row)))
			return e;
		if (!row)
			return ERR(E_OK);
		if (failed(e = column_str(st, 0, keyid, sizeof(keyid))) || failed(e = fn(ctx, keyid)))
			return e;
	}
}
