/* SPDX-License-Identifier: Apache-2.0 */
/* What the readers of a platform document share. Not for other folders. */
#ifndef ASSAY_VERIFIER_PLATFORM_READ_H
#define ASSAY_VERIFIER_PLATFORM_READ_H

#include "verifier/appraise/document_impl.h"

/* The path of a member of an object or an array, for messages. */
struct read_path {
	char text[128];
};
struct read_path read_path(const struct jobj *o, const char *key);
struct read_path read_path_item(const struct jobj *o, const char *key, size_t i);

/* A required array of 1..max items. E_PEER_MISSING, E_PEER_TYPE, E_PEER_RANGE, E_LIMIT_COUNT. */
must_check struct err read_list(struct jobj *o, const char *key, size_t max, const json_t **ret);
/* The i-th item, which must be a string. E_PEER_TYPE. */
must_check struct err read_item(const struct jobj *o, const char *key, const json_t *array, size_t i, const char **ret);
must_check struct err read_twice(const struct jobj *o, const char *key, size_t i);

/*
 * Required lists of at least one entry, none twice. What was read before a
 * failure is left in *ret, whose owner frees it.
 * E_PEER_MISSING, E_PEER_TYPE, E_PEER_SYNTAX, E_PEER_RANGE, E_PEER_DUPLICATE,
 * E_LIMIT_COUNT, E_LOCAL_MEMORY.
 */
must_check struct err read_bank_digests(struct jobj *o, const char *key, enum digest_id bank,
					struct platform_digests *ret);
must_check struct err read_texts(struct jobj *o, const char *key, size_t max_len, text_rule rule,
				 struct platform_texts *ret);
/* "HEX" (SHA-256), "sha384:HEX", "verity:sha256:HEX". */
must_check struct err read_file_digests(struct jobj *o, const char *key, struct platform_file_digests *ret);

/* Why no rule over a register's log may name it (Q13), or NULL. */
const char *pcr_refused(json_int_t pcr);

/* Where an entry stands or would stand in a sorted list; v has l->size bytes. */
size_t platform_digests_place(const struct platform_digests *l, const uint8_t *v, bool *ret_there);
int platform_file_digest_cmp(const struct platform_file_digest *a, const struct platform_file_digest *b);

/* The members "firmware", "ima" and "measurer" of a platform document. */
must_check struct err read_firmware(struct jobj *o, enum digest_id bank, struct platform_firmware **ret);
must_check struct err read_ima(struct jobj *o, struct platform_ima **ret);
/* The member "userspace" of "firmware", after its registers. */
must_check struct err read_userspace(struct jobj *o, enum digest_id bank, struct platform_firmware *f);
must_check struct err read_measurer(struct jobj *o, struct platform_profile *p);

#endif
