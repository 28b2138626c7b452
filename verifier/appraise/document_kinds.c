/* SPDX-License-Identifier: Apache-2.0 */
/* The members of each kind of document: assay-policy(5), one function per kind. */
#include "verifier/appraise/document_impl.h"

#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "verifier/appraise/appraise.h"

#define PCR_DEBUG 16 /* Q13: PCR_Reset works on these from any locality */
#define PCR_APPLICATION 23

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

static struct err read_bank(struct jobj *o, struct document *d)
{
	const struct digest_alg *alg;
	const char *s;
	struct err e;

	if (failed(e = jobj_str(o, "bank", 16, &s)))
		return e;
	alg = digest_by_name(bytes_str(s));
	if (alg == NULL || (alg->id != DIGEST_SHA256 && alg->id != DIGEST_SHA384 && alg->id != DIGEST_SHA512)) {
		reason_set(o->reterr, "%s.bank: \"%s\" is not one of sha256, sha384, sha512", o->where,
			   log_quote(bytes_str(s)));
		return ERR(E_PEER_RANGE);
	}
	d->bank = alg->id;
	return ERR(E_OK);
}

/* Why no vector may hold this register, or NULL. */
static const char *pcr_refused(json_int_t pcr)
{
	if (pcr < 0 || pcr >= LIMIT_PCRS)
		return "there is no such PCR";
	if (pcr == PCR_DEBUG || pcr == PCR_APPLICATION)
		return "anyone can reset this PCR";
	if (pcr == WORKLOAD_PCR)
		return "this is the workload PCR, which its log judges";
	return NULL;
}

static struct err read_pcrs(struct jobj *o, struct document *d)
{
	const json_t *array;
	json_int_t last = -1;
	struct err e;

	if (failed(e = jobj_arr(o, "pcrs", LIMIT_PCRS, &array)))
		return e;
	for (size_t i = 0; i < json_array_size(array); i++) {
		const json_t *item = json_array_get(array, i);
		json_int_t pcr = json_integer_value(item);
		const char *why = json_is_integer(item) ? pcr_refused(pcr) : "not a number";

		if (why == NULL && pcr <= last)
			why = "PCRs are listed once each, in ascending order";
		if (why != NULL) {
			reason_set(o->reterr, "%s.pcrs[%zu]: %s", o->where, i, why);
			return ERR(E_PEER_RANGE);
		}
		last = pcr;
		d->pcr_mask |= 1u << pcr;
		d->n_pcrs++;
	}
	if (d->n_pcrs > 0)
		return ERR(E_OK);
	reason_set(o->reterr, "%s.pcrs: the list is empty", o->where);
	return ERR(E_PEER_RANGE);
}

static struct err read_value(const struct jobj *o, const json_t *item, const struct digest_alg *alg, const char *key,
			     size_t vector, struct digest *ret)
{
	struct digest value = { .n = (uint8_t)alg->size };

	if (!json_is_string(item) ||
	    failed(hex_decode_exact(bytes_str(json_string_value(item)), value.v, alg->size))) {
		reason_set(o->reterr, "%s.%s[%zu]: a value is not a %s digest in hex", o->where, key, vector,
			   alg->name);
		return ERR(E_PEER_RANGE);
	}
	*ret = value;
	return ERR(E_OK);
}

static struct err read_vector(const struct jobj *o, const json_t *item, size_t i, struct document *d)
{
	struct digest *row = d->vectors + i * d->n_pcrs;
	size_t row_len = d->n_pcrs * sizeof(*row);
	struct err e;

	if (!json_is_array(item) || json_array_size(item) != d->n_pcrs) {
		reason_set(o->reterr, "%s.vectors[%zu]: not a list of one value for each of the %zu PCRs", o->where, i,
			   d->n_pcrs);
		return ERR(E_PEER_RANGE);
	}
	for (size_t k = 0; k < d->n_pcrs; k++) {
		if (failed(e = read_value(o, json_array_get(item, k), digest_alg(d->bank), "vectors", i, &row[k])))
			return e;
	}
	for (size_t j = 0; j < i; j++) {
		if (memcmp(d->vectors + j * d->n_pcrs, row, row_len) == 0) {
			reason_set(o->reterr, "%s.vectors[%zu]: given twice", o->where, i);
			return ERR(E_PEER_DUPLICATE);
		}
	}
	return ERR(E_OK);
}

static struct err read_vectors(struct jobj *o, struct document *d)
{
	const json_t *array;
	struct err e;

	if (failed(e = jobj_arr(o, "vectors", DOCUMENT_MAX_LIST, &array)))
		return e;
	if (json_array_size(array) == 0) {
		reason_set(o->reterr, "%s.vectors: the list is empty", o->where);
		return ERR(E_PEER_RANGE);
	}
	d->vectors = calloc(json_array_size(array) * d->n_pcrs, sizeof(*d->vectors));
	if (d->vectors == NULL)
		return ERR(E_LOCAL_MEMORY);
	for (; d->n_vectors < json_array_size(array); d->n_vectors++) {
		if (failed(e = read_vector(o, json_array_get(array, d->n_vectors), d->n_vectors, d)))
			return e;
	}
	return ERR(E_OK);
}

/* A member that holds one of two words; ret is set to whether it is the second. */
static struct err read_choice(struct jobj *o, const char *key, const char *first, const char *second, bool *ret)
{
	const char *s;
	struct err e;

	if (failed(e = jobj_str(o, key, 32, &s)))
		return e;
	if (strcmp(s, first) != 0 && strcmp(s, second) != 0) {
		reason_set(o->reterr, "%s.%s: \"%s\" is not one of %s, %s", o->where, key, log_quote(bytes_str(s)),
			   first, second);
		return ERR(E_PEER_RANGE);
	}
	*ret = strcmp(s, second) == 0;
	return ERR(E_OK);
}

static struct err read_workload(struct jobj *o, struct document *d)
{
	bool instance_only = false;
	const json_t *before;
	struct err e;

	if (jobj_has(o, "workload_pcr_before")) {
		if (failed(e = jobj_any(o, "workload_pcr_before", &before)) ||
		    failed(e = read_value(o, before, digest_alg(d->bank), "workload_pcr_before", 0,
					  &d->workload_before)))
			return e;
		d->has_workload_before = true;
	}
	if (jobj_has(o, "unapproved_workload") &&
	    failed(e = read_choice(o, "unapproved_workload", "host", "instance", &instance_only)))
		return e;
	d->unapproved_fails_host = !instance_only;
	return ERR(E_OK);
}

static struct err read_platform(struct jobj *o, struct document *d)
{
	const char *measurer;
	struct err e;

	if (failed(e = read_strings(o, "hosts", rule_host, &d->hosts)) ||
	    failed(e = read_bank(o, d)) ||
	    failed(e = read_pcrs(o, d)) ||
	    failed(e = read_vectors(o, d)) ||
	    failed(e = jobj_str(o, "measurer", 32, &measurer)))
		return e;
	if (strcmp(measurer, "unattested") != 0) {
		reason_set(o->reterr, "%s.measurer: only \"unattested\" can be judged", o->where);
		return ERR(E_PEER_RANGE);
	}
	return read_workload(o, d);
}

static struct err read_agent(struct jobj *o, struct document *d)
{
	bool warning = false;
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
	if (jobj_has(o, "minimum_status") &&
	    failed(e = read_choice(o, "minimum_status", "affirming", "warning", &warning)))
		return e;
	d->minimum_status = warning ? MINIMUM_WARNING : MINIMUM_AFFIRMING;
	return ERR(E_OK);
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
		return read_platform(o, d);
	case DOCUMENT_AGENT:
		return read_agent(o, d);
	case DOCUMENT_WITHDRAW:
		return read_withdraw(o, d);
	case N_DOCUMENT_KINDS:
		break;
	}
	return ERR(E_BUG);
}
