/* SPDX-License-Identifier: Apache-2.0 */
#include "verifier/serve/admin.h"

#include "base/log.h"

struct err admin_body(const struct request *q, json_t **ret_body, struct jobj *o, struct reason *why)
{
	struct err e = json_parse(q->body, LIMIT_SMALL, ret_body, why);

	return failed(e) ? e : jobj_init(o, *ret_body, "body", why);
}

struct err admin_one(const struct request *q, const char *key, size_t max, json_t **ret_body, const char **ret,
		     struct reason *why)
{
	struct jobj o;
	struct err e;

	if (failed(e = admin_body(q, ret_body, &o, why)) || failed(e = jobj_str(&o, key, max, ret)))
		return e;
	return jobj_end(&o);
}

struct err admin_found(struct err e, const char *what, const char *which, struct reason *why)
{
	if (e.code != E_LOCAL_NOT_FOUND)
		return e;
	reason_set(why, "no %s %s", what, log_quote(bytes_str(which)));
	return ERR(E_PEER_NO_ROUTE);
}

struct err admin_done(const char *key, const char *value, struct reply *ret)
{
	cleanup_json json_t *o = NULL;
	struct err e;

	if (failed(e = json_new_object(&o)) || failed(e = json_put_str(o, key, value)))
		return e;
	return reply_json(take_ptr(&o), ret);
}
