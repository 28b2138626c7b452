/* SPDX-License-Identifier: Apache-2.0 */
/* What operators decided, as snapshots: documents, CAs for EK certificates, and who the operators are. */
#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "verifier/serve/internal.h"

struct policy *policy_hold(struct verifier *v)
{
	struct policy *p;

	(void)pthread_mutex_lock(&v->lock);
	p = v->policy;
	atomic_fetch_add(&p->refs, 1);
	(void)pthread_mutex_unlock(&v->lock);
	return p;
}

void policy_release(struct policy *p)
{
	if (p == NULL || atomic_fetch_sub(&p->refs, 1) > 1)
		return;
	reference_release(p->reference);
	free(p->lists.v);
	free(p);
}

struct anchors *anchors_hold(struct verifier *v)
{
	struct anchors *a;

	(void)pthread_mutex_lock(&v->lock);
	a = v->anchors;
	atomic_fetch_add(&a->refs, 1);
	(void)pthread_mutex_unlock(&v->lock);
	return a;
}

void anchors_release(struct anchors *a)
{
	if (a == NULL || atomic_fetch_sub(&a->refs, 1) > 1)
		return;
	trust_free(a->trust);
	free(a);
}

struct document_array {
	struct verifier *verifier;
	const struct operators *operators;
	const char *realm;
	struct document **v;
	size_t n, cap;
};

static void document_array_done(struct document_array *a)
{
	for (size_t i = 0; i < a->n; i++)
		document_free(a->v[i]);
	free(a->v);
}
#define cleanup_document_array cleanup(document_array_done)

static struct err document_array_add(struct document_array *a, struct document **d)
{
	if (a->n == a->cap) {
		size_t cap = a->cap == 0 ? 16 : 2 * a->cap;
		struct document **larger = realloc(a->v, cap * sizeof(struct document *));

		if (larger == NULL)
			return ERR(E_LOCAL_MEMORY);
		a->v = larger;
		a->cap = cap;
	}
	a->v[a->n++] = take_ptr(d);
	return ERR(E_OK);
}

/* A failure here is ours; any other says that the document does not stand under these operators. */
static bool undecided(struct err e)
{
	return e.code >= E_LOCAL_MEMORY;
}

/*
 * Signatures are verified again at every load: what stands in the database
 * decides nothing that an operator has not signed.
 */
static struct err take_document(void *ctx, struct bytes envelope, const char *keyid, const char *kind,
				const char *name, uint64_t serial)
{
	cleanup_document struct document *d = NULL;
	struct document_array *a = ctx;
	struct reason why = { "" };
	size_t by;
	struct err e = document_open(envelope, a->operators, a->realm, &d, &by, &why);

	(void)keyid;
	if (undecided(e))
		return e;
	if (failed(e)) {
		log_warning("document %s %s serial %llu is not used: %s", kind, name, (unsigned long long)serial,
			    why.text);
		return ERR(E_OK);
	}
	if (undecided(e = allowlists_need(a->verifier, d, &why)))
		return e;
	/* It stays in force: what it is needed for is refused until the file is there. */
	if (failed(e))
		log_warning("document %s %s serial %llu: %s", kind, name, (unsigned long long)serial, why.text);
	if (strcmp(document_kind_name(d->kind), kind) != 0 || strcmp(d->name, name) != 0 || d->serial != serial)
		return ERR(E_LOCAL_STORE);
	return document_array_add(a, &d);
}

struct err policy_load(struct verifier *v, struct reason *reterr)
{
	cleanup_document_array struct document_array docs = { .verifier = v, .operators = &v->operators, .realm = v->c.realm };
	cleanup_policy struct policy *p = calloc(1, sizeof(*p)), *old = NULL;
	struct err e;

	if (p == NULL)
		return ERR(E_LOCAL_MEMORY);
	atomic_init(&p->refs, 1);
	if (failed(e = store_documents(v->store, take_document, &docs, &p->generation)) ||
	    failed(e = allowlists_copy(v, &p->lists)) || failed(e = reference_new(docs.v, docs.n, &p->reference))) {
		reason_set(reterr, "the operators' documents cannot be loaded: %s", err_text(e));
		return e;
	}
	docs.n = 0;
	reference_policy_digest(p->reference, p->digest);
	(void)pthread_mutex_lock(&v->lock);
	old = v->policy;
	v->policy = take_ptr(&p);
	(void)pthread_mutex_unlock(&v->lock);
	return ERR(E_OK);
}

static struct err take_anchor(void *ctx, struct bytes der)
{
	cleanup_cert struct cert *c = NULL;
	struct err e = cert_from_der(der, &c, NULL);

	return failed(e) ? e : trust_add(ctx, c);
}

struct err anchors_load(struct verifier *v, struct reason *reterr)
{
	cleanup_anchors struct anchors *a = calloc(1, sizeof(*a)), *old = NULL;
	struct err e;

	if (a == NULL)
		return ERR(E_LOCAL_MEMORY);
	atomic_init(&a->refs, 1);
	if (failed(e = trust_new(&a->trust)) || failed(e = store_trust(v->store, take_anchor, a->trust))) {
		reason_set(reterr, "the CAs for EK certificates cannot be loaded: %s", err_text(e));
		return e;
	}
	(void)pthread_mutex_lock(&v->lock);
	old = v->anchors;
	v->anchors = take_ptr(&a);
	(void)pthread_mutex_unlock(&v->lock);
	return ERR(E_OK);
}

struct err operators_load(const char *path, struct operators *ret, struct reason *reterr)
{
	cleanup_buf struct buf json = BUF_INIT(LIMIT_CONFIG);
	struct err e = file_read(AT_FDCWD, path, &json);

	if (e.code == E_LOCAL_NOT_FOUND) {
		log_warning("%s is not there: no document will be accepted", path);
		*ret = (struct operators){ 0 };
		return ERR(E_OK);
	}
	if (failed(e)) {
		reason_set(reterr, "%s: %s", path, err_text(e));
		return e;
	}
	return operators_parse(buf_bytes(&json), ret, reterr);
}

/* What no longer stands: all that a key signed, or one document. */
struct fallen {
	bool whole_key;
	char keyid[65], kind[16], name[65];
	uint64_t serial;
};

struct fallen_list {
	const struct operators *operators;
	const char *realm;
	size_t n;
	struct fallen *v;
	uint64_t n_hosts;
};

static void fallen_list_done(struct fallen_list *l)
{
	free(l->v);
}
#define cleanup_fallen_list cleanup(fallen_list_done)

static struct err check_document(void *ctx, struct bytes envelope, const char *keyid, const char *kind,
				 const char *name, uint64_t serial)
{
	cleanup_document struct document *d = NULL;
	struct fallen_list *l = ctx;
	struct fallen *larger;
	size_t by;
	struct err e = document_open(envelope, l->operators, l->realm, &d, &by, NULL);

	if (undecided(e) || !failed(e))
		return e;
	larger = realloc(l->v, (l->n + 1) * sizeof(*larger));
	if (larger == NULL)
		return ERR(E_LOCAL_MEMORY);
	l->v = larger;
	l->v[l->n] = (struct fallen){ .whole_key = e.code == E_AUTH_UNKNOWN, .serial = serial };
	(void)snprintf(l->v[l->n].keyid, sizeof(l->v->keyid), "%s", keyid);
	(void)snprintf(l->v[l->n].kind, sizeof(l->v->kind), "%s", kind);
	(void)snprintf(l->v[l->n].name, sizeof(l->v->name), "%s", name);
	l->n++;
	return ERR(E_OK);
}

static struct err end_fallen(struct txn *t, void *ctx)
{
	struct fallen_list *l = ctx;
	uint64_t n;
	struct err e;

	l->n_hosts = 0;
	for (size_t i = 0; i < l->n; i++) {
		const struct fallen *f = &l->v[i];

		e = f->whole_key ? txn_operator_removed(t, f->keyid, &n) :
				   txn_document_dropped(t, f->kind, f->name, f->serial, &n);
		if (failed(e))
			return e;
		l->n_hosts += n;
	}
	return ERR(E_OK);
}

struct err operators_enforce(struct verifier *v, struct reason *reterr)
{
	cleanup_fallen_list struct fallen_list l = { .operators = &v->operators, .realm = v->c.realm };
	struct err e;

	e = store_documents(v->store, check_document, &l, NULL);
	if (!failed(e) && l.n > 0)
		e = store_write(v->store, end_fallen, &l);
	if (failed(e)) {
		reason_set(reterr, "documents of former operators could not be ended: %s", err_text(e));
		return e;
	}
	if (l.n > 0)
		log_info("%zu documents no longer have an operator who may sign them; verdicts ended: %llu", l.n,
			 (unsigned long long)l.n_hosts);
	return ERR(E_OK);
}
