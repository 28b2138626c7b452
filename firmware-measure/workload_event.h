/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the workload log says: one event per record.
 *
 *   begin    first record of a boot: value of the PCR in every bank before it
 *   start    agent, instance, image, model, arguments and the Name of the key:
 *            image, model and key are tied together in the TPM's own record
 *   changed  image or model of an instance is no longer what was started
 *   end      the instance's task is over
 *   resume   the host woke up: same boot, later restart count
 *
 * The CDDL is workload-event in protocol/assay.cddl.
 */
#ifndef ASSAY_MEASURE_WORKLOAD_EVENT_H
#define ASSAY_MEASURE_WORKLOAD_EVENT_H

#include "base/cborx.h"
#include "base/digest.h"
#include "base/limits.h"

enum workload_kind {
	WORKLOAD_BEGIN = 0,
	WORKLOAD_START = 1,
	WORKLOAD_CHANGED = 2,
	WORKLOAD_END = 3,
	WORKLOAD_RESUME = 4,
};

#define INSTANCE_ID_LEN 16

/* The two digests of a container image: of its manifest and of its configuration. */
struct image_digests {
	uint8_t manifest[32];
	uint8_t config[32];
};

/* Ours (names, sizes, contents) and the OpenSSF Model Signing v1.0 root (contents only). */
struct model_digests {
	uint8_t manifest[32];
	uint8_t oms_root[32];
};

struct workload_event {
	enum workload_kind kind;

	/* begin: 1..LIMIT_BANKS banks, algorithms ascending */
	size_t n_banks;
	enum digest_id bank[LIMIT_BANKS];
	struct digest before[LIMIT_BANKS];

	/* start, changed, end */
	uint8_t instance[INSTANCE_ID_LEN];

	/* start; a view, valid by id_valid() */
	struct bytes agent;
	struct image_digests image;   /* start, changed */
	struct model_digests model;   /* start, changed */
	uint8_t args[32];             /* start: SHA-256 over the arguments, each as 32-bit big-endian length and bytes */
	struct bytes key_name;        /* start: TPM Name of the workload key, 34 bytes; view */

	/* resume */
	uint32_t restart_count;
};

must_check struct err workload_event_encode(const struct workload_event *ev, struct buf *ret);
/* Views borrow from in. E_PEER_*: unknown kind, missing or extra member, wrong length, invalid agent name. */
must_check struct err workload_event_decode(struct bytes in, struct workload_event *ret);

/* Digest of an argument vector as in workload_event.args. */
must_check struct err workload_args_digest(size_t n, char *const *argv, uint8_t ret[32]);

#endif
