/* SPDX-License-Identifier: Apache-2.0 */
#include "verifier/appraise/idset.h"

#include "base/digest.h"
#include "base/rd.h"

void idset_done(struct idset *s)
{
	free(s->slots);
	*s = (struct idset){ 0 };
}

/* 0 marks a free slot, so it shares the place of 1. */
static uint64_t stored(uint64_t id)
{
	return id == 0 ? 1 : id;
}

/* Ids are parts of SHA-256 digests, so their bits are as good as a hash. */
static size_t slot_of(const struct idset *s, uint64_t id)
{
	size_t i = (size_t)id & (s->n_slots - 1);

	while (s->slots[i] != 0 && s->slots[i] != id)
		i = (i + 1) & (s->n_slots - 1);
	return i;
}

static struct err grow(struct idset *s)
{
	struct idset larger = { .n = s->n, .n_slots = s->n_slots == 0 ? 64 : 2 * s->n_slots };

	larger.slots = calloc(larger.n_slots, sizeof(*larger.slots));
	if (larger.slots == NULL)
		return ERR(E_LOCAL_MEMORY);
	for (size_t i = 0; i < s->n_slots; i++) {
		if (s->slots[i] != 0)
			larger.slots[slot_of(&larger, s->slots[i])] = s->slots[i];
	}
	free(s->slots);
	*s = larger;
	return ERR(E_OK);
}

struct err idset_add(struct idset *s, uint64_t id)
{
	struct err e;
	size_t i;

	if (2 * (s->n + 1) > s->n_slots && failed(e = grow(s)))
		return e;
	i = slot_of(s, stored(id));
	if (s->slots[i] == 0)
		s->n++;
	s->slots[i] = stored(id);
	return ERR(E_OK);
}

bool idset_has(const struct idset *s, uint64_t id)
{
	return s->n_slots > 0 && s->slots[slot_of(s, stored(id))] != 0;
}

struct err idset_id(struct bytes b, uint64_t *ret)
{
	uint8_t sum[32];
	struct rd r = RD(BYTES_ARR(sum));
	struct err e;

	if (failed(e = sha256(b, sum)))
		return e;
	return rd_u64be(&r, ret);
}
