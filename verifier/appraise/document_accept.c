/* SPDX-License-Identifier: Apache-2.0 */
/* From an envelope to a document: whose signature, and may they sign this. */
#include "verifier/appraise/document.h"

#include <string.h>

static bool has_prefix(const struct operator_key *op, const char *name)
{
	for (size_t i = 0; i < op->prefixes.n; i++) {
		if (strncmp(name, op->prefixes.v[i], strlen(op->prefixes.v[i])) == 0)
			return true;
	}
	return false;
}

/* P4: an approver who is allowed here. */
static struct err may_sign(const struct operator_key *op, const struct document *d, struct reason *reterr)
{
	if ((op->kinds & 1u << d->kind) == 0) {
		reason_set(reterr, "operator \"%s\" may not sign documents of kind %s", op->name,
			   document_kind_name(d->kind));
		return ERR(E_AUTH_REFUSED);
	}
	if (!has_prefix(op, d->name)) {
		reason_set(reterr, "operator \"%s\" may not sign for the name \"%s\"", op->name, d->name);
		return ERR(E_AUTH_REFUSED);
	}
	if (d->kind == DOCUMENT_WITHDRAW && !has_prefix(op, d->target_name)) {
		reason_set(reterr, "operator \"%s\" may not withdraw \"%s\"", op->name, d->target_name);
		return ERR(E_AUTH_REFUSED);
	}
	return ERR(E_OK);
}

static struct err open_envelope(struct bytes envelope, const struct operators *ops, struct buf *ret_payload,
				size_t *ret_operator, struct reason *reterr)
{
	cleanup_free struct dsse_key *keys = NULL;

	if (ops->n == 0) {
		reason_set(reterr, "no operator is listed, so nobody may sign");
		return ERR(E_AUTH_UNKNOWN);
	}
	keys = calloc(ops->n, sizeof(*keys));
	if (keys == NULL)
		return ERR(E_LOCAL_MEMORY);
	for (size_t i = 0; i < ops->n; i++)
		keys[i] = (struct dsse_key){ .keyid = ops->v[i].keyid, .key = ops->v[i].key };
	return dsse_verify(envelope, LIMIT_DOCUMENT, DOCUMENT_PAYLOAD_TYPE, keys, ops->n, ret_payload, ret_operator,
			   reterr);
}

struct err document_open(struct bytes envelope, const struct operators *ops, const char *realm, struct document **ret,
			 size_t *ret_operator, struct reason *reterr)
{
	cleanup_buf struct buf payload = BUF_INIT(LIMIT_DOCUMENT);
	cleanup_document struct document *d = NULL;
	size_t which;
	struct err e;

	if (failed(e = open_envelope(envelope, ops, &payload, &which, reterr)) ||
	    failed(e = document_parse(buf_bytes(&payload), realm, &d, reterr)) ||
	    failed(e = may_sign(&ops->v[which], d, reterr)))
		return e;
	*ret = take_ptr(&d);
	*ret_operator = which;
	return ERR(E_OK);
}

struct err document_accept(struct bytes envelope, const struct operators *ops, const char *realm, int64_t now_s,
			   struct document **ret, size_t *ret_operator, struct reason *reterr)
{
	cleanup_document struct document *d = NULL;
	size_t which;
	struct err e;

	if (failed(e = document_open(envelope, ops, realm, &d, &which, reterr)))
		return e;
	if (d->expires_s <= now_s) {
		reason_set(reterr, "the %s document \"%s\" has expired", document_kind_name(d->kind), d->name);
		return ERR(E_AUTH_EXPIRED);
	}
	*ret = take_ptr(&d);
	*ret_operator = which;
	return ERR(E_OK);
}
