/* SPDX-License-Identifier: Apache-2.0 */
#include "verifier/issue/svid.h"

#include <string.h>

#include "base/text.h"
#include "verifier/issue/form.h"
#include "verifier/issue/spiffe.h"

#define URI_MAX 512

/* RFC 5280, 4.2.1.12: serverAuth and clientAuth; X509-SVID, 4.4 wants both or none. */
static const char *const both_ends[] = { "1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2" };

static void domain_id(const char *trust_domain, char ret[TRUST_DOMAIN_MAX + 10])
{
	(void)snprintf(ret, TRUST_DOMAIN_MAX + 10, "spiffe://%s", trust_domain);
}

struct err svid_ca_issue(const char *trust_domain, const struct key *key, int64_t now_s, struct cert **ret)
{
	char id[TRUST_DOMAIN_MAX + 10];
	const struct cert_spec spec = { .common_name = "Assay CA of agents", .uri = id, .ca = true, .path_len = 0,
					.not_before_s = now_s - SVID_CA_BACK_S, .not_after_s = now_s + SVID_CA_LIFE_S };

	if (!trust_domain_valid(bytes_str(trust_domain)))
		return ERR(E_BUG);
	domain_id(trust_domain, id);
	return cert_issue(&spec, key, NULL, key, ret);
}

bool svid_ca_fits(const struct cert *c, const char *trust_domain)
{
	char id[TRUST_DOMAIN_MAX + 10];

	domain_id(trust_domain, id);
	return cert_is_ca(c) && cert_is_named(c, id);
}

/* SPIFFE Trust Domain and Bundle, 4.2.1 to 4.2.3: kty, use, and one certificate in x5c; no kid. */
static struct err add_ca(const struct cert *ca, json_t *keys)
{
	cleanup_buf struct buf text = BUF_INIT(2 * LIMIT_CERT);
	cleanup_json json_t *jwk = NULL, *chain = json_array();
	cleanup_key struct key *key = NULL;
	const char *s;
	struct err e;

	if (chain == NULL)
		return ERR(E_LOCAL_MEMORY);
	/* RFC 7517, 4.7: base64, not base64url. */
	if (failed(e = cert_key(ca, &key)) || failed(e = jwk_from_key(key, &jwk)) ||
	    failed(e = json_put_str(jwk, "use", "x509-svid")) || failed(e = b64_encode(cert_der(ca), &text)) ||
	    failed(e = buf_cstr(&text, &s)))
		return e;
	if (json_array_append_new(chain, json_string(s)) != 0)
		return ERR(E_LOCAL_MEMORY);
	if (failed(e = json_put(jwk, "x5c", take_ptr(&chain))))
		return e;
	return json_array_append_new(keys, take_ptr(&jwk)) == 0 ? ERR(E_OK) : ERR(E_LOCAL_MEMORY);
}

struct err svid_bundle(const struct cert *const *cas, size_t n, struct buf *ret)
{
	cleanup_json json_t *set = NULL, *keys = json_array();
	int64_t sequence = 0, from, to;
	struct err e;

	if (keys == NULL)
		return ERR(E_LOCAL_MEMORY);
	for (size_t i = 0; i < n; i++) {
		if (failed(e = add_ca(cas[i], keys)) || failed(e = cert_validity(cas[i], &from, &to)))
			return e;
		if (from > sequence)
			sequence = from;
	}
	if (failed(e = json_new_object(&set)) || failed(e = json_put(set, "keys", take_ptr(&keys))) ||
	    failed(e = json_put_int(set, "spiffe_sequence", sequence)) ||
	    failed(e = json_put_int(set, "spiffe_refresh_hint", SVID_REFRESH_HINT_S)))
		return e;
	return json_write(set, ret);
}

static struct err refuse(struct oauth_error *o, const char *code, struct err e, const char *why)
{
	o->status = 400;
	(void)snprintf(o->code, sizeof(o->code), "%s", code);
	(void)snprintf(o->description, sizeof(o->description), "%.255s", why);
	return e;
}

struct err svid_request_parse(struct bytes form, char **ret_task, struct oauth_error *reterr_oauth)
{
	cleanup_free char *task = NULL;
	const struct form_field fields[] = { { "task_id", &task, 64, true } };
	struct reason why = { { 0 } };
	struct err e;

	if (failed(e = form_parse(form, fields, array_len(fields), &why)))
		return refuse(reterr_oauth, "invalid_request", e, why.text);
	if (!id_valid(bytes_str(task)))
		return refuse(reterr_oauth, "invalid_request", ERR(E_PEER_SYNTAX),
			      "task_id: expected 1 to 64 characters of A-Z a-z 0-9 . _ -");
	*ret_task = take_ptr(&task);
	return ERR(E_OK);
}

struct err svid_decide(const struct instance_row *i, uint64_t epoch, const struct document *agent, int64_t now_s,
		       struct oauth_error *reterr_oauth)
{
	struct err e = instance_decide(i, epoch, agent, now_s, reterr_oauth);

	if (failed(e) || agent->x509)
		return e;
	return refuse(reterr_oauth, "unauthorized_client", ERR(E_AUTH_REFUSED),
		      "the agent's document permits no X.509 certificates: assayctl approve agent --x509");
}

uint64_t svid_ttl(const struct document *agent, int64_t verdict_expires_s, int64_t ca_expires_s, int64_t now_s)
{
	const int64_t ends[] = { verdict_expires_s, agent->expires_s, ca_expires_s };
	uint64_t ttl = agent->max_ttl_s < TOKEN_MAX_TTL_S ? agent->max_ttl_s : TOKEN_MAX_TTL_S;

	for (size_t i = 0; i < array_len(ends); i++) {
		if (ends[i] <= now_s)
			return 0;
		if ((uint64_t)(ends[i] - now_s) < ttl)
			ttl = (uint64_t)(ends[i] - now_s);
	}
	return ttl;
}

/* T23: the key that has proved itself, and no other, is what the verdict is about. */
static struct err proved_key(const struct dpop_proof *proof, const struct instance_row *i, struct key **ret)
{
	cleanup_key struct key *key = NULL;
	char jkt[JKT_LEN + 1];
	struct err e;

	if (failed(e = key_from_ec(KEY_EC_P256, BYTES_ARR(proof->x), BYTES_ARR(proof->y), &key)) ||
	    failed(e = jwk_thumbprint(key, jkt)))
		return e;
	if (strcmp(jkt, i->jkt) != 0)
		return ERR(E_BUG);
	*ret = take_ptr(&key);
	return ERR(E_OK);
}

static struct err sign(const struct svid_spec *s, const struct key *key, const struct instance_row *i,
		       struct cert **ret)
{
	cleanup_buf struct buf id = BUF_INIT(URI_MAX);
	struct cert_spec spec = { .path_len = -1, .eku_oids = both_ends, .n_eku_oids = array_len(both_ends),
				  .not_before_s = s->now_s - SVID_BACK_S,
				  .not_after_s = s->now_s + (int64_t)s->ttl_s };
	struct err e;

	if (failed(e = spiffe_instance(s->trust_domain, i->agent, i->id, &id)) || failed(e = buf_cstr(&id, &spec.uri)))
		return e;
	return cert_issue(&spec, key, s->ca, s->ca_key, ret);
}

struct err svid_issue(const struct svid_spec *s, const struct dpop_proof *proof, const struct instance_row *i,
		      uint64_t epoch, const struct document *agent, const char *task_id,
		      struct credential_row *ret_row, struct cert **ret)
{
	cleanup_credential_row struct credential_row row = { 0 };
	char domain[TRUST_DOMAIN_MAX + 10];
	cleanup_cert struct cert *c = NULL;
	cleanup_key struct key *key = NULL;
	struct err e;

	/* Nothing without an expiry. */
	if (s->ttl_s == 0 || s->ttl_s > TOKEN_MAX_TTL_S)
		return ERR(E_AUTH_EXPIRED);
	domain_id(s->trust_domain, domain);
	if (failed(e = proved_key(proof, i, &key)) || failed(e = sign(s, key, i, &c)) ||
	    failed(e = credential_fill(i, epoch, agent, SVID_SCOPE, domain, task_id, &row)) ||
	    failed(e = cert_serial(c, row.jti)))
		return e;
	row.issued_s = s->now_s;
	row.expires_s = s->now_s + (int64_t)s->ttl_s;
	*ret_row = row;
	row = (struct credential_row){ 0 };
	*ret = take_ptr(&c);
	return ERR(E_OK);
}
