/* SPDX-License-Identifier: Apache-2.0 */
/* attest/daemon: which containers are ended, and when. Each is a process of the test that would rather stay. */
#include "folder.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include "attest/daemon/daemon.h"
#include "base/file.h"

static struct daemon *d;
static struct conf conf;
static struct host host = HOST_INIT;
static pid_t processes[LIMIT_INSTANCES];
static size_t n_processes;

/* A daemon that begins nothing by itself: no watchers, no attestations. */
static int enter(void **state)
{
	if (folder_enter(state) != 0)
		return -1;
	d = calloc(1, sizeof(*d));
	if (d == NULL)
		return -1;
	conf = (struct conf){ .grace_s = 0 };
	host.state_fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	host.conf = &conf;
	*d = (struct daemon){ .host = &host, .listen_fd = -1, .signal_fd = -1, .attest = JOB_INIT, .stopping = true };
	roster_init(host.state_fd, &d->roster);
	n_processes = 0;
	return 0;
}

static int leave(void **state)
{
	containers_done(&d->containers);
	roster_done(&d->roster);
	free(d);
	(void)close(host.state_fd);
	host.state_fd = -1;
	while (n_processes > 0) {
		(void)kill(processes[--n_processes], SIGKILL);
		(void)waitpid(processes[n_processes], NULL, 0);
	}
	return folder_leave(state);
}

/* Takes no SIGTERM. It has set that when it is there. */
static pid_t start_process(void)
{
	int fds[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)signal(SIGTERM, SIG_IGN);
		(void)close(fds[1]);
		(void)close(fds[0]);
		for (;;)
			(void)pause();
	}
	processes[n_processes++] = pid;
	(void)close(fds[1]);
	assert_int_equal(read(fds[0], &byte, 1), 0);
	(void)close(fds[0]);
	return pid;
}

static void write_instance(uint8_t id, pid_t init, char *root)
{
	cleanup_wkey_blob struct wkey_blob key = WKEY_BLOB_INIT;
	char name[] = "box", model[] = "/m";
	struct instance i = { .id = { id }, .agent = "agent", .model = model,
			      .container = { .id = name, .rootfs = root, .absent = json_array() } };

	assert_ok(process_find(init, &i.parent));
	assert_ok(buf_add(&key.auth, BYTES_LIT("a")));
	assert_ok(instance_write(host.state_fd, &i, &key));
	json_decref(i.container.absent);
}

static struct container *add(uint8_t number)
{
	const uint8_t id[INSTANCE_ID_LEN] = { number };
	char root[] = "/r";
	struct container *c;

	write_instance(number, start_process(), root);
	assert_ok(roster_refresh(&d->roster));
	containers_tick(d);
	c = containers_find(&d->containers, id);
	assert_non_null(c);
	return c;
}

static bool is_dead(const struct container *c)
{
	struct pollfd p = { .fd = c->pidfd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

static void await_death(const struct container *c)
{
	struct pollfd p = { .fd = c->pidfd, .events = POLLIN };

	assert_int_equal(poll(&p, 1, 30000), 1);
}

/* Not one that may have come after the evidence; not one that is accepted; the others. */
static void whom_a_verdict_ends(void **state)
{
	struct outcome *o = calloc(1, sizeof(*o));
	struct container *a = add(1), *b = add(2);

	(void)state;
	o->kind = OUTCOME_REFUSED;
	o->n_accepted = 1;
	o->accepted[0][0] = 2;
	containers_judge(d, o, a->since_ms);
	assert_false(a->ending || b->ending);
	containers_judge(d, o, b->since_ms + 1);
	assert_true(a->ending);
	assert_false(b->ending);
	containers_tick(d);
	await_death(a);
	assert_false(is_dead(b));
	containers_tick(d);
	assert_int_equal(d->containers.n, 1);
	assert_ptr_equal(d->containers.v[0], b);
	o->n_accepted = 0;
	containers_judge(d, o, b->since_ms + 1);
	assert_true(b->ending);
	free(o);
}

static void time_between_the_signals(void **state)
{
	struct outcome *o = calloc(1, sizeof(*o));
	struct container *c = add(1);

	(void)state;
	conf.grace_s = 3600;
	containers_judge(d, o, c->since_ms + 1);
	containers_tick(d);
	assert_false(is_dead(c));
	assert_true(containers_next_ms(&d->containers) > clock_boottime_ms() + 3000000);
	/* A second verdict gives it no more time, and no less. */
	conf.grace_s = 0;
	containers_judge(d, o, c->since_ms + 1);
	assert_true(c->kill_at_ms > clock_boottime_ms() + 3000000);
	c->kill_at_ms = 0;
	containers_tick(d);
	await_death(c);
	free(o);
}

/* One whose folder somebody has removed has lost its start in the log. */
static void an_instance_that_is_gone(void **state)
{
	struct container *c = add(1);
	const uint8_t *id = c->id;

	(void)state;
	assert_ok(instance_remove(host.state_fd, id));
	assert_ok(roster_refresh(&d->roster));
	containers_tick(d);
	assert_true(c->ending);
	await_death(c);
	containers_tick(d);
	assert_int_equal(d->containers.n, 0);
}

/* However many and long they are, a status fits into a packet. */
static void a_status_has_an_end(void **state)
{
	cleanup_buf struct buf b = BUF_INIT(REQUEST_MAX);
	json_t *o = json_object();
	pid_t pid = start_process();
	char root[4000];
	size_t n;

	(void)state;
	memset(root, '"', sizeof(root) - 1);
	root[0] = '/';
	root[sizeof(root) - 1] = '\0';
	for (unsigned i = 0; i < 40; i++)
		write_instance((uint8_t)(i + 1), pid, root);
	assert_ok(roster_refresh(&d->roster));
	containers_tick(d);
	assert_int_equal(d->containers.n, 40);
	assert_ok(containers_put(&d->containers, o));
	n = json_array_size(json_object_get(o, "containers"));
	assert_true(n > 0 && n < 40);
	assert_ok(reply_ok(o, &b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, enter, leave)
		TEST(whom_a_verdict_ends), TEST(time_between_the_signals), TEST(an_instance_that_is_gone),
		TEST(a_status_has_an_end),
	};

	return cmocka_run_group_tests_name("daemon-container", tests, NULL, NULL);
}
