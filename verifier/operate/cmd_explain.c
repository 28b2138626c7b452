/* SPDX-License-Identifier: Apache-2.0 */
/* assayctl explain HOST: the last verdict, check by check. */
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "verifier/operate/ctl.h"

static const char *text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s != NULL ? s : "";
}

static const char *colour(const char *result)
{
	if (!isatty(STDOUT_FILENO))
		return "";
	if (strcmp(result, "pass") == 0)
		return "\033[32m";
	return strcmp(result, "fail") == 0 ? "\033[31m" : "\033[33m";
}

/* What each rule of the platform document decided, of one of the logs. */
static void print_coverage(const json_t *log, const char *name, const char *total)
{
	const char *rule;
	json_t *n;

	if (log == NULL)
		return;
	printf("  %s: %lld %s\n", name, (long long)json_integer_value(json_object_get(log, total)), total);
	json_object_foreach(json_object_get(log, "decided"), rule, n)
		printf("    %-8lld %s\n", (long long)json_integer_value(n), rule);
	if (json_integer_value(json_object_get(log, "undecided")) > 0)
		printf("    %-8lld no rule, as the document allows\n",
		       (long long)json_integer_value(json_object_get(log, "undecided")));
	if (json_integer_value(json_object_get(log, "ignored")) > 0)
		printf("    %-8lld ignored\n", (long long)json_integer_value(json_object_get(log, "ignored")));
}

/* What the instances in containers have as their root, and under which rules of the host they run. */
static void print_containers(const json_t *instances)
{
	json_t *row;
	size_t i;

	json_array_foreach(instances, i, row) {
		if (json_object_get(row, "rootfs") == NULL)
			continue;
		printf("  container of agent %s, instance %s\n", text(row, "agent"), text(row, "instance"));
		printf("    root      %s\n    policy    %s\n", text(row, "rootfs"), text(row, "container_policy"));
	}
}

static void print_people(const json_t *v)
{
	const json_t *coverage = json_object_get(v, "coverage");
	json_t *row;
	size_t i;

	printf("host %s: %s\n", text(v, "host"), text(v, "status"));
	json_array_foreach(json_object_get(v, "checks"), i, row) {
		const char *result = text(row, "result");
		const char *start = colour(result);

		printf("  %s%-8s%s %-12s %s\n", start, result, *start != '\0' ? "\033[0m" : "", text(row, "id"),
		       text(row, "name"));
	}
	json_array_foreach(json_object_get(v, "failures"), i, row) {
		printf("  %s %s\n", text(row, "check"), text(row, "subject"));
		printf("    expected  %s\n    seen      %s\n", text(row, "expected"), text(row, "seen"));
	}
	print_containers(json_object_get(v, "instances"));
	print_coverage(json_object_get(coverage, "firmware"), "firmware log", "events");
	print_coverage(json_object_get(coverage, "ima"), "IMA list", "entries");
}

int cmd_explain(void *ctx, int argc, char **argv)
{
	cleanup_json json_t *v = NULL;
	struct reason why = { { 0 } };
	const struct ctl *c = ctx;
	char path[128], **pos;
	int n, status = verb_options(&ctl_program, ctl_verb("explain"), argc, argv, NULL, 0, 1, 1, &pos, &n);
	struct err e;

	if (status >= 0)
		return status;
	if (!id_valid(bytes_str(pos[0])))
		return usage_error(&ctl_program, "explain: expected the id of a host (see assayctl hosts)");
	(void)snprintf(path, sizeof(path), "/v1/admin/explain?host=%s", pos[0]);
	if (failed(e = ctl_request(c, path, NULL, NULL, &v, &why)))
		return ctl_fail("explain", e, &why);
	if (!c->json) {
		print_people(v);
		return EXIT_ACCEPTED;
	}
	return failed(e = ctl_print(c, v)) ? ctl_fail("explain", e, NULL) : EXIT_ACCEPTED;
}
