/* SPDX-License-Identifier: Apache-2.0 */
/* Builds IMA measurement lists for tests, entry by entry, as a kernel writes them. */
#ifndef ASSAY_TESTS_IMA_LIST_H
#define ASSAY_TESTS_IMA_LIST_H

#include "firmware-measure/imalog.h"

struct ima_list {
	struct buf binary, ascii; /* the same entries in both forms */
	enum imalog_order order;
	uint32_t pcr;
	struct buf data; /* template data of the entry that is being built */
	struct buf line; /* its fields as text */
};

/* An empty list of little-endian entries for PCR 10. Everything here ends the test where memory is short. */
void ima_list_init(struct ima_list *l);
void ima_list_done(struct ima_list *l);
#define cleanup_ima_list cleanup(ima_list_done)

/* Adds a field to the entry that is being built; text is how it looks in the ASCII list. */
void ima_list_field(struct ima_list *l, struct bytes value, const char *text);
/* The usual fields: "alg:" NUL digest (kind "" or "verity:" and so on), a name with its NUL, raw bytes. */
void ima_list_digest(struct ima_list *l, const char *alg, struct bytes digest);
void ima_list_name(struct ima_list *l, struct bytes name);
void ima_list_raw(struct ima_list *l, struct bytes value);

/* Closes the entry under a template's name with its true template hash, or the one given (20 bytes). */
void ima_list_end(struct ima_list *l, const char *template_name);
void ima_list_end_hash(struct ima_list *l, const char *template_name, struct bytes hash);

/* A whole entry "ima-ng" of a file with a SHA-256 digest; a violation of that file; one of the old template "ima". */
void ima_list_file(struct ima_list *l, struct bytes digest, const char *path);
void ima_list_violation(struct ima_list *l, const char *path);
void ima_list_legacy(struct ima_list *l, const uint8_t digest[IMA_HASH_SIZE], const char *path);

#endif
