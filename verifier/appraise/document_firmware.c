/* SPDX-License-Identifier: Apache-2.0 */
/* The member "firmware" of a platform document: assay-platform(5). */
#include <string.h>

#include "base/log.h"
#include "base/rd.h"
#include "base/text.h"
#include "firmware-measure/evlog.h"
#include "verifier/appraise/platform_read.h"

#define PCR_IMA 10
#define BIT(pcr) (1u << (pcr))

/* Where the things are measured that a rule reads (PFP 1.06, 3.3.4; the boot loaders' own documentation). */
#define PCRS_CODE (BIT(0) | BIT(2))
#define PCRS_APPLICATIONS BIT(4)
#define PCRS_SECURE_BOOT BIT(7)
#define PCRS_COMMAND_LINE (BIT(8) | BIT(9) | BIT(11) | BIT(12))

static struct err refuse(const struct jobj *o, const char *key, const char *why)
{
	reason_set(o->reterr, "%s.%s: %s", o->where, key, why);
	return ERR(E_PEER_RANGE);
}

/* P2: a rule over registers that the profile does not compare would never be read. */
static struct err needs_pcr(const struct jobj *o, const char *key, const struct platform_firmware *f, uint32_t any_of)
{
	if ((f->pcr_mask & any_of) != 0)
		return ERR(E_OK);
	return refuse(o, key, "what this rule reads is measured into registers that \"pcrs\" does not name");
}

static const char *log_pcr_refused(json_int_t pcr)
{
	return pcr == PCR_IMA ? "this is IMA's register, which its list explains" : pcr_refused(pcr);
}

typedef const char *(*pcr_rule)(json_int_t pcr);

static struct err read_pcr(const struct jobj *o, const char *key, size_t i, const json_t *item, pcr_rule rule,
			   uint32_t *ret)
{
	json_int_t pcr = json_integer_value(item);
	const char *why = json_is_integer(item) ? rule(pcr) : "not a number";

	if (why != NULL) {
		reason_set(o->reterr, "%s.%s[%zu]: %s", o->where, key, i, why);
		return ERR(E_PEER_RANGE);
	}
	*ret = (uint32_t)pcr;
	return ERR(E_OK);
}

/* To ignore a register claims nothing about it. */
static const char *ignored_pcr_refused(json_int_t pcr)
{
	return pcr < 0 || pcr >= LIMIT_PCRS ? "there is no such PCR" : NULL;
}

static struct err read_log_pcrs(struct jobj *o, struct platform_firmware *f)
{
	const json_t *array;
	struct err e;

	if (failed(e = read_list(o, "pcrs", LIMIT_PCRS, &array)))
		return e;
	for (size_t i = 0; i < json_array_size(array); i++) {
		uint32_t pcr;

		if (failed(e = read_pcr(o, "pcrs", i, json_array_get(array, i), log_pcr_refused, &pcr)))
			return e;
		if ((f->pcr_mask & BIT(pcr)) != 0)
			return read_twice(o, "pcrs", i);
		f->pcr_mask |= BIT(pcr);
	}
	return ERR(E_OK);
}

static struct err read_ignored_one(const struct jobj *o, size_t i, const json_t *item, struct platform_firmware *f)
{
	struct read_path where = read_path_item(o, "ignored", i);
	const json_t *number;
	struct jobj row;
	uint32_t pcr;
	struct err e;

	if (failed(e = jobj_init(&row, item, where.text, o->reterr)) || failed(e = jobj_any(&row, "pcr", &number)) ||
	    failed(e = read_pcr(o, "ignored", i, number, ignored_pcr_refused, &pcr)))
		return e;
	if (((f->pcr_mask | f->ignored_mask) & BIT(pcr)) != 0) {
		reason_set(o->reterr, "%s.pcr: register %u is named before", where.text, pcr);
		return ERR(E_PEER_DUPLICATE);
	}
	if (failed(e = read_text(&row, "reason", &f->ignored_reason[pcr])) || failed(e = jobj_end(&row)))
		return e;
	f->ignored_mask |= BIT(pcr);
	return ERR(E_OK);
}

static struct err read_ignored(struct jobj *o, struct platform_firmware *f)
{
	const json_t *array;
	struct err e;

	if (!jobj_has(o, "ignored"))
		return ERR(E_OK);
	if (failed(e = read_list(o, "ignored", LIMIT_PCRS, &array)))
		return e;
	for (size_t i = 0; i < json_array_size(array); i++)
		if (failed(e = read_ignored_one(o, i, json_array_get(array, i), f)))
			return e;
	return ERR(E_OK);
}

/* "8be4df61-93ca-11d2-aa0d-00e098032b8c" as it lies in memory: the first three parts little endian (UEFI 2.10, appendix
 * A). */
static bool guid_parse(const char *s, uint8_t ret[16])
{
	static const uint8_t place[16] = { 3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15 };
	char hex[33];
	uint8_t raw[16];
	size_t n = 0;

	if (strlen(s) != 36)
		return false;
	for (size_t i = 0; i < 36; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash != (s[i] == '-'))
			return false;
		if (!dash)
			hex[n++] = s[i];
	}
	hex[n] = '\0';
	if (failed(hex_decode_exact(bytes_str(hex), raw, sizeof(raw))))
		return false;
	for (size_t i = 0; i < sizeof(raw); i++)
		ret[place[i]] = raw[i];
	return true;
}

static struct err read_owners(struct jobj *o, struct platform_variable *v)
{
	const json_t *array;
	const char *s;
	struct err e;

	if (!jobj_has(o, "owners"))
		return ERR(E_OK);
	if (failed(e = read_list(o, "owners", DOCUMENT_MAX_LIST, &array)))
		return e;
	v->owners = calloc(json_array_size(array), sizeof(*v->owners));
	if (v->owners == NULL)
		return ERR(E_LOCAL_MEMORY);
	for (size_t i = 0; i < json_array_size(array); i++) {
		if (failed(e = read_item(o, "owners", array, i, &s)))
			return e;
		if (!guid_parse(s, v->owners[i])) {
			reason_set(o->reterr, "%s.owners[%zu]: not a GUID", o->where, i);
			return ERR(E_PEER_SYNTAX);
		}
		for (size_t k = 0; k < i; k++)
			if (memcmp(v->owners[k], v->owners[i], sizeof(*v->owners)) == 0)
				return read_twice(o, "owners", i);
		v->n_owners++;
	}
	return ERR(E_OK);
}

static struct err read_optional(struct jobj *o, const char *key, enum digest_id bank, struct platform_digests *ret)
{
	return jobj_has(o, key) ? read_bank_digests(o, key, bank, ret) : ERR(E_OK);
}

static struct err read_variable(struct jobj *variables, const char *name, struct platform_variable *v)
{
	struct read_path where = read_path(variables, name);
	const json_t *obj;
	struct jobj o;
	struct err e;

	if (!jobj_has(variables, name))
		return ERR(E_OK);
	if (failed(e = jobj_obj(variables, name, &obj)) ||
	    failed(e = jobj_init(&o, obj, where.text, variables->reterr)) || failed(e = read_owners(&o, v)) ||
	    failed(e = read_optional(&o, "certificates", DIGEST_SHA256, &v->certificates)) ||
	    failed(e = read_optional(&o, "hashes", DIGEST_SHA256, &v->hashes)) || failed(e = jobj_end(&o)))
		return e;
	if (v->certificates.n == 0 && v->hashes.n == 0)
		return refuse(variables, name, "neither certificates nor hashes, so it would approve nothing");
	v->given = true;
	return ERR(E_OK);
}

static struct err read_variables(struct jobj *o, struct platform_firmware *f)
{
	static const char *const names[N_PLATFORM_DATABASES] = {
		[PLATFORM_PK] = "PK", [PLATFORM_KEK] = "KEK", [PLATFORM_DB] = "db"
	};
	struct read_path where = read_path(o, "variables");
	const json_t *obj;
	struct jobj v;
	bool any = false;
	struct err e;

	if (!jobj_has(o, "variables"))
		return ERR(E_OK);
	if (failed(e = jobj_obj(o, "variables", &obj)) || failed(e = jobj_init(&v, obj, where.text, o->reterr)))
		return e;
	for (size_t i = 0; i < array_len(names); i++) {
		if (failed(e = read_variable(&v, names[i], &f->variable[i])))
			return e;
		any = any || f->variable[i].given;
	}
	if (failed(e = jobj_end(&v)))
		return e;
	return any ? needs_pcr(o, "variables", f, PCRS_SECURE_BOOT) : refuse(o, "variables", "no variable is named");
}

static struct err read_secure_boot(struct jobj *o, struct platform_firmware *f)
{
	static const char *const words[] = {
		[SECURE_BOOT_REQUIRED] = "required", [SECURE_BOOT_OFF] = "off", [SECURE_BOOT_ANY] = "any"
	};
	size_t word;
	struct err e;

	if (failed(e = read_word(o, "secure_boot", words, array_len(words), &word)))
		return e;
	f->secure_boot = (enum platform_secure_boot)word;
	return f->secure_boot == SECURE_BOOT_ANY ? ERR(E_OK) : needs_pcr(o, "secure_boot", f, PCRS_SECURE_BOOT);
}

static struct err read_dbx(struct jobj *o, struct platform_firmware *f)
{
	struct err e;

	if (!jobj_has(o, "dbx"))
		return ERR(E_OK);
	if (failed(e = read_bank_digests(o, "dbx", DIGEST_SHA256, &f->dbx)))
		return e;
	return needs_pcr(o, "dbx", f, PCRS_SECURE_BOOT);
}

static struct err read_applications(struct jobj *o, enum digest_id bank, struct platform_firmware *f)
{
	struct read_path where = read_path(o, "boot_applications");
	const json_t *obj;
	struct jobj a;
	struct err e;

	if (!jobj_has(o, "boot_applications"))
		return ERR(E_OK);
	if (failed(e = jobj_obj(o, "boot_applications", &obj)) ||
	    failed(e = jobj_init(&a, obj, where.text, o->reterr)) ||
	    failed(e = read_optional(&a, "digests", bank, &f->applications)) ||
	    failed(e = read_optional(&a, "signers", DIGEST_SHA256, &f->signers)) || failed(e = jobj_end(&a)))
		return e;
	if (f->applications.n == 0 && f->signers.n == 0)
		return refuse(o, "boot_applications", "neither digests nor signers, so it would approve nothing");
	/* Without Secure Boot nobody checked the signature that an authority event speaks of. */
	if (f->signers.n > 0 && f->secure_boot != SECURE_BOOT_REQUIRED)
		return refuse(o, "boot_applications", "signers hold only where secure_boot is \"required\"");
	return needs_pcr(o, "boot_applications", f, PCRS_APPLICATIONS);
}

static bool rule_line(const char *s)
{
	for (; *s != '\0'; s++)
		if (*s < 0x20 || *s > 0x7e)
			return false;
	return true;
}

/* A word of a command line; "name=*" stands for any value. */
static bool rule_word(const char *s)
{
	return *s != '\0' && strchr(s, ' ') == NULL && rule_line(s);
}

static struct err read_grammar(struct jobj *o, struct platform_command_line *c)
{
	static const char *const others[] = { "deny", "allow" };
	size_t other;
	struct err e;

	if (failed(e = read_word_or_first(o, "other", others, array_len(others), &other)))
		return e;
	c->allow_other = other == 1;
	if (jobj_has(o, "required") &&
	    failed(e = read_texts(o, "required", PLATFORM_MAX_CMDLINE, rule_word, &c->required)))
		return e;
	if (jobj_has(o, "allowed") &&
	    failed(e = read_texts(o, "allowed", PLATFORM_MAX_CMDLINE, rule_word, &c->allowed)))
		return e;
	if (jobj_has(o, "forbidden") &&
	    failed(e = read_texts(o, "forbidden", PLATFORM_MAX_CMDLINE, rule_word, &c->forbidden)))
		return e;
	if (c->allow_other && c->required.n == 0 && c->forbidden.n == 0)
		return refuse(o, "other", "with neither required nor forbidden words every command line would do");
	if (c->allow_other && c->allowed.n > 0)
		return refuse(o, "allowed", "is not read where other words are allowed as well");
	if (!c->allow_other && c->forbidden.n > 0)
		return refuse(o, "forbidden", "is not read where other words are denied anyway");
	return ERR(E_OK);
}

static struct err read_command_line(const struct jobj *o, size_t i, const json_t *item, struct platform_command_line *c)
{
	struct read_path where = read_path_item(o, "command_lines", i);
	const char *exact;
	struct jobj row;
	struct err e;

	if (failed(e = jobj_init(&row, item, where.text, o->reterr)))
		return e;
	if (!jobj_has(&row, "exact")) {
		if (failed(e = read_grammar(&row, c)))
			return e;
		return jobj_end(&row);
	}
	if (failed(e = jobj_str(&row, "exact", PLATFORM_MAX_CMDLINE, &exact)) || failed(e = jobj_end(&row)))
		return e;
	if (!rule_line(exact))
		return refuse(&row, "exact", "not printable ASCII on one line");
	c->exact = strdup(exact);
	return c->exact == NULL ? ERR(E_LOCAL_MEMORY) : ERR(E_OK);
}

static struct err read_command_lines(struct jobj *o, struct platform_firmware *f)
{
	const json_t *array;
	struct err e;

	if (!jobj_has(o, "command_lines"))
		return ERR(E_OK);
	if (failed(e = read_list(o, "command_lines", DOCUMENT_MAX_LIST, &array)))
		return e;
	f->command_lines = calloc(json_array_size(array), sizeof(*f->command_lines));
	if (f->command_lines == NULL)
		return ERR(E_LOCAL_MEMORY);
	while (f->n_command_lines < json_array_size(array)) {
		size_t i = f->n_command_lines++;

		if (failed(e = read_command_line(o, i, json_array_get(array, i), &f->command_lines[i])))
			return e;
	}
	return needs_pcr(o, "command_lines", f, PCRS_COMMAND_LINE);
}

/* S-CRTM versions are UTF-16 in the log; here any text of one line. */
static bool rule_version(const char *s)
{
	return *s != '\0' && utf8_valid(bytes_str(s)) && strpbrk(s, "\r\n") == NULL;
}

static struct err read_versions(struct jobj *o, enum digest_id bank, struct platform_firmware *f)
{
	struct read_path where = read_path(o, "versions");
	const json_t *obj;
	struct jobj v;
	struct err e;

	if (!jobj_has(o, "versions"))
		return ERR(E_OK);
	if (failed(e = jobj_obj(o, "versions", &obj)) || failed(e = jobj_init(&v, obj, where.text, o->reterr)) ||
	    failed(e = read_optional(&v, "digests", bank, &f->versions)))
		return e;
	if (jobj_has(&v, "crtm") && failed(e = read_texts(&v, "crtm", DOCUMENT_MAX_TEXT, rule_version, &f->crtm)))
		return e;
	if (failed(e = jobj_end(&v)))
		return e;
	if (f->versions.n == 0 && f->crtm.n == 0)
		return refuse(o, "versions", "neither digests nor crtm, so it would approve nothing");
	return needs_pcr(o, "versions", f, PCRS_CODE);
}

/* The name of a type, or its number as "0x8000000a" for one that has none. */
static struct err read_type(struct jobj *o, uint32_t *ret)
{
	uint8_t number[4];
	struct rd r = RD(BYTES_ARR(number));
	const char *s;
	struct err e;

	if (failed(e = jobj_str(o, "type", 64, &s)))
		return e;
	if (!failed(evlog_type_by_name(bytes_str(s), ret)))
		return *ret == EV_NO_ACTION ? refuse(o, "type", "such events are not measured") : ERR(E_OK);
	if (strncmp(s, "0x", 2) != 0 || failed(hex_decode_exact(bytes_str(s + 2), number, sizeof(number)))) {
		reason_set(o->reterr, "%s.type: \"%s\" is no type of event, nor a number like 0x8000000a", o->where,
			   log_quote(bytes_str(s)));
		return ERR(E_PEER_RANGE);
	}
	if (failed(e = rd_u32be(&r, ret)))
		return e;
	return evlog_type_name(*ret) != NULL ? refuse(o, "type", "this type has a name, which is to be used")
					     : ERR(E_OK);
}

static struct err read_event(const struct jobj *o, size_t i, const json_t *item, enum digest_id bank,
			     struct platform_firmware *f, struct platform_event_rule *ret)
{
	struct read_path where = read_path_item(o, "events", i);
	const json_t *number;
	struct jobj row;
	struct err e;

	if (failed(e = jobj_init(&row, item, where.text, o->reterr)) || failed(e = jobj_any(&row, "pcr", &number)) ||
	    failed(e = read_pcr(o, "events", i, number, log_pcr_refused, &ret->pcr)) ||
	    failed(e = needs_pcr(&row, "pcr", f, BIT(ret->pcr))) || failed(e = read_type(&row, &ret->type)) ||
	    failed(e = read_bank_digests(&row, "digests", bank, &ret->digests)))
		return e;
	for (size_t k = 0; k < i; k++)
		if (f->events[k].pcr == ret->pcr && f->events[k].type == ret->type)
			return read_twice(o, "events", i);
	return jobj_end(&row);
}

static struct err read_events(struct jobj *o, enum digest_id bank, struct platform_firmware *f)
{
	const json_t *array;
	struct err e;

	if (!jobj_has(o, "events"))
		return ERR(E_OK);
	if (failed(e = read_list(o, "events", PLATFORM_MAX_EVENTS, &array)))
		return e;
	f->events = calloc(json_array_size(array), sizeof(*f->events));
	if (f->events == NULL)
		return ERR(E_LOCAL_MEMORY);
	while (f->n_events < json_array_size(array)) {
		size_t i = f->n_events++;

		if (failed(e = read_event(o, i, json_array_get(array, i), bank, f, &f->events[i])))
			return e;
	}
	return ERR(E_OK);
}

static struct err read_switches(struct jobj *o, struct platform_firmware *f)
{
	static const char *const unknown[] = { "deny", "allow" };
	static const char *const exits[] = { "required", "may_be_missing" };
	size_t a, b;
	struct err e;

	if (failed(e = read_word_or_first(o, "unknown_events", unknown, array_len(unknown), &a)) ||
	    failed(e = read_word_or_first(o, "exit_boot_services", exits, array_len(exits), &b)))
		return e;
	f->allow_unknown = a == 1;
	f->exit_boot_services_may_be_missing = b == 1;
	return ERR(E_OK);
}

static struct err read_members(struct jobj *o, enum digest_id bank, struct platform_firmware *f)
{
	struct err e;

	if (failed(e = read_log_pcrs(o, f)) || failed(e = read_ignored(o, f)) || failed(e = read_secure_boot(o, f)) ||
	    failed(e = read_variables(o, f)) || failed(e = read_dbx(o, f)) ||
	    failed(e = read_applications(o, bank, f)) || failed(e = read_command_lines(o, f)) ||
	    failed(e = read_versions(o, bank, f)) || failed(e = read_events(o, bank, f)) ||
	    failed(e = read_userspace(o, bank, f)) || failed(e = read_switches(o, f)))
		return e;
	return jobj_end(o);
}

struct err read_firmware(struct jobj *o, enum digest_id bank, struct platform_firmware **ret)
{
	struct read_path where = read_path(o, "firmware");
	const json_t *obj;
	struct jobj f;
	struct err e;

	if (failed(e = jobj_obj(o, "firmware", &obj)) || failed(e = jobj_init(&f, obj, where.text, o->reterr)))
		return e;
	*ret = calloc(1, sizeof(**ret)); /* the document owns it from here, whatever happens */
	if (*ret == NULL)
		return ERR(E_LOCAL_MEMORY);
	return read_members(&f, bank, *ret);
}
