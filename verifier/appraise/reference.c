/* SPDX-License-Identifier: Apache-2.0 */
#include "verifier/appraise/reference.h"

#include <stdatomic.h>
#include <string.h>

/*
 * One entry per thing that a document can be found by: the EKs of a host
 * document, the manifests of an image or a model, the name of an agent, the
 * host names of a platform. Sorted, so that all documents for one key form a
 * run; a table with open addressing leads to the start of each run.
 */
struct entry {
	struct bytes key;             /* inside doc */
	const struct document *doc;
};

struct reference {
	_Atomic size_t holders;
	size_t n_docs;
	struct document **docs;       /* sorted by kind, name, serial */
	size_t count[N_DOCUMENT_KINDS];
	uint8_t policy_digest[32];
	size_t n_entries;
	struct entry *entries;
	size_t n_slots;               /* a power of two, at most half full */
	uint32_t *slots;              /* index of a run's first entry, plus one; 0: free */
};

static void reference_free(struct reference *r)
{
	for (size_t i = 0; i < r->n_docs; i++)
		document_free(r->docs[i]);
	free(r->docs);
	free(r->entries);
	free(r->slots);
	free(r);
}
/* Only for the time in which it does not own its documents. */
static void reference_drop(struct reference *r)
{
	r->n_docs = 0;
	reference_free(r);
}
DEFINE_CLEANUP(struct reference, cleanup_unfinished_, reference_drop)
#define cleanup_unfinished cleanup(cleanup_unfinished_)

static int cmp_kind(const struct document *a, const struct document *b)
{
	return (a->kind > b->kind) - (a->kind < b->kind);
}

/* Name ascending, newest serial first. */
static int cmp_newest(const struct document *a, const struct document *b)
{
	int c = strcmp(a->name, b->name);

	return c != 0 ? c : (a->serial < b->serial) - (a->serial > b->serial);
}

static int cmp_docs(const void *pa, const void *pb)
{
	const struct document *a = *(struct document *const *)pa, *b = *(struct document *const *)pb;
	int c = cmp_kind(a, b);

	if (c == 0)
		c = cmp_newest(a, b);
	return c != 0 ? c : memcmp(a->digest, b->digest, sizeof(a->digest));
}

static int cmp_entries(const void *pa, const void *pb)
{
	const struct entry *a = pa, *b = pb;
	int c = cmp_kind(a->doc, b->doc);

	if (c == 0)
		c = bytes_cmp(a->key, b->key);
	return c != 0 ? c : cmp_newest(a->doc, b->doc);
}

/*
 * FNV-1a; of a digest its first eight bytes will do. Keys come from operators,
 * so nobody gains by choosing them.
 */
static uint64_t key_hash(enum document_kind kind, struct bytes key)
{
	bool digest = kind == DOCUMENT_HOST || kind == DOCUMENT_IMAGE || kind == DOCUMENT_MODEL;
	uint64_t h = 0xcbf29ce484222325u ^ (uint64_t)kind;

	for (size_t i = 0; i < (digest ? 8 : key.n); i++)
		h = (h ^ key.p[i]) * 0x100000001b3u;
	return h ^ h >> 29;
}

static bool is_run(const struct entry *e, enum document_kind kind, struct bytes key)
{
	return e->doc->kind == kind && bytes_eq(e->key, key);
}

/* The run for a key; *ret_n is 0 where there is none. */
static const struct entry *find_run(const struct reference *r, enum document_kind kind, struct bytes key,
				    size_t *ret_n)
{
	size_t slot, n = 0;
	const struct entry *first;

	*ret_n = 0;
	if (r->n_slots == 0)
		return NULL;
	for (slot = key_hash(kind, key) & (r->n_slots - 1); r->slots[slot] != 0; slot = (slot + 1) & (r->n_slots - 1)) {
		first = &r->entries[r->slots[slot] - 1];
		if (!is_run(first, kind, key))
			continue;
		while (n < r->n_entries - (r->slots[slot] - 1) && is_run(first + n, kind, key))
			n++;
		*ret_n = n;
		return first;
	}
	return NULL;
}

static size_t n_keys(const struct document *d)
{
	switch (d->kind) {
	case DOCUMENT_HOST:
	case DOCUMENT_IMAGE:
	case DOCUMENT_MODEL:
		return d->digests.n;
	case DOCUMENT_PLATFORM:
		return d->hosts.n;
	case DOCUMENT_AGENT:
		return 1;
	case DOCUMENT_WITHDRAW:
	case N_DOCUMENT_KINDS:
		break;
	}
	return 0;
}

static struct bytes key_of(const struct document *d, size_t i)
{
	if (d->kind == DOCUMENT_PLATFORM)
		return bytes_str(d->hosts.v[i]);
	if (d->kind == DOCUMENT_AGENT)
		return bytes_str(d->name);
	return BYTES_ARR(d->digests.v[i]);
}

static struct err make_entries(struct reference *r)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n_docs; i++)
		n += n_keys(r->docs[i]);
	if (n == 0)
		return ERR(E_OK);
	if (n >= UINT32_MAX / 2)
		return ERR(E_LIMIT_COUNT);
	r->entries = calloc(n, sizeof(*r->entries));
	if (r->entries == NULL)
		return ERR(E_LOCAL_MEMORY);
	for (size_t i = 0; i < r->n_docs; i++) {
		for (size_t k = 0; k < n_keys(r->docs[i]); k++)
			r->entries[r->n_entries++] = (struct entry){ key_of(r->docs[i], k), r->docs[i] };
	}
	qsort(r->entries, r->n_entries, sizeof(*r->entries), cmp_entries);
	return ERR(E_OK);
}

static struct err make_slots(struct reference *r)
{
	size_t n = 4, slot;

	while (n < 2 * r->n_entries)
		n *= 2;
	r->slots = calloc(n, sizeof(*r->slots));
	if (r->slots == NULL)
		return ERR(E_LOCAL_MEMORY);
	r->n_slots = n;
	for (size_t i = 0; i < r->n_entries; i++) {
		const struct entry *e = &r->entries[i];

		if (i > 0 && is_run(e - 1, e->doc->kind, e->key))
			continue;
		slot = key_hash(e->doc->kind, e->key) & (n - 1);
		while (r->slots[slot] != 0)
			slot = (slot + 1) & (n - 1);
		r->slots[slot] = (uint32_t)(i + 1);
	}
	return ERR(E_OK);
}

static struct err digest_docs(struct reference *r)
{
	cleanup_hasher struct hasher *h = NULL;
	struct digest sum;
	struct err e;

	if (failed(e = hasher_new(DIGEST_SHA256, &h)) ||
	    failed(e = hasher_add(h, BYTES_LIT("assay policy v1\0"))))
		return e;
	for (size_t i = 0; i < r->n_docs; i++) {
		if (failed(e = hasher_add(h, BYTES_ARR(r->docs[i]->digest))))
			return e;
	}
	if (failed(e = hasher_finish(h, &sum)))
		return e;
	return bytes_copy_exact(digest_bytes(&sum), r->policy_digest, sizeof(r->policy_digest));
}

struct err reference_new(struct document **docs, size_t n, struct reference **ret)
{
	cleanup_unfinished struct reference *r = calloc(1, sizeof(*r));
	struct err e;

	if (r == NULL)
		return ERR(E_LOCAL_MEMORY);
	r->holders = 1;
	/* One more than needed, as an empty snapshot is a normal one. */
	r->docs = calloc(n + 1, sizeof(struct document *));
	if (r->docs == NULL)
		return ERR(E_LOCAL_MEMORY);
	for (size_t i = 0; i < n; i++) {
		if ((unsigned)docs[i]->kind >= DOCUMENT_WITHDRAW)
			return ERR(E_BUG);
		r->docs[i] = docs[i];
		r->count[docs[i]->kind]++;
	}
	r->n_docs = n;
	qsort(r->docs, n, sizeof(struct document *), cmp_docs);
	if (failed(e = make_entries(r)) ||
	    failed(e = make_slots(r)) ||
	    failed(e = digest_docs(r)))
		return e;
	*ret = take_ptr(&r);
	return ERR(E_OK);
}

struct reference *reference_hold(struct reference *r)
{
	(void)atomic_fetch_add(&r->holders, 1);
	return r;
}

void reference_release(struct reference *r)
{
	if (r != NULL && atomic_fetch_sub(&r->holders, 1) == 1)
		reference_free(r);
}

void reference_policy_digest(const struct reference *r, uint8_t ret[32])
{
	memcpy(ret, r->policy_digest, sizeof(r->policy_digest));
}

size_t reference_count(const struct reference *r, enum document_kind kind)
{
	return (unsigned)kind < N_DOCUMENT_KINDS ? r->count[kind] : 0;
}

static bool holds(const struct document *d, int64_t now_s, bool include_expired)
{
	return d->not_before_s <= now_s && (include_expired || now_s < d->expires_s);
}

static const struct document *find(const struct reference *r, enum document_kind kind, struct bytes key, int64_t now_s,
				   bool include_expired, size_t i)
{
	size_t n;
	const struct entry *run = find_run(r, kind, key, &n);

	for (size_t k = 0; k < n; k++) {
		if (holds(run[k].doc, now_s, include_expired) && i-- == 0)
			return run[k].doc;
	}
	return NULL;
}

const struct document *reference_host(const struct reference *r, const uint8_t ek_sha256[32], int64_t now_s)
{
	return find(r, DOCUMENT_HOST, BYTES(ek_sha256, 32), now_s, false, 0);
}

const struct document *reference_agent(const struct reference *r, struct bytes name, int64_t now_s)
{
	return find(r, DOCUMENT_AGENT, name, now_s, false, 0);
}

const struct document *reference_approval(const struct reference *r, enum document_kind kind,
					  const uint8_t manifest[32], int64_t now_s, bool include_expired, size_t i)
{
	if (kind != DOCUMENT_IMAGE && kind != DOCUMENT_MODEL)
		return NULL;
	return find(r, kind, BYTES(manifest, 32), now_s, include_expired, i);
}

const struct document *reference_image(const struct reference *r, const uint8_t manifest[32], int64_t now_s,
				       bool include_expired)
{
	return reference_approval(r, DOCUMENT_IMAGE, manifest, now_s, include_expired, 0);
}

const struct document *reference_model(const struct reference *r, const uint8_t manifest[32], int64_t now_s,
				       bool include_expired)
{
	return reference_approval(r, DOCUMENT_MODEL, manifest, now_s, include_expired, 0);
}

/* Merges the run of the name with that of "*"; a document may stand in both. */
const struct document *reference_platform(const struct reference *r, const char *host_name, int64_t now_s, size_t i)
{
	size_t n_named, n_any, a = 0, b = 0;
	const struct entry *named = find_run(r, DOCUMENT_PLATFORM, bytes_str(host_name), &n_named);
	const struct entry *any = find_run(r, DOCUMENT_PLATFORM, BYTES_LIT("*"), &n_any);
	const struct document *last = NULL, *d;

	while (a < n_named || b < n_any) {
		if (b == n_any || (a < n_named && cmp_docs(&named[a].doc, &any[b].doc) <= 0))
			d = named[a++].doc;
		else
			d = any[b++].doc;
		if (d == last)
			continue;
		last = d;
		if (holds(d, now_s, false) && i-- == 0)
			return d;
	}
	return NULL;
}
