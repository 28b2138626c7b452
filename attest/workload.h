/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The workload log of this boot: PCR 13 of every allocated bank, and the file
 * that explains it.
 *
 *   workload-<boot key>.cel             the log: a sequence of CEL records
 *   workload-<boot key>.restart-N.cel   one that a TPM restart (PCRs zero, counters higher) has ended
 *   workload.intent                     what is about to be extended; absent when nothing is
 *   workload.json                       boot key and restart count that the log has reached
 *   workload.mark                       where a replay of a long log begins
 *
 * An append writes the intent durably, extends the PCR, writes the record
 * durably, removes the intent. Wherever that is cut off, the PCR tells what
 * happened: it has the value before (the intent is dropped) or after (the record
 * is written). Any other value is unexplained: refused, and never repaired,
 * because a repair would be a statement about events that nobody has seen.
 *
 * All of this happens under the writer lock, which the caller holds.
 */
#ifndef ASSAY_ATTEST_WORKLOAD_H
#define ASSAY_ATTEST_WORKLOAD_H

#include "attest/boot.h"
#include "firmware-measure/cel.h"
#include "firmware-measure/workload_event.h"

#define WORKLOAD_PCR 13

/* An instance that the log has started and not ended. */
struct workload_instance {
	uint8_t id[INSTANCE_ID_LEN];
	char agent[65];
	struct image_digests image; /* as said by start, or by changed */
	struct model_digests model;
	bool has_container;
	struct container_digests container;
	uint8_t key_name[34];
	bool changed;               /* for good: putting things back, or changing them again, is not said */
};

struct workload {
	int dir_fd;           /* state folder; borrowed */
	struct tpm *tpm;      /* borrowed */
	char file[64];
	uint8_t boot_key[BOOT_KEY_LEN];
	struct tpm_banks banks;
	uint64_t log_size;    /* bytes of the file: every record, proved by the PCR */
	uint64_t mark;        /* of these, where the replay began */
	uint64_t n_records;
	uint64_t n_starts;    /* among them */
	struct digest pcr[LIMIT_BANKS];
	bool has_resume;
	uint32_t last_resume; /* restart count of the last resume record */
	size_t n_live;
	struct workload_instance *live; /* LIMIT_INSTANCES of them */
	bool stale;           /* an append failed half way: open again */
};
#define WORKLOAD_INIT { .dir_fd = -1 }
void workload_done(struct workload *w);
#define cleanup_workload cleanup(workload_done)

/*
 * Reads the log of this boot, settles an intent, compares with the PCR. Begins a
 * log where there is none, and says `resume` where the host woke up.
 * ret: WORKLOAD_INIT. The reason is in the tpm's.
 * E_AUTH_CONFLICT: unexplained. E_LOCAL_*.
 */
must_check struct err workload_open(int dir_fd, struct tpm *tpm, const struct boot *boot, struct workload *ret);

/*
 * The same without writing anything, for a look from outside.
 * EXPLAINED also where an intent will settle it; NONE: no log of this boot yet.
 */
enum workload_look { WORKLOAD_NONE, WORKLOAD_EXPLAINED, WORKLOAD_RESTARTED, WORKLOAD_UNEXPLAINED };
must_check struct err workload_look(int dir_fd, struct tpm *tpm, const struct boot *boot, struct workload *ret,
				    enum workload_look *ret_look);

/*
 * Intent, extend, commit. E_LIMIT_COUNT for a start above LIMIT_INSTANCES at a time
 * or LIMIT_STARTS in all; nothing was extended then. E_BUG: a start of a live instance,
 * a change or end of another, a second change; nor then. E_AUTH_CONFLICT: the PCR is not what the
 * extend makes of it. After another failure the log is stale.
 */
must_check struct err workload_append(struct workload *w, const struct workload_event *event);

/* The three steps, for tests that stop between them. */
struct workload_step {
	struct buf record;
	struct digest after[LIMIT_BANKS];
};
#define WORKLOAD_STEP_INIT { .record = BUF_INIT(LIMIT_LOG_RECORD) }
void workload_step_done(struct workload_step *s);
#define cleanup_workload_step cleanup(workload_step_done)
must_check struct err workload_prepare(struct workload *w, const struct workload_event *event,
				       struct workload_step *ret);
must_check struct err workload_extend(struct workload *w, const struct workload_step *s);
must_check struct err workload_commit(struct workload *w, const struct workload_step *s);

/* A live instance, or NULL; borrowed until the next append. */
const struct workload_instance *workload_find(const struct workload *w, const uint8_t id[INSTANCE_ID_LEN]);

/*
 * At most max bytes of the log from offset on (appended), fewer only at its end.
 * E_PEER_RANGE for an offset behind it, E_LOCAL_IO where the file is shorter than it was.
 */
must_check struct err workload_read(const struct workload *w, uint64_t offset, size_t max, struct buf *ret);

/*
 * Number of records before offset and the PCR's value there in one bank (none at
 * offset 0). E_PEER_RANGE where no record begins or the log ends at offset.
 */
must_check struct err workload_position(const struct workload *w, uint64_t offset, enum digest_id bank,
					uint64_t *ret_records, struct digest *ret_pcr);

#endif
