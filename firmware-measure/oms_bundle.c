/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The outside of a bundle: Sigstore's JSON and the DSSE envelope in it. Members
 * that are not read here are ignored, as both specifications demand.
 */
#include <ctype.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "firmware-measure/oms.h"

#define SIGNATURE_MAX 256 /* bytes, decoded */

/* The same format by its older name: RFC 2045 parameters in place of a suffix. */
#define OMS_MEDIA_TYPE_OTHER "application/vnd.dev.sigstore.bundle+json;version=0.3"

void oms_bundle_done(struct oms_bundle *b)
{
	buf_free(&b->unsigned_payload);
	buf_free(&b->unsigned_signature);
	for (size_t i = 0; i < b->n_chain; i++)
		cert_free(b->unsigned_chain[i]);
	b->n_chain = 0;
}

static struct err get_b64(struct jobj *o, const char *key, struct buf *ret)
{
	const char *text = NULL;
	struct err e;

	if (failed(e = jobj_str(o, key, LIMIT_OMS_BUNDLE, &text)))
		return e;
	if (failed(e = b64_decode(bytes_str(text), ret)))
		reason_set(o->reterr, "%s.%s: expected standard base64", o->where, key);
	return e;
}

static struct err media_type(struct jobj *o)
{
	const char *type = NULL;
	struct err e;

	if (failed(e = jobj_str(o, "mediaType", SIZE_MAX, &type)))
		return e;
	if (strcmp(type, OMS_MEDIA_TYPE) == 0 || strcmp(type, OMS_MEDIA_TYPE_OTHER) == 0)
		return ERR(E_OK);
	reason_set(o->reterr, "mediaType: expected " OMS_MEDIA_TYPE ", seen %s", log_quote(bytes_str(type)));
	return ERR(E_PEER_MEDIA_TYPE);
}

static struct err read_certificate(const json_t *j, struct oms_bundle *b, struct reason *reterr)
{
	cleanup_buf struct buf der = BUF_INIT(LIMIT_CERT);
	struct jobj o;
	struct err e;

	if (failed(e = jobj_init(&o, j, "x509CertificateChain.certificates[]", reterr)) ||
	    failed(e = get_b64(&o, "rawBytes", &der)))
		return e;
	if (failed(e = cert_from_der(buf_bytes(&der), &b->unsigned_chain[b->n_chain], NULL))) {
		reason_set(reterr, "certificate %zu of the bundle: %s", b->n_chain + 1, err_text(e));
		return e;
	}
	b->n_chain++;
	return ERR(E_OK);
}

static struct err read_chain(struct jobj *material, struct oms_bundle *b)
{
	const json_t *j = NULL, *list = NULL;
	struct jobj o;
	struct err e;

	if (failed(e = jobj_obj(material, "x509CertificateChain", &j)) ||
	    failed(e = jobj_init(&o, j, "x509CertificateChain", material->reterr)) ||
	    failed(e = jobj_arr(&o, "certificates", LIMIT_CHAIN, &list)))
		return e;
	if (json_array_size(list) == 0) {
		reason_set(material->reterr, "x509CertificateChain.certificates: expected the signer's certificate, seen none");
		return ERR(E_PEER_MISSING);
	}
	for (size_t i = 0; i < json_array_size(list); i++)
		if (failed(e = read_certificate(json_array_get(list, i), b, material->reterr)))
			return e;
	return ERR(E_OK);
}

/* A hint is free text (Sigstore); one that is a SHA-256 in hex can be compared. rawBytes of old bundles says no more. */
static struct err read_key(struct jobj *material, struct oms_bundle *b)
{
	const json_t *j = NULL;
	const char *hint;
	struct err e;

	if (failed(e = jobj_obj(material, "publicKey", &j)))
		return e;
	b->has_key = true;
	hint = json_string_value(json_object_get(j, "hint"));
	if (hint == NULL || strlen(hint) != 64 || strspn(hint, "0123456789abcdefABCDEF") != 64)
		return ERR(E_OK);
	for (size_t i = 0; i < 64; i++)
		b->unsigned_hint[i] = (char)tolower((unsigned char)hint[i]);
	return ERR(E_OK);
}

static struct err read_material(struct jobj *bundle, struct oms_bundle *b)
{
	const json_t *j = NULL;
	struct jobj o;
	struct err e;

	if (failed(e = jobj_obj(bundle, "verificationMaterial", &j)) ||
	    failed(e = jobj_init(&o, j, "verificationMaterial", bundle->reterr)))
		return e;
	if (jobj_has(&o, "certificate")) {
		reason_set(o.reterr, "verificationMaterial.certificate: keyless signatures (sigstore) are not supported, "
				     "expected publicKey or x509CertificateChain");
		return ERR(E_PEER_UNSUPPORTED);
	}
	if (jobj_has(&o, "publicKey") == jobj_has(&o, "x509CertificateChain")) {
		reason_set(o.reterr, "verificationMaterial: expected one of publicKey and x509CertificateChain");
		return ERR(jobj_has(&o, "publicKey") ? E_PEER_DUPLICATE : E_PEER_MISSING);
	}
	return jobj_has(&o, "publicKey") ? read_key(&o, b) : read_chain(&o, b);
}

static struct err read_signature(struct jobj *envelope, struct oms_bundle *b)
{
	const json_t *list = NULL;
	struct jobj o;
	struct err e;

	if (failed(e = jobj_arr(envelope, "signatures", SIZE_MAX, &list)))
		return e;
	if (json_array_size(list) != 1) {
		reason_set(envelope->reterr, "dsseEnvelope.signatures: expected one, seen %zu", json_array_size(list));
		return ERR(json_array_size(list) == 0 ? E_PEER_MISSING : E_LIMIT_COUNT);
	}
	if (failed(e = jobj_init(&o, json_array_get(list, 0), "dsseEnvelope.signatures[0]", envelope->reterr)))
		return e;
	return get_b64(&o, "sig", &b->unsigned_signature);
}

static struct err read_envelope(struct jobj *bundle, struct oms_bundle *b)
{
	const char *type = NULL;
	const json_t *j = NULL;
	struct jobj o;
	struct err e;

	if (failed(e = jobj_obj(bundle, "dsseEnvelope", &j)) ||
	    failed(e = jobj_init(&o, j, "dsseEnvelope", bundle->reterr)) ||
	    failed(e = jobj_str(&o, "payloadType", SIZE_MAX, &type)))
		return e;
	if (strcmp(type, OMS_PAYLOAD_TYPE) != 0) {
		reason_set(o.reterr, "dsseEnvelope.payloadType: expected " OMS_PAYLOAD_TYPE ", seen %s",
			   log_quote(bytes_str(type)));
		return ERR(E_PEER_TYPE);
	}
	if (failed(e = get_b64(&o, "payload", &b->unsigned_payload)))
		return e;
	return read_signature(&o, b);
}

struct err oms_bundle_parse(struct bytes bundle, struct oms_bundle *ret, struct reason *reterr)
{
	cleanup_oms_bundle struct oms_bundle b = {
		.unsigned_payload = BUF_INIT(LIMIT_OMS_BUNDLE),
		.unsigned_signature = BUF_INIT(SIGNATURE_MAX),
	};
	cleanup_json json_t *j = NULL;
	struct jobj o;
	struct err e;

	if (failed(e = json_parse(bundle, LIMIT_OMS_BUNDLE, &j, reterr)) ||
	    failed(e = jobj_init(&o, j, "bundle", reterr)) || failed(e = media_type(&o)) ||
	    failed(e = read_envelope(&o, &b)) || failed(e = read_material(&o, &b)))
		return e;
	*ret = b;
	b = (struct oms_bundle){ 0 };
	return ERR(E_OK);
}
