/* SPDX-License-Identifier: Apache-2.0 */
/* Replay, structure, rules; and what each of them decided. */
#include "verifier/appraise/platform_firmware.h"

#include <stdarg.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "firmware-measure/evdata_show.h"
#include "firmware-measure/replay.h"
#include "verifier/appraise/platform_judge.h"

#define MAX_FINDINGS PLATFORM_MAX_FAILURES
#define BIT(pcr) (1u << (pcr))

static const char *const rule_names[N_FIRMWARE_RULES] = {
	[FIRMWARE_RULE_STRUCTURE] = "structure",
	[FIRMWARE_RULE_SECURE_BOOT] = "firmware.secure_boot",
	[FIRMWARE_RULE_VARIABLES] = "firmware.variables",
	[FIRMWARE_RULE_DBX] = "firmware.dbx",
	[FIRMWARE_RULE_SIGNERS] = "firmware.boot_applications.signers",
	[FIRMWARE_RULE_BOOT_APPLICATIONS] = "firmware.boot_applications",
	[FIRMWARE_RULE_COMMAND_LINES] = "firmware.command_lines",
	[FIRMWARE_RULE_VERSIONS] = "firmware.versions",
	[FIRMWARE_RULE_EVENTS] = "firmware.events",
	[FIRMWARE_RULE_USERSPACE] = "firmware.userspace",
};

const char *firmware_rule_name(enum firmware_rule r)
{
	return (unsigned)r < N_FIRMWARE_RULES ? rule_names[r] : "";
}

void platform_say(char *to, size_t size, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (size == 0)
		return;
	va_start(ap, fmt);
	n = vsnprintf(to, size, fmt, ap);
	va_end(ap);
	if (n < 0)
		to[0] = '\0';
	if (n < 0 || (size_t)n < size)
		return;
	for (size_t cut = size - 1; cut > 0; cut--) {
		to[cut] = '\0';
		if (utf8_valid(bytes_str(to)))
			break;
	}
}

struct platform_failure *firmware_fail(struct firmware_work *w, const char *id, const char *rule, const char *subject)
{
	struct firmware_judgement *j = w->j;
	size_t at = j->n_failures < PLATFORM_MAX_FAILURES ? j->n_failures : PLATFORM_MAX_FAILURES - 1;
	struct platform_failure *f = &j->failure[at];

	j->n_failures++;
	*f = (struct platform_failure){ 0 };
	PSAY(f->id, "%s", id);
	PSAY(f->rule, "%s", rule);
	PSAY(f->subject, "%s", subject);
	return f;
}

static void fail_unreadable(struct firmware_work *w, struct err e, const struct evlog_fault *fault)
{
	struct platform_failure *f = firmware_fail(w, "E10", "", "firmware log");

	PSAY(f->expected, "a log that can be read to its end");
	PSAY(f->seen, "%s at byte %zu: %s", err_text(e), fault->off, fault->why.text);
}

static void fail_bank(struct firmware_work *w)
{
	struct platform_failure *f = firmware_fail(w, "E8", "", "firmware log");

	PSAY(f->expected, "a log of bank %s", digest_alg(w->in->bank)->name);
	PSAY(f->seen, "none of its events has a digest in that bank");
}

/* E7, E8, P6: each register that the profile names was quoted, was measured into, and is what the log says. */
void firmware_registers(struct firmware_work *w, const struct replay *r)
{
	struct platform_failure *f;

	if (!r->complete) {
		f = firmware_fail(w, "E8", "", "firmware log");
		PSAY(f->expected, "a digest of the quoted bank in every event");
		PSAY(f->seen, "event %zu has none", r->first_gap);
	}
	for (uint32_t pcr = 0; pcr < LIMIT_PCRS; pcr++) {
		struct bytes quoted = digest_bytes(&w->in->pcr[pcr]);
		char subject[16], seen[2 * DIGEST_MAX + 1] = "", want[2 * DIGEST_MAX + 1] = "";

		if ((w->rules->pcr_mask & BIT(pcr)) == 0)
			continue;
		(void)snprintf(subject, sizeof(subject), "PCR %u", pcr);
		if ((w->in->pcr_mask & BIT(pcr)) == 0) {
			f = firmware_fail(w, "P6", "firmware.pcrs", subject);
			PSAY(f->expected, "a quote of this register");
			PSAY(f->seen, "it was not quoted");
		} else if (!replay_explains(r, pcr, quoted)) {
			f = firmware_fail(w, "E7", "firmware.pcrs", subject);
			if (failed(hex_encode(digest_bytes(&r->pcr[pcr]), want, sizeof(want))) ||
			    failed(hex_encode(quoted, seen, sizeof(seen))))
				want[0] = seen[0] = '\0';
			PSAY(f->expected, "%s as the log replays", want);
			PSAY(f->seen, "%s quoted: the log does not explain this register", seen);
		} else if (!replay_extended(r, pcr)) {
			f = firmware_fail(w, "P6", "firmware.pcrs", subject);
			PSAY(f->expected, "an event in this register");
			PSAY(f->seen, "none, so nothing would be compared");
		} else {
			w->j->compared_mask |= BIT(pcr);
		}
	}
}

static bool in_events(const struct platform_firmware *f, const struct evlog_event *ev, struct bytes digest)
{
	for (size_t i = 0; i < f->n_events; i++)
		if (f->events[i].pcr == ev->pcr && f->events[i].type == ev->type)
			return platform_digests_has(&f->events[i].digests, digest);
	return false;
}

/* Needs no signature where its digest is approved; else Secure Boot was on and somebody approved had signed. */
static enum ruling rule_application(struct firmware_work *w, struct bytes digest, enum firmware_rule *ret_rule)
{
	const struct platform_firmware *f = w->rules;

	*ret_rule = FIRMWARE_RULE_BOOT_APPLICATIONS;
	w->strict = f->applications.n > 0 || f->signers.n > 0;
	if (platform_digests_has(&f->applications, digest)) {
		w->application_seen = w->application_by_digest = true;
		return RULING_APPROVED;
	}
	if (f->signers.n > 0 && w->check.secure_boot == EVLOG_SECURE_BOOT_ON && w->n_signed > 0) {
		w->application_seen = true;
		*ret_rule = FIRMWARE_RULE_SIGNERS;
		return RULING_APPROVED;
	}
	return RULING_NONE;
}

static struct err rule_version(struct firmware_work *w, const struct evdata *d, struct bytes digest, enum ruling *ret)
{
	enum evdata_text kind;
	struct err e;

	w->strict = w->rules->versions.n > 0 || w->rules->crtm.n > 0;
	if (platform_digests_has(&w->rules->versions, digest)) {
		*ret = RULING_APPROVED;
	} else if (d->ev->type == EV_S_CRTM_VERSION && w->rules->crtm.n > 0) {
		buf_clear(&w->text);
		e = evdata_text(d, &kind, &w->text);
		if (e.code == E_LOCAL_MEMORY)
			return e;
		for (size_t i = 0; !failed(e) && i < w->rules->crtm.n; i++)
			if (bytes_eq(bytes_str(w->rules->crtm.v[i]), buf_bytes(&w->text)))
				*ret = RULING_APPROVED;
	}
	if (*ret == RULING_APPROVED)
		w->version_seen = true;
	return ERR(E_OK);
}

/* The rule that knows this class of events, if there is one. */
static struct err rule_of_class(struct firmware_work *w, const struct evdata *d, struct bytes digest,
				enum firmware_rule *ret_rule, enum ruling *ret)
{
	const struct platform_firmware *f = w->rules;
	const struct evlog_event *ev = d->ev;

	if (boot_event_structural(d)) {
		*ret_rule = FIRMWARE_RULE_STRUCTURE;
		*ret = RULING_APPROVED;
		return ERR(E_OK);
	}
	if (ev->type == EV_EFI_VARIABLE_DRIVER_CONFIG)
		return rule_variable(w, d, ret_rule, ret);
	if (ev->type == EV_EFI_VARIABLE_AUTHORITY) {
		*ret_rule = FIRMWARE_RULE_SIGNERS;
		return rule_authority(w, d, ret);
	}
	if (ev->type == EV_EFI_BOOT_SERVICES_APPLICATION && ev->pcr == 4) {
		*ret = rule_application(w, digest, ret_rule);
		return ERR(E_OK);
	}
	if ((ev->type == EV_IPL || ev->type == EV_EVENT_TAG) && f->n_command_lines > 0) {
		*ret_rule = FIRMWARE_RULE_COMMAND_LINES;
		return rule_command_line(w, d, ret);
	}
	if (ev->pcr == 0 || ev->pcr == 2) {
		*ret_rule = FIRMWARE_RULE_VERSIONS;
		return rule_version(w, d, digest, ret);
	}
	return ERR(E_OK);
}

/* The first approved line, as an example of what was expected. */
static void expect_line(const struct firmware_work *w, struct platform_failure *f)
{
	for (size_t i = 0; i < w->rules->n_command_lines; i++) {
		if (w->rules->command_lines[i].exact != NULL) {
			PSAY(f->expected, "%s", w->rules->command_lines[i].exact);
			return;
		}
	}
}

/*
 * What the log shows of an event, without the quoting that whoever prints a
 * verdict does again; of the path of a file what stands behind the device.
 */
static void say_shown(char *to, size_t size, struct bytes shown)
{
	cleanup_buf struct buf plain = BUF_INIT(64 * KIB);
	const struct bytes backslash = BYTES_LIT("\\x5c");
	const char *text, *device;
	struct err e = ERR(E_OK);

	for (size_t i = 0; i < shown.n && !failed(e); i++) {
		struct bytes here;

		if (!failed(bytes_sub(shown, i, backslash.n, &here)) && bytes_eq(here, backslash)) {
			e = buf_add_u8(&plain, '/');
			i += backslash.n - 1;
		} else if (shown.p[i] != '"') {
			e = buf_add_u8(&plain, shown.p[i]);
		}
	}
	if (failed(e) || failed(buf_cstr(&plain, &text)))
		return;
	device = strrchr(text, ')');
	if (device != NULL && strncmp(device, ")//", 3) == 0)
		text = device + 2;
	platform_say(to, size, "the log calls it %s", text);
}

/* What the event is about, in words: of the text where the digest covers it, else what the log calls it. */
static void describe(const struct evlog_event *ev, const struct evdata *d, char *to, size_t size)
{
	cleanup_buf struct buf words = BUF_INIT(64 * KIB);
	enum evdata_text kind;

	to[0] = '\0';
	if (d != NULL && !failed(evdata_text(d, &kind, &words))) {
		platform_say(to, size, "%s", log_quote(buf_bytes(&words)));
		return;
	}
	buf_clear(&words);
	if (!failed(evdata_show(ev, &words)))
		say_shown(to, size, buf_bytes(&words));
}

/* What a rule of its own is about, for the subject; "" for anything else. */
static const char *class_words(const struct firmware_work *w, enum firmware_rule rule)
{
	if (!w->strict)
		return "";
	if (rule == FIRMWARE_RULE_BOOT_APPLICATIONS)
		return "boot application, ";
	if (rule == FIRMWARE_RULE_COMMAND_LINES)
		return "kernel command line, ";
	return rule == FIRMWARE_RULE_VERSIONS ? "firmware, " : "";
}

/* Such an event was there, so that judge_presence() need not say that none was. */
static void note_refused(struct firmware_work *w, enum firmware_rule rule)
{
	w->application_seen |= w->strict && rule == FIRMWARE_RULE_BOOT_APPLICATIONS;
	w->command_line_seen |= w->strict && rule == FIRMWARE_RULE_COMMAND_LINES;
	w->version_seen |= w->strict && rule == FIRMWARE_RULE_VERSIONS;
}

static void fail_undecided(struct firmware_work *w, const struct evlog_event *ev, struct bytes digest,
			   const struct evdata *d, enum firmware_rule rule)
{
	const char *type = evlog_type_name(ev->type);
	bool compared = (w->j->compared_mask & BIT(ev->pcr)) != 0;
	bool line = w->strict && rule == FIRMWARE_RULE_COMMAND_LINES;
	char hex[2 * DIGEST_MAX + 1] = "", words[130];
	struct platform_failure *f = firmware_fail(w, "P-profile",
						   !compared   ? "firmware.pcrs"
						   : w->strict ? rule_names[rule]
							       : "firmware.unknown_events",
						   "");

	if (failed(hex_encode(digest, hex, sizeof(hex))))
		hex[0] = '\0';
	PSAY(f->subject, "%sevent %zu, PCR %u, %s", class_words(w, rule), ev->index, ev->pcr,
	     type != NULL ? type : "unknown type");
	note_refused(w, rule);
	if (!compared)
		PSAY(f->expected, "a register that the profile compares, or ignores with a reason");
	else
		PSAY(f->expected, "a rule of the profile that approves it");
	if (w->line_known) {
		command_line_say(w, f);
		return;
	}
	if (line) {
		expect_line(w, f);
		PSAY(f->seen, "another line, of which the log holds the digest only: %.64s", hex);
		return;
	}
	describe(ev, d, words, sizeof(words));
	PSAY(f->seen, "%.64s%s%s", hex, words[0] == '\0' ? "" : ", ", words);
}

static void notice_initrd(struct firmware_work *w, const struct evdata *d)
{
	const struct evlog_event *ev = d->ev;
	cleanup_buf struct buf text = BUF_INIT(4 * KIB);
	enum evdata_text kind;
	struct evdata_tag tag;

	if (w->in->measurer != MEASURER_BOOT_IMAGE || w->initrd_seen)
		return;
	if (ev->type == EV_EVENT_TAG && !failed(evdata_parse_tag(ev->data, &tag)))
		w->initrd_seen = tag.id == EVDATA_TAG_LINUX_INITRD || tag.id == EVDATA_TAG_SD_INITRD;
	else if (ev->type == EV_IPL && !failed(evdata_text(d, &kind, &text)))
		w->initrd_seen =
			(kind == EVDATA_TEXT_STUB_SECTION && bytes_eq(buf_bytes(&text), BYTES_LIT(".initrd"))) ||
			(kind == EVDATA_TEXT_GRUB_COMMAND && text.n > 7 &&
			 bytes_eq(BYTES(text.p, 7), BYTES_LIT("initrd ")));
}

static struct err judge_event(struct firmware_work *w, const struct evlog_event *ev, const struct evdata *d)
{
	struct bytes digest = ev->digest[w->in->bank];
	enum firmware_rule rule = FIRMWARE_RULE_EVENTS;
	enum ruling ruling = RULING_NONE;
	struct err e;

	w->j->n_events++;
	w->strict = w->line_known = false;
	if ((w->rules->ignored_mask & BIT(ev->pcr)) != 0) {
		w->j->n_ignored++;
		return ERR(E_OK);
	}
	/* E7: no rule may use a register that the log does not explain. */
	if ((w->j->compared_mask & BIT(ev->pcr)) != 0 && d != NULL &&
	    failed(e = rule_of_class(w, d, digest, &rule, &ruling)))
		return e;
	if (ruling == RULING_NONE && (w->j->compared_mask & BIT(ev->pcr)) != 0 && in_events(w->rules, ev, digest)) {
		rule = FIRMWARE_RULE_EVENTS;
		ruling = RULING_APPROVED;
	}
	if (ruling == RULING_APPROVED) {
		w->j->decided[rule]++;
		if (d != NULL)
			notice_initrd(w, d);
		return ERR(E_OK);
	}
	w->j->n_undecided++;
	if (ruling == RULING_NONE && (w->strict || !w->rules->allow_unknown))
		fail_undecided(w, ev, digest, d, rule);
	return ERR(E_OK);
}

static struct err walk(struct firmware_work *w, const struct evlog *log)
{
	struct evlog_pos pos = { 0 };
	struct evlog_event ev;
	struct evdata d;
	struct err e;

	for (;;) {
		bool has;

		if (failed(e = evlog_next(log, &pos, &ev, NULL)))
			return e;
		if (ev.end)
			break;
		has = ev.digest[w->in->bank].n > 0;
		if ((has && failed(e = evdata_verify(&ev, w->in->bank, &d))) ||
		    failed(e = evlog_check_event(&w->check, &ev, has ? &d : NULL)))
			return e;
		if (evlog_extends(&ev) && failed(e = judge_event(w, &ev, has ? &d : NULL)))
			return e;
	}
	evlog_check_end(&w->check);
	return ERR(E_OK);
}

/* A rule that found nothing to decide would let a boot pass that measured nothing of the kind. */
static void judge_presence(struct firmware_work *w)
{
	static const char *const databases[N_PLATFORM_DATABASES] = {
		[PLATFORM_PK] = "Secure Boot variable PK",
		[PLATFORM_KEK] = "Secure Boot variable KEK",
		[PLATFORM_DB] = "Secure Boot variable db",
	};
	const struct platform_firmware *r = w->rules;
	bool applications = r->applications.n > 0 || r->signers.n > 0;
	const struct {
		bool missing;
		const char *id, *rule, *subject;
	} all[] = {
		{ r->secure_boot != SECURE_BOOT_ANY && w->check.secure_boot == EVLOG_SECURE_BOOT_UNKNOWN, "E2",
		  "firmware.secure_boot", "Secure Boot" },
		{ r->variable[PLATFORM_PK].given && !w->variable_seen[PLATFORM_PK], "E2", "firmware.variables",
		  databases[PLATFORM_PK] },
		{ r->variable[PLATFORM_KEK].given && !w->variable_seen[PLATFORM_KEK], "E2", "firmware.variables",
		  databases[PLATFORM_KEK] },
		{ r->variable[PLATFORM_DB].given && !w->variable_seen[PLATFORM_DB], "E2", "firmware.variables",
		  databases[PLATFORM_DB] },
		{ r->dbx.n > 0 && !w->dbx_seen, "E12", "firmware.dbx", "revocation list dbx" },
		{ applications && !w->application_seen, "P1", "firmware.boot_applications", "boot application" },
		{ r->n_command_lines > 0 && !w->command_line_seen, "P1", "firmware.command_lines",
		  "kernel command line" },
		{ (r->versions.n > 0 || r->crtm.n > 0) && !w->version_seen, "P1", "firmware.versions",
		  "version of the firmware" },
		{ w->in->measurer == MEASURER_BOOT_IMAGE && !(w->application_by_digest && w->initrd_seen), "P-profile",
		  "measurer", "boot image" },
	};

	for (size_t i = 0; i < array_len(all); i++) {
		struct platform_failure *f;

		if (!all[i].missing)
			continue;
		f = firmware_fail(w, all[i].id, all[i].rule, all[i].subject);
		PSAY(f->expected, "an event that this rule approves");
		PSAY(f->seen, "none whose digest covers what it says");
	}
}

static void judge_structure(struct firmware_work *w)
{
	for (size_t i = 0; i < w->check.n && i < w->check.max; i++) {
		const struct evlog_finding *at = &w->check.to[i];
		struct platform_failure *f;
		char id[8];

		/* E2: data that its digest does not cover is not used; whether that matters is the rules' to say. */
		if (at->id == EVLOG_E2 || (at->pcr < LIMIT_PCRS && (w->rules->ignored_mask & BIT(at->pcr)) != 0))
			continue;
		(void)snprintf(id, sizeof(id), "E%d", (int)at->id);
		f = firmware_fail(w, id, "", "firmware log");
		if (at->event != EVLOG_NO_EVENT)
			PSAY(f->subject, "firmware log, event %zu", at->event);
		PSAY(f->expected, "a log as the TCG profile describes it");
		PSAY(f->seen, "%s", at->text);
	}
}

static void keep_base(struct firmware_work *w, const struct replay *r)
{
	w->j->base.mask = w->rules->pcr_mask;
	for (uint32_t pcr = 0; pcr < LIMIT_PCRS; pcr++)
		if ((w->rules->pcr_mask & BIT(pcr)) != 0)
			w->j->base.pcr[pcr] = r->pcr[pcr];
}

static struct err judge_log(struct firmware_work *w, const struct evlog *log, struct replay *r,
			    struct evlog_finding *findings)
{
	const struct evlog_check_options options = {
		.exit_boot_services_optional = w->rules->exit_boot_services_may_be_missing,
	};
	struct firmware_judgement rules = { 0 }, *all = w->j;
	size_t n_replay, n_records = 0;
	struct err e;

	if (failed(e = command_line_claimed(w)))
		return e;
	if (w->rules->n_userspace > 0) {
		keep_base(w, r);
		if (failed(e = userspace_replay(w, r, &n_records)))
			return e;
	}
	firmware_registers(w, r);
	n_replay = all->n_failures;
	evlog_check_init(&w->check, log, w->in->bank, &options, MAX_FINDINGS, findings);
	/* The walk finds both; what the structure says comes first. */
	rules.compared_mask = all->compared_mask;
	w->j = &rules;
	if (failed(e = walk(w, log)))
		return e;
	if (n_replay == 0)
		judge_presence(w);
	if (n_replay == 0 && failed(e = userspace_judge(w, n_records)))
		return e;
	w->j = all;
	judge_structure(w);
	for (size_t i = 0; n_replay == 0 && i < rules.n_failures && i < PLATFORM_MAX_FAILURES; i++)
		*firmware_fail(w, "", "", "") = rules.failure[i];
	if (n_replay == 0 && rules.n_failures > PLATFORM_MAX_FAILURES)
		all->n_failures += rules.n_failures - PLATFORM_MAX_FAILURES;
	all->n_events = rules.n_events;
	all->n_ignored = rules.n_ignored;
	all->n_undecided = rules.n_undecided;
	for (size_t i = 0; i < N_FIRMWARE_RULES; i++)
		all->decided[i] = rules.decided[i];
	all->secure_boot = w->check.secure_boot == EVLOG_SECURE_BOOT_UNKNOWN ? -1
			   : w->check.secure_boot == EVLOG_SECURE_BOOT_ON    ? 1
									     : 0;
	all->measurer_seen = w->application_by_digest && w->initrd_seen;
	return ERR(E_OK);
}

/* P1: rules that decided nothing but what every boot does approved nothing. */
static void judge_compared(struct firmware_work *w)
{
	struct firmware_judgement *j = w->j;
	size_t n = 0;

	for (size_t i = 0; i < N_FIRMWARE_RULES; i++)
		if (i != FIRMWARE_RULE_STRUCTURE)
			n += j->decided[i];
	if (j->n_failures == 0 && (n == 0 || j->compared_mask == 0)) {
		struct platform_failure *f = firmware_fail(w, "P1", "", "firmware log");

		PSAY(f->expected, "at least one event that a rule approves");
		PSAY(f->seen, "none: nothing was compared");
	}
	j->passed = j->n_failures == 0;
}

static struct err judge(struct firmware_work *w)
{
	cleanup_free struct evlog_finding *findings = calloc(MAX_FINDINGS, sizeof(*findings));
	struct evlog_fault fault = { 0 };
	struct evlog log;
	struct replay r;
	struct err e;

	if (findings == NULL)
		return ERR(E_LOCAL_MEMORY);
	e = evlog_open(w->in->log, &log, &fault);
	if (!failed(e) && !evlog_has_bank(&log, w->in->bank)) {
		fail_bank(w);
		return ERR(E_OK);
	}
	if (!failed(e) && !failed(e = replay_log(&log, w->in->bank, &r, &fault)))
		return judge_log(w, &log, &r, findings);
	if (e.code >= E_LOCAL_MEMORY)
		return e;
	fail_unreadable(w, e, &fault);
	return ERR(E_OK);
}

static void fail_absent(struct firmware_work *w)
{
	struct platform_failure *f = firmware_fail(w, "E7", "", "firmware log");

	PSAY(f->expected, "the log of this boot");
	PSAY(f->seen, "none was sent");
}

struct err platform_firmware_judge(const struct firmware_input *in, struct firmware_judgement *ret)
{
	struct firmware_work w = { .in = in, .rules = in->rules, .j = ret, .text = BUF_INIT(64 * KIB) };
	struct err e = ERR(E_OK);

	if (in->rules == NULL || in->bank == DIGEST_SHA1 || digest_alg(in->bank) == NULL)
		return ERR(E_BUG);
	*ret = (struct firmware_judgement){ .secure_boot = -1, .ignored_mask = in->rules->ignored_mask };
	if (in->log.n == 0 && in->base != NULL && in->rules->n_userspace > 0 && in->base->mask == in->rules->pcr_mask)
		e = userspace_alone(&w);
	else if (in->log.n == 0)
		fail_absent(&w);
	else
		e = judge(&w);
	buf_free(&w.text);
	free(w.hashed);
	if (failed(e))
		return e;
	w.j = ret;
	judge_compared(&w);
	return ERR(E_OK);
}
