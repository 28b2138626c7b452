/* SPDX-License-Identifier: Apache-2.0 */
/* Magic, version, counts; then keys with typed values; then names, dimensions and places of tensors. Little endian. */
#include <string.h>

#include "base/limits.h"
#include "base/rd.h"
#include "firmware-measure/model_hint_impl.h"

enum gguf_type {
	GGUF_UINT8, GGUF_INT8, GGUF_UINT16, GGUF_INT16, GGUF_UINT32, GGUF_INT32, GGUF_FLOAT32, GGUF_BOOL, GGUF_STRING,
	GGUF_ARRAY, GGUF_UINT64, GGUF_INT64, GGUF_FLOAT64, N_GGUF_TYPES,
};

/* Bytes of a value; 0 where it says its own length. */
static const size_t sizes[N_GGUF_TYPES] = {
	[GGUF_UINT8] = 1, [GGUF_INT8] = 1, [GGUF_UINT16] = 2, [GGUF_INT16] = 2, [GGUF_UINT32] = 4, [GGUF_INT32] = 4,
	[GGUF_FLOAT32] = 4, [GGUF_BOOL] = 1, [GGUF_UINT64] = 8, [GGUF_INT64] = 8, [GGUF_FLOAT64] = 8,
};

#define ARRAY_DEPTH 4
#define LEAST_STRING 8  /* its length */
#define LEAST_PAIR 13   /* an empty key, a type and one byte */
#define LEAST_TENSOR 24 /* an empty name, no dimensions, a type and a place */

static struct err string(struct rd *r, struct bytes *ret)
{
	struct rd at = *r;
	uint64_t n = 0;
	struct err e;

	if (failed(e = rd_u64le(&at, &n)))
		return e;
	if (n > rd_left(&at))
		return ERR(E_PEER_TRUNCATED);
	if (failed(e = rd_bytes(&at, (size_t)n, ret)))
		return e;
	*r = at;
	return ERR(E_OK);
}

static struct err skip_value(struct rd *r, uint32_t type, unsigned depth);

static struct err skip_array(struct rd *r, unsigned depth)
{
	uint32_t type = 0;
	uint64_t n = 0;
	struct bytes all;
	struct err e;

	if (depth == ARRAY_DEPTH)
		return ERR(E_LIMIT_DEPTH);
	if (failed(e = rd_u32le(r, &type)) || failed(e = rd_u64le(r, &n)))
		return e;
	if (type >= N_GGUF_TYPES)
		return ERR(E_PEER_RANGE);
	if (n > rd_left(r) / (sizes[type] > 0 ? sizes[type] : LEAST_STRING))
		return ERR(E_PEER_TRUNCATED);
	if (sizes[type] > 0)
		return rd_bytes(r, (size_t)n * sizes[type], &all);
	for (uint64_t i = 0; i < n; i++)
		if (failed(e = skip_value(r, type, depth + 1)))
			return e;
	return ERR(E_OK);
}

static struct err skip_value(struct rd *r, uint32_t type, unsigned depth)
{
	struct bytes v;

	if (type >= N_GGUF_TYPES)
		return ERR(E_PEER_RANGE);
	if (type == GGUF_ARRAY)
		return skip_array(r, depth);
	return type == GGUF_STRING ? string(r, &v) : rd_bytes(r, sizes[type], &v);
}

static struct err pair(struct rd *r, struct model_hint *ret)
{
	const struct {
		struct bytes key;
		char *to;
		size_t size;
	} wanted[] = {
		{ BYTES_LIT("general.name"), ret->name, sizeof(ret->name) },
		{ BYTES_LIT("general.version"), ret->version, sizeof(ret->version) },
		{ BYTES_LIT("general.architecture"), ret->architecture, sizeof(ret->architecture) },
	};
	struct bytes key, value;
	uint32_t type = 0;
	struct err e;

	if (failed(e = string(r, &key)) || failed(e = rd_u32le(r, &type)))
		return e;
	for (size_t i = 0; type == GGUF_STRING && i < array_len(wanted); i++) {
		if (!bytes_eq(key, wanted[i].key))
			continue;
		if (failed(e = string(r, &value)))
			return e;
		return hint_text(value, wanted[i].to, wanted[i].size);
	}
	return skip_value(r, type, 0);
}

static struct err tensor(struct rd *r, struct model_hint *ret)
{
	uint64_t dims[HINT_DIMS_MAX], place = 0;
	uint32_t n_dims = 0, type = 0;
	struct bytes name;
	struct err e;

	if (failed(e = string(r, &name)) || failed(e = rd_u32le(r, &n_dims)))
		return e;
	if (n_dims > HINT_DIMS_MAX)
		return ERR(E_LIMIT_COUNT);
	for (uint32_t i = 0; i < n_dims; i++)
		if (failed(e = rd_u64le(r, &dims[i])))
			return e;
	if (failed(e = rd_u32le(r, &type)) || failed(e = rd_u64le(r, &place)))
		return e;
	return hint_add_tensor(ret, dims, n_dims);
}

static struct err gguf(struct rd *r, struct model_hint *ret)
{
	uint64_t n_tensors = 0, n_pairs = 0;
	uint32_t version = 0;
	struct bytes magic;
	struct err e;

	if (failed(e = rd_bytes(r, 4, &magic)))
		return e;
	if (!bytes_eq(magic, BYTES_LIT("GGUF")))
		return ERR(E_PEER_SYNTAX);
	if (failed(e = rd_u32le(r, &version)))
		return e;
	if (version != 2 && version != 3)
		return ERR(E_PEER_UNSUPPORTED);
	if (failed(e = rd_u64le(r, &n_tensors)) || failed(e = rd_u64le(r, &n_pairs)))
		return e;
	if (n_pairs > rd_left(r) / LEAST_PAIR || n_tensors > rd_left(r) / LEAST_TENSOR)
		return ERR(E_PEER_TRUNCATED);
	for (uint64_t i = 0; i < n_pairs; i++)
		if (failed(e = pair(r, ret)))
			return e;
	for (uint64_t i = 0; i < n_tensors; i++)
		if (failed(e = tensor(r, ret)))
			return e;
	return ERR(E_OK);
}

struct err gguf_hint(struct bytes head, uint64_t file_size, struct model_hint *ret, struct reason *reterr)
{
	struct rd r = RD(head);
	struct err e = gguf(&r, ret);

	/* Not the file ends there, but what is looked at. */
	if (e.code == E_PEER_TRUNCATED && head.n < file_size) {
		reason_set(reterr, "header longer than %zu bytes", head.n);
		return ERR(E_LIMIT_SIZE);
	}
	return e;
}
