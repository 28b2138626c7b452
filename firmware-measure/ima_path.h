/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Excludes by path (I5). The path of an entry is what the opener saw: a hint
 * that an attacker can choose. So a rule covers whole components, nothing is
 * normalised, and a path that is not in its plain form is covered by no rule.
 */
#ifndef ASSAY_MEASURE_IMA_PATH_H
#define ASSAY_MEASURE_IMA_PATH_H

#include "base/bytes.h"

/*
 * True for a plain path: absolute, shorter than LIMIT_PATH, no component that
 * is empty, "." or "..", no control character, no slash at the end. "/" alone
 * is none, for as a rule it would cover everything.
 */
bool ima_path_plain(struct bytes path);

/* True where path is plain and is rule itself or lies below it; rule must be plain too, else nothing is covered. */
bool ima_path_below(struct bytes path, struct bytes rule);

#endif
