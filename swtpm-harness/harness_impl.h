/* SPDX-License-Identifier: Apache-2.0 */
/* What harness.c (folder, fleet) and power.c (single TPMs) share. */
#ifndef ASSAY_SWTPM_HARNESS_HARNESS_IMPL_H
#define ASSAY_SWTPM_HARNESS_HARNESS_IMPL_H

#include "swtpm-harness/folder.h"
#include "swtpm-harness/tpm.h"

/* Marks a folder as ours; swtpm_setup reads it, so that nothing of the machine's own configuration applies. */
#define HARNESS_CONF "swtpm-harness.conf"

struct tpm {
	struct path dir;
	char tcti[HARNESS_TCTI_SIZE];
};

struct harness {
	struct path dir, root;
	unsigned timeout_ms;
	size_t n;
	struct tpm *tpms;
};

/* One program at a time changes a folder. The caller closes *ret_fd. */
must_check struct err harness_lock(const char *dir, int *ret_fd, struct reason *reterr);

/* Folder of the CA that signs certificates of this kind. */
must_check struct err harness_ca(const struct harness *h, enum harness_cert kind, struct path *ret);

/* Ends the TPM in dir in order where that is possible, and at once where it is not. */
must_check struct err harness_stop(const char *dir, struct reason *reterr);

#endif
