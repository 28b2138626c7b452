/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of struct cert, for x509*.c alone. */
#ifndef ASSAY_BASE_X509_IMPL_H
#define ASSAY_BASE_X509_IMPL_H

#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/key_impl.h"
#include "base/x509.h"

DEFINE_CLEANUP(X509, cleanup_x509_, X509_free)
DEFINE_CLEANUP(ASN1_OBJECT, cleanup_asn1_object_, ASN1_OBJECT_free)
DEFINE_CLEANUP(GENERAL_NAMES, cleanup_general_names_, GENERAL_NAMES_free)
#define cleanup_x509 cleanup(cleanup_x509_)
#define cleanup_asn1_object cleanup(cleanup_asn1_object_)
#define cleanup_general_names cleanup(cleanup_general_names_)

/* TCG EK Credential Profile 2.5, 3.2; the arc is TCG's, 2.23.133. */
#define OID_TPM_MANUFACTURER "2.23.133.2.1"
#define OID_TPM_MODEL "2.23.133.2.2"
#define OID_TPM_VERSION "2.23.133.2.3"
#define OID_EK_CERTIFICATE "2.23.133.8.1"

#define CERT_NAME_MAX 256

struct cert {
	X509 *x;
	struct key *key;    /* NULL where it is not one that we use */
	struct err key_err; /* and then why: E_PEER_RANGE, E_PEER_UNSUPPORTED */
	char subject[CERT_NAME_MAX], issuer[CERT_NAME_MAX];
	size_t der_n;
	uint8_t der[]; /* as received */
};

/* One-line RFC 2253 form, printable ASCII, cut with "...". */
must_check struct err x509_name_text(const X509_NAME *name, char ret[CERT_NAME_MAX]);

#endif
