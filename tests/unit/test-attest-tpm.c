/* SPDX-License-Identifier: Apache-2.0 */
/* attest: connection, EK, AK, boot, workload key, on a real software TPM with three slots. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>

#include "attest/ak.h"
#include "attest/boot.h"
#include "attest/ek.h"
#include "attest/tpm_session.h"
#include "attest/wkey.h"
#include "base/file.h"
#include "tests/support/attest_fixture.h"
#include "tests/support/fault_tcti.h"

static const uint8_t data32[32] = { 1, 2, 3 };

/* The two, each with a null primary for as long as it takes. */
static struct err create_key(struct tpm *tpm, const struct tpm_handle *session, struct wkey_blob *ret,
			     struct tpm_name *ret_name)
{
	cleanup_tpm_handle struct tpm_handle primary = TPM_HANDLE_NONE;
	cleanup_buf struct buf parent = BUF_INIT(LIMIT_TPM2B);
	struct tpm_name parent_name;
	struct err e = boot_null_primary(tpm, &primary, &parent, &parent_name);

	return failed(e) ? e : wkey_create(&primary, session, ret, ret_name);
}

static struct err load_key(struct tpm *tpm, const struct wkey_blob *blob, struct tpm_handle *ret)
{
	cleanup_tpm_handle struct tpm_handle primary = TPM_HANDLE_NONE;
	cleanup_buf struct buf parent = BUF_INIT(LIMIT_TPM2B);
	struct tpm_name parent_name;
	struct err e = boot_null_primary(tpm, &primary, &parent, &parent_name);

	return failed(e) ? e : wkey_load(&primary, blob, ret);
}

/* Everything that one host ever does with its TPM; ak_name NULL: as at enrolment. */
static struct err cycle(struct tpm *tpm, const struct tpm_name *ak_name)
{
	const struct ak_spec spec = { AK_ECC_P256, AK_HANDLE, ak_name };
	const struct pcr_selection pcrs = { .n = 1, .bank = { { TPM_ALG_SHA256, 0xffffff } } };
	cleanup_tpm_handle struct tpm_handle session = TPM_HANDLE_NONE, key = TPM_HANDLE_NONE;
	cleanup_tpm_handle struct tpm_handle primary = TPM_HANDLE_NONE;
	cleanup_attestation struct attestation quote = ATTESTATION_INIT, certify = ATTESTATION_INIT;
	cleanup_wkey_blob struct wkey_blob blob = WKEY_BLOB_INIT;
	cleanup_buf struct buf signature = BUF_INIT(128);
	cleanup_ek_certs struct ek_certs certs;
	cleanup_boot struct boot boot = BOOT_INIT;
	cleanup_ek struct ek ek = EK_INIT;
	cleanup_ak struct ak ak = AK_INIT;
	struct digest values[LIMIT_PCRS];
	struct tpm_name wkey_name;
	struct err e;

	ek_certs_init(&certs);
	if (failed(e = ek_open(tpm, EK_RSA_2048, &ek)) || failed(e = ek_certs_from_nv(tpm, EK_RSA_2048, &certs)) ||
	    failed(e = ek_session(&ek, &ek.name, &session)) || failed(e = boot_read(tpm, &boot)) ||
	    failed(e = boot_primary(tpm, &boot, &primary)) ||
	    failed(e = wkey_create(&primary, &session, &blob, &wkey_name)) ||
	    failed(e = wkey_load(&primary, &blob, &key)))
		return e;
	tpm_handle_done(&primary);
	if (failed(e = ak_open(tpm, &spec, &session, &ak)) ||
	    failed(e = ak_certify(&ak, &key, session.tr, BYTES_ARR(data32), &certify)) ||
	    failed(e = wkey_sign(&key, &session, BYTES_LIT("to be signed"), &signature)) ||
	    failed(e = ak_quote(&ak, BYTES_ARR(data32), &pcrs, &quote)))
		return e;
	return tpm_pcr_read(tpm, &pcrs, LIMIT_PCRS, values);
}

static struct err whole_cycle(struct tpm *tpm)
{
	return cycle(tpm, NULL);
}

static struct tpm_name name_of_ak(struct tpm *tpm)
{
	const struct ak_spec spec = { AK_ECC_P256, AK_HANDLE, NULL };
	cleanup_ak struct ak ak = AK_INIT;

	OK(ak_open(tpm, &spec, NULL, &ak));
	return ak.name;
}

static void test_handles_after_many_runs(void **state)
{
	unsigned runs = fixture_runs("ASSAY_TEST_TPM_RUNS", 1000, 40);
	TSS2_TCTI_CONTEXT *tcti = fixture_connect();
	struct tpm *tpm = NULL;
	struct tpm_name ak;

	(void)state;
	OK(tpm_open_tcti(tcti, TPM_TIMEOUT_S, &fixture_why, &tpm));
	ak = name_of_ak(tpm);
	for (unsigned i = 0; i < runs; i++) {
		OK(cycle(tpm, &ak));
		assert_int_equal(tpm->generation, 0);
		/* Both ways: many in one connection, and in new ones. */
		if (i % 2 == 0)
			continue;
		assert_int_equal(fixture_loaded(tcti), 0);
		tpm_close(tpm);
		tpm = NULL;
		OK(tpm_open_tcti(tcti, TPM_TIMEOUT_S, &fixture_why, &tpm));
	}
	tpm_close(tpm);
	assert_int_equal(fixture_loaded(tcti), 0);
	fixture_disconnect(&tcti);
}

/* Fails the k-th command for every k, in each way, and wants an error, no object left, and a TPM that works. */
static void every_fault(enum fault_tcti_kind kind, uint32_t code)
{
	TSS2_TCTI_CONTEXT *tcti = fixture_connect();
	struct fault_tcti f;
	struct tpm *tpm;
	unsigned n;

	fault_tcti_init(&f, tcti);
	OK(tpm_open_tcti(fault_tcti_context(&f), TPM_TIMEOUT_S, &fixture_why, &tpm));
	fault_tcti_arm(&f, FAULT_TCTI_NONE, 0, 0, 0);
	OK(whole_cycle(tpm));
	n = f.n_commands;
	assert_true(n > 25);
	tpm_close(tpm);

	for (unsigned k = 0; k < n; k++) {
		struct err e;

		tpm = NULL;
		fault_tcti_arm(&f, FAULT_TCTI_NONE, 0, 0, 0);
		OK(tpm_open_tcti(fault_tcti_context(&f), TPM_TIMEOUT_S, &fixture_why, &tpm));
		fault_tcti_arm(&f, kind, k, 1, code);
		e = whole_cycle(tpm);
		/* A flush is the one command whose failure is no failure of the whole. */
		if (!failed(e))
			assert_true(kind == FAULT_TCTI_CODE || tpm->generation > 0);
		fault_tcti_arm(&f, FAULT_TCTI_NONE, 0, 0, 0);
		OK(whole_cycle(tpm));
		tpm_close(tpm);
		assert_int_equal(fixture_loaded(tcti), 0);
	}
	fault_tcti_done(&f);
	fixture_disconnect(&tcti);
}

static void test_lost_command(void **state)
{
	(void)state;
	every_fault(FAULT_TCTI_COMMAND, 0);
}

static void test_lost_answer(void **state)
{
	(void)state;
	every_fault(FAULT_TCTI_ANSWER, 0);
}

static void test_tpm_failure_codes(void **state)
{
	(void)state;
	every_fault(FAULT_TCTI_CODE, TPM2_RC_FAILURE);
	every_fault(FAULT_TCTI_CODE, TPM2_RC_OBJECT_MEMORY);
}

/* A lost answer while opening, when nothing of ours is there yet. */
static void test_fault_while_opening(void **state)
{
	TSS2_TCTI_CONTEXT *tcti = fixture_connect();
	struct tpm *tpm = NULL;
	struct fault_tcti f;
	unsigned k;

	(void)state;
	fault_tcti_init(&f, tcti);
	for (k = 0; k < 20; k++) {
		fault_tcti_arm(&f, FAULT_TCTI_ANSWER, k, 1, 0);
		if (!failed(tpm_open_tcti(fault_tcti_context(&f), TPM_TIMEOUT_S, &fixture_why, &tpm)))
			break;
		assert_null(tpm);
	}
	assert_in_range(k, 4, 19);
	tpm_close(tpm);
	fault_tcti_done(&f);
	fixture_disconnect(&tcti);
}

static void test_busy_tpm(void **state)
{
	static const uint32_t codes[] = { TPM2_RC_RETRY, TPM2_RC_YIELDED, TPM2_RC_TESTING };
	TSS2_TCTI_CONTEXT *tcti = fixture_connect();
	struct tpm_clock clock;
	struct fault_tcti f;
	struct tpm *tpm;

	(void)state;
	fault_tcti_init(&f, tcti);
	OK(tpm_open_tcti(fault_tcti_context(&f), TPM_TIMEOUT_S, &fixture_why, &tpm));
	for (size_t i = 0; i < array_len(codes); i++) {
		/* More often than ESYS tries by itself. */
		fault_tcti_arm(&f, FAULT_TCTI_CODE, 0, 20, codes[i]);
		OK(tpm_read_clock(tpm, &clock));
		assert_true(f.n_commands > 20);
	}
	fault_tcti_arm(&f, FAULT_TCTI_CODE, 0, UINT32_MAX, TPM2_RC_RETRY);
	FAILS(E_LOCAL_TPM, tpm_read_clock(tpm, &clock));
	assert_false(tpm->broken);
	fault_tcti_arm(&f, FAULT_TCTI_NONE, 0, 0, 0);
	OK(tpm_read_clock(tpm, &clock));
	tpm_close(tpm);
	fault_tcti_done(&f);
	fixture_disconnect(&tcti);
}

static void leave_behind(TSS2_TCTI_CONTEXT *tcti, unsigned n)
{
	struct tpm *tpm;

	OK(tpm_open_tcti(tcti, TPM_TIMEOUT_S, &fixture_why, &tpm));
	for (unsigned i = 0; i < n; i++) {
		struct buf public = BUF_INIT(LIMIT_TPM2B);
		struct tpm_handle h = TPM_HANDLE_NONE;
		struct tpm_name name;

		OK(boot_null_primary(tpm, &h, &public, &name));
		OK(session_hmac(tpm, NULL, &h));
		buf_free(&public);
	}
	tpm_close(tpm);
}

/* What a killed process left in a TPM without a resource manager. */
static void test_leftovers(void **state)
{
	TSS2_TCTI_CONTEXT *tcti = fixture_connect();
	struct tpm *tpm;

	(void)state;
	leave_behind(tcti, 3);
	assert_int_equal(fixture_loaded(tcti), 6);
	OK(tpm_open_tcti(tcti, TPM_TIMEOUT_S, &fixture_why, &tpm));
	OK(whole_cycle(tpm));
	tpm_close(tpm);
	assert_int_equal(fixture_loaded(tcti), 0);
	fixture_disconnect(&tcti);
}

static void check_quote(const struct ak *ak, const struct attestation *a, const struct pcr_selection *s,
			const struct digest *values)
{
	cleanup_buf struct buf want = BUF_INIT(LIMIT_TPM2B);
	cleanup_key struct key *key = NULL;
	struct tpm_signature signature;
	struct tpm_attest attest;
	struct tpm_public public;
	enum sig_scheme scheme;
	struct tpm_name qualified;
	struct digest pcrs;
	enum digest_id hash;

	OK(tpm_public_parse(buf_bytes(&ak->public_area), &public));
	OK(tpm_check_ak(&public, &fixture_why));
	OK(tpm_public_key(&public, &key));
	OK(tpm_public_scheme(&public, &scheme, &hash));
	OK(tpm_attest_parse(buf_bytes(&a->attest), &attest));
	OK(tpm_signature_parse(buf_bytes(&a->signature), &signature));
	OK(tpm_signature_verify(&signature, key, scheme, hash, buf_bytes(&a->attest)));
	OK(tpm_pcr_digest(hash, pcr_selection_count(s), values, &pcrs));
	OK(tpm_quote_expected(&attest, BYTES_ARR(data32), s, digest_bytes(&pcrs), &want));
	assert_true(bytes_eq(buf_bytes(&want), buf_bytes(&a->attest)));
	OK(tpm_qualified_name_primary(TPM_RH_ENDORSEMENT, &ak->name, &qualified));
	assert_true(bytes_eq(attest.qualified_signer, tpm_name_bytes(&qualified)));
}

static void test_quote(void **state)
{
	static const struct {
		enum ak_kind kind;
		TPM2_HANDLE handle;
	} cases[] = { { AK_ECC_P256, AK_HANDLE }, { AK_RSA_2048, AK_HANDLE + 1 } };
	const struct pcr_selection s = { .n = 2, .bank = { { TPM_ALG_SHA256, 0x20ff }, { TPM_ALG_SHA384, 0xffffff } } };
	struct digest values[64];

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		cleanup_tpm struct tpm *tpm = NULL;
		cleanup_attestation struct attestation a = ATTESTATION_INIT;
		cleanup_ak struct ak ak = AK_INIT;
		const struct ak_spec spec = { cases[i].kind, cases[i].handle, NULL };

		OK(harness_extend(fixture_harness, 0, 3, BYTES_LIT("boot event"), &fixture_why));
		OK(tpm_open(harness_tcti(fixture_harness, 0), TPM_TIMEOUT_S, &fixture_why, &tpm));
		OK(ak_open(tpm, &spec, NULL, &ak));
		assert_true(ak.handle.persistent);
		OK(ak_quote(&ak, BYTES_ARR(data32), &s, &a));
		OK(tpm_pcr_read(tpm, &s, pcr_selection_count(&s), values));
		assert_int_equal(values[0].n, 32);
		assert_int_equal(values[9].n, 48);
		assert_false(bytes_all(digest_bytes(&values[3]), 0));
		check_quote(&ak, &a, &s, values);
	}
}

static void test_pcr_read_of_absent_bank(void **state)
{
	cleanup_tpm struct tpm *tpm = NULL;
	const struct pcr_selection s = { .n = 1, .bank = { { TPM_ALG_SHA512, 1 } } };
	struct tpm_banks banks;
	struct digest value;

	(void)state;
	OK(tpm_open(harness_tcti(fixture_harness, 0), TPM_TIMEOUT_S, &fixture_why, &tpm));
	FAILS(E_LOCAL_NOT_FOUND, tpm_pcr_read(tpm, &s, 1, &value));
	FAILS(E_BUG, tpm_pcr_read(tpm, &s, 2, &value));
	OK(tpm_banks(tpm, 13, &banks));
	assert_int_equal(banks.n, 2);
	assert_int_equal(banks.bank[0], DIGEST_SHA256);
	assert_int_equal(banks.bank[1], DIGEST_SHA384);
}

static void check_certify(struct tpm *tpm, const struct ak *ak, const struct wkey_blob *blob,
			  const struct tpm_name *name, const struct attestation *a)
{
	cleanup_buf struct buf want = BUF_INIT(LIMIT_TPM2B), parent = BUF_INIT(LIMIT_TPM2B);
	cleanup_tpm_handle struct tpm_handle primary = TPM_HANDLE_NONE;
	struct tpm_name parent_name, parent_qn, qn;
	cleanup_key struct key *key = NULL;
	struct tpm_signature signature;
	struct tpm_attest attest;
	struct tpm_public public;

	OK(tpm_public_parse(buf_bytes(&blob->public_area), &public));
	OK(tpm_check_workload_key(&public, &fixture_why));
	OK(boot_null_primary(tpm, &primary, &parent, &parent_name));
	OK(tpm_public_parse(buf_bytes(&parent), &public));
	OK(tpm_check_null_primary(&public, &fixture_why));
	OK(tpm_qualified_name_primary(TPM_RH_NULL, &parent_name, &parent_qn));
	OK(tpm_qualified_name_child(&parent_qn, name, &qn));
	OK(tpm_public_parse(buf_bytes(&ak->public_area), &public));
	OK(tpm_public_key(&public, &key));
	OK(tpm_attest_parse(buf_bytes(&a->attest), &attest));
	OK(tpm_signature_parse(buf_bytes(&a->signature), &signature));
	OK(tpm_signature_verify(&signature, key, SIG_ECDSA, DIGEST_SHA256, buf_bytes(&a->attest)));
	OK(tpm_certify_expected(&attest, BYTES_ARR(data32), name, &qn, &want));
	assert_true(bytes_eq(buf_bytes(&want), buf_bytes(&a->attest)));
}

static void check_signature(const struct wkey_blob *blob, struct bytes data, struct bytes raw)
{
	cleanup_key struct key *key = NULL;
	struct tpm_public public;

	OK(tpm_public_parse(buf_bytes(&blob->public_area), &public));
	OK(tpm_public_key(&public, &key));
	OK(key_verify(key, SIG_ECDSA, DIGEST_SHA256, data, raw));
}

static void test_workload_key(void **state)
{
	cleanup_tpm struct tpm *tpm = NULL;
	cleanup_tpm_handle struct tpm_handle session = TPM_HANDLE_NONE, key = TPM_HANDLE_NONE;
	cleanup_attestation struct attestation a = ATTESTATION_INIT;
	cleanup_wkey_blob struct wkey_blob blob = WKEY_BLOB_INIT;
	cleanup_buf struct buf signature = BUF_INIT(128);
	const struct ak_spec spec = { AK_ECC_P256, AK_HANDLE, NULL };
	cleanup_ek struct ek ek = EK_INIT;
	cleanup_ak struct ak ak = AK_INIT;
	struct tpm_name name;

	(void)state;
	OK(tpm_open(harness_tcti(fixture_harness, 0), TPM_TIMEOUT_S, &fixture_why, &tpm));
	OK(ek_open(tpm, EK_RSA_2048, &ek));
	OK(ek_session(&ek, &ek.name, &session));
	OK(create_key(tpm, &session, &blob, &name));
	OK(load_key(tpm, &blob, &key));
	OK(ak_open(tpm, &spec, &session, &ak));
	OK(ak_certify(&ak, &key, session.tr, BYTES_ARR(data32), &a));
	OK(wkey_sign(&key, &session, BYTES_LIT("payload"), &signature));
	check_signature(&blob, BYTES_LIT("payload"), buf_bytes(&signature));
	tpm_handle_done(&key);
	check_certify(tpm, &ak, &blob, &name, &a);
	blob.auth.p[0] ^= 1;
	OK(load_key(tpm, &blob, &key));
	FAILS(E_LOCAL_TPM, wkey_sign(&key, &session, BYTES_LIT("payload"), &signature));
	tpm_handle_done(&key);
	OK(buf_truncate(&blob.private, blob.private.n - 1));
	FAILS(E_LOCAL_IO, load_key(tpm, &blob, &key));
}

/* r and s with leading zeros occur; a thousand signatures have some. */
static void test_many_signatures(void **state)
{
	cleanup_tpm struct tpm *tpm = NULL;
	unsigned runs = fixture_runs("ASSAY_TEST_SIGNATURES", 1000, 100);
	cleanup_tpm_handle struct tpm_handle session = TPM_HANDLE_NONE, key = TPM_HANDLE_NONE;
	cleanup_wkey_blob struct wkey_blob blob = WKEY_BLOB_INIT;
	cleanup_ek struct ek ek = EK_INIT;
	struct tpm_name name;

	(void)state;
	OK(tpm_open(harness_tcti(fixture_harness, 0), TPM_TIMEOUT_S, &fixture_why, &tpm));
	OK(ek_open(tpm, EK_RSA_2048, &ek));
	OK(ek_session(&ek, &ek.name, &session));
	OK(create_key(tpm, &session, &blob, &name));
	OK(load_key(tpm, &blob, &key));
	for (unsigned i = 0; i < runs; i++) {
		cleanup_buf struct buf signature = BUF_INIT(128);

		OK(wkey_sign(&key, &session, BYTES(&i, sizeof(i)), &signature));
		assert_int_equal(signature.n, WKEY_SIGNATURE_LEN);
		check_signature(&blob, BYTES(&i, sizeof(i)), buf_bytes(&signature));
	}
}

/* Neither the authValue nor the activated secret may be seen by who listens to the bus. */
static void test_secrets_stay_off_the_bus(void **state)
{
	static const uint8_t secret[32] = "a secret that the verifier made";
	cleanup_tpm_handle struct tpm_handle session = TPM_HANDLE_NONE, key = TPM_HANDLE_NONE;
	cleanup_buf struct buf credential = BUF_INIT(1024), wrapped = BUF_INIT(1024), released = BUF_INIT(64);
	cleanup_buf struct buf signature = BUF_INIT(256);
	cleanup_attestation struct attestation certify = ATTESTATION_INIT;
	cleanup_wkey_blob struct wkey_blob blob = WKEY_BLOB_INIT;
	const struct ak_spec spec = { AK_ECC_P256, AK_HANDLE, NULL };
	TSS2_TCTI_CONTEXT *tcti = fixture_connect();
	cleanup_ek struct ek ek = EK_INIT;
	cleanup_ak struct ak ak = AK_INIT;
	struct tpm_public public;
	struct tpm_name name;
	struct fault_tcti f;
	struct tpm *tpm;

	(void)state;
	fault_tcti_init(&f, tcti);
	f.listens = true;
	OK(tpm_open_tcti(fault_tcti_context(&f), TPM_TIMEOUT_S, &fixture_why, &tpm));
	OK(ek_open(tpm, EK_RSA_2048, &ek));
	OK(ek_session_first(&ek, &session));
	OK(ak_open(tpm, &spec, &session, &ak));
	OK(tpm_public_parse(buf_bytes(&ek.public_area), &public));
	OK(tpm_make_credential(&public, &ak.name, BYTES_ARR(secret), &credential, &wrapped));
	OK(ek_activate(&ek, &ak.handle, &session, buf_bytes(&credential), buf_bytes(&wrapped), &released));
	assert_true(bytes_eq(buf_bytes(&released), BYTES_ARR(secret)));
	OK(create_key(tpm, &session, &blob, &name));
	OK(load_key(tpm, &blob, &key));
	OK(wkey_sign(&key, &session, BYTES_LIT("payload"), &signature));
	/* To use the key no salt is needed: as in a DPoP proof, and in evidence. */
	tpm_handle_done(&session);
	OK(session_hmac(tpm, NULL, &session));
	OK(wkey_sign(&key, &session, BYTES_LIT("payload"), &signature));
	OK(ak_certify(&ak, &key, session.tr, BYTES_ARR(data32), &certify));
	tpm_handle_done(&session);
	OK(ek_session(&ek, &ek.name, &session));
	assert_true(fault_tcti_heard(&f, buf_bytes(&credential)));
	assert_false(fault_tcti_heard(&f, BYTES_ARR(secret)));
	assert_false(fault_tcti_heard(&f, BYTES(blob.auth.p, 16)));

	/* Damaged on the way: the TPM refuses. */
	credential.p[credential.n - 1] ^= 1;
	FAILS(E_LOCAL_TPM, ek_activate(&ek, &ak.handle, &session, buf_bytes(&credential), buf_bytes(&wrapped),
				       &released));
	OK(buf_truncate(&credential, credential.n - 1));
	FAILS(E_PEER_TRUNCATED, ek_activate(&ek, &ak.handle, &session, buf_bytes(&credential), buf_bytes(&wrapped),
					    &released));
	tpm_handle_done(&key);
	tpm_handle_done(&session);
	ak_done(&ak);
	ek_done(&ek);
	tpm_close(tpm);
	fault_tcti_done(&f);
	fixture_disconnect(&tcti);
}

/* Session, activation, key: what enrolment and a start need of an EK of this kind, with no more than three slots. */
static void use_ek(struct tpm *tpm, enum ek_kind kind)
{
	static const uint8_t secret[32] = { 5, 6, 7 };
	const struct ak_spec spec = { AK_ECC_P256, AK_HANDLE, NULL };
	cleanup_buf struct buf credential = BUF_INIT(1024), wrapped = BUF_INIT(1024), released = BUF_INIT(64);
	cleanup_tpm_handle struct tpm_handle session = TPM_HANDLE_NONE;
	cleanup_wkey_blob struct wkey_blob blob = WKEY_BLOB_INIT;
	cleanup_ek struct ek ek = EK_INIT;
	cleanup_ak struct ak ak = AK_INIT;
	struct tpm_public public;
	struct tpm_name name;

	OK(ek_open(tpm, kind, &ek));
	assert_int_equal(ek.by_password, kind == EK_ECC_P384);
	OK(tpm_public_parse(buf_bytes(&ek.public_area), &public));
	assert_int_equal(ek_kind_of(&public), kind);
	OK(ek_session(&ek, &ek.name, &session));
	OK(ak_open(tpm, &spec, &session, &ak));
	OK(tpm_make_credential(&public, &ak.name, BYTES_ARR(secret), &credential, &wrapped));
	OK(ek_activate(&ek, &ak.handle, &session, buf_bytes(&credential), buf_bytes(&wrapped), &released));
	assert_true(bytes_eq(buf_bytes(&released), BYTES_ARR(secret)));
	/* For another key than the AK the TPM does not release it. */
	credential.p[credential.n - 1] ^= 1;
	FAILS(E_LOCAL_TPM, ek_activate(&ek, &ak.handle, &session, buf_bytes(&credential), buf_bytes(&wrapped),
				       &released));
	ek_done(&ek);
	OK(create_key(tpm, &session, &blob, &name));
}

static void test_ek_kinds(void **state)
{
	static const enum ek_kind kinds[] = { EK_RSA_2048, EK_ECC_P384, EK_ECC_P256 };
	TSS2_TCTI_CONTEXT *tcti;

	(void)state;
	for (size_t i = 0; i < array_len(kinds); i++) {
		cleanup_tpm struct tpm *tpm = NULL;

		OK(tpm_open(harness_tcti(fixture_harness, 0), TPM_TIMEOUT_S, &fixture_why, &tpm));
		use_ek(tpm, kinds[i]);
		FAILS(E_BUG, ek_open(tpm, EK_AUTO, &(struct ek)EK_INIT));
	}
	tcti = fixture_connect();
	assert_int_equal(fixture_loaded(tcti), 0);
	fixture_disconnect(&tcti);
}

static void test_no_session_with_another_ek(void **state)
{
	cleanup_tpm struct tpm *tpm = NULL;
	cleanup_tpm_handle struct tpm_handle session = TPM_HANDLE_NONE;
	cleanup_ek struct ek ek = EK_INIT;
	struct tpm_name other;

	(void)state;
	OK(tpm_open(harness_tcti(fixture_harness, 0), TPM_TIMEOUT_S, &fixture_why, &tpm));
	OK(ek_open(tpm, EK_RSA_2048, &ek));
	other = ek.name;
	other.v[5] ^= 1;
	FAILS(E_AUTH_CONFLICT, ek_session(&ek, &other, &session));
	assert_null(session.tpm);
}

static void test_ek_certificate(void **state)
{
	cleanup_tpm struct tpm *tpm = NULL;
	cleanup_key struct key *certified = NULL, *key = NULL;
	cleanup_cert struct cert *cert = NULL;
	cleanup_ek_certs struct ek_certs certs;
	cleanup_ek struct ek ek = EK_INIT;
	struct tpm_public public;

	(void)state;
	ek_certs_init(&certs);
	OK(tpm_open(harness_tcti(fixture_harness, 0), TPM_TIMEOUT_S, &fixture_why, &tpm));
	OK(ek_open(tpm, EK_RSA_2048, &ek));
	OK(ek_certs_from_nv(tpm, EK_RSA_2048, &certs));
	assert_int_equal(certs.n_chain, 0);
	OK(cert_from_der(buf_bytes(&certs.leaf), &cert, NULL));
	OK(cert_key(cert, &certified));
	OK(tpm_public_parse(buf_bytes(&ek.public_area), &public));
	OK(tpm_public_key(&public, &key));
	assert_true(key_equal(key, certified));
}

static void test_ek_certificates_from_files(void **state)
{
	cleanup_buf struct buf text = BUF_INIT(64 * KIB), two = BUF_INIT(64 * KIB);
	cleanup_cert struct cert *cert = NULL;
	char path[256], both[256], der[256];
	struct buf list[2];
	size_t n = 0;

	(void)state;
	buf_init(&list[0], LIMIT_CERT);
	buf_init(&list[1], LIMIT_CERT);
	(void)snprintf(path, sizeof(path), "%s/ek-rsa.pem", harness_tpm_dir(fixture_harness, 0));
	(void)snprintf(both, sizeof(both), "%s/two.pem", harness_dir(fixture_harness));
	(void)snprintf(der, sizeof(der), "%s/one.der", harness_dir(fixture_harness));
	OK(file_read(AT_FDCWD, path, &text));
	OK(cert_from_pem(buf_bytes(&text), &cert));
	OK(buf_add(&two, buf_bytes(&text)));
	OK(buf_add(&two, buf_bytes(&text)));
	OK(file_write(AT_FDCWD, both, buf_bytes(&two), 0600));
	OK(file_write(AT_FDCWD, der, cert_der(cert), 0600));

	OK(ek_certs_from_file(both, 2, list, &n, &fixture_why));
	assert_int_equal(n, 2);
	assert_true(bytes_eq(buf_bytes(&list[1]), cert_der(cert)));
	FAILS(E_LIMIT_COUNT, ek_certs_from_file(der, 2, list, &n, &fixture_why));
	buf_clear(&list[0]);
	n = 0;
	OK(ek_certs_from_file(der, 2, list, &n, &fixture_why));
	assert_true(bytes_eq(buf_bytes(&list[0]), cert_der(cert)));
	FAILS(E_LOCAL_NOT_FOUND, ek_certs_from_file("/nonexistent", 2, list, &n, &fixture_why));
	buf_free(&list[0]);
	buf_free(&list[1]);
}

static void test_ak_is_the_same_each_time(void **state)
{
	cleanup_tpm struct tpm *tpm = NULL;
	struct ak_spec spec = { AK_ECC_P256, AK_HANDLE + 7, NULL };
	struct tpm_name first, wrong;

	(void)state;
	OK(tpm_open(harness_tcti(fixture_harness, 0), TPM_TIMEOUT_S, &fixture_why, &tpm));
	for (int i = 0; i < 3; i++) {
		cleanup_ak struct ak ak = AK_INIT;

		OK(ak_open(tpm, &spec, NULL, &ak));
		assert_true(ak.handle.persistent);
		assert_true(i == 0 || bytes_eq(tpm_name_bytes(&ak.name), tpm_name_bytes(&first)));
		first = ak.name;
		spec.enrolled = i == 1 ? &first : NULL;
	}
	/* Another key lies there. */
	for (int i = 0; i < 2; i++) {
		cleanup_ak struct ak ak = AK_INIT;

		wrong = first;
		wrong.v[9] ^= 1;
		spec.kind = AK_RSA_2048;
		spec.enrolled = i == 0 ? NULL : &wrong;
		FAILS(E_LOCAL_EXISTS, ak_open(tpm, &spec, NULL, &ak));
	}
	/* Nothing lies there, and the TPM makes another key than the enrolled one. */
	{
		cleanup_ak struct ak ak = AK_INIT;

		spec.handle = AK_HANDLE + 8;
		FAILS(E_AUTH_CONFLICT, ak_open(tpm, &spec, NULL, &ak));
	}
}

/* A handle outside the owner's range cannot be kept: the key serves all the same, made anew. */
static void test_ak_without_persistence(void **state)
{
	cleanup_tpm struct tpm *tpm = NULL;
	const struct ak_spec spec = { AK_ECC_P256, 0x81810000, NULL };
	cleanup_ak struct ak ak = AK_INIT;

	(void)state;
	OK(tpm_open(harness_tcti(fixture_harness, 0), TPM_TIMEOUT_S, &fixture_why, &tpm));
	OK(ak_open(tpm, &spec, NULL, &ak));
	assert_false(ak.handle.persistent);
	OK(whole_cycle(tpm));
}

static void change_auth(ESYS_TR hierarchy, struct bytes old, struct bytes new)
{
	TSS2_TCTI_CONTEXT *tcti = fixture_connect();
	TPM2B_AUTH auth = { .size = (uint16_t)new.n };
	ESYS_CONTEXT *esys = NULL;
	TPM2B_AUTH was = { .size = (uint16_t)old.n };

	if (new.n > 0)
		memcpy(auth.buffer, new.p, new.n);
	if (old.n > 0)
		memcpy(was.buffer, old.p, old.n);
	assert_int_equal(Esys_Initialize(&esys, tcti, NULL), TSS2_RC_SUCCESS);
	assert_int_equal(Esys_TR_SetAuth(esys, hierarchy, &was), TSS2_RC_SUCCESS);
	assert_int_equal(Esys_HierarchyChangeAuth(esys, hierarchy, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &auth),
			 TSS2_RC_SUCCESS);
	Esys_Finalize(&esys);
	fixture_disconnect(&tcti);
}

static void test_hierarchies_with_passwords(void **state)
{
	static const char endorsement[] = "endorsement-password", owner[] = "owner-password";
	struct ak_spec spec = { AK_ECC_P256, AK_HANDLE + 16, NULL };
	TSS2_TCTI_CONTEXT *tcti;
	struct fault_tcti f;
	struct tpm *tpm;

	(void)state;
	change_auth(ESYS_TR_RH_ENDORSEMENT, BYTES_NONE, BYTES_LIT("endorsement-password"));
	change_auth(ESYS_TR_RH_OWNER, BYTES_NONE, BYTES_LIT("owner-password"));
	tcti = fixture_connect();
	fault_tcti_init(&f, tcti);
	f.listens = true;
	OK(tpm_open_tcti(fault_tcti_context(&f), TPM_TIMEOUT_S, &fixture_why, &tpm));
	{
		cleanup_ak struct ak ak = AK_INIT;

		FAILS(E_LOCAL_TPM, ak_open(tpm, &spec, NULL, &ak));
		OK(tpm_set_auths(tpm, BYTES_NONE, bytes_str(endorsement)));
		OK(ak_open(tpm, &spec, NULL, &ak));
		assert_false(ak.handle.persistent);
	}
	{
		cleanup_ak struct ak ak = AK_INIT;

		OK(tpm_set_auths(tpm, bytes_str(owner), bytes_str(endorsement)));
		OK(ak_open(tpm, &spec, NULL, &ak));
		assert_true(ak.handle.persistent);
		OK(whole_cycle(tpm));
	}
	assert_false(fault_tcti_heard(&f, bytes_str(endorsement)));
	assert_false(fault_tcti_heard(&f, bytes_str(owner)));
	FAILS(E_LIMIT_SIZE, tpm_set_auths(tpm, BYTES(endorsement, 200), BYTES_NONE));
	tpm_close(tpm);
	fault_tcti_done(&f);
	fixture_disconnect(&tcti);
	change_auth(ESYS_TR_RH_OWNER, bytes_str(owner), BYTES_NONE);
	change_auth(ESYS_TR_RH_ENDORSEMENT, bytes_str(endorsement), BYTES_NONE);
}

static void read_boot(struct boot *b)
{
	cleanup_tpm struct tpm *tpm = NULL;

	boot_done(b);
	OK(tpm_open(harness_tcti(fixture_harness, 0), TPM_TIMEOUT_S, &fixture_why, &tpm));
	OK(boot_read(tpm, b));
	tpm_handle_done(&b->primary);
}

static void test_boot(void **state)
{
	cleanup_boot struct boot a = BOOT_INIT, b = BOOT_INIT;
	cleanup_wkey_blob struct wkey_blob blob = WKEY_BLOB_INIT;
	struct tpm_name name;

	(void)state;
	read_boot(&a);
	read_boot(&b);
	assert_memory_equal(a.id, b.id, sizeof(a.id));
	{
		cleanup_tpm struct tpm *tpm = NULL;
		cleanup_tpm_handle struct tpm_handle session = TPM_HANDLE_NONE;

		OK(tpm_open(harness_tcti(fixture_harness, 0), TPM_TIMEOUT_S, &fixture_why, &tpm));
		OK(session_hmac(tpm, NULL, &session));
		OK(create_key(tpm, &session, &blob, &name));
	}
	OK(harness_suspend(fixture_harness, 0, &fixture_why));
	OK(harness_resume(fixture_harness, 0, &fixture_why));
	read_boot(&b);
	assert_memory_equal(a.key, b.key, sizeof(a.key));
	assert_memory_not_equal(a.id, b.id, sizeof(a.id));
	assert_int_equal(b.restart_count, a.restart_count + 1);
	OK(harness_reset(fixture_harness, 0, &fixture_why));
	read_boot(&b);
	assert_memory_not_equal(a.key, b.key, sizeof(a.key));
	assert_false(bytes_eq(tpm_name_bytes(&a.null_name), tpm_name_bytes(&b.null_name)));
	{
		cleanup_tpm struct tpm *tpm = NULL;
		cleanup_tpm_handle struct tpm_handle key = TPM_HANDLE_NONE;

		OK(tpm_open(harness_tcti(fixture_harness, 0), TPM_TIMEOUT_S, &fixture_why, &tpm));
		FAILS(E_AUTH_CONFLICT, load_key(tpm, &blob, &key));
		/* The primary of this boot is not handed out for that of an earlier one. */
		FAILS(E_AUTH_RETRY, boot_primary(tpm, &a, &key));
		OK(boot_primary(tpm, &b, &key));
	}
}

static void define_nv(TPM2_HANDLE index, struct bytes contents, TPMA_NV attributes)
{
	TPM2B_NV_PUBLIC public = { .nvPublic = { .nvIndex = index, .nameAlg = TPM2_ALG_SHA256,
						 .attributes = attributes | TPMA_NV_OWNERWRITE,
						 .dataSize = (uint16_t)contents.n } };
	TPM2B_MAX_NV_BUFFER data = { 0 };
	TSS2_TCTI_CONTEXT *tcti = fixture_connect();
	const TPM2B_AUTH no_auth = { 0 };
	ESYS_CONTEXT *esys = NULL;
	ESYS_TR nv;

	assert_int_equal(Esys_Initialize(&esys, tcti, NULL), TSS2_RC_SUCCESS);
	assert_int_equal(Esys_NV_DefineSpace(esys, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
					     &no_auth, &public, &nv),
			 TSS2_RC_SUCCESS);
	for (size_t off = 0; off < contents.n;) {
		size_t n = contents.n - off < 512 ? contents.n - off : 512;

		data.size = (uint16_t)n;
		memcpy(data.buffer, contents.p + off, n);
		assert_int_equal(Esys_NV_Write(esys, ESYS_TR_RH_OWNER, nv, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
					       &data, (uint16_t)off),
				 TSS2_RC_SUCCESS);
		off += n;
	}
	Esys_Finalize(&esys);
	fixture_disconnect(&tcti);
}

/* A chain over two indices, cut in the middle of a certificate, with padding behind. */
static void test_ek_chain_from_nv(void **state)
{
	cleanup_tpm struct tpm *tpm = NULL;
	cleanup_buf struct buf pem = BUF_INIT(64 * KIB), all = BUF_INIT(64 * KIB);
	cleanup_cert struct cert *issuer = NULL, *root = NULL;
	cleanup_ek_certs struct ek_certs certs;
	char path[256];

	(void)state;
	ek_certs_init(&certs);
	(void)snprintf(path, sizeof(path), "%s/ca/issuer.pem", harness_dir(fixture_harness));
	OK(file_read(AT_FDCWD, path, &pem));
	OK(cert_from_pem(buf_bytes(&pem), &issuer));
	buf_clear(&pem);
	OK(file_read(AT_FDCWD, harness_root(fixture_harness), &pem));
	OK(cert_from_pem(buf_bytes(&pem), &root));
	OK(buf_add(&all, cert_der(issuer)));
	OK(buf_add(&all, cert_der(root)));
	for (int i = 0; i < 10; i++)
		OK(buf_add_u8(&all, 0xff));
	define_nv(EK_NV_CHAIN_FIRST, BYTES(all.p, cert_der(issuer).n - 5), TPMA_NV_AUTHREAD);
	define_nv(EK_NV_CHAIN_FIRST + 1, BYTES(all.p + cert_der(issuer).n - 5, all.n - cert_der(issuer).n + 5),
		  TPMA_NV_OWNERREAD);
	OK(tpm_open(harness_tcti(fixture_harness, 0), TPM_TIMEOUT_S, &fixture_why, &tpm));
	OK(ek_certs_from_nv(tpm, EK_RSA_2048, &certs));
	assert_int_equal(certs.n_chain, 2);
	assert_true(bytes_eq(buf_bytes(&certs.chain[0]), cert_der(issuer)));
	assert_true(bytes_eq(buf_bytes(&certs.chain[1]), cert_der(root)));
}

static void remove_nv(TPM2_HANDLE index)
{
	TSS2_TCTI_CONTEXT *tcti = fixture_connect();
	ESYS_CONTEXT *esys = NULL;
	ESYS_TR nv;

	assert_int_equal(Esys_Initialize(&esys, tcti, NULL), TSS2_RC_SUCCESS);
	assert_int_equal(Esys_TR_FromTPMPublic(esys, index, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &nv),
			 TSS2_RC_SUCCESS);
	assert_int_equal(Esys_NV_UndefineSpace(esys, ESYS_TR_RH_PLATFORM, nv, ESYS_TR_PASSWORD, ESYS_TR_NONE,
					       ESYS_TR_NONE),
			 TSS2_RC_SUCCESS);
	Esys_Finalize(&esys);
	fixture_disconnect(&tcti);
}

static enum ek_kind chosen(void)
{
	cleanup_tpm struct tpm *tpm = NULL;
	enum ek_kind kind;

	OK(tpm_open(harness_tcti(fixture_harness, 0), TPM_TIMEOUT_S, &fixture_why, &tpm));
	OK(ek_choose(tpm, &kind));
	return kind;
}

/* By certificate, in the order of the enum. Takes certificates away: among the last. */
static void test_ek_choice(void **state)
{
	(void)state;
	assert_int_equal(chosen(), EK_RSA_2048);
	remove_nv(ek_kind_info(EK_RSA_2048)->nv_cert);
	define_nv(ek_kind_info(EK_ECC_P256)->nv_cert, BYTES_LIT("some certificate"), TPMA_NV_AUTHREAD);
	assert_int_equal(chosen(), EK_ECC_P384);
	remove_nv(ek_kind_info(EK_ECC_P384)->nv_cert);
	assert_int_equal(chosen(), EK_ECC_P256);
}

static struct tpm_name name_of_ek(struct tpm *tpm, enum ek_kind kind, bool persistent)
{
	cleanup_ek struct ek ek = EK_INIT;

	OK(ek_open(tpm, kind, &ek));
	assert_int_equal(ek.persistent, persistent);
	return ek.name;
}

/* The same key again by template, once TPM2_Clear has taken the persistent ones away. */
static void test_ecc_ek_after_clear(void **state)
{
	static const enum ek_kind kinds[] = { EK_ECC_P384, EK_ECC_P256 };
	struct tpm_name name[2];

	(void)state;
	for (size_t i = 0; i < array_len(kinds); i++) {
		cleanup_tpm struct tpm *tpm = NULL;
		cleanup_tpm_handle struct tpm_handle session = TPM_HANDLE_NONE;
		cleanup_ek struct ek ek = EK_INIT;

		OK(tpm_open(harness_tcti(fixture_harness, 0), TPM_TIMEOUT_S, &fixture_why, &tpm));
		OK(ek_open(tpm, kinds[i], &ek));
		name[i] = ek.name;
		if (!ek.persistent) {
			OK(ek_session_first(&ek, &session));
			OK(ek_persist(&ek, &session));
		}
		tpm_handle_done(&session);
		ek_done(&ek);
		(void)name_of_ek(tpm, kinds[i], true);
	}
	OK(harness_clear(fixture_harness, 0, &fixture_why));
	for (size_t i = 0; i < array_len(kinds); i++) {
		cleanup_tpm struct tpm *tpm = NULL;
		struct tpm_name again;

		OK(tpm_open(harness_tcti(fixture_harness, 0), TPM_TIMEOUT_S, &fixture_why, &tpm));
		again = name_of_ek(tpm, kinds[i], false);
		assert_true(bytes_eq(tpm_name_bytes(&again), tpm_name_bytes(&name[i])));
	}
	OK(harness_replace(fixture_harness, 0, &fixture_why)); /* another one, with keys and certificates */
}

/* Last, because TPM2_Clear takes the persistent keys away. */
static void test_after_clear(void **state)
{
	struct ak_spec spec = { AK_ECC_P256, AK_HANDLE, NULL };
	struct tpm_name ek_name, ak_name;
	static const uint8_t nonce[32] = { 9 };

	(void)state;
	{
		cleanup_tpm struct tpm *tpm = NULL;
		cleanup_ek struct ek ek = EK_INIT;
		cleanup_ak struct ak ak = AK_INIT;

		OK(tpm_open(harness_tcti(fixture_harness, 0), TPM_TIMEOUT_S, &fixture_why, &tpm));
		OK(ek_open(tpm, EK_RSA_2048, &ek));
		assert_true(ek.persistent);
		OK(ak_open(tpm, &spec, NULL, &ak));
		ek_name = ek.name;
		ak_name = ak.name;
		spec.enrolled = &ak_name;
	}
	OK(harness_clear(fixture_harness, 0, &fixture_why));
	{
		cleanup_tpm struct tpm *tpm = NULL;
		cleanup_tpm_handle struct tpm_handle session = TPM_HANDLE_NONE;
		cleanup_ek struct ek ek = EK_INIT, again = EK_INIT;
		cleanup_ak struct ak ak = AK_INIT;

		OK(tpm_open(harness_tcti(fixture_harness, 0), TPM_TIMEOUT_S, &fixture_why, &tpm));
		OK(ek_open(tpm, EK_RSA_2048, &ek));
		assert_false(ek.persistent);
		assert_true(bytes_eq(tpm_name_bytes(&ek.name), tpm_name_bytes(&ek_name)));
		OK(ek_session(&ek, &ek_name, &session));
		OK(ak_open(tpm, &spec, &session, &ak));
		OK(ek_persist(&ek, &session));
		ek_done(&ek);
		OK(ek_open(tpm, EK_RSA_2048, &again));
		assert_true(again.persistent);
		assert_true(bytes_eq(tpm_name_bytes(&again.name), tpm_name_bytes(&ek_name)));
	}
	OK(harness_clear(fixture_harness, 0, &fixture_why));
	define_nv(ek_kind_info(EK_RSA_2048)->nv_nonce, BYTES_ARR(nonce), TPMA_NV_AUTHREAD);
	{
		cleanup_tpm struct tpm *tpm = NULL;
		cleanup_ek struct ek ek = EK_INIT;

		OK(tpm_open(harness_tcti(fixture_harness, 0), TPM_TIMEOUT_S, &fixture_why, &tpm));
		OK(ek_open(tpm, EK_RSA_2048, &ek));
		assert_false(bytes_eq(tpm_name_bytes(&ek.name), tpm_name_bytes(&ek_name)));
	}
	define_nv(ek_kind_info(EK_RSA_2048)->nv_template, BYTES_LIT("no template"), TPMA_NV_AUTHREAD);
	{
		cleanup_tpm struct tpm *tpm = NULL;
		cleanup_ek struct ek ek = EK_INIT;

		OK(tpm_open(harness_tcti(fixture_harness, 0), TPM_TIMEOUT_S, &fixture_why, &tpm));
		FAILS(E_LOCAL_TPM, ek_open(tpm, EK_RSA_2048, &ek));
	}
}

static void test_no_tpm(void **state)
{
	struct tpm *tpm = NULL;

	(void)state;
	FAILS(E_LOCAL_TPM, tpm_open("device:/nonexistent", TPM_TIMEOUT_S, &fixture_why, &tpm));
	assert_non_null(strstr(fixture_why.text, "/nonexistent"));
	assert_null(tpm);
}

/* Nobody waits for ever for a TPM that hangs: neither for a command, nor to flush, nor to close it. */
static void test_tpm_that_hangs(void **state)
{
	cleanup_tpm_handle struct tpm_handle session = TPM_HANDLE_NONE;
	struct harness_info info;
	struct tpm *tpm = NULL;
	struct tpm_clock clock;

	(void)state;
	OK(harness_info(fixture_harness, 0, &info, &fixture_why));
	OK(tpm_open(harness_tcti(fixture_harness, 0), 1, &fixture_why, &tpm));
	OK(session_hmac(tpm, NULL, &session));
	assert_int_equal(kill(info.pid, SIGSTOP), 0);
	FAILS(E_LOCAL_TIMEOUT, tpm_read_clock(tpm, &clock));
	assert_non_null(strstr(fixture_why.text, "did not answer within 1 s"));
	/* An answer that comes late is that of another command: the connection stays dead. */
	assert_int_equal(kill(info.pid, SIGCONT), 0);
	FAILS(E_LOCAL_TIMEOUT, tpm_read_clock(tpm, &clock));
	assert_int_equal(kill(info.pid, SIGSTOP), 0);
	tpm_handle_done(&session);
	tpm_close(tpm);
	assert_int_equal(kill(info.pid, SIGCONT), 0);
	OK(tpm_open(harness_tcti(fixture_harness, 0), TPM_TIMEOUT_S, &fixture_why, &tpm));
	OK(tpm_read_clock(tpm, &clock));
	tpm_close(tpm);
}

/* The same by the poll handles of a TCTI that has some, as that of a device has. */
static void test_tpm_that_hangs_behind_poll_handles(void **state)
{
	TSS2_TCTI_CONTEXT *tcti = fixture_connect();
	struct tpm_clock clock;
	struct fault_tcti f;
	struct tpm *tpm;
	int silent[2];

	(void)state;
	assert_int_equal(pipe(silent), 0);
	fault_tcti_init(&f, tcti);
	OK(tpm_open_tcti(fault_tcti_context(&f), 1, &fixture_why, &tpm));
	f.silent_fd = silent[0];
	FAILS(E_LOCAL_TIMEOUT, tpm_read_clock(tpm, &clock));
	tpm_close(tpm);
	fault_tcti_done(&f);
	fixture_disconnect(&tcti);
	assert_int_equal(close(silent[0]), 0);
	assert_int_equal(close(silent[1]), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_tpm),
		cmocka_unit_test(test_handles_after_many_runs),
		cmocka_unit_test(test_lost_command),
		cmocka_unit_test(test_lost_answer),
		cmocka_unit_test(test_tpm_failure_codes),
		cmocka_unit_test(test_fault_while_opening),
		cmocka_unit_test(test_busy_tpm),
		cmocka_unit_test(test_tpm_that_hangs),
		cmocka_unit_test(test_tpm_that_hangs_behind_poll_handles),
		cmocka_unit_test(test_leftovers),
		cmocka_unit_test(test_quote),
		cmocka_unit_test(test_pcr_read_of_absent_bank),
		cmocka_unit_test(test_workload_key),
		cmocka_unit_test(test_many_signatures),
		cmocka_unit_test(test_secrets_stay_off_the_bus),
		cmocka_unit_test(test_ek_kinds),
		cmocka_unit_test(test_no_session_with_another_ek),
		cmocka_unit_test(test_ek_certificate),
		cmocka_unit_test(test_ek_certificates_from_files),
		cmocka_unit_test(test_ak_is_the_same_each_time),
		cmocka_unit_test(test_ak_without_persistence),
		cmocka_unit_test(test_hierarchies_with_passwords),
		cmocka_unit_test(test_boot),
		cmocka_unit_test(test_ek_chain_from_nv),
		cmocka_unit_test(test_ek_choice),
		cmocka_unit_test(test_ecc_ek_after_clear),
		cmocka_unit_test(test_after_clear),
	};

	if (!harness_available()) {
		(void)printf("1..0 # SKIP swtpm is not installed\n");
		return 0;
	}
	return cmocka_run_group_tests_name("attest-tpm", tests, fixture_up, fixture_down);
}
