/* SPDX-License-Identifier: Apache-2.0 */
/*
 * workload.mark: where a replay of a long log begins, so that one visit costs
 * the same however long the log is.
 *
 *   { 0: boot key, 1: offset, 2: records, 3: starts, 4: [[TPM alg, PCR], ...], 5: [] or [last resume],
 *     6: [[id, agent, image manifest, image config, model manifest, OMS root, key Name, changed,
 *           [] or [root, policy]], ...] } in CBOR
 *
 * It is a shortcut and proves nothing: the PCR still has to be what the records
 * behind the mark lead to, and where it is not, the replay begins at the log's
 * first record. Who can write here can write the log.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "attest/workload_impl.h"
#include "base/file.h"
#include "base/text.h"

#define MARK_FILE "workload.mark"
#define MARK_MAX (256 * KIB)
#define N_KEYS 7
#define N_LIVE 9

static struct err write_banks(const struct workload *w, struct buf *b)
{
	struct err e;

	if (failed(e = cbor_wr_array(b, w->banks.n)))
		return e;
	for (size_t i = 0; i < w->banks.n; i++)
		if (failed(e = cbor_wr_array(b, 2)) ||
		    failed(e = cbor_wr_uint(b, digest_alg(w->banks.bank[i])->tpm_alg)) ||
		    failed(e = cbor_wr_bytes(b, digest_bytes(&w->pcr[i]))))
			return e;
	return ERR(E_OK);
}

static struct err write_container(const struct workload_instance *l, struct buf *b)
{
	struct err e = cbor_wr_array(b, l->has_container ? 2 : 0);

	if (failed(e) || !l->has_container)
		return e;
	if (failed(e = cbor_wr_bytes(b, BYTES_ARR(l->container.rootfs))))
		return e;
	return cbor_wr_bytes(b, BYTES_ARR(l->container.policy));
}

static struct err write_live(const struct workload *w, struct buf *b)
{
	struct err e;

	if (failed(e = cbor_wr_array(b, w->n_live)))
		return e;
	for (size_t i = 0; i < w->n_live; i++) {
		const struct workload_instance *l = &w->live[i];

		if (failed(e = cbor_wr_array(b, N_LIVE)) || failed(e = cbor_wr_bytes(b, BYTES_ARR(l->id))) ||
		    failed(e = cbor_wr_text(b, bytes_str(l->agent))) ||
		    failed(e = cbor_wr_bytes(b, BYTES_ARR(l->image.manifest))) ||
		    failed(e = cbor_wr_bytes(b, BYTES_ARR(l->image.config))) ||
		    failed(e = cbor_wr_bytes(b, BYTES_ARR(l->model.manifest))) ||
		    failed(e = cbor_wr_bytes(b, BYTES_ARR(l->model.oms_root))) ||
		    failed(e = cbor_wr_bytes(b, BYTES_ARR(l->key_name))) || failed(e = cbor_wr_bool(b, l->changed)) ||
		    failed(e = write_container(l, b)))
			return e;
	}
	return ERR(E_OK);
}

struct err mark_write(struct workload *w)
{
	cleanup_buf struct buf b = BUF_INIT(MARK_MAX);
	struct err e;

	if (failed(e = cbor_wr_map(&b, N_KEYS)) ||
	    failed(e = cbor_wr_uint(&b, 0)) || failed(e = cbor_wr_bytes(&b, BYTES_ARR(w->boot_key))) ||
	    failed(e = cbor_wr_uint(&b, 1)) || failed(e = cbor_wr_uint(&b, w->log_size)) ||
	    failed(e = cbor_wr_uint(&b, 2)) || failed(e = cbor_wr_uint(&b, w->n_records)) ||
	    failed(e = cbor_wr_uint(&b, 3)) || failed(e = cbor_wr_uint(&b, w->n_starts)) ||
	    failed(e = cbor_wr_uint(&b, 4)) || failed(e = write_banks(w, &b)) ||
	    failed(e = cbor_wr_uint(&b, 5)) || failed(e = cbor_wr_array(&b, w->has_resume ? 1 : 0)) ||
	    (w->has_resume && failed(e = cbor_wr_uint(&b, w->last_resume))) ||
	    failed(e = cbor_wr_uint(&b, 6)) || failed(e = write_live(w, &b)) ||
	    failed(e = file_write(w->dir_fd, MARK_FILE, buf_bytes(&b), 0600)))
		return e;
	w->mark = w->log_size;
	return ERR(E_OK);
}

static struct err read_banks(struct cbor_rd *r, struct workload *w)
{
	uint64_t alg;
	struct err e;
	size_t n;

	if (failed(e = cbor_rd_array(r, LIMIT_BANKS, &n)))
		return e;
	if (n != w->banks.n)
		return ERR(E_PEER_RANGE);
	for (size_t i = 0; i < w->banks.n; i++) {
		const struct digest_alg *want = digest_alg(w->banks.bank[i]);

		if (failed(e = cbor_rd_array(r, 2, &n)) || failed(e = cbor_rd_uint(r, UINT16_MAX, &alg)))
			return e;
		if (n != 2 || alg != want->tpm_alg)
			return ERR(E_PEER_RANGE);
		w->pcr[i] = (struct digest){ .n = (uint8_t)want->size };
		if (failed(e = cbor_rd_bytes_exact(r, w->pcr[i].v, w->pcr[i].n)))
			return e;
	}
	return ERR(E_OK);
}

static struct err read_resume(struct cbor_rd *r, struct workload *w)
{
	uint64_t count = 0;
	struct err e;
	size_t n;

	if (failed(e = cbor_rd_array(r, 1, &n)) || (n == 1 && failed(e = cbor_rd_uint(r, UINT32_MAX, &count))))
		return e;
	w->has_resume = n == 1;
	w->last_resume = (uint32_t)count;
	return ERR(E_OK);
}

static struct err read_container(struct cbor_rd *r, struct workload_instance *l)
{
	struct err e;
	size_t n;

	if (failed(e = cbor_rd_array(r, 2, &n)) || n == 0)
		return e;
	if (n != 2)
		return ERR(E_PEER_RANGE);
	l->has_container = true;
	if (failed(e = cbor_rd_bytes_exact(r, l->container.rootfs, sizeof(l->container.rootfs))))
		return e;
	return cbor_rd_bytes_exact(r, l->container.policy, sizeof(l->container.policy));
}

static struct err read_instance(struct cbor_rd *r, struct workload_instance *l)
{
	struct bytes agent;
	struct err e;
	size_t n;

	*l = (struct workload_instance){ .changed = false };
	if (failed(e = cbor_rd_array(r, N_LIVE, &n)))
		return e;
	if (n != N_LIVE)
		return ERR(E_PEER_RANGE);
	if (failed(e = cbor_rd_bytes_exact(r, l->id, sizeof(l->id))) || failed(e = cbor_rd_text(r, &agent)))
		return e;
	if (!id_valid(agent))
		return ERR(E_PEER_RANGE);
	if (failed(e = bytes_copy_exact(agent, (uint8_t *)l->agent, agent.n)) ||
	    failed(e = cbor_rd_bytes_exact(r, l->image.manifest, sizeof(l->image.manifest))) ||
	    failed(e = cbor_rd_bytes_exact(r, l->image.config, sizeof(l->image.config))) ||
	    failed(e = cbor_rd_bytes_exact(r, l->model.manifest, sizeof(l->model.manifest))) ||
	    failed(e = cbor_rd_bytes_exact(r, l->model.oms_root, sizeof(l->model.oms_root))) ||
	    failed(e = cbor_rd_bytes_exact(r, l->key_name, sizeof(l->key_name))) ||
	    failed(e = cbor_rd_bool(r, &l->changed)))
		return e;
	return read_container(r, l);
}

static struct err read_live(struct cbor_rd *r, struct workload *w)
{
	struct err e;

	if (failed(e = cbor_rd_array(r, LIMIT_INSTANCES, &w->n_live)))
		return e;
	for (size_t i = 0; i < w->n_live; i++)
		if (failed(e = read_instance(r, &w->live[i])))
			return e;
	return ERR(E_OK);
}

static struct err decode(struct bytes in, struct workload *w)
{
	uint8_t key[BOOT_KEY_LEN];
	struct cbor_map m;
	struct cbor_rd r;
	struct err e;

	if (failed(e = cbor_rd_init(in, &r)) || failed(e = cbor_rd_map(&r, &m)) || failed(e = cbor_rd_key(&r, &m, 0)) ||
	    failed(e = cbor_rd_bytes_exact(&r, key, sizeof(key))))
		return e;
	if (memcmp(key, w->boot_key, sizeof(key)) != 0)
		return ERR(E_PEER_RANGE);
	if (failed(e = cbor_rd_key(&r, &m, 1)) || failed(e = cbor_rd_uint(&r, INT64_MAX, &w->log_size)) ||
	    failed(e = cbor_rd_key(&r, &m, 2)) || failed(e = cbor_rd_uint(&r, INT64_MAX, &w->n_records)) ||
	    failed(e = cbor_rd_key(&r, &m, 3)) || failed(e = cbor_rd_uint(&r, INT64_MAX, &w->n_starts)) ||
	    failed(e = cbor_rd_key(&r, &m, 4)) || failed(e = read_banks(&r, w)) || failed(e = cbor_rd_key(&r, &m, 5)) ||
	    failed(e = read_resume(&r, w)) || failed(e = cbor_rd_key(&r, &m, 6)) || failed(e = read_live(&r, w)) ||
	    failed(e = cbor_rd_map_end(&r, &m)))
		return e;
	return cbor_rd_end(&r);
}

struct err mark_read(struct workload *w)
{
	cleanup_buf struct buf b = BUF_INIT(MARK_MAX);
	struct err e;

	replay_clear(w);
	e = file_read(w->dir_fd, MARK_FILE, &b);
	if (e.code == E_LOCAL_NOT_FOUND || e.code == E_LIMIT_SIZE)
		return ERR(E_OK);
	if (failed(e))
		return e;
	e = decode(buf_bytes(&b), w);
	if (e.code == E_LOCAL_MEMORY)
		return e;
	/* One that cannot be read, or is of another boot, is none. */
	if (failed(e))
		replay_clear(w);
	w->mark = w->log_size;
	return ERR(E_OK);
}
