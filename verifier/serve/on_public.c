/* SPDX-License-Identifier: Apache-2.0 */
/* What anyone may read: keys, health, numbers. */
#include "verifier/issue/svid.h"
#include "verifier/serve/internal.h"

#define JWKS_MAX_AGE_S 300

struct err on_jwks(struct verifier *v, const struct request *q, struct reply *ret)
{
	(void)q;
	ret->max_age_s = JWKS_MAX_AGE_S;
	return buf_add(&ret->body, buf_bytes(&v->jwks));
}

/* SPIFFE Trust Domain and Bundle, 5.2.1: anyone may read it, JSON. */
struct err on_spiffe_bundle(struct verifier *v, const struct request *q, struct reply *ret)
{
	(void)q;
	ret->max_age_s = SVID_REFRESH_HINT_S;
	return buf_add(&ret->body, buf_bytes(&v->svid.bundle));
}

struct err on_healthz(struct verifier *v, const struct request *q, struct reply *ret)
{
	struct err e = store_ping(v->store);

	(void)q;
	if (failed(e))
		return e;
	ret->content_type = "text/plain";
	return buf_add_str(&ret->body, "ok\n");
}
