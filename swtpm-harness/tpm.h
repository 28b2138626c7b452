/* SPDX-License-Identifier: Apache-2.0 */
/* One software TPM in a folder of its own: made, provisioned, started, stopped. dir is that folder's path. */
#ifndef ASSAY_SWTPM_HARNESS_TPM_H
#define ASSAY_SWTPM_HARNESS_TPM_H

#include "swtpm-harness/harness.h"
#include "swtpm-harness/process.h"
#include "swtpm-harness/tpmraw.h"

/*
 * Starts swtpm_setup, which fills the new folder dir/state with a TPM that has
 * both EKs and the given banks. It leads a process group with an swtpm in it.
 * conf: configuration file that keeps the machine's own out.
 */
must_check struct err tpm_setup(const char *dir, const char *state, const char *banks, const char *conf,
				struct process *ret, struct reason *reterr);

/* Starts swtpm with Startup of the given kind and waits until the TPM answers. */
must_check struct err tpm_start(const char *dir, enum tpmraw_startup kind, struct reason *reterr);

/*
 * Ends swtpm. TPM_STOP_CUT: at once, as a power loss. The others send Shutdown
 * first; timeout_ms bounds the wait for a connection, and when it fails
 * nothing has changed. A TPM that does not run: E_OK.
 */
enum tpm_stop { TPM_STOP_CLEAR, TPM_STOP_STATE, TPM_STOP_CUT };
must_check struct err tpm_stop(const char *dir, enum tpm_stop how, unsigned timeout_ms, struct reason *reterr);

enum harness_power tpm_power(const char *dir, pid_t *ret_pid);

/* A connection for tpmraw. E_AUTH_CONFLICT unless the TPM is on. The caller closes *ret_fd. */
must_check struct err tpm_connect(const char *dir, unsigned timeout_ms, int *ret_fd, struct reason *reterr);

/*
 * Reads the EKs of a running TPM, stores certificates of the given kind in its
 * NV memory and writes ek-*, tcti and, last, tpm.json.
 */
must_check struct err tpm_provision(const char *dir, const char *ca_dir, enum harness_cert kind, const char *banks,
				    struct reason *reterr);

/* What tpm_provision() wrote, and the power state. */
must_check struct err tpm_info(const char *dir, struct harness_info *ret, struct reason *reterr);

/* The TCTI text; E_LIMIT_SIZE. */
must_check struct err tpm_tcti(const char *dir, char ret[HARNESS_TCTI_SIZE]);

#define TPM_COMMAND_TIMEOUT_MS 10000

#endif
