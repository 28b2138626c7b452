/* SPDX-License-Identifier: Apache-2.0 */
/* An image as another project's tool makes it: umoci, with this program as its only file. */
#include "folder.h"

#include <spawn.h>
#include <sys/wait.h>

#include "base/file.h"
#include "base/json.h"
#include "firmware-measure/oci.h"

extern char **environ;

/* Exit status of umoci with these arguments, its words to /dev/null; -1 where it cannot be run. */
static int umoci(char *const argv[])
{
	posix_spawn_file_actions_t quiet;
	int status, failed_with;
	pid_t pid;

	if (posix_spawn_file_actions_init(&quiet) != 0 ||
	    posix_spawn_file_actions_addopen(&quiet, 1, "/dev/null", O_WRONLY, 0) != 0 ||
	    posix_spawn_file_actions_adddup2(&quiet, 1, 2) != 0)
		return -1;
	failed_with = posix_spawnp(&pid, "umoci", &quiet, NULL, argv, environ);
	(void)posix_spawn_file_actions_destroy(&quiet);
	if (failed_with != 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#define UMOCI(...) umoci((char *const[]){ (char[]){ "umoci" }, __VA_ARGS__, NULL })
#define ARG(s) ((char[]){ s })

static int make_image(void **state)
{
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n <= 0 || folder_enter(state) != 0)
		return -1;
	self[n] = '\0';
	if (UMOCI(ARG("init"), ARG("--layout"), ARG("i")) != 0 || UMOCI(ARG("new"), ARG("--image"), ARG("i:base")) != 0)
		return -1;
	return UMOCI(ARG("insert"), ARG("--rootless"), ARG("--image"), ARG("i:base"), ARG("--tag"), ARG("v1"), self,
		     ARG("/bin/agent"));
}

static json_t *read_json(const char *path)
{
	cleanup_buf struct buf b = BUF_INIT(MIB);
	json_t *j = NULL;

	assert_ok(file_read(AT_FDCWD, path, &b));
	assert_ok(json_parse(buf_bytes(&b), MIB, &j, NULL));
	return j;
}

static const char *digest_of_tag(const json_t *index, const char *tag)
{
	const json_t *list = json_object_get(index, "manifests");

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *d = json_array_get(list, i);
		const json_t *name = json_object_get(json_object_get(d, "annotations"),
						     "org.opencontainers.image.ref.name");

		if (name != NULL && strcmp(json_string_value(name), tag) == 0)
			return json_string_value(json_object_get(d, "digest"));
	}
	fail_msg("umoci wrote no tag %s", tag);
	return NULL;
}

static void assert_digest(const uint8_t got[32], const char *want)
{
	char text[80] = "sha256:";

	assert_ok(hex_encode(BYTES(got, 32), text + 7, sizeof(text) - 7));
	assert_string_equal(text, want);
}

static void blob_path(const char *digest, char path[128])
{
	(void)snprintf(path, 128, "i/blobs/sha256/%s", digest + strlen("sha256:"));
}

static void what_umoci_says(void **state)
{
	cleanup_json json_t *index = read_json("i/index.json"), *manifest = NULL;
	cleanup_free struct image_report *r = calloc(1, sizeof(*r));
	const char *digest = digest_of_tag(index, "v1");
	struct reason why = { "" };
	const json_t *layers;
	char path[128];

	(void)state;
	assert_non_null(r);
	assert_ok(oci_measure("i", "v1", r, &why));
	assert_digest(r->digests.manifest, digest);
	blob_path(digest, path);
	manifest = read_json(path);
	assert_digest(r->digests.config,
		      json_string_value(json_object_get(json_object_get(manifest, "config"), "digest")));
	layers = json_object_get(manifest, "layers");
	assert_int_equal(r->n_layers, json_array_size(layers));
	assert_int_equal(r->n_layers, 1);
	assert_digest(r->layer[0], json_string_value(json_object_get(json_array_get(layers, 0), "digest")));
	assert_true(r->n_bytes > 1000);

	/* Its image without a layer, by digest. */
	assert_ok(oci_measure("i", digest_of_tag(index, "base"), r, &why));
	assert_int_equal(r->n_layers, 0);
	assert_err(oci_measure("i", NULL, r, &why), E_PEER_DUPLICATE);
}

static void W4_layer_changed(void **state)
{
	cleanup_free struct image_report *r = calloc(1, sizeof(*r));
	struct reason why = { "" };
	char digest[80] = "sha256:", path[128];
	struct stat st;
	uint8_t b;
	int fd;

	(void)state;
	assert_non_null(r);
	assert_ok(oci_measure("i", "v1", r, &why));
	assert_ok(hex_encode(BYTES_ARR(r->layer[0]), digest + 7, sizeof(digest) - 7));
	blob_path(digest, path);
	assert_int_equal(chmod(path, 0600), 0);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(pread(fd, &b, 1, st.st_size / 2), 1);
	b ^= 0x10;
	assert_int_equal(pwrite(fd, &b, 1, st.st_size / 2), 1);
	assert_int_equal(close(fd), 0);
	assert_err(oci_measure("i", "v1", r, &why), E_PEER_DIGEST);
	assert_non_null(strstr(why.text, digest + 7));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_umoci_says),
		cmocka_unit_test(W4_layer_changed),
	};

	if (UMOCI(ARG("--version")) != 0) {
		(void)printf("1..0 # SKIP umoci is not installed\n");
		return 0;
	}
	return cmocka_run_group_tests_name("oci-umoci", tests, make_image, folder_leave);
}
