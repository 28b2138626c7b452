/* SPDX-License-Identifier: Apache-2.0 */
/* What the readers of headers share. */
#ifndef ASSAY_MEASURE_MODEL_HINT_IMPL_H
#define ASSAY_MEASURE_MODEL_HINT_IMPL_H

#include "firmware-measure/model_hint.h"

#define HINT_DIMS_MAX 64 /* dimensions of one tensor */

must_check struct err safetensors_hint(struct bytes head, uint64_t file_size, struct model_hint *ret,
				       struct reason *reterr);
must_check struct err gguf_hint(struct bytes head, uint64_t file_size, struct model_hint *ret, struct reason *reterr);

/* One tensor with these dimensions more. E_PEER_RANGE where the elements are more than INT64_MAX. */
must_check struct err hint_add_tensor(struct model_hint *h, const uint64_t *dims, size_t n_dims);

/* Copies declared text, cut to what fits between characters. E_PEER_SYNTAX unless it is UTF-8. */
must_check struct err hint_text(struct bytes text, char *ret, size_t size);

#endif
