/* SPDX-License-Identifier: Apache-2.0 */
/* Paths as text, and which of the host's no container may get. */
#ifndef ASSAY_ATTEST_CONTAINER_PATH_H
#define ASSAY_ATTEST_CONTAINER_PATH_H

#include "base/err.h"

/* Absolute, without empty parts, ".", ".." and '/' at the end: no other text names the same path. "/" is one. */
bool container_path_normal(const char *path);

/* Both normal: path is folder, or lies in it. */
bool container_path_within(const char *path, const char *folder);

/*
 * A bind mount of that source would give access to something that no container may have: TPMs and other devices,
 * /proc and /sys of the host, the keys and rules of this program and of a verifier, the sockets of programs that start
 * containers or services, or the roots of other containers; because it is that, lies in it or holds it. state_dir: as
 * configured, or NULL. Static text that says which, or NULL.
 */
const char *container_path_protected(const char *source, const char *state_dir);

#endif
