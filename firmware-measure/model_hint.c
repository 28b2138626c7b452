/* SPDX-License-Identifier: Apache-2.0 */
#include "firmware-measure/model_hint_impl.h"

#include <string.h>

#include "base/limits.h"
#include "base/text.h"

static const struct {
	const char *suffix, *format;
	size_t head_max;
	struct err (*parse)(struct bytes head, uint64_t file_size, struct model_hint *ret, struct reason *reterr);
} formats[] = {
	{ ".safetensors", "safetensors", LIMIT_SAFETENSORS_HEADER + 8, safetensors_hint },
	{ ".gguf", "gguf", LIMIT_GGUF_HEADER, gguf_hint },
};

const char *model_hint_format(const char *path)
{
	size_t n = strlen(path);

	for (size_t i = 0; i < array_len(formats); i++) {
		size_t n_suffix = strlen(formats[i].suffix);

		if (n > n_suffix && strcmp(path + n - n_suffix, formats[i].suffix) == 0)
			return formats[i].format;
	}
	return NULL;
}

size_t model_hint_head_max(const char *format)
{
	for (size_t i = 0; i < array_len(formats); i++)
		if (strcmp(formats[i].format, format) == 0)
			return formats[i].head_max;
	return 0;
}

struct err model_hint_parse(const char *format, struct bytes head, uint64_t file_size, struct model_hint *ret,
			    struct reason *reterr)
{
	struct err e;

	for (size_t i = 0; i < array_len(formats); i++) {
		struct model_hint h = { .format = formats[i].format };

		if (strcmp(formats[i].format, format) != 0)
			continue;
		if (failed(e = formats[i].parse(head, file_size, &h, reterr)))
			return e;
		*ret = h;
		return ERR(E_OK);
	}
	return ERR(E_BUG);
}

struct err hint_add_tensor(struct model_hint *h, const uint64_t *dims, size_t n_dims)
{
	uint64_t elements = 1;

	for (size_t i = 0; i < n_dims; i++)
		if (__builtin_mul_overflow(elements, dims[i], &elements))
			return ERR(E_PEER_RANGE);
	if (__builtin_add_overflow(h->n_parameters, elements, &h->n_parameters) || h->n_parameters > INT64_MAX)
		return ERR(E_PEER_RANGE);
	h->n_tensors++;
	return ERR(E_OK);
}

struct err hint_text(struct bytes text, char *ret, size_t size)
{
	size_t n = 0, step;

	if (!utf8_valid(text))
		return ERR(E_PEER_SYNTAX);
	while (n < text.n) {
		step = utf8_len(BYTES(text.p + n, text.n - n));
		if (step == 0 || step >= size - n)
			break;
		n += step;
	}
	if (n > 0)
		memcpy(ret, text.p, n);
	ret[n] = '\0';
	return ERR(E_OK);
}
