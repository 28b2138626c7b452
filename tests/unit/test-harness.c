/* SPDX-License-Identifier: Apache-2.0 */
/* The harness against real software TPMs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the four above. */
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <tss2/tss2_esys.h>
#include <tss2/tss2_tctildr.h>

#include "base/file.h"
#include "base/limits.h"
#include "base/x509.h"
#include "swtpm-harness/harness.h"
#include "swtpm-harness/process.h"

#define NV_EK_CERT_RSA 0x01c00002u
#define NV_EK_CERT_ECC 0x01c00016u
#define EK_RSA 0x81010001u
#define WORKLOAD_PCR 13u

#define ok(call)                                                                                                       \
	do {                                                                                                           \
		struct err e_ = (call);                                                                                \
		if (failed(e_))                                                                                        \
			fail_msg("%s: %s %s", #call, err_name(e_), why.text);                                          \
	} while (0)
#define fails(code_, call) assert_string_equal(err_name(ERR(code_)), err_name(call))

static struct reason why;

/* A folder of one test that must be empty at its end: the harness removes what is its own. */
struct scratch {
	char dir[64];
};

static void scratch_done(struct scratch *s)
{
	if (s->dir[0] != '\0')
		assert_int_equal(rmdir(s->dir), 0);
}
#define cleanup_scratch cleanup(scratch_done)

static void scratch_make(struct scratch *s)
{
	int n = snprintf(s->dir, sizeof(s->dir), "%s/XXXXXX", getenv("TMPDIR"));

	assert_true(n > 0 && (size_t)n < sizeof(s->dir));
	assert_non_null(mkdtemp(s->dir));
}

/* How many processes have this text in their command line. */
static size_t processes_with(const char *text)
{
	DIR *proc = opendir("/proc");
	const struct dirent *entry;
	size_t n = 0;

	assert_non_null(proc);
	while ((entry = readdir(proc)) != NULL) {
		cleanup_buf struct buf line = BUF_INIT(MIB);
		char path[300];

		(void)snprintf(path, sizeof(path), "/proc/%s/cmdline", entry->d_name);
		if (entry->d_name[0] < '0' || entry->d_name[0] > '9' || failed(file_read(AT_FDCWD, path, &line)))
			continue;
		if (line.n > 0 && memmem(line.p, line.n, text, strlen(text)) != NULL)
			n++;
	}
	(void)closedir(proc);
	return n;
}

static bool exists(const char *dir, const char *name)
{
	char path[512];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	return access(path, F_OK) == 0;
}

static void read_text(const char *dir, const char *name, struct buf *ret)
{
	char path[512];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	ok(file_read(AT_FDCWD, path, ret));
}

static void write_text(const char *dir, const char *name, const char *text, mode_t mode)
{
	char path[512];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	ok(file_write(AT_FDCWD, path, bytes_str(text), mode));
}

static void read_cert(const char *dir, const char *name, struct cert **ret)
{
	cleanup_buf struct buf pem = BUF_INIT(LIMIT_SMALL);

	read_text(dir, name, &pem);
	ok(cert_from_pem(buf_bytes(&pem), ret));
}

static struct harness *up(const char *dir, size_t count, const char *banks, enum harness_cert cert)
{
	struct harness_options o = { .dir = dir, .count = count, .banks = banks, .cert = cert };
	struct harness *h = NULL;

	ok(harness_up(&o, &h, &why));
	return h;
}

/* The TPM through tpm2-tss, as its users see it. */
static ESYS_CONTEXT *esys_open(const char *tcti_text, TSS2_TCTI_CONTEXT **ret_tcti)
{
	ESYS_CONTEXT *esys = NULL;

	assert_int_equal(Tss2_TctiLdr_Initialize(tcti_text, ret_tcti), TSS2_RC_SUCCESS);
	assert_int_equal(Esys_Initialize(&esys, *ret_tcti, NULL), TSS2_RC_SUCCESS);
	return esys;
}

static void esys_close(ESYS_CONTEXT *esys, TSS2_TCTI_CONTEXT *tcti)
{
	Esys_Finalize(&esys);
	Tss2_TctiLdr_Finalize(&tcti);
}

static bool tpm_has(const char *tcti_text, uint32_t handle)
{
	TSS2_TCTI_CONTEXT *tcti;
	ESYS_CONTEXT *esys = esys_open(tcti_text, &tcti);
	TPMI_YES_NO more;
	TPMS_CAPABILITY_DATA *data = NULL;
	bool has;

	assert_int_equal(Esys_GetCapability(esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, TPM2_CAP_HANDLES, handle, 1,
					    &more, &data),
			 TSS2_RC_SUCCESS);
	has = data->data.handles.count == 1 && data->data.handles.handle[0] == handle;
	Esys_Free(data);
	esys_close(esys, tcti);
	return has;
}

/* The whole NV index, read with its own empty authorisation. */
static void nv_read(const char *tcti_text, uint32_t index, struct buf *ret)
{
	TSS2_TCTI_CONTEXT *tcti;
	ESYS_CONTEXT *esys = esys_open(tcti_text, &tcti);
	TPM2B_NV_PUBLIC *public = NULL;
	ESYS_TR nv;

	assert_int_equal(Esys_TR_FromTPMPublic(esys, index, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &nv),
			 TSS2_RC_SUCCESS);
	assert_int_equal(Esys_NV_ReadPublic(esys, nv, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &public, NULL),
			 TSS2_RC_SUCCESS);
	while (ret->n < public->nvPublic.dataSize) {
		size_t left = public->nvPublic.dataSize - ret->n;
		TPM2B_MAX_NV_BUFFER *part = NULL;

		assert_int_equal(Esys_NV_Read(esys, nv, nv, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
					      (uint16_t)(left < 512 ? left : 512), (uint16_t)ret->n, &part),
				 TSS2_RC_SUCCESS);
		ok(buf_add(ret, BYTES(part->buffer, part->size)));
		Esys_Free(part);
	}
	Esys_Free(public);
	esys_close(esys, tcti);
}

/* Verifies an EK certificate of a TPM against the root in this CA folder of the harness. */
static struct err verify(const struct harness *h, size_t i, const char *name, const char *ca, int64_t now_s)
{
	cleanup_cert struct cert *leaf = NULL, *root = NULL, *issuer = NULL;
	cleanup_trust struct trust *trust = NULL;
	char ca_dir[256];

	(void)snprintf(ca_dir, sizeof(ca_dir), "%s/%s", harness_dir(h), ca);
	read_cert(harness_tpm_dir(h, i), name, &leaf);
	read_cert(ca_dir, "root.pem", &root);
	read_cert(ca_dir, "issuer.pem", &issuer);
	ok(trust_new(&trust));
	ok(trust_add(trust, root));
	return ek_cert_verify(trust, leaf, &issuer, 1, now_s, &why);
}

static void test_up_makes_running_tpms(void **state)
{
	cleanup_harness struct harness *h = up(NULL, 2, NULL, HARNESS_CERT_GOOD);
	struct harness_info info[2];

	(void)state;
	assert_int_equal(harness_count(h), 2);
	assert_null(harness_tcti(h, 2));
	for (size_t i = 0; i < 2; i++) {
		cleanup_buf struct buf tcti = BUF_INIT(256);

		ok(harness_info(h, i, &info[i], &why));
		assert_int_equal(info[i].power, HARNESS_ON);
		assert_int_equal(info[i].cert, HARNESS_CERT_GOOD);
		assert_string_equal(info[i].banks, "sha256");
		assert_int_equal(kill(info[i].pid, 0), 0);
		read_text(harness_tpm_dir(h, i), "tcti", &tcti);
		assert_true(bytes_eq(buf_bytes(&tcti), bytes_str(harness_tcti(h, i))));
	}
	assert_true(info[0].pid != info[1].pid);
	assert_memory_not_equal(info[0].ek_sha256, info[1].ek_sha256, 32);
	assert_memory_not_equal(info[0].ek_ecc_sha256, info[1].ek_ecc_sha256, 32);
	assert_memory_not_equal(info[0].ek_sha256, info[0].ek_ecc_sha256, 32);
	assert_int_equal(processes_with(harness_dir(h)), 2);
}

static void test_ek_certificates(void **state)
{
	static const struct {
		const char *cert, *public;
		uint32_t nv_index;
		enum key_kind kind;
	} eks[] = {
		{ "ek-rsa.pem", "ek-rsa.pub", NV_EK_CERT_RSA, KEY_RSA },
		{ "ek-ecc.pem", "ek-ecc.pub", NV_EK_CERT_ECC, KEY_EC_P384 },
	};
	cleanup_harness struct harness *h = up(NULL, 1, NULL, HARNESS_CERT_GOOD);
	struct harness_info info;

	(void)state;
	ok(harness_info(h, 0, &info, &why));
	for (size_t i = 0; i < array_len(eks); i++) {
		cleanup_buf struct buf nv = BUF_INIT(LIMIT_CERT), pem = BUF_INIT(LIMIT_SMALL);
		cleanup_cert struct cert *cert = NULL;
		cleanup_key struct key *certified = NULL, *public = NULL;
		uint8_t digest[32];

		read_cert(harness_tpm_dir(h, 0), eks[i].cert, &cert);
		/* Connections one after the other: swtpm must outlive each of them. */
		nv_read(harness_tcti(h, 0), eks[i].nv_index, &nv);
		assert_true(bytes_eq(buf_bytes(&nv), cert_der(cert)));
		read_text(harness_tpm_dir(h, 0), eks[i].public, &pem);
		ok(key_from_pem(buf_bytes(&pem), &public));
		ok(cert_key(cert, &certified));
		assert_true(key_equal(certified, public));
		assert_int_equal(key_kind(public), eks[i].kind);
		ok(key_spki_sha256(public, digest));
		assert_memory_equal(digest, i == 0 ? info.ek_sha256 : info.ek_ecc_sha256, 32);
		assert_false(cert_is_ca(cert));
		ok(verify(h, 0, eks[i].cert, "ca", clock_now_s()));
	}
}

static void test_bad_certificates(void **state)
{
	const int64_t day_s = 86400, now_s = clock_now_s();
	cleanup_harness struct harness *h = up(NULL, 1, NULL, HARNESS_CERT_FOREIGN);
	cleanup_cert struct cert *ca_cert = NULL;

	(void)state;
	/* Each further kind is added behind the ones before, and all are still there. */
	harness_free(up(harness_dir(h), 1, NULL, HARNESS_CERT_EXPIRED));
	harness_free(up(harness_dir(h), 1, NULL, HARNESS_CERT_CA));
	{
		struct harness *all = up(harness_dir(h), 1, NULL, HARNESS_CERT_NONE);

		harness_free(h);
		h = all;
	}
	assert_int_equal(harness_count(h), 4);

	fails(E_AUTH_CERTIFICATE, verify(h, 0, "ek-rsa.pem", "ca", now_s));
	fails(E_AUTH_CERTIFICATE, verify(h, 0, "ek-ecc.pem", "ca", now_s));
	ok(verify(h, 0, "ek-rsa.pem", "foreign-ca", now_s));

	fails(E_AUTH_CERTIFICATE, verify(h, 1, "ek-rsa.pem", "ca", now_s));
	ok(verify(h, 1, "ek-rsa.pem", "ca", now_s - day_s - day_s / 2));

	read_cert(harness_tpm_dir(h, 2), "ek-rsa.pem", &ca_cert);
	assert_true(cert_is_ca(ca_cert));
	fails(E_AUTH_CERTIFICATE, verify(h, 2, "ek-rsa.pem", "ca", now_s));
	assert_non_null(strstr(why.text, "CA certificate"));

	assert_false(exists(harness_tpm_dir(h, 3), "ek-rsa.pem"));
	assert_true(exists(harness_tpm_dir(h, 3), "ek-rsa.pub"));
	assert_false(tpm_has(harness_tcti(h, 3), NV_EK_CERT_RSA));
	assert_false(tpm_has(harness_tcti(h, 3), NV_EK_CERT_ECC));
	assert_true(tpm_has(harness_tcti(h, 3), EK_RSA));
	assert_true(tpm_has(harness_tcti(h, 2), NV_EK_CERT_RSA));
}

static struct digest pcr(const struct harness *h, enum digest_id bank, unsigned n)
{
	struct digest d = { 0 };

	ok(harness_pcr_read(h, 0, bank, n, &d, &why));
	return d;
}

static void test_banks_and_extend(void **state)
{
	static const enum digest_id on[] = { DIGEST_SHA256, DIGEST_SHA384 };
	cleanup_harness struct harness *h = up(NULL, 1, "sha256,sha384", HARNESS_CERT_NONE);
	struct digest zero[2], want[2], got, event;

	(void)state;
	fails(E_LOCAL_NOT_FOUND, harness_pcr_read(h, 0, DIGEST_SHA1, 0, &got, &why));
	for (size_t i = 0; i < array_len(on); i++) {
		zero[i] = pcr(h, on[i], WORKLOAD_PCR);
		assert_true(bytes_all(digest_bytes(&zero[i]), 0));
		ok(digest_one(on[i], BYTES_LIT("event"), &event));
		ok(digest_extend(on[i], &zero[i], digest_bytes(&event), &want[i]));
	}
	ok(harness_extend(h, 0, WORKLOAD_PCR, BYTES_LIT("event"), &why));
	for (size_t i = 0; i < array_len(on); i++) {
		got = pcr(h, on[i], WORKLOAD_PCR);
		assert_true(bytes_eq(digest_bytes(&got), digest_bytes(&want[i])));
	}

	/* A digest goes to its own bank alone. */
	ok(digest_one(DIGEST_SHA256, BYTES_LIT("other"), &event));
	ok(harness_extend_digest(h, 0, WORKLOAD_PCR, DIGEST_SHA256, digest_bytes(&event), &why));
	ok(digest_extend(DIGEST_SHA256, &want[0], digest_bytes(&event), &want[0]));
	for (size_t i = 0; i < array_len(on); i++) {
		got = pcr(h, on[i], WORKLOAD_PCR);
		assert_true(bytes_eq(digest_bytes(&got), digest_bytes(&want[i])));
	}
	fails(E_PEER_RANGE, harness_extend_digest(h, 0, WORKLOAD_PCR, DIGEST_SHA384, digest_bytes(&event), &why));
	fails(E_LOCAL_NOT_FOUND, harness_extend_digest(h, 0, WORKLOAD_PCR, DIGEST_SHA1, BYTES(event.v, 20), &why));
}

static struct err suspend_resume(struct harness *h, size_t i, struct reason *reterr)
{
	struct err e = harness_suspend(h, i, reterr);

	return failed(e) ? e : harness_resume(h, i, reterr);
}

static struct err suspend_restart(struct harness *h, size_t i, struct reason *reterr)
{
	struct err e = harness_suspend(h, i, reterr);

	return failed(e) ? e : harness_restart(h, i, reterr);
}

/*
 * Brings the clock to where a power loss must show: the TPM saves its clock
 * every 4096 ms, and once it gets past the next multiple the value is safe
 * again. Afterwards the saved clock is far from both neighbours.
 */
static void settle_clock(struct harness *h)
{
	const uint64_t end_ms = clock_boottime_ms() + 20000;
	struct harness_clock now;

	for (;;) {
		ok(harness_clock(h, 0, &now, &why));
		if (now.clock_ms % 4096 > 500 && now.clock_ms % 4096 < 2500)
			break;
		assert_true(clock_boottime_ms() < end_ms);
		(void)poll(NULL, 0, 20);
	}
	ok(harness_reset(h, 0, &why));
}

/* TPM 2.0 Library Part 1, "Clock", "resetCount", "restartCount" and "safe", as libtpms has them. */
static void test_transitions(void **state)
{
	enum { SAME, PLUS_1, BACK_TO_0 };
	enum { SAFE_KEPT, SAFE_LOST, SAFE_AGAIN };
	static const struct {
		const char *name;
		struct err (*run)(struct harness *h, size_t i, struct reason *reterr);
		int reset, restart;
		bool pcrs_kept, clock_goes_on;
		int safe;
	} rows[] = {
		{ "resume", suspend_resume, SAME, PLUS_1, true, true, SAFE_KEPT },
		{ "restart", suspend_restart, SAME, PLUS_1, false, true, SAFE_KEPT },
		{ "reset", harness_reset, PLUS_1, BACK_TO_0, false, true, SAFE_KEPT },
		{ "resume after reset", suspend_resume, SAME, PLUS_1, true, true, SAFE_KEPT },
		{ "power loss", harness_power_loss, PLUS_1, BACK_TO_0, false, false, SAFE_LOST },
		{ "reset after power loss", harness_reset, PLUS_1, BACK_TO_0, false, true, SAFE_KEPT },
		{ "restart again", suspend_restart, SAME, PLUS_1, false, true, SAFE_KEPT },
		{ "clear", harness_clear, BACK_TO_0, BACK_TO_0, true, false, SAFE_AGAIN },
	};
	cleanup_harness struct harness *h = up(NULL, 1, NULL, HARNESS_CERT_GOOD);
	char tcti[HARNESS_TCTI_SIZE];

	(void)state;
	(void)snprintf(tcti, sizeof(tcti), "%s", harness_tcti(h, 0));
	for (size_t i = 0; i < array_len(rows); i++) {
		struct harness_clock before, after;
		struct digest old, new;
		const int rules[] = { rows[i].reset, rows[i].restart };

		(void)fprintf(stderr, "# %s\n", rows[i].name);
		if (rows[i].safe == SAFE_LOST)
			settle_clock(h);
		ok(harness_extend(h, 0, WORKLOAD_PCR, BYTES_LIT("event"), &why));
		ok(harness_clock(h, 0, &before, &why));
		old = pcr(h, DIGEST_SHA256, WORKLOAD_PCR);
		ok(rows[i].run(h, 0, &why));
		ok(harness_clock(h, 0, &after, &why));
		new = pcr(h, DIGEST_SHA256, WORKLOAD_PCR);

		for (size_t k = 0; k < array_len(rules); k++) {
			uint32_t was = k == 0 ? before.reset_count : before.restart_count;
			uint32_t is = k == 0 ? after.reset_count : after.restart_count;

			assert_int_equal(is, rules[k] == SAME ? was : rules[k] == PLUS_1 ? was + 1 : 0);
		}
		/* An unsafe clock becomes safe by itself, so that kept is less than equal. */
		if (rows[i].safe != SAFE_KEPT || before.safe)
			assert_int_equal(after.safe, rows[i].safe != SAFE_LOST);
		if (rows[i].clock_goes_on)
			assert_true(after.clock_ms >= before.clock_ms);
		if (rows[i].pcrs_kept)
			assert_true(bytes_eq(digest_bytes(&new), digest_bytes(&old)));
		else
			assert_true(bytes_all(digest_bytes(&new), 0));
		assert_string_equal(harness_tcti(h, 0), tcti);
	}
	/* TPM2_Clear takes the persistent EK but not the platform's NV indexes. */
	assert_false(tpm_has(tcti, EK_RSA));
	assert_true(tpm_has(tcti, NV_EK_CERT_RSA));
}

static void test_power_states(void **state)
{
	cleanup_harness struct harness *h = up(NULL, 1, NULL, HARNESS_CERT_NONE);
	struct harness_clock before, after;
	struct harness_info info;

	(void)state;
	fails(E_AUTH_CONFLICT, harness_resume(h, 0, &why));
	fails(E_AUTH_CONFLICT, harness_restart(h, 0, &why));
	ok(harness_clock(h, 0, &before, &why));
	ok(harness_suspend(h, 0, &why));
	ok(harness_info(h, 0, &info, &why));
	assert_int_equal(info.power, HARNESS_SUSPENDED);
	assert_int_equal(info.pid, 0);
	assert_int_equal(processes_with(harness_dir(h)), 0);
	fails(E_AUTH_CONFLICT, harness_suspend(h, 0, &why));
	fails(E_AUTH_CONFLICT, harness_power_loss(h, 0, &why));
	fails(E_AUTH_CONFLICT, harness_extend(h, 0, 0, BYTES_LIT("x"), &why));
	fails(E_AUTH_CONFLICT, harness_clear(h, 0, &why));
	fails(E_BUG, harness_reset(h, 1, &why));
	ok(harness_resume(h, 0, &why));

	ok(harness_down(h, true, &why));
	ok(harness_info(h, 0, &info, &why));
	assert_int_equal(info.power, HARNESS_OFF);
	assert_int_equal(processes_with(harness_dir(h)), 0);
	ok(harness_reset(h, 0, &why));
	ok(harness_clock(h, 0, &after, &why));
	assert_true(after.reset_count == before.reset_count + 1 && after.safe);
}

static void test_replace(void **state)
{
	cleanup_harness struct harness *h = up(NULL, 2, "sha256,sha1", HARNESS_CERT_GOOD);
	struct harness_info before[2], after[2];

	(void)state;
	for (size_t i = 0; i < 2; i++)
		ok(harness_info(h, i, &before[i], &why));
	ok(harness_replace(h, 1, &why));
	for (size_t i = 0; i < 2; i++)
		ok(harness_info(h, i, &after[i], &why));
	assert_memory_equal(&after[0], &before[0], sizeof(before[0]));
	assert_memory_not_equal(after[1].ek_sha256, before[1].ek_sha256, 32);
	assert_memory_not_equal(after[1].ek_ecc_sha256, before[1].ek_ecc_sha256, 32);
	assert_string_equal(after[1].tcti, before[1].tcti);
	assert_string_equal(after[1].banks, before[1].banks);
	assert_int_equal(after[1].power, HARNESS_ON);
	ok(verify(h, 1, "ek-rsa.pem", "ca", clock_now_s()));
	assert_int_equal(processes_with(harness_dir(h)), 2);
}

static pid_t start_bystander(void)
{
	char name[] = "sleep", time[] = "120";
	char *argv[] = { name, time, NULL };
	pid_t pid;

	assert_int_equal(posix_spawnp(&pid, "sleep", NULL, NULL, argv, environ), 0);
	return pid;
}

static void test_only_own_processes_are_stopped(void **state)
{
	cleanup_harness struct harness *h = up(NULL, 2, NULL, HARNESS_CERT_NONE);
	struct process mine = { 0 }, other;
	struct harness_info info;
	pid_t bystander = start_bystander();
	char text[128], dir[64];

	(void)state;
	(void)snprintf(dir, sizeof(dir), "%s", harness_dir(h));
	ok(process_load(harness_tpm_dir(h, 1), &mine));
	ok(harness_down(h, true, &why));

	/* A pid file of a TPM whose process id somebody else has now. */
	(void)snprintf(text, sizeof(text), "%d %llu %s\n", (int)bystander, (unsigned long long)mine.start, mine.boot);
	write_text(harness_tpm_dir(h, 0), "pid", text, 0644);
	ok(process_load(harness_tpm_dir(h, 0), &other));
	assert_int_equal(other.pid, bystander);
	assert_false(process_runs(&other));
	ok(harness_info(h, 0, &info, &why));
	assert_int_equal(info.power, HARNESS_OFF);
	ok(harness_reset(h, 0, &why));
	assert_int_equal(waitpid(bystander, NULL, WNOHANG), 0);
	(void)snprintf(text, sizeof(text), "%d %llu %s\n", (int)bystander, (unsigned long long)mine.start, mine.boot);
	write_text(harness_tpm_dir(h, 1), "pid", text, 0644);
	ok(harness_down(h, false, &why));
	assert_int_equal(waitpid(bystander, NULL, WNOHANG), 0);
	assert_int_equal(processes_with(dir), 0);
	assert_int_equal(access(dir, F_OK), -1);

	assert_int_equal(kill(bystander, SIGKILL), 0);
	assert_int_equal(waitpid(bystander, NULL, 0), bystander);
}

/* The three parts of a record: each of them alone keeps a stranger from being taken for ours. */
static void test_process_identity(void **state)
{
	static const char *const argv[] = { "sleep", "60", NULL }, *const absent[] = { "no-such-program-here", NULL };
	struct process p, q;

	(void)state;
	ok(process_spawn(argv, "/dev/null", &p));
	assert_true(process_runs(&p));
	q = p;
	q.start++;
	assert_false(process_runs(&q));
	ok(process_kill(&q));
	assert_true(process_runs(&p));
	q = p;
	q.boot[0] = q.boot[0] == '0' ? '1' : '0';
	assert_false(process_runs(&q));
	ok(process_kill(&q));
	ok(process_kill_group(&q));
	assert_true(process_runs(&p));
	fails(E_LOCAL_TIMEOUT, process_wait(&p, 10, -1, NULL));
	ok(process_kill(&p));
	assert_false(process_runs(&p));
	ok(process_kill(&p));
	fails(E_LOCAL_NOT_FOUND, process_spawn(absent, "/dev/null", &p));
}

static void test_down_while_connection_is_held(void **state)
{
	cleanup_harness struct harness *h = up(NULL, 1, NULL, HARNESS_CERT_NONE);
	TSS2_TCTI_CONTEXT *tcti;
	ESYS_CONTEXT *esys = esys_open(harness_tcti(h, 0), &tcti);
	TPMS_TIME_INFO *time = NULL;
	char dir[64];

	(void)state;
	(void)snprintf(dir, sizeof(dir), "%s", harness_dir(h));
	assert_int_equal(Esys_ReadClock(esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &time), TSS2_RC_SUCCESS);
	Esys_Free(time);
	ok(harness_down(h, false, &why));
	assert_int_equal(processes_with(dir), 0);
	assert_int_equal(access(dir, F_OK), -1);
	esys_close(esys, tcti);
}

static void test_what_a_killed_harness_left(void **state)
{
	cleanup_scratch struct scratch s = { { 0 } };
	cleanup_harness struct harness *h = NULL;
	char half[128];

	(void)state;
	scratch_make(&s);
	h = up(s.dir, 1, NULL, HARNESS_CERT_NONE);
	(void)snprintf(half, sizeof(half), "%s/tpm-1", s.dir);
	ok(dir_make(half, 0700));
	write_text(half, "log", "unfinished", 0600);
	harness_free(h);
	h = NULL;
	ok(harness_open(s.dir, &h, &why));
	assert_int_equal(harness_count(h), 1);
	harness_free(h);
	h = up(s.dir, 1, NULL, HARNESS_CERT_NONE);
	assert_int_equal(harness_count(h), 2);
	(void)snprintf(half, sizeof(half), "%s/tpm-2", s.dir);
	ok(dir_make(half, 0700));
	ok(harness_down(h, false, &why));
	assert_int_equal(access(s.dir, F_OK), -1);
	assert_int_equal(mkdir(s.dir, 0700), 0); /* for scratch_done() */
}

static void test_bad_options(void **state)
{
	cleanup_scratch struct scratch s = { { 0 } };
	char longest[200], note[128];
	struct harness *h = NULL;
	const struct {
		struct harness_options o;
		enum err_code want;
		const char *reason;
	} rows[] = {
		{ { .dir = longest }, E_LIMIT_SIZE, "107" },
		{ { .dir = "/tmp/a,b" }, E_PEER_RANGE, "comma" },
		{ { .dir = "" }, E_PEER_RANGE, "empty" },
		{ { .dir = s.dir }, E_LOCAL_EXISTS, s.dir },
		{ { .banks = "sha256,md5" }, E_PEER_RANGE, "banks" },
		{ { .banks = "sha256,sha256" }, E_PEER_RANGE, "banks" },
		{ { .banks = "sm3_256" }, E_PEER_RANGE, "banks" },
		{ { .banks = "" }, E_PEER_RANGE, "banks" },
		{ { .banks = "sha256,sha256,sha256,sha256,sha256,sha256" }, E_PEER_RANGE, "banks" },
		{ { .count = HARNESS_TPMS_MAX + 1 }, E_PEER_RANGE, "1024" },
	};

	(void)state;
	scratch_make(&s);
	(void)memset(longest, 'x', sizeof(longest) - 1);
	(void)memcpy(longest, "/tmp/", 5);
	longest[sizeof(longest) - 1] = '\0';
	write_text(s.dir, "note", "not of the harness", 0600);
	for (size_t i = 0; i < array_len(rows); i++) {
		why.text[0] = '\0';
		fails(rows[i].want, harness_up(&rows[i].o, &h, &why));
		assert_non_null(strstr(why.text, rows[i].reason));
		assert_null(h);
	}
	assert_int_equal(access(longest, F_OK), -1);
	fails(E_LOCAL_NOT_FOUND, harness_open(s.dir, &h, &why));
	(void)snprintf(note, sizeof(note), "%s/note", s.dir);
	assert_int_equal(unlink(note), 0);
}

static void test_cancel(void **state)
{
	cleanup_scratch struct scratch s = { { 0 } };
	char dir[100];
	struct harness_options o = { .dir = dir, .count = 3 };
	struct harness *h = NULL;
	int pipe_fds[2];

	(void)state;
	scratch_make(&s);
	(void)snprintf(dir, sizeof(dir), "%s/h", s.dir);
	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	assert_int_equal(write(pipe_fds[1], "x", 1), 1);
	o.cancel_fd = pipe_fds[0];
	/* The first setups run by the time it looks. */
	fails(E_LOCAL_BUSY, harness_up(&o, &h, &why));
	assert_int_equal(processes_with(dir), 0);
	assert_int_equal(access(dir, F_OK), -1);
	assert_int_equal(close(pipe_fds[0]), 0);
	assert_int_equal(close(pipe_fds[1]), 0);
}

/* Programs in the place of swtpm_setup that misbehave. */
static void test_setup_that_fails(void **state)
{
	static const struct {
		const char *script, *reason;
		enum err_code want;
	} rows[] = {
		{ NULL, "package swtpm-tools", E_LOCAL_NOT_FOUND },
		{ "#!/bin/sh\necho no space for a TPM >&2\nexit 1\n", "no space for a TPM", E_LOCAL_TPM },
		/* Hangs in a child, which must go as well. */
		{ "#!/bin/sh\n/bin/sh -c 'for i in 1 2 3 4 5 6 7 8 9; do /bin/sleep 1; done' sh \"$@\" &\nwait\n",
		  "longer than 300 ms", E_LOCAL_TIMEOUT },
		/* Makes no TPM, so that swtpm is the one that is missing. */
		{ "#!/bin/sh\nexit 0\n", "package swtpm", E_LOCAL_NOT_FOUND },
	};
	cleanup_scratch struct scratch s = { { 0 } };
	cleanup_free char *path = strdup(getenv("PATH"));
	char dir[100], script[100];

	(void)state;
	assert_non_null(path);
	scratch_make(&s);
	(void)snprintf(dir, sizeof(dir), "%s/h", s.dir);
	(void)snprintf(script, sizeof(script), "%s/swtpm_setup", s.dir);
	assert_int_equal(setenv("PATH", s.dir, 1), 0);
	assert_false(harness_available());
	for (size_t i = 0; i < array_len(rows); i++) {
		struct harness_options o = { .dir = dir, .count = 2, .timeout_ms = 300 };
		struct harness *h = NULL;

		if (rows[i].script != NULL)
			write_text(s.dir, "swtpm_setup", rows[i].script, 0700);
		why.text[0] = '\0';
		fails(rows[i].want, harness_up(&o, &h, &why));
		if (strstr(why.text, rows[i].reason) == NULL)
			fail_msg("\"%s\" does not say \"%s\"", why.text, rows[i].reason);
		assert_int_equal(access(dir, F_OK), -1);
		assert_int_equal(processes_with(s.dir), 0);
	}
	assert_int_equal(setenv("PATH", path, 1), 0);
	assert_int_equal(unlink(script), 0);
}

static char root_dir[64];

/* Everything of this program lies in one folder, so that a test which fails half-way leaves nothing running either. */
static int group_setup(void **state)
{
	const char *tmp = getenv("TMPDIR");
	int n = snprintf(root_dir, sizeof(root_dir), "%s/th-XXXXXX", tmp != NULL && strlen(tmp) < 32 ? tmp : "/tmp");

	(void)state;
	if (n < 0 || (size_t)n >= sizeof(root_dir) || mkdtemp(root_dir) == NULL)
		return -1;
	return setenv("TMPDIR", root_dir, 1);
}

static int group_teardown(void **state)
{
	DIR *d = opendir(root_dir);
	const struct dirent *entry;

	(void)state;
	if (d == NULL)
		return -1;
	while ((entry = readdir(d)) != NULL) {
		cleanup_harness struct harness *left = NULL;
		char path[512];

		(void)snprintf(path, sizeof(path), "%s/%s", root_dir, entry->d_name);
		if (entry->d_name[0] != '.' && !failed(harness_open(path, &left, NULL)))
			(void)fprintf(stderr, "# %s was left behind\n", path);
	}
	(void)closedir(d);
	if (rmdir(root_dir) == 0)
		return 0;
	(void)fprintf(stderr, "# %s is not empty\n", root_dir);
	return -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_process_identity),
		cmocka_unit_test(test_bad_options),
		cmocka_unit_test(test_up_makes_running_tpms),
		cmocka_unit_test(test_ek_certificates),
		cmocka_unit_test(test_bad_certificates),
		cmocka_unit_test(test_banks_and_extend),
		cmocka_unit_test(test_transitions),
		cmocka_unit_test(test_power_states),
		cmocka_unit_test(test_replace),
		cmocka_unit_test(test_only_own_processes_are_stopped),
		cmocka_unit_test(test_down_while_connection_is_held),
		cmocka_unit_test(test_what_a_killed_harness_left),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_setup_that_fails),
	};

	if (!harness_available()) {
		(void)printf("1..0 # SKIP swtpm not installed\n");
		return 0;
	}
	return cmocka_run_group_tests_name("harness", tests, group_setup, group_teardown);
}
