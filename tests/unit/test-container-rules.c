/* SPDX-License-Identifier: Apache-2.0 */
/* Rules for containers: the file, who may change it, its entries and their digests. */
#include "container.h"

#include "attest/container/rules.h"
#include "folder.h"

static struct reason why;

static struct err parse(const json_t *j, const char *agent, struct container_rules *ret)
{
	cleanup_buf struct buf text = { 0 };

	why.text[0] = '\0';
	return container_rules_parse(container_text(j, &text), agent, ret, &why);
}

static void test_entries(void **state)
{
	cleanup_json json_t *j = container_fixture("rules.json");
	cleanup_container_rules struct container_rules a = { 0 }, b = { 0 }, c = { 0 };

	(void)state;
	assert_ok(parse(j, "agent-a", &a));
	assert_string_equal(a.agent, "agent-a");
	assert_string_equal(a.model, "/srv/models/m1");
	assert_true(bytes_all(BYTES_ARR(a.image.manifest), 0x11));
	assert_true(bytes_all(BYTES_ARR(a.image.config), 0x22));
	assert_true(bytes_all(BYTES_ARR(a.rootfs), 0x33));
	assert_int_equal(json_array_size(a.absent), 9);
	assert_false(a.allow_devices || a.verdict_before);
	assert_int_equal(json_array_size(a.args), 2);
	assert_int_equal(a.uid, 1000);
	assert_int_equal(a.gid, 1000);
	assert_string_equal(a.cwd, "/");
	assert_int_equal(a.seccomp, CONTAINER_SECCOMP_REQUIRED);
	assert_null(a.socket);
	assert_null(a.state_dir);
	assert_null(a.program);
	assert_ok(parse(j, "agent-b", &b));
	assert_true(b.allow_devices && b.verdict_before);
	assert_string_equal(b.cwd, "/work");
	assert_int_equal(json_array_size(b.absent), 0);
	assert_non_null(b.absent);
	assert_null(b.args);
	assert_int_equal(b.seccomp, CONTAINER_SECCOMP_ANY);
	assert_memory_not_equal(a.digest, b.digest, 32);
	assert_err(parse(j, "agent-c", &c), E_LOCAL_NOT_FOUND);
	assert_non_null(strstr(why.text, "agent-c"));
}

/* Python's json.dumps(entry, sort_keys=True, separators=(",", ":")), SHA-256. */
static void test_digest(void **state)
{
	cleanup_json json_t *j = container_fixture("rules.json"), *other = NULL;
	cleanup_container_rules struct container_rules a = { 0 }, b = { 0 };

	(void)state;
	assert_ok(parse(j, "agent-a", &a));
	assert_hex(a.digest, "987873e046cce849acbda7ecf09138daa8eda7a99b9121e64e4d4115efdd108f");
	other = json_deep_copy(j);
	container_edit(other, "containers/1/cwd", "\"/\"");
	assert_ok(parse(other, "agent-a", &b));
	assert_memory_equal(a.digest, b.digest, 32);
	container_rules_done(&b);
	container_edit(other, "containers/0/verdict", "\"after\"");
	assert_ok(parse(other, "agent-a", &b));
	assert_memory_not_equal(a.digest, b.digest, 32);
}

#define SHA "\"1111111111111111111111111111111111111111111111111111111111111111\""

static void test_members(void **state)
{
	static const struct {
		const char *path, *value;
	} more[] = {
		{ "containers/0/seccomp", SHA },
		{ "containers/0/namespaces", "{\"network\":\"host\",\"ipc\":\"/run/x\",\"uts\":\"new\",\"cgroup\":\"new\"}" },
		{ "containers/0/devices", "[{\"path\":\"/dev/accel0\",\"major\":261,\"minor\":0}]" },
		{ "containers/0/devices/+", "{\"path\":\"/dev/net/tun\",\"major\":10,\"minor\":200}" },
		{ "containers/0/hooks", "[\"/usr/bin/toolkit\"]" },
		{ "containers/0/sysctl", "{\"net.core.somaxconn\":\"1\",\"net.ipv4.x\":null}" },
		{ "containers/0/annotations", "{\"run.oci.handler\":null}" },
		{ "containers/0/apparmor", "\"agents\"" },
		{ "containers/0/unmasked", "[\"/proc/kcore\"]" },
		{ "containers/0/runtime_folders", "[\"/opt/storage\"]" },
		{ "containers/0/capabilities", "[\"CAP_KILL\"]" },
		{ "containers/0/mounts/+", "{\"destination\":\"/s\",\"type\":\"tmpfs\",\"options\":[\"exec\"]}" },
		{ "containers/0/mounts/+", "{\"destination\":\"/d\",\"source\":\"/d\",\"writable\":true}" },
		{ "containers/0/env/A", "null" },
	};
	cleanup_json json_t *j = container_fixture("rules.json");
	cleanup_container_rules struct container_rules r = { 0 };

	(void)state;
	for (size_t i = 0; i < array_len(more); i++)
		container_edit(j, more[i].path, more[i].value);
	if (failed(parse(j, "agent-a", &r)))
		fail_msg("%s", why.text);
	assert_int_equal(r.seccomp, CONTAINER_SECCOMP_EXACT);
	assert_true(bytes_all(BYTES_ARR(r.seccomp_digest), 0x11));
	assert_string_equal(r.apparmor, "agents");
	assert_non_null(r.runtime_folders);
	assert_non_null(r.unmasked);
}

static const struct {
	const char *path, *value;
	enum err_code code;
	const char *why;
} refused[] = {
	{ "version", "2", E_PEER_UNSUPPORTED, "version 2" },
	{ "version", NULL, E_PEER_MISSING, "version" },
	{ "container", "[]", E_PEER_UNKNOWN_KEY, "container" },
	{ "containers", "{}", E_PEER_TYPE, "containers" },
	{ "containers/1/agent", "\"agent-a\"", E_PEER_DUPLICATE, "containers[1] (agent agent-a): a second entry" },
	/* Of another agent, and still refused. */
	{ "containers/1/model", NULL, E_PEER_MISSING, "containers[1] (agent agent-b)" },
	{ "containers/0/agent", "\"a b\"", E_PEER_RANGE, "agent" },
	{ "containers/0/x", "1", E_PEER_UNKNOWN_KEY, "x" },
	{ "containers/0/image", NULL, E_PEER_MISSING, "image" },
	{ "containers/0/image/rootfs", NULL, E_PEER_MISSING, "image.rootfs" },
	{ "containers/0/image/rootfs", "\"11\"", E_PEER_RANGE, "image.rootfs" },
	{ "containers/0/image/x", "1", E_PEER_UNKNOWN_KEY, "image.x" },
	{ "containers/0/absent", NULL, E_PEER_MISSING, "absent" },
	{ "containers/0/absent/+", "\"dev\"", E_PEER_RANGE, "absent" },
	{ "containers/0/absent/+", "\"/a/../b\"", E_PEER_RANGE, "absent" },
	{ "containers/0/model", "\"m\"", E_PEER_RANGE, "model" },
	{ "containers/0/user", NULL, E_PEER_MISSING, "user" },
	{ "containers/0/user/uid", "0", E_PEER_RANGE, "user.uid" },
	{ "containers/0/user/x", "0", E_PEER_UNKNOWN_KEY, "user.x" },
	{ "containers/0/user/additional_gids", "[\"a\"]", E_PEER_RANGE, "additional_gids" },
	{ "containers/0/args", "[\"/bin/agent\"]", E_PEER_RANGE, "args" },
	{ "containers/0/args", "[[]]", E_PEER_RANGE, "args" },
	{ "containers/0/args", "[[1]]", E_PEER_RANGE, "args" },
	{ "containers/0/env/A", "1", E_PEER_RANGE, "env" },
	{ "containers/0/env/A=B", "\"\"", E_PEER_RANGE, "env" },
	{ "containers/0/env", "[]", E_PEER_TYPE, "env" },
	{ "containers/0/env/A", "\"\\u00e9\"", E_PEER_RANGE, "ASCII" },
	{ "containers/0/env/A", "\"a\\nb\"", E_PEER_RANGE, "ASCII" },
	{ "containers/0/env/\xc3\xa9", "\"a\"", E_PEER_RANGE, "ASCII" },
	{ "containers/0/cwd", "\"work\"", E_PEER_RANGE, "cwd" },
	{ "containers/0/verdict", "\"never\"", E_PEER_RANGE, "verdict" },
	{ "containers/0/seccomp", "\"none\"", E_PEER_RANGE, "seccomp" },
	{ "containers/0/capabilities", "[\"KILL\"]", E_PEER_RANGE, "capabilities" },
	{ "containers/0/namespaces", "{\"pid\":\"host\"}", E_PEER_RANGE, "namespaces" },
	{ "containers/0/namespaces", "{\"mount\":\"/x\"}", E_PEER_RANGE, "namespaces" },
	{ "containers/0/namespaces", "{\"user\":\"new\"}", E_PEER_RANGE, "namespaces" },
	{ "containers/0/namespaces", "{\"ipc\":\"any\"}", E_PEER_RANGE, "namespaces" },
	{ "containers/0/namespaces", "{\"ipc\":null}", E_PEER_RANGE, "namespaces" },
	{ "containers/0/devices", "[{\"path\":\"/dev/tpmrm0\",\"major\":253,\"minor\":65536}]", E_PEER_RANGE, "TPM" },
	{ "containers/0/devices", "[{\"path\":\"/dev/x\",\"major\":10,\"minor\":224}]", E_PEER_RANGE, "TPM" },
	{ "containers/0/devices", "[{\"path\":\"/srv/x\",\"major\":1,\"minor\":2}]", E_PEER_RANGE, "/dev" },
	{ "containers/0/devices", "[{\"path\":\"/dev/x\",\"major\":1}]", E_PEER_MISSING, "minor" },
	{ "containers/0/devices", "[{\"path\":\"/dev/x\",\"major\":1,\"minor\":2,\"type\":\"c\"}]", E_PEER_UNKNOWN_KEY, "type" },
	{ "containers/0/hooks", "[\"toolkit\"]", E_PEER_RANGE, "hooks" },
	{ "containers/0/mounts/0/destination", "\"/\"", E_PEER_RANGE, "destination" },
	{ "containers/0/mounts/0/destination", "\"/a/\"", E_PEER_RANGE, "destination" },
	{ "containers/0/mounts/0/source", NULL, E_PEER_MISSING, "source" },
	{ "containers/0/mounts/0/source", "\"m\"", E_PEER_RANGE, "source" },
	{ "containers/0/mounts/0/type", "\"overlay\"", E_PEER_RANGE, "type" },
	{ "containers/0/mounts/0/type", "\"tmpfs\"", E_PEER_UNKNOWN_KEY, "source" },
	{ "containers/0/mounts/0/readonly", "true", E_PEER_UNKNOWN_KEY, "readonly" },
	{ "containers/0/mounts/0/options", "[1]", E_PEER_RANGE, "options" },
};

static void test_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(refused); i++) {
		cleanup_json json_t *j = container_fixture("rules.json");
		struct container_rules r = { 0 };

		container_edit(j, refused[i].path, refused[i].value);
		assert_code(parse(j, "agent-a", &r), refused[i].code);
		if (strstr(why.text, refused[i].why) == NULL)
			fail_msg("%s: \"%s\" expected in \"%s\"", refused[i].path, refused[i].why, why.text);
		assert_null(r.json);
	}
}

static void test_many_variables(void **state)
{
	cleanup_json json_t *j = container_fixture("rules.json");
	json_t *env = json_object_get(json_array_get(json_object_get(j, "containers"), 0), "env");
	struct container_rules r = { 0 };
	char name[32];

	(void)state;
	while (json_object_size(env) < 1024) {
		(void)snprintf(name, sizeof(name), "A%zu", json_object_size(env));
		assert_int_equal(json_object_set_new(env, name, json_null()), 0);
	}
	assert_ok(parse(j, "agent-a", &r));
	container_rules_done(&r);
	assert_int_equal(json_object_set_new(env, "B", json_null()), 0);
	assert_err(parse(j, "agent-a", &r), E_PEER_RANGE);
	assert_non_null(strstr(why.text, "env: too many"));
}

static struct err load(const char *path, struct container_rules *ret)
{
	why.text[0] = '\0';
	return container_rules_load(path, "agent-a", ret, &why);
}

/* Whoever can change the file decides what containers may do. */
static void test_file(void **state)
{
	cleanup_json json_t *j = container_fixture("rules.json");
	cleanup_container_rules struct container_rules r = { 0 }, none = { 0 };
	cleanup_buf struct buf text = { 0 };
	struct bytes b = container_text(j, &text);

	(void)state;
	assert_err(load("rules.json", &none), E_LOCAL_NOT_FOUND);
	put("rules.json", (const char *)b.p, b.n);
	assert_ok(load("rules.json", &r));
	assert_string_equal(r.agent, "agent-a");
	assert_int_equal(chmod("rules.json", 0660), 0);
	assert_err(load("rules.json", &none), E_LOCAL_PERMISSION);
	assert_non_null(strstr(why.text, "nobody else"));
	assert_int_equal(chmod("rules.json", 0602), 0);
	assert_err(load("rules.json", &none), E_LOCAL_PERMISSION);
	assert_int_equal(chmod("rules.json", 0644), 0);
	assert_int_equal(chmod(".", 0770), 0);
	assert_err(load("rules.json", &none), E_LOCAL_PERMISSION);
	assert_int_equal(chmod(".", 0703), 0);
	assert_err(load("rules.json", &none), E_LOCAL_PERMISSION);
	assert_int_equal(chmod(".", 0755), 0);
	assert_int_equal(symlink("rules.json", "link"), 0);
	assert_true(failed(load("link", &none)));
	put_text("rules.json", "{}");
	assert_err(load("rules.json", &none), E_LOCAL_CONFIG);
	assert_non_null(strstr(why.text, "rules.json"));
	assert_null(none.json);
}

/* Only root can give a file away. */
static void test_foreign_owner(void **state)
{
	struct container_rules none = { 0 };

	(void)state;
	if (geteuid() != 0) {
		print_message("not root: no file of another owner can be made\n");
		skip();
	}
	put_text("rules.json", "{}");
	assert_int_equal(chown("rules.json", 65534, 65534), 0);
	assert_err(load("rules.json", &none), E_LOCAL_PERMISSION);
	assert_int_equal(chown("rules.json", 0, 0), 0);
	assert_int_equal(chown(".", 65534, 65534), 0);
	assert_err(load("rules.json", &none), E_LOCAL_PERMISSION);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_entries),
		cmocka_unit_test(test_digest),
		cmocka_unit_test(test_members),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_many_variables),
		cmocka_unit_test_setup_teardown(test_file, folder_enter, folder_leave),
		cmocka_unit_test_setup_teardown(test_foreign_owner, folder_enter, folder_leave),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
