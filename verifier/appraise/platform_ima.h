/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Judges an IMA list by a platform profile, entry by entry, so that a list of
 * any length can be judged over many requests: what is kept between them is
 * one small state, which can be stored.
 *
 * The caller replays (imalog.h): it feeds an entry only after its template
 * hash was found right (I2), and trusts the judgement only once the entries
 * fed so far give the quoted register (I3, I4).
 *
 * A violation's record extends a constant, so not even the name in it is
 * covered by the register. That is why violations are not judged by path.
 *
 * Pure: no I/O, clock or globals.
 */
#ifndef ASSAY_VERIFIER_PLATFORM_IMA_H
#define ASSAY_VERIFIER_PLATFORM_IMA_H

#include "firmware-measure/ima_sign.h"
#include "verifier/appraise/platform.h"

struct ima_allowlist;

/* What decided an entry; in the order in which they are tried. */
enum ima_rule {
	IMA_RULE_BOOT_AGGREGATE,
	IMA_RULE_VIOLATIONS, /* allowed ones */
	IMA_RULE_MEASURER,
	IMA_RULE_DIGESTS,
	IMA_RULE_ALLOWLISTS,
	IMA_RULE_SIGNERS,
	IMA_RULE_SIGNER_CAS, /* keys that a CA of the profile signed, and files signed with them */
	IMA_RULE_EXCLUDE,
	IMA_RULE_UNSIGNED,
	N_IMA_RULES
};
/* "ima.exclude"; static. */
const char *ima_rule_name(enum ima_rule r);

#define PLATFORM_IMA_FAILURES 4
#define PLATFORM_IMA_KEYS 8           /* keys that a list may tell of */
#define PLATFORM_IMA_STATE_MAX 8192   /* bytes encoded: 2 KiB, and 600 bytes for a key */

struct platform_ima_state {
	uint64_t n_entries;
	uint64_t decided[N_IMA_RULES];
	uint64_t n_failed;        /* entries that no rule approves */
	bool boot_aggregate_seen; /* first entry, and equal to what the quoted registers give */
	bool measurer_seen;
	size_t n_keys; /* learned from the list so far (I7), for this boot */
	struct key *key[PLATFORM_IMA_KEYS]; /* owned */
	struct ima_key learned[PLATFORM_IMA_KEYS]; /* the same keys */
	uint8_t n_kept; /* failures kept: the first ones, texts cut to what fits */
	struct platform_failure failure[PLATFORM_IMA_FAILURES];
};

/* Frees keys; *s has no entries afterwards. */
void platform_ima_state_done(struct platform_ima_state *s);
#define cleanup_platform_ima_state cleanup(platform_ima_state_done)

/* What stays the same from the first entry to the last. Borrowed. */
struct ima_input {
	const struct platform_profile *profile; /* whose ima is not NULL */
	const struct ima_allowlist *const
		*allowlists;      /* as many as profile->ima->allowlists, in that order, none NULL */
	enum digest_id bank;      /* of the quote */
	uint32_t pcr_mask;        /* registers that pcr holds */
	const struct digest *pcr; /* LIMIT_PCRS values as quoted, by number */
	int64_t now_s;            /* when certificates of keys have to be valid */
};

/*
 * Asks for the memory in which the entry will be looked up. Called before its
 * template is hashed, the wait is over when the hashes are.
 */
void platform_ima_ahead(const struct ima_input *in, const struct ima_entry *entry);

/* A state of no entries is all zero. One entry; s is unchanged on failure. E_LOCAL_*; E_BUG. */
must_check struct err platform_ima_add(const struct ima_input *in, const struct ima_entry *entry,
				       struct platform_ima_state *s);

struct ima_judgement {
	bool passed; /* nothing failed, something was compared, the measurer seen where it must be */
	bool warn;   /* violations were counted: caps the platform at warning */
	size_t n_failures;
	struct platform_failure failure[PLATFORM_IMA_FAILURES + 2];
};
/* The judgement on the entries so far. */
void platform_ima_conclude(const struct ima_input *in, const struct platform_ima_state *s, struct ima_judgement *ret);

/*
 * A state as deterministic CBOR of at most PLATFORM_IMA_STATE_MAX bytes, and
 * back: decode(encode(s)) == s. E_LIMIT_SIZE cannot happen; E_LOCAL_MEMORY,
 * E_LOCAL_CRYPTO; decoding: E_PEER_*, E_LIMIT_*, and *ret has no keys before.
 */
must_check struct err platform_ima_encode(const struct platform_ima_state *s, struct buf *ret);
must_check struct err platform_ima_decode(struct bytes in, struct platform_ima_state *ret);

/* platform_ima_keys.c, for platform_ima.c and platform_ima_state.c. */
struct cbor_rd;
bool platform_ima_tells_key(const struct ima_entry *ent);
/* E_AUTH_CERTIFICATE, E_PEER_*, E_LIMIT_COUNT with the reason: no key that counts. s is then unchanged. */
must_check struct err platform_ima_learn(const struct ima_input *in, const struct ima_entry *ent,
					 struct platform_ima_state *s, struct reason *why);
must_check struct err platform_ima_keys_encode(const struct platform_ima_state *s, struct buf *b);
must_check struct err platform_ima_keys_decode(struct cbor_rd *r, struct platform_ima_state *s);

#endif
