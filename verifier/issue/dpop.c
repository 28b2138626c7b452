/* SPDX-License-Identifier: Apache-2.0 */
#include "verifier/issue/dpop.h"

#include <string.h>

#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"

/* What the claims of a proof say; strings borrow from the parsed token. */
struct proof_claims {
	const char *jti, *htm, *htu, *ath, *nonce;
	uint64_t iat;
};

static struct err claims_read(const struct jws *j, struct proof_claims *ret, struct reason *reterr)
{
	struct proof_claims c = { 0 };
	struct jobj o;
	struct err e;

	/* No jobj_end(): a proof may carry claims that we do not know (RFC 9449, 4.2). */
	if (failed(e = jobj_init(&o, j->unsigned_claims, "proof", reterr)) ||
	    failed(e = jobj_str(&o, "jti", 256, &c.jti)) || failed(e = jobj_str(&o, "htm", 16, &c.htm)) ||
	    failed(e = jobj_str(&o, "htu", LIMIT_PATH, &c.htu)) || failed(e = jobj_u64(&o, "iat", INT64_MAX, &c.iat)))
		return e;
	if (jobj_has(&o, "ath") && failed(e = jobj_str(&o, "ath", 64, &c.ath)))
		return e;
	if (jobj_has(&o, "nonce") && failed(e = jobj_str(&o, "nonce", 256, &c.nonce)))
		return e;
	if (strlen(c.jti) < 16) {
		reason_set(reterr, "proof.jti: expected at least 96 random bits, saw %zu characters", strlen(c.jti));
		return ERR(E_PEER_RANGE);
	}
	*ret = c;
	return ERR(E_OK);
}

/* RFC 9449, 4.3, checks 8 and 9. */
static struct err check_target(const struct proof_claims *c, const struct dpop_want *want, struct reason *reterr)
{
	cleanup_buf struct buf ours = BUF_INIT(LIMIT_PATH), theirs = BUF_INIT(LIMIT_PATH);
	struct err e;

	if (strcmp(c->htm, want->htm) != 0) {
		reason_set(reterr, "proof.htm: expected %s, saw %s", want->htm, log_quote(bytes_str(c->htm)));
		return ERR(E_AUTH_REFUSED);
	}
	if (failed(e = uri_normalise(bytes_str(want->htu), &ours)))
		return e;
	if (failed(e = uri_normalise(bytes_str(c->htu), &theirs))) {
		reason_set(reterr, "proof.htu: %s is no http(s) URI", log_quote(bytes_str(c->htu)));
		return e;
	}
	if (!bytes_eq(buf_bytes(&ours), buf_bytes(&theirs))) {
		reason_set(reterr, "proof.htu: expected %s, saw %s", want->htu, log_quote(bytes_str(c->htu)));
		return ERR(E_AUTH_REFUSED);
	}
	return ERR(E_OK);
}

/*
 * Checks 10 and 11. With a nonce of ours its time decides, so that a host's
 * clock need not be right; without one, iat does.
 */
static struct err check_time(const struct proof_claims *c, const struct dpop_want *want, int64_t *ret_expires_s,
			     struct reason *reterr)
{
	cleanup_buf struct buf nonce = BUF_INIT(NONCE_LEN);
	const struct nonce_for f = { .purpose = "dpop" };
	struct err e;

	if (want->nonce_key == NULL) {
		int64_t apart = (int64_t)c->iat - want->now_s;

		if (apart > DPOP_WINDOW_S || apart < -DPOP_WINDOW_S) {
			reason_set(reterr, "proof.iat: expected within %d s of now, saw %lld s apart", DPOP_WINDOW_S,
				   (long long)apart);
			return ERR(E_AUTH_EXPIRED);
		}
		*ret_expires_s = (int64_t)c->iat + DPOP_WINDOW_S + 1;
		return ERR(E_OK);
	}
	if (c->nonce == NULL) {
		reason_set(reterr, "proof.nonce: a nonce from DPoP-Nonce is required");
		return ERR(E_AUTH_NONCE);
	}
	if (failed(b64url_decode(bytes_str(c->nonce), &nonce))) {
		reason_set(reterr, "proof.nonce: not one of ours");
		return ERR(E_AUTH_NONCE);
	}
	if (failed(e = nonce_check(want->nonce_key, &f, want->now_s, buf_bytes(&nonce), reterr)))
		return e;
	*ret_expires_s = nonce_time(buf_bytes(&nonce)) + NONCE_LIFE_S + NONCE_SKEW_S + 1;
	return ERR(E_OK);
}

/* Check 12, first half: `ath` is there exactly when a token is, and fits it. */
static struct err check_token_hash(const struct proof_claims *c, const struct dpop_want *want, struct reason *reterr)
{
	cleanup_buf struct buf ath = BUF_INIT(64);
	uint8_t hash[32];
	struct err e;

	if (want->token.n == 0)
		return ERR(E_OK);
	if (failed(e = sha256(want->token, hash)) || failed(e = b64url_encode(BYTES_ARR(hash), &ath)))
		return e;
	if (c->ath == NULL || !bytes_eq_secret(bytes_str(c->ath), buf_bytes(&ath))) {
		reason_set(reterr, "proof.ath: does not fit the access token");
		return ERR(E_AUTH_REFUSED);
	}
	return ERR(E_OK);
}

static struct err replay_id(const char *jkt, const char *jti, uint8_t ret[32])
{
	const struct bytes parts[] = { bytes_str(jkt), BYTES("", 1), bytes_str(jti) };
	struct digest d;
	struct err e;

	if (failed(e = digest_of(DIGEST_SHA256, &d, array_len(parts), parts)))
		return e;
	return bytes_copy_exact(digest_bytes(&d), ret, 32);
}

static struct err key_point(const struct key *k, struct dpop_proof *p)
{
	cleanup_buf struct buf x = BUF_INIT(sizeof(p->x)), y = BUF_INIT(sizeof(p->y));
	struct err e;

	if (failed(e = key_numbers(k, &x, &y)) || failed(e = bytes_copy_exact(buf_bytes(&x), p->x, sizeof(p->x))))
		return e;
	return bytes_copy_exact(buf_bytes(&y), p->y, sizeof(p->y));
}

struct err dpop_verify(struct bytes proof, const struct dpop_want *want, struct dpop_proof *ret, struct reason *reterr)
{
	cleanup_jws struct jws j = { 0 };
	cleanup_key struct key *key = NULL;
	struct dpop_proof p = { 0 };
	struct proof_claims c;
	struct err e;

	if (failed(e = jws_parse(proof, &j, reterr)) || failed(e = jws_verify_embedded(&j, DPOP_TYPE, &key, reterr)) ||
	    failed(e = claims_read(&j, &c, reterr)) || failed(e = check_target(&c, want, reterr)) ||
	    failed(e = check_time(&c, want, &p.expires_s, reterr)) || failed(e = check_token_hash(&c, want, reterr)) ||
	    failed(e = jwk_thumbprint(key, p.jkt)) || failed(e = key_point(key, &p)))
		return e;
	if (want->jkt != NULL && !bytes_eq_secret(bytes_str(p.jkt), bytes_str(want->jkt))) {
		reason_set(reterr, "proof.jwk: not the key that the token is bound to");
		return ERR(E_AUTH_REFUSED);
	}
	if (failed(e = replay_id(p.jkt, c.jti, p.replay_id)))
		return e;
	*ret = p;
	return ERR(E_OK);
}
