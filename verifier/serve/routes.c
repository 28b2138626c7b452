/* SPDX-License-Identifier: Apache-2.0 */
/* The one table of what can be asked, and what must hold before a handler sees it. */
#include <string.h>
#include <strings.h>

#include "verifier/serve/internal.h"

#define JSON "application/json"
#define FORM "application/x-www-form-urlencoded"
#define DSSE "application/vnd.dsse+json"

static const struct route routes[] = {
	{ "POST", "/v1/enrol", JSON, LIMIT_SMALL * 2, AUTH_NONE, .clock = true, .handle = on_enrol },
	{ "POST", "/v1/enrol/activate", JSON, LIMIT_SMALL * 2, AUTH_NONE, .writes = true, .clock = true,
	  .handle = on_enrol_activate },
	{ "POST", "/v1/challenge", JSON, LIMIT_SMALL, AUTH_NONE, .clock = true, .handle = on_challenge },
	{ "POST", "/v1/attest", EVIDENCE_MEDIA_TYPE, LIMIT_EVIDENCE, AUTH_NONE, .writes = true, .clock = true,
	  .handle = on_attest },
	{ "POST", "/v1/token", FORM, LIMIT_SMALL, AUTH_NONE, .writes = true, .clock = true, .oauth = true,
	  .handle = on_token },
	{ "POST", "/v1/x509-svid", FORM, LIMIT_SMALL, AUTH_NONE, .writes = true, .clock = true, .oauth = true,
	  .handle = on_x509_svid },
	{ "POST", "/v1/introspect", FORM, LIMIT_SMALL, AUTH_CLIENT, .writes = true, .clock = true, .oauth = true,
	  .handle = on_introspect },
	{ "POST", "/v1/revoke", FORM, LIMIT_SMALL, AUTH_NONE, .writes = true, .oauth = true, .handle = on_revoke },
	{ "GET", "/v1/jwks", NULL, 0, AUTH_NONE, .handle = on_jwks },
	{ "GET", "/v1/spiffe-bundle", NULL, 0, AUTH_NONE, .handle = on_spiffe_bundle },
	{ "GET", "/healthz", NULL, 0, AUTH_NONE, .writes = true, .handle = on_healthz },
	{ "GET", "/metrics", NULL, 0, AUTH_NONE, .writes = true, .handle = on_metrics },

	{ "POST", "/v1/admin/documents", DSSE, LIMIT_DOCUMENT, AUTH_ADMIN, .writes = true, .clock = true,
	  .handle = admin_documents_add },
	{ "POST", "/v1/admin/withdraw", DSSE, LIMIT_DOCUMENT, AUTH_ADMIN, .writes = true, .clock = true,
	  .handle = admin_documents_withdraw },
	{ "GET", "/v1/admin/documents", NULL, 0, AUTH_ADMIN, .writes = true, .handle = admin_documents_list },
	{ "GET", "/v1/admin/hosts", NULL, 0, AUTH_ADMIN, .writes = true, .handle = admin_hosts_list },
	{ "GET", "/v1/admin/agents", NULL, 0, AUTH_ADMIN, .writes = true, .handle = admin_agents_list },
	{ "GET", "/v1/admin/credentials", NULL, 0, AUTH_ADMIN, .writes = true, .handle = admin_credentials_list },
	{ "GET", "/v1/admin/clients", NULL, 0, AUTH_ADMIN, .writes = true, .handle = admin_clients_list },
	{ "GET", "/v1/admin/trust", NULL, 0, AUTH_ADMIN, .writes = true, .handle = admin_trust_list },
	{ "GET", "/v1/admin/explain", NULL, 0, AUTH_ADMIN, .writes = true, .handle = admin_explain },
	{ "POST", "/v1/admin/hosts/clear", JSON, LIMIT_SMALL, AUTH_ADMIN, .writes = true, .handle = admin_host_clear },
	{ "POST", "/v1/admin/hosts/remove", JSON, LIMIT_SMALL, AUTH_ADMIN, .writes = true, .handle = admin_host_remove },
	{ "POST", "/v1/admin/trust/add", JSON, LIMIT_SMALL, AUTH_ADMIN, .writes = true, .handle = admin_trust_add },
	{ "POST", "/v1/admin/trust/remove", JSON, LIMIT_SMALL, AUTH_ADMIN, .writes = true, .handle = admin_trust_remove },
	{ "POST", "/v1/admin/revoke", JSON, LIMIT_SMALL, AUTH_ADMIN, .writes = true, .handle = admin_revoke },
	{ "POST", "/v1/admin/clients", JSON, LIMIT_SMALL, AUTH_ADMIN, .writes = true, .handle = admin_client_add },
	{ "POST", "/v1/admin/clients/remove", JSON, LIMIT_SMALL, AUTH_ADMIN, .writes = true,
	  .handle = admin_client_remove },
};
_Static_assert(array_len(routes) <= METRICS_MAX_ROUTES, "every route has its counters");

size_t routes_count(void)
{
	return array_len(routes);
}

const struct route *route_at(size_t i)
{
	return i < array_len(routes) ? &routes[i] : NULL;
}

size_t route_index(const struct route *r)
{
	return (size_t)(r - routes);
}

/* The two listeners have nothing in common: what one serves, the other does not know. */
static bool same_place(const struct route *r, bool admin, const char *path)
{
	return (r->auth == AUTH_ADMIN) == admin && strcmp(r->path, path) == 0;
}

struct err route_find(bool admin, const char *method, const char *path, const char *content_type,
		      const struct route **ret)
{
	bool found = false;

	for (size_t i = 0; i < array_len(routes); i++) {
		const struct route *r = &routes[i];

		if (!same_place(r, admin, path))
			continue;
		found = true;
		if (strcmp(r->method, method) != 0)
			continue;
		*ret = r;
		/* Types are compared without case (RFC 9110, 8.3.1). */
		if (r->media_type != NULL && (content_type == NULL || strcasecmp(r->media_type, content_type) != 0))
			return ERR(E_PEER_MEDIA_TYPE);
		return ERR(E_OK);
	}
	return ERR(found ? E_PEER_METHOD : E_PEER_NO_ROUTE);
}

const char *route_allow(bool admin, const char *path)
{
	bool get = false, post = false;

	for (size_t i = 0; i < array_len(routes); i++) {
		if (!same_place(&routes[i], admin, path))
			continue;
		get |= strcmp(routes[i].method, "GET") == 0;
		post |= strcmp(routes[i].method, "POST") == 0;
	}
	if (get && post)
		return "GET, POST";
	return get ? "GET" : post ? "POST" : "";
}

static struct err admit(struct verifier *v, const struct route *r, const struct request *q, char client[65],
			struct reply *ret)
{
	if (r->auth == AUTH_ADMIN && !(q->has_peer && verifier_admits(v, q->peer_uid))) {
		reason_set(&ret->why, "the admin socket is for root, the verifier's user and admin_uids");
		return ERR(E_AUTH_REFUSED);
	}
	if (q->n_authorization > 1) {
		reason_set(&ret->why, "more than one Authorization header");
		return ERR(E_PEER_DUPLICATE);
	}
	if (q->body.n > r->limit)
		return ERR(E_LIMIT_SIZE);
	if (r->clock && q->now_s < atomic_load(&v->time_high) - CLOCK_SKEW_S) {
		reason_set(&ret->why, "the clock is %lld s behind what was seen before: nothing is decided until it is right",
			   (long long)(atomic_load(&v->time_high) - q->now_s));
		return ERR(E_LOCAL_CLOCK);
	}
	return r->auth == AUTH_CLIENT ? client_authenticate(v, q->authorization, client) : ERR(E_OK);
}

void route_run(struct verifier *v, const struct route *r, const struct request *q, struct reply *ret)
{
	struct request admitted = *q;
	char client[65] = "";
	struct err e;

	admitted.client = client;
	e = admit(v, r, q, client, ret);
	if (!failed(e))
		e = r->handle(v, &admitted, ret);
	if (failed(e))
		reply_error(r, e, &ret->why, ret);
}
