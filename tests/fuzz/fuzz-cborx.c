/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What cbor_check() accepts is one item that every other reader agrees about:
 * our readers walk it to its last byte, and libcbor's own decoder (harmless by
 * then, as everything it would trust was judged) writes the same bytes again.
 */
#include <cbor.h>
#include <string.h>

#include "base/cborx.h"
#include "tests/fuzz/fuzz.h"

static void read_item(struct cbor_rd *r, unsigned depth);

static void read_elements(struct cbor_rd *r, size_t n, unsigned depth)
{
	fuzz_must(depth < CBOR_MAX_DEPTH);
	fuzz_must(n <= r->in.n - r->off);
	for (size_t i = 0; i < n; i++)
		read_item(r, depth + 1);
}

/* The first reader that takes the item; what none takes (negative, null) is passed over whole. */
static void read_item(struct cbor_rd *r, unsigned depth)
{
	struct cbor_map m;
	struct bytes v;
	uint64_t u;
	size_t n;
	bool b;

	if (!failed(cbor_rd_uint(r, UINT64_MAX, &u)) || !failed(cbor_rd_bool(r, &b)) || !failed(cbor_rd_bytes(r, &v)) ||
	    !failed(cbor_rd_text(r, &v)))
		return;
	if (!failed(cbor_rd_array(r, SIZE_MAX, &n)))
		read_elements(r, n, depth);
	else if (!failed(cbor_rd_map(r, &m)))
		read_elements(r, 2 * m.left, depth);
	else
		fuzz_must(!failed(cbor_rd_item(r, &v)));
}

static void compare_with_libcbor(struct bytes in)
{
	struct cbor_load_result result;
	cbor_item_t *item = cbor_load(in.p, in.n, &result);
	unsigned char *again = NULL;
	size_t cap = 0, n;

	fuzz_must(item != NULL && result.error.code == CBOR_ERR_NONE && result.read == in.n);
	n = cbor_serialize_alloc(item, &again, &cap);
	fuzz_must(n == in.n && memcmp(again, in.p, n) == 0);
	free(again);
	cbor_decref(&item);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct bytes in = BYTES(data, n);
	struct err e = cbor_check(in), first;
	struct cbor_rd r;
	size_t len = 0;

	/* One item in front of something else is judged alike. */
	first = cbor_check_first(in, &len);
	fuzz_must(failed(first) ? e.code == first.code : (len > 0 && len <= n));
	fuzz_must(failed(first) || e.code == (len == n ? E_OK : E_PEER_TRAILING));
	if (failed(first))
		return 0;
	in.n = len;
	fuzz_must(!failed(cbor_rd_init(in, &r)));
	read_item(&r, 0);
	fuzz_must(!failed(cbor_rd_end(&r)));
	compare_with_libcbor(in);
	return 0;
}
