/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ossl.h"

#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "base/limits.h"

struct err ossl_failed(enum err_code other)
{
	enum err_code code = other;
	unsigned long at;

	/* The queue holds the way up; memory may be its first entry only. */
	while ((at = ERR_get_error()) != 0) {
		if (ERR_GET_REASON(at) == ERR_R_MALLOC_FAILURE)
			code = E_LOCAL_MEMORY;
	}
	return ERR(code);
}

/* What PEM_read_bio() gives; der may be a private key. */
struct pem_block {
	char *label, *header;
	unsigned char *der;
	long n;
};

static void pem_block_done(struct pem_block *b)
{
	OPENSSL_free(b->label);
	OPENSSL_free(b->header);
	OPENSSL_clear_free(b->der, (size_t)b->n);
}

struct err pem_decode(struct bytes pem, const char *label, struct buf *ret_der)
{
	cleanup(pem_block_done) struct pem_block block = { 0 };
	cleanup_bio BIO *bio = NULL;

	if (pem.n > LIMIT_SMALL)
		return ERR(E_LIMIT_SIZE);
	if (pem.n == 0)
		return ERR(E_PEER_SYNTAX);
	bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	if (bio == NULL)
		return ossl_failed(E_LOCAL_CRYPTO);
	if (PEM_read_bio(bio, &block.label, &block.header, &block.der, &block.n) != 1)
		return ossl_failed(E_PEER_SYNTAX);
	if (strcmp(block.label, label) != 0 || block.header[0] != '\0')
		return ERR(E_PEER_UNSUPPORTED);
	return buf_add(ret_der, BYTES(block.der, (size_t)block.n));
}

struct err pem_encode(const char *label, struct bytes der, struct buf *ret_pem)
{
	cleanup_bio BIO *bio = BIO_new(BIO_s_mem());

	if (der.n > LIMIT_SMALL)
		return ERR(E_LIMIT_SIZE);
	if (bio == NULL || PEM_write_bio(bio, label, "", der.p, (long)der.n) <= 0)
		return ossl_failed(E_LOCAL_CRYPTO);
	return bio_contents(bio, ret_pem);
}

struct err bio_contents(BIO *bio, struct buf *ret)
{
	char *p = NULL;
	long n = BIO_get_mem_data(bio, &p);

	if (n < 0 || (n > 0 && p == NULL))
		return ossl_failed(E_LOCAL_CRYPTO);
	return buf_add(ret, BYTES(p, (size_t)n));
}
