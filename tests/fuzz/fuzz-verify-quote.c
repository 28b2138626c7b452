/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of assayctl verify-quote: five parts, each behind its length as
 * 16-bit big-endian number. No input may verify: the nonce is one that nobody
 * has signed.
 */
#include "base/rd.h"
#include "tests/fuzz/fuzz.h"
#include "verifier/operate/verify_quote.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct rd r = RD(BYTES(data, n));
	struct quote_files f = { .nonce = BYTES_LIT("a nonce that is in no corpus") };
	struct reason why = { { 0 } };
	struct quote_report report;
	struct err e;

	if (failed(rd_tpm2b(&r, 65535, &f.ak)) || failed(rd_tpm2b(&r, 65535, &f.quote)) ||
	    failed(rd_tpm2b(&r, 65535, &f.signature)) || failed(rd_tpm2b(&r, 65535, &f.pcrs)))
		return 0;
	e = quote_verify(&f, &report, &why);
	fuzz_must(failed(e) && e.code < E_LOCAL_MEMORY);
	fuzz_must(why.text[0] != '\0');
	return 0;
}
