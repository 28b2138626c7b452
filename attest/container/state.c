/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/container/state.h"

#include <string.h>

#include "base/log.h"
#include "base/text.h"

#define PID_LIMIT (4 * 1024 * 1024) /* PID_MAX_LIMIT of 64-bit kernels */

void container_state_done(struct container_state *s)
{
	json_decref(s->json);
	*s = (struct container_state){ 0 };
}

static bool id_is_good(const char *id)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+._-";

	return id[0] != '\0' && id[strspn(id, letters)] == '\0' && strcmp(id, ".") != 0 && strcmp(id, "..") != 0;
}

static bool status_is_good(const char *status)
{
	static const char *const all[] = { "creating", "created", "running", "stopped" };

	for (size_t i = 0; i < array_len(all); i++)
		if (strcmp(status, all[i]) == 0)
			return true;
	return false;
}

static struct err take_agent(struct jobj *o, struct container_state *s, struct reason *reterr)
{
	const json_t *annotations;
	struct jobj a;
	struct err e;

	if (!jobj_has(o, "annotations"))
		return ERR(E_OK);
	if (failed(e = jobj_any(o, "annotations", &annotations)))
		return e;
	/* Go's encoders write null for a map that was never made. */
	if (json_is_null(annotations))
		return ERR(E_OK);
	if (failed(e = jobj_init(&a, annotations, "annotations", reterr)))
		return e;
	return jobj_has(&a, CONTAINER_ANNOTATION) ? jobj_id(&a, CONTAINER_ANNOTATION, &s->agent) : ERR(E_OK);
}

static struct err check(const struct container_state *s, const char *version, struct reason *reterr)
{
	if (strncmp(version, "1.", 2) != 0) {
		reason_set(reterr, "state: ociVersion %s, 1.x is expected", log_quote(bytes_str(version)));
		return ERR(E_PEER_UNSUPPORTED);
	}
	if (!id_is_good(s->id)) {
		reason_set(reterr, "state: id \"%s\": letters, digits and +._- are expected", log_quote(bytes_str(s->id)));
		return ERR(E_PEER_RANGE);
	}
	if (!status_is_good(s->status)) {
		reason_set(reterr, "state: status \"%s\" is not creating, created, running or stopped",
			   log_quote(bytes_str(s->status)));
		return ERR(E_PEER_RANGE);
	}
	if (s->bundle[0] != '/') {
		reason_set(reterr, "state: bundle \"%s\" is no absolute path", log_quote(bytes_str(s->bundle)));
		return ERR(E_PEER_RANGE);
	}
	if (s->pid == 0 && strcmp(s->status, "stopped") != 0) {
		reason_set(reterr, "state: no pid, but status \"%s\"", s->status);
		return ERR(E_PEER_MISSING);
	}
	return ERR(E_OK);
}

static struct err take(struct container_state *s, struct reason *reterr)
{
	const char *version;
	uint64_t pid = 0;
	struct jobj o;
	struct err e;

	if (failed(e = jobj_init(&o, s->json, "state", reterr)) || failed(e = jobj_str(&o, "ociVersion", 64, &version)) ||
	    failed(e = jobj_str(&o, "id", CONTAINER_ID_MAX, &s->id)) ||
	    failed(e = jobj_str(&o, "status", 64, &s->status)) ||
	    failed(e = jobj_str(&o, "bundle", LIMIT_PATH, &s->bundle)) ||
	    (jobj_has(&o, "pid") && failed(e = jobj_u64(&o, "pid", PID_LIMIT, &pid))))
		return e;
	s->pid = (pid_t)pid;
	if (failed(e = take_agent(&o, s, reterr)))
		return e;
	return check(s, version, reterr);
}

struct err container_state_parse(struct bytes in, struct container_state *ret, struct reason *reterr)
{
	cleanup_container_state struct container_state s = { 0 };
	struct err e;

	if (failed(e = json_parse(in, CONTAINER_STATE_MAX, &s.json, reterr)) || failed(e = take(&s, reterr)))
		return e;
	*ret = s;
	s = (struct container_state){ 0 };
	return ERR(E_OK);
}
