/* SPDX-License-Identifier: Apache-2.0 */
/* What is mounted in a container, and what its configuration says. */
#include "folder.h"

#include <sys/mount.h>

#include "attest/container/mounts.h"
#include "child.h"

static char root[128], model[128], socket_[128];

static int enter(void **state)
{
	if (folder_enter(state) != 0)
		return -1;
	put_folder("root");
	put_folder("root/model dir");
	put_folder("root/proc");
	put_folder("root/proc/sys");
	put_folder("root/cgroup");
	put_folder("root/sys");
	put_folder("root/sys/fs");
	put_folder("root/sys/fs/cgroup");
	put_text("root/socket", "");
	put_folder("model");
	put_folder("other");
	put_text("socket", "s");
	(void)snprintf(root, sizeof(root), "%s/root", folder);
	(void)snprintf(model, sizeof(model), "%s/model", folder);
	(void)snprintf(socket_, sizeof(socket_), "%s/socket", folder);
	return 0;
}

static bool bind(const char *from, const char *to)
{
	return mount(from, to, NULL, MS_BIND | MS_REC, NULL) == 0;
}

static bool alone(void)
{
	return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

static bool tmpfs(const char *to)
{
	return mount("tmpfs", to, "tmpfs", 0, NULL) == 0;
}

/* As a runtime does it: root first, then what belongs in it. */
static bool as_configured(void)
{
	return alone() && bind("root", "root") && bind("model", "root/model dir") && bind("socket", "root/socket") &&
	       mount("proc", "root/proc", "proc", 0, NULL) == 0;
}

static bool other_model(void)
{
	return alone() && bind("root", "root") && bind("other", "root/model dir") && bind("socket", "root/socket") &&
	       tmpfs("root/proc");
}

static bool no_model(void)
{
	return alone() && bind("root", "root") && bind("socket", "root/socket") && tmpfs("root/proc");
}

static bool one_more(void)
{
	return as_configured() && tmpfs("root/sys");
}

static bool below_one(void)
{
	return as_configured() && bind("other", "root/proc/sys");
}

static bool no_root(void)
{
	return alone();
}

static bool controllers(void)
{
	return as_configured() && tmpfs("root/sys/fs/cgroup") && mkdir("root/sys/fs/cgroup/pids", 0755) == 0 &&
	       tmpfs("root/sys/fs/cgroup/pids");
}

static json_t *configured(void)
{
	json_t *j = json_pack("[{s:s, s:s, s:s}, {s:s, s:s, s:[s, s]}, {s:s, s:s, s:s}]", "destination", "/proc", "type",
			      "proc", "source", "proc", "destination", "/model dir/", "source", model, "options", "rbind",
			      "ro", "destination", "//socket", "type", "bind", "source", socket_);

	assert_non_null(j);
	return j;
}

static void look(bool (*prepare)(void), json_t *mounts, enum err_code want, const char *words)
{
	const struct child c = { .flags = CLONE_NEWNS | CLONE_NEWPID, .prepare = prepare };
	struct reason why = { "" };
	pid_t pid = child_begin(&c);
	struct err e;

	if (pid == 0)
		json_decref(mounts);
	CHILD_NEED(pid);
	e = container_mounts_check(pid, root, mounts, &why);
	child_end(pid);
	json_decref(mounts);
	if (e.code != want || strstr(why.text, words) == NULL)
		fail_msg("%s \"%s\" instead of %s \"...%s...\"", err_name(e), why.text, err_name(ERR(want)), words);
}

static void as_it_says(void **state)
{
	(void)state;
	look(as_configured, configured(), E_OK, "");
}

static void another_source(void **state)
{
	(void)state;
	look(other_model, configured(), E_AUTH_CONFLICT, "/model dir/ of the container is not");
	look(no_model, configured(), E_AUTH_CONFLICT, "/model dir/ of the container is not");
}

static void a_mount_that_nobody_named(void **state)
{
	(void)state;
	look(one_more, configured(), E_AUTH_CONFLICT, "/sys of the container is mounted");
	look(below_one, configured(), E_AUTH_CONFLICT, "/proc/sys of the container is mounted");
	look(no_root, configured(), E_AUTH_CONFLICT, "no mount of its own");
}

static void controllers_belong_to_cgroup(void **state)
{
	json_t *mounts = configured();

	(void)state;
	look(controllers, json_incref(mounts), E_AUTH_CONFLICT, "/sys/fs/cgroup of the");
	assert_int_equal(json_array_append_new(mounts, json_pack("{s:s, s:s}", "destination", "/sys/fs/cgroup", "type",
								 "cgroup")), 0);
	look(controllers, mounts, E_OK, "");
}

static void the_last_one_shows(void **state)
{
	json_t *mounts = configured();

	(void)state;
	/* Another one for the same place, earlier: hidden. */
	assert_int_equal(json_array_insert_new(mounts, 0, json_pack("{s:s, s:s, s:s}", "destination", "/model dir", "type",
								    "bind", "source", "/etc")), 0);
	look(as_configured, mounts, E_OK, "");
	mounts = configured();
	assert_int_equal(json_array_append_new(mounts, json_pack("{s:s, s:s, s:s}", "destination", "/model dir", "type",
								 "bind", "source", "/etc")), 0);
	look(as_configured, mounts, E_AUTH_CONFLICT, "is not /etc");
}

static void who_has_ended(void **state)
{
	const struct child c = { .flags = CLONE_NEWNS, .prepare = as_configured };
	pid_t pid = child_begin(&c);
	json_t *mounts;

	(void)state;
	CHILD_NEED(pid);
	child_end(pid);
	mounts = configured();
	assert_err(container_mounts_check(pid, root, mounts, NULL), E_LOCAL_NOT_FOUND);
	json_decref(mounts);
}

#define in(f) cmocka_unit_test_setup_teardown(f, enter, folder_leave)

int main(void)
{
	const struct CMUnitTest tests[] = {
		in(as_it_says),
		in(another_source),
		in(a_mount_that_nobody_named),
		in(controllers_belong_to_cgroup),
		in(the_last_one_shows),
		in(who_has_ended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
