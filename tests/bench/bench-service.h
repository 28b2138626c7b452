/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The load generator's parts: a verifier as operators run it, and hosts with
 * TPMs in software (tests/support/softtpm.h) that speak its protocol. The
 * verifier trusts their CA because an operator's call said so, and knows
 * nothing else of them. Failures end the program.
 */
#ifndef ASSAY_TESTS_BENCH_SERVICE_H
#define ASSAY_TESTS_BENCH_SERVICE_H

#include "firmware-measure/workload_event.h"
#include "protocol/https.h"
#include "protocol/messages.h"
#include "swtpm-harness/process.h"
#include "tests/bench/bench.h"
#include "tests/support/softtpm.h"

#define BENCH_REALM "bench"
#define BENCH_AGENT "bench-agent"
#define BENCH_SCOPE "read"
#define BENCH_RESOURCE "https://api.example/v1"
#define BENCH_TIMEOUT_MS 30000

/* ---- bench-service-verifier.c */

struct service {
	char folder[200], url[80], socket[220];
	struct process process;
	struct buf ca_pem;         /* of its TLS certificate */
	struct key *operator;
	unsigned n_documents;
};

/* A new verifier with --dev in a folder of its own; returns when it answers. */
void service_start(struct service *s, const char *program);
/* TERM, then its folder goes away. Also when it was never started. */
void service_stop(struct service *s);

void service_trust(struct service *s, const struct cert *ca);
/* Signs and uploads documents: one image, model, platform (with these register values) and agent ... */
void service_approve_workload(struct service *s, const struct softtpm *like);
/* ... and one that names n endorsement keys. */
struct bench_host;
void service_approve_hosts(struct service *s, struct bench_host *const *hosts, size_t n);

/* A kept-alive TLS connection. The caller frees it. */
struct https *service_connect(const struct service *s);

/* What the process has used: seconds of all its threads, bytes of memory. */
double service_cpu_s(const struct service *s);
double service_rss(const struct service *s);

/* ---- bench-service-host.c */

struct bench_host {
	struct softtpm *tpm;
	struct softtpm_key *workload;
	char id[HOST_ID_LEN + 1];
	uint8_t boot_id[BOOT_ID_LEN], instance[PRESENTED_ID_LEN];
	struct buf log;
	uint64_t n_records;
};

/* Booted, one agent running. */
struct bench_host *bench_host_new(const struct softtpm_ca *ca);
void bench_host_free(struct bench_host *h);

/* Digests of the one image and the one model that agents have here. */
void bench_image(struct image_digests *ret);
void bench_model(struct model_digests *ret);

/* What a connection needs, allocated once. */
struct client;
struct client *client_new(const struct service *s, const struct softtpm_ca *ca);
void client_free(struct client *c);

/* Both steps; the host must become ENROLLED. */
void client_enrol(struct client *c, struct bench_host *h);
/* Challenge, evidence, verdict: the host must be VERIFIED and its agent not below `warning`. */
void client_attest(struct client *c, struct bench_host *h);
/* An access token for the host's agent, bound to its workload key. */
void client_token(struct client *c, struct bench_host *h);

#endif
