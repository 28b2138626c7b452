/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/file.h"
#include "base/jose.h"
#include "firmware-measure/cel.h"
#include "tests/bench/bench-service.h"

#define WORKLOAD_PCR 13
#define FIRMWARE_PCRS 8
#define TICK_MS 100 /* of the TPM's clock, from one quote to the next */

static const struct reason no_reason = { "" };

struct client {
	struct https *https;
	const struct softtpm_ca *ca;
	struct challenge challenge;
	struct evidence evidence;
	struct evidence_claims claims;
	struct digest pcr[LIMIT_BANKS * LIMIT_PCRS];
	struct buf body, encoded_claims, quote, signature, boot[2], key[2];
	char token_url[96], nonce[160];
};

struct client *client_new(const struct service *s, const struct softtpm_ca *ca)
{
	struct client *c = calloc(1, sizeof(*c));

	must(c != NULL);
	c->https = service_connect(s);
	c->ca = ca;
	buf_init(&c->body, LIMIT_EVIDENCE);
	for (size_t i = 0; i < 2; i++) {
		buf_init(&c->boot[i], LIMIT_TPM2B);
		buf_init(&c->key[i], LIMIT_TPM2B);
	}
	buf_init(&c->encoded_claims, LIMIT_CLAIMS);
	buf_init(&c->quote, LIMIT_TPM2B);
	buf_init(&c->signature, LIMIT_TPM2B);
	(void)snprintf(c->token_url, sizeof(c->token_url), "%s/v1/token", s->url);
	return c;
}

void client_free(struct client *c)
{
	https_free(c->https);
	buf_free(&c->body);
	for (size_t i = 0; i < 2; i++) {
		buf_free(&c->boot[i]);
		buf_free(&c->key[i]);
	}
	buf_free(&c->encoded_claims);
	buf_free(&c->quote);
	buf_free(&c->signature);
	free(c);
}

/* ---- The host. */

static void digest_pair(const char *text, uint8_t first[32], uint8_t second[32])
{
	must_ok(sha256(bytes_str(text), first), no_reason);
	must_ok(sha256(BYTES(first, 32), second), no_reason);
}

void bench_image(struct image_digests *ret)
{
	digest_pair("image", ret->manifest, ret->config);
}

void bench_model(struct model_digests *ret)
{
	digest_pair("model", ret->manifest, ret->oms_root);
}

static void record(struct bench_host *h, const struct workload_event *ev)
{
	static const enum digest_id bank = DIGEST_SHA256;
	cleanup_buf struct buf content = BUF_INIT(LIMIT_LOG_RECORD);
	struct cel_record rec = { .recnum = h->n_records, .pcr = WORKLOAD_PCR };

	must_ok(workload_event_encode(ev, &content), no_reason);
	must_ok(cel_digests(buf_bytes(&content), 1, &bank, &rec), no_reason);
	must_ok(cel_encode(&rec, &h->log), no_reason);
	must_ok(softtpm_extend(h->tpm, bank, WORKLOAD_PCR, digest_bytes(&rec.digest[0])), no_reason);
	h->n_records++;
}

static void start_agent(struct bench_host *h)
{
	struct workload_event begin = { .kind = WORKLOAD_BEGIN, .n_banks = 1, .bank = { DIGEST_SHA256 } };
	struct workload_event start = { .kind = WORKLOAD_START, .agent = BYTES_LIT(BENCH_AGENT) };

	begin.before[0] = h->tpm->pcr[DIGEST_SHA256][WORKLOAD_PCR];
	record(h, &begin);
	must_ok(softtpm_workload_key(h->tpm, &h->workload), no_reason);
	must_ok(random_bytes(h->instance, sizeof(h->instance)), no_reason);
	memcpy(start.instance, h->instance, sizeof(start.instance));
	bench_image(&start.image);
	bench_model(&start.model);
	must_ok(workload_args_digest(0, NULL, start.args), no_reason);
	start.key_name = tpm_name_bytes(&h->workload->name);
	record(h, &start);
}

struct bench_host *bench_host_new(const struct softtpm_ca *ca)
{
	const struct softtpm_options o = { .ek = SOFTTPM_EK_P256, .ak = SOFTTPM_AK_P256, .ca = ca };
	struct bench_host *h = calloc(1, sizeof(*h));
	char text[16];

	must(h != NULL);
	buf_init(&h->log, LIMIT_WORKLOAD_LOG);
	must_ok(softtpm_new(&o, &h->tpm), no_reason);
	must_ok(host_id_of(&h->tpm->ek->pub, h->id), no_reason);
	must_ok(boot_id_of(&h->tpm->null_primary->name, h->tpm->clock.reset_count, h->tpm->clock.restart_count,
			   h->boot_id),
		no_reason);
	for (unsigned pcr = 0; pcr < FIRMWARE_PCRS; pcr++) {
		(void)snprintf(text, sizeof(text), "firmware %u", pcr);
		must_ok(softtpm_event(h->tpm, pcr, bytes_str(text)), no_reason);
	}
	start_agent(h);
	return h;
}

void bench_host_free(struct bench_host *h)
{
	softtpm_key_free(h->workload);
	softtpm_free(h->tpm);
	buf_free(&h->log);
	free(h);
}

/* ---- Requests. */

static void post(struct client *c, const char *path, const char *type, struct bytes body, const char *header,
		 struct https_reply *ret)
{
	struct reason why = { "" };

	must_ok(https_post(c->https, path, type, body, header == NULL ? 0 : 1, &header, ret, &why), why);
}

/* The body of a 200; anything else ends the program with what it says. */
static void post_fine(struct client *c, const char *path, const char *type, struct bytes body, struct https_reply *ret)
{
	post(c, path, type, body, NULL, ret);
	if (ret->status == 200)
		return;
	(void)fprintf(stderr, "%s: %u %.*s\n", path, ret->status, (int)ret->body.n, (const char *)ret->body.p);
	exit(1);
}

static void fill_request(struct client *c, const struct bench_host *h, struct enrol_request *q)
{
	must_ok(buf_add(&q->ek_public, buf_bytes(&h->tpm->ek->area)), no_reason);
	must_ok(buf_add(&q->ek_cert, cert_der(h->tpm->ek_cert)), no_reason);
	must_ok(buf_add(&q->chain[0], cert_der(c->ca->issuer)), no_reason);
	q->n_chain = 1;
	must_ok(buf_add(&q->ak_public, buf_bytes(&h->tpm->ak->area)), no_reason);
}

void client_enrol(struct client *c, struct bench_host *h)
{
	cleanup_https_reply struct https_reply first = { 0 }, second = { 0 };
	cleanup(enrol_challenge_done) struct enrol_challenge ch;
	cleanup(enrol_activation_done) struct enrol_activation a;
	struct reason why = { "" };
	struct enrol_reply reply;

	enrol_challenge_init(&ch);
	enrol_activation_init(&a);
	fill_request(c, h, &a.request);
	buf_clear(&c->body);
	must_ok(enrol_request_encode(&a.request, &c->body), no_reason);
	post_fine(c, "/v1/enrol", "application/json", buf_bytes(&c->body), &first);
	must_ok(enrol_challenge_decode(buf_bytes(&first.body), &ch, &why), why);
	must_ok(softtpm_activate(h->tpm, &h->tpm->ak->name, buf_bytes(&ch.credential_blob),
				 buf_bytes(&ch.encrypted_secret), &a.secret),
		no_reason);
	must_ok(buf_add(&a.session, buf_bytes(&ch.session)), no_reason);
	buf_clear(&c->body);
	must_ok(enrol_activation_encode(&a, &c->body), no_reason);
	post_fine(c, "/v1/enrol/activate", "application/json", buf_bytes(&c->body), &second);
	must_ok(enrol_reply_decode(buf_bytes(&second.body), &reply, &why), why);
	must(strcmp(reply.host_id, h->id) == 0 && strcmp(reply.state, "ENROLLED") == 0);
}

static void ask(struct client *c, const struct bench_host *h)
{
	cleanup_https_reply struct https_reply reply = { 0 };
	struct challenge_request q = { 0 };
	struct reason why = { "" };

	memcpy(q.host_id, h->id, sizeof(q.host_id));
	memcpy(q.boot_id, h->boot_id, sizeof(q.boot_id));
	buf_clear(&c->body);
	must_ok(challenge_request_encode(&q, &c->body), no_reason);
	post_fine(c, "/v1/challenge", "application/json", buf_bytes(&c->body), &reply);
	must_ok(challenge_decode(buf_bytes(&reply.body), &c->challenge, &why), why);
	must(c->challenge.log_offset <= h->log.n);
}

static void make_claims(struct client *c, const struct bench_host *h)
{
	const struct challenge *ch = &c->challenge;
	struct evidence_claims *claims = &c->claims;

	*claims = (struct evidence_claims){
		.issuer = bytes_str(ch->issuer), .host_id = bytes_str(h->id), .nonce = BYTES_ARR(ch->nonce),
		.ak_name = tpm_name_bytes(&h->tpm->ak->name), .selection = ch->selection, .log_offset = ch->log_offset,
		.log_records = ch->log_records, .log_pcr = digest_bytes(&ch->log_pcr), .n_instances = 1,
	};
	memcpy(claims->boot_id, h->boot_id, BOOT_ID_LEN);
	memcpy(claims->instance[0].instance, h->instance, PRESENTED_ID_LEN);
	claims->instance[0].key_name = tpm_name_bytes(&h->workload->name);
	buf_clear(&c->encoded_claims);
	must_ok(evidence_claims_encode(claims, &c->encoded_claims), no_reason);
}

static void certify(struct client *c, const struct bench_host *h, const struct softtpm_key *object, struct buf out[2],
		    struct evidence_key *ret)
{
	uint8_t extra[32];

	buf_clear(&out[0]);
	buf_clear(&out[1]);
	must_ok(evidence_key_extra_data(BYTES_ARR(c->challenge.nonce), buf_bytes(&c->encoded_claims),
					tpm_name_bytes(&object->name), extra),
		no_reason);
	must_ok(softtpm_certify(h->tpm, h->tpm->ak, object, BYTES_ARR(extra), &out[0], &out[1]), no_reason);
	*ret = (struct evidence_key){ buf_bytes(&object->area), buf_bytes(&out[0]), buf_bytes(&out[1]) };
}

static void make_quote(struct client *c, const struct bench_host *h)
{
	const struct pcr_selection *selection = &c->challenge.selection;
	struct evidence *ev = &c->evidence;
	struct pcr_selection done;
	uint8_t extra[32];

	buf_clear(&c->quote);
	buf_clear(&c->signature);
	must_ok(evidence_qualifying_data(BYTES_ARR(c->challenge.nonce), buf_bytes(&c->encoded_claims), extra), no_reason);
	must_ok(softtpm_quote(h->tpm, h->tpm->ak, BYTES_ARR(extra), selection, &c->quote, &c->signature), no_reason);
	softtpm_pcr_read(h->tpm, selection, &done, c->pcr, &ev->n_pcrs);
	for (size_t i = 0; i < ev->n_pcrs; i++)
		ev->pcr[i] = digest_bytes(&c->pcr[i]);
	ev->quote = buf_bytes(&c->quote);
	ev->signature = buf_bytes(&c->signature);
}

static void make_evidence(struct client *c, struct bench_host *h)
{
	const struct challenge *ch = &c->challenge;
	struct evidence *ev = &c->evidence;

	softtpm_tick(h->tpm, TICK_MS);
	make_claims(c, h);
	*ev = (struct evidence){ .claims = buf_bytes(&c->encoded_claims) };
	must_ok(bytes_sub(buf_bytes(&h->log), (size_t)ch->log_offset, h->log.n - (size_t)ch->log_offset, &ev->log),
		no_reason);
	if (!ch->boot_known) {
		ev->has_boot = true;
		certify(c, h, h->tpm->null_primary, c->boot, &ev->boot);
	}
	if (ch->n_known == 0)
		certify(c, h, h->workload, c->key, &ev->key[ev->n_keys++]);
	make_quote(c, h);
	buf_clear(&c->body);
	must_ok(evidence_encode(ev, &c->body), no_reason);
}

void client_attest(struct client *c, struct bench_host *h)
{
	cleanup_https_reply struct https_reply reply = { 0 };
	cleanup(attest_reply_done) struct attest_reply a = { 0 };
	struct reason why = { "" };

	ask(c, h);
	make_evidence(c, h);
	post_fine(c, "/v1/attest", EVIDENCE_MEDIA_TYPE, buf_bytes(&c->body), &reply);
	must_ok(attest_reply_decode(buf_bytes(&reply.body), &a, &why), why);
	for (size_t i = 0; i < a.n_failures; i++)
		(void)fprintf(stderr, "%s (%s): expected %s, seen %s\n", a.failure[i].check, a.failure[i].subject,
			      a.failure[i].expected, a.failure[i].seen);
	must(strcmp(a.state, "VERIFIED") == 0 && a.n_failures == 0 && a.n_results == 1);
	must(strcmp(a.result[0].status, "warning") == 0 && a.result[0].ear.n > 0);
}

/* ---- Tokens. */

static struct err sign_proof(void *ctx, struct bytes data, struct buf *ret)
{
	const struct bench_host *h = ctx;

	return key_sign(h->workload->key, SIG_ECDSA, DIGEST_SHA256, data, ret);
}

static void make_proof(struct client *c, struct bench_host *h, struct buf *ret_header)
{
	const struct jws_signer signer = { .alg = "ES256", .sign = sign_proof, .ctx = h };
	cleanup_json json_t *claims = NULL, *jwk = NULL;
	uint8_t jti[16];

	must_ok(random_bytes(jti, sizeof(jti)), no_reason);
	must_ok(jwk_from_key(h->workload->key, &jwk), no_reason);
	must_ok(json_new_object(&claims), no_reason);
	must_ok(json_put_b64url(claims, "jti", BYTES_ARR(jti)), no_reason);
	must_ok(json_put_str(claims, "htm", "POST"), no_reason);
	must_ok(json_put_str(claims, "htu", c->token_url), no_reason);
	must_ok(json_put_int(claims, "iat", clock_now_s()), no_reason);
	if (c->nonce[0] != '\0')
		must_ok(json_put_str(claims, "nonce", c->nonce), no_reason);
	must_ok(buf_add_str(ret_header, "DPoP: "), no_reason);
	must_ok(jws_sign(&signer, "dpop+jwt", jwk, claims, ret_header), no_reason);
}

/* False where the nonce has become too old: the answer brought a new one. */
static bool try_token(struct client *c, struct bench_host *h)
{
	static const char form[] = "grant_type=client_credentials&scope=" BENCH_SCOPE
				   "&resource=https%3A%2F%2Fapi.example%2Fv1&task_id=bench&expected_s=60";
	cleanup_https_reply struct https_reply reply = { 0 };
	cleanup_buf struct buf header = BUF_INIT(LIMIT_TOKEN);
	cleanup_json json_t *answer = NULL;
	const char *line = NULL, *code;
	struct reason why = { "" };

	make_proof(c, h, &header);
	must_ok(buf_cstr(&header, &line), no_reason);
	post(c, "/v1/token", "application/x-www-form-urlencoded", BYTES_LIT(form), line, &reply);
	if (reply.dpop_nonce[0] != '\0')
		memcpy(c->nonce, reply.dpop_nonce, sizeof(c->nonce));
	must_ok(json_parse(buf_bytes(&reply.body), LIMIT_SMALL, &answer, &why), why);
	if (reply.status == 200) {
		must(json_is_string(json_object_get(answer, "access_token")));
		return true;
	}
	code = json_string_value(json_object_get(answer, "error"));
	if (code == NULL || strcmp(code, "use_dpop_nonce") != 0) {
		(void)fprintf(stderr, "/v1/token: %u %.*s\n", reply.status, (int)reply.body.n, (const char *)reply.body.p);
		exit(1);
	}
	return false;
}

void client_token(struct client *c, struct bench_host *h)
{
	if (!try_token(c, h))
		must(try_token(c, h));
}
