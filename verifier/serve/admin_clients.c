/* SPDX-License-Identifier: Apache-2.0 */
/* Clients that may introspect. The secret is shown once, and only its digest is kept. */
#include "base/log.h"
#include "base/text.h"
#include "verifier/serve/admin.h"

#define SECRET_LEN 32
#define MAX_RESOURCES 64
#define MAX_RESOURCE 256

struct err admin_clients_list(struct verifier *v, const struct request *q, struct reply *ret)
{
	json_t *list = NULL;
	struct err e = store_list_clients(v->store, MAX_LIST, &list);

	(void)q;
	return failed(e) ? e : reply_json(list, ret);
}

struct new_client {
	const char *name;
	const json_t *resources;          /* or NULL: it may ask about all */
	uint8_t secret_sha256[32];
	int64_t now_s;
};

static struct err parse(const struct request *q, json_t **ret_body, struct new_client *c, struct reason *why)
{
	const json_t *value;
	struct jobj o;
	size_t i;
	struct err e;

	if (failed(e = admin_body(q, ret_body, &o, why)) || failed(e = jobj_id(&o, "name", &c->name)))
		return e;
	if (jobj_has(&o, "resources") && failed(e = jobj_arr(&o, "resources", MAX_RESOURCES, &c->resources)))
		return e;
	if (failed(e = jobj_end(&o)))
		return e;
	json_array_foreach(c->resources, i, value) {
		size_t n = json_string_length(value);

		if (!json_is_string(value) || n == 0 || n > MAX_RESOURCE) {
			reason_set(why, "resources: expected URLs of at most %d bytes", MAX_RESOURCE);
			return ERR(E_PEER_RANGE);
		}
	}
	return ERR(E_OK);
}

static struct err add_txn(struct txn *t, void *ctx)
{
	const struct new_client *c = ctx;
	const json_t *value;
	size_t i;
	struct err e = txn_client_add(t, c->name, c->secret_sha256, c->now_s);

	if (failed(e))
		return e;
	json_array_foreach(c->resources, i, value)
		if (failed(e = txn_client_resource_add(t, c->name, json_string_value(value))))
			return e;
	return ERR(E_OK);
}

static struct err make_secret(struct buf *ret, uint8_t ret_sha256[32])
{
	uint8_t random[SECRET_LEN];
	struct err e = random_bytes(random, sizeof(random));

	if (!failed(e))
		e = b64url_encode(BYTES_ARR(random), ret);
	wipe(random, sizeof(random));
	return failed(e) ? e : sha256(buf_bytes(ret), ret_sha256);
}

struct err admin_client_add(struct verifier *v, const struct request *q, struct reply *ret)
{
	cleanup_json json_t *body = NULL, *o = NULL;
	cleanup_buf struct buf secret = BUF_INIT(64);
	struct new_client c = { .now_s = q->now_s };
	struct err e;

	if (failed(e = parse(q, &body, &c, &ret->why)) || failed(e = make_secret(&secret, c.secret_sha256)))
		return e;
	e = store_write(v->store, add_txn, &c);
	if (e.code == E_AUTH_CONFLICT)
		reason_set(&ret->why, "client %s is there already", c.name);
	if (failed(e))
		return e;
	reason_set(&ret->why, "client %s added", c.name);
	if (failed(e = json_new_object(&o)) || failed(e = json_put_str(o, "name", c.name)) ||
	    failed(e = json_put_text(o, "secret", buf_bytes(&secret))))
		return e;
	return reply_json(take_ptr(&o), ret);
}

static struct err remove_txn(struct txn *t, void *ctx)
{
	return txn_client_remove(t, ctx);
}

struct err admin_client_remove(struct verifier *v, const struct request *q, struct reply *ret)
{
	cleanup_json json_t *body = NULL;
	char name[65];
	const char *text;
	struct err e;

	if (failed(e = admin_one(q, "name", sizeof(name) - 1, &body, &text, &ret->why)))
		return e;
	(void)snprintf(name, sizeof(name), "%s", text);
	if (failed(e = store_write(v->store, remove_txn, name)))
		return admin_found(e, "client", text, &ret->why);
	reason_set(&ret->why, "client %s removed", log_quote(bytes_str(name)));
	return admin_done("removed", name, ret);
}
