/* SPDX-License-Identifier: Apache-2.0 */
/* The signature of a bundle. */
#include <string.h>

#include "base/jose.h"
#include "base/log.h"
#include "base/text.h"
#include "firmware-measure/oms.h"

#define PAE_MAX (5 * LIMIT_OMS_BUNDLE) /* in the encoding of 0.2 a byte can take four */

bool oms_hash_of(const struct key *k, enum digest_id *ret)
{
	switch (key_kind(k)) {
	case KEY_EC_P256:
		*ret = DIGEST_SHA256;
		return true;
	case KEY_EC_P384:
		*ret = DIGEST_SHA384;
		return true;
	case KEY_EC_P521:
		*ret = DIGEST_SHA512;
		return true;
	case KEY_NONE:
	case KEY_RSA:
	case KEY_ED25519:
		break;
	}
	return false;
}

/*
 * What version 0.2 signed: the prefix with a capital V, and the payload as
 * Python shows bytes, b'...'. The quotes are single ones because JSON holds
 * double ones; those of the payload are escaped.
 */
static struct err pae_of_0_2(struct bytes payload, struct buf *ret)
{
	struct err e;

	if (failed(e = buf_addf(ret, "DSSEV1 %zu %s %zu b'", strlen(OMS_PAYLOAD_TYPE), OMS_PAYLOAD_TYPE, payload.n)))
		return e;
	for (size_t i = 0; i < payload.n; i++) {
		uint8_t c = payload.p[i];

		if (c == '\n')
			e = buf_add_str(ret, "\\n");
		else if (c == '\r')
			e = buf_add_str(ret, "\\r");
		else if (c == '\t')
			e = buf_add_str(ret, "\\t");
		else if (c < 0x20 || c >= 0x7f)
			e = buf_addf(ret, "\\x%02x", c);
		else if (c == '\\' || c == '\'')
			e = buf_addf(ret, "\\%c", c);
		else
			e = buf_add_u8(ret, c);
		if (failed(e))
			return e;
	}
	return buf_add_u8(ret, '\'');
}

/* One of the ways to sign, then the next: old signatures differ in encoding and hash, and nothing in a bundle tells. */
static struct err check_signature(const struct key *k, const struct oms_bundle *b)
{
	cleanup_buf struct buf now = BUF_INIT(PAE_MAX), then = BUF_INIT(PAE_MAX), raw = BUF_INIT(256);
	struct bytes payload = buf_bytes(&b->unsigned_payload);
	enum digest_id hash;
	struct err e;

	if (!oms_hash_of(k, &hash))
		return ERR(E_PEER_UNSUPPORTED);
	if (failed(e = ecdsa_der_to_raw(key_kind(k), buf_bytes(&b->unsigned_signature), &raw)) ||
	    failed(e = dsse_pae(OMS_PAYLOAD_TYPE, payload, &now)))
		return e;
	e = key_verify(k, SIG_ECDSA, hash, buf_bytes(&now), buf_bytes(&raw));
	if (e.code != E_AUTH_SIGNATURE)
		return e;
	if (failed(e = pae_of_0_2(payload, &then)))
		return e;
	e = key_verify(k, SIG_ECDSA, DIGEST_SHA256, buf_bytes(&then), buf_bytes(&raw));
	return e.code == E_AUTH_SIGNATURE ? key_verify(k, SIG_ECDSA, hash, buf_bytes(&then), buf_bytes(&raw)) : e;
}

static struct err wrong_method(const struct oms_bundle *b, struct reason *reterr)
{
	reason_set(reterr, "the bundle is signed with a %s: it is verified with a %s", b->has_key ? "key" : "certificate",
		   b->has_key ? "public key, not with a CA" : "CA, not with a key");
	return ERR(E_AUTH_SIGNATURE);
}

/* The hint is SHA-256 of the key in PEM; of its DER by some. It proves nothing, but another key than it names is not ours. */
static struct err check_hint(const struct key *k, const struct oms_bundle *b, struct reason *reterr)
{
	cleanup_buf struct buf pem = BUF_INIT(LIMIT_SMALL);
	char hex_pem[65], hex_der[65];
	uint8_t d[32];
	struct err e;

	if (failed(e = key_public_to_pem(k, &pem)) || failed(e = sha256(buf_bytes(&pem), d)) ||
	    failed(e = hex_encode(BYTES_ARR(d), hex_pem, sizeof(hex_pem))) || failed(e = key_spki_sha256(k, d)) ||
	    failed(e = hex_encode(BYTES_ARR(d), hex_der, sizeof(hex_der))))
		return e;
	if (b->unsigned_hint[0] == '\0' || strcmp(b->unsigned_hint, hex_pem) == 0 ||
	    strcmp(b->unsigned_hint, hex_der) == 0)
		return ERR(E_OK);
	reason_set(reterr, "another key: the bundle names %s, this one is %s", b->unsigned_hint, hex_pem);
	return ERR(E_AUTH_SIGNATURE);
}

static struct err by_key(const struct key *k, const struct oms_bundle *b, char ret[256], struct reason *reterr)
{
	char hex[65];
	uint8_t d[32];
	struct err e;

	if (!b->has_key)
		return wrong_method(b, reterr);
	if (failed(e = check_hint(k, b, reterr)) || failed(e = check_signature(k, b)))
		return e;
	if (failed(e = key_spki_sha256(k, d)) || failed(e = hex_encode(BYTES_ARR(d), hex, sizeof(hex))))
		return e;
	(void)snprintf(ret, 256, "key %s", hex);
	return ERR(E_OK);
}

static struct err by_certificate(const struct oms_signer *by, const struct oms_bundle *b, char ret[256],
				 struct reason *reterr)
{
	cleanup_key struct key *k = NULL;
	struct err e;

	if (b->has_key)
		return wrong_method(b, reterr);
	if (failed(e = signer_cert_verify(by->ca, b->unsigned_chain[0], b->unsigned_chain + 1, b->n_chain - 1, by->now_s,
					  reterr)) ||
	    failed(e = cert_key(b->unsigned_chain[0], &k)) || failed(e = check_signature(k, b)))
		return e;
	(void)snprintf(ret, 256, "certificate %s", cert_subject(b->unsigned_chain[0]));
	return ERR(E_OK);
}

struct err oms_verify(struct bytes bundle, const struct oms_signer *by, struct oms_manifest *ret,
		      struct reason *reterr)
{
	cleanup_oms_bundle struct oms_bundle b = { 0 };
	struct reason why = { "" };
	char signer[256] = "";
	struct err e;

	if ((by->key != NULL) == (by->ca != NULL))
		return ERR(E_BUG);
	if (failed(e = oms_bundle_parse(bundle, &b, reterr)))
		return e;
	e = by->key != NULL ? by_key(by->key, &b, signer, &why) : by_certificate(by, &b, signer, &why);
	if (failed(e)) {
		if (why.text[0] != '\0')
			reason_set(reterr, "%s", why.text);
		else if (e.code == E_PEER_UNSUPPORTED)
			reason_set(reterr, "bundles are signed with keys on P-256, P-384 or P-521, and this is none");
		else
			reason_set(reterr, "the signature of the bundle: %s", err_text(e));
		return e;
	}
	if (failed(e = oms_statement_parse(buf_bytes(&b.unsigned_payload), ret, reterr)))
		return e;
	memcpy(ret->signer, signer, sizeof(ret->signer));
	return ERR(E_OK);
}
