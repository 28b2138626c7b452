/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON messages: every sample is read and written again; every change to it has its error. */
#include "protocol/messages.h"

#include "tests/support/fault.h"
#include "tests/unit/unit.h"

#define HOST "h-00112233445566778899aabbccddeeff"
#define B32 "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
#define B57 "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4"
#define B16 "AAECAwQFBgcICQoLDA0ODw"
#define HEX32 "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define REQUEST "{\"ak_public\":\"YWs\",\"ek_cert\":\"Y2VydA\",\"ek_chain\":[\"Y2E\",\"cm9vdA\"],\"ek_public\":\"ZWs\"}"

/* Decodes and encodes again. */
static struct err enrol_request(struct bytes in, struct buf *ret, struct reason *why)
{
	struct enrol_request m;
	struct err e;

	enrol_request_init(&m);
	if (!failed(e = enrol_request_decode(in, &m, why)))
		e = enrol_request_encode(&m, ret);
	enrol_request_done(&m);
	return e;
}

static struct err enrol_challenge(struct bytes in, struct buf *ret, struct reason *why)
{
	struct enrol_challenge m;
	struct err e;

	enrol_challenge_init(&m);
	if (!failed(e = enrol_challenge_decode(in, &m, why)))
		e = enrol_challenge_encode(&m, ret);
	enrol_challenge_done(&m);
	return e;
}

static struct err enrol_activation(struct bytes in, struct buf *ret, struct reason *why)
{
	struct enrol_activation m;
	struct err e;

	enrol_activation_init(&m);
	if (!failed(e = enrol_activation_decode(in, &m, why)))
		e = enrol_activation_encode(&m, ret);
	enrol_activation_done(&m);
	return e;
}

static struct err enrol_reply(struct bytes in, struct buf *ret, struct reason *why)
{
	struct enrol_reply m;
	struct err e;

	if (failed(e = enrol_reply_decode(in, &m, why)))
		return e;
	return enrol_reply_encode(&m, ret);
}

static struct err challenge_request(struct bytes in, struct buf *ret, struct reason *why)
{
	struct challenge_request m;
	struct err e;

	if (failed(e = challenge_request_decode(in, &m, why)))
		return e;
	return challenge_request_encode(&m, ret);
}

static struct err challenge(struct bytes in, struct buf *ret, struct reason *why)
{
	struct challenge m;
	struct err e;

	if (failed(e = challenge_decode(in, &m, why)))
		return e;
	return challenge_encode(&m, ret);
}

static struct err attest_reply(struct bytes in, struct buf *ret, struct reason *why)
{
	struct attest_reply m = { 0 };
	struct err e;

	if (!failed(e = attest_reply_decode(in, &m, why)))
		e = attest_reply_encode(&m, ret);
	attest_reply_done(&m);
	return e;
}

static struct err problem(struct bytes in, struct buf *ret, struct reason *why)
{
	struct problem m;
	struct err e;

	if (failed(e = problem_decode(in, &m, why)))
		return e;
	return problem_encode(&m, ret);
}

struct sample {
	struct err (*again)(struct bytes in, struct buf *ret, struct reason *why);
	const char *text, *optional; /* optional: names of members that may be absent */
};

static const struct sample s_request = { enrol_request, REQUEST, " ek_cert ek_chain " };
static const struct sample s_enrol_challenge = {
	enrol_challenge,
	"{\"credential_blob\":\"YmxvYg\",\"encrypted_secret\":\"c2VhbGVk\",\"host\":\"" HOST "\",\"session\":\"cw\"}", ""
};
static const struct sample s_activation = {
	enrol_activation, "{\"request\":" REQUEST ",\"secret\":\"" B32 "\",\"session\":\"cw\"}", ""
};
static const struct sample s_enrol_reply = {
	enrol_reply,
	"{\"ek_sha256\":\"" HEX32 "\",\"host\":\"" HOST "\",\"issuer\":\"https://v\",\"state\":\"PENDING\"}", ""
};
static const struct sample s_challenge_request = {
	challenge_request, "{\"boot\":\"" B32 "\",\"host\":\"" HOST "\"}", ""
};
static const struct sample s_challenge = {
	challenge,
	"{\"bank\":\"sha256\",\"boot_known\":true,\"firmware_log\":false,\"ima_offset\":4096,"
	"\"issuer\":\"https://v\",\"keys_known\":[\"" B16 "\"],\"log_offset\":7,"
	"\"log_pcr\":\"" B32 "\",\"log_records\":1,\"nonce\":\"" B57 "\",\"pcrs\":[0,7,13,23]}",
	" ima_offset "
};
static const struct sample s_first_challenge = {
	challenge,
	"{\"bank\":\"sha384\",\"boot_known\":false,\"firmware_log\":true,\"issuer\":\"https://v\",\"keys_known\":[],\"log_offset\":0,"
	"\"log_pcr\":\"\",\"log_records\":0,\"nonce\":\"" B57 "\",\"pcrs\":[13],\"userspace_log\":true}",
	" userspace_log "
};
static const struct sample s_reply = {
	attest_reply,
	"{\"expires\":\"2026-01-31T12:00:00Z\",\"failures\":[{\"check\":\"W-model\",\"expected\":\"a\",\"seen\":\"b\","
	"\"subject\":\"c\"}],\"host\":\"" HOST "\",\"incomplete\":true,\"results\":[{\"ear\":\"a.b.c\",\"instance\":"
	"\"00112233445566778899aabbccddeeff\",\"status\":\"warning\"},{\"ear\":\"\",\"instance\":\"\",\"status\":\"none\"}],"
	"\"state\":\"VERIFIED\"}",
	" expires "
};
static const struct sample s_short_reply = {
	attest_reply,
	"{\"failures\":[],\"host\":\"" HOST "\",\"incomplete\":false,\"results\":[],\"state\":\"FAILED\"}", ""
};
static const struct sample s_problem = {
	problem,
	"{\"check\":\"Q4\",\"detail\":\"d\",\"status\":403,\"title\":\"t\",\"type\":\"urn:assay:error:E_AUTH_NONCE\"}",
	" check "
};

static const struct sample *const samples[] = { &s_request,	      &s_enrol_challenge, &s_activation,
						&s_enrol_reply,	      &s_challenge_request, &s_challenge,
						&s_first_challenge,   &s_reply,		  &s_short_reply,
						&s_problem };

static struct err try(const struct sample *s, struct bytes in)
{
	cleanup_buf struct buf out = BUF_INIT(LIMIT_EVIDENCE);
	struct reason why = { "" };
	struct err e = s->again(in, &out, &why);

	assert_int_equal(why.text[0] != '\0', failed(e));
	assert_true(!failed(e) || out.n == 0);
	return e;
}

static void test_round_trips(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(samples); i++) {
		cleanup_buf struct buf out = BUF_INIT(LIMIT_EVIDENCE);

		assert_ok(samples[i]->again(bytes_str(samples[i]->text), &out, NULL));
		assert_bytes(buf_bytes(&out), bytes_str(samples[i]->text));
	}
}

static void test_cut_at_every_length(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(samples); i++)
		for (size_t n = 0; n < strlen(samples[i]->text); n++)
			assert_err(try(samples[i], BYTES(samples[i]->text, n)), E_PEER_SYNTAX);
}

static void write_out(const json_t *j, struct buf *ret)
{
	buf_init(ret, LIMIT_SMALL);
	assert_ok(json_write(j, ret));
}

/* The keys of a sample, one after the other, with a fresh copy of its object. */
static bool nth_member(const struct sample *s, size_t n, json_t **ret, const char **ret_key)
{
	json_t *j = json_loads(s->text, 0, NULL);
	const char *key;
	json_t *value;
	size_t i = 0;

	assert_non_null(j);
	json_object_foreach (j, key, value) {
		if (i++ == n) {
			*ret = j;
			*ret_key = key;
			return true;
		}
	}
	json_decref(j);
	return false;
}

static bool is_optional(const struct sample *s, const char *key)
{
	char word[64];

	(void)snprintf(word, sizeof(word), " %s ", key);
	return strstr(s->optional, word) != NULL;
}

static void test_X3_each_member_missing(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(samples); i++) {
		const char *key = NULL;
		json_t *j = NULL;

		for (size_t n = 0; nth_member(samples[i], n, &j, &key); n++) {
			cleanup_buf struct buf in = BUF_INIT(0);
			bool optional = is_optional(samples[i], key);

			assert_int_equal(json_object_del(j, key), 0);
			write_out(j, &in);
			assert_code(try(samples[i], buf_bytes(&in)), optional ? E_OK : E_PEER_MISSING);
			json_decref(j);
		}
		assert_non_null(key);
	}
}

static void test_X3_unknown_member(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(samples); i++) {
		cleanup_json json_t *j = json_loads(samples[i]->text, 0, NULL);
		cleanup_buf struct buf in = BUF_INIT(0);

		assert_int_equal(json_object_set_new(j, "surplus", json_true()), 0);
		write_out(j, &in);
		/* RFC 9457 wants unknown members of problems ignored. */
		assert_code(try(samples[i], buf_bytes(&in)), samples[i] == &s_problem ? E_OK : E_PEER_UNKNOWN_KEY);
	}
}

static void test_each_member_of_another_type(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(samples); i++) {
		for (int type = 0; type < 5; type++) {
			const char *key = NULL;
			json_t *j = NULL;

			for (size_t n = 0; nth_member(samples[i], n, &j, &key); n++) {
				json_t *const values[] = { json_null(), json_true(), json_real(1.5), json_array(),
							   json_object() };
				cleanup_buf struct buf in = BUF_INIT(0);
				const json_t *old = json_object_get(j, key);
				bool same = json_typeof(values[type]) == json_typeof(old) ||
					    (json_is_boolean(old) && json_is_boolean(values[type]));

				assert_int_equal(json_object_set(j, key, values[type]), 0);
				write_out(j, &in);
				if (!same)
					assert_err(try(samples[i], buf_bytes(&in)), E_PEER_TYPE);
				for (size_t v = 0; v < array_len(values); v++)
					json_decref(values[v]);
				json_decref(j);
			}
		}
	}
}

static void test_member_twice(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(samples); i++) {
		cleanup_buf struct buf in = BUF_INIT(LIMIT_SMALL);
		size_t n = strlen(samples[i]->text);

		assert_ok(buf_add(&in, BYTES(samples[i]->text, n - 1)));
		assert_ok(buf_add_str(&in, ","));
		assert_ok(buf_add_str(&in, samples[i]->text + 1));
		assert_err(try(samples[i], buf_bytes(&in)), E_PEER_DUPLICATE);
	}
}

static void test_X1_trailing_and_shape(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(samples); i++) {
		cleanup_buf struct buf in = BUF_INIT(LIMIT_SMALL);

		assert_ok(buf_add_str(&in, samples[i]->text));
		assert_ok(buf_add_str(&in, "{}"));
		assert_err(try(samples[i], buf_bytes(&in)), E_PEER_SYNTAX);
		assert_err(try(samples[i], BYTES_LIT("[]")), E_PEER_TYPE);
		assert_err(try(samples[i], BYTES_LIT("null")), E_PEER_TYPE);
	}
}

static void test_X2_too_large(void **state)
{
	cleanup_buf struct buf big = BUF_INIT(LIMIT_EVIDENCE + 1);

	(void)state;
	assert_ok(buf_reserve(&big, LIMIT_EVIDENCE + 1));
	memset(big.p, ' ', LIMIT_EVIDENCE + 1);
	for (size_t i = 0; i < array_len(samples); i++) {
		size_t cap = samples[i]->again == attest_reply ? LIMIT_EVIDENCE : LIMIT_SMALL;

		assert_err(try(samples[i], BYTES(big.p, cap + 1)), E_LIMIT_SIZE);
		assert_err(try(samples[i], BYTES(big.p, cap)), E_PEER_SYNTAX);
	}
}

/* A sample with `from` replaced by `to`. */
static const struct {
	const struct sample *s;
	const char *from, *to;
	enum err_code want;
} changes[] = {
	{ &s_request, "\"ZWs\"", "\"\"", E_PEER_RANGE },
	{ &s_request, "\"YWs\"", "\"\"", E_PEER_RANGE },
	{ &s_request, "\"Y2VydA\"", "\"\"", E_PEER_RANGE },
	{ &s_request, "\"Y2VydA\"", "\"Y2VydA==\"", E_PEER_SYNTAX },
	{ &s_request, "\"Y2VydA\"", "\"Y2VydB\"", E_PEER_NOT_CANONICAL },
	{ &s_request, "\"Y2E\"", "\"\"", E_PEER_RANGE },
	{ &s_request, "\"Y2E\"", "7", E_PEER_TYPE },
	{ &s_request, "\"Y2E\"", "\"Y2E=\"", E_PEER_SYNTAX },
	{ &s_request, "\"Y2E\"", "\"Y2E\",\"Y2E\",\"Y2E\",\"Y2E\",\"Y2E\",\"Y2E\",\"Y2E\",\"Y2E\"", E_LIMIT_COUNT },
	{ &s_enrol_challenge, HOST, "h-00112233445566778899aabbccddeef", E_PEER_RANGE },
	{ &s_enrol_challenge, HOST, "h-00112233445566778899aabbccddeeff0", E_PEER_RANGE },
	{ &s_enrol_challenge, HOST, "h-00112233445566778899AABBCCDDEEFF", E_PEER_RANGE },
	{ &s_enrol_challenge, HOST, "x-00112233445566778899aabbccddeeff", E_PEER_RANGE },
	{ &s_enrol_challenge, "\"cw\"", "\"\"", E_PEER_RANGE },
	{ &s_activation, B32, B32 "A", E_LIMIT_SIZE },
	{ &s_activation, B32, B57, E_LIMIT_SIZE },
	{ &s_activation, "\"ek_public\"", "\"ek_publik\"", E_PEER_MISSING },
	{ &s_activation, "\"ek_cert\"", "\"ek_zert\"", E_PEER_UNKNOWN_KEY },
	{ &s_enrol_reply, "PENDING", "ENROLLED", E_OK },
	{ &s_enrol_reply, "PENDING", "pending", E_PEER_RANGE },
	{ &s_enrol_reply, "PENDING", "VERIFIED", E_PEER_RANGE },
	{ &s_enrol_reply, "https://v", "", E_PEER_RANGE },
	{ &s_enrol_reply, "1e1f", "1e", E_PEER_RANGE },
	{ &s_enrol_reply, "1e1f", "1e1f20", E_PEER_RANGE },
	{ &s_challenge_request, B32, B16, E_PEER_RANGE },
	{ &s_challenge_request, B32, B57, E_LIMIT_SIZE },
	{ &s_challenge, "\"sha256\"", "\"sha224\"", E_PEER_UNSUPPORTED },
	{ &s_challenge, "\"sha256\"", "\"sha384\"", E_PEER_RANGE }, /* log_pcr has another size */
	{ &s_challenge, B57, B32, E_PEER_RANGE },
	{ &s_challenge, "[0,7,13,23]", "[0,7,13,24]", E_PEER_RANGE },
	{ &s_challenge, "[0,7,13,23]", "[-1]", E_PEER_RANGE },
	{ &s_challenge, "[0,7,13,23]", "[7,0]", E_PEER_RANGE },
	{ &s_challenge, "[0,7,13,23]", "[0,7,7]", E_PEER_RANGE },
	{ &s_challenge, "[0,7,13,23]", "[]", E_PEER_RANGE },
	{ &s_challenge, "[0,7,13,23]", "[\"7\"]", E_PEER_RANGE },
	{ &s_challenge, "[0,7,13,23]", "[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,23]",
	  E_LIMIT_COUNT },
	{ &s_challenge, "\"log_offset\":7", "\"log_offset\":0", E_PEER_RANGE },
	{ &s_challenge, "\"log_offset\":7", "\"log_offset\":-1", E_PEER_RANGE },
	{ &s_challenge, "\"log_records\":1", "\"log_records\":0", E_PEER_RANGE },
	{ &s_challenge, "\"log_pcr\":\"" B32, "\"log_pcr\":\"", E_PEER_RANGE },
	{ &s_challenge, "\"" B16 "\"", "\"" B32 "\"", E_LIMIT_SIZE },
	{ &s_challenge, "\"" B16 "\"", "\"AAEC\"", E_PEER_RANGE },
	{ &s_first_challenge, "\"log_records\":0", "\"log_records\":1", E_PEER_RANGE },
	{ &s_first_challenge, "\"log_pcr\":\"", "\"log_pcr\":\"" B32, E_PEER_RANGE },
	{ &s_reply, "VERIFIED", "OK", E_PEER_RANGE },
	{ &s_reply, "\"warning\"", "\"fine\"", E_PEER_RANGE },
	{ &s_reply, "\"00112233445566778899aabbccddeeff\"", "\"00112233445566778899aabbccddeef\"", E_PEER_RANGE },
	{ &s_reply, "\"00112233445566778899aabbccddeeff\"", "\"00112233445566778899AAbbccddeeff\"", E_PEER_RANGE },
	{ &s_reply, "\"W-model\"", "\"\"", E_PEER_RANGE },
	{ &s_reply, "\"W-model\"", "\"W model\"", E_PEER_RANGE },
	{ &s_reply, "\"W-model\"", "\"123456789012345678901234\"", E_PEER_RANGE },
	{ &s_reply, "\"seen\"", "\"sehen\"", E_PEER_MISSING },
	{ &s_reply, "\"ear\":\"a.b.c\",", "\"ear\":\"a.b.c\",\"x\":1,", E_PEER_UNKNOWN_KEY },
	{ &s_reply, "\"expected\":\"a\",", "\"expected\":\"a\",\"x\":1,", E_PEER_UNKNOWN_KEY },
	{ &s_reply, "2026-01-31T12:00:00Z", "2026-01-31 12:00:00", E_PEER_SYNTAX },
	{ &s_problem, "urn:assay:error:", "urn:other:error:", E_PEER_RANGE },
	{ &s_problem, "E_AUTH_NONCE", "", E_PEER_RANGE },
	{ &s_problem, "E_AUTH_NONCE", "E AUTH", E_PEER_RANGE },
	{ &s_problem, "E_AUTH_NONCE", "invalid_dpop_proof", E_OK },
	{ &s_problem, "E_AUTH_NONCE", "12345678901234567890123456789012", E_PEER_RANGE },
	{ &s_problem, "403", "99", E_PEER_RANGE },
	{ &s_problem, "403", "600", E_PEER_RANGE },
	{ &s_problem, "\"Q4\"", "\"Q 4\"", E_PEER_RANGE },
};

static void test_changed_values(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(changes); i++) {
		const char *text = changes[i].s->text, *at = strstr(text, changes[i].from);
		cleanup_buf struct buf in = BUF_INIT(LIMIT_SMALL);

		assert_non_null(at);
		assert_ok(buf_add(&in, BYTES(text, (size_t)(at - text))));
		assert_ok(buf_add_str(&in, changes[i].to));
		assert_ok(buf_add_str(&in, at + strlen(changes[i].from)));
		assert_code(try(changes[i].s, buf_bytes(&in)), changes[i].want);
	}
}

/* What no decoder takes, no encoder writes. */
static void test_encoders_refuse(void **state)
{
	cleanup_buf struct buf out = BUF_INIT(LIMIT_SMALL);
	struct enrol_reply reply = { .state = "FINE" };
	struct attest_reply ar = { .state = "FINE" };
	struct challenge c = { .selection = { 1, { { TPM_ALG_SHA256, 1 } } } };
	struct enrol_request r;

	(void)state;
	assert_err(enrol_reply_encode(&reply, &out), E_BUG);
	assert_err(attest_reply_encode(&ar, &out), E_BUG);
	(void)snprintf(ar.state, sizeof(ar.state), "FAILED");
	ar.n_failures = ATTEST_MAX_FAILURES + 1;
	assert_err(attest_reply_encode(&ar, &out), E_BUG);
	c.n_known = LIMIT_INSTANCES + 1;
	assert_err(challenge_encode(&c, &out), E_BUG);
	c.n_known = 0;
	c.selection.bank[0].mask = 0;
	assert_err(challenge_encode(&c, &out), E_BUG);
	c.selection.bank[0].mask = 0x1000000;
	assert_err(challenge_encode(&c, &out), E_BUG);
	c.selection.bank[0].mask = 1;
	c.selection.n = 2;
	assert_err(challenge_encode(&c, &out), E_BUG);
	c.selection.n = 1;
	c.log_offset = UINT64_MAX;
	assert_err(challenge_encode(&c, &out), E_BUG);
	enrol_request_init(&r);
	r.n_chain = LIMIT_CHAIN + 1;
	assert_err(enrol_request_encode(&r, &out), E_BUG);
	assert_int_equal(out.n, 0);
}

static void test_values_arrive(void **state)
{
	struct challenge c;
	struct attest_reply r = { 0 };
	struct problem p;

	(void)state;
	assert_ok(challenge_decode(bytes_str(s_challenge.text), &c, NULL));
	assert_int_equal(c.selection.n, 1);
	assert_int_equal(c.selection.bank[0].hash_alg, TPM_ALG_SHA256);
	assert_int_equal(c.selection.bank[0].mask, 0x802081);
	assert_int_equal(c.log_offset, 7);
	assert_int_equal(c.log_pcr.n, 32);
	assert_int_equal(c.nonce[56], 56);
	assert_int_equal(c.known[0][15], 15);
	assert_true(c.boot_known);
	assert_ok(attest_reply_decode(bytes_str(s_reply.text), &r, NULL));
	assert_int_equal(r.expires_s, 1769860800);
	assert_string_equal(r.failure[0].check, "W-model");
	assert_string_equal(r.failure[0].subject, "c");
	assert_int_equal(r.n_results, 2);
	assert_bytes(buf_bytes(&r.result[0].ear), BYTES_LIT("a.b.c"));
	attest_reply_done(&r);
	assert_ok(problem_decode(bytes_str(s_problem.text), &p, NULL));
	assert_int_equal(p.status, 403);
	assert_string_equal(p.name, "E_AUTH_NONCE");
	assert_string_equal(p.check, "Q4");
}

static void test_failing_allocations(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(samples); i++) {
		struct err e = ERR(E_LOCAL_MEMORY);
		long k = 0;

		for (; failed(e); k++) {
			cleanup_buf struct buf out = BUF_INIT(LIMIT_EVIDENCE);

			fault_begin(k);
			e = samples[i]->again(bytes_str(samples[i]->text), &out, NULL);
			(void)fault_end();
			assert_true(!failed(e) || out.n == 0);
		}
		assert_true(k > 3);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trips),
		cmocka_unit_test(test_values_arrive),
		cmocka_unit_test(test_cut_at_every_length),
		cmocka_unit_test(test_X1_trailing_and_shape),
		cmocka_unit_test(test_X2_too_large),
		cmocka_unit_test(test_X3_each_member_missing),
		cmocka_unit_test(test_X3_unknown_member),
		cmocka_unit_test(test_each_member_of_another_type),
		cmocka_unit_test(test_member_twice),
		cmocka_unit_test(test_changed_values),
		cmocka_unit_test(test_encoders_refuse),
		cmocka_unit_test(test_failing_allocations),
	};

	fault_init();
	return cmocka_run_group_tests_name("messages", tests, NULL, NULL);
}
