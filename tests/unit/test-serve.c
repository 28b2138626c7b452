/* SPDX-License-Identifier: Apache-2.0 */
/* The whole loop through the routes: enrol, approve, challenge, attest, token, introspect, and what stops it. */
#include "unit.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/log.h"
#include "tests/support/service_fixture.h"

#define assert_status(want, expr) assert_int_equal(expr, want)

static void assert_member(const struct reply *r, const char *key, const char *want)
{
	char text[512];

	service_member(r, key, text, sizeof(text));
	assert_string_equal(text, want);
}

static struct host_row stored(struct service *s)
{
	struct host_row row = { 0 };

	assert_ok(store_host(s->v->store, s->lab->host->id, &row));
	return row;
}

static enum host_status status_of(struct service *s)
{
	cleanup_host_row struct host_row row = stored(s);

	return row.state.status;
}

static int64_t expiry_of(struct service *s)
{
	cleanup_host_row struct host_row row = stored(s);

	return row.verdict_expires_s;
}

static void test_the_loop(void **state)
{
	cleanup_service struct service *s = service_new();
	cleanup_reply struct reply pending, verified, token, active, list;
	cleanup_json json_t *reply = NULL, *answer = NULL, *hosts = NULL;
	cleanup_buf struct buf text = BUF_INIT(LIMIT_TOKEN);
	char authorization[256];
	const char *t;

	(void)state;
	service_enrol(s);
	/* Genuine, and nobody's yet: PENDING, and no credential. */
	service_challenge(s);
	assert_status(200, service_post_evidence(s, NULL, &pending));
	assert_member(&pending, "state", "PENDING");
	service_approve_all(s);
	service_challenge(s);
	assert_status(200, service_post_evidence(s, NULL, &verified));
	assert_member(&verified, "state", "VERIFIED");
	reply = service_json(&verified);
	assert_int_equal(json_array_size(json_object_get(reply, "results")), 1);

	assert_status(200, service_token(s, NULL, &token));
	assert_member(&token, "token_type", "DPoP");
	assert_true(token.dpop_nonce[0] != '\0');
	answer = service_json(&token);
	t = json_string_value(json_object_get(answer, "access_token"));
	assert_ok(buf_add_str(&text, t));
	/* Nobody introspects for this resource, so the token is short. */
	assert_int_equal(json_integer_value(json_object_get(answer, "expires_in")), 115);
	service_client(s, "api", "[\"" SERVICE_RESOURCE "\"]", authorization);
	assert_status(200, service_introspect(s, authorization, buf_bytes(&text), NULL, &active));
	assert_member(&active, "token_type", "DPoP");
	assert_member(&active, "task_id", "task-1");
	assert_member(&active, "aud", SERVICE_RESOURCE);
	assert_status(200, service_call(s, "GET", "/v1/admin/hosts", NULL, BYTES_NONE, &list));
	hosts = service_json(&list);
	assert_string_equal(json_string_value(json_object_get(json_array_get(hosts, 0), "status")), "VERIFIED");
}

/* DESIGN 6: audiences that introspect get what was expected, the others at most 120 s. */
static void test_life_of_a_token(void **state)
{
	static const char *const form =
		"grant_type=client_credentials&scope=read&resource=https%3A%2F%2Fapi.example%2Fv1&task_id=t&expected_s=200";
	cleanup_service struct service *s = service_ready();
	cleanup_reply struct reply before, after;
	cleanup_json json_t *a = NULL, *b = NULL;
	char authorization[256];

	(void)state;
	assert_status(200, service_token(s, form, &before));
	service_client(s, "api", "[\"" SERVICE_RESOURCE "\"]", authorization);
	assert_status(200, service_token(s, form, &after));
	a = service_json(&before);
	b = service_json(&after);
	assert_int_equal(json_integer_value(json_object_get(a, "expires_in")), 120);
	assert_int_equal(json_integer_value(json_object_get(b, "expires_in")), 230);
}

/* L1: once, and only once, whatever came of it. */
static void test_nonce_is_used_once(void **state)
{
	cleanup_service struct service *s = service_ready();
	cleanup_reply struct reply first;
	struct reply again[3];

	(void)state;
	service_challenge(s);
	assert_status(200, service_post_evidence(s, NULL, &first));
	/* The same evidence again, and after a restart. */
	(void)service_call(s, "POST", "/v1/attest", EVIDENCE_MEDIA_TYPE, buf_bytes(&s->lab->evidence), &again[0]);
	service_restart(s);
	(void)service_call(s, "POST", "/v1/attest", EVIDENCE_MEDIA_TYPE, buf_bytes(&s->lab->evidence), &again[1]);
	/* A new quote over the used nonce. */
	(void)service_post_evidence(s, NULL, &again[2]);
	for (size_t i = 0; i < array_len(again); i++) {
		assert_int_equal(again[i].status, 403);
		assert_member(&again[i], "check", "L1");
		reply_done(&again[i]);
	}
}

/* Two challenges, answered the wrong way round: the late one changes nothing, and its nonce stays good. */
static void test_overtaken(void **state)
{
	cleanup_service struct service *s = service_ready();
	cleanup_buf struct buf late = BUF_INIT(LIMIT_EVIDENCE);
	cleanup_host_row struct host_row before = { 0 }, after = { 0 };
	cleanup_reply struct reply r;

	(void)state;
	service_challenge(s);
	lab_evidence(s->lab, NULL);
	assert_ok(buf_add(&late, buf_bytes(&s->lab->evidence)));
	service_attest(s);
	before = stored(s);
	assert_status(409, service_call(s, "POST", "/v1/attest", EVIDENCE_MEDIA_TYPE, buf_bytes(&late), &r));
	assert_member(&r, "type", "urn:assay:error:E_AUTH_RETRY");
	assert_member(&r, "check", "R1");
	after = stored(s);
	assert_int_equal(after.version, before.version);
}

/* The same from the beginning of the log, where the state does not tell it from a new answer. */
static void test_nonce_is_used_once_with_whole_evidence(void **state)
{
	cleanup_service struct service *s = service_new();
	cleanup_reply struct reply first, second;

	(void)state;
	service_enrol(s);
	service_approve_all(s);
	service_challenge(s);
	assert_status(200, service_post_evidence(s, NULL, &first));
	assert_status(403, service_post_evidence(s, NULL, &second));
	assert_member(&second, "type", "urn:assay:error:E_AUTH_NONCE");
	assert_member(&second, "check", "L1");
}

static void test_nonce_expires(void **state)
{
	cleanup_service struct service *s = service_ready();
	cleanup_reply struct reply r;

	(void)state;
	service_challenge(s);
	s->now_s += NONCE_LIFE_S + 1;
	assert_status(403, service_post_evidence(s, NULL, &r));
	assert_member(&r, "check", "L1");
}

/* T19, T20: parallel answers to one challenge. */
struct race {
	struct service *s;
	pthread_barrier_t start;
	atomic_uint passed, refused, other;
};

static void *race_once(void *arg)
{
	struct race *r = arg;
	cleanup_reply struct reply reply;
	unsigned status;

	(void)pthread_barrier_wait(&r->start);
	status = service_call(r->s, "POST", "/v1/attest", EVIDENCE_MEDIA_TYPE, buf_bytes(&r->s->lab->evidence), &reply);
	if (status == 200)
		atomic_fetch_add(&r->passed, 1);
	else if (status == 403 || status == 409)
		atomic_fetch_add(&r->refused, 1);
	else
		atomic_fetch_add(&r->other, 1);
	return NULL;
}

#define N_RACE 40
static void test_parallel_answers(void **state)
{
	cleanup_service struct service *s = service_ready();
	struct race r = { .s = s };
	pthread_t thread[N_RACE];

	(void)state;
	service_challenge(s);
	lab_evidence(s->lab, NULL);
	assert_int_equal(pthread_barrier_init(&r.start, NULL, N_RACE), 0);
	for (size_t i = 0; i < N_RACE; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, race_once, &r), 0);
	for (size_t i = 0; i < N_RACE; i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
	(void)pthread_barrier_destroy(&r.start);
	assert_int_equal(r.passed, 1);
	assert_int_equal(r.refused, N_RACE - 1);
	assert_int_equal(r.other, 0);
}

/* Garbage for a host that is there and for one that is not get the same answer, and leave no trace. */
static void test_garbage_leaves_no_trace(void **state)
{
	cleanup_service struct service *s = service_ready();
	cleanup_service struct service *stranger = service_new();
	cleanup_host_row struct host_row before = stored(s), after = { 0 };
	cleanup_reply struct reply known, unknown, noise;

	(void)state;
	/* Evidence of another TPM that claims this host, against a host that nobody has. */
	memcpy(stranger->lab->host->id, s->lab->host->id, sizeof(s->lab->host->id));
	service_challenge(s);
	stranger->lab->challenge = s->lab->challenge;
	lab_evidence(stranger->lab, NULL);
	assert_status(403, service_call(s, "POST", "/v1/attest", EVIDENCE_MEDIA_TYPE,
					buf_bytes(&stranger->lab->evidence), &known));
	assert_status(403, service_call(stranger, "POST", "/v1/attest", EVIDENCE_MEDIA_TYPE,
					buf_bytes(&stranger->lab->evidence), &unknown));
	assert_bytes(buf_bytes(&known.body), buf_bytes(&unknown.body));
	assert_member(&known, "check", "K1");
	assert_status(400, service_call(s, "POST", "/v1/attest", EVIDENCE_MEDIA_TYPE, BYTES_LIT("noise"), &noise));
	after = stored(s);
	assert_int_equal(after.version, before.version);
	assert_int_equal(after.epoch, before.epoch);
	/* The nonce is still good for whose it is. */
	{
		cleanup_reply struct reply good;

		assert_status(200, service_post_evidence(s, NULL, &good));
	}
}

/* A refusal to strangers names the check and nothing that the verifier knows. */
static void test_refusal_tells_no_secret(void **state)
{
	cleanup_service struct service *s = service_ready(), *other = service_new();
	cleanup_buf struct buf name = BUF_INIT(256);
	cleanup_reply struct reply r;
	const char *text, *body;

	(void)state;
	memcpy(other->lab->host->id, s->lab->host->id, sizeof(s->lab->host->id));
	service_challenge(s);
	other->lab->challenge = s->lab->challenge;
	lab_evidence(other->lab, NULL);
	assert_status(403, service_call(s, "POST", "/v1/attest", EVIDENCE_MEDIA_TYPE, buf_bytes(&other->lab->evidence), &r));
	assert_ok(buf_add_hex(&name, tpm_name_bytes(&s->lab->tpm->ak->name)));
	assert_ok(buf_cstr(&name, &text));
	assert_ok(buf_cstr(&r.body, &body));
	assert_null(strstr(body, text));
}

/* An unknown host gets a challenge of the same shape. */
static void test_challenge_is_no_oracle(void **state)
{
	cleanup_service struct service *s = service_ready();
	cleanup_reply struct reply known, unknown;
	cleanup_json json_t *a = NULL, *b = NULL;
	const char *key;
	json_t *value;

	(void)state;
	assert_status(200, service_call(s, "POST", "/v1/challenge", JSON_TYPE,
					BYTES_LIT("{\"host\":\"h-00000000000000000000000000000000\",\"boot\":"
						  "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}"),
					&unknown));
	{
		char body[256];

		(void)snprintf(body, sizeof(body), "{\"host\":\"%s\",\"boot\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}",
			       s->lab->host->id);
		assert_status(200, service_call(s, "POST", "/v1/challenge", JSON_TYPE, bytes_str(body), &known));
	}
	a = service_json(&known);
	b = service_json(&unknown);
	json_object_foreach(a, key, value) {
		assert_int_equal(json_typeof(value), json_typeof(json_object_get(b, key)));
		/* Which registers are asked for follows from documents, not from the host being there; the nonce is random. */
		if (strcmp(key, "nonce") != 0 && strcmp(key, "pcrs") != 0)
			assert_true(json_equal(value, json_object_get(b, key)));
	}
}

/* Positions go on only in the boot and under the documents of the last pass. */
static void test_positions(void **state)
{
	cleanup_service struct service *s = service_ready();

	(void)state;
	service_challenge(s);
	assert_true(s->lab->challenge.boot_known);
	assert_true(s->lab->challenge.log_offset > 0);
	assert_int_equal(s->lab->challenge.n_known, 1);
	service_approve(s, DOCUMENT_IMAGE);
	service_challenge(s);
	assert_false(s->lab->challenge.boot_known);
	assert_int_equal(s->lab->challenge.log_offset, 0);
	assert_int_equal(s->lab->challenge.n_known, 0);
	service_attest(s);
	service_challenge(s);
	assert_true(s->lab->challenge.boot_known);
	assert_ok(softtpm_reset(s->lab->tpm));
	lab_boot(s->lab);
	service_challenge(s);
	assert_false(s->lab->challenge.boot_known);
}

/* V3: FAILED goes away by a full pass, not by waiting, and kills what was issued. */
static void test_failed_stays(void **state)
{
	cleanup_service struct service *s = service_ready();
	cleanup_buf struct buf token = BUF_INIT(LIMIT_TOKEN);
	cleanup_reply struct reply failing, refused, explained;
	char authorization[256];

	(void)state;
	service_client(s, "api", NULL, authorization);
	service_get_token(s, &token);
	assert_true(service_active(s, authorization, buf_bytes(&token)));
	/* A register that no vector approves. */
	assert_ok(softtpm_event(s->lab->tpm, 2, BYTES_LIT("rootkit")));
	service_challenge(s);
	assert_status(200, service_post_evidence(s, NULL, &failing));
	assert_member(&failing, "state", "FAILED");
	assert_false(service_active(s, authorization, buf_bytes(&token)));
	assert_status(400, service_token(s, NULL, &refused));
	assert_member(&refused, "error", "invalid_grant");
	/* Time alone changes nothing. */
	s->now_s += 1000;
	service_restart(s);
	assert_int_equal(status_of(s), HOST_FAILED);
	{
		char path[96];
		struct request q;

		(void)snprintf(path, sizeof(path), "%s", s->lab->host->id);
		q = service_request(s, "GET", "/v1/admin/explain", NULL, BYTES_NONE);
		q.query_host = path;
		service_send(s, &q, &explained);
		assert_status(200, explained.status);
		assert_member(&explained, "status", "FAILED");
		assert_member(&explained, "first_failure", "P-platform");
	}
	/* A full pass does. The old token stays dead. */
	lab_approve_platform(s->lab);
	service_approve(s, DOCUMENT_PLATFORM);
	service_attest(s);
	assert_int_equal(status_of(s), HOST_VERIFIED);
	assert_false(service_active(s, authorization, buf_bytes(&token)));
}

/* R2: a new boot ends what the old one was given. */
static void test_reboot(void **state)
{
	cleanup_service struct service *s = service_ready();
	cleanup_buf struct buf token = BUF_INIT(LIMIT_TOKEN);
	cleanup_host_row struct host_row before = stored(s), after = { 0 };
	struct reply r;
	char authorization[256];

	(void)state;
	service_client(s, "api", NULL, authorization);
	service_get_token(s, &token);
	assert_ok(softtpm_reset(s->lab->tpm));
	lab_boot(s->lab);
	(void)lab_start(s->lab, "agt", "image", "model");
	service_attest(s);
	after = stored(s);
	assert_int_equal(after.state.status, HOST_VERIFIED);
	assert_true(after.epoch > before.epoch);
	assert_status(200, service_introspect(s, authorization, buf_bytes(&token), s->lab->instance[0].key->key, &r));
	assert_memory_equal(r.body.p, "{\"active\":false}", r.body.n);
	reply_done(&r);
}

/* V5: what was removed and enrols again is trusted for nothing that it was before. */
static void test_remove_and_enrol_again(void **state)
{
	cleanup_service struct service *s = service_ready();
	cleanup_buf struct buf token = BUF_INIT(LIMIT_TOKEN);
	cleanup_reply struct reply removed, refused;
	char authorization[256];

	(void)state;
	service_client(s, "api", NULL, authorization);
	service_get_token(s, &token);
	assert_status(200, service_admin(s, "/v1/admin/hosts/remove", "host", s->lab->host->id, &removed));
	assert_false(service_active(s, authorization, buf_bytes(&token)));
	service_enrol(s);
	assert_int_equal(status_of(s), HOST_NEVER);
	assert_status(400, service_token(s, NULL, &refused));
	assert_false(service_active(s, authorization, buf_bytes(&token)));
	service_attest(s);
	assert_false(service_active(s, authorization, buf_bytes(&token)));
}

/* The clock stepped back behind what was seen: nothing is decided, and nothing is lost. */
static void test_clock_back(void **state)
{
	static const struct {
		const char *method, *path, *type;
		unsigned want;
	} routes[] = {
		{ "POST", "/v1/challenge", JSON_TYPE, 503 },  { "POST", "/v1/attest", EVIDENCE_MEDIA_TYPE, 503 },
		{ "POST", "/v1/token", FORM_TYPE, 503 },      { "POST", "/v1/introspect", FORM_TYPE, 503 },
		{ "POST", "/v1/x509-svid", FORM_TYPE, 503 },  { "GET", "/v1/spiffe-bundle", NULL, 200 },
		{ "POST", "/v1/enrol", JSON_TYPE, 503 },      { "POST", "/v1/enrol/activate", JSON_TYPE, 503 },
		{ "POST", "/v1/admin/documents", DSSE_TYPE, 503 }, { "GET", "/v1/jwks", NULL, 200 },
	};
	cleanup_service struct service *s = service_ready();

	(void)state;
	for (int restart = 0; restart < 2; restart++) {
		s->now_s = LAB_NOW - CLOCK_SKEW_S - 1;
		for (size_t i = 0; i < array_len(routes); i++) {
			cleanup_reply struct reply r;

			assert_status(routes[i].want,
				      service_call(s, routes[i].method, routes[i].path, routes[i].type, BYTES_NONE, &r));
			if (r.status == 503)
				assert_true(r.retry_after_s > 0);
		}
		assert_err(verifier_tick(s->v, s->now_s), E_LOCAL_CLOCK);
		s->now_s = LAB_NOW - CLOCK_SKEW_S;
		service_challenge(s);
		service_restart(s);
	}
}

/* T20: the documents change between appraisal and commit. */
static void test_documents_change_meanwhile(void **state)
{
	cleanup_service struct service *s = service_ready();
	cleanup_reply struct reply withdrawn, attested, token;
	cleanup_policy struct policy *old = NULL;

	(void)state;
	service_challenge(s);
	/* What a request holds that was appraised before the withdrawal: the snapshot of before. */
	old = policy_hold(s->v);
	assert_status(200, service_withdraw(s, DOCUMENT_IMAGE, &withdrawn));
	(void)pthread_mutex_lock(&s->v->lock);
	policy_release(s->v->policy);
	s->v->policy = take_ptr(&old);
	(void)pthread_mutex_unlock(&s->v->lock);
	assert_status(409, service_post_evidence(s, NULL, &attested));
	assert_member(&attested, "type", "urn:assay:error:E_AUTH_RETRY");
	assert_status(400, service_token(s, NULL, &token));
	assert_member(&token, "error", "invalid_grant");
	/* Housekeeping notices the stale snapshot and replaces it. */
	assert_ok(verifier_tick(s->v, s->now_s));
	service_challenge(s);
	{
		cleanup_reply struct reply again;

		assert_status(200, service_post_evidence(s, NULL, &again));
		assert_member(&again, "state", "FAILED");
	}
}

/* A verdict does not outlive a document that it rests on. */
static void test_verdict_ends_with_its_documents(void **state)
{
	static const enum document_kind kinds[] = { DOCUMENT_HOST, DOCUMENT_PLATFORM, DOCUMENT_AGENT, DOCUMENT_IMAGE,
						    DOCUMENT_MODEL };

	(void)state;
	for (size_t i = 0; i < array_len(kinds); i++) {
		cleanup_service struct service *s = service_new();

		service_enrol(s);
		doc_set(s->lab->doc[kinds[i]], "expires", "1500100");
		service_approve_all(s);
		service_attest(s);
		assert_int_equal(expiry_of(s), LAB_NOW + 100);
	}
	{
		cleanup_service struct service *s = service_ready();

		assert_int_equal(expiry_of(s), LAB_NOW + 300);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_loop),
		cmocka_unit_test(test_life_of_a_token),
		cmocka_unit_test(test_nonce_is_used_once),
		cmocka_unit_test(test_overtaken),
		cmocka_unit_test(test_nonce_is_used_once_with_whole_evidence),
		cmocka_unit_test(test_nonce_expires),
		cmocka_unit_test(test_parallel_answers),
		cmocka_unit_test(test_garbage_leaves_no_trace),
		cmocka_unit_test(test_refusal_tells_no_secret),
		cmocka_unit_test(test_challenge_is_no_oracle),
		cmocka_unit_test(test_positions),
		cmocka_unit_test(test_failed_stays),
		cmocka_unit_test(test_reboot),
		cmocka_unit_test(test_remove_and_enrol_again),
		cmocka_unit_test(test_clock_back),
		cmocka_unit_test(test_documents_change_meanwhile),
		cmocka_unit_test(test_verdict_ends_with_its_documents),
	};

	log_init(LOG_LEVEL_ERROR, false);
	return cmocka_run_group_tests_name("serve", tests, NULL, NULL);
}
