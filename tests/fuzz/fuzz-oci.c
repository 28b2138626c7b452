/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The documents of an image layout as pure functions. Whatever the bytes are:
 * they are not both an index and a manifest, and what a descriptor says is
 * within its bounds.
 */
#include <string.h>

#include "base/limits.h"
#include "firmware-measure/oci_json.h"
#include "tests/fuzz/fuzz.h"

static void check_descriptors(const struct oci_descriptor *d, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		fuzz_must(d[i].size <= INT64_MAX);
		fuzz_must(strnlen(d[i].tag, sizeof(d[i].tag)) <= OCI_TAG_MAX);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	cleanup_oci_index struct oci_index index = { 0 };
	cleanup_oci_manifest struct oci_manifest manifest = { 0 };
	struct bytes in = BYTES(data, n);
	struct reason why = { "" };
	bool is_index = !failed(oci_index_parse(in, &index, &why));
	bool is_manifest = !failed(oci_manifest_parse(in, &manifest, &why));

	fuzz_must(!(is_index && is_manifest));
	fuzz_must(index.n <= LIMIT_OCI_MANIFESTS && (is_index || index.v == NULL));
	fuzz_must(manifest.n_layers <= LIMIT_OCI_LAYERS && (is_manifest || manifest.layer == NULL));
	check_descriptors(index.v, index.n);
	if (is_manifest) {
		fuzz_must(manifest.config.media == OCI_MEDIA_CONFIG);
		check_descriptors(&manifest.config, 1);
		check_descriptors(manifest.layer, manifest.n_layers);
	}
	if (failed(oci_layout_parse(in, &why)) || failed(oci_config_parse(in, &why)))
		fuzz_must(strnlen(why.text, sizeof(why.text)) < sizeof(why.text));
	return 0;
}
