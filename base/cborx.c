/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cborx.h"

#include <cbor.h>

#include "base/text.h"

enum kind { KIND_NONE, KIND_UINT, KIND_NEGINT, KIND_BYTES, KIND_TEXT, KIND_ARRAY, KIND_MAP, KIND_BOOL, KIND_NULL };

/* One item head; strings with their content. */
struct head {
	enum kind kind;
	uint64_t v;     /* integer argument, count of elements or pairs, length of a string, 0 or 1 */
	struct bytes s; /* content of a string */
	size_t n;       /* encoded bytes: the head and, for strings, the content */
};

static void set_number(void *ctx, enum kind kind, uint64_t v)
{
	struct head *h = ctx;

	h->kind = kind;
	h->v = v;
}

static void on_uint8(void *ctx, uint8_t v)
{
	set_number(ctx, KIND_UINT, v);
}

static void on_uint16(void *ctx, uint16_t v)
{
	set_number(ctx, KIND_UINT, v);
}

static void on_uint32(void *ctx, uint32_t v)
{
	set_number(ctx, KIND_UINT, v);
}

static void on_uint64(void *ctx, uint64_t v)
{
	set_number(ctx, KIND_UINT, v);
}

static void on_negint8(void *ctx, uint8_t v)
{
	set_number(ctx, KIND_NEGINT, v);
}

static void on_negint16(void *ctx, uint16_t v)
{
	set_number(ctx, KIND_NEGINT, v);
}

static void on_negint32(void *ctx, uint32_t v)
{
	set_number(ctx, KIND_NEGINT, v);
}

static void on_negint64(void *ctx, uint64_t v)
{
	set_number(ctx, KIND_NEGINT, v);
}

static void on_string(struct head *h, enum kind kind, cbor_data p, size_t n)
{
	h->kind = kind;
	h->v = n;
	h->s = BYTES(p, n);
}

static void on_bytes(void *ctx, cbor_data p, size_t n)
{
	on_string(ctx, KIND_BYTES, p, n);
}

static void on_text(void *ctx, cbor_data p, size_t n)
{
	on_string(ctx, KIND_TEXT, p, n);
}

static void on_array(void *ctx, size_t n)
{
	set_number(ctx, KIND_ARRAY, n);
}

static void on_map(void *ctx, size_t n)
{
	set_number(ctx, KIND_MAP, n);
}

static void on_bool(void *ctx, bool v)
{
	set_number(ctx, KIND_BOOL, v);
}

static void on_null(void *ctx)
{
	set_number(ctx, KIND_NULL, 0);
}

/* What lies outside the profile has libcbor's empty callbacks, which leave KIND_NONE. */
static const struct cbor_callbacks callbacks = {
	.uint8 = on_uint8,
	.uint16 = on_uint16,
	.uint32 = on_uint32,
	.uint64 = on_uint64,
	.negint8 = on_negint8,
	.negint16 = on_negint16,
	.negint32 = on_negint32,
	.negint64 = on_negint64,
	.byte_string = on_bytes,
	.string = on_text,
	.array_start = on_array,
	.map_start = on_map,
	.boolean = on_bool,
	.null = on_null,
	.byte_string_start = cbor_null_byte_string_start_callback,
	.string_start = cbor_null_string_start_callback,
	.indef_array_start = cbor_null_indef_array_start_callback,
	.indef_map_start = cbor_null_indef_map_start_callback,
	.tag = cbor_null_tag_callback,
	.float2 = cbor_null_float2_callback,
	.float4 = cbor_null_float4_callback,
	.float8 = cbor_null_float8_callback,
	.undefined = cbor_null_undefined_callback,
	.indef_break = cbor_null_indef_break_callback,
};

/*
 * Judges the first byte, so that libcbor never sees a tag (it cannot decode
 * tags 6 to 20), a float or an indefinite length.
 */
static struct err first_byte_check(uint8_t first)
{
	unsigned major = first >> 5, info = first & 31;

	if (major == 7 && info >= 20 && info <= 22)
		return ERR(E_OK); /* false, true, null */
	if (first == 0xff || (info >= 28 && info <= 30))
		return ERR(E_PEER_SYNTAX);
	if (major >= 6)
		return ERR(E_PEER_UNSUPPORTED);
	if (info == 31)
		return ERR(major < 2 ? E_PEER_SYNTAX : E_PEER_NOT_CANONICAL);
	return ERR(E_OK);
}

/* RFC 8949, 4.2.1: the shortest form of the argument. */
static size_t shortest_head(uint64_t v)
{
	if (v < 24)
		return 1;
	if (v <= UINT8_MAX)
		return 2;
	if (v <= UINT16_MAX)
		return 3;
	return v <= UINT32_MAX ? 5 : 9;
}

static struct err head_read(struct bytes in, struct head *ret)
{
	struct head h = { .kind = KIND_NONE };
	struct cbor_decoder_result r;
	struct err e;

	if (in.n == 0)
		return ERR(E_PEER_TRUNCATED);
	if (failed(e = first_byte_check(in.p[0])))
		return e;
	r = cbor_stream_decode(in.p, in.n, &callbacks, &h);
	if (r.status == CBOR_DECODER_NEDATA)
		return ERR(E_PEER_TRUNCATED);
	if (r.status != CBOR_DECODER_FINISHED || h.kind == KIND_NONE)
		return ERR(E_PEER_SYNTAX);
	if (r.read > in.n || h.s.n >= r.read)
		return ERR(E_BUG);
	if (r.read - h.s.n != shortest_head(h.v))
		return ERR(E_PEER_NOT_CANONICAL);
	h.n = r.read;

	/* An element takes a byte at least, a pair two. Nothing is ever done with a count that fails here. */
	if ((h.kind == KIND_ARRAY && h.v > in.n - h.n) || (h.kind == KIND_MAP && h.v > (in.n - h.n) / 2))
		return ERR(E_PEER_TRUNCATED);
	*ret = h;
	return ERR(E_OK);
}

/* A container that is being read. */
struct frame {
	size_t left; /* items to come; in a map, keys and values, so that an even number means a key */
	bool is_map;
	struct bytes last_key; /* encoded; n == 0 before the first */
};

static struct err key_check(struct frame *f, const struct head *h, struct bytes key)
{
	int order = bytes_cmp(f->last_key, key);

	if (h->kind != KIND_UINT && h->kind != KIND_NEGINT && h->kind != KIND_TEXT)
		return ERR(E_PEER_UNSUPPORTED);
	if (order == 0)
		return ERR(E_PEER_DUPLICATE);
	if (order > 0)
		return ERR(E_PEER_NOT_CANONICAL);
	f->last_key = key;
	return ERR(E_OK);
}

/* The containers around the next item. A fixed stack: the peer's nesting never becomes ours. */
struct walk {
	struct frame stack[CBOR_MAX_DEPTH];
	size_t depth;
	size_t n_items;
};

static struct err walk_item(struct walk *w, struct bytes in, size_t *ret_n)
{
	struct frame *top = w->depth > 0 ? &w->stack[w->depth - 1] : NULL;
	struct head h;
	struct err e;

	if (failed(e = head_read(in, &h)))
		return e;
	if (++w->n_items > CBOR_MAX_ITEMS)
		return ERR(E_LIMIT_COUNT);
	if (h.kind == KIND_TEXT && !utf8_valid(h.s))
		return ERR(E_PEER_SYNTAX);
	if (top != NULL && top->is_map && top->left % 2 == 0 && failed(e = key_check(top, &h, BYTES(in.p, h.n))))
		return e;
	if (top != NULL)
		top->left--;
	if (h.kind == KIND_ARRAY || h.kind == KIND_MAP) {
		if (w->depth == CBOR_MAX_DEPTH)
			return ERR(E_LIMIT_DEPTH);
		w->stack[w->depth++] = (struct frame){
			.left = (size_t)h.v * (h.kind == KIND_MAP ? 2 : 1),
			.is_map = h.kind == KIND_MAP,
		};
	}
	while (w->depth > 0 && w->stack[w->depth - 1].left == 0)
		w->depth--;
	*ret_n = h.n;
	return ERR(E_OK);
}

struct err cbor_check_first(struct bytes in, size_t *ret_n)
{
	struct walk w = { 0 };
	struct bytes left = in;
	struct err e;
	size_t n;

	do {
		if (failed(e = walk_item(&w, left, &n)) ||
		    failed(e = bytes_sub(left, n, left.n - n, &left)))
			return e;
	} while (w.depth > 0);
	*ret_n = in.n - left.n;
	return ERR(E_OK);
}

struct err cbor_check(struct bytes in)
{
	struct err e;
	size_t n;

	if (failed(e = cbor_check_first(in, &n)))
		return e;
	return ERR(n == in.n ? E_OK : E_PEER_TRAILING);
}

struct err cbor_rd_init(struct bytes in, struct cbor_rd *ret)
{
	struct err e;

	if (failed(e = cbor_check(in)))
		return e;
	*ret = (struct cbor_rd){ .in = in };
	return ERR(E_OK);
}

static struct err peek(const struct cbor_rd *r, struct head *ret)
{
	struct bytes left;
	struct err e;

	if (failed(e = bytes_sub(r->in, r->off, r->in.n - r->off, &left)))
		return e;
	return head_read(left, ret);
}

static struct err peek_kind(const struct cbor_rd *r, enum kind kind, struct head *ret)
{
	struct head h;
	struct err e;

	if (failed(e = peek(r, &h)))
		return e;
	if (h.kind != kind)
		return ERR(E_PEER_TYPE);
	*ret = h;
	return ERR(E_OK);
}

struct err cbor_rd_uint(struct cbor_rd *r, uint64_t max, uint64_t *ret)
{
	struct head h;
	struct err e;

	if (failed(e = peek_kind(r, KIND_UINT, &h)))
		return e;
	if (h.v > max)
		return ERR(E_PEER_RANGE);
	r->off += h.n;
	*ret = h.v;
	return ERR(E_OK);
}

struct err cbor_rd_bool(struct cbor_rd *r, bool *ret)
{
	struct head h;
	struct err e;

	if (failed(e = peek_kind(r, KIND_BOOL, &h)))
		return e;
	r->off += h.n;
	*ret = h.v != 0;
	return ERR(E_OK);
}

static struct err rd_string(struct cbor_rd *r, enum kind kind, struct bytes *ret)
{
	struct head h;
	struct err e;

	if (failed(e = peek_kind(r, kind, &h)))
		return e;
	r->off += h.n;
	*ret = h.s;
	return ERR(E_OK);
}

struct err cbor_rd_bytes(struct cbor_rd *r, struct bytes *ret)
{
	return rd_string(r, KIND_BYTES, ret);
}

struct err cbor_rd_bytes_exact(struct cbor_rd *r, uint8_t *ret, size_t n)
{
	struct cbor_rd ahead = *r;
	struct bytes s;
	struct err e;

	if (failed(e = rd_string(&ahead, KIND_BYTES, &s)) ||
	    failed(e = bytes_copy_exact(s, ret, n)))
		return e;
	*r = ahead;
	return ERR(E_OK);
}

struct err cbor_rd_text(struct cbor_rd *r, struct bytes *ret)
{
	return rd_string(r, KIND_TEXT, ret);
}

struct err cbor_rd_array(struct cbor_rd *r, size_t max, size_t *ret_n)
{
	struct head h;
	struct err e;

	if (failed(e = peek_kind(r, KIND_ARRAY, &h)))
		return e;
	if (h.v > max)
		return ERR(E_LIMIT_COUNT);
	r->off += h.n;
	*ret_n = (size_t)h.v;
	return ERR(E_OK);
}

struct err cbor_rd_map(struct cbor_rd *r, struct cbor_map *ret)
{
	struct head h;
	struct err e;

	if (failed(e = peek_kind(r, KIND_MAP, &h)))
		return e;
	r->off += h.n;
	ret->left = (size_t)h.v;
	return ERR(E_OK);
}

struct err cbor_rd_key_opt(struct cbor_rd *r, struct cbor_map *m, uint64_t key, bool *ret_present)
{
	struct head h = { .kind = KIND_NONE };
	struct err e;

	if (m->left > 0 && failed(e = peek(r, &h)))
		return e;
	*ret_present = h.kind == KIND_UINT && h.v == key;
	if (*ret_present) {
		r->off += h.n;
		m->left--;
	}
	return ERR(E_OK);
}

struct err cbor_rd_key(struct cbor_rd *r, struct cbor_map *m, uint64_t key)
{
	bool present;
	struct err e;

	if (failed(e = cbor_rd_key_opt(r, m, key, &present)))
		return e;
	return ERR(present ? E_OK : E_PEER_MISSING);
}

struct err cbor_rd_map_end(const struct cbor_rd *r, const struct cbor_map *m)
{
	(void)r;
	return ERR(m->left == 0 ? E_OK : E_PEER_UNKNOWN_KEY);
}

struct err cbor_rd_item(struct cbor_rd *r, struct bytes *ret)
{
	struct bytes left;
	struct err e;
	size_t n;

	if (failed(e = bytes_sub(r->in, r->off, r->in.n - r->off, &left)) ||
	    failed(e = cbor_check_first(left, &n)) ||
	    failed(e = bytes_sub(left, 0, n, ret)))
		return e;
	r->off += n;
	return ERR(E_OK);
}

struct err cbor_rd_end(const struct cbor_rd *r)
{
	return ERR(r->off == r->in.n ? E_OK : E_PEER_TRAILING);
}

#define HEAD_MAX 9

/* The head and its content, both or nothing. */
static struct err put(struct buf *b, const uint8_t *head, size_t n, struct bytes content)
{
	struct err e;

	if (n == 0 || n > HEAD_MAX)
		return ERR(E_BUG);
	if (content.n > SIZE_MAX - n)
		return ERR(E_LIMIT_SIZE);
	if (failed(e = buf_reserve(b, n + content.n)) ||
	    failed(e = buf_add(b, BYTES(head, n))))
		return e;
	return buf_add(b, content);
}

struct err cbor_wr_uint(struct buf *b, uint64_t v)
{
	uint8_t head[HEAD_MAX];

	return put(b, head, cbor_encode_uint(v, head, sizeof(head)), BYTES_NONE);
}

struct err cbor_wr_bool(struct buf *b, bool v)
{
	uint8_t head[HEAD_MAX];

	return put(b, head, cbor_encode_bool(v, head, sizeof(head)), BYTES_NONE);
}

struct err cbor_wr_bytes(struct buf *b, struct bytes v)
{
	uint8_t head[HEAD_MAX];

	return put(b, head, cbor_encode_bytestring_start(v.n, head, sizeof(head)), v);
}

struct err cbor_wr_text(struct buf *b, struct bytes v)
{
	uint8_t head[HEAD_MAX];

	if (!utf8_valid(v))
		return ERR(E_PEER_SYNTAX);
	return put(b, head, cbor_encode_string_start(v.n, head, sizeof(head)), v);
}

struct err cbor_wr_array(struct buf *b, size_t n)
{
	uint8_t head[HEAD_MAX];

	return put(b, head, cbor_encode_array_start(n, head, sizeof(head)), BYTES_NONE);
}

struct err cbor_wr_map(struct buf *b, size_t n)
{
	uint8_t head[HEAD_MAX];

	return put(b, head, cbor_encode_map_start(n, head, sizeof(head)), BYTES_NONE);
}
