/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a boot through shim and GRUB 2 measures.
 *
 * PCR 4  the firmware and shim: shim, GRUB, kernel (how often the kernel
 *        depends on GRUB's version and on Secure Boot)
 * PCR 8  GRUB: each command that it runs ("grub_cmd: ..."), and the kernel's
 *        command line; the digest is of what stands behind the prefix
 * PCR 9  GRUB: each file that it reads, by content
 *
 * GRUB runs a script that is built into it before it reads grub.cfg, and
 * grub.cfg is a program. So without the log of an earlier boot no register is
 * determined, and only a grub.cfg that is a plain list of a few known commands
 * is predicted as a whole.
 *
 * Source: GRUB manual 2.06, "Measuring boot components"; shim's measurement of
 * what it verifies; a boot of Debian 12's shim 15.8 and GRUB 2.06.
 */
#ifndef ASSAY_MEASURE_GRUB_H
#define ASSAY_MEASURE_GRUB_H

#include "firmware-measure/predict.h"

#define GRUB_MAX_INITRDS 8

struct grub_boot {
	const struct pe *shim; /* NULL: the firmware starts GRUB itself */
	const struct pe *grub;
	const struct pe *kernel;
	size_t n_initrds;
	struct bytes initrd[GRUB_MAX_INITRDS];
	const char *kernel_path;  /* as GRUB names it, "/boot/vmlinuz"; NULL: commands are not predicted */
	const char *initrd_paths; /* the same, several separated by one space; NULL */
	const char *cmdline;      /* behind the path; NULL: not predicted */
	struct bytes config;      /* grub.cfg; n == 0: not given */
};

/*
 * Adds all events that can be known to p, and notes on the others.
 * E_PEER_RANGE (a path or command line that is not printable ASCII or holds
 * quotes or backslashes, which GRUB would rewrite); E_LIMIT_COUNT;
 * E_LOCAL_MEMORY, E_LOCAL_CRYPTO.
 */
must_check struct err grub_predict(const struct grub_boot *boot, struct prediction *p, struct reason *reterr);

/*
 * Paths of kernel and initrds that the log of an earlier boot names, as C
 * strings. E_PEER_MISSING where it has no command "linux" (*ret_initrds may be
 * empty); E_LIMIT_SIZE; errors of evlog_next().
 */
must_check struct err grub_paths(const struct evlog *log, char ret_kernel[LIMIT_PATH], char ret_initrds[LIMIT_PATH]);

#endif
