/* SPDX-License-Identifier: Apache-2.0 */
/* 64 bits, little endian, length of a JSON object that describes each tensor; then the tensors. */
#include <string.h>

#include "base/json.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/rd.h"
#include "firmware-measure/model_hint_impl.h"

/* An array of numbers that are not negative. */
static struct err numbers(const json_t *list, size_t max, uint64_t *ret, size_t *ret_n)
{
	size_t n = json_array_size(list);

	if (!json_is_array(list))
		return ERR(E_PEER_TYPE);
	if (n > max)
		return ERR(E_LIMIT_COUNT);
	for (size_t i = 0; i < n; i++) {
		const json_t *v = json_array_get(list, i);

		if (!json_is_integer(v) || json_integer_value(v) < 0)
			return ERR(E_PEER_TYPE);
		ret[i] = (uint64_t)json_integer_value(v);
	}
	*ret_n = n;
	return ERR(E_OK);
}

static struct err tensor(const json_t *t, uint64_t data_size, struct model_hint *ret)
{
	uint64_t dims[HINT_DIMS_MAX], offsets[2];
	size_t n_dims = 0, n_offsets = 0;
	struct err e;

	if (!json_is_object(t) || !json_is_string(json_object_get(t, "dtype")))
		return ERR(E_PEER_TYPE);
	if (failed(e = numbers(json_object_get(t, "shape"), HINT_DIMS_MAX, dims, &n_dims)) ||
	    failed(e = numbers(json_object_get(t, "data_offsets"), 2, offsets, &n_offsets)))
		return e;
	if (n_offsets != 2 || offsets[0] > offsets[1] || offsets[1] > data_size)
		return ERR(E_PEER_RANGE);
	return hint_add_tensor(ret, dims, n_dims);
}

/* Free text by free names; these are in use. */
static struct err metadata(const json_t *m, struct model_hint *ret)
{
	static const char *const names[] = { "modelspec.title", "name" };
	static const char *const versions[] = { "version" };
	static const char *const architectures[] = { "modelspec.architecture", "architecture" };
	const struct {
		const char *const *key;
		size_t n_keys;
		char *to;
		size_t size;
	} all[] = {
		{ names, array_len(names), ret->name, sizeof(ret->name) },
		{ versions, array_len(versions), ret->version, sizeof(ret->version) },
		{ architectures, array_len(architectures), ret->architecture, sizeof(ret->architecture) },
	};
	struct err e;

	if (!json_is_object(m))
		return ERR(E_PEER_TYPE);
	for (size_t i = 0; i < array_len(all); i++) {
		for (size_t k = 0; k < all[i].n_keys && all[i].to[0] == '\0'; k++) {
			const char *text = json_string_value(json_object_get(m, all[i].key[k]));

			if (text != NULL && failed(e = hint_text(bytes_str(text), all[i].to, all[i].size)))
				return e;
		}
	}
	return ERR(E_OK);
}

static struct err members(json_t *header, uint64_t data_size, struct model_hint *ret, struct reason *reterr)
{
	const char *key;
	json_t *value;
	struct err e;

	if (!json_is_object(header))
		return ERR(E_PEER_TYPE);
	json_object_foreach(header, key, value) {
		e = strcmp(key, "__metadata__") == 0 ? metadata(value, ret) : tensor(value, data_size, ret);
		if (failed(e)) {
			reason_set(reterr, "%s in the header: %s", log_quote(bytes_str(key)), err_text(e));
			return e;
		}
	}
	return ERR(E_OK);
}

struct err safetensors_hint(struct bytes head, uint64_t file_size, struct model_hint *ret, struct reason *reterr)
{
	cleanup_json json_t *header = NULL;
	struct rd r = RD(head);
	struct bytes text;
	uint64_t n = 0;
	struct err e;

	if (failed(e = rd_u64le(&r, &n)))
		return e;
	/* What was read of the file is no more than its size; the length is compared with both before it is used. */
	if (file_size < 8 || n > file_size - 8)
		return ERR(E_PEER_TRUNCATED);
	if (n > LIMIT_SAFETENSORS_HEADER) {
		reason_set(reterr, "header of %ju bytes, at most %zu are read", (uintmax_t)n, LIMIT_SAFETENSORS_HEADER);
		return ERR(E_LIMIT_SIZE);
	}
	if (failed(e = rd_bytes(&r, (size_t)n, &text)) || failed(e = json_parse(text, LIMIT_SAFETENSORS_HEADER, &header, reterr)))
		return e;
	return members(header, file_size - 8 - n, ret, reterr);
}
