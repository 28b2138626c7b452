/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verifier's routes as functions. A refusal becomes an error of its own class
 * with the verifier's words in the reason.
 */
#ifndef ASSAY_ATTEST_CLIENT_H
#define ASSAY_ATTEST_CLIENT_H

#include "protocol/https.h"
#include "protocol/messages.h"

struct client {
	struct https *https;
	struct reason *why; /* borrowed */
};
void client_done(struct client *c);
#define cleanup_client cleanup(client_done)

must_check struct err client_init(const char *url, struct bytes ca_pem, unsigned timeout_s, struct reason *why,
				  struct client *ret);

/*
 * Errors of all: E_LOCAL_NETWORK, E_LOCAL_TIMEOUT, E_AUTH_CERTIFICATE; the code that
 * the verifier names where it is one of E_PEER_*, E_AUTH_*, E_LIMIT_*, else
 * E_AUTH_REFUSED (4xx) or E_LOCAL_NETWORK (5xx); E_PEER_* for an answer that is
 * none. Answers are freed by their own x_done().
 */
must_check struct err client_enrol(struct client *c, const struct enrol_request *q, struct enrol_challenge *ret);
must_check struct err client_activate(struct client *c, const struct enrol_activation *q, struct enrol_reply *ret);
must_check struct err client_challenge(struct client *c, const struct challenge_request *q, struct challenge *ret);
must_check struct err client_attest(struct client *c, struct bytes evidence, struct attest_reply *ret);

/*
 * POST of a form with a DPoP proof to path, e.g. "/v1/token". *ret_nonce_wanted, with the nonce in nonce[160], where the
 * verifier asks for a proof with its nonce; *ret is then NULL. Otherwise *ret is the
 * whole answer, which the caller owns.
 */
#define CLIENT_NONCE_MAX 160
must_check struct err client_oauth(struct client *c, const char *path, struct bytes form, const char *proof,
				   bool *ret_nonce_wanted, char nonce[CLIENT_NONCE_MAX], json_t **ret);

/* application/x-www-form-urlencoded: "&name=value", the '&' only behind something. Appended. */
must_check struct err form_add(struct buf *form, const char *name, const char *value);

#endif
