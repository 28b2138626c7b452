/* SPDX-License-Identifier: Apache-2.0 */
/*
 * X.509 chains for EK certificates, and the small CA that the verifier and the
 * software-TPM harness need. DER is kept and verified as received, because
 * some vendors' certificates are malformed and the signature fits only the
 * original bytes.
 */
#ifndef ASSAY_BASE_X509_H
#define ASSAY_BASE_X509_H

#include "base/key.h"

struct cert; /* immutable; keeps the received DER */
void cert_free(struct cert *c);
DEFINE_CLEANUP(struct cert, cleanup_cert_, cert_free)
#define cleanup_cert cleanup(cleanup_cert_)

/*
 * One certificate of at most LIMIT_CERT bytes at the start of der. NV areas are
 * often padded: *ret_used (may be NULL: then E_PEER_TRAILING) tells its length.
 * BER that is not DER is accepted, for some vendors write it: the bytes are
 * kept, and signatures are checked over them. E_PEER_SYNTAX, E_PEER_TRUNCATED,
 * E_LIMIT_SIZE.
 */
must_check struct err cert_from_der(struct bytes der, struct cert **ret, size_t *ret_used);
/* First block of a PEM text, which must be a certificate. */
must_check struct err cert_from_pem(struct bytes pem, struct cert **ret);
struct bytes cert_der(const struct cert *c); /* as received; borrowed */
must_check struct err cert_sha256(const struct cert *c, uint8_t ret[32]);
/* E_PEER_RANGE: RSA below 2048 or above LIMIT_RSA_BITS, exponent not 65537; E_PEER_UNSUPPORTED. Caller owns *ret. */
must_check struct err cert_key(const struct cert *c, struct key **ret);
/* One-line RFC 2253 subject and issuer, escaped for logs; borrowed. */
const char *cert_subject(const struct cert *c);
const char *cert_issuer(const struct cert *c);
bool cert_is_ca(const struct cert *c);
/* The serial number, lower-case hex of whole bytes. E_PEER_RANGE: longer than RFC 5280, 4.1.2.2 permits (20 bytes). */
#define CERT_SERIAL_HEX 40
must_check struct err cert_serial(const struct cert *c, char ret[CERT_SERIAL_HEX + 1]);
/* Seconds since 1970. E_PEER_SYNTAX for what is no time. */
must_check struct err cert_validity(const struct cert *c, int64_t *ret_not_before_s, int64_t *ret_not_after_s);
/* Whether its subjectAltName is this URI and nothing else. */
bool cert_is_named(const struct cert *c, const char *uri);

struct trust; /* anchors and configured intermediates */
must_check struct err trust_new(struct trust **ret);
void trust_free(struct trust *t);
DEFINE_CLEANUP(struct trust, cleanup_trust_, trust_free)
#define cleanup_trust cleanup(cleanup_trust_)
/*
 * Adds a CA: self-signed ones are anchors, others intermediates; one that is
 * there already is not added again. Refuses (E_AUTH_CERTIFICATE) certificates
 * that are no CA by basicConstraints and keys that cert_key() refuses. Takes no
 * ownership. Not while other threads use t.
 */
must_check struct err trust_add(struct trust *t, const struct cert *ca);
size_t trust_n_anchors(const struct trust *t);

/*
 * EK certificate checks N1, N2 and N5: a chain of at most LIMIT_CHAIN up to an
 * anchor, dates at now_s, path lengths and signatures by OpenSSL; EKU has
 * 2.23.133.8.1 and basicConstraints is absent or CA:FALSE; subjectAltName,
 * critical or not, has a directory name with TPM manufacturer, model and
 * version; no critical extension anywhere that is not processed. SHA-1
 * signatures below the anchor are refused, and so is every key that cert_key()
 * refuses, before any signature is checked.
 * chain: intermediates as sent by the host, n_chain <= LIMIT_CHAIN.
 * E_AUTH_CERTIFICATE with the link and the cause in the reason.
 * Source: TCG EK Credential Profile 2.5, 3.2 and 3.6; RFC 5280, 6.1.
 */
must_check struct err ek_cert_verify(const struct trust *t, const struct cert *leaf, struct cert *const *chain,
				     size_t n_chain, int64_t now_s, struct reason *reterr);

/*
 * Adds every certificate of a PEM text, at most max, for signer_cert_verify(): CAs as
 * trust_add(), and self-signed certificates that are no CA, which then stand for
 * themselves alone. What stands between them does not matter. E_PEER_MISSING where there
 * is none, E_LIMIT_COUNT, E_AUTH_CERTIFICATE.
 */
must_check struct err trust_add_signers(struct trust *t, struct bytes pem, size_t max, struct reason *reterr);

/*
 * Certificate of somebody who signs software: a chain as for ek_cert_verify(),
 * keyUsage with digitalSignature, extendedKeyUsage absent or with codeSigning
 * (anyExtendedKeyUsage will do). It may be a CA itself, and may be an anchor.
 * E_AUTH_CERTIFICATE with the link and the cause in the reason.
 * Source: RFC 5280, 4.2.1.3, 4.2.1.12 and 6.1.
 */
must_check struct err signer_cert_verify(const struct trust *t, const struct cert *leaf, struct cert *const *chain,
					 size_t n_chain, int64_t now_s, struct reason *reterr);

/* What a new certificate shall be. Strings are borrowed for the call. */
struct cert_spec {
	const char *common_name; /* NULL, with a URI: the subject is empty and the URI critical */
	bool ca;
	int path_len;           /* with ca; -1: none */
	const char *const *dns; /* subjectAltName dNSName and iPAddress texts */
	size_t n_dns;
	const char *const *ip;
	size_t n_ip;
	const char *uri;         /* subjectAltName uniformResourceIdentifier, or NULL */
	const char *const *eku_oids; /* dotted */
	size_t n_eku_oids;
	bool tpm_san;    /* EK certificate: critical directory name (id:00001014, swtpm, id:20191023) */
	bool tls_server; /* EKU serverAuth, key usage digitalSignature */
	int64_t not_before_s, not_after_s;
};
/*
 * Signs with issuer_key, which must be the issuer's (else E_BUG); issuer NULL
 * makes it self-signed. Random 127-bit serial, key identifiers, critical
 * basicConstraints and keyUsage. Times from 1970 to 9999 (E_PEER_RANGE).
 * E_PEER_SYNTAX for a text that is no OID or address. The caller owns *ret.
 */
must_check struct err cert_issue(const struct cert_spec *s, const struct key *subject_key, const struct cert *issuer,
				 const struct key *issuer_key, struct cert **ret);
must_check struct err cert_to_pem(const struct cert *c, struct buf *ret);

#endif
