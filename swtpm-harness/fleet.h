/* SPDX-License-Identifier: Apache-2.0 */
/* Many TPMs made at a time, as many as there are processors. */
#ifndef ASSAY_SWTPM_HARNESS_FLEET_H
#define ASSAY_SWTPM_HARNESS_FLEET_H

#include "swtpm-harness/folder.h"
#include "swtpm-harness/harness.h"

struct fleet {
	const struct path *dirs; /* folders of the TPMs, which exist */
	size_t n;
	const char *state;       /* name of the new state folder in each */
	const char *banks;
	const char *conf;
	unsigned timeout_ms;     /* for each TPM */
	int cancel_fd;           /* -1: none */
	void (*progress)(void *ctx, size_t n_done, size_t n_total);
	void *progress_ctx;
};

/*
 * Runs swtpm_setup for every TPM. On failure no process of it is left:
 * E_LOCAL_BUSY when cancelled, E_LOCAL_TIMEOUT, E_LOCAL_TPM with the end of
 * the log, E_LOCAL_NOT_FOUND where it is not installed.
 */
must_check struct err fleet_setup(const struct fleet *f, struct reason *reterr);

#endif
