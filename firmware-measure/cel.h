/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The workload log: TCG Canonical Event Log records in CBOR, one after the
 * other (a CBOR sequence). A record is the map
 *
 *   { 0: recnum, 1: pcr, 3: { TPM alg id: digest, ... }, 16723: content }
 *
 * in deterministic encoding; 16723 ("AS") is our content type and its value a
 * byte string that holds one workload event (workload_event.h).
 *
 * Each digest is H(domain || content), domain = "assay workload v1" 00 and
 * the content type as 32-bit big-endian number. Record number and PCR index
 * lie outside the digest, so a reader demands that record numbers count up
 * from zero without a gap and that the PCR is the one it replays.
 *
 * Source: TCG Canonical Event Log Format 1.0, 5.2 (CBOR encoding).
 */
#ifndef ASSAY_MEASURE_CEL_H
#define ASSAY_MEASURE_CEL_H

#include "base/digest.h"
#include "base/limits.h"

#define CEL_CONTENT_WORKLOAD 16723

struct cel_record {
	uint64_t recnum;
	uint32_t pcr;
	size_t n_digests;                   /* 1..LIMIT_BANKS, algorithms ascending and unique */
	enum digest_id alg[LIMIT_BANKS];
	struct digest digest[LIMIT_BANKS];
	struct bytes content;               /* view into the record */
};

/*
 * Sets content and its digests with each of the n algorithms (1..LIMIT_BANKS,
 * ascending, else E_BUG). Content is borrowed. E_LOCAL_CRYPTO; rec is then
 * unchanged.
 */
must_check struct err cel_digests(struct bytes content, size_t n, const enum digest_id *algs, struct cel_record *rec);

/* Encodes and appends. E_LIMIT_SIZE above LIMIT_LOG_RECORD; E_BUG for a record that cel_read() would refuse. */
must_check struct err cel_encode(const struct cel_record *rec, struct buf *ret);

/*
 * Reads the record at the start of log and its length. Demands deterministic
 * form, known algorithms with their sizes, and every digest equal to the one
 * computed over the content (E_PEER_DIGEST). Content is a view into log.
 * E_PEER_*, E_LIMIT_SIZE above LIMIT_LOG_RECORD; at the end of log: E_OK with
 * *ret_n == 0 and *ret unchanged. Work is bounded by the size of one record.
 */
must_check struct err cel_read(struct bytes log, struct cel_record *ret, size_t *ret_n);

/* The record's digest in one bank, or NULL. */
const struct digest *cel_digest(const struct cel_record *rec, enum digest_id bank);

#endif
