/* SPDX-License-Identifier: Apache-2.0 */
/* One judgement of a firmware log while it is under way. Not for other folders. */
#ifndef ASSAY_VERIFIER_PLATFORM_JUDGE_H
#define ASSAY_VERIFIER_PLATFORM_JUDGE_H

#include "firmware-measure/boot_event.h"
#include "firmware-measure/evlog_check.h"
#include "firmware-measure/replay.h"
#include "verifier/appraise/platform_firmware.h"

struct firmware_work {
	const struct firmware_input *in;
	const struct platform_firmware *rules;
	struct firmware_judgement *j;
	struct evlog_check check; /* E1 to E6, E9, E11; its secure_boot is what was measured so far */
	struct buf text;          /* of the event that is being judged */
	bool variable_seen[N_PLATFORM_DATABASES], dbx_seen, application_seen, command_line_seen, version_seen;
	bool application_by_digest, initrd_seen;
	size_t n_signed;              /* authorities that "signers" approved so far */
	bool section_is_command_line; /* the next event of register 11 measures a UKI's .cmdline */
	bool strict;                  /* this event is of a class that a rule decides alone: only an exact digest in
					 "events" can approve it beside that rule, whatever unknown_events says */
	size_t n_hashed;              /* exact command lines hashed: 0 or all of them */
	struct boot_line *hashed;     /* owned */
	struct boot_line claimed;     /* of the line that the host claims; all n == 0: none that could be judged */
	bool line_known;              /* this event measured the claimed line: its words are known */
};

enum ruling {
	RULING_NONE, /* the rule does not speak about this event, or has nothing for it */
	RULING_APPROVED,
	RULING_REFUSED, /* said why; no other rule is asked */
};

/* Adds a failure and gives its texts; the last place is overwritten when the list is full. */
struct platform_failure *firmware_fail(struct firmware_work *w, const char *id, const char *rule, const char *subject);
/* E7, E8, P6: each register that the profile names was quoted, was measured into, and is what the logs say. */
void firmware_registers(struct firmware_work *w, const struct replay *r);
/* Formats into a text of a failure and cuts it at a whole character. */
void platform_say(char *to, size_t size, const char *fmt, ...) printf_like(3, 4);
#define PSAY(member, ...) platform_say((member), sizeof(member), __VA_ARGS__)

/* platform_variables.c: SecureBoot, PK, KEK, db, dbx; and authorities. */
must_check struct err rule_variable(struct firmware_work *w, const struct evdata *d, enum firmware_rule *ret_rule,
				    enum ruling *ret);
must_check struct err rule_authority(struct firmware_work *w, const struct evdata *d, enum ruling *ret);
/* platform_command_line.c. The first hashes what the host claims, once. */
must_check struct err command_line_claimed(struct firmware_work *w);
/* What differs from the nearest approved line, for an event with line_known. */
void command_line_say(const struct firmware_work *w, struct platform_failure *f);
must_check struct err rule_command_line(struct firmware_work *w, const struct evdata *d, enum ruling *ret);

/*
 * platform_userspace.c. The first goes on with *r to the quoted registers, or
 * to where most of them are as quoted, over *ret_n records; a log that cannot
 * be read so far is a failure. The second judges these records, with the
 * registers that are compared known.
 */
must_check struct err userspace_replay(struct firmware_work *w, struct replay *r, size_t *ret_n);
must_check struct err userspace_judge(struct firmware_work *w, size_t n);
/* All of it, on top of what the firmware log made of the registers (in->base). */
must_check struct err userspace_alone(struct firmware_work *w);

#endif
