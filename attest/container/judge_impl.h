/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of container_judge() share. */
#ifndef ASSAY_ATTEST_CONTAINER_JUDGE_IMPL_H
#define ASSAY_ATTEST_CONTAINER_JUDGE_IMPL_H

#include <string.h>

#include "attest/container/judge.h"
#include "base/log.h"

struct judge {
	const struct container_config *c;
	const struct container_rules *r;
	struct reason *reterr;
};

/* Text with quotes around it, fit for a reason. */
#define shown(s) log_quote(bytes_str(s))

/* Says why; E_AUTH_REFUSED. */
#define refuse(j, ...) (reason_set((j)->reterr, __VA_ARGS__), ERR(E_AUTH_REFUSED))

/* Whether an array of texts holds it. NULL holds nothing. */
bool judge_lists(const json_t *list, const char *text);

/* Whether a map of the rules has that name, with that value or with null: any value. */
bool judge_permits(const json_t *map, const char *name, const char *value);

/* Members of objects whose shape container_config_parse() has looked at: "" where there is none. */
const char *judge_text(const json_t *o, const char *key);

must_check struct err judge_process(const struct judge *j);
must_check struct err judge_mounts(const struct judge *j);
must_check struct err judge_linux(const struct judge *j);
must_check struct err judge_devices(const struct judge *j);
must_check struct err judge_seccomp(const struct judge *j);

#endif
