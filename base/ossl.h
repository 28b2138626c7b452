/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What users of OpenSSL share: owners and the translation of failures. For
 * base, and for what firmware-measure reads of signatures.
 */
#ifndef ASSAY_BASE_OSSL_H
#define ASSAY_BASE_OSSL_H

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/evp.h>

#include "base/bytes.h"

DEFINE_CLEANUP(BIGNUM, cleanup_bn_, BN_free)
DEFINE_CLEANUP(BIO, cleanup_bio_, BIO_free_all)
DEFINE_CLEANUP(EVP_MD_CTX, cleanup_md_ctx_, EVP_MD_CTX_free)
DEFINE_CLEANUP(EVP_PKEY, cleanup_pkey_, EVP_PKEY_free)
DEFINE_CLEANUP(EVP_PKEY_CTX, cleanup_pkey_ctx_, EVP_PKEY_CTX_free)
#define cleanup_bn cleanup(cleanup_bn_)
#define cleanup_bio cleanup(cleanup_bio_)
#define cleanup_md_ctx cleanup(cleanup_md_ctx_)
#define cleanup_pkey cleanup(cleanup_pkey_)
#define cleanup_pkey_ctx cleanup(cleanup_pkey_ctx_)

/*
 * After a call failed: empties this thread's error queue and returns
 * E_LOCAL_MEMORY where the queue speaks of memory, otherwise ERR(other).
 */
must_check struct err ossl_failed(enum err_code other);

/*
 * DER inside the first PEM block (RFC 7468) of a text of at most LIMIT_SMALL
 * bytes; the label must be this one and nothing may be encrypted. Appended.
 * E_PEER_SYNTAX, E_PEER_UNSUPPORTED (another label, encrypted), E_LIMIT_SIZE.
 */
must_check struct err pem_decode(struct bytes pem, const char *label, struct buf *ret_der);
/* The other way, appended. */
must_check struct err pem_encode(const char *label, struct bytes der, struct buf *ret_pem);

/* Appends what a memory BIO holds. */
must_check struct err bio_contents(BIO *bio, struct buf *ret);

#endif
