/* SPDX-License-Identifier: Apache-2.0 */
/* The verb "explain". */
#include "base/log.h"
#include "firmware-measure/evdata_show.h"
#include "firmware-measure/verb_evlog.h"

#define MAX_FINDINGS 16 /* of one event */

static struct log_options options;

static const struct opt opts[] = {
	{ "bank", OPT_STRING, &options.bank, "BANK", "digests of this bank (default: the best of the log)", 0 },
	{ "cc", OPT_FLAG, &options.cc, NULL, "a confidential VM's log (CCEL), whose registers are no PCRs", 0 },
	{ "userspace", OPT_STRING, &options.userspace, "FILE", "systemd's log of the same boot (tpm2-measure.log)", 0 },
};

/* Escape sequences, or nothing where nobody sees colour. */
struct colours {
	const char *pcr, *type, *faint, *bad, *end;
};

static struct colours choose_colours(void)
{
	const char *off = getenv("NO_COLOR");

	if (isatty(STDOUT_FILENO) != 1 || (off != NULL && off[0] != '\0'))
		return (struct colours){ "", "", "", "", "" };
	return (struct colours){ "\033[1m", "\033[36m", "\033[2m", "\033[31m", "\033[0m" };
}

static const char *cover_text(const struct evlog_event *ev, const struct evdata *d)
{
	if (!evlog_extends(ev))
		return "not measured";
	if (d == NULL)
		return "no digest in this bank";
	switch (d->cover) {
	case EVDATA_COVER_ALL:
		return "";
	case EVDATA_COVER_VALUE:
		return "contents measured, name not";
	case EVDATA_COVER_TEXT:
		return "text measured, prefix not";
	case EVDATA_COVER_NONE:
	default:
		return "data not measured";
	}
}

static struct err show_event(const struct colours *c, const struct evlog_event *ev, const struct evdata *d,
			     struct buf *line)
{
	const char *name = evlog_type_name(ev->type), *cover = cover_text(ev, d), *text = NULL;
	char number[16];
	struct err e;

	buf_clear(line);
	if (failed(e = evdata_show(ev, line)) || failed(e = buf_cstr(line, &text)))
		return e;
	(void)snprintf(number, sizeof(number), "0x%08x", ev->type);
	if (ev->pcr == EVLOG_NO_PCR)
		(void)printf("%5zu  %s--%s", ev->index, c->pcr, c->end);
	else
		(void)printf("%5zu  %s%2u%s", ev->index, c->pcr, ev->pcr, c->end);
	(void)printf("  %s%-32s%s  %s%s%s%s%s%s\n", c->type, name != NULL ? name : number, c->end, text, c->faint,
		     cover[0] != '\0' ? "  (" : "", cover, cover[0] != '\0' ? ")" : "", c->end);
	return ERR(E_OK);
}

static void show_findings(const struct colours *c, struct evlog_check *check, const struct evlog_finding *f)
{
	for (size_t i = 0; i < check->n && i < MAX_FINDINGS; i++)
		(void)printf("       %sE%u: %s%s\n", c->bad, (unsigned)f[i].id, f[i].text, c->end);
	check->n = 0;
}

static struct err show_record(const struct colours *c, const struct log_input *in, const struct userlog_record *r)
{
	char type[65], where[16];
	bool verified;
	const char *note;
	struct err e;

	if (failed(e = userlog_verify(r, in->bank, &verified)))
		return e;
	(void)snprintf(type, sizeof(type), "%s", log_quote(log_record_type(r)));
	(void)snprintf(where, sizeof(where), r->pcr == EVLOG_NO_PCR ? "--" : "%2u", r->pcr);
	note = verified                            ? ""
	       : r->pcr != EVLOG_NO_PCR && r->digest[in->bank].n == 0 ? "  (no digest in this bank)"
	       : r->string.n > 0                   ? "  (text not measured)"
						   : "  (content not measured)";
	(void)printf("u%-4zu  %s%s%s  %s%-32s%s  \"%s\"%s", r->index, c->pcr, where, c->end, c->type, type, c->end,
		     log_quote(r->string), c->faint);
	if (r->pcr == EVLOG_NO_PCR)
		(void)printf("  (NV index 0x%08x, no register)", r->nv_index);
	(void)printf("%s%s\n", note, c->end);
	return ERR(E_OK);
}

static struct err explain_userspace(const struct colours *c, const struct log_input *in, struct evlog_fault *fault)
{
	cleanup_userlog_record struct userlog_record r = { 0 };
	struct userlog_pos pos = { 0 };
	struct err e;

	for (;;) {
		if (failed(e = log_next_record(in, &pos, &r, fault)) || r.end)
			return e;
		if (failed(e = show_record(c, in, &r)))
			return e;
	}
}

static struct err explain(const struct log_input *in, struct evlog_fault *fault)
{
	const struct evlog_check_options o = { .confidential = in->confidential };
	const struct colours c = choose_colours();
	cleanup_buf struct buf line = BUF_INIT(LIMIT_SMALL);
	struct evlog_finding found[MAX_FINDINGS];
	struct evlog_pos pos = { 0 };
	struct evlog_check check;
	struct evlog_event ev;
	struct evdata d;
	struct err e;

	evlog_check_init(&check, &in->log, in->bank, &o, MAX_FINDINGS, found);
	for (;;) {
		bool has;

		if (failed(e = evlog_next(&in->log, &pos, &ev, fault)))
			return e;
		if (ev.end)
			break;
		has = ev.digest[in->bank].n > 0;
		if ((has && failed(e = evdata_verify(&ev, in->bank, &d))) ||
		    failed(e = evlog_check_event(&check, &ev, has ? &d : NULL)) ||
		    failed(e = show_event(&c, &ev, has ? &d : NULL, &line)))
			return e;
		show_findings(&c, &check, found);
	}
	evlog_check_end(&check);
	show_findings(&c, &check, found);
	return explain_userspace(&c, in, fault);
}

int verb_explain(void *ctx, int argc, char **argv)
{
	struct evlog_fault fault = { 0 };
	struct log_input in = { 0 };
	char **pos;
	int n, status;
	struct err e;

	(void)ctx;
	status = program_options(argc, argv, opts, array_len(opts), 1, 1, &pos, &n);
	if (status >= 0 || (status = log_check_bank(options.bank)) >= 0)
		return status;
	if (common.json)
		return program_usage("explain is for people; log --json is for machines");
	e = log_input_read(pos[0], &options, &in, &fault);
	if (!failed(e))
		e = explain(&in, &fault);
	log_input_done(&in);
	return failed(e) ? log_refused(e, &fault) : printed();
}
