/* SPDX-License-Identifier: Apache-2.0 */
/* Group commit: one success per value, failures that stay alone, and what a kill leaves behind. */
#include "unit.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sqlite3.h>

#include "base/key.h"
#include "tests/support/store_fixture.h"

#define N_PARALLEL 200
#define N_KILLS 50
#define PER_CHILD 100000 /* far more than a child writes before it is killed */

/* L1, T19: 200 parallel uses of one value. Writes that wait together share a commit, so this also runs whole batches. */
struct race {
	struct store *s;
	pthread_barrier_t start;
	atomic_uint won, lost, other;
	struct bytes value;
};

static void *race_once(void *arg)
{
	struct race *r = arg;
	struct err e;

	(void)pthread_barrier_wait(&r->start);
	e = fx_use_once(r->s, "attest", r->value, FX_NOW);
	if (!failed(e))
		atomic_fetch_add(&r->won, 1);
	else if (e.code == E_AUTH_CONFLICT)
		atomic_fetch_add(&r->lost, 1);
	else
		atomic_fetch_add(&r->other, 1);
	return NULL;
}

static void run_parallel(void *(*fn)(void *), void *ctx, pthread_barrier_t *start)
{
	pthread_t thread[N_PARALLEL];

	assert_int_equal(pthread_barrier_init(start, NULL, N_PARALLEL), 0);
	for (size_t i = 0; i < N_PARALLEL; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, fn, ctx), 0);
	for (size_t i = 0; i < N_PARALLEL; i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
	(void)pthread_barrier_destroy(start);
}

static void test_parallel_uses(void **state)
{
	cleanup_fx_dir char *dir = fx_dir();
	cleanup_store struct store *s = NULL;
	struct race r = { .value = BYTES_LIT("one nonce") };

	(void)state;
	assert_ok(store_open(dir, &s, NULL));
	r.s = s;
	run_parallel(race_once, &r, &r.start);
	assert_int_equal(r.won, 1);
	assert_int_equal(r.lost, N_PARALLEL - 1);
	assert_int_equal(r.other, 0);
}

/* Two processes' worth of connections would race the same way: the second store works on the same file. */
static void test_parallel_uses_of_two_stores(void **state)
{
	cleanup_fx_dir char *dir = fx_dir();
	cleanup_store struct store *a = NULL, *b = NULL;
	unsigned won = 0;

	(void)state;
	assert_ok(store_open(dir, &a, NULL));
	assert_ok(store_open(dir, &b, NULL));
	for (uint8_t i = 0; i < 20; i++) {
		won += !failed(fx_use_once(a, "attest", BYTES(&i, 1), FX_NOW));
		won += !failed(fx_use_once(b, "attest", BYTES(&i, 1), FX_NOW));
	}
	assert_int_equal(won, 20);
}

/* Odd writers change something and then fail; even ones must not notice. */
struct mixed {
	struct store *s;
	pthread_barrier_t start;
	atomic_uint next, wrong;
};

struct step {
	uint32_t n;
	bool fails;
};

static struct err write_then_maybe_fail(struct txn *t, void *ctx)
{
	const struct step *step = ctx;
	struct err e = txn_use_once(t, "mixed", BYTES(&step->n, sizeof(step->n)), FX_NOW);

	if (failed(e))
		return e;
	return step->fails ? ERR(E_AUTH_REFUSED) : ERR(E_OK);
}

static void *mixed_once(void *arg)
{
	struct mixed *m = arg;
	struct step step = { atomic_fetch_add(&m->next, 1), false };
	struct err e;

	step.fails = step.n % 2 == 1;
	(void)pthread_barrier_wait(&m->start);
	e = store_write(m->s, write_then_maybe_fail, &step);
	if (e.code != (step.fails ? E_AUTH_REFUSED : E_OK))
		atomic_fetch_add(&m->wrong, 1);
	return NULL;
}

static void test_failure_stays_alone(void **state)
{
	cleanup_fx_dir char *dir = fx_dir();
	cleanup_store struct store *s = NULL;
	struct mixed m = { 0 };

	(void)state;
	assert_ok(store_open(dir, &s, NULL));
	m.s = s;
	run_parallel(mixed_once, &m, &m.start);
	assert_int_equal(m.wrong, 0);
	store_close(take_ptr(&s));
	assert_ok(store_open(dir, &s, NULL));
	for (uint32_t i = 0; i < N_PARALLEL; i++) {
		struct err e = fx_use_once(s, "mixed", BYTES(&i, sizeof(i)), FX_NOW);

		assert_int_equal(e.code, i % 2 == 1 ? E_OK : E_AUTH_CONFLICT);
	}
}

static void test_ping_and_close(void **state)
{
	cleanup_fx_dir char *dir = fx_dir();
	cleanup_store struct store *s = NULL;

	(void)state;
	assert_ok(store_open(dir, &s, NULL));
	assert_ok(store_ping(s));
	store_close(take_ptr(&s));
	store_close(NULL);
}

/*
 * A child writes numbers one after the other, from four threads, and reports
 * each acknowledged one through a pipe. It is killed at a random moment. Every
 * reported number must be there.
 */
struct child {
	struct store *s;
	int fd;
	atomic_uint next;
};

static void *child_writes(void *arg)
{
	struct child *c = arg;

	for (;;) {
		uint32_t n = atomic_fetch_add(&c->next, 1);

		if (failed(fx_use_once(c->s, "kill", BYTES(&n, sizeof(n)), FX_NOW)))
			_exit(3);
		if (write(c->fd, &n, sizeof(n)) != sizeof(n))
			_exit(4);
	}
	return NULL;
}

static void child_main(const char *dir, int fd, uint32_t first)
{
	struct child c = { .fd = fd, .next = first };
	pthread_t thread;

	if (failed(store_open(dir, &c.s, NULL)))
		_exit(2);
	for (int i = 0; i < 3; i++)
		if (pthread_create(&thread, NULL, child_writes, &c) != 0)
			_exit(5);
	(void)child_writes(&c);
}

static void assert_intact(const char *dir)
{
	char path[256];
	sqlite3 *db = NULL;
	sqlite3_stmt *st = NULL;

	(void)snprintf(path, sizeof(path), "%s/" STORE_FILE, dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &st, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	assert_string_equal((const char *)sqlite3_column_text(st, 0), "ok");
	assert_int_equal(sqlite3_finalize(st), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* Runs one child for a while and marks what it was told was durable. Returns how many numbers are marked. */
static size_t kill_once(const char *dir, uint32_t first, bool *acked, size_t max)
{
	uint8_t random;
	unsigned left;
	uint32_t n;
	size_t marked = 0;
	int fds[2], status;
	pid_t pid;

	assert_ok(random_bytes(&random, 1));
	left = 1 + random % 40u;
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)close(fds[0]);
		child_main(dir, fds[1], first);
		_exit(1);
	}
	(void)close(fds[1]);
	/* The kill falls into whatever the child does after a random number of acknowledgements. */
	while (read(fds[0], &n, sizeof(n)) == sizeof(n)) {
		assert_in_range(n, first, max - 1);
		acked[n] = true;
		marked++;
		if (left > 0 && --left == 0)
			assert_int_equal(kill(pid, SIGKILL), 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	(void)close(fds[0]);
	return marked;
}

static void test_kill(void **state)
{
	cleanup_fx_dir char *dir = fx_dir();
	static bool acked[N_KILLS * PER_CHILD];
	size_t total = 0;

	(void)state;
	for (uint32_t k = 0; k < N_KILLS; k++)
		total += kill_once(dir, k * PER_CHILD, acked, (k + 1) * PER_CHILD);
	assert_true(total >= N_KILLS);
	assert_intact(dir);
	{
		cleanup_store struct store *s = NULL;

		assert_ok(store_open(dir, &s, NULL));
		for (uint32_t n = 0; n < array_len(acked); n++)
			if (acked[n])
				assert_err(fx_use_once(s, "kill", BYTES(&n, sizeof(n)), FX_NOW), E_AUTH_CONFLICT);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parallel_uses),
		cmocka_unit_test(test_parallel_uses_of_two_stores),
		cmocka_unit_test(test_failure_stays_alone),
		cmocka_unit_test(test_ping_and_close),
		cmocka_unit_test(test_kill),
	};

	return cmocka_run_group_tests_name("store-writer", tests, NULL, NULL);
}
