/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Headers of safetensors and GGUF files, as whole files and as heads of longer
 * ones. What is told is bounded, and text is UTF-8 that ends within its array.
 */
#include <string.h>

#include "base/text.h"
#include "firmware-measure/model_hint.h"
#include "tests/fuzz/fuzz.h"

static void check_text(const char *text, size_t size)
{
	fuzz_must(strnlen(text, size) < size);
	fuzz_must(utf8_valid(bytes_str(text)));
}

static void parse(const char *format, struct bytes head, uint64_t file_size)
{
	struct model_hint h = { 0 };
	struct reason why = { "" };

	if (failed(model_hint_parse(format, head, file_size, &h, &why))) {
		fuzz_must(h.format == NULL);
		return;
	}
	fuzz_must(strcmp(h.format, format) == 0);
	fuzz_must(h.n_parameters <= INT64_MAX);
	fuzz_must(h.n_tensors <= head.n);
	check_text(h.name, sizeof(h.name));
	check_text(h.version, sizeof(h.version));
	check_text(h.architecture, sizeof(h.architecture));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	parse("safetensors", BYTES(data, n), n);
	parse("safetensors", BYTES(data, n), UINT64_MAX);
	parse("gguf", BYTES(data, n), n);
	parse("gguf", BYTES(data, n), UINT64_MAX);
	return 0;
}
