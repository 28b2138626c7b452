/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One appraisal while it is under way. Each row of the table is a function
 * that reads what the rows before it found out and says pass or fail; a row
 * that says nothing stays NOT_RUN, and NOT_RUN is no pass. Not for other
 * folders.
 */
#ifndef ASSAY_VERIFIER_WORK_H
#define ASSAY_VERIFIER_WORK_H

#include "verifier/appraise/appraise.h"
#include "verifier/appraise/idset.h"
#include "verifier/appraise/platform_firmware.h"
#include "verifier/appraise/platform_ima.h"

/* In the order in which they run; appraise.c has the ids. */
enum row {
	ROW_FORM, ROW_ISSUER, ROW_HOST, ROW_AK_NAME, ROW_NONCE,
	ROW_PARSE, ROW_SCHEME, ROW_SIGNATURE, ROW_MAGIC, ROW_TYPE, ROW_EXTRA_DATA,
	ROW_SELECTION, ROW_PCR_DIGEST, ROW_WHOLE, ROW_SIGNER,
	ROW_OVERTAKEN, ROW_RESET, ROW_RESTART, ROW_NEW_BOOT, ROW_POSITION, ROW_NULL_PRIMARY, ROW_BOOT_ID, ROW_FIRMWARE,
	ROW_LOG, ROW_LOG_ORDER, ROW_LOG_BEGIN, ROW_LOG_ONCE, ROW_LOG_CONTAINER, ROW_LOG_RESUME, ROW_PRESENTED,
	ROW_KEY_AREA, ROW_KEY_ALGORITHM, ROW_KEY_ATTRIBUTES, ROW_KEY_MEASURED, ROW_KEY_SIGNATURE, ROW_KEY_NONCE,
	ROW_KEY_NAME, ROW_KEY_PARENT, ROW_KEY_BOOT, ROW_KEYS_ALL,
	ROW_HOST_DOCUMENT, ROW_PLATFORM, ROW_FIRMWARE_LOG, ROW_FIRMWARE_FORM, ROW_FIRMWARE_EVENTS,
	ROW_IMA, ROW_IMA_FORM, ROW_IMA_ENTRIES, ROW_MEASURER, ROW_COMPARED,
	ROW_IMAGE, ROW_ROOT, ROW_MODEL, ROW_CHANGED, ROW_AGENT, ROW_CONTAINER, N_ROWS
};
_Static_assert(N_ROWS <= VERDICT_MAX_CHECKS, "every row has a place in the verdict");

/* How the counters of the quote stand to those of the last one (attestation-checks, section 6). */
enum boot_relation {
	BOOT_FIRST,    /* nothing to compare with */
	BOOT_SAME,
	BOOT_RESUMED,  /* same reset count, later restart count */
	BOOT_NEW,      /* later reset count, modulo 2^32 */
	BOOT_BACK,     /* an earlier one: another TPM, or one that was tampered with */
};

/* Register of the IMA list, and those that its boot_aggregate is over (I9). */
#define IMA_PCRS 0x7ffu

/* Every register that a platform document speaks of. */
uint32_t document_pcrs(const struct document *d);

struct work {
	const struct appraisal *in;
	struct verdict *v;                 /* v->next is the state that is being built */
	uint8_t failure_row[ATTEST_MAX_FAILURES];
	struct tpm_attest quote;
	struct tpm_signature signature;
	struct pcr_selection want;
	enum digest_id bank;
	uint8_t policy[32];
	uint8_t extra_data[32];            /* that the quote must have */
	struct digest pcr_digest;          /* the same */
	const struct document *host_doc;   /* or NULL: PENDING */

	enum boot_relation boot;
	bool clock_accepted;               /* the rules R1 and R5 held: the counters are worth remembering */
	bool continues;                    /* evidence of the boot that the state knows, under the same reference values */

	bool log_walked;                   /* to the record that matches the quote */
	bool log_open;                     /* it comes in parts: what was walked is to be kept apart until there is a verdict */
	size_t instance_cap;
	struct idset gone;                 /* with gone_loaded: v->next.gone */
	bool gone_loaded;
	struct unexplained image_gone, root_gone, model_gone;

	bool keys_walked;
	const struct document *platform;   /* the one that fits in registers and firmware log, or NULL */
	const struct document *nearest;    /* platform, or the one with the least that is wrong, or NULL */
	struct firmware_judgement *firmware; /* owned; of nearest, NULL where it has no rules or its judgement stands */
	bool ima_replayed;                 /* to the entry that matches the quote */
	struct ima_judgement ima;          /* with ima_replayed */
	bool ima_measurer;                 /* the measurer's own entry was there */
	struct ima_progress ima_progress;  /* as it is to be kept */
	bool measurer_attested;
	size_t n_platforms;                /* that hold for this host in the bank of the quote */

	/* Large, and written before they are read: work_new() does not clear them. */
	struct evidence ev;
	struct evidence_claims claims;
	struct attest_failure dropped;     /* where text goes when the list is full */
};

static inline bool undecided(struct err e)
{
	return e.code >= E_LOCAL_MEMORY;
}

/* Sets a row that did not fail. */
void work_pass(struct work *w, enum row row);
/*
 * Fails a row and gives the entry for its texts, which are to be filled in
 * with say(). The list keeps the order of the table; when it is full, later
 * rows lose theirs.
 */
struct attest_failure *work_fail(struct work *w, enum row row, const char *subject);
/* The same without failing the row: an instance that fails alone. */
struct attest_failure *work_note(struct work *w, enum row row, const char *subject);
bool work_failed(const struct work *w, enum row row);

/* Formats into a text of a failure and cuts it at a whole character. */
void say(char *to, size_t size, const char *fmt, ...) printf_like(3, 4);
#define SAY(member, ...) say((member), sizeof(member), __VA_ARGS__)

struct hex_text {
	char text[2 * DIGEST_MAX + 1];
};
/* Hex of at most DIGEST_MAX bytes, for one expression. */
const char *hex_text(struct hex_text *h, struct bytes b);
#define HEX(b) hex_text(&(struct hex_text){ { 0 } }, (b))

/* An E_PEER_*, E_AUTH_* or E_LIMIT_* as the failure of a row; others come back as they are. */
must_check struct err fail_with(struct work *w, enum row row, const char *subject, const char *expected, struct err e,
				const struct reason *why);

typedef struct err (*row_fn)(struct work *w);

/* check_form.c */
struct err row_form(struct work *w);
struct err row_issuer(struct work *w);
struct err row_host(struct work *w);
struct err row_ak_name(struct work *w);
struct err row_nonce(struct work *w);
/* check_quote.c */
struct err row_parse(struct work *w);
struct err row_scheme(struct work *w);
struct err row_signature(struct work *w);
struct err row_magic(struct work *w);
struct err row_type(struct work *w);
struct err row_extra_data(struct work *w);
struct err row_selection(struct work *w);
struct err row_pcr_digest(struct work *w);
struct err row_whole(struct work *w);
struct err row_signer(struct work *w);
/* check_clock.c */
struct err row_overtaken(struct work *w);
struct err row_reset(struct work *w);
struct err row_restart(struct work *w);
struct err row_new_boot(struct work *w);
struct err row_position(struct work *w);
struct err row_firmware(struct work *w);
/* check_boot.c */
struct err row_null_primary(struct work *w);
struct err row_boot_id(struct work *w);
/* check_log.c: the first walks the log, the others tell what the walk found */
struct err row_log(struct work *w);
struct err row_log_order(struct work *w);
struct err row_log_begin(struct work *w);
struct err row_log_once(struct work *w);
struct err row_log_container(struct work *w);
struct err row_log_resume(struct work *w);
struct err row_presented(struct work *w);
/* check_keys.c: the first walks the keys */
struct err row_key_area(struct work *w);
struct err row_key_algorithm(struct work *w);
struct err row_key_attributes(struct work *w);
struct err row_key_measured(struct work *w);
struct err row_key_signature(struct work *w);
struct err row_key_nonce(struct work *w);
struct err row_key_name(struct work *w);
struct err row_key_parent(struct work *w);
struct err row_key_boot(struct work *w);
struct err row_keys_all(struct work *w);
/* check_platform.c */
struct err row_host_document(struct work *w);
struct err row_platform(struct work *w);
struct err row_compared(struct work *w);
/* check_firmware.c */
struct err row_firmware_log(struct work *w);
struct err row_firmware_form(struct work *w);
struct err row_firmware_events(struct work *w);
/* check_ima.c: the first walks the list */
struct err row_ima(struct work *w);
struct err row_ima_form(struct work *w);
struct err row_ima_entries(struct work *w);
struct err row_measurer(struct work *w);
/* check_approval.c */
struct err row_image(struct work *w);
struct err row_root(struct work *w);
struct err row_model(struct work *w);
struct err row_changed(struct work *w);
struct err row_agent(struct work *w);
struct err row_container(struct work *w);

/*
 * certify.c: a structure certified by the enrolled AK, step by step, so that
 * each step can have its own row.
 */
struct certified {
	struct tpm_public area;
	struct tpm_name name;              /* computed from the area (C2) */
	struct tpm_attest attest;
};
must_check struct err certified_area(const struct evidence_key *k, struct certified *ret, struct reason *reterr);
/* C1: structure, scheme, signature, magic, type, signer. */
must_check struct err certified_signature(const struct work *w, const struct evidence_key *k, struct certified *c,
					  struct reason *reterr);
/* C8 */
must_check struct err certified_boot(const struct work *w, const struct certified *c, struct reason *reterr);
/*
 * C5, C2, Q16: the whole structure as we would have written it for this nonce,
 * these claims and this key, with clock, firmware version and signer copied
 * over; and, where it differs, which part is to blame.
 */
enum certified_fault {
	CERTIFIED_AS_EXPECTED,
	CERTIFIED_OTHER_NONCE,
	CERTIFIED_OTHER_NAME,
	CERTIFIED_OTHER_PARENT,
	CERTIFIED_OTHERWISE,
};
must_check struct err certified_compare(const struct work *w, const struct certified *c,
					const struct tpm_name *qualified_name, enum certified_fault *ret);
const char *certified_fault_text(enum certified_fault f);

/*
 * An approval of these contents, one that the agent names where there is one; agent may be NULL. Of a container the
 * same document lists its root, too; NULL: the manifest alone.
 */
const struct document *approved_image(const struct work *w, const struct image_digests *d,
				      const struct container_digests *container, bool include_expired,
				      const struct document *agent);
const struct document *approved_model(const struct work *w, const struct model_digests *d, bool include_expired,
				      const struct document *agent);

/* check_platform.c: these registers were compared, those at their reset value not counted. */
void count_compared(struct work *w, uint32_t mask);

/*
 * check_firmware.c: what the rules of d make of the firmware log, or that the
 * judgement of this boot stands. *ret is to be freed by the caller, and NULL
 * where there are no rules or nothing had to be judged anew. *ret_wrong counts
 * what fails.
 */
must_check struct err firmware_judge(const struct work *w, const struct document *d, struct firmware_judgement **ret,
				     size_t *ret_wrong);

/* conclude.c: state, status, vectors, after the last row that ran. */
must_check struct err work_conclude(struct work *w);

#endif
