/* SPDX-License-Identifier: Apache-2.0 */
/* filehash_run(). */
#include <fcntl.h>
#include <string.h>

#include "base/log.h"
#include "firmware-measure/filehash.h"
#include "firmware-measure/jobs.h"

struct run {
	int root_fd;
	struct hash_item *items;
};

static uint64_t item_len(const struct hash_item *item)
{
	return item->len > 0 ? item->len : item->id.size;
}

static struct err seek(int fd, const struct hash_item *item, struct reason *reterr)
{
	if (item->off == 0 || lseek(fd, (off_t)item->off, SEEK_SET) == (off_t)item->off)
		return ERR(E_OK);
	reason_set(reterr, "%s: no reading at %ju", log_quote(bytes_str(item->path)), (uintmax_t)item->off);
	return ERR(E_LOCAL_IO);
}

static struct err hash_content(struct jobs *j, const struct job_kit *kit, int fd, const struct hash_item *item,
			       struct reason *reterr)
{
	uint64_t left = item_len(item);
	struct err e;

	while (left > 0 && !jobs_stopped(j)) {
		size_t want = left < JOB_BUFFER_LEN ? (size_t)left : JOB_BUFFER_LEN, got = 0;

		if (failed(e = filehash_chunk(fd, item->path, kit->buffer, want, &got, reterr)) ||
		    failed(e = hasher_add(kit->h, BYTES(kit->buffer, got))))
			return e;
		left -= got;
		jobs_done(j, got);
	}
	return ERR(E_OK);
}

static struct err hash_one(void *ctx, size_t i, struct jobs *j, const struct job_kit *kit, struct reason *reterr)
{
	const struct run *run = ctx;
	struct hash_item *item = &run->items[i];
	cleanup_fd int fd = -1;
	struct file_id id;
	struct digest d;
	struct err e;

	e = item->blob != NULL ? filehash_open(item->blobs_fd, item->blob, &fd, &id, reterr) :
				 filehash_open(run->root_fd, item->path, &fd, &id, reterr);
	/* It was a regular file when its id was taken. */
	if (e.code == E_LOCAL_NOT_FOUND || e.code == E_PEER_UNSUPPORTED)
		return ERR(E_PEER_CHANGED);
	if (failed(e))
		return e;
	if (!file_id_equal(&id, &item->id)) {
		reason_set(reterr, "%s changed before it was read", log_quote(bytes_str(item->path)));
		return ERR(E_PEER_CHANGED);
	}
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	if (failed(e = seek(fd, item, reterr)) || failed(e = hash_content(j, kit, fd, item, reterr)) ||
	    failed(e = filehash_unchanged(fd, item->path, &item->id, reterr)) ||
	    failed(e = hasher_finish(kit->h, &d)))
		return e;
	return bytes_copy_exact(digest_bytes(&d), item->sha256, sizeof(item->sha256));
}

struct err filehash_run(int root_fd, size_t n, struct hash_item *items, const struct model_options *options,
			struct reason *reterr)
{
	cleanup_free uint64_t *size = calloc(n + 1, sizeof(*size));
	struct run run = { .root_fd = root_fd, .items = items };

	if (size == NULL)
		return ERR(E_LOCAL_MEMORY);
	for (size_t i = 0; i < n; i++)
		size[i] = item_len(&items[i]);
	return jobs_run(n, size, hash_one, &run, options, reterr);
}
