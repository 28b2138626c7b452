/* SPDX-License-Identifier: Apache-2.0 */
/* I7: keys that an IMA list tells of sign files where a CA of the profile signed them, and only in their boot. */
#include "verifier/appraise/platform_ima.h"

#include <inttypes.h>

#include "base/text.h"
#include "firmware-measure/ima_replay.h"
#include "tests/support/fault.h"
#include "tests/support/ima_list.h"
#include "tests/support/lab_check.h"
#include "ima-sign-vectors.h"
#include "unit.h"

static struct key *ca_key, *file_key, *stranger;
static struct cert *ca, *other_ca, *good, *self_signed, *of_stranger, *expired;

static struct cert *issue(const struct key *key, const struct cert *by, const struct key *by_key, bool is_ca,
			  int64_t until_s)
{
	const struct cert_spec s = { .common_name = is_ca ? "CA" : "files", .ca = is_ca, .path_len = -1,
				     .not_before_s = LAB_NOW - 1000, .not_after_s = until_s };
	struct cert *c = NULL;

	assert_ok(cert_issue(&s, key, by, by_key, &c));
	return c;
}

static int set_up(void **state)
{
	(void)state;
	assert_ok(key_generate(KEY_EC_P256, &ca_key));
	assert_ok(key_generate(KEY_EC_P256, &file_key));
	assert_ok(key_generate(KEY_EC_P256, &stranger));
	ca = issue(ca_key, NULL, ca_key, true, LAB_NOW + 100000);
	good = issue(file_key, ca, ca_key, false, LAB_NOW + 1000);
	self_signed = issue(file_key, NULL, file_key, false, LAB_NOW + 1000);
	other_ca = issue(stranger, NULL, stranger, true, LAB_NOW + 100000);
	of_stranger = issue(file_key, other_ca, stranger, false, LAB_NOW + 1000);
	expired = issue(file_key, ca, ca_key, false, LAB_NOW - 1);
	return 0;
}

static int tear_down(void **state)
{
	struct cert *const certs[] = { ca, other_ca, good, self_signed, of_stranger, expired };

	(void)state;
	for (size_t i = 0; i < array_len(certs); i++)
		cert_free(certs[i]);
	key_free(ca_key);
	key_free(file_key);
	key_free(stranger);
	return 0;
}

/* The kernel's record of a certificate that was added to a keyring. */
static void add_key(struct ima_list *l, const char *keyring, struct bytes der, const char *template)
{
	uint8_t sum[32];

	assert_ok(sha256(der, sum));
	ima_list_digest(l, "sha256", BYTES_ARR(sum));
	ima_list_name(l, bytes_str(keyring));
	ima_list_raw(l, der);
	ima_list_end(l, template);
}

static void add_file(struct ima_list *l, const char *contents, const struct cert *named, const struct key *k)
{
	cleanup_buf struct buf raw = BUF_INIT(256), der = BUF_INIT(256), sig = BUF_INIT(512);
	uint8_t sum[32], id[IMA_KEY_ID_SIZE];

	assert_ok(sha256(bytes_str(contents), sum));
	assert_ok(key_sign(k, SIG_ECDSA, DIGEST_SHA256, bytes_str(contents), &raw));
	assert_ok(ecdsa_raw_to_der(KEY_EC_P256, buf_bytes(&raw), &der));
	assert_ok(ima_cert_key_id(named, id));
	assert_ok(buf_add(&sig, BYTES_LIT("\3\2\4")));
	assert_ok(buf_add(&sig, BYTES_ARR(id)));
	assert_ok(buf_add_u8(&sig, 0));
	assert_ok(buf_add_u8(&sig, (uint8_t)der.n));
	assert_ok(buf_add(&sig, buf_bytes(&der)));
	ima_list_digest(l, "sha256", BYTES_ARR(sum));
	ima_list_name(l, BYTES_LIT("/usr/bin/file"));
	ima_list_raw(l, buf_bytes(&sig));
	ima_list_end(l, "ima-sig");
}

static json_t *rules(const char *more)
{
	cleanup_buf struct buf pem = BUF_INIT(4 * KIB);
	const char *text;
	json_t *ima = json_loads(more, 0, NULL), *cas;

	assert_non_null(ima);
	assert_ok(cert_to_pem(ca, &pem));
	assert_ok(buf_cstr(&pem, &text));
	cas = json_pack("[s]", text);
	assert_int_equal(json_object_set_new(ima, "signer_cas", cas), 0);
	return ima;
}

/* Every entry, with the state stored and read back behind each. */
static void feed(const struct ima_input *in, const struct ima_list *l, struct platform_ima_state *s)
{
	cleanup_imalog struct imalog log;
	struct ima_entry ent;
	bool more = false;

	imalog_init(&log, IMALOG_BINARY, IMALOG_LITTLE_ENDIAN);
	assert_ok(imalog_feed(&log, buf_bytes(&l->binary)));
	for (;;) {
		cleanup_buf struct buf b = BUF_INIT(PLATFORM_IMA_STATE_MAX), again = BUF_INIT(PLATFORM_IMA_STATE_MAX);

		assert_ok(imalog_next(&log, &ent, &more, NULL));
		if (more)
			return;
		assert_ok(platform_ima_add(in, &ent, s));
		assert_ok(platform_ima_encode(s, &b));
		platform_ima_state_done(s);
		assert_ok(platform_ima_decode(buf_bytes(&b), s));
		assert_ok(platform_ima_encode(s, &again));
		assert_bytes(buf_bytes(&again), buf_bytes(&b));
	}
}

static void judge(json_t *ima, const struct ima_list *l, struct platform_ima_state *s, struct ima_judgement *j)
{
	json_t *p = doc_predicate(DOCUMENT_PLATFORM);
	cleanup_document struct document *d = NULL;
	struct ima_input in = { .bank = DIGEST_SHA256, .now_s = LAB_NOW };

	assert_int_equal(json_object_set_new(p, "ima", ima), 0);
	d = doc_make(p);
	in.profile = &d->profile;
	feed(&in, l, s);
	platform_ima_conclude(&in, s, j);
}

#define NO_AGGREGATE "\"boot_aggregate\":\"ignored\""

static void test_I7_keys(void **state)
{
	const struct {
		const char *name, *keyring, *template;
		const struct cert *key;
		const char *ima, *id, *seen; /* id NULL: passes */
		size_t n_keys;
	} cases[] = {
		{ "under the CA", ".ima", "ima-buf", good, "{" NO_AGGREGATE "}", NULL, NULL, 1 },
		{ "self-signed", ".ima", "ima-buf", self_signed, "{" NO_AGGREGATE "}", "I7", "not signed by a CA", 0 },
		{ "by another key in the CA's name", ".ima", "ima-buf", of_stranger, "{" NO_AGGREGATE "}", "I7",
		  "not signed by a CA", 0 },
		{ "out of its dates", ".ima", "ima-buf", expired, "{" NO_AGGREGATE "}", "I7", "not valid at this time", 0 },
		{ "in another keyring", ".evm", "ima-buf", good, "{" NO_AGGREGATE ",\"unsigned\":\"allow\"}", "I6",
		  "not approved", 0 },
		{ "under another template's name", ".ima", "d-ng|n-ng|buf", good,
		  "{" NO_AGGREGATE ",\"unsigned\":\"allow\",\"templates\":[\"d-ng|n-ng|buf\",\"ima-sig\"]}", "I6",
		  "not approved", 0 },
	};
	static struct ima_judgement j;

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		cleanup_platform_ima_state struct platform_ima_state s = { 0 };
		cleanup_ima_list struct ima_list l;

		ima_list_init(&l);
		add_key(&l, cases[i].keyring, cert_der(cases[i].key), cases[i].template);
		add_file(&l, "contents", good, file_key);
		judge(rules(cases[i].ima), &l, &s, &j);
		if (j.passed != (cases[i].id == NULL) || s.n_keys != cases[i].n_keys ||
		    (cases[i].id != NULL && (strcmp(j.failure[0].id, cases[i].id) != 0 ||
					     strstr(j.failure[0].seen, cases[i].seen) == NULL)))
			fail_msg("%s: %s %s, %zu keys", cases[i].name, j.failure[0].id, j.failure[0].seen, s.n_keys);
		if (cases[i].id == NULL)
			assert_int_equal(s.decided[IMA_RULE_SIGNER_CAS], 2);
	}
}

/* A key counts from its entry on; a signature of another file and one by another key stay what they are. */
static void test_I6_signatures_by_learned_keys(void **state)
{
	static struct ima_judgement j;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		cleanup_platform_ima_state struct platform_ima_state s = { 0 };
		cleanup_ima_list struct ima_list l;

		ima_list_init(&l);
		if (i == 0)
			add_file(&l, "contents", good, file_key);
		add_key(&l, ".ima", cert_der(good), "ima-buf");
		if (i == 1)
			add_file(&l, "contents", good, stranger);
		if (i == 2)
			add_file(&l, "contents", ca, file_key);
		judge(rules("{" NO_AGGREGATE "}"), &l, &s, &j);
		assert_false(j.passed);
		assert_string_equal(j.failure[0].id, "I6");
		assert_string_equal(j.failure[0].seen, i == 1 ? "a signature that does not verify"
							      : "a signature by a key that is not approved");
	}
}

/* Without CAs a certificate is an entry like any other, approved by its digest or not at all, and no key is learned. */
static void test_I7_no_ca_in_the_profile(void **state)
{
	cleanup_platform_ima_state struct platform_ima_state s = { 0 }, t = { 0 };
	cleanup_ima_list struct ima_list l;
	static struct ima_judgement j;
	json_t *ima = rules("{" NO_AGGREGATE "}");
	uint8_t sum[32];

	(void)state;
	ima_list_init(&l);
	add_key(&l, ".ima", cert_der(self_signed), "ima-buf");
	assert_ok(sha256(cert_der(self_signed), sum));
	assert_int_equal(json_object_set_new(ima, "digests", json_pack("[s]", hex32(sum).text)), 0);
	judge(ima, &l, &s, &j);
	assert_true(j.passed);
	assert_int_equal(s.n_keys, 0);
	assert_int_equal(s.decided[IMA_RULE_DIGESTS], 1);
	judge(json_pack("{s:s,s:[s]}", "boot_aggregate", "ignored", "digests", hex32_of("x").text), &l, &t, &j);
	assert_false(j.passed);
	assert_string_equal(j.failure[0].id, "P-profile");
}

/* What is called a buffer has to be what its digest is over. */
static void test_I7_buffer_without_its_digest(void **state)
{
	cleanup_platform_ima_state struct platform_ima_state s = { 0 };
	cleanup_ima_list struct ima_list l;
	static struct ima_judgement j;
	uint8_t sum[32];

	(void)state;
	ima_list_init(&l);
	assert_ok(sha256(BYTES_LIT("a file"), sum));
	ima_list_digest(&l, "sha256", BYTES_ARR(sum));
	ima_list_name(&l, BYTES_LIT(".ima"));
	ima_list_raw(&l, cert_der(good));
	ima_list_end(&l, "ima-buf");
	judge(rules("{" NO_AGGREGATE "}"), &l, &s, &j);
	assert_string_equal(j.failure[0].id, "I7");
	assert_non_null(strstr(j.failure[0].seen, "not that of its buffer"));
	assert_int_equal(s.n_keys, 0);
}

static void test_X2_number_of_keys(void **state)
{
	cleanup_platform_ima_state struct platform_ima_state s = { 0 };
	cleanup_ima_list struct ima_list l;
	static struct ima_judgement j;

	(void)state;
	ima_list_init(&l);
	for (size_t i = 0; i <= PLATFORM_IMA_KEYS; i++) {
		cleanup_key struct key *k = NULL;
		cleanup_cert struct cert *c = NULL;

		assert_ok(key_generate(KEY_EC_P256, &k));
		c = issue(k, ca, ca_key, false, LAB_NOW + 1000);
		/* Twice is once. */
		add_key(&l, ".ima", cert_der(c), "ima-buf");
		add_key(&l, ".ima", cert_der(c), "ima-buf");
	}
	judge(rules("{" NO_AGGREGATE "}"), &l, &s, &j);
	assert_int_equal(s.n_keys, PLATFORM_IMA_KEYS);
	assert_int_equal(s.n_failed, 2);
	assert_string_equal(j.failure[0].id, "I7");
	assert_non_null(strstr(j.failure[0].seen, "more than"));
}

/* A certificate that is no CA's signs for nobody. */
static void test_I7_ca_that_is_none(void **state)
{
	cleanup_buf struct buf pem = BUF_INIT(4 * KIB), payload = BUF_INIT(LIMIT_DOCUMENT);
	cleanup_json json_t *p = doc_predicate(DOCUMENT_PLATFORM);
	struct reason why = { "" };
	struct document *d = NULL;
	const char *text;

	(void)state;
	assert_ok(cert_to_pem(good, &pem));
	assert_ok(buf_cstr(&pem, &text));
	assert_int_equal(json_object_set_new(p, "ima", json_pack("{s:[s]}", "signer_cas", text)), 0);
	assert_ok(document_statement(p, &payload, &why));
	assert_err(document_parse(buf_bytes(&payload), "example", &d, &why), E_PEER_RANGE);
	assert_non_null(strstr(why.text, "signer_cas[0]: no certificate of a CA"));
}

static void raw_hex(struct ima_list *l, const char *hex)
{
	struct buf b;

	ima_list_raw(l, unhex_(&b, hex));
	buf_free(&b);
}

static void digest_hex(struct ima_list *l, const char *hex)
{
	struct buf b;

	ima_list_digest(l, "sha256", unhex_(&b, hex));
	buf_free(&b);
}

/* An entry with a signature behind the file, or with EVM's. */
static void add_vector(struct ima_list *l, bool evm)
{
	digest_hex(l, file_sum);
	ima_list_name(l, BYTES_LIT("/usr/bin/vector"));
	if (evm) {
		raw_hex(l, evm_of_hash);
		ima_list_name(l, BYTES_LIT("security.ima"));
		raw_hex(l, "22000000");
		raw_hex(l, ima_hash);
		raw_hex(l, "00000000");
		raw_hex(l, "00000000");
		raw_hex(l, "ed81");
		ima_list_end(l, "evm-sig");
		return;
	}
	ima_list_raw(l, BYTES_NONE);
	digest_hex(l, module_sum);
	raw_hex(l, by_name);
	ima_list_end(l, "ima-modsig");
}

static json_t *signer_rules(const char *key_hex)
{
	cleanup_buf struct buf text = BUF_INIT(KIB);
	struct buf der;
	const char *s;
	json_t *o;

	assert_ok(b64_encode(unhex_(&der, key_hex), &text));
	buf_free(&der);
	assert_ok(buf_cstr(&text, &s));
	o = json_pack("{s:s,s:[s]}", "boot_aggregate", "ignored", "signers", s);
	assert_non_null(o);
	return o;
}

/* I6: all forms of signatures count, by keys of the operator; EVM's not by keys of the list, which are of another ring. */
static void test_I6_other_signatures(void **state)
{
	static struct ima_judgement j;

	(void)state;
	for (int evm = 0; evm < 2; evm++) {
		cleanup_platform_ima_state struct platform_ima_state s = { 0 }, t = { 0 };
		cleanup_ima_list struct ima_list l;

		ima_list_init(&l);
		add_vector(&l, evm == 1);
		judge(signer_rules(spki), &l, &s, &j);
		assert_true(j.passed);
		assert_int_equal(s.decided[IMA_RULE_SIGNERS], 1);
		judge(rules("{" NO_AGGREGATE "}"), &l, &t, &j);
		assert_false(j.passed);
		assert_string_equal(j.failure[0].id, "I6");
		assert_string_equal(j.failure[0].seen, "a signature by a key that is not approved");
	}
}

/* The kernel may add a key to .ima that signs with EVM elsewhere: such a signature needs the operator's word for the key. */
static void test_I7_no_evm_by_learned_keys(void **state)
{
	cleanup_platform_ima_state struct platform_ima_state s = { 0 };
	cleanup_ima_list struct ima_list l;
	static struct ima_judgement j;
	cleanup_key struct key *k = NULL;
	cleanup_cert struct cert *c = NULL;
	struct buf der;

	(void)state;
	assert_ok(key_from_spki(unhex_(&der, spki), &k));
	buf_free(&der);
	c = issue(k, ca, ca_key, false, LAB_NOW + 1000);
	ima_list_init(&l);
	add_key(&l, ".ima", cert_der(c), "ima-buf");
	add_vector(&l, false);
	add_vector(&l, true);
	judge(rules("{" NO_AGGREGATE "}"), &l, &s, &j);
	assert_int_equal(s.n_keys, 1);
	assert_int_equal(s.decided[IMA_RULE_SIGNER_CAS], 2);
	assert_int_equal(s.n_failed, 1);
	assert_string_equal(j.failure[0].id, "I6");
}

/* V1: each allocation fails in turn: an error, or what comes of it without one, and never another judgement. */
static void test_V1_memory(void **state)
{
	json_t *p = doc_predicate(DOCUMENT_PLATFORM), *ima = signer_rules(spki), *cas = rules("{}");
	cleanup_document struct document *d = NULL;
	struct ima_input in = { .bank = DIGEST_SHA256, .now_s = LAB_NOW };
	cleanup_ima_list struct ima_list l;

	(void)state;
	assert_int_equal(json_object_update(ima, cas), 0);
	json_decref(cas);
	assert_int_equal(json_object_set_new(p, "ima", ima), 0);
	d = doc_make(p);
	in.profile = &d->profile;
	ima_list_init(&l);
	add_key(&l, ".ima", cert_der(good), "ima-buf");
	add_file(&l, "contents", good, file_key);
	add_vector(&l, false);
	add_vector(&l, true);
	for (long k = 0, n = 1; n > k; k++) {
		cleanup_platform_ima_state struct platform_ima_state s = { 0 };
		cleanup_imalog struct imalog log;
		struct ima_entry ent;
		struct err e = ERR(E_OK);
		bool more = false;

		imalog_init(&log, IMALOG_BINARY, IMALOG_LITTLE_ENDIAN);
		assert_ok(imalog_feed(&log, buf_bytes(&l.binary)));
		fault_begin(k);
		while (!failed(e) && !failed(e = imalog_next(&log, &ent, &more, NULL)) && !more)
			e = platform_ima_add(&in, &ent, &s);
		n = fault_end();
		if (failed(e) ? e.code < E_LOCAL_MEMORY || e.code >= E_BUG : s.n_failed > 0)
			fail_msg("allocation %ld: %s, %s", k, err_name(e), s.failure[0].seen);
	}
}

/* ---- The same through evidence: the state of a boot holds its keys. */

static void measure_key(struct lab *l)
{
	cleanup_ima_list struct ima_list list;

	ima_list_init(&list);
	add_key(&list, ".ima", cert_der(good), "ima-buf");
	lab_ima(l, buf_bytes(&list.binary));
}

static void measure_file(struct lab *l, const char *contents)
{
	cleanup_ima_list struct ima_list list;

	ima_list_init(&list);
	add_file(&list, contents, good, file_key);
	lab_ima(l, buf_bytes(&list.binary));
}

static void store_and_read(struct lab *l)
{
	cleanup_buf struct buf b = BUF_INIT(HOST_STATE_MAX);
	struct host_state s;

	host_state_init(&s);
	assert_ok(host_state_encode(&l->state, &b));
	assert_ok(host_state_decode(buf_bytes(&b), &s));
	host_state_done(&l->state);
	l->state = s;
}

static void test_I7_key_of_an_earlier_boot(void **state)
{
	cleanup_lab struct lab *l = lab_new(SOFTTPM_AK_P256);
	cleanup_verdict struct verdict v;

	(void)state;
	assert_int_equal(json_object_set_new(l->doc[DOCUMENT_PLATFORM], "ima", rules("{" NO_AGGREGATE "}")), 0);
	lab_doc_set(l, DOCUMENT_PLATFORM, "serial", "9");
	measure_key(l);
	measure_file(l, "first");
	lab_must_pass(l);
	store_and_read(l);
	/* Later entries come without the key, which the state holds. */
	measure_file(l, "second");
	lab_must_pass(l);
	assert_true(l->challenge.ima_offset > 0);
	store_and_read(l);

	assert_ok(softtpm_reset(l->tpm));
	lab_boot(l);
	buf_clear(&l->ima);
	measure_file(l, "first");
	verdict_init(&v);
	attest(l, NULL, &v);
	assert_false(verdict_passed(&v));
	print_failures(&v);
	assert_string_equal(v.failure[0].check, "I6");
	assert_string_equal(v.failure[0].seen, "a signature by a key that is not approved");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_I7_keys),
		cmocka_unit_test(test_I6_signatures_by_learned_keys),
		cmocka_unit_test(test_I7_no_ca_in_the_profile),
		cmocka_unit_test(test_I7_buffer_without_its_digest),
		cmocka_unit_test(test_X2_number_of_keys),
		cmocka_unit_test(test_I7_ca_that_is_none),
		cmocka_unit_test(test_I6_other_signatures),
		cmocka_unit_test(test_I7_no_evm_by_learned_keys),
		cmocka_unit_test(test_V1_memory),
		cmocka_unit_test(test_I7_key_of_an_earlier_boot),
	};

	fault_init();
	return cmocka_run_group_tests_name("platform-ima-keys", tests, set_up, tear_down);
}
