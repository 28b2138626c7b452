/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The few TPM 2.0 commands that the harness sends, written and read byte by
 * byte over swtpm's UNIX socket. Not ESYS: a harness that shares no code with
 * what it tests also sees the library's faults, and a TCTI has no deadline for
 * a TPM whose only connection somebody else holds.
 *
 * Every function: E_LOCAL_TIMEOUT, E_LOCAL_IO (connection ended), E_LOCAL_TPM
 * (the TPM refused; the reason has its code), E_PEER_* (answer ill-formed),
 * E_LOCAL_MEMORY. reterr may be NULL.
 *
 * Source: TCG TPM 2.0 Library, Part 2 (structures) and Part 3 (commands), 1.59.
 */
#ifndef ASSAY_SWTPM_HARNESS_TPMRAW_H
#define ASSAY_SWTPM_HARNESS_TPMRAW_H

#include "base/key.h"
#include "swtpm-harness/harness.h"

#define TPMRAW_EK_RSA 0x81010001u      /* TCG EK Credential Profile 2.5, 2.2.1; as swtpm_setup does */
#define TPMRAW_EK_ECC 0x81010016u
#define TPMRAW_NV_EK_CERT_RSA 0x01c00002u
#define TPMRAW_NV_EK_CERT_ECC 0x01c00016u

enum tpmraw_startup { TPMRAW_CLEAR = 0, TPMRAW_STATE = 1 }; /* TPM_SU */

/* Connects; each answer must come within timeout_ms. The caller closes *ret_fd. */
must_check struct err tpmraw_open(const char *sock, unsigned timeout_ms, int *ret_fd);

must_check struct err tpmraw_shutdown(int fd, enum tpmraw_startup kind, struct reason *reterr);
must_check struct err tpmraw_read_clock(int fd, struct harness_clock *ret, struct reason *reterr);
must_check struct err tpmraw_clear(int fd, struct reason *reterr);

/* Public key of a loaded or persistent RSA or ECC object. */
must_check struct err tpmraw_read_public(int fd, uint32_t handle, struct key **ret, struct reason *reterr);

/* Defines an ordinary NV index of the platform, readable with owner or empty index authorisation, and fills it. */
must_check struct err tpmraw_nv_store(int fd, uint32_t index, struct bytes data, struct reason *reterr);

must_check struct err tpmraw_pcr_event(int fd, unsigned pcr, struct bytes data, struct reason *reterr);
must_check struct err tpmraw_pcr_extend(int fd, unsigned pcr, enum digest_id bank, struct bytes digest,
					struct reason *reterr);
/* E_LOCAL_NOT_FOUND where the bank is off. */
must_check struct err tpmraw_pcr_read(int fd, enum digest_id bank, unsigned pcr, struct digest *ret,
				      struct reason *reterr);

#endif
