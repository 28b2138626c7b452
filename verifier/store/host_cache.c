/* SPDX-License-Identifier: Apache-2.0 */
#include "verifier/store/host_cache.h"

#include <string.h>

struct cached_host {
	char id[HOST_ID_LEN + 1];
	struct host_record *record;       /* held; NULL: the slot is empty */
	bool fresh;                       /* what follows is the row of the last commit */
	struct host_row row;              /* without record and state */
	size_t state_n;
	uint8_t *state;                   /* encoded, owned */
};

struct err host_cache_init(struct host_cache *c)
{
	*c = (struct host_cache){ .generation = 0 };
	c->slot = calloc(HOST_CACHE_SLOTS, sizeof(*c->slot));
	if (c->slot == NULL)
		return ERR(E_LOCAL_MEMORY);
	(void)pthread_mutex_init(&c->lock, NULL);
	return ERR(E_OK);
}

static void forget_row(struct cached_host *h)
{
	h->fresh = false;
	free(h->state);
	h->state = NULL;
	h->state_n = 0;
}

void host_cache_done(struct host_cache *c)
{
	if (c->slot == NULL)
		return;
	for (size_t i = 0; i < HOST_CACHE_SLOTS; i++) {
		forget_row(&c->slot[i]);
		host_record_free(c->slot[i].record);
	}
	free(c->slot);
	c->slot = NULL;
	(void)pthread_mutex_destroy(&c->lock);
}

/* FNV-1a. Ids are digests of keys: who wants to share somebody's slot only makes both read the store again. */
static size_t slot_of(const char *id)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (; *id != '\0'; id++)
		h = (h ^ (uint8_t)*id) * UINT64_C(0x100000001b3);
	return (size_t)(h ^ h >> 32) % HOST_CACHE_SLOTS;
}

static struct cached_host *find(struct host_cache *c, const char *id)
{
	struct cached_host *h = &c->slot[slot_of(id)];

	return h->record != NULL && strcmp(h->id, id) == 0 ? h : NULL;
}

struct err host_cache_row(struct host_cache *c, const char *id, struct host_row *ret, bool *ret_found,
			  uint64_t *ret_generation)
{
	uint8_t state[HOST_CACHE_STATE];
	cleanup_host_row struct host_row row = { 0 };
	const struct cached_host *h;
	size_t n = 0;
	struct err e;

	*ret_found = false;
	(void)pthread_mutex_lock(&c->lock);
	*ret_generation = c->generation;
	h = find(c, id);
	if (h != NULL && h->fresh) {
		row = h->row;
		row.record = host_record_hold(h->record);
		n = h->state_n;
		memcpy(state, h->state, n);
	}
	(void)pthread_mutex_unlock(&c->lock);
	if (row.record == NULL)
		return ERR(E_OK);
	host_state_init(&row.state);
	if (failed(e = host_state_decode(BYTES(state, n), &row.state)))
		return ERR(e.code == E_LOCAL_MEMORY ? E_LOCAL_MEMORY : E_LOCAL_STORE);
	*ret = row;
	row = (struct host_row){ 0 };
	*ret_found = true;
	return ERR(E_OK);
}

struct err host_cache_record(struct host_cache *c, const char *id, struct bytes encoded, struct host_record **ret)
{
	const struct cached_host *h;
	uint8_t digest[32];
	struct err e = sha256(encoded, digest);

	*ret = NULL;
	if (failed(e))
		return e;
	(void)pthread_mutex_lock(&c->lock);
	h = find(c, id);
	if (h != NULL && memcmp(h->record->digest, digest, sizeof(digest)) == 0)
		*ret = host_record_hold(h->record);
	(void)pthread_mutex_unlock(&c->lock);
	return ERR(E_OK);
}

void host_cache_keep(struct host_cache *c, const char *id, uint64_t generation, const struct host_row *row,
		     struct bytes state)
{
	struct cached_host *h = &c->slot[slot_of(id)];
	struct host_record *old = NULL;
	uint8_t *copy;

	if (state.n > HOST_CACHE_STATE || (copy = malloc(state.n)) == NULL)
		return;
	memcpy(copy, state.p, state.n);
	(void)pthread_mutex_lock(&c->lock);
	if (generation == c->generation) {
		old = h->record;
		forget_row(h);
		(void)snprintf(h->id, sizeof(h->id), "%s", id);
		h->record = host_record_hold(row->record);
		h->row = *row;
		h->row.record = NULL;
		h->row.state = (struct host_state){ .status = HOST_NEVER };
		h->state = take_ptr(&copy);
		h->state_n = state.n;
		h->fresh = true;
	}
	(void)pthread_mutex_unlock(&c->lock);
	host_record_free(old);
	free(copy);
}

void host_cache_touch(struct host_cache *c, const char *id)
{
	c->touched[slot_of(id)] = true;
}

void host_cache_touch_all(struct host_cache *c)
{
	c->touched_all = true;
}

void host_cache_committed(struct host_cache *c)
{
	(void)pthread_mutex_lock(&c->lock);
	c->generation++;
	for (size_t i = 0; i < HOST_CACHE_SLOTS; i++)
		if (c->touched_all || c->touched[i])
			forget_row(&c->slot[i]);
	(void)pthread_mutex_unlock(&c->lock);
	memset(c->touched, 0, sizeof(c->touched));
	c->touched_all = false;
}
