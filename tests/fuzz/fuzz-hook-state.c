/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a container runtime, or whoever calls a hook in its place, says of a container. What parses names a container
 * by an id that is no path, a bundle by an absolute one, and a process that may exist; it means the same when it is
 * written again.
 */
#include <string.h>

#include "attest/container/state.h"
#include "base/text.h"
#include "tests/fuzz/fuzz.h"

static bool same_text(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static void check(const struct container_state *s)
{
	fuzz_must(s->json != NULL && s->id[0] != '\0' && strlen(s->id) <= CONTAINER_ID_MAX);
	fuzz_must(strchr(s->id, '/') == NULL && strcmp(s->id, ".") != 0 && strcmp(s->id, "..") != 0);
	for (const char *p = s->id; *p != '\0'; p++)
		fuzz_must(*p > ' ' && *p < 0x7f);
	fuzz_must(s->bundle[0] == '/' && strlen(s->bundle) <= LIMIT_PATH);
	fuzz_must(s->agent == NULL || id_valid(bytes_str(s->agent)));
	fuzz_must(s->pid > 0 || (s->pid == 0 && strcmp(s->status, "stopped") == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	cleanup_container_state struct container_state s = { 0 }, back = { 0 };
	cleanup_buf struct buf written = BUF_INIT(8 * CONTAINER_STATE_MAX);
	struct reason why = { "" };
	struct err e = container_state_parse(BYTES(data, n), &s, &why);

	if (failed(e)) {
		fuzz_must(s.json == NULL && s.id == NULL && s.pid == 0);
		fuzz_must(strnlen(why.text, sizeof(why.text)) < sizeof(why.text));
		return 0;
	}
	check(&s);
	fuzz_must(!failed(json_write(s.json, &written)));
	if (written.n > CONTAINER_STATE_MAX)
		return 0;
	fuzz_must(!failed(container_state_parse(buf_bytes(&written), &back, NULL)));
	fuzz_must(same_text(back.id, s.id) && same_text(back.bundle, s.bundle) && same_text(back.agent, s.agent) &&
		  same_text(back.status, s.status) && back.pid == s.pid);
	return 0;
}
