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

/* Ids alone: what they are called stands in the table, and this is stored with every verdict. */
static void put_results(struct jsonw *w, const struct verdict *v)
{
	jsonw_object(w, "results");
	for (size_t i = 0; i < v->n_checks; i++)
		jsonw_str(w, appraise_check(i).id, check_result_name(v->result[i]));
	jsonw_close(w);
}

static void put_failures(struct jsonw *w, const struct verdict *v)
{
	jsonw_array(w, "failures");
	for (size_t i = 0; i < v->n_failures; i++) {
		const struct attest_failure *f = &v->failure[i];

		jsonw_object(w, NULL);
		jsonw_str(w, "check", f->check);
		jsonw_str(w, "subject", f->subject);
		jsonw_str(w, "expected", f->expected);
		jsonw_str(w, "seen", f->seen);
		jsonw_close(w);
	}
	jsonw_close(w);
}

static void put_warnings(struct jsonw *w, const struct verdict *v)
{
	jsonw_array(w, "warnings");
	if (v->firmware_changed)
		jsonw_str(w, NULL, "the TPM's firmware version changed");
	if (v->power_loss)
		jsonw_str(w, NULL, "power was lost: the TPM's clock may have gone back");
	jsonw_close(w);
}

static void put_pcrs(struct jsonw *w, const struct verdict *v)
{
	char number[8];

	jsonw_object(w, "pcrs");
	if (v->pcr_mask != 0) {
		jsonw_object(w, digest_alg(v->pcr_bank)->name);
		for (unsigned pcr = 0; pcr < LIMIT_PCRS; pcr++) {
			if ((v->pcr_mask >> pcr & 1) == 0)
				continue;
			(void)snprintf(number, sizeof(number), "%u", pcr);
			jsonw_hex(w, number, digest_bytes(&v->pcr[pcr]));
		}
		jsonw_close(w);
	}
	jsonw_close(w);
}

/* A digest, or nothing where there is none. */
static void put_digest(struct jsonw *w, const char *key, const uint8_t v[32])
{
	if (!bytes_all(BYTES(v, 32), 0))
		jsonw_hex(w, key, BYTES(v, 32));
}

/* 0 is "no claim" and an absent member says the same (AR4SI, 2.3). */
static void put_claim(struct jsonw *w, const char *key, int8_t v)
{
	if (v != 0)
		jsonw_int(w, key, v);
}

void trust_vector_json(const struct trust_vector *v, struct jsonw *w)
{
	put_claim(w, "instance-identity", v->instance_identity);
	put_claim(w, "configuration", v->configuration);
	put_claim(w, "executables", v->executables);
	put_claim(w, "file-system", v->file_system);
	put_claim(w, "hardware", v->hardware);
	put_claim(w, "runtime-opaque", v->runtime_opaque);
	put_claim(w, "storage-opaque", v->storage_opaque);
	put_claim(w, "sourced-data", v->sourced_data);
}

static void put_vector(struct jsonw *w, const char *key, const struct trust_vector *v)
{
	jsonw_object(w, key);
	jsonw_str(w, "status", tier_name(trust_vector_tier(v)));
	trust_vector_json(v, w);
	jsonw_close(w);
}

static void put_instances(struct jsonw *w, const struct verdict *v)
{
	jsonw_array(w, "instances");
	for (size_t k = 0; k < v->n_instances; k++) {
		const struct instance_verdict *i = &v->instance[k];

		jsonw_object(w, NULL);
		jsonw_hex(w, "instance", BYTES_ARR(i->id));
		jsonw_str(w, "agent", i->agent);
		jsonw_str(w, "status", tier_name(i->status));
		jsonw_bool(w, "usable", i->usable);
		jsonw_str(w, "jkt", i->jkt);
		if (i->has_container) {
			jsonw_hex(w, "rootfs", BYTES_ARR(i->digests.rootfs));
			jsonw_hex(w, "container_policy", BYTES_ARR(i->digests.policy));
		}
		put_vector(w, "platform", &i->platform);
		put_vector(w, "container", &i->container);
		put_vector(w, "model", &i->model);
		put_vector(w, "key", &i->key);
		put_digest(w, "agent_document", i->agent_doc);
		put_digest(w, "image_document", i->image_doc);
		put_digest(w, "model_document", i->model_doc);
		jsonw_close(w);
	}
	jsonw_close(w);
}

static void put_decided_by(struct jsonw *w, const struct verdict *v)
{
	jsonw_object(w, "decided_by");
	put_digest(w, "host_record", v->record_digest);
	put_digest(w, "host_document", v->host_doc);
	put_digest(w, "platform_document", v->platform_doc);
	put_digest(w, "policy", v->policy_digest);
	jsonw_close(w);
}

static void put_registers(struct jsonw *w, const char *key, uint32_t mask)
{
	jsonw_array(w, key);
	for (unsigned pcr = 0; pcr < LIMIT_PCRS; pcr++) {
		if ((mask >> pcr & 1) != 0)
			jsonw_int(w, NULL, pcr);
	}
	jsonw_close(w);
}

static void put_firmware_coverage(struct jsonw *w, const struct coverage *c)
{
	jsonw_object(w, "firmware");
	jsonw_int(w, "events", (int64_t)c->n_events);
	jsonw_object(w, "decided");
	for (size_t i = 0; i < N_FIRMWARE_RULES; i++) {
		if (c->firmware_rule[i] > 0)
			jsonw_int(w, firmware_rule_name((enum firmware_rule)i), (int64_t)c->firmware_rule[i]);
	}
	jsonw_close(w);
	jsonw_int(w, "undecided", (int64_t)c->n_undecided);
	jsonw_int(w, "ignored", (int64_t)c->n_ignored);
	put_registers(w, "ignored_pcrs", c->ignored_mask);
	jsonw_close(w);
}

static void put_ima_coverage(struct jsonw *w, const struct coverage *c)
{
	jsonw_object(w, "ima");
	jsonw_int(w, "entries", (int64_t)c->n_entries);
	jsonw_object(w, "decided");
	for (size_t i = 0; i < N_IMA_RULES; i++) {
		if (c->ima_rule[i] > 0)
			jsonw_int(w, ima_rule_name((enum ima_rule)i), (int64_t)c->ima_rule[i]);
	}
	jsonw_close(w);
	jsonw_close(w);
}

static void put_coverage(struct jsonw *w, const struct coverage *c)
{
	jsonw_object(w, "coverage");
	if (c->firmware)
		put_firmware_coverage(w, c);
	if (c->ima)
		put_ima_coverage(w, c);
	jsonw_close(w);
}

void verdict_json(const struct verdict *v, struct jsonw *w)
{
	jsonw_str(w, "status", host_status_name(v->status));
	jsonw_bool(w, "passed", verdict_passed(v));
	jsonw_bool(w, "authentic", v->authentic);
	jsonw_bool(w, "overtaken", v->overtaken);
	jsonw_str(w, "first_failure", verdict_first_failure(v));
	put_results(w, v);
	put_failures(w, v);
	put_warnings(w, v);
	put_registers(w, "compared", v->compared_mask);
	put_coverage(w, &v->coverage);
	put_pcrs(w, v);
	put_decided_by(w, v);
	put_vector(w, "platform", &v->platform);
	put_instances(w, v);
}
