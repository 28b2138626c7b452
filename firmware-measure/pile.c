/* SPDX-License-Identifier: Apache-2.0 */
#include "firmware-measure/pile.h"

#include <stdalign.h>
#include <string.h>

#include "base/limits.h"

#define BLOCK (64 * KIB)

struct pile_block {
	struct pile_block *next;
	size_t used, size;
	alignas(max_align_t) uint8_t bytes[];
};

void pile_done(struct pile *p)
{
	while (p->last != NULL) {
		struct pile_block *next = p->last->next;

		free(p->last);
		p->last = next;
	}
}

bool budget_take(atomic_size_t *left, size_t n)
{
	size_t now = atomic_load(left);

	do {
		if (now < n)
			return false;
	} while (!atomic_compare_exchange_weak(left, &now, now - n));
	return true;
}

static struct err add_block(struct pile *p, size_t n)
{
	size_t size = n > BLOCK ? n : BLOCK;
	struct pile_block *b;

	if (!budget_take(&p->budget->bytes, size))
		return ERR(E_LIMIT_SIZE);
	b = calloc(1, sizeof(*b) + size);
	if (b == NULL)
		return ERR(E_LOCAL_MEMORY);
	b->size = size;
	b->next = p->last;
	p->last = b;
	return ERR(E_OK);
}

struct err pile_take(struct pile *p, size_t n, void **ret)
{
	const size_t unit = alignof(max_align_t);
	struct err e;

	if (n > SIZE_MAX / 2)
		return ERR(E_LIMIT_SIZE);
	n = (n + unit - 1) / unit * unit;
	if ((p->last == NULL || n > p->last->size - p->last->used) && failed(e = add_block(p, n)))
		return e;
	*ret = p->last->bytes + p->last->used;
	p->last->used += n;
	return ERR(E_OK);
}

struct err pile_copy(struct pile *p, struct bytes b, const char **ret)
{
	void *to = NULL;
	struct err e;

	if (failed(e = pile_take(p, b.n + 1, &to)))
		return e;
	if (b.n > 0)
		memcpy(to, b.p, b.n);
	*ret = to;
	return ERR(E_OK);
}
