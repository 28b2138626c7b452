/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Large and small files of a model, warm: 8 files, one file of the same size in
 * shards, and 100 000 small files. The limit of the large ones is processors x
 * one thread that reads the same bytes with read(2) and feeds OpenSSL's SHA-256;
 * the small ones are beside sha256sum in xargs. For information sha256sum on the
 * large files, and a thread pool in Python, which is how the reference
 * implementation of OpenSSF Model Signing hashes. Everything in turns; the best
 * rounds are compared, and processor time beside elapsed time, because on a busy
 * machine two threads do not have two processors.
 *
 * ASSAY_BENCH_MODEL_MIB  size of each of the 8 files in MiB (256)
 * TMPDIR                 where 17 times as much fits (/var/tmp)
 */
#include <fcntl.h>
#include <openssl/evp.h>
#include <sched.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/limits.h"
#include "base/text.h"
#include "config.h"
#include "firmware-measure/model.h"
#include "tests/bench/bench.h"
#include "tests/bench/bench_folder.h"

#define N_FILES 8
#define N_ROUNDS 5
#define N_SMALL 100000
#define SMALL 2048
#define SHARD (64 * MIB)

static uint8_t chunk[MIB];
/* Data that nothing can compress or deduplicate; quick to make. */
static void fill_chunk(uint64_t *seed)
{
	for (size_t i = 0; i < sizeof(chunk); i += sizeof(*seed)) {
		*seed ^= *seed << 13;
		*seed ^= *seed >> 7;
		*seed ^= *seed << 17;
		memcpy(chunk + i, seed, sizeof(*seed));
	}
}

static void make_large(const char *path, size_t mib, uint64_t seed)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	must(fd >= 0);
	for (size_t k = 0; k < mib; k++) {
		fill_chunk(&seed);
		must(write(fd, chunk, sizeof(chunk)) == (ssize_t)sizeof(chunk));
	}
	must(close(fd) == 0);
}

static void make_files(size_t mib)
{
	char path[64];

	must(mkdir("large", 0700) == 0 && mkdir("one", 0700) == 0 && mkdir("small", 0700) == 0);
	for (size_t i = 0; i < N_FILES; i++) {
		(void)snprintf(path, sizeof(path), "large/%zu.bin", i);
		make_large(path, mib, 0x9e3779b97f4a7c15u + i);
	}
	make_large("one/model.bin", N_FILES * mib, 77);
	for (size_t i = 0; i < N_SMALL; i++) {
		int fd;

		(void)snprintf(path, sizeof(path), "small/%03zu", i / 1000);
		must(i % 1000 != 0 || mkdir(path, 0700) == 0);
		(void)snprintf(path, sizeof(path), "small/%03zu/%03zu", i / 1000, i % 1000);
		fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		memcpy(chunk, &i, sizeof(i));
		must(fd >= 0 && write(fd, chunk, SMALL) == SMALL && close(fd) == 0);
	}
}

/* Processor time of all threads so far; what else runs on the machine hardly counts in it. */
static double cpu_s(void)
{
	struct rusage u;

	must(getrusage(RUSAGE_SELF, &u) == 0);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

struct cost {
	double wall_s, cpu_s;
};

static void cost_begin(struct cost *c)
{
	*c = (struct cost){ now_s(), cpu_s() };
}

static struct cost cost_end(struct cost c)
{
	return (struct cost){ now_s() - c.wall_s, cpu_s() - c.cpu_s };
}

/* One thread: the 8 files. */
static struct cost stream(void)
{
	EVP_MD *md = EVP_MD_fetch(NULL, "SHA2-256", NULL);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t out[EVP_MAX_MD_SIZE];
	struct cost start;

	cost_begin(&start);
	must(md != NULL && ctx != NULL);
	for (size_t i = 0; i < N_FILES; i++) {
		char path[64];
		ssize_t got;
		int fd;

		(void)snprintf(path, sizeof(path), "large/%zu.bin", i);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		must(fd >= 0 && EVP_DigestInit_ex2(ctx, md, NULL) == 1);
		while ((got = read(fd, chunk, sizeof(chunk))) > 0)
			must(EVP_DigestUpdate(ctx, chunk, (size_t)got) == 1);
		must(got == 0 && EVP_DigestFinal_ex(ctx, out, NULL) == 1 && close(fd) == 0);
	}
	EVP_MD_CTX_free(ctx);
	EVP_MD_free(md);
	return cost_end(start);
}

static struct cost measure(const char *path, size_t n_files, uint64_t shard_size)
{
	struct model_options o = { .shard_size = shard_size, .shards_only = shard_size > 0 };
	cleanup_model_report struct model_report m = { 0 };
	struct reason why = { "" };
	struct cost start;

	cost_begin(&start);
	must_ok(model_measure(path, &o, &m, &why), why);
	must(m.n_files == n_files);
	return cost_end(start);
}

static struct cost shell(const char *command)
{
	struct cost start;

	cost_begin(&start);
	must(system(command) == 0);
	return cost_end(start);
}

/* Each file by a thread of the pool, in chunks of 1 MiB; the interpreter's start counts, it is part of that way. */
static const char in_python[] =
	"python3 -c '\n"
	"import concurrent.futures, hashlib, os, sys\n"
	"def one(path):\n"
	"    h = hashlib.sha256()\n"
	"    with open(path, \"rb\") as f:\n"
	"        while data := f.read(1 << 20):\n"
	"            h.update(data)\n"
	"    return h.hexdigest()\n"
	"files = [os.path.join(d, n) for d, _, names in os.walk(sys.argv[1]) for n in names]\n"
	"with concurrent.futures.ThreadPoolExecutor() as pool:\n"
	"    done = [f.result() for f in concurrent.futures.as_completed([pool.submit(one, p) for p in files])]\n"
	"assert len(done) == len(files)\n"
	"' ";

struct best {
	struct cost stream, files, shards, sum, python, small, small_sum, small_python;
};

static void keep(struct cost *best, struct cost c)
{
	if (best->wall_s == 0 || c.wall_s < best->wall_s)
		best->wall_s = c.wall_s;
	if (best->cpu_s == 0 || c.cpu_s < best->cpu_s)
		best->cpu_s = c.cpu_s;
}

static void round_of(struct best *b, unsigned cpus)
{
	char command[1024];

	keep(&b->stream, stream());
	keep(&b->files, measure("large", N_FILES, 0));
	keep(&b->shards, measure("one", 1, SHARD));
	(void)snprintf(command, sizeof(command), "ls large/* | xargs -P %u -n 1 sha256sum > /dev/null", cpus);
	keep(&b->sum, shell(command));
	(void)snprintf(command, sizeof(command), "%slarge", in_python);
	keep(&b->python, shell(command));
	keep(&b->small, measure("small", N_SMALL, 0));
	(void)snprintf(command, sizeof(command), "find small -type f -print0 | xargs -0 -P %u -n 500 sha256sum > /dev/null", cpus);
	keep(&b->small_sum, shell(command));
	(void)snprintf(command, sizeof(command), "%ssmall", in_python);
	keep(&b->small_python, shell(command));
}

static void run(size_t mib)
{
	double bytes = (double)(N_FILES * mib) * (double)MIB / 1e6;
	struct best b = { 0 };
	cpu_set_t cpus;
	double n;

	must(sched_getaffinity(0, sizeof(cpus), &cpus) == 0);
	n = CPU_COUNT(&cpus);
	for (size_t i = 0; i < N_ROUNDS; i++)
		round_of(&b, (unsigned)n);
	(void)printf("# %d files of %zu MiB, and one of %zu MiB in shards of 64 MiB, warm; limit: %.0f processors x one thread\n",
		     N_FILES, mib, N_FILES * mib, n);
	print_rate("model-files", bytes / b.files.wall_s, "MB/s", n * bytes / b.stream.wall_s);
	print_rate("model-one-file-in-shards", bytes / b.shards.wall_s, "MB/s", n * bytes / b.stream.wall_s);
	print_rate("model-files-sha256sum", bytes / b.sum.wall_s, "MB/s", n * bytes / b.stream.wall_s);
	print_rate("model-files-python", bytes / b.python.wall_s, "MB/s", n * bytes / b.stream.wall_s);
	(void)printf("# processor time of all threads; limit: that of the one thread\n");
	print_cost("model-files-cpu", b.files.cpu_s, "s", b.stream.cpu_s);
	print_cost("model-one-file-in-shards-cpu", b.shards.cpu_s, "s", b.stream.cpu_s);
	(void)printf("# %d files of %d bytes, warm; limit: sha256sum in xargs, one process for each processor\n", N_SMALL, SMALL);
	print_cost("model-small-files", b.small.wall_s, "s", b.small_sum.wall_s);
	print_cost("model-small-files-python", b.small_python.wall_s, "s", b.small_sum.wall_s);
}

int main(void)
{
	const char *mib_text = getenv("ASSAY_BENCH_MODEL_MIB");
	uint64_t mib = 256;

	if (ASSAY_SANITIZED) {
		(void)fprintf(stderr, "bench-model: a sanitised build says nothing about speed\n");
		return 77;
	}
	must(mib_text == NULL || !failed(parse_u64(mib_text, 4096, &mib)));
	must(bench_folder_enter("bench-model"));
	make_files((size_t)mib);
	run((size_t)mib);
	return 0;
}
