/* SPDX-License-Identifier: Apache-2.0 */
#include "verifier/operate/ctl.h"

#include <string.h>

#include "base/limits.h"
#include "base/log.h"
#include "protocol/https.h"
#include "protocol/messages.h"

#define ADMIN_TIMEOUT_MS 30000

int ctl_fail(const char *what, struct err e, const struct reason *why)
{
	const char *text = why != NULL && why->text[0] != '\0' ? why->text : err_text(e);

	(void)fprintf(stderr, "assayctl: %s: %s\n", what, text);
	return exit_for(e);
}

/* A refusal by the verifier is a "no"; its trouble is "could not decide". */
static struct err refusal(const struct https_reply *r, struct reason *reterr)
{
	struct problem p;

	if (failed(problem_decode(buf_bytes(&r->body), &p, NULL))) {
		reason_set(reterr, "the verifier answered with status %u", r->status);
		return r->status < 500 ? ERR(E_AUTH_REFUSED) : ERR(E_LOCAL_NETWORK);
	}
	reason_set(reterr, "%s", p.detail[0] != '\0' ? p.detail : p.title);
	return r->status < 500 ? ERR(E_AUTH_REFUSED) : ERR(E_LOCAL_NETWORK);
}

struct err ctl_request(const struct ctl *c, const char *path, const char *content_type, const struct bytes *body,
		       json_t **ret, struct reason *reterr)
{
	cleanup_https struct https *h = NULL;
	cleanup_https_reply struct https_reply r = { 0 };
	struct err e;

	if (failed(e = https_new("http://localhost", BYTES_NONE, c->socket, ADMIN_TIMEOUT_MS, &h)))
		return e;
	if (body == NULL)
		e = https_get(h, path, &r, reterr);
	else
		e = https_post(h, path, content_type, *body, 0, NULL, &r, reterr);
	if (failed(e))
		return e;
	if (r.status != 200)
		return refusal(&r, reterr);
	return json_parse(buf_bytes(&r.body), LIMIT_EVIDENCE, ret, reterr);
}

struct err ctl_post(const struct ctl *c, const char *path, const json_t *body, json_t **ret, struct reason *reterr)
{
	cleanup_buf struct buf text = BUF_INIT(LIMIT_SMALL);
	struct err e;

	if (failed(e = json_write(body, &text)))
		return e;
	struct bytes b = buf_bytes(&text);

	return ctl_request(c, path, "application/json", &b, ret, reterr);
}

static const char *scalar(const json_t *v, char *space, size_t n)
{
	if (json_is_string(v))
		return json_string_value(v);
	if (json_is_integer(v))
		(void)snprintf(space, n, "%lld", (long long)json_integer_value(v));
	else
		(void)snprintf(space, n, "%s", json_is_true(v) ? "yes" : json_is_false(v) ? "no" : "-");
	return space;
}

#define MAX_COLUMNS 16

/* Columns are the scalar members of all rows in order of appearance, as wide as their widest value. */
static size_t find_columns(const json_t *rows, const char *name[MAX_COLUMNS], int width[MAX_COLUMNS])
{
	size_t n = 0, i, k;
	const char *key;
	json_t *value, *row;

	json_array_foreach(rows, i, row) {
		json_object_foreach(row, key, value) {
			for (k = 0; k < n && strcmp(name[k], key) != 0; k++)
				;
			if (k < n || n == MAX_COLUMNS || json_is_object(value) || json_is_array(value))
				continue;
			name[n] = key;
			width[n++] = (int)strlen(key);
		}
	}
	return n;
}

static void print_table(const json_t *rows)
{
	const char *name[MAX_COLUMNS];
	int width[MAX_COLUMNS];
	size_t n = find_columns(rows, name, width), i;
	char space[24];
	json_t *row;

	json_array_foreach(rows, i, row) {
		for (size_t k = 0; k < n; k++) {
			int w = (int)strlen(scalar(json_object_get(row, name[k]), space, sizeof(space)));

			width[k] = w > width[k] ? w : width[k];
		}
	}
	for (size_t k = 0; k < n; k++)
		printf("%-*s%s", k + 1 < n ? width[k] : 0, name[k], k + 1 < n ? "  " : "\n");
	json_array_foreach(rows, i, row) {
		for (size_t k = 0; k < n; k++)
			printf("%-*s%s", k + 1 < n ? width[k] : 0,
			       scalar(json_object_get(row, name[k]), space, sizeof(space)), k + 1 < n ? "  " : "\n");
	}
}

static struct err print_json(const json_t *j)
{
	cleanup_buf struct buf text = BUF_INIT(LIMIT_EVIDENCE);
	const char *s;
	struct err e;

	if (failed(e = json_write_pretty(j, &text)) || failed(e = buf_cstr(&text, &s)))
		return e;
	printf("%s\n", s);
	return ERR(E_OK);
}

struct err ctl_print(const struct ctl *c, const json_t *j)
{
	const char *key;
	char space[24];
	json_t *value;

	if (c->json)
		return print_json(j);
	if (json_is_array(j)) {
		if (json_array_size(j) == 0)
			printf("none\n");
		else
			print_table(j);
		return ERR(E_OK);
	}
	json_object_foreach((json_t *)(uintptr_t)j, key, value) {
		if (json_is_object(value) || json_is_array(value))
			continue;
		printf("%s: %s\n", key, scalar(value, space, sizeof(space)));
	}
	return ERR(E_OK);
}
