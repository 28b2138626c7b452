/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "base/file.h"

/* Each test has a folder of its own, which is the working folder and goes away with all that is in it. */
struct folder {
	char path[64];
	int fd;
};

static int remove_all(int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir;
	struct dirent *d;

	if (fd < 0)
		return unlinkat(dir_fd, name, 0);
	dir = fdopendir(fd);
	assert_non_null(dir);
	while ((d = readdir(dir)) != NULL)
		if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
			assert_int_equal(remove_all(fd, d->d_name), 0);
	(void)closedir(dir);
	return unlinkat(dir_fd, name, AT_REMOVEDIR);
}

static int setup(void **state)
{
	struct folder *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	(void)snprintf(f->path, sizeof(f->path), "/tmp/assay-test-file-XXXXXX");
	assert_non_null(mkdtemp(f->path));
	assert_int_equal(chdir(f->path), 0);
	assert_ok(dir_open(AT_FDCWD, f->path, &f->fd));
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct folder *f = *state;

	(void)close(f->fd);
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(remove_all(AT_FDCWD, f->path), 0);
	free(f);
	return 0;
}

static size_t n_entries(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *d;
	size_t n = 0;

	assert_non_null(dir);
	while ((d = readdir(dir)) != NULL)
		n += strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0;
	(void)closedir(dir);
	return n;
}

static void put(const char *path, struct bytes data)
{
	cleanup_file FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(data.p, 1, data.n, f), data.n);
}

static void assert_contents(const char *path, struct bytes want)
{
	cleanup_buf struct buf b = BUF_INIT(1000000);

	assert_ok(file_read(AT_FDCWD, path, &b));
	assert_bytes(buf_bytes(&b), want);
}

static mode_t mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st.st_mode & 07777;
}

/* From the middle of a file that is longer, ends sooner, or is not that long at all. */
static void reads_parts(void **state)
{
	static const struct {
		uint64_t offset;
		size_t max;
		const char *want;
	} cases[] = { { 0, 4, "0123" }, { 3, 4, "3456" }, { 8, 4, "89" }, { 10, 4, "" }, { 99, 4, "" }, { 2, 0, "" } };
	const struct folder *f = *state;
	char path[512];

	(void)snprintf(path, sizeof(path), "%s/parts", f->path);
	put(path, BYTES_LIT("0123456789"));
	for (size_t i = 0; i < array_len(cases); i++) {
		cleanup_buf struct buf b = BUF_INIT(8), small = BUF_INIT(3);

		assert_ok(file_read_part(AT_FDCWD, path, cases[i].offset, cases[i].max, &b));
		assert_bytes(buf_bytes(&b), bytes_str(cases[i].want));
		assert_int_equal(file_read_part(AT_FDCWD, path, cases[i].offset, 4, &small).code, E_LIMIT_SIZE);
		assert_int_equal(small.n, 0);
	}
	assert_true(failed(file_read_part(AT_FDCWD, path, UINT64_MAX, 1, &(struct buf)BUF_INIT(8))));
	(void)snprintf(path, sizeof(path), "%s/none", f->path);
	assert_int_equal(file_read_part(AT_FDCWD, path, 0, 1, &(struct buf)BUF_INIT(8)).code, E_LOCAL_NOT_FOUND);
}

static void reads_whole_files(void **state)
{
	static const size_t sizes[] = { 0, 1, 100, 16383, 16384, 16385, 100000 };
	const struct folder *f = *state;
	cleanup_free uint8_t *data = malloc(100000);

	assert_non_null(data);
	for (size_t i = 0; i < 100000; i++)
		data[i] = (uint8_t)(i * 31 >> 3);
	for (size_t i = 0; i < array_len(sizes); i++) {
		cleanup_buf struct buf exact = BUF_INIT(sizes[i] + 2), less = BUF_INIT(sizes[i] + 1);

		put("data", BYTES(data, sizes[i]));
		assert_ok(buf_add_str(&exact, "ab"));
		assert_ok(file_read(f->fd, "data", &exact));
		assert_bytes(BYTES(exact.p, 2), BYTES_LIT("ab"));
		assert_bytes(BYTES(exact.p + 2, exact.n - 2), BYTES(data, sizes[i]));
		if (sizes[i] == 0)
			continue;
		assert_ok(buf_add_str(&less, "ab"));
		assert_err(file_read(f->fd, "data", &less), E_LIMIT_SIZE);
		assert_bytes(buf_bytes(&less), BYTES_LIT("ab"));
	}
}

static void reads_what_has_no_size(void **state)
{
	cleanup_buf struct buf b = BUF_INIT(100000), zero = BUF_INIT(50000);

	(void)state;
	assert_ok(file_read(AT_FDCWD, "/proc/self/status", &b));
	assert_true(b.n > 100);
	assert_memory_equal(b.p, "Name:", 5);
	buf_clear(&b);
	assert_ok(file_read(AT_FDCWD, "/dev/null", &b));
	assert_int_equal(b.n, 0);
	assert_err(file_read(AT_FDCWD, "/dev/zero", &zero), E_LIMIT_SIZE);
	assert_int_equal(zero.n, 0);
}

static void refuses_what_is_no_file(void **state)
{
	static const struct {
		const char *path;
		enum err_code code;
	} cases[] = {
		{ "none", E_LOCAL_NOT_FOUND }, { "none/none", E_LOCAL_NOT_FOUND },
		{ "", E_LOCAL_NOT_FOUND },     { "folder", E_LOCAL_IO },
		{ ".", E_LOCAL_IO },           { "fifo", E_LOCAL_IO },
		{ "link", E_LOCAL_IO },        { "dangling", E_LOCAL_IO },
		{ "file/x", E_LOCAL_IO },      { "through/inner", E_OK }, /* only the last component matters */
	};

	(void)state;
	put("file", BYTES_LIT("x"));
	assert_int_equal(mkdir("folder", 0700), 0);
	put("folder/inner", BYTES_LIT("x"));
	assert_int_equal(mkfifo("fifo", 0600), 0);
	assert_int_equal(symlink("file", "link"), 0);
	assert_int_equal(symlink("none", "dangling"), 0);
	assert_int_equal(symlink("folder", "through"), 0);
	for (size_t i = 0; i < array_len(cases); i++) {
		cleanup_buf struct buf b = BUF_INIT(100);

		assert_ok(buf_add_str(&b, "kept"));
		assert_code(file_read(AT_FDCWD, cases[i].path, &b), cases[i].code);
		assert_int_equal(b.n, cases[i].code == E_OK ? 5 : 4);
		assert_ok(buf_truncate(&b, 4));
		if (cases[i].code != E_OK)
			assert_code(file_read_secret(AT_FDCWD, cases[i].path, &b), cases[i].code);
		assert_bytes(buf_bytes(&b), BYTES_LIT("kept"));
	}
}

static void secrets_are_for_the_owner_alone(void **state)
{
	(void)state;
	put("secret", BYTES_LIT("s"));
	for (mode_t mode = 0; mode <= 0777; mode++) {
		cleanup_buf struct buf b = BUF_INIT(100);
		struct err e;

		if ((mode & 0400) == 0)
			continue;
		assert_int_equal(chmod("secret", mode), 0);
		e = file_read_secret(AT_FDCWD, "secret", &b);
		assert_code(e, (mode & 077) == 0 ? E_OK : E_LOCAL_PERMISSION);
		assert_int_equal(b.n, (mode & 077) == 0 ? 1 : 0);
	}
}

static void secrets_of_others_are_refused(void **state)
{
	cleanup_buf struct buf b = BUF_INIT(100);

	(void)state;
	if (geteuid() != 0) {
		/* A file of root that we may read is /dev/null: its mode is refused before its owner is. */
		assert_err(file_read_secret(AT_FDCWD, "/dev/null", &b), E_LOCAL_PERMISSION);
		return;
	}
	put("secret", BYTES_LIT("s"));
	assert_int_equal(chmod("secret", 0600), 0);
	assert_int_equal(chown("secret", 1234, (gid_t)-1), 0);
	assert_err(file_read_secret(AT_FDCWD, "secret", &b), E_LOCAL_PERMISSION);
	assert_int_equal(chown("secret", 0, (gid_t)-1), 0);
	assert_ok(file_read_secret(AT_FDCWD, "secret", &b));
}

static void writes_replace_the_whole_content(void **state)
{
	const struct folder *f = *state;
	char absolute[128];

	(void)umask(0);
	assert_ok(file_write(f->fd, "a", BYTES_LIT("first, and longer"), 0640));
	assert_contents("a", BYTES_LIT("first, and longer"));
	assert_int_equal(mode_of("a"), 0640);
	assert_ok(file_write(f->fd, "a", BYTES_LIT("second"), 0600));
	assert_contents("a", BYTES_LIT("second"));
	assert_int_equal(mode_of("a"), 0600);
	assert_ok(file_write(f->fd, "a", BYTES_NONE, 0600));
	assert_contents("a", BYTES_NONE);
	assert_int_equal(mkdir("sub", 0700), 0);
	assert_ok(file_write(f->fd, "sub/b", BYTES_LIT("b"), 0600));
	assert_contents("sub/b", BYTES_LIT("b"));
	(void)snprintf(absolute, sizeof(absolute), "%s/sub/c", f->path);
	assert_ok(file_write(AT_FDCWD, absolute, BYTES_LIT("c"), 0600));
	assert_contents("sub/c", BYTES_LIT("c"));
	assert_int_equal(n_entries("."), 2);
	assert_int_equal(n_entries("sub"), 2);
	(void)umask(022);
}

/* The link is replaced, not what it points at. */
static void writes_do_not_follow_links(void **state)
{
	(void)state;
	put("target", BYTES_LIT("old"));
	assert_int_equal(symlink("target", "link"), 0);
	assert_err(file_create(AT_FDCWD, "link", BYTES_LIT("new"), 0600), E_LOCAL_EXISTS);
	assert_ok(file_write(AT_FDCWD, "link", BYTES_LIT("new"), 0600));
	assert_contents("target", BYTES_LIT("old"));
	assert_contents("link", BYTES_LIT("new"));
	assert_int_equal(n_entries("."), 2);
}

static void creates_once(void **state)
{
	const struct folder *f = *state;

	assert_ok(file_create(f->fd, "a", BYTES_LIT("first"), 0600));
	assert_err(file_create(f->fd, "a", BYTES_LIT("second"), 0600), E_LOCAL_EXISTS);
	assert_contents("a", BYTES_LIT("first"));
	assert_int_equal(mode_of("a"), 0600);
	assert_int_equal(mkdir("sub", 0700), 0);
	assert_err(file_create(f->fd, "sub", BYTES_LIT("x"), 0600), E_LOCAL_EXISTS);
	assert_int_equal(symlink("none", "dangling"), 0);
	assert_err(file_create(f->fd, "dangling", BYTES_LIT("x"), 0600), E_LOCAL_EXISTS);
	assert_int_equal(n_entries("."), 3);
}

static void writes_to_nowhere(void **state)
{
	static const struct {
		const char *path;
		enum err_code write, create;
	} cases[] = {
		{ "", E_LOCAL_IO, E_LOCAL_IO },
		{ ".", E_LOCAL_IO, E_LOCAL_IO },
		{ "..", E_LOCAL_IO, E_LOCAL_IO },
		{ "sub/", E_LOCAL_IO, E_LOCAL_IO },
		{ "sub/..", E_LOCAL_IO, E_LOCAL_IO },
		{ "sub", E_LOCAL_IO, E_LOCAL_EXISTS },
		{ "none/a", E_LOCAL_NOT_FOUND, E_LOCAL_NOT_FOUND },
		{ "file/a", E_LOCAL_IO, E_LOCAL_IO },
	};

	(void)state;
	assert_int_equal(mkdir("sub", 0700), 0);
	put("file", BYTES_LIT("old"));
	for (size_t i = 0; i < array_len(cases); i++) {
		assert_code(file_write(AT_FDCWD, cases[i].path, BYTES_LIT("x"), 0600), cases[i].write);
		assert_code(file_create(AT_FDCWD, cases[i].path, BYTES_LIT("x"), 0600), cases[i].create);
	}
	assert_contents("file", BYTES_LIT("old"));
	assert_int_equal(n_entries("."), 2);
	assert_int_equal(n_entries("sub"), 0);
}

/* As on a full disk: the write stops half way. */
static int write_with_limit(void)
{
	static uint8_t data[5000];
	const struct rlimit limit = { 1000, 1000 };

	(void)signal(SIGXFSZ, SIG_IGN);
	if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
		return 1;
	if (file_write(AT_FDCWD, "a", BYTES_ARR(data), 0600).code != E_LOCAL_IO)
		return 2;
	if (file_create(AT_FDCWD, "b", BYTES_ARR(data), 0600).code != E_LOCAL_IO)
		return 3;
	return 0;
}

static void a_failed_write_leaves_the_old_content(void **state)
{
	int status = 0;
	pid_t pid;

	(void)state;
	assert_ok(file_write(AT_FDCWD, "a", BYTES_LIT("old"), 0600));
	pid = fork();
	if (pid == 0)
		_exit(write_with_limit());
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_contents("a", BYTES_LIT("old"));
	assert_int_equal(n_entries("."), 1);
}

#define N_WRITES 200
#define BLOCK 20000

static int write_blocks(void)
{
	static uint8_t data[BLOCK];

	for (unsigned i = 0; i < N_WRITES; i++) {
		memset(data, 'a' + (int)(i % 2), sizeof(data));
		if (failed(file_write(AT_FDCWD, "a", BYTES_ARR(data), 0600)))
			return 1;
	}
	return 0;
}

/* A reader sees one content or the other, never a part and never nothing. */
static void readers_see_whole_contents(void **state)
{
	int status = 0;
	size_t n_read = 0;
	pid_t pid, done;

	(void)state;
	{
		cleanup_free char *first = malloc(BLOCK);

		assert_non_null(first);
		memset(first, 'a', BLOCK);
		put("a", BYTES(first, BLOCK));
	}
	pid = fork();
	if (pid == 0)
		_exit(write_blocks());
	assert_true(pid > 0);
	do {
		cleanup_buf struct buf b = BUF_INIT(2 * BLOCK);

		done = waitpid(pid, &status, WNOHANG);
		assert_ok(file_read(AT_FDCWD, "a", &b));
		assert_int_equal(b.n, BLOCK);
		assert_true(bytes_all(buf_bytes(&b), b.p[0]));
		n_read++;
	} while (done == 0);
	assert_int_equal(done, pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_true(n_read > 1);
}

static void writes_all_to_a_slow_reader(void **state)
{
	cleanup_free uint8_t *data = calloc(1, 300000);
	int fds[2], status = 0;
	pid_t pid;

	(void)state;
	assert_non_null(data);
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0) { /* counts what comes; more than a pipe holds */
		size_t n = 0;
		ssize_t got;
		uint8_t part[999];

		(void)close(fds[1]);
		while ((got = read(fds[0], part, sizeof(part))) > 0)
			n += (size_t)got;
		_exit(n == 300000 ? 0 : 1);
	}
	assert_true(pid > 0);
	(void)close(fds[0]);
	assert_ok(fd_write_all(fds[1], BYTES(data, 300000)));
	(void)close(fds[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_ok(fd_write_all(-1, BYTES_NONE));
	assert_err(fd_write_all(-1, BYTES_LIT("x")), E_LOCAL_IO);
}

static void reads_a_pipe(void **state)
{
	cleanup_buf struct buf b = BUF_INIT(10), small = BUF_INIT(9);
	int fds[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pipe(fds), 0);
		assert_ok(fd_write_all(fds[1], BYTES_LIT("0123456789")));
		(void)close(fds[1]);
		if (i == 0) {
			assert_ok(fd_read(fds[0], &b));
			assert_bytes(buf_bytes(&b), BYTES_LIT("0123456789"));
		} else {
			assert_err(fd_read(fds[0], &small), E_LIMIT_SIZE);
			assert_int_equal(small.n, 0);
		}
		(void)close(fds[0]);
	}
	assert_err(fd_read(-1, &small), E_LOCAL_IO);
}

static void makes_folders(void **state)
{
	const struct folder *f = *state;
	char absolute[128];
	int fd = -1;

	(void)umask(0);
	assert_int_equal(mkdir("there", 0711), 0);
	assert_ok(dir_make("there/a/b/c", 0700));
	assert_int_equal(mode_of("there"), 0711);
	assert_int_equal(mode_of("there/a"), 0700);
	assert_int_equal(mode_of("there/a/b/c"), 0700);
	assert_ok(dir_make("there/a/b/c", 0755));
	assert_int_equal(mode_of("there/a/b/c"), 0700);
	assert_ok(dir_make("slashes//x///y/", 0750));
	assert_int_equal(mode_of("slashes/x/y"), 0750);
	(void)snprintf(absolute, sizeof(absolute), "%s/abs/x", f->path);
	assert_ok(dir_make(absolute, 0700));
	assert_int_equal(mode_of("abs/x"), 0700);
	assert_ok(dir_make("/", 0700));
	assert_ok(dir_make(".", 0700));
	(void)umask(022);

	put("file", BYTES_LIT("x"));
	assert_err(dir_make("file", 0700), E_LOCAL_IO);
	assert_err(dir_make("file/x", 0700), E_LOCAL_IO);
	assert_err(dir_make("", 0700), E_LOCAL_NOT_FOUND);
	assert_err(dir_open(AT_FDCWD, "file", &fd), E_LOCAL_IO);
	assert_err(dir_open(AT_FDCWD, "none", &fd), E_LOCAL_NOT_FOUND);
	assert_int_equal(fd, -1);
	assert_ok(dir_open(f->fd, "abs", &fd));
	assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	assert_ok(file_write(fd, "inside", BYTES_LIT("x"), 0600));
	assert_contents("abs/inside", BYTES_LIT("x"));
	(void)close(fd);
}

static void one_lock_at_a_time(void **state)
{
	const struct folder *f = *state;
	int first = -1, second = -1;
	uint64_t start;

	assert_ok(file_lock(f->fd, "lock", 0, &first));
	assert_int_equal(mode_of("lock"), 0600);
	assert_int_equal(fcntl(first, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	assert_err(file_lock(f->fd, "lock", 0, &second), E_LOCAL_TIMEOUT);
	start = clock_boottime_ms();
	assert_err(file_lock(f->fd, "lock", 50, &second), E_LOCAL_TIMEOUT);
	assert_true(clock_boottime_ms() - start >= 50);
	assert_int_equal(second, -1);
	(void)close(first);
	assert_ok(file_lock(f->fd, "lock", 0, &second));
	(void)close(second);

	assert_err(file_lock(f->fd, "none/lock", 1000, &second), E_LOCAL_NOT_FOUND);
	assert_int_equal(symlink("lock", "link"), 0);
	assert_err(file_lock(f->fd, "link", 1000, &second), E_LOCAL_IO);
}

static void read_while_nobody_writes(void **state)
{
	cleanup_buf struct buf b = BUF_INIT(100);
	const struct folder *f = *state;
	int writer = -1, reader;

	assert_ok(file_lock(f->fd, "shared", 0, &writer));
	assert_ok(fd_write_all(writer, BYTES_LIT("0123456789")));
	assert_err(file_read_shared(f->fd, "shared", 20, 100, &b), E_LOCAL_TIMEOUT);
	assert_int_equal(b.n, 0);
	(void)close(writer);
	assert_ok(file_read_shared(f->fd, "shared", 0, 100, &b));
	assert_bytes(buf_bytes(&b), BYTES_LIT("0123456789"));
	/* Other readers do no harm, and of a longer file the beginning is read. */
	reader = openat(f->fd, "shared", O_RDONLY | O_CLOEXEC);
	assert_int_equal(flock(reader, LOCK_SH | LOCK_NB), 0);
	buf_clear(&b);
	assert_ok(file_read_shared(f->fd, "shared", 0, 4, &b));
	assert_bytes(buf_bytes(&b), BYTES_LIT("0123"));
	(void)close(reader);
	/* The lock is given back. */
	assert_ok(file_lock(f->fd, "shared", 0, &writer));
	(void)close(writer);
	assert_err(file_read_shared(f->fd, "none", 0, 4, &b), E_LOCAL_NOT_FOUND);
}

/* The child holds the lock until the parent has begun to wait for it. */
static void a_lock_is_waited_for(void **state)
{
	const struct folder *f = *state;
	int ready[2], fd = -1, status = 0;
	char c;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		if (failed(file_lock(f->fd, "lock", 1000, &fd)) || write(ready[1], "x", 1) != 1)
			_exit(1);
		(void)nanosleep(&(struct timespec){ .tv_nsec = 100000000 }, NULL); /* what the parent waits for */
		_exit(0);
	}
	assert_true(pid > 0);
	assert_int_equal(read(ready[0], &c, 1), 1);
	assert_err(file_lock(f->fd, "lock", 0, &fd), E_LOCAL_TIMEOUT);
	assert_ok(file_lock(f->fd, "lock", 60000, &fd));
	(void)close(fd);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	(void)close(ready[0]);
	(void)close(ready[1]);
}

#define N_PROCESSES 4
#define N_STEPS 300

/* Adds one to a number in a file that only the lock protects; then removes the lock's own file. */
static int count_up(int dir)
{
	for (unsigned i = 0; i < N_STEPS; i++) {
		cleanup_fd int lock = -1, fd = -1;
		unsigned n = 0;

		if (failed(file_lock(dir, "lock", 60000, &lock)))
			return 1;
		fd = openat(dir, "count", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		if (fd < 0 || pread(fd, &n, sizeof(n), 0) < 0)
			return 2;
		n++;
		if (pwrite(fd, &n, sizeof(n), 0) != sizeof(n) || unlinkat(dir, "lock", 0) != 0)
			return 3;
	}
	return 0;
}

/* Whoever waited for a file that is gone by now must not take it for the lock. */
static void a_removed_lock_file_protects_still(void **state)
{
	const struct folder *f = *state;
	pid_t pids[N_PROCESSES];
	unsigned n = 0;
	cleanup_fd int fd = -1;

	for (size_t i = 0; i < N_PROCESSES; i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			_exit(count_up(f->fd));
		assert_true(pids[i] > 0);
	}
	for (size_t i = 0; i < N_PROCESSES; i++) {
		int status = 0;

		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
	}
	fd = openat(f->fd, "count", O_RDONLY | O_CLOEXEC);
	assert_int_equal(pread(fd, &n, sizeof(n), 0), sizeof(n));
	assert_int_equal(n, N_PROCESSES * N_STEPS);
}

static void clocks(void **state)
{
	uint64_t a = clock_boottime_ms(), b;
	struct timespec up;

	(void)state;
	assert_in_range(time(NULL) - clock_now_s() + 1, 0, 2);
	b = clock_boottime_ms();
	assert_true(b >= a);
	assert_int_equal(clock_gettime(CLOCK_BOOTTIME, &up), 0);
	assert_in_range((uint64_t)up.tv_sec - b / 1000, 0, 2);
}

#define in_folder(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_folder(reads_whole_files),
		in_folder(reads_parts),
		in_folder(reads_what_has_no_size),
		in_folder(refuses_what_is_no_file),
		in_folder(secrets_are_for_the_owner_alone),
		in_folder(secrets_of_others_are_refused),
		in_folder(writes_replace_the_whole_content),
		in_folder(writes_do_not_follow_links),
		in_folder(creates_once),
		in_folder(writes_to_nowhere),
		in_folder(a_failed_write_leaves_the_old_content),
		in_folder(readers_see_whole_contents),
		in_folder(writes_all_to_a_slow_reader),
		cmocka_unit_test(reads_a_pipe),
		in_folder(makes_folders),
		in_folder(one_lock_at_a_time),
		in_folder(read_while_nobody_writes),
		in_folder(a_lock_is_waited_for),
		in_folder(a_removed_lock_file_protects_still),
		cmocka_unit_test(clocks),
	};

	return cmocka_run_group_tests_name("file", tests, NULL, NULL);
}
