/* SPDX-License-Identifier: Apache-2.0 */
/*
 * application/x-www-form-urlencoded bodies of the OAuth endpoints. A parameter
 * given twice is an error, an unknown one is ignored (RFC 6749, 3.2), an empty
 * one counts as absent (3.1). Values are UTF-8 without control characters.
 */
#ifndef ASSAY_VERIFIER_FORM_H
#define ASSAY_VERIFIER_FORM_H

#include "base/bytes.h"

struct form_field {
	const char *name;
	char **to;        /* owned by the caller afterwards; NULL where absent. Must hold NULL before */
	size_t max;       /* longest value, bytes */
	bool required;
};

/* E_PEER_SYNTAX, E_PEER_DUPLICATE, E_PEER_MISSING, E_LIMIT_SIZE; the reason names the parameter. Values set so far stay the caller's to free. */
must_check struct err form_parse(struct bytes body, const struct form_field *fields, size_t n, struct reason *reterr);

#endif
