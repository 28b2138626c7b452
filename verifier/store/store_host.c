/* SPDX-License-Identifier: Apache-2.0 */
/* Hosts: the immutable record, and the state that verdicts and operators move. */
#include <string.h>

#include "verifier/store/internal.h"

void host_row_done(struct host_row *h)
{
	host_record_free(h->record);
	host_state_done(&h->state);
	*h = (struct host_row){ 0 };
}

/* What we wrote ourselves does not decode: that is the store's fault and never a peer's. */
static struct err of_store(struct err e)
{
	return !failed(e) || e.code == E_LOCAL_MEMORY ? e : ERR(E_LOCAL_STORE);
}

static struct err read_record(struct store *s, const char *id, struct bytes record, struct host_record **ret)
{
	struct err e = host_cache_record(&s->hosts, id, record, ret);

	if (failed(e) || *ret != NULL)
		return e;
	return of_store(host_record_decode(record, ret));
}

static struct err read_host(struct store *s, const char *id, sqlite3_stmt *st, struct host_row *h,
			    struct bytes *ret_state)
{
	struct bytes record;
	struct err e;

	if (failed(e = column_blob(st, 0, &record)) || failed(e = column_blob(st, 1, ret_state)) ||
	    failed(e = column_exact(st, 7, h->ek_sha256, sizeof(h->ek_sha256))) ||
	    failed(e = column_u64(st, 2, &h->version)) || failed(e = column_u64(st, 3, &h->epoch)) ||
	    failed(e = column_exact(st, 6, h->host_doc, sizeof(h->host_doc))))
		return e;
	h->verdict_s = column_i64(st, 4);
	h->verdict_expires_s = column_i64(st, 5);
	if (failed(e = read_record(s, id, record, &h->record)))
		return e;
	return of_store(host_state_decode(*ret_state, &h->state));
}

static struct err from_database(struct store *s, const char *id, uint64_t generation, struct host_row *ret)
{
	cleanup_reader struct reader r = READER(s);
	cleanup_stmt sqlite3_stmt *st = NULL;
	cleanup_host_row struct host_row h = { 0 };
	struct bytes state;
	bool row;
	struct err e;

	host_state_init(&h.state);
	if (failed(e = stmt_get(r.c, SQL_HOST_GET, &st)) || failed(e = bind_text(st, 1, id)) ||
	    failed(e = stmt_step(st, &row)))
		return e;
	if (!row)
		return ERR(E_LOCAL_NOT_FOUND);
	if (failed(e = read_host(s, id, st, &h, &state)))
		return e;
	host_cache_keep(&s->hosts, id, generation, &h, state);
	*ret = h;
	h = (struct host_row){ 0 };
	return ERR(E_OK);
}

struct err store_host(struct store *s, const char *id, struct host_row *ret)
{
	uint64_t generation;
	bool found;
	struct err e = host_cache_row(&s->hosts, id, ret, &found, &generation);

	return failed(e) || found ? e : from_database(s, id, generation, ret);
}

/*
 * Whether the id is there, and with the same EK and AK. The stored record stays
 * whatever the new one says of certificate and time.
 */
static struct err same_host(struct txn *t, const char *id, const struct host_record *new, bool *ret_found)
{
	cleanup_stmt sqlite3_stmt *st = NULL;
	cleanup_host_record struct host_record *old = NULL;
	struct bytes stored;
	bool row;
	struct err e;

	*ret_found = false;
	if (failed(e = stmt_get(t->c, SQL_HOST_RECORD, &st)) || failed(e = bind_text(st, 1, id)) ||
	    failed(e = stmt_step(st, &row)))
		return e;
	if (!row)
		return ERR(E_OK);
	if (failed(e = column_blob(st, 0, &stored)))
		return e;
	if (failed(e = host_record_decode(stored, &old)))
		return ERR(e.code == E_LOCAL_MEMORY ? E_LOCAL_MEMORY : E_LOCAL_STORE);
	if (!bytes_eq(BYTES_ARR(old->ek_sha256), BYTES_ARR(new->ek_sha256)) ||
	    !bytes_eq(tpm_name_bytes(&old->ak_name), tpm_name_bytes(&new->ak_name)))
		return ERR(E_AUTH_CONFLICT);
	*ret_found = true;
	return ERR(E_OK);
}

static struct err add_record(struct txn *t, const char *id, const struct host_record *h, struct bytes record)
{
	cleanup_stmt sqlite3_stmt *st = NULL;
	uint64_t changes;
	struct err e;

	if (failed(e = stmt_get(t->c, SQL_HOST_ADD, &st)) || failed(e = bind_text(st, 1, id)) ||
	    failed(e = bind_blob(st, 2, BYTES_ARR(h->ek_sha256))) || failed(e = bind_blob(st, 3, record)) ||
	    failed(e = bind_i64(st, 4, h->enrolled_s)))
		return e;
	return stmt_run(st, &changes);
}

static struct err add_state(struct txn *t, const char *id)
{
	cleanup_stmt sqlite3_stmt *st = NULL;
	cleanup_buf struct buf b = BUF_INIT(HOST_STATE_MAX);
	cleanup_host_state struct host_state state;
	uint64_t changes;
	struct err e;

	host_state_init(&state);
	if (failed(e = host_state_encode(&state, &b)) || failed(e = stmt_get(t->c, SQL_HOST_STATE_ADD, &st)) ||
	    failed(e = bind_text(st, 1, id)) || failed(e = bind_i64(st, 2, (int64_t)state.status)) ||
	    failed(e = bind_blob(st, 3, buf_bytes(&b))))
		return e;
	return stmt_run(st, &changes);
}

struct err txn_host_add(struct txn *t, const char *id, struct bytes record, bool *ret_existed)
{
	cleanup_host_record struct host_record *h = NULL;
	bool found;
	struct err e;

	/* A record that does not decode would lock its host out for ever. */
	if (failed(e = host_record_decode(record, &h)))
		return e;
	if (strcmp(h->id, id) != 0)
		return ERR(E_BUG);
	if (failed(e = same_host(t, id, h, &found)))
		return e;
	if (!found && (failed(e = add_record(t, id, h, record)) || failed(e = add_state(t, id))))
		return e;
	*ret_existed = found;
	return ERR(E_OK);
}

/* Runs a statement whose one parameter is the host; true where there was one. */
static struct err run_for_host(struct txn *t, enum sql_id id, const char *host, bool *ret_any)
{
	cleanup_stmt sqlite3_stmt *st = NULL;
	uint64_t changes;
	struct err e;

	if (failed(e = stmt_get(t->c, id, &st)) || failed(e = bind_text(st, 1, host)) ||
	    failed(e = stmt_run(st, &changes)))
		return e;
	*ret_any = changes > 0;
	return ERR(E_OK);
}

struct err txn_host_clear(struct txn *t, const char *id)
{
	cleanup_stmt sqlite3_stmt *st = NULL;
	cleanup_buf struct buf b = BUF_INIT(HOST_STATE_MAX);
	cleanup_host_state struct host_state state;
	uint64_t changes;
	bool any;
	struct err e;

	host_cache_touch(t->hosts, id);
	host_state_init(&state);
	if (failed(e = host_state_encode(&state, &b)) || failed(e = stmt_get(t->c, SQL_HOST_RESET, &st)) ||
	    failed(e = bind_text(st, 1, id)) || failed(e = bind_i64(st, 2, (int64_t)state.status)) ||
	    failed(e = bind_blob(st, 3, buf_bytes(&b))) || failed(e = stmt_run(st, &changes)))
		return e;
	if (changes == 0)
		return ERR(E_LOCAL_NOT_FOUND);
	if (failed(e = run_for_host(t, SQL_INSTANCE_DROP, id, &any)))
		return e;
	return run_for_host(t, SQL_INSTANCE_UNREVOKE, id, &any);
}

struct err txn_host_remove(struct txn *t, const char *id)
{
	cleanup_stmt sqlite3_stmt *st = NULL;
	bool any, there;
	struct err e;

	host_cache_touch(t->hosts, id);
	if (failed(e = stmt_get(t->c, SQL_HOST_EPOCH, &st)) || failed(e = bind_text(st, 1, id)) ||
	    failed(e = stmt_step(st, &there)))
		return e;
	if (!there)
		return ERR(E_LOCAL_NOT_FOUND);
	stmt_done(take_ptr(&st));
	/* A host that enrols again starts above every epoch that its old credentials carry. */
	if (failed(e = run_for_host(t, SQL_HOST_EPOCH_FLOOR, id, &any)) ||
	    failed(e = run_for_host(t, SQL_HOST_CREDENTIALS_REVOKE, id, &any)))
		return e;
	return run_for_host(t, SQL_HOST_REMOVE, id, &any);
}

struct err txn_host_revoke(struct txn *t, const char *id)
{
	bool any;
	struct err e = run_for_host(t, SQL_HOST_END, id, &any);

	host_cache_touch(t->hosts, id);
	if (failed(e))
		return e;
	return any ? ERR(E_OK) : ERR(E_LOCAL_NOT_FOUND);
}

struct err store_explanation(struct store *s, const char *host_id, struct buf *ret_json)
{
	cleanup_reader struct reader r = READER(s);
	cleanup_stmt sqlite3_stmt *st = NULL;
	struct bytes json;
	bool row;
	struct err e;

	if (failed(e = stmt_get(r.c, SQL_HOST_EXPLANATION, &st)) || failed(e = bind_text(st, 1, host_id)) ||
	    failed(e = stmt_step(st, &row)))
		return e;
	if (!row)
		return ERR(E_LOCAL_NOT_FOUND);
	if (failed(e = column_blob(st, 0, &json)))
		return e;
	return buf_add(ret_json, json);
}
