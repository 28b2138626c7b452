/* SPDX-License-Identifier: Apache-2.0 */
#include "firmware-measure/fsverity.h"

#include <fcntl.h>
#include <linux/fsverity.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/log.h"
#include "base/rd.h"
#include "firmware-measure/jobs.h"

#define BLOCK ((size_t)4096)
#define PER_BLOCK (BLOCK / 32)                 /* hashes in a block of the tree */
#define UNIT (BLOCK * PER_BLOCK * PER_BLOCK)   /* bytes below one hash of the second level: one thread's work */
#define CHUNK (JOB_BUFFER_LEN / 2)             /* bytes read at once; the other half holds the hashes of a unit */
#define DESCRIPTOR ((size_t)256)

_Static_assert(UNIT / BLOCK * 32 <= JOB_BUFFER_LEN - CHUNK, "the hashes of a unit have room");

/* A part of a file, and after it was read the root of the tree above it. */
struct unit {
	size_t item;
	uint64_t off, len;
	uint8_t root[32];
};

struct run {
	int root_fd;
	struct hash_item *items;
	struct unit *units;
	bool *kept;
};

static struct err hash_block(struct hasher *h, struct bytes part, uint8_t ret[32])
{
	static const uint8_t zero[BLOCK];
	struct digest d;
	struct err e;

	if (failed(e = hasher_add(h, part)) || failed(e = hasher_add(h, BYTES(zero, BLOCK - part.n))) ||
	    failed(e = hasher_finish(h, &d)))
		return e;
	return bytes_copy_exact(digest_bytes(&d), ret, 32);
}

/* One level up, in place: n hashes become one for each block of them. */
static struct err level_up(struct hasher *h, uint8_t (*hashes)[32], size_t *n)
{
	size_t n_up = 0;
	struct err e;

	for (size_t at = 0; at < *n; at += PER_BLOCK) {
		size_t part = *n - at < PER_BLOCK ? *n - at : PER_BLOCK;

		if (failed(e = hash_block(h, BYTES(hashes[at], 32 * part), hashes[n_up++])))
			return e;
	}
	*n = n_up;
	return ERR(E_OK);
}

/* Hashes of the blocks of a unit. */
static struct err hash_leaves(struct jobs *j, const struct job_kit *kit, int fd, const char *path, const struct unit *u,
			      uint8_t (*hashes)[32], size_t *ret_n, struct reason *reterr)
{
	size_t n = 0;
	struct err e;

	for (uint64_t done = 0; done < u->len && !jobs_stopped(j);) {
		size_t want = u->len - done < CHUNK ? (size_t)(u->len - done) : CHUNK, have = 0;

		while (have < want) {
			size_t got = 0;

			if (failed(e = filehash_chunk(fd, path, kit->buffer + have, want - have, &got, reterr)))
				return e;
			have += got;
		}
		for (size_t at = 0; at < have; at += BLOCK) {
			size_t part = have - at < BLOCK ? have - at : BLOCK;

			if (failed(e = hash_block(kit->h, BYTES(kit->buffer + at, part), hashes[n++])))
				return e;
		}
		done += have;
		jobs_done(j, have);
	}
	*ret_n = n;
	return ERR(E_OK);
}

static struct err open_item(const struct run *run, const struct hash_item *item, int *ret_fd, struct reason *reterr)
{
	cleanup_fd int fd = -1;
	struct file_id id;
	struct err e;

	e = item->blob != NULL ? filehash_open(item->blobs_fd, item->blob, &fd, &id, reterr) :
				 filehash_open(run->root_fd, item->path, &fd, &id, reterr);
	/* It was a regular file when its id was taken. */
	if (e.code == E_LOCAL_NOT_FOUND || e.code == E_PEER_UNSUPPORTED)
		return ERR(E_PEER_CHANGED);
	if (failed(e) || failed(e = filehash_unchanged(fd, item->path, &item->id, reterr)))
		return e;
	*ret_fd = take_fd(&fd);
	return ERR(E_OK);
}

static struct err hash_unit(void *ctx, size_t i, struct jobs *j, const struct job_kit *kit, struct reason *reterr)
{
	const struct run *run = ctx;
	struct unit *u = &run->units[i];
	const struct hash_item *item = &run->items[u->item];
	uint8_t (*hashes)[32] = (uint8_t (*)[32])(kit->buffer + CHUNK);
	cleanup_fd int fd = -1;
	size_t n = 0;
	struct err e;

	if (failed(e = open_item(run, item, &fd, reterr)))
		return e;
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	if (lseek(fd, (off_t)u->off, SEEK_SET) != (off_t)u->off)
		return ERR(E_LOCAL_IO);
	if (failed(e = hash_leaves(j, kit, fd, item->path, u, hashes, &n, reterr)) ||
	    failed(e = filehash_unchanged(fd, item->path, &item->id, reterr)))
		return e;
	if (jobs_stopped(j) || n == 0)
		return ERR(E_OK);
	/* A file of one unit has its root here; of several, each is one hash of the second level. */
	for (unsigned level = 0; item->id.size > UNIT ? level < 2 : n > 1; level++)
		if (failed(e = level_up(kit->h, hashes, &n)))
			return e;
	memcpy(u->root, hashes[0], sizeof(u->root));
	return ERR(E_OK);
}

static struct err digest_of_root(const uint8_t root[32], uint64_t size, uint8_t ret[32])
{
	static const uint8_t zero[DESCRIPTOR];
	cleanup_buf struct buf d = BUF_INIT(DESCRIPTOR);
	struct err e;

	/* version, SHA-256, 2^12, salt of no bytes, four zeros, size, root; the rest is zero */
	if (failed(e = buf_add(&d, BYTES_LIT("\1\1\14\0\0\0\0\0"))))
		return e;
	for (unsigned i = 0; i < 8; i++)
		if (failed(e = buf_add_u8(&d, (uint8_t)(size >> (8 * i)))))
			return e;
	if (failed(e = buf_add(&d, BYTES(root, 32))) || failed(e = buf_add(&d, BYTES(zero, DESCRIPTOR - d.n))))
		return e;
	return sha256(buf_bytes(&d), ret);
}

/* What the kernel holds for the open file, and compares every read with. False: nothing, or another algorithm. */
static bool measured(int fd, uint8_t ret[32])
{
	_Alignas(struct fsverity_digest) uint8_t room[sizeof(struct fsverity_digest) + 64] = { 0 };
	struct fsverity_digest *d = (struct fsverity_digest *)(void *)room;

	d->digest_size = 64;
	if (ioctl(fd, FS_IOC_MEASURE_VERITY, d) != 0 || d->digest_algorithm != FS_VERITY_HASH_ALG_SHA256 ||
	    d->digest_size != 32)
		return false;
	memcpy(ret, d->digest, 32);
	return true;
}

/*
 * The digest that the file system keeps. Block size and salt must be ours, or the
 * same content would have another digest: so the descriptor is read, made again
 * in our form, and must give what the kernel holds. Otherwise it is computed.
 */
static struct err kept_digest(int fd, uint64_t size, bool *ret_there, uint8_t ret[32])
{
	uint8_t d[DESCRIPTOR] = { 0 }, held[32], ours[32];
	struct fsverity_read_metadata_arg arg = {
		.metadata_type = FS_VERITY_METADATA_TYPE_DESCRIPTOR,
		.length = sizeof(d),
		.buf_ptr = (uint64_t)(uintptr_t)d,
	};
	struct rd r = RD(BYTES_ARR(d));
	struct bytes head, root;
	struct err e;

	*ret_there = false;
	if (!measured(fd, held) || ioctl(fd, FS_IOC_READ_VERITY_METADATA, &arg) != (int)sizeof(d))
		return ERR(E_OK);
	if (failed(rd_bytes(&r, 16, &head)) || failed(rd_bytes(&r, 32, &root)))
		return ERR(E_BUG);
	if (failed(e = digest_of_root(root.p, size, ours)))
		return e;
	*ret_there = bytes_eq(BYTES_ARR(held), BYTES_ARR(ours));
	memcpy(ret, ours, sizeof(ours));
	return ERR(E_OK);
}

static struct err ask_kernel(const struct run *run, size_t n, size_t *ret_n_kept, struct reason *reterr)
{
	struct err e;

	for (size_t i = 0; i < n; i++) {
		struct hash_item *item = &run->items[i];
		cleanup_fd int fd = -1;

		if (failed(e = open_item(run, item, &fd, reterr)) ||
		    failed(e = kept_digest(fd, item->id.size, &run->kept[i], item->sha256)) ||
		    failed(e = filehash_unchanged(fd, item->path, &item->id, reterr)))
			return e;
		*ret_n_kept += run->kept[i] ? 1 : 0;
	}
	return ERR(E_OK);
}

static struct err plan(struct run *run, size_t n, size_t *ret_n_units)
{
	size_t n_units = 0, k = 0;

	for (size_t i = 0; i < n; i++)
		if (!run->kept[i] && __builtin_add_overflow(n_units, run->items[i].id.size / UNIT + 1, &n_units))
			return ERR(E_LIMIT_SIZE);
	run->units = calloc(n_units + 1, sizeof(*run->units));
	if (run->units == NULL)
		return ERR(E_LOCAL_MEMORY);
	for (size_t i = 0; i < n; i++) {
		uint64_t size = run->items[i].id.size;

		for (uint64_t off = 0; !run->kept[i] && off < size;) {
			uint64_t len = size - off < UNIT ? size - off : UNIT;

			run->units[k++] = (struct unit){ .item = i, .off = off, .len = len };
			off += len;
		}
	}
	*ret_n_units = k;
	return ERR(E_OK);
}

/* The tree above the units of each file; they stand in the order of files and of offsets. */
static struct err finish(const struct run *run, size_t n, size_t n_units)
{
	cleanup_hasher struct hasher *h = NULL;
	size_t k = 0;
	struct err e;

	if (failed(e = hasher_new(DIGEST_SHA256, &h)))
		return e;
	for (size_t i = 0; i < n; i++) {
		static const uint8_t of_nothing[32];
		size_t first = k, left;

		if (run->kept[i])
			continue;
		while (k < n_units && run->units[k].item == i)
			k++;
		left = k - first;
		cleanup_free uint8_t (*hashes)[32] = calloc(left + 1, sizeof(*hashes));

		if (hashes == NULL)
			return ERR(E_LOCAL_MEMORY);
		for (size_t at = 0; at < left; at++)
			memcpy(hashes[at], run->units[first + at].root, sizeof(hashes[at]));
		while (left > 1)
			if (failed(e = level_up(h, hashes, &left)))
				return e;
		if (failed(e = digest_of_root(left > 0 ? hashes[0] : of_nothing, run->items[i].id.size,
					      run->items[i].sha256)))
			return e;
	}
	return ERR(E_OK);
}

struct err fsverity_run(int root_fd, size_t n, struct hash_item *items, const struct model_options *options,
			size_t *ret_n_kept, struct reason *reterr)
{
	cleanup_free bool *kept = calloc(n + 1, sizeof(*kept));
	struct run run = { .root_fd = root_fd, .items = items, .kept = kept };
	cleanup_free uint64_t *sizes = NULL;
	cleanup_free struct unit *units = NULL;
	size_t n_units = 0, n_kept = 0;
	struct err e;

	if (kept == NULL)
		return ERR(E_LOCAL_MEMORY);
	if (failed(e = ask_kernel(&run, n, &n_kept, reterr)) || failed(e = plan(&run, n, &n_units)))
		return e;
	units = run.units;
	sizes = calloc(n_units + 1, sizeof(*sizes));
	if (sizes == NULL)
		return ERR(E_LOCAL_MEMORY);
	for (size_t i = 0; i < n_units; i++)
		sizes[i] = units[i].len;
	if (failed(e = jobs_run(n_units, sizes, hash_unit, &run, options, reterr)) ||
	    failed(e = finish(&run, n, n_units)))
		return e;
	*ret_n_kept = n_kept;
	return ERR(E_OK);
}
