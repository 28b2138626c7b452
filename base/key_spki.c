/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SubjectPublicKeyInfo, read and written by hand. Our keys have five shapes;
 * four of them are a constant prefix and the numbers. OpenSSL's generic
 * decoders cost 90 us and get slower with a second thread.
 */
#include <string.h>

#include "base/der.h"
#include "base/key_impl.h"
#include "base/limits.h"

#define SPKI_MAX 1024
#define RSA_EXPONENT 65537u

/* Inside the AlgorithmIdentifier: rsaEncryption, 1.2.840.113549.1.1.1 (RFC 8017, appendix C), and NULL. */
static const uint8_t rsa_algorithm[13] = {
	0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
};
static const uint8_t rsa_exponent[3] = { 0x01, 0x00, 0x01 };

/* What follows prefix when der is the prefix and n bytes more. */
static bool behind(struct bytes der, struct bytes prefix, size_t n, struct bytes *ret)
{
	struct bytes head = BYTES_NONE;

	if (der.n != prefix.n + n || failed(bytes_sub(der, 0, prefix.n, &head)) || !bytes_eq(head, prefix))
		return false;
	return !failed(bytes_sub(der, prefix.n, n, ret));
}

/* RSAPublicKey (RFC 8017, A.1.1) inside the BIT STRING. */
static struct err rsa_from_bits(struct bytes bits, struct key **ret)
{
	struct rd r = RD(bits), in;
	struct bytes seq = BYTES_NONE, n = BYTES_NONE, exp = BYTES_NONE;
	uint8_t unused = 0;
	struct err e;

	if (failed(e = rd_u8(&r, &unused)))
		return e;
	if (unused != 0)
		return ERR(E_PEER_SYNTAX);
	if (failed(e = der_rd(&r, DER_SEQUENCE, &seq)) || failed(e = rd_end(&r)))
		return e;
	in = RD(seq);
	if (failed(e = der_rd_uint(&in, &n)) || failed(e = der_rd_uint(&in, &exp)) || failed(e = rd_end(&in)))
		return e;
	if (!bytes_eq(exp, BYTES_ARR(rsa_exponent)))
		return ERR(E_PEER_RANGE);
	return key_from_rsa(n, RSA_EXPONENT, ret);
}

struct err key_from_spki(struct bytes der, struct key **ret)
{
	static const enum key_kind ec[] = { KEY_EC_P256, KEY_EC_P384, KEY_EC_P521 };
	struct rd r = RD(der), in;
	struct bytes spki = BYTES_NONE, alg = BYTES_NONE, bits = BYTES_NONE, v = BYTES_NONE;
	struct err e;

	for (size_t i = 0; i < array_len(ec); i++) {
		const struct curve *c = curve_of(ec[i]);

		if (behind(der, c->spki, 2 * c->size, &v))
			return key_from_ec(ec[i], BYTES(v.p, c->size), BYTES(v.p + c->size, c->size), ret);
	}
	if (behind(der, ed25519_spki, ED25519_SIZE, &v))
		return key_from_ed25519(v, ret);

	if (failed(e = der_rd(&r, DER_SEQUENCE, &spki)) || failed(e = rd_end(&r)))
		return e;
	in = RD(spki);
	if (failed(e = der_rd(&in, DER_SEQUENCE, &alg)) || failed(e = der_rd(&in, DER_BIT_STRING, &bits)) ||
	    failed(e = rd_end(&in)))
		return e;
	if (!bytes_eq(alg, BYTES_ARR(rsa_algorithm)))
		return ERR(E_PEER_UNSUPPORTED);
	return rsa_from_bits(bits, ret);
}

struct err key_from_pem(struct bytes pem, struct key **ret)
{
	cleanup_buf struct buf der = BUF_INIT(LIMIT_SMALL);
	struct err e;

	if (failed(e = pem_decode(pem, "PUBLIC KEY", &der)))
		return e;
	return key_from_spki(buf_bytes(&der), ret);
}

/* Puts a head in front of what b holds. */
static struct err wrap(struct buf *b, uint8_t tag)
{
	cleanup_buf struct buf out = BUF_INIT(b->max);
	struct err e;

	if (failed(e = der_wr_head(&out, tag, b->n)) || failed(e = buf_add(&out, buf_bytes(b))))
		return e;
	buf_free(b);
	buf_move(b, &out);
	return ERR(E_OK);
}

static struct err rsa_spki(const struct key *k, struct buf *ret)
{
	cleanup_buf struct buf inner = BUF_INIT(SPKI_MAX);
	cleanup_buf struct buf bits = BUF_INIT(SPKI_MAX);
	cleanup_buf struct buf all = BUF_INIT(SPKI_MAX);
	struct err e;

	if (failed(e = der_wr_uint(&inner, key_a(k))) || failed(e = der_wr_uint(&inner, BYTES_ARR(rsa_exponent))) ||
	    failed(e = wrap(&inner, DER_SEQUENCE)))
		return e;
	if (failed(e = buf_add_u8(&bits, 0)) || failed(e = buf_add(&bits, buf_bytes(&inner))) ||
	    failed(e = wrap(&bits, DER_BIT_STRING)))
		return e;
	if (failed(e = buf_add(&all, BYTES_ARR(rsa_algorithm))) || failed(e = wrap(&all, DER_SEQUENCE)) ||
	    failed(e = buf_add(&all, buf_bytes(&bits))) || failed(e = wrap(&all, DER_SEQUENCE)))
		return e;
	return buf_add(ret, buf_bytes(&all));
}

struct err key_spki(const struct key *k, struct buf *ret)
{
	const struct curve *c = curve_of(k->kind);
	cleanup_buf struct buf der = BUF_INIT(SPKI_MAX);
	struct err e;

	if (k->kind == KEY_RSA)
		return rsa_spki(k, ret);
	if (failed(e = buf_add(&der, c != NULL ? c->spki : ed25519_spki)) || failed(e = buf_add(&der, key_a(k))) ||
	    failed(e = buf_add(&der, key_b(k))))
		return e;
	return buf_add(ret, buf_bytes(&der));
}

struct err key_spki_sha256(const struct key *k, uint8_t ret[32])
{
	cleanup_buf struct buf der = BUF_INIT(SPKI_MAX);
	struct err e;

	if (failed(e = key_spki(k, &der)))
		return e;
	return sha256(buf_bytes(&der), ret);
}

struct err key_public_to_pem(const struct key *k, struct buf *ret)
{
	cleanup_buf struct buf der = BUF_INIT(SPKI_MAX);
	struct err e;

	if (failed(e = key_spki(k, &der)))
		return e;
	return pem_encode("PUBLIC KEY", buf_bytes(&der), ret);
}
