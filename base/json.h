/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strict JSON on jansson.
 *
 * Parsing refuses duplicate keys, NUL characters, trailing bytes, depth above
 * LIMIT_JSON_DEPTH and input above the given size. An object is read through
 * a struct jobj, which remembers what was asked for: jobj_end() refuses every
 * member that no reader consumed and names it, so an unknown key or a part
 * that no rule reads is an error by construction.
 *
 * Errors: E_PEER_SYNTAX, E_PEER_DUPLICATE, E_LIMIT_SIZE, E_LIMIT_DEPTH,
 * E_PEER_MISSING, E_PEER_TYPE, E_PEER_RANGE, E_PEER_UNKNOWN_KEY,
 * E_LOCAL_MEMORY. The reason names the path ("predicate.owner").
 *
 * The first json_parse() gives jansson an allocator of ours (on malloc and
 * free), because jansson 2.14 can lose characters when memory runs out.
 */
#ifndef ASSAY_BASE_JSON_H
#define ASSAY_BASE_JSON_H

#include <jansson.h>

#include "base/bytes.h"

static inline void cleanup_json_(json_t **j)
{
	json_decref(*j);
}
#define cleanup_json cleanup(cleanup_json_)

/* Parses one JSON value of at most max bytes. The caller owns *ret (json_decref). */
must_check struct err json_parse(struct bytes in, size_t max, json_t **ret, struct reason *reterr);

/*
 * Compact, keys sorted, appended: the canonical form we hash and sign. It is
 * that of RFC 8785 for integers and printable ASCII strings.
 */
must_check struct err json_write(const json_t *j, struct buf *ret);
/* Two-space indent for people. */
must_check struct err json_write_pretty(const json_t *j, struct buf *ret);

#define JOBJ_MAX_KEYS 48
struct jobj {
	const json_t *obj;             /* borrowed */
	const char *where;             /* path for messages; borrowed */
	size_t n_seen;
	const char *seen[JOBJ_MAX_KEYS];
	struct reason *reterr;         /* borrowed, may be NULL */
};

/* Starts to read j, which must be an object. where and reterr live as long as the jobj. */
must_check struct err jobj_init(struct jobj *o, const json_t *j, const char *where, struct reason *reterr);

/* Required members. Strings are borrowed from the json_t; text is valid UTF-8 without NUL. */
must_check struct err jobj_str(struct jobj *o, const char *key, size_t max_len, const char **ret);
must_check struct err jobj_id(struct jobj *o, const char *key, const char **ret); /* id_valid() */
must_check struct err jobj_u64(struct jobj *o, const char *key, uint64_t max, uint64_t *ret);
must_check struct err jobj_time(struct jobj *o, const char *key, int64_t *ret_s); /* RFC 3339 text or integer seconds */
must_check struct err jobj_bool(struct jobj *o, const char *key, bool *ret);
must_check struct err jobj_hex(struct jobj *o, const char *key, uint8_t *ret, size_t n); /* exactly n bytes */
must_check struct err jobj_b64url(struct jobj *o, const char *key, struct buf *ret);
must_check struct err jobj_obj(struct jobj *o, const char *key, const json_t **ret);
must_check struct err jobj_arr(struct jobj *o, const char *key, size_t max, const json_t **ret);
must_check struct err jobj_any(struct jobj *o, const char *key, const json_t **ret);

/* Whether an optional member is there; marks nothing. JSON null counts as a value. */
bool jobj_has(const struct jobj *o, const char *key);

/* E_PEER_UNKNOWN_KEY for a member that nothing read; the reason names it. */
must_check struct err jobj_end(struct jobj *o);

/* Building: each steals nothing and copies; E_LOCAL_MEMORY, E_PEER_SYNTAX for ill-formed UTF-8. */
must_check struct err json_new_object(json_t **ret);
must_check struct err json_put_str(json_t *o, const char *key, const char *v);
must_check struct err json_put_text(json_t *o, const char *key, struct bytes v);
must_check struct err json_put_int(json_t *o, const char *key, int64_t v);
must_check struct err json_put_bool(json_t *o, const char *key, bool v);
must_check struct err json_put_hex(json_t *o, const char *key, struct bytes v);
must_check struct err json_put_b64url(json_t *o, const char *key, struct bytes v);
/* Takes ownership of v, also on failure; v NULL is E_LOCAL_MEMORY. */
must_check struct err json_put(json_t *o, const char *key, json_t *v);

#endif
