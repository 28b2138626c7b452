/* SPDX-License-Identifier: Apache-2.0 */
/* The data of an event in a few words, for people. */
#ifndef ASSAY_MEASURE_EVDATA_SHOW_H
#define ASSAY_MEASURE_EVDATA_SHOW_H

#include "firmware-measure/evdata.h"

/*
 * Appends one line without its end: printable, foreign text quoted and cut.
 * Whether the digest covers what is shown says evdata_verify(). Data that
 * cannot be decoded is shown as bytes. E_LOCAL_MEMORY, E_LIMIT_SIZE.
 */
must_check struct err evdata_show(const struct evlog_event *ev, struct buf *ret);

#endif
