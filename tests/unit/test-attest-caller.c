/* SPDX-License-Identifier: Apache-2.0 */
/* attest/daemon: who is on the other side of a socket. Real processes with real namespaces; the test is the daemon. */
#include "folder.h"

#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "attest/daemon/caller.h"
#include "attest/daemon/request.h"
#include "base/file.h"
#include "base/unix.h"

#define NOBODY 65534
#define SOCKET "sock"
#define DEEP (CALLER_DEPTH_MAX + 10)

static struct reason why;
static int state_fd, listen_fd;
static struct roster roster;
static pid_t groups[8]; /* what a test has started and not ended */

static int enter(void **state)
{
	if (folder_enter(state) != 0 || chmod(folder, 0711) != 0)
		return -1;
	state_fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	roster_init(state_fd, &roster);
	why.text[0] = '\0';
	return failed(unix_listen(SOCKET, SOCK_SEQPACKET, 0666, &listen_fd, &why)) ? -1 : 0;
}

static int leave(void **state)
{
	roster_done(&roster);
	(void)close(listen_fd);
	(void)close(state_fd);
	/* Also where an assertion left it early. */
	for (size_t i = 0; i < array_len(groups); i++)
		if (groups[i] != 0)
			(void)kill(-groups[i], SIGKILL);
	memset(groups, 0, sizeof(groups));
	while (waitpid(-1, NULL, 0) > 0)
		;
	return folder_leave(state);
}

/* ---------------------------------------------------------------- processes */

/* In the test: pid leads a group of its own from here on. */
static pid_t remember(pid_t pid)
{
	size_t i = 0;

	assert_true(pid > 0);
	(void)setpgid(pid, pid);
	while (i < array_len(groups) && groups[i] != 0)
		i++;
	assert_true(i < array_len(groups));
	groups[i] = pid;
	return pid;
}

static void forget(pid_t pid)
{
	for (size_t i = 0; i < array_len(groups); i++)
		if (groups[i] == pid)
			groups[i] = 0;
}

/* In a child everything goes or it ends, and the test sees nobody come. */
static void must(bool good)
{
	if (!good)
		_exit(99);
}

static int dial(void)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct sockaddr_un name;
	socklen_t n = 0;

	must(fd >= 0 && !failed(unix_address(SOCKET, &name, &n)));
	must(connect(fd, (const struct sockaddr *)&name, n) == 0);
	return fd;
}

static void become(uid_t uid)
{
	must(setresgid(uid, uid, uid) == 0 && setresuid(uid, uid, uid) == 0);
}

static void dial_and_stay(void)
{
	(void)dial();
	(void)pause();
}

/* An instance: a "run", whose child does what the test wants. All of it is one process group. */
static pid_t start_instance(uint8_t id, void (*agent)(void))
{
	cleanup_wkey_blob struct wkey_blob key = WKEY_BLOB_INIT;
	char path[] = "/x";
	struct instance i = { .id = { id }, .agent = "agent", .image = path, .model = path, .uid = NOBODY };
	pid_t run = fork();

	if (run != 0)
		return remember(run);
	must(setpgid(0, 0) == 0 && prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0);
	must(!failed(buf_add(&key.auth, BYTES_LIT("a"))) && !failed(process_self(&i.parent)));
	must(!failed(instance_write(state_fd, &i, &key)));
	if (agent != NULL && fork() == 0) {
		agent();
		_exit(0);
	}
	for (;;)
		(void)pause();
}

/* A process that no instance has started. */
static pid_t start_stranger(void (*act)(void))
{
	pid_t pid = fork();

	if (pid == 0) {
		must(setpgid(0, 0) == 0);
		act();
		_exit(0);
	}
	return remember(pid);
}

static void end(pid_t group)
{
	(void)kill(-group, SIGKILL);
	(void)waitpid(group, NULL, 0);
	forget(group);
}

/* The next connection, with its sender's name on every packet; -1 where nobody comes. */
static int next_connection(void)
{
	struct pollfd p = { .fd = listen_fd, .events = POLLIN };
	const int yes = 1;
	int fd;

	if (poll(&p, 1, 30000) != 1)
		return -1;
	fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &yes, sizeof(yes)), 0);
	return fd;
}

static struct err identify(int fd, struct caller *c)
{
	struct err e = caller_pin(fd, c, &why);

	return failed(e) ? e : caller_identify(c, &roster, &why);
}
#define cleanup_caller cleanup(caller_done)

static void says(const char *word)
{
	if (strstr(why.text, word) == NULL)
		fail_msg("the reason does not say \"%s\": %s", word, why.text);
}

/* ---------------------------------------------------------------- who belongs */

static void as_nobody(void)
{
	become(NOBODY);
	dial_and_stay();
}

static void grandchild(void)
{
	become(NOBODY);
	if (fork() == 0)
		dial_and_stay();
	(void)pause();
}

static void orphan(void)
{
	pid_t parent = getpid();

	become(NOBODY);
	if (fork() != 0)
		return;
	while (getppid() == parent)
		;
	dial_and_stay();
}

static void test_processes_of_an_instance(void **state)
{
	static void (*const kinds[])(void) = { as_nobody, grandchild, orphan };

	(void)state;
	for (size_t i = 0; i < array_len(kinds); i++) {
		pid_t other = start_instance(77, NULL), run = start_instance((uint8_t)(i + 1), kinds[i]);
		cleanup_caller struct caller c = CALLER_INIT;
		cleanup_fd int fd = next_connection();

		assert_ok(identify(fd, &c));
		assert_int_equal(c.role, CALLER_AGENT);
		assert_int_equal(c.instance[0], i + 1);
		end(run);
		end(other);
		(void)remove_tree("instances");
	}
}

static void run_dials(void)
{
	dial_and_stay();
}

/* root, as its pid and start time are written down; and another root, who is nobody special. */
static void test_run_and_root(void **state)
{
	cleanup_caller struct caller c = CALLER_INIT, r = CALLER_INIT;
	cleanup_fd int fd = -1, root_fd = -1;
	struct instance i = { .id = { 9 }, .agent = "agent", .image = folder, .model = folder, .uid = NOBODY };
	cleanup_wkey_blob struct wkey_blob key = WKEY_BLOB_INIT;
	pid_t pid, root;

	(void)state;
	assert_ok(process_self(&i.parent));
	assert_ok(buf_add(&key.auth, BYTES_LIT("a")));
	pid = start_stranger(run_dials);
	fd = next_connection();
	assert_ok(identify(fd, &c));
	assert_int_equal(c.role, CALLER_ROOT);
	/* Now the test itself is written down as the `run`: its child is below it, but is not its command's uid. */
	assert_ok(instance_write(state_fd, &i, &key));
	root = start_stranger(run_dials);
	root_fd = next_connection();
	assert_err(identify(root_fd, &r), E_AUTH_REFUSED);
	says("uid");
	end(pid);
	end(root);
	/* And it is its own `run`. */
	caller_done(&c);
	(void)close(take_fd(&fd));
	int own = dial();

	fd = next_connection();
	c = (struct caller)CALLER_INIT;
	assert_ok(identify(fd, &c));
	assert_int_equal(c.role, CALLER_RUN);
	assert_int_equal(c.instance[0], 9);
	(void)close(own);
}

static void test_strangers(void **state)
{
	cleanup_caller struct caller c = CALLER_INIT;
	pid_t run = start_instance(1, NULL), pid = start_stranger(as_nobody);
	cleanup_fd int fd = next_connection();

	(void)state;
	assert_err(identify(fd, &c), E_AUTH_UNKNOWN);
	assert_int_equal(c.role, CALLER_NOBODY);
	says("no instance");
	end(pid);
	end(run);
}

static void as_another(void)
{
	become(12345);
	dial_and_stay();
}

static void deep(void)
{
	become(NOBODY);
	for (unsigned i = 0; i < DEEP; i++)
		if (fork() != 0)
			for (;;)
				(void)pause();
	dial_and_stay();
}

static void in_mount_namespace(void)
{
	must(unshare(CLONE_NEWNS) == 0);
	as_nobody();
}

static void in_cgroup_namespace(void)
{
	must(unshare(CLONE_NEWCGROUP) == 0);
	as_nobody();
}

static void in_pid_namespace(void)
{
	must(unshare(CLONE_NEWPID) == 0);
	if (fork() == 0)
		as_nobody();
	(void)pause();
}

static void in_user_namespace(void)
{
	become(NOBODY);
	must(unshare(CLONE_NEWUSER) == 0);
	dial_and_stay();
}

struct misfit {
	void (*act)(void);
	enum err_code want;
	const char *word;
};

static void does_not_fit(uint8_t id, const struct misfit *m)
{
	pid_t run = start_instance(id, m->act);
	cleanup_caller struct caller c = CALLER_INIT;
	cleanup_fd int fd = next_connection();

	if (fd < 0)
		fail_msg("case %u: nobody came", id);
	assert_code(identify(fd, &c), m->want);
	assert_int_equal(c.role, CALLER_NOBODY);
	says(m->word);
	end(run);
}

/* Processes of an instance that are not what was measured. */
static void test_those_that_do_not_fit(void **state)
{
	static const struct misfit cases[] = {
		{ as_another, E_AUTH_REFUSED, "has uid 12345" },
		{ in_mount_namespace, E_AUTH_REFUSED, "another mnt namespace" },
		{ in_cgroup_namespace, E_AUTH_REFUSED, "another cgroup namespace" },
		{ in_pid_namespace, E_AUTH_REFUSED, "another pid namespace" },
		{ deep, E_LIMIT_DEPTH, "" },
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++)
		does_not_fit((uint8_t)(i + 1), &cases[i]);
}

/* Kernels can be told not to, and in a changed root it is never allowed. */
static bool user_namespaces_allowed(void)
{
	pid_t pid = fork();
	int status = -1;

	must(pid >= 0);
	if (pid == 0) {
		become(NOBODY);
		_exit(unshare(CLONE_NEWUSER) == 0 ? 0 : 1);
	}
	must(waitpid(pid, &status, 0) == pid);
	return status == 0;
}

static void test_user_namespace_where_users_may_make_one(void **state)
{
	static const struct misfit other = { in_user_namespace, E_AUTH_REFUSED, "another user namespace" };

	(void)state;
	if (!user_namespaces_allowed())
		skip();
	does_not_fit(1, &other);
}

static void root_in_pid_namespace(void)
{
	must(unshare(CLONE_NEWPID) == 0);
	if (fork() == 0)
		dial_and_stay();
	(void)pause();
}

/* root of a container: of no instance, and not this host's root. */
static void test_root_of_a_container(void **state)
{
	cleanup_caller struct caller c = CALLER_INIT;
	pid_t pid = start_stranger(root_in_pid_namespace);
	cleanup_fd int fd = next_connection();

	(void)state;
	assert_err(identify(fd, &c), E_AUTH_UNKNOWN);
	end(pid);
}

/* Where cgroups of version 2 are mounted, with a '/' at the end; false where there are none. */
static bool cgroup_folder(char *out, size_t size)
{
	cleanup_file FILE *f = fopen("/proc/self/mounts", "re");
	char line[1024], where[512], type[64];

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "%*s %511s %63s", where, type) == 2 && strcmp(type, "cgroup2") == 0) {
			(void)snprintf(out, size, "%s/assay-test-%d", where, (int)getpid());
			return true;
		}
	return false;
}

static void test_moved_to_another_cgroup(void **state)
{
	char dir[600], file[640], number[16];
	cleanup_caller struct caller c = CALLER_INIT;
	cleanup_fd int fd = -1, to = -1;
	pid_t run;

	(void)state;
	if (!cgroup_folder(dir, sizeof(dir)) || mkdir(dir, 0755) != 0) {
		print_message("# no cgroup of version 2 that can be made\n");
		return;
	}
	run = start_instance(1, as_nobody);
	fd = next_connection();
	assert_ok(identify(fd, &c));
	(void)snprintf(file, sizeof(file), "%s/cgroup.procs", dir);
	(void)snprintf(number, sizeof(number), "%d", (int)c.pid);
	to = open(file, O_WRONLY | O_CLOEXEC);
	assert_int_equal(write(to, number, strlen(number)), strlen(number));
	assert_err(caller_identify(&c, &roster, &why), E_AUTH_REFUSED);
	says("another cgroup than");
	end(run);
	for (unsigned i = 0; rmdir(dir) != 0 && i < 1000; i++)
		(void)poll(NULL, 0, 5);
}

/* ---------------------------------------------------------------- containers */

/* Ready when the other end of this pipe is closed. */
static void await_end(int fd)
{
	char byte;

	must(read(fd, &byte, 1) == 0);
}

static void write_container(uint8_t id, pid_t init)
{
	cleanup_wkey_blob struct wkey_blob key = WKEY_BLOB_INIT;
	char name[] = "c", path[] = "/x";
	struct instance i = { .id = { id }, .agent = "agent", .model = path, .uid = NOBODY,
			      .container = { .id = name, .rootfs = path, .absent = json_array() } };

	must(!failed(buf_add(&key.auth, BYTES_LIT("a"))) && !failed(process_find(init, &i.parent)));
	must(!failed(instance_write(state_fd, &i, &key)));
	json_decref(i.container.absent);
}

/*
 * An instance in a container: the leader of the process group is the runtime, its child the init in namespaces of its
 * own, which does what the test wants when the hook has written it down.
 */
static pid_t start_container(uint8_t id, void (*init)(void))
{
	pid_t runtime = fork(), pid;
	int fds[2];

	if (runtime != 0)
		return remember(runtime);
	must(setpgid(0, 0) == 0 && pipe(fds) == 0 && unshare(CLONE_NEWPID | CLONE_NEWNS) == 0);
	pid = fork();
	must(pid >= 0);
	(void)close(fds[pid == 0 ? 1 : 0]);
	if (pid == 0) {
		await_end(fds[0]);
		must(getpid() == 1);
		init();
		_exit(0);
	}
	write_container(id, pid);
	(void)close(fds[1]);
	for (;;)
		(void)pause();
}

static void idle(void)
{
	(void)pause();
}

/* Below an init that stays. */
static void below(void (*act)(void))
{
	if (fork() == 0) {
		act();
		_exit(0);
	}
	for (;;)
		(void)pause();
}

static void child_of_init(void)
{
	below(as_nobody);
}

static void grandchild_of_init(void)
{
	below(grandchild);
}

static void orphan_in_container(void)
{
	below(orphan);
}

/* The numbers are the host's: a container's own would be 1, 2, 3. */
static void test_processes_of_a_container(void **state)
{
	static void (*const kinds[])(void) = { as_nobody, child_of_init, grandchild_of_init, orphan_in_container };

	(void)state;
	for (size_t i = 0; i < array_len(kinds); i++) {
		pid_t other = start_container(77, idle), runtime = start_container((uint8_t)(i + 1), kinds[i]);
		cleanup_caller struct caller c = CALLER_INIT;
		const struct roster_entry *x;
		cleanup_fd int fd = next_connection();

		assert_ok(identify(fd, &c));
		assert_int_equal(c.role, CALLER_AGENT);
		assert_int_equal(c.instance[0], i + 1);
		x = roster_find(&roster, c.instance);
		assert_true(x->container);
		assert_true(x->run > runtime);
		assert_true(i == 0 ? c.pid == x->run : c.pid > x->run);
		end(runtime);
		end(other);
		(void)remove_tree("instances");
	}
}

static void as_container_root(void)
{
	dial_and_stay();
}

static void nested_container(void)
{
	below(in_pid_namespace);
}

static void nested_mounts(void)
{
	below(in_mount_namespace);
}

static void nested_cgroups(void)
{
	below(in_cgroup_namespace);
}

static void other_user_in_container(void)
{
	below(as_another);
}

/* Not what was measured; and root of a container is not this host's root. */
static void test_those_that_do_not_fit_a_container(void **state)
{
	static const struct misfit cases[] = {
		{ as_container_root, E_AUTH_REFUSED, "has uid 0" },
		{ other_user_in_container, E_AUTH_REFUSED, "has uid 12345" },
		{ nested_container, E_AUTH_REFUSED, "another pid namespace" },
		{ nested_mounts, E_AUTH_REFUSED, "another mnt namespace" },
		{ nested_cgroups, E_AUTH_REFUSED, "another cgroup namespace" },
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		pid_t runtime = start_container((uint8_t)(i + 1), cases[i].act);
		cleanup_caller struct caller c = CALLER_INIT;
		cleanup_fd int fd = next_connection();

		assert_code(identify(fd, &c), cases[i].want);
		assert_int_equal(c.role, CALLER_NOBODY);
		says(cases[i].word);
		end(runtime);
	}
}

static int target; /* pidfd of the init that is entered */

static void enter_from_outside(void)
{
	must(setns(target, CLONE_NEWPID | CLONE_NEWNS) == 0 && chdir(folder) == 0);
	if (fork() == 0)
		as_nobody();
	for (;;)
		(void)pause();
}

static void enter_as_root(void)
{
	must(setns(target, CLONE_NEWNS) == 0 && chdir(folder) == 0);
	must(chroot("/proc") == 0); /* any other root than the host's: this container has no file system of its own */
	dial_and_stay();
}

/* As `exec` of a runtime and nsenter(1) do it: all that a member of the container has, but not below its init. */
static void test_entered_from_outside(void **state)
{
	static void (*const kinds[])(void) = { enter_from_outside, enter_as_root };

	(void)state;
	for (size_t i = 0; i < array_len(kinds); i++) {
		pid_t runtime = start_container((uint8_t)(i + 1), as_nobody), entered;
		cleanup_caller struct caller init = CALLER_INIT, c = CALLER_INIT;
		cleanup_fd int fd = next_connection(), second = -1;

		assert_ok(identify(fd, &init));
		target = init.pidfd;
		entered = start_stranger(kinds[i]);
		second = next_connection();
		assert_err(identify(second, &c), E_AUTH_REFUSED);
		says("from outside");
		end(entered);
		end(runtime);
	}
}

static void in_another_root(void)
{
	must(chroot(".") == 0);
	dial_and_stay();
}

/* Of a container that has the host's pid namespace, when it has left its init. */
static void test_root_with_another_root_folder(void **state)
{
	cleanup_caller struct caller c = CALLER_INIT;
	pid_t pid = start_stranger(in_another_root);
	cleanup_fd int fd = next_connection();

	(void)state;
	assert_err(identify(fd, &c), E_AUTH_UNKNOWN);
	assert_int_equal(c.role, CALLER_NOBODY);
	end(pid);
}

static int answers[2]; /* the test tells a container when to go on */

static void send_from_container(void)
{
	int fd;

	become(NOBODY);
	fd = dial();
	must(send(fd, "own", 3, 0) == 3);
	if (fork() == 0) {
		char byte;

		must(read(answers[0], &byte, 1) == 1 && send(fd, "child", 5, 0) == 5);
		_exit(0);
	}
	for (;;)
		(void)pause();
}

/* What comes over its connection, in the host's numbers: from the one who made it, or from another one. */
static void test_packets_from_a_container(void **state)
{
	cleanup_buf struct buf b = BUF_INIT(REQUEST_MAX);
	cleanup_caller struct caller c = CALLER_INIT;
	struct pollfd p = { .events = POLLIN };
	pid_t runtime;
	int fd;

	(void)state;
	assert_int_equal(pipe2(answers, O_CLOEXEC), 0);
	runtime = start_container(1, send_from_container);
	fd = p.fd = next_connection();
	assert_ok(identify(fd, &c));
	assert_int_equal(poll(&p, 1, 30000), 1);
	assert_ok(caller_receive(&c, fd, &b, &why));
	assert_bytes(buf_bytes(&b), BYTES_LIT("own"));
	buf_clear(&b);
	assert_int_equal(write(answers[1], "x", 1), 1);
	assert_int_equal(poll(&p, 1, 30000), 1);
	assert_err(caller_receive(&c, fd, &b, &why), E_AUTH_REFUSED);
	says("speaks for who made it");
	end(runtime);
	(void)close(fd);
	(void)close(answers[0]);
	(void)close(answers[1]);
}

/* ---------------------------------------------------------------- ends */

/* A folder that was read long after its last change need not be read again, but for this. */
static void test_end_that_changes_no_folder(void **state)
{
	static const struct timespec old[2] = { { .tv_sec = 1000000000 }, { .tv_sec = 1000000000 } };
	pid_t run = start_container(1, as_nobody);
	cleanup_fd int fd = next_connection();
	unsigned reading;

	(void)state;
	assert_true(fd >= 0); /* its instance is written down */
	assert_int_equal(utimensat(AT_FDCWD, "instances", old, 0), 0);
	assert_ok(roster_refresh(&roster));
	assert_int_equal(roster.n, 1);
	reading = roster.reading;
	assert_ok(roster_refresh(&roster));
	assert_int_equal(roster.reading, reading);
	assert_false(roster.abandoned);
	end(run);
	while (pidfd_alive(roster.entry[0].pidfd))
		(void)poll(NULL, 0, 1);
	assert_ok(roster_refresh(&roster));
	assert_int_equal(roster.n, 0);
	assert_true(roster.abandoned);
}

/* Ended, and its parent has not looked yet. */
static void test_zombie(void **state)
{
	struct process_id p;
	siginfo_t info;
	pid_t pid = start_stranger(dial_and_stay);

	(void)state;
	assert_ok(process_find(pid, &p));
	assert_true(process_alive(&p));
	(void)kill(pid, SIGKILL);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	assert_false(process_alive(&p));
	end(pid);
	assert_err(process_find(pid, &p), E_LOCAL_NOT_FOUND);
}

/* ---------------------------------------------------------------- numbers that are used again */

/* A child with this very number. */
static pid_t fork_as(pid_t number, void (*act)(void))
{
	struct clone_args a = { .exit_signal = SIGCHLD, .set_tid = (uint64_t)(uintptr_t)&number, .set_tid_size = 1 };
	long pid = syscall(SYS_clone3, &a, sizeof(a));

	if (pid == 0) {
		must(setpgid(0, 0) == 0);
		act();
		_exit(0);
	}
	return remember((pid_t)pid);
}

static void dial_and_end(void)
{
	become(NOBODY);
	(void)dial();
}

/* Pinned while it lived; it ends, and another instance's process gets its number: nobody speaks for it any more. */
static void test_number_used_again_after_the_look(void **state)
{
	pid_t run = start_instance(1, as_nobody), again;
	cleanup_caller struct caller c = CALLER_INIT;
	cleanup_fd int fd = next_connection();

	(void)state;
	assert_ok(identify(fd, &c));
	assert_int_equal(kill(c.pid, SIGKILL), 0);
	end(run);
	while (pidfd_alive(c.pidfd) || kill(c.pid, 0) == 0)
		(void)poll(NULL, 0, 1);
	again = fork_as(c.pid, as_nobody);
	assert_int_equal(again, c.pid);
	assert_err(caller_identify(&c, &roster, &why), E_AUTH_UNKNOWN);
	says("has ended");
	end(again);
}

/* The number of a `run` that has ended belongs to another process: what is below that is no instance. */
static void test_number_of_a_run_used_again(void **state)
{
	pid_t run = start_instance(1, NULL), again;
	char file[64];

	(void)state;
	(void)snprintf(file, sizeof(file), "instances/01000000000000000000000000000000/instance.json");
	for (unsigned i = 0; access(file, F_OK) != 0 && i < 30000; i++)
		(void)poll(NULL, 0, 1);
	/* Clock ticks are coarse, and the start time is what tells the two apart. */
	(void)poll(NULL, 0, 50);
	end(run);
	again = fork_as(run, grandchild);
	assert_int_equal(again, run);
	cleanup_fd int fd = next_connection();
	cleanup_caller struct caller c = CALLER_INIT;

	assert_err(identify(fd, &c), E_AUTH_UNKNOWN);
	assert_true(roster.abandoned);
	assert_int_equal(roster.n, 0);
	end(again);
}

static void test_caller_that_has_ended(void **state)
{
	pid_t pid = start_stranger(dial_and_end);
	cleanup_caller struct caller c = CALLER_INIT;
	cleanup_fd int fd = -1;

	(void)state;
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	forget(pid);
	fd = next_connection();
	assert_err(identify(fd, &c), E_AUTH_UNKNOWN);
	says("has ended");
}

/* ---------------------------------------------------------------- packets */

static int pair[2]; /* a connection from the test to itself: it is its own caller */
static struct caller self;

static void connect_self(void)
{
	pair[0] = dial();
	pair[1] = next_connection();
	self = (struct caller)CALLER_INIT;
	assert_ok(caller_pin(pair[1], &self, &why));
}

static void disconnect_self(void)
{
	caller_done(&self);
	(void)close(pair[0]);
	(void)close(pair[1]);
}

static struct err receive(struct buf *ret)
{
	struct pollfd p = { .fd = pair[1], .events = POLLIN };

	assert_int_equal(poll(&p, 1, 30000), 1);
	return caller_receive(&self, pair[1], ret, &why);
}

static void test_packets(void **state)
{
	cleanup_free uint8_t *big = calloc(1, REQUEST_MAX + 1);
	cleanup_buf struct buf b = BUF_INIT(REQUEST_MAX);

	(void)state;
	connect_self();
	assert_int_equal(send(pair[0], "hello", 5, 0), 5);
	assert_ok(receive(&b));
	assert_bytes(buf_bytes(&b), BYTES_LIT("hello"));
	buf_clear(&b);
	assert_int_equal(send(pair[0], big, REQUEST_MAX, 0), REQUEST_MAX);
	assert_ok(receive(&b));
	assert_int_equal(b.n, REQUEST_MAX);
	buf_clear(&b);
	assert_int_equal(send(pair[0], big, REQUEST_MAX + 1, 0), REQUEST_MAX + 1);
	assert_err(receive(&b), E_LIMIT_SIZE);
	assert_int_equal(b.n, 0);
	(void)shutdown(pair[0], SHUT_RDWR);
	assert_err(receive(&b), E_LOCAL_NETWORK);
	disconnect_self();
}

static size_t n_descriptors(void)
{
	size_t n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* Descriptors that are pressed upon us stay away. */
static void test_packet_with_descriptors(void **state)
{
	cleanup_buf struct buf b = BUF_INIT(REQUEST_MAX);
	struct iovec text = { (void *)(uintptr_t)"{}", 2 };
	union {
		struct cmsghdr h;
		uint8_t room[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct msghdr m = { .msg_iov = &text, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
	size_t before;

	(void)state;
	connect_self();
	control.h = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
	memcpy(CMSG_DATA(&control.h), &listen_fd, sizeof(int));
	before = n_descriptors();
	assert_int_equal(sendmsg(pair[0], &m, 0), 2);
	assert_err(receive(&b), E_AUTH_REFUSED);
	says("descriptors");
	assert_int_equal(n_descriptors(), before);
	disconnect_self();
}

static void send_on_pair(void)
{
	(void)send(pair[0], "x", 1, 0);
}

static void send_on_pair_as_nobody(void)
{
	become(NOBODY);
	send_on_pair();
}

/* The connection is the test's; a child has it too. */
static void test_packet_of_another_process(void **state)
{
	static void (*const senders[])(void) = { send_on_pair, send_on_pair_as_nobody };
	cleanup_buf struct buf b = BUF_INIT(REQUEST_MAX);

	(void)state;
	connect_self();
	for (size_t i = 0; i < array_len(senders); i++) {
		pid_t pid = start_stranger(senders[i]);

		assert_err(receive(&b), E_AUTH_REFUSED);
		says("speaks for who made it");
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		forget(pid);
	}
	disconnect_self();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, enter, leave)
		TEST(test_processes_of_an_instance), TEST(test_run_and_root), TEST(test_strangers),
		TEST(test_those_that_do_not_fit), TEST(test_root_of_a_container), TEST(test_moved_to_another_cgroup),
		TEST(test_user_namespace_where_users_may_make_one),
		TEST(test_number_used_again_after_the_look), TEST(test_number_of_a_run_used_again),
		TEST(test_caller_that_has_ended), TEST(test_packets), TEST(test_packet_with_descriptors),
		TEST(test_packet_of_another_process), TEST(test_processes_of_a_container),
		TEST(test_those_that_do_not_fit_a_container), TEST(test_entered_from_outside),
		TEST(test_root_with_another_root_folder), TEST(test_packets_from_a_container),
		TEST(test_end_that_changes_no_folder), TEST(test_zombie),
	};

	if (geteuid() != 0) {
		(void)printf("1..0 # SKIP needs root: it makes processes of several users\n");
		return 0;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
