/* SPDX-License-Identifier: Apache-2.0 */
#include "base/x509.h"

#include <openssl/err.h>
#include <string.h>
#include <time.h>

#include "base/limits.h"
#include "base/rd.h"
#include "base/text.h"
#include "base/x509_impl.h"

#define DER_SEQUENCE 0x30

void cert_free(struct cert *c)
{
	if (c == NULL)
		return;
	X509_free(c->x);
	key_free(c->key);
	free(c);
}

struct err x509_name_text(const X509_NAME *name, char ret[CERT_NAME_MAX])
{
	cleanup_bio BIO *bio = BIO_new(BIO_s_mem());
	char *p = NULL;
	long n;

	/* RFC 2253 form: controls, quotes and everything beyond ASCII are escaped. */
	if (bio == NULL || X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) < 0)
		return ossl_failed(E_LOCAL_CRYPTO);
	n = BIO_get_mem_data(bio, &p);
	if (n < 0)
		return ossl_failed(E_LOCAL_CRYPTO);
	(void)snprintf(ret, CERT_NAME_MAX, "%.*s%s", n >= CERT_NAME_MAX ? CERT_NAME_MAX - 4 : (int)n, n > 0 ? p : "",
		       n >= CERT_NAME_MAX ? "..." : "");
	return ERR(E_OK);
}

/*
 * Length of the outermost SEQUENCE with its head. Any definite form counts:
 * vendors' certificates are not all DER, and OpenSSL reads them.
 */
static struct err outer_length(struct bytes in, size_t *ret)
{
	struct rd r = RD(in);
	struct bytes contents = BYTES_NONE;
	uint8_t tag = 0, first = 0, more = 0;
	size_t n;
	struct err e;

	if (failed(e = rd_u8(&r, &tag)) || failed(e = rd_u8(&r, &first)))
		return e;
	if (tag != DER_SEQUENCE || first == 0x80 || first > 0x84)
		return ERR(E_PEER_SYNTAX);
	n = first;
	if (first > 0x80) {
		n = 0;
		for (uint8_t i = 0; i < (first & 0x0f); i++) {
			if (failed(e = rd_u8(&r, &more)))
				return e;
			n = n << 8 | more;
		}
	}
	if (n > LIMIT_CERT)
		return ERR(E_LIMIT_SIZE);
	if (failed(e = rd_bytes(&r, n, &contents)))
		return e;
	if (r.off > LIMIT_CERT)
		return ERR(E_LIMIT_SIZE);
	*ret = r.off;
	return ERR(E_OK);
}

static struct err find_key(struct cert *c)
{
	EVP_PKEY *pkey = X509_get0_pubkey(c->x);

	c->key_err = pkey == NULL ? ossl_failed(E_PEER_UNSUPPORTED) : key_public_of(pkey, &c->key);
	/* What the peer did wrong is kept for cert_key(); what went wrong here is not. */
	if (c->key_err.code != E_OK && c->key_err.code != E_PEER_RANGE && c->key_err.code != E_PEER_UNSUPPORTED)
		return c->key_err;
	return ERR(E_OK);
}

struct err cert_from_der(struct bytes der, struct cert **ret, size_t *ret_used)
{
	cleanup_cert struct cert *c = NULL;
	const unsigned char *at = der.p;
	size_t n = 0;
	struct err e;

	if (failed(e = outer_length(der, &n)))
		return e;
	if (ret_used == NULL && n != der.n)
		return ERR(E_PEER_TRAILING);
	c = calloc(1, sizeof(*c) + n);
	if (c == NULL)
		return ERR(E_LOCAL_MEMORY);
	c->der_n = n;
	memcpy(c->der, der.p, n);
	ERR_clear_error();
	c->x = d2i_X509(NULL, &at, (long)n);
	if (c->x == NULL)
		return ossl_failed(E_PEER_SYNTAX);
	if (at != der.p + n)
		return ERR(E_PEER_SYNTAX);
	if (failed(e = find_key(c)) || failed(e = x509_name_text(X509_get_subject_name(c->x), c->subject)) ||
	    failed(e = x509_name_text(X509_get_issuer_name(c->x), c->issuer)))
		return e;
	/*
	 * OpenSSL reads the extensions on first use; do it now, where one thread
	 * has the certificate. What is wrong with them is judged in a chain.
	 */
	(void)X509_check_purpose(c->x, -1, -1);
	ERR_clear_error();
	if (ret_used != NULL)
		*ret_used = n;
	*ret = take_ptr(&c);
	return ERR(E_OK);
}

struct err cert_from_pem(struct bytes pem, struct cert **ret)
{
	cleanup_buf struct buf der = BUF_INIT(LIMIT_SMALL);
	struct err e;

	if (failed(e = pem_decode(pem, "CERTIFICATE", &der)))
		return e;
	return cert_from_der(buf_bytes(&der), ret, NULL);
}

struct err cert_to_pem(const struct cert *c, struct buf *ret)
{
	return pem_encode("CERTIFICATE", cert_der(c), ret);
}

struct bytes cert_der(const struct cert *c)
{
	return BYTES(c->der, c->der_n);
}

struct err cert_sha256(const struct cert *c, uint8_t ret[32])
{
	return sha256(cert_der(c), ret);
}

struct err cert_key(const struct cert *c, struct key **ret)
{
	if (c->key == NULL)
		return c->key_err;
	return key_public_of(c->key->pkey, ret);
}

const char *cert_subject(const struct cert *c)
{
	return c->subject;
}

const char *cert_issuer(const struct cert *c)
{
	return c->issuer;
}

bool cert_is_ca(const struct cert *c)
{
	/* 1 is basicConstraints with CA:TRUE; OpenSSL's other answers stand for guesses about old certificates. */
	return X509_check_ca(c->x) == 1;
}

struct err cert_serial(const struct cert *c, char ret[CERT_SERIAL_HEX + 1])
{
	const ASN1_INTEGER *serial = X509_get0_serialNumber(c->x);
	int n = ASN1_STRING_length(serial);

	if (n < 1 || n > CERT_SERIAL_HEX / 2)
		return ERR(E_PEER_RANGE);
	return hex_encode(BYTES(ASN1_STRING_get0_data(serial), (size_t)n), ret, CERT_SERIAL_HEX + 1);
}

static struct err time_of(const ASN1_TIME *t, int64_t *ret)
{
	struct tm tm = { 0 };

	if (ASN1_TIME_to_tm(t, &tm) != 1)
		return ossl_failed(E_PEER_SYNTAX);
	*ret = timegm(&tm);
	return ERR(E_OK);
}

struct err cert_validity(const struct cert *c, int64_t *ret_not_before_s, int64_t *ret_not_after_s)
{
	struct err e = time_of(X509_get0_notBefore(c->x), ret_not_before_s);

	return failed(e) ? e : time_of(X509_get0_notAfter(c->x), ret_not_after_s);
}

bool cert_is_named(const struct cert *c, const char *uri)
{
	cleanup_general_names GENERAL_NAMES *names = X509_get_ext_d2i(c->x, NID_subject_alt_name, NULL, NULL);
	const GENERAL_NAME *g = sk_GENERAL_NAME_num(names) == 1 ? sk_GENERAL_NAME_value(names, 0) : NULL;
	const ASN1_STRING *text = g != NULL && g->type == GEN_URI ? g->d.uniformResourceIdentifier : NULL;

	return text != NULL && bytes_eq(BYTES(ASN1_STRING_get0_data(text), (size_t)ASN1_STRING_length(text)), bytes_str(uri));
}
