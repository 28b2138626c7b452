/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole service under load: a release build of assay-verifier with TLS,
 * its store on disk, and hosts that attest over kept-alive connections. Every
 * answer is read and must be the good one.
 *
 *   service-attestations  challenge and evidence to verdict, per second, client included
 *   service-cpu           processor time of the verifier for one of them
 *   service-tokens        proof to access token, per second, client included
 *   service-tokens-cpu    processor time of the verifier for one of them
 *   service-memory        growth of the verifier's memory for one more enrolled host
 *
 * Limits are measured in the same run. A P-256 verification and a signature,
 * key parsed and context reused, are what the verifier cannot do without; on
 * all processors together the host's own signature comes on top.
 *
 * usage: bench-service ASSAY_VERIFIER
 * ASSAY_BENCH_SECONDS      of each measurement (10)
 * ASSAY_BENCH_CONNECTIONS  at a time (32)
 * TMPDIR                   where the store lies (/var/tmp)
 */
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>

#include "base/text.h"
#include "config.h"
#include "tests/bench/bench-service.h"

#define N_FEW 200   /* hosts under load */
#define N_MANY 2000 /* hosts when memory is compared */
#define HOSTS_PER_DOCUMENT 256
#define CONNECTIONS_MAX 128 /* that the verifier takes from one address */
#define MEMORY_GOAL 2048.0
#define LIMIT_ROUNDS 5
#define LIMIT_ROUND_S 0.2

static const struct reason no_reason = { "" };

typedef void work_fn(struct client *c, struct bench_host *h);

/* One connection with hosts of its own, because a software TPM is for one thread. */
struct worker {
	struct client *client;
	pthread_t thread;
	work_fn *work;
	size_t first, step, end;   /* hosts first, first + step, ... below end */
	double until_s;            /* 0: each host once */
	size_t n_done;
};

static struct {
	struct service service;
	struct softtpm_ca *ca;
	struct bench_host *host[N_MANY];
	size_t n_workers;
	struct worker worker[CONNECTIONS_MAX];
	double seconds;
} bench;

/* Also when something failed: nothing is left behind. */
static void take_down(void)
{
	service_stop(&bench.service);
}

/* The verifier is in a session of its own, so nobody else tells it. */
static void on_signal(int sig)
{
	(void)sig;
	if (bench.service.process.pid > 0)
		(void)kill(bench.service.process.pid, SIGTERM);
	_exit(1);
}

/* ---- Limits. */

static double thread_cpu_s(void)
{
	struct timespec t;

	must(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) == 0);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

struct bare {
	double verify_s, sign_s; /* processor time of one */
};

/* OpenSSL alone, on a digest. */
static struct bare bare_once(EVP_PKEY *key)
{
	EVP_PKEY_CTX *sign = EVP_PKEY_CTX_new(key, NULL), *verify = EVP_PKEY_CTX_new(key, NULL);
	uint8_t digest[32] = { 1, 2, 3 }, sig[128];
	struct bare r = { 0, 0 };
	size_t n = 0, sig_n = sizeof(sig);
	double start;

	must(sign != NULL && verify != NULL && EVP_PKEY_sign_init(sign) == 1 && EVP_PKEY_verify_init(verify) == 1);
	start = thread_cpu_s();
	for (n = 0; thread_cpu_s() - start < LIMIT_ROUND_S; n++) {
		sig_n = sizeof(sig);
		must(EVP_PKEY_sign(sign, sig, &sig_n, digest, sizeof(digest)) == 1);
	}
	r.sign_s = (thread_cpu_s() - start) / (double)n;
	start = thread_cpu_s();
	for (n = 0; thread_cpu_s() - start < LIMIT_ROUND_S; n++)
		must(EVP_PKEY_verify(verify, sig, sig_n, digest, sizeof(digest)) == 1);
	r.verify_s = (thread_cpu_s() - start) / (double)n;
	EVP_PKEY_CTX_free(sign);
	EVP_PKEY_CTX_free(verify);
	return r;
}

static struct bare bare_limit(void)
{
	double verify[LIMIT_ROUNDS], sign[LIMIT_ROUNDS];
	EVP_PKEY *key = EVP_EC_gen("P-256");

	must(key != NULL);
	for (size_t i = 0; i < LIMIT_ROUNDS; i++) {
		struct bare b = bare_once(key);

		verify[i] = b.verify_s;
		sign[i] = b.sign_s;
	}
	EVP_PKEY_free(key);
	return (struct bare){ median(verify, LIMIT_ROUNDS), median(sign, LIMIT_ROUNDS) };
}

static double n_processors(void)
{
	cpu_set_t cpus;

	must(sched_getaffinity(0, sizeof(cpus), &cpus) == 0);
	return (double)CPU_COUNT(&cpus);
}

/* ---- Load. */

static void *worker_run(void *arg)
{
	struct worker *w = arg;

	do {
		for (size_t i = w->first; i < w->end && (w->until_s == 0 || now_s() < w->until_s); i += w->step) {
			w->work(w->client, bench.host[i]);
			w->n_done++;
		}
	} while (w->until_s != 0 && now_s() < w->until_s);
	return NULL;
}

struct load {
	double n, seconds, cpu_s, client_cpu_s;
};

static double own_cpu_s(void)
{
	struct timespec t;

	must(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) == 0);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Hosts [from, to) over all connections, for some seconds or (0) each once. */
static struct load run(work_fn *work, size_t from, size_t to, double seconds)
{
	double start = now_s(), cpu = service_cpu_s(&bench.service), client_cpu = own_cpu_s();
	struct load r = { 0, 0, 0, 0 };

	for (size_t i = 0; i < bench.n_workers; i++) {
		struct worker *w = &bench.worker[i];

		w->work = work;
		w->first = from + i;
		w->step = bench.n_workers;
		w->end = to;
		w->until_s = seconds == 0 ? 0 : start + seconds;
		w->n_done = 0;
		must(pthread_create(&w->thread, NULL, worker_run, w) == 0);
	}
	for (size_t i = 0; i < bench.n_workers; i++) {
		must(pthread_join(bench.worker[i].thread, NULL) == 0);
		r.n += (double)bench.worker[i].n_done;
	}
	r.seconds = now_s() - start;
	r.cpu_s = service_cpu_s(&bench.service) - cpu;
	r.client_cpu_s = own_cpu_s() - client_cpu;
	must(r.n > 0);
	return r;
}

/* New hosts: made, approved, enrolled, attested once in full and once more. */
static void add_hosts(size_t from, size_t to)
{
	struct load l;

	for (size_t i = from; i < to; i++)
		bench.host[i] = bench_host_new(bench.ca);
	for (size_t i = from; i < to; i += HOSTS_PER_DOCUMENT)
		service_approve_hosts(&bench.service, &bench.host[i],
				      to - i < HOSTS_PER_DOCUMENT ? to - i : HOSTS_PER_DOCUMENT);
	if (from == 0)
		service_approve_workload(&bench.service, bench.host[0]->tpm);
	l = run(client_enrol, from, to, 0);
	(void)printf("# %.0f enrolments/s\n", l.n / l.seconds);
	/* All of them: the new documents make the verifier ask everybody for everything again. */
	l = run(client_attest, 0, to, 0);
	(void)printf("# %.0f attestations/s in full\n", l.n / l.seconds);
	(void)run(client_attest, 0, to, 0);
}

static void setup(const char *program)
{
	bench.n_workers = bench.n_workers > N_FEW ? N_FEW : bench.n_workers;
	must_ok(softtpm_ca_new(&bench.ca), no_reason);
	service_start(&bench.service, program);
	service_trust(&bench.service, bench.ca->root);
	for (size_t i = 0; i < bench.n_workers; i++)
		bench.worker[i].client = client_new(&bench.service, bench.ca);
}

static void cleanup_all(void)
{
	for (size_t i = 0; i < bench.n_workers; i++)
		client_free(bench.worker[i].client);
	for (size_t i = 0; i < N_MANY; i++)
		bench_host_free(bench.host[i]);
	softtpm_ca_free(bench.ca);
}

/* Service and client: a verification and a signature there, a signature here. */
static void report_load(const char *name, const char *unit, const struct load *l, const struct bare *limit)
{
	char cpu_name[64];

	(void)snprintf(cpu_name, sizeof(cpu_name), "%s-cpu", name);
	(void)printf("# %.0f in %.1f s over %zu connections; of one processor: verifier %.0f %%, client %.0f %%\n", l->n,
		     l->seconds, bench.n_workers, 100 * l->cpu_s / l->seconds, 100 * l->client_cpu_s / l->seconds);
	print_rate(name, l->n / l->seconds, unit, n_processors() / (limit->verify_s + 2 * limit->sign_s));
	print_cost(cpu_name, l->cpu_s / l->n * 1e6, "us", (limit->verify_s + limit->sign_s) * 1e6);
}

static void measure(void)
{
	struct bare limit = bare_limit();
	double few, many, after;
	struct load l;

	(void)printf("# %.0f processors; OpenSSL alone: verify %.1f us, sign %.1f us\n", n_processors(),
		     limit.verify_s * 1e6, limit.sign_s * 1e6);
	add_hosts(0, N_FEW);
	(void)run(client_attest, 0, N_FEW, bench.seconds / 5); /* warm */
	few = service_rss(&bench.service);
	l = run(client_attest, 0, N_FEW, bench.seconds);
	after = service_rss(&bench.service);
	(void)printf("# memory: %.0f KiB, and %.0f KiB after them\n", few / 1024, after / 1024);
	report_load("service-attestations", "/s", &l, &limit);

	l = run(client_token, 0, N_FEW, bench.seconds / 2);
	report_load("service-tokens", "/s", &l, &limit);

	few = service_rss(&bench.service);
	add_hosts(N_FEW, N_MANY);
	many = service_rss(&bench.service);
	(void)printf("# memory: %.0f KiB with %d hosts, %.0f KiB with %d\n", few / 1024, N_FEW, many / 1024, N_MANY);
	print_cost("service-memory", (many - few) / (N_MANY - N_FEW), "B/host", MEMORY_GOAL);
}

/* What the environment says, from 1 to max. */
static uint64_t number_from(const char *name, uint64_t otherwise, uint64_t max)
{
	const char *text = getenv(name);
	uint64_t n = otherwise;

	if (text != NULL && (failed(parse_u64(text, max, &n)) || n == 0)) {
		(void)fprintf(stderr, "bench-service: %s is no number from 1 to %u\n", name, (unsigned)max);
		exit(2);
	}
	return n;
}

int main(int argc, char **argv)
{
	if (ASSAY_SANITIZED) {
		(void)fprintf(stderr, "bench-service: a sanitised build says nothing about speed\n");
		return 77;
	}
	if (argc != 2) {
		(void)fprintf(stderr, "usage: bench-service ASSAY_VERIFIER\n");
		return 2;
	}
	bench.seconds = (double)number_from("ASSAY_BENCH_SECONDS", 10, 600);
	bench.n_workers = number_from("ASSAY_BENCH_CONNECTIONS", 32, CONNECTIONS_MAX);
	must(atexit(take_down) == 0 && signal(SIGTERM, on_signal) != SIG_ERR && signal(SIGINT, on_signal) != SIG_ERR);
	setup(argv[1]);
	measure();
	cleanup_all();
	return 0;
}
