/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the JSON messages share. Not for other folders.
 */
#ifndef ASSAY_PROTOCOL_MESSAGE_PARTS_H
#define ASSAY_PROTOCOL_MESSAGE_PARTS_H

#include "protocol/messages.h"

/* Text of member `key` into a field of size bytes, with a NUL; E_PEER_RANGE where it does not fit. */
must_check struct err text_put(const struct jobj *o, const char *key, const char *s, char *ret, size_t size);

/* Member `key` as text into a field of size bytes. */
must_check struct err text_get(struct jobj *o, const char *key, char *ret, size_t size);

/* Member `key` that must be id_valid() into a field of size bytes. */
must_check struct err id_get(struct jobj *o, const char *key, char *ret, size_t size);

/* Member `key` that must be a well-formed host id. */
must_check struct err host_id_get(struct jobj *o, const char *key, char ret[HOST_ID_LEN + 1]);

/* Member `key`, 1..ISSUER_MAX bytes of text. */
must_check struct err issuer_get(struct jobj *o, const char *key, char ret[ISSUER_MAX + 1]);

/* Member `key`, base64url of exactly n bytes. */
must_check struct err bytes_get(struct jobj *o, const char *key, uint8_t *ret, size_t n);

/* Member `key`, base64url of 1 to ret->max bytes. */
must_check struct err buf_get(struct jobj *o, const char *key, struct buf *ret);

/* Decodes an array element that is a base64url string of at most ret->max bytes. `where` names the array. */
must_check struct err element_get(const json_t *j, const char *where, struct buf *ret, struct reason *reterr);

/* A string that the array `a` takes over: base64url of v. */
must_check struct err element_put(json_t *a, struct bytes v);

/* Parses a body of at most max bytes whose value must be an object; starts to read it. The caller owns *ret. */
must_check struct err body_parse(struct bytes in, size_t max, json_t **ret, struct jobj *ret_obj,
				 struct reason *reterr);

#endif
