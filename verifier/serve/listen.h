/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTPS listener's socket, so that a wrong address is told in clear words. */
#ifndef ASSAY_VERIFIER_SERVE_LISTEN_H
#define ASSAY_VERIFIER_SERVE_LISTEN_H

#include <stdint.h>

#include "base/err.h"

/* "127.0.0.1:8443", "[::1]:8443"; port 0 takes a free one. E_PEER_SYNTAX, E_LOCAL_NETWORK, E_LOCAL_PERMISSION. */
must_check struct err listen_tcp(const char *address, int *ret_fd, uint16_t *ret_port, struct reason *reterr);

#endif
