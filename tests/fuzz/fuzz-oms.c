/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bundles and statements of OpenSSF Model Signing, as if every signature were
 * good. A manifest that is given is sorted, without doubles, and matches the
 * model that has exactly its files, and no model that lacks one.
 */
#include <string.h>

#include "firmware-measure/oms.h"
#include "tests/fuzz/fuzz.h"

static void on_difference(void *ctx, enum oms_difference kind, const char *path)
{
	size_t *n = ctx;

	fuzz_must(path != NULL);
	*n += kind != OMS_EMPTY ? 1 : 0;
}

static void check_manifest(const struct oms_manifest *m)
{
	struct oms_skip skip = { .manifest = m };

	fuzz_must(m->n_resources >= 1 && m->shard_size <= OMS_SHARD_MAX);
	for (size_t i = 0; i < m->n_resources; i++) {
		const struct oms_resource *r = &m->resources[i];

		fuzz_must(r->path[0] != '\0' && r->start <= r->end);
		fuzz_must(m->shard_size > 0 || r->end == 0);
		if (i > 0) {
			int order = strcmp(r[-1].path, r->path);

			fuzz_must(order < 0 || (order == 0 && r[-1].start < r->start));
		}
		/* What is signed is left out only by its signer's own word. */
		fuzz_must(m->n_ignored > 0 || !oms_skip_path(&skip, r->path));
	}
}

/* The model that the manifest of whole files describes, without its last n files. */
static void compare(const struct oms_manifest *m, size_t without)
{
	struct model_report r = { .n_files = m->n_resources - without };
	size_t n = 0, n_told = 0;

	r.files = calloc(m->n_resources, sizeof(*r.files));
	if (r.files == NULL)
		return;
	for (size_t i = 0; i < r.n_files; i++) {
		r.files[i].path = m->resources[i].path;
		memcpy(r.files[i].sha256, m->resources[i].sha256, 32);
	}
	fuzz_must(!failed(oms_compare(m, &r, on_difference, &n_told, &n)));
	fuzz_must(n == without && n_told == n);
	free(r.files);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	cleanup_oms_manifest struct oms_manifest m = { 0 }, inner = { 0 };
	cleanup_oms_bundle struct oms_bundle b = { 0 };
	struct reason why = { "" };

	if (!failed(oms_bundle_parse(BYTES(data, n), &b, &why))) {
		fuzz_must(b.has_key == (b.n_chain == 0));
		fuzz_must(b.n_chain <= LIMIT_CHAIN);
		if (!failed(oms_statement_parse(buf_bytes(&b.unsigned_payload), &inner, &why)))
			check_manifest(&inner);
	}
	if (failed(oms_statement_parse(BYTES(data, n), &m, &why)))
		return 0;
	check_manifest(&m);
	if (m.shard_size == 0) {
		compare(&m, 0);
		compare(&m, 1);
	}
	return 0;
}
