/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client side of HTTP, on libcurl: one request, one bounded answer. For
 * assay-attest (TLS 1.2 or later against the pinned CA, nothing sent before
 * it verified) and assayctl (a Unix socket). No redirects, no proxies from
 * the environment, no cookies.
 */
#ifndef ASSAY_PROTOCOL_HTTPS_H
#define ASSAY_PROTOCOL_HTTPS_H

#include "base/bytes.h"

struct https;

/* Loads now what the first https_new() would load: once for all children, in a program that forks. E_LOCAL_CONFIG. */
must_check struct err https_prepare(void);

/*
 * base_url    "https://host:port"; with a socket "http://localhost"
 * ca_pem      the only trust anchors; empty with a socket
 * socket_path Unix socket instead of TCP, or NULL
 * timeout_ms  for each request as a whole
 */
must_check struct err https_new(const char *base_url, struct bytes ca_pem, const char *socket_path, unsigned timeout_ms,
				struct https **ret);
void https_free(struct https *h);
DEFINE_CLEANUP(struct https, cleanup_https_, https_free)
#define cleanup_https cleanup(cleanup_https_)

struct https_reply {
	unsigned status;
	char content_type[80];     /* without parameters, lower case */
	char dpop_nonce[160];      /* DPoP-Nonce header, or "" */
	unsigned retry_after_s;
	struct buf body;           /* at most LIMIT_EVIDENCE bytes */
};
void https_reply_done(struct https_reply *r);
#define cleanup_https_reply cleanup(https_reply_done)

/*
 * headers: n_headers full lines ("DPoP: ...") beside Content-Type. A status of
 * any kind is E_OK. E_LOCAL_NETWORK (reason: what failed), E_AUTH_CERTIFICATE
 * (TLS peer not verified), E_LOCAL_TIMEOUT, E_LIMIT_SIZE.
 */
must_check struct err https_post(struct https *h, const char *path, const char *content_type, struct bytes body,
				 size_t n_headers, const char *const *headers, struct https_reply *ret,
				 struct reason *reterr);
must_check struct err https_get(struct https *h, const char *path, struct https_reply *ret, struct reason *reterr);

#endif
