/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <dirent.h>

#include "base/file.h"
#include "firmware-measure/oci_json.h"

/*
 * The corpus of the fuzz target: CODE-DOCUMENT-what, where CODE is what its
 * parser answers ("ok" for E_OK) and DOCUMENT says which parser.
 */
static struct err parse_as(const char *document, struct bytes in)
{
	cleanup_oci_index struct oci_index index = { 0 };
	cleanup_oci_manifest struct oci_manifest manifest = { 0 };
	struct reason why = { "" };

	if (strncmp(document, "layout-", 7) == 0)
		return oci_layout_parse(in, &why);
	if (strncmp(document, "index-", 6) == 0)
		return oci_index_parse(in, &index, &why);
	if (strncmp(document, "manifest-", 9) == 0)
		return oci_manifest_parse(in, &manifest, &why);
	if (strncmp(document, "config-", 7) == 0)
		return oci_config_parse(in, &why);
	fail_msg("no parser for %s", document);
	return ERR(E_BUG);
}

static void vectors(void **state)
{
	const char *data = getenv("ASSAY_TEST_DATA");
	struct dirent *entry;
	char path[4096];
	size_t n = 0;
	DIR *d;

	(void)state;
	assert_non_null(data);
	assert_true(snprintf(path, sizeof(path), "%s/../fuzz/corpus/fuzz-oci", data) < (int)sizeof(path));
	d = opendir(path);
	assert_non_null(d);
	while ((entry = readdir(d)) != NULL) {
		cleanup_buf struct buf b = BUF_INIT(SIZE_MAX);
		char code[64] = "";
		size_t len = strcspn(entry->d_name, "-");
		struct err e;

		if (entry->d_name[0] == '.')
			continue;
		assert_true(len < sizeof(code) && entry->d_name[len] == '-');
		memcpy(code, entry->d_name, len);
		assert_ok(file_read(dirfd(d), entry->d_name, &b));
		e = parse_as(entry->d_name + len + 1, buf_bytes(&b));
		if (strcmp(failed(e) ? err_name(e) : "ok", code) != 0)
			fail_msg("%s: %s", entry->d_name, err_name(e));
		n++;
	}
	(void)closedir(d);
	assert_true(n >= 30);
}

/* What is read, beyond that it is accepted. */
static void index_members(void **state)
{
	static const char text[] =
		"{\"schemaVersion\":2,\"manifests\":["
		"{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"size\":0,\"digest\":"
		"\"sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\","
		"\"annotations\":{\"org.opencontainers.image.ref.name\":\"example.com/a:v1\"}},"
		"{\"mediaType\":\"application/vnd.oci.image.index.v1+json\",\"size\":9223372036854775807,\"digest\":"
		"\"sha256:ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\"},"
		"{\"mediaType\":\"application/vnd.docker.anything\",\"size\":7,\"digest\":"
		"\"sha256:ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\"},"
		"{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json;x=y\",\"size\":7,\"digest\":"
		"\"sha256:ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\"}]}";
	static const enum oci_media medias[] = { OCI_MEDIA_MANIFEST, OCI_MEDIA_INDEX, OCI_MEDIA_DOCKER,
						 OCI_MEDIA_OTHER };
	cleanup_oci_index struct oci_index index = { 0 };

	(void)state;
	assert_ok(oci_index_parse(bytes_str(text), &index, NULL));
	assert_int_equal(index.n, array_len(medias));
	for (size_t i = 0; i < array_len(medias); i++)
		assert_int_equal(index.v[i].media, medias[i]);
	assert_string_equal(index.v[0].tag, "example.com/a:v1");
	assert_string_equal(index.v[1].tag, "");
	assert_int_equal(index.v[0].size, 0);
	assert_true(index.v[1].size == INT64_MAX);
	assert_int_equal(index.v[0].sha256[1], 0x11);
	assert_int_equal(index.v[1].sha256[0], 0xff);
}

static void reasons_name_the_place(void **state)
{
	cleanup_oci_index struct oci_index index = { 0 };
	struct reason why = { "" };

	(void)state;
	assert_err(oci_index_parse(BYTES_LIT("{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"x\"}]}"), &index,
				   &why),
		   E_PEER_MISSING);
	assert_non_null(strstr(why.text, "manifests[0].digest"));
	assert_err(oci_index_parse(BYTES_LIT("{\"schemaVersion\":2,\"manifests\":[],\"layers\":[]}"), &index, &why),
		   E_PEER_UNKNOWN_KEY);
	assert_non_null(strstr(why.text, "ambiguous"));
	assert_err(oci_index_parse(BYTES_LIT("{\"schemaVersion\":2,\"mediaType\":"
					     "\"application/vnd.docker.distribution.manifest.list.v2+json\"}"),
				   &index, &why),
		   E_PEER_UNSUPPORTED);
	assert_non_null(strstr(why.text, "copy the image to OCI format"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vectors),
		cmocka_unit_test(index_members),
		cmocka_unit_test(reasons_name_the_place),
	};

	return cmocka_run_group_tests_name("oci-json", tests, NULL, NULL);
}
