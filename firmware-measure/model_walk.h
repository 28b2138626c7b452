/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of a model: what there is, in whatever order the folder tells it.
 *
 * A symbolic link is no file of a model, but for one layout: the cache of
 * Hugging Face's hub keeps contents in NAME/blobs, and the folder of a revision,
 * NAME/snapshots/REVISION, holds a link to one of them for each file. In such a
 * folder a link that leads to a blob of the same cache by the very text that the
 * hub writes ("../../blobs/" and 40 or 64 hex digits, one "../" more for each
 * folder on the way) is that blob's content under the link's name. Nothing else
 * is followed, and the blob itself must be a regular file.
 */
#ifndef ASSAY_MEASURE_MODEL_WALK_H
#define ASSAY_MEASURE_MODEL_WALK_H

#include "firmware-measure/filehash.h"

/* True leaves out a file, or a folder with all that is in it. path as in model_each; not asked for a single file. */
typedef bool model_skip(void *ctx, const char *path);

/* Where the paths of a model begin: its folder, or for a single file the folder around it. */
struct model_root {
	int fd;
	char only[256]; /* base name of the single file, else "" */
	int blobs_fd;     /* where fd is a revision in a cache of Hugging Face's hub: its blobs; else -1 */
	model_skip *skip; /* NULL: nothing is left out */
	void *skip_ctx;
};
#define MODEL_ROOT_INIT { .fd = -1, .blobs_fd = -1 }
static inline void model_root_done(struct model_root *r)
{
	cleanup_fd_(&r->fd);
	cleanup_fd_(&r->blobs_fd);
}
#define cleanup_model_root cleanup(model_root_done)

/*
 * Opens a folder or the folder around a file. Trailing slashes do not count,
 * so that "link/" does not follow a link. The last component is no symbolic
 * link, which model_walk() refuses, but for a link of a cache. E_LOCAL_NOT_FOUND, E_LOCAL_PERMISSION, E_LOCAL_IO, E_PEER_UNSUPPORTED.
 */
must_check struct err model_root_open(const char *path, struct model_root *ret, struct reason *reterr);

/* Called once for each file; path is borrowed for the call, and so is blob: the name in blobs_fd, or NULL. */
typedef struct err model_each(void *ctx, const char *path, const char *blob, const struct file_id *id,
			      struct reason *reterr);

/*
 * Calls each for every regular file, in no order. Ends with the first failure:
 * that of `each`, E_PEER_UNSUPPORTED (another symbolic link, special file),
 * E_PEER_SYNTAX (name), E_LIMIT_COUNT (more than LIMIT_MODEL_FILES entries),
 * E_LIMIT_DEPTH (LIMIT_MODEL_DEPTH), E_LIMIT_SIZE (path of LIMIT_PATH bytes),
 * E_PEER_CHANGED (a folder or file vanished on the way), E_LOCAL_*.
 */
must_check struct err model_walk(const struct model_root *root, model_each *each, void *ctx, struct reason *reterr);

#endif
