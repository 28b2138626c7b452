/* SPDX-License-Identifier: Apache-2.0 */
/* What the readers of documents share. Not for other folders. */
#ifndef ASSAY_VERIFIER_DOCUMENT_IMPL_H
#define ASSAY_VERIFIER_DOCUMENT_IMPL_H

#include "verifier/appraise/document.h"

void str_list_done(struct str_list *l);

typedef bool (*text_rule)(const char *s);
bool rule_id(const char *s);      /* id_valid() */
bool rule_host(const char *s);    /* an id, or "*" */
bool rule_prefix(const char *s);  /* what an id can begin with, or nothing */
bool rule_scope(const char *s);   /* scope-token of RFC 6749, 3.3 */
bool rule_url(const char *s);     /* absolute http or https URI without fragment (RFC 8707, 2) */

/*
 * A member that is an array of 1..DOCUMENT_MAX_LIST strings or digests in
 * hex, none twice. *ret is empty before and after a failure.
 * E_PEER_MISSING, E_PEER_TYPE, E_PEER_RANGE, E_PEER_DUPLICATE, E_LIMIT_COUNT.
 */
must_check struct err read_strings(struct jobj *o, const char *key, text_rule rule, struct str_list *ret);
must_check struct err read_digests(struct jobj *o, const char *key, struct sha_list *ret);
/* A required text of 1..DOCUMENT_MAX_TEXT bytes, as a copy. */
must_check struct err read_text(struct jobj *o, const char *key, char **ret);
/* A list in which each member is the name of a document kind, as bits. */
must_check struct err read_kinds(struct jobj *o, const char *key, unsigned *ret);

/* A member that holds one of n words; *ret is its place. E_PEER_RANGE. */
must_check struct err read_word(struct jobj *o, const char *key, const char *const *words, size_t n, size_t *ret);
/* The same, optional; *ret is 0 where it is absent. */
must_check struct err read_word_or_first(struct jobj *o, const char *key, const char *const *words, size_t n,
					 size_t *ret);

/* The members that only this kind has. */
must_check struct err document_read_platform(struct jobj *o, struct document *d);
must_check struct err document_read_kind(struct jobj *o, struct document *d);

#endif
