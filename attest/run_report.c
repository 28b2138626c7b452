/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/run.h"

#include "base/log.h"

static struct err say_json(const struct run *r, const char *event, const char *text, const struct attest_reply *reply)
{
	cleanup_json json_t *o = NULL;
	json_t *verdict = NULL;
	struct err e;

	if (failed(e = json_new_object(&o)) || failed(e = json_put_str(o, "event", event)) ||
	    failed(e = json_put_str(o, "instance", r->id)) ||
	    failed(e = json_put_str(o, "agent", r->instance.agent)) || failed(e = json_put_str(o, "text", text)))
		return e;
	if (reply != NULL &&
	    (failed(e = attest_reply_json(reply, &verdict)) || failed(e = json_put(o, "verdict", verdict))))
		return e;
	return app_print_json(o, stderr);
}

void run_say(const struct run *r, const char *event, const char *text, const struct attest_reply *reply)
{
	struct err e = ERR(E_OK);

	if (r->app->json) {
		e = say_json(r, event, text, reply);
	} else {
		/* What is refused before it is described has no id yet. */
		(void)fprintf(stderr, "assay-attest: %s%s%s%s: %s\n", r->id[0] != '\0' ? "instance " : "", r->id,
			      r->id[0] != '\0' ? ": " : "", event, text);
		if (reply != NULL)
			e = attest_print(reply, stderr);
	}
	/* Nobody reads: the exit status tells the same. */
	if (failed(e))
		log_debug("cannot report %s", event);
}
