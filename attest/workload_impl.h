/* SPDX-License-Identifier: Apache-2.0 */
/* Between workload.c and its parts: replay of records, the intent, the files. */
#ifndef ASSAY_ATTEST_WORKLOAD_IMPL_H
#define ASSAY_ATTEST_WORKLOAD_IMPL_H

#include "attest/workload.h"

/* ---- workload_replay.c: what records say */

/* Forgets position, PCR values and instances. */
void replay_clear(struct workload *w);
/* Takes one record of n bytes, read at the end of the log: checks its place, extends the values, follows the instances. */
must_check struct err replay_record(struct workload *w, const struct cel_record *rec, size_t n);
/* Takes the complete records at the start of log that fit behind what was taken before; the rest is no error here. */
must_check struct err replay_part(struct workload *w, struct bytes log);
/*
 * The same from the file, from w->log_size on and up to end at most; nothing where
 * that is behind. One piece of the file is in memory at a time.
 */
must_check struct err replay_file(struct workload *w, uint64_t end);

/* ---- workload_mark.c: a place from which on to replay */

#define MARK_STEP (1 * MIB) /* of log that is replayed before there is a later mark */
must_check struct err mark_write(struct workload *w);
/* Puts w where the mark of this boot is, or at the beginning of the log. E_LOCAL_*. */
must_check struct err mark_read(struct workload *w);

/* ---- workload_intent.c: what is about to be extended */

struct intent {
	uint8_t boot_key[BOOT_KEY_LEN];
	uint64_t base;        /* length of the log before the record */
	struct buf record;
	struct digest before[LIMIT_BANKS], after[LIMIT_BANKS];
};
#define INTENT_INIT { .record = BUF_INIT(LIMIT_LOG_RECORD) }
void intent_done(struct intent *i);
#define cleanup_intent cleanup(intent_done)

must_check struct err intent_write(const struct workload *w, const struct workload_step *s);
/* *ret_present is false where there is none, or none of this boot and these banks. */
must_check struct err intent_read(const struct workload *w, struct intent *ret, bool *ret_present);
must_check struct err intent_remove(const struct workload *w);

/* ---- workload_file.c: log and state on disk */

/* At most max bytes of the log file from offset on, fewer only at its end; nothing where there is none. */
must_check struct err log_read(const struct workload *w, uint64_t offset, size_t max, struct buf *ret);
/* Makes the file end at base, with tail behind, durably. */
must_check struct err log_set(const struct workload *w, uint64_t base, struct bytes tail);
/* Puts the log of a finished restart aside. */
must_check struct err log_put_aside(const struct workload *w, uint32_t restart_count);

struct log_state {
	bool present;            /* of this boot */
	uint32_t restart_count;
};
must_check struct err log_state_read(const struct workload *w, struct log_state *ret);
must_check struct err log_state_write(const struct workload *w, uint32_t restart_count);

#endif
