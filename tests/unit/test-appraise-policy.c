/* SPDX-License-Identifier: Apache-2.0 */
/* What operators approved: this machine, this platform, this image with this model for this agent. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "tests/support/lab_check.h"

static json_t *named(enum document_kind kind, const char *name, const char *key, const char *json)
{
	json_t *p = doc_predicate(kind);
	char text[80];

	(void)snprintf(text, sizeof(text), "\"%s\"", name);
	doc_set(p, "name", text);
	if (key != NULL)
		doc_set(p, key, json);
	return p;
}

static const char *digest_list(const char *of)
{
	static char text[80];

	(void)snprintf(text, sizeof(text), "[\"%s\"]", hex32_of(of).text);
	return text;
}

/* ---- N7: our machine. */

static void test_N7_pending(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
	cleanup_verdict struct verdict v;

	(void)state;
	verdict_init(&v);
	lab_doc_put(l, DOCUMENT_HOST, NULL);
	attest(l, NULL, &v);
	only_failure(&v, "N7");
	assert_non_null(strstr(v.failure[0].expected, hex32(l->host->ek_sha256).text));
	assert_non_null(strstr(v.failure[0].seen, "PENDING"));
	assert_non_null(strstr(v.failure[0].seen, "assayctl approve host"));
	/* Nobody approved it yet: that is no failure of the host. */
	assert_int_equal(v.status, HOST_NEVER);
	/* It is asked what the documents for all hosts want, like one that was approved. */
	assert_int_equal(v.pcr_mask, 0xf | 1u << WORKLOAD_PCR);
	lab_store(l, &v);
	verdict_done(&v);
	verdict_init(&v);
	lab_doc_put(l, DOCUMENT_PLATFORM, NULL);
	attest(l, NULL, &v);
	/* Where there are none its registers can be seen, so that an operator can approve what is there. */
	assert_int_equal(v.pcr_mask, 0xffff);
	assert_int_equal(v.pcr_bank, DIGEST_SHA256);
	assert_memory_equal(&v.pcr[4], &l->tpm->pcr[DIGEST_SHA256][4], sizeof(struct digest));
	lab_store(l, &v);
	lab_doc_put(l, DOCUMENT_HOST, named(DOCUMENT_HOST, "h1", "ek_sha256", digest_list("another EK")));
	refused(l, NULL, "N7");
}

static void test_N7_withdrawn_after_a_pass(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
	cleanup_verdict struct verdict v;

	(void)state;
	verdict_init(&v);
	lab_must_pass(l);
	lab_doc_put(l, DOCUMENT_HOST, NULL);
	attest(l, NULL, &v);
	only_failure(&v, "N7");
	assert_int_equal(v.status, HOST_FAILED);
}

static void test_N7_expired(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);

	(void)state;
	lab_doc_set(l, DOCUMENT_HOST, "expires", "1500000");
	refused(l, NULL, "N7");
	lab_doc_set(l, DOCUMENT_HOST, "expires", "1500001");
	accepted(l, NULL);
	lab_doc_set(l, DOCUMENT_HOST, "expires", "1600000");
	lab_doc_set(l, DOCUMENT_HOST, "not_before", "1500001");
	refused(l, NULL, "N7");
}

/* L3: a good TPM of a host that has no document, answering for itself. */
static void test_N7_L3_another_tpm(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256), *other = lab_new(SOFTTPM_AK_P256);

	(void)state;
	lab_doc_put(other, DOCUMENT_HOST, json_deep_copy(l->doc[DOCUMENT_HOST]));
	refused(other, NULL, "N7");
}

/* ---- P-platform, P1. */

static void test_P_platform_each_register(void **state)
{
	(void)state;
	for (unsigned pcr = 0; pcr < 4; pcr++) {
		cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
		cleanup_verdict struct verdict v;
		struct digest before = l->tpm->pcr[DIGEST_SHA256][pcr];
		char subject[32];

		verdict_init(&v);
		assert_false(failed(softtpm_event(l->tpm, pcr, BYTES_LIT("another event"))));
		attest(l, NULL, &v);
		fails(&v, "P-platform");
		assert_string_equal(verdict_first_failure(&v), "P-platform");
		assert_int_equal(v.n_compared, 0);
		(void)snprintf(subject, sizeof(subject), "PCR %u, platform plt", pcr);
		assert_string_equal(v.failure[0].subject, subject);
		assert_string_equal(v.failure[0].expected, hex32(before.v).text);
		assert_string_equal(v.failure[0].seen, hex32(l->tpm->pcr[DIGEST_SHA256][pcr].v).text);
		assert_int_equal(v.platform.executables, 96);
		assert_int_equal(v.status, HOST_FAILED);
	}
}

static void test_P_platform_registers_that_no_vector_holds(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);

	(void)state;
	assert_false(failed(softtpm_event(l->tpm, 7, BYTES_LIT("nobody asked"))));
	accepted(l, NULL);
}

static json_t *vector_of(const struct digest *const *values, size_t n)
{
	json_t *v = json_array();

	for (size_t i = 0; i < n; i++)
		assert_int_equal(json_array_append_new(v, json_string(hex32(values[i]->v).text)), 0);
	return v;
}

/* Half of one approved vector and half of another is no approved platform. */
static void test_P_platform_vectors_never_mix(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
	const struct digest *p = l->tpm->pcr[DIGEST_SHA256], other = { .n = 32, .v = { 1 } };
	const struct digest *a[] = { &p[0], &p[1], &other, &other }, *b[] = { &other, &other, &p[2], &p[3] };
	const struct digest *good[] = { &p[0], &p[1], &p[2], &p[3] };
	cleanup_verdict struct verdict v;

	(void)state;
	verdict_init(&v);
	json_object_set_new(l->doc[DOCUMENT_PLATFORM], "vectors", json_pack("[o,o]", vector_of(a, 4), vector_of(b, 4)));
	lab_doc_set(l, DOCUMENT_PLATFORM, "serial", "2");
	attest(l, NULL, &v);
	fails(&v, "P-platform");
	/* The same across two documents. */
	json_object_set_new(l->doc[DOCUMENT_PLATFORM], "vectors", json_pack("[o]", vector_of(a, 4)));
	{
		json_t *second = named(DOCUMENT_PLATFORM, "plt2", NULL, NULL);

		json_object_set_new(second, "vectors", json_pack("[o]", vector_of(b, 4)));
		lab_doc_put(l, N_DOCUMENT_KINDS, second);
		verdict_done(&v);
		attest(l, NULL, &v);
		fails(&v, "P-platform");
		/* And the whole one among others passes. */
		json_object_set_new(second, "vectors", json_pack("[o,o]", vector_of(b, 4), vector_of(good, 4)));
	}
	lab_doc_set(l, DOCUMENT_AGENT, "platforms", "[\"plt2\"]");
	accepted(l, NULL);
}

static void test_P_platform_none(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
	cleanup_verdict struct verdict v;

	(void)state;
	verdict_init(&v);
	lab_doc_put(l, DOCUMENT_PLATFORM, NULL);
	attest(l, NULL, &v);
	fails(&v, "P-platform");
	assert_non_null(strstr(v.failure[0].seen, "assayctl approve platform"));
	assert_int_equal(v.platform.executables, 33);
	assert_int_equal(v.result[row_of("P1")], CHECK_NOT_RUN);
}

static void test_P_platform_of_other_hosts(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
	cleanup_verdict struct verdict v;

	(void)state;
	verdict_init(&v);
	lab_doc_set(l, DOCUMENT_PLATFORM, "hosts", "[\"h2\",\"h3\"]");
	attest(l, NULL, &v);
	fails(&v, "P-platform");
	lab_doc_set(l, DOCUMENT_PLATFORM, "hosts", "[\"h2\",\"h1\"]");
	accepted(l, NULL);
}

static void test_P_platform_expired(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
	cleanup_verdict struct verdict v;

	(void)state;
	verdict_init(&v);
	lab_doc_set(l, DOCUMENT_PLATFORM, "expires", "1500000");
	attest(l, NULL, &v);
	fails(&v, "P-platform");
}

/* P1: a vector of values at reset that fits compares nothing with nothing. */
static void test_P1_nothing_compared(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);

	(void)state;
	for (unsigned pcr = 0; pcr < 8; pcr++)
		memset(l->tpm->pcr[DIGEST_SHA256][pcr].v, 0, 32);
	/* The startup locality is no measurement either. */
	l->tpm->pcr[DIGEST_SHA256][0].v[31] = 3;
	lab_approve_platform(l);
	refused(l, NULL, "P1");
	/* One register that was measured is something. */
	assert_false(failed(softtpm_event(l->tpm, 3, BYTES_LIT("measured"))));
	lab_approve_platform(l);
	{
		cleanup_verdict struct verdict v;

		verdict_init(&v);
		attest(l, NULL, &v);
		passes(&v);
		assert_int_equal(v.n_compared, 1);
		assert_int_equal(v.compared_mask, 1u << 3);
	}
}

static void test_P1_ones(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);

	(void)state;
	lab_doc_set(l, DOCUMENT_PLATFORM, "pcrs", "[17,18,19,20]");
	lab_approve_platform(l);
	refused(l, NULL, "P1");
}

/* ---- The selection that is asked for. */

static void test_selection(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
	struct pcr_selection s;
	uint8_t nobody[32] = { 0 };
	json_t *second = named(DOCUMENT_PLATFORM, "other-bank", "bank", "\"sha384\"");
	char values[600], value[97];

	(void)state;
	memset(value, 'a', 96);
	value[96] = '\0';
	(void)snprintf(values, sizeof(values), "[[\"%s\",\"%s\"]]", value, value);
	doc_set(second, "pcrs", "[8,9]");
	doc_set(second, "vectors", values);
	assert_false(failed(appraise_selection(l->reference, l->host->ek_sha256, LAB_NOW, &s)));
	assert_int_equal(s.n, 1);
	assert_int_equal(s.bank[0].hash_alg, TPM_ALG_SHA256);
	assert_int_equal(s.bank[0].mask, 0xf | 1u << WORKLOAD_PCR);
	/* Nobody's machine is asked what all are; and everything, where no document is for all. */
	assert_false(failed(appraise_selection(l->reference, nobody, LAB_NOW, &s)));
	assert_int_equal(s.bank[0].mask, 0xf | 1u << WORKLOAD_PCR);
	lab_doc_set(l, DOCUMENT_PLATFORM, "hosts", "[\"another\"]");
	assert_false(failed(appraise_selection(l->reference, nobody, LAB_NOW, &s)));
	assert_int_equal(s.bank[0].mask, 0xffff);
	lab_doc_set(l, DOCUMENT_PLATFORM, "hosts", "[\"*\"]");
	/* One bank in a quote: that of the first document by name. */
	lab_doc_put(l, N_DOCUMENT_KINDS, second);
	assert_false(failed(appraise_selection(l->reference, l->host->ek_sha256, LAB_NOW, &s)));
	assert_int_equal(s.bank[0].hash_alg, TPM_ALG_SHA384);
	assert_int_equal(s.bank[0].mask, 0x300 | 1u << WORKLOAD_PCR);
	lab_doc_set(l, N_DOCUMENT_KINDS, "name", "\"zz\"");
	assert_false(failed(appraise_selection(l->reference, l->host->ek_sha256, LAB_NOW, &s)));
	assert_int_equal(s.bank[0].hash_alg, TPM_ALG_SHA256);
	assert_int_equal(s.bank[0].mask, 0xf | 1u << WORKLOAD_PCR);
	accepted(l, NULL);
}

/* ---- W4, W5: image and model. */

/* An instance that differs in one digest, beside a good one. */
static struct lab *with_second(const char *image, const char *model)
{
	struct lab *l = lab_new(SOFTTPM_AK_P256);

	(void)lab_start(l, "agt", image, model);
	return l;
}

static void test_W4_image(void **state)
{
	cleanup_lab struct lab *l = with_second("another image", "model");

	(void)state;
	refused(l, NULL, "W4");
}

static void test_W5_model(void **state)
{
	cleanup_lab struct lab *l = with_second("image", "another model");

	(void)state;
	refused(l, NULL, "W5");
}

/* The digest of a model is no image, and the other way round. */
static void test_W4_W5_swapped(void **state)
{
	cleanup_lab struct lab *l = with_second("model", "image");
	cleanup_verdict struct verdict v;

	(void)state;
	verdict_init(&v);
	attest(l, NULL, &v);
	fails(&v, "W4");
	fails(&v, "W5");
}

static void test_W4_expired(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);

	(void)state;
	lab_doc_set(l, DOCUMENT_IMAGE, "expires", "1500000");
	refused(l, NULL, "W4");
}

static void test_W5_withdrawn(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);

	(void)state;
	lab_must_pass(l);
	lab_doc_put(l, DOCUMENT_MODEL, NULL);
	refused(l, NULL, "W5");
}

/* Where the document lists OMS roots, ours alone is not enough. */
static void test_W5_oms_root(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
	char list[80];
	uint8_t root[32];

	(void)state;
	assert_false(failed(sha256(BYTES_LIT("model"), root)) || failed(sha256(BYTES_ARR(root), root)));
	lab_doc_set(l, DOCUMENT_MODEL, "oms_root", digest_list("another root"));
	refused(l, NULL, "W5");
	(void)snprintf(list, sizeof(list), "[\"%s\"]", hex32(root).text);
	lab_doc_set(l, DOCUMENT_MODEL, "oms_root", list);
	accepted(l, NULL);
}

/* P3, unapproved_workload: the instance alone, or the host with it. */
static void test_P3_unapproved_instance_alone(void **state)
{
	static const struct {
		const char *image, *model, *id;
	} cases[] = { { "another image", "model", "W4" }, { "image", "another model", "W5" } };

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		cleanup_lab struct lab *l = with_second(cases[i].image, cases[i].model);
		cleanup_verdict struct verdict v;

		verdict_init(&v);
		lab_doc_set(l, DOCUMENT_PLATFORM, "unapproved_workload", "\"instance\"");
		attest(l, NULL, &v);
		passes(&v);
		assert_int_equal(v.n_instances, 2);
		assert_true(v.instance[0].usable);
		assert_int_equal(v.instance[0].status, TIER_WARNING);
		assert_false(v.instance[1].usable);
		assert_int_equal(v.instance[1].status, TIER_CONTRAINDICATED);
		assert_int_equal(v.n_failures, 1);
		assert_string_equal(v.failure[0].check, cases[i].id);
		lab_store(l, &v);
		lab_doc_set(l, DOCUMENT_PLATFORM, "unapproved_workload", "\"host\"");
		refused(l, NULL, cases[i].id);
	}
}

/* What ended: an approval that has expired explains it, one that is gone does not. */
static void test_W4_ended(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);

	(void)state;
	lab_end(l, 0);
	lab_doc_set(l, DOCUMENT_IMAGE, "expires", "1400000");
	lab_doc_set(l, DOCUMENT_MODEL, "expires", "1400000");
	accepted(l, NULL);
	lab_doc_put(l, DOCUMENT_IMAGE, NULL);
	refused(l, NULL, "W4");
	lab_doc_set(l, DOCUMENT_PLATFORM, "unapproved_workload", "\"instance\"");
	accepted(l, NULL);
}

static void test_W5_ended(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);

	(void)state;
	lab_end(l, 0);
	lab_doc_put(l, DOCUMENT_MODEL, NULL);
	refused(l, NULL, "W5");
}

/* What it had become before it ended counts as well. */
static void test_W5_changed_and_ended(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);

	(void)state;
	lab_changed(l, 0, "image", "poisoned model");
	lab_end(l, 0);
	refused(l, NULL, "W5");
	lab_doc_put(l, N_DOCUMENT_KINDS, named(DOCUMENT_MODEL, "mdl2", "manifests", digest_list("poisoned model")));
	accepted(l, NULL);
}

static void test_W4_changed_and_ended(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);

	(void)state;
	lab_changed(l, 0, "poisoned image", "model");
	lab_end(l, 0);
	refused(l, NULL, "W4");
}

/*
 * A withdrawal must be noticed for what ended long ago, too: other reference
 * values want the whole log again.
 */
static void test_P5_policy_moves(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);

	(void)state;
	(void)lab_start(l, "agt", "image2", "model");
	lab_doc_put(l, N_DOCUMENT_KINDS, named(DOCUMENT_IMAGE, "img2", "manifests", digest_list("image2")));
	lab_doc_set(l, DOCUMENT_AGENT, "images", "[\"img\",\"img2\"]");
	lab_must_pass(l);
	lab_end(l, 1);
	lab_must_pass(l);
	lab_challenge(l);
	assert_true(l->challenge.boot_known);
	lab_doc_put(l, N_DOCUMENT_KINDS, NULL);
	lab_challenge(l);
	assert_false(l->challenge.boot_known);
	assert_int_equal(l->challenge.log_offset, 0);
	refused(l, NULL, "W4");
}

/* ---- W7: changed. */

static void test_W7_changed(void **state)
{
	static const struct {
		const char *image, *model;
	} cases[] = { { "image2", "model" }, { "image", "model2" }, { "image", "model" } };

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
		cleanup_verdict struct verdict v;

		verdict_init(&v);
		/* What it became may be approved; it is not what was started. */
		lab_doc_put(l, N_DOCUMENT_KINDS, named(DOCUMENT_IMAGE, "img2", "manifests", digest_list("image2")));
		lab_doc_put(l, N_DOCUMENT_KINDS + 1,
			    named(DOCUMENT_MODEL, "mdl2", "manifests", digest_list("model2")));
		(void)lab_start(l, "agt", "image", "model");
		lab_must_pass(l);
		lab_changed(l, 1, cases[i].image, cases[i].model);
		refused(l, NULL, "W7");
		lab_doc_set(l, DOCUMENT_PLATFORM, "unapproved_workload", "\"instance\"");
		attest(l, NULL, &v);
		passes(&v);
		assert_true(v.instance[0].usable);
		assert_false(v.instance[1].usable);
		assert_int_equal(v.instance[1].status, TIER_CONTRAINDICATED);
		assert_string_equal(v.failure[0].check, "W7");
	}
}

static void test_W7_passes_after_the_end(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);

	(void)state;
	lab_doc_put(l, N_DOCUMENT_KINDS, named(DOCUMENT_MODEL, "mdl2", "manifests", digest_list("model2")));
	lab_changed(l, 0, "image", "model2");
	refused(l, NULL, "W7");
	lab_end(l, 0);
	(void)lab_start(l, "agt", "image", "model");
	lab_must_pass(l);
}

/* ---- P-agent. */

static void test_P_agent_binds(void **state)
{
	static const struct {
		const char *key, *json;
	} cases[] = {
		{ "images", "[\"other\"]" },
		{ "models", "[\"other\"]" },
		{ "platforms", "[\"other\"]" },
		{ "name", "\"agt2\"" },
		{ "expires", "1500000" },
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
		cleanup_verdict struct verdict v;

		verdict_init(&v);
		lab_doc_set(l, DOCUMENT_AGENT, cases[i].key, cases[i].json);
		refused(l, NULL, "P-agent");
		lab_doc_set(l, DOCUMENT_PLATFORM, "unapproved_workload", "\"instance\"");
		attest(l, NULL, &v);
		passes(&v);
		assert_false(v.instance[0].usable);
		assert_int_equal(v.instance[0].status, TIER_CONTRAINDICATED);
		assert_string_equal(v.failure[0].check, "P-agent");
	}
}

static void test_P_agent_missing(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);

	(void)state;
	lab_doc_put(l, DOCUMENT_AGENT, NULL);
	refused(l, NULL, "P-agent");
}

/* Two documents approve the same image; the agent lists the second one. */
static void test_P_agent_any_approval(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
	cleanup_verdict struct verdict v;

	(void)state;
	verdict_init(&v);
	lab_doc_put(l, N_DOCUMENT_KINDS, named(DOCUMENT_IMAGE, "a-first", NULL, NULL));
	lab_doc_put(l, N_DOCUMENT_KINDS + 1, named(DOCUMENT_MODEL, "a-first", NULL, NULL));
	attest(l, NULL, &v);
	passes(&v);
	assert_true(v.instance[0].usable);
	{
		const struct document *img = reference_approval(l->reference, DOCUMENT_IMAGE,
								v.next.instance[0].image.manifest, LAB_NOW, false, 1);

		assert_string_equal(img->name, "img");
		assert_memory_equal(v.instance[0].image_doc, img->digest, 32);
	}
}

/* The measurer is unattested, so the result is a warning; an agent that wants more gets nothing, and the host passes. */
static void test_P_agent_minimum_status(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
	cleanup_verdict struct verdict v;

	(void)state;
	verdict_init(&v);
	lab_doc_set(l, DOCUMENT_AGENT, "minimum_status", NULL);
	attest(l, NULL, &v);
	passes(&v);
	assert_int_equal(v.instance[0].status, TIER_WARNING);
	assert_false(v.instance[0].usable);
	assert_int_equal(v.n_failures, 1);
	assert_string_equal(v.failure[0].check, "P-agent");
	assert_non_null(strstr(v.failure[0].seen, "measurer not attested"));
	assert_non_null(strstr(v.failure[0].expected, "affirming"));
}

/* ---- What the verdict says of each part. */

static void test_vectors(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
	cleanup_verdict struct verdict v;

	(void)state;
	verdict_init(&v);
	attest(l, NULL, &v);
	passes(&v);
	assert_int_equal(v.platform.instance_identity, 2);
	assert_int_equal(v.platform.configuration, 2);
	assert_int_equal(v.platform.executables, 3);
	assert_int_equal(v.platform.hardware, 2);
	assert_int_equal(trust_vector_tier(&v.instance[0].platform), TIER_AFFIRMING);
	assert_int_equal(trust_vector_tier(&v.instance[0].container), TIER_WARNING);
	assert_int_equal(trust_vector_tier(&v.instance[0].model), TIER_WARNING);
	assert_int_equal(trust_vector_tier(&v.instance[0].key), TIER_AFFIRMING);
	assert_string_equal(v.instance[0].agent, "agt");
}

/* A host that was enrolled without an EK certificate is at most a warning. */
static void test_no_certificate(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
	cleanup_verdict struct verdict v;

	(void)state;
	verdict_init(&v);
	l->host->has_ek_cert = false;
	attest(l, NULL, &v);
	passes(&v);
	assert_int_equal(trust_vector_tier(&v.platform), TIER_WARNING);
}

/* Everything that is wrong is named, not only the first thing; in order of the table. */
static void test_all_failures_are_named(void **state)
{
	cleanup_lab struct lab *l = with_second("another image", "another model");
	cleanup_verdict struct verdict v;
	static const char *const want[] = { "P-platform", "W4", "W5", "P-agent" };

	(void)state;
	verdict_init(&v);
	assert_false(failed(softtpm_event(l->tpm, 1, BYTES_LIT("x"))));
	lab_doc_set(l, DOCUMENT_AGENT, "images", "[\"other\"]");
	attest(l, NULL, &v);
	for (size_t i = 0; i < array_len(want); i++)
		fails(&v, want[i]);
	for (size_t i = 1; i < v.n_failures; i++)
		assert_true(row_of(v.failure[i - 1].check) <= row_of(v.failure[i].check));
	assert_int_equal(v.n_failures, array_len(want));
}

/* More failures than the list holds: the first rows are kept. */
static void test_many_failures(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
	cleanup_verdict struct verdict v;

	(void)state;
	verdict_init(&v);
	for (unsigned i = 0; i < 15; i++)
		(void)lab_start(l, "agt", "another image", "another model");
	attest(l, NULL, &v);
	fails(&v, "W4");
	fails(&v, "W5");
	assert_int_equal(v.n_failures, ATTEST_MAX_FAILURES);
	assert_string_equal(v.failure[0].check, "W4");
	assert_string_equal(v.failure[14].check, "W4");
	assert_string_equal(v.failure[15].check, "W5");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_N7_pending),
		cmocka_unit_test(test_N7_withdrawn_after_a_pass),
		cmocka_unit_test(test_N7_expired),
		cmocka_unit_test(test_N7_L3_another_tpm),
		cmocka_unit_test(test_P_platform_each_register),
		cmocka_unit_test(test_P_platform_registers_that_no_vector_holds),
		cmocka_unit_test(test_P_platform_vectors_never_mix),
		cmocka_unit_test(test_P_platform_none),
		cmocka_unit_test(test_P_platform_of_other_hosts),
		cmocka_unit_test(test_P_platform_expired),
		cmocka_unit_test(test_P1_nothing_compared),
		cmocka_unit_test(test_P1_ones),
		cmocka_unit_test(test_selection),
		cmocka_unit_test(test_W4_image),
		cmocka_unit_test(test_W5_model),
		cmocka_unit_test(test_W4_W5_swapped),
		cmocka_unit_test(test_W4_expired),
		cmocka_unit_test(test_W5_withdrawn),
		cmocka_unit_test(test_W5_oms_root),
		cmocka_unit_test(test_P3_unapproved_instance_alone),
		cmocka_unit_test(test_W4_ended),
		cmocka_unit_test(test_W5_ended),
		cmocka_unit_test(test_W5_changed_and_ended),
		cmocka_unit_test(test_W4_changed_and_ended),
		cmocka_unit_test(test_P5_policy_moves),
		cmocka_unit_test(test_W7_changed),
		cmocka_unit_test(test_W7_passes_after_the_end),
		cmocka_unit_test(test_P_agent_binds),
		cmocka_unit_test(test_P_agent_missing),
		cmocka_unit_test(test_P_agent_any_approval),
		cmocka_unit_test(test_P_agent_minimum_status),
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_no_certificate),
		cmocka_unit_test(test_all_failures_are_named),
		cmocka_unit_test(test_many_failures),
	};

	return cmocka_run_group_tests_name("appraise-policy", tests, NULL, NULL);
}
