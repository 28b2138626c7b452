/* SPDX-License-Identifier: Apache-2.0 */
/* An IMA list under a platform profile: each rule once with what passes and once with what does not. */
#include "verifier/appraise/platform_ima.h"

#include "base/text.h"
#include "firmware-measure/ima_allowlist.h"
#include "firmware-measure/ima_sign.h"
#include "tests/support/documents.h"
#include "tests/support/ima_list.h"
#include "folder.h"

#define REGISTERS 10

/* What is in a list after its boot_aggregate. */
struct list {
	bool no_aggregate, other_aggregate, late_aggregate;
	const char *file, *path; /* a file of these contents */
	const char *second, *second_path;
	const char *verity; /* contents whose digest is said to be fs-verity's */
	const char *violation;
	bool relabelled, unknown_template, legacy, other_register;
	const char *signed_file;     /* contents that are signed */
	const char *signed_contents; /* what the signature is over */
	bool other_key;
};

static struct key *signer, *stranger;
static struct digest quoted[LIMIT_PCRS];

static void sum(const char *text, uint8_t ret[32])
{
	assert_false(failed(sha256(bytes_str(text), ret)));
}

static void aggregate(uint8_t ret[32])
{
	struct bytes parts[REGISTERS];
	struct digest d;

	for (size_t i = 0; i < REGISTERS; i++) {
		quoted[i].n = 32;
		(void)memset(quoted[i].v, (int)i + 1, 32);
		parts[i] = digest_bytes(&quoted[i]);
	}
	assert_false(failed(digest_of(DIGEST_SHA256, &d, REGISTERS, parts)));
	(void)memcpy(ret, d.v, 32);
}

static void add_aggregate(struct ima_list *l, bool other)
{
	uint8_t v[32];

	aggregate(v);
	v[0] ^= other;
	ima_list_file(l, BYTES_ARR(v), "boot_aggregate");
}

static void add_signed(struct ima_list *l, const struct list *t)
{
	cleanup_buf struct buf raw = BUF_INIT(256), der = BUF_INIT(256), sig = BUF_INIT(512);
	const struct key *k = t->other_key ? stranger : signer;
	uint8_t v[32], id[IMA_KEY_ID_SIZE];

	sum(t->signed_file, v);
	assert_false(failed(key_sign(k, SIG_ECDSA, DIGEST_SHA256, bytes_str(t->signed_contents), &raw)));
	assert_false(failed(ecdsa_raw_to_der(KEY_EC_P256, buf_bytes(&raw), &der)));
	assert_false(failed(ima_key_id(k, id)));
	assert_false(failed(buf_add(&sig, BYTES_LIT("\3\2\4"))));
	assert_false(failed(buf_add(&sig, BYTES_ARR(id))));
	assert_false(failed(buf_add_u8(&sig, 0)));
	assert_false(failed(buf_add_u8(&sig, (uint8_t)der.n)));
	assert_false(failed(buf_add(&sig, buf_bytes(&der))));
	ima_list_digest(l, "sha256", BYTES_ARR(v));
	ima_list_name(l, BYTES_LIT("/usr/bin/signed"));
	ima_list_raw(l, buf_bytes(&sig));
	ima_list_end(l, "ima-sig");
}

static void build(const struct list *t, struct ima_list *l)
{
	uint8_t v[32];

	ima_list_init(l);
	if (!t->no_aggregate && !t->late_aggregate)
		add_aggregate(l, t->other_aggregate);
	if (t->other_register)
		l->pcr = 11;
	if (t->file != NULL) {
		sum(t->file, v);
		ima_list_file(l, BYTES_ARR(v), t->path != NULL ? t->path : "/usr/bin/good");
	}
	l->pcr = IMA_PCR;
	if (t->second != NULL) {
		sum(t->second, v);
		ima_list_file(l, BYTES_ARR(v), t->second_path != NULL ? t->second_path : "/usr/bin/second");
	}
	if (t->verity != NULL) {
		sum(t->verity, v);
		ima_list_digest(l, "verity:sha256", BYTES_ARR(v));
		ima_list_name(l, BYTES_LIT("/usr/bin/verity"));
		ima_list_end(l, "ima-ngv2");
	}
	if (t->violation != NULL)
		ima_list_violation(l, t->violation);
	if (t->relabelled) {
		/* A measured buffer whose contents look like an approved digest. */
		sum("bad", v);
		ima_list_digest(l, "sha256", BYTES_ARR(v));
		ima_list_name(l, BYTES_LIT("/usr/bin/bad"));
		sum("good", v);
		ima_list_digest(l, "sha256", BYTES_ARR(v));
		ima_list_end(l, "buf|n-ng|d-ng");
	}
	if (t->unknown_template) {
		ima_list_raw(l, BYTES_LIT("whatever"));
		ima_list_end(l, "new-template");
	}
	if (t->legacy) {
		sum("good", v);
		ima_list_legacy(l, v, "/usr/bin/good");
	}
	if (t->signed_file != NULL)
		add_signed(l, t);
	if (t->late_aggregate)
		add_aggregate(l, false);
}

static struct ima_allowlist *allowlist;

static json_t *predicate(const char *ima, const char *measurer)
{
	json_t *p = doc_predicate(DOCUMENT_PLATFORM);

	doc_set(p, "ima", ima);
	if (measurer != NULL)
		doc_set(p, "measurer", measurer);
	return p;
}

static const struct ima_allowlist *const *lists(void)
{
	static const struct ima_allowlist *all[1];

	all[0] = allowlist;
	return all;
}

/* Feeds the list; where split is not 0, the state is stored and read back after each such number of entries. */
static void feed(const struct document *d, const struct ima_list *l, size_t split, struct platform_ima_state *s)
{
	const struct ima_input in = { &d->profile, lists(), DIGEST_SHA256, 0x3ff, quoted, 0 };
	cleanup_imalog struct imalog log;
	struct ima_entry ent;
	bool more = false;

	imalog_init(&log, IMALOG_BINARY, IMALOG_LITTLE_ENDIAN);
	assert_false(failed(imalog_feed(&log, buf_bytes(&l->binary))));
	for (size_t n = 1;; n++) {
		assert_false(failed(imalog_next(&log, &ent, &more, NULL)));
		if (more)
			break;
		assert_false(failed(platform_ima_add(&in, &ent, s)));
		if (split != 0 && n % split == 0) {
			cleanup_buf struct buf b = BUF_INIT(PLATFORM_IMA_STATE_MAX);

			assert_false(failed(platform_ima_encode(s, &b)));
			(void)memset(s, 0xa5, sizeof(*s));
			assert_false(failed(platform_ima_decode(buf_bytes(&b), s)));
		}
	}
}

static void judge(json_t *p, const struct list *t, struct platform_ima_state *s, struct ima_judgement *j)
{
	cleanup_document struct document *d = doc_make(p);
	const struct ima_input in = { &d->profile, lists(), DIGEST_SHA256, 0x3ff, quoted, 0 };
	struct platform_ima_state again = { 0 };
	struct ima_judgement same;
	cleanup_ima_list struct ima_list l;

	build(t, &l);
	*s = (struct platform_ima_state){ 0 };
	feed(d, &l, 0, s);
	platform_ima_conclude(&in, s, j);
	feed(d, &l, 1, &again);
	platform_ima_conclude(&in, &again, &same);
	assert_int_equal(j->passed, same.passed);
	assert_int_equal(j->n_failures, same.n_failures);
	for (size_t i = 0; i < j->n_failures; i++)
		assert_string_equal(j->failure[i].seen, same.failure[i].seen);
}

#define GOOD "\"GOOD\"" /* replaced by the digest of "good" */
#define LIST "\"LIST\"" /* by that of the allowlist */
#define KEY "\"KEY\""   /* by the signer */

/* Digests have to be computed, so texts stand for them. */
static json_t *fill(const char *json)
{
	static const char *const words[] = { "GOOD", "VERITY", "LIST", "KEY" };
	cleanup_buf struct buf pem = BUF_INIT(4 * KIB);
	char verity[80];
	uint8_t file[32];
	const char *key;
	json_t *o = json_loads(json, JSON_DECODE_ANY, NULL), *list;
	const char *name;

	assert_non_null(o);
	assert_false(failed(ima_allowlist_sha256(allowlist, file)));
	assert_false(failed(key_public_to_pem(signer, &pem)));
	assert_false(failed(buf_cstr(&pem, &key)));
	(void)snprintf(verity, sizeof(verity), "verity:%s", hex32_of("good").text);
	json_object_foreach(o, name, list)
	{
		json_t *item;
		size_t i;

		json_array_foreach(list, i, item)
		{
			const char *s = json_string_value(item), *to = NULL;

			if (s == NULL)
				continue;
			if (strcmp(s, words[0]) == 0)
				to = hex32_of("good").text;
			if (strcmp(s, words[1]) == 0)
				to = verity;
			if (strcmp(s, words[2]) == 0)
				to = hex32(file).text;
			if (strcmp(s, words[3]) == 0)
				to = key;
			if (to != NULL)
				assert_int_equal(json_array_set_new(list, i, json_string(to)), 0);
		}
	}
	return o;
}

static const struct {
	const char *name;
	struct list list;
	const char *ima;
	const char *id, *rule, *words; /* id NULL: passes */
} cases[] = {
	{ "digest", { .file = "good" }, "{\"digests\":[" GOOD "]}", NULL, NULL, NULL },
	{ "other digest",
	  { .file = "good", .second = "bad" },
	  "{\"digests\":[" GOOD "]}",
	  "P-profile",
	  "ima",
	  "sha256:" },
	{ "I5 the digest decides, not the path",
	  { .file = "good", .path = "/tmp/x" },
	  "{\"digests\":[" GOOD "]}",
	  NULL,
	  NULL,
	  NULL },
	{ "verity digest", { .verity = "good" }, "{\"digests\":[\"VERITY\"]}", NULL, NULL, NULL },
	{ "verity is not contents",
	  { .verity = "good" },
	  "{\"digests\":[" GOOD "]}",
	  "P-profile",
	  "ima",
	  "verity:sha256" },
	{ "contents are not verity", { .file = "good" }, "{\"digests\":[\"VERITY\"]}", "P-profile", "ima", "sha256:" },
	{ "allowlist", { .file = "listed" }, "{\"allowlists\":[" LIST "]}", NULL, NULL, NULL },
	{ "not in the allowlist",
	  { .file = "listed", .second = "bad" },
	  "{\"allowlists\":[" LIST "]}",
	  "P-profile",
	  "ima",
	  "" },
	{ "signer", { .signed_file = "s", .signed_contents = "s" }, "{\"signers\":[" KEY "]}", NULL, NULL, NULL },
	{ "I6 another signer",
	  { .signed_file = "s", .signed_contents = "s", .other_key = true },
	  "{\"signers\":[" KEY "]}",
	  "I6",
	  "ima.signers",
	  "not approved" },
	{ "I6 signature of another file",
	  { .signed_file = "s", .signed_contents = "t" },
	  "{\"signers\":[" KEY "]}",
	  "I6",
	  "ima.signers",
	  "does not verify" },
	{ "I6 another signer, unsigned allowed",
	  { .signed_file = "s", .signed_contents = "s", .other_key = true, .file = "good" },
	  "{\"signers\":[" KEY "],\"digests\":[" GOOD "],\"unsigned\":\"allow\"}",
	  "I6",
	  "ima.signers",
	  "not approved" },
	{ "I6 unsigned",
	  { .file = "bad", .signed_file = "s", .signed_contents = "s" },
	  "{\"signers\":[" KEY "]}",
	  "P-profile",
	  "ima",
	  "sha256:" },
	{ "unsigned allowed",
	  { .file = "bad", .signed_file = "s", .signed_contents = "s" },
	  "{\"signers\":[" KEY "],\"unsigned\":\"allow\"}",
	  NULL,
	  NULL,
	  NULL },
	{ "excluded",
	  { .file = "good", .second = "bad", .second_path = "/srv/x" },
	  "{\"digests\":[" GOOD "],\"exclude\":[\"/srv\"]}",
	  NULL,
	  NULL,
	  NULL },
	{ "I5 exclude covers components",
	  { .file = "good", .second = "bad", .second_path = "/srv.evil" },
	  "{\"digests\":[" GOOD "],\"exclude\":[\"/srv\"]}",
	  "P-profile",
	  "ima",
	  "" },
	{ "I5 path with ..",
	  { .file = "good", .second = "bad", .second_path = "/srv/../usr/bin/x" },
	  "{\"digests\":[" GOOD "],\"exclude\":[\"/srv\"]}",
	  "P-profile",
	  "ima",
	  "" },
	{ "I5 path with a line break",
	  { .file = "good", .second = "bad", .second_path = "/srv/x\ny" },
	  "{\"digests\":[" GOOD "],\"exclude\":[\"/srv\"]}",
	  "P-profile",
	  "ima",
	  "" },
	{ "I1 violation denied",
	  { .file = "good", .violation = "/srv/x" },
	  "{\"digests\":[" GOOD "],\"exclude\":[\"/srv\"]}",
	  "I1",
	  "ima.violations",
	  "violation" },
	{ "I1 violation counted",
	  { .file = "good", .violation = "/srv/x" },
	  "{\"digests\":[" GOOD "],\"violations\":\"count\"}",
	  NULL,
	  NULL,
	  NULL },
	{ "I1 violation ignored",
	  { .file = "good", .violation = "/srv/x" },
	  "{\"digests\":[" GOOD "],\"violations\":\"ignore\"}",
	  NULL,
	  NULL,
	  NULL },
	{ "I8 another register",
	  { .file = "good", .other_register = true, .second = "good" },
	  "{\"digests\":[" GOOD "]}",
	  "I8",
	  "",
	  "register 11" },
	{ "I9 no boot_aggregate",
	  { .file = "good", .no_aggregate = true },
	  "{\"digests\":[" GOOD "]}",
	  "I9",
	  "ima.boot_aggregate",
	  "another entry" },
	{ "I9 boot_aggregate not first",
	  { .file = "good", .late_aggregate = true },
	  "{\"digests\":[" GOOD "]}",
	  "I9",
	  "ima.boot_aggregate",
	  "another entry" },
	{ "I9 another boot",
	  { .file = "good", .other_aggregate = true },
	  "{\"digests\":[" GOOD "]}",
	  "I9",
	  "ima.boot_aggregate",
	  "another boot" },
	{ "boot_aggregate ignored",
	  { .file = "good", .other_aggregate = true },
	  "{\"digests\":[" GOOD "],\"boot_aggregate\":\"ignored\"}",
	  NULL,
	  NULL,
	  NULL },
	{ "no boot_aggregate, ignored",
	  { .file = "good", .no_aggregate = true },
	  "{\"digests\":[" GOOD "],\"boot_aggregate\":\"ignored\"}",
	  NULL,
	  NULL,
	  NULL },
	{ "template allowed",
	  { .file = "good" },
	  "{\"digests\":[" GOOD "],\"templates\":[\"ima-ng\"]}",
	  NULL,
	  NULL,
	  NULL },
	{ "template not allowed",
	  { .file = "good" },
	  "{\"digests\":[" GOOD "],\"templates\":[\"ima-sig\"]}",
	  "P-profile",
	  "ima.templates",
	  "ima-ng" },
	{ "fields under other names",
	  { .file = "good", .relabelled = true },
	  "{\"digests\":[" GOOD "]}",
	  "P-profile",
	  "ima.templates",
	  "buf|n-ng|d-ng" },
	{ "fields under names that the operator wrote",
	  { .file = "good", .relabelled = true },
	  "{\"digests\":[" GOOD "],\"templates\":[\"ima-ng\",\"buf|n-ng|d-ng\"]}",
	  NULL,
	  NULL,
	  NULL },
	{ "unknown template",
	  { .file = "good", .unknown_template = true },
	  "{\"digests\":[" GOOD "]}",
	  "P-profile",
	  "ima.templates",
	  "new-template" },
	{ "unknown template, unsigned allowed",
	  { .file = "good", .unknown_template = true },
	  "{\"digests\":[" GOOD "],\"unsigned\":\"allow\"}",
	  "P-profile",
	  "ima.templates",
	  "new-template" },
	{ "SHA-1 is no name of a file", { .legacy = true }, "{\"digests\":[" GOOD "]}", "P-profile", "ima", "sha1" },
	{ "P1 nothing compared", { .file = "bad" }, "{\"unsigned\":\"allow\"}", "P1", "ima", "nothing" },
	{ "P1 excluded only", { .file = "bad", .path = "/srv/x" }, "{\"exclude\":[\"/srv\"]}", "P1", "ima", "nothing" },
	{ "P1 no entries", { .no_aggregate = true }, "{\"digests\":[" GOOD "]}", "P1", "ima", "nothing" },
};

static bool has_failure(const struct ima_judgement *j, const char *id, const char *rule, const char *words)
{
	for (size_t i = 0; i < j->n_failures; i++)
		if (strcmp(j->failure[i].id, id) == 0 && strcmp(j->failure[i].rule, rule) == 0 &&
		    strstr(j->failure[i].seen, words) != NULL)
			return true;
	return false;
}

static json_t *filled(const char *ima, const char *measurer)
{
	json_t *p = predicate("{}", measurer);

	assert_int_equal(json_object_set_new(p, "ima", fill(ima)), 0);
	return p;
}

static void test_cases(void **state)
{
	static struct platform_ima_state s;
	static struct ima_judgement j;

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		judge(filled(cases[i].ima, NULL), &cases[i].list, &s, &j);
		if (j.passed == (cases[i].id == NULL) &&
		    (cases[i].id == NULL || has_failure(&j, cases[i].id, cases[i].rule, cases[i].words)))
			continue;
		for (size_t k = 0; k < j.n_failures; k++)
			print_message("# %s %s: %s: %s, seen %s\n", j.failure[k].id, j.failure[k].rule,
				      j.failure[k].subject, j.failure[k].expected, j.failure[k].seen);
		fail_msg("%s: not as expected", cases[i].name);
	}
}

static void test_violations_warn(void **state)
{
	const struct list list = { .file = "good", .violation = "/x" }, none = { .file = "good" };
	static struct platform_ima_state s;
	static struct ima_judgement j;

	(void)state;
	judge(filled("{\"digests\":[" GOOD "],\"violations\":\"count\"}", NULL), &list, &s, &j);
	assert_true(j.passed && j.warn);
	assert_int_equal(s.decided[IMA_RULE_VIOLATIONS], 1);
	judge(filled("{\"digests\":[" GOOD "],\"violations\":\"ignore\"}", NULL), &list, &s, &j);
	assert_true(j.passed && !j.warn);
	assert_int_equal(s.decided[IMA_RULE_VIOLATIONS], 1);
	judge(filled("{\"digests\":[" GOOD "],\"violations\":\"count\"}", NULL), &none, &s, &j);
	assert_true(j.passed && !j.warn);
}

static void test_measurer(void **state)
{
	const struct list with = { .file = "good", .second = "good" },
			  without = { .signed_file = "s", .signed_contents = "s" };
	static struct platform_ima_state s;
	static struct ima_judgement j;
	char measurer[128];

	(void)state;
	(void)snprintf(measurer, sizeof(measurer), "{\"ima\":[\"%s\"]}", hex32_of("good").text);
	judge(filled("{\"signers\":[" KEY "]}", measurer), &with, &s, &j);
	assert_true(j.passed);
	assert_true(s.measurer_seen);
	assert_int_equal(s.decided[IMA_RULE_MEASURER], 2);
	judge(filled("{\"signers\":[" KEY "]}", measurer), &without, &s, &j);
	assert_false(j.passed);
	assert_true(has_failure(&j, "P-profile", "measurer", ""));
}

/* However long the list and its names are. */
static void test_state_is_bounded(void **state)
{
	cleanup_document struct document *d = doc_make(filled("{\"digests\":[" GOOD "]}", NULL));
	cleanup_ima_list struct ima_list l;
	cleanup_buf struct buf b = BUF_INIT(1 << 20);
	static struct platform_ima_state s, again;
	char path[3000];
	uint8_t v[32];

	(void)state;
	ima_list_init(&l);
	add_aggregate(&l, true);
	(void)memset(path, 0x01, sizeof(path));
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	for (size_t i = 0; i < 50; i++) {
		(void)memset(v, (int)i, sizeof(v));
		ima_list_file(&l, BYTES_ARR(v), path);
	}
	s = (struct platform_ima_state){ 0 };
	feed(d, &l, 7, &s);
	assert_int_equal(s.n_entries, 51);
	assert_int_equal(s.n_failed, 51);
	assert_int_equal(s.n_kept, PLATFORM_IMA_FAILURES);
	assert_false(failed(platform_ima_encode(&s, &b)));
	assert_true(b.n <= PLATFORM_IMA_STATE_MAX);
	assert_false(failed(platform_ima_decode(buf_bytes(&b), &again)));
	assert_memory_equal(&s, &again, sizeof(s));
	for (size_t n = 0; n < b.n; n++)
		assert_true(failed(platform_ima_decode(BYTES(b.p, n), &again)));
	s.n_entries = s.n_failed = UINT64_MAX;
	for (size_t i = 0; i < N_IMA_RULES; i++)
		s.decided[i] = UINT64_MAX;
	for (size_t i = 0; i < PLATFORM_IMA_FAILURES; i++)
		(void)memset(s.failure[i].subject, 'x', sizeof(s.failure[i].subject) - 1);
	buf_clear(&b);
	assert_false(failed(platform_ima_encode(&s, &b)));
	assert_true(b.n <= PLATFORM_IMA_STATE_MAX);
}

static void test_no_rules(void **state)
{
	cleanup_document struct document *d = doc_make(doc_predicate(DOCUMENT_PLATFORM));
	const struct ima_input in = { &d->profile, NULL, DIGEST_SHA256, 0x3ff, quoted, 0 };
	struct platform_ima_state s = { 0 };
	struct ima_entry ent = { 0 };

	(void)state;
	assert_int_equal(platform_ima_add(&in, &ent, &s).code, E_BUG);
}

static int setup(void **state)
{
	struct ima_allowlist_builder b;
	uint8_t v[32];
	size_t n;

	if (folder_enter(state) != 0)
		return -1;
	assert_ok(ima_allowlist_begin(&b, DIGEST_SHA256, IMA_DIGEST_FILE));
	sum("listed", v);
	assert_ok(ima_allowlist_add(&b, BYTES_ARR(v)));
	assert_ok(ima_allowlist_finish(&b, &n));
	put("list", (const char *)b.file.p, b.file.n);
	assert_ok(ima_allowlist_open(AT_FDCWD, "list", &allowlist, NULL));
	ima_allowlist_builder_done(&b);
	assert_ok(key_generate(KEY_EC_P256, &signer));
	assert_ok(key_generate(KEY_EC_P256, &stranger));
	aggregate(v);
	return 0;
}

static int teardown(void **state)
{
	ima_allowlist_free(allowlist);
	key_free(signer);
	key_free(stranger);
	return folder_leave(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),    cmocka_unit_test(test_violations_warn),
		cmocka_unit_test(test_measurer), cmocka_unit_test(test_state_is_bounded),
		cmocka_unit_test(test_no_rules),
	};

	return cmocka_run_group_tests_name("platform-ima", tests, setup, teardown);
}
