/* SPDX-License-Identifier: Apache-2.0 */
/* What the verbs on a firmware log share. */
#ifndef ASSAY_MEASURE_VERB_EVLOG_H
#define ASSAY_MEASURE_VERB_EVLOG_H

#include "firmware-measure/evlog_check.h"
#include "firmware-measure/program.h"

/* Options of a verb on a log. */
struct log_options {
	const char *bank; /* NULL: the best of the log */
	bool cc;          /* registers are those of a confidential VM */
};

struct log_input {
	struct buf raw;
	struct evlog log;
	enum digest_id bank; /* that findings are looked for in */
	bool confidential;
};

/*
 * Reads a file to its end, opens the log and chooses the bank. reterr says
 * where and why. E_LOCAL_*, E_LIMIT_SIZE, errors of evlog_open(), E_PEER_UNSUPPORTED (E8: no such
 * bank). The caller frees in->raw also on failure.
 */
must_check struct err log_input_read(const char *path, const struct log_options *o, struct log_input *in,
				     struct evlog_fault *reterr);

/*
 * Says why a log cannot be read: a line on stderr with the offset and, with
 * --json, an object with "error", "offset" and "text" on stdout. The exit status.
 */
int log_refused(struct err e, const struct evlog_fault *fault);

/* -1, or the exit status after a bank that nobody knows. */
int log_check_bank(const char *bank);

#endif
