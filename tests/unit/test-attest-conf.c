/* SPDX-License-Identifier: Apache-2.0 */
/* attest: configuration, what an instance keeps on disk, who may open the TPM, enrolment's pins. */
#include "folder.h"

#include <signal.h>
#include <sys/wait.h>

#include "attest/conf.h"
#include "attest/enrolment.h"
#include "attest/instance.h"
#include "attest/isolation.h"
#include "base/file.h"
#include "config.h"

static struct reason why;

static int enter(void **state)
{
	(void)unsetenv("ASSAY_TCTI");
	(void)unsetenv("TPM2TOOLS_TCTI");
	(void)unsetenv("ASSAY_SOCKET");
	why.text[0] = '\0';
	return folder_enter(state);
}

static struct err load(const char *json, struct conf_flags flags, struct conf *ret)
{
	put_text("attest.json", json);
	flags.config = "attest.json";
	return conf_load(&flags, ret, &why);
}

static void test_defaults(void **state)
{
	cleanup_conf struct conf c = { 0 };
	struct conf_flags none = { 0 };

	(void)state;
	assert_ok(load("{}", none, &c));
	assert_string_equal(c.state_dir, "/var/lib/assay/attest");
	assert_string_equal(c.tcti, "device:/dev/tpmrm0");
	assert_string_equal(c.socket, "/run/assay-attest/attest.sock");
	assert_string_equal(c.user, "nobody");
	assert_string_equal(c.containers, ASSAY_SYSCONFDIR "/containers.json");
	assert_int_equal(c.ak, AK_ECC_P256);
	assert_int_equal(c.ak_handle, AK_HANDLE);
	assert_int_equal(c.ek, EK_AUTO);
	assert_null(c.verifier_url);
	assert_int_equal(c.tpm_timeout_s, 30);
	assert_string_equal(c.firmware_log, "/sys/kernel/security/tpm0/binary_bios_measurements");
	assert_string_equal(c.userspace_log, "/run/log/systemd/tpm2-measure.log");
	assert_string_equal(c.ima_list, "/sys/kernel/security/ima/binary_runtime_measurements");
	assert_int_equal(c.timeout_s, 30);
}

static const char whole[] =
	"{\"verifier_url\":\"https://v\",\"ca_file\":\"/ca\",\"state_dir\":\"/s\",\"socket\":\"/k\",\"tcti\":\"swtpm\",\"ak\":\"rsa-2048\","
	"\"ak_handle\":\"0x81010001\",\"ek\":\"ecc-p384\",\"firmware_log\":\"/fl\",\"userspace_log\":\"/ul\",\"ima_list\":\"/il\",\"ek_cert\":\"/e\",\"ek_chain\":[\"/c1\",\"/c2\"],\"endorsement_auth_file\":\"/ea\","
	"\"owner_auth_file\":\"/oa\",\"user\":\"agent\",\"containers\":\"/co\",\"interval_s\":7,\"tpm_timeout_s\":6,\"timeout_s\":8,\"grace_s\":9,\"log_level\":\"debug\"}";

static void test_file(void **state)
{
	cleanup_conf struct conf c = { 0 };
	struct conf_flags none = { 0 };

	(void)state;
	assert_ok(load(whole, none, &c));
	assert_string_equal(c.verifier_url, "https://v");
	assert_string_equal(c.ca_file, "/ca");
	assert_string_equal(c.state_dir, "/s");
	assert_string_equal(c.tcti, "swtpm");
	assert_string_equal(c.socket, "/k");
	assert_int_equal(c.ak, AK_RSA_2048);
	assert_int_equal(c.ak_handle, 0x81010001);
	assert_int_equal(c.ek, EK_ECC_P384);
	assert_string_equal(c.firmware_log, "/fl");
	assert_string_equal(c.userspace_log, "/ul");
	assert_string_equal(c.ima_list, "/il");
	assert_string_equal(c.ek_cert, "/e");
	assert_int_equal(c.n_ek_chain, 2);
	assert_string_equal(c.ek_chain[1], "/c2");
	assert_string_equal(c.endorsement_auth_file, "/ea");
	assert_string_equal(c.owner_auth_file, "/oa");
	assert_string_equal(c.user, "agent");
	assert_string_equal(c.containers, "/co");
	assert_int_equal(c.interval_s, 7);
	assert_int_equal(c.tpm_timeout_s, 6);
	assert_int_equal(c.timeout_s, 8);
	assert_int_equal(c.grace_s, 9);
	assert_string_equal(c.log_level, "debug");
}

/* Options win over environment (TCTI), which wins over the file. */
static void test_precedence(void **state)
{
	struct conf_flags f = { .verifier = "https://w", .ca = "/cb", .state_dir = "/t", .ak = "ecc-p256",
				.ak_handle = "0x81010002", .ek = "ecc-p256", .firmware_log = "/gl", .userspace_log = "/vl", .ima_list = "/jl", .ek_cert = "/f", .ek_chain = { 1, { "/d" } },
				.endorsement_auth_file = "/eb", .owner_auth_file = "/ob", .user = "other", .containers = "/cp",
				.interval_s = 1, .tpm_timeout_s = 4, .timeout_s = 2, .grace_s = 3, .log_level = "info" };
	cleanup_conf struct conf c = { 0 };

	(void)state;
	assert_int_equal(setenv("TPM2TOOLS_TCTI", "from tools", 1), 0);
	assert_ok(load(whole, f, &c));
	assert_string_equal(c.tcti, "from tools");
	assert_string_equal(c.socket, "/k");
	assert_string_equal(conf_socket(&f), "/run/assay-attest/attest.sock");
	assert_int_equal(setenv("ASSAY_SOCKET", "/from environment", 1), 0);
	assert_string_equal(c.verifier_url, "https://w");
	assert_string_equal(c.ca_file, "/cb");
	assert_string_equal(c.state_dir, "/t");
	assert_int_equal(c.ak, AK_ECC_P256);
	assert_int_equal(c.ak_handle, 0x81010002);
	assert_int_equal(c.ek, EK_ECC_P256);
	assert_string_equal(c.firmware_log, "/gl");
	assert_string_equal(c.userspace_log, "/vl");
	assert_string_equal(c.ima_list, "/jl");
	assert_string_equal(c.ek_cert, "/f");
	assert_int_equal(c.n_ek_chain, 1);
	assert_string_equal(c.ek_chain[0], "/d");
	assert_string_equal(c.endorsement_auth_file, "/eb");
	assert_string_equal(c.owner_auth_file, "/ob");
	assert_string_equal(c.user, "other");
	assert_string_equal(c.containers, "/cp");
	assert_int_equal(c.interval_s, 1);
	assert_int_equal(c.tpm_timeout_s, 4);
	assert_int_equal(c.timeout_s, 2);
	assert_int_equal(c.grace_s, 3);
	assert_string_equal(c.log_level, "info");
	conf_done(&c);
	assert_int_equal(setenv("ASSAY_TCTI", "from assay", 1), 0);
	assert_ok(load(whole, f, &c));
	assert_string_equal(c.tcti, "from assay");
	assert_string_equal(c.socket, "/from environment");
	assert_string_equal(conf_socket(&f), "/from environment");
	conf_done(&c);
	f.socket = "/from option";
	assert_string_equal(conf_socket(&f), "/from option");
	f.tcti = "from option";
	assert_ok(load(whole, f, &c));
	assert_string_equal(c.tcti, "from option");
}

static void test_refused(void **state)
{
	static const struct {
		const char *json, *words;
	} cases[] = {
		{ "", "" },
		{ "[]", "" },
		{ "{\"verifier\":\"https://v\"}", "verifier" },
		{ "{\"tcti\":\"a\",\"tcti\":\"b\"}", "" },
		{ "{\"tcti\":1}", "tcti" },
		{ "{\"ak\":\"p-521\"}", "p-521" },
		{ "{\"ek\":\"rsa-3072\"}", "rsa-3072" },
		{ "{\"ak_handle\":\"81010001\"}", "81010001" },
		{ "{\"ak_handle\":\"0x81810000\"}", "0x81810000" },
		{ "{\"ak_handle\":\"0x8101000g\"}", "" },
		{ "{\"interval_s\":-1}", "interval_s" },
		{ "{\"interval_s\":86401}", "interval_s" },
		{ "{\"timeout_s\":0}", "timeout_s" },
		{ "{\"tpm_timeout_s\":0}", "tpm_timeout_s" },
		{ "{\"tpm_timeout_s\":601}", "tpm_timeout_s" },
		{ "{\"grace_s\":3601}", "grace_s" },
		{ "{\"log_level\":\"loud\"}", "loud" },
		{ "{\"ek_chain\":\"/c\"}", "ek_chain" },
		{ "{\"ek_chain\":[1]}", "ek_chain" },
		{ "{\"ek_chain\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\"]}", "ek_chain" },
	};
	struct conf_flags none = { 0 }, missing = { .config = "absent.json" };
	struct conf c;

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		why.text[0] = '\0';
		assert_int_equal(load(cases[i].json, none, &c).code, E_LOCAL_CONFIG);
		assert_non_null(strstr(why.text, cases[i].words));
	}
	assert_int_equal(conf_load(&missing, &c, &why).code, E_LOCAL_CONFIG);
	assert_non_null(strstr(why.text, "absent.json"));
}

/* Every key of the file is an option, by a name of its own, and no option is given twice. */
static void test_options(void **state)
{
	struct conf_flags f = { 0 };
	struct opt opts[CONF_OPTS];

	(void)state;
	conf_options(&f, opts);
	for (size_t i = 0; i < CONF_OPTS; i++) {
		assert_non_null(opts[i].name);
		assert_non_null(opts[i].to);
		for (size_t k = 0; k < i; k++) {
			assert_string_not_equal(opts[i].name, opts[k].name);
			assert_ptr_not_equal(opts[i].to, opts[k].to);
		}
	}
}

/* ---------------------------------------------------------------- instances */

static int fd_here(void)
{
	int fd;

	assert_ok(dir_open(AT_FDCWD, ".", &fd));
	return fd;
}

static void fill(struct wkey_blob *key)
{
	assert_ok(buf_add_str(&key->public_area, "public"));
	assert_ok(buf_add_str(&key->private, "private"));
	assert_ok(buf_add_str(&key->auth, "secret"));
}

static void test_instance_files(void **state)
{
	cleanup_wkey_blob struct wkey_blob key = WKEY_BLOB_INIT, back = WKEY_BLOB_INIT;
	char image[] = "/srv/image", select[] = "v1", model[] = "/srv/model";
	struct instance i = { .id = { 0xab }, .agent = "agent", .image = image, .image_select = select, .model = model,
			      .uid = 4711, .started_s = 99 };
	cleanup_instance struct instance r = { 0 };
	cleanup_fd int fd = fd_here();
	struct stat st;

	(void)state;
	fill(&key);
	assert_ok(process_self(&i.parent));
	assert_ok(instance_write(fd, &i, &key));
	assert_ok(instance_read(fd, i.id, &r, &back, &why));
	assert_string_equal(r.agent, "agent");
	assert_string_equal(r.image, image);
	assert_string_equal(r.image_select, select);
	assert_string_equal(r.model, model);
	assert_int_equal(r.uid, 4711);
	assert_int_equal(r.started_s, 99);
	assert_true(process_alive(&r.parent));
	assert_true(bytes_eq(buf_bytes(&back.auth), BYTES_LIT("secret")));
	assert_true(bytes_eq(buf_bytes(&back.private), BYTES_LIT("private")));
	assert_int_equal(stat("instances/ab000000000000000000000000000000/auth", &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(stat("instances", &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_ok(instance_remove(fd, i.id));
	assert_ok(instance_remove(fd, i.id));
	assert_int_equal(instance_read(fd, i.id, &r, NULL, &why).code, E_LOCAL_NOT_FOUND);
}

static void test_damaged_instance(void **state)
{
	static const char *const bad[] = {
		"", "{}", "[]", "{\"agent\":\"a b\"}",
		"{\"agent\":\"a\",\"image\":\"/i\",\"model\":\"/m\",\"uid\":1,\"started\":1,\"pid\":1,\"pid_start\":1,"
		"\"pid_boot\":\"b\",\"more\":1}",
		"{\"agent\":\"a\",\"image\":\"/i\",\"model\":\"/m\",\"uid\":1,\"started\":1,\"pid\":-1,\"pid_start\":1,"
		"\"pid_boot\":\"b\"}",
	};
	const uint8_t id[INSTANCE_ID_LEN] = { 1 };
	cleanup_instance struct instance r = { 0 };
	cleanup_fd int fd = fd_here();

	(void)state;
	assert_ok(dir_make("instances/01000000000000000000000000000000", 0700));
	for (size_t i = 0; i < array_len(bad); i++) {
		put_text("instances/01000000000000000000000000000000/instance.json", bad[i]);
		assert_true(failed(instance_read(fd, id, &r, NULL, &why)));
		assert_null(r.image);
	}
}

static bool keep_first(void *ctx, const uint8_t id[INSTANCE_ID_LEN])
{
	(*(unsigned *)ctx)++;
	return id[0] == 1;
}

static void test_prune(void **state)
{
	cleanup_fd int fd = fd_here();
	unsigned asked = 0;

	(void)state;
	assert_ok(instance_prune(fd, keep_first, &asked));
	assert_ok(dir_make("instances/01000000000000000000000000000000", 0700));
	assert_ok(dir_make("instances/02000000000000000000000000000000", 0700));
	put_text("instances/02000000000000000000000000000000/auth", "x");
	assert_ok(dir_make("instances/01000000000000000000000000000000.new", 0700));
	assert_ok(instance_prune(fd, keep_first, &asked));
	assert_int_equal(asked, 2);
	assert_int_equal(access("instances/01000000000000000000000000000000", F_OK), 0);
	assert_int_equal(access("instances/02000000000000000000000000000000", F_OK), -1);
	assert_int_equal(access("instances/01000000000000000000000000000000.new", F_OK), -1);
}

static void test_instance_ids(void **state)
{
	static const char *const bad[] = { "", "01", "0100000000000000000000000000000g",
					   "0100000000000000000000000000000A", "010000000000000000000000000000000",
					   "../00000000000000000000000000000" };
	uint8_t id[INSTANCE_ID_LEN];
	char hex[INSTANCE_HEX_LEN + 1];

	(void)state;
	for (size_t i = 0; i < array_len(bad); i++)
		assert_true(failed(instance_id_parse(bad[i], id)));
	assert_ok(instance_id_parse("0123456789abcdef0123456789abcdef", id));
	instance_id_format(id, hex);
	assert_string_equal(hex, "0123456789abcdef0123456789abcdef");
}

static void test_processes(void **state)
{
	struct process_id self, other;
	pid_t pid;

	(void)state;
	assert_ok(process_self(&self));
	assert_true(process_alive(&self));
	other = self;
	other.start++;
	assert_false(process_alive(&other));
	other = self;
	other.boot[0] = other.boot[0] == '0' ? '1' : '0';
	assert_false(process_alive(&other));
	pid = fork();
	if (pid == 0)
		_exit(0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	other = self;
	other.pid = pid;
	assert_false(process_alive(&other));
}

/* ---------------------------------------------------------------- isolation */

static bool has_path(const struct buf *b, const char *path)
{
	for (size_t at = 0; at < b->n; at += strlen((const char *)b->p + at) + 1)
		if (strcmp((const char *)b->p + at, path) == 0)
			return true;
	return false;
}

static void test_access_paths(void **state)
{
	static const struct {
		const char *tcti, *path; /* path NULL: refused */
	} cases[] = {
		{ "device:/dev/mytpm", "/dev/mytpm" },
		{ "libtss2-tcti-device.so.0:/dev/mytpm", "/dev/mytpm" },
		{ "swtpm:path=/run/x/sock", "/run/x/sock" },
		{ "swtpm:path=/run/x/sock", "/run/x/sock.ctrl" },
		{ "swtpm:host=a,path=/y", "/y" },
		{ "mssim:path=/z", "/z.ctrl" },
		{ "swtpm", NULL },
		{ "swtpm:host=localhost,port=2321", NULL },
		{ "swtpm:xpath=/y", NULL },
		{ "mssim:host=localhost", NULL },
		{ "tabrmd:bus_type=system", NULL },
		{ "cmd:/usr/bin/swtpm", NULL },
		{ "pcap:device:/dev/tpm0", NULL },
		{ "devices:/dev/x", NULL },
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		cleanup_buf struct buf b = BUF_INIT(16384);
		struct err e = tpm_access_paths(cases[i].tcti, &b, &why);

		assert_int_equal(e.code, cases[i].path == NULL ? E_LOCAL_PERMISSION : E_OK);
		assert_true(cases[i].path == NULL || has_path(&b, cases[i].path));
	}
}

static void test_users(void **state)
{
	struct user u;

	(void)state;
	assert_ok(user_find("root", &u, &why));
	assert_int_equal(u.uid, 0);
	assert_string_equal(u.name, "root");
	assert_ok(user_find("0", &u, &why));
	assert_string_equal(u.name, "root");
	assert_ok(user_find("4294967000", &u, &why));
	assert_int_equal(u.gid, 4294967000u);
	assert_string_equal(u.name, "");
	assert_int_equal(user_find("no such user", &u, &why).code, E_LOCAL_NOT_FOUND);
	assert_int_equal(user_find("-1", &u, &why).code, E_LOCAL_NOT_FOUND);
	assert_int_equal(user_find("4294967295", &u, &why).code, E_LOCAL_NOT_FOUND);
}

/* ---------------------------------------------------------------- enrolment */

static void test_enrolment(void **state)
{
	cleanup_enrolment struct enrolment en = ENROLMENT_INIT, back = ENROLMENT_INIT, none = ENROLMENT_INIT;
	cleanup_fd int fd = fd_here();
	struct stat st;

	(void)state;
	assert_int_equal(enrolment_read(fd, &none, &why).code, E_LOCAL_NOT_FOUND);
	strcpy(en.host_id, "h-00112233445566778899aabbccddeeff");
	strcpy(en.issuer, "https://issuer");
	strcpy(en.verifier_url, "https://verifier:1");
	strcpy(en.state, "PENDING");
	en.ek_sha256[3] = 7;
	en.ek_name = (struct tpm_name){ .n = 34, .v = { 0x00, 0x0b, 1 } };
	en.ak_name = (struct tpm_name){ .n = 34, .v = { 0x00, 0x0b, 2 } };
	en.ek = EK_ECC_P384;
	en.ak = AK_RSA_2048;
	en.ak_handle = AK_HANDLE;
	assert_ok(buf_add_str(&en.ca_pem, "the CA"));
	assert_ok(enrolment_write(fd, &en));
	assert_int_equal(stat("enrolment.json", &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_ok(enrolment_read(fd, &back, &why));
	assert_string_equal(back.host_id, en.host_id);
	assert_string_equal(back.issuer, en.issuer);
	assert_string_equal(back.verifier_url, en.verifier_url);
	assert_memory_equal(back.ek_sha256, en.ek_sha256, 32);
	assert_memory_equal(&back.ak_name, &en.ak_name, sizeof(en.ak_name));
	assert_int_equal(back.ek, EK_ECC_P384);
	assert_int_equal(back.ak, AK_RSA_2048);
	assert_int_equal(back.ak_handle, AK_HANDLE);
	assert_true(bytes_eq(buf_bytes(&back.ca_pem), BYTES_LIT("the CA")));
	assert_int_equal(unlink("ca.pem"), 0);
	assert_int_equal(enrolment_read(fd, &none, &why).code, E_LOCAL_NOT_FOUND);
	assert_non_null(strstr(why.text, "ca.pem"));
}

/* One text for another in enrolment.json. */
static void edit_enrolment(int fd, const char *was, const char *is)
{
	cleanup_buf struct buf b = BUF_INIT(4 * KIB), out = BUF_INIT(4 * KIB);
	const uint8_t *at;
	size_t before;

	assert_ok(file_read(fd, "enrolment.json", &b));
	at = memmem(b.p, b.n, was, strlen(was));
	assert_non_null(at);
	before = (size_t)(at - b.p);
	assert_ok(buf_add(&out, BYTES(b.p, before)));
	assert_ok(buf_add_str(&out, is));
	assert_ok(buf_add(&out, BYTES(at + strlen(was), b.n - before - strlen(was))));
	assert_ok(file_write(fd, "enrolment.json", buf_bytes(&out), 0600));
}

/* Which EK a host enrolled with: none is recorded by hosts of before there was a choice; "auto" is no kind. */
static void test_enrolled_ek(void **state)
{
	struct enrolment en = ENROLMENT_INIT;
	cleanup_fd int fd = fd_here();

	(void)state;
	strcpy(en.host_id, "h-00112233445566778899aabbccddeeff");
	en.ek_name = (struct tpm_name){ .n = 34, .v = { 0x00, 0x0b, 1 } };
	en.ak_name = en.ek_name;
	en.ek = EK_ECC_P256;
	assert_ok(enrolment_write(fd, &en));
	edit_enrolment(fd, "\"ecc-p256\"", "\"auto\"");
	assert_int_equal(enrolment_read(fd, &en, &why).code, E_PEER_UNSUPPORTED);
	edit_enrolment(fd, "\"auto\"", "\"ecc-p521\"");
	assert_int_equal(enrolment_read(fd, &en, &why).code, E_PEER_UNSUPPORTED);
	edit_enrolment(fd, "\"ek\": \"ecc-p521\",", "");
	en.ek = EK_AUTO;
	assert_ok(enrolment_read(fd, &en, &why));
	assert_int_equal(en.ek, EK_RSA_2048);
	enrolment_done(&en);
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, enter, folder_leave)
	static const struct CMUnitTest tests[] = {
		IN_FOLDER(test_defaults),	IN_FOLDER(test_file),	       IN_FOLDER(test_precedence),
		IN_FOLDER(test_refused),	IN_FOLDER(test_options),       IN_FOLDER(test_instance_files),
		IN_FOLDER(test_damaged_instance), IN_FOLDER(test_prune),       IN_FOLDER(test_instance_ids),
		IN_FOLDER(test_processes),	IN_FOLDER(test_access_paths),  IN_FOLDER(test_users),
		IN_FOLDER(test_enrolment),	IN_FOLDER(test_enrolled_ek),
	};

	return cmocka_run_group_tests_name("attest-conf", tests, NULL, NULL);
}
