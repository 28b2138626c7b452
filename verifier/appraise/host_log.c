/* SPDX-License-Identifier: Apache-2.0 */
#include "verifier/appraise/host_log.h"

#define N_MEMBERS 3 /* without roots */
#define N_UNEXPLAINED 3

void log_progress_done(struct log_progress *p)
{
	if (p->state != NULL)
		host_state_done(p->state);
	free(p->state);
	*p = (struct log_progress){ .state = NULL };
}

/* Another judgement, or another replay, has nothing to do with the log and would be in the state twice. */
static void log_only(struct host_state *s)
{
	ima_progress_done(&s->ima);
	log_progress_done(&s->open);
	s->status = HOST_NEVER;
	s->has_clock = false;
	s->clock = (struct tpm_clock){ 0 };
	s->firmware_version = 0;
	s->firmware = (struct firmware_judged){ .has = false };
}

struct err log_progress_keep(struct log_progress *p, struct host_state *from)
{
	struct host_state *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return ERR(E_LOCAL_MEMORY);
	*s = *from;
	host_state_init(from);
	log_only(s);
	s->has_boot = true;
	if (p->state != NULL)
		host_state_done(p->state);
	free(p->state);
	p->state = s;
	return ERR(E_OK);
}

struct err log_progress_copy(const struct log_progress *from, struct log_progress *ret)
{
	cleanup_host_state struct host_state s = { .status = HOST_NEVER };
	struct log_progress p = { .image_gone = from->image_gone,
				  .root_gone = from->root_gone,
				  .model_gone = from->model_gone };
	struct err e;

	if (from->state != NULL &&
	    (failed(e = host_state_copy(from->state, &s)) || failed(e = log_progress_keep(&p, &s))))
		return e;
	*ret = p;
	return ERR(E_OK);
}

const struct host_state *host_state_log(const struct host_state *s, const uint8_t boot_id[BOOT_ID_LEN],
					const uint8_t policy_digest[32])
{
	if (s->open.state != NULL && host_state_continues(s->open.state, boot_id, policy_digest))
		return s->open.state;
	return host_state_continues(s, boot_id, policy_digest) ? s : NULL;
}

static struct err wr_unexplained(const struct unexplained *u, struct buf *b)
{
	struct err e;

	if (failed(e = cbor_wr_array(b, N_UNEXPLAINED)) || failed(e = cbor_wr_uint(b, u->n)) ||
	    failed(e = cbor_wr_bytes(b, BYTES_ARR(u->instance))))
		return e;
	return cbor_wr_bytes(b, BYTES_ARR(u->digest));
}

struct err log_progress_encode(const struct log_progress *p, struct buf *ret)
{
	cleanup_buf struct buf state = BUF_INIT(HOST_STATE_MAX);
	const bool roots = p->root_gone.n > 0;
	struct err e;

	if (failed(e = host_state_encode(p->state, &state)) || failed(e = cbor_wr_array(ret, N_MEMBERS + roots)) ||
	    failed(e = wr_unexplained(&p->image_gone, ret)) || failed(e = wr_unexplained(&p->model_gone, ret)) ||
	    (roots && failed(e = wr_unexplained(&p->root_gone, ret))))
		return e;
	return cbor_wr_bytes(ret, buf_bytes(&state));
}

static struct err rd_unexplained(struct cbor_rd *r, struct unexplained *ret)
{
	uint64_t count;
	size_t n;
	struct err e;

	if (failed(e = cbor_rd_array(r, N_UNEXPLAINED, &n)))
		return e;
	if (n != N_UNEXPLAINED)
		return ERR(E_PEER_RANGE);
	if (failed(e = cbor_rd_uint(r, SIZE_MAX, &count)) ||
	    failed(e = cbor_rd_bytes_exact(r, ret->instance, sizeof(ret->instance))) ||
	    failed(e = cbor_rd_bytes_exact(r, ret->digest, sizeof(ret->digest))))
		return e;
	ret->n = (size_t)count;
	return ERR(E_OK);
}

struct err log_progress_decode(struct cbor_rd *r, struct log_progress *ret)
{
	cleanup_host_state struct host_state s = { .status = HOST_NEVER };
	struct bytes state;
	size_t n;
	struct err e;

	if (failed(e = cbor_rd_array(r, N_MEMBERS + 1, &n)))
		return e;
	if (n < N_MEMBERS)
		return ERR(E_PEER_RANGE);
	if (failed(e = rd_unexplained(r, &ret->image_gone)) || failed(e = rd_unexplained(r, &ret->model_gone)) ||
	    (n > N_MEMBERS && failed(e = rd_unexplained(r, &ret->root_gone))) ||
	    failed(e = cbor_rd_bytes(r, &state)) || failed(e = host_state_decode_log(state, &s)))
		return e;
	return log_progress_keep(ret, &s);
}
