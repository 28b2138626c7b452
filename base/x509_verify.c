/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chains of EK certificates. OpenSSL builds the chain and checks signatures,
 * dates, names, path lengths and name constraints. What it knows nothing of,
 * or leaves out without a word, is checked here.
 *
 * X509_V_FLAG_X509_STRICT stays off: it refuses vendors' certificates for
 * forms without a meaning for security (basicConstraints of a CA not marked
 * critical, a missing key identifier). The rules among it that do matter are
 * check_link() and check_leaf().
 */
#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <string.h>

#include "base/limits.h"
#include "base/x509_impl.h"

/* 112 bits: RSA-2048, SHA-224 or better, so no SHA-1. The anchor's own signature does not count. */
#define AUTH_LEVEL 2

DEFINE_CLEANUP(X509_STORE_CTX, cleanup_store_ctx_, X509_STORE_CTX_free)
DEFINE_CLEANUP(STACK_OF(X509), cleanup_stack_, sk_X509_free)
DEFINE_CLEANUP(EXTENDED_KEY_USAGE, cleanup_eku_, EXTENDED_KEY_USAGE_free)
#define cleanup_store_ctx cleanup(cleanup_store_ctx_)
#define cleanup_stack cleanup(cleanup_stack_)
#define cleanup_eku cleanup(cleanup_eku_)

struct trust {
	X509_STORE *anchors;
	STACK_OF(X509) *roots;         /* the same certificates, to count them; owned */
	STACK_OF(X509) *intermediates; /* owned */
	STACK_OF(X509) *lone;          /* self-signed, no CAs: each stands for itself as a signer; owned */
};

struct err trust_new(struct trust **ret)
{
	cleanup_trust struct trust *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return ERR(E_LOCAL_MEMORY);
	t->anchors = X509_STORE_new();
	t->roots = sk_X509_new_null();
	t->intermediates = sk_X509_new_null();
	t->lone = sk_X509_new_null();
	if (t->anchors == NULL || t->roots == NULL || t->intermediates == NULL || t->lone == NULL)
		return ossl_failed(E_LOCAL_CRYPTO);
	*ret = take_ptr(&t);
	return ERR(E_OK);
}

void trust_free(struct trust *t)
{
	if (t == NULL)
		return;
	X509_STORE_free(t->anchors);
	sk_X509_pop_free(t->roots, X509_free);
	sk_X509_pop_free(t->intermediates, X509_free);
	sk_X509_pop_free(t->lone, X509_free);
	free(t);
}

/* Adds unless it is there; the stack holds a reference of its own. */
static struct err stack_add(STACK_OF(X509) *stack, X509 *x)
{
	for (int i = 0; i < sk_X509_num(stack); i++) {
		if (X509_cmp(sk_X509_value(stack, i), x) == 0)
			return ERR(E_OK);
	}
	if (sk_X509_push(stack, x) <= 0)
		return ossl_failed(E_LOCAL_MEMORY);
	if (X509_up_ref(x) != 1) {
		(void)sk_X509_pop(stack);
		return ossl_failed(E_LOCAL_CRYPTO);
	}
	return ERR(E_OK);
}

struct err trust_add(struct trust *t, const struct cert *ca)
{
	int self_signed;
	struct err e;

	/* The key first: a large modulus would cost time below. */
	if (ca->key == NULL || !cert_is_ca(ca) || (X509_get_extension_flags(ca->x) & EXFLAG_INVALID) != 0)
		return ERR(E_AUTH_CERTIFICATE);
	self_signed = X509_self_signed(ca->x, 1);
	if (self_signed < 0)
		return ossl_failed(E_LOCAL_CRYPTO);
	/* Zero may come with an entry about a signature that does not fit; another name is no error at all. */
	if (self_signed == 0) {
		e = ossl_failed(E_OK);
		return failed(e) ? e : stack_add(t->intermediates, ca->x);
	}
	if (failed(e = stack_add(t->roots, ca->x)))
		return e;
	return X509_STORE_add_cert(t->anchors, ca->x) == 1 ? ERR(E_OK) : ossl_failed(E_LOCAL_CRYPTO);
}

size_t trust_n_anchors(const struct trust *t)
{
	return (size_t)sk_X509_num(t->roots);
}

static struct err refuse(struct reason *reterr, const char *subject, const char *what)
{
	reason_set(reterr, "certificate \"%s\": %s", subject, what);
	return ERR(E_AUTH_CERTIFICATE);
}

/* N12: sizes and kinds of keys, before any signature is looked at. */
static struct err check_key(const struct cert *c, struct reason *reterr)
{
	if (c->key != NULL)
		return ERR(E_OK);
	return refuse(reterr, c->subject,
		      c->key_err.code == E_PEER_RANGE ? "RSA keys must have 2048..4096 bits and the exponent 65537"
						      : "kind of key or curve not supported");
}

/*
 * N5: critical extensions that are processed, here or by OpenSSL. Its own list
 * is longer; it holds some that OpenSSL ignores unless a flag asks for them
 * (policy constraints, distribution points).
 */
static bool critical_is_handled(int nid)
{
	static const int handled[] = { NID_basic_constraints, NID_key_usage,        NID_subject_alt_name,
				       NID_ext_key_usage,     NID_name_constraints, NID_certificate_policies };

	for (size_t i = 0; i < array_len(handled); i++) {
		if (handled[i] == nid)
			return true;
	}
	return false;
}

/* What holds for every certificate of a chain. */
static struct err check_link(X509 *x, const char *subject, struct reason *reterr)
{
	if ((X509_get_extension_flags(x) & EXFLAG_INVALID) != 0)
		return refuse(reterr, subject, "an extension is malformed or there twice");
	for (int i = 0; i < X509_get_ext_count(x); i++) {
		X509_EXTENSION *ext = X509_get_ext(x, i);

		if (X509_EXTENSION_get_critical(ext) != 0 &&
		    !critical_is_handled(OBJ_obj2nid(X509_EXTENSION_get_object(ext))))
			return refuse(reterr, subject, "unknown critical extension");
	}
	return ERR(E_OK);
}

/* N2: extendedKeyUsage names EK certificates. anyExtendedKeyUsage does not stand for it. */
static struct err check_eku(const struct cert *leaf, struct reason *reterr)
{
	cleanup_asn1_object ASN1_OBJECT *want = OBJ_txt2obj(OID_EK_CERTIFICATE, 1);
	cleanup_eku EXTENDED_KEY_USAGE *eku = NULL;
	struct err e;
	int found = 0;

	if (want == NULL)
		return ossl_failed(E_LOCAL_CRYPTO);
	ERR_clear_error();
	eku = X509_get_ext_d2i(leaf->x, NID_ext_key_usage, NULL, NULL);
	if (eku == NULL && failed(e = ossl_failed(E_OK)))
		return e;
	if (eku == NULL)
		return refuse(reterr, leaf->subject, "no extendedKeyUsage 2.23.133.8.1 (EK certificate)");
	for (int i = 0; i < sk_ASN1_OBJECT_num(eku) && found == 0; i++)
		found = OBJ_cmp(sk_ASN1_OBJECT_value(eku, i), want) == 0;
	if (found == 0)
		return refuse(reterr, leaf->subject, "extendedKeyUsage without 2.23.133.8.1 (EK certificate)");
	return ERR(E_OK);
}

/* Exactly one attribute of this type, with a text that is not empty. */
static struct err has_attribute(const X509_NAME *name, const char *oid, bool *ret)
{
	cleanup_asn1_object ASN1_OBJECT *obj = OBJ_txt2obj(oid, 1);
	const ASN1_STRING *value;
	int at;

	if (obj == NULL)
		return ossl_failed(E_LOCAL_CRYPTO);
	*ret = false;
	at = X509_NAME_get_index_by_OBJ(name, obj, -1);
	if (at < 0 || X509_NAME_get_index_by_OBJ(name, obj, at) >= 0)
		return ERR(E_OK);
	value = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));
	*ret = ASN1_STRING_length(value) > 0;
	return ERR(E_OK);
}

/*
 * N5: a directory name says maker, model and version of the TPM. The extension
 * is critical where the subject is empty and may be so elsewhere (RFC 5280,
 * 4.2.1.6); its contents are demanded in both cases.
 */
static struct err check_san(const struct cert *leaf, struct reason *reterr)
{
	static const char *const oids[] = { OID_TPM_MANUFACTURER, OID_TPM_MODEL, OID_TPM_VERSION };
	cleanup_general_names GENERAL_NAMES *names = NULL;
	struct err e;

	ERR_clear_error();
	names = X509_get_ext_d2i(leaf->x, NID_subject_alt_name, NULL, NULL);
	if (names == NULL && failed(e = ossl_failed(E_OK)))
		return e;
	for (int i = 0; names != NULL && i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);
		size_t n_found = 0;

		for (size_t k = 0; g->type == GEN_DIRNAME && k < array_len(oids); k++) {
			bool there = false;

			if (failed(e = has_attribute(g->d.directoryName, oids[k], &there)))
				return e;
			n_found += there ? 1 : 0;
		}
		if (n_found == array_len(oids))
			return ERR(E_OK);
	}
	return refuse(reterr, leaf->subject,
		      "no subjectAltName with TPM manufacturer, model and version (2.23.133.2.1, .2, .3)");
}

static struct err check_leaf(const struct cert *leaf, struct reason *reterr)
{
	struct err e;

	if (failed(e = check_link(leaf->x, leaf->subject, reterr)))
		return e;
	/* Issuing CAs carry the same extendedKeyUsage. Whatever OpenSSL would take for a CA is none of ours. */
	if (X509_check_ca(leaf->x) != 0)
		return refuse(reterr, leaf->subject, "a CA certificate is no EK certificate");
	if (failed(e = check_eku(leaf, reterr)))
		return e;
	return check_san(leaf, reterr);
}

/* Ours before the host's: a certificate with a confusing name cannot displace a configured one. */
static struct err untrusted_stack(const struct trust *t, struct cert *const *chain, size_t n_chain,
				  STACK_OF(X509) **ret)
{
	cleanup_stack STACK_OF(X509) *stack = sk_X509_dup(t->intermediates);

	if (stack == NULL)
		return ossl_failed(E_LOCAL_MEMORY);
	for (size_t i = 0; i < n_chain; i++) {
		if (sk_X509_push(stack, chain[i]->x) <= 0)
			return ossl_failed(E_LOCAL_MEMORY);
	}
	*ret = take_ptr(&stack);
	return ERR(E_OK);
}

static struct err set_parameters(X509_STORE_CTX *ctx, int64_t now_s)
{
	X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);

	if (param == NULL || X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_ANY) != 1)
		return ossl_failed(E_LOCAL_CRYPTO);
	X509_VERIFY_PARAM_set_time(param, (time_t)now_s);
	X509_VERIFY_PARAM_set_auth_level(param, AUTH_LEVEL);
	/* OpenSSL counts what lies between leaf and anchor. */
	X509_VERIFY_PARAM_set_depth(param, LIMIT_CHAIN - 2);
	return ERR(E_OK);
}

/* The link at which OpenSSL stopped, and why. */
static struct err explain(X509_STORE_CTX *ctx, const struct cert *leaf, struct reason *reterr)
{
	X509 *at = X509_STORE_CTX_get_current_cert(ctx);
	int code = X509_STORE_CTX_get_error(ctx);
	char subject[CERT_NAME_MAX];
	struct err e;

	if (code == X509_V_ERR_OUT_OF_MEM)
		return ossl_failed(E_LOCAL_MEMORY);
	if (failed(e = ossl_failed(E_OK)))
		return e;
	(void)snprintf(subject, sizeof(subject), "%s", leaf->subject);
	if (at != NULL && failed(e = x509_name_text(X509_get_subject_name(at), subject)))
		return e;
	return refuse(reterr, subject, X509_verify_cert_error_string(code));
}

/*
 * The chain as built: some of it may be configured here, and that is held to
 * the same rules. That intermediates are CAs by basicConstraints is OpenSSL's
 * rule, that anchors are is trust_add()'s.
 */
static struct err check_built_chain(X509_STORE_CTX *ctx, struct reason *reterr)
{
	STACK_OF(X509) *built = X509_STORE_CTX_get0_chain(ctx);
	char subject[CERT_NAME_MAX];
	struct err e;

	if (sk_X509_num(built) < 1 || sk_X509_num(built) > LIMIT_CHAIN)
		return ERR(E_BUG);
	for (int i = 1; i < sk_X509_num(built); i++) {
		X509 *x = sk_X509_value(built, i);

		if (failed(e = x509_name_text(X509_get_subject_name(x), subject)))
			return e;
		if (failed(e = check_link(x, subject, reterr)))
			return e;
	}
	return ERR(E_OK);
}

/* Sizes and kinds of all keys, before any signature is looked at. */
static struct err check_keys(const struct cert *leaf, struct cert *const *chain, size_t n_chain, struct reason *reterr)
{
	struct err e;

	if (n_chain > LIMIT_CHAIN) {
		reason_set(reterr, "chain of %zu certificates, at most %d are accepted", n_chain, LIMIT_CHAIN);
		return ERR(E_AUTH_CERTIFICATE);
	}
	if (failed(e = check_key(leaf, reterr)))
		return e;
	for (size_t i = 0; i < n_chain; i++) {
		if (failed(e = check_key(chain[i], reterr)))
			return e;
	}
	return ERR(E_OK);
}

/* alone: in place of the anchors, when not NULL. */
static struct err verify_chain(const struct trust *t, STACK_OF(X509) *alone, const struct cert *leaf,
			       struct cert *const *chain, size_t n_chain, int64_t now_s, struct reason *reterr)
{
	cleanup_stack STACK_OF(X509) *untrusted = NULL;
	cleanup_store_ctx X509_STORE_CTX *ctx = NULL;
	struct err e;
	int r;

	if (failed(e = untrusted_stack(t, chain, n_chain, &untrusted)))
		return e;
	ctx = X509_STORE_CTX_new();
	if (ctx == NULL || X509_STORE_CTX_init(ctx, t->anchors, leaf->x, untrusted) != 1)
		return ossl_failed(E_LOCAL_CRYPTO);
	if (failed(e = set_parameters(ctx, now_s)))
		return e;
	if (alone != NULL)
		X509_STORE_CTX_set0_trusted_stack(ctx, alone);
	ERR_clear_error();
	r = X509_verify_cert(ctx);
	if (r < 0)
		return ossl_failed(E_LOCAL_CRYPTO);
	if (r == 0)
		return explain(ctx, leaf, reterr);
	return check_built_chain(ctx, reterr);
}

struct err ek_cert_verify(const struct trust *t, const struct cert *leaf, struct cert *const *chain, size_t n_chain,
			  int64_t now_s, struct reason *reterr)
{
	struct err e;

	if (failed(e = check_keys(leaf, chain, n_chain, reterr)) || failed(e = check_leaf(leaf, reterr)))
		return e;
	return verify_chain(t, NULL, leaf, chain, n_chain, now_s, reterr);
}

/* keyUsage must be there: what says nothing about its use is no certificate for signing. */
static struct err check_signer(const struct cert *leaf, struct reason *reterr)
{
	uint32_t usage = X509_get_key_usage(leaf->x), extended = X509_get_extended_key_usage(leaf->x);
	struct err e;

	if (failed(e = check_link(leaf->x, leaf->subject, reterr)))
		return e;
	if (usage == UINT32_MAX || (usage & KU_DIGITAL_SIGNATURE) == 0)
		return refuse(reterr, leaf->subject, "not for signing: no keyUsage with digitalSignature");
	if (extended != UINT32_MAX && (extended & (XKU_CODE_SIGN | XKU_ANYEKU)) == 0)
		return refuse(reterr, leaf->subject, "not for signing software: extendedKeyUsage without codeSigning");
	return ERR(E_OK);
}

struct err signer_cert_verify(const struct trust *t, const struct cert *leaf, struct cert *const *chain, size_t n_chain,
			      int64_t now_s, struct reason *reterr)
{
	STACK_OF(X509) *alone = NULL;
	struct err e;

	if (failed(e = check_keys(leaf, chain, n_chain, reterr)) || failed(e = check_signer(leaf, reterr)))
		return e;
	for (int i = 0; i < sk_X509_num(t->lone); i++)
		if (X509_cmp(sk_X509_value(t->lone, i), leaf->x) == 0)
			alone = t->lone;
	return verify_chain(t, alone, leaf, chain, n_chain, now_s, reterr);
}

/* A CA, or somebody who signs and vouches for himself. */
static struct err add_signer_anchor(struct trust *t, const struct cert *c)
{
	struct err e = trust_add(t, c);
	int self_signed;

	if (e.code != E_AUTH_CERTIFICATE || c->key == NULL)
		return e;
	self_signed = X509_self_signed(c->x, 1);
	if (self_signed < 0)
		return ossl_failed(E_LOCAL_CRYPTO);
	return self_signed == 1 ? stack_add(t->lone, c->x) : e;
}

struct err trust_add_signers(struct trust *t, struct bytes pem, size_t max, struct reason *reterr)
{
	static const char begin[] = "-----BEGIN CERTIFICATE-----";
	const uint8_t *at = pem.n > 0 ? memmem(pem.p, pem.n, begin, sizeof(begin) - 1) : NULL;
	size_t n = 0;
	struct err e;

	for (; at != NULL; n++) {
		size_t left = pem.n - (size_t)(at - pem.p);
		cleanup_cert struct cert *ca = NULL;

		if (n == max)
			return ERR(E_LIMIT_COUNT);
		if (failed(e = cert_from_pem(BYTES(at, left < LIMIT_SMALL ? left : LIMIT_SMALL), &ca))) {
			reason_set(reterr, "certificate %zu of the CA file: %s", n + 1, err_text(e));
			return e;
		}
		if (failed(e = add_signer_anchor(t, ca))) {
			reason_set(reterr, "certificate %zu of the CA file is no CA: %s", n + 1, cert_subject(ca));
			return e;
		}
		at = memmem(at + 1, left - 1, begin, sizeof(begin) - 1);
	}
	if (n > 0)
		return ERR(E_OK);
	reason_set(reterr, "no certificate in PEM");
	return ERR(E_PEER_MISSING);
}
