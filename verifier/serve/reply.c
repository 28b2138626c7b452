/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/text.h"
#include "verifier/serve/internal.h"

#define JSON "application/json"
#define REPLY_MAX (8 * MIB)

void reply_init(struct reply *r)
{
	*r = (struct reply){ .status = 200, .content_type = JSON };
	buf_init(&r->body, REPLY_MAX);
}

void reply_done(struct reply *r)
{
	buf_free(&r->body);
}

struct err reply_json(json_t *j, struct reply *ret)
{
	cleanup_json json_t *owned = j;

	if (j == NULL)
		return ERR(E_LOCAL_MEMORY);
	ret->status = 200;
	ret->content_type = JSON;
	return json_write(owned, &ret->body);
}

/* What RFC 6749, 5.2 has for it; server_error and temporarily_unavailable are those of 4.1.2.1. */
static const char *oauth_code(struct err e, unsigned status)
{
	if (e.code == E_AUTH_CLIENT)
		return "invalid_client";
	if (status == 503)
		return "temporarily_unavailable";
	return status >= 500 ? "server_error" : "invalid_request";
}

static struct err oauth_body(const char *code, const char *description, struct buf *body)
{
	cleanup_json json_t *o = NULL;
	struct err e;

	if (failed(e = json_new_object(&o)) || failed(e = json_put_str(o, "error", code)) ||
	    failed(e = json_put_str(o, "error_description", description)))
		return e;
	return json_write(o, body);
}

static struct err problem_body(struct err e, const char *detail, const char *check, unsigned status, struct buf *body)
{
	struct problem p = { .status = status };

	(void)snprintf(p.name, sizeof(p.name), "%s", err_name(e));
	(void)snprintf(p.title, sizeof(p.title), "%s", err_text(e));
	(void)snprintf(p.detail, sizeof(p.detail), "%s", detail);
	if (id_valid(bytes_str(check)))
		(void)snprintf(p.check, sizeof(p.check), "%s", check);
	return problem_encode(&p, body);
}

void reply_error(const struct route *r, struct err e, const struct reason *why, struct reply *ret)
{
	/* What failed here is nobody's business outside; the log has it. */
	const char *detail = why != NULL && e.code < E_LOCAL_MEMORY ? why->text : "";
	struct err done;

	buf_clear(&ret->body);
	ret->status = err_http(e);
	ret->max_age_s = 0;
	if (ret->status == 503)
		ret->retry_after_s = 5;
	if (r != NULL && r->oauth) {
		ret->content_type = JSON;
		if (e.code == E_AUTH_CLIENT)
			ret->www_authenticate = "Basic realm=\"assay\", charset=\"UTF-8\"";
		done = oauth_body(oauth_code(e, ret->status), detail[0] != '\0' ? detail : err_text(e), &ret->body);
	} else {
		ret->content_type = "application/problem+json";
		done = problem_body(e, detail, ret->log_check, ret->status, &ret->body);
	}
	if (failed(done))
		buf_clear(&ret->body);
}

struct err reply_oauth(struct verifier *v, const struct oauth_error *o, struct reply *ret)
{
	struct err e;

	metrics_count_refusal(&v->metrics, o->code);
	buf_clear(&ret->body);
	ret->status = o->status != 0 ? o->status : 400;
	ret->content_type = JSON;
	(void)snprintf(ret->log_check, sizeof(ret->log_check), "%.23s", o->code);
	reason_set(&ret->why, "%s", o->description);
	if (failed(e = oauth_body(o->code, o->description, &ret->body)))
		buf_clear(&ret->body);
	return e;
}
