/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Evidence and claims have one form: what a decoder accepts, the encoder
 * writes byte for byte.
 */
#include "protocol/evidence.h"
#include "tests/fuzz/fuzz.h"

static void claims_again(struct bytes in)
{
	cleanup_free struct evidence_claims *c = calloc(1, sizeof(*c));
	cleanup_buf struct buf out = BUF_INIT(LIMIT_CLAIMS);

	fuzz_must(c != NULL);
	if (failed(evidence_claims_decode(in, c)))
		return;
	fuzz_must(!failed(evidence_claims_encode(c, &out)));
	fuzz_must(bytes_eq(buf_bytes(&out), in));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	cleanup_free struct evidence *ev = calloc(1, sizeof(*ev));
	cleanup_buf struct buf out = BUF_INIT(LIMIT_EVIDENCE);

	fuzz_must(ev != NULL);
	claims_again(BYTES(data, n));
	if (failed(evidence_decode(BYTES(data, n), ev)))
		return 0;
	fuzz_must(!failed(evidence_encode(ev, &out)));
	fuzz_must(bytes_eq(buf_bytes(&out), BYTES(data, n)));
	claims_again(ev->claims);
	return 0;
}
