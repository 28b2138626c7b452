/* SPDX-License-Identifier: Apache-2.0 */
/* Workload keys: in this TPM, in this boot, for this challenge, and the one that the log names. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/jose.h"
#include "base/text.h"
#include "tests/support/lab_check.h"

/* A host whose only instance has a key of this spec. */
static struct lab *with_key(const struct softtpm_spec *spec)
{
	struct lab *l = lab_new(SOFTTPM_AK_P256);
	struct softtpm_spec s = *spec;
	struct softtpm_key *k = NULL;

	lab_end(l, 0);
	if (s.parent == NULL)
		s.parent = l->tpm->null_primary;
	assert_false(failed(softtpm_key_new(&s, &k)));
	(void)lab_start_key(l, "agt", "image", "model", k);
	return l;
}

/* ---- C-area, C-log. */

static void cut_area(struct lab *l, struct evidence *ev)
{
	(void)l;
	ev->key[0].public_area.n--;
}

static void test_C_area(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);

	(void)state;
	refused(l, &(struct lab_change){ .evidence = cut_area }, "C-area");
}

/* L2: a good quote, and a good key of the forwarder's own beside it. */
static struct softtpm_key *a_key;
static void other_key(struct lab *l, struct evidence *ev)
{
	static struct buf attest, sig;
	static uint8_t extra[32];
	struct tpm_attest a;

	buf_free(&attest);
	buf_free(&sig);
	attest.max = sig.max = LIMIT_TPM2B;
	assert_false(failed(evidence_key_extra_data(BYTES_ARR(l->challenge.nonce), ev->claims,
						    tpm_name_bytes(&a_key->name), extra)));
	assert_false(failed(softtpm_certify_fields(l->tpm, l->tpm->ak, a_key, BYTES_ARR(extra), &a)));
	assert_false(failed(softtpm_attest_write(&a, BYTES_NONE, &attest)));
	assert_false(failed(softtpm_sign(l->tpm->ak, buf_bytes(&attest), &sig)));
	ev->key[ev->n_keys++] = (struct evidence_key){ buf_bytes(&a_key->area), buf_bytes(&attest), buf_bytes(&sig) };
}

static void test_C_log_L2_key_of_nobody(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
	cleanup_verdict struct verdict v;

	(void)state;
	verdict_init(&v);
	assert_false(failed(softtpm_workload_key(l->tpm, &a_key)));
	attest(l, &(struct lab_change){ .evidence = other_key }, &v);
	fails(&v, "C-log");
	assert_int_equal(v.result[row_of("C-key")], CHECK_PASS);
	softtpm_key_free(take_ptr(&a_key));
}

static void same_key_twice(struct lab *l, struct evidence *ev)
{
	(void)l;
	ev->key[ev->n_keys++] = ev->key[0];
}

static void test_C_log_twice(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
	cleanup_verdict struct verdict v;

	(void)state;
	verdict_init(&v);
	attest(l, &(struct lab_change){ .evidence = same_key_twice }, &v);
	fails(&v, "C-log");
}

/* C2: the public area of another key, beside the certification of the right one. */
static void swapped_area(struct lab *l, struct evidence *ev)
{
	(void)l;
	ev->key[0].public_area = buf_bytes(&a_key->area);
}

static void test_C2_other_area(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
	cleanup_verdict struct verdict v;

	(void)state;
	verdict_init(&v);
	assert_false(failed(softtpm_workload_key(l->tpm, &a_key)));
	attest(l, &(struct lab_change){ .evidence = swapped_area }, &v);
	fails(&v, "C-log");
	fails(&v, "C-key");
	softtpm_key_free(take_ptr(&a_key));
}

static uint8_t area[512];
static size_t flip_at;
static void flip_area(struct lab *l, struct evidence *ev)
{
	(void)l;
	memcpy(area, ev->key[0].public_area.p, ev->key[0].public_area.n);
	area[flip_at / 8] ^= (uint8_t)(1u << flip_at % 8);
	ev->key[0].public_area.p = area;
}

/* Every bit of the public area: the Name is computed, so none is free. */
static void test_C2_each_bit_of_the_area(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);

	(void)state;
	for (flip_at = 0; flip_at < 8 * l->instance[0].key->area.n; flip_at++) {
		cleanup_verdict struct verdict v;

		verdict_init(&v);
		attest(l, &(struct lab_change){ .evidence = flip_area }, &v);
		assert_false(verdict_passed(&v));
		assert_int_equal(v.result[row_of("C-key")], CHECK_FAIL);
	}
}

static void certified_other_name(struct lab *l, struct tpm_attest *a)
{
	a->name = tpm_name_bytes(&l->tpm->ek->name);
}

/* C2: the AK certified another Name than that of the area which the log names. */
static void test_C2_certified_name(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
	cleanup_verdict struct verdict v;

	(void)state;
	verdict_init(&v);
	attest(l, &(struct lab_change){ .key = certified_other_name }, &v);
	only_failure(&v, "C2");
}

/* ---- C3, C4. */

static void test_C3_attributes(void **state)
{
	static const uint32_t flips[] = {
		TPMA_FIXED_TPM, TPMA_FIXED_PARENT, TPMA_SENSITIVE_DATA_ORIGIN, TPMA_SIGN, TPMA_RESTRICTED,
		TPMA_DECRYPT, TPMA_ADMIN_WITH_POLICY, TPMA_USER_WITH_AUTH, TPMA_ST_CLEAR, TPMA_ENCRYPTED_DUPLICATION,
	};

	(void)state;
	for (size_t i = 0; i < array_len(flips); i++) {
		struct softtpm_spec spec = softtpm_spec_of(SOFTTPM_WORKLOAD);
		cleanup_lab struct lab *l = NULL;

		spec.attributes ^= flips[i];
		l = with_key(&spec);
		refused(l, NULL, "C3");
	}
}

static void test_C3_no_dictionary_attacks_is_allowed(void **state)
{
	struct softtpm_spec spec = softtpm_spec_of(SOFTTPM_WORKLOAD);
	cleanup_lab struct lab *l = NULL;

	(void)state;
	spec.attributes ^= TPMA_NO_DA;
	l = with_key(&spec);
	lab_must_pass(l);
}

static void test_C4_algorithm(void **state)
{
	struct softtpm_spec p384 = softtpm_spec_of(SOFTTPM_WORKLOAD), rsa = p384, no_scheme = p384, sha384 = p384;

	(void)state;
	p384.kind = KEY_EC_P384;
	rsa.kind = KEY_RSA;
	rsa.scheme = TPM_ALG_RSASSA;
	no_scheme.scheme = TPM_ALG_NULL;
	no_scheme.scheme_hash = 0;
	sha384.scheme_hash = TPM_ALG_SHA384;
	{
		const struct softtpm_spec *const specs[] = { &p384, &rsa, &no_scheme, &sha384 };

		for (size_t i = 0; i < array_len(specs); i++) {
			cleanup_lab struct lab *l = with_key(specs[i]);

			refused(l, NULL, "C4");
		}
	}
}

/* ---- C1. */

static void test_C1_other_ak(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256), *other = lab_new(SOFTTPM_AK_P256);

	(void)state;
	refused(l, &(struct lab_change){ .key_signer = other->tpm->ak }, "C1");
}

static void key_magic(struct lab *l, struct tpm_attest *a)
{
	(void)l;
	a->magic ^= 1;
}
static uint16_t a_type;
static void key_type(struct lab *l, struct tpm_attest *a)
{
	a->type = a_type;
	a->selection = l->challenge.selection;
	a->pcr_digest = a->extra_data;
}
static void key_qualified_signer(struct lab *l, struct tpm_attest *a)
{
	a->qualified_signer = tpm_name_bytes(&l->tpm->ek->qualified_name);
}

static void test_C1_structure(void **state)
{
	static const uint16_t types[] = { TPM_ST_ATTEST_QUOTE, TPM_ST_ATTEST_NV, 0x8019, 0x801a };

	(void)state;
	for (size_t i = 0; i < array_len(types); i++) {
		cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);

		/* Once certified, the null primary need not be; so only the key's certification is changed. */
		lab_must_pass(l);
		(void)lab_start(l, "agt", "image", "model");
		a_type = types[i];
		refused(l, &(struct lab_change){ .key = key_type, .body = BYTES_LIT("body") }, "C1");
		refused(l, &(struct lab_change){ .key = key_magic }, "C1");
		refused(l, &(struct lab_change){ .key = key_qualified_signer }, "C1");
	}
}

static void cut_attest(struct lab *l, struct evidence *ev)
{
	(void)l;
	ev->key[0].attest.n--;
}
static void cut_signature(struct lab *l, struct evidence *ev)
{
	(void)l;
	ev->key[0].signature.n--;
}
static void quote_as_certify(struct lab *l, struct evidence *ev)
{
	(void)l;
	ev->key[0].attest = ev->quote;
	ev->key[0].signature = ev->signature;
}

static void test_C1_bytes(void **state)
{
	static void (*const changes[])(struct lab *, struct evidence *) = { cut_attest, cut_signature };

	(void)state;
	for (size_t i = 0; i < array_len(changes); i++) {
		cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);

		refused(l, &(struct lab_change){ .evidence = changes[i] }, "C1");
	}
}

/* Q3 the other way round: the quote of this very evidence, given as a certification. */
static struct buf saved_quote = BUF_INIT(LIMIT_TPM2B), saved_sig = BUF_INIT(LIMIT_TPM2B);
static void test_C1_Q3_quote_as_certify(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
	cleanup_verdict struct verdict v;

	(void)state;
	verdict_init(&v);
	attest(l, &(struct lab_change){ .evidence = quote_as_certify }, &v);
	only_failure(&v, "C1");
}

static void certify_as_quote(struct lab *l, struct evidence *ev)
{
	(void)l;
	ev->quote = ev->key[0].attest;
	ev->signature = ev->key[0].signature;
}

static void test_Q3_certify_as_quote(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);

	(void)state;
	refused(l, &(struct lab_change){ .evidence = certify_as_quote }, "Q3");
}

/* ---- C5: for another request. */

static void save(struct lab *l, struct evidence *ev)
{
	(void)l;
	buf_clear(&saved_quote);
	buf_clear(&saved_sig);
	assert_false(failed(buf_add(&saved_quote, ev->key[0].attest)));
	assert_false(failed(buf_add(&saved_sig, ev->key[0].signature)));
}
static void replay(struct lab *l, struct evidence *ev)
{
	(void)l;
	ev->key[0].attest = buf_bytes(&saved_quote);
	ev->key[0].signature = buf_bytes(&saved_sig);
}

static void test_C5_other_challenge(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);

	(void)state;
	lab_challenge(l);
	lab_evidence(l, &(struct lab_change){ .evidence = save });
	refused(l, &(struct lab_change){ .evidence = replay }, "C5");
	buf_free(&saved_quote);
	buf_free(&saved_sig);
}

static uint8_t extra[32];
static void plain_nonce(struct lab *l, struct tpm_attest *a)
{
	/* What a quote would have: the key's Name is not covered. */
	assert_false(failed(evidence_qualifying_data(BYTES_ARR(l->challenge.nonce), BYTES_LIT("claims"), extra)));
	a->extra_data = BYTES_ARR(extra);
}
static void no_extra(struct lab *l, struct tpm_attest *a)
{
	(void)l;
	a->extra_data = BYTES_NONE;
}

static void test_C5_extra_data(void **state)
{
	static void (*const changes[])(struct lab *, struct tpm_attest *) = { plain_nonce, no_extra };

	(void)state;
	for (size_t i = 0; i < array_len(changes); i++) {
		cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);

		refused(l, &(struct lab_change){ .key = changes[i] }, "C5");
	}
}

/* ---- C8: the same boot as the quote. */

static void reset_before(struct lab *l, struct tpm_attest *a)
{
	(void)l;
	a->clock.reset_count--;
}
static void restart_before(struct lab *l, struct tpm_attest *a)
{
	(void)l;
	a->clock.restart_count++;
}

static void test_C8_other_boot(void **state)
{
	static void (*const changes[])(struct lab *, struct tpm_attest *) = { reset_before, restart_before };

	(void)state;
	for (size_t i = 0; i < array_len(changes); i++) {
		cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);

		refused(l, &(struct lab_change){ .key = changes[i] }, "C8");
	}
}

/* ---- C-parent. */

static void test_C_parent_other_hierarchy(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
	struct softtpm_spec primary = softtpm_spec_of(SOFTTPM_NULL_PRIMARY), spec = softtpm_spec_of(SOFTTPM_WORKLOAD);
	cleanup_softtpm_key struct softtpm_key *owner = NULL;
	struct softtpm_key *k = NULL;

	(void)state;
	/* A child of an owner primary is there again after every reset. */
	primary.hierarchy = TPM_RH_OWNER;
	assert_false(failed(softtpm_key_new(&primary, &owner)));
	spec.parent = owner;
	assert_false(failed(softtpm_key_new(&spec, &k)));
	lab_end(l, 0);
	(void)lab_start_key(l, "agt", "image", "model", k);
	refused(l, NULL, "C-parent");
}

static void test_C_parent_primary(void **state)
{
	struct softtpm_spec spec = softtpm_spec_of(SOFTTPM_WORKLOAD);
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
	struct softtpm_key *k = NULL;

	(void)state;
	spec.hierarchy = TPM_RH_NULL;
	assert_false(failed(softtpm_key_new(&spec, &k)));
	lab_end(l, 0);
	(void)lab_start_key(l, "agt", "image", "model", k);
	refused(l, NULL, "C-parent");
}

/* ---- C-key. */

static void without_key(struct lab *l, struct evidence *ev)
{
	(void)l;
	ev->n_keys = 0;
}

static void test_C_key_missing(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
	cleanup_verdict struct verdict v;

	(void)state;
	verdict_init(&v);
	attest(l, &(struct lab_change){ .evidence = without_key }, &v);
	only_failure(&v, "C-key");
	assert_int_equal(v.instance[0].key.instance_identity, 99);
	assert_string_equal(v.instance[0].jkt, "");
}

static void test_C_key_of_the_second_missing(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);

	(void)state;
	lab_must_pass(l);
	(void)lab_start(l, "agt", "image", "model");
	refused(l, &(struct lab_change){ .evidence = without_key }, "C-key");
	/* The first one is known from this boot. */
	lab_must_pass(l);
	assert_int_equal(l->ev->n_keys, 1);
	assert_true(l->state.instance[0].has_key && l->state.instance[1].has_key);
}

/* After a failure nothing is known any more. */
static void test_C_key_not_known_after_a_failure(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
	cleanup_verdict struct verdict v;

	(void)state;
	verdict_init(&v);
	lab_must_pass(l);
	assert_false(failed(softtpm_event(l->tpm, 2, BYTES_LIT("changed"))));
	attest(l, NULL, &v);
	fails(&v, "P-platform");
	lab_store(l, &v);
	lab_approve_platform(l);
	refused(l, &(struct lab_change){ .evidence = without_key }, "C-key");
	lab_must_pass(l);
}

/* ---- C6: what credentials are bound to. */

static void jkt_of(const struct key *k, char ret[JKT_LEN + 1])
{
	assert_false(failed(jwk_thumbprint(k, ret)));
}

/* A key whose X or Y begins with a zero byte has 32 bytes of coordinates all the same. */
static void test_C6_thumbprint(void **state)
{
	struct softtpm_spec spec = softtpm_spec_of(SOFTTPM_WORKLOAD);
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
	cleanup_buf struct buf x = BUF_INIT(32), y = BUF_INIT(32);
	cleanup_verdict struct verdict v;
	struct softtpm_key *k = NULL;
	char jkt[JKT_LEN + 1];

	(void)state;
	spec.parent = l->tpm->null_primary;
	do {
		buf_clear(&x);
		buf_clear(&y);
		softtpm_key_free(k);
		k = NULL;
		assert_false(failed(softtpm_key_new(&spec, &k)));
		assert_false(failed(key_numbers(k->key, &x, &y)));
	} while (x.p[0] != 0 && y.p[0] != 0);
	lab_end(l, 0);
	(void)lab_start_key(l, "agt", "image", "model", k);
	verdict_init(&v);
	attest(l, NULL, &v);
	passes(&v);
	jkt_of(l->instance[1].key->key, jkt);
	assert_string_equal(v.instance[0].jkt, jkt);
	assert_string_equal(v.next.instance[0].jkt, jkt);
	assert_memory_equal(v.next.instance[0].key_x, x.p, 32);
	assert_memory_equal(v.next.instance[0].key_y, y.p, 32);
}

/* Q16 for a certification: of its fields only these are free. The mutation test tries every bit. */
static void key_firmware(struct lab *l, struct tpm_attest *a)
{
	(void)l;
	a->firmware_version ^= 1;
}
static void key_clock(struct lab *l, struct tpm_attest *a)
{
	(void)l;
	a->clock.clock_ms ^= 1;
}

static void test_Q16_free_fields_of_a_certification(void **state)
{
	static void (*const changes[])(struct lab *, struct tpm_attest *) = { key_firmware, key_clock };
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);

	(void)state;
	for (size_t i = 0; i < array_len(changes); i++)
		accepted(l, &(struct lab_change){ .key = changes[i] });
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_C_area),
		cmocka_unit_test(test_C_log_L2_key_of_nobody),
		cmocka_unit_test(test_C_log_twice),
		cmocka_unit_test(test_C2_other_area),
		cmocka_unit_test(test_C2_each_bit_of_the_area),
		cmocka_unit_test(test_C2_certified_name),
		cmocka_unit_test(test_C3_attributes),
		cmocka_unit_test(test_C3_no_dictionary_attacks_is_allowed),
		cmocka_unit_test(test_C4_algorithm),
		cmocka_unit_test(test_C1_other_ak),
		cmocka_unit_test(test_C1_structure),
		cmocka_unit_test(test_C1_bytes),
		cmocka_unit_test(test_C1_Q3_quote_as_certify),
		cmocka_unit_test(test_Q3_certify_as_quote),
		cmocka_unit_test(test_C5_other_challenge),
		cmocka_unit_test(test_C5_extra_data),
		cmocka_unit_test(test_C8_other_boot),
		cmocka_unit_test(test_C_parent_other_hierarchy),
		cmocka_unit_test(test_C_parent_primary),
		cmocka_unit_test(test_C_key_missing),
		cmocka_unit_test(test_C_key_of_the_second_missing),
		cmocka_unit_test(test_C_key_not_known_after_a_failure),
		cmocka_unit_test(test_C6_thumbprint),
		cmocka_unit_test(test_Q16_free_fields_of_a_certification),
	};

	return cmocka_run_group_tests_name("appraise-keys", tests, NULL, NULL);
}
