/* SPDX-License-Identifier: Apache-2.0 */
#include "firmware-measure/oci_extra.h"

#include <string.h>

#include "base/log.h"
#include "base/text.h"

struct search {
	const struct store *store;
	struct oci_named named;
};

/* What a document that is there names in turn; one that is not there, or is none, names nothing. */
static struct err add_document(struct search *s, const struct oci_descriptor *d, struct reason *reterr)
{
	cleanup_buf struct buf b = BUF_INIT(LIMIT_OCI_JSON);
	struct reason why = { "" };
	struct blob_name name;
	struct err e;

	if (d->media != OCI_MEDIA_INDEX && d->media != OCI_MEDIA_MANIFEST)
		return ERR(E_OK);
	if (failed(e = blob_name(d->sha256, &name)))
		return e;
	e = oci_blob_read(s->store, d, &b, &why);
	if (e.code == E_LOCAL_NOT_FOUND)
		return ERR(E_OK);
	if (!failed(e))
		e = oci_named_add(buf_bytes(&b), &s->named, &why);
	return failed(e) ? oci_in_document(blob_hex(&name), &why, e, reterr) : ERR(E_OK);
}

/* In order of finding; a document that was read is not read again, so this ends. */
static bool seen_before(const struct oci_named *n, size_t i)
{
	for (size_t k = 0; k < i; k++) {
		if (n->v[k].media == n->v[i].media && bytes_eq(BYTES_ARR(n->v[k].sha256), BYTES_ARR(n->v[i].sha256)))
			return true;
	}
	return false;
}

static struct err find_all(struct search *s, struct reason *reterr)
{
	cleanup_buf struct buf b = BUF_INIT(LIMIT_OCI_JSON);
	size_t n_documents = 0;
	struct err e;

	if (failed(e = store_read(s->store, "index.json", &b, reterr)) ||
	    failed(e = oci_named_add(buf_bytes(&b), &s->named, reterr)))
		return e;
	for (size_t i = 0; i < s->named.n; i++) {
		struct oci_descriptor d = s->named.v[i];

		if (d.media != OCI_MEDIA_INDEX && d.media != OCI_MEDIA_MANIFEST)
			continue;
		if (seen_before(&s->named, i))
			continue;
		if (n_documents++ == LIMIT_OCI_MANIFESTS) {
			reason_set(reterr, "more than %d indexes and manifests in the layout", LIMIT_OCI_MANIFESTS);
			return ERR(E_LIMIT_COUNT);
		}
		if (failed(e = add_document(s, &d, reterr)))
			return e;
	}
	return ERR(E_OK);
}

static int by_digest(const void *a, const void *b)
{
	const struct oci_descriptor *x = a, *y = b;

	return bytes_cmp(BYTES_ARR(x->sha256), BYTES_ARR(y->sha256));
}

static struct err must_be_named(void *ctx, const char *name, struct reason *reterr)
{
	const struct oci_named *named = ctx;
	struct oci_descriptor d = { 0 };

	if (strlen(name) == 64 && strspn(name, "0123456789abcdef") == 64 &&
	    !failed(hex_decode_exact(bytes_str(name), d.sha256, sizeof(d.sha256))) && named->n > 0 &&
	    bsearch(&d, named->v, named->n, sizeof(*named->v), by_digest) != NULL)
		return ERR(E_OK);
	reason_set(reterr, "blob %s belongs to no image of the layout: remove it, as umoci gc does",
		   log_quote(bytes_str(name)));
	return ERR(E_PEER_UNKNOWN_KEY);
}

struct err oci_refuse_extra(const struct store *s, struct reason *reterr)
{
	struct search search = { .store = s };
	struct err e;

	if (s->is_archive && store_may_have(s, "manifest.json"))
		return ERR(E_OK);
	e = find_all(&search, reterr);
	if (!failed(e)) {
		if (search.named.n > 0)
			qsort(search.named.v, search.named.n, sizeof(*search.named.v), by_digest);
		e = store_list_blobs(s, must_be_named, &search.named, reterr);
	}
	oci_named_done(&search.named);
	return e;
}
