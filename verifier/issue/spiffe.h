/* SPDX-License-Identifier: Apache-2.0 */
/* SPIFFE IDs (SPIFFE-ID, 2): who is named in tokens, results and certificates. */
#ifndef ASSAY_VERIFIER_SPIFFE_H
#define ASSAY_VERIFIER_SPIFFE_H

#include "firmware-measure/workload_event.h"

#define TRUST_DOMAIN_MAX 255

/* 1 to 255 of a-z 0-9 . - _ (SPIFFE-ID, 2.1): no upper case, user, port or percent-encoding. */
bool trust_domain_valid(struct bytes s);

/*
 * The host of an issuer's URL in lower case: the trust domain where none is
 * configured. E_PEER_SYNTAX for a host that can be none, e.g. an IPv6 address.
 */
must_check struct err trust_domain_of_url(const char *url, char ret[TRUST_DOMAIN_MAX + 1]);

/* "spiffe://TRUST-DOMAIN/agent/NAME/instance/HEX". Appended. */
must_check struct err spiffe_instance(const char *trust_domain, const char *agent, const uint8_t id[INSTANCE_ID_LEN],
				      struct buf *ret);

#endif
