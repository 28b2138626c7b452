/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Digests of a model of 8 files and of an image of 8 layers, against the
 * limit: processors x one thread that reads the same files from the same page
 * cache with read(2) and feeds them to OpenSSL's SHA-256. Limit and value are
 * measured in turns, and the best rounds are compared. For information also
 * the limit without reading, SHA-256 over memory.
 *
 * ASSAY_BENCH_MIB  size of each file in MiB (64)
 * TMPDIR           where 8 times as much fits (/var/tmp)
 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/digest.h"
#include "base/limits.h"
#include "base/text.h"
#include "config.h"
#include "firmware-measure/model.h"
#include "firmware-measure/oci.h"
#include "tests/bench/bench_folder.h"

#define N_FILES 8
#define N_ROUNDS 7
#define CHUNK MIB

static uint8_t chunk[CHUNK];

static void must(bool fine, const char *what)
{
	if (fine)
		return;
	(void)fprintf(stderr, "bench-measure: %s failed: %s\n", what, strerrordesc_np(errno));
	exit(1);
}

static double now_s(void)
{
	struct timespec t;

	must(clock_gettime(CLOCK_MONOTONIC, &t) == 0, "clock");
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* The best round: what else runs on the machine only ever slows, limit and value alike. */
static void keep_best(double *best, double v)
{
	if (v > *best)
		*best = v;
}

static size_t n_processors(void)
{
	cpu_set_t cpus;

	must(sched_getaffinity(0, sizeof(cpus), &cpus) == 0, "sched_getaffinity");
	return (size_t)CPU_COUNT(&cpus);
}

/* Data that nothing can compress or deduplicate; quick to make. */
static void fill_chunk(uint64_t *seed)
{
	for (size_t i = 0; i < CHUNK; i += sizeof(*seed)) {
		*seed ^= *seed << 13;
		*seed ^= *seed >> 7;
		*seed ^= *seed << 17;
		memcpy(chunk + i, seed, sizeof(*seed));
	}
}

static void put_file(const char *path, const void *data, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	must(fd >= 0 && write(fd, data, n) == (ssize_t)n && close(fd) == 0, path);
}

/* One model file and the same bytes as a blob, a hard link: one copy in the page cache. */
static void make_file(size_t i, size_t mib, char ret_hex[65])
{
	uint64_t seed = 0x9e3779b97f4a7c15u + i;
	cleanup_hasher struct hasher *h = NULL;
	char path[64], blob[128];
	struct digest d;
	int fd;

	(void)snprintf(path, sizeof(path), "model/%zu.safetensors", i);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	must(fd >= 0 && !failed(hasher_new(DIGEST_SHA256, &h)), path);
	for (size_t k = 0; k < mib; k++) {
		fill_chunk(&seed);
		must(write(fd, chunk, CHUNK) == (ssize_t)CHUNK, path);
		must(!failed(hasher_add(h, BYTES_ARR(chunk))), "SHA-256");
	}
	must(close(fd) == 0 && !failed(hasher_finish(h, &d)), path);
	must(!failed(hex_encode(digest_bytes(&d), ret_hex, 65)), "hex");
	(void)snprintf(blob, sizeof(blob), "image/blobs/sha256/%.64s", ret_hex);
	must(link(path, blob) == 0, blob);
}

static void put_blob(const char *text, char ret_hex[65])
{
	char path[128];
	uint8_t d[32];

	must(!failed(sha256(bytes_str(text), d)) && !failed(hex_encode(BYTES_ARR(d), ret_hex, 65)), "SHA-256");
	(void)snprintf(path, sizeof(path), "image/blobs/sha256/%.64s", ret_hex);
	put_file(path, text, strlen(text));
}

static void make_image(const char layers[N_FILES][65], size_t mib)
{
	static const char config[] = "{\"architecture\":\"amd64\",\"os\":\"linux\"}";
	cleanup_buf struct buf b = BUF_INIT(64 * KIB);
	const char *text = NULL;
	char hex[65];

	put_blob(config, hex);
	must(!failed(buf_addf(&b,
			      "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+json\","
			      "\"digest\":\"sha256:%s\",\"size\":%zu},\"layers\":[",
			      hex, strlen(config))),
	     "manifest");
	for (size_t i = 0; i < N_FILES; i++)
		must(!failed(buf_addf(&b,
				      "%s{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar\",\"digest\":"
				      "\"sha256:%s\",\"size\":%zu}",
				      i == 0 ? "" : ",", layers[i], mib * MIB)),
		     "manifest");
	must(!failed(buf_add_str(&b, "]}")) && !failed(buf_cstr(&b, &text)), "manifest");
	put_blob(text, hex);
	put_file("image/oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}", strlen("{\"imageLayoutVersion\":\"1.0.0\"}"));
	{
		cleanup_buf struct buf index = BUF_INIT(64 * KIB);

		must(!failed(buf_addf(&index,
				      "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":"
				      "\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"sha256:%s\","
				      "\"size\":%zu}]}",
				      hex, b.n)),
		     "index");
		put_file("image/index.json", index.p, index.n);
	}
}

/* One thread, bytes per second: the same files, the same way of reading, OpenSSL alone. */
static double stream_files(void)
{
	EVP_MD *md = EVP_MD_fetch(NULL, "SHA2-256", NULL);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	double start = now_s(), bytes = 0;
	uint8_t out[EVP_MAX_MD_SIZE];

	must(md != NULL && ctx != NULL, "OpenSSL");
	for (size_t i = 0; i < N_FILES; i++) {
		char path[64];
		ssize_t got;
		int fd;

		(void)snprintf(path, sizeof(path), "model/%zu.safetensors", i);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		must(fd >= 0 && EVP_DigestInit_ex2(ctx, md, NULL) == 1, path);
		while ((got = read(fd, chunk, CHUNK)) > 0) {
			must(EVP_DigestUpdate(ctx, chunk, (size_t)got) == 1, "OpenSSL");
			bytes += (double)got;
		}
		must(got == 0 && EVP_DigestFinal_ex(ctx, out, NULL) == 1 && close(fd) == 0, path);
	}
	EVP_MD_CTX_free(ctx);
	EVP_MD_free(md);
	return bytes / (now_s() - start);
}

/* One thread over memory that stays in the cache, as much as one file. */
static double stream_memory(size_t mib)
{
	EVP_MD *md = EVP_MD_fetch(NULL, "SHA2-256", NULL);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	double start = now_s();
	uint8_t out[EVP_MAX_MD_SIZE];

	must(md != NULL && ctx != NULL && EVP_DigestInit_ex2(ctx, md, NULL) == 1, "OpenSSL");
	for (size_t i = 0; i < 64 * mib; i++)
		must(EVP_DigestUpdate(ctx, chunk, CHUNK / 64) == 1, "OpenSSL");
	must(EVP_DigestFinal_ex(ctx, out, NULL) == 1, "OpenSSL");
	EVP_MD_CTX_free(ctx);
	EVP_MD_free(md);
	return (double)mib * (double)MIB / (now_s() - start);
}

static double measure_model(void)
{
	cleanup_model_report struct model_report m = { 0 };
	struct reason why = { "" };
	double start = now_s();

	if (failed(model_measure("model", NULL, &m, &why)))
		must(false, why.text);
	return (double)m.n_bytes / (now_s() - start);
}

static double measure_image(void)
{
	static struct image_report r;
	struct reason why = { "" };
	double start = now_s();

	if (failed(oci_measure("image", NULL, &r, &why)))
		must(false, why.text);
	return (double)r.n_bytes / (now_s() - start);
}

static void print(const char *name, double value, double limit)
{
	(void)printf("BENCH %s %.0f MB/s limit %.0f ratio %.3f\n", name, value / 1e6, limit / 1e6, value / limit);
}

static void run(size_t mib)
{
	double files = 0, memory = 0, model = 0, image = 0, cpus = (double)n_processors();

	for (size_t i = 0; i < N_ROUNDS; i++) {
		keep_best(&files, stream_files());
		keep_best(&model, measure_model());
		keep_best(&image, measure_image());
		keep_best(&memory, stream_memory(mib));
	}
	(void)printf("# %d files of %zu MiB, warm; %.0f processors; limit: processors x one thread, read(2) and SHA-256\n",
		     N_FILES, mib, cpus);
	print("measure-model", model, cpus * files);
	print("measure-image", image, cpus * files);
	(void)printf("# limit: processors x one thread, SHA-256 over memory, nothing read\n");
	print("measure-model-of-memory", model, cpus * memory);
}

int main(void)
{
	const char *mib_text = getenv("ASSAY_BENCH_MIB");
	char layers[N_FILES][65];
	uint64_t mib = 64;

	if (ASSAY_SANITIZED) {
		(void)fprintf(stderr, "bench-measure: a sanitised build says nothing about speed\n");
		return 77;
	}
	if (mib_text != NULL && failed(parse_u64(mib_text, 4096, &mib))) {
		(void)fprintf(stderr, "bench-measure: ASSAY_BENCH_MIB is no number of MiB up to 4096\n");
		return 2;
	}
	must(bench_folder_enter("bench-measure"), "a folder below TMPDIR");
	must(mkdir("model", 0700) == 0 && mkdir("image", 0700) == 0 && mkdir("image/blobs", 0700) == 0 &&
		     mkdir("image/blobs/sha256", 0700) == 0,
	     "mkdir");
	for (size_t i = 0; i < N_FILES; i++)
		make_file(i, (size_t)mib, layers[i]);
	make_image(layers, (size_t)mib);
	run((size_t)mib);
	return 0;
}
