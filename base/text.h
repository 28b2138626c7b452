/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text forms of bytes and numbers, strict in both directions.
 */
#ifndef ASSAY_BASE_TEXT_H
#define ASSAY_BASE_TEXT_H

#include "base/bytes.h"

/* Lower-case hex without separators. Writes 2*in.n characters and a NUL to out of out_size bytes. E_LIMIT_SIZE. */
must_check struct err hex_encode(struct bytes in, char *out, size_t out_size);
/* Appends hex to b. */
must_check struct err buf_add_hex(struct buf *b, struct bytes in);
/* Both cases accepted, whole input, even length. E_PEER_SYNTAX. Appends to ret. */
must_check struct err hex_decode(struct bytes in, struct buf *ret);
/* The same into exactly n bytes; E_PEER_RANGE for another length. */
must_check struct err hex_decode_exact(struct bytes in, uint8_t *out, size_t n);

/*
 * base64url without padding (RFC 7515 section 2). Decoding refuses padding,
 * '+', '/', white space and unused bits that are not zero: E_PEER_SYNTAX,
 * E_PEER_NOT_CANONICAL. Appends.
 */
must_check struct err b64url_encode(struct bytes in, struct buf *ret);
must_check struct err b64url_decode(struct bytes in, struct buf *ret);
/* Standard base64 with padding (RFC 4648 section 4), as DSSE writes it; equally strict. */
must_check struct err b64_encode(struct bytes in, struct buf *ret);
must_check struct err b64_decode(struct bytes in, struct buf *ret);

/* Whole string, decimal digits only, no sign, no leading zero but "0", at most max. E_PEER_SYNTAX, E_PEER_RANGE. */
must_check struct err parse_u64(const char *s, uint64_t max, uint64_t *ret);

/* Duration "90", "90s", "15m", "12h", "30d" in seconds, at most max. E_PEER_SYNTAX, E_PEER_RANGE. */
must_check struct err parse_duration_s(const char *s, uint64_t max, uint64_t *ret);

/* True for 1..64 characters of [A-Za-z0-9._-] but "." and "..", as ids name files too; ids and names on every interface. */
bool id_valid(struct bytes s);

/* Length, 1..4, of the well-formed UTF-8 sequence (RFC 3629; NUL counts as one) that s begins with; 0 where there is none. */
size_t utf8_len(struct bytes s);
/* True for well-formed UTF-8 (RFC 3629) without NUL. */
bool utf8_valid(struct bytes s);

/*
 * RFC 3339 UTC ("2026-01-31T12:00:00Z") of seconds since 1970 to out, and back
 * (only that form; no leap second). E_LIMIT_SIZE below TIME_TEXT_SIZE bytes;
 * E_PEER_RANGE outside the years 0 to 9999; E_PEER_SYNTAX.
 */
#define TIME_TEXT_SIZE 21
must_check struct err time_format(int64_t t_s, char *out, size_t out_size);
must_check struct err time_parse(const char *s, int64_t *ret_s);

#endif
