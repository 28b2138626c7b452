/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include <pthread.h>
#include <string.h>

#include "base/limits.h"
#include "base/log.h"
#include "base/text.h"

#define TIME_MAX_S INT64_C(253402300799) /* 9999-12-31T23:59:59Z, the last that RFC 3339 can write */
#define TIME_TEXT_MAX 32

/* jansson's readers and iterators take json_t * but change nothing but reference counts. */
static json_t *unconst(const json_t *j)
{
	return (json_t *)(uintptr_t)j;
}

/*
 * Deepest nesting of brackets outside strings. It runs before jansson, whose
 * parser recurses up to 2048 levels. Ill-formed text may be counted wrongly;
 * then jansson refuses it, and it never counts less than jansson would open.
 */
static struct err check_depth(struct bytes in)
{
	size_t depth = 0;
	bool in_string = false;

	for (size_t i = 0; i < in.n; i++) {
		uint8_t c = in.p[i];

		if (in_string && c == '\\')
			i++;
		else if (c == '"')
			in_string = !in_string;
		else if (!in_string && (c == '[' || c == '{') && ++depth > LIMIT_JSON_DEPTH)
			return ERR(E_LIMIT_DEPTH);
		else if (!in_string && (c == ']' || c == '}') && depth > 0)
			depth--;
	}
	return ERR(E_OK);
}

/*
 * jansson 2.14 ignores a failed allocation while it collects the characters of
 * a string: the text comes out with a character missing, and the parse is a
 * success. So the allocator keeps note, and a parse during which it failed
 * counts for nothing.
 */
static _Thread_local bool allocation_failed;

static void *noting_malloc(size_t n)
{
	void *p = malloc(n);

	if (p == NULL)
		allocation_failed = true;
	return p;
}

static void set_allocator(void)
{
	json_set_alloc_funcs(noting_malloc, free);
}

static struct err translate(const json_error_t *je)
{
	enum json_error_code code = json_error_code(je);

	if (code == json_error_duplicate_key)
		return ERR(E_PEER_DUPLICATE);
	if (code == json_error_numeric_overflow)
		return ERR(E_PEER_RANGE);
	if (code == json_error_stack_overflow)
		return ERR(E_LIMIT_DEPTH);
	return ERR(E_PEER_SYNTAX);
}

struct err json_parse(struct bytes in, size_t max, json_t **ret, struct reason *reterr)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	cleanup_json json_t *j = NULL;
	json_error_t je = { 0 };
	struct err e;

	if (pthread_once(&once, set_allocator) != 0)
		return ERR(E_BUG);
	if (in.n > max) {
		reason_set(reterr, "JSON text of %zu bytes, at most %zu are accepted", in.n, max);
		return ERR(E_LIMIT_SIZE);
	}
	if (in.n == 0) {
		reason_set(reterr, "JSON text expected, nothing there");
		return ERR(E_PEER_SYNTAX);
	}
	if (failed(e = check_depth(in))) {
		reason_set(reterr, "JSON text nested more than %d levels deep", LIMIT_JSON_DEPTH);
		return e;
	}
	allocation_failed = false;
	/* Without JSON_ALLOW_NUL and JSON_DISABLE_EOF_CHECK: NUL and trailing bytes are errors. */
	j = json_loadb((const char *)in.p, in.n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &je);
	if (allocation_failed)
		return ERR(E_LOCAL_MEMORY);
	if (j == NULL) {
		reason_set(reterr, "JSON line %d column %d: %s", je.line, je.column, log_quote(bytes_str(je.text)));
		return translate(&je);
	}
	*ret = take_ptr(&j);
	return ERR(E_OK);
}

struct sink {
	struct buf *to;
	struct err e;
};

static int sink_add(const char *p, size_t n, void *ctx)
{
	struct sink *s = ctx;

	/* jansson 2.14 goes on after a key that could not be written: the first failure has to stay. */
	if (!failed(s->e))
		s->e = buf_add(s->to, BYTES(p, n));
	return failed(s->e) ? -1 : 0;
}

static struct err dump(const json_t *j, size_t flags, struct buf *ret)
{
	struct sink s = { ret, ERR(E_OK) };
	size_t old_n = ret->n;
	struct err e;

	if (json_dump_callback(j, sink_add, &s, flags | JSON_ENCODE_ANY) == 0 && !failed(s.e))
		return ERR(E_OK);
	if (failed(e = buf_truncate(ret, old_n)))
		return e;
	/* What jansson itself can fail at, for a tree that its own functions made, is memory. */
	return failed(s.e) ? s.e : ERR(E_LOCAL_MEMORY);
}

struct err json_write(const json_t *j, struct buf *ret)
{
	return dump(j, JSON_COMPACT | JSON_SORT_KEYS, ret);
}

struct err json_write_pretty(const json_t *j, struct buf *ret)
{
	return dump(j, JSON_INDENT(2), ret);
}

static struct err fail(const struct jobj *o, const char *key, enum err_code code, const char *what)
{
	reason_set(o->reterr, "%s%s%s: %s", o->where, *o->where != '\0' ? "." : "", key, what);
	return ERR(code);
}

struct err jobj_init(struct jobj *o, const json_t *j, const char *where, struct reason *reterr)
{
	if (!json_is_object(j)) {
		reason_set(reterr, "%s: an object is expected", *where != '\0' ? where : "document");
		return ERR(E_PEER_TYPE);
	}
	*o = (struct jobj){ .obj = j, .where = where, .reterr = reterr };
	return ERR(E_OK);
}

static bool seen(const struct jobj *o, const char *key)
{
	for (size_t i = 0; i < o->n_seen; i++) {
		if (strcmp(o->seen[i], key) == 0)
			return true;
	}
	return false;
}

/* The member, marked as read. */
static struct err member(struct jobj *o, const char *key, const json_t **ret)
{
	const json_t *j = json_object_get(o->obj, key);

	if (j == NULL)
		return fail(o, key, E_PEER_MISSING, "missing");
	if (!seen(o, key)) {
		if (o->n_seen == JOBJ_MAX_KEYS)
			return fail(o, key, E_BUG, "reader asks for too many members");
		o->seen[o->n_seen++] = key;
	}
	*ret = j;
	return ERR(E_OK);
}

struct err jobj_any(struct jobj *o, const char *key, const json_t **ret)
{
	return member(o, key, ret);
}

struct err jobj_str(struct jobj *o, const char *key, size_t max_len, const char **ret)
{
	const json_t *j = NULL;
	struct err e;

	if (failed(e = member(o, key, &j)))
		return e;
	if (!json_is_string(j))
		return fail(o, key, E_PEER_TYPE, "text is expected");
	if (json_string_length(j) > max_len)
		return fail(o, key, E_PEER_RANGE, "text is too long");
	/* The parser refuses NUL; a tree built by hand may hold one, and C strings would end there. */
	if (strlen(json_string_value(j)) != json_string_length(j))
		return fail(o, key, E_PEER_SYNTAX, "NUL in text");
	*ret = json_string_value(j);
	return ERR(E_OK);
}

struct err jobj_id(struct jobj *o, const char *key, const char **ret)
{
	const char *s = NULL;
	struct err e;

	if (failed(e = jobj_str(o, key, SIZE_MAX, &s)))
		return e;
	if (!id_valid(bytes_str(s)))
		return fail(o, key, E_PEER_RANGE, "1..64 characters of A-Z a-z 0-9 . _ - are expected");
	*ret = s;
	return ERR(E_OK);
}

struct err jobj_u64(struct jobj *o, const char *key, uint64_t max, uint64_t *ret)
{
	const json_t *j = NULL;
	struct err e;

	if (failed(e = member(o, key, &j)))
		return e;
	if (!json_is_integer(j))
		return fail(o, key, E_PEER_TYPE, "an integer is expected");
	if (json_integer_value(j) < 0)
		return fail(o, key, E_PEER_RANGE, "negative");
	if ((uint64_t)json_integer_value(j) > max)
		return fail(o, key, E_PEER_RANGE, "too large");
	*ret = (uint64_t)json_integer_value(j);
	return ERR(E_OK);
}

struct err jobj_time(struct jobj *o, const char *key, int64_t *ret_s)
{
	const json_t *j = NULL;
	const char *s = NULL;
	int64_t t_s = 0;
	struct err e;

	if (failed(e = member(o, key, &j)))
		return e;
	if (json_is_integer(j)) {
		if (json_integer_value(j) < 0 || json_integer_value(j) > TIME_MAX_S)
			return fail(o, key, E_PEER_RANGE, "seconds since 1970 up to the year 9999 are expected");
		*ret_s = json_integer_value(j);
		return ERR(E_OK);
	}
	if (!json_is_string(j))
		return fail(o, key, E_PEER_TYPE, "a time is expected: 2026-01-31T12:00:00Z or integer seconds");
	if (failed(e = jobj_str(o, key, TIME_TEXT_MAX, &s)))
		return e;
	if (failed(e = time_parse(s, &t_s)))
		return fail(o, key, e.code, "a time like 2026-01-31T12:00:00Z is expected");
	*ret_s = t_s;
	return ERR(E_OK);
}

struct err jobj_bool(struct jobj *o, const char *key, bool *ret)
{
	const json_t *j = NULL;
	struct err e;

	if (failed(e = member(o, key, &j)))
		return e;
	if (!json_is_boolean(j))
		return fail(o, key, E_PEER_TYPE, "true or false is expected");
	*ret = json_is_true(j);
	return ERR(E_OK);
}

struct err jobj_hex(struct jobj *o, const char *key, uint8_t *ret, size_t n)
{
	const char *s = NULL;
	struct err e;

	if (failed(e = jobj_str(o, key, SIZE_MAX, &s)))
		return e;
	if (failed(e = hex_decode_exact(bytes_str(s), ret, n)))
		return fail(o, key, e.code, "not hex of the expected length");
	return ERR(E_OK);
}

struct err jobj_b64url(struct jobj *o, const char *key, struct buf *ret)
{
	const char *s = NULL;
	struct err e;

	if (failed(e = jobj_str(o, key, SIZE_MAX, &s)))
		return e;
	if (failed(e = b64url_decode(bytes_str(s), ret)))
		return fail(o, key, e.code, "not base64url without padding, or too long");
	return ERR(E_OK);
}

struct err jobj_obj(struct jobj *o, const char *key, const json_t **ret)
{
	const json_t *j = NULL;
	struct err e;

	if (failed(e = member(o, key, &j)))
		return e;
	if (!json_is_object(j))
		return fail(o, key, E_PEER_TYPE, "an object is expected");
	*ret = j;
	return ERR(E_OK);
}

struct err jobj_arr(struct jobj *o, const char *key, size_t max, const json_t **ret)
{
	const json_t *j = NULL;
	struct err e;

	if (failed(e = member(o, key, &j)))
		return e;
	if (!json_is_array(j))
		return fail(o, key, E_PEER_TYPE, "an array is expected");
	if (json_array_size(j) > max)
		return fail(o, key, E_LIMIT_COUNT, "too many elements");
	*ret = j;
	return ERR(E_OK);
}

bool jobj_has(const struct jobj *o, const char *key)
{
	return json_object_get(o->obj, key) != NULL;
}

struct err jobj_end(struct jobj *o)
{
	json_t *obj = unconst(o->obj);

	/* At most JOBJ_MAX_KEYS + 1 members are looked at: the first that is not in `seen` ends it. */
	for (void *it = json_object_iter(obj); it != NULL; it = json_object_iter_next(obj, it)) {
		const char *key = json_object_iter_key(it);

		if (!seen(o, key))
			return fail(o, log_quote(bytes_str(key)), E_PEER_UNKNOWN_KEY, "unknown member");
	}
	return ERR(E_OK);
}

struct err json_new_object(json_t **ret)
{
	json_t *o = json_object();

	if (o == NULL)
		return ERR(E_LOCAL_MEMORY);
	*ret = o;
	return ERR(E_OK);
}

struct err json_put(json_t *o, const char *key, json_t *v /* takes ownership */)
{
	if (v == NULL)
		return ERR(E_LOCAL_MEMORY);
	if (!utf8_valid(bytes_str(key))) {
		json_decref(v);
		return ERR(E_PEER_SYNTAX);
	}
	if (json_object_set_new(o, key, v) != 0)
		return ERR(E_LOCAL_MEMORY);
	return ERR(E_OK);
}

struct err json_put_text(json_t *o, const char *key, struct bytes v)
{
	if (!utf8_valid(v))
		return ERR(E_PEER_SYNTAX);
	return json_put(o, key, json_stringn_nocheck(v.n == 0 ? "" : (const char *)v.p, v.n));
}

struct err json_put_str(json_t *o, const char *key, const char *v)
{
	return json_put_text(o, key, bytes_str(v));
}

struct err json_put_int(json_t *o, const char *key, int64_t v)
{
	return json_put(o, key, json_integer(v));
}

struct err json_put_bool(json_t *o, const char *key, bool v)
{
	return json_put(o, key, json_boolean(v));
}

struct err json_put_hex(json_t *o, const char *key, struct bytes v)
{
	cleanup_buf struct buf text = BUF_INIT(SIZE_MAX);
	struct err e;

	if (failed(e = buf_add_hex(&text, v)))
		return e;
	return json_put_text(o, key, buf_bytes(&text));
}

struct err json_put_b64url(json_t *o, const char *key, struct bytes v)
{
	cleanup_buf struct buf text = BUF_INIT(SIZE_MAX);
	struct err e;

	if (failed(e = b64url_encode(v, &text)))
		return e;
	return json_put_text(o, key, buf_bytes(&text));
}
