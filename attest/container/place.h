/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel says of a container that a runtime has made ready, whatever its configuration says. */
#ifndef ASSAY_ATTEST_CONTAINER_PLACE_H
#define ASSAY_ATTEST_CONTAINER_PLACE_H

#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/*
 * The container's init has pid, mount, ipc and uts namespaces of its own, other than ours: a hook runs in those of the
 * runtime. E_AUTH_CONFLICT: it has not; E_LOCAL_NOT_FOUND: it has ended; E_LOCAL_IO.
 */
must_check struct err container_namespaces_check(pid_t init, struct reason *reterr);

/*
 * What a uid of the container is outside, by the map of init's user namespace (user_namespaces(7)).
 * E_AUTH_REFUSED: it is nobody there; E_LOCAL_NOT_FOUND, E_LOCAL_IO.
 */
must_check struct err container_host_uid(pid_t init, uint32_t uid, uint32_t *ret, struct reason *reterr);

#endif
