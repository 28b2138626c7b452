/* SPDX-License-Identifier: Apache-2.0 */
#include "base/args.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "config.h"

#define GO_ON (-1)
#define HELP_COLUMN_MAX 36 /* a longer left side has its text on the next line */
#define VERB_MAX 64

static const struct opt builtin[] = {
	{ .name = "help", .help = "print this and exit" },
	{ .name = "version", .help = "print the version and exit" },
};

/* A verb's options: its own and the program's. Without a verb, the program's alone. */
struct scope {
	const struct program *p;
	const struct verb *v;
	const struct opt *opts;
	size_t n_opts;
};

/* "" before there is a verb, and in a program that has none. */
static const char *verb_name(const struct scope *s)
{
	return s->v == NULL ? "" : s->v->name;
}

/* "program[ verb]: text (see program[ verb] --help)" */
static printf_like(2, 3) int scope_error(const struct scope *s, const char *fmt, ...)
{
	char text[1024], who[2 * VERB_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	(void)snprintf(who, sizeof(who), "%s%s%s", s->p->name, verb_name(s)[0] == '\0' ? "" : " ", verb_name(s));
	(void)fprintf(stderr, "%s: %s (see %s --help)\n", who, text, who);
	return EXIT_USAGE;
}

int usage_error(const struct program *p, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	(void)fprintf(stderr, "%s: %s\n", p->name, text);
	return EXIT_USAGE;
}

/* Help that got lost on a full disk or a closed pipe was not given. */
static int printed(void)
{
	return fflush(stdout) == 0 && ferror(stdout) == 0 ? EXIT_ACCEPTED : EXIT_UNDECIDED;
}

static size_t opt_width(const struct opt *o)
{
	return strlen("--") + strlen(o->name) + (o->value == NULL ? 0 : 1 + strlen(o->value));
}

static size_t max_width(const struct opt *opts, size_t n, size_t width)
{
	for (size_t i = 0; i < n; i++)
		if (opt_width(&opts[i]) > width && opt_width(&opts[i]) <= HELP_COLUMN_MAX)
			width = opt_width(&opts[i]);
	return width;
}

static void print_entry(size_t width, size_t used, const char *help)
{
	if (used > width)
		(void)printf("\n  %*s  %s\n", (int)width, "", help);
	else
		(void)printf("%*s  %s\n", (int)(width - used), "", help);
}

static void print_opts(const struct opt *opts, size_t n, size_t width)
{
	for (size_t i = 0; i < n; i++) {
		(void)printf("  --%s%s%s", opts[i].name, opts[i].value == NULL ? "" : " ",
			     opts[i].value == NULL ? "" : opts[i].value);
		print_entry(width, opt_width(&opts[i]), opts[i].help);
	}
}

/* The options of a scope, all texts in one column. */
static void print_all_opts(const struct scope *s)
{
	size_t width = max_width(builtin, array_len(builtin), 0);

	width = max_width(s->opts, s->n_opts, width);
	width = max_width(s->p->common, s->p->n_common, width);
	(void)printf("\nOptions:\n");
	print_opts(s->opts, s->n_opts, width);
	print_opts(s->p->common, s->p->n_common, width);
	print_opts(builtin, array_len(builtin), width);
}

static int print_verb_help(const struct scope *s)
{
	const char *args = s->v->args == NULL ? "" : s->v->args;

	(void)printf("Usage: %s%s%s [OPTIONS]%s%s\n\n%s\n", s->p->name, verb_name(s)[0] == '\0' ? "" : " ", verb_name(s),
		     args[0] == '\0' ? "" : " ", args, s->v->help);
	if (s->v->alias != NULL)
		(void)printf("\nAlso known as: %s\n", s->v->alias);
	print_all_opts(s);
	return printed();
}

static int print_program_help(const struct scope *s)
{
	size_t width = 0;

	(void)printf("Usage: %s [OPTIONS] VERB [ARGUMENTS]\n\n%s\n\nVerbs:\n", s->p->name, s->p->help);
	for (size_t i = 0; i < s->p->n_verbs; i++)
		if (strlen(s->p->verbs[i].name) > width)
			width = strlen(s->p->verbs[i].name);
	for (size_t i = 0; i < s->p->n_verbs; i++) {
		(void)printf("  %s", s->p->verbs[i].name);
		print_entry(width, strlen(s->p->verbs[i].name), s->p->verbs[i].help);
	}
	print_all_opts(s);
	(void)printf("\nSee %s VERB --help for the options of a verb.\n", s->p->name);
	return printed();
}

static int print_version(const struct program *p)
{
	(void)printf("%s %s\n", p->name, ASSAY_VERSION);
	return printed();
}

static int list_verb(const struct scope *s)
{
	const char *name = s->v->name, *space = name[0] == '\0' ? "" : " ";

	if (name[0] != '\0')
		(void)printf("%s\n", name);
	for (size_t i = 0; name[0] == '\0' && i < array_len(builtin); i++)
		(void)printf("--%s\n", builtin[i].name);
	if (s->v->alias != NULL)
		(void)printf("%s\n", s->v->alias);
	for (size_t i = 0; i < s->n_opts; i++)
		(void)printf("%s%s--%s\n", name, space, s->opts[i].name);
	return printed();
}

/* A verb's options are known only inside it, where it calls verb_options(). */
static int list_program(const struct program *p, void *ctx)
{
	int status = EXIT_ACCEPTED;

	for (size_t i = 0; i < array_len(builtin); i++)
		(void)printf("--%s\n", builtin[i].name);
	for (size_t i = 0; i < p->n_common; i++)
		(void)printf("--%s\n", p->common[i].name);
	for (size_t i = 0; i < p->n_verbs && status == EXIT_ACCEPTED; i++) {
		char name[VERB_MAX], list[] = "--list-options";
		char *argv[] = { name, list, NULL };

		(void)snprintf(name, sizeof(name), "%s", p->verbs[i].name);
		status = p->verbs[i].run(ctx, 2, argv);
	}
	return status == EXIT_ACCEPTED ? printed() : status;
}

static const struct opt *find_opt(const struct scope *s, struct bytes name)
{
	for (size_t i = 0; i < s->n_opts; i++)
		if (bytes_eq(bytes_str(s->opts[i].name), name))
			return &s->opts[i];
	for (size_t i = 0; i < s->p->n_common; i++)
		if (bytes_eq(bytes_str(s->p->common[i].name), name))
			return &s->p->common[i];
	return NULL;
}

static int store_number(const struct scope *s, const struct opt *o, const char *value)
{
	uint64_t max = o->max == 0 ? UINT64_MAX : o->max;
	bool duration = o->kind == OPT_DURATION;
	struct err e = duration ? parse_duration_s(value, max, o->to) : parse_u64(value, max, o->to);

	if (!failed(e))
		return GO_ON;
	if (e.code == E_PEER_RANGE)
		return scope_error(s, "--%s: \"%s\" is more than %" PRIu64 "%s", o->name, log_quote(bytes_str(value)), max,
				   duration ? " seconds" : "");
	return scope_error(s, "--%s: \"%s\" is no %s", o->name, log_quote(bytes_str(value)),
			   duration ? "duration such as 90s, 15m, 12h or 30d" : "decimal number");
}

static int store_list(const struct scope *s, const struct opt *o, const char *value)
{
	struct opt_list *list = o->to;

	if (list->n == OPT_LIST_MAX)
		return scope_error(s, "--%s: given more than %d times", o->name, OPT_LIST_MAX);
	list->v[list->n++] = value;
	return GO_ON;
}

/* value is NULL exactly for flags. */
static int store(const struct scope *s, const struct opt *o, const char *value)
{
	switch (o->kind) {
	case OPT_FLAG:
		*(bool *)o->to = true;
		return GO_ON;
	case OPT_STRING:
		*(const char **)o->to = value;
		return GO_ON;
	case OPT_LIST:
		return store_list(s, o, value);
	case OPT_U64:
	case OPT_DURATION:
		return store_number(s, o, value);
	}
	return scope_error(s, "--%s: unknown kind of option", o->name);
}

/* The option argv[*i], and its value where that is the next argument; leaves *i on the last one it used. */
static int take_option(const struct scope *s, int argc, char **argv, int *i)
{
	const char *arg = argv[*i], *name = arg + strlen("--");
	const char *equals = strchr(name, '=');
	size_t n = equals == NULL ? strlen(name) : (size_t)(equals - name);
	const struct opt *o = strncmp(arg, "--", 2) == 0 ? find_opt(s, BYTES(name, n)) : NULL;

	if (o == NULL)
		return scope_error(s, "unknown option %s", log_quote(BYTES(arg, (size_t)(name - arg) + n)));
	if (o->kind == OPT_FLAG && equals != NULL)
		return scope_error(s, "--%s takes no value", o->name);
	if (o->kind == OPT_FLAG)
		return store(s, o, NULL);
	if (equals != NULL)
		return store(s, o, equals + 1);
	if (*i + 1 >= argc)
		return scope_error(s, "--%s needs a value", o->name);
	*i += 1;
	return store(s, o, argv[*i]);
}

static bool is_option(const char *arg)
{
	return arg[0] == '-' && arg[1] != '\0'; /* "-" alone names standard input or output */
}

static int check_count(const struct scope *s, int n, int min, int max)
{
	const char *args = s->v->args == NULL ? "" : s->v->args;

	if (n > max && max == 0)
		return scope_error(s, "takes no arguments");
	if (n < min || n > max)
		return scope_error(s, "%s: %s", n < min ? "argument missing" : "too many arguments", args);
	return GO_ON;
}

int verb_options(const struct program *p, const struct verb *v, int argc, char **argv, const struct opt *opts,
		 size_t n_opts, int min, int max, char ***ret_pos, int *ret_n_pos)
{
	const struct scope s = { p, v, opts, n_opts };
	int n_pos = 0, status;
	bool ended = false;

	for (int i = 1; i < argc; i++) {
		if (ended || !is_option(argv[i])) {
			argv[++n_pos] = argv[i]; /* never behind i */
			continue;
		}
		if (strcmp(argv[i], "--") == 0) {
			ended = true;
			continue;
		}
		if (strcmp(argv[i], "--help") == 0)
			return print_verb_help(&s);
		if (strcmp(argv[i], "--version") == 0)
			return print_version(p);
		if (argc == 2 && strcmp(argv[i], "--list-options") == 0)
			return list_verb(&s);
		status = take_option(&s, argc, argv, &i);
		if (status != GO_ON)
			return status;
	}
	status = check_count(&s, n_pos, min, max);
	if (status != GO_ON)
		return status;
	*ret_pos = argv + 1;
	*ret_n_pos = n_pos;
	return GO_ON;
}

static const struct verb *find_verb(const struct program *p, const char *name)
{
	for (size_t i = 0; i < p->n_verbs; i++) {
		const struct verb *v = &p->verbs[i];

		if (strcmp(v->name, name) == 0 || (v->alias != NULL && strcmp(v->alias, name) == 0))
			return v;
	}
	return NULL;
}

int program_main(const struct program *p, void *ctx, int argc, char **argv)
{
	const struct scope s = { .p = p };
	const struct verb *v;
	int status;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0)
			return print_program_help(&s);
		if (strcmp(argv[i], "--version") == 0)
			return print_version(p);
		if (argc == 2 && strcmp(argv[i], "--list-options") == 0)
			return list_program(p, ctx);
		if (is_option(argv[i])) {
			status = take_option(&s, argc, argv, &i);
			if (status != GO_ON)
				return status;
			continue;
		}
		v = find_verb(p, argv[i]);
		if (v == NULL)
			return scope_error(&s, "unknown verb %s", log_quote(bytes_str(argv[i])));
		return v->run(ctx, argc - i, argv + i);
	}
	return scope_error(&s, "verb missing");
}

int exit_for(struct err e)
{
	const char *name = err_name(e);

	if (!failed(e))
		return EXIT_ACCEPTED;
	if (strncmp(name, "E_PEER_", 7) == 0 || strncmp(name, "E_AUTH_", 7) == 0 || strncmp(name, "E_LIMIT_", 8) == 0)
		return EXIT_REJECTED;
	return EXIT_UNDECIDED;
}
