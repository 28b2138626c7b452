/* SPDX-License-Identifier: Apache-2.0 */
/* Operator documents: accepted, withdrawn, listed. A signature decides; the socket only lets it come this far. */
#include <string.h>

#include "verifier/serve/admin.h"

struct upload {
	const struct document *d;
	struct bytes envelope;
	const char *keyid;
	int64_t now_s;
	uint64_t n_hosts;
	bool conflict;
};

static struct err add_txn(struct txn *t, void *ctx)
{
	struct upload *u = ctx;
	struct err e = u->d->kind == DOCUMENT_WITHDRAW ?
			       txn_document_withdraw(t, u->d, u->envelope, u->keyid, u->now_s, &u->n_hosts) :
			       txn_document_add(t, u->d, u->envelope, u->keyid, u->now_s);

	u->conflict = e.code == E_AUTH_CONFLICT;
	return failed(e) ? e : txn_time_advance(t, u->now_s);
}

static struct err answer(const struct upload *u, struct reply *ret)
{
	cleanup_json json_t *o = NULL;
	struct err e;

	if (failed(e = json_new_object(&o)) ||
	    failed(e = json_put_str(o, "kind", document_kind_name(u->d->kind))) ||
	    failed(e = json_put_str(o, "name", u->d->name)) ||
	    failed(e = json_put_int(o, "serial", (int64_t)u->d->serial)) ||
	    failed(e = json_put_hex(o, "digest", BYTES_ARR(u->d->digest))))
		return e;
	if (u->d->kind == DOCUMENT_WITHDRAW && failed(e = json_put_int(o, "verdicts_ended", (int64_t)u->n_hosts)))
		return e;
	return reply_json(take_ptr(&o), ret);
}

/* With v->change held: the operators and the snapshot belong together. */
static struct err take(struct verifier *v, const struct request *q, bool withdrawal, struct reply *ret)
{
	cleanup_document struct document *d = NULL;
	struct upload u = { .envelope = q->body, .now_s = q->now_s };
	size_t by;
	struct err e;

	if (failed(e = document_accept(q->body, &v->operators, v->c.realm, q->now_s, &d, &by, &ret->why)))
		return e;
	if ((d->kind == DOCUMENT_WITHDRAW) != withdrawal) {
		reason_set(&ret->why, "kind %s does not belong here: withdrawals go to /v1/admin/withdraw, and only they",
			   document_kind_name(d->kind));
		return ERR(E_PEER_UNSUPPORTED);
	}
	if (failed(e = allowlists_need(v, d, &ret->why)))
		return e;
	u.d = d;
	u.keyid = v->operators.v[by].keyid;
	e = store_write(v->store, add_txn, &u);
	if (u.conflict)
		reason_set(&ret->why, "serial %llu of %s %s is not above the highest that was accepted or withdrawn",
			   (unsigned long long)d->serial, document_kind_name(d->kind), d->name);
	if (e.code == E_LOCAL_NOT_FOUND)
		return admin_found(e, document_kind_name(d->target_kind), d->target_name, &ret->why);
	if (failed(e))
		return e;
	verifier_time_seen(v, q->now_s);
	if (failed(e = policy_load(v, &ret->why)))
		return e;
	reason_set(&ret->why, "%s %s serial %llu by operator %s accepted", document_kind_name(d->kind), d->name,
		   (unsigned long long)d->serial, v->operators.v[by].name);
	return answer(&u, ret);
}

static struct err locked_take(struct verifier *v, const struct request *q, bool withdrawal, struct reply *ret)
{
	struct err e;

	(void)pthread_mutex_lock(&v->change);
	e = take(v, q, withdrawal, ret);
	(void)pthread_mutex_unlock(&v->change);
	return e;
}

struct err admin_documents_add(struct verifier *v, const struct request *q, struct reply *ret)
{
	return locked_take(v, q, false, ret);
}

struct err admin_documents_withdraw(struct verifier *v, const struct request *q, struct reply *ret)
{
	return locked_take(v, q, true, ret);
}

struct err admin_documents_list(struct verifier *v, const struct request *q, struct reply *ret)
{
	json_t *list = NULL;
	struct err e = store_list_documents(v->store, MAX_LIST, &list);

	(void)q;
	return failed(e) ? e : reply_json(list, ret);
}
