/* SPDX-License-Identifier: Apache-2.0 */
#include "verifier/serve/attest_write.h"

#include <string.h>

#include "base/text.h"
#include "verifier/issue/ear.h"

#define EXPLANATION_MAX (1 * MIB)
#define EXPLANATION_USUAL ((size_t)8 * KIB) /* so that it is not moved while it grows */
#define EAR_MAX LIMIT_TOKEN

void attestation_done(struct attestation *a)
{
	for (size_t i = 0; i < a->n_results; i++)
		buf_free(&a->result[i].ear);
	free(a->result);
	free(a->instance);
	free(a->docs);
	buf_free(&a->explanation);
	*a = (struct attestation){ .v = NULL };
}

static bool none(const uint8_t digest[32])
{
	return bytes_all(BYTES(digest, 32), 0);
}

static bool is_document(const struct document *d, const uint8_t digest[32])
{
	return memcmp(d->digest, digest, 32) == 0;
}

static int64_t sooner(int64_t end, const struct document *d)
{
	return d != NULL && d->expires_s < end ? d->expires_s : end;
}

static int64_t approval_end(const struct attestation *a, enum document_kind kind, const uint8_t manifest[32],
			    const uint8_t digest[32], int64_t end)
{
	const struct document *d;

	for (size_t i = 0; !none(digest); i++) {
		d = reference_approval(a->policy->reference, kind, manifest, a->now_s, false, i);
		if (d == NULL)
			break;
		if (is_document(d, digest))
			return sooner(end, d);
	}
	return end;
}

static int64_t platform_end(const struct attestation *a, const struct document *host, int64_t end)
{
	const struct document *d;

	for (size_t i = 0; host != NULL; i++) {
		d = reference_platform(a->policy->reference, host->name, a->now_s, i);
		if (d == NULL)
			break;
		if (is_document(d, a->verdict->platform_doc))
			return sooner(end, d);
	}
	return end;
}

int64_t attestation_expiry(const struct attestation *a)
{
	const struct reference *r = a->policy->reference;
	const struct document *host = reference_host(r, a->row->record->ek_sha256, a->now_s);
	int64_t end = a->now_s + (int64_t)a->v->c.verdict_life_s;

	end = platform_end(a, host, sooner(end, host));
	for (size_t k = 0; k < a->verdict->n_instances; k++) {
		const struct instance_verdict *i = &a->verdict->instance[k];
		const struct instance *seen = &a->verdict->next.instance[k];

		if (!i->usable)
			continue;
		end = sooner(end, reference_agent(r, bytes_str(i->agent), a->now_s));
		end = approval_end(a, DOCUMENT_IMAGE, seen->image.manifest, i->image_doc, end);
		end = approval_end(a, DOCUMENT_MODEL, seen->model.manifest, i->model_doc, end);
	}
	return end;
}

/* A result is signed before anything is stored, so that a verdict that is stored has its results. */
static struct err sign_result(struct attestation *a, size_t instance)
{
	const struct verdict *v = a->verdict;
	const struct ear_spec spec = {
		.issuer = a->v->c.issuer,
		.audience = a->v->c.issuer,
		.trust_domain = a->v->trust_domain,
		.signer = a->v->signer,
		.kid = a->v->kid,
		.now_s = a->now_s,
		.expires_s = a->passed ? a->expires_s : a->now_s + (int64_t)a->v->c.verdict_life_s,
	};
	struct attest_result *r = &a->result[a->n_results];
	enum tier status = instance < v->n_instances ? v->instance[instance].status : trust_vector_tier(&v->platform);
	struct err e;

	*r = (struct attest_result){ .instance = "" };
	buf_init(&r->ear, EAR_MAX);
	if (instance < v->n_instances &&
	    failed(e = hex_encode(BYTES_ARR(v->instance[instance].id), r->instance, sizeof(r->instance))))
		return e;
	(void)snprintf(r->status, sizeof(r->status), "%s", tier_name(a->passed ? status : TIER_CONTRAINDICATED));
	a->n_results++;
	return ear_issue(&spec, a->row->record, v, instance, &r->ear);
}

static struct err sign_results(struct attestation *a)
{
	size_t n = a->verdict->n_instances;
	struct err e;

	a->result = calloc(n > 0 ? n : 1, sizeof(*a->result));
	if (a->result == NULL)
		return ERR(E_LOCAL_MEMORY);
	if (n == 0)
		return sign_result(a, SIZE_MAX);
	for (size_t i = 0; i < n; i++)
		if (failed(e = sign_result(a, i)))
			return e;
	return ERR(E_OK);
}

static struct err make_row(struct attestation *a, size_t k)
{
	const struct instance_verdict *from = &a->verdict->instance[k];
	const struct instance *seen = &a->verdict->next.instance[k];
	struct instance_row *i = &a->instance[a->n_rows];

	if (memcmp(from->id, seen->id, sizeof(from->id)) != 0)
		return ERR(E_BUG);
	*i = (struct instance_row){ .usable = from->usable, .status = (int)from->status,
				    .verdict_expires_s = a->expires_s, .image = seen->image, .model = seen->model,
				    .has_container = seen->has_container, .container = seen->container };
	memcpy(i->host_id, a->row->record->id, sizeof(i->host_id));
	memcpy(i->id, from->id, sizeof(i->id));
	memcpy(i->agent, from->agent, sizeof(i->agent));
	memcpy(i->jkt, from->jkt, sizeof(i->jkt));
	memcpy(i->agent_doc, from->agent_doc, 32);
	memcpy(i->image_doc, from->image_doc, 32);
	memcpy(i->model_doc, from->model_doc, 32);
	memcpy(i->platform_doc, a->verdict->platform_doc, 32);
	a->n_rows++;
	return sha256(buf_bytes(&a->result[k].ear), i->ear_digest);
}

/* Rows of the instances that have a certified key; without one nothing can be asked for them. */
static struct err make_rows(struct attestation *a)
{
	struct err e;

	if (!a->passed || a->verdict->n_instances == 0)
		return ERR(E_OK);
	a->instance = calloc(a->verdict->n_instances, sizeof(*a->instance));
	if (a->instance == NULL)
		return ERR(E_LOCAL_MEMORY);
	for (size_t k = 0; k < a->verdict->n_instances; k++)
		if (a->verdict->instance[k].jkt[0] != '\0' && failed(e = make_row(a, k)))
			return e;
	return ERR(E_OK);
}

static void note_document(struct attestation *a, const uint8_t digest[32])
{
	for (size_t i = 0; i < a->n_docs; i++)
		if (memcmp(a->docs[i], digest, 32) == 0)
			return;
	if (!none(digest))
		memcpy(a->docs[a->n_docs++], digest, 32);
}

static struct err list_documents(struct attestation *a)
{
	const struct verdict *v = a->verdict;

	a->docs = calloc(2 + 3 * v->n_instances, sizeof(*a->docs));
	if (a->docs == NULL)
		return ERR(E_LOCAL_MEMORY);
	note_document(a, v->host_doc);
	note_document(a, v->platform_doc);
	for (size_t i = 0; i < v->n_instances; i++) {
		note_document(a, v->instance[i].agent_doc);
		note_document(a, v->instance[i].image_doc);
		note_document(a, v->instance[i].model_doc);
	}
	return ERR(E_OK);
}

static struct err explain(struct attestation *a)
{
	char now[TIME_TEXT_SIZE], end[TIME_TEXT_SIZE];
	struct jsonw w;
	struct err e;

	if (failed(e = time_format(a->now_s, now, sizeof(now))) ||
	    failed(e = time_format(a->expires_s, end, sizeof(end))))
		return e;
	buf_init(&a->explanation, EXPLANATION_MAX);
	if (failed(e = buf_reserve(&a->explanation, EXPLANATION_USUAL)))
		return e;
	jsonw_begin(&w, &a->explanation);
	verdict_json(a->verdict, &w);
	jsonw_str(&w, "host", a->row->record->id);
	jsonw_str(&w, "verdict", now);
	if (a->passed)
		jsonw_str(&w, "expires", end);
	return jsonw_end(&w);
}

struct err attestation_prepare(struct attestation *a)
{
	struct err e;

	if (a->verdict->incomplete)
		return ERR(E_OK);
	if (failed(e = sign_results(a)) || failed(e = make_rows(a)) || failed(e = list_documents(a)))
		return e;
	return explain(a);
}

/* Another boot: keys of the old one are gone with its null hierarchy, and so is what they were given. */
static bool boot_moved(const struct attestation *a)
{
	const struct host_state *old = &a->row->state, *new = &a->verdict->next;

	return old->has_boot && new->has_boot && memcmp(old->boot_id, new->boot_id, BOOT_ID_LEN) != 0;
}

static struct err commit_txn(struct txn *t, void *ctx)
{
	struct attestation *a = ctx;
	const struct verdict *v = a->verdict;
	struct verdict_write w = {
		.host_id = a->row->record->id,
		.version = a->row->version,
		.epoch = a->row->epoch,
		.next = &v->next,
		.passed = a->passed,
		.move_epoch = boot_moved(a),
		.now_s = a->now_s,
		.expires_s = a->expires_s,
		.explanation = buf_bytes(&a->explanation),
		.n_docs = a->n_docs,
		.docs = (const uint8_t (*)[32])a->docs,
		.n_instances = a->n_rows,
		.instance = a->instance,
	};
	struct err e;

	a->nonce_used = a->key_taken = false;
	memcpy(w.host_doc, v->host_doc, sizeof(w.host_doc));
	if (failed(e = txn_policy_check(t, a->policy->generation)))
		return e;
	e = txn_use_once(t, "attest", v->nonce, nonce_time(v->nonce) + NONCE_LIFE_S + NONCE_SKEW_S + CLOCK_SKEW_S);
	a->nonce_used = e.code == E_AUTH_CONFLICT;
	if (failed(e))
		return e;
	e = v->incomplete ? txn_progress(t, &w) : txn_verdict(t, &w);
	a->key_taken = e.code == E_AUTH_CONFLICT;
	if (failed(e))
		return e;
	return txn_time_advance(t, a->now_s);
}

struct err attestation_commit(struct attestation *a)
{
	struct err e = store_write(a->v->store, commit_txn, a);

	if (!failed(e))
		verifier_time_seen(a->v, a->now_s);
	return e;
}
