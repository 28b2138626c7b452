/* SPDX-License-Identifier: Apache-2.0 */
#include "protocol/message_parts.h"

#include <string.h>

#include "base/text.h"

static struct err refuse(const struct jobj *o, const char *key, const char *why)
{
	reason_set(o->reterr, "%s%s%s: %s", o->where, *o->where != '\0' ? "." : "", key, why);
	return ERR(E_PEER_RANGE);
}

struct err text_put(const struct jobj *o, const char *key, const char *s, char *ret, size_t size)
{
	size_t n = strlen(s);

	if (n >= size)
		return refuse(o, key, "text is too long");
	memcpy(ret, s, n + 1);
	return ERR(E_OK);
}

struct err text_get(struct jobj *o, const char *key, char *ret, size_t size)
{
	const char *s = NULL;
	struct err e;

	if (failed(e = jobj_str(o, key, size - 1, &s)))
		return e;
	return text_put(o, key, s, ret, size);
}

struct err id_get(struct jobj *o, const char *key, char *ret, size_t size)
{
	const char *s = NULL;
	struct err e;

	if (failed(e = jobj_id(o, key, &s)))
		return e;
	return text_put(o, key, s, ret, size);
}

struct err host_id_get(struct jobj *o, const char *key, char ret[HOST_ID_LEN + 1])
{
	const char *s = NULL;
	struct err e;

	if (failed(e = jobj_str(o, key, HOST_ID_LEN, &s)))
		return e;
	if (!host_id_valid(bytes_str(s)))
		return refuse(o, key, "a host id is expected: h- and 32 lower-case hex digits");
	return text_put(o, key, s, ret, HOST_ID_LEN + 1);
}

struct err issuer_get(struct jobj *o, const char *key, char ret[ISSUER_MAX + 1])
{
	const char *s = NULL;
	struct err e;

	if (failed(e = jobj_str(o, key, ISSUER_MAX, &s)))
		return e;
	if (*s == '\0')
		return refuse(o, key, "empty");
	return text_put(o, key, s, ret, ISSUER_MAX + 1);
}

struct err bytes_get(struct jobj *o, const char *key, uint8_t *ret, size_t n)
{
	cleanup_buf struct buf b = BUF_INIT(n);
	struct err e;

	if (failed(e = jobj_b64url(o, key, &b)))
		return e;
	if (failed(bytes_copy_exact(buf_bytes(&b), ret, n)))
		return refuse(o, key, "too short");
	return ERR(E_OK);
}

struct err buf_get(struct jobj *o, const char *key, struct buf *ret)
{
	struct err e;

	if (failed(e = jobj_b64url(o, key, ret)))
		return e;
	if (ret->n == 0)
		return refuse(o, key, "empty");
	return ERR(E_OK);
}

struct err element_get(const json_t *j, const char *where, struct buf *ret, struct reason *reterr)
{
	struct err e;

	if (!json_is_string(j)) {
		reason_set(reterr, "%s: every element must be text", where);
		return ERR(E_PEER_TYPE);
	}
	if (failed(e = b64url_decode(BYTES(json_string_value(j), json_string_length(j)), ret))) {
		reason_set(reterr, "%s: an element is not base64url without padding, or too long", where);
		return e;
	}
	return ERR(E_OK);
}

struct err element_put(json_t *a, struct bytes v)
{
	cleanup_buf struct buf text = BUF_INIT(SIZE_MAX);
	struct err e;

	if (failed(e = b64url_encode(v, &text)))
		return e;
	if (json_array_append_new(a, json_stringn(text.n == 0 ? "" : (const char *)text.p, text.n)) != 0)
		return ERR(E_LOCAL_MEMORY);
	return ERR(E_OK);
}

struct err body_parse(struct bytes in, size_t max, json_t **ret, struct jobj *ret_obj, struct reason *reterr)
{
	cleanup_json json_t *j = NULL;
	struct err e;

	if (failed(e = json_parse(in, max, &j, reterr)) ||
	    failed(e = jobj_init(ret_obj, j, "", reterr)))
		return e;
	*ret = take_ptr(&j);
	return ERR(E_OK);
}
