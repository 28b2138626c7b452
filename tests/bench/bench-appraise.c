/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Appraisal in process: incremental evidence without new records, P-256, one
 * instance; and the same of a host whose firmware log and IMA list are judged
 * by rules, one more file in the list since the last time. The limit is what OpenSSL alone verifies: key parsed once, context
 * reused. Each thread does both in turns of a few milliseconds and takes the
 * medians, so that other work on the machine meets both alike.
 */
#include <pthread.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "config.h"
#include "firmware-measure/learn.h"
#include "tests/bench/bench.h"
#include "tests/support/ima_list.h"
#include "tests/support/lab.h"
#include "tests/support/logbuild.h"

#define TURNS 401
#define BATCH 32
#define MAX_THREADS 64
#define N_FILES 2000 /* in the IMA list before the evidence that is measured */

struct worker {
	pthread_t thread;
	struct lab *lab;
	EVP_PKEY_CTX *verify;
	struct buf sig; /* DER */
	struct digest digest;
	struct verdict verdict;
	double verified_s[TURNS], appraised_s[TURNS]; /* for one batch */
};

static void verify_once(struct worker *w)
{
	must(EVP_PKEY_verify(w->verify, w->sig.p, w->sig.n, w->digest.v, w->digest.n) == 1);
}

static void appraise_once(struct worker *w)
{
	must(!failed(lab_appraise(w->lab, &w->verdict)));
	must(verdict_passed(&w->verdict));
	verdict_done(&w->verdict);
}

static void *run(void *arg)
{
	struct worker *w = arg;
	double start;

	for (size_t t = 0; t < TURNS; t++) {
		start = now_s();
		for (unsigned i = 0; i < BATCH; i++)
			verify_once(w);
		w->verified_s[t] = now_s() - start;
		start = now_s();
		for (unsigned i = 0; i < BATCH; i++)
			appraise_once(w);
		w->appraised_s[t] = now_s() - start;
	}
	return NULL;
}

/* A platform document of rules over both logs, learned from this host's. */
static void rules_put(struct lab *l)
{
	cleanup_learn_firmware struct learn_firmware learned = { 0 };
	json_t *p = doc_predicate(DOCUMENT_PLATFORM), *rules = NULL;
	struct reason why = { "" };
	char ima[128];

	must_ok(learn_firmware_init(&learned, DIGEST_SHA256, 0), why);
	must_ok(learn_firmware_log(&learned, buf_bytes(&l->firmware_log), &why), why);
	must_ok(learn_firmware_profile(&learned, &rules, &why), why);
	(void)snprintf(ima, sizeof(ima), "{\"digests\":[\"%s\"],\"boot_aggregate\":\"ignored\"}",
		       hex32(l->host->digest).text);
	must(json_object_set_new(p, "firmware", rules) == 0 && json_object_del(p, "pcrs") == 0 &&
	     json_object_del(p, "vectors") == 0);
	doc_set(p, "ima", ima);
	lab_doc_put(l, DOCUMENT_PLATFORM, p);
}

static void files_run(struct lab *l, size_t n)
{
	cleanup_ima_list struct ima_list list;

	ima_list_init(&list);
	for (size_t i = 0; i < n; i++) {
		char path[64];

		(void)snprintf(path, sizeof(path), "/usr/lib/x86_64-linux-gnu/libfile-%zu.so.1", l->ima.n + i);
		ima_list_file(&list, BYTES(l->host->digest, 32), path);
	}
	lab_ima(l, buf_bytes(&list.binary));
}

static struct lab *lab_with_logs(void)
{
	static const enum digest_id bank = DIGEST_SHA256;
	struct lab *l = lab_new(SOFTTPM_AK_P256);
	struct reason why = { "" };
	struct logbuild log;

	logbuild_init(&log, EVLOG_AGILE, 1, &bank);
	logbuild_good(&log, NULL);
	must_ok(buf_add(&l->firmware_log, buf_bytes(&log.b)), why);
	buf_free(&log.b);
	must_ok(softtpm_reset(l->tpm), why);
	lab_boot(l);
	(void)lab_start(l, "agt", "image", "model");
	rules_put(l);
	files_run(l, N_FILES);
	lab_must_pass(l);
	must(l->state.firmware.has && l->state.ima.has);
	files_run(l, 1);
	return l;
}

static void worker_init(struct worker *w, bool logs)
{
	struct reason why = { "" };
	cleanup_buf struct buf raw = BUF_INIT(256);

	w->lab = logs ? lab_with_logs() : lab_new(SOFTTPM_AK_P256);
	if (!logs)
		lab_must_pass(w->lab);
	lab_challenge(w->lab);
	lab_evidence(w->lab, NULL);
	verdict_init(&w->verdict);
	buf_init(&w->sig, 256);
	must_ok(digest_one(DIGEST_SHA256, BYTES_LIT("quote"), &w->digest), why);
	must_ok(key_sign(w->lab->tpm->ak->key, SIG_ECDSA, DIGEST_SHA256, BYTES_LIT("quote"), &raw), why);
	must_ok(ecdsa_raw_to_der(KEY_EC_P256, buf_bytes(&raw), &w->sig), why);
	w->verify = EVP_PKEY_CTX_new(key_evp(w->lab->host->ak), NULL);
	must(w->verify != NULL && EVP_PKEY_verify_init(w->verify) == 1);
}

static void worker_done(struct worker *w)
{
	EVP_PKEY_CTX_free(w->verify);
	buf_free(&w->sig);
	lab_free(w->lab);
}

static void measure(const char *name, struct worker *w, size_t n_threads)
{
	double limit = 0, value = 0;

	for (size_t i = 1; i < n_threads; i++)
		must(pthread_create(&w[i].thread, NULL, run, &w[i]) == 0);
	(void)run(&w[0]);
	for (size_t i = 1; i < n_threads; i++)
		must(pthread_join(w[i].thread, NULL) == 0);
	for (size_t i = 0; i < n_threads; i++) {
		limit += BATCH / median(w[i].verified_s, TURNS);
		value += BATCH / median(w[i].appraised_s, TURNS);
	}
	print_rate(name, value, "/s", limit);
}

int main(void)
{
	static struct worker w[MAX_THREADS];
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	size_t n = cores < 1 ? 1 : cores > MAX_THREADS ? MAX_THREADS : (size_t)cores;

	if (ASSAY_SANITIZED) {
		(void)fprintf(stderr, "a sanitised build has no speed to measure\n");
		return 77;
	}
	for (size_t i = 0; i < n; i++)
		worker_init(&w[i], false);
	measure("appraise_incremental", w, 1);
	if (n > 1)
		measure("appraise_incremental_all_cores", w, n);
	for (size_t i = 0; i < n; i++)
		worker_done(&w[i]);
	worker_init(&w[0], true);
	measure("appraise_incremental_both_logs", w, 1);
	worker_done(&w[0]);
	return 0;
}
