/* SPDX-License-Identifier: Apache-2.0 */
/* An unpacked root: what its digest covers, what is refused, and what changes while it is read. */
#include "folder.h"

#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>

#include "firmware-measure/model.h"
#include "firmware-measure/tree_walk.h"
#include "tests/support/fault.h"

static bool allow_devices;

static int enter(void **state)
{
	allow_devices = false;
	if (folder_enter(state) != 0)
		return -1;
	put_folder("r");
	put_folder("r/d");
	put_text("r/d/a", "hello");
	put_text("r/d/b", "hello");
	return symlink("../d/a", "r/l");
}

static struct err digest(const struct model_options *o, uint8_t ret[32], struct reason *why)
{
	struct pile_budget budget = { LIMIT_TREE_ENTRIES, LIMIT_TREE_BYTES };
	cleanup_tree struct tree tree = { .pile = { .budget = &budget } };
	uint64_t n = 0;
	struct err e;

	if (failed(e = tree_walk("r", allow_devices, o, &tree, &n, why)))
		return e;
	return tree_digest(&tree, false, ret);
}

struct digest32 {
	uint8_t v[32];
};

static struct digest32 now(void)
{
	struct reason why = { "" };
	struct digest32 d = { { 0 } };
	struct err e = digest(NULL, d.v, &why);

	if (failed(e))
		fail_msg("%s: %s", err_name(e), why.text);
	return d;
}

static void refused(const char *what, enum err_code want, const char *words)
{
	struct reason why = { "" };
	uint8_t d[32] = { 0 };
	struct err e = digest(NULL, d, &why);

	if (e.code != want || strstr(why.text, words) == NULL)
		fail_msg("%s: %s \"%s\" instead of %s \"...%s...\"", what, err_name(e), why.text, err_name(ERR(want)),
			 words);
	assert_true(bytes_all(BYTES_ARR(d), 0));
}

static void make_link(void)
{
	assert_int_equal(unlink("r/d/b"), 0);
	assert_int_equal(link("r/d/a", "r/d/b"), 0);
}

static void set_attribute(void)
{
	assert_int_equal(setxattr("r/d/a", "user.x", "1", 1, 0), 0);
}

static void remove_attribute(void)
{
	assert_int_equal(removexattr("r/d/a", "user.x"), 0);
}

static void set_capability(void)
{
	/* struct vfs_cap_data, version 2: effective, CAP_NET_RAW */
	assert_int_equal(setxattr("r/d/a", "security.capability", "\1\0\0\2\0\40\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20, 0),
			 0);
}

static void set_acl(void)
{
	/* Version 2: owner, one more user, group, mask, others. */
	assert_int_equal(setxattr("r/d/a", "system.posix_acl_access",
				  "\2\0\0\0\1\0\6\0\xff\xff\xff\xff\2\0\7\0\7\0\0\0\4\0\4\0\xff\xff\xff\xff"
				  "\20\0\7\0\xff\xff\xff\xff\40\0\4\0\xff\xff\xff\xff",
				  44, 0),
			 0);
}

static void change_content(void)
{
	put_text("r/d/a", "Hello");
}
static void change_mode(void)
{
	assert_int_equal(chmod("r/d/a", 04600), 0);
}
static void change_folder(void)
{
	assert_int_equal(chmod("r/d", 0755), 0);
}
static void change_owner(void)
{
	assert_int_equal(lchown("r/l", 1, 0), 0);
}
static void change_group(void)
{
	assert_int_equal(lchown("r/d", 0, 1), 0);
}
static void change_target(void)
{
	assert_int_equal(unlink("r/l"), 0);
	assert_int_equal(symlink("../d/b", "r/l"), 0);
}
static void add_file(void)
{
	put_text("r/new", "");
}
static void rename_file(void)
{
	assert_int_equal(rename("r/d/a", "r/d/c"), 0);
}
static void change_type(void)
{
	assert_int_equal(unlink("r/new"), 0);
	put_folder("r/new");
}
static void open_root(void)
{
	assert_int_equal(chmod("r", 0777), 0);
}

/* Each of these makes another root, and no two of them the same. */
static void everything_counts(void **state)
{
	static void (*const changes[])(void) = {
		change_content, change_mode, change_folder, change_owner,   change_group, change_target, add_file,
		change_type,    make_link,   set_attribute, set_capability, set_acl,      rename_file,   open_root,
	};
	struct digest32 seen[array_len(changes) + 1];
	size_t n = 1;

	(void)state;
	seen[0] = now();
	for (size_t i = 0; i < array_len(changes); i++) {
		if (geteuid() != 0 &&
		    (changes[i] == change_owner || changes[i] == change_group || changes[i] == set_capability))
			continue;
		changes[i]();
		seen[n] = now();
		for (size_t k = 0; k < n; k++) {
			if (memcmp(&seen[k], &seen[n], sizeof(seen[k])) == 0)
				fail_msg("change %zu is not seen", i);
		}
		n++;
	}
}

/* And this not. */
static void times_do_not_count(void **state)
{
	static const struct timespec times[2] = { { .tv_sec = 1 }, { .tv_sec = 1 } };
	struct digest32 before = now(), after;

	(void)state;
	assert_int_equal(utimensat(AT_FDCWD, "r/d/a", times, 0), 0);
	assert_int_equal(utimensat(AT_FDCWD, "r", times, 0), 0);
	assert_int_equal(chmod("r", 0500), 0);
	if (geteuid() == 0)
		(void)setxattr("r/d/a", "trusted.overlay.opaque", "y", 1, 0);
	set_attribute();
	remove_attribute();
	after = now();
	assert_memory_equal(&before, &after, sizeof(before));
}

static void W4_special_files(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "r/d/socket" };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	assert_int_equal(mkfifo("r/d/fifo", 0600), 0);
	refused("FIFO", E_PEER_UNSUPPORTED, "d/fifo is a FIFO, which has to be allowed");
	allow_devices = true;
	(void)now();
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	refused("socket", E_PEER_UNSUPPORTED, "d/socket is a socket");
	assert_int_equal(close(fd), 0);
	assert_int_equal(unlink("r/d/socket"), 0);
	if (mknod("r/d/null", S_IFCHR | 0600, makedev(1, 3)) == 0) {
		struct digest32 a = now(), b;

		assert_int_equal(unlink("r/d/null"), 0);
		assert_int_equal(mknod("r/d/null", S_IFCHR | 0600, makedev(1, 5)), 0);
		b = now();
		assert_memory_not_equal(&a, &b, sizeof(a));
		allow_devices = false;
		assert_int_equal(unlink("r/d/fifo"), 0);
		refused("device", E_PEER_UNSUPPORTED, "d/null is a device, which has to be allowed");
	}
}

static void W4_names(void **state)
{
	(void)state;
	put_text("r/a\nb", "");
	refused("newline", E_PEER_SYNTAX, "a\\x0ab has a name");
	assert_int_equal(unlink("r/a\nb"), 0);
	put_text("r/a\xff", "");
	refused("not UTF-8", E_PEER_SYNTAX, "a\\xff has a name");
	assert_int_equal(unlink("r/a\xff"), 0);
	assert_int_equal(symlink("a\nb", "r/x"), 0);
	refused("target", E_PEER_SYNTAX, "x points to");
}

static void W4_the_root_itself(void **state)
{
	(void)state;
	assert_int_equal(rename("r", "s"), 0);
	refused("nothing", E_LOCAL_NOT_FOUND, "r");
	assert_int_equal(symlink("s", "r"), 0);
	refused("link", E_PEER_UNSUPPORTED, "r is a symbolic link");
	assert_int_equal(unlink("r"), 0);
	put_text("r", "");
	refused("file", E_PEER_UNSUPPORTED, "r is a regular file");
}

static void W4_mount_points(void **state)
{
	(void)state;
	put_folder("r/m");
	if (mount("none", "r/m", "tmpfs", 0, NULL) != 0) {
		print_message("# no mount without privilege\n");
		return;
	}
	refused("mount", E_PEER_UNSUPPORTED, "m is a mount point");
	assert_int_equal(umount("r/m"), 0);
	(void)now();
}

static void too_deep(void **state)
{
	int fd;

	(void)state;
	assert_int_equal(chdir("r"), 0);
	for (unsigned i = 0; i <= LIMIT_TREE_DEPTH; i++) {
		put_folder("x");
		assert_int_equal(chdir("x"), 0);
	}
	assert_int_equal(chdir(folder), 0);
	refused("depth", E_LIMIT_DEPTH, "lies too deep");
	fd = open("r", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(close(fd), 0);
}

static void sparse_file(void **state)
{
	(void)state;
	put_text("r/sparse", "");
	if (truncate("r/sparse", (off_t)LIMIT_IMAGE_BYTES) != 0)
		return;
	refused("sparse", E_LIMIT_SIZE, "and what was before it have more than 256 GiB");
}

/* Changes between the first walk and the contents, and between these and the second walk. */
struct change {
	void (*before)(void), (*after)(void);
	bool done;
};

static void on_progress(void *ctx, uint64_t done, uint64_t total)
{
	struct change *c = ctx;
	void (*change)(void) = done == 0 ? c->before : done == total ? c->after : NULL;

	if (change == NULL || c->done)
		return;
	c->done = true;
	change();
}

static void swap_for_link(void)
{
	assert_int_equal(rename("r/d", "r/e"), 0);
	assert_int_equal(symlink("e", "r/d"), 0);
}

static void W4_changed_while_read(void **state)
{
	static const struct change changes[] = {
		{ .before = change_content }, { .before = rename_file }, { .before = swap_for_link },
		{ .after = change_content },  { .after = change_mode },  { .after = set_attribute },
		{ .after = add_file },        { .after = rename_file },  { .after = change_target },
		{ .after = swap_for_link },   { .after = make_link },    { .after = open_root },
	};

	for (size_t i = 0; i < array_len(changes); i++) {
		struct change c = changes[i];
		const struct model_options o = { .progress = on_progress, .ctx = &c };
		struct reason why = { "" };
		uint8_t d[32] = { 0 };
		struct err e;

		if (i > 0) {
			assert_int_equal(folder_leave(state), 0);
			assert_int_equal(enter(state), 0);
		}
		e = digest(&o, d, &why);
		if (e.code != E_PEER_CHANGED)
			fail_msg("change %zu: %s %s", i, err_name(e), why.text);
		assert_true(bytes_all(BYTES_ARR(d), 0));
	}
}

static void failing_allocations(void **state)
{
	const struct model_options o = { .jobs = 1 };
	uint8_t d[32];
	struct err e;
	long k = 0;

	(void)state;
	set_attribute();
	make_link();
	do {
		struct reason why = { "" };

		fault_begin(k++);
		e = digest(&o, d, &why);
		(void)fault_end();
		assert_true(!failed(e) || e.code == E_LOCAL_MEMORY || e.code == E_LOCAL_CRYPTO);
	} while (failed(e));
	assert_true(k > 20);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, enter, folder_leave)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(everything_counts),     TEST(times_do_not_count),  TEST(W4_special_files), TEST(W4_names),
		TEST(W4_the_root_itself),    TEST(W4_mount_points),     TEST(too_deep),         TEST(sparse_file),
		TEST(W4_changed_while_read), TEST(failing_allocations),
	};

	(void)umask(022);
	fault_init();
	return cmocka_run_group_tests_name("tree-walk", tests, NULL, NULL);
}
