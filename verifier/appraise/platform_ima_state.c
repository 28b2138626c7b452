/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state of a judgement on an IMA list, for keeping:
 *
 *   { 1: entries, 2: [decided by each rule], 3: failed, 4: boot_aggregate seen,
 *     5: measurer seen, 6: [ [id, rule, subject, expected, seen] ],
 *     ? 7: keys that the list told of (platform_ima_keys.c) }
 */
#include <string.h>

#include "base/cborx.h"
#include "verifier/appraise/platform_ima.h"

#define N_KEYS 7
#define N_TEXTS 5

struct text_at {
	char *p;
	size_t size;
};

static void texts_of(struct platform_failure *f, struct text_at ret[N_TEXTS])
{
	const struct text_at all[N_TEXTS] = {
		{ f->id, sizeof(f->id) },           { f->rule, sizeof(f->rule) },
		{ f->subject, sizeof(f->subject) }, { f->expected, sizeof(f->expected) },
		{ f->seen, sizeof(f->seen) },
	};

	for (size_t i = 0; i < N_TEXTS; i++)
		ret[i] = all[i];
}

static struct err write_failures(const struct platform_ima_state *s, struct buf *b)
{
	struct err e;

	if (s->n_kept > PLATFORM_IMA_FAILURES)
		return ERR(E_BUG);
	if (failed(e = cbor_wr_array(b, s->n_kept)))
		return e;
	for (size_t i = 0; i < s->n_kept; i++) {
		struct platform_failure f = s->failure[i];
		struct text_at texts[N_TEXTS];

		texts_of(&f, texts);
		if (failed(e = cbor_wr_array(b, N_TEXTS)))
			return e;
		for (size_t k = 0; k < N_TEXTS; k++)
			if (failed(e = cbor_wr_text(b, bytes_str(texts[k].p))))
				return e;
	}
	return ERR(E_OK);
}

struct err platform_ima_encode(const struct platform_ima_state *s, struct buf *ret)
{
	cleanup_buf struct buf b = BUF_INIT(PLATFORM_IMA_STATE_MAX);
	struct err e;

	if (failed(e = cbor_wr_map(&b, s->n_keys > 0 ? N_KEYS : N_KEYS - 1)) || failed(e = cbor_wr_uint(&b, 1)) ||
	    failed(e = cbor_wr_uint(&b, s->n_entries)) || failed(e = cbor_wr_uint(&b, 2)) ||
	    failed(e = cbor_wr_array(&b, N_IMA_RULES)))
		return e;
	for (size_t i = 0; i < N_IMA_RULES; i++)
		if (failed(e = cbor_wr_uint(&b, s->decided[i])))
			return e;
	if (failed(e = cbor_wr_uint(&b, 3)) || failed(e = cbor_wr_uint(&b, s->n_failed)) ||
	    failed(e = cbor_wr_uint(&b, 4)) || failed(e = cbor_wr_bool(&b, s->boot_aggregate_seen)) ||
	    failed(e = cbor_wr_uint(&b, 5)) || failed(e = cbor_wr_bool(&b, s->measurer_seen)) ||
	    failed(e = cbor_wr_uint(&b, 6)) || failed(e = write_failures(s, &b)))
		return e;
	if (s->n_keys > 0 && (failed(e = cbor_wr_uint(&b, 7)) || failed(e = platform_ima_keys_encode(s, &b))))
		return e;
	return buf_add(ret, buf_bytes(&b));
}

static struct err read_failure(struct cbor_rd *r, struct platform_failure *f)
{
	struct text_at texts[N_TEXTS];
	struct bytes text;
	size_t n;
	struct err e;

	texts_of(f, texts);
	if (failed(e = cbor_rd_array(r, N_TEXTS, &n)))
		return e;
	if (n != N_TEXTS)
		return ERR(E_PEER_RANGE);
	for (size_t i = 0; i < N_TEXTS; i++) {
		if (failed(e = cbor_rd_text(r, &text)))
			return e;
		if (text.n >= texts[i].size)
			return ERR(E_LIMIT_SIZE);
		if (failed(e = bytes_copy_exact(text, (uint8_t *)texts[i].p, text.n)))
			return e;
	}
	return ERR(E_OK);
}

static struct err read_decided(struct cbor_rd *r, struct platform_ima_state *s)
{
	size_t n;
	struct err e;

	if (failed(e = cbor_rd_array(r, N_IMA_RULES, &n)))
		return e;
	if (n != N_IMA_RULES)
		return ERR(E_PEER_RANGE);
	for (size_t i = 0; i < n; i++)
		if (failed(e = cbor_rd_uint(r, UINT64_MAX, &s->decided[i])))
			return e;
	return ERR(E_OK);
}

static struct err read_failures(struct cbor_rd *r, struct platform_ima_state *s)
{
	size_t n;
	struct err e;

	if (failed(e = cbor_rd_array(r, PLATFORM_IMA_FAILURES, &n)))
		return e;
	/* What was kept is what failed first. */
	if (n != (s->n_failed < PLATFORM_IMA_FAILURES ? s->n_failed : PLATFORM_IMA_FAILURES))
		return ERR(E_PEER_RANGE);
	for (; s->n_kept < n; s->n_kept++)
		if (failed(e = read_failure(r, &s->failure[s->n_kept])))
			return e;
	return ERR(E_OK);
}

struct err platform_ima_decode(struct bytes in, struct platform_ima_state *ret)
{
	cleanup_platform_ima_state struct platform_ima_state s = { 0 };
	struct cbor_map m;
	bool keys = false;
	struct cbor_rd r;
	struct err e;

	if (in.n > PLATFORM_IMA_STATE_MAX)
		return ERR(E_LIMIT_SIZE);
	if (failed(e = cbor_rd_init(in, &r)) || failed(e = cbor_rd_map(&r, &m)) || failed(e = cbor_rd_key(&r, &m, 1)) ||
	    failed(e = cbor_rd_uint(&r, UINT64_MAX, &s.n_entries)) || failed(e = cbor_rd_key(&r, &m, 2)) ||
	    failed(e = read_decided(&r, &s)) || failed(e = cbor_rd_key(&r, &m, 3)) ||
	    failed(e = cbor_rd_uint(&r, UINT64_MAX, &s.n_failed)) || failed(e = cbor_rd_key(&r, &m, 4)) ||
	    failed(e = cbor_rd_bool(&r, &s.boot_aggregate_seen)) || failed(e = cbor_rd_key(&r, &m, 5)) ||
	    failed(e = cbor_rd_bool(&r, &s.measurer_seen)) || failed(e = cbor_rd_key(&r, &m, 6)) ||
	    failed(e = read_failures(&r, &s)) || failed(e = cbor_rd_key_opt(&r, &m, 7, &keys)) ||
	    (keys && failed(e = platform_ima_keys_decode(&r, &s))) || failed(e = cbor_rd_map_end(&r, &m)) ||
	    failed(e = cbor_rd_end(&r)))
		return e;
	*ret = s;
	s.n_keys = 0; /* they are handed over */
	return ERR(E_OK);
}
