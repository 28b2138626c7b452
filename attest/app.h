/* SPDX-License-Identifier: Apache-2.0 */
/* The program assay-attest: what its verbs share. */
#ifndef ASSAY_ATTEST_APP_H
#define ASSAY_ATTEST_APP_H

#include "attest/attest.h"

#define EXIT_RUN_REFUSED 125       /* as env(1): the program itself failed or refused */
#define EXIT_RUN_CANNOT_EXECUTE 126
#define EXIT_RUN_NOT_FOUND 127

struct app {
	const struct program *program;
	struct conf_flags flags;
	bool json;
};

int verb_enrol(void *ctx, int argc, char **argv);
int verb_run(void *ctx, int argc, char **argv);
int verb_attest(void *ctx, int argc, char **argv);
int verb_daemon(void *ctx, int argc, char **argv);
int verb_identity(void *ctx, int argc, char **argv);
int verb_token(void *ctx, int argc, char **argv);
int verb_certificate(void *ctx, int argc, char **argv);
int verb_proof(void *ctx, int argc, char **argv);
int verb_revoke(void *ctx, int argc, char **argv);
int verb_oci_hook(void *ctx, int argc, char **argv);
int verb_hooks(void *ctx, int argc, char **argv);
int verb_status(void *ctx, int argc, char **argv);

/* The verb with this name in the program's table. */
const struct verb *app_verb(const struct app *app, const char *name);

/* One line on stderr, and with --json {"outcome","error","reason"} on stdout. Returns exit_for(e). */
int app_failed(const struct app *app, struct err e, const struct reason *why);

/*
 * Options are parsed: loads the configuration, sets the log level, opens the
 * state folder. Returns -1 to go on, else an exit status; what failed was printed.
 */
int app_open(const struct app *app, struct conf *ret_conf, struct host *ret_host);
/* The same for hosts that are enrolled. */
int app_open_enrolled(const struct app *app, struct conf *ret_conf, struct host *ret_host);

/* One JSON object as a line on f. */
must_check struct err app_print_json(const json_t *o, FILE *f);

#endif
