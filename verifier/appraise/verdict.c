/* SPDX-License-Identifier: Apache-2.0 */
#include "verifier/appraise/verdict.h"

#include <string.h>

#include "base/text.h"
#include "verifier/appraise/appraise.h"

const char *check_result_name(enum check_result r)
{
	switch (r) {
	case CHECK_NOT_RUN:
		return "not run";
	case CHECK_PASS:
		return "pass";
	case CHECK_FAIL:
		return "fail";
	case CHECK_WAIVED:
		return "waived";
	}
	return "not run";
}

const char *tier_name(enum tier t)
{
	switch (t) {
	case TIER_NONE:
		return "none";
	case TIER_AFFIRMING:
		return "affirming";
	case TIER_WARNING:
		return "warning";
	case TIER_CONTRAINDICATED:
		return "contraindicated";
	}
	return "contraindicated";
}

/* AR4SI, 2.2: the ranges of positive and negative values. */
static enum tier claim_tier(int8_t v)
{
	if (v >= -1 && v <= 1)
		return TIER_NONE;
	if (v >= -32 && v < 32)
		return TIER_AFFIRMING;
	if (v >= -96 && v < 96)
		return TIER_WARNING;
	return TIER_CONTRAINDICATED;
}

enum tier trust_vector_tier(const struct trust_vector *v)
{
	const int8_t claims[] = { v->instance_identity, v->configuration,  v->executables,    v->file_system,
				  v->hardware,          v->runtime_opaque, v->storage_opaque, v->sourced_data };
	enum tier worst = TIER_NONE;

	for (size_t i = 0; i < array_len(claims); i++) {
		if (claim_tier(claims[i]) > worst)
			worst = claim_tier(claims[i]);
	}
	return worst;
}

/* The texts of failures are most of the struct; those that are not counted are never read, so they need not be cleared. */
void verdict_init(struct verdict *v)
{
	const size_t texts_end = offsetof(struct verdict, failure) + sizeof(v->failure);

	memset(v, 0, offsetof(struct verdict, failure));
	memset((uint8_t *)v + texts_end, 0, sizeof(*v) - texts_end);
	v->status = HOST_NEVER;
	host_state_init(&v->next);
}

void verdict_done(struct verdict *v)
{
	host_state_done(&v->next);
	free(v->instance);
	verdict_init(v);
}

bool verdict_passed(const struct verdict *v)
{
	if (v->n_checks == 0 || v->n_checks != appraise_n_checks())
		return false;
	for (size_t i = 0; i < v->n_checks; i++) {
		if (v->result[i] != CHECK_PASS && v->result[i] != CHECK_WAIVED)
			return false;
	}
	return v->n_compared > 0;
}

const char *verdict_first_failure(const struct verdict *v)
{
	for (size_t i = 0; i < v->n_checks; i++) {
		if (v->result[i] == CHECK_FAIL)
			return appraise_check(i).id;
	}
	return "";
}

static struct err append(json_t *array, json_t **item)
{
	return json_array_append_new(array, take_ptr(item)) == 0 ? ERR(E_OK) : ERR(E_LOCAL_MEMORY);
}

static struct err put_checks(json_t *o, const struct verdict *v)
{
	cleanup_json json_t *list = json_array();
	struct err e;

	if (list == NULL)
		return ERR(E_LOCAL_MEMORY);
	for (size_t i = 0; i < v->n_checks; i++) {
		const struct check_info c = appraise_check(i);
		cleanup_json json_t *row = NULL;

		if (failed(e = json_new_object(&row)) ||
		    failed(e = json_put_str(row, "id", c.id)) ||
		    failed(e = json_put_str(row, "name", c.name)) ||
		    failed(e = json_put_str(row, "result", check_result_name(v->result[i]))) ||
		    failed(e = append(list, &row)))
			return e;
	}
	return json_put(o, "checks", take_ptr(&list));
}

static struct err put_failures(json_t *o, const struct verdict *v)
{
	cleanup_json json_t *list = json_array();
	struct err e;

	if (list == NULL)
		return ERR(E_LOCAL_MEMORY);
	for (size_t i = 0; i < v->n_failures; i++) {
		const struct attest_failure *f = &v->failure[i];
		cleanup_json json_t *row = NULL;

		if (failed(e = json_new_object(&row)) ||
		    failed(e = json_put_str(row, "check", f->check)) ||
		    failed(e = json_put_str(row, "subject", f->subject)) ||
		    failed(e = json_put_str(row, "expected", f->expected)) ||
		    failed(e = json_put_str(row, "seen", f->seen)) ||
		    failed(e = append(list, &row)))
			return e;
	}
	return json_put(o, "failures", take_ptr(&list));
}

static struct err put_warnings(json_t *o, const struct verdict *v)
{
	cleanup_json json_t *list = json_array();

	if (list == NULL)
		return ERR(E_LOCAL_MEMORY);
	if (v->firmware_changed && json_array_append_new(list, json_string("the TPM's firmware version changed")) != 0)
		return ERR(E_LOCAL_MEMORY);
	if (v->power_loss &&
	    json_array_append_new(list, json_string("power was lost: the TPM's clock may have gone back")) != 0)
		return ERR(E_LOCAL_MEMORY);
	return json_put(o, "warnings", take_ptr(&list));
}

static struct err put_compared(json_t *o, const struct verdict *v)
{
	cleanup_json json_t *list = json_array();

	if (list == NULL)
		return ERR(E_LOCAL_MEMORY);
	for (unsigned pcr = 0; pcr < LIMIT_PCRS; pcr++) {
		if ((v->compared_mask >> pcr & 1) != 0 && json_array_append_new(list, json_integer(pcr)) != 0)
			return ERR(E_LOCAL_MEMORY);
	}
	return json_put(o, "compared", take_ptr(&list));
}

static struct err put_pcrs(json_t *o, const struct verdict *v)
{
	cleanup_json json_t *banks = NULL, *values = NULL;
	char number[8];
	struct err e;

	if (failed(e = json_new_object(&banks)) ||
	    failed(e = json_new_object(&values)))
		return e;
	for (unsigned pcr = 0; pcr < LIMIT_PCRS; pcr++) {
		if ((v->pcr_mask >> pcr & 1) == 0)
			continue;
		(void)snprintf(number, sizeof(number), "%u", pcr);
		if (failed(e = json_put_hex(values, number, digest_bytes(&v->pcr[pcr]))))
			return e;
	}
	if (v->pcr_mask != 0 && failed(e = json_put(banks, digest_alg(v->pcr_bank)->name, take_ptr(&values))))
		return e;
	return json_put(o, "pcrs", take_ptr(&banks));
}

/* A digest, or nothing where there is none. */
static struct err put_digest(json_t *o, const char *key, const uint8_t v[32])
{
	return bytes_all(BYTES(v, 32), 0) ? ERR(E_OK) : json_put_hex(o, key, BYTES(v, 32));
}

static struct err put_claim(json_t *o, const char *key, int8_t v)
{
	return v == 0 ? ERR(E_OK) : json_put_int(o, key, v);
}

static struct err put_vector(json_t *to, const char *key, const struct trust_vector *v)
{
	cleanup_json json_t *o = NULL;
	struct err e;

	if (failed(e = json_new_object(&o)) ||
	    failed(e = json_put_str(o, "status", tier_name(trust_vector_tier(v)))) ||
	    failed(e = put_claim(o, "instance-identity", v->instance_identity)) ||
	    failed(e = put_claim(o, "configuration", v->configuration)) ||
	    failed(e = put_claim(o, "executables", v->executables)) ||
	    failed(e = put_claim(o, "file-system", v->file_system)) ||
	    failed(e = put_claim(o, "hardware", v->hardware)) ||
	    failed(e = put_claim(o, "runtime-opaque", v->runtime_opaque)) ||
	    failed(e = put_claim(o, "storage-opaque", v->storage_opaque)) ||
	    failed(e = put_claim(o, "sourced-data", v->sourced_data)))
		return e;
	return json_put(to, key, take_ptr(&o));
}

static struct err instance_json(const struct instance_verdict *i, json_t **ret)
{
	cleanup_json json_t *o = NULL;
	struct err e;

	if (failed(e = json_new_object(&o)) ||
	    failed(e = json_put_hex(o, "instance", BYTES_ARR(i->id))) ||
	    failed(e = json_put_str(o, "agent", i->agent)) ||
	    failed(e = json_put_str(o, "status", tier_name(i->status))) ||
	    failed(e = json_put_bool(o, "usable", i->usable)) ||
	    failed(e = json_put_str(o, "jkt", i->jkt)) ||
	    failed(e = put_vector(o, "platform", &i->platform)) ||
	    failed(e = put_vector(o, "container", &i->container)) ||
	    failed(e = put_vector(o, "model", &i->model)) ||
	    failed(e = put_vector(o, "key", &i->key)) ||
	    failed(e = put_digest(o, "agent_document", i->agent_doc)) ||
	    failed(e = put_digest(o, "image_document", i->image_doc)) ||
	    failed(e = put_digest(o, "model_document", i->model_doc)))
		return e;
	*ret = take_ptr(&o);
	return ERR(E_OK);
}

static struct err put_instances(json_t *o, const struct verdict *v)
{
	cleanup_json json_t *list = json_array();
	struct err e;

	if (list == NULL)
		return ERR(E_LOCAL_MEMORY);
	for (size_t i = 0; i < v->n_instances; i++) {
		cleanup_json json_t *row = NULL;

		if (failed(e = instance_json(&v->instance[i], &row)) ||
		    failed(e = append(list, &row)))
			return e;
	}
	return json_put(o, "instances", take_ptr(&list));
}

static struct err put_decided_by(json_t *to, const struct verdict *v)
{
	cleanup_json json_t *o = NULL;
	struct err e;

	if (failed(e = json_new_object(&o)) ||
	    failed(e = put_digest(o, "host_record", v->record_digest)) ||
	    failed(e = put_digest(o, "host_document", v->host_doc)) ||
	    failed(e = put_digest(o, "platform_document", v->platform_doc)) ||
	    failed(e = put_digest(o, "policy", v->policy_digest)))
		return e;
	return json_put(to, "decided_by", take_ptr(&o));
}

struct err verdict_json(const struct verdict *v, json_t **ret)
{
	cleanup_json json_t *o = NULL;
	struct err e;

	if (failed(e = json_new_object(&o)) ||
	    failed(e = json_put_str(o, "status", host_status_name(v->status))) ||
	    failed(e = json_put_bool(o, "passed", verdict_passed(v))) ||
	    failed(e = json_put_bool(o, "authentic", v->authentic)) ||
	    failed(e = json_put_bool(o, "overtaken", v->overtaken)) ||
	    failed(e = json_put_str(o, "first_failure", verdict_first_failure(v))) ||
	    failed(e = put_checks(o, v)) ||
	    failed(e = put_failures(o, v)) ||
	    failed(e = put_warnings(o, v)) ||
	    failed(e = put_compared(o, v)) ||
	    failed(e = put_pcrs(o, v)) ||
	    failed(e = put_decided_by(o, v)) ||
	    failed(e = put_vector(o, "platform", &v->platform)) ||
	    failed(e = put_instances(o, v)))
		return e;
	*ret = take_ptr(&o);
	return ERR(E_OK);
}
