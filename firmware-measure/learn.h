/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A platform profile from the logs of hosts that are good: what they all
 * measured becomes rules of assay-platform(5). Values that differ from host to
 * host are merged into lists; registers that hold what is each host's own are
 * suggested as ignored, with the reason.
 */
#ifndef ASSAY_MEASURE_LEARN_H
#define ASSAY_MEASURE_LEARN_H

#include "base/json.h"
#include "firmware-measure/boot_event.h"
#include "firmware-measure/evlog_check.h"
#include "firmware-measure/replay.h"

/* Sets are JSON objects whose keys are the members: hex of digests, or lines of text. */
struct learn_firmware {
	enum digest_id bank;
	uint32_t accepted;          /* findings that do not stop, by bit of enum evlog_finding_id */
	size_t n_logs, n_on, n_off; /* with Secure Boot on, off */
	uint32_t extended, differs; /* registers: of any log; with another value than in the first */
	struct digest first[LIMIT_PCRS];
	bool exit_missing;                                        /* E11 in any */
	json_t *certificates[3], *hashes[3], *variable_events[3]; /* PK, KEK, db */
	bool plain[3];            /* only certificates and SHA-256 hashes, and some, in every log */
	json_t *dbx, *dbx_events; /* hashes that every log has */
	json_t *applications, *versions, *lines, *line_events;
	bool lines_plain;         /* every line is printable ASCII */
	size_t n_given;           /* command lines that the caller knows, for boots that measure a digest only */
	const char *const *given; /* borrowed */
	struct boot_line *given_digests;
	bool section_is_line; /* the next event of register 11 measures a UKI's .cmdline */
	json_t *events;       /* "PCR TYPE" -> set */
	json_t *user_texts, *user_digests; /* of systemd's log: "PCR" -> set */
};

void learn_firmware_done(struct learn_firmware *l);
#define cleanup_learn_firmware cleanup(learn_firmware_done)
must_check struct err learn_firmware_init(struct learn_firmware *l, enum digest_id bank, uint32_t accepted);
/*
 * Command lines that boots of these hosts may have: where a log holds one as a
 * digest only, it becomes a rule of words. Before the first log; borrowed.
 */
must_check struct err learn_firmware_lines(struct learn_firmware *l, size_t n, const char *const *lines);
/*
 * One log. E_AUTH_REFUSED for a finding that is not accepted, with its words;
 * E_PEER_UNSUPPORTED for a log without the bank; errors of evlog_open() and
 * evlog_next() with the offset in the reason.
 */
must_check struct err learn_firmware_log(struct learn_firmware *l, struct bytes raw, struct reason *reterr);
/*
 * What systemd measured on such a host (userlog.h), before or after the logs
 * of the firmware. E_AUTH_REFUSED for a record without a digest of the bank;
 * errors of userlog_next() with the offset in the reason.
 */
must_check struct err learn_firmware_userspace(struct learn_firmware *l, struct bytes raw, struct reason *reterr);
/* The member "firmware". The caller owns *ret. */
must_check struct err learn_firmware_profile(const struct learn_firmware *l, json_t **ret, struct reason *reterr);

struct learn_ima {
	json_t *digests, *templates;
	uint64_t n_violations;
};
void learn_ima_done(struct learn_ima *l);
#define cleanup_learn_ima cleanup(learn_ima_done)
must_check struct err learn_ima_init(struct learn_ima *l);
/* One list. E_AUTH_REFUSED for what no profile could approve (SHA-1 of files, entries that cannot be read). */
must_check struct err learn_ima_list(struct learn_ima *l, struct bytes raw, struct reason *reterr);
must_check struct err learn_ima_profile(const struct learn_ima *l, json_t **ret, struct reason *reterr);

#define LEARN_MAX_LIST 1024 /* digests in one list of a platform document */

/* For learn_firmware_profile(): the member "userspace" of what was learned for these registers, where there is any. */
must_check struct err learn_put_userspace(const struct learn_firmware *l, uint32_t compared, json_t *o);

/* Adds a member to a set; the keys of a set as a sorted array. */
must_check struct err learn_set_add(json_t *set, const char *member);
must_check struct err learn_set_add_hex(json_t *set, struct bytes digest);
must_check struct err learn_set_add_all(json_t *set, json_t *other);
must_check struct err learn_set_list(json_t *set, json_t **ret);

#endif
