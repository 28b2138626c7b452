/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include <limits.h>

#include "base/args.h"
#include "config.h"

/* What the verbs saw. */
struct seen {
	bool json, force;
	const char *name, *config;
	struct opt_list models;
	uint64_t count, life_s;
	int n_pos;
	char *pos[4];
	unsigned runs;
};
static struct seen seen;

static const struct program program;

static int finish(char **pos, int n_pos, int status)
{
	seen.runs++;
	seen.n_pos = n_pos;
	for (int i = 0; i < n_pos && i < 4; i++)
		seen.pos[i] = pos[i];
	return status;
}

static int verb_run(void *ctx, int argc, char **argv)
{
	const struct opt opts[] = {
		{ "agent", OPT_STRING, &seen.name, "NAME", "name of the agent", 0 },
		{ "model", OPT_LIST, &seen.models, "FOLDER", "model to measure; may be repeated", 0 },
		{ "count", OPT_U64, &seen.count, "N", "how often", 10 },
		{ "life", OPT_DURATION, &seen.life_s, "TIME", "how long", 900 },
		{ "force", OPT_FLAG, &seen.force, NULL, "even if it hurts", 0 },
		{ "an-option-with-a-very-long-name-indeed", OPT_STRING, &seen.name, "VALUE", "long", 0 },
	};
	char **pos;
	int n_pos;
	int status = verb_options(&program, &program.verbs[0], argc, argv, opts, array_len(opts), 0, 4, &pos, &n_pos);

	assert_ptr_equal(ctx, &seen);
	return status >= 0 ? status : finish(pos, n_pos, EXIT_REJECTED);
}

static int verb_status(void *ctx, int argc, char **argv)
{
	char **pos;
	int n_pos;
	int status = verb_options(&program, &program.verbs[1], argc, argv, NULL, 0, 0, 0, &pos, &n_pos);

	(void)ctx;
	return status >= 0 ? status : finish(pos, n_pos, EXIT_ACCEPTED);
}

static int verb_copy(void *ctx, int argc, char **argv)
{
	const struct opt opts[] = { { "no-limit", OPT_U64, &seen.count, "N", "any number", 0 } };
	char **pos;
	int n_pos;
	int status = verb_options(&program, &program.verbs[2], argc, argv, opts, array_len(opts), 1, 2, &pos, &n_pos);

	(void)ctx;
	return status >= 0 ? status : finish(pos, n_pos, EXIT_UNDECIDED);
}

static const struct opt common[] = {
	{ "config", OPT_STRING, &seen.config, "FILE", "configuration", 0 },
	{ "json", OPT_FLAG, &seen.json, NULL, "for machines", 0 },
};

static const struct verb verbs[] = {
	{ "run", NULL, "[-- CMD [ARG...]]", "starts an agent", verb_run },
	{ "status", "stat", "", "says how it is", verb_status },
	{ "copy", NULL, "FROM [TO]", "copies", verb_copy },
};

static const struct program program = {
	"assay-test", "tests command lines", verbs, array_len(verbs), common, array_len(common),
};

struct outcome {
	int status;
	char out[2000], err[2000];
};

/* Words separated by single blanks; "_" is an empty word. */
static void run_line(const char *line, struct outcome *ret)
{
	static char words[1000];
	char *argv[300] = { words };
	int argc = 1;
	struct capture out, err;

	(void)snprintf(words, sizeof(words), "assay-test %s", line);
	for (char *p = words; *p != '\0'; p++) {
		if (*p != ' ')
			continue;
		*p = '\0';
		if (p[1] != '\0')
			argv[argc++] = p + 1;
	}
	for (int i = 0; i < argc; i++)
		if (strcmp(argv[i], "_") == 0)
			argv[i][0] = '\0';
	memset(&seen, 0, sizeof(seen));
	capture_begin(&out, STDOUT_FILENO);
	capture_begin(&err, STDERR_FILENO);
	ret->status = program_main(&program, &seen, argc, argv);
	capture_end(&err, ret->err, sizeof(ret->err));
	capture_end(&out, ret->out, sizeof(ret->out));
}

static void options_reach_the_verb(void **state)
{
	struct outcome o;

	(void)state;
	run_line("--json run --agent a --model=m1 --model m2 --count 10 --life=15m --force x y", &o);
	assert_int_equal(o.status, EXIT_REJECTED);
	assert_string_equal(o.out, "");
	assert_string_equal(o.err, "");
	assert_true(seen.json && seen.force);
	assert_string_equal(seen.name, "a");
	assert_int_equal(seen.models.n, 2);
	assert_string_equal(seen.models.v[0], "m1");
	assert_string_equal(seen.models.v[1], "m2");
	assert_int_equal(seen.count, 10);
	assert_int_equal(seen.life_s, 900);
	assert_int_equal(seen.n_pos, 2);
	assert_string_equal(seen.pos[0], "x");
	assert_string_equal(seen.pos[1], "y");
	assert_int_equal(seen.runs, 1);
}

static void arguments_and_options_may_mix(void **state)
{
	struct outcome o;

	(void)state;
	run_line("run x --agent a y --force - z", &o);
	assert_int_equal(o.status, EXIT_REJECTED);
	assert_int_equal(seen.n_pos, 4);
	assert_string_equal(seen.pos[0], "x");
	assert_string_equal(seen.pos[1], "y");
	assert_string_equal(seen.pos[2], "-");
	assert_string_equal(seen.pos[3], "z");
	assert_true(seen.force);
	run_line("run --agent a -- --force --help -- x", &o);
	assert_int_equal(o.status, EXIT_REJECTED);
	assert_false(seen.force);
	assert_int_equal(seen.n_pos, 4);
	assert_string_equal(seen.pos[0], "--force");
	assert_string_equal(seen.pos[1], "--help");
	assert_string_equal(seen.pos[2], "--");
	assert_string_equal(seen.pos[3], "x");
}

static void values_are_taken_as_they_are(void **state)
{
	struct outcome o;

	(void)state;
	run_line("run --agent --force --agent=a=b=c", &o);
	assert_string_equal(seen.name, "a=b=c");
	assert_false(seen.force);
	run_line("run --agent=", &o);
	assert_string_equal(seen.name, "");
	run_line("run --agent _ _", &o);
	assert_string_equal(seen.name, "");
	assert_int_equal(seen.n_pos, 1);
	run_line("copy --no-limit 18446744073709551615 a", &o);
	assert_int_equal(o.status, EXIT_UNDECIDED);
	assert_true(seen.count == UINT64_MAX);
	run_line("stat --config f --json", &o);
	assert_int_equal(o.status, EXIT_ACCEPTED);
	assert_string_equal(seen.config, "f");
	assert_true(seen.json);
	run_line("--config=before stat --config after", &o);
	assert_string_equal(seen.config, "after");
}

static void usage_errors_are_one_line(void **state)
{
	static const struct {
		const char *line, *err;
	} cases[] = {
		{ "", "assay-test: verb missing (see assay-test --help)\n" },
		{ "--json", "assay-test: verb missing (see assay-test --help)\n" },
		{ "walk", "assay-test: unknown verb walk (see assay-test --help)\n" },
		{ "ru", "assay-test: unknown verb ru (see assay-test --help)\n" },
		{ "\x1b[2J", "assay-test: unknown verb \\x1b[2J (see assay-test --help)\n" },
		{ "--foo run", "assay-test: unknown option --foo (see assay-test --help)\n" },
		{ "--agent a run", "assay-test: unknown option --agent (see assay-test --help)\n" },
		{ "-- run", "assay-test: unknown option -- (see assay-test --help)\n" },
		{ "--config", "assay-test: --config needs a value (see assay-test --help)\n" },
		{ "--list-options run", "assay-test: unknown option --list-options (see assay-test --help)\n" },
		{ "run --foo", "assay-test run: unknown option --foo (see assay-test run --help)\n" },
		{ "run --foo=secret", "assay-test run: unknown option --foo (see assay-test run --help)\n" },
		{ "run --foo\nbar", "assay-test run: unknown option --foo\\x0abar (see assay-test run --help)\n" },
		{ "run -f", "assay-test run: unknown option -f (see assay-test run --help)\n" },
		{ "run -agent a", "assay-test run: unknown option -agent (see assay-test run --help)\n" },
		{ "run -xagent a", "assay-test run: unknown option -xagent (see assay-test run --help)\n" },
		{ "run --agen a", "assay-test run: unknown option --agen (see assay-test run --help)\n" },
		{ "run --=a", "assay-test run: unknown option -- (see assay-test run --help)\n" },
		{ "run --agent", "assay-test run: --agent needs a value (see assay-test run --help)\n" },
		{ "run --force=1", "assay-test run: --force takes no value (see assay-test run --help)\n" },
		{ "run --json=", "assay-test run: --json takes no value (see assay-test run --help)\n" },
		{ "run --count 11", "assay-test run: --count: \"11\" is more than 10 (see assay-test run --help)\n" },
		{ "run --count=-1",
		  "assay-test run: --count: \"-1\" is no decimal number (see assay-test run --help)\n" },
		{ "run --count=", "assay-test run: --count: \"\" is no decimal number (see assay-test run --help)\n" },
		{ "run --count 0x1",
		  "assay-test run: --count: \"0x1\" is no decimal number (see assay-test run --help)\n" },
		{ "run --life 16m",
		  "assay-test run: --life: \"16m\" is more than 900 seconds (see assay-test run --help)\n" },
		{ "run --life 1w", "assay-test run: --life: \"1w\" is no duration such as 90s, 15m, 12h or 30d "
				   "(see assay-test run --help)\n" },
		{ "run a b c d e",
		  "assay-test run: too many arguments: [-- CMD [ARG...]] (see assay-test run --help)\n" },
		{ "status x", "assay-test status: takes no arguments (see assay-test status --help)\n" },
		{ "stat -- x", "assay-test status: takes no arguments (see assay-test status --help)\n" },
		{ "status --agent a", "assay-test status: unknown option --agent (see assay-test status --help)\n" },
		{ "copy", "assay-test copy: argument missing: FROM [TO] (see assay-test copy --help)\n" },
		{ "copy --no-limit 1", "assay-test copy: argument missing: FROM [TO] (see assay-test copy --help)\n" },
		{ "copy a b c", "assay-test copy: too many arguments: FROM [TO] (see assay-test copy --help)\n" },
		{ "copy --no-limit 18446744073709551616 a",
		  "assay-test copy: --no-limit: \"18446744073709551616\" is more than "
		  "18446744073709551615 (see assay-test copy --help)\n" },
	};
	struct outcome o;

	(void)state;
	for (size_t i = 0; i < array_len(cases); i++) {
		run_line(cases[i].line, &o);
		assert_string_equal(o.err, cases[i].err);
		assert_int_equal(o.status, EXIT_USAGE);
		assert_string_equal(o.out, "");
		assert_int_equal(seen.runs, 0);
	}
}

static void lists_have_an_end(void **state)
{
	char line[1000] = "run";
	struct outcome o;

	(void)state;
	for (unsigned i = 0; i < OPT_LIST_MAX; i++)
		(void)strncat(line, " --model m", sizeof(line) - strlen(line) - 1);
	run_line(line, &o);
	assert_int_equal(o.status, EXIT_REJECTED);
	assert_int_equal(seen.models.n, OPT_LIST_MAX);
	(void)strncat(line, " --model m", sizeof(line) - strlen(line) - 1);
	run_line(line, &o);
	assert_int_equal(o.status, EXIT_USAGE);
	assert_string_equal(o.err, "assay-test run: --model: given more than 64 times (see assay-test run --help)\n");
}

static void help_of_the_program(void **state)
{
	static const char want[] = "Usage: assay-test [OPTIONS] VERB [ARGUMENTS]\n"
				   "\n"
				   "tests command lines\n"
				   "\n"
				   "Verbs:\n"
				   "  run     starts an agent\n"
				   "  status  says how it is\n"
				   "  copy    copies\n"
				   "\n"
				   "Options:\n"
				   "  --config FILE  configuration\n"
				   "  --json         for machines\n"
				   "  --help         print this and exit\n"
				   "  --version      print the version and exit\n"
				   "\n"
				   "See assay-test VERB --help for the options of a verb.\n";
	static const char *const lines[] = { "--help", "--json --help", "--help --foo" };
	struct outcome o;

	(void)state;
	for (size_t i = 0; i < array_len(lines); i++) {
		run_line(lines[i], &o);
		assert_int_equal(o.status, EXIT_ACCEPTED);
		assert_string_equal(o.out, want);
		assert_string_equal(o.err, "");
	}
}

static void help_of_a_verb(void **state)
{
	struct outcome o;

	(void)state;
	run_line("run --agent a x --help", &o);
	assert_int_equal(o.status, EXIT_ACCEPTED);
	assert_string_equal(o.err, "");
	assert_string_equal(o.out, "Usage: assay-test run [OPTIONS] [-- CMD [ARG...]]\n"
				   "\n"
				   "starts an agent\n"
				   "\n"
				   "Options:\n"
				   "  --agent NAME    name of the agent\n"
				   "  --model FOLDER  model to measure; may be repeated\n"
				   "  --count N       how often\n"
				   "  --life TIME     how long\n"
				   "  --force         even if it hurts\n"
				   "  --an-option-with-a-very-long-name-indeed VALUE\n"
				   "                  long\n"
				   "  --config FILE   configuration\n"
				   "  --json          for machines\n"
				   "  --help          print this and exit\n"
				   "  --version       print the version and exit\n");
	assert_int_equal(seen.runs, 0);
	run_line("stat --help", &o);
	assert_int_equal(o.status, EXIT_ACCEPTED);
	assert_string_equal(o.out, "Usage: assay-test status [OPTIONS]\n"
				   "\n"
				   "says how it is\n"
				   "\n"
				   "Also known as: stat\n"
				   "\n"
				   "Options:\n"
				   "  --config FILE  configuration\n"
				   "  --json         for machines\n"
				   "  --help         print this and exit\n"
				   "  --version      print the version and exit\n");
	assert_int_equal(seen.runs, 0);
}

static void version(void **state)
{
	static const char *const lines[] = { "--version", "run --version", "stat --json --version" };
	struct outcome o;

	(void)state;
	for (size_t i = 0; i < array_len(lines); i++) {
		run_line(lines[i], &o);
		assert_int_equal(o.status, EXIT_ACCEPTED);
		assert_string_equal(o.out, "assay-test " ASSAY_VERSION "\n");
		assert_int_equal(seen.runs, 0);
	}
}

static void tables_list_themselves(void **state)
{
	struct outcome o;

	(void)state;
	run_line("--list-options", &o);
	assert_int_equal(o.status, EXIT_ACCEPTED);
	assert_string_equal(o.err, "");
	assert_string_equal(o.out, "--help\n"
				   "--version\n"
				   "--config\n"
				   "--json\n"
				   "run\n"
				   "run --agent\n"
				   "run --model\n"
				   "run --count\n"
				   "run --life\n"
				   "run --force\n"
				   "run --an-option-with-a-very-long-name-indeed\n"
				   "status\n"
				   "stat\n"
				   "copy\n"
				   "copy --no-limit\n");
	assert_int_equal(seen.runs, 0);
	run_line("stat --list-options", &o);
	assert_int_equal(o.status, EXIT_ACCEPTED);
	assert_string_equal(o.out, "status\nstat\n");
}

/* Help that a full disk swallowed was not given. */
static void help_to_a_full_disk(void **state)
{
	static char name[] = "assay-test", help[] = "--help";
	char *argv[] = { name, help, NULL };
	int saved, status;
	cleanup_file FILE *full = fopen("/dev/full", "w");

	(void)state;
	assert_non_null(full);
	(void)fflush(stdout);
	saved = dup(STDOUT_FILENO);
	assert_true(saved >= 0);
	assert_int_equal(dup2(fileno(full), STDOUT_FILENO), STDOUT_FILENO);
	status = program_main(&program, &seen, 2, argv);
	clearerr(stdout);
	assert_int_equal(dup2(saved, STDOUT_FILENO), STDOUT_FILENO);
	(void)close(saved);
	assert_int_equal(status, EXIT_UNDECIDED);
}

static void usage_error_of_a_program(void **state)
{
	struct capture c;
	char err[1000];
	int status;

	(void)state;
	capture_begin(&c, STDERR_FILENO);
	status = usage_error(&program, "--%s and --%s exclude each other", "a", "b");
	capture_end(&c, err, sizeof(err));
	assert_int_equal(status, EXIT_USAGE);
	assert_string_equal(err, "assay-test: --a and --b exclude each other\n");
}

static void exit_statuses(void **state)
{
	(void)state;
	for (unsigned i = 0; i < N_ERR_CODES; i++) {
		struct err e = ERR((enum err_code)i);
		bool local = err_http(e) >= 500;

		assert_int_equal(exit_for(e), i == E_OK ? EXIT_ACCEPTED : local ? EXIT_UNDECIDED : EXIT_REJECTED);
	}
	assert_int_equal(exit_for(ERR((enum err_code)9999)), EXIT_UNDECIDED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_reach_the_verb),
		cmocka_unit_test(arguments_and_options_may_mix),
		cmocka_unit_test(values_are_taken_as_they_are),
		cmocka_unit_test(usage_errors_are_one_line),
		cmocka_unit_test(lists_have_an_end),
		cmocka_unit_test(help_of_the_program),
		cmocka_unit_test(help_of_a_verb),
		cmocka_unit_test(version),
		cmocka_unit_test(tables_list_themselves),
		cmocka_unit_test(help_to_a_full_disk),
		cmocka_unit_test(usage_error_of_a_program),
		cmocka_unit_test(exit_statuses),
	};

	return cmocka_run_group_tests_name("args", tests, NULL, NULL);
}
