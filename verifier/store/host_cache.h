/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hosts between their challenge and their answer. Evidence follows its
 * challenge within a second or so; that the row is not read twice, and the keys
 * of its record not made twice, is worth a tenth of an attestation.
 *
 * Two things are kept. A record never changes, so one whose encoded form has
 * the same digest is the same one. A row changes at a commit of our own only,
 * since nobody else writes (the verifier locks its state folder): the writer
 * says which rows its transaction touches, and once that is committed they are
 * forgotten. A row that was read while a commit happened is not kept.
 *
 * An answer is stored only if version and epoch of the row are what was read,
 * compared in its own transaction: a row kept too long would cost a try, and
 * never be the basis of a verdict.
 *
 * Bounded: HOST_CACHE_SLOTS hosts, found by hash; the later one takes the slot.
 * Thread-safe, but for touching, which is the writer's alone.
 */
#ifndef ASSAY_VERIFIER_STORE_HOST_CACHE_H
#define ASSAY_VERIFIER_STORE_HOST_CACHE_H

#include <pthread.h>

#include "verifier/store/store.h"

#define HOST_CACHE_SLOTS 512
#define HOST_CACHE_STATE 4096             /* rows with a longer encoded state are not kept */

struct host_cache {
	pthread_mutex_t lock;             /* all but touched */
	uint64_t generation;              /* moves with every commit */
	struct cached_host *slot;         /* HOST_CACHE_SLOTS */
	bool touched[HOST_CACHE_SLOTS], touched_all;
};

must_check struct err host_cache_init(struct host_cache *c); /* E_LOCAL_MEMORY */
void host_cache_done(struct host_cache *c);

/*
 * The row of the last commit; the caller owns *ret. False: not here. In any
 * case *ret_generation is what a row read from now on may be kept under.
 */
must_check struct err host_cache_row(struct host_cache *c, const char *id, struct host_row *ret, bool *ret_found,
				     uint64_t *ret_generation);
/* The record that has this encoded form, held for the caller; NULL: not here. */
must_check struct err host_cache_record(struct host_cache *c, const char *id, struct bytes encoded,
					struct host_record **ret);
/* Keeps a row that was read since generation, and holds its record. Does nothing for lack of memory. */
void host_cache_keep(struct host_cache *c, const char *id, uint64_t generation, const struct host_row *row,
		     struct bytes state);

/* Inside a transaction: it changes this host's row, or that of many. */
void host_cache_touch(struct host_cache *c, const char *id);
void host_cache_touch_all(struct host_cache *c);
/* After its commit. After a rollback the marks may stay for the next one. */
void host_cache_committed(struct host_cache *c);

#endif
