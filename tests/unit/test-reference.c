/* SPDX-License-Identifier: Apache-2.0 */
#include "verifier/appraise/reference.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/text.h"
#include "tests/support/documents.h"

#define NOW 1500000

static void sum_of(const char *text, uint8_t ret[32])
{
	assert_false(failed(sha256(bytes_str(text), ret)));
}

static struct document *doc(enum document_kind kind, const char *name, unsigned serial)
{
	json_t *p = doc_predicate(kind);
	char text[80];

	(void)snprintf(text, sizeof(text), "\"%s\"", name);
	doc_set(p, "name", text);
	(void)snprintf(text, sizeof(text), "%u", serial);
	doc_set(p, "serial", text);
	return doc_make(p);
}

static struct document *platform(const char *name, unsigned serial, const char *hosts)
{
	json_t *p = doc_predicate(DOCUMENT_PLATFORM);
	char text[80];

	(void)snprintf(text, sizeof(text), "\"%s\"", name);
	doc_set(p, "name", text);
	(void)snprintf(text, sizeof(text), "%u", serial);
	doc_set(p, "serial", text);
	doc_set(p, "hosts", hosts);
	return doc_make(p);
}

static struct reference *snapshot(struct document **docs, size_t n)
{
	struct reference *r = NULL;

	assert_false(failed(reference_new(docs, n, &r)));
	return r;
}

static void test_empty(void **state)
{
	cleanup_reference struct reference *r = snapshot(NULL, 0);
	uint8_t sum[32];

	(void)state;
	sum_of("ek", sum);
	assert_null(reference_host(r, sum, NOW));
	assert_null(reference_agent(r, BYTES_LIT("agt"), NOW));
	assert_null(reference_platform(r, "h1", NOW, 0));
	assert_int_equal(reference_count(r, DOCUMENT_HOST), 0);
}

static void test_find(void **state)
{
	struct document *docs[] = { doc(DOCUMENT_HOST, "h1", 1),  doc(DOCUMENT_IMAGE, "img", 1),
				    doc(DOCUMENT_MODEL, "mdl", 1), doc(DOCUMENT_AGENT, "agt", 1),
				    doc(DOCUMENT_PLATFORM, "plt", 1) };
	cleanup_reference struct reference *r = snapshot(docs, array_len(docs));
	uint8_t ek[32], image[32], model[32];

	(void)state;
	sum_of("ek", ek);
	sum_of("image", image);
	sum_of("model", model);
	assert_string_equal(reference_host(r, ek, NOW)->name, "h1");
	assert_string_equal(reference_image(r, image, NOW, false)->name, "img");
	assert_string_equal(reference_model(r, model, NOW, false)->name, "mdl");
	assert_string_equal(reference_agent(r, BYTES_LIT("agt"), NOW)->name, "agt");
	assert_string_equal(reference_platform(r, "h1", NOW, 0)->name, "plt");
	/* Kinds do not mix, and neither do parts of names. */
	assert_null(reference_model(r, image, NOW, false));
	assert_null(reference_image(r, ek, NOW, true));
	assert_null(reference_host(r, image, NOW));
	assert_null(reference_agent(r, BYTES_LIT("ag"), NOW));
	assert_null(reference_agent(r, BYTES_LIT("agt2"), NOW));
	assert_null(reference_approval(r, DOCUMENT_HOST, ek, NOW, false, 0));
	for (unsigned k = DOCUMENT_HOST; k <= DOCUMENT_AGENT; k++)
		assert_int_equal(reference_count(r, (enum document_kind)k), 1);
}

static void test_P4_window(void **state)
{
	struct document *docs[] = { doc(DOCUMENT_IMAGE, "img", 1) };
	cleanup_reference struct reference *r = snapshot(docs, array_len(docs));
	uint8_t image[32];

	(void)state;
	sum_of("image", image);
	assert_null(reference_image(r, image, DOC_NOT_BEFORE - 1, false));
	assert_non_null(reference_image(r, image, DOC_NOT_BEFORE, false));
	assert_non_null(reference_image(r, image, DOC_EXPIRES - 1, false));
	assert_null(reference_image(r, image, DOC_EXPIRES, false));
	assert_non_null(reference_image(r, image, DOC_EXPIRES, true));
	/* Expired explains what ended; what never began explains nothing. */
	assert_null(reference_image(r, image, DOC_NOT_BEFORE - 1, true));
}

static void test_newest_serial(void **state)
{
	json_t *future = doc_predicate(DOCUMENT_AGENT);
	struct document *docs[4];
	cleanup_reference struct reference *r = NULL;

	(void)state;
	doc_set(future, "serial", "9");
	doc_set(future, "not_before", "1600000");
	docs[0] = doc(DOCUMENT_AGENT, "agt", 2);
	docs[1] = doc(DOCUMENT_AGENT, "agt", 7);
	docs[2] = doc_make(future);
	docs[3] = doc(DOCUMENT_AGENT, "agt", 3);
	r = snapshot(docs, array_len(docs));
	assert_int_equal(reference_agent(r, BYTES_LIT("agt"), NOW)->serial, 7);
	assert_int_equal(reference_agent(r, BYTES_LIT("agt"), 1600000)->serial, 9);
}

/* Old and new versions of an image overlap within their windows. */
static void test_P4_overlap(void **state)
{
	json_t *second = doc_predicate(DOCUMENT_IMAGE);
	struct document *docs[3];
	cleanup_reference struct reference *r = NULL;
	uint8_t image[32], image2[32];
	char list[80];

	(void)state;
	(void)snprintf(list, sizeof(list), "[\"%s\"]", hex32_of("image2").text);
	doc_set(second, "serial", "2");
	doc_set(second, "manifests", list);
	docs[0] = doc(DOCUMENT_IMAGE, "img", 1);
	docs[1] = doc_make(second);
	docs[2] = doc(DOCUMENT_IMAGE, "alias", 4);
	r = snapshot(docs, array_len(docs));
	sum_of("image", image);
	sum_of("image2", image2);
	assert_string_equal(reference_approval(r, DOCUMENT_IMAGE, image, NOW, false, 0)->name, "alias");
	assert_string_equal(reference_approval(r, DOCUMENT_IMAGE, image, NOW, false, 1)->name, "img");
	assert_null(reference_approval(r, DOCUMENT_IMAGE, image, NOW, false, 2));
	assert_int_equal(reference_image(r, image2, NOW, false)->serial, 2);
}

static void test_platforms(void **state)
{
	struct document *docs[] = { platform("c", 1, "[\"*\"]"), platform("a", 1, "[\"h1\"]"),
				    platform("b", 2, "[\"h1\",\"*\"]"), platform("b", 3, "[\"*\"]"),
				    platform("d", 1, "[\"h2\"]") };
	static const struct {
		const char *name;
		unsigned serial;
	} want[] = { { "a", 1 }, { "b", 3 }, { "b", 2 }, { "c", 1 } };
	cleanup_reference struct reference *r = snapshot(docs, array_len(docs));
	const struct document *d;

	(void)state;
	for (size_t i = 0; i < array_len(want); i++) {
		d = reference_platform(r, "h1", NOW, i);
		assert_non_null(d);
		assert_string_equal(d->name, want[i].name);
		assert_int_equal(d->serial, want[i].serial);
	}
	assert_null(reference_platform(r, "h1", NOW, array_len(want)));
	assert_null(reference_platform(r, "h1", DOC_EXPIRES, 0));
	assert_string_equal(reference_platform(r, "h2", NOW, 3)->name, "d");
	assert_string_equal(reference_platform(r, "h3", NOW, 2)->name, "c");
}

static void test_P5_policy_digest(void **state)
{
	struct document *ab[] = { doc(DOCUMENT_HOST, "h1", 1), doc(DOCUMENT_IMAGE, "img", 1) };
	struct document *ba[] = { doc(DOCUMENT_IMAGE, "img", 1), doc(DOCUMENT_HOST, "h1", 1) };
	struct document *a[] = { doc(DOCUMENT_HOST, "h1", 1) };
	struct document *a2[] = { doc(DOCUMENT_HOST, "h1", 2) };
	cleanup_reference struct reference *r1 = snapshot(ab, 2), *r2 = snapshot(ba, 2), *r3 = snapshot(a, 1),
					   *r4 = snapshot(a2, 1), *r5 = snapshot(NULL, 0);
	uint8_t d[5][32];

	(void)state;
	reference_policy_digest(r1, d[0]);
	reference_policy_digest(r2, d[1]);
	reference_policy_digest(r3, d[2]);
	reference_policy_digest(r4, d[3]);
	reference_policy_digest(r5, d[4]);
	assert_memory_equal(d[0], d[1], 32);
	assert_memory_not_equal(d[0], d[2], 32);
	assert_memory_not_equal(d[2], d[3], 32);
	assert_memory_not_equal(d[2], d[4], 32);
}

static void test_withdrawal_is_refused(void **state)
{
	struct document *docs[] = { doc(DOCUMENT_IMAGE, "img", 1), doc(DOCUMENT_WITHDRAW, "wdr", 1) };
	struct reference *r = NULL;

	(void)state;
	assert_int_equal(reference_new(docs, 2, &r).code, E_BUG);
	assert_null(r);
	/* Ownership moves on success only. */
	document_free(docs[0]);
	document_free(docs[1]);
}

static void test_holders(void **state)
{
	struct document *docs[] = { doc(DOCUMENT_HOST, "h1", 1) };
	struct reference *r = snapshot(docs, 1), *second = reference_hold(r);
	uint8_t ek[32];

	(void)state;
	sum_of("ek", ek);
	reference_release(r);
	assert_non_null(reference_host(second, ek, NOW));
	reference_release(second);
}

/* Every document of a large estate is found, whatever their number. */
static void test_many(void **state)
{
	enum { N = 20000 };
	cleanup_free struct document **docs = calloc(N, sizeof(struct document *));
	cleanup_reference struct reference *r = NULL;
	char name[32];

	(void)state;
	assert_non_null(docs);
	for (unsigned i = 0; i < N; i++) {
		struct document *d = calloc(1, sizeof(*d));

		assert_non_null(d);
		d->kind = DOCUMENT_HOST;
		(void)snprintf(d->name, sizeof(d->name), "h%u", i);
		d->serial = 1;
		d->expires_s = DOC_EXPIRES;
		d->digests.v = calloc(1, 32);
		assert_non_null(d->digests.v);
		d->digests.n = 1;
		sum_of(d->name, d->digests.v[0]);
		docs[i] = d;
	}
	r = snapshot(docs, N);
	assert_int_equal(reference_count(r, DOCUMENT_HOST), N);
	for (unsigned i = 0; i < N; i++) {
		uint8_t ek[32];

		(void)snprintf(name, sizeof(name), "h%u", i);
		sum_of(name, ek);
		assert_string_equal(reference_host(r, ek, NOW)->name, name);
		ek[31] ^= 1;
		assert_null(reference_host(r, ek, NOW));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),          cmocka_unit_test(test_find),
		cmocka_unit_test(test_P4_window),      cmocka_unit_test(test_newest_serial),
		cmocka_unit_test(test_P4_overlap),     cmocka_unit_test(test_platforms),
		cmocka_unit_test(test_P5_policy_digest), cmocka_unit_test(test_withdrawal_is_refused),
		cmocka_unit_test(test_holders),        cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests_name("reference", tests, NULL, NULL);
}
