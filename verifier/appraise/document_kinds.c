/* SPDX-License-Identifier: Apache-2.0 */
/* The members of each kind of document: assay-policy(5), one function per kind. */
#include "verifier/appraise/document_impl.h"

#include <string.h>

#include "base/log.h"
#include "base/text.h"

static struct err read_host(struct jobj *o, struct document *d)
{
	struct err e;

	if (failed(e = read_digests(o, "ek_sha256", &d->digests)))
		return e;
	return read_text(o, "asset", &d->asset);
}

static struct err read_image(struct jobj *o, struct document *d)
{
	cleanup_free char *reference = NULL;
	struct err e;

	if (failed(e = read_digests(o, "manifests", &d->digests)))
		return e;
	/* What an unpacked root is compared with; the manifests bind it already. */
	if (jobj_has(o, "rootfs") && failed(e = read_digests(o, "rootfs", &d->rootfs)))
		return e;
	/* For people; a tag identifies nothing (W4). */
	return jobj_has(o, "reference") ? read_text(o, "reference", &reference) : ERR(E_OK);
}

static struct err read_model(struct jobj *o, struct document *d)
{
	struct err e;

	if (failed(e = read_text(o, "version", &d->version)) ||
	    failed(e = read_digests(o, "manifests", &d->digests)))
		return e;
	return jobj_has(o, "oms_root") ? read_digests(o, "oms_root", &d->oms_roots) : ERR(E_OK);
}

static struct err read_agent(struct jobj *o, struct document *d)
{
	static const char *const statuses[] = { [MINIMUM_AFFIRMING] = "affirming", [MINIMUM_WARNING] = "warning" };
	size_t status;
	uint64_t ttl;
	struct err e;

	if (failed(e = read_strings(o, "images", rule_id, &d->images)) ||
	    failed(e = read_strings(o, "models", rule_id, &d->models)) ||
	    failed(e = read_strings(o, "platforms", rule_id, &d->platforms)) ||
	    failed(e = read_strings(o, "scopes", rule_scope, &d->scopes)) ||
	    failed(e = read_strings(o, "resources", rule_url, &d->resources)) ||
	    failed(e = jobj_u64(o, "max_ttl_s", DOCUMENT_MAX_TTL_S, &ttl)))
		return e;
	if (ttl == 0) {
		reason_set(o->reterr, "%s.max_ttl_s: not in 1..%d", o->where, DOCUMENT_MAX_TTL_S);
		return ERR(E_PEER_RANGE);
	}
	d->max_ttl_s = (uint32_t)ttl;
	if (jobj_has(o, "containers") && failed(e = read_digests(o, "containers", &d->containers)))
		return e;
	if (failed(e = read_word_or_first(o, "minimum_status", statuses, array_len(statuses), &status)))
		return e;
	d->minimum_status = (enum minimum_status)status;
	return jobj_has(o, "x509") ? jobj_bool(o, "x509", &d->x509) : ERR(E_OK);
}

static struct err read_withdraw(struct jobj *o, struct document *d)
{
	const char *kind, *name;
	struct err e;

	if (failed(e = jobj_str(o, "target_kind", 32, &kind)) ||
	    failed(e = jobj_id(o, "target_name", &name)) ||
	    failed(e = jobj_u64(o, "target_serial", INT64_MAX, &d->target_serial)))
		return e;
	d->target_kind = document_kind_by_name(kind);
	if (d->target_kind == N_DOCUMENT_KINDS || d->target_kind == DOCUMENT_WITHDRAW) {
		reason_set(o->reterr, "%s.target_kind: \"%s\" cannot be withdrawn", o->where,
			   log_quote(bytes_str(kind)));
		return ERR(E_PEER_RANGE);
	}
	if (d->target_serial == 0) {
		reason_set(o->reterr, "%s.target_serial: serials begin at 1", o->where);
		return ERR(E_PEER_RANGE);
	}
	memcpy(d->target_name, name, strlen(name) + 1);
	return ERR(E_OK);
}

struct err document_read_kind(struct jobj *o, struct document *d)
{
	switch (d->kind) {
	case DOCUMENT_HOST:
		return read_host(o, d);
	case DOCUMENT_IMAGE:
		return read_image(o, d);
	case DOCUMENT_MODEL:
		return read_model(o, d);
	case DOCUMENT_PLATFORM:
		return document_read_platform(o, d);
	case DOCUMENT_AGENT:
		return read_agent(o, d);
	case DOCUMENT_WITHDRAW:
		return read_withdraw(o, d);
	case N_DOCUMENT_KINDS:
		break;
	}
	return ERR(E_BUG);
}
