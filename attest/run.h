/* SPDX-License-Identifier: Apache-2.0 */
/* The verb run, in parts: prepare and end (verb_run.c), watch over the command (run_watch.c), words (run_report.c). */
#ifndef ASSAY_ATTEST_RUN_H
#define ASSAY_ATTEST_RUN_H

#include "attest/app.h"
#include "attest/changes.h"
#include "attest/spawn.h"

struct run {
	const struct app *app;
	const struct conf *conf;
	struct host *host;
	struct user user;
	char *const *argv;
	struct instance instance;
	char id[INSTANCE_HEX_LEN + 1];
	int signal_fd;
	struct changes *changes; /* to what it was measured from; NULL: cannot be watched */
	int64_t expires_s;       /* of the last verdict */
};

/* Watches image and model from now on, in place of what was watched before; says so where that cannot be done. */
void run_watch_files(struct run *r);

/*
 * Waits for the command: forwards signals, attests again on an interval and when image or model changes, ends it
 * where that is refused. *ret_status is what run exits with. E_LOCAL_IO.
 */
must_check struct err run_watch(struct run *r, pid_t command, int *ret_status);

/*
 * On stderr, because standard output is the command's: one line for people, or with
 * --json one object with "event". reply may be NULL.
 */
void run_say(const struct run *r, const char *event, const char *text, const struct attest_reply *reply);

#endif
