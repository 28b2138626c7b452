/* SPDX-License-Identifier: Apache-2.0 */
/* workload.intent: { 0: boot key, 1: base, 2: record, 3: [[TPM alg, before, after], ...] } in CBOR. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "attest/workload_impl.h"
#include "base/file.h"

#define INTENT_FILE "workload.intent"
#define INTENT_MAX (LIMIT_LOG_RECORD + 4 * KIB)

void intent_done(struct intent *i)
{
	buf_free(&i->record);
}

static struct err write_banks(const struct workload *w, const struct workload_step *s, struct buf *b)
{
	struct err e;

	if (failed(e = cbor_wr_array(b, w->banks.n)))
		return e;
	for (size_t i = 0; i < w->banks.n; i++)
		if (failed(e = cbor_wr_array(b, 3)) ||
		    failed(e = cbor_wr_uint(b, digest_alg(w->banks.bank[i])->tpm_alg)) ||
		    failed(e = cbor_wr_bytes(b, digest_bytes(&w->pcr[i]))) ||
		    failed(e = cbor_wr_bytes(b, digest_bytes(&s->after[i]))))
			return e;
	return ERR(E_OK);
}

struct err intent_write(const struct workload *w, const struct workload_step *s)
{
	cleanup_buf struct buf b = BUF_INIT(INTENT_MAX);
	struct err e;

	if (failed(e = cbor_wr_map(&b, 4)) ||
	    failed(e = cbor_wr_uint(&b, 0)) || failed(e = cbor_wr_bytes(&b, BYTES_ARR(w->boot_key))) ||
	    failed(e = cbor_wr_uint(&b, 1)) || failed(e = cbor_wr_uint(&b, w->log_size)) ||
	    failed(e = cbor_wr_uint(&b, 2)) || failed(e = cbor_wr_bytes(&b, buf_bytes(&s->record))) ||
	    failed(e = cbor_wr_uint(&b, 3)) || failed(e = write_banks(w, s, &b)))
		return e;
	return file_write(w->dir_fd, INTENT_FILE, buf_bytes(&b), 0600);
}

static struct err read_digest(struct cbor_rd *r, enum digest_id bank, struct digest *ret)
{
	*ret = (struct digest){ .n = (uint8_t)digest_alg(bank)->size };
	return cbor_rd_bytes_exact(r, ret->v, ret->n);
}

static struct err read_banks(struct cbor_rd *r, const struct tpm_banks *banks, struct intent *ret)
{
	struct err e;
	uint64_t alg;
	size_t n;

	if (failed(e = cbor_rd_array(r, LIMIT_BANKS, &n)))
		return e;
	if (n != banks->n)
		return ERR(E_PEER_RANGE);
	for (size_t i = 0; i < banks->n; i++) {
		if (failed(e = cbor_rd_array(r, 3, &n)) || failed(e = cbor_rd_uint(r, UINT16_MAX, &alg)))
			return e;
		if (n != 3 || alg != digest_alg(banks->bank[i])->tpm_alg)
			return ERR(E_PEER_RANGE);
		if (failed(e = read_digest(r, banks->bank[i], &ret->before[i])) ||
		    failed(e = read_digest(r, banks->bank[i], &ret->after[i])))
			return e;
	}
	return ERR(E_OK);
}

static struct err decode(struct bytes in, const struct tpm_banks *banks, struct intent *ret)
{
	struct bytes record;
	struct cbor_map m;
	struct cbor_rd r;
	struct err e;

	if (failed(e = cbor_rd_init(in, &r)) || failed(e = cbor_rd_map(&r, &m)) ||
	    failed(e = cbor_rd_key(&r, &m, 0)) ||
	    failed(e = cbor_rd_bytes_exact(&r, ret->boot_key, sizeof(ret->boot_key))) ||
	    failed(e = cbor_rd_key(&r, &m, 1)) || failed(e = cbor_rd_uint(&r, INT64_MAX, &ret->base)) ||
	    failed(e = cbor_rd_key(&r, &m, 2)) || failed(e = cbor_rd_bytes(&r, &record)) ||
	    failed(e = cbor_rd_key(&r, &m, 3)) || failed(e = read_banks(&r, banks, ret)) ||
	    failed(e = cbor_rd_map_end(&r, &m)) || failed(e = cbor_rd_end(&r)))
		return e;
	return buf_add(&ret->record, record);
}

/*
 * An intent that cannot be read explains nothing: what counts then is whether
 * the log alone explains the PCR.
 */
struct err intent_read(const struct workload *w, struct intent *ret, bool *ret_present)
{
	cleanup_buf struct buf b = BUF_INIT(INTENT_MAX);
	struct err e;

	*ret_present = false;
	e = file_read(w->dir_fd, INTENT_FILE, &b);
	if (e.code == E_LOCAL_NOT_FOUND || e.code == E_LIMIT_SIZE)
		return ERR(E_OK);
	if (failed(e))
		return e;
	e = decode(buf_bytes(&b), &w->banks, ret);
	if (e.code == E_LOCAL_MEMORY)
		return e;
	*ret_present = !failed(e) && memcmp(ret->boot_key, w->boot_key, sizeof(w->boot_key)) == 0;
	return ERR(E_OK);
}

struct err intent_remove(const struct workload *w)
{
	/* Without an fsync: one that comes back after a crash of the machine is of an earlier boot. */
	if (unlinkat(w->dir_fd, INTENT_FILE, 0) != 0 && errno != ENOENT)
		return ERR(E_LOCAL_IO);
	return ERR(E_OK);
}
