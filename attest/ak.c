/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/ak.h"

#include <string.h>
#include <tss2/tss2_mu.h>

#include "attest/tpm_session.h"
#include "base/log.h"

#define AK_ATTRIBUTES                                                                            \
	(TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN |      \
	 TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA | TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_SIGN_ENCRYPT)

/* Distinguishes our key from other primaries with the same attributes. */
#define UNIQUE "assay attestation key v1"

static const TPM2B_PUBLIC template_ecc = {
	.publicArea = {
		.type = TPM2_ALG_ECC,
		.nameAlg = TPM2_ALG_SHA256,
		.objectAttributes = AK_ATTRIBUTES,
		.parameters.eccDetail = {
			.symmetric = { .algorithm = TPM2_ALG_NULL },
			.scheme = { .scheme = TPM2_ALG_ECDSA, .details.ecdsa.hashAlg = TPM2_ALG_SHA256 },
			.curveID = TPM2_ECC_NIST_P256,
			.kdf = { .scheme = TPM2_ALG_NULL },
		},
		.unique.ecc = { .x = { .size = 32, .buffer = UNIQUE }, .y = { .size = 32 } },
	},
};

static const TPM2B_PUBLIC template_rsa = {
	.publicArea = {
		.type = TPM2_ALG_RSA,
		.nameAlg = TPM2_ALG_SHA256,
		.objectAttributes = AK_ATTRIBUTES,
		.parameters.rsaDetail = {
			.symmetric = { .algorithm = TPM2_ALG_NULL },
			.scheme = { .scheme = TPM2_ALG_RSASSA, .details.rsassa.hashAlg = TPM2_ALG_SHA256 },
			.keyBits = 2048,
		},
		.unique.rsa = { .size = 256, .buffer = UNIQUE },
	},
};

static const struct {
	const char *name;
	const TPM2B_PUBLIC *template;
} kinds[] = {
	[AK_ECC_P256] = { "ecc-p256", &template_ecc },
	[AK_RSA_2048] = { "rsa-2048", &template_rsa },
};

struct err ak_kind_parse(const char *s, enum ak_kind *ret)
{
	for (size_t i = 0; i < array_len(kinds); i++)
		if (strcmp(s, kinds[i].name) == 0) {
			*ret = (enum ak_kind)i;
			return ERR(E_OK);
		}
	return ERR(E_PEER_UNSUPPORTED);
}

const char *ak_kind_name(enum ak_kind kind)
{
	return kinds[kind].name;
}

void ak_done(struct ak *ak)
{
	tpm_handle_done(&ak->handle);
	buf_free(&ak->public_area);
}

void attestation_done(struct attestation *a)
{
	buf_free(&a->attest);
	buf_free(&a->signature);
}

static bool is_ours(const struct ak_spec *spec, const struct tpm_name *name)
{
	return spec->enrolled == NULL || bytes_eq(tpm_name_bytes(spec->enrolled), tpm_name_bytes(name));
}

static struct err make(struct tpm *tpm, const struct ak_spec *spec, const struct tpm_handle *hmac, struct ak *ak)
{
	cleanup_tpm_handle struct tpm_handle own = TPM_HANDLE_NONE;
	struct err e;

	if (hmac == NULL && failed(e = session_hmac(tpm, NULL, &own)))
		return e;
	return tpm_create_primary(tpm, ESYS_TR_RH_ENDORSEMENT, hmac == NULL ? own.tr : hmac->tr,
				  kinds[spec->kind].template, &ak->handle, &ak->public_area, &ak->name);
}

/*
 * An owner's password that we do not have, or full NV, only costs the time to
 * make the key again: not an error. A lost command is one.
 */
static struct err keep(struct tpm *tpm, const struct ak_spec *spec, const struct tpm_handle *hmac, struct ak *ak)
{
	cleanup_tpm_handle struct tpm_handle own = TPM_HANDLE_NONE;
	unsigned generation = tpm->generation;
	struct err e;

	if (hmac == NULL && failed(e = session_hmac(tpm, NULL, &own)))
		return e;
	e = tpm_persist(tpm, &ak->handle, hmac == NULL ? own.tr : hmac->tr, spec->handle);
	if (failed(e) && tpm->generation != generation)
		return e;
	if (failed(e)) {
		log_debug("the attestation key is not kept at 0x%x", spec->handle);
		reason_set(tpm->why, "%s", "");
		return ERR(E_OK);
	}
	/* From now on the persistent copy serves, and the slot is free. */
	tpm_handle_done(&ak->handle);
	return tpm_persistent(tpm, spec->handle, &ak->handle, &ak->public_area, &ak->name);
}

static struct err occupied(struct tpm *tpm, const struct ak_spec *spec)
{
	reason_set(tpm->why,
		   "another object lies at handle 0x%x, where the attestation key belongs: "
		   "choose another handle (--ak-handle) or remove that object",
		   spec->handle);
	return ERR(E_LOCAL_EXISTS);
}

/* At enrolment there is no Name to compare a persistent object with, so the key is made again and compared. */
struct err ak_open(struct tpm *tpm, const struct ak_spec *spec, const struct tpm_handle *hmac, struct ak *ret)
{
	cleanup_ak struct ak there = AK_INIT;
	struct err e;

	e = spec->enrolled != NULL ?
		    tpm_persistent_signer(tpm, spec->handle, &there.handle, &there.name) :
		    tpm_persistent(tpm, spec->handle, &there.handle, &there.public_area, &there.name);
	if (failed(e))
		return e;
	if (there.handle.tpm != NULL && spec->enrolled != NULL) {
		if (!is_ours(spec, &there.name))
			return occupied(tpm, spec);
		tpm_handle_move(&ret->handle, &there.handle);
		ret->name = there.name;
		return ERR(E_OK);
	}
	if (failed(e = make(tpm, spec, hmac, ret)))
		return e;
	if (!is_ours(spec, &ret->name)) {
		reason_set(tpm->why, "the TPM makes another attestation key than the enrolled one: another TPM, or its "
				     "endorsement seed was changed; enrol again");
		return ERR(E_AUTH_CONFLICT);
	}
	if (there.handle.tpm == NULL)
		return keep(tpm, spec, hmac, ret);
	if (!bytes_eq(tpm_name_bytes(&there.name), tpm_name_bytes(&ret->name)))
		return occupied(tpm, spec);
	tpm_handle_done(&ret->handle);
	tpm_handle_move(&ret->handle, &there.handle);
	return ERR(E_OK);
}

static struct err add_attestation(struct tpm *tpm, const TPM2B_ATTEST *attest, const TPMT_SIGNATURE *signature,
				  struct attestation *ret)
{
	uint8_t sig[sizeof(TPMT_SIGNATURE) + 16];
	struct err e;
	size_t n = 0;

	if (failed(e = tpm_result(tpm, Tss2_MU_TPMT_SIGNATURE_Marshal(signature, sig, sizeof(sig), &n),
				  "Tss2_MU_TPMT_SIGNATURE_Marshal")))
		return e;
	if (failed(e = buf_add(&ret->attest, BYTES(attest->attestationData, attest->size))))
		return e;
	return buf_add(&ret->signature, BYTES(sig, n));
}

static struct err to_data(struct bytes in, TPM2B_DATA *ret)
{
	if (in.n > sizeof(ret->buffer))
		return ERR(E_BUG);
	*ret = (TPM2B_DATA){ .size = (uint16_t)in.n };
	if (in.n > 0)
		memcpy(ret->buffer, in.p, in.n);
	return ERR(E_OK);
}

static const TPMT_SIG_SCHEME own_scheme = { .scheme = TPM2_ALG_NULL };

struct err ak_quote(const struct ak *ak, struct bytes qualifying_data, const struct pcr_selection *selection,
		    struct attestation *ret)
{
	cleanup_esys TPMT_SIGNATURE *signature = NULL;
	cleanup_esys TPM2B_ATTEST *attest = NULL;
	struct tpm *tpm = ak->handle.tpm;
	struct tpm_retry again = { 0 };
	TPML_PCR_SELECTION pcrs;
	TPM2B_DATA data;
	struct err e;
	TSS2_RC rc;

	if (failed(e = to_data(qualifying_data, &data)))
		return e;
	tpm_selection_to_tss(selection, &pcrs);
	do
		rc = Esys_Quote(tpm->esys, ak->handle.tr, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &data,
				&own_scheme, &pcrs, &attest, &signature);
	while (tpm_again(&again, rc));
	if (failed(e = tpm_result(tpm, rc, "TPM2_Quote")))
		return e;
	return add_attestation(tpm, attest, signature, ret);
}

struct err ak_certify(const struct ak *ak, const struct tpm_handle *object, ESYS_TR session, struct bytes extra_data,
		      struct attestation *ret)
{
	cleanup_esys TPMT_SIGNATURE *signature = NULL;
	cleanup_esys TPM2B_ATTEST *attest = NULL;
	struct tpm *tpm = ak->handle.tpm;
	struct tpm_retry again = { 0 };
	TPM2B_DATA data;
	struct err e;
	TSS2_RC rc;

	if (failed(e = to_data(extra_data, &data)))
		return e;
	do
		rc = Esys_Certify(tpm->esys, object->tr, ak->handle.tr, session, ESYS_TR_PASSWORD, ESYS_TR_NONE, &data,
				  &own_scheme, &attest, &signature);
	while (tpm_again(&again, rc));
	if (failed(e = tpm_result(tpm, rc, "TPM2_Certify")))
		return e;
	return add_attestation(tpm, attest, signature, ret);
}
