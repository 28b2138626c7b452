/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a model file says about itself in its header: safetensors and GGUF. A
 * hint for people who look for a model, never an identity: whoever writes the
 * file chooses it. Headers are hostile input; nothing of a tensor is read.
 *
 * Source: safetensors format (huggingface/safetensors, README "Format"); GGUF 2
 * and 3 (ggml, docs/gguf.md).
 */
#ifndef ASSAY_MEASURE_MODEL_HINT_H
#define ASSAY_MEASURE_MODEL_HINT_H

#include "base/bytes.h"

struct model_hint {
	const char *path;         /* borrowed from the report of a model; else NULL */
	const char *format;       /* "safetensors" or "gguf" */
	struct err e;             /* E_OK, or why the header was not understood: then nothing of what follows */
	struct reason why;
	uint64_t n_tensors;
	uint64_t n_parameters;    /* elements of all tensors */
	char name[128];           /* as declared, UTF-8, cut; "" where nothing is */
	char version[64];
	char architecture[64];
};

/* "safetensors" or "gguf" by the end of the name, NULL for other files. */
const char *model_hint_format(const char *path);

/* Bytes of a file of this format, from its beginning, that hold its header: at most so many are looked at. */
size_t model_hint_head_max(const char *format);

/*
 * Reads the header that a file of file_size bytes begins with. head: the
 * file's first bytes, model_hint_head_max() of them or the whole file.
 *
 * format  of model_hint_format()
 * ret     everything but path, e and why
 *
 * E_PEER_TRUNCATED, E_PEER_SYNTAX, E_PEER_RANGE (numbers that do not add up, or
 * lie outside the file), E_PEER_UNSUPPORTED (version), E_LIMIT_SIZE (a longer
 * header), E_LIMIT_DEPTH, E_PEER_*, E_LOCAL_MEMORY.
 */
must_check struct err model_hint_parse(const char *format, struct bytes head, uint64_t file_size,
				       struct model_hint *ret, struct reason *reterr);

#endif
