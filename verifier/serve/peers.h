/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open connections, each with the moment until which its present phase must be
 * over: handshake and head, body, answer. libmicrohttpd's own time limit
 * starts again with every byte, so a peer that sends one at a time would keep
 * its place for ever.
 */
#ifndef ASSAY_VERIFIER_SERVE_PEERS_H
#define ASSAY_VERIFIER_SERVE_PEERS_H

#include <pthread.h>
#include <stdint.h>

#include "base/err.h"

#define PEER_BUSY UINT64_MAX /* it waits for us */

struct peer {
	int fd;
	uint64_t deadline_ms;             /* CLOCK_BOOTTIME */
	struct peer *next, **prev;
};

struct peers {
	pthread_mutex_t lock;
	struct peer *first;
};
void peers_init(struct peers *p);
void peers_done(struct peers *p);

/* A connection opens or closes. The caller owns the peer. */
void peers_add(struct peers *p, struct peer *peer, int fd, uint64_t deadline_ms);
void peers_remove(struct peers *p, struct peer *peer);
void peers_deadline(struct peers *p, struct peer *peer, uint64_t deadline_ms);
/* Shuts down the connections whose time is over; they are then closed by whoever serves them. Returns how many. */
size_t peers_check(struct peers *p, uint64_t now_ms);

#endif
