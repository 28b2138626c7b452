/* SPDX-License-Identifier: Apache-2.0 */
/* The root of a container as its image has it, and what the kernel says of a container. Its init is a child of ours. */
#include "folder.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "child.h"

#include "attest/container/place.h"
#include "attest/container/root.h"
#include "firmware-measure/tree_walk.h"

static json_t *absent;
static char path[128];

static int enter(void **state)
{
	if (folder_enter(state) != 0)
		return -1;
	absent = json_pack("[s, s, s, s, s]", "/proc", "/etc", "/etc/hosts", "/etc/mtab", "/data");
	put_folder("r");
	put_folder("r/bin");
	put_text("r/bin/agent", "program");
	(void)snprintf(path, sizeof(path), "%s/r", folder);
	return absent == NULL ? -1 : 0;
}

static int leave(void **state)
{
	json_decref(absent);
	return folder_leave(state);
}

static struct err digest(uint8_t ret[32], struct reason *why)
{
	struct instance_container c = { .rootfs = path, .absent = absent };
	struct err e = container_root_pin(&c, getpid(), why);

	return failed(e) ? e : container_root_digest(&c, ret, why);
}

struct digest32 {
	uint8_t v[32];
};

static struct digest32 now(void)
{
	struct reason why = { "" };
	struct digest32 d;
	struct err e = digest(d.v, &why);

	if (failed(e))
		fail_msg("%s: %s", err_name(e), why.text);
	return d;
}

static void same(struct digest32 a, bool want)
{
	struct digest32 b = now();

	assert_int_equal(memcmp(&a, &b, sizeof(a)) == 0, want);
}

/* It is the digest of the layers, which tree_digest() gives. */
static void is_the_digest_of_the_tree(void **state)
{
	struct pile_budget budget = { LIMIT_TREE_ENTRIES, LIMIT_TREE_BYTES };
	cleanup_tree struct tree tree = { .pile = { .budget = &budget } };
	struct digest32 d = now();
	uint8_t plain[32];
	uint64_t n;

	(void)state;
	assert_ok(tree_walk(path, false, NULL, &tree, &n, NULL));
	assert_ok(tree_digest(&tree, false, plain));
	assert_memory_equal(plain, d.v, 32);
}

static void what_the_runtime_made_does_not_count(void **state)
{
	struct digest32 before = now();

	(void)state;
	put_folder("r/proc");
	put_folder("r/etc");
	put_text("r/etc/hosts", "");
	assert_int_equal(symlink("/proc/mounts", "r/etc/mtab"), 0);
	same(before, true);
}

static void anything_in_it_counts(void **state)
{
	struct digest32 before = now();

	(void)state;
	put_folder("r/etc");
	put_text("r/etc/hosts", "127.0.0.1 verifier\n");
	same(before, false);
	assert_int_equal(unlink("r/etc/hosts"), 0);
	same(before, true);

	put_text("r/etc/passwd", ""); /* empty, but nobody has said that the image lacks it */
	same(before, false);
	assert_int_equal(unlink("r/etc/passwd"), 0);

	assert_int_equal(symlink("/bin/agent", "r/etc/mtab"), 0);
	same(before, false);
	assert_int_equal(unlink("r/etc/mtab"), 0);
	assert_int_equal(rmdir("r/etc"), 0);

	put_folder("r/sys");
	same(before, false);
	assert_int_equal(rmdir("r/sys"), 0);

	put_folder("r/data");
	put_folder("r/data/hosts"); /* not /etc/hosts */
	same(before, false);
	assert_int_equal(rmdir("r/data/hosts"), 0);
	same(before, true);
}

static void another_folder_under_the_name(void **state)
{
	struct instance_container c = { .rootfs = path, .absent = absent };
	struct reason why = { "" };
	uint8_t d[32];

	(void)state;
	assert_ok(container_root_pin(&c, getpid(), NULL));
	assert_ok(container_root_digest(&c, d, NULL));
	assert_int_equal(rename("r", "old"), 0);
	assert_err(container_root_digest(&c, d, NULL), E_LOCAL_NOT_FOUND);
	put_folder("r");
	assert_err(container_root_digest(&c, d, &why), E_PEER_CHANGED);
	assert_non_null(strstr(why.text, "another folder"));
	assert_int_equal(rmdir("r"), 0);
	assert_int_equal(symlink("old", "r"), 0);
	assert_err(container_root_digest(&c, d, NULL), E_PEER_CHANGED);
}

/* In a grandchild: a namespace in which something else lies over everything that the test has made. */
static void digest_in_other_mounts(const struct instance_container *c, const uint8_t want[32])
{
	uint8_t d[32];

	if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mount("none", "/tmp", "tmpfs", 0, NULL) != 0 || access(c->rootfs, F_OK) == 0)
		_exit(2);
	_exit(failed(container_root_digest(c, d, NULL)) || memcmp(d, want, sizeof(d)) != 0 ? 1 : 0);
}

static int child_status(pid_t pid)
{
	int status = -1;

	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : 3;
}

/* In a child: process 1 of a pid namespace, with the mounts that the test has. */
static void be_process_1(const struct instance_container *c, const uint8_t want[32])
{
	pid_t pid;

	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 || mount("proc", "/proc", "proc", 0, NULL) != 0)
		_exit(4);
	pid = fork();
	if (pid == 0)
		digest_in_other_mounts(c, want);
	_exit(child_status(pid));
}

/* As a service in its sandbox, to which the runtime's mounts do not come through. */
static void through_the_mounts_of_the_host(void **state)
{
	struct instance_container c = { .rootfs = path, .absent = absent };
	uint8_t d[32];
	pid_t pid;

	(void)state;
	if (geteuid() != 0) {
		print_message("# not root: it makes namespaces\n");
		return;
	}
	assert_ok(container_root_pin(&c, getpid(), NULL));
	assert_ok(container_root_digest(&c, d, NULL));
	pid = fork();
	if (pid == 0) {
		if (unshare(CLONE_NEWPID | CLONE_NEWNS) != 0)
			_exit(5);
		pid = fork();
		if (pid == 0)
			be_process_1(&c, d);
		_exit(child_status(pid));
	}
	assert_int_equal(child_status(pid), 0);
}

static bool mount_other(void)
{
	return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 && mount("other", "r", NULL, MS_BIND, NULL) == 0;
}

static bool enter_root(void)
{
	return chroot("r") == 0 && chdir("/") == 0;
}

static void init_must_see_that_folder(void **state)
{
	struct instance_container c = { .rootfs = path, .absent = absent };
	const struct child plain = { .flags = CLONE_NEWNS }, swapped = { .flags = CLONE_NEWNS, .prepare = mount_other };
	struct reason why = { "" };
	pid_t pid;

	(void)state;
	put_folder("other");
	pid = child_begin(&plain);
	CHILD_NEED(pid);
	assert_ok(container_root_pin(&c, pid, NULL));
	child_end(pid);
	pid = child_begin(&swapped);
	CHILD_NEED(pid);
	assert_err(container_root_pin(&c, pid, &why), E_AUTH_CONFLICT);
	assert_non_null(strstr(why.text, "is not the folder"));
	child_end(pid);
	assert_err(container_root_pin(&c, pid, NULL), E_LOCAL_NOT_FOUND);
}

static void running_it_still_has_it(void **state)
{
	struct instance_container c = { .rootfs = path, .absent = absent };
	const struct child inside = { .prepare = enter_root }, outside = { .prepare = NULL };
	pid_t pid;

	(void)state;
	assert_ok(container_root_pin(&c, getpid(), NULL));
	pid = child_begin(&inside);
	CHILD_NEED(pid);
	assert_ok(container_root_check(&c, pid, NULL));
	child_end(pid);
	assert_err(container_root_check(&c, pid, NULL), E_LOCAL_NOT_FOUND);
	pid = child_begin(&outside);
	CHILD_NEED(pid);
	assert_err(container_root_check(&c, pid, NULL), E_AUTH_CONFLICT);
	child_end(pid);
}

static void namespaces_of_its_own(void **state)
{
	static const struct {
		int flag;
		const char *name;
	} own[] = { { CLONE_NEWPID, "pid" },  { CLONE_NEWNS, "mnt" },  { CLONE_NEWIPC, "ipc" },
		    { CLONE_NEWUTS, "uts" },  { CLONE_NEWNET, "net" } };
	const int all = CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET;
	json_t *wanted = json_pack("[{s:s},{s:s},{s:s},{s:s},{s:s,s:s}]", "type", "mount", "type", "ipc", "type", "uts",
				   "type", "network", "type", "user", "path", "/proc/1/ns/user");
	struct child c = { .flags = all };
	pid_t pid = child_begin(&c);

	(void)state;
	CHILD_NEED(pid);
	assert_ok(container_namespaces_check(pid, wanted, NULL));
	child_end(pid);
	assert_err(container_namespaces_check(pid, wanted, NULL), E_LOCAL_NOT_FOUND);
	for (size_t i = 0; i < array_len(own); i++) {
		struct reason why = { "" };
		char words[64];

		c.flags = all & ~own[i].flag;
		pid = child_begin(&c);
		CHILD_NEED(pid);
		assert_err(container_namespaces_check(pid, wanted, &why), E_AUTH_CONFLICT);
		(void)snprintf(words, sizeof(words), "host's %s namespace", own[i].name);
		assert_non_null(strstr(why.text, words));
		/* Those that nobody wants to be new may be the host's, but two. */
		assert_int_equal(container_namespaces_check(pid, NULL, NULL).code, i < 2 ? E_AUTH_CONFLICT : E_OK);
		child_end(pid);
	}
	json_decref(wanted);
}

static void uids_outside(void **state)
{
	const struct child c = { .flags = CLONE_NEWUSER, .map = "0 100000 10\n20 5 1\n" };
	uint32_t uid = 0;
	pid_t pid;

	(void)state;
	assert_ok(container_host_uid(getpid(), 1000, &uid, NULL));
	assert_int_equal(uid, 1000);
	assert_err(container_host_uid(getpid(), UINT32_MAX, &uid, NULL), E_AUTH_REFUSED);
	pid = child_begin(&c);
	CHILD_NEED(pid);
	assert_ok(container_host_uid(pid, 9, &uid, NULL));
	assert_int_equal(uid, 100009);
	assert_ok(container_host_uid(pid, 20, &uid, NULL));
	assert_int_equal(uid, 5);
	assert_err(container_host_uid(pid, 10, &uid, NULL), E_AUTH_REFUSED);
	assert_err(container_host_uid(pid, 21, &uid, NULL), E_AUTH_REFUSED);
	child_end(pid);
	assert_err(container_host_uid(pid, 9, &uid, NULL), E_LOCAL_NOT_FOUND);
}

#define in(f) cmocka_unit_test_setup_teardown(f, enter, leave)

int main(void)
{
	const struct CMUnitTest tests[] = {
		in(is_the_digest_of_the_tree),
		in(what_the_runtime_made_does_not_count),
		in(anything_in_it_counts),
		in(another_folder_under_the_name),
		in(through_the_mounts_of_the_host),
		in(init_must_see_that_folder),
		in(running_it_still_has_it),
		in(namespaces_of_its_own),
		cmocka_unit_test(uids_outside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
