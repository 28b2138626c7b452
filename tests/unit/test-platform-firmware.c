/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A firmware log under a platform profile: one boot that passes, and each
 * rule with one thing changed in the log or in the profile.
 */
#include "verifier/appraise/platform_firmware.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/text.h"
#include "firmware-measure/learn.h"
#include "firmware-measure/predict_profile.h"
#include "firmware-measure/replay.h"
#include "tests/support/documents.h"
#include "tests/support/logbuild.h"

/* What one boot measures; the default is a good one. */
struct boot {
	const char *version, *blob, *image, *second_image, *line, *option_rom, *extra, *debug;
	uint8_t secure_boot, db_first, separator;
	uint8_t certificate; /* of the authority: a certificate filled with this byte */
	size_t n_dbx;
	bool no_action, late_locality, late_hcrtm;
	bool no_line, no_application, no_variables, no_exit, no_separator, secure_boot_unfit, authority_late;
	bool uki; /* the line is measured as digests only, with an initrd */
	const char *uki_line;
};

static const struct boot good = { .version = "1.2",
				  .blob = "firmware",
				  .image = "shim",
				  .line = "/vmlinuz root=/dev/vda2 quiet",
				  .secure_boot = 1,
				  .db_first = 32,
				  .certificate = 7,
				  .n_dbx = 4,
				  .uki_line = "root=/dev/vda2 quiet" };

static void certificate(uint8_t fill, uint8_t ret[80])
{
	(void)memset(ret, fill, 80);
	ret[0] = 0x30;
}

static void add_variables(struct logbuild *l, const struct boot *b)
{
	static const struct {
		const char *name;
		uint8_t first;
		size_t n;
	} lists[] = { { "PK", 0, 1 }, { "KEK", 16, 2 }, { "db", 32, 3 }, { "dbx", 48, 4 } };
	const uint8_t on[] = { b->secure_boot }, other[] = { 9, 9 };
	cleanup_buf struct buf data = BUF_INIT(LIMIT_SMALL);

	if (b->no_variables)
		return;
	if (b->secure_boot_unfit) {
		logbuild_variable_data(&data, NULL, "SecureBoot", BYTES_ARR(on));
		logbuild_measure(l, 7, EV_EFI_VARIABLE_DRIVER_CONFIG, buf_bytes(&data), BYTES_ARR(other));
	} else {
		logbuild_variable(l, 7, EV_EFI_VARIABLE_DRIVER_CONFIG, NULL, "SecureBoot", BYTES_ARR(on));
	}
	for (size_t i = 0; i < array_len(lists); i++) {
		cleanup_buf struct buf list = BUF_INIT(LIMIT_SMALL);
		size_t n = i == 3 ? b->n_dbx : lists[i].n;

		if (n > 0)
			logbuild_hash_list(&list, i == 2 ? b->db_first : lists[i].first, n);
		logbuild_variable(l, 7, EV_EFI_VARIABLE_DRIVER_CONFIG, NULL, lists[i].name, buf_bytes(&list));
	}
}

static void add_authority(struct logbuild *l, const struct boot *b)
{
	uint8_t owned[EFI_GUID_SIZE + 80] = { 1, 2, 3 };

	certificate(b->certificate, owned + EFI_GUID_SIZE);
	logbuild_variable(l, 7, EV_EFI_VARIABLE_AUTHORITY, NULL, "db", BYTES_ARR(owned));
}

static void add_line(struct logbuild *l, const struct boot *b)
{
	cleanup_buf struct buf text = BUF_INIT(LIMIT_SMALL), wide = BUF_INIT(LIMIT_SMALL), tag = BUF_INIT(LIMIT_SMALL);

	if (b->no_line)
		return;
	if (!b->uki) {
		assert_false(failed(buf_addf(&text, "kernel_cmdline: %s", b->line)));
		assert_false(failed(buf_add_u8(&text, 0)));
		logbuild_measure(l, 8, EV_IPL, buf_bytes(&text), bytes_str(b->line));
		logbuild_measure(l, 9, EV_IPL, BYTES_LIT("/vmlinuz\0"), BYTES_LIT("a kernel"));
		return;
	}
	logbuild_utf16(&wide, b->uki_line);
	logbuild_u16(&wide, 0);
	logbuild_u32(&tag, EVDATA_TAG_LINUX_LOAD_OPTIONS);
	logbuild_u32(&tag, 4);
	assert_false(failed(buf_add_str(&tag, "Load")));
	logbuild_measure(l, 9, EV_EVENT_TAG, buf_bytes(&tag), buf_bytes(&wide));
	buf_clear(&tag);
	logbuild_u32(&tag, EVDATA_TAG_LINUX_INITRD);
	logbuild_u32(&tag, 13);
	assert_false(failed(buf_add(&tag, BYTES_LIT("Linux initrd\0"))));
	logbuild_measure(l, 9, EV_EVENT_TAG, buf_bytes(&tag), BYTES_LIT("an initrd"));
}

static void build(const struct boot *b, struct logbuild *l)
{
	static const enum digest_id banks[] = { DIGEST_SHA1, DIGEST_SHA256 };
	static const char calling[] = "Calling EFI Application from Boot Option";
	cleanup_buf struct buf version = BUF_INIT(LIMIT_SMALL);

	logbuild_init(l, EVLOG_AGILE, array_len(banks), banks);
	logbuild_header(l);
	logbuild_utf16(&version, b->version);
	logbuild_u16(&version, 0);
	logbuild_add(l, 0, EV_S_CRTM_VERSION, buf_bytes(&version));
	logbuild_measure(l, 0, EV_EFI_PLATFORM_FIRMWARE_BLOB, BYTES_LIT("\0\0\x80\0\0\0\0\0\0\0\x10\0\0\0\0\0"),
			 bytes_str(b->blob));
	add_variables(l, b);
	if (b->debug != NULL)
		logbuild_add(l, 7, EV_EFI_ACTION, bytes_str(b->debug));
	logbuild_separator(l, 7, 0);
	logbuild_variable(l, 1, EV_EFI_VARIABLE_BOOT, NULL, "BootOrder", BYTES_LIT("\0\0"));
	if (b->option_rom != NULL)
		logbuild_image(l, 2, EV_EFI_BOOT_SERVICES_DRIVER, "\\rom.efi", bytes_str(b->option_rom));
	logbuild_add(l, 4, EV_EFI_ACTION, BYTES(calling, sizeof(calling) - 1));
	for (uint32_t pcr = 0; pcr < 7; pcr++)
		if (pcr != 4 || !b->no_separator)
			logbuild_separator(l, pcr, b->separator);
	if (!b->authority_late)
		add_authority(l, b);
	if (!b->no_application)
		logbuild_image(l, 4, EV_EFI_BOOT_SERVICES_APPLICATION, "\\EFI\\BOOT\\BOOTX64.EFI", bytes_str(b->image));
	if (b->second_image != NULL)
		logbuild_image(l, 4, EV_EFI_BOOT_SERVICES_APPLICATION, "\\x.efi", bytes_str(b->second_image));
	if (b->authority_late)
		add_authority(l, b);
	add_line(l, b);
	if (b->no_action)
		logbuild_no_action(l, 4, BYTES_LIT("a boot application that was retyped"));
	if (b->late_locality)
		logbuild_locality(l, 0, 3);
	if (b->late_hcrtm)
		logbuild_add(l, 0, EV_EFI_HCRTM_EVENT, BYTES_LIT("HCRTM"));
	if (b->extra != NULL)
		logbuild_add(l, 14, EV_IPL, bytes_str(b->extra));
	if (b->no_exit)
		return;
	logbuild_add(l, 5, EV_EFI_ACTION, BYTES_LIT("Exit Boot Services Invocation"));
	logbuild_add(l, 5, EV_EFI_ACTION, BYTES_LIT("Exit Boot Services Returned with Success"));
}

static json_t *hex_list(size_t n, uint8_t first)
{
	json_t *a = json_array();
	uint8_t v[32];

	for (size_t i = 0; i < n; i++) {
		(void)memset(v, (int)(first + i), sizeof(v));
		assert_int_equal(json_array_append_new(a, json_string(hex32(v).text)), 0);
	}
	return a;
}

static struct hex32 certificate_hex(uint8_t fill)
{
	uint8_t der[80], sum[32];

	certificate(fill, der);
	assert_false(failed(sha256(BYTES_ARR(der), sum)));
	return hex32(sum);
}

/* Digest of the authority event as a whole, for "events". */
static struct hex32 authority_hex(uint8_t fill)
{
	cleanup_buf struct buf data = BUF_INIT(LIMIT_SMALL);
	uint8_t owned[EFI_GUID_SIZE + 80] = { 1, 2, 3 }, sum[32];

	certificate(fill, owned + EFI_GUID_SIZE);
	logbuild_variable_data(&data, NULL, "db", BYTES_ARR(owned));
	assert_false(failed(sha256(buf_bytes(&data), sum)));
	return hex32(sum);
}

/* What approves the good boot, with digests of boot applications. */
static json_t *profile(void)
{
	json_t *f = json_pack("{s:[i,i,i,i,i,i,i,i,i], s:[{s:i,s:s}], s:s, s:{s:{s:o},s:{s:o},s:{s:o}}, s:o, "
			      "s:{s:[s]}, s:[{s:s},{s:s}],"
			      " s:{s:[s],s:[s]}, s:[{s:i,s:s,s:[s,s]},{s:i,s:s,s:[s]},{s:i,s:s,s:[s]}]}",
			      "pcrs", 0, 2, 3, 4, 5, 6, 7, 8, 9, "ignored", "pcr", 1, "reason",
			      "boot order of each host", "secure_boot", "required", "variables", "PK", "hashes",
			      hex_list(1, 0), "KEK", "hashes", hex_list(2, 16), "db", "hashes", hex_list(3, 32), "dbx",
			      hex_list(3, 49), "boot_applications", "digests", hex32_of("shim").text, "command_lines",
			      "exact", "/vmlinuz root=/dev/vda2 quiet", "exact", "/vmlinuz root=/dev/vda2 single",
			      "versions", "digests", hex32_of("firmware").text, "crtm", "1.2", "events", "pcr", 7,
			      "type", "EV_EFI_VARIABLE_AUTHORITY", "digests", authority_hex(7).text,
			      authority_hex(8).text, "pcr", 9, "type", "EV_IPL", "digests", hex32_of("a kernel").text,
			      "pcr", 9, "type", "EV_EVENT_TAG", "digests", hex32_of("an initrd").text);

	assert_non_null(f);
	return f;
}

/* What the host says that its kernel runs with. */
static const char *claimed;

/* Takes f. quoted NULL: what the log replays to. */
static void judge(json_t *f, const char *measurer, struct bytes log, const struct digest *quoted,
		  struct firmware_judgement *ret)
{
	json_t *p = doc_predicate(DOCUMENT_PLATFORM);
	cleanup_document struct document *d = NULL;
	struct firmware_input in;
	struct replay r = { 0 };
	struct evlog opened;

	doc_set(p, "pcrs", NULL);
	doc_set(p, "vectors", NULL);
	assert_int_equal(json_object_set_new(p, "firmware", f), 0);
	if (measurer != NULL)
		doc_set(p, "measurer", measurer);
	d = doc_make(p);
	if (quoted == NULL) {
		assert_false(failed(evlog_open(log, &opened, NULL)));
		assert_false(failed(replay_log(&opened, DIGEST_SHA256, &r, NULL)));
		quoted = r.pcr;
	}
	in = (struct firmware_input){
		.rules = d->profile.firmware,
		.measurer = d->profile.measurer,
		.bank = DIGEST_SHA256,
		.log = log,
		.pcr_mask = 0xffffff,
		.pcr = quoted,
		.command_line = claimed != NULL ? bytes_str(claimed) : BYTES_NONE,
	};
	assert_false(failed(platform_firmware_judge(&in, ret)));
}

static void show(const struct firmware_judgement *j)
{
	for (size_t i = 0; i < j->n_failures && i < PLATFORM_MAX_FAILURES; i++)
		print_message("# %s %s: %s: expected %s, seen %s\n", j->failure[i].id, j->failure[i].rule,
			      j->failure[i].subject, j->failure[i].expected, j->failure[i].seen);
}

static void test_good(void **state)
{
	static struct firmware_judgement j;
	struct logbuild l;

	(void)state;
	build(&good, &l);
	judge(profile(), NULL, buf_bytes(&l.b), NULL, &j);
	show(&j);
	assert_true(j.passed);
	assert_int_equal(j.n_failures, 0);
	assert_int_equal(j.secure_boot, 1);
	assert_int_equal(j.compared_mask, 0x3fd);
	assert_int_equal(j.ignored_mask, 1u << 1);
	assert_int_equal(j.n_events, 23);
	assert_int_equal(j.n_ignored, 2);
	assert_int_equal(j.n_undecided, 0);
	assert_int_equal(j.decided[FIRMWARE_RULE_STRUCTURE], 10);
	assert_int_equal(j.decided[FIRMWARE_RULE_SECURE_BOOT], 1);
	assert_int_equal(j.decided[FIRMWARE_RULE_VARIABLES], 3);
	assert_int_equal(j.decided[FIRMWARE_RULE_DBX], 1);
	assert_int_equal(j.decided[FIRMWARE_RULE_BOOT_APPLICATIONS], 1);
	assert_int_equal(j.decided[FIRMWARE_RULE_COMMAND_LINES], 1);
	assert_int_equal(j.decided[FIRMWARE_RULE_VERSIONS], 2);
	assert_int_equal(j.decided[FIRMWARE_RULE_EVENTS], 2);
	buf_free(&l.b);
}

#define WITH(...)                                                                                                      \
	(struct boot)                                                                                                  \
	{                                                                                                              \
		.version = "1.2", .blob = "firmware", .image = "shim", .line = "/vmlinuz root=/dev/vda2 quiet",        \
		.secure_boot = 1, .db_first = 32, .certificate = 7, .n_dbx = 4, .uki_line = "root=/dev/vda2 quiet",    \
		__VA_ARGS__                                                                                            \
	}
#pragma GCC diagnostic ignored "-Woverride-init"
#ifdef __clang__
#pragma clang diagnostic ignored "-Winitializer-overrides"
#endif

#define OTHER_LINE "[{\"required\":[\"root=*\",\"quiet\"],\"allowed\":[\"/vmlinuz\"]}]"
#define OPEN_LINE "[{\"forbidden\":[\"debug\",\"init=*\"],\"other\":\"allow\"}]"

/* P3: each setting with what passes and what does not. id NULL: passes. */
static const struct {
	const char *name;
	struct boot boot;
	const char *key, *json; /* member of the profile that is changed; json NULL removes it */
	const char *id, *rule, *words;
} cases[] = {
	{ "secure_boot required, off", WITH(.secure_boot = 0), NULL, NULL, "P-profile", "firmware.secure_boot", "off" },
	{ "secure_boot off, off", WITH(.secure_boot = 0), "secure_boot", "\"off\"", NULL, NULL, NULL },
	{ "secure_boot off, on", WITH(.secure_boot = 1), "secure_boot", "\"off\"", "P-profile", "firmware.secure_boot",
	  "on" },
	{ "secure_boot any, off", WITH(.secure_boot = 0), "secure_boot", "\"any\"", NULL, NULL, NULL },
	{ "E2 SecureBoot is not covered", WITH(.secure_boot_unfit = true), "unknown_events", "\"allow\"", "E2",
	  "firmware.secure_boot", "covers" },
	{ "E4 SecureBoot of another value", WITH(.secure_boot = 2), NULL, NULL, "E4", "", "SecureBoot" },
	{ "db with another hash", WITH(.db_first = 33), NULL, NULL, "P-profile", "firmware.variables", "hash" },
	{ "db of anybody", WITH(.db_first = 33), "variables", NULL, "P-profile", "firmware.unknown_events", "" },
	{ "db of anybody, unknown allowed", WITH(.db_first = 33), "variables",
	  "{\"PK\":{\"hashes\":[\"0000000000000000000000000000000000000000000000000000000000000000\"]}}", "P-profile",
	  "firmware.unknown_events", "" },
	{ "owner that is not approved", WITH(.secure_boot = 1), "variables",
	  "{\"PK\":{\"owners\":[\"8be4df61-93ca-11d2-aa0d-00e098032b8d\"],"
	  "\"hashes\":[\"0000000000000000000000000000000000000000000000000000000000000000\"]}}",
	  "P-profile", "firmware.variables", "owner" },
	{ "owner that is approved", WITH(.secure_boot = 1), "variables",
	  "{\"PK\":{\"owners\":[\"8be4df61-93ca-11d2-aa0d-00e098032b8c\"],"
	  "\"hashes\":[\"0000000000000000000000000000000000000000000000000000000000000000\"]},"
	  "\"KEK\":{\"hashes\":[\"1010101010101010101010101010101010101010101010101010101010101010\","
	  "\"1111111111111111111111111111111111111111111111111111111111111111\"]},"
	  "\"db\":{\"hashes\":[\"2020202020202020202020202020202020202020202020202020202020202020\","
	  "\"2121212121212121212121212121212121212121212121212121212121212121\","
	  "\"2222222222222222222222222222222222222222222222222222222222222222\"]}}",
	  NULL, NULL, NULL },
	{ "E12 dbx lacks one", WITH(.n_dbx = 3), NULL, NULL, "E12", "firmware.dbx", "1 missing, the first is 3333" },
	{ "E12 dbx has more", WITH(.n_dbx = 9), NULL, NULL, NULL, NULL, NULL },
	{ "E12 no dbx", WITH(.no_variables = true), NULL, NULL, "E12", "firmware.dbx", "" },
	{ "other application", WITH(.image = "other"), NULL, NULL, "P-profile", "firmware.boot_applications", "" },
	{ "other application, unknown allowed", WITH(.image = "shim", .second_image = "other"), "unknown_events",
	  "\"allow\"", "P-profile", "firmware.boot_applications", "" },
	{ "application by signer", WITH(.image = "other"), "boot_applications", "SIGNER7", NULL, NULL, NULL },
	{ "application by another signer", WITH(.image = "other", .certificate = 8), "boot_applications", "SIGNER7",
	  "P-profile", "firmware.boot_applications.signers", "certificate" },
	{ "authority only behind the application", WITH(.image = "other", .authority_late = true), "boot_applications",
	  "SIGNER7", "P-profile", "firmware.boot_applications", "" },
	{ "no application", WITH(.no_application = true), NULL, NULL, "P1", "firmware.boot_applications", "" },
	{ "one word more", WITH(.line = "/vmlinuz root=/dev/vda2 quiet debug"), NULL, NULL, "P-profile",
	  "firmware.command_lines", "+ debug" },
	{ "one word less", WITH(.line = "/vmlinuz quiet"), NULL, NULL, "P-profile", "firmware.command_lines",
	  "- root=/dev/vda2" },
	{ "words in another order", WITH(.line = "/vmlinuz quiet root=/dev/vda2"), NULL, NULL, "P-profile",
	  "firmware.command_lines", "order" },
	{ "old and new line overlap", WITH(.line = "/vmlinuz root=/dev/vda2 single"), NULL, NULL, NULL, NULL, NULL },
	{ "required words", WITH(.line = "quiet root=/dev/sda1 /vmlinuz"), "command_lines", OTHER_LINE, NULL, NULL,
	  NULL },
	{ "required word missing", WITH(.line = "/vmlinuz root=/dev/sda1"), "command_lines", OTHER_LINE, "P-profile",
	  "firmware.command_lines", "- quiet (required)" },
	{ "other word", WITH(.line = "/vmlinuz root=/dev/sda1 quiet x"), "command_lines", OTHER_LINE, "P-profile",
	  "firmware.command_lines", "+ x" },
	{ "value is no part of a name", WITH(.line = "/vmlinuz rooty=/dev/sda1 quiet"), "command_lines", OTHER_LINE,
	  "P-profile", "firmware.command_lines", "+ rooty" },
	{ "other words allowed", WITH(.line = "anything at all"), "command_lines", OPEN_LINE, NULL, NULL, NULL },
	{ "forbidden word", WITH(.line = "anything debug"), "command_lines", OPEN_LINE, "P-profile",
	  "firmware.command_lines", "+ debug (forbidden)" },
	{ "forbidden value", WITH(.line = "anything init=/bin/sh"), "command_lines", OPEN_LINE, "P-profile",
	  "firmware.command_lines", "+ init=/bin/sh (forbidden)" },
	{ "forbidden word within quotes", WITH(.line = "a=\"b debug c\""), "command_lines", OPEN_LINE, NULL, NULL,
	  NULL },
	{ "no line", WITH(.no_line = true), "pcrs", "[0,2,3,4,5,6,7,8,9]", "P6", "firmware.pcrs", "none" },
	{ "line as digest only", WITH(.uki = true), "command_lines", "[{\"exact\":\"root=/dev/vda2 quiet\"}]", "P6",
	  "firmware.pcrs", "none" },
	{ "other firmware", WITH(.blob = "newer"), NULL, NULL, "P-profile", "firmware.versions", "" },
	{ "other firmware, unknown allowed", WITH(.blob = "newer"), "unknown_events", "\"allow\"", "P-profile",
	  "firmware.versions", "" },
	{ "other version", WITH(.version = "1.3"), NULL, NULL, "P-profile", "firmware.versions", "1.3" },
	{ "option ROM", WITH(.option_rom = "rom"), NULL, NULL, "P-profile", "firmware.versions", "" },
	{ "debug mode of the firmware", WITH(.debug = "UEFI Debug Mode"), NULL, NULL, "P-profile",
	  "firmware.unknown_events", "UEFI Debug Mode" },
	{ "unknown event allowed", WITH(.debug = "UEFI Debug Mode"), "unknown_events", "\"allow\"", NULL, NULL, NULL },
	{ "register that the profile does not name", WITH(.extra = "MokList"), NULL, NULL, "P-profile", "firmware.pcrs",
	  "" },
	{ "event not in events", WITH(.certificate = 9), NULL, NULL, "P-profile", "firmware.unknown_events", "" },
	{ "E1 event retyped", WITH(.no_action = true), NULL, NULL, "E1", "", "EV_NO_ACTION" },
	{ "E5 locality after the first extend", WITH(.late_locality = true), NULL, NULL, "E5", "", "StartupLocality" },
	{ "E6 H-CRTM that is not the first", WITH(.late_hcrtm = true), NULL, NULL, "E6", "", "" },
	{ "E11 no exit", WITH(.no_exit = true), NULL, NULL, "E11", "", "ExitBootServices" },
	{ "E11 no exit, allowed", WITH(.no_exit = true), "exit_boot_services", "\"may_be_missing\"", NULL, NULL, NULL },
	{ "E3 no separator", WITH(.no_separator = true), NULL, NULL, "E3", "", "separator" },
	{ "E3 error value", WITH(.separator = 1), NULL, NULL, "E3", "", "separator" },
	{ "P6 register of no event", WITH(.secure_boot = 1), "pcrs", "[0,2,3,4,5,6,7,8,9,12]", "P6", "firmware.pcrs",
	  "none" },
};

static bool has_failure(const struct firmware_judgement *j, const char *id, const char *rule, const char *words)
{
	for (size_t i = 0; i < j->n_failures && i < PLATFORM_MAX_FAILURES; i++)
		if (strcmp(j->failure[i].id, id) == 0 && strcmp(j->failure[i].rule, rule) == 0 &&
		    strstr(j->failure[i].seen, words) != NULL)
			return true;
	return false;
}

/* How many failures have both texts. */
static size_t names(const struct firmware_judgement *j, const char *subject, const char *seen)
{
	size_t n = 0;

	for (size_t i = 0; i < j->n_failures && i < PLATFORM_MAX_FAILURES; i++)
		n += strstr(j->failure[i].subject, subject) != NULL && strstr(j->failure[i].seen, seen) != NULL;
	return n;
}

static void test_cases(void **state)
{
	static struct firmware_judgement j;

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		json_t *f = profile();
		struct logbuild l;

		build(&cases[i].boot, &l);
		if (cases[i].json != NULL && strcmp(cases[i].json, "SIGNER7") == 0)
			assert_int_equal(json_object_set_new(f, cases[i].key,
							     json_pack("{s:[s]}", "signers", certificate_hex(7).text)),
					 0);
		else if (cases[i].key != NULL)
			doc_set(f, cases[i].key, cases[i].json);
		judge(f, NULL, buf_bytes(&l.b), NULL, &j);
		buf_free(&l.b);
		if (j.passed != (cases[i].id == NULL) ||
		    (cases[i].id != NULL && !has_failure(&j, cases[i].id, cases[i].rule, cases[i].words))) {
			show(&j);
			fail_msg("%s: not as expected", cases[i].name);
		}
	}
}

/* The line of a UKI is in the log as a digest only, and still judged by its words. */
static void test_unified_kernel(void **state)
{
	static const struct {
		const char *line, *json;
		bool passes;
	} lines[] = {
		{ "root=/dev/vda2 quiet", "[{\"exact\":\"root=/dev/vda2 quiet\"}]", true },
		{ "root=/dev/vda2 debug", "[{\"exact\":\"root=/dev/vda2 quiet\"}]", false },
		{ "root=/dev/vda2 quiet", "[{\"required\":[\"quiet\",\"root=*\"]}]", false },
	};
	static struct firmware_judgement j;

	(void)state;
	for (size_t i = 0; i < array_len(lines); i++) {
		struct boot b = good;
		json_t *f = profile();
		struct logbuild l;

		b.uki = true;
		b.uki_line = lines[i].line;
		build(&b, &l);
		doc_set(f, "command_lines", lines[i].json);
		doc_set(f, "pcrs", "[0,2,3,4,5,6,7,9]");
		judge(f, NULL, buf_bytes(&l.b), NULL, &j);
		if (j.passed != lines[i].passes)
			show(&j);
		assert_int_equal(j.passed, lines[i].passes);
		buf_free(&l.b);
	}
}

/* The words of a line that the log holds as a digest are those that the host claims, if they have that digest. */
static void test_claimed_line(void **state)
{
#define EXACT "[{\"exact\":\"root=/dev/vda2 quiet\"}]"
#define GRAMMAR "[{\"required\":[\"quiet\",\"root=*\"]}]"
	static const struct {
		const char *line, *claimed, *json, *unknown;
		const char *words; /* of the refusal; NULL: passes */
	} lines[] = {
		{ "root=/dev/vda2 quiet debug", "root=/dev/vda2 quiet debug", EXACT, "deny", "+ debug" },
		{ "root=/dev/vda2 quiet", "root=/dev/vda2 quiet debug", EXACT, "deny", NULL },
		{ "root=/dev/vda2 quiet debug", "root=/dev/vda2 quiet", EXACT, "deny", "digest only" },
		{ "root=/dev/vda2 quiet debug", NULL, EXACT, "deny", "digest only" },
		{ "root=/dev/vda2 quiet", "root=/dev/vda2 quiet", GRAMMAR, "deny", NULL },
		{ "root=/dev/vda2 quiet", "root=/dev/vdb2 quiet", GRAMMAR, "deny", "" },
		{ "root=/dev/vda2 quiet", NULL, GRAMMAR, "deny", "" },
		{ "root=/dev/vda2 quiet debug", "root=/dev/vda2 quiet debug", GRAMMAR, "allow", "+ debug" },
		{ "root=/dev/vda2", "root=/dev/vda2", GRAMMAR, "deny", "- quiet (required)" },
		{ "root=/dev/vda2 quiet \x1b[2J", "root=/dev/vda2 quiet \x1b[2J", EXACT, "deny", "digest only" },
	};
	static struct firmware_judgement j;

	(void)state;
	for (size_t i = 0; i < array_len(lines); i++) {
		const struct boot b = WITH(.uki = true, .uki_line = lines[i].line);
		json_t *f = profile();
		struct logbuild l;

		build(&b, &l);
		doc_set(f, "command_lines", lines[i].json);
		doc_set(f, "pcrs", "[0,2,3,4,5,6,7,9]");
		assert_int_equal(json_object_set_new(f, "unknown_events", json_string(lines[i].unknown)), 0);
		claimed = lines[i].claimed;
		judge(f, NULL, buf_bytes(&l.b), NULL, &j);
		claimed = NULL;
		if (j.passed != (lines[i].words == NULL) || (!j.passed && names(&j, "", lines[i].words) == 0)) {
			show(&j);
			fail_msg("row %zu: not as expected", i);
		}
		buf_free(&l.b);
	}
}

/* A digest that "events" holds is approved with a claim as without one. */
static void test_claimed_line_known_by_digest(void **state)
{
	static const char line[] = "root=/dev/vda2 quiet debug";
	static struct firmware_judgement j;
	const struct boot b = WITH(.uki = true, .uki_line = line);

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct boot_line digests;
		struct logbuild l;
		char json[400], hex[65];
		json_t *f = profile();

		build(&b, &l);
		assert_false(failed(boot_line_digests(line, DIGEST_SHA256, &digests)));
		assert_false(failed(hex_encode(digest_bytes(&digests.options), hex, sizeof(hex))));
		(void)snprintf(json, sizeof(json),
			       "[{\"pcr\":7,\"type\":\"EV_EFI_VARIABLE_AUTHORITY\",\"digests\":[\"%s\"]},"
			       "{\"pcr\":9,\"type\":\"EV_EVENT_TAG\",\"digests\":[\"%s\",\"%s\"]}]",
			       authority_hex(7).text, hex32_of("an initrd").text, hex);
		doc_set(f, "command_lines", "[{\"exact\":\"root=/dev/vda2 quiet\"}]");
		doc_set(f, "pcrs", "[0,2,3,4,5,6,7,9]");
		doc_set(f, "events", json);
		claimed = i == 0 ? NULL : line;
		judge(f, NULL, buf_bytes(&l.b), NULL, &j);
		claimed = NULL;
		/* The rule about lines found none that it approves. */
		assert_int_equal(j.n_failures, 1);
		assert_true(has_failure(&j, "P1", "firmware.command_lines", ""));
		buf_free(&l.b);
	}
}

/* A golden boot image: measured, approved by digest, with its initrd. */
static void test_boot_image(void **state)
{
	static struct firmware_judgement j;

	(void)state;
	for (int uki = 0; uki < 2; uki++) {
		struct boot b = good;
		json_t *f = profile();
		struct logbuild l;

		b.uki = uki == 1;
		build(&b, &l);
		if (b.uki) {
			doc_set(f, "command_lines", "[{\"exact\":\"root=/dev/vda2 quiet\"}]");
			doc_set(f, "pcrs", "[0,2,3,4,5,6,7,9]");
		}
		judge(f, "{\"boot_image\":true}", buf_bytes(&l.b), NULL, &j);
		assert_int_equal(j.passed, b.uki);
		assert_int_equal(j.measurer_seen, b.uki);
		if (!b.uki)
			assert_true(has_failure(&j, "P-profile", "measurer", ""));
		buf_free(&l.b);
	}
}

static void set_quoted(struct bytes log, struct digest pcr[LIMIT_PCRS])
{
	struct evlog opened;
	struct replay r;

	assert_false(failed(evlog_open(log, &opened, NULL)));
	assert_false(failed(replay_log(&opened, DIGEST_SHA256, &r, NULL)));
	(void)memcpy(pcr, r.pcr, sizeof(r.pcr));
}

/* E7: a register that something else extended is named, and no rule speaks of its events. */
static void test_E7_unexplained(void **state)
{
	static struct firmware_judgement j;
	struct digest quoted[LIMIT_PCRS];
	struct logbuild l;

	(void)state;
	build(&good, &l);
	set_quoted(buf_bytes(&l.b), quoted);
	quoted[9].v[0] ^= 1;
	judge(profile(), NULL, buf_bytes(&l.b), quoted, &j);
	assert_false(j.passed);
	assert_int_equal(j.n_failures, 1);
	assert_string_equal(j.failure[0].id, "E7");
	assert_string_equal(j.failure[0].subject, "PCR 9");
	assert_int_equal(j.compared_mask & 1u << 9, 0);
	buf_free(&l.b);
}

/* E7 with E1 in mind: whatever is changed in a log without changing its digests may only change data that nobody uses.
 */
static void test_every_bit(void **state)
{
	static struct firmware_judgement j;
	struct digest quoted[LIMIT_PCRS];
	size_t n_passed = 0;
	struct logbuild l;

	(void)state;
	build(&good, &l);
	set_quoted(buf_bytes(&l.b), quoted);
	for (size_t bit = 0; bit < 8 * l.b.n; bit += 3) {
		l.b.p[bit / 8] ^= (uint8_t)(1u << (bit % 8));
		judge(profile(), NULL, buf_bytes(&l.b), quoted, &j);
		l.b.p[bit / 8] ^= (uint8_t)(1u << (bit % 8));
		n_passed += j.passed;
		/* Whatever passes was judged in full. */
		if (j.passed)
			assert_int_equal(j.compared_mask, 0x3fd);
	}
	/* SHA-1 digests, the device path, the prefix and so on are free; most of a log is not. */
	assert_true(n_passed < 8 * l.b.n / 3 * 2 / 3);
	buf_free(&l.b);
}

static void test_E10_cut(void **state)
{
	static struct firmware_judgement j;
	struct digest quoted[LIMIT_PCRS];
	struct logbuild l;

	(void)state;
	build(&good, &l);
	set_quoted(buf_bytes(&l.b), quoted);
	for (size_t n = 0; n < l.b.n; n++) {
		judge(profile(), NULL, BYTES(l.b.p, n), quoted, &j);
		assert_false(j.passed);
	}
	buf_free(&l.b);
}

static void test_E8_bank(void **state)
{
	static const enum digest_id banks[] = { DIGEST_SHA1 };
	static struct firmware_judgement j;
	struct digest quoted[LIMIT_PCRS] = { 0 };
	struct logbuild l;

	(void)state;
	logbuild_init(&l, EVLOG_AGILE, 1, banks);
	logbuild_good(&l, NULL);
	judge(profile(), NULL, buf_bytes(&l.b), quoted, &j);
	assert_false(j.passed);
	assert_string_equal(j.failure[0].id, "E8");
	buf_free(&l.b);
}

static void test_not_quoted(void **state)
{
	cleanup_document struct document *d = NULL;
	static struct firmware_judgement j;
	struct digest quoted[LIMIT_PCRS];
	json_t *p = doc_predicate(DOCUMENT_PLATFORM);
	struct firmware_input in;
	struct logbuild l;

	(void)state;
	build(&good, &l);
	set_quoted(buf_bytes(&l.b), quoted);
	assert_int_equal(json_object_set_new(p, "firmware", profile()), 0);
	d = doc_make(p);
	in = (struct firmware_input){
		.rules = d->profile.firmware,
		.measurer = MEASURER_UNATTESTED,
		.bank = DIGEST_SHA256,
		.log = buf_bytes(&l.b),
		.pcr_mask = 0xffffff & ~(1u << 7),
		.pcr = quoted,
	};
	assert_false(failed(platform_firmware_judge(&in, &j)));
	assert_false(j.passed);
	assert_string_equal(j.failure[0].id, "P6");
	assert_string_equal(j.failure[0].subject, "PCR 7");
	in.log = BYTES_NONE;
	assert_false(failed(platform_firmware_judge(&in, &j)));
	assert_false(j.passed);
	assert_string_equal(j.failure[0].id, "E7");
	in.bank = DIGEST_SHA1;
	assert_int_equal(platform_firmware_judge(&in, &j).code, E_BUG);
	buf_free(&l.b);
}

/* P1: a profile under which nothing was decided but separators. */
static void test_P1_nothing(void **state)
{
	static struct firmware_judgement j;
	json_t *f = json_pack("{s:[i],s:s,s:s}", "pcrs", 3, "secure_boot", "any", "unknown_events", "allow");
	struct logbuild l;

	(void)state;
	build(&good, &l);
	judge(f, NULL, buf_bytes(&l.b), NULL, &j);
	assert_false(j.passed);
	assert_string_equal(j.failure[0].id, "P1");
	buf_free(&l.b);
}

/* A file of data that is not part of the project; false, said so, where it is not there. */
static bool data_file(const char *name, struct buf *ret)
{
	const char *folder = getenv("ASSAY_DATA");
	char path[512];

	(void)snprintf(path, sizeof(path), "%s/%s", folder == NULL ? "." : folder, name);
	if (!failed(file_read(AT_FDCWD, path, ret)))
		return true;
	print_message("# %s is not there: not tested\n", name);
	return false;
}

static const char *const no_lines[] = { NULL };
static const char *const *known_lines = no_lines;

static json_t *learned(size_t n, const struct bytes *logs, uint32_t accepted, enum err_code want, const char *says)
{
	struct learn_firmware l;
	struct reason why = { "" };
	json_t *f = NULL;
	struct err e = ERR(E_OK);

	assert_false(failed(learn_firmware_init(&l, DIGEST_SHA256, accepted)));
	assert_false(failed(learn_firmware_lines(&l, known_lines[0] != NULL ? 1 : 0, known_lines)));
	for (size_t i = 0; !failed(e) && i < n; i++)
		e = learn_firmware_log(&l, logs[i], &why);
	if (e.code != want)
		fail_msg("%s instead of %s: %s", err_name(e), err_name(ERR(want)), why.text);
	if (failed(e))
		assert_true(says != NULL && strstr(why.text, says) != NULL);
	else
		assert_false(failed(learn_firmware_profile(&l, &f, &why)));
	learn_firmware_done(&l);
	return f;
}

/* What was learned from two hosts lets both pass, and no third one. */
static void test_learn_merges(void **state)
{
	static struct firmware_judgement j;
	struct boot other = good, third = good;
	struct logbuild l[3];
	struct bytes logs[3];
	json_t *f;

	(void)state;
	other.image = "newer shim";
	other.line = "/vmlinuz root=/dev/vdb2 quiet";
	other.n_dbx = 6;
	third.image = "evil shim";
	build(&good, &l[0]);
	build(&other, &l[1]);
	build(&third, &l[2]);
	for (size_t i = 0; i < array_len(l); i++)
		logs[i] = buf_bytes(&l[i].b);
	f = learned(2, logs, 0, E_OK, NULL);
	assert_string_equal(json_string_value(json_object_get(f, "secure_boot")), "required");
	assert_int_equal(json_array_size(json_object_get(f, "dbx")), 4);
	assert_int_equal(json_array_size(json_object_get(f, "command_lines")), 2);
	assert_int_equal(json_array_size(json_object_get(f, "ignored")), 1);
	for (size_t i = 0; i < array_len(l); i++) {
		judge(json_deep_copy(f), NULL, logs[i], NULL, &j);
		if (i < 2)
			show(&j);
		assert_int_equal(j.passed, i < 2);
	}
	assert_true(has_failure(&j, "P-profile", "firmware.boot_applications", ""));
	json_decref(f);
	for (size_t i = 0; i < array_len(l); i++)
		buf_free(&l[i].b);
}

static void test_learn_refuses(void **state)
{
	struct boot b = good;
	struct logbuild l;
	struct bytes log;
	json_t *f;

	(void)state;
	b.no_exit = true;
	build(&b, &l);
	log = buf_bytes(&l.b);
	assert_null(learned(1, &log, 0, E_AUTH_REFUSED, "E11"));
	f = learned(1, &log, 1u << EVLOG_E11, E_OK, NULL);
	assert_string_equal(json_string_value(json_object_get(f, "exit_boot_services")), "may_be_missing");
	json_decref(f);
	log.n -= 5;
	assert_null(learned(1, &log, ~0u, E_PEER_TRUNCATED, "offset"));
	buf_free(&l.b);
}

/* Real boots: what is learned from a log lets that boot pass, and one thing changed does not. */
static void test_learn_real_boots(void **state)
{
	static const struct {
		const char *file, *key, *json, *id, *rule, *words;
	} boots[] = {
		{ "boots/grub-ms/binary_bios_measurements", "secure_boot", "\"off\"", "P-profile",
		  "firmware.secure_boot", "on" },
		{ "boots/grub-ms/binary_bios_measurements", "command_lines",
		  "[{\"exact\":\"/EFI/debian/vmlinuz console=ttyS0 "
		  "ima_policy=tcb ima_template=ima-ng ima_hash=sha256 rdinit=/init\"}]",
		  "P-profile", "firmware.command_lines", "+ panic=-1" },
		{ "boots/grub-ms/binary_bios_measurements", "dbx",
		  "[\""
		  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		  "\"]",
		  "E12", "firmware.dbx", "1 missing" },
		{ "boots/grub-ms/binary_bios_measurements", "variables",
		  "{\"KEK\":{\"certificates\":["
		  "\"5fb05ed84c5170d542ed6a7b7487dd57b8faedb02f7e107b0409e1d22cac4169\"]}}",
		  "P-profile", "firmware.variables", "certificate a1117f51" },
		{ "boots/grub-ms/binary_bios_measurements", "boot_applications",
		  "{\"signers\":["
		  "\"5fb05ed84c5170d542ed6a7b7487dd57b8faedb02f7e107b0409e1d22cac4169\"]}",
		  "P-profile", "firmware.boot_applications.signers", "certificate" },
		{ "boots/uki-tis/binary_bios_measurements", "boot_applications", NULL, "P-profile",
		  "firmware.unknown_events", "" },
		{ "boots/uki-tis/binary_bios_measurements", "secure_boot", "\"required\"", "P-profile",
		  "firmware.secure_boot", "off" },
		{ "boots/uki-tis/binary_bios_measurements", "pcrs", "[0,2,3,4,5,6,7,9,11,12]", "P6", "firmware.pcrs",
		  "none" },
		{ "boots/uki-tis/binary_bios_measurements", "versions", "{\"crtm\":[\"1.0\"]}", "P-profile",
		  "firmware.versions", "" },
	};
	static struct firmware_judgement j;

	(void)state;
	for (size_t i = 0; i < array_len(boots); i++) {
		cleanup_buf struct buf raw = BUF_INIT(LIMIT_EVLOG);
		struct bytes log;
		json_t *f;

		if (!data_file(boots[i].file, &raw))
			continue;
		log = buf_bytes(&raw);
		f = learned(1, &log, 0, E_OK, NULL);
		judge(json_deep_copy(f), NULL, log, NULL, &j);
		show(&j);
		assert_true(j.passed);
		assert_int_equal(j.n_undecided, 0);
		doc_set(f, boots[i].key, boots[i].json);
		judge(f, NULL, log, NULL, &j);
		if (j.passed || !has_failure(&j, boots[i].id, boots[i].rule, boots[i].words)) {
			show(&j);
			fail_msg("%s with %s changed: not as expected", boots[i].file, boots[i].key);
		}
	}
}

/* Boots of our own, each with one thing changed against the first. */
static void test_boots_of_ours(void **state)
{
	static const char *const lines[] = { "console=ttyS0 loglevel=4 panic=-1 ima_policy=tcb ima_hash=sha256" };
	static const struct {
		const char *folder, *rule, *words;
	} boots[] = {
		{ "good", NULL, NULL },
		{ "command-line", "firmware.command_lines", "another line" },
		{ "initramfs", "firmware.unknown_events", "calls it .initrd" },
	};
	const char *data = getenv("ASSAY_TEST_DATA");
	static struct firmware_judgement j;
	json_t *f = NULL;

	(void)state;
	assert_non_null(data);
	for (size_t i = 0; i < array_len(boots); i++) {
		cleanup_buf struct buf raw = BUF_INIT(LIMIT_EVLOG);
		struct bytes log;
		char path[512];

		(void)snprintf(path, sizeof(path), "%s/boots/%s/binary_bios_measurements", data, boots[i].folder);
		assert_false(failed(file_read(AT_FDCWD, path, &raw)));
		log = buf_bytes(&raw);
		if (f == NULL) {
			known_lines = lines;
			f = learned(1, &log, 0, E_OK, NULL);
			known_lines = no_lines;
		}
		judge(json_deep_copy(f), "{\"boot_image\":true}", log, NULL, &j);
		if (j.passed != (boots[i].rule == NULL) ||
		    (!j.passed && !has_failure(&j, "P-profile", boots[i].rule, boots[i].words))) {
			show(&j);
			fail_msg("%s: not as expected", boots[i].folder);
		}
		/* The image that was there is named, by its file, and nobody says that there was none. */
		assert_int_equal(names(&j, "boot application, event", "calls it /EFI/BOOT/BOOTX64.EFI"), !j.passed);
		assert_int_equal(names(&j, "", "none whose digest covers"), 0);
	}
	json_decref(f);
}

/* A prediction of what build() measures of a boot behind the firmware. */
static void predict(const struct boot *b, struct prediction *p)
{
	cleanup_buf struct buf wide = BUF_INIT(LIMIT_SMALL);
	const struct bytes image = bytes_str(b->image), line = bytes_str(b->line), kernel = BYTES_LIT("a kernel"),
			   initrd = BYTES_LIT("an initrd");
	struct bytes load_options;

	logbuild_utf16(&wide, b->uki_line);
	logbuild_u16(&wide, 0);
	load_options = buf_bytes(&wide);
	predict_init(p, 1u << DIGEST_SHA256);
	assert_false(failed(predict_add(p, ROLE_UKI, 4, EV_EFI_BOOT_SERVICES_APPLICATION, 1, &image, "image")));
	predict_line(p, bytes_str(b->uki ? b->uki_line : b->line));
	if (b->uki) {
		assert_false(
			failed(predict_add(p, ROLE_LOAD_OPTIONS, 9, EV_EVENT_TAG, 1, &load_options, "load options")));
		assert_false(failed(predict_add(p, ROLE_LINUX_INITRD, 9, EV_EVENT_TAG, 1, &initrd, "initrd")));
		return;
	}
	assert_false(failed(predict_add(p, ROLE_CMDLINE, 8, EV_IPL, 1, &line, "kernel_cmdline")));
	assert_false(failed(predict_add(p, ROLE_FILE_KERNEL, 9, EV_IPL, 1, &kernel, "kernel")));
}

static struct prediction p;
static struct predict_result result;

/* The profile with this boot approved in it; takes f. */
static json_t *approved(json_t *f, const struct boot *b, size_t n_added)
{
	json_t *profile = json_pack("{s:o}", "firmware", f);
	struct reason why = { "" };
	size_t n = 0;

	predict(b, &p);
	if (failed(predict_profile(&p, &result, DIGEST_SHA256, profile, &n, &why)))
		fail_msg("%s", why.text);
	assert_int_equal(n, n_added);
	f = json_incref(json_object_get(profile, "firmware"));
	json_decref(profile);
	return f;
}

static bool passes(const json_t *f, const struct boot *b)
{
	static struct firmware_judgement j;
	struct logbuild l;

	build(b, &l);
	judge(json_deep_copy(f), NULL, buf_bytes(&l.b), NULL, &j);
	buf_free(&l.b);
	return j.passed;
}

/* What is approved before it boots passes, beside what was approved, and nothing else does. */
static void test_predicted_boot_passes(void **state)
{
	struct boot uki = good, next, third;
	json_t *f;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		uki.uki = i == 1;
		next = uki;
		next.image = "newer image";
		next.line = "/vmlinuz root=/dev/vdb1";
		next.uki_line = "root=/dev/vdb1";
		third = next;
		third.uki_line = third.line = "root=/dev/vdb1 debug";
		f = profile();
		if (uki.uki) {
			doc_set(f, "pcrs", "[0,2,3,4,5,6,7,9]");
			doc_set(f, "command_lines", "[{\"exact\":\"root=/dev/vda2 quiet\"}]");
		}
		assert_true(passes(f, &uki));
		assert_false(passes(f, &next));
		f = approved(f, &next, 2);
		assert_true(passes(f, &uki));
		assert_true(passes(f, &next));
		assert_false(passes(f, &third));
		f = approved(f, &next, 0); /* the second time there is nothing to add */
		json_decref(f);
	}
}

/* A profile without a rule about the class knows it by digest. */
static void test_predicted_boot_by_digest(void **state)
{
	const struct boot next = WITH(.uki = true, .image = "newer image");
	json_t *f = profile();

	(void)state;
	doc_set(f, "pcrs", "[0,2,3,4,5,6,7,9]");
	doc_set(f, "command_lines", NULL);
	doc_set(f, "boot_applications", NULL);
	f = approved(f, &next, 2);
	assert_true(passes(f, &next));
	assert_null(json_object_get(f, "command_lines"));
	json_decref(f);
}

/* Takes f; the words of the refusal. */
static void not_added(json_t *f, enum err_code want, const char *words)
{
	json_t *profile = f == NULL ? json_object() : json_pack("{s:o}", "firmware", f);
	struct reason why = { "" };
	size_t n;
	struct err e = predict_profile(&p, &result, DIGEST_SHA256, profile, &n, &why);

	if (e.code != want || strstr(why.text, words) == NULL)
		fail_msg("%s: %s", err_name(e), why.text);
	json_decref(profile);
}

static void test_predicted_boot_is_refused(void **state)
{
	const struct boot next = WITH(.uki = true, .image = "newer image");
	const struct bytes word = BYTES_LIT("word");
	json_t *f;

	(void)state;
	predict(&next, &p);
	not_added(NULL, E_PEER_MISSING, "firmware");
	f = profile();
	doc_set(f, "pcrs", "[0,4,7]");
	not_added(f, E_PEER_RANGE, "register 9");
	f = profile();
	doc_set(f, "pcrs", "[4,24]");
	not_added(f, E_PEER_TYPE, "pcrs[1]");
	f = profile();
	doc_set(f, "events", "{}");
	not_added(f, E_PEER_TYPE, "events");
	f = profile();
	assert_int_equal(json_object_set_new(json_object_get(f, "boot_applications"), "digests", hex_list(256, 0)), 0);
	for (size_t i = 1; i < 4; i++)
		assert_int_equal(json_array_extend(json_object_get(json_object_get(f, "boot_applications"), "digests"),
						   json_object_get(json_object_get(f, "boot_applications"), "digests")),
				 0);
	not_added(f, E_LIMIT_COUNT, "1024");
	/* What the machine decides by itself. */
	result.uncertain = 1u << 9;
	predict_note(&p, "PCR 9: nobody knows");
	not_added(profile(), E_PEER_UNSUPPORTED, "nobody knows");
	result.uncertain = 1u << 12;
	f = approved(profile(), &next, 2);
	json_decref(f);
	result.uncertain = 0;
	assert_false(failed(predict_add(&p, ROLE_PHASE, 9, PREDICT_USERSPACE, 1, &word, "boot phase")));
	not_added(profile(), E_PEER_UNSUPPORTED, "boot phase");
	/* Events that this machine does not measure are not approved. */
	result.left_out[0] = true;
	f = approved(profile(), &next, 1);
	assert_int_equal(json_array_size(json_object_get(json_object_get(f, "boot_applications"), "digests")), 1);
	result.left_out[0] = false;
	json_decref(f);
}

/* With Secure Boot on the kernel is not measured as an application: that is seen from the base. */
static void test_predicted_kernel_that_is_not_measured(void **state)
{
	const struct boot bases[] = { WITH(.image = "shim"), WITH(.image = "shim", .second_image = "kernel") };
	const struct bytes image = BYTES_LIT("newer image"), kernel = BYTES_LIT("newer kernel");

	(void)state;
	for (size_t i = 0; i < array_len(bases); i++) {
		json_t *with = json_pack("{s:o}", "firmware", profile());
		struct reason why = { "" };
		struct logbuild l;
		struct evlog log;
		size_t n;

		build(&bases[i], &l);
		assert_false(failed(evlog_open(buf_bytes(&l.b), &log, NULL)));
		predict_init(&p, 1u << DIGEST_SHA256);
		assert_false(
			failed(predict_add(&p, ROLE_GRUB, 4, EV_EFI_BOOT_SERVICES_APPLICATION, 1, &image, "GRUB")));
		assert_false(failed(
			predict_add(&p, ROLE_KERNEL, 4, EV_EFI_BOOT_SERVICES_APPLICATION, 1, &kernel, "kernel")));
		predict_optional(&p);
		assert_false(failed(predict_on_base(&p, &log, DIGEST_SHA256, &result, &why)));
		assert_int_equal(result.left_out[1], i == 0);
		assert_false(failed(predict_profile(&p, &result, DIGEST_SHA256, with, &n, &why)));
		assert_int_equal(n, 1 + i);
		json_decref(with);
		buf_free(&l.b);
	}
	result = (struct predict_result){ .uncertain = 0 };
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_unified_kernel),
		cmocka_unit_test(test_claimed_line),
		cmocka_unit_test(test_claimed_line_known_by_digest),
		cmocka_unit_test(test_boot_image),
		cmocka_unit_test(test_E7_unexplained),
		cmocka_unit_test(test_every_bit),
		cmocka_unit_test(test_E10_cut),
		cmocka_unit_test(test_E8_bank),
		cmocka_unit_test(test_not_quoted),
		cmocka_unit_test(test_P1_nothing),
		cmocka_unit_test(test_learn_merges),
		cmocka_unit_test(test_learn_refuses),
		cmocka_unit_test(test_learn_real_boots),
		cmocka_unit_test(test_boots_of_ours),
		cmocka_unit_test(test_predicted_boot_passes),
		cmocka_unit_test(test_predicted_boot_by_digest),
		cmocka_unit_test(test_predicted_boot_is_refused),
		cmocka_unit_test(test_predicted_kernel_that_is_not_measured),
	};

	return cmocka_run_group_tests_name("platform-firmware", tests, NULL, NULL);
}
