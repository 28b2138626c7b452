/* SPDX-License-Identifier: Apache-2.0 */
/* A lab whose host measures its boot: a firmware log, systemd's log behind it, and a profile over both. */
#ifndef ASSAY_TESTS_SUPPORT_LAB_BOOT_H
#define ASSAY_TESTS_SUPPORT_LAB_BOOT_H

#include "tests/support/lab.h"

/*
 * Writes both logs of a boot that was just begun (lab_new(), lab_boot()) and
 * extends registers 8, 9 and 11 as they say; 0 to 7 hold what lab_boot() left there.
 */
void lab_boot_measure(struct lab *l);
/* The platform document becomes one that approves that. */
void lab_boot_approve(struct lab *l);
/* systemd measures a phase: into the register and its log. */
void lab_phase(struct lab *l, const char *phase);

#endif
