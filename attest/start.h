/* SPDX-License-Identifier: Apache-2.0 */
/* Beginning and end of an instance: key, folder, record in the workload log. */
#ifndef ASSAY_ATTEST_START_H
#define ASSAY_ATTEST_START_H

#include "attest/host.h"

/*
 * Makes a key, writes the folder of i, extends `start` for what was measured and for the arguments. The folder comes
 * first, because an instance of the log without one is ended. After a failure nothing of it counts.
 * E_LIMIT_COUNT: too many instances, see workload_append(). The reason is the host's.
 */
must_check struct err instance_start(struct host *h, const struct instance *i, const struct measured *m, size_t n_args,
				     char *const *args);

/*
 * Extends `end`, removes the folder, tells the verifier. *ret_why: what was not done, and "" where all was: an
 * instance that has ended already is no failure, nor is a verifier that cannot be reached, whose verdict ages by
 * itself.
 */
void instance_end(struct host *h, const uint8_t id[INSTANCE_ID_LEN], struct reason *ret_why);

#endif
