/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/ek.h"

#include <string.h>

#include "attest/tpm_session.h"
#include "base/rd.h"

void ek_done(struct ek *ek)
{
	tpm_handle_done(&ek->handle);
	buf_free(&ek->public_area);
}

static struct err make(struct tpm *tpm, const struct ek_kind_info *kind, struct ek *ek)
{
	cleanup_tpm_handle struct tpm_handle session = TPM_HANDLE_NONE;
	TPM2B_PUBLIC template;
	struct err e;

	if (failed(e = ek_template(tpm, kind, &template)))
		return e;
	/* No key to salt with yet; where the hierarchy has a password, only an HMAC of it crosses the bus. */
	if (failed(e = session_hmac(tpm, NULL, &session)))
		return e;
	return tpm_create_primary(tpm, ESYS_TR_RH_ENDORSEMENT, session.tr, &template, &ek->handle, &ek->public_area,
				  &ek->name);
}

struct err ek_open(struct tpm *tpm, enum ek_kind kind, struct ek *ret)
{
	const struct ek_kind_info *info = ek_kind_info(kind);
	struct tpm_public p;
	struct err e;

	if (info == NULL)
		return ERR(E_BUG);
	ret->kind = kind;
	if (failed(e = tpm_persistent(tpm, info->handle, &ret->handle, &ret->public_area, &ret->name)))
		return e;
	ret->persistent = ret->handle.tpm != NULL;
	if (!ret->persistent && failed(e = make(tpm, info, ret)))
		return e;
	if (failed(e = tpm_public_parse(buf_bytes(&ret->public_area), &p)) || failed(e = tpm_check_ek(&p, tpm->why)))
		return e;
	if (ek_kind_of(&p) != kind) {
		reason_set(tpm->why, "the object at 0x%x is an endorsement key, but not of kind %s", info->handle,
			   info->name);
		return ERR(E_PEER_RANGE);
	}
	ret->by_password = (p.attributes & TPMA_USER_WITH_AUTH) != 0;
	return ERR(E_OK);
}

struct err ek_persist(struct ek *ek, const struct tpm_handle *hmac)
{
	const struct ek_kind_info *info = ek_kind_info(ek->kind);

	return info == NULL ? ERR(E_BUG) : tpm_persist(ek->handle.tpm, &ek->handle, hmac->tr, info->handle);
}

struct err ek_session_first(const struct ek *ek, struct tpm_handle *ret)
{
	return session_hmac(ek->handle.tpm, &ek->handle, ret);
}

struct err ek_session(const struct ek *ek, const struct tpm_name *enrolled, struct tpm_handle *ret)
{
	if (!bytes_eq(tpm_name_bytes(&ek->name), tpm_name_bytes(enrolled))) {
		reason_set(ek->handle.tpm->why, "this TPM's endorsement key is not the enrolled one: another TPM, "
						"or somebody between it and us; a replaced TPM is enrolled anew");
		return ERR(E_AUTH_CONFLICT);
	}
	return session_hmac(ek->handle.tpm, &ek->handle, ret);
}

void ek_certs_init(struct ek_certs *c)
{
	*c = (struct ek_certs){ 0 };
	buf_init(&c->leaf, LIMIT_CERT);
	for (size_t i = 0; i < LIMIT_CHAIN; i++)
		buf_init(&c->chain[i], LIMIT_CERT);
}

void ek_certs_done(struct ek_certs *c)
{
	buf_free(&c->leaf);
	for (size_t i = 0; i < LIMIT_CHAIN; i++)
		buf_free(&c->chain[i]);
	c->n_chain = 0;
}

/* NV areas are larger than the certificate in them. What does not parse is the verifier's to judge, whole. */
static struct err add_leaf(struct bytes area, struct buf *ret)
{
	cleanup_cert struct cert *cert = NULL;
	size_t used;

	if (failed(cert_from_der(area, &cert, &used)))
		return buf_add(ret, area);
	return buf_add(ret, cert_der(cert));
}

/* Certificates one behind the other, which may run over several indices; padding of 00 or FF ends them. */
static struct err split_chain(struct tpm *tpm, struct bytes all, struct ek_certs *ret)
{
	struct err e;

	while (all.n > 0 && !bytes_all(all, 0) && !bytes_all(all, 0xff)) {
		cleanup_cert struct cert *cert = NULL;
		size_t used;

		if (ret->n_chain == LIMIT_CHAIN)
			return ERR(E_LIMIT_COUNT);
		if (failed(e = cert_from_der(all, &cert, &used))) {
			reason_set(tpm->why, "NV indices from 0x%x on hold something else than certificates",
				   EK_NV_CHAIN_FIRST);
			return e;
		}
		if (failed(e = buf_add(&ret->chain[ret->n_chain], cert_der(cert))))
			return e;
		ret->n_chain++;
		if (failed(e = bytes_sub(all, used, all.n - used, &all)))
			return e;
	}
	return ERR(E_OK);
}

struct err ek_certs_from_nv(struct tpm *tpm, enum ek_kind kind, struct ek_certs *ret)
{
	const struct ek_kind_info *info = ek_kind_info(kind);
	cleanup_buf struct buf leaf = BUF_INIT(64 * KIB), chain = BUF_INIT(256 * KIB);
	TPML_HANDLE indices;
	struct err e;

	if (info == NULL)
		return ERR(E_BUG);
	e = tpm_nv_read(tpm, info->nv_cert, &leaf);
	if (failed(e) && e.code != E_LOCAL_NOT_FOUND)
		return e;
	if (leaf.n > 0 && failed(e = add_leaf(buf_bytes(&leaf), &ret->leaf)))
		return e;
	if (failed(e = tpm_handles(tpm, EK_NV_CHAIN_FIRST, EK_NV_CHAIN_LAST, &indices)))
		return e;
	for (uint32_t i = 0; i < indices.count; i++)
		if (failed(e = tpm_nv_read(tpm, indices.handle[i], &chain)))
			return e;
	return split_chain(tpm, buf_bytes(&chain), ret);
}

/* TPM2B's contents: a size and as many bytes, nothing behind. */
static struct err tpm2b_contents(struct bytes in, size_t max, struct bytes *ret)
{
	struct rd r = RD(in);
	struct bytes contents;
	struct err e;

	if (failed(e = rd_tpm2b(&r, max, &contents)) || failed(e = rd_end(&r)))
		return e;
	*ret = contents;
	return ERR(E_OK);
}

struct err ek_activate(const struct ek *ek, const struct tpm_handle *ak, const struct tpm_handle *session,
		       struct bytes blob, struct bytes encrypted_secret, struct buf *ret)
{
	cleanup_tpm_handle struct tpm_handle policy = TPM_HANDLE_NONE;
	cleanup_esys TPM2B_DIGEST *secret = NULL;
	struct tpm *tpm = ek->handle.tpm;
	TPM2B_ENCRYPTED_SECRET tss_secret = { 0 };
	struct tpm_retry again = { 0 };
	TPM2B_ID_OBJECT tss_blob = { 0 };
	struct bytes b, s;
	struct err e;
	TSS2_RC rc;

	if (failed(e = tpm2b_contents(blob, sizeof(tss_blob.credential), &b)) ||
	    failed(e = tpm2b_contents(encrypted_secret, sizeof(tss_secret.secret), &s))) {
		reason_set(tpm->why, "the verifier's credential is not well formed");
		return e;
	}
	memcpy(tss_blob.credential, b.p, b.n);
	tss_blob.size = (uint16_t)b.n;
	memcpy(tss_secret.secret, s.p, s.n);
	tss_secret.size = (uint16_t)s.n;
	/* An EK of the high range takes its empty authValue, whatever else its policy would allow. */
	if (failed(e = session_encrypts(session, 0)) ||
	    (!ek->by_password && failed(e = session_ek_policy(tpm, session, &policy))) ||
	    failed(e = session_encrypts(session, TPMA_SESSION_ENCRYPT)))
		return e;
	do
		rc = Esys_ActivateCredential(tpm->esys, ak->tr, ek->handle.tr, ESYS_TR_PASSWORD,
					     ek->by_password ? ESYS_TR_PASSWORD : policy.tr, session->tr, &tss_blob,
					     &tss_secret, &secret);
	while (tpm_again(&again, rc));
	if (failed(e = tpm_result(tpm, rc, "TPM2_ActivateCredential")) || failed(e = session_encrypts(session, 0)))
		return e;
	e = buf_add(ret, BYTES(secret->buffer, secret->size));
	wipe(secret, sizeof(*secret));
	return e;
}
