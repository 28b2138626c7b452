/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request as the HTTP glue hands it over, to a service with one verified
 * host: "METHOD PATH TYPE", then lines "dpop X", "auth X" or "host X", an
 * empty line, the body. Nothing that a stranger can write makes a token or an
 * active answer, and every answer is whole.
 */
#include <string.h>

#include "base/log.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/service_fixture.h"

#define MAX_TEXT 8192

static struct service *service;

static void stop(void)
{
	service_free(service);
}

/* The next line as a string of its own; false without a line end. */
static bool take_line(struct bytes *in, char *out, size_t size)
{
	const uint8_t *end = in->n > 0 ? memchr(in->p, '\n', in->n) : NULL;
	size_t n = end == NULL ? 0 : (size_t)(end - in->p);

	if (end == NULL || n >= size || memchr(in->p, '\0', n) != NULL)
		return false;
	memcpy(out, in->p, n);
	out[n] = '\0';
	*in = BYTES(in->p + n + 1, in->n - n - 1);
	return true;
}

/* Headers, each with memory of its own. */
static bool take_headers(struct bytes *in, struct request *q, char text[3][MAX_TEXT])
{
	static const char *const names[] = { "dpop ", "auth ", "host " };
	char line[MAX_TEXT];

	for (unsigned k = 0; k < 8; k++) {
		if (!take_line(in, line, sizeof(line)))
			return false;
		if (line[0] == '\0')
			return true;
		for (size_t i = 0; i < array_len(names); i++)
			if (strncmp(line, names[i], 5) == 0)
				(void)snprintf(text[i], MAX_TEXT, "%s", line + 5);
		if (strncmp(line, names[0], 5) == 0) {
			q->dpop = text[0];
			q->n_dpop++;
		} else if (strncmp(line, names[1], 5) == 0) {
			q->authorization = text[1];
			q->n_authorization++;
		} else if (strncmp(line, names[2], 5) == 0) {
			q->query_host = text[2];
		}
	}
	return false;
}

static bool holds(const struct reply *r, const char *text)
{
	return r->body.n > 0 && memmem(r->body.p, r->body.n, text, strlen(text)) != NULL;
}

static void check(const struct reply *r)
{
	cleanup_json json_t *j = NULL;

	fuzz_must(r->status >= 200 && r->status < 600 && r->content_type != NULL);
	/* Nothing of ours may fail because of what they send. */
	fuzz_must(r->status < 500);
	if (strncmp(r->content_type, "text/plain", strlen("text/plain")) != 0)
		fuzz_must(!failed(json_parse(buf_bytes(&r->body), r->body.n, &j, NULL)));
	fuzz_must(!holds(r, "access_token") && !holds(r, "\"active\":true"));
	fuzz_must(strcmp(r->log_verdict, "VERIFIED") != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static char text[3][MAX_TEXT];
	struct bytes in = BYTES(data, n);
	char line[256], *path, *type;
	cleanup_reply struct reply r;
	struct request q;

	if (service == NULL) {
		log_init(LOG_LEVEL_ERROR, false);
		service = service_ready();
		fuzz_must(atexit(stop) == 0);
	}
	reply_init(&r);
	if (!take_line(&in, line, sizeof(line)) || (path = strchr(line, ' ')) == NULL ||
	    (type = strchr(path + 1, ' ')) == NULL)
		return 0;
	*path++ = '\0';
	*type++ = '\0';
	q = service_request(service, line, path, type, BYTES_NONE);
	if (!take_headers(&in, &q, text))
		return 0;
	q.body = in;
	service_send(service, &q, &r);
	check(&r);
	return 0;
}
