/* SPDX-License-Identifier: Apache-2.0 */
/* Persistent and primary objects, public areas and Names. */
#include <string.h>
#include <tss2/tss2_mu.h>

#include "attest/tpm.h"

struct err tpm_public_bytes(const TPM2B_PUBLIC *public, struct buf *ret)
{
	uint8_t area[sizeof(TPMT_PUBLIC) + 64];
	size_t n = 0;

	if (Tss2_MU_TPMT_PUBLIC_Marshal(&public->publicArea, area, sizeof(area), &n) != TSS2_RC_SUCCESS)
		return ERR(E_BUG);
	return buf_add(ret, BYTES(area, n));
}

struct err tpm_name_of(struct bytes public_area, struct tpm_name *ret)
{
	struct tpm_public p;
	struct err e;

	if (failed(e = tpm_public_parse(public_area, &p)))
		return e;
	return tpm_public_name(&p, ret);
}

/* Public area and our own computation of its Name. */
static struct err describe(const TPM2B_PUBLIC *public, struct buf *ret_public, struct tpm_name *ret_name)
{
	struct err e;

	buf_clear(ret_public);
	if (failed(e = tpm_public_bytes(public, ret_public)))
		return e;
	return tpm_name_of(buf_bytes(ret_public), ret_name);
}

/*
 * ESYS keeps the public area that it read first and encrypts salts to it. A
 * second read that differs would make us compare one key and use another.
 */
static struct err same_object(const struct tpm_handle *h, const struct tpm_name *name)
{
	cleanup_esys TPM2B_NAME *kept = NULL;
	struct err e;

	if (failed(e = tpm_result(h->tpm, Esys_TR_GetName(h->tpm->esys, h->tr, &kept), "Esys_TR_GetName")))
		return e;
	if (!bytes_eq(BYTES(kept->name, kept->size), tpm_name_bytes(name))) {
		reason_set(h->tpm->why, "the TPM describes one object in two ways");
		return ERR(E_LOCAL_TPM);
	}
	return ERR(E_OK);
}

/* *ret stays empty where there is nothing at the handle. */
static struct err open_persistent(struct tpm *tpm, TPM2_HANDLE handle, struct tpm_handle *ret)
{
	struct tpm_retry again = { 0 };
	TPML_HANDLE there;
	struct err e;
	ESYS_TR tr;
	TSS2_RC rc;

	if (failed(e = tpm_handles(tpm, handle, handle, &there)))
		return e;
	if (there.count == 0)
		return ERR(E_OK);
	do
		rc = Esys_TR_FromTPMPublic(tpm->esys, handle, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &tr);
	while (tpm_again(&again, rc));
	if (failed(e = tpm_result(tpm, rc, "TPM2_ReadPublic")))
		return e;
	tpm_handle_set(ret, tpm, tr, true);
	return ERR(E_OK);
}

struct err tpm_persistent_signer(struct tpm *tpm, TPM2_HANDLE handle, struct tpm_handle *ret_handle,
				 struct tpm_name *ret_name)
{
	cleanup_tpm_handle struct tpm_handle h = TPM_HANDLE_NONE;
	cleanup_esys TPM2B_NAME *name = NULL;
	struct err e;

	if (failed(e = open_persistent(tpm, handle, &h)) || h.tpm == NULL)
		return e;
	if (failed(e = tpm_result(tpm, Esys_TR_GetName(tpm->esys, h.tr, &name), "Esys_TR_GetName")))
		return e;
	if (failed(e = tpm_name_parse(BYTES(name->name, name->size), ret_name))) {
		reason_set(tpm->why, "the object at 0x%x has no Name that Assay knows", handle);
		return e;
	}
	tpm_handle_move(ret_handle, &h);
	return ERR(E_OK);
}

struct err tpm_persistent(struct tpm *tpm, TPM2_HANDLE handle, struct tpm_handle *ret_handle, struct buf *ret_public,
			  struct tpm_name *ret_name)
{
	cleanup_tpm_handle struct tpm_handle h = TPM_HANDLE_NONE;
	cleanup_esys TPM2B_PUBLIC *public = NULL;
	struct tpm_retry again = { 0 };
	struct err e;
	TSS2_RC rc;

	if (failed(e = open_persistent(tpm, handle, &h)) || h.tpm == NULL)
		return e;
	do
		rc = Esys_ReadPublic(tpm->esys, h.tr, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &public, NULL, NULL);
	while (tpm_again(&again, rc));
	if (failed(e = tpm_result(tpm, rc, "TPM2_ReadPublic")))
		return e;
	if (failed(e = describe(public, ret_public, ret_name))) {
		reason_set(tpm->why, "the object at 0x%x is of a kind that Assay does not know", handle);
		return e;
	}
	if (failed(e = same_object(&h, ret_name)))
		return e;
	tpm_handle_move(ret_handle, &h);
	return ERR(E_OK);
}

struct err tpm_create_primary(struct tpm *tpm, ESYS_TR hierarchy, ESYS_TR session, const TPM2B_PUBLIC *template,
			      struct tpm_handle *ret_handle, struct buf *ret_public, struct tpm_name *ret_name)
{
	cleanup_tpm_handle struct tpm_handle h = TPM_HANDLE_NONE;
	cleanup_esys TPM2B_PUBLIC *public = NULL;
	const TPM2B_SENSITIVE_CREATE no_auth = { 0 };
	const TPML_PCR_SELECTION no_pcrs = { 0 };
	const TPM2B_DATA no_info = { 0 };
	struct tpm_retry again = { 0 };
	struct err e;
	ESYS_TR tr;
	TSS2_RC rc;

	do
		rc = Esys_CreatePrimary(tpm->esys, hierarchy, session, ESYS_TR_NONE, ESYS_TR_NONE, &no_auth, template,
					&no_info, &no_pcrs, &tr, &public, NULL, NULL, NULL);
	while (tpm_again(&again, rc));
	if (failed(e = tpm_result(tpm, rc, "TPM2_CreatePrimary")))
		return e;
	tpm_handle_set(&h, tpm, tr, false);
	/* The one description that there is: ESYS keeps this answer's public area, and holds the Name in it against it. */
	if (failed(e = describe(public, ret_public, ret_name))) {
		reason_set(tpm->why, "TPM2_CreatePrimary made an object of another kind");
		return e;
	}
	tpm_handle_move(ret_handle, &h);
	return ERR(E_OK);
}

struct err tpm_persist(struct tpm *tpm, const struct tpm_handle *object, ESYS_TR session, TPM2_HANDLE to)
{
	struct tpm_retry again = { 0 };
	ESYS_TR tr; /* of the copy; not closed, see tpm_handle_done() */
	TSS2_RC rc;

	do
		rc = Esys_EvictControl(tpm->esys, ESYS_TR_RH_OWNER, object->tr, session, ESYS_TR_NONE, ESYS_TR_NONE, to,
				       &tr);
	while (tpm_again(&again, rc));
	return tpm_result(tpm, rc, "TPM2_EvictControl");
}
