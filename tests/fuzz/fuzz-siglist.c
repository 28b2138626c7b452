/* SPDX-License-Identifier: Apache-2.0 */
/* A signature database: it contains itself and the empty one, and every entry lies within it. */
#include "firmware-measure/siglist.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct bytes db = BYTES(data, n);
	struct siglist_pos pos = { 0 };
	size_t count = 0, missing = 1;
	struct siglist s;

	if (failed(siglist_count(db, &count)))
		return 0;
	for (size_t i = 0; i < count; i++) {
		fuzz_must(!failed(siglist_next(db, &pos, &s)) && !s.end);
		fuzz_must(s.owner.p >= data && s.data.p + s.data.n <= data + n);
	}
	fuzz_must(!failed(siglist_next(db, &pos, &s)) && s.end);
	fuzz_must(!failed(siglist_missing(db, db, &missing, NULL)) && missing == 0);
	fuzz_must(!failed(siglist_missing(db, BYTES_NONE, &missing, NULL)) && missing == 0);
	fuzz_must(!failed(siglist_missing(BYTES_NONE, db, &missing, &s)) && missing == count);
	return 0;
}
