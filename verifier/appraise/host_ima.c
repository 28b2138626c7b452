/* SPDX-License-Identifier: Apache-2.0 */
#include "verifier/appraise/host_ima.h"

#include <string.h>

#define N_MEMBERS 5

void ima_progress_done(struct ima_progress *p)
{
	free(p->state);
	*p = (struct ima_progress){ .has = false };
}

struct err ima_progress_keep(struct ima_progress *p, struct bytes state)
{
	uint8_t *copy = NULL;

	if (state.n > IMA_PROGRESS_MAX)
		return ERR(E_BUG);
	if (state.n > 0) {
		copy = malloc(state.n);
		if (copy == NULL)
			return ERR(E_LOCAL_MEMORY);
		memcpy(copy, state.p, state.n);
	}
	free(p->state);
	p->state = copy;
	p->n = state.n;
	return ERR(E_OK);
}

bool ima_progress_continues(const struct ima_progress *p, const uint8_t boot_id[BOOT_ID_LEN],
			    const uint8_t policy_digest[32])
{
	return p->has && memcmp(p->boot_id, boot_id, BOOT_ID_LEN) == 0 &&
	       memcmp(p->policy_digest, policy_digest, sizeof(p->policy_digest)) == 0;
}

struct err ima_progress_encode(const struct ima_progress *p, struct buf *ret)
{
	struct err e;

	if (failed(e = cbor_wr_array(ret, N_MEMBERS)) ||
	    failed(e = cbor_wr_bytes(ret, BYTES_ARR(p->boot_id))) ||
	    failed(e = cbor_wr_bytes(ret, BYTES_ARR(p->policy_digest))) ||
	    failed(e = cbor_wr_bytes(ret, BYTES_ARR(p->doc))) ||
	    failed(e = cbor_wr_uint(ret, p->offset)))
		return e;
	return cbor_wr_bytes(ret, BYTES(p->state, p->n));
}

struct err ima_progress_decode(struct cbor_rd *r, struct ima_progress *ret)
{
	struct bytes state;
	size_t n;
	struct err e;

	if (failed(e = cbor_rd_array(r, N_MEMBERS, &n)))
		return e;
	if (n != N_MEMBERS)
		return ERR(E_PEER_RANGE);
	if (failed(e = cbor_rd_bytes_exact(r, ret->boot_id, sizeof(ret->boot_id))) ||
	    failed(e = cbor_rd_bytes_exact(r, ret->policy_digest, sizeof(ret->policy_digest))) ||
	    failed(e = cbor_rd_bytes_exact(r, ret->doc, sizeof(ret->doc))) ||
	    failed(e = cbor_rd_uint(r, UINT64_MAX, &ret->offset)) ||
	    failed(e = cbor_rd_bytes(r, &state)))
		return e;
	return state.n > IMA_PROGRESS_MAX ? ERR(E_LIMIT_SIZE) : ima_progress_keep(ret, state);
}
