/* SPDX-License-Identifier: Apache-2.0 */
/* Indexes that hold one image for several platforms, nested and not, in a folder and in an archive. */
#include "folder.h"

#include "firmware-measure/oci.h"
#include "firmware-measure/oci_json.h"
#include "tests/support/imagebuild.h"

#define MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define INDEX "application/vnd.oci.image.index.v1+json"
#define LINUX(a) "\"os\":\"linux\",\"architecture\":\"" a "\""
#define ARM(v) LINUX("arm") ",\"variant\":\"" v "\""

static struct image_build *image;
static const char *const platforms[] = { LINUX("amd64"), LINUX("arm64"), ARM("v6"), ARM("v7") };
static char manifest[array_len(platforms)][65];
static char descriptors[4096]; /* one for each platform */

static void describe(char *to, size_t n, const char *type, const char *hex, size_t size, const char *more)
{
	(void)snprintf(to, n, "{\"mediaType\":\"%s\",\"digest\":\"sha256:%s\",\"size\":%zu%s}", type, hex, size, more);
}

/* index.json with the descriptors of all, or with one of an index that has them. */
static void put_index(bool nested, const char *tag)
{
	char text[8192], hex[65], annotations[256], one[1024];

	(void)snprintf(annotations, sizeof(annotations),
		       ",\"annotations\":{\"org.opencontainers.image.ref.name\":\"%s\"}", tag);
	(void)snprintf(text, sizeof(text), "{\"schemaVersion\":2,\"manifests\":[%s]}", descriptors);
	if (nested) {
		image_blob(image, bytes_str(text), hex);
		describe(one, sizeof(one), INDEX, hex, strlen(text), annotations);
		(void)snprintf(text, sizeof(text), "{\"schemaVersion\":2,\"manifests\":[%s]}", one);
	}
	image_put(image, "index.json", bytes_str(text));
	image_write_archive(image, "a.tar");
}

static int enter(void **state)
{
	if (folder_enter(state) != 0)
		return -1;
	image = image_build_new();
	image_layer(image, "", BYTES_LIT("layer"), BYTES_LIT("layer"));
	descriptors[0] = '\0';
	for (size_t i = 0; i < array_len(platforms); i++) {
		char platform[256], one[1024];
		size_t n = strlen(descriptors);

		image->platform = platforms[i];
		image_finish(image, "v1");
		memcpy(manifest[i], image->manifest_hex, sizeof(manifest[i]));
		(void)snprintf(platform, sizeof(platform), ",\"platform\":{%s}", platforms[i]);
		describe(one, sizeof(one), MANIFEST, manifest[i], image->manifest_n, platform);
		(void)snprintf(descriptors + n, sizeof(descriptors) - n, "%s%s", n > 0 ? "," : "", one);
	}
	return 0;
}

static int leave(void **state)
{
	image_build_free(image);
	return folder_leave(state);
}

static void expect(const char *selector, const char *want, const char *tag)
{
	cleanup_free struct image_report *r = calloc(1, sizeof(*r));
	struct reason why = { "" };
	struct err e = oci_measure("a.tar", selector, r, &why);

	if (failed(e))
		fail_msg("%s: %s %s", selector, err_name(e), why.text);
	assert_hex(r->digests.manifest, want);
	assert_string_equal(r->tag, tag);
}

static void refused(const char *selector, enum err_code want, const char *words)
{
	cleanup_free struct image_report *r = calloc(1, sizeof(*r));
	struct reason why = { "" };
	struct err e = oci_measure("a.tar", selector, r, &why);

	if (e.code != want || strstr(why.text, words) == NULL)
		fail_msg("%s: %s \"%s\" instead of %s \"...%s...\"", selector, err_name(e), why.text,
			 err_name(ERR(want)), words);
}

static void W4_by_platform(void **state)
{
	char selector[100];

	(void)state;
	for (unsigned nested = 0; nested < 2; nested++) {
		put_index(nested == 1, "v1");
		expect("@linux/amd64", manifest[0], "");
		expect("@linux/arm64", manifest[1], "");
		expect("@linux/arm/v7", manifest[3], "");
		refused("@linux/arm", E_PEER_DUPLICATE, "more than one image manifest");
		refused("@linux/s390x", E_LOCAL_NOT_FOUND, "no such image manifest");
		refused("@windows/amd64", E_LOCAL_NOT_FOUND, "no such image manifest");
		refused("@linux/arm64/v8", E_LOCAL_NOT_FOUND, "no such image manifest");
		refused(NULL, E_PEER_DUPLICATE, "select one by its digest or as @OS/ARCHITECTURE");
		(void)snprintf(selector, sizeof(selector), "sha256:%s@linux/arm64", manifest[1]);
		expect(selector, manifest[1], "");
		(void)snprintf(selector, sizeof(selector), "sha256:%s@linux/amd64", manifest[1]);
		refused(selector, E_LOCAL_NOT_FOUND, "no such image manifest");
	}
	expect("v1@linux/arm64", manifest[1], "v1");
	refused("v1", E_PEER_DUPLICATE, "more than one image manifest");
	refused("v2@linux/arm64", E_LOCAL_NOT_FOUND, "tag v2: not in the index");
	refused("v1@linux", E_LOCAL_NOT_FOUND, "tag v1@linux: not in the index");
	refused("v1@linux/ARM64", E_LOCAL_NOT_FOUND, "tag v1@linux/ARM64: not in the index");
}

static void W4_a_tag_goes_before_a_platform(void **state)
{
	(void)state;
	put_index(true, "v1@linux/arm64");
	refused("v1@linux/arm64", E_PEER_DUPLICATE, "more than one image manifest");
	expect("v1@linux/arm64@linux/amd64", manifest[0], "v1@linux/arm64");
}

/* What an index says of an image is compared with what the image says of itself. */
static void W4_platform_is_the_configurations(void **state)
{
	char one[1024];

	(void)state;
	describe(one, sizeof(one), MANIFEST, image->manifest_hex, image->manifest_n,
		 ",\"platform\":{" LINUX("amd64") "}");
	(void)snprintf(descriptors, sizeof(descriptors), "%s", one);
	put_index(false, "v1");
	refused("@linux/amd64", E_PEER_RANGE, "for linux/arm/v7, expected linux/amd64");
	/* An index that does not say it. */
	describe(descriptors, sizeof(descriptors), MANIFEST, image->manifest_hex, image->manifest_n, "");
	put_index(false, "v1");
	refused("@linux/amd64", E_PEER_RANGE, "for linux/arm/v7, expected linux/amd64");
	expect("@linux/arm", image->manifest_hex, "");
	expect("@linux/arm/v7", image->manifest_hex, "");
	refused("@linux/arm/v6", E_PEER_RANGE, "expected linux/arm/v6");
	describe(descriptors, sizeof(descriptors), MANIFEST, image->manifest_hex, image->manifest_n,
		 ",\"platform\":{\"os\":7}");
	put_index(false, "v1");
	refused(NULL, E_PEER_TYPE, "os");
}

static void platforms_as_written(void **state)
{
	static const char *const bad[] = {
		"",          "linux",          "linux/",      "/amd64",       "linux/amd64/",
		"linux//v7", "linux/arm/v7/x", "Linux/amd64", "linux/amd 64", "linux/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	};
	struct oci_platform p;

	(void)state;
	for (size_t i = 0; i < array_len(bad); i++)
		assert_false(oci_platform_parse(bytes_str(bad[i]), &p));
	assert_true(oci_platform_parse(BYTES_LIT("linux/arm/v7"), &p));
	assert_string_equal(p.os, "linux");
	assert_string_equal(p.architecture, "arm");
	assert_string_equal(p.variant, "v7");
	assert_true(oci_platform_parse(BYTES_LIT("linux/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), &p));
	assert_string_equal(p.variant, "");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, enter, leave)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(W4_by_platform),
		TEST(W4_a_tag_goes_before_a_platform),
		TEST(W4_platform_is_the_configurations),
		cmocka_unit_test(platforms_as_written),
	};

	return cmocka_run_group_tests_name("oci-platform", tests, NULL, NULL);
}
