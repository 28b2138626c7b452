/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A root file system as a sorted list of what it consists of, and its digest.
 * It is made of the layers of an image (layer.h), merged here, or of a folder
 * (tree_walk.h); both give the same digest for the same root.
 *
 * Order is that of a walk: a folder, then what is in it, names compared
 * bytewise. The digest is
 *
 *   SHA-256("assay rootfs v1" 00, then for each entry
 *           type           1 byte: d f l c b p, or h for another name of an entry above
 *           path           u32be length, bytes; relative, the root itself is empty
 *    h:     first path     u32be length, bytes: of the first name in this order
 *    else:  mode, uid, gid u32be each; mode is 07777 of st_mode
 *           attributes     u32be length, xattrs_encode()
 *    f:     u64be size, SHA-256 of the content
 *    l:     target         u32be length, bytes
 *    c, b:  u32be major, u32be minor)
 *
 * The mode of a symbolic link counts as 0777. Of the root folder's own mode only
 * 07022 counts: images seldom hold it, and unpackers choose between 0755 and
 * 0555. Without owners the domain is "assay rootfs without owners v1" and uid
 * and gid are 0.
 */
#ifndef ASSAY_MEASURE_TREE_H
#define ASSAY_MEASURE_TREE_H

#include <stdatomic.h>

#include "base/bytes.h"
#include "base/limits.h"
#include "firmware-measure/pile.h"

/* What the names of a file share. Text and attributes lie in a pile. */
struct tree_inode {
	char type; /* d f l c b p */
	uint32_t mode, uid, gid, major, minor;
	uint64_t size;       /* f */
	uint8_t sha256[32];  /* f */
	const char *target;  /* l */
	struct bytes xattrs; /* encoded */
	const char *first;   /* tree_digest()'s: the first name */
};

enum tree_kind {
	TREE_WHITEOUT, /* in a layer: what lower layers have there is gone */
	TREE_OPAQUE,   /* in a layer: what lower layers have below that folder is gone */
	TREE_NODE,
	TREE_LINK, /* in a layer: another name of what `link` names */
};

struct tree_entry {
	const char *path; /* "" is the root */
	enum tree_kind kind;
	struct tree_inode *inode; /* of a link: set when its layer is applied */
	const char *link;
	size_t seq; /* place in its layer */
};

struct tree {
	size_t n, cap;
	struct tree_entry **v; /* sorted by tree_path_cmp() once tree_sort() was called */
	struct pile pile;      /* what the entries lie in, beside those of the layers */
};
void tree_done(struct tree *t);
#define cleanup_tree cleanup(tree_done)

/* "a symbolic link": what an inode's type is, for reasons. Static string. */
const char *tree_type_text(char type);

/* <0, 0, >0: the order of a walk. */
int tree_path_cmp(const char *a, const char *b);

/* Says that the budget of a pile is used up; returns e. */
must_check struct err tree_too_large(struct bytes path, struct err e, struct reason *reterr);

/* A new entry in the tree's pile, in no list; a node has an inode of its own. E_LIMIT_COUNT, E_LIMIT_SIZE,
 * E_LOCAL_MEMORY. */
must_check struct err tree_entry_new(struct tree *t, enum tree_kind kind, struct bytes path, struct tree_entry **ret,
				     struct reason *reterr);

/* The same at the end of the tree's list. */
must_check struct err tree_add(struct tree *t, enum tree_kind kind, struct bytes path, struct tree_entry **ret,
			       struct reason *reterr);

/* Sorts. E_PEER_DUPLICATE for a name that stands there twice, unless both are folders: then the later one counts. */
must_check struct err tree_sort(struct tree *t, struct reason *reterr);

/* The empty root: one folder, 0755, of root. */
must_check struct err tree_root(struct tree *t, struct reason *reterr);

/*
 * Puts a layer, sorted, on top of a root. The root borrows its entries.
 * Whiteouts act on what is below only; a folder above a folder keeps what is in
 * it; anything else replaces. Folders that an entry needs and nobody has are
 * 0755 and of root.
 *
 * E_PEER_UNSUPPORTED: an entry below what is no folder (unpackers disagree on
 * whether to follow a link there); E_PEER_RANGE: a hard link to what is not
 * there, to a folder, or to what only follows it.
 */
must_check struct err tree_apply(struct tree *root, const struct tree *layer, struct reason *reterr);

/* Entry of that path in a sorted tree, or NULL. Of a layer: the node or link. */
struct tree_entry *tree_find(const struct tree *t, const char *path);

/* The digest, owners or not. Every entry is a node or a resolved link. */
must_check struct err tree_digest(const struct tree *t, bool ignore_owner, uint8_t ret[32]);

#endif
