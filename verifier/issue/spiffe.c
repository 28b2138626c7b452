/* SPDX-License-Identifier: Apache-2.0 */
#include "verifier/issue/spiffe.h"

#include <string.h>

#include "base/text.h"

bool trust_domain_valid(struct bytes s)
{
	if (s.n < 1 || s.n > TRUST_DOMAIN_MAX)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = s.p[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '.' && c != '-' && c != '_')
			return false;
	}
	return true;
}

struct err trust_domain_of_url(const char *url, char ret[TRUST_DOMAIN_MAX + 1])
{
	const char *host = strstr(url, "://");
	char name[TRUST_DOMAIN_MAX + 1] = "";
	size_t n;

	if (host == NULL)
		return ERR(E_PEER_SYNTAX);
	host += strlen("://");
	n = strcspn(host, ":/?#");
	if (n > TRUST_DOMAIN_MAX)
		return ERR(E_PEER_SYNTAX);
	/* Hosts are compared without case, trust domains are not. */
	for (size_t i = 0; i < n; i++)
		name[i] = host[i] >= 'A' && host[i] <= 'Z' ? (char)(host[i] - 'A' + 'a') : host[i];
	if (!trust_domain_valid(bytes_str(name)))
		return ERR(E_PEER_SYNTAX);
	(void)snprintf(ret, TRUST_DOMAIN_MAX + 1, "%s", name);
	return ERR(E_OK);
}

struct err spiffe_instance(const char *trust_domain, const char *agent, const uint8_t id[INSTANCE_ID_LEN],
			   struct buf *ret)
{
	struct err e;

	/* An agent's name is a path segment: without '/', and never "." or "..". */
	if (!trust_domain_valid(bytes_str(trust_domain)) || !id_valid(bytes_str(agent)))
		return ERR(E_BUG);
	if (failed(e = buf_addf(ret, "spiffe://%s/agent/%s/instance/", trust_domain, agent)))
		return e;
	return buf_add_hex(ret, BYTES(id, INSTANCE_ID_LEN));
}
