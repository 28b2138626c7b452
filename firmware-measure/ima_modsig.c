/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signatures that stand behind a file (kernel modules): field modsig is a
 * PKCS#7 SignedData without its content, d-modsig the digest of the file
 * without signature, by the algorithm that the signature names. The kernel
 * computes it before it looks at the signature, so a signature of another file
 * does not fit it.
 *
 * Source: Linux security/integrity/ima/ima_modsig.c, scripts/sign-file.c;
 * RFC 5652, 5.
 */
#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/objects.h>

#include "base/ossl.h"
#include "firmware-measure/ima_sign_impl.h"

DEFINE_CLEANUP(CMS_ContentInfo, cleanup_cms_, CMS_ContentInfo_free)
#define cleanup_cms cleanup(cleanup_cms_)

static enum digest_id hash_by_nid(int nid)
{
	switch (nid) {
	case NID_sha256:
		return DIGEST_SHA256;
	case NID_sha384:
		return DIGEST_SHA384;
	case NID_sha512:
		return DIGEST_SHA512;
	case NID_sha1:
		return DIGEST_SHA1;
	default:
		return N_DIGESTS;
	}
}

/* The only signer of a message that holds nothing else that is signed: no content, no signed attributes. */
static CMS_SignerInfo *only_signer(struct bytes der, CMS_ContentInfo **ret)
{
	const unsigned char *p = der.p;
	STACK_OF(CMS_SignerInfo) *all;
	ASN1_OCTET_STRING **content;
	CMS_ContentInfo *cms;

	if (der.n == 0 || der.n > IMA_ENTRY_MAX)
		return NULL;
	cms = d2i_CMS_ContentInfo(NULL, &p, (long)der.n);
	*ret = cms;
	if (cms == NULL || p != der.p + der.n || OBJ_obj2nid(CMS_get0_type(cms)) != NID_pkcs7_signed)
		return NULL;
	content = CMS_get0_content(cms);
	all = CMS_get0_SignerInfos(cms);
	if (content == NULL || *content != NULL || all == NULL || sk_CMS_SignerInfo_num(all) != 1 ||
	    CMS_signed_get_attr_count(sk_CMS_SignerInfo_value(all, 0)) > 0)
		return NULL;
	return sk_CMS_SignerInfo_value(all, 0);
}

static struct bytes octets(const ASN1_OCTET_STRING *s)
{
	return BYTES(ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s));
}

/* Whether the signer may be this key: he names it by the end of its id, or by a certificate, which is not known here. */
static bool may_be(const ASN1_OCTET_STRING *id, const struct ima_key *k)
{
	struct bytes whole, end;

	if (id == NULL)
		return true;
	whole = octets(id);
	return whole.n >= IMA_KEY_ID_SIZE && !failed(bytes_sub(whole, whole.n - IMA_KEY_ID_SIZE, IMA_KEY_ID_SIZE, &end)) &&
	       bytes_eq(end, BYTES_ARR(k->id));
}

/* Keys that he may be. One that he names and that does not verify is another file's signature, or forged. */
static struct err try_keys(CMS_SignerInfo *si, enum digest_id hash, struct bytes digest, size_t n,
			   const struct ima_key *keys, enum ima_signed *ret, size_t *ret_key)
{
	struct bytes value = octets(CMS_SignerInfo_get0_signature(si));
	ASN1_OCTET_STRING *id = NULL;
	struct err e;

	if (CMS_SignerInfo_get0_signer_id(si, &id, NULL, NULL) != 1)
		return ERR(E_LOCAL_CRYPTO);
	*ret = IMA_SIGNED_UNKNOWN_KEY;
	for (size_t i = 0; i < n; i++) {
		if (!may_be(id, &keys[i]))
			continue;
		e = ima_signature_verify(keys[i].key, hash, digest, value);
		if (ima_sign_local(e))
			return e;
		if (!failed(e)) {
			*ret_key = i;
			*ret = IMA_SIGNED_GOOD;
			return e;
		}
		if (id != NULL)
			*ret = IMA_SIGNED_OTHER;
	}
	return ERR(E_OK);
}

static struct err check(CMS_SignerInfo *si, const struct ima_digest *d, size_t n, const struct ima_key *keys,
			enum ima_signed *ret, size_t *ret_key)
{
	X509_ALGOR *alg = NULL;
	const ASN1_OBJECT *oid = NULL;
	enum digest_id hash;

	CMS_SignerInfo_get0_algs(si, NULL, NULL, &alg, NULL);
	if (alg == NULL)
		return ERR(E_OK);
	X509_ALGOR_get0(&oid, NULL, NULL, alg);
	hash = hash_by_nid(OBJ_obj2nid(oid));
	if (hash == DIGEST_SHA1)
		*ret = IMA_SIGNED_WEAK;
	if (!ima_hash_strong(hash))
		return ERR(E_OK);
	*ret = IMA_SIGNED_OTHER;
	if (d->alg != hash || d->value.n != digest_alg(hash)->size)
		return ERR(E_OK);
	return try_keys(si, hash, d->value, n, keys, ret, ret_key);
}

struct err ima_modsig_check(const struct ima_entry *ent, size_t n, const struct ima_key *keys, enum ima_signed *ret,
			    size_t *ret_key)
{
	cleanup_cms CMS_ContentInfo *cms = NULL;
	CMS_SignerInfo *si;
	struct ima_digest d;
	struct err e = ERR(E_OK);

	*ret_key = n;
	*ret = IMA_SIGNED_ABSENT;
	if (ent->state != IMA_ENTRY_DECODED || ent->field[IMA_FIELD_MODSIG].n == 0)
		return e;
	*ret = IMA_SIGNED_FORM;
	si = only_signer(ent->field[IMA_FIELD_MODSIG], &cms);
	if (si == NULL)
		e = ossl_failed(E_OK); /* that memory ran out says nothing about the signature */
	if (si != NULL && ima_entry_modsig_digest(ent, &d))
		e = check(si, &d, n, keys, ret, ret_key);
	ERR_clear_error();
	return e;
}
