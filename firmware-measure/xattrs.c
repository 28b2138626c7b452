/* SPDX-License-Identifier: Apache-2.0 */
#include "firmware-measure/xattrs.h"

#include "base/limits.h"
#include "base/rd.h"
#include "base/wr.h"

void xattrs_done(struct xattrs *x)
{
	buf_free(&x->text);
}

void xattrs_clear(struct xattrs *x)
{
	x->n = 0;
	buf_clear(&x->text);
}

static bool begins_with(struct bytes b, struct bytes prefix)
{
	struct bytes head;

	return !failed(bytes_sub(b, 0, prefix.n, &head)) && bytes_eq(head, prefix);
}

bool xattr_matters(struct bytes name)
{
	static const struct bytes whole[] = {
		BYTES_LIT("security.capability"),
		BYTES_LIT("system.posix_acl_access"),
		BYTES_LIT("system.posix_acl_default"),
	};
	/* Notes of unpackers: of overlayfs without privilege, of containers/storage, of umoci --rootless. */
	static const struct bytes notes[] = {
		BYTES_LIT("user.overlay."),
		BYTES_LIT("user.containers."),
		BYTES_LIT("user.rootlesscontainers"),
	};

	for (size_t i = 0; i < array_len(whole); i++) {
		if (bytes_eq(name, whole[i]))
			return true;
	}
	for (size_t i = 0; i < array_len(notes); i++) {
		if (begins_with(name, notes[i]))
			return false;
	}
	return begins_with(name, BYTES_LIT("user."));
}

/* Name of the i-th, and the whole of it. */
static struct err one(const struct xattrs *x, size_t i, struct bytes *ret_name, struct bytes *ret)
{
	size_t end = i + 1 < x->n ? x->at[i + 1] : x->text.n;
	uint32_t n = 0;
	struct rd r;
	struct err e;

	if (failed(e = bytes_sub(buf_bytes(&x->text), x->at[i], end - x->at[i], ret)))
		return e;
	r = RD(*ret);
	if (failed(e = rd_u32be(&r, &n)))
		return e;
	return rd_bytes(&r, n, ret_name);
}

struct err xattrs_add(struct xattrs *x, struct bytes name, struct bytes value)
{
	size_t at = x->text.n;
	struct err e;

	if (!xattr_matters(name))
		return ERR(E_OK);
	if (x->n == LIMIT_XATTRS)
		return ERR(E_LIMIT_COUNT);
	for (size_t i = 0; i < x->n; i++) {
		struct bytes other, whole;

		if (failed(e = one(x, i, &other, &whole)))
			return e;
		if (bytes_eq(other, name))
			return ERR(E_PEER_DUPLICATE);
	}
	if (name.n > x->text.max || value.n > x->text.max)
		return ERR(E_LIMIT_SIZE);
	/* Room for all of it first, so that none of it stays behind on failure. */
	if (failed(e = buf_reserve(&x->text, 8 + name.n + value.n)) ||
	    failed(e = wr_u32be(&x->text, (uint32_t)name.n)) || failed(e = buf_add(&x->text, name)) ||
	    failed(e = wr_u32be(&x->text, (uint32_t)value.n)) || failed(e = buf_add(&x->text, value)))
		return e;
	x->at[x->n++] = at;
	return ERR(E_OK);
}

/* At most LIMIT_XATTRS of them: the smallest name above the last one, again and again. */
struct err xattrs_encode(const struct xattrs *x, struct buf *ret)
{
	struct bytes last = BYTES_NONE;
	struct err e;

	for (size_t k = 0; k < x->n; k++) {
		struct bytes best_name = BYTES_NONE, best = BYTES_NONE;

		for (size_t i = 0; i < x->n; i++) {
			struct bytes name, whole;

			if (failed(e = one(x, i, &name, &whole)))
				return e;
			if (bytes_cmp(name, last) > 0 && (best.p == NULL || bytes_cmp(name, best_name) < 0)) {
				best_name = name;
				best = whole;
			}
		}
		if (failed(e = buf_add(ret, best)))
			return e;
		last = best_name;
	}
	return ERR(E_OK);
}
