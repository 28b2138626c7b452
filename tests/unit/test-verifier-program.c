/* SPDX-License-Identifier: Apache-2.0 */
/* assay-verifier as a program: configuration, what it tells its service manager, signals, and secrets that are none. */
#include "unit.h"

#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "tests/support/tls_client.h"
#include "verifier/serve/settings.h"

static const char *program;

/* --- the file --- */

static void test_settings(void **state)
{
	static const struct {
		const char *json;
		enum err_code want;
	} rows[] = {
		{ "{}", E_OK },
		{ "{\"issuer\":\"https://a.example\",\"realm\":\"r\",\"dev\":true,\"admin_uids\":[0,1000]}", E_OK },
		{ "{\"verdict_life_s\":60,\"timeout_s\":5,\"max_connections_per_address\":9}", E_OK },
		{ "{\"log_level\":\"debug\",\"log_json\":true}", E_OK },
		{ "[]", E_PEER_TYPE },
		{ "{\"isuer\":\"https://a.example\"}", E_PEER_UNKNOWN_KEY },
		{ "{\"dev\":1}", E_PEER_TYPE },
		{ "{\"dev\":true,\"dev\":true}", E_PEER_DUPLICATE },
		{ "{\"timeout_s\":0}", E_PEER_RANGE },
		{ "{\"timeout_s\":601}", E_PEER_RANGE },
		{ "{\"timeout_s\":\"5\"}", E_PEER_TYPE },
		{ "{\"workers\":-1}", E_PEER_RANGE },
		{ "{\"admin_uids\":[\"root\"]}", E_PEER_RANGE },
		{ "{\"admin_uids\":[-1]}", E_PEER_RANGE },
		{ "{\"log_level\":\"loud\"}", E_PEER_RANGE },
		{ "{\"issuer\":\"https://a\"", E_PEER_SYNTAX },
	};

	(void)state;
	for (size_t i = 0; i < array_len(rows); i++) {
		cleanup_config struct config c = { .file = NULL };
		struct reason why = { "" };
		struct err e;

		verifier_config_init(&c.v);
		e = config_parse(bytes_str(rows[i].json), &c, &why);
		if (e.code != rows[i].want)
			fail_msg("%s: %s (%s)", rows[i].json, err_name(e), why.text);
	}
}

/* --- the program --- */

struct run {
	char dir[64], state[96], socket[96], log[96], notify_path[96];
	int notify_fd;
	pid_t pid;
};

static void run_init(struct run *r)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };

	(void)snprintf(r->dir, sizeof(r->dir), "/tmp/assay-program-XXXXXX");
	assert_non_null(mkdtemp(r->dir));
	(void)snprintf(r->state, sizeof(r->state), "%s/state", r->dir);
	(void)snprintf(r->socket, sizeof(r->socket), "%s/admin.sock", r->dir);
	(void)snprintf(r->log, sizeof(r->log), "%s/log", r->dir);
	(void)snprintf(r->notify_path, sizeof(r->notify_path), "%s/notify", r->dir);
	r->notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	(void)snprintf(name.sun_path, sizeof(name.sun_path), "%s", r->notify_path);
	assert_int_equal(bind(r->notify_fd, (const struct sockaddr *)&name, sizeof(name)), 0);
	r->pid = -1;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static void run_done(struct run *r)
{
	int status;

	if (r->pid > 0) {
		(void)kill(r->pid, SIGKILL);
		(void)waitpid(r->pid, &status, 0);
	}
	(void)close(r->notify_fd);
	(void)nftw(r->dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}
#define cleanup_run cleanup(run_done)

/* Starts it; its log goes to r->log. */
static void start(struct run *r, const char *extra, const char *value)
{
	const char *const argv[] = { program, "--state-dir", r->state, "--admin-socket", r->socket,
				     "--listen", "127.0.0.1:0", "--operators-file", "/nonexistent/operators.json",
				     extra, value, NULL };

	r->pid = fork();
	assert_true(r->pid >= 0);
	if (r->pid > 0)
		return;
	{
		int fd = open(r->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

		if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0 || dup2(fd, STDERR_FILENO) < 0 || setenv("NOTIFY_SOCKET", r->notify_path, 1) != 0)
			_exit(99);
		(void)execv(program, (char *const *)(uintptr_t)argv);
		_exit(98);
	}
}

/* Waits for the exit; its status. */
static int finish(struct run *r)
{
	int status = -1;

	assert_int_equal(waitpid(r->pid, &status, 0), r->pid);
	r->pid = -1;
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void await(struct run *r, const char *want)
{
	char text[256];

	for (;;) {
		struct pollfd p = { r->notify_fd, POLLIN, 0 };
		ssize_t n;

		if (poll(&p, 1, 30000) != 1)
			fail_msg("not told: %s", want);
		n = recv(r->notify_fd, text, sizeof(text) - 1, 0);
		assert_true(n > 0);
		text[n] = '\0';
		if (strncmp(text, want, strlen(want)) == 0)
			return;
	}
}

static const char *log_of(const struct run *r)
{
	static char text[65536];
	cleanup_buf struct buf b = BUF_INIT(sizeof(text) - 1);

	assert_ok(file_read(AT_FDCWD, r->log, &b));
	memcpy(text, b.p, b.n);
	text[b.n] = '\0';
	return text;
}

static uint16_t port_of(const struct run *r)
{
	const char *at = strstr(log_of(r), " on port ");

	assert_non_null(at);
	return (uint16_t)strtoul(at + strlen(" on port "), NULL, 10);
}

static void test_start_reload_stop(void **state)
{
	struct run r cleanup_run;
	cleanup_buf struct buf ca = BUF_INIT(65536);
	char path[128], text[8192];
	const char *pem;
	struct stat st;

	(void)state;
	run_init(&r);
	start(&r, "--dev", NULL);
	await(&r, "READY=1");
	(void)snprintf(path, sizeof(path), "%s/ca.pem", r.state);
	assert_ok(file_read(AT_FDCWD, path, &ca));
	assert_ok(buf_cstr(&ca, &pem));
	{
		cleanup_tls_client struct tls_client *c = tls_client_new(port_of(&r), pem);

		assert_non_null(c);
		assert_int_equal(tls_client_ask(c, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", text, sizeof(text)), 200);
		assert_int_equal(stat(r.socket, &st), 0);
		assert_int_equal(st.st_mode & 0777, 0660);
		assert_int_equal(kill(r.pid, SIGHUP), 0);
		await(&r, "RELOADING=1");
		await(&r, "READY=1");
		assert_int_equal(tls_client_ask(c, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", text, sizeof(text)), 200);
		assert_int_equal(kill(r.pid, SIGTERM), 0);
		await(&r, "STOPPING=1");
	}
	assert_int_equal(finish(&r), 0);
	assert_int_equal(stat(r.socket, &st), -1);
	/* Everything secret is private. */
	assert_int_equal(stat(r.state, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
}

/* V12: keys that others can read, each of them. A second verifier on the same folder. */
static void test_refuses_to_start(void **state)
{
	static const char *const secrets[] = { "signing-key.pem", "master.key", "svid-ca-key.pem", "ca-key.pem" };
	struct run r cleanup_run, second cleanup_run;

	(void)state;
	run_init(&r);
	run_init(&second);
	start(&r, "--dev", NULL);
	await(&r, "READY=1");
	(void)snprintf(second.state, sizeof(second.state), "%s", r.state);
	start(&second, "--dev", NULL);
	assert_int_equal(finish(&second), 3);
	assert_non_null(strstr(log_of(&second), "another verifier"));
	assert_int_equal(kill(r.pid, SIGINT), 0);
	assert_int_equal(finish(&r), 0);
	for (size_t i = 0; i < array_len(secrets); i++) {
		char path[160];

		(void)snprintf(path, sizeof(path), "%s/%s", r.state, secrets[i]);
		assert_int_equal(chmod(path, 0644), 0);
		assert_int_equal(unlink(r.log), 0);
		start(&r, "--dev", NULL);
		assert_int_equal(finish(&r), 3);
		assert_non_null(strstr(log_of(&r), "0600"));
		assert_int_equal(chmod(path, 0600), 0);
	}
	start(&r, "--dev", NULL);
	await(&r, "READY=1");
}

static void test_command_lines(void **state)
{
	static const struct {
		const char *option, *value;
		int want;
	} rows[] = {
		{ "--help", NULL, 0 },           { "--version", NULL, 0 },          { "--unknown", NULL, 2 },
		{ "--issuer", "http://a", 2 },   { "--issuer", "https://a/", 2 },   { "--realm", "a b", 2 },
		{ "--trust-domain", "A.example", 2 }, { "--trust-domain", "a/b", 2 }, { "--issuer", "https://[::1]:1", 2 },
		{ "--timeout", "0", 2 },         { "--timeout", "5x", 2 },          { "--workers", "1000", 2 },
		{ "--config", "/nonexistent", 2 }, { "--admin-uid", "root", 2 },    { "--log-level", "loud", 2 },
		{ "--listen", "localhost:1", 2 }, /* no certificate either, which is told first */
		{ "argument", NULL, 2 },
	};

	(void)state;
	for (size_t i = 0; i < array_len(rows); i++) {
		struct run r cleanup_run;
		int status;

		run_init(&r);
		start(&r, rows[i].option, rows[i].value);
		status = finish(&r);
		if (status != rows[i].want)
			fail_msg("%s %s: %d: %s", rows[i].option, rows[i].value, status, log_of(&r));
		/* One line for a usage error. */
		if (status == 2)
			assert_ptr_equal(strchr(log_of(&r), '\n') + 1, strchr(log_of(&r), '\0'));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_settings),
		cmocka_unit_test(test_start_reload_stop),
		cmocka_unit_test(test_refuses_to_start),
		cmocka_unit_test(test_command_lines),
	};

	program = getenv("ASSAY_VERIFIER");
	if (program == NULL) {
		printf("1..0 # SKIP ASSAY_VERIFIER names no program\n");
		return 0;
	}
	log_init(LOG_LEVEL_ERROR, false);
	return cmocka_run_group_tests_name("verifier-program", tests, NULL, NULL);
}
