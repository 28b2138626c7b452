/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EK certificates, as they come from a TPM's NV area: maybe padded, maybe not
 * DER. As they are, none is accepted, for nothing in the corpus is below the
 * CA that this process makes. Then each is signed anew by that CA, so that the
 * rules on its contents decide.
 */
#include "base/limits.h"
#include "base/x509_impl.h"
#include "tests/fuzz/fuzz.h"

#define NOW_S INT64_C(1800000000)

static struct {
	struct key *key;
	struct cert *cert;
	struct trust *trust;
} ca;

static void make_ca(void)
{
	struct cert_spec s = { .common_name = "fuzz", .ca = true, .path_len = -1, .not_after_s = NOW_S + 1 };

	fuzz_must(!failed(key_generate(KEY_EC_P256, &ca.key)));
	fuzz_must(!failed(cert_issue(&s, ca.key, NULL, ca.key, &ca.cert)));
	fuzz_must(!failed(trust_new(&ca.trust)) && !failed(trust_add(ca.trust, ca.cert)));
}

/* A copy by our CA with the same contents; NULL where OpenSSL cannot write it. */
static struct cert *resign(const struct cert *c)
{
	cleanup_x509 X509 *x = X509_dup(c->x);
	unsigned char *der = NULL;
	struct cert *ret = NULL;
	int at, n;

	if (x == NULL)
		return NULL;
	while ((at = X509_get_ext_by_NID(x, NID_authority_key_identifier, -1)) >= 0)
		X509_EXTENSION_free(X509_delete_ext(x, at));
	if (X509_set_issuer_name(x, X509_get_subject_name(ca.cert->x)) != 1 ||
	    X509_sign(x, key_evp(ca.key), EVP_sha256()) <= 0)
		return NULL;
	n = i2d_X509(x, &der);
	if (n > 0 && failed(cert_from_der(BYTES(der, (size_t)n), &ret, NULL)))
		ret = NULL;
	OPENSSL_free(der);
	return ret;
}

/* What must hold of every certificate that is accepted, asked in another way. */
static void check_accepted(const struct cert *c)
{
	cleanup_key struct key *k = NULL;

	fuzz_must(!cert_is_ca(c) && !failed(cert_key(c, &k)) && key_kind(k) != KEY_NONE);
	fuzz_must(X509_get_ext_by_NID(c->x, NID_ext_key_usage, -1) >= 0);
	fuzz_must(X509_get_ext_by_NID(c->x, NID_subject_alt_name, -1) >= 0);
	for (int i = 0; i < X509_get_ext_count(c->x); i++) {
		X509_EXTENSION *e = X509_get_ext(c->x, i);

		fuzz_must(X509_EXTENSION_get_critical(e) == 0 ||
			  OBJ_obj2nid(X509_EXTENSION_get_object(e)) != NID_undef);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	cleanup_cert struct cert *c = NULL, *ours = NULL;
	cleanup_buf struct buf pem = BUF_INIT(LIMIT_SMALL);
	struct cert *chain[1];
	struct reason why;
	size_t used = 0;

	if (ca.trust == NULL)
		make_ca();
	if (failed(cert_from_pem(BYTES(data, n), &c)) && failed(cert_from_der(BYTES(data, n), &c, &used)))
		return 0;
	fuzz_must(used <= n && cert_der(c).n <= LIMIT_CERT);
	fuzz_must(used == 0 || bytes_eq(cert_der(c), BYTES(data, used)));
	fuzz_must(!failed(cert_to_pem(c, &pem)));
	chain[0] = c;
	fuzz_must(failed(ek_cert_verify(ca.trust, c, chain, 1, NOW_S, &why)));
	ours = resign(c);
	if (ours != NULL && !failed(ek_cert_verify(ca.trust, ours, chain, 1, NOW_S, &why)))
		check_accepted(ours);
	return 0;
}
