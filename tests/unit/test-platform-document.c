/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of a platform document: what is read, and what is refused with which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/key.h"
#include "firmware-measure/evlog.h"
#include "tests/support/documents.h"

#define A64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B64 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define A96 A64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define GUID "8be4df61-93ca-11d2-aa0d-00e098032b8c"
#define LIST(x) "[\"" x "\"]"

/* Every member there is. */
static const char firmware_json[] =
	"{\"pcrs\":[0,2,4,7,8,9],\"ignored\":[{\"pcr\":1,\"reason\":\"settings of each host\"}],"
	"\"secure_boot\":\"required\","
	"\"variables\":{\"PK\":{\"owners\":[\"" GUID "\"],\"certificates\":[\"" A64 "\"]},"
	"\"KEK\":{\"certificates\":[\"" A64 "\"]},\"db\":{\"certificates\":[\"" A64 "\"],\"hashes\":[\"" B64 "\"]}},"
	"\"dbx\":[\"" B64 "\",\"" A64 "\"],"
	"\"boot_applications\":{\"digests\":[\"" A64 "\"],\"signers\":[\"" B64 "\"]},"
	"\"command_lines\":[{\"exact\":\"quiet\"},{\"required\":[\"quiet\"],\"allowed\":[\"root=*\"]},"
	"{\"forbidden\":[\"debug\"],\"other\":\"allow\"}],"
	"\"versions\":{\"digests\":[\"" A64 "\"],\"crtm\":[\"1.2\"]},"
	"\"events\":[{\"pcr\":7,\"type\":\"EV_EFI_VARIABLE_AUTHORITY\",\"digests\":[\"" A64 "\"]},"
	"{\"pcr\":9,\"type\":\"0x12345678\",\"digests\":[\"" A64 "\"]}],"
	"\"userspace\":[{\"pcr\":9,\"strings\":[\"ready\",\"machine-id:*\"]},{\"pcr\":8,\"digests\":[\"" B64 "\"]}],"
	"\"unknown_events\":\"allow\",\"exit_boot_services\":\"may_be_missing\"}";

static const char ima_json[] = "{\"allowlists\":[\"" A64 "\",\"" B64 "\"],"
			       "\"digests\":[\"" A64 "\",\"verity:sha256:" A64 "\",\"sha384:" A96 "\"],"
			       "\"exclude\":[\"/srv\",\"/var/lib/x\"],\"violations\":\"count\",\"unsigned\":\"allow\","
			       "\"boot_aggregate\":\"ignored\",\"templates\":[\"ima-ng\",\"d-ng|n-ng\"]}";

static json_t *with(const char *firmware, const char *ima)
{
	json_t *p = doc_predicate(DOCUMENT_PLATFORM);

	doc_set(p, "firmware", firmware);
	doc_set(p, "ima", ima);
	return p;
}

/* One member of firmware or ima changed; json NULL removes it. Of several levels: "variables.PK". */
struct edit {
	const char *name, *where, *key, *json;
	enum err_code want;
	const char *says;
};

static const struct edit edits[] = {
	{ "all members", "firmware", "pcrs", "[0,2,4,7,8,9]", E_OK, NULL },
	{ "P2 unknown member", "firmware", "secureboot", "\"off\"", E_PEER_UNKNOWN_KEY, "firmware.secureboot" },
	{ "no registers", "firmware", "pcrs", NULL, E_PEER_MISSING, "pcrs" },
	{ "P1 empty registers", "firmware", "pcrs", "[]", E_PEER_RANGE, "pcrs" },
	{ "Q13 register 16", "firmware", "pcrs", "[0,2,4,7,8,9,16]", E_PEER_RANGE, "pcrs[6]: anyone can reset" },
	{ "Q13 register 23", "firmware", "pcrs", "[0,2,4,7,8,9,23]", E_PEER_RANGE, "reset" },
	{ "Q13 register 24", "firmware", "pcrs", "[0,2,4,7,8,9,24]", E_PEER_RANGE, "no such" },
	{ "IMA's register", "firmware", "pcrs", "[0,2,4,7,8,9,10]", E_PEER_RANGE, "IMA" },
	{ "workload register", "firmware", "pcrs", "[0,2,4,7,8,9,13]", E_PEER_RANGE, "workload" },
	{ "register twice", "firmware", "pcrs", "[0,2,4,7,8,9,0]", E_PEER_DUPLICATE, "pcrs[6]" },
	{ "register as text", "firmware", "pcrs", "[\"0\"]", E_PEER_RANGE, "number" },
	{ "ignored without a reason", "firmware", "ignored", "[{\"pcr\":1}]", E_PEER_MISSING, "ignored[0].reason" },
	{ "ignored with no words", "firmware", "ignored", "[{\"pcr\":1,\"reason\":\"\"}]", E_PEER_RANGE, "reason" },
	{ "ignored and compared", "firmware", "ignored", "[{\"pcr\":7,\"reason\":\"x\"}]", E_PEER_DUPLICATE, "7" },
	{ "ignored twice", "firmware", "ignored", "[{\"pcr\":1,\"reason\":\"x\"},{\"pcr\":1,\"reason\":\"y\"}]",
	  E_PEER_DUPLICATE, "ignored[1]" },
	{ "workload register ignored", "firmware", "ignored", "[{\"pcr\":13,\"reason\":\"x\"}]", E_OK, NULL },
	{ "register 24 ignored", "firmware", "ignored", "[{\"pcr\":24,\"reason\":\"x\"}]", E_PEER_RANGE, "no such" },
	{ "nothing ignored", "firmware", "ignored", NULL, E_OK, NULL },
	{ "no secure_boot", "firmware", "secure_boot", NULL, E_PEER_MISSING, "secure_boot" },
	{ "other secure_boot", "firmware", "secure_boot", "\"on\"", E_PEER_RANGE, "required, off, any" },
	{ "signers without Secure Boot", "firmware", "secure_boot", "\"any\"", E_PEER_RANGE, "signers" },
	{ "no variable named", "firmware", "variables", "{}", E_PEER_RANGE, "no variable" },
	{ "unknown variable", "firmware", "variables", "{\"dbt\":{\"hashes\":" LIST(A64) "}}", E_PEER_UNKNOWN_KEY,
	  "variables.dbt" },
	{ "unknown variable beside one", "firmware", "variables", "{\"PK\":{\"hashes\":" LIST(A64) "},\"dbt\":{}}",
	  E_PEER_UNKNOWN_KEY, "variables.dbt" },
	{ "variable of nothing", "firmware", "variables", "{\"PK\":{}}", E_PEER_RANGE, "neither certificates" },
	{ "owners only", "firmware", "variables", "{\"PK\":{\"owners\":" LIST(GUID) "}}", E_PEER_RANGE, "neither" },
	{ "owner that is no GUID", "firmware", "variables", "{\"PK\":{\"owners\":[\"x\"],\"hashes\":" LIST(A64) "}}",
	  E_PEER_SYNTAX, "owners[0]" },
	{ "owner twice", "firmware", "variables",
	  "{\"PK\":{\"owners\":[\"" GUID "\",\"8BE4DF61-93ca-11d2-aa0d-00e098032b8c\"],\"hashes\":" LIST(A64) "}}",
	  E_PEER_DUPLICATE, "owners[1]" },
	{ "dbx of nothing", "firmware", "dbx", "[]", E_PEER_RANGE, "dbx" },
	{ "dbx twice", "firmware", "dbx", "[\"" A64 "\",\"" A64 "\"]", E_PEER_DUPLICATE, "dbx[1]" },
	{ "dbx of other digests", "firmware", "dbx", "[\"" A96 "\"]", E_PEER_RANGE, "dbx[0]" },
	{ "applications of nothing", "firmware", "boot_applications", "{}", E_PEER_RANGE, "neither digests" },
	{ "applications of another kind", "firmware", "boot_applications", "{\"paths\":[]}", E_PEER_UNKNOWN_KEY,
	  "paths" },
	{ "no command line", "firmware", "command_lines", "[]", E_PEER_RANGE, "empty" },
	{ "exact and grammar", "firmware", "command_lines", "[{\"exact\":\"a\",\"required\":[\"a\"]}]",
	  E_PEER_UNKNOWN_KEY, "required" },
	{ "line break in a line", "firmware", "command_lines", "[{\"exact\":\"a\\nb\"}]", E_PEER_RANGE, "exact" },
	{ "every line", "firmware", "command_lines", "[{\"other\":\"allow\"}]", E_PEER_RANGE, "every command line" },
	{ "allowed beside others", "firmware", "command_lines",
	  "[{\"allowed\":[\"a\"],\"required\":[\"b\"],\"other\":\"allow\"}]", E_PEER_RANGE, "allowed" },
	{ "P2 forbidden beside none", "firmware", "command_lines", "[{\"forbidden\":[\"a\"]}]", E_PEER_RANGE,
	  "forbidden" },
	{ "word with a space", "firmware", "command_lines", "[{\"required\":[\"a b\"]}]", E_PEER_RANGE, "required[0]" },
	{ "empty line is a line", "firmware", "command_lines", "[{\"exact\":\"\"}]", E_OK, NULL },
	{ "versions of nothing", "firmware", "versions", "{}", E_PEER_RANGE, "neither digests" },
	{ "version of two lines", "firmware", "versions", "{\"crtm\":[\"a\\nb\"]}", E_PEER_RANGE, "crtm[0]" },
	{ "event that is not measured", "firmware", "events",
	  "[{\"pcr\":7,\"type\":\"EV_NO_ACTION\",\"digests\":" LIST(A64) "}]", E_PEER_RANGE, "not measured" },
	{ "event of no type", "firmware", "events", "[{\"pcr\":7,\"type\":\"EV_X\",\"digests\":" LIST(A64) "}]",
	  E_PEER_RANGE, "events[0].type" },
	{ "number of a named type", "firmware", "events",
	  "[{\"pcr\":7,\"type\":\"0x0000000d\",\"digests\":" LIST(A64) "}]", E_PEER_RANGE, "has a name" },
	{ "P2 event in a register that is not compared", "firmware", "events",
	  "[{\"pcr\":5,\"type\":\"EV_IPL\",\"digests\":" LIST(A64) "}]", E_PEER_RANGE, "events[0].pcr" },
	{ "event without digests", "firmware", "events", "[{\"pcr\":7,\"type\":\"EV_IPL\",\"digests\":[]}]",
	  E_PEER_RANGE, "digests" },
	{ "event rule twice", "firmware", "events",
	  "[{\"pcr\":7,\"type\":\"EV_IPL\",\"digests\":" LIST(A64) "},"
								   "{\"pcr\":7,\"type\":\"EV_IPL\",\"digests\":" LIST(
									   B64) "}]",
	  E_PEER_DUPLICATE, "events[1]" },
	{ "userspace of nothing", "firmware", "userspace", "[]", E_PEER_RANGE, "userspace" },
	{ "userspace rule of nothing", "firmware", "userspace", "[{\"pcr\":9}]", E_PEER_RANGE, "neither strings" },
	{ "userspace rule with no strings", "firmware", "userspace", "[{\"pcr\":9,\"strings\":[]}]", E_PEER_RANGE,
	  "strings" },
	{ "userspace rule without a register", "firmware", "userspace", "[{\"strings\":[\"a\"]}]", E_PEER_MISSING, "pcr" },
	{ "P2 userspace in a register that is not compared", "firmware", "userspace",
	  "[{\"pcr\":11,\"strings\":[\"a\"]}]", E_PEER_RANGE, "userspace[0].pcr" },
	{ "userspace in register 24", "firmware", "userspace", "[{\"pcr\":24,\"strings\":[\"a\"]}]", E_PEER_RANGE, "pcr" },
	{ "userspace rule twice", "firmware", "userspace",
	  "[{\"pcr\":9,\"strings\":[\"a\"]},{\"pcr\":9,\"strings\":[\"b\"]}]", E_PEER_DUPLICATE, "userspace[1]" },
	{ "P2 userspace by type", "firmware", "userspace", "[{\"pcr\":9,\"type\":\"phase\",\"strings\":[\"a\"]}]",
	  E_PEER_UNKNOWN_KEY, "type" },
	{ "userspace string of two lines", "firmware", "userspace", "[{\"pcr\":9,\"strings\":[\"a\\nb\"]}]", E_PEER_RANGE,
	  "strings[0]" },
	{ "userspace string of everything", "firmware", "userspace", "[{\"pcr\":9,\"strings\":[\"*\"]}]", E_PEER_RANGE,
	  "strings[0]" },
	{ "star within a userspace string", "firmware", "userspace", "[{\"pcr\":9,\"strings\":[\"a*b\"]}]", E_PEER_RANGE,
	  "strings[0]" },
	{ "userspace string twice", "firmware", "userspace", "[{\"pcr\":9,\"strings\":[\"a\",\"a\"]}]",
	  E_PEER_DUPLICATE, "strings[1]" },
	{ "userspace digest of another bank", "firmware", "userspace", "[{\"pcr\":9,\"digests\":[\"" A96 "\"]}]",
	  E_PEER_RANGE, "digests[0]" },
	{ "unknown_events true", "firmware", "unknown_events", "true", E_PEER_TYPE, "unknown_events" },
	{ "unknown_events other", "firmware", "unknown_events", "\"warn\"", E_PEER_RANGE, "deny, allow" },
	{ "exit_boot_services other", "firmware", "exit_boot_services", "\"optional\"", E_PEER_RANGE,
	  "may_be_missing" },
	/* P2: a rule whose registers are not compared would never be read. */
	{ "P2 rules without their registers", "firmware", "pcrs", "[0]", E_PEER_RANGE, "does not name" },
	{ "P2 Secure Boot without 7", "firmware", "pcrs", "[0,2,4,8,9]", E_PEER_RANGE, "secure_boot" },
	{ "P2 applications without 4", "firmware", "pcrs", "[0,2,7,8,9]", E_PEER_RANGE, "boot_applications" },
	{ "P2 versions without 0 and 2", "firmware", "pcrs", "[4,7,8,9]", E_PEER_RANGE, "versions" },

	{ "P2 unknown member", "ima", "allowlist", "[]", E_PEER_UNKNOWN_KEY, "ima.allowlist" },
	{ "no lists", "ima", "allowlists", "[]", E_PEER_RANGE, "allowlists" },
	{ "list twice", "ima", "allowlists", "[\"" A64 "\",\"" A64 "\"]", E_PEER_DUPLICATE, "allowlists[1]" },
	{ "SHA-1 of a file", "ima", "digests", "[\"sha1:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"]", E_PEER_RANGE,
	  "digests[0]" },
	{ "digest of another size", "ima", "digests", "[\"sha384:" A64 "\"]", E_PEER_RANGE, "digests[0]" },
	{ "digest twice in two forms", "ima", "digests", "[\"" A64 "\",\"sha256:" A64 "\"]", E_PEER_DUPLICATE,
	  "twice" },
	{ "one digest, two kinds", "ima", "digests", "[\"" A64 "\",\"verity:" A64 "\"]", E_OK, NULL },
	{ "I5 relative exclude", "ima", "exclude", "[\"srv\"]", E_PEER_RANGE, "exclude[0]" },
	{ "I5 exclude with ..", "ima", "exclude", "[\"/srv/../usr\"]", E_PEER_RANGE, "exclude[0]" },
	{ "I5 exclude with .", "ima", "exclude", "[\"/./usr\"]", E_PEER_RANGE, "exclude[0]" },
	{ "I5 exclude with two slashes", "ima", "exclude", "[\"/srv//x\"]", E_PEER_RANGE, "exclude[0]" },
	{ "I5 exclude that ends in a slash", "ima", "exclude", "[\"/srv/\"]", E_PEER_RANGE, "exclude[0]" },
	{ "I5 exclude with a line break", "ima", "exclude", "[\"/srv\\n\"]", E_PEER_RANGE, "exclude[0]" },
	{ "exclude of everything", "ima", "exclude", "[\"/\"]", E_PEER_RANGE, "exclude[0]" },
	{ "exclude of a hidden folder", "ima", "exclude", "[\"/srv/.x/..y\"]", E_OK, NULL },
	{ "no CA", "ima", "signer_cas", "[]", E_PEER_RANGE, "signer_cas" },
	{ "CA that is no certificate", "ima", "signer_cas", "[\"aGVsbG8=\"]", E_PEER_SYNTAX, "signer_cas[0]" },
	{ "CA that is no text", "ima", "signer_cas", "[1]", E_PEER_TYPE, "signer_cas[0]" },
	{ "signer that is no key", "ima", "signers", "[\"aGVsbG8=\"]", E_PEER_SYNTAX, "signers[0]" },
	{ "violations other", "ima", "violations", "\"allow\"", E_PEER_RANGE, "deny, count, ignore" },
	{ "unsigned other", "ima", "unsigned", "\"count\"", E_PEER_RANGE, "deny, allow" },
	{ "boot_aggregate other", "ima", "boot_aggregate", "\"no\"", E_PEER_RANGE, "required, ignored" },
	{ "template with a capital", "ima", "templates", "[\"IMA\"]", E_PEER_RANGE, "templates[0]" },
};

static struct err parse(const json_t *predicate, struct document **ret, struct reason *why)
{
	cleanup_buf struct buf payload = BUF_INIT(LIMIT_DOCUMENT);
	struct err e = document_statement(predicate, &payload, why);

	return failed(e) ? e : document_parse(buf_bytes(&payload), DOC_REALM, ret, why);
}

static void expect(const char *name, json_t *p, enum err_code want, const char *says)
{
	cleanup_document struct document *d = NULL;
	struct reason why = { "" };
	struct err e = parse(p, &d, &why);

	json_decref(p);
	if ((e.code == E_OK) != (want == E_OK) || (e.code != want && want != E_PEER_RANGE && want != E_PEER_SYNTAX))
		fail_msg("%s: %s instead of %s (%s)", name, err_name(e), err_name(ERR(want)), why.text);
	if (says != NULL && strstr(why.text, says) == NULL)
		fail_msg("%s: \"%s\" does not say \"%s\"", name, why.text, says);
	assert_true((d != NULL) == (want == E_OK));
}

static void test_edits(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(edits); i++) {
		const struct edit *t = &edits[i];
		json_t *p = with(firmware_json, ima_json);

		doc_set(json_object_get(p, t->where), t->key, t->json);
		expect(t->name, p, t->want, t->says);
	}
}

static void test_firmware_members(void **state)
{
	cleanup_document struct document *d = doc_make(with(firmware_json, NULL));
	const struct platform_firmware *f = d->profile.firmware;
	static const uint8_t guid[16] = { 0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93, 0xd2, 0x11,
					  0xaa, 0x0d, 0x00, 0xe0, 0x98, 0x03, 0x2b, 0x8c };
	uint8_t a[32], b[32];

	(void)state;
	(void)memset(a, 0xaa, sizeof(a));
	(void)memset(b, 0xbb, sizeof(b));
	assert_non_null(f);
	assert_null(d->profile.ima);
	assert_int_equal(f->pcr_mask, 1u << 0 | 1u << 2 | 1u << 4 | 1u << 7 | 1u << 8 | 1u << 9);
	assert_int_equal(f->ignored_mask, 1u << 1);
	assert_string_equal(f->ignored_reason[1], "settings of each host");
	assert_int_equal(f->secure_boot, SECURE_BOOT_REQUIRED);
	assert_true(f->variable[PLATFORM_PK].given && f->variable[PLATFORM_KEK].given &&
		    f->variable[PLATFORM_DB].given);
	assert_int_equal(f->variable[PLATFORM_PK].n_owners, 1);
	assert_memory_equal(f->variable[PLATFORM_PK].owners[0], guid, 16);
	assert_true(platform_digests_has(&f->variable[PLATFORM_DB].hashes, BYTES_ARR(b)));
	assert_false(platform_digests_has(&f->variable[PLATFORM_DB].hashes, BYTES_ARR(a)));
	assert_int_equal(f->dbx.n, 2);
	assert_true(platform_digests_has(&f->dbx, BYTES_ARR(a)) && platform_digests_has(&f->dbx, BYTES_ARR(b)));
	assert_false(platform_digests_has(&f->dbx, BYTES(a, 31)));
	assert_true(platform_digests_has(&f->applications, BYTES_ARR(a)));
	assert_true(platform_digests_has(&f->signers, BYTES_ARR(b)));
	assert_int_equal(f->n_command_lines, 3);
	assert_string_equal(f->command_lines[0].exact, "quiet");
	assert_string_equal(f->command_lines[1].allowed.v[0], "root=*");
	assert_false(f->command_lines[1].allow_other);
	assert_true(f->command_lines[2].allow_other);
	assert_string_equal(f->crtm.v[0], "1.2");
	assert_int_equal(f->n_events, 2);
	assert_int_equal(f->events[0].type, EV_EFI_VARIABLE_AUTHORITY);
	assert_int_equal(f->events[1].type, 0x12345678);
	assert_true(f->allow_unknown && f->exit_boot_services_may_be_missing);
}

static void test_ima_members(void **state)
{
	cleanup_document struct document *d = doc_make(with(NULL, ima_json));
	const struct platform_ima *m = d->profile.ima;
	struct platform_file_digest f = { .alg = DIGEST_SHA256, .value = { .n = 32 } };

	(void)state;
	assert_non_null(m);
	assert_int_equal(m->n_allowlists, 2);
	assert_int_equal(m->allowlists[0][0], 0xaa); /* in the order of the document */
	assert_int_equal(m->allowlists[1][0], 0xbb);
	(void)memset(f.value.v, 0xaa, 32);
	assert_true(platform_file_digests_has(&m->digests, &f));
	f.verity = true;
	assert_true(platform_file_digests_has(&m->digests, &f));
	f.alg = DIGEST_SM3_256;
	assert_false(platform_file_digests_has(&m->digests, &f));
	f = (struct platform_file_digest){ .alg = DIGEST_SHA384, .value = { .n = 48 } };
	(void)memset(f.value.v, 0xaa, 48);
	assert_true(platform_file_digests_has(&m->digests, &f));
	assert_int_equal(m->exclude.n, 2);
	assert_int_equal(m->templates.n, 2);
	assert_int_equal(m->violations, VIOLATIONS_COUNT);
	assert_true(m->allow_unsigned);
	assert_false(m->boot_aggregate_required);
}

/* P3: what a document does not say is the strict choice. */
static void test_defaults(void **state)
{
	cleanup_document struct document *d = doc_make(with("{\"pcrs\":[0],\"secure_boot\":\"any\"}", "{}"));

	(void)state;
	assert_false(d->profile.firmware->allow_unknown);
	assert_false(d->profile.firmware->exit_boot_services_may_be_missing);
	assert_int_equal(d->profile.ima->violations, VIOLATIONS_DENY);
	assert_false(d->profile.ima->allow_unsigned);
	assert_true(d->profile.ima->boot_aggregate_required);
	assert_int_equal(d->profile.measurer, MEASURER_UNATTESTED);
}

/* P1: rules over the firmware's log or values of registers; IMA alone says nothing of the boot. */
static void test_something_is_compared(void **state)
{
	static const struct {
		const char *name, *firmware, *ima;
		bool vectors;
		enum err_code want;
	} cases[] = {
		{ "P1 nothing", NULL, NULL, false, E_PEER_MISSING },
		{ "P1 IMA alone", NULL, ima_json, false, E_PEER_MISSING },
		{ "rules alone", firmware_json, NULL, false, E_OK },
		{ "values alone", NULL, NULL, true, E_OK },
		{ "all", firmware_json, ima_json, true, E_OK },
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		json_t *p = with(cases[i].firmware, cases[i].ima);

		if (!cases[i].vectors) {
			doc_set(p, "pcrs", NULL);
			doc_set(p, "vectors", NULL);
		}
		expect(cases[i].name, p, cases[i].want, cases[i].want == E_OK ? NULL : "neither vectors nor firmware");
	}
}

#define GOLDEN                                                                                                         \
	"{\"pcrs\":[0,2,4,7,8,9],\"secure_boot\":\"off\",\"boot_applications\":{\"digests\":[\"" A64 "\"]},"           \
	"\"command_lines\":[{\"exact\":\"quiet\"}]}"

static void test_measurer(void **state)
{
	static const struct {
		const char *name, *measurer, *key, *json; /* a member of GOLDEN that is changed */
		bool firmware, ima;
		const char *says;
	} cases[] = {
		{ "by IMA", "{\"ima\":[\"" A64 "\"]}", NULL, NULL, false, true, NULL },
		{ "by IMA without it", "{\"ima\":[\"" A64 "\"]}", NULL, NULL, true, false, "no member \"ima\"" },
		{ "by IMA and nothing", "{\"ima\":[]}", NULL, NULL, true, true, "empty" },
		{ "two ways", "{\"ima\":[\"" A64 "\"],\"boot_image\":true}", NULL, NULL, true, true, "boot_image" },
		{ "by nothing", "{}", NULL, NULL, true, true, "boot_image" },
		{ "by word", "\"ima\"", NULL, NULL, true, true, "measurer" },
		{ "boot image", "{\"boot_image\":true}", NULL, NULL, true, false, NULL },
		{ "no boot image", "{\"boot_image\":false}", NULL, NULL, true, false, "unattested" },
		{ "boot image without rules", "{\"boot_image\":true}", NULL, NULL, false, false, "\"firmware\"" },
		{ "boot image by signer", "{\"boot_image\":true}", "boot_applications", "{\"signers\":[\"" A64 "\"]}",
		  true, false, "" },
		{ "boot image, none approved", "{\"boot_image\":true}", "boot_applications", NULL, true, false,
		  "by digest" },
		{ "boot image, unknown events", "{\"boot_image\":true}", "unknown_events", "\"allow\"", true, false,
		  "unknown events" },
		{ "boot image, any line", "{\"boot_image\":true}", "command_lines", "[{\"required\":[\"quiet\"]}]",
		  true, false, "exact" },
		{ "boot image, initrd not compared", "{\"boot_image\":true}", "pcrs", "[0,2,4,7,8]", true, false,
		  "9 or 11" },
	};

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		json_t *p = with(cases[i].firmware ? GOLDEN : NULL, cases[i].ima ? "{}" : NULL);

		doc_set(p, "measurer", cases[i].measurer);
		if (cases[i].key != NULL)
			doc_set(json_object_get(p, "firmware"), cases[i].key, cases[i].json);
		expect(cases[i].name, p, cases[i].says == NULL ? E_OK : E_PEER_RANGE, cases[i].says);
	}
}

/* A signer in each form; the same key twice is one entry too many. */
static void test_signers(void **state)
{
	cleanup_buf struct buf pem = BUF_INIT(4 * KIB);
	cleanup_key struct key *k = NULL;
	cleanup_document struct document *d = NULL;
	json_t *p = with(NULL, "{}"), *list = json_array();
	const char *text;

	(void)state;
	assert_false(failed(key_generate(KEY_EC_P256, &k)));
	assert_false(failed(key_public_to_pem(k, &pem)));
	assert_false(failed(buf_cstr(&pem, &text)));
	assert_int_equal(json_array_append_new(list, json_string(text)), 0);
	assert_int_equal(json_object_set(json_object_get(p, "ima"), "signers", list), 0);
	d = doc_make(json_deep_copy(p));
	assert_int_equal(d->profile.ima->n_signers, 1);
	assert_true(key_equal(d->profile.ima->signers[0], k));
	assert_int_equal(json_array_append_new(list, json_string(text)), 0);
	json_decref(list);
	expect("signer twice", p, E_PEER_DUPLICATE, "signers[1]");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_edits),
		cmocka_unit_test(test_firmware_members),
		cmocka_unit_test(test_ima_members),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_something_is_compared),
		cmocka_unit_test(test_measurer),
		cmocka_unit_test(test_signers),
	};

	return cmocka_run_group_tests_name("platform-document", tests, NULL, NULL);
}
