/* SPDX-License-Identifier: Apache-2.0 */
/* Trust anchors for EK certificates, and clients that may introspect. */
#include "verifier/store/internal.h"

struct err txn_trust_add(struct txn *t, const uint8_t sha256[32], struct bytes der)
{
	cleanup_stmt sqlite3_stmt *st = NULL;
	uint64_t changes;
	struct err e;

	if (failed(e = stmt_get(t->c, SQL_TRUST_ADD, &st)) || failed(e = bind_blob(st, 1, BYTES(sha256, 32))) ||
	    failed(e = bind_blob(st, 2, der)) || failed(e = stmt_run(st, &changes)))
		return e;
	return changes == 1 ? ERR(E_OK) : ERR(E_AUTH_CONFLICT);
}

struct err txn_trust_remove(struct txn *t, const uint8_t sha256[32])
{
	cleanup_stmt sqlite3_stmt *st = NULL;
	uint64_t changes;
	struct err e;

	if (failed(e = stmt_get(t->c, SQL_TRUST_REMOVE, &st)) || failed(e = bind_blob(st, 1, BYTES(sha256, 32))) ||
	    failed(e = stmt_run(st, &changes)))
		return e;
	return changes == 1 ? ERR(E_OK) : ERR(E_LOCAL_NOT_FOUND);
}

struct err store_trust(struct store *s, struct err (*fn)(void *ctx, struct bytes der), void *ctx)
{
	cleanup_reader struct reader r = READER(s);
	cleanup_stmt sqlite3_stmt *st = NULL;
	struct bytes der;
	bool row;
	struct err e;

	if (failed(e = stmt_get(r.c, SQL_TRUST, &st)))
		return e;
	for (;;) {
		if (failed(e = stmt_step(st, &row)))
			return e;
		if (!row)
			return ERR(E_OK);
		if (failed(e = column_blob(st, 0, &der)) || failed(e = fn(ctx, der)))
			return e;
	}
}

struct err txn_client_add(struct txn *t, const char *name, const uint8_t secret_sha256[32], int64_t now_s)
{
	cleanup_stmt sqlite3_stmt *st = NULL;
	uint64_t changes;
	struct err e;

	if (failed(e = stmt_get(t->c, SQL_CLIENT_ADD, &st)) || failed(e = bind_text(st, 1, name)) ||
	    failed(e = bind_blob(st, 2, BYTES(secret_sha256, 32))) || failed(e = bind_i64(st, 3, now_s)) ||
	    failed(e = stmt_run(st, &changes)))
		return e;
	return changes == 1 ? ERR(E_OK) : ERR(E_AUTH_CONFLICT);
}

static struct err get_client(struct conn *c, const char *name, uint8_t ret_secret_sha256[32])
{
	cleanup_stmt sqlite3_stmt *st = NULL;
	bool row;
	struct err e;

	if (failed(e = stmt_get(c, SQL_CLIENT_GET, &st)) || failed(e = bind_text(st, 1, name)) ||
	    failed(e = stmt_step(st, &row)))
		return e;
	return row ? column_exact(st, 0, ret_secret_sha256, 32) : ERR(E_LOCAL_NOT_FOUND);
}

struct err txn_client_resource_add(struct txn *t, const char *name, const char *resource)
{
	cleanup_stmt sqlite3_stmt *st = NULL;
	uint8_t secret[32];
	uint64_t changes;
	struct err e;

	if (failed(e = get_client(t->c, name, secret)) || failed(e = stmt_get(t->c, SQL_CLIENT_RESOURCE_ADD, &st)) ||
	    failed(e = bind_text(st, 1, name)) || failed(e = bind_text(st, 2, resource)))
		return e;
	return stmt_run(st, &changes);
}

struct err txn_client_remove(struct txn *t, const char *name)
{
	cleanup_stmt sqlite3_stmt *st = NULL;
	uint64_t changes;
	struct err e;

	if (failed(e = stmt_get(t->c, SQL_CLIENT_REMOVE, &st)) || failed(e = bind_text(st, 1, name)) ||
	    failed(e = stmt_run(st, &changes)))
		return e;
	return changes == 1 ? ERR(E_OK) : ERR(E_LOCAL_NOT_FOUND);
}

struct err store_client(struct store *s, const char *name, uint8_t ret_secret_sha256[32])
{
	cleanup_reader struct reader r = READER(s);

	return get_client(r.c, name, ret_secret_sha256);
}

struct err store_client_may_ask(struct store *s, const char *name, const char *audience, bool *ret)
{
	cleanup_reader struct reader r = READER(s);
	cleanup_stmt sqlite3_stmt *st = NULL;
	struct err e;

	if (failed(e = stmt_get(r.c, SQL_CLIENT_MAY_ASK, &st)) || failed(e = bind_text(st, 1, name)) ||
	    failed(e = bind_text(st, 2, audience)))
		return e;
	return stmt_step(st, ret);
}

struct err store_client_resource(struct store *s, const char *name, const char *resource, bool *ret)
{
	cleanup_reader struct reader r = READER(s);
	cleanup_stmt sqlite3_stmt *st = NULL;
	struct err e;

	if (failed(e = stmt_get(r.c, SQL_CLIENT_RESOURCE, &st)) || failed(e = bind_text(st, 1, name)) ||
	    failed(e = bind_text(st, 2, resource)))
		return e;
	return stmt_step(st, ret);
}
