/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "attest/workload_impl.h"

#define PIECE (256 * KIB) /* of the file that is read at a time; more than a record */
_Static_assert(PIECE > LIMIT_LOG_RECORD, "a piece holds a whole record");

void replay_clear(struct workload *w)
{
	w->log_size = w->mark = 0;
	w->n_records = 0;
	w->n_starts = 0;
	w->n_live = 0;
	w->has_resume = false;
	for (size_t i = 0; i < LIMIT_BANKS; i++)
		w->pcr[i] = (struct digest){ 0 };
}

static struct workload_instance *find(struct workload *w, const uint8_t id[INSTANCE_ID_LEN])
{
	for (size_t i = 0; i < w->n_live; i++)
		if (memcmp(w->live[i].id, id, INSTANCE_ID_LEN) == 0)
			return &w->live[i];
	return NULL;
}

const struct workload_instance *workload_find(const struct workload *w, const uint8_t id[INSTANCE_ID_LEN])
{
	for (size_t i = 0; i < w->n_live; i++)
		if (memcmp(w->live[i].id, id, INSTANCE_ID_LEN) == 0)
			return &w->live[i];
	return NULL;
}

static struct err take_begin(struct workload *w, const struct workload_event *ev)
{
	if (w->n_records != 0 || ev->n_banks != w->banks.n)
		return ERR(E_PEER_RANGE);
	for (size_t i = 0; i < ev->n_banks; i++) {
		if (ev->bank[i] != w->banks.bank[i])
			return ERR(E_PEER_RANGE);
		w->pcr[i] = ev->before[i];
	}
	return ERR(E_OK);
}

static struct err take_start(struct workload *w, const struct workload_event *ev)
{
	struct workload_instance *to;

	if (find(w, ev->instance) != NULL)
		return ERR(E_PEER_DUPLICATE);
	if (w->n_live == LIMIT_INSTANCES)
		return ERR(E_LIMIT_COUNT);
	to = &w->live[w->n_live];
	if (ev->agent.n >= sizeof(to->agent) || ev->key_name.n != sizeof(to->key_name))
		return ERR(E_PEER_RANGE);
	*to = (struct workload_instance){ .image = ev->image, .model = ev->model, .has_container = ev->has_container,
					     .container = ev->container };
	memcpy(to->id, ev->instance, INSTANCE_ID_LEN);
	memcpy(to->agent, ev->agent.p, ev->agent.n);
	memcpy(to->key_name, ev->key_name.p, ev->key_name.n);
	w->n_live++;
	w->n_starts++;
	return ERR(E_OK);
}

static struct err take_event(struct workload *w, const struct workload_event *ev)
{
	struct workload_instance *at;

	if (w->n_records == 0 && ev->kind != WORKLOAD_BEGIN)
		return ERR(E_PEER_MISSING);
	switch (ev->kind) {
	case WORKLOAD_BEGIN:
		return take_begin(w, ev);
	case WORKLOAD_START:
		return take_start(w, ev);
	case WORKLOAD_CHANGED:
		at = find(w, ev->instance);
		if (at == NULL)
			return ERR(E_PEER_RANGE);
		if (at->changed)
			return ERR(E_PEER_DUPLICATE);
		if (at->has_container != ev->has_container)
			return ERR(E_PEER_RANGE);
		at->changed = true;
		at->image = ev->image;
		at->model = ev->model;
		at->container = ev->container;
		return ERR(E_OK);
	case WORKLOAD_END:
		at = find(w, ev->instance);
		if (at == NULL)
			return ERR(E_PEER_RANGE);
		*at = w->live[--w->n_live];
		return ERR(E_OK);
	case WORKLOAD_RESUME:
		w->has_resume = true;
		w->last_resume = ev->restart_count;
		return ERR(E_OK);
	default:
		return ERR(E_PEER_RANGE);
	}
}

struct err replay_record(struct workload *w, const struct cel_record *rec, size_t n)
{
	struct workload_event ev;
	struct err e;

	if (rec->recnum != w->n_records || rec->pcr != WORKLOAD_PCR || rec->n_digests != w->banks.n)
		return ERR(E_PEER_RANGE);
	for (size_t i = 0; i < w->banks.n; i++)
		if (rec->alg[i] != w->banks.bank[i])
			return ERR(E_PEER_RANGE);
	if (failed(e = workload_event_decode(rec->content, &ev)) || failed(e = take_event(w, &ev)))
		return e;
	for (size_t i = 0; i < w->banks.n; i++)
		if (failed(e = digest_extend(w->banks.bank[i], &w->pcr[i], digest_bytes(&rec->digest[i]), &w->pcr[i])))
			return e;
	w->n_records++;
	w->log_size += n;
	return ERR(E_OK);
}

struct err replay_part(struct workload *w, struct bytes log)
{
	size_t off = 0, n = 0;
	struct err e;

	for (;; off += n) {
		struct cel_record rec;
		struct bytes rest;

		if (failed(e = bytes_sub(log, off, log.n - off, &rest)))
			return e;
		e = cel_read(rest, &rec, &n);
		if (!failed(e) && n > 0)
			e = replay_record(w, &rec, n);
		if (e.code == E_LOCAL_CRYPTO || e.code == E_LOCAL_MEMORY)
			return e;
		if (failed(e) || n == 0)
			return ERR(E_OK);
	}
}

struct err replay_file(struct workload *w, uint64_t end)
{
	cleanup_buf struct buf piece = BUF_INIT(PIECE);
	uint64_t from;
	struct err e;

	if (end <= w->log_size)
		return ERR(E_OK);
	do {
		size_t max = end - w->log_size < PIECE ? (size_t)(end - w->log_size) : PIECE;

		from = w->log_size;
		buf_clear(&piece);
		if (failed(e = log_read(w, from, max, &piece)) || failed(e = replay_part(w, buf_bytes(&piece))))
			return e;
		/* A record that the piece cuts is the first one of the next. */
	} while (w->log_size > from && w->log_size < end);
	return ERR(E_OK);
}

struct err workload_read(const struct workload *w, uint64_t offset, size_t max, struct buf *ret)
{
	size_t before = ret->n, want;
	struct err e;

	if (offset > w->log_size)
		return ERR(E_PEER_RANGE);
	want = w->log_size - offset < max ? (size_t)(w->log_size - offset) : max;
	if (failed(e = log_read(w, offset, want, ret)))
		return e;
	return ret->n - before == want ? ERR(E_OK) : ERR(E_LOCAL_IO);
}

struct err workload_position(const struct workload *w, uint64_t offset, enum digest_id bank, uint64_t *ret_records,
			     struct digest *ret_pcr)
{
	cleanup_workload struct workload part = WORKLOAD_INIT;
	size_t at = SIZE_MAX;
	struct err e;

	if (offset > w->log_size)
		return ERR(E_PEER_RANGE);
	for (size_t i = 0; i < w->banks.n; i++)
		if (w->banks.bank[i] == bank)
			at = i;
	if (at == SIZE_MAX)
		return ERR(E_PEER_RANGE);
	part.dir_fd = w->dir_fd;
	(void)snprintf(part.file, sizeof(part.file), "%s", w->file);
	memcpy(part.boot_key, w->boot_key, sizeof(part.boot_key));
	part.banks = w->banks;
	part.live = calloc(LIMIT_INSTANCES, sizeof(*part.live));
	if (part.live == NULL)
		return ERR(E_LOCAL_MEMORY);
	if (failed(e = mark_read(&part)))
		return e;
	if (part.log_size > offset || part.log_size > w->mark)
		replay_clear(&part);
	if (failed(e = replay_file(&part, offset)))
		return e;
	if (part.log_size != offset)
		return ERR(E_PEER_RANGE);
	*ret_records = part.n_records;
	*ret_pcr = part.pcr[at];
	return ERR(E_OK);
}
