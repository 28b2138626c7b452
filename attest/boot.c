/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/boot.h"

#include <string.h>

#include "base/wr.h"

/* TCG Provisioning Guidance, storage primary template (ECC), without its authorisation policy. */
static const TPM2B_PUBLIC template = {
	.publicArea = {
		.type = TPM2_ALG_ECC,
		.nameAlg = TPM2_ALG_SHA256,
		.objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN |
				    TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA | TPMA_OBJECT_RESTRICTED |
				    TPMA_OBJECT_DECRYPT,
		.parameters.eccDetail = {
			.symmetric = { .algorithm = TPM2_ALG_AES, .keyBits.aes = 128, .mode.aes = TPM2_ALG_CFB },
			.scheme = { .scheme = TPM2_ALG_NULL },
			.curveID = TPM2_ECC_NIST_P256,
			.kdf = { .scheme = TPM2_ALG_NULL },
		},
		.unique.ecc = { .x = { .size = 32 }, .y = { .size = 32 } },
	},
};

void boot_done(struct boot *b)
{
	tpm_handle_done(&b->primary);
	buf_free(&b->null_public);
}

struct err boot_null_primary(struct tpm *tpm, struct tpm_handle *ret_handle, struct buf *ret_public,
			     struct tpm_name *ret_name)
{
	return tpm_create_primary(tpm, ESYS_TR_RH_NULL, ESYS_TR_PASSWORD, &template, ret_handle, ret_public, ret_name);
}

static struct err boot_key(const struct boot *b, uint8_t ret[BOOT_KEY_LEN])
{
	cleanup_buf struct buf count = BUF_INIT(4);
	struct digest d;
	struct err e;

	if (failed(e = wr_u32be(&count, b->reset_count)))
		return e;
	if (failed(e = digest_of(DIGEST_SHA256, &d, 2,
				 (struct bytes[]){ tpm_name_bytes(&b->null_name), buf_bytes(&count) })))
		return e;
	memcpy(ret, d.v, BOOT_KEY_LEN);
	return ERR(E_OK);
}

struct err boot_read(struct tpm *tpm, struct boot *ret)
{
	struct tpm_clock clock;
	struct err e;

	if (failed(e = boot_null_primary(tpm, &ret->primary, &ret->null_public, &ret->null_name)) ||
	    failed(e = tpm_read_clock(tpm, &clock)))
		return e;
	ret->reset_count = clock.reset_count;
	ret->restart_count = clock.restart_count;
	if (failed(e = boot_id_of(&ret->null_name, ret->reset_count, ret->restart_count, ret->id)))
		return e;
	return boot_key(ret, ret->key);
}

struct err boot_primary(struct tpm *tpm, struct boot *b, struct tpm_handle *ret)
{
	cleanup_tpm_handle struct tpm_handle made = TPM_HANDLE_NONE;
	cleanup_buf struct buf public = BUF_INIT(LIMIT_TPM2B);
	struct tpm_name name;
	struct err e;

	/* A recovery of the connection has flushed it. */
	if (b->primary.tpm != NULL && b->primary.generation != tpm->generation)
		tpm_handle_done(&b->primary);
	if (b->primary.tpm != NULL) {
		tpm_handle_move(ret, &b->primary);
		return ERR(E_OK);
	}
	if (failed(e = boot_null_primary(tpm, &made, &public, &name)))
		return e;
	if (!bytes_eq(tpm_name_bytes(&name), tpm_name_bytes(&b->null_name)))
		return ERR(E_AUTH_RETRY);
	tpm_handle_move(ret, &made);
	return ERR(E_OK);
}
