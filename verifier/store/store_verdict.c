/* SPDX-License-Identifier: Apache-2.0 */
/* Storing a verdict, and the live instances that follow from it. */
#include <string.h>

#include "verifier/store/internal.h"

#define MAX_VERDICT_DOCS (4 * LIMIT_INSTANCES + 2)

/* Whether the row is still the one that was appraised. */
static struct err compare_row(struct txn *t, const struct verdict_write *v)
{
	cleanup_stmt sqlite3_stmt *st = NULL;
	uint64_t version, epoch;
	bool row;
	struct err e;

	if (failed(e = stmt_get(t->c, SQL_HOST_EPOCH, &st)) || failed(e = bind_text(st, 1, v->host_id)) ||
	    failed(e = stmt_step(st, &row)))
		return e;
	/* Removed meanwhile. */
	if (!row)
		return ERR(E_AUTH_RETRY);
	if (failed(e = column_u64(st, 0, &version)) || failed(e = column_u64(st, 1, &epoch)))
		return e;
	return version == v->version && epoch == v->epoch ? ERR(E_OK) : ERR(E_AUTH_RETRY);
}

static struct err write_row(struct txn *t, const struct verdict_write *v, uint64_t epoch)
{
	cleanup_stmt sqlite3_stmt *st = NULL;
	cleanup_buf struct buf state = BUF_INIT(HOST_STATE_MAX);
	uint64_t changes;
	struct err e;

	if (v->n_docs > MAX_VERDICT_DOCS)
		return ERR(E_BUG);
	if (failed(e = host_state_encode(v->next, &state)) || failed(e = stmt_get(t->c, SQL_HOST_VERDICT, &st)) ||
	    failed(e = bind_text(st, 1, v->host_id)) || failed(e = bind_i64(st, 2, (int64_t)v->next->status)) ||
	    failed(e = bind_blob(st, 3, buf_bytes(&state))) || failed(e = bind_u64(st, 4, epoch)) ||
	    failed(e = bind_i64(st, 5, v->now_s)) || failed(e = bind_i64(st, 6, v->passed ? v->expires_s : 0)) ||
	    failed(e = bind_blob(st, 7, BYTES_ARR(v->host_doc))) ||
	    failed(e = bind_blob(st, 8, BYTES(v->docs, v->n_docs * 32))) ||
	    failed(e = bind_blob(st, 9, v->explanation)) || failed(e = stmt_run(st, &changes)))
		return e;
	return changes == 1 ? ERR(E_OK) : ERR(E_BUG);
}

/* What the row of an instance holds, in the order of the parameters that adding and renewing it share. */
static struct err write_instance(struct txn *t, enum sql_id id, const struct verdict_write *v,
				 const struct instance_row *i, uint64_t epoch, uint64_t *ret_changes)
{
	cleanup_stmt sqlite3_stmt *st = NULL;
	uint8_t image[64], model[64], container[64], docs[128];
	struct err e;

	memcpy(image, i->image.manifest, 32);
	memcpy(image + 32, i->image.config, 32);
	memcpy(model, i->model.manifest, 32);
	memcpy(model + 32, i->model.oms_root, 32);
	memcpy(container, i->container.rootfs, 32);
	memcpy(container + 32, i->container.policy, 32);
	memcpy(docs, i->agent_doc, 32);
	memcpy(docs + 32, i->image_doc, 32);
	memcpy(docs + 64, i->model_doc, 32);
	memcpy(docs + 96, i->platform_doc, 32);
	if (failed(e = stmt_get(t->c, id, &st)) || failed(e = bind_text(st, 1, v->host_id)) ||
	    failed(e = bind_blob(st, 2, BYTES_ARR(i->id))) || failed(e = bind_text(st, 3, i->agent)) ||
	    failed(e = bind_text(st, 4, i->jkt)) || failed(e = bind_i64(st, 5, v->passed && i->usable)) ||
	    failed(e = bind_i64(st, 6, i->status)) || failed(e = bind_blob(st, 7, BYTES_ARR(image))) ||
	    failed(e = bind_blob(st, 8, BYTES_ARR(model))) || failed(e = bind_blob(st, 9, BYTES_ARR(docs))) ||
	    failed(e = bind_blob(st, 10, BYTES_ARR(i->ear_digest))) || failed(e = bind_u64(st, 11, epoch)) ||
	    failed(e = bind_i64(st, 12, v->passed ? v->expires_s : 0)) ||
	    failed(e = bind_blob(st, 13, BYTES(container, i->has_container ? sizeof(container) : 0))))
		return e;
	return stmt_run(st, ret_changes);
}

static bool is_listed(const struct verdict_write *v, struct bytes id)
{
	for (size_t i = 0; i < v->n_instances; i++)
		if (bytes_eq(id, BYTES_ARR(v->instance[i].id)))
			return true;
	return false;
}

/* The ids of the host's rows that the verdict does not name; *ret grows. */
static struct err list_ended(struct txn *t, const struct verdict_write *v, struct buf *ret)
{
	cleanup_stmt sqlite3_stmt *st = NULL;
	struct bytes id;
	bool row;
	struct err e;

	if (failed(e = stmt_get(t->c, SQL_INSTANCE_IDS, &st)) || failed(e = bind_text(st, 1, v->host_id)))
		return e;
	for (;;) {
		if (failed(e = stmt_step(st, &row)) || !row)
			return e;
		if (failed(e = column_blob(st, 0, &id)))
			return e;
		if (!is_listed(v, id) && failed(e = buf_add(ret, id)))
			return e;
	}
}

static struct err end_instance(struct txn *t, const char *host, struct bytes id)
{
	cleanup_stmt sqlite3_stmt *st = NULL;
	uint64_t changes;
	struct err e;

	if (failed(e = stmt_get(t->c, SQL_INSTANCE_END, &st)) || failed(e = bind_text(st, 1, host)) ||
	    failed(e = bind_blob(st, 2, id)))
		return e;
	return stmt_run(st, &changes);
}

/*
 * The rows become the verdict's list. One that lives on is written in place:
 * that leaves the index of the keys alone, and it happens with every verdict.
 */
static struct err write_instances(struct txn *t, const struct verdict_write *v, uint64_t epoch)
{
	cleanup_buf struct buf ended = BUF_INIT(2 * LIMIT_INSTANCES * INSTANCE_ID_LEN);
	uint64_t changes;
	struct err e;

	if (failed(e = list_ended(t, v, &ended)))
		return e;
	for (size_t at = 0; at < ended.n; at += INSTANCE_ID_LEN)
		if (failed(e = end_instance(t, v->host_id, BYTES(ended.p + at, INSTANCE_ID_LEN))))
			return e;
	for (size_t i = 0; i < v->n_instances; i++) {
		const struct instance_row *row = &v->instance[i];

		if (failed(e = write_instance(t, SQL_INSTANCE_RENEW, v, row, epoch, &changes)))
			return e;
		if (changes == 1)
			continue;
		/* New, or under another key. */
		if (failed(e = end_instance(t, v->host_id, BYTES_ARR(row->id))) ||
		    failed(e = write_instance(t, SQL_INSTANCE_ADD, v, row, epoch, &changes)))
			return e;
	}
	return ERR(E_OK);
}

struct err txn_verdict(struct txn *t, const struct verdict_write *v)
{
	uint64_t epoch = v->epoch;
	struct err e;

	/* A verdict that lives for no time, or for ever, is nobody's intention. */
	if (v->passed && v->expires_s <= v->now_s)
		return ERR(E_BUG);
	if (!v->passed || v->move_epoch)
		epoch++;
	host_cache_touch(t->hosts, v->host_id);
	if (failed(e = compare_row(t, v)) || failed(e = write_row(t, v, epoch)))
		return e;
	return write_instances(t, v, epoch);
}

struct err txn_progress(struct txn *t, const struct verdict_write *v)
{
	cleanup_stmt sqlite3_stmt *st = NULL;
	cleanup_buf struct buf state = BUF_INIT(HOST_STATE_MAX);
	uint64_t changes;
	struct err e;

	host_cache_touch(t->hosts, v->host_id);
	if (failed(e = compare_row(t, v)) || failed(e = host_state_encode(v->next, &state)) ||
	    failed(e = stmt_get(t->c, SQL_HOST_PROGRESS, &st)) || failed(e = bind_text(st, 1, v->host_id)) ||
	    failed(e = bind_blob(st, 2, buf_bytes(&state))) || failed(e = stmt_run(st, &changes)))
		return e;
	return changes == 1 ? ERR(E_OK) : ERR(E_BUG);
}

/* Empty for what runs in none. */
static struct err read_container(sqlite3_stmt *st, int column, struct instance_row *i)
{
	uint8_t container[64];
	struct bytes b;
	struct err e;

	if (failed(e = column_blob(st, column, &b)) || b.n == 0)
		return e;
	if (failed(e = column_exact(st, column, container, sizeof(container))))
		return e;
	i->has_container = true;
	memcpy(i->container.rootfs, container, 32);
	memcpy(i->container.policy, container + 32, 32);
	return ERR(E_OK);
}

static struct err read_instance(sqlite3_stmt *st, struct instance_row *i, uint64_t *epoch)
{
	uint8_t image[64], model[64], docs[128];
	struct err e;

	if (failed(e = column_str(st, 0, i->host_id, sizeof(i->host_id))) ||
	    failed(e = column_exact(st, 1, i->id, sizeof(i->id))) ||
	    failed(e = column_str(st, 2, i->agent, sizeof(i->agent))) ||
	    failed(e = column_str(st, 3, i->jkt, sizeof(i->jkt))) ||
	    failed(e = column_exact(st, 6, image, sizeof(image))) ||
	    failed(e = column_exact(st, 7, model, sizeof(model))) ||
	    failed(e = column_exact(st, 8, docs, sizeof(docs))) ||
	    failed(e = column_exact(st, 9, i->ear_digest, sizeof(i->ear_digest))) ||
	    failed(e = column_u64(st, 10, &i->epoch)) || failed(e = column_u64(st, 12, epoch)) ||
	    failed(e = read_container(st, 13, i)))
		return e;
	i->usable = column_i64(st, 4) != 0;
	i->status = (int)column_i64(st, 5);
	i->verdict_expires_s = column_i64(st, 11);
	memcpy(i->image.manifest, image, 32);
	memcpy(i->image.config, image + 32, 32);
	memcpy(i->model.manifest, model, 32);
	memcpy(i->model.oms_root, model + 32, 32);
	memcpy(i->agent_doc, docs, 32);
	memcpy(i->image_doc, docs + 32, 32);
	memcpy(i->model_doc, docs + 64, 32);
	memcpy(i->platform_doc, docs + 96, 32);
	return ERR(E_OK);
}

static struct err instance_by_jkt(struct conn *c, const char *jkt, struct instance_row *ret, uint64_t *ret_epoch)
{
	cleanup_stmt sqlite3_stmt *st = NULL;
	struct instance_row i = { .usable = false };
	uint64_t epoch;
	bool row;
	struct err e;

	if (failed(e = stmt_get(c, SQL_INSTANCE_BY_JKT, &st)) || failed(e = bind_text(st, 1, jkt)) ||
	    failed(e = stmt_step(st, &row)))
		return e;
	if (!row)
		return ERR(E_LOCAL_NOT_FOUND);
	if (failed(e = read_instance(st, &i, &epoch)))
		return e;
	*ret = i;
	*ret_epoch = epoch;
	return ERR(E_OK);
}

struct err store_instance_by_jkt(struct store *s, const char *jkt, struct instance_row *ret, uint64_t *ret_epoch)
{
	cleanup_reader struct reader r = READER(s);

	return instance_by_jkt(r.c, jkt, ret, ret_epoch);
}

struct err txn_instance_by_jkt(struct txn *t, const char *jkt, struct instance_row *ret, uint64_t *ret_epoch)
{
	return instance_by_jkt(t->c, jkt, ret, ret_epoch);
}

struct err txn_instance_revoke(struct txn *t, const uint8_t id[INSTANCE_ID_LEN])
{
	static const enum sql_id both[] = { SQL_INSTANCE_REVOKE, SQL_INSTANCE_UNUSABLE };
	uint64_t changes = 0;
	struct err e;

	for (size_t i = 0; i < array_len(both); i++) {
		cleanup_stmt sqlite3_stmt *st = NULL;

		if (failed(e = stmt_get(t->c, both[i], &st)) ||
		    failed(e = bind_blob(st, 1, BYTES(id, INSTANCE_ID_LEN))) || failed(e = stmt_run(st, &changes)))
			return e;
	}
	/* As counted by the second one, which finds the row also when it was revoked before. */
	return changes > 0 ? ERR(E_OK) : ERR(E_LOCAL_NOT_FOUND);
}
