/* SPDX-License-Identifier: Apache-2.0 */
/* attest: evidence from a real software TPM, taken apart as a verifier would. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "attest/collect.h"
#include "attest/ek.h"
#include "attest/instance.h"
#include "base/file.h"
#include "tests/support/attest_fixture.h"
#include "tests/support/evidence_check.h"
#include "tests/support/fault_tcti.h"

#define ISSUER "https://127.0.0.1:8443"

static int dir_fd = -1;
static struct evidence_check verifier;
static struct challenge *challenge;

/* A connection with everything that collecting needs. */
struct bench {
	TSS2_TCTI_CONTEXT *tcti;
	struct fault_tcti fault;
	struct tpm *tpm;
	struct boot boot;
	struct workload w;
	struct ek ek;
	struct ak ak;
};

static void bench_begin(struct bench *b)
{
	const struct ak_spec spec = { AK_ECC_P256, AK_HANDLE, NULL };

	*b = (struct bench){ .boot = BOOT_INIT, .w = WORKLOAD_INIT, .ek = EK_INIT, .ak = AK_INIT };
	b->tcti = fixture_connect();
	fault_tcti_init(&b->fault, b->tcti);
	OK(tpm_open_tcti(fault_tcti_context(&b->fault), TPM_TIMEOUT_S, &fixture_why, &b->tpm));
	OK(boot_read(b->tpm, &b->boot));
	OK(workload_open(dir_fd, b->tpm, &b->boot, &b->w));
	OK(ek_open(b->tpm, EK_RSA_2048, &b->ek));
	OK(ak_open(b->tpm, &spec, NULL, &b->ak));
	if (verifier.ak_public.n == 0)
		OK(buf_add(&verifier.ak_public, buf_bytes(&b->ak.public_area)));
}

static void bench_end(struct bench *b)
{
	b->fault.before = NULL;
	ek_done(&b->ek);
	ak_done(&b->ak);
	workload_done(&b->w);
	boot_done(&b->boot);
	tpm_close(b->tpm);
	fault_tcti_done(&b->fault);
	assert_int_equal(fixture_loaded(b->tcti), 0);
	fixture_disconnect(&b->tcti);
}

static int fresh(void **state)
{
	char dir[256];

	(void)state;
	if (dir_fd >= 0)
		(void)close(dir_fd);
	for (int i = 0; i < 1000; i++) {
		(void)snprintf(dir, sizeof(dir), "%s/state-%d", harness_dir(fixture_harness), i);
		if (mkdir(dir, 0700) == 0)
			break;
	}
	OK(dir_open(AT_FDCWD, dir, &dir_fd));
	OK(harness_reset(fixture_harness, 0, &fixture_why));
	evidence_check_done(&verifier);
	evidence_check_init(&verifier);
	return 0;
}

static void ask(void)
{
	memset(challenge, 0, sizeof(*challenge));
	OK(random_bytes(challenge->nonce, NONCE_LEN));
	(void)snprintf(challenge->issuer, sizeof(challenge->issuer), "%s", ISSUER);
	challenge->selection = (struct pcr_selection){ .n = 1, .bank = { { TPM_ALG_SHA256, 0x24ff } } };
	evidence_check_challenge(&verifier, challenge);
}

static struct err try_collect(struct bench *b, struct buf *ret)
{
	const struct collect c = {
		.tpm = b->tpm, .state_fd = dir_fd, .host_id = "h-00000000000000000000000000000000", .issuer = ISSUER,
		.challenge = challenge, .boot = &b->boot, .ak = &b->ak, .workload = &b->w,
	};

	return collect_evidence(&c, ret);
}

static void collect_and_check(struct bench *b)
{
	cleanup_buf struct buf evidence = BUF_INIT(LIMIT_EVIDENCE);

	OK(try_collect(b, &evidence));
	OK(evidence_check(&verifier, challenge, buf_bytes(&evidence), &fixture_why));
}

/* An instance as `run` makes it. */
static void start(struct bench *b, uint8_t n)
{
	cleanup_tpm_handle struct tpm_handle session = TPM_HANDLE_NONE, primary = TPM_HANDLE_NONE;
	cleanup_wkey_blob struct wkey_blob key = WKEY_BLOB_INIT;
	struct workload_event ev = { .kind = WORKLOAD_START, .agent = BYTES_LIT("agent") };
	char image[] = "/image", model[] = "/model";
	struct instance i = { .image = image, .model = model, .agent = "agent" };
	struct tpm_name name;

	i.id[0] = n;
	ev.instance[0] = n;
	OK(process_self(&i.parent));
	OK(ek_session(&b->ek, &b->ek.name, &session));
	OK(boot_primary(b->tpm, &b->boot, &primary));
	OK(wkey_create(&primary, &session, &key, &name));
	tpm_handle_done(&primary);
	OK(instance_write(dir_fd, &i, &key));
	ev.key_name = tpm_name_bytes(&name);
	OK(workload_append(&b->w, &ev));
}

static void end(struct bench *b, uint8_t n)
{
	struct workload_event ev = { .kind = WORKLOAD_END };

	ev.instance[0] = n;
	OK(workload_append(&b->w, &ev));
}

static void test_whole_story(void **state)
{
	struct bench b;

	(void)state;
	bench_begin(&b);
	ask();
	collect_and_check(&b);
	assert_true(verifier.had_boot);
	assert_int_equal(verifier.n_events, 1);
	assert_int_equal(verifier.event[0], WORKLOAD_BEGIN);

	/* New entries and new keys only. */
	start(&b, 2);
	start(&b, 1);
	ask();
	collect_and_check(&b);
	assert_false(verifier.had_boot);
	assert_int_equal(verifier.n_events, 2);
	assert_int_equal(verifier.n_new_keys, 2);
	assert_int_equal(verifier.n_presented, 2);

	end(&b, 1);
	start(&b, 3);
	ask();
	collect_and_check(&b);
	assert_int_equal(verifier.n_events, 2);
	assert_int_equal(verifier.n_new_keys, 1);
	assert_int_equal(verifier.n_presented, 2);

	/* Nothing new is evidence too. */
	ask();
	collect_and_check(&b);
	assert_int_equal(verifier.n_events, 0);
	assert_int_equal(verifier.n_new_keys, 0);

	/* A verifier that wants everything gets it. */
	evidence_check_forget(&verifier);
	ask();
	collect_and_check(&b);
	assert_true(verifier.had_boot);
	assert_int_equal(verifier.n_events, 5);
	assert_int_equal(verifier.n_new_keys, 2);
	bench_end(&b);
}

static void test_resume(void **state)
{
	struct bench b;

	(void)state;
	bench_begin(&b);
	start(&b, 1);
	ask();
	collect_and_check(&b);
	bench_end(&b);
	OK(harness_suspend(fixture_harness, 0, &fixture_why));
	OK(harness_resume(fixture_harness, 0, &fixture_why));
	/* Another boot id: a verifier asks for everything again. */
	evidence_check_forget(&verifier);
	bench_begin(&b);
	ask();
	collect_and_check(&b);
	assert_int_equal(verifier.n_events, 3);
	assert_int_equal(verifier.event[2], WORKLOAD_RESUME);
	assert_int_equal(verifier.n_new_keys, 1);
	bench_end(&b);
}

/* A position that does not fit ours: in the middle of a record, with another value, behind the end. */
static void test_position_that_does_not_fit(void **state)
{
	struct bench b;

	(void)state;
	bench_begin(&b);
	ask();
	collect_and_check(&b);
	start(&b, 1);
	for (int i = 0; i < 4; i++) {
		static struct evidence_check other; /* large */
		cleanup_buf struct buf evidence = BUF_INIT(LIMIT_EVIDENCE);

		ask();
		challenge->log_offset += i == 0 ? 1 : 0;
		challenge->log_records += i == 1 ? 1 : 0;
		challenge->log_pcr.v[0] ^= i == 2 ? 1 : 0;
		challenge->log_offset = i == 3 ? 1000000 : challenge->log_offset;
		OK(try_collect(&b, &evidence));
		other = verifier;
		OK(evidence_check(&other, challenge, buf_bytes(&evidence), &fixture_why));
		assert_int_equal(other.n_events, 2);
	}
	bench_end(&b);
}

static void test_another_issuer(void **state)
{
	cleanup_buf struct buf evidence = BUF_INIT(LIMIT_EVIDENCE);
	struct bench b;

	(void)state;
	bench_begin(&b);
	ask();
	(void)snprintf(challenge->issuer, sizeof(challenge->issuer), "https://elsewhere");
	FAILS(E_AUTH_CONFLICT, try_collect(&b, &evidence));
	ask();
	challenge->selection.bank[0].hash_alg = 0x7777;
	FAILS(E_PEER_UNSUPPORTED, try_collect(&b, &evidence));
	ask();
	challenge->selection.bank[0].hash_alg = TPM_ALG_SHA512; /* known, but the bank is off */
	FAILS(E_PEER_RANGE, try_collect(&b, &evidence).code == E_OK ? ERR(E_OK) : ERR(E_PEER_RANGE));
	assert_int_equal(evidence.n, 0);
	bench_end(&b);
}

/* Extends a register each time the host is about to read them. */
struct racer {
	TSS2_TCTI_CONTEXT *tcti;
	unsigned pcr, times;
};

static void race(void *ctx, uint32_t command_code)
{
	struct racer *r = ctx;
	TPML_DIGEST_VALUES values = { .count = 1, .digests = { { .hashAlg = TPM2_ALG_SHA256 } } };
	ESYS_CONTEXT *esys = NULL;

	if (command_code != TPM2_CC_PCR_Read || r->times == 0)
		return;
	r->times--;
	assert_int_equal(Esys_Initialize(&esys, r->tcti, NULL), TSS2_RC_SUCCESS);
	assert_int_equal(Esys_PCR_Extend(esys, ESYS_TR_PCR0 + r->pcr, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
					 &values),
			 TSS2_RC_SUCCESS);
	Esys_Finalize(&esys);
}

static void test_quote_races_with_an_extend(void **state)
{
	cleanup_buf struct buf evidence = BUF_INIT(LIMIT_EVIDENCE);
	struct racer r;
	struct bench b;

	(void)state;
	bench_begin(&b);
	r = (struct racer){ .tcti = b.tcti, .pcr = 10, .times = 3 };
	b.fault.before = race;
	b.fault.before_ctx = &r;
	ask();
	collect_and_check(&b);
	assert_int_equal(r.times, 0);
	r.times = 1000;
	ask();
	FAILS(E_AUTH_RETRY, try_collect(&b, &evidence));
	assert_int_equal(1000 - r.times, 2 * COLLECT_QUOTES_MAX); /* ten registers: two reads for each quote */
	bench_end(&b);
}

/* The workload register itself, moved by somebody else after the log was opened. */
static void test_foreign_extend_of_the_workload_register(void **state)
{
	cleanup_buf struct buf evidence = BUF_INIT(LIMIT_EVIDENCE);
	struct racer r;
	struct bench b;

	(void)state;
	bench_begin(&b);
	r = (struct racer){ .tcti = b.tcti, .pcr = WORKLOAD_PCR, .times = 1 };
	ask();
	race(&r, TPM2_CC_PCR_Read);
	FAILS(E_AUTH_CONFLICT, try_collect(&b, &evidence));
	assert_non_null(strstr(fixture_why.text, "unexplained"));
	assert_int_equal(evidence.n, 0);
	bench_end(&b);
}

/* Suspended between the visit's beginning and the quote. */
static void test_boot_moves(void **state)
{
	cleanup_buf struct buf evidence = BUF_INIT(LIMIT_EVIDENCE);
	struct bench b;

	(void)state;
	bench_begin(&b);
	b.boot.restart_count++;
	ask();
	FAILS(E_AUTH_RETRY, try_collect(&b, &evidence));
	bench_end(&b);
}

static void test_key_files(void **state)
{
	cleanup_buf struct buf evidence = BUF_INIT(LIMIT_EVIDENCE);
	struct bench b;
	char path[128];

	(void)state;
	bench_begin(&b);
	start(&b, 0xab);
	ask();
	(void)snprintf(path, sizeof(path), "instances/ab%030d/auth", 0);
	assert_int_equal(fchmodat(dir_fd, path, 0640, 0), 0);
	FAILS(E_LOCAL_PERMISSION, try_collect(&b, &evidence));
	assert_int_equal(unlinkat(dir_fd, path, 0), 0);
	FAILS(E_LOCAL_NOT_FOUND, try_collect(&b, &evidence));
	bench_end(&b);
}

/* Every command fails once: no evidence, nothing left in the TPM, and then it works. */
static void test_every_lost_answer(void **state)
{
	unsigned n = 1;

	(void)state;
	for (unsigned k = 0; k < n; k++) {
		cleanup_buf struct buf evidence = BUF_INIT(LIMIT_EVIDENCE);
		struct bench b;

		(void)fresh(NULL);
		bench_begin(&b);
		start(&b, 1);
		ask();
		if (k == 0) {
			fault_tcti_arm(&b.fault, FAULT_TCTI_NONE, 0, 0, 0);
			OK(try_collect(&b, &evidence));
			n = b.fault.n_commands;
			assert_true(n > 10);
			buf_clear(&evidence);
		}
		fault_tcti_arm(&b.fault, FAULT_TCTI_ANSWER, k, 1, 0);
		if (!failed(try_collect(&b, &evidence)))
			assert_true(b.tpm->generation > 0);
		bench_end(&b);
		bench_begin(&b);
		ask();
		collect_and_check(&b);
		bench_end(&b);
	}
}

static int up(void **state)
{
	challenge = calloc(1, sizeof(*challenge));
	evidence_check_init(&verifier);
	return challenge == NULL ? -1 : fixture_up(state);
}

static int down(void **state)
{
	free(challenge);
	evidence_check_done(&verifier);
	if (dir_fd >= 0)
		(void)close(dir_fd);
	return fixture_down(state);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_whole_story, fresh),
		cmocka_unit_test_setup(test_resume, fresh),
		cmocka_unit_test_setup(test_position_that_does_not_fit, fresh),
		cmocka_unit_test_setup(test_another_issuer, fresh),
		cmocka_unit_test_setup(test_quote_races_with_an_extend, fresh),
		cmocka_unit_test_setup(test_foreign_extend_of_the_workload_register, fresh),
		cmocka_unit_test_setup(test_boot_moves, fresh),
		cmocka_unit_test_setup(test_key_files, fresh),
		cmocka_unit_test_setup(test_every_lost_answer, fresh),
	};

	if (!harness_available()) {
		(void)printf("1..0 # SKIP swtpm is not installed\n");
		return 0;
	}
	return cmocka_run_group_tests_name("attest-collect", tests, up, down);
}
