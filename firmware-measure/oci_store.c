/* SPDX-License-Identifier: Apache-2.0 */
#include "firmware-measure/oci_store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/log.h"
#include "firmware-measure/model_walk.h"

#define BLOBS "blobs/sha256/"

void store_done(struct store *s)
{
	archive_done(&s->archive);
	cleanup_fd_(&s->fd);
}

static struct err open_archive(const struct model_root *around, struct store *s, struct reason *reterr)
{
	struct span whole;
	struct err e;

	s->is_archive = true;
	if (failed(e = filehash_open(around->fd, around->only, &s->fd, &s->id, reterr)))
		return e;
	if (s->id.size > LIMIT_IMAGE_BYTES) {
		reason_set(reterr, "%s has %ju bytes, at most %ju are accepted", log_quote(bytes_str(around->only)),
			   (uintmax_t)s->id.size, (uintmax_t)LIMIT_IMAGE_BYTES);
		return ERR(E_LIMIT_SIZE);
	}
	whole = (struct span){ .fd = s->fd, .size = s->id.size, .name = around->only };
	if (failed(e = archive_index(&whole, &s->archive, reterr)))
		return e;
	return filehash_unchanged(s->fd, around->only, &s->id, reterr);
}

struct err store_open(const char *path, struct store *ret, struct reason *reterr)
{
	cleanup_model_root struct model_root root = { .fd = -1 };
	cleanup_store struct store s = STORE_NONE;
	struct err e;

	if (failed(e = model_root_open(path, &root, reterr)))
		return e;
	if (root.only[0] == '\0')
		s.fd = take_fd(&root.fd);
	else if (failed(e = open_archive(&root, &s, reterr)))
		return e;
	*ret = s;
	s = (struct store)STORE_NONE;
	return ERR(E_OK);
}

bool store_may_have(const struct store *s, const char *name)
{
	return !s->is_archive || archive_find(&s->archive, name) != NULL;
}

static struct err open_member(const struct store *s, const char *name, struct blob *ret, struct reason *reterr)
{
	const struct archive_member *m = archive_find(&s->archive, name);

	if (m == NULL) {
		reason_set(reterr, "%s: not in the archive", log_quote(bytes_str(name)));
		return ERR(E_LOCAL_NOT_FOUND);
	}
	if (!m->is_file) {
		reason_set(reterr, "%s is a symbolic link, expected a regular file", log_quote(bytes_str(name)));
		return ERR(E_PEER_UNSUPPORTED);
	}
	*ret = (struct blob){
		.span = { .fd = s->fd, .offset = m->offset, .size = m->size, .name = name },
		.id = s->id,
		.own_fd = -1,
	};
	return ERR(E_OK);
}

struct err store_blob_open(const struct store *s, const char *name, struct blob *ret, struct reason *reterr)
{
	struct file_id id;
	struct err e;
	int fd = -1;

	if (s->is_archive)
		return open_member(s, name, ret, reterr);
	if (failed(e = filehash_open(s->fd, name, &fd, &id, reterr)))
		return e;
	*ret = (struct blob){
		.span = { .fd = fd, .size = id.size, .name = name },
		.id = id,
		.own_fd = fd,
	};
	return ERR(E_OK);
}

struct err blob_unchanged(const struct blob *b, struct reason *reterr)
{
	return filehash_unchanged(b->span.fd, b->span.name, &b->id, reterr);
}

struct err store_read(const struct store *s, const char *name, struct buf *ret, struct reason *reterr)
{
	cleanup_buf struct buf b = BUF_INIT(ret->max);
	cleanup_blob struct blob blob = BLOB_NONE;
	struct err e;

	if (failed(e = store_blob_open(s, name, &blob, reterr)))
		return e;
	if (blob.span.size > b.max) {
		reason_set(reterr, "%s has %ju bytes, at most %zu are accepted", log_quote(bytes_str(name)),
			   (uintmax_t)blob.span.size, b.max);
		return ERR(E_LIMIT_SIZE);
	}
	while (b.n < blob.span.size) {
		uint8_t chunk[8192];
		size_t got = 0;

		if (failed(e = span_read(&blob.span, b.n, chunk, sizeof(chunk), &got, reterr)) ||
		    failed(e = buf_add(&b, BYTES(chunk, got))))
			return e;
	}
	if (failed(e = blob_unchanged(&blob, reterr)))
		return e;
	return buf_add(ret, buf_bytes(&b));
}

static inline void cleanup_dir_(DIR **d)
{
	if (*d != NULL)
		(void)closedir(*d);
}
#define cleanup_dir cleanup(cleanup_dir_)

static struct err list_folder(const struct store *s, store_each *each, void *ctx, struct reason *reterr)
{
	cleanup_fd int blobs = -1, fd = -1;
	cleanup_dir DIR *d = NULL;
	struct dirent *entry;
	size_t n = 0;
	struct err e;

	if (failed(e = filehash_open_folder(s->fd, "blobs", &blobs, reterr)) ||
	    failed(e = filehash_open_folder(blobs, "sha256", &fd, reterr)))
		return e;
	d = fdopendir(fd);
	if (d == NULL)
		return ERR(E_LOCAL_MEMORY);
	fd = -1; /* the stream's now */
	for (errno = 0; (entry = readdir(d)) != NULL; errno = 0) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (n++ == LIMIT_ARCHIVE_MEMBERS) {
			reason_set(reterr, "more than %d blobs", LIMIT_ARCHIVE_MEMBERS);
			return ERR(E_LIMIT_COUNT);
		}
		if (failed(e = each(ctx, entry->d_name, reterr)))
			return e;
	}
	return errno == 0 ? ERR(E_OK) : ERR(E_LOCAL_IO);
}

struct err store_list_blobs(const struct store *s, store_each *each, void *ctx, struct reason *reterr)
{
	struct err e;

	if (!s->is_archive)
		return list_folder(s, each, ctx, reterr);
	for (size_t i = 0; i < s->archive.n; i++) {
		const char *name = s->archive.v[i].name;

		if (strncmp(name, BLOBS, strlen(BLOBS)) == 0 && failed(e = each(ctx, name + strlen(BLOBS), reterr)))
			return e;
	}
	return ERR(E_OK);
}
