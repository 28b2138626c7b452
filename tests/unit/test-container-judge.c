/* SPDX-License-Identifier: Apache-2.0 */
/* A configuration is loosened in one place at a time; each must be refused with a reason that names it. */
#include "container.h"

#include "attest/container/judge.h"
#include "attest/container/path.h"
#include "folder.h"

#define PROGRAM "/usr/bin/assay-attest"
#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static struct reason why;

/* What container_judge() says of the configuration by the rules of agent-a, both as text. */
static struct err judge(const json_t *config, const json_t *entry)
{
	cleanup_container_config struct container_config c = { 0 };
	cleanup_container_rules struct container_rules r = { 0 };
	cleanup_buf struct buf text = { 0 };
	struct err e;

	why.text[0] = '\0';
	assert_ok(container_rules_take((json_t *)(uintptr_t)entry, &r, &why));
	r.program = PROGRAM;
	if (failed(e = container_config_parse(container_text(config, &text), &c, &why)))
		return e;
	c.id = ID;
	return container_judge(&c, &r, &why);
}

static json_t *entry_a(void)
{
	cleanup_json json_t *rules = container_fixture("rules.json");

	return json_incref(json_array_get(json_object_get(rules, "containers"), 0));
}

/* Rules for what `runc spec` writes, which has no seccomp profile. */
static void allow_for(const char *fixture, json_t *entry)
{
	if (strcmp(fixture, "runc-spec.json") == 0)
		container_edit(entry, "seccomp", "\"any\"");
}

static const char *const fixtures[] = { "podman-runc.json", "podman-crun.json", "runc-spec.json" };

static void test_ordinary(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(fixtures); i++) {
		cleanup_json json_t *config = container_fixture(fixtures[i]), *entry = entry_a();
		struct err e;

		allow_for(fixtures[i], entry);
		e = judge(config, entry);
		if (failed(e))
			fail_msg("%s: %s", fixtures[i], why.text);
	}
}

struct row {
	const char *path, *value; /* the change; see container_edit() */
	const char *why;          /* must stand in the reason */
	const char *rule, *allow; /* the change of the rules that permits it; NULL: nothing does */
};

#define MOUNT(d, t, s, o) "{\"destination\":\"" d "\",\"type\":\"" t "\",\"source\":\"" s "\",\"options\":[" o "]}"
#define BIND(d, s) MOUNT(d, "bind", s, "\"rbind\",\"ro\"")
#define RULE(d, s) "{\"destination\":\"" d "\",\"source\":\"" s "\"}"
#define ENGINE "/run/containers/storage/overlay-containers/" ID "/userdata/"
#define SPACE(n) "[{\"type\":\"pid\"},{\"type\":\"network\"},{\"type\":\"ipc\"},{\"type\":\"uts\"},{\"type\":\"mount\"}" n "]"
#define SHA "\"1111111111111111111111111111111111111111111111111111111111111111\""

static const struct row rows[] = {
	{ "root/readonly", "false", "root.readonly", NULL, NULL },
	{ "root/readonly", NULL, "root.readonly", NULL, NULL },

	{ "process/noNewPrivileges", "false", "noNewPrivileges", NULL, NULL },
	{ "process/noNewPrivileges", NULL, "noNewPrivileges", NULL, NULL },
	{ "process/user/uid", "0", "process.user.uid", NULL, NULL },
	{ "process/user/uid", "1001", "process.user.uid is 1001, 1000", "user/uid", "1001" },
	{ "process/user", "{\"uid\":1000,\"gid\":0}", "process.user.gid", "user/gid", "0" },
	{ "process/user/additionalGids", "[1000,44]", "additionalGids: 44", "user/additional_gids", "[44]" },
	{ "process/user/additionalGids", "[0]", "additionalGids: 0", NULL, NULL },
	{ "process/args", "[\"/bin/sh\"]", "process.args", "args/+", "[\"/bin/sh\"]" },
	{ "process/args", "[\"/bin/agent\"]", "process.args", "args", NULL },
	{ "process/args/+", "\"more\"", "process.args", NULL, NULL },
	{ "process/args/1", "\"Serve\"", "process.args", NULL, NULL },
	{ "process/env/+", "\"LD_PRELOAD=/model/x.so\"", "LD_PRELOAD", "env/LD_PRELOAD", "null" },
	{ "process/env/+", "\"MODE2=x\"", "MODE2", "env/MODE2", "\"x\"" },
	{ "process/env/+", "\"MODE2=x\"", "MODE2", NULL, NULL },
	{ "process/env/+", "\"MODE=y\"", "MODE is set twice", NULL, NULL },
	{ "process/env/+", "\"NOTHING\"", "NAME=VALUE", NULL, NULL },
	{ "process/env/+", "\"=x\"", "NAME=VALUE", NULL, NULL },
	{ "process/env", "[\"PATH=/tmp\",\"MODE=x\"]", "PATH=/tmp", "env/PATH", "null" },
	{ "process/env", "[\"PATH=/bin\"]", "MODE is missing", "env/MODE", "null" },
	{ "process/env", "[\"PATH=/bin\",\"MODE=x\",\"HOSTNAME=a b\"]", "HOSTNAME", "env/HOSTNAME", "null" },
	{ "process/env", "[\"PATH=/bin\",\"MODE=x\",\"TERM=/model\"]", "TERM", NULL, NULL },
	{ "process/cwd", "\"/model\"", "process.cwd", "cwd", "\"/model\"" },
	{ "process/capabilities", NULL, "process.capabilities is missing", NULL, NULL },
	{ "process/capabilities/bounding", "[\"CAP_KILL\"]", "capabilities.bounding: CAP_KILL", "capabilities", "[\"CAP_KILL\"]" },
	{ "process/capabilities/effective", "[\"CAP_SYS_ADMIN\"]", "capabilities.effective", NULL, NULL },
	{ "process/capabilities/inheritable", "[\"CAP_CHOWN\"]", "capabilities.inheritable", NULL, NULL },
	{ "process/capabilities/permitted", "[\"CAP_CHOWN\"]", "capabilities.permitted", NULL, NULL },
	{ "process/capabilities/ambient", "[\"CAP_CHOWN\"]", "capabilities.ambient", NULL, NULL },
	{ "process/apparmorProfile", "\"unconfined\"", "apparmorProfile", "apparmor", "\"unconfined\"" },
	{ "process/selinuxLabel", "\"system_u:system_r:spc_t:s0\"", "selinuxLabel", NULL, NULL },
	{ "process/selinuxLabel", "\"container_t\"", "selinuxLabel", NULL, NULL },
	{ "linux/mountLabel", "\"system_u:object_r:etc_t:s0\"", "mountLabel", NULL, NULL },

	{ "linux/namespaces", "[{\"type\":\"network\"},{\"type\":\"ipc\"},{\"type\":\"uts\"},{\"type\":\"mount\"}]", "pid is missing", NULL, NULL },
	{ "linux/namespaces", "[{\"type\":\"network\"},{\"type\":\"ipc\"},{\"type\":\"uts\"},{\"type\":\"pid\"}]", "mount is missing", NULL, NULL },
	{ "linux/namespaces", "[{\"type\":\"network\"},{\"type\":\"mount\"},{\"type\":\"uts\"},{\"type\":\"pid\"}]", "ipc is missing",
	  "namespaces/ipc", "\"host\"" },
	{ "linux/namespaces", "[{\"type\":\"network\"},{\"type\":\"mount\"},{\"type\":\"ipc\"},{\"type\":\"pid\"}]", "uts is missing",
	  "namespaces/uts", "\"host\"" },
	{ "linux/namespaces", "[{\"type\":\"uts\"},{\"type\":\"mount\"},{\"type\":\"ipc\"},{\"type\":\"pid\"}]", "network is missing",
	  "namespaces/network", "\"host\"" },
	{ "linux/namespaces", NULL, "pid is missing", NULL, NULL },
	{ "linux/namespaces", SPACE(",{\"type\":\"user\"}"), "linux.namespaces: user", NULL, NULL },
	{ "linux/namespaces", SPACE(",{\"type\":\"time\"}"), "time", NULL, NULL },
	{ "linux/namespaces", SPACE(",{\"type\":\"pid\"}"), "pid is there twice", NULL, NULL },
	{ "linux/namespaces/0/path", "\"/proc/1/ns/pid\"", "pid joins /proc/1/ns/pid", NULL, NULL },
	{ "linux/namespaces/1/path", "\"/proc/1/ns/net\"", "network joins /proc/1/ns/net", "namespaces/network",
	  "\"/proc/1/ns/net\"" },
	{ "linux/namespaces/1/path", "\"/run/netns/other\"", "network joins", NULL, NULL },
	{ "linux/namespaces/1/path", "\"/run/netns/netns-01234567-89ab-cdef-0123-456789abcdeg\"", "network joins", NULL, NULL },
	{ "linux/namespaces/1/path", "\"/run/netns/netns-01234567-89ab-cdef-0123-456789abcdef0\"", "network joins", NULL, NULL },
	{ "linux/namespaces/1/path", "\"/run/netns/netns-../01234567-89ab-cdef-0123-456789a\"", "network joins", NULL, NULL },
	{ "linux/namespaces/2/path", "\"/proc/1/ns/ipc\"", "ipc joins", "namespaces/ipc", "\"/proc/1/ns/ipc\"" },
	{ "linux/uidMappings", "[{\"containerID\":0,\"hostID\":1,\"size\":1}]", "uidMappings", NULL, NULL },
	{ "linux/gidMappings", "[{\"containerID\":0,\"hostID\":1,\"size\":1}]", "gidMappings", NULL, NULL },
	{ "linux/sysctl", "{\"kernel.shm_rmid_forced\":\"1\"}", "kernel.shm_rmid_forced", "sysctl",
	  "{\"kernel.shm_rmid_forced\":\"1\"}" },
	{ "linux/sysctl", "{\"net.core.somaxconn\":\"1\"}", "net.core.somaxconn", "sysctl", "{\"net.core.somaxconn\":null}" },
	{ "linux/rootfsPropagation", "\"shared\"", "rootfsPropagation", NULL, NULL },
	{ "linux/rootfsPropagation", "\"rshared\"", "rootfsPropagation", NULL, NULL },
	{ "linux/cgroupsPath", "\"/" ID "/../../b\"", "leads elsewhere", NULL, NULL },
	{ "linux/cgroupsPath", "\"/system.slice/assay-attest.service\"", "is not that of container", NULL, NULL },
	{ "linux/resources/unified", "{\"cgroup.procs\":\"1\"}", "unified", NULL, NULL },
	{ "linux/resources/unified", "{\"memory./../x\":\"1\"}", "unified", NULL, NULL },
	{ "linux/personality", "{\"domain\":\"LINUX\",\"flags\":[\"ADDR_NO_RANDOMIZE\"]}", "personality", NULL, NULL },
	{ "linux/personality", "{\"domain\":\"LINUX32\"}", "personality", NULL, NULL },
	{ "linux/maskedPaths", NULL, "maskedPaths: /proc/acpi", NULL, NULL },
	{ "linux/maskedPaths", "[\"/proc/acpi\",\"/proc/keys\",\"/proc/latency_stats\",\"/proc/timer_list\",\"/proc/timer_stats\","
			       "\"/proc/sched_debug\",\"/proc/scsi\",\"/sys/firmware\"]",
	  "maskedPaths: /proc/kcore", "unmasked", "[\"/proc/kcore\"]" },
	{ "linux/readonlyPaths", "[\"/proc/bus\",\"/proc/fs\",\"/proc/irq\",\"/proc/sysrq-trigger\"]", "readonlyPaths: /proc/sys",
	  "unmasked", "[\"/proc/sys\"]" },

	{ "linux/devices", "[{\"type\":\"c\",\"path\":\"/dev/tpmrm0\",\"major\":253,\"minor\":65536}]", "/dev/tpmrm0", NULL, NULL },
	{ "linux/devices", "[{\"type\":\"c\",\"path\":\"/dev/accel0\",\"major\":261,\"minor\":0}]", "/dev/accel0", "devices",
	  "[{\"path\":\"/dev/accel0\",\"major\":261,\"minor\":0}]" },
	{ "linux/devices", "[{\"type\":\"b\",\"path\":\"/dev/accel0\",\"major\":261,\"minor\":0}]", "/dev/accel0", NULL, NULL },
	{ "linux/devices", "[{\"type\":\"c\",\"path\":\"/dev/accel0\",\"major\":253,\"minor\":0}]", "/dev/accel0", NULL, NULL },
	{ "linux/resources/devices", NULL, "does not begin", NULL, NULL },
	{ "linux/resources/devices", "[]", "does not begin", NULL, NULL },
	{ "linux/resources/devices", "[{\"allow\":true,\"access\":\"rwm\"}]", "does not begin", NULL, NULL },
	{ "linux/resources/devices", "[{\"allow\":false,\"type\":\"c\",\"access\":\"rwm\"}]", "does not begin", NULL, NULL },
	{ "linux/resources/devices", "[{\"allow\":false,\"access\":\"rw\"}]", "does not begin", NULL, NULL },
	{ "linux/resources/devices", "[{\"allow\":false,\"major\":10,\"access\":\"rwm\"}]", "does not begin", NULL, NULL },
	{ "linux/resources/devices", "[{\"allow\":false,\"minor\":10,\"access\":\"rwm\"}]", "does not begin", NULL, NULL },
	{ "linux/resources/devices/+", "{\"allow\":true,\"access\":\"rwm\"}", "linux.resources.devices[1]", NULL, NULL },
	{ "linux/resources/devices/+", "{\"allow\":true,\"type\":\"c\",\"access\":\"rwm\"}", "linux.resources.devices[1]", NULL, NULL },
	{ "linux/resources/devices/+", "{\"allow\":true,\"type\":\"b\",\"major\":1,\"minor\":3,\"access\":\"rwm\"}", "devices[1]", NULL, NULL },
	{ "linux/resources/devices/+", "{\"allow\":true,\"type\":\"c\",\"major\":10,\"minor\":224,\"access\":\"rw\"}", "10:224", NULL, NULL },
	{ "linux/resources/devices/+", "{\"allow\":true,\"type\":\"c\",\"major\":1,\"minor\":1,\"access\":\"rw\"}", "1:1", NULL, NULL },
	{ "linux/resources/devices/+", "{\"allow\":true,\"type\":\"c\",\"major\":261,\"minor\":0,\"access\":\"rw\"}", "261:0", "devices",
	  "[{\"path\":\"/dev/accel0\",\"major\":261,\"minor\":0}]" },

	{ "linux/seccomp", NULL, "linux.seccomp is missing", "seccomp", "\"any\"" },
	{ "linux/seccomp/defaultAction", "\"SCMP_ACT_ALLOW\"", "seccomp.defaultAction", "seccomp", "\"any\"" },
	{ "linux/seccomp/defaultAction", "\"SCMP_ACT_LOG\"", "seccomp.defaultAction", NULL, NULL },
	{ "linux/seccomp/defaultAction", "\"SCMP_ACT_NOTIFY\"", "answer system calls", NULL, NULL },
	{ "linux/seccomp/syscalls/0/action", "\"SCMP_ACT_NOTIFY\"", "answer system calls", NULL, NULL },
	{ "linux/seccomp/listenerPath", "\"/run/x\"", "answer system calls", NULL, NULL },

	{ "mounts/+", BIND("/data", "/srv/data"), "/data from /srv/data", "mounts/+", RULE("/data", "/srv/data") },
	{ "mounts/+", MOUNT("/data", "", "/srv/data", "\"bind\",\"ro\""), "/data from /srv/data", "mounts/+", RULE("/data", "/srv/data") },
	{ "mounts/+", MOUNT("/data", "tmpfs", "/srv/data", "\"bind\",\"ro\""), "/data from /srv/data", "mounts/+",
	  "{\"destination\":\"/data\",\"source\":\"/srv/data\"}" },
	{ "mounts/+", MOUNT("/data", "bind", "/srv/data", "\"rbind\""), "/data from /srv/data", "mounts/+",
	  "{\"destination\":\"/data\",\"source\":\"/srv/data\",\"writable\":true}" },
	{ "mounts/+", MOUNT("/data", "tmpfs", "tmpfs", ""), "/data: type \"tmpfs\"", "mounts/+",
	  "{\"destination\":\"/data\",\"type\":\"tmpfs\"}" },
	{ "mounts/+", MOUNT("/data", "overlay", "overlay", "\"lowerdir=/\""), "/data: type \"overlay\"", NULL, NULL },
	{ "mounts/+", MOUNT("/bin", "tmpfs", "tmpfs", "\"nosuid\",\"nodev\""), "/bin: type \"tmpfs\"", NULL, NULL },
	{ "mounts/+", MOUNT("/etc/hosts", "tmpfs", "tmpfs", "\"nosuid\",\"nodev\""), "/etc/hosts", NULL, NULL },
	{ "mounts/+", BIND("/x/../bin", "/srv/data"), "destination", NULL, NULL },
	{ "mounts/+", BIND("bin", "/srv/data"), "destination", NULL, NULL },
	{ "mounts/+", BIND("/", "/srv/data"), "destination", NULL, NULL },
	{ "mounts/+", BIND("/data", "/srv/../etc"), "source", NULL, NULL },
	{ "mounts/+", BIND("/data", "data"), "source", NULL, NULL },
	{ "mounts/+", BIND("/model", "/srv/models/m1"), "/model is there twice", NULL, NULL },
	{ "mounts/+", BIND("/model/more", "/srv/models/m1"), "/model/more", NULL, NULL },
	{ "mounts/0/uidMappings", "[{\"containerID\":0,\"hostID\":1,\"size\":1}]", "uidMappings", NULL, NULL },
	{ "mounts/0/gidMappings", "[{\"containerID\":0,\"hostID\":1,\"size\":1}]", "gidMappings", NULL, NULL },

	{ "annotations/run.oci.handler", "\"krun\"", "annotation run.oci.handler", "annotations", "{\"run.oci.handler\":\"krun\"}" },
	{ "annotations/run.oci.seccomp_bpf_data", "\"AA\"", "annotation run.oci.seccomp_bpf_data", NULL, NULL },
	{ "annotations/run.oci.keep_original_groups", "\"1\"", "run.oci.keep_original_groups", NULL, NULL },
	{ "annotations/org.systemd.property.DeviceAllow", "\"x\"", "org.systemd.property.DeviceAllow", NULL, NULL },
	{ "annotations/dev.assay.agent", "\"agent-b\"", "dev.assay.agent is agent-b", NULL, NULL },
	{ "annotations/dev.assay.agent", NULL, "dev.assay.agent is missing", NULL, NULL },

	{ "hooks/prestart", "[{\"path\":\"/usr/bin/toolkit\"}]", "hooks.prestart[0]: /usr/bin/toolkit", "hooks", "[\"/usr/bin/toolkit\"]" },
	{ "hooks/createRuntime", "[{\"path\":\"/x\"}]", "hooks.createRuntime[0]", NULL, NULL },
	{ "hooks/createContainer", "[{\"path\":\"/x\"}]", "hooks.createContainer[0]", NULL, NULL },
	{ "hooks/startContainer", "[{\"path\":\"/x\"}]", "hooks.startContainer[0]", NULL, NULL },
	{ "hooks/poststart", "[{\"path\":\"/x\"}]", "hooks.poststart[0]", NULL, NULL },
	{ "hooks/poststop", "[{\"path\":\"/x\"}]", "hooks.poststop[0]", NULL, NULL },
	{ "hooks/createRuntime", "[{\"path\":\"" PROGRAM "\",\"args\":[\"a\",\"run\",\"createRuntime\"]}]", "hooks.createRuntime[0]", NULL, NULL },
	{ "hooks/createRuntime", "[{\"path\":\"" PROGRAM "\",\"args\":[\"a\",\"oci-hook\",\"poststop\"]}]", "hooks.createRuntime[0]", NULL, NULL },
	{ "hooks/startContainer", "[{\"path\":\"" PROGRAM "\",\"args\":[\"a\",\"oci-hook\",\"startContainer\"]}]", "hooks.startContainer[0]",
	  NULL, NULL },
	{ "hooks/createRuntime",
	  "[{\"path\":\"" PROGRAM "\",\"args\":[\"a\",\"oci-hook\",\"createRuntime\"],\"env\":[\"LD_PRELOAD=/x\"]}]",
	  "hooks.createRuntime[0]", NULL, NULL },
	/* It would have that of the runtime's caller. */
	{ "hooks/createRuntime", "[{\"path\":\"" PROGRAM "\",\"args\":[\"a\",\"oci-hook\",\"createRuntime\"]}]",
	  "hooks.createRuntime[0]", NULL, NULL },
	{ "annotations/run.oci.hooks.stderr", "\"/root/.bashrc\"", "run.oci.hooks.stderr", NULL, NULL },
};

/* Each change alone, on what each engine writes. */
static void test_loosened(void **state)
{
	(void)state;
	for (size_t f = 0; f < 2; f++) {
		for (size_t i = 0; i < array_len(rows); i++) {
			const struct row *row = &rows[i];
			cleanup_json json_t *config = container_fixture(fixtures[f]), *entry = entry_a();

			container_edit(config, row->path, row->value);
			assert_err(judge(config, entry), E_AUTH_REFUSED);
			if (strstr(why.text, row->why) == NULL)
				fail_msg("row %zu, %s: \"%s\" expected in \"%s\"", i, row->path, row->why, why.text);
			if (row->rule == NULL)
				continue;
			container_edit(entry, row->rule, row->allow);
			if (failed(judge(config, entry)))
				fail_msg("row %zu, %s: permitted, but: %s", i, row->path, why.text);
		}
	}
}

/* The entry of mounts with this destination. */
static json_t *mount_at(json_t *config, const char *destination)
{
	json_t *list = json_object_get(config, "mounts");

	for (size_t i = 0; i < json_array_size(list); i++)
		if (strcmp(json_string_value(json_object_get(json_array_get(list, i), "destination")), destination) == 0)
			return json_array_get(list, i);
	fail_msg("no mount at %s", destination);
	return NULL;
}

/* Standard mounts and those of the engine, each with one change. */
static const struct {
	const char *destination, *member, *value, *why;
} mounts[] = {
	{ "/proc", "type", "\"tmpfs\"", "/proc: type \"tmpfs\"" },
	{ "/proc", "options/+", "\"bind\"", "/proc" },
	{ "/proc", "options/+", "\"shared\"", "option shared" },
	{ "/dev", "options", "[\"mode=755\"]", "/dev: option nosuid is missing" },
	{ "/dev", "options/+", "\"suid\"", "option suid" },
	{ "/dev", "options/+", "\"mode=755,x\"", "option mode=755,x" },
	{ "/dev/pts", "options", "[\"nosuid\",\"noexec\"]", "/dev/pts: option newinstance is missing" },
	{ "/dev/mqueue", "options", "[\"nosuid\",\"noexec\"]", "/dev/mqueue: option nodev is missing" },
	{ "/sys", "options", "[\"nosuid\",\"noexec\",\"nodev\"]", "/sys: option ro is missing" },
	{ "/sys", "options/+", "\"rw\"", "/sys: option ro is missing" },
	{ "/sys", "type", "\"bind\"", "/sys" },
	{ "/sys/fs/cgroup", "options", "[\"nosuid\",\"noexec\",\"nodev\"]", "/sys/fs/cgroup: option ro is missing" },
	{ "/tmp", "options", "[\"nosuid\"]", "/tmp: option nodev is missing" },
	{ "/run", "options", "[\"nodev\"]", "/run: option nosuid is missing" },
	{ "/var/tmp", "options/+", "\"dev\"", "option dev" },
	{ "/etc/hosts", "source", "\"/home/mallory/hosts\"", "/etc/hosts from /home/mallory/hosts" },
	{ "/etc/hosts", "source", "\"" ENGINE "hostname\"", "/etc/hosts from" },
	{ "/etc/hosts", "source", "\"/tmp/overlay-containers/" ID "/userdata/hosts\"", "/etc/hosts from" },
	{ "/etc/hosts", "source", "\"/run/containers/storage/x/overlay-containers/" ID "/userdata/hosts\"", "/etc/hosts from" },
	{ "/etc/hosts", "source",
	  "\"/run/containers/storage/overlay-containers/1123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef/userdata/hosts\"",
	  "/etc/hosts from" },
	{ "/etc/hosts", "source", "\"/run/containers/storage/overlay-containers/" ID "/x/hosts\"", "/etc/hosts from" },
	{ "/etc/hosts", "destination", "\"/etc/host.conf\"", "/etc/host.conf from" },
	{ "/etc/hosts", "options", "[\"bind\"]", "/etc/hosts from" },
	{ "/etc/passwd", "options", "[\"bind\"]", "is writable" },
	{ "/etc/resolv.conf", "options", "[\"bind\",\"ro\",\"rw\"]", "is writable" },
	{ "/dev/shm", "source", "\"/tmp/shm\"", "/dev/shm from /tmp/shm" },
	{ "/dev/shm", "options/+", "\"rslave\"", "option rslave" },
	{ "/run/assay-attest", "destination", "\"/etc\"", "/etc from /run/assay-attest" },
	{ "/run/assay-attest", "options", "[\"rbind\"]", "is writable" },
	{ "/run/assay-attest", "source", "\"/run\"", "from /run is not permitted" },
	{ "/run/assay-attest", "source", "\"/run/assay\"", "from /run/assay is not permitted" },
	{ "/run/assay-attest", "options/+", "\"idmap\"", "option idmap" },
	{ "/model", "source", "\"/srv/models/m2\"", "/model from /srv/models/m2" },
	{ "/model", "options", "[\"rbind\"]", "/model from /srv/models/m1 is writable" },
	{ "/model", "options", "[\"rbind\",\"ro\",\"rw\"]", "is writable" },
	{ "/model", "options/+", "\"shared\"", "option shared" },
	{ "/model", "type", "\"overlay\"", NULL },
	{ "/model", "destination", "\"/models\"", "/models from" },
};

static void test_mounts(void **state)
{
	(void)state;
	for (size_t f = 0; f < 2; f++) {
		for (size_t i = 0; i < array_len(mounts); i++) {
			cleanup_json json_t *config = container_fixture(fixtures[f]), *entry = entry_a();

			container_edit(mount_at(config, mounts[i].destination), mounts[i].member, mounts[i].value);
			/* An option says that it is a bind mount, whatever type is told. */
			if (mounts[i].why == NULL) {
				assert_ok(judge(config, entry));
				continue;
			}
			assert_err(judge(config, entry), E_AUTH_REFUSED);
			if (strstr(why.text, mounts[i].why) == NULL)
				fail_msg("row %zu, %s: \"%s\" expected in \"%s\"", i, mounts[i].destination, mounts[i].why,
					 why.text);
		}
	}
}

/* The rules name it, and it is refused all the same. */
static const char *const never[] = {
	"/", "/dev", "/dev/tpmrm0", "/dev/tpm0", "/proc", "/proc/1/root", "/sys", "/sys/kernel/security", "/etc", "/etc/assay",
	"/var/lib/assay", "/var/lib", "/var/lib/assay/attest/instances", "/run", "/var/run", "/run/assay", "/run/assay-attest",
	"/run/podman/podman.sock", "/var/run/podman/podman.sock", "/run/docker.sock", "/var/run/docker.sock",
	"/run/containerd/containerd.sock", "/run/crio", "/run/systemd/private", "/run/dbus/system_bus_socket", "/run/user/1000",
	"/run/netns", "/run/runc", "/run/crun", "/run/libpod", "/run/containers/storage", "/run/docker", "/var/lib/docker",
	"/var/lib/containerd", "/var/lib/containers", "/var/lib/containers/storage/overlay", "/var/lib/containers/storage/volumes",
	"/etc/containers", "/srv/state", "/srv/state/instances", "/srv",
};

static struct err judge_bind(const char *source)
{
	cleanup_json json_t *config = container_fixture("podman-crun.json"), *entry = entry_a();
	cleanup_container_config struct container_config c = { 0 };
	cleanup_container_rules struct container_rules r = { 0 };
	cleanup_buf struct buf text = { 0 };
	char mount[512], rule[512];

	(void)snprintf(mount, sizeof(mount), "{\"destination\":\"/data\",\"type\":\"bind\",\"source\":\"%s\",\"options\":[\"ro\"]}", source);
	(void)snprintf(rule, sizeof(rule), "{\"destination\":\"/data\",\"source\":\"%s\"}", source);
	container_edit(config, "mounts/+", mount);
	container_edit(entry, "mounts/+", rule);
	why.text[0] = '\0';
	assert_ok(container_rules_take(entry, &r, &why));
	assert_ok(container_config_parse(container_text(config, &text), &c, &why));
	r.program = PROGRAM;
	r.state_dir = "/srv/state";
	return container_judge(&c, &r, &why);
}

static void test_never(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(never); i++) {
		assert_err(judge_bind(never[i]), E_AUTH_REFUSED);
		if (strstr(why.text, "no container may have that") == NULL)
			fail_msg("%s: \"%s\"", never[i], why.text);
	}
	assert_ok(judge_bind("/srv/models"));
	assert_ok(judge_bind("/run/assayer"));
	assert_ok(judge_bind("/var/lib/containers/storage/volumes/v/_data"));
}

static void test_links(void **state)
{
	char path[128];

	(void)state;
	assert_int_equal(symlink("/dev", "link"), 0);
	assert_int_equal(mkdir("good", 0700), 0);
	(void)snprintf(path, sizeof(path), "%s/link", folder);
	assert_err(judge_bind(path), E_AUTH_REFUSED);
	assert_non_null(strstr(why.text, "devices"));
	(void)snprintf(path, sizeof(path), "%s/good", folder);
	assert_ok(judge_bind(path));
}

/* A daemon that listens elsewhere. */
static void test_socket(void **state)
{
	static const struct {
		const char *source, *destination;
		bool good;
	} cases[] = {
		{ "/opt/a", "/opt/a", true },
		{ "/opt/a", "/run/assay-attest", true },
		{ "/opt/a/s.sock", "/opt/a/s.sock", true },
		{ "/opt/a/s.sock", "/run/assay-attest/attest.sock", true },
		{ "/opt/a", "/opt/b", false },
		{ "/opt", "/opt", false },
		{ "/opt/a/t.sock", "/opt/a/t.sock", false },
		{ "/opt/a/s.sock", "/bin/agent", false },
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		cleanup_json json_t *config = container_fixture("podman-crun.json"), *entry = entry_a();
		cleanup_container_config struct container_config c = { 0 };
		cleanup_container_rules struct container_rules r = { 0 };
		cleanup_buf struct buf text = { 0 };
		json_t *m = mount_at(config, "/run/assay-attest");

		assert_int_equal(json_object_set_new(m, "source", json_string(cases[i].source)), 0);
		assert_int_equal(json_object_set_new(m, "destination", json_string(cases[i].destination)), 0);
		assert_ok(container_rules_take(entry, &r, &why));
		assert_ok(container_config_parse(container_text(config, &text), &c, &why));
		r.program = PROGRAM;
		r.socket = "/opt/a/s.sock";
		assert_code(container_judge(&c, &r, &why), cases[i].good ? E_OK : E_AUTH_REFUSED);
	}
}

/* What is permitted besides, without any word in the rules. */
static const struct {
	const char *path, *value;
} fine[] = {
	{ "linux/namespaces/1/path", "\"/run/netns/netns-01234567-89ab-cdef-0123-456789abcdef\"" },
	{ "linux/namespaces/1/path", "\"/var/run/netns/cni-01234567-89ab-cdef-0123-456789abcdef\"" },
	{ "linux/namespaces/+", "{\"type\":\"cgroup\"}" },
	{ "linux/rootfsPropagation", "\"rslave\"" },
	{ "linux/personality", "{\"domain\":\"LINUX\"}" },
	{ "linux/uidMappings", "[]" },
	{ "linux/uidMappings", "null" },
	{ "linux/resources/memory", "{\"limit\":1000000}" },
	{ "linux/resources/unified", "{\"memory.high\":\"1\"}" },
	{ "linux/resources/devices/+", "{\"allow\":true,\"type\":\"c\",\"major\":1,\"minor\":3,\"access\":\"rwm\"}" },
	{ "linux/resources/devices/+", "{\"allow\":true,\"type\":\"c\",\"major\":136,\"access\":\"rwm\"}" },
	{ "linux/resources/devices/0", "{\"allow\":false,\"type\":\"a\",\"major\":-1,\"minor\":-1}" },
	{ "linux/maskedPaths/+", "\"/proc/bus\"" },
	{ "process/rlimits", "[]" },
	{ "linux/cgroupsPath", "\"machine.slice:libpod:" ID "\"" },
	{ "linux/cgroupsPath", NULL },
	{ "process/oomScoreAdj", "100" },
	{ "process/apparmorProfile", "\"containers-default-0.50.1\"" },
	{ "process/selinuxLabel", "\"system_u:system_r:container_t:s0:c1,c2\"" },
	{ "linux/mountLabel", "\"system_u:object_r:container_file_t:s0:c1,c2\"" },
	{ "process/env", "[\"MODE=x\",\"PATH=/bin\"]" },
	{ "process/args", "[\"/bin/agent\",\"once\",\"now\"]" },
	{ "process/user/additionalGids", "[]" },
	{ "hooks/createRuntime", "[{\"path\":\"" PROGRAM "\",\"args\":[\"a\",\"--config\",\"/c\",\"oci-hook\",\"createRuntime\"],"
				 "\"env\":[\"" CONTAINER_HOOK_ENV "\"]}]" },
	{ "annotations/run.oci.hooks.stderr", "\"/dev/stderr\"" },
	{ "hooks/poststop", "[{\"path\":\"" PROGRAM "\",\"args\":[\"a\",\"oci-hook\",\"poststop\"],\"env\":[],\"timeout\":30}]" },
	{ "annotations/io.podman.annotations.label", "\"x\"" },
	{ "hostname", "\"h\"" },
	{ "mounts/+", MOUNT("/run/.containerenv", "bind", ENGINE ".containerenv", "\"bind\",\"rprivate\"") },
};

static void test_fine(void **state)
{
	(void)state;
	for (size_t f = 0; f < 2; f++) {
		for (size_t i = 0; i < array_len(fine); i++) {
			cleanup_json json_t *config = container_fixture(fixtures[f]), *entry = entry_a();

			container_edit(config, fine[i].path, fine[i].value);
			if (failed(judge(config, entry)))
				fail_msg("row %zu, %s: %s", i, fine[i].path, why.text);
		}
	}
}

/* Rules that ask for more than usual. */
static const struct {
	const char *rule, *value, *why;
} stricter[] = {
	{ "seccomp", SHA, "linux.seccomp is another profile" },
	{ "apparmor", "\"agents\"", "apparmorProfile is \"\", \"agents\"" },
	{ "namespaces/cgroup", "\"new\"", "cgroup is missing" },
	{ "namespaces/ipc", "\"/run/ipc\"", "ipc is new" },
	{ "mounts/+", "{\"destination\":\"/data\",\"source\":\"/srv/data\",\"required\":true}", "/data is missing" },
	{ "mounts/+", "{\"destination\":\"/data\",\"type\":\"tmpfs\",\"required\":true}", "/data is missing" },
	{ "env/MORE", "\"1\"", "MORE is missing" },
	{ "runtime_folders", "[\"/opt/storage\"]", "is not permitted" },
	{ "args", "[]", "process.args" },
};

static void test_stricter(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(stricter); i++) {
		cleanup_json json_t *config = container_fixture("podman-crun.json"), *entry = entry_a();

		container_edit(entry, stricter[i].rule, stricter[i].value);
		assert_err(judge(config, entry), E_AUTH_REFUSED);
		if (strstr(why.text, stricter[i].why) == NULL)
			fail_msg("row %zu: \"%s\" expected in \"%s\"", i, stricter[i].why, why.text);
	}
}

/* A tmpfs is listed: nothing else may be there. */
static void test_tmpfs(void **state)
{
	static const char *const cases[] = {
		MOUNT("/data", "overlay", "tmpfs", ""),
		MOUNT("/data", "tmpfs", "/srv/data", "\"bind\",\"ro\""),
		MOUNT("/data", "bind", "/srv/data", "\"ro\""),
		MOUNT("/data", "tmpfs", "tmpfs", "\"dev\""),
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		cleanup_json json_t *config = container_fixture("podman-crun.json"), *entry = entry_a();

		container_edit(entry, "mounts/+", "{\"destination\":\"/data\",\"type\":\"tmpfs\"}");
		assert_ok(judge(config, entry));
		container_edit(config, "mounts/+", cases[i]);
		assert_err(judge(config, entry), E_AUTH_REFUSED);
	}
}

/* Where the id of the container is not known, it has the form of one still. */
static void test_unknown_id(void **state)
{
	static const struct {
		const char *id;
		bool good;
	} cases[] = {
		{ ID, true },
		{ "g123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", false },
		{ ID "0", false },
		{ "0123", false },
		{ "..", false },
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		cleanup_json json_t *config = container_fixture("podman-crun.json"), *entry = entry_a();
		cleanup_container_config struct container_config c = { 0 };
		cleanup_container_rules struct container_rules r = { 0 };
		cleanup_buf struct buf text = { 0 };
		char source[256];

		(void)snprintf(source, sizeof(source), "\"/run/containers/storage/overlay-containers/%s/userdata/hosts\"",
			       cases[i].id);
		container_edit(mount_at(config, "/etc/hosts"), "source", source);
		assert_ok(container_rules_take(entry, &r, &why));
		r.program = PROGRAM;
		if (failed(container_config_parse(container_text(config, &text), &c, &why)))
			fail_msg("%s", why.text);
		assert_code(container_judge(&c, &r, &why), cases[i].good ? E_OK : E_AUTH_REFUSED);
	}
}

/* One device is listed: no other path, kind or number comes with it. */
static void test_devices(void **state)
{
	static const struct {
		const char *path, *value;
	} cases[] = {
		{ "linux/devices", "[{\"type\":\"c\",\"path\":\"/dev/null\",\"major\":261,\"minor\":0}]" },
		{ "linux/devices", "[{\"type\":\"b\",\"path\":\"/dev/accel0\",\"major\":261,\"minor\":0}]" },
		{ "linux/devices", "[{\"type\":\"c\",\"path\":\"/dev/accel0\",\"major\":261,\"minor\":1}]" },
		{ "linux/devices", "[{\"type\":\"c\",\"path\":\"/dev/accel0\",\"major\":262,\"minor\":0}]" },
		{ "linux/devices", "[{\"type\":\"c\",\"path\":\"/dev/accel0\"}]" },
		{ "linux/resources/devices/+", "{\"allow\":true,\"type\":\"c\",\"major\":261,\"minor\":1,\"access\":\"rw\"}" },
		{ "linux/resources/devices/+", "{\"allow\":true,\"type\":\"c\",\"major\":261,\"access\":\"rw\"}" },
		{ "linux/resources/devices/+", "{\"allow\":true,\"type\":\"c\",\"minor\":0,\"access\":\"rw\"}" },
		{ "linux/resources/devices/+", "{\"allow\":true,\"type\":\"b\",\"major\":261,\"minor\":0,\"access\":\"rw\"}" },
		{ "linux/resources/devices/+", "{\"type\":\"c\",\"major\":10,\"minor\":224,\"access\":\"rw\"}" },
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		cleanup_json json_t *config = container_fixture("podman-crun.json"), *entry = entry_a();

		container_edit(entry, "devices", "[{\"path\":\"/dev/accel0\",\"major\":261,\"minor\":0}]");
		assert_ok(judge(config, entry));
		container_edit(config, cases[i].path, cases[i].value);
		assert_err(judge(config, entry), E_AUTH_REFUSED);
	}
}

static void test_seccomp_digest(void **state)
{
	cleanup_json json_t *config = container_fixture("podman-crun.json"), *entry = entry_a();
	uint8_t digest[32];
	char hex[65];

	(void)state;
	assert_ok(container_seccomp_digest(json_object_get(json_object_get(config, "linux"), "seccomp"), digest));
	assert_ok(hex_encode(BYTES_ARR(digest), hex, sizeof(hex)));
	assert_int_equal(json_object_set_new(entry, "seccomp", json_string(hex)), 0);
	assert_ok(judge(config, entry));
	container_edit(config, "linux/seccomp/syscalls/0/names/+", "\"bpf\"");
	assert_err(judge(config, entry), E_AUTH_REFUSED);
	assert_non_null(strstr(why.text, "another profile"));
}

static void test_paths(void **state)
{
	static const char *const good[] = { "/", "/a", "/a/b.c", "/a/...", "/.a/..b" };
	static const char *const bad[] = { "", "a", "a/b", "/a/", "//", "//a", "/a//b", "/.", "/..", "/a/./b", "/a/../b", "/a/.." };

	(void)state;
	for (size_t i = 0; i < array_len(good); i++)
		assert_true(container_path_normal(good[i]));
	for (size_t i = 0; i < array_len(bad); i++)
		assert_false(container_path_normal(bad[i]));
	assert_true(container_path_within("/a/b", "/a"));
	assert_true(container_path_within("/a", "/a"));
	assert_true(container_path_within("/a", "/"));
	assert_false(container_path_within("/ab", "/a"));
	assert_false(container_path_within("/a", "/a/b"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ordinary),
		cmocka_unit_test(test_loosened),
		cmocka_unit_test(test_mounts),
		cmocka_unit_test(test_never),
		cmocka_unit_test_setup_teardown(test_links, folder_enter, folder_leave),
		cmocka_unit_test(test_socket),
		cmocka_unit_test(test_fine),
		cmocka_unit_test(test_stricter),
		cmocka_unit_test(test_tmpfs),
		cmocka_unit_test(test_unknown_id),
		cmocka_unit_test(test_devices),
		cmocka_unit_test(test_seccomp_digest),
		cmocka_unit_test(test_paths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
