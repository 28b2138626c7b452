/* SPDX-License-Identifier: Apache-2.0 */
/* assayctl revoke: exactly one of host, instance, task, credential. */
#include "verifier/operate/ctl.h"

int cmd_revoke(void *ctx, int argc, char **argv)
{
	static const char *const names[] = { "host", "instance", "task", "jti" };
	const char *value[4] = { NULL };
	const struct opt opts[] = {
		{ "host", OPT_STRING, &value[0], "HOST", "everything of this host, until it attests again", 0 },
		{ "instance", OPT_STRING, &value[1], "ID", "everything of this running agent, for good", 0 },
		{ "task", OPT_STRING, &value[2], "TASK", "everything of this task, for good", 0 },
		{ "jti", OPT_STRING, &value[3], "JTI", "this one credential (see assayctl credentials)", 0 },
	};
	cleanup_json json_t *body = NULL, *answer = NULL;
	struct reason why = { { 0 } };
	size_t which = 0, given = 0;
	char **pos;
	int n, status = verb_options(&ctl_program, ctl_verb("revoke"), argc, argv, opts, 4, 0, 0, &pos, &n);
	struct err e;

	if (status >= 0)
		return status;
	for (size_t i = 0; i < 4; i++) {
		if (value[i] == NULL)
			continue;
		which = i;
		given++;
	}
	if (given != 1)
		return usage_error(&ctl_program, "revoke: expected one of --host, --instance, --task, --jti");
	if (failed(e = json_new_object(&body)) || failed(e = json_put_str(body, names[which], value[which])) ||
	    failed(e = ctl_post(ctx, "/v1/admin/revoke", body, &answer, &why)))
		return ctl_fail("revoke", e, &why);
	return failed(e = ctl_print(ctx, answer)) ? ctl_fail("revoke", e, NULL) : EXIT_ACCEPTED;
}
