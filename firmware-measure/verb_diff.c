/* SPDX-License-Identifier: Apache-2.0 */
/* The verb "diff". */
#include "base/log.h"
#include "firmware-measure/diff.h"
#include "firmware-measure/verb_evlog.h"

static struct log_options options;
static struct opt_list userspace;

static const struct opt opts[] = {
	{ "userspace", OPT_LIST, &userspace, "FILE", "systemd's log of a boot (tpm2-measure.log), first and second", 0 },
	{ "bank", OPT_STRING, &options.bank, "BANK", "compare this bank (default: the best that both have)", 0 },
};

static struct err to_list(void *ctx, const struct diff_change *c)
{
	json_t *list = ctx;
	cleanup_json json_t *o = NULL;
	struct err e;

	if (failed(e = json_new_object(&o)) || failed(e = json_put_int(o, "pcr", c->pcr)) ||
	    failed(e = json_put_str(o, "what", c->what)) ||
	    failed(e = c->was.n > 0 ? json_put_text(o, "was", c->was) : json_put(o, "was", json_null())) ||
	    failed(e = c->now.n > 0 ? json_put_text(o, "now", c->now) : json_put(o, "now", json_null())))
		return e;
	return ERR(json_array_append(list, o) == 0 ? E_OK : E_LOCAL_MEMORY);
}

static struct err to_text(void *ctx, const struct diff_change *c)
{
	(void)ctx;
	(void)printf("PCR %-2u  %s: ", c->pcr, c->what);
	if (c->was.n > 0 && c->now.n > 0)
		(void)printf("%s -> %s\n", log_quote(c->was), log_quote(c->now));
	else
		(void)printf("%s %s\n", c->was.n > 0 ? "-" : "+", log_quote(c->was.n > 0 ? c->was : c->now));
	return ERR(E_OK);
}

static struct err compare(const struct log_input in[2], bool *ret_same, struct evlog_fault *fault)
{
	cleanup_json json_t *list = json_array(), *o = NULL;
	diff_fn *say = common.json ? to_list : to_text;
	enum digest_id bank = in[0].bank;
	bool firmware, records;
	struct err e;

	if (list == NULL)
		return ERR(E_LOCAL_MEMORY);
	if (in[0].confidential != in[1].confidential) {
		reason_set(&fault->why, "one log is that of a confidential VM, the other is not");
		return ERR(E_PEER_TYPE);
	}
	if (options.bank == NULL && failed(e = log_common_bank(&in[0].log, &in[1].log, &bank, fault)))
		return e;
	if (failed(e = diff_logs(&in[0].log, &in[1].log, bank, say, list, &firmware, fault)) ||
	    failed(e = diff_userlogs(buf_bytes(&in[0].userspace), buf_bytes(&in[1].userspace), bank, say, list,
				     &records, fault)))
		return e;
	*ret_same = firmware && records;
	if (!common.json)
		return ERR(E_OK);
	if (failed(e = json_new_object(&o)) || failed(e = json_put_bool(o, "same", *ret_same)) ||
	    failed(e = json_put(o, "changes", json_incref(list))))
		return e;
	return print_json(o);
}

int verb_diff(void *ctx, int argc, char **argv)
{
	struct log_input in[2] = { 0 };
	struct evlog_fault fault = { 0 };
	bool same = false;
	char **pos;
	int n, status;
	struct err e = ERR(E_OK);

	(void)ctx;
	status = program_options(argc, argv, opts, array_len(opts), 2, 2, &pos, &n);
	if (status >= 0 || (status = log_check_bank(options.bank)) >= 0)
		return status;
	if (userspace.n == 1)
		return program_usage("--userspace is given for both logs, or for none");
	for (int i = 0; i < 2 && !failed(e); i++) {
		struct reason why;

		options.userspace = userspace.n == 2 ? userspace.v[i] : NULL;
		if (!failed(e = log_input_read(pos[i], &options, &in[i], &fault)))
			continue;
		why = fault.why;
		reason_set(&fault.why, "%s log: %.400s", i == 0 ? "first" : "second", why.text);
	}
	if (!failed(e))
		e = compare(in, &same, &fault);
	log_input_done(&in[0]);
	log_input_done(&in[1]);
	if (failed(e)) {
		(void)log_refused(e, &fault);
		return EXIT_UNDECIDED; /* 1 says that they differ */
	}
	status = printed();
	return status != EXIT_ACCEPTED || same ? status : EXIT_REJECTED;
}
