/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Judges a firmware log by a platform profile, in this order: does the log
 * explain the quoted registers (E7, E8), is it built as such a log must be
 * (E1 to E6, E9 to E11), does a rule of the profile approve each event. What an
 * event's digest does not cover is never used.
 *
 * Where the profile has rules over what systemd measured later, its log goes on
 * where the firmware's ends. systemd goes on measuring while the host runs, so
 * once a firmware log was judged, what it makes of the registers is enough to
 * judge the rest again.
 *
 * Pure: no I/O, clock or globals.
 */
#ifndef ASSAY_VERIFIER_PLATFORM_FIRMWARE_H
#define ASSAY_VERIFIER_PLATFORM_FIRMWARE_H

#include "verifier/appraise/platform.h"

/* What decided an event; in the order in which they are tried. */
enum firmware_rule {
	FIRMWARE_RULE_STRUCTURE, /* separators and the actions that every boot has: evlog_check.h judges them */
	FIRMWARE_RULE_SECURE_BOOT,
	FIRMWARE_RULE_VARIABLES,
	FIRMWARE_RULE_DBX,
	FIRMWARE_RULE_SIGNERS,
	FIRMWARE_RULE_BOOT_APPLICATIONS,
	FIRMWARE_RULE_COMMAND_LINES,
	FIRMWARE_RULE_VERSIONS,
	FIRMWARE_RULE_EVENTS,
	FIRMWARE_RULE_USERSPACE,
	N_FIRMWARE_RULES
};
/* "firmware.boot_applications"; static. */
const char *firmware_rule_name(enum firmware_rule r);

/* What a firmware log alone made of the registers of its profile. */
struct firmware_base {
	uint32_t mask; /* registers of pcr; none: there is no such log */
	struct digest pcr[LIMIT_PCRS];
};

struct firmware_input {
	const struct platform_firmware *rules;
	enum platform_measurer measurer; /* MEASURER_BOOT_IMAGE: see measurer_seen below */
	enum digest_id bank;             /* of the document and of the quote */
	struct bytes log;                /* the firmware's, as the host sent it; no bytes: the host sent none */
	uint32_t pcr_mask;               /* registers that pcr holds, each of the size of the bank */
	const struct digest *pcr;        /* LIMIT_PCRS values as quoted, by number; borrowed */
	struct bytes command_line;       /* what the host says that its kernel runs with; believed only where an event
					    measured its digest; no bytes: it says nothing */
	struct bytes userspace;          /* systemd's log (firmware-measure/userlog.h), read only where rules speak of it */
	/*
	 * What the same rules judged before in this boot, where log has no
	 * bytes; NULL: nothing. compared_before and measurer_before are what
	 * came of it. Borrowed.
	 */
	const struct firmware_base *base;
	uint32_t compared_before;
	bool measurer_before;
};

struct firmware_judgement {
	bool passed;       /* nothing failed and something was compared */
	size_t n_failures; /* all of them; the first PLATFORM_MAX_FAILURES are kept */
	struct platform_failure failure[PLATFORM_MAX_FAILURES];

	/* Coverage. */
	size_t n_events;                  /* that extend a register */
	size_t decided[N_FIRMWARE_RULES]; /* approved, by the rule that did */
	size_t n_ignored;                 /* in registers that the profile ignores */
	size_t n_undecided;               /* approved by no rule; passes only where the profile allows unknown events */
	uint32_t compared_mask;           /* registers whose quoted value the log explains and that an event extended */
	uint32_t ignored_mask;
	int secure_boot;    /* 1, 0, or -1 where no verified event says */
	bool measurer_seen; /* with MEASURER_BOOT_IMAGE: boot application and initrd were measured and approved by
			       digest */
	struct firmware_base base; /* where the profile has rules over systemd's log */
	bool from_base;            /* only what systemd measured was judged */
};

/*
 * *ret is filled in whenever E_OK comes back, whatever the log is: bytes that
 * cannot be parsed are a failure in it, not an error.
 * E_LOCAL_MEMORY, E_LOCAL_CRYPTO; E_BUG (no rules, bank below SHA-256).
 */
must_check struct err platform_firmware_judge(const struct firmware_input *in, struct firmware_judgement *ret);

#endif
