/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/tpm_session.h"

static const TPMT_SYM_DEF aes_128_cfb = {
	.algorithm = TPM2_ALG_AES,
	.keyBits = { .aes = 128 },
	.mode = { .aes = TPM2_ALG_CFB },
};
static const TPMT_SYM_DEF no_cipher = { .algorithm = TPM2_ALG_NULL };

static struct err start(struct tpm *tpm, TPM2_SE type, ESYS_TR salt_key, const TPMT_SYM_DEF *cipher,
			struct tpm_handle *ret)
{
	struct tpm_retry again = { 0 };
	struct err e;
	ESYS_TR tr;
	TSS2_RC rc;

	do
		rc = Esys_StartAuthSession(tpm->esys, salt_key, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
					   NULL, type, cipher, TPM2_ALG_SHA256, &tr);
	while (tpm_again(&again, rc));
	if (failed(e = tpm_result(tpm, rc, "TPM2_StartAuthSession")))
		return e;
	tpm_handle_set(ret, tpm, tr, false);
	return ERR(E_OK);
}

struct err session_hmac(struct tpm *tpm, const struct tpm_handle *salt_key, struct tpm_handle *ret)
{
	return start(tpm, TPM2_SE_HMAC, salt_key == NULL ? ESYS_TR_NONE : salt_key->tr, &aes_128_cfb, ret);
}

struct err session_encrypts(const struct tpm_handle *session, TPMA_SESSION which)
{
	return tpm_result(session->tpm,
			  Esys_TRSess_SetAttributes(session->tpm->esys, session->tr, which,
						    TPMA_SESSION_DECRYPT | TPMA_SESSION_ENCRYPT),
			  "Esys_TRSess_SetAttributes");
}

struct err session_ek_policy(struct tpm *tpm, const struct tpm_handle *hmac, struct tpm_handle *ret)
{
	cleanup_tpm_handle struct tpm_handle policy = TPM_HANDLE_NONE;
	struct tpm_retry again = { 0 };
	struct err e;
	TSS2_RC rc;

	if (failed(e = start(tpm, TPM2_SE_POLICY, ESYS_TR_NONE, &no_cipher, &policy)))
		return e;
	do
		rc = Esys_PolicySecret(tpm->esys, ESYS_TR_RH_ENDORSEMENT, policy.tr, hmac->tr, ESYS_TR_NONE,
				       ESYS_TR_NONE, NULL, NULL, NULL, 0, NULL, NULL);
	while (tpm_again(&again, rc));
	if (failed(e = tpm_result(tpm, rc, "TPM2_PolicySecret(endorsement)")))
		return e;
	tpm_handle_move(ret, &policy);
	return ERR(E_OK);
}
