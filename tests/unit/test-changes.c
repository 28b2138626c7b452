/* SPDX-License-Identifier: Apache-2.0 */
#include "folder.h"

#include <sys/xattr.h>

#include "attest/changes.h"

static struct changes *watch_with(struct err (*how)(const char *, const char *, struct changes **, bool *,
						    struct reason *),
				  bool whole)
{
	char image[128], model[128];
	struct changes *c = NULL;
	struct reason why = { "" };
	bool got;

	(void)snprintf(image, sizeof(image), "%s/image", folder);
	(void)snprintf(model, sizeof(model), "%s/model", folder);
	assert_ok(how(image, model, &c, &got, &why));
	assert_int_equal(got, whole);
	assert_int_equal(why.text[0] == '\0', whole);
	assert_false(changes_seen(c));
	return c;
}

static struct changes *watch(bool whole)
{
	return watch_with(changes_watch, whole);
}

static struct changes *watch_root(bool whole)
{
	return watch_with(changes_watch_root, whole);
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

/* ---------------------------------------------------------------- the root of a container: "image" is one */

static void whatever_is_done_in_a_root(void **state)
{
	static const char xattr[] = "user.assay";
	cleanup_changes struct changes *c = NULL;

	(void)state;
	make();
	put_folder("image/usr");
	put_text("image/usr/program", "x");
	assert_int_equal(symlink("/nowhere", "image/usr/link"), 0);
	c = watch_root(true);
	put_text("image/usr/program", "y");
	sees(c);
	put_text("image/usr/other", "x");
	sees(c);
	assert_int_equal(chmod("image/usr/program", 0750), 0);
	sees(c);
	assert_int_equal(chmod("image/usr", 0750), 0);
	sees(c);
	assert_int_equal(chmod("image", 0750), 0);
	sees(c);
	assert_int_equal(lchown("image/usr/link", getuid(), getgid()), 0);
	sees(c);
	assert_int_equal(setxattr("image/usr/program", xattr, "1", 1, 0), 0);
	sees(c);
	assert_int_equal(unlink("image/usr/link"), 0);
	sees(c);
	put_text("model/weights/a", "b");
	sees(c);
	/* The model's digest has neither modes nor owners. */
	assert_int_equal(chmod("model/weights/a", 0640), 0);
	assert_false(changes_seen(c));
}

/* What a link names there is something of the container's; here, under that name, is something else. */
static void links_in_a_root_lead_nowhere(void **state)
{
	cleanup_changes struct changes *c = NULL;
	char outside[160];

	(void)state;
	make();
	put_text("host-file", "h");
	put_folder("host-folder");
	(void)snprintf(outside, sizeof(outside), "%s/host-file", folder);
	assert_int_equal(symlink(outside, "image/file"), 0);
	assert_int_equal(symlink("../host-folder", "image/folder"), 0);
	assert_int_equal(symlink("/nonexistent", "image/nowhere"), 0);
	c = watch_root(true);
	put_text("host-file", "i");
	put_text("host-folder/new", "n");
	assert_false(changes_seen(c));
	assert_int_equal(rename("image/nowhere", "image/elsewhere"), 0);
	sees(c);
}

/* Of whatever kind: written, or given to another user, by a name that is not in the root. */
static void several_names_in_a_root(void **state)
{
	cleanup_changes struct changes *c = NULL;

	(void)state;
	make();
	put_text("image/file", "f");
	assert_int_equal(symlink("/x", "image/link"), 0);
	assert_int_equal(mkfifo("image/fifo", 0600), 0);
	assert_int_equal(link("image/file", "file2"), 0);
	assert_int_equal(link("image/link", "link2"), 0);
	assert_int_equal(link("image/fifo", "fifo2"), 0);
	c = watch_root(true);
	put_text("file2", "?");
	sees(c);
	assert_int_equal(chmod("file2", 0640), 0);
	sees(c);
	assert_int_equal(lchown("link2", getuid(), getgid()), 0);
	sees(c);
	assert_int_equal(chmod("fifo2", 0640), 0);
	sees(c);
}

static void a_root_replaced(void **state)
{
	cleanup_changes struct changes *c = NULL;

	(void)state;
	make();
	put_folder("next");
	c = watch_root(true);
	assert_int_equal(rename("image", "old"), 0);
	sees(c);
	assert_int_equal(rename("next", "image"), 0);
	sees(c);
}

/* A link to a folder, or a file, is no root. */
static void what_is_no_root(void **state)
{
	struct changes *c;

	(void)state;
	make();
	assert_int_equal(rename("image", "real"), 0);
	assert_int_equal(symlink("real", "image"), 0);
	c = watch_root(false);
	changes_free(c);
	assert_int_equal(unlink("image"), 0);
	put_text("image", "i");
	c = watch_root(false);
	changes_free(c);
}

static size_t open_watches(const struct changes *c)
{
	char path[64], line[256];
	size_t n = 0;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", changes_fd(c));
	f = fopen(path, "re");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL)
		n += strncmp(line, "inotify ", 8) == 0;
	(void)fclose(f);
	return n;
}

/* A watch is some kernel memory, of which a user has only so much: not one for each file. */
static void watches_are_of_folders(void **state)
{
	cleanup_changes struct changes *c = NULL;
	char name[64];

	(void)state;
	make();
	put_folder("image/bin");
	for (unsigned i = 0; i < 200; i++) {
		(void)snprintf(name, sizeof(name), "image/bin/%u", i);
		put_text(name, "x");
	}
	c = watch_root(true);
	/* The folder around, image, image/bin, model, model/weights. */
	assert_int_equal(open_watches(c), 5);
}

#define IN_FOLDER(f) cmocka_unit_test_setup_teardown(f, folder_enter, folder_leave)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_FOLDER(whatever_is_done_inside), IN_FOLDER(nothing_else),  IN_FOLDER(the_whole_replaced),
		IN_FOLDER(one_file_each),           IN_FOLDER(other_names),   IN_FOLDER(more_than_the_queue_holds),
		IN_FOLDER(what_cannot_be_watched),
		IN_FOLDER(whatever_is_done_in_a_root), IN_FOLDER(links_in_a_root_lead_nowhere),
		IN_FOLDER(several_names_in_a_root), IN_FOLDER(a_root_replaced), IN_FOLDER(what_is_no_root),
		IN_FOLDER(watches_are_of_folders),
	};

	return cmocka_run_group_tests_name("changes", tests, NULL, NULL);
}
