/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An unpacked root file system as a tree.
 *
 * No symbolic link is followed and no mount point crossed, whatever happens to
 * the folder meanwhile. Sockets are refused, and devices and FIFOs unless
 * allowed; names and targets that are not UTF-8 or hold control characters.
 * Contents are hashed in parallel, then the folder is walked a second time and
 * must be what it was: inode, size, mtime and ctime of everything.
 */
#ifndef ASSAY_MEASURE_TREE_WALK_H
#define ASSAY_MEASURE_TREE_WALK_H

#include "firmware-measure/tree.h"

struct model_options;

/*
 * path     the folder; its last component is no symbolic link
 * options  as in model.h; may be NULL
 * ret      empty but for the budget of its pile; sorted on success
 *
 * E_LOCAL_NOT_FOUND; E_PEER_UNSUPPORTED (another kind of file, a mount
 * point); E_PEER_SYNTAX (a name); E_PEER_CHANGED; E_LIMIT_COUNT,
 * E_LIMIT_SIZE (LIMIT_IMAGE_BYTES, names, attributes), E_LIMIT_DEPTH
 * (LIMIT_TREE_DEPTH); E_LOCAL_*.
 */
must_check struct err tree_walk(const char *path, bool allow_devices, const struct model_options *options,
				struct tree *ret, uint64_t *ret_bytes, struct reason *reterr);

/* The same for a folder that is open for reading; borrowed. */
must_check struct err tree_walk_fd(int fd, bool allow_devices, const struct model_options *options, struct tree *ret,
				   uint64_t *ret_bytes, struct reason *reterr);

#endif
