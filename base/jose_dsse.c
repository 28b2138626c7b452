/* SPDX-License-Identifier: Apache-2.0 */
/* DSSE v1: https://github.com/secure-systems-lab/dsse, protocol.md and envelope.md. */
#include <string.h>

#include "base/jose.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"

#define SIGNATURES_MAX 8
#define SIGNATURE_MAX 256 /* bytes, decoded */
#define TYPE_MAX 256
#define KEYID_MAX 256
#define FRAME_MAX (TYPE_MAX + 64)

struct err dsse_pae(const char *type, struct bytes payload, struct buf *ret)
{
	struct err e;

	if (failed(e = buf_addf(ret, "DSSEv1 %zu %s %zu ", strlen(type), type, payload.n)))
		return e;
	return buf_add(ret, payload);
}

/* Raw r||s is ours; others read and write DER in DSSE, and so do we. */
static struct err sign_pae(const struct key *k, struct bytes data, struct buf *ret)
{
	cleanup_buf struct buf raw = BUF_INIT(SIGNATURE_MAX);
	struct err e;

	if (key_kind(k) == KEY_ED25519)
		return key_sign(k, SIG_ED25519, DIGEST_SHA512, data, ret);
	if (key_kind(k) != KEY_EC_P256)
		return ERR(E_PEER_UNSUPPORTED);
	if (failed(e = key_sign(k, SIG_ECDSA, DIGEST_SHA256, data, &raw)))
		return e;
	return ecdsa_raw_to_der(KEY_EC_P256, buf_bytes(&raw), ret);
}

static struct err verify_pae(const struct key *k, struct bytes data, struct bytes sig)
{
	cleanup_buf struct buf raw = BUF_INIT(SIGNATURE_MAX);
	struct err e;

	if (key_kind(k) == KEY_ED25519)
		return key_verify(k, SIG_ED25519, DIGEST_SHA512, data, sig);
	if (key_kind(k) != KEY_EC_P256)
		return ERR(E_PEER_UNSUPPORTED);
	if (failed(e = ecdsa_der_to_raw(KEY_EC_P256, sig, &raw)))
		return e;
	return key_verify(k, SIG_ECDSA, DIGEST_SHA256, data, buf_bytes(&raw));
}

static struct err put_b64(json_t *o, const char *key, struct bytes v)
{
	cleanup_buf struct buf text = BUF_INIT(2 * LIMIT_DOCUMENT);
	struct err e;

	if (failed(e = b64_encode(v, &text)))
		return e;
	return json_put_text(o, key, buf_bytes(&text));
}

static struct err signature_object(const struct key *k, struct bytes sig, json_t **ret)
{
	cleanup_json json_t *o = NULL;
	uint8_t h[32];
	struct err e;

	if (failed(e = key_spki_sha256(k, h)) || failed(e = json_new_object(&o)) ||
	    failed(e = json_put_hex(o, "keyid", BYTES_ARR(h))) || failed(e = put_b64(o, "sig", sig)))
		return e;
	*ret = take_ptr(&o);
	return ERR(E_OK);
}

struct err dsse_sign(const struct key *k, const char *payload_type, struct bytes payload, struct buf *ret)
{
	cleanup_buf struct buf data = BUF_INIT(LIMIT_DOCUMENT + FRAME_MAX), sig = BUF_INIT(SIGNATURE_MAX);
	cleanup_json json_t *envelope = NULL, *one = NULL, *list = NULL;
	struct err e;

	if (strlen(payload_type) > TYPE_MAX)
		return ERR(E_LIMIT_SIZE);
	if (failed(e = dsse_pae(payload_type, payload, &data)) || failed(e = sign_pae(k, buf_bytes(&data), &sig)) ||
	    failed(e = signature_object(k, buf_bytes(&sig), &one)))
		return e;
	list = json_array();
	if (list == NULL || json_array_append_new(list, take_ptr(&one)) != 0)
		return ERR(E_LOCAL_MEMORY);
	if (failed(e = json_new_object(&envelope)) || failed(e = put_b64(envelope, "payload", payload)) ||
	    failed(e = json_put_str(envelope, "payloadType", payload_type)) ||
	    failed(e = json_put(envelope, "signatures", take_ptr(&list))))
		return e;
	return json_write(envelope, ret);
}

/* What one entry of `signatures` says; keyid is NULL where it has none. */
struct entry {
	const char *keyid, *sig;
};

static struct err read_entry(const json_t *j, struct entry *ret, struct reason *reterr)
{
	struct entry en = { 0 };
	struct jobj o;
	struct err e;

	if (failed(e = jobj_init(&o, j, "signatures", reterr)))
		return e;
	if (jobj_has(&o, "keyid") && failed(e = jobj_str(&o, "keyid", KEYID_MAX, &en.keyid)))
		return e;
	if (failed(e = jobj_str(&o, "sig", 2 * SIGNATURE_MAX, &en.sig)) || failed(e = jobj_end(&o)))
		return e;
	*ret = en;
	return ERR(E_OK);
}

/* The first entry by one of the keys. All entries must be well formed, whoever made them. */
static struct err choose(const json_t *list, const struct dsse_key *keys, size_t n_keys, struct entry *ret,
			 size_t *ret_which, struct reason *reterr)
{
	bool found = false;
	struct err e;

	for (size_t i = 0; i < json_array_size(list); i++) {
		struct entry en;

		if (failed(e = read_entry(json_array_get(list, i), &en, reterr)))
			return e;
		for (size_t k = 0; k < n_keys && !found && en.keyid != NULL; k++) {
			if (strcmp(keys[k].keyid, en.keyid) != 0)
				continue;
			*ret = en;
			*ret_which = k;
			found = true;
		}
	}
	if (found)
		return ERR(E_OK);
	reason_set(reterr, "DSSE: no signature by a known key");
	return ERR(E_AUTH_UNKNOWN);
}

static struct err read_envelope(const json_t *j, const char *payload_type, struct buf *ret_payload,
				const json_t **ret_signatures, struct reason *reterr)
{
	const char *payload = NULL, *type = NULL;
	const json_t *list = NULL;
	struct jobj o;
	struct err e;

	if (failed(e = jobj_init(&o, j, "", reterr)) || failed(e = jobj_str(&o, "payload", SIZE_MAX, &payload)) ||
	    failed(e = jobj_str(&o, "payloadType", TYPE_MAX, &type)) ||
	    failed(e = jobj_arr(&o, "signatures", SIGNATURES_MAX, &list)) || failed(e = jobj_end(&o)))
		return e;
	if (strcmp(type, payload_type) != 0) {
		reason_set(reterr, "payloadType: %s where %s is expected", log_quote(bytes_str(type)), payload_type);
		return ERR(E_PEER_TYPE);
	}
	if (json_array_size(list) == 0) {
		reason_set(reterr, "signatures: none");
		return ERR(E_PEER_MISSING);
	}
	if (failed(e = b64_decode(bytes_str(payload), ret_payload))) {
		reason_set(reterr, "payload: not base64 with padding");
		return e;
	}
	*ret_signatures = list;
	return ERR(E_OK);
}

struct err dsse_verify(struct bytes envelope, size_t max, const char *payload_type, const struct dsse_key *keys,
		       size_t n_keys, struct buf *ret_payload, size_t *ret_which, struct reason *reterr)
{
	cleanup_buf struct buf payload = BUF_INIT(envelope.n), sig = BUF_INIT(SIGNATURE_MAX);
	cleanup_buf struct buf data = BUF_INIT(envelope.n + FRAME_MAX);
	cleanup_json json_t *j = NULL;
	const json_t *signatures = NULL;
	struct entry en = { 0 };
	size_t which = 0;
	struct err e;

	if (failed(e = json_parse(envelope, max, &j, reterr)) ||
	    failed(e = read_envelope(j, payload_type, &payload, &signatures, reterr)) ||
	    failed(e = choose(signatures, keys, n_keys, &en, &which, reterr)))
		return e;
	if (failed(e = b64_decode(bytes_str(en.sig), &sig))) {
		reason_set(reterr, "signatures.sig: not base64 with padding, or too long");
		return e;
	}
	if (failed(e = dsse_pae(payload_type, buf_bytes(&payload), &data)))
		return e;
	if (failed(e = verify_pae(keys[which].key, buf_bytes(&data), buf_bytes(&sig)))) {
		reason_set(reterr, "DSSE: signature by %s: %s", log_quote(bytes_str(en.keyid)), err_text(e));
		return e;
	}
	if (failed(e = buf_add(ret_payload, buf_bytes(&payload))))
		return e;
	*ret_which = which;
	return ERR(E_OK);
}
