/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A list of digests that may be measured: one file, mapped read-only and
 * shared by all hosts, so that it costs its size once.
 *
 *   "ASSAYIMA"  8 bytes
 *   version     u32, 1
 *   algorithm   u16, TPM algorithm id
 *   kind        u16, enum ima_digest_kind
 *   count       u64, 1..UINT32_MAX
 *   reserved    8 zero bytes
 *   digests     count times the size of the algorithm, strictly ascending
 *
 * Numbers are big endian; nothing follows. Opening reads the file once: it is
 * refused unless every digest is above the one before. A second table, of
 * at most a quarter of a byte per digest, says where each leading bit pattern begins;
 * a look-up then compares a few neighbours. Digests with chosen leading bits
 * make a look-up logarithmic, never linear.
 *
 * Whoever may write the file decides what is allowed: name its SHA-256 in the
 * operator's document, and replace the file by renaming. A file that is cut
 * short while it is mapped ends the process with SIGBUS.
 */
#ifndef ASSAY_MEASURE_IMA_ALLOWLIST_H
#define ASSAY_MEASURE_IMA_ALLOWLIST_H

#include "firmware-measure/imalog.h"

#define IMA_ALLOWLIST_HEADER 32

struct ima_allowlist; /* immutable; may be shared between threads */

/*
 * Maps and checks a file (dir_fd as openat(2)). A regular file, no symbolic
 * link, that neither group nor others may write (E_LOCAL_PERMISSION).
 * E_LOCAL_NOT_FOUND, E_LOCAL_IO, E_LOCAL_MEMORY; E_PEER_TRUNCATED,
 * E_PEER_TRAILING, E_PEER_SYNTAX (magic, reserved), E_PEER_UNSUPPORTED
 * (version, algorithm, kind), E_PEER_RANGE (count), E_PEER_NOT_CANONICAL (not
 * ascending), E_PEER_DUPLICATE.
 */
must_check struct err ima_allowlist_open(int dir_fd, const char *path, struct ima_allowlist **ret,
					 struct reason *reterr);
void ima_allowlist_free(struct ima_allowlist *a);
DEFINE_CLEANUP(struct ima_allowlist, cleanup_ima_allowlist_, ima_allowlist_free)
#define cleanup_ima_allowlist cleanup(cleanup_ima_allowlist_)

size_t ima_allowlist_count(const struct ima_allowlist *a);
enum digest_id ima_allowlist_alg(const struct ima_allowlist *a);
enum ima_digest_kind ima_allowlist_kind(const struct ima_allowlist *a);
size_t ima_allowlist_index_size(const struct ima_allowlist *a); /* bytes of memory besides the file */

/* SHA-256 of the whole file as it is mapped. E_LOCAL_CRYPTO. */
must_check struct err ima_allowlist_sha256(const struct ima_allowlist *a, uint8_t ret[32]);

/* True where the digest is of the list's kind and algorithm, and in it. */
bool ima_allowlist_has(const struct ima_allowlist *a, const struct ima_digest *d);

/*
 * Asks for the memory that ima_allowlist_has() will read. In a list of this
 * size it is in no cache: called before an entry is hashed, the wait is over
 * when the hashes are.
 */
void ima_allowlist_prefetch(const struct ima_allowlist *a, const struct ima_digest *d);

/* Puts a list together in memory. */
struct ima_allowlist_builder {
	enum digest_id alg;
	enum ima_digest_kind kind;
	struct buf file; /* header, then digests in any order until it is finished */
	bool finished;
};

/* An empty builder; E_BUG for N_DIGESTS. */
must_check struct err ima_allowlist_begin(struct ima_allowlist_builder *b, enum digest_id alg,
					  enum ima_digest_kind kind);
void ima_allowlist_builder_done(struct ima_allowlist_builder *b);
#define cleanup_ima_allowlist_builder cleanup(ima_allowlist_builder_done)
/* One digest. E_PEER_RANGE for another size, E_LIMIT_COUNT, E_LOCAL_MEMORY. */
must_check struct err ima_allowlist_add(struct ima_allowlist_builder *b, struct bytes digest);
/* Sorts, drops what is there twice, fills in the header. b->file then is the file. E_PEER_MISSING without a digest. */
must_check struct err ima_allowlist_finish(struct ima_allowlist_builder *b, size_t *ret_count);

#endif
