/* SPDX-License-Identifier: Apache-2.0 */
/* The caller's side of the daemon's socket. */
#ifndef ASSAY_ATTEST_DAEMON_ASK_H
#define ASSAY_ATTEST_DAEMON_ASK_H

#include "attest/daemon/request.h"

#define ASK_TIMEOUT_S 300 /* longer than the daemon takes for any request */

/*
 * Connects, sends the request (its nonce is filled in), waits for the reply. *ret_answer: the "answer" of the reply;
 * the caller owns it. ret_fd: the connection, for "watch"; NULL: it is closed.
 *
 * E_LOCAL_NOT_FOUND: no daemon serves there. E_AUTH_CLIENT: who does is not root. What the daemon refuses is the error
 * that it names, with its words in the reason. E_LOCAL_TIMEOUT, E_LOCAL_NETWORK.
 */
must_check struct err ask(const char *socket_path, struct request *r, unsigned timeout_s, int *ret_fd,
			  json_t **ret_answer, struct reason *reterr);

/* One packet of a connection, parsed. E_LOCAL_NETWORK where it has ended; the others of ask(). */
must_check struct err ask_receive(int fd, json_t **ret, struct reason *reterr);

#endif
