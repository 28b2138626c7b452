/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/wkey.h"

#include <string.h>
#include <tss2/tss2_mu.h>

#include "attest/boot.h"
#include "attest/tpm_session.h"

#define COORDINATE 32

static const TPM2B_PUBLIC template = {
	.publicArea = {
		.type = TPM2_ALG_ECC,
		.nameAlg = TPM2_ALG_SHA256,
		.objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN |
				    TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA | TPMA_OBJECT_SIGN_ENCRYPT,
		.parameters.eccDetail = {
			.symmetric = { .algorithm = TPM2_ALG_NULL },
			.scheme = { .scheme = TPM2_ALG_ECDSA, .details.ecdsa.hashAlg = TPM2_ALG_SHA256 },
			.curveID = TPM2_ECC_NIST_P256,
			.kdf = { .scheme = TPM2_ALG_NULL },
		},
	},
};

void wkey_blob_done(struct wkey_blob *b)
{
	buf_free(&b->public_area);
	buf_free(&b->private);
	buf_free(&b->auth);
}

static void wipe_sensitive(TPM2B_SENSITIVE_CREATE *s)
{
	wipe(s, sizeof(*s));
}

static struct err create(struct tpm *tpm, const struct tpm_handle *primary, const struct tpm_handle *session,
			 const TPM2B_SENSITIVE_CREATE *sensitive, TPM2B_PRIVATE **ret_private,
			 TPM2B_PUBLIC **ret_public)
{
	const TPML_PCR_SELECTION no_pcrs = { 0 };
	const TPM2B_DATA no_info = { 0 };
	struct tpm_retry again = { 0 };
	TSS2_RC rc;

	do
		rc = Esys_Create(tpm->esys, primary->tr, ESYS_TR_PASSWORD, session->tr, ESYS_TR_NONE, sensitive,
				 &template, &no_info, &no_pcrs, ret_private, ret_public, NULL, NULL, NULL);
	while (tpm_again(&again, rc));
	return tpm_result(tpm, rc, "TPM2_Create");
}

static struct err add_private(struct tpm *tpm, const TPM2B_PRIVATE *private, struct buf *ret)
{
	uint8_t out[sizeof(TPM2B_PRIVATE) + 2];
	struct err e;
	size_t n = 0;

	if (failed(e = tpm_result(tpm, Tss2_MU_TPM2B_PRIVATE_Marshal(private, out, sizeof(out), &n),
				  "Tss2_MU_TPM2B_PRIVATE_Marshal")))
		return e;
	return buf_add(ret, BYTES(out, n));
}

struct err wkey_create(const struct tpm_handle *primary, const struct tpm_handle *session, struct wkey_blob *ret,
		       struct tpm_name *ret_name)
{
	cleanup(wipe_sensitive) TPM2B_SENSITIVE_CREATE sensitive = { 0 };
	cleanup_esys TPM2B_PRIVATE *private = NULL;
	cleanup_esys TPM2B_PUBLIC *public = NULL;
	struct tpm *tpm = primary->tpm;
	struct err e;

	sensitive.sensitive.userAuth.size = WKEY_AUTH_LEN;
	if (failed(e = random_bytes(sensitive.sensitive.userAuth.buffer, WKEY_AUTH_LEN)) ||
	    failed(e = session_encrypts(session, TPMA_SESSION_DECRYPT)) ||
	    failed(e = create(tpm, primary, session, &sensitive, &private, &public)) ||
	    failed(e = session_encrypts(session, 0)))
		return e;
	if (failed(e = tpm_public_bytes(public, &ret->public_area)) ||
	    failed(e = add_private(tpm, private, &ret->private)) ||
	    failed(e = buf_add(&ret->auth, BYTES(sensitive.sensitive.userAuth.buffer, WKEY_AUTH_LEN))))
		return e;
	return tpm_name_of(buf_bytes(&ret->public_area), ret_name);
}

/* Our own files, but a disk can lie: whole input or nothing. */
static struct err to_tss(struct tpm *tpm, const struct wkey_blob *blob, TPM2B_PUBLIC *ret_public,
			 TPM2B_PRIVATE *ret_private)
{
	size_t n_public = 0, n_private = 0;

	if (blob->auth.n != WKEY_AUTH_LEN ||
	    Tss2_MU_TPMT_PUBLIC_Unmarshal(blob->public_area.p, blob->public_area.n, &n_public,
					  &ret_public->publicArea) != TSS2_RC_SUCCESS ||
	    n_public != blob->public_area.n ||
	    Tss2_MU_TPM2B_PRIVATE_Unmarshal(blob->private.p, blob->private.n, &n_private, ret_private) !=
		    TSS2_RC_SUCCESS ||
	    n_private != blob->private.n) {
		reason_set(tpm->why, "the workload key's files are damaged");
		return ERR(E_LOCAL_IO);
	}
	return ERR(E_OK);
}

static struct err load(const struct tpm_handle *primary, const TPM2B_PUBLIC *public, const TPM2B_PRIVATE *private,
		       struct tpm_handle *ret)
{
	struct tpm *tpm = primary->tpm;
	struct tpm_retry again = { 0 };
	struct err e;
	ESYS_TR tr;
	TSS2_RC rc;

	do
		rc = Esys_Load(tpm->esys, primary->tr, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, private, public,
			       &tr);
	while (tpm_again(&again, rc));
	if (tpm_rc_is(rc, TPM2_RC_INTEGRITY)) {
		reason_set(tpm->why, "the workload key is of an earlier boot: it does not survive a TPM reset");
		return ERR(E_AUTH_CONFLICT);
	}
	if (failed(e = tpm_result(tpm, rc, "TPM2_Load")))
		return e;
	tpm_handle_set(ret, tpm, tr, false);
	return ERR(E_OK);
}

static void wipe_auth(TPM2B_AUTH *a)
{
	wipe(a, sizeof(*a));
}

struct err wkey_load(const struct tpm_handle *primary, const struct wkey_blob *blob, struct tpm_handle *ret)
{
	cleanup_tpm_handle struct tpm_handle key = TPM_HANDLE_NONE;
	cleanup(wipe_auth) TPM2B_AUTH auth = { .size = WKEY_AUTH_LEN };
	TPM2B_PRIVATE private = { 0 };
	TPM2B_PUBLIC public = { 0 };
	struct tpm *tpm = primary->tpm;
	struct err e;

	if (failed(e = to_tss(tpm, blob, &public, &private)))
		return e;
	memcpy(auth.buffer, blob->auth.p, WKEY_AUTH_LEN);
	if (failed(e = load(primary, &public, &private, &key)) ||
	    failed(e = tpm_result(tpm, Esys_TR_SetAuth(tpm->esys, key.tr, &auth), "Esys_TR_SetAuth")))
		return e;
	tpm_handle_move(ret, &key);
	return ERR(E_OK);
}

/* A TPM may leave out leading zeros. */
static struct err pad(const TPM2B_ECC_PARAMETER *v, uint8_t ret[COORDINATE])
{
	if (v->size > COORDINATE)
		return ERR(E_LOCAL_TPM);
	memset(ret, 0, COORDINATE);
	memcpy(ret + (COORDINATE - v->size), v->buffer, v->size);
	return ERR(E_OK);
}

struct err wkey_sign(const struct tpm_handle *key, const struct tpm_handle *session, struct bytes data, struct buf *ret)
{
	const TPMT_TK_HASHCHECK no_ticket = { .tag = TPM2_ST_HASHCHECK, .hierarchy = TPM2_RH_NULL };
	const TPMT_SIG_SCHEME own_scheme = { .scheme = TPM2_ALG_NULL };
	cleanup_esys TPMT_SIGNATURE *signature = NULL;
	TPM2B_DIGEST digest = { .size = 32 };
	uint8_t raw[WKEY_SIGNATURE_LEN];
	struct tpm *tpm = key->tpm;
	struct tpm_retry again = { 0 };
	struct err e;
	TSS2_RC rc;

	if (failed(e = sha256(data, digest.buffer)) || failed(e = session_encrypts(session, 0)))
		return e;
	do
		rc = Esys_Sign(tpm->esys, key->tr, session->tr, ESYS_TR_NONE, ESYS_TR_NONE, &digest, &own_scheme,
			       &no_ticket, &signature);
	while (tpm_again(&again, rc));
	if (failed(e = tpm_result(tpm, rc, "TPM2_Sign")))
		return e;
	if (signature->sigAlg != TPM2_ALG_ECDSA || signature->signature.ecdsa.hash != TPM2_ALG_SHA256 ||
	    failed(pad(&signature->signature.ecdsa.signatureR, raw)) ||
	    failed(pad(&signature->signature.ecdsa.signatureS, raw + COORDINATE))) {
		reason_set(tpm->why, "TPM2_Sign gave a signature of another kind");
		return ERR(E_LOCAL_TPM);
	}
	return buf_add(ret, BYTES_ARR(raw));
}
