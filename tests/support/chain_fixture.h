/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A chain root -> issuer -> EK certificate, and ways to make variations of it.
 * Everything asserts (cmocka): a helper that fails ends the test.
 */
#ifndef ASSAY_TESTS_SUPPORT_CHAIN_FIXTURE_H
#define ASSAY_TESTS_SUPPORT_CHAIN_FIXTURE_H

#include "base/x509_impl.h"

#define NOW_S INT64_C(1800000000)
#define DAY_S 86400
#define YEAR_9999_S INT64_C(253402300799)

#define ROOT "root"
#define ISSUER "issuer"
#define LEAF "unknown"

/* Keys: P-256, P-384, RSA-2048, P-256. */
struct chain {
	struct key *root_key, *issuer_key, *leaf_key, *other_key;
	struct cert *root, *issuer, *leaf;
};
extern struct chain good;

/* Make and free `good`: group set-up and tear-down. */
int chain_set_up(void **state);
int chain_tear_down(void **state);

struct cert_spec chain_ca_spec(const char *name, int path_len);
struct cert_spec chain_leaf_spec(void);
struct cert *chain_issue(const struct cert_spec *s, const struct key *key, const struct cert *by,
			 const struct key *by_key);

/*
 * Verdict over the leaf, one intermediate (or NULL) and one anchor (or NULL);
 * the reason must hold link and cause where they are not NULL.
 */
void chain_expect(const struct cert *root, struct cert *issuer, const struct cert *leaf, int64_t now_s,
		  enum err_code want, const char *link, const char *cause);

/* The certificate changed by fn (or NULL) and signed anew. */
struct cert *chain_resign(const struct cert *c, const struct key *by, const EVP_MD *md, void (*fn)(X509 *x));

void chain_add_ext(X509 *x, const char *oid, bool critical, const void *der, int n);
void chain_drop_ext(X509 *x, int nid);
void chain_without_constraints(X509 *x);
void chain_without_key_ids(X509 *x);

#endif
