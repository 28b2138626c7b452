/* SPDX-License-Identifier: Apache-2.0 */
/* systemd's log: what it says, what its digests cover, and what is refused. */
#include "base/json.h"
#include "firmware-measure/userlog.h"
#include "tests/support/logbuild.h"
#include "unit.h"

#define ZEROS32 "0000000000000000000000000000000000000000000000000000000000000000"

static void build(struct buf *b)
{
	logbuild_phase(b, "enter-initrd");
	logbuild_userspace(b, 15, "volume-key", "cryptsetup:root:8f8e", BYTES_LIT("keyed with the secret"));
	logbuild_userspace(b, 0x1d10200, "product-id", "product-id:missing", BYTES_LIT("product-id:missing"));
	logbuild_phase(b, "ready");
}

static void next(struct bytes log, struct userlog_pos *pos, struct userlog_record *r)
{
	struct evlog_fault fault = { 0 };

	if (failed(userlog_next(log, pos, r, &fault)))
		fail_msg("offset %zu: %s", fault.off, fault.why.text);
}

static void test_records_of_a_boot(void **state)
{
	static const struct {
		uint32_t pcr, nv_index;
		const char *type, *string;
		bool covered;
	} want[] = {
		{ 11, 0, "phase", "enter-initrd", true },
		{ 15, 0, "volume-key", "cryptsetup:root:8f8e", false },
		{ EVLOG_NO_PCR, 0x1d10200, "product-id", "product-id:missing", true },
		{ 11, 0, "phase", "ready", true },
	};
	cleanup_userlog_record struct userlog_record r = { 0 };
	cleanup_buf struct buf b = BUF_INIT(LIMIT_SMALL);
	struct userlog_pos pos = { 0 };
	bool covered;

	(void)state;
	build(&b);
	for (size_t i = 0; i < array_len(want); i++) {
		next(buf_bytes(&b), &pos, &r);
		assert_false(r.end);
		assert_int_equal(r.index, i);
		assert_int_equal(b.p[r.off], '{');
		assert_int_equal(r.pcr, want[i].pcr);
		assert_int_equal(r.nv_index, want[i].nv_index);
		assert_bytes(r.content_type, BYTES_LIT("systemd"));
		assert_bytes(r.type, bytes_str(want[i].type));
		assert_bytes(r.string, bytes_str(want[i].string));
		assert_int_equal(r.digest[DIGEST_SHA1].n, 20);
		assert_int_equal(r.digest[DIGEST_SHA256].n, 32);
		assert_int_equal(r.digest[DIGEST_SHA384].n, 0);
		for (enum digest_id id = DIGEST_SHA1; id <= DIGEST_SHA256; id++) {
			assert_ok(userlog_verify(&r, id, &covered));
			assert_int_equal(covered, want[i].covered);
		}
		/* A bank that the record has no digest in covers nothing. */
		assert_ok(userlog_verify(&r, DIGEST_SHA384, &covered));
		assert_false(covered);
	}
	next(buf_bytes(&b), &pos, &r);
	assert_true(r.end);
	assert_int_equal(pos.index, array_len(want));
	pos = (struct userlog_pos){ 0 };
	next(BYTES_NONE, &pos, &r);
	assert_true(r.end);
}

static void test_E2_string_that_was_not_measured(void **state)
{
	cleanup_userlog_record struct userlog_record r = { 0 };
	cleanup_buf struct buf b = BUF_INIT(LIMIT_SMALL);
	struct userlog_pos pos = { 0 };
	bool covered = true;

	(void)state;
	logbuild_userspace(&b, 11, "phase", "ready", BYTES_LIT("final"));
	logbuild_userspace(&b, 11, "phase", NULL, BYTES_NONE);
	next(buf_bytes(&b), &pos, &r);
	assert_ok(userlog_verify(&r, DIGEST_SHA256, &covered));
	assert_false(covered);
	/* The digest of nothing does not cover a string that is not there. */
	next(buf_bytes(&b), &pos, &r);
	assert_ok(userlog_verify(&r, DIGEST_SHA256, &covered));
	assert_false(covered);
}

static void test_replay_goes_on(void **state)
{
	static const enum digest_id bank[] = { DIGEST_SHA256 };
	cleanup_userlog_record struct userlog_record r = { 0 };
	cleanup_buf struct buf b = BUF_INIT(LIMIT_SMALL);
	struct userlog_pos pos = { 0 };
	struct digest want, phase, key;
	struct logbuild l;
	struct evlog log;
	struct replay p;

	(void)state;
	logbuild_init(&l, EVLOG_AGILE, 1, bank);
	logbuild_header(&l);
	logbuild_add(&l, 11, EV_IPL, BYTES_LIT("section"));
	assert_ok(evlog_open(buf_bytes(&l.b), &log, NULL));
	assert_ok(replay_log(&log, DIGEST_SHA256, &p, NULL));
	want = p.pcr[11];
	build(&b);
	for (size_t i = 0; i < 4; i++) {
		next(buf_bytes(&b), &pos, &r);
		assert_ok(userlog_replay(&r, &p));
	}
	assert_ok(digest_one(DIGEST_SHA256, BYTES_LIT("enter-initrd"), &phase));
	assert_ok(digest_extend(DIGEST_SHA256, &want, digest_bytes(&phase), &want));
	assert_ok(digest_one(DIGEST_SHA256, BYTES_LIT("ready"), &phase));
	assert_ok(digest_extend(DIGEST_SHA256, &want, digest_bytes(&phase), &want));
	assert_true(replay_explains(&p, 11, digest_bytes(&want)));
	assert_ok(digest_one(DIGEST_SHA256, BYTES_LIT("keyed with the secret"), &key));
	want = (struct digest){ .n = 32 };
	assert_ok(digest_extend(DIGEST_SHA256, &want, digest_bytes(&key), &want));
	assert_true(replay_explains(&p, 15, digest_bytes(&want)));
	assert_int_equal(p.extended, 1u << 11 | 1u << 15);
	/* E8: a record without the bank explains nothing any more. */
	p.bank = DIGEST_SHA384;
	assert_ok(userlog_replay(&r, &p));
	assert_false(p.complete);
	buf_free(&l.b);
}

static void test_contents_of_another_type(void **state)
{
	static const char text[] = "\x1e{\"recnum\":1,\"pcr\":14,\"digests\":[],\"content_type\":\"pcclient_std\","
				   "\"content\":{\"string\":\"x\",\"deep\":[[[1.5,null]]]},\"new\":{}}\n"
				   "\x1e\x1e{\"pcr\":12,\"digests\":[{\"hashAlg\":\"blake9\",\"digest\":\"zz\"}]} \n";
	cleanup_userlog_record struct userlog_record r = { 0 };
	struct userlog_pos pos = { 0 };

	(void)state;
	next(bytes_str(text), &pos, &r);
	assert_bytes(r.content_type, BYTES_LIT("pcclient_std"));
	assert_int_equal(r.string.n + r.type.n, 0);
	next(bytes_str(text), &pos, &r);
	assert_int_equal(r.pcr, 12);
	assert_int_equal(r.content_type.n, 0);
	next(bytes_str(text), &pos, &r);
	assert_true(r.end);
}

static void test_what_is_refused(void **state)
{
	static const struct {
		const char *text;
		enum err_code want;
		const char *says;
	} cases[] = {
		{ "{\"pcr\":1,\"digests\":[]}\n", E_PEER_SYNTAX, "separator" },
		{ "\x1e", E_PEER_TRUNCATED, "nothing behind" },
		{ "\x1e\x1e\x1e", E_PEER_TRUNCATED, "nothing behind" },
		{ "\x1e{\"pcr\":1,\"digests\":[]}", E_PEER_TRUNCATED, "line feed" },
		{ "\x1e{\"pcr\":1,\"digests\":[]\n", E_PEER_SYNTAX, "JSON" },
		{ "\x1e{\"pcr\":1,\"digests\":[]}{}\n", E_PEER_SYNTAX, "JSON" },
		{ "\x1e\n", E_PEER_SYNTAX, "JSON" },
		{ "\x1e[]\n", E_PEER_TYPE, "object" },
		{ "\x1e{\"digests\":[]}\n", E_PEER_MISSING, "pcr" },
		{ "\x1e{\"pcr\":1,\"nv_index\":1,\"digests\":[]}\n", E_PEER_MISSING, "nv_index" },
		{ "\x1e{\"pcr\":24,\"digests\":[]}\n", E_PEER_RANGE, "pcr" },
		{ "\x1e{\"pcr\":-1,\"digests\":[]}\n", E_PEER_RANGE, "pcr" },
		{ "\x1e{\"pcr\":2147483648,\"digests\":[]}\n", E_PEER_RANGE, "pcr" },
		{ "\x1e{\"pcr\":1.0,\"digests\":[]}\n", E_PEER_TYPE, "pcr" },
		{ "\x1e{\"pcr\":\"1\",\"digests\":[]}\n", E_PEER_TYPE, "pcr" },
		{ "\x1e{\"nv_index\":4294967296,\"digests\":[]}\n", E_PEER_RANGE, "nv_index" },
		{ "\x1e{\"pcr\":1}\n", E_PEER_MISSING, "digests" },
		{ "\x1e{\"pcr\":1,\"pcr\":1,\"digests\":[]}\n", E_PEER_DUPLICATE, "" },
		{ "\x1e{\"pcr\":1,\"digests\":{}}\n", E_PEER_TYPE, "digests" },
		{ "\x1e{\"pcr\":1,\"digests\":[1]}\n", E_PEER_TYPE, "digests" },
		{ "\x1e{\"pcr\":1,\"digests\":[{\"digest\":\"00\"}]}\n", E_PEER_MISSING, "hashAlg" },
		{ "\x1e{\"pcr\":1,\"digests\":[{\"hashAlg\":\"sha256\"}]}\n", E_PEER_MISSING, "digest" },
		{ "\x1e{\"pcr\":1,\"digests\":[{\"hashAlg\":\"sha256\",\"digest\":\"00\"}]}\n", E_PEER_RANGE,
		  "32 bytes" },
		{ "\x1e{\"pcr\":1,\"digests\":[{\"hashAlg\":\"sha1\",\"digest\":\"" ZEROS32 "\"}]}\n", E_PEER_RANGE,
		  "20 bytes" },
		{ "\x1e{\"pcr\":1,\"digests\":[{\"hashAlg\":\"sha256\",\"digest\":\"" ZEROS32 "\"},"
		  "{\"hashAlg\":\"sha256\",\"digest\":\"" ZEROS32 "\"}]}\n",
		  E_PEER_DUPLICATE, "sha256" },
		{ "\x1e{\"pcr\":1,\"digests\":[{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}]}\n", E_LIMIT_COUNT,
		  "digests" },
		{ "\x1e{\"pcr\":1,\"digests\":[],\"content_type\":1}\n", E_PEER_TYPE, "content_type" },
		{ "\x1e{\"pcr\":1,\"digests\":[],\"content_type\":\"systemd\"}\n", E_PEER_MISSING, "content" },
		{ "\x1e{\"pcr\":1,\"digests\":[],\"content_type\":\"systemd\",\"content\":{\"string\":1}}\n",
		  E_PEER_TYPE, "content.string" },
		{ "\x1e{\"pcr\":1,\"digests\":[],\"content_type\":\"systemd\",\"content\":{\"eventType\":1}}\n",
		  E_PEER_TYPE, "content.eventType" },
		{ "\x1e{\"pcr\":1,\"digests\":[],\"x\":\"a\\u0000b\"}\n", E_PEER_SYNTAX, "JSON" },
		{ "\x1e{\"pcr\":1,\"digests\":[],\"x\":[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]}\n", E_LIMIT_DEPTH, "deep" },
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		struct userlog_record r = { 0 };
		struct userlog_pos pos = { 0 };
		struct evlog_fault fault = { 0 };
		struct err e = userlog_next(bytes_str(cases[i].text), &pos, &r, &fault);

		if (e.code != cases[i].want || strstr(fault.why.text, cases[i].says) == NULL)
			fail_msg("%s: %s, %s", cases[i].text, err_name(e), fault.why.text);
		assert_null(r.json);
		assert_int_equal(pos.off + pos.index, 0);
	}
}

static void test_limit_of_a_record(void **state)
{
	cleanup_userlog_record struct userlog_record r = { 0 };
	cleanup_buf struct buf b = BUF_INIT(LIMIT_SMALL);
	struct userlog_pos pos = { 0 };

	(void)state;
	assert_ok(buf_addf(&b, "\x1e{\"pcr\":1,\"digests\":[],\"x\":\"%*s\"}\n", (int)LIMIT_USERSPACE_RECORD - 32, ""));
	for (; b.n < LIMIT_USERSPACE_RECORD + 1;)
		assert_ok(buf_add_u8(&b, '\n'));
	assert_ok(userlog_next(buf_bytes(&b), &pos, &r, NULL));
	assert_ok(buf_add_u8(&b, '\n'));
	pos = (struct userlog_pos){ 0 };
	assert_err(userlog_next(buf_bytes(&b), &pos, &r, NULL), E_LIMIT_SIZE);
}

/* E10: cut at every byte, and every byte changed: whole records are read as before, and nothing else. */
static void test_E10_cut_at_every_byte(void **state)
{
	cleanup_buf struct buf b = BUF_INIT(LIMIT_SMALL), exact = BUF_INIT(LIMIT_SMALL);
	size_t ends[5] = { 0 };

	(void)state;
	build(&b);
	for (size_t i = 0, n = 0; i < b.n; i++)
		if (b.p[i] == '\n')
			ends[++n] = i + 1;
	for (size_t cut = 0; cut <= b.n; cut++) {
		cleanup_userlog_record struct userlog_record r = { 0 };
		struct userlog_pos pos = { 0 };
		size_t whole = 0;
		struct err e;

		buf_free(&exact);
		assert_ok(buf_add(&exact, BYTES(b.p, cut)));
		while (whole < 4 && ends[whole + 1] <= cut)
			whole++;
		do
			e = userlog_next(buf_bytes(&exact), &pos, &r, NULL);
		while (!failed(e) && !r.end);
		assert_int_equal(pos.index, whole);
		if (cut == ends[whole])
			assert_ok(e);
		else
			assert_err(e, E_PEER_TRUNCATED);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_records_of_a_boot),
		cmocka_unit_test(test_E2_string_that_was_not_measured),
		cmocka_unit_test(test_replay_goes_on),
		cmocka_unit_test(test_contents_of_another_type),
		cmocka_unit_test(test_what_is_refused),
		cmocka_unit_test(test_limit_of_a_record),
		cmocka_unit_test(test_E10_cut_at_every_byte),
	};

	return cmocka_run_group_tests_name("userlog", tests, NULL, NULL);
}
