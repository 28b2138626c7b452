/* SPDX-License-Identifier: Apache-2.0 */
/* The verb "log". */
#include "base/text.h"
#include "firmware-measure/replay.h"
#include "firmware-measure/verb_evlog.h"

#define MAX_FINDINGS 4096 /* shown; all are counted */

static struct log_options options;

static const struct opt opts[] = {
	{ "bank", OPT_STRING, &options.bank, "BANK", "only this bank (default: all, findings in the best)", 0 },
	{ "cc", OPT_FLAG, &options.cc, NULL, "a confidential VM's log (CCEL), whose registers are no PCRs", 0 },
	{ "userspace", OPT_STRING, &options.userspace, "FILE", "systemd's log of the same boot (tpm2-measure.log)", 0 },
};

/* What is said about a log. */
struct report {
	struct log_input in;
	size_t n_events, n_records; /* of the firmware, of systemd */
	size_t padding;             /* bytes behind the last event */
	struct replay replay[N_DIGESTS]; /* of the banks in shown */
	uint32_t shown;
	struct evlog_finding *findings;
	size_t n_findings;
	enum evlog_secure_boot secure_boot;
};

/* systemd measured after the firmware, so its records go on with every replay. */
static struct err go_on(struct report *r, struct evlog_fault *fault)
{
	cleanup_userlog_record struct userlog_record rec = { 0 };
	struct userlog_pos pos = { 0 };
	struct err e;

	for (;;) {
		if (failed(e = log_next_record(&r->in, &pos, &rec, fault)))
			return e;
		if (rec.end)
			break;
		for (unsigned id = 0; id < N_DIGESTS; id++)
			if ((r->shown >> id & 1) != 0 && failed(e = userlog_replay(&rec, &r->replay[id])))
				return e;
	}
	r->n_records = pos.index;
	return ERR(E_OK);
}

static struct err find_padding(struct report *r, struct evlog_fault *fault)
{
	struct evlog_pos pos = { 0 };
	struct evlog_event ev;
	struct err e;

	do
		if (failed(e = evlog_next(&r->in.log, &pos, &ev, fault)))
			return e;
	while (!ev.end);
	r->padding = r->in.log.raw.n - ev.off;
	return ERR(E_OK);
}

static struct err measure(struct report *r, struct evlog_fault *fault)
{
	const struct evlog_check_options o = { .confidential = r->in.confidential };
	struct err e;

	for (unsigned id = 0; id < N_DIGESTS; id++) {
		if (!evlog_has_bank(&r->in.log, (enum digest_id)id) ||
		    (options.bank != NULL && id != (unsigned)r->in.bank))
			continue;
		if (failed(e = replay_log(&r->in.log, (enum digest_id)id, &r->replay[id], fault)))
			return e;
		r->shown |= 1U << id;
	}
	r->n_events = r->replay[r->in.bank].n_events;
	if (failed(e = go_on(r, fault)) || failed(e = find_padding(r, fault)))
		return e;
	return evlog_check(&r->in.log, r->in.bank, &o, MAX_FINDINGS, r->findings, &r->n_findings, &r->secure_boot,
			   fault);
}

static bool shows(const struct report *r, unsigned id)
{
	return (r->shown >> id & 1) != 0;
}

static struct err put_bank(json_t *pcrs, const struct replay *r)
{
	cleanup_json json_t *o = NULL;
	struct err e;

	if (failed(e = json_new_object(&o)))
		return e;
	for (uint32_t pcr = 0; pcr < LIMIT_PCRS; pcr++) {
		char key[4];

		(void)snprintf(key, sizeof(key), "%u", pcr % 100);
		if (replay_extended(r, pcr) && failed(e = json_put_hex(o, key, digest_bytes(&r->pcr[pcr]))))
			return e;
	}
	return json_put(pcrs, digest_alg(r->bank)->name, json_incref(o));
}

static struct err put_banks(const struct report *r, json_t *o)
{
	cleanup_json json_t *pcrs = NULL, *banks = json_array(), *incomplete = json_array();
	struct err e;

	if (failed(e = json_new_object(&pcrs)))
		return e;
	for (unsigned id = 0; id < N_DIGESTS; id++) {
		const char *name = digest_alg((enum digest_id)id)->name;

		if (evlog_has_bank(&r->in.log, (enum digest_id)id) &&
		    json_array_append_new(banks, json_string(name)) != 0)
			return ERR(E_LOCAL_MEMORY);
		if (!shows(r, id))
			continue;
		if (failed(e = put_bank(pcrs, &r->replay[id])))
			return e;
		if (!r->replay[id].complete && json_array_append_new(incomplete, json_string(name)) != 0)
			return ERR(E_LOCAL_MEMORY);
	}
	if (failed(e = json_put(o, "banks", json_incref(banks))) ||
	    failed(e = json_put(o, "incomplete_banks", json_incref(incomplete))))
		return e;
	return json_put(o, "pcrs", json_incref(pcrs));
}

static struct err put_finding(json_t *list, const struct evlog_finding *f)
{
	cleanup_json json_t *o = NULL;
	char id[8];
	struct err e;

	(void)snprintf(id, sizeof(id), "E%u", (unsigned)f->id);
	if (failed(e = json_new_object(&o)) || failed(e = json_put_str(o, "id", id)) ||
	    failed(e = json_put(o, "event",
				f->event == EVLOG_NO_EVENT ? json_null() : json_integer((json_int_t)f->event))) ||
	    failed(e = json_put(o, "pcr", f->pcr == EVLOG_NO_PCR ? json_null() : json_integer(f->pcr))) ||
	    failed(e = json_put_str(o, "text", f->text)))
		return e;
	return ERR(json_array_append(list, o) == 0 ? E_OK : E_LOCAL_MEMORY);
}

static struct err put_findings(const struct report *r, json_t *o)
{
	cleanup_json json_t *list = json_array();
	struct err e;

	for (size_t i = 0; i < r->n_findings && i < MAX_FINDINGS; i++)
		if (failed(e = put_finding(list, &r->findings[i])))
			return e;
	if (failed(e = json_put(o, "findings", json_incref(list))))
		return e;
	return json_put_int(o, "n_findings", (int64_t)r->n_findings);
}

static struct err put_text_or_null(json_t *o, const char *key, struct bytes text)
{
	return text.n > 0 ? json_put_text(o, key, text) : json_put(o, key, json_null());
}

static struct err put_record(const struct report *r, const struct userlog_record *rec, json_t *list)
{
	cleanup_json json_t *o = NULL;
	bool nv = rec->pcr == EVLOG_NO_PCR, verified;
	struct err e;

	if (failed(e = userlog_verify(rec, r->in.bank, &verified)) || failed(e = json_new_object(&o)) ||
	    failed(e = json_put_int(o, nv ? "nv_index" : "pcr", nv ? rec->nv_index : rec->pcr)) ||
	    failed(e = put_text_or_null(o, "content_type", rec->content_type)) ||
	    failed(e = put_text_or_null(o, "type", rec->type)) ||
	    failed(e = put_text_or_null(o, "string", rec->string)) ||
	    failed(e = json_put_bool(o, "verified", verified)))
		return e;
	return ERR(json_array_append(list, o) == 0 ? E_OK : E_LOCAL_MEMORY);
}

static struct err put_records(const struct report *r, json_t *o)
{
	cleanup_userlog_record struct userlog_record rec = { 0 };
	cleanup_json json_t *list = json_array();
	struct userlog_pos pos = { 0 };
	struct evlog_fault fault = { 0 };
	struct err e;

	if (options.userspace == NULL)
		return ERR(E_OK);
	for (;;) {
		if (failed(e = log_next_record(&r->in, &pos, &rec, &fault)))
			return e;
		if (rec.end)
			return json_put(o, "userspace", json_incref(list));
		if (failed(e = put_record(r, &rec, list)))
			return e;
	}
}

static struct err report_json(const struct report *r)
{
	const struct replay *first = &r->replay[r->in.bank];
	cleanup_json json_t *o = NULL;
	struct err e;

	if (failed(e = json_new_object(&o)) || failed(e = json_put_int(o, "events", (int64_t)r->n_events)) ||
	    failed(e = json_put_str(o, "format", r->in.log.format == EVLOG_AGILE ? "agile" : "sha1")) ||
	    failed(e = json_put_str(o, "registers", r->in.confidential ? "cc" : "pcr")) ||
	    failed(e = json_put_str(o, "findings_bank", digest_alg(r->in.bank)->name)) || failed(e = put_banks(r, o)) ||
	    failed(e = json_put(o, "startup_locality",
				first->startup_locality < 0 ? json_null() : json_integer(first->startup_locality))) ||
	    failed(e = json_put_bool(o, "hcrtm", first->hcrtm)) ||
	    failed(e = json_put(o, "secure_boot",
				r->secure_boot == EVLOG_SECURE_BOOT_UNKNOWN
					? json_null()
					: json_boolean(r->secure_boot == EVLOG_SECURE_BOOT_ON))) ||
	    failed(e = json_put_int(o, "padding", (int64_t)r->padding)) ||
	    failed(e = put_findings(r, o)) || failed(e = put_records(r, o)))
		return e;
	return print_json(o);
}

static struct err bank_text(const struct replay *r)
{
	char hex[2 * DIGEST_MAX + 1];
	struct err e;

	for (uint32_t pcr = 0; pcr < LIMIT_PCRS; pcr++) {
		if (!replay_extended(r, pcr))
			continue;
		if (failed(e = hex_encode(digest_bytes(&r->pcr[pcr]), hex, sizeof(hex))))
			return e;
		(void)printf("%s:%-2u  %s%s\n", digest_alg(r->bank)->name, pcr, hex,
			     r->complete ? "" : "  (events without this bank)");
	}
	return ERR(E_OK);
}

static struct err report_text(const struct report *r)
{
	static const char *const words[] = { "unknown", "off", "on" };
	const struct replay *first = &r->replay[r->in.bank];
	struct err e;

	(void)printf("format       %s\nevents       %zu\nsecure boot  %s\n",
		     r->in.log.format == EVLOG_AGILE ? "crypto-agile" : "SHA-1", r->n_events, words[r->secure_boot]);
	if (options.userspace != NULL)
		(void)printf("userspace    %zu records\n", r->n_records);
	if (first->startup_locality >= 0)
		(void)printf("locality     %d\n", first->startup_locality);
	if (first->hcrtm)
		(void)printf("H-CRTM       yes\n");
	for (unsigned id = 0; id < N_DIGESTS; id++)
		if (shows(r, id) && failed(e = bank_text(&r->replay[id])))
			return e;
	for (size_t i = 0; i < r->n_findings && i < MAX_FINDINGS; i++) {
		const struct evlog_finding *f = &r->findings[i];

		if (f->event == EVLOG_NO_EVENT)
			(void)printf("finding E%-2u  %s\n", (unsigned)f->id, f->text);
		else
			(void)printf("finding E%-2u  event %zu: %s\n", (unsigned)f->id, f->event, f->text);
	}
	return ERR(E_OK);
}

int verb_log(void *ctx, int argc, char **argv)
{
	cleanup_free struct evlog_finding *findings = NULL;
	cleanup_free struct report *r = NULL;
	struct evlog_fault fault = { 0 };
	char **pos;
	int n, status;
	struct err e;

	(void)ctx;
	status = program_options(argc, argv, opts, array_len(opts), 1, 1, &pos, &n);
	if (status >= 0 || (status = log_check_bank(options.bank)) >= 0)
		return status;
	r = calloc(1, sizeof(*r));
	findings = calloc(MAX_FINDINGS, sizeof(*findings));
	if (r == NULL || findings == NULL)
		return log_refused(ERR(E_LOCAL_MEMORY), &fault);
	r->findings = findings;
	e = log_input_read(pos[0], &options, &r->in, &fault);
	if (!failed(e))
		e = measure(r, &fault);
	status = failed(e) ? log_refused(e, &fault) : -1;
	if (status < 0 && failed(e = common.json ? report_json(r) : report_text(r)))
		status = log_refused(e, &fault);
	log_input_done(&r->in);
	return status >= 0 ? status : printed();
}
