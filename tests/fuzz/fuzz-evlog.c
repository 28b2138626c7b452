/* SPDX-License-Identifier: Apache-2.0 */
/* A whole firmware log: reading, replay in each bank, findings, and every event shown. */
#include "firmware-measure/evdata_show.h"
#include "firmware-measure/evlog_check.h"
#include "firmware-measure/replay.h"
#include "tests/fuzz/fuzz.h"

static void check_bank(const struct evlog *log, enum digest_id bank)
{
	const struct evlog_check_options none = { 0 };
	struct evlog_finding found[4];
	struct replay r;
	size_t n = 0;

	if (failed(replay_log(log, bank, &r, NULL)))
		return;
	fuzz_must(!failed(evlog_check(log, bank, &none, array_len(found), found, &n, NULL, NULL)));
	for (uint32_t pcr = 0; pcr < LIMIT_PCRS; pcr++)
		fuzz_must(replay_explains(&r, pcr, digest_bytes(&r.pcr[pcr])) == r.complete);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct evlog_pos pos = { 0 };
	struct evlog_event ev;
	struct evlog log;

	if (failed(evlog_open(BYTES(data, n), &log, NULL)))
		return 0;
	fuzz_must(log.pad_off <= n);
	for (size_t last = 0;; last = pos.off) {
		cleanup_buf struct buf text = BUF_INIT(LIMIT_SMALL);

		if (failed(evlog_next(&log, &pos, &ev, NULL)))
			return 0;
		if (ev.end)
			break;
		fuzz_must(pos.off > last && pos.off <= n);
		fuzz_must(ev.pcr < LIMIT_PCRS || (ev.pcr == EVLOG_NO_PCR && ev.type == EV_NO_ACTION));
		fuzz_must(!failed(evdata_show(&ev, &text)));
	}
	for (unsigned id = 0; id < N_DIGESTS; id++)
		if (evlog_has_bank(&log, (enum digest_id)id))
			check_bank(&log, (enum digest_id)id);
	return 0;
}
