/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which boot this is: the Name of the null hierarchy's storage primary, whose
 * seed changes with every TPM reset, and the counters.
 */
#ifndef ASSAY_ATTEST_BOOT_H
#define ASSAY_ATTEST_BOOT_H

#include "attest/tpm.h"
#include "protocol/evidence.h"

#define BOOT_KEY_LEN 16

struct boot {
	struct tpm_handle primary;     /* the null primary, where it is loaded */
	struct buf null_public;        /* its TPMT_PUBLIC */
	struct tpm_name null_name;
	uint32_t reset_count, restart_count;
	uint8_t id[BOOT_ID_LEN];       /* as on the wire; changes on resume too */
	uint8_t key[BOOT_KEY_LEN];     /* SHA-256(null Name || u32be resetCount), cut; the same after a resume */
};
#define BOOT_INIT { .primary = TPM_HANDLE_NONE, .null_public = BUF_INIT(LIMIT_TPM2B) }
/* Before the TPM is closed. */
void boot_done(struct boot *b);
#define cleanup_boot cleanup(boot_done)

/*
 * The null primary: P-256 storage key by a fixed template, empty authValue. It
 * takes a slot until *ret_handle is done.
 */
must_check struct err boot_null_primary(struct tpm *tpm, struct tpm_handle *ret_handle, struct buf *ret_public,
					struct tpm_name *ret_name);

/* Makes the null primary to know its Name, and reads the clock. It stays loaded for the first who needs it. ret: BOOT_INIT. */
must_check struct err boot_read(struct tpm *tpm, struct boot *ret);
/*
 * Moves the null primary to the caller, made anew where somebody had it
 * before. A slot is one of three: it is flushed as soon as it has served.
 * E_AUTH_RETRY: the TPM was reset meanwhile.
 */
must_check struct err boot_primary(struct tpm *tpm, struct boot *b, struct tpm_handle *ret);

#endif
