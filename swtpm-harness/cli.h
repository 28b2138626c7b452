/* SPDX-License-Identifier: Apache-2.0 */
/* The program: what its verbs share. */
#ifndef ASSAY_SWTPM_HARNESS_CLI_H
#define ASSAY_SWTPM_HARNESS_CLI_H

#include "base/args.h"
#include "swtpm-harness/harness.h"

#define CLI_DIR "./swtpm-harness.d"

struct cli {
	const struct program *program;
	const char *dir; /* NULL where not given */
	bool json;
};

/* Options that say what `up` and `run` make, with their storage. */
#define CLI_UP_OPTS 7
struct cli_up {
	uint64_t count, timeout_s;
	const char *banks;
	bool no_ek_cert, foreign_ca, expired_ek_cert, ek_cert_is_ca;
	struct opt opts[CLI_UP_OPTS];
};
void cli_up_init(struct cli_up *up);
/* -1, or the status of a usage error. Fills everything but dir, cancel_fd and progress. */
int cli_up_options(const struct cli *cli, const struct cli_up *up, struct harness_options *ret);

/* The verb's own entry in the program's table. */
const struct verb *cli_verb(const struct cli *cli, const char *name);

/* Says on stderr why, in one line; returns the exit status that fits. */
int cli_failed(const struct cli *cli, struct err e, const struct reason *reason);

/* Blocks SIGINT, SIGTERM and SIGHUP, which arrive at the descriptor instead. E_LOCAL_IO. */
must_check struct err cli_signals(int *ret_fd);

int cli_run(void *ctx, int argc, char **argv);

#endif
