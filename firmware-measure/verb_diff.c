/* SPDX-License-Identifier: Apache-2.0 */
/* The verb "diff". */
#include "base/log.h"
#include "firmware-measure/diff.h"
#include "firmware-measure/verb_evlog.h"

static struct log_options options;

static const struct opt opts[] = {
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

/* The best bank of one log that the other has, too. */
static struct err common_bank(const struct log_input in[2], enum digest_id *ret, struct evlog_fault *fault)
{
	static const enum digest_id order[] = { DIGEST_SHA256, DIGEST_SHA384, DIGEST_SHA512, DIGEST_SM3_256,
						DIGEST_SHA1 };

	for (size_t i = 0; i < array_len(order); i++) {
		if (!evlog_has_bank(&in[0].log, order[i]) || !evlog_has_bank(&in[1].log, order[i]))
			continue;
		*ret = order[i];
		return ERR(E_OK);
	}
	reason_set(&fault->why, "the logs have no bank in common");
	return ERR(E_PEER_UNSUPPORTED);
}

static struct err compare(const struct log_input in[2], bool *ret_same, struct evlog_fault *fault)
{
	cleanup_json json_t *list = json_array(), *o = NULL;
	enum digest_id bank = in[0].bank;
	struct err e;

	if (list == NULL)
		return ERR(E_LOCAL_MEMORY);
	if (in[0].confidential != in[1].confidential) {
		reason_set(&fault->why, "one log is that of a confidential VM, the other is not");
		return ERR(E_PEER_TYPE);
	}
	if (options.bank == NULL && failed(e = common_bank(in, &bank, fault)))
		return e;
	if (failed(e = diff_logs(&in[0].log, &in[1].log, bank, common.json ? to_list : to_text, list, ret_same,
				 fault)) ||
	    !common.json)
		return e;
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
	for (int i = 0; i < 2 && !failed(e); i++) {
		struct reason why;

		if (!failed(e = log_input_read(pos[i], &options, &in[i], &fault)))
			continue;
		why = fault.why;
		reason_set(&fault.why, "%s log: %.400s", i == 0 ? "first" : "second", why.text);
	}
	if (!failed(e))
		e = compare(in, &same, &fault);
	buf_free(&in[0].raw);
	buf_free(&in[1].raw);
	if (failed(e)) {
		(void)log_refused(e, &fault);
		return EXIT_UNDECIDED; /* 1 says that they differ */
	}
	status = printed();
	return status != EXIT_ACCEPTED || same ? status : EXIT_REJECTED;
}
