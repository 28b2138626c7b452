/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens, proofs and introspection: what credentials.md calls T14 to T20, V6, V7, P5. */
#include "unit.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/log.h"
#include "tests/support/service_fixture.h"

static void assert_member(const struct reply *r, const char *key, const char *want)
{
	char text[512];

	service_member(r, key, text, sizeof(text));
	assert_string_equal(text, want);
}

/* One request to /v1/token with everything changeable. */
struct ask {
	const char *form;                 /* NULL: an ordinary one */
	struct service_proof proof;
	bool no_nonce, no_proof;
	const char *raw_proof;            /* in place of one that is made */
	unsigned n_dpop;                  /* 0: 1 */
};

static void ask(struct service *s, const struct ask *a, struct reply *ret)
{
	cleanup_buf struct buf proof = BUF_INIT(LIMIT_TOKEN);
	struct service_proof p = a->proof;
	struct request q = service_request(s, "POST", "/v1/token", FORM_TYPE,
					   bytes_str(a->form != NULL ? a->form : SERVICE_FORM));
	char nonce[96];

	service_nonce(s, nonce);
	if (p.nonce == NULL && !a->no_nonce)
		p.nonce = nonce;
	service_proof(s, &p, &proof);
	assert_ok(buf_cstr(&proof, &q.dpop));
	if (a->raw_proof != NULL)
		q.dpop = a->raw_proof;
	q.n_dpop = a->no_proof ? 0 : a->n_dpop != 0 ? a->n_dpop : 1;
	if (a->no_proof)
		q.dpop = NULL;
	service_send(s, &q, ret);
}

static void refused(struct service *s, const struct ask *a, const char *code)
{
	struct reply r;

	ask(s, a, &r);
	if (r.status != 400)
		fail_msg("%s: status %u", code, r.status);
	assert_member(&r, "error", code);
	assert_string_equal(r.content_type, "application/json");
	/* Exactly where another try helps there is a nonce for it. */
	assert_int_equal(r.dpop_nonce[0] != '\0', strcmp(code, "use_dpop_nonce") == 0);
	reply_done(&r);
}

#define FORM(scope, resource, expected)                                                                                \
	"grant_type=client_credentials&scope=" scope "&resource=" resource "&task_id=t&expected_s=" expected
#define RESOURCE "https%3A%2F%2Fapi.example%2Fv1"

static void test_what_is_asked_for(void **state)
{
	static const struct {
		const char *form, *code;
	} rows[] = {
		{ "grant_type=password&scope=read&resource=" RESOURCE "&task_id=t&expected_s=10", "unsupported_grant_type" },
		{ FORM("write", RESOURCE, "10"), "invalid_scope" },
		{ FORM("read+write", RESOURCE, "10"), "invalid_scope" },
		{ FORM("READ", RESOURCE, "10"), "invalid_scope" },
		{ FORM("read", "https%3A%2F%2Fapi.example%2Fv1%2F", "10"), "invalid_target" },
		{ FORM("read", "https%3A%2F%2Fapi.example%2FV1", "10"), "invalid_target" },
		{ FORM("read", RESOURCE, "0"), "invalid_request" },
		{ FORM("read", RESOURCE, "-5"), "invalid_request" },
		{ FORM("read", RESOURCE, "1.5"), "invalid_request" },
		{ FORM("read", RESOURCE, "10") "&expected_s=10", "invalid_request" },
		{ "scope=read", "invalid_request" },
		{ "", "invalid_request" },
		{ "%zz", "invalid_request" },
	};
	cleanup_service struct service *s = service_ready();

	(void)state;
	for (size_t i = 0; i < array_len(rows); i++)
		refused(s, &(struct ask){ .form = rows[i].form }, rows[i].code);
	refused(s, &(struct ask){ .form = "" }, "invalid_request");
}

/* T15, T16, T17 and RFC 9449, 4.3. */
static void test_proofs(void **state)
{
	cleanup_service struct service *s = service_ready(), *other = service_new();
	cleanup_key struct key *stranger = NULL;
	char theirs[96], old[96];
	struct ask a;

	(void)state;
	assert_ok(key_generate(KEY_EC_P256, &stranger));
	service_nonce(other, theirs);
	service_nonce(s, old);
	refused(s, &(struct ask){ .no_proof = true }, "invalid_dpop_proof");
	refused(s, &(struct ask){ .n_dpop = 2 }, "invalid_dpop_proof");
	refused(s, &(struct ask){ .raw_proof = "" }, "invalid_dpop_proof");
	refused(s, &(struct ask){ .raw_proof = "a.b.c" }, "invalid_dpop_proof");
	refused(s, &(struct ask){ .proof = { .htm = "GET" } }, "invalid_dpop_proof");
	refused(s, &(struct ask){ .proof = { .htm = "post" } }, "invalid_dpop_proof");
	refused(s, &(struct ask){ .proof = { .htu = LAB_ISSUER "/v1/revoke" } }, "invalid_dpop_proof");
	refused(s, &(struct ask){ .proof = { .htu = "https://elsewhere.example/v1/token" } }, "invalid_dpop_proof");
	refused(s, &(struct ask){ .proof = { .jti = "short" } }, "invalid_dpop_proof");
	refused(s, &(struct ask){ .no_nonce = true }, "use_dpop_nonce");
	refused(s, &(struct ask){ .proof = { .nonce = theirs } }, "use_dpop_nonce");
	refused(s, &(struct ask){ .proof = { .nonce = "AAAA" } }, "use_dpop_nonce");
	/* A nonce for evidence is none for proofs. */
	{
		cleanup_buf struct buf text = BUF_INIT(96);
		const char *t;

		service_challenge(s);
		assert_ok(b64url_encode(BYTES_ARR(s->lab->challenge.nonce), &text));
		assert_ok(buf_cstr(&text, &t));
		refused(s, &(struct ask){ .proof = { .nonce = t } }, "use_dpop_nonce");
	}
	/* A good proof by a key that no verdict names. */
	refused(s, &(struct ask){ .proof = { .key = stranger } }, "invalid_grant");
	refused(s, &(struct ask){ .proof = { .key = s->lab->tpm->ak->key } }, "invalid_grant");
	/* At the end of the nonce's life, and behind it; the verdict still lives. */
	s->now_s += NONCE_LIFE_S - 1;
	a = (struct ask){ .proof = { .nonce = old } };
	{
		cleanup_reply struct reply r;

		ask(s, &a, &r);
		assert_int_equal(r.status, 200);
	}
	s->now_s += 1;
	refused(s, &(struct ask){ .proof = { .nonce = old } }, "use_dpop_nonce");
}

/* T14: the same proof again, after a restart, and in parallel. */
struct race {
	struct service *s;
	const char *proof;
	pthread_barrier_t start;
	atomic_uint issued, replayed, other;
};

static void send_proof(struct service *s, const char *proof, struct reply *ret)
{
	struct request q = service_request(s, "POST", "/v1/token", FORM_TYPE, bytes_str(SERVICE_FORM));

	q.dpop = proof;
	q.n_dpop = 1;
	service_send(s, &q, ret);
}

static void *race_once(void *arg)
{
	struct race *r = arg;
	cleanup_reply struct reply reply;
	char code[64];

	(void)pthread_barrier_wait(&r->start);
	send_proof(r->s, r->proof, &reply);
	service_member(&reply, "error", code, sizeof(code));
	if (reply.status == 200)
		atomic_fetch_add(&r->issued, 1);
	else if (reply.status == 400 && strcmp(code, "invalid_dpop_proof") == 0)
		atomic_fetch_add(&r->replayed, 1);
	else
		atomic_fetch_add(&r->other, 1);
	return NULL;
}

#define N_RACE 100
static void test_proof_is_used_once(void **state)
{
	cleanup_service struct service *s = service_ready();
	cleanup_buf struct buf proof = BUF_INIT(LIMIT_TOKEN);
	struct service_proof p = { .jti = "the-same-jti-for-all" };
	struct race r = { .s = s };
	pthread_t thread[N_RACE];
	char nonce[96];

	(void)state;
	service_nonce(s, nonce);
	p.nonce = nonce;
	service_proof(s, &p, &proof);
	assert_ok(buf_cstr(&proof, &r.proof));
	assert_int_equal(pthread_barrier_init(&r.start, NULL, N_RACE), 0);
	for (size_t i = 0; i < N_RACE; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, race_once, &r), 0);
	for (size_t i = 0; i < N_RACE; i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
	(void)pthread_barrier_destroy(&r.start);
	assert_int_equal(r.issued, 1);
	assert_int_equal(r.replayed, N_RACE - 1);
	service_restart(s);
	{
		cleanup_reply struct reply again;

		send_proof(s, r.proof, &again);
		assert_int_equal(again.status, 400);
		assert_member(&again, "error", "invalid_dpop_proof");
	}
	/* The same jti with another nonce is the same proof to the cache. */
	refused(s, &(struct ask){ .proof = { .jti = "the-same-jti-for-all" } }, "invalid_dpop_proof");
}

/* V6: never past the verdict, and none from an old one. */
static void test_token_ends_with_the_verdict(void **state)
{
	cleanup_service struct service *s = service_ready();
	cleanup_reply struct reply r;
	cleanup_json json_t *j = NULL;

	(void)state;
	s->now_s += 290;
	assert_int_equal(service_token(s, NULL, &r), 200);
	j = service_json(&r);
	assert_int_equal(json_integer_value(json_object_get(j, "expires_in")), 10);
	s->now_s += 10;
	refused(s, &(struct ask){ .form = NULL }, "invalid_grant");
	service_attest(s);
	{
		cleanup_reply struct reply fresh;

		assert_int_equal(service_token(s, NULL, &fresh), 200);
	}
}

/* A part of a long log is answered, and is no verdict. */
static void attest_part(struct service *s, bool incomplete)
{
	cleanup_reply struct reply r;
	cleanup_json json_t *j = NULL;

	service_challenge(s);
	assert_int_equal(service_post_evidence(s, NULL, &r), 200);
	j = service_json(&r);
	assert_int_equal(json_is_true(json_object_get(j, "incomplete")), incomplete);
	assert_int_equal(json_array_size(json_object_get(j, "failures")), 0);
	assert_int_equal(json_array_size(json_object_get(j, "results")), incomplete ? 0 : 1);
	assert_int_equal(json_object_get(j, "expires") == NULL, incomplete);
	assert_string_equal(r.log_verdict, incomplete ? "incomplete" : "VERIFIED");
}

/* V6: parts of a log give no token, and no verdict lives longer for them. */
static void test_token_and_parts_of_a_log(void **state)
{
	cleanup_service struct service *s = service_new();
	cleanup_reply struct reply first, second, third;
	uint32_t n;

	(void)state;
	service_enrol(s);
	service_approve_all(s);
	n = lab_tasks(s->lab, 0, LIMIT_WORKLOAD_LOG + 1000);
	attest_part(s, true);
	refused(s, &(struct ask){ .form = NULL }, "invalid_grant");
	/* It goes on where it was, after a restart, too. */
	service_restart(s);
	attest_part(s, false);
	assert_int_equal(service_token(s, NULL, &first), 200);
	(void)lab_tasks(s->lab, n, 2 * LIMIT_WORKLOAD_LOG + 10000);
	s->now_s += 290;
	attest_part(s, true);
	assert_int_equal(service_token(s, NULL, &second), 200);
	s->now_s += 10;
	refused(s, &(struct ask){ .form = NULL }, "invalid_grant");
	attest_part(s, false);
	assert_int_equal(service_token(s, NULL, &third), 200);
}

/* The register is not what the parts gave: FAILED, and all of it is wanted again. */
static void test_token_and_a_log_that_does_not_end_well(void **state)
{
	cleanup_service struct service *s = service_ready();
	cleanup_reply struct reply r;
	char member[16];

	(void)state;
	(void)lab_tasks(s->lab, 0, LIMIT_WORKLOAD_LOG + 10000);
	assert_ok(softtpm_event(s->lab->tpm, WORKLOAD_PCR, BYTES_LIT("not ours")));
	attest_part(s, true);
	service_challenge(s);
	assert_int_equal(service_post_evidence(s, NULL, &r), 200);
	service_member(&r, "state", member, sizeof(member));
	assert_string_equal(member, "FAILED");
	refused(s, &(struct ask){ .form = NULL }, "invalid_grant");
	service_challenge(s);
	assert_int_equal(s->lab->challenge.log_offset, 0);
}

/* P5: another agent document between verdict and token. */
static void test_agent_document_replaced(void **state)
{
	cleanup_service struct service *s = service_ready();
	cleanup_reply struct reply r;

	(void)state;
	doc_set(s->lab->doc[DOCUMENT_AGENT], "scopes", "[\"read\",\"write\"]");
	service_approve(s, DOCUMENT_AGENT);
	refused(s, &(struct ask){ .form = NULL }, "invalid_grant");
	service_attest(s);
	assert_int_equal(service_token(s, FORM("write", RESOURCE, "10"), &r), 200);
}

static void test_minimum_status(void **state)
{
	cleanup_service struct service *s = service_new();

	(void)state;
	doc_set(s->lab->doc[DOCUMENT_AGENT], "minimum_status", "\"affirming\"");
	service_enrol(s);
	service_approve_all(s);
	service_attest(s);
	refused(s, &(struct ask){ .form = NULL }, "invalid_grant");
}

/* --- introspection --- */

static void test_who_may_ask(void **state)
{
	cleanup_service struct service *s = service_ready();
	cleanup_buf struct buf token = BUF_INIT(LIMIT_TOKEN);
	char right[256], wrong[256], all[256];
	static const char *const nobody[] = {
		NULL, "", "Basic", "Basic ", "Basic !!!", "Basic YXBp", "Basic YXBpOg==", "Basic bm9ib2R5OnNlY3JldA==",
		"Bearer abc", "Digest username=api",
	};

	(void)state;
	service_get_token(s, &token);
	service_client(s, "api", "[\"" SERVICE_RESOURCE "\"]", right);
	service_client(s, "shop", "[\"https://shop.example\"]", wrong);
	service_client(s, "audit", NULL, all);
	for (size_t i = 0; i < array_len(nobody); i++) {
		cleanup_reply struct reply r;

		assert_int_equal(service_introspect(s, nobody[i], buf_bytes(&token), NULL, &r), 401);
		assert_member(&r, "error", "invalid_client");
		assert_non_null(r.www_authenticate);
	}
	assert_true(service_active(s, right, buf_bytes(&token)));
	assert_true(service_active(s, all, buf_bytes(&token)));
	/* T31: another resource's token is nothing to ask about. */
	assert_false(service_active(s, wrong, buf_bytes(&token)));
	{
		cleanup_reply struct reply r, gone;

		assert_int_equal(service_admin(s, "/v1/admin/clients/remove", "name", "api", &r), 200);
		assert_int_equal(service_introspect(s, right, buf_bytes(&token), NULL, &gone), 401);
	}
}

static void test_inactive_says_nothing_else(void **state)
{
	cleanup_service struct service *s = service_ready(), *other = service_ready();
	cleanup_buf struct buf token = BUF_INIT(LIMIT_TOKEN), theirs = BUF_INIT(LIMIT_TOKEN), cut = BUF_INIT(LIMIT_TOKEN);
	cleanup_key struct key *stranger = NULL;
	char api[256];
	struct {
		struct bytes token;
		const struct key *key;
	} rows[5];

	(void)state;
	assert_ok(key_generate(KEY_EC_P256, &stranger));
	service_client(s, "api", NULL, api);
	service_get_token(s, &token);
	service_get_token(other, &theirs);
	assert_ok(buf_add(&cut, buf_bytes(&token)));
	cut.p[cut.n - 10] = cut.p[cut.n - 10] == 'A' ? 'B' : 'A';
	rows[0].token = BYTES_LIT("rubbish");
	rows[1].token = buf_bytes(&theirs);
	rows[2].token = buf_bytes(&cut);
	rows[3].token = buf_bytes(&token); /* with another key */
	rows[4].token = BYTES_LIT("");
	for (size_t i = 0; i < 4; i++) {
		cleanup_reply struct reply r;

		assert_int_equal(service_introspect(s, api, rows[i].token, i == 3 ? stranger : NULL, &r), 200);
		assert_bytes(buf_bytes(&r.body), BYTES_LIT("{\"active\":false}"));
	}
	/* T7: at its expiry exactly. */
	s->now_s += 114;
	assert_true(service_active(s, api, buf_bytes(&token)));
	s->now_s += 1;
	assert_false(service_active(s, api, buf_bytes(&token)));
}

/* T14 at a resource: one proof, one request. */
static void test_introspected_proof_is_used_once(void **state)
{
	cleanup_service struct service *s = service_ready();
	cleanup_buf struct buf token = BUF_INIT(LIMIT_TOKEN);
	cleanup_reply struct reply first, second;
	char api[256];

	(void)state;
	service_client(s, "api", NULL, api);
	service_get_token(s, &token);
	(void)service_introspect(s, api, buf_bytes(&token), NULL, &first);
	s->n_proofs--; /* the next proof has the same jti */
	(void)service_introspect(s, api, buf_bytes(&token), NULL, &second);
	assert_member(&first, "token_type", "DPoP");
	assert_bytes(buf_bytes(&second.body), BYTES_LIT("{\"active\":false}"));
}

/* T29, V7: each thing that ends a credential, and no new one until the next verdict. */
static void test_what_ends_a_token(void **state)
{
	static const char *const ways[] = { "host", "instance", "task", "jti", "withdraw", "operator", "rights" };

	(void)state;
	for (size_t i = 0; i < array_len(ways); i++) {
		cleanup_service struct service *s = service_ready();
		cleanup_buf struct buf token = BUF_INIT(LIMIT_TOKEN);
		cleanup_reply struct reply r, again, list;
		cleanup_json json_t *rows = NULL;
		char api[256], value[80];

		reply_init(&r);
		service_client(s, "api", NULL, api);
		service_get_token(s, &token);
		assert_true(service_active(s, api, buf_bytes(&token)));
		(void)service_call(s, "GET", "/v1/admin/credentials", NULL, BYTES_NONE, &list);
		rows = service_json(&list);
		if (i < 4) {
			const char *key = strcmp(ways[i], "task") == 0 ? "task" : ways[i];

			(void)snprintf(value, sizeof(value), "%s",
				       json_string_value(json_object_get(json_array_get(rows, 0), key)));
			assert_int_equal(service_admin(s, "/v1/admin/revoke", ways[i], value, &r), 200);
		} else if (strcmp(ways[i], "withdraw") == 0) {
			assert_int_equal(service_withdraw(s, DOCUMENT_MODEL, &r), 200);
		} else {
			service_operators(s, strcmp(ways[i], "operator") == 0 ? NULL : "[\"image\",\"model\"]");
			assert_ok(verifier_reload(s->v, NULL));
		}
		assert_false(service_active(s, api, buf_bytes(&token)));
		service_restart(s);
		assert_false(service_active(s, api, buf_bytes(&token)));
		/* One jti ends one token, everything else what would come next too. */
		if (strcmp(ways[i], "jti") == 0) {
			assert_int_equal(service_token(s, NULL, &again), 200);
			continue;
		}
		assert_int_equal(service_token(s, NULL, &again), 400);
		assert_member(&again, "error", "invalid_grant");
	}
}

/* --- revocation by the workload or by a client --- */

static unsigned send_revoke(struct service *s, struct bytes token, const char *authorization, const struct key *key,
		       const char *nonce, struct reply *ret)
{
	const struct service_proof p = { .htu = LAB_ISSUER "/v1/revoke", .token = token, .key = key, .nonce = nonce };
	cleanup_buf struct buf proof = BUF_INIT(LIMIT_TOKEN), form = BUF_INIT(LIMIT_SMALL);
	struct request q;

	assert_ok(buf_add_str(&form, "token_type_hint=access_token&token="));
	assert_ok(buf_add(&form, token));
	q = service_request(s, "POST", "/v1/revoke", FORM_TYPE, buf_bytes(&form));
	service_proof(s, &p, &proof);
	if (authorization == NULL) {
		assert_ok(buf_cstr(&proof, &q.dpop));
		q.n_dpop = 1;
	}
	q.authorization = authorization;
	service_send(s, &q, ret);
	return ret->status;
}

static void test_revoke(void **state)
{
	cleanup_service struct service *s = service_ready();
	cleanup_buf struct buf a = BUF_INIT(LIMIT_TOKEN), b = BUF_INIT(LIMIT_TOKEN);
	cleanup_key struct key *stranger = NULL;
	struct reply r;
	char api[256], shop[256], nonce[96];

	(void)state;
	assert_ok(key_generate(KEY_EC_P256, &stranger));
	service_client(s, "api", "[\"" SERVICE_RESOURCE "\"]", api);
	service_client(s, "shop", "[\"https://shop.example\"]", shop);
	service_get_token(s, &a);
	service_get_token(s, &b);
	service_nonce(s, nonce);

	/* 200 for whoever may call, and no effect for those whose token it is not. */
	assert_int_equal(send_revoke(s, buf_bytes(&a), shop, NULL, NULL, &r), 200);
	reply_done(&r);
	assert_int_equal(send_revoke(s, buf_bytes(&a), NULL, stranger, nonce, &r), 200);
	reply_done(&r);
	assert_int_equal(send_revoke(s, BYTES_LIT("rubbish"), api, NULL, NULL, &r), 200);
	reply_done(&r);
	assert_true(service_active(s, api, buf_bytes(&a)));
	/* Nobody is nobody, and a proof needs our nonce. */
	assert_int_equal(send_revoke(s, buf_bytes(&a), "Basic bm9ib2R5OnNlY3JldA==", NULL, NULL, &r), 401);
	reply_done(&r);
	assert_int_equal(send_revoke(s, buf_bytes(&a), NULL, NULL, NULL, &r), 400);
	assert_member(&r, "error", "use_dpop_nonce");
	assert_true(r.dpop_nonce[0] != '\0');
	reply_done(&r);
	assert_true(service_active(s, api, buf_bytes(&a)));
	/* The key itself, and the client of the resource. */
	assert_int_equal(send_revoke(s, buf_bytes(&a), NULL, NULL, nonce, &r), 200);
	reply_done(&r);
	assert_false(service_active(s, api, buf_bytes(&a)));
	assert_true(service_active(s, api, buf_bytes(&b)));
	assert_int_equal(send_revoke(s, buf_bytes(&b), api, NULL, NULL, &r), 200);
	reply_done(&r);
	assert_false(service_active(s, api, buf_bytes(&b)));
	/* Again, and for an expired one. */
	assert_int_equal(send_revoke(s, buf_bytes(&b), api, NULL, NULL, &r), 200);
	reply_done(&r);
	s->now_s += 1000;
	assert_int_equal(send_revoke(s, buf_bytes(&b), api, NULL, NULL, &r), 200);
	reply_done(&r);
}

/* The clock is an hour behind: what was issued before ends all the same. */
static void test_revoke_while_the_clock_is_behind(void **state)
{
	cleanup_service struct service *s = service_ready();
	cleanup_buf struct buf a = BUF_INIT(LIMIT_TOKEN), b = BUF_INIT(LIMIT_TOKEN);
	cleanup_reply struct reply by_client, nonce, by_key;
	int64_t now_s = s->now_s;
	char api[256];

	(void)state;
	service_client(s, "api", "[\"" SERVICE_RESOURCE "\"]", api);
	service_get_token(s, &a);
	service_get_token(s, &b);
	s->now_s = now_s - 3600;
	assert_int_equal(send_revoke(s, buf_bytes(&a), api, NULL, NULL, &by_client), 200);
	assert_int_equal(send_revoke(s, buf_bytes(&b), NULL, NULL, NULL, &nonce), 400);
	assert_int_equal(send_revoke(s, buf_bytes(&b), NULL, NULL, nonce.dpop_nonce, &by_key), 200);
	s->now_s = now_s;
	assert_false(service_active(s, api, buf_bytes(&a)));
	assert_false(service_active(s, api, buf_bytes(&b)));
}

static void test_two_authorizations(void **state)
{
	cleanup_service struct service *s = service_ready();
	cleanup_reply struct reply r;
	struct request q = service_request(s, "POST", "/v1/introspect", FORM_TYPE, BYTES_LIT("token=x"));
	char api[256];

	(void)state;
	service_client(s, "api", NULL, api);
	q.authorization = api;
	q.n_authorization = 2;
	service_send(s, &q, &r);
	assert_int_equal(r.status, 400);
	assert_member(&r, "error", "invalid_request");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_asked_for),
		cmocka_unit_test(test_proofs),
		cmocka_unit_test(test_proof_is_used_once),
		cmocka_unit_test(test_token_ends_with_the_verdict),
		cmocka_unit_test(test_token_and_parts_of_a_log),
		cmocka_unit_test(test_token_and_a_log_that_does_not_end_well),
		cmocka_unit_test(test_agent_document_replaced),
		cmocka_unit_test(test_minimum_status),
		cmocka_unit_test(test_who_may_ask),
		cmocka_unit_test(test_inactive_says_nothing_else),
		cmocka_unit_test(test_introspected_proof_is_used_once),
		cmocka_unit_test(test_what_ends_a_token),
		cmocka_unit_test(test_revoke),
		cmocka_unit_test(test_revoke_while_the_clock_is_behind),
		cmocka_unit_test(test_two_authorizations),
	};

	log_init(LOG_LEVEL_ERROR, false);
	return cmocka_run_group_tests_name("serve-token", tests, NULL, NULL);
}
