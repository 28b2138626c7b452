/* SPDX-License-Identifier: Apache-2.0 */
/* What the admin routes share. */
#ifndef ASSAY_VERIFIER_SERVE_ADMIN_H
#define ASSAY_VERIFIER_SERVE_ADMIN_H

#include "verifier/serve/internal.h"

/* The body as an object; *ret_body is owned by the caller, o borrows from it and from why. */
must_check struct err admin_body(const struct request *q, json_t **ret_body, struct jobj *o, struct reason *why);
/* A body of one string member. *ret borrows from *ret_body. */
must_check struct err admin_one(const struct request *q, const char *key, size_t max, json_t **ret_body,
				const char **ret, struct reason *why);
/* What the store does not have is a 404 with these words. */
must_check struct err admin_found(struct err e, const char *what, const char *which, struct reason *why);
/* {"<key>":"<value>"} as the answer. */
must_check struct err admin_done(const char *key, const char *value, struct reply *ret);

#endif
