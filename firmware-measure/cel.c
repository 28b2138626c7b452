/* SPDX-License-Identifier: Apache-2.0 */
#include "firmware-measure/cel.h"

#include "base/cborx.h"

enum {
	KEY_RECNUM = 0,
	KEY_PCR = 1,
	KEY_DIGESTS = 3,
};

/* Domain string with its NUL, then the content type as 32-bit big-endian number. */
static const uint8_t domain[] = {
	'a', 's', 's', 'a', 'y', ' ', 'w', 'o', 'r', 'k', 'l', 'o', 'a', 'd', ' ', 'v', '1', 0,
	CEL_CONTENT_WORKLOAD >> 24, (CEL_CONTENT_WORKLOAD >> 16) & 0xff, (CEL_CONTENT_WORKLOAD >> 8) & 0xff,
	CEL_CONTENT_WORKLOAD & 0xff,
};

_Static_assert((int)N_DIGESTS <= LIMIT_BANKS, "a record has room for every algorithm we know");

static struct err content_digest(enum digest_id id, struct bytes content, struct digest *ret)
{
	const struct bytes parts[] = { BYTES_ARR(domain), content };

	return digest_of(id, ret, array_len(parts), parts);
}

/* Map keys ascend, and so do the algorithms of the table that enum digest_id follows. */
static bool algs_ascend(size_t n, const enum digest_id *algs)
{
	for (size_t i = 0; i < n; i++) {
		if ((unsigned)algs[i] >= N_DIGESTS)
			return false;
		if (i > 0 && digest_alg(algs[i])->tpm_alg <= digest_alg(algs[i - 1])->tpm_alg)
			return false;
	}
	return n > 0 && n <= LIMIT_BANKS;
}

struct err cel_digests(struct bytes content, size_t n, const enum digest_id *algs, struct cel_record *rec)
{
	struct cel_record r = *rec;
	struct err e;

	if (!algs_ascend(n, algs))
		return ERR(E_BUG);
	r.content = content;
	r.n_digests = n;
	for (size_t i = 0; i < n; i++) {
		r.alg[i] = algs[i];
		if (failed(e = content_digest(algs[i], content, &r.digest[i])))
			return e;
	}
	*rec = r;
	return ERR(E_OK);
}

static struct err write_digests(const struct cel_record *rec, struct buf *b)
{
	struct err e;

	if (failed(e = cbor_wr_map(b, rec->n_digests)))
		return e;
	for (size_t i = 0; i < rec->n_digests; i++) {
		const struct digest_alg *alg = digest_alg(rec->alg[i]);

		if (rec->digest[i].n != alg->size)
			return ERR(E_BUG);
		if (failed(e = cbor_wr_uint(b, alg->tpm_alg)) ||
		    failed(e = cbor_wr_bytes(b, digest_bytes(&rec->digest[i]))))
			return e;
	}
	return ERR(E_OK);
}

struct err cel_encode(const struct cel_record *rec, struct buf *ret)
{
	cleanup_buf struct buf b = BUF_INIT(LIMIT_LOG_RECORD);
	struct err e;

	if (!algs_ascend(rec->n_digests, rec->alg) || rec->pcr >= LIMIT_PCRS)
		return ERR(E_BUG);
	if (failed(e = cbor_wr_map(&b, 4)) ||
	    failed(e = cbor_wr_uint(&b, KEY_RECNUM)) ||
	    failed(e = cbor_wr_uint(&b, rec->recnum)) ||
	    failed(e = cbor_wr_uint(&b, KEY_PCR)) ||
	    failed(e = cbor_wr_uint(&b, rec->pcr)) ||
	    failed(e = cbor_wr_uint(&b, KEY_DIGESTS)) ||
	    failed(e = write_digests(rec, &b)) ||
	    failed(e = cbor_wr_uint(&b, CEL_CONTENT_WORKLOAD)) ||
	    failed(e = cbor_wr_bytes(&b, rec->content)))
		return e;
	return buf_add(ret, buf_bytes(&b));
}

/* Known algorithms in ascending order; whatever else stands in the map is left for cbor_rd_map_end() to refuse. */
static struct err read_digests(struct cbor_rd *r, struct cel_record *rec)
{
	struct cbor_map m;
	struct err e;

	if (failed(e = cbor_rd_map(r, &m)))
		return e;
	for (unsigned id = 0; id < N_DIGESTS; id++) {
		const struct digest_alg *alg = digest_alg((enum digest_id)id);
		struct digest *d = &rec->digest[rec->n_digests];
		bool present = false;

		if (failed(e = cbor_rd_key_opt(r, &m, alg->tpm_alg, &present)))
			return e;
		if (!present)
			continue;
		if (failed(e = cbor_rd_bytes_exact(r, d->v, alg->size)))
			return e;
		d->n = (uint8_t)alg->size;
		rec->alg[rec->n_digests++] = (enum digest_id)id;
	}
	if (failed(e = cbor_rd_map_end(r, &m)))
		return e;
	return ERR(rec->n_digests > 0 ? E_OK : E_PEER_MISSING);
}

static struct err check_digests(const struct cel_record *rec)
{
	struct digest want;
	struct err e;

	for (size_t i = 0; i < rec->n_digests; i++) {
		if (failed(e = content_digest(rec->alg[i], rec->content, &want)))
			return e;
		if (!bytes_eq(digest_bytes(&want), digest_bytes(&rec->digest[i])))
			return ERR(E_PEER_DIGEST);
	}
	return ERR(E_OK);
}

static struct err read_record(struct bytes in, struct cel_record *ret)
{
	struct cel_record rec = { 0 };
	struct cbor_rd r;
	struct cbor_map m;
	uint64_t pcr;
	struct err e;

	if (failed(e = cbor_rd_init(in, &r)) ||
	    failed(e = cbor_rd_map(&r, &m)) ||
	    failed(e = cbor_rd_key(&r, &m, KEY_RECNUM)) ||
	    failed(e = cbor_rd_uint(&r, UINT64_MAX, &rec.recnum)) ||
	    failed(e = cbor_rd_key(&r, &m, KEY_PCR)) ||
	    failed(e = cbor_rd_uint(&r, LIMIT_PCRS - 1, &pcr)) ||
	    failed(e = cbor_rd_key(&r, &m, KEY_DIGESTS)) ||
	    failed(e = read_digests(&r, &rec)) ||
	    failed(e = cbor_rd_key(&r, &m, CEL_CONTENT_WORKLOAD)) ||
	    failed(e = cbor_rd_bytes(&r, &rec.content)) ||
	    failed(e = cbor_rd_map_end(&r, &m)) ||
	    failed(e = cbor_rd_end(&r)))
		return e;
	rec.pcr = (uint32_t)pcr;
	if (failed(e = check_digests(&rec)))
		return e;
	*ret = rec;
	return ERR(E_OK);
}

struct err cel_read(struct bytes log, struct cel_record *ret, size_t *ret_n)
{
	/* One byte more than a record may have: enough to see that it is too long, and work stays bounded. */
	struct bytes in = { log.p, log.n <= LIMIT_LOG_RECORD ? log.n : LIMIT_LOG_RECORD + 1 };
	size_t n = 0;
	struct err e;

	if (log.n == 0) {
		*ret_n = 0;
		return ERR(E_OK);
	}
	e = cbor_check_first(in, &n);
	if (e.code == E_PEER_TRUNCATED && in.n > LIMIT_LOG_RECORD)
		return ERR(E_LIMIT_SIZE);
	if (failed(e))
		return e;
	if (n > LIMIT_LOG_RECORD)
		return ERR(E_LIMIT_SIZE);
	if (failed(e = bytes_sub(in, 0, n, &in)) ||
	    failed(e = read_record(in, ret)))
		return e;
	*ret_n = n;
	return ERR(E_OK);
}

const struct digest *cel_digest(const struct cel_record *rec, enum digest_id bank)
{
	for (size_t i = 0; i < rec->n_digests; i++) {
		if (rec->alg[i] == bank)
			return &rec->digest[i];
	}
	return NULL;
}
