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
 * One map in deterministic CBOR, integer keys ascending; CDDL (RFC 8610):
 *
 *   workload-event = begin / start / changed / end / resume
 *   begin   = { 0: 0, 1: { 1*5 tpm-alg => digest } }    the PCR before this record, per bank
 *   start   = { 0: 1, 2: instance, 3: agent, 4: image, 5: model, 6: bstr .size 32, 7: bstr .size 34, ? 9: container }
 *   changed = { 0: 2, 2: instance, 4: image, 5: model, ? 9: container }
 *   end     = { 0: 3, 2: instance }
 *   resume  = { 0: 4, 8: uint .size 4 }                 restartCount
 *   instance = bstr .size 16
 *   agent    = tstr .regexp "[A-Za-z0-9._-]{1,64}"
 *   image    = [manifest: bstr .size 32, config: bstr .size 32]
 *   model    = [manifest: bstr .size 32, oms-root: bstr .size 32]
 *   container = [rootfs: bstr .size 32, policy: bstr .size 32]
 *
 * 6 is the digest of the arguments, 7 the Name of the workload key. 9 is there exactly where the instance runs in a
 * container that the host's runtime hook has let start.
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

/*
 * Of a container: tree_digest() of its root file system, and the digest of the rules that its configuration was found
 * to keep to (assay-containers(5)).
 */
struct container_digests {
	uint8_t rootfs[32];
	uint8_t policy[32];
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
	bool has_container;           /* start, changed */
	struct container_digests container;
	uint8_t args[32];             /* start: SHA-256 over the arguments, each as 32-bit big-endian length and bytes */
	struct bytes key_name;        /* start: TPM Name of the workload key, 34 bytes; view */

	/* resume */
	uint32_t restart_count;
};

/*
 * Encodes and appends. Only what decode would accept is written: the errors of
 * decode for values that break a rule, E_BUG for an unknown kind.
 */
must_check struct err workload_event_encode(const struct workload_event *ev, struct buf *ret);

/*
 * Whole input; views borrow from it; members that the kind does not have are
 * zero. E_PEER_RANGE (unknown kind, wrong length, invalid agent name),
 * E_PEER_MISSING and E_PEER_UNKNOWN_KEY (members, an unknown bank included),
 * E_PEER_UNSUPPORTED (key Name that is not of SHA-256), E_PEER_* of
 * cbor_check(). *ret is then unchanged.
 */
must_check struct err workload_event_decode(struct bytes in, struct workload_event *ret);

/* Digest of an argument vector as in workload_event.args; of nothing where n is 0. E_LOCAL_CRYPTO. */
must_check struct err workload_args_digest(size_t n, char *const *argv, uint8_t ret[32]);

#endif
