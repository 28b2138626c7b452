/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the firmware log makes of the registers of one bank.
 *
 * Start values: PCR 0 begins with the locality in its last byte: the one that
 * a StartupLocality event names (0, 3 or 4; once, for PCR 0, before anything
 * extends it), or 4 where an EV_EFI_HCRTM_EVENT is the first to extend it,
 * whatever else is said. PCR 17-22 are all-FF until a dynamic launch resets
 * them to zero; a log that extends them was written after one, so they then
 * begin at zero. All others begin at zero.
 *
 * Source: PFP 1.06, 3.3.1 (PCR usage), 10.4.5.3 (StartupLocality), H-CRTM;
 * TCG PC Client TPM Profile 1.05, 4.6 (reset values).
 */
#ifndef ASSAY_MEASURE_REPLAY_H
#define ASSAY_MEASURE_REPLAY_H

#include "firmware-measure/evlog.h"

struct replay {
	enum digest_id bank;
	struct digest pcr[LIMIT_PCRS]; /* value of each; the start value where nothing extended it */
	uint32_t extended;             /* bit per register that an event extended in this bank */
	size_t n_events;               /* seen, header included */
	size_t n_extends;
	/* Every event that extends has one digest of this bank. Otherwise the log explains nothing in it. */
	bool complete;
	size_t first_gap;     /* index of the first that has not, where !complete */
	int startup_locality; /* 0, 3, 4, or -1 where no valid event names one */
	bool hcrtm;           /* an H-CRTM event was the first to extend PCR 0 */
};

/* The start. E_PEER_UNSUPPORTED where the log has no such bank (E8); E_BUG for no bank at all. */
must_check struct err replay_init(const struct evlog *log, enum digest_id bank, struct replay *ret);

/* One event of the log that r was started for, in order. E_LOCAL_CRYPTO, E_LOCAL_MEMORY, E_PEER_UNSUPPORTED (no SM3).
 */
must_check struct err replay_add(struct replay *r, const struct evlog_event *ev);

/* The whole log. Errors of replay_init(), evlog_next(), replay_add(). */
must_check struct err replay_log(const struct evlog *log, enum digest_id bank, struct replay *ret,
				 struct evlog_fault *reterr);

/* True where events extended the register, so that rules may speak about them. */
static inline bool replay_extended(const struct replay *r, uint32_t pcr)
{
	return pcr < LIMIT_PCRS && (r->extended >> pcr & 1) != 0;
}

/*
 * E7: whether the log explains the quoted value of a register: every event has
 * its digest in this bank, and the replayed value, which is the reset value
 * where there were no events, equals the quoted one. No rule may use a
 * register that its log does not explain.
 */
bool replay_explains(const struct replay *r, uint32_t pcr, struct bytes quoted);

/*
 * The locality that a StartupLocality event names, whatever it is and
 * wherever it stands. False for any other event. Source: PFP 1.06, 10.4.5.3.
 */
bool replay_startup_locality(const struct evlog_event *ev, uint8_t *ret);

#endif
