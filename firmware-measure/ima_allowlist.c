/* SPDX-License-Identifier: Apache-2.0 */
#include "firmware-measure/ima_allowlist.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/rd.h"

#define MAGIC "ASSAYIMA"
#define VERSION 1
/*
 * Digests per pattern of leading bits: few, so that a guess by the bits behind
 * is off by two or three; not fewer, so that the index stays in a cache and
 * only the file has to be waited for.
 */
#define PER_PATTERN_LOG2 5
#define INDEX_BITS_MAX 26
/* Longest run of digests that is walked one by one. */
#define RUN_MAX 256
/* Bytes on each side of the guess that are asked for ahead. */
#define AHEAD 64
#define CACHE_LINE 64

struct ima_allowlist {
	const uint8_t *map;
	size_t map_len;
	const uint8_t *first; /* digest */
	size_t count, size;   /* digests, bytes of one */
	enum digest_id alg;
	enum ima_digest_kind kind;
	unsigned bits;   /* leading bits that the index goes by */
	uint32_t *index; /* first digest of each pattern, and count behind the last */
};

void ima_allowlist_free(struct ima_allowlist *a)
{
	if (a == NULL)
		return;
	if (a->map_len > 0)
		(void)munmap((void *)(uintptr_t)a->map, a->map_len);
	free(a->index);
	free(a);
}

size_t ima_allowlist_count(const struct ima_allowlist *a)
{
	return a->count;
}

enum digest_id ima_allowlist_alg(const struct ima_allowlist *a)
{
	return a->alg;
}

enum ima_digest_kind ima_allowlist_kind(const struct ima_allowlist *a)
{
	return a->kind;
}

static size_t index_len(unsigned bits)
{
	return ((size_t)1 << bits) + 1;
}

size_t ima_allowlist_index_size(const struct ima_allowlist *a)
{
	return index_len(a->bits) * sizeof(a->index[0]);
}

struct err ima_allowlist_sha256(const struct ima_allowlist *a, uint8_t ret[32])
{
	return sha256(BYTES(a->map, a->map_len), ret);
}

static struct err open_failed(struct reason *reterr)
{
	reason_set(reterr, "cannot open the allowlist: %s", strerror(errno));
	switch (errno) {
	case ENOENT:
	case ENOTDIR:
		return ERR(E_LOCAL_NOT_FOUND);
	case EACCES:
	case EPERM:
		return ERR(E_LOCAL_PERMISSION);
	case ENOMEM:
		return ERR(E_LOCAL_MEMORY);
	default:
		return ERR(E_LOCAL_IO);
	}
}

static struct err map_file(struct ima_allowlist *a, int dir_fd, const char *path, struct reason *reterr)
{
	cleanup_fd int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;
	void *p;

	if (fd < 0 || fstat(fd, &st) != 0)
		return open_failed(reterr);
	if (!S_ISREG(st.st_mode)) {
		reason_set(reterr, "the allowlist is not a regular file");
		return ERR(E_LOCAL_IO);
	}
	if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
		reason_set(reterr, "group or others may write the allowlist: expected mode 0644 or less, seen %04o",
			   (unsigned)(st.st_mode & 07777));
		return ERR(E_LOCAL_PERMISSION);
	}
	if (st.st_size < IMA_ALLOWLIST_HEADER) {
		reason_set(reterr, "the allowlist is shorter than its header of %d bytes", IMA_ALLOWLIST_HEADER);
		return ERR(E_PEER_TRUNCATED);
	}
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (p == MAP_FAILED)
		return open_failed(reterr);
	a->map = p;
	a->map_len = (size_t)st.st_size;
	return ERR(E_OK);
}

static struct err header_read(struct ima_allowlist *a, struct reason *reterr)
{
	struct rd r = RD(BYTES(a->map, a->map_len));
	const struct digest_alg *alg;
	struct bytes magic, reserved, rest;
	uint32_t version;
	uint16_t tpm_alg, kind;
	uint64_t count;
	struct err e;

	if (failed(e = rd_bytes(&r, strlen(MAGIC), &magic)) || failed(e = rd_u32be(&r, &version)) ||
	    failed(e = rd_u16be(&r, &tpm_alg)) || failed(e = rd_u16be(&r, &kind)) || failed(e = rd_u64be(&r, &count)) ||
	    failed(e = rd_bytes(&r, 8, &reserved)))
		return e;
	rest = rd_rest(&r);
	if (!bytes_eq(magic, BYTES_LIT(MAGIC))) {
		reason_set(reterr, "not an allowlist: it does not begin with " MAGIC);
		return ERR(E_PEER_SYNTAX);
	}
	alg = digest_by_tpm_alg(tpm_alg);
	if (version != VERSION || alg == NULL || kind > IMA_DIGEST_VERITY) {
		reason_set(reterr, "allowlist of version %u, algorithm 0x%04x, kind %u: not known here", version,
			   tpm_alg, kind);
		return ERR(E_PEER_UNSUPPORTED);
	}
	if (!bytes_all(reserved, 0)) {
		reason_set(reterr, "reserved bytes of the allowlist are not zero");
		return ERR(E_PEER_SYNTAX);
	}
	if (count == 0 || count > UINT32_MAX) {
		reason_set(reterr, "an allowlist of %zu digests", (size_t)count);
		return ERR(E_PEER_RANGE);
	}
	if (rest.n / alg->size != count || rest.n % alg->size != 0) {
		reason_set(reterr, "expected %zu digests of %zu bytes, seen %zu bytes", (size_t)count, alg->size,
			   rest.n);
		return ERR(rest.n / alg->size < count ? E_PEER_TRUNCATED : E_PEER_TRAILING);
	}
	a->first = rest.p;
	a->count = (size_t)count;
	a->size = alg->size;
	a->alg = alg->id;
	a->kind = (enum ima_digest_kind)kind;
	return ERR(E_OK);
}

static const uint8_t *digest_at(const struct ima_allowlist *a, size_t i)
{
	return a->first + i * a->size;
}

/* The leading 32 bits, of which the index takes the first. */
static uint32_t pattern(const struct ima_allowlist *a, const uint8_t *d)
{
	return ((uint32_t)d[0] << 24 | (uint32_t)d[1] << 16 | (uint32_t)d[2] << 8 | d[3]) >> (32 - a->bits);
}

/* One pass checks the order and notes where each pattern begins. */
static struct err index_build(struct ima_allowlist *a, struct reason *reterr)
{
	size_t next = 0;

	a->bits = 4;
	while (a->bits < INDEX_BITS_MAX && a->count >> (a->bits + PER_PATTERN_LOG2) != 0)
		a->bits++;
	a->index = calloc(index_len(a->bits), sizeof(a->index[0]));
	if (a->index == NULL)
		return ERR(E_LOCAL_MEMORY);
	for (size_t i = 0; i < a->count; i++) {
		int order = i == 0 ? -1 : memcmp(digest_at(a, i - 1), digest_at(a, i), a->size);

		if (order >= 0) {
			reason_set(reterr, "digest %zu of the allowlist %s", i,
				   order == 0 ? "stands there twice" : "is out of order");
			return ERR(order == 0 ? E_PEER_DUPLICATE : E_PEER_NOT_CANONICAL);
		}
		for (size_t p = pattern(a, digest_at(a, i)); next <= p; next++)
			a->index[next] = (uint32_t)i;
	}
	for (; next < index_len(a->bits); next++)
		a->index[next] = (uint32_t)a->count;
	return ERR(E_OK);
}

struct err ima_allowlist_open(int dir_fd, const char *path, struct ima_allowlist **ret, struct reason *reterr)
{
	cleanup_ima_allowlist struct ima_allowlist *a = calloc(1, sizeof(*a));
	struct err e;

	if (a == NULL)
		return ERR(E_LOCAL_MEMORY);
	if (failed(e = map_file(a, dir_fd, path, reterr)) || failed(e = header_read(a, reterr)) ||
	    failed(e = index_build(a, reterr)))
		return e;
	/* From here on look-ups come anywhere; read-ahead would be waste. */
	(void)madvise((void *)(uintptr_t)a->map, a->map_len, MADV_RANDOM);
	*ret = take_ptr(&a);
	return ERR(E_OK);
}

/* Eight bytes as a number, so that most comparisons need no call. */
static uint64_t lead(const uint8_t *d)
{
	uint64_t v = 0;

	for (size_t i = 0; i < 8; i++)
		v = v << 8 | d[i];
	return v;
}

static bool comparable(const struct ima_allowlist *a, const struct ima_digest *d)
{
	return d->kind == a->kind && d->alg == a->alg && d->value.n == a->size;
}

/* Where among the digests lo..hi-1 (not none) that share the leading bits this one would stand if they were evenly
 * spread. */
static size_t guess(const struct ima_allowlist *a, const uint8_t *d, size_t lo, size_t hi)
{
	uint64_t behind = lead(d) << a->bits >> 32; /* the 32 bits behind the pattern */

	return lo + (size_t)((hi - lo) * behind >> 32);
}

static int compare(const struct ima_allowlist *a, const uint8_t *d, size_t i)
{
	uint64_t x = lead(d), y = lead(digest_at(a, i));

	return x != y ? (x < y ? -1 : 1) : memcmp(d, digest_at(a, i), a->size);
}

/* Digests are evenly spread unless somebody chose them: only then is a pattern's run long, and halved first. */
static void narrow(const struct ima_allowlist *a, const uint8_t *d, size_t *lo, size_t *hi)
{
	while (*hi - *lo > RUN_MAX) {
		size_t mid = *lo + (*hi - *lo) / 2;

		if (compare(a, d, mid) < 0)
			*hi = mid;
		else
			*lo = mid;
	}
}

/* The lines around the guess: asked for together they take the time of one. */
static void ask_for(const struct ima_allowlist *a, size_t i)
{
	size_t at = i * a->size, from = at > AHEAD ? at - AHEAD : 0, end = a->count * a->size;

	for (size_t off = from; off <= at + AHEAD && off < end; off += CACHE_LINE)
		__builtin_prefetch(a->first + off);
}

void ima_allowlist_prefetch(const struct ima_allowlist *a, const struct ima_digest *d)
{
	size_t lo, hi;
	uint32_t p;

	if (!comparable(a, d))
		return;
	p = pattern(a, d->value.p);
	lo = a->index[p];
	hi = a->index[p + 1];
	if (lo < hi)
		ask_for(a, guess(a, d->value.p, lo, hi));
}

bool ima_allowlist_has(const struct ima_allowlist *a, const struct ima_digest *d)
{
	const uint8_t *v = d->value.p;
	size_t lo, hi, i;
	uint32_t p;
	int order;

	if (!comparable(a, d))
		return false;
	p = pattern(a, v);
	lo = a->index[p];
	hi = a->index[p + 1];
	narrow(a, v, &lo, &hi);
	if (lo >= hi)
		return false;
	i = guess(a, v, lo, hi);
	ask_for(a, i);
	order = compare(a, v, i);
	if (order > 0)
		while (order > 0 && ++i < hi)
			order = compare(a, v, i);
	else
		while (order < 0 && i-- > lo)
			order = compare(a, v, i);
	return order == 0;
}
