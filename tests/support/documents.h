/* SPDX-License-Identifier: Apache-2.0 */
/* Operator documents for tests: a valid predicate of each kind, to be changed in one place. Failures abort. */
#ifndef ASSAY_TESTS_SUPPORT_DOCUMENTS_H
#define ASSAY_TESTS_SUPPORT_DOCUMENTS_H

#include "verifier/appraise/document.h"

#define DOC_REALM "example"
#define DOC_NOT_BEFORE 1000000
#define DOC_EXPIRES 2000000

/* SHA-256 of a text, in hex: a digest that is as good as any. */
struct hex32 {
	char text[65];
};
struct hex32 hex32_of(const char *text);
struct hex32 hex32(const uint8_t v[32]);

/*
 * A predicate that parses. host "h1" with EK hex32_of("ek"), image "img" with
 * manifest hex32_of("image"), model "mdl" with hex32_of("model"), platform
 * "plt" for all hosts with PCR 0 to 3 at SHA-256 of "pcr0".. "pcr3", agent
 * "agt" of these, withdraw of image "img". The caller owns it.
 */
json_t *doc_predicate(enum document_kind kind);

/* Sets a member from JSON text; NULL removes it. */
void doc_set(json_t *predicate, const char *key, const char *json);

/* The document of a predicate, which it takes. */
struct document *doc_make(json_t *predicate);

/* A DSSE envelope of the predicate by this key. Appended. */
void doc_envelope(const json_t *predicate, const struct key *signer, struct buf *ret);

#endif
