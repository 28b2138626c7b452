/* SPDX-License-Identifier: Apache-2.0 */
/* Images in tar archives: of OCI layouts, of docker save and podman save, and hostile ones. */
#include "folder.h"

#include "base/file.h"
#include "firmware-measure/model.h"
#include "firmware-measure/oci.h"
#include "tests/support/fault.h"
#include "tests/support/imagebuild.h"
#include "tests/support/tarbuild.h"

static struct image_build *image;

static int enter(void **state)
{
	if (folder_enter(state) != 0)
		return -1;
	image = image_build_new();
	image_layer(image, "", BYTES_LIT("first layer"), BYTES_LIT("first layer"));
	image_layer(image, "+gzip", BYTES_LIT("second layer"), BYTES_LIT("the second layer"));
	image_finish(image, "v1");
	return 0;
}

static int leave(void **state)
{
	image_build_free(image);
	return folder_leave(state);
}

static struct image_report *measure(const char *path, const char *selector, struct err *ret_e, struct reason *why)
{
	struct image_report *r = calloc(1, sizeof(*r));

	assert_non_null(r);
	*ret_e = oci_measure(path, selector, r, why);
	return r;
}

static void refused(const char *what, const char *selector, enum err_code want, const char *words)
{
	struct reason why = { "" };
	struct err e;
	cleanup_free struct image_report *r = measure("a.tar", selector, &e, &why);

	if (e.code != want || strstr(why.text, words) == NULL)
		fail_msg("%s: %s \"%s\" instead of %s \"...%s...\"", what, err_name(e), why.text, err_name(ERR(want)),
			 words);
	assert_int_equal(r->n_bytes, 0);
}

static void W4_archive_is_its_folder(void **state)
{
	struct reason why = { "" };
	struct err e;

	(void)state;
	image_write_folder(image, "i");
	image_write_archive(image, "a.tar");
	{
		cleanup_free struct image_report *folder_r = measure("i", "v1", &e, &why);
		cleanup_free struct image_report *r = measure("a.tar", "v1", &e, &why);

		if (failed(e))
			fail_msg("%s: %s", err_name(e), why.text);
		assert_hex(r->digests.manifest, image->manifest_hex);
		assert_memory_equal(r, folder_r, sizeof(*r));
	}
	refused("another tag", "v2", E_LOCAL_NOT_FOUND, "tag v2");
}

static void W4_blobs_in_an_archive(void **state)
{
	char name[128];

	(void)state;
	(void)snprintf(name, sizeof(name), "blobs/sha256/%s", image->manifest_hex);
	image_drop(image, name);
	image_write_archive(image, "a.tar");
	refused("no manifest", "v1", E_LOCAL_NOT_FOUND, image->manifest_hex);
	image_finish(image, "v1");

	(void)snprintf(name, sizeof(name), "blobs/sha256/%s", image->diff_id[0]);
	image_put(image, name, BYTES_LIT("First layer"));
	image_write_archive(image, "a.tar");
	refused("a layer changed", "v1", E_PEER_DIGEST, image->diff_id[0]);
	image_put(image, name, BYTES_LIT("first layer and more"));
	image_write_archive(image, "a.tar");
	refused("a longer layer", "v1", E_PEER_RANGE, "has 20 bytes, its descriptor says 11");
	image_drop(image, name);
	image_write_archive(image, "a.tar");
	refused("no layer", "v1", E_LOCAL_NOT_FOUND, image->diff_id[0]);
}

/* The archive of the image with one member more. */
static void write_with(const struct tar_member *m)
{
	cleanup_buf struct buf b = BUF_INIT(MIB), more = BUF_INIT(MIB);

	image_write_archive(image, "a.tar");
	assert_ok(file_read(AT_FDCWD, "a.tar", &b));
	tar_put(&more, m);
	assert_ok(buf_truncate(&b, b.n - 2 * TAR_BLOCK_LEN));
	assert_ok(buf_add(&b, buf_bytes(&more)));
	tar_put_end(&b);
	assert_ok(file_write(AT_FDCWD, "a.tar", buf_bytes(&b), 0600));
}
#define WRITE_WITH(...) write_with(&(const struct tar_member){ __VA_ARGS__ })

static void W4_hostile_members(void **state)
{
	(void)state;
	WRITE_WITH(.name = "other", .content = "x");
	{
		struct reason why = { "" };
		struct err e;
		cleanup_free struct image_report *r = measure("a.tar", "v1", &e, &why);

		assert_ok(e);
		assert_hex(r->digests.manifest, image->manifest_hex);
	}
	WRITE_WITH(.name = "../index.json", .content = "{}");
	refused("traversal", "v1", E_PEER_RANGE, "../index.json");
	WRITE_WITH(.name = "/etc/passwd", .content = "x");
	refused("absolute", "v1", E_PEER_RANGE, "/etc/passwd");
	WRITE_WITH(.name = "a\nb", .content = "x");
	refused("newline", "v1", E_PEER_SYNTAX, "a\\x0ab");
	WRITE_WITH(.name = "a\xff", .content = "x");
	refused("not UTF-8", "v1", E_PEER_SYNTAX, "a\\xff");
	WRITE_WITH(.name = "index.json", .content = "{}");
	refused("a second index", "v1", E_PEER_DUPLICATE, "index.json stands in the archive twice");
	WRITE_WITH(.name = "./blobs//../index.json", .content = "{}");
	refused("a second index by another name", "v1", E_PEER_RANGE, "..");
	WRITE_WITH(.name = ".//index.json", .content = "{}");
	refused("a second index with slashes", "v1", E_PEER_DUPLICATE, "index.json stands in the archive twice");
	WRITE_WITH(.name = "link", .type = '1', .link = "/etc/shadow");
	refused("hard link", "v1", E_PEER_UNSUPPORTED, "link is a hard link");
	WRITE_WITH(.name = "fifo", .type = '6');
	refused("FIFO", "v1", E_PEER_UNSUPPORTED, "fifo is a FIFO");
	WRITE_WITH(.name = "device", .type = '3');
	refused("device", "v1", E_PEER_UNSUPPORTED, "device is a device");
	WRITE_WITH(.name = "sparse", .type = 'S');
	refused("sparse", "v1", E_PEER_UNSUPPORTED, "sparse");
	WRITE_WITH(.name = "x", .content = "y", .pax = "GNU.sparse.realsize=1000000000000\n");
	refused("sparse by pax", "v1", E_PEER_UNSUPPORTED, "GNU.sparse.realsize");
}

static void W4_links_in_an_archive(void **state)
{
	(void)state;
	image_drop(image, "index.json");
	WRITE_WITH(.name = "index.json", .type = '2', .link = "/etc/passwd");
	refused("index.json is a link", "v1", E_PEER_UNSUPPORTED, "index.json is a symbolic link");
}

static void W4_truncated_archive(void **state)
{
	cleanup_buf struct buf b = BUF_INIT(MIB);

	(void)state;
	image_write_archive(image, "a.tar");
	assert_ok(file_read(AT_FDCWD, "a.tar", &b));
	for (size_t n = TAR_BLOCK_LEN; n < b.n; n += 300) {
		assert_ok(file_write(AT_FDCWD, "a.tar", BYTES(b.p, n), 0600));
		refused("cut", "v1", E_PEER_TRUNCATED, "ends");
	}
	assert_ok(file_write(AT_FDCWD, "a.tar", BYTES(b.p, 100), 0600));
	refused("no header even", "v1", E_PEER_UNSUPPORTED, "neither a folder nor a tar archive");
	assert_ok(file_write(AT_FDCWD, "a.tar", BYTES_NONE, 0600));
	refused("nothing", "v1", E_PEER_UNSUPPORTED, "neither a folder nor a tar archive");
}

static void other_files(void **state)
{
	(void)state;
	put("a.tar", "\x1f\x8b\x08\x00\x00\x00\x00\x00", 8);
	refused("gzip", "v1", E_PEER_UNSUPPORTED, "a.tar is compressed (gzip)");
	put("a.tar", "\x28\xb5\x2f\xfd\x00\x00\x00\x00", 8);
	refused("zstd", "v1", E_PEER_UNSUPPORTED, "a.tar is compressed (zstd)");
	put_text("a.tar", "{\"imageLayoutVersion\":\"1.0.0\"}");
	refused("a document", "v1", E_PEER_UNSUPPORTED, "neither a folder nor a tar archive");
	assert_int_equal(unlink("a.tar"), 0);
	assert_int_equal(mkfifo("a.tar", 0600), 0);
	refused("a FIFO", "v1", E_PEER_UNSUPPORTED, "a.tar");
	assert_int_equal(unlink("a.tar"), 0);
	image_write_archive(image, "b.tar");
	assert_int_equal(symlink("b.tar", "a.tar"), 0);
	refused("a symbolic link", "v1", E_PEER_UNSUPPORTED, "a.tar is a symbolic link");
}

static void too_many_members(void **state)
{
	cleanup_buf struct buf b = BUF_INIT(64 * MIB);
	char name[16];

	(void)state;
	for (unsigned i = 0; i <= LIMIT_ARCHIVE_MEMBERS; i++) {
		(void)snprintf(name, sizeof(name), "%u", i);
		TAR_PUT(&b, .name = name);
	}
	tar_put_end(&b);
	assert_ok(file_write(AT_FDCWD, "a.tar", buf_bytes(&b), 0600));
	refused("members", NULL, E_LIMIT_COUNT, "more than 65536 files");
}

/* A file that claims to be larger than anything is not even looked into. */
static void sparse_archive(void **state)
{
	(void)state;
	image_write_archive(image, "a.tar");
	if (truncate("a.tar", (off_t)LIMIT_IMAGE_BYTES + 512) == 0)
		refused("sparse", "v1", E_LIMIT_SIZE, "at most");
	image_write_archive(image, "a.tar");
	assert_int_equal(truncate("a.tar", 1 << 30), 0);
	refused("a gigabyte of zeros", "v1", E_LIMIT_SIZE, "zeros");
}

static void change_archive(void *ctx, uint64_t done, uint64_t total)
{
	int fd;

	(void)total;
	if (done > 0)
		return;
	if (ctx == NULL) {
		assert_int_equal(truncate("a.tar", 1024), 0);
		return;
	}
	fd = open("a.tar", O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "X", 1, 1000), 1);
	assert_int_equal(close(fd), 0);
}

static void W4_archive_changed_while_read(void **state)
{
	int once = 1;
	struct model_options shrinks = { .progress = change_archive },
			     changes = { .progress = change_archive, .ctx = &once };
	cleanup_free struct image_report *r = calloc(1, sizeof(*r));
	struct reason why = { "" };

	(void)state;
	assert_non_null(r);
	image_write_archive(image, "a.tar");
	assert_err(oci_measure_with("a.tar", "v1", &changes, r, &why), E_PEER_CHANGED);
	assert_non_null(strstr(why.text, "changed while it was read"));
	image_write_archive(image, "a.tar");
	assert_err(oci_measure_with("a.tar", "v1", &shrinks, r, &why), E_PEER_CHANGED);
	assert_int_equal(r->n_bytes, 0);
}

/* The text with the first HEX in it replaced. */
static void put_hex(char *to, size_t n, const char *text, const char *hex)
{
	const char *at = strstr(text, "HEX");

	if (at == NULL)
		(void)snprintf(to, n, "%s", text);
	else
		(void)snprintf(to, n, "%.*s%s%s", (int)(at - text), text, hex, at + 3);
}

/* An archive as podman save writes it, and docker save did up to version 24. */
static void write_docker(const char *manifest)
{
	static const char format[] = "{\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:%s\","
				     "\"sha256:%s\"]}}";
	struct image_build *b = image_build_new();
	char config[400], name[160], first[65], second[65], text[1000];

	image_hex(BYTES_LIT("layer 1"), first);
	image_hex(BYTES_LIT("layer 2"), second);
	(void)snprintf(config, sizeof(config), format, first, second);
	image_hex(bytes_str(config), b->config_hex);
	(void)snprintf(name, sizeof(name), "%s.json", b->config_hex);
	image_put(b, name, bytes_str(config));
	image_put(b, "1/layer.tar", BYTES_LIT("layer 1"));
	image_put(b, "2.tar", BYTES_LIT("layer 2"));
	image_put(b, "repositories", BYTES_LIT("{}"));
	put_hex(text, sizeof(text), manifest, b->config_hex);
	image_put(b, "manifest.json", bytes_str(text));
	image_write_archive(b, "a.tar");
	image_build_free(b);
}

#define GOOD_LAYERS "\"Layers\":[\"1/layer.tar\",\"2.tar\"]"

static void docker_archives(void **state)
{
	/* Worked out by hand, with sha256sum: the text that oci_docker.h describes. */
	static const char identity[] =
		"{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"config\":"
		"{\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"digest\":\"sha256:%s\",\"size\":%zu},"
		"\"layers\":[{\"mediaType\":\"application/"
		"vnd.oci.image.layer.v1.tar\",\"digest\":\"sha256:%s\",\"size\":7},"
		"{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar\",\"digest\":\"sha256:%s\",\"size\":7}]}";
	char config[400], first[65], second[65], config_hex[65], text[1000], want[65], selector[80];
	struct reason why = { "" };
	struct err e;

	(void)state;
	image_hex(BYTES_LIT("layer 1"), first);
	image_hex(BYTES_LIT("layer 2"), second);
	(void)snprintf(config, sizeof(config),
		       "{\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:%s\",\"sha256:%s\"]}}",
		       first, second);
	image_hex(bytes_str(config), config_hex);
	(void)snprintf(text, sizeof(text), identity, config_hex, strlen(config), first, second);
	image_hex(bytes_str(text), want);
	(void)snprintf(selector, sizeof(selector), "sha256:%s", want);

	write_docker("[{\"Config\":\"HEX.json\",\"RepoTags\":[\"example.com/a:v1\"]," GOOD_LAYERS "}]");
	{
		static const char *const tags[] = { "v1", "example.com/a:v1" };

		for (size_t i = 0; i < array_len(tags); i++) {
			cleanup_free struct image_report *r = measure("a.tar", tags[i], &e, &why);

			if (failed(e))
				fail_msg("%s: %s", err_name(e), why.text);
			assert_hex(r->digests.manifest, want);
			assert_hex(r->digests.config, config_hex);
			assert_hex(r->layer[0], first);
			assert_hex(r->layer[1], second);
			assert_int_equal(r->n_bytes, strlen(config) + 14);
			assert_string_equal(r->tag, tags[i]);
		}
		for (size_t i = 0; i < 2; i++) {
			cleanup_free struct image_report *r = measure("a.tar", i == 0 ? NULL : selector, &e, &why);

			assert_ok(e);
			assert_hex(r->digests.manifest, want);
			assert_string_equal(r->tag, "");
		}
	}
	refused("another tag", "v2", E_LOCAL_NOT_FOUND, "v2: no such image");
	refused("the repository alone", "example.com/a", E_LOCAL_NOT_FOUND, "no such image");
	selector[10] ^= 1;
	refused("another digest", selector, E_LOCAL_NOT_FOUND, "no such image");
}

static void docker_archives_refused(void **state)
{
	static const struct {
		const char *manifest;
		enum err_code want;
		const char *words;
	} cases[] = {
		{ "[{\"Config\":\"HEX.json\",\"Layers\":[\"2.tar\",\"1/layer.tar\"]}]", E_PEER_DIGEST, "has the digest" },
		{ "[{\"Config\":\"HEX.json\",\"Layers\":[\"1/layer.tar\"]}]", E_PEER_RANGE,
		  "2 layers, manifest.json names 1" },
		{ "[{\"Config\":\"HEX.json\",\"Layers\":null}]", E_PEER_RANGE, "2 layers, manifest.json names 0" },
		{ "[{\"Config\":\"HEX.json\",\"Layers\":[\"1/layer.tar\",\"3.tar\"]}]", E_LOCAL_NOT_FOUND, "3.tar" },
		{ "[{\"Config\":\"HEX.json\",\"Layers\":[\"1/layer.tar\",\"../2.tar\"]}]", E_LOCAL_NOT_FOUND,
		  "../2.tar" },
		{ "[{\"Config\":\"HEX.json\",\"Layers\":[\"1/layer.tar\",7]}]", E_PEER_TYPE, "Layers[1]" },
		{ "[{\"Config\":\"xHEX.json\"," GOOD_LAYERS "}]", E_LOCAL_NOT_FOUND, ".json" },
		{ "[{\"Config\":\"repositories\",\"Layers\":[],\"HEX\":0}]", E_PEER_MISSING, "rootfs" },
		{ "[{\"Config\":\"HEX.json\"," GOOD_LAYERS "},{\"Config\":\"x\"}]", E_PEER_DUPLICATE,
		  "more than one image" },
		{ "[]", E_PEER_TYPE, "a list of images" },
		{ "{\"Config\":\"HEX.json\"}", E_PEER_TYPE, "a list of images" },
		{ "[{\"Layers\":[],\"HEX\":0}]", E_PEER_MISSING, "Config" },
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		write_docker(cases[i].manifest);
		refused(cases[i].manifest, NULL, cases[i].want, cases[i].words);
	}
}

/* The name of a configuration is a digest: another one under that name is none. */
static void docker_config_has_its_digest(void **state)
{
	struct image_build *b = image_build_new();
	const char *config = "{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}}";
	char hex[65], name[128], manifest[256];

	(void)state;
	image_hex(bytes_str(config), hex);
	hex[0] = hex[0] == '0' ? '1' : '0';
	(void)snprintf(name, sizeof(name), "%s.json", hex);
	(void)snprintf(manifest, sizeof(manifest), "[{\"Config\":\"%s\",\"Layers\":[]}]", name);
	image_put(b, name, bytes_str(config));
	image_put(b, "manifest.json", bytes_str(manifest));
	image_write_archive(b, "a.tar");
	image_build_free(b);
	refused("config", NULL, E_PEER_DIGEST, name);
}

/* docker load would take manifest.json, so it may not tell another image than index.json. */
static void manifest_json_beside_index_json(void **state)
{
	static const char format[] =
		"[{\"Config\":\"blobs/sha256/%s\",\"Layers\":[\"blobs/sha256/%s\",\"blobs/sha256/%s\"]}]";
	char text[600], second[65];
	struct reason why = { "" };
	struct err e;

	(void)state;
	image_hex(BYTES_LIT("second layer"), second);
	(void)snprintf(text, sizeof(text), format, image->config_hex, image->diff_id[0], second);
	image_put(image, "manifest.json", bytes_str(text));
	image_write_archive(image, "a.tar");
	{
		cleanup_free struct image_report *r = measure("a.tar", "v1", &e, &why);

		if (failed(e))
			fail_msg("%s: %s", err_name(e), why.text);
		assert_hex(r->digests.manifest, image->manifest_hex);
	}
	(void)snprintf(text, sizeof(text), format, image->config_hex, second, image->diff_id[0]);
	image_put(image, "manifest.json", bytes_str(text));
	image_write_archive(image, "a.tar");
	refused("other layers", "v1", E_PEER_RANGE, "another image");
	(void)snprintf(text, sizeof(text), format, second, image->diff_id[0], second);
	image_put(image, "manifest.json", bytes_str(text));
	image_write_archive(image, "a.tar");
	refused("another configuration", "v1", E_PEER_RANGE, "another image");
	image_put(image, "manifest.json", BYTES_LIT("{}"));
	image_write_archive(image, "a.tar");
	refused("no list", "v1", E_PEER_TYPE, "manifest.json");
}

static void failing_allocations(void **state)
{
	struct model_options o = { .jobs = 1 };
	struct err e;
	long k = 0;

	(void)state;
	write_docker("[{\"Config\":\"HEX.json\",\"RepoTags\":[\"example.com/a:v1\"]," GOOD_LAYERS "}]");
	do {
		struct image_report *r = calloc(1, sizeof(*r));
		struct reason why = { "" };

		assert_non_null(r);
		fault_begin(k++);
		e = oci_measure_with("a.tar", "v1", &o, r, &why);
		(void)fault_end();
		if (failed(e)) {
			assert_true(e.code == E_LOCAL_MEMORY || e.code == E_LOCAL_CRYPTO);
			assert_int_equal(r->n_bytes, 0);
		}
		free(r);
	} while (failed(e));
	assert_true(k > 20);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, enter, leave)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(W4_archive_is_its_folder),
		TEST(W4_blobs_in_an_archive),
		TEST(W4_hostile_members),
		TEST(W4_links_in_an_archive),
		TEST(W4_truncated_archive),
		TEST(other_files),
		TEST(too_many_members),
		TEST(sparse_archive),
		TEST(W4_archive_changed_while_read),
		TEST(docker_archives),
		TEST(docker_archives_refused),
		TEST(docker_config_has_its_digest),
		TEST(manifest_json_beside_index_json),
		TEST(failing_allocations),
	};

	fault_init();
	return cmocka_run_group_tests_name("oci-archive", tests, NULL, NULL);
}
