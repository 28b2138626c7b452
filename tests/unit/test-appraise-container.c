/* SPDX-License-Identifier: Apache-2.0 */
/* Instances in containers: the root is that of the approved image, the policy one that the agent's document names. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "tests/support/lab_check.h"

/* A good host, whose image permits containers with the root "root", and one such container (instance 1) on it. */
static struct lab *with_container(const char *root, const char *policy)
{
	struct lab *l = lab_new(SOFTTPM_AK_P256);

	lab_approve_root(l, "root");
	(void)lab_start_container(l, "agt", "image", root, policy);
	return l;
}

/* Text of an array of digests, for one call at a time. */
static const char *digest_list(const char *first, const char *second)
{
	static char text[160];

	if (second == NULL)
		(void)snprintf(text, sizeof(text), "[\"%s\"]", hex32_of(first).text);
	else
		(void)snprintf(text, sizeof(text), "[\"%s\",\"%s\"]", hex32_of(first).text, hex32_of(second).text);
	return text;
}

/* Another image document that permits manifests and roots like these; roots may be NULL. */
static json_t *image_doc(const char *name, const char *manifest, const char *root)
{
	json_t *p = doc_predicate(DOCUMENT_IMAGE);
	char text[80];

	(void)snprintf(text, sizeof(text), "\"%s\"", name);
	doc_set(p, "name", text);
	doc_set(p, "manifests", digest_list(manifest, NULL));
	if (root != NULL)
		doc_set(p, "rootfs", digest_list(root, NULL));
	return p;
}

/* The host passes, and this instance alone gets nothing, for this reason. */
static void alone(struct lab *l, size_t instance, const char *id)
{
	cleanup_verdict struct verdict v;

	verdict_init(&v);
	lab_doc_set(l, DOCUMENT_PLATFORM, "unapproved_workload", "\"instance\"");
	attest(l, NULL, &v);
	passes(&v);
	for (size_t i = 0; i < v.n_instances; i++) {
		assert_int_equal(v.instance[i].usable, i != instance);
		assert_int_equal(v.instance[i].status, i != instance ? TIER_WARNING : TIER_CONTRAINDICATED);
	}
	assert_true(v.n_failures > 0);
	assert_string_equal(v.failure[0].check, id);
	lab_doc_set(l, DOCUMENT_PLATFORM, "unapproved_workload", NULL);
}

/* ---- W-root. */

static void test_W_root_approved(void **state)
{
	cleanup_lab struct lab *l = with_container("root", "policy");
	cleanup_verdict struct verdict v;

	(void)state;
	verdict_init(&v);
	attest(l, NULL, &v);
	passes(&v);
	assert_int_equal(v.n_failures, 0);
	assert_true(v.instance[0].usable && v.instance[1].usable);
	assert_false(v.instance[0].has_container);
	assert_true(v.instance[1].has_container);
	assert_string_equal(hex32(v.instance[1].digests.rootfs).text, hex32_of("root").text);
	assert_string_equal(hex32(v.instance[1].digests.policy).text, hex32_of("policy").text);
	assert_memory_equal(v.instance[1].image_doc, v.instance[0].image_doc, 32);
	/* And goes on from the stored state. */
	lab_store(l, &v);
	assert_true(l->state.instance[1].has_container);
	lab_must_pass(l);
}

static void test_W_root_of_nobody(void **state)
{
	cleanup_lab struct lab *l = with_container("another root", "policy");
	cleanup_verdict struct verdict v;

	(void)state;
	verdict_init(&v);
	attest(l, NULL, &v);
	only_failure(&v, "W-root");
	assert_non_null(strstr(v.failure[0].expected, hex32_of("root").text));
	assert_non_null(strstr(v.failure[0].seen, hex32_of("another root").text));
	alone(l, 1, "W-root");
	lab_doc_set(l, DOCUMENT_IMAGE, "rootfs", digest_list("root", "another root"));
	accepted(l, NULL);
}

/* The policy and the manifest are digests, too, but no roots. */
static void test_W_root_is_no_other_digest(void **state)
{
	static const char *const roots[] = { "policy", "image", "model" };

	(void)state;
	for (size_t i = 0; i < array_len(roots); i++) {
		cleanup_lab struct lab *l = with_container("root", "policy");

		lab_approve_root(l, roots[i]);
		refused(l, NULL, "W-root");
	}
}

/* Who approved the image without looking at its layers has permitted no container of it. */
static void test_W_root_document_without_roots(void **state)
{
	cleanup_lab struct lab *l = with_container("root", "policy");
	cleanup_verdict struct verdict v;

	(void)state;
	verdict_init(&v);
	lab_doc_set(l, DOCUMENT_IMAGE, "rootfs", NULL);
	attest(l, NULL, &v);
	only_failure(&v, "W-root");
	assert_non_null(strstr(v.failure[0].expected, "assayctl approve image --rootfs"));
	assert_non_null(strstr(v.failure[0].expected, "image document img"));
	assert_non_null(strstr(v.failure[0].seen, hex32_of("root").text));
	alone(l, 1, "W-root");
}

/* The root is somebody's, but not of the document that permits the manifest. */
static void test_W_root_in_another_document(void **state)
{
	cleanup_lab struct lab *l = with_container("root", "policy");

	(void)state;
	lab_doc_set(l, DOCUMENT_IMAGE, "rootfs", NULL);
	lab_doc_put(l, N_DOCUMENT_KINDS, image_doc("img2", "another image", "root"));
	lab_doc_set(l, DOCUMENT_AGENT, "images", "[\"img\",\"img2\"]");
	refused(l, NULL, "W-root");
	alone(l, 1, "W-root");
	/* Roots of both do not mix, either. */
	lab_approve_root(l, "root of img");
	refused(l, NULL, "W-root");
	/* One that permits both is enough, whatever others lack. */
	lab_doc_put(l, N_DOCUMENT_KINDS, image_doc("img2", "image", "root"));
	accepted(l, NULL);
}

/* Of two documents that permit the manifest, the one with the root decides, so that is what the agent has to name. */
static void test_P_agent_names_the_document_with_the_root(void **state)
{
	cleanup_lab struct lab *l = with_container("root", "policy");
	cleanup_verdict struct verdict v;

	(void)state;
	verdict_init(&v);
	lab_doc_set(l, DOCUMENT_IMAGE, "rootfs", NULL);
	lab_doc_put(l, N_DOCUMENT_KINDS, image_doc("somebodys", "image", "root"));
	attest(l, NULL, &v);
	only_failure(&v, "P-agent");
	assert_non_null(strstr(v.failure[0].seen, "with this root"));
	alone(l, 1, "P-agent");
	lab_doc_set(l, DOCUMENT_AGENT, "images", "[\"img\",\"somebodys\"]");
	verdict_done(&v);
	attest(l, NULL, &v);
	passes(&v);
	/* The verdict hangs on that document. */
	for (size_t i = 0; i < 2; i++) {
		const struct document *d = reference_approval(l->reference, DOCUMENT_IMAGE,
							      v.next.instance[0].image.manifest, LAB_NOW, false, i);

		assert_memory_equal(v.instance[i].image_doc, d->digest, 32);
	}
}

static void test_W_root_expired(void **state)
{
	cleanup_lab struct lab *l = with_container("root", "policy");

	(void)state;
	lab_doc_put(l, N_DOCUMENT_KINDS, image_doc("img2", "image", "root"));
	lab_doc_set(l, DOCUMENT_AGENT, "images", "[\"img\",\"img2\"]");
	lab_doc_set(l, DOCUMENT_IMAGE, "rootfs", NULL);
	accepted(l, NULL);
	lab_doc_set(l, N_DOCUMENT_KINDS, "expires", "1500000");
	refused(l, NULL, "W-root");
}

/* An image that nobody approved has no roots that anybody approved. */
static void test_W4_of_a_container(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
	cleanup_verdict struct verdict v;

	(void)state;
	verdict_init(&v);
	lab_approve_root(l, "root");
	(void)lab_start_container(l, "agt", "another image", "root", "policy");
	attest(l, NULL, &v);
	fails(&v, "W4");
	fails(&v, "W-root");
	alone(l, 1, "W4");
}

/* What ended: as with images, an approval that has expired explains it. */
static void test_W_root_ended(void **state)
{
	cleanup_lab struct lab *l = with_container("root", "policy");

	(void)state;
	lab_end(l, 0);
	lab_end(l, 1);
	lab_doc_set(l, DOCUMENT_IMAGE, "expires", "1400000");
	accepted(l, NULL);
	lab_doc_set(l, DOCUMENT_IMAGE, "rootfs", NULL);
	refused(l, NULL, "W-root");
	lab_doc_set(l, DOCUMENT_PLATFORM, "unapproved_workload", "\"instance\"");
	accepted(l, NULL);
}

/* ---- W-container: a change speaks of a container exactly where the start did. */

static void test_W_container_lost(void **state)
{
	cleanup_lab struct lab *l = with_container("root", "policy");
	cleanup_verdict struct verdict v;

	(void)state;
	verdict_init(&v);
	lab_changed(l, 1, "image", "model");
	attest(l, NULL, &v);
	only_failure(&v, "W-container");
	assert_string_equal(v.failure[0].subject, "record 3");
	/* Nor is it explained by the end of the instance, or an instance's alone. */
	lab_end(l, 1);
	lab_doc_set(l, DOCUMENT_PLATFORM, "unapproved_workload", "\"instance\"");
	refused(l, NULL, "W-container");
}

static void test_W_container_gained(void **state)
{
	cleanup_lab struct lab *l = with_container("root", "policy");

	(void)state;
	lab_changed_container(l, 0, "image", "root", "policy");
	refused(l, NULL, "W-container");
}

/* ---- W7: a root that changed is an image that changed. */

static void test_W7_of_a_container(void **state)
{
	static const struct {
		const char *image, *root, *policy, *what;
	} cases[] = {
		{ "image", "another root", "policy", "root" },
		{ "image", "root", "another policy", "policy" },
		{ "image2", "root", "policy", "image" },
		{ "image", "root", "policy", "model" },
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		cleanup_lab struct lab *l = with_container("root", "policy");
		cleanup_verdict struct verdict v;

		verdict_init(&v);
		/* What it became may be approved; it is not what was started. */
		lab_doc_set(l, DOCUMENT_IMAGE, "rootfs", digest_list("root", "another root"));
		lab_doc_set(l, DOCUMENT_IMAGE, "manifests", digest_list("image", "image2"));
		lab_must_pass(l);
		lab_changed_container(l, 1, cases[i].image, cases[i].root, cases[i].policy);
		attest(l, NULL, &v);
		only_failure(&v, "W7");
		assert_int_equal(strncmp(v.failure[0].expected, cases[i].what, strlen(cases[i].what)), 0);
		assert_int_equal(v.instance[1].container.executables, 96);
		assert_int_equal(v.instance[1].container.file_system, 96);
		/* The model is another part; a record without any difference blames both. */
		assert_int_equal(v.instance[1].model.sourced_data, i == 3 ? 96 : 32);
		alone(l, 1, "W7");
	}
}

static void test_W_root_changed_and_ended(void **state)
{
	cleanup_lab struct lab *l = with_container("root", "policy");

	(void)state;
	lab_changed_container(l, 1, "image", "poisoned root", "policy");
	lab_end(l, 1);
	refused(l, NULL, "W-root");
	lab_doc_set(l, DOCUMENT_IMAGE, "rootfs", digest_list("root", "poisoned root"));
	accepted(l, NULL);
}

/* Over a stored state: the change comes with the next evidence. */
static void test_W7_after_a_pass(void **state)
{
	cleanup_lab struct lab *l = with_container("root", "policy");

	(void)state;
	lab_must_pass(l);
	lab_changed_container(l, 1, "image", "another root", "policy");
	refused(l, NULL, "W7");
}

/* ---- P-container: what the agent's document asks for. */

static void test_P_container(void **state)
{
	cleanup_lab struct lab *l = with_container("root", "policy");
	cleanup_verdict struct verdict v;

	(void)state;
	verdict_init(&v);
	/* The first instance of this agent runs in none. */
	lab_doc_set(l, DOCUMENT_AGENT, "containers", digest_list("policy", NULL));
	attest(l, NULL, &v);
	only_failure(&v, "P-container");
	assert_non_null(strstr(v.failure[0].expected, hex32_of("policy").text));
	assert_non_null(strstr(v.failure[0].seen, "no container"));
	alone(l, 0, "P-container");
	lab_end(l, 0);
	accepted(l, NULL);
	/* Another policy; and one of two. */
	lab_doc_set(l, DOCUMENT_AGENT, "containers", digest_list("another policy", NULL));
	verdict_done(&v);
	attest(l, NULL, &v);
	only_failure(&v, "P-container");
	assert_non_null(strstr(v.failure[0].expected, hex32_of("another policy").text));
	assert_non_null(strstr(v.failure[0].seen, hex32_of("policy").text));
	alone(l, 0, "P-container");
	lab_doc_set(l, DOCUMENT_AGENT, "containers", digest_list("another policy", "policy"));
	accepted(l, NULL);
	/* The digest of the root is no policy. */
	lab_doc_set(l, DOCUMENT_AGENT, "containers", digest_list("root", NULL));
	refused(l, NULL, "P-container");
}

/* ---- What the verdict says. */

static void test_vectors(void **state)
{
	cleanup_lab struct lab *l = with_container("root", "policy");
	cleanup_verdict struct verdict v;

	(void)state;
	verdict_init(&v);
	attest(l, NULL, &v);
	assert_int_equal(v.instance[0].container.file_system, 0);
	assert_int_equal(v.instance[1].container.file_system, 2);
	assert_int_equal(v.instance[1].container.executables, 3);
	assert_int_equal(v.instance[1].container.configuration, 0);
	/* A configuration is approved by who names it. */
	lab_end(l, 0);
	lab_doc_set(l, DOCUMENT_AGENT, "containers", digest_list("policy", NULL));
	verdict_done(&v);
	attest(l, NULL, &v);
	passes(&v);
	assert_int_equal(v.instance[0].container.configuration, 2);
	lab_doc_set(l, DOCUMENT_AGENT, "containers", digest_list("another policy", NULL));
	lab_doc_set(l, DOCUMENT_IMAGE, "rootfs", NULL);
	verdict_done(&v);
	attest(l, NULL, &v);
	assert_int_equal(v.instance[0].container.configuration, 96);
	assert_int_equal(v.instance[0].container.file_system, 32);
	assert_int_equal(v.instance[0].container.executables, 33);
}

static void test_explanation(void **state)
{
	cleanup_lab struct lab *l = with_container("root", "policy");
	cleanup_buf struct buf text = BUF_INIT(MIB);
	cleanup_json json_t *o = NULL;
	cleanup_verdict struct verdict v;
	const json_t *instances, *first, *second;
	struct jsonw w;

	(void)state;
	verdict_init(&v);
	attest(l, NULL, &v);
	jsonw_begin(&w, &text);
	verdict_json(&v, &w);
	assert_false(failed(jsonw_end(&w)));
	assert_false(failed(json_parse(buf_bytes(&text), text.n, &o, NULL)));
	instances = json_object_get(o, "instances");
	first = json_array_get(instances, 0);
	second = json_array_get(instances, 1);
	assert_null(json_object_get(first, "rootfs"));
	assert_null(json_object_get(first, "container_policy"));
	assert_string_equal(json_string_value(json_object_get(second, "rootfs")), hex32_of("root").text);
	assert_string_equal(json_string_value(json_object_get(second, "container_policy")), hex32_of("policy").text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_W_root_approved),
		cmocka_unit_test(test_W_root_of_nobody),
		cmocka_unit_test(test_W_root_is_no_other_digest),
		cmocka_unit_test(test_W_root_document_without_roots),
		cmocka_unit_test(test_W_root_in_another_document),
		cmocka_unit_test(test_P_agent_names_the_document_with_the_root),
		cmocka_unit_test(test_W_root_expired),
		cmocka_unit_test(test_W4_of_a_container),
		cmocka_unit_test(test_W_root_ended),
		cmocka_unit_test(test_W_container_lost),
		cmocka_unit_test(test_W_container_gained),
		cmocka_unit_test(test_W7_of_a_container),
		cmocka_unit_test(test_W_root_changed_and_ended),
		cmocka_unit_test(test_W7_after_a_pass),
		cmocka_unit_test(test_P_container),
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_explanation),
	};

	return cmocka_run_group_tests_name("appraise-container", tests, NULL, NULL);
}
