/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is odd about a firmware log that can be read: structure only, no
 * policy. A log can replay well and still lie in what its digests do not
 * cover; each rule that it breaks is a finding by id:
 *
 *   E1   type that does not belong into its register; EV_NO_ACTION that is none of those the profile knows
 *   E2   digest that does not fit the data, for types where it is over the data
 *   E3   separators: value, exactly one in each of PCR 0-7, nothing of the firmware's own behind it
 *   E4   secure boot: SecureBoot measured once, before the separator of PCR 7, one byte; authorities on their side
 *   E5   StartupLocality: once, PCR 0, before its first extend, value 0, 3 or 4, in a log that says more
 *   E6   H-CRTM: the first to extend PCR 0
 *   E9   an event that has not each bank once
 *   E11  ExitBootServices events missing
 *   E12  measured dbx does not contain the reference
 *
 * E7 and E8 are replay's (replay.h), E10 the reader's (evlog.h).
 *
 * Pure, no allocation but for E12. A caller that walks the log anyhow uses the
 * three functions, so that each event is read and hashed once.
 */
#ifndef ASSAY_MEASURE_EVLOG_CHECK_H
#define ASSAY_MEASURE_EVLOG_CHECK_H

#include "firmware-measure/evdata.h"

enum evlog_finding_id {
	EVLOG_E1 = 1,
	EVLOG_E2 = 2,
	EVLOG_E3 = 3,
	EVLOG_E4 = 4,
	EVLOG_E5 = 5,
	EVLOG_E6 = 6,
	EVLOG_E9 = 9,
	EVLOG_E11 = 11,
	EVLOG_E12 = 12,
};

#define EVLOG_NO_EVENT SIZE_MAX /* a finding about the log as a whole */

struct evlog_finding {
	enum evlog_finding_id id;
	size_t event;   /* index, or EVLOG_NO_EVENT */
	uint32_t pcr;   /* EVLOG_NO_PCR where it is about none */
	char text[160]; /* what was expected and what was seen; printable */
};

struct evlog_check_options {
	/*
	 * The log of a confidential VM: registers 0..4 of its own, so that
	 * rules about PCRs (E1 but for EV_NO_ACTION, E3, E4's order, E5, E6) do not apply.
	 */
	bool confidential;
	/* E11 is not looked for. */
	bool exit_boot_services_optional;
	/* E12: what dbx must contain, a signature database; BYTES_NONE: not looked for. Borrowed. */
	struct bytes dbx;
};

enum evlog_secure_boot {
	EVLOG_SECURE_BOOT_UNKNOWN, /* nothing verified says so */
	EVLOG_SECURE_BOOT_OFF,
	EVLOG_SECURE_BOOT_ON,
};

struct evlog_check {
	const struct evlog *log;
	enum digest_id bank;
	struct evlog_check_options options;
	size_t max, n; /* n counts all findings, also those that found no room */
	struct evlog_finding *to;

	/* State; whoever calls looks at secure_boot only, after evlog_check_end(). */
	enum evlog_secure_boot secure_boot;
	size_t n_extends;
	uint32_t extended; /* registers */
	unsigned n_separators[8];
	size_t n_secure_boot, n_locality, n_drivers, n_apps;
	size_t n_authorities_before, n_authorities_after, first_authority;
	bool exit_called, exit_done, has_dbx;
};

/* Starts. to has room for max findings and outlives the check. */
void evlog_check_init(struct evlog_check *c, const struct evlog *log, enum digest_id bank,
		      const struct evlog_check_options *options, size_t max, struct evlog_finding *to);
/* Each event in order; d is its evdata_verify() in the same bank, NULL where it has no digest there. E_LOCAL_MEMORY. */
must_check struct err evlog_check_event(struct evlog_check *c, const struct evlog_event *ev, const struct evdata *d);
/* The rules about the whole log. */
void evlog_check_end(struct evlog_check *c);

/*
 * All of it for one bank. *ret_n counts all findings, of which the first max
 * are in to; *ret_secure_boot may be NULL. E_PEER_UNSUPPORTED where the log
 * has no such bank; errors of evlog_next() and evdata_verify().
 */
must_check struct err evlog_check(const struct evlog *log, enum digest_id bank,
				  const struct evlog_check_options *options, size_t max, struct evlog_finding *to,
				  size_t *ret_n, enum evlog_secure_boot *ret_secure_boot, struct evlog_fault *reterr);

/* E1: whether events of this type belong into the register. */
bool evlog_type_belongs(uint32_t pcr, uint32_t type);

#endif
