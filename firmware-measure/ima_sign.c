/* SPDX-License-Identifier: Apache-2.0 */
#include "firmware-measure/ima_sign_impl.h"

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "base/ossl.h"
#include "base/rd.h"

#define TYPE_CONTENTS 3
#define TYPE_VERITY 6

DEFINE_CLEANUP(X509, cleanup_x509_, X509_free)
#define cleanup_x509 cleanup(cleanup_x509_)

enum digest_id ima_hash_by_number(uint8_t number)
{
	switch (number) {
	case 2:
		return DIGEST_SHA1;
	case 4:
		return DIGEST_SHA256;
	case 5:
		return DIGEST_SHA384;
	case 6:
		return DIGEST_SHA512;
	case 17:
		return DIGEST_SM3_256;
	default:
		return N_DIGESTS;
	}
}

bool ima_hash_strong(enum digest_id hash)
{
	return hash == DIGEST_SHA256 || hash == DIGEST_SHA384 || hash == DIGEST_SHA512;
}

struct err ima_signature_parse(struct bytes sig, struct ima_signature *ret)
{
	struct ima_signature s = { 0 };
	struct rd r = RD(sig);
	struct err e;

	if (failed(e = rd_u8(&r, &s.type)) || failed(e = rd_u8(&r, &s.version)))
		return e;
	/* An fs-verity digest is signed in version 3 only. */
	if ((s.version != 2 && s.version != 3) || (s.type != TYPE_CONTENTS && s.type != TYPE_VERITY) ||
	    (s.type == TYPE_VERITY && s.version != 3))
		return ERR(E_PEER_UNSUPPORTED);
	return ima_signature_read(sig, ret);
}

struct err ima_signature_read(struct bytes sig, struct ima_signature *ret)
{
	struct ima_signature s = { 0 };
	struct rd r = RD(sig);
	struct bytes id;
	uint16_t n;
	struct err e;

	if (failed(e = rd_u8(&r, &s.type)) || failed(e = rd_u8(&r, &s.version)) || failed(e = rd_u8(&r, &s.hash_number)) || failed(e = rd_bytes(&r, IMA_KEY_ID_SIZE, &id)) ||
	    failed(e = bytes_copy_exact(id, s.key_id, sizeof(s.key_id))) || failed(e = rd_u16be(&r, &n)) ||
	    failed(e = rd_bytes(&r, n, &s.value)) || failed(e = rd_end(&r)))
		return e;
	s.hash = ima_hash_by_number(s.hash_number);
	*ret = s;
	return e;
}

static struct err id_of(struct bytes data, uint8_t ret[IMA_KEY_ID_SIZE])
{
	struct bytes end;
	struct err e;

	if (failed(e = bytes_sub(data, data.n - (data.n < IMA_KEY_ID_SIZE ? data.n : IMA_KEY_ID_SIZE), IMA_KEY_ID_SIZE,
				 &end)))
		return e;
	return bytes_copy_exact(end, ret, IMA_KEY_ID_SIZE);
}

struct err ima_key_id(const struct key *k, uint8_t ret[IMA_KEY_ID_SIZE])
{
	struct digest d;
	unsigned char *der = NULL;
	struct err e;
	int n = i2d_PublicKey(key_evp(k), &der);

	if (n <= 0)
		return ossl_failed(E_LOCAL_CRYPTO);
	e = digest_one(DIGEST_SHA1, BYTES(der, (size_t)n), &d);
	OPENSSL_free(der);
	return failed(e) ? e : id_of(digest_bytes(&d), ret);
}

static struct err x509_of(struct bytes der, X509 **ret)
{
	const unsigned char *p = der.p;
	X509 *x = d2i_X509(NULL, &p, (long)der.n); /* at most LIMIT_CERT bytes: cert_from_der() has read them */

	if (x == NULL)
		return ossl_failed(E_PEER_SYNTAX);
	*ret = x;
	return ERR(E_OK);
}

struct err ima_cert_key_id(const struct cert *c, uint8_t ret[IMA_KEY_ID_SIZE])
{
	cleanup_x509 X509 *x = NULL;
	cleanup_key struct key *k = NULL;
	const ASN1_OCTET_STRING *skid;
	struct err e;

	if (failed(e = x509_of(cert_der(c), &x)))
		return e;
	skid = X509_get0_subject_key_id(x);
	if (skid != NULL && ASN1_STRING_length(skid) >= IMA_KEY_ID_SIZE)
		return id_of(BYTES(ASN1_STRING_get0_data(skid), (size_t)ASN1_STRING_length(skid)), ret);
	if (failed(e = cert_key(c, &k)))
		return e;
	return ima_key_id(k, ret);
}

/* The digest that the signature is over. */
static struct err signed_digest(const struct ima_signature *s, const struct ima_digest *d, struct digest *ret)
{
	const uint8_t id[2] = { s->type, s->hash_number };
	const struct bytes parts[] = { BYTES_ARR(id), d->value };
	struct digest own = { 0 };

	if (s->version == 3)
		return digest_of(s->hash, ret, 2, parts);
	if (d->value.n > sizeof(own.v))
		return ERR(E_BUG);
	own.n = (uint8_t)d->value.n;
	memcpy(own.v, d->value.p, d->value.n);
	*ret = own;
	return ERR(E_OK);
}

struct err ima_signature_verify(const struct key *k, enum digest_id hash, struct bytes digest, struct bytes value)
{
	cleanup_buf struct buf raw = BUF_INIT(KIB);
	struct err e;

	switch (key_kind(k)) {
	case KEY_RSA:
		return key_verify_digest(k, SIG_RSASSA, hash, digest, value);
	case KEY_EC_P256:
	case KEY_EC_P384:
	case KEY_EC_P521:
		if (failed(e = ecdsa_der_to_raw(key_kind(k), value, &raw)))
			return e;
		return key_verify_digest(k, SIG_ECDSA, hash, digest, buf_bytes(&raw));
	case KEY_ED25519:
	case KEY_NONE:
		break;
	}
	return ERR(E_PEER_UNSUPPORTED);
}

bool ima_sign_local(struct err e)
{
	return e.code == E_LOCAL_MEMORY || e.code == E_LOCAL_CRYPTO || e.code == E_BUG;
}

/* Whether the signature fits kind and algorithm of the digest at all. */
static enum ima_signed judge_form(const struct ima_signature *s, const struct ima_digest *d)
{
	if (s->hash == DIGEST_SHA1)
		return IMA_SIGNED_WEAK;
	if (!ima_hash_strong(s->hash))
		return IMA_SIGNED_FORM;
	if (d->alg == DIGEST_SHA1)
		return IMA_SIGNED_WEAK;
	if (s->hash != d->alg || d->value.n != digest_alg(s->hash)->size)
		return IMA_SIGNED_OTHER;
	return (s->type == TYPE_VERITY) == (d->kind == IMA_DIGEST_VERITY) ? IMA_SIGNED_GOOD : IMA_SIGNED_OTHER;
}

struct err ima_signed_check(const struct ima_entry *ent, size_t n, const struct ima_key *keys, enum ima_signed *ret,
			    size_t *ret_key)
{
	struct ima_signature s;
	enum ima_signed got;
	struct digest d;
	struct err e;

	*ret_key = n;
	*ret = IMA_SIGNED_ABSENT;
	if (ent->state != IMA_ENTRY_DECODED || ent->field[IMA_FIELD_SIG].n == 0)
		return ERR(E_OK);
	*ret = IMA_SIGNED_FORM;
	if (failed(ima_signature_parse(ent->field[IMA_FIELD_SIG], &s)))
		return ERR(E_OK);
	*ret = judge_form(&s, &ent->digest);
	if (*ret != IMA_SIGNED_GOOD)
		return ERR(E_OK);
	*ret = got = IMA_SIGNED_UNKNOWN_KEY;
	if (failed(e = signed_digest(&s, &ent->digest, &d)))
		return e;
	for (size_t i = 0; i < n; i++) {
		if (!bytes_eq(BYTES_ARR(keys[i].id), BYTES_ARR(s.key_id)))
			continue;
		e = ima_signature_verify(keys[i].key, s.hash, digest_bytes(&d), s.value);
		if (ima_sign_local(e))
			return e;
		if (!failed(e)) {
			*ret_key = i;
			*ret = IMA_SIGNED_GOOD;
			return e;
		}
		got = e.code == E_AUTH_SIGNATURE ? IMA_SIGNED_OTHER : IMA_SIGNED_FORM;
	}
	*ret = got;
	return ERR(E_OK);
}

/* SHA-1 has 63 bits of security by this count, SHA-256 has 128. */
static bool strong(X509 *x)
{
	int bits = 0;

	return X509_get_signature_info(x, NULL, NULL, &bits, NULL) == 1 && bits >= 112;
}

/* Signature, names, and that ca may sign at all. That memory ran out is no answer. */
static struct err issued_by(X509 *x, const struct cert *ca, bool *ret)
{
	cleanup_x509 X509 *issuer = NULL;
	cleanup_key struct key *k = NULL;
	struct err e;

	*ret = false;
	if (!cert_is_ca(ca))
		return ERR(E_OK);
	if (failed(e = cert_key(ca, &k)) || failed(e = x509_of(cert_der(ca), &issuer)))
		return ima_sign_local(e) ? e : ERR(E_OK);
	*ret = strong(x) && X509_check_issued(issuer, x) == X509_V_OK && X509_verify(x, key_evp(k)) == 1;
	return ossl_failed(E_OK);
}

static bool in_dates(const X509 *x, int64_t now_s)
{
	time_t now = (time_t)now_s;

	/* X509_cmp_time() is 0 on error, and says "before or at" with -1. */
	return X509_cmp_time(X509_get0_notBefore(x), &now) < 0 && X509_cmp_time(X509_get0_notAfter(x), &now) > 0;
}

struct err ima_key_learn(const struct ima_entry *ent, size_t n, const struct cert *const *cas, int64_t now_s,
			 struct key **ret_key, uint8_t ret_id[IMA_KEY_ID_SIZE], struct reason *reterr)
{
	cleanup_cert struct cert *c = NULL;
	cleanup_key struct key *k = NULL;
	cleanup_x509 X509 *x = NULL;
	uint8_t id[IMA_KEY_ID_SIZE];
	bool issued = false;
	struct err e;

	if (ent->state != IMA_ENTRY_DECODED || ent->field[IMA_FIELD_BUF].n == 0) {
		reason_set(reterr, "expected an entry with a certificate as its buffer");
		return ERR(E_PEER_MISSING);
	}
	if (failed(e = cert_from_der(ent->field[IMA_FIELD_BUF], &c, NULL)) || failed(e = x509_of(cert_der(c), &x)) ||
	    failed(e = cert_key(c, &k)) || failed(e = ima_cert_key_id(c, id))) {
		reason_set(reterr, "the buffer is not a certificate with a usable key");
		return e;
	}
	for (size_t i = 0; i < n && !issued; i++)
		if (failed(e = issued_by(x, cas[i], &issued)))
			return e;
	if (!issued) {
		reason_set(reterr, "the key's certificate is not signed by a CA of the policy");
		return ERR(E_AUTH_CERTIFICATE);
	}
	if (!in_dates(x, now_s)) {
		reason_set(reterr, "the key's certificate is not valid at this time");
		return ERR(E_AUTH_CERTIFICATE);
	}
	memcpy(ret_id, id, sizeof(id));
	*ret_key = take_ptr(&k);
	return e;
}
