/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the verb "model" share. */
#ifndef ASSAY_MEASURE_VERB_MODEL_H
#define ASSAY_MEASURE_VERB_MODEL_H

#include "firmware-measure/program.h"
#include "firmware-measure/progress.h"

/* Options of the verb, as given. */
struct model_verb {
	bool files, verity;
	uint64_t jobs;
	const char *verify, *key, *ca, *sign, *out;
	uint64_t shard_size;
	struct opt_list ignore;
};

/* Each returns an exit status. */
int model_verify(const struct model_verb *o, const char *path);
int model_sign(const struct model_verb *o, const char *path);

#endif
