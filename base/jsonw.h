/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON written as it goes, without a tree: for what is made once per request.
 * Members keep the order of the calls; what must be canonical goes through
 * json_write() instead.
 *
 * The first failure sticks, later calls do nothing, and jsonw_end() tells it:
 * E_LIMIT_SIZE, E_LOCAL_MEMORY, E_PEER_SYNTAX for ill-formed UTF-8, E_BUG for
 * brackets that do not match or nest deeper than LIMIT_JSON_DEPTH.
 */
#ifndef ASSAY_BASE_JSONW_H
#define ASSAY_BASE_JSONW_H

#include "base/bytes.h"
#include "base/limits.h"

struct jsonw {
	struct buf *b;                 /* borrowed */
	size_t start;                  /* of our text in b */
	struct err e;
	size_t depth;
	bool more;                     /* a value stands before the next one */
	char close[LIMIT_JSON_DEPTH];
};

/* Begins an object behind what b holds. */
void jsonw_begin(struct jsonw *w, struct buf *b);
/* Ends it. After a failure b is as it was before jsonw_begin(). */
must_check struct err jsonw_end(struct jsonw *w);

/* key: plain ASCII of ours; NULL inside an array. */
void jsonw_object(struct jsonw *w, const char *key);
void jsonw_array(struct jsonw *w, const char *key);
/* Ends the innermost object or array. */
void jsonw_close(struct jsonw *w);
void jsonw_str(struct jsonw *w, const char *key, const char *v);
void jsonw_text(struct jsonw *w, const char *key, struct bytes v); /* the same, by length */
void jsonw_int(struct jsonw *w, const char *key, int64_t v);
void jsonw_bool(struct jsonw *w, const char *key, bool v);
void jsonw_hex(struct jsonw *w, const char *key, struct bytes v); /* lower case */
void jsonw_b64url(struct jsonw *w, const char *key, struct bytes v);

#endif
