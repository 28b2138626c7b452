/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rd.h"

struct err rd_tpm2b(struct rd *r, size_t max, struct bytes *ret)
{
	struct rd ahead = *r;
	struct err e;
	uint16_t n;

	if (failed(e = rd_u16be(&ahead, &n)))
		return e;
	if (n > max)
		return ERR(E_LIMIT_SIZE);
	if (failed(e = rd_bytes(&ahead, n, ret)))
		return e;
	*r = ahead;
	return ERR(E_OK);
}

struct bytes rd_rest(struct rd *r)
{
	struct bytes b = r->p == NULL ? BYTES_NONE : BYTES(r->p + r->off, rd_left(r));

	r->off = r->n;
	return b;
}
