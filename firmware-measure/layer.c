/* SPDX-License-Identifier: Apache-2.0 */
#include "firmware-measure/layer.h"

#include <string.h>

#include "base/digest.h"
#include "base/log.h"

#define WHITEOUT ".wh."
#define OPAQUE ".wh..wh..opq"

struct reader {
	struct tar tar;
	struct hasher *hasher;
	bool allow_devices;
	struct tree *tree;
	struct buf path, link; /* of the entry, in the form of tar_path() */
	struct reason *reterr;
};

/* Small contents, and that is most of them, come in one piece. */
static struct err content(struct reader *r, const struct tar_entry *in, uint8_t ret[32])
{
	struct bytes piece = BYTES_NONE;
	struct digest d;
	struct err e;

	if (failed(e = tar_content(&r->tar, &piece, r->reterr)))
		return e;
	if (piece.n == in->size)
		return sha256(piece, ret);
	while (piece.n > 0) {
		if (failed(e = hasher_add(r->hasher, piece)) || failed(e = tar_content(&r->tar, &piece, r->reterr)))
			return e;
	}
	if (failed(e = hasher_finish(r->hasher, &d)))
		return e;
	return bytes_copy_exact(digest_bytes(&d), ret, 32);
}

static struct err attributes(struct reader *r, const struct tar_entry *in, struct tree_inode *inode)
{
	cleanup_buf struct buf b = BUF_INIT(LIMIT_XATTR_BYTES);
	const char *text = NULL;
	struct err e;

	if (in->xattrs->n == 0)
		return ERR(E_OK);
	if (failed(e = xattrs_encode(in->xattrs, &b)))
		return e;
	if (failed(e = pile_copy(&r->tree->pile, buf_bytes(&b), &text)))
		return tree_too_large(buf_bytes(&r->path), e, r->reterr);
	inode->xattrs = BYTES(text, b.n);
	return ERR(E_OK);
}

static struct err symlink_target(struct reader *r, const struct tar_entry *in, struct tree_inode *inode)
{
	struct err e;

	if (!path_text_valid(in->link) || in->link.n >= LIMIT_PATH) {
		reason_set(r->reterr, "%s: targets must be UTF-8 without control characters, of at most %d bytes",
			   log_quote(buf_bytes(&r->path)), LIMIT_PATH - 1);
		return ERR(E_PEER_SYNTAX);
	}
	if (failed(e = pile_copy(&r->tree->pile, in->link, &inode->target)))
		return tree_too_large(buf_bytes(&r->path), e, r->reterr);
	return ERR(E_OK);
}

static struct err special(const struct reader *r, const struct tar_entry *in)
{
	if (r->allow_devices)
		return ERR(E_OK);
	reason_set(r->reterr, "%s is %s, which has to be allowed", log_quote(buf_bytes(&r->path)),
		   tar_type_text(in->type));
	return ERR(E_PEER_UNSUPPORTED);
}

static struct err node(struct reader *r, const struct tar_entry *in)
{
	static const char types[] = { [TAR_FILE] = 'f',  [TAR_SYMLINK] = 'l', [TAR_CHAR] = 'c',
				      [TAR_BLOCK] = 'b', [TAR_FOLDER] = 'd',  [TAR_FIFO] = 'p' };
	bool is_special = in->type == TAR_CHAR || in->type == TAR_BLOCK || in->type == TAR_FIFO;
	struct tree_entry *entry = NULL;
	struct tree_inode *i;
	struct err e;

	if (is_special && failed(e = special(r, in)))
		return e;
	if (failed(e = tree_add(r->tree, TREE_NODE, buf_bytes(&r->path), &entry, r->reterr)))
		return e;
	i = entry->inode;
	i->type = types[in->type];
	i->mode = in->mode;
	i->uid = in->uid;
	i->gid = in->gid;
	i->major = in->major;
	i->minor = in->minor;
	i->size = in->size;
	if (failed(e = attributes(r, in, i)))
		return e;
	if (in->type == TAR_FILE)
		return content(r, in, i->sha256);
	return in->type == TAR_SYMLINK ? symlink_target(r, in, i) : ERR(E_OK);
}

static struct err hard_link(struct reader *r, const struct tar_entry *in)
{
	struct tree_entry *entry = NULL;
	struct reason why = { "" };
	struct err e;

	if (failed(e = tar_path(in->link, &r->link, &why))) {
		reason_set(r->reterr, "%s is a hard link: %s", log_quote(buf_bytes(&r->path)), why.text);
		return e;
	}
	if (failed(e = tree_add(r->tree, TREE_LINK, buf_bytes(&r->path), &entry, r->reterr)))
		return e;
	if (failed(e = pile_copy(&r->tree->pile, buf_bytes(&r->link), &entry->link)))
		return tree_too_large(buf_bytes(&r->path), e, r->reterr);
	return ERR(E_OK);
}

static bool begins_with(struct bytes b, struct bytes prefix)
{
	return b.n >= prefix.n && bytes_eq(BYTES(b.p, prefix.n), prefix);
}

static struct err reserved(const struct reader *r)
{
	reason_set(r->reterr, "%s: names that begin with " WHITEOUT " are for whiteouts, and this is none",
		   log_quote(buf_bytes(&r->path)));
	return ERR(E_PEER_UNSUPPORTED);
}

/* Where the last component begins. A component before it must not be called like a whiteout. */
static struct err last_component(const struct reader *r, size_t *ret)
{
	size_t at = 0;

	for (size_t i = 0; i < r->path.n; i++) {
		if (r->path.p[i] != '/')
			continue;
		if (begins_with(BYTES(r->path.p + at, i - at), BYTES_LIT(WHITEOUT)))
			return reserved(r);
		at = i + 1;
	}
	*ret = at;
	return ERR(E_OK);
}

/* An empty file that says what is gone. name: its last component, which begins at `at`. */
static struct err whiteout(struct reader *r, const struct tar_entry *in, size_t at)
{
	struct bytes name = BYTES(r->path.p + at, r->path.n - at);
	struct bytes hidden = BYTES(name.p + strlen(WHITEOUT), name.n - strlen(WHITEOUT));
	cleanup_buf struct buf path = BUF_INIT(LIMIT_PATH);
	struct tree_entry *entry = NULL;
	bool opaque = bytes_eq(name, BYTES_LIT(OPAQUE));
	struct err e;

	if (in->type != TAR_FILE || in->size > 0 || hidden.n == 0 || bytes_eq(hidden, BYTES_LIT(".")) ||
	    bytes_eq(hidden, BYTES_LIT("..")) || (!opaque && begins_with(hidden, BYTES_LIT(WHITEOUT))))
		return reserved(r);
	if (failed(e = buf_add(&path, BYTES(r->path.p, opaque && at > 0 ? at - 1 : at))) ||
	    (!opaque && failed(e = buf_add(&path, hidden))))
		return e;
	return tree_add(r->tree, opaque ? TREE_OPAQUE : TREE_WHITEOUT, buf_bytes(&path), &entry, r->reterr);
}

static struct err take(struct reader *r, const struct tar_entry *in)
{
	size_t at = 0;
	struct err e;

	buf_clear(&r->path);
	buf_clear(&r->link);
	if (failed(e = tar_path(in->name, &r->path, r->reterr)) || failed(e = last_component(r, &at)))
		return e;
	if (r->path.n == 0 && in->type != TAR_FOLDER) {
		reason_set(r->reterr, "the root is %s", tar_type_text(in->type));
		return ERR(E_PEER_UNSUPPORTED);
	}
	if (begins_with(BYTES(r->path.p + at, r->path.n - at), BYTES_LIT(WHITEOUT)))
		return whiteout(r, in, at);
	return in->type == TAR_HARD_LINK ? hard_link(r, in) : node(r, in);
}

static void reader_done(struct reader *r)
{
	tar_done(&r->tar);
	buf_free(&r->path);
	buf_free(&r->link);
}

struct err layer_read(const struct tar_source *source, struct hasher *hasher, bool allow_devices, struct tree *ret,
		      struct reason *reterr)
{
	cleanup(reader_done) struct reader r = {
		.hasher = hasher,
		.allow_devices = allow_devices,
		.tree = ret,
		.path = BUF_INIT(LIMIT_PATH),
		.link = BUF_INIT(LIMIT_PATH),
		.reterr = reterr,
	};
	struct tar_entry entry;
	bool end = false;
	struct err e;

	tar_init(&r.tar, source);
	r.tar.open_end = true; /* umoci insert writes no end; what is missing changes the diff_id */
	for (;;) {
		if (failed(e = tar_next(&r.tar, &entry, &end, reterr)))
			return e;
		if (end)
			return tree_sort(ret, reterr);
		if (failed(e = take(&r, &entry)))
			return e;
	}
}
