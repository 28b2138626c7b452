/* SPDX-License-Identifier: Apache-2.0 */
/* What systemd measured, behind a firmware log that passes, under the rules of a profile. */
#include "verifier/appraise/platform_firmware.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "firmware-measure/learn.h"
#include "firmware-measure/userlog.h"
#include "tests/support/documents.h"
#include "tests/support/logbuild.h"

static const enum digest_id bank = DIGEST_SHA256;

/* A host: the firmware's log and systemd's, the registers, and the profile learned from one that is good. */
struct host {
	struct logbuild firmware;
	struct buf log;       /* as it is sent */
	struct replay quoted; /* registers */
	json_t *rules;
};

static void quote(struct host *h)
{
	struct evlog log;

	assert_false(failed(evlog_open(buf_bytes(&h->firmware.b), &log, NULL)));
	assert_false(failed(replay_log(&log, bank, &h->quoted, NULL)));
}

/* systemd measures these records, and what is quoted follows. */
static void measure(struct host *h, const struct buf *records)
{
	cleanup_userlog_record struct userlog_record r = { 0 };
	struct userlog_pos pos = { 0 };

	for (;;) {
		assert_false(failed(userlog_next(buf_bytes(records), &pos, &r, NULL)));
		if (r.end)
			break;
		assert_false(failed(userlog_replay(&r, &h->quoted)));
	}
}

static void good_records(struct buf *b)
{
	logbuild_phase(b, "enter-initrd");
	logbuild_userspace(b, 15, "volume-key", "cryptsetup:root", BYTES_LIT("keyed with the secret"));
	logbuild_userspace(b, 0x1d10200, "product-id", "product-id:missing", BYTES_LIT("product-id:missing"));
	logbuild_userspace(b, 15, "machine-id", "machine-id:0123", BYTES_LIT("machine-id:0123"));
	logbuild_phase(b, "ready");
}

static struct host good(void)
{
	struct host h = { .log = BUF_INIT(LIMIT_USERSPACE_LOG) };
	cleanup_learn_firmware struct learn_firmware l = { 0 };
	struct reason why = { "" };

	logbuild_init(&h.firmware, EVLOG_AGILE, 1, &bank);
	logbuild_good(&h.firmware, NULL);
	logbuild_measure(&h.firmware, 11, EV_IPL, BYTES_LIT(".\0l\0i\0n\0u\0x\0\0\0"), BYTES_LIT(".linux\0"));
	quote(&h);
	good_records(&h.log);
	measure(&h, &h.log);
	assert_false(failed(learn_firmware_init(&l, bank, 0)));
	assert_false(failed(learn_firmware_userspace(&l, buf_bytes(&h.log), &why)));
	assert_false(failed(learn_firmware_log(&l, buf_bytes(&h.firmware.b), &why)));
	assert_false(failed(learn_firmware_profile(&l, &h.rules, &why)));
	return h;
}

static void host_done(struct host *h)
{
	buf_free(&h->firmware.b);
	buf_free(&h->log);
	json_decref(h->rules);
}
#define cleanup_host cleanup(host_done)

static void judge(struct host *h, const struct firmware_judgement *before, struct firmware_judgement *ret)
{
	json_t *p = doc_predicate(DOCUMENT_PLATFORM);
	cleanup_document struct document *d = NULL;
	struct firmware_input in;

	doc_set(p, "pcrs", NULL);
	doc_set(p, "vectors", NULL);
	assert_int_equal(json_object_set(p, "firmware", h->rules), 0);
	d = doc_make(p);
	in = (struct firmware_input){
		.rules = d->profile.firmware,
		.measurer = d->profile.measurer,
		.bank = bank,
		.log = before == NULL ? buf_bytes(&h->firmware.b) : BYTES_NONE,
		.pcr_mask = 0xffffff,
		.pcr = h->quoted.pcr,
		.userspace = buf_bytes(&h->log),
		.base = before != NULL ? &before->base : NULL,
		.compared_before = before != NULL ? before->compared_mask : 0,
		.measurer_before = before != NULL,
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
	cleanup_host struct host h = good();
	static struct firmware_judgement j;

	(void)state;
	judge(&h, NULL, &j);
	show(&j);
	assert_true(j.passed);
	assert_int_equal(j.decided[FIRMWARE_RULE_USERSPACE], 4);
	assert_int_equal(j.n_undecided, 0);
	assert_int_equal(j.compared_mask >> 11, 1 | 1 << 4);
	assert_int_equal(j.base.mask, j.compared_mask);
	assert_false(j.from_base);
	/* What a person sees of the rules. */
	assert_int_equal(json_array_size(json_object_get(h.rules, "userspace")), 2);
	assert_string_equal(json_string_value(json_array_get(
				    json_object_get(json_array_get(json_object_get(h.rules, "userspace"), 1), "strings"), 0)),
			    "machine-id:0123");
}

/* What a test changes of the host; the profile is that of the good one. */
static void forged_behind(struct host *h)
{
	logbuild_phase(&h->log, "evil");
}

static void cut_behind(struct host *h)
{
	assert_false(failed(buf_add(&h->log, BYTES_LIT("\x1e{\"pcr\":11,"))));
}

static void rubbish_behind(struct host *h)
{
	assert_false(failed(buf_add(&h->log, BYTES_LIT("\x1erubbish"))));
}

static void more(struct host *h, uint32_t pcr, const char *text, struct bytes measured)
{
	cleanup_buf struct buf b = BUF_INIT(LIMIT_SMALL);

	logbuild_userspace(&b, pcr, "phase", text, measured);
	measure(h, &b);
	assert_false(failed(buf_add(&h->log, buf_bytes(&b))));
}

static void phase_again(struct host *h)
{
	more(h, 11, "ready", BYTES_LIT("ready"));
}

static void unknown_phase(struct host *h)
{
	more(h, 11, "evil", BYTES_LIT("evil"));
}

static void lying_string(struct host *h)
{
	more(h, 11, "ready", BYTES_LIT("evil"));
}

static void known_digest(struct host *h)
{
	more(h, 15, "anything", BYTES_LIT("keyed with the secret"));
}

static void other_register(struct host *h)
{
	more(h, 12, "ready", BYTES_LIT("ready"));
	phase_again(h); /* or nothing that is quoted would come after it */
}

static void ignored_register(struct host *h)
{
	other_register(h);
	assert_int_equal(json_object_set_new(h->rules, "ignored",
					     json_pack("[{s:i,s:s},{s:i,s:s}]", "pcr", 1, "reason", "x", "pcr", 12,
						       "reason", "y")),
			 0);
}

static void pattern(struct host *h)
{
	more(h, 11, "login:root", BYTES_LIT("login:root"));
	doc_set(h->rules, "userspace", "[{\"pcr\":11,\"strings\":[\"enter-initrd\",\"login:*\",\"ready\"]}]");
	doc_set(h->rules, "unknown_events", "\"allow\"");
}

/* Whatever is unknown is allowed, but not in a register that a rule speaks of. */
static void allowed_but_for_rules(struct host *h)
{
	more(h, 11, "log", BYTES_LIT("log"));
	pattern(h);
}

static void dropped(struct host *h)
{
	buf_clear(&h->log);
	logbuild_phase(&h->log, "ready");
}

static void no_log(struct host *h)
{
	buf_clear(&h->log);
}

static void nothing_measured(struct host *h)
{
	quote(h);
	doc_set(h->rules, "pcrs", "[0,2,3,4,5,6,7,8,9,11]");
	doc_set(h->rules, "userspace", "[{\"pcr\":11,\"strings\":[\"ready\"]}]");
}

static void nothing_measured_no_log(struct host *h)
{
	nothing_measured(h);
	buf_clear(&h->log);
}

static void without_bank(struct host *h)
{
	cleanup_buf struct buf b = BUF_INIT(LIMIT_SMALL);
	char *at;

	phase_again(h);
	assert_false(failed(buf_add(&b, buf_bytes(&h->log))));
	assert_false(failed(buf_add_u8(&b, 0)));
	at = strstr((char *)b.p, "sha256");
	assert_non_null(at);
	h->log.p[at - (char *)b.p + 5] = '9';
}

static void unreadable(struct host *h)
{
	h->log.p[1] = '[';
}

static void firmware_edited(struct host *h)
{
	h->firmware.b.p[h->firmware.b.n - 100] ^= 1;
}

static const struct {
	const char *name;
	void (*change)(struct host *h);
	const char *id, *rule, *says; /* id NULL: passes */
	bool log_alone;               /* the same where the firmware log was judged before */
} cases[] = {
	{ "I3 forged behind the quoted state", forged_behind, NULL, NULL, NULL, true },
	{ "I3 cut behind the quoted state", cut_behind, NULL, NULL, NULL, true },
	{ "I3 rubbish behind the quoted state", rubbish_behind, NULL, NULL, NULL, true },
	{ "phase again", phase_again, NULL, NULL, NULL, true },
	{ "unknown phase", unknown_phase, "P-profile", "firmware.userspace", "evil", true },
	{ "E2 string that was not measured", lying_string, "P-profile", "firmware.userspace", "the log calls it ready",
	  true },
	{ "digest in place of a string", known_digest, NULL, NULL, NULL, true },
	{ "register that is not compared", other_register, "P-profile", "firmware.pcrs", "ready", true },
	{ "register that is ignored", ignored_register, NULL, NULL, NULL, false },
	{ "pattern", pattern, NULL, NULL, NULL, false },
	{ "unknown in a register with rules", allowed_but_for_rules, "P-profile", "firmware.userspace", "log", false },
	{ "E7 record dropped", dropped, "E7", "firmware.pcrs", "does not explain", true },
	{ "E7 no log", no_log, "E7", "firmware.pcrs", "does not explain", true },
	{ "P1 nothing measured", nothing_measured, "P1", "firmware.userspace", "none up to", false },
	{ "P1 nothing measured, no log", nothing_measured_no_log, "P1", "firmware.userspace", "no log", false },
	{ "E8 record without the bank", without_bank, "E8", "", "record 0", true },
	{ "E10 log that cannot be read", unreadable, "E10", "", "byte 1", true },
	{ "firmware log edited", firmware_edited, "", "", "", false },
};

static void expect(size_t i, const struct firmware_judgement *j)
{
	bool found = cases[i].id == NULL;

	for (size_t k = 0; k < j->n_failures && k < PLATFORM_MAX_FAILURES && !found; k++)
		found = (cases[i].id[0] == '\0' || strcmp(j->failure[k].id, cases[i].id) == 0) &&
			strcmp(j->failure[k].rule, cases[i].rule) == 0 && strstr(j->failure[k].seen, cases[i].says) != NULL;
	if (cases[i].id != NULL && cases[i].id[0] == '\0')
		found = j->n_failures > 0;
	if (j->passed == (cases[i].id == NULL) && found)
		return;
	show(j);
	fail_msg("%s: not as expected", cases[i].name);
}

static void test_one_thing_changed(void **state)
{
	static struct firmware_judgement j;

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		cleanup_host struct host h = good();

		cases[i].change(&h);
		judge(&h, NULL, &j);
		expect(i, &j);
	}
}

/* Once the firmware log was judged, what it makes of the registers is enough. */
static void test_one_thing_changed_later(void **state)
{
	static struct firmware_judgement before, j;

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		cleanup_host struct host h = good();

		if (!cases[i].log_alone)
			continue;
		judge(&h, NULL, &before);
		assert_true(before.passed);
		cases[i].change(&h);
		judge(&h, &before, &j);
		assert_true(j.from_base && j.measurer_seen);
		assert_memory_equal(&j.base, &before.base, sizeof(j.base));
		expect(i, &j);
	}
}

/* A later record leaves the registers of the firmware where they were, or the log explains nothing. */
static void test_E7_register_of_the_firmware_moved(void **state)
{
	static struct firmware_judgement before, j;
	cleanup_host struct host h = good();
	struct digest d;

	(void)state;
	judge(&h, NULL, &before);
	assert_false(failed(digest_one(bank, BYTES_LIT("later"), &d)));
	assert_false(failed(digest_extend(bank, &h.quoted.pcr[7], digest_bytes(&d), &h.quoted.pcr[7])));
	judge(&h, &before, &j);
	assert_int_equal(j.n_failures, 1);
	assert_string_equal(j.failure[0].id, "E7");
	assert_string_equal(j.failure[0].subject, "PCR 7");
}

/* A base of other registers, or rules without "userspace", judge nothing without the firmware's log. */
static void test_base_of_other_rules(void **state)
{
	static struct firmware_judgement before, other, j;
	cleanup_host struct host h = good();

	(void)state;
	judge(&h, NULL, &before);
	other = before;
	other.base.mask &= ~1u;
	judge(&h, &other, &j);
	assert_false(j.passed || j.from_base);
	assert_string_equal(j.failure[0].seen, "none was sent");
	doc_set(h.rules, "userspace", NULL);
	judge(&h, &before, &j);
	assert_false(j.passed || j.from_base);
	/* Without rules over it, the log is not read, and the registers that it would explain are not. */
	judge(&h, NULL, &j);
	assert_false(j.passed);
	assert_int_equal(j.base.mask, 0);
	assert_string_equal(j.failure[0].id, "E7");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_one_thing_changed),
		cmocka_unit_test(test_one_thing_changed_later),
		cmocka_unit_test(test_E7_register_of_the_firmware_moved),
		cmocka_unit_test(test_base_of_other_rules),
	};

	return cmocka_run_group_tests_name("platform-userspace", tests, NULL, NULL);
}
