/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/client.h"

#include <string.h>

#include "base/args.h"
#include "base/log.h"

#define JSON "application/json"
#define FORM "application/x-www-form-urlencoded"

void client_done(struct client *c)
{
	https_free(c->https);
	c->https = NULL;
}

struct err client_init(const char *url, struct bytes ca_pem, unsigned timeout_s, struct reason *why, struct client *ret)
{
	struct err e;

	ret->why = why;
	e = https_new(url, ca_pem, NULL, timeout_s * 1000, &ret->https);
	if (e.code == E_LOCAL_CONFIG)
		reason_set(why, "\"%s\" is no URL of a verifier (https://HOST:PORT), or its CA cannot be read",
			   log_quote(bytes_str(url)));
	return e;
}

/* It, or what stands before it, cannot answer now: no judgement, whatever the words. */
static bool is_busy(unsigned status)
{
	return status >= 500 || status == 429;
}

/* What the verifier calls it, if it is a judgement; its local troubles are not ours. */
static struct err problem_code(const struct problem *p)
{
	enum err_code code = err_by_name(p->name);

	if (is_busy((unsigned)p->status))
		return ERR(E_LOCAL_NETWORK);
	if (code != N_ERR_CODES && code != E_OK && exit_for(ERR(code)) == EXIT_REJECTED)
		return ERR(code);
	return ERR(E_AUTH_REFUSED);
}

static struct err refused(struct client *c, const struct https_reply *r)
{
	struct problem p;
	struct err e;

	if (strcmp(r->content_type, "application/problem+json") != 0 ||
	    failed(problem_decode(buf_bytes(&r->body), &p, NULL))) {
		reason_set(c->why, "the verifier answered with status %u", r->status);
		return is_busy(r->status) ? ERR(E_LOCAL_NETWORK) : ERR(E_AUTH_REFUSED);
	}
	e = problem_code(&p);
	reason_set(c->why, "the verifier says: %s%s%s%s%s%s", log_quote(bytes_str(p.title)),
		   p.detail[0] != '\0' ? ": " : "", p.detail[0] != '\0' ? log_quote(bytes_str(p.detail)) : "",
		   p.check[0] != '\0' ? " (check " : "", log_quote(bytes_str(p.check)), p.check[0] != '\0' ? ")" : "");
	return e;
}

/* Posts and demands a 200 of JSON. */
static struct err post(struct client *c, const char *path, const char *type, struct bytes body, struct https_reply *ret)
{
	struct https_reply r;
	struct err e;

	if (failed(e = https_post(c->https, path, type, body, 0, NULL, &r, c->why)))
		return e;
	if (r.status == 200 && strcmp(r.content_type, JSON) == 0) {
		*ret = r;
		return ERR(E_OK);
	}
	if (r.status == 200) {
		reason_set(c->why, "%s: the answer is no JSON", path);
		e = ERR(E_PEER_MEDIA_TYPE);
	} else {
		e = refused(c, &r);
	}
	https_reply_done(&r);
	return e;
}

struct err client_enrol(struct client *c, const struct enrol_request *q, struct enrol_challenge *ret)
{
	cleanup_https_reply struct https_reply r = { .body = BUF_INIT(0) };
	cleanup_buf struct buf body = BUF_INIT(LIMIT_EVIDENCE);
	struct err e;

	if (failed(e = enrol_request_encode(q, &body)) ||
	    failed(e = post(c, "/v1/enrol", JSON, buf_bytes(&body), &r)))
		return e;
	return enrol_challenge_decode(buf_bytes(&r.body), ret, c->why);
}

struct err client_activate(struct client *c, const struct enrol_activation *q, struct enrol_reply *ret)
{
	cleanup_https_reply struct https_reply r = { .body = BUF_INIT(0) };
	cleanup_buf struct buf body = BUF_INIT(LIMIT_EVIDENCE);
	struct err e;

	if (failed(e = enrol_activation_encode(q, &body)) ||
	    failed(e = post(c, "/v1/enrol/activate", JSON, buf_bytes(&body), &r)))
		return e;
	return enrol_reply_decode(buf_bytes(&r.body), ret, c->why);
}

struct err client_challenge(struct client *c, const struct challenge_request *q, struct challenge *ret)
{
	cleanup_https_reply struct https_reply r = { .body = BUF_INIT(0) };
	cleanup_buf struct buf body = BUF_INIT(LIMIT_SMALL);
	struct err e;

	if (failed(e = challenge_request_encode(q, &body)) ||
	    failed(e = post(c, "/v1/challenge", JSON, buf_bytes(&body), &r)))
		return e;
	return challenge_decode(buf_bytes(&r.body), ret, c->why);
}

struct err client_attest(struct client *c, struct bytes evidence, struct attest_reply *ret)
{
	cleanup_https_reply struct https_reply r = { .body = BUF_INIT(0) };
	struct err e;

	if (failed(e = post(c, "/v1/attest", EVIDENCE_MEDIA_TYPE, evidence, &r)))
		return e;
	return attest_reply_decode(buf_bytes(&r.body), ret, c->why);
}

/* RFC 6749, 5.2: {"error","error_description"?}. */
static struct err oauth_refused(struct client *c, const struct https_reply *r, const json_t *answer,
				bool *ret_nonce_wanted)
{
	const char *code = json_string_value(json_object_get(answer, "error"));
	const char *text = json_string_value(json_object_get(answer, "error_description"));

	if (code == NULL)
		return refused(c, r);
	*ret_nonce_wanted = strcmp(code, "use_dpop_nonce") == 0 && r->dpop_nonce[0] != '\0';
	reason_set(c->why, "the verifier says: %s%s%s", log_quote(bytes_str(code)), text == NULL ? "" : ": ",
		   text == NULL ? "" : log_quote(bytes_str(text)));
	return is_busy(r->status) ? ERR(E_LOCAL_NETWORK) : ERR(E_AUTH_REFUSED);
}

struct err client_oauth(struct client *c, const char *path, struct bytes form, const char *proof,
			bool *ret_nonce_wanted, char nonce[CLIENT_NONCE_MAX], json_t **ret)
{
	cleanup_https_reply struct https_reply r = { .body = BUF_INIT(0) };
	cleanup_buf struct buf header = BUF_INIT(LIMIT_TOKEN + 16);
	cleanup_json json_t *answer = NULL;
	const char *line;
	struct err e;

	*ret_nonce_wanted = false;
	if (failed(e = buf_addf(&header, "DPoP: %s", proof)) || failed(e = buf_cstr(&header, &line)) ||
	    failed(e = https_post(c->https, path, FORM, form, 1, &line, &r, c->why)))
		return e;
	if (strcmp(r.content_type, JSON) != 0)
		return r.status == 200 ? ERR(E_PEER_MEDIA_TYPE) : refused(c, &r);
	if (failed(e = json_parse(buf_bytes(&r.body), LIMIT_SMALL, &answer, c->why)))
		return e;
	if (r.status == 200) {
		*ret = take_ptr(&answer);
		return ERR(E_OK);
	}
	e = oauth_refused(c, &r, answer, ret_nonce_wanted);
	if (!*ret_nonce_wanted)
		return e;
	(void)snprintf(nonce, CLIENT_NONCE_MAX, "%s", r.dpop_nonce);
	*ret = NULL;
	return ERR(E_OK);
}

/* Everything but the unreserved characters of RFC 3986, 2.3 is escaped. */
struct err form_add(struct buf *form, const char *name, const char *value)
{
	struct err e;

	if (failed(e = buf_addf(form, "%s%s=", form->n > 0 ? "&" : "", name)))
		return e;
	for (; *value != '\0'; value++) {
		unsigned char c = (unsigned char)*value;
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			     strchr("-._~", c) != NULL;

		if (failed(e = plain ? buf_add_u8(form, c) : buf_addf(form, "%%%02X", c)))
			return e;
	}
	return ERR(E_OK);
}
