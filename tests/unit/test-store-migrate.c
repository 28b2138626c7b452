/* SPDX-License-Identifier: Apache-2.0 */
/* Older schemas are carried over whole or not at all, newer ones and foreign files are left alone. */
#include "unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "tests/support/store_fixture.h"
#include "verifier/store/internal.h"

#define PATH_SIZE 512

/* Schemas of a store that had one table, then one more column. */
static const struct migration steps[] = {
	{ "CREATE TABLE thing (id INTEGER PRIMARY KEY, v TEXT NOT NULL) STRICT; INSERT INTO thing VALUES (1, 'old')" },
	{ "ALTER TABLE thing ADD COLUMN w TEXT NOT NULL DEFAULT 'new'; INSERT INTO thing VALUES (2, 'x', 'y')" },
	{ "UPDATE thing SET v = 'third'; CREATE TABLE thing (id INTEGER)" }, /* fails half-way */
	{ "CREATE TABLE child (id INTEGER REFERENCES thing); INSERT INTO child VALUES (99)" }, /* breaks a reference */
};

static void path_in(const char *dir, const char *name, char path[PATH_SIZE])
{
	(void)snprintf(path, PATH_SIZE, "%s/%s", dir, name);
}

static struct conn *open_new(const char *dir, char path[PATH_SIZE])
{
	struct conn *c = NULL;

	path_in(dir, STORE_FILE, path);
	assert_true(!failed(file_create(AT_FDCWD, path, BYTES_NONE, 0600)) || access(path, F_OK) == 0);
	assert_ok(conn_open(path, &c));
	return c;
}

static int64_t number(struct conn *c, const char *sql)
{
	sqlite3_stmt *st = NULL;
	int64_t n;

	assert_int_equal(sqlite3_prepare_v2(c->db, sql, -1, &st, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	n = sqlite3_column_int64(st, 0);
	assert_int_equal(sqlite3_finalize(st), SQLITE_OK);
	return n;
}

/* Path of the one backup, or false. */
static bool find_backup(const char *dir, char path[PATH_SIZE])
{
	DIR *d = opendir(dir);
	struct dirent *entry;
	unsigned n = 0;

	assert_non_null(d);
	while ((entry = readdir(d)) != NULL) {
		size_t len = strlen(entry->d_name);

		if (len > 4 && strcmp(entry->d_name + len - 4, ".bak") == 0) {
			path_in(dir, entry->d_name, path);
			n++;
		}
	}
	(void)closedir(d);
	assert_true(n <= 1);
	return n == 1;
}

static void test_new_database_has_no_backup(void **state)
{
	cleanup_fx_dir char *dir = fx_dir();
	char path[PATH_SIZE], backup[PATH_SIZE];
	cleanup_conn struct conn *c = open_new(dir, path);

	(void)state;
	assert_ok(store_migrate(c, path, steps, 2, NULL));
	assert_int_equal(number(c, "PRAGMA user_version"), 2);
	assert_int_equal(number(c, "PRAGMA foreign_keys"), 1);
	assert_int_equal(number(c, "SELECT count(*) FROM thing"), 2);
	assert_false(find_backup(dir, backup));
	assert_ok(store_migrate(c, path, steps, 2, NULL));
	assert_false(find_backup(dir, backup));
}

static void test_older_is_backed_up_and_carried_over(void **state)
{
	cleanup_fx_dir char *dir = fx_dir();
	char path[PATH_SIZE], backup[PATH_SIZE];
	cleanup_conn struct conn *c = open_new(dir, path), *b = NULL;
	struct stat st;

	(void)state;
	assert_ok(store_migrate(c, path, steps, 1, NULL));
	assert_ok(conn_exec(c, "PRAGMA journal_mode = WAL; UPDATE thing SET v = 'mine'"));
	assert_ok(store_migrate(c, path, steps, 2, NULL));
	assert_int_equal(number(c, "PRAGMA user_version"), 2);
	assert_int_equal(number(c, "SELECT count(*) FROM thing WHERE v = 'mine' AND w = 'new'"), 1);
	assert_int_equal(number(c, "PRAGMA foreign_keys"), 1);
	/* The backup is a database of the old schema, with what was in it, for us alone. */
	assert_true(find_backup(dir, backup));
	assert_int_equal(stat(backup, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_ok(conn_open(backup, &b));
	assert_int_equal(number(b, "PRAGMA user_version"), 1);
	assert_int_equal(number(b, "SELECT count(*) FROM thing WHERE v = 'mine'"), 1);
	assert_int_equal(number(b, "SELECT count(*) FROM pragma_table_info('thing')"), 2);
}

static void test_failing_step_changes_nothing(void **state)
{
	(void)state;
	for (int which = 2; which < 4; which++) {
		cleanup_fx_dir char *dir = fx_dir();
		char path[PATH_SIZE];
		cleanup_conn struct conn *c = open_new(dir, path);
		const struct migration with[] = { steps[0], steps[1], steps[which] };
		struct reason why = { { 0 } };

		assert_ok(store_migrate(c, path, with, 1, NULL));
		assert_true(failed(store_migrate(c, path, with, 3, &why)));
		assert_non_null(strstr(why.text, "nothing was changed"));
		assert_int_equal(number(c, "PRAGMA user_version"), 1);
		assert_int_equal(number(c, "SELECT count(*) FROM pragma_table_info('thing')"), 2);
		assert_int_equal(number(c, "SELECT count(*) FROM thing WHERE v = 'old'"), 1);
	}
}

/* No backup, no change: the folder cannot take a file. */
static void test_without_backup_no_migration(void **state)
{
	cleanup_fx_dir char *dir = fx_dir();
	char path[PATH_SIZE];
	cleanup_conn struct conn *c = open_new(dir, path);
	struct reason why = { { 0 } };

	(void)state;
	assert_ok(store_migrate(c, path, steps, 1, NULL));
	assert_true(failed(store_migrate(c, "/nonexistent/folder/assay.db", steps, 2, &why)));
	assert_non_null(strstr(why.text, "back up"));
	assert_int_equal(number(c, "PRAGMA user_version"), 1);
}

/* What ran before there were containers runs in none. */
static void test_instances_of_schema_1(void **state)
{
	cleanup_fx_dir char *dir = fx_dir();
	char path[PATH_SIZE];
	cleanup_conn struct conn *c = open_new(dir, path);

	(void)state;
	assert_ok(store_migrate(c, path, store_migrations, 1, NULL));
	assert_ok(conn_exec(c, "PRAGMA foreign_keys = OFF;"
			       "INSERT INTO host VALUES (printf('%034d', 1), zeroblob(32), 1, x'00');"
			       "INSERT INTO instance VALUES (printf('%034d', 1), zeroblob(16), 'agent', printf('%043d', 1), 1, 2,"
			       " zeroblob(64), zeroblob(64), zeroblob(128), zeroblob(32), 1, 1)"));
	assert_ok(store_migrate(c, path, store_migrations, store_n_migrations, NULL));
	assert_int_equal(number(c, "SELECT count(*) FROM instance WHERE container = x'' AND agent = 'agent'"), 1);
	assert_ok(conn_exec(c, "UPDATE instance SET container = zeroblob(64)"));
	assert_true(failed(conn_exec(c, "UPDATE instance SET container = zeroblob(32)")));
}

static void test_newer_is_refused(void **state)
{
	cleanup_fx_dir char *dir = fx_dir();
	char path[PATH_SIZE], backup[PATH_SIZE];
	struct reason why = { { 0 } };
	struct store *s = NULL;

	(void)state;
	assert_ok(store_open(dir, &s, NULL));
	store_close(s);
	{
		cleanup_conn struct conn *c = open_new(dir, path);

		assert_int_equal(number(c, "PRAGMA user_version"), (int64_t)store_n_migrations);
		assert_ok(conn_exec(c, "PRAGMA user_version = 1000"));
	}
	s = NULL;
	assert_err(store_open(dir, &s, &why), E_LOCAL_CONFIG);
	assert_null(s);
	assert_non_null(strstr(why.text, "schema 1000"));
	assert_non_null(strstr(why.text, "newer program"));
	assert_false(find_backup(dir, backup));
}

static void test_foreign_files_are_refused(void **state)
{
	struct reason why = { { 0 } };
	struct store *s = NULL;
	char path[PATH_SIZE];

	(void)state;
	{
		cleanup_fx_dir char *dir = fx_dir();
		cleanup_conn struct conn *c = open_new(dir, path);

		assert_ok(conn_exec(c, "CREATE TABLE theirs (id INTEGER)"));
		assert_err(store_open(dir, &s, &why), E_LOCAL_CONFIG);
		assert_non_null(strstr(why.text, "not one of assay-verifier"));
		assert_int_equal(number(c, "SELECT count(*) FROM sqlite_schema"), 1);
	}
	{
		cleanup_fx_dir char *dir = fx_dir();

		path_in(dir, STORE_FILE, path);
		assert_ok(file_create(AT_FDCWD, path, BYTES_LIT("this is a letter and not a database, a rather long letter"
								 " so that there is something to look at in its first page"),
				      0600));
		assert_err(store_open(dir, &s, &why), E_LOCAL_STORE);
	}
	assert_null(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_new_database_has_no_backup),
		cmocka_unit_test(test_older_is_backed_up_and_carried_over),
		cmocka_unit_test(test_failing_step_changes_nothing),
		cmocka_unit_test(test_without_backup_no_migration),
		cmocka_unit_test(test_instances_of_schema_1),
		cmocka_unit_test(test_newer_is_refused),
		cmocka_unit_test(test_foreign_files_are_refused),
	};

	return cmocka_run_group_tests_name("store-migrate", tests, NULL, NULL);
}
