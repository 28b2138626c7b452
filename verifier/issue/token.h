/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Access tokens: RFC 9068 JWTs bound by cnf.jkt (RFC 9449) to a key that the
 * AK certified.
 */
#ifndef ASSAY_VERIFIER_TOKEN_H
#define ASSAY_VERIFIER_TOKEN_H

#include "verifier/appraise/nonce.h"
#include "verifier/appraise/reference.h"
#include "verifier/appraise/verdict.h"
#include "verifier/store/store.h"

#define TOKEN_TYPE "at+jwt"
#define TOKEN_MAX_TTL_S 900
#define TOKEN_OFFLINE_TTL_S 120       /* audiences that are not known to introspect */

/* An OAuth error: code of RFC 6749 5.2, 7009, 9449; status; description. code "" means none. */
struct oauth_error {
	unsigned status;
	char code[40];
	char description[256];
};

/* Form of POST /v1/token, strict: no parameter twice, no unknown one. Owns its strings. */
struct token_request {
	char *scope, *resource, *task_id; /* owned */
	uint64_t expected_s;
};
void token_request_done(struct token_request *r);
#define cleanup_token_request cleanup(token_request_done)
/* E_PEER_* with *reterr_oauth filled in (invalid_request, unsupported_grant_type, invalid_scope, invalid_target). */
must_check struct err token_request_parse(struct bytes form, struct token_request *ret, struct oauth_error *reterr_oauth);

/*
 * Life of a token in seconds: min(ceil(expected * 1.15), 900, agent document,
 * what is left of the verdict, 120 where the audience does not introspect).
 * 0: nothing may be issued. Pure, integers only.
 */
uint64_t token_ttl(uint64_t expected_s, const struct document *agent, int64_t verdict_expires_s, int64_t now_s,
		   bool introspects);

/*
 * What every credential needs: instance usable, verdict live at now_s, epoch
 * unmoved, agent document holds, its minimum_status met. E_AUTH_REFUSED with
 * *reterr_oauth.
 */
must_check struct err instance_decide(const struct instance_row *i, uint64_t epoch, const struct document *agent,
				      int64_t now_s, struct oauth_error *reterr_oauth);
/* The same, and scope and resource are a subset. */
must_check struct err token_decide(const struct instance_row *i, uint64_t epoch, const struct document *agent,
				   const struct token_request *r, int64_t now_s, struct oauth_error *reterr_oauth);

/* The row of a credential, but for jti and times. ret: {0}, to be done by the caller in every case. */
must_check struct err credential_fill(const struct instance_row *i, uint64_t epoch, const struct document *agent,
				      const char *scope, const char *audience, const char *task_id,
				      struct credential_row *ret);

struct token_spec {
	const char *issuer, *trust_domain;
	const struct key *signer;
	const char *kid;
	int64_t now_s;
};
/* Makes the JWT and the row to store. Appends the token. */
must_check struct err token_issue(const struct token_spec *s, const struct instance_row *i, uint64_t epoch,
				  const struct document *agent, const struct token_request *r, uint64_t ttl_s,
				  struct credential_row *ret_row, struct buf *ret);

/* Our own token, verified: typ, alg, signature, iss, exp, required claims. For introspection and revocation. */
struct token_claims {
	char jti[44], jkt[44];
	int64_t issued_s, expires_s;
	json_t *claims;                   /* owned */
};
void token_claims_done(struct token_claims *c);
#define cleanup_token_claims cleanup(token_claims_done)
must_check struct err token_verify(struct bytes token, const struct key *issuer_key, const char *issuer, int64_t now_s,
				   struct token_claims *ret, struct reason *reterr);

#endif
