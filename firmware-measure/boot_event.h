/* SPDX-License-Identifier: Apache-2.0 */
/* What events of a boot are about: shared by who learns a platform profile and who judges by one. */
#ifndef ASSAY_MEASURE_BOOT_EVENT_H
#define ASSAY_MEASURE_BOOT_EVENT_H

#include "firmware-measure/evdata.h"

/*
 * What every boot does and what therefore says nothing about it: separators of
 * PCR 0-7 with the good value, and the actions around boot applications and
 * the end of boot services. Their place and number is evlog_check.h's.
 */
bool boot_event_structural(const struct evdata *d);

/*
 * The kernel command line within the text of an event as evdata_text() gave
 * it: GRUB's own measurement of it, its commands linux and linuxefi, and
 * systemd-stub's. *ret is a view into text. False where there is none.
 */
bool boot_event_command_line(enum evdata_text kind, struct bytes text, struct bytes *ret);

/* A command line as digests, where a boot measures it so. */
#define BOOT_LINE_FORMS 3
struct boot_line {
	struct digest options;                  /* Linux's load options: UTF-16 with its NUL; n == 0: no line at all */
	struct digest section[BOOT_LINE_FORMS]; /* .cmdline of a UKI: as it is, with a NUL, with a line break */
};
/* line: ASCII. E_LOCAL_CRYPTO, E_LOCAL_MEMORY, E_LIMIT_SIZE. */
must_check struct err boot_line_digests(const char *line, enum digest_id bank, struct boot_line *ret);
/* Whether a digest is that of the line, as a section or as load options. */
bool boot_line_is(const struct boot_line *l, bool section, struct bytes digest);

#endif
