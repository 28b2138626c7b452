/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is said on the daemon's socket, which is of type SOCK_SEQPACKET: a packet is one JSON object, whole or not
 * at all, with the kernel's word on who sent it. The caller is nowhere in it: see caller.h.
 *
 *   daemon  {"nonce": 32 hex digits}
 *   caller  {"nonce", "request": "identity"}
 *           {"nonce", "request": "token", "scope", "resource", "task", "expected_s"}
 *           {"nonce", "request": "proof", "method", "url", "token"?, "dpop_nonce"?}
 *           {"nonce", "request": "revoke", "token"}
 *           {"nonce", "request": "certificate", "task"}   an X.509 certificate for the instance's key
 *           {"nonce", "request": "tls-sign", "message"}   its signature in a TLS 1.3 handshake: hex of what a
 *                                              CertificateVerify signs (RFC 8446, 4.4.3), and nothing else
 *           {"nonce", "request": "watch"}      from `run`
 *           {"nonce", "request": "status"}     from root
 *           {"nonce", "request": "container", "instance": 32 hex digits}  from root: a runtime's hook, which has made
 *                                              this instance and goes on once its root and model are being watched
 *   daemon  {"outcome": "ok", "answer": {...}}
 *           {"outcome": "refused" | "error", "error": name of the code, "reason"}
 *
 * Then the daemon closes, except after "watch", where a packet follows each verdict:
 *   {"event": "accepted", "expires": seconds since 1970} or {"event": "refused", "reason"}
 *
 * A request holds exactly the members that its kind has. The nonce proves that it was sent after the daemon had
 * pinned the process that connected.
 */
#ifndef ASSAY_ATTEST_DAEMON_REQUEST_H
#define ASSAY_ATTEST_DAEMON_REQUEST_H

#include "attest/tls_sign.h"
#include "attest/token.h"
#include "firmware-measure/workload_event.h"

#define REQUEST_NONCE_LEN 16
#define REQUEST_MAX LIMIT_SMALL /* bytes in one packet, either way */
#define REQUEST_METHOD_MAX 32
#define REQUEST_TEXT_MAX 1024   /* scope, dpop_nonce */

enum request_kind {
	REQUEST_IDENTITY,
	REQUEST_TOKEN,
	REQUEST_PROOF,
	REQUEST_REVOKE,
	REQUEST_CERTIFICATE,
	REQUEST_TLS_SIGN,
	REQUEST_WATCH,
	REQUEST_STATUS,
	REQUEST_CONTAINER,
};

struct request {
	enum request_kind kind;
	uint8_t nonce[REQUEST_NONCE_LEN];
	struct token_want want;                      /* token; certificate: the task alone */
	const char *method, *url, *token, *dpop_nonce; /* proof; the last two may be NULL. token: revoke */
	uint8_t message[TLS_SIGN_MAX];               /* tls-sign */
	size_t message_n;
	uint8_t instance[INSTANCE_ID_LEN];           /* container */
	json_t *json;                                /* owner of what was parsed */
};
void request_done(struct request *r);
#define cleanup_request cleanup(request_done)

/* Whole packet or an error: E_PEER_*, E_LIMIT_SIZE. ret: {0}; unchanged on failure. */
must_check struct err request_parse(struct bytes in, struct request *ret, struct reason *reterr);
/* Appended; what request_parse() reads. */
must_check struct err request_write(const struct request *r, struct buf *ret);

const char *request_name(enum request_kind kind);

/* Adds a text of ours to o: as much of it as is well-formed UTF-8, because a reason may have been cut within a character. */
must_check struct err reply_put_text(json_t *o, const char *key, const char *text);

/* {"outcome": "ok", "answer"}; takes ownership of answer, also on failure. Appended. */
must_check struct err reply_ok(json_t *answer, struct buf *ret);
/* {"outcome": "refused" or "error", "error", "reason"}. Appended. */
must_check struct err reply_failed(struct err why, const char *reason, struct buf *ret);

#endif
