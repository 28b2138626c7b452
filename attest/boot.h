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
	struct buf null_public;        /* TPMT_PUBLIC of the null primary */
	struct tpm_name null_name;
	uint32_t reset_count, restart_count;
	uint8_t id[BOOT_ID_LEN];       /* as on the wire; changes on resume too */
	uint8_t key[BOOT_KEY_LEN];     /* SHA-256(null Name || u32be resetCount), cut; the same after a resume */
};
#define BOOT_INIT { .null_public = BUF_INIT(LIMIT_TPM2B) }
void boot_done(struct boot *b);
#define cleanup_boot cleanup(boot_done)

/*
 * The null primary: P-256 storage key by a fixed template, empty authValue. It
 * takes a slot until *ret_handle is done.
 */
must_check struct err boot_null_primary(struct tpm *tpm, struct tpm_handle *ret_handle, struct buf *ret_public,
					struct tpm_name *ret_name);

/* Makes the null primary to know its Name, and reads the clock. ret: BOOT_INIT. */
must_check struct err boot_read(struct tpm *tpm, struct boot *ret);

#endif
