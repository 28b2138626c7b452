/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A config.json, as whoever starts a container may write it, and after a line "---" the rules for it; without that
 * line those below. What is accepted keeps, by a look of its own at the JSON, to what no rule may loosen and to what
 * the rules list.
 */
#include <string.h>

#include "attest/container/judge.h"
#include "attest/container/path.h"
#include "tests/fuzz/fuzz.h"

#define PROGRAM "/usr/bin/assay-attest"
#define SEPARATOR "\n---\n"
#define HEX "1111111111111111111111111111111111111111111111111111111111111111"

static const char rules_text[] =
	"{\"version\":1,\"containers\":[{\"agent\":\"agent-a\",\"image\":{\"manifest\":\"" HEX "\",\"config\":\"" HEX
	"\",\"rootfs\":\"" HEX "\"},\"absent\":[],\"model\":\"/srv/models/m1\",\"user\":{\"uid\":1000,\"gid\":1000},"
	"\"env\":{\"PATH\":\"/bin\",\"MODE\":null},\"seccomp\":\"any\","
	"\"mounts\":[{\"destination\":\"/model\",\"source\":\"/srv/models/m1\",\"required\":true}]}]}";

static const json_t *part(const json_t *j, const char *a, const char *b)
{
	return json_object_get(json_object_get(j, a), b);
}

static const char *text(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key)) ?: "";
}

static bool lists(const json_t *list, const char *s)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		if (strcmp(json_string_value(json_array_get(list, i)) ?: "", s) == 0)
			return true;
	return false;
}

/* How many namespaces of that kind, none of which is joined. */
static size_t count_new(const json_t *list, const char *kind)
{
	size_t n = 0;

	for (size_t i = 0; i < json_array_size(list); i++) {
		if (strcmp(text(json_array_get(list, i), "type"), kind) != 0)
			continue;
		fuzz_must(text(json_array_get(list, i), "path")[0] == '\0');
		n++;
	}
	return n;
}

static void check_capabilities(const json_t *sets, const json_t *permitted)
{
	static const char *const names[] = { "bounding", "effective", "inheritable", "permitted", "ambient" };

	fuzz_must(json_is_object(sets));
	for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++) {
		const json_t *list = json_object_get(sets, names[k]);

		for (size_t i = 0; i < json_array_size(list); i++)
			fuzz_must(lists(permitted, json_string_value(json_array_get(list, i))));
	}
}

static void check_mount(const json_t *m, const json_t *rules)
{
	const json_t *options = json_object_get(m, "options");
	bool bind = strcmp(text(m, "type"), "bind") == 0 || lists(options, "bind") || lists(options, "rbind"), listed = false;
	const char *source = text(m, "source"), *destination = text(m, "destination");

	fuzz_must(container_path_normal(destination));
	for (size_t i = 0; i < json_array_size(rules); i++) {
		const json_t *rule = json_array_get(rules, i);

		listed |= strcmp(text(rule, "source"), source) == 0 && strcmp(text(rule, "destination"), destination) == 0;
	}
	if (!bind)
		return;
	fuzz_must(container_path_normal(source));
	fuzz_must(!listed || container_path_protected(source, NULL) == NULL);
	fuzz_must(listed || strstr(source, "/userdata/") != NULL || container_path_within(source, "/run/assay-attest"));
	fuzz_must(strncmp(source, "/dev", 4) != 0 || strchr("/", source[4]) == NULL);
}

static void check_hooks(const json_t *hooks, const json_t *permitted)
{
	static const char *const stages[] = { "prestart", "createRuntime", "createContainer", "startContainer", "poststart",
					      "poststop" };

	for (size_t k = 0; k < sizeof(stages) / sizeof(stages[0]); k++) {
		const json_t *list = json_object_get(hooks, stages[k]);

		for (size_t i = 0; i < json_array_size(list); i++) {
			const char *path = text(json_array_get(list, i), "path");

			fuzz_must(strcmp(path, PROGRAM) == 0 || lists(permitted, path));
		}
	}
}

static void check(const struct container_config *c, const struct container_rules *r)
{
	const json_t *j = c->json, *mounts = json_object_get(j, "mounts"), *spaces = part(j, "linux", "namespaces");

	fuzz_must(json_is_true(part(j, "root", "readonly")) && json_is_true(part(j, "process", "noNewPrivileges")));
	fuzz_must(c->uid == r->uid && c->uid != 0 && c->gid == r->gid && c->n_args > 0 && c->args[c->n_args] == NULL);
	fuzz_must(c->agent != NULL && strcmp(c->agent, r->agent) == 0);
	fuzz_must(count_new(spaces, "pid") == 1 && count_new(spaces, "mount") == 1 && count_new(spaces, "user") == 0);
	fuzz_must(json_is_false(json_object_get(json_array_get(c->device_rules, 0), "allow")));
	fuzz_must(r->seccomp == CONTAINER_SECCOMP_ANY || c->seccomp != NULL);
	fuzz_must(part(j, "linux", "seccomp") == NULL || json_object_get(part(j, "linux", "seccomp"), "listenerPath") == NULL);
	check_capabilities(part(j, "process", "capabilities"), r->capabilities);
	check_hooks(json_object_get(j, "hooks"), r->hooks);
	for (size_t i = 0; i < json_array_size(mounts); i++)
		check_mount(json_array_get(mounts, i), r->mounts);
}

/* The configuration before the line, the rules behind it. */
static void split(struct bytes in, struct bytes *ret_config, struct bytes *ret_rules)
{
	const uint8_t *at = in.n == 0 ? NULL : memmem(in.p, in.n, SEPARATOR, sizeof(SEPARATOR) - 1);
	size_t n = at == NULL ? in.n : (size_t)(at - in.p);

	*ret_config = BYTES(in.p, n);
	*ret_rules = at == NULL ? BYTES_LIT(rules_text) :
				  BYTES(at + sizeof(SEPARATOR) - 1, in.n - n - (sizeof(SEPARATOR) - 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	cleanup_container_config struct container_config c = { 0 };
	cleanup_container_rules struct container_rules r = { 0 };
	struct bytes config, rules;
	struct reason why = { "" };
	struct err e;

	split(BYTES(data, n), &config, &rules);
	if (failed(container_rules_parse(rules, "agent-a", &r, &why))) {
		fuzz_must(r.json == NULL);
		return 0;
	}
	fuzz_must(r.uid != 0 && r.absent != NULL && r.cwd[0] == '/' && container_path_normal(r.model));
	if (failed(container_config_parse(config, &c, &why))) {
		fuzz_must(c.json == NULL && c.args == NULL);
		return 0;
	}
	r.program = PROGRAM;
	why.text[0] = '\0';
	e = container_judge(&c, &r, &why);
	fuzz_must(!failed(e) || e.code == E_AUTH_REFUSED);
	fuzz_must(failed(e) == (why.text[0] != '\0'));
	if (!failed(e))
		check(&c, &r);
	return 0;
}
