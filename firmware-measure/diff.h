/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What differs between the firmware logs of two boots.
 *
 * Only digests are compared, register by register and event by event: logs are
 * the same exactly if they make the same of every register. What words say of
 * an event's data is taken from it only where its digest covers it, otherwise
 * the digests themselves are told. Names that no digest covers (the path of an
 * image, a file, a tag) only label a change.
 */
#ifndef ASSAY_MEASURE_DIFF_H
#define ASSAY_MEASURE_DIFF_H

#include "firmware-measure/evlog.h"

#define DIFF_MAX_EVENTS 8192 /* of one register */
#define DIFF_MAX_CELLS                                                                                                 \
	(4U << 20) /* events of one log times those of the other, between what is the same at both ends */

/* One change. All borrowed for the call. */
struct diff_change {
	uint32_t pcr;
	const char *what;      /* printable: "kernel command line"; "1 event more: ..." for an event on one side only */
	struct bytes was, now; /* UTF-8, not escaped; none where nothing stands on that side */
};
typedef struct err diff_fn(void *ctx, const struct diff_change *c);

/*
 * Calls fn for each change in order of registers. *ret_same: there is none.
 *
 * E_PEER_UNSUPPORTED (a log has no such bank); E_PEER_RANGE (an event has not
 * exactly one digest in it); E_LIMIT_COUNT (more than can be compared);
 * E_LOCAL_MEMORY, E_LOCAL_CRYPTO; errors of evlog_next() and of fn. reterr says
 * which log and where; *ret_same is then false.
 */
must_check struct err diff_logs(const struct evlog *was, const struct evlog *now, enum digest_id bank, diff_fn *fn,
				void *ctx, bool *ret_same, struct evlog_fault *reterr);

#define DIFF_MAX_RECORDS 1024 /* of one register */

/*
 * The same for what systemd measured afterwards (userlog.h); records of NV
 * indexes are left out. E_PEER_RANGE where a record has no digest in the bank;
 * errors of userlog_next().
 */
must_check struct err diff_userlogs(struct bytes was, struct bytes now, enum digest_id bank, diff_fn *fn, void *ctx,
				    bool *ret_same, struct evlog_fault *reterr);

#endif
