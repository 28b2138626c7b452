/* SPDX-License-Identifier: Apache-2.0 */
#include "verifier/issue/token.h"

#include <stdarg.h>
#include <string.h>

#include "base/jose.h"
#include "base/jsonw.h"
#include "base/text.h"
#include "verifier/issue/form.h"
#include "verifier/issue/spiffe.h"

#define MAX_EXPECTED_S 86400
#define MAX_SCOPE 1024

static struct err oauth(struct oauth_error *o, const char *code, struct err e, const char *fmt, ...) printf_like(4, 5);
static struct err oauth(struct oauth_error *o, const char *code, struct err e, const char *fmt, ...)
{
	va_list ap;

	o->status = 400;
	(void)snprintf(o->code, sizeof(o->code), "%s", code);
	va_start(ap, fmt);
	(void)vsnprintf(o->description, sizeof(o->description), fmt, ap);
	va_end(ap);
	return e;
}

void token_request_done(struct token_request *r)
{
	free(r->scope);
	free(r->resource);
	free(r->task_id);
	*r = (struct token_request){ 0 };
}

/* RFC 6749, 3.3: tokens of visible ASCII without quote and backslash, one space between. */
static bool scope_valid(const char *s)
{
	bool in_token = false;

	for (; *s != '\0'; s++) {
		if (*s == ' ') {
			if (!in_token)
				return false;
			in_token = false;
			continue;
		}
		if (*s < 0x21 || *s > 0x7e || *s == '"' || *s == '\\')
			return false;
		in_token = true;
	}
	return in_token;
}

struct err token_request_parse(struct bytes form, struct token_request *ret, struct oauth_error *reterr_oauth)
{
	cleanup_token_request struct token_request r = { 0 };
	cleanup_free char *grant = NULL, *expected = NULL;
	struct reason why = { { 0 } };
	struct err e;
	const struct form_field fields[] = {
		{ "grant_type", &grant, 64, true },     { "scope", &r.scope, MAX_SCOPE, true },
		{ "resource", &r.resource, 1024, true }, { "task_id", &r.task_id, 64, true },
		{ "expected_s", &expected, 16, true },
	};

	if (failed(e = form_parse(form, fields, array_len(fields), &why)))
		return oauth(reterr_oauth, "invalid_request", e, "%s", why.text);
	if (strcmp(grant, "client_credentials") != 0)
		return oauth(reterr_oauth, "unsupported_grant_type", ERR(E_PEER_UNSUPPORTED),
			     "expected grant_type client_credentials");
	if (!scope_valid(r.scope))
		return oauth(reterr_oauth, "invalid_scope", ERR(E_PEER_SYNTAX), "scope is not well formed");
	if (!id_valid(bytes_str(r.task_id)))
		return oauth(reterr_oauth, "invalid_request", ERR(E_PEER_SYNTAX),
			     "task_id: expected 1 to 64 characters of A-Z a-z 0-9 . _ -");
	if (failed(e = parse_u64(expected, MAX_EXPECTED_S, &r.expected_s)) || r.expected_s == 0)
		return oauth(reterr_oauth, "invalid_request", ERR(E_PEER_RANGE),
			     "expected_s: expected 1 to %d seconds", MAX_EXPECTED_S);
	*ret = r;
	r = (struct token_request){ 0 };
	return ERR(E_OK);
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t token_ttl(uint64_t expected_s, const struct document *agent, int64_t verdict_expires_s, int64_t now_s,
		   bool introspects)
{
	uint64_t ttl;

	if (expected_s == 0 || expected_s > MAX_EXPECTED_S || verdict_expires_s <= now_s || agent->expires_s <= now_s)
		return 0;
	ttl = (expected_s * 115 + 99) / 100;
	ttl = min_u64(ttl, TOKEN_MAX_TTL_S);
	ttl = min_u64(ttl, agent->max_ttl_s);
	ttl = min_u64(ttl, (uint64_t)(verdict_expires_s - now_s));
	ttl = min_u64(ttl, (uint64_t)(agent->expires_s - now_s));
	return introspects ? ttl : min_u64(ttl, TOKEN_OFFLINE_TTL_S);
}

static bool list_has(const struct str_list *l, struct bytes s)
{
	for (size_t i = 0; i < l->n; i++)
		if (bytes_eq(bytes_str(l->v[i]), s))
			return true;
	return false;
}

/* Every requested scope token is one of the document's. An empty request was refused before. */
static bool scope_allowed(const struct document *agent, const char *scope)
{
	while (*scope != '\0') {
		size_t n = strcspn(scope, " ");

		if (!list_has(&agent->scopes, BYTES(scope, n)))
			return false;
		scope += n;
		scope += strspn(scope, " ");
	}
	return true;
}

struct err instance_decide(const struct instance_row *i, uint64_t epoch, const struct document *agent, int64_t now_s,
			   struct oauth_error *reterr_oauth)
{
	const struct err no = ERR(E_AUTH_REFUSED);
	int worst = agent != NULL && agent->minimum_status == MINIMUM_WARNING ? TIER_WARNING : TIER_AFFIRMING;

	if (!i->usable)
		return oauth(reterr_oauth, "invalid_grant", no,
			     "the instance's verdict does not allow a credential: attest, then see assayctl explain");
	if (i->verdict_expires_s <= now_s)
		return oauth(reterr_oauth, "invalid_grant", no, "the verdict has expired: attest again");
	if (i->epoch != epoch)
		return oauth(reterr_oauth, "invalid_grant", no, "the host's epoch moved after the verdict: attest again");
	if (agent == NULL)
		return oauth(reterr_oauth, "unauthorized_client", no, "no agent document holds for %s", i->agent);
	if (i->status < TIER_AFFIRMING || i->status > worst)
		return oauth(reterr_oauth, "invalid_grant", no, "minimum_status is %s, the verdict is %s",
			     tier_name(worst == TIER_WARNING ? TIER_WARNING : TIER_AFFIRMING),
			     tier_name((enum tier)i->status));
	return ERR(E_OK);
}

struct err token_decide(const struct instance_row *i, uint64_t epoch, const struct document *agent,
			const struct token_request *r, int64_t now_s, struct oauth_error *reterr_oauth)
{
	const struct err no = ERR(E_AUTH_REFUSED);
	struct err e = instance_decide(i, epoch, agent, now_s, reterr_oauth);

	if (failed(e))
		return e;
	if (!scope_allowed(agent, r->scope))
		return oauth(reterr_oauth, "invalid_scope", no, "agent %s may not ask for all of this scope", i->agent);
	if (!list_has(&agent->resources, bytes_str(r->resource)))
		return oauth(reterr_oauth, "invalid_target", no, "agent %s may not ask for this resource", i->agent);
	return ERR(E_OK);
}

static struct err put_sha256(struct jsonw *w, const char *key, const uint8_t v[32])
{
	char text[8 + 65] = "sha256:";
	struct err e;

	if (failed(e = hex_encode(BYTES(v, 32), text + 7, sizeof(text) - 7)))
		return e;
	jsonw_str(w, key, text);
	return ERR(E_OK);
}

/* The attestation that stands behind the token. */
static struct err put_attestation(struct jsonw *w, const struct instance_row *i, uint64_t epoch)
{
	struct err e;

	if (epoch > INT64_MAX)
		return ERR(E_BUG);
	jsonw_object(w, "cnf");
	jsonw_str(w, "jkt", i->jkt);
	jsonw_close(w);
	jsonw_object(w, "att");
	if (failed(e = put_sha256(w, "ear_digest", i->ear_digest)) ||
	    failed(e = put_sha256(w, "golden_set", i->platform_doc)) ||
	    failed(e = put_sha256(w, "image_digest", i->image.manifest)) ||
	    failed(e = put_sha256(w, "model_digest", i->model.manifest)) ||
	    (i->has_container && (failed(e = put_sha256(w, "rootfs_digest", i->container.rootfs)) ||
				  failed(e = put_sha256(w, "container_policy", i->container.policy)))))
		return e;
	jsonw_int(w, "epoch", (int64_t)epoch);
	jsonw_close(w);
	return ERR(E_OK);
}

static struct err put_subject(struct jsonw *w, const char *trust_domain, const struct instance_row *i)
{
	cleanup_buf struct buf sub = BUF_INIT(512);
	struct err e = spiffe_instance(trust_domain, i->agent, i->id, &sub);

	if (failed(e))
		return e;
	jsonw_text(w, "sub", buf_bytes(&sub));
	jsonw_text(w, "client_id", buf_bytes(&sub));
	return ERR(E_OK);
}

static struct err put_claims(struct jsonw *w, const struct token_spec *s, const struct instance_row *i,
			     const struct credential_row *row)
{
	struct err e;

	jsonw_str(w, "iss", s->issuer);
	if (failed(e = put_subject(w, s->trust_domain, i)))
		return e;
	jsonw_str(w, "aud", row->audience);
	jsonw_int(w, "iat", row->issued_s);
	jsonw_int(w, "exp", row->expires_s);
	jsonw_str(w, "jti", row->jti);
	jsonw_str(w, "scope", row->scope);
	jsonw_str(w, "task_id", row->task_id);
	jsonw_str(w, "owner", row->owner);
	return put_attestation(w, i, row->epoch);
}

static struct err new_jti(char ret[44])
{
	cleanup_buf struct buf text = BUF_INIT(43);
	const char *s;
	uint8_t random[16];
	struct err e;

	if (failed(e = random_bytes(random, sizeof(random))) || failed(e = b64url_encode(BYTES_ARR(random), &text)) ||
	    failed(e = buf_cstr(&text, &s)))
		return e;
	(void)snprintf(ret, 44, "%s", s);
	return ERR(E_OK);
}

struct err credential_fill(const struct instance_row *i, uint64_t epoch, const struct document *agent,
			   const char *scope, const char *audience, const char *task_id, struct credential_row *row)
{
	(void)snprintf(row->jkt, sizeof(row->jkt), "%s", i->jkt);
	(void)snprintf(row->host_id, sizeof(row->host_id), "%s", i->host_id);
	(void)snprintf(row->agent, sizeof(row->agent), "%s", i->agent);
	for (size_t k = 0; k < INSTANCE_ID_LEN; k++)
		row->instance[k] = i->id[k];
	row->epoch = epoch;
	row->scope = strdup(scope);
	row->audience = strdup(audience);
	row->task_id = strdup(task_id);
	row->owner = strdup(agent->owner);
	return row->scope == NULL || row->audience == NULL || row->task_id == NULL || row->owner == NULL ?
		       ERR(E_LOCAL_MEMORY) :
		       ERR(E_OK);
}

struct err token_issue(const struct token_spec *s, const struct instance_row *i, uint64_t epoch,
		       const struct document *agent, const struct token_request *r, uint64_t ttl_s,
		       struct credential_row *ret_row, struct buf *ret)
{
	cleanup_credential_row struct credential_row row = { 0 };
	cleanup_buf struct buf claims = BUF_INIT(LIMIT_TOKEN);
	struct jsonw w;
	struct err e;

	/* Nothing without an expiry. */
	if (ttl_s == 0 || ttl_s > TOKEN_MAX_TTL_S)
		return ERR(E_AUTH_EXPIRED);
	if (failed(e = credential_fill(i, epoch, agent, r->scope, r->resource, r->task_id, &row)) ||
	    failed(e = new_jti(row.jti)))
		return e;
	row.issued_s = s->now_s;
	row.expires_s = s->now_s + (int64_t)ttl_s;
	jsonw_begin(&w, &claims);
	if (failed(e = put_claims(&w, s, i, &row)) || failed(e = jsonw_end(&w)) ||
	    failed(e = jws_sign_key(s->signer, s->kid, TOKEN_TYPE, buf_bytes(&claims), ret)))
		return e;
	*ret_row = row;
	row = (struct credential_row){ 0 };
	return ERR(E_OK);
}

void token_claims_done(struct token_claims *c)
{
	json_decref(c->claims);
	*c = (struct token_claims){ 0 };
}

static struct err claims_read(const json_t *claims, const char *issuer, int64_t now_s, struct token_claims *c,
			      struct reason *reterr)
{
	const char *iss, *jti, *jkt;
	const json_t *cnf;
	uint64_t iat, exp;
	struct jobj o, oc;
	struct err e;

	if (failed(e = jobj_init(&o, claims, "token", reterr)) || failed(e = jobj_str(&o, "iss", 256, &iss)) ||
	    failed(e = jobj_str(&o, "jti", sizeof(c->jti) - 1, &jti)) ||
	    failed(e = jobj_u64(&o, "iat", INT64_MAX, &iat)) || failed(e = jobj_u64(&o, "exp", INT64_MAX, &exp)) ||
	    failed(e = jobj_obj(&o, "cnf", &cnf)) || failed(e = jobj_init(&oc, cnf, "token.cnf", reterr)) ||
	    failed(e = jobj_str(&oc, "jkt", JKT_LEN, &jkt)))
		return e;
	if (strcmp(iss, issuer) != 0) {
		reason_set(reterr, "token.iss: not issued here");
		return ERR(E_AUTH_REFUSED);
	}
	if ((int64_t)exp <= now_s || (int64_t)iat > now_s + NONCE_SKEW_S) {
		reason_set(reterr, "token: expired or not yet valid");
		return ERR(E_AUTH_EXPIRED);
	}
	c->issued_s = (int64_t)iat;
	c->expires_s = (int64_t)exp;
	(void)snprintf(c->jti, sizeof(c->jti), "%s", jti);
	(void)snprintf(c->jkt, sizeof(c->jkt), "%s", jkt);
	return ERR(E_OK);
}

struct err token_verify(struct bytes token, const struct key *issuer_key, const char *issuer, int64_t now_s,
			struct token_claims *ret, struct reason *reterr)
{
	cleanup_jws struct jws j = { 0 };
	struct token_claims c = { 0 };
	struct err e;

	if (failed(e = jws_parse(token, &j, reterr)) || failed(e = jws_verify(&j, issuer_key, TOKEN_TYPE, reterr)) ||
	    failed(e = claims_read(j.unsigned_claims, issuer, now_s, &c, reterr)))
		return e;
	c.claims = json_incref(j.unsigned_claims);
	*ret = c;
	return ERR(E_OK);
}
