/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images in archives and what their layers hold, against the limit: the bare
 * work with OpenSSL, zlib and zstd on the same layers in memory, both in bytes
 * per second of processor time, of all threads together. That is, for what the attester does, SHA-256 over what is
 * stored; for the digest of the root besides that decompressing, SHA-256 over
 * what that gives, and over the contents of the files. Limit and value are
 * measured in turns, and the best rounds are compared.
 *
 * TMPDIR  where 500 MiB fit (/var/tmp)
 */
#include <fcntl.h>
#include <openssl/evp.h>
#include <string.h>
#include <time.h>
#include <zlib.h>
#include <zstd.h>

#include "base/limits.h"
#include "config.h"
#include "firmware-measure/oci.h"
#include "tests/bench/bench.h"
#include "tests/bench/bench_folder.h"
#include "tests/support/imagebuild.h"
#include "tests/support/tarbuild.h"

#define N_LAYERS 4
#define N_LARGE 32
#define N_SMALL 2000
#define SMALL 2048
#define N_ROUNDS 5

enum form { PLAIN, GZIP, ZSTD, N_FORMS };
static const char *const suffixes[] = { "", "+gzip", "+zstd" };
static const char *const layouts[] = { "plain", "gzip", "zstd" };

static struct buf stored[N_FORMS][N_LAYERS];
/* Of all threads: what else runs on the machine does not count. */
static double processor_s(void)
{
	struct timespec t;

	must(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) == 0);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Half of it can be compressed away, as of programs. */
static void fill(char *to, size_t n, uint64_t *seed)
{
	for (size_t i = 0; i < n; i++) {
		*seed = *seed * 6364136223846793005u + 1442695040888963407u;
		to[i] = (char)(*seed >> 60);
	}
}

static void make_tar(struct buf *b, uint64_t seed)
{
	char *content = malloc(MIB), name[32];

	must(content != NULL);
	buf_init(b, SIZE_MAX);
	for (unsigned i = 0; i < N_LARGE + N_SMALL; i++) {
		size_t n = i < N_LARGE ? MIB : SMALL;

		fill(content, n, &seed);
		(void)snprintf(name, sizeof(name), "d%u/%u", i % 100, i);
		TAR_PUT(b, .name = name, .content = content, .n = n);
	}
	tar_put_end(b);
	free(content);
}

static void compress_gzip(const struct buf *in, struct buf *ret)
{
	z_stream z = { 0 };

	must(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
	buf_init(ret, SIZE_MAX);
	must(!failed(buf_reserve(ret, deflateBound(&z, in->n))));
	z.next_in = in->p;
	z.avail_in = (uInt)in->n;
	z.next_out = ret->p;
	z.avail_out = (uInt)ret->cap;
	must(deflate(&z, Z_FINISH) == Z_STREAM_END);
	ret->n = ret->cap - z.avail_out;
	(void)deflateEnd(&z);
}

static void compress_zstd(const struct buf *in, struct buf *ret)
{
	buf_init(ret, SIZE_MAX);
	must(!failed(buf_reserve(ret, ZSTD_compressBound(in->n))));
	ret->n = ZSTD_compress(ret->p, ret->cap, in->p, in->n, 3);
	must(ZSTD_isError(ret->n) == 0);
}

static void make_images(void)
{
	for (size_t i = 0; i < N_LAYERS; i++) {
		make_tar(&stored[PLAIN][i], i + 1);
		compress_gzip(&stored[PLAIN][i], &stored[GZIP][i]);
		compress_zstd(&stored[PLAIN][i], &stored[ZSTD][i]);
	}
	for (size_t f = 0; f < N_FORMS; f++) {
		struct image_build *b = image_build_new();

		for (size_t i = 0; i < N_LAYERS; i++)
			image_layer(b, suffixes[f], buf_bytes(&stored[f][i]), buf_bytes(&stored[PLAIN][i]));
		image_finish(b, "v1");
		image_write_folder(b, layouts[f]);
		if (f == PLAIN)
			image_write_archive(b, "plain.tar");
		image_build_free(b);
	}
}

static void hash(EVP_MD_CTX *ctx, const EVP_MD *md, const uint8_t *p, size_t n)
{
	uint8_t out[EVP_MAX_MD_SIZE];

	must(EVP_DigestInit_ex2(ctx, md, NULL) == 1 && EVP_DigestUpdate(ctx, p, n) == 1 &&
	     EVP_DigestFinal_ex(ctx, out, NULL) == 1);
}

static void decompress(enum form f, const struct buf *in, uint8_t *out, size_t n)
{
	z_stream z = { 0 };

	if (f == ZSTD) {
		must(ZSTD_decompress(out, n, in->p, in->n) == n);
		return;
	}
	must(inflateInit2(&z, 15 + 16) == Z_OK);
	z.next_in = in->p;
	z.avail_in = (uInt)in->n;
	z.next_out = out;
	z.avail_out = (uInt)n;
	must(inflate(&z, Z_FINISH) == Z_STREAM_END && z.avail_out == 0);
	(void)inflateEnd(&z);
}

/* The contents as they lie in the archive: a header and padding for each. */
static void hash_contents(EVP_MD_CTX *ctx, const EVP_MD *md, const uint8_t *p)
{
	for (unsigned i = 0; i < N_LARGE + N_SMALL; i++) {
		size_t n = i < N_LARGE ? MIB : SMALL;

		hash(ctx, md, p + TAR_BLOCK_LEN, n);
		p += TAR_BLOCK_LEN + n;
	}
}

/* Uncompressed bytes per second. */
static double bare_work(enum form f, bool root)
{
	EVP_MD *md = EVP_MD_fetch(NULL, "SHA2-256", NULL);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	const size_t n = stored[PLAIN][0].n;
	uint8_t *out = malloc(n);
	double start;

	must(md != NULL && ctx != NULL && out != NULL);
	memset(out, 1, n);
	start = processor_s();
	for (size_t i = 0; i < N_LAYERS; i++) {
		const uint8_t *tar = f == PLAIN ? stored[PLAIN][i].p : out;

		hash(ctx, md, stored[f][i].p, stored[f][i].n);
		if (f != PLAIN) {
			decompress(f, &stored[f][i], out, n);
			hash(ctx, md, out, n);
		}
		if (root)
			hash_contents(ctx, md, tar);
	}
	start = (double)(N_LAYERS * n) / (processor_s() - start);
	EVP_MD_CTX_free(ctx);
	EVP_MD_free(md);
	free(out);
	return start;
}

static double measure(const char *path, bool root)
{
	static struct image_report r;
	const struct root_options o = { 0 };
	struct reason why = { "" };
	double start = processor_s();
	struct err e = root ? oci_measure_root(path, NULL, &o, &r, &why) : oci_measure(path, NULL, &r, &why);

	must_ok(e, why);
	return (double)(N_LAYERS * stored[PLAIN][0].n) / (processor_s() - start);
}

static void run(const char *name, const char *path, enum form f, bool root)
{
	double limit = 0, value = 0;

	for (size_t i = 0; i < N_ROUNDS; i++) {
		double l = bare_work(f, root), v = measure(path, root);

		limit = l > limit ? l : limit;
		value = v > value ? v : value;
	}
	print_rate(name, value / 1e6, "MB/s", limit / 1e6);
}

int main(void)
{

	if (ASSAY_SANITIZED) {
		(void)fprintf(stderr, "bench-image: a sanitised build says nothing about speed\n");
		return 77;
	}
	must(bench_folder_enter("bench-image"));
	make_images();
	(void)printf("# %d layers of %d files of 1 MiB and %d of 2 KiB, %zu MiB each, warm; uncompressed bytes\n",
		     N_LAYERS, N_LARGE, N_SMALL, stored[PLAIN][0].n / MIB);
	run("image-archive", "plain.tar", PLAIN, false);
	run("image-root-tar", "plain", PLAIN, true);
	run("image-root-gzip", "gzip", GZIP, true);
	run("image-root-zstd", "zstd", ZSTD, true);
	return 0;
}
