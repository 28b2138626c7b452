/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A boot that has not happened yet, approved: what prediction says it will
 * measure goes into a platform profile, assay-platform(5), which then approves
 * that boot beside those that it approves already.
 */
#ifndef ASSAY_MEASURE_PREDICT_PROFILE_H
#define ASSAY_MEASURE_PREDICT_PROFILE_H

#include "base/json.h"
#include "firmware-measure/predict.h"

/*
 * Adds the predicted events to the member "firmware". Images go to
 * boot_applications and the kernel command line to command_lines, where the
 * profile has these members; everything else, by digest, to events. What it
 * approves already is not added again.
 *
 * p, r     the prediction, and what predict_on_base() made of it in this bank:
 *          events that this machine will not measure are not approved
 * profile  as firmware-measure learn writes it; changed in place, and of no use
 *          after a failure
 * ret      digests and lines that were added
 *
 * E_PEER_MISSING, E_PEER_TYPE: no such profile; E_PEER_RANGE: the boot measures
 * into a register that the profile neither compares nor ignores;
 * E_PEER_UNSUPPORTED: a register that the profile compares cannot be predicted;
 * E_LIMIT_COUNT: more than a document holds.
 */
must_check struct err predict_profile(const struct prediction *p, const struct predict_result *r, enum digest_id bank,
				      json_t *profile, size_t *ret, struct reason *reterr);

#endif
