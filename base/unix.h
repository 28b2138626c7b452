/* SPDX-License-Identifier: Apache-2.0 */
/* Unix sockets: addresses, listening, who is on the other side. */
#ifndef ASSAY_BASE_UNIX_H
#define ASSAY_BASE_UNIX_H

#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

#include "base/err.h"

/* "/run/x.sock", or "@name" in the abstract namespace. E_LIMIT_SIZE where it is longer than a socket's path can be. */
must_check struct err unix_address(const char *path, struct sockaddr_un *ret, socklen_t *ret_len);

/*
 * A listening socket, non-blocking, with this file mode before anyone can connect. type: SOCK_STREAM,
 * SOCK_SEQPACKET. A socket that is left over is replaced, so the caller holds a lock against a second
 * server; a file of another kind is not. E_LOCAL_CONFIG (path too long), E_LOCAL_NETWORK, E_LOCAL_PERMISSION.
 */
must_check struct err unix_listen(const char *path, int type, mode_t mode, int *ret_fd, struct reason *reterr);

/* Who connected, or for who connected: who listened; at that time. pid is 0 for one of another pid namespace. E_LOCAL_NETWORK. */
must_check struct err unix_peer(int fd, struct ucred *ret);

#endif
