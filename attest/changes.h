/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Notices that something was done to an image, to a container's root or to a model after it was digested: a file
 * written, made, removed or renamed in it, the whole replaced, another file system mounted over it; in a root also a
 * change of mode, owner or extended attributes.
 *
 * This decides nothing. It says when to digest again at once instead of at the next attestation. Not seen are writes
 * through a shared mapping, writes by another machine to a network file system, and an exchange of a folder further
 * up than the one that holds image, root or model: those the next attestation finds. Where a root is an overlay, what
 * is written to one of its layers past the overlay is not seen either (overlayfs says of it that anything may happen).
 *
 * inotify(7) by inode: a file is watched under whatever name it is written. Not fanotify: what it could do more, it
 * does for whole file systems and with CAP_SYS_ADMIN only.
 */
#ifndef ASSAY_ATTEST_CHANGES_H
#define ASSAY_ATTEST_CHANGES_H

#include "base/cleanup.h"
#include "base/err.h"

#define CHANGES_DEPTH_MAX 64 /* folders below image or model; of a root LIMIT_TREE_DEPTH */

struct changes;
void changes_free(struct changes *c);
DEFINE_CLEANUP(struct changes, cleanup_changes_, changes_free)
#define cleanup_changes cleanup(cleanup_changes_)

/*
 * Watches what lies at both absolute paths, folder or file, links to files followed. To be called before digesting,
 * so that no moment is left out. What cannot be watched (gone, no more watches: fs.inotify.max_user_watches) is passed
 * over with a reason, and *ret_whole is false. E_LOCAL_IO, E_LOCAL_MEMORY: nothing can be watched at all.
 */
must_check struct err changes_watch(const char *image, const char *model, struct changes **ret, bool *ret_whole,
				    struct reason *reterr);

/*
 * The same for the root folder of a container and a model. Nothing in a root is followed: what a link names there, it
 * names for the container, and is something else here. Folders are watched, and of the rest only what has several
 * names; so a root of many files takes a watch for each of its folders.
 */
must_check struct err changes_watch_root(const char *root, const char *model, struct changes **ret, bool *ret_whole,
					 struct reason *reterr);

/*
 * Descriptors to poll, owned by c: the first for POLLIN, the second (-1: none) for POLLPRI. Whoever polls the second
 * must call changes_seen() where it is ready: the poll itself is what marks the table of mounts as seen (proc(5)).
 */
int changes_fd(const struct changes *c);
int changes_mounts_fd(const struct changes *c);

/* True where something was done since the last call, or where events were lost. Does not wait. */
bool changes_seen(struct changes *c);

#endif
