/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/wr.h"
#include "firmware-measure/ima_allowlist.h"

struct err ima_allowlist_begin(struct ima_allowlist_builder *b, enum digest_id alg, enum ima_digest_kind kind)
{
	static const uint8_t header[IMA_ALLOWLIST_HEADER];
	const struct digest_alg *a = digest_alg(alg);

	if (a == NULL)
		return ERR(E_BUG);
	*b = (struct ima_allowlist_builder){ .alg = alg, .kind = kind };
	buf_init(&b->file, IMA_ALLOWLIST_HEADER + UINT32_MAX * a->size);
	return buf_add(&b->file, BYTES_ARR(header));
}

void ima_allowlist_builder_done(struct ima_allowlist_builder *b)
{
	buf_free(&b->file);
}

struct err ima_allowlist_add(struct ima_allowlist_builder *b, struct bytes digest)
{
	struct err e;

	if (b->finished)
		return ERR(E_BUG);
	if (digest.n != digest_alg(b->alg)->size)
		return ERR(E_PEER_RANGE);
	e = buf_add(&b->file, digest);
	return e.code == E_LIMIT_SIZE ? ERR(E_LIMIT_COUNT) : e;
}

static int order(const void *a, const void *b, void *size)
{
	return memcmp(a, b, *(const size_t *)size);
}

static struct err header_write(struct ima_allowlist_builder *b, size_t count)
{
	cleanup_buf struct buf head = BUF_INIT(IMA_ALLOWLIST_HEADER);
	struct err e;

	if (failed(e = buf_add_str(&head, "ASSAYIMA")) || failed(e = wr_u32be(&head, 1)) ||
	    failed(e = wr_u16be(&head, digest_alg(b->alg)->tpm_alg)) ||
	    failed(e = wr_u16be(&head, (uint16_t)b->kind)) || failed(e = wr_u64be(&head, count)) ||
	    failed(e = wr_u64be(&head, 0)))
		return e;
	return bytes_copy_exact(buf_bytes(&head), b->file.p, IMA_ALLOWLIST_HEADER);
}

struct err ima_allowlist_finish(struct ima_allowlist_builder *b, size_t *ret_count)
{
	size_t size = digest_alg(b->alg)->size, n = (b->file.n - IMA_ALLOWLIST_HEADER) / size, kept = 0;
	uint8_t *first = b->file.p + IMA_ALLOWLIST_HEADER;
	struct err e;

	if (b->finished)
		return ERR(E_BUG);
	if (n == 0)
		return ERR(E_PEER_MISSING);
	qsort_r(first, n, size, order, &size);
	for (size_t i = 0; i < n; i++) {
		if (i > 0 && memcmp(first + (kept - 1) * size, first + i * size, size) == 0)
			continue;
		if (kept != i)
			memcpy(first + kept * size, first + i * size, size);
		kept++;
	}
	if (failed(e = buf_truncate(&b->file, IMA_ALLOWLIST_HEADER + kept * size)) || failed(e = header_write(b, kept)))
		return e;
	b->finished = true;
	*ret_count = kept;
	return e;
}
