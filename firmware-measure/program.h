/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the verbs of the program share. A verb is one file, verb_NAME.c, with
 * its own options; main.c lists it in its table.
 */
#ifndef ASSAY_MEASURE_PROGRAM_H
#define ASSAY_MEASURE_PROGRAM_H

#include "base/args.h"
#include "base/json.h"

/* Options before or behind any verb. */
struct common_options {
	bool json; /* one JSON object on stdout */
};
extern struct common_options common;

extern const struct program measure_program;
/* A usage error as one line; foreign text goes through log_quote(). */
#define program_usage(...) usage_error(&measure_program, __VA_ARGS__)

/* verb_options() for the verb that argv[0] names. */
int program_options(int argc, char **argv, const struct opt *opts, size_t n_opts, int min, int max, char ***ret_pos,
		    int *ret_n_pos);

/* "firmware-measure: reason (E_NAME)" on stderr, the error's text where there is no reason; the exit status of the
 * error. */
int refused(struct err e, const struct reason *why);

/* What was printed has reached whoever reads it, or nothing was decided: the exit status. */
int printed(void);

/* One line of JSON on stdout. */
must_check struct err print_json(const json_t *o);

struct hex {
	char s[65];
};
/* Lower-case hex of a SHA-256 digest. */
struct hex hex(const uint8_t d[32]);

/* Each returns an exit status. */
int verb_diff(void *ctx, int argc, char **argv);
int verb_allowlist(void *ctx, int argc, char **argv);
int verb_explain(void *ctx, int argc, char **argv);
int verb_ima(void *ctx, int argc, char **argv);
int verb_image(void *ctx, int argc, char **argv);
int verb_learn(void *ctx, int argc, char **argv);
int verb_log(void *ctx, int argc, char **argv);
int verb_model(void *ctx, int argc, char **argv);
int verb_predict(void *ctx, int argc, char **argv);
int verb_rootfs(void *ctx, int argc, char **argv);

#endif
