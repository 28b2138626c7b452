/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deterministic CBOR (RFC 8949, 4.2.1), read without heap and without trust.
 *
 * libcbor 0.8's cbor_load() allocates what a peer declares, accepts duplicate
 * keys, indefinite lengths and trailing bytes, so it is never called. Its
 * stream decoder reads one item head at a time; everything above it is here.
 * cbor_check() runs over the whole input once, before anything is decoded.
 * The readers then walk the same bytes and hand out borrowed views.
 *
 * Profile: unsigned and negative integers, byte and text strings (UTF-8),
 * arrays, maps with integer or text keys, true, false, null. No floats, no
 * other simple values, no tags.
 */
#ifndef ASSAY_BASE_CBORX_H
#define ASSAY_BASE_CBORX_H

#include "base/bytes.h"

#define CBOR_MAX_DEPTH 8
#define CBOR_MAX_ITEMS 65536

/*
 * The input is exactly one item of the profile in deterministic form: shortest
 * heads, definite lengths, map keys ascending in bytewise order and unique,
 * counts that fit into the bytes that are left, valid UTF-8 without NUL.
 * O(input) time, no heap. The result of a check covers byte strings as opaque.
 *
 * E_PEER_TRUNCATED, E_PEER_TRAILING, E_PEER_NOT_CANONICAL, E_PEER_DUPLICATE,
 * E_PEER_UNSUPPORTED (tag, float, other simple value, key of another type),
 * E_PEER_SYNTAX, E_LIMIT_DEPTH (above CBOR_MAX_DEPTH), E_LIMIT_COUNT (above
 * CBOR_MAX_ITEMS).
 */
must_check struct err cbor_check(struct bytes in);

/* Length of the first item in `in`, under the same rules but for what follows. For CBOR sequences (RFC 8742). */
must_check struct err cbor_check_first(struct bytes in, size_t *ret_n);

struct cbor_rd {
	struct bytes in;
	size_t off;
};

/* Begins to read: cbor_check(), then a cursor at the start. */
must_check struct err cbor_rd_init(struct bytes in, struct cbor_rd *ret);

/*
 * Next item, which must be of the wanted kind: E_PEER_TYPE otherwise,
 * E_PEER_TRUNCATED at the end. The cursor is then unchanged.
 */
must_check struct err cbor_rd_uint(struct cbor_rd *r, uint64_t max, uint64_t *ret); /* E_PEER_RANGE above max */
must_check struct err cbor_rd_bool(struct cbor_rd *r, bool *ret);
must_check struct err cbor_rd_bytes(struct cbor_rd *r, struct bytes *ret);
must_check struct err cbor_rd_bytes_exact(struct cbor_rd *r, uint8_t *ret, size_t n); /* E_PEER_RANGE */
must_check struct err cbor_rd_text(struct cbor_rd *r, struct bytes *ret);
must_check struct err cbor_rd_array(struct cbor_rd *r, size_t max, size_t *ret_n);    /* E_LIMIT_COUNT above max */

/*
 * Maps with ascending integer keys. cbor_rd_map() reads the head; each
 * cbor_rd_key() demands the next key (E_PEER_MISSING otherwise);
 * cbor_rd_key_opt() tells whether it is there; cbor_rd_map_end() refuses what
 * no decoder asked for (E_PEER_UNKNOWN_KEY). As keys ascend, a field can
 * neither be read twice nor slip past.
 */
struct cbor_map {
	size_t left;
};
must_check struct err cbor_rd_map(struct cbor_rd *r, struct cbor_map *ret);
must_check struct err cbor_rd_key(struct cbor_rd *r, struct cbor_map *m, uint64_t key);
must_check struct err cbor_rd_key_opt(struct cbor_rd *r, struct cbor_map *m, uint64_t key, bool *ret_present);
must_check struct err cbor_rd_map_end(const struct cbor_rd *r, const struct cbor_map *m);

/* The whole next item as a view over its encoding. */
must_check struct err cbor_rd_item(struct cbor_rd *r, struct bytes *ret);

/* E_PEER_TRAILING unless everything was read. */
must_check struct err cbor_rd_end(const struct cbor_rd *r);

/*
 * Encoders: shortest heads, appended. Map keys are the caller's to write in
 * ascending order. E_LIMIT_SIZE, E_LOCAL_MEMORY; the text writer also
 * E_PEER_SYNTAX, for what the checker would refuse. b is then unchanged.
 */
must_check struct err cbor_wr_uint(struct buf *b, uint64_t v);
must_check struct err cbor_wr_bool(struct buf *b, bool v);
must_check struct err cbor_wr_bytes(struct buf *b, struct bytes v);
must_check struct err cbor_wr_text(struct buf *b, struct bytes v);
must_check struct err cbor_wr_array(struct buf *b, size_t n);
must_check struct err cbor_wr_map(struct buf *b, size_t n);

#endif
