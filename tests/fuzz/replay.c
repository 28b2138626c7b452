/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plain main for fuzz targets, for the normal test run: every file of the
 * corpus folder as it is, then the same few thousand changes of each, in every
 * run the same. It finds what a change to the code broke at once; the long
 * search for new inputs is an engine's work.
 *
 * usage: fuzz-NAME CORPUS-FOLDER
 */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "base/limits.h"
#include "tests/fuzz/fuzz.h"

#define RUNS 4096 /* changed inputs of one target, over all files */
#define RUNS_PER_FILE_MIN 64
#define MAX_CHANGES 4 /* in one input, one on top of the other */
#define FILE_MAX (8 * MIB)

/* xorshift64*: small, good enough to choose places, and the same everywhere. */
struct rng {
	uint64_t s;
};

static uint64_t rng_next(struct rng *r)
{
	r->s ^= r->s >> 12;
	r->s ^= r->s << 25;
	r->s ^= r->s >> 27;
	return r->s * UINT64_C(0x2545f4914f6cdd1d);
}

/* 0..n-1; n > 0. */
static size_t rng_below(struct rng *r, size_t n)
{
	return (size_t)((rng_next(r) >> 16) % n);
}

struct input {
	uint8_t *p;
	size_t n, cap;
};

static void flip_bit(struct input *in, struct rng *r)
{
	if (in->n > 0)
		in->p[rng_below(r, in->n)] ^= (uint8_t)(1U << rng_below(r, 8));
}

/* Numbers at which lengths and counts turn over. */
static void set_byte(struct input *in, struct rng *r)
{
	static const uint8_t edges[] = { 0x00, 0x01, 0x7f, 0x80, 0xff, 0x17, 0x18, 0x1f, 0x20, 0x7e };

	if (in->n > 0)
		in->p[rng_below(r, in->n)] = edges[rng_below(r, array_len(edges))];
}

/* 2, 4 or 8 equal bytes: an integer of zeros or ones. */
static void set_word(struct input *in, struct rng *r)
{
	size_t n = (size_t)2 << rng_below(r, 3);

	if (in->n >= n)
		memset(in->p + rng_below(r, in->n - n + 1), rng_below(r, 2) == 0 ? 0 : 0xff, n);
}

static void truncate_input(struct input *in, struct rng *r)
{
	in->n = rng_below(r, in->n + 1);
}

static void remove_block(struct input *in, struct rng *r)
{
	size_t off, n;

	if (in->n == 0)
		return;
	off = rng_below(r, in->n);
	n = 1 + rng_below(r, in->n - off);
	memmove(in->p + off, in->p + off + n, in->n - off - n);
	in->n -= n;
}

/* A piece once more, right behind itself. */
static void duplicate_block(struct input *in, struct rng *r)
{
	size_t off, n;

	if (in->n == 0)
		return;
	off = rng_below(r, in->n);
	n = 1 + rng_below(r, in->n - off);
	if (n > in->cap - in->n)
		return;
	memmove(in->p + off + n, in->p + off, in->n - off);
	in->n += n;
}

/* Two pieces of the same size change places. */
static void swap_blocks(struct input *in, struct rng *r)
{
	size_t n, a, b;

	if (in->n < 2)
		return;
	n = 1 + rng_below(r, in->n / 2);
	a = rng_below(r, in->n - 2 * n + 1);
	b = a + n + rng_below(r, in->n - 2 * n - a + 1);
	for (size_t i = 0; i < n; i++) {
		uint8_t v = in->p[a + i];

		in->p[a + i] = in->p[b + i];
		in->p[b + i] = v;
	}
}

static void (*const changes[])(struct input *, struct rng *) = {
	flip_bit, set_byte, set_word, truncate_input, remove_block, duplicate_block, swap_blocks,
};

/* In memory of exactly its size, so that a sanitizer sees every overrun. */
static void run_exact(struct bytes b)
{
	cleanup_free uint8_t *p = malloc(b.n == 0 ? 1 : b.n);

	fuzz_must(p != NULL);
	if (b.n > 0)
		memcpy(p, b.p, b.n);
	fuzz_must(LLVMFuzzerTestOneInput(p, b.n) == 0);
}

static void run_changed(struct bytes original, size_t runs)
{
	struct rng r = { UINT64_C(0x9e3779b97f4a7c15) ^ (uint64_t)original.n };
	size_t cap = 2 * original.n + 64;
	cleanup_free uint8_t *p = malloc(cap);

	fuzz_must(p != NULL);
	for (size_t i = 0; i < runs; i++) {
		struct input in = { p, original.n, cap };
		size_t n = 1 + rng_below(&r, MAX_CHANGES);

		memcpy(p, original.p, original.n);
		while (n-- > 0)
			changes[rng_below(&r, array_len(changes))](&in, &r);
		run_exact(BYTES(in.p, in.n));
	}
}

static bool run_file(int dir, const char *name, size_t runs)
{
	cleanup_buf struct buf b = BUF_INIT(FILE_MAX);
	struct err e = file_read(dir, name, &b);

	/* The last line before a crash names the file. */
	(void)printf("# %s\n", name);
	(void)fflush(stdout);
	if (failed(e)) {
		(void)printf("# %s\n", err_text(e));
		return false;
	}
	run_exact(buf_bytes(&b));
	if (b.n > 0)
		run_changed(buf_bytes(&b), runs);
	return true;
}

static int is_visible(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

static bool run_folder(const char *path)
{
	struct dirent **names = NULL;
	cleanup_fd int dir = -1;
	bool fine = true;
	size_t n, runs;
	int found = scandir(path, &names, is_visible, alphasort);

	if (found <= 0 || failed(dir_open(AT_FDCWD, path, &dir))) {
		(void)printf("# no corpus in %s\n", path);
		free(names);
		return false;
	}
	n = (size_t)found;
	runs = RUNS / n < RUNS_PER_FILE_MIN ? RUNS_PER_FILE_MIN : RUNS / n;
	for (size_t i = 0; i < n; i++) {
		fine = run_file(dir, names[i]->d_name, runs) && fine;
		free(names[i]);
	}
	free(names);
	return fine;
}

int main(int argc, char **argv)
{
	bool fine;

	(void)printf("1..1\n");
	fine = argc == 2 && run_folder(argv[1]);
	(void)printf("%s 1 - corpus and its changes\n", fine ? "ok" : "not ok");
	return fine ? 0 : 1;
}
