/* SPDX-License-Identifier: Apache-2.0 */
/* assay-attest as a program, on a real software TPM, with a verifier that says what the test wants. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/file.h"
#include "base/jose.h"
#include "base/text.h"
#include "tests/support/attest_fixture.h"
#include "tests/support/fake_verifier.h"

#define DEADLINE_MS 60000
#define ARGS_MAX 48

static struct fake_verifier verifier;
static char top[128];   /* work folder, open to everybody: the command's user comes here */
static char state[160], ca_file[160], image[160], model[160];
static const char *program;

/* ---------------------------------------------------------------- processes */

struct process {
	pid_t pid;
	int in, out, err;
};

struct result {
	int status;       /* exit status, or 128 + signal */
	struct buf out, err;
};

static void result_done(struct result *r)
{
	buf_free(&r->out);
	buf_free(&r->err);
}
#define cleanup_result cleanup(result_done)

static void start(struct process *p, const char *const *args)
{
	int in[2], out[2], err[2];
	char *argv[ARGS_MAX];
	size_t n = 0;

	for (; args[n] != NULL; n++) {
		assert_true(n < ARGS_MAX - 1);
		argv[n] = strdup(args[n]);
	}
	argv[n] = NULL;
	assert_int_equal(pipe2(in, O_CLOEXEC) | pipe2(out, O_CLOEXEC) | pipe2(err, O_CLOEXEC), 0);
	p->pid = fork();
	assert_true(p->pid >= 0);
	if (p->pid == 0) {
		(void)dup2(in[0], 0);
		(void)dup2(out[1], 1);
		(void)dup2(err[1], 2);
		(void)execv(argv[0], argv);
		_exit(99);
	}
	(void)close(in[0]);
	(void)close(out[1]);
	(void)close(err[1]);
	p->in = in[1];
	p->out = out[0];
	p->err = err[0];
	for (size_t i = 0; i < n; i++)
		free(argv[i]);
}

/* One read from fd; false at its end. */
static bool drain(int *fd, struct buf *to)
{
	uint8_t part[4096];
	ssize_t n = read(*fd, part, sizeof(part));

	if (n > 0)
		OK(buf_add(to, BYTES(part, (size_t)n)));
	if (n > 0 || (n < 0 && errno == EINTR))
		return true;
	(void)close(*fd);
	*fd = -1;
	return false;
}

static void finish(struct process *p, struct result *ret)
{
	int status;

	*ret = (struct result){ .out = BUF_INIT(1 * MIB), .err = BUF_INIT(1 * MIB) };
	if (p->in >= 0)
		(void)close(p->in);
	while (p->out >= 0 || p->err >= 0) {
		struct pollfd fds[] = { { .fd = p->out, .events = POLLIN }, { .fd = p->err, .events = POLLIN } };

		if (poll(fds, 2, DEADLINE_MS) == 0) {
			(void)kill(p->pid, SIGKILL);
			print_error("no end in sight: %.*s\n", (int)ret->err.n, (const char *)ret->err.p);
			fail();
		}
		if (fds[0].revents != 0)
			(void)drain(&p->out, &ret->out);
		if (fds[1].revents != 0)
			(void)drain(&p->err, &ret->err);
	}
	assert_int_equal(waitpid(p->pid, &status, 0), p->pid);
	ret->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* "assay-attest VERB" with what every call has, then more arguments up to NULL. */
static size_t base_args(const char *verb, const char **args)
{
	const char *const always[] = { program, verb, "--state-dir", state, "--tcti", harness_tcti(fixture_harness, 0),
				       "--user", "nobody", "--timeout", "10s" };

	memcpy(args, always, sizeof(always));
	return array_len(always);
}

static void start_verb(struct process *p, const char *verb, va_list more)
{
	const char *args[ARGS_MAX];
	size_t n = base_args(verb, args);

	do {
		assert_true(n < ARGS_MAX);
		args[n] = va_arg(more, const char *);
	} while (args[n++] != NULL);
	start(p, args);
}

static void launch(struct process *p, const char *verb, ...)
{
	va_list more;

	va_start(more, verb);
	start_verb(p, verb, more);
	va_end(more);
}

static void expect_status(const struct result *r, int want)
{
	if (r->status == want)
		return;
	print_error("exit status %d instead of %d\n%.*s%.*s\n%s\n", r->status, want, (int)r->out.n,
		    (const char *)r->out.p, (int)r->err.n, (const char *)r->err.p, verifier.why.text);
	fail();
}

static void verb(struct result *ret, int want, const char *name, ...)
{
	struct process p;
	va_list more;

	va_start(more, name);
	start_verb(&p, name, more);
	va_end(more);
	finish(&p, ret);
	expect_status(ret, want);
}

/* The same when nobody reads the output. */
#define VERB(want, ...)                          \
	do {                                     \
		struct result r_;                \
		verb(&r_, want, __VA_ARGS__);    \
		result_done(&r_);                \
	} while (0)

static const char *text(struct buf *b)
{
	const char *s;

	OK(buf_cstr(b, &s));
	return s;
}

static void expect_text(struct buf *b, const char *part)
{
	if (b->n > 0 && strstr(text(b), part) != NULL)
		return;
	print_error("no \"%s\" in: %s\n", part, b->n > 0 ? text(b) : "");
	fail();
}

#define RUN_ARGS "--agent", "invoices", "--image", image, "--model", model
#define ENROL_ARGS "--verifier", verifier.server.url, "--ca", ca_file

/* ---------------------------------------------------------------- files */

static void put(const char *path, const char *content)
{
	OK(file_write(AT_FDCWD, path, bytes_str(content), 0644));
}

static void put_blob(const char *content, char ret_hex[65])
{
	char path[512];
	uint8_t d[32];

	OK(sha256(bytes_str(content), d));
	OK(hex_encode(BYTES_ARR(d), ret_hex, 65));
	(void)snprintf(path, sizeof(path), "%s/blobs/sha256/%s", image, ret_hex);
	put(path, content);
}

static void make_image(void)
{
	static const char config[] = "{\"architecture\":\"amd64\",\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\"}}";
	static const char layer[] = "not really a layer";
	char hex[3][65], path[512], manifest[1024], index[1024];

	(void)snprintf(path, sizeof(path), "%s/blobs/sha256", image);
	OK(dir_make(path, 0755));
	put_blob(config, hex[0]);
	put_blob(layer, hex[1]);
	(void)snprintf(manifest, sizeof(manifest),
		       "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\","
		       "\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"digest\":\"sha256:%s\","
		       "\"size\":%zu},\"layers\":[{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar\","
		       "\"digest\":\"sha256:%s\",\"size\":%zu}]}",
		       hex[0], strlen(config), hex[1], strlen(layer));
	put_blob(manifest, hex[2]);
	(void)snprintf(index, sizeof(index),
		       "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\","
		       "\"digest\":\"sha256:%s\",\"size\":%zu,\"annotations\":{\"org.opencontainers.image.ref.name\":"
		       "\"latest\"}}]}",
		       hex[2], strlen(manifest));
	(void)snprintf(path, sizeof(path), "%s/index.json", image);
	put(path, index);
	(void)snprintf(path, sizeof(path), "%s/oci-layout", image);
	put(path, "{\"imageLayoutVersion\":\"1.0.0\"}");
}

static void make_model(const char *weights)
{
	char path[512];

	OK(dir_make(model, 0755));
	(void)snprintf(path, sizeof(path), "%s/weights", model);
	put(path, weights);
}

/* A new host and a new verifier; the TPM starts a new boot. */
static int fresh(void **unused)
{
	static unsigned n;

	(void)unused;
	n++;
	(void)snprintf(state, sizeof(state), "%s/state-%u", top, n);
	(void)snprintf(ca_file, sizeof(ca_file), "%s/ca-%u.pem", top, n);
	(void)snprintf(image, sizeof(image), "%s/image-%u", top, n);
	(void)snprintf(model, sizeof(model), "%s/model-%u", top, n);
	make_image();
	make_model("weights of version one");
	OK(harness_reset(fixture_harness, 0, &fixture_why));
	fake_verifier_start(&verifier);
	OK(file_write(AT_FDCWD, ca_file, buf_bytes(&verifier.ca.pem), 0644));
	return 0;
}

static int fresh_enrolled(void **unused)
{
	(void)fresh(unused);
	VERB(0, "enrol", ENROL_ARGS, NULL);
	return 0;
}

static int leave(void **unused)
{
	TSS2_TCTI_CONTEXT *tcti = fixture_connect();

	(void)unused;
	/* Whatever happened: nothing of ours stays in the TPM. */
	assert_int_equal(fixture_loaded(tcti), 0);
	fixture_disconnect(&tcti);
	fake_verifier_stop(&verifier);
	if (verifier.why.text[0] != '\0')
		print_error("the verifier found: %s\n", verifier.why.text);
	return verifier.why.text[0] == '\0' ? 0 : -1;
}

/* After a kill -9, objects may be loaded; the next process takes care of them. */
static int leave_after_kill(void **unused)
{
	VERB(0, "attest", NULL);
	return leave(unused);
}

/* ---------------------------------------------------------------- enrol */

static void test_enrol(void **unused)
{
	cleanup_result struct result r;
	struct harness_info info;
	char hex[65];

	(void)unused;
	verb(&r, 0, "enrol", ENROL_ARGS, "--json", NULL);
	OK(harness_info(fixture_harness, 0, &info, &fixture_why));
	OK(hex_encode(BYTES_ARR(info.ek_sha256), hex, sizeof(hex)));
	expect_text(&r.out, verifier.host_id);
	expect_text(&r.out, hex);
	expect_text(&r.out, "\"state\":\"PENDING\"");
	/* Again, by its other name and for people: nothing changes. */
	result_done(&r);
	verb(&r, 0, "enroll", ENROL_ARGS, NULL);
	expect_text(&r.out, "approve host");
	assert_int_equal(verifier.n_enrolled, 2);
}

/* Each kind from enrolment to a run; a host stays with its own until it is replaced. */
static void test_enrol_ecc(void **unused)
{
	cleanup_result struct result r;
	struct harness_info info;
	char hex[65], first[HOST_ID_LEN + 1];

	(void)unused;
	verb(&r, 0, "enrol", ENROL_ARGS, "--ek", "ecc-p384", "--json", NULL);
	OK(harness_info(fixture_harness, 0, &info, &fixture_why));
	OK(hex_encode(BYTES_ARR(info.ek_ecc_sha256), hex, sizeof(hex)));
	expect_text(&r.out, hex);
	memcpy(first, verifier.host_id, sizeof(first));
	VERB(0, "run", RUN_ARGS, "--", "true", NULL);
	VERB(0, "attest", NULL);
	VERB(0, "enrol", ENROL_ARGS, NULL); /* auto: as before */
	assert_string_equal(verifier.host_id, first);
	result_done(&r);
	verb(&r, 1, "enrol", ENROL_ARGS, "--ek", "ecc-p256", NULL);
	expect_text(&r.err, "of kind ecc-p384");
	VERB(0, "enrol", ENROL_ARGS, "--ek", "ecc-p256", "--replace", NULL);
	assert_string_not_equal(verifier.host_id, first);
	VERB(0, "run", RUN_ARGS, "--", "true", NULL);
	VERB(0, "attest", NULL);
	VERB(2, "enrol", ENROL_ARGS, "--ek", NULL);
	VERB(3, "enrol", ENROL_ARGS, "--ek", "rsa", NULL);
}

/* Where the certificate comes from a file, its key says which EK it is of. */
static void test_enrol_with_ecc_certificate(void **unused)
{
	cleanup_result struct result r;
	struct harness_info info;
	char hex[65], path[256];

	(void)unused;
	(void)snprintf(path, sizeof(path), "%s/ek-ecc.pem", harness_tpm_dir(fixture_harness, 0));
	verb(&r, 0, "enrol", ENROL_ARGS, "--ek-cert", path, "--json", NULL);
	OK(harness_info(fixture_harness, 0, &info, &fixture_why));
	OK(hex_encode(BYTES_ARR(info.ek_ecc_sha256), hex, sizeof(hex)));
	expect_text(&r.out, hex);
}

static void test_enrol_needs_a_verified_peer(void **unused)
{
	cleanup_result struct result r;
	char other[256];
	struct http_ca ca;

	(void)unused;
	http_ca_init(&ca, "somebody else");
	(void)snprintf(other, sizeof(other), "%s.other", ca_file);
	OK(file_write(AT_FDCWD, other, buf_bytes(&ca.pem), 0644));
	verb(&r, 1, "enrol", "--verifier", verifier.server.url, "--ca", other, NULL);
	assert_int_equal(verifier.server.n_requests, 0);
	http_ca_done(&ca);
	VERB(2, "enrol", "--verifier", verifier.server.url, NULL);
	VERB(3, "enrol", "--verifier", "https://127.0.0.1:1", "--ca", ca_file, NULL);
	VERB(3, "attest", NULL); /* not enrolled */
}

static void test_pins(void **unused)
{
	static struct fake_verifier other; /* large */
	char pem[256];

	(void)unused;
	fake_verifier_start(&other);
	(void)snprintf(pem, sizeof(pem), "%s.2", ca_file);
	OK(file_write(AT_FDCWD, pem, buf_bytes(&other.ca.pem), 0644));
	VERB(1, "enrol", "--verifier", other.server.url, "--ca", pem, NULL);
	assert_int_equal(other.server.n_requests, 0);
	/* The same verifier that calls itself something else is not the same. */
	FAKE_VERIFIER_WITH(&verifier, verifier.issuer = "https://elsewhere");
	VERB(1, "enrol", ENROL_ARGS, NULL);
	VERB(1, "attest", NULL);
	FAKE_VERIFIER_WITH(&verifier, verifier.issuer = NULL);
	VERB(0, "attest", NULL);
	VERB(0, "enrol", "--verifier", other.server.url, "--ca", pem, "--replace", NULL);
	assert_int_equal(other.n_enrolled, 1);
	VERB(0, "attest", NULL);
	assert_int_equal(other.n_attested, 1);
	assert_string_equal(other.why.text, "");
	fake_verifier_stop(&other);
}

/* ---------------------------------------------------------------- attest, status */

static void test_attest(void **unused)
{
	cleanup_result struct result r;

	(void)unused;
	verb(&r, 0, "attest", "--json", NULL);
	expect_text(&r.out, "\"accepted\":true");
	result_done(&r);
	FAKE_VERIFIER_WITH(&verifier, verifier.state = "FAILED");
	verb(&r, 1, "attest", NULL);
	expect_text(&r.out, "FAILED");
	expect_text(&r.out, "W-model");
	expect_text(&r.out, "something else");
	FAKE_VERIFIER_WITH(&verifier, verifier.state = "PENDING");
	VERB(1, "attest", NULL);
	/* A first look at a new boot is followed by a second. */
	FAKE_VERIFIER_WITH(&verifier, verifier.state = "REBOOTED");
	VERB(0, "attest", NULL);
	assert_int_equal(verifier.n_attested, 5);
}

static void test_attest_retries(void **unused)
{
	(void)unused;
	FAKE_VERIFIER_WITH(&verifier, verifier.n_retry = 3);
	VERB(0, "attest", NULL);
	assert_int_equal(verifier.n_challenges, 4);
	FAKE_VERIFIER_WITH(&verifier, verifier.n_retry = 100);
	VERB(1, "attest", NULL);
	FAKE_VERIFIER_WITH(&verifier, (verifier.n_retry = 0, verifier.n_unavailable = 1));
	VERB(3, "attest", NULL);
	/* Too much to do is no judgement either, whatever the error is called. */
	FAKE_VERIFIER_WITH(&verifier, (verifier.n_unavailable = 1, verifier.unavailable = 429));
	VERB(3, "attest", NULL);
	FAKE_VERIFIER_WITH(&verifier, verifier.unavailable = 0);
}

static void test_status(void **unused)
{
	cleanup_result struct result r;

	(void)unused;
	verb(&r, 0, "status", "--json", NULL);
	expect_text(&r.out, "\"pcr\":\"none\"");
	result_done(&r);
	VERB(0, "attest", NULL);
	verb(&r, 0, "status", NULL);
	expect_text(&r.out, verifier.host_id);
	expect_text(&r.out, "PCR 13 is explained");
	result_done(&r);
	OK(harness_extend(fixture_harness, 0, 13, BYTES_LIT("not ours"), &fixture_why));
	verb(&r, 1, "status", NULL);
	expect_text(&r.out, "unexplained");
	result_done(&r);
	verb(&r, 1, "attest", NULL);
	expect_text(&r.err, "unexplained");
	result_done(&r);
	verb(&r, 125, "run", RUN_ARGS, "--", "/bin/true", NULL);
	expect_text(&r.err, "unexplained");
}

/* ---------------------------------------------------------------- run */

static void test_run_environment(void **unused)
{
	static const char script[] =
		"echo uid=$(id -u) groups=$(id -G) agent=$ASSAY_AGENT instance=$ASSAY_INSTANCE tcti=$ASSAY_TCTI;"
		"grep -E '^(NoNewPrivs|CapEff|CapPrm|CapInh|SigBlk)' /proc/self/status; ls /proc/self/fd | tr '\\n' ' ';"
		"exit 7";
	cleanup_result struct result r;

	(void)unused;
	assert_int_equal(setenv("ASSAY_TCTI", "to be removed", 1), 0);
	verb(&r, 7, "run", RUN_ARGS, "--", "/bin/sh", "-c", script, NULL);
	assert_int_equal(unsetenv("ASSAY_TCTI"), 0);
	expect_text(&r.out, "uid=65534 groups=65534 agent=invoices instance=");
	expect_text(&r.out, "tcti=\n");
	expect_text(&r.out, "NoNewPrivs:\t1");
	expect_text(&r.out, "CapPrm:\t0000000000000000");
	expect_text(&r.out, "CapEff:\t0000000000000000");
	expect_text(&r.out, "SigBlk:\t0000000000000000");
	expect_text(&r.out, "\n0 1 2 3 "); /* 3 is ls's own */
	assert_null(strstr(text(&r.out), " 4 "));
	assert_int_equal(verifier.n_start, 1);
	assert_int_equal(verifier.n_end, 1);
}

static void test_run_exit_status(void **unused)
{
	(void)unused;
	VERB(0, "run", RUN_ARGS, "--", "true", NULL);
	VERB(1, "run", RUN_ARGS, "--", "false", NULL);
	VERB(127, "run", RUN_ARGS, "--", "/nonexistent/command", NULL);
	VERB(126, "run", RUN_ARGS, "--", ca_file, NULL);
	VERB(128 + SIGUSR1, "run", RUN_ARGS, "--", "/bin/sh", "-c", "kill -USR1 $$", NULL);
	VERB(2, "run", RUN_ARGS, NULL);
	VERB(2, "run", "--agent", "a b", "--image", image, "--model", model, "--", "true", NULL);
	assert_int_equal(verifier.n_start, 5);
	assert_int_equal(verifier.n_end, 5);
}

static void test_run_refused(void **unused)
{
	cleanup_result struct result r;

	(void)unused;
	FAKE_VERIFIER_WITH(&verifier, verifier.state = "FAILED");
	verb(&r, 125, "run", RUN_ARGS, "--", "/bin/sh", "-c", "echo it ran", NULL);
	assert_int_equal(r.out.n, 0);
	expect_text(&r.err, "W-model");
	assert_int_equal(verifier.n_end, 1);
	/* The host is fine, this instance is not. */
	result_done(&r);
	FAKE_VERIFIER_WITH(&verifier, (verifier.state = "VERIFIED", verifier.status = "contraindicated"));
	verb(&r, 125, "run", RUN_ARGS, "--", "/bin/sh", "-c", "echo it ran", NULL);
	assert_int_equal(r.out.n, 0);
	/* Nobody could decide. */
	result_done(&r);
	FAKE_VERIFIER_WITH(&verifier, (verifier.status = "warning", verifier.n_unavailable = 1));
	verb(&r, 125, "run", RUN_ARGS, "--", "/bin/sh", "-c", "echo it ran", NULL);
	assert_int_equal(r.out.n, 0);
	/* Nothing to measure: nothing is even begun. */
	VERB(125, "run", "--agent", "a", "--image", "/nonexistent", "--model", model, "--", "true", NULL);
	VERB(125, "run", "--agent", "a", "--image", image, "--image-select", "v9", "--model", model, "--", "true", NULL);
	VERB(0, "run", RUN_ARGS, "--image-select", "latest", "--", "true", NULL);
	assert_int_equal(verifier.n_start, 4);
	assert_int_equal(verifier.n_end, 4);
}

static void test_run_image_with_tag(void **unused)
{
	char tagged[256];

	(void)unused;
	(void)snprintf(tagged, sizeof(tagged), "%s:latest", image);
	VERB(0, "run", "--agent", "a", "--image", tagged, "--model", model, "--", "true", NULL);
	(void)snprintf(tagged, sizeof(tagged), "%s:other", image);
	VERB(125, "run", "--agent", "a", "--image", tagged, "--model", model, "--", "true", NULL);
}

static void test_run_isolation(void **unused)
{
	cleanup_result struct result r;
	char path[256];

	(void)unused;
	verb(&r, 125, "run", RUN_ARGS, "--user", "root", "--", "true", NULL);
	expect_text(&r.err, "root");
	result_done(&r);
	verb(&r, 125, "run", RUN_ARGS, "--user", "no-such-user", "--", "true", NULL);
	expect_text(&r.err, "no-such-user");
	VERB(0, "run", RUN_ARGS, "--user", "4711", "--", "/bin/sh", "-c", "[ $(id -u) = 4711 ]", NULL);

	/* A TPM that everybody can open. */
	result_done(&r);
	(void)snprintf(path, sizeof(path), "%s/sock", harness_tpm_dir(fixture_harness, 0));
	assert_int_equal(chmod(harness_dir(fixture_harness), 0755), 0);
	assert_int_equal(chmod(harness_tpm_dir(fixture_harness, 0), 0755), 0);
	assert_int_equal(chmod(path, 0666), 0);
	verb(&r, 125, "run", RUN_ARGS, "--", "true", NULL);
	expect_text(&r.err, "/sock: ");
	assert_int_equal(chmod(path, 0600), 0);
	result_done(&r);
	/* Its control channel alone. */
	(void)snprintf(path, sizeof(path), "%s/sock.ctrl", harness_tpm_dir(fixture_harness, 0));
	assert_int_equal(chmod(path, 0666), 0);
	verb(&r, 125, "run", RUN_ARGS, "--", "true", NULL);
	expect_text(&r.err, "sock.ctrl");
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(chmod(harness_dir(fixture_harness), 0700), 0);
	VERB(0, "run", RUN_ARGS, "--", "true", NULL);

	/* TCP is open to everybody. */
	result_done(&r);
	verb(&r, 125, "run", RUN_ARGS, "--tcti", "swtpm:host=localhost,port=2321", "--", "true", NULL);
	expect_text(&r.err, "open to every user");
	/* So is a state folder with wide permissions, to all verbs. */
	assert_int_equal(chmod(state, 0755), 0);
	VERB(125, "run", RUN_ARGS, "--", "true", NULL);
	VERB(3, "attest", NULL);
	assert_int_equal(chmod(state, 0700), 0);
	assert_int_equal(verifier.n_start, 2);
}

/* A command that says when it runs, and then waits. */
static void launch_waiting(struct process *p, const char *interval, const char *before)
{
	char script[256], ready[6] = "";

	(void)snprintf(script, sizeof(script), "%s echo ready; while :; do sleep 0.05; done", before);
	launch(p, "run", RUN_ARGS, "--interval", interval, "--grace", "1s", "--", "/bin/sh", "-c", script, NULL);
	if (read(p->out, ready, sizeof(ready)) != sizeof(ready)) {
		cleanup_result struct result r;

		finish(p, &r);
		expect_status(&r, 0);
		fail();
	}
	assert_memory_equal(ready, "ready\n", 6);
}

static void test_run_signals(void **unused)
{
	cleanup_result struct result r;
	struct process p;

	(void)unused;
	launch_waiting(&p, "1h", "");
	assert_int_equal(kill(p.pid, SIGTERM), 0);
	finish(&p, &r);
	expect_status(&r, 128 + SIGTERM);
	result_done(&r);
	launch_waiting(&p, "1h", "trap 'exit 42' USR1;");
	assert_int_equal(kill(p.pid, SIGUSR1), 0);
	finish(&p, &r);
	expect_status(&r, 42);
	assert_int_equal(verifier.n_end, 2);
}

static void test_run_attests_again(void **unused)
{
	cleanup_result struct result r;
	unsigned n = 0, before;
	struct process p;

	(void)unused;
	launch_waiting(&p, "1s", "");
	FAKE_VERIFIER_WITH(&verifier, before = verifier.n_attested);
	for (int i = 0; i < DEADLINE_MS / 100 && n < before + 2; i++) {
		(void)poll(NULL, 0, 100);
		FAKE_VERIFIER_WITH(&verifier, n = verifier.n_attested);
	}
	assert_true(n >= before + 2);
	/* Not to be decided is no refusal. */
	FAKE_VERIFIER_WITH(&verifier, verifier.n_unavailable = 1);
	for (int i = 0; i < DEADLINE_MS / 100 && n > 0; i++) {
		(void)poll(NULL, 0, 100);
		FAKE_VERIFIER_WITH(&verifier, n = verifier.n_unavailable);
	}
	assert_int_equal(waitpid(p.pid, NULL, WNOHANG), 0);
	/* A refusal is. */
	FAKE_VERIFIER_WITH(&verifier, verifier.state = "FAILED");
	finish(&p, &r);
	expect_status(&r, 125);
	expect_text(&r.err, "no longer accepted");
	assert_int_equal(verifier.n_end, 1);
}

static void test_model_changes(void **unused)
{
	cleanup_result struct result r;
	struct process p;

	(void)unused;
	FAKE_VERIFIER_WITH(&verifier, verifier.fail_on_change = true);
	/* It does not even listen to TERM. */
	launch_waiting(&p, "1s", "trap '' TERM;");
	make_model("weights of version two");
	finish(&p, &r);
	expect_status(&r, 125);
	assert_int_equal(verifier.n_changed, 1);
	assert_int_equal(verifier.n_end, 1);
}

/* A model that can no longer be measured has changed too. */
static void test_model_becomes_a_link(void **unused)
{
	cleanup_result struct result r;
	char path[256], target[256];
	struct process p;
	uint8_t zero[32] = { 0 };

	(void)unused;
	launch_waiting(&p, "1h", "");
	(void)snprintf(path, sizeof(path), "%s/weights", model);
	(void)snprintf(target, sizeof(target), "%s/elsewhere", top);
	assert_int_equal(rename(path, target), 0);
	assert_int_equal(symlink(target, path), 0);
	VERB(0, "attest", NULL);
	assert_int_equal(verifier.n_changed, 1);
	assert_memory_equal(verifier.check.last_model.manifest, zero, sizeof(zero));
	assert_memory_not_equal(verifier.check.last_image.manifest, zero, sizeof(zero));
	/* Said once. */
	VERB(0, "attest", NULL);
	assert_int_equal(verifier.n_changed, 1);
	assert_int_equal(kill(p.pid, SIGTERM), 0);
	finish(&p, &r);
	expect_status(&r, 128 + SIGTERM);
	assert_int_equal(unlink(target), 0);
}

/* Nothing of the command outlives run, whether it ends, or run is killed. */
static void test_descendants(void **unused)
{
	cleanup_result struct result r;
	struct process p;
	pid_t pid;

	(void)unused;
	verb(&r, 0, "run", RUN_ARGS, "--", "/bin/sh", "-c", "setsid sleep 1000 >/dev/null 2>&1 & echo $!", NULL);
	pid = (pid_t)strtol(text(&r.out), NULL, 10);
	assert_true(pid > 0);
	assert_int_equal(kill(pid, 0), -1);
	result_done(&r);

	launch_waiting(&p, "1h", "");
	assert_int_equal(kill(p.pid, SIGKILL), 0);
	finish(&p, &r);
	expect_status(&r, 128 + SIGKILL);
	/* The pipes are closed, so the command is gone. Its end is said by the next who comes. */
	assert_int_equal(verifier.n_end, 1);
	VERB(0, "attest", NULL);
	assert_int_equal(verifier.n_end, 2);
	assert_int_equal(verifier.check.n_presented, 0);
}

static void test_concurrent_runs(void **unused)
{
	struct process p[4];

	(void)unused;
	for (size_t i = 0; i < array_len(p); i++)
		launch(&p[i], "run", RUN_ARGS, "--", "/bin/sleep", "0.2", NULL);
	for (size_t i = 0; i < array_len(p); i++) {
		cleanup_result struct result r;

		finish(&p[i], &r);
		expect_status(&r, 0);
	}
	assert_int_equal(verifier.n_start, 4);
	assert_int_equal(verifier.n_end, 4);
}

/* Killed at points that nobody chose: the next one finds its way. */
static void test_killed_anywhere(void **unused)
{
	unsigned runs = fixture_runs("ASSAY_TEST_KILLS", 40, 12);

	(void)unused;
	for (unsigned i = 0; i < runs; i++) {
		cleanup_result struct result r;
		struct process p;

		launch(&p, "run", RUN_ARGS, "--", "/bin/true", NULL);
		(void)poll(NULL, 0, (int)(i * 400 / runs) + 1);
		(void)kill(p.pid, SIGKILL);
		finish(&p, &r);
		if (i % 4 == 3)
			VERB(0, "attest", NULL);
	}
	VERB(0, "attest", NULL);
	VERB(0, "run", RUN_ARGS, "--", "/bin/true", NULL);
	assert_int_equal(verifier.n_start, verifier.n_end);
}

/* ---------------------------------------------------------------- token, proof */

/* The one folder in the state's instances/. */
static void find_instance(char ret[33])
{
	cleanup_result struct result r;
	cleanup_json json_t *o = NULL;

	verb(&r, 0, "status", "--json", NULL);
	OK(json_parse(buf_bytes(&r.out), 1 * MIB, &o, &fixture_why));
	(void)snprintf(ret, 33, "%s",
		       json_string_value(json_object_get(json_array_get(json_object_get(o, "instances"), 0), "instance")));
	assert_int_equal(strlen(ret), 32);
}

static void test_token(void **unused)
{
	cleanup_result struct result r;
	char id[33], jkt[44];
	struct process p;

	(void)unused;
	launch_waiting(&p, "1h", "");
	find_instance(id);
	verb(&r, 0, "token", "--instance", id, "--scope", "read write", "--resource", "https://api.example/v1?x=1",
	     "--task", "t-42", "--expected", "2m", NULL);
	assert_string_equal(text(&r.out), "a.b.c\n");
	assert_string_equal(verifier.form, "grant_type=client_credentials&scope=read%20write&resource=https%3A%2F%2F"
					   "api.example%2Fv1%3Fx%3D1&task_id=t-42&expected_s=120");
	assert_int_equal(verifier.n_tokens, 1);
	memcpy(jkt, verifier.jkt, sizeof(jkt));
	result_done(&r);
	verb(&r, 0, "token", "--json", "--instance", id, "--scope", "read", "--resource", "https://a/", "--task", "t",
	     "--expected", "60", NULL);
	expect_text(&r.out, "\"expires_in\":60");
	assert_string_equal(jkt, verifier.jkt);
	result_done(&r);
	FAKE_VERIFIER_WITH(&verifier, verifier.status = "affirming");
	verb(&r, 1, "token", "--instance", id, "--scope", "all", "--resource", "https://a/", "--task", "t", "--expected",
	     "60", NULL);
	expect_text(&r.err, "invalid_scope");
	expect_text(&r.err, "not yours");
	VERB(2, "token", "--instance", id, NULL);
	VERB(2, "token", "--instance", "XYZ", "--scope", "a", "--resource", "b", "--task", "c", "--expected", "1", NULL);
	result_done(&r);
	verb(&r, 1, "token", "--instance", "00000000000000000000000000000000", "--scope", "a", "--resource", "b", "--task",
	     "c", "--expected", "1", NULL);
	expect_text(&r.err, "no instance 00000000000000000000000000000000");
	expect_text(&r.err, id); /* the one that there is */
	expect_text(&r.err, "assay-attest status");
	FAKE_VERIFIER_WITH(&verifier, verifier.status = "warning");
	assert_int_equal(kill(p.pid, SIGTERM), 0);
	result_done(&r);
	finish(&p, &r);
	expect_status(&r, 128 + SIGTERM);
	/* Its key is gone with it. */
	result_done(&r);
	verb(&r, 1, "proof", "--json", "--instance", id, "--method", "GET", "--url", "https://a/", NULL);
	expect_text(&r.err, "and no other");
	expect_text(&r.out, "\"error\":\"E_AUTH_UNKNOWN\"");
	expect_text(&r.out, "\"outcome\":\"refused\"");
}

static void test_proof(void **unused)
{
	cleanup_result struct result r;
	cleanup_key struct key *key = NULL;
	cleanup_jws struct jws j = { 0 };
	char id[33], path[256];
	struct process p;

	(void)unused;
	launch_waiting(&p, "1h", "");
	find_instance(id);
	/* The example of RFC 9449: token and its hash. */
	(void)snprintf(path, sizeof(path), "%s/token", top);
	put(path, "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU\n");
	verb(&r, 0, "proof", "--instance", id, "--method", "GET", "--url", "https://api.example/x?y=1#z", "--token-file",
	     path, "--nonce", "n-1", NULL);
	assert_true(r.out.n > 0 && r.out.p[r.out.n - 1] == '\n');
	OK(jws_parse(BYTES(r.out.p, r.out.n - 1), &j, &fixture_why));
	OK(jws_verify_embedded(&j, "dpop+jwt", &key, &fixture_why));
	assert_string_equal(json_string_value(json_object_get(j.unsigned_claims, "htm")), "GET");
	assert_string_equal(json_string_value(json_object_get(j.unsigned_claims, "htu")), "https://api.example/x");
	assert_string_equal(json_string_value(json_object_get(j.unsigned_claims, "nonce")), "n-1");
	assert_string_equal(json_string_value(json_object_get(j.unsigned_claims, "ath")),
			    "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo");
	assert_true(json_integer_value(json_object_get(j.unsigned_claims, "iat")) > 1600000000);
	assert_true(strlen(json_string_value(json_object_get(j.unsigned_claims, "jti"))) >= 16);
	result_done(&r);
	assert_int_equal(kill(p.pid, SIGTERM), 0);
	finish(&p, &r);
	expect_status(&r, 128 + SIGTERM);
}

/* ---------------------------------------------------------------- the TPM changes */

static void test_new_boot(void **unused)
{
	cleanup_result struct result r;
	struct process p;

	(void)unused;
	launch_waiting(&p, "1h", "");
	OK(harness_suspend(fixture_harness, 0, &fixture_why));
	OK(harness_resume(fixture_harness, 0, &fixture_why));
	/* Woken up: the log goes on, everything is shown again. */
	FAKE_VERIFIER_WITH(&verifier, evidence_check_forget(&verifier.check));
	VERB(0, "attest", NULL);
	assert_int_equal(verifier.check.event[2], WORKLOAD_RESUME);
	assert_int_equal(verifier.check.n_presented, 1);
	/* Reset: the instance and its key are of the past. */
	OK(harness_reset(fixture_harness, 0, &fixture_why));
	FAKE_VERIFIER_WITH(&verifier, evidence_check_forget(&verifier.check));
	VERB(0, "attest", NULL);
	assert_int_equal(verifier.check.n_presented, 0);
	assert_int_equal(kill(p.pid, SIGTERM), 0);
	finish(&p, &r);
	expect_status(&r, 128 + SIGTERM);
}

/* Last: it takes the enrolled TPM away. */
static void test_another_tpm(void **unused)
{
	cleanup_result struct result r;

	(void)unused;
	OK(harness_replace(fixture_harness, 0, &fixture_why));
	verb(&r, 1, "attest", NULL);
	expect_text(&r.err, "another TPM");
	result_done(&r);
	verb(&r, 125, "run", RUN_ARGS, "--", "true", NULL);
	expect_text(&r.err, "not the enrolled one");
	VERB(1, "enrol", ENROL_ARGS, NULL);
	VERB(0, "enrol", ENROL_ARGS, "--replace", NULL);
	VERB(0, "attest", NULL);
}

static int up(void **unused)
{
	(void)snprintf(top, sizeof(top), "/tmp/test-attest-XXXXXX");
	if (mkdtemp(top) == NULL || chmod(top, 0755) != 0)
		return -1;
	return fixture_up(unused);
}

static int down(void **unused)
{
	/* Files of a test are small and few; what removes them is the one that is at hand. */
	const char *const args[] = { "/bin/rm", "-rf", top, NULL };
	struct process p;
	struct result r;

	start(&p, args);
	finish(&p, &r);
	result_done(&r);
	return fixture_down(unused);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh_enrolled, leave)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_enrol, fresh, leave),
		cmocka_unit_test_setup_teardown(test_enrol_ecc, fresh, leave),
		cmocka_unit_test_setup_teardown(test_enrol_with_ecc_certificate, fresh, leave),
		cmocka_unit_test_setup_teardown(test_enrol_needs_a_verified_peer, fresh, leave),
		TEST(test_pins),
		TEST(test_attest),
		TEST(test_attest_retries),
		TEST(test_status),
		TEST(test_run_environment),
		TEST(test_run_exit_status),
		TEST(test_run_refused),
		TEST(test_run_image_with_tag),
		TEST(test_run_isolation),
		TEST(test_run_signals),
		TEST(test_run_attests_again),
		TEST(test_model_changes),
		TEST(test_model_becomes_a_link),
		cmocka_unit_test_setup_teardown(test_descendants, fresh_enrolled, leave_after_kill),
		TEST(test_concurrent_runs),
		cmocka_unit_test_setup_teardown(test_killed_anywhere, fresh_enrolled, leave_after_kill),
		TEST(test_token),
		TEST(test_proof),
		TEST(test_new_boot),
		TEST(test_another_tpm),
	};

	program = getenv("ASSAY_ATTEST");
	if (program == NULL || !harness_available() || geteuid() != 0) {
		(void)printf("1..0 # SKIP needs root, swtpm and ASSAY_ATTEST\n");
		return 0;
	}
	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("attest-program", tests, up, down);
}
