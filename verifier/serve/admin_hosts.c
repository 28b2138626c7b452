/* SPDX-License-Identifier: Apache-2.0 */
/* Hosts, agents and credentials: listed, explained, cleared, removed, revoked. */
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "verifier/serve/admin.h"

/* A host that no operator named is PENDING, whatever else is known of it; that follows from the documents of now. */
static const char *shown_status(const struct policy *p, const uint8_t ek_sha256[32], const char *stored, int64_t now_s)
{
	if (strcmp(stored, "NEVER") != 0 || reference_host(p->reference, ek_sha256, now_s) != NULL)
		return stored;
	return "PENDING";
}

static struct err show_status(const struct policy *p, int64_t now_s, json_t *row)
{
	const char *ek = json_string_value(json_object_get(row, "ek_sha256"));
	const char *status = json_string_value(json_object_get(row, "status"));
	uint8_t ek_sha256[32];
	struct err e;

	if (ek == NULL || status == NULL)
		return ERR(E_BUG);
	if (failed(e = hex_decode_exact(bytes_str(ek), ek_sha256, sizeof(ek_sha256))))
		return e;
	return json_put_str(row, "status", shown_status(p, ek_sha256, status, now_s));
}

struct err admin_hosts_list(struct verifier *v, const struct request *q, struct reply *ret)
{
	cleanup_policy struct policy *p = policy_hold(v);
	cleanup_json json_t *list = NULL;
	json_t *row;
	size_t i;
	struct err e = store_list_hosts(v->store, q->now_s, MAX_LIST, &list);

	if (failed(e))
		return e;
	json_array_foreach(list, i, row)
		if (failed(e = show_status(p, q->now_s, row)))
			return e;
	return reply_json(take_ptr(&list), ret);
}

struct err admin_agents_list(struct verifier *v, const struct request *q, struct reply *ret)
{
	cleanup_json json_t *list = NULL;
	json_t *row;
	size_t i;
	struct err e = store_list_instances(v->store, q->now_s, MAX_LIST, &list);

	if (failed(e))
		return e;
	json_array_foreach(list, i, row) {
		enum tier t = (enum tier)json_integer_value(json_object_get(row, "status"));

		if (failed(e = json_put_str(row, "status", tier_name(t))))
			return e;
	}
	return reply_json(take_ptr(&list), ret);
}

struct err admin_credentials_list(struct verifier *v, const struct request *q, struct reply *ret)
{
	json_t *list = NULL;
	struct err e = store_list_credentials(v->store, q->now_s, MAX_LIST, &list);

	return failed(e) ? e : reply_json(list, ret);
}

/* The rows in the order of the table; one that the table lost since the verdict stands behind them without a name. */
static struct err put_check(json_t *list, const char *id, const char *name, const char *result)
{
	cleanup_json json_t *row = NULL;
	struct err e;

	if (failed(e = json_new_object(&row)) || failed(e = json_put_str(row, "id", id)) ||
	    failed(e = json_put_str(row, "name", name)) || failed(e = json_put_str(row, "result", result)))
		return e;
	return json_array_append_new(list, take_ptr(&row)) == 0 ? ERR(E_OK) : ERR(E_LOCAL_MEMORY);
}

static struct err put_checks(json_t *o)
{
	cleanup_json json_t *results = json_incref(json_object_get(o, "results")), *list = NULL;
	json_t *result;
	const char *id;
	struct err e;

	if (results == NULL)
		return ERR(E_OK);
	list = json_array();
	if (list == NULL)
		return ERR(E_LOCAL_MEMORY);
	for (size_t i = 0; i < appraise_n_checks(); i++) {
		const struct check_info c = appraise_check(i);

		result = json_object_get(results, c.id);
		if (result != NULL && failed(e = put_check(list, c.id, c.name, json_string_value(result))))
			return e;
		(void)json_object_del(results, c.id);
	}
	json_object_foreach(results, id, result)
		if (failed(e = put_check(list, id, "", json_string_value(result))))
			return e;
	(void)json_object_del(o, "results");
	return json_put(o, "checks", take_ptr(&list));
}

/* The verdict as it was, and what the host is by now. */
static struct err explain(struct verifier *v, const struct request *q, const struct host_row *row, struct buf *stored,
			  struct reply *ret)
{
	cleanup_policy struct policy *p = policy_hold(v);
	cleanup_json json_t *o = NULL;
	bool live = row->verdict_expires_s > q->now_s;
	const char *status = host_status_name(row->state.status);
	struct err e;

	e = stored->n > 0 ? json_parse(buf_bytes(stored), stored->n, &o, NULL) : json_new_object(&o);
	if (failed(e))
		return ERR(e.code == E_LOCAL_MEMORY ? E_LOCAL_MEMORY : E_LOCAL_STORE);
	if (row->state.status == HOST_VERIFIED && !live)
		status = "STALE";
	status = shown_status(p, row->record->ek_sha256, status, q->now_s);
	if (failed(e = put_checks(o)) || failed(e = json_put_str(o, "host", row->record->id)) ||
	    failed(e = json_put_str(o, "status", status)) ||
	    failed(e = json_put_int(o, "epoch", (int64_t)row->epoch)))
		return e;
	return reply_json(take_ptr(&o), ret);
}

struct err admin_explain(struct verifier *v, const struct request *q, struct reply *ret)
{
	cleanup_host_row struct host_row row = { 0 };
	cleanup_buf struct buf stored = BUF_INIT(4 * MIB);
	const char *id = q->query_host != NULL ? q->query_host : "";
	struct err e;

	if (failed(e = store_host(v->store, id, &row)) || failed(e = store_explanation(v->store, id, &stored)))
		return admin_found(e, "host", id, &ret->why);
	return explain(v, q, &row, &stored, ret);
}

/* One write that is named by one text. */
struct named {
	const char *text;
	uint8_t id[INSTANCE_ID_LEN];
	uint64_t n;
	struct err (*fn)(struct txn *t, struct named *n);
};

static struct err named_txn(struct txn *t, void *ctx)
{
	struct named *n = ctx;

	return n->fn(t, n);
}

static struct err clear_host(struct txn *t, struct named *n)
{
	return txn_host_clear(t, n->text);
}

static struct err remove_host(struct txn *t, struct named *n)
{
	return txn_host_remove(t, n->text);
}

static struct err revoke_host(struct txn *t, struct named *n)
{
	return txn_host_revoke(t, n->text);
}

static struct err revoke_instance(struct txn *t, struct named *n)
{
	return txn_instance_revoke(t, n->id);
}

static struct err revoke_task(struct txn *t, struct named *n)
{
	return txn_task_revoke(t, n->text, &n->n);
}

static struct err revoke_jti(struct txn *t, struct named *n)
{
	return txn_credential_revoke(t, n->text);
}

static struct err on_host(struct verifier *v, const struct request *q, struct reply *ret, const char *done,
			  struct err (*fn)(struct txn *, struct named *))
{
	cleanup_json json_t *body = NULL;
	struct named n = { .fn = fn };
	struct err e;

	if (failed(e = admin_one(q, "host", HOST_ID_LEN, &body, &n.text, &ret->why)))
		return e;
	if (failed(e = store_write(v->store, named_txn, &n)))
		return admin_found(e, "host", n.text, &ret->why);
	reason_set(&ret->why, "host %s %s", log_quote(bytes_str(n.text)), done);
	return admin_done(done, n.text, ret);
}

struct err admin_host_clear(struct verifier *v, const struct request *q, struct reply *ret)
{
	return on_host(v, q, ret, "cleared", clear_host);
}

struct err admin_host_remove(struct verifier *v, const struct request *q, struct reply *ret)
{
	return on_host(v, q, ret, "removed", remove_host);
}

static const struct {
	const char *key;
	struct err (*fn)(struct txn *, struct named *);
} revocable[] = {
	{ "host", revoke_host },
	{ "instance", revoke_instance },
	{ "task", revoke_task },
	{ "jti", revoke_jti },
};

/* The one member that says what; more or fewer are refused. */
static struct err what_to_revoke(struct jobj *o, struct named *n, const char **ret_key)
{
	struct err e;

	for (size_t i = 0; i < array_len(revocable); i++) {
		if (!jobj_has(o, revocable[i].key))
			continue;
		if (failed(e = jobj_id(o, revocable[i].key, &n->text)))
			return e;
		n->fn = revocable[i].fn;
		*ret_key = revocable[i].key;
		return jobj_end(o);
	}
	reason_set(o->reterr, "expected one of host, instance, task, jti");
	return ERR(E_PEER_MISSING);
}

struct err admin_revoke(struct verifier *v, const struct request *q, struct reply *ret)
{
	cleanup_json json_t *body = NULL;
	struct named n = { .fn = NULL };
	const char *key = "";
	struct jobj o;
	struct err e;

	if (failed(e = admin_body(q, &body, &o, &ret->why)) || failed(e = what_to_revoke(&o, &n, &key)))
		return e;
	if (n.fn == revoke_instance &&
	    failed(e = hex_decode_exact(bytes_str(n.text), n.id, sizeof(n.id)))) {
		reason_set(&ret->why, "instance: expected %d hex digits", 2 * INSTANCE_ID_LEN);
		return e;
	}
	if (failed(e = store_write(v->store, named_txn, &n)))
		return admin_found(e, key, n.text, &ret->why);
	reason_set(&ret->why, "%s %s revoked", key, log_quote(bytes_str(n.text)));
	return admin_done("revoked", n.text, ret);
}
