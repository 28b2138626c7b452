/* SPDX-License-Identifier: Apache-2.0 */
#include "firmware-measure/workload_event.h"

#include <string.h>

#include "base/text.h"
#include "base/wr.h"

enum {
	KEY_KIND = 0,
	KEY_BANKS = 1,
	KEY_INSTANCE = 2,
	KEY_AGENT = 3,
	KEY_IMAGE = 4,
	KEY_MODEL = 5,
	KEY_ARGS = 6,
	KEY_NAME = 7,
	KEY_RESTART_COUNT = 8,
	KEY_CONTAINER = 9,
};

/* TPM Name: algorithm id of SHA-256, then the digest (TPM 2.0 Library, Part 1, 16). */
#define NAME_LEN 34
#define NAME_ALG_HIGH 0x00
#define NAME_ALG_LOW 0x0b

/* Rules on values that encoder and decoder share, so that nothing is written that cannot be read. */
static struct err check_banks(const struct workload_event *ev)
{
	if (ev->n_banks == 0)
		return ERR(E_PEER_MISSING);
	if (ev->n_banks > LIMIT_BANKS)
		return ERR(E_LIMIT_COUNT);
	for (size_t i = 0; i < ev->n_banks; i++) {
		if ((unsigned)ev->bank[i] >= N_DIGESTS)
			return ERR(E_PEER_UNSUPPORTED);
		if (ev->before[i].n != digest_alg(ev->bank[i])->size)
			return ERR(E_PEER_RANGE);
		if (i > 0 && digest_alg(ev->bank[i])->tpm_alg <= digest_alg(ev->bank[i - 1])->tpm_alg)
			return ERR(E_PEER_NOT_CANONICAL);
	}
	return ERR(E_OK);
}

static struct err check_start(const struct workload_event *ev)
{
	if (!id_valid(ev->agent))
		return ERR(E_PEER_RANGE);
	if (ev->key_name.n != NAME_LEN)
		return ERR(E_PEER_RANGE);
	if (ev->key_name.p[0] != NAME_ALG_HIGH || ev->key_name.p[1] != NAME_ALG_LOW)
		return ERR(E_PEER_UNSUPPORTED);
	return ERR(E_OK);
}

static struct err write_banks(const struct workload_event *ev, struct buf *b)
{
	struct err e;

	if (failed(e = check_banks(ev)) ||
	    failed(e = cbor_wr_uint(b, KEY_BANKS)) ||
	    failed(e = cbor_wr_map(b, ev->n_banks)))
		return e;
	for (size_t i = 0; i < ev->n_banks; i++) {
		if (failed(e = cbor_wr_uint(b, digest_alg(ev->bank[i])->tpm_alg)) ||
		    failed(e = cbor_wr_bytes(b, digest_bytes(&ev->before[i]))))
			return e;
	}
	return ERR(E_OK);
}

static struct err write_pair(struct buf *b, uint64_t key, const uint8_t first[32], const uint8_t second[32])
{
	struct err e;

	if (failed(e = cbor_wr_uint(b, key)) ||
	    failed(e = cbor_wr_array(b, 2)) ||
	    failed(e = cbor_wr_bytes(b, BYTES(first, 32))))
		return e;
	return cbor_wr_bytes(b, BYTES(second, 32));
}

static struct err write_field(struct buf *b, uint64_t key, struct bytes v)
{
	struct err e;

	if (failed(e = cbor_wr_uint(b, key)))
		return e;
	return cbor_wr_bytes(b, v);
}

static struct err write_what(const struct workload_event *ev, struct buf *b)
{
	struct err e;

	if (failed(e = write_pair(b, KEY_IMAGE, ev->image.manifest, ev->image.config)))
		return e;
	return write_pair(b, KEY_MODEL, ev->model.manifest, ev->model.oms_root);
}

/* The last member of those that may have it. */
static struct err write_container(const struct workload_event *ev, struct buf *b)
{
	if (!ev->has_container)
		return ERR(E_OK);
	return write_pair(b, KEY_CONTAINER, ev->container.rootfs, ev->container.policy);
}

static struct err write_start(const struct workload_event *ev, struct buf *b)
{
	struct err e;

	if (failed(e = check_start(ev)) ||
	    failed(e = write_field(b, KEY_INSTANCE, BYTES_ARR(ev->instance))) ||
	    failed(e = cbor_wr_uint(b, KEY_AGENT)) ||
	    failed(e = cbor_wr_text(b, ev->agent)) ||
	    failed(e = write_what(ev, b)) ||
	    failed(e = write_field(b, KEY_ARGS, BYTES_ARR(ev->args))) ||
	    failed(e = write_field(b, KEY_NAME, ev->key_name)))
		return e;
	return write_container(ev, b);
}

static struct err write_changed(const struct workload_event *ev, struct buf *b)
{
	struct err e;

	if (failed(e = write_field(b, KEY_INSTANCE, BYTES_ARR(ev->instance))) ||
	    failed(e = write_what(ev, b)))
		return e;
	return write_container(ev, b);
}

static struct err write_end(const struct workload_event *ev, struct buf *b)
{
	return write_field(b, KEY_INSTANCE, BYTES_ARR(ev->instance));
}

static struct err write_resume(const struct workload_event *ev, struct buf *b)
{
	struct err e;

	if (failed(e = cbor_wr_uint(b, KEY_RESTART_COUNT)))
		return e;
	return cbor_wr_uint(b, ev->restart_count);
}

static struct err read_banks(struct cbor_rd *r, struct cbor_map *outer, struct workload_event *ev)
{
	struct cbor_map m;
	struct err e;

	if (failed(e = cbor_rd_key(r, outer, KEY_BANKS)) ||
	    failed(e = cbor_rd_map(r, &m)))
		return e;
	for (unsigned id = 0; id < N_DIGESTS; id++) {
		const struct digest_alg *alg = digest_alg((enum digest_id)id);
		struct digest *d = &ev->before[ev->n_banks];
		bool present = false;

		if (failed(e = cbor_rd_key_opt(r, &m, alg->tpm_alg, &present)))
			return e;
		if (!present)
			continue;
		if (failed(e = cbor_rd_bytes_exact(r, d->v, alg->size)))
			return e;
		d->n = (uint8_t)alg->size;
		ev->bank[ev->n_banks++] = (enum digest_id)id;
	}
	if (failed(e = cbor_rd_map_end(r, &m)))
		return e;
	return check_banks(ev);
}

/* Behind its key. */
static struct err read_two(struct cbor_rd *r, uint8_t first[32], uint8_t second[32])
{
	size_t n = 0;
	struct err e;

	if (failed(e = cbor_rd_array(r, 2, &n)))
		return e;
	if (n != 2)
		return ERR(E_PEER_MISSING);
	if (failed(e = cbor_rd_bytes_exact(r, first, 32)))
		return e;
	return cbor_rd_bytes_exact(r, second, 32);
}

static struct err read_pair(struct cbor_rd *r, struct cbor_map *m, uint64_t key, uint8_t first[32], uint8_t second[32])
{
	struct err e = cbor_rd_key(r, m, key);

	return failed(e) ? e : read_two(r, first, second);
}

static struct err read_instance(struct cbor_rd *r, struct cbor_map *m, struct workload_event *ev)
{
	struct err e;

	if (failed(e = cbor_rd_key(r, m, KEY_INSTANCE)))
		return e;
	return cbor_rd_bytes_exact(r, ev->instance, sizeof(ev->instance));
}

static struct err read_what(struct cbor_rd *r, struct cbor_map *m, struct workload_event *ev)
{
	struct err e;

	if (failed(e = read_pair(r, m, KEY_IMAGE, ev->image.manifest, ev->image.config)))
		return e;
	return read_pair(r, m, KEY_MODEL, ev->model.manifest, ev->model.oms_root);
}

static struct err read_container(struct cbor_rd *r, struct cbor_map *m, struct workload_event *ev)
{
	struct err e = cbor_rd_key_opt(r, m, KEY_CONTAINER, &ev->has_container);

	return failed(e) || !ev->has_container ? e : read_two(r, ev->container.rootfs, ev->container.policy);
}

static struct err read_start(struct cbor_rd *r, struct cbor_map *m, struct workload_event *ev)
{
	struct err e;

	if (failed(e = read_instance(r, m, ev)) ||
	    failed(e = cbor_rd_key(r, m, KEY_AGENT)) ||
	    failed(e = cbor_rd_text(r, &ev->agent)) ||
	    failed(e = read_what(r, m, ev)) ||
	    failed(e = cbor_rd_key(r, m, KEY_ARGS)) ||
	    failed(e = cbor_rd_bytes_exact(r, ev->args, sizeof(ev->args))) ||
	    failed(e = cbor_rd_key(r, m, KEY_NAME)) ||
	    failed(e = cbor_rd_bytes(r, &ev->key_name)) ||
	    failed(e = read_container(r, m, ev)))
		return e;
	return check_start(ev);
}

static struct err read_changed(struct cbor_rd *r, struct cbor_map *m, struct workload_event *ev)
{
	struct err e;

	if (failed(e = read_instance(r, m, ev)) ||
	    failed(e = read_what(r, m, ev)))
		return e;
	return read_container(r, m, ev);
}

static struct err read_resume(struct cbor_rd *r, struct cbor_map *m, struct workload_event *ev)
{
	uint64_t n;
	struct err e;

	if (failed(e = cbor_rd_key(r, m, KEY_RESTART_COUNT)) ||
	    failed(e = cbor_rd_uint(r, UINT32_MAX, &n)))
		return e;
	ev->restart_count = (uint32_t)n;
	return ERR(E_OK);
}

/* How many members each kind has, kind included and a container not, and who writes and reads them. */
static const struct {
	size_t n_members;
	struct err (*write)(const struct workload_event *ev, struct buf *b);
	struct err (*read)(struct cbor_rd *r, struct cbor_map *m, struct workload_event *ev);
} kinds[] = {
	[WORKLOAD_BEGIN] = { 2, write_banks, read_banks },
	[WORKLOAD_START] = { 7, write_start, read_start },
	[WORKLOAD_CHANGED] = { 4, write_changed, read_changed },
	[WORKLOAD_END] = { 2, write_end, read_instance },
	[WORKLOAD_RESUME] = { 2, write_resume, read_resume },
};

static bool has_container(const struct workload_event *ev)
{
	return ev->has_container && (ev->kind == WORKLOAD_START || ev->kind == WORKLOAD_CHANGED);
}

struct err workload_event_encode(const struct workload_event *ev, struct buf *ret)
{
	cleanup_buf struct buf b = BUF_INIT(LIMIT_LOG_RECORD);
	struct err e;

	if ((unsigned)ev->kind >= array_len(kinds))
		return ERR(E_BUG);
	if (failed(e = cbor_wr_map(&b, kinds[ev->kind].n_members + (has_container(ev) ? 1 : 0))) ||
	    failed(e = cbor_wr_uint(&b, KEY_KIND)) ||
	    failed(e = cbor_wr_uint(&b, ev->kind)) ||
	    failed(e = kinds[ev->kind].write(ev, &b)))
		return e;
	return buf_add(ret, buf_bytes(&b));
}

struct err workload_event_decode(struct bytes in, struct workload_event *ret)
{
	struct workload_event ev = { 0 };
	struct cbor_rd r;
	struct cbor_map m;
	uint64_t kind;
	struct err e;

	if (failed(e = cbor_rd_init(in, &r)) ||
	    failed(e = cbor_rd_map(&r, &m)) ||
	    failed(e = cbor_rd_key(&r, &m, KEY_KIND)) ||
	    failed(e = cbor_rd_uint(&r, array_len(kinds) - 1, &kind)))
		return e;
	ev.kind = (enum workload_kind)kind;
	if (failed(e = kinds[kind].read(&r, &m, &ev)) ||
	    failed(e = cbor_rd_map_end(&r, &m)) ||
	    failed(e = cbor_rd_end(&r)))
		return e;
	*ret = ev;
	return ERR(E_OK);
}

struct err workload_args_digest(size_t n, char *const *argv, uint8_t ret[32])
{
	cleanup_hasher struct hasher *h = NULL;
	struct digest d;
	struct err e;

	if (failed(e = hasher_new(DIGEST_SHA256, &h)))
		return e;
	for (size_t i = 0; i < n; i++) {
		cleanup_buf struct buf head = BUF_INIT(sizeof(uint32_t));
		struct bytes arg = bytes_str(argv[i]);

		if (arg.n > UINT32_MAX)
			return ERR(E_LIMIT_SIZE);
		if (failed(e = wr_u32be(&head, (uint32_t)arg.n)) ||
		    failed(e = hasher_add(h, buf_bytes(&head))) ||
		    failed(e = hasher_add(h, arg)))
			return e;
	}
	if (failed(e = hasher_finish(h, &d)))
		return e;
	return bytes_copy_exact(digest_bytes(&d), ret, 32);
}
