/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is mounted in a container that a runtime has made ready, by the kernel's table of its init (proc(5),
 * /proc/PID/mountinfo), against what its configuration says.
 *
 * The configuration names its sources by path, and between its check and the mount a path may have come to name
 * something else; a root is bound together with whatever the host has mounted below it. So both ends are compared
 * after the fact: nothing is mounted where the configuration names no mount, and each bind shows the very file that
 * its source is.
 */
#ifndef ASSAY_ATTEST_CONTAINER_MOUNTS_H
#define ASSAY_ATTEST_CONTAINER_MOUNTS_H

#include <jansson.h>
#include <sys/types.h>

#include "base/bytes.h"

#define CONTAINER_MOUNTINFO_MAX ((size_t)1024 * 1024)

/*
 * init    the container's process, before pivot_root(2)
 * rootfs  absolute path of its root, which is a mount there
 * mounts  array of config.json, as container_judge() has accepted it
 *
 * E_AUTH_CONFLICT: rootfs is no mount, another one is there, or a bind shows something else; E_LOCAL_NOT_FOUND: the
 * process has ended; E_LIMIT_SIZE; E_LOCAL_IO.
 */
must_check struct err container_mounts_check(pid_t init, const char *rootfs, const json_t *mounts,
					     struct reason *reterr);

#endif
