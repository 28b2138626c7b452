/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The root file system of a container, as its image has it.
 *
 * By the time a hook is called, the runtime has made what it mounts something on where the image has no such file or
 * folder. Which paths the image has not is written down (instance_container.absent); what is there then and is empty
 * does not count. Everything else does, and the digest is that of the image's layers (tree.h).
 */
#ifndef ASSAY_ATTEST_CONTAINER_ROOT_H
#define ASSAY_ATTEST_CONTAINER_ROOT_H

#include "attest/instance.h"
#include "firmware-measure/tree.h"

/*
 * A path by which the folder is reached from here: c->rootfs; or, for a process with mounts of its own (a service in its
 * sandbox, to which what a runtime mounts does not come through), the same through the root of process 1.
 * *ret: the caller's. E_PEER_CHANGED: another folder has its name; E_LOCAL_NOT_FOUND; E_LOCAL_IO.
 */
must_check struct err container_root_reach(const struct instance_container *c, char **ret, struct reason *reterr);

/*
 * Digest of the folder c->rootfs, as it is reached from here. c: dev, ino and absent are set.
 * E_PEER_CHANGED: another folder has its name now, or it changed while it was read. E_LOCAL_NOT_FOUND, other errors of
 * tree_walk().
 */
must_check struct err container_root_digest(const struct instance_container *c, uint8_t ret[32],
					    struct reason *reterr);

/*
 * Sets dev and ino of c->rootfs, which must be the folder that the process `init`, whom the runtime has made ready,
 * sees under that name in its own mount namespace, where the runtime holds it by a mount of its own already: an
 * exchange of the name on the host changes nothing any more for the container. E_AUTH_CONFLICT: it is another one.
 * E_LOCAL_NOT_FOUND, E_LOCAL_IO.
 */
must_check struct err container_root_pin(struct instance_container *c, pid_t init, struct reason *reterr);

/* Of a container that runs: its root is still that folder. E_AUTH_CONFLICT, E_LOCAL_NOT_FOUND (it has ended), E_LOCAL_IO. */
must_check struct err container_root_check(const struct instance_container *c, pid_t init, struct reason *reterr);

/* Takes what the runtime has made out of a sorted tree: entries of these paths that are empty. absent: of instance.h. */
void container_root_drop(struct tree *t, const json_t *absent);

#endif
