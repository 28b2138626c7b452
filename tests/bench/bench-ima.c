/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An IMA list of 100,000 entries as a verifier takes it: read in parts of
 * 1 MiB, every template hash checked, the SHA-256 bank replayed, every digest
 * looked up in an allowlist of 10 million. The limit is the hash work alone,
 * done with OpenSSL's EVP functions over the same bytes: SHA-1 and SHA-256
 * over the template data, and the extend. Also without the look-ups, whose cost is that of memory.
 * Limit and value are measured in turns; medians of the thread's own time are
 * compared.
 *
 * Then the allowlist by itself: look-ups of digests that are in it in random
 * order, asked for ahead as a replay does it, and one at a time against one
 * read of a random place of the same file; opening a file that is in the page
 * cache; what it costs in memory.
 *
 * ASSAY_BENCH_DIGESTS  digests in the allowlist (10000000)
 * TMPDIR               where 32 times as many bytes fit (/var/tmp)
 */
#include <fcntl.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/mman.h>

#include "bench.h"
#include "firmware-measure/ima_allowlist.h"
#include "firmware-measure/ima_replay.h"
#include "tests/support/ima_list.h"

#define N_ENTRIES 100000
#define N_ROUNDS 9
#define N_LOOKUPS 1000000
#define LOOKUP_GOAL_NS 200.0

static struct reason why;

/* This thread's own time: "on one core", whatever else the machine does. */
static double cpu_s(void)
{
	struct timespec t;

	must(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) == 0);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static size_t n_digests = 10000000;

static uint64_t seed = 88172645463325252;

static uint64_t random_next(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static void random_digest(uint8_t d[32])
{
	for (size_t i = 0; i < 32; i += 8) {
		uint64_t x = random_next();

		memcpy(d + i, &x, 8);
	}
}

/* Paths as on a host: of 30 to 90 bytes. The digests are the first of the allowlist's. */
static void list_make(struct ima_list *l, const uint8_t *digests)
{
	ima_list_init(l);
	for (size_t i = 0; i < N_ENTRIES; i++) {
		char path[128];

		(void)snprintf(path, sizeof(path), "/usr/lib/x86_64-linux-gnu/%.*s/module-%06zu.so", (int)(i % 50),
			       "a-folder-whose-name-has-any-length-up-to-fifty-bytes", i);
		ima_list_file(l, BYTES(digests + 32 * i, 32), path);
		buf_clear(&l->ascii);
	}
}

/* The bytes that are hashed, entry by entry. */
struct span {
	struct bytes hashed, template_hash;
};

static void spans_make(struct bytes list, struct span *spans)
{
	cleanup_imalog struct imalog l = { 0 };
	struct ima_entry ent;
	bool more;

	imalog_init(&l, IMALOG_BINARY, IMALOG_LITTLE_ENDIAN);
	must_ok(imalog_feed(&l, list), why);
	for (size_t i = 0; i < N_ENTRIES; i++) {
		must_ok(imalog_next(&l, &ent, &more, &why), why);
		must(!more);
		spans[i] = (struct span){ ent.hashed, ent.template_hash };
	}
}

static void hash(EVP_MD_CTX *ctx, const EVP_MD *md, struct bytes in, uint8_t *out)
{
	unsigned n;

	must(EVP_DigestInit_ex2(ctx, md, NULL) == 1 && EVP_DigestUpdate(ctx, in.p, in.n) == 1 &&
	     EVP_DigestFinal_ex(ctx, out, &n) == 1);
}

/* The hash work alone; the register's value, so that nothing can be left out. */
static double bare(const struct span *spans, uint8_t ret[32])
{
	EVP_MD *sha1 = EVP_MD_fetch(NULL, "SHA1", NULL), *sha256_md = EVP_MD_fetch(NULL, "SHA256", NULL);
	EVP_MD_CTX *a = EVP_MD_CTX_new(), *b = EVP_MD_CTX_new();
	uint8_t native[64] = { 0 }, d[64];
	double start = cpu_s();

	for (size_t i = 0; i < N_ENTRIES; i++) {
		hash(a, sha1, spans[i].hashed, d);
		must(memcmp(d, spans[i].template_hash.p, IMA_HASH_SIZE) == 0);
		hash(b, sha256_md, spans[i].hashed, native + 32);
		hash(b, sha256_md, BYTES(native, 64), native);
	}
	start = cpu_s() - start;
	memcpy(ret, native, 32);
	EVP_MD_CTX_free(a);
	EVP_MD_CTX_free(b);
	EVP_MD_free(sha1);
	EVP_MD_free(sha256_md);
	return start;
}

/* One batch, as a verifier takes it. */
static size_t replay_batch(struct ima_replay *r, const struct imalog_batch *b, const struct ima_allowlist *allow)
{
	size_t n_allowed = 0;
	unsigned odd;

	must_ok(b->e, b->why);
	for (size_t i = 0; i < b->n && allow != NULL; i++)
		ima_allowlist_prefetch(allow, &b->v[i].digest);
	for (size_t i = 0; i < b->n; i++) {
		must_ok(ima_replay_entry(r, &b->v[i], &odd), why);
		must(odd == 0);
		n_allowed += allow == NULL || ima_allowlist_has(allow, &b->v[i].digest);
	}
	return n_allowed;
}

static double whole(struct bytes list, const struct ima_allowlist *allow, const uint8_t want[32])
{
	cleanup_imalog struct imalog l = { 0 };
	struct imalog_batch b;
	struct ima_replay r;
	struct ima_position p;
	size_t n_allowed = 0;
	double start = cpu_s();

	imalog_init(&l, IMALOG_BINARY, IMALOG_LITTLE_ENDIAN);
	must_ok(ima_replay_init(&r, IMA_PCR, 1u << DIGEST_SHA256, NULL), why);
	ima_replay_native_only(&r);
	must_ok(ima_replay_quoted(&r, DIGEST_SHA256, BYTES(want, 32)), why);
	for (size_t off = 0; off < list.n; off += MIB) {
		must_ok(imalog_feed(&l, BYTES(list.p + off, list.n - off < MIB ? list.n - off : MIB)), why);
		for (b.more = false; !b.more;) {
			imalog_next_batch(&l, &b);
			n_allowed += replay_batch(&r, &b, allow);
		}
	}
	must_ok(imalog_end(&l), why);
	must_ok(ima_replay_position(&r, &p), why);
	start = cpu_s() - start;
	must(n_allowed == N_ENTRIES && p.n_entries == N_ENTRIES);
	return start;
}

static void bench_list(const struct ima_allowlist *allow, const uint8_t *digests)
{
	cleanup_ima_list struct ima_list l = { 0 };
	struct span *spans = calloc(N_ENTRIES, sizeof(*spans));
	double limit[N_ROUNDS], value[N_ROUNDS], without[N_ROUNDS], m_limit;
	uint8_t pcr[32];

	must(spans != NULL);
	list_make(&l, digests);
	spans_make(buf_bytes(&l.binary), spans);
	for (size_t i = 0; i < N_ROUNDS; i++) {
		limit[i] = bare(spans, pcr);
		value[i] = whole(buf_bytes(&l.binary), allow, pcr);
		without[i] = whole(buf_bytes(&l.binary), NULL, pcr);
	}
	m_limit = median(limit, N_ROUNDS);
	print_cost("ima_list", median(value, N_ROUNDS) * 1e3, "ms", m_limit * 1e3);
	print_cost("ima_list_without_lookups", median(without, N_ROUNDS) * 1e3, "ms", m_limit * 1e3);
	(void)printf("# %d entries, %.1f MB, best %.2f ms, limit best %.2f ms\n", N_ENTRIES, (double)l.binary.n / 1e6,
		     value[0] * 1e3, limit[0] * 1e3);
	free(spans);
}

/* One look-up after the other, or as many asked for ahead as a batch has; seconds for each. */
static double lookups(const struct ima_allowlist *allow, const uint8_t *sample, size_t ahead)
{
	struct ima_digest d = { .kind = IMA_DIGEST_FILE, .alg = DIGEST_SHA256 };
	size_t found = 0;
	double start = cpu_s();

	for (size_t i = 0; i < N_LOOKUPS; i += ahead) {
		for (size_t k = 0; ahead > 1 && k < ahead; k++) {
			d.value = BYTES(sample + 32 * (i + k), 32);
			ima_allowlist_prefetch(allow, &d);
		}
		for (size_t k = 0; k < ahead; k++) {
			d.value = BYTES(sample + 32 * (i + k), 32);
			found += ima_allowlist_has(allow, &d);
		}
	}
	must(found == N_LOOKUPS);
	return (cpu_s() - start) / N_LOOKUPS;
}

/* Digests from all over the list, in an order that has nothing to do with where they stand in it. */
static void bench_lookup(const struct ima_allowlist *allow, const uint8_t *sample, const uint8_t *map)
{
	double batch[N_ROUNDS], alone[N_ROUNDS], bare_read[N_ROUNDS];
	uint64_t sum = 0;

	must(N_LOOKUPS % IMALOG_BATCH == 0);
	for (size_t k = 0; k < N_ROUNDS; k++) {
		double start;

		batch[k] = lookups(allow, sample, IMALOG_BATCH);
		alone[k] = lookups(allow, sample, 1);
		start = cpu_s();
		/* Where to read next depends on what was read, as a look-up's answer is waited for. */
		for (size_t i = 0; i < N_LOOKUPS; i++)
			sum += map[(random_next() + (sum & 1)) % n_digests * 32];
		bare_read[k] = (cpu_s() - start) / N_LOOKUPS;
	}
	print_cost("ima_allowlist_lookup", median(batch, N_ROUNDS) * 1e9, "ns", LOOKUP_GOAL_NS);
	print_cost("ima_allowlist_lookup_alone", median(alone, N_ROUNDS) * 1e9, "ns", median(bare_read, N_ROUNDS) * 1e9);
	must(sum != 0);
}

/* Resident bytes of this process that no file stands behind. */
static double anonymous_mb(void)
{
	FILE *f = fopen("/proc/self/status", "re");
	char line[128];
	double kb = -1;

	must(f != NULL);
	while (fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, "RssAnon:", 8) == 0)
			kb = strtod(line + 8, NULL);
	(void)fclose(f);
	must(kb >= 0);
	return kb / 1e3;
}

/* first: of the first N_ENTRIES digests; sample: N_LOOKUPS of all. */
static void file_make(int fd, uint8_t *first, uint8_t *sample)
{
	struct ima_allowlist_builder b;
	size_t n, done = 0;
	double start;

	must_ok(ima_allowlist_begin(&b, DIGEST_SHA256, IMA_DIGEST_FILE), why);
	must_ok(buf_reserve(&b.file, 32 * n_digests), why);
	for (size_t i = 0; i < n_digests; i++) {
		uint8_t d[32];

		random_digest(d);
		if (i < N_ENTRIES)
			memcpy(first + 32 * i, d, 32);
		if (i < N_LOOKUPS || random_next() % n_digests < N_LOOKUPS)
			memcpy(sample + 32 * (i < N_LOOKUPS ? i : random_next() % N_LOOKUPS), d, 32);
		must_ok(ima_allowlist_add(&b, BYTES_ARR(d)), why);
	}
	start = cpu_s();
	must_ok(ima_allowlist_finish(&b, &n), why);
	(void)printf("# sorting %zu digests: %.2f s\n", n, cpu_s() - start);
	while (done < b.file.n) {
		ssize_t w = write(fd, b.file.p + done, b.file.n - done);

		must(w > 0);
		done += (size_t)w;
	}
	ima_allowlist_builder_done(&b);
}

int main(void)
{
	const char *env = getenv("ASSAY_BENCH_DIGESTS"), *tmp = getenv("TMPDIR");
	uint8_t *first = malloc(32 * N_ENTRIES), *sample = malloc(32 * N_LOOKUPS);
	const uint8_t *map;
	struct ima_allowlist *a = NULL;
	double open_s[N_ROUNDS], before;
	char path[4096];
	int fd;

	if (env != NULL)
		n_digests = strtoul(env, NULL, 10);
	must(first != NULL && sample != NULL && n_digests >= N_LOOKUPS);
	(void)snprintf(path, sizeof(path), "%s/bench-ima.XXXXXX", tmp == NULL ? "/var/tmp" : tmp);
	fd = mkstemp(path);
	must(fd >= 0);
	file_make(fd, first, sample);
	(void)close(fd);
	before = anonymous_mb();
	for (size_t i = 0; i < N_ROUNDS; i++) {
		double start = cpu_s();

		ima_allowlist_free(a);
		a = NULL;
		must_ok(ima_allowlist_open(AT_FDCWD, path, &a, &why), why);
		open_s[i] = cpu_s() - start;
	}
	print_cost("ima_allowlist_open", median(open_s, N_ROUNDS), "s", 1);
	(void)printf("# %zu digests: %.1f MB of memory besides the file of %.1f MB\n", ima_allowlist_count(a),
		     anonymous_mb() - before, (double)(IMA_ALLOWLIST_HEADER + 32 * n_digests) / 1e6);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	map = mmap(NULL, 32 * n_digests, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
	must(fd >= 0 && map != MAP_FAILED);
	(void)close(fd);
	bench_lookup(a, sample, map);
	bench_list(a, first);
	ima_allowlist_free(a);
	free(first);
	free(sample);
	return unlink(path) == 0 ? 0 : 1;
}
