/* SPDX-License-Identifier: Apache-2.0 */
/* The members of a platform document that are not rules over events: hosts, values of registers, the measurer. */
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "verifier/appraise/appraise.h"
#include "verifier/appraise/platform_read.h"

#define PCR_DEBUG 16 /* Q13: PCR_Reset works on these from any locality */
#define PCR_APPLICATION 23

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
const char *pcr_refused(json_int_t pcr)
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

	if (!json_is_string(item) || failed(hex_decode_exact(bytes_str(json_string_value(item)), value.v, alg->size))) {
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

static struct err read_workload(struct jobj *o, struct document *d)
{
	static const char *const whom[] = { "host", "instance" };
	const json_t *before;
	size_t fails;
	struct err e;

	if (jobj_has(o, "workload_pcr_before")) {
		if (failed(e = jobj_any(o, "workload_pcr_before", &before)) ||
		    failed(e = read_value(o, before, digest_alg(d->bank), "workload_pcr_before", 0,
					  &d->workload_before)))
			return e;
		d->has_workload_before = true;
	}
	if (failed(e = read_word_or_first(o, "unapproved_workload", whom, array_len(whom), &fails)))
		return e;
	d->unapproved_fails_host = fails == 0;
	return ERR(E_OK);
}

/* Values, rules, or both; a document with neither would compare nothing. */
static struct err read_compared(struct jobj *o, struct document *d)
{
	bool values = jobj_has(o, "vectors") || jobj_has(o, "pcrs");
	struct err e;

	if (values && (failed(e = read_pcrs(o, d)) || failed(e = read_vectors(o, d))))
		return e;
	if (jobj_has(o, "firmware") && failed(e = read_firmware(o, d->bank, &d->profile.firmware)))
		return e;
	if (jobj_has(o, "ima") && failed(e = read_ima(o, &d->profile.ima)))
		return e;
	if (values || d->profile.firmware != NULL)
		return ERR(E_OK);
	reason_set(o->reterr, "%s: neither vectors nor firmware, so nothing of the boot would be compared", o->where);
	return ERR(E_PEER_MISSING);
}

struct err document_read_platform(struct jobj *o, struct document *d)
{
	struct err e;

	if (failed(e = read_strings(o, "hosts", rule_host, &d->hosts)) || failed(e = read_bank(o, d)) ||
	    failed(e = read_compared(o, d)) || failed(e = read_measurer(o, &d->profile)))
		return e;
	return read_workload(o, d);
}
