/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/jose.h"
#include "base/text.h"
#include "tests/bench/bench-service.h"
#include "verifier/appraise/document.h"

#define START_TIMEOUT_MS 30000
#define STOP_TIMEOUT_MS 30000
#define POLL_MS 20
#define DOCUMENT_LIFE_S 86400

static const struct reason no_reason = { "" };

/* ---- The process. */

/* A port that was free a moment ago. */
static unsigned free_port(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	cleanup_fd int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t n = sizeof(a);

	must(fd >= 0 && bind(fd, (struct sockaddr *)&a, n) == 0 && getsockname(fd, (struct sockaddr *)&a, &n) == 0);
	return ntohs(a.sin_port);
}

static void put_text(const struct service *s, const char *name, struct bytes text)
{
	char path[300];

	(void)snprintf(path, sizeof(path), "%s/%s", s->folder, name);
	must_ok(file_write(AT_FDCWD, path, text, 0600), no_reason);
}

/* One operator who may sign everything. */
static void make_operator(struct service *s)
{
	cleanup_buf struct buf pem = BUF_INIT(LIMIT_SMALL), text = BUF_INIT(LIMIT_SMALL);
	cleanup_json json_t *list = NULL;
	const char *pem_text = NULL;

	must_ok(key_generate(KEY_ED25519, &s->operator), no_reason);
	must_ok(key_public_to_pem(s->operator, &pem), no_reason);
	must_ok(buf_cstr(&pem, &pem_text), no_reason);
	list = json_pack("{s:[{s:s, s:s, s:[s,s,s,s,s], s:[s]}]}", "operators", "name", "bench", "public_key", pem_text,
			 "kinds", "host", "image", "model", "platform", "agent", "prefixes", "");
	must(list != NULL);
	must_ok(json_write(list, &text), no_reason);
	put_text(s, "operators.json", buf_bytes(&text));
}

static void wait_until_it_answers(struct service *s)
{
	uint64_t deadline = clock_boottime_ms() + START_TIMEOUT_MS;

	for (;;) {
		cleanup_https_reply struct https_reply reply = { 0 };
		cleanup_https struct https *h = NULL;
		char path[300];

		buf_clear(&s->ca_pem);
		(void)snprintf(path, sizeof(path), "%s/state/ca.pem", s->folder);
		if (!failed(file_read(AT_FDCWD, path, &s->ca_pem)) &&
		    !failed(https_new(s->url, buf_bytes(&s->ca_pem), NULL, BENCH_TIMEOUT_MS, &h)) &&
		    !failed(https_get(h, "/healthz", &reply, NULL)) && reply.status == 200)
			return;
		if (clock_boottime_ms() > deadline || !process_runs(&s->process)) {
			(void)fprintf(stderr, "bench-service: the verifier does not answer; see %s/log\n", s->folder);
			s->folder[0] = '\0'; /* its log stays */
			exit(1);
		}
		(void)nanosleep(&(struct timespec){ .tv_nsec = POLL_MS * 1000000L }, NULL);
	}
}

void service_start(struct service *s, const char *program)
{
	char listen[64], state[220], operators[220], log[220];
	const char *tmp = getenv("TMPDIR");
	const char *const argv[] = {
		program, "--dev", "--listen", listen, "--issuer", s->url, "--realm", BENCH_REALM, "--state-dir", state,
		"--admin-socket", s->socket, "--operators-file", operators, NULL,
	};

	buf_init(&s->ca_pem, LIMIT_SMALL);
	(void)snprintf(s->folder, sizeof(s->folder), "%s/bench-service.XXXXXX", tmp != NULL ? tmp : "/var/tmp");
	must(mkdtemp(s->folder) != NULL);
	(void)snprintf(listen, sizeof(listen), "127.0.0.1:%u", free_port());
	(void)snprintf(s->url, sizeof(s->url), "https://%s", listen);
	(void)snprintf(s->socket, sizeof(s->socket), "%s/socket", s->folder);
	(void)snprintf(state, sizeof(state), "%s/state", s->folder);
	(void)snprintf(operators, sizeof(operators), "%s/operators.json", s->folder);
	(void)snprintf(log, sizeof(log), "%s/log", s->folder);
	make_operator(s);
	must_ok(process_spawn(argv, log, &s->process), no_reason);
	wait_until_it_answers(s);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

void service_stop(struct service *s)
{
	if (s->process.pid > 0 && process_runs(&s->process)) {
		(void)kill(s->process.pid, SIGTERM);
		if (failed(process_wait(&s->process, STOP_TIMEOUT_MS, -1, NULL)) && failed(process_kill(&s->process)))
			(void)fprintf(stderr, "bench-service: process %d is left behind\n", (int)s->process.pid);
	}
	if (s->folder[0] != '\0' && nftw(s->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0)
		(void)fprintf(stderr, "bench-service: %s is left behind\n", s->folder);
	key_free(s->operator);
	buf_free(&s->ca_pem);
}

struct https *service_connect(const struct service *s)
{
	struct https *h = NULL;

	must_ok(https_new(s->url, buf_bytes(&s->ca_pem), NULL, BENCH_TIMEOUT_MS, &h), no_reason);
	return h;
}

/* ---- What it uses. */

/* Fields 14 and 15 of stat, user and system time; field 2 is the name in parentheses. */
double service_cpu_s(const struct service *s)
{
	cleanup_buf struct buf text = BUF_INIT(4 * KIB);
	unsigned long long user, system;
	const char *line = NULL, *rest;
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)s->process.pid);
	must_ok(file_read(AT_FDCWD, path, &text), no_reason);
	must_ok(buf_cstr(&text, &line), no_reason);
	rest = strrchr(line, ')');
	must(rest != NULL && sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user, &system) == 2);
	return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

double service_rss(const struct service *s)
{
	cleanup_buf struct buf text = BUF_INIT(16 * KIB);
	const char *all = NULL, *line;
	unsigned long long kib;
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)s->process.pid);
	must_ok(file_read(AT_FDCWD, path, &text), no_reason);
	must_ok(buf_cstr(&text, &all), no_reason);
	line = strstr(all, "\nVmRSS:");
	must(line != NULL && sscanf(line, "\nVmRSS: %llu", &kib) == 1);
	return (double)kib * 1024;
}

/* ---- The operator. */

static void admin(const struct service *s, const char *path, const char *type, struct bytes body)
{
	cleanup_https_reply struct https_reply reply = { 0 };
	cleanup_https struct https *h = NULL;
	struct reason why = { "" };

	must_ok(https_new("http://localhost", BYTES_NONE, s->socket, BENCH_TIMEOUT_MS, &h), no_reason);
	must_ok(https_post(h, path, type, body, 0, NULL, &reply, &why), why);
	if (reply.status == 200)
		return;
	(void)fprintf(stderr, "%s: %u %.*s\n", path, reply.status, (int)reply.body.n, (const char *)reply.body.p);
	exit(1);
}

void service_trust(struct service *s, const struct cert *ca)
{
	cleanup_buf struct buf der64 = BUF_INIT(LIMIT_SMALL), pem = BUF_INIT(LIMIT_SMALL), body = BUF_INIT(LIMIT_SMALL);
	cleanup_json json_t *o = NULL;

	must_ok(b64_encode(cert_der(ca), &der64), no_reason);
	must_ok(buf_add_str(&pem, "-----BEGIN CERTIFICATE-----\n"), no_reason);
	for (size_t off = 0; off < der64.n; off += 64) {
		must_ok(buf_add(&pem, BYTES(der64.p + off, der64.n - off < 64 ? der64.n - off : 64)), no_reason);
		must_ok(buf_add_str(&pem, "\n"), no_reason);
	}
	must_ok(buf_add_str(&pem, "-----END CERTIFICATE-----\n"), no_reason);
	must_ok(json_new_object(&o), no_reason);
	must_ok(json_put_text(o, "pem", buf_bytes(&pem)), no_reason);
	must_ok(json_write(o, &body), no_reason);
	admin(s, "/v1/admin/trust/add", "application/json", buf_bytes(&body));
}

/* Adds what every document has, signs, uploads. Takes the predicate. */
static void approve(struct service *s, enum document_kind kind, const char *name, json_t *own)
{
	cleanup_buf struct buf payload = BUF_INIT(LIMIT_DOCUMENT), envelope = BUF_INIT(2 * LIMIT_DOCUMENT);
	char from[TIME_TEXT_SIZE], to[TIME_TEXT_SIZE];
	cleanup_json json_t *predicate = own;
	struct reason why = { "" };
	int64_t now = clock_now_s();

	must(predicate != NULL);
	must_ok(time_format(now, from, sizeof(from)), no_reason);
	must_ok(time_format(now + DOCUMENT_LIFE_S, to, sizeof(to)), no_reason);
	must(json_object_update_new(predicate,
				    json_pack("{s:s, s:s, s:s, s:i, s:s, s:s, s:s}", "realm", BENCH_REALM, "kind",
					      document_kind_name(kind), "name", name, "serial", 1, "owner", "bench",
					      "not_before", from, "expires", to)) == 0);
	must_ok(document_statement(predicate, &payload, &why), why);
	must_ok(dsse_sign(s->operator, DOCUMENT_PAYLOAD_TYPE, buf_bytes(&payload), &envelope), no_reason);
	admin(s, "/v1/admin/documents", "application/vnd.dsse+json", buf_bytes(&envelope));
}

static json_t *hex_string(struct bytes b)
{
	char hex[2 * DIGEST_MAX + 1];

	must_ok(hex_encode(b, hex, sizeof(hex)), no_reason);
	return json_string(hex);
}

static json_t *registers(const struct softtpm *like)
{
	json_t *vector = json_array();

	for (unsigned pcr = 0; pcr < 8; pcr++)
		must(json_array_append_new(vector, hex_string(digest_bytes(&like->pcr[DIGEST_SHA256][pcr]))) == 0);
	return vector;
}

void service_approve_workload(struct service *s, const struct softtpm *like)
{
	struct image_digests image;
	struct model_digests model;

	bench_image(&image);
	bench_model(&model);
	approve(s, DOCUMENT_IMAGE, "image", json_pack("{s:[o]}", "manifests", hex_string(BYTES_ARR(image.manifest))));
	approve(s, DOCUMENT_MODEL, "model",
		json_pack("{s:s, s:[o]}", "version", "1", "manifests", hex_string(BYTES_ARR(model.manifest))));
	approve(s, DOCUMENT_PLATFORM, "platform",
		json_pack("{s:[s], s:s, s:[i,i,i,i,i,i,i,i], s:[o], s:s}", "hosts", "*", "bank", "sha256", "pcrs", 0, 1,
			  2, 3, 4, 5, 6, 7, "vectors", registers(like), "measurer", "unattested"));
	approve(s, DOCUMENT_AGENT, BENCH_AGENT,
		json_pack("{s:[s], s:[s], s:[s], s:[s], s:[s], s:i, s:s}", "images", "image", "models", "model",
			  "platforms", "platform", "scopes", BENCH_SCOPE, "resources", BENCH_RESOURCE, "max_ttl_s", 300,
			  "minimum_status", "warning"));
}

void service_approve_hosts(struct service *s, struct bench_host *const *hosts, size_t n)
{
	json_t *eks = json_array();
	char name[32];

	for (size_t i = 0; i < n; i++) {
		uint8_t ek[32];

		must_ok(key_spki_sha256(hosts[i]->tpm->ek->key, ek), no_reason);
		must(json_array_append_new(eks, hex_string(BYTES_ARR(ek))) == 0);
	}
	(void)snprintf(name, sizeof(name), "hosts-%u", s->n_documents++);
	approve(s, DOCUMENT_HOST, name, json_pack("{s:o, s:s}", "ek_sha256", eks, "asset", "bench"));
}
