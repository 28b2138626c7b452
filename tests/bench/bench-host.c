/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a host takes to start one agent and to show it: measure, make the key,
 * extend, quote, certify, on swtpm. The image and the model are some bytes
 * each, so that what is timed is everything but hashing.
 *
 * Two figures. The first is the sum of the steps over an open TPM; the second
 * is the whole of it as `assay-attest run` goes about it, which opens the TPM
 * and reads boot and log three times (start, ask for a challenge, answer it).
 * The challenge is made here; the network is another benchmark's.
 *
 * ASSAY_BENCH_RUNS  starts (40)
 * TMPDIR            where state folder and TPM lie (/var/tmp)
 */
#include <fcntl.h>
#include <ftw.h>
#include <string.h>
#include <sys/stat.h>

#include "attest/collect.h"
#include "attest/host.h"
#include "base/file.h"
#include "base/text.h"
#include "config.h"
#include "swtpm-harness/harness.h"
#include "tests/bench/bench.h"

#define GOAL_MS 15.0
#define RUNS_MAX 1000
#define ISSUER "https://verifier.example"

enum step { OPEN, MEASURE, SESSION, KEY, EXTEND, SHOW, N_STEPS };
static const char *const step_names[N_STEPS] = {
	[OPEN] = "lock, open the TPM, read boot and log (three times)",
	[MEASURE] = "measure image and model",
	[SESSION] = "open EK, start a session salted with it",
	[KEY] = "create the key, keep it",
	[EXTEND] = "intent, extend, commit",
	[SHOW] = "open AK, quote, read registers, certify the key, encode",
};
static double times_ms[N_STEPS][RUNS_MAX];

struct bench {
	struct harness *tpm;
	struct conf conf;
	struct host host;
	char folder[256], image[300], model[300], state[300];
	double since_s;
};
static struct bench the_bench = { .host = HOST_INIT };

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

/* Also when a step failed: no TPM is left behind. The harness takes away what is its own, and we the rest. */
static void take_down(void)
{
	host_done(&the_bench.host);
	if (the_bench.tpm == NULL)
		return;
	harness_down_free(the_bench.tpm);
	(void)nftw(the_bench.folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void start_clock(struct bench *b)
{
	b->since_s = now_s();
}

static void stop_clock(struct bench *b, enum step step, size_t run)
{
	times_ms[step][run] += (now_s() - b->since_s) * 1000;
}

static void put(const char *folder, const char *name, const char *text)
{
	const struct reason no = { "" };
	char path[LIMIT_PATH];

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	must_ok(file_create(AT_FDCWD, path, bytes_str(text), 0600), no);
}

static void put_blob(const char *layout, const char *text, char ret_hex[65])
{
	const struct reason no = { "" };
	char name[128];
	uint8_t d[32];

	must_ok(sha256(bytes_str(text), d), no);
	must_ok(hex_encode(BYTES_ARR(d), ret_hex, 65), no);
	(void)snprintf(name, sizeof(name), "blobs/sha256/%.64s", ret_hex);
	put(layout, name, text);
}

/* The smallest image that there is: a configuration and one layer. */
static void make_image(const char *layout)
{
	static const char config[] = "{\"architecture\":\"amd64\",\"os\":\"linux\"}", layer[] = "a layer";
	const struct reason no = { "" };
	char config_hex[65], layer_hex[65], manifest_hex[65], text[1024], path[LIMIT_PATH];

	(void)snprintf(path, sizeof(path), "%s/blobs/sha256", layout);
	must_ok(dir_make(path, 0700), no);
	put_blob(layout, config, config_hex);
	put_blob(layout, layer, layer_hex);
	(void)snprintf(text, sizeof(text),
		       "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+json\","
		       "\"digest\":\"sha256:%s\",\"size\":%zu},\"layers\":[{\"mediaType\":"
		       "\"application/vnd.oci.image.layer.v1.tar\",\"digest\":\"sha256:%s\",\"size\":%zu}]}",
		       config_hex, strlen(config), layer_hex, strlen(layer));
	put_blob(layout, text, manifest_hex);
	put(layout, "oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}");
	size_t size = strlen(text);

	(void)snprintf(text, sizeof(text),
		       "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\","
		       "\"digest\":\"sha256:%s\",\"size\":%zu}]}",
		       manifest_hex, size);
	put(layout, "index.json", text);
}

/* As after enrolment: EK and AK known, the AK persistent. */
static void enrol(struct bench *b)
{
	const struct ak_spec spec = { AK_ECC_P256, AK_HANDLE, NULL };
	cleanup_visit struct visit v = VISIT_INIT;
	cleanup_tpm_handle struct tpm_handle session = TPM_HANDLE_NONE;
	cleanup_ek struct ek ek = EK_INIT;
	cleanup_ak struct ak ak = AK_INIT;
	struct tpm_public ek_public;
	struct host *h = &b->host;

	must_ok(host_open(&b->conf, h), h->why);
	must_ok(visit_begin(h, &v), h->why);
	must_ok(ek_open(v.tpm, EK_RSA_2048, &ek), h->why);
	must_ok(ek_session_first(&ek, &session), h->why);
	must_ok(ak_open(v.tpm, &spec, &session, &ak), h->why);
	must_ok(tpm_public_parse(buf_bytes(&ek.public_area), &ek_public), h->why);
	must_ok(host_id_of(&ek_public, h->enrolment.host_id), h->why);
	(void)snprintf(h->enrolment.issuer, sizeof(h->enrolment.issuer), "%s", ISSUER);
	h->enrolment.ek = EK_RSA_2048;
	h->enrolment.ek_name = ek.name;
	h->enrolment.ak_name = ak.name;
	h->enrolment.ak = AK_ECC_P256;
	h->enrolment.ak_handle = AK_HANDLE;
}

static void setup(struct bench *b)
{
	const char *tmp = getenv("TMPDIR");
	struct harness_options o = { .count = 1 };
	struct reason why = { "" };

	(void)snprintf(b->folder, sizeof(b->folder), "%s/bench-host.XXXXXX", tmp != NULL ? tmp : "/var/tmp");
	must(mkdtemp(b->folder) != NULL);
	must(rmdir(b->folder) == 0); /* the harness makes it, and takes everything in it away */
	o.dir = b->folder;
	must_ok(harness_up(&o, &b->tpm, &why), why);
	(void)snprintf(b->image, sizeof(b->image), "%s/image", b->folder);
	(void)snprintf(b->model, sizeof(b->model), "%s/model", b->folder);
	(void)snprintf(b->state, sizeof(b->state), "%s/attest", b->folder);
	make_image(b->image);
	must_ok(dir_make(b->model, 0700), why);
	put(b->model, "weights", "some weights");
	b->conf = (struct conf){ .state_dir = b->state, .tcti = harness_tcti(b->tpm, 0), .tpm_timeout_s = TPM_TIMEOUT_S, .timeout_s = 30 };
	enrol(b);
}

/* What a verifier would ask that holds everything up to here. */
static void challenge_of(const struct visit *v, struct challenge *ret)
{
	const struct reason no = { "" };

	*ret = (struct challenge){ .issuer = ISSUER, .boot_known = true };
	must_ok(random_bytes(ret->nonce, sizeof(ret->nonce)), no);
	ret->selection.n = 1;
	ret->selection.bank[0].hash_alg = TPM2_ALG_SHA256;
	ret->selection.bank[0].mask = 0xffu | 1u << WORKLOAD_PCR;
	ret->log_offset = v->workload.log_size;
	ret->log_records = v->workload.n_records;
	ret->log_pcr = v->workload.pcr[0];
}

static void new_instance(struct bench *b, const struct measured *m, struct visit *v, size_t run, struct instance *i)
{
	struct workload_event ev = { .kind = WORKLOAD_START, .agent = BYTES_LIT("bench"), .image = m->image,
				     .model = m->model };
	cleanup_tpm_handle struct tpm_handle session = TPM_HANDLE_NONE, primary = TPM_HANDLE_NONE;
	cleanup_wkey_blob struct wkey_blob key = WKEY_BLOB_INIT;
	struct host *h = &b->host;
	struct tpm_name name;

	start_clock(b);
	must_ok(visit_session(v, &session), h->why);
	stop_clock(b, SESSION, run);

	start_clock(b);
	must_ok(boot_primary(v->tpm, &v->boot, &primary), h->why);
	must_ok(wkey_create(&primary, &session, &key, &name), h->why);
	tpm_handle_done(&primary);
	must_ok(instance_write(h->state_fd, i, &key), h->why);
	tpm_handle_done(&session);
	stop_clock(b, KEY, run);

	memcpy(ev.instance, i->id, sizeof(ev.instance));
	ev.key_name = tpm_name_bytes(&name);
	start_clock(b);
	must_ok(workload_args_digest(0, NULL, ev.args), h->why);
	must_ok(workload_append(&v->workload, &ev), h->why);
	stop_clock(b, EXTEND, run);
}

/* Lock to lock, as a visit of `run` is; what happens inside is timed by the caller. */
static void visit_open(struct bench *b, struct visit *v, size_t run)
{
	start_clock(b);
	must_ok(visit_begin_log(&b->host, v), b->host.why);
	stop_clock(b, OPEN, run);
}

static void visit_close(struct bench *b, struct visit *v, size_t run)
{
	start_clock(b);
	visit_done(v);
	stop_clock(b, OPEN, run);
	*v = (struct visit)VISIT_INIT;
}

static void show(struct bench *b, const struct challenge *ch, struct visit *v, size_t run)
{
	const struct enrolment *en = &b->host.enrolment;
	cleanup_buf struct buf evidence = BUF_INIT(LIMIT_EVIDENCE);
	cleanup_ak struct ak ak = AK_INIT;
	struct collect c = {
		.tpm = v->tpm, .state_fd = b->host.state_fd, .host_id = en->host_id, .issuer = en->issuer,
		.challenge = ch, .boot = &v->boot, .ak = &ak, .workload = &v->workload,
	};

	start_clock(b);
	must_ok(visit_ak(v, &ak), b->host.why);
	must_ok(collect_evidence(&c, &evidence), b->host.why);
	stop_clock(b, SHOW, run);
	must(evidence.n > 0);
}

/* One agent, from its files to evidence, and away again. */
static void once(struct bench *b, size_t run)
{
	struct instance i = { .image = b->image, .model = b->model, .agent = "bench" }; /* borrows: not to be freed */
	cleanup_visit struct visit v = VISIT_INIT;
	cleanup_free struct challenge *ch = calloc(1, sizeof(*ch));
	struct measured m;

	must(ch != NULL);
	must_ok(random_bytes(i.id, sizeof(i.id)), b->host.why);
	must_ok(process_self(&i.parent), b->host.why);
	start_clock(b);
	must_ok(measure(&i, &m, &b->host.why), b->host.why);
	stop_clock(b, MEASURE, run);

	visit_open(b, &v, run);
	challenge_of(&v, ch);
	new_instance(b, &m, &v, run, &i);
	visit_close(b, &v, run);

	visit_open(b, &v, run); /* which boot to ask a challenge for */
	visit_close(b, &v, run);

	visit_open(b, &v, run);
	show(b, ch, &v, run);
	must_ok(visit_end_instance(&v, i.id), b->host.why);
	visit_close(b, &v, run);
}

static void report(size_t n)
{
	static double all[RUNS_MAX], steps[RUNS_MAX];

	for (size_t run = 0; run < n; run++) {
		for (size_t s = MEASURE; s < N_STEPS; s++)
			steps[run] += times_ms[s][run];
		all[run] = steps[run] + times_ms[OPEN][run];
	}
	(void)printf("# medians of %zu starts; swtpm, P-256 AK, persistent RSA-2048 EK, SHA-256 bank\n", n);
	for (size_t s = 0; s < N_STEPS; s++)
		(void)printf("#   %6.2f ms  %s\n", median(times_ms[s], n), step_names[s]);
	print_cost("host-start-and-show", median(steps, n), "ms", GOAL_MS);
	print_cost("host-start-and-show-with-opening", median(all, n), "ms", GOAL_MS);
}

int main(void)
{
	const char *runs_text = getenv("ASSAY_BENCH_RUNS");
	struct bench *b = &the_bench;
	uint64_t n = 40;

	if (ASSAY_SANITIZED) {
		(void)fprintf(stderr, "bench-host: a sanitised build says nothing about speed\n");
		return 77;
	}
	if (!harness_available()) {
		(void)fprintf(stderr, "bench-host: swtpm is not installed\n");
		return 77;
	}
	if (runs_text != NULL && (failed(parse_u64(runs_text, RUNS_MAX, &n)) || n == 0)) {
		(void)fprintf(stderr, "bench-host: ASSAY_BENCH_RUNS is no number from 1 to %d\n", RUNS_MAX);
		return 2;
	}
	(void)setenv("TSS2_LOG", "all+NONE", 0);
	must(atexit(take_down) == 0);
	setup(b);
	for (size_t i = 0; i < n; i++)
		once(b, i);
	report((size_t)n);
	return 0;
}
