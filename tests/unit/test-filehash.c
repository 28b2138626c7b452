/* SPDX-License-Identifier: Apache-2.0 */
#include "folder.h"

#include "firmware-measure/filehash.h"
#include "firmware-measure/model.h"

#define SPARSE_BYTES ((off_t)512 * 1024 * 1024)

/* In the middle of one large file, below the two walks: the check around the reading itself. */
static void in_the_middle(void *ctx, uint64_t done, uint64_t total)
{
	bool *did = ctx;

	if (*did || done == 0 || done == total)
		return;
	*did = true;
	assert_int_equal(truncate("large", SPARSE_BYTES), 0);
}

static void shrink_in_the_middle(void *ctx, uint64_t done, uint64_t total)
{
	bool *did = ctx;

	if (*did || done == 0 || done == total)
		return;
	*did = true;
	assert_int_equal(truncate("large", 1), 0);
}

static void W5_changed_in_the_middle(void **state)
{
	static void (*const progress[])(void *, uint64_t, uint64_t) = { in_the_middle, shrink_in_the_middle };
	int dir = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	for (size_t i = 0; i < array_len(progress); i++) {
		bool did = false;
		struct model_options o = { .progress = progress[i], .ctx = &did };
		struct hash_item item = { .path = "large" };
		struct reason why = { "" };
		struct stat st;

		put_text("large", "");
		assert_int_equal(truncate("large", SPARSE_BYTES), 0);
		assert_int_equal(stat("large", &st), 0);
		file_id_of(&st, &item.id);
		assert_err(filehash_run(dir, 1, &item, &o, &why), E_PEER_CHANGED);
		assert_true(did);
		assert_string_equal(why.text, "large changed while it was read");
	}
	assert_int_equal(close(dir), 0);
}

/* Every component is looked at, not the last alone. */
static void no_link_on_the_way(void **state)
{
	int dir = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd = -1;
	struct reason why = { "" };
	struct file_id id;

	(void)state;
	put_folder("m");
	put_folder("m/a");
	put_text("m/a/x", "one");
	put_text("m/a.txt", "two");
	assert_int_equal(symlink("m", "link"), 0);
	assert_ok(filehash_open(dir, "m/a/x", &fd, &id, &why));
	assert_int_equal(id.size, 3);
	assert_int_equal(close(fd), 0);
	assert_err(filehash_open(dir, "link/a/x", &fd, &id, &why), E_PEER_UNSUPPORTED);
	assert_err(filehash_open(dir, "m/a", &fd, &id, &why), E_PEER_UNSUPPORTED);
	assert_err(filehash_open(dir, "m/a.txt/x", &fd, &id, &why), E_PEER_UNSUPPORTED);
	assert_err(filehash_open(dir, "m/b/x", &fd, &id, &why), E_LOCAL_NOT_FOUND);
	assert_int_equal(close(dir), 0);
}

/* A small file as a whole. */
static void reads_whole(void **state)
{
	cleanup_buf struct buf b = BUF_INIT(20000);
	int dir = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct reason why = { "" };
	static char text[20001];

	(void)state;
	memset(text, 'x', sizeof(text));
	put("file", text, 20000);
	assert_ok(filehash_read(dir, "file", &b, &why));
	assert_bytes(buf_bytes(&b), BYTES(text, 20000));
	put("file", text, 20001);
	buf_clear(&b);
	assert_err(filehash_read(dir, "file", &b, &why), E_LIMIT_SIZE);
	assert_int_equal(b.n, 0);
	put("file", text, 0);
	assert_ok(filehash_read(dir, "file", &b, &why));
	assert_int_equal(b.n, 0);
	assert_err(filehash_read(dir, "gone", &b, &why), E_LOCAL_NOT_FOUND);
	assert_int_equal(close(dir), 0);
}

/* Another file than the one whose identity was taken is not even read. */
static void another_file(void **state)
{
	int dir = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct hash_item item = { .path = "file" };
	struct reason why = { "" };
	struct stat st;

	(void)state;
	put_text("old", "x");
	put_text("file", "x");
	assert_int_equal(stat("old", &st), 0);
	file_id_of(&st, &item.id);
	assert_err(filehash_run(dir, 1, &item, NULL, &why), E_PEER_CHANGED);
	assert_string_equal(why.text, "file changed before it was read");
	assert_int_equal(stat("file", &st), 0);
	file_id_of(&st, &item.id);
	assert_ok(filehash_run(dir, 1, &item, NULL, &why));
	assert_hex(item.sha256, "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881");
	assert_int_equal(close(dir), 0);
}

/* Each member of the identity on its own. */
static void identity(void **state)
{
	const struct stat st = { .st_dev = 1, .st_ino = 2, .st_size = 3, .st_mtim = { 4, 5 }, .st_ctim = { 6, 7 } };
	struct stat other[7] = { st, st, st, st, st, st, st };
	struct file_id a, b;

	(void)state;
	other[0].st_dev++;
	other[1].st_ino++;
	other[2].st_size++;
	other[3].st_mtim.tv_sec++;
	other[4].st_mtim.tv_nsec++;
	other[5].st_ctim.tv_sec++;
	other[6].st_ctim.tv_nsec++;
	file_id_of(&st, &a);
	file_id_of(&st, &b);
	assert_true(file_id_equal(&a, &b));
	for (size_t i = 0; i < array_len(other); i++) {
		file_id_of(&other[i], &b);
		assert_false(file_id_equal(&a, &b));
	}
}

static void nothing_to_hash(void **state)
{
	struct reason why = { "" };
	struct hash_item items[2] = { { .path = "x", .id.size = UINT64_MAX }, { .path = "y", .id.size = 1 } };

	(void)state;
	assert_ok(filehash_run(AT_FDCWD, 0, NULL, NULL, &why));
	assert_err(filehash_run(AT_FDCWD, 2, items, NULL, &why), E_LIMIT_SIZE);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, folder_enter, folder_leave)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(W5_changed_in_the_middle),
		TEST(no_link_on_the_way),
		TEST(reads_whole),
		TEST(another_file),
		TEST(identity),
		TEST(nothing_to_hash),
	};

	return cmocka_run_group_tests_name("filehash", tests, NULL, NULL);
}
