/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The open replay of a workload log as a part of host-state's CBOR. Not for
 * other folders.
 *
 * log-progress = [unexplained, unexplained, ? unexplained, bstr .cbor host-state] ; images, models, roots where there
 *                                                            are some, and 1, 4 to 12 of host_state.c
 * unexplained = [n: uint, instance: bstr .size 16, digest: bstr .size 32]
 */
#ifndef ASSAY_VERIFIER_HOST_LOG_H
#define ASSAY_VERIFIER_HOST_LOG_H

#include "base/cborx.h"
#include "verifier/appraise/host.h"

/* p->state is to become what *from says of boot and log; *from is empty afterwards. E_LOCAL_MEMORY, which takes
 * nothing. */
must_check struct err log_progress_keep(struct log_progress *p, struct host_state *from);
/* *ret has no state before. E_LOCAL_MEMORY. */
must_check struct err log_progress_copy(const struct log_progress *from, struct log_progress *ret);

/* Of one that is there. E_LIMIT_SIZE, E_LOCAL_MEMORY. */
must_check struct err log_progress_encode(const struct log_progress *p, struct buf *ret);
/* *ret has no state before, and the caller frees what it has afterwards, on failure too. E_PEER_*, E_LIMIT_*,
 * E_LOCAL_MEMORY. */
must_check struct err log_progress_decode(struct cbor_rd *r, struct log_progress *ret);

/* In host_state.c: host_state_decode() of what log_progress_keep() leaves of a state, and of no other (E_PEER_RANGE).
 */
must_check struct err host_state_decode_log(struct bytes in, struct host_state *ret);

#endif
