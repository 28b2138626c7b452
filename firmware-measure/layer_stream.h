/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A layer as it is stored, decompressed on the way: the bytes of its tar
 * archive, and the digests of both forms. Memory is bounded: a buffer on either
 * side, and what the format needs (zstd: a window of at most 128 MiB).
 *
 * Bombs: one layer may become LIMIT_LAYER_RATIO times as large as it is, plus
 * 16 MiB, and no more than the caller's limit.
 *
 * Source: RFC 1952 (gzip, several members in a row), RFC 8878 (zstd, several
 * frames, skippable ones among them).
 */
#ifndef ASSAY_MEASURE_LAYER_STREAM_H
#define ASSAY_MEASURE_LAYER_STREAM_H

#include "firmware-measure/jobs.h"
#include "firmware-measure/span.h"
#include "firmware-measure/tar.h"

enum layer_format { LAYER_TAR, LAYER_GZIP, LAYER_ZSTD };

struct layer_stream;
void layer_stream_free(struct layer_stream *s);
DEFINE_CLEANUP(struct layer_stream, cleanup_layer_stream_, layer_stream_free)
#define cleanup_layer_stream cleanup(cleanup_layer_stream_)

/*
 * span       borrowed, as long as the stream
 * kit        its buffer holds what was read
 * max        bytes that it may become
 * jobs       where what was read is counted; NULL: nowhere
 */
must_check struct err layer_stream_new(enum layer_format format, const struct span *span, const struct job_kit *kit,
				       uint64_t max, struct jobs *jobs, struct layer_stream **ret);

/*
 * A source for tar_init(). E_PEER_SYNTAX (not of that format), E_PEER_TRUNCATED,
 * E_LIMIT_SIZE (a bomb), the errors of span_read().
 */
struct tar_source layer_stream_source(struct layer_stream *s);

/* After the end of the source: the digests of what is stored and of what it became, and its size. */
must_check struct err layer_stream_finish(struct layer_stream *s, uint8_t ret_stored[32], uint8_t ret_content[32],
					  uint64_t *ret_size);

#endif
