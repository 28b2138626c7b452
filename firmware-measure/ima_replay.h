/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replay of an IMA list against a quoted PCR, from the start of a boot or
 * from a position that an earlier replay reached.
 *
 *   I1  a violation stands in the list with a zero template hash and was
 *       extended as all ones
 *   I2  the list holds SHA-1 over the template data; each bank was extended
 *       with its own hash of them
 *   I3  replay stops at the entry after which every asked bank has its quoted
 *       value; what comes later is not covered
 *   I4  a position counts only with its count, offset and values
 *   I8  every entry names the register that is replayed
 *   I9  the first entry of a boot is boot_aggregate, over PCR 0 and on
 *
 * Some kernels do not hash for a bank: up to 5.7 for any but SHA-1, later for
 * one whose algorithm was not there at boot. They extend the SHA-1 template
 * hash with zeros behind. Which one it was is not known before the value
 * fits; so all are replayed until then, and the one that fitted is kept.
 *
 * Source: Linux security/integrity/ima/ima_queue.c (ima_pcr_extend,
 * ima_init_digests), ima_crypto.c (ima_calc_field_array_hash,
 * ima_calc_boot_aggregate).
 */
#ifndef ASSAY_MEASURE_IMA_REPLAY_H
#define ASSAY_MEASURE_IMA_REPLAY_H

#include "firmware-measure/imalog.h"

/* How a kernel extended a bank. */
enum ima_fit {
	IMA_FIT_UNKNOWN, /* no value fitted yet */
	IMA_FIT_NATIVE,  /* hash of the template data in the bank's algorithm */
	IMA_FIT_PADDED,  /* SHA-1 template hash and zeros; no violation so far, which would tell the next two apart */
	IMA_FIT_PADDED_FULL,  /* the same; a violation is ones as far as the bank is wide */
	IMA_FIT_PADDED_SHORT, /* the same; a violation is 20 bytes of ones and zeros */
};

/* "native", "padded"; static. NULL for unknown ones. */
const char *ima_fit_name(enum ima_fit fit);

/* Where a replay stands. Belongs to one boot, which its owner keeps with it. */
struct ima_position {
	uint64_t n_entries;           /* from the start of the boot */
	uint64_t off;                 /* offset of the next entry in the whole list */
	unsigned banks;               /* bit 1 << digest_id per bank */
	struct digest pcr[N_DIGESTS]; /* value per bank */
	enum ima_fit fit[N_DIGESTS];  /* never IMA_FIT_UNKNOWN for one of banks */
};

/*
 * Form of a position for keeping: version 1, then big endian count, offset,
 * number of banks, and per bank TPM algorithm, fit and value. Appended.
 * Decoding demands exactly this form (E_PEER_*) with banks ascending.
 */
must_check struct err ima_position_encode(const struct ima_position *p, struct buf *ret);
must_check struct err ima_position_decode(struct bytes b, struct ima_position *ret);
bool ima_position_equal(const struct ima_position *a, const struct ima_position *b);

/* What is odd about one entry. */
enum {
	IMA_ODD_VIOLATION = 1 << 0,   /* I1 */
	IMA_ODD_HASH = 1 << 1,        /* I2: the template hash is not that of the data */
	IMA_ODD_PCR = 1 << 2,         /* I8: it names another register, which was not replayed */
	IMA_ODD_NOT_COVERED = 1 << 3, /* I3: it comes after the quoted state; nothing else was looked at */
};

struct ima_replay {
	uint32_t pcr;    /* register, mostly IMA_PCR */
	unsigned banks;  /* bit per bank that is replayed */
	unsigned quoted; /* bit per bank with a value that must be met */
	struct ima_bank {
		struct digest want;
		struct digest native, full, shrt; /* value under each fit; n == 0: ruled out */
		bool split;                       /* full and shrt went apart */
		enum ima_fit fit;
	} bank[N_DIGESTS];
	uint64_t n_entries, off; /* as in a position, behind the last covered entry */
	uint64_t start_entries;  /* n_entries where this replay began */
	uint64_t n_violations, n_bad_hash, n_other_pcr, n_not_covered; /* since it began */
	bool matched;                                                  /* every quoted bank has its value */
};

/*
 * Begins to replay register pcr (E_PEER_RANGE above a TPM's) in the banks of a
 * mask that is not empty (E_BUG), from position from or, where that is NULL,
 * from the reset of the TPM: all zeros. A position without one of the banks
 * is E_PEER_MISSING: replay the whole list then.
 */
must_check struct err ima_replay_init(struct ima_replay *r, uint32_t pcr, unsigned banks,
				      const struct ima_position *from);

/*
 * Rules padded values out, for a caller to whom they would say nothing: that
 * saves a third of the hash work. Before the first entry and before
 * ima_replay_quoted(). Of a position that is padded nothing is left, and no
 * value fits.
 */
void ima_replay_native_only(struct ima_replay *r);

/*
 * Names the quoted value of a bank that is replayed (else E_BUG) before the
 * first entry; E_PEER_RANGE where it has not the size of its algorithm. When
 * all quoted values are met already, r->matched is true.
 */
must_check struct err ima_replay_quoted(struct ima_replay *r, enum digest_id bank, struct bytes value);

/* The next entry; *ret_odd are its IMA_ODD_ bits. E_LOCAL_CRYPTO and the like only: oddities are no errors. */
must_check struct err ima_replay_entry(struct ima_replay *r, const struct ima_entry *ent, unsigned *ret_odd);

/* The position where all quoted banks were met; E_PEER_DIGEST where they were not, *ret is then unchanged (I3). */
must_check struct err ima_replay_position(const struct ima_replay *r, struct ima_position *ret);

/* Value of a bank under a fit (NATIVE, PADDED = FULL, or PADDED_SHORT); NULL where that was ruled out. */
const struct digest *ima_replay_value(const struct ima_replay *r, enum digest_id bank, enum ima_fit fit);

/* Quoted values of one bank, PCR 0 to 9; n == 0 for those not quoted. */
struct ima_bank_values {
	enum digest_id bank;
	struct digest pcr[10];
};

enum ima_aggregate {
	IMA_AGGREGATE_FITS_0_9,   /* over PCR 0-9 of its hash's bank */
	IMA_AGGREGATE_FITS_0_7,   /* over PCR 0-7 of its hash's bank: SHA-1, and old kernels */
	IMA_AGGREGATE_FITS_SHA1,  /* in another hash over PCR 0-7 of the SHA-1 bank: kernels up to 5.7 */
	IMA_AGGREGATE_ABSENT,     /* the entry is not a boot_aggregate, or not decoded */
	IMA_AGGREGATE_NOT_QUOTED, /* none of these can be computed from the registers given */
	IMA_AGGREGATE_DIFFERS,    /* another boot, or no TPM was there */
};

static inline bool ima_aggregate_fits(enum ima_aggregate a)
{
	return a <= IMA_AGGREGATE_FITS_SHA1;
}

/*
 * Compares the first entry of a boot with the registers of n banks (I9). ent
 * must have passed I2: its template hash fits. Errors are local ones only.
 */
must_check struct err ima_aggregate_check(const struct ima_entry *ent, size_t n, const struct ima_bank_values *banks,
					  enum ima_aggregate *ret);

#endif
