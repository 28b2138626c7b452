/* SPDX-License-Identifier: Apache-2.0 */
/*
 * systemd's log: what is read lies within it, in order; a log cut
 * at its end gives no other records; a string that is verified has the
 * record's digest.
 */
#include <string.h>

#include "firmware-measure/userlog.h"
#include "tests/fuzz/fuzz.h"

/* Records that can be read, and where the last of them ends. */
static size_t count(struct bytes log, size_t *ret_end)
{
	cleanup_userlog_record struct userlog_record r = { 0 };
	struct userlog_pos pos = { 0 };

	while (!failed(userlog_next(log, &pos, &r, NULL)) && !r.end)
		;
	*ret_end = pos.off;
	return pos.index;
}

static void look(const struct userlog_record *r)
{
	struct digest d;
	bool covered;

	fuzz_must(r->pcr < LIMIT_PCRS || r->pcr == EVLOG_NO_PCR);
	fuzz_must(r->string.n <= LIMIT_USERSPACE_RECORD);
	for (unsigned id = 0; id < N_DIGESTS; id++) {
		fuzz_must(r->digest[id].n == 0 || r->digest[id].n == digest_alg((enum digest_id)id)->size);
		if (id == DIGEST_SM3_256)
			continue;
		fuzz_must(!failed(userlog_verify(r, (enum digest_id)id, &covered)));
		if (!covered)
			continue;
		fuzz_must(!failed(digest_one((enum digest_id)id, r->string, &d)));
		fuzz_must(bytes_eq(digest_bytes(&d), digest_bytes(&r->digest[id])));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	cleanup_userlog_record struct userlog_record r = { 0 };
	struct bytes log = BYTES(data, n), part;
	struct evlog_fault fault = { 0 };
	struct userlog_pos pos = { 0 }, before;
	size_t end, index = 0;
	struct err e;

	for (;; index++) {
		before = pos;
		e = userlog_next(log, &pos, &r, &fault);
		if (failed(e) || r.end)
			break;
		fuzz_must(r.index == index && r.off > before.off && r.off < pos.off && pos.off <= n);
		look(&r);
	}
	fuzz_must(pos.off == before.off && pos.index == index);
	fuzz_must(!failed(e) || (fault.why.text[0] != '\0' && fault.off <= n && r.json == NULL));
	/* Cut within what was read, and at its end. */
	if (pos.off > 0) {
		fuzz_must(!failed(bytes_sub(log, 0, pos.off, &part)) && count(part, &end) == index && end == pos.off);
		fuzz_must(!failed(bytes_sub(log, 0, pos.off - 1, &part)) && count(part, &end) <= index);
	}
	return 0;
}
