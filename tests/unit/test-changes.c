/* SPDX-License-Identifier: Apache-2.0 */
#include "folder.h"

#include "attest/changes.h"

static struct changes *watch(bool whole)
{
	char image[128], model[128];
	struct changes *c = NULL;
	struct reason why = { "" };
	bool got;

	(void)snprintf(image, sizeof(image), "%s/image", folder);
	(void)snprintf(model, sizeof(model), "%s/model", folder);
	assert_ok(changes_watch(image, model, &c, &got, &why));
	assert_int_equal(got, whole);
	assert_int_equal(why.text[0] == '\0', whole);
	assert_false(changes_seen(c));
	return c;
}

/* Sees what was done exactly once. */
static void sees(struct changes *c)
{
	assert_true(changes_seen(c));
	assert_false(changes_seen(c));
}

static void make(void)
{
	put_folder("image");
	put_text("image/index.json", "{}");
	put_folder("model");
	put_folder("model/weights");
	put_text("model/weights/a", "a");
}

static void whatever_is_done_inside(void **state)
{
	cleanup_changes struct changes *c = NULL;

	(void)state;
	make();
	c = watch(true);
	put_text("image/index.json", "[]");
	sees(c);
	put_text("model/weights/b", "b");
	sees(c);
	assert_int_equal(rename("model/weights/b", "model/weights/c"), 0);
	sees(c);
	assert_int_equal(unlink("model/weights/c"), 0);
	sees(c);
	assert_int_equal(truncate("model/weights/a", 0), 0);
	sees(c);
	put_folder("model/more");
	sees(c);
}

/* Reading, names beside, and the folder's own time are none of it. */
static void nothing_else(void **state)
{
	cleanup_changes struct changes *c = NULL;
	char byte;
	int fd;

	(void)state;
	make();
	c = watch(true);
	fd = open("model/weights/a", O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(fd, &byte, 1), 1);
	assert_int_equal(close(fd), 0);
	put_text("model2", "x");
	put_text("mode", "x");
	assert_int_equal(unlink("model2"), 0);
	assert_int_equal(utimensat(AT_FDCWD, "model", NULL, 0), 0);
	assert_false(changes_seen(c));
}

static void the_whole_replaced(void **state)
{
	cleanup_changes struct changes *c = NULL;

	(void)state;
	make();
	put_folder("next");
	c = watch(true);
	assert_int_equal(rename("model", "old"), 0);
	sees(c);
	assert_int_equal(rename("next", "model"), 0);
	sees(c);
}

static void one_file_each(void **state)
{
	cleanup_changes struct changes *c = NULL;

	(void)state;
	put_text("image", "i");
	put_text("model", "m");
	c = watch(true);
	put_text("image", "j");
	sees(c);
	put_text("new", "n");
	assert_false(changes_seen(c));
	assert_int_equal(rename("new", "model"), 0);
	sees(c);
}

/* By inode: a second name outside, and what a link leads to. */
static void other_names(void **state)
{
	cleanup_changes struct changes *c = NULL;

	(void)state;
	make();
	put_text("blob", "b");
	assert_int_equal(symlink("../blob", "model/linked"), 0);
	assert_int_equal(link("model/weights/a", "hard"), 0);
	c = watch(true);
	put_text("hard", "?");
	sees(c);
	put_text("blob", "?");
	sees(c);
}

static void more_than_the_queue_holds(void **state)
{
	cleanup_changes struct changes *c = NULL;

	(void)state;
	make();
	c = watch(true);
	/* All of them beside: only that events were lost says anything. */
	for (unsigned i = 0; i < 20000; i++)
		assert_int_equal(i % 2 == 0 ? symlink("x", "beside") : unlink("beside"), 0);
	sees(c);
}

/* Said, and the rest is watched. */
static void what_cannot_be_watched(void **state)
{
	struct changes *c;
	char path[512] = "model";

	(void)state;
	put_text("model", "m");
	c = watch(false); /* there is no image */
	put_text("image", "i");
	sees(c);
	put_text("model", "n");
	sees(c);
	changes_free(c);
	assert_int_equal(unlink("model"), 0);
	put_folder(path);
	for (unsigned i = 0; i < CHANGES_DEPTH_MAX; i++) {
		strcat(path, "/d");
		put_folder(path);
	}
	c = watch(true);
	changes_free(c);
	strcat(path, "/d");
	put_folder(path);
	c = watch(false);
	changes_free(c);
}

#define IN_FOLDER(f) cmocka_unit_test_setup_teardown(f, folder_enter, folder_leave)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_FOLDER(whatever_is_done_inside), IN_FOLDER(nothing_else),  IN_FOLDER(the_whole_replaced),
		IN_FOLDER(one_file_each),           IN_FOLDER(other_names),   IN_FOLDER(more_than_the_queue_holds),
		IN_FOLDER(what_cannot_be_watched),
	};

	return cmocka_run_group_tests_name("changes", tests, NULL, NULL);
}
