/* SPDX-License-Identifier: Apache-2.0 */
/* Reading config.json: what is taken, and what is refused before any rule is asked. */
#include "container.h"

#include "attest/container/config.h"

static struct reason why;

static struct err parse(const json_t *j, struct container_config *ret)
{
	cleanup_buf struct buf text = { 0 };

	why.text[0] = '\0';
	return container_config_parse(container_text(j, &text), ret, &why);
}

static void test_engines(void **state)
{
	static const char *const names[] = { "podman-runc.json", "podman-crun.json", "runc-spec.json" };

	(void)state;
	for (size_t i = 0; i < array_len(names); i++) {
		cleanup_container_config struct container_config c = { 0 };
		cleanup_json json_t *j = container_fixture(names[i]);

		assert_ok(parse(j, &c));
		assert_int_equal(c.uid, 1000);
		assert_int_equal(c.gid, 1000);
		assert_int_equal(c.n_args, 2);
		assert_string_equal(c.args[0], "/bin/agent");
		assert_string_equal(c.args[1], "serve");
		assert_null(c.args[2]);
		assert_string_equal(c.cwd, "/");
		assert_string_equal(c.agent, "agent-a");
		assert_true(c.root_readonly && c.no_new_privileges);
		assert_non_null(c.root);
		assert_true(json_array_size(c.mounts) > 7 && json_array_size(c.namespaces) == 5);
		assert_non_null(c.device_rules);
		assert_null(c.id);
		assert_int_equal(c.seccomp == NULL, i == 2);
	}
}

static const struct {
	const char *path, *value;
	enum err_code code;
	const char *why;
} refused[] = {
	/* Unknown members, and known ones in letters that runc's decoder takes. */
	{ "vm", "{}", E_PEER_UNKNOWN_KEY, "vm" },
	{ "Mounts", "[]", E_PEER_UNKNOWN_KEY, "Mounts" },
	{ "Process", "{}", E_PEER_UNKNOWN_KEY, "Process" },
	{ "windows", "{}", E_PEER_UNKNOWN_KEY, "windows" },
	{ "process/Args", "[]", E_PEER_UNKNOWN_KEY, "process.Args" },
	{ "process/commandLine", "\"x\"", E_PEER_UNKNOWN_KEY, "process.commandLine" },
	{ "process/user/username", "\"root\"", E_PEER_UNKNOWN_KEY, "process.user.username" },
	{ "process/capabilities/Bounding", "[]", E_PEER_UNKNOWN_KEY, "process.capabilities.Bounding" },
	{ "root/type", "\"x\"", E_PEER_UNKNOWN_KEY, "root.type" },
	{ "linux/netDevices", "{}", E_PEER_UNKNOWN_KEY, "linux.netDevices" },
	{ "linux/intelRdt", "{}", E_PEER_UNKNOWN_KEY, "linux.intelRdt" },
	{ "linux/timeOffsets", "{}", E_PEER_UNKNOWN_KEY, "linux.timeOffsets" },
	{ "linux/resources/disableOOMKiller", "true", E_PEER_UNKNOWN_KEY, "linux.resources.disableOOMKiller" },
	{ "linux/resources/devices/0/x", "1", E_PEER_UNKNOWN_KEY, "linux.resources.devices[0].x" },
	{ "linux/namespaces/0/Path", "\"/x\"", E_PEER_UNKNOWN_KEY, "linux.namespaces[0].Path" },
	{ "linux/devices", "[{\"x\":1}]", E_PEER_UNKNOWN_KEY, "linux.devices[0].x" },
	{ "linux/seccomp/ListenerPath", "\"/x\"", E_PEER_UNKNOWN_KEY, "linux.seccomp.ListenerPath" },
	{ "linux/seccomp/syscalls/0/x", "1", E_PEER_UNKNOWN_KEY, "linux.seccomp.syscalls[0].x" },
	{ "mounts/0/Source", "\"/\"", E_PEER_UNKNOWN_KEY, "mounts[0].Source" },
	{ "hooks/createRuntim", "[]", E_PEER_UNKNOWN_KEY, "hooks.createRuntim" },
	{ "hooks/createRuntime", "[{\"Path\":\"/x\"}]", E_PEER_UNKNOWN_KEY, "createRuntime[0].Path" },
	/* Missing. */
	{ "ociVersion", NULL, E_PEER_MISSING, "ociVersion" },
	{ "process", NULL, E_PEER_MISSING, "process" },
	{ "root", NULL, E_PEER_MISSING, "root" },
	{ "linux", NULL, E_PEER_MISSING, "linux" },
	{ "process/user", NULL, E_PEER_MISSING, "process.user" },
	{ "process/user/uid", NULL, E_PEER_MISSING, "process.user.uid" },
	{ "process/user/gid", NULL, E_PEER_MISSING, "process.user.gid" },
	{ "process/args", NULL, E_PEER_MISSING, "process.args" },
	{ "process/args", "[]", E_PEER_MISSING, "process.args" },
	{ "process/args", "null", E_PEER_MISSING, "process.args" },
	{ "process/cwd", NULL, E_PEER_MISSING, "process.cwd" },
	{ "root/path", NULL, E_PEER_MISSING, "root.path" },
	/* Of another kind. */
	{ "ociVersion", "\"2.0.0\"", E_PEER_UNSUPPORTED, "2.0.0" },
	{ "ociVersion", "1", E_PEER_TYPE, "ociVersion" },
	{ "process/args", "\"sh\"", E_PEER_TYPE, "process.args" },
	{ "process/args/0", "1", E_PEER_TYPE, "process.args" },
	{ "process/args/0", "null", E_PEER_TYPE, "process.args" },
	{ "process/env/0", "1", E_PEER_TYPE, "process.env" },
	{ "process/cwd", "\"x\"", E_PEER_RANGE, "process.cwd" },
	{ "process/user/uid", "-1", E_PEER_RANGE, "process.user.uid" },
	{ "process/user/uid", "4294967296", E_PEER_RANGE, "process.user.uid" },
	{ "process/user/uid", "1000.0", E_PEER_TYPE, "process.user.uid" },
	{ "process/user/additionalGids", "[-1]", E_PEER_TYPE, "additionalGids" },
	{ "process/user/additionalGids", "[\"0\"]", E_PEER_TYPE, "additionalGids" },
	{ "process/user/additionalGids", "[4294967296]", E_PEER_TYPE, "additionalGids" },
	{ "process/noNewPrivileges", "\"true\"", E_PEER_TYPE, "noNewPrivileges" },
	{ "process/noNewPrivileges", "null", E_PEER_TYPE, "noNewPrivileges" },
	{ "process/capabilities/bounding", "\"CAP_KILL\"", E_PEER_TYPE, "bounding" },
	{ "process/capabilities", "[]", E_PEER_TYPE, "capabilities" },
	{ "root/readonly", "1", E_PEER_TYPE, "root.readonly" },
	{ "root/path", "\"\"", E_PEER_RANGE, "root.path" },
	{ "mounts", "{}", E_PEER_TYPE, "mounts" },
	{ "mounts/0", "1", E_PEER_TYPE, "mounts" },
	{ "mounts/0/options", "\"ro\"", E_PEER_TYPE, "options" },
	{ "mounts/0/source", "1", E_PEER_TYPE, "source" },
	{ "linux/namespaces", "{}", E_PEER_TYPE, "namespaces" },
	{ "linux/seccomp", "[]", E_PEER_TYPE, "seccomp" },
	{ "linux/sysctl", "{\"a\":1}", E_PEER_TYPE, "sysctl" },
	{ "linux/sysctl", "[]", E_PEER_TYPE, "linux.sysctl: an object" },
	{ "annotations", "\"x\"", E_PEER_TYPE, "annotations: an object" },
	{ "linux/maskedPaths", "[1]", E_PEER_TYPE, "maskedPaths" },
	{ "hooks", "[]", E_PEER_TYPE, "hooks" },
	{ "hooks/poststop", "{}", E_PEER_TYPE, "poststop" },
	{ "annotations", "{\"a\":1}", E_PEER_TYPE, "annotations" },
	{ "annotations/dev.assay.agent", "\"a b\"", E_PEER_RANGE, "dev.assay.agent" },
};

static void test_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(refused); i++) {
		cleanup_json json_t *j = container_fixture("podman-crun.json");
		struct container_config c = { 0 };

		container_edit(j, refused[i].path, refused[i].value);
		assert_code(parse(j, &c), refused[i].code);
		if (strstr(why.text, refused[i].why) == NULL)
			fail_msg("%s: \"%s\" expected in \"%s\"", refused[i].path, refused[i].why, why.text);
		assert_null(c.json);
		assert_null(c.args);
	}
}

static void test_null_is_absent(void **state)
{
	static const char *const paths[] = { "process/env", "process/capabilities", "mounts", "hooks", "annotations",
					     "linux/namespaces", "linux/seccomp", "linux/maskedPaths",
					     "linux/resources", "linux/sysctl", "linux/devices" };
	cleanup_json json_t *j = container_fixture("podman-crun.json");
	cleanup_container_config struct container_config c = { 0 };

	(void)state;
	for (size_t i = 0; i < array_len(paths); i++)
		container_edit(j, paths[i], "null");
	assert_ok(parse(j, &c));
	assert_null(c.env);
	assert_null(c.capabilities);
	assert_null(c.mounts);
	assert_null(c.annotations);
	assert_null(c.agent);
	assert_null(c.namespaces);
	assert_null(c.seccomp);
	assert_null(c.device_rules);
}

static void test_limits(void **state)
{
	cleanup_json json_t *j = container_fixture("podman-crun.json");
	json_t *env = json_object_get(json_object_get(j, "process"), "env"), *all = json_object_get(j, "annotations");
	char name[32];
	struct container_config c = { 0 };
	cleanup_buf struct buf text = BUF_INIT(CONTAINER_CONFIG_MAX + 1);

	(void)state;
	while (json_array_size(env) < CONTAINER_LIST_MAX)
		assert_int_equal(json_array_append_new(env, json_string("A=b")), 0);
	assert_ok(parse(j, &c));
	container_config_done(&c);
	assert_int_equal(json_array_append_new(env, json_string("A=b")), 0);
	assert_err(parse(j, &c), E_LIMIT_COUNT);
	assert_int_equal(json_array_remove(env, 0), 0);
	while (json_object_size(all) <= CONTAINER_LIST_MAX) {
		(void)snprintf(name, sizeof(name), "a%zu", json_object_size(all));
		assert_int_equal(json_object_set_new(all, name, json_string("")), 0);
	}
	assert_err(parse(j, &c), E_LIMIT_COUNT);
	while (text.n <= CONTAINER_CONFIG_MAX)
		assert_ok(buf_add_u8(&text, ' '));
	assert_err(container_config_parse(buf_bytes(&text), &c, &why), E_LIMIT_SIZE);
	assert_err(container_config_parse(BYTES_LIT("{\"process\":{},\"process\":{}}"), &c, &why), E_PEER_DUPLICATE);
	assert_err(container_config_parse(BYTES_LIT("[]"), &c, &why), E_PEER_TYPE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_engines),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_null_is_absent),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
