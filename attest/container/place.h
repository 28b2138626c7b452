/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel says of a container that a runtime has made ready, whatever its configuration says. */
#ifndef ASSAY_ATTEST_CONTAINER_PLACE_H
#define ASSAY_ATTEST_CONTAINER_PLACE_H

#include <jansson.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/*
 * The container's init has pid and mount namespaces other than ours, and each other one that its configuration wants
 * to be new; of a cgroup namespace the time of its making is not specified. A hook runs in those of the runtime.
 *
 * namespaces  linux.namespaces of config.json
 *
 * E_AUTH_CONFLICT: it has not; E_LOCAL_NOT_FOUND: it has ended; E_LOCAL_IO.
 */
must_check struct err container_namespaces_check(pid_t init, const json_t *namespaces, struct reason *reterr);

/*
 * What a uid of the container is outside, by the map of init's user namespace (user_namespaces(7)).
 * E_AUTH_REFUSED: it is nobody there; E_LOCAL_NOT_FOUND, E_LOCAL_IO.
 */
must_check struct err container_host_uid(pid_t init, uint32_t uid, uint32_t *ret, struct reason *reterr);

#endif
