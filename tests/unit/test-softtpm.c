/* SPDX-License-Identifier: Apache-2.0 */
/* The TPM in software behaves as the real ones do that were measured. */
#include "tests/support/softtpm.h"

#include "base/file.h"
#include "tests/unit/unit.h"

static struct softtpm_ca *ca;
static const struct pcr_selection pcr_13 = { 1, { { TPM_ALG_SHA256, 1u << 13 } } };

static struct softtpm *tpm_new(enum softtpm_template ek, enum softtpm_template ak)
{
	const struct softtpm_options o = { .ek = ek, .ak = ak };
	struct softtpm *t = NULL;

	assert_ok(softtpm_new(&o, &t));
	return t;
}

static void check_signed(const struct softtpm_key *signer, struct bytes data, struct bytes sig)
{
	cleanup_key struct key *k = NULL;
	enum sig_scheme scheme = SIG_NONE;
	enum digest_id hash = DIGEST_SHA1;
	struct tpm_signature s;

	assert_ok(tpm_public_key(&signer->pub, &k));
	assert_ok(tpm_public_scheme(&signer->pub, &scheme, &hash));
	assert_ok(tpm_signature_parse(sig, &s));
	assert_ok(tpm_signature_verify(&s, k, scheme, hash, data));
}

static void test_ek_certificate_passes_the_chain_check(void **state)
{
	static const enum softtpm_template eks[] = { SOFTTPM_EK_RSA2048, SOFTTPM_EK_P256, SOFTTPM_EK_P384 };

	(void)state;
	for (size_t i = 0; i < array_len(eks); i++) {
		const struct softtpm_options o = { .ek = eks[i], .ak = SOFTTPM_AK_P256, .ca = ca };
		cleanup_softtpm struct softtpm *t = NULL;
		cleanup_trust struct trust *trust = NULL;
		cleanup_key struct key *certified = NULL, *ek = NULL;
		struct reason why = { "" };

		assert_ok(softtpm_new(&o, &t));
		assert_ok(trust_new(&trust));
		assert_ok(trust_add(trust, ca->root));
		assert_err(ek_cert_verify(trust, t->ek_cert, NULL, 0, clock_now_s(), &why), E_AUTH_CERTIFICATE);
		assert_ok(ek_cert_verify(trust, t->ek_cert, &ca->issuer, 1, clock_now_s(), &why));
		assert_ok(cert_key(t->ek_cert, &certified));
		assert_ok(tpm_check_ek(&t->ek->pub, &why));
		assert_ok(tpm_public_key(&t->ek->pub, &ek));
		assert_true(key_equal(certified, ek));
	}
}

static void test_without_ca_there_is_no_certificate(void **state)
{
	cleanup_softtpm struct softtpm *t = tpm_new(SOFTTPM_EK_P256, SOFTTPM_AK_P256);

	(void)state;
	assert_null(t->ek_cert);
}

static void test_start_values(void **state)
{
	cleanup_softtpm struct softtpm *t = tpm_new(SOFTTPM_EK_P256, SOFTTPM_AK_P256);

	(void)state;
	assert_int_equal(t->clock.reset_count, 1);
	assert_int_equal(t->clock.restart_count, 0);
	assert_int_equal(t->clock.safe, 1);
	for (unsigned pcr = 0; pcr < LIMIT_PCRS; pcr++)
		assert_true(bytes_all(digest_bytes(&t->pcr[DIGEST_SHA256][pcr]), pcr >= 17 && pcr <= 22 ? 0xff : 0));
}

static void test_extend_and_reset_of_pcrs(void **state)
{
	const struct softtpm_options o = { .ek = SOFTTPM_EK_P256,
					   .ak = SOFTTPM_AK_P256,
					   .banks = 1u << DIGEST_SHA256 | 1u << DIGEST_SHA384 };
	cleanup_softtpm struct softtpm *t = NULL;
	struct digest event, want;
	static const uint8_t zeros[32];

	(void)state;
	assert_ok(softtpm_new(&o, &t));
	assert_ok(softtpm_event(t, 13, BYTES_LIT("event")));
	assert_ok(digest_one(DIGEST_SHA256, BYTES_LIT("event"), &event));
	const struct bytes parts[] = { BYTES_ARR(zeros), digest_bytes(&event) };
	assert_ok(digest_of(DIGEST_SHA256, &want, 2, parts));
	assert_bytes(digest_bytes(&t->pcr[DIGEST_SHA256][13]), digest_bytes(&want));
	assert_false(bytes_all(digest_bytes(&t->pcr[DIGEST_SHA384][13]), 0));
	assert_true(bytes_all(digest_bytes(&t->pcr[DIGEST_SHA512][13]), 0));
	assert_err(softtpm_extend(t, DIGEST_SHA512, 13, BYTES_ARR(want.v)), E_PEER_RANGE);
	assert_err(softtpm_extend(t, DIGEST_SHA256, 24, BYTES(want.v, 32)), E_PEER_RANGE);
	assert_err(softtpm_extend(t, DIGEST_SHA256, 13, BYTES(want.v, 31)), E_PEER_RANGE);
	assert_err(softtpm_pcr_reset(t, 13), E_PEER_RANGE);
	assert_ok(softtpm_event(t, 16, BYTES_LIT("event")));
	assert_ok(softtpm_pcr_reset(t, 16));
	assert_true(bytes_all(digest_bytes(&t->pcr[DIGEST_SHA256][16]), 0));
}

/* attestation-checks, section 6: one row after the other. */
static void test_transitions(void **state)
{
	cleanup_softtpm struct softtpm *t = tpm_new(SOFTTPM_EK_P256, SOFTTPM_AK_P256);
	struct tpm_name null_name = t->null_primary->name;
	struct digest pcr;

	(void)state;
	softtpm_tick(t, 1000);
	assert_ok(softtpm_event(t, 13, BYTES_LIT("event")));
	pcr = t->pcr[DIGEST_SHA256][13];

	softtpm_resume(t);
	assert_int_equal(t->clock.reset_count, 1);
	assert_int_equal(t->clock.restart_count, 1);
	assert_bytes(digest_bytes(&t->pcr[DIGEST_SHA256][13]), digest_bytes(&pcr));
	assert_bytes(tpm_name_bytes(&t->null_primary->name), tpm_name_bytes(&null_name));

	softtpm_restart(t);
	assert_int_equal(t->clock.reset_count, 1);
	assert_int_equal(t->clock.restart_count, 2);
	assert_true(bytes_all(digest_bytes(&t->pcr[DIGEST_SHA256][13]), 0));
	assert_bytes(tpm_name_bytes(&t->null_primary->name), tpm_name_bytes(&null_name));

	assert_ok(softtpm_reset(t));
	assert_int_equal(t->clock.reset_count, 2);
	assert_int_equal(t->clock.restart_count, 0);
	assert_int_equal(t->clock.clock_ms, 1000);
	assert_int_equal(t->clock.safe, 1);
	assert_false(bytes_eq(tpm_name_bytes(&t->null_primary->name), tpm_name_bytes(&null_name)));

	assert_ok(softtpm_power_loss(t, 7));
	assert_int_equal(t->clock.reset_count, 3);
	assert_int_equal(t->clock.clock_ms, 993);
	assert_int_equal(t->clock.safe, 0);
	softtpm_tick(t, 7);
	assert_int_equal(t->clock.safe, 0);
	softtpm_tick(t, 1);
	assert_int_equal(t->clock.safe, 1);

	softtpm_clear(t);
	assert_int_equal(t->clock.reset_count, 0);
	assert_int_equal(t->clock.restart_count, 0);
	assert_int_equal(t->clock.clock_ms, 0);
}

static void test_quote_is_what_a_verifier_expects(void **state)
{
	(void)state;
	for (size_t ak = SOFTTPM_AK_P256; ak <= SOFTTPM_AK_RSAPSS; ak++) {
		cleanup_softtpm struct softtpm *t = tpm_new(SOFTTPM_EK_P256, (enum softtpm_template)ak);
		cleanup_buf struct buf attest = BUF_INIT(LIMIT_TPM2B), sig = BUF_INIT(LIMIT_TPM2B);
		cleanup_buf struct buf want = BUF_INIT(LIMIT_TPM2B);
		struct tpm_name qualified;
		struct tpm_attest a;
		struct digest d;

		assert_ok(softtpm_event(t, 13, BYTES_LIT("event")));
		assert_ok(softtpm_quote(t, t->ak, BYTES_LIT("extra"), &pcr_13, &attest, &sig));
		check_signed(t->ak, buf_bytes(&attest), buf_bytes(&sig));
		assert_ok(tpm_attest_parse(buf_bytes(&attest), &a));
		assert_ok(tpm_qualified_name_primary(TPM_RH_ENDORSEMENT, &t->ak->name, &qualified));
		assert_bytes(a.qualified_signer, tpm_name_bytes(&qualified));
		assert_ok(tpm_pcr_digest(ak == SOFTTPM_AK_P384 ? DIGEST_SHA384 : DIGEST_SHA256, 1,
					 &t->pcr[DIGEST_SHA256][13], &d));
		assert_ok(tpm_quote_expected(&a, BYTES_LIT("extra"), &pcr_13, digest_bytes(&d), &want));
		assert_bytes(buf_bytes(&want), buf_bytes(&attest));
	}
}

static void test_certify_is_what_a_verifier_expects(void **state)
{
	cleanup_softtpm struct softtpm *t = tpm_new(SOFTTPM_EK_P256, SOFTTPM_AK_P256);
	cleanup_buf struct buf attest = BUF_INIT(LIMIT_TPM2B), sig = BUF_INIT(LIMIT_TPM2B);
	cleanup_buf struct buf want = BUF_INIT(LIMIT_TPM2B);
	cleanup_softtpm_key struct softtpm_key *wk = NULL;
	struct tpm_name parent, qualified;
	struct tpm_attest a;

	(void)state;
	assert_ok(softtpm_workload_key(t, &wk));
	assert_ok(tpm_check_workload_key(&wk->pub, NULL));
	assert_ok(tpm_check_null_primary(&t->null_primary->pub, NULL));
	assert_ok(softtpm_certify(t, t->ak, wk, BYTES_LIT("extra"), &attest, &sig));
	check_signed(t->ak, buf_bytes(&attest), buf_bytes(&sig));
	assert_ok(tpm_attest_parse(buf_bytes(&attest), &a));
	assert_ok(tpm_qualified_name_primary(TPM_RH_NULL, &t->null_primary->name, &parent));
	assert_ok(tpm_qualified_name_child(&parent, &wk->name, &qualified));
	assert_ok(tpm_certify_expected(&a, BYTES_LIT("extra"), &wk->name, &qualified, &want));
	assert_bytes(buf_bytes(&want), buf_bytes(&attest));
}

/* Fields changed before signing: the signature holds over what is then there. */
static void test_fields_can_be_changed_and_signed(void **state)
{
	cleanup_softtpm struct softtpm *t = tpm_new(SOFTTPM_EK_P256, SOFTTPM_AK_P256);
	cleanup_buf struct buf attest = BUF_INIT(LIMIT_TPM2B), sig = BUF_INIT(LIMIT_TPM2B);
	struct tpm_attest a, got;
	struct digest d;

	(void)state;
	assert_ok(softtpm_quote_fields(t, t->ak, BYTES_LIT("extra"), &pcr_13, &d, &a));
	a.magic = 0x12345678;
	a.clock.reset_count = 77;
	assert_ok(softtpm_attest_write(&a, BYTES_NONE, &attest));
	assert_ok(softtpm_sign(t->ak, buf_bytes(&attest), &sig));
	check_signed(t->ak, buf_bytes(&attest), buf_bytes(&sig));
	assert_ok(tpm_attest_parse(buf_bytes(&attest), &got));
	assert_int_equal(got.magic, 0x12345678);
	assert_int_equal(got.clock.reset_count, 77);
}

static void test_K4_owner_hierarchy_sees_masked_counters(void **state)
{
	cleanup_softtpm struct softtpm *t = tpm_new(SOFTTPM_EK_P256, SOFTTPM_AK_P256);
	struct softtpm_spec spec = softtpm_spec_of(SOFTTPM_AK_P256);
	cleanup_softtpm_key struct softtpm_key *ak = NULL;
	struct tpm_name endorsement;
	struct tpm_attest a, b;
	struct digest d;

	(void)state;
	spec.hierarchy = TPM_RH_OWNER;
	assert_ok(softtpm_key_new(&spec, &ak));
	assert_ok(softtpm_quote_fields(t, ak, BYTES_NONE, &pcr_13, &d, &a));
	assert_int_not_equal(a.clock.reset_count, t->clock.reset_count);
	assert_int_not_equal(a.clock.restart_count, t->clock.restart_count);
	assert_true(a.firmware_version != t->firmware_version);
	/* The mask is a constant of the key: differences are true. */
	assert_ok(softtpm_reset(t));
	assert_ok(softtpm_quote_fields(t, ak, BYTES_NONE, &pcr_13, &d, &b));
	assert_int_equal(b.clock.reset_count - a.clock.reset_count, 1);
	assert_ok(tpm_qualified_name_primary(TPM_RH_ENDORSEMENT, &ak->name, &endorsement));
	assert_false(bytes_eq(tpm_name_bytes(&endorsement), a.qualified_signer));
}

/* What an enrolment does, from public areas to the released secret. */
static void test_enrolment(void **state)
{
	static const enum softtpm_template eks[] = { SOFTTPM_EK_RSA2048, SOFTTPM_EK_P256, SOFTTPM_EK_P384 };

	(void)state;
	for (size_t i = 0; i < array_len(eks); i++) {
		cleanup_softtpm struct softtpm *t = tpm_new(eks[i], SOFTTPM_AK_P256);
		cleanup_buf struct buf blob = BUF_INIT(LIMIT_TPM2B), sealed = BUF_INIT(LIMIT_TPM2B);
		cleanup_buf struct buf secret = BUF_INIT(64);
		struct tpm_public ek, ak;
		struct tpm_name name;

		assert_ok(tpm_public_parse(buf_bytes(&t->ek->area), &ek));
		assert_ok(tpm_public_parse(buf_bytes(&t->ak->area), &ak));
		assert_ok(tpm_check_ek(&ek, NULL));
		assert_ok(tpm_check_ak(&ak, NULL));
		assert_ok(tpm_public_name(&ak, &name));
		assert_ok(tpm_make_credential(&ek, &name, BYTES_LIT("secret"), &blob, &sealed));
		assert_ok(softtpm_activate(t, &t->ak->name, buf_bytes(&blob), buf_bytes(&sealed), &secret));
		assert_bytes(buf_bytes(&secret), BYTES_LIT("secret"));
	}
}

/* Keys that a host might offer and that are no AK. */
static void test_K2_other_keys_can_be_made(void **state)
{
	static const uint32_t flips[] = { TPMA_RESTRICTED, TPMA_DECRYPT, TPMA_FIXED_TPM, TPMA_FIXED_PARENT,
					  TPMA_SENSITIVE_DATA_ORIGIN };

	(void)state;
	for (size_t i = 0; i < array_len(flips); i++) {
		struct softtpm_spec spec = softtpm_spec_of(SOFTTPM_AK_P256);
		cleanup_softtpm_key struct softtpm_key *k = NULL;

		spec.attributes ^= flips[i];
		assert_ok(softtpm_key_new(&spec, &k));
		assert_err(tpm_check_ak(&k->pub, NULL), E_PEER_RANGE);
	}
}

static int setup(void **state)
{
	(void)state;
	return failed(softtpm_ca_new(&ca));
}

static int teardown(void **state)
{
	(void)state;
	softtpm_ca_free(ca);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ek_certificate_passes_the_chain_check),
		cmocka_unit_test(test_without_ca_there_is_no_certificate),
		cmocka_unit_test(test_start_values),
		cmocka_unit_test(test_extend_and_reset_of_pcrs),
		cmocka_unit_test(test_transitions),
		cmocka_unit_test(test_quote_is_what_a_verifier_expects),
		cmocka_unit_test(test_certify_is_what_a_verifier_expects),
		cmocka_unit_test(test_fields_can_be_changed_and_signed),
		cmocka_unit_test(test_K4_owner_hierarchy_sees_masked_counters),
		cmocka_unit_test(test_enrolment),
		cmocka_unit_test(test_K2_other_keys_can_be_made),
	};

	return cmocka_run_group_tests_name("softtpm", tests, setup, teardown);
}
