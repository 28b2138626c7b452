/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operator documents and the operators file. What parses has an owner, an
 * end, and nothing that a policy must not rely on; it means the same when it
 * is read again, and a snapshot finds it.
 */
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "verifier/appraise/appraise.h"

#define REALM "example"

static void check_platform(const struct document *d)
{
	fuzz_must(d->bank == DIGEST_SHA256 || d->bank == DIGEST_SHA384 || d->bank == DIGEST_SHA512);
	fuzz_must(d->pcr_mask != 0 && (d->pcr_mask >> LIMIT_PCRS) == 0);
	fuzz_must((d->pcr_mask & (1u << 16 | 1u << 23 | 1u << WORKLOAD_PCR)) == 0);
	fuzz_must(d->n_vectors > 0 && d->hosts.n > 0);
	for (size_t i = 0; i < d->n_vectors * d->n_pcrs; i++)
		fuzz_must(d->vectors[i].n == digest_alg(d->bank)->size);
}

static void check(const struct document *d)
{
	fuzz_must(d->name[0] != '\0' && d->owner != NULL && d->owner[0] != '\0');
	fuzz_must(strcmp(d->realm, REALM) == 0);
	fuzz_must(d->serial > 0 && d->not_before_s < d->expires_s);
	if (d->kind == DOCUMENT_HOST || d->kind == DOCUMENT_IMAGE || d->kind == DOCUMENT_MODEL)
		fuzz_must(d->digests.n > 0);
	if (d->kind == DOCUMENT_PLATFORM)
		check_platform(d);
	if (d->kind == DOCUMENT_AGENT)
		fuzz_must(d->max_ttl_s > 0 && d->max_ttl_s <= DOCUMENT_MAX_TTL_S && d->scopes.n > 0);
}

static const struct document *find(const struct reference *r, const struct document *d)
{
	int64_t now_s = d->not_before_s;

	switch (d->kind) {
	case DOCUMENT_HOST:
		return reference_host(r, d->digests.v[0], now_s);
	case DOCUMENT_IMAGE:
	case DOCUMENT_MODEL:
		return reference_approval(r, d->kind, d->digests.v[d->digests.n - 1], now_s, false, 0);
	case DOCUMENT_PLATFORM:
		return reference_platform(r, strcmp(d->hosts.v[0], "*") == 0 ? "any" : d->hosts.v[0], now_s, 0);
	case DOCUMENT_AGENT:
		return reference_agent(r, bytes_str(d->name), now_s);
	case DOCUMENT_WITHDRAW:
	case N_DOCUMENT_KINDS:
		break;
	}
	return d;
}

static void fuzz_document(struct bytes in)
{
	cleanup_reference struct reference *r = NULL;
	cleanup_document struct document *d = NULL, *again = NULL;
	struct reason why = { "" };
	struct document *owned;

	if (failed(document_parse(in, REALM, &d, &why))) {
		fuzz_must(d == NULL);
		return;
	}
	check(d);
	fuzz_must(!failed(document_parse(in, REALM, &again, NULL)));
	fuzz_must(memcmp(d->digest, again->digest, sizeof(d->digest)) == 0);
	if (d->kind == DOCUMENT_WITHDRAW)
		return;
	owned = d;
	fuzz_must(!failed(reference_new(&owned, 1, &r)));
	fuzz_must(find(r, d) == d);
	d = NULL;
}

static void fuzz_operators(struct bytes in)
{
	cleanup_operators struct operators ops = { 0 };
	struct reason why = { "" };

	if (failed(operators_parse(in, &ops, &why)))
		return;
	for (size_t i = 0; i < ops.n; i++) {
		fuzz_must(ops.v[i].key != NULL && ops.v[i].kinds != 0 && ops.v[i].prefixes.n > 0);
		fuzz_must(ops.v[i].name[0] != '\0' && strlen(ops.v[i].keyid) == 64);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	fuzz_document(BYTES(data, n));
	fuzz_operators(BYTES(data, n));
	return 0;
}
