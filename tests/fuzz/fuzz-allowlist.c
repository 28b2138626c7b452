/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An allowlist's file. One that is opened is the one that the builder makes of
 * its digests, holds each of them, and neither the one before nor the one
 * behind where that is not there too.
 */
#include <fcntl.h>
#include <string.h>

#include "firmware-measure/ima_allowlist.h"
#include "tests/fuzz/fuzz.h"

static char path[] = "/tmp/fuzz-allowlist.XXXXXX";
static int file = -1;

static void remove_file(void)
{
	(void)unlink(path);
}

static bool has(const struct ima_allowlist *a, const uint8_t *d, size_t size)
{
	const struct ima_digest v = { ima_allowlist_kind(a), BYTES_NONE, ima_allowlist_alg(a), BYTES(d, size) };

	return ima_allowlist_has(a, &v);
}

static void check(const struct ima_allowlist *a, struct bytes in)
{
	struct ima_allowlist_builder b = { 0 };
	size_t size = digest_alg(ima_allowlist_alg(a))->size, n = ima_allowlist_count(a), count = 0;
	const uint8_t *first = in.p + IMA_ALLOWLIST_HEADER;

	fuzz_must(in.n == IMA_ALLOWLIST_HEADER + n * size);
	fuzz_must(!failed(ima_allowlist_begin(&b, ima_allowlist_alg(a), ima_allowlist_kind(a))));
	for (size_t i = n; i > 0; i--) {
		const uint8_t *d = first + (i - 1) * size;
		uint8_t near[DIGEST_MAX];

		fuzz_must(!failed(ima_allowlist_add(&b, BYTES(d, size))));
		fuzz_must(has(a, d, size));
		memcpy(near, d, size);
		near[size - 1]++;
		fuzz_must(has(a, near, size) == (i < n && near[size - 1] != 0 && memcmp(near, d + size, size) == 0) ||
			  near[size - 1] == 0);
	}
	fuzz_must(!failed(ima_allowlist_finish(&b, &count)) && count == n && bytes_eq(buf_bytes(&b.file), in));
	ima_allowlist_builder_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	cleanup_ima_allowlist struct ima_allowlist *a = NULL;

	if (file < 0) {
		file = mkstemp(path);
		fuzz_must(file >= 0 && atexit(remove_file) == 0);
	}
	fuzz_must(ftruncate(file, 0) == 0 && pwrite(file, data, n, 0) == (ssize_t)n);
	if (!failed(ima_allowlist_open(AT_FDCWD, path, &a, NULL)))
		check(a, BYTES(data, n));
	return 0;
}
