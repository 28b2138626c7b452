/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a service manager wants to hear, without libsystemd.
 *
 * Source: sd_notify(3), sd_watchdog_enabled(3).
 */
#ifndef ASSAY_BASE_SERVICE_H
#define ASSAY_BASE_SERVICE_H

#include <stdint.h>

/* "READY=1", "STOPPING=1", ...: one datagram to $NOTIFY_SOCKET; nothing where there is none. Failing is logged. */
void service_notify(const char *state);

/* How long it waits for "WATCHDOG=1" before it takes us for dead, in milliseconds; 0: it does not. */
uint64_t service_watchdog_ms(void);

#endif
