/* SPDX-License-Identifier: Apache-2.0 */
/* Between workload.c and its parts: replay of records, the intent, the files. */
#ifndef ASSAY_ATTEST_WORKLOAD_IMPL_H
#define ASSAY_ATTEST_WORKLOAD_IMPL_H

#include "attest/workload.h"

/* ---- workload_replay.c: what records say */

/* Forgets log, PCR values and instances. */
void replay_clear(struct workload *w);
/* Takes one record that was read at the end of the log: checks its place, extends the values, follows the instances. */
must_check struct err replay_record(struct workload *w, const struct cel_record *rec);
/*
 * Replays from an empty log. *ret_good is how far complete records that fit reach;
 * what follows them is not an error here.
 */
must_check struct err replay_log(struct workload *w, struct bytes log, size_t *ret_good);

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

/* The whole log file; nothing where there is none. */
must_check struct err log_read(const struct workload *w, struct buf *ret);
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
