/* SPDX-License-Identifier: Apache-2.0 */
/* What the verbs on a firmware log share. */
#ifndef ASSAY_MEASURE_VERB_EVLOG_H
#define ASSAY_MEASURE_VERB_EVLOG_H

#include "firmware-measure/evlog_check.h"
#include "firmware-measure/userlog.h"
#include "firmware-measure/program.h"

/* Options of a verb on a log. */
struct log_options {
	const char *bank; /* NULL: the best of the log */
	bool cc;          /* registers are those of a confidential VM */
	const char *userspace; /* systemd's log of the same boot, or NULL */
};

struct log_input {
	struct buf raw;
	struct evlog log;
	enum digest_id bank; /* that findings are looked for in */
	bool confidential;
	struct buf userspace; /* systemd's log, or nothing */
};

/*
 * Reads a file to its end, opens the log and chooses the bank. reterr says
 * where and why. E_LOCAL_*, E_LIMIT_SIZE, errors of evlog_open(), E_PEER_UNSUPPORTED (E8: no such
 * bank). log_input_done() also after a failure.
 */
must_check struct err log_input_read(const char *path, const struct log_options *o, struct log_input *in,
				     struct evlog_fault *reterr);
void log_input_done(struct log_input *in);

/* The best bank that both logs have. E_PEER_UNSUPPORTED. */
must_check struct err log_common_bank(const struct evlog *a, const struct evlog *b, enum digest_id *ret,
				      struct evlog_fault *reterr);

/* userlog_next() of in->userspace, whose faults say that they are of that log. */
must_check struct err log_next_record(const struct log_input *in, struct userlog_pos *pos, struct userlog_record *ret,
				      struct evlog_fault *reterr);
/* What is said of a record, in words: its type, else the type of its contents. */
struct bytes log_record_type(const struct userlog_record *r);

/*
 * Says why a log cannot be read: a line on stderr with the offset and, with
 * --json, an object with "error", "offset" and "text" on stdout. The exit status.
 */
int log_refused(struct err e, const struct evlog_fault *fault);

/* -1, or the exit status after a bank that nobody knows. */
int log_check_bank(const char *bank);

#endif
