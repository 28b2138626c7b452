/* SPDX-License-Identifier: Apache-2.0 */
#include "protocol/https.h"

#include <string.h>
#include <strings.h>

#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"
#include "protocol/libcurl.h"

#define URL_MAX 1024
#define RETRY_AFTER_MAX_S 3600

struct https {
	const struct libcurl *lib;
	CURL *curl;
	char *base;
	bool local; /* Unix socket */
};

/* One transfer: what the callbacks write to. */
struct transfer {
	struct https_reply *reply;
	struct err error; /* why a callback stopped it */
};

/* Exactly scheme and authority: paths are ours, and credentials in URLs end up in logs. */
static struct err check_base(const char *url, bool local)
{
	const char *scheme = local ? "http://" : "https://", *authority;

	if (strncasecmp(url, scheme, strlen(scheme)) != 0)
		return ERR(E_LOCAL_CONFIG);
	authority = url + strlen(scheme);
	if (*authority == '\0' || strlen(url) > URL_MAX || strpbrk(authority, "/?#@\\ \t\r\n") != NULL)
		return ERR(E_LOCAL_CONFIG);
	return ERR(E_OK);
}

static size_t on_body(char *data, size_t one, size_t n, void *ctx)
{
	struct transfer *t = ctx;

	if (failed(t->error = buf_add(&t->reply->body, BYTES(data, one * n))))
		return 0;
	return n;
}

/* The value of a header line when it has this name: without white space around it, cut by nothing. */
static bool header_value(struct bytes line, const char *name, struct bytes *ret)
{
	size_t n = strlen(name), end = line.n;

	if (line.n <= n || strncasecmp((const char *)line.p, name, n) != 0 || line.p[n] != ':')
		return false;
	n++;
	while (n < end && (line.p[n] == ' ' || line.p[n] == '\t'))
		n++;
	while (end > n && strchr(" \t\r\n", line.p[end - 1]) != NULL)
		end--;
	return !failed(bytes_sub(line, n, end - n, ret));
}

/* Values that do not fit are left out: they are hints, and nobody acts on half of one. */
static void keep(char *to, size_t size, struct bytes value)
{
	if (value.n >= size || memchr(value.p, '\0', value.n) != NULL)
		return;
	memcpy(to, value.p, value.n);
	to[value.n] = '\0';
}

static size_t on_header(char *data, size_t one, size_t n, void *ctx)
{
	struct bytes line = BYTES(data, one * n), value;
	struct transfer *t = ctx;
	char seconds[16] = "";
	uint64_t s;

	if (header_value(line, "DPoP-Nonce", &value))
		keep(t->reply->dpop_nonce, sizeof(t->reply->dpop_nonce), value);
	if (header_value(line, "Retry-After", &value)) {
		keep(seconds, sizeof(seconds), value);
		if (!failed(parse_u64(seconds, RETRY_AFTER_MAX_S, &s)))
			t->reply->retry_after_s = (unsigned)s;
	}
	return n;
}

/* Sets one option after the other; the first failure stays. */
#define SET(code, h, option, value)                                                \
	do {                                                                       \
		if ((code) == CURLE_OK)                                            \
			(code) = (h)->lib->easy_setopt((h)->curl, option, value);  \
	} while (0)

static struct err set_common(struct https *h, unsigned timeout_ms)
{
	CURLcode c = CURLE_OK;

	SET(c, h, CURLOPT_NOSIGNAL, 1L);
	SET(c, h, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
	SET(c, h, CURLOPT_FOLLOWLOCATION, 0L);
	SET(c, h, CURLOPT_PROXY, "");
	SET(c, h, CURLOPT_NOPROXY, "*");
	SET(c, h, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(c, h, CURLOPT_WRITEFUNCTION, on_body);
	SET(c, h, CURLOPT_HEADERFUNCTION, on_header);
	return c == CURLE_OK ? ERR(E_OK) : ERR(E_LOCAL_CONFIG);
}

/*
 * CAPATH has a default of its own, the system's roots, which CAINFO_BLOB does
 * not replace: it is emptied, so that the pinned CA is the only anchor.
 */
static struct err set_tls(struct https *h, struct bytes ca_pem)
{
	struct curl_blob ca = { .len = ca_pem.n, .flags = CURL_BLOB_COPY };
	CURLcode c = CURLE_OK;
	cleanup_free uint8_t *copy = NULL;

	if (ca_pem.n == 0)
		return ERR(E_LOCAL_CONFIG);
	copy = malloc(ca_pem.n); /* curl_blob takes no const pointer */
	if (copy == NULL)
		return ERR(E_LOCAL_MEMORY);
	memcpy(copy, ca_pem.p, ca_pem.n);
	ca.data = copy;
	SET(c, h, CURLOPT_PROTOCOLS_STR, "https");
	SET(c, h, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(c, h, CURLOPT_SSL_VERIFYPEER, 1L);
	SET(c, h, CURLOPT_SSL_VERIFYHOST, 2L);
	SET(c, h, CURLOPT_CAINFO, NULL);
	SET(c, h, CURLOPT_CAPATH, NULL);
	SET(c, h, CURLOPT_CAINFO_BLOB, &ca);
	return c == CURLE_OK ? ERR(E_OK) : ERR(E_LOCAL_CONFIG);
}

static struct err set_socket(struct https *h, const char *path)
{
	CURLcode c = CURLE_OK;

	SET(c, h, CURLOPT_PROTOCOLS_STR, "http");
	SET(c, h, CURLOPT_UNIX_SOCKET_PATH, path);
	return c == CURLE_OK ? ERR(E_OK) : ERR(E_LOCAL_CONFIG);
}

struct err https_prepare(void)
{
	const struct libcurl *lib;

	return libcurl_load(&lib);
}

struct err https_new(const char *base_url, struct bytes ca_pem, const char *socket_path, unsigned timeout_ms,
		     struct https **ret)
{
	cleanup_https struct https *h = NULL;
	const struct libcurl *lib;
	struct err e;

	if (failed(e = check_base(base_url, socket_path != NULL)))
		return e;
	if (failed(e = libcurl_load(&lib)))
		return e;
	if (lib->global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return ERR(E_LOCAL_CONFIG);
	h = calloc(1, sizeof(*h));
	if (h == NULL) {
		lib->global_cleanup();
		return ERR(E_LOCAL_MEMORY);
	}
	h->lib = lib;
	h->local = socket_path != NULL;
	h->base = strdup(base_url);
	h->curl = lib->easy_init();
	if (h->base == NULL || h->curl == NULL)
		return ERR(E_LOCAL_MEMORY);
	if (failed(e = set_common(h, timeout_ms)) ||
	    failed(e = h->local ? set_socket(h, socket_path) : set_tls(h, ca_pem)))
		return e;
	*ret = take_ptr(&h);
	return ERR(E_OK);
}

void https_free(struct https *h)
{
	const struct libcurl *lib;

	if (h == NULL)
		return;
	lib = h->lib;
	if (h->curl != NULL)
		lib->easy_cleanup(h->curl);
	free(h->base);
	free(h);
	lib->global_cleanup();
}

void https_reply_done(struct https_reply *r)
{
	buf_free(&r->body);
}

struct headers {
	const struct libcurl *lib;
	struct curl_slist *list;
};

static void free_headers(struct headers *h)
{
	h->lib->slist_free_all(h->list);
}

static struct err add_header(struct headers *h, const char *line)
{
	struct curl_slist *longer;

	/* A line break would begin another header. */
	if (strpbrk(line, "\r\n") != NULL)
		return ERR(E_BUG);
	longer = h->lib->slist_append(h->list, line);
	if (longer == NULL)
		return ERR(E_LOCAL_MEMORY);
	h->list = longer;
	return ERR(E_OK);
}

static struct err translate(const struct https *h, CURLcode c, const char *text, const char *url, struct reason *reterr)
{
	const char *why = text[0] != '\0' ? text : h->lib->easy_strerror(c);

	reason_set(reterr, "%s: %s", url, log_quote(bytes_str(why)));
	switch ((int)c) {
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_INVALIDCERTSTATUS:
		return ERR(E_AUTH_CERTIFICATE);
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL:
		return ERR(E_LOCAL_CONFIG);
	case CURLE_OPERATION_TIMEDOUT:
		return ERR(E_LOCAL_TIMEOUT);
	case CURLE_OUT_OF_MEMORY:
		return ERR(E_LOCAL_MEMORY);
	default:
		return ERR(E_LOCAL_NETWORK);
	}
}

/* "Text/HTML; charset=x" becomes "text/html"; what does not fit becomes "". */
static void set_content_type(const char *value, char *to, size_t size)
{
	size_t n = value == NULL ? 0 : strcspn(value, "; \t");

	if (n >= size)
		n = 0;
	for (size_t i = 0; i < n; i++)
		to[i] = (char)(value[i] >= 'A' && value[i] <= 'Z' ? value[i] - 'A' + 'a' : value[i]);
	to[n] = '\0';
}

static struct err perform(struct https *h, const char *path, struct curl_slist *headers, struct https_reply *ret,
			  struct reason *reterr)
{
	char text[CURL_ERROR_SIZE] = "", url[URL_MAX + 256];
	struct https_reply reply = { .body = BUF_INIT(LIMIT_EVIDENCE) };
	struct transfer t = { .reply = &reply, .error = ERR(E_OK) };
	const char *type = NULL;
	CURLcode c = CURLE_OK;
	long status = 0;

	if (path[0] != '/' || (size_t)snprintf(url, sizeof(url), "%s%s", h->base, path) >= sizeof(url))
		return ERR(E_BUG);
	SET(c, h, CURLOPT_URL, url);
	SET(c, h, CURLOPT_HTTPHEADER, headers);
	SET(c, h, CURLOPT_ERRORBUFFER, text);
	SET(c, h, CURLOPT_WRITEDATA, &t);
	SET(c, h, CURLOPT_HEADERDATA, &t);
	if (c == CURLE_OK)
		c = h->lib->easy_perform(h->curl);
	(void)h->lib->easy_setopt(h->curl, CURLOPT_HTTPHEADER, NULL);
	(void)h->lib->easy_setopt(h->curl, CURLOPT_ERRORBUFFER, NULL);
	if (failed(t.error)) {
		reason_set(reterr, "%s: answer %s", url, err_text(t.error));
		https_reply_done(&reply);
		return t.error;
	}
	if (c != CURLE_OK) {
		https_reply_done(&reply);
		return translate(h, c, text, url, reterr);
	}
	(void)h->lib->easy_getinfo(h->curl, CURLINFO_RESPONSE_CODE, &status);
	(void)h->lib->easy_getinfo(h->curl, CURLINFO_CONTENT_TYPE, &type);
	reply.status = (unsigned)status;
	set_content_type(type, reply.content_type, sizeof(reply.content_type));
	*ret = reply;
	return ERR(E_OK);
}

struct err https_post(struct https *h, const char *path, const char *content_type, struct bytes body, size_t n_headers,
		      const char *const *headers, struct https_reply *ret, struct reason *reterr)
{
	cleanup(free_headers) struct headers list = { .lib = h->lib };
	cleanup_buf struct buf line = BUF_INIT(256);
	CURLcode c = CURLE_OK;
	const char *type;
	struct err e;

	if (failed(e = buf_addf(&line, "Content-Type: %s", content_type)) || failed(e = buf_cstr(&line, &type)) ||
	    failed(e = add_header(&list, type)) || failed(e = add_header(&list, "Expect:")))
		return e;
	for (size_t i = 0; i < n_headers; i++)
		if (failed(e = add_header(&list, headers[i])))
			return e;
	SET(c, h, CURLOPT_POST, 1L);
	SET(c, h, CURLOPT_POSTFIELDS, body.n == 0 ? "" : (const char *)body.p);
	SET(c, h, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.n);
	if (c != CURLE_OK)
		return ERR(E_LOCAL_MEMORY);
	return perform(h, path, list.list, ret, reterr);
}

struct err https_get(struct https *h, const char *path, struct https_reply *ret, struct reason *reterr)
{
	if (h->lib->easy_setopt(h->curl, CURLOPT_HTTPGET, 1L) != CURLE_OK)
		return ERR(E_LOCAL_MEMORY);
	return perform(h, path, NULL, ret, reterr);
}
