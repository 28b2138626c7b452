/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs "ima" and "allowlist" of firmware-measure, whose path is in $ASSAY_FIRMWARE_MEASURE. */
#include "folder.h"

#include <sys/resource.h>
#include <sys/wait.h>

#include "base/file.h"
#include "base/json.h"
#include "firmware-measure/ima_allowlist.h"
#include "firmware-measure/ima_replay.h"
#include "tests/support/ima_list.h"

static const uint8_t file_a[32] = { 0xa1 }, file_b[32] = { 0xb1 }, zeros[32];
static const char *program;

/* Runs the program with what stands in "list" on its standard input; what it prints is in "out" and "err". */
static int run(const char *const *args)
{
	const char *argv[16] = { "firmware-measure" };
	int status;
	pid_t pid;

	for (size_t i = 0; args[i] != NULL; i++) {
		assert_true(i < 14);
		argv[i + 1] = args[i];
	}
	(void)fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		int in = open("list", O_RDONLY), out = open("out", O_WRONLY | O_CREAT | O_TRUNC, 0600);
		int err = open("err", O_WRONLY | O_CREAT | O_TRUNC, 0600);

		if (in >= 0)
			(void)dup2(in, 0);
		(void)dup2(out, 1);
		(void)dup2(err, 2);
		(void)execv(program, (char *const *)(uintptr_t)argv);
		_exit(99);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}
#define RUN(...) run((const char *const[]){ __VA_ARGS__, NULL })

static json_t *output(void)
{
	cleanup_buf struct buf b = BUF_INIT(MIB);
	json_t *j = NULL;

	assert_ok(file_read(AT_FDCWD, "out", &b));
	assert_ok(json_parse(buf_bytes(&b), MIB, &j, NULL));
	return j;
}

static long long number(const json_t *j, const char *key)
{
	assert_true(json_is_integer(json_object_get(j, key)));
	return json_integer_value(json_object_get(j, key));
}

static void write_list(const struct buf *b)
{
	assert_ok(file_write(AT_FDCWD, "list", buf_bytes(b), 0600));
}

static bool says(const char *file, const char *text)
{
	cleanup_buf struct buf b = BUF_INIT(MIB);
	const char *s;

	assert_ok(file_read(AT_FDCWD, file, &b));
	assert_ok(buf_cstr(&b, &s));
	return strstr(s, text) != NULL;
}

/* One of everything that is odd; the exit status is 0 all the same. */
static void odd_list(struct ima_list *l)
{
	ima_list_init(l);
	ima_list_file(l, BYTES_ARR(file_a), "/not/boot_aggregate");
	ima_list_violation(l, "/var/log/x");
	ima_list_digest(l, "sha256", BYTES_ARR(file_b));
	ima_list_name(l, BYTES_LIT("/bin/changed"));
	ima_list_end_hash(l, "ima-ng", BYTES(file_b, 20));
	l->pcr = 11;
	ima_list_file(l, BYTES_ARR(file_b), "/bin/elsewhere");
	l->pcr = 10;
	ima_list_digest(l, "sha256", BYTES_ARR(file_b));
	ima_list_end(l, "ima-new");
	ima_list_raw(l, BYTES_LIT("x"));
	ima_list_end(l, "ima-ng");
}

static void ima_findings(void **state)
{
	static const struct {
		const char *id;
		int entry;
	} want[] = { { "I9", 0 }, { "I1", 1 }, { "I2", 2 }, { "I8", 3 }, { "I2", 4 }, { "I2", 5 } };
	cleanup_ima_list struct ima_list l = { 0 };
	cleanup_json json_t *j = NULL;
	const json_t *f;
	size_t i;

	(void)state;
	odd_list(&l);
	write_list(&l.binary);
	assert_int_equal(RUN("ima", "--json", "list"), 0);
	j = output();
	assert_int_equal(number(j, "entries"), 6);
	assert_int_equal(number(j, "violations"), 1);
	assert_int_equal(number(json_object_get(j, "templates"), "ima-ng"), 5);
	assert_int_equal(number(json_object_get(j, "templates"), "ima-new"), 1);
	assert_int_equal(json_array_size(json_object_get(j, "bad")), 1);
	assert_int_equal(json_integer_value(json_array_get(json_object_get(j, "bad"), 0)), 2);
	assert_int_equal(number(j, "n_findings"), sizeof(want) / sizeof(want[0]));
	json_array_foreach(json_object_get(j, "findings"), i, f)
	{
		assert_string_equal(json_string_value(json_object_get(f, "id")), want[i].id);
		assert_int_equal(number(f, "entry"), want[i].entry);
	}
	assert_int_equal(RUN("ima", "list"), 0);
	assert_true(says("out", "finding I8"));
}

/* Registers, both forms, as the library replays them; from a pipe, and of a big-endian machine. */
static void ima_registers(void **state)
{
	(void)state;
	for (int order = IMALOG_LITTLE_ENDIAN; order <= IMALOG_BIG_ENDIAN; order++) {
		cleanup_ima_list struct ima_list l = { 0 };
		cleanup_imalog struct imalog r = { 0 };
		struct ima_replay replay;
		struct ima_entry ent;
		unsigned odd;
		bool more;

		ima_list_init(&l);
		l.order = (enum imalog_order)order;
		ima_list_file(&l, BYTES_ARR(zeros), "boot_aggregate");
		ima_list_violation(&l, "/x y\n"); /* no line of text can hold it, so that comes last */
		imalog_init(&r, IMALOG_BINARY, l.order);
		assert_ok(imalog_feed(&r, buf_bytes(&l.binary)));
		assert_ok(ima_replay_init(&replay, IMA_PCR, 3, NULL));
		while (!failed(imalog_next(&r, &ent, &more, NULL)) && !more)
			assert_ok(ima_replay_entry(&replay, &ent, &odd));
		write_list(&l.binary);
		for (int from_pipe = 0; from_pipe < 2; from_pipe++) {
			static const char *const keys[] = { "pcr10", "pcr10_padded", "pcr10_padded_short" };
			static const enum ima_fit fits[] = { IMA_FIT_NATIVE, IMA_FIT_PADDED_FULL,
							     IMA_FIT_PADDED_SHORT };
			cleanup_json json_t *j = NULL;
			const char *path = from_pipe ? "/dev/stdin" : "list";

			assert_int_equal(order == IMALOG_BIG_ENDIAN ? RUN("ima", "--big-endian", "--json", path)
								    : RUN("ima", "--json", path),
					 0);
			j = output();
			for (size_t k = 0; k < 3; k++) {
				const json_t *hex = json_object_get(json_object_get(j, keys[k]), "sha256");
				uint8_t d[32];

				assert_ok(hex_decode_exact(bytes_str(json_string_value(hex)), d, 32));
				assert_memory_equal(d, ima_replay_value(&replay, DIGEST_SHA256, fits[k])->v, 32);
			}
		}
		assert_int_equal(order == IMALOG_BIG_ENDIAN ? RUN("ima", "list") : RUN("ima", "--big-endian", "list"),
				 1);
		assert_true(says("err", "E_PEER_RANGE"));
	}
}

/* What cannot be read is named with its offset: status 1; an empty file too. */
static void ima_refused(void **state)
{
	cleanup_ima_list struct ima_list l = { 0 };
	cleanup_json json_t *j = NULL;
	size_t first;

	(void)state;
	ima_list_init(&l);
	ima_list_file(&l, BYTES_ARR(zeros), "boot_aggregate");
	first = l.binary.n;
	ima_list_file(&l, BYTES_ARR(file_a), "/a");
	l.binary.n -= 1;
	write_list(&l.binary);
	assert_int_equal(RUN("ima", "--json", "list"), 1);
	j = output();
	assert_int_equal(number(j, "offset"), first);
	assert_string_equal(json_string_value(json_object_get(j, "error")), "E_PEER_TRUNCATED");
	put_text("list", "");
	assert_int_equal(RUN("ima", "list"), 1);
	assert_true(says("err", "empty"));
	put_text("list", "no list of any kind, and longer than the head of an entry\n");
	assert_int_equal(RUN("ima", "list"), 1);
	assert_true(says("err", "offset 0"));
	assert_int_equal(RUN("ima", "none"), 3);
	assert_int_equal(RUN("ima"), 2);
	assert_int_equal(RUN("ima", "--pcr", "24", "list"), 2);
}

/* 100 MB pass through in the memory of a few parts. */
static void ima_memory(void **state)
{
	cleanup_ima_list struct ima_list l = { 0 };
	struct rlimit limit = { 256 * MIB, 256 * MIB };
	cleanup_json json_t *j = NULL;
	size_t one, n = 0;
	int fd, status;
	pid_t pid;

	(void)state;
	ima_list_init(&l);
	for (int i = 0; i < 10000; i++)
		ima_list_file(&l, BYTES_ARR(file_a), "/usr/lib/x86_64-linux-gnu/a-library-with-a-name.so.1");
	one = l.binary.n;
	fd = open("list", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	for (; n < 100 * MIB; n += one)
		assert_ok(fd_write_all(fd, buf_bytes(&l.binary)));
	(void)close(fd);
	(void)fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
		if (setrlimit(RLIMIT_AS, &limit) != 0)
			_exit(98);
#endif
		(void)dup2(open("out", O_WRONLY | O_CREAT | O_TRUNC, 0600), 1);
		(void)execl(program, "firmware-measure", "ima", "--json", "list", (char *)NULL);
		_exit(99);
	}
	(void)limit;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	j = output();
	assert_int_equal(number(j, "entries"), n / one * 10000);
}

static bool allowed(const char *file, const uint8_t value[32])
{
	cleanup_ima_allowlist struct ima_allowlist *a = NULL;
	const struct ima_digest d = { .kind = IMA_DIGEST_FILE, .alg = DIGEST_SHA256, .value = BYTES(value, 32) };

	assert_ok(ima_allowlist_open(AT_FDCWD, file, &a, NULL));
	return ima_allowlist_has(a, &d);
}

static void allowlist_sources(void **state)
{
	cleanup_ima_list struct ima_list l = { 0 };
	cleanup_buf struct buf text = BUF_INIT(MIB);
	cleanup_json json_t *j = NULL;
	uint8_t c[32], sum[32];
	cleanup_buf struct buf file = BUF_INIT(MIB);

	(void)state;
	ima_list_init(&l);
	ima_list_file(&l, BYTES_ARR(zeros), "boot_aggregate"); /* no file */
	ima_list_file(&l, BYTES_ARR(file_a), "/bin/a");
	ima_list_violation(&l, "/bin/v");
	ima_list_digest(&l, "verity:sha256", BYTES_ARR(file_b));
	ima_list_name(&l, BYTES_LIT("/bin/verity"));
	ima_list_end(&l, "ima-ngv2");
	write_list(&l.binary);
	assert_ok(buf_add_str(&text, "\\"));
	assert_ok(buf_add_hex(&text, BYTES_ARR(file_b)));
	assert_ok(buf_add_str(&text, "  a\\nb\n\n"));
	assert_ok(buf_add_hex(&text, BYTES_ARR(file_b)));
	assert_ok(file_write(AT_FDCWD, "sums", buf_bytes(&text), 0600));
	put_folder("tree");
	put_folder("tree/sub");
	put_text("tree/sub/c", "content");
	assert_int_equal(symlink("nowhere", "tree/link"), 0);
	assert_ok(sha256(BYTES_LIT("content"), c));

	assert_int_equal(RUN("allowlist", "--json", "--out", "al", "list", "sums", "tree/"), 0);
	j = output();
	assert_int_equal(number(j, "digests"), 3);
	assert_int_equal(number(j, "read"), 4);
	assert_int_equal(number(j, "skipped"), 3);
	assert_true(allowed("al", file_a) && allowed("al", file_b) && allowed("al", c));
	assert_false(allowed("al", zeros));
	assert_ok(file_read(AT_FDCWD, "al", &file));
	assert_ok(sha256(buf_bytes(&file), c));
	assert_ok(hex_decode_exact(bytes_str(json_string_value(json_object_get(j, "sha256"))), sum, 32));
	assert_memory_equal(c, sum, 32);

	/* From a pipe; the other kind. */
	assert_int_equal(RUN("allowlist", "--out", "al", "-"), 0);
	assert_true(allowed("al", file_a) && !allowed("al", file_b));
	assert_int_equal(RUN("allowlist", "--out", "al", "--kind", "verity"), 0);
	assert_false(allowed("al", file_b)); /* of the other kind */
}

static void allowlist_refused(void **state)
{
	cleanup_ima_list struct ima_list l = { 0 };

	(void)state;
	odd_list(&l);
	write_list(&l.binary);
	assert_int_equal(RUN("allowlist", "--out", "al", "list"), 1);
	assert_true(says("err", "I2"));
	put_text("list", "0000000000000000000000000000000000000000000000000000000000000000  a\n0000\n");
	assert_int_equal(RUN("allowlist", "--out", "al", "list"), 1);
	assert_true(says("err", "line 2"));
	put_folder("tree");
	assert_int_equal(RUN("allowlist", "--out", "al", "tree"), 1);
	assert_true(says("err", "no digest"));
	assert_int_equal(RUN("allowlist", "--out", "al", "--alg", "sha384", "tree"), 1);
	assert_int_equal(RUN("allowlist", "--out", "al", "none"), 3);
	assert_int_equal(access("al", F_OK), -1);
	assert_int_equal(RUN("allowlist", "list"), 2);
	assert_int_equal(RUN("allowlist", "--out", "al", "--alg", "md5", "list"), 2);
	assert_int_equal(RUN("allowlist", "--out", "al", "--kind", "x", "list"), 2);
}

#define t_(fn) cmocka_unit_test_setup_teardown(fn, folder_enter, folder_leave)
int main(void)
{
	const struct CMUnitTest tests[] = { t_(ima_findings), t_(ima_registers),     t_(ima_refused),
					    t_(ima_memory),   t_(allowlist_sources), t_(allowlist_refused) };

	program = getenv("ASSAY_FIRMWARE_MEASURE");
	if (program == NULL)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
