/* SPDX-License-Identifier: Apache-2.0 */
/* Lists for operators and numbers for metrics. What a verdict is worth follows from the clock when it is read. */
#include "base/text.h"
#include "verifier/store/internal.h"

/* One row as an object. now_s is the list's. */
typedef struct err (*row_fn)(struct conn *c, sqlite3_stmt *st, int64_t now_s, json_t *o);

static struct err put_text(json_t *o, const char *key, sqlite3_stmt *st, int i)
{
	cleanup_free char *s = NULL;
	struct err e = column_dup(st, i, &s);

	return failed(e) ? e : json_put_str(o, key, s);
}

static struct err put_hex(json_t *o, const char *key, sqlite3_stmt *st, int i, size_t first)
{
	struct bytes b;
	struct err e = column_blob(st, i, &b);

	if (failed(e))
		return e;
	if (b.n < first)
		return ERR(E_LOCAL_STORE);
	return json_put_hex(o, key, BYTES(b.p, first));
}

static struct err put_time(json_t *o, const char *key, int64_t t_s)
{
	char text[TIME_TEXT_SIZE];
	struct err e = time_format(t_s, text, sizeof(text));

	return failed(e) ? e : json_put_str(o, key, text);
}

/* Zero means never, and is left out. */
static struct err put_time_opt(json_t *o, const char *key, int64_t t_s)
{
	return t_s == 0 ? ERR(E_OK) : put_time(o, key, t_s);
}

static struct err list(struct store *s, enum sql_id id, int64_t now_s, size_t limit, row_fn fn, json_t **ret)
{
	cleanup_reader struct reader r = READER(s);
	cleanup_stmt sqlite3_stmt *st = NULL;
	cleanup_json json_t *array = json_array();
	bool row;
	struct err e;

	if (array == NULL)
		return ERR(E_LOCAL_MEMORY);
	if (failed(e = stmt_get(r.c, id, &st)) || failed(e = bind_u64(st, 1, limit)) ||
	    (sqlite3_bind_parameter_count(st) > 1 && failed(e = bind_i64(st, 2, now_s))))
		return e;
	for (;;) {
		cleanup_json json_t *o = NULL;

		if (failed(e = stmt_step(st, &row)))
			return e;
		if (!row)
			break;
		if (failed(e = json_new_object(&o)) || failed(e = fn(r.c, st, now_s, o)))
			return e;
		if (json_array_append_new(array, take_ptr(&o)) != 0)
			return ERR(E_LOCAL_MEMORY);
	}
	*ret = take_ptr(&array);
	return ERR(E_OK);
}

static struct err host_json(struct conn *c, sqlite3_stmt *st, int64_t now_s, json_t *o)
{
	int64_t status = column_i64(st, 1), expires = column_i64(st, 4);
	const char *name = host_status_name((enum host_status)status);
	struct err e;

	(void)c;
	if (status == HOST_VERIFIED && expires <= now_s)
		name = "STALE";
	if (failed(e = put_text(o, "host", st, 0)) || failed(e = json_put_str(o, "status", name)) ||
	    failed(e = put_time(o, "enrolled", column_i64(st, 2))) ||
	    failed(e = put_time_opt(o, "verdict", column_i64(st, 3))) ||
	    failed(e = put_time_opt(o, "expires", expires)) ||
	    failed(e = json_put_int(o, "epoch", column_i64(st, 5))))
		return e;
	return put_hex(o, "ek_sha256", st, 6, 32);
}

struct err store_list_hosts(struct store *s, int64_t now_s, size_t limit, json_t **ret)
{
	return list(s, SQL_LIST_HOSTS, now_s, limit, host_json, ret);
}

/* Root and policy where it runs in a container. */
static struct err put_container(json_t *o, sqlite3_stmt *st, int column)
{
	struct bytes b;
	struct err e;

	if (failed(e = column_blob(st, column, &b)) || b.n == 0)
		return e;
	if (b.n != 64)
		return ERR(E_LOCAL_STORE);
	if (failed(e = json_put_hex(o, "rootfs", BYTES(b.p, 32))))
		return e;
	return json_put_hex(o, "container_policy", BYTES(b.p + 32, 32));
}

static struct err instance_json(struct conn *c, sqlite3_stmt *st, int64_t now_s, json_t *o)
{
	int64_t expires = column_i64(st, 6);
	struct err e;

	(void)c;
	if (failed(e = put_text(o, "host", st, 0)) || failed(e = put_hex(o, "instance", st, 1, INSTANCE_ID_LEN)) ||
	    failed(e = put_text(o, "agent", st, 2)) || failed(e = json_put_int(o, "status", column_i64(st, 3))) ||
	    failed(e = json_put_bool(o, "usable", column_i64(st, 4) == 1 && expires > now_s)) ||
	    failed(e = json_put_bool(o, "revoked", column_i64(st, 5) == 1)) ||
	    failed(e = put_time(o, "expires", expires)) || failed(e = put_hex(o, "image", st, 7, 32)) ||
	    failed(e = put_hex(o, "model", st, 8, 32)) || failed(e = put_container(o, st, 10)))
		return e;
	return put_text(o, "jkt", st, 9);
}

struct err store_list_instances(struct store *s, int64_t now_s, size_t limit, json_t **ret)
{
	return list(s, SQL_LIST_INSTANCES, now_s, limit, instance_json, ret);
}

static struct err credential_json(struct conn *c, sqlite3_stmt *st, int64_t now_s, json_t *o)
{
	struct err e;

	(void)c;
	(void)now_s;
	if (failed(e = put_text(o, "jti", st, 0)) || failed(e = put_text(o, "host", st, 1)) ||
	    failed(e = put_hex(o, "instance", st, 2, INSTANCE_ID_LEN)) || failed(e = put_text(o, "agent", st, 3)) ||
	    failed(e = put_text(o, "scope", st, 4)) || failed(e = put_text(o, "audience", st, 5)) ||
	    failed(e = put_text(o, "task", st, 6)) || failed(e = put_text(o, "owner", st, 7)) ||
	    failed(e = put_time(o, "issued", column_i64(st, 8))) ||
	    failed(e = put_time(o, "expires", column_i64(st, 9))))
		return e;
	return json_put_bool(o, "alive", column_i64(st, 10) == 1);
}

struct err store_list_credentials(struct store *s, int64_t now_s, size_t limit, json_t **ret)
{
	return list(s, SQL_LIST_CREDENTIALS, now_s, limit, credential_json, ret);
}

static struct err document_json(struct conn *c, sqlite3_stmt *st, int64_t now_s, json_t *o)
{
	struct err e;

	(void)c;
	(void)now_s;
	if (failed(e = put_text(o, "kind", st, 0)) || failed(e = put_text(o, "name", st, 1)) ||
	    failed(e = json_put_int(o, "serial", column_i64(st, 2))) || failed(e = put_text(o, "owner", st, 3)) ||
	    failed(e = put_hex(o, "digest", st, 4, 32)) || failed(e = put_text(o, "keyid", st, 5)) ||
	    failed(e = put_time(o, "not_before", column_i64(st, 6))) ||
	    failed(e = put_time(o, "expires", column_i64(st, 7))) ||
	    failed(e = put_time(o, "accepted", column_i64(st, 8))))
		return e;
	return put_time_opt(o, "withdrawn", column_i64(st, 9));
}

struct err store_list_documents(struct store *s, size_t limit, json_t **ret)
{
	return list(s, SQL_LIST_DOCUMENTS, 0, limit, document_json, ret);
}

static struct err client_json(struct conn *c, sqlite3_stmt *st, int64_t now_s, json_t *o)
{
	cleanup_stmt sqlite3_stmt *of = NULL;
	cleanup_free char *name = NULL;
	cleanup_json json_t *resources = json_array();
	bool row;
	struct err e;

	(void)now_s;
	if (resources == NULL)
		return ERR(E_LOCAL_MEMORY);
	if (failed(e = column_dup(st, 0, &name)) || failed(e = json_put_str(o, "name", name)) ||
	    failed(e = put_time(o, "created", column_i64(st, 1))) ||
	    failed(e = stmt_get(c, SQL_LIST_CLIENT_RESOURCES, &of)) || failed(e = bind_text(of, 1, name)))
		return e;
	for (;;) {
		cleanup_free char *resource = NULL;

		if (failed(e = stmt_step(of, &row)))
			return e;
		if (!row)
			return json_put(o, "resources", take_ptr(&resources));
		if (failed(e = column_dup(of, 0, &resource)))
			return e;
		if (json_array_append_new(resources, json_string(resource)) != 0)
			return ERR(E_LOCAL_MEMORY);
	}
}

struct err store_list_clients(struct store *s, size_t limit, json_t **ret)
{
	return list(s, SQL_LIST_CLIENTS, 0, limit, client_json, ret);
}

struct err store_counts(struct store *s, int64_t now_s, struct store_counts *ret)
{
	cleanup_reader struct reader r = READER(s);
	cleanup_stmt sqlite3_stmt *st = NULL;
	struct store_counts n;
	bool row;
	struct err e;

	if (failed(e = stmt_get(r.c, SQL_COUNTS, &st)) || failed(e = bind_i64(st, 1, now_s)) ||
	    failed(e = bind_i64(st, 2, HOST_VERIFIED)) || failed(e = bind_i64(st, 3, HOST_FAILED)) ||
	    failed(e = stmt_step(st, &row)))
		return e;
	if (!row)
		return ERR(E_LOCAL_STORE);
	if (failed(e = column_u64(st, 0, &n.hosts)) || failed(e = column_u64(st, 1, &n.verified)) ||
	    failed(e = column_u64(st, 2, &n.failed)) || failed(e = column_u64(st, 3, &n.instances)) ||
	    failed(e = column_u64(st, 4, &n.credentials_live)) || failed(e = column_u64(st, 5, &n.documents)))
		return e;
	*ret = n;
	return ERR(E_OK);
}
