/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Command lines: verb tables, option tables, usage errors on one line.
 *
 * Exit status everywhere: 0 accepted, 1 rejected, 2 usage, 3 could not decide.
 * --help and --version are handled for every program and every verb and print
 * to stdout. Options are "--name VALUE", "--name=VALUE" or flags "--name";
 * "--" ends them.
 *
 * "--list-options" as the only argument prints every verb and option of the
 * program from its tables, one a line ("verb", "verb --option", "--common"),
 * so that man pages can be compared with them. It runs each verb, so a verb
 * calls verb_options() before it does anything else.
 */
#ifndef ASSAY_BASE_ARGS_H
#define ASSAY_BASE_ARGS_H

#include "base/bytes.h"

enum exit_status { EXIT_ACCEPTED = 0, EXIT_REJECTED = 1, EXIT_USAGE = 2, EXIT_UNDECIDED = 3 };

enum opt_kind {
	OPT_FLAG,     /* bool *       */
	OPT_STRING,   /* const char **: borrowed from argv; last one wins */
	OPT_LIST,     /* struct opt_list *: may repeat */
	OPT_U64,      /* uint64_t *: strict decimal, at most max */
	OPT_DURATION, /* uint64_t *: seconds, "90s", "15m", "12h", "30d", at most max */
};

#define OPT_LIST_MAX 64
struct opt_list {
	size_t n;
	const char *v[OPT_LIST_MAX];
};

struct opt {
	const char *name;  /* without "--" */
	enum opt_kind kind;
	void *to;
	const char *value; /* what stands in help, "FILE"; NULL for flags */
	const char *help;  /* one line */
	uint64_t max;      /* OPT_U64, OPT_DURATION; 0 = UINT64_MAX */
};

struct verb {
	const char *name;  /* "" in a program without verbs, which calls verb_options() itself */
	const char *alias; /* or NULL */
	const char *args;  /* what stands in help behind the options, "-- CMD [ARG...]" or "" */
	const char *help;  /* one line */
	int (*run)(void *ctx, int argc, char **argv); /* argv[0] is the verb; returns an exit status */
};

struct program {
	const char *name;  /* "assay-attest" */
	const char *help;  /* one line */
	const struct verb *verbs;
	size_t n_verbs;
	const struct opt *common; /* options allowed before the verb and in every verb */
	size_t n_common;
};

/*
 * Finds the verb and runs it with what stands behind it. Handles --help,
 * --version, --list-options, common options, usage errors. Returns the exit
 * status; EXIT_UNDECIDED when stdout cannot take the help.
 */
int program_main(const struct program *p, void *ctx, int argc, char **argv);

/*
 * Parses options of one verb (program's common ones included). Positional
 * arguments, between min and max of them, are moved to *ret_pos (argv's own
 * memory, from argv[1] on), at most max; behind "--" everything is positional.
 * Returns -1 to go on, otherwise an exit status: 0 after --help, 2 after a
 * usage error, which was printed as one line on stderr.
 */
int verb_options(const struct program *p, const struct verb *v, int argc, char **argv, const struct opt *opts,
		 size_t n_opts, int min, int max, char ***ret_pos, int *ret_n_pos);

/* "name: text" as one line on stderr; returns EXIT_USAGE. Foreign text goes through log_quote(). */
int usage_error(const struct program *p, const char *fmt, ...) printf_like(2, 3);

/* The exit status that fits an error: E_PEER_*, E_AUTH_*, E_LIMIT_* rejected (1), the rest 3. */
int exit_for(struct err e);

#endif
