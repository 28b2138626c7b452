/* SPDX-License-Identifier: Apache-2.0 */
#include "firmware-measure/evlog_check.h"

#include <stdarg.h>

#include "base/rd.h"
#include "firmware-measure/replay.h"

#define N_SEPARATED 8 /* PCR 0-7 */

static const struct bytes exit_call = BYTES_LIT("Exit Boot Services Invocation");
static const struct bytes exit_success = BYTES_LIT("Exit Boot Services Returned with Success");

printf_like(5, 6) static void finding(struct evlog_check *c, enum evlog_finding_id id, size_t event, uint32_t pcr,
				      const char *fmt, ...)
{
	struct evlog_finding *f;
	va_list ap;

	if (c->n++ >= c->max)
		return;
	f = &c->to[c->n - 1];
	*f = (struct evlog_finding){ .id = id, .event = event, .pcr = pcr };
	va_start(ap, fmt);
	(void)vsnprintf(f->text, sizeof(f->text), fmt, ap);
	va_end(ap);
}

void evlog_check_init(struct evlog_check *c, const struct evlog *log, enum digest_id bank,
		      const struct evlog_check_options *options, size_t max, struct evlog_finding *to)
{
	*c = (struct evlog_check){ .log = log, .bank = bank, .options = *options, .max = max, .to = to };
}

static const char *type_text(uint32_t type)
{
	return evlog_type_name(type) ?: "unknown type";
}

/* E5. */
static void check_locality(struct evlog_check *c, const struct evlog_event *ev, uint8_t locality)
{
	if (ev->pcr != 0)
		finding(c, EVLOG_E5, ev->index, ev->pcr, "StartupLocality for register %u, expected 0", ev->pcr);
	if (c->n_locality++ > 0)
		finding(c, EVLOG_E5, ev->index, ev->pcr, "StartupLocality a second time, expected once");
	if ((c->extended & 1) != 0)
		finding(c, EVLOG_E5, ev->index, ev->pcr, "StartupLocality after PCR 0 was extended, expected before");
	if (locality != 0 && locality != 3 && locality != 4)
		finding(c, EVLOG_E5, ev->index, ev->pcr, "StartupLocality %u, expected 0, 3 or 4", locality);
}

static bool begins(struct bytes data, struct bytes with)
{
	struct bytes b;

	return !failed(bytes_sub(data, 0, with.n, &b)) && bytes_eq(b, with);
}

/* E1: the EV_NO_ACTION events that the profile knows. Source: PFP 1.06, 10.4.5. */
static void check_no_action(struct evlog_check *c, const struct evlog_event *ev)
{
	uint8_t locality;

	if (ev->index == 0 && c->log->has_spec_id)
		return;
	if (replay_startup_locality(ev, &locality)) {
		check_locality(c, ev, locality);
		return;
	}
	/* "SP800-155 Event", "... Event2", "... Event3": where a reference manifest lies. */
	if (begins(ev->data, BYTES_LIT("SP800-155 Event")))
		return;
	if (begins(ev->data, BYTES_LIT("H-CRTM")) || begins(ev->data, BYTES_LIT("HCRTM"))) {
		if (ev->pcr != 0 || (c->extended & 1) != 0)
			finding(c, EVLOG_E1, ev->index, ev->pcr,
				"EV_NO_ACTION about the H-CRTM, expected for PCR 0 and before it is extended");
		return;
	}
	finding(c, EVLOG_E1, ev->index, ev->pcr,
		"EV_NO_ACTION of %zu bytes is none of those that the profile knows: it was not measured", ev->data.n);
}

/* E3: what only firmware measures before it hands over. */
static bool is_pre_os(uint32_t type)
{
	switch (type) {
	case EV_S_CRTM_CONTENTS:
	case EV_S_CRTM_VERSION:
	case EV_POST_CODE:
	case EV_POST_CODE2:
	case EV_CPU_MICROCODE:
	case EV_NONHOST_CODE:
	case EV_NONHOST_CONFIG:
	case EV_NONHOST_INFO:
	case EV_EFI_VARIABLE_DRIVER_CONFIG:
	case EV_EFI_PLATFORM_FIRMWARE_BLOB:
	case EV_EFI_PLATFORM_FIRMWARE_BLOB2:
	case EV_EFI_HCRTM_EVENT:
	case EV_EFI_SPDM_FIRMWARE_BLOB:
	case EV_EFI_SPDM_FIRMWARE_CONFIG:
	case EV_EFI_SPDM_DEVICE_POLICY:
	case EV_EFI_SPDM_DEVICE_AUTHORITY:
		return true;
	default:
		return false;
	}
}

static void check_separator(struct evlog_check *c, const struct evlog_event *ev)
{
	struct rd r = rd_init(ev->data);
	uint32_t value;

	if (ev->pcr >= N_SEPARATED)
		return;
	if (failed(rd_u32le(&r, &value)) || failed(rd_end(&r)))
		finding(c, EVLOG_E3, ev->index, ev->pcr, "separator of %zu bytes, expected 4", ev->data.n);
	else if (value != 0)
		finding(c, EVLOG_E3, ev->index, ev->pcr, "separator %08x, expected 00000000%s", value,
			value == UINT32_MAX ? ": the firmware reports an error" : "");
	if (c->n_separators[ev->pcr]++ > 0)
		finding(c, EVLOG_E3, ev->index, ev->pcr, "separator number %u of PCR %u, expected one",
			c->n_separators[ev->pcr], ev->pcr);
}

static void check_order(struct evlog_check *c, const struct evlog_event *ev)
{
	if (ev->pcr < N_SEPARATED && c->n_separators[ev->pcr] > 0 && is_pre_os(ev->type))
		finding(c, EVLOG_E3, ev->index, ev->pcr, "%s after the separator of PCR %u, expected before",
			type_text(ev->type), ev->pcr);
}

/* E4: SecureBoot itself. What the digest does not cover is E2's and says nothing. */
static void check_secure_boot(struct evlog_check *c, const struct evlog_event *ev, const struct evdata *d)
{
	struct evdata_variable v;
	bool on;

	if (failed(evdata_parse_variable(ev->data, &v)) || v.id != EFI_VAR_SECURE_BOOT)
		return;
	if (c->n_secure_boot++ > 0) {
		finding(c, EVLOG_E4, ev->index, ev->pcr, "SecureBoot a second time, expected once");
		c->secure_boot = EVLOG_SECURE_BOOT_UNKNOWN;
		return;
	}
	if (!c->options.confidential && ev->pcr != 7) {
		finding(c, EVLOG_E4, ev->index, ev->pcr, "SecureBoot in PCR %u, expected 7", ev->pcr);
		return;
	}
	if (!c->options.confidential && c->n_separators[7] > 0) {
		finding(c, EVLOG_E4, ev->index, ev->pcr, "SecureBoot after the separator of PCR 7, expected before");
		return;
	}
	if (failed(evdata_variable_bool(&v, &on))) {
		finding(c, EVLOG_E4, ev->index, ev->pcr, "SecureBoot of %zu bytes%s, expected one byte 0 or 1",
			v.contents.n, v.contents.n == 1 ? " with another value" : "");
		return;
	}
	if (d != NULL && d->cover == EVDATA_COVER_ALL)
		c->secure_boot = on ? EVLOG_SECURE_BOOT_ON : EVLOG_SECURE_BOOT_OFF;
}

/* E12. A dbx that is not covered, or cannot be read, contains nothing. */
static struct err check_dbx(struct evlog_check *c, const struct evlog_event *ev, const struct evdata *d)
{
	struct evdata_variable v;
	size_t n = 0;
	struct err e;

	if (c->options.dbx.n == 0 || d == NULL || failed(evdata_variable(d, &v)) || v.id != EFI_VAR_DBX)
		return ERR(E_OK);
	c->has_dbx = true;
	e = siglist_missing(v.contents, c->options.dbx, &n, NULL);
	if (e.code == E_LOCAL_MEMORY)
		return e;
	if (failed(e))
		finding(c, EVLOG_E12, ev->index, ev->pcr, "dbx cannot be compared with its reference: %s", err_text(e));
	else if (n > 0)
		finding(c, EVLOG_E12, ev->index, ev->pcr, "dbx lacks %zu entries of the reference, expected all", n);
	return ERR(E_OK);
}

/* E4: which side of the separator an authority is on. Counted here, judged when drivers and applications are known. */
static void count_authority(struct evlog_check *c, const struct evlog_event *ev)
{
	if (c->n_authorities_before + c->n_authorities_after == 0)
		c->first_authority = ev->index;
	if (c->n_separators[7] == 0)
		c->n_authorities_before++;
	else
		c->n_authorities_after++;
}

static void check_banks(struct evlog_check *c, const struct evlog_event *ev)
{
	if (c->log->format == EVLOG_SHA1 || (ev->missing == 0 && ev->repeated == 0 && !ev->uneven) || ev->index == 0)
		return;
	finding(c, EVLOG_E9, ev->index, ev->pcr,
		"event has not each bank once:%s%s%s, expected every bank of the header",
		ev->missing != 0 ? " one is missing" : "", ev->repeated != 0 ? " one is repeated" : "",
		ev->uneven ? " one of an unknown algorithm" : "");
}

static void check_digest(struct evlog_check *c, const struct evlog_event *ev, const struct evdata *d)
{
	if (d != NULL && !d->verified && evdata_must_match(ev->type))
		finding(c, EVLOG_E2, ev->index, ev->pcr, "digest of %s does not fit its data: the data is not used",
			type_text(ev->type));
}

static void check_type(struct evlog_check *c, const struct evlog_event *ev)
{
	if (!evlog_type_belongs(ev->pcr, ev->type))
		finding(c, EVLOG_E1, ev->index, ev->pcr, "%s (0x%08x) does not belong into PCR %u", type_text(ev->type),
			ev->type, ev->pcr);
	if (ev->type == EV_EFI_HCRTM_EVENT && (ev->pcr != 0 || (c->extended & 1) != 0))
		finding(c, EVLOG_E6, ev->index, ev->pcr, "H-CRTM event in register %u, expected as the first of PCR 0",
			ev->pcr);
	check_order(c, ev);
}

struct err evlog_check_event(struct evlog_check *c, const struct evlog_event *ev, const struct evdata *d)
{
	struct err e;

	check_banks(c, ev);
	if (!evlog_extends(ev)) {
		check_no_action(c, ev);
		return ERR(E_OK);
	}
	check_digest(c, ev, d);
	if (!c->options.confidential)
		check_type(c, ev);
	switch (ev->type) {
	case EV_SEPARATOR:
		if (!c->options.confidential)
			check_separator(c, ev);
		break;
	case EV_EFI_VARIABLE_DRIVER_CONFIG:
		check_secure_boot(c, ev, d);
		if (failed(e = check_dbx(c, ev, d)))
			return e;
		break;
	case EV_EFI_VARIABLE_AUTHORITY:
		count_authority(c, ev);
		break;
	case EV_EFI_BOOT_SERVICES_DRIVER:
	case EV_EFI_RUNTIME_SERVICES_DRIVER:
		c->n_drivers++;
		break;
	case EV_EFI_BOOT_SERVICES_APPLICATION:
		c->n_apps++;
		break;
	case EV_EFI_ACTION:
		c->exit_called = c->exit_called || bytes_eq(ev->data, exit_call);
		c->exit_done = c->exit_done || bytes_eq(ev->data, exit_success);
		break;
	default:
		break;
	}
	if (ev->pcr < LIMIT_PCRS)
		c->extended |= 1U << ev->pcr;
	c->n_extends++;
	return ERR(E_OK);
}

static void end_pcrs(struct evlog_check *c)
{
	for (uint32_t pcr = 0; pcr < N_SEPARATED; pcr++)
		if (c->n_separators[pcr] == 0)
			finding(c, EVLOG_E3, EVLOG_NO_EVENT, pcr, "no separator in PCR %u, expected one", pcr);
	if (c->n_authorities_before > 0 && c->n_drivers == 0)
		finding(c, EVLOG_E4, c->first_authority, 7,
			"authority before the separator of PCR 7 although no driver was loaded");
	if (c->n_authorities_after > 0 && c->n_apps == 0)
		finding(c, EVLOG_E4, EVLOG_NO_EVENT, 7,
			"authority after the separator of PCR 7 although no application was loaded");
	if (c->n_locality > 0 && c->n_extends == 0)
		finding(c, EVLOG_E5, EVLOG_NO_EVENT, 0, "a log that holds nothing but StartupLocality");
}

void evlog_check_end(struct evlog_check *c)
{
	if (!c->options.confidential)
		end_pcrs(c);
	if (c->n_secure_boot == 0)
		finding(c, EVLOG_E4, EVLOG_NO_EVENT, c->options.confidential ? EVLOG_NO_PCR : 7,
			"SecureBoot was never measured, expected once");
	if (!c->options.exit_boot_services_optional && !(c->exit_called && c->exit_done))
		finding(c, EVLOG_E11, EVLOG_NO_EVENT, EVLOG_NO_PCR,
			"no event for ExitBootServices, expected its call and its success");
	if (c->options.dbx.n > 0 && !c->has_dbx)
		finding(c, EVLOG_E12, EVLOG_NO_EVENT, 7,
			"no dbx that its digest covers, expected one with the reference");
}

struct err evlog_check(const struct evlog *log, enum digest_id bank, const struct evlog_check_options *options,
		       size_t max, struct evlog_finding *to, size_t *ret_n, enum evlog_secure_boot *ret_secure_boot,
		       struct evlog_fault *reterr)
{
	struct evlog_pos pos = { 0 };
	struct evlog_check c;
	struct evlog_event ev;
	struct evdata d;
	struct err e;

	if (!evlog_has_bank(log, bank))
		return ERR(E_PEER_UNSUPPORTED);
	evlog_check_init(&c, log, bank, options, max, to);
	for (;;) {
		if (failed(e = evlog_next(log, &pos, &ev, reterr)))
			return e;
		if (ev.end)
			break;
		if (ev.digest[bank].n > 0 && failed(e = evdata_verify(&ev, bank, &d)))
			return e;
		if (failed(e = evlog_check_event(&c, &ev, ev.digest[bank].n > 0 ? &d : NULL)))
			return e;
	}
	evlog_check_end(&c);
	*ret_n = c.n;
	if (ret_secure_boot != NULL)
		*ret_secure_boot = c.secure_boot;
	return ERR(E_OK);
}
