/* SPDX-License-Identifier: Apache-2.0 */
/* The small CA of the verifier and of the software-TPM harness (RFC 5280, TCG EK Credential Profile 2.5). */
#include <arpa/inet.h>
#include <string.h>

#include "base/x509_impl.h"

#define SERIAL_SIZE 16
#define KEY_ID_SIZE 20
#define TIME_MAX_S INT64_C(253402300799) /* 9999-12-31T23:59:59Z: RFC 5280, 4.1.2.5 */

#define TPM_MANUFACTURER "id:00001014"
#define TPM_MODEL "swtpm"
#define TPM_VERSION "id:20191023"

DEFINE_CLEANUP(X509_NAME, cleanup_name_, X509_NAME_free)
DEFINE_CLEANUP(ASN1_BIT_STRING, cleanup_bit_string_, ASN1_BIT_STRING_free)
DEFINE_CLEANUP(ASN1_OCTET_STRING, cleanup_octet_string_, ASN1_OCTET_STRING_free)
DEFINE_CLEANUP(AUTHORITY_KEYID, cleanup_akid_, AUTHORITY_KEYID_free)
DEFINE_CLEANUP(BASIC_CONSTRAINTS, cleanup_constraints_, BASIC_CONSTRAINTS_free)
DEFINE_CLEANUP(EXTENDED_KEY_USAGE, cleanup_eku_, EXTENDED_KEY_USAGE_free)

/* Encodes value as an extension. */
static struct err add(X509 *x, int nid, void *value, bool critical)
{
	if (X509_add1_ext_i2d(x, nid, value, critical ? 1 : 0, X509V3_ADD_DEFAULT) != 1)
		return ossl_failed(E_LOCAL_CRYPTO);
	return ERR(E_OK);
}

static struct err add_text(X509_NAME *name, const char *oid, const char *text)
{
	cleanup_asn1_object ASN1_OBJECT *obj = OBJ_txt2obj(oid, 0);

	/* set 0: an RDN of its own for each attribute. */
	if (obj == NULL ||
	    X509_NAME_add_entry_by_OBJ(name, obj, V_ASN1_UTF8STRING, (const unsigned char *)text, -1, -1, 0) != 1)
		return ossl_failed(E_LOCAL_CRYPTO);
	return ERR(E_OK);
}

static struct err set_names(X509 *x, const struct cert_spec *s, const struct cert *issuer)
{
	cleanup(cleanup_name_) X509_NAME *subject = X509_NAME_new();
	struct err e;

	if (subject == NULL)
		return ossl_failed(E_LOCAL_CRYPTO);
	if (s->common_name != NULL && failed(e = add_text(subject, "commonName", s->common_name)))
		return e;
	if (X509_set_subject_name(x, subject) != 1 ||
	    X509_set_issuer_name(x, issuer != NULL ? X509_get_subject_name(issuer->x) : subject) != 1)
		return ossl_failed(E_LOCAL_CRYPTO);
	return ERR(E_OK);
}

static struct err set_serial(X509 *x)
{
	uint8_t raw[SERIAL_SIZE];
	cleanup_bn BIGNUM *n = NULL;
	struct err e;

	if (failed(e = random_bytes(raw, sizeof(raw))))
		return e;
	/* Positive (RFC 5280, 4.1.2.2) and always as long. */
	raw[0] = (uint8_t)((raw[0] & 0x7f) | 0x40);
	n = BN_bin2bn(raw, sizeof(raw), NULL);
	if (n == NULL || BN_to_ASN1_INTEGER(n, X509_get_serialNumber(x)) == NULL)
		return ossl_failed(E_LOCAL_CRYPTO);
	return ERR(E_OK);
}

/* UTCTime until 2049, GeneralizedTime from 2050 on (RFC 5280, 4.1.2.5); OpenSSL chooses. */
static struct err set_times(X509 *x, const struct cert_spec *s)
{
	if (s->not_before_s < 0 || s->not_after_s < 0 || s->not_before_s > TIME_MAX_S || s->not_after_s > TIME_MAX_S)
		return ERR(E_PEER_RANGE);
	if (ASN1_TIME_set(X509_getm_notBefore(x), (time_t)s->not_before_s) == NULL ||
	    ASN1_TIME_set(X509_getm_notAfter(x), (time_t)s->not_after_s) == NULL)
		return ossl_failed(E_LOCAL_CRYPTO);
	return ERR(E_OK);
}

static struct err add_constraints(X509 *x, const struct cert_spec *s)
{
	cleanup(cleanup_constraints_) BASIC_CONSTRAINTS *bc = BASIC_CONSTRAINTS_new();

	if (bc == NULL)
		return ossl_failed(E_LOCAL_CRYPTO);
	bc->ca = s->ca ? 0xff : 0;
	if (s->ca && s->path_len >= 0) {
		bc->pathlen = ASN1_INTEGER_new();
		if (bc->pathlen == NULL || ASN1_INTEGER_set(bc->pathlen, s->path_len) != 1)
			return ossl_failed(E_LOCAL_CRYPTO);
	}
	return add(x, NID_basic_constraints, bc, true);
}

/* RFC 5280, 4.2.1.3: bit numbers. */
enum {
	KU_BIT_SIGNATURE = 0,
	KU_BIT_KEY_ENCIPHERMENT = 2,
	KU_BIT_KEY_AGREEMENT = 4,
	KU_BIT_CERT_SIGN = 5,
	KU_BIT_CRL_SIGN = 6
};

static struct err add_key_usage(X509 *x, const struct cert_spec *s, const struct key *subject_key)
{
	cleanup(cleanup_bit_string_) ASN1_BIT_STRING *ku = ASN1_BIT_STRING_new();
	int ok = 1;

	if (ku == NULL)
		return ossl_failed(E_LOCAL_CRYPTO);
	if (s->ca)
		ok = ASN1_BIT_STRING_set_bit(ku, KU_BIT_CERT_SIGN, 1) & ASN1_BIT_STRING_set_bit(ku, KU_BIT_CRL_SIGN, 1);
	else if (s->tpm_san)
		/* An EK takes secrets: by decryption or by key agreement. */
		ok = ASN1_BIT_STRING_set_bit(
			ku, subject_key->kind == KEY_RSA ? KU_BIT_KEY_ENCIPHERMENT : KU_BIT_KEY_AGREEMENT, 1);
	else
		ok = ASN1_BIT_STRING_set_bit(ku, KU_BIT_SIGNATURE, 1);
	if (ok != 1)
		return ossl_failed(E_LOCAL_CRYPTO);
	return add(x, NID_key_usage, ku, true);
}

static struct err push_eku(EXTENDED_KEY_USAGE *eku, const char *oid)
{
	ASN1_OBJECT *obj = OBJ_txt2obj(oid, 1);

	if (obj == NULL)
		return ossl_failed(E_PEER_SYNTAX);
	if (sk_ASN1_OBJECT_push(eku, obj) <= 0) {
		ASN1_OBJECT_free(obj);
		return ossl_failed(E_LOCAL_MEMORY);
	}
	return ERR(E_OK);
}

static struct err add_eku(X509 *x, const struct cert_spec *s)
{
	cleanup(cleanup_eku_) EXTENDED_KEY_USAGE *eku = NULL;
	struct err e;

	if (!s->tls_server && s->n_eku_oids == 0)
		return ERR(E_OK);
	eku = EXTENDED_KEY_USAGE_new();
	if (eku == NULL)
		return ossl_failed(E_LOCAL_CRYPTO);
	if (s->tls_server && failed(e = push_eku(eku, "1.3.6.1.5.5.7.3.1")))
		return e;
	for (size_t i = 0; i < s->n_eku_oids; i++) {
		if (failed(e = push_eku(eku, s->eku_oids[i])))
			return e;
	}
	return add(x, NID_ext_key_usage, eku, false);
}

/* Takes value on success; the name owns it then. */
static struct err push_name(GENERAL_NAMES *names, int type, void *value)
{
	GENERAL_NAME *g = GENERAL_NAME_new();

	if (g == NULL)
		return ossl_failed(E_LOCAL_CRYPTO);
	if (sk_GENERAL_NAME_push(names, g) <= 0) {
		GENERAL_NAME_free(g);
		return ossl_failed(E_LOCAL_MEMORY);
	}
	GENERAL_NAME_set0_value(g, type, value);
	return ERR(E_OK);
}

/* IA5String and OCTET STRING are one type in OpenSSL: ASN1_STRING. */
static struct err push_octets(GENERAL_NAMES *names, int gen_type, int asn1_type, const void *p, size_t n)
{
	ASN1_STRING *value = ASN1_STRING_type_new(asn1_type);
	struct err e;

	if (value == NULL)
		return ossl_failed(E_LOCAL_CRYPTO);
	e = ASN1_STRING_set(value, p, (int)n) == 1 ? push_name(names, gen_type, value) : ossl_failed(E_LOCAL_CRYPTO);
	if (failed(e))
		ASN1_STRING_free(value);
	return e;
}

static struct err push_ip(GENERAL_NAMES *names, const char *text)
{
	uint8_t addr[16];

	if (inet_pton(AF_INET, text, addr) == 1)
		return push_octets(names, GEN_IPADD, V_ASN1_OCTET_STRING, addr, 4);
	if (inet_pton(AF_INET6, text, addr) == 1)
		return push_octets(names, GEN_IPADD, V_ASN1_OCTET_STRING, addr, 16);
	return ERR(E_PEER_SYNTAX);
}

static struct err push_tpm(GENERAL_NAMES *names)
{
	cleanup(cleanup_name_) X509_NAME *dir = X509_NAME_new();
	struct err e;

	if (dir == NULL)
		return ossl_failed(E_LOCAL_CRYPTO);
	if (failed(e = add_text(dir, OID_TPM_MANUFACTURER, TPM_MANUFACTURER)) ||
	    failed(e = add_text(dir, OID_TPM_MODEL, TPM_MODEL)) ||
	    failed(e = add_text(dir, OID_TPM_VERSION, TPM_VERSION)) || failed(e = push_name(names, GEN_DIRNAME, dir)))
		return e;
	dir = NULL;
	return ERR(E_OK);
}

static struct err add_san(X509 *x, const struct cert_spec *s)
{
	cleanup_general_names GENERAL_NAMES *names = NULL;
	struct err e;

	if (!s->tpm_san && s->n_dns == 0 && s->n_ip == 0 && s->uri == NULL)
		return ERR(E_OK);
	names = GENERAL_NAMES_new();
	if (names == NULL)
		return ossl_failed(E_LOCAL_CRYPTO);
	if (s->tpm_san && failed(e = push_tpm(names)))
		return e;
	for (size_t i = 0; i < s->n_dns; i++) {
		if (failed(e = push_octets(names, GEN_DNS, V_ASN1_IA5STRING, s->dns[i], strlen(s->dns[i]))))
			return e;
	}
	for (size_t i = 0; i < s->n_ip; i++) {
		if (failed(e = push_ip(names, s->ip[i])))
			return e;
	}
	if (s->uri != NULL && failed(e = push_octets(names, GEN_URI, V_ASN1_IA5STRING, s->uri, strlen(s->uri))))
		return e;
	/* RFC 5280, 4.2.1.6: critical where the subject says nothing. */
	return add(x, NID_subject_alt_name, names, s->tpm_san || s->common_name == NULL);
}

/* RFC 7093, 2, method 1: leftmost 160 bits of the SHA-256 of the public key's bits. */
static struct err add_key_ids(X509 *x, const struct cert *issuer)
{
	cleanup(cleanup_octet_string_) ASN1_OCTET_STRING *own = ASN1_OCTET_STRING_new();
	cleanup(cleanup_akid_) AUTHORITY_KEYID *akid = AUTHORITY_KEYID_new();
	const ASN1_OCTET_STRING *by = NULL;
	uint8_t h[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	struct err e;

	if (own == NULL || akid == NULL || X509_pubkey_digest(x, EVP_sha256(), h, &n) != 1 || n < KEY_ID_SIZE ||
	    ASN1_OCTET_STRING_set(own, h, KEY_ID_SIZE) != 1)
		return ossl_failed(E_LOCAL_CRYPTO);
	if (failed(e = add(x, NID_subject_key_identifier, own, false)))
		return e;
	by = issuer != NULL ? X509_get0_subject_key_id(issuer->x) : own;
	if (by == NULL)
		return ERR(E_OK);
	akid->keyid = ASN1_OCTET_STRING_dup(by);
	if (akid->keyid == NULL)
		return ossl_failed(E_LOCAL_CRYPTO);
	return add(x, NID_authority_key_identifier, akid, false);
}

static struct err sign(X509 *x, const struct key *issuer_key)
{
	const EVP_MD *md = EVP_sha256();

	if (issuer_key->kind == KEY_ED25519)
		md = NULL;
	else if (issuer_key->kind == KEY_EC_P384)
		md = EVP_sha384();
	return X509_sign(x, issuer_key->pkey, md) > 0 ? ERR(E_OK) : ossl_failed(E_LOCAL_CRYPTO);
}

static struct err finish(X509 *x, struct cert **ret)
{
	unsigned char *der = NULL;
	int n = i2d_X509(x, &der);
	struct err e;

	if (n <= 0)
		return ossl_failed(E_LOCAL_CRYPTO);
	e = cert_from_der(BYTES(der, (size_t)n), ret, NULL);
	OPENSSL_free(der);
	return e;
}

struct err cert_issue(const struct cert_spec *s, const struct key *subject_key, const struct cert *issuer,
		      const struct key *issuer_key, struct cert **ret)
{
	const struct key *signer = issuer != NULL ? issuer->key : subject_key;
	cleanup_x509 X509 *x = X509_new();
	struct err e;

	if (x == NULL)
		return ossl_failed(E_LOCAL_CRYPTO);
	if (signer == NULL)
		return issuer->key_err;
	if ((s->common_name == NULL && (s->uri == NULL || issuer == NULL)) || !issuer_key->is_private || !key_equal(signer, issuer_key))
		return ERR(E_BUG);
	if (X509_set_version(x, X509_VERSION_3) != 1 || X509_set_pubkey(x, subject_key->pkey) != 1)
		return ossl_failed(E_LOCAL_CRYPTO);
	if (failed(e = set_serial(x)) || failed(e = set_names(x, s, issuer)) || failed(e = set_times(x, s)) ||
	    failed(e = add_constraints(x, s)) || failed(e = add_key_usage(x, s, subject_key)) ||
	    failed(e = add_eku(x, s)) || failed(e = add_san(x, s)) || failed(e = add_key_ids(x, issuer)))
		return e;
	if (failed(e = sign(x, issuer_key)))
		return e;
	return finish(x, ret);
}
