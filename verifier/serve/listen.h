/* SPDX-License-Identifier: Apache-2.0 */
/* Listening sockets of our own, so that a wrong address is told in clear words. */
#ifndef ASSAY_VERIFIER_SERVE_LISTEN_H
#define ASSAY_VERIFIER_SERVE_LISTEN_H

#include <stdint.h>

#include "base/err.h"

/* "127.0.0.1:8443", "[::1]:8443"; port 0 takes a free one. E_PEER_SYNTAX, E_LOCAL_NETWORK, E_LOCAL_PERMISSION. */
must_check struct err listen_tcp(const char *address, int *ret_fd, uint16_t *ret_port, struct reason *reterr);
/* A Unix socket of mode 0660. One that is left over is replaced; a file of another kind is not. */
must_check struct err listen_unix(const char *path, int *ret_fd, struct reason *reterr);
/* uid of who connected. */
must_check struct err listen_peer_uid(int fd, uint32_t *ret);

#endif
