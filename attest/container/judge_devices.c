/* SPDX-License-Identifier: Apache-2.0 */
/* container_judge(): devices, and system calls. */
#include "attest/container/judge_impl.h"

#include "attest/container/path.h"
#include "base/digest.h"

static bool is_number(const json_t *o, const char *key, json_int_t want)
{
	const json_t *v = json_object_get(o, key);

	return json_is_integer(v) && json_integer_value(v) == want;
}

static json_int_t number(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

/* The listed device with those numbers, or NULL. */
static const json_t *find_listed(const struct judge *j, const json_t *numbers)
{
	for (size_t i = 0; i < json_array_size(j->r->devices); i++) {
		const json_t *d = json_array_get(j->r->devices, i);

		if (is_number(numbers, "major", number(d, "major")) && is_number(numbers, "minor", number(d, "minor")))
			return d;
	}
	return NULL;
}

static struct err judge_nodes(const struct judge *j)
{
	for (size_t i = 0; i < json_array_size(j->c->devices); i++) {
		const json_t *node = json_array_get(j->c->devices, i);
		const json_t *listed = find_listed(j, node);
		const char *path = judge_text(node, "path"), *type = judge_text(node, "type");

		if (listed == NULL || strcmp(path, judge_text(listed, "path")) != 0 || strcmp(type, "c") != 0)
			return refuse(j, "linux.devices: %s is not permitted (devices)", shown(path));
	}
	return ERR(E_OK);
}

/* null, zero, full, random, urandom, tty, console, ptmx, and the container's own terminals. */
static bool is_usual(const json_t *rule)
{
	static const struct {
		int major, minor;
	} usual[] = { { 1, 3 }, { 1, 5 }, { 1, 7 }, { 1, 8 }, { 1, 9 }, { 5, 0 }, { 5, 1 }, { 5, 2 } };

	for (size_t i = 0; i < array_len(usual); i++)
		if (is_number(rule, "major", usual[i].major) && is_number(rule, "minor", usual[i].minor))
			return true;
	return is_number(rule, "major", 136) && json_object_get(rule, "minor") == NULL;
}

/* The one that stands first, so that nothing is open which is not listed behind it. */
static bool denies_all(const json_t *rule)
{
	const char *type = judge_text(rule, "type"), *access = judge_text(rule, "access");

	return json_is_false(json_object_get(rule, "allow")) && (type[0] == '\0' || strcmp(type, "a") == 0) &&
	       (json_object_get(rule, "major") == NULL || is_number(rule, "major", -1)) &&
	       (json_object_get(rule, "minor") == NULL || is_number(rule, "minor", -1)) &&
	       (access[0] == '\0' || strcmp(access, "rwm") == 0);
}

static struct err judge_rules(const struct judge *j)
{
	if (!denies_all(json_array_get(j->c->device_rules, 0)))
		return refuse(j, "linux.resources.devices does not begin with a rule that denies all");
	for (size_t i = 1; i < json_array_size(j->c->device_rules); i++) {
		const json_t *rule = json_array_get(j->c->device_rules, i);

		if (json_is_false(json_object_get(rule, "allow")))
			continue;
		if (strcmp(judge_text(rule, "type"), "c") != 0 || (!is_usual(rule) && find_listed(j, rule) == NULL))
			return refuse(j, "linux.resources.devices[%zu] allows \"%s\" %jd:%jd, which is not permitted (devices)",
				      i, shown(judge_text(rule, "type")), (intmax_t)number(rule, "major"),
				      (intmax_t)number(rule, "minor"));
	}
	return ERR(E_OK);
}

struct err judge_devices(const struct judge *j)
{
	struct err e = judge_nodes(j);

	return failed(e) ? e : judge_rules(j);
}

struct err container_seccomp_digest(const json_t *seccomp, uint8_t ret[32])
{
	cleanup_buf struct buf text = BUF_INIT(2 * CONTAINER_CONFIG_MAX);
	struct err e = json_write(seccomp, &text);

	return failed(e) ? e : sha256(buf_bytes(&text), ret);
}

/* What is not named must fail: a profile that lets everything else through is none. */
static bool fails(const char *action)
{
	static const char *const failing[] = { "SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS",
					       "SCMP_ACT_KILL_THREAD", "SCMP_ACT_TRAP" };

	for (size_t i = 0; i < array_len(failing); i++)
		if (strcmp(action, failing[i]) == 0)
			return true;
	return false;
}

/* Somebody outside would answer system calls, and could act for the agent or deceive it. */
static bool has_listener(const json_t *seccomp)
{
	const json_t *calls = json_object_get(seccomp, "syscalls");

	if (json_object_get(seccomp, "listenerPath") != NULL ||
	    strcmp(judge_text(seccomp, "defaultAction"), "SCMP_ACT_NOTIFY") == 0)
		return true;
	for (size_t i = 0; i < json_array_size(calls); i++)
		if (strcmp(judge_text(json_array_get(calls, i), "action"), "SCMP_ACT_NOTIFY") == 0)
			return true;
	return false;
}

struct err judge_seccomp(const struct judge *j)
{
	const json_t *profile = j->c->seccomp;
	uint8_t digest[32];
	struct err e;

	if (profile != NULL && has_listener(profile))
		return refuse(j, "linux.seccomp: somebody else would answer system calls (listenerPath, SCMP_ACT_NOTIFY)");
	if (j->r->seccomp == CONTAINER_SECCOMP_ANY)
		return ERR(E_OK);
	if (profile == NULL)
		return refuse(j, "linux.seccomp is missing: a profile is expected (seccomp)");
	if (!fails(judge_text(profile, "defaultAction")))
		return refuse(j, "linux.seccomp.defaultAction is \"%s\": what is not named must fail (seccomp)",
			      shown(judge_text(profile, "defaultAction")));
	if (j->r->seccomp == CONTAINER_SECCOMP_REQUIRED)
		return ERR(E_OK);
	if (failed(e = container_seccomp_digest(profile, digest)))
		return e;
	if (!bytes_eq(BYTES_ARR(digest), BYTES_ARR(j->r->seccomp_digest)))
		return refuse(j, "linux.seccomp is another profile than the permitted one (seccomp)");
	return ERR(E_OK);
}
