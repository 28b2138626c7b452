/* SPDX-License-Identifier: Apache-2.0 */
#include "firmware-measure/layer_stream.h"

#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "base/log.h"

#define OUT_LEN (256 * KIB)
#define FREE_OF_RATIO (16 * (uint64_t)MIB) /* small layers of zeros are no bombs */
#define GZIP_ONLY (15 + 16)                /* zlib: the largest window, a gzip header */
#define ZSTD_WINDOW_LOG 27                 /* 128 MiB, what decoders accept by default */

struct layer_stream {
	enum layer_format format;
	const struct span *span;
	struct jobs *jobs;
	uint8_t *in;         /* borrowed from the kit */
	size_t in_n, in_off; /* what of it was read and used */
	uint64_t at;         /* read of the span */
	uint64_t n_out, max;
	struct hasher *stored, *content; /* content: only where it is another one */
	uint8_t *out;
	bool within; /* a member or frame has begun and not ended */
	bool ended;
	z_stream z;
	bool z_open;
	ZSTD_DCtx *zstd;
};

void layer_stream_free(struct layer_stream *s)
{
	if (s == NULL)
		return;
	if (s->z_open)
		(void)inflateEnd(&s->z);
	(void)ZSTD_freeDCtx(s->zstd);
	hasher_free(s->stored);
	hasher_free(s->content);
	free(s->out);
	free(s);
}

static struct err open_decoder(struct layer_stream *s)
{
	if (s->format == LAYER_GZIP) {
		s->z_open = inflateInit2(&s->z, GZIP_ONLY) == Z_OK;
		return s->z_open ? ERR(E_OK) : ERR(E_LOCAL_MEMORY);
	}
	if (s->format == LAYER_TAR)
		return ERR(E_OK);
	s->zstd = ZSTD_createDCtx();
	if (s->zstd == NULL || ZSTD_isError(ZSTD_DCtx_setParameter(s->zstd, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG)) != 0)
		return ERR(E_LOCAL_MEMORY);
	return ERR(E_OK);
}

struct err layer_stream_new(enum layer_format format, const struct span *span, const struct job_kit *kit, uint64_t max,
			    struct jobs *jobs, struct layer_stream **ret)
{
	cleanup_layer_stream struct layer_stream *s = calloc(1, sizeof(*s));
	struct err e;

	if (s == NULL)
		return ERR(E_LOCAL_MEMORY);
	*s = (struct layer_stream){ .format = format, .span = span, .jobs = jobs, .in = kit->buffer, .max = max };
	if (failed(e = hasher_new(DIGEST_SHA256, &s->stored)))
		return e;
	if (format != LAYER_TAR) {
		s->out = malloc(OUT_LEN);
		if (s->out == NULL)
			return ERR(E_LOCAL_MEMORY);
		if (failed(e = hasher_new(DIGEST_SHA256, &s->content)))
			return e;
	}
	if (failed(e = open_decoder(s)))
		return e;
	*ret = take_ptr(&s);
	return ERR(E_OK);
}

/* More of what is stored; none at its end. */
static struct err refill(struct layer_stream *s, struct reason *reterr)
{
	struct err e;

	s->in_n = 0;
	s->in_off = 0;
	if (s->at == s->span->size)
		return ERR(E_OK);
	if (s->jobs != NULL && jobs_stopped(s->jobs))
		return ERR(E_LOCAL_BUSY); /* nobody hears of it: another failure came first */
	if (failed(e = span_read(s->span, s->at, s->in, JOB_BUFFER_LEN, &s->in_n, reterr)))
		return e;
	s->at += s->in_n;
	if (s->jobs != NULL)
		jobs_done(s->jobs, s->in_n);
	return hasher_add(s->stored, BYTES(s->in, s->in_n));
}

static struct err malformed(const struct layer_stream *s, const char *words, struct reason *reterr)
{
	reason_set(reterr, "%s: not in the format %s: %s", log_quote(bytes_str(s->span->name)),
		   s->format == LAYER_GZIP ? "gzip" : "zstd", words);
	return ERR(E_PEER_SYNTAX);
}

/* One step of zlib: bytes into out. Members follow each other. */
static struct err step_gzip(struct layer_stream *s, size_t *ret_n, struct reason *reterr)
{
	int code;

	s->z.next_in = s->in + s->in_off;
	s->z.avail_in = (uInt)(s->in_n - s->in_off);
	s->z.next_out = s->out;
	s->z.avail_out = OUT_LEN;
	s->within = true;
	code = inflate(&s->z, Z_NO_FLUSH);
	s->in_off = s->in_n - s->z.avail_in;
	*ret_n = OUT_LEN - s->z.avail_out;
	if (code == Z_STREAM_END) {
		s->within = false;
		return inflateReset(&s->z) == Z_OK ? ERR(E_OK) : ERR(E_BUG);
	}
	if (code == Z_OK || code == Z_BUF_ERROR)
		return ERR(E_OK);
	return code == Z_MEM_ERROR ? ERR(E_LOCAL_MEMORY)
				   : malformed(s, s->z.msg != NULL ? s->z.msg : "no data", reterr);
}

static struct err step_zstd(struct layer_stream *s, size_t *ret_n, struct reason *reterr)
{
	ZSTD_inBuffer in = { .src = s->in, .size = s->in_n, .pos = s->in_off };
	ZSTD_outBuffer out = { .dst = s->out, .size = OUT_LEN };
	size_t code = ZSTD_decompressStream(s->zstd, &out, &in);

	if (ZSTD_isError(code) != 0)
		return malformed(s, ZSTD_getErrorName(code), reterr);
	s->in_off = in.pos;
	s->within = code != 0;
	*ret_n = out.pos;
	return ERR(E_OK);
}

static struct err too_large(const struct layer_stream *s, struct reason *reterr)
{
	if (s->n_out > s->max) {
		reason_set(reterr, "%s becomes larger than %ju bytes", log_quote(bytes_str(s->span->name)),
			   (uintmax_t)s->max);
		return ERR(E_LIMIT_SIZE);
	}
	if (s->format != LAYER_TAR && s->n_out > FREE_OF_RATIO &&
	    (s->n_out - FREE_OF_RATIO) / LIMIT_LAYER_RATIO > s->at) {
		reason_set(reterr, "%s: %ju bytes become more than %ju, more than %d times as many",
			   log_quote(bytes_str(s->span->name)), (uintmax_t)s->at, (uintmax_t)s->n_out,
			   LIMIT_LAYER_RATIO);
		return ERR(E_LIMIT_SIZE);
	}
	return ERR(E_OK);
}

/* What was made now, or the end. */
static struct err decoded(struct layer_stream *s, struct bytes *ret, struct reason *reterr)
{
	size_t n = 0, before;
	struct err e;

	while (n == 0) {
		if (s->in_off == s->in_n && failed(e = refill(s, reterr)))
			return e;
		if (s->in_n == 0 && !s->within)
			break;
		before = s->in_n - s->in_off;
		if (failed(e = s->format == LAYER_GZIP ? step_gzip(s, &n, reterr) : step_zstd(s, &n, reterr)))
			return e;
		if (n == 0 && before == 0 && s->within) {
			reason_set(reterr, "%s ends early", log_quote(bytes_str(s->span->name)));
			return ERR(E_PEER_TRUNCATED);
		}
	}
	*ret = BYTES(s->out, n);
	return n == 0 ? ERR(E_OK) : hasher_add(s->content, *ret);
}

static struct err more(void *ctx, struct bytes *ret, struct reason *reterr)
{
	struct layer_stream *s = ctx;
	struct err e;

	*ret = BYTES_NONE;
	if (s->ended)
		return ERR(E_OK);
	if (s->format == LAYER_TAR) {
		if (failed(e = refill(s, reterr)))
			return e;
		*ret = BYTES(s->in, s->in_n);
	} else if (failed(e = decoded(s, ret, reterr))) {
		return e;
	}
	s->n_out += ret->n;
	s->ended = ret->n == 0;
	return too_large(s, reterr);
}

struct tar_source layer_stream_source(struct layer_stream *s)
{
	return (struct tar_source){ .more = more, .ctx = s };
}

struct err layer_stream_finish(struct layer_stream *s, uint8_t ret_stored[32], uint8_t ret_content[32],
			       uint64_t *ret_size)
{
	struct digest stored, content;
	struct err e;

	if (!s->ended)
		return ERR(E_BUG);
	if (failed(e = hasher_finish(s->stored, &stored)))
		return e;
	content = stored;
	if (s->content != NULL && failed(e = hasher_finish(s->content, &content)))
		return e;
	*ret_size = s->n_out;
	if (failed(e = bytes_copy_exact(digest_bytes(&stored), ret_stored, 32)))
		return e;
	return bytes_copy_exact(digest_bytes(&content), ret_content, 32);
}
