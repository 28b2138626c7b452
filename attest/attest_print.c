/* SPDX-License-Identifier: Apache-2.0 */
/* What the verifier decided: accepted or not, and for people and machines. */
#include <string.h>

#include "attest/attest.h"
#include "base/log.h"
#include "base/text.h"

static bool result_good(const struct attest_result *r)
{
	return strcmp(r->status, "affirming") == 0 || strcmp(r->status, "warning") == 0;
}

bool attest_accepted(const struct attest_reply *r, const uint8_t *instance)
{
	char hex[INSTANCE_HEX_LEN + 1] = "";
	bool found = instance == NULL;

	if (instance != NULL)
		instance_id_format(instance, hex);
	if (strcmp(r->state, "VERIFIED") != 0)
		return false;
	for (size_t i = 0; i < r->n_results; i++) {
		bool asked = instance == NULL || strcmp(r->result[i].instance, hex) == 0;

		if (asked && !result_good(&r->result[i]))
			return false;
		found = found || asked;
	}
	return found;
}

static struct err failure_json(const struct attest_failure *f, json_t *list)
{
	cleanup_json json_t *o = NULL;
	struct err e;

	if (failed(e = json_new_object(&o)) || failed(e = json_put_str(o, "check", f->check)) ||
	    failed(e = json_put_str(o, "subject", f->subject)) ||
	    failed(e = json_put_str(o, "expected", f->expected)) ||
	    failed(e = json_put_str(o, "seen", f->seen)))
		return e;
	return json_array_append(list, o) == 0 ? ERR(E_OK) : ERR(E_LOCAL_MEMORY);
}

static struct err result_json(const struct attest_result *r, json_t *list)
{
	cleanup_json json_t *o = NULL;
	struct err e;

	if (failed(e = json_new_object(&o)) || failed(e = json_put_str(o, "instance", r->instance)) ||
	    failed(e = json_put_str(o, "status", r->status)) ||
	    failed(e = json_put_text(o, "ear", buf_bytes(&r->ear))))
		return e;
	return json_array_append(list, o) == 0 ? ERR(E_OK) : ERR(E_LOCAL_MEMORY);
}

struct err attest_reply_json(const struct attest_reply *r, json_t **ret)
{
	cleanup_json json_t *o = NULL, *failures = json_array(), *results = json_array();
	char expires[32] = "";
	struct err e;

	if (failures == NULL || results == NULL)
		return ERR(E_LOCAL_MEMORY);
	for (size_t i = 0; i < r->n_failures; i++)
		if (failed(e = failure_json(&r->failure[i], failures)))
			return e;
	for (size_t i = 0; i < r->n_results; i++)
		if (failed(e = result_json(&r->result[i], results)))
			return e;
	if (r->expires_s != 0 && failed(e = time_format(r->expires_s, expires, sizeof(expires))))
		return e;
	if (failed(e = json_new_object(&o)) || failed(e = json_put_str(o, "host", r->host_id)) ||
	    failed(e = json_put_str(o, "state", r->state)) ||
	    failed(e = json_put_bool(o, "accepted", attest_accepted(r, NULL))) ||
	    (r->expires_s != 0 && failed(e = json_put_str(o, "expires", expires))) ||
	    failed(e = json_put(o, "failures", json_incref(failures))) ||
	    failed(e = json_put(o, "results", json_incref(results))))
		return e;
	*ret = take_ptr(&o);
	return ERR(E_OK);
}

struct err attest_print(const struct attest_reply *r, FILE *f)
{
	char expires[32] = "";
	struct err e;

	if (r->expires_s != 0 && failed(e = time_format(r->expires_s, expires, sizeof(expires))))
		return e;
	(void)fprintf(f, "host %s: %s%s%s\n", r->host_id, r->state, expires[0] != '\0' ? " until " : "", expires);
	for (size_t i = 0; i < r->n_results; i++)
		if (r->result[i].instance[0] != '\0')
			(void)fprintf(f, "instance %s: %s\n", r->result[i].instance, r->result[i].status);
	for (size_t i = 0; i < r->n_failures; i++) {
		const struct attest_failure *x = &r->failure[i];

		(void)fprintf(f, "failed %s%s%s: expected %s, seen %s\n", x->check, x->subject[0] != '\0' ? " of " : "",
			      log_quote(bytes_str(x->subject)), log_quote(bytes_str(x->expected)),
			      log_quote(bytes_str(x->seen)));
	}
	return ferror(f) == 0 ? ERR(E_OK) : ERR(E_LOCAL_IO);
}

void attest_describe(const struct attest_reply *r, char *to, size_t size)
{
	size_t n;

	(void)snprintf(to, size, "host is %s", r->state);
	for (size_t i = 0; i < r->n_failures; i++) {
		const struct attest_failure *x = &r->failure[i];

		n = strlen(to);
		(void)snprintf(to + n, size - n, "; failed %s%s%s: expected %s, seen %s", x->check,
			       x->subject[0] != '\0' ? " of " : "", log_quote(bytes_str(x->subject)),
			       log_quote(bytes_str(x->expected)), log_quote(bytes_str(x->seen)));
	}
}
